//! Waiting until appended records are on disk, for `acks=all`.

use std::sync::Arc;
use std::time::Duration;

use milena_log::Log;
use milena_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::Partition;
use crate::error_code;

/// Appends of one request whose fsync its answer waits for.
#[derive(Default)]
pub(crate) struct DurabilityWait {
    appends: Vec<(Arc<Log>, i64)>,
}

impl DurabilityWait {
    /// Adds everything below `next_offset` of `partition`.
    pub(crate) fn add(&mut self, partition: &Partition, next_offset: i64) {
        self.add_log(partition.log(), next_offset);
    }

    /// Adds everything below `next_offset` of `log`.
    pub(crate) fn add_log(&mut self, log: &Arc<Log>, next_offset: i64) {
        self.appends.push((log.clone(), next_offset));
    }

    /// True when there is nothing to wait for.
    pub(crate) fn is_empty(&self) -> bool {
        self.appends.is_empty()
    }

    /// Asks the logs to report; the fsyncs start now, whether or not anybody waits.
    pub(crate) fn arm(self) -> DurabilityTicket {
        let (all_done, done) = oneshot::channel();
        let progress = Arc::new(Mutex::new(Progress {
            outcomes: vec![None; self.appends.len()],
            unfinished: self.appends.len(),
            // Dropped at once when there is nothing to wait for, which ends the wait.
            all_done: (!self.appends.is_empty()).then_some(all_done),
        }));
        for (index, (log, next_offset)) in self.appends.into_iter().enumerate() {
            let progress = progress.clone();
            log.on_durable(
                next_offset,
                Box::new(move |result| {
                    let code = result.map_or_else(|error| error_code::of_storage(&error), |()| ErrorCode::None);
                    progress.lock().finish(index, code);
                }),
            );
        }
        DurabilityTicket { progress, done }
    }
}

struct Progress {
    outcomes: Vec<Option<ErrorCode>>,
    unfinished: usize,
    all_done: Option<oneshot::Sender<()>>,
}

impl Progress {
    fn finish(&mut self, index: usize, code: ErrorCode) {
        self.outcomes[index] = Some(code);
        self.unfinished -= 1;
        if self.unfinished == 0
            && let Some(all_done) = self.all_done.take()
        {
            // Nobody listens any more when the connection is gone.
            let _ = all_done.send(());
        }
    }
}

/// The right to wait for the appends of a [`DurabilityWait`].
pub(crate) struct DurabilityTicket {
    progress: Arc<Mutex<Progress>>,
    done: oneshot::Receiver<()>,
}

impl DurabilityTicket {
    /// The outcome of each append in the order they were added, or nothing at all when every one is durable.
    ///
    /// What is not durable within `timeout` counts as REQUEST_TIMED_OUT; its records stay in the log.
    pub(crate) async fn wait(self, timeout: Duration) -> Vec<ErrorCode> {
        let _ = tokio::time::timeout(timeout, self.done).await;
        let progress = self.progress.lock();
        let outcomes = progress.outcomes.iter().map(|outcome| outcome.unwrap_or(ErrorCode::RequestTimedOut));
        if outcomes.clone().all(|code| code == ErrorCode::None) { Vec::new() } else { outcomes.collect() }
    }
}
