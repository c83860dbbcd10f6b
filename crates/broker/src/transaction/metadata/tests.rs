//! The steps of one transactional id: who may do what, and as whom they go on.

use super::*;
use crate::transaction::testing::partitions;

const NOW: Now = Now { unix_ms: 1_600_000_000_000, monotonic_ms: 0 };
const FRESH: Option<i64> = Some(2000);

fn later(ms: i64) -> Now {
    Now { unix_ms: NOW.unix_ms + ms, monotonic_ms: ms }
}

fn producer(producer_id: i64, producer_epoch: i16) -> ProducerIdAndEpoch {
    ProducerIdAndEpoch { producer_id, producer_epoch }
}

fn ready(initialization: Result<Initialization, ErrorCode>) -> TransactionMetadata {
    match initialization {
        Ok(Initialization::Ready(next)) => next,
        other => panic!("{other:?}"),
    }
}

fn prepare(end: Result<End, ErrorCode>) -> TransactionMetadata {
    match end {
        Ok(End::Prepare(next)) => next,
        other => panic!("{other:?}"),
    }
}

fn fresh() -> TransactionMetadata {
    ready(TransactionMetadata::new("t".into(), 1000, NOW).initialize(None, 60_000, Some(1000), NOW))
}

/// A transaction with partitions 0 and 1 of `t` in it.
fn ongoing(version: ClientVersion) -> TransactionMetadata {
    let begun = fresh().add_partitions(producer(1000, 0), &partitions(&[0, 1]), version, NOW);
    begun.unwrap().expect("a new state")
}

fn at_epoch(mut transaction: TransactionMetadata, epoch: i16) -> TransactionMetadata {
    transaction.producer_epoch = epoch;
    transaction
}

#[test]
fn each_incarnation_gets_the_next_epoch() {
    let first = fresh();
    assert_eq!((first.producer(), first.state), (producer(1000, 0), TransactionState::Empty));
    let second = ready(first.initialize(None, 5000, None, NOW));
    assert_eq!((second.producer(), second.timeout_ms), (producer(1000, 1), 5000));
    let resumed = ready(second.initialize(Some(producer(1000, 1)), 5000, None, NOW));
    assert_eq!(resumed.producer(), producer(1000, 2));
    let again = ready(resumed.initialize(Some(producer(1000, 1)), 5000, None, NOW));
    assert_eq!(again.producer(), producer(1000, 2), "the answer was lost, the same one is given again");
    assert_eq!(resumed.initialize(Some(producer(1000, 0)), 5000, None, NOW), Err(ErrorCode::ProducerFenced));
    assert_eq!(resumed.initialize(Some(producer(999, 2)), 5000, None, NOW), Err(ErrorCode::ProducerFenced));
}

#[test]
fn exhausted_epochs_lead_to_a_new_producer_id() {
    let last = at_epoch(fresh(), i16::MAX - 1);
    assert_eq!(last.initialize(None, 5000, None, NOW), Ok(Initialization::NeedsProducerId));
    let rotated = ready(last.initialize(None, 5000, FRESH, NOW));
    assert_eq!((rotated.producer(), rotated.previous_producer_id), (producer(2000, 0), 1000));
    let rotated = ready(last.initialize(Some(producer(1000, i16::MAX - 1)), 5000, FRESH, NOW));
    let again = ready(rotated.initialize(Some(producer(1000, i16::MAX - 1)), 5000, FRESH, NOW));
    assert_eq!(again.producer(), producer(2000, 0));
}

#[test]
fn a_new_incarnation_aborts_the_open_transaction_of_the_old_one_first() {
    for (version, epoch) in [(ClientVersion::V1, 1), (ClientVersion::V2, 2)] {
        let Ok(Initialization::AbortFirst(aborted)) = ongoing(version).initialize(None, 5000, None, NOW) else {
            panic!("{version:?}")
        };
        assert_eq!((aborted.state, aborted.producer()), (TransactionState::PrepareAbort, producer(1000, epoch)));
        assert!(aborted.contains("t", 0) && aborted.contains("t", 1));
        assert_eq!(aborted.initialize(None, 5000, None, NOW), Err(ErrorCode::ConcurrentTransactions));
        let complete = aborted.completed(NOW);
        assert_eq!(ready(complete.initialize(None, 5000, None, NOW)).producer(), producer(1000, epoch + 1));
        for committed in [true, false] {
            let zombie = complete.end(producer(1000, 0), committed, version, None, NOW);
            assert_eq!(zombie, Err(ErrorCode::ProducerFenced), "{version:?} {committed}");
        }
        let zombie = complete.add_partitions(producer(1000, 0), &partitions(&[2]), version, NOW);
        assert_eq!(zombie, Err(ErrorCode::ProducerFenced));
    }
}

#[test]
fn fencing_at_the_last_epoch_leaves_room_for_the_marker() {
    let last = at_epoch(ongoing(ClientVersion::V1), i16::MAX - 1);
    let aborted = last.fence_and_abort(None, NOW).expect("no id is needed");
    assert_eq!(aborted.producer_epoch, i16::MAX);
    let next = ready(aborted.completed(NOW).initialize(None, 5000, FRESH, NOW));
    assert_eq!(next.producer(), producer(2000, 0));
    let last = at_epoch(ongoing(ClientVersion::V2), i16::MAX - 1);
    assert_eq!(last.fence_and_abort(None, NOW), None);
    let aborted = last.fence_and_abort(FRESH, NOW).expect("an id is given");
    assert_eq!((aborted.producer_id, aborted.producer_epoch), (1000, i16::MAX));
    assert_eq!(aborted.completed(NOW).producer(), producer(2000, 0));
}

#[test]
fn partitions_are_added_by_the_newest_producer_alone() {
    let transaction = ongoing(ClientVersion::V1);
    let add = |who, indexes: &[i32]| transaction.add_partitions(who, &partitions(indexes), ClientVersion::V1, later(5));
    assert_eq!(add(producer(1000, 0), &[1, 0]), Ok(None), "nothing to store");
    let more = add(producer(1000, 0), &[2]).unwrap().expect("a new state");
    assert!(more.contains("t", 0) && more.contains("t", 2));
    assert_eq!((more.start_ms, more.last_update_ms), (NOW.unix_ms, NOW.unix_ms + 5));
    assert_eq!(add(producer(1001, 0), &[2]), Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(add(producer(1000, 1), &[2]), Err(ErrorCode::ProducerFenced));
    let prepared = prepare(transaction.end(producer(1000, 0), true, ClientVersion::V1, None, NOW));
    let too_late = prepared.add_partitions(producer(1000, 0), &partitions(&[2]), ClientVersion::V1, NOW);
    assert_eq!(too_late, Err(ErrorCode::ConcurrentTransactions));
}

#[test]
fn only_partitions_of_the_open_transaction_verify() {
    let transaction = ongoing(ClientVersion::V1);
    assert_eq!(transaction.verify_partition(producer(1000, 0), "t", 1), Ok(()));
    assert_eq!(transaction.verify_partition(producer(1000, 0), "t", 2), Err(ErrorCode::TransactionAbortable));
    assert_eq!(transaction.verify_partition(producer(1000, 1), "t", 1), Err(ErrorCode::ProducerFenced));
    let prepared = prepare(transaction.end(producer(1000, 0), false, ClientVersion::V1, None, NOW));
    assert_eq!(prepared.verify_partition(producer(1000, 0), "t", 1), Err(ErrorCode::ConcurrentTransactions));
    let complete = prepared.completed(NOW);
    assert_eq!(complete.verify_partition(producer(1000, 0), "t", 1), Err(ErrorCode::TransactionAbortable));
}

#[test]
fn a_v1_transaction_ends_once_and_its_repetition_is_fine() {
    let end = |transaction: &TransactionMetadata, committed| {
        transaction.end(producer(1000, 0), committed, ClientVersion::V1, None, NOW)
    };
    assert_eq!(end(&fresh(), true), Err(ErrorCode::InvalidTxnState), "nothing was begun");
    assert_eq!(end(&fresh(), false), Err(ErrorCode::InvalidTxnState));
    for committed in [true, false] {
        let prepared = prepare(end(&ongoing(ClientVersion::V1), committed));
        assert_eq!(prepared.producer(), producer(1000, 0), "the epoch stays");
        assert_eq!(end(&prepared, committed), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(end(&prepared, !committed), Err(ErrorCode::InvalidTxnState));
        let complete = prepared.completed(NOW);
        assert!(complete.partitions.is_empty());
        assert_eq!(end(&complete, committed), Ok(End::Already(producer(1000, 0))));
        assert_eq!(end(&complete, !committed), Err(ErrorCode::InvalidTxnState));
    }
}

#[test]
fn a_v2_transaction_ends_with_a_new_epoch_and_a_retry_learns_it_again() {
    let end = |transaction: &TransactionMetadata, epoch, committed| {
        transaction.end(producer(1000, epoch), committed, ClientVersion::V2, None, NOW)
    };
    for committed in [true, false] {
        let prepared = prepare(end(&ongoing(ClientVersion::V2), 0, committed));
        assert_eq!(prepared.producer(), producer(1000, 1));
        assert_eq!(end(&prepared, 0, committed), Err(ErrorCode::ConcurrentTransactions));
        assert_eq!(end(&prepared, 1, committed), Err(ErrorCode::ProducerFenced));
        let complete = prepared.completed(NOW);
        assert_eq!(end(&complete, 0, committed), Ok(End::Already(producer(1000, 1))));
        assert_eq!(end(&complete, 0, !committed), Err(ErrorCode::InvalidTxnState));
        assert_eq!(end(&complete, 1, true), Err(ErrorCode::InvalidTxnState), "nothing new was begun");
        let empty_abort = prepare(end(&complete, 1, false));
        assert_eq!(empty_abort.producer(), producer(1000, 2));
        assert!(empty_abort.partitions.is_empty());
    }
    assert_eq!(end(&fresh(), 0, true), Err(ErrorCode::InvalidTxnState));
    assert_eq!(prepare(end(&fresh(), 0, false)).producer(), producer(1000, 1));
}

#[test]
fn the_end_of_a_v2_transaction_in_the_last_epoch_leads_to_a_new_producer_id() {
    let last = at_epoch(ongoing(ClientVersion::V2), i16::MAX - 1);
    let end = |transaction: &TransactionMetadata, fresh| {
        transaction.end(producer(1000, i16::MAX - 1), true, ClientVersion::V2, fresh, NOW)
    };
    assert_eq!(end(&last, None), Ok(End::NeedsProducerId));
    let prepared = prepare(end(&last, FRESH));
    assert_eq!(prepared.producer(), producer(1000, i16::MAX), "the markers are of the old producer id");
    assert_eq!(prepared.producer_after_completion(), producer(2000, 0));
    let complete = prepared.completed(NOW);
    assert_eq!((complete.producer(), complete.previous_producer_id), (producer(2000, 0), 1000));
    assert_eq!(end(&complete, None), Ok(End::Already(producer(2000, 0))));
}

#[test]
fn time_outs_and_expiry_are_measured_from_the_right_moment() {
    let transaction = ongoing(ClientVersion::V1);
    assert!(!transaction.is_timed_out(later(60_000)));
    assert!(transaction.is_timed_out(later(60_001)));
    assert!(!transaction.is_expired(later(1_000_000), 1000), "it is open");
    let clock_jumped = Now { unix_ms: NOW.unix_ms + 86_400_000, monotonic_ms: 1 };
    assert!(!transaction.is_timed_out(clock_jumped), "the wall clock does not matter");
    let idle = fresh();
    assert!(!idle.is_expired(later(999), 1000));
    assert!(idle.is_expired(later(1000), 1000));
}
