//! JSON schemas. Not read yet: [`JsonSchema::parse`] refuses every text and says so.

use crate::{
    CompatibilityPolicy, Incompatibility, ParseOptions, ResolvedReference, SchemaError, SchemaTag, SchemaType, TagEdit,
};

/// A parsed schema.
#[derive(Debug)]
pub struct JsonSchema {
    canonical: String,
}

impl JsonSchema {
    /// Reads `text`.
    ///
    /// # Errors
    /// A text that the format does not allow.
    pub fn parse(text: &str, references: &[ResolvedReference], options: &ParseOptions) -> Result<Self, SchemaError> {
        let _ = (text, references, options);
        Err(SchemaError::invalid(SchemaType::Json, "schema type JSON is unsupported"))
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
    pub fn incompatibilities(&self, _writer: &JsonSchema, _policy: CompatibilityPolicy) -> Vec<Incompatibility> {
        Vec::new()
    }

    /// Checks a record's value.
    ///
    /// # Errors
    /// What is wrong and where, as a JSON pointer into the value.
    pub fn validate(&self, _value: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}
