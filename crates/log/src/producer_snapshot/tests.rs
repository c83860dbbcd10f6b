//! The stored form is stable, checked and complete.

use super::*;

fn entry(sequence: i32) -> ProducerEntry {
    ProducerEntry {
        producer_epoch: 3,
        coordinator_epoch: 7,
        last_timestamp: 1000,
        current_txn_first_offset: Some(40),
        batches: VecDeque::from([BatchMetadata {
            last_sequence: sequence,
            last_offset: 49,
            offset_delta: 4,
            timestamp: 1000,
        }]),
    }
}

#[test]
fn a_snapshot_round_trips_and_has_46_bytes_a_producer() {
    let state = ProducerState::from_entries([
        (9, entry(12)),
        (4, ProducerEntry { batches: VecDeque::new(), current_txn_first_offset: None, ..entry(0) }),
    ]);
    let bytes = encode(&state);
    assert_eq!(bytes.len(), 10 + 2 * 46);
    assert_eq!(&bytes[..2], [0, 1]);
    assert_eq!(&bytes[6..18], [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4]);
    assert_eq!(ProducerState::from_entries(decode(&bytes).unwrap()), state);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let bytes = encode(&ProducerState::from_entries([(9, entry(12))]));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&damaged).is_err(), "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "length {length}");
    }
}

#[test]
fn the_newest_usable_snapshot_is_taken_and_damaged_ones_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    for (offset, sequence) in [(10, 1), (20, 2), (30, 3)] {
        write(dir.path(), offset, &ProducerState::from_entries([(9, entry(sequence))])).unwrap();
    }
    let newest = dir.path().join(file_name(30, SNAPSHOT_SUFFIX));
    fs::write(&newest, b"torn").unwrap();
    let offsets = list(dir.path()).unwrap();
    assert_eq!(offsets, [10, 20, 30]);
    let (offset, state) = load_latest(dir.path(), &offsets, 35).unwrap();
    assert_eq!((offset, state.producers()[&9].last_sequence()), (20, 2));
    assert!(!newest.exists());
    assert_eq!(load_latest(dir.path(), &offsets, 15).unwrap().0, 10);
    assert!(load_latest(dir.path(), &offsets, 5).is_none());
}
