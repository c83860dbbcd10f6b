//! A file of fixed-size, ordered entries: the storage under the offset and the time index.
//!
//! Entries are appended to memory first and written out in groups, so the index of a busy segment costs a system call every
//! [`PENDING_MAX`] entries instead of one per append. Lookups read single entries with `pread`: the page cache is the cache,
//! and ten thousand partitions hold neither mappings nor copies of their indexes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::cached_read;
use crate::file_cache::{FileCache, LazyFile};
use crate::paths::SegmentName;

/// Entries kept in memory before they are written.
const PENDING_MAX: usize = 128;

/// Ordered entries of `N` bytes, in a file that is opened on demand.
#[derive(Debug)]
pub(crate) struct EntryFile<const N: usize> {
    name: Arc<SegmentName>,
    kind: &'static str,
    file: LazyFile,
    inner: Mutex<Inner<N>>,
}

#[derive(Debug)]
struct Inner<const N: usize> {
    /// Entries in the file; `None` until somebody asks.
    written: Option<usize>,
    pending: Vec<[u8; N]>,
}

impl<const N: usize> EntryFile<N> {
    /// The entries stored in the file of `name` with suffix `kind`, which need not exist (no entries then).
    pub fn open(name: &Arc<SegmentName>, kind: &'static str, cache: &Arc<FileCache>) -> Self {
        let inner = Inner { written: None, pending: Vec::new() };
        EntryFile { name: name.clone(), kind, file: LazyFile::new(cache), inner: Mutex::new(inner) }
    }

    /// A new file without entries; what an existing one holds is overwritten.
    pub fn create(name: &Arc<SegmentName>, kind: &'static str, cache: &Arc<FileCache>) -> Self {
        let inner = Inner { written: Some(0), pending: Vec::new() };
        EntryFile { name: name.clone(), kind, file: LazyFile::new(cache), inner: Mutex::new(inner) }
    }

    pub fn path(&self) -> PathBuf {
        self.name.path(self.kind)
    }

    /// Number of entries.
    pub fn len(&self) -> io::Result<usize> {
        let mut inner = self.inner.lock();
        Ok(self.written(&mut inner)? + inner.pending.len())
    }

    /// Appends an entry; the caller keeps the order. A failed write keeps the entry in memory for the next attempt.
    pub fn push(&self, entry: [u8; N]) -> io::Result<()> {
        let mut inner = self.inner.lock();
        self.written(&mut inner)?;
        inner.pending.push(entry);
        if inner.pending.len().is_multiple_of(PENDING_MAX) { self.write_pending(&mut inner) } else { Ok(()) }
    }

    /// Writes what is still in memory, creating the file if need be.
    pub fn flush(&self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        self.written(&mut inner)?;
        self.write_pending(&mut inner)
    }

    /// Writes and fsyncs.
    pub fn sync(&self) -> io::Result<()> {
        self.flush()?;
        self.writable()?.sync_data()
    }

    /// The last entry.
    pub fn last(&self) -> io::Result<Option<[u8; N]>> {
        let count = self.len()?;
        if count == 0 { Ok(None) } else { self.get(count - 1).map(Some) }
    }

    /// Entry `index`, counted from 0.
    pub fn get(&self, index: usize) -> io::Result<[u8; N]> {
        let (file, written) = {
            let mut inner = self.inner.lock();
            let written = self.written(&mut inner)?;
            if index >= written {
                return inner.pending.get(index - written).copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
            }
            (self.readable()?, written)
        };
        debug_assert!(index < written);
        read_entry(&file, index)
    }

    /// The last entry for which `before` holds; `before` must hold for a prefix of the entries.
    pub fn last_where(&self, before: impl Fn(&[u8; N]) -> bool) -> io::Result<Option<[u8; N]>> {
        let (file, written) = {
            let mut inner = self.inner.lock();
            let written = self.written(&mut inner)?;
            let split = inner.pending.partition_point(&before);
            if split > 0 {
                return Ok(Some(inner.pending[split - 1]));
            }
            if written == 0 {
                return Ok(None);
            }
            (self.readable()?, written)
        };
        let (mut low, mut high, mut found) = (0, written, None);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = read_entry(&file, middle)?;
            if before(&entry) {
                found = Some(entry);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    /// Every entry, in order.
    pub fn all(&self) -> io::Result<Vec<[u8; N]>> {
        let mut inner = self.inner.lock();
        let written = self.written(&mut inner)?;
        let mut entries = Vec::with_capacity(written + inner.pending.len());
        if written > 0 {
            let mut bytes = vec![0; written * N];
            self.readable()?.read_exact_at(&mut bytes, 0)?;
            entries.extend(bytes.as_chunks::<N>().0);
        }
        entries.extend_from_slice(&inner.pending);
        Ok(entries)
    }

    /// Keeps the first `count` entries and drops the rest, also on disk.
    pub fn truncate(&self, count: usize) -> io::Result<()> {
        let mut inner = self.inner.lock();
        let written = self.written(&mut inner)?;
        inner.pending.truncate(count.saturating_sub(written));
        if count < written {
            self.writable()?.set_len((count * N) as u64)?;
            inner.written = Some(count);
        }
        Ok(())
    }

    /// Empties the file whatever it contains, also when its length is no multiple of the entry size.
    pub fn reset(&self) -> io::Result<()> {
        let mut inner = self.inner.lock();
        inner.pending.clear();
        inner.written = Some(0);
        if self.file_length()?.unwrap_or(0) > 0 { self.writable()?.set_len(0) } else { Ok(()) }
    }

    /// Lets go of the descriptor.
    pub fn close(&self) {
        self.file.close();
    }

    fn written(&self, inner: &mut Inner<N>) -> io::Result<usize> {
        if let Some(written) = inner.written {
            return Ok(written);
        }
        let written = self.file_length()?.unwrap_or(0) as usize / N;
        inner.written = Some(written);
        Ok(written)
    }

    /// Length of the file in bytes, `None` if there is none.
    fn file_length(&self) -> io::Result<Option<u64>> {
        match self.name.with(self.kind, |path| std::fs::metadata(path)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_pending(&self, inner: &mut Inner<N>) -> io::Result<()> {
        let written = inner.written.unwrap_or(0);
        if inner.pending.is_empty() && (written > 0 || self.file_length()?.is_some()) {
            return Ok(());
        }
        let file = self.writable()?;
        file.write_all_at(inner.pending.as_flattened(), (written * N) as u64)?;
        inner.written = Some(written + inner.pending.len());
        inner.pending.clear();
        Ok(())
    }

    fn writable(&self) -> io::Result<Arc<File>> {
        let open = |path: &Path| OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        self.file.get(|| self.name.with(self.kind, open))
    }

    fn readable(&self) -> io::Result<Arc<File>> {
        let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
        self.file.get(|| self.name.with(self.kind, open))
    }
}

fn read_entry<const N: usize>(file: &File, index: usize) -> io::Result<[u8; N]> {
    let mut entry = [0; N];
    cached_read::read_exact_at(file, &mut entry, (index * N) as u64)?;
    Ok(entry)
}
