//! Sequence, epoch and transaction rules of KIP-98, against a simple model.

use proptest::prelude::*;

use super::*;
use crate::batch_header::{CONTROL_BIT, TRANSACTIONAL_BIT};

fn header(producer_id: i64, producer_epoch: i16, base_sequence: i32, count: i32, base_offset: i64) -> HeaderBytes {
    let mut bytes = [0; 61];
    bytes[16] = 2;
    bytes[8..12].copy_from_slice(&49i32.to_be_bytes());
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[35..43].copy_from_slice(&base_offset.to_be_bytes());
    bytes[43..51].copy_from_slice(&producer_id.to_be_bytes());
    bytes[51..53].copy_from_slice(&producer_epoch.to_be_bytes());
    bytes[53..57].copy_from_slice(&base_sequence.to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    let mut header = HeaderBytes(bytes);
    header.set_base_offset(base_offset);
    header
}

fn transactional(mut header: HeaderBytes) -> HeaderBytes {
    header.set_attributes(header.attributes() | TRANSACTIONAL_BIT);
    header
}

fn append(state: &mut ProducerState, header: HeaderBytes) -> Result<Verdict, AppendError> {
    let verdict = state.check(&header, false)?;
    if verdict == Verdict::Append {
        state.apply(&header, &[]);
    }
    Ok(verdict)
}

fn marker(committed: bool, coordinator_epoch: i32) -> Vec<u8> {
    let mut record = vec![0, 0, 0, 8, 0, 0, 0, u8::from(committed), 12, 0, 0];
    record.extend_from_slice(&coordinator_epoch.to_be_bytes());
    record.push(0);
    record.insert(0, (record.len() * 2) as u8);
    record
}

fn end_txn(
    state: &mut ProducerState,
    producer_epoch: i16,
    committed: bool,
    coordinator_epoch: i32,
    offset: i64,
) -> Result<Option<CompletedTxn>, AppendError> {
    let mut header = transactional(header(1, producer_epoch, -1, 1, offset));
    header.set_attributes(header.attributes() | CONTROL_BIT);
    let payload = marker(committed, coordinator_epoch);
    let parsed = EndTxnMarker::parse(&payload).unwrap();
    assert_eq!(parsed, EndTxnMarker { committed, coordinator_epoch });
    state.check_marker(&header, &parsed, false)?;
    Ok(state.apply(&header, &payload))
}

#[test]
fn any_of_the_last_five_batches_is_a_duplicate_and_older_ones_are_out_of_order() {
    let mut state = ProducerState::default();
    for n in 0..7 {
        assert_eq!(append(&mut state, header(1, 0, n * 3, 3, i64::from(n) * 3)).unwrap(), Verdict::Append);
    }
    for n in 2..7 {
        let Verdict::Duplicate(batch) = append(&mut state, header(1, 0, n * 3, 3, 99)).unwrap() else {
            panic!("batch {n}")
        };
        assert_eq!((batch.first_offset(), batch.last_offset), (i64::from(n) * 3, i64::from(n) * 3 + 2));
    }
    assert!(matches!(append(&mut state, header(1, 0, 3, 3, 99)), Err(AppendError::OutOfOrderSequence { .. })));
    assert!(matches!(
        append(&mut state, header(1, 0, 22, 3, 99)),
        Err(AppendError::OutOfOrderSequence { got: 22, last: 20, .. })
    ));
}

#[test]
fn an_unknown_producer_may_start_anywhere_but_a_new_epoch_starts_at_zero() {
    let mut state = ProducerState::default();
    append(&mut state, header(1, 4, 77, 1, 0)).unwrap();
    assert!(matches!(append(&mut state, header(1, 5, 78, 1, 1)), Err(AppendError::OutOfOrderSequence { .. })));
    append(&mut state, header(1, 5, 0, 1, 1)).unwrap();
    assert!(matches!(
        append(&mut state, header(1, 4, 78, 1, 2)),
        Err(AppendError::InvalidProducerEpoch { got: 4, current: 5, .. })
    ));
}

#[test]
fn sequences_wrap_to_zero_within_and_between_batches() {
    let mut state = ProducerState::default();
    append(&mut state, header(1, 0, i32::MAX - 1, 4, 0)).unwrap();
    assert_eq!(state.producers()[&1].last_sequence(), 1);
    assert!(matches!(append(&mut state, header(1, 0, i32::MAX - 1, 4, 9)).unwrap(), Verdict::Duplicate(_)));
    append(&mut state, header(1, 0, 2, 1, 4)).unwrap();
    append(&mut state, header(2, 0, i32::MAX, 1, 5)).unwrap();
    append(&mut state, header(2, 0, 0, 1, 6)).unwrap();
}

#[test]
fn a_transaction_holds_the_stable_offset_until_its_marker() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(header(1, 0, 0, 2, 10))).unwrap();
    append(&mut state, transactional(header(2, 0, 0, 1, 12))).unwrap();
    append(&mut state, transactional(header(1, 0, 2, 1, 13))).unwrap();
    assert_eq!(state.first_open_offset(), Some(10));
    assert!(matches!(append(&mut state, header(1, 0, 3, 1, 14)), Err(AppendError::InvalidTxnState { .. })));
    let completed = end_txn(&mut state, 0, false, 5, 14).unwrap().unwrap();
    let expected =
        CompletedTxn { producer_id: 1, first_offset: 10, last_offset: 14, committed: false, last_stable_offset: 12 };
    assert_eq!(completed, expected);
    assert_eq!(state.first_open_offset(), Some(12));
    assert_eq!(end_txn(&mut state, 0, true, 5, 15).unwrap(), None);
}

#[test]
fn markers_of_an_old_coordinator_or_epoch_are_refused() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(header(1, 2, 0, 1, 0))).unwrap();
    end_txn(&mut state, 2, true, 5, 1).unwrap();
    assert!(matches!(
        end_txn(&mut state, 2, true, 4, 2),
        Err(AppendError::CoordinatorFenced { got: 4, current: 5, .. })
    ));
    assert!(matches!(end_txn(&mut state, 1, true, 6, 2), Err(AppendError::InvalidProducerEpoch { .. })));
    end_txn(&mut state, 3, true, 6, 2).unwrap();
    append(&mut state, transactional(header(1, 3, 0, 1, 3))).unwrap();
}

#[test]
fn silent_producers_expire_unless_a_transaction_is_open() {
    let mut state = ProducerState::default();
    append(&mut state, header(1, 0, 0, 1, 100)).unwrap();
    append(&mut state, transactional(header(2, 0, 0, 1, 100))).unwrap();
    append(&mut state, header(3, 0, 0, 1, 900)).unwrap();
    state.expire(1000, 500);
    let mut left: Vec<_> = state.producers().keys().copied().collect();
    left.sort_unstable();
    assert_eq!(left, [2, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn each_batch_is_accepted_exactly_once_whatever_is_retried(
        start in prop_oneof![Just(0), (i32::MAX - 60)..i32::MAX],
        counts in prop::collection::vec(1i32..9, 1..40),
        retries in prop::collection::vec((0usize..40, 0usize..5), 0..40),
    ) {
        let mut state = ProducerState::default();
        let (mut offset, mut sequence) = (0i64, start);
        let mut sent = Vec::new();
        for (n, count) in counts.iter().enumerate() {
            let batch = header(7, 0, sequence, *count, offset);
            prop_assert_eq!(append(&mut state, batch).unwrap(), Verdict::Append);
            sent.push((batch, offset));
            for (_, back) in retries.iter().filter(|(at, _)| *at == n) {
                let Some(at) = n.checked_sub(*back) else { continue };
                let Verdict::Duplicate(found) = append(&mut state, sent[at].0).unwrap() else { panic!("appended twice") };
                prop_assert_eq!(found.first_offset(), sent[at].1);
            }
            offset += i64::from(*count);
            sequence = crate::batch_header::increment_sequence(sequence, *count);
        }
        let snapshot = crate::producer_snapshot::encode(&state);
        let mut restored = ProducerState::from_entries(crate::producer_snapshot::decode(&snapshot).unwrap());
        prop_assert_eq!(append(&mut restored, header(7, 0, sequence, 1, offset)).unwrap(), Verdict::Append);
    }
}

#[test]
fn under_transactions_v2_a_producer_without_state_starts_at_zero() {
    let state = ProducerState::default();
    let late = transactional(header(1, 3, 5, 1, 0));
    assert!(matches!(state.check(&late, true), Err(AppendError::OutOfOrderSequence { got: 5, last: -1, .. })));
    assert_eq!(state.check(&late, false).unwrap(), Verdict::Append);
    assert_eq!(state.check(&header(1, 3, 5, 1, 0), true).unwrap(), Verdict::Append, "not transactional");
    assert_eq!(state.check(&transactional(header(1, 3, 0, 1, 0)), true).unwrap(), Verdict::Append);
}

#[test]
fn only_an_open_transaction_of_the_same_epoch_is_continued() {
    let mut state = ProducerState::default();
    let first = transactional(header(1, 0, 0, 1, 0));
    assert!(matches!(state.check_continues(&first), Err(AppendError::TransactionNotOpen { producer_id: 1 })));
    append(&mut state, first).unwrap();
    state.check_continues(&transactional(header(1, 0, 1, 1, 1))).unwrap();
    assert!(state.check_continues(&transactional(header(1, 1, 0, 1, 1))).is_err(), "a newer epoch has not begun");
    end_txn(&mut state, 0, true, 0, 1).unwrap();
    assert!(state.check_continues(&transactional(header(1, 0, 1, 1, 2))).is_err(), "the marker ended it");
}

#[test]
fn under_transactions_v2_a_late_marker_does_not_end_the_next_transaction() {
    let mut state = ProducerState::default();
    append(&mut state, transactional(header(1, 4, 0, 1, 0))).unwrap();
    let marker = EndTxnMarker { committed: true, coordinator_epoch: 0 };
    let mut late = transactional(header(1, 4, -1, 1, 1));
    late.set_attributes(late.attributes() | CONTROL_BIT);
    assert!(matches!(state.check_marker(&late, &marker, true), Err(AppendError::InvalidProducerEpoch { .. })));
    end_txn(&mut state, 5, true, 0, 1).unwrap();
    let mut again = transactional(header(1, 5, -1, 1, 2));
    again.set_attributes(again.attributes() | CONTROL_BIT);
    state.check_marker(&again, &marker, true).unwrap();
}
