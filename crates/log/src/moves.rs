//! Moves of partitions between the log directories of this process: a queue, one thread, and what becomes of moves that a
//! crash has interrupted.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use milena_protocol::Uuid;
use parking_lot::{Condvar, Mutex};

use crate::checkpoint::sync_dir;
use crate::error::{IoContext, StorageError};
use crate::log::Log;
use crate::log_dir::LogDir;
use crate::manager::LogManager;
use crate::paths::{self, parse_partition_dir, partition_dir_name};
use crate::relocation::{COMPLETE_FILE, Destination, Pace, Stopped, Watcher};

/// Why a partition cannot be moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// `log.dirs` has no such directory.
    #[error("Log dir {} is not found in the config.", .0.display())]
    UnknownLogDir(PathBuf),
    /// There is no such partition here.
    #[error("there is no log of this partition")]
    UnknownPartition,
    /// The directory, or the one the partition is in, is offline.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A partition on its way to another log directory.
pub(crate) struct Move {
    log: Arc<Log>,
    pub dir: Arc<LogDir>,
    future: PathBuf,
    copied: AtomicU64,
    called_off: AtomicBool,
    pace: Mutex<Option<Pace>>,
}

impl Move {
    /// Bytes that are still missing in the copy, as far as can be told.
    pub fn copied_bytes(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }
}

impl Watcher for Move {
    fn copied(&self, bytes: u64) -> bool {
        let total = self.copied.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let wait = self.pace.lock().as_ref().map_or(Duration::ZERO, |pace| pace.wait(total));
        if !wait.is_zero() {
            std::thread::sleep(wait.min(Duration::from_secs(1)));
        }
        !self.called_off.load(Ordering::Relaxed)
    }
}

type Key = (String, i32);

/// Moves that wait or run.
#[derive(Default)]
pub(crate) struct Moves {
    queue: Mutex<VecDeque<Arc<Move>>>,
    wake: Condvar,
    current: Mutex<HashMap<Key, Arc<Move>>>,
    stopped: AtomicBool,
    bytes_per_second: AtomicU64,
    /// What a crash has interrupted: begun anew once the logs are open.
    interrupted: Mutex<Vec<(Key, Arc<LogDir>)>>,
}

impl Moves {
    /// The move of a partition, if there is one.
    #[cfg(test)]
    pub fn of(&self, topic: &str, partition: i32) -> Option<Arc<Move>> {
        self.current.lock().get(&(topic.to_string(), partition)).cloned()
    }

    /// Every move that waits or runs.
    pub fn all(&self) -> Vec<Arc<Move>> {
        self.current.lock().values().cloned().collect()
    }

    /// Ends the thread; what is running is begun anew after the next start.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.all().iter().for_each(|running| running.called_off.store(true, Ordering::Release));
        let _queue = self.queue.lock();
        self.wake.notify_all();
    }

    fn next(&self) -> Option<Arc<Move>> {
        let mut queue = self.queue.lock();
        loop {
            if self.stopped.load(Ordering::Acquire) {
                return None;
            }
            if let Some(next) = queue.pop_front() {
                return Some(next);
            }
            self.wake.wait(&mut queue);
        }
    }

    fn forget(&self, finished: &Arc<Move>) {
        let key = (finished.log.topic().to_string(), finished.log.partition());
        let mut current = self.current.lock();
        if current.get(&key).is_some_and(|known| Arc::ptr_eq(known, finished)) {
            current.remove(&key);
        }
    }
}

impl LogManager {
    /// Moves a partition to the log directory `dir`; returns when the move is queued. Moving it to where it is calls off a move
    /// that is under way.
    ///
    /// # Errors
    /// [`MoveError`]; nothing is moved then.
    pub fn move_log(&self, topic: &str, partition: i32, dir: &Path) -> Result<(), MoveError> {
        let same =
            |known: &&Arc<LogDir>| known.path() == dir || fs::canonicalize(known.path()).is_ok_and(|real| real == dir);
        let dir = self.dirs().iter().find(same).cloned().ok_or_else(|| MoveError::UnknownLogDir(dir.to_path_buf()))?;
        dir.check()?;
        let log = self.get(topic, partition).ok_or(MoveError::UnknownPartition)?;
        log.dir().check()?;
        self.call_off_move(topic, partition);
        if !Arc::ptr_eq(&log.dir(), &dir) {
            self.queue_move(log, dir);
        }
        Ok(())
    }

    /// Bytes per second at which partitions are moved (`replica.alter.log.dirs.io.max.bytes.per.second`).
    pub fn set_move_rate(&self, bytes_per_second: u64) {
        self.moves.bytes_per_second.store(bytes_per_second, Ordering::Relaxed);
    }

    /// Stops the move of a partition, if there is one; its copy is removed.
    pub(crate) fn call_off_move(&self, topic: &str, partition: i32) {
        if let Some(running) = self.moves.current.lock().remove(&(topic.to_string(), partition)) {
            running.called_off.store(true, Ordering::Release);
        }
    }

    fn queue_move(&self, log: Arc<Log>, dir: Arc<LogDir>) {
        let name = partition_dir_name(log.topic(), log.partition());
        let future = dir.path().join(format!("{name}.{}{}", unique(), paths::FUTURE_DIR_SUFFIX));
        // The directory is the memory of the move: after a crash it is begun anew because of it.
        if let Err(error) = fs::create_dir_all(&future) {
            tracing::warn!(path = %future.display(), %error, "a move would not survive a restart");
        }
        let key = (log.topic().to_string(), log.partition());
        let queued = Arc::new(Move {
            log,
            dir,
            future,
            copied: AtomicU64::new(0),
            called_off: AtomicBool::new(false),
            pace: Mutex::default(),
        });
        self.moves.current.lock().insert(key, queued.clone());
        self.moves.queue.lock().push_back(queued);
        self.moves.wake.notify_one();
    }

    /// Carries out moves until the manager stops.
    pub(crate) fn move_until_stopped(&self) {
        for (key, dir) in std::mem::take(&mut *self.moves.interrupted.lock()) {
            if let Some(log) = self.get(&key.0, key.1) {
                self.queue_move(log, dir);
            }
        }
        while let Some(next) = self.moves.next() {
            self.carry_out(&next);
            self.moves.forget(&next);
        }
    }

    fn carry_out(&self, this: &Arc<Move>) {
        let log = &this.log;
        let name = partition_dir_name(log.topic(), log.partition());
        let doomed = log.log_dir().join(paths::doomed_dir_name(log.topic(), log.partition(), &unique()));
        let to = Destination {
            dir: this.dir.clone(),
            future: this.future.clone(),
            path: this.dir.path().join(&name),
            doomed: doomed.clone(),
        };
        *this.pace.lock() = Some(Pace::new(self.moves.bytes_per_second.load(Ordering::Relaxed)));
        let outcome =
            if this.called_off.load(Ordering::Acquire) { Err(Stopped::CalledOff) } else { log.relocate(&to, &**this) };
        match outcome {
            Ok(()) => {
                tracing::info!(topic = log.topic(), partition = log.partition(), to = %to.path.display(), "partition moved");
                let due_ms = self.context.now_ms().saturating_add(log.config().file_delete_delay_ms);
                self.context.trash.put(due_ms, doomed);
                if let Err(error) = self.write_checkpoints() {
                    tracing::warn!(%error, "checkpoints not written");
                }
            }
            // The copy stays as the memory of the move.
            Err(Stopped::CalledOff) if self.moves.stopped.load(Ordering::Acquire) => {}
            Err(Stopped::CalledOff) => crate::context::remove(&this.future),
            Err(Stopped::Failed(error)) => {
                tracing::error!(topic = log.topic(), partition = log.partition(), %error, "partition not moved");
                crate::context::remove(&this.future);
            }
        }
    }

    /// Looks at a `-future` directory of `dir` at the start. A complete copy whose original is gone gets its final name, which
    /// is returned; any other is removed, and its move begun anew later.
    pub(crate) fn judge_future(&self, dir: &Arc<LogDir>, future: &Path) -> Result<Option<PathBuf>, StorageError> {
        let name = future.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('.'));
        let Some(key) = name.and_then(|(partition, _)| parse_partition_dir(partition)) else { return Ok(None) };
        let name = partition_dir_name(&key.0, key.1);
        let original_exists = self.dirs().iter().any(|dir| dir.path().join(&name).is_dir());
        if future.join(COMPLETE_FILE).exists() && !original_exists {
            let path = dir.path().join(&name);
            fs::rename(future, &path).at("rename", future)?;
            sync_dir(dir.path())?;
            crate::context::remove(&path.join(COMPLETE_FILE));
            return Ok(Some(path));
        }
        crate::context::remove(future);
        if original_exists {
            self.moves.interrupted.lock().push((key, dir.clone()));
        }
        Ok(None)
    }
}

fn unique() -> String {
    Uuid::random().0.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
