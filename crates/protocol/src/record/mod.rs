//! Record batches: the bytes inside a `records` field and inside a log segment.
//!
//! ```text
//! batch v2   base_offset i64 | batch_length i32 | leader_epoch i32 | magic i8 | crc u32 |
//!            attributes i16 | last_offset_delta i32 | base_timestamp i64 | max_timestamp i64 |
//!            producer_id i64 | producer_epoch i16 | base_sequence i32 | count i32 | records
//! ```
//!
//! - [`BatchView`] looks at one batch in place; [`batches`] walks a buffer of them.
//! - [`BatchView::validate_records`] and [`BatchView::for_each_record`] walk the records without materialising
//!   anything; [`RecordIter`] yields [`Record`]s whose keys and values are slices, not copies.
//! - [`BatchBuilder`] writes batches, [`patch`] rewrites the few fields that a broker may change.
//! - [`control`] knows transaction markers, [`legacy`] the message formats 0 and 1 of old clients.
//!
//! Always true: the CRC covers everything after itself, so base offset and leader epoch can be rewritten
//! without computing it again; no function here trusts a length or a count before checking it.
//!
//! Deliberately absent: what a broker accepts (that is the log's business), and any I/O.

mod batch;
mod builder;
pub mod control;
mod error;
mod iter;
pub mod legacy;
pub mod patch;
#[cfg(test)]
mod tests;
mod varint;

pub use batch::{BatchHeader, BatchView, Batches, batches};
pub use builder::{BatchBuilder, BatchOptions, with_producer};
pub use error::RecordError;
pub use iter::{Header, Headers, Record, RecordIter, RecordRef, RecordsSummary};

/// Bytes of a v2 batch before its records.
pub const RECORD_BATCH_OVERHEAD: usize = 61;
/// Bytes of base offset and batch length, which `batch_length` does not count.
pub const LOG_OVERHEAD: usize = 12;
/// The format that Kafka writes since 0.11.
pub const MAGIC_V2: i8 = 2;
/// No leader epoch is known.
pub const NO_LEADER_EPOCH: i32 = -1;
/// The batch has no producer id.
pub const NO_PRODUCER_ID: i64 = -1;
/// The batch has no producer epoch.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The batch has no sequence.
pub const NO_SEQUENCE: i32 = -1;
/// The record has no timestamp.
pub const NO_TIMESTAMP: i64 = -1;

/// Positions of a v2 batch's fields.
pub(crate) mod field {
    pub const BASE_OFFSET: usize = 0;
    pub const BATCH_LENGTH: usize = 8;
    pub const LEADER_EPOCH: usize = 12;
    pub const MAGIC: usize = 16;
    pub const CRC: usize = 17;
    pub const ATTRIBUTES: usize = 21;
    pub const LAST_OFFSET_DELTA: usize = 23;
    pub const BASE_TIMESTAMP: usize = 27;
    pub const MAX_TIMESTAMP: usize = 35;
    pub const PRODUCER_ID: usize = 43;
    pub const PRODUCER_EPOCH: usize = 51;
    pub const BASE_SEQUENCE: usize = 53;
    pub const COUNT: usize = 57;
}

/// Bits of a v2 batch's attributes.
pub(crate) mod attribute {
    pub const CODEC_MASK: i16 = 0x07;
    pub const LOG_APPEND_TIME: i16 = 0x08;
    pub const TRANSACTIONAL: i16 = 0x10;
    pub const CONTROL: i16 = 0x20;
    pub const DELETE_HORIZON: i16 = 0x40;
}

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer; each record has its own.
    #[default]
    CreateTime,
    /// The broker; every record has the batch's max timestamp.
    LogAppendTime,
}

impl TimestampType {
    /// Kafka's name, as in `message.timestamp.type`.
    pub fn name(self) -> &'static str {
        match self {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
    }
}

/// The CRC-32C (Castagnoli, as in iSCSI) of `data`.
pub fn crc32c(data: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(data)
}

/// The CRC-32C of `parts` as if they were one slice.
pub fn crc32c_of_parts(parts: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    // The digest widens every CRC to 64 bits; CRC-32C fills the lower half.
    digest.finalize() as u32
}
