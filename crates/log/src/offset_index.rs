//! The sparse offset index of a segment: from an offset to a position at or before its batch.
//!
//! On disk: 8-byte entries `(relative offset: i32, position: i32)`, big-endian, both strictly growing. The offset of an entry is the
//! *last* offset of the batch that starts at the position, as Kafka writes it. An entry is added for the first batch after every
//! `index.interval.bytes` of data, so a lookup is followed by a short scan of batch headers.

use std::io;
use std::sync::Arc;

use crate::entry_file::EntryFile;
use crate::file_cache::FileCache;
use crate::paths::{INDEX_SUFFIX, SegmentName};

/// Size of an entry in bytes.
pub const OFFSET_ENTRY_BYTES: usize = 8;

/// Where a batch starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetPosition {
    /// Last offset of the batch.
    pub offset: i64,
    /// Byte position of its first byte in the segment's data file.
    pub position: u32,
}

/// The offset index of one segment.
#[derive(Debug)]
pub(crate) struct OffsetIndex {
    base_offset: i64,
    pub entries: EntryFile<OFFSET_ENTRY_BYTES>,
}

impl OffsetIndex {
    pub fn open(name: &Arc<SegmentName>, cache: &Arc<FileCache>) -> OffsetIndex {
        OffsetIndex { base_offset: name.base_offset(), entries: EntryFile::open(name, INDEX_SUFFIX, cache) }
    }

    pub fn create(name: &Arc<SegmentName>, cache: &Arc<FileCache>) -> OffsetIndex {
        OffsetIndex { base_offset: name.base_offset(), entries: EntryFile::create(name, INDEX_SUFFIX, cache) }
    }

    /// Adds the batch ending at `offset` that starts at `position`.
    pub fn append(&self, offset: i64, position: u32) -> io::Result<()> {
        let relative = i32::try_from(offset - self.base_offset).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "offset too far from the segment's base offset")
        })?;
        let mut entry = [0; OFFSET_ENTRY_BYTES];
        entry[..4].copy_from_slice(&relative.to_be_bytes());
        entry[4..].copy_from_slice(&position.to_be_bytes());
        self.entries.push(entry)
    }

    /// The entry with the largest offset not above `offset`; `None` means the scan starts at the segment's start.
    pub fn lookup(&self, offset: i64) -> io::Result<Option<OffsetPosition>> {
        let found = self.entries.last_where(|entry| self.decode(entry).offset <= offset)?;
        Ok(found.map(|entry| self.decode(&entry)))
    }

    /// The entry with the largest position not above `position`.
    pub fn lookup_position(&self, position: u32) -> io::Result<Option<OffsetPosition>> {
        let found = self.entries.last_where(|entry| self.decode(entry).position <= position)?;
        Ok(found.map(|entry| self.decode(&entry)))
    }

    /// Last entry.
    pub fn last(&self) -> io::Result<Option<OffsetPosition>> {
        Ok(self.entries.last()?.map(|entry| self.decode(&entry)))
    }

    /// How many leading entries are in order and lie below `offset` and `position`: what recovery may trust.
    pub fn valid_prefix(&self, below_offset: i64, below_position: u64) -> io::Result<usize> {
        let mut previous = OffsetPosition { offset: self.base_offset - 1, position: 0 };
        let entries = self.entries.all()?;
        let valid = entries.iter().map(|entry| self.decode(entry)).take_while(|entry| {
            let grows = entry.offset > previous.offset && entry.position > previous.position;
            previous = *entry;
            grows && entry.offset < below_offset && u64::from(entry.position) < below_position
        });
        Ok(valid.count())
    }

    pub fn get(&self, index: usize) -> io::Result<OffsetPosition> {
        Ok(self.decode(&self.entries.get(index)?))
    }

    fn decode(&self, entry: &[u8; OFFSET_ENTRY_BYTES]) -> OffsetPosition {
        decode_entry(self.base_offset, entry)
    }
}

/// Decodes one stored entry of the segment that starts at `base_offset`.
pub fn decode_entry(base_offset: i64, entry: &[u8; OFFSET_ENTRY_BYTES]) -> OffsetPosition {
    let [a, b, c, d, e, f, g, h] = *entry;
    OffsetPosition {
        offset: base_offset.saturating_add(i64::from(i32::from_be_bytes([a, b, c, d]))),
        position: u32::from_be_bytes([e, f, g, h]),
    }
}

#[cfg(test)]
mod tests;
