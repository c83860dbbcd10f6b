//! Moving a partition to another log directory while it is written to (KIP-113).
//!
//! ```text
//!   copy closed segments ─► roll, copy what is new ─► ... ─► under the append lock: roll, copy the last bit, fsync, swap directories
//!   <dir>/<topic>-<n>.<id>-future                                                             ─► <dir>/<topic>-<n>
//! ```
//!
//! Only closed segments are copied, and those never change: rolling the active one makes the newest records copyable. Appends
//! are held up only for the last bit.
//!
//! Crash safety: until the file [`COMPLETE_FILE`] is in the `-future` directory and fsynced, the old directory is the log and the
//! copy is thrown away at the next start (and the move begun anew). From then on both are complete. The old directory gets its
//! `-delete` name first, then the copy gets its final one; a start that finds only a complete copy finishes the second rename.

use std::collections::HashMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::sync_dir;
use crate::error::{IoContext, StorageError};
use crate::log::{AppendState, Log};
use crate::log_dir::LogDir;
use crate::paths::{LogHome, SEGMENT_SUFFIXES};
use crate::segment::Segment;

/// In a `-future` directory: everything is there.
pub(crate) const COMPLETE_FILE: &str = "move-complete";
/// Less than this is copied while appends wait.
const LAST_BIT_BYTES: u64 = 4 * 1024 * 1024;
/// After so many rounds appends wait however much is left: they come faster than the copy.
const ROUNDS_MAX: usize = 50;
const COPY_BYTES: usize = 1024 * 1024;

/// How a move is going on; shared with whoever describes it or calls it off.
pub(crate) trait Watcher {
    /// `bytes` more were copied. False calls the move off. May wait, to keep to a rate.
    fn copied(&self, bytes: u64) -> bool;
}

/// Why a move did not take place. The log is where it was.
#[derive(Debug)]
pub(crate) enum Stopped {
    CalledOff,
    Failed(StorageError),
}

impl From<StorageError> for Stopped {
    fn from(error: StorageError) -> Stopped {
        Stopped::Failed(error)
    }
}

/// Where a log is moved to.
pub(crate) struct Destination {
    pub dir: Arc<LogDir>,
    /// The `-future` directory.
    pub future: PathBuf,
    /// Its final name.
    pub path: PathBuf,
    /// The name that the old directory gets.
    pub doomed: PathBuf,
}

impl Log {
    /// Moves the log. Readers and writers notice nothing but a short wait.
    ///
    /// # Errors
    /// When it was called off or something failed; the copy is then left for the caller to remove.
    pub(crate) fn relocate(&self, to: &Destination, watcher: &dyn Watcher) -> Result<(), Stopped> {
        let _rewriting = self.rewriting.lock();
        fs::create_dir_all(&to.future).at("create", &to.future)?;
        let mut copies = Copies { future: &to.future, done: HashMap::new() };
        for _ in 0..ROUNDS_MAX {
            copies.add_missing(&self.closed_segments(), watcher)?;
            if self.uncopied_bytes(&copies) < LAST_BIT_BYTES {
                break;
            }
            self.roll_locked(&mut self.state.lock())?;
        }
        let mut state = self.state.lock();
        self.finish_relocation(&mut state, to, &mut copies, watcher)?;
        drop(state);
        if let Err(error) = self.flush() {
            tracing::error!(topic = self.topic(), partition = self.partition(), %error, "flush after a move failed");
        }
        Ok(())
    }

    fn closed_segments(&self) -> Vec<Arc<Segment>> {
        let segments = self.frontiers().segments;
        segments[..segments.len() - 1].to_vec()
    }

    fn uncopied_bytes(&self, copies: &Copies<'_>) -> u64 {
        let frontiers = self.frontiers();
        let uncopied = (0..frontiers.segments.len()).filter(|index| !copies.has(&frontiers.segments[*index]));
        uncopied.map(|index| frontiers.size_of(index)).sum()
    }

    /// The part during which nothing is appended.
    fn finish_relocation(
        &self,
        state: &mut AppendState,
        to: &Destination,
        copies: &mut Copies<'_>,
        watcher: &dyn Watcher,
    ) -> Result<(), Stopped> {
        self.check_usable(state)?;
        self.roll_locked(state)?;
        copies.add_missing(&self.closed_segments(), watcher)?;
        copies.remove_superfluous(&self.closed_segments())?;
        self.snapshot_producers(state);
        self.persist_epochs(state);
        copies.copy_other_files(&self.path())?;
        let future = Arc::new(LogHome::new(to.future.clone()));
        let segments = self.reopened_in(&future)?;
        sync_dir(&to.future)?;
        let complete = to.future.join(COMPLETE_FILE);
        fs::File::create(&complete).and_then(|file| file.sync_all()).at("create", &complete)?;
        sync_dir(&to.future)?;
        self.swap_directories(&future, to)?;
        crate::context::remove(&to.path.join(COMPLETE_FILE));
        let old = {
            let mut frontiers = self.frontiers.write();
            frontiers.active_size = 0;
            std::mem::replace(&mut frontiers.segments, Arc::new(segments))
        };
        self.settle(future, to.dir.clone());
        old.iter().for_each(|segment| segment.close());
        Ok(())
    }

    /// The segments of the log over the files of the copy, with a new and empty active one.
    fn reopened_in(&self, home: &Arc<LogHome>) -> Result<Vec<Arc<Segment>>, StorageError> {
        let now_ms = self.context.now_ms();
        let frontiers = self.frontiers();
        let mut segments = Vec::with_capacity(frontiers.segments.len());
        for segment in self.closed_segments() {
            let copy = Segment::open(home, &self.context.files, segment.base_offset(), segment.size(), now_ms);
            copy.set_end(segment.size(), segment.next_offset());
            segments.push(Arc::new(copy));
        }
        let base_offset = frontiers.active().base_offset();
        let active = Segment::create(home, &self.context.files, base_offset, "", now_ms);
        active.file_for_append().at("create", active.data_path())?;
        segments.push(Arc::new(active));
        Ok(segments)
    }

    fn swap_directories(&self, future: &LogHome, to: &Destination) -> Result<(), StorageError> {
        let old = self.path();
        let old_dir = self.log_dir();
        self.home().rename(to.doomed.clone()).at("rename", &old)?;
        if let Err(error) = future.rename(to.path.clone()).at("rename", &to.future) {
            self.home().rename(old.clone()).at("rename", &old)?;
            return Err(error);
        }
        sync_dir(to.dir.path())?;
        sync_dir(&old_dir)
    }
}

/// What has been copied so far.
struct Copies<'a> {
    future: &'a Path,
    /// By base offset, the very segment that was copied: compaction and retention make others of the same name.
    done: HashMap<i64, Arc<Segment>>,
}

impl Copies<'_> {
    fn has(&self, segment: &Arc<Segment>) -> bool {
        self.done.get(&segment.base_offset()).is_some_and(|copied| Arc::ptr_eq(copied, segment))
    }

    fn add_missing(&mut self, segments: &[Arc<Segment>], watcher: &dyn Watcher) -> Result<(), Stopped> {
        for segment in segments {
            if !self.has(segment) && self.copy(segment, watcher)? {
                self.done.insert(segment.base_offset(), segment.clone());
            }
        }
        Ok(())
    }

    /// Copies one closed segment; false when retention removed it meanwhile.
    fn copy(&self, segment: &Segment, watcher: &dyn Watcher) -> Result<bool, Stopped> {
        segment.write_indexes().at("write index of", segment.data_path())?;
        for kind in SEGMENT_SUFFIXES {
            let from = segment.path(kind);
            match copy_file(&from, self.future, watcher) {
                Ok(()) => {}
                Err(Stopped::Failed(error)) if error.is_not_found() => {
                    if kind == crate::paths::LOG_SUFFIX {
                        return Ok(false);
                    }
                }
                Err(stopped) => return Err(stopped),
            }
        }
        Ok(true)
    }

    /// Removes copies of segments that are no longer part of the log.
    fn remove_superfluous(&mut self, current: &[Arc<Segment>]) -> Result<(), StorageError> {
        let gone = |(base_offset, copied): (&i64, &Arc<Segment>)| {
            let kept = current.iter().any(|segment| Arc::ptr_eq(segment, copied));
            (!kept).then_some(*base_offset)
        };
        let gone: Vec<i64> = self.done.iter().filter_map(gone).collect();
        for base_offset in gone {
            self.done.remove(&base_offset);
            for kind in SEGMENT_SUFFIXES {
                crate::context::remove(&self.future.join(crate::paths::file_name(base_offset, kind)));
            }
        }
        Ok(())
    }

    /// Copies what is not part of a segment: producer snapshots, leader epochs, the topic id.
    fn copy_other_files(&self, from: &Path) -> Result<(), Stopped> {
        for entry in fs::read_dir(from).at("read", from)? {
            let path = entry.at("read", from)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let parsed = crate::paths::parse_file_name(name);
            let of_segment = parsed.is_some_and(|(_, suffix)| suffix != crate::paths::SNAPSHOT_SUFFIX);
            if !of_segment && path.is_file() {
                copy_file(&path, self.future, &Unwatched)?;
            }
        }
        Ok(())
    }
}

/// For small files, which nobody needs to hear of.
struct Unwatched;

impl Watcher for Unwatched {
    fn copied(&self, _bytes: u64) -> bool {
        true
    }
}

/// Copies a file into a directory and fsyncs it.
fn copy_file(from: &Path, to_dir: &Path, watcher: &dyn Watcher) -> Result<(), Stopped> {
    let Some(name) = from.file_name() else { return Ok(()) };
    let to = to_dir.join(name);
    let mut source = fs::File::open(from).at("open", from)?;
    let mut target = fs::File::create(&to).at("create", &to)?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = source.read(&mut buffer).at("read", from)?;
        if read == 0 {
            break;
        }
        target.write_all(&buffer[..read]).at("write", &to)?;
        if !watcher.copied(read as u64) {
            return Err(Stopped::CalledOff);
        }
    }
    target.sync_all().at("fsync", &to)?;
    Ok(())
}

/// Keeps a copy to a number of bytes per second.
pub(crate) struct Pace {
    bytes_per_second: u64,
    began: Instant,
}

impl Pace {
    /// At most `bytes_per_second` from now on.
    pub fn new(bytes_per_second: u64) -> Pace {
        Pace { bytes_per_second, began: Instant::now() }
    }

    /// How long to wait when `total` bytes have been copied.
    pub fn wait(&self, total: u64) -> Duration {
        if self.bytes_per_second == 0 || self.bytes_per_second == u64::MAX {
            return Duration::ZERO;
        }
        let due = Duration::from_secs_f64(total as f64 / self.bytes_per_second as f64);
        due.saturating_sub(self.began.elapsed())
    }
}
