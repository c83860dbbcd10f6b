//! Finding records for a member: read the log where records are available, acquire them, or wait for some.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_log::{AbortedTxn, ReadError, ReadLimit};
use milena_protocol::record::batches;
use milena_protocol::{ErrorCode, Records};
use tokio::time::Instant;

use super::key::SharePartitionKey;
use super::partition::SharePartition;
use super::session::TopicPartition;
use super::settings::ShareSettings;
use super::window::{AcquiredRange, Acquisition, LogBatch};
use crate::context::Broker;
use crate::error_code;
use crate::partition::{FetchWaiter, Parked};

/// Reads of one partition that may come to nothing because others were quicker, before it counts as empty.
const ATTEMPTS_MAX: usize = 16;

/// What a member asks for.
#[derive(Clone, Debug)]
pub struct ShareFetch {
    /// `group.id`.
    pub group: Arc<str>,
    /// The member.
    pub member: Arc<str>,
    /// How long to wait for records.
    pub max_wait: Duration,
    /// Bytes worth waiting for.
    pub min_bytes: i32,
    /// Bytes of all records together.
    pub max_bytes: i32,
    /// Records of all partitions together.
    pub max_records: i32,
    /// See [`Acquisition::batch_size`].
    pub batch_size: i32,
    /// See [`Acquisition::strict`].
    pub strict: bool,
}

/// What one partition gave.
#[derive(Clone, Debug)]
pub struct PartitionRecords {
    /// The partition.
    pub partition: TopicPartition,
    /// Why it gave nothing.
    pub error: ErrorCode,
    /// Whole batches, from the first with an acquired record to the last.
    pub records: Bytes,
    /// What the member now has.
    pub acquired: Vec<AcquiredRange>,
}

impl PartitionRecords {
    /// A partition that gives nothing.
    pub fn none(partition: TopicPartition, error: ErrorCode) -> PartitionRecords {
        PartitionRecords { partition, error, records: Bytes::new(), acquired: Vec::new() }
    }
}

/// Acquires records of `partitions` for a member; waits while there are none. One answer for each partition, in order.
pub(crate) async fn fetch(
    broker: &Arc<Broker>,
    fetch: &ShareFetch,
    settings: &ShareSettings,
    partitions: &[TopicPartition],
) -> Vec<PartitionRecords> {
    let deadline = Instant::now() + fetch.max_wait;
    loop {
        let ready = prepare(broker, fetch, settings, partitions).await;
        let waiter = FetchWaiter::new();
        let _parked = ParkedShare::new(&waiter, &ready);
        let found = acquire_all(broker, fetch, settings, &ready, fetch.min_bytes).await;
        let is_answer = found.iter().any(|found| !found.acquired.is_empty() || found.error != ErrorCode::None);
        if is_answer || fetch.max_wait.is_zero() || partitions.is_empty() {
            return found;
        }
        waiter.expect(1);
        if is_outdated(&ready, settings) {
            continue;
        }
        if tokio::time::timeout_at(deadline, waiter.wait()).await.is_err() {
            // Whatever there is by now, however little.
            return acquire_all(broker, fetch, settings, &ready, 0).await;
        }
    }
}

struct ReadyPartition {
    partition: TopicPartition,
    state: Result<Arc<SharePartition>, ErrorCode>,
    /// Up to where the log could be read when this round began.
    frontier: i64,
}

async fn prepare(
    broker: &Arc<Broker>,
    fetch: &ShareFetch,
    settings: &ShareSettings,
    partitions: &[TopicPartition],
) -> Vec<ReadyPartition> {
    let mut ready = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let key = SharePartitionKey { group: fetch.group.clone(), topic_id: partition.0, partition: partition.1 };
        let state = broker.share.partition(broker, &key, settings).await;
        let frontier = state.as_ref().map_or(-1, |state| frontier(state, settings.upto));
        ready.push(ReadyPartition { partition: *partition, state, frontier });
    }
    ready
}

fn frontier(state: &SharePartition, upto: ReadLimit) -> i64 {
    let log = state.log().log();
    match upto {
        ReadLimit::LastStable => log.last_stable_offset(),
        ReadLimit::HighWatermark | ReadLimit::LogEnd => log.high_watermark(),
    }
}

/// Whether something came between the round and the waiter's registration.
fn is_outdated(ready: &[ReadyPartition], settings: &ShareSettings) -> bool {
    ready.iter().any(|ready| {
        ready.state.as_ref().is_ok_and(|state| state.is_abandoned() || frontier(state, settings.upto) != ready.frontier)
    })
}

/// One round over all partitions. Blocks on reads that are not in the page cache, so it runs aside.
async fn acquire_all(
    broker: &Arc<Broker>,
    fetch: &ShareFetch,
    settings: &ShareSettings,
    ready: &[ReadyPartition],
    min_bytes: i32,
) -> Vec<PartitionRecords> {
    let open = ready.iter().filter(|ready| ready.state.is_ok()).count().max(1);
    let share = usize::try_from(fetch.max_bytes.max(0)).unwrap_or(0) / open;
    let mut left = i64::from(fetch.max_records.max(0));
    let mut found = Vec::with_capacity(ready.len());
    let enough = min_bytes <= 1 || readable_bytes(ready, settings, share) >= i64::from(min_bytes);
    for ready in ready {
        found.push(match &ready.state {
            Err(code) => PartitionRecords::none(ready.partition, *code),
            Ok(_) if !enough || left <= 0 => PartitionRecords::none(ready.partition, ErrorCode::None),
            Ok(state) => {
                let records = acquire_one(broker, fetch, settings, ready.partition, state, share, left);
                left -= records.acquired.iter().map(|range| range.last_offset - range.first_offset + 1).sum::<i64>();
                records
            }
        });
    }
    found
}

/// Bytes that could be handed out now, as far as `fetch.min.bytes` cares.
fn readable_bytes(ready: &[ReadyPartition], settings: &ShareSettings, share: usize) -> i64 {
    let of_one = |state: &Arc<SharePartition>| {
        let offset = state.next_fetch_offset(settings)?;
        let data = state.log().log().read(offset, share, true, settings.upto).ok()?;
        i64::try_from(data.records.len()).ok()
    };
    ready.iter().filter_map(|ready| ready.state.as_ref().ok()).filter_map(of_one).sum()
}

fn acquire_one(
    broker: &Arc<Broker>,
    fetch: &ShareFetch,
    settings: &ShareSettings,
    partition: TopicPartition,
    state: &Arc<SharePartition>,
    max_bytes: usize,
    max_records: i64,
) -> PartitionRecords {
    for _ in 0..ATTEMPTS_MAX {
        let Some(fetch_offset) = state.next_fetch_offset(settings) else { break };
        let read = match read(state, fetch_offset, max_bytes, settings.upto) {
            Ok(Some(read)) => read,
            Ok(None) => break,
            // The log was cut off at its beginning meanwhile.
            Err(ErrorCode::OffsetOutOfRange) => continue,
            Err(code) => return PartitionRecords::none(partition, code),
        };
        let wanted = Acquisition {
            member: &fetch.member,
            fetch_offset,
            max_records,
            batch_size: i64::from(fetch.batch_size.max(1)),
            strict: fetch.strict,
            max_in_flight: settings.max_in_flight,
            lock_until_ms: broker.share.now_ms().saturating_add(settings.record_lock_ms),
        };
        let acquired = state.acquire(broker, &wanted, &read.batches);
        if let (Some(first), Some(last)) = (acquired.ranges.first(), acquired.ranges.last()) {
            let records = read.slice(first.first_offset, last.last_offset);
            return PartitionRecords { partition, error: ErrorCode::None, records, acquired: acquired.ranges };
        }
    }
    PartitionRecords::none(partition, ErrorCode::None)
}

/// Batches of the log, and where each one's bytes are.
struct ReadBatches {
    bytes: Bytes,
    batches: Vec<LogBatch>,
    positions: Vec<(usize, usize)>,
}

impl ReadBatches {
    /// The bytes of the batches from the one that holds `first_offset` to the one that holds `last_offset`.
    fn slice(&self, first_offset: i64, last_offset: i64) -> Bytes {
        let wanted = self
            .batches
            .iter()
            .zip(&self.positions)
            .filter(|(batch, _)| batch.last_offset >= first_offset && batch.base_offset <= last_offset);
        let positions: Vec<_> = wanted.map(|(_, position)| *position).collect();
        match (positions.first(), positions.last()) {
            (Some((from, _)), Some((_, to))) => self.bytes.slice(*from..*to),
            _ => Bytes::new(),
        }
    }
}

fn read(
    state: &SharePartition,
    offset: i64,
    max_bytes: usize,
    upto: ReadLimit,
) -> Result<Option<ReadBatches>, ErrorCode> {
    let data = state.log().log().read(offset, max_bytes, true, upto).map_err(|error: ReadError| {
        tracing::debug!(%error, "a share fetch cannot read");
        error_code::of_read(&error)
    })?;
    if data.records.is_empty() {
        return Ok(None);
    }
    // The offsets of the batches are needed, so the bytes are read here instead of leaving as a range of the file.
    let bytes = Records::to_bytes(&data.records).map_err(|error| {
        tracing::error!(%error, "a share fetch cannot read the log");
        ErrorCode::KafkaStorageError
    })?;
    let mut aborted = AbortedBatches::new(data.aborted.unwrap_or_default());
    let (mut found, mut positions, mut position) = (Vec::new(), Vec::new(), 0);
    for batch in batches(&bytes) {
        // What does not parse behind the first batch is cut off: it is read whole the next time.
        let Ok(batch) = batch else { break };
        let end = position + batch.size_in_bytes();
        found.push(LogBatch {
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            hidden: aborted.hides(&batch) || batch.is_control(),
        });
        positions.push((position, end));
        position = end;
    }
    if found.is_empty() {
        return Err(ErrorCode::CorruptMessage);
    }
    Ok(Some(ReadBatches { bytes, batches: found, positions }))
}

/// Which batches belong to aborted transactions, asked in the order of the log.
struct AbortedBatches {
    /// By first offset, the last one first.
    ahead: Vec<AbortedTxn>,
    open: Vec<i64>,
}

impl AbortedBatches {
    fn new(mut ahead: Vec<AbortedTxn>) -> AbortedBatches {
        ahead.sort_by_key(|txn| std::cmp::Reverse(txn.first_offset));
        AbortedBatches { ahead, open: Vec::new() }
    }

    fn hides(&mut self, batch: &milena_protocol::record::BatchView<'_>) -> bool {
        while let Some(txn) = self.ahead.last().filter(|txn| txn.first_offset <= batch.last_offset()).copied() {
            self.open.push(txn.producer_id);
            self.ahead.pop();
        }
        if !batch.is_transactional() {
            return false;
        }
        if batch.is_control() {
            // The marker ends the producer's transaction.
            self.open.retain(|producer_id| *producer_id != batch.producer_id());
            return false;
        }
        self.open.contains(&batch.producer_id())
    }
}

/// Keeps a waiter registered with share partitions and their logs until dropped.
struct ParkedShare {
    waiter: Arc<FetchWaiter>,
    states: Vec<Arc<SharePartition>>,
    _logs: Parked,
}

impl ParkedShare {
    fn new(waiter: &Arc<FetchWaiter>, ready: &[ReadyPartition]) -> ParkedShare {
        let states: Vec<_> = ready.iter().filter_map(|ready| ready.state.as_ref().ok().cloned()).collect();
        states.iter().for_each(|state| state.park(waiter));
        let logs = states.iter().map(|state| state.log().clone()).collect();
        ParkedShare { waiter: waiter.clone(), _logs: Parked::new(waiter.clone(), logs), states }
    }
}

impl Drop for ParkedShare {
    fn drop(&mut self) {
        self.states.iter().for_each(|state| state.unpark(&self.waiter));
    }
}
