//! Range: the partitions of each topic are cut into runs, the first members get one more when they do not divide evenly.

use std::collections::HashMap;

use super::{Assignments, Member, in_order, no_partitions, subscribed};
use crate::TopicPartition;

pub(super) fn assign(members: &[Member], partition_counts: &HashMap<String, i32>) -> Assignments {
    let mut assignments = no_partitions(members);
    let ordered = in_order(members);
    for (topic, count) in subscribed(members, partition_counts) {
        let takers: Vec<&&Member> =
            ordered.iter().filter(|member| member.topics.iter().any(|wanted| wanted == topic)).collect();
        let each = count / takers.len() as i32;
        let extra = count % takers.len() as i32;
        let mut next = 0;
        for (index, member) in takers.into_iter().enumerate() {
            let share = each + i32::from((index as i32) < extra);
            if let Some(partitions) = assignments.get_mut(&member.member_id) {
                partitions.extend((next..next + share).map(|partition| TopicPartition::new(topic, partition)));
            }
            next += share;
        }
    }
    assignments
}
