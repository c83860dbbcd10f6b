//! Open files, bounded: thousands of partitions share a few thousand descriptors.
//!
//! Every file of a log is a [`LazyFile`]: opened on first use, closed when the [`FileCache`] needs room. A closed file's
//! descriptor lives on while somebody still holds the `Arc<File>` (a response being sent), so eviction never breaks a reader.
//! Eviction is second chance: a file used since it was last considered is passed over once.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

/// The open files of a log manager.
#[derive(Debug)]
pub struct FileCache {
    limit: usize,
    open: Mutex<VecDeque<Weak<Slot>>>,
}

#[derive(Debug, Default)]
struct Slot {
    file: ArcSwapOption<File>,
    used: AtomicBool,
    queued: AtomicBool,
}

impl FileCache {
    /// A cache that keeps at most `limit` files open (at least 8).
    pub fn new(limit: usize) -> Arc<FileCache> {
        Arc::new(FileCache { limit: limit.max(8), open: Mutex::default() })
    }

    /// Half of the process's descriptor limit (sockets need the rest), at most 8192.
    pub fn default_limit() -> usize {
        let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(16_384);
        (soft / 2).clamp(64, 8192) as usize
    }

    fn admit(&self, slot: &Arc<Slot>) {
        let mut open = self.open.lock();
        if !slot.queued.swap(true, Ordering::AcqRel) {
            open.push_back(Arc::downgrade(slot));
        }
        let mut chances = open.len();
        while open.len() > self.limit {
            let Some(oldest) = open.pop_front() else { break };
            let Some(victim) = oldest.upgrade() else { continue };
            if Arc::ptr_eq(&victim, slot) || (chances > 0 && victim.used.swap(false, Ordering::AcqRel)) {
                chances = chances.saturating_sub(1);
                open.push_back(oldest);
                continue;
            }
            victim.queued.store(false, Ordering::Release);
            victim.file.store(None);
        }
    }

    #[cfg(test)]
    fn open_count(&self) -> usize {
        self.open.lock().iter().filter_map(Weak::upgrade).filter(|slot| slot.file.load().is_some()).count()
    }
}

/// A file that is opened when needed and may be closed in between.
#[derive(Debug)]
pub struct LazyFile {
    cache: Arc<FileCache>,
    slot: Arc<Slot>,
}

impl LazyFile {
    /// A file that is not open yet.
    pub fn new(cache: &Arc<FileCache>) -> LazyFile {
        LazyFile { cache: cache.clone(), slot: Arc::default() }
    }

    /// The open file; `open` is called when it is closed at the moment.
    ///
    /// # Errors
    /// Whatever `open` fails with.
    pub fn get(&self, open: impl FnOnce() -> io::Result<File>) -> io::Result<Arc<File>> {
        if let Some(file) = self.slot.file.load_full() {
            self.slot.used.store(true, Ordering::Relaxed);
            return Ok(file);
        }
        let file = Arc::new(open()?);
        self.slot.used.store(true, Ordering::Relaxed);
        self.slot.file.store(Some(file.clone()));
        self.cache.admit(&self.slot);
        Ok(file)
    }

    /// Closes the file as soon as the last reader lets go of it.
    pub fn close(&self) {
        self.slot.file.store(None);
    }
}

#[cfg(test)]
mod tests;
