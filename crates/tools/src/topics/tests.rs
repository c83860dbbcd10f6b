//! Output and arguments of `kafka-topics`, held against recordings of the original.

use std::collections::{BTreeMap, HashSet};

use milena_client::admin::{PartitionDescription, TopicDescription};
use milena_protocol::messages::describe_configs_response::Config;

use super::describe::{Filter, Reassignment, print_topic};
use super::*;

fn options(words: &[&str]) -> Box<Parsed> {
    let (mut terminal, _, _) = Terminal::captured();
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    SYNTAX.parse(Args { tool: "kafka-topics".to_owned(), words }, &mut terminal).unwrap().unwrap()
}

fn orders() -> TopicDescription {
    let partition = |partition| PartitionDescription {
        partition,
        leader_id: 1,
        replicas: vec![1],
        isr: vec![1],
        elr: Some(vec![]),
        last_known_elr: Some(vec![]),
    };
    TopicDescription {
        name: "orders".to_owned(),
        topic_id: "u08dEu5ERz-4fvXnuDtoAg".parse().unwrap(),
        is_internal: false,
        partitions: vec![partition(0), partition(1)],
    }
}

fn config(name: &str, value: &str, config_source: i8) -> Config {
    Config { name: name.to_owned(), value: Some(value.to_owned()), config_source, ..Default::default() }
}

/// The topic configs of Kafka 4.3: their number decides the order in which set ones are shown.
fn configs_of_orders() -> Vec<Config> {
    let set =
        [("cleanup.policy", "compact,delete", 1), ("retention.ms", "3600000", 1), ("min.insync.replicas", "1", 3)];
    let defaults = "compression.gzip.level compression.lz4.level compression.type compression.zstd.level delete.retention.ms \
        file.delete.delay.ms flush.messages flush.ms follower.replication.throttled.replicas index.interval.bytes \
        leader.replication.throttled.replicas local.retention.bytes local.retention.ms max.compaction.lag.ms max.message.bytes \
        message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type min.cleanable.dirty.ratio \
        min.compaction.lag.ms preallocate remote.log.copy.disable remote.log.delete.on.disable remote.storage.enable \
        retention.bytes segment.bytes segment.index.bytes segment.jitter.ms segment.ms unclean.leader.election.enable";
    let defaults = defaults.split_whitespace().map(|name| config(name, "x", 5));
    set.iter().map(|(name, value, source)| config(name, value, *source)).chain(defaults).collect()
}

fn printed(topic: &TopicDescription, words: &[&str], reassignments: &BTreeMap<(String, i32), Reassignment>) -> String {
    let (mut terminal, out, _) = Terminal::captured();
    let options = options(words);
    let filter = Filter { options: &options, live_brokers: HashSet::from([1]) };
    print_topic(topic, &configs_of_orders(), reassignments, &filter, &mut terminal);
    terminal.flush();
    out.text()
}

#[test]
fn describe_prints_what_kafka_prints() {
    let expected = "Topic: orders\tTopicId: u08dEu5ERz-4fvXnuDtoAg\tPartitionCount: 2\tReplicationFactor: 1\tConfigs: min.insync.replicas=1,cleanup.policy=compact,delete,retention.ms=3600000\n\
        \tTopic: orders\tPartition: 0\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: \n\
        \tTopic: orders\tPartition: 1\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: \n";
    assert_eq!(printed(&orders(), &["--describe"], &BTreeMap::new()), expected);
}

#[test]
fn a_partition_on_the_move_shows_what_is_added_and_removed() {
    let mut topic = orders();
    topic.partitions.truncate(1);
    topic.partitions[0] = PartitionDescription {
        leader_id: -1,
        replicas: vec![3, 1],
        elr: None,
        last_known_elr: None,
        ..topic.partitions[0].clone()
    };
    let moving = BTreeMap::from([(("orders".to_owned(), 0), Reassignment { adding: vec![3], removing: vec![1] })]);
    let text = printed(&topic, &["--describe"], &moving);
    assert!(text.contains("\tReplicationFactor: 1\t"), "{text}");
    assert!(text.ends_with("\tLeader: none\tReplicas: 3,1\tIsr: 1\tAdding Replicas: 3\tRemoving Replicas: 1\tElr: N/A\tLastKnownElr: N/A\n"), "{text}");
}

#[test]
fn filters_print_partitions_or_topics_only() {
    let mut topic = orders();
    topic.partitions[1].isr.clear();
    let text = printed(&topic, &["--describe", "--under-replicated-partitions"], &BTreeMap::new());
    assert_eq!(text, "\tTopic: orders\tPartition: 1\tLeader: 1\tReplicas: 1\tIsr: \tElr: \tLastKnownElr: \n");
    assert_eq!(printed(&topic, &["--describe", "--unavailable-partitions"], &BTreeMap::new()), "");
    assert_eq!(printed(&topic, &["--describe", "--at-min-isr-partitions"], &BTreeMap::new()).lines().count(), 1);
    let text = printed(&topic, &["--describe", "--topics-with-overrides"], &BTreeMap::new());
    assert!(text.starts_with("Topic: orders\t") && text.lines().count() == 1, "{text}");
}

#[test]
fn the_command_line_is_checked_before_anything_is_done() {
    let refused = |words: &[&str]| check(&options(words)).unwrap_err().message();
    let one_action = "Command must include exactly one action: --list, --describe, --create, --alter or --delete";
    assert_eq!(refused(&["--topic", "t"]), one_action);
    assert_eq!(refused(&["--create", "--list"]), one_action);
    assert_eq!(refused(&["--create"]), "Missing required argument \"[topic]\"");
    assert_eq!(
        refused(&["--list", "--partitions", "3"]),
        "Option \"[partitions]\" can't be used with option \"[list]\""
    );
    assert!(check(&options(&["--create", "--topic", "t", "--partitions", "1"])).is_ok());
}

#[test]
fn new_topics_carry_counts_configs_and_assignments() {
    let words = ["--create", "--topic", "t", "--partitions", "2", "--replication-factor", "1", "--config", "a=b=c"];
    let topic = new_topic("t", &options(&words)).unwrap();
    assert_eq!((topic.num_partitions, topic.replication_factor), (2, 1));
    assert_eq!((topic.configs[0].name.as_str(), topic.configs[0].value.as_deref()), ("a", Some("b=c")));
    let topic = new_topic("t", &options(&["--create", "--topic", "t", "--replica-assignment", "0:1,1:0"])).unwrap();
    assert_eq!(topic.assignments[1].broker_ids, [1, 0]);
    assert_eq!((topic.num_partitions, topic.replication_factor), (-1, -1));
    let message = new_topic("t", &options(&["--create", "--topic", "t", "--partitions", "0"])).unwrap_err().message();
    assert_eq!(message, "The partitions must be greater than 0");
}
