//! Reading: from an offset to a range of a file that `sendfile` can send, and the lookups by time and epoch.

use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::record::BatchView;
use milena_protocol::{FileRange, Records};

use crate::batch_scanner::{BatchScanner, SCAN_BLOCK_BYTES};
use crate::cached_read;
use crate::error::{ReadError, StorageError, StorageErrorKind};
use crate::log::{Frontiers, Log};
use crate::segment::{FoundBatch, Segment};
use crate::time_index::TimestampOffset;
use crate::validate::DECOMPRESSED_BYTES_MAX;

/// How far a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadLimit {
    /// Everything written (replicas).
    LogEnd,
    /// Everything committed (read_uncommitted consumers).
    HighWatermark,
    /// Nothing of an open transaction (read_committed consumers).
    LastStable,
}

/// An aborted transaction whose records a read_committed consumer must drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The producer.
    pub producer_id: i64,
    /// First offset of the transaction in this partition.
    pub first_offset: i64,
}

/// What a read found, and the frontiers of the same moment.
#[derive(Debug, Clone)]
pub struct FetchData {
    /// Whole batches, starting with the one that contains the offset asked for; empty if there are none yet.
    pub records: Records,
    /// First offset of the log.
    pub log_start_offset: i64,
    /// One past the last offset.
    pub log_end_offset: i64,
    /// One past the last committed offset.
    pub high_watermark: i64,
    /// One past the last offset without open transactions.
    pub last_stable_offset: i64,
    /// Aborted transactions within the records; only for [`ReadLimit::LastStable`].
    pub aborted: Option<Vec<AbortedTxn>>,
}

/// A record found by its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundTimestamp {
    /// Its timestamp in milliseconds.
    pub timestamp: i64,
    /// Its offset.
    pub offset: i64,
    /// Epoch of the leader that appended it, -1 if unknown.
    pub leader_epoch: i32,
}

struct Selection {
    records: Records,
    /// One past the last offset in `records`, as far as known.
    next_offset: i64,
    segment_index: usize,
}

impl Log {
    /// Reads whole batches from the one that contains `offset`, at most `max_bytes` of them. With `min_one_batch` the first batch
    /// is returned even if it is larger (KIP-74). At the end of the log the result is empty, and costs one lock.
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] below the log start or beyond the log end; [`ReadError::Storage`] when the disk fails.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        min_one_batch: bool,
        upto: ReadLimit,
    ) -> Result<FetchData, ReadError> {
        self.dir().check()?;
        let frontiers = self.frontiers();
        if offset < frontiers.log_start_offset || offset > frontiers.log_end_offset {
            return Err(out_of_range(offset, &frontiers));
        }
        let limit = match upto {
            ReadLimit::LogEnd | ReadLimit::HighWatermark => frontiers.log_end_offset,
            ReadLimit::LastStable => frontiers.last_stable_offset,
        };
        let selection = match offset < limit && (max_bytes > 0 || min_one_batch) {
            true => self.select(&frontiers, offset, limit, max_bytes, min_one_batch)?,
            false => None,
        };
        let aborted = match (&selection, upto) {
            (_, ReadLimit::LogEnd | ReadLimit::HighWatermark) => None,
            (None, ReadLimit::LastStable) => Some(Vec::new()),
            (Some(found), ReadLimit::LastStable) => Some(self.aborted_within(&frontiers, offset, found)?),
        };
        Ok(FetchData {
            records: selection.map_or(Records::Memory(Bytes::new()), |found| found.records),
            log_start_offset: frontiers.log_start_offset,
            log_end_offset: frontiers.log_end_offset,
            high_watermark: frontiers.log_end_offset,
            last_stable_offset: frontiers.last_stable_offset,
            aborted,
        })
    }

    /// Like [`Log::read`], but never waits for a disk.
    ///
    /// # Errors
    /// Those of [`Log::read`], and [`ReadError::NotCached`] when it would have to wait.
    pub fn read_cached(
        &self,
        offset: i64,
        max_bytes: usize,
        min_one_batch: bool,
        upto: ReadLimit,
    ) -> Result<FetchData, ReadError> {
        cached_read::only(|| self.read(offset, max_bytes, min_one_batch, upto))
    }

    fn select(
        &self,
        frontiers: &Frontiers,
        offset: i64,
        limit: i64,
        max_bytes: usize,
        min_one: bool,
    ) -> Result<Option<Selection>, ReadError> {
        for index in frontiers.floor(offset)..frontiers.segments.len() {
            let segment = &frontiers.segments[index];
            let size = frontiers.size_of(index);
            let found = self.io(segment, offset, segment.find_batch(offset, size))?;
            let Some(first) = found else { continue };
            if first.header.base_offset() >= limit {
                return Ok(None);
            }
            let end = if limit < frontiers.log_end_offset {
                let beyond = self.io(segment, offset, segment.find_batch(limit, size))?;
                beyond.map_or(size, |batch| batch.position)
            } else {
                size
            };
            return self.select_in(segment, index, &first, (offset, limit), end, max_bytes, min_one);
        }
        Ok(None)
    }

    #[allow(clippy::too_many_arguments, reason = "the bounds of one read, used once")]
    fn select_in(
        &self,
        segment: &Arc<Segment>,
        segment_index: usize,
        first: &FoundBatch,
        (offset, offset_limit): (i64, i64),
        end: u64,
        max_bytes: usize,
        min_one: bool,
    ) -> Result<Option<Selection>, ReadError> {
        let first_end = first.position + first.header.size_in_bytes() as u64;
        let limit = first.position.saturating_add(max_bytes as u64);
        let (stop, next_offset) = if limit >= end {
            (end, None)
        } else if limit <= first_end {
            let whole = limit == first_end || min_one;
            (if whole { first_end } else { first.position }, Some(first.header.next_offset()))
        } else {
            self.io(segment, offset, segment.boundary_before(first_end, limit, end))?
        };
        if stop <= first.position {
            return Ok(None);
        }
        let next_offset = next_offset.unwrap_or_else(|| segment.next_offset().min(offset_limit));
        segment.remember(next_offset, stop);
        let file = self.io(segment, offset, segment.file())?;
        let records =
            Records::File(FileRange { file, position: first.position, len: (stop - first.position) as usize });
        Ok(Some(Selection { records, next_offset, segment_index }))
    }

    fn aborted_within(
        &self,
        frontiers: &Frontiers,
        offset: i64,
        found: &Selection,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        let mut aborted = Vec::new();
        for segment in &frontiers.segments[found.segment_index..] {
            for entry in self.io(segment, offset, segment.txn_index.all())? {
                if entry.last_offset >= offset && entry.first_offset < found.next_offset {
                    aborted.push(AbortedTxn { producer_id: entry.producer_id, first_offset: entry.first_offset });
                }
                if entry.last_stable_offset >= found.next_offset {
                    aborted.sort_unstable_by_key(|txn| txn.first_offset);
                    return Ok(aborted);
                }
            }
        }
        aborted.sort_unstable_by_key(|txn| txn.first_offset);
        Ok(aborted)
    }

    /// Judges an I/O error of a read: a segment that was deleted meanwhile is "out of range", the rest is the disk's fault.
    fn io<T>(&self, segment: &Segment, offset: i64, result: std::io::Result<T>) -> Result<T, ReadError> {
        let error = match result {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if error.kind() == std::io::ErrorKind::WouldBlock {
            return Err(ReadError::NotCached);
        }
        let frontiers = self.frontiers();
        if error.kind() == std::io::ErrorKind::NotFound && offset < frontiers.log_start_offset {
            return Err(out_of_range(offset, &frontiers));
        }
        let kind = error.kind();
        let error = StorageError::new("read", segment.data_path(), error);
        match kind {
            std::io::ErrorKind::NotFound => Err(StorageError { kind: StorageErrorKind::Closed, ..error }.into()),
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof => {
                Err(StorageError { kind: StorageErrorKind::Corrupt, ..error }.into())
            }
            _ => Err(self.dir().judge(error).into()),
        }
    }

    /// The first record whose timestamp is at or after `timestamp`, if any.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<FoundTimestamp>, ReadError> {
        self.dir().check()?;
        let frontiers = self.frontiers();
        for (index, segment) in frontiers.segments.iter().enumerate() {
            let start = frontiers.log_start_offset.max(segment.base_offset());
            let size = frontiers.size_of(index);
            if size == 0 || self.io(segment, start, segment.largest_timestamp())?.timestamp < timestamp {
                continue;
            }
            let search = || -> std::io::Result<Option<FoundTimestamp>> {
                let from = segment.time_index.lookup_before(timestamp)?.map_or(start, |entry| entry.offset.max(start));
                let Some(first) = segment.find_batch(from, size)? else { return Ok(None) };
                first_record_where(
                    segment,
                    first.position,
                    size,
                    |time, offset| time >= timestamp && offset >= start,
                    timestamp,
                )
            };
            if let Some(found) = self.io(segment, start, search())? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record with the largest timestamp, the first one of several; `None` in an empty log (KIP-734).
    pub fn max_timestamp_offset(&self) -> Result<Option<FoundTimestamp>, ReadError> {
        self.dir().check()?;
        let frontiers = self.frontiers();
        let mut best: Option<(usize, TimestampOffset)> = None;
        for (index, segment) in frontiers.segments.iter().enumerate().filter(|(index, _)| frontiers.size_of(*index) > 0)
        {
            let largest = self.io(segment, segment.base_offset(), segment.largest_timestamp())?;
            if largest.timestamp >= 0 && best.is_none_or(|(_, found)| largest.timestamp > found.timestamp) {
                best = Some((index, largest));
            }
        }
        let Some((index, largest)) = best else { return Ok(None) };
        let segment = &frontiers.segments[index];
        let size = frontiers.size_of(index);
        let search = || -> std::io::Result<Option<FoundTimestamp>> {
            let Some(batch) = segment.find_batch(largest.offset, size)? else { return Ok(None) };
            first_record_where(segment, batch.position, size, |time, _| time >= largest.timestamp, largest.timestamp)
        };
        self.io(segment, largest.offset, search())
    }

    /// ListOffsets version 0: at most `max` offsets where segments start that were last written before `timestamp`, newest first.
    /// -1 starts at the log end, -2 gives only the log start.
    pub fn legacy_offsets_before(&self, timestamp: i64, max: usize) -> Result<Vec<i64>, ReadError> {
        let frontiers = self.frontiers();
        if timestamp == -2 {
            return Ok(vec![frontiers.log_start_offset].into_iter().take(max).collect());
        }
        let mut offsets = Vec::new();
        for segment in frontiers.segments.iter() {
            let base_offset = segment.base_offset().max(frontiers.log_start_offset);
            let written_ms = if segment.size() > 0 {
                self.io(segment, base_offset, segment.newest_ms())?
            } else {
                self.context.now_ms()
            };
            if timestamp == -1 || written_ms <= timestamp {
                offsets.push(base_offset);
            }
        }
        if frontiers.active_size > 0 && (timestamp == -1 || timestamp >= self.context.now_ms()) {
            offsets.push(frontiers.log_end_offset);
        }
        offsets.dedup();
        offsets.reverse();
        offsets.truncate(max);
        Ok(offsets)
    }

    /// Size in bytes of each segment with its base offset, oldest first.
    pub fn segments(&self) -> Vec<(i64, u64)> {
        let frontiers = self.frontiers();
        frontiers
            .segments
            .iter()
            .enumerate()
            .map(|(index, segment)| (segment.base_offset(), frontiers.size_of(index)))
            .collect()
    }
}

fn out_of_range(offset: i64, frontiers: &Frontiers) -> ReadError {
    ReadError::OutOfRange {
        offset,
        log_start_offset: frontiers.log_start_offset,
        log_end_offset: frontiers.log_end_offset,
    }
}

/// The first record from `position` on that `matches` (timestamp, offset); batches whose largest timestamp is below `timestamp_min`
/// are not looked into.
fn first_record_where(
    segment: &Segment,
    position: u64,
    end: u64,
    matches: impl Fn(i64, i64) -> bool,
    timestamp_min: i64,
) -> std::io::Result<Option<FoundTimestamp>> {
    let invalid = |error: milena_protocol::record::RecordError| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string())
    };
    let file = segment.file()?;
    let mut scanner = BatchScanner::new(&file, position, end, SCAN_BLOCK_BYTES);
    while let Some((position, header)) = scanner.next_header()? {
        if header.max_timestamp() < timestamp_min {
            continue;
        }
        let leader_epoch = header.leader_epoch();
        let bytes = scanner.bytes_of(position, &header)?;
        let view = BatchView::parse(bytes).map_err(invalid)?;
        for record in view.records(DECOMPRESSED_BYTES_MAX).map_err(invalid)? {
            let record = record.map_err(invalid)?;
            let timestamp = if header.is_log_append_time() { header.max_timestamp() } else { record.timestamp };
            if matches(timestamp, record.offset) {
                return Ok(Some(FoundTimestamp { timestamp, offset: record.offset, leader_epoch }));
            }
        }
    }
    Ok(None)
}
