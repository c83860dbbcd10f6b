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

/// Whether a client may see a topic (DESCRIBE).
pub type TopicFilter = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// The cluster's topics as one client sees them: expressions match only what it may see.
pub struct VisibleTopics<'a> {
    /// All topics.
    pub all: &'a dyn TopicsView,
    /// Which of them the client may see.
    pub is_visible: &'a TopicFilter,
}

impl TopicsView for VisibleTopics<'_> {
    fn topic(&self, name: &str) -> Option<TopicView> {
        self.all.topic(name)
    }

    fn topic_name(&self, id: &Uuid) -> Option<String> {
        self.all.topic_name(id)
    }

    fn topic_names(&self) -> Vec<String> {
        let mut names = self.all.topic_names();
        names.retain(|name| (self.is_visible)(name));
        names
    }

    fn group_config(&self, group: &str, key: &str) -> Option<String> {
        self.all.group_config(group, key)
    }

    fn broker_ms(&self, key: &str) -> Option<i32> {
        self.all.broker_ms(key)
    }
}

/// The cluster's topics; implemented over the cluster image, and by a map in tests.
pub trait TopicsView: Send + Sync {
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

    /// The broker's dynamic setting `key` in force now, in ms; `None` where nothing can change while the broker runs.
    fn broker_ms(&self, key: &str) -> Option<i32> {
        let _ = key;
        None
    }
}
