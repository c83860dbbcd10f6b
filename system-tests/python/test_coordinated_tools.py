"""Our tools as members of a group whose coordinator assigns (KIP-848)."""

import json

import pytest

from harness import paths
from harness.scripts import run

pytestmark = pytest.mark.slow

RECORDS = 200


@pytest.fixture(scope="module")
def filled(broker):
    """Two topics with records."""
    for topic in ("sales-eu", "sales-us"):
        tool(broker, "kafka-topics", "--create", "--topic", topic, "--partitions", 2)
        tool(broker, "kafka-console-producer", "--topic", topic, "--command-property", "linger.ms=5",
             stdin="".join(f"{topic} {number}\n" for number in range(RECORDS)))
    return broker


def tool(broker, name, *words, stdin=None):
    return run([paths.MILENA, name, "--bootstrap-server", broker.bootstrap, *words], stdin=stdin)


def test_a_pattern_is_read_to_its_end_and_the_group_is_of_the_new_kind(filled):
    done = tool(filled, "kafka-console-consumer", "--include", "sales-.*", "--from-beginning", "--max-messages", 2 * RECORDS,
                "--group", "patterns", "--command-property", "group.protocol=consumer", "--timeout-ms", 30000)
    expected = {f"{topic} {number}" for topic in ("sales-eu", "sales-us") for number in range(RECORDS)}
    assert set(done.stdout.splitlines()) == expected
    listed = tool(filled, "kafka-groups", "--list", "--group-type", "consumer").stdout
    assert "patterns" in listed.split(), listed


def test_offsets_committed_by_such_a_member_are_where_it_stopped(filled):
    done = tool(filled, "kafka-verifiable-consumer", "--topic", "sales-eu", "--group-id", "verified", "--group-protocol",
                "consumer", "--max-messages", RECORDS)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assigned = [event for event in events if event["name"] == "partitions_assigned" and event["partitions"]]
    assert {entry["partition"] for entry in assigned[0]["partitions"]} == {0, 1}
    assert sum(event["count"] for event in events if event["name"] == "records_consumed") == RECORDS
    described = tool(filled, "kafka-consumer-groups", "--describe", "--group", "verified").stdout
    lags = [line.split()[5] for line in described.splitlines() if "sales-eu" in line]
    assert lags and set(lags) == {"0"}, described
