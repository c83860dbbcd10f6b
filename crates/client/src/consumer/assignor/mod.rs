//! Dividing partitions among the members of a classic consumer group, as Kafka's own consumer does.

mod range;
mod round_robin;
mod sticky;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use super::group::Assignments;
use crate::TopicPartition;
use crate::error::Error;

/// The algorithms this client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Topic by topic, each member a run of partitions.
    Range,
    /// All partitions in turn.
    RoundRobin,
    /// Balanced, moving as little as possible, in two steps (KIP-429).
    CooperativeSticky,
}

/// What the leader knows of a member.
#[derive(Debug, Clone, Default)]
pub struct Member {
    /// Member id.
    pub member_id: String,
    /// Name of a static member.
    pub group_instance_id: Option<String>,
    /// Topics it subscribes to.
    pub topics: Vec<String>,
    /// Partitions it says it owns.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got them.
    pub generation_id: i32,
}

impl Assignor {
    /// The name in the group protocol.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Whether members keep their partitions while rejoining.
    pub fn is_cooperative(self) -> bool {
        self == Assignor::CooperativeSticky
    }

    /// Assigns all partitions of the subscribed topics. Every member gets an entry, sorted.
    pub fn assign(self, members: &[Member], partition_counts: &HashMap<String, i32>) -> Assignments {
        let mut assignments = match self {
            Assignor::Range => range::assign(members, partition_counts),
            Assignor::RoundRobin => round_robin::assign(members, partition_counts),
            Assignor::CooperativeSticky => sticky::assign(members, partition_counts),
        };
        for partitions in assignments.values_mut() {
            partitions.sort();
        }
        assignments
    }
}

impl FromStr for Assignor {
    type Err = Error;

    /// Accepts the protocol's name and the Java class name.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text.rsplit('.').next().unwrap_or(text) {
            "range" | "RangeAssignor" => Ok(Assignor::Range),
            "roundrobin" | "RoundRobinAssignor" => Ok(Assignor::RoundRobin),
            "cooperative-sticky" | "CooperativeStickyAssignor" | "sticky" | "StickyAssignor" => {
                Ok(Assignor::CooperativeSticky)
            }
            _ => Err(Error::Config(format!("unknown partition.assignment.strategy {text}"))),
        }
    }
}

/// Members in the order that all assignors use: static ones by name, then the others by id.
fn in_order(members: &[Member]) -> Vec<&Member> {
    let mut sorted: Vec<&Member> = members.iter().collect();
    sorted.sort_by(|a, b| match (&a.group_instance_id, &b.group_instance_id) {
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => std::cmp::Ordering::Less,
        (None, Some(_)) => std::cmp::Ordering::Greater,
        (None, None) => a.member_id.cmp(&b.member_id),
    });
    sorted
}

fn no_partitions(members: &[Member]) -> Assignments {
    members.iter().map(|member| (member.member_id.clone(), Vec::new())).collect()
}

/// Partition counts of the topics that at least one member wants, by name.
fn subscribed<'a>(members: &[Member], partition_counts: &'a HashMap<String, i32>) -> BTreeMap<&'a str, i32> {
    partition_counts
        .iter()
        .filter(|(topic, _)| members.iter().any(|member| member.topics.contains(topic)))
        .map(|(topic, count)| (topic.as_str(), *count))
        .collect()
}
