//! What a leader checks and rewrites before a batch may enter the log (broker_spec 5.2 and 5.3), without any lock.
//!
//! The straight path copies 61 bytes of header and keeps the payload as the slice of the request it arrived in. Every record of a
//! client is walked, for which a compressed batch is decompressed into memory that the thread keeps: a batch that no consumer can decode
//! must not be acknowledged. The plain records are overwritten by the next batch unless the topic has another codec.

use bytes::Bytes;
use milena_protocol::compression::{self, Compression};
use milena_protocol::record::{BatchBuilder, BatchOptions, BatchView, RECORD_BATCH_OVERHEAD, TimestampType, legacy};

use crate::append::{AppendOptions, AppendOrigin};
use crate::batch_header::{HeaderBytes, LENGTH_OVERHEAD, LOG_APPEND_TIME_BIT};
use crate::config::{CompressionType, LogConfig};
use crate::error::{AppendError, RecordError};
use crate::record_walk::RecordWalk;

/// Largest payload that is decompressed for inspection, in bytes: a bomb is an error.
pub(crate) const DECOMPRESSED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// First produce version that may carry zstd.
const PRODUCE_VERSION_ZSTD: i16 = 7;
/// First produce version that carries record batch v2.
const PRODUCE_VERSION_MAGIC_2: i16 = 3;
/// Record errors reported per batch.
const RECORD_ERRORS_MAX: usize = 100;

/// A batch that may be appended as soon as it has its offsets.
#[derive(Clone)]
pub(crate) struct PreparedBatch {
    pub header: HeaderBytes,
    pub payload: Bytes,
}

/// Checks `records` and gives them the form in which they are stored.
pub(crate) fn prepare(
    records: Bytes,
    options: &AppendOptions,
    config: &LogConfig,
    now_ms: i64,
) -> Result<Vec<PreparedBatch>, AppendError> {
    let mut rest = current_format(records, options)?;
    let mut batches = Vec::with_capacity(1);
    while !rest.is_empty() {
        if !batches.is_empty() && options.origin == AppendOrigin::Client {
            return Err(AppendError::invalid_record("a produce request must hold exactly one batch per partition"));
        }
        let batch = split_batch(&mut rest)?;
        batches.push(prepare_batch(batch, options, config, now_ms)?);
    }
    if batches.is_empty() {
        return Err(AppendError::invalid_record("no records"));
    }
    Ok(batches)
}

/// Message sets of magic 0 and 1 become one batch of magic 2, if the produce version may carry them.
fn current_format(records: Bytes, options: &AppendOptions) -> Result<Bytes, AppendError> {
    let Some(magic) = records.get(16).map(|magic| *magic as i8) else {
        return Err(AppendError::Corrupt(format!("{} bytes are no batch", records.len())));
    };
    match magic {
        2 if options.produce_version >= PRODUCE_VERSION_MAGIC_2 => Ok(records),
        0 | 1 if options.produce_version < PRODUCE_VERSION_MAGIC_2 => {
            legacy::up_convert(&records, DECOMPRESSED_BYTES_MAX)
                .map_err(|error| AppendError::Corrupt(error.to_string()))
        }
        0..=2 => Err(AppendError::InvalidRecord {
            message: format!("produce version {} cannot carry record format v{magic}", options.produce_version),
            record_errors: Vec::new(),
        }),
        _ => Err(AppendError::UnsupportedForMessageFormat(format!("unknown magic {magic}"))),
    }
}

fn split_batch(rest: &mut Bytes) -> Result<PreparedBatch, AppendError> {
    let header = HeaderBytes::copy_from(rest)
        .ok_or_else(|| AppendError::Corrupt("batch shorter than its header".to_string()))?;
    header.check().map_err(|error| AppendError::Corrupt(error.to_string()))?;
    let size = header.size_in_bytes();
    if size > rest.len() {
        return Err(AppendError::Corrupt(format!("batch of {size} bytes in a field of {}", rest.len())));
    }
    let batch = rest.split_to(size);
    Ok(PreparedBatch { header, payload: batch.slice(RECORD_BATCH_OVERHEAD..) })
}

fn prepare_batch(
    mut batch: PreparedBatch,
    options: &AppendOptions,
    config: &LogConfig,
    now_ms: i64,
) -> Result<PreparedBatch, AppendError> {
    check_size(&batch.header, config)?;
    let from_client = options.origin == AppendOrigin::Client;
    if from_client {
        check_client_header(&batch)?;
    }
    if batch.header.is_control() {
        return Ok(batch);
    }
    let codec = codec_of(&batch.header, options)?;
    let target = match config.compression_type {
        CompressionType::Producer => codec,
        CompressionType::Fixed(target) => target,
    };
    let compacted = config.cleanup_policy.compact;
    let log_append_time = config.message_timestamp_type == TimestampType::LogAppendTime;
    check_header_timestamps(&batch.header, config, now_ms)?;
    if from_client {
        let payload = batch.payload.clone();
        let looked = compression::with_decompressed(codec, &payload, DECOMPRESSED_BYTES_MAX, |plain| {
            let seen = walk(&batch.header, plain, compacted, config, now_ms)?;
            let reencoded = match seen.offsets_in_order && target != codec {
                true => Some(reencode(batch.header, plain, target, config)?),
                false => None,
            };
            Ok::<_, AppendError>((seen, reencoded))
        });
        let (seen, reencoded) = looked.map_err(|error| AppendError::Corrupt(error.to_string()))??;
        if !seen.offsets_in_order {
            batch = renumber(&batch)?;
            return if target == codec { Ok(batch) } else { recompress(batch, target, config) };
        }
        if let Some(reencoded) = reencoded {
            batch = reencoded;
            check_size(&batch.header, config)?;
        }
        if !log_append_time && seen.max_timestamp != batch.header.max_timestamp() {
            batch.header.set_max_timestamp(seen.max_timestamp);
            batch.header.seal(&batch.payload);
        }
    }
    if log_append_time {
        batch.header.set_attributes(batch.header.attributes() | LOG_APPEND_TIME_BIT);
        batch.header.set_max_timestamp(now_ms);
        batch.header.seal(&batch.payload);
    }
    Ok(batch)
}

fn check_size(header: &HeaderBytes, config: &LogConfig) -> Result<(), AppendError> {
    let size = header.size_in_bytes();
    if size > config.max_message_bytes.max(0) as usize {
        return Err(AppendError::BatchTooLarge { size, limit: config.max_message_bytes.max(0) as usize });
    }
    if size > config.segment_bytes.max(0) as usize {
        return Err(AppendError::LargerThanSegment { size, limit: config.segment_bytes.max(0) as usize });
    }
    Ok(())
}

fn check_client_header(batch: &PreparedBatch) -> Result<(), AppendError> {
    let header = &batch.header;
    if header.compute_crc(&batch.payload) != header.crc() {
        return Err(AppendError::Corrupt("CRC mismatch".to_string()));
    }
    if header.base_offset() != 0 {
        return Err(AppendError::invalid_record(format!("base offset is {}, not 0", header.base_offset())));
    }
    if header.is_control() {
        return Err(AppendError::invalid_record("clients may not write control records"));
    }
    if header.count() <= 0 || header.last_offset_delta() != header.count() - 1 {
        let message = format!("count {} contradicts last offset delta {}", header.count(), header.last_offset_delta());
        return Err(AppendError::invalid_record(message));
    }
    if header.has_producer_id() && (header.base_sequence() < 0 || header.producer_epoch() < 0) {
        return Err(AppendError::invalid_record("a batch with a producer id needs a sequence and an epoch"));
    }
    if header.is_transactional() && !header.has_producer_id() {
        return Err(AppendError::invalid_record("a transactional batch needs a producer id"));
    }
    if header.delete_horizon_ms().is_some() {
        return Err(AppendError::invalid_record("clients may not set a delete horizon"));
    }
    if header.is_log_append_time() {
        return Err(AppendError::InvalidTimestamp {
            message: "clients may not set the timestamp type to log append time".to_string(),
            record_errors: Vec::new(),
        });
    }
    Ok(())
}

fn codec_of(header: &HeaderBytes, options: &AppendOptions) -> Result<Compression, AppendError> {
    let id = header.codec_id();
    let codec =
        Compression::from_id(id).map_err(|_| AppendError::UnsupportedCompression(format!("unknown codec {id}")))?;
    if codec == Compression::Zstd && options.produce_version < PRODUCE_VERSION_ZSTD {
        return Err(AppendError::UnsupportedCompression(format!("zstd needs produce version {PRODUCE_VERSION_ZSTD}")));
    }
    Ok(codec)
}

fn timestamp_in_bounds(timestamp: i64, config: &LogConfig, now_ms: i64) -> bool {
    timestamp == -1
        || (timestamp >= now_ms.saturating_sub(config.message_timestamp_before_max_ms)
            && timestamp <= now_ms.saturating_add(config.message_timestamp_after_max_ms))
}

/// The header's own timestamps: refuses a batch before its records are looked at.
fn check_header_timestamps(header: &HeaderBytes, config: &LogConfig, now_ms: i64) -> Result<(), AppendError> {
    let create_time = config.message_timestamp_type == TimestampType::CreateTime;
    let fine = |timestamp| timestamp_in_bounds(timestamp, config, now_ms);
    if !create_time || (fine(header.max_timestamp()) && fine(header.base_timestamp())) {
        return Ok(());
    }
    let (timestamp, batch_index) = if fine(header.base_timestamp()) {
        (header.max_timestamp(), header.last_offset_delta())
    } else {
        (header.base_timestamp(), 0)
    };
    Err(AppendError::InvalidTimestamp {
        message: "One or more records have been rejected due to invalid timestamp".to_string(),
        record_errors: vec![timestamp_error(timestamp, batch_index, config, now_ms)],
    })
}

fn timestamp_error(timestamp: i64, batch_index: i32, config: &LogConfig, now_ms: i64) -> RecordError {
    let from = now_ms.saturating_sub(config.message_timestamp_before_max_ms);
    let to = now_ms.saturating_add(config.message_timestamp_after_max_ms);
    let message = format!(
        "Timestamp {timestamp} of message with offset {batch_index} is out of range. The timestamp should be within [{from}, {to}]"
    );
    RecordError { batch_index, message }
}

fn plain_records(batch: &PreparedBatch, codec: Compression) -> Result<Bytes, AppendError> {
    if codec == Compression::None {
        return Ok(batch.payload.clone());
    }
    let plain = compression::decompress(codec, &batch.payload, DECOMPRESSED_BYTES_MAX);
    plain.map(Bytes::from).map_err(|error| AppendError::Corrupt(error.to_string()))
}

struct Seen {
    max_timestamp: i64,
    offsets_in_order: bool,
}

/// Looks at every record: that the count is true, keys where the topic needs them, timestamps within bounds.
fn walk(
    header: &HeaderBytes,
    plain: &[u8],
    compacted: bool,
    config: &LogConfig,
    now_ms: i64,
) -> Result<Seen, AppendError> {
    let create_time = config.message_timestamp_type == TimestampType::CreateTime;
    let mut seen = Seen { max_timestamp: -1, offsets_in_order: true };
    let (mut keyless, mut untimely) = (Vec::new(), Vec::new());
    let mut count = 0;
    for record in RecordWalk::new(plain) {
        let record = record.map_err(|what| AppendError::invalid_record(format!("record {count}: {what}")))?;
        seen.offsets_in_order &= record.offset_delta == count;
        let timestamp = header.base_timestamp().wrapping_add(record.timestamp_delta);
        seen.max_timestamp = seen.max_timestamp.max(timestamp);
        if compacted && record.key.is_none() && keyless.len() < RECORD_ERRORS_MAX {
            let message = "Compacted topic cannot accept message without key.".to_string();
            keyless.push(RecordError { batch_index: count, message });
        }
        if create_time && !timestamp_in_bounds(timestamp, config, now_ms) && untimely.len() < RECORD_ERRORS_MAX {
            untimely.push(timestamp_error(timestamp, count, config, now_ms));
        }
        count += 1;
    }
    if count != header.count() {
        return Err(AppendError::invalid_record(format!(
            "batch holds {count} records, its header says {}",
            header.count()
        )));
    }
    if !keyless.is_empty() {
        let message = "One or more records have been rejected".to_string();
        return Err(AppendError::InvalidRecord { message, record_errors: keyless });
    }
    if !untimely.is_empty() {
        let message = "One or more records have been rejected due to invalid timestamp".to_string();
        return Err(AppendError::InvalidTimestamp { message, record_errors: untimely });
    }
    Ok(seen)
}

/// Same records, other codec: the records section does not depend on it, so only header and payload change.
fn reencode(
    mut header: HeaderBytes,
    plain: &[u8],
    target: Compression,
    config: &LogConfig,
) -> Result<PreparedBatch, AppendError> {
    let payload = match target {
        Compression::None => Bytes::copy_from_slice(plain),
        codec => {
            let packed = compression::compress(codec, config.compression_level(codec), plain);
            Bytes::from(packed.map_err(|error| AppendError::Corrupt(error.to_string()))?)
        }
    };
    let length = i32::try_from(RECORD_BATCH_OVERHEAD - LENGTH_OVERHEAD + payload.len());
    let length = length.map_err(|_| AppendError::BatchTooLarge { size: payload.len(), limit: i32::MAX as usize })?;
    header.set_batch_length(length);
    header.set_attributes((header.attributes() & !0x07) | i16::from(target.id()));
    header.seal(&payload);
    Ok(PreparedBatch { header, payload })
}

fn recompress(batch: PreparedBatch, target: Compression, config: &LogConfig) -> Result<PreparedBatch, AppendError> {
    let codec =
        Compression::from_id(batch.header.codec_id()).map_err(|error| AppendError::Corrupt(error.to_string()))?;
    let plain = plain_records(&batch, codec)?;
    reencode(batch.header, &plain, target, config)
}

/// Rebuilds a batch whose records are not numbered 0, 1, 2, ...
fn renumber(batch: &PreparedBatch) -> Result<PreparedBatch, AppendError> {
    let corrupt = |error: milena_protocol::record::RecordError| AppendError::Corrupt(error.to_string());
    let mut whole = Vec::with_capacity(batch.header.size_in_bytes());
    whole.extend_from_slice(&batch.header.0);
    whole.extend_from_slice(&batch.payload);
    let view = BatchView::parse(&whole).map_err(corrupt)?;
    let mut builder = BatchBuilder::new(BatchOptions {
        compression: view.compression().map_err(|error| AppendError::Corrupt(error.to_string()))?,
        producer_id: view.producer_id(),
        producer_epoch: view.producer_epoch(),
        base_sequence: view.base_sequence(),
        transactional: view.is_transactional(),
        ..BatchOptions::default()
    });
    for record in view.records(DECOMPRESSED_BYTES_MAX).map_err(corrupt)? {
        let record = record.map_err(corrupt)?;
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }
    let mut rebuilt = builder.build().map_err(corrupt)?;
    split_batch(&mut rebuilt)
}
