//! Schema Registry.
