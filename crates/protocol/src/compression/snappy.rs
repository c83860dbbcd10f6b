//! Snappy in the framing of the `xerial` Java library, and raw.
//!
//! ```text
//! 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 | lowest compatible version i32 | { length i32 | raw snappy block }*
//! ```
//!
//! Integers are big-endian. Streams may be concatenated: a header may stand where a block's length is expected.
//! Some clients (older sarama, kafka-python) send one raw snappy block without any framing.

use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::{Compression, CompressionError, initial_capacity};

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
const HEADER_LEN: usize = 16;
const VERSION: i32 = 1;
/// What the Java library writes per block.
const BLOCK_LEN: usize = 32 * 1024;
/// A snappy element of 3 bytes yields at most 64 bytes, so a block cannot grow more than this.
const MAX_EXPANSION: usize = 64;

pub(super) fn compress(data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::with_capacity(HEADER_LEN + data.len() / 2 + 64);
    output.extend_from_slice(&MAGIC);
    output.extend_from_slice(&VERSION.to_be_bytes());
    output.extend_from_slice(&VERSION.to_be_bytes());
    let mut encoder = Encoder::new();
    let mut block = vec![0; max_compress_len(data.len().min(BLOCK_LEN))];
    for chunk in data.chunks(BLOCK_LEN) {
        let length = encoder
            .compress(chunk, &mut block)
            .map_err(|error| CompressionError::encode(Compression::Snappy, error))?;
        let prefix = u32::try_from(length).map_err(|error| CompressionError::encode(Compression::Snappy, error))?;
        output.extend_from_slice(&prefix.to_be_bytes());
        output.extend_from_slice(&block[..length]);
    }
    Ok(output)
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::with_capacity(initial_capacity(data.len(), max));
    if !data.starts_with(&MAGIC) {
        append_block(data, &mut output, max)?;
        return Ok(output);
    }
    let mut rest = data;
    while !rest.is_empty() {
        if rest.starts_with(&MAGIC) {
            rest = rest.get(HEADER_LEN..).ok_or_else(truncated)?;
            continue;
        }
        let (prefix, after) = rest.split_first_chunk::<4>().ok_or_else(truncated)?;
        let length = u32::from_be_bytes(*prefix) as usize;
        let (block, after) = after.split_at_checked(length).ok_or_else(truncated)?;
        append_block(block, &mut output, max)?;
        rest = after;
    }
    Ok(output)
}

/// Decompresses one raw block behind what `output` holds.
fn append_block(block: &[u8], output: &mut Vec<u8>, max: usize) -> Result<(), CompressionError> {
    let length = decompress_len(block).map_err(|error| CompressionError::corrupt(Compression::Snappy, error))?;
    if length > max - output.len() {
        return Err(CompressionError::TooLarge { limit: max });
    }
    // The length is the sender's claim: believe it only as far as the format can reach.
    if length > block.len().saturating_mul(MAX_EXPANSION) {
        return Err(CompressionError::corrupt(Compression::Snappy, "the block claims more bytes than it can hold"));
    }
    let start = output.len();
    output.resize(start + length, 0);
    let written = Decoder::new()
        .decompress(block, &mut output[start..])
        .map_err(|error| CompressionError::corrupt(Compression::Snappy, error))?;
    output.truncate(start + written);
    Ok(())
}

fn truncated() -> CompressionError {
    CompressionError::corrupt(Compression::Snappy, "truncated xerial stream")
}
