//! Tables and reports as Kafka's own tool prints them.

use std::collections::BTreeMap;

use milena_client::TopicPartition;
use milena_client::admin::{GroupListing, SharePosition};
use milena_protocol::messages::share_group_describe_response::{Assignment, Group, Member, TopicPartitions};

use super::describe::{members_table, offsets_table, state_table};
use super::offsets::deletion_report as offsets_deletion_report;
use super::{deletion_report, listing};

fn group() -> Group {
    let assigned = TopicPartitions { topic_name: "t".to_owned(), partitions: vec![0, 1], ..TopicPartitions::default() };
    let member = Member {
        member_id: "O3GVgwthR8W5_AT4C_Z0gw".to_owned(),
        client_id: "console-share-consumer".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        member_epoch: 3,
        assignment: Assignment { topic_partitions: vec![assigned] },
        ..Member::default()
    };
    Group {
        group_id: "g".to_owned(),
        group_state: "Stable".to_owned(),
        group_epoch: 4,
        assignment_epoch: 3,
        members: vec![member],
        ..Group::default()
    }
}

#[test]
fn groups_are_listed_with_or_without_their_state() {
    let listed = |id: &str, state: &str| GroupListing {
        group_id: id.to_owned(),
        protocol_type: "share".to_owned(),
        state: state.to_owned(),
        group_type: "share".to_owned(),
    };
    let groups = [listed("g", "Empty"), listed("h", "Stable")];
    assert_eq!(listing(&groups, false), "g\nh\n");
    assert_eq!(listing(&groups, true), "GROUP           STATE\ng               Empty\nh               Stable\n");
}

#[test]
fn offsets_that_are_not_known_are_dashes() {
    let position = |start_offset: i64, lag: i64| SharePosition { start_offset, leader_epoch: 0, lag };
    let positions = BTreeMap::from([
        (TopicPartition::new("t", 0), position(-1, -1)),
        (TopicPartition::new("t", 1), position(0, 20)),
    ]);
    assert_eq!(
        offsets_table("g", &positions, false),
        "\nGROUP           TOPIC           PARTITION  START-OFFSET  LAG\
         \ng               t               0          -             -\
         \ng               t               1          0             20"
    );
    assert_eq!(
        offsets_table("g", &positions, true),
        "\nGROUP           TOPIC           PARTITION  LEADER-EPOCH  START-OFFSET  LAG\
         \ng               t               0          -             -             -\
         \ng               t               1          0             0             20"
    );
}

#[test]
fn members_and_states_are_tables() {
    assert_eq!(
        members_table(&group(), false),
        "\nGROUP           CONSUMER-ID            HOST            CLIENT-ID              #PARTITIONS  ASSIGNMENT\
         \ng               O3GVgwthR8W5_AT4C_Z0gw /127.0.0.1      console-share-consumer 2            t:0,1"
    );
    assert_eq!(
        state_table(&group(), "127.0.0.1:9092  (1)", false),
        "\nGROUP           COORDINATOR (ID)          STATE           #MEMBERS\
         \ng               127.0.0.1:9092  (1)       Stable          1"
    );
    assert_eq!(
        state_table(&group(), "127.0.0.1:9092  (1)", true),
        "\nGROUP           COORDINATOR (ID)          STATE           GROUP-EPOCH  ASSIGNMENT-EPOCH  #MEMBERS\
         \ng               127.0.0.1:9092  (1)       Stable          4            3                 1"
    );
}

#[test]
fn deletions_say_what_went_wrong() {
    let refused = "java.lang.IllegalArgumentException: Group 'nope' is not a share group.".to_owned();
    let results = [("fresh".to_owned(), Ok(())), ("nope".to_owned(), Err(refused))];
    assert_eq!(deletion_report(&results[..1]), "Deletion of requested share groups ('fresh') was successful.\n");
    assert_eq!(
        deletion_report(&results),
        "\nError: Deletion of some share groups failed:\n* Group 'nope' could not be deleted due to: \
         java.lang.IllegalArgumentException: Group 'nope' is not a share group.\n\n\
         These share groups were deleted successfully: 'fresh'\n"
    );
    assert_eq!(
        offsets_deletion_report(None, &[("u".to_owned(), "Successful".to_owned())]),
        "\nTOPIC           STATUS\nu               Successful\n"
    );
    let missing = "Error: Group nope not found.".to_owned();
    assert_eq!(
        offsets_deletion_report(Some("\nError: Group nope not found.\n"), &[("u".to_owned(), missing)]),
        "\nError: Group nope not found.\n\nTOPIC           STATUS\nu               Error: Group nope not found.\n"
    );
}
