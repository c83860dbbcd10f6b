//! Walking the records of a batch.

use bytes::Bytes;

use super::varint::{Cursor, Malformed};
use super::{BatchView, NO_TIMESTAMP, RecordError, TimestampType};

/// A record whose parts are slices of the batch or of its decompressed payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Unused by Kafka, 0.
    pub attributes: i8,
    /// Milliseconds since 1970; the batch's max timestamp when the broker stamps the records.
    pub timestamp: i64,
    /// Absolute offset.
    pub offset: i64,
    /// The key; `None` is null.
    pub key: Option<Bytes>,
    /// The value; `None` is null (a tombstone on a compacted topic).
    pub value: Option<Bytes>,
    /// The headers in the order of the producer; keys may repeat.
    pub headers: Vec<Header>,
}

/// A record header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The key, UTF-8 by convention and unchecked here.
    pub key: Bytes,
    /// The value; `None` is null.
    pub value: Option<Bytes>,
}

/// A record borrowed from the uncompressed payload; its headers are parsed only when asked for.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// Position in the batch, from 0.
    pub index: i32,
    /// Unused by Kafka, 0.
    pub attributes: i8,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Absolute offset.
    pub offset: i64,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
    header_count: usize,
    headers: &'a [u8],
    size: usize,
}

impl<'a> RecordRef<'a> {
    /// Bytes of the record in the uncompressed payload, its length prefix included.
    pub fn size_in_bytes(&self) -> usize {
        self.size
    }

    /// The number of headers.
    pub fn header_count(&self) -> usize {
        self.header_count
    }

    /// The headers as `(key, value)`.
    pub fn headers(&self) -> Headers<'a> {
        Headers { left: self.header_count, cursor: Cursor::new(self.headers) }
    }
}

/// See [`RecordRef::headers`]. The lengths were checked when the record was parsed.
#[derive(Clone)]
pub struct Headers<'a> {
    left: usize,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let key = self.cursor.bytes().ok()?;
        let value = self.cursor.nullable_bytes().ok()?;
        Some((key, value))
    }
}

/// What a walk over a batch's records found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordsSummary {
    /// The number of records.
    pub count: i32,
    /// The largest timestamp, -1 without records.
    pub max_timestamp: i64,
    /// Absolute offset of the first record with the largest timestamp, -1 without records.
    pub offset_of_max_timestamp: i64,
    /// The smallest timestamp, -1 without records.
    pub min_timestamp: i64,
    /// Whether a record has no key, which a compacted topic refuses.
    pub has_null_key: bool,
    /// Whether the records' offsets are base, base + 1, base + 2, ...
    pub offsets_are_consecutive: bool,
    /// Bytes of the records without compression.
    pub uncompressed_bytes: usize,
}

impl Default for RecordsSummary {
    fn default() -> Self {
        RecordsSummary {
            count: 0,
            max_timestamp: NO_TIMESTAMP,
            offset_of_max_timestamp: -1,
            min_timestamp: NO_TIMESTAMP,
            has_null_key: false,
            offsets_are_consecutive: true,
            uncompressed_bytes: 0,
        }
    }
}

impl RecordsSummary {
    pub(super) fn add(&mut self, base_offset: i64, record: &RecordRef<'_>) {
        let expected_offset = base_offset.wrapping_add(i64::from(self.count));
        if self.count == 0 || record.timestamp > self.max_timestamp {
            self.max_timestamp = record.timestamp;
            self.offset_of_max_timestamp = record.offset;
        }
        if self.count == 0 || record.timestamp < self.min_timestamp {
            self.min_timestamp = record.timestamp;
        }
        self.has_null_key |= record.key.is_none();
        self.offsets_are_consecutive &= record.offset == expected_offset;
        self.uncompressed_bytes += record.size;
        self.count += 1;
    }
}

/// The state of a walk that does not borrow the payload: what the header says and how far it got.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    base_offset: i64,
    base_timestamp: i64,
    /// Set when the broker stamped the batch: every record then has this timestamp.
    append_time: Option<i64>,
    count: i32,
    index: i32,
}

impl Walk {
    pub(super) fn new(batch: &BatchView<'_>) -> Result<Walk, RecordError> {
        let count = batch.count();
        if count < 0 {
            return Err(RecordError::CountMismatch { claimed: count, found: 0 });
        }
        Ok(Walk {
            base_offset: batch.base_offset(),
            base_timestamp: batch.base_timestamp(),
            append_time: (batch.timestamp_type() == TimestampType::LogAppendTime).then(|| batch.max_timestamp()),
            count,
            index: 0,
        })
    }

    /// The next record of `rest`, which is moved behind it; `None` when the count is reached and `rest` is used up.
    pub(super) fn next<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Option<RecordRef<'a>>, RecordError> {
        if self.index == self.count && rest.is_empty() {
            return Ok(None);
        }
        if self.index == self.count || rest.is_empty() {
            return Err(RecordError::CountMismatch { claimed: self.count, found: self.index });
        }
        let record = self.parse(rest).map_err(|detail| RecordError::InvalidRecord { index: self.index, detail })?;
        self.index += 1;
        Ok(Some(record))
    }

    fn parse<'a>(&self, rest: &mut &'a [u8]) -> Result<RecordRef<'a>, Malformed> {
        let before = rest.len();
        let mut outer = Cursor::new(rest);
        let mut body = Cursor::new(outer.bytes()?);
        let attributes = body.byte()?.cast_signed();
        let timestamp_delta = body.varlong()?;
        let offset_delta = body.varint()?;
        let key = body.nullable_bytes()?;
        let value = body.nullable_bytes()?;
        let header_count = body.length()?;
        let headers = body.rest;
        skip_headers(body, header_count)?;
        *rest = outer.rest;
        Ok(RecordRef {
            index: self.index,
            attributes,
            timestamp: self.append_time.unwrap_or_else(|| self.base_timestamp.wrapping_add(timestamp_delta)),
            offset: self.base_offset.wrapping_add(i64::from(offset_delta)),
            key,
            value,
            header_count,
            headers,
            size: before - outer.rest.len(),
        })
    }
}

/// Checks that `count` headers fill what is left of the record.
fn skip_headers(mut body: Cursor<'_>, count: usize) -> Result<(), Malformed> {
    for _ in 0..count {
        body.bytes()?;
        body.nullable_bytes()?;
    }
    if body.rest.is_empty() { Ok(()) } else { Err("the record is longer than its fields") }
}

/// Yields the records of one batch; keys, values and headers are slices of one buffer. An error ends it.
#[derive(Clone, Debug)]
pub struct RecordIter {
    data: Bytes,
    position: usize,
    walk: Walk,
    failed: bool,
}

impl RecordIter {
    pub(super) fn new(batch: &BatchView<'_>, data: Bytes) -> Result<RecordIter, RecordError> {
        Ok(RecordIter { data, position: 0, walk: Walk::new(batch)?, failed: false })
    }

    fn materialise(&self, record: &RecordRef<'_>) -> Record {
        let slice = |part: &[u8]| self.data.slice_ref(part);
        Record {
            attributes: record.attributes,
            timestamp: record.timestamp,
            offset: record.offset,
            key: record.key.map(slice),
            value: record.value.map(slice),
            headers: record.headers().map(|(key, value)| Header { key: slice(key), value: value.map(slice) }).collect(),
        }
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let mut rest = &self.data[self.position..];
        match self.walk.next(&mut rest) {
            Ok(None) => None,
            Ok(Some(record)) => {
                let item = self.materialise(&record);
                self.position = self.data.len() - rest.len();
                Some(Ok(item))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The count is the sender's claim; a record has at least 7 bytes.
        let left = (self.walk.count - self.walk.index).max(0) as usize;
        (0, Some(left.min((self.data.len() - self.position) / 7 + 1)))
    }
}
