//! OffsetDelete (key 47), version 0 (KIP-496).
//!
//! Topics that a member still reads are refused with GROUP_SUBSCRIBED_TO_TOPIC; a partition without a commit is no error.

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::offset_delete_request as requested;
use milena_protocol::messages::offset_delete_response::{Partition, Topic};
use milena_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};

use crate::context::{Broker, RequestContext};

/// Deletes committed offsets.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    mut request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    if !broker.allows_group(context, AclOperation::Delete, &request.group_id) {
        let error_code = ErrorCode::GroupAuthorizationFailed.code();
        return OffsetDeleteResponse { error_code, ..OffsetDeleteResponse::default() };
    }
    let refused =
        broker.take_refused(&mut request.topics, |topic| broker.allows_topic(context, AclOperation::Read, &topic.name));
    let topics: Vec<(String, Vec<i32>)> = request
        .topics
        .into_iter()
        .map(|topic| (topic.name, topic.partitions.into_iter().map(|partition| partition.partition_index).collect()))
        .collect();
    let known: Vec<(String, Vec<i32>)> = topics.iter().map(|topic| existing(broker, topic)).collect();
    match broker.groups.delete_offsets(request.group_id, known).await {
        Ok(codes) => OffsetDeleteResponse {
            topics: topics
                .into_iter()
                .zip(codes)
                .map(|(topic, code)| answered(broker, topic, code))
                .chain(refused.into_iter().map(not_authorized))
                .collect(),
            ..OffsetDeleteResponse::default()
        },
        Err(code) => OffsetDeleteResponse { error_code: code.code(), ..OffsetDeleteResponse::default() },
    }
}

fn not_authorized(topic: requested::Topic) -> Topic {
    let partitions = topic.partitions.into_iter().map(|partition| Partition {
        partition_index: partition.partition_index,
        error_code: ErrorCode::TopicAuthorizationFailed.code(),
    });
    Topic { partitions: partitions.collect(), name: topic.name }
}

/// The partitions of a topic that exist.
fn existing(broker: &Arc<Broker>, (name, partitions): &(String, Vec<i32>)) -> (String, Vec<i32>) {
    let count = partition_count(broker, name);
    (name.clone(), partitions.iter().copied().filter(|partition| (0..count).contains(partition)).collect())
}

fn answered(broker: &Arc<Broker>, (name, partitions): (String, Vec<i32>), code: ErrorCode) -> Topic {
    let count = partition_count(broker, &name);
    let partitions = partitions.into_iter().map(|partition_index| {
        let exists = (0..count).contains(&partition_index);
        let code = if exists { code } else { ErrorCode::UnknownTopicOrPartition };
        Partition { partition_index, error_code: code.code() }
    });
    Topic { name, partitions: partitions.collect() }
}

fn partition_count(broker: &Arc<Broker>, name: &str) -> i32 {
    broker.groups.topics().topic(name).map_or(0, |topic| topic.partitions)
}
