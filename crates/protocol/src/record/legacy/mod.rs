//! Message formats 0 and 1: what clients before Kafka 0.11 send and fetch.
//!
//! ```text
//! offset i64 | size i32 | crc u32 (IEEE, over all after it) | magic i8 | attributes i8 |
//! [timestamp i64, magic 1] | key i32-length bytes | value i32-length bytes
//! ```
//!
//! A compressed set is one wrapper message whose value is the compressed inner set. In magic 1 the inner offsets
//! are relative and the wrapper has the absolute offset of its last message (KIP-31); in magic 0 inner
//! offsets are absolute. Produce v0-2 arrives like this and is stored as v2 ([`up_convert`]); Fetch v0-3 is
//! answered like this ([`down_convert`]).
//!
//! Deliberately absent: zstd, which these formats never had, and wrappers inside wrappers, which Kafka refuses.

mod convert;
mod message_set;

pub use convert::{down_convert, up_convert};
pub use message_set::{LegacyMessage, messages};

use crate::compression::{self, Compression, CompressionError, compress_for_magic_0, decompress_for_magic_0};

/// Bytes of offset and size before a message.
const LOG_OVERHEAD: usize = 12;
/// CRC, magic, attributes, key length, value length.
const MIN_MESSAGE_LEN_V0: usize = 14;
const CODEC_MASK: u8 = 0x07;
const LOG_APPEND_TIME: u8 = 0x08;

/// Decompresses a wrapper's value; lz4 of magic 0 has its own header checksum.
fn decompress(magic: i8, codec: Compression, data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    match (magic, codec) {
        (0, Compression::Lz4) => decompress_for_magic_0(data, max),
        _ => compression::decompress(codec, data, max),
    }
}

/// Compresses an inner set for a wrapper.
fn compress(magic: i8, codec: Compression, data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    match (magic, codec) {
        (0, Compression::Lz4) => compress_for_magic_0(data),
        _ => compression::compress(codec, None, data),
    }
}
