//! The assignor `simple`: every partition has a reader, every member has something to read, and both evenly.
//!
//! 1. A member keeps what it had, up to its share; a partition keeps at most its share of readers.
//! 2. A partition without a reader goes to its least loaded subscriber.
//! 3. A member without a partition reads along at the subscribed partition with the fewest readers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milena_protocol::Uuid;

use crate::group::assignor::Assignment;

/// One partition of a topic.
type Partition = (Uuid, i32);

/// What one member may read and what it had.
pub(super) struct Subscriber {
    pub(super) member_id: Arc<str>,
    pub(super) topics: BTreeSet<Uuid>,
    pub(super) previous: Assignment,
}

/// Distributes `partitions` (by topic) among `subscribers`.
pub(super) fn assign(
    subscribers: &[Subscriber],
    partitions: &BTreeMap<Uuid, BTreeSet<i32>>,
) -> BTreeMap<Arc<str>, Assignment> {
    let all: Vec<Partition> =
        partitions.iter().flat_map(|(topic, indexes)| indexes.iter().map(|index| (*topic, *index))).collect();
    let mut plan = Plan { held: vec![BTreeSet::new(); subscribers.len()], readers: BTreeMap::new() };
    if !all.is_empty() && !subscribers.is_empty() {
        plan.keep_previous(subscribers, &all);
        plan.give_unread(subscribers, &all);
        plan.give_idle(subscribers, &all);
    }
    subscribers.iter().zip(plan.held).map(|(subscriber, held)| (subscriber.member_id.clone(), grouped(held))).collect()
}

struct Plan {
    held: Vec<BTreeSet<Partition>>,
    readers: BTreeMap<Partition, usize>,
}

impl Plan {
    fn give(&mut self, member: usize, partition: Partition) {
        if self.held[member].insert(partition) {
            *self.readers.entry(partition).or_default() += 1;
        }
    }

    fn readers(&self, partition: Partition) -> usize {
        self.readers.get(&partition).copied().unwrap_or(0)
    }

    fn keep_previous(&mut self, subscribers: &[Subscriber], all: &[Partition]) {
        let share_of_member = all.len().div_ceil(subscribers.len());
        let share_of_partition = subscribers.len().div_ceil(all.len());
        let known: BTreeSet<Partition> = all.iter().copied().collect();
        for (member, subscriber) in subscribers.iter().enumerate() {
            for (topic, indexes) in &subscriber.previous {
                for partition in indexes.iter().map(|index| (*topic, *index)) {
                    if self.held[member].len() < share_of_member
                        && self.readers(partition) < share_of_partition
                        && subscriber.topics.contains(topic)
                        && known.contains(&partition)
                    {
                        self.give(member, partition);
                    }
                }
            }
        }
    }

    fn give_unread(&mut self, subscribers: &[Subscriber], all: &[Partition]) {
        for partition in all {
            if self.readers(*partition) > 0 {
                continue;
            }
            let candidates = (0..subscribers.len()).filter(|member| subscribers[*member].topics.contains(&partition.0));
            if let Some(member) = candidates.min_by_key(|member| self.held[*member].len()) {
                self.give(member, *partition);
            }
        }
    }

    fn give_idle(&mut self, subscribers: &[Subscriber], all: &[Partition]) {
        for (member, subscriber) in subscribers.iter().enumerate() {
            if !self.held[member].is_empty() {
                continue;
            }
            let candidates = all.iter().filter(|partition| subscriber.topics.contains(&partition.0));
            if let Some(partition) = candidates.copied().min_by_key(|partition| self.readers(*partition)) {
                self.give(member, partition);
            }
        }
    }
}

fn grouped(held: BTreeSet<Partition>) -> Assignment {
    let mut assignment = Assignment::new();
    for (topic, index) in held {
        assignment.entry(topic).or_default().insert(index);
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Uuid = Uuid([1; 16]);

    fn subscribers(count: usize) -> Vec<Subscriber> {
        (0..count)
            .map(|index| Subscriber {
                member_id: format!("m{index}").into(),
                topics: BTreeSet::from([TOPIC]),
                previous: Assignment::new(),
            })
            .collect()
    }

    fn partitions(count: i32) -> BTreeMap<Uuid, BTreeSet<i32>> {
        BTreeMap::from([(TOPIC, (0..count).collect())])
    }

    #[test]
    fn members_beyond_the_number_of_partitions_share_them_evenly() {
        let assigned = assign(&subscribers(5), &partitions(2));
        let readers = |index: i32| assigned.values().filter(|held| held[&TOPIC].contains(&index)).count();
        assert_eq!(readers(0) + readers(1), 5);
        assert!(readers(0).abs_diff(readers(1)) <= 1);
    }

    #[test]
    fn a_new_member_takes_its_share_and_the_others_keep_theirs() {
        let mut members = subscribers(1);
        let first = assign(&members, &partitions(4));
        assert_eq!(first["m0"][&TOPIC].len(), 4);
        members[0].previous = first["m0"].clone();
        members.extend(subscribers(2).pop());
        let second = assign(&members, &partitions(4));
        assert_eq!((second["m0"][&TOPIC].len(), second["m1"][&TOPIC].len()), (2, 2));
        assert!(second["m0"][&TOPIC].is_subset(&first["m0"][&TOPIC]));
        assert!(second["m0"][&TOPIC].is_disjoint(&second["m1"][&TOPIC]));
    }

    #[test]
    fn nobody_gets_a_topic_it_does_not_subscribe_to() {
        let mut members = subscribers(2);
        members[1].topics.clear();
        let assigned = assign(&members, &partitions(3));
        assert_eq!(assigned["m0"][&TOPIC].len(), 3);
        assert!(assigned["m1"].is_empty());
    }
}
