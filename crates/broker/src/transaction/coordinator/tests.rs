//! Whole transactions over logs in memory: markers, crashes at every step, time-outs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::transaction::testing::{World, bumped, partitions};

const V1: ClientVersion = ClientVersion::V1;
const V2: ClientVersion = ClientVersion::V2;

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.unwrap_or_else(|_| panic!("{what} in time"));
}

async fn begin(world: &World, coordinator: &Arc<TransactionCoordinator>, version: ClientVersion) -> ProducerIdAndEpoch {
    let producer = coordinator.initialize("x", 60_000, None).await.expect("a producer");
    coordinator.add_partitions("x", producer, &partitions(&[0, 1]), version).await.expect("added");
    world.partitions.write("t", 0, producer);
    world.partitions.write("t", 1, producer);
    producer
}

fn state(coordinator: &TransactionCoordinator) -> TransactionState {
    coordinator.describe("x").expect("loaded").expect("known").state
}

#[tokio::test]
async fn a_commit_is_answered_when_every_marker_is_written() {
    for version in [V1, V2] {
        let world = World::new();
        let coordinator = world.coordinator().await;
        let producer = begin(&world, &coordinator, version).await;
        let next = coordinator.end("x", producer, true, version).await.expect("committed");
        let marker_producer = if version == V2 { bumped(producer) } else { producer };
        assert_eq!(next, marker_producer);
        let expected = [0, 1].map(|index| ("t".to_owned(), index, marker_producer, true));
        assert_eq!(world.partitions.take_markers(), expected);
        until("complete", || state(&coordinator) == TransactionState::CompleteCommit).await;
        assert!(world.partitions.open_transactions().is_empty());
        coordinator.add_partitions("x", next, &partitions(&[5]), version).await.expect("the next one begins");
    }
}

#[tokio::test]
async fn a_decided_transaction_is_completed_after_a_crash() {
    for (version, committed) in [(V1, true), (V1, false), (V2, true), (V2, false)] {
        let world = World::new();
        let first = world.coordinator().await;
        let producer = begin(&world, &first, version).await;
        world.partitions.refuses.store(true, Ordering::SeqCst);
        let end = first.end("x", producer, committed, version);
        assert!(timeout(Duration::from_millis(50), end).await.is_err(), "no marker can be written");
        world.partitions.refuses.store(false, Ordering::SeqCst);
        let second = world.coordinator().await;
        until("complete", || state(&second).is_complete()).await;
        let markers = world.partitions.take_markers();
        assert!(markers.iter().all(|marker| marker.3 == committed) && markers.len() >= 2, "{markers:?}");
        assert!(world.partitions.open_transactions().is_empty());
        let again = second.end("x", producer, committed, version).await;
        assert_eq!(again, Ok(if version == V2 { bumped(producer) } else { producer }), "{version:?} {committed}");
    }
}

#[tokio::test]
async fn an_open_transaction_goes_on_after_a_crash() {
    let world = World::new();
    let producer = begin(&world, &world.coordinator().await, V2).await;
    let second = world.coordinator().await;
    assert_eq!(state(&second), TransactionState::Ongoing);
    assert_eq!(second.end("x", producer, true, V2).await, Ok(bumped(producer)));
    assert_eq!(world.partitions.take_markers().len(), 2);
}

#[tokio::test]
async fn a_partition_whose_record_the_machine_lost_stays_in_the_open_transaction() {
    let world = World::new();
    let first = world.coordinator().await;
    let producer = begin(&world, &first, V1).await;
    first.add_partitions("x", producer, &partitions(&[2]), V1).await.expect("added");
    world.partitions.write("t", 2, producer);
    world.log.lose(first.partition_for("x").expect("a shard"), 1);
    let second = world.coordinator().await;
    second.end("x", producer, true, V1).await.expect("committed");
    assert_eq!(world.partitions.take_markers().len(), 3);
    assert!(world.partitions.open_transactions().is_empty());
}

#[tokio::test]
async fn a_transaction_that_the_machine_forgot_is_aborted_and_its_producer_fenced() {
    let world = World::new();
    let first = world.coordinator().await;
    let producer = begin(&world, &first, V1).await;
    world.log.lose(first.partition_for("x").expect("a shard"), 1);
    let second = world.coordinator().await;
    assert!(world.partitions.take_markers().iter().all(|marker| !marker.3));
    assert!(world.partitions.open_transactions().is_empty());
    assert_eq!(second.end("x", producer, true, V1).await, Err(ErrorCode::ProducerFenced));
}

#[tokio::test]
async fn a_lost_marker_is_written_again_although_the_producer_has_gone_on() {
    let world = World::new();
    let first = world.coordinator().await;
    let producer = begin(&world, &first, V2).await;
    let next = first.end("x", producer, true, V2).await.expect("committed");
    until("complete", || world.log.len() >= 4).await;
    first.add_partitions("x", next, &partitions(&[1]), V2).await.expect("the next one begins");
    // As if the producer had gone on before the markers were durable, and the machine lost the one of partition 0.
    let shard = first.partition_for("x").expect("a shard");
    world.log.lose(shard, 2);
    let gone_on = first.describe("x").expect("loaded").expect("known");
    let memory = first.shard("x").expect("a shard");
    assert!(first.store(&mut memory.lock(), gone_on).is_ok());
    world.partitions.write("t", 0, producer);
    world.partitions.take_markers();
    let second = world.coordinator().await;
    assert_eq!(world.partitions.take_markers(), [("t".to_owned(), 0, next, true)]);
    assert_eq!(state(&second), TransactionState::Ongoing);
}

#[tokio::test]
async fn records_that_nobody_owns_are_aborted() {
    let world = World::new();
    let stranger = ProducerIdAndEpoch { producer_id: 77, producer_epoch: 3 };
    world.partitions.write("t", 4, stranger);
    let _coordinator = world.coordinator().await;
    assert_eq!(world.partitions.take_markers(), [("t".to_owned(), 4, stranger, false)]);
}

#[tokio::test]
async fn a_second_producer_with_the_same_id_fences_the_first() {
    let world = World::new();
    let coordinator = world.coordinator().await;
    let old = begin(&world, &coordinator, V2).await;
    assert_eq!(coordinator.initialize("x", 60_000, None).await, Err(ErrorCode::ConcurrentTransactions));
    let new = coordinator.initialize("x", 60_000, None).await.expect("a producer");
    assert!(new.producer_epoch > old.producer_epoch);
    assert!(world.partitions.take_markers().iter().all(|marker| !marker.3));
    assert_eq!(coordinator.end("x", old, true, V2).await, Err(ErrorCode::ProducerFenced));
    let write = coordinator.write_in_transaction("x", old, &partitions(&[0]), WriteMode::Add, || ());
    assert_eq!(write, Err(ErrorCode::ProducerFenced));
}

#[tokio::test]
async fn a_transaction_left_open_is_aborted_after_its_timeout_wherever_the_wall_clock_jumps() {
    let world = World::new();
    let coordinator = world.coordinator().await;
    let producer = begin(&world, &coordinator, V1).await;
    world.clock.advance_ms(60_000);
    coordinator.abort_timed_out().await;
    assert_eq!(state(&coordinator), TransactionState::Ongoing);
    world.clock.advance_ms(1);
    coordinator.abort_timed_out().await;
    until("aborted", || state(&coordinator) == TransactionState::CompleteAbort).await;
    assert_eq!(world.partitions.take_markers().len(), 2);
    assert_eq!(coordinator.end("x", producer, true, V1).await, Err(ErrorCode::ProducerFenced));
}

#[tokio::test]
async fn an_id_that_nobody_uses_is_forgotten() {
    let world = World::new();
    let coordinator = world.coordinator().await;
    coordinator.initialize("x", 60_000, None).await.expect("a producer");
    world.clock.advance_ms(604_799_999);
    coordinator.remove_expired();
    assert!(coordinator.describe("x").expect("loaded").is_some());
    world.clock.advance_ms(1);
    coordinator.remove_expired();
    assert_eq!(coordinator.describe("x"), Ok(None));
    assert_eq!(world.coordinator().await.describe("x"), Ok(None), "a tombstone was written");
}

#[tokio::test]
async fn what_cannot_be_written_does_not_happen() {
    let world = World::new();
    let coordinator = world.coordinator().await;
    let producer = begin(&world, &coordinator, V2).await;
    world.log.refuses.store(true, Ordering::SeqCst);
    assert_eq!(coordinator.end("x", producer, true, V2).await, Err(ErrorCode::CoordinatorNotAvailable));
    assert!(world.partitions.take_markers().is_empty());
    world.log.refuses.store(false, Ordering::SeqCst);
    assert_eq!(coordinator.end("x", producer, true, V2).await, Ok(bumped(producer)));
}

#[tokio::test]
async fn unknown_ids_and_impossible_timeouts_are_refused() {
    let coordinator = World::new().coordinator().await;
    let nobody = ProducerIdAndEpoch { producer_id: 1, producer_epoch: 0 };
    assert_eq!(coordinator.initialize("", 60_000, None).await, Err(ErrorCode::InvalidRequest));
    for timeout_ms in [0, -1, 900_001] {
        let refused = coordinator.initialize("x", timeout_ms, None).await;
        assert_eq!(refused, Err(ErrorCode::InvalidTransactionTimeout));
    }
    let added = coordinator.add_partitions("x", nobody, &partitions(&[0]), V1).await;
    assert_eq!(added, Err(ErrorCode::InvalidProducerIdMapping));
    assert_eq!(coordinator.end("x", nobody, true, V1).await, Err(ErrorCode::InvalidProducerIdMapping));
}

#[tokio::test]
async fn lists_are_filtered_by_state_producer_duration_and_pattern() {
    let world = World::new();
    let coordinator = world.coordinator().await;
    let producer = begin(&world, &coordinator, V1).await;
    coordinator.initialize("other", 60_000, None).await.expect("a producer");
    world.clock.advance_ms(500);
    let names = |filter: ListFilter| -> Vec<String> {
        let found = coordinator.list(&filter).expect("loaded");
        found.into_iter().map(|transaction| transaction.transactional_id.to_string()).collect()
    };
    assert_eq!(names(ListFilter::default()), ["other", "x"]);
    assert_eq!(names(ListFilter { states: vec![TransactionState::Ongoing], ..Default::default() }), ["x"]);
    assert_eq!(names(ListFilter { producer_ids: vec![producer.producer_id], ..Default::default() }), ["x"]);
    let ongoing_for =
        |ms| ListFilter { states: vec![TransactionState::Ongoing], longer_than_ms: Some(ms), ..Default::default() };
    assert_eq!(names(ongoing_for(499)), ["x"]);
    assert!(names(ongoing_for(500)).is_empty());
    let pattern = regex::Regex::new("^(?:ot.*)$").ok();
    assert_eq!(names(ListFilter { pattern, ..Default::default() }), ["other"]);
    assert_eq!(coordinator.counts(), (2, 1));
}

#[tokio::test]
async fn below_transaction_version_2_the_coordinator_itself_ends_transactions_as_before() {
    for (level, epochs) in [(2, 2), (1, 1), (0, 1)] {
        let world = World::new();
        world.transaction_version.store(level, Ordering::SeqCst);
        let coordinator = world.coordinator().await;
        let producer = begin(&world, &coordinator, V2).await;
        world.clock.advance_ms(60_001);
        coordinator.abort_timed_out().await;
        until("aborted", || state(&coordinator) == TransactionState::CompleteAbort).await;
        let aborted = coordinator.describe("x").expect("loaded").expect("known");
        assert_eq!(aborted.producer_epoch, producer.producer_epoch + epochs, "level {level}");
        assert_eq!(aborted.client_version, if level == 2 { V2 } else { V1 });
    }
}

#[tokio::test]
async fn transactions_go_on_with_a_new_producer_id_when_the_epochs_are_used_up() {
    let world = World::new();
    let coordinator = world.coordinator().await;
    let first = coordinator.initialize("x", 60_000, None).await.expect("a producer");
    let known = coordinator.describe("x").expect("loaded").expect("known");
    let shard = coordinator.shard("x").expect("a shard");
    let late = TransactionMetadata { producer_epoch: i16::MAX - 3, ..known };
    assert!(coordinator.store(&mut shard.lock(), late).is_ok());
    let mut producer = ProducerIdAndEpoch { producer_epoch: i16::MAX - 3, ..first };
    let mut seen = vec![producer];
    for _ in 0..4 {
        coordinator.add_partitions("x", producer, &partitions(&[0]), V2).await.expect("added");
        let next = coordinator.end("x", producer, true, V2).await.expect("committed");
        let again = coordinator.end("x", producer, true, V2).await;
        assert_eq!(again, Ok(next), "the answer was lost");
        until("complete", || state(&coordinator) == TransactionState::CompleteCommit).await;
        producer = next;
        seen.push(producer);
    }
    let epochs: Vec<i16> = seen.iter().map(|producer| producer.producer_epoch).collect();
    assert_eq!(epochs, [i16::MAX - 3, i16::MAX - 2, i16::MAX - 1, 0, 1]);
    assert_eq!(seen[2].producer_id, first.producer_id);
    assert_ne!(seen[3].producer_id, first.producer_id);
    let zombie = coordinator.add_partitions("x", seen[2], &partitions(&[0]), V2).await;
    assert_eq!(zombie, Err(ErrorCode::InvalidProducerIdMapping));
    let restarted = world.coordinator().await;
    assert_eq!(restarted.describe("x").expect("loaded").expect("known").producer(), producer);
}
