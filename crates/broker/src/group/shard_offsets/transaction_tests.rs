//! Offsets committed in transactions: pending, then visible or gone; and topics that are deleted meanwhile.

use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, LeaveGroupRequest, leave_group_request};

use super::*;
use crate::group::testing::{Bench, answer, client, everything, held_open, join_request, sync_request};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn producer(producer_id: i64) -> TransactionalProducer {
    TransactionalProducer { producer_id, producer_epoch: 0 }
}

fn request(partition: i32, offset: i64) -> CommitRequest {
    let commit = PartitionCommit {
        topic: "orders".to_owned(),
        partition,
        offset,
        leader_epoch: -1,
        ..PartitionCommit::default()
    };
    CommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: -1,
        version: 9,
        offsets: vec![commit],
        ..CommitRequest::default()
    }
}

fn commit_in(bench: &mut Bench, producer_id: i64, request: CommitRequest) -> Result<Vec<ErrorCode>, ErrorCode> {
    bench.turn(|shard, now, effects| {
        shard.commit_transactional_offsets(request, producer(producer_id), held_open(), now, effects)
    })
}

fn commit(bench: &mut Bench, request: CommitRequest) {
    assert_eq!(
        bench.turn(|shard, now, effects| shard.commit_offsets(request, now, effects)),
        Ok(vec![ErrorCode::None])
    );
}

fn fetch(bench: &Bench, require_stable: bool) -> Vec<Result<Option<i64>, ErrorCode>> {
    let request = FetchRequest {
        group_id: "g".to_owned(),
        topics: Some(vec![("orders".to_owned(), vec![0, 1])]),
        require_stable,
        ..FetchRequest::default()
    };
    let fetched = bench.shard.fetch_offsets(request).unwrap();
    fetched[0].1.iter().map(|(_, offset)| offset.clone().map(|found| found.map(|o| o.offset))).collect()
}

const UNSTABLE: Result<Option<i64>, ErrorCode> = Err(ErrorCode::UnstableOffsetCommit);

#[test]
fn an_offset_in_a_transaction_is_seen_when_it_is_committed_and_not_before() {
    let mut bench = Bench::new();
    commit(&mut bench, request(0, 5));
    assert_eq!(commit_in(&mut bench, 7, request(0, 9)), Ok(vec![ErrorCode::None]));
    assert_eq!(fetch(&bench, false), [Ok(Some(5)), Ok(None)]);
    assert_eq!(fetch(&bench, true), [UNSTABLE, Ok(None)]);
    bench.restart();
    assert_eq!(fetch(&bench, true), [UNSTABLE, Ok(None)], "still open after a restart");
    bench.end_transaction(7, true);
    assert_eq!(fetch(&bench, true), [Ok(Some(9)), Ok(None)]);
    bench.restart();
    assert_eq!(fetch(&bench, true), [Ok(Some(9)), Ok(None)]);
}

#[test]
fn an_aborted_transaction_leaves_the_offsets_as_they_were() {
    let mut bench = Bench::new();
    commit(&mut bench, request(0, 5));
    commit_in(&mut bench, 7, request(0, 9)).unwrap();
    commit_in(&mut bench, 8, request(1, 3)).unwrap();
    bench.end_transaction(7, false);
    assert_eq!(fetch(&bench, true), [Ok(Some(5)), UNSTABLE]);
    bench.restart();
    assert_eq!(fetch(&bench, true), [Ok(Some(5)), UNSTABLE]);
    bench.end_transaction(8, true);
    assert_eq!(fetch(&bench, true), [Ok(Some(5)), Ok(Some(3))]);
}

#[test]
fn a_transaction_that_ends_late_does_not_overwrite_a_later_commit() {
    let mut bench = Bench::new();
    commit_in(&mut bench, 7, request(0, 9)).unwrap();
    commit(&mut bench, request(0, 20));
    bench.end_transaction(7, true);
    assert_eq!(fetch(&bench, true)[0], Ok(Some(20)));
    bench.restart();
    assert_eq!(fetch(&bench, true)[0], Ok(Some(20)));
}

#[test]
fn the_member_and_its_generation_are_checked() {
    let mut bench = Bench::new();
    let as_member = |member_id: &str, generation_id| CommitRequest {
        member_id: member_id.to_owned(),
        generation_id_or_member_epoch: generation_id,
        ..request(0, 9)
    };
    assert_eq!(commit_in(&mut bench, 7, as_member("m", 3)), Err(ErrorCode::IllegalGeneration), "no such group");
    let mut joining = bench.join(join_request(""), 3);
    bench.advance(3_000);
    let joined = answer(&mut joining).unwrap();
    // The assignment is not out yet: an ordinary commit would have to wait, a transactional one must not.
    assert_eq!(commit_in(&mut bench, 7, as_member(&joined.member_id, 1)), Ok(vec![ErrorCode::None]));
    answer(&mut bench.sync(sync_request(&joined.member_id, 1, &[]))).unwrap();
    assert_eq!(commit_in(&mut bench, 7, as_member("stranger", 1)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit_in(&mut bench, 7, as_member(&joined.member_id, 0)), Err(ErrorCode::IllegalGeneration));
    let fenced = CommitRequest { instance_id: Some("i".to_owned()), ..as_member(&joined.member_id, 1) };
    assert_eq!(commit_in(&mut bench, 7, fenced), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit_in(&mut bench, 7, request(0, 10)), Ok(vec![ErrorCode::None]), "a producer of before KIP-447");
}

#[test]
fn an_epoch_that_is_not_the_consumer_members_is_an_illegal_generation() {
    let mut bench = Bench::new();
    bench.topics.set("orders", 1, 2);
    let join = ConsumerGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: "m".to_owned(),
        rebalance_timeout_ms: 1_000,
        subscribed_topic_names: Some(vec!["orders".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    bench.turn(|shard, now, effects| shard.consumer_heartbeat(join, client(), &everything(), 1, now, effects)).unwrap();
    let with_epoch =
        |epoch| CommitRequest { member_id: "m".to_owned(), generation_id_or_member_epoch: epoch, ..request(0, 9) };
    assert_eq!(commit_in(&mut bench, 7, with_epoch(1)), Ok(vec![ErrorCode::None]));
    assert_eq!(commit_in(&mut bench, 7, with_epoch(0)), Err(ErrorCode::IllegalGeneration));
    assert_eq!(commit_in(&mut bench, 7, request(0, 9)), Ok(vec![ErrorCode::None]));
}

#[test]
fn a_pending_offset_keeps_its_partition_and_group_from_expiring() {
    let mut bench = Bench::new();
    bench.restart();
    commit(&mut bench, request(0, 5));
    commit_in(&mut bench, 7, request(0, 9)).unwrap();
    bench.advance(8 * DAY_MS);
    assert_eq!(fetch(&bench, false)[0], Ok(Some(5)));
    bench.end_transaction(7, false);
    bench.advance(600_000);
    assert_eq!(fetch(&bench, false)[0], Ok(None));
    assert!(bench.shard.list().is_empty());
}

#[test]
fn deleting_offsets_or_the_group_deletes_what_is_pending() {
    let mut bench = Bench::new();
    commit_in(&mut bench, 7, request(0, 9)).unwrap();
    commit_in(&mut bench, 7, request(1, 9)).unwrap();
    let topics = [("orders".to_owned(), vec![0])];
    bench.turn(|shard, _, effects| shard.delete_offsets("g", &topics, effects)).unwrap();
    assert_eq!(fetch(&bench, true), [Ok(None), UNSTABLE]);
    bench.restart();
    assert_eq!(fetch(&bench, true), [Ok(None), UNSTABLE]);
    bench.turn(|shard, now, effects| shard.delete_group("g", now, effects)).unwrap();
    bench.end_transaction(7, true);
    assert_eq!(fetch(&bench, true), [Ok(None), Ok(None)]);
    bench.restart();
    assert!(bench.shard.list().is_empty());
}

#[test]
fn a_group_that_only_has_pending_offsets_is_there_after_a_restart() {
    let mut bench = Bench::new();
    commit_in(&mut bench, 7, request(0, 9)).unwrap();
    assert_eq!(bench.shard.list().len(), 1);
    bench.restart();
    assert_eq!(bench.shard.list().len(), 1);
}

#[test]
fn a_commit_for_a_topic_made_anew_survives_the_news_of_the_old_ones_deletion() {
    let mut bench = Bench::new();
    let with_id = |topic_id, offset| {
        let mut request = request(0, offset);
        request.offsets[0].topic_id = topic_id;
        request
    };
    let old = bench.topics.set("orders", 1, 1);
    commit(&mut bench, with_id(old, 5));
    commit_in(&mut bench, 7, with_id(old, 6)).unwrap();
    let new = bench.topics.set("orders", 2, 1);
    assert_eq!(fetch(&bench, false)[0], Ok(None), "the old topic's offset means nothing for the new one");
    let late = bench.turn(|shard, now, effects| shard.commit_offsets(with_id(old, 7), now, effects));
    assert_eq!(late, Ok(vec![ErrorCode::UnknownTopicOrPartition]));
    commit(&mut bench, with_id(new, 8));
    bench.turn(|shard, _, effects| shard.topics_deleted(&[("orders".to_owned(), old)], effects));
    assert_eq!(fetch(&bench, true)[0], Ok(Some(8)));
    bench.restart();
    assert_eq!(fetch(&bench, true)[0], Ok(Some(8)));
}

#[test]
fn a_leaving_member_does_not_take_pending_offsets_along() {
    let mut bench = Bench::new();
    let mut joining = bench.join(join_request(""), 3);
    bench.advance(3_000);
    let joined = answer(&mut joining).unwrap();
    answer(&mut bench.sync(sync_request(&joined.member_id, 1, &[]))).unwrap();
    commit_in(&mut bench, 7, request(0, 9)).unwrap();
    let leave = LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: vec![leave_group_request::Member { member_id: joined.member_id, ..Default::default() }],
        ..LeaveGroupRequest::default()
    };
    bench.turn(|shard, now, effects| shard.leave(leave, now, effects)).unwrap();
    bench.end_transaction(7, true);
    assert_eq!(fetch(&bench, true)[0], Ok(Some(9)));
}
