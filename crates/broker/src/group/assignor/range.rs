//! The `range` assignor: each topic is cut into contiguous ranges, one a subscriber.
//!
//! Subscribers are ordered by instance id (so that a static member keeps its range) and then member id, the same
//! order for every topic: topics with equally many partitions and the same subscribers are co-partitioned.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Assignment, GroupSpec};

/// Distributes all subscribed partitions.
pub fn assign(group: &GroupSpec) -> BTreeMap<Arc<str>, Assignment> {
    let mut assignments: BTreeMap<Arc<str>, Assignment> =
        group.members.keys().map(|member| (member.clone(), Assignment::new())).collect();
    let mut ordered: Vec<_> = group.members.iter().collect();
    // Static members first, by instance id; `None` would sort before `Some`.
    ordered.sort_by_key(|(member_id, member)| (member.instance_id.is_none(), &member.instance_id, *member_id));

    for (topic, partitions) in &group.topics {
        let subscribers: Vec<_> = ordered.iter().filter(|(_, member)| member.topics.contains(topic)).collect();
        let Ok(subscriber_count) = i32::try_from(subscribers.len()) else { continue };
        if subscriber_count == 0 {
            continue;
        }
        let (quota, larger) = (partitions / subscriber_count, partitions % subscriber_count);
        let mut next = 0;
        for (index, (member_id, _)) in (0..).zip(subscribers) {
            let count = quota + i32::from(index < larger);
            if count > 0
                && let Some(assignment) = assignments.get_mut(*member_id)
            {
                assignment.insert(*topic, (next..next + count).collect());
            }
            next += count;
        }
    }
    assignments
}
