//! What the coordinator needs from `__transaction_state`: append, learn when that is durable, read back from the start.

use std::sync::Arc;

use bytes::Bytes;
use milena_log::{AppendOptions, AppendOrigin, Log, ReadLimit};
use milena_protocol::record::{BatchBuilder, BatchOptions, batches};
use milena_protocol::{EncodeError, ErrorCode};
use milena_stdx::Clock;

use super::records::StateRecord;
use crate::partition::{DurabilityWait, Partition, PartitionTable};

/// The topic of transaction states.
pub(crate) const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";
/// Bytes read at once while a partition is loaded.
const LOAD_CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Largest decompressed batch that is loaded.
const LOAD_BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why a state could not be written or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StateLogError {
    /// The partition does not exist (yet).
    #[error("__transaction_state-{partition} does not exist")]
    NotFound {
        /// The partition of `__transaction_state`.
        partition: i32,
    },
    /// A name is too long for the record format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The log refused.
    #[error("__transaction_state-{partition}: {reason}")]
    Storage {
        /// The partition of `__transaction_state`.
        partition: i32,
        /// What the log said.
        reason: String,
    },
}

impl StateLogError {
    /// What the client sees: a code that it comes back after.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            StateLogError::Encode(_) => ErrorCode::InvalidRequest,
            StateLogError::NotFound { .. } | StateLogError::Storage { .. } => ErrorCode::CoordinatorNotAvailable,
        }
    }
}

/// The coordinator's log.
pub(crate) trait StateLog: Send + Sync + 'static {
    /// Partitions of `__transaction_state`; 0 while the topic does not exist.
    fn partition_count(&self) -> i32;

    /// The epoch of this coordinator for the transactions of `partition`; it goes into their markers.
    fn coordinator_epoch(&self, partition: i32) -> i32;

    /// Appends `records` as one batch. It survives the process when this returns, and the machine after the wait.
    ///
    /// # Errors
    /// Nothing was appended.
    fn append(&self, partition: i32, records: &[StateRecord]) -> Result<DurabilityWait, StateLogError>;

    /// Calls `apply` with the key and value of every record of `partition`, oldest first. Blocks on the disk.
    ///
    /// # Errors
    /// The partition cannot be read; what was applied so far must be thrown away.
    fn read_all(&self, partition: i32, apply: &mut dyn FnMut(&Bytes, Option<&Bytes>)) -> Result<(), StateLogError>;
}

/// `__transaction_state` on the partitions of this broker.
pub(crate) struct PartitionStateLog {
    pub(crate) partitions: Arc<PartitionTable>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether anybody waits for an fsync (`milena.acks.all.fsync`).
    pub(crate) fsync: bool,
}

impl PartitionStateLog {
    fn partition(&self, partition: i32) -> Result<Arc<Partition>, StateLogError> {
        let topic = self.partitions.topic(TRANSACTION_STATE_TOPIC).ok_or(StateLogError::NotFound { partition })?;
        topic.partition(partition).map_err(|code| match code {
            ErrorCode::UnknownTopicOrPartition => StateLogError::NotFound { partition },
            code => StateLogError::Storage { partition, reason: code.name().to_owned() },
        })
    }
}

impl StateLog for PartitionStateLog {
    fn partition_count(&self) -> i32 {
        self.partitions.topic(TRANSACTION_STATE_TOPIC).map_or(0, |topic| topic.partition_count())
    }

    fn coordinator_epoch(&self, partition: i32) -> i32 {
        self.partition(partition).map_or(0, |partition| partition.leader_epoch())
    }

    fn append(&self, index: i32, records: &[StateRecord]) -> Result<DurabilityWait, StateLogError> {
        let partition = self.partition(index)?;
        let storage = |reason: String| StateLogError::Storage { partition: index, reason };
        let now_ms = self.clock.now_ms();
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for record in records {
            builder.append(now_ms, Some(&record.key), record.value.as_deref(), &[]);
        }
        let batch = builder.build().map_err(|error| storage(error.to_string()))?;
        let options = AppendOptions {
            origin: AppendOrigin::Coordinator,
            leader_epoch: partition.leader_epoch(),
            ..AppendOptions::default()
        };
        let info = partition.append(batch, &options).map_err(|error| storage(error.to_string()))?;
        let mut durability = DurabilityWait::default();
        if self.fsync {
            durability.add(&partition, info.last_offset + 1);
        }
        Ok(durability)
    }

    fn read_all(&self, partition: i32, apply: &mut dyn FnMut(&Bytes, Option<&Bytes>)) -> Result<(), StateLogError> {
        let log = self.partition(partition)?.log().clone();
        read_log(&log, apply).map_err(|reason| StateLogError::Storage { partition, reason })
    }
}

fn read_log(log: &Log, apply: &mut dyn FnMut(&Bytes, Option<&Bytes>)) -> Result<(), String> {
    let mut offset = log.log_start_offset();
    while offset < log.high_watermark() {
        let data = log.read(offset, LOAD_CHUNK_BYTES, true, ReadLimit::HighWatermark);
        let bytes = data.map_err(|error| error.to_string())?.records.to_bytes().map_err(|error| error.to_string())?;
        let next_offset = apply_batches(&bytes, apply).map_err(|error| error.to_string())?;
        if next_offset <= offset {
            return Err(format!("nothing readable at offset {offset}"));
        }
        offset = next_offset;
    }
    Ok(())
}

/// Applies every record that is not a control record and returns the offset after the last batch.
fn apply_batches(
    bytes: &Bytes,
    apply: &mut dyn FnMut(&Bytes, Option<&Bytes>),
) -> Result<i64, milena_protocol::record::RecordError> {
    let mut next_offset = -1;
    for batch in batches(bytes) {
        let batch = batch?;
        next_offset = batch.next_offset();
        if batch.is_control() {
            continue;
        }
        for record in batch.records(LOAD_BATCH_BYTES_MAX)? {
            let record = record?;
            if let Some(key) = &record.key {
                apply(key, record.value.as_ref());
            }
        }
    }
    Ok(next_offset)
}
