//! The share coordinator: keeps where every share partition stands, in the topic `__share_group_state`.
//!
//! ```text
//!   share partition's leader ──write──► StateShard (memory) ──► record of __share_group_state-N ──fsync──► answer
//! ```
//!
//! Each state is a snapshot record and at most `share.coordinator.snapshot.update.records.per.snapshot` update records
//! after it; what lies before every share partition's last snapshot is pruned from the log.
//!
//! A shard is read back when it is first needed. Its lock is held while a record is appended, so the order of the records
//! is the order of the changes; waiting for the disk happens outside. When the disk refuses, the shard is read back again.

mod batches;
mod log;
mod records;
mod shard;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use milena_protocol::ErrorCode;
use milena_stdx::Clock;
use parking_lot::Mutex;

pub use batches::StateBatch;
use shard::{Change, StateShard};
pub use shard::{ShareState, StateRefusal, StateWrite};

use super::key::SharePartitionKey;
use crate::partition::{DurabilityWait, Partition, PartitionTable};

/// The topic of share state.
pub(crate) const STATE_TOPIC: &str = "__share_group_state";
/// Records that a quiet share partition may keep from being pruned before its snapshot is written again.
const LEFT_BEHIND_RECORDS: i64 = 1_000;

/// Settings of the share coordinator.
#[derive(Clone, Debug)]
pub struct ShareCoordinatorConfig {
    /// Updates between two snapshots (`share.coordinator.snapshot.update.records.per.snapshot`).
    pub updates_per_snapshot: i32,
    /// How long a write may wait for its fsync (`share.coordinator.write.timeout.ms`).
    pub write_timeout: Duration,
    /// How often the log is pruned (`share.coordinator.state.topic.prune.interval.ms`).
    pub prune_interval: Duration,
    /// Whether a write waits for its fsync (`milena.acks.all.fsync`).
    pub fsync: bool,
}

/// All share state of this broker.
pub struct ShareCoordinator {
    config: ShareCoordinatorConfig,
    partitions: Arc<PartitionTable>,
    clock: Arc<dyn Clock>,
    shards: Mutex<HashMap<i32, Arc<Shard>>>,
}

/// One partition of the topic; `None` until it is read, and again after a failed write.
pub struct Shard {
    index: i32,
    config: ShareCoordinatorConfig,
    clock: Arc<dyn Clock>,
    log: Arc<Partition>,
    loading: tokio::sync::Mutex<()>,
    states: Mutex<Option<StateShard>>,
}

/// Something was appended; [`Written::durable`] waits for the disk.
#[must_use]
pub struct Written {
    shard: Arc<Shard>,
    durability: DurabilityWait,
}

/// Why share state is not available, with a message for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub code: ErrorCode,
    /// The message.
    pub message: String,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Refused { code, message: code.message().to_owned() }
    }
}

impl From<StateRefusal> for Refused {
    fn from(refusal: StateRefusal) -> Self {
        match refusal {
            StateRefusal::Code(code, message) => Refused { code, message: message.to_owned() },
            StateRefusal::Encode(error) => {
                Refused { code: ErrorCode::InvalidRequest, message: format!("share state cannot be encoded: {error}") }
            }
        }
    }
}

impl ShareCoordinator {
    /// A coordinator over the partitions of this broker.
    pub(crate) fn new(config: ShareCoordinatorConfig, partitions: Arc<PartitionTable>, clock: Arc<dyn Clock>) -> Self {
        ShareCoordinator { config, partitions, clock, shards: Mutex::default() }
    }

    /// The shard that keeps `key`, read back if need be. The topic must exist.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE when it does not, or cannot be read.
    pub(crate) async fn shard(&self, key: &SharePartitionKey) -> Result<Arc<Shard>, ErrorCode> {
        let topic = self.partitions.topic(STATE_TOPIC).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let index = key.state_partition(topic.partition_count());
        let shard = self.shard_at(index)?;
        shard.ensure_loaded().await?;
        Ok(shard)
    }

    fn shard_at(&self, index: i32) -> Result<Arc<Shard>, ErrorCode> {
        let topic = self.partitions.topic(STATE_TOPIC).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let log = topic.partition(index).map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
        let mut shards = self.shards.lock();
        let shard = shards.entry(index).or_insert_with(|| {
            Arc::new(Shard {
                index,
                config: self.config.clone(),
                clock: self.clock.clone(),
                log: log.clone(),
                loading: tokio::sync::Mutex::default(),
                states: Mutex::default(),
            })
        });
        if !Arc::ptr_eq(&shard.log, &log) {
            // The topic was deleted and came back.
            *shard = Arc::new(Shard {
                index,
                config: self.config.clone(),
                clock: self.clock.clone(),
                log,
                loading: tokio::sync::Mutex::default(),
                states: Mutex::default(),
            });
        }
        Ok(shard.clone())
    }

    /// Deletes the state of share partitions whose topic is gone, in the shards that are in memory; others follow when they
    /// are pruned.
    pub(crate) fn forget_deleted_topics(&self) {
        let shards: Vec<_> = self.shards.lock().values().cloned().collect();
        for shard in shards {
            let gone = |key: &SharePartitionKey| self.partitions.topic_by_id(&key.topic_id).is_none();
            for key in shard.keys().into_iter().filter(gone) {
                if let Err(error) = shard.delete(&key) {
                    tracing::warn!(%key, message = error.message, "share state of a deleted topic stays");
                }
            }
        }
    }

    /// Prunes the log from time to time, as long as the coordinator exists.
    pub(crate) fn start_pruning(self: &Arc<Self>) {
        let (weak, interval): (Weak<Self>, Duration) = (Arc::downgrade(self), self.config.prune_interval);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(coordinator) = weak.upgrade() else { return };
                coordinator.forget_deleted_topics();
                let shards: Vec<_> = coordinator.shards.lock().values().cloned().collect();
                drop(coordinator);
                let pruned = tokio::task::spawn_blocking(move || shards.iter().for_each(Shard::prune)).await;
                if let Err(error) = pruned {
                    tracing::error!(%error, "pruning of share state was interrupted");
                }
            }
        });
    }
}

impl Shard {
    async fn ensure_loaded(&self) -> Result<(), ErrorCode> {
        if self.states.lock().is_some() {
            return Ok(());
        }
        let _one_at_a_time = self.loading.lock().await;
        if self.states.lock().is_some() {
            return Ok(());
        }
        let log = self.log.clone();
        let loading = tokio::task::spawn_blocking(move || {
            let mut states = StateShard::default();
            log::read_all(&log, &mut |offset, key, value| states.load(offset, key, value)).map(|()| states)
        });
        let loaded = loading.await.unwrap_or_else(|error| Err(error.to_string()));
        let states = loaded.map_err(|reason| {
            tracing::error!(partition = self.index, reason, "share state cannot be loaded");
            ErrorCode::CoordinatorNotAvailable
        })?;
        *self.states.lock() = Some(states);
        Ok(())
    }

    fn keys(&self) -> Vec<SharePartitionKey> {
        self.states.lock().as_ref().map(|states| states.keys().cloned().collect()).unwrap_or_default()
    }

    /// The state of `key`, if it was initialized.
    pub(crate) fn summary(&self, key: &SharePartitionKey) -> Result<Option<ShareState>, Refused> {
        self.with(|states| Ok(states.get(key).cloned()))
    }

    /// Gives `key` a new state.
    ///
    /// # Errors
    /// FENCED_STATE_EPOCH; COORDINATOR_NOT_AVAILABLE when the disk refuses.
    pub(crate) fn initialize(
        self: &Arc<Self>,
        key: &SharePartitionKey,
        state_epoch: i32,
        start_offset: i64,
    ) -> Result<Written, Refused> {
        let now_ms = self.clock.now_ms();
        self.change(|states| states.initialize(key, state_epoch, start_offset, now_ms).map(Some))
    }

    /// The state of `key` for the leader of epoch `leader_epoch`.
    ///
    /// # Errors
    /// INVALID_REQUEST when it was never initialized, FENCED_LEADER_EPOCH for an older leader.
    pub(crate) fn read(
        self: &Arc<Self>,
        key: &SharePartitionKey,
        leader_epoch: i32,
    ) -> Result<(ShareState, Written), Refused> {
        let mut found = None;
        let written = self.change(|states| {
            let (state, change) = states.read(key, leader_epoch)?;
            found = Some(state);
            Ok(change)
        })?;
        let state = found.ok_or(Refused::from(ErrorCode::UnknownServerError))?;
        Ok((state, written))
    }

    /// Writes a leader's change.
    ///
    /// # Errors
    /// INVALID_REQUEST when it was never initialized, FENCED_LEADER_EPOCH, FENCED_STATE_EPOCH;
    /// COORDINATOR_NOT_AVAILABLE when the disk refuses.
    pub(crate) fn write(self: &Arc<Self>, key: &SharePartitionKey, write: &StateWrite) -> Result<Written, Refused> {
        let (updates_max, now_ms) = (self.config.updates_per_snapshot, self.clock.now_ms());
        self.change(|states| states.write(key, write, updates_max, now_ms).map(Some))
    }

    /// Deletes the state of `key`, if there is any.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE when the disk refuses.
    pub(crate) fn delete(self: &Arc<Self>, key: &SharePartitionKey) -> Result<Written, Refused> {
        self.change(|states| states.delete(key))
    }

    fn with<T>(&self, look: impl FnOnce(&StateShard) -> Result<T, Refused>) -> Result<T, Refused> {
        let states = self.states.lock();
        look(states.as_ref().ok_or(ErrorCode::CoordinatorNotAvailable)?)
    }

    /// Appends what `decide` wants written and takes it over.
    fn change(
        self: &Arc<Self>,
        decide: impl FnOnce(&StateShard) -> Result<Option<Change>, StateRefusal>,
    ) -> Result<Written, Refused> {
        let mut guard = self.states.lock();
        let states = guard.as_mut().ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let mut durability = DurabilityWait::default();
        if let Some(change) = decide(states)? {
            let now_ms = self.clock.now_ms();
            let appended =
                log::append(&self.log, now_ms, &change.key, change.value.as_ref(), &mut durability, self.config.fsync);
            match appended {
                Ok(offset) => states.apply(change, offset),
                Err(code) => {
                    *guard = None;
                    return Err(code.into());
                }
            }
        }
        Ok(Written { shard: self.clone(), durability })
    }

    /// Gives up the part of the log that no state needs. Blocks on the disk.
    fn prune(self: &Arc<Self>) {
        let end_offset = self.log.log().high_watermark();
        let behind = self.with(|states| Ok(states.left_behind(end_offset, LEFT_BEHIND_RECORDS))).unwrap_or_default();
        for key in behind {
            let now_ms = self.clock.now_ms();
            if let Err(error) = self.change(|states| states.snapshot_again(&key, now_ms)) {
                tracing::warn!(%key, message = error.message, "the snapshot of share state was not written");
                return;
            }
        }
        let Ok(needed_from) = self.with(|states| Ok(states.needed_from().unwrap_or(end_offset))) else { return };
        if needed_from <= self.log.log().log_start_offset() {
            return;
        }
        // A snapshot that has not reached the disk must not be all that is left.
        let durable = self.log.log().flush();
        if let Err(error) = durable {
            tracing::warn!(partition = self.index, %error, "share state is not pruned");
        } else if let Err(error) = self.log.log().delete_records(needed_from) {
            tracing::warn!(partition = self.index, %error, "share state is not pruned");
        }
    }
}

impl Written {
    /// Waits until it is on disk, as far as the broker is configured to.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE; what was written may or may not survive.
    pub(crate) async fn durable(self) -> Result<(), ErrorCode> {
        if self.durability.is_empty() {
            return Ok(());
        }
        let failures = self.durability.arm().wait(self.shard.config.write_timeout).await;
        if failures.is_empty() {
            return Ok(());
        }
        tracing::error!(partition = self.shard.index, "share state did not become durable and is read back");
        *self.shard.states.lock() = None;
        Err(ErrorCode::CoordinatorNotAvailable)
    }
}
