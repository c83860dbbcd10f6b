//! Tests of the window: examples first, then any sequence of operations against a plain model.

use proptest::prelude::*;

use super::*;

fn member(name: &str) -> Arc<str> {
    name.into()
}

fn log_batch(base_offset: i64, last_offset: i64) -> LogBatch {
    LogBatch { base_offset, last_offset, hidden: false }
}

/// Acquires up to `max_records` of `batches`; the lock runs out at 100.
fn acquire(window: &mut Window, name: &str, max_records: i64, strict: bool, batches: &[LogBatch]) -> Acquired {
    let member = member(name);
    let Some(fetch_offset) = window.next_fetch_offset(1_000) else { return Acquired::default() };
    let wanted = Acquisition {
        member: &member,
        fetch_offset,
        max_records,
        batch_size: 100,
        strict,
        max_in_flight: 1_000,
        lock_until_ms: 100,
    };
    let readable: Vec<LogBatch> = batches.iter().filter(|batch| batch.last_offset >= fetch_offset).copied().collect();
    window.acquire(&wanted, &readable)
}

fn range(first_offset: i64, last_offset: i64, delivery_count: i16) -> AcquiredRange {
    AcquiredRange { first_offset, last_offset, delivery_count }
}

fn ack(first_offset: i64, last_offset: i64, ack: AckType) -> AckBatch {
    AckBatch { first_offset, last_offset, types: vec![ack] }
}

fn state(first_offset: i64, last_offset: i64, delivery_state: i8, delivery_count: i16) -> StateBatch {
    StateBatch { first_offset, last_offset, delivery_state, delivery_count }
}

const TEN: &[LogBatch] = &[LogBatch { base_offset: 0, last_offset: 9, hidden: false }];

#[test]
fn a_record_belongs_to_one_member_at_a_time() {
    let mut window = Window::new(0, &[]);
    let batches = [log_batch(0, 4), log_batch(5, 9)];
    assert_eq!(acquire(&mut window, "a", 3, false, &batches).ranges, [range(0, 4, 1)], "batches are not cut");
    assert_eq!(acquire(&mut window, "b", 100, false, &batches).ranges, [range(5, 9, 1)]);
    assert_eq!(acquire(&mut window, "c", 100, false, &batches).ranges, []);
    assert_eq!(window.acknowledge("b", &[ack(0, 1, AckType::Accept)], 5, 0), Err(ErrorCode::InvalidRecordState));
}

#[test]
fn the_strict_mode_cuts_batches() {
    let mut window = Window::new(0, &[]);
    assert_eq!(acquire(&mut window, "a", 3, true, TEN).ranges, [range(0, 2, 1)]);
    assert_eq!(acquire(&mut window, "b", 2, true, TEN).ranges, [range(3, 4, 1)]);
    window.acknowledge("a", &[ack(0, 2, AckType::Release)], 5, 0).unwrap();
    assert_eq!(acquire(&mut window, "b", 2, true, TEN).ranges, [range(0, 1, 2)]);
}

#[test]
fn the_start_moves_past_what_is_finished() {
    let mut window = Window::new(0, &[]);
    acquire(&mut window, "a", 10, false, TEN);
    let changes = window.acknowledge("a", &[ack(5, 9, AckType::Accept)], 5, 0).unwrap();
    assert_eq!(changes, [state(5, 9, 2, 1)]);
    assert_eq!((window.start_offset(), window.delivery_complete_count()), (0, 5));
    let types = vec![AckType::Accept, AckType::Reject, AckType::Gap, AckType::Release, AckType::Accept];
    let changes = window.acknowledge("a", &[AckBatch { first_offset: 0, last_offset: 4, types }], 5, 0).unwrap();
    assert_eq!(
        changes,
        [state(0, 0, 2, 1), state(1, 1, 4, 1), state(2, 2, 4, 1), state(3, 3, 0, 1), state(4, 4, 2, 1)]
    );
    assert_eq!((window.start_offset(), window.delivery_complete_count()), (3, 6));
    assert_eq!(acquire(&mut window, "b", 10, false, TEN).ranges, [range(3, 3, 2)]);
    window.acknowledge("b", &[ack(3, 3, AckType::Accept)], 5, 0).unwrap();
    assert_eq!((window.start_offset(), window.next_fetch_offset(10)), (10, Some(10)));
}

#[test]
fn acknowledgements_are_taken_all_or_none() {
    let mut window = Window::new(0, &[]);
    acquire(&mut window, "a", 4, true, TEN);
    let acks = [ack(0, 1, AckType::Accept), ack(3, 4, AckType::Accept)];
    assert_eq!(window.acknowledge("a", &acks, 5, 0), Err(ErrorCode::InvalidRecordState));
    assert_eq!(window.start_offset(), 0);
    window.acknowledge("a", &acks[..1], 5, 0).unwrap();
    assert_eq!(window.acknowledge("a", &[ack(3, 3, AckType::Accept)], 5, 0).map(|changes| changes.len()), Ok(1));
    assert_eq!(window.acknowledge("a", &[ack(3, 3, AckType::Accept)], 5, 0), Err(ErrorCode::InvalidRecordState));
}

#[test]
fn a_record_is_given_up_after_too_many_deliveries() {
    let mut window = Window::new(0, &[]);
    for delivery in 1..=3 {
        assert_eq!(acquire(&mut window, "a", 10, false, TEN).ranges, [range(0, 9, delivery)]);
        if delivery == 2 {
            window.expire_locks(100, 3);
        } else {
            window.acknowledge("a", &[ack(0, 9, AckType::Release)], 3, 0).unwrap();
        }
    }
    assert_eq!(window.start_offset(), 10, "the third release archives");
}

#[test]
fn locks_run_out_at_their_time_and_renewal_begins_them_anew() {
    let mut window = Window::new(0, &[]);
    acquire(&mut window, "a", 10, false, TEN);
    assert_eq!(window.next_deadline(), Some(100));
    assert_eq!(window.acknowledge("a", &[ack(4, 4, AckType::Renew)], 5, 150), Ok(Vec::new()));
    assert_eq!(window.expire_locks(99, 5), []);
    assert_eq!(window.expire_locks(100, 5), [state(0, 3, 0, 1), state(5, 9, 0, 1)]);
    assert_eq!(window.next_deadline(), Some(150));
    window.acknowledge("a", &[ack(4, 4, AckType::Accept)], 5, 0).unwrap();
    assert_eq!(window.acknowledge("a", &[ack(0, 0, AckType::Accept)], 5, 0), Err(ErrorCode::InvalidRecordState));
}

#[test]
fn what_a_member_leaves_behind_goes_to_others() {
    let mut window = Window::new(0, &[]);
    acquire(&mut window, "a", 4, true, TEN);
    acquire(&mut window, "b", 4, true, TEN);
    assert_eq!(window.release_member("a", 5), [state(0, 3, 0, 1)]);
    assert_eq!(acquire(&mut window, "b", 4, true, TEN).ranges, [range(0, 3, 2)]);
    assert_eq!(window.release_member("b", 2), [state(0, 3, 4, 2), state(4, 7, 0, 1)]);
    assert_eq!(window.start_offset(), 4);
}

#[test]
fn hidden_batches_and_gaps_are_archived_and_never_handed_out() {
    let mut window = Window::new(0, &[]);
    let hidden = LogBatch { base_offset: 3, last_offset: 3, hidden: true };
    let acquired = acquire(&mut window, "a", 100, false, &[log_batch(0, 2), hidden, log_batch(8, 9)]);
    assert_eq!(acquired.ranges, [range(0, 2, 1), range(8, 9, 1)]);
    assert_eq!(acquired.archived, [state(3, 3, 4, 0), state(4, 7, 4, 0)]);
    window.release_member("a", 5);
    let compacted = acquire(&mut window, "a", 100, false, &[log_batch(2, 2), log_batch(8, 9)]);
    assert_eq!(compacted.ranges, [range(2, 2, 2), range(8, 9, 2)]);
    assert_eq!(window.start_offset(), 2, "records that compaction took are finished");
}

#[test]
fn the_window_does_not_grow_beyond_its_limit() {
    let mut window = Window::new(0, &[]);
    let a = member("a");
    let wanted = Acquisition {
        member: &a,
        fetch_offset: 0,
        max_records: 100,
        batch_size: 100,
        strict: true,
        max_in_flight: 6,
        lock_until_ms: 100,
    };
    assert_eq!(window.acquire(&wanted, TEN).ranges, [range(0, 5, 1)]);
    assert_eq!(window.next_fetch_offset(6), None);
    window.acknowledge("a", &[ack(2, 3, AckType::Accept)], 5, 0).unwrap();
    assert_eq!(window.next_fetch_offset(6), None, "the first records hold the window back");
    window.acknowledge("a", &[ack(0, 1, AckType::Accept)], 5, 0).unwrap();
    assert_eq!(window.next_fetch_offset(6), Some(6));
}

#[test]
fn a_log_that_loses_its_beginning_takes_the_window_along() {
    let mut window = Window::new(0, &[]);
    acquire(&mut window, "a", 10, false, TEN);
    assert!(window.follow_log_start(4));
    assert!(!window.follow_log_start(4));
    assert_eq!(window.start_offset(), 4);
    let changes = window.acknowledge("a", &[ack(0, 9, AckType::Accept)], 5, 0).unwrap();
    assert_eq!(changes, [state(4, 9, 2, 1)]);
    assert!(window.follow_log_start(20));
    assert_eq!((window.start_offset(), window.next_fetch_offset(10)), (20, Some(20)));
}

#[test]
fn stored_state_gives_the_same_window_again_and_acquired_records_are_available() {
    let window = Window::new(5, &[state(0, 6, 2, 1), state(9, 9, 0, 3), state(10, 12, 4, 5)]);
    assert_eq!(window.start_offset(), 7);
    assert_eq!(window.next_fetch_offset(100), Some(7), "7 and 8 were never finished");
    assert_eq!(window.delivery_complete_count(), 3);
}

/// One step of the model test.
#[derive(Clone, Debug)]
enum Step {
    Acquire { member: u8, max_records: i64, strict: bool },
    Acknowledge { member: u8, first_offset: i64, length: i64, ack: u8 },
    Release { member: u8 },
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..3, 1i64..8, any::<bool>())
            .prop_map(|(member, max_records, strict)| Step::Acquire { member, max_records, strict }),
        4 => (0u8..3, 0i64..30, 1i64..6, 1u8..4)
            .prop_map(|(member, first_offset, length, ack)| Step::Acknowledge { member, first_offset, length, ack }),
        1 => (0u8..3).prop_map(|member| Step::Release { member }),
        1 => Just(Step::Expire),
    ]
}

proptest! {
    /// Who holds which offset, in a plain array; the window must agree, and what it stores must rebuild it.
    #[test]
    fn no_offset_has_two_holders_and_finished_offsets_never_come_back(steps in prop::collection::vec(step(), 1..60)) {
        let batches: Vec<LogBatch> = (0..10).map(|index| log_batch(index * 3, index * 3 + 2)).collect();
        let mut window = Window::new(0, &[]);
        let mut holder: Vec<Option<u8>> = vec![None; 30];
        let mut finished = [false; 30];
        let mut stored: Vec<StateBatch> = Vec::new();
        for step in steps {
            match step {
                Step::Acquire { member, max_records, strict } => {
                    let acquired = acquire(&mut window, &member.to_string(), max_records, strict, &batches);
                    for range in acquired.ranges {
                        for offset in range.first_offset..=range.last_offset {
                            let index = offset as usize;
                            prop_assert!(holder[index].is_none() && !finished[index], "{offset} is taken or finished");
                            holder[index] = Some(member);
                        }
                    }
                }
                Step::Acknowledge { member, first_offset, length, ack: code } => {
                    let last_offset = (first_offset + length - 1).min(29);
                    let kind = [AckType::Gap, AckType::Accept, AckType::Release, AckType::Reject][code as usize];
                    let start = window.start_offset();
                    let result =
                        window.acknowledge(&member.to_string(), &[ack(first_offset, last_offset, kind)], i16::MAX, 0);
                    let held = (first_offset.max(start)..=last_offset).all(|at| holder[at as usize] == Some(member));
                    prop_assert_eq!(result.is_ok(), held);
                    for offset in (first_offset.max(start)..=last_offset).filter(|_| held) {
                        holder[offset as usize] = None;
                        finished[offset as usize] = kind != AckType::Release;
                    }
                    stored.extend(result.unwrap_or_default());
                }
                Step::Release { member } => {
                    stored.extend(window.release_member(&member.to_string(), i16::MAX));
                    holder.iter_mut().filter(|held| **held == Some(member)).for_each(|held| *held = None);
                }
                Step::Expire => {
                    stored.extend(window.expire_locks(1_000, i16::MAX));
                    holder.fill(None);
                }
            }
            let unfinished = finished.iter().position(|done| !done).unwrap_or(30) as i64;
            prop_assert_eq!(window.start_offset(), unfinished);
        }
        let rebuilt = Window::new(0, &in_order(&stored));
        prop_assert_eq!(rebuilt.start_offset(), window.start_offset());
        prop_assert_eq!(rebuilt.delivery_complete_count(), window.delivery_complete_count());
    }
}

/// The last state of each offset, as the share coordinator keeps it.
fn in_order(stored: &[StateBatch]) -> Vec<StateBatch> {
    let mut last: BTreeMap<i64, StateBatch> = BTreeMap::new();
    for batch in stored {
        for offset in batch.first_offset..=batch.last_offset {
            last.insert(offset, StateBatch { first_offset: offset, last_offset: offset, ..*batch });
        }
    }
    last.into_values().collect()
}
