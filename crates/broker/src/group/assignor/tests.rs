//! Promises of the assignors, over random groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milena_protocol::Uuid;
use proptest::prelude::*;

use super::{Assignment, GroupSpec, MemberSpec, ServerAssignor};

fn topic(number: u8) -> Uuid {
    Uuid([number + 2; 16])
}

/// Groups of 1-8 members over 1-6 topics of 0-12 partitions; `uniform` ones subscribe to everything.
fn group(same_subscription: bool) -> impl Strategy<Value = GroupSpec> {
    let partitions = prop::collection::vec(0..12i32, 1..6);
    let subscriptions = prop::collection::vec(prop::collection::vec(any::<bool>(), 6), 1..8);
    (partitions, subscriptions).prop_map(move |(partitions, subscriptions)| {
        let topics: BTreeMap<Uuid, i32> = (0u8..).zip(partitions).map(|(n, count)| (topic(n), count)).collect();
        let members = (0..).zip(subscriptions).map(|(n, wants): (i32, Vec<bool>)| {
            let subscribed = topics
                .keys()
                .zip(wants)
                .filter(|(_, wanted)| same_subscription || *wanted)
                .map(|(topic, _)| *topic)
                .collect();
            let member =
                MemberSpec { instance_id: None, rack_id: None, topics: subscribed, previous: Assignment::new() };
            (Arc::from(format!("member-{n}")), member)
        });
        GroupSpec { members: members.collect(), topics: topics.clone() }
    })
}

fn load(assignment: &Assignment) -> usize {
    assignment.values().map(BTreeSet::len).sum()
}

/// Every subscribed partition has exactly one owner, and that owner subscribes to it.
fn check_complete(group: &GroupSpec, assignments: &BTreeMap<Arc<str>, Assignment>) {
    let mut owners: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
    for (member, assignment) in assignments {
        for (topic, partitions) in assignment {
            assert!(group.members[member].topics.contains(topic), "{member} got a topic it did not ask for");
            assert!(!partitions.is_empty());
            for partition in partitions {
                *owners.entry((*topic, *partition)).or_default() += 1;
            }
        }
    }
    for (topic, count) in &group.topics {
        let wanted = group.members.values().any(|member| member.topics.contains(topic));
        for partition in 0..*count {
            assert_eq!(owners.remove(&(*topic, partition)), wanted.then_some(1), "partition {partition}");
        }
    }
    assert!(owners.is_empty(), "partitions that do not exist: {owners:?}");
}

fn with_previous(mut group: GroupSpec, assignments: &BTreeMap<Arc<str>, Assignment>) -> GroupSpec {
    for (member_id, member) in &mut group.members {
        member.previous = assignments.get(member_id).cloned().unwrap_or_default();
    }
    group
}

/// How many partitions changed hands between two assignments, among those that had an owner that is still there.
fn moved(before: &BTreeMap<Arc<str>, Assignment>, after: &BTreeMap<Arc<str>, Assignment>) -> usize {
    let mut moved = 0;
    for (member, assignment) in after {
        let old = before.get(member).cloned().unwrap_or_default();
        moved += load(&old)
            - old
                .iter()
                .map(|(topic, partitions)| assignment.get(topic).map_or(0, |now| partitions.intersection(now).count()))
                .sum::<usize>();
    }
    moved
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_partition_goes_to_exactly_one_subscriber(group in group(false)) {
        check_complete(&group, &ServerAssignor::Uniform.assign(&group));
        check_complete(&group, &ServerAssignor::Range.assign(&group));
    }

    #[test]
    fn uniform_loads_differ_by_at_most_one_when_all_read_the_same(group in group(true)) {
        let loads: Vec<usize> = ServerAssignor::Uniform.assign(&group).values().map(load).collect();
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
    }

    #[test]
    fn uniform_moves_nothing_when_nothing_changed(group in group(false)) {
        let first = ServerAssignor::Uniform.assign(&group);
        let second = ServerAssignor::Uniform.assign(&with_previous(group, &first));
        prop_assert_eq!(first, second);
    }

    #[test]
    fn uniform_gives_a_new_member_its_share_and_moves_no_more(group in group(true)) {
        let first = ServerAssignor::Uniform.assign(&group);
        let mut grown = with_previous(group, &first);
        let newcomer = MemberSpec { previous: Assignment::new(), ..grown.members.values().next().unwrap().clone() };
        grown.members.insert("newcomer".into(), newcomer);
        let second = ServerAssignor::Uniform.assign(&grown);
        check_complete(&grown, &second);
        prop_assert_eq!(moved(&first, &second), load(&second["newcomer"]));
    }

    #[test]
    fn uniform_spreads_what_a_lost_member_had_and_moves_nothing_else(group in group(true)) {
        let first = ServerAssignor::Uniform.assign(&group);
        let mut shrunk = with_previous(group, &first);
        prop_assume!(shrunk.members.len() > 1);
        shrunk.members.pop_first();
        let second = ServerAssignor::Uniform.assign(&shrunk);
        check_complete(&shrunk, &second);
        prop_assert_eq!(moved(&first, &second), 0);
    }

    #[test]
    fn uniform_leaves_no_move_that_would_improve_the_balance(group in group(false)) {
        let assignments = ServerAssignor::Uniform.assign(&group);
        for assignment in assignments.values() {
            for topic in assignment.keys() {
                for (other, member) in &group.members {
                    if member.topics.contains(topic) {
                        prop_assert!(load(assignment) <= load(&assignments[other]) + 1);
                    }
                }
            }
        }
    }

    #[test]
    fn range_gives_contiguous_ranges_of_equal_size(group in group(true)) {
        let assignments = ServerAssignor::Range.assign(&group);
        for (topic, count) in &group.topics {
            let mut next = 0;
            let mut sizes = Vec::new();
            for assignment in assignments.values() {
                let partitions = assignment.get(topic).cloned().unwrap_or_default();
                sizes.push(partitions.len());
                for partition in partitions {
                    prop_assert_eq!(partition, next);
                    next += 1;
                }
            }
            prop_assert_eq!(next, *count);
            prop_assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes[0] <= sizes[sizes.len() - 1] + 1);
        }
    }
}

#[test]
fn range_orders_static_members_by_their_instance() {
    let member = |instance: Option<&str>| MemberSpec {
        instance_id: instance.map(str::to_owned),
        rack_id: None,
        topics: BTreeSet::from([topic(0)]),
        previous: Assignment::new(),
    };
    let group = GroupSpec {
        members: BTreeMap::from([
            ("a".into(), member(None)),
            ("b".into(), member(Some("second"))),
            ("c".into(), member(Some("first"))),
        ]),
        topics: BTreeMap::from([(topic(0), 3)]),
    };
    let assignments = ServerAssignor::Range.assign(&group);
    assert_eq!(assignments["c"][&topic(0)], BTreeSet::from([0]));
    assert_eq!(assignments["b"][&topic(0)], BTreeSet::from([1]));
    assert_eq!(assignments["a"][&topic(0)], BTreeSet::from([2]));
}
