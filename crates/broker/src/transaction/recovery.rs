//! After a start: states are read back, decided transactions completed, and what belongs to no transaction aborted.
//!
//! What a crash can leave behind, and what is done about it:
//!
//! - decided, and perhaps not all markers written: they are written again
//! - decided, and the same producer already in its next transaction (v2 alone): the last marker may have been lost by the
//!   machine, which shows in a partition by an open transaction of exactly the decided epoch
//! - records in a partition that the state does not name, because the machine lost the record of adding it: part of the
//!   open transaction if it is of the same epoch
//! - records of a transaction that the state knows nothing of any more: aborted, and their producer fenced, so that it cannot
//!   take the transaction for committed

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::coordinator::TransactionCoordinator;
use super::metadata::{ClientVersion, Partitions, ProducerIdAndEpoch, TransactionMetadata};
use super::partitions::{Marker, OpenTransaction};
use super::records;
use super::shard::Shard;
use super::state::TransactionState;
use super::state_log::{StateLog, StateLogError};
use crate::group::effects::Now;
use crate::partition::DurabilityWait;

/// Decisions kept of one producer: far more than can be waiting for an fsync at once.
const UNFINISHED_MAX: usize = 16;

/// What the log of one shard says.
#[derive(Default)]
struct Loaded {
    transactions: HashMap<Arc<str>, TransactionMetadata>,
    /// Decisions that no record calls complete, oldest first, other than the one a transaction stands at.
    unfinished: HashMap<Arc<str>, Vec<TransactionMetadata>>,
}

impl TransactionCoordinator {
    /// Loads what exists in the background and looks after transactions from then on. Requests of the meantime are answered
    /// with COORDINATOR_LOAD_IN_PROGRESS.
    pub fn start(self: &Arc<Self>) {
        self.start_looking_after();
        let partitions = self.log.partition_count();
        if partitions == 0 {
            return;
        }
        *self.shards.write() = (0..partitions).map(|_| Arc::new(Mutex::new(Shard::default()))).collect();
        let coordinator = self.clone();
        tokio::task::spawn_blocking(move || coordinator.load_all());
    }

    /// The topic may have been created: its partitions are empty, so there is nothing to load.
    pub(super) fn topic_may_exist(&self) {
        let partitions = self.log.partition_count();
        let mut shards = self.shards.write();
        if shards.is_empty() {
            *shards = (0..partitions).map(|_| Arc::new(Mutex::new(Shard::loaded(HashMap::new())))).collect();
        }
    }

    /// Reads every shard and settles what is left over. Blocks on the disk.
    fn load_all(self: &Arc<Self>) {
        let now = self.now();
        let mut all_read = true;
        let mut loaded = Vec::new();
        for partition in 0..self.shards.read().len() as i32 {
            loaded.push(read_shard(self.log.as_ref(), partition, now).unwrap_or_else(|error| {
                tracing::error!(%error, "transactions cannot be loaded; their producers must begin anew");
                all_read = false;
                Loaded::default()
            }));
        }
        let open = self.partitions.open_transactions();
        let fenced = self.settle(&mut loaded, open, all_read, now);
        let shards = self.shards.read().clone();
        let mut prepared = Vec::new();
        for (shard, loaded) in shards.iter().zip(loaded) {
            let decided = loaded.transactions.values().filter(|transaction| transaction.state.is_prepared());
            prepared.extend(decided.cloned());
            *shard.lock() = Shard::loaded(loaded.transactions);
        }
        for transaction in fenced {
            if let Ok(shard) = self.shard(&transaction.transactional_id) {
                // A failure was logged; the fence holds in memory.
                let _ = self.store(&mut shard.lock(), transaction);
            }
        }
        for transaction in prepared {
            let Ok(shard) = self.shard(&transaction.transactional_id) else { continue };
            // Written once more because the crash may have come before its fsync.
            let stored = self.store(&mut shard.lock(), transaction.clone());
            if let Ok(decision) = stored {
                self.complete_in_background(transaction, decision);
            }
        }
    }

    /// Decides about every transaction that is open in some partition. Returns the states of producers that are fenced.
    fn settle(
        &self,
        loaded: &mut [Loaded],
        open: Vec<OpenTransaction>,
        all_read: bool,
        now: Now,
    ) -> Vec<TransactionMetadata> {
        let mut by_producer: HashMap<i64, (usize, Arc<str>)> = HashMap::new();
        for (index, shard) in loaded.iter().enumerate() {
            for (id, transaction) in &shard.transactions {
                for producer_id in [transaction.producer_id, transaction.previous_producer_id] {
                    by_producer.insert(producer_id, (index, id.clone()));
                }
            }
        }
        let mut fenced = Vec::new();
        for found in open {
            let owner = by_producer.get(&found.producer.producer_id).cloned();
            let Some((index, id)) = owner else {
                // Only a complete view can tell that nobody owns it.
                if all_read {
                    self.abort_leftover(&found, found.producer);
                }
                continue;
            };
            let shard = &mut loaded[index];
            if let Some(decision) = shard.decision_for(&id, &found) {
                self.write_lost_marker(&found, &self.marker_of(&decision));
                continue;
            }
            let Some(transaction) = shard.transactions.get_mut(&id) else { continue };
            if let Some(fence) = self.settle_one(transaction, &found, now) {
                fenced.push(fence);
            }
        }
        fenced
    }

    fn settle_one(
        &self,
        transaction: &mut TransactionMetadata,
        found: &OpenTransaction,
        now: Now,
    ) -> Option<TransactionMetadata> {
        let current = transaction.producer() == found.producer;
        match transaction.state {
            state if state.is_prepared() && transaction.contains(&found.topic, found.partition) => None,
            TransactionState::Ongoing if current => {
                transaction.partitions.entry(found.topic.clone()).or_default().insert(found.partition);
                None
            }
            state if state.is_settled() && current => {
                transaction.producer_epoch = transaction.producer_epoch.saturating_add(1);
                transaction.state = TransactionState::CompleteAbort;
                transaction.partitions = Partitions::new();
                transaction.last_update_ms = now.unix_ms;
                self.abort_leftover(found, transaction.producer());
                Some(transaction.clone())
            }
            _ => {
                self.abort_leftover(found, found.producer);
                None
            }
        }
    }

    fn abort_leftover(&self, found: &OpenTransaction, producer: ProducerIdAndEpoch) {
        tracing::warn!(
            topic = found.topic,
            partition = found.partition,
            producer_id = found.producer.producer_id,
            "an open transaction that no coordinator knows is aborted"
        );
        let coordinator_epoch = found.coordinator_epoch.max(0);
        self.write_lost_marker(found, &Marker { producer, committed: false, coordinator_epoch, v2: false });
    }

    fn write_lost_marker(&self, found: &OpenTransaction, marker: &Marker) {
        let mut durability = DurabilityWait::default();
        match self.partitions.write_marker(&found.topic, found.partition, marker, &mut durability) {
            Ok(()) => {
                let (partitions, found, marker) = (self.partitions.clone(), found.clone(), *marker);
                let told = async move { partitions.marker_written(&found.topic, found.partition, &marker).await };
                tokio::spawn(told);
            }
            Err(code) => tracing::error!(
                topic = found.topic,
                partition = found.partition,
                error = code.name(),
                "a leftover transaction cannot be ended; kafka-transactions finds and aborts it"
            ),
        }
    }
}

impl Loaded {
    fn apply(&mut self, transaction: TransactionMetadata) {
        let id = transaction.transactional_id.clone();
        let completes = transaction.state.is_complete();
        if let Some(before) = self.transactions.insert(id.clone(), transaction)
            && before.state.is_prepared()
            && !completes
        {
            let unfinished = self.unfinished.entry(id).or_default();
            unfinished.push(before);
            if unfinished.len() > UNFINISHED_MAX {
                unfinished.remove(0);
            }
        }
    }

    /// The decision about exactly this open transaction, when its producer has gone on since.
    fn decision_for(&self, id: &str, found: &OpenTransaction) -> Option<TransactionMetadata> {
        let decided = |decision: &&TransactionMetadata| {
            decision.client_version == ClientVersion::V2
                && decision.producer_id == found.producer.producer_id
                && (1..=2).contains(&decision.producer_epoch.saturating_sub(found.producer.producer_epoch))
                && decision.contains(&found.topic, found.partition)
        };
        self.unfinished.get(id)?.iter().find(decided).cloned()
    }
}

fn read_shard(log: &dyn StateLog, partition: i32, now: Now) -> Result<Loaded, StateLogError> {
    let mut loaded = Loaded::default();
    log.read_all(partition, &mut |key, value| {
        if let Err(error) = apply_record(&mut loaded, key, value, now) {
            tracing::warn!(partition, %error, "unreadable record in __transaction_state is skipped");
        }
    })?;
    Ok(loaded)
}

fn apply_record(
    loaded: &mut Loaded,
    key: &Bytes,
    value: Option<&Bytes>,
    now: Now,
) -> Result<(), records::UnreadableRecord> {
    let Some(id) = records::decode_key(key)? else { return Ok(()) };
    match value {
        Some(value) => loaded.apply(records::decode_value(id.into(), value, now)?),
        None => {
            loaded.transactions.remove(id.as_str());
            loaded.unfinished.remove(id.as_str());
        }
    }
    Ok(())
}
