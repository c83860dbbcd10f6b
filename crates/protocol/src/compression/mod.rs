//! The five codecs of record batches: none, gzip, snappy, lz4 and zstd.
//!
//! Always true:
//!   `decompress(codec, compress(codec, level, x)?, x.len())? == x`
//!   the output of `decompress` never exceeds `max` bytes; a bomb is [`CompressionError::TooLarge`],
//!   found before the bytes above the limit are kept
//!
//! What is accepted is wider than what is written: snappy in xerial framing and raw, gzip with several
//! members, lz4 frames with linked or independent blocks. Written are the forms that every Kafka client reads.
//!
//! Deliberately absent: dictionaries, and the non-Kafka snappy framing format.

mod gzip;
mod lz4;
mod snappy;
#[cfg(test)]
mod tests;
mod zstandard;

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;

pub use lz4::{compress_for_magic_0, decompress_for_magic_0};

/// A codec of record batches, with Kafka's ids (bits 0 to 2 of a batch's attributes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Compression {
    /// Records are stored as they are.
    #[default]
    None = 0,
    /// RFC 1952.
    Gzip = 1,
    /// Snappy, framed as the `xerial` library does.
    Snappy = 2,
    /// LZ4 frame format.
    Lz4 = 3,
    /// Zstandard (KIP-110; Produce from v7, Fetch from v10).
    Zstd = 4,
}

impl Compression {
    /// Every codec, in the order of their ids.
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    /// The codec with this id.
    ///
    /// # Errors
    /// [`CompressionError::UnknownCodec`] for ids that Kafka does not assign.
    pub fn from_id(id: u8) -> Result<Compression, CompressionError> {
        Self::ALL.get(usize::from(id)).copied().ok_or(CompressionError::UnknownCodec { id })
    }

    /// The id used in batch attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Kafka's lower-case name, as in `compression.type` of a producer.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = CompressionError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.name() == name)
            .ok_or_else(|| CompressionError::UnknownName { name: name.to_owned() })
    }
}

/// Why bytes could not be compressed or decompressed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// The attributes name a codec that does not exist.
    #[error("unknown compression codec id {id}")]
    UnknownCodec {
        /// The id found.
        id: u8,
    },
    /// A configuration names a codec that does not exist.
    #[error("unknown compression name {name:?}")]
    UnknownName {
        /// The name found.
        name: String,
    },
    /// The data would be larger than the caller allows: a decompression bomb, or a limit set too low.
    #[error("decompressed data exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes are not what the codec writes.
    #[error("corrupt {codec} data: {detail}")]
    Corrupt {
        /// The codec that refused the data.
        codec: Compression,
        /// What the codec's library says.
        detail: String,
    },
    /// The codec could not write (a level out of range, no memory).
    #[error("cannot compress with {codec}: {detail}")]
    Encode {
        /// The codec that failed.
        codec: Compression,
        /// What the codec's library says.
        detail: String,
    },
}

impl CompressionError {
    fn corrupt(codec: Compression, detail: impl fmt::Display) -> Self {
        CompressionError::Corrupt { codec, detail: detail.to_string() }
    }

    fn encode(codec: Compression, detail: impl fmt::Display) -> Self {
        CompressionError::Encode { codec, detail: detail.to_string() }
    }
}

/// Compresses `data`; `level` is the codec's own scale (gzip 1 to 9, zstd -131072 to 22) and `None` its default.
///
/// Snappy has no levels; the lz4 writer has one and ignores the number.
///
/// # Errors
/// [`CompressionError::Encode`] when the library refuses the level or the data.
pub fn compress(codec: Compression, level: Option<i32>, data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Compression::None => Ok(data.to_vec()),
        Compression::Gzip => gzip::compress(level, data),
        Compression::Snappy => snappy::compress(data),
        Compression::Lz4 => lz4::compress(data),
        Compression::Zstd => zstandard::compress(level, data),
    }
}

/// Decompresses `data` to at most `max` bytes.
///
/// # Errors
/// - [`CompressionError::TooLarge`]: the output would exceed `max`
/// - [`CompressionError::Corrupt`]: the bytes are damaged, truncated, or of another codec
pub fn decompress(codec: Compression, data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    match codec {
        Compression::None if data.len() > max => Err(CompressionError::TooLarge { limit: max }),
        Compression::None => Ok(data.to_vec()),
        Compression::Gzip => gzip::decompress(data, max),
        Compression::Snappy => snappy::decompress(data, max),
        Compression::Lz4 => lz4::decompress(data, max),
        Compression::Zstd => zstandard::decompress(data, max),
    }
}

/// Memory for decompressed records that a thread keeps from one batch to the next, in bytes.
const SCRATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

thread_local! {
    /// Initialized memory for decompressed records; what it holds is old.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Decompresses `data` to at most `max` bytes and shows them to `look`, without giving them away.
///
/// A server looks into every batch it gets: it would spend more time on fetching, clearing and giving back memory than on decoding,
/// so the memory stays with the thread.
///
/// # Errors
/// As [`decompress`].
pub fn with_decompressed<T>(
    codec: Compression,
    data: &[u8],
    max: usize,
    look: impl FnOnce(&[u8]) -> T,
) -> Result<T, CompressionError> {
    if codec == Compression::None {
        return if data.len() > max { Err(CompressionError::TooLarge { limit: max }) } else { Ok(look(data)) };
    }
    let mut scratch = SCRATCH.take();
    let length = match codec {
        Compression::Lz4 => lz4::decompress_over(data, max, &mut scratch)?,
        Compression::Zstd => zstandard::decompress_over(data, max, &mut scratch)?,
        other => {
            scratch = decompress(other, data, max)?;
            scratch.len()
        }
    };
    let seen = look(&scratch[..length]);
    if scratch.len() <= SCRATCH_BYTES_MAX {
        SCRATCH.set(scratch);
    }
    Ok(seen)
}

/// A first capacity for the output of `compressed_len` input bytes: typical records shrink to a quarter.
fn initial_capacity(compressed_len: usize, max: usize) -> usize {
    compressed_len.saturating_mul(4).min(max)
}
