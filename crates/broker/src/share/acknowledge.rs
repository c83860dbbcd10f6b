//! Acknowledgements, alone (ShareAcknowledge) or on the back of a fetch.

use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::key::SharePartitionKey;
use super::session::TopicPartition;
use super::settings::ShareSettings;
use super::window::{AckBatch, AckType};
use crate::context::Broker;

/// What one partition is told by a member, or why that makes no sense.
pub struct PartitionAcks {
    /// The partition.
    pub partition: TopicPartition,
    /// The acknowledgements.
    pub batches: Result<Vec<AckBatch>, ErrorCode>,
}

/// Reads the batches of one partition as they stand in a request: first and last offset and the type codes.
///
/// # Errors
/// INVALID_REQUEST: ranges that overlap or are out of order, unknown types, or a number of types that does not fit.
pub fn parse<'a>(
    batches: impl Iterator<Item = (i64, i64, &'a [i8])>,
    renewals: bool,
) -> Result<Vec<AckBatch>, ErrorCode> {
    let mut parsed: Vec<AckBatch> = Vec::new();
    for (first_offset, last_offset, codes) in batches {
        let is_ordered = parsed.last().is_none_or(|previous| first_offset > previous.last_offset);
        let length = last_offset.checked_sub(first_offset).and_then(|length| length.checked_add(1)).unwrap_or(0);
        let fits = codes.len() == 1 || usize::try_from(length) == Ok(codes.len());
        if first_offset < 0 || first_offset > last_offset || !is_ordered || !fits {
            return Err(ErrorCode::InvalidRequest);
        }
        let types: Option<Vec<AckType>> = codes.iter().map(|code| AckType::from_code(*code)).collect();
        let types = types.filter(|types| renewals || !types.contains(&AckType::Renew));
        parsed.push(AckBatch { first_offset, last_offset, types: types.ok_or(ErrorCode::InvalidRequest)? });
    }
    Ok(parsed)
}

/// Applies the acknowledgements of `member` and waits until they are on disk; one code for each partition, in order.
pub(crate) async fn apply(
    broker: &Arc<Broker>,
    group: &Arc<str>,
    member: &str,
    settings: &ShareSettings,
    acks: &[PartitionAcks],
) -> Vec<ErrorCode> {
    let now_ms = broker.share.now_ms();
    let applied: Vec<_> = acks.iter().map(|acks| apply_one(broker, group, member, settings, acks, now_ms)).collect();
    let mut codes = Vec::with_capacity(applied.len());
    for written in applied {
        codes.push(match written {
            Ok(None) => ErrorCode::None,
            Ok(Some(written)) => {
                written.durable().await.err().map_or(ErrorCode::None, |_| ErrorCode::NotLeaderOrFollower)
            }
            Err(code) => code,
        });
    }
    codes
}

fn apply_one(
    broker: &Arc<Broker>,
    group: &Arc<str>,
    member: &str,
    settings: &ShareSettings,
    acks: &PartitionAcks,
    now_ms: i64,
) -> Result<Option<super::coordinator::Written>, ErrorCode> {
    let batches = acks.batches.as_ref().map_err(|code| *code)?;
    let (topic_id, partition) = acks.partition;
    let topic = broker.partitions.topic_by_id(&topic_id).ok_or(ErrorCode::UnknownTopicId)?;
    topic.partition(partition)?;
    let key = SharePartitionKey { group: group.clone(), topic_id, partition };
    // Whoever acknowledges has fetched: a share partition that is not in use has no locks.
    let Some(partition) = broker.share.ready(&key) else { return Err(ErrorCode::InvalidRecordState) };
    partition.acknowledge(member, batches, settings, now_ms)
}
