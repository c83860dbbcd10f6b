//! Reads primitives from a frame.

use bytes::Bytes;

use crate::{DecodeError, Records, Uuid};

/// Most memory that is set aside for an array on the word of its count alone.
const ARRAY_PREALLOCATION_BYTES: usize = 64 * 1024;

/// A cursor over the bytes of one frame. Byte strings and records come out as slices of it, not as copies.
///
/// Every read fails with [`DecodeError::Truncated`] when the bytes end, before anything is allocated.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
    position: usize,
    end: usize,
}

impl Reader {
    /// Starts at the first byte.
    pub fn new(bytes: Bytes) -> Reader {
        let end = bytes.len();
        Reader { bytes, position: 0, end }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// Whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// The bytes not read yet, without moving.
    pub fn rest(&self) -> Bytes {
        self.bytes.slice(self.position..self.end)
    }

    /// Checks that everything has been read.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`].
    pub fn finish(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }

    /// The next `n` bytes as a slice of the frame.
    pub fn take(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        self.check(n)?;
        let taken = self.bytes.slice(self.position..self.position + n);
        self.position += n;
        Ok(taken)
    }

    fn check(&self, needed: usize) -> Result<(), DecodeError> {
        let remaining = self.remaining();
        if needed > remaining {
            return Err(DecodeError::Truncated { needed, remaining });
        }
        Ok(())
    }

    fn slice(&mut self, n: usize) -> Result<&[u8], DecodeError> {
        self.check(n)?;
        let start = self.position;
        self.position += n;
        Ok(&self.bytes[start..start + n])
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut value = [0; N];
        value.copy_from_slice(self.slice(N)?);
        Ok(value)
    }

    /// One byte; anything but 0 is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// One signed byte.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.fixed().map(i8::from_be_bytes)
    }

    /// Two bytes, signed.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// Two bytes, unsigned.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_be_bytes)
    }

    /// Four bytes, signed.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// Four bytes, unsigned.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_be_bytes)
    }

    /// Eight bytes, signed.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// Eight bytes, IEEE 754.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.fixed().map(f64::from_be_bytes)
    }

    /// Sixteen bytes.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.fixed().map(Uuid)
    }

    /// An unsigned varint of at most five bytes.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let value = self.base128(5)?;
        u32::try_from(value).map_err(|_| DecodeError::VarintTooLong)
    }

    /// A zig-zag varint of at most five bytes.
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let value = self.uvarint()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A zig-zag varint of at most ten bytes.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let value = self.base128(10)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn base128(&mut self, bytes_max: u32) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for index in 0..bytes_max {
            let [byte] = self.fixed::<1>()?;
            value |= u64::from(byte & 0x7f).wrapping_shl(7 * index);
            if byte & 0x80 == 0 {
                // The tenth byte holds only the topmost bit.
                let overflows = index == 9 && byte > 1;
                return if overflows { Err(DecodeError::VarintTooLong) } else { Ok(value) };
            }
        }
        Err(DecodeError::VarintTooLong)
    }

    /// The length before a value: `None` for null.
    fn length(&mut self, flexible: bool, wide: bool) -> Result<Option<usize>, DecodeError> {
        if flexible {
            return Ok((self.uvarint()? as usize).checked_sub(1));
        }
        let length = if wide { i64::from(self.i32()?) } else { i64::from(self.i16()?) };
        match length {
            -1 => Ok(None),
            0.. => Ok(Some(length as usize)),
            _ => Err(DecodeError::NegativeLength(length)),
        }
    }

    /// A string.
    pub fn string(&mut self, flexible: bool) -> Result<String, DecodeError> {
        self.nullable_string(flexible)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// A string that may be null.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<String>, DecodeError> {
        let Some(length) = self.length(flexible, false)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(self.slice(length)?).map_err(|_| DecodeError::InvalidUtf8)?;
        Ok(Some(text.to_owned()))
    }

    /// A byte string, as a slice of the frame.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(flexible)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// A byte string that may be null.
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        match self.length(flexible, true)? {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    /// Record batches, as a slice of the frame.
    pub fn records(&mut self, flexible: bool) -> Result<Records, DecodeError> {
        self.bytes(flexible).map(Records::Memory)
    }

    /// Record batches that may be null.
    pub fn nullable_records(&mut self, flexible: bool) -> Result<Option<Records>, DecodeError> {
        Ok(self.nullable_bytes(flexible)?.map(Records::Memory))
    }

    /// An array; `element` reads one element and must consume at least one byte.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        element: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(flexible, element)?.ok_or(DecodeError::UnexpectedNull)
    }

    /// An array that may be null.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        mut element: impl FnMut(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.length(flexible, true)? else {
            return Ok(None);
        };
        let remaining = self.remaining();
        if count > remaining {
            return Err(DecodeError::ArrayTooLong { count, remaining });
        }
        let prealloc = ARRAY_PREALLOCATION_BYTES / size_of::<T>().max(1);
        let mut elements = Vec::with_capacity(count.min(prealloc));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// A struct that may be null: a byte -1 (null) or 1 comes before it. In a tagged field the marker is an unsigned varint,
    /// so that null is 0 there.
    pub fn nullable_struct<T>(
        &mut self,
        decode: impl FnOnce(&mut Reader) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.i8()? {
            -1 | 0 => Ok(None),
            1 => decode(self).map(Some),
            other => Err(DecodeError::InvalidStructMarker(other)),
        }
    }

    /// The tagged fields at the end of a struct. `field` gets each tag and a reader of its bytes and says
    /// whether it knows the tag; unknown ones are skipped (KIP-482).
    pub fn tagged_fields(
        &mut self,
        mut field: impl FnMut(u32, &mut Reader) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            self.check(size)?;
            let (end, field_end) = (self.end, self.position + size);
            self.end = field_end;
            let known = field(tag, self)?;
            if known && !self.is_empty() {
                return Err(DecodeError::TaggedFieldSize { tag, remaining: self.remaining() });
            }
            self.position = field_end;
            self.end = end;
        }
        Ok(())
    }

    /// Tagged fields of a struct that knows none.
    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        self.tagged_fields(|_, _| Ok(false))
    }
}
