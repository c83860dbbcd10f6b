//! The rules of the consumer protocol (KIP-848), on a clock that stands still.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::messages::consumer_group_describe_response::Group;
use milena_protocol::messages::consumer_group_heartbeat_request::TopicPartition;
use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use milena_protocol::{ErrorCode, Uuid};

use super::group::ConsumerGroup;
use super::request::Refusal;
use crate::group::TopicFilter;
use crate::group::assignor::Assignment;
use crate::group::config::{GroupConfig, MigrationPolicy};
use crate::group::testing::{Bench, MapTopics, answer, client, everything, join_request};

/// A client that does what the protocol asks of it: takes what it is given, gives up what it is told to.
#[derive(Clone, Debug, Default)]
struct Consumer {
    member_id: String,
    instance_id: Option<String>,
    epoch: i32,
    owned: Assignment,
    /// It gave something up and has to say so.
    report: bool,
}

impl Consumer {
    fn new(member_id: &str) -> Self {
        Consumer { member_id: member_id.to_owned(), ..Consumer::default() }
    }

    fn fixed(member_id: &str, instance_id: &str) -> Self {
        Consumer { instance_id: Some(instance_id.to_owned()), ..Consumer::new(member_id) }
    }

    fn join_request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            member_epoch: 0,
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec!["orders".to_owned()]),
            topic_partitions: Some(Vec::new()),
            ..self.request()
        }
    }

    fn request(&self) -> ConsumerGroupHeartbeatRequest {
        let owned = self.owned.iter().map(|(topic, partitions)| TopicPartition {
            topic_id: *topic,
            partitions: partitions.iter().copied().collect(),
        });
        ConsumerGroupHeartbeatRequest {
            group_id: "g".to_owned(),
            member_id: self.member_id.clone(),
            member_epoch: self.epoch,
            instance_id: self.instance_id.clone(),
            topic_partitions: self.report.then(|| owned.collect()),
            ..ConsumerGroupHeartbeatRequest::default()
        }
    }

    /// Joins a fresh group member and takes what it gets.
    fn join(&mut self, bench: &mut Bench) {
        let response = send(bench, self.join_request()).unwrap();
        self.accept(response);
    }

    fn heartbeat(&mut self, bench: &mut Bench) {
        let response = send(bench, self.request()).unwrap();
        self.report = false;
        self.accept(response);
    }

    fn accept(&mut self, response: ConsumerGroupHeartbeatResponse) {
        self.epoch = response.member_epoch;
        self.member_id = response.member_id.unwrap();
        if let Some(assignment) = response.assignment {
            let assigned: Assignment = assignment
                .topic_partitions
                .into_iter()
                .map(|topic| (topic.topic_id, topic.partitions.into_iter().collect()))
                .collect();
            self.report = assigned != self.owned;
            self.owned = assigned;
        }
    }

    fn count(&self) -> usize {
        self.owned.values().map(BTreeSet::len).sum()
    }
}

fn send(bench: &mut Bench, request: ConsumerGroupHeartbeatRequest) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
    bench.turn(|shard, now, effects| shard.consumer_heartbeat(request, client(), &everything(), 1, now, effects))
}

fn refused(bench: &mut Bench, request: ConsumerGroupHeartbeatRequest) -> ErrorCode {
    send(bench, request).unwrap_err().code
}

fn bench() -> (Bench, Uuid) {
    bench_with(|_| {})
}

fn bench_with(adjust: impl FnOnce(&mut GroupConfig)) -> (Bench, Uuid) {
    let bench = Bench::with(adjust);
    let topic = bench.topics.set("orders", 1, 6);
    (bench, topic)
}

fn describe(bench: &Bench) -> Group {
    bench.shard.describe_consumer("g").unwrap()
}

/// Heartbeats of all members in turn until the group is stable; at no time may two own one partition.
fn settle(bench: &mut Bench, consumers: &mut [Consumer]) {
    for _ in 0..20 {
        for index in 0..consumers.len() {
            consumers[index].heartbeat(bench);
            check_disjoint(consumers);
        }
        if describe(bench).group_state == "Stable" && consumers.iter().all(|consumer| !consumer.report) {
            return;
        }
    }
    panic!("the group does not settle: {:?}", describe(bench));
}

fn check_disjoint(consumers: &[Consumer]) {
    let mut owners: BTreeMap<(Uuid, i32), &str> = BTreeMap::new();
    for consumer in consumers {
        for (topic, partitions) in &consumer.owned {
            for partition in partitions {
                let other = owners.insert((*topic, *partition), &consumer.member_id);
                assert_eq!(other, None, "partition {partition} is read by two members");
            }
        }
    }
}

fn counts(consumers: &[Consumer]) -> Vec<usize> {
    consumers.iter().map(Consumer::count).collect()
}

/// Three members over the six partitions of `orders`, settled.
fn three_members(bench: &mut Bench) -> Vec<Consumer> {
    let mut consumers = vec![Consumer::new("a"), Consumer::new("b"), Consumer::new("c")];
    for consumer in &mut consumers {
        consumer.join(bench);
    }
    settle(bench, &mut consumers);
    consumers
}

#[test]
fn the_first_member_gets_everything_at_once() {
    let (mut bench, topic) = bench();
    let response = send(&mut bench, Consumer::new("a").join_request()).unwrap();
    assert_eq!((response.member_epoch, response.heartbeat_interval_ms), (1, 5_000));
    let assignment = response.assignment.unwrap().topic_partitions;
    assert_eq!(assignment[0].topic_id, topic);
    assert_eq!(assignment[0].partitions, [0, 1, 2, 3, 4, 5]);
    assert_eq!(describe(&bench).group_state, "Stable");
}

#[test]
fn three_members_share_six_partitions_and_no_partition_is_ever_read_by_two() {
    let (mut bench, _) = bench();
    let consumers = three_members(&mut bench);
    assert_eq!(counts(&consumers), [2, 2, 2]);
    let group = describe(&bench);
    assert_eq!((group.group_state.as_str(), group.group_epoch, group.assignment_epoch), ("Stable", 3, 3));
    assert_eq!(group.assignor_name, "uniform");
    assert!(group.members.iter().all(|member| member.assignment == member.target_assignment
        && member.assignment.topic_partitions[0].topic_name == "orders"
        && member.member_type == 1
        && member.client_host == "/127.0.0.1"));
}

#[test]
fn the_others_take_over_when_a_member_is_killed_and_share_with_a_new_one() {
    let (mut bench, _) = bench();
    let mut consumers = three_members(&mut bench);
    consumers.remove(1);
    for _ in 0..9 {
        bench.advance(5_000);
        for consumer in &mut consumers {
            consumer.heartbeat(&mut bench);
        }
    }
    settle(&mut bench, &mut consumers);
    assert_eq!(counts(&consumers), [3, 3]);

    let mut newcomer = Consumer::new("d");
    newcomer.join(&mut bench);
    assert_eq!(newcomer.count(), 0, "what others read is not given away");
    consumers.push(newcomer);
    settle(&mut bench, &mut consumers);
    assert_eq!(counts(&consumers), [2, 2, 2]);
}

#[test]
fn a_member_that_leaves_frees_its_partitions_at_once() {
    let (mut bench, _) = bench();
    let mut consumers = three_members(&mut bench);
    let leaver = consumers.pop().unwrap();
    let response = send(&mut bench, ConsumerGroupHeartbeatRequest { member_epoch: -1, ..leaver.request() }).unwrap();
    assert_eq!(response.member_epoch, -1);
    for consumer in &mut consumers {
        consumer.heartbeat(&mut bench);
    }
    assert_eq!(counts(&consumers), [3, 3]);
}

#[test]
fn a_member_that_does_not_give_up_its_partitions_in_time_is_fenced() {
    let (mut bench, _) = bench();
    let mut stubborn = Consumer::new("a");
    stubborn.join(&mut bench);
    let mut other = Consumer::new("b");
    other.join(&mut bench);
    stubborn.heartbeat(&mut bench);
    assert!(stubborn.report, "it was told to give up half");
    let silent = ConsumerGroupHeartbeatRequest { topic_partitions: None, ..stubborn.request() };
    for _ in 0..11 {
        bench.advance(5_000);
        send(&mut bench, silent.clone()).unwrap();
        other.heartbeat(&mut bench);
        assert_eq!(other.count(), 0);
    }
    bench.advance(5_000);
    assert_eq!(refused(&mut bench, silent), ErrorCode::UnknownMemberId);
    other.heartbeat(&mut bench);
    assert_eq!(other.count(), 6);
}

#[test]
fn epochs_fence_members_that_missed_something() {
    let (mut bench, _) = bench();
    let mut consumers = three_members(&mut bench);
    let request = |epoch| ConsumerGroupHeartbeatRequest { member_epoch: epoch, ..consumers[0].request() };
    assert_eq!(refused(&mut bench, request(99)), ErrorCode::FencedMemberEpoch);
    assert_eq!(refused(&mut bench, request(1)), ErrorCode::FencedMemberEpoch);
    let ghost = ConsumerGroupHeartbeatRequest { member_epoch: 3, ..Consumer::new("ghost").request() };
    assert_eq!(refused(&mut bench, ghost), ErrorCode::UnknownMemberId);
    let elsewhere =
        ConsumerGroupHeartbeatRequest { group_id: "none".to_owned(), member_epoch: 3, ..Consumer::new("a").request() };
    assert_eq!(refused(&mut bench, elsewhere), ErrorCode::GroupIdNotFound);
    settle(&mut bench, &mut consumers);
}

#[test]
fn the_previous_epoch_is_accepted_when_the_answer_was_lost() {
    let (mut bench, topic) = bench();
    let mut first = Consumer::new("a");
    first.join(&mut bench);
    bench.topics.set("orders", 1, 8);
    bench.shard.topics_changed();
    let lost = send(&mut bench, first.request()).unwrap();
    assert_eq!(lost.member_epoch, 2);
    let mut retry = ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(vec![TopicPartition { topic_id: topic, partitions: vec![0, 1, 2, 3, 4, 5] }]),
        ..first.request()
    };
    assert_eq!(send(&mut bench, retry.clone()).unwrap().member_epoch, 2);
    retry.topic_partitions = Some(vec![TopicPartition { topic_id: topic, partitions: vec![77] }]);
    assert_eq!(refused(&mut bench, retry), ErrorCode::FencedMemberEpoch);
}

#[test]
fn a_member_may_start_over_with_epoch_0_under_its_id() {
    let (mut bench, _) = bench();
    let mut consumers = three_members(&mut bench);
    let mut again = Consumer::new("a");
    again.join(&mut bench);
    assert_eq!(again.count(), 2);
    assert_eq!(again.owned, consumers[0].owned, "nobody else was given its partitions");
    consumers[0] = again;
    settle(&mut bench, &mut consumers);
}

#[test]
fn the_assignment_is_sent_only_when_it_changed_or_everything_was_stated() {
    let (mut bench, _) = bench();
    let mut consumer = Consumer::new("a");
    consumer.join(&mut bench);
    assert!(send(&mut bench, consumer.request()).unwrap().assignment.is_none());
    let full = ConsumerGroupHeartbeatRequest {
        member_epoch: consumer.epoch,
        topic_partitions: Some(Vec::new()),
        ..consumer.join_request()
    };
    assert!(send(&mut bench, full).unwrap().assignment.is_some());
}

#[test]
fn new_partitions_and_new_topics_reach_the_members() {
    let (mut bench, _) = bench();
    let mut consumers = three_members(&mut bench);
    bench.topics.set("orders", 1, 9);
    bench.shard.topics_changed();
    settle(&mut bench, &mut consumers);
    assert_eq!(counts(&consumers), [3, 3, 3]);

    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(vec!["orders".to_owned(), "later".to_owned()]),
        ..consumers[0].request()
    };
    let response = send(&mut bench, request).unwrap();
    consumers[0].accept(response);
    settle(&mut bench, &mut consumers);
    let later = bench.topics.set("later", 2, 1);
    bench.shard.topics_changed();
    settle(&mut bench, &mut consumers);
    assert!(consumers[0].owned.contains_key(&later));

    bench.topics.0.lock().remove("orders");
    bench.shard.topics_changed();
    settle(&mut bench, &mut consumers);
    assert_eq!(counts(&consumers), [1, 0, 0]);
}

#[test]
fn a_static_member_that_is_away_for_a_moment_finds_its_partitions_again() {
    let (mut bench, _) = bench();
    let mut consumers = vec![Consumer::fixed("a", "one"), Consumer::fixed("b", "two")];
    for consumer in &mut consumers {
        consumer.join(&mut bench);
    }
    settle(&mut bench, &mut consumers);
    let epoch_before = describe(&bench).group_epoch;
    let before = consumers[1].owned.clone();

    let usurper = Consumer::fixed("x", "two");
    assert_eq!(refused(&mut bench, usurper.join_request()), ErrorCode::UnreleasedInstanceId);

    let away = ConsumerGroupHeartbeatRequest { member_epoch: -2, ..consumers[1].request() };
    assert_eq!(send(&mut bench, away).unwrap().member_epoch, -2);
    consumers[0].heartbeat(&mut bench);
    assert_eq!(consumers[0].count(), 3, "the seat stays reserved");

    let old = consumers[1].request();
    let mut back = Consumer::fixed("b2", "two");
    back.join(&mut bench);
    assert_eq!(back.owned, before);
    assert_eq!(describe(&bench).group_epoch, epoch_before, "nobody else has to do anything");
    assert_eq!(refused(&mut bench, old), ErrorCode::FencedInstanceId);
    consumers[1] = back;
    settle(&mut bench, &mut consumers);
}

#[test]
fn a_static_member_that_stays_away_loses_its_seat_with_its_session() {
    let (mut bench, _) = bench();
    let mut consumers = vec![Consumer::fixed("a", "one"), Consumer::fixed("b", "two")];
    for consumer in &mut consumers {
        consumer.join(&mut bench);
    }
    settle(&mut bench, &mut consumers);
    let away = ConsumerGroupHeartbeatRequest { member_epoch: -2, ..consumers.pop().unwrap().request() };
    send(&mut bench, away).unwrap();
    for _ in 0..9 {
        bench.advance(5_000);
        consumers[0].heartbeat(&mut bench);
    }
    settle(&mut bench, &mut consumers);
    assert_eq!(consumers[0].count(), 6);
}

#[test]
fn a_regular_expression_follows_the_topics_that_match_its_whole_name() {
    let (mut bench, orders) = bench();
    bench.topics.set("orders-old", 2, 1);
    let eu = bench.topics.set("eu.orders", 3, 1);
    let mut consumer = Consumer::new("a");
    let subscribe = |consumer: &Consumer, expression: &str| ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(expression.to_owned()),
        ..consumer.join_request()
    };
    let response = send(&mut bench, subscribe(&consumer, r"(eu\.)?orders")).unwrap();
    consumer.accept(response);
    assert_eq!(consumer.owned.keys().copied().collect::<Vec<_>>(), [orders, eu]);

    let us = bench.topics.set("us.orders", 4, 2);
    consumer.epoch = 0;
    consumer.owned.clear();
    let response = send(&mut bench, subscribe(&consumer, r".*\.orders")).unwrap();
    consumer.accept(response);
    assert_eq!(consumer.owned.keys().copied().collect::<Vec<_>>(), [eu, us]);

    let asia = bench.topics.set("asia.orders", 5, 1);
    consumer.report = false;
    consumer.heartbeat(&mut bench);
    assert!(!consumer.owned.contains_key(&asia));
    for _ in 0..120 {
        bench.advance(5_000);
        consumer.heartbeat(&mut bench);
    }
    assert!(consumer.owned.contains_key(&asia), "looked up again after the refresh interval");

    for invalid in ["(", "a)(b", "[z-a]"] {
        let request = subscribe(&Consumer::new("z"), invalid);
        assert_eq!(refused(&mut bench, request), ErrorCode::InvalidRegularExpression);
    }
    assert_eq!(describe(&bench).members.len(), 1);
}

#[test]
fn an_empty_expression_takes_an_earlier_one_back() {
    let (mut bench, _) = bench();
    let mut consumer = Consumer::new("a");
    let request =
        ConsumerGroupHeartbeatRequest { subscribed_topic_regex: Some("o.*".to_owned()), ..consumer.join_request() };
    let response = send(&mut bench, request).unwrap();
    consumer.accept(response);
    let request = ConsumerGroupHeartbeatRequest {
        subscribed_topic_names: Some(Vec::new()),
        subscribed_topic_regex: Some(String::new()),
        ..consumer.request()
    };
    let response = send(&mut bench, request).unwrap();
    consumer.accept(response);
    assert_eq!(consumer.count(), 0);
    assert_eq!(describe(&bench).members[0].subscribed_topic_regex, None);
}

#[test]
fn the_assignor_is_the_one_most_members_ask_for() {
    let (mut bench, topic) = bench();
    let mut consumers = vec![Consumer::new("a"), Consumer::new("b")];
    for consumer in &mut consumers {
        let request =
            ConsumerGroupHeartbeatRequest { server_assignor: Some("range".to_owned()), ..consumer.join_request() };
        let response = send(&mut bench, request).unwrap();
        consumer.accept(response);
    }
    settle(&mut bench, &mut consumers);
    assert_eq!(describe(&bench).assignor_name, "range");
    assert_eq!(consumers[0].owned[&topic], BTreeSet::from([0, 1, 2]));
    let request = ConsumerGroupHeartbeatRequest { server_assignor: Some("magic".to_owned()), ..consumers[0].request() };
    assert_eq!(refused(&mut bench, request), ErrorCode::UnsupportedAssignor);
}

#[test]
fn requests_that_contradict_themselves_are_invalid() {
    let (mut bench, topic) = bench();
    let join = Consumer::new("a").join_request();
    let invalid = [
        ConsumerGroupHeartbeatRequest { group_id: String::new(), ..join.clone() },
        ConsumerGroupHeartbeatRequest { member_id: String::new(), ..join.clone() },
        ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: -1, ..join.clone() },
        ConsumerGroupHeartbeatRequest { topic_partitions: None, ..join.clone() },
        ConsumerGroupHeartbeatRequest {
            topic_partitions: Some(vec![TopicPartition { topic_id: topic, partitions: vec![0] }]),
            ..join.clone()
        },
        ConsumerGroupHeartbeatRequest { subscribed_topic_names: None, ..join.clone() },
        ConsumerGroupHeartbeatRequest { instance_id: Some(String::new()), ..join.clone() },
        ConsumerGroupHeartbeatRequest { rack_id: Some(" ".to_owned()), ..join.clone() },
        ConsumerGroupHeartbeatRequest { member_epoch: -2, ..join.clone() },
        ConsumerGroupHeartbeatRequest { member_epoch: -3, ..join.clone() },
    ];
    for request in invalid {
        assert_eq!(refused(&mut bench, request), ErrorCode::InvalidRequest);
    }
    assert!(bench.shard.list().is_empty());
    let chosen = bench.turn(|shard, now, effects| {
        let request = ConsumerGroupHeartbeatRequest { member_id: String::new(), ..join };
        shard.consumer_heartbeat(request, client(), &everything(), 0, now, effects)
    });
    assert!(!chosen.unwrap().member_id.unwrap().is_empty(), "version 0 leaves the id to the broker");
}

#[test]
fn a_full_group_refuses_the_next_member() {
    let mut bench = Bench::with(|config| config.consumer_max_size = 1);
    Consumer::new("a").join(&mut bench);
    assert_eq!(refused(&mut bench, Consumer::new("b").join_request()), ErrorCode::GroupMaxSizeReached);
    Consumer::new("a").join(&mut bench);
}

#[test]
fn a_group_may_have_its_own_session_timeout() {
    let (mut bench, _) = bench();
    for group in ["g", "patient"] {
        let request = ConsumerGroupHeartbeatRequest { group_id: group.to_owned(), ..Consumer::new("a").join_request() };
        send(&mut bench, request).unwrap();
    }
    bench.advance(45_000);
    assert_eq!(describe(&bench).group_state, "Empty");
    assert_eq!(bench.shard.describe_consumer("patient").unwrap().group_state, "Stable");
    bench.advance(15_000);
    assert_eq!(bench.shard.describe_consumer("patient").unwrap().group_state, "Empty");
}

#[test]
fn members_that_arrive_within_the_assignment_interval_share_one_assignment() {
    let mut bench = Bench::with(|config| config.consumer_assignment_interval_ms = 1_000);
    bench.topics.set("orders", 1, 6);
    let mut consumers = vec![Consumer::new("a"), Consumer::new("b"), Consumer::new("c")];
    for consumer in &mut consumers {
        consumer.join(&mut bench);
    }
    let group = describe(&bench);
    assert_eq!((group.group_state.as_str(), group.group_epoch, group.assignment_epoch), ("Assigning", 3, 1));
    bench.advance(1_000);
    settle(&mut bench, &mut consumers);
    assert_eq!(counts(&consumers), [2, 2, 2]);
}

#[test]
fn a_group_continues_after_a_restart_even_from_a_compacted_log() {
    let (mut bench, _) = bench();
    let mut consumers = three_members(&mut bench);
    let before = describe(&bench);
    bench.compact();
    bench.restart();
    assert_eq!(describe(&bench), before);
    settle(&mut bench, &mut consumers);
    assert_eq!(describe(&bench), before, "a restart is no reason to rebalance");

    // In the middle of a rebalance, too.
    let mut newcomer = Consumer::new("d");
    newcomer.join(&mut bench);
    consumers[0].heartbeat(&mut bench);
    consumers.push(newcomer);
    bench.restart();
    settle(&mut bench, &mut consumers);
    let mut shares = counts(&consumers);
    shares.sort_unstable();
    assert_eq!(shares, [1, 1, 2, 2]);
    bench.advance(45_000);
    assert_eq!(describe(&bench).group_state, "Empty");
}

#[test]
fn what_a_member_holds_survives_when_compaction_puts_its_own_record_last() {
    let (mut bench, _) = bench();
    let mut consumers = three_members(&mut bench);
    let slower = ConsumerGroupHeartbeatRequest { rebalance_timeout_ms: 90_000, ..consumers[0].request() };
    send(&mut bench, slower).unwrap();
    let before = describe(&bench);
    bench.compact();
    bench.restart();
    assert_eq!(describe(&bench), before);
    settle(&mut bench, &mut consumers);
}

#[test]
fn without_migration_the_two_protocols_replace_each_other_only_when_the_group_is_empty() {
    let (mut bench, _) = bench_with(|config| config.migration_policy = MigrationPolicy::Disabled);
    let mut consumer = Consumer::new("a");
    consumer.join(&mut bench);
    let mut joining = bench.join(join_request(""), 3);
    assert_eq!(answer(&mut joining).unwrap_err(), ErrorCode::InconsistentGroupProtocol);
    assert!(bench.shard.describe_classic("g").is_err());
    send(&mut bench, ConsumerGroupHeartbeatRequest { member_epoch: -1, ..consumer.request() }).unwrap();

    let mut joining = bench.join(join_request(""), 3);
    bench.advance(3_000);
    let member_id = answer(&mut joining).unwrap().member_id;
    assert!(bench.shard.describe_consumer("g").is_err());
    let refusal = send(&mut bench, Consumer::new("a").join_request()).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::GroupIdNotFound);

    bench.advance(40_000);
    assert_eq!(bench.heartbeat(&member_id, 1), Err(ErrorCode::UnknownMemberId));
    Consumer::new("a").join(&mut bench);
    assert_eq!(describe(&bench).group_state, "Stable");
    bench.restart();
    assert_eq!(describe(&bench).group_state, "Stable");
}

#[test]
fn every_record_of_a_member_that_is_gone_is_a_tombstone() {
    let (mut bench, _) = bench();
    for consumer in three_members(&mut bench) {
        send(&mut bench, ConsumerGroupHeartbeatRequest { member_epoch: -1, ..consumer.request() }).unwrap();
    }
    bench.turn(|shard, now, effects| shard.delete_group("g", now, effects)).unwrap();
    bench.compact();
    assert!(bench.log.is_empty(), "left over: {:?}", bench.log);
}

#[test]
fn the_protocol_can_be_switched_off() {
    let mut bench = Bench::with(|config| config.consumer_protocol_enabled = false);
    assert_eq!(refused(&mut bench, Consumer::new("a").join_request()), ErrorCode::UnsupportedVersion);
}

#[test]
fn an_expression_matches_only_what_the_client_may_see() {
    let (mut bench, _) = bench();
    bench.topics.set("orders-secret", 2, 1);
    let mut request = Consumer::new("a").join_request();
    request.subscribed_topic_names = None;
    request.subscribed_topic_regex = Some("orders.*".to_owned());
    let hidden: TopicFilter = Box::new(|topic| topic != "orders-secret");
    bench.turn(|shard, now, effects| shard.consumer_heartbeat(request, client(), &hidden, 1, now, effects)).unwrap();
    let group = describe(&bench);
    let topics: Vec<_> = group.members[0].target_assignment.topic_partitions.iter().map(|t| &t.topic_name).collect();
    assert_eq!(topics, ["orders"]);
}

#[test]
fn a_groups_own_assignment_interval_is_kept_inside_the_brokers_bounds() {
    let config = GroupConfig { consumer_assignment_interval_range_ms: (0, 2_000), ..GroupConfig::default() };
    let topics = MapTopics::default();
    let interval = |id: &str| ConsumerGroup::new(id.into()).assignment_interval_ms(&topics, &config);
    assert_eq!((interval("patient"), interval("other")), (2_000, 1_000));
}
