//! Key → last offset, for compaction: 24 bytes a key, whatever its length.
//!
//! Keys are stored as their MD5 (16 bytes, as Kafka's cleaner does it: two keys with one hash would lose a record, which takes about 2^64 keys),
//! in an open-addressed table of fixed size.

use md5::{Digest, Md5};

const SLOT_BYTES: usize = 24;

/// A bounded map from keys to offsets.
pub(crate) struct OffsetMap {
    slots: Vec<[u8; SLOT_BYTES]>,
    used: usize,
    capacity: usize,
    latest_offset: i64,
}

impl OffsetMap {
    /// A map of at most `bytes`, filled to at most `load_factor`; smaller if `keys_max` keys need less.
    pub fn new(bytes: usize, load_factor: f64, keys_max: usize) -> OffsetMap {
        let load_factor = load_factor.clamp(0.05, 0.95);
        let wanted = (keys_max.max(1) as f64 / load_factor).ceil() as usize + 1;
        let slots = (bytes / SLOT_BYTES).min(wanted).max(2);
        let capacity = ((slots as f64 * load_factor) as usize).clamp(1, slots - 1);
        OffsetMap { slots: vec![[0; SLOT_BYTES]; slots], used: 0, capacity, latest_offset: -1 }
    }

    /// Whether another key may not fit.
    pub fn is_full(&self) -> bool {
        self.used >= self.capacity
    }

    /// Largest offset put or marked as seen; records behind it were not looked at.
    pub fn latest_offset(&self) -> i64 {
        self.latest_offset
    }

    /// Everything up to `offset` has been looked at.
    pub fn seen(&mut self, offset: i64) {
        self.latest_offset = self.latest_offset.max(offset);
    }

    /// `key` was last written at `offset`. Must not be called when the map is full.
    pub fn put(&mut self, key: &[u8], offset: i64) {
        let hash: [u8; 16] = Md5::digest(key).into();
        let at = self.slot_of(&hash);
        let slot = &mut self.slots[at];
        if slot[16..] == [0; 8] {
            self.used += 1;
        }
        slot[..16].copy_from_slice(&hash);
        slot[16..].copy_from_slice(&(offset + 1).to_be_bytes());
        self.seen(offset);
    }

    /// The last offset of `key`, if it was put.
    pub fn get(&self, key: &[u8]) -> Option<i64> {
        let hash: [u8; 16] = Md5::digest(key).into();
        let [.., a, b, c, d, e, f, g, h] = self.slots[self.slot_of(&hash)];
        match i64::from_be_bytes([a, b, c, d, e, f, g, h]) {
            0 => None,
            offset_and_one => Some(offset_and_one - 1),
        }
    }

    /// The slot that holds `hash`, or the free one where it belongs. There is always a free one.
    fn slot_of(&self, hash: &[u8; 16]) -> usize {
        let [a, b, c, d, e, f, g, h, ..] = *hash;
        let mut at = (u64::from_be_bytes([a, b, c, d, e, f, g, h]) % self.slots.len() as u64) as usize;
        while self.slots[at][16..] != [0; 8] && self.slots[at][..16] != *hash {
            at = (at + 1) % self.slots.len();
        }
        at
    }
}

#[cfg(test)]
mod tests;
