//! Why a change of the metadata was refused. The texts are Kafka's, because people search for them.

use std::sync::Arc;

use milena_protocol::ErrorCode;

use crate::config_def::InvalidValue;
use crate::store::StoreError;
use crate::topic_name::InvalidTopicName;

/// A refused change. [`ControllerError::error_code`] is what goes on the wire, the text goes with it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ControllerError {
    /// A topic of this name exists.
    #[error("Topic '{name}' already exists.")]
    TopicExists {
        /// The name asked for.
        name: String,
    },
    /// The name breaks a rule.
    #[error(transparent)]
    InvalidName(#[from] InvalidTopicName),
    /// Metrics could not tell the two topics apart.
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    NameCollision {
        /// The name asked for.
        name: String,
        /// The topic that has it in another spelling.
        existing: String,
    },
    /// No topic has this name.
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    /// No topic has this id.
    #[error("This server does not host this topic ID.")]
    UnknownTopicId,
    /// `delete.topic.enable` is false.
    #[error("Topic deletion is disabled.")]
    DeletionDisabled,
    /// A number of partitions that cannot be.
    #[error("{0}")]
    InvalidPartitions(String),
    /// A replication factor that cannot be.
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// An explicit assignment that cannot be.
    #[error("{0}")]
    InvalidAssignment(String),
    /// Parts of the request contradict each other.
    #[error("{0}")]
    InvalidRequest(String),
    /// A configuration that cannot be.
    #[error("{0}")]
    InvalidConfig(String),
    /// A credential that cannot be.
    #[error("{0}")]
    UnacceptableCredential(String),
    /// The same thing is changed twice at once.
    #[error("{0}")]
    DuplicateResource(String),
    /// What was to be deleted does not exist.
    #[error("{0}")]
    ResourceNotFound(String),
    /// A level of a feature that cannot be.
    #[error("{0}")]
    InvalidUpdateVersion(String),
    /// No delegation token has this id.
    #[error("Delegation Token is not found on server.")]
    TokenNotFound,
    /// One request asks for more partitions than one transaction should create.
    #[error("Excessively large number of partitions per request.")]
    TooManyPartitions,
    /// Another controller has taken over.
    #[error("another controller has changed the metadata")]
    Fenced,
    /// A record of the store cannot be understood.
    #[error("metadata record {key} cannot be read: {reason}")]
    Corrupt {
        /// The record's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(Arc<StoreError>),
}

impl ControllerError {
    /// The code that says this on the wire.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            ControllerError::TopicExists { .. } => ErrorCode::TopicAlreadyExists,
            ControllerError::InvalidName(_) | ControllerError::NameCollision { .. } => ErrorCode::InvalidTopicException,
            ControllerError::UnknownTopic => ErrorCode::UnknownTopicOrPartition,
            ControllerError::UnknownTopicId => ErrorCode::UnknownTopicId,
            ControllerError::DeletionDisabled => ErrorCode::TopicDeletionDisabled,
            ControllerError::InvalidPartitions(_) => ErrorCode::InvalidPartitions,
            ControllerError::InvalidReplicationFactor(_) => ErrorCode::InvalidReplicationFactor,
            ControllerError::InvalidAssignment(_) => ErrorCode::InvalidReplicaAssignment,
            ControllerError::InvalidRequest(_) => ErrorCode::InvalidRequest,
            ControllerError::InvalidConfig(_) => ErrorCode::InvalidConfig,
            ControllerError::UnacceptableCredential(_) => ErrorCode::UnacceptableCredential,
            ControllerError::DuplicateResource(_) => ErrorCode::DuplicateResource,
            ControllerError::ResourceNotFound(_) => ErrorCode::ResourceNotFound,
            ControllerError::InvalidUpdateVersion(_) => ErrorCode::InvalidUpdateVersion,
            ControllerError::TokenNotFound => ErrorCode::DelegationTokenNotFound,
            ControllerError::TooManyPartitions => ErrorCode::PolicyViolation,
            ControllerError::Fenced => ErrorCode::NotController,
            ControllerError::Corrupt { .. } | ControllerError::Store(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<StoreError> for ControllerError {
    fn from(error: StoreError) -> ControllerError {
        ControllerError::Store(Arc::new(error))
    }
}

impl From<InvalidValue> for ControllerError {
    fn from(error: InvalidValue) -> ControllerError {
        ControllerError::InvalidConfig(error.to_string())
    }
}
