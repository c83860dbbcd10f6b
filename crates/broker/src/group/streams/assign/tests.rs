//! Tests of the sticky assignor.

use super::*;

fn set(tasks: &[(&str, i32)]) -> TaskSet {
    tasks.iter().map(|(subtopology, partition)| TaskId::new(subtopology, *partition)).collect()
}

/// Members `m1`, `m2`, … of the given processes, and subtopologies of a number of tasks, stateful or not.
fn spec(processes: &[&str], subtopologies: &[(&str, i32, bool)]) -> GroupSpec {
    let members = processes.iter().enumerate().map(|(index, process)| {
        let member = MemberSpec { process_id: (*process).to_owned(), ..MemberSpec::default() };
        (Arc::from(format!("m{}", index + 1)), member)
    });
    let subtopologies = subtopologies
        .iter()
        .map(|(id, tasks, stateful)| ((*id).to_owned(), SubtopologySpec { tasks: *tasks, stateful: *stateful }));
    GroupSpec { members: members.collect(), subtopologies: subtopologies.collect(), ..GroupSpec::default() }
}

fn add_member(spec: &mut GroupSpec, id: &str, process: &str) {
    let member = MemberSpec { process_id: process.to_owned(), ..MemberSpec::default() };
    spec.members.insert(Arc::from(id), member);
}

/// Assigns, and remembers the result as the previous assignment.
fn settle(spec: &mut GroupSpec) -> BTreeMap<Arc<str>, Tasks> {
    let assigned = assign(spec);
    check(spec, &assigned);
    for (member_id, member) in &mut spec.members {
        member.previous = assigned[member_id].clone();
    }
    assigned
}

/// What every assignment must be: each task active once, and at most once in a process.
fn check(spec: &GroupSpec, assigned: &BTreeMap<Arc<str>, Tasks>) {
    let mut active = BTreeSet::new();
    let mut in_process = BTreeSet::new();
    for (member_id, tasks) in assigned {
        let process = &spec.members[member_id].process_id;
        for task in &tasks.active {
            assert!(active.insert(task.clone()), "{task:?} is active twice");
        }
        for task in tasks.all() {
            assert!(in_process.insert((process.clone(), task.clone())), "{task:?} is twice in {process}");
        }
    }
    let all: usize = spec.subtopologies.values().map(|it| it.tasks as usize).sum();
    assert_eq!(active.len(), all, "every task is active");
}

fn counts(assigned: &BTreeMap<Arc<str>, Tasks>) -> Vec<usize> {
    assigned.values().map(|tasks| tasks.active.len()).collect()
}

#[test]
fn tasks_are_spread_evenly_and_state_apart_from_the_rest() {
    let assigned = settle(&mut spec(&["p1", "p2"], &[("0", 4, false), ("1", 4, true)]));
    assert_eq!(counts(&assigned), [4, 4]);
    for tasks in assigned.values() {
        assert_eq!(tasks.active.iter().filter(|task| task.subtopology_id == "1").count(), 2, "{tasks:?}");
    }
    let processes = settle(&mut spec(&["p1", "p1", "p2"], &[("0", 6, true)]));
    assert_eq!(counts(&processes), [2, 2, 2], "a process with two threads runs twice as much");
}

#[test]
fn nothing_moves_without_a_reason() {
    let mut group = spec(&["p1", "p2", "p3"], &[("0", 5, true), ("1", 4, false)]);
    let first = settle(&mut group);
    assert_eq!(settle(&mut group), first);
}

#[test]
fn a_new_member_takes_only_its_share_and_a_lost_ones_tasks_are_taken_over() {
    let mut group = spec(&["p1"], &[("0", 6, true)]);
    settle(&mut group);
    add_member(&mut group, "m2", "p2");
    let before = group.members["m1"].previous.active.clone();
    let two = settle(&mut group);
    assert_eq!(counts(&two), [3, 3]);
    assert!(two["m1"].active.is_subset(&before), "what stays with the old member was there");
    group.members.remove("m1");
    let kept = group.members["m2"].previous.active.clone();
    let one = settle(&mut group);
    assert!(kept.is_subset(&one["m2"].active));
    assert_eq!(counts(&one), [6]);
}

#[test]
fn standbys_are_in_other_processes_and_take_over() {
    let mut group = spec(&["p1", "p2", "p3"], &[("0", 3, false), ("1", 6, true)]);
    group.standby_replicas = 1;
    let first = settle(&mut group);
    let standbys: usize = first.values().map(|tasks| tasks.standby.len()).sum();
    assert_eq!(standbys, 6, "stateful tasks alone have standbys");
    let lost = first["m1"].active.iter().filter(|task| task.subtopology_id == "1");
    let copied =
        |tasks: &Tasks| lost.clone().filter(|task| tasks.standby.contains(*task)).cloned().collect::<TaskSet>();
    let copies = [copied(&first["m2"]), copied(&first["m3"])];
    group.members.remove("m1");
    let second = settle(&mut group);
    let taken =
        copies[0].intersection(&second["m2"].active).count() + copies[1].intersection(&second["m3"].active).count();
    assert!(taken > 0, "{copies:?} {second:?}");
}

#[test]
fn standbys_that_no_process_can_take_are_left_out() {
    let mut group = spec(&["p1", "p1"], &[("0", 4, true)]);
    group.standby_replicas = 2;
    let assigned = settle(&mut group);
    assert!(assigned.values().all(|tasks| tasks.standby.is_empty()), "one process would hold the task twice");
}

#[test]
fn a_member_that_reports_state_on_its_disk_gets_it_back() {
    let mut group = spec(&["p1", "p2"], &[("0", 2, true)]);
    let wanted = TaskId::new("0", 0);
    group.members.get_mut("m2").unwrap().task_offsets.insert(wanted.clone(), 1_000);
    let assigned = settle(&mut group);
    assert!(assigned["m2"].active.contains(&wanted), "{assigned:?}");
    let mut group = spec(&["p1", "p2"], &[("0", 1, true)]);
    group.members.get_mut("m1").unwrap().task_offsets.insert(wanted.clone(), 10);
    group.members.get_mut("m2").unwrap().task_offsets.insert(wanted.clone(), 1_000);
    assert_eq!(settle(&mut group)["m2"].active, set(&[("0", 0)]), "the one that is further");
}

#[test]
fn standbys_prefer_other_racks() {
    let mut group = spec(&["p1", "p2", "p3"], &[("0", 1, true)]);
    group.standby_replicas = 1;
    group.rack_aware_tags = vec!["zone".to_owned()];
    for (member_id, zone) in [("m1", "a"), ("m2", "a"), ("m3", "b")] {
        group.members.get_mut(member_id).unwrap().client_tags.insert("zone".to_owned(), zone.to_owned());
    }
    let first = settle(&mut group);
    assert_eq!((first["m1"].active.len(), first["m3"].standby.len()), (1, 1), "{first:?}");
    group.members.remove("m3");
    let second = settle(&mut group);
    assert_eq!(second["m2"].standby.len(), 1, "a copy in the same rack is better than none");
}

#[test]
fn nobody_and_nothing_are_no_problem() {
    assert!(assign(&spec(&[], &[("0", 3, true)])).is_empty());
    assert_eq!(counts(&assign(&spec(&["p1"], &[]))), [0]);
}

#[test]
fn random_changes_keep_the_invariants_and_the_balance() {
    use rand::{Rng, SeedableRng};
    let mut random = rand::rngs::StdRng::seed_from_u64(1071);
    for _ in 0..50 {
        let mut group =
            spec(&["p0"], &[("0", random.random_range(1..20), true), ("1", random.random_range(1..20), false)]);
        group.standby_replicas = random.random_range(0..3);
        for step in 0..12 {
            if random.random_bool(0.6) || group.members.len() == 1 {
                add_member(&mut group, &format!("x{step}"), &format!("p{}", random.random_range(0..5)));
            } else {
                let gone = group.members.keys().nth(random.random_range(0..group.members.len())).unwrap().clone();
                group.members.remove(&gone);
            }
            let assigned = settle(&mut group);
            let active = counts(&assigned);
            let total: usize = active.iter().sum();
            let share = total.div_ceil(active.len());
            assert!(active.iter().all(|count| *count <= share + 2), "{active:?} of {total}");
        }
    }
}
