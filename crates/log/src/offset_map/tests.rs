//! The map agrees with a hash map up to its bound.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[test]
fn it_fills_up_to_its_load_factor_and_keeps_what_it_has() {
    let mut map = OffsetMap::new(24 * 100, 0.9, usize::MAX / 4);
    let mut put = 0i64;
    while !map.is_full() {
        map.put(format!("key-{put}").as_bytes(), put);
        put += 1;
    }
    assert_eq!(put, 90);
    assert!((0..put).all(|n| map.get(format!("key-{n}").as_bytes()) == Some(n)));
    assert_eq!(map.get(b"other"), None);
    assert_eq!(map.latest_offset(), 89);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_last_offset_of_each_key_is_found(keys in prop::collection::vec(0u16..80, 1..300)) {
        let mut map = OffsetMap::new(1 << 20, 0.9, keys.len());
        let mut model = HashMap::new();
        for (offset, key) in keys.iter().enumerate() {
            prop_assert!(!map.is_full());
            map.put(&key.to_be_bytes(), offset as i64);
            model.insert(*key, offset as i64);
        }
        for key in 0u16..100 {
            prop_assert_eq!(map.get(&key.to_be_bytes()), model.get(&key).copied());
        }
    }
}
