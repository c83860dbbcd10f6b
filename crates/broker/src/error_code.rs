//! The one place that knows both worlds: what happened in the log, and the code that says so on the wire.

use milena_log::{AppendError, DeleteRecordsError, ReadError, StorageError};
use milena_protocol::ErrorCode;

/// The wire code of a failed append.
pub(crate) fn of_append(error: &AppendError) -> ErrorCode {
    match error {
        AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
        AppendError::InvalidRecord { .. } => ErrorCode::InvalidRecord,
        AppendError::InvalidTimestamp { .. } => ErrorCode::InvalidTimestamp,
        AppendError::BatchTooLarge { .. } => ErrorCode::MessageTooLarge,
        AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
        AppendError::UnsupportedForMessageFormat(_) => ErrorCode::UnsupportedForMessageFormat,
        AppendError::UnsupportedCompression(_) => ErrorCode::UnsupportedCompressionType,
        AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
        AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
        AppendError::InvalidTxnState { .. } | AppendError::TransactionNotOpen { .. } => ErrorCode::InvalidTxnState,
        AppendError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
        AppendError::Storage(error) => of_storage(error),
    }
}

/// The wire code of a failed read.
pub(crate) fn of_read(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        ReadError::Storage(error) => of_storage(error),
        ReadError::NotCached => ErrorCode::KafkaStorageError,
    }
}

/// The wire code of a failed DeleteRecords.
pub(crate) fn of_delete_records(error: &DeleteRecordsError) -> ErrorCode {
    match error {
        DeleteRecordsError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        DeleteRecordsError::PolicyViolation => ErrorCode::PolicyViolation,
        DeleteRecordsError::Storage(error) => of_storage(error),
    }
}

/// Whatever a disk does wrong is retriable for clients: a full disk may get space, an offline directory may be repaired.
pub(crate) fn of_storage(_error: &StorageError) -> ErrorCode {
    ErrorCode::KafkaStorageError
}
