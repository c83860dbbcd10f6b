//! Server-side assignors of consumer groups (KIP-848): pure functions from subscriptions to partitions.

pub mod range;
#[cfg(test)]
mod tests;
pub mod uniform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milena_protocol::Uuid;

/// Partitions by topic id. Holds no topic without partitions.
pub type Assignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// What an assignor knows of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSpec {
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// The topics the member subscribes to, all of them existing.
    pub topics: BTreeSet<Uuid>,
    /// The member's part of the previous assignment.
    pub previous: Assignment,
}

/// What an assignor works with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSpec {
    /// Members by id.
    pub members: BTreeMap<Arc<str>, MemberSpec>,
    /// Number of partitions of every subscribed topic.
    pub topics: BTreeMap<Uuid, i32>,
}

/// The assignors a member may name in `group.remote.assignor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServerAssignor {
    /// Balanced over all topics, moves as little as possible.
    Uniform,
    /// Contiguous ranges per topic, so that topics with equal partition counts are co-partitioned.
    Range,
}

impl ServerAssignor {
    /// The assignor called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(ServerAssignor::Uniform),
            "range" => Some(ServerAssignor::Range),
            _ => None,
        }
    }

    /// The name in requests and descriptions.
    pub fn name(self) -> &'static str {
        match self {
            ServerAssignor::Uniform => "uniform",
            ServerAssignor::Range => "range",
        }
    }

    /// Distributes every partition that somebody subscribes to, each to exactly one of its subscribers.
    pub fn assign(self, group: &GroupSpec) -> BTreeMap<Arc<str>, Assignment> {
        match self {
            ServerAssignor::Uniform => uniform::assign(group),
            ServerAssignor::Range => range::assign(group),
        }
    }
}
