//! What StreamsGroupHeartbeat may say, checked before any group is looked at, and the status codes of its answer.

use milena_protocol::ErrorCode;
use milena_protocol::messages::StreamsGroupHeartbeatRequest;

use crate::group::consumer::Refusal;

/// The member's topology is older than the group's.
pub const STALE_TOPOLOGY: i8 = 0;
/// A topic of the user does not exist.
pub const MISSING_SOURCE_TOPICS: i8 = 1;
/// Topics do not have the number of partitions that the topology needs.
pub const INCORRECTLY_PARTITIONED_TOPICS: i8 = 2;
/// An internal topic does not exist yet.
pub const MISSING_INTERNAL_TOPICS: i8 = 3;
/// A member asked every other one to stop.
pub const SHUTDOWN_APPLICATION: i8 = 4;
/// The assignment waits for more members, or for its interval.
pub const ASSIGNMENT_DELAYED: i8 = 5;

/// Checks the fields of a heartbeat.
///
/// # Errors
/// INVALID_REQUEST, STREAMS_INVALID_TOPOLOGY.
pub fn check_request(request: &StreamsGroupHeartbeatRequest) -> Result<(), Refusal> {
    check_features(request)?;
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if request.member_id.trim().is_empty() {
        return invalid("MemberId can't be empty.");
    }
    if request.group_id.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if request.rack_id.as_ref().is_some_and(|rack| rack.trim().is_empty()) {
        return invalid("RackId can't be empty.");
    }
    match request.member_epoch {
        0 => check_join(request)?,
        -2 => return invalid("InstanceId can't be null."),
        epoch if epoch < -2 => {
            return invalid(&format!("MemberEpoch is {epoch}, but must be greater than or equal to -2."));
        }
        _ => {}
    }
    let told = [&request.active_tasks, &request.standby_tasks, &request.warmup_tasks];
    if told.iter().any(|tasks| tasks.is_some()) && told.iter().any(|tasks| tasks.is_none()) {
        return invalid("If one task-type is non-null, all must be non-null.");
    }
    if request.member_epoch != 0 && request.topology.is_some() {
        return invalid("Topology can only be provided when (re-)joining.");
    }
    Ok(())
}

/// What Kafka 4.3 does not do either.
fn check_features(request: &StreamsGroupHeartbeatRequest) -> Result<(), Refusal> {
    let unsupported = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if request.instance_id.is_some() {
        return unsupported("Static membership is not yet supported.");
    }
    if request.warmup_tasks.as_ref().is_some_and(|tasks| !tasks.is_empty()) {
        return unsupported("WarmupTasks are not supported yet.");
    }
    let subtopologies = request.topology.iter().flat_map(|topology| &topology.subtopologies);
    if subtopologies.clone().any(|subtopology| !subtopology.source_topic_regex.is_empty()) {
        return unsupported("Regular expressions for source topics are not supported yet.");
    }
    Ok(())
}

fn check_join(request: &StreamsGroupHeartbeatRequest) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if request.rebalance_timeout_ms == -1 {
        return invalid("RebalanceTimeoutMs must be provided in first request.");
    }
    for (name, tasks) in [
        ("ActiveTasks", &request.active_tasks),
        ("StandbyTasks", &request.standby_tasks),
        ("WarmupTasks", &request.warmup_tasks),
    ] {
        if tasks.as_ref().is_none_or(|tasks| !tasks.is_empty()) {
            return invalid(&format!("{name} must be empty when (re-)joining."));
        }
    }
    let Some(topology) = &request.topology else {
        return invalid("Topology must be non-null when (re-)joining.");
    };
    let changelogs = topology.subtopologies.iter().flat_map(|subtopology| &subtopology.state_changelog_topics);
    for changelog in changelogs {
        if changelog.partitions != 0 {
            let message = format!(
                "Changelog topic {} must have an undefined partition count, but it is set to {}.",
                changelog.name, changelog.partitions
            );
            return Err(Refusal::new(ErrorCode::StreamsInvalidTopology, message));
        }
    }
    Ok(())
}
