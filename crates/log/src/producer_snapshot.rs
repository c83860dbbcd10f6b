//! The `.snapshot` files: the producer state of a partition at an offset, in Kafka's format.
//!
//! `version: i16 = 1 | crc: u32 | count: i32 | count * (producer id i64, epoch i16, last sequence i32, last offset i64, offset delta i32,
//! timestamp i64, coordinator epoch i32, first offset of the open transaction i64)`; the CRC-32C covers everything behind it. A snapshot
//! keeps only the last batch of each producer, so the five-batch window is complete again only after replaying some of the log.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::Path;

use crate::checkpoint::write_atomically;
use crate::error::StorageError;
use crate::paths::{SNAPSHOT_SUFFIX, file_name, parse_file_name};
use crate::producer_state::{BatchMetadata, ProducerEntry, ProducerState};

const VERSION: i16 = 1;
const ENTRIES_AT: usize = 6;
const ENTRY_BYTES: usize = 46;

/// The stored form of `state`, producers in the order of their ids.
pub(crate) fn encode(state: &ProducerState) -> Vec<u8> {
    let mut producers: Vec<_> = state.producers().iter().collect();
    producers.sort_unstable_by_key(|(id, _)| **id);
    let mut out = Vec::with_capacity(ENTRIES_AT + 4 + producers.len() * ENTRY_BYTES);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(producers.len() as i32).to_be_bytes());
    for (producer_id, entry) in producers {
        let last = entry.batches.back();
        out.extend_from_slice(&producer_id.to_be_bytes());
        out.extend_from_slice(&entry.producer_epoch.to_be_bytes());
        out.extend_from_slice(&entry.last_sequence().to_be_bytes());
        out.extend_from_slice(&last.map_or(-1, |batch| batch.last_offset).to_be_bytes());
        out.extend_from_slice(&last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc_fast::crc32_iscsi(&out[ENTRIES_AT..]);
    out[2..ENTRIES_AT].copy_from_slice(&crc.to_be_bytes());
    out
}

/// Reads the stored form.
///
/// # Errors
/// A text that says what is wrong: version, CRC or length.
pub fn decode(bytes: &[u8]) -> Result<Vec<(i64, ProducerEntry)>, String> {
    let mut fields = Fields(bytes);
    let version = fields.i16()?;
    if version != VERSION {
        return Err(format!("unknown snapshot version {version}"));
    }
    let crc = fields.i32()? as u32;
    if crc != crc_fast::crc32_iscsi(fields.0) {
        return Err("snapshot is corrupt (CRC mismatch)".to_string());
    }
    let count = fields.i32()?;
    if usize::try_from(count).map(|count| count.saturating_mul(ENTRY_BYTES)) != Ok(fields.0.len()) {
        return Err(format!("snapshot of {} bytes cannot hold {count} producers", bytes.len()));
    }
    (0..count).map(|_| decode_entry(&mut fields)).collect()
}

fn decode_entry(fields: &mut Fields<'_>) -> Result<(i64, ProducerEntry), String> {
    let producer_id = fields.i64()?;
    let producer_epoch = fields.i16()?;
    let last_sequence = fields.i32()?;
    let last_offset = fields.i64()?;
    let offset_delta = fields.i32()?;
    let timestamp = fields.i64()?;
    let coordinator_epoch = fields.i32()?;
    let first_offset = fields.i64()?;
    let mut batches = VecDeque::new();
    if last_offset >= 0 && last_sequence >= 0 {
        batches.push_back(BatchMetadata { last_sequence, last_offset, offset_delta, timestamp });
    }
    let current_txn_first_offset = (first_offset >= 0).then_some(first_offset);
    Ok((
        producer_id,
        ProducerEntry {
            producer_epoch,
            coordinator_epoch,
            last_timestamp: timestamp,
            current_txn_first_offset,
            batches,
        },
    ))
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or("snapshot is too short")?;
        self.0 = rest;
        Ok(*head)
    }
    fn i16(&mut self) -> Result<i16, String> {
        self.take().map(i16::from_be_bytes)
    }
    fn i32(&mut self) -> Result<i32, String> {
        self.take().map(i32::from_be_bytes)
    }
    fn i64(&mut self) -> Result<i64, String> {
        self.take().map(i64::from_be_bytes)
    }
}

/// Writes the snapshot of `state` as of `offset` into `dir`.
pub(crate) fn write(dir: &Path, offset: i64, state: &ProducerState) -> Result<(), StorageError> {
    write_atomically(&dir.join(file_name(offset, SNAPSHOT_SUFFIX)), &encode(state), false)
}

/// Offsets of the snapshots in `dir`, ascending.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<i64>> {
    let mut offsets = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Some((offset, SNAPSHOT_SUFFIX)) = entry?.file_name().to_str().and_then(parse_file_name) {
            offsets.push(offset);
        }
    }
    offsets.sort_unstable();
    Ok(offsets)
}

/// The newest readable snapshot among `offsets` (ascending) that is not above `offset_max`. Damaged ones are removed.
pub(crate) fn load_latest(dir: &Path, offsets: &[i64], offset_max: i64) -> Option<(i64, ProducerState)> {
    for &offset in offsets.iter().rev().filter(|offset| **offset <= offset_max) {
        let path = dir.join(file_name(offset, SNAPSHOT_SUFFIX));
        match fs::read(&path).map_err(|error| error.to_string()).and_then(|bytes| decode(&bytes)) {
            Ok(entries) => return Some((offset, ProducerState::from_entries(entries))),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "producer snapshot is unusable and removed");
                let _ = fs::remove_file(&path);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
