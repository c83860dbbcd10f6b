//! What happens without anybody asking: transactions that are open for too long are aborted, ids that nobody uses forgotten.

use std::sync::{Arc, Weak};

use tokio::time::{MissedTickBehavior, interval};

use super::coordinator::TransactionCoordinator;
use super::records;
use super::state_log::StateLogError;

impl TransactionCoordinator {
    /// Looks after transactions as long as the coordinator exists.
    pub(super) fn start_looking_after(self: &Arc<Self>) {
        tokio::spawn(abort_timed_out_regularly(Arc::downgrade(self), self.config.abort_timed_out_interval));
        tokio::spawn(remove_expired_regularly(Arc::downgrade(self), self.config.remove_expired_interval));
    }

    /// Aborts every transaction that has been open for longer than its producer asked for, and fences that producer.
    pub async fn abort_timed_out(self: &Arc<Self>) {
        let now = self.now();
        let mut timed_out = Vec::new();
        let shards = self.shards.read().clone();
        for shard in shards {
            let shard = shard.lock();
            let Ok(all) = shard.all() else { continue };
            let overdue = all.filter(|transaction| transaction.is_timed_out(now));
            timed_out.extend(overdue.map(|transaction| (transaction.transactional_id.clone(), transaction.producer())));
        }
        for (transactional_id, producer) in timed_out {
            tracing::info!(
                transactional_id = &*transactional_id,
                producer_id = producer.producer_id,
                "a transaction has been open for too long and is aborted"
            );
            self.fence_and_abort(&transactional_id, producer).await;
        }
    }

    /// Aborts the open transaction of `producer`, unless it has ended meanwhile.
    async fn fence_and_abort(self: &Arc<Self>, transactional_id: &str, producer: super::metadata::ProducerIdAndEpoch) {
        let mut fresh = None;
        loop {
            let Ok(shard) = self.shard(transactional_id) else { return };
            {
                let mut shard = shard.lock();
                let Ok(Some(current)) = shard.get(transactional_id) else { return };
                if current.producer() != producer || current.state != super::state::TransactionState::Ongoing {
                    return;
                }
                let current = current.clone().at_level((self.transaction_version)());
                if let Some(next) = current.fence_and_abort(fresh, self.now()) {
                    // What cannot be written now is tried again at the next look.
                    if let Ok(durability) = self.store(&mut shard, next.clone()) {
                        self.complete_in_background(next, durability);
                    }
                    return;
                }
            }
            match self.fresh_producer_id().await {
                Ok(id) => fresh = Some(id),
                Err(_) => return,
            }
        }
    }

    /// Forgets transactional ids that have not been used for `transactional.id.expiration.ms`.
    pub fn remove_expired(&self) {
        let now = self.now();
        let shards = self.shards.read().clone();
        for (partition, shard) in (0..).zip(shards) {
            let mut shard = shard.lock();
            let Ok(all) = shard.all() else { continue };
            let expired: Vec<_> = all
                .filter(|transaction| transaction.is_expired(now, self.config.id_expiration_ms))
                .map(|transaction| transaction.transactional_id.clone())
                .collect();
            for transactional_id in expired {
                let record = records::tombstone(&transactional_id).map_err(StateLogError::from);
                match record.and_then(|record| self.log.append(partition, &[record])) {
                    Ok(_) => shard.remove(&transactional_id),
                    Err(error) => tracing::warn!(%error, "an expired transactional id cannot be removed"),
                }
            }
        }
    }
}

async fn abort_timed_out_regularly(coordinator: Weak<TransactionCoordinator>, every: std::time::Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(coordinator) = coordinator.upgrade() else { return };
        coordinator.abort_timed_out().await;
    }
}

async fn remove_expired_regularly(coordinator: Weak<TransactionCoordinator>, every: std::time::Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(coordinator) = coordinator.upgrade() else { return };
        coordinator.remove_expired();
    }
}
