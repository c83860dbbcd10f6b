//! Walks the uncompressed records of a batch without copying them: only lengths, deltas and "is there a key".
//!
//! Validation needs no more than that, and it runs over every record a client sends. Keys are handed out as slices for compaction.

/// What validation and compaction look at in one record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WalkedRecord<'a> {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// Iterates the records of a payload; stops after the first error.
pub(crate) struct RecordWalk<'a> {
    rest: &'a [u8],
    failed: bool,
}

impl<'a> RecordWalk<'a> {
    pub fn new(payload: &'a [u8]) -> RecordWalk<'a> {
        RecordWalk { rest: payload, failed: false }
    }
}

impl<'a> Iterator for RecordWalk<'a> {
    type Item = Result<WalkedRecord<'a>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() || self.failed {
            return None;
        }
        let record = split_record(&mut self.rest);
        self.failed = record.is_err();
        Some(record)
    }
}

fn split_record<'a>(rest: &mut &'a [u8]) -> Result<WalkedRecord<'a>, &'static str> {
    let length = read_varint(rest)?;
    let length = usize::try_from(length).map_err(|_| "negative record length")?;
    let mut body = rest.split_off(..length).ok_or("record longer than the batch")?;
    body.split_off_first().ok_or("record without attributes")?;
    let timestamp_delta = read_varlong(&mut body)?;
    let offset_delta = read_varint(&mut body)?;
    let key = read_nullable(&mut body)?;
    let value = read_nullable(&mut body)?;
    let headers = read_varint(&mut body)?;
    if headers < 0 {
        return Err("negative header count");
    }
    for _ in 0..headers {
        read_nullable(&mut body)?.ok_or("null header key")?;
        read_nullable(&mut body)?;
    }
    if !body.is_empty() {
        return Err("bytes left over at the end of a record");
    }
    Ok(WalkedRecord { timestamp_delta, offset_delta, key, value })
}

#[inline]
fn read_nullable<'a>(body: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
    match read_varint(body)? {
        -1 => Ok(None),
        length => {
            let length = usize::try_from(length).map_err(|_| "negative length")?;
            body.split_off(..length).map(Some).ok_or("field longer than its record")
        }
    }
}

#[inline]
fn read_varint(bytes: &mut &[u8]) -> Result<i32, &'static str> {
    let value = read_unsigned(bytes, 5)?;
    let value = u32::try_from(value).map_err(|_| "varint out of range")?;
    Ok((value >> 1) as i32 ^ -((value & 1) as i32))
}

#[inline]
fn read_varlong(bytes: &mut &[u8]) -> Result<i64, &'static str> {
    let value = read_unsigned(bytes, 10)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

#[inline]
fn read_unsigned(bytes: &mut &[u8], length_max: usize) -> Result<u64, &'static str> {
    // Most numbers of a record take one byte.
    match bytes.split_first() {
        Some((byte, rest)) if byte & 0x80 == 0 => {
            *bytes = rest;
            Ok(u64::from(*byte))
        }
        _ => read_long(bytes, length_max),
    }
}

fn read_long(bytes: &mut &[u8], length_max: usize) -> Result<u64, &'static str> {
    let mut value = 0u64;
    for i in 0..length_max {
        let byte = *bytes.split_off_first().ok_or("record ends within a number")?;
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("number too long")
}
