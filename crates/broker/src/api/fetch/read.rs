//! One round over the partitions of a fetch: what is there now, and whether that is enough to answer.
//!
//! Where in a file an offset is takes an index and a few batch headers. They are nearly always in the page cache, so a round is made in
//! place; when one is not, the whole round is made again on the blocking pool.

use std::sync::Arc;

use milena_log::{CompressionType, FetchData, Log, ReadError, ReadLimit};
use milena_metadata::acl::AclOperation;
use milena_protocol::compression::Compression;
use milena_protocol::messages::FetchRequest;
use milena_protocol::messages::fetch_response::{AbortedTransaction, DivergingEpoch, Partition as PartitionResponse};
use milena_protocol::{ErrorCode, Records};

use super::refused;
use crate::context::{Broker, RequestContext};
use crate::error_code;
use crate::fetch_session::{PartitionFetch, PartitionKey, TopicKey};
use crate::partition::Partition;

/// First version with a limit for the whole response.
const RESPONSE_LIMIT_SINCE: i16 = 3;
/// First version whose clients know zstd (KIP-110).
const ZSTD_SINCE: i16 = 10;

/// What applies to every partition of one request.
#[derive(Clone)]
pub(super) struct Limits {
    /// Bytes of records in the whole response.
    pub(super) max_bytes: i32,
    pub(super) upto: ReadLimit,
    version: i16,
    /// For each partition of the fetch whether the client may not read it; empty when it may read all.
    refused: Vec<bool>,
}

impl Limits {
    pub(super) fn of(request: &FetchRequest, version: i16, broker_max_bytes: usize, refused: Vec<bool>) -> Limits {
        let upto = match request.isolation_level {
            1 => ReadLimit::LastStable,
            _ => ReadLimit::HighWatermark,
        };
        let broker_max_bytes = i32::try_from(broker_max_bytes).unwrap_or(i32::MAX);
        let max_bytes = if version < RESPONSE_LIMIT_SINCE { i32::MAX } else { request.max_bytes.min(broker_max_bytes) };
        Limits { max_bytes, upto, version, refused }
    }

    fn frontier(&self, log: &Log) -> i64 {
        match self.upto {
            ReadLimit::LastStable => log.last_stable_offset(),
            ReadLimit::LogEnd => log.log_end_offset(),
            ReadLimit::HighWatermark => log.high_watermark(),
        }
    }
}

/// What one partition gave.
pub(super) struct PartitionRead {
    /// `None` when the partition could not be found.
    pub(super) partition: Option<Arc<Partition>>,
    /// Up to where the client may read, as seen before the read.
    pub(super) frontier: i64,
    /// True when the fetch has to be answered at once, whatever its min_bytes.
    pub(super) complete: bool,
    pub(super) response: PartitionResponse,
}

/// The result of reading every partition once.
pub(super) struct Round {
    reads: Vec<PartitionRead>,
    bytes: i64,
    upto: ReadLimit,
}

impl Round {
    pub(super) async fn read(broker: &Arc<Broker>, fetches: &[PartitionFetch], limits: &Limits) -> Round {
        if let Some(round) = Round::read_with(broker, fetches, limits, Log::read_cached) {
            return round;
        }
        let (broker, waiting, limits_copy) = (broker.clone(), fetches.to_vec(), limits.clone());
        let reading = tokio::task::spawn_blocking(move || Round::read_with(&broker, &waiting, &limits_copy, Log::read));
        // Nothing is there only when the read panicked or the process ends.
        reading.await.ok().flatten().unwrap_or_else(|| Round::refused(fetches, limits))
    }

    /// `None` when a partition would have to wait for the disk, and `read` does not.
    fn read_with(broker: &Broker, fetches: &[PartitionFetch], limits: &Limits, read: ReadLog) -> Option<Round> {
        let mut bytes = 0i64;
        let mut reads = Vec::with_capacity(fetches.len());
        for (position, fetch) in fetches.iter().enumerate() {
            if limits.refused.get(position) == Some(&true) {
                reads.push(PartitionRead::refused(fetch.key.index, ErrorCode::TopicAuthorizationFailed));
                continue;
            }
            let left = (i64::from(limits.max_bytes) - bytes).max(0);
            let read = read_partition(broker, fetch, limits, (left, bytes == 0), read)?;
            bytes += read.response.records.as_ref().map_or(0, |records| records.len() as i64);
            reads.push(read);
        }
        Some(Round { reads, bytes, upto: limits.upto })
    }

    fn refused(fetches: &[PartitionFetch], limits: &Limits) -> Round {
        let refuse = |fetch: &PartitionFetch| PartitionRead::refused(fetch.key.index, ErrorCode::UnknownServerError);
        Round { reads: fetches.iter().map(refuse).collect(), bytes: 0, upto: limits.upto }
    }

    /// Bytes of records found.
    pub(super) fn bytes(&self) -> i64 {
        self.bytes
    }

    pub(super) fn is_complete(&self, min_bytes: i32) -> bool {
        self.bytes >= i64::from(min_bytes) || self.reads.iter().any(|read| read.complete)
    }

    pub(super) fn partitions(&self) -> Vec<Arc<Partition>> {
        self.reads.iter().filter_map(|read| read.partition.clone()).collect()
    }

    /// True when a partition has moved on since it was read.
    pub(super) fn is_outdated(&self) -> bool {
        let limits = Limits { max_bytes: 0, upto: self.upto, version: 0, refused: Vec::new() };
        self.reads.iter().any(|read| {
            read.partition.as_ref().is_some_and(|partition| limits.frontier(partition.log()) != read.frontier)
        })
    }

    /// Adds what is about to be sent to the counters of its topics.
    pub(super) fn count(&self) {
        for read in &self.reads {
            let Some(partition) = &read.partition else { continue };
            let bytes = read.response.records.as_ref().map_or(0, |records| records.len());
            if read.response.error_code == ErrorCode::None.code() {
                partition.meter().fetched(bytes);
            } else {
                partition.meter().fetch_refused();
            }
        }
    }

    pub(super) fn into_reads(self) -> Vec<PartitionRead> {
        self.reads
    }
}

/// [`Log::read`] or [`Log::read_cached`].
type ReadLog = fn(&Log, i64, usize, bool, ReadLimit) -> Result<FetchData, ReadError>;

/// For each partition whether the client may not read it; empty without an authorizer.
pub(super) fn not_authorized(broker: &Broker, context: &RequestContext, fetches: &[PartitionFetch]) -> Vec<bool> {
    if !broker.authorizer.is_enabled() {
        return Vec::new();
    }
    let image = broker.image();
    let mut last: Option<(&TopicKey, bool)> = None;
    let refused = fetches.iter().map(|fetch| {
        if let Some((topic, refused)) = last
            && *topic == fetch.key.topic
        {
            return refused;
        }
        let name = match &fetch.key.topic {
            TopicKey::Name(name) => Some(&**name),
            TopicKey::Id(id) => image.topic_by_id(id).map(|topic| topic.name.as_str()),
        };
        let refused = name.is_some_and(|name| !broker.allows_topic(context, AclOperation::Read, name));
        last = Some((&fetch.key.topic, refused));
        refused
    });
    refused.collect()
}

/// Reads at most `left` bytes, but one batch at least if this is the `first_with_data`. `None` when `read` would have to wait.
fn read_partition(
    broker: &Broker,
    fetch: &PartitionFetch,
    limits: &Limits,
    (left, first_with_data): (i64, bool),
    read: ReadLog,
) -> Option<PartitionRead> {
    let index = fetch.key.index;
    let partition = match find(broker, &fetch.key) {
        Ok(partition) => partition,
        Err(code) => return Some(PartitionRead::refused(index, code)),
    };
    if let Err(code) = check(&partition, fetch, limits) {
        return Some(PartitionRead::refused(index, code));
    }
    let log = partition.log();
    let frontier = limits.frontier(log);
    if let Some(response) = diverging(log, fetch) {
        return Some(PartitionRead { partition: Some(partition), frontier, complete: true, response });
    }
    let max_bytes = i64::from(fetch.max_bytes.max(0)).min(left) as usize;
    let at_least_one = first_with_data || limits.version < RESPONSE_LIMIT_SINCE;
    let (complete, response) = match read(log, fetch.fetch_offset, max_bytes, at_least_one, limits.upto) {
        Ok(data) => (false, data_response(index, data)),
        Err(ReadError::NotCached) => return None,
        Err(error) => (true, read_refused(index, &error, log)),
    };
    Some(PartitionRead { partition: Some(partition), frontier, complete, response })
}

fn find(broker: &Broker, key: &PartitionKey) -> Result<Arc<Partition>, ErrorCode> {
    let topic = match &key.topic {
        TopicKey::Name(name) => broker.partitions.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition),
        TopicKey::Id(id) => broker.partitions.topic_by_id(id).ok_or(ErrorCode::UnknownTopicId),
    };
    topic?.partition(key.index)
}

fn check(partition: &Partition, fetch: &PartitionFetch, limits: &Limits) -> Result<(), ErrorCode> {
    partition.check_leader_epoch(fetch.current_leader_epoch)?;
    let stored_as = partition.log().config().compression_type;
    if limits.version < ZSTD_SINCE && stored_as == CompressionType::Fixed(Compression::Zstd) {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    Ok(())
}

/// The answer to a client whose last batch was written by a leader epoch that ended elsewhere.
fn diverging(log: &Log, fetch: &PartitionFetch) -> Option<PartitionResponse> {
    if fetch.last_fetched_epoch < 0 {
        return None;
    }
    let (epoch, end_offset) = log.end_offset_for_epoch(fetch.last_fetched_epoch);
    if epoch < 0 || end_offset < 0 {
        return Some(refused(fetch.key.index, ErrorCode::OffsetOutOfRange));
    }
    let diverges = epoch < fetch.last_fetched_epoch || end_offset < fetch.fetch_offset;
    diverges.then(|| PartitionResponse {
        partition_index: fetch.key.index,
        high_watermark: log.high_watermark(),
        last_stable_offset: log.last_stable_offset(),
        log_start_offset: log.log_start_offset(),
        diverging_epoch: DivergingEpoch { epoch, end_offset },
        records: Some(Records::default()),
        ..Default::default()
    })
}

fn data_response(index: i32, data: FetchData) -> PartitionResponse {
    let aborted = data.aborted.map(|aborted| {
        let aborted = aborted.into_iter();
        aborted.map(|txn| AbortedTransaction { producer_id: txn.producer_id, first_offset: txn.first_offset }).collect()
    });
    PartitionResponse {
        partition_index: index,
        high_watermark: data.high_watermark,
        last_stable_offset: data.last_stable_offset,
        log_start_offset: data.log_start_offset,
        aborted_transactions: aborted,
        records: Some(data.records),
        ..Default::default()
    }
}

fn read_refused(index: i32, error: &ReadError, log: &Log) -> PartitionResponse {
    PartitionResponse {
        high_watermark: log.high_watermark(),
        last_stable_offset: log.last_stable_offset(),
        log_start_offset: log.log_start_offset(),
        ..refused(index, error_code::of_read(error))
    }
}
