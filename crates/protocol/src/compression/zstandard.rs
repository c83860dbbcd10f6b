//! Zstandard. Contexts are kept per thread: creating one costs more than a small batch.

use std::cell::RefCell;

use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, InBuffer, OutBuffer, ResetDirective, compress_bound, get_error_name, get_frame_content_size,
};

use super::{Compression, CompressionError, initial_capacity};

/// Kafka's default for `compression.zstd.level`.
const DEFAULT_LEVEL: i32 = 3;
/// Output space that is added when a frame does not say its size.
const GROWTH: usize = 128 * 1024;
const NO_MEMORY: &str = "no memory for a context";

thread_local! {
    static ENCODER: RefCell<Option<CCtx<'static>>> = const { RefCell::new(None) };
    static DECODER: RefCell<Option<DCtx<'static>>> = const { RefCell::new(None) };
}

pub(super) fn compress(level: Option<i32>, data: &[u8]) -> Result<Vec<u8>, CompressionError> {
    let fail = |code| CompressionError::encode(Compression::Zstd, get_error_name(code));
    ENCODER.with_borrow_mut(|slot| {
        // Taken out while in use: a context that failed is dropped, not reused.
        let mut context = match slot.take() {
            Some(context) => context,
            None => CCtx::try_create().ok_or_else(|| CompressionError::encode(Compression::Zstd, NO_MEMORY))?,
        };
        context.reset(ResetDirective::SessionOnly).map_err(fail)?;
        context.set_parameter(CParameter::CompressionLevel(level.unwrap_or(DEFAULT_LEVEL))).map_err(fail)?;
        let mut output = Vec::with_capacity(compress_bound(data.len()));
        context.compress2(&mut output, data).map_err(fail)?;
        output.shrink_to_fit();
        *slot = Some(context);
        Ok(output)
    })
}

pub(super) fn decompress(data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    DECODER.with_borrow_mut(|slot| {
        let mut context = match slot.take() {
            Some(context) => context,
            None => DCtx::try_create().ok_or_else(|| CompressionError::corrupt(Compression::Zstd, NO_MEMORY))?,
        };
        let output = read_frames(&mut context, data, max)?;
        *slot = Some(context);
        Ok(output)
    })
}

/// Decompresses over what `output` holds, growing it if need be; the length of the result is returned.
///
/// Most clients stream, so a frame does not tell its size. When the result fits into the memory that is there, one call decodes it in
/// place; streaming would copy everything once more, from a window of its own.
pub(super) fn decompress_over(data: &[u8], max: usize, output: &mut Vec<u8>) -> Result<usize, CompressionError> {
    let expected = first_capacity(data, max)?;
    if output.len() < expected {
        output.resize(expected, 0);
    }
    let at_once = DECODER.with_borrow_mut(|slot| {
        // Nothing at all is no frame, though the library would take it for one.
        if data.is_empty() {
            return None;
        }
        if slot.is_none() {
            *slot = DCtx::try_create();
        }
        let context = slot.as_mut()?;
        context.reset(ResetDirective::SessionOnly).and_then(|_| context.decompress(output.as_mut_slice(), data)).ok()
    });
    match at_once {
        Some(length) if length > max => Err(CompressionError::TooLarge { limit: max }),
        Some(length) => Ok(length),
        // Too little space or damage: streaming finds out which.
        None => {
            *output = decompress(data, max)?;
            Ok(output.len())
        }
    }
}

fn read_frames(context: &mut DCtx<'static>, data: &[u8], max: usize) -> Result<Vec<u8>, CompressionError> {
    let fail = |code| CompressionError::corrupt(Compression::Zstd, get_error_name(code));
    context.reset(ResetDirective::SessionOnly).map_err(fail)?;
    let mut output = Vec::with_capacity(first_capacity(data, max)?);
    let mut input = InBuffer::around(data);
    loop {
        let (before_in, before_out) = (input.pos(), output.len());
        let wanted = {
            let mut space = OutBuffer::around_pos(&mut output, before_out);
            context.decompress_stream(&mut space, &mut input).map_err(fail)?
        };
        let finished = input.pos() == data.len();
        if output.len() > max {
            return Err(CompressionError::TooLarge { limit: max });
        }
        if wanted == 0 && finished {
            return Ok(output);
        }
        let full = output.len() == output.capacity();
        if full {
            // One byte above the limit is enough to know that there is more.
            let room = max.saturating_add(1) - output.len();
            let growth = output.len().max(GROWTH).min(room);
            if growth == 0 {
                return Err(CompressionError::TooLarge { limit: max });
            }
            output.reserve_exact(growth);
        } else if (before_in, before_out) == (input.pos(), output.len()) {
            return Err(CompressionError::corrupt(Compression::Zstd, "truncated frame"));
        }
    }
}

/// The size that the frame claims, within reason, so that one call decodes straight into the result.
fn first_capacity(data: &[u8], max: usize) -> Result<usize, CompressionError> {
    match get_frame_content_size(data) {
        Ok(Some(size)) if usize::try_from(size).map_or(true, |size| size > max) => {
            Err(CompressionError::TooLarge { limit: max })
        }
        // A claim far above the input's length is not believed before bytes arrive.
        Ok(Some(size)) => Ok((size as usize).min(data.len().saturating_mul(32).max(GROWTH)).max(1)),
        _ => Ok(initial_capacity(data.len(), max).max(1)),
    }
}
