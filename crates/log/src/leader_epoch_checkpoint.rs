//! Where each leader epoch of a partition starts: the file `leader-epoch-checkpoint` and its copy in memory.
//!
//! Text: `0`, the number of entries, then `epoch start_offset` a line, both strictly growing. Followers and consumers ask it for the
//! end of an epoch to find out where histories diverge (KIP-101, KIP-279).

use std::path::Path;

use crate::checkpoint::{read_lines, write_atomically};
use crate::error::StorageError;

/// File name within the partition's directory.
pub const LEADER_EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// One leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEntry {
    /// The leader epoch.
    pub leader_epoch: i32,
    /// Offset of its first record.
    pub start_offset: i64,
}

/// The leader epochs of one partition, oldest first.
#[derive(Debug, Default)]
pub(crate) struct LeaderEpochs {
    entries: Vec<EpochEntry>,
    dirty: bool,
}

impl LeaderEpochs {
    /// Reads the checkpoint in `dir`; a missing or damaged one is empty (recovery fills it from the batches).
    pub fn load(dir: &Path) -> LeaderEpochs {
        let path = dir.join(LEADER_EPOCH_FILE);
        let entries = read_epochs(&path).unwrap_or_default();
        LeaderEpochs { entries, dirty: false }
    }

    pub fn entries(&self) -> &[EpochEntry] {
        &self.entries
    }

    /// The newest epoch, if any is known.
    pub fn latest(&self) -> Option<i32> {
        self.entries.last().map(|entry| entry.leader_epoch)
    }

    /// Records that `leader_epoch` starts at `start_offset`. Epochs that started at or above that offset are forgotten,
    /// because they wrote nothing. Returns whether anything changed.
    pub fn assign(&mut self, leader_epoch: i32, start_offset: i64) -> bool {
        if leader_epoch < 0 || self.latest().is_some_and(|latest| latest >= leader_epoch) {
            return false;
        }
        while self.entries.last().is_some_and(|last| last.start_offset >= start_offset) {
            self.entries.pop();
        }
        self.entries.push(EpochEntry { leader_epoch, start_offset });
        self.dirty = true;
        true
    }

    /// The largest known epoch not above `leader_epoch` and its end offset; `(-1, -1)` when the epoch is newer than all known ones.
    pub fn end_offset(&self, leader_epoch: i32, log_end_offset: i64) -> (i32, i64) {
        match self.latest() {
            Some(latest) if latest == leader_epoch => return (latest, log_end_offset),
            Some(latest) if leader_epoch >= 0 && leader_epoch < latest => {}
            _ => return (-1, -1),
        }
        let later = self.entries.partition_point(|entry| entry.leader_epoch <= leader_epoch);
        let floor = later.checked_sub(1).map_or(leader_epoch, |i| self.entries[i].leader_epoch);
        (floor, self.entries[later].start_offset)
    }

    /// The log now ends at `offset`: later epochs are forgotten.
    pub fn truncate_from_end(&mut self, offset: i64) {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.start_offset < offset);
        self.dirty |= self.entries.len() != before;
    }

    /// The log now starts at `offset`: the epoch that covers it starts there, earlier ones are forgotten.
    pub fn truncate_from_start(&mut self, offset: i64) {
        let later = self.entries.partition_point(|entry| entry.start_offset <= offset);
        if later == 0 || (later == 1 && self.entries[0].start_offset == offset) {
            return;
        }
        self.entries.drain(..later - 1);
        self.entries[0].start_offset = offset;
        self.dirty = true;
    }

    /// Whether the checkpoint on disk is behind.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Writes the checkpoint into `dir` if anything changed since the last time.
    pub fn persist(&mut self, dir: &Path) -> Result<(), StorageError> {
        if !self.dirty {
            return Ok(());
        }
        let mut text = format!("0\n{}\n", self.entries.len());
        for entry in &self.entries {
            text.push_str(&format!("{} {}\n", entry.leader_epoch, entry.start_offset));
        }
        write_atomically(&dir.join(LEADER_EPOCH_FILE), text.as_bytes(), false)?;
        self.dirty = false;
        Ok(())
    }
}

/// Reads a `leader-epoch-checkpoint` file; `None` if it is missing or malformed.
pub fn read_epochs(path: &Path) -> Option<Vec<EpochEntry>> {
    let parse = |line: &String| -> Option<EpochEntry> {
        let (leader_epoch, start_offset) = line.trim().split_once(' ')?;
        Some(EpochEntry { leader_epoch: leader_epoch.parse().ok()?, start_offset: start_offset.parse().ok()? })
    };
    let entries: Vec<EpochEntry> = read_lines(path)?.iter().map(parse).collect::<Option<_>>()?;
    let ordered = entries.is_sorted_by(|a, b| a.leader_epoch < b.leader_epoch && a.start_offset <= b.start_offset);
    ordered.then_some(entries)
}

#[cfg(test)]
mod tests;
