//! Offsets committed in transactions that are still open (TxnOffsetCommit): neither visible nor forgotten.
//!
//! A commit marker of the producer makes them the group's offsets, an abort marker drops them. Meanwhile they keep
//! their partitions *unstable*: a fetch that asks for stable offsets is told to wait, and nothing expires.
//!
//! Always true: `producers` and `groups` name the same offsets; neither holds an empty map.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::offsets::CommittedOffset;

/// Topic and partition.
type TopicPartition = (String, i32);

/// What one producer has pending, by group, topic and partition.
type ProducerOffsets = BTreeMap<(Arc<str>, String, i32), CommittedOffset>;

/// An offset on its way into a group: the group, the topic, the partition, the offset.
pub type PendingOffset = (Arc<str>, String, i32, CommittedOffset);

/// Pending offsets of one shard.
#[derive(Debug, Default)]
pub struct PendingOffsets {
    producers: HashMap<i64, ProducerOffsets>,
    groups: HashMap<Arc<str>, BTreeMap<TopicPartition, BTreeSet<i64>>>,
}

impl PendingOffsets {
    /// Sets what the open transaction of `producer_id` commits for one partition.
    pub fn set(&mut self, producer_id: i64, (group, topic, partition, offset): PendingOffset) {
        let partitions = self.groups.entry(group.clone()).or_default();
        partitions.entry((topic.clone(), partition)).or_default().insert(producer_id);
        self.producers.entry(producer_id).or_default().insert((group, topic, partition), offset);
    }

    /// Takes everything that `producer_id` has pending: its transaction ended.
    pub fn take(&mut self, producer_id: i64) -> Vec<PendingOffset> {
        let ended = self.producers.remove(&producer_id).unwrap_or_default();
        for (group, topic, partition) in ended.keys() {
            self.forget(group, topic, *partition, producer_id);
        }
        ended.into_iter().map(|((group, topic, partition), offset)| (group, topic, partition, offset)).collect()
    }

    /// Drops what any transaction has pending for one partition; says whether there was something.
    pub fn remove(&mut self, group: &str, topic: &str, partition: i32) -> bool {
        let Some((group, partitions)) = self.groups.get_key_value(group) else { return false };
        let key = (topic.to_owned(), partition);
        let Some(producer_ids) = partitions.get(&key).cloned() else { return false };
        let group = group.clone();
        for producer_id in producer_ids {
            if let Some(offsets) = self.producers.get_mut(&producer_id) {
                offsets.remove(&(group.clone(), topic.to_owned(), partition));
                if offsets.is_empty() {
                    self.producers.remove(&producer_id);
                }
            }
            self.forget(&group, topic, partition, producer_id);
        }
        true
    }

    fn forget(&mut self, group: &Arc<str>, topic: &str, partition: i32, producer_id: i64) {
        let Some(partitions) = self.groups.get_mut(group) else { return };
        let key = (topic.to_owned(), partition);
        if let Some(producer_ids) = partitions.get_mut(&key) {
            producer_ids.remove(&producer_id);
            if producer_ids.is_empty() {
                partitions.remove(&key);
            }
        }
        if partitions.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Whether a transaction has an offset pending for the partition.
    pub fn contains(&self, group: &str, topic: &str, partition: i32) -> bool {
        self.groups.get(group).is_some_and(|partitions| partitions.contains_key(&(topic.to_owned(), partition)))
    }

    /// Whether a transaction has any offset pending for the group.
    pub fn contains_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Groups that have offsets pending.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.keys()
    }

    /// Partitions of `group` with a pending offset that `matches` its topic's name and id.
    pub fn select(&self, group: &str, matches: impl Fn(&str, &CommittedOffset) -> bool) -> Vec<TopicPartition> {
        let Some((group, partitions)) = self.groups.get_key_value(group) else { return Vec::new() };
        let matching = partitions.iter().filter(|((topic, partition), producer_ids)| {
            producer_ids.iter().any(|producer_id| {
                let key = (group.clone(), topic.clone(), *partition);
                self.producers.get(producer_id).and_then(|offsets| offsets.get(&key)).is_some_and(|o| matches(topic, o))
            })
        });
        matching.map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(partition: i32, offset: i64) -> PendingOffset {
        ("g".into(), "orders".to_owned(), partition, CommittedOffset { offset, ..CommittedOffset::default() })
    }

    #[test]
    fn what_a_producer_has_pending_is_taken_whole_and_leaves_others_alone() {
        let mut offsets = PendingOffsets::default();
        offsets.set(1, pending(0, 10));
        offsets.set(1, pending(0, 11));
        offsets.set(1, pending(1, 20));
        offsets.set(2, pending(0, 30));
        let taken: Vec<_> = offsets.take(1).into_iter().map(|(_, _, partition, o)| (partition, o.offset)).collect();
        assert_eq!(taken, [(0, 11), (1, 20)]);
        assert!(offsets.contains("g", "orders", 0));
        assert!(!offsets.contains("g", "orders", 1));
        assert!(offsets.take(1).is_empty());
        assert_eq!(offsets.take(2).len(), 1);
        assert!(!offsets.contains_group("g"));
    }

    #[test]
    fn removing_a_partition_drops_it_from_every_transaction() {
        let mut offsets = PendingOffsets::default();
        offsets.set(1, pending(0, 10));
        offsets.set(2, pending(0, 11));
        offsets.set(2, pending(1, 12));
        assert_eq!(offsets.select("g", |topic, _| topic == "orders").len(), 2);
        assert!(offsets.remove("g", "orders", 0));
        assert!(!offsets.remove("g", "orders", 0));
        assert!(offsets.take(1).is_empty());
        assert_eq!(offsets.take(2), [pending(1, 12)]);
    }
}
