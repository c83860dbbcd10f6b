//! Which partition a record goes to: the choices of Kafka's own producer.
//!
//! A key always maps to the same partition, the one every other Kafka client with the
//! murmur2 partitioner picks. Records without a key stick to one partition until its batch
//! is sent, then move on (KIP-480), so that batches fill.

/// Partition of `key` among `partition_count` partitions (which must be at least 1).
pub fn partition_for_key(key: &[u8], partition_count: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) % partition_count.max(1)
}

/// MurmurHash2 with Kafka's seed, as a signed 32-bit number.
pub fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ (hash >> 15)) as i32
}

/// The partition that records without a key currently go to.
#[derive(Debug, Default)]
pub struct StickyPartition {
    current: Option<i32>,
}

impl StickyPartition {
    /// The sticky partition among `partition_count`, chosen at random when there is none yet.
    pub fn current(&mut self, partition_count: i32) -> i32 {
        match self.current {
            Some(partition) if partition < partition_count => partition,
            _ => self.next(partition_count),
        }
    }

    /// Moves on to another partition, if there is one.
    pub fn next(&mut self, partition_count: i32) -> i32 {
        let count = partition_count.max(1);
        let next = match self.current {
            Some(old) if count > 1 => (old + rand::random_range(1..count)) % count,
            Some(_) => 0,
            None => rand::random_range(0..count),
        };
        self.current = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_the_values_of_kafkas_java_client() {
        let vectors: [(&[u8], i32); 8] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
            (b"\x00\x01\x02\x03", murmur2(&[0, 1, 2, 3])),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key), hash, "{key:?}");
        }
    }

    #[test]
    fn keys_map_into_range_even_when_the_hash_is_negative() {
        for count in [1, 2, 3, 7, 50] {
            for key in ["21", "foobar", "", "k1", "k2"] {
                let partition = partition_for_key(key.as_bytes(), count);
                assert!((0..count).contains(&partition));
                assert_eq!(partition, partition_for_key(key.as_bytes(), count));
            }
        }
        assert_eq!(partition_for_key(b"abc", 10), 479_470_107 % 10);
    }

    #[test]
    fn sticky_partition_stays_until_told_and_then_differs() {
        let mut sticky = StickyPartition::default();
        let first = sticky.current(5);
        assert_eq!(sticky.current(5), first);
        assert_ne!(sticky.next(5), first);
        assert_eq!(StickyPartition::default().current(1), 0);
    }
}
