//! Partitions led by this broker: the log of each, and the fetches parked on it.
//!
//! Lock order: the table's lock, then a partition's list of parked fetches. Neither is held across an `await` or while
//! a disk is touched.

mod delayed_fetch;
mod durability;
mod table;
mod topic_config;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use bytes::Bytes;
use milena_log::{AppendError, AppendInfo, AppendOptions, Log};
use milena_protocol::ErrorCode;
use parking_lot::Mutex;

use crate::metrics::TopicMeter;

pub(crate) use delayed_fetch::{FetchWaiter, Parked};
pub(crate) use durability::DurabilityWait;
pub use table::PartitionTable;
pub(crate) use table::TopicPartitions;
pub(crate) use topic_config::log_config;

/// One partition that this broker leads.
pub struct Partition {
    log: Arc<Log>,
    leader_epoch: AtomicI32,
    parked: Mutex<Vec<Arc<FetchWaiter>>>,
    meter: Arc<TopicMeter>,
}

impl Partition {
    fn new(log: Arc<Log>, leader_epoch: i32, meter: Arc<TopicMeter>) -> Partition {
        Partition { log, leader_epoch: AtomicI32::new(leader_epoch), parked: Mutex::default(), meter }
    }

    /// Counters of the partition's topic.
    pub(crate) fn meter(&self) -> &TopicMeter {
        &self.meter
    }

    /// Fetches that wait for data of this partition.
    fn parked_count(&self) -> usize {
        self.parked.lock().len()
    }

    /// The partition's log. Appends go through [`Partition::append`], so that parked fetches hear of them.
    pub(crate) fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The epoch in which this broker leads the partition.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch.load(Ordering::Relaxed)
    }

    /// Compares the leader epoch a client believes in with the real one (KIP-320); -1 means that it does not care.
    pub(crate) fn check_leader_epoch(&self, believed: i32) -> Result<(), ErrorCode> {
        let current = self.leader_epoch();
        if believed >= 0 && believed < current {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if believed > current {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        Ok(())
    }

    /// Appends to the log and wakes the fetches that have waited for this many bytes.
    ///
    /// # Errors
    /// Those of [`Log::append`]; the log is unchanged then.
    pub(crate) fn append(&self, records: Bytes, options: &AppendOptions) -> Result<AppendInfo, AppendError> {
        let bytes = records.len();
        let info = self.log.append(records, options).inspect_err(|_| self.meter.append_refused(bytes))?;
        self.meter.appended((info.last_offset - info.base_offset + 1).unsigned_abs(), bytes);
        self.for_each_parked(|waiter| waiter.appended(bytes));
        Ok(info)
    }

    /// Makes every parked fetch look again: the partition is gone, or its frontiers have moved otherwise.
    pub(crate) fn wake_all(&self) {
        self.for_each_parked(FetchWaiter::wake);
    }

    fn for_each_parked(&self, visit: impl Fn(&FetchWaiter)) {
        self.parked.lock().iter().for_each(|waiter| visit(waiter));
    }

    fn park(&self, waiter: &Arc<FetchWaiter>) {
        self.parked.lock().push(waiter.clone());
    }

    fn unpark(&self, waiter: &Arc<FetchWaiter>) {
        let mut parked = self.parked.lock();
        if let Some(index) = parked.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            parked.swap_remove(index);
        }
    }
}
