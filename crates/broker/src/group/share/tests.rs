//! Tests of share group membership: one shard, a clock that stands still, a log in memory.

use milena_protocol::messages::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
use milena_protocol::{ErrorCode, Uuid};

use super::*;
use crate::group::consumer::Refusal;
use crate::group::shard::{Group, NotDescribed};
use crate::group::testing::{Bench, client};

fn request(member: &str, epoch: i32, topics: Option<&[&str]>) -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        member_epoch: epoch,
        subscribed_topic_names: topics.map(|topics| topics.iter().map(|topic| (*topic).to_owned()).collect()),
        ..ShareGroupHeartbeatRequest::default()
    }
}

/// A heartbeat, with the state of new partitions initialized on the way.
fn beat(bench: &mut Bench, request: &ShareGroupHeartbeatRequest) -> Result<ShareGroupHeartbeatResponse, Refusal> {
    let first = bench.turn(|shard, now, effects| shard.share_heartbeat(request, client(), None, now, effects))?;
    let topics = match first {
        ShareHeartbeat::Answer(response) => return Ok(response),
        ShareHeartbeat::Initialize { topics, .. } => topics,
    };
    match bench.turn(|shard, now, effects| shard.share_heartbeat(request, client(), Some(topics), now, effects))? {
        ShareHeartbeat::Answer(response) => Ok(response),
        ShareHeartbeat::Initialize { .. } => panic!("asked twice"),
    }
}

fn partitions(response: &ShareGroupHeartbeatResponse) -> Vec<i32> {
    let assignment = response.assignment.as_ref().expect("an assignment");
    assignment.topic_partitions.iter().flat_map(|topic| topic.partitions.iter().copied()).collect()
}

fn bench() -> Bench {
    let bench = Bench::with(|config| config.share_assignment_interval_ms = 0);
    bench.topics.set("t", 1, 2);
    bench
}

#[test]
fn a_member_gets_its_partitions_with_its_first_heartbeat_and_they_survive_a_restart() {
    let mut bench = bench();
    let joined = beat(&mut bench, &request("m", 0, Some(&["t"]))).unwrap();
    assert_eq!((joined.member_epoch, partitions(&joined)), (2, vec![0, 1]));
    bench.compact();
    bench.restart();
    let stayed = beat(&mut bench, &request("m", 2, None)).unwrap();
    assert_eq!((stayed.member_epoch, stayed.assignment), (2, None));
    let described = bench.shard.describe_share("g").unwrap();
    assert_eq!((described.group_state.as_str(), described.assignor_name.as_str()), ("Stable", "simple"));
    assert_eq!(described.members[0].assignment.topic_partitions[0].partitions, [0, 1]);
}

#[test]
fn members_share_partitions_when_there_are_too_few() {
    let mut bench = bench();
    for name in ["a", "b", "c"] {
        beat(&mut bench, &request(name, 0, Some(&["t"]))).unwrap();
    }
    let described = bench.shard.describe_share("g").unwrap();
    assert_eq!(described.members.len(), 3);
    let epoch = described.group_epoch;
    let held: usize = ["a", "b", "c"]
        .iter()
        .map(|name| partitions(&beat(&mut bench, &request(name, 0, Some(&["t"]))).unwrap()).len())
        .sum();
    assert!(held >= 3, "everybody has something to read");
    assert_eq!(bench.shard.describe_share("g").unwrap().group_epoch, epoch, "nothing changed");
}

#[test]
fn new_partitions_of_a_topic_begin_at_their_beginning() {
    let mut bench = bench();
    beat(&mut bench, &request("m", 0, Some(&["t"]))).unwrap();
    bench.topics.set("t", 1, 3);
    bench.shard.topics_changed();
    let asked = request("m", 2, None);
    let first = bench.turn(|shard, now, effects| shard.share_heartbeat(&asked, client(), None, now, effects));
    let Ok(ShareHeartbeat::Initialize { topics, .. }) = first else { panic!("{first:?}") };
    assert_eq!((topics[0].partitions.as_slice(), topics[0].start_offset), (&[2][..], 0));
    let response = beat(&mut bench, &asked).unwrap();
    assert_eq!((response.member_epoch, partitions(&response)), (3, vec![0, 1, 2]));
}

#[test]
fn wrong_epochs_and_unknown_members_are_refused() {
    let mut bench = bench();
    let code = |result: Result<ShareGroupHeartbeatResponse, Refusal>| result.unwrap_err().code;
    assert_eq!(code(beat(&mut bench, &request("m", 5, None))), ErrorCode::GroupIdNotFound);
    beat(&mut bench, &request("m", 0, Some(&["t"]))).unwrap();
    assert_eq!(code(beat(&mut bench, &request("m", 9, None))), ErrorCode::FencedMemberEpoch);
    assert_eq!(code(beat(&mut bench, &request("n", 2, None))), ErrorCode::UnknownMemberId);
    assert_eq!(code(beat(&mut bench, &request("n", 0, None))), ErrorCode::InvalidRequest);
    assert_eq!(code(beat(&mut bench, &request("", 0, Some(&["t"])))), ErrorCode::InvalidRequest);
    assert_eq!(code(beat(&mut bench, &request("m", -2, None))), ErrorCode::InvalidRequest);
}

#[test]
fn a_silent_member_is_removed_and_a_leaving_one_at_once() {
    let mut bench = bench();
    beat(&mut bench, &request("a", 0, Some(&["t"]))).unwrap();
    let left = beat(&mut bench, &request("a", -1, None)).unwrap();
    assert_eq!(left.member_epoch, -1);
    assert_eq!(bench.shard.describe_share("g").unwrap().group_state, "Empty");
    beat(&mut bench, &request("b", 0, Some(&["t"]))).unwrap();
    bench.advance(44_999);
    assert_eq!(bench.shard.describe_share("g").unwrap().members.len(), 1);
    bench.advance(1);
    assert_eq!(bench.shard.describe_share("g").unwrap().members.len(), 0);
    bench.compact();
    bench.restart();
    assert_eq!(bench.shard.describe_share("g").unwrap().group_state, "Empty", "where it stands is kept");
}

#[test]
fn a_group_has_one_type() {
    let mut bench = bench();
    beat(&mut bench, &request("a", 0, Some(&["t"]))).unwrap();
    assert!(matches!(bench.shard.groups.get("g"), Some(Group::Share(_))));
    assert_eq!(bench.shard.describe_consumer("g").unwrap_err(), NotDescribed::OtherProtocol);
    let listed = bench.shard.list();
    assert_eq!((listed[0].group_type, listed[0].protocol_type.as_str(), listed[0].state), ("share", "share", "Stable"));
    assert_eq!(bench.turn(|shard, now, effects| shard.delete_group("g", now, effects)), Err(ErrorCode::NonEmptyGroup));
    beat(&mut bench, &request("a", -1, None)).unwrap();
    bench.turn(|shard, now, effects| shard.delete_group("g", now, effects)).unwrap();
    bench.compact();
    assert!(bench.log.is_empty(), "deletion leaves nothing behind: {:?}", bench.log);
}

#[test]
fn deleted_topics_are_forgotten() {
    let mut bench = bench();
    beat(&mut bench, &request("a", 0, Some(&["t"]))).unwrap();
    bench.topics.0.lock().remove("t");
    let deleted = [("t".to_owned(), Uuid([1; 16]))];
    bench.turn(|shard, now, effects| shard.share_topics_deleted(&deleted, now, effects));
    assert_eq!(bench.shard.share_topics("g").unwrap(), []);
    let response = beat(&mut bench, &request("a", 2, None)).unwrap();
    assert_eq!((response.member_epoch, partitions(&response)), (3, vec![]));
}
