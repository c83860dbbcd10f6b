//! Cooperative sticky: members keep what they own as long as the result is balanced.
//!
//! Balanced means: no member could take a partition it wants from another that has at least two
//! more. A partition that moves away from a living owner is given to nobody in this round; its
//! old owner revokes it and joins again, and the next round hands it out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Assignments, Member, no_partitions, subscribed};
use crate::TopicPartition;

pub(super) fn assign(members: &[Member], partition_counts: &HashMap<String, i32>) -> Assignments {
    let topics = subscribed(members, partition_counts);
    let owners = owners(members, &topics);
    let mut assignments = no_partitions(members);
    for (tp, owner) in &owners {
        if let Some(partitions) = assignments.get_mut(*owner) {
            partitions.push(tp.clone());
        }
    }
    let unowned = topics
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(|partition| TopicPartition::new(*topic, partition)))
        .filter(|tp| !owners.contains_key(tp));
    for tp in unowned {
        if let Some(member_id) = least_loaded(members, &assignments, &tp.topic)
            && let Some(partitions) = assignments.get_mut(&member_id)
        {
            partitions.push(tp);
        }
    }
    balance(members, &mut assignments);
    withhold_moving(&owners, &mut assignments);
    assignments
}

/// Who may keep what: the claim of the highest generation wins, two claims of one generation cancel each other.
fn owners<'a>(members: &'a [Member], topics: &BTreeMap<&str, i32>) -> BTreeMap<TopicPartition, &'a str> {
    let mut claims: BTreeMap<TopicPartition, (i32, Option<&str>)> = BTreeMap::new();
    for member in members {
        for tp in &member.owned {
            let exists = topics.get(tp.topic.as_str()).is_some_and(|count| (0..*count).contains(&tp.partition));
            if !exists || !member.topics.contains(&tp.topic) {
                continue;
            }
            let claim = claims.entry(tp.clone()).or_insert((i32::MIN, None));
            if member.generation_id > claim.0 {
                *claim = (member.generation_id, Some(&member.member_id));
            } else if member.generation_id == claim.0 {
                claim.1 = None;
            }
        }
    }
    claims.into_iter().filter_map(|(tp, (_, owner))| Some((tp, owner?))).collect()
}

fn least_loaded(members: &[Member], assignments: &Assignments, topic: &str) -> Option<String> {
    members
        .iter()
        .filter(|member| member.topics.iter().any(|wanted| wanted == topic))
        .map(|member| (assignments.get(&member.member_id).map_or(0, Vec::len), &member.member_id))
        .min()
        .map(|(_, member_id)| member_id.clone())
}

/// Moves single partitions from the fullest to the emptiest member that wants them until nothing is gained.
fn balance(members: &[Member], assignments: &mut Assignments) {
    let wants: HashMap<&str, BTreeSet<&str>> = members
        .iter()
        .map(|member| (member.member_id.as_str(), member.topics.iter().map(String::as_str).collect()))
        .collect();
    while let Some((from, index, to)) = improving_move(&wants, assignments) {
        let moved = assignments.get_mut(&from).map(|partitions| partitions.remove(index));
        if let Some(partitions) = assignments.get_mut(&to) {
            partitions.extend(moved);
        }
    }
}

fn improving_move(wants: &HashMap<&str, BTreeSet<&str>>, assignments: &Assignments) -> Option<(String, usize, String)> {
    let mut by_load: Vec<(&String, &Vec<TopicPartition>)> = assignments.iter().collect();
    by_load.sort_by_key(|(member_id, partitions)| (partitions.len(), *member_id));
    for (from, partitions) in by_load.iter().rev() {
        for (to, taken) in &by_load {
            if taken.len() + 1 >= partitions.len() {
                break;
            }
            let wanted = wants.get(to.as_str())?;
            if let Some(index) = partitions.iter().rposition(|tp| wanted.contains(tp.topic.as_str())) {
                return Some(((*from).clone(), index, (*to).clone()));
            }
        }
    }
    None
}

fn withhold_moving(owners: &BTreeMap<TopicPartition, &str>, assignments: &mut Assignments) {
    for (member_id, partitions) in assignments.iter_mut() {
        partitions.retain(|tp| owners.get(tp).is_none_or(|owner| owner == member_id));
    }
}
