//! A coordinator over logs in memory, and a clock that the test moves.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI16, AtomicI64, Ordering};

use bytes::Bytes;
use milena_protocol::ErrorCode;
use milena_stdx::MockClock;
use parking_lot::Mutex;

use super::config::TransactionConfig;
use super::coordinator::{ListFilter, ProducerIdSource, TransactionCoordinator};
use super::metadata::{Partitions, ProducerIdAndEpoch};
use super::partitions::{BoxFuture, Marker, OpenTransaction, TransactionPartitions};
use super::records::StateRecord;
use super::state_log::{StateLog, StateLogError};
use crate::partition::DurabilityWait;

/// Partitions of `__transaction_state`.
pub(super) const SHARDS: i32 = 3;

/// What outlives a coordinator: the logs, the ids and the clock.
#[derive(Clone)]
pub(super) struct World {
    pub(super) clock: Arc<MockClock>,
    pub(super) log: Arc<MemoryLog>,
    pub(super) partitions: Arc<MemoryPartitions>,
    ids: Arc<CountedIds>,
    /// The level of `transaction.version`.
    pub(super) transaction_version: Arc<AtomicI16>,
}

impl World {
    pub(super) fn new() -> World {
        World {
            clock: Arc::new(MockClock::default()),
            log: Arc::default(),
            partitions: Arc::default(),
            ids: Arc::new(CountedIds(AtomicI64::new(1000))),
            transaction_version: Arc::new(AtomicI16::new(2)),
        }
    }

    /// A coordinator that has loaded everything, as after a start.
    pub(super) async fn coordinator(&self) -> Arc<TransactionCoordinator> {
        let coordinator = Arc::new(TransactionCoordinator::new(
            TransactionConfig::default(),
            self.log.clone(),
            self.partitions.clone(),
            self.ids.clone(),
            self.clock.clone(),
            {
                let level = self.transaction_version.clone();
                Box::new(move || level.load(Ordering::SeqCst))
            },
        ));
        coordinator.start();
        let loaded = async {
            while coordinator.list(&ListFilter::default()) == Err(ErrorCode::CoordinatorLoadInProgress) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), loaded).await.expect("loaded");
        coordinator
    }
}

struct CountedIds(AtomicI64);

impl ProducerIdSource for CountedIds {
    fn next(&self) -> BoxFuture<'_, Result<i64, ErrorCode>> {
        Box::pin(async { Ok(self.0.fetch_add(1, Ordering::SeqCst)) })
    }
}

/// `__transaction_state` in memory.
#[derive(Default)]
pub(super) struct MemoryLog {
    records: Mutex<HashMap<i32, Vec<StateRecord>>>,
    pub(super) refuses: AtomicBool,
}

impl MemoryLog {
    /// Takes the last `count` records of the shard away, as a machine does that lost what was not fsynced.
    pub(super) fn lose(&self, partition: i32, count: usize) {
        let mut records = self.records.lock();
        let records = records.entry(partition).or_default();
        records.truncate(records.len() - count);
    }

    /// How many records there are in all.
    pub(super) fn len(&self) -> usize {
        self.records.lock().values().map(Vec::len).sum()
    }
}

impl StateLog for MemoryLog {
    fn partition_count(&self) -> i32 {
        SHARDS
    }

    fn coordinator_epoch(&self, _partition: i32) -> i32 {
        7
    }

    fn append(&self, partition: i32, records: &[StateRecord]) -> Result<DurabilityWait, StateLogError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(StateLogError::Storage { partition, reason: "the disk is full".to_owned() });
        }
        self.records.lock().entry(partition).or_default().extend_from_slice(records);
        Ok(DurabilityWait::default())
    }

    fn read_all(&self, partition: i32, apply: &mut dyn FnMut(&Bytes, Option<&Bytes>)) -> Result<(), StateLogError> {
        for record in self.records.lock().get(&partition).into_iter().flatten() {
            apply(&record.key, record.value.as_ref());
        }
        Ok(())
    }
}

/// Partitions of one topic in memory: which producer has an open transaction, and every marker.
#[derive(Default)]
pub(super) struct MemoryPartitions {
    open: Mutex<HashMap<(String, i32), Vec<ProducerIdAndEpoch>>>,
    markers: Mutex<Vec<(String, i32, Marker)>>,
    /// Markers are refused as by a full disk.
    pub(super) refuses: AtomicBool,
}

impl MemoryPartitions {
    /// A producer's records arrive.
    pub(super) fn write(&self, topic: &str, partition: i32, producer: ProducerIdAndEpoch) {
        let mut open = self.open.lock();
        let open = open.entry((topic.to_owned(), partition)).or_default();
        if !open.contains(&producer) {
            open.push(producer);
        }
    }

    /// Every marker since the last call: topic, partition, producer, committed.
    pub(super) fn take_markers(&self) -> Vec<(String, i32, ProducerIdAndEpoch, bool)> {
        let markers = std::mem::take(&mut *self.markers.lock());
        markers.into_iter().map(|(topic, index, marker)| (topic, index, marker.producer, marker.committed)).collect()
    }
}

impl TransactionPartitions for MemoryPartitions {
    fn write_marker(
        &self,
        topic: &str,
        partition: i32,
        marker: &Marker,
        _durability: &mut DurabilityWait,
    ) -> Result<(), ErrorCode> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(ErrorCode::KafkaStorageError);
        }
        if let Some(open) = self.open.lock().get_mut(&(topic.to_owned(), partition)) {
            open.retain(|producer| producer.producer_id != marker.producer.producer_id);
        }
        self.markers.lock().push((topic.to_owned(), partition, *marker));
        Ok(())
    }

    fn marker_written<'a>(&'a self, _topic: &'a str, _partition: i32, _marker: &'a Marker) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn open_transactions(&self) -> Vec<OpenTransaction> {
        let open = self.open.lock();
        let each = open.iter().flat_map(|((topic, partition), producers)| {
            producers.iter().map(|producer| OpenTransaction {
                topic: topic.clone(),
                partition: *partition,
                producer: *producer,
                coordinator_epoch: -1,
            })
        });
        each.collect()
    }
}

/// Partitions of topic `t`.
pub(super) fn partitions(indexes: &[i32]) -> Partitions {
    Partitions::from([("t".to_owned(), indexes.iter().copied().collect())])
}

/// The next epoch of a producer.
pub(super) fn bumped(producer: ProducerIdAndEpoch) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { producer_epoch: producer.producer_epoch + 1, ..producer }
}
