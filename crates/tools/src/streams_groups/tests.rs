//! Tables and reports as Kafka's own tool prints them.

use std::collections::BTreeMap;

use milena_client::TopicPartition;
use milena_client::admin::Committed;
use milena_protocol::messages::streams_group_describe_response::{
    Assignment, Group, Member, Subtopology, TaskIds, TopicInfo, Topology,
};

use super::describe::{Position, input_topics, members_table, offsets_table, state_table};
use super::offsets::table_of;
use super::{deletion_report, internal_topics};

fn tasks(subtopology_id: &str, partitions: &[i32]) -> TaskIds {
    TaskIds { subtopology_id: subtopology_id.to_owned(), partitions: partitions.to_vec() }
}

fn group() -> Group {
    let assignment =
        Assignment { active_tasks: vec![tasks("0", &[0, 1]), tasks("1", &[0, 1])], ..Assignment::default() };
    let member = Member {
        member_id: "XPUoVF7mT7if7OkwlDI8OQ".to_owned(),
        member_epoch: 3,
        client_id: "a-client-with-a-name".to_owned(),
        process_id: "90653df7-da79-47d2-bd69-e186bb77402c".to_owned(),
        assignment: assignment.clone(),
        target_assignment: Assignment { standby_tasks: vec![tasks("1", &[2])], ..assignment },
        ..Member::default()
    };
    let topic = |name: &str| TopicInfo { name: name.to_owned(), ..TopicInfo::default() };
    let counting = Subtopology {
        subtopology_id: "1".to_owned(),
        source_topics: vec!["in2".to_owned()],
        repartition_source_topics: vec![topic("words")],
        state_changelog_topics: vec![topic("counts")],
        ..Subtopology::default()
    };
    Group {
        group_id: "count-in2".to_owned(),
        group_state: "Stable".to_owned(),
        group_epoch: 4,
        assignment_epoch: 3,
        topology: Some(Topology { epoch: 0, subtopologies: Some(vec![counting]) }),
        members: vec![member],
        ..Group::default()
    }
}

#[test]
fn members_and_states_are_tables() {
    assert_eq!(
        members_table(&group(), false),
        "GROUP           MEMBER                 PROCESS                              CLIENT-ID            ASSIGNMENTS\n\
         count-in2       XPUoVF7mT7if7OkwlDI8OQ 90653df7-da79-47d2-bd69-e186bb77402c a-client-with-a-name ACTIVE: \
         0:[0,1]; 1:[0,1]; \n"
    );
    let verbose = members_table(&group(), true);
    assert!(verbose.ends_with("ACTIVE: 0:[0,1]; 1:[0,1]; TARGET-ACTIVE: 0:[0,1]; 1:[0,1]; TARGET-STANDBY: 1:[2]; \n"));
    assert!(verbose.starts_with(
        "GROUP           TARGET-ASSIGNMENT-EPOCH   TOPOLOGY-EPOCH MEMBER                 MEMBER-PROTOCOL MEMBER-EPOCH    PROCESS"
    ));
    assert_eq!(
        state_table(&group(), "127.0.0.1:29391 (1)", false),
        "GROUP           COORDINATOR (ID)          STATE                     #MEMBERS\n\
         count-in2       127.0.0.1:29391 (1)       Stable                    1\n"
    );
}

#[test]
fn lag_counts_from_the_commit_or_from_the_beginning_of_the_log() {
    let at = |committed: Option<i64>| Position {
        committed: committed.map(Committed::at),
        log_start_offset: 5,
        log_end_offset: 20,
    };
    let positions =
        BTreeMap::from([(TopicPartition::new("in2", 0), at(None)), (TopicPartition::new("in2", 1), at(Some(18)))]);
    assert_eq!(
        offsets_table("count-in2", &positions, false),
        "GROUP           TOPIC           PARTITION  OFFSET-LAG\n\
         count-in2       in2             0          15\n\
         count-in2       in2             1          2\n"
    );
    assert!(offsets_table("count-in2", &positions, true).contains("1          18              -               20"));
}

#[test]
fn a_topology_tells_its_topics() {
    assert_eq!(input_topics(&group(), false), ["in2"]);
    assert_eq!(input_topics(&group(), true), ["in2", "words"]);
    assert_eq!(internal_topics(&group()), ["counts", "words"]);
}

#[test]
fn deletions_are_reported() {
    let done = ("g".to_owned(), Ok(()));
    assert_eq!(
        deletion_report(std::slice::from_ref(&done)),
        "Deletion of requested streams groups ('g') was successful.\n"
    );
    let failed = ("h".to_owned(), Err("no".to_owned()));
    assert_eq!(
        deletion_report(&[done, failed]),
        "\nError: Deletion of some streams groups failed:\n* Group 'h' could not be deleted due to: no\n\
         \nThese streams groups were deleted successfully: 'g'.\n"
    );
}

#[test]
fn new_offsets_are_shown_in_columns_of_fixed_width() {
    let offsets = BTreeMap::from([(TopicPartition::new("in2", 0), 7)]);
    let expected = format!(
        "\n{:<30} {:<30} {:<10} {:<15}\n{:<30} {:<30} {:<10} {:<15}",
        "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET", "count-in2", "in2", 0, 7
    );
    assert_eq!(table_of(&BTreeMap::from([("count-in2".to_owned(), offsets)])), expected);
    assert_eq!(table_of(&BTreeMap::new()), "");
}
