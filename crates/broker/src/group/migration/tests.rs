//! Groups whose members speak both protocols, on a clock that stands still.

use bytes::Bytes;
use milena_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ConsumerProtocolSubscription, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, SyncGroupResponse, consumer_protocol_subscription, leave_group_request,
    sync_group_request,
};
use milena_protocol::{Message, Writer};

use super::*;
use crate::group::classic::State;
use crate::group::config::GroupConfig;
use crate::group::embedded_protocol::{self, NamedPartitions};
use crate::group::shard_offsets::{CommitRequest, PartitionCommit};
use crate::group::testing::{Bench, answer, client, everything, join_request, protocol, sync_request};

/// A bench with topic `orders` of four partitions.
fn bench(adjust: impl FnOnce(&mut GroupConfig)) -> Bench {
    let bench = Bench::with(adjust);
    bench.topics.set("orders", 1, 4);
    bench
}

/// What a consumer of `orders` says that holds `owned`.
fn subscription(owned: &[i32]) -> Bytes {
    let owned = match owned {
        [] => Vec::new(),
        partitions => vec![consumer_protocol_subscription::OwnedPartition {
            topic: "orders".to_owned(),
            partitions: partitions.to_vec(),
        }],
    };
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["orders".to_owned()],
        owned_partitions: owned,
        ..ConsumerProtocolSubscription::default()
    };
    let mut writer = Writer::new();
    writer.i16(3);
    subscription.encode(&mut writer, 3).unwrap();
    writer.finish().to_bytes().unwrap()
}

fn cooperative_join(member_id: &str, owned: &[i32]) -> JoinGroupRequest {
    JoinGroupRequest {
        protocols: vec![protocol("cooperative-sticky", subscription(owned)), protocol("range", subscription(owned))],
        ..join_request(member_id)
    }
}

fn join(bench: &mut Bench, request: JoinGroupRequest) -> Result<JoinGroupResponse, ErrorCode> {
    answer(&mut bench.join(request, 9))
}

fn sync(bench: &mut Bench, member_id: &str, generation_id: i32) -> Result<Vec<i32>, ErrorCode> {
    answer(&mut bench.sync(sync_request(member_id, generation_id, &[]))).map(|response| orders(&response))
}

fn orders(response: &SyncGroupResponse) -> Vec<i32> {
    let assignment: NamedPartitions = embedded_protocol::assignment(&response.assignment).unwrap();
    assignment.into_iter().filter(|(topic, _)| topic == "orders").flat_map(|(_, partitions)| partitions).collect()
}

fn beat(bench: &mut Bench, request: ConsumerGroupHeartbeatRequest) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    bench.turn(|shard, now, effects| shard.consumer_heartbeat(request, client(), &everything(), 1, now, effects))
}

fn consumer_join(member_id: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member_id.to_owned(),
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(vec!["orders".to_owned()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn consumer_beat(member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: "g".to_owned(),
        member_id: member_id.to_owned(),
        member_epoch,
        rebalance_timeout_ms: -1,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

fn partitions(response: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let assignment = response.assignment.as_ref()?;
    Some(assignment.topic_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect())
}

/// A stable classic group of one consumer that holds all of `orders`; answers with its member id.
fn classic_group(bench: &mut Bench) -> String {
    let member_id = join(bench, cooperative_join("", &[])).unwrap().member_id;
    let mut joining = bench.join(cooperative_join(&member_id, &[]), 9);
    bench.advance(3_000);
    assert_eq!(answer(&mut joining).unwrap().generation_id, 1);
    let all = embedded_protocol::encode_assignment(3, vec![("orders".to_owned(), vec![0, 1, 2, 3])]).unwrap();
    let mut request = sync_request(&member_id, 1, &[]);
    request.assignments = vec![sync_group_request::Assignment { member_id: member_id.clone(), assignment: all }];
    answer(&mut bench.sync(request)).unwrap();
    member_id
}

fn group_type(bench: &Bench) -> &'static str {
    bench.shard.list()[0].group_type
}

/// A classic member that holds everything and a consumer that just joined.
fn mixed_group(bench: &mut Bench) -> String {
    let classic = classic_group(bench);
    let joined = beat(bench, consumer_join("new")).unwrap();
    assert_eq!((joined.member_epoch, partitions(&joined)), (2, Some(Vec::new())));
    classic
}

#[test]
fn a_classic_member_gives_up_its_share_to_a_member_of_the_new_protocol_and_nobody_stops() {
    let mut bench = bench(|_| {});
    let classic = mixed_group(&mut bench);
    assert_eq!(group_type(&bench), "consumer");
    // It goes on with what it has, and hears of the rebalance.
    assert_eq!(bench.heartbeat(&classic, 1), Err(ErrorCode::RebalanceInProgress));
    let rejoined = join(&mut bench, cooperative_join(&classic, &[0, 1, 2, 3])).unwrap();
    assert_eq!((rejoined.generation_id, rejoined.leader.as_str()), (1, ""));
    assert_eq!(rejoined.protocol_name.as_deref(), Some("cooperative-sticky"));
    let kept = sync(&mut bench, &classic, 1).unwrap();
    assert_eq!(kept.len(), 2);
    let waiting = beat(&mut bench, consumer_beat("new", 2)).unwrap();
    assert_eq!(partitions(&waiting), None, "not released yet");
    assert_eq!(bench.heartbeat(&classic, 1), Err(ErrorCode::RebalanceInProgress));
    let rejoined = join(&mut bench, cooperative_join(&classic, &kept)).unwrap();
    assert_eq!(rejoined.generation_id, 2);
    assert_eq!(sync(&mut bench, &classic, 2), Ok(kept.clone()));
    assert_eq!(bench.heartbeat(&classic, 2), Ok(()));
    let mut all = partitions(&beat(&mut bench, consumer_beat("new", 2)).unwrap()).unwrap();
    assert_eq!(all.len(), 2);
    all.extend(kept);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
}

#[test]
fn an_eager_member_that_comes_with_nothing_gets_its_share_in_one_round() {
    let mut bench = bench(|_| {});
    let classic = mixed_group(&mut bench);
    let rejoined = join(&mut bench, cooperative_join(&classic, &[])).unwrap();
    assert_eq!(rejoined.generation_id, 2);
    assert_eq!(sync(&mut bench, &classic, 2).unwrap().len(), 2);
    assert_eq!(sync(&mut bench, &classic, 1), Err(ErrorCode::IllegalGeneration));
}

#[test]
fn the_group_is_classic_again_when_the_last_new_member_leaves() {
    let mut bench = bench(|_| {});
    let classic = mixed_group(&mut bench);
    join(&mut bench, cooperative_join(&classic, &[])).unwrap();
    beat(&mut bench, ConsumerGroupHeartbeatRequest { member_epoch: -1, ..consumer_beat("new", -1) }).unwrap();
    assert_eq!(group_type(&bench), "classic");
    bench.restart();
    assert_eq!(group_type(&bench), "classic");
    bench.compact();
    bench.restart();
    let Some(Group::Classic(group)) = bench.shard.groups.get("g") else { panic!("not classic") };
    assert_eq!((group.state(), group.generation_id(), group.member_count()), (State::Stable, 3, 1));
    let held = embedded_protocol::assignment(&group.members().next().unwrap().assignment).unwrap();
    assert_eq!(held[0].1.len(), 2, "its target of before");
}

#[test]
fn a_downgrade_asks_every_classic_member_to_join_again() {
    let mut bench = bench(|_| {});
    let classic = mixed_group(&mut bench);
    join(&mut bench, cooperative_join(&classic, &[])).unwrap();
    sync(&mut bench, &classic, 2).unwrap();
    // The new member falls silent.
    for _ in 0..6 {
        bench.advance(9_000);
        let _ = bench.heartbeat(&classic, 2);
    }
    assert_eq!(group_type(&bench), "classic");
    assert_eq!(bench.heartbeat(&classic, 2), Err(ErrorCode::IllegalGeneration));
    let rejoined = join(&mut bench, cooperative_join(&classic, &[])).unwrap();
    assert_eq!((rejoined.generation_id, rejoined.leader), (4, classic));
}

#[test]
fn the_policy_decides() {
    let refused = |policy| {
        let mut bench = bench(|config| config.migration_policy = policy);
        classic_group(&mut bench);
        beat(&mut bench, consumer_join("new")).map_err(|refusal| refusal.code).err()
    };
    assert_eq!(refused(MigrationPolicy::Disabled), Some(ErrorCode::GroupIdNotFound));
    assert_eq!(refused(MigrationPolicy::Downgrade), Some(ErrorCode::GroupIdNotFound));
    assert_eq!(refused(MigrationPolicy::Upgrade), None);

    let mut bench = bench(|config| config.migration_policy = MigrationPolicy::Upgrade);
    let classic = mixed_group(&mut bench);
    beat(&mut bench, consumer_beat("new", -1)).unwrap();
    assert_eq!(group_type(&bench), "consumer");
    assert_eq!(join(&mut bench, cooperative_join(&classic, &[])).unwrap().generation_id, 3);

    let mut bench = self::bench(|config| config.migration_policy = MigrationPolicy::Disabled);
    beat(&mut bench, consumer_join("new")).unwrap();
    assert_eq!(join(&mut bench, cooperative_join("", &[])), Err(ErrorCode::InconsistentGroupProtocol));
}

#[test]
fn groups_of_workers_are_not_upgraded() {
    let mut bench = bench(|_| {});
    let mut joining = bench.join(JoinGroupRequest { protocol_type: "connect".to_owned(), ..join_request("") }, 3);
    bench.advance(3_000);
    answer(&mut joining).unwrap();
    assert_eq!(beat(&mut bench, consumer_join("new")).unwrap_err().code, ErrorCode::GroupIdNotFound);
    assert_eq!(group_type(&bench), "classic");
}

#[test]
fn a_classic_member_may_join_a_group_of_the_new_protocol() {
    let mut bench = bench(|_| {});
    assert_eq!(partitions(&beat(&mut bench, consumer_join("new")).unwrap()), Some(vec![0, 1, 2, 3]));
    let named = join(&mut bench, cooperative_join("", &[])).unwrap();
    assert_eq!(named.error_code, ErrorCode::MemberIdRequired.code());
    let joined = join(&mut bench, cooperative_join(&named.member_id, &[])).unwrap();
    assert_eq!(joined.generation_id, 2);
    assert_eq!(sync(&mut bench, &named.member_id, 2), Ok(Vec::new()));
    assert_eq!(bench.heartbeat(&named.member_id, 2), Ok(()), "nothing is free yet");
    let told = beat(&mut bench, consumer_beat("new", 1)).unwrap();
    let kept = partitions(&told).unwrap();
    assert_eq!(kept.len(), 2);
    let mut released = consumer_beat("new", 1);
    released.topic_partitions =
        Some(vec![milena_protocol::messages::consumer_group_heartbeat_request::TopicPartition {
            topic_id: bench.topics.topic("orders").unwrap().id,
            partitions: kept,
        }]);
    assert_eq!(beat(&mut bench, released).unwrap().member_epoch, 2);
    assert_eq!(bench.heartbeat(&named.member_id, 2), Err(ErrorCode::RebalanceInProgress), "its share is free");
    join(&mut bench, cooperative_join(&named.member_id, &[])).unwrap();
    assert_eq!(sync(&mut bench, &named.member_id, 2).unwrap().len(), 2);
    let other = JoinGroupRequest { protocols: vec![protocol("sticky", subscription(&[]))], ..join_request("x") };
    assert_eq!(join(&mut bench, other), Err(ErrorCode::InconsistentGroupProtocol), "no protocol in common");
}

#[test]
fn a_classic_member_that_does_not_join_again_in_time_is_removed() {
    let mut bench = bench(|_| {});
    let classic = mixed_group(&mut bench);
    for _ in 0..4 {
        assert_eq!(bench.heartbeat(&classic, 1), Err(ErrorCode::RebalanceInProgress));
        bench.advance(9_000);
    }
    assert_eq!(bench.heartbeat(&classic, 1), Err(ErrorCode::UnknownMemberId));
    let alone = beat(&mut bench, consumer_beat("new", 2)).unwrap();
    assert_eq!((alone.member_epoch, partitions(&alone)), (3, Some(vec![0, 1, 2, 3])));
}

#[test]
fn a_mixed_group_survives_a_restart() {
    let mut bench = bench(|_| {});
    let classic = mixed_group(&mut bench);
    bench.compact();
    bench.restart();
    assert_eq!(bench.heartbeat(&classic, 1), Err(ErrorCode::RebalanceInProgress));
    let rejoined = join(&mut bench, cooperative_join(&classic, &[])).unwrap();
    assert_eq!(sync(&mut bench, &classic, rejoined.generation_id).unwrap().len(), 2);
    // The classic member's own session timeout counts.
    bench.advance(10_001);
    assert_eq!(bench.heartbeat(&classic, rejoined.generation_id), Err(ErrorCode::UnknownMemberId));
}

#[test]
fn classic_members_of_a_consumer_group_commit_by_generation_and_leave_by_name() {
    let mut bench = bench(|_| {});
    let classic = mixed_group(&mut bench);
    let commit = |bench: &mut Bench, generation_id| {
        let request = CommitRequest {
            group_id: "g".to_owned(),
            member_id: classic.clone(),
            generation_id_or_member_epoch: generation_id,
            version: 7,
            offsets: vec![PartitionCommit { topic: "orders".to_owned(), offset: 3, ..PartitionCommit::default() }],
            ..CommitRequest::default()
        };
        bench.turn(|shard, now, effects| shard.commit_offsets(request, now, effects))
    };
    assert_eq!(commit(&mut bench, 1), Ok(vec![ErrorCode::None]));
    assert_eq!(commit(&mut bench, 2), Err(ErrorCode::IllegalGeneration));
    let leave = |bench: &mut Bench, member_id: &str| {
        let request = LeaveGroupRequest {
            group_id: "g".to_owned(),
            members: vec![leave_group_request::Member { member_id: member_id.to_owned(), ..Default::default() }],
            ..LeaveGroupRequest::default()
        };
        bench.turn(|shard, now, effects| shard.leave(request, now, effects)).unwrap()[0].error_code
    };
    assert_eq!(leave(&mut bench, "new"), ErrorCode::UnknownMemberId.code(), "not a classic member");
    assert_eq!(leave(&mut bench, &classic), 0);
    let alone = beat(&mut bench, consumer_beat("new", 2)).unwrap();
    assert_eq!((alone.member_epoch, partitions(&alone)), (3, Some(vec![0, 1, 2, 3])));
}

#[test]
fn a_static_member_changes_its_protocol_and_keeps_its_seat() {
    let mut bench = bench(|_| {});
    let as_static = |request: JoinGroupRequest| JoinGroupRequest { group_instance_id: Some("i".to_owned()), ..request };
    let mut joining = bench.join(as_static(cooperative_join("", &[])), 9);
    bench.advance(3_000);
    let old = answer(&mut joining).unwrap().member_id;
    let assignment = embedded_protocol::encode_assignment(3, vec![("orders".to_owned(), vec![0, 1, 2, 3])]).unwrap();
    let mut request = sync_request(&old, 1, &[]);
    request.assignments = vec![sync_group_request::Assignment { member_id: old.clone(), assignment }];
    answer(&mut bench.sync(request)).unwrap();

    let static_join = ConsumerGroupHeartbeatRequest { instance_id: Some("i".to_owned()), ..consumer_join("new") };
    let joined = beat(&mut bench, static_join).unwrap();
    assert_eq!(partitions(&joined), Some(vec![0, 1, 2, 3]));
    assert_eq!(bench.heartbeat(&old, 1), Err(ErrorCode::UnknownMemberId));
    // And back: the group has only classic members then.
    let back = join(&mut bench, as_static(cooperative_join("", &[]))).unwrap();
    assert_eq!(group_type(&bench), "classic");
    let mut rejoining = bench.join(as_static(cooperative_join(&back.member_id, &[])), 9);
    assert_eq!(answer(&mut rejoining).unwrap().leader, back.member_id);
}

#[test]
fn a_join_that_waits_in_the_classic_group_is_told_to_come_again() {
    let mut bench = bench(|_| {});
    let member_id = join(&mut bench, cooperative_join("", &[])).unwrap().member_id;
    let mut parked = bench.join(cooperative_join(&member_id, &[]), 9);
    beat(&mut bench, consumer_join("new")).unwrap();
    assert_eq!(answer(&mut parked), Err(ErrorCode::RebalanceInProgress));
    assert_eq!(group_type(&bench), "consumer");
    let joined = join(&mut bench, cooperative_join(&member_id, &[])).unwrap();
    sync(&mut bench, &member_id, joined.generation_id).unwrap();
}
