//! From the files of a partition's directory to a log, after a clean stop or a crash.
//!
//! After a crash every segment from the recovery point on is read and its CRCs are checked; the log ends before the first batch that
//! is incomplete or damaged (the torn tail), and indexes, producer state and leader epochs are rebuilt from the batches. Below the
//! recovery point everything was fsynced and is trusted. After a clean stop only the end of the last segment is looked at.
//!
//! Interrupted compaction is finished (`.swap`) or forgotten (`.cleaned`); both leave every record that was not compacted away.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use milena_protocol::Uuid;

use crate::batch_header::HeaderError;
use crate::batch_scanner::{BatchScanner, LOOKUP_BLOCK_BYTES, SCAN_BLOCK_BYTES, ScanError};
use crate::config::LogConfig;
use crate::context::{LogContext, remove};
use crate::error::{IoContext, StorageError};
use crate::leader_epoch_checkpoint::LeaderEpochs;
use crate::log::{Log, LogParts};
use crate::log_dir::{LogDir, read_topic_id};
use crate::paths::{self, CLEANED_SUFFIX, DELETED_SUFFIX, LogHome, SWAP_SUFFIX, file_name, parse_file_name};
use crate::producer_snapshot;
use crate::producer_state::ProducerState;
use crate::segment::Segment;
use crate::time_index::TimestampOffset;
use crate::transaction_index::AbortedTxnEntry;

/// What the checkpoints of the log directory say about one partition.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Checkpointed {
    pub clean: bool,
    pub recovery_point: Option<i64>,
    pub log_start_offset: Option<i64>,
}

/// Opens the log in `path`.
///
/// # Errors
/// When the directory cannot be read or written, or holds message sets of Kafka before 0.11 (which are left untouched).
pub(crate) fn load_log(
    path: PathBuf,
    (topic, partition): (String, i32),
    dir: Arc<LogDir>,
    checkpointed: Checkpointed,
    config: Arc<LogConfig>,
    context: Arc<LogContext>,
) -> Result<Arc<Log>, StorageError> {
    let home = Arc::new(LogHome::new(path.clone()));
    let files = tidy(&path)?;
    let loader =
        Loader { path: &path, home: &home, context: &context, interval: config.index_interval_bytes.max(0) as u64 };
    let mut segments = loader.open_segments(&files)?;
    let recovery_point = checkpointed.recovery_point.unwrap_or(0);
    let first_recovered = loader.find_ends(&mut segments, checkpointed.clean, recovery_point)?;
    let mut log_start_offset =
        checkpointed.log_start_offset.unwrap_or(0).max(segments.first().map_or(0, |segment| segment.base_offset()));
    if segments.last().is_none_or(|last| last.next_offset() < log_start_offset) {
        for segment in segments.drain(..) {
            segment.all_paths().iter().for_each(|path| remove(path));
        }
        segments.push(Arc::new(Segment::create(&home, &context.files, log_start_offset, "", context.now_ms())));
    }
    log_start_offset = log_start_offset.max(segments[0].base_offset());
    let log_end_offset = segments.last().map_or(log_start_offset, |last| last.next_offset());
    let mut epochs = LeaderEpochs::load(&path);
    epochs.truncate_from_end(log_end_offset.max(1));
    epochs.truncate_from_start(log_start_offset);
    let replayed = loader.replay_producers(&files, &segments, checkpointed.clean, first_recovered, &mut epochs)?;
    let durable_offset = if checkpointed.clean { log_end_offset } else { recovery_point.min(log_end_offset) };
    let parts = LogParts {
        topic,
        partition,
        topic_id: read_topic_id(&path).unwrap_or(Uuid::ZERO),
        home,
        dir,
        segments,
        log_start_offset,
        producers: replayed.producers,
        epochs,
        snapshot_offset: replayed.snapshot_offset,
        durable_offset,
    };
    let log = Log::new(parts, config, context);
    log.names_dirty.store(!checkpointed.clean, Ordering::Release);
    log.changed.store(first_recovered.is_some() && log_end_offset > 0, Ordering::Release);
    Ok(log)
}

/// The files of a partition that matter for loading.
#[derive(Debug, Default)]
struct Files {
    segments: BTreeSet<i64>,
    snapshots: Vec<i64>,
}

/// Lists the directory, removes leftovers, finishes or forgets an interrupted compaction.
fn tidy(path: &Path) -> Result<Files, StorageError> {
    let mut names = list(path)?;
    let leftovers = |name: &String| name.ends_with(DELETED_SUFFIX) || name.ends_with(".tmp");
    names.iter().filter(|name| leftovers(name)).for_each(|name| remove(&path.join(name)));
    names.retain(|name| !leftovers(name));
    if names.iter().any(|name| name.ends_with(CLEANED_SUFFIX) || name.ends_with(SWAP_SUFFIX)) {
        finish_compaction(path, &names)?;
        names = list(path)?;
    }
    let mut files = Files::default();
    for (offset, suffix) in names.iter().filter_map(|name| parse_file_name(name)) {
        match suffix {
            paths::LOG_SUFFIX => drop(files.segments.insert(offset)),
            paths::SNAPSHOT_SUFFIX => files.snapshots.push(offset),
            _ => {}
        }
    }
    files.snapshots.sort_unstable();
    for name in &names {
        let orphan = parse_file_name(name).is_some_and(|(offset, suffix)| {
            let index = matches!(suffix, paths::INDEX_SUFFIX | paths::TIME_INDEX_SUFFIX | paths::TXN_INDEX_SUFFIX);
            index && !files.segments.contains(&offset)
        });
        if orphan {
            remove(&path.join(name));
        }
    }
    Ok(files)
}

fn list(path: &Path) -> Result<Vec<String>, StorageError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).at("read", path)? {
        if let Ok(name) = entry.at("read", path)?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

/// `.cleaned` files were still being written: they go, and so does a `.swap` of the same segment, whose renaming was under way.
/// What is left as `.swap` is complete and replaces the segments it covers.
fn finish_compaction(path: &Path, names: &[String]) -> Result<(), StorageError> {
    let cleaned: Vec<&String> = names.iter().filter(|name| name.ends_with(CLEANED_SUFFIX)).collect();
    let unfinished =
        cleaned.iter().filter_map(|name| parse_file_name(name)).map(|(offset, _)| offset).min().unwrap_or(i64::MAX);
    cleaned.iter().for_each(|name| remove(&path.join(name)));
    let swaps = names.iter().filter_map(|name| Some((name, parse_file_name(name.strip_suffix(SWAP_SUFFIX)?)?)));
    let (dropped, kept): (Vec<_>, Vec<_>) = swaps.partition(|(_, (offset, _))| *offset >= unfinished);
    dropped.iter().for_each(|(name, _)| remove(&path.join(name)));
    for (name, (base_offset, suffix)) in &kept {
        if *suffix == paths::LOG_SUFFIX {
            let next_offset = end_of_file(&path.join(name), *base_offset)?;
            let covered = names.iter().filter(|name| {
                parse_file_name(name).is_some_and(|(offset, suffix)| {
                    (*base_offset..next_offset.max(base_offset + 1)).contains(&offset) && is_segment_file(suffix)
                })
            });
            covered.for_each(|name| remove(&path.join(name)));
        }
    }
    // The data file comes last: as long as it is a `.swap`, the whole replacement is repeated after another crash.
    let (data, indexes): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(_, (_, suffix))| *suffix == paths::LOG_SUFFIX);
    for (name, (base_offset, suffix)) in indexes.into_iter().chain(data) {
        fs::rename(path.join(name), path.join(file_name(base_offset, suffix))).at("rename", path.join(name))?;
    }
    Ok(())
}

fn is_segment_file(suffix: &str) -> bool {
    paths::SEGMENT_SUFFIXES.contains(&suffix)
}

fn end_of_file(path: &Path, base_offset: i64) -> Result<i64, StorageError> {
    let scan = || -> io::Result<i64> {
        let file = File::open(path)?;
        let mut scanner = BatchScanner::new(&file, 0, file.metadata()?.len(), SCAN_BLOCK_BYTES);
        let mut next_offset = base_offset;
        while let Some((_, header)) = scanner.next_header()? {
            next_offset = header.next_offset();
        }
        Ok(next_offset)
    };
    scan().at("read", path)
}

struct Loader<'a> {
    path: &'a Path,
    home: &'a Arc<LogHome>,
    context: &'a Arc<LogContext>,
    interval: u64,
}

struct Replayed {
    producers: ProducerState,
    snapshot_offset: i64,
}

impl Loader<'_> {
    fn open_segments(&self, files: &Files) -> Result<Vec<Arc<Segment>>, StorageError> {
        let now_ms = self.context.now_ms();
        let mut segments = Vec::with_capacity(files.segments.len());
        for &base_offset in &files.segments {
            let path = self.path.join(file_name(base_offset, paths::LOG_SUFFIX));
            let size = fs::metadata(&path).at("stat", &path)?.len();
            segments.push(Arc::new(Segment::open(self.home, &self.context.files, base_offset, size, now_ms)));
        }
        Ok(segments)
    }

    /// Finds out where every segment ends, repairing what a crash left. Returns the base offset of the first segment that was checked
    /// in full, if any was.
    fn find_ends(
        &self,
        segments: &mut Vec<Arc<Segment>>,
        clean: bool,
        recovery_point: i64,
    ) -> Result<Option<i64>, StorageError> {
        for pair in segments.windows(2) {
            pair[0].set_end(pair[0].size(), pair[1].base_offset());
        }
        let trusted = if clean {
            segments.len().saturating_sub(1)
        } else {
            segments.partition_point(|segment| segment.base_offset() <= recovery_point).saturating_sub(1)
        };
        for segment in &segments[..trusted] {
            self.check_index(segment)?;
        }
        if clean {
            let Some(active) = segments.last() else { return Ok(None) };
            if self.find_clean_end(active)? {
                return Ok(None);
            }
            tracing::warn!(path = %active.data_path().display(), "the last segment does not end as a clean stop leaves it; recovering it");
        }
        let first_recovered = segments.get(trusted).map(|segment| segment.base_offset());
        let mut index = trusted;
        while index < segments.len() {
            let whole = self.recover_segment(&segments[index], recovery_point)?;
            index += 1;
            if !whole {
                for lost in segments.drain(index..) {
                    tracing::warn!(path = %lost.data_path().display(), "segment behind a damaged one is removed");
                    lost.all_paths().iter().for_each(|path| remove(path));
                }
            }
        }
        Ok(first_recovered)
    }

    /// A cheap look at the index of a segment that is trusted: its length and its last entry. A bad one is rebuilt.
    fn check_index(&self, segment: &Segment) -> Result<(), StorageError> {
        let sane = || -> io::Result<bool> {
            let path = segment.offset_index.entries.path();
            let length = match fs::metadata(&path) {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(segment.size() == 0),
                Err(error) => return Err(error),
            };
            let last = segment.offset_index.last()?;
            let time_length = fs::metadata(segment.time_index.entries.path()).map_or(1, |metadata| metadata.len());
            let in_range = last.is_none_or(|last| {
                last.offset > segment.base_offset()
                    && last.offset < segment.next_offset()
                    && u64::from(last.position) < segment.size()
            });
            Ok(in_range && length.is_multiple_of(8) && time_length.is_multiple_of(12))
        };
        if sane().at("read", segment.data_path())? {
            return Ok(());
        }
        tracing::warn!(path = %segment.data_path().display(), "index is missing or damaged; rebuilding it");
        let next_offset = segment.next_offset();
        self.recover_segment(segment, segment.base_offset())?;
        segment.set_end(segment.size(), next_offset.max(segment.next_offset()));
        segment.seal().at("seal", segment.data_path())
    }

    /// Finds the end of the last segment after a clean stop, from its last index entry. `false` when the file does not fit.
    fn find_clean_end(&self, segment: &Segment) -> Result<bool, StorageError> {
        let size = segment.size();
        if size == 0 {
            return Ok(true);
        }
        let walk = || -> Result<Option<i64>, ScanError> {
            let file = segment.file()?;
            let whole = fs::metadata(segment.offset_index.entries.path()).is_ok_and(|metadata| metadata.len() % 8 == 0);
            let last = segment.offset_index.last()?;
            let mut scanner =
                BatchScanner::new(&file, last.map_or(0, |last| u64::from(last.position)), size, LOOKUP_BLOCK_BYTES);
            let mut next_offset = None;
            while let Some((_, header)) = scanner.next_header()? {
                if next_offset.is_none() && last.is_some_and(|last| header.last_offset() != last.offset) {
                    return Ok(None);
                }
                next_offset = Some(header.next_offset());
            }
            Ok(next_offset.filter(|_| whole))
        };
        match walk() {
            Ok(Some(next_offset)) => {
                segment.set_end(size, next_offset);
                Ok(true)
            }
            Ok(None) | Err(ScanError::Header { .. } | ScanError::Torn { .. }) => Ok(false),
            Err(ScanError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(ScanError::Io(error)) => Err(StorageError::new("read", segment.data_path(), error)),
        }
    }

    /// Checks every batch above the last index entry below `recovery_point`, cuts the file before the first bad one, and rebuilds
    /// the indexes on the way. Returns whether the file was whole.
    fn recover_segment(&self, segment: &Segment, recovery_point: i64) -> Result<bool, StorageError> {
        let path = segment.data_path();
        let file = segment.file().at("open", &path)?;
        let length = file.metadata().at("stat", &path)?.len();
        let start = self.keep_trusted_entries(segment, &file, recovery_point, length).at("recover index of", &path)?;
        let mut scanner = BatchScanner::new(&file, start, length, SCAN_BLOCK_BYTES);
        let (mut end, mut next_offset) = (start, segment.base_offset());
        let damage = loop {
            let (position, header) = match scanner.next_header() {
                Ok(Some(found)) => found,
                Ok(None) => break None,
                Err(ScanError::Io(error)) => return Err(StorageError::new("read", path, error)),
                Err(ScanError::Header { position, error }) => {
                    refuse_legacy(&file, position, length, error, &path)?;
                    break Some(error.to_string());
                }
                Err(ScanError::Torn { .. }) => break Some("incomplete batch".to_string()),
            };
            let bytes = scanner.bytes_of(position, &header).at("read", &path)?;
            if header.compute_crc(&bytes[header.0.len()..]) != header.crc() {
                break Some("CRC mismatch".to_string());
            }
            if header.base_offset() < next_offset {
                break Some(format!("base offset {} below {next_offset}", header.base_offset()));
            }
            segment.note_batch(&header, position, self.interval).at("write index of", &path)?;
            end = scanner.position();
            next_offset = header.next_offset();
        };
        segment.set_end(end, next_offset);
        if let Some(what) = &damage {
            tracing::warn!(path = %path.display(), position = end, dropped_bytes = length - end, what, "torn tail is cut off");
            segment.truncate_data(end, next_offset).at("truncate", &path)?;
        }
        segment
            .offset_index
            .entries
            .flush()
            .and_then(|()| segment.time_index.entries.flush())
            .at("write index of", &path)?;
        Ok(damage.is_none())
    }

    /// Drops index entries that recovery cannot trust and returns the position from which batches are checked.
    fn keep_trusted_entries(
        &self,
        segment: &Segment,
        file: &File,
        recovery_point: i64,
        length: u64,
    ) -> io::Result<u64> {
        let mut kept = segment.offset_index.valid_prefix(recovery_point, length)?;
        let mut start = 0;
        while kept > 0 {
            let entry = segment.offset_index.get(kept - 1)?;
            let header = BatchScanner::new(file, u64::from(entry.position), length, LOOKUP_BLOCK_BYTES).next_header();
            if matches!(header, Ok(Some((_, header))) if header.last_offset() == entry.offset) {
                start = u64::from(entry.position);
                let times = segment.time_index.valid_prefix(entry.offset + 1)?;
                if times > 0 {
                    segment.time_index.entries.truncate(times)?;
                    let largest = segment.time_index.get(times - 1)?;
                    segment.set_largest_timestamp(largest);
                    break;
                }
            }
            (kept, start) = (0, 0);
        }
        if kept == 0 {
            segment.set_largest_timestamp(TimestampOffset { timestamp: -1, offset: segment.base_offset() });
            segment.time_index.entries.reset()?;
            segment.offset_index.entries.reset()?;
        } else {
            segment.offset_index.entries.truncate(kept)?;
        }
        Ok(start)
    }

    /// Brings the producer state to the log end: the newest snapshot, then every batch behind it.
    fn replay_producers(
        &self,
        files: &Files,
        segments: &[Arc<Segment>],
        clean: bool,
        first_recovered: Option<i64>,
        epochs: &mut LeaderEpochs,
    ) -> Result<Replayed, StorageError> {
        let log_end_offset = segments.last().map_or(0, |last| last.next_offset());
        for snapshot in files.snapshots.iter().filter(|offset| **offset > log_end_offset) {
            remove(&self.path.join(file_name(*snapshot, paths::SNAPSHOT_SUFFIX)));
        }
        let snapshot_max = first_recovered.unwrap_or(log_end_offset);
        let found = producer_snapshot::load_latest(self.path, &files.snapshots, snapshot_max);
        let (from, snapshot_offset, mut producers) = match found {
            Some((offset, producers)) => (offset, offset, producers),
            None if clean && first_recovered.is_none() => (log_end_offset, -1, ProducerState::default()),
            None => (0, -1, ProducerState::default()),
        };
        let first = segments.partition_point(|segment| segment.base_offset() <= from).saturating_sub(1);
        for segment in segments.iter().skip(first).filter(|segment| segment.next_offset() > from && segment.size() > 0)
        {
            let recovered = first_recovered.is_some_and(|offset| segment.base_offset() >= offset);
            let replay = replay_segment(segment, from, recovered, &mut producers, epochs);
            let aborted = replay.at("replay", segment.data_path())?;
            if recovered {
                let rewrite = || -> io::Result<()> {
                    segment.txn_index.truncate_to(from)?;
                    aborted.iter().try_for_each(|entry| segment.txn_index.append(entry))
                };
                rewrite().at("write", segment.txn_index.path())?;
            }
        }
        producers.expire(self.context.now_ms(), self.context.producer_id_expiration_ms());
        Ok(Replayed { producers, snapshot_offset })
    }
}

fn replay_segment(
    segment: &Segment,
    from: i64,
    recovered: bool,
    producers: &mut ProducerState,
    epochs: &mut LeaderEpochs,
) -> io::Result<Vec<AbortedTxnEntry>> {
    let mut aborted = Vec::new();
    let start = segment.find_batch(from.max(segment.base_offset()), segment.size())?;
    let Some(start) = start else { return Ok(aborted) };
    let file = segment.file()?;
    let mut scanner = BatchScanner::new(&file, start.position, segment.size(), SCAN_BLOCK_BYTES);
    while let Some((position, header)) = scanner.next_header()? {
        if recovered {
            epochs.assign(header.leader_epoch(), header.base_offset());
        }
        let payload = if header.is_control() {
            scanner.bytes_of(position, &header)?[header.0.len()..].to_vec()
        } else {
            Vec::new()
        };
        if let Some(completed) = producers.apply(&header, &payload)
            && !completed.committed
        {
            aborted.push(AbortedTxnEntry {
                producer_id: completed.producer_id,
                first_offset: completed.first_offset,
                last_offset: completed.last_offset,
                last_stable_offset: completed.last_stable_offset,
            });
        }
    }
    Ok(aborted)
}

/// Message sets of magic 0 and 1 are real data that this log does not store: better not to open the partition than to cut them off.
fn refuse_legacy(file: &File, position: u64, end: u64, error: HeaderError, path: &Path) -> Result<(), StorageError> {
    if !matches!(error, HeaderError::LegacyMagic(_)) || end - position < 26 {
        return Ok(());
    }
    let read = || -> io::Result<bool> {
        let mut head = [0; 16];
        file.read_exact_at(&mut head, position)?;
        let size = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if size < 14 || size as u64 + 12 > end - position {
            return Ok(false);
        }
        let mut body = vec![0; size as usize - 4];
        file.read_exact_at(&mut body, position + 16)?;
        Ok(crc_fast::crc32_iso_hdlc(&body) == u32::from_be_bytes([head[12], head[13], head[14], head[15]]))
    };
    match read().at("read", path)? {
        true => Err(StorageError::corrupt(path, format!("{error}: convert the topic with Apache Kafka 3.x first"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
