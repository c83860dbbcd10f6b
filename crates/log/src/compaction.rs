//! Compacting one log: the newest record of each key stays, at its offset.
//!
//! 1. Walk the dirty part and note the last offset of every key ([`OffsetMap`]), skipping control records and aborted data.
//! 2. Rewrite the segments from the log's start, grouped so that small ones merge, into `.cleaned` files.
//! 3. fsync, rename to `.swap`, let the new segment take the place of the old ones, rename to the final name. A crash before the
//!    `.swap` name leaves the old segments, a crash behind it the new one (see [`crate::recovery`]).
//!
//! What stays besides the newest values: a tombstone until its delete horizon, which the first compaction writes into the batch
//! (KIP-534); the last batch of each active producer and the last batch of the round, empty if need be, so that sequences and
//! offsets survive; a transaction marker until its transaction's data is gone and its own horizon has passed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_protocol::record::{BatchBuilder, BatchOptions, BatchView, RECORD_BATCH_OVERHEAD, Record, TimestampType};

use crate::batch_header::HeaderBytes;
use crate::batch_scanner::{BatchScanner, SCAN_BLOCK_BYTES};
use crate::checkpoint::sync_dir;
use crate::config::LogConfig;
use crate::error::{IoContext, StorageError};
use crate::log::{Frontiers, Log};
use crate::manager::CleanerOptions;
use crate::offset_map::OffsetMap;
use crate::paths::{CLEANED_SUFFIX, SWAP_SUFFIX};
use crate::producer_state::EndTxnMarker;
use crate::record_walk::RecordWalk;
use crate::segment::{Segment, write_all_vectored_at};
use crate::transaction_index::AbortedTxnEntry;
use crate::validate::DECOMPRESSED_BYTES_MAX;

/// Bytes collected before they are written to the new segment.
const WRITE_BUFFER_BYTES: usize = 1024 * 1024;

/// How much of a log waits for compaction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dirtiness {
    /// First offset that was not compacted yet.
    pub first_dirty_offset: i64,
    /// Compaction must stop before this offset.
    pub end_offset: i64,
    /// Share of dirty bytes among those that may be compacted.
    pub ratio: f64,
    /// `max.compaction.lag.ms` has passed for some record.
    pub overdue: bool,
}

/// What a round of compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionStats {
    /// Bytes of the segments before.
    pub bytes_read: u64,
    /// Bytes of the segments after.
    pub bytes_written: u64,
    /// Offset up to which the log is clean now.
    pub clean_offset: i64,
}

impl Log {
    /// How dirty the log is, if it was last compacted up to `clean_offset`. `None` when there is nothing to compact.
    pub(crate) fn dirtiness(&self, clean_offset: i64) -> io::Result<Option<Dirtiness>> {
        let config = self.config();
        let frontiers = self.frontiers();
        let start = frontiers.segments[0].base_offset();
        let first_dirty_offset = if clean_offset > frontiers.log_end_offset { start } else { clean_offset.max(start) };
        let end_offset = self.first_uncleanable_offset(&frontiers, &config)?;
        if end_offset <= first_dirty_offset {
            return Ok(None);
        }
        let (mut clean_bytes, mut dirty_bytes, mut oldest_dirty_ms) = (0, 0, i64::MAX);
        for (index, segment) in frontiers.segments.iter().enumerate() {
            let next = frontiers.segments.get(index + 1).map_or(frontiers.log_end_offset, |next| next.base_offset());
            if segment.base_offset() >= end_offset {
                break;
            } else if next <= first_dirty_offset {
                clean_bytes += frontiers.size_of(index);
            } else if frontiers.size_of(index) > 0 {
                dirty_bytes += frontiers.size_of(index);
                oldest_dirty_ms = oldest_dirty_ms.min(segment.first_timestamp()?);
            }
        }
        let ratio = dirty_bytes as f64 / (clean_bytes + dirty_bytes).max(1) as f64;
        let age_ms = self.context.now_ms().saturating_sub(oldest_dirty_ms);
        let overdue = oldest_dirty_ms != i64::MAX && age_ms > config.max_compaction_lag_ms;
        Ok((dirty_bytes > 0).then_some(Dirtiness { first_dirty_offset, end_offset, ratio, overdue }))
    }

    /// Never the active segment, nothing of an open transaction, no segment with a record younger than `min.compaction.lag.ms`.
    fn first_uncleanable_offset(&self, frontiers: &Frontiers, config: &LogConfig) -> io::Result<i64> {
        let mut end_offset = frontiers.last_stable_offset.min(frontiers.active().base_offset());
        if config.min_compaction_lag_ms > 0 {
            let youngest_ms = self.context.now_ms().saturating_sub(config.min_compaction_lag_ms);
            for segment in frontiers.segments.iter().filter(|segment| segment.size() > 0) {
                if segment.largest_timestamp()?.timestamp > youngest_ms {
                    end_offset = end_offset.min(segment.base_offset());
                    break;
                }
            }
        }
        Ok(end_offset)
    }

    /// Compacts the log. `pause` is told how long the I/O done so far should have taken, and answers whether to go on.
    ///
    /// # Errors
    /// When files cannot be read or written. The log is as before, or partly compacted; both are complete.
    pub(crate) fn compact(
        &self,
        dirty: &Dirtiness,
        options: &CleanerOptions,
        pause: &mut dyn FnMut(Duration) -> bool,
    ) -> Result<CompactionStats, StorageError> {
        let config = self.config();
        let frontiers = self.frontiers();
        let map = self.build_map(&frontiers, dirty, options).at("compact", self.path())?;
        let end_offset = map.latest_offset() + 1;
        let mut round = Round {
            log: self,
            map,
            now_ms: self.context.now_ms(),
            end_offset,
            transactions: Transactions::new(all_aborted(&frontiers).at("compact", self.path())?),
            last_of_producers: self.last_of_producers(),
            config: &config,
        };
        let mut stats = CompactionStats { clean_offset: end_offset, ..CompactionStats::default() };
        for group in group_segments(&frontiers, end_offset, &config) {
            let before: u64 = group.iter().map(|segment| segment.size()).sum();
            let after = round.rewrite(&group)?;
            stats.bytes_read += before;
            stats.bytes_written += after;
            let budget = (before + after) as f64 / options.io_bytes_per_second_max.max(1.0);
            if !pause(Duration::try_from_secs_f64(budget).unwrap_or_default()) {
                stats.clean_offset = dirty.first_dirty_offset;
                break;
            }
        }
        Ok(stats)
    }

    fn build_map(&self, frontiers: &Frontiers, dirty: &Dirtiness, options: &CleanerOptions) -> io::Result<OffsetMap> {
        let keys_max = usize::try_from(dirty.end_offset - dirty.first_dirty_offset).unwrap_or(usize::MAX);
        let mut map = OffsetMap::new(options.dedupe_buffer_bytes, options.load_factor, keys_max);
        map.seen(dirty.first_dirty_offset - 1);
        let mut transactions = Transactions::new(all_aborted(frontiers)?);
        let first = frontiers.floor(dirty.first_dirty_offset);
        for segment in frontiers.segments[first..].iter().take_while(|segment| segment.base_offset() < dirty.end_offset)
        {
            if segment.size() == 0 {
                continue;
            }
            let file = segment.file()?;
            let mut scanner = BatchScanner::new(&file, 0, segment.size(), SCAN_BLOCK_BYTES);
            while let Some((position, header)) = scanner.next_header()? {
                let bytes = scanner.bytes_of(position, &header)?;
                let discarded = transactions.observe(&header, bytes).discard;
                if header.last_offset() >= dirty.end_offset {
                    return Ok(map);
                }
                if !header.is_control()
                    && !discarded
                    && header.last_offset() >= dirty.first_dirty_offset
                    && !note_keys(&mut map, &header, bytes, dirty)?
                {
                    return Ok(map);
                }
                map.seen(header.last_offset());
            }
        }
        Ok(map)
    }

    fn last_of_producers(&self) -> HashMap<i64, LastOfProducer> {
        let state = self.state.lock();
        let last = state.producers.producers().iter().map(|(id, entry)| {
            (
                *id,
                LastOfProducer {
                    data_offset: entry.batches.back().map(|batch| batch.last_offset),
                    producer_epoch: entry.producer_epoch,
                },
            )
        });
        last.collect()
    }

    /// Puts `new` in the place of `old`. `false`, and nothing is changed, if the log no longer consists of these segments.
    fn replace(&self, new: Arc<Segment>, old: &[Arc<Segment>]) -> Result<bool, StorageError> {
        new.change_suffix(SWAP_SUFFIX).at("rename", new.data_path())?;
        sync_dir(&self.path())?;
        let state = self.state.lock();
        let unchanged = {
            let mut frontiers = self.frontiers.write();
            let found = frontiers.segments.iter().position(|segment| Arc::ptr_eq(segment, &old[0]));
            let range = found.map(|at| at..at + old.len());
            let same = range
                .clone()
                .and_then(|range| frontiers.segments.get(range))
                .is_some_and(|now| now.iter().zip(old).all(|(a, b)| Arc::ptr_eq(a, b)));
            if let Some(range) = range.filter(|_| same && !state.closed) {
                let mut segments = frontiers.segments.to_vec();
                segments.splice(range, [new.clone()]);
                frontiers.segments = Arc::new(segments);
                true
            } else {
                false
            }
        };
        if !unchanged {
            new.all_paths().iter().for_each(|path| crate::context::remove(path));
            return Ok(false);
        }
        for segment in old {
            self.discard(segment)?;
        }
        new.change_suffix("").at("rename", new.data_path()).map_err(|error| self.dir().judge(error))?;
        drop(state);
        sync_dir(&self.path())?;
        Ok(true)
    }
}

/// Notes the keys of one batch; `false` when the map is full.
fn note_keys(map: &mut OffsetMap, header: &HeaderBytes, bytes: &[u8], dirty: &Dirtiness) -> io::Result<bool> {
    let plain = plain_records(bytes)?;
    for record in RecordWalk::new(&plain) {
        let record = record.map_err(invalid)?;
        let offset = header.base_offset() + i64::from(record.offset_delta);
        let Some(key) = record.key.filter(|_| offset >= dirty.first_dirty_offset) else { continue };
        if map.is_full() {
            return Ok(false);
        }
        map.put(key, offset);
    }
    Ok(true)
}

fn plain_records(bytes: &[u8]) -> io::Result<std::borrow::Cow<'_, [u8]>> {
    let view = BatchView::parse(bytes).map_err(|error| invalid(&error.to_string()))?;
    view.uncompressed(DECOMPRESSED_BYTES_MAX).map_err(|error| invalid(&error.to_string()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn all_aborted(frontiers: &Frontiers) -> io::Result<Vec<AbortedTxnEntry>> {
    let mut aborted = Vec::new();
    for segment in frontiers.segments.iter() {
        aborted.extend(segment.txn_index.all()?);
    }
    Ok(aborted)
}

/// Neighbouring segments that fit into one, oldest first; all of them start below `end_offset`.
fn group_segments(frontiers: &Frontiers, end_offset: i64, config: &LogConfig) -> Vec<Vec<Arc<Segment>>> {
    let mut groups: Vec<Vec<Arc<Segment>>> = Vec::new();
    let mut bytes = 0;
    let finished = &frontiers.segments[..frontiers.segments.len() - 1];
    for segment in finished.iter().take_while(|segment| segment.base_offset() < end_offset) {
        let fits = groups.last().is_some_and(|group| {
            bytes + segment.size() <= config.segment_bytes.max(0) as u64
                && segment.next_offset() - group[0].base_offset() <= i64::from(i32::MAX)
        });
        match groups.last_mut().filter(|_| fits) {
            Some(group) => group.push(segment.clone()),
            None => {
                groups.push(vec![segment.clone()]);
                bytes = 0;
            }
        }
        bytes += segment.size();
    }
    groups
}

struct LastOfProducer {
    data_offset: Option<i64>,
    producer_epoch: i16,
}

/// What a batch means for the transactions around it.
#[derive(Debug, Clone, Copy)]
struct Observed {
    /// Aborted data, or the marker of a transaction without data left.
    discard: bool,
    /// The abort whose marker this is, if its data was still there: it stays in the transaction index.
    aborted: Option<AbortedTxnEntry>,
}

/// Follows the transactions of a log from its start.
struct Transactions {
    /// Aborted transactions by first offset, not reached yet.
    ahead: BTreeMap<(i64, i64), AbortedTxnEntry>,
    /// Aborted transactions we are within, and whether data of them was seen.
    aborted: HashMap<i64, (AbortedTxnEntry, bool)>,
    /// Producers with data in a transaction that was not aborted.
    committed: HashSet<i64>,
}

impl Transactions {
    fn new(aborted: Vec<AbortedTxnEntry>) -> Transactions {
        let ahead = aborted.into_iter().map(|entry| ((entry.first_offset, entry.producer_id), entry)).collect();
        Transactions { ahead, aborted: HashMap::new(), committed: HashSet::new() }
    }

    fn observe(&mut self, header: &HeaderBytes, bytes: &[u8]) -> Observed {
        while let Some(entry) = self.ahead.first_entry().filter(|entry| entry.key().0 <= header.last_offset()) {
            let entry = entry.remove();
            self.aborted.entry(entry.producer_id).or_insert((entry, false));
        }
        let keep = Observed { discard: false, aborted: None };
        let producer_id = header.producer_id();
        if header.is_control() {
            return match EndTxnMarker::parse(&bytes[RECORD_BATCH_OVERHEAD..]) {
                None => keep,
                Some(marker) if marker.committed => {
                    Observed { discard: !self.committed.remove(&producer_id), aborted: None }
                }
                Some(_) => match self.aborted.remove(&producer_id) {
                    Some((entry, true)) => Observed { discard: false, aborted: Some(entry) },
                    _ => Observed { discard: true, aborted: None },
                },
            };
        }
        if !header.is_transactional() {
            return keep;
        }
        match self.aborted.get_mut(&producer_id) {
            Some((_, seen)) => {
                *seen = true;
                Observed { discard: true, aborted: None }
            }
            None => {
                self.committed.insert(producer_id);
                keep
            }
        }
    }
}

/// One pass over the segments, with the finished map.
struct Round<'a> {
    log: &'a Log,
    map: OffsetMap,
    now_ms: i64,
    end_offset: i64,
    transactions: Transactions,
    last_of_producers: HashMap<i64, LastOfProducer>,
    config: &'a LogConfig,
}

impl Round<'_> {
    /// Rewrites `group` into one segment and swaps it in. Returns its size.
    fn rewrite(&mut self, group: &[Arc<Segment>]) -> Result<u64, StorageError> {
        let context = &self.log.context;
        let new =
            Segment::create(&self.log.home(), &context.files, group[0].base_offset(), CLEANED_SUFFIX, self.now_ms);
        new.all_paths().iter().for_each(|path| crate::context::remove(path));
        let written = self.fill(&new, group).and_then(|()| finish(&new, group));
        if let Err(error) = written {
            new.all_paths().iter().for_each(|path| crate::context::remove(path));
            let error = StorageError::new("compact", new.data_path(), error);
            let damaged = matches!(error.source.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof);
            return Err(if damaged { StorageError { kind: crate::StorageErrorKind::Corrupt, ..error } } else { error });
        }
        let size = new.size();
        self.log.replace(Arc::new(new), group)?;
        Ok(size)
    }

    fn fill(&mut self, new: &Segment, group: &[Arc<Segment>]) -> io::Result<()> {
        let (file, _) = new.file_for_append()?;
        let mut buffer: Vec<u8> = Vec::new();
        let mut written = 0;
        let mut next_offset = new.base_offset();
        for segment in group.iter().filter(|segment| segment.size() > 0) {
            let source = segment.file()?;
            let mut scanner = BatchScanner::new(&source, 0, segment.size(), SCAN_BLOCK_BYTES);
            while let Some((position, header)) = scanner.next_header()? {
                let bytes = scanner.bytes_of(position, &header)?;
                let observed = self.transactions.observe(&header, bytes);
                if let Some(entry) = &observed.aborted {
                    new.txn_index.append(entry)?;
                }
                let Some(kept) = self.keep(&header, bytes, observed.discard)? else { continue };
                let kept_header =
                    HeaderBytes::copy_from(&kept).ok_or_else(|| invalid("rewritten batch is too short"))?;
                new.note_batch(
                    &kept_header,
                    written + buffer.len() as u64,
                    self.config.index_interval_bytes.max(0) as u64,
                )?;
                buffer.extend_from_slice(&kept);
                next_offset = kept_header.next_offset();
                if buffer.len() >= WRITE_BUFFER_BYTES {
                    write_all_vectored_at(&file, &mut [io::IoSlice::new(&buffer)], written)?;
                    written += buffer.len() as u64;
                    buffer.clear();
                }
            }
        }
        write_all_vectored_at(&file, &mut [io::IoSlice::new(&buffer)], written)?;
        new.set_end(written + buffer.len() as u64, next_offset);
        Ok(())
    }

    /// What stays of a batch: all of it, some records, an empty header, or nothing.
    fn keep(&self, header: &HeaderBytes, bytes: &[u8], discard: bool) -> io::Result<Option<Bytes>> {
        let horizon_passed = header.delete_horizon_ms().is_some_and(|horizon_ms| horizon_ms <= self.now_ms);
        let discard_records = discard && (!header.is_control() || horizon_passed);
        let last_of_producer = header.has_producer_id()
            && self.last_of_producers.get(&header.producer_id()).is_some_and(|last| match last.data_offset {
                Some(offset) => header.last_offset() == offset,
                None => header.is_control() && header.producer_epoch() == last.producer_epoch,
            });
        let keep_empty = last_of_producer || header.next_offset() == self.end_offset;
        if discard_records {
            return if keep_empty { self.empty(bytes).map(Some) } else { Ok(None) };
        }
        if header.is_control() {
            let needs_horizon = discard && header.delete_horizon_ms().is_none();
            return if needs_horizon {
                self.rebuild(bytes, |_| true).map(Some)
            } else {
                Ok(Some(Bytes::copy_from_slice(bytes)))
            };
        }
        self.keep_records(header, bytes, keep_empty)
    }

    fn keep_records(&self, header: &HeaderBytes, bytes: &[u8], keep_empty: bool) -> io::Result<Option<Bytes>> {
        let plain = plain_records(bytes)?;
        let (mut kept, mut dropped, mut tombstones) = (0, 0, false);
        for record in RecordWalk::new(&plain) {
            let record = record.map_err(invalid)?;
            let offset = header.base_offset() + i64::from(record.offset_delta);
            if self.is_retained(header, offset, record.key, record.value.is_some()) {
                kept += 1;
                tombstones |= record.value.is_none();
            } else {
                dropped += 1;
            }
        }
        let needs_horizon = tombstones && header.delete_horizon_ms().is_none();
        if kept == 0 {
            return if keep_empty { self.empty(bytes).map(Some) } else { Ok(None) };
        }
        if dropped == 0 && !needs_horizon {
            return Ok(Some(Bytes::copy_from_slice(bytes)));
        }
        let retained =
            |record: &Record| self.is_retained(header, record.offset, record.key.as_deref(), record.value.is_some());
        self.rebuild_with(bytes, retained, needs_horizon).map(Some)
    }

    fn is_retained(&self, header: &HeaderBytes, offset: i64, key: Option<&[u8]>, has_value: bool) -> bool {
        if offset > self.map.latest_offset() {
            return true;
        }
        let Some(key) = key else { return false };
        let is_latest = self.map.get(key).is_none_or(|latest| offset >= latest);
        let tombstone_stays = header.delete_horizon_ms().is_none_or(|horizon_ms| self.now_ms < horizon_ms);
        is_latest && (has_value || tombstone_stays)
    }

    fn rebuild(&self, bytes: &[u8], retained: impl Fn(&Record) -> bool) -> io::Result<Bytes> {
        self.rebuild_with(bytes, retained, true)
    }

    /// Writes the batch again with the `retained` records; offsets, sequence and epoch stay as they are.
    fn rebuild_with(&self, bytes: &[u8], retained: impl Fn(&Record) -> bool, set_horizon: bool) -> io::Result<Bytes> {
        let wrong = |error: milena_protocol::record::RecordError| invalid(&error.to_string());
        let view = BatchView::parse(bytes).map_err(wrong)?;
        let mut options = options_of(&view)?;
        if set_horizon {
            options.delete_horizon_ms = Some(self.now_ms.saturating_add(self.config.delete_retention_ms));
        }
        options.level = self.config.compression_level(options.compression);
        let log_append_time = options.timestamp_type == TimestampType::LogAppendTime;
        let mut builder = BatchBuilder::new(options);
        for record in view.records(DECOMPRESSED_BYTES_MAX).map_err(wrong)? {
            let record = record.map_err(wrong)?;
            if retained(&record) {
                let timestamp = if log_append_time { view.max_timestamp() } else { record.timestamp };
                builder.append_with_offset(
                    record.offset,
                    timestamp,
                    record.key.as_deref(),
                    record.value.as_deref(),
                    &record.headers,
                );
            }
        }
        builder.override_last_offset(view.last_offset());
        builder.build().map_err(wrong)
    }

    fn empty(&self, bytes: &[u8]) -> io::Result<Bytes> {
        let wrong = |error: milena_protocol::record::RecordError| invalid(&error.to_string());
        let view = BatchView::parse(bytes).map_err(wrong)?;
        BatchBuilder::build_empty(&options_of(&view)?, view.last_offset(), view.max_timestamp()).map_err(wrong)
    }
}

/// The new segment is complete: indexes and fsync. It keeps the age of the data in it.
fn finish(new: &Segment, group: &[Arc<Segment>]) -> io::Result<()> {
    new.seal()?;
    let modified = group
        .last()
        .and_then(|last| std::fs::metadata(last.data_path()).ok())
        .and_then(|metadata| metadata.modified().ok());
    if let Some(modified) = modified {
        new.file_for_append()?.0.set_modified(modified)?;
    }
    new.sync(true)
}

fn options_of(view: &BatchView<'_>) -> io::Result<BatchOptions> {
    Ok(BatchOptions {
        base_offset: view.base_offset(),
        leader_epoch: view.partition_leader_epoch(),
        compression: view.compression().map_err(|error| invalid(&error.to_string()))?,
        level: None,
        timestamp_type: view.timestamp_type(),
        producer_id: view.producer_id(),
        producer_epoch: view.producer_epoch(),
        base_sequence: view.base_sequence(),
        transactional: view.is_transactional(),
        control: view.is_control(),
        delete_horizon_ms: view.delete_horizon_ms(),
    })
}

#[cfg(test)]
mod tests;
