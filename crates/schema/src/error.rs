//! Why a schema is refused.

use crate::SchemaType;

/// Why a text is not a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The text breaks the rules of its format; `message` names the place.
    #[error("{message}")]
    Invalid {
        /// The format whose rules are broken.
        schema_type: SchemaType,
        /// What is wrong and where: line and column of a syntax error, otherwise a JSON pointer or a path of names.
        message: String,
    },
    /// Deeper nesting than [`document::DEPTH_MAX`](crate::document::DEPTH_MAX) or the format's own limit.
    #[error("document nesting depth exceeds the maximum allowed ({limit})")]
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
    },
}

impl SchemaError {
    /// An error of `schema_type` with a text.
    pub fn invalid(schema_type: SchemaType, message: impl Into<String>) -> Self {
        SchemaError::Invalid { schema_type, message: message.into() }
    }
}
