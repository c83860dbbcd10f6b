//! OffsetForLeaderEpoch (key 23), versions 0-4.
//!
//! - answers the largest known epoch not above the one asked for, and where it ended; the current epoch ends at the log end
//! - the raw end offset is answered, not capped at the high watermark

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::offset_for_leader_epoch_request::Partition as PartitionQuery;
use milena_protocol::messages::offset_for_leader_epoch_response::{
    Partition as PartitionResponse, Topic as TopicResponse,
};
use milena_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use crate::context::{Broker, RequestContext};
use crate::partition::TopicPartitions;

/// Tells where leader epochs ended.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let allowed = broker.allows_topic(context, AclOperation::Describe, &topic.topic);
        let found = broker.partitions.topic(&topic.topic);
        let partitions = topic.partitions.iter().map(|query| {
            let unknown = PartitionResponse {
                partition: query.partition,
                leader_epoch: -1,
                end_offset: -1,
                ..Default::default()
            };
            let answer =
                if allowed { end_offset(found.as_deref(), query) } else { Err(ErrorCode::TopicAuthorizationFailed) };
            match answer {
                Ok((leader_epoch, end_offset)) => PartitionResponse { leader_epoch, end_offset, ..unknown },
                Err(code) => PartitionResponse { error_code: code.code(), ..unknown },
            }
        });
        TopicResponse { partitions: partitions.collect(), topic: topic.topic }
    });
    OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }
}

fn end_offset(topic: Option<&TopicPartitions>, query: &PartitionQuery) -> Result<(i32, i64), ErrorCode> {
    let partition = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?.partition(query.partition)?;
    partition.check_leader_epoch(query.current_leader_epoch)?;
    Ok(partition.log().end_offset_for_epoch(query.leader_epoch))
}
