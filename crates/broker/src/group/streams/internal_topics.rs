//! What a topology needs of the cluster: how many partitions its internal topics have, which are missing, what is wrong.
//!
//! A repartition topic has as many partitions as it says, or as the widest input of those who write it, or as the topics it
//! is joined with. A changelog topic has as many as its subtopology has tasks.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::ErrorCode;
use milena_protocol::messages::streams_group_topology_value::{CopartitionGroup, Subtopology, TopicInfo};

use super::request::{INCORRECTLY_PARTITIONED_TOPICS, MISSING_INTERNAL_TOPICS, MISSING_SOURCE_TOPICS};
use super::topology::{Topology, sources};
use crate::group::consumer::Refusal;
use crate::group::topics::TopicsView;

/// A topic that the application needs and the broker creates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    /// The name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// Copies of each; -1 for the broker's default.
    pub replication_factor: i16,
    /// Its configuration.
    pub configs: Vec<(String, String)>,
}

/// Why no task can run, as the members are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicProblem {
    /// The status code.
    pub status: i8,
    /// The text beside it.
    pub detail: String,
}

/// A topology over the topics that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// The number of tasks of each subtopology; none when something is wrong with the topics of users.
    pub tasks: BTreeMap<String, i32>,
    /// The number of partitions of each internal topic.
    pub partitions: BTreeMap<String, i32>,
    /// Internal topics that do not exist yet.
    pub missing: Vec<InternalTopic>,
    /// Why no task can run.
    pub problem: Option<TopicProblem>,
}

impl Configured {
    /// Whether tasks can run.
    pub fn is_ready(&self) -> bool {
        self.problem.is_none()
    }
}

/// Why a topology cannot be configured.
enum Failure {
    /// The topics do not fit; that may change.
    Topics(TopicProblem),
    /// The topology makes no sense, whatever topics there are.
    Topology(String),
}

impl Failure {
    fn topics(status: i8, detail: String) -> Self {
        Failure::Topics(TopicProblem { status, detail })
    }
}

/// Looks at the topics that exist.
///
/// # Errors
/// STREAMS_INVALID_TOPOLOGY, when no topics could make it valid.
pub fn configure(topology: &Topology, topics: &dyn TopicsView) -> Result<Configured, Refusal> {
    match try_configure(topology, topics) {
        Ok(configured) => Ok(configured),
        Err(Failure::Topics(problem)) => Ok(Configured { problem: Some(problem), ..Configured::default() }),
        Err(Failure::Topology(message)) => Err(Refusal::new(ErrorCode::StreamsInvalidTopology, message)),
    }
}

fn try_configure(topology: &Topology, topics: &dyn TopicsView) -> Result<Configured, Failure> {
    check_source_topics(topology, topics)?;
    let mut counts = Counts { topics, decided: repartition_counts(topology, topics)? };
    for subtopology in topology.subtopologies() {
        for group in &subtopology.copartition_groups {
            enforce_copartitioning(topology, subtopology, group, &mut counts)?;
        }
    }
    let mut configured = Configured::default();
    for subtopology in topology.subtopologies() {
        let widest = sources(subtopology).filter_map(|topic| counts.of(topic)).max();
        let tasks =
            widest.ok_or_else(|| Failure::Topology("Subtopology does not contain any source topics".to_owned()))?;
        configured.tasks.insert(subtopology.subtopology_id.clone(), tasks);
    }
    for subtopology in topology.subtopologies() {
        let tasks = configured.tasks.get(&subtopology.subtopology_id).copied().unwrap_or_default();
        for changelog in &subtopology.state_changelog_topics {
            // A topic of the user may be its own changelog.
            let own = sources(subtopology).any(|source| source == changelog.name);
            let partitions = if own { counts.of(&changelog.name).unwrap_or(tasks) } else { tasks };
            counts.decided.insert(changelog.name.clone(), partitions);
        }
    }
    configured.missing = missing_topics(topology, topics, &counts.decided)?;
    configured.partitions = counts.decided;
    if !configured.missing.is_empty() {
        let names: Vec<&str> = configured.missing.iter().map(|topic| topic.name.as_str()).collect();
        let detail = format!("Internal topics are missing: {}", names.join(", "));
        configured.problem = Some(TopicProblem { status: MISSING_INTERNAL_TOPICS, detail });
    }
    Ok(configured)
}

/// Partition counts: of the topics that exist, and those decided for the others.
struct Counts<'a> {
    topics: &'a dyn TopicsView,
    decided: BTreeMap<String, i32>,
}

impl Counts<'_> {
    fn of(&self, topic: &str) -> Option<i32> {
        self.topics.topic(topic).map(|topic| topic.partitions).or_else(|| self.decided.get(topic).copied())
    }
}

fn check_source_topics(topology: &Topology, topics: &dyn TopicsView) -> Result<(), Failure> {
    let sources = topology.subtopologies().iter().flat_map(|subtopology| &subtopology.source_topics);
    let missing: BTreeSet<&str> = sources.map(String::as_str).filter(|topic| topics.topic(topic).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.into_iter().collect();
    Err(Failure::topics(MISSING_SOURCE_TOPICS, format!("Source topics {} are missing.", names.join(", "))))
}

fn repartition_topics(topology: &Topology) -> impl Iterator<Item = &TopicInfo> {
    topology.subtopologies().iter().flat_map(|subtopology| &subtopology.repartition_source_topics)
}

/// The partition count of every repartition topic: from its writers, which may read repartition topics themselves.
fn repartition_counts(topology: &Topology, topics: &dyn TopicsView) -> Result<BTreeMap<String, i32>, Failure> {
    let mut decided: BTreeMap<String, i32> = repartition_topics(topology)
        .filter(|topic| topic.partitions != 0)
        .map(|topic| (topic.name.clone(), topic.partitions))
        .collect();
    let mut open: BTreeSet<&str> = repartition_topics(topology)
        .map(|topic| topic.name.as_str())
        .filter(|topic| !decided.contains_key(*topic))
        .collect();
    let is_written = |topic: &str| {
        topology.subtopologies().iter().any(|writer| writer.repartition_sink_topics.iter().any(|sink| sink == topic))
    };
    if open.iter().any(|topic| !is_written(topic)) {
        return Err(Failure::Topology(
            "Failed to compute number of partitions for all repartition topics, because a repartition source topic is \
             never used as a sink topic."
                .to_owned(),
        ));
    }
    while !open.is_empty() {
        let found: Vec<(String, i32)> = open
            .iter()
            .filter_map(|topic| Some(((*topic).to_owned(), count_by_writers(topology, topics, &decided, topic)?)))
            .collect();
        if found.is_empty() {
            return Err(Failure::Topology(
                "Failed to compute number of partitions for all repartition topics. There may be loops in the topology \
                 that cannot be resolved."
                    .to_owned(),
            ));
        }
        open.retain(|topic| !found.iter().any(|(name, _)| name == topic));
        decided.extend(found);
    }
    Ok(decided)
}

/// The widest known input of the subtopologies that write `topic`.
fn count_by_writers(
    topology: &Topology,
    topics: &dyn TopicsView,
    decided: &BTreeMap<String, i32>,
    topic: &str,
) -> Option<i32> {
    let subtopologies = topology.subtopologies().iter();
    let writers = subtopologies.filter(|writer| writer.repartition_sink_topics.iter().any(|sink| sink == topic));
    writers
        .flat_map(|writer| {
            let users = writer.source_topics.iter().filter_map(|source| topics.topic(source)).map(|it| it.partitions);
            let internal = writer.repartition_source_topics.iter().filter_map(|it| decided.get(&it.name).copied());
            users.chain(internal)
        })
        .max()
}

/// Topics that are joined need the same number of partitions; repartition topics adapt, unless their number is given.
fn enforce_copartitioning(
    topology: &Topology,
    subtopology: &Subtopology,
    group: &CopartitionGroup,
    counts: &mut Counts<'_>,
) -> Result<(), Failure> {
    let picked = |indexes: &[i16], count: usize| -> Vec<usize> {
        indexes.iter().filter_map(|index| usize::try_from(*index).ok()).filter(|index| *index < count).collect()
    };
    let repartition: Vec<&TopicInfo> =
        picked(&group.repartition_source_topics, subtopology.repartition_source_topics.len())
            .into_iter()
            .map(|index| &subtopology.repartition_source_topics[index])
            .collect();
    let is_repartition = |name: &str| repartition_topics(topology).any(|topic| topic.name == name);
    let users: BTreeMap<&str, i32> = picked(&group.source_topics, subtopology.source_topics.len())
        .into_iter()
        .map(|index| subtopology.source_topics[index].as_str())
        .filter(|topic| !is_repartition(topic))
        .filter_map(|topic| Some((topic, counts.of(topic)?)))
        .collect();
    let fixed: BTreeMap<&str, i32> = repartition
        .iter()
        .filter(|topic| topic.partitions != 0)
        .map(|topic| (topic.name.as_str(), topic.partitions))
        .collect();
    let wanted = if !users.is_empty() {
        same_count(&users)?
    } else if !fixed.is_empty() {
        same_count(&fixed)?
    } else {
        let widest = repartition.iter().filter_map(|topic| counts.decided.get(&topic.name).copied()).max();
        match widest {
            Some(widest) => Some(widest),
            None => return Ok(()),
        }
    };
    let Some(wanted) = wanted else { return Ok(()) };
    for topic in repartition {
        if topic.partitions != 0 && topic.partitions != wanted {
            let detail = format!(
                "Number of partitions [{}] of repartition topic [{}] doesn't match number of partitions [{wanted}] of \
                 the source topic.",
                topic.partitions, topic.name,
            );
            return Err(Failure::topics(INCORRECTLY_PARTITIONED_TOPICS, detail));
        }
        counts.decided.insert(topic.name.clone(), wanted);
    }
    Ok(())
}

fn same_count(counts: &BTreeMap<&str, i32>) -> Result<Option<i32>, Failure> {
    let distinct: BTreeSet<i32> = counts.values().copied().collect();
    if distinct.len() > 1 {
        let listed: Vec<String> = counts.iter().map(|(topic, count)| format!("{topic}={count}")).collect();
        let detail = format!("Following topics do not have the same number of partitions: [{{{}}}]", listed.join(", "));
        return Err(Failure::topics(INCORRECTLY_PARTITIONED_TOPICS, detail));
    }
    Ok(distinct.first().copied())
}

/// Internal topics that do not exist; those that do must have the number of partitions decided for them.
fn missing_topics(
    topology: &Topology,
    topics: &dyn TopicsView,
    decided: &BTreeMap<String, i32>,
) -> Result<Vec<InternalTopic>, Failure> {
    let mut missing: BTreeMap<&str, InternalTopic> = BTreeMap::new();
    for subtopology in topology.subtopologies() {
        for topic in subtopology.repartition_source_topics.iter().chain(&subtopology.state_changelog_topics) {
            let partitions = decided.get(&topic.name).copied().unwrap_or(topic.partitions);
            match topics.topic(&topic.name) {
                Some(existing) if existing.partitions != partitions => {
                    let detail = format!(
                        "Existing topic {} has different number of partitions: expected {partitions}, found {}",
                        topic.name, existing.partitions
                    );
                    return Err(Failure::topics(INCORRECTLY_PARTITIONED_TOPICS, detail));
                }
                Some(_) => {}
                None => {
                    missing.insert(&topic.name, internal_topic(topic, partitions));
                }
            }
        }
    }
    Ok(missing.into_values().collect())
}

fn internal_topic(topic: &TopicInfo, partitions: i32) -> InternalTopic {
    let configs = topic.topic_configs.iter();
    InternalTopic {
        name: topic.name.clone(),
        partitions,
        replication_factor: if topic.replication_factor == 0 { -1 } else { topic.replication_factor },
        configs: configs.map(|config| (config.key.clone(), config.value.clone())).collect(),
    }
}

#[cfg(test)]
mod tests;
