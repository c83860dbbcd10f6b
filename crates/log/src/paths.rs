//! File and directory names of a log, exactly Kafka's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;

/// Suffix of the data file of a segment.
pub const LOG_SUFFIX: &str = "log";
/// Suffix of the sparse offset index.
pub const INDEX_SUFFIX: &str = "index";
/// Suffix of the sparse time index.
pub const TIME_INDEX_SUFFIX: &str = "timeindex";
/// Suffix of the aborted-transaction index.
pub const TXN_INDEX_SUFFIX: &str = "txnindex";
/// Suffix of a producer-state snapshot.
pub const SNAPSHOT_SUFFIX: &str = "snapshot";
/// Suffixes of all files of a segment.
pub const SEGMENT_SUFFIXES: [&str; 4] = [LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX];
/// Appended to files that wait for their removal.
pub const DELETED_SUFFIX: &str = ".deleted";
/// Appended to files that compaction is still writing.
pub const CLEANED_SUFFIX: &str = ".cleaned";
/// Appended to complete files that replace segments; a restart finishes the replacement.
pub const SWAP_SUFFIX: &str = ".swap";
/// End of the name of a partition directory that waits for its removal.
pub const DELETE_DIR_SUFFIX: &str = "-delete";
/// End of the name of a partition directory that is being moved here from another log directory.
pub const FUTURE_DIR_SUFFIX: &str = "-future";
/// End of the name of a partition directory that belongs to no known topic.
pub const STRAY_DIR_SUFFIX: &str = "-stray";

/// The longest name of a file or directory.
const NAME_BYTES_MAX: usize = 255;

/// `00000000000000000042.log` for offset 42.
pub fn file_name(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}.{suffix}")
}

/// Base offset and suffix (everything behind the first dot) of a file named by [`file_name`].
pub fn parse_file_name(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() < 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// `<topic>-<partition>`.
pub fn partition_dir_name(topic: &str, partition: i32) -> String {
    format!("{topic}-{partition}")
}

/// The name of a partition directory that waits for its removal: `<topic>-<partition>.<unique>-delete`. A long topic is cut, as
/// by Kafka: with its 249 letters the name would be longer than file systems take.
pub fn doomed_dir_name(topic: &str, partition: i32, unique: &str) -> String {
    let end = format!("-{partition}.{unique}{DELETE_DIR_SUFFIX}");
    let fits = NAME_BYTES_MAX.saturating_sub(end.len());
    let topic: String = topic.chars().take(fits).collect();
    topic + &end
}

/// Topic and partition of a directory named by [`partition_dir_name`].
pub fn parse_partition_dir(name: &str) -> Option<(String, i32)> {
    let (topic, partition) = name.rsplit_once('-')?;
    if topic.is_empty() || partition.is_empty() || !partition.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((topic.to_string(), partition.parse().ok()?))
}

/// Where a log lives. One value is shared by all its segments, so that renaming the directory reaches every file.
#[derive(Debug)]
pub(crate) struct LogHome {
    dir: RwLock<PathBuf>,
}

impl LogHome {
    pub fn new(dir: PathBuf) -> LogHome {
        LogHome { dir: RwLock::new(dir) }
    }

    pub fn dir(&self) -> PathBuf {
        self.dir.read().clone()
    }

    /// Renames the directory on disk and for every segment; files opened in between see either name, both valid.
    pub fn rename(&self, to: PathBuf) -> std::io::Result<()> {
        let mut dir = self.dir.write();
        std::fs::rename(&*dir, &to)?;
        *dir = to;
        Ok(())
    }
}

/// The name of a segment's files, which changes when the directory or the suffix is renamed.
///
/// Files are opened and renamed only through here: an open never falls between looking up the name and a rename.
#[derive(Debug)]
pub(crate) struct SegmentName {
    home: Arc<LogHome>,
    base_offset: i64,
    /// Empty, or one of `.cleaned`, `.swap`, `.deleted`.
    suffix: RwLock<&'static str>,
}

impl SegmentName {
    pub fn new(home: &Arc<LogHome>, base_offset: i64, suffix: &'static str) -> Arc<SegmentName> {
        Arc::new(SegmentName { home: home.clone(), base_offset, suffix: RwLock::new(suffix) })
    }

    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// The path of the file of this segment with suffix `kind`, as it is at the moment.
    pub fn path(&self, kind: &str) -> PathBuf {
        self.with(kind, Path::to_path_buf)
    }

    /// Calls `use_path` with the path; nothing is renamed meanwhile.
    pub fn with<T>(&self, kind: &str, use_path: impl FnOnce(&Path) -> T) -> T {
        let suffix = self.suffix.read();
        let dir = self.home.dir.read();
        use_path(&dir.join(file_name(self.base_offset, kind) + *suffix))
    }

    /// Renames all files of the segment from their current suffix to `to`; missing ones are fine.
    pub fn change_suffix(&self, to: &'static str) -> io::Result<()> {
        let mut suffix = self.suffix.write();
        let dir = self.home.dir.read();
        for kind in SEGMENT_SUFFIXES {
            let name = file_name(self.base_offset, kind);
            match std::fs::rename(dir.join(name.clone() + *suffix), dir.join(name + to)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        *suffix = to;
        Ok(())
    }
}
