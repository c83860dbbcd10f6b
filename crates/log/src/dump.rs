//! Reading single files of a log directory, for `kafka-dump-log`: any file, of Milena or of Apache Kafka, also while it is being written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;

pub use crate::leader_epoch_checkpoint::EpochEntry;
pub use crate::offset_index::OffsetPosition;
pub use crate::producer_state::{BatchMetadata, ProducerEntry};
pub use crate::time_index::TimestampOffset;
pub use crate::transaction_index::AbortedTxnEntry;
use crate::{
    batch_header::HeaderBytes, leader_epoch_checkpoint, offset_index, paths, producer_snapshot, time_index,
    transaction_index,
};

/// What a file is, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Record batches (`.log`, or a `.checkpoint` of the metadata log).
    Log,
    /// Offset index.
    OffsetIndex,
    /// Time index.
    TimeIndex,
    /// Transaction index.
    TransactionIndex,
    /// Producer snapshot.
    ProducerSnapshot,
    /// `leader-epoch-checkpoint`.
    LeaderEpochs,
}

/// Kind and base offset of the file at `path`; `.deleted`, `.cleaned` and `.swap` files count as what they were.
pub fn identify(path: &Path) -> Option<(FileKind, i64)> {
    let name = path.file_name()?.to_str()?;
    if name == leader_epoch_checkpoint::LEADER_EPOCH_FILE {
        return Some((FileKind::LeaderEpochs, 0));
    }
    let plain = [paths::DELETED_SUFFIX, paths::CLEANED_SUFFIX, paths::SWAP_SUFFIX]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    let (digits, suffix) = plain.unwrap_or(name).split_once('.')?;
    let base_offset = digits.split('-').next()?.parse().ok()?;
    let kind = match suffix {
        paths::LOG_SUFFIX | "checkpoint" => FileKind::Log,
        paths::INDEX_SUFFIX => FileKind::OffsetIndex,
        paths::TIME_INDEX_SUFFIX => FileKind::TimeIndex,
        paths::TXN_INDEX_SUFFIX => FileKind::TransactionIndex,
        paths::SNAPSHOT_SUFFIX => FileKind::ProducerSnapshot,
        _ => return None,
    };
    Some((kind, base_offset))
}

/// One batch of a data file.
#[derive(Debug, Clone)]
pub struct DumpedBatch {
    /// Where it starts in the file.
    pub position: u64,
    /// The whole batch; look into it with [`milena_protocol::record::BatchView`].
    pub bytes: Bytes,
    /// Whether its CRC is right.
    pub is_valid: bool,
}

/// The batches of a data file, front to back.
#[derive(Debug)]
pub struct Batches {
    file: File,
    position: u64,
    end: u64,
}

/// Opens the data file at `path`; at most `bytes_max` bytes of it are read.
pub fn batches(path: &Path, bytes_max: u64) -> io::Result<Batches> {
    let file = File::open(path)?;
    let end = file.metadata()?.len().min(bytes_max);
    Ok(Batches { file, position: 0, end })
}

impl Batches {
    /// Where the next batch would start: after the last one, the number of bytes that hold batches.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the file that were to be read.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The batch at exactly `position`, for checking an index entry.
    pub fn at(&self, position: u64) -> io::Result<Option<DumpedBatch>> {
        let mut head = [0; milena_protocol::record::RECORD_BATCH_OVERHEAD];
        if position >= self.end || self.end - position < head.len() as u64 {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, position)?;
        let header = HeaderBytes(head);
        if head == [0; 61] {
            return Ok(None);
        }
        header.check()?;
        let size = header.size_in_bytes();
        if size as u64 > self.end - position {
            return Ok(None);
        }
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, position)?;
        let is_valid = header.compute_crc(&bytes[head.len()..]) == header.crc();
        Ok(Some(DumpedBatch { position, bytes: bytes.into(), is_valid }))
    }
}

impl Iterator for Batches {
    type Item = io::Result<DumpedBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.at(self.position) {
            Ok(Some(batch)) => {
                self.position += batch.bytes.len() as u64;
                Some(Ok(batch))
            }
            Ok(None) => None,
            Err(error) => {
                self.end = self.position;
                Some(Err(error))
            }
        }
    }
}

/// The entries of the offset index at `path`. Zeros at the end, as Kafka preallocates them, are left out.
pub fn offset_index(path: &Path, base_offset: i64) -> io::Result<Vec<OffsetPosition>> {
    let bytes = fs::read(path)?;
    let entries = trim_zero_entries(bytes.as_chunks::<{ offset_index::OFFSET_ENTRY_BYTES }>().0);
    Ok(entries.iter().map(|entry| offset_index::decode_entry(base_offset, entry)).collect())
}

/// The entries of the time index at `path`. Zeros at the end, as Kafka preallocates them, are left out.
pub fn time_index(path: &Path, base_offset: i64) -> io::Result<Vec<TimestampOffset>> {
    let bytes = fs::read(path)?;
    let entries = trim_zero_entries(bytes.as_chunks::<{ time_index::TIME_ENTRY_BYTES }>().0);
    Ok(entries.iter().map(|entry| time_index::decode_entry(base_offset, entry)).collect())
}

fn trim_zero_entries<const N: usize>(entries: &[[u8; N]]) -> &[[u8; N]] {
    let used = entries.iter().rposition(|entry| entry.iter().any(|byte| *byte != 0)).map_or(0, |last| last + 1);
    &entries[..used]
}

/// The entries of the transaction index at `path`.
pub fn transaction_index(path: &Path) -> io::Result<Vec<AbortedTxnEntry>> {
    transaction_index::read_entries(path)
}

/// The producers in the snapshot at `path`, by producer id.
pub fn producer_snapshot(path: &Path) -> io::Result<Vec<(i64, ProducerEntry)>> {
    producer_snapshot::decode(&fs::read(path)?).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))
}

/// The epochs in the `leader-epoch-checkpoint` at `path`.
pub fn leader_epochs(path: &Path) -> io::Result<Vec<EpochEntry>> {
    let epochs = leader_epoch_checkpoint::read_epochs(path);
    epochs.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "malformed leader-epoch-checkpoint"))
}

#[cfg(test)]
mod tests;
