//! AlterPartitionReassignments (key 45), versions 0-1 (KIP-455).
//!
//! - one broker: the only assignment there can be is the one there is, so nothing ever moves
//! - null replicas cancel a reassignment, of which there is none: NO_REASSIGNMENT_IN_PROGRESS
//! - moves between log directories of this broker are AlterReplicaLogDirs

use std::collections::HashSet;
use std::sync::Arc;

use milena_metadata::{AclOperation, ClusterImage, TopicImage};
use milena_protocol::ErrorCode;
use milena_protocol::messages::alter_partition_reassignments_request::Partition as Asked;
use milena_protocol::messages::alter_partition_reassignments_response::{Partition, Response};
use milena_protocol::messages::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};

use crate::context::{Broker, RequestContext};

/// Judges each assignment asked for.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    if !broker.allows_cluster(context, AclOperation::Alter) {
        let error_code = ErrorCode::ClusterAuthorizationFailed.code();
        return AlterPartitionReassignmentsResponse { error_code, ..Default::default() };
    }
    let image = broker.image();
    let responses = request.topics.into_iter().map(|topic| {
        let known = image.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|asked| {
            let (code, error_message) = match judge(&image, known, &topic.name, asked) {
                Ok(()) => (ErrorCode::None, None),
                Err((code, message)) => (code, Some(message)),
            };
            Partition { partition_index: asked.partition_index, error_code: code.code(), error_message }
        });
        Response { partitions: partitions.collect(), name: topic.name }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        responses: responses.collect(),
        ..Default::default()
    }
}

fn judge(
    image: &ClusterImage,
    topic: Option<&Arc<TopicImage>>,
    name: &str,
    asked: &Asked,
) -> Result<(), (ErrorCode, String)> {
    let unknown = |message: String| (ErrorCode::UnknownTopicOrPartition, message);
    let topic = topic.ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let index = asked.partition_index;
    let exists = usize::try_from(index).is_ok_and(|index| index < topic.partitions.len());
    if !exists {
        return Err(unknown(format!("Unable to find partition {name}:{index}.")));
    }
    let Some(replicas) = &asked.replicas else {
        let message = "No partition reassignment is in progress.".to_owned();
        return Err((ErrorCode::NoReassignmentInProgress, message));
    };
    check_assignment(image, replicas).map_err(|message| (ErrorCode::InvalidReplicaAssignment, message))
}

fn check_assignment(image: &ClusterImage, replicas: &[i32]) -> Result<(), String> {
    let assignment = "The manual partition assignment includes";
    if replicas.is_empty() {
        return Err(format!("{assignment} an empty replica list."));
    }
    let mut sorted = replicas.to_vec();
    sorted.sort_unstable();
    if let Some(unknown) = sorted.iter().find(|id| **id != image.node_id) {
        return Err(format!("{assignment} broker {unknown}, but no such broker is registered."));
    }
    let mut seen = HashSet::new();
    match sorted.iter().find(|id| !seen.insert(**id)) {
        Some(twice) => Err(format!("{assignment} the broker {twice} more than once.")),
        None => Ok(()),
    }
}
