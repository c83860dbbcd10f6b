//! Why a query has failed, and whose fault it is.

use milena_client::Error;
use milena_protocol::ErrorCode;
use milena_sql::formats::FormatError;
use milena_sql::operators::OperatorError;
use milena_sql::runtime::RecordError;
use milena_sql::state::StateError;

use crate::error::Failure;

/// Who has to do something about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Whoever wrote the query or its data.
    User,
    /// Whoever runs Kafka and the servers.
    System,
    /// Nobody knows.
    Unknown,
}

impl Cause {
    /// As answers show it.
    pub fn name(self) -> &'static str {
        match self {
            Cause::User => "USER",
            Cause::System => "SYSTEM",
            Cause::Unknown => "UNKNOWN",
        }
    }
}

/// What has ended a query.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct QueryFailure {
    /// Whose fault it is.
    pub cause: Cause,
    /// What happened.
    pub message: String,
    /// Whether the group has given the query's partitions to others meanwhile: nothing is wrong then.
    pub is_replaced: bool,
    /// Whether a record is larger than Kafka takes.
    pub is_too_large: bool,
}

impl QueryFailure {
    /// A failure of `cause`.
    pub fn new(cause: Cause, message: impl Into<String>) -> QueryFailure {
        QueryFailure { cause, message: message.into(), is_replaced: false, is_too_large: false }
    }
}

impl From<Error> for QueryFailure {
    fn from(error: Error) -> QueryFailure {
        let cause = match error.code() {
            Some(
                ErrorCode::UnknownTopicOrPartition
                | ErrorCode::TopicAuthorizationFailed
                | ErrorCode::GroupAuthorizationFailed
                | ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::TransactionalIdAuthorizationFailed
                | ErrorCode::MessageTooLarge,
            ) => Cause::User,
            _ => Cause::System,
        };
        let is_replaced = matches!(
            error.code(),
            Some(
                ErrorCode::RebalanceInProgress
                    | ErrorCode::IllegalGeneration
                    | ErrorCode::UnknownMemberId
                    | ErrorCode::FencedInstanceId
                    | ErrorCode::InvalidProducerEpoch
                    | ErrorCode::ProducerFenced
            )
        );
        let is_too_large = error.code() == Some(ErrorCode::MessageTooLarge);
        QueryFailure { cause, message: error.to_string(), is_replaced, is_too_large }
    }
}

impl From<Failure> for QueryFailure {
    fn from(failure: Failure) -> QueryFailure {
        QueryFailure::new(Cause::Unknown, failure.message)
    }
}

impl From<StateError> for QueryFailure {
    fn from(error: StateError) -> QueryFailure {
        QueryFailure::new(Cause::System, error.to_string())
    }
}

impl From<OperatorError> for QueryFailure {
    fn from(error: OperatorError) -> QueryFailure {
        let cause = if matches!(error, OperatorError::Function(_)) { Cause::User } else { Cause::System };
        QueryFailure::new(cause, error.to_string())
    }
}

impl From<RecordError> for QueryFailure {
    fn from(error: RecordError) -> QueryFailure {
        QueryFailure::new(Cause::User, error.0)
    }
}

impl From<FormatError> for QueryFailure {
    fn from(error: FormatError) -> QueryFailure {
        QueryFailure::new(Cause::User, error.0)
    }
}

impl From<tokio::task::JoinError> for QueryFailure {
    fn from(error: tokio::task::JoinError) -> QueryFailure {
        QueryFailure::new(Cause::System, error.to_string())
    }
}

/// What queries answer.
pub type Result<T, E = QueryFailure> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_topic_is_the_users_and_a_lost_connection_the_systems() {
        let missing = QueryFailure::from(Error::api(ErrorCode::UnknownTopicOrPartition, None));
        assert_eq!((missing.cause.name(), missing.is_replaced), ("USER", false));
        let lost = QueryFailure::from(Error::Disconnected { address: "kafka:9092".to_owned() });
        assert_eq!(lost.cause, Cause::System);
    }

    #[test]
    fn a_member_that_was_replaced_has_not_failed() {
        assert!(QueryFailure::from(Error::api(ErrorCode::IllegalGeneration, None)).is_replaced);
        assert!(QueryFailure::from(Error::api(ErrorCode::ProducerFenced, None)).is_replaced);
    }
}
