//! The stored form is Kafka's, and truncation follows the markers.

use super::*;

fn entry(n: i64) -> AbortedTxnEntry {
    AbortedTxnEntry { producer_id: n, first_offset: n * 10, last_offset: n * 10 + 5, last_stable_offset: n * 10 + 6 }
}

#[test]
fn entries_round_trip_in_34_bytes() {
    let bytes = entry(3).encode();
    assert_eq!(bytes.len(), 34);
    assert_eq!(&bytes[..2], [0, 0]);
    assert_eq!(AbortedTxnEntry::decode(&bytes), Some(entry(3)));
    let mut unknown = bytes;
    unknown[1] = 9;
    assert_eq!(AbortedTxnEntry::decode(&unknown), None);
}

#[test]
fn truncation_drops_markers_at_or_above_the_offset_and_the_file_when_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("00000000000000000000.txnindex");
    let name = SegmentName::new(&Arc::new(crate::paths::LogHome::new(dir.path().to_path_buf())), 0, "");
    let index = TransactionIndex::create(&name);
    assert!(index.all().unwrap().is_empty() && !path.exists());
    for n in 1..=3 {
        index.append(&entry(n)).unwrap();
    }
    index.truncate_to(35).unwrap();
    assert_eq!(TransactionIndex::open(&name).all().unwrap(), [entry(1), entry(2)]);
    index.truncate_to(0).unwrap();
    assert!(!path.exists());
    index.append(&entry(4)).unwrap();
    assert_eq!(index.all().unwrap(), [entry(4)]);
}
