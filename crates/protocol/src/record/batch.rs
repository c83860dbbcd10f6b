//! Looking at v2 batches in place.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    LOG_OVERHEAD, MAGIC_V2, NO_PRODUCER_ID, RECORD_BATCH_OVERHEAD, RecordError, RecordIter, RecordRef, RecordsSummary,
    TimestampType, attribute, crc32c, field,
};
use crate::compression::{Compression, CompressionError, decompress};

/// One v2 batch, borrowed and not decoded. Exactly the batch: [`bytes`](Self::bytes) ends where the next begins.
///
/// Its fields are as the sender wrote them: only magic, length and the presence of all bytes are checked.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: &'a [u8; RECORD_BATCH_OVERHEAD],
    bytes: &'a [u8],
}

/// Reads `N` bytes at `at`; both are constants below 61, so the range is always there.
fn fixed<const N: usize>(header: &[u8; RECORD_BATCH_OVERHEAD], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&header[at..at + N]);
    value
}

macro_rules! header_fields {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $at:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(&self) -> $type {
            <$type>::from_be_bytes(fixed(self.header_bytes(), field::$at))
        })*
    };
}

/// Accessors that need nothing but the header's 61 bytes, for the borrowed view and the owned header.
macro_rules! header_accessors {
    () => {
        header_fields! {
            /// Offset of the first record (of the batch as it was written, before compaction).
            base_offset: i64 = BASE_OFFSET;
            /// Bytes after the length field.
            batch_length: i32 = BATCH_LENGTH;
            /// Epoch of the leader that appended the batch, -1 from a producer.
            partition_leader_epoch: i32 = LEADER_EPOCH;
            /// The format, 2.
            magic: i8 = MAGIC;
            /// The stored CRC-32C of everything after it.
            crc: u32 = CRC;
            /// All attribute bits.
            attributes: i16 = ATTRIBUTES;
            /// Offset of the last record less the base offset; stays when compaction removes records.
            last_offset_delta: i32 = LAST_OFFSET_DELTA;
            /// What records' timestamp deltas are relative to: the first record's timestamp, or the delete horizon.
            base_timestamp: i64 = BASE_TIMESTAMP;
            /// The largest timestamp of the records, or the append time. Milliseconds since 1970.
            max_timestamp: i64 = MAX_TIMESTAMP;
            /// Producer id, -1 without idempotence.
            producer_id: i64 = PRODUCER_ID;
            /// Producer epoch, -1 without idempotence.
            producer_epoch: i16 = PRODUCER_EPOCH;
            /// Sequence of the first record, -1 without idempotence.
            base_sequence: i32 = BASE_SEQUENCE;
            /// The number of records that the header claims. May be 0 after compaction.
            count: i32 = COUNT;
        }

        /// The codec of the records.
        ///
        /// # Errors
        /// [`CompressionError::UnknownCodec`] for ids that Kafka does not assign.
        pub fn compression(&self) -> Result<Compression, CompressionError> {
            Compression::from_id((self.attributes() & attribute::CODEC_MASK) as u8)
        }

        /// Who set the timestamps.
        pub fn timestamp_type(&self) -> TimestampType {
            if self.attributes() & attribute::LOG_APPEND_TIME == 0 {
                TimestampType::CreateTime
            } else {
                TimestampType::LogAppendTime
            }
        }

        /// Whether the batch belongs to a transaction.
        pub fn is_transactional(&self) -> bool {
            self.attributes() & attribute::TRANSACTIONAL != 0
        }

        /// Whether the batch holds a control record, which consumers do not show.
        pub fn is_control(&self) -> bool {
            self.attributes() & attribute::CONTROL != 0
        }

        /// Whether the base timestamp is a delete horizon (KIP-534).
        pub fn has_delete_horizon(&self) -> bool {
            self.attributes() & attribute::DELETE_HORIZON != 0
        }

        /// When tombstones and markers of the batch may be removed, in milliseconds since 1970.
        pub fn delete_horizon_ms(&self) -> Option<i64> {
            self.has_delete_horizon().then(|| self.base_timestamp())
        }

        /// Whether an idempotent or transactional producer wrote the batch.
        pub fn has_producer_id(&self) -> bool {
            self.producer_id() > NO_PRODUCER_ID
        }

        /// Bytes of the whole batch, its header included.
        pub fn size_in_bytes(&self) -> usize {
            LOG_OVERHEAD + usize::try_from(self.batch_length()).unwrap_or(0)
        }

        /// Offset of the last record that the batch was written with.
        pub fn last_offset(&self) -> i64 {
            self.base_offset().wrapping_add(i64::from(self.last_offset_delta()))
        }

        /// Offset after the last one.
        pub fn next_offset(&self) -> i64 {
            self.last_offset().wrapping_add(1)
        }

        /// Sequence of the last record, wrapping from 2147483647 to 0; -1 without sequences.
        pub fn last_sequence(&self) -> i32 {
            match self.base_sequence() {
                super::NO_SEQUENCE => super::NO_SEQUENCE,
                base => base.wrapping_add(self.last_offset_delta()) & i32::MAX,
            }
        }
    };
}

impl<'a> BatchView<'a> {
    header_accessors! {}

    fn header_bytes(&self) -> &[u8; RECORD_BATCH_OVERHEAD] {
        self.header
    }

    /// The batch at the start of `buf`, which may go on with others.
    ///
    /// # Errors
    /// - [`RecordError::UnsupportedMagic`]: a legacy message, or noise
    /// - [`RecordError::InvalidLength`]: the length field cannot be true
    /// - [`RecordError::Truncated`]: `buf` ends inside the batch
    pub fn parse(buf: &'a [u8]) -> Result<BatchView<'a>, RecordError> {
        let truncated = |needed| RecordError::Truncated { needed, available: buf.len() };
        // The magic decides what the length means, so it is looked at first.
        if let Some(&magic) = buf.get(field::MAGIC)
            && magic.cast_signed() != MAGIC_V2
        {
            return Err(RecordError::UnsupportedMagic { magic: magic.cast_signed() });
        }
        let header = buf.first_chunk::<RECORD_BATCH_OVERHEAD>().ok_or_else(|| truncated(RECORD_BATCH_OVERHEAD))?;
        let length = i32::from_be_bytes(fixed(header, field::BATCH_LENGTH));
        let size = usize::try_from(length).map_or(0, |length| LOG_OVERHEAD + length);
        if size < RECORD_BATCH_OVERHEAD {
            return Err(RecordError::InvalidLength { length });
        }
        let bytes = buf.get(..size).ok_or_else(|| truncated(size))?;
        Ok(BatchView { header, bytes })
    }

    /// The header's bytes.
    pub fn header(&self) -> &'a [u8; RECORD_BATCH_OVERHEAD] {
        self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The records, compressed as they are.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[RECORD_BATCH_OVERHEAD..]
    }

    /// Whether the stored CRC is that of the bytes.
    pub fn verify_crc(&self) -> bool {
        crc32c(&self.bytes[field::ATTRIBUTES..]) == self.crc()
    }

    /// As [`verify_crc`](Self::verify_crc), naming both values when they differ.
    ///
    /// # Errors
    /// [`RecordError::ChecksumMismatch`]
    pub fn check_crc(&self) -> Result<(), RecordError> {
        let (stored, computed) = (self.crc(), crc32c(&self.bytes[field::ATTRIBUTES..]));
        if stored == computed { Ok(()) } else { Err(RecordError::ChecksumMismatch { stored, computed }) }
    }

    /// The records' bytes, decompressed to at most `max_decompressed` bytes; borrowed when they are not compressed.
    ///
    /// # Errors
    /// [`RecordError::Compression`] for unknown codecs, damaged data and bombs.
    pub fn uncompressed(&self, max_decompressed: usize) -> Result<Cow<'a, [u8]>, RecordError> {
        match self.compression()? {
            Compression::None => Ok(Cow::Borrowed(self.payload())),
            codec => Ok(Cow::Owned(decompress(codec, self.payload(), max_decompressed)?)),
        }
    }

    /// Iterates over the records. An uncompressed payload is copied once; see [`records_in`](Self::records_in).
    ///
    /// # Errors
    /// [`RecordError::Compression`], and [`RecordError::CountMismatch`] for a negative count.
    pub fn records(&self, max_decompressed: usize) -> Result<RecordIter, RecordError> {
        let data = match self.uncompressed(max_decompressed)? {
            Cow::Owned(data) => Bytes::from(data),
            Cow::Borrowed(payload) => Bytes::copy_from_slice(payload),
        };
        RecordIter::new(self, data)
    }

    /// Iterates over the records without copying: keys and values are slices of `frame`, which this view
    /// was parsed from, or of the decompressed payload.
    ///
    /// # Errors
    /// As [`records`](Self::records).
    pub fn records_in(&self, frame: &Bytes, max_decompressed: usize) -> Result<RecordIter, RecordError> {
        let data = match self.uncompressed(max_decompressed)? {
            Cow::Owned(data) => Bytes::from(data),
            Cow::Borrowed(payload) => slice_of(frame, payload),
        };
        RecordIter::new(self, data)
    }

    /// Calls `visit` with every record, borrowed; the cheapest way through a batch.
    ///
    /// # Errors
    /// - [`RecordError::Compression`]: the payload does not decompress within `max_decompressed`
    /// - [`RecordError::InvalidRecord`]: a record's lengths contradict its bytes
    /// - [`RecordError::CountMismatch`]: more or fewer records than the header says
    /// - whatever `visit` returns
    pub fn for_each_record<E: From<RecordError>>(
        &self,
        max_decompressed: usize,
        mut visit: impl FnMut(&RecordRef<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let data = self.uncompressed(max_decompressed)?;
        let mut walk = super::iter::Walk::new(self)?;
        let mut rest = &data[..];
        while let Some(record) = walk.next(&mut rest)? {
            visit(&record)?;
        }
        Ok(())
    }

    /// Walks all records, checks every length, and says what validation and the time index need to know.
    ///
    /// # Errors
    /// As [`for_each_record`](Self::for_each_record).
    pub fn validate_records(&self, max_decompressed: usize) -> Result<RecordsSummary, RecordError> {
        let mut summary = RecordsSummary::default();
        self.for_each_record(max_decompressed, |record| {
            summary.add(self.base_offset(), record);
            Ok::<(), RecordError>(())
        })?;
        Ok(summary)
    }
}

/// `part` as a slice of `whole` when it lies inside, else a copy.
fn slice_of(whole: &Bytes, part: &[u8]) -> Bytes {
    let (start, at) = (whole.as_ptr().addr(), part.as_ptr().addr());
    match at.checked_sub(start) {
        Some(position) if position + part.len() <= whole.len() => whole.slice(position..position + part.len()),
        _ => Bytes::copy_from_slice(part),
    }
}

/// The header of a v2 batch by itself, as a reader of segment files has it before the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    bytes: [u8; RECORD_BATCH_OVERHEAD],
}

impl BatchHeader {
    header_accessors! {}

    fn header_bytes(&self) -> &[u8; RECORD_BATCH_OVERHEAD] {
        &self.bytes
    }

    /// Takes the header from its bytes.
    ///
    /// # Errors
    /// - [`RecordError::UnsupportedMagic`]: not a v2 batch
    /// - [`RecordError::InvalidLength`]: the length field cannot be true
    pub fn parse(bytes: &[u8; RECORD_BATCH_OVERHEAD]) -> Result<BatchHeader, RecordError> {
        let header = BatchHeader { bytes: *bytes };
        if header.magic() != MAGIC_V2 {
            return Err(RecordError::UnsupportedMagic { magic: header.magic() });
        }
        let length = header.batch_length();
        if header.size_in_bytes() < RECORD_BATCH_OVERHEAD {
            return Err(RecordError::InvalidLength { length });
        }
        Ok(header)
    }

    /// The header's bytes.
    pub fn bytes(&self) -> &[u8; RECORD_BATCH_OVERHEAD] {
        &self.bytes
    }
}

impl From<&BatchView<'_>> for BatchHeader {
    fn from(view: &BatchView<'_>) -> Self {
        BatchHeader { bytes: *view.header }
    }
}

/// The batches of `buf`, one after another. An error ends the walk; a torn last batch is
/// [`RecordError::Truncated`].
pub fn batches(buf: &[u8]) -> Batches<'_> {
    Batches { rest: buf }
}

/// See [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<BatchView<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = BatchView::parse(self.rest);
        self.rest = match &batch {
            Ok(view) => &self.rest[view.bytes.len()..],
            Err(_) => &[],
        };
        Some(batch)
    }
}
