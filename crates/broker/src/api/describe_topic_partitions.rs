//! DescribeTopicPartitions (key 75), version 0 (KIP-966).
//!
//! - topics come sorted by name, in pages of partitions: `ResponsePartitionLimit`, at most
//!   `max.request.partition.size.limit`, and a cursor that says where the next page begins
//! - an empty list of topics means all of them
//! - one replica a partition: the lists of eligible leader replicas are always empty

use std::collections::BTreeSet;
use std::sync::Arc;

use milena_metadata::acl::{AclOperation, ResourceType};
use milena_metadata::{ClusterImage, PartitionImage, TopicImage};
use milena_protocol::messages::describe_topic_partitions_request::Cursor;
use milena_protocol::messages::describe_topic_partitions_response::{NextCursor, Partition, Topic};
use milena_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use milena_protocol::{ErrorCode, Uuid};

use crate::authorized_operations::AuthorizedOperations;
use crate::context::{Broker, RequestContext};

/// Describes the partitions of topics, one page of them.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = broker.image();
    let most = broker.config.max_request_partition_size_limit.max(1);
    let limit = request.response_partition_limit.clamp(1, most) as usize;
    let mut names = names_from(&image, &request);
    let refused = take_refused(broker, context, &mut names, request.topics.is_empty());
    let mut response = page(&image, &names, request.cursor.as_ref(), limit);
    let operations = AuthorizedOperations::new(broker, context, true);
    for topic in &mut response.topics {
        topic.topic_authorized_operations = operations.of_topic(topic.name.as_deref().unwrap_or_default());
    }
    response.topics.extend(refused);
    response
}

/// Takes out what the client must not know: silently when it asked for all, and else to be answered with an error.
fn take_refused(broker: &Broker, context: &RequestContext, names: &mut BTreeSet<String>, all: bool) -> Vec<Topic> {
    if !broker.authorizer.is_enabled() {
        return Vec::new();
    }
    let mut refused = Vec::new();
    names.retain(|name| {
        if all {
            return broker.may(context, AclOperation::Describe, ResourceType::Topic, name);
        }
        let allowed = broker.allows_topic(context, AclOperation::Describe, name);
        if !allowed {
            let error_code = ErrorCode::TopicAuthorizationFailed.code();
            refused.push(Topic { error_code, name: Some(name.clone()), topic_id: Uuid::ZERO, ..Default::default() });
        }
        allowed
    });
    refused
}

/// The topics to describe, sorted, without those before the cursor.
fn names_from(image: &ClusterImage, request: &DescribeTopicPartitionsRequest) -> BTreeSet<String> {
    let first = request.cursor.as_ref().map_or("", |cursor| cursor.topic_name.as_str());
    let mut names: BTreeSet<String> = if request.topics.is_empty() {
        image.topics().map(|topic| topic.name.clone()).collect()
    } else {
        request.topics.iter().map(|topic| topic.name.clone()).collect()
    };
    names.split_off(first)
}

fn page(
    image: &ClusterImage,
    names: &BTreeSet<String>,
    cursor: Option<&Cursor>,
    limit: usize,
) -> DescribeTopicPartitionsResponse {
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut room = limit;
    for name in names {
        let first =
            cursor.filter(|cursor| cursor.topic_name == *name).map_or(0, |cursor| cursor.partition_index.max(0));
        if room == 0 {
            response.next_cursor = Some(NextCursor { topic_name: name.clone(), partition_index: first });
            break;
        }
        let Some(topic) = image.topic(name) else {
            response.topics.push(unknown(name));
            continue;
        };
        let described = describe(topic, first as usize, room);
        room -= described.partitions.len();
        let next = first as usize + described.partitions.len();
        response.topics.push(described);
        if next < topic.partitions.len() {
            response.next_cursor = Some(NextCursor { topic_name: name.clone(), partition_index: next as i32 });
            break;
        }
    }
    response
}

fn describe(topic: &TopicImage, first: usize, room: usize) -> Topic {
    let partitions = topic.partitions.iter().enumerate().skip(first).take(room);
    Topic {
        name: Some(topic.name.clone()),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions: partitions.map(|(index, partition)| describe_partition(index, partition)).collect(),
        ..Default::default()
    }
}

fn describe_partition(index: usize, partition: &PartitionImage) -> Partition {
    Partition {
        partition_index: index as i32,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replicas.clone(),
        isr_nodes: partition.replicas.clone(),
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    }
}

fn unknown(name: &str) -> Topic {
    let code = match milena_metadata::topic_name::validate(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    Topic { error_code: code.code(), name: Some(name.to_owned()), topic_id: Uuid::ZERO, ..Default::default() }
}
