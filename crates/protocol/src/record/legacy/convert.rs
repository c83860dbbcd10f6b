//! Conversion between message sets of formats 0 and 1 and v2 batches.

use bytes::Bytes;

use super::message_set::{MessageFields, messages, put_message};
use super::{LOG_OVERHEAD, MIN_MESSAGE_LEN_V0, compress};
use crate::compression::Compression;
use crate::record::{BatchBuilder, BatchOptions, BatchView, NO_TIMESTAMP, RecordError, batches};

/// Turns a produced message set into one v2 batch with base offset 0 and no producer id.
///
/// The codec of the first wrapper is kept. Offsets are numbered from 0, whatever the client wrote; magic 0
/// messages have timestamp -1. A client cannot set log-append time, so timestamps are create times.
///
/// # Errors
/// As [`messages`](super::messages); also [`RecordError::InvalidLegacyMessage`] for an empty set.
pub fn up_convert(set: &[u8], max_decompressed: usize) -> Result<Bytes, RecordError> {
    let found = messages(set, max_decompressed)?;
    let Some(first) = found.first() else {
        return Err(RecordError::InvalidLegacyMessage { detail: "the set holds no complete message" });
    };
    let mut builder = BatchBuilder::new(BatchOptions { compression: first.compression, ..BatchOptions::default() });
    for message in &found {
        builder.append(message.timestamp, message.key.as_deref(), message.value.as_deref(), &[]);
    }
    builder.build()
}

/// Turns v2 batches into a message set of format `to_magic` (0 or 1) that begins at `first_offset`.
///
/// Headers and control batches are dropped, for magic 0 timestamps too; records below `first_offset` are left
/// out, and so is a batch cut off at the end. Each batch stays compressed with its codec, as one wrapper. The
/// result is empty when nothing is left, for example of control batches: the caller then goes on with the next batch.
///
/// # Errors
/// - [`RecordError::UnsupportedCodec`] for zstd
/// - [`RecordError::UnsupportedMagic`] when `to_magic` is neither 0 nor 1, or a batch is not v2
/// - [`RecordError::InvalidRecord`], [`RecordError::CountMismatch`], [`RecordError::Compression`] for damaged batches
pub fn down_convert(
    v2_batches: &[u8],
    to_magic: i8,
    first_offset: i64,
    max_decompressed: usize,
) -> Result<Bytes, RecordError> {
    if !(0..=1).contains(&to_magic) {
        return Err(RecordError::UnsupportedMagic { magic: to_magic });
    }
    let mut output = Vec::with_capacity(v2_batches.len());
    for batch in batches(v2_batches) {
        match batch {
            Ok(batch) if batch.is_control() || batch.last_offset() < first_offset => {}
            Ok(batch) => {
                convert_batch(&batch, to_magic, first_offset, max_decompressed, &mut output)?;
            }
            Err(RecordError::Truncated { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(Bytes::from(output))
}

fn convert_batch(
    batch: &BatchView<'_>,
    magic: i8,
    first_offset: i64,
    max_decompressed: usize,
    output: &mut Vec<u8>,
) -> Result<(), RecordError> {
    let codec = batch.compression()?;
    if codec == Compression::Zstd {
        return Err(RecordError::UnsupportedCodec { codec, magic });
    }
    if codec == Compression::None {
        return put_records(batch, magic, first_offset, max_decompressed, 0, output).map(drop);
    }
    // Relative inner offsets keep the gaps that compaction left.
    let relative_to = if magic > 0 { batch.base_offset() } else { 0 };
    let mut inner_set = Vec::new();
    let last = put_records(batch, magic, first_offset, max_decompressed, relative_to, &mut inner_set)?;
    let Some(last) = last else { return Ok(()) };
    let value = compress(magic, codec, &inner_set)?;
    output.reserve(LOG_OVERHEAD + MIN_MESSAGE_LEN_V0 + 8 + value.len());
    put_message(
        output,
        &MessageFields {
            offset: last.offset,
            magic,
            codec,
            timestamp: last.max_timestamp,
            timestamp_type: batch.timestamp_type(),
            key: None,
            value: Some(&value),
        },
    )
}

/// What a wrapper says about the messages inside.
struct LastRecord {
    offset: i64,
    max_timestamp: i64,
}

/// Appends the batch's records from `first_offset` on as messages; `None` when there are none.
fn put_records(
    batch: &BatchView<'_>,
    magic: i8,
    first_offset: i64,
    max_decompressed: usize,
    relative_to: i64,
    output: &mut Vec<u8>,
) -> Result<Option<LastRecord>, RecordError> {
    let mut last: Option<LastRecord> = None;
    batch.for_each_record(max_decompressed, |record| {
        if record.offset < first_offset {
            return Ok(());
        }
        let so_far = last.as_ref().map_or(NO_TIMESTAMP, |last| last.max_timestamp);
        last = Some(LastRecord { offset: record.offset, max_timestamp: so_far.max(record.timestamp) });
        put_message(
            output,
            &MessageFields {
                offset: record.offset.wrapping_sub(relative_to),
                magic,
                codec: Compression::None,
                timestamp: record.timestamp,
                timestamp_type: batch.timestamp_type(),
                key: record.key,
                value: record.value,
            },
        )
    })?;
    Ok(last)
}
