//! ListOffsets (key 2), versions 0-11.
//!
//! - v0 answers with segment base offsets, newest first; v1 with one offset and its timestamp; v4 adds leader epochs
//! - `read_committed` answers "latest" with the last stable offset, not the high watermark
//! - a timestamp look-up considers every record; what lies beyond the client's frontier is answered as unknown (-1, -1)
//! - without tiered storage the earliest local offset is the log start, and nothing is tiered or pending upload (-1)

use std::sync::Arc;

use milena_log::{FoundTimestamp, Log, ReadError};
use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::list_offsets_request::{Partition as PartitionQuery, Topic as TopicQuery};
use milena_protocol::messages::list_offsets_response::{Partition as PartitionResponse, Topic as TopicResponse};
use milena_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::context::{Broker, RequestContext};
use crate::error_code;
use crate::partition::{Partition, TopicPartitions};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// The version from which a special timestamp means something, `None` when it never does.
fn understood_since(timestamp: i64) -> Option<i16> {
    match timestamp {
        0.. | LATEST | EARLIEST => Some(0),
        MAX_TIMESTAMP => Some(7),
        EARLIEST_LOCAL => Some(8),
        LATEST_TIERED => Some(9),
        EARLIEST_PENDING_UPLOAD => Some(11),
        _ => None,
    }
}

const UNKNOWN: FoundTimestamp = FoundTimestamp { timestamp: -1, offset: -1, leader_epoch: -1 };

/// Looks up offsets by timestamp or by name ("earliest", "latest", ...).
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let query = Query { version: context.api_version, read_committed: request.isolation_level == 1 };
    let topics = request.topics.into_iter().map(|topic| query.topic(broker, context, topic)).collect();
    ListOffsetsResponse { topics, ..Default::default() }
}

/// What holds for every partition of one request.
struct Query {
    version: i16,
    read_committed: bool,
}

impl Query {
    fn topic(&self, broker: &Broker, context: &RequestContext, topic: TopicQuery) -> TopicResponse {
        let allowed = broker.allows_topic(context, AclOperation::Describe, &topic.name);
        let found = broker.partitions.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|query| {
            let answer = if allowed {
                self.partition(found.as_deref(), query)
            } else {
                Err(ErrorCode::TopicAuthorizationFailed)
            };
            answer.unwrap_or_else(|code| PartitionResponse {
                partition_index: query.partition_index,
                error_code: code.code(),
                ..Default::default()
            })
        });
        TopicResponse { partitions: partitions.collect(), name: topic.name }
    }

    fn partition(
        &self,
        topic: Option<&TopicPartitions>,
        query: &PartitionQuery,
    ) -> Result<PartitionResponse, ErrorCode> {
        let partition = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?.partition(query.partition_index)?;
        partition.check_leader_epoch(query.current_leader_epoch)?;
        if understood_since(query.timestamp).is_none_or(|since| self.version < since) {
            return Err(ErrorCode::UnsupportedVersion);
        }
        let mut response = PartitionResponse { partition_index: query.partition_index, ..Default::default() };
        if self.version == 0 {
            let max = usize::try_from(query.max_num_offsets).unwrap_or(0);
            let offsets = partition.log().legacy_offsets_before(query.timestamp, max);
            response.old_style_offsets = offsets.map_err(|error| error_code::of_read(&error))?;
            return Ok(response);
        }
        let found = self.find(&partition, query.timestamp)?;
        response.timestamp = found.timestamp;
        response.offset = found.offset;
        response.leader_epoch = found.leader_epoch;
        Ok(response)
    }

    fn find(&self, partition: &Partition, timestamp: i64) -> Result<FoundTimestamp, ErrorCode> {
        let log = partition.log();
        match timestamp {
            LATEST => {
                let leader_epoch = partition.leader_epoch();
                Ok(FoundTimestamp { timestamp: -1, offset: self.frontier(log), leader_epoch })
            }
            EARLIEST | EARLIEST_LOCAL => {
                let offset = log.log_start_offset();
                Ok(FoundTimestamp { timestamp: -1, offset, leader_epoch: leader_epoch_at(log, offset) })
            }
            MAX_TIMESTAMP => self.visible(log, log.max_timestamp_offset()),
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(UNKNOWN),
            _ => self.visible(log, log.offset_for_timestamp(timestamp)),
        }
    }

    /// Hides what the client could not fetch yet.
    fn visible(
        &self,
        log: &Log,
        found: Result<Option<FoundTimestamp>, ReadError>,
    ) -> Result<FoundTimestamp, ErrorCode> {
        let found = found.map_err(|error| error_code::of_read(&error))?;
        Ok(found.filter(|found| found.offset < self.frontier(log)).unwrap_or(UNKNOWN))
    }

    fn frontier(&self, log: &Log) -> i64 {
        if self.read_committed { log.last_stable_offset() } else { log.high_watermark() }
    }
}

/// The leader epoch in which `offset` was written, -1 when the log does not know.
fn leader_epoch_at(log: &Log, offset: i64) -> i32 {
    let epochs = log.leader_epochs();
    epochs.iter().rfind(|entry| entry.start_offset <= offset).map_or(-1, |entry| entry.leader_epoch)
}
