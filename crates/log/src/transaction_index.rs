//! The aborted transactions of a segment: what a read_committed consumer must skip.
//!
//! On disk: 34-byte entries `(version: i16 = 0, producer id: i64, first offset: i64, last offset: i64, last stable offset: i64)`,
//! big-endian, in the order of their abort markers (KIP-98). The file exists only if there is an entry.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::paths::{SegmentName, TXN_INDEX_SUFFIX};

/// Size of an entry in bytes.
pub const TXN_ENTRY_BYTES: usize = 34;

/// One aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxnEntry {
    /// The producer whose transaction was aborted.
    pub producer_id: i64,
    /// First offset of the transaction in this partition.
    pub first_offset: i64,
    /// Offset of the abort marker.
    pub last_offset: i64,
    /// The last stable offset right after the marker.
    pub last_stable_offset: i64,
}

impl AbortedTxnEntry {
    /// The stored form.
    pub fn encode(&self) -> [u8; TXN_ENTRY_BYTES] {
        let mut out = [0; TXN_ENTRY_BYTES];
        let fields = [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        for (chunk, field) in out[2..].chunks_exact_mut(8).zip(fields) {
            chunk.copy_from_slice(&field.to_be_bytes());
        }
        out
    }

    /// Reads the stored form; `None` for a version other than 0.
    pub fn decode(bytes: &[u8; TXN_ENTRY_BYTES]) -> Option<AbortedTxnEntry> {
        if bytes[..2] != [0, 0] {
            return None;
        }
        let mut fields = bytes[2..].as_chunks::<8>().0.iter().map(|chunk| i64::from_be_bytes(*chunk));
        Some(AbortedTxnEntry {
            producer_id: fields.next()?,
            first_offset: fields.next()?,
            last_offset: fields.next()?,
            last_stable_offset: fields.next()?,
        })
    }
}

/// The transaction index of one segment. Aborts are rare, so the entries are read whole when needed and not kept.
#[derive(Debug)]
pub(crate) struct TransactionIndex {
    name: Arc<SegmentName>,
    /// Whether the file is known to be absent or empty, so that reads of ordinary topics cost nothing.
    empty: Mutex<Option<bool>>,
}

impl TransactionIndex {
    pub fn open(name: &Arc<SegmentName>) -> TransactionIndex {
        TransactionIndex { name: name.clone(), empty: Mutex::new(None) }
    }

    pub fn create(name: &Arc<SegmentName>) -> TransactionIndex {
        TransactionIndex { name: name.clone(), empty: Mutex::new(Some(true)) }
    }

    pub fn path(&self) -> PathBuf {
        self.name.path(TXN_INDEX_SUFFIX)
    }

    /// Adds an entry; the caller appends in the order of the markers.
    pub fn append(&self, entry: &AbortedTxnEntry) -> io::Result<()> {
        let mut empty = self.empty.lock();
        let open = |path: &Path| OpenOptions::new().append(true).create(true).open(path);
        self.name.with(TXN_INDEX_SUFFIX, open)?.write_all(&entry.encode())?;
        *empty = Some(false);
        Ok(())
    }

    /// All entries, in order.
    pub fn all(&self) -> io::Result<Vec<AbortedTxnEntry>> {
        let mut empty = self.empty.lock();
        if *empty == Some(true) {
            return Ok(Vec::new());
        }
        let entries = self.name.with(TXN_INDEX_SUFFIX, read_entries)?;
        *empty = Some(entries.is_empty());
        Ok(entries)
    }

    /// Drops every entry whose marker is at or above `offset`.
    pub fn truncate_to(&self, offset: i64) -> io::Result<()> {
        let entries = self.all()?;
        let keep = entries.iter().take_while(|entry| entry.last_offset < offset).count();
        let mut empty = self.empty.lock();
        self.name.with(TXN_INDEX_SUFFIX, |path| {
            if !path.exists() {
                return Ok(());
            }
            if keep == 0 {
                *empty = Some(true);
                return std::fs::remove_file(path);
            }
            OpenOptions::new().write(true).open(path)?.set_len((keep * TXN_ENTRY_BYTES) as u64)
        })
    }

    /// fsyncs the file if there is one.
    pub fn sync(&self) -> io::Result<()> {
        match self.name.with(TXN_INDEX_SUFFIX, |path| File::open(path)) {
            Ok(file) => file.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Reads the entries of the file at `path`; a missing file has none, a trailing part of an entry is left out.
///
/// # Errors
/// When the file cannot be read, or an entry has an unknown version.
pub fn read_entries(path: &Path) -> io::Result<Vec<AbortedTxnEntry>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let entries = bytes.as_chunks::<TXN_ENTRY_BYTES>().0.iter().map(AbortedTxnEntry::decode);
    entries
        .collect::<Option<_>>()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown version of a transaction index entry"))
}

#[cfg(test)]
mod tests;
