//! Writes primitives into a list of chunks.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::{Chunk, Chunks, EncodeError, FileRange, Records, Uuid};

/// Byte strings from this length on become a chunk of their own instead of being copied.
const OWN_CHUNK_BYTES: usize = 4096;

#[derive(Debug)]
enum Part {
    Own(BytesMut),
    Bytes(Bytes),
    File(FileRange),
}

/// Collects an encoded message: small values in a growing buffer, large byte strings and file ranges as
/// they are, so that record data is never copied on its way to the socket.
#[derive(Debug, Default)]
pub struct Writer {
    parts: Vec<Part>,
    tail: BytesMut,
    parts_len: usize,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// An empty writer with room for `capacity` bytes of small values.
    pub fn with_capacity(capacity: usize) -> Writer {
        Writer { tail: BytesMut::with_capacity(capacity), ..Writer::default() }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.parts_len + self.tail.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chunks written, in order.
    pub fn finish(mut self) -> Chunks {
        let len = self.len();
        self.close_tail();
        let chunks = self.parts.into_iter().map(|part| match part {
            Part::Own(bytes) => Chunk::Bytes(bytes.freeze()),
            Part::Bytes(bytes) => Chunk::Bytes(bytes),
            Part::File(range) => Chunk::File(range),
        });
        Chunks { chunks: chunks.collect(), len }
    }

    /// Overwrites the first four bytes, which must have been written as an integer.
    pub(crate) fn patch_first_i32(&mut self, value: i32) {
        let first = match self.parts.first_mut() {
            Some(Part::Own(bytes)) => bytes,
            _ => &mut self.tail,
        };
        if let Some(prefix) = first.get_mut(..4) {
            prefix.copy_from_slice(&value.to_be_bytes());
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.parts_len += self.tail.len();
            self.parts.push(Part::Own(self.tail.split()));
        }
    }

    fn push_part(&mut self, part: Part, len: usize) {
        self.close_tail();
        self.parts.push(part);
        self.parts_len += len;
    }

    fn append(&mut self, other: Writer) {
        if other.parts.is_empty() {
            self.tail.extend_from_slice(&other.tail);
            return;
        }
        self.close_tail();
        self.parts_len += other.parts_len;
        self.parts.extend(other.parts);
        self.tail = other.tail;
    }

    /// One byte, 1 for true.
    pub fn bool(&mut self, value: bool) {
        self.tail.put_u8(u8::from(value));
    }

    /// One signed byte.
    pub fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    /// Two bytes, signed.
    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    /// Two bytes, unsigned.
    pub fn u16(&mut self, value: u16) {
        self.tail.put_u16(value);
    }

    /// Four bytes, signed.
    pub fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    /// Four bytes, unsigned.
    pub fn u32(&mut self, value: u32) {
        self.tail.put_u32(value);
    }

    /// Eight bytes, signed.
    pub fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    /// Eight bytes, IEEE 754.
    pub fn f64(&mut self, value: f64) {
        self.tail.put_f64(value);
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.tail.put_slice(&value.0);
    }

    /// An unsigned varint.
    pub fn uvarint(&mut self, value: u32) {
        self.base128(u64::from(value));
    }

    /// A zig-zag varint.
    pub fn varint(&mut self, value: i32) {
        self.base128(u64::from((value << 1 ^ value >> 31) as u32));
    }

    /// A zig-zag varint of up to ten bytes.
    pub fn varlong(&mut self, value: i64) {
        self.base128((value << 1 ^ value >> 63) as u64);
    }

    fn base128(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.tail.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.tail.put_u8(value as u8);
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    fn length(&mut self, length: usize, flexible: bool, wide: bool) -> Result<(), EncodeError> {
        let limit = match (flexible, wide) {
            (false, false) => i16::MAX as usize,
            _ => i32::MAX as usize,
        };
        if length > limit {
            return Err(EncodeError::TooLong { length, limit });
        }
        match (flexible, wide) {
            (true, _) => self.uvarint(length as u32 + 1),
            (false, true) => self.i32(length as i32),
            (false, false) => self.i16(length as i16),
        }
        Ok(())
    }

    fn null(&mut self, flexible: bool, wide: bool) {
        match (flexible, wide) {
            (true, _) => self.uvarint(0),
            (false, true) => self.i32(-1),
            (false, false) => self.i16(-1),
        }
    }

    /// A string.
    pub fn string(&mut self, value: &str, flexible: bool) -> Result<(), EncodeError> {
        self.length(value.len(), flexible, false)?;
        self.tail.put_slice(value.as_bytes());
        Ok(())
    }

    /// A string that may be null.
    pub fn nullable_string(&mut self, value: Option<&str>, flexible: bool) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.string(value, flexible)?,
            None => self.null(flexible, false),
        }
        Ok(())
    }

    /// A byte string.
    pub fn bytes(&mut self, value: &Bytes, flexible: bool) -> Result<(), EncodeError> {
        self.length(value.len(), flexible, true)?;
        self.put_bytes(value);
        Ok(())
    }

    /// A byte string that may be null.
    pub fn nullable_bytes(&mut self, value: Option<&Bytes>, flexible: bool) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.bytes(value, flexible)?,
            None => self.null(flexible, true),
        }
        Ok(())
    }

    fn put_bytes(&mut self, value: &Bytes) {
        if value.len() < OWN_CHUNK_BYTES {
            self.tail.put_slice(value);
        } else {
            self.push_part(Part::Bytes(value.clone()), value.len());
        }
    }

    /// Record batches.
    pub fn records(&mut self, value: &Records, flexible: bool) -> Result<(), EncodeError> {
        self.length(value.len(), flexible, true)?;
        self.put_records(value);
        Ok(())
    }

    /// Record batches that may be null.
    pub fn nullable_records(&mut self, value: Option<&Records>, flexible: bool) -> Result<(), EncodeError> {
        match value {
            Some(value) => self.records(value, flexible)?,
            None => self.null(flexible, true),
        }
        Ok(())
    }

    fn put_records(&mut self, value: &Records) {
        match value {
            Records::Memory(bytes) => self.put_bytes(bytes),
            Records::File(range) if range.len == 0 => {}
            Records::File(range) => self.push_part(Part::File(range.clone()), range.len),
            Records::Chain(parts) => parts.iter().for_each(|part| self.put_records(part)),
        }
    }

    /// An array; `element` writes one element.
    pub fn array<T>(
        &mut self,
        values: &[T],
        flexible: bool,
        mut element: impl FnMut(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length(values.len(), flexible, true)?;
        values.iter().try_for_each(|value| element(self, value))
    }

    /// An array that may be null.
    pub fn nullable_array<T>(
        &mut self,
        values: Option<&[T]>,
        flexible: bool,
        element: impl FnMut(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match values {
            Some(values) => self.array(values, flexible, element)?,
            None => self.null(flexible, true),
        }
        Ok(())
    }

    /// A struct that may be null: a byte -1 (null) or 1, then the struct.
    pub fn nullable_struct<T>(
        &mut self,
        value: Option<&T>,
        encode: impl FnOnce(&mut Writer, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => {
                self.i8(1);
                encode(self, value)?;
            }
            None => self.i8(-1),
        }
        Ok(())
    }

    /// One tagged field: tag, size, value. The count of fields must have been written before.
    pub fn tagged_field(
        &mut self,
        tag: u32,
        value: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut field = Writer::new();
        value(&mut field)?;
        let limit = u32::MAX as usize;
        let size = u32::try_from(field.len()).map_err(|_| EncodeError::TooLong { length: field.len(), limit })?;
        self.uvarint(tag);
        self.uvarint(size);
        self.append(field);
        Ok(())
    }
}
