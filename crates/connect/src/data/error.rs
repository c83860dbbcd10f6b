//! A value that is not what its schema, its converter or its transform asks for.

/// What is wrong with a value; the text is for the user of the connector and names the setting where one helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DataError(pub String);

impl DataError {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        DataError(text.into())
    }
}
