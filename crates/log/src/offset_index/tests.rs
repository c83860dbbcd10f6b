//! The index agrees with a plain sorted list, byte for byte and lookup for lookup.

use proptest::prelude::*;

use super::*;

fn name(dir: &tempfile::TempDir) -> Arc<SegmentName> {
    SegmentName::new(&Arc::new(crate::paths::LogHome::new(dir.path().to_path_buf())), 1000, "")
}

fn index(dir: &tempfile::TempDir) -> OffsetIndex {
    OffsetIndex::create(&name(dir), &FileCache::new(8))
}

#[test]
fn entries_are_stored_as_big_endian_relative_offset_and_position() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(&dir);
    index.append(1005, 4200).unwrap();
    index.append(1300, 70_000).unwrap();
    index.entries.flush().unwrap();
    let bytes = std::fs::read(index.entries.path()).unwrap();
    assert_eq!(bytes, [0, 0, 0, 5, 0, 0, 0x10, 0x68, 0, 0, 1, 0x2c, 0, 1, 0x11, 0x70]);
}

#[test]
fn valid_prefix_ends_at_the_first_entry_out_of_order() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(&dir);
    for (offset, position) in [(1005, 100), (1010, 200), (1008, 300), (1020, 400)] {
        index.append(offset, position).unwrap();
    }
    assert_eq!(index.valid_prefix(i64::MAX, u64::MAX).unwrap(), 2);
    assert_eq!(index.valid_prefix(1010, u64::MAX).unwrap(), 1);
    assert_eq!(index.valid_prefix(i64::MAX, 100).unwrap(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn lookups_agree_with_a_sorted_list(
        steps in prop::collection::vec((1i64..50, 1u32..10_000), 0..400),
        reopen in any::<bool>(),
        targets in prop::collection::vec(900i64..14_000, 1..30),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut index = index(&dir);
        let mut model = Vec::new();
        let (mut offset, mut position) = (1000, 0);
        for (offset_step, position_step) in steps {
            offset += offset_step;
            position += position_step;
            index.append(offset, position).unwrap();
            model.push(OffsetPosition { offset, position });
        }
        if reopen {
            index.entries.flush().unwrap();
            index = OffsetIndex::open(&name(&dir), &FileCache::new(8));
        }
        prop_assert_eq!(index.entries.len().unwrap(), model.len());
        prop_assert_eq!(index.valid_prefix(i64::MAX, u64::MAX).unwrap(), model.len());
        for target in targets {
            let expected = model.iter().rev().find(|entry| entry.offset <= target).copied();
            prop_assert_eq!(index.lookup(target).unwrap(), expected);
            let expected = model.iter().rev().find(|entry| i64::from(entry.position) <= target).copied();
            prop_assert_eq!(index.lookup_position(target as u32).unwrap(), expected);
        }
        let keep = model.len() / 3;
        index.entries.truncate(keep).unwrap();
        prop_assert_eq!(index.last().unwrap(), model[..keep].last().copied());
    }
}
