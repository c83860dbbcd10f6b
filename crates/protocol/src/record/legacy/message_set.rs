//! Reading and writing single messages of formats 0 and 1, and walking sets of them.

use bytes::Bytes;

use super::{CODEC_MASK, LOG_APPEND_TIME, LOG_OVERHEAD, MIN_MESSAGE_LEN_V0, decompress};
use crate::compression::{Compression, CompressionError};
use crate::record::{NO_TIMESTAMP, RecordError, TimestampType};

/// A message of a set, out of its wrapper if it had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyMessage {
    /// Absolute offset; meaningless in sets that clients produce.
    pub offset: i64,
    /// 0 or 1.
    pub magic: i8,
    /// Milliseconds since 1970, -1 in magic 0.
    pub timestamp: i64,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// Codec of the wrapper, or none.
    pub compression: Compression,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
}

/// Reads a whole message set: checks each CRC and length, opens wrappers, makes offsets absolute.
///
/// A message cut off at the end is left out, as every Kafka client does.
/// All wrappers together may decompress to at most `max_decompressed` bytes.
///
/// # Errors
/// - [`RecordError::UnsupportedMagic`]: a batch of another format stands in the set
/// - [`RecordError::ChecksumMismatch`]
/// - [`RecordError::InvalidLegacyMessage`]: lengths that contradict the bytes, a wrapper in a wrapper
/// - [`RecordError::Compression`]: damaged data, a bomb, or zstd
pub fn messages(set: &[u8], max_decompressed: usize) -> Result<Vec<LegacyMessage>, RecordError> {
    let mut budget = max_decompressed;
    let mut found = Vec::new();
    let mut rest = set;
    while let Some(message) = next_message(&mut rest, TornTail::Ignore)? {
        match message.codec()? {
            Compression::None => found.push(message.to_owned_with(message.offset)),
            codec => open_wrapper(&message, codec, &mut budget, &mut found)?,
        }
    }
    Ok(found)
}

/// Appends the messages inside `wrapper` to `found`, with absolute offsets.
fn open_wrapper(
    wrapper: &RawMessage<'_>,
    codec: Compression,
    budget: &mut usize,
    found: &mut Vec<LegacyMessage>,
) -> Result<(), RecordError> {
    let value = wrapper.value.ok_or_else(|| invalid("a wrapper without a value"))?;
    let inner_set = decompress(wrapper.magic, codec, value, *budget)?;
    *budget -= inner_set.len();

    let first = found.len();
    let mut rest = &inner_set[..];
    while let Some(inner) = next_message(&mut rest, TornTail::Refuse)? {
        if inner.codec()? != Compression::None {
            return Err(invalid("a wrapper inside a wrapper"));
        }
        if inner.magic != wrapper.magic {
            return Err(invalid("a wrapper holds messages of another format"));
        }
        let mut message = inner.to_owned_with(inner.offset);
        message.compression = codec;
        if wrapper.magic > 0 && wrapper.timestamp_type() == TimestampType::LogAppendTime {
            message.timestamp = wrapper.timestamp;
            message.timestamp_type = TimestampType::LogAppendTime;
        }
        found.push(message);
    }
    let Some(last) = found[first..].last() else {
        return Err(invalid("an empty wrapper"));
    };
    if wrapper.magic > 0 {
        // Inner offsets are relative, and the wrapper has the last one's absolute value.
        let shift = wrapper.offset.wrapping_sub(last.offset);
        for message in &mut found[first..] {
            message.offset = message.offset.wrapping_add(shift);
        }
    }
    Ok(())
}

/// Whether a message cut off at the end of a set is legal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TornTail {
    Ignore,
    Refuse,
}

/// One message in place, its checksum verified.
struct RawMessage<'a> {
    offset: i64,
    magic: i8,
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl RawMessage<'_> {
    fn codec(&self) -> Result<Compression, RecordError> {
        match Compression::from_id(self.attributes & CODEC_MASK)? {
            Compression::Zstd => Err(CompressionError::UnknownCodec { id: Compression::Zstd.id() }.into()),
            codec => Ok(codec),
        }
    }

    fn timestamp_type(&self) -> TimestampType {
        if self.magic > 0 && self.attributes & LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    fn to_owned_with(&self, offset: i64) -> LegacyMessage {
        LegacyMessage {
            offset,
            magic: self.magic,
            timestamp: self.timestamp,
            timestamp_type: self.timestamp_type(),
            compression: Compression::None,
            key: self.key.map(Bytes::copy_from_slice),
            value: self.value.map(Bytes::copy_from_slice),
        }
    }
}

/// Takes the next message off `rest`; `None` at the end.
fn next_message<'a>(rest: &mut &'a [u8], torn_tail: TornTail) -> Result<Option<RawMessage<'a>>, RecordError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields(rest);
    let torn = |needed, available| match torn_tail {
        TornTail::Ignore => Ok(None),
        TornTail::Refuse => Err(RecordError::Truncated { needed, available }),
    };
    let (Some(offset), Some(size)) = (fields.i64(), fields.i32()) else {
        return torn(LOG_OVERHEAD, rest.len());
    };
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size >= MIN_MESSAGE_LEN_V0)
        .ok_or(RecordError::InvalidLength { length: size })?;
    let Some(message) = fields.take(size) else {
        return torn(LOG_OVERHEAD + size, rest.len());
    };
    let message = parse_message(offset, message)?;
    *rest = fields.0;
    Ok(Some(message))
}

fn parse_message(offset: i64, bytes: &[u8]) -> Result<RawMessage<'_>, RecordError> {
    const TOO_SHORT: &str = "the message is shorter than its fields";
    let short = || invalid(TOO_SHORT);
    let mut fields = Fields(bytes);
    let stored = fields.u32().ok_or_else(short)?;
    let covered = fields.0;
    let magic = fields.u8().ok_or_else(short)?.cast_signed();
    if !(0..=1).contains(&magic) {
        return Err(RecordError::UnsupportedMagic { magic });
    }
    let computed = crc32fast::hash(covered);
    if stored != computed {
        return Err(RecordError::ChecksumMismatch { stored, computed });
    }
    let attributes = fields.u8().ok_or_else(short)?;
    let timestamp = match magic {
        0 => NO_TIMESTAMP,
        _ => fields.i64().ok_or_else(short)?,
    };
    let key = fields.nullable_bytes().ok_or_else(short)?;
    let value = fields.nullable_bytes().ok_or_else(short)?;
    if !fields.0.is_empty() {
        return Err(invalid("the message is longer than its fields"));
    }
    Ok(RawMessage { offset, magic, attributes, timestamp, key, value })
}

fn invalid(detail: &'static str) -> RecordError {
    RecordError::InvalidLegacyMessage { detail }
}

/// Fixed-width big-endian fields taken off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// Bytes behind a 32-bit length, -1 for null. The outer option is `None` when they are not all there.
    fn nullable_bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.i32()? {
            -1 => Some(None),
            length => self.take(usize::try_from(length).ok()?).map(Some),
        }
    }
}

/// What [`put_message`] writes.
pub(super) struct MessageFields<'a> {
    pub offset: i64,
    pub magic: i8,
    pub codec: Compression,
    pub timestamp: i64,
    pub timestamp_type: TimestampType,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// Appends one message with its checksum.
///
/// # Errors
/// [`RecordError::BatchTooLarge`] when it does not fit 32-bit lengths.
pub(super) fn put_message(output: &mut Vec<u8>, message: &MessageFields<'_>) -> Result<(), RecordError> {
    let timestamp_len = if message.magic > 0 { 8 } else { 0 };
    let size =
        MIN_MESSAGE_LEN_V0 + timestamp_len + message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len);
    let size = i32::try_from(size).map_err(|_| RecordError::BatchTooLarge)?;
    output.extend_from_slice(&message.offset.to_be_bytes());
    output.extend_from_slice(&size.to_be_bytes());
    let crc_at = output.len();
    output.extend_from_slice(&[0; 4]);
    output.extend_from_slice(&message.magic.to_be_bytes());
    let mut attributes = message.codec.id();
    if message.magic > 0 {
        if message.timestamp_type == TimestampType::LogAppendTime {
            attributes |= LOG_APPEND_TIME;
        }
        output.push(attributes);
        output.extend_from_slice(&message.timestamp.to_be_bytes());
    } else {
        output.push(attributes);
    }
    for part in [message.key, message.value] {
        // Both fit i32, as their sum does.
        let length = part.map_or(-1, |part| part.len() as i32);
        output.extend_from_slice(&length.to_be_bytes());
        output.extend_from_slice(part.unwrap_or_default());
    }
    let crc = crc32fast::hash(&output[crc_at + 4..]);
    output[crc_at..crc_at + 4].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}
