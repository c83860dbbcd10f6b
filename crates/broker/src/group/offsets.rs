//! The committed offsets of one group.

use std::collections::BTreeMap;

use milena_protocol::Uuid;
use milena_protocol::messages::OffsetCommitValue;

/// One committed offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset to read next.
    pub offset: i64,
    /// The leader epoch of the last consumed record, or -1.
    pub leader_epoch: i32,
    /// The client's free text.
    pub metadata: String,
    /// When it was committed, in Unix ms.
    pub commit_timestamp: i64,
    /// When it expires in Unix ms; only commits of versions 2-4 with a retention time have one.
    pub expire_timestamp: Option<i64>,
    /// The topic it belongs to, so that it does not outlive it; zero in records older than Kafka 4.1.
    pub topic_id: Uuid,
    /// Grows with every offset that the shard takes over: a transaction that ends late does not overwrite what was
    /// committed after its own commit.
    pub order: u64,
}

impl CommittedOffset {
    /// The offset that a stored record describes.
    pub fn from_value(value: OffsetCommitValue) -> Self {
        CommittedOffset {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata,
            commit_timestamp: value.commit_timestamp,
            expire_timestamp: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
            topic_id: value.topic_id,
            order: 0,
        }
    }

    /// Whether it belongs to another topic than `topic_id`: one of the same name that was deleted.
    pub fn is_of_other_topic(&self, topic_id: &Uuid) -> bool {
        self.topic_id != Uuid::default() && self.topic_id != *topic_id
    }
}

/// Offsets by topic and partition. Holds no topic without partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupOffsets {
    topics: BTreeMap<String, BTreeMap<i32, CommittedOffset>>,
}

impl GroupOffsets {
    /// The offset of one partition.
    pub fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition)
    }

    /// Sets the offset of one partition.
    pub fn set(&mut self, topic: &str, partition: i32, offset: CommittedOffset) {
        if let Some(partitions) = self.topics.get_mut(topic) {
            partitions.insert(partition, offset);
        } else {
            self.topics.insert(topic.to_owned(), BTreeMap::from([(partition, offset)]));
        }
    }

    /// Forgets the offset of one partition; says whether there was one.
    pub fn remove(&mut self, topic: &str, partition: i32) -> bool {
        let Some(partitions) = self.topics.get_mut(topic) else { return false };
        let removed = partitions.remove(&partition).is_some();
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
        removed
    }

    /// Whether nothing is committed.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Topics with their partitions, in order.
    pub fn topics(&self) -> impl Iterator<Item = (&str, &BTreeMap<i32, CommittedOffset>)> {
        self.topics.iter().map(|(topic, partitions)| (topic.as_str(), partitions))
    }

    /// Partitions whose offset `matches`.
    pub fn select(&self, matches: impl Fn(&str, i32, &CommittedOffset) -> bool) -> Vec<(String, i32)> {
        let mut selected = Vec::new();
        for (topic, partitions) in &self.topics {
            for (partition, offset) in partitions {
                if matches(topic, *partition, offset) {
                    selected.push((topic.clone(), *partition));
                }
            }
        }
        selected
    }
}
