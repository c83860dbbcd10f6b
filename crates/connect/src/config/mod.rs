//! Settings: tables that describe them, values with what is wrong about them, those of the worker itself.

pub mod connector;
pub mod def;
mod parsed;
pub mod providers;
pub mod worker;
mod worker_table;

pub use parsed::Parsed;
