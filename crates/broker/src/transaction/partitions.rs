//! The other side of a transaction: the partitions that its records are in, where markers end it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use milena_log::{AppendError, AppendOptions, AppendOrigin};
use milena_protocol::ErrorCode;
use milena_protocol::record::control::{ControlType, EndTxnMarker, end_txn_marker_batch};
use milena_stdx::Clock;

use super::metadata::ProducerIdAndEpoch;
use crate::error_code;
use crate::group::GroupCoordinator;
use crate::offsets_log::OFFSETS_TOPIC;
use crate::partition::{DurabilityWait, PartitionTable};

/// A future that outlives what made it.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What ends the transaction of one producer in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction ends, and the epoch that the partition knows afterwards.
    pub producer: ProducerIdAndEpoch,
    /// COMMIT or ABORT.
    pub committed: bool,
    /// The epoch of the coordinator that decided.
    pub coordinator_epoch: i32,
    /// The epoch is above that of the records (KIP-890).
    pub v2: bool,
}

/// A transaction that is open in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The producer, with the epoch of its records.
    pub producer: ProducerIdAndEpoch,
    /// The epoch of the coordinator that ended its transaction before, -1 for none.
    pub coordinator_epoch: i32,
}

/// The partitions of this broker, as the coordinator needs them.
pub(crate) trait TransactionPartitions: Send + Sync + 'static {
    /// Appends `marker` to a partition, and adds the append to `durability`. A partition that is gone needs none.
    ///
    /// # Errors
    /// Nothing was appended; the code says whether that may change.
    fn write_marker(
        &self,
        topic: &str,
        partition: i32,
        marker: &Marker,
        durability: &mut DurabilityWait,
    ) -> Result<(), ErrorCode>;

    /// Tells whoever keeps `partition` of `topic` in memory that the marker is written: committed offsets become visible.
    fn marker_written<'a>(&'a self, topic: &'a str, partition: i32, marker: &'a Marker) -> BoxFuture<'a, ()>;

    /// Every transaction that is open in some partition.
    fn open_transactions(&self) -> Vec<OpenTransaction>;
}

/// The partitions in the table of this broker.
pub(crate) struct LocalPartitions {
    pub(crate) partitions: Arc<PartitionTable>,
    pub(crate) groups: Arc<GroupCoordinator>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether anybody waits for an fsync (`milena.acks.all.fsync`).
    pub(crate) fsync: bool,
}

impl TransactionPartitions for LocalPartitions {
    fn write_marker(
        &self,
        topic: &str,
        index: i32,
        marker: &Marker,
        durability: &mut DurabilityWait,
    ) -> Result<(), ErrorCode> {
        let found = self.partitions.topic(topic).ok_or(ErrorCode::UnknownTopicOrPartition);
        let partition = found.and_then(|topic| topic.partition(index))?;
        let control_type = if marker.committed { ControlType::Commit } else { ControlType::Abort };
        let batch = end_txn_marker_batch(
            EndTxnMarker { control_type, coordinator_epoch: marker.coordinator_epoch },
            self.clock.now_ms(),
            partition.leader_epoch(),
            marker.producer.producer_id,
            marker.producer.producer_epoch,
        );
        let batch = batch.map_err(|_| ErrorCode::UnknownServerError)?;
        let options = AppendOptions {
            origin: AppendOrigin::Coordinator,
            leader_epoch: partition.leader_epoch(),
            transactions_v2: marker.v2,
            ..AppendOptions::default()
        };
        let appended = partition.append(batch, &options);
        // Readers of committed records wait for the marker, not for its bytes.
        partition.wake_all();
        let info = appended.map_err(|error| refused(topic, index, marker, &error))?;
        if self.fsync {
            durability.add(&partition, info.last_offset + 1);
        }
        Ok(())
    }

    fn marker_written<'a>(&'a self, topic: &'a str, partition: i32, marker: &'a Marker) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if topic == OFFSETS_TOPIC {
                self.groups.complete_transaction(partition, marker.producer.producer_id, marker.committed).await;
            }
        })
    }

    fn open_transactions(&self) -> Vec<OpenTransaction> {
        let mut open = Vec::new();
        for partition in self.partitions.all() {
            let log = partition.log();
            if log.last_stable_offset() == log.high_watermark() {
                continue;
            }
            let producers = log.producers().into_iter();
            let producers = producers.filter(|producer| producer.current_txn_start_offset.is_some());
            open.extend(producers.map(|producer| OpenTransaction {
                topic: log.topic().to_owned(),
                partition: log.partition(),
                producer: ProducerIdAndEpoch {
                    producer_id: producer.producer_id,
                    producer_epoch: producer.producer_epoch,
                },
                coordinator_epoch: producer.coordinator_epoch,
            }));
        }
        open
    }
}

fn refused(topic: &str, partition: i32, marker: &Marker, error: &AppendError) -> ErrorCode {
    tracing::warn!(topic, partition, producer_id = marker.producer.producer_id, %error, "a transaction marker is refused");
    error_code::of_append(error)
}
