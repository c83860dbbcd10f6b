//! What can be wrong with the bytes of a record batch.

use crate::compression::CompressionError;

/// Why a batch, a record or a legacy message set cannot be read or built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The buffer ends inside a batch. Legal at the end of a fetch, an error elsewhere.
    #[error("the batch needs {needed} bytes and {available} are there")]
    Truncated {
        /// Bytes that the batch claims to have, its length prefix included.
        needed: usize,
        /// Bytes that the buffer has.
        available: usize,
    },
    /// The format is not the one asked for.
    #[error("unsupported record format (magic {magic})")]
    UnsupportedMagic {
        /// The magic byte found.
        magic: i8,
    },
    /// The length field is negative or smaller than the fixed fields.
    #[error("invalid batch length {length}")]
    InvalidLength {
        /// The length found.
        length: i32,
    },
    /// The stored checksum is not that of the bytes.
    #[error("checksum mismatch: stored {stored:#010x}, computed {computed:#010x}")]
    ChecksumMismatch {
        /// The checksum in the batch.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The header's record count is not the number of records that follow.
    #[error("the batch claims {claimed} records and {found} fill it")]
    CountMismatch {
        /// Count in the header.
        claimed: i32,
        /// Complete records found before the payload ended or the count was reached.
        found: i32,
    },
    /// A record's length fields contradict its bytes.
    #[error("invalid record {index}: {detail}")]
    InvalidRecord {
        /// Position of the record in its batch, from 0.
        index: i32,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A message set of format 0 or 1 breaks that format's rules.
    #[error("invalid legacy message: {detail}")]
    InvalidLegacyMessage {
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A control record's key or value is not one that Kafka writes.
    #[error("invalid control record: {detail}")]
    InvalidControlRecord {
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The target format cannot carry this codec (zstd below magic 2).
    #[error("{codec} is not supported by message format {magic}")]
    UnsupportedCodec {
        /// The codec of the batch.
        codec: crate::compression::Compression,
        /// The format that lacks it.
        magic: i8,
    },
    /// A batch under construction grew beyond what its 32-bit fields can say.
    #[error("the batch is too large for its 32-bit fields")]
    BatchTooLarge,
    /// The payload does not decompress.
    #[error(transparent)]
    Compression(#[from] CompressionError),
}
