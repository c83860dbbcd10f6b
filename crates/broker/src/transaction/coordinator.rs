//! The door to all transactions: finds the shard of a transactional id, takes one step of its state, stores it, answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_protocol::ErrorCode;
use milena_stdx::{Clock, java_string_hash};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::config::TransactionConfig;
use super::metadata::{ClientVersion, End, Initialization, Partitions, ProducerIdAndEpoch, TransactionMetadata};
use super::partitions::{BoxFuture, Marker, TransactionPartitions};
use super::records;
use super::shard::Shard;
use super::state::TransactionState;
use super::state_log::{StateLog, StateLogError};
use crate::group::effects::Now;
use crate::partition::DurabilityWait;

/// How long a request waits for the markers of the transaction before it, which are usually a few milliseconds away.
const SETTLE_WAIT_MAX: Duration = Duration::from_millis(500);
/// How long an fsync may take before it counts as failed.
pub(super) const DURABLE_WAIT_MAX: Duration = Duration::from_secs(3600);

/// Where fresh producer ids come from.
pub(crate) trait ProducerIdSource: Send + Sync + 'static {
    /// A producer id that nobody has had; a retriable code when none can be set aside.
    fn next(&self) -> BoxFuture<'_, Result<i64, ErrorCode>>;
}

/// The level of the feature `transaction.version`.
pub(crate) type VersionInForce = Box<dyn Fn() -> i16 + Send + Sync>;

/// What a write does about its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// They must have been added before.
    Verify,
    /// They become part of the transaction (KIP-890, transactions v2).
    Add,
}

/// All transactions of this broker. Methods must be called inside a tokio runtime.
pub struct TransactionCoordinator {
    pub(super) config: TransactionConfig,
    pub(super) log: Arc<dyn StateLog>,
    pub(super) partitions: Arc<dyn TransactionPartitions>,
    producer_ids: Arc<dyn ProducerIdSource>,
    clock: Arc<dyn Clock>,
    pub(super) transaction_version: VersionInForce,
    origin: Instant,
    /// One for each partition of `__transaction_state`; empty while the topic does not exist.
    pub(super) shards: RwLock<Vec<Arc<Mutex<Shard>>>>,
    /// Woken whenever a transaction is complete.
    pub(super) settled: Notify,
}

/// Which transactions ListTransactions asks for; empty lists and `None` mean "all".
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    /// In one of these states.
    pub states: Vec<TransactionState>,
    /// Of one of these producers.
    pub producer_ids: Vec<i64>,
    /// Open for longer than this many milliseconds.
    pub longer_than_ms: Option<i64>,
    /// With a transactional id that this expression matches from end to end.
    pub pattern: Option<regex::Regex>,
}

impl TransactionCoordinator {
    /// A coordinator over `log`; [`start`](Self::start) loads it.
    pub(crate) fn new(
        config: TransactionConfig,
        log: Arc<dyn StateLog>,
        partitions: Arc<dyn TransactionPartitions>,
        producer_ids: Arc<dyn ProducerIdSource>,
        clock: Arc<dyn Clock>,
        transaction_version: VersionInForce,
    ) -> TransactionCoordinator {
        let origin = clock.monotonic();
        TransactionCoordinator {
            config,
            log,
            partitions,
            producer_ids,
            clock,
            transaction_version,
            origin,
            shards: RwLock::default(),
            settled: Notify::new(),
        }
    }

    /// InitProducerId: makes the caller the only producer of `transactional_id`, in a new epoch.
    ///
    /// # Errors
    /// INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT, PRODUCER_FENCED, CONCURRENT_TRANSACTIONS (also after the predecessor's
    /// open transaction has been aborted: the client asks again), or a retriable code of the coordinator.
    pub async fn initialize(
        self: &Arc<Self>,
        transactional_id: &str,
        timeout_ms: i32,
        expected: Option<ProducerIdAndEpoch>,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        if timeout_ms <= 0 || timeout_ms > self.config.timeout_ms_max {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        self.wait_until_settled(transactional_id).await;
        let mut fresh = None;
        loop {
            let shard = self.shard(transactional_id)?;
            let step = {
                let mut shard = shard.lock();
                let now = self.now();
                let level = (self.transaction_version)();
                let known = shard.get(transactional_id)?.cloned().map(|known| known.at_level(level));
                match (known, fresh) {
                    (None, None) => None,
                    (known, fresh) => {
                        let id = fresh.unwrap_or_default();
                        let current =
                            known.unwrap_or_else(|| TransactionMetadata::new(transactional_id.into(), id, now));
                        match current.initialize(expected, timeout_ms, fresh, now)? {
                            Initialization::NeedsProducerId => None,
                            Initialization::Ready(next) => Some((next.producer(), None, self.store(&mut shard, next)?)),
                            Initialization::AbortFirst(next) => {
                                let durability = self.store(&mut shard, next.clone())?;
                                Some((next.producer(), Some(next), durability))
                            }
                        }
                    }
                }
            };
            match step {
                None => fresh = Some(self.producer_ids.next().await?),
                Some((_, Some(aborted), durability)) => {
                    self.complete_in_background(aborted, durability);
                    return Err(ErrorCode::ConcurrentTransactions);
                }
                Some((producer, None, durability)) => {
                    durable(durability).await?;
                    return Ok(producer);
                }
            }
        }
    }

    /// AddPartitionsToTxn and AddOffsetsToTxn: makes partitions part of the transaction.
    ///
    /// # Errors
    /// As [`TransactionMetadata::add_partitions`], or a retriable code of the coordinator.
    pub async fn add_partitions(
        &self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partitions: &Partitions,
        client_version: ClientVersion,
    ) -> Result<(), ErrorCode> {
        self.wait_until_settled(transactional_id).await;
        let shard = self.shard(transactional_id)?;
        let mut shard = shard.lock();
        self.add_locked(&mut shard, transactional_id, producer, partitions, client_version)
    }

    fn add_locked(
        &self,
        shard: &mut Shard,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partitions: &Partitions,
        client_version: ClientVersion,
    ) -> Result<(), ErrorCode> {
        let current = shard.get(transactional_id)?.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        if let Some(next) = current.add_partitions(producer, partitions, client_version, self.now())? {
            // Nobody waits for the fsync: if the machine loses the record, the transaction cannot be committed any more
            // and what was written for it is aborted (`recovery`).
            self.store(shard, next)?;
        }
        Ok(())
    }

    /// Whether each partition is part of the open transaction (AddPartitionsToTxn with `verify_only`).
    ///
    /// # Errors
    /// The code for all partitions.
    pub fn verify_partitions(
        &self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partitions: &Partitions,
    ) -> Result<Vec<(String, i32, ErrorCode)>, ErrorCode> {
        let shard = self.shard(transactional_id)?;
        let shard = shard.lock();
        let current = shard.get(transactional_id)?.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        let each = partitions.iter().flat_map(|(topic, indexes)| indexes.iter().map(move |index| (topic, *index)));
        let verdict = each.map(|(topic, index)| {
            let code = current.verify_partition(producer, topic, index).err().unwrap_or(ErrorCode::None);
            (topic.clone(), index, code)
        });
        Ok(verdict.collect())
    }

    /// Runs `write` while `partitions` are part of the open transaction of `producer`; it cannot end in between.
    /// `write` must be short: other transactions of the shard wait for it.
    ///
    /// # Errors
    /// `write` was not run. As [`verify_partitions`](Self::verify_partitions) for the first partition that is not part of it, or as
    /// [`add_partitions`](Self::add_partitions).
    pub fn write_in_transaction<T>(
        &self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partitions: &Partitions,
        mode: WriteMode,
        write: impl FnOnce() -> T,
    ) -> Result<T, ErrorCode> {
        let shard = self.shard(transactional_id)?;
        let mut shard = shard.lock();
        match mode {
            WriteMode::Add => {
                self.add_locked(&mut shard, transactional_id, producer, partitions, ClientVersion::V2)?;
            }
            WriteMode::Verify => {
                let current = shard.get(transactional_id)?.ok_or(ErrorCode::InvalidProducerIdMapping)?;
                for (topic, indexes) in partitions {
                    indexes.iter().try_for_each(|index| current.verify_partition(producer, topic, *index))?;
                }
            }
        }
        Ok(write())
    }

    /// EndTxn. When this returns without error the decision is durable and every marker is visible; the result is the producer
    /// as which the client goes on.
    ///
    /// # Errors
    /// As [`TransactionMetadata::end`], or a retriable code of the coordinator.
    pub async fn end(
        self: &Arc<Self>,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        committed: bool,
        client_version: ClientVersion,
    ) -> Result<ProducerIdAndEpoch, ErrorCode> {
        let mut fresh = None;
        loop {
            let shard = self.shard(transactional_id)?;
            let step = {
                let mut shard = shard.lock();
                let current = shard.get(transactional_id)?.ok_or(ErrorCode::InvalidProducerIdMapping)?;
                match current.end(producer, committed, client_version, fresh, self.now())? {
                    End::Already(producer) => return Ok(producer),
                    End::NeedsProducerId => None,
                    End::Prepare(next) => {
                        let durability = self.store(&mut shard, next.clone())?;
                        Some((next, durability))
                    }
                }
            };
            match step {
                None => fresh = Some(self.producer_ids.next().await?),
                Some((prepared, durability)) => {
                    let producer = prepared.producer_after_completion();
                    let completed = self.complete_in_background(prepared, durability);
                    // A task that ended early has lost its runtime: the broker is stopping.
                    completed.await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))?;
                    return Ok(producer);
                }
            }
        }
    }

    /// WriteTxnMarkers: ends a producer's transaction in one partition, whatever its coordinator knows.
    ///
    /// # Errors
    /// That of the partition.
    pub async fn write_marker(&self, topic: &str, partition: i32, marker: &Marker) -> Result<(), ErrorCode> {
        let mut durability = DurabilityWait::default();
        self.partitions.write_marker(topic, partition, marker, &mut durability)?;
        self.partitions.marker_written(topic, partition, marker).await;
        durable(durability).await.map_err(|_| ErrorCode::KafkaStorageError)
    }

    /// One transactional id; `None` when it is unknown.
    ///
    /// # Errors
    /// A retriable code of the coordinator.
    pub fn describe(&self, transactional_id: &str) -> Result<Option<TransactionMetadata>, ErrorCode> {
        let shard = self.shard(transactional_id)?;
        let shard = shard.lock();
        Ok(shard.get(transactional_id)?.cloned())
    }

    /// Every transactional id that `filter` lets through, by name.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS.
    pub fn list(&self, filter: &ListFilter) -> Result<Vec<TransactionMetadata>, ErrorCode> {
        let now = self.now();
        let shards = self.shards.read().clone();
        let mut found = Vec::new();
        for shard in shards {
            found.extend(shard.lock().all()?.filter(|transaction| filter.lets_through(transaction, now)).cloned());
        }
        found.sort_unstable_by(|a, b| a.transactional_id.cmp(&b.transactional_id));
        Ok(found)
    }

    /// How many transactional ids are known, and how many of their transactions are open or being ended.
    pub fn counts(&self) -> (usize, usize) {
        let shards = self.shards.read().clone();
        shards.iter().fold((0, 0), |(known, open), shard| {
            let shard = shard.lock();
            let Ok(all) = shard.all() else { return (known, open) };
            all.fold((known, open), |(known, open), transaction| {
                (known + 1, open + usize::from(!transaction.state.is_settled()))
            })
        })
    }

    /// The partition of `__transaction_state` that keeps `transactional_id`; `None` while the topic does not exist.
    pub fn partition_for(&self, transactional_id: &str) -> Option<i32> {
        let partitions = self.shards.read().len() as i32;
        (partitions > 0).then(|| java_string_hash(transactional_id).checked_abs().unwrap_or(0) % partitions)
    }

    pub(super) fn shard(&self, transactional_id: &str) -> Result<Arc<Mutex<Shard>>, ErrorCode> {
        if self.shards.read().is_empty() {
            self.topic_may_exist();
        }
        let partition = self.partition_for(transactional_id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        self.shards.read().get(partition as usize).cloned().ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    /// Appends the record of `next` and puts it in the place of what was known.
    pub(super) fn store(&self, shard: &mut Shard, next: TransactionMetadata) -> Result<DurabilityWait, ErrorCode> {
        let partition = self.partition_for(&next.transactional_id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let record = records::encode(&next, (self.transaction_version)()).map_err(StateLogError::from);
        let durability = record.and_then(|record| self.log.append(partition, &[record])).map_err(|error| {
            tracing::warn!(%error, transactional_id = &*next.transactional_id, "a transaction's state cannot be written");
            error.error_code()
        })?;
        shard.put(next);
        Ok(durability)
    }

    /// Waits a little for the markers of a transaction that is prepared, so that the client need not come back.
    async fn wait_until_settled(&self, transactional_id: &str) {
        let settled = async {
            loop {
                let woken = self.settled.notified();
                tokio::pin!(woken);
                // Registered before the look, so that no completion in between is missed.
                woken.as_mut().enable();
                if !self.is_prepared(transactional_id) {
                    return;
                }
                woken.await;
            }
        };
        // Afterwards the state machine says CONCURRENT_TRANSACTIONS by itself.
        let _ = timeout(SETTLE_WAIT_MAX, settled).await;
    }

    fn is_prepared(&self, transactional_id: &str) -> bool {
        let Ok(shard) = self.shard(transactional_id) else { return false };
        let shard = shard.lock();
        shard.get(transactional_id).is_ok_and(|found| found.is_some_and(|found| found.state.is_prepared()))
    }

    /// A producer id that nobody has had.
    pub(super) async fn fresh_producer_id(&self) -> Result<i64, ErrorCode> {
        self.producer_ids.next().await
    }

    pub(super) fn now(&self) -> Now {
        let elapsed = self.clock.monotonic().saturating_duration_since(self.origin);
        Now { unix_ms: self.clock.now_ms(), monotonic_ms: i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX) }
    }
}

/// Waits until what was appended survives the machine.
///
/// # Errors
/// COORDINATOR_NOT_AVAILABLE: the disk refused or took too long.
pub(super) async fn durable(durability: DurabilityWait) -> Result<(), ErrorCode> {
    if durability.is_empty() {
        return Ok(());
    }
    let failures = durability.arm().wait(DURABLE_WAIT_MAX).await;
    if failures.is_empty() { Ok(()) } else { Err(ErrorCode::CoordinatorNotAvailable) }
}

impl ListFilter {
    fn lets_through(&self, transaction: &TransactionMetadata, now: Now) -> bool {
        let open_for_ms = now.unix_ms.saturating_sub(transaction.start_ms);
        (self.states.is_empty() || self.states.contains(&transaction.state))
            && (self.producer_ids.is_empty() || self.producer_ids.contains(&transaction.producer_id))
            && self.longer_than_ms.is_none_or(|limit| open_for_ms > limit)
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&transaction.transactional_id))
    }
}

#[cfg(test)]
mod tests;
