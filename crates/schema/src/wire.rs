//! How a record names its schema: a prefix of the payload, or a GUID in a record header.
//!
//! Prefix: `0x00`, the id as 4 bytes big endian, for Protobuf the path of message indexes, the payload. Header
//! ([`KEY_HEADER`], [`VALUE_HEADER`]): `0x01`, 16 bytes of GUID, for Protobuf the message indexes; the payload has no
//! prefix then.

use uuid::Uuid;

/// First byte of a payload whose prefix holds an id.
pub const MAGIC_ID: u8 = 0;
/// First byte of a header value that holds a GUID.
pub const MAGIC_GUID: u8 = 1;
/// The record header with the GUID of the key's schema.
pub const KEY_HEADER: &str = "__key_schema_id";
/// The record header with the GUID of the value's schema.
pub const VALUE_HEADER: &str = "__value_schema_id";

/// Message indexes nest as deep as messages do; more than this is not a path but an attack.
const INDEXES_MAX: usize = 256;

/// How a record names its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// The id within a registry's context.
    Id(i32),
    /// The GUID, the same in every registry.
    Guid(Uuid),
}

/// Why bytes do not name a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The first byte is another one.
    #[error("Unknown magic byte {0}!")]
    UnknownMagic(u8),
    /// Fewer bytes than a prefix has.
    #[error("payload of {0} bytes is too short to name a schema")]
    TooShort(usize),
    /// The path of Protobuf message indexes is cut off, negative or endless.
    #[error("invalid message indexes")]
    InvalidMessageIndexes,
}

/// A payload without its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The schema.
    pub schema_id: SchemaId,
    /// What follows: the payload, for Protobuf of the prefix form with its message indexes.
    pub rest: &'a [u8],
}

/// The prefix of a payload written with schema `id`, without message indexes.
pub fn prefix(id: i32) -> [u8; 5] {
    let [a, b, c, d] = id.to_be_bytes();
    [MAGIC_ID, a, b, c, d]
}

/// The value of the record header for schema `guid`, without message indexes.
pub fn header_value(guid: Uuid) -> Vec<u8> {
    let mut value = vec![MAGIC_GUID];
    value.extend_from_slice(guid.as_bytes());
    value
}

/// Splits a payload with a prefix.
///
/// # Errors
/// A payload too short, or with another first byte.
pub fn split_prefix(payload: &[u8]) -> Result<Framed<'_>, WireError> {
    match payload {
        [MAGIC_ID, a, b, c, d, rest @ ..] => {
            Ok(Framed { schema_id: SchemaId::Id(i32::from_be_bytes([*a, *b, *c, *d])), rest })
        }
        [MAGIC_GUID, rest @ ..] => split_guid(rest, payload.len()),
        [MAGIC_ID, ..] | [] => Err(WireError::TooShort(payload.len())),
        [magic, ..] => Err(WireError::UnknownMagic(*magic)),
    }
}

/// Splits the value of a record header; the rest are message indexes.
///
/// # Errors
/// A value too short, or with another first byte.
pub fn split_header(value: &[u8]) -> Result<Framed<'_>, WireError> {
    match value {
        [MAGIC_GUID, rest @ ..] => split_guid(rest, value.len()),
        [] => Err(WireError::TooShort(0)),
        [magic, ..] => Err(WireError::UnknownMagic(*magic)),
    }
}

fn split_guid(bytes: &[u8], length: usize) -> Result<Framed<'_>, WireError> {
    let (guid, rest) = bytes.split_first_chunk::<16>().ok_or(WireError::TooShort(length))?;
    Ok(Framed { schema_id: SchemaId::Guid(Uuid::from_bytes(*guid)), rest })
}

/// Appends the path of message indexes from the outermost message inwards; `[0]` is the single byte 0.
pub fn write_message_indexes(indexes: &[i32], output: &mut Vec<u8>) {
    if indexes == [0] {
        output.push(0);
        return;
    }
    write_varint(i64::try_from(indexes.len()).unwrap_or(i64::MAX), output);
    for index in indexes {
        write_varint(i64::from(*index), output);
    }
}

/// Reads the path of message indexes and returns it with what follows.
///
/// # Errors
/// A path that is cut off, negative or longer than messages nest.
pub fn read_message_indexes(bytes: &[u8]) -> Result<(Vec<i32>, &[u8]), WireError> {
    let mut rest = bytes;
    let count = read_varint(&mut rest).ok_or(WireError::InvalidMessageIndexes)?;
    if count == 0 {
        return Ok((vec![0], rest));
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= INDEXES_MAX);
    let mut indexes = Vec::new();
    for _ in 0..count.ok_or(WireError::InvalidMessageIndexes)? {
        let index = read_varint(&mut rest).and_then(|index| i32::try_from(index).ok()).filter(|index| *index >= 0);
        indexes.push(index.ok_or(WireError::InvalidMessageIndexes)?);
    }
    Ok((indexes, rest))
}

/// Appends a zigzag varint, as Avro and Protobuf's `sint64` write it.
pub(crate) fn write_varint(value: i64, output: &mut Vec<u8>) {
    let mut zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while zigzag >= 0x80 {
        output.push((zigzag & 0x7F) as u8 | 0x80);
        zigzag >>= 7;
    }
    output.push(zigzag as u8);
}

/// Takes a zigzag varint off the front; `None` when it is cut off or longer than 64 bits.
pub(crate) fn read_varint(bytes: &mut &[u8]) -> Option<i64> {
    let mut zigzag = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7F);
        if shift == 63 && bits > 1 {
            return None;
        }
        zigzag |= bits << shift;
        if byte & 0x80 == 0 {
            return Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_is_a_zero_byte_and_the_id() {
        assert_eq!(prefix(258), [0, 0, 0, 1, 2]);
        let framed = split_prefix(&[0, 0, 0, 1, 2, 9]).unwrap();
        assert_eq!(framed, Framed { schema_id: SchemaId::Id(258), rest: &[9] });
        assert_eq!(split_prefix(&[0, 0, 0]), Err(WireError::TooShort(3)));
        assert_eq!(split_prefix(b"{}"), Err(WireError::UnknownMagic(b'{')));
        assert_eq!(split_prefix(&[]), Err(WireError::TooShort(0)));
    }

    #[test]
    fn a_header_holds_the_guid_and_indexes() {
        let guid = Uuid::from_u128(0x89791762_2336_4186_9674_299b90a802e2);
        let mut value = header_value(guid);
        assert_eq!(value.len(), 17);
        write_message_indexes(&[1, 0], &mut value);
        let framed = split_header(&value).unwrap();
        assert_eq!(framed.schema_id, SchemaId::Guid(guid));
        assert_eq!(read_message_indexes(framed.rest), Ok((vec![1, 0], &[][..])));
        assert_eq!(split_header(&[0; 17]), Err(WireError::UnknownMagic(0)));
        assert_eq!(split_header(&[1; 16]), Err(WireError::TooShort(16)));
    }

    #[test]
    fn the_first_message_has_the_short_path() {
        let written = |indexes: &[i32]| {
            let mut bytes = Vec::new();
            write_message_indexes(indexes, &mut bytes);
            bytes
        };
        assert_eq!(written(&[0]), [0]);
        assert_eq!(written(&[1]), [2, 2]);
        assert_eq!(written(&[0, 2]), [4, 0, 4]);
        assert_eq!(read_message_indexes(&[0, 7]), Ok((vec![0], &[7][..])));
        for bad in [&[][..], &[2], &[1], &[0xFF; 12], &[0xFE, 0xFF, 0xFF, 0x0F]] {
            assert_eq!(read_message_indexes(bad), Err(WireError::InvalidMessageIndexes), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn varints_come_back(value: i64) {
            let mut bytes = Vec::new();
            write_varint(value, &mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(read_varint(&mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn message_indexes_come_back(indexes in prop::collection::vec(0..i32::MAX, 1..9)) {
            let mut bytes = Vec::new();
            write_message_indexes(&indexes, &mut bytes);
            prop_assert_eq!(read_message_indexes(&bytes), Ok((indexes, &[][..])));
        }
    }
}
