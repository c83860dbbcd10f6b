//! Record bytes that are passed along without being copied: in memory, or a range of a log file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

/// A range of an open file. The file must not shrink below `position + len` while this lives.
#[derive(Debug, Clone)]
pub struct FileRange {
    /// The file, opened for reading.
    pub file: Arc<File>,
    /// First byte of the range.
    pub position: u64,
    /// Length in bytes.
    pub len: usize,
}

impl FileRange {
    /// Reads the range into memory.
    ///
    /// # Errors
    /// The file's own, and `UnexpectedEof` when it is shorter than the range.
    pub fn to_bytes(&self) -> io::Result<Bytes> {
        let mut buffer = vec![0; self.len];
        self.file.read_exact_at(&mut buffer, self.position)?;
        Ok(Bytes::from(buffer))
    }
}

impl PartialEq for FileRange {
    /// Same open file and same range; contents are not read.
    fn eq(&self, other: &FileRange) -> bool {
        Arc::ptr_eq(&self.file, &other.file) && self.position == other.position && self.len == other.len
    }
}

/// The value of a `records` field: zero or more record batches.
#[derive(Debug, Clone, PartialEq)]
pub enum Records {
    /// In memory; what decoding gives is a slice of the frame.
    Memory(Bytes),
    /// In a log file, to be sent with `sendfile`.
    File(FileRange),
    /// One after the other.
    Chain(Vec<Records>),
}

impl Records {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Records::Memory(bytes) => bytes.len(),
            Records::File(range) => range.len,
            Records::Chain(parts) => parts.iter().map(Records::len).sum(),
        }
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All bytes in memory: free for [`Records::Memory`], a read for file ranges.
    ///
    /// # Errors
    /// Reading the file failed.
    pub fn to_bytes(&self) -> io::Result<Bytes> {
        match self {
            Records::Memory(bytes) => Ok(bytes.clone()),
            Records::File(range) => range.to_bytes(),
            Records::Chain(parts) => {
                let mut all = BytesMut::with_capacity(self.len());
                for part in parts {
                    all.extend_from_slice(&part.to_bytes()?);
                }
                Ok(all.freeze())
            }
        }
    }
}

impl Default for Records {
    fn default() -> Records {
        Records::Memory(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Records {
        Records::Memory(bytes)
    }
}

impl From<FileRange> for Records {
    fn from(range: FileRange) -> Records {
        Records::File(range)
    }
}

/// A piece of an encoded message, to be written to the socket in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Chunk {
    /// Bytes in memory.
    Bytes(Bytes),
    /// Bytes of a file.
    File(FileRange),
}

impl Chunk {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::File(range) => range.len,
        }
    }

    /// Whether the chunk has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A whole encoded message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chunks {
    /// The pieces in order; none is empty.
    pub chunks: Vec<Chunk>,
    /// Their total length in bytes.
    pub len: usize,
}

impl Chunks {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All bytes in one buffer (reads file ranges).
    ///
    /// # Errors
    /// Reading a file failed.
    pub fn to_bytes(&self) -> io::Result<Bytes> {
        if let [Chunk::Bytes(bytes)] = self.chunks.as_slice() {
            return Ok(bytes.clone());
        }
        let mut all = BytesMut::with_capacity(self.len);
        for chunk in &self.chunks {
            match chunk {
                Chunk::Bytes(bytes) => all.extend_from_slice(bytes),
                Chunk::File(range) => all.extend_from_slice(&range.to_bytes()?),
            }
        }
        Ok(all.freeze())
    }
}
