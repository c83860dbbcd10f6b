"""ACLs, SCRAM credentials, quotas and features through Apache Kafka's own tools and admin client, over a restart too."""

import pytest

from harness import apache, paths
from harness.scripts import run

pytestmark = pytest.mark.slow

OVERRIDES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}

ALICE = "(principal=User:alice, host=*, operation=READ, permissionType=ALLOW)"


def ours(broker, line, check=True):
    tool, *words = line.split()
    return run([paths.MILENA, tool, "--bootstrap-server", broker.bootstrap, *words], check=check)


def theirs(broker, line, check=True):
    tool, *words = line.split()
    return apache.tool(tool, "--bootstrap-server", broker.bootstrap, *words, check=check)


def pattern(kind, name, pattern_type="LITERAL"):
    return f"ResourcePattern(resourceType={kind}, name={name}, patternType={pattern_type})"


@pytest.mark.parametrize("tool", [ours, theirs])
def test_acls_are_added_listed_and_removed(broker, tool):
    added = tool(broker, "kafka-acls --add --allow-principal User:alice --operation Read --topic orders").stdout
    assert added == f"Adding ACLs for resource `{pattern('TOPIC', 'orders')}`: \n \t{ALICE}\n\n"
    listing = f"Current ACLs for resource `{pattern('TOPIC', 'orders')}`:\n\t{ALICE}\n\n"
    assert ours(broker, "kafka-acls --list").stdout == listing
    assert theirs(broker, "kafka-acls --list --topic orders").stdout == listing
    assert tool(broker, "kafka-acls --list --topic other").stdout == ""
    assert tool(broker, "kafka-acls --list --principal User:bob").stdout == "ACLs for principal `User:bob`\n"
    assert tool(broker, "kafka-acls --remove --topic orders --force").stdout == ""
    assert tool(broker, "kafka-acls --list").stdout == ""


def test_the_shortcuts_add_what_the_original_adds(broker):
    command = "--allow-principal User:p --producer --consumer --topic t1 --group g1 --transactional-id tx --idempotent"
    ours(broker, f"kafka-acls --add {command} --resource-pattern-type prefixed")
    mine = sorted(ours(broker, "kafka-acls --list").stdout.splitlines())
    ours(broker, f"kafka-acls --remove {command} --resource-pattern-type prefixed --force")
    assert ours(broker, "kafka-acls --list").stdout == ""
    theirs(broker, f"kafka-acls --add {command} --resource-pattern-type prefixed")
    assert sorted(ours(broker, "kafka-acls --list").stdout.splitlines()) == mine
    theirs(broker, f"kafka-acls --remove {command} --resource-pattern-type prefixed --force")
    assert ours(broker, "kafka-acls --list").stdout == ""


def test_credentials_and_quotas_are_kept_over_a_restart(new_server):
    server = new_server(OVERRIDES).start()
    add = "kafka-configs --alter --entity-type users --entity-name alice --add-config"
    assert ours(server, f"{add} SCRAM-SHA-256=[iterations=8192,password=pw]").stdout == (
        "Completed updating config for user alice.\n")
    theirs(server, f"{add} SCRAM-SHA-512=[password=pw]")
    theirs(server, f"{add} producer_byte_rate=1024")
    ours(server, "kafka-acls --add --deny-principal User:eve --topic secret")
    server.restart()
    expected = ("Quota configs for user-principal 'alice' are producer_byte_rate=1024.0\n"
                "SCRAM credential configs for user-principal 'alice' are "
                "SCRAM-SHA-256=iterations=8192, SCRAM-SHA-512=iterations=4096\n")
    describe = "kafka-configs --describe --entity-type users --entity-name alice"
    assert ours(server, describe).stdout == expected
    assert theirs(server, describe).stdout == expected
    assert "User:eve" in ours(server, "kafka-acls --list").stdout
    ours(server, "kafka-configs --alter --entity-type users --entity-name alice --delete-config SCRAM-SHA-256")
    assert "SCRAM-SHA-256" not in ours(server, describe).stdout
    gone = ours(server, "kafka-configs --alter --entity-type users --entity-name alice --delete-config SCRAM-SHA-256",
                check=False)
    assert gone.returncode == 1 and "Attempt to delete a user credential that does not exist" in gone.stderr


def test_client_metrics_are_subscribed_to_with_either_tool(broker):
    alter = "kafka-client-metrics --alter --name basic --metrics org.apache.kafka. --interval 60000 --match client_id=abc"
    assert ours(broker, alter).stdout == "Altered client metrics config for basic.\n"
    described = ("Client metrics configs for basic are:\n  interval.ms=60000\n  match=client_id=abc\n"
                 "  metrics=org.apache.kafka.\n")
    assert ours(broker, "kafka-client-metrics --describe --name basic").stdout == described
    assert theirs(broker, "kafka-client-metrics --describe").stdout == described
    assert theirs(broker, "kafka-client-metrics --list").stdout == "basic\n"
    assert theirs(broker, "kafka-client-metrics --delete --name basic").stdout == (
        "Deleted client metrics config for basic.\n")
    assert ours(broker, "kafka-client-metrics --list").stdout == "\n"


def test_features_are_shown_and_changed_together_or_not_at_all(broker):
    described = ours(broker, "kafka-features describe").stdout
    assert theirs(broker, "kafka-features describe").stdout == described
    assert "Feature: metadata.version" in described and "SupportedMaxVersion: 4.3-IV0" in described
    refused = "kafka-features upgrade --feature group.version=5"
    assert theirs(broker, refused, check=False).stdout == ours(broker, refused, check=False).stdout
    assert theirs(broker, "kafka-features downgrade --feature group.version=0 --dry-run").stdout == (
        "group.version can be downgraded to 0.\n")
    assert ours(broker, "kafka-features downgrade --feature group.version=0").stdout == (
        "group.version was downgraded to 0.\n")
    assert ours(broker, "kafka-features upgrade --feature group.version=1").stdout == (
        "group.version was upgraded to 1.\n")


def test_without_an_authorizer_acls_are_refused_as_disabled(new_server):
    server = new_server().start()
    for line in ["kafka-acls --list", "kafka-acls --add --allow-principal User:alice --topic orders"]:
        done = ours(server, line, check=False)
        assert done.returncode == 1
        assert "SecurityDisabledException: No Authorizer is configured on the broker" in done.stdout
