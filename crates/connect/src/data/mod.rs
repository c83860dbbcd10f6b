//! What records are made of: schemas and values, as in Kafka Connect's data API.

pub mod date_format;
mod error;
pub mod literal;
pub mod logical;
pub mod number;
mod schema;
mod text;
mod validate;
mod value;

pub use error::DataError;
pub use schema::{Field, Fields, Kind, Schema, SchemaRef};
pub use validate::{same_schema, validate_value};
pub use value::{Struct, Typed, Value};
