//! Rewriting the header fields of a v2 batch that a broker may change.
//!
//! Base offset and leader epoch lie outside the CRC. Everything else needs a new CRC, which these functions
//! compute; with the header copied apart from its records, [`seal`] computes it over both parts.
//!
//! Every function takes a slice that begins with a complete header and leaves shorter slices untouched.

use super::{NO_SEQUENCE, RECORD_BATCH_OVERHEAD, TimestampType, attribute, crc32c, crc32c_of_parts, field};

/// Writes the base offset; the CRC stays valid.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) {
    put(batch, field::BASE_OFFSET, &base_offset.to_be_bytes());
}

/// Writes the partition leader epoch; the CRC stays valid.
pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) {
    put(batch, field::LEADER_EPOCH, &leader_epoch.to_be_bytes());
}

/// Writes max timestamp and timestamp type of the batch that fills `batch`, and its new CRC.
pub fn set_max_timestamp_and_type(batch: &mut [u8], max_timestamp: i64, timestamp_type: TimestampType) {
    if let Some((header, records)) = batch.split_first_chunk_mut::<RECORD_BATCH_OVERHEAD>() {
        set_header_timestamp(header, max_timestamp, timestamp_type);
        seal(header, records);
    }
}

/// Writes max timestamp and timestamp type into a header; the caller seals it.
pub fn set_header_timestamp(
    header: &mut [u8; RECORD_BATCH_OVERHEAD],
    max_timestamp: i64,
    timestamp_type: TimestampType,
) {
    let mut attributes = i16::from_be_bytes([header[field::ATTRIBUTES], header[field::ATTRIBUTES + 1]]);
    match timestamp_type {
        TimestampType::CreateTime => attributes &= !attribute::LOG_APPEND_TIME,
        TimestampType::LogAppendTime => attributes |= attribute::LOG_APPEND_TIME,
    }
    put(header, field::ATTRIBUTES, &attributes.to_be_bytes());
    put(header, field::MAX_TIMESTAMP, &max_timestamp.to_be_bytes());
}

/// Writes the producer's id, epoch and first sequence of the batch that fills `batch`, and its new CRC.
pub fn set_producer(batch: &mut [u8], producer_id: i64, producer_epoch: i16, base_sequence: i32) {
    put(batch, field::PRODUCER_ID, &producer_id.to_be_bytes());
    put(batch, field::PRODUCER_EPOCH, &producer_epoch.to_be_bytes());
    put(batch, field::BASE_SEQUENCE, &base_sequence.max(NO_SEQUENCE).to_be_bytes());
    set_crc(batch);
}

/// Computes and writes the CRC of the batch that fills `batch`.
pub fn set_crc(batch: &mut [u8]) {
    if batch.len() >= RECORD_BATCH_OVERHEAD {
        let crc = crc32c(&batch[field::ATTRIBUTES..]);
        put(batch, field::CRC, &crc.to_be_bytes());
    }
}

/// Computes the CRC over a header and the records that belong to it, and writes it into the header.
pub fn seal(header: &mut [u8; RECORD_BATCH_OVERHEAD], records: &[u8]) {
    let crc = crc32c_of_parts(&[&header[field::ATTRIBUTES..], records]);
    put(header, field::CRC, &crc.to_be_bytes());
}

fn put(batch: &mut [u8], at: usize, value: &[u8]) {
    if batch.len() >= RECORD_BATCH_OVERHEAD {
        batch[at..at + value.len()].copy_from_slice(value);
    }
}
