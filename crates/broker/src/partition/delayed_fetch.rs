//! Fetches that wait for data ("delayed fetch" in Kafka): woken by appends, without polling.
//!
//! A waiter knows how many bytes it still misses. An append to one of its partitions counts them down, and only the
//! append that makes the fetch complete wakes its task; appends elsewhere cost it nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

use super::Partition;

/// One parked fetch.
pub(crate) struct FetchWaiter {
    missing_bytes: AtomicI64,
    woken: Notify,
}

impl FetchWaiter {
    pub(crate) fn new() -> Arc<FetchWaiter> {
        Arc::new(FetchWaiter { missing_bytes: AtomicI64::new(i64::MAX), woken: Notify::new() })
    }

    /// Sets how many bytes the fetch misses. The caller looks at its partitions once more afterwards: what was appended
    /// before this call is not counted.
    pub(crate) fn expect(&self, missing_bytes: i64) {
        self.missing_bytes.store(missing_bytes, Ordering::Release);
    }

    /// Waits until enough has been appended, or [`FetchWaiter::wake`].
    pub(crate) async fn wait(&self) {
        self.woken.notified().await;
    }

    pub(super) fn appended(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let missing = self.missing_bytes.fetch_sub(bytes, Ordering::AcqRel);
        if missing > 0 && missing <= bytes {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }
}

/// Keeps a waiter registered with its partitions until dropped.
pub(crate) struct Parked {
    waiter: Arc<FetchWaiter>,
    partitions: Vec<Arc<Partition>>,
}

impl Parked {
    pub(crate) fn new(waiter: Arc<FetchWaiter>, partitions: Vec<Arc<Partition>>) -> Parked {
        partitions.iter().for_each(|partition| partition.park(&waiter));
        Parked { waiter, partitions }
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.partitions.iter().for_each(|partition| partition.unpark(&self.waiter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_append_that_completes_the_fetch_wakes_it() {
        let waiter = FetchWaiter::new();
        waiter.expect(100);
        waiter.appended(60);
        let early = tokio::time::timeout(std::time::Duration::from_millis(10), waiter.wait());
        assert!(early.await.is_err(), "40 bytes are still missing");
        waiter.appended(40);
        waiter.wait().await;
    }
}
