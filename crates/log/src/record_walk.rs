//! Walks the uncompressed records of a batch without copying them: only lengths, deltas and "is there a key".
//!
//! Validation needs no more than that, and it runs over every record a client sends: with small records it is the largest
//! part of what a broker does itself. So a record is read with one cursor over the whole payload, and that its fields stay
//! within it is checked once, at its end. Keys are handed out as slices for compaction.

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
    cursor: Cursor<'a>,
}

impl<'a> RecordWalk<'a> {
    pub fn new(payload: &'a [u8]) -> RecordWalk<'a> {
        RecordWalk { cursor: Cursor { bytes: payload, at: 0 } }
    }
}

impl<'a> Iterator for RecordWalk<'a> {
    type Item = Result<WalkedRecord<'a>, &'static str>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.cursor.at >= self.cursor.bytes.len() {
            return None;
        }
        let record = self.cursor.record();
        if record.is_err() {
            self.cursor.at = self.cursor.bytes.len();
        }
        Some(record)
    }
}

/// A place in a payload. Reading may run past the end of a record, which its end then tells, but never past that of the payload.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    fn record(&mut self) -> Result<WalkedRecord<'a>, &'static str> {
        let length = usize::try_from(self.varint()?).map_err(|_| "negative record length")?;
        if length > self.bytes.len() - self.at {
            return Err("record longer than the batch");
        }
        let end = self.at + length;
        // The attributes: no bit has a meaning.
        self.at += 1;
        let timestamp_delta = self.varlong()?;
        let offset_delta = self.varint()?;
        let key = self.nullable()?;
        let value = self.nullable()?;
        let headers = self.varint()?;
        if headers != 0 {
            self.headers(headers)?;
        }
        if self.at != end {
            return Err(if self.at < end {
                "bytes left over at the end of a record"
            } else {
                "field longer than its record"
            });
        }
        Ok(WalkedRecord { timestamp_delta, offset_delta, key, value })
    }

    fn headers(&mut self, count: i32) -> Result<(), &'static str> {
        if count < 0 {
            return Err("negative header count");
        }
        for _ in 0..count {
            self.nullable()?.ok_or("null header key")?;
            self.nullable()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn nullable(&mut self) -> Result<Option<&'a [u8]>, &'static str> {
        let length = self.varint()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| "negative length")?;
        let field = self.bytes.get(self.at..self.at + length).ok_or("field longer than its record")?;
        self.at += length;
        Ok(Some(field))
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<i32, &'static str> {
        let value = match self.short() {
            Some(value) => value,
            None => u32::try_from(self.long(5)?).map_err(|_| "varint out of range")?,
        };
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    #[inline(always)]
    fn varlong(&mut self) -> Result<i64, &'static str> {
        let value = match self.short() {
            Some(value) => u64::from(value),
            None => self.long(10)?,
        };
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A number of one or two bytes, as most numbers of a record are.
    #[inline(always)]
    fn short(&mut self) -> Option<u32> {
        let [low, high] = *self.bytes.get(self.at..)?.first_chunk::<2>()?;
        if low & 0x80 == 0 {
            self.at += 1;
            return Some(u32::from(low));
        }
        if high & 0x80 == 0 {
            self.at += 2;
            return Some(u32::from(low & 0x7f) | u32::from(high) << 7);
        }
        None
    }

    #[cold]
    fn long(&mut self, length_max: usize) -> Result<u64, &'static str> {
        let mut value = 0u64;
        for i in 0..length_max {
            let byte = *self.bytes.get(self.at).ok_or("record ends within a number")?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("number too long")
    }
}

#[cfg(test)]
mod tests {
    use milena_protocol::record::{BatchBuilder, BatchOptions, RECORD_BATCH_OVERHEAD};

    use super::*;

    /// Timestamp, key and value.
    type Plain<'a> = (i64, Option<&'a [u8]>, Option<&'a [u8]>);

    fn payload(records: &[Plain<'_>]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(BatchOptions::default());
        for (timestamp, key, value) in records {
            builder.append(*timestamp, *key, *value, &[]);
        }
        builder.build().unwrap()[RECORD_BATCH_OVERHEAD..].to_vec()
    }

    #[test]
    fn every_length_of_a_number_is_read() {
        let values: Vec<Vec<u8>> = [0, 1, 63, 64, 8_191, 8_192, 1_048_576].map(|length| vec![b'v'; length]).to_vec();
        let timestamps = [0, 1, 64, 8_192, 1_048_576, 1 << 40, 5];
        let records: Vec<_> = timestamps
            .iter()
            .zip(&values)
            .map(|(timestamp, value)| (*timestamp, (*timestamp > 1).then_some(&b"key"[..]), Some(value.as_slice())))
            .collect();
        let payload = payload(&records);
        let walked: Result<Vec<_>, _> = RecordWalk::new(&payload).collect();
        for (at, (walked, (timestamp, key, value))) in walked.unwrap().iter().zip(&records).enumerate() {
            assert_eq!(walked.offset_delta as usize, at);
            assert_eq!((walked.timestamp_delta, walked.key, walked.value), (*timestamp, *key, *value));
        }
    }

    #[test]
    fn a_record_that_lies_about_a_length_is_refused_and_ends_the_walk() {
        // length, attributes, timestamp delta, offset delta, key length -1, value length, value, headers
        let fine = [14, 0, 0, 0, 1, 2, b'v', 0];
        assert!(RecordWalk::new(&fine).all(|record| record.is_ok()));
        for (position, lie) in [(0, 12), (0, 16), (0, 1), (0, 0x80), (4, 3), (5, 4), (5, 0), (5, 3), (7, 2), (7, 1)] {
            let mut record = fine;
            record[position] = lie;
            // A neighbour, whose bytes a field that is too long reaches into.
            let both = [record, fine].concat();
            let walked: Vec<_> = RecordWalk::new(&both).take(3).collect();
            let refused = walked.iter().position(Result::is_err);
            assert_eq!(refused, Some(walked.len() - 1), "{lie} at {position}: {walked:?}");
            assert!(RecordWalk::new(&record).any(|record| record.is_err()), "{lie} at {position}, alone");
        }
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let payload = payload(&[(0, Some(b"key"), Some(&[1; 300])), (70, None, None)]);
        for end in 1..payload.len() {
            let walked: Result<Vec<_>, _> = RecordWalk::new(&payload[..end]).collect();
            assert!(walked.map_or(true, |records| records.len() == 1), "cut at {end}");
        }
    }
}
