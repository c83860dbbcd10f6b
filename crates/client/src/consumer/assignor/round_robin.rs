//! Round robin: all partitions of all topics go around the circle of members, passing over those that do not want the topic.

use std::collections::HashMap;

use super::{Assignments, Member, in_order, no_partitions, subscribed};
use crate::TopicPartition;

pub(super) fn assign(members: &[Member], partition_counts: &HashMap<String, i32>) -> Assignments {
    let mut assignments = no_partitions(members);
    let ordered = in_order(members);
    let mut turn = 0;
    for (topic, count) in subscribed(members, partition_counts) {
        for partition in 0..count {
            while !ordered[turn % ordered.len()].topics.iter().any(|wanted| wanted == topic) {
                turn += 1;
            }
            if let Some(partitions) = assignments.get_mut(&ordered[turn % ordered.len()].member_id) {
                partitions.push(TopicPartition::new(topic, partition));
            }
            turn += 1;
        }
    }
    assignments
}
