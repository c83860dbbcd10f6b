//! How a persistent query lies on Kafka: its parts, and its own topics by their names in full.
//!
//! ```text
//!   sources ──► part 0 ──► <group>-Aggregate-GroupBy-repartition ──► part 1 ──► sink
//!                                                                      └──► <group>-Aggregate-Aggregate-Materialize-changelog
//! ```

use std::collections::BTreeMap;

use milena_client::{Cluster, TopicPartition};
use milena_protocol::Uuid;
use milena_sql::definition::PersistentQuery;
use milena_sql::planner::step::{Step, StepKind};
use milena_sql::planner::topology::{Output, Part, parts};
use milena_sql::planner::view::is_kept;

use super::failure::{Cause, QueryFailure, Result};
use crate::kafka::topics::{self, TopicShape};

/// A part of a query with the topics around it.
#[derive(Clone)]
pub struct LaidPart {
    /// The part.
    pub part: Part,
    /// The topics that it reads, sources and channels.
    pub inputs: Vec<String>,
    /// The topic that it writes, unless that is the sink.
    pub channel: Option<String>,
    /// The topic that holds its state.
    pub changelog: Option<Changelog>,
    /// How many partitions its inputs have, and so how many tasks there are.
    pub partitions: i32,
}

impl LaidPart {
    /// Whether the task of `partition` reads `tp`.
    pub fn reads(&self, tp: &TopicPartition, partition: i32) -> bool {
        tp.partition == partition && self.inputs.contains(&tp.topic)
    }
}

/// The topic that holds the state of a part.
#[derive(Debug, Clone)]
pub struct Changelog {
    /// Its name.
    pub topic: String,
    /// What tells it from others of the same name, as from that of an earlier cluster.
    pub identity: String,
}

/// Lays a query out and makes its own topics.
///
/// # Errors
/// Inputs of a part that differ in their partitions; what the cluster says.
pub async fn lay_out(cluster: &Cluster, query: &PersistentQuery, group: &str, replicas: i16) -> Result<Vec<LaidPart>> {
    let mut parts = parts(&query.step);
    if let (true, Some(last)) = (query.only_keeps_state, parts.last_mut()) {
        last.output = Output::Nowhere;
    }
    let known = partitions(cluster, &parts, group).await?;
    let mut laid = Vec::with_capacity(parts.len());
    for (number, part) in parts.into_iter().enumerate() {
        let inputs = inputs(&part, group);
        let partitions = agreed(&inputs, &known)?;
        let channel = match &part.output {
            Output::Sink | Output::Nowhere => None,
            Output::Channel(channel) => Some(full(group, &channel.topic)),
        };
        if let Some(topic) = &channel {
            let partitions = known.get(topic).copied().unwrap_or(partitions);
            own_topic(cluster, topic, TopicShape { partitions, replicas }, "delete").await?;
        }
        let changelog = match has_state(&part.step) || (writes_table(&part.output) && is_kept(&part.step)) {
            false => None,
            true => {
                let topic = full(group, &changelog_name(&part.step, number));
                let shape = TopicShape { partitions, replicas };
                let identity = own_topic(cluster, &topic, shape, "compact").await?;
                Some(Changelog { topic, identity })
            }
        };
        laid.push(LaidPart { part, inputs, channel, changelog, partitions });
    }
    Ok(laid)
}

/// How many partitions the topics have that the parts read; of channels, how many they are to have.
async fn partitions(cluster: &Cluster, parts: &[Part], group: &str) -> Result<BTreeMap<String, i32>> {
    let mut known: BTreeMap<String, i32> = BTreeMap::new();
    for source in parts.iter().flat_map(|part| part.step.sources()) {
        if known.contains_key(&source.topic) {
            continue;
        }
        let shape = topics::shape(cluster, &source.topic).await?;
        let missing = || QueryFailure::new(Cause::User, format!("the topic {} does not exist", source.topic));
        known.insert(source.topic.clone(), shape.ok_or_else(missing)?.partitions);
    }
    // A channel has as many partitions as the sources of the part that reads it; else as those that its writers read.
    for part in parts {
        let read = channels(&part.step);
        let beside = part.step.sources().into_iter().filter_map(|source| known.get(&source.topic)).max().copied();
        let writers = parts.iter().filter(|other| read.iter().any(|channel| writes(other, channel)));
        let before =
            writers.flat_map(|other| inputs(other, group)).filter_map(|topic| known.get(&topic).copied()).max();
        for channel in &read {
            known.insert(full(group, channel), beside.or(before).unwrap_or(1));
        }
    }
    Ok(known)
}

/// How many partitions all of `inputs` have.
fn agreed(inputs: &[String], known: &BTreeMap<String, i32>) -> Result<i32> {
    let counts: Vec<(&String, i32)> = inputs.iter().filter_map(|topic| Some((topic, *known.get(topic)?))).collect();
    let Some((first, count)) = counts.first() else { return Ok(1) };
    match counts.iter().find(|(_, other)| other != count) {
        None => Ok(*count),
        Some((other, others)) => Err(QueryFailure::new(
            Cause::User,
            format!(
                "the topics {first} ({count} partitions) and {other} ({others} partitions) cannot be joined: their numbers of partitions must agree"
            ),
        )),
    }
}

/// Makes a topic of the query's own unless it is there; what tells it from others of its name.
async fn own_topic(cluster: &Cluster, topic: &str, shape: TopicShape, policy: &str) -> Result<String> {
    topics::create(cluster, topic, shape, &config(policy)).await?;
    let described = cluster.describe_topics(&[topic.to_owned()], i32::MAX).await?;
    let Some(found) = described.first() else {
        return Err(QueryFailure::new(Cause::System, format!("the topic {topic} does not exist")));
    };
    if i32::try_from(found.partitions.len()) != Ok(shape.partitions) {
        return Err(QueryFailure::new(
            Cause::User,
            format!(
                "the topic {topic} has {} partitions, but the sources of the query have {}: have their partitions changed?",
                found.partitions.len(),
                shape.partitions
            ),
        ));
    }
    // Older brokers have no ids of topics.
    let is_known = found.topic_id != Uuid::ZERO;
    Ok(if is_known { found.topic_id.to_string() } else { cluster.cluster_id().unwrap_or_default() })
}

fn config(policy: &str) -> BTreeMap<String, String> {
    let mut config = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
    if policy == "delete" {
        // What waits between two parts must not get lost, however long a server was away.
        config.insert("retention.ms".to_owned(), "-1".to_owned());
    }
    config
}

/// A topic of the query's own.
fn full(group: &str, name: &str) -> String {
    format!("{group}-{name}")
}

fn writes(part: &Part, topic: &str) -> bool {
    matches!(&part.output, Output::Channel(channel) if channel.topic == topic)
}

fn inputs(part: &Part, group: &str) -> Vec<String> {
    let mut inputs: Vec<String> = part.step.sources().into_iter().map(|source| source.topic.clone()).collect();
    inputs.extend(channels(&part.step).iter().map(|channel| full(group, channel)));
    inputs.sort();
    inputs.dedup();
    inputs
}

/// The channels that a part reads.
fn channels(step: &Step) -> Vec<String> {
    match &step.kind {
        StepKind::Channel { topic, .. } => vec![topic.clone()],
        _ => step.inputs().into_iter().flat_map(channels).collect(),
    }
}

/// Whether a part's changes are those of the result.
fn writes_table(output: &Output) -> bool {
    matches!(output, Output::Sink | Output::Nowhere)
}

fn has_state(step: &Step) -> bool {
    let own = match &step.kind {
        StepKind::Source(source) => source.kind == milena_sql::ast::SourceKind::Table,
        StepKind::Aggregate { .. }
        | StepKind::StreamJoin { .. }
        | StepKind::StreamTableJoin { .. }
        | StepKind::TableJoin { .. }
        | StepKind::ForeignKeyJoin { .. }
        | StepKind::Subscribe { .. }
        | StepKind::SubscriptionJoin { .. }
        | StepKind::LatestResult { .. } => true,
        _ => false,
    };
    own || step.inputs().into_iter().any(has_state)
}

fn changelog_name(step: &Step, number: usize) -> String {
    fn aggregates(step: &Step) -> bool {
        matches!(step.kind, StepKind::Aggregate { .. }) || step.inputs().into_iter().any(aggregates)
    }
    if aggregates(step) {
        return "Aggregate-Aggregate-Materialize-changelog".to_owned();
    }
    format!("Part-{number}-changelog")
}
