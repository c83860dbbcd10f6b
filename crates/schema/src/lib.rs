//! Schemas of records: Avro, JSON Schema and Protobuf.
//!
//! [`ParsedSchema`] is a schema of any of the three formats: parsed with its references, with a canonical text that
//! decides whether two schemas are the same, a normal form, and the rules of schema evolution
//! ([`ParsedSchema::incompatibilities`]). Around it: [`wire`] (how a record names its schema), [`identity`] (the MD5
//! under which a registry finds a schema again, and its GUID), [`contract`] (metadata and rules that travel with a
//! schema), [`subject_name`], [`client`] (a caching client of a registry) and [`serializer`] (records with the schema found
//! there).
//!
//! One directory per format ([`avro`], [`json`], [`protobuf`]), each with the same methods; [`ParsedSchema`] only
//! dispatches. [`document`] is JSON text read the way a schema is written: member order and the spelling of numbers
//! are kept, nesting is limited.
//!
//! Deliberately absent: the registry itself; no crate of the broker is used.

pub mod avro;
pub mod client;
pub mod codec;
pub mod contract;
pub mod document;
pub mod identity;
pub mod json;
pub mod protobuf;
pub mod serializer;
pub mod subject_name;
pub mod wire;

mod error;
mod model;

pub use error::SchemaError;
pub use model::{
    CompatibilityPolicy, Incompatibility, ParseOptions, ParsedSchema, Reference, ResolvedReference, SchemaTag,
    SchemaType, TagEdit, TaggedEntity,
};
