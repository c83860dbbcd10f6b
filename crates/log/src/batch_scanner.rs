//! Walks the batches of a data file front to back.
//!
//! Headers are read through one block buffer, so small batches cost a fraction of a system call each and large payloads are
//! skipped over; whole batches are read only where the caller asks for them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use milena_protocol::record::RECORD_BATCH_OVERHEAD;

use crate::batch_header::{HeaderBytes, HeaderError};
use crate::cached_read;

/// Block size for lookups, which end after a few headers.
pub(crate) const LOOKUP_BLOCK_BYTES: usize = 4 * 1024;
/// Block size for reading everything.
pub(crate) const SCAN_BLOCK_BYTES: usize = 1024 * 1024;

/// Why a scan stopped before the end of its range.
#[derive(Debug)]
pub(crate) enum ScanError {
    Io(io::Error),
    /// The bytes at this position do not start a batch.
    Header {
        position: u64,
        error: HeaderError,
    },
    /// The range ends within the batch that starts at this position.
    Torn {
        position: u64,
    },
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> Self {
        ScanError::Io(error)
    }
}

impl From<ScanError> for io::Error {
    fn from(error: ScanError) -> Self {
        let text = match error {
            ScanError::Io(error) => return error,
            ScanError::Header { position, error } => format!("{error} at position {position}"),
            ScanError::Torn { position } => format!("incomplete batch at position {position}"),
        };
        io::Error::new(io::ErrorKind::InvalidData, text)
    }
}

/// Iterates the batches within `position..end` of a file.
pub(crate) struct BatchScanner<'a> {
    file: &'a File,
    position: u64,
    end: u64,
    block: Vec<u8>,
    block_start: u64,
    block_bytes: usize,
}

impl<'a> BatchScanner<'a> {
    pub fn new(file: &'a File, position: u64, end: u64, block_bytes: usize) -> BatchScanner<'a> {
        BatchScanner { file, position, end, block: Vec::new(), block_start: 0, block_bytes }
    }

    /// Where the next batch starts.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The header of the next batch and its position; `None` at the end of the range.
    pub fn next_header(&mut self) -> Result<Option<(u64, HeaderBytes)>, ScanError> {
        let position = self.position;
        if position >= self.end {
            return Ok(None);
        }
        if self.end - position < RECORD_BATCH_OVERHEAD as u64 {
            return Err(self.short_tail()?);
        }
        self.fill(position, RECORD_BATCH_OVERHEAD)?;
        let at = (position - self.block_start) as usize;
        let header = HeaderBytes::copy_from(&self.block[at..]).ok_or(ScanError::Torn { position })?;
        header.check().map_err(|error| ScanError::Header { position, error })?;
        if header.size_in_bytes() as u64 > self.end - position {
            return Err(ScanError::Torn { position });
        }
        self.position = position + header.size_in_bytes() as u64;
        Ok(Some((position, header)))
    }

    /// The bytes of a batch that [`BatchScanner::next_header`] just returned.
    pub fn bytes_of(&mut self, position: u64, header: &HeaderBytes) -> io::Result<&[u8]> {
        let size = header.size_in_bytes();
        self.fill(position, size)?;
        let at = (position - self.block_start) as usize;
        Ok(&self.block[at..at + size])
    }

    /// A tail too short for a v2 header may still be a message of an old format, which must not pass for a torn batch.
    fn short_tail(&mut self) -> io::Result<ScanError> {
        let position = self.position;
        let length = (self.end - position) as usize;
        let mut tail = [0; RECORD_BATCH_OVERHEAD];
        self.file.read_exact_at(&mut tail[..length], position)?;
        let size = i32::from_be_bytes([tail[8], tail[9], tail[10], tail[11]]);
        let whole_legacy_message =
            length >= 26 && matches!(tail[16], 0 | 1) && size >= 14 && size as usize + 12 <= length;
        Ok(if whole_legacy_message {
            ScanError::Header { position, error: HeaderError::LegacyMagic(tail[16] as i8) }
        } else {
            ScanError::Torn { position }
        })
    }

    /// Makes the block cover `length` bytes from `position`.
    fn fill(&mut self, position: u64, length: usize) -> io::Result<()> {
        let block_end = self.block_start + self.block.len() as u64;
        if position >= self.block_start && position + length as u64 <= block_end {
            return Ok(());
        }
        let available = (self.end - position) as usize;
        let wanted = length.max(self.block_bytes).min(available).max(length);
        self.block.resize(wanted, 0);
        self.block_start = position;
        let read = cached_read::read_exact_at(self.file, &mut self.block, position);
        if read.is_err() {
            self.block.clear();
        }
        read
    }
}
