//! Group commit: a few threads fsync whatever logs asked for it, and one fsync answers everybody who waited.
//!
//! ```text
//!   append ─► on_durable(offset, callback) ─► queue of logs ─► flusher: fdatasync ─► durable = log end at its start ─► callbacks
//! ```
//!
//! While a log is being synced, new waiters gather for its next turn: the busier the log, the larger the group. A failed fsync is
//! never retried, because the kernel may have dropped the dirty pages: the log directory goes offline and every waiter hears it.
//!
//! Early write-back is the same thing without waiters: a log with many unsynced bytes is queued, so that the kernel's limits for dirty
//! pages are never met by an append. (`sync_file_range` would do without the journal commit, but has no safe binding.)

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use milena_stdx::TimerHistogram;
use parking_lot::{Condvar, Mutex};

use crate::checkpoint::sync_dir;
use crate::error::{IoContext, StorageError};
use crate::log::Log;

/// Called once, from a flusher thread: must be short and must not block.
pub type DurableCallback = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

/// How far a log is fsynced, and who waits for more.
pub(crate) struct Durability {
    offset: AtomicI64,
    waiters: Mutex<Vec<(i64, DurableCallback)>>,
    queued: AtomicBool,
    /// Held during a flush, so that two threads do not sync the same bytes.
    flushing: Mutex<()>,
}

impl Durability {
    pub fn new(durable_offset: i64) -> Durability {
        Durability {
            offset: AtomicI64::new(durable_offset),
            waiters: Mutex::default(),
            queued: AtomicBool::new(false),
            flushing: Mutex::default(),
        }
    }
}

impl Log {
    /// Calls `callback` once everything below `offset` is fsynced: at once if it is, else from a flusher thread.
    ///
    /// The callback hears an error when the log directory went offline or the log was closed.
    pub fn on_durable(&self, offset: i64, callback: DurableCallback) {
        if offset <= self.durable_offset() {
            return callback(Ok(()));
        }
        if let Err(error) = self.dir().check() {
            return callback(Err(error));
        }
        {
            let mut waiters = self.durability.waiters.lock();
            if offset <= self.durable_offset() {
                drop(waiters);
                return callback(Ok(()));
            }
            waiters.push((offset, callback));
        }
        self.request_flush();
    }

    /// Everything below this offset is fsynced; recovery starts here.
    pub fn durable_offset(&self) -> i64 {
        self.durability.offset.load(Ordering::Acquire)
    }

    /// Asks a flusher thread to sync this log.
    pub(crate) fn request_flush(&self) {
        if self.durability.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let accepted = self.this.upgrade().is_some_and(|log| self.context.flusher.enqueue(log));
        if !accepted {
            self.durability.queued.store(false, Ordering::Release);
            self.fail_waiters();
        }
    }

    /// fsyncs everything appended so far and answers the waiters.
    ///
    /// # Errors
    /// When the system reports one; the log directory is offline then.
    pub fn flush(&self) -> Result<(), StorageError> {
        let outcome = self.sync_to_end();
        match &outcome {
            Ok(durable_offset) => self.answer_waiters(*durable_offset),
            Err(error) => self.refuse_waiters(error),
        }
        outcome.map(|_| ())
    }

    fn sync_to_end(&self) -> Result<i64, StorageError> {
        let _flushing = self.durability.flushing.lock();
        self.dir().check()?;
        self.unsynced_bytes.store(0, Ordering::Release);
        self.unsynced_since_ms.store(i64::MAX, Ordering::Release);
        let frontiers = self.frontiers();
        let durable_offset = self.durable_offset();
        if durable_offset >= frontiers.log_end_offset {
            return Ok(durable_offset);
        }
        let first = frontiers.floor(durable_offset);
        for (index, segment) in frontiers.segments.iter().enumerate().skip(first) {
            let finished = index + 1 < frontiers.segments.len();
            match segment.sync(finished) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && !self.contains(segment) => {}
                synced => synced.at("fdatasync", segment.data_path()).map_err(|error| self.sync_failed(error))?,
            }
        }
        if self.names_dirty.swap(false, Ordering::AcqRel) {
            let dir = self.home().dir();
            sync_dir(&dir).and_then(|()| sync_dir(self.dir().path())).map_err(|error| self.sync_failed(error))?;
        }
        self.durability.offset.fetch_max(frontiers.log_end_offset, Ordering::AcqRel);
        Ok(frontiers.log_end_offset)
    }

    /// The whole file system was synced after the last append: everything is durable.
    pub(crate) fn synced_with_file_system(&self) {
        self.synced_up_to(self.log_end_offset());
    }

    /// The file system was synced after the log had reached `log_end_offset`.
    pub(crate) fn synced_up_to(&self, log_end_offset: i64) {
        self.durability.offset.fetch_max(log_end_offset, Ordering::AcqRel);
        self.answer_waiters(self.durable_offset());
    }

    /// fsyncs data and indexes of a log that [`Log::finish`] has finished.
    pub(crate) fn sync_finished(&self) -> Result<(), StorageError> {
        self.flush()?;
        let frontiers = self.frontiers();
        let active = frontiers.active();
        active.sync(true).at("fdatasync", active.data_path()).map_err(|error| self.sync_failed(error))
    }

    /// Whatever the reason, bytes may be lost: even "no space" from an fsync takes the directory offline.
    fn sync_failed(&self, error: StorageError) -> StorageError {
        if self.state_is_closed() {
            return error;
        }
        self.dir().judge(StorageError { kind: crate::StorageErrorKind::Io, ..error })
    }

    /// Whether the segment is still part of the log; one that retention removed meanwhile needs no sync.
    fn contains(&self, segment: &Arc<crate::segment::Segment>) -> bool {
        self.frontiers().segments.iter().any(|current| Arc::ptr_eq(current, segment))
    }

    fn state_is_closed(&self) -> bool {
        self.state.try_lock().is_some_and(|state| state.closed)
    }

    fn answer_waiters(&self, durable_offset: i64) {
        let ready: Vec<DurableCallback> = {
            let mut waiters = self.durability.waiters.lock();
            let (ready, waiting) = waiters.drain(..).partition(|(offset, _)| *offset <= durable_offset);
            *waiters = waiting;
            ready.into_iter().map(|(_, callback): (i64, DurableCallback)| callback).collect()
        };
        for callback in ready {
            callback(Ok(()));
        }
    }

    fn refuse_waiters(&self, error: &StorageError) {
        let waiters = std::mem::take(&mut *self.durability.waiters.lock());
        for (_, callback) in waiters {
            callback(Err(error.clone()));
        }
    }

    /// Nobody will sync this log any more.
    pub(crate) fn fail_waiters(&self) {
        self.refuse_waiters(&StorageError::closed(self.home().dir()));
    }
}

/// The flusher threads and the queue of logs before them.
pub(crate) struct Flusher {
    queue: Mutex<Queue>,
    wake: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) times: FlushTimes,
}

/// How long the fsyncs of the flusher threads took.
pub struct FlushTimes {
    started: Instant,
    count: AtomicU64,
    histogram: TimerHistogram,
}

impl FlushTimes {
    fn new() -> FlushTimes {
        FlushTimes { started: Instant::now(), count: AtomicU64::new(0), histogram: TimerHistogram::new() }
    }

    fn record(&self, duration: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.histogram.record(duration, self.started.elapsed());
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// These quantiles of the last minutes in milliseconds; `None` when there was no fsync.
    pub fn quantiles_ms<const N: usize>(&self, wanted: [f64; N]) -> Option<[f64; N]> {
        self.histogram.quantiles_ms(wanted, self.started.elapsed())
    }
}

#[derive(Default)]
struct Queue {
    logs: VecDeque<Arc<Log>>,
    stopped: bool,
}

impl Flusher {
    /// Starts `threads` threads (at least one).
    pub fn start(threads: usize) -> Arc<Flusher> {
        let flusher = Arc::new(Flusher {
            queue: Mutex::default(),
            wake: Condvar::new(),
            threads: Mutex::default(),
            times: FlushTimes::new(),
        });
        for n in 0..threads.max(1) {
            let worker = flusher.clone();
            let spawned = std::thread::Builder::new().name(format!("log-flusher-{n}")).spawn(move || worker.run());
            match spawned {
                Ok(thread) => flusher.threads.lock().push(thread),
                Err(error) => tracing::error!(%error, "cannot start a flusher thread"),
            }
        }
        flusher
    }

    fn enqueue(&self, log: Arc<Log>) -> bool {
        let mut queue = self.queue.lock();
        if queue.stopped {
            return false;
        }
        queue.logs.push_back(log);
        drop(queue);
        self.wake.notify_one();
        true
    }

    fn run(&self) {
        while let Some(log) = self.next() {
            log.durability.queued.store(false, Ordering::Release);
            let began = Instant::now();
            // The failure has been logged and the waiters have heard it.
            let _ = log.flush();
            self.times.record(began.elapsed());
        }
    }

    fn next(&self) -> Option<Arc<Log>> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(log) = queue.logs.pop_front() {
                return Some(log);
            }
            if queue.stopped {
                return None;
            }
            self.wake.wait(&mut queue);
        }
    }

    /// Works off the queue and ends the threads. Later requests are refused.
    pub fn stop(&self) {
        self.queue.lock().stopped = true;
        self.wake.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _ = thread.join();
        }
    }
}
