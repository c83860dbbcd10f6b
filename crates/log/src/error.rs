//! What can go wrong in the log, one enum per operation.
//!
//! The broker owns the one table that turns these into wire error codes; nothing here knows codes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What kind of trouble the disk is in: decides whether the log directory stays online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// No space (or quota) left. The log stays online, readers are unaffected, appends work again once space returns.
    DiskFull,
    /// The log directory went offline after an earlier failure; nothing is read or written there until a restart.
    Offline,
    /// Any other I/O failure. It takes the log directory offline.
    Io,
    /// Bytes on disk are not what the format demands.
    Corrupt,
    /// The partition was deleted or the manager was shut down.
    Closed,
}

/// An I/O operation on a file of a log directory failed.
///
/// Cheap to clone, because one failed fsync is reported to every waiter of the group.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} {}: {source}", path.display())]
pub struct StorageError {
    /// What kind of failure this is.
    pub kind: StorageErrorKind,
    /// What was attempted, as a verb: `append`, `fdatasync`, `rename`, ...
    pub operation: &'static str,
    /// The file or directory it was attempted on.
    pub path: PathBuf,
    /// What the operating system answered.
    #[source]
    pub source: Arc<io::Error>,
}

impl StorageError {
    /// Describes `source`, classifying "no space" and "quota exceeded" as [`StorageErrorKind::DiskFull`].
    pub fn new(operation: &'static str, path: impl AsRef<Path>, source: io::Error) -> StorageError {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageErrorKind::DiskFull,
            _ => StorageErrorKind::Io,
        };
        StorageError { kind, operation, path: path.as_ref().to_path_buf(), source: Arc::new(source) }
    }

    /// Bytes of `path` contradict the format.
    pub fn corrupt(path: impl AsRef<Path>, what: impl Into<String>) -> StorageError {
        let source = io::Error::new(io::ErrorKind::InvalidData, what.into());
        StorageError {
            kind: StorageErrorKind::Corrupt,
            operation: "read",
            path: path.as_ref().to_path_buf(),
            source: Arc::new(source),
        }
    }

    /// Whether a file was missing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// The log directory is offline because of `reason`.
    pub fn offline(path: impl AsRef<Path>, reason: &str) -> StorageError {
        StorageError {
            kind: StorageErrorKind::Offline,
            operation: "use offline log directory",
            path: path.as_ref().to_path_buf(),
            source: Arc::new(io::Error::other(reason.to_string())),
        }
    }

    /// The partition is gone.
    pub fn closed(path: impl AsRef<Path>) -> StorageError {
        StorageError {
            kind: StorageErrorKind::Closed,
            operation: "use closed log",
            path: path.as_ref().to_path_buf(),
            source: Arc::new(io::Error::new(io::ErrorKind::NotFound, "the log was closed or deleted")),
        }
    }
}

/// Attaches the operation and path to an [`io::Result`].
pub(crate) trait IoContext<T> {
    /// Turns the error into a [`StorageError`] that names `operation` and `path`.
    fn at(self, operation: &'static str, path: impl AsRef<Path>) -> Result<T, StorageError>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn at(self, operation: &'static str, path: impl AsRef<Path>) -> Result<T, StorageError> {
        self.map_err(|error| StorageError::new(operation, path, error.into()))
    }
}

/// Why one record of a refused batch was refused (KIP-467).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Index of the record within its batch, from 0.
    pub batch_index: i32,
    /// What is wrong with this record, for the client's log.
    pub message: String,
}

/// Why records were not appended. In every case the log is unchanged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The bytes are damaged: wrong CRC, lengths that lie, a payload that does not decompress.
    #[error("corrupt batch: {0}")]
    Corrupt(String),
    /// The bytes are well formed but not acceptable as records.
    #[error("invalid record: {message}")]
    InvalidRecord {
        /// Why the batch as a whole was refused.
        message: String,
        /// The records at fault, if single records are.
        record_errors: Vec<RecordError>,
    },
    /// A timestamp lies outside the bounds of `message.timestamp.{before,after}.max.ms`, or the client set the log-append-time bit.
    #[error("invalid timestamp: {message}")]
    InvalidTimestamp {
        /// Why the batch as a whole was refused.
        message: String,
        /// The records at fault, if single records are.
        record_errors: Vec<RecordError>,
    },
    /// The stored batch would be larger than `max.message.bytes`.
    #[error("batch of {size} bytes exceeds max.message.bytes={limit}")]
    BatchTooLarge {
        /// Size of the batch as stored, in bytes.
        size: usize,
        /// The topic's limit in bytes.
        limit: usize,
    },
    /// The batch would not fit into any segment.
    #[error("batch of {size} bytes exceeds segment.bytes={limit}")]
    LargerThanSegment {
        /// Size of the batch as stored, in bytes.
        size: usize,
        /// The topic's `segment.bytes`.
        limit: usize,
    },
    /// The record format does not fit the produce version.
    #[error("unsupported for this message format: {0}")]
    UnsupportedForMessageFormat(String),
    /// The codec is unknown, or not allowed for this produce version (zstd needs 7).
    #[error("unsupported compression type: {0}")]
    UnsupportedCompression(String),
    /// An idempotent producer skipped a sequence, or repeated one that is no longer remembered (KIP-98).
    #[error("producer {producer_id} epoch {producer_epoch} sent sequence {got}, last was {last}")]
    OutOfOrderSequence {
        /// The producer.
        producer_id: i64,
        /// Its epoch in the refused batch.
        producer_epoch: i16,
        /// First sequence of the refused batch.
        got: i32,
        /// Last sequence appended before, -1 for none.
        last: i32,
    },
    /// A newer incarnation of the producer has written to this partition.
    #[error("producer {producer_id} sent epoch {got}, the partition has seen {current}")]
    InvalidProducerEpoch {
        /// The producer.
        producer_id: i64,
        /// Epoch of the refused batch.
        got: i16,
        /// Epoch that is current on this partition.
        current: i16,
    },
    /// The producer has an open transaction here and wrote outside of it.
    #[error("producer {producer_id} wrote without a transaction while one is open on the partition")]
    InvalidTxnState {
        /// The producer.
        producer_id: i64,
    },
    /// The producer has no open transaction here, and this append may not begin one.
    #[error("producer {producer_id} has no open transaction on the partition")]
    TransactionNotOpen {
        /// The producer.
        producer_id: i64,
    },
    /// A transaction marker came from a coordinator that has been replaced.
    #[error("marker of producer {producer_id} carries coordinator epoch {got}, the partition has seen {current}")]
    CoordinatorFenced {
        /// The producer whose transaction ends.
        producer_id: i64,
        /// Coordinator epoch in the marker.
        got: i32,
        /// Newest coordinator epoch seen.
        current: i32,
    },
    /// The disk failed or is full; see [`StorageError::kind`].
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl AppendError {
    pub(crate) fn invalid_record(message: impl Into<String>) -> AppendError {
        AppendError::InvalidRecord { message: message.into(), record_errors: Vec::new() }
    }
}

/// Why a read returned nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The offset lies below the log start or beyond the log end.
    #[error("offset {offset} is not within {log_start_offset}..={log_end_offset}")]
    OutOfRange {
        /// The offset asked for.
        offset: i64,
        /// First offset of the log.
        log_start_offset: i64,
        /// One past the last offset of the log.
        log_end_offset: i64,
    },
    /// The read would have to wait for the disk, and the caller did not want that.
    #[error("not in the page cache")]
    NotCached,
    /// The disk failed; see [`StorageError::kind`].
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why records below an offset could not be deleted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeleteRecordsError {
    /// The offset is beyond the high watermark, or negative.
    #[error("offset {offset} is beyond the high watermark {high_watermark}")]
    OutOfRange {
        /// The offset asked for.
        offset: i64,
        /// The high watermark.
        high_watermark: i64,
    },
    /// The topic's `cleanup.policy` does not contain `delete`.
    #[error("records of a compacted topic cannot be deleted by offset")]
    PolicyViolation,
    /// The disk failed; see [`StorageError::kind`].
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why the log directories could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock file.
    #[error("log directory {} is in use by another process ({}/.lock is locked)", .0.display(), .0.display())]
    Locked(PathBuf),
    /// The directory belongs to another cluster or node.
    #[error("log directory {} belongs to {key} {found}, this server is {key} {expected}", path.display())]
    WrongIdentity {
        /// The log directory.
        path: PathBuf,
        /// `cluster.id` or `node.id`.
        key: &'static str,
        /// The value in `meta.properties`.
        found: String,
        /// The value of this server.
        expected: String,
    },
    /// No log directory was given.
    #[error("no log directory given (log.dirs is empty)")]
    NoLogDirs,
    /// A log directory could not be created, read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
