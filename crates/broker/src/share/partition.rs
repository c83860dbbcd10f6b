//! One share partition at work: its window over the topic's log, and the way its state is kept.
//!
//! The window changes first and the change is appended to the share coordinator's log under the same lock; whoever needs
//! it waits for the disk afterwards. When the coordinator refuses, the window is ahead of what is stored and the share
//! partition is abandoned: the next request builds it anew from the stored state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use milena_log::Log;
use milena_protocol::ErrorCode;
use parking_lot::Mutex;

use super::coordinator::{Refused, Shard, StateBatch, StateWrite, Written};
use super::key::SharePartitionKey;
use super::settings::{OffsetReset, ShareSettings};
use super::window::{AckBatch, Acquired, Acquisition, LogBatch, Window};
use crate::context::Broker;
use crate::error_code;
use crate::partition::{FetchWaiter, Partition};

/// A share partition in use.
pub struct SharePartition {
    key: SharePartitionKey,
    log: Arc<Partition>,
    shard: Arc<Shard>,
    state_epoch: i32,
    window: Mutex<Window>,
    parked: Mutex<Vec<Arc<FetchWaiter>>>,
    abandoned: AtomicBool,
    /// A task waits for the next lock to run out.
    watched: AtomicBool,
}

impl SharePartition {
    /// Builds a share partition from its stored state; a start offset that is still open is looked up and stored.
    ///
    /// # Errors
    /// The coordinator's code, or that of the log.
    pub(super) async fn open(
        broker: &Arc<Broker>,
        key: SharePartitionKey,
        log: Arc<Partition>,
        settings: &ShareSettings,
    ) -> Result<Arc<SharePartition>, ErrorCode> {
        let shard = broker.share.coordinator.shard(&key).await?;
        let (state, written) = shard.read(&key, log.leader_epoch()).map_err(|refused| code_of(&key, &refused))?;
        written.durable().await?;
        let mut start_offset = state.start_offset;
        if start_offset < 0 {
            start_offset = reset(log.log(), settings.offset_reset, broker.clock.now_ms())?;
            // Written down at once: what arrives from now on is not lost when the broker restarts.
            let write = StateWrite {
                state_epoch: state.state_epoch,
                leader_epoch: log.leader_epoch(),
                start_offset,
                delivery_complete_count: 0,
                batches: Vec::new(),
            };
            shard.write(&key, &write).map_err(|refused| code_of(&key, &refused))?.durable().await?;
        }
        tracing::debug!(%key, start_offset, "share partition is ready");
        Ok(Arc::new(SharePartition {
            key,
            log,
            shard,
            state_epoch: state.state_epoch,
            window: Mutex::new(Window::new(start_offset, &state.batches)),
            parked: Mutex::default(),
            abandoned: AtomicBool::new(false),
            watched: AtomicBool::new(false),
        }))
    }

    /// The partition of the topic.
    pub(crate) fn log(&self) -> &Arc<Partition> {
        &self.log
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Nobody may use it any longer.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.wake_parked();
    }

    /// Where the log is to be read next, `None` while nothing may be acquired.
    pub(super) fn next_fetch_offset(&self, settings: &ShareSettings) -> Option<i64> {
        let mut window = self.window.lock();
        let log_start_offset = self.log.log().log_start_offset();
        if window.follow_log_start(log_start_offset) {
            self.store_quietly(&window, Vec::new());
        }
        window.next_fetch_offset(settings.max_in_flight)
    }

    /// Gives `wanted.member` available records of `batches`. Says whether anything happened at all.
    pub(super) fn acquire(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        wanted: &Acquisition<'_>,
        batches: &[LogBatch],
    ) -> Acquired {
        let acquired = {
            let mut window = self.window.lock();
            let acquired = window.acquire(wanted, batches);
            if !acquired.archived.is_empty() {
                self.store_quietly(&window, acquired.archived.clone());
            }
            acquired
        };
        if !acquired.ranges.is_empty() {
            self.watch_locks(broker);
        }
        acquired
    }

    /// Takes acknowledgements; what it answers with is to be waited for.
    ///
    /// # Errors
    /// INVALID_RECORD_STATE, or the coordinator's code.
    pub(super) fn acknowledge(
        &self,
        member: &str,
        batches: &[AckBatch],
        settings: &ShareSettings,
        now_ms: i64,
    ) -> Result<Option<Written>, ErrorCode> {
        let written = {
            let mut window = self.window.lock();
            let lock_until_ms = now_ms.saturating_add(settings.record_lock_ms);
            let changes = window.acknowledge(member, batches, settings.deliveries_max, lock_until_ms)?;
            if changes.is_empty() {
                return Ok(None);
            }
            self.store(&window, changes)
        };
        self.wake_parked();
        written.map(Some)
    }

    /// Everything the member has is released.
    pub(super) fn release_member(&self, member: &str, deliveries_max: i16) {
        {
            let mut window = self.window.lock();
            let changes = window.release_member(member, deliveries_max);
            if changes.is_empty() {
                return;
            }
            self.store_quietly(&window, changes);
        }
        self.wake_parked();
    }

    /// Parked fetches look again when records become available.
    pub(super) fn park(&self, waiter: &Arc<FetchWaiter>) {
        self.parked.lock().push(waiter.clone());
    }

    pub(super) fn unpark(&self, waiter: &Arc<FetchWaiter>) {
        let mut parked = self.parked.lock();
        if let Some(index) = parked.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            parked.swap_remove(index);
        }
    }

    fn wake_parked(&self) {
        self.parked.lock().iter().for_each(|waiter| waiter.wake());
    }

    /// Appends a change of the window, whose lock the caller holds.
    fn store(&self, window: &Window, batches: Vec<StateBatch>) -> Result<Written, ErrorCode> {
        if self.is_abandoned() {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        let write = StateWrite {
            state_epoch: self.state_epoch,
            leader_epoch: self.log.leader_epoch(),
            start_offset: window.start_offset(),
            delivery_complete_count: i32::try_from(window.delivery_complete_count()).unwrap_or(i32::MAX),
            batches,
        };
        self.shard.write(&self.key, &write).map_err(|refused| {
            self.abandoned.store(true, Ordering::Release);
            code_of(&self.key, &refused)
        })
    }

    /// As [`store`](Self::store) where nobody waits for the disk.
    fn store_quietly(&self, window: &Window, batches: Vec<StateBatch>) {
        if let Ok(written) = self.store(window, batches) {
            drop(written);
        }
    }

    /// Sees to it that locks are taken away when they run out.
    fn watch_locks(self: &Arc<Self>, broker: &Arc<Broker>) {
        if self.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        // Weak, so that a broker that stops is not kept alive by locks.
        let (this, broker) = (Arc::downgrade(self), Arc::downgrade(broker));
        tokio::spawn(async move {
            loop {
                let pause = {
                    let (Some(this), Some(broker)) = (this.upgrade(), broker.upgrade()) else { return };
                    let Some(pause) = this.expire_locks(&broker) else { return };
                    pause
                };
                tokio::time::sleep(pause).await;
            }
        });
    }

    /// Takes away locks that ran out; answers with the time until the next does, `None` when there are no more.
    fn expire_locks(&self, broker: &Arc<Broker>) -> Option<Duration> {
        let now_ms = broker.share.now_ms();
        let settings = ShareSettings::of(&self.key.group, &broker.image(), &broker.config);
        let mut window = self.window.lock();
        let changes = window.expire_locks(now_ms, settings.deliveries_max);
        let released = !changes.is_empty();
        if released {
            tracing::debug!(key = %self.key, batches = changes.len(), "acquisition locks ran out");
            self.store_quietly(&window, changes);
        }
        let deadline = window.next_deadline().filter(|_| !self.is_abandoned());
        if deadline.is_none() {
            // Under the window's lock: an acquisition comes before this, and is seen, or after, and watches again.
            self.watched.store(false, Ordering::Release);
        }
        drop(window);
        if released {
            self.wake_parked();
        }
        deadline.map(|deadline| Duration::from_millis(deadline.saturating_sub(now_ms).max(1).unsigned_abs()))
    }
}

/// Where a share partition begins that nobody has read yet.
fn reset(log: &Log, strategy: OffsetReset, now_ms: i64) -> Result<i64, ErrorCode> {
    match strategy {
        OffsetReset::Earliest => Ok(log.log_start_offset()),
        OffsetReset::Latest => Ok(log.high_watermark()),
        OffsetReset::ByDuration(age) => {
            let since = now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
            let found = log.offset_for_timestamp(since).map_err(|error| error_code::of_read(&error))?;
            Ok(found.map_or_else(|| log.high_watermark(), |found| found.offset))
        }
    }
}

/// What a share consumer is told when the coordinator refuses.
fn code_of(key: &SharePartitionKey, refused: &Refused) -> ErrorCode {
    match refused.code {
        ErrorCode::FencedStateEpoch | ErrorCode::FencedLeaderEpoch | ErrorCode::CoordinatorNotAvailable => {
            tracing::warn!(%key, message = refused.message, "share state is not available");
            ErrorCode::NotLeaderOrFollower
        }
        other => other,
    }
}
