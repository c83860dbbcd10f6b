//! Epoch ends are found as KIP-101 wants them, over restarts and truncation.

use super::*;

fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
    let mut epochs = LeaderEpochs::default();
    for (leader_epoch, start_offset) in entries {
        assert!(epochs.assign(*leader_epoch, *start_offset));
    }
    epochs
}

#[test]
fn the_end_of_an_epoch_is_the_start_of_the_next() {
    let epochs = epochs(&[(2, 10), (5, 20), (6, 30)]);
    assert_eq!(epochs.end_offset(6, 40), (6, 40));
    assert_eq!(epochs.end_offset(5, 40), (5, 30));
    assert_eq!(epochs.end_offset(3, 40), (2, 20));
    assert_eq!(epochs.end_offset(1, 40), (1, 10));
    assert_eq!(epochs.end_offset(7, 40), (-1, -1));
    assert_eq!(epochs.end_offset(-1, 40), (-1, -1));
}

#[test]
fn an_epoch_that_wrote_nothing_is_replaced_and_an_old_one_refused() {
    let mut epochs = epochs(&[(0, 0), (1, 8)]);
    assert!(!epochs.assign(1, 9));
    assert!(epochs.assign(2, 8));
    assert_eq!(
        epochs.entries(),
        [EpochEntry { leader_epoch: 0, start_offset: 0 }, EpochEntry { leader_epoch: 2, start_offset: 8 }]
    );
}

#[test]
fn the_file_has_kafkas_text_form_and_survives_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = epochs(&[(0, 0), (3, 17)]);
    written.persist(dir.path()).unwrap();
    assert_eq!(std::fs::read_to_string(dir.path().join(LEADER_EPOCH_FILE)).unwrap(), "0\n2\n0 0\n3 17\n");
    assert_eq!(LeaderEpochs::load(dir.path()).entries(), written.entries());
}

#[test]
fn truncation_keeps_the_epoch_that_covers_the_new_bound() {
    let mut shortened = epochs(&[(0, 0), (1, 10), (2, 20)]);
    shortened.truncate_from_start(15);
    assert_eq!(shortened.entries()[0], EpochEntry { leader_epoch: 1, start_offset: 15 });
    shortened.truncate_from_end(20);
    assert_eq!(shortened.latest(), Some(1));
}
