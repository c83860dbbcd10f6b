//! gzip: one member is written, any number is read.

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Compression, CompressionError, initial_capacity};

pub(super) fn compress(level: Option<i32>, data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 2 + 32), level_of(level)?);
    encoder
        .write_all(data)
        .and_then(|()| encoder.finish())
        .map_err(|error| CompressionError::encode(Compression::Gzip, error))
}

/// Java's scale: -1 is the default, 1 to 9 go from fast to small.
fn level_of(level: Option<i32>) -> Result<flate2::Compression, CompressionError> {
    match level {
        None | Some(-1) => Ok(flate2::Compression::default()),
        Some(level @ 0..=9) => Ok(flate2::Compression::new(level.unsigned_abs())),
        Some(level) => {
            Err(CompressionError::encode(Compression::Gzip, format_args!("level {level} is outside -1..=9")))
        }
    }
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    let mut output = Vec::with_capacity(initial_capacity(data.len(), max));
    // One byte above the limit is enough to know that there is more.
    let allowed = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(data)
        .take(allowed)
        .read_to_end(&mut output)
        .map_err(|error| CompressionError::corrupt(Compression::Gzip, error))?;
    if output.len() > max {
        return Err(CompressionError::TooLarge { limit: max });
    }
    Ok(output)
}
