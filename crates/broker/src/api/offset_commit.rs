//! OffsetCommit (key 8), versions 0-10.
//!
//! - v0 has no member and is stored like every other; v1 may carry a commit time; v2-4 a retention time
//! - v6 leader epoch (KIP-320); v7 static members; v9 member epochs (KIP-848); v10 topic ids
//! - answered when the offsets are written as durably as the broker is configured

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::messages::offset_commit_request as requested;
use milena_protocol::messages::offset_commit_response::{Partition, Topic};
use milena_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::context::{Broker, RequestContext};
use crate::group::shard_offsets::{CommitRequest, PartitionCommit};
use crate::group::{TopicView, TopicsView};

/// Stores how far a group has read.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let version = context.api_version;
    let mut response = OffsetCommitResponse::default();
    if !broker.allows_group(context, AclOperation::Read, &request.group_id) {
        response.topics = request.topics.into_iter().map(not_authorized).collect();
        return response;
    }
    let mut offsets = Vec::new();
    // Where in the response the codes of `offsets` go: topic and partition.
    let mut places = Vec::new();
    for topic in request.topics {
        let resolved = resolve(&topic, version, broker.groups.topics());
        let name = resolved.as_ref().map_or(topic.name.as_str(), |(name, _)| name.as_str());
        let refused = (!name.is_empty() || version < 10) && !broker.allows_topic(context, AclOperation::Read, name);
        let resolved = if refused { Err(ErrorCode::TopicAuthorizationFailed) } else { resolved };
        let mut answered = Topic { name: topic.name, topic_id: topic.topic_id, ..Topic::default() };
        for partition in topic.partitions {
            let partition_index = partition.partition_index;
            let code = match &resolved {
                Ok((name, view)) if (0..view.partitions).contains(&partition_index) => {
                    places.push((response.topics.len(), answered.partitions.len()));
                    offsets.push(partition_commit(name.clone(), view.id, partition, version));
                    ErrorCode::None
                }
                Ok(_) => ErrorCode::UnknownTopicOrPartition,
                Err(code) => *code,
            };
            answered.partitions.push(Partition { partition_index, error_code: code.code() });
        }
        response.topics.push(answered);
    }
    let commit = CommitRequest {
        group_id: request.group_id,
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation_id_or_member_epoch: if version == 0 { -1 } else { request.generation_id_or_member_epoch },
        retention_ms: (request.retention_time_ms >= 0).then_some(request.retention_time_ms),
        version,
        offsets,
    };
    let codes = match broker.groups.commit_offsets(commit).await {
        Ok(codes) => codes,
        Err(code) => vec![code; places.len()],
    };
    for ((topic, partition), code) in places.into_iter().zip(codes) {
        response.topics[topic].partitions[partition].error_code = code.code();
    }
    response
}

/// The answer to a client that may not read in the group.
fn not_authorized(topic: requested::Topic) -> Topic {
    let partitions = topic.partitions.into_iter().map(|partition| Partition {
        partition_index: partition.partition_index,
        error_code: ErrorCode::GroupAuthorizationFailed.code(),
    });
    Topic { partitions: partitions.collect(), name: topic.name, topic_id: topic.topic_id }
}

/// The name and the present state of a topic given by name or, from v10 on, by id.
fn resolve(topic: &requested::Topic, version: i16, topics: &dyn TopicsView) -> Result<(String, TopicView), ErrorCode> {
    let name = if version >= 10 {
        topics.topic_name(&topic.topic_id).ok_or(ErrorCode::UnknownTopicId)?
    } else {
        topic.name.clone()
    };
    let view = topics.topic(&name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    Ok((name, view))
}

fn partition_commit(topic: String, topic_id: Uuid, partition: requested::Partition, version: i16) -> PartitionCommit {
    PartitionCommit {
        topic,
        topic_id,
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.unwrap_or_default(),
        commit_timestamp: Some(partition.commit_timestamp).filter(|timestamp| version == 1 && *timestamp >= 0),
    }
}
