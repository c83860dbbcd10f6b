//! OffsetFetch (key 9), versions 0-10.
//!
//! - v2 a null topic list asks for everything, and errors move to the top; v5 leader epoch; v7 `require_stable` (KIP-447): a
//!   partition with an offset pending in an open transaction answers UNSTABLE_OFFSET_COMMIT
//! - v8 many groups in one request (KIP-709); v9 member epochs (KIP-848); v10 topic ids
//! - a partition without a commit answers offset -1 and no error

use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_protocol::ErrorCode;
use milena_protocol::messages::offset_fetch_request as requested;
use milena_protocol::messages::offset_fetch_response::{Group, GroupTopic, GroupTopicPartition, Partition, Topic};
use milena_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};

use crate::context::{Broker, RequestContext};
use crate::group::shard_offsets::{FetchRequest, FetchedOffset, FetchedOffsets};

/// Tells how far groups have read.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if context.api_version < 8 {
        return single_group(broker, context, request).await;
    }
    let require_stable = request.require_stable;
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        groups.push(one_of_many(broker, context, group, require_stable).await);
    }
    OffsetFetchResponse { groups, ..OffsetFetchResponse::default() }
}

async fn single_group(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let version = context.api_version;
    let mut topics: Option<Vec<_>> =
        request.topics.map(|topics| topics.into_iter().map(|topic| (topic.name, topic.partition_indexes)).collect());
    if !broker.allows_group(context, AclOperation::Describe, &request.group_id) {
        let code = ErrorCode::GroupAuthorizationFailed;
        let topics = topics.unwrap_or_default();
        let error_code = if version >= 2 { code.code() } else { 0 };
        let topics = topics.into_iter().map(|(name, partitions)| refused_topic(name, partitions, code)).collect();
        return OffsetFetchResponse { error_code, topics, ..OffsetFetchResponse::default() };
    }
    let refused = take_refused_topics(broker, context, topics.as_mut());
    let refused = refused.into_iter().map(|(name, p)| refused_topic(name, p, ErrorCode::TopicAuthorizationFailed));
    let fetch = FetchRequest {
        group_id: request.group_id,
        member: None,
        topics: topics.clone(),
        require_stable: request.require_stable,
    };
    match broker.groups.fetch_offsets(fetch).await {
        Ok(offsets) => OffsetFetchResponse {
            topics: offsets
                .into_iter()
                .filter(|(name, _)| may_see(broker, context, name))
                .map(|(name, offsets)| single_topic(name, offsets))
                .chain(refused)
                .collect(),
            ..OffsetFetchResponse::default()
        },
        Err(code) if version >= 2 => OffsetFetchResponse { error_code: code.code(), ..OffsetFetchResponse::default() },
        // Versions 0 and 1 have no other place for the code than the partitions.
        Err(code) => OffsetFetchResponse {
            topics: topics.unwrap_or_default().into_iter().map(|(name, p)| refused_topic(name, p, code)).collect(),
            ..OffsetFetchResponse::default()
        },
    }
}

fn single_topic(name: String, offsets: Vec<(i32, FetchedOffset)>) -> Topic {
    let partitions = offsets.into_iter().map(|(partition_index, offset)| {
        let found = fetched(partition_index, offset);
        Partition {
            partition_index,
            committed_offset: found.committed_offset,
            committed_leader_epoch: found.committed_leader_epoch,
            metadata: found.metadata,
            error_code: found.error_code,
        }
    });
    Topic { name, partitions: partitions.collect() }
}

fn refused_topic(name: String, partitions: Vec<i32>, code: ErrorCode) -> Topic {
    let partitions = partitions.into_iter().map(|partition_index| Partition {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(String::new()),
        error_code: code.code(),
    });
    Topic { name, partitions: partitions.collect() }
}

/// Takes out what was asked for by a name that the client must not know.
fn take_refused_topics(
    broker: &Broker,
    context: &RequestContext,
    topics: Option<&mut Vec<(String, Vec<i32>)>>,
) -> Vec<(String, Vec<i32>)> {
    let allowed = |(name, _): &(String, Vec<i32>)| broker.allows_topic(context, AclOperation::Describe, name);
    topics.map(|topics| broker.take_refused(topics, allowed)).unwrap_or_default()
}

/// Whether a topic is shown to a client that asked for everything.
fn may_see(broker: &Broker, context: &RequestContext, topic: &str) -> bool {
    broker.may(context, AclOperation::Describe, ResourceType::Topic, topic)
}

async fn one_of_many(
    broker: &Arc<Broker>,
    context: &RequestContext,
    group: requested::Group,
    require_stable: bool,
) -> Group {
    let version = context.api_version;
    let group_id = group.group_id;
    if !broker.allows_group(context, AclOperation::Describe, &group_id) {
        return Group { group_id, topics: Vec::new(), error_code: ErrorCode::GroupAuthorizationFailed.code() };
    }
    let mut unknown = Vec::new();
    let topics = group.topics.map(|topics| {
        let mut named = Vec::with_capacity(topics.len());
        for topic in topics {
            match topic_name(broker, version, &topic) {
                Some(name) if !broker.allows_topic(context, AclOperation::Describe, &name) => {
                    unknown.push(refused_group_topic(&topic, ErrorCode::TopicAuthorizationFailed));
                }
                Some(name) => named.push((name, topic.partition_indexes)),
                None => unknown.push(refused_group_topic(&topic, ErrorCode::UnknownTopicId)),
            }
        }
        named
    });
    let member = group.member_id.map(|member_id| (member_id, group.member_epoch));
    let fetch = FetchRequest { group_id: group_id.clone(), member, topics, require_stable };
    match broker.groups.fetch_offsets(fetch).await {
        Ok(offsets) => {
            let offsets = offsets.into_iter().filter(|(name, _)| may_see(broker, context, name)).collect();
            let mut topics = answered_topics(broker, version, offsets);
            topics.extend(unknown);
            Group { group_id, topics, error_code: 0 }
        }
        Err(code) => Group { group_id, topics: Vec::new(), error_code: code.code() },
    }
}

fn topic_name(broker: &Arc<Broker>, version: i16, topic: &requested::GroupTopic) -> Option<String> {
    if version >= 10 { broker.groups.topics().topic_name(&topic.topic_id) } else { Some(topic.name.clone()) }
}

/// Topics of an answer; from v10 on by id, and without those that have none any more.
fn answered_topics(broker: &Arc<Broker>, version: i16, offsets: FetchedOffsets) -> Vec<GroupTopic> {
    let topics = offsets.into_iter().filter_map(|(name, offsets)| {
        let topic = broker.groups.topics().topic(&name);
        if version >= 10 && topic.is_none() {
            return None;
        }
        Some(GroupTopic {
            topic_id: topic.map(|topic| topic.id).unwrap_or_default(),
            name,
            partitions: offsets.into_iter().map(|(partition, offset)| fetched(partition, offset)).collect(),
        })
    });
    topics.collect()
}

fn refused_group_topic(topic: &requested::GroupTopic, code: ErrorCode) -> GroupTopic {
    let partitions = topic
        .partition_indexes
        .iter()
        .map(|partition| GroupTopicPartition { error_code: code.code(), ..fetched(*partition, Ok(None)) });
    GroupTopic { name: topic.name.clone(), topic_id: topic.topic_id, partitions: partitions.collect() }
}

fn fetched(partition_index: i32, offset: FetchedOffset) -> GroupTopicPartition {
    let (offset, code) = offset.map_or_else(|code| (None, code), |offset| (offset, ErrorCode::None));
    let (committed_offset, committed_leader_epoch, metadata) =
        offset.map_or((-1, -1, String::new()), |offset| (offset.offset, offset.leader_epoch, offset.metadata));
    GroupTopicPartition {
        partition_index,
        committed_offset,
        committed_leader_epoch,
        metadata: Some(metadata),
        error_code: code.code(),
    }
}
