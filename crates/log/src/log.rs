//! The log of one partition: an ordered chain of segments in one directory.
//!
//! Always true:
//!   log_start_offset <= last_stable_offset <= high_watermark == log_end_offset (single node: what is written is committed)
//!   segments are ordered, and only the last one is written; a replacement (compaction) is a new [`Segment`]
//!   what readers see is one immutable [`Frontiers`] value, published after the bytes are in the file
//!
//! Locks, in the order in which they are taken: `state` (appends, rolls, deletes, swaps), `frontiers`, those inside a segment.
//! Readers take only `frontiers`, for the length of a clone.
//!
//! Deliberately absent: no network, no knowledge of leaders beyond the epoch number, no async.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use milena_protocol::Uuid;
use parking_lot::{Mutex, RwLock};

use crate::config::LogConfig;
use crate::context::LogContext;
use crate::error::{DeleteRecordsError, IoContext, StorageError};
use crate::flusher::Durability;
use crate::leader_epoch_checkpoint::{EpochEntry, LeaderEpochs};
use crate::log_dir::{LogDir, write_topic_id};
use crate::paths::{DELETED_SUFFIX, LogHome, SNAPSHOT_SUFFIX, file_name};
use crate::producer_snapshot;
use crate::producer_state::{ProducerEntry, ProducerState};
use crate::segment::Segment;

/// The log of one partition. Shared by everyone who reads or writes it.
pub struct Log {
    pub(crate) this: Weak<Log>,
    topic: String,
    partition: i32,
    topic_id: RwLock<Uuid>,
    config: ArcSwap<LogConfig>,
    /// Where the files are; another place once the log has moved to another log directory.
    home: ArcSwap<LogHome>,
    dir: ArcSwap<LogDir>,
    /// Held while something rewrites closed segments or copies them: compaction and moves exclude each other.
    pub(crate) rewriting: Mutex<()>,
    pub(crate) context: Arc<LogContext>,
    pub(crate) state: Mutex<AppendState>,
    pub(crate) frontiers: RwLock<Frontiers>,
    pub(crate) durability: Durability,
    /// Bytes appended since the last fsync began.
    pub(crate) unsynced_bytes: AtomicU64,
    /// When the oldest unsynced append happened; `i64::MAX` for none.
    pub(crate) unsynced_since_ms: AtomicI64,
    /// Something was appended or recovered since the log was opened, so closing it takes work.
    pub(crate) changed: AtomicBool,
    /// Files were created since the directory was last fsynced.
    pub(crate) names_dirty: AtomicBool,
    latest_leader_epoch: AtomicI64,
}

/// What only the appender changes.
pub(crate) struct AppendState {
    pub producers: ProducerState,
    pub epochs: LeaderEpochs,
    /// Offset of the newest snapshot of `producers` on disk.
    pub snapshot_offset: i64,
    pub closed: bool,
}

/// What readers see, all of one moment.
#[derive(Clone)]
pub(crate) struct Frontiers {
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    pub last_stable_offset: i64,
    /// Bytes of the last segment that belong to offsets below `log_end_offset`.
    pub active_size: u64,
    /// Never empty.
    pub segments: Arc<Vec<Arc<Segment>>>,
}

impl Frontiers {
    pub fn active(&self) -> &Arc<Segment> {
        self.segments.last().expect("a log always has a segment")
    }

    /// Readable bytes of segment `index`.
    pub fn size_of(&self, index: usize) -> u64 {
        if index + 1 == self.segments.len() { self.active_size } else { self.segments[index].size() }
    }

    /// Index of the segment that covers `offset`: the last one that does not start above it.
    pub fn floor(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base_offset() <= offset).saturating_sub(1)
    }
}

/// Everything recovery finds out about a partition's directory.
pub(crate) struct LogParts {
    pub topic: String,
    pub partition: i32,
    pub topic_id: Uuid,
    pub home: Arc<LogHome>,
    pub dir: Arc<LogDir>,
    pub segments: Vec<Arc<Segment>>,
    pub log_start_offset: i64,
    pub producers: ProducerState,
    pub epochs: LeaderEpochs,
    pub snapshot_offset: i64,
    /// Everything below is known to be fsynced.
    pub durable_offset: i64,
}

impl Log {
    pub(crate) fn new(parts: LogParts, config: Arc<LogConfig>, context: Arc<LogContext>) -> Arc<Log> {
        let active = parts.segments.last().expect("recovery always yields a segment");
        let log_end_offset = active.next_offset();
        let frontiers = Frontiers {
            log_start_offset: parts.log_start_offset,
            log_end_offset,
            last_stable_offset: parts.producers.first_open_offset().unwrap_or(log_end_offset),
            active_size: active.size(),
            segments: Arc::new(parts.segments),
        };
        Arc::new_cyclic(|this| Log {
            this: this.clone(),
            topic: parts.topic,
            partition: parts.partition,
            topic_id: RwLock::new(parts.topic_id),
            config: ArcSwap::new(config),
            home: ArcSwap::new(parts.home),
            dir: ArcSwap::new(parts.dir),
            rewriting: Mutex::default(),
            context,
            latest_leader_epoch: AtomicI64::new(i64::from(parts.epochs.latest().unwrap_or(-1))),
            state: Mutex::new(AppendState {
                producers: parts.producers,
                epochs: parts.epochs,
                snapshot_offset: parts.snapshot_offset,
                closed: false,
            }),
            frontiers: RwLock::new(frontiers),
            durability: Durability::new(parts.durable_offset),
            unsynced_bytes: AtomicU64::new(0),
            unsynced_since_ms: AtomicI64::new(i64::MAX),
            changed: AtomicBool::new(false),
            names_dirty: AtomicBool::new(false),
        })
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition's number.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The topic's id; [`Uuid::ZERO`] if the directory predates topic ids.
    pub fn topic_id(&self) -> Uuid {
        *self.topic_id.read()
    }

    /// Records the topic id of a log that has none yet.
    pub(crate) fn set_topic_id(&self, topic_id: Uuid) -> Result<(), StorageError> {
        let mut current = self.topic_id.write();
        if *current == Uuid::ZERO && topic_id != Uuid::ZERO {
            write_topic_id(&self.home().dir(), topic_id)?;
            *current = topic_id;
        }
        Ok(())
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<LogConfig> {
        self.config.load_full()
    }

    /// Puts new settings into force; they apply from the next append and the next background round.
    pub fn update_config(&self, config: Arc<LogConfig>) {
        self.config.store(config);
    }

    /// The partition's directory.
    pub fn path(&self) -> PathBuf {
        self.home().dir()
    }

    /// The log directory the partition lives in.
    pub fn log_dir(&self) -> PathBuf {
        self.dir().path().to_path_buf()
    }

    pub(crate) fn home(&self) -> Arc<LogHome> {
        self.home.load_full()
    }

    pub(crate) fn dir(&self) -> arc_swap::Guard<Arc<LogDir>> {
        self.dir.load()
    }

    /// The log lives in another log directory from now on. The caller holds `state` and has brought the files there.
    pub(crate) fn settle(&self, home: Arc<LogHome>, dir: Arc<LogDir>) {
        self.home.store(home);
        self.dir.store(dir);
    }

    /// Whether its log directory works.
    pub fn is_online(&self) -> bool {
        self.dir().failure().is_none()
    }

    /// First offset that can be read.
    pub fn log_start_offset(&self) -> i64 {
        self.frontiers.read().log_start_offset
    }

    /// One past the last offset.
    pub fn log_end_offset(&self) -> i64 {
        self.frontiers.read().log_end_offset
    }

    /// One past the last offset that is committed; on a single node that is the log end.
    pub fn high_watermark(&self) -> i64 {
        self.log_end_offset()
    }

    /// One past the last offset that a read_committed consumer may see.
    pub fn last_stable_offset(&self) -> i64 {
        self.frontiers.read().last_stable_offset
    }

    /// The newest leader epoch known, -1 for none.
    pub fn latest_leader_epoch(&self) -> i32 {
        self.latest_leader_epoch.load(Ordering::Acquire) as i32
    }

    pub(crate) fn publish_leader_epoch(&self, epochs: &LeaderEpochs) {
        self.latest_leader_epoch.store(i64::from(epochs.latest().unwrap_or(-1)), Ordering::Release);
    }

    /// Bytes in the data files of all segments.
    pub fn size_in_bytes(&self) -> u64 {
        let frontiers = self.frontiers();
        (0..frontiers.segments.len()).map(|index| frontiers.size_of(index)).sum()
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.frontiers.read().segments.len()
    }

    pub(crate) fn frontiers(&self) -> Frontiers {
        self.frontiers.read().clone()
    }

    /// The largest known leader epoch not above `leader_epoch` and its end offset, `(-1, -1)` if that cannot be told (KIP-279).
    pub fn end_offset_for_epoch(&self, leader_epoch: i32) -> (i32, i64) {
        let state = self.state.lock();
        state.epochs.end_offset(leader_epoch, self.log_end_offset())
    }

    /// A new leader epoch starts at the current end of the log. Older and equal epochs change nothing.
    pub fn start_new_leader_epoch(&self, leader_epoch: i32) {
        let mut state = self.state.lock();
        let log_end_offset = self.log_end_offset();
        if state.epochs.assign(leader_epoch, log_end_offset) {
            self.publish_leader_epoch(&state.epochs);
        }
    }

    /// The leader epochs of the log, oldest first.
    pub fn leader_epochs(&self) -> Vec<EpochEntry> {
        self.state.lock().epochs.entries().to_vec()
    }

    /// What is known of the idempotent producers of this partition, by producer id.
    pub fn producers(&self) -> Vec<ProducerSummary> {
        let state = self.state.lock();
        let summarize = |(id, entry): (&i64, &ProducerEntry)| ProducerSummary {
            producer_id: *id,
            producer_epoch: entry.producer_epoch,
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            current_txn_start_offset: entry.current_txn_first_offset,
        };
        let mut producers: Vec<_> = state.producers.producers().iter().map(summarize).collect();
        producers.sort_unstable_by_key(|producer| producer.producer_id);
        producers
    }

    /// Makes everything below `offset` unreadable and removes the segments that lie wholly below. -1 stands for the high watermark.
    /// Returns the new log start offset.
    ///
    /// # Errors
    /// When the offset is beyond the high watermark, or the topic's `cleanup.policy` is compaction alone.
    pub fn delete_records(&self, offset: i64) -> Result<i64, DeleteRecordsError> {
        let config = self.config();
        if config.cleanup_policy.compact && !config.cleanup_policy.delete {
            return Err(DeleteRecordsError::PolicyViolation);
        }
        let mut state = self.state.lock();
        self.check_usable(&state)?;
        let high_watermark = self.high_watermark();
        let offset = if offset == -1 { high_watermark } else { offset };
        if offset < 0 || offset > high_watermark {
            return Err(DeleteRecordsError::OutOfRange { offset, high_watermark });
        }
        self.advance_start(&mut state, offset);
        self.delete_below_start(&mut state)?;
        Ok(self.log_start_offset())
    }

    /// Raises the log start offset; it never goes back.
    pub(crate) fn advance_start(&self, state: &mut AppendState, offset: i64) {
        let mut frontiers = self.frontiers.write();
        frontiers.log_start_offset = frontiers.log_start_offset.max(offset.min(frontiers.log_end_offset));
        frontiers.last_stable_offset = frontiers.last_stable_offset.max(frontiers.log_start_offset);
        state.epochs.truncate_from_start(frontiers.log_start_offset);
    }

    /// Deletes the segments whose every record lies below the log start.
    pub(crate) fn delete_below_start(&self, state: &mut AppendState) -> Result<usize, StorageError> {
        let frontiers = self.frontiers();
        let start = frontiers.log_start_offset;
        let all_below = frontiers.log_end_offset <= start && frontiers.active_size > 0;
        if all_below {
            self.roll_locked(state)?;
        }
        let segments = self.frontiers().segments;
        let doomed = segments.windows(2).take_while(|pair| pair[1].base_offset() <= start).count();
        self.delete_oldest(state, doomed)?;
        Ok(doomed)
    }

    /// Deletes the oldest `count` segments (never the last one): renamed now, removed after `file.delete.delay.ms`.
    pub(crate) fn delete_oldest(&self, state: &mut AppendState, count: usize) -> Result<(), StorageError> {
        if count == 0 {
            return Ok(());
        }
        let doomed: Vec<Arc<Segment>> = {
            let mut frontiers = self.frontiers.write();
            let (doomed, kept) = frontiers.segments.split_at(count.min(frontiers.segments.len() - 1));
            let (doomed, kept) = (doomed.to_vec(), kept.to_vec());
            let first = kept[0].base_offset();
            frontiers.segments = Arc::new(kept);
            frontiers.log_start_offset = frontiers.log_start_offset.max(first);
            frontiers.last_stable_offset = frontiers.last_stable_offset.max(frontiers.log_start_offset);
            doomed
        };
        state.epochs.truncate_from_start(self.log_start_offset());
        let first_kept = self.frontiers.read().segments[0].base_offset();
        for segment in &doomed {
            self.discard(segment)?;
        }
        self.remove_snapshots_below(first_kept);
        self.persist_epochs(state);
        Ok(())
    }

    /// Renames the files of a segment that left the log to `.deleted`, to be removed later.
    pub(crate) fn discard(&self, segment: &Segment) -> Result<(), StorageError> {
        segment
            .change_suffix(DELETED_SUFFIX)
            .at("rename", segment.data_path())
            .map_err(|error| self.dir().judge(error))?;
        let due_ms = self.context.now_ms().saturating_add(self.config().file_delete_delay_ms);
        for path in segment.all_paths() {
            self.context.trash.put(due_ms, path);
        }
        Ok(())
    }

    fn remove_snapshots_below(&self, offset: i64) {
        let dir = self.home().dir();
        for snapshot in producer_snapshot::list(&dir).unwrap_or_default() {
            if snapshot < offset {
                crate::context::remove(&dir.join(file_name(snapshot, SNAPSHOT_SUFFIX)));
            }
        }
    }

    /// Finishes the active segment and starts a new one at the log end. Does nothing while the active one is empty.
    pub(crate) fn roll_locked(&self, state: &mut AppendState) -> Result<(), StorageError> {
        let frontiers = self.frontiers();
        let active = frontiers.active();
        if active.size() == 0 {
            return Ok(());
        }
        if let Err(error) = active.seal().at("seal", active.data_path()).map_err(|error| self.dir().judge(error)) {
            // On a full disk the entries stay in memory; they are written when the segment is flushed.
            if error.kind != crate::StorageErrorKind::DiskFull {
                return Err(error);
            }
        }
        let next =
            Segment::create(&self.home(), &self.context.files, frontiers.log_end_offset, "", self.context.now_ms());
        // The file exists from now on, because its name is what remembers the log end once older segments are gone.
        next.file_for_append().at("create", next.data_path()).map_err(|error| self.dir().judge(error))?;
        self.names_dirty.store(true, Ordering::Release);
        let mut segments = frontiers.segments.to_vec();
        segments.push(Arc::new(next));
        {
            let mut current = self.frontiers.write();
            current.segments = Arc::new(segments);
            current.active_size = 0;
        }
        self.snapshot_producers(state);
        self.request_flush();
        Ok(())
    }

    /// Writes a producer snapshot at the log end unless there is one. Failure costs recovery time, nothing else.
    pub(crate) fn snapshot_producers(&self, state: &mut AppendState) {
        let log_end_offset = self.log_end_offset();
        if state.snapshot_offset >= log_end_offset {
            return;
        }
        match producer_snapshot::write(&self.home().dir(), log_end_offset, &state.producers) {
            Ok(()) => state.snapshot_offset = log_end_offset,
            Err(error) => {
                tracing::warn!(topic = %self.topic, partition = self.partition, %error, "producer snapshot not written")
            }
        }
    }

    /// Writes the leader-epoch checkpoint if it changed. Failure is logged and tried again later: the batches carry the epochs too.
    pub(crate) fn persist_epochs(&self, state: &mut AppendState) {
        if !state.epochs.is_dirty() {
            return;
        }
        if let Err(error) = state.epochs.persist(&self.home().dir()) {
            tracing::warn!(topic = %self.topic, partition = self.partition, %error, "leader epochs not written");
        }
    }

    pub(crate) fn check_usable(&self, state: &AppendState) -> Result<(), StorageError> {
        if state.closed {
            return Err(StorageError::closed(self.home().dir()));
        }
        self.dir().check()
    }

    /// Stops appends, and hands everything that is still in memory to the file system. Answers whether an fsync is needed.
    pub(crate) fn finish(&self) -> Result<bool, StorageError> {
        let mut state = self.state.lock();
        state.closed = true;
        self.dir().check()?;
        if !self.changed.load(Ordering::Acquire) {
            return Ok(false);
        }
        let frontiers = self.frontiers();
        let active = frontiers.active();
        active.close_cleanly().at("seal", active.data_path())?;
        for segment in frontiers.segments.iter() {
            segment.write_indexes().at("write index of", segment.data_path())?;
        }
        // Without a snapshot a clean start takes it that there are no producers, so thousands of small logs need no file each.
        if !state.producers.producers().is_empty() || state.snapshot_offset > 0 {
            self.snapshot_producers(&mut state);
        }
        self.persist_epochs(&mut state);
        Ok(true)
    }

    /// Stops appends, answers the waiters, and lets go of all files.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.fail_waiters();
        for segment in self.frontiers().segments.iter() {
            segment.close();
        }
    }

    /// Moves the whole directory, for deletion.
    pub(crate) fn rename_dir(&self, to: PathBuf) -> Result<(), StorageError> {
        self.home().rename(to).at("rename", self.home().dir())
    }

    /// Forgets producers that have been silent for too long.
    pub(crate) fn expire_producers(&self, now_ms: i64) {
        self.state.lock().producers.expire(now_ms, self.context.producer_id_expiration_ms());
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({}-{})", self.topic, self.partition)
    }
}

/// One idempotent producer of a partition, as DescribeProducers tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerSummary {
    /// The producer.
    pub producer_id: i64,
    /// Its newest epoch here.
    pub producer_epoch: i16,
    /// Sequence of its last record, -1 for none.
    pub last_sequence: i32,
    /// Timestamp of its last batch in milliseconds.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that ended its last transaction, -1 for none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub current_txn_start_offset: Option<i64>,
}

#[cfg(test)]
mod tests;
