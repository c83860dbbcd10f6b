//! Connectors that are built in.

pub mod file;
pub mod jdbc;
