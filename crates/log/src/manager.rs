//! All logs of a process: opens the log directories, hands out logs, runs the background work, closes everything cleanly.
//!
//! Threads, whatever the number of partitions: the flushers (see [`crate::flusher`]), one for retention and checkpoints, one for
//! compaction.

mod checkpoints;

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use milena_protocol::Uuid;
use milena_stdx::Clock;
use parking_lot::{Condvar, Mutex, RwLock};

use crate::checkpoint::{self, Offsets};
use crate::config::LogConfig;
use crate::context::{LogContext, Trash, Tuning};
use crate::error::{IoContext, OpenError, StorageError};
use crate::file_cache::FileCache;
use crate::flusher::{FlushTimes, Flusher};
use crate::log::{Log, LogParts};
use crate::log_dir::{LogDir, MetaProperties, write_topic_id};
use crate::moves::Moves;
use crate::paths::{self, LogHome, parse_partition_dir, partition_dir_name};
use crate::producer_state::ProducerState;
use crate::recovery::{Checkpointed, load_log};
use crate::segment::Segment;

/// How the settings of a topic are found when its log is opened.
pub type ConfigOf = Arc<dyn Fn(&str) -> Arc<LogConfig> + Send + Sync>;

/// Settings of compaction (`log.cleaner.*`).
#[derive(Debug, Clone)]
pub struct CleanerOptions {
    /// Whether compaction runs at all (`log.cleaner.enable`).
    pub enable: bool,
    /// Bytes for the map of keys (`log.cleaner.dedupe.buffer.size`).
    pub dedupe_buffer_bytes: usize,
    /// How full that map may become, 0 to 1 (`log.cleaner.io.buffer.load.factor`).
    pub load_factor: f64,
    /// Pause between two rounds that found nothing to do (`log.cleaner.backoff.ms`).
    pub backoff: Duration,
    /// Bytes read and written per second at most (`log.cleaner.io.max.bytes.per.second`).
    pub io_bytes_per_second_max: f64,
}

impl Default for CleanerOptions {
    fn default() -> Self {
        CleanerOptions {
            enable: true,
            dedupe_buffer_bytes: 128 * 1024 * 1024,
            load_factor: 0.9,
            backoff: Duration::from_secs(15),
            io_bytes_per_second_max: f64::MAX,
        }
    }
}

/// How to open the logs of a process.
#[derive(Clone)]
pub struct LogManagerOptions {
    /// The directories that hold the partitions (`log.dirs`); created if missing.
    pub log_dirs: Vec<PathBuf>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Id of the cluster, checked against `meta.properties`.
    pub cluster_id: String,
    /// Id of this node, checked against `meta.properties`.
    pub node_id: i32,
    /// Finds the settings of a topic whose log is opened at the start.
    pub config_of: ConfigOf,
    /// Threads that open logs at the start (`num.recovery.threads.per.data.dir` times directories).
    pub recovery_threads: usize,
    /// Threads that fsync.
    pub flusher_threads: usize,
    /// Unsynced bytes of one log from which they are written back early; 0 for never.
    pub early_writeback_bytes: u64,
    /// Disk space reserved at a time for a growing segment; 0 for none.
    pub preallocate_bytes: u64,
    /// Descriptors kept open; `None` for half of the process's limit.
    pub open_files_max: Option<usize>,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`.
    pub checkpoint_interval: Duration,
    /// Compaction.
    pub cleaner: CleanerOptions,
}

impl LogManagerOptions {
    /// Kafka's defaults for one directory.
    pub fn new(log_dir: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> LogManagerOptions {
        let default_config = Arc::new(LogConfig::default());
        LogManagerOptions {
            log_dirs: vec![log_dir.into()],
            clock,
            cluster_id: String::new(),
            node_id: 1,
            config_of: Arc::new(move |_| default_config.clone()),
            recovery_threads: 2,
            flusher_threads: 4,
            early_writeback_bytes: 32 * 1024 * 1024,
            preallocate_bytes: 16 * 1024 * 1024,
            open_files_max: None,
            producer_id_expiration_ms: 86_400_000,
            retention_check_interval: Duration::from_secs(300),
            checkpoint_interval: Duration::from_secs(60),
            cleaner: CleanerOptions::default(),
        }
    }
}

/// Logs with unsynced data from which a stop or a checkpoint syncs the whole file system at once instead of file by file.
const SYNC_WHOLE_FILE_SYSTEM_FROM: usize = 32;

type Key = (String, i32);

/// All logs of a process.
pub struct LogManager {
    pub(crate) context: Arc<LogContext>,
    dirs: Vec<Arc<LogDir>>,
    logs: RwLock<HashMap<String, HashMap<i32, Arc<Log>>>>,
    /// Partitions that could not be opened, and why.
    broken: Mutex<HashMap<Key, StorageError>>,
    /// Held while a partition is created or deleted.
    changing: Mutex<()>,
    pub(crate) cleaned: Mutex<Offsets>,
    /// What compaction goes by; see [`LogManager::set_cleaner`].
    pub(crate) cleaner: Mutex<CleanerOptions>,
    pub(crate) options: LogManagerOptions,
    pub(crate) moves: Moves,
    /// Directories that get no new partitions (`cordoned.log.dirs`).
    cordoned: RwLock<Vec<PathBuf>>,
    stop: Mutex<bool>,
    pub(crate) wake: Condvar,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for LogManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogManager").field("dirs", &self.dirs).finish_non_exhaustive()
    }
}

/// One log directory and what is in it, as DescribeLogDirs tells it.
#[derive(Debug, Clone)]
pub struct LogDirDescription {
    /// Its path.
    pub path: PathBuf,
    /// Why it is offline, if it is.
    pub error: Option<String>,
    /// Size of its file system in bytes, -1 if unknown.
    pub total_bytes: i64,
    /// Free bytes of its file system, -1 if unknown.
    pub usable_bytes: i64,
    /// Topic, partition and size in bytes of every log in it.
    pub logs: Vec<(String, i32, u64)>,
    /// The same for logs that are being copied to it.
    pub future_logs: Vec<(String, i32, u64)>,
    /// Whether it gets no new partitions.
    pub is_cordoned: bool,
}

impl LogManager {
    /// Locks the log directories, checks whose they are, and opens every log in them, recovering from a crash where needed.
    ///
    /// # Errors
    /// When a directory is in use, belongs to another node, or cannot be read. A single partition that cannot be opened is not
    /// an error: it is logged, and [`LogManager::get_or_create`] says why.
    pub fn open(options: LogManagerOptions) -> Result<Arc<LogManager>, OpenError> {
        if options.log_dirs.is_empty() {
            return Err(OpenError::NoLogDirs);
        }
        let mut dirs = Vec::new();
        for path in &options.log_dirs {
            let dir = LogDir::open(path)?;
            MetaProperties::claim(path, &options.cluster_id, options.node_id)?;
            dirs.push(Arc::new(dir));
        }
        let context = Arc::new(LogContext {
            files: FileCache::new(options.open_files_max.unwrap_or_else(FileCache::default_limit)),
            clock: options.clock.clone(),
            flusher: Flusher::start(options.flusher_threads),
            tuning: Tuning {
                early_writeback_bytes: options.early_writeback_bytes,
                preallocate_bytes: options.preallocate_bytes,
            },
            producer_id_expiration_ms: AtomicI64::new(options.producer_id_expiration_ms),
            trash: Trash::default(),
        });
        let manager = LogManager {
            context,
            dirs,
            logs: RwLock::default(),
            broken: Mutex::default(),
            changing: Mutex::default(),
            cleaned: Mutex::default(),
            cleaner: Mutex::new(options.cleaner.clone()),
            options,
            moves: Moves::default(),
            cordoned: RwLock::default(),
            stop: Mutex::new(false),
            wake: Condvar::new(),
            threads: Mutex::default(),
        };
        manager.load_all()?;
        Ok(Arc::new(manager))
    }

    fn load_all(&self) -> Result<(), OpenError> {
        let mut jobs = VecDeque::new();
        for dir in &self.dirs {
            let clean = dir.take_clean_shutdown()?;
            let recovery_points = checkpoint::read_offsets(&dir.path().join(checkpoint::RECOVERY_POINT_FILE));
            let log_starts = checkpoint::read_offsets(&dir.path().join(checkpoint::LOG_START_FILE));
            self.cleaned.lock().extend(checkpoint::read_offsets(&dir.path().join(checkpoint::CLEANER_FILE)));
            for path in self.partition_dirs(dir)? {
                let Some(key) = path.file_name().and_then(|name| name.to_str()).and_then(parse_partition_dir) else {
                    continue;
                };
                let checkpointed = Checkpointed {
                    clean,
                    recovery_point: recovery_points.get(&key).copied(),
                    log_start_offset: log_starts.get(&key).copied(),
                };
                jobs.push_back((path, key, dir.clone(), checkpointed));
            }
        }
        let threads = self.options.recovery_threads.clamp(1, jobs.len().max(1));
        let jobs = Mutex::new(jobs);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let Some((path, key, dir, checkpointed)) = jobs.lock().pop_front() else { break };
                        self.load_one(path, key, dir, checkpointed);
                    }
                });
            }
        });
        Ok(())
    }

    /// The partition directories in `dir`. Those marked for deletion go now, interrupted moves are
    /// finished or forgotten; Kafka's own metadata log is left alone.
    fn partition_dirs(&self, dir: &Arc<LogDir>) -> Result<Vec<PathBuf>, StorageError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir.path()).at("read", dir.path())? {
            let entry = entry.at("read", dir.path())?;
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if !entry.file_type().at("stat", &path)?.is_dir() || name.starts_with("__cluster_metadata-") {
                continue;
            }
            if name.ends_with(paths::DELETE_DIR_SUFFIX) {
                self.context.trash.put(i64::MIN, path);
            } else if name.ends_with(paths::FUTURE_DIR_SUFFIX) {
                found.extend(self.judge_future(dir, &path)?);
            } else if !name.ends_with(paths::STRAY_DIR_SUFFIX) {
                found.push(path);
            }
        }
        Ok(found)
    }

    fn load_one(&self, path: PathBuf, key: Key, dir: Arc<LogDir>, checkpointed: Checkpointed) {
        let config = (self.options.config_of)(&key.0);
        match load_log(path, key.clone(), dir, checkpointed, config, self.context.clone()) {
            Ok(log) => self.insert(log),
            Err(error) => {
                tracing::error!(topic = %key.0, partition = key.1, %error, "partition cannot be opened");
                self.broken.lock().insert(key, error);
            }
        }
    }

    fn insert(&self, log: Arc<Log>) {
        let mut logs = self.logs.write();
        logs.entry(log.topic().to_string()).or_default().insert(log.partition(), log);
    }

    /// The log of a partition, if it exists.
    pub fn get(&self, topic: &str, partition: i32) -> Option<Arc<Log>> {
        self.logs.read().get(topic)?.get(&partition).cloned()
    }

    /// The log of a partition, created in the emptiest log directory if it does not exist.
    ///
    /// # Errors
    /// When it cannot be created, or exists but could not be opened at the start.
    pub fn get_or_create(
        &self,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
        config: Arc<LogConfig>,
    ) -> Result<Arc<Log>, StorageError> {
        if let Some(log) = self.get(topic, partition) {
            log.set_topic_id(topic_id)?;
            return Ok(log);
        }
        let _changing = self.changing.lock();
        if let Some(log) = self.get(topic, partition) {
            return Ok(log);
        }
        if let Some(error) = self.broken.lock().get(&(topic.to_string(), partition)) {
            return Err(error.clone());
        }
        let dir = self.emptiest_dir()?;
        let log = self.create(topic, partition, topic_id, config, dir.clone()).map_err(|error| dir.judge(error))?;
        self.insert(log.clone());
        Ok(log)
    }

    fn create(
        &self,
        topic: &str,
        partition: i32,
        topic_id: Uuid,
        config: Arc<LogConfig>,
        dir: Arc<LogDir>,
    ) -> Result<Arc<Log>, StorageError> {
        let path = dir.path().join(partition_dir_name(topic, partition));
        fs::create_dir_all(&path).at("create", &path)?;
        if topic_id != Uuid::ZERO {
            write_topic_id(&path, topic_id)?;
        }
        let home = Arc::new(LogHome::new(path));
        let segment = Segment::create(&home, &self.context.files, 0, "", self.context.now_ms());
        let parts = LogParts {
            topic: topic.to_string(),
            partition,
            topic_id,
            home,
            dir,
            segments: vec![Arc::new(segment)],
            log_start_offset: 0,
            producers: ProducerState::default(),
            epochs: Default::default(),
            snapshot_offset: 0,
            durable_offset: 0,
        };
        let log = Log::new(parts, config, self.context.clone());
        log.names_dirty.store(true, std::sync::atomic::Ordering::Release);
        Ok(log)
    }

    fn emptiest_dir(&self) -> Result<Arc<LogDir>, StorageError> {
        if let [only] = self.dirs.as_slice() {
            only.check()?;
            return Ok(only.clone());
        }
        let logs = self.logs();
        let is_open = |dir: &&Arc<LogDir>| dir.failure().is_none() && !self.is_cordoned(dir);
        let all_cordoned = !self.dirs.iter().any(|dir| is_open(&dir));
        if all_cordoned {
            tracing::warn!("every log directory is cordoned or offline; a new partition goes into a cordoned one");
        }
        let online = self.dirs.iter().filter(|dir| dir.failure().is_none() && (all_cordoned || is_open(dir)));
        let emptiest = online.min_by_key(|dir| logs.iter().filter(|log| log.log_dir() == dir.path()).count());
        emptiest.cloned().ok_or_else(|| StorageError::offline(self.dirs[0].path(), "every log directory is offline"))
    }

    /// Deletes a partition: its name is free at once, its files go after `file.delete.delay.ms`. A missing one is fine.
    ///
    /// # Errors
    /// When the directory cannot be renamed.
    pub fn delete(&self, topic: &str, partition: i32) -> Result<(), StorageError> {
        let _changing = self.changing.lock();
        let removed = {
            let mut logs = self.logs.write();
            let removed = logs.get_mut(topic).and_then(|partitions| partitions.remove(&partition));
            logs.retain(|_, partitions| !partitions.is_empty());
            removed
        };
        self.cleaned.lock().remove(&(topic.to_string(), partition));
        self.broken.lock().remove(&(topic.to_string(), partition));
        let Some(log) = removed else { return Ok(()) };
        self.call_off_move(topic, partition);
        log.close();
        let unique: String = Uuid::random().0.iter().map(|byte| format!("{byte:02x}")).collect();
        let to = log.log_dir().join(paths::doomed_dir_name(topic, partition, &unique));
        log.rename_dir(to.clone()).map_err(|error| log.dir().judge(error))?;
        let due_ms = self.context.now_ms().saturating_add(log.config().file_delete_delay_ms);
        self.context.trash.put(due_ms, to);
        Ok(())
    }

    pub(crate) fn dirs(&self) -> &[Arc<LogDir>] {
        &self.dirs
    }

    /// From now on producers are forgotten that have been silent for this long.
    pub fn set_producer_id_expiration_ms(&self, expiration_ms: i64) {
        self.context.producer_id_expiration_ms.store(expiration_ms, Relaxed);
    }

    /// From now on new partitions are not put into these directories, unless there is no other.
    pub fn set_cordoned(&self, dirs: Vec<PathBuf>) {
        *self.cordoned.write() = dirs;
    }

    fn is_cordoned(&self, dir: &LogDir) -> bool {
        self.cordoned.read().iter().any(|cordoned| cordoned == dir.path())
    }

    /// Every open log, in no particular order.
    pub fn logs(&self) -> Vec<Arc<Log>> {
        self.logs.read().values().flat_map(HashMap::values).cloned().collect()
    }

    /// The log directories and what is in them.
    pub fn log_dirs(&self) -> Vec<LogDirDescription> {
        let logs = self.logs();
        let describe = |dir: &Arc<LogDir>| {
            let space = rustix::fs::statvfs(dir.path()).ok();
            let bytes = |blocks: u64, unit: u64| i64::try_from(blocks.saturating_mul(unit)).unwrap_or(i64::MAX);
            let own = logs.iter().filter(|log| Arc::ptr_eq(&log.dir(), dir));
            LogDirDescription {
                path: fs::canonicalize(dir.path()).unwrap_or_else(|_| dir.path().to_path_buf()),
                error: dir.failure().map(str::to_string),
                total_bytes: space.as_ref().map_or(-1, |space| bytes(space.f_blocks, space.f_frsize)),
                usable_bytes: space.as_ref().map_or(-1, |space| bytes(space.f_bavail, space.f_frsize)),
                logs: own.map(|log| (log.topic().to_string(), log.partition(), log.size_in_bytes())).collect(),
                future_logs: self.future_logs(dir),
                is_cordoned: self.is_cordoned(dir),
            }
        };
        self.dirs.iter().map(describe).collect()
    }

    fn future_logs(&self, dir: &Arc<LogDir>) -> Vec<(String, i32, u64)> {
        let moves = self.moves.all().into_iter().filter(|running| Arc::ptr_eq(&running.dir, dir));
        let describe = |log: &Log, copied: u64| (log.topic().to_string(), log.partition(), copied);
        moves.map(|running| describe(running.log(), running.copied_bytes())).collect()
    }

    /// How long fsyncs took.
    pub fn flush_times(&self) -> &FlushTimes {
        &self.context.flusher.times
    }

    /// Starts the threads for retention, checkpoints and compaction.
    pub fn start_background(self: &Arc<Self>) {
        let housekeeper = self.clone();
        self.spawn("log-housekeeper", move || housekeeper.keep_house());
        if self.dirs.len() > 1 {
            let mover = self.clone();
            self.spawn("log-mover", move || mover.move_until_stopped());
        }
        if self.options.cleaner.enable {
            let cleaner = self.clone();
            self.spawn("log-cleaner", move || cleaner.clean_until_stopped());
        }
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) {
        match std::thread::Builder::new().name(name.to_string()).spawn(run) {
            Ok(thread) => self.threads.lock().push(thread),
            Err(error) => tracing::error!(name, %error, "cannot start a background thread"),
        }
    }

    /// Waits for `pause` or until the manager stops; answers whether it goes on.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let mut stop = self.stop.lock();
        if !*stop {
            self.wake.wait_for(&mut stop, pause);
        }
        !*stop
    }

    /// Ends all threads and unlocks the directories without finishing anything, as a crash would.
    #[cfg(test)]
    pub(crate) fn abandon(&self) {
        *self.stop.lock() = true;
        self.wake.notify_all();
        self.moves.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _ = thread.join();
        }
        self.context.flusher.stop();
        self.dirs.iter().for_each(|dir| dir.unlock());
    }

    fn keep_house(&self) {
        let mut next_retention = self.context.clock.monotonic() + self.options.retention_check_interval;
        let mut next_checkpoint = self.context.clock.monotonic() + self.options.checkpoint_interval;
        self.empty_trash();
        while self.pause(Duration::from_secs(1)) {
            self.empty_trash();
            self.flush_overdue();
            let now = self.context.clock.monotonic();
            if now >= next_retention {
                next_retention = now + self.options.retention_check_interval;
                self.apply_retention();
            }
            if now >= next_checkpoint {
                next_checkpoint = now + self.options.checkpoint_interval;
                self.advance_recovery_points();
                if let Err(error) = self.write_checkpoints() {
                    tracing::warn!(%error, "checkpoints not written");
                }
            }
        }
    }

    /// Removes files whose `file.delete.delay.ms` has passed.
    pub fn empty_trash(&self) {
        self.context.trash.empty(self.context.now_ms());
    }

    /// fsyncs the logs whose `flush.ms` has passed.
    fn flush_overdue(&self) {
        let now_ms = self.context.now_ms();
        for log in self.logs() {
            let since = log.unsynced_since_ms.load(std::sync::atomic::Ordering::Acquire);
            if since != i64::MAX && now_ms.saturating_sub(since) >= log.config().flush_ms {
                log.request_flush();
            }
        }
    }

    /// Applies retention to every log and forgets expired producers.
    pub fn apply_retention(&self) {
        let now_ms = self.context.now_ms();
        for log in self.logs() {
            log.expire_producers(now_ms);
            if let Err(error) = log.apply_retention() {
                tracing::warn!(topic = log.topic(), partition = log.partition(), %error, "retention failed");
            }
        }
    }

    /// Stops the background work, makes everything durable, writes snapshots and checkpoints, and marks the stop as clean.
    ///
    /// # Errors
    /// The last failure. The mark is left out for a directory in which anything failed: the next start recovers it.
    pub fn shutdown(&self) -> Result<(), StorageError> {
        *self.stop.lock() = true;
        self.wake.notify_all();
        self.moves.stop();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _ = thread.join();
        }
        self.context.flusher.stop();
        let mut outcome = Ok(());
        let logs = self.logs();
        for dir in &self.dirs {
            let own: Vec<&Arc<Log>> = logs.iter().filter(|log| Arc::ptr_eq(&log.dir(), dir)).collect();
            if let Err(error) = self.shut_down_dir(dir, &own) {
                tracing::error!(path = %dir.path().display(), %error, "log directory is not closed cleanly");
                outcome = Err(dir.judge(error));
            }
            own.iter().for_each(|log| log.close());
            dir.unlock();
        }
        outcome
    }

    fn shut_down_dir(&self, dir: &LogDir, logs: &[&Arc<Log>]) -> Result<(), StorageError> {
        dir.check()?;
        let mut unsynced = Vec::new();
        for log in logs {
            if log.finish()? {
                unsynced.push(log);
            }
        }
        if unsynced.len() > SYNC_WHOLE_FILE_SYSTEM_FROM {
            checkpoints::sync_file_system(dir.path())?;
            unsynced.iter().for_each(|log| log.synced_with_file_system());
        } else {
            unsynced.iter().try_for_each(|log| log.sync_finished())?;
        }
        self.write_checkpoints_of(dir.path(), logs)?;
        dir.mark_clean_shutdown()
    }
}

impl Drop for LogManager {
    fn drop(&mut self) {
        self.context.flusher.stop();
    }
}

#[cfg(test)]
mod tests;
