//! The aborted transactions of a segment: what a read_committed consumer must skip.
//!
//! On disk: 34-byte entries `(version: i16 = 0, producer id: i64, first offset: i64, last offset: i64, last stable offset: i64)`,
//! big-endian, in the order of their abort markers (KIP-98). The file exists only if there is an entry.

use std::io;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

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
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Whether the file is known to be absent or empty, so that reads of ordinary topics cost nothing.
    empty: Option<bool>,
}

impl TransactionIndex {
    pub fn open(path: PathBuf) -> TransactionIndex {
        TransactionIndex { inner: Mutex::new(Inner { path, empty: None }) }
    }

    pub fn create(path: PathBuf) -> TransactionIndex {
        TransactionIndex { inner: Mutex::new(Inner { path, empty: Some(true) }) }
    }

    pub fn path(&self) -> PathBuf {
        self.inner.lock().path.clone()
    }

    pub fn set_path(&self, path: PathBuf) {
        self.inner.lock().path = path;
    }

    /// Adds an entry; the caller appends in the order of the markers.
    pub fn append(&self, entry: &AbortedTxnEntry) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(&inner.path)?;
        io::Write::write_all(&mut file, &entry.encode())?;
        inner.empty = Some(false);
        Ok(())
    }

    /// All entries, in order.
    pub fn all(&self) -> io::Result<Vec<AbortedTxnEntry>> {
        let mut inner = self.inner.lock();
        if inner.empty == Some(true) {
            return Ok(Vec::new());
        }
        let entries = read_entries(&inner.path)?;
        inner.empty = Some(entries.is_empty());
        Ok(entries)
    }

    /// Drops every entry whose marker is at or above `offset`.
    pub fn truncate_to(&self, offset: i64) -> io::Result<()> {
        let entries = self.all()?;
        let keep = entries.iter().take_while(|entry| entry.last_offset < offset).count();
        let mut inner = self.inner.lock();
        if !inner.path.exists() {
            return Ok(());
        }
        if keep == 0 {
            inner.empty = Some(true);
            return std::fs::remove_file(&inner.path);
        }
        std::fs::OpenOptions::new().write(true).open(&inner.path)?.set_len((keep * TXN_ENTRY_BYTES) as u64)
    }

    /// fsyncs the file if there is one.
    pub fn sync(&self) -> io::Result<()> {
        let inner = self.inner.lock();
        match std::fs::File::open(&inner.path) {
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
    entries.collect::<Option<_>>().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unknown version of a transaction index entry"))
}

#[cfg(test)]
mod tests;
