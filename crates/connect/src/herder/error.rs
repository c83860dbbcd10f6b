//! Why a call to the herder failed, with the code that the API answers.

use crate::config::providers::ProviderError;
use crate::plugin::{TaskError, UnknownConnector};
use crate::storage::StorageError;
use crate::worker::OffsetRequestError;

/// See the module's words.
#[derive(Debug, thiserror::Error)]
pub enum HerderError {
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 400.
    #[error("{0}")]
    BadRequest(String),
    /// 500, as the original answers: the body of the request is not of the form that the call wants, or a plugin refuses it.
    #[error("{0}")]
    Unreadable(String),
    /// 409: there is one already.
    #[error("{0}")]
    AlreadyExists(String),
    /// 403.
    #[error("{0}")]
    Forbidden(String),
    /// 409: the group is being rebalanced.
    #[error(
        "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"
    )]
    Rebalancing,
    /// Another worker must do it; it is at this URL, if known.
    #[error("Only the leader can do that.")]
    Elsewhere(Option<String>),
    /// 503.
    #[error("{0}")]
    Unavailable(String),
    /// 500.
    #[error("{0}")]
    Failed(String),
    /// What another worker has answered.
    #[error("{message}")]
    Answered {
        /// Its status.
        status: u16,
        /// Its code.
        code: i64,
        /// Its words.
        message: String,
    },
}

impl HerderError {
    /// There is no such connector.
    pub fn no_connector(name: &str) -> HerderError {
        HerderError::NotFound(format!("Connector {name} not found"))
    }

    /// There is no such connector, as other calls say it.
    pub fn unknown_connector(name: &str) -> HerderError {
        HerderError::NotFound(format!("Unknown connector: {name}"))
    }

    /// The status that the API answers.
    pub fn status(&self) -> u16 {
        match self {
            HerderError::NotFound(_) => 404,
            HerderError::BadRequest(_) => 400,
            HerderError::AlreadyExists(_) | HerderError::Rebalancing | HerderError::Elsewhere(_) => 409,
            HerderError::Forbidden(_) => 403,
            HerderError::Unavailable(_) => 503,
            HerderError::Failed(_) | HerderError::Unreadable(_) => 500,
            HerderError::Answered { status, .. } => *status,
        }
    }

    /// The `error_code` in the answer.
    pub fn code(&self) -> i64 {
        match self {
            HerderError::Answered { code, .. } => *code,
            other => i64::from(other.status()),
        }
    }
}

impl From<StorageError> for HerderError {
    fn from(error: StorageError) -> HerderError {
        HerderError::Failed(error.to_string())
    }
}

impl From<TaskError> for HerderError {
    fn from(error: TaskError) -> HerderError {
        HerderError::Failed(error.to_string())
    }
}

impl From<ProviderError> for HerderError {
    fn from(error: ProviderError) -> HerderError {
        HerderError::Failed(error.to_string())
    }
}

impl From<UnknownConnector> for HerderError {
    fn from(error: UnknownConnector) -> HerderError {
        HerderError::BadRequest(error.to_string())
    }
}

impl From<OffsetRequestError> for HerderError {
    fn from(error: OffsetRequestError) -> HerderError {
        match error {
            OffsetRequestError::Invalid(message) => HerderError::BadRequest(message),
            OffsetRequestError::Refused(message) => HerderError::Unreadable(message),
            OffsetRequestError::Failed(message) => HerderError::Failed(message),
        }
    }
}
