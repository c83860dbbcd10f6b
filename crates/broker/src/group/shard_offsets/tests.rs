//! Commit, fetch, delete and expiry of offsets, on a clock that stands still.

use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, LeaveGroupRequest, leave_group_request};

use super::*;
use crate::group::testing::{Bench, answer, client, everything, join_request, sync_request};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const WEEK_MS: i64 = 7 * DAY_MS;

fn offset(topic: &str, partition: i32, offset: i64) -> PartitionCommit {
    PartitionCommit { topic: topic.to_owned(), partition, offset, leader_epoch: -1, ..PartitionCommit::default() }
}

/// A commit of a consumer that assigns partitions itself.
fn simple_commit(offsets: Vec<PartitionCommit>) -> CommitRequest {
    CommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: -1,
        version: 8,
        offsets,
        ..CommitRequest::default()
    }
}

fn member_commit(member_id: &str, generation_id: i32) -> CommitRequest {
    CommitRequest {
        member_id: member_id.to_owned(),
        generation_id_or_member_epoch: generation_id,
        ..simple_commit(vec![offset("orders", 0, 5)])
    }
}

fn commit(bench: &mut Bench, request: CommitRequest) -> Result<Vec<ErrorCode>, ErrorCode> {
    bench.turn(|shard, now, effects| shard.commit_offsets(request, now, effects))
}

fn committed(bench: &Bench, topic: &str, partition: i32) -> Option<i64> {
    let request = FetchRequest {
        group_id: "g".to_owned(),
        topics: Some(vec![(topic.to_owned(), vec![partition])]),
        ..FetchRequest::default()
    };
    let fetched = bench.shard.fetch_offsets(request).unwrap();
    fetched[0].1[0].1.as_ref().unwrap().as_ref().map(|offset| offset.offset)
}

fn all(bench: &Bench) -> FetchedOffsets {
    bench.shard.fetch_offsets(FetchRequest { group_id: "g".to_owned(), ..FetchRequest::default() }).unwrap()
}

/// A stable classic group of one member that reads `orders`.
fn stable(bench: &mut Bench) -> String {
    let mut joining = bench.join(join_request(""), 3);
    bench.advance(3_000);
    let joined = answer(&mut joining).unwrap();
    answer(&mut bench.sync(sync_request(&joined.member_id, joined.generation_id, &[]))).unwrap();
    joined.member_id
}

fn leave(bench: &mut Bench, member_id: &str) {
    let request = LeaveGroupRequest {
        group_id: "g".to_owned(),
        members: vec![leave_group_request::Member { member_id: member_id.to_owned(), ..Default::default() }],
        ..LeaveGroupRequest::default()
    };
    bench.turn(|shard, now, effects| shard.leave(request, now, effects)).unwrap();
}

/// Keeps the member's session alive for a long time.
fn stay(bench: &mut Bench, member_id: &str, ms: i64) {
    let end = bench.now.monotonic_ms + ms;
    while bench.now.monotonic_ms < end {
        bench.advance((end - bench.now.monotonic_ms).min(9_000));
        bench.heartbeat(member_id, 1).unwrap();
    }
}

#[test]
fn a_consumer_without_a_group_commits_under_a_free_name() {
    let mut bench = Bench::new();
    let codes = commit(&mut bench, simple_commit(vec![offset("orders", 0, 5), offset("orders", 1, 6)]));
    assert_eq!(codes, Ok(vec![ErrorCode::None, ErrorCode::None]));
    assert_eq!(committed(&bench, "orders", 1), Some(6));
    assert_eq!(committed(&bench, "orders", 2), None);
    let listed = bench.shard.list();
    assert_eq!((listed[0].state, listed[0].group_type, listed[0].protocol_type.as_str()), ("Empty", "classic", ""));
    bench.compact();
    bench.restart();
    assert_eq!(all(&bench).len(), 1);
    assert_eq!(bench.shard.list().len(), 1);
}

#[test]
fn only_the_current_generation_of_a_group_commits() {
    let mut bench = Bench::new();
    let member = stable(&mut bench);
    assert_eq!(commit(&mut bench, member_commit(&member, 1)), Ok(vec![ErrorCode::None]));
    assert_eq!(commit(&mut bench, member_commit(&member, 0)), Err(ErrorCode::IllegalGeneration));
    assert_eq!(commit(&mut bench, member_commit("ghost", 1)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(commit(&mut bench, member_commit("", -1)), Err(ErrorCode::UnknownMemberId));
    let mut fenced = member_commit(&member, 1);
    fenced.instance_id = Some("nobody".to_owned());
    assert_eq!(commit(&mut bench, fenced), Err(ErrorCode::UnknownMemberId));
    let mut elsewhere = member_commit(&member, 1);
    elsewhere.group_id = "other".to_owned();
    assert_eq!(commit(&mut bench, elsewhere), Err(ErrorCode::IllegalGeneration));
}

#[test]
fn a_commit_waits_for_the_end_of_a_rebalance_and_refreshes_the_session() {
    let mut bench = Bench::new();
    let mut joining = bench.join(join_request(""), 3);
    bench.advance(3_000);
    let member = answer(&mut joining).unwrap().member_id;
    assert_eq!(commit(&mut bench, member_commit(&member, 1)), Err(ErrorCode::RebalanceInProgress));
    answer(&mut bench.sync(sync_request(&member, 1, &[]))).unwrap();
    for _ in 0..3 {
        bench.advance(9_000);
        assert_eq!(commit(&mut bench, member_commit(&member, 1)), Ok(vec![ErrorCode::None]));
    }
}

#[test]
fn metadata_that_is_too_long_is_refused_alone() {
    let mut bench = Bench::new();
    let mut long = offset("orders", 0, 5);
    long.metadata = "x".repeat(4_097);
    let codes = commit(&mut bench, simple_commit(vec![long, offset("orders", 1, 6)]));
    assert_eq!(codes, Ok(vec![ErrorCode::OffsetMetadataTooLarge, ErrorCode::None]));
    assert_eq!(committed(&bench, "orders", 0), None);
    assert_eq!(committed(&bench, "orders", 1), Some(6));
}

#[test]
fn members_of_a_consumer_group_commit_and_fetch_with_their_epoch() {
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
    let with_version = |version, epoch| CommitRequest { version, ..member_commit("m", epoch) };
    assert_eq!(commit(&mut bench, with_version(9, 1)), Ok(vec![ErrorCode::None]));
    assert_eq!(commit(&mut bench, with_version(9, 0)), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(commit(&mut bench, with_version(8, 1)), Err(ErrorCode::UnsupportedVersion));
    assert_eq!(commit(&mut bench, simple_commit(vec![offset("orders", 0, 1)])), Err(ErrorCode::UnknownMemberId));
    let fetch = |member: &str, epoch| FetchRequest {
        group_id: "g".to_owned(),
        member: Some((member.to_owned(), epoch)),
        ..FetchRequest::default()
    };
    assert_eq!(bench.shard.fetch_offsets(fetch("m", 1)).unwrap().len(), 1);
    assert_eq!(bench.shard.fetch_offsets(fetch("m", 7)), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(bench.shard.fetch_offsets(fetch("x", 1)), Err(ErrorCode::UnknownMemberId));
    let codes = bench.turn(|shard, _, effects| shard.delete_offsets("g", &[("orders".to_owned(), vec![0])], effects));
    assert_eq!(codes, Ok(vec![ErrorCode::GroupSubscribedToTopic]));
}

#[test]
fn offsets_of_topics_nobody_reads_can_be_deleted() {
    let mut bench = Bench::new();
    commit(&mut bench, simple_commit(vec![offset("orders", 0, 5), offset("old", 0, 6)])).unwrap();
    stable(&mut bench);
    let topics = [("orders".to_owned(), vec![0]), ("old".to_owned(), vec![0, 1])];
    let codes = bench.turn(|shard, _, effects| shard.delete_offsets("g", &topics, effects));
    assert_eq!(codes, Ok(vec![ErrorCode::GroupSubscribedToTopic, ErrorCode::None]));
    assert_eq!((committed(&bench, "orders", 0), committed(&bench, "old", 0)), (Some(5), None));
    bench.restart();
    assert_eq!((committed(&bench, "orders", 0), committed(&bench, "old", 0)), (Some(5), None));
    let codes = bench.turn(|shard, _, effects| shard.delete_offsets("none", &topics, effects));
    assert_eq!(codes, Err(ErrorCode::GroupIdNotFound));
}

#[test]
fn a_group_of_workers_whose_topics_are_unknown_must_be_empty_to_delete_offsets() {
    let mut bench = Bench::new();
    let mut request = join_request("");
    request.protocol_type = "connect".to_owned();
    let mut joining = bench.join(request, 3);
    bench.advance(3_000);
    answer(&mut joining).unwrap();
    let codes = bench.turn(|shard, _, effects| shard.delete_offsets("g", &[("t".to_owned(), vec![0])], effects));
    assert_eq!(codes, Err(ErrorCode::NonEmptyGroup));
}

#[test]
fn deleting_a_group_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let member = stable(&mut bench);
    commit(&mut bench, member_commit(&member, 1)).unwrap();
    let delete = |bench: &mut Bench| bench.turn(|shard, now, effects| shard.delete_group("g", now, effects));
    assert_eq!(delete(&mut bench), Err(ErrorCode::NonEmptyGroup));
    leave(&mut bench, &member);
    assert_eq!(delete(&mut bench), Ok(()));
    assert_eq!(delete(&mut bench), Err(ErrorCode::GroupIdNotFound));
    assert!(all(&bench).is_empty());
    bench.compact();
    assert!(bench.log.is_empty(), "left over: {:?}", bench.log);
}

#[test]
fn the_offsets_of_a_deleted_topic_go_with_it() {
    let mut bench = Bench::new();
    commit(&mut bench, simple_commit(vec![offset("orders", 0, 5), offset("old", 3, 6)])).unwrap();
    bench.turn(|shard, _, effects| shard.topics_deleted(&[("old".to_owned(), Uuid::default())], effects));
    assert_eq!((committed(&bench, "orders", 0), committed(&bench, "old", 3)), (Some(5), None));
    bench.restart();
    assert_eq!(committed(&bench, "old", 3), None);
}

#[test]
fn offsets_of_no_group_expire_after_their_commit_and_the_group_with_them() {
    let mut bench = Bench::new();
    bench.restart();
    commit(&mut bench, simple_commit(vec![offset("orders", 0, 5)])).unwrap();
    bench.advance(6 * DAY_MS);
    commit(&mut bench, simple_commit(vec![offset("orders", 1, 6)])).unwrap();
    bench.advance(DAY_MS + 600_000);
    assert_eq!((committed(&bench, "orders", 0), committed(&bench, "orders", 1)), (None, Some(6)));
    bench.advance(6 * DAY_MS);
    assert!(bench.shard.list().is_empty());
    bench.compact();
    assert!(bench.log.is_empty());
}

#[test]
fn a_wall_clock_set_back_makes_no_offset_expire() {
    let mut bench = Bench::new();
    bench.restart();
    commit(&mut bench, simple_commit(vec![offset("orders", 0, 5)])).unwrap();
    bench.jump_wall_clock(-100 * WEEK_MS);
    bench.advance(2 * WEEK_MS);
    assert_eq!(committed(&bench, "orders", 0), Some(5), "by the clock it was committed in the future");
    bench.jump_wall_clock(100 * WEEK_MS);
    bench.advance(600_000);
    assert_eq!(committed(&bench, "orders", 0), None);
}

#[test]
fn offsets_of_an_empty_group_expire_counted_from_when_it_became_empty() {
    let mut bench = Bench::new();
    bench.restart();
    let member = stable(&mut bench);
    commit(&mut bench, member_commit(&member, 1)).unwrap();
    stay(&mut bench, &member, WEEK_MS + 600_000);
    assert_eq!(committed(&bench, "orders", 0), Some(5), "in use, however old");
    leave(&mut bench, &member);
    bench.restart();
    bench.advance(WEEK_MS - 1);
    assert_eq!(committed(&bench, "orders", 0), Some(5));
    bench.advance(600_000);
    assert!(bench.shard.list().is_empty());
    bench.compact();
    assert!(bench.log.is_empty());
}

#[test]
fn an_offset_that_an_administrator_sets_in_an_old_empty_group_lives_a_full_retention() {
    let mut bench = Bench::new();
    bench.restart();
    let member = stable(&mut bench);
    commit(&mut bench, member_commit(&member, 1)).unwrap();
    leave(&mut bench, &member);
    bench.advance(6 * DAY_MS);
    commit(&mut bench, simple_commit(vec![offset("orders", 1, 7)])).unwrap();
    bench.advance(6 * DAY_MS);
    assert_eq!((committed(&bench, "orders", 0), committed(&bench, "orders", 1)), (None, Some(7)));
}

#[test]
fn a_stable_group_loses_only_the_offsets_of_topics_it_no_longer_reads() {
    let mut bench = Bench::new();
    bench.restart();
    commit(&mut bench, simple_commit(vec![offset("old", 0, 6)])).unwrap();
    let member = stable(&mut bench);
    commit(&mut bench, member_commit(&member, 1)).unwrap();
    stay(&mut bench, &member, WEEK_MS + 600_000);
    assert_eq!((committed(&bench, "orders", 0), committed(&bench, "old", 0)), (Some(5), None));
}

#[test]
fn a_retention_time_of_its_own_decides_when_an_offset_expires() {
    let mut bench = Bench::new();
    bench.restart();
    let mut request = simple_commit(vec![offset("orders", 0, 5)]);
    request.retention_ms = Some(60_000);
    commit(&mut bench, request.clone()).unwrap();
    request.retention_ms = Some(WEEK_MS * 2);
    request.offsets = vec![offset("orders", 1, 6)];
    commit(&mut bench, request).unwrap();
    bench.advance(600_000);
    assert_eq!(committed(&bench, "orders", 0), None);
    bench.restart();
    bench.advance(WEEK_MS + 600_000);
    assert_eq!(committed(&bench, "orders", 1), Some(6));
    bench.advance(WEEK_MS);
    assert_eq!(committed(&bench, "orders", 1), None);
}

#[test]
fn a_commit_time_given_by_the_client_is_kept() {
    let mut bench = Bench::new();
    let mut old = offset("orders", 0, 5);
    old.commit_timestamp = Some(bench.now.unix_ms - WEEK_MS);
    commit(&mut bench, simple_commit(vec![old])).unwrap();
    bench.turn(|shard, now, effects| shard.expire_offsets(now, effects));
    assert_eq!(committed(&bench, "orders", 0), None);
}
