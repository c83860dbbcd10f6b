//! What all logs of a manager share: open files, the clock, the flusher, files waiting for removal.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use milena_stdx::Clock;
use parking_lot::Mutex;

use crate::file_cache::FileCache;
use crate::flusher::Flusher;

/// Settings that are the same for every log.
#[derive(Debug, Clone)]
pub(crate) struct Tuning {
    /// Unsynced bytes of a log from which a flusher writes them back early; 0 for never.
    pub early_writeback_bytes: u64,
    /// Disk space reserved at a time for a growing segment; 0 for none.
    pub preallocate_bytes: u64,
}

pub(crate) struct LogContext {
    pub files: Arc<FileCache>,
    pub clock: Arc<dyn Clock>,
    pub flusher: Arc<Flusher>,
    pub tuning: Tuning,
    /// Milliseconds after which a silent producer is forgotten.
    pub producer_id_expiration_ms: AtomicI64,
    pub trash: Trash,
}

impl LogContext {
    pub fn producer_id_expiration_ms(&self) -> i64 {
        self.producer_id_expiration_ms.load(Relaxed)
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }
}

/// Files and directories that were renamed and are removed after `file.delete.delay.ms`.
#[derive(Debug, Default)]
pub(crate) struct Trash {
    waiting: Mutex<Vec<(i64, PathBuf)>>,
}

impl Trash {
    /// Removes `path` at `due_ms` or soon after.
    pub fn put(&self, due_ms: i64, path: PathBuf) {
        self.waiting.lock().push((due_ms, path));
    }

    /// Removes everything that is due at `now_ms`.
    pub fn empty(&self, now_ms: i64) {
        let due: Vec<PathBuf> = {
            let mut waiting = self.waiting.lock();
            let (due, rest) = waiting.drain(..).partition(|(due_ms, _)| *due_ms <= now_ms);
            *waiting = rest;
            due.into_iter().map(|(_, path): (i64, PathBuf)| path).collect()
        };
        for path in due {
            remove(&path);
        }
    }
}

/// Removes a file or a directory with its files; a missing one is fine.
pub(crate) fn remove(path: &std::path::Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove deleted file");
        }
        _ => {}
    }
}
