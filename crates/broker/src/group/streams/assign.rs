//! The `sticky` assignor: who runs which task. Pure, and the same for the same input.
//!
//! - Active tasks stay where they are, then go where a copy of their state is, then to the least busy process; stateful and
//!   stateless ones are spread separately, so that no member has all the state.
//! - Standby tasks go to processes that do not have the task yet: first where racks differ (`rack_aware_tags`), then where
//!   the state was, then to the least busy.
//!
//! A member keeps a task only while it has less than its share; the shares of those who are full are divided anew.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::tasks::{TaskId, TaskSet, Tasks};

/// The assignor's name.
pub const STICKY: &str = "sticky";

/// What the assignor knows of one member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberSpec {
    /// The process it is a thread of.
    pub process_id: String,
    /// The tags of that process.
    pub client_tags: BTreeMap<String, String>,
    /// What the last target gave it.
    pub previous: Tasks,
    /// How far the states are that it has on disk.
    pub task_offsets: BTreeMap<TaskId, i64>,
}

/// What the assignor knows of one subtopology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubtopologySpec {
    /// How many tasks it has.
    pub tasks: i32,
    /// Whether its tasks have state, which may have copies.
    pub stateful: bool,
}

/// What the assignor works with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupSpec {
    /// Members by id.
    pub members: BTreeMap<Arc<str>, MemberSpec>,
    /// Subtopologies by id.
    pub subtopologies: BTreeMap<String, SubtopologySpec>,
    /// Copies of each stateful task.
    pub standby_replicas: usize,
    /// Tags in whose values a task's processes should differ.
    pub rack_aware_tags: Vec<String>,
}

/// Gives every task to a member; every member of `spec` is in the result.
pub fn assign(spec: &GroupSpec) -> BTreeMap<Arc<str>, Tasks> {
    let mut assignor = Assignor::new(spec);
    if spec.members.is_empty() {
        return assignor.assigned;
    }
    let stateful = tasks_of(spec, true);
    assignor.assign_active(stateful.clone(), true);
    assignor.assign_active(tasks_of(spec, false), false);
    if spec.standby_replicas > 0 {
        assignor.assign_standbys(stateful);
    }
    assignor.assigned
}

fn tasks_of(spec: &GroupSpec, stateful: bool) -> Vec<TaskId> {
    let subtopologies = spec.subtopologies.iter().filter(|(_, subtopology)| subtopology.stateful == stateful);
    subtopologies
        .flat_map(|(id, subtopology)| (0..subtopology.tasks).map(move |partition| TaskId::new(id, partition)))
        .collect()
}

/// The members of one process, which share its state directory.
#[derive(Debug, Default)]
struct Process<'a> {
    tags: Option<&'a BTreeMap<String, String>>,
    /// Tasks of each member.
    load: BTreeMap<Arc<str>, usize>,
    tasks: TaskSet,
    stateless_active: usize,
}

impl Process<'_> {
    /// Compares tasks per member, without dividing.
    fn compare_load(&self, other: &Process<'_>) -> Ordering {
        (self.tasks.len() * other.load.len()).cmp(&(other.tasks.len() * self.load.len()))
    }

    fn compare_stateless_load(&self, other: &Process<'_>) -> Ordering {
        (self.stateless_active * other.load.len()).cmp(&(other.stateless_active * self.load.len()))
    }

    fn idlest_member(&self) -> Option<Arc<str>> {
        self.load.iter().min_by_key(|(_, tasks)| **tasks).map(|(member_id, _)| member_id.clone())
    }
}

/// An even share of tasks, divided anew each time that somebody has got his.
#[derive(Clone, Copy, Debug)]
struct Quota {
    tasks: usize,
    members: usize,
    per_member: usize,
}

impl Quota {
    fn new(tasks: usize, members: usize) -> Self {
        Quota { tasks, members, per_member: tasks.checked_div(members).map_or(0, |_| tasks.div_ceil(members)) }
    }

    /// A member has `count` tasks now.
    fn reached(&mut self, count: usize) {
        if count == self.per_member && self.members > 0 {
            *self = Quota::new(self.tasks.saturating_sub(count), self.members - 1);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    StatefulActive,
    StatelessActive,
    Standby,
}

struct Assignor<'a> {
    spec: &'a GroupSpec,
    processes: BTreeMap<&'a str, Process<'a>>,
    assigned: BTreeMap<Arc<str>, Tasks>,
    previous_active: HashMap<&'a TaskId, &'a Arc<str>>,
    /// Members with a copy of a task's state, the best first.
    previous_copies: HashMap<&'a TaskId, Vec<&'a Arc<str>>>,
    stateful_quota: Quota,
    active_quota: Quota,
    total_quota: Quota,
}

impl<'a> Assignor<'a> {
    fn new(spec: &'a GroupSpec) -> Self {
        let mut processes: BTreeMap<&str, Process<'_>> = BTreeMap::new();
        let mut previous_active = HashMap::new();
        for (member_id, member) in &spec.members {
            let process = processes.entry(&member.process_id).or_default();
            process.tags.get_or_insert(&member.client_tags);
            process.load.insert(member_id.clone(), 0);
            previous_active.extend(member.previous.active.iter().map(|task| (task, member_id)));
        }
        let count = |stateful: bool| -> usize {
            let subtopologies = spec.subtopologies.values().filter(|subtopology| subtopology.stateful == stateful);
            subtopologies.map(|subtopology| usize::try_from(subtopology.tasks).unwrap_or(0)).sum()
        };
        let (stateful, stateless, members) = (count(true), count(false), spec.members.len());
        Assignor {
            spec,
            processes,
            assigned: spec.members.keys().map(|member_id| (member_id.clone(), Tasks::default())).collect(),
            previous_active,
            previous_copies: previous_copies(spec),
            stateful_quota: Quota::new(stateful, members),
            active_quota: Quota::new(stateful + stateless, members),
            total_quota: Quota::new(stateful * (1 + spec.standby_replicas) + stateless, members),
        }
    }

    fn process_of(&self, member_id: &Arc<str>) -> Option<(&'a str, &Process<'a>)> {
        let process_id = self.spec.members.get(member_id)?.process_id.as_str();
        self.processes.get(process_id).map(|process| (process_id, process))
    }

    fn load_of(&self, member_id: &Arc<str>) -> usize {
        self.process_of(member_id).and_then(|(_, process)| process.load.get(member_id).copied()).unwrap_or_default()
    }

    fn give(&mut self, member_id: &Arc<str>, task: TaskId, role: Role) {
        let Some(member) = self.spec.members.get(member_id) else { return };
        let Some(process) = self.processes.get_mut(member.process_id.as_str()) else { return };
        let Some(load) = process.load.get_mut(member_id) else { return };
        *load += 1;
        let load = *load;
        process.tasks.insert(task.clone());
        process.stateless_active += usize::from(role == Role::StatelessActive);
        if role == Role::StatefulActive {
            self.stateful_quota.reached(load);
        }
        if role != Role::Standby {
            self.active_quota.reached(load);
        }
        self.total_quota.reached(load);
        let tasks = self.assigned.entry(member_id.clone()).or_default();
        if role == Role::Standby {
            tasks.standby.insert(task)
        } else {
            tasks.active.insert(task)
        };
    }

    fn assign_active(&mut self, mut tasks: Vec<TaskId>, stateful: bool) {
        let role = if stateful { Role::StatefulActive } else { Role::StatelessActive };
        // Tasks of the same partition were probably together.
        tasks.sort_by(|a, b| (a.partition, &a.subtopology_id).cmp(&(b.partition, &b.subtopology_id)));
        tasks.retain(|task| !self.give_back(task, role, |this, task| this.previous_active.get(task).copied()));
        tasks.retain(|task| !self.give_back(task, role, |this, task| this.idlest_copy(task, false)));
        tasks.sort();
        for task in tasks {
            let idlest =
                self.processes.values().min_by(|a, b| a.compare_load(b).then_with(|| a.compare_stateless_load(b)));
            if let Some(member_id) = idlest.and_then(Process::idlest_member) {
                self.give(&member_id, task, role);
            }
        }
    }

    /// Gives `task` to the member that `pick` names, if that has less than its share of active tasks.
    fn give_back(&mut self, task: &TaskId, role: Role, pick: impl Fn(&Self, &TaskId) -> Option<&'a Arc<str>>) -> bool {
        let quota = if role == Role::StatefulActive { self.stateful_quota } else { self.active_quota };
        let Some(member_id) = pick(self, task).filter(|member_id| self.load_of(member_id) < quota.per_member) else {
            return false;
        };
        self.give(member_id, task.clone(), role);
        true
    }

    /// The member with a copy of the state that is least busy; the better copy among equals. `for_standby`: the process
    /// must not have the task already.
    fn idlest_copy(&self, task: &TaskId, for_standby: bool) -> Option<&'a Arc<str>> {
        let mut best: Option<&'a Arc<str>> = None;
        for candidate in self.previous_copies.get(task)? {
            let Some((_, process)) = self.process_of(candidate) else { continue };
            if for_standby && process.tasks.contains(task) {
                continue;
            }
            let is_idler = best.and_then(|best| self.process_of(best).map(|(_, it)| (best, it))).is_none_or(
                |(best, best_process)| {
                    process.compare_load(best_process).is_lt() && self.load_of(candidate) < self.load_of(best)
                },
            );
            if is_idler {
                best = Some(*candidate);
            }
        }
        best
    }

    fn assign_standbys(&mut self, mut tasks: Vec<TaskId>) {
        tasks.sort_by(|a, b| (b.partition, &b.subtopology_id).cmp(&(a.partition, &a.subtopology_id)));
        let mut open: Vec<(TaskId, usize)> = Vec::new();
        for task in tasks {
            let placed = self.place_by_tags(&task);
            let missing = (placed..self.spec.standby_replicas).find(|_| !self.place_where_it_was(&task));
            if let Some(from) = missing {
                open.push((task, self.spec.standby_replicas - from));
            }
        }
        open.sort_by(|a, b| b.0.cmp(&a.0));
        for (task, replicas) in open {
            for _ in 0..replicas {
                let free = self.processes.values().filter(|process| !process.tasks.contains(&task));
                let Some(member_id) = free.min_by(|a, b| a.compare_load(b)).and_then(Process::idlest_member) else {
                    tracing::debug!(?task, "there are not enough processes for the standby replicas of a task");
                    break;
                };
                self.give(&member_id, task.clone(), Role::Standby);
            }
        }
    }

    /// Places standbys as long as each makes the task's processes differ in more tags. Says how many were placed.
    fn place_by_tags(&mut self, task: &TaskId) -> usize {
        let tags = &self.spec.rack_aware_tags;
        let mut placed = 0;
        while placed < self.spec.standby_replicas && !tags.is_empty() {
            let used: BTreeSet<(&str, &str)> = self
                .processes
                .values()
                .filter(|process| process.tasks.contains(task))
                .flat_map(|process| tag_values(process, tags))
                .collect();
            let diversity = |process: &Process<'_>| {
                tag_values(process, tags).filter(|(tag, value)| !used.contains(&(*tag, *value))).count()
            };
            let limit = self.total_quota.per_member;
            let eligible = self.processes.values().filter(|process| {
                !process.tasks.contains(task)
                    && process.load.values().any(|load| *load < limit)
                    && diversity(process) > 0
            });
            let best = eligible.max_by(|a, b| {
                diversity(a)
                    .cmp(&diversity(b))
                    .then_with(|| self.had(b, task).cmp(&self.had(a, task)))
                    .then_with(|| b.compare_load(a))
            });
            let Some(member_id) = best.and_then(|process| self.holder_or_idlest(process, task, limit)) else { break };
            self.give(&member_id, task.clone(), Role::Standby);
            placed += 1;
        }
        placed
    }

    /// How good the state of `task` is that a process had: 0 for the active one's, then copies from the best to the worst.
    fn had(&self, process: &Process<'_>, task: &TaskId) -> usize {
        self.previous_holders(task).position(|member_id| process.load.contains_key(member_id)).unwrap_or(usize::MAX)
    }

    fn holder_or_idlest(&self, process: &Process<'_>, task: &TaskId, limit: usize) -> Option<Arc<str>> {
        let holder = self.previous_holders(task).find(|member_id| process.load.contains_key(*member_id));
        let holder = holder.filter(|member_id| process.load.get(*member_id).is_some_and(|load| *load < limit));
        holder.cloned().or_else(|| process.idlest_member())
    }

    fn previous_holders(&self, task: &TaskId) -> impl Iterator<Item = &'a Arc<str>> {
        let active = self.previous_active.get(task).copied();
        active.into_iter().chain(self.previous_copies.get(task).into_iter().flatten().copied().collect::<Vec<_>>())
    }

    /// Gives a standby to a member that had the task, if its process does not have it now and it has less than its share.
    fn place_where_it_was(&mut self, task: &TaskId) -> bool {
        let has_room = |this: &Self, member_id: &Arc<str>| {
            this.process_of(member_id).is_some_and(|(_, process)| !process.tasks.contains(task))
                && this.load_of(member_id) < this.total_quota.per_member
        };
        let active = self.previous_active.get(task).copied().filter(|member_id| has_room(self, member_id));
        let holder = active.or_else(|| self.idlest_copy(task, true).filter(|member_id| has_room(self, member_id)));
        let Some(holder) = holder else { return false };
        self.give(holder, task.clone(), Role::Standby);
        true
    }
}

fn tag_values<'a>(process: &Process<'a>, tags: &'a [String]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let values = process.tags;
    tags.iter().filter_map(move |tag| Some((tag.as_str(), values?.get(tag)?.as_str())))
}

/// Members with a copy of each task's state: those that were given one first, then those that only report one, each from
/// the furthest to the least far.
fn previous_copies(spec: &GroupSpec) -> HashMap<&TaskId, Vec<&Arc<str>>> {
    // Ordered by what makes a copy worse: only reported, less far.
    type Copy<'a> = (bool, i64, &'a Arc<str>);
    let mut ranked: HashMap<&TaskId, Vec<Copy<'_>>> = HashMap::new();
    for (member_id, member) in &spec.members {
        let given = || member.previous.standby.iter().chain(&member.previous.warmup);
        for task in given() {
            let offset = member.task_offsets.get(task).copied().unwrap_or_default();
            ranked.entry(task).or_default().push((false, -offset, member_id));
        }
        for (task, offset) in &member.task_offsets {
            if !given().any(|given| given == task) {
                ranked.entry(task).or_default().push((true, -offset, member_id));
            }
        }
    }
    let mut sorted = HashMap::new();
    for (task, mut copies) in ranked {
        copies.sort();
        sorted.insert(task, copies.into_iter().map(|(_, _, member_id)| member_id).collect());
    }
    sorted
}

#[cfg(test)]
mod tests;
