//! One segment of a log: a data file of record batches and its three indexes.
//!
//! Always true:
//!   the first `size` bytes of the data file are whole batches with growing offsets, all `base_offset <= offset < next_offset`
//!   what lies behind `size` in the file was never acknowledged and is overwritten or cut off
//!
//! Files come into being with the first append, and descriptors only while they are used, so an empty partition is a directory
//! and an idle one costs a few hundred bytes of memory.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::batch_header::HeaderBytes;
use crate::batch_scanner::{BatchScanner, LOOKUP_BLOCK_BYTES, SCAN_BLOCK_BYTES, ScanError};
use crate::file_cache::{FileCache, LazyFile};
use crate::offset_index::{OffsetIndex, OffsetPosition};
use crate::paths::{self, LogHome, SegmentName};
use crate::time_index::{TimeIndex, TimestampOffset};
use crate::transaction_index::TransactionIndex;

/// Read positions remembered per segment: as many sequential readers find their place without touching the index.
const HINTS: usize = 4;

/// A segment. Shared between the appender, readers and background work; immutable once a newer segment exists.
#[derive(Debug)]
pub(crate) struct Segment {
    base_offset: i64,
    name: Arc<SegmentName>,
    data: LazyFile,
    size: AtomicU64,
    next_offset: AtomicI64,
    pub offset_index: OffsetIndex,
    pub time_index: TimeIndex,
    pub txn_index: TransactionIndex,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    /// Largest timestamp so far; `None` until read from the time index.
    largest: Option<TimestampOffset>,
    /// Timestamp of the first batch, against which `segment.ms` is measured; `None` until read.
    first_timestamp: Option<i64>,
    created_ms: i64,
    bytes_since_entry: u64,
    /// Bytes of disk space reserved, whether written yet or not.
    allocated: u64,
    hints: [(i64, u64); HINTS],
    next_hint: usize,
}

/// A batch found in a segment.
#[derive(Clone, Copy)]
pub(crate) struct FoundBatch {
    pub position: u64,
    pub header: HeaderBytes,
}

impl Segment {
    /// A new segment without files. Leftover files of the same name are overwritten.
    pub fn create(
        home: &Arc<LogHome>,
        cache: &Arc<FileCache>,
        base_offset: i64,
        suffix: &'static str,
        now_ms: i64,
    ) -> Segment {
        let name = SegmentName::new(home, base_offset, suffix);
        Segment {
            base_offset,
            data: LazyFile::new(cache),
            size: AtomicU64::new(0),
            next_offset: AtomicI64::new(base_offset),
            offset_index: OffsetIndex::create(&name, cache),
            time_index: TimeIndex::create(&name, cache),
            txn_index: TransactionIndex::create(&name),
            name,
            progress: Mutex::new(Progress::new(
                now_ms,
                Some(TimestampOffset { timestamp: -1, offset: base_offset }),
                0,
            )),
        }
    }

    /// The segment whose data file exists with `size` bytes. Where it ends is told by [`Segment::set_end`].
    pub fn open(home: &Arc<LogHome>, cache: &Arc<FileCache>, base_offset: i64, size: u64, now_ms: i64) -> Segment {
        let name = SegmentName::new(home, base_offset, "");
        Segment {
            base_offset,
            data: LazyFile::new(cache),
            size: AtomicU64::new(size),
            next_offset: AtomicI64::new(base_offset),
            offset_index: OffsetIndex::open(&name, cache),
            time_index: TimeIndex::open(&name, cache),
            txn_index: TransactionIndex::open(&name),
            name,
            progress: Mutex::new(Progress::new(now_ms, None, size)),
        }
    }

    pub fn base_offset(&self) -> i64 {
        self.base_offset
    }

    /// Bytes of whole batches.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// One past the last offset; the base offset if empty.
    pub fn next_offset(&self) -> i64 {
        self.next_offset.load(Ordering::Acquire)
    }

    pub fn set_end(&self, size: u64, next_offset: i64) {
        self.size.store(size, Ordering::Release);
        self.next_offset.store(next_offset, Ordering::Release);
    }

    /// Path of the file of this segment with suffix `kind`.
    pub fn path(&self, kind: &str) -> PathBuf {
        self.name.path(kind)
    }

    /// Path of the data file.
    pub fn data_path(&self) -> PathBuf {
        self.path(paths::LOG_SUFFIX)
    }

    /// The data file, opened if need be.
    pub fn file(&self) -> io::Result<Arc<File>> {
        self.data.get(|| self.name.with(paths::LOG_SUFFIX, |path| OpenOptions::new().read(true).write(true).open(path)))
    }

    /// The data file of a segment that may not have one yet. Returns whether it was created.
    pub fn file_for_append(&self) -> io::Result<(Arc<File>, bool)> {
        if self.size() > 0 {
            return Ok((self.file()?, false));
        }
        let mut created = false;
        let file = self.data.get(|| {
            created = true;
            let open = |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            self.name.with(paths::LOG_SUFFIX, open)
        })?;
        if created {
            self.offset_index.entries.flush()?;
            self.time_index.entries.flush()?;
        }
        Ok((file, created))
    }

    /// Reserves disk space so that `end` bytes fit, `chunk` bytes at a time. The file's length does not change, so whatever happens
    /// next the file ends with data. A file system that cannot, or is full, is left alone: the write itself decides.
    pub fn reserve(&self, file: &File, end: u64, chunk: u64) {
        let mut progress = self.progress.lock();
        if end <= progress.allocated || chunk == 0 {
            return;
        }
        let length = (end - progress.allocated).max(chunk);
        let _ = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, progress.allocated, length);
        progress.allocated += length;
    }

    /// Takes note of a batch that was written at `position`: indexes, largest timestamp. Call [`Segment::set_end`] afterwards.
    ///
    /// # Errors
    /// When an index could not be written; the entry is kept in memory and written later.
    pub fn note_batch(&self, header: &HeaderBytes, position: u64, index_interval_bytes: u64) -> io::Result<()> {
        let last_offset = header.last_offset();
        let mut progress = self.progress.lock();
        let largest = progress.largest.get_or_insert(TimestampOffset { timestamp: -1, offset: self.base_offset });
        if header.max_timestamp() > largest.timestamp {
            *largest = TimestampOffset { timestamp: header.max_timestamp(), offset: last_offset };
        }
        let largest = *largest;
        if position == 0 {
            progress.first_timestamp = Some(header.max_timestamp());
        }
        let due = progress.bytes_since_entry > index_interval_bytes;
        let size = header.size_in_bytes() as u64;
        progress.bytes_since_entry = if due { size } else { progress.bytes_since_entry + size };
        drop(progress);
        if due {
            self.offset_index.append(last_offset, position as u32)?;
            self.time_index.maybe_append(largest)?;
        }
        Ok(())
    }

    /// Whether an index has no room for another entry.
    pub fn index_full(&self, segment_index_bytes: i32) -> io::Result<bool> {
        let offset_max = segment_index_bytes as usize / crate::offset_index::OFFSET_ENTRY_BYTES;
        let time_max = segment_index_bytes as usize / crate::time_index::TIME_ENTRY_BYTES;
        Ok(self.offset_index.entries.len()? >= offset_max.max(1)
            || self.time_index.entries.len()? + 1 >= time_max.max(2))
    }

    /// The first batch whose last offset is at or above `offset`, within the first `end` bytes.
    pub fn find_batch(&self, offset: i64, end: u64) -> io::Result<Option<FoundBatch>> {
        if end == 0 {
            return Ok(None);
        }
        let file = self.file()?;
        if let Some(position) = self.hint(offset).filter(|position| *position < end) {
            return scan_for(&file, position, end, offset);
        }
        let Some(entry) = self.offset_index.lookup(offset)? else { return scan_for(&file, 0, end, offset) };
        let position = u64::from(entry.position);
        if is_batch(&file, &entry, end)? {
            return scan_for(&file, position, end, offset);
        }
        if position >= end {
            // The entry belongs to a batch that is not published yet.
            return self.find_from_earlier_entry(&file, end, offset);
        }
        tracing::warn!(path = %self.offset_index.entries.path().display(), "offset index is damaged; reading without it");
        scan_for(&file, 0, end, offset)
    }

    fn find_from_earlier_entry(&self, file: &File, end: u64, offset: i64) -> io::Result<Option<FoundBatch>> {
        let entry = self.offset_index.lookup_position((end - 1).min(u64::from(u32::MAX)) as u32)?;
        let start = entry.filter(|entry| entry.offset <= offset).map_or(0, |entry| u64::from(entry.position));
        scan_for(file, start, end, offset)
    }

    /// The largest batch boundary not above `limit`, where `from` is a boundary; and the offset that follows it if that came to light.
    pub fn boundary_before(&self, from: u64, limit: u64, end: u64) -> io::Result<(u64, Option<i64>)> {
        let indexed = self.offset_index.lookup_position(limit.min(u64::from(u32::MAX)) as u32)?;
        let file = self.file()?;
        let start = match indexed.filter(|entry| u64::from(entry.position) > from) {
            Some(entry) if is_batch(&file, &entry, end)? => u64::from(entry.position),
            _ => from,
        };
        let mut scanner = BatchScanner::new(&file, start, end, LOOKUP_BLOCK_BYTES);
        while let Some((position, header)) = scanner.next_header()? {
            if scanner.position() > limit {
                return Ok((position, Some(header.base_offset())));
            }
        }
        Ok((end, None))
    }

    /// Remembers that the batch with or after `offset` starts at `position`, for the reader who comes back for it.
    pub fn remember(&self, offset: i64, position: u64) {
        let mut progress = self.progress.lock();
        if !progress.hints.contains(&(offset, position)) {
            let slot = progress.next_hint % HINTS;
            progress.hints[slot] = (offset, position);
            progress.next_hint = slot + 1;
        }
    }

    fn hint(&self, offset: i64) -> Option<u64> {
        let progress = self.progress.lock();
        progress.hints.iter().find(|(hinted, _)| *hinted == offset).map(|(_, position)| *position)
    }

    /// The largest timestamp and where it is; timestamp -1 if there is none.
    pub fn largest_timestamp(&self) -> io::Result<TimestampOffset> {
        if let Some(largest) = self.progress.lock().largest {
            return Ok(largest);
        }
        let largest = match self.time_index.last()? {
            Some(last) => last,
            None => self.scan_largest_timestamp()?,
        };
        Ok(*self.progress.lock().largest.get_or_insert(largest))
    }

    /// Sets what [`Segment::largest_timestamp`] answers, after a scan.
    pub fn set_largest_timestamp(&self, largest: TimestampOffset) {
        self.progress.lock().largest = Some(largest);
    }

    fn scan_largest_timestamp(&self) -> io::Result<TimestampOffset> {
        let mut largest = TimestampOffset { timestamp: -1, offset: self.base_offset };
        if self.size() == 0 {
            return Ok(largest);
        }
        let file = self.file()?;
        let mut scanner = BatchScanner::new(&file, 0, self.size(), SCAN_BLOCK_BYTES);
        while let Some((_, header)) = scanner.next_header()? {
            if header.max_timestamp() > largest.timestamp {
                largest = TimestampOffset { timestamp: header.max_timestamp(), offset: header.last_offset() };
            }
        }
        Ok(largest)
    }

    /// Timestamp of the first batch, -1 if empty or untimed.
    pub fn first_timestamp(&self) -> io::Result<i64> {
        if let Some(timestamp) = self.progress.lock().first_timestamp {
            return Ok(timestamp);
        }
        if self.size() == 0 {
            return Ok(-1);
        }
        let file = self.file()?;
        let first = BatchScanner::new(&file, 0, self.size(), LOOKUP_BLOCK_BYTES).next_header()?;
        let timestamp = first.map_or(-1, |(_, header)| header.max_timestamp());
        self.progress.lock().first_timestamp = Some(timestamp);
        Ok(timestamp)
    }

    /// How long ago the segment began, for `segment.ms`: by the records' clock if they have timestamps, else by ours.
    pub fn age_ms(&self, incoming_timestamp: i64, now_ms: i64) -> io::Result<i64> {
        let first = self.first_timestamp()?;
        if first >= 0 && incoming_timestamp >= 0 {
            return Ok(incoming_timestamp.saturating_sub(first));
        }
        Ok(now_ms.saturating_sub(self.progress.lock().created_ms))
    }

    /// When the newest record was written, for retention: its timestamp, or the file's time if records carry none.
    pub fn newest_ms(&self) -> io::Result<i64> {
        let largest = self.largest_timestamp()?.timestamp;
        if largest >= 0 {
            return Ok(largest);
        }
        let modified = std::fs::metadata(self.data_path())?.modified()?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Like [`Segment::seal`], for a segment that may go on after a restart. One that is too small for an index entry gets none in the
    /// time index either: what an entry would tell is found by looking at the few batches there are.
    pub fn close_cleanly(&self) -> io::Result<()> {
        if self.size() == 0 || self.offset_index.entries.len()? > 0 { self.seal() } else { self.release_reserved() }
    }

    /// The segment is finished: the time index gets its last entry, the indexes are written, reserved space is given back.
    pub fn seal(&self) -> io::Result<()> {
        if self.size() == 0 {
            return Ok(());
        }
        let largest = self.largest_timestamp()?;
        self.time_index.maybe_append(largest)?;
        self.write_indexes()?;
        self.release_reserved()
    }

    fn release_reserved(&self) -> io::Result<()> {
        let mut progress = self.progress.lock();
        if progress.allocated > self.size() {
            progress.allocated = self.size();
            drop(progress);
            self.file()?.set_len(self.size())?;
        }
        Ok(())
    }

    /// fsyncs the data and writes the indexes; with `indexes` fsyncs those too.
    ///
    /// Index entries that find no space stay in memory: the data is durable without them.
    pub fn sync(&self, indexes: bool) -> io::Result<()> {
        if self.size() == 0 {
            return Ok(());
        }
        self.file()?.sync_data()?;
        match self.write_indexes() {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            written => written?,
        }
        if indexes {
            self.offset_index.entries.sync()?;
            self.time_index.entries.sync()?;
            self.txn_index.sync()?;
        }
        Ok(())
    }

    /// Writes the index entries that are still in memory.
    pub fn write_indexes(&self) -> io::Result<()> {
        self.offset_index.entries.flush()?;
        self.time_index.entries.flush()
    }

    /// Cuts the data file to its first `size` bytes, which end before `next_offset`. Indexes are not touched.
    pub fn truncate_data(&self, size: u64, next_offset: i64) -> io::Result<()> {
        self.file()?.set_len(size)?;
        self.progress.lock().allocated = size;
        self.set_end(size, next_offset);
        Ok(())
    }

    /// Renames all files from their current suffix to `to`.
    pub fn change_suffix(&self, to: &'static str) -> io::Result<()> {
        self.name.change_suffix(to)
    }

    /// Paths of all files that may exist.
    pub fn all_paths(&self) -> Vec<PathBuf> {
        paths::SEGMENT_SUFFIXES.map(|kind| self.path(kind)).to_vec()
    }

    /// Lets go of all descriptors.
    pub fn close(&self) {
        self.data.close();
        self.offset_index.entries.close();
        self.time_index.entries.close();
    }
}

impl Progress {
    fn new(now_ms: i64, largest: Option<TimestampOffset>, allocated: u64) -> Progress {
        Progress {
            largest,
            first_timestamp: None,
            created_ms: now_ms,
            bytes_since_entry: 0,
            allocated,
            hints: [(-1, 0); HINTS],
            next_hint: 0,
        }
    }
}

/// Whether the batch that an index entry speaks of is where the entry says.
fn is_batch(file: &File, entry: &OffsetPosition, end: u64) -> io::Result<bool> {
    match BatchScanner::new(file, u64::from(entry.position), end, LOOKUP_BLOCK_BYTES).next_header() {
        Ok(found) => Ok(found.is_some_and(|(_, header)| header.last_offset() == entry.offset)),
        Err(ScanError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        Err(_) => Ok(false),
    }
}

/// The first batch from `start` on whose last offset is at or above `offset`.
fn scan_for(file: &File, start: u64, end: u64, offset: i64) -> io::Result<Option<FoundBatch>> {
    let mut scanner = BatchScanner::new(file, start, end, LOOKUP_BLOCK_BYTES);
    while let Some((position, header)) = scanner.next_header()? {
        if header.last_offset() >= offset {
            return Ok(Some(FoundBatch { position, header }));
        }
    }
    Ok(None)
}

/// Writes all of `parts`, one behind the other, at `position`.
///
/// # Errors
/// When the system refuses; some bytes may have been written then.
pub(crate) fn write_all_vectored_at(file: &File, parts: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
    let mut parts = parts;
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        let count = parts.len().min(512);
        match rustix::io::pwritev(file, &parts[..count], position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut parts, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
