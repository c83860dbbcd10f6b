//! Writing v2 batches.

use bytes::Bytes;

use super::varint::{put_varint, put_varlong, varint_len, varlong_len};
use super::{
    Header, LOG_OVERHEAD, MAGIC_V2, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP,
    RECORD_BATCH_OVERHEAD, RecordError, TimestampType, attribute, crc32c, field,
};
use crate::compression::{Compression, compress};

/// What a batch's header says besides its records.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// Offset of the first record; 0 from producers.
    pub base_offset: i64,
    /// Leader epoch, -1 from producers.
    pub leader_epoch: i32,
    /// Codec of the records.
    pub compression: Compression,
    /// The codec's level, `None` for its default.
    pub level: Option<i32>,
    /// Who set the timestamps.
    pub timestamp_type: TimestampType,
    /// Producer id, -1 without idempotence.
    pub producer_id: i64,
    /// Producer epoch, -1 without idempotence.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 without idempotence.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
    /// Whether the batch holds a control record.
    pub control: bool,
    /// When tombstones of the batch may be removed (KIP-534); stored in place of the base timestamp.
    pub delete_horizon_ms: Option<i64>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions {
            base_offset: 0,
            leader_epoch: NO_LEADER_EPOCH,
            compression: Compression::None,
            level: None,
            timestamp_type: TimestampType::CreateTime,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            delete_horizon_ms: None,
        }
    }
}

impl BatchOptions {
    fn attributes(&self, codec: Compression) -> i16 {
        let mut attributes = i16::from(codec.id());
        let mut set = |bit, on| {
            if on {
                attributes |= bit;
            }
        };
        set(attribute::LOG_APPEND_TIME, self.timestamp_type == TimestampType::LogAppendTime);
        set(attribute::TRANSACTIONAL, self.transactional);
        set(attribute::CONTROL, self.control);
        set(attribute::DELETE_HORIZON, self.delete_horizon_ms.is_some());
        attributes
    }
}

/// Collects records and writes them as one batch.
///
/// Errors (a record or batch beyond 2 GiB, an offset too far from the base) are kept and returned by
/// [`build`](Self::build), so that appending stays a plain call.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the uncompressed records.
    buffer: Vec<u8>,
    base_timestamp: Option<i64>,
    max_timestamp: i64,
    next_offset: i64,
    last_offset: Option<i64>,
    count: i32,
    error: Option<RecordError>,
    /// See [`BatchBuilder::with_target_size`].
    target_size: usize,
}

impl BatchBuilder {
    /// An empty batch with these options.
    pub fn new(options: BatchOptions) -> BatchBuilder {
        BatchBuilder::with_target_size(options, 0)
    }

    /// An empty batch that is to have at most `target_size` bytes before compression: its memory grows with the records,
    /// but not beyond that while they fit. Who keeps thousands of full batches would keep half as much again for nothing.
    pub fn with_target_size(options: BatchOptions, target_size: usize) -> BatchBuilder {
        BatchBuilder {
            target_size,
            buffer: vec![0; RECORD_BATCH_OVERHEAD],
            base_timestamp: options.delete_horizon_ms,
            max_timestamp: NO_TIMESTAMP,
            next_offset: options.base_offset,
            last_offset: None,
            count: 0,
            error: None,
            options,
        }
    }

    /// Appends a record with the next offset.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> &mut Self {
        self.append_with_offset(self.next_offset, timestamp, key, value, headers)
    }

    /// Appends a record with an absolute `offset`, which must grow and start at or after the base offset.
    pub fn append_with_offset(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> &mut Self {
        if self.error.is_none()
            && let Err(error) = self.try_append(offset, timestamp, key, value, headers)
        {
            self.error = Some(error);
        }
        self
    }

    fn try_append(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), RecordError> {
        if offset < self.next_offset {
            return Err(RecordError::InvalidRecord { index: self.count, detail: "offsets must grow" });
        }
        let offset_delta = i32::try_from(offset - self.options.base_offset).map_err(|_| RecordError::BatchTooLarge)?;
        let base_timestamp = *self.base_timestamp.get_or_insert(timestamp);
        let timestamp_delta = timestamp.wrapping_sub(base_timestamp);
        let body = body_len(timestamp_delta, offset_delta, key, value, headers);
        let body_len = i32::try_from(body).map_err(|_| RecordError::BatchTooLarge)?;
        if self.buffer.len() + body + 5 > i32::MAX as usize {
            return Err(RecordError::BatchTooLarge);
        }

        let output = &mut self.buffer;
        make_room(output, body + 5, self.target_size);
        put_varint(output, body_len);
        output.push(0);
        put_varlong(output, timestamp_delta);
        put_varint(output, offset_delta);
        put_nullable(output, key);
        put_nullable(output, value);
        put_varint(output, headers.len() as i32);
        for header in headers {
            put_nullable(output, Some(&header.key));
            put_nullable(output, header.value.as_deref());
        }

        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset = Some(offset);
        self.next_offset = offset + 1;
        self.count += 1;
        Ok(())
    }

    /// Says which producer writes the batch, and the sequence of its first record (KIP-98).
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> &mut Self {
        self.options.producer_id = producer_id;
        self.options.producer_epoch = producer_epoch;
        self.options.base_sequence = base_sequence;
        self
    }

    /// The number of records.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Whether nothing was appended.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch if it were built now without compression.
    pub fn uncompressed_size(&self) -> usize {
        self.buffer.len()
    }

    /// Makes the batch end at `last_offset` although later records were removed: compaction keeps offsets.
    pub fn override_last_offset(&mut self, last_offset: i64) -> &mut Self {
        self.last_offset = Some(last_offset);
        self
    }

    /// Writes the batch, with its CRC.
    ///
    /// # Errors
    /// - [`RecordError::BatchTooLarge`], [`RecordError::InvalidRecord`]: kept from an append
    /// - [`RecordError::CountMismatch`]: nothing was appended; see [`build_empty`](Self::build_empty)
    /// - [`RecordError::Compression`]: the codec refused its level
    pub fn build(self) -> Result<Bytes, RecordError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let (Some(base_timestamp), Some(last_offset)) = (self.base_timestamp, self.last_offset) else {
            return Err(RecordError::CountMismatch { claimed: 1, found: 0 });
        };
        let mut batch = self.buffer;
        let codec = self.options.compression;
        if codec != Compression::None {
            let records = &batch[RECORD_BATCH_OVERHEAD..];
            let compressed = compress(codec, self.options.level, records)?;
            batch.truncate(RECORD_BATCH_OVERHEAD);
            batch.extend_from_slice(&compressed);
        }
        let header =
            HeaderFields { codec, last_offset, base_timestamp, max_timestamp: self.max_timestamp, count: self.count };
        write_header(&mut batch, &self.options, &header)?;
        Ok(Bytes::from(batch))
    }

    /// Writes a batch without records, up to `last_offset`: what compaction leaves of the last batch of a
    /// producer, so that its sequence state survives. `max_timestamp` is that of the batch it replaces.
    ///
    /// # Errors
    /// [`RecordError::BatchTooLarge`] when `last_offset` is out of reach of the base offset.
    pub fn build_empty(options: &BatchOptions, last_offset: i64, max_timestamp: i64) -> Result<Bytes, RecordError> {
        let mut batch = vec![0; RECORD_BATCH_OVERHEAD];
        let header = HeaderFields {
            codec: Compression::None,
            last_offset,
            base_timestamp: options.delete_horizon_ms.unwrap_or(max_timestamp),
            max_timestamp,
            count: 0,
        };
        write_header(&mut batch, options, &header)?;
        Ok(Bytes::from(batch))
    }
}

/// The batch with another producer and sequence, its CRC renewed: an idempotent producer starts over at a new epoch.
///
/// # Errors
/// [`RecordError`] when `batch` is shorter than a header.
pub fn with_producer(
    batch: &[u8],
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
) -> Result<Bytes, RecordError> {
    let mut batch = batch.to_vec();
    if batch.len() < RECORD_BATCH_OVERHEAD {
        return Err(RecordError::Truncated { needed: RECORD_BATCH_OVERHEAD, available: batch.len() });
    }
    let mut put = |at: usize, value: &[u8]| batch[at..at + value.len()].copy_from_slice(value);
    put(field::PRODUCER_ID, &producer_id.to_be_bytes());
    put(field::PRODUCER_EPOCH, &producer_epoch.to_be_bytes());
    put(field::BASE_SEQUENCE, &base_sequence.to_be_bytes());
    let crc = crc32c(&batch[field::ATTRIBUTES..]);
    batch[field::CRC..field::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    Ok(Bytes::from(batch))
}

struct HeaderFields {
    codec: Compression,
    last_offset: i64,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
}

/// Fills the first 61 bytes of `batch`, the CRC last.
fn write_header(batch: &mut [u8], options: &BatchOptions, header: &HeaderFields) -> Result<(), RecordError> {
    let too_large = |_| RecordError::BatchTooLarge;
    let length = i32::try_from(batch.len() - LOG_OVERHEAD).map_err(too_large)?;
    let last_offset_delta = header
        .last_offset
        .checked_sub(options.base_offset)
        .filter(|delta| *delta >= 0)
        .ok_or(RecordError::BatchTooLarge)?;
    let last_offset_delta = i32::try_from(last_offset_delta).map_err(too_large)?;
    let mut put = |at: usize, value: &[u8]| batch[at..at + value.len()].copy_from_slice(value);
    put(field::BASE_OFFSET, &options.base_offset.to_be_bytes());
    put(field::BATCH_LENGTH, &length.to_be_bytes());
    put(field::LEADER_EPOCH, &options.leader_epoch.to_be_bytes());
    put(field::MAGIC, &MAGIC_V2.to_be_bytes());
    put(field::ATTRIBUTES, &options.attributes(header.codec).to_be_bytes());
    put(field::LAST_OFFSET_DELTA, &last_offset_delta.to_be_bytes());
    put(field::BASE_TIMESTAMP, &header.base_timestamp.to_be_bytes());
    put(field::MAX_TIMESTAMP, &header.max_timestamp.to_be_bytes());
    put(field::PRODUCER_ID, &options.producer_id.to_be_bytes());
    put(field::PRODUCER_EPOCH, &options.producer_epoch.to_be_bytes());
    put(field::BASE_SEQUENCE, &options.base_sequence.to_be_bytes());
    put(field::COUNT, &header.count.to_be_bytes());
    let crc = crc32c(&batch[field::ATTRIBUTES..]);
    batch[field::CRC..field::ATTRIBUTES].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

/// Makes room for `additional` bytes: twice what there was, as a [`Vec`] does, but up to `target` bytes where they suffice.
fn make_room(buffer: &mut Vec<u8>, additional: usize, target: usize) {
    let needed = buffer.len() + additional;
    if needed <= target && buffer.capacity() < needed {
        let grown = (2 * buffer.capacity()).clamp(needed, target);
        buffer.reserve_exact(grown - buffer.len());
    } else {
        buffer.reserve(additional);
    }
}

/// Bytes of a record after its length prefix.
fn body_len(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header],
) -> usize {
    let headers_len: usize =
        headers.iter().map(|header| nullable_len(Some(&header.key)) + nullable_len(header.value.as_deref())).sum();
    1 + varlong_len(timestamp_delta)
        + varint_len(offset_delta)
        + nullable_len(key)
        + nullable_len(value)
        + varint_len(headers.len() as i32)
        + headers_len
}

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    // Lengths beyond i32 make the body too long, which is refused before anything is written.
    bytes.map_or(1, |bytes| varint_len(bytes.len() as i32) + bytes.len())
}

fn put_nullable(output: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(output, -1),
        Some(bytes) => {
            put_varint(output, bytes.len() as i32);
            output.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_no_further_than_the_target_while_records_fit() {
        let mut builder = BatchBuilder::with_target_size(BatchOptions::default(), 1000);
        for _ in 0..8 {
            builder.append(0, None, Some(&[7; 100]), &[]);
            assert!(builder.buffer.capacity() <= 1000, "{}", builder.buffer.capacity());
        }
        builder.append(0, None, Some(&[7; 400]), &[]);
        let batch = builder.build().unwrap();
        assert_eq!(crate::record::BatchView::parse(&batch).unwrap().count(), 9);
    }
}
