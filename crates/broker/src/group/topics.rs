//! What groups know of the cluster: topics, their partitions, and group configs.

use milena_protocol::Uuid;

/// One topic as an assignor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// The topic's id.
    pub id: Uuid,
    /// The number of its partitions.
    pub partitions: i32,
}

/// The cluster's topics; implemented over the cluster image, and by a map in tests.
pub trait TopicsView: Send + Sync + 'static {
    /// The topic called `name`.
    fn topic(&self, name: &str) -> Option<TopicView>;

    /// The name of topic `id`.
    fn topic_name(&self, id: &Uuid) -> Option<String>;

    /// Names of all topics that a regular expression may match (no internal ones).
    fn topic_names(&self) -> Vec<String>;

    /// A dynamic config of group `group`, such as `consumer.session.timeout.ms`.
    fn group_config(&self, group: &str, key: &str) -> Option<String> {
        let _ = (group, key);
        None
    }
}
