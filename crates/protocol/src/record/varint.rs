//! Zigzag varints of records, and the cursor that reads them from a slice.
//!
//! A varint of more than 5 bytes (10 for 64 bits), or whose last byte has bits beyond the type, is refused.

/// What a cursor found instead of a value; turned into a `RecordError` by the caller, who knows the record.
pub(super) type Malformed = &'static str;

pub(super) const ENDS_EARLY: Malformed = "the record ends early";
const OVERFLOW: Malformed = "a varint is too long";
const NEGATIVE: Malformed = "a length is negative";

/// Reads forward through a slice; never moves past its end.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Cursor { rest: bytes }
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A 32-bit zigzag varint.
    pub(super) fn varint(&mut self) -> Result<i32, Malformed> {
        // Most lengths and deltas fit one byte.
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(unzigzag32(u32::from(byte)));
        }
        let mut value = 0u32;
        for shift in (0..35).step_by(7) {
            let byte = self.byte()?;
            if shift == 28 && byte > 0x0f {
                return Err(OVERFLOW);
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(unzigzag32(value));
            }
        }
        Err(OVERFLOW)
    }

    /// A 64-bit zigzag varint.
    pub(super) fn varlong(&mut self) -> Result<i64, Malformed> {
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            return Ok(unzigzag64(u64::from(byte)));
        }
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 0x01 {
                return Err(OVERFLOW);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(unzigzag64(value));
            }
        }
        Err(OVERFLOW)
    }

    /// A varint that must be a length.
    pub(super) fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.varint()?).map_err(|_| NEGATIVE)
    }

    /// Bytes behind a varint length; `None` for any negative length, as Kafka reads it.
    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match usize::try_from(self.varint()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Bytes behind a varint length that may not be negative.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length)
    }
}

fn unzigzag32(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

fn unzigzag64(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Appends a 32-bit zigzag varint.
pub(super) fn put_varint(output: &mut Vec<u8>, value: i32) {
    let mut rest = ((value << 1) ^ (value >> 31)).cast_unsigned();
    while rest >= 0x80 {
        output.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    output.push(rest as u8);
}

/// Appends a 64-bit zigzag varint.
pub(super) fn put_varlong(output: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        output.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    output.push(rest as u8);
}

/// Bytes that [`put_varint`] writes for `value`.
pub(super) fn varint_len(value: i32) -> usize {
    let bits = 32 - (((value << 1) ^ (value >> 31)) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Bytes that [`put_varlong`] writes for `value`.
pub(super) fn varlong_len(value: i64) -> usize {
    let bits = 64 - (((value << 1) ^ (value >> 63)) | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}
