//! What options mean and how bindings are printed; the texts were recorded from the original.

use super::*;

fn parse(words: &[&str]) -> Result<Vec<Change>, Failure> {
    let (mut terminal, _, _) = Terminal::captured();
    let words = words.iter().map(|word| (*word).to_owned()).chain(["--bootstrap-server".to_owned(), "x:1".to_owned()]);
    let args = Args { tool: "kafka-acls".to_owned(), words: words.collect() };
    let options = SYNTAX.parse(args, &mut terminal)?.expect("options");
    check(&options)
}

fn entries_of(change: &Change) -> Vec<String> {
    change.entries.iter().map(Entry::to_string).collect()
}

#[test]
fn a_producer_writes_describes_and_creates() {
    let words = ["--add", "--allow-principal", "User:p", "--producer", "--topic", "t1", "--transactional-id", "tx"];
    let changes = parse(&[&words[..], &["--idempotent"]].concat()).expect("changes");
    let all: Vec<_> = changes
        .iter()
        .flat_map(|change| change.entries.iter().map(|entry| (change.resource_type.name(), entry.operation.name())))
        .collect();
    assert_eq!(
        all,
        [
            ("TOPIC", "WRITE"),
            ("TOPIC", "DESCRIBE"),
            ("TOPIC", "CREATE"),
            ("TRANSACTIONAL_ID", "WRITE"),
            ("TRANSACTIONAL_ID", "DESCRIBE"),
            ("CLUSTER", "IDEMPOTENT_WRITE"),
        ]
    );
}

#[test]
fn principals_hosts_and_operations_are_combined() {
    let words = ["--add", "--allow-principal", "User:a", "--deny-principal", "User:b", "--deny-host", "1.2.3.4"];
    let changes =
        parse(&[&words[..], &["--operation", "Read", "--operation", "alter_configs", "--topic", "t"]].concat());
    let changes = changes.expect("changes");
    assert_eq!(
        entries_of(&changes[0]),
        [
            "(principal=User:a, host=*, operation=READ, permissionType=ALLOW)",
            "(principal=User:a, host=*, operation=ALTER_CONFIGS, permissionType=ALLOW)",
            "(principal=User:b, host=1.2.3.4, operation=READ, permissionType=DENY)",
            "(principal=User:b, host=1.2.3.4, operation=ALTER_CONFIGS, permissionType=DENY)",
        ]
    );
    assert!(entries_of(&parse(&["--remove", "--topic", "t"]).expect("everything")[0]).is_empty());
}

#[test]
fn contradictions_are_refused_in_the_words_of_the_original() {
    for (words, message) in [
        (&["--add", "--list"][..], "Command must include exactly one action: --list, --add, --remove. "),
        (
            &["--add", "--topic", "x"],
            "You must specify one of: --allow-principal, --deny-principal when trying to add ACLs.",
        ),
        (&["--add", "--producer", "--group", "x"], "With --producer you must specify a --topic"),
        (&["--list", "--producer"], "Option \"[list]\" can't be used with option \"[producer]\""),
        (
            &["--add", "--allow-principal", "User:c", "--group", "t", "--operation", "Write"],
            "ResourceType GROUP only supports operations [DESCRIBE, DELETE, ALTER_CONFIGS, ALL, READ, DESCRIBE_CONFIGS]",
        ),
        (
            &["--add", "--topic", "x", "--allow-principal", "User:x", "--resource-pattern-type", "match"],
            "A '--resource-pattern-type' value of 'MATCH' is not valid when adding acls.",
        ),
        (
            &["--add", "--topic", "x", "--allow-principal", "bob"],
            "expected a string in format principalType:principalName but got bob",
        ),
    ] {
        assert_eq!(parse(words).expect_err("refused").message(), message);
    }
}

#[test]
fn bindings_are_listed_under_their_resources() {
    let binding = |operation| AclBinding {
        resource_type: ResourceType::Topic,
        pattern_type: PatternType::Literal,
        resource_name: "orders".to_owned(),
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation,
        permission: AclPermission::Allow,
    };
    assert_eq!(
        listing(&[binding(AclOperation::Read), binding(AclOperation::Write)]),
        "Current ACLs for resource `ResourcePattern(resourceType=TOPIC, name=orders, patternType=LITERAL)`:\n\
         \t(principal=User:alice, host=*, operation=READ, permissionType=ALLOW)\n\
         \t(principal=User:alice, host=*, operation=WRITE, permissionType=ALLOW)\n\n"
    );
}
