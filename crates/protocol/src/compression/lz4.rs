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
const FLG_VERSION_1: u8 = 0b0100_0000;
const FLG_INDEPENDENT_BLOCKS: u8 = 0b0010_0000;
const FLG_CONTENT_SIZE: u8 = 0b0000_1000;
const FLG_DICTIONARY_ID: u8 = 0b0000_0001;
/// In a block's length: the block is not compressed.
const BLOCK_STORED: u32 = 1 << 31;

/// Writes independent blocks of at most 64 KiB without checksums: the only shape that Kafka's Java reader takes.
pub(super) fn compress(data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let output = Vec::with_capacity(data.len() / 2 + 64);
    let mut encoder = FrameEncoder::with_frame_info(info, output);
    encoder.write_all(data).map_err(|error| CompressionError::encode(Compression::Lz4, error))?;
    encoder.finish().map_err(|error| CompressionError::encode(Compression::Lz4, error))
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::new();
    let length = decompress_over(data, max, &mut output)?;
    output.truncate(length);
    Ok(output)
}

/// Decompresses over what `output` holds, growing it if need be; the length of the result is returned.
pub(super) fn decompress_over(data: &[u8], max: usize, output: &mut Vec<u8>) -> Result<usize, CompressionError> {
    if let Some(length) = read_plain_frame(data, max, output)? {
        return Ok(length);
    }
    *output = read_frames(data, data.len(), max)?;
    Ok(output.len())
}

/// Decodes what the usual clients send, one frame of independent blocks without checksums of the content, straight into `output`. `None`
/// for everything else, damage included: [`read_frames`] knows all shapes and says what is wrong.
fn read_plain_frame(data: &[u8], max: usize, output: &mut Vec<u8>) -> Result<Option<usize>, CompressionError> {
    let Some((block_bytes_max, mut rest)) = plain_frame_blocks(data) else { return Ok(None) };
    let mut length = 0;
    while let Some((prefix, after)) = rest.split_first_chunk::<4>() {
        let prefix = u32::from_le_bytes(*prefix);
        if prefix == 0 {
            return Ok(after.is_empty().then_some(length));
        }
        let size = (prefix & !BLOCK_STORED) as usize;
        let Some((block, after)) = after.split_at_checked(size) else { return Ok(None) };
        if size > block_bytes_max {
            return Ok(None);
        }
        if output.len() < length + block_bytes_max {
            output.resize((length + block_bytes_max).max(initial_capacity(data.len(), max)), 0);
        }
        let space = &mut output[length..length + block_bytes_max];
        if prefix & BLOCK_STORED != 0 {
            space[..size].copy_from_slice(block);
            length += size;
        } else {
            let Ok(written) = lz4_flex::block::decompress_into(block, space) else { return Ok(None) };
            length += written;
        }
        if length > max {
            return Err(CompressionError::TooLarge { limit: max });
        }
        rest = after;
    }
    Ok(None)
}

/// The largest block and the bytes behind the header of a frame that [`read_plain_frame`] takes.
fn plain_frame_blocks(data: &[u8]) -> Option<(usize, &[u8])> {
    let checksum_at = header_checksum_position(data)?;
    let (flags, block_size) = (data[FLG], *data.get(FLG + 1)?);
    if flags != FLG_VERSION_1 | FLG_INDEPENDENT_BLOCKS || data[checksum_at] != header_checksum(&data[FLG..checksum_at])
    {
        return None;
    }
    let block_bytes_max = match block_size {
        0x40 => 64 << 10,
        0x50 => 256 << 10,
        0x60 => 1 << 20,
        0x70 => 4 << 20,
        _ => return None,
    };
    Some((block_bytes_max, &data[checksum_at + 1..]))
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
