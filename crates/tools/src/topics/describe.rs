//! `kafka-topics --describe`.

use std::collections::{BTreeMap, HashSet};

use milena_client::Cluster;
use milena_client::admin::{ConfigResource, PartitionDescription, ResourceType, TopicDescription};
use milena_protocol::messages::describe_configs_response::Config;

use super::existing_topics;
use crate::failure::Failure;
use crate::java_format;
use crate::options::Parsed;
use crate::terminal::Terminal;

/// Source of a config that nobody has set.
const DEFAULT_CONFIG: i8 = 5;
/// Partitions per answer when the option is not given.
const PARTITION_LIMIT: i32 = 2000;

/// Options that narrow the description.
pub const FILTERS: &[&str] = &[
    "under-replicated-partitions",
    "unavailable-partitions",
    "under-min-isr-partitions",
    "at-min-isr-partitions",
    "topics-with-overrides",
];

/// A partition's brokers that are being added and removed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reassignment {
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
}

/// Which partitions to show, and what is needed to decide.
pub struct Filter<'a> {
    pub options: &'a Parsed,
    pub live_brokers: HashSet<i32>,
}

pub async fn describe(cluster: &Cluster, options: &Parsed, terminal: &mut Terminal) -> Result<(), Failure> {
    let names = existing_topics(cluster, options).await?;
    if names.is_empty() {
        return Ok(());
    }
    let limit = options.number("partition-size-limit-per-response")?.unwrap_or(PARTITION_LIMIT);
    let topics = cluster.describe_topics(&names, limit).await?;
    let configs = configs(cluster, &names).await?;
    let reassignments = reassignments(cluster).await?;
    let live_brokers = cluster.nodes().iter().map(|node| node.id).collect();
    let filter = Filter { options, live_brokers };
    for topic in &topics {
        let configs = configs.get(&topic.name).map_or(&[][..], Vec::as_slice);
        print_topic(topic, configs, &reassignments, &filter, terminal);
    }
    Ok(())
}

async fn configs(cluster: &Cluster, names: &[String]) -> Result<BTreeMap<String, Vec<Config>>, Failure> {
    let resources: Vec<ConfigResource> =
        names.iter().map(|name| ConfigResource { resource_type: ResourceType::Topic, name: name.clone() }).collect();
    let results = cluster.describe_configs_of(&resources).await?;
    // Without the right to see configs the topic is described without them.
    let readable = results.into_iter().filter(|result| result.error_code == 0);
    Ok(readable.map(|result| (result.resource_name, result.configs)).collect())
}

async fn reassignments(cluster: &Cluster) -> Result<BTreeMap<(String, i32), Reassignment>, Failure> {
    let topics = cluster.list_partition_reassignments().await?;
    let all = topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| {
            let reassignment =
                Reassignment { adding: partition.adding_replicas, removing: partition.removing_replicas };
            ((name.clone(), partition.partition_index), reassignment)
        })
    });
    Ok(all.collect())
}

/// Prints the topic's line and those of its partitions, as far as the filter lets them through.
pub fn print_topic(
    topic: &TopicDescription,
    configs: &[Config],
    reassignments: &BTreeMap<(String, i32), Reassignment>,
    filter: &Filter<'_>,
    terminal: &mut Terminal,
) {
    let only_overridden = filter.options.has("topics-with-overrides");
    let only_some_partitions = FILTERS.iter().any(|name| *name != "topics-with-overrides" && filter.options.has(name));
    let overridden = overridden(configs);
    if !only_some_partitions && (!only_overridden || !overridden.is_empty()) {
        let first = topic.partitions.first();
        let adding = first
            .and_then(|first| reassignments.get(&(topic.name.clone(), first.partition)))
            .map_or(0, |r| r.adding.len());
        terminal.line(&format!(
            "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {}",
            topic.name,
            topic.topic_id,
            topic.partitions.len(),
            first.map_or(0, |first| first.replicas.len() - adding.min(first.replicas.len())),
            overridden.join(","),
        ));
    }
    if only_overridden {
        return;
    }
    let min_isr = configs
        .iter()
        .find(|config| config.name == "min.insync.replicas")
        .and_then(|config| config.value.as_ref()?.parse().ok());
    for partition in &topic.partitions {
        let reassignment = reassignments.get(&(topic.name.clone(), partition.partition));
        if filter.shows(partition, reassignment, min_isr.unwrap_or(1)) {
            terminal.line(&partition_line(&topic.name, partition, reassignment));
        }
    }
}

/// `name=value` of what somebody has set, in the order of Kafka's tools.
fn overridden(configs: &[Config]) -> Vec<String> {
    let names: Vec<&str> = configs.iter().map(|config| config.name.as_str()).collect();
    java_format::hash_map_order(&names)
        .into_iter()
        .map(|index| &configs[index])
        .filter(|config| config.config_source != DEFAULT_CONFIG && !config.is_default)
        .map(|config| format!("{}={}", config.name, config.value.as_deref().unwrap_or("null")))
        .collect()
}

impl Filter<'_> {
    fn shows(&self, partition: &PartitionDescription, reassignment: Option<&Reassignment>, min_isr: usize) -> bool {
        let replicas =
            partition.replicas.len() - reassignment.map_or(0, |r| r.adding.len()).min(partition.replicas.len());
        let tests = [
            ("under-replicated-partitions", partition.isr.len() < replicas),
            ("unavailable-partitions", !self.live_brokers.contains(&partition.leader_id)),
            ("under-min-isr-partitions", partition.isr.len() < min_isr),
            ("at-min-isr-partitions", partition.isr.len() == min_isr),
        ];
        let asked: Vec<bool> =
            tests.iter().filter(|(name, _)| self.options.has(name)).map(|(_, passes)| *passes).collect();
        asked.is_empty() || asked.contains(&true)
    }
}

fn partition_line(topic: &str, partition: &PartitionDescription, reassignment: Option<&Reassignment>) -> String {
    let leader = if partition.leader_id < 0 { "none".to_owned() } else { partition.leader_id.to_string() };
    let mut line = format!(
        "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}",
        partition.partition,
        joined(&partition.replicas),
        joined(&partition.isr),
    );
    if let Some(moving) = reassignment {
        line +=
            &format!("\tAdding Replicas: {}\tRemoving Replicas: {}", joined(&moving.adding), joined(&moving.removing));
    }
    let replicas = |ids: &Option<Vec<i32>>| ids.as_ref().map_or("N/A".to_owned(), |ids| joined(ids));
    line += &format!("\tElr: {}\tLastKnownElr: {}", replicas(&partition.elr), replicas(&partition.last_known_elr));
    line
}

fn joined(ids: &[i32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
