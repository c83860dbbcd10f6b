//! Tests of streams groups: one shard, a clock that stands still, a log in memory.

use milena_protocol::ErrorCode;
use milena_protocol::messages::streams_group_heartbeat_request::{
    Endpoint, Subtopology, TaskIds, TaskOffset, TopicInfo, Topology,
};
use milena_protocol::messages::streams_group_heartbeat_response;
use milena_protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};

use super::request::{ASSIGNMENT_DELAYED, MISSING_SOURCE_TOPICS, SHUTDOWN_APPLICATION, STALE_TOPOLOGY};
use super::*;
use crate::group::consumer::Refusal;
use crate::group::shard::{Group, NotDescribed};
use crate::group::shard_offsets::{CommitRequest, FetchRequest, PartitionCommit};
use crate::group::testing::{Bench, client, join_request};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `in` is split into `words`, and those are counted with a changelog.
fn topology(epoch: i32) -> Topology {
    let topic = |name: &str| TopicInfo { name: name.to_owned(), ..TopicInfo::default() };
    let split = Subtopology {
        subtopology_id: "0".to_owned(),
        source_topics: names(&["in"]),
        repartition_sink_topics: names(&["words"]),
        ..Subtopology::default()
    };
    let count = Subtopology {
        subtopology_id: "1".to_owned(),
        repartition_source_topics: vec![topic("words")],
        state_changelog_topics: vec![topic("counts")],
        ..Subtopology::default()
    };
    Topology { epoch, subtopologies: vec![split, count] }
}

fn join(member: &str) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        rebalance_timeout_ms: 30_000,
        topology: Some(topology(0)),
        active_tasks: Some(Vec::new()),
        standby_tasks: Some(Vec::new()),
        warmup_tasks: Some(Vec::new()),
        process_id: Some(format!("process of {member}")),
        ..StreamsGroupHeartbeatRequest::default()
    }
}

fn stay(member: &str, epoch: i32) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        member_epoch: epoch,
        ..StreamsGroupHeartbeatRequest::default()
    }
}

/// As `stay`, and the client says which active tasks it has.
fn owning(member: &str, epoch: i32, active: &[(&str, &[i32])]) -> StreamsGroupHeartbeatRequest {
    let active = active
        .iter()
        .map(|(id, partitions)| TaskIds { subtopology_id: (*id).to_owned(), partitions: partitions.to_vec() });
    StreamsGroupHeartbeatRequest {
        active_tasks: Some(active.collect()),
        standby_tasks: Some(Vec::new()),
        warmup_tasks: Some(Vec::new()),
        ..stay(member, epoch)
    }
}

type Answer = Result<StreamsGroupHeartbeatResponse, Refusal>;

fn beat(bench: &mut Bench, request: &StreamsGroupHeartbeatRequest) -> Answer {
    beat_for_topics(bench, request).map(|outcome| outcome.response)
}

fn beat_for_topics(bench: &mut Bench, request: &StreamsGroupHeartbeatRequest) -> Result<StreamsHeartbeat, Refusal> {
    bench.turn(|shard, now, effects| shard.streams_heartbeat(request, client(), now, effects))
}

fn code(answer: Answer) -> ErrorCode {
    answer.unwrap_err().code
}

fn listed(tasks: Option<&Vec<streams_group_heartbeat_response::TaskIds>>) -> Vec<(String, Vec<i32>)> {
    let tasks = tasks.expect("an assignment").iter();
    tasks.map(|tasks| (tasks.subtopology_id.clone(), tasks.partitions.clone())).collect()
}

fn active(response: &StreamsGroupHeartbeatResponse) -> Vec<(String, Vec<i32>)> {
    listed(response.active_tasks.as_ref())
}

fn tasks(tasks: &[(&str, &[i32])]) -> Vec<(String, Vec<i32>)> {
    tasks.iter().map(|(id, partitions)| ((*id).to_owned(), partitions.to_vec())).collect()
}

fn statuses(response: &StreamsGroupHeartbeatResponse) -> Vec<i8> {
    response.status.iter().flatten().map(|status| status.status_code).collect()
}

/// A bench on which nothing is delayed, with all topics.
fn bench() -> Bench {
    let bench = Bench::with(|config| {
        config.streams.initial_rebalance_delay_ms = 0;
        config.streams.assignment_interval_ms = 0;
    });
    for (name, id) in [("in", 1), ("words", 2), ("counts", 3)] {
        bench.topics.set(name, id, 2);
    }
    bench
}

fn state(bench: &Bench) -> String {
    bench.shard.describe_streams("g").unwrap().group_state
}

#[test]
fn the_only_member_gets_every_task_and_keeps_it_over_a_restart() {
    let mut bench = bench();
    let joined = beat(&mut bench, &join("m")).unwrap();
    assert_eq!((joined.member_epoch, active(&joined)), (2, tasks(&[("0", &[0, 1]), ("1", &[0, 1])])));
    assert_eq!((statuses(&joined), joined.heartbeat_interval_ms), (vec![], 5_000));
    bench.compact();
    bench.restart();
    assert_eq!(state(&bench), "Stable");
    let stayed = beat(&mut bench, &stay("m", 2)).unwrap();
    assert_eq!((stayed.member_epoch, stayed.active_tasks), (2, None));
    let described = bench.shard.describe_streams("g").unwrap();
    assert_eq!((described.group_epoch, described.assignment_epoch), (2, 2));
    let topology = described.topology.unwrap().subtopologies.unwrap();
    assert_eq!(topology[1].state_changelog_topics[0].partitions, 2);
    assert_eq!(described.members[0].process_id, "process of m");
    assert_eq!(described.members[0].assignment, described.members[0].target_assignment);
}

#[test]
fn internal_topics_are_asked_for_and_tasks_wait_for_them() {
    let mut bench = bench();
    bench.topics.0.lock().retain(|name, _| name == "in");
    let outcome = beat_for_topics(&mut bench, &join("m")).unwrap();
    let missing: Vec<_> = outcome.missing_topics.iter().map(|topic| (topic.name.as_str(), topic.partitions)).collect();
    assert_eq!(missing, [("counts", 2), ("words", 2)]);
    assert_eq!(statuses(&outcome.response), [MISSING_INTERNAL_TOPICS]);
    assert_eq!((active(&outcome.response), state(&bench).as_str()), (vec![], "NotReady"));
    bench.topics.set("words", 2, 2);
    bench.topics.set("counts", 3, 2);
    bench.shard.topics_changed();
    let ready = beat(&mut bench, &stay("m", outcome.response.member_epoch)).unwrap();
    assert_eq!((ready.member_epoch, active(&ready).len()), (3, 2));
    assert_eq!((statuses(&ready), state(&bench).as_str()), (vec![], "Stable"));
}

#[test]
fn a_source_topic_that_vanishes_stops_the_tasks() {
    let mut bench = bench();
    beat(&mut bench, &join("m")).unwrap();
    bench.topics.0.lock().remove("in");
    bench.shard.topics_changed();
    let told = beat(&mut bench, &stay("m", 2)).unwrap();
    assert_eq!((statuses(&told), active(&told)), (vec![MISSING_SOURCE_TOPICS], vec![]));
    assert_eq!(state(&bench), "NotReady");
}

#[test]
fn an_empty_group_waits_for_more_members() {
    let mut bench = bench();
    bench.config.streams.initial_rebalance_delay_ms = 3_000;
    bench.restart();
    let first = beat(&mut bench, &join("a")).unwrap();
    assert_eq!((statuses(&first), first.member_epoch), (vec![ASSIGNMENT_DELAYED], 1));
    bench.advance(1_000);
    let second = beat(&mut bench, &join("b")).unwrap();
    assert_eq!((statuses(&second), active(&second)), (vec![ASSIGNMENT_DELAYED], vec![]));
    assert_eq!(state(&bench), "Assigning");
    bench.advance(2_000);
    let a = beat(&mut bench, &stay("a", 1)).unwrap();
    let b = beat(&mut bench, &stay("b", 1)).unwrap();
    assert_eq!((active(&a).len(), active(&b).len(), a.member_epoch), (2, 2, 3));
}

#[test]
fn a_task_moves_only_after_its_owner_gave_it_up() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    let b = beat(&mut bench, &join("b")).unwrap();
    assert_eq!((b.member_epoch, active(&b)), (3, vec![]));
    assert_eq!(state(&bench), "Reconciling");
    let told = beat(&mut bench, &stay("a", 2)).unwrap();
    assert_eq!((told.member_epoch, active(&told)), (2, tasks(&[("0", &[0]), ("1", &[0])])));
    assert_eq!(beat(&mut bench, &stay("b", 3)).unwrap().active_tasks, None, "not released yet");
    bench.restart();
    let released = beat(&mut bench, &owning("a", 2, &[("0", &[0]), ("1", &[0])])).unwrap();
    assert_eq!(released.member_epoch, 3);
    let b = beat(&mut bench, &stay("b", 3)).unwrap();
    assert_eq!(active(&b), tasks(&[("0", &[1]), ("1", &[1])]));
    assert_eq!(state(&bench), "Stable");
}

#[test]
fn a_member_that_does_not_give_up_its_tasks_in_time_is_removed() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    beat(&mut bench, &join("b")).unwrap();
    beat(&mut bench, &stay("a", 2)).unwrap();
    bench.advance(30_000);
    assert_eq!(code(beat(&mut bench, &stay("a", 2))), ErrorCode::UnknownMemberId);
    assert_eq!(active(&beat(&mut bench, &stay("b", 3)).unwrap()).len(), 2);
}

#[test]
fn a_silent_member_is_removed_and_another_takes_over() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    bench.advance(40_000);
    beat(&mut bench, &join("b")).unwrap();
    bench.advance(5_000);
    let b = beat(&mut bench, &stay("b", 3)).unwrap();
    assert_eq!((b.member_epoch, active(&b)), (4, tasks(&[("0", &[0, 1]), ("1", &[0, 1])])));
}

#[test]
fn a_leaving_member_is_gone_at_once() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    let left = beat(&mut bench, &stay("a", -1)).unwrap();
    assert_eq!((left.member_epoch, state(&bench).as_str()), (-1, "Empty"));
    assert_eq!(code(beat(&mut bench, &stay("a", -1))), ErrorCode::UnknownMemberId);
}

#[test]
fn standbys_are_given_when_the_group_asks_for_them() {
    let mut bench = bench();
    bench.config.streams.num_standby_replicas = 1;
    bench.restart();
    beat(&mut bench, &join("a")).unwrap();
    beat(&mut bench, &join("b")).unwrap();
    let a = beat(&mut bench, &owning("a", 2, &[("0", &[0]), ("1", &[0])])).unwrap();
    assert_eq!((a.member_epoch, active(&a)), (3, tasks(&[("0", &[0]), ("1", &[0])])));
    assert_eq!(listed(a.standby_tasks.as_ref()), tasks(&[("1", &[1])]));
    bench.compact();
    bench.restart();
    let described = bench.shard.describe_streams("g").unwrap();
    assert_eq!(described.members[0].assignment.standby_tasks[0].partitions, [1], "standbys are in the records");
}

#[test]
fn a_changed_setting_of_the_assignment_starts_a_new_epoch() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    bench.config.streams.num_standby_replicas = 1;
    bench.restart();
    assert_eq!(beat(&mut bench, &stay("a", 2)).unwrap().member_epoch, 3);
}

#[test]
fn wrong_requests_and_epochs_are_refused_and_change_nothing() {
    let mut bench = bench();
    assert_eq!(code(beat(&mut bench, &stay("m", 5))), ErrorCode::GroupIdNotFound);
    beat(&mut bench, &join("m")).unwrap();
    let logged = bench.log.len();
    let mut wrong = |change: &dyn Fn(&mut StreamsGroupHeartbeatRequest)| {
        let mut request = join("m");
        change(&mut request);
        code(beat(&mut bench, &request))
    };
    assert_eq!(wrong(&|it| it.member_id.clear()), ErrorCode::InvalidRequest);
    assert_eq!(wrong(&|it| it.group_id.clear()), ErrorCode::InvalidRequest);
    assert_eq!(wrong(&|it| it.instance_id = Some("i".to_owned())), ErrorCode::InvalidRequest);
    assert_eq!(wrong(&|it| it.rebalance_timeout_ms = -1), ErrorCode::InvalidRequest);
    assert_eq!(wrong(&|it| it.active_tasks = None), ErrorCode::InvalidRequest);
    assert_eq!(wrong(&|it| it.topology = None), ErrorCode::InvalidRequest);
    assert_eq!(wrong(&|it| it.member_epoch = -3), ErrorCode::InvalidRequest);
    assert_eq!(wrong(&|it| it.member_epoch = 2), ErrorCode::InvalidRequest, "a topology without joining");
    assert_eq!(wrong(&|it| it.topology = Some(topology(1))), ErrorCode::InvalidRequest, "another topology");
    let with_pattern = |it: &mut StreamsGroupHeartbeatRequest| {
        it.topology.as_mut().unwrap().subtopologies[0].source_topic_regex = names(&["in.*"]);
    };
    assert_eq!(wrong(&with_pattern), ErrorCode::InvalidRequest);
    let with_counted_changelog = |it: &mut StreamsGroupHeartbeatRequest| {
        it.topology.as_mut().unwrap().subtopologies[1].state_changelog_topics[0].partitions = 4;
    };
    assert_eq!(wrong(&with_counted_changelog), ErrorCode::StreamsInvalidTopology);
    assert_eq!(code(beat(&mut bench, &stay("m", 9))), ErrorCode::FencedMemberEpoch);
    assert_eq!(code(beat(&mut bench, &stay("n", 2))), ErrorCode::UnknownMemberId);
    assert_eq!(code(beat(&mut bench, &owning("m", 2, &[("7", &[0])]))), ErrorCode::InvalidRequest);
    assert_eq!(code(beat(&mut bench, &owning("m", 2, &[("0", &[2])]))), ErrorCode::InvalidRequest);
    assert_eq!(bench.log.len(), logged);
}

#[test]
fn a_lost_answer_is_given_again_and_an_older_epoch_is_fenced() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    beat(&mut bench, &join("b")).unwrap();
    beat(&mut bench, &owning("a", 2, &[("0", &[0]), ("1", &[0])])).unwrap();
    let again = beat(&mut bench, &owning("a", 2, &[("0", &[0]), ("1", &[0])])).unwrap();
    assert_eq!(again.member_epoch, 3);
    assert_eq!(code(beat(&mut bench, &stay("a", 2))), ErrorCode::FencedMemberEpoch, "it does not say what it has");
    assert_eq!(code(beat(&mut bench, &owning("a", 2, &[("0", &[0, 1])]))), ErrorCode::FencedMemberEpoch);
}

#[test]
fn a_full_group_takes_no_more_members() {
    let mut bench = bench();
    bench.config.streams.max_size = 1;
    bench.restart();
    beat(&mut bench, &join("a")).unwrap();
    assert_eq!(code(beat(&mut bench, &join("b"))), ErrorCode::GroupMaxSizeReached);
    beat(&mut bench, &join("a")).unwrap();
}

#[test]
fn members_with_an_older_topology_are_told() {
    let mut bench = bench();
    let newer = StreamsGroupHeartbeatRequest { topology: Some(topology(3)), ..join("a") };
    beat(&mut bench, &newer).unwrap();
    let older = beat(&mut bench, &join("b")).unwrap();
    assert_eq!(statuses(&older), [STALE_TOPOLOGY]);
}

#[test]
fn a_request_to_stop_reaches_everybody_until_the_group_is_empty() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    beat(&mut bench, &join("b")).unwrap();
    let stopping = StreamsGroupHeartbeatRequest { shutdown_application: true, ..stay("a", -1) };
    beat(&mut bench, &stopping).unwrap();
    assert_eq!(statuses(&beat(&mut bench, &stay("b", 3)).unwrap()), [SHUTDOWN_APPLICATION]);
    beat(&mut bench, &stay("b", -1)).unwrap();
    assert!(statuses(&beat(&mut bench, &join("c")).unwrap()).is_empty());
}

#[test]
fn endpoints_are_told_when_they_changed() {
    let mut bench = bench();
    let endpoint = Endpoint { host: "host".to_owned(), port: 4711 };
    let joined = StreamsGroupHeartbeatRequest { user_endpoint: Some(endpoint), ..join("a") };
    let first = beat(&mut bench, &joined).unwrap();
    let told = first.partitions_by_user_endpoint.unwrap();
    assert_eq!((told[0].user_endpoint.host.as_str(), told[0].user_endpoint.port), ("host", 4711));
    let partitions: Vec<_> =
        told[0].active_partitions.iter().map(|it| (it.topic.as_str(), it.partitions.clone())).collect();
    assert_eq!(partitions, [("in", vec![0, 1]), ("words", vec![0, 1])]);
    let known =
        StreamsGroupHeartbeatRequest { endpoint_information_epoch: first.endpoint_information_epoch, ..stay("a", 2) };
    assert_eq!(beat(&mut bench, &known).unwrap().partitions_by_user_endpoint, None);
}

#[test]
fn task_offsets_are_described() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    let offset = TaskOffset { subtopology_id: "1".to_owned(), partition: 0, offset: 77 };
    let report = StreamsGroupHeartbeatRequest { task_offsets: Some(vec![offset]), ..stay("a", 2) };
    beat(&mut bench, &report).unwrap();
    let described = bench.shard.describe_streams("g").unwrap();
    assert_eq!(described.members[0].task_offsets[0].offset, 77);
}

fn commit(member: &str, epoch: i32, topic: &str, partition: i32) -> CommitRequest {
    let offset = PartitionCommit { topic: topic.to_owned(), partition, offset: 5, ..PartitionCommit::default() };
    CommitRequest {
        group_id: "g".to_owned(),
        member_id: member.to_owned(),
        generation_id_or_member_epoch: epoch,
        version: 9,
        offsets: vec![offset],
        ..CommitRequest::default()
    }
}

#[test]
fn commits_are_for_members_with_a_good_epoch() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    let mut committed = |request: CommitRequest| {
        bench.turn(|shard, now, effects| shard.commit_offsets(request, now, effects)).map(|codes| codes[0])
    };
    assert_eq!(committed(commit("a", 2, "in", 0)), Ok(ErrorCode::None));
    assert_eq!(committed(commit("a", 3, "in", 0)), Err(ErrorCode::StaleMemberEpoch));
    assert_eq!(committed(commit("x", 2, "in", 0)), Err(ErrorCode::UnknownMemberId));
    assert_eq!(committed(commit("", -1, "in", 0)), Err(ErrorCode::UnknownMemberId));
    let old = CommitRequest { version: 8, ..commit("a", 2, "in", 0) };
    assert_eq!(committed(old), Err(ErrorCode::UnsupportedVersion));
    beat(&mut bench, &join("b")).unwrap();
    beat(&mut bench, &owning("a", 2, &[("0", &[0]), ("1", &[0])])).unwrap();
    let mut committed = |request: CommitRequest| {
        bench.turn(|shard, now, effects| shard.commit_offsets(request, now, effects)).map(|codes| codes[0])
    };
    assert_eq!(committed(commit("a", 2, "in", 0)), Ok(ErrorCode::None), "sent before the member moved on");
    assert_eq!(committed(commit("a", 2, "in", 1)), Err(ErrorCode::StaleMemberEpoch), "the task is gone");
    assert_eq!(committed(commit("a", 2, "other", 0)), Err(ErrorCode::StaleMemberEpoch));
    let fetch = |epoch: i32| FetchRequest {
        group_id: "g".to_owned(),
        member: Some(("a".to_owned(), epoch)),
        ..FetchRequest::default()
    };
    assert_eq!(bench.shard.fetch_offsets(fetch(2)).unwrap_err(), ErrorCode::StaleMemberEpoch);
    assert_eq!(bench.shard.fetch_offsets(fetch(3)).unwrap().len(), 1);
}

#[test]
fn a_group_has_one_type() {
    let mut bench = bench();
    beat(&mut bench, &join("a")).unwrap();
    assert_eq!(bench.shard.describe_consumer("g").unwrap_err(), NotDescribed::OtherProtocol);
    let listed = bench.shard.list();
    assert_eq!((listed[0].group_type, listed[0].protocol_type.as_str()), ("streams", "streams"));
    let mut classic = bench.join(join_request(""), 3);
    assert_eq!(crate::group::testing::answer(&mut classic).unwrap_err(), ErrorCode::InconsistentGroupProtocol);
    assert_eq!(bench.turn(|shard, now, effects| shard.delete_group("g", now, effects)), Err(ErrorCode::NonEmptyGroup));
    beat(&mut bench, &stay("a", -1)).unwrap();
    bench.turn(|shard, now, effects| shard.delete_group("g", now, effects)).unwrap();
    bench.compact();
    assert!(bench.log.is_empty(), "deletion leaves nothing behind: {:?}", bench.log);
}

#[test]
fn an_empty_group_changes_its_protocol_and_keeps_its_offsets() {
    let mut bench = bench();
    let request = commit("", -1, "in", 0);
    bench.turn(|shard, now, effects| shard.commit_offsets(request, now, effects)).unwrap();
    beat(&mut bench, &join("a")).unwrap();
    assert!(matches!(bench.shard.groups.get("g"), Some(Group::Streams(_))), "an empty classic group makes room");
    assert!(bench.shard.has_offsets("g"));
    beat(&mut bench, &stay("a", -1)).unwrap();
    let _joining = bench.join(join_request(""), 3);
    assert!(matches!(bench.shard.groups.get("g"), Some(Group::Classic(_))), "and an empty streams group for a classic");
    assert!(bench.shard.has_offsets("g"));
    assert_eq!(code(beat(&mut bench, &join("a"))), ErrorCode::GroupIdNotFound, "it has members now");
}

#[test]
fn offsets_expire_and_the_empty_group_goes_with_them() {
    let mut bench = bench();
    bench.restart();
    beat(&mut bench, &join("a")).unwrap();
    let request = commit("a", 2, "in", 0);
    bench.turn(|shard, now, effects| shard.commit_offsets(request, now, effects)).unwrap();
    beat(&mut bench, &stay("a", -1)).unwrap();
    bench.advance(10_080 * 60_000 + 600_000);
    assert!(bench.shard.groups.is_empty());
}
