//! The step of one member towards its target, taken at each of its heartbeats. Pure.

use std::collections::HashSet;

use super::member::{Holding, MemberState, StreamsMember};
use super::tasks::{TaskId, TaskSet, Tasks};

/// What other members hold, or have not given up yet, as far as it concerns one member.
#[derive(Debug, Default)]
pub struct HeldByOthers<'a> {
    /// Active tasks of anybody.
    active: HashSet<&'a TaskId>,
    /// Tasks of any role in the member's own process.
    in_process: HashSet<&'a TaskId>,
}

impl<'a> HeldByOthers<'a> {
    /// What concerns a member of process `process_id`, among the `others`.
    pub fn new(process_id: &str, others: impl Iterator<Item = &'a StreamsMember>) -> Self {
        let mut held = HeldByOthers::default();
        for other in others {
            let holding = &other.holding;
            held.active.extend(holding.assigned.active.iter().chain(&holding.pending_revocation.active));
            if other.metadata.process_id == process_id {
                held.in_process.extend(holding.assigned.all().chain(holding.pending_revocation.all()));
            }
        }
        held
    }

    fn blocks_active(&self, task: &TaskId) -> bool {
        self.active.contains(task) || self.in_process.contains(task)
    }

    fn blocks_copy(&self, task: &TaskId) -> bool {
        self.in_process.contains(task)
    }
}

/// What `current` becomes.
///
/// `owned` is what the client says it holds; `None` when it did not say, then it may still hold everything.
pub fn reconcile(
    current: &Holding,
    target_epoch: i32,
    target: &Tasks,
    owned: Option<&Tasks>,
    held: &HeldByOthers<'_>,
) -> Holding {
    match current.state {
        MemberState::Stable if current.member_epoch == target_epoch => current.clone(),
        MemberState::UnrevokedTasks if may_own(owned, &current.pending_revocation) => current.clone(),
        // What it was told is done; should the target have moved on meanwhile, the next step has an epoch of its own.
        MemberState::UnrevokedTasks => {
            next_step(current, (current.member_epoch + 1).min(target_epoch), target_epoch, target, owned, held)
        }
        MemberState::Stable | MemberState::UnreleasedTasks => {
            next_step(current, current.member_epoch, target_epoch, target, owned, held)
        }
    }
}

fn next_step(
    current: &Holding,
    member_epoch: i32,
    target_epoch: i32,
    target: &Tasks,
    owned: Option<&Tasks>,
    held: &HeldByOthers<'_>,
) -> Holding {
    let kept = current.assigned.intersection(target);
    let revoked = current.assigned.difference(target);
    if !revoked.is_empty() && may_own(owned, &revoked) {
        return moved(current, member_epoch, MemberState::UnrevokedTasks, kept, revoked);
    }
    let gained = target.difference(&kept);
    let free = Tasks {
        active: without(&gained.active, |task| held.blocks_active(task)),
        standby: without(&gained.standby, |task| held.blocks_copy(task)),
        warmup: without(&gained.warmup, |task| held.blocks_copy(task)),
    };
    let state = if free == gained { MemberState::Stable } else { MemberState::UnreleasedTasks };
    moved(current, target_epoch, state, kept.union(&free), Tasks::default())
}

fn moved(
    current: &Holding,
    member_epoch: i32,
    state: MemberState,
    assigned: Tasks,
    pending_revocation: Tasks,
) -> Holding {
    let assignment_epochs = assigned
        .active
        .iter()
        .chain(&pending_revocation.active)
        .map(|task| (task.clone(), current.assignment_epochs.get(task).copied().unwrap_or(member_epoch)))
        .collect();
    let previous_member_epoch =
        if current.member_epoch == member_epoch { current.previous_member_epoch } else { current.member_epoch };
    Holding { member_epoch, previous_member_epoch, state, assigned, pending_revocation, assignment_epochs }
}

fn without(tasks: &TaskSet, is_blocked: impl Fn(&TaskId) -> bool) -> TaskSet {
    tasks.iter().filter(|task| !is_blocked(task)).cloned().collect()
}

/// Whether the client may still hold some of `tasks`.
fn may_own(owned: Option<&Tasks>, tasks: &Tasks) -> bool {
    owned.is_none_or(|owned| !owned.intersection(tasks).is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::group::testing::client;

    fn set(numbers: &[i32]) -> TaskSet {
        numbers.iter().map(|partition| TaskId::new("0", *partition)).collect()
    }

    fn active(numbers: &[i32]) -> Tasks {
        Tasks { active: set(numbers), ..Tasks::default() }
    }

    fn standby(numbers: &[i32]) -> Tasks {
        Tasks { standby: set(numbers), ..Tasks::default() }
    }

    fn holding(epoch: i32, assigned: Tasks) -> Holding {
        let assignment_epochs = assigned.active.iter().map(|task| (task.clone(), epoch)).collect();
        Holding { member_epoch: epoch, assigned, assignment_epochs, ..Holding::default() }
    }

    fn other(process_id: &str, assigned: Tasks) -> StreamsMember {
        let mut member = StreamsMember::new(Arc::from("other"), client());
        member.metadata.process_id = process_id.to_owned();
        member.holding.assigned = assigned;
        member
    }

    fn nobody() -> HeldByOthers<'static> {
        HeldByOthers::default()
    }

    #[test]
    fn a_member_keeps_its_epoch_until_it_says_that_it_gave_up_what_it_must() {
        let told = reconcile(&holding(1, active(&[0, 1, 2])), 2, &active(&[0, 3]), None, &nobody());
        assert_eq!((told.state, told.member_epoch), (MemberState::UnrevokedTasks, 1));
        assert_eq!((&told.assigned, &told.pending_revocation), (&active(&[0]), &active(&[1, 2])));
        assert_eq!(reconcile(&told, 2, &active(&[0, 3]), None, &nobody()), told);
        assert_eq!(reconcile(&told, 2, &active(&[0, 3]), Some(&active(&[0, 2])), &nobody()), told);

        let done = reconcile(&told, 2, &active(&[0, 3]), Some(&active(&[0])), &nobody());
        assert_eq!((done.state, done.member_epoch, done.previous_member_epoch), (MemberState::Stable, 2, 1));
        assert_eq!(done.assigned, active(&[0, 3]));
        let epochs: Vec<i32> = done.assignment_epochs.values().copied().collect();
        assert_eq!(epochs, [1, 2], "a task that stayed keeps the epoch it came with");
    }

    #[test]
    fn an_active_task_of_another_member_is_waited_for() {
        let others = [other("p2", active(&[1]))];
        let held = HeldByOthers::new("p1", others.iter());
        let waiting = reconcile(&holding(0, active(&[])), 2, &active(&[0, 1]), Some(&active(&[])), &held);
        assert_eq!((waiting.state, waiting.member_epoch), (MemberState::UnreleasedTasks, 2));
        assert_eq!(waiting.assigned, active(&[0]));
        let released = reconcile(&waiting, 2, &active(&[0, 1]), None, &nobody());
        assert_eq!((released.state, released.assigned), (MemberState::Stable, active(&[0, 1])));
    }

    #[test]
    fn a_copy_may_be_elsewhere_but_not_twice_in_one_process() {
        let elsewhere = [other("p2", active(&[0]))];
        let held = HeldByOthers::new("p1", elsewhere.iter());
        let next = reconcile(&holding(0, Tasks::default()), 2, &standby(&[0]), None, &held);
        assert_eq!((next.state, next.assigned), (MemberState::Stable, standby(&[0])));

        let beside = [other("p1", standby(&[0]))];
        let held = HeldByOthers::new("p1", beside.iter());
        let next = reconcile(&holding(0, Tasks::default()), 2, &active(&[0]), None, &held);
        assert_eq!((next.state, next.assigned), (MemberState::UnreleasedTasks, Tasks::default()));
    }

    #[test]
    fn a_standby_is_given_up_before_it_becomes_active() {
        let told = reconcile(&holding(2, standby(&[0])), 3, &active(&[0]), None, &nobody());
        assert_eq!((told.state, &told.pending_revocation), (MemberState::UnrevokedTasks, &standby(&[0])));
        let done = reconcile(&told, 3, &active(&[0]), Some(&Tasks::default()), &nobody());
        assert_eq!((done.state, done.member_epoch, done.assigned), (MemberState::Stable, 3, active(&[0])));
    }
}
