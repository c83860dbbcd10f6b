//! Output and arguments of `kafka-consumer-groups`, held against recordings of the original.

use milena_client::admin::{ClassicGroup, Committed, GroupDescription, GroupMember};

use super::describe::{EndOffsets, print_members, print_offsets, print_state};
use super::*;

fn group(state: &str, members: Vec<GroupMember>) -> GroupDescription {
    GroupDescription { group_id: "g1".to_owned(), state: state.to_owned(), members, ..GroupDescription::default() }
}

fn member() -> GroupMember {
    GroupMember {
        member_id: "console-consumer-e5ec8fbe-84e5-41a5-8dc2-24ad0eee38a9".to_owned(),
        client_id: "console-consumer".to_owned(),
        host: "/127.0.0.1".to_owned(),
        assignment: (0..4).map(|partition| TopicPartition::new("orders", partition)).collect(),
        ..GroupMember::default()
    }
}

fn printed(print: impl FnOnce(&mut Terminal)) -> String {
    let (mut terminal, out, _) = Terminal::captured();
    print(&mut terminal);
    terminal.flush();
    out.text()
}

fn orders(offsets: &[i64]) -> BTreeMap<TopicPartition, Committed> {
    (0..)
        .zip(offsets)
        .map(|(partition, offset)| (TopicPartition::new("orders", partition), Committed::at(*offset)))
        .collect()
}

fn ends(offsets: &[i64]) -> EndOffsets {
    (0..).zip(offsets).map(|(partition, offset)| (TopicPartition::new("orders", partition), *offset)).collect()
}

#[test]
fn offsets_of_an_empty_group_are_printed_as_recorded() {
    let text = printed(|terminal| {
        print_offsets(&group("Empty", vec![]), &orders(&[1, 0, 1]), &ends(&[1, 0, 1]), false, terminal)
    });
    let expected = "
GROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID
g1              orders          0          1               1               0               -               -               -
g1              orders          1          0               0               0               -               -               -
g1              orders          2          1               1               0               -               -               -
";
    assert_eq!(text, expected);
}

#[test]
fn offsets_of_a_member_widen_its_column_and_missing_ones_are_dashes() {
    let mut committed = orders(&[5]);
    committed.values_mut().for_each(|committed| committed.leader_epoch = 0);
    let group = group("Stable", vec![member()]);
    let text = printed(|terminal| print_offsets(&group, &committed, &ends(&[7, 2]), true, terminal));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1],
        "GROUP           TOPIC           PARTITION  LEADER-EPOCH    CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID                                           HOST            CLIENT-ID"
    );
    assert_eq!(
        lines[2],
        "g1              orders          0          0               5               7               2               console-consumer-e5ec8fbe-84e5-41a5-8dc2-24ad0eee38a9 /127.0.0.1      console-consumer"
    );
    assert_eq!(
        lines[3],
        "g1              orders          1          -               -               2               -               console-consumer-e5ec8fbe-84e5-41a5-8dc2-24ad0eee38a9 /127.0.0.1      console-consumer"
    );
    assert_eq!(
        lines[4],
        "g1              orders          2          -               -               -               -               console-consumer-e5ec8fbe-84e5-41a5-8dc2-24ad0eee38a9 /127.0.0.1      console-consumer"
    );
}

#[test]
fn members_are_printed_as_recorded() {
    let none = printed(|terminal| print_members(&group("Empty", vec![]), true, terminal));
    assert_eq!(
        none,
        "\nGROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS     CURRENT-EPOCH   CURRENT-ASSIGNMENT   TARGET-EPOCH    TARGET-ASSIGNMENT   \n"
    );
    let short = printed(|terminal| print_members(&group("Stable", vec![member()]), false, terminal));
    assert_eq!(
        short,
        "\nGROUP           CONSUMER-ID                                           HOST            CLIENT-ID        #PARTITIONS     \ng1              console-consumer-e5ec8fbe-84e5-41a5-8dc2-24ad0eee38a9 /127.0.0.1      console-consumer 4               \n"
    );
    let long = printed(|terminal| print_members(&group("Stable", vec![member()]), true, terminal));
    assert!(
        long.ends_with(" 4               -               orders:0,1,2,3       -               -                   \n"),
        "{long}"
    );
}

#[test]
fn the_state_is_printed_as_recorded() {
    let text = printed(|terminal| print_state(&group("Empty", vec![]), "127.0.0.1:29092  (1)", false, terminal));
    assert_eq!(
        text,
        "\nGROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                #MEMBERS\ng1              127.0.0.1:29092  (1)      -                    Empty                0\n"
    );
    let new = GroupDescription {
        classic: ClassicGroup::No,
        group_epoch: Some(3),
        target_assignment_epoch: Some(2),
        ..group("Stable", vec![member()])
    };
    let text = printed(|terminal| print_state(&new, "127.0.0.1:39092  (1)", true, terminal));
    assert!(text.contains("STATE                GROUP-EPOCH     TARGET-ASSIGNMENT-EPOCH   #MEMBERS\n"), "{text}");
    assert!(text.ends_with("Stable               3               2                         1\n"), "{text}");
}

#[test]
fn listings_are_printed_as_recorded() {
    let listed = [GroupListing {
        group_id: "g1".to_owned(),
        protocol_type: "consumer".to_owned(),
        state: "Empty".to_owned(),
        group_type: "classic".to_owned(),
    }];
    assert_eq!(listing(&listed, false, false), "g1\n");
    assert_eq!(
        listing(&listed, false, true),
        "GROUP                     STATE               \ng1                        Empty               \n"
    );
    assert_eq!(
        listing(&listed, true, true),
        "GROUP                     TYPE                 STATE               \ng1                        Classic              Empty               \n"
    );
}

#[test]
fn deletions_are_reported_as_recorded() {
    let missing = || Err(milena_client::Error::api(ErrorCode::GroupIdNotFound, None));
    assert_eq!(
        deletion_report(&[("g1".to_owned(), Ok(())), ("g2".to_owned(), Ok(()))]),
        "Deletion of requested consumer groups ('g1', 'g2') was successful.\n"
    );
    let failed = "\nError: Deletion of some consumer groups failed:\n* Group 'nope' could not be deleted due to: org.apache.kafka.common.errors.GroupIdNotFoundException: The group id does not exist.\n";
    assert_eq!(deletion_report(&[("nope".to_owned(), missing())]), failed);
    assert_eq!(
        deletion_report(&[("nope".to_owned(), missing()), ("g1".to_owned(), Ok(()))]),
        format!("{failed}\nThese consumer groups were deleted successfully: 'g1'\n")
    );
}

#[test]
fn deleted_offsets_are_reported_as_recorded() {
    let results = (0..3).map(|partition| (TopicPartition::new("orders", partition), ErrorCode::None)).collect();
    let expected = "Request succeeded for deleting offsets from group g1.

TOPIC           PARTITION  STATUS         
orders          0          Successful     
orders          1          Successful     
orders          2          Successful     
";
    assert_eq!(offsets_deletion_report("g1", ErrorCode::None, &results), expected);
}

#[test]
fn reset_tables_are_printed_as_recorded() {
    let planned = BTreeMap::from([("g1".to_owned(), ends(&[0, 0]))]);
    let expected = "\nGROUP           TOPIC           PARTITION  NEW-OFFSET\ng1              orders          0          0\ng1              orders          1          0";
    assert_eq!(reset::table_of(&planned), expected);
}

#[test]
fn topics_may_name_partitions() {
    assert_eq!(topic_argument("orders").unwrap(), ("orders", None));
    assert_eq!(topic_argument("orders:0,2").unwrap(), ("orders", Some(vec![0, 2])));
    assert!(topic_argument("orders:x").is_err());
}

#[test]
fn the_command_line_is_checked_before_anything_is_done() {
    let refused = |words: &[&str]| {
        let (mut terminal, _, err) = Terminal::captured();
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(crate::run_with("kafka-consumer-groups", words, &mut terminal), 1);
        err.text().lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        refused(&[]),
        "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets, --validate-regex"
    );
    assert_eq!(
        refused(&["--reset-offsets", "--group", "g", "--to-latest"]),
        "One of the reset scopes should be defined: --all-topics, --topic."
    );
    assert!(refused(&["--describe"]).starts_with("Option [describe] takes one of"));
}
