//! What a coordinator needs from `__consumer_offsets`: append durably, read back from the start.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use milena_protocol::ErrorCode;

/// One record of `__consumer_offsets`. A value of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetsRecord {
    /// The i16 record type followed by the key message.
    pub key: Bytes,
    /// The i16 value version followed by the value message.
    pub value: Option<Bytes>,
}

impl OffsetsRecord {
    /// Most bytes that the record format adds to a key and a value.
    const OVERHEAD_BYTES: usize = 32;

    /// Bytes of the record in a batch, at most.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Bytes::len) + Self::OVERHEAD_BYTES
    }
}

/// Why a coordinator could not write or read its log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// This broker does not lead the partition.
    #[error("not the leader of __consumer_offsets-{partition}")]
    NotLeader {
        /// The partition of `__consumer_offsets`.
        partition: i32,
    },
    /// The partition does not exist (yet).
    #[error("__consumer_offsets-{partition} does not exist")]
    NotFound {
        /// The partition of `__consumer_offsets`.
        partition: i32,
    },
    /// The records do not fit `max.message.bytes` of the offsets topic.
    #[error("records of {size} bytes do not fit __consumer_offsets-{partition}")]
    TooLarge {
        /// The partition of `__consumer_offsets`.
        partition: i32,
        /// Bytes of the refused records.
        size: usize,
    },
    /// The disk refused.
    #[error("storage of __consumer_offsets-{partition}: {reason}")]
    Storage {
        /// The partition of `__consumer_offsets`.
        partition: i32,
        /// What the log said.
        reason: String,
    },
}

impl CoordinatorError {
    /// The code a client of the group sees; all but the oversize one are retriable.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            CoordinatorError::NotLeader { .. } => ErrorCode::NotCoordinator,
            CoordinatorError::NotFound { .. } | CoordinatorError::Storage { .. } => ErrorCode::CoordinatorNotAvailable,
            CoordinatorError::TooLarge { .. } => ErrorCode::UnknownServerError,
        }
    }
}

/// The future of [`OffsetsLog::append`].
pub type AppendFuture<'a> = Pin<Box<dyn Future<Output = Result<(), CoordinatorError>> + Send + 'a>>;

/// The coordinator's log: the topic `__consumer_offsets`.
pub trait OffsetsLog: Send + Sync + 'static {
    /// Partitions of `__consumer_offsets`; 0 while the topic does not exist.
    fn partition_count(&self) -> i32;

    /// The largest sum of [`OffsetsRecord::size`]s that one [`append`](Self::append) takes.
    fn append_bytes_max(&self) -> usize {
        1_000_000
    }

    /// Writes `records` as one batch, in order; resolves when they are durable (as the broker is configured).
    /// Callers append to one partition strictly one after the other.
    fn append(&self, partition: i32, records: Vec<OffsetsRecord>) -> AppendFuture<'_>;

    /// Calls `apply` with the key and value of every committed record of `partition`, oldest first.
    /// Blocks on the disk; called from a blocking thread.
    ///
    /// # Errors
    /// The partition cannot be read; what was applied so far must be thrown away.
    fn read_all(&self, partition: i32, apply: &mut dyn FnMut(&Bytes, Option<&Bytes>)) -> Result<(), CoordinatorError>;
}
