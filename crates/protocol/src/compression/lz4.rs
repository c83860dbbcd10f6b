//! LZ4 frames, and the wrong header checksum of Kafka 0.8 and 0.9.
//!
//! The first Kafka releases with lz4 computed the frame's header checksum over the frame magic too. Their
//! clients verify that wrong value, so message sets of magic 0 must carry it for ever (KAFKA-3160);
//! magic 1 and later carry the right one.

use std::io::{BufRead, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use xxhash_rust::xxh32::xxh32;

use super::{Compression, CompressionError, initial_capacity};

const FRAME_MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
/// Where the FLG byte stands, after the frame magic.
const FLG: usize = 4;
const FLG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLG_DICTIONARY_ID: u8 = 0b0000_0001;

/// Writes independent blocks of at most 64 KiB without checksums: the only shape that Kafka's Java reader takes.
pub(super) fn compress(data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let output = Vec::with_capacity(data.len() / 2 + 64);
    let mut encoder = FrameEncoder::with_frame_info(info, output);
    encoder.write_all(data).map_err(|error| CompressionError::encode(Compression::Lz4, error))?;
    encoder.finish().map_err(|error| CompressionError::encode(Compression::Lz4, error))
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    read_frames(data, data.len(), max)
}

/// Compresses as [`compress`](super::compress) does, with the header checksum that magic 0 readers expect.
///
/// # Errors
/// As [`compress`](super::compress).
pub fn compress_for_magic_0(data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut frame = compress(data)?;
    if let Some(checksum_at) = header_checksum_position(&frame) {
        frame[checksum_at] = header_checksum(&frame[..checksum_at]);
    }
    Ok(frame)
}

/// Decompresses lz4 of a magic 0 message set, whatever header checksum it carries.
///
/// # Errors
/// As [`decompress`](super::decompress).
pub fn decompress_for_magic_0(data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    let Some(checksum_at) = header_checksum_position(data) else {
        return decompress(data, max);
    };
    let mut header = data[..=checksum_at].to_vec();
    header[checksum_at] = header_checksum(&data[FLG..checksum_at]);
    let repaired = std::io::Cursor::new(header).chain(&data[checksum_at + 1..]);
    read_frames(repaired, data.len(), max)
}

/// Position of the header checksum byte, or `None` when `data` is no complete LZ4 frame header.
fn header_checksum_position(data: &[u8]) -> Option<usize> {
    if !data.starts_with(&FRAME_MAGIC) {
        return None;
    }
    let flg = *data.get(FLG)?;
    let mut position = FLG + 2;
    if flg & FLG_CONTENT_SIZE != 0 {
        position += 8;
    }
    if flg & FLG_DICTIONARY_ID != 0 {
        position += 4;
    }
    (position < data.len()).then_some(position)
}

/// The second byte of the header's xxh32, as the frame format says.
fn header_checksum(descriptor: &[u8]) -> u8 {
    xxh32(descriptor, 0).to_le_bytes()[1]
}

fn read_frames(input: impl Read, input_len: usize, max: usize) -> Result<Vec<u8>, CompressionError> {
    let mut decoder = FrameDecoder::new(input);
    let mut output = Vec::with_capacity(initial_capacity(input_len, max));
    loop {
        let block = decoder.fill_buf().map_err(|error| CompressionError::corrupt(Compression::Lz4, error))?;
        if block.is_empty() {
            break;
        }
        if block.len() > max - output.len() {
            return Err(CompressionError::TooLarge { limit: max });
        }
        output.extend_from_slice(block);
        let read = block.len();
        decoder.consume(read);
    }
    Ok(output)
}
