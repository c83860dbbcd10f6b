//! What a coordinator needs from `__consumer_offsets`: append, know when it is durable, read back from the start.

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

/// Who writes records that belong to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionalProducer {
    /// The producer.
    pub producer_id: i64,
    /// Its epoch; the log refuses older ones.
    pub producer_epoch: i16,
}

/// What a coordinator finds in its log, in order.
#[derive(Clone, Copy, Debug)]
pub enum LoggedEvent<'a> {
    /// A record.
    Record {
        /// Its key.
        key: &'a Bytes,
        /// Its value; `None` for a tombstone.
        value: Option<&'a Bytes>,
        /// The producer in whose transaction it was written: it counts when that is committed.
        producer_id: Option<i64>,
    },
    /// The end of a transaction.
    Marker {
        /// The producer whose transaction ended.
        producer_id: i64,
        /// Whether its records count.
        committed: bool,
    },
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
    /// The log refuses the producer of a transactional batch; nothing was written.
    #[error("__consumer_offsets-{partition} refuses the producer: {}", code.name())]
    Producer {
        /// The partition of `__consumer_offsets`.
        partition: i32,
        /// Why.
        code: ErrorCode,
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
    /// The code a client of the group sees; all but the oversize one and a producer's are retriable.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            CoordinatorError::NotLeader { .. } => ErrorCode::NotCoordinator,
            CoordinatorError::NotFound { .. } | CoordinatorError::Storage { .. } => ErrorCode::CoordinatorNotAvailable,
            CoordinatorError::TooLarge { .. } => ErrorCode::UnknownServerError,
            CoordinatorError::Producer { code, .. } => *code,
        }
    }
}

/// Resolves when an append is as durable as the broker is configured.
pub type Durable = Pin<Box<dyn Future<Output = Result<(), CoordinatorError>> + Send>>;

/// The coordinator's log: the topic `__consumer_offsets`.
pub trait OffsetsLog: Send + Sync + 'static {
    /// Partitions of `__consumer_offsets`; 0 while the topic does not exist.
    fn partition_count(&self) -> i32;

    /// The largest sum of [`OffsetsRecord::size`]s that one [`append`](Self::append) takes.
    fn append_bytes_max(&self) -> usize {
        1_000_000
    }

    /// Writes `records` as one batch, in order, in the transaction of `producer` if there is one.
    ///
    /// # Errors
    /// Nothing was written.
    fn append(
        &self,
        partition: i32,
        records: Vec<OffsetsRecord>,
        producer: Option<TransactionalProducer>,
    ) -> Result<Durable, CoordinatorError>;

    /// Calls `apply` with every record of `partition` and every end of a transaction, oldest first.
    /// Blocks on the disk; called from a blocking thread.
    ///
    /// # Errors
    /// The partition cannot be read; what was applied so far must be thrown away.
    fn read_all(&self, partition: i32, apply: &mut dyn FnMut(LoggedEvent<'_>)) -> Result<(), CoordinatorError>;
}
