//! File and directory names of a log, exactly Kafka's.

use std::path::{Path, PathBuf};

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

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.read().join(name)
    }

    /// Renames the directory on disk and for every segment; files opened in between see either name, both valid.
    pub fn rename(&self, to: PathBuf) -> std::io::Result<()> {
        let mut dir = self.dir.write();
        std::fs::rename(&*dir, &to)?;
        *dir = to;
        Ok(())
    }
}
