//! DeleteRecords (key 21), versions 0-2.
//!
//! - moves the log start offset up to the offset asked for, -1 meaning the high watermark; it never moves back
//! - answers the new low watermark; a partition that fails answers -1 and an error code
//! - compacted topics without the policy `delete` refuse (POLICY_VIOLATION)

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::delete_records_request::Partition as PartitionDeletion;
use milena_protocol::messages::delete_records_response::{Partition as PartitionResponse, Topic as TopicResponse};
use milena_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::context::{Broker, RequestContext};
use crate::error_code;
use crate::partition::TopicPartitions;

/// Deletes records below an offset.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let allowed = broker.allows_topic(context, AclOperation::Delete, &topic.name);
        let found = broker.partitions.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|deletion| {
            let index = deletion.partition_index;
            let answer =
                if allowed { delete(found.as_deref(), deletion) } else { Err(ErrorCode::TopicAuthorizationFailed) };
            match answer {
                Ok(low_watermark) => PartitionResponse { partition_index: index, low_watermark, ..Default::default() },
                Err(code) => PartitionResponse { partition_index: index, low_watermark: -1, error_code: code.code() },
            }
        });
        TopicResponse { partitions: partitions.collect(), name: topic.name }
    });
    DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }
}

fn delete(topic: Option<&TopicPartitions>, deletion: &PartitionDeletion) -> Result<i64, ErrorCode> {
    let partition = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?.partition(deletion.partition_index)?;
    let low_watermark = partition.log().delete_records(deletion.offset);
    partition.wake_all();
    low_watermark.map_err(|error| error_code::of_delete_records(&error))
}
