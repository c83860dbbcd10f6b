//! From a stored decision to its markers, and from those to the state that forgets the transaction.

use std::sync::Arc;
use std::time::Duration;

use milena_protocol::ErrorCode;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::coordinator::{TransactionCoordinator, durable};
use super::metadata::{ClientVersion, TransactionMetadata};
use super::partitions::Marker;
use super::state::TransactionState;
use crate::partition::DurabilityWait;

/// First and longest pause before a refused marker is tried again.
const MARKER_RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

impl TransactionCoordinator {
    /// Completes a transaction whose decision `prepared` has just been appended, whether or not anybody waits for the
    /// answer: the decision is durable and every marker visible, or an error of the disk.
    pub(super) fn complete_in_background(
        self: &Arc<Self>,
        prepared: TransactionMetadata,
        decision: DurabilityWait,
    ) -> oneshot::Receiver<Result<(), ErrorCode>> {
        let (answer, answered) = oneshot::channel();
        let coordinator = self.clone();
        tokio::spawn(async move {
            // Whoever asked may have gone away.
            if let Err(code) = durable(decision).await {
                tracing::error!(
                    transactional_id = &*prepared.transactional_id,
                    "the end of a transaction cannot be made durable; it is completed after a restart"
                );
                let _ = answer.send(Err(code));
                return;
            }
            let markers = coordinator.write_markers(&prepared).await;
            // The next transaction of a v2 producer shows by its epoch, so it may begin before the markers are durable.
            let early = prepared.client_version == ClientVersion::V2;
            if early {
                coordinator.set_completed(&prepared);
                let _ = answer.send(Ok(()));
                if durable(markers).await.is_ok() {
                    coordinator.store_completed(&prepared);
                }
                return;
            }
            let _ = answer.send(Ok(()));
            if durable(markers).await.is_ok() {
                coordinator.set_completed(&prepared);
                coordinator.store_completed(&prepared);
                coordinator.settled.notify_waiters();
            }
        });
        answered
    }

    /// Writes the markers of `prepared`, trying again where a disk refuses, and returns the wait for their fsync.
    pub(super) async fn write_markers(&self, prepared: &TransactionMetadata) -> DurabilityWait {
        let marker = self.marker_of(prepared);
        let mut left: Vec<(&str, i32)> = prepared
            .partitions
            .iter()
            .flat_map(|(topic, indexes)| indexes.iter().map(move |index| (topic.as_str(), *index)))
            .collect();
        let mut durability = DurabilityWait::default();
        let mut pause = MARKER_RETRY.0;
        loop {
            let mut refused = Vec::new();
            for (topic, partition) in left {
                match self.partitions.write_marker(topic, partition, &marker, &mut durability) {
                    Ok(()) => self.partitions.marker_written(topic, partition, &marker).await,
                    Err(ErrorCode::KafkaStorageError) => refused.push((topic, partition)),
                    // The partition is gone, or knows a newer epoch: nothing is left to end there.
                    Err(_) => {}
                }
            }
            if refused.is_empty() {
                return durability;
            }
            left = refused;
            sleep(pause).await;
            pause = (pause * 2).min(MARKER_RETRY.1);
        }
    }

    pub(super) fn marker_of(&self, prepared: &TransactionMetadata) -> Marker {
        let partition = self.partition_for(&prepared.transactional_id).unwrap_or_default();
        Marker {
            producer: prepared.producer(),
            committed: prepared.state == TransactionState::PrepareCommit,
            coordinator_epoch: self.log.coordinator_epoch(partition),
            v2: prepared.client_version == ClientVersion::V2,
        }
    }

    /// Replaces `prepared` by its completion, in memory alone.
    fn set_completed(&self, prepared: &TransactionMetadata) {
        let Ok(shard) = self.shard(&prepared.transactional_id) else { return };
        let mut shard = shard.lock();
        if shard.get(&prepared.transactional_id).is_ok_and(|current| current == Some(prepared)) {
            shard.put(prepared.completed(self.now()));
        }
        drop(shard);
        self.settled.notify_waiters();
    }

    /// Writes the completion of `prepared` unless the producer has gone on. Without the record the markers are looked for
    /// after a restart, so its fsync is nobody's concern.
    fn store_completed(&self, prepared: &TransactionMetadata) {
        let Ok(shard) = self.shard(&prepared.transactional_id) else { return };
        let mut shard = shard.lock();
        let completed = prepared.completed(self.now());
        let Ok(Some(current)) = shard.get(&prepared.transactional_id) else { return };
        if current.producer() == completed.producer() && current.state == completed.state {
            let current = current.clone();
            // A failure was logged; nothing in memory depends on it.
            let _ = self.store(&mut shard, current);
        }
    }
}
