//! The step of one member towards its target, taken at each of its heartbeats. Pure.

use std::collections::{BTreeMap, BTreeSet};

use milena_protocol::Uuid;

use super::member::{Holding, MemberState};
use crate::group::assignor::Assignment;

/// What `current` becomes.
///
/// - `owned`: what the client says it holds; `None` when it did not say, then it may still hold everything.
/// - `is_held_by_other`: whether another member has not given a partition up yet.
pub(super) fn reconcile(
    current: &Holding,
    target_epoch: i32,
    target: &Assignment,
    owned: Option<&Assignment>,
    is_held_by_other: impl Fn(&Uuid, i32) -> bool,
) -> Holding {
    match current.state {
        MemberState::Stable if current.member_epoch == target_epoch => current.clone(),
        MemberState::UnrevokedPartitions if may_own(owned, &current.pending_revocation) => current.clone(),
        _ => next_step(current, target_epoch, target, owned, is_held_by_other),
    }
}

fn next_step(
    current: &Holding,
    target_epoch: i32,
    target: &Assignment,
    owned: Option<&Assignment>,
    is_held_by_other: impl Fn(&Uuid, i32) -> bool,
) -> Holding {
    let kept = intersection(&current.assigned, target);
    let revoked = difference(&current.assigned, target);
    if !revoked.is_empty() && may_own(owned, &revoked) {
        return Holding {
            state: MemberState::UnrevokedPartitions,
            assigned: kept,
            pending_revocation: revoked,
            ..current.clone()
        };
    }
    let since = since_of(current, &kept, target_epoch);
    let mut assigned = kept;
    let mut unreleased = false;
    for (topic, partitions) in target {
        for partition in partitions {
            if is_held_by_other(topic, *partition) {
                unreleased = true;
            } else {
                assigned.entry(*topic).or_default().insert(*partition);
            }
        }
    }
    let previous_member_epoch =
        if current.member_epoch == target_epoch { current.previous_member_epoch } else { current.member_epoch };
    Holding {
        member_epoch: target_epoch,
        previous_member_epoch,
        state: if unreleased { MemberState::UnreleasedPartitions } else { MemberState::Stable },
        assigned,
        pending_revocation: Assignment::new(),
        since,
    }
}

/// Since when partitions are held that are kept into `target_epoch`.
fn since_of(current: &Holding, kept: &Assignment, target_epoch: i32) -> BTreeMap<(Uuid, i32), i32> {
    let partitions = kept.iter().flat_map(|(topic, of_topic)| of_topic.iter().map(|partition| (*topic, *partition)));
    partitions
        .filter_map(|(topic, partition)| Some(((topic, partition), current.held_since(&topic, partition)?)))
        .filter(|(_, since)| *since != target_epoch)
        .collect()
}

/// Whether the client may still hold some of `partitions`.
fn may_own(owned: Option<&Assignment>, partitions: &Assignment) -> bool {
    owned.is_none_or(|owned| !intersection(owned, partitions).is_empty())
}

fn intersection(a: &Assignment, b: &Assignment) -> Assignment {
    combine(a, b, |mine, theirs| mine & theirs)
}

fn difference(a: &Assignment, b: &Assignment) -> Assignment {
    combine(a, b, |mine, theirs| mine - theirs)
}

fn combine(
    a: &Assignment,
    b: &Assignment,
    operation: impl Fn(&BTreeSet<i32>, &BTreeSet<i32>) -> BTreeSet<i32>,
) -> Assignment {
    let none = BTreeSet::new();
    a.iter()
        .map(|(topic, partitions)| (*topic, operation(partitions, b.get(topic).unwrap_or(&none))))
        .filter(|(_, partitions)| !partitions.is_empty())
        .collect()
}

/// Whether every partition of `a` is in `b`.
pub(super) fn is_subset(a: &Assignment, b: &Assignment) -> bool {
    difference(a, b).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Uuid = Uuid([7; 16]);

    fn partitions(numbers: &[i32]) -> Assignment {
        if numbers.is_empty() {
            return Assignment::new();
        }
        Assignment::from([(TOPIC, numbers.iter().copied().collect())])
    }

    fn holding(epoch: i32, assigned: &[i32]) -> Holding {
        Holding { member_epoch: epoch, assigned: partitions(assigned), ..Holding::default() }
    }

    #[test]
    fn a_member_keeps_its_epoch_until_it_says_that_it_gave_up_what_it_must() {
        let told = reconcile(&holding(1, &[0, 1, 2]), 2, &partitions(&[0, 3]), None, |_, _| false);
        assert_eq!(told.state, MemberState::UnrevokedPartitions);
        assert_eq!((told.member_epoch, &told.assigned), (1, &partitions(&[0])));
        assert_eq!(told.pending_revocation, partitions(&[1, 2]));

        let silent = reconcile(&told, 2, &partitions(&[0, 3]), None, |_, _| false);
        assert_eq!(silent, told);
        let half = reconcile(&told, 2, &partitions(&[0, 3]), Some(&partitions(&[0, 2])), |_, _| false);
        assert_eq!(half, told);

        let done = reconcile(&told, 2, &partitions(&[0, 3]), Some(&partitions(&[0])), |_, _| false);
        assert_eq!(done.state, MemberState::Stable);
        assert_eq!((done.member_epoch, done.previous_member_epoch), (2, 1));
        assert_eq!(done.assigned, partitions(&[0, 3]));
        assert!(done.pending_revocation.is_empty());
    }

    #[test]
    fn a_kept_partition_is_held_since_the_epoch_that_brought_it() {
        let first = reconcile(&holding(0, &[]), 2, &partitions(&[0, 1]), Some(&partitions(&[])), |_, _| false);
        let second = reconcile(&first, 3, &partitions(&[0, 1, 2]), Some(&partitions(&[0, 1])), |_, _| false);
        let since = |holding: &Holding| [0, 1, 2].map(|partition| holding.held_since(&TOPIC, partition));
        assert_eq!(since(&second), [Some(2), Some(2), Some(3)]);
        let told = reconcile(&second, 5, &partitions(&[0]), None, |_, _| false);
        assert_eq!(since(&told), [Some(2), Some(2), Some(3)], "until it has given them up");
        let done = reconcile(&told, 5, &partitions(&[0]), Some(&partitions(&[0])), |_, _| false);
        assert_eq!(since(&done), [Some(2), None, None]);
        let again = reconcile(&done, 6, &partitions(&[0, 1]), Some(&partitions(&[0])), |_, _| false);
        assert_eq!(since(&again), [Some(2), Some(6), None]);
    }

    #[test]
    fn a_partition_held_by_another_member_is_given_only_after_its_release() {
        let target = partitions(&[0, 1]);
        let waiting = reconcile(&holding(0, &[]), 2, &target, Some(&partitions(&[])), |_, partition| partition == 1);
        assert_eq!(waiting.state, MemberState::UnreleasedPartitions);
        assert_eq!((waiting.member_epoch, &waiting.assigned), (2, &partitions(&[0])));

        let released = reconcile(&waiting, 2, &target, None, |_, _| false);
        assert_eq!(released.state, MemberState::Stable);
        assert_eq!((released.member_epoch, released.previous_member_epoch), (2, 0));
        assert_eq!(released.assigned, target);
    }

    #[test]
    fn a_member_with_nothing_to_give_up_moves_at_once() {
        let next = reconcile(&holding(3, &[5]), 4, &partitions(&[5, 6]), None, |_, _| false);
        assert_eq!((next.state, next.member_epoch, next.assigned), (MemberState::Stable, 4, partitions(&[5, 6])));
        let same = holding(4, &[5]);
        assert_eq!(reconcile(&same, 4, &partitions(&[5]), None, |_, _| false), same);
    }
}
