//! DescribeShareGroupOffsets (key 90), versions 0-1 (KIP-932, KIP-1226).
//!
//! - a null list of topics asks for everything the group has state of
//! - v1 adds the lag: records above the start offset that still have to be dealt with
//! - a partition without state answers offset -1 and no error

use std::sync::Arc;

use milena_metadata::{AclOperation, ResourceType};
use milena_protocol::messages::describe_share_group_offsets_request::Group as RequestedGroup;
use milena_protocol::messages::describe_share_group_offsets_response::{Group, Partition, Topic};
use milena_protocol::messages::{DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::context::{Broker, RequestContext};
use crate::share::key::SharePartitionKey;
use crate::share::offsets;

/// Tells where share groups begin to read, and how much is left.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeShareGroupOffsetsRequest,
) -> DescribeShareGroupOffsetsResponse {
    let mut groups = Vec::with_capacity(request.groups.len());
    for group in request.groups {
        groups.push(describe(broker, context, group).await);
    }
    DescribeShareGroupOffsetsResponse { groups, ..DescribeShareGroupOffsetsResponse::default() }
}

async fn describe(broker: &Arc<Broker>, context: &RequestContext, requested: RequestedGroup) -> Group {
    if !broker.allows_group(context, AclOperation::Describe, &requested.group_id) {
        let code = ErrorCode::GroupAuthorizationFailed;
        return Group {
            group_id: requested.group_id,
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Group::default()
        };
    }
    let known = match broker.groups.share_topics(requested.group_id.clone()).await {
        Ok(known) => known,
        Err(refusal) => {
            return Group {
                group_id: requested.group_id,
                error_code: refusal.code.code(),
                error_message: Some(refusal.message),
                ..Group::default()
            };
        }
    };
    let wanted: Vec<(String, Vec<i32>)> = match requested.topics {
        Some(topics) => topics.into_iter().map(|topic| (topic.topic_name, topic.partitions)).collect(),
        None => known
            .into_iter()
            .filter(|topic| broker.may(context, AclOperation::Describe, ResourceType::Topic, &topic.name))
            .map(|topic| (topic.name, topic.partitions))
            .collect(),
    };
    let group: Arc<str> = requested.group_id.as_str().into();
    let mut topics = Vec::with_capacity(wanted.len());
    for (name, partitions) in wanted {
        if broker.allows_topic(context, AclOperation::Describe, &name) {
            topics.push(describe_topic(broker, &group, name, partitions).await);
        } else {
            topics.push(refused_topic(name, partitions, ErrorCode::TopicAuthorizationFailed));
        }
    }
    Group { group_id: requested.group_id, topics, ..Group::default() }
}

async fn describe_topic(broker: &Arc<Broker>, group: &Arc<str>, topic_name: String, partitions: Vec<i32>) -> Topic {
    let Some(topic_id) = broker.image().topic(&topic_name).map(|topic| topic.id) else {
        return refused_topic(topic_name, partitions, ErrorCode::UnknownTopicOrPartition);
    };
    let mut described = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let key = SharePartitionKey { group: group.clone(), topic_id, partition };
        described.push(describe_partition(broker, &key).await);
    }
    Topic { topic_name, topic_id, partitions: described }
}

fn refused_topic(topic_name: String, partitions: Vec<i32>, code: ErrorCode) -> Topic {
    let refused = partitions.into_iter().map(|partition_index| Partition {
        partition_index,
        error_code: code.code(),
        error_message: Some(code.message().to_owned()),
        start_offset: -1,
        lag: -1,
        ..Partition::default()
    });
    Topic { partitions: refused.collect(), topic_name, topic_id: Uuid::ZERO }
}

async fn describe_partition(broker: &Arc<Broker>, key: &SharePartitionKey) -> Partition {
    let answer = Partition { partition_index: key.partition, start_offset: -1, lag: -1, ..Partition::default() };
    match offsets::position(broker, key).await {
        Ok(Some(position)) => Partition {
            start_offset: position.start_offset,
            leader_epoch: position.leader_epoch,
            lag: position.lag,
            ..answer
        },
        Ok(None) => answer,
        Err(refused) => Partition { error_code: refused.code.code(), error_message: Some(refused.message), ..answer },
    }
}
