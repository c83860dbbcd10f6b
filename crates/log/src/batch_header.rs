//! The 61 bytes in front of every batch's records (record batch v2), read in place and patched in place.
//!
//! The log never needs more of a batch than this header on its hot path. The broker may rewrite base offset and
//! leader epoch freely, because the CRC starts behind them.

use std::io;

use crc_fast::{CrcAlgorithm, Digest};
use milena_protocol::record::RECORD_BATCH_OVERHEAD;

/// Bytes of a batch that its length field does not count: base offset and the length itself.
pub(crate) const LENGTH_OVERHEAD: usize = 12;
/// Attribute bit: timestamps are the time of the append.
pub(crate) const LOG_APPEND_TIME_BIT: i16 = 1 << 3;
/// Attribute bit: part of a transaction.
pub(crate) const TRANSACTIONAL_BIT: i16 = 1 << 4;
/// Attribute bit: transaction marker or other control record.
pub(crate) const CONTROL_BIT: i16 = 1 << 5;
/// Attribute bit: the base timestamp field holds the delete horizon.
pub(crate) const DELETE_HORIZON_BIT: i16 = 1 << 6;

/// A copy of one batch's header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeaderBytes(pub [u8; RECORD_BATCH_OVERHEAD]);

/// What the first bytes at some position turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// The length field is impossible.
    BadLength(i32),
    /// Magic 0 or 1: a message set of Kafka before 0.11.
    LegacyMagic(i8),
    /// Neither version 2 nor an older one.
    UnknownMagic(i8),
}

impl std::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HeaderError::BadLength(length) => write!(f, "impossible batch length {length}"),
            HeaderError::LegacyMagic(magic) => write!(f, "message format v{magic} of Kafka before 0.11"),
            HeaderError::UnknownMagic(magic) => write!(f, "unknown magic {magic}"),
        }
    }
}

impl From<HeaderError> for io::Error {
    fn from(error: HeaderError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error.to_string())
    }
}

impl HeaderBytes {
    /// Copies the header at the start of `bytes`; `None` when there are fewer than 61.
    pub fn copy_from(bytes: &[u8]) -> Option<HeaderBytes> {
        bytes.first_chunk::<RECORD_BATCH_OVERHEAD>().map(|head| HeaderBytes(*head))
    }

    /// Checks magic and length: everything needed to trust [`HeaderBytes::size_in_bytes`].
    pub fn check(&self) -> Result<(), HeaderError> {
        match self.magic() {
            2 => {}
            magic @ (0 | 1) => return Err(HeaderError::LegacyMagic(magic)),
            magic => return Err(HeaderError::UnknownMagic(magic)),
        }
        let length = self.batch_length();
        if length < (RECORD_BATCH_OVERHEAD - LENGTH_OVERHEAD) as i32 || self.last_offset_delta() < 0 {
            return Err(HeaderError::BadLength(length));
        }
        Ok(())
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.0[at..at + N]);
        out
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.0[at..at + N].copy_from_slice(&bytes);
    }

    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.array(0))
    }
    pub fn batch_length(&self) -> i32 {
        i32::from_be_bytes(self.array(8))
    }
    /// Whole size of the batch, header included.
    pub fn size_in_bytes(&self) -> usize {
        LENGTH_OVERHEAD + self.batch_length().max(0) as usize
    }
    pub fn leader_epoch(&self) -> i32 {
        i32::from_be_bytes(self.array(12))
    }
    pub fn magic(&self) -> i8 {
        self.0[16] as i8
    }
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.array(17))
    }
    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.array(21))
    }
    pub fn codec_id(&self) -> u8 {
        (self.attributes() & 0x07) as u8
    }
    pub fn is_log_append_time(&self) -> bool {
        self.attributes() & LOG_APPEND_TIME_BIT != 0
    }
    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL_BIT != 0
    }
    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL_BIT != 0
    }
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes() & DELETE_HORIZON_BIT != 0).then(|| self.base_timestamp())
    }
    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.array(23))
    }
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }
    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.array(27))
    }
    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.array(35))
    }
    pub fn producer_id(&self) -> i64 {
        i64::from_be_bytes(self.array(43))
    }
    pub fn has_producer_id(&self) -> bool {
        self.producer_id() >= 0
    }
    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.array(51))
    }
    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.array(53))
    }
    /// Sequence of the last record; wraps from `i32::MAX` to 0, -1 if the batch has no sequence.
    pub fn last_sequence(&self) -> i32 {
        let base = self.base_sequence();
        if base < 0 { base } else { increment_sequence(base, self.last_offset_delta()) }
    }
    pub fn count(&self) -> i32 {
        i32::from_be_bytes(self.array(57))
    }

    pub fn set_base_offset(&mut self, offset: i64) {
        self.put(0, offset.to_be_bytes());
    }
    pub fn set_batch_length(&mut self, length: i32) {
        self.put(8, length.to_be_bytes());
    }
    pub fn set_leader_epoch(&mut self, leader_epoch: i32) {
        self.put(12, leader_epoch.to_be_bytes());
    }
    pub fn set_attributes(&mut self, attributes: i16) {
        self.put(21, attributes.to_be_bytes());
    }
    pub fn set_max_timestamp(&mut self, timestamp: i64) {
        self.put(35, timestamp.to_be_bytes());
    }
    /// Writes the CRC-32C that belongs to this header and `payload`.
    pub fn seal(&mut self, payload: &[u8]) {
        let crc = self.compute_crc(payload);
        self.put(17, crc.to_be_bytes());
    }
    /// CRC-32C over everything behind the CRC field.
    pub fn compute_crc(&self, payload: &[u8]) -> u32 {
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(&self.0[21..]);
        digest.update(payload);
        digest.finalize() as u32
    }
}

/// `sequence + increment` in the ring `0..=i32::MAX`.
pub(crate) fn increment_sequence(sequence: i32, increment: i32) -> i32 {
    let sum = i64::from(sequence) + i64::from(increment);
    (sum % (i64::from(i32::MAX) + 1)) as i32
}

/// `sequence - decrement` in the ring `0..=i32::MAX`.
pub(crate) fn decrement_sequence(sequence: i32, decrement: i32) -> i32 {
    let ring = i64::from(i32::MAX) + 1;
    ((i64::from(sequence) - i64::from(decrement)).rem_euclid(ring)) as i32
}
