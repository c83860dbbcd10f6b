//! What can go wrong in a call, and the one place that knows status and code of it.

use milena_client::Error as KafkaError;
use milena_protocol::ErrorCode;

/// Result of a call.
pub type Result<T, E = RestError> = std::result::Result<T, E>;

/// Why a call failed. The text is what the client reads in `message`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestError {
    /// An error of HTTP itself: the code is the status.
    #[error("HTTP {0} {reason}", reason = reason(*.0))]
    Http(u16),
    /// The same with words of ours.
    #[error("{message}")]
    Plain {
        /// Status and code.
        status: u16,
        /// What is wrong.
        message: String,
    },
    /// A body is needed and there is none, or it is `null`.
    #[error("Null input provided. Data is required.")]
    NullInput,
    /// 422: a member is missing, unknown or out of bounds.
    #[error("{0}")]
    Validation(String),
    /// 40401. `None`: the words of the original.
    #[error("{}", topic_not_found(.0.as_deref()))]
    TopicNotFound(Option<String>),
    /// 40402. `None`: the words of the original.
    #[error("{}", partition_not_found(*.0))]
    PartitionNotFound(Option<i32>),
    /// 40403
    #[error("Consumer instance not found.")]
    InstanceNotFound,
    /// 40404
    #[error("Leader not available.")]
    LeaderNotAvailable,
    /// 40601
    #[error("The requested embedded data format does not match the deserializer for this consumer instance")]
    FormatMismatch,
    /// 408 with 40801: serialisation, deserialisation or the registry.
    #[error("{0}")]
    Serialization(String),
    /// 40902
    #[error("Consumer with specified consumer ID already exists in the specified consumer group.")]
    InstanceExists,
    /// 40903
    #[error("Illegal state: {0}")]
    IllegalState(String),
    /// 413: a record that the broker or the producer finds too large.
    #[error("{0}")]
    RecordTooLarge(String),
    /// 42201
    #[error("Request includes keys but does not include key schema")]
    KeySchemaMissing,
    /// 42202
    #[error("Request includes values but does not include value schema")]
    ValueSchemaMissing,
    /// 42203
    #[error("Conversion of JSON to Object failed: {0}")]
    Conversion(String),
    /// 42204
    #[error("Invalid consumer configuration: {0}")]
    InvalidConsumerConfig(String),
    /// 40001 with status 422
    #[error("Invalid consumer configuration. It does not abide by the constraints: {0}")]
    ConsumerConfigConstraint(String),
    /// 42205
    #[error("Invalid schema: {0}")]
    InvalidSchema(String),
    /// 42206
    #[error("Payload error. {0}")]
    InvalidPayload(String),
    /// 42207
    #[error("Error serializing message. {0}")]
    MessageSerialization(String),
    /// 42208
    #[error("{0}")]
    InvalidBatch(String),
    /// What Kafka said: see [`RestError::from`] of the client's error.
    #[error("{message}")]
    Kafka {
        /// The status.
        status: u16,
        /// The code.
        code: i32,
        /// Kafka's words.
        message: String,
    },
}

impl RestError {
    /// 400 with code 400.
    pub fn bad_request(message: impl Into<String>) -> RestError {
        RestError::Plain { status: 400, message: message.into() }
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        use RestError as E;
        match self {
            E::Http(status) | E::Plain { status, .. } | E::Kafka { status, .. } => *status,
            E::TopicNotFound(_) | E::PartitionNotFound(_) | E::InstanceNotFound | E::LeaderNotAvailable => 404,
            E::FormatMismatch => 406,
            E::Serialization(_) => 408,
            E::InstanceExists | E::IllegalState(_) => 409,
            E::RecordTooLarge(_) => 413,
            E::NullInput
            | E::Validation(_)
            | E::KeySchemaMissing
            | E::ValueSchemaMissing
            | E::Conversion(_)
            | E::InvalidConsumerConfig(_)
            | E::ConsumerConfigConstraint(_)
            | E::InvalidSchema(_)
            | E::InvalidPayload(_)
            | E::MessageSerialization(_)
            | E::InvalidBatch(_) => 422,
        }
    }

    /// The `error_code` of the body.
    pub fn code(&self) -> i32 {
        use RestError as E;
        match self {
            E::Http(status) | E::Plain { status, .. } => i32::from(*status),
            E::NullInput | E::Validation(_) => 422,
            E::TopicNotFound(_) => 40401,
            E::PartitionNotFound(_) => 40402,
            E::InstanceNotFound => 40403,
            E::LeaderNotAvailable => 40404,
            E::FormatMismatch => 40601,
            E::Serialization(_) => 40801,
            E::InstanceExists => 40902,
            E::IllegalState(_) => 40903,
            E::RecordTooLarge(_) => 413,
            E::KeySchemaMissing => 42201,
            E::ValueSchemaMissing => 42202,
            E::Conversion(_) => 42203,
            E::InvalidConsumerConfig(_) => 42204,
            E::ConsumerConfigConstraint(_) => 40001,
            E::InvalidSchema(_) => 42205,
            E::InvalidPayload(_) => 42206,
            E::MessageSerialization(_) => 42207,
            E::InvalidBatch(_) => 42208,
            E::Kafka { code, .. } => *code,
        }
    }
}

impl From<&KafkaError> for RestError {
    fn from(error: &KafkaError) -> RestError {
        let message = error.to_string();
        if let Some(ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge) = error.code() {
            return RestError::RecordTooLarge(message);
        }
        let (status, code) = match error {
            KafkaError::Authentication { .. } => (401, 40101),
            KafkaError::Unreachable { .. } | KafkaError::Connect { .. } => (503, 50302),
            KafkaError::UnsupportedVersion { .. } => (400, 40035),
            KafkaError::Config(_) => (400, 40002),
            KafkaError::IllegalState(_) => (409, 40903),
            KafkaError::Api { code, .. } => of_code(*code),
            KafkaError::Disconnected { .. } | KafkaError::Timeout { .. } => (500, 50003),
            KafkaError::Decode(_) | KafkaError::Encode(_) | KafkaError::Records(_) | KafkaError::TransactionAborted => {
                (500, 50002)
            }
        };
        RestError::Kafka { status, code, message }
    }
}

impl From<KafkaError> for RestError {
    fn from(error: KafkaError) -> RestError {
        RestError::from(&error)
    }
}

/// Status and code for what a broker answered.
fn of_code(code: ErrorCode) -> (u16, i32) {
    use ErrorCode as C;
    match code {
        C::SaslAuthenticationFailed | C::IllegalSaslState | C::UnsupportedSaslMechanism => (401, 40101),
        C::TopicAuthorizationFailed
        | C::GroupAuthorizationFailed
        | C::ClusterAuthorizationFailed
        | C::TransactionalIdAuthorizationFailed
        | C::DelegationTokenAuthorizationFailed => (403, 40301),
        C::BrokerNotAvailable => (503, 50302),
        C::UnknownTopicOrPartition | C::UnknownTopicId => (404, 40403),
        C::GroupIdNotFound => (404, 40405),
        C::UnsupportedVersion => (400, 40035),
        C::InvalidTopicException
        | C::InvalidReplicationFactor
        | C::InvalidReplicaAssignment
        | C::InvalidPartitions
        | C::InvalidConfig
        | C::InvalidRequest
        | C::InvalidGroupId
        | C::TopicAlreadyExists
        | C::NonEmptyGroup
        | C::PolicyViolation
        | C::SecurityDisabled
        | C::UnknownServerError => (400, 40002),
        C::ThrottlingQuotaExceeded => (429, 42901),
        code if code.is_retriable() => (500, 50003),
        _ => (500, 50002),
    }
}

fn topic_not_found(topic: Option<&str>) -> String {
    topic.map_or_else(|| "Topic not found.".to_owned(), |topic| format!("Topic {topic} not found"))
}

fn partition_not_found(partition: Option<i32>) -> String {
    partition.map_or_else(|| "Partition not found.".to_owned(), |partition| format!("Partition {partition} not found"))
}

/// The words of HTTP for a status.
pub fn reason(status: u16) -> &'static str {
    axum::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}
