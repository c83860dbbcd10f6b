//! The sparse time index of a segment: from a timestamp to an offset at or before the first record that is as late.
//!
//! On disk: 12-byte entries `(timestamp: i64, relative offset: i32)`, big-endian. An entry says: no batch up to `offset` has a larger
//! timestamp, so timestamps strictly grow. The last entry of a finished segment holds the segment's largest timestamp.

use std::io;
use std::sync::Arc;

use crate::entry_file::EntryFile;
use crate::file_cache::FileCache;
use crate::paths::{SegmentName, TIME_INDEX_SUFFIX};

/// Size of an entry in bytes.
pub const TIME_ENTRY_BYTES: usize = 12;

/// The largest timestamp so far and the last offset of the batch that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Milliseconds since the epoch, -1 for none.
    pub timestamp: i64,
    /// Last offset of the batch with that timestamp.
    pub offset: i64,
}

/// The time index of one segment.
#[derive(Debug)]
pub(crate) struct TimeIndex {
    base_offset: i64,
    pub entries: EntryFile<TIME_ENTRY_BYTES>,
}

impl TimeIndex {
    pub fn open(name: &Arc<SegmentName>, cache: &Arc<FileCache>) -> TimeIndex {
        TimeIndex { base_offset: name.base_offset(), entries: EntryFile::open(name, TIME_INDEX_SUFFIX, cache) }
    }

    pub fn create(name: &Arc<SegmentName>, cache: &Arc<FileCache>) -> TimeIndex {
        TimeIndex { base_offset: name.base_offset(), entries: EntryFile::create(name, TIME_INDEX_SUFFIX, cache) }
    }

    /// Adds `largest` unless the last entry is already as late.
    pub fn maybe_append(&self, largest: TimestampOffset) -> io::Result<()> {
        let last = self.last()?;
        if last.is_some_and(|last| largest.timestamp <= last.timestamp || largest.offset <= last.offset)
            || largest.timestamp < 0
        {
            return Ok(());
        }
        let relative = i32::try_from(largest.offset - self.base_offset).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "offset too far from the segment's base offset")
        })?;
        let mut entry = [0; TIME_ENTRY_BYTES];
        entry[..8].copy_from_slice(&largest.timestamp.to_be_bytes());
        entry[8..].copy_from_slice(&relative.to_be_bytes());
        self.entries.push(entry)
    }

    /// The entry with the largest timestamp below `timestamp`: every record as late as `timestamp` comes after its offset.
    pub fn lookup_before(&self, timestamp: i64) -> io::Result<Option<TimestampOffset>> {
        let found = self.entries.last_where(|entry| self.decode(entry).timestamp < timestamp)?;
        Ok(found.map(|entry| self.decode(&entry)))
    }

    /// Last entry.
    pub fn last(&self) -> io::Result<Option<TimestampOffset>> {
        Ok(self.entries.last()?.map(|entry| self.decode(&entry)))
    }

    /// How many leading entries are in order and lie below `offset`: what recovery may trust.
    pub fn valid_prefix(&self, below_offset: i64) -> io::Result<usize> {
        let mut previous = TimestampOffset { timestamp: -1, offset: self.base_offset - 1 };
        let entries = self.entries.all()?;
        let valid = entries.iter().map(|entry| self.decode(entry)).take_while(|entry| {
            let grows = entry.timestamp > previous.timestamp && entry.offset > previous.offset;
            previous = *entry;
            grows && entry.offset < below_offset
        });
        Ok(valid.count())
    }

    pub fn get(&self, index: usize) -> io::Result<TimestampOffset> {
        Ok(self.decode(&self.entries.get(index)?))
    }

    fn decode(&self, entry: &[u8; TIME_ENTRY_BYTES]) -> TimestampOffset {
        decode_entry(self.base_offset, entry)
    }
}

/// Decodes one stored entry of the segment that starts at `base_offset`.
pub fn decode_entry(base_offset: i64, entry: &[u8; TIME_ENTRY_BYTES]) -> TimestampOffset {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
    TimestampOffset {
        timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        offset: base_offset.saturating_add(i64::from(i32::from_be_bytes([i, j, k, l]))),
    }
}

#[cfg(test)]
mod tests;
