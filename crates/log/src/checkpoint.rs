//! Small text files that are replaced atomically: offset checkpoints of a log directory and a partition's leader epochs.
//!
//! Format, as Kafka's: a line with version 0, a line with the number of entries, then one entry a line.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{IoContext, StorageError};

/// Offset up to which every log is flushed.
pub const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// High watermark of every log.
pub const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";
/// First offset of every log, where it is not that of the first segment.
pub const LOG_START_FILE: &str = "log-start-offset-checkpoint";
/// Offset up to which every compacted log is clean.
pub const CLEANER_FILE: &str = "cleaner-offset-checkpoint";

/// Topic, partition → offset.
pub type Offsets = BTreeMap<(String, i32), i64>;

/// Writes `bytes` to `path` so that a crash leaves the old or the new content, never a mixture.
///
/// With `durable` the content and the rename are fsynced; without, only a power failure can undo them.
pub fn write_atomically(path: &Path, bytes: &[u8], durable: bool) -> Result<(), StorageError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = (|| -> io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if durable {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(StorageError::new("write", path, error));
    }
    match path.parent() {
        Some(parent) if durable => sync_dir(parent),
        _ => Ok(()),
    }
}

/// fsyncs a directory, so that files created or renamed in it survive a power failure.
pub fn sync_dir(dir: &Path) -> Result<(), StorageError> {
    File::open(dir).and_then(|file| file.sync_all()).at("fsync", dir)
}

/// Writes the offset checkpoint `path`.
pub fn write_offsets(path: &Path, offsets: &Offsets) -> Result<(), StorageError> {
    let mut text = format!("0\n{}\n", offsets.len());
    for ((topic, partition), offset) in offsets {
        text.push_str(&format!("{topic} {partition} {offset}\n"));
    }
    write_atomically(path, text.as_bytes(), true)
}

/// Reads the offset checkpoint `path`; a missing or damaged file is empty, because every checkpoint can be rebuilt.
pub fn read_offsets(path: &Path) -> Offsets {
    let Some(lines) = read_lines(path) else { return Offsets::new() };
    let parse = |line: &str| -> Option<((String, i32), i64)> {
        let mut fields = line.split_ascii_whitespace();
        let entry = ((fields.next()?.to_string(), fields.next()?.parse().ok()?), fields.next()?.parse().ok()?);
        fields.next().is_none().then_some(entry)
    };
    lines.iter().map(|line| parse(line)).collect::<Option<_>>().unwrap_or_else(|| {
        tracing::warn!(path = %path.display(), "checkpoint is malformed and ignored");
        Offsets::new()
    })
}

/// The entry lines of a version 0 checkpoint whose count is right.
pub(crate) fn read_lines(path: &Path) -> Option<Vec<String>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(path = %path.display(), %error, "checkpoint cannot be read and is ignored");
            }
            return None;
        }
    };
    let mut lines = text.lines();
    let version = lines.next().map(str::trim);
    let count = lines.next().and_then(|line| line.trim().parse::<usize>().ok());
    let entries: Vec<String> = lines.filter(|line| !line.trim().is_empty()).map(str::to_string).collect();
    if version != Some("0") || count != Some(entries.len()) {
        tracing::warn!(path = %path.display(), "checkpoint is malformed and ignored");
        return None;
    }
    Some(entries)
}

#[cfg(test)]
mod tests;
