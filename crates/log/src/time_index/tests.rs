//! Timestamps only grow, and a lookup never skips a record that is late enough.

use proptest::prelude::*;

use super::*;

fn name(dir: &tempfile::TempDir) -> Arc<SegmentName> {
    SegmentName::new(&Arc::new(crate::paths::LogHome::new(dir.path().to_path_buf())), 100, "")
}

fn index(dir: &tempfile::TempDir) -> TimeIndex {
    TimeIndex::create(&name(dir), &FileCache::new(8))
}

#[test]
fn entries_are_stored_as_timestamp_and_relative_offset() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(&dir);
    index.maybe_append(TimestampOffset { timestamp: 258, offset: 103 }).unwrap();
    index.entries.flush().unwrap();
    assert_eq!(std::fs::read(index.entries.path()).unwrap(), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 3]);
}

#[test]
fn an_entry_that_is_not_later_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let index = index(&dir);
    for (timestamp, offset) in [(10, 101), (10, 105), (9, 107), (11, 110), (-1, 120)] {
        index.maybe_append(TimestampOffset { timestamp, offset }).unwrap();
    }
    assert_eq!(index.entries.len().unwrap(), 2);
    assert_eq!(index.last().unwrap(), Some(TimestampOffset { timestamp: 11, offset: 110 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn lookup_is_the_last_entry_that_is_earlier(
        steps in prop::collection::vec((1i64..20, 1i64..9), 0..300),
        targets in prop::collection::vec(0i64..4000, 1..30),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let index = index(&dir);
        let mut model: Vec<TimestampOffset> = Vec::new();
        let (mut timestamp, mut offset) = (0, 100);
        for (timestamp_step, offset_step) in steps {
            timestamp += timestamp_step;
            offset += offset_step;
            index.maybe_append(TimestampOffset { timestamp, offset }).unwrap();
            model.push(TimestampOffset { timestamp, offset });
        }
        prop_assert_eq!(index.valid_prefix(i64::MAX).unwrap(), model.len());
        for target in targets {
            let expected = model.iter().rev().find(|entry| entry.timestamp < target).copied();
            prop_assert_eq!(index.lookup_before(target).unwrap(), expected);
        }
    }
}
