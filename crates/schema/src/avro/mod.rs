//! Avro schemas.

use crate::document;
use crate::{
    CompatibilityPolicy, Incompatibility, ParseOptions, ResolvedReference, SchemaError, SchemaTag, SchemaType, TagEdit,
};

/// A parsed Avro schema.
#[derive(Debug)]
pub struct AvroSchema {
    canonical: String,
}

impl AvroSchema {
    /// Reads `text`.
    ///
    /// # Errors
    /// A text that Avro does not allow.
    pub fn parse(text: &str, _references: &[ResolvedReference], _options: &ParseOptions) -> Result<Self, SchemaError> {
        let node = document::read_with_comments(text).map_err(|error| match error {
            document::ReadError::TooDeep => SchemaError::TooDeep { limit: document::DEPTH_MAX },
            error => SchemaError::invalid(SchemaType::Avro, error.to_string()),
        })?;
        Ok(AvroSchema { canonical: node.text(document::Spelling::Java) })
    }

    /// See [`ParsedSchema::canonical`](crate::ParsedSchema::canonical).
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// See [`ParsedSchema::normalized`](crate::ParsedSchema::normalized).
    pub fn normalized(&self) -> String {
        self.canonical.clone()
    }

    /// See [`ParsedSchema::formatted`](crate::ParsedSchema::formatted).
    pub fn formatted(&self, _format: &str, _references: &[ResolvedReference]) -> Option<String> {
        None
    }

    /// See [`ParsedSchema::record_name`](crate::ParsedSchema::record_name).
    pub fn record_name(&self) -> Option<String> {
        None
    }

    /// See [`ParsedSchema::tags`](crate::ParsedSchema::tags).
    pub fn tags(&self) -> Vec<SchemaTag> {
        Vec::new()
    }

    /// See [`ParsedSchema::with_tags`](crate::ParsedSchema::with_tags).
    ///
    /// # Errors
    /// A tag for something that does not exist.
    pub fn with_tags(&self, _edit: &TagEdit<'_>) -> Result<String, SchemaError> {
        Ok(self.canonical.clone())
    }

    /// See [`ParsedSchema::incompatibilities`](crate::ParsedSchema::incompatibilities).
    pub fn incompatibilities(&self, _writer: &AvroSchema, _policy: CompatibilityPolicy) -> Vec<Incompatibility> {
        Vec::new()
    }
}
