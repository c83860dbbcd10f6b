//! What the assignors of a group's leader hand out.

use super::*;

fn member(id: &str, topics: &[&str]) -> Member {
    Member {
        member_id: id.to_owned(),
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        generation_id: -1,
        ..Member::default()
    }
}

fn counts(topics: &[(&str, i32)]) -> HashMap<String, i32> {
    topics.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect()
}

fn shown(assignments: &Assignments) -> Vec<String> {
    assignments
        .iter()
        .map(|(id, partitions)| {
            let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
            format!("{id}: {}", partitions.join(" "))
        })
        .collect()
}

#[test]
fn range_gives_the_first_members_the_larger_runs_of_each_topic() {
    let members = [member("b", &["t", "u"]), member("a", &["t", "u"])];
    let assigned = Assignor::Range.assign(&members, &counts(&[("t", 3), ("u", 3)]));
    assert_eq!(shown(&assigned), ["a: t-0 t-1 u-0 u-1", "b: t-2 u-2"]);
}

#[test]
fn range_leaves_out_members_that_do_not_subscribe_and_topics_that_do_not_exist() {
    let members = [member("a", &["t"]), member("b", &["u", "missing"])];
    let assigned = Assignor::Range.assign(&members, &counts(&[("t", 2), ("u", 1)]));
    assert_eq!(shown(&assigned), ["a: t-0 t-1", "b: u-0"]);
}

#[test]
fn static_members_come_first_by_their_names() {
    let mut last = member("aaa", &["t"]);
    last.group_instance_id = Some("2".to_owned());
    let mut first = member("zzz", &["t"]);
    first.group_instance_id = Some("1".to_owned());
    let assigned = Assignor::Range.assign(&[member("b", &["t"]), last, first], &counts(&[("t", 3)]));
    assert_eq!(shown(&assigned), ["aaa: t-1", "b: t-2", "zzz: t-0"]);
}

#[test]
fn round_robin_goes_around_all_topics() {
    let members = [member("a", &["t", "u"]), member("b", &["t", "u"])];
    let assigned = Assignor::RoundRobin.assign(&members, &counts(&[("t", 3), ("u", 3)]));
    assert_eq!(shown(&assigned), ["a: t-0 t-2 u-1", "b: t-1 u-0 u-2"]);
}

#[test]
fn sticky_balances_a_fresh_group() {
    let members = [member("a", &["t"]), member("b", &["t"]), member("c", &["t"])];
    let assigned = Assignor::CooperativeSticky.assign(&members, &counts(&[("t", 6)]));
    assert!(assigned.values().all(|partitions| partitions.len() == 2), "{assigned:?}");
}

#[test]
fn sticky_withholds_what_moves_and_hands_it_out_in_the_next_round() {
    let counts = counts(&[("t", 4)]);
    let mut a = member("a", &["t"]);
    a.owned = (0..4).map(|partition| TopicPartition::new("t", partition)).collect();
    a.generation_id = 1;
    let first = Assignor::CooperativeSticky.assign(&[a.clone(), member("b", &["t"])], &counts);
    assert_eq!(shown(&first), ["a: t-0 t-1", "b: "]);

    a.owned = first["a"].clone();
    a.generation_id = 2;
    let second = Assignor::CooperativeSticky.assign(&[a, member("b", &["t"])], &counts);
    assert_eq!(shown(&second), ["a: t-0 t-1", "b: t-2 t-3"]);
}

#[test]
fn sticky_moves_nothing_when_a_member_leaves_except_its_partitions() {
    let owning = |id: &str, partitions: &[i32]| Member {
        owned: partitions.iter().map(|partition| TopicPartition::new("t", *partition)).collect(),
        generation_id: 3,
        ..member(id, &["t"])
    };
    let assigned =
        Assignor::CooperativeSticky.assign(&[owning("a", &[0, 3]), owning("b", &[1, 4])], &counts(&[("t", 6)]));
    assert_eq!(shown(&assigned), ["a: t-0 t-2 t-3", "b: t-1 t-4 t-5"]);
}

#[test]
fn sticky_ignores_the_claim_of_an_older_generation() {
    let mut old = member("old", &["t"]);
    old.owned = vec![TopicPartition::new("t", 0)];
    old.generation_id = 1;
    let mut new = member("new", &["t"]);
    new.owned = vec![TopicPartition::new("t", 0)];
    new.generation_id = 2;
    let assigned = Assignor::CooperativeSticky.assign(&[old, new], &counts(&[("t", 1)]));
    assert_eq!(shown(&assigned), ["new: t-0", "old: "]);
}

#[test]
fn assignors_are_found_by_protocol_and_class_name() {
    let class = "org.apache.kafka.clients.consumer.RoundRobinAssignor";
    assert_eq!(class.parse::<Assignor>().unwrap(), Assignor::RoundRobin);
    assert_eq!("range".parse::<Assignor>().unwrap(), Assignor::Range);
    assert!("mystery".parse::<Assignor>().is_err());
}
