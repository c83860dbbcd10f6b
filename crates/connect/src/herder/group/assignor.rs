//! How the leader shares out the work: incremental and cooperative (KIP-415), so that only what moves is stopped.
//!
//! A round may revoke, and the next one gives what was revoked to others. What a member had that is gone stays with nobody
//! for a while, because most members come back; who has revoked in the round before and would revoke again waits ever
//! longer (KIP-415's balancing must come to rest).

use std::collections::{BTreeMap, BTreeSet};

use super::work::Work;
use crate::worker::TaskId;

/// What the pause between revocations is multiplied with.
const BACKOFF_FACTOR: i64 = 40;

/// What each member gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    /// What is new, by member.
    pub given: BTreeMap<String, Work>,
    /// What must be given up, by member.
    pub revoked: BTreeMap<String, Work>,
    /// All that each member has afterwards.
    pub all: BTreeMap<String, Work>,
    /// Milliseconds until the next round is needed; 0: none is.
    pub delay_ms: i64,
}

/// Remembers what the rounds before have decided.
#[derive(Debug)]
pub struct Assignor {
    delay_max_ms: i64,
    previous: Work,
    previously_revoked: Work,
    revoked_in_previous: bool,
    /// Members that came without work while something waited for its owner.
    candidates: BTreeSet<String>,
    /// When what waits is given away; 0: nothing waits.
    scheduled_ms: i64,
    delay_ms: i64,
    previous_generation: i32,
    previous_members: BTreeSet<String>,
    successive_revocations: u32,
}

/// What a member has, while the round is computed.
struct Load {
    member: String,
    work: Work,
}

impl Assignor {
    /// Remembers nothing. What is lost waits for its owner at most `delay_max_ms`.
    pub fn new(delay_max_ms: i64) -> Assignor {
        Assignor {
            delay_max_ms,
            previous: Work::default(),
            previously_revoked: Work::default(),
            revoked_in_previous: false,
            candidates: BTreeSet::new(),
            scheduled_ms: 0,
            delay_ms: 0,
            previous_generation: -1,
            previous_members: BTreeSet::new(),
            successive_revocations: 0,
        }
    }

    /// One round. `completed` is the generation of the last round that has reached everybody.
    pub fn share(
        &mut self,
        now_ms: i64,
        configured: &Work,
        completed: i32,
        generation: i32,
        members: &BTreeMap<String, Work>,
    ) -> Shares {
        if self.previous_generation != completed {
            // Another one has led meanwhile: what is remembered here may be wrong.
            self.previous = Work::default();
        }
        let active = union(members.values());
        if !self.previously_revoked.is_empty() {
            if !self.previously_revoked.common(&active).is_empty() {
                // What was to be revoked is still held: the round before has not reached everybody.
                self.previous = active.clone();
            }
            self.previously_revoked = Work::default();
        }
        // A new leader remembers nothing: what members hold tells it too what was deleted.
        let mut deleted = self.previous.without(configured);
        deleted.add(&active.without(configured));
        let lost = self.previous.without(&active).without(&deleted);
        let created = configured.without(&self.previous).without(&active);
        let mut revoked: BTreeMap<String, Work> = BTreeMap::new();
        let unwanted = [deleted.clone(), duplicated(members)];
        let mut loads: Vec<Load> = Vec::with_capacity(members.len());
        for (member, work) in members {
            let mut load = work.clone();
            for unwanted in &unwanted {
                let revoke = work.common(unwanted);
                load.remove(&revoke);
                revoked.entry(member.clone()).or_default().add(&revoke);
            }
            loads.push(Load { member: member.clone(), work: load });
        }
        let mut to_give = created;
        to_give.add(&self.handle_lost(now_ms, &lost, &mut loads));
        self.balance(now_ms, configured, &mut loads, &mut revoked);
        give_connectors(&mut loads, to_give.connectors);
        give_tasks(&mut loads, to_give.tasks);
        self.shares(generation, members, &deleted, &lost, loads, revoked)
    }

    fn shares(
        &mut self,
        generation: i32,
        members: &BTreeMap<String, Work>,
        deleted: &Work,
        lost: &Work,
        loads: Vec<Load>,
        revoked: BTreeMap<String, Work>,
    ) -> Shares {
        let mut shares = Shares { delay_ms: self.delay_ms, ..Shares::default() };
        self.previous = Work::default();
        for load in loads {
            let had = members.get(&load.member).map(|work| work.without(deleted)).unwrap_or_default();
            let gives_up = revoked.get(&load.member).cloned().unwrap_or_default();
            shares.given.insert(load.member.clone(), load.work.without(&had));
            self.previous.add(&load.work);
            shares.all.insert(load.member, load.work.without(&gives_up));
        }
        for gives_up in revoked.values() {
            self.previous.remove(gives_up);
            self.previously_revoked.add(gives_up);
        }
        self.previous.add(lost);
        self.previous_generation = generation;
        self.previous_members = members.keys().cloned().collect();
        shares.revoked = revoked;
        shares
    }

    /// What of the lost work is given away now; the rest waits.
    fn handle_lost(&mut self, now_ms: i64, lost: &Work, loads: &mut [Load]) -> Work {
        if lost.is_empty() && !self.revoked_in_previous {
            self.reset_delay();
            return Work::default();
        }
        let active: BTreeSet<&String> = loads.iter().map(|load| &load.member).collect();
        let nobody_left = self.previous_members.iter().all(|member| active.contains(member));
        if (self.scheduled_ms <= 0 && nobody_left) || self.delay_max_ms == 0 {
            return lost.clone();
        }
        if self.scheduled_ms > 0 && now_ms >= self.scheduled_ms {
            let given = self.give_to_candidates(lost, loads);
            self.reset_delay();
            self.revoked_in_previous = false;
            return if given { Work::default() } else { lost.clone() };
        }
        let idle = loads.iter().filter(|load| load.work.is_empty()).map(|load| load.member.clone());
        self.candidates.extend(idle);
        self.delay_ms = if now_ms < self.scheduled_ms {
            (self.scheduled_ms - now_ms).min(self.delay_max_ms)
        } else {
            self.delay_max_ms
        };
        self.scheduled_ms = now_ms + self.delay_ms;
        Work::default()
    }

    /// Gives lost work to those that came while it waited; whether there were any.
    fn give_to_candidates(&self, lost: &Work, loads: &mut [Load]) -> bool {
        let picked: Vec<usize> = loads
            .iter()
            .enumerate()
            .filter(|(_, load)| self.candidates.contains(&load.member))
            .map(|(index, _)| index)
            .collect();
        if picked.is_empty() {
            return false;
        }
        for (connector, index) in lost.connectors.iter().zip(picked.iter().cycle()) {
            loads[*index].work.connectors.insert(connector.clone());
        }
        for (task, index) in lost.tasks.iter().zip(picked.iter().cycle()) {
            loads[*index].work.tasks.insert(task.clone());
        }
        true
    }

    /// Revokes from those that have too much, unless something waits or the last round has done so already.
    fn balance(&mut self, now_ms: i64, configured: &Work, loads: &mut [Load], revoked: &mut BTreeMap<String, Work>) {
        if self.delay_ms != 0 {
            self.revoked_in_previous = false;
            return;
        }
        let surplus = surplus(configured, loads);
        if surplus.is_empty() {
            if self.revoked_in_previous {
                self.revoked_in_previous = false;
                self.successive_revocations = 0;
            }
            return;
        }
        if self.revoked_in_previous {
            self.successive_revocations = self.successive_revocations.saturating_add(1);
            self.delay_ms = self.backoff();
            if self.delay_ms != 0 {
                self.scheduled_ms = now_ms + self.delay_ms;
                return;
            }
        } else {
            self.revoked_in_previous = true;
        }
        for load in loads {
            if let Some(surplus) = surplus.get(&load.member) {
                load.work.remove(surplus);
                revoked.entry(load.member.clone()).or_default().add(surplus);
            }
        }
    }

    fn backoff(&self) -> i64 {
        if self.delay_max_ms == 0 {
            return 0;
        }
        BACKOFF_FACTOR.saturating_pow(self.successive_revocations).min(self.delay_max_ms)
    }

    fn reset_delay(&mut self) {
        self.candidates.clear();
        self.scheduled_ms = 0;
        self.delay_ms = 0;
    }
}

fn union<'a>(all: impl Iterator<Item = &'a Work>) -> Work {
    all.fold(Work::default(), |mut union, work| {
        union.add(work);
        union
    })
}

/// What more than one member has.
fn duplicated(members: &BTreeMap<String, Work>) -> Work {
    let (mut seen, mut twice) = (Work::default(), Work::default());
    for work in members.values() {
        twice.add(&work.common(&seen));
        seen.add(work);
    }
    twice
}

/// What members have beyond their even share.
fn surplus(configured: &Work, loads: &[Load]) -> BTreeMap<String, Work> {
    if loads.iter().all(|load| load.work.is_empty()) || configured.is_empty() {
        return BTreeMap::new();
    }
    let connectors = beyond(configured.connectors.len(), loads, |work| &work.connectors);
    let tasks = beyond(configured.tasks.len(), loads, |work| &work.tasks);
    let mut surplus: BTreeMap<String, Work> = BTreeMap::new();
    for (member, connectors) in connectors {
        surplus.entry(member).or_default().connectors = connectors;
    }
    for (member, tasks) in tasks {
        surplus.entry(member).or_default().tasks = tasks;
    }
    surplus
}

fn beyond<T: Clone + Ord>(
    total: usize,
    loads: &[Load],
    part: impl Fn(&Work) -> &BTreeSet<T>,
) -> BTreeMap<String, BTreeSet<T>> {
    let least = total / loads.len();
    let with_one_more = total % loads.len();
    let count = |wanted: usize| loads.iter().filter(|load| part(&load.work).len() == wanted).count();
    let (at_least, at_one_more) = (count(least), count(least + 1));
    let mut beyond = BTreeMap::new();
    if at_one_more == with_one_more && at_least + at_one_more == loads.len() {
        return beyond;
    }
    let mut extras = 0;
    for load in loads {
        let has = part(&load.work);
        if has.len() <= least {
            continue;
        }
        let keeps = if extras < with_one_more {
            extras += 1;
            least + 1
        } else {
            least
        };
        if has.len() > keeps {
            let gives_up = has.iter().take(has.len() - keeps).cloned().collect();
            beyond.insert(load.member.clone(), gives_up);
        }
    }
    beyond
}

/// Each connector goes to who has the fewest.
fn give_connectors(loads: &mut [Load], connectors: BTreeSet<String>) {
    for connector in connectors {
        let least = loads.iter_mut().min_by_key(|load| (load.work.connectors.len(), load.member.clone()));
        if let Some(load) = least {
            load.work.connectors.insert(connector);
        }
    }
}

/// Each task goes to who has the fewest.
fn give_tasks(loads: &mut [Load], tasks: BTreeSet<TaskId>) {
    for task in tasks {
        let least = loads.iter_mut().min_by_key(|load| (load.work.tasks.len(), load.member.clone()));
        if let Some(load) = least {
            load.work.tasks.insert(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: i64 = 300_000;

    /// A group whose members do what they are told.
    struct Group {
        assignor: Assignor,
        generation: i32,
        now: i64,
        configured: Work,
        members: BTreeMap<String, Work>,
    }

    impl Group {
        fn new(connectors: u32, tasks: u32, members: &[&str]) -> Group {
            let mut configured = Work::default();
            for number in 0..connectors {
                let name = format!("c{number}");
                configured.tasks.extend((0..tasks).map(|task| TaskId::new(name.as_str(), task)));
                configured.connectors.insert(name);
            }
            let members = members.iter().map(|member| ((*member).to_owned(), Work::default())).collect();
            Group { assignor: Assignor::new(DELAY), generation: 0, now: 1, configured, members }
        }

        fn round(&mut self) -> Shares {
            let completed = if self.generation == 0 { -1 } else { self.generation };
            self.generation += 1;
            let shares = self.assignor.share(self.now, &self.configured, completed, self.generation, &self.members);
            for (member, work) in &mut self.members {
                work.remove(&shares.revoked.get(member).cloned().unwrap_or_default());
                work.add(&shares.given[member]);
                assert_eq!(*work, shares.all[member], "{member}");
            }
            shares
        }

        fn settle(&mut self) {
            for _ in 0..10 {
                let shares = self.round();
                if shares.revoked.values().all(Work::is_empty) && shares.given.values().all(Work::is_empty) {
                    return;
                }
            }
        }

        fn sizes(&self) -> Vec<(usize, usize)> {
            self.members.values().map(|work| (work.connectors.len(), work.tasks.len())).collect()
        }

        fn assert_all_owned_once(&self) {
            assert_eq!(union(self.members.values()), self.configured);
            assert!(duplicated(&self.members).is_empty());
        }
    }

    #[test]
    fn new_work_is_shared_evenly_and_nothing_else_moves() {
        let mut group = Group::new(4, 3, &["a", "b"]);
        group.round();
        assert_eq!(group.sizes(), [(2, 6), (2, 6)]);
        group.assert_all_owned_once();
        let before = group.members.clone();
        assert_eq!(group.round().delay_ms, 0);
        assert_eq!(group.members, before);
    }

    #[test]
    fn a_new_member_gets_its_share_in_two_rounds() {
        let mut group = Group::new(4, 3, &["a"]);
        group.round();
        group.members.insert("b".to_owned(), Work::default());
        let shares = group.round();
        assert_eq!((shares.revoked["a"].connectors.len(), shares.revoked["a"].tasks.len()), (2, 6));
        assert!(shares.given["b"].is_empty());
        group.round();
        assert_eq!(group.sizes(), [(2, 6), (2, 6)]);
        group.assert_all_owned_once();
    }

    #[test]
    fn the_work_of_a_member_that_is_gone_waits_for_it() {
        let mut group = Group::new(4, 1, &["a", "b"]);
        group.round();
        let had = group.members.remove("b").unwrap();
        assert_eq!(group.round().delay_ms, DELAY);
        group.now += 1000;
        assert_eq!(group.round().delay_ms, DELAY - 1000);
        // It comes back under another member id and without work: it gets what was lost when the time is over.
        group.members.insert("b2".to_owned(), Work::default());
        group.round();
        group.now += DELAY;
        group.round();
        assert_eq!(group.members["b2"], had);
        group.assert_all_owned_once();
    }

    #[test]
    fn the_work_of_a_member_that_stays_away_goes_to_the_others() {
        let mut group = Group::new(4, 1, &["a", "b"]);
        group.round();
        group.members.remove("b");
        group.round();
        group.now += DELAY;
        assert_eq!(group.round().delay_ms, 0);
        assert_eq!(group.sizes(), [(4, 4)]);
        group.assert_all_owned_once();
    }

    #[test]
    fn without_a_delay_lost_work_is_given_away_at_once() {
        let mut group = Group::new(3, 2, &["a", "b"]);
        group.assignor = Assignor::new(0);
        group.round();
        group.members.remove("a");
        assert_eq!(group.round().delay_ms, 0);
        group.assert_all_owned_once();
    }

    #[test]
    fn deleted_connectors_are_revoked_and_duplicates_resolved() {
        let mut group = Group::new(2, 1, &["a", "b"]);
        group.round();
        group.configured.connectors.remove("c0");
        group.configured.tasks.remove(&TaskId::new("c0", 0));
        group.settle();
        group.assert_all_owned_once();
        let all = group.configured.clone();
        group.members.values_mut().for_each(|work| *work = all.clone());
        group.settle();
        group.assert_all_owned_once();
    }

    #[test]
    fn a_new_leader_believes_what_members_say_they_have() {
        let mut group = Group::new(4, 2, &["a", "b"]);
        group.round();
        let before = group.members.clone();
        group.assignor = Assignor::new(DELAY);
        group.round();
        assert_eq!(group.members, before);
    }

    #[test]
    fn a_new_leader_revokes_what_was_deleted_before_it_led() {
        let mut group = Group::new(4, 2, &["a", "b"]);
        group.round();
        group.assignor = Assignor::new(DELAY);
        group.configured.connectors.remove("c1");
        group.configured.tasks.retain(|task| *task.connector != *"c1");
        group.settle();
        group.assert_all_owned_once();
    }

    #[test]
    fn a_thousand_connectors_are_shared_out_quickly() {
        let mut group = Group::new(1000, 1, &["a", "b", "c"]);
        group.round();
        group.assert_all_owned_once();
        assert_eq!(group.sizes(), [(334, 334), (333, 333), (333, 333)]);
    }
}
