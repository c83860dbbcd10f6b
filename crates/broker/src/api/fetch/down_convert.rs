//! Records for clients from before record batches v2: message sets of magic 0 (v0-1) or 1 (v2-3).
//!
//! Reads the files and decompresses, so it runs on the blocking pool. Control batches have no counterpart in the old
//! formats; where a read gave nothing else, the next batches are taken instead, for an empty answer would make the
//! client ask for the same offset for ever.

use milena_log::ReadLimit;
use milena_protocol::messages::fetch_response::Partition as PartitionResponse;
use milena_protocol::record::{RecordError, batches, legacy};
use milena_protocol::{ErrorCode, Records};

use super::read::PartitionRead;
use super::refused;
use crate::error_code;
use crate::fetch_session::PartitionFetch;

/// Largest decompressed batch that is converted.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;
/// First version that understands magic 1.
const MAGIC_1_SINCE: i16 = 2;

/// Rewrites the records of every partition; `reads` and `fetches` are in the same order.
pub(super) async fn all(
    reads: Vec<PartitionRead>,
    fetches: &[PartitionFetch],
    upto: ReadLimit,
    version: i16,
) -> Vec<PartitionResponse> {
    let magic = if version < MAGIC_1_SINCE { 0 } else { 1 };
    let indexes: Vec<i32> = fetches.iter().map(|fetch| fetch.key.index).collect();
    let fetches = fetches.to_vec();
    let converting = tokio::task::spawn_blocking(move || {
        let pairs = reads.into_iter().zip(&fetches);
        pairs.map(|(read, fetch)| one(read, fetch, upto, magic)).collect()
    });
    // Fails only when the conversion panicked.
    converting
        .await
        .unwrap_or_else(|_| indexes.into_iter().map(|index| refused(index, ErrorCode::UnknownServerError)).collect())
}

fn one(read: PartitionRead, fetch: &PartitionFetch, upto: ReadLimit, magic: i8) -> PartitionResponse {
    let PartitionRead { partition, response, .. } = read;
    let mut records = response.records.clone().unwrap_or_default();
    let mut offset = fetch.fetch_offset;
    while !records.is_empty() {
        match convert(&records, magic, offset) {
            Ok(Converted::Messages(messages)) => return PartitionResponse { records: Some(messages), ..response },
            Ok(Converted::NothingBefore(next_offset)) => offset = next_offset,
            Err(code) => return refused(response.partition_index, code),
        }
        let Some(partition) = &partition else { break };
        match partition.log().read(offset, fetch.max_bytes.max(0) as usize, true, upto) {
            Ok(data) => records = data.records,
            Err(error) => return refused(response.partition_index, error_code::of_read(&error)),
        }
    }
    PartitionResponse { records: Some(Records::default()), ..response }
}

enum Converted {
    Messages(Records),
    /// Only control batches, up to this offset.
    NothingBefore(i64),
}

fn convert(records: &Records, magic: i8, first_offset: i64) -> Result<Converted, ErrorCode> {
    let bytes = records.to_bytes().map_err(|_| ErrorCode::KafkaStorageError)?;
    let messages = legacy::down_convert(&bytes, magic, first_offset, BATCH_BYTES_MAX).map_err(|error| match error {
        RecordError::UnsupportedCodec { .. } => ErrorCode::UnsupportedCompressionType,
        _ => ErrorCode::CorruptMessage,
    })?;
    if !messages.is_empty() {
        return Ok(Converted::Messages(Records::Memory(messages)));
    }
    let last = batches(&bytes).filter_map(Result::ok).last();
    let next_offset = last.map(|batch| batch.next_offset()).filter(|next| *next > first_offset);
    next_offset.map(Converted::NothingBefore).ok_or(ErrorCode::CorruptMessage)
}
