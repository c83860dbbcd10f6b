//! The name of a share partition: a group's view of one partition of a topic.

use std::fmt;
use std::sync::Arc;

use milena_protocol::Uuid;
use milena_stdx::java_string_hash;

/// Group, topic and partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharePartitionKey {
    /// `group.id`.
    pub group: Arc<str>,
    /// The topic's id.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
}

impl SharePartitionKey {
    /// The partition of `__share_group_state`, of `count`, that keeps the state of this share partition.
    pub(crate) fn state_partition(&self, count: i32) -> i32 {
        java_string_hash(&self.to_string()).checked_abs().unwrap_or(0) % count.max(1)
    }
}

/// As FindCoordinator names it: `group:topicId:partition`.
impl fmt::Display for SharePartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.group, self.topic_id, self.partition)
    }
}
