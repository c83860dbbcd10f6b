//! One partition of `__share_group_state` as a log of records.

use std::sync::Arc;

use bytes::Bytes;
use milena_log::{AppendOptions, AppendOrigin, ReadLimit};
use milena_protocol::ErrorCode;
use milena_protocol::record::{BatchBuilder, BatchOptions, batches};

use crate::error_code;
use crate::partition::{DurabilityWait, Partition};

/// Bytes read at once while a partition is loaded.
const LOAD_CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Largest decompressed batch that is loaded.
const LOAD_BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Appends one record and returns its offset; `durability` learns what there is to wait for.
pub(super) fn append(
    partition: &Partition,
    now_ms: i64,
    key: &Bytes,
    value: Option<&Bytes>,
    durability: &mut DurabilityWait,
    fsync: bool,
) -> Result<i64, ErrorCode> {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(now_ms, Some(key), value.map(Bytes::as_ref), &[]);
    let batch = builder.build().map_err(|error| {
        tracing::error!(%error, "share state cannot be encoded");
        ErrorCode::UnknownServerError
    })?;
    let options = AppendOptions {
        origin: AppendOrigin::Coordinator,
        leader_epoch: partition.leader_epoch(),
        ..AppendOptions::default()
    };
    let info = partition.append(batch, &options).map_err(|error| {
        tracing::error!(partition = partition.log().partition(), %error, "share state cannot be written");
        match error_code::of_append(&error) {
            ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
            _ => ErrorCode::CoordinatorNotAvailable,
        }
    })?;
    if fsync {
        durability.add(partition, info.last_offset + 1);
    }
    Ok(info.base_offset)
}

/// Calls `apply` with offset, key and value of every record, oldest first. Blocks on the disk.
pub(super) fn read_all(
    partition: &Arc<Partition>,
    apply: &mut dyn FnMut(i64, &Bytes, Option<&Bytes>),
) -> Result<(), String> {
    let log = partition.log();
    let mut offset = log.log_start_offset();
    while offset < log.high_watermark() {
        let data =
            log.read(offset, LOAD_CHUNK_BYTES, true, ReadLimit::HighWatermark).map_err(|error| error.to_string())?;
        let bytes = data.records.to_bytes().map_err(|error| error.to_string())?;
        let next_offset = apply_batches(&bytes, offset, apply)?;
        if next_offset <= offset {
            return Err(format!("nothing readable at offset {offset}"));
        }
        offset = next_offset;
    }
    Ok(())
}

fn apply_batches(bytes: &Bytes, from: i64, apply: &mut dyn FnMut(i64, &Bytes, Option<&Bytes>)) -> Result<i64, String> {
    let mut next_offset = -1;
    for batch in batches(bytes) {
        let batch = batch.map_err(|error| error.to_string())?;
        next_offset = batch.next_offset();
        if batch.is_control() {
            continue;
        }
        for record in batch.records(LOAD_BATCH_BYTES_MAX).map_err(|error| error.to_string())? {
            let record = record.map_err(|error| error.to_string())?;
            if let Some(key) = record.key.as_ref().filter(|_| record.offset >= from) {
                apply(record.offset, key, record.value.as_ref());
            }
        }
    }
    Ok(next_offset)
}
