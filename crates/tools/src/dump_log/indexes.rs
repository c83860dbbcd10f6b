//! Offset and time indexes, compared with the data file beside them.

use std::fs;
use std::io;
use std::path::Path;

use milena_log::dump::{self, Batches, DumpedBatch, OffsetPosition, TimestampOffset};
use milena_protocol::record::{BatchView, NO_TIMESTAMP, TimestampType};

use super::data_file::DECOMPRESSED_MAX;
use super::{Dump, sibling};

const OFFSET_ENTRY_BYTES: u64 = 8;
const TIME_ENTRY_BYTES: u64 = 12;

impl Dump<'_> {
    pub(super) fn offset_index(&mut self, path: &Path, base_offset: i64) -> io::Result<()> {
        let size = fs::metadata(path)?.len();
        let entries = used_offset_entries(path, base_offset)?;
        if entries.is_empty() {
            self.terminal.line(&format!("{} is empty.", path.display()));
            return Ok(());
        }
        if self.options.sanity_only {
            check_size("Index", path, size, OFFSET_ENTRY_BYTES)?;
            self.terminal.line(&format!("{} passed sanity check.", path.display()));
            return Ok(());
        }
        let log = self.data_beside(path)?;
        for entry in entries {
            if let Some(log) = &log {
                let found = log.at(u64::from(entry.position))?.and_then(|batch| last_offset(&batch));
                match found {
                    Some(found) if found == entry.offset => {}
                    found => self.findings.index_mismatch(path, entry.offset, found.unwrap_or(-1)),
                }
            }
            if !self.options.verify_only {
                self.terminal.line(&format!("offset: {} position: {}", entry.offset, entry.position));
            }
        }
        Ok(())
    }

    pub(super) fn time_index(&mut self, path: &Path, base_offset: i64) -> io::Result<()> {
        let size = fs::metadata(path)?.len();
        let entries = used_time_entries(path, base_offset)?;
        if self.options.sanity_only {
            check_size("Time index", path, size, TIME_ENTRY_BYTES)?;
            check_time_order(path, &entries)?;
            self.terminal.line(&format!("{} passed sanity check.", path.display()));
            return Ok(());
        }
        let offsets = dump::offset_index(&sibling(path, "index"), base_offset).unwrap_or_default();
        let log = self.data_beside(path)?;
        let mut previous = NO_TIMESTAMP;
        for entry in entries {
            if let Some(log) = &log {
                self.check_time_entry(path, log, &offsets, entry, previous)?;
            }
            if !self.options.verify_only {
                self.terminal.line(&format!("timestamp: {} offset: {}", entry.timestamp, entry.offset));
            }
            previous = entry.timestamp;
        }
        Ok(())
    }

    fn check_time_entry(
        &mut self,
        path: &Path,
        log: &Batches,
        offsets: &[OffsetPosition],
        entry: TimestampOffset,
        previous: i64,
    ) -> io::Result<()> {
        let before = offsets.partition_point(|indexed| indexed.offset <= entry.offset);
        let position = before.checked_sub(1).map_or(0, |index| offsets[index].position);
        let batch = batch_reaching(log, u64::from(position), entry.offset)?;
        let Some((batch, found)) = batch.as_ref().and_then(|batch| Some((batch, last_offset(batch)?))) else {
            self.findings.missing_offset(path, entry.offset, -1);
            return Ok(());
        };
        if found != entry.offset {
            self.findings.missing_offset(path, entry.offset, found);
            return Ok(());
        }
        let timestamp = largest_timestamp(batch)?;
        if timestamp != entry.timestamp {
            self.findings.timestamp_mismatch(path, entry.timestamp, timestamp);
        }
        if previous >= entry.timestamp {
            self.findings.unordered_timestamp(path, entry.timestamp, previous);
        }
        Ok(())
    }

    /// The data file that the index at `path` belongs to; without it the entries are printed unchecked.
    fn data_beside(&mut self, path: &Path) -> io::Result<Option<Batches>> {
        let log = sibling(path, "log");
        match dump::batches(&log, u64::MAX) {
            Ok(batches) => Ok(Some(batches)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.terminal
                    .error_line(&format!("{} does not exist: the entries are not compared with it.", log.display()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The entries up to the first unused one. A file of nothing but preallocated zeros has one entry: Kafka's readers
/// cannot tell it from an entry of the first record.
fn used_offset_entries(path: &Path, base_offset: i64) -> io::Result<Vec<OffsetPosition>> {
    let mut entries = dump::offset_index(path, base_offset)?;
    if entries.is_empty() && fs::metadata(path)?.len() >= OFFSET_ENTRY_BYTES {
        entries.push(OffsetPosition { offset: base_offset, position: 0 });
    }
    entries.truncate(used(&entries, |entry| entry.offset == base_offset));
    Ok(entries)
}

/// As [`used_offset_entries`].
fn used_time_entries(path: &Path, base_offset: i64) -> io::Result<Vec<TimestampOffset>> {
    let mut entries = dump::time_index(path, base_offset)?;
    if entries.is_empty() && fs::metadata(path)?.len() >= TIME_ENTRY_BYTES {
        entries.push(TimestampOffset { timestamp: 0, offset: base_offset });
    }
    entries.truncate(used(&entries, |entry| entry.offset == base_offset));
    Ok(entries)
}

fn used<E>(entries: &[E], is_zero: impl Fn(&E) -> bool) -> usize {
    entries.iter().skip(1).position(is_zero).map_or(entries.len(), |at| at + 1)
}

fn batch_reaching(log: &Batches, mut position: u64, offset: i64) -> io::Result<Option<DumpedBatch>> {
    while let Some(batch) = log.at(position)? {
        if last_offset(&batch).is_some_and(|last| last >= offset) {
            return Ok(Some(batch));
        }
        position += batch.bytes.len() as u64;
    }
    Ok(None)
}

fn last_offset(batch: &DumpedBatch) -> Option<i64> {
    BatchView::parse(&batch.bytes).ok().map(|view| view.last_offset())
}

/// The largest timestamp of the records, not what the header claims.
fn largest_timestamp(batch: &DumpedBatch) -> io::Result<i64> {
    let damaged =
        |error: milena_protocol::record::RecordError| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let view = BatchView::parse(&batch.bytes).map_err(damaged)?;
    if view.timestamp_type() == TimestampType::LogAppendTime {
        return Ok(view.max_timestamp());
    }
    let mut largest = NO_TIMESTAMP;
    view.for_each_record::<milena_protocol::record::RecordError>(DECOMPRESSED_MAX, |record| {
        largest = largest.max(record.timestamp);
        Ok(())
    })
    .map_err(damaged)?;
    Ok(largest)
}

fn check_size(what: &str, path: &Path, size: u64, entry_bytes: u64) -> io::Result<()> {
    if size.is_multiple_of(entry_bytes) {
        return Ok(());
    }
    Err(corrupt(format!(
        "{what} file {} is corrupt, found {size} bytes which is neither positive nor a multiple of {entry_bytes}",
        path.display()
    )))
}

fn check_time_order(path: &Path, entries: &[TimestampOffset]) -> io::Result<()> {
    match (entries.first(), entries.last()) {
        (Some(first), Some(last)) if last.timestamp < first.timestamp => Err(corrupt(format!(
            "Corrupt time index found, time index file ({}) has non-zero size but the last timestamp is {} which is less than the first timestamp {}",
            path.display(),
            last.timestamp,
            first.timestamp
        ))),
        _ => Ok(()),
    }
}

fn corrupt(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
