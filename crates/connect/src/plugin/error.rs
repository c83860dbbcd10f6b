//! Errors of tasks.

use crate::data::DataError;

/// Why a connector or task cannot go on. The text is what the user reads in `trace`.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// May work when tried again with the same records (Kafka Connect's `RetriableException`).
    #[error("{0}")]
    Retriable(String),
    /// Will not.
    #[error("{0}")]
    Fatal(String),
    /// A value that does not fit.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl TaskError {
    /// A final error.
    pub fn fatal(text: impl Into<String>) -> TaskError {
        TaskError::Fatal(text.into())
    }

    /// An error that may pass.
    pub fn retriable(text: impl Into<String>) -> TaskError {
        TaskError::Retriable(text.into())
    }
}
