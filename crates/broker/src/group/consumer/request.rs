//! What ConsumerGroupHeartbeat may say, checked before any group is looked at.

use milena_protocol::ErrorCode;
use milena_protocol::messages::ConsumerGroupHeartbeatRequest;

use crate::group::assignor::ServerAssignor;
use crate::group::config::GroupConfig;

/// The member epoch of a member that leaves.
pub const LEAVE_EPOCH: i32 = -1;
/// The member epoch of a static member that leaves for a moment.
pub const STATIC_LEAVE_EPOCH: i32 = -2;

/// Why a heartbeat is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the response.
    pub code: ErrorCode,
    /// The message beside it.
    pub message: String,
}

impl Refusal {
    /// A refusal with a message of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Refusal::new(code, code.message())
    }
}

/// Checks the fields of a heartbeat of `version`.
///
/// # Errors
/// INVALID_REQUEST, UNSUPPORTED_ASSIGNOR.
pub fn check_request(
    request: &ConsumerGroupHeartbeatRequest,
    version: i16,
    config: &GroupConfig,
) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let is_blank = |field: &Option<String>| field.as_ref().is_some_and(|text| text.trim().is_empty());
    if request.group_id.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if is_blank(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if is_blank(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    if request.member_id.trim().is_empty() && (version >= 1 || request.member_epoch != 0) {
        return invalid("MemberId can't be empty.");
    }
    match request.member_epoch {
        0 => check_join(request)?,
        STATIC_LEAVE_EPOCH if request.instance_id.is_none() => return invalid("InstanceId can't be null."),
        epoch if epoch < STATIC_LEAVE_EPOCH => {
            return invalid(&format!("MemberEpoch is {epoch}, but must be greater than or equal to -2."));
        }
        _ => {}
    }
    check_assignor(request, config)
}

fn check_join(request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if request.rebalance_timeout_ms == -1 {
        return invalid("RebalanceTimeoutMs must be provided in first request.");
    }
    if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
        return invalid("TopicPartitions must be empty when (re-)joining.");
    }
    if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
        return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
    }
    Ok(())
}

fn check_assignor(request: &ConsumerGroupHeartbeatRequest, config: &GroupConfig) -> Result<(), Refusal> {
    let Some(name) = &request.server_assignor else { return Ok(()) };
    let known = ServerAssignor::from_name(name).is_some_and(|assignor| config.consumer_assignors.contains(&assignor));
    if known {
        return Ok(());
    }
    let supported: Vec<&str> = config.consumer_assignors.iter().map(|assignor| assignor.name()).collect();
    Err(Refusal::new(
        ErrorCode::UnsupportedAssignor,
        format!("ServerAssignor {name} is not supported. Supported assignors: {}.", supported.join(", ")),
    ))
}
