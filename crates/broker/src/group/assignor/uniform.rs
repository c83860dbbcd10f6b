//! The `uniform` assignor: balanced over all topics, and sticky.
//!
//! 1. Every member keeps what it had, if it still subscribes to it.
//! 2. A partition without an owner goes to its least loaded subscriber; topics with few subscribers first.
//! 3. A partition moves to its least loaded subscriber while its owner has at least two more. Each move brings the
//!    loads closer together, so this ends; afterwards no single move could improve the balance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milena_protocol::Uuid;

use super::{Assignment, GroupSpec};

/// Distributes all subscribed partitions.
pub fn assign(group: &GroupSpec) -> BTreeMap<Arc<str>, Assignment> {
    let mut plan = Plan::new(group);
    plan.keep_previous(group);
    plan.assign_unowned();
    plan.balance();
    plan.into_assignments(group)
}

/// Subscribers of one topic that are the same for many topics share one load-ordered set.
struct Plan {
    /// Index of the subscriber set of each topic, and the topic's partitions with their owners.
    topics: BTreeMap<Uuid, TopicPlan>,
    /// Partitions held by each member.
    loads: Vec<usize>,
    /// Distinct sets of subscribers, each ordered by (load, member).
    subscriber_sets: Vec<BTreeSet<(usize, usize)>>,
    /// The sets that each member is in.
    sets_of_member: Vec<Vec<usize>>,
}

struct TopicPlan {
    subscribers: usize,
    owners: Vec<Option<usize>>,
}

impl Plan {
    fn new(group: &GroupSpec) -> Self {
        let mut set_index: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut topics = BTreeMap::new();
        for (topic, partitions) in &group.topics {
            let subscribers: Vec<usize> = (0..)
                .zip(group.members.values())
                .filter(|(_, member)| member.topics.contains(topic))
                .map(|(index, _)| index)
                .collect();
            if subscribers.is_empty() {
                continue;
            }
            let next = set_index.len();
            let subscribers = *set_index.entry(subscribers).or_insert(next);
            let owners = vec![None; usize::try_from(*partitions).unwrap_or(0)];
            topics.insert(*topic, TopicPlan { subscribers, owners });
        }
        let mut subscriber_sets = vec![BTreeSet::new(); set_index.len()];
        let mut sets_of_member = vec![Vec::new(); group.members.len()];
        for (members, index) in set_index {
            for member in members {
                subscriber_sets[index].insert((0, member));
                sets_of_member[member].push(index);
            }
        }
        Plan { topics, loads: vec![0; group.members.len()], subscriber_sets, sets_of_member }
    }

    fn keep_previous(&mut self, group: &GroupSpec) {
        for (index, member) in (0..).zip(group.members.values()) {
            for (topic, partitions) in &member.previous {
                if !member.topics.contains(topic) {
                    continue;
                }
                for partition in partitions {
                    let Ok(partition) = usize::try_from(*partition) else { continue };
                    let unowned = self.topics.get(topic).and_then(|plan| plan.owners.get(partition)) == Some(&None);
                    if unowned {
                        self.give(*topic, partition, index);
                    }
                }
            }
        }
    }

    fn assign_unowned(&mut self) {
        let mut order: Vec<(usize, Uuid)> =
            self.topics.iter().map(|(topic, plan)| (self.subscriber_sets[plan.subscribers].len(), *topic)).collect();
        order.sort_unstable();
        for (_, topic) in order {
            let (subscribers, count) = (self.topics[&topic].subscribers, self.topics[&topic].owners.len());
            for partition in 0..count {
                if self.topics[&topic].owners[partition].is_none()
                    && let Some((_, member)) = self.subscriber_sets[subscribers].first().copied()
                {
                    self.give(topic, partition, member);
                }
            }
        }
    }

    fn balance(&mut self) {
        let partitions: Vec<(Uuid, usize)> = self
            .topics
            .iter()
            .flat_map(|(topic, plan)| (0..plan.owners.len()).map(|partition| (*topic, partition)))
            .collect();
        loop {
            let mut moved = false;
            for (topic, partition) in &partitions {
                let plan = &self.topics[topic];
                let Some(owner) = plan.owners[*partition] else { continue };
                let Some((least, member)) = self.subscriber_sets[plan.subscribers].first().copied() else { continue };
                if self.loads[owner] > least + 1 {
                    self.take(owner);
                    self.give(*topic, *partition, member);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn give(&mut self, topic: Uuid, partition: usize, member: usize) {
        if let Some(plan) = self.topics.get_mut(&topic) {
            plan.owners[partition] = Some(member);
            self.set_load(member, self.loads[member] + 1);
        }
    }

    fn take(&mut self, member: usize) {
        self.set_load(member, self.loads[member] - 1);
    }

    fn set_load(&mut self, member: usize, load: usize) {
        for set in &self.sets_of_member[member] {
            self.subscriber_sets[*set].remove(&(self.loads[member], member));
            self.subscriber_sets[*set].insert((load, member));
        }
        self.loads[member] = load;
    }

    fn into_assignments(self, group: &GroupSpec) -> BTreeMap<Arc<str>, Assignment> {
        let mut assignments = vec![Assignment::new(); group.members.len()];
        for (topic, plan) in self.topics {
            for (partition, owner) in (0..).zip(plan.owners) {
                if let Some(owner) = owner {
                    assignments[owner].entry(topic).or_default().insert(partition);
                }
            }
        }
        group.members.keys().cloned().zip(assignments).collect()
    }
}
