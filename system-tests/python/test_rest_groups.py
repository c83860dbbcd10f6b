"""API v3 of the REST Proxy: share groups (KIP-932) and streams groups (KIP-1071) with real members."""

import subprocess

import pytest

from harness import apache, librdkafka, paths
from harness.rest import ServerWithRest, refused
from harness.scripts import run
from harness.wait import until

pytestmark = pytest.mark.timeout(300)

OVERRIDES = {
    "offsets.topic.num.partitions": 2,
    "share.coordinator.state.topic.num.partitions": 2,
    "group.streams.min.session.timeout.ms": 6000,
    "group.streams.session.timeout.ms": 6000,
    "group.streams.min.heartbeat.interval.ms": 500,
    "group.streams.heartbeat.interval.ms": 500,
    "group.streams.initial.rebalance.delay.ms": 0,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRest(tmp_path_factory.mktemp("kafka"), OVERRIDES).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log()


@pytest.fixture(scope="module")
def base(server):
    [cluster] = server.rest.get("/v3/clusters").json()["data"]
    return f"/v3/clusters/{cluster['cluster_id']}"


def follow(server, link):
    answer = server.rest.get(link)
    assert answer.status_code == 200, answer.text
    return answer.json()


def same_as_its_own(server, resource):
    """What a list tells of a resource is what its own URL tells."""
    assert follow(server, resource["metadata"]["self"]) == resource
    return resource


def test_a_share_group_its_members_and_what_they_are_assigned(server, base, topic, group):
    librdkafka.create_topic(server, topic, partitions=2)
    command = [str(word) for word in [paths.MILENA, "kafka-console-share-consumer", "--bootstrap-server", server.bootstrap,
                                      "--topic", topic, "--group", group]]
    member = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def complete():
            found = server.rest.get(f"{base}/share-groups/{group}")
            return found.status_code == 200 and found.json()["partition_count"] == 2 and found.json()

        found = until(complete, "the member is assigned both partitions", timeout=60)
        assert (found["kind"], found["share_group_id"], found["state"], found["consumer_count"]) == (
            "KafkaShareGroup", group, "STABLE", 1)
        assert found["metadata"]["resource_name"].endswith(f"/share-group={group}")
        assert [(at["kind"], at["topic_name"], at["partition_id"]) for at in found["assigned_topic_partitions"]] == [
            ("KafkaShareGroupTopicPartition", topic, number) for number in range(2)]
        assert follow(server, found["assigned_topic_partitions"][1]["partition"]["related"])["partition_id"] == 1
        assert follow(server, found["coordinator"]["related"])["kind"] == "KafkaBroker"
        listed = follow(server, f"{base}/share-groups")
        assert listed["kind"] == "KafkaShareGroupList" and found in listed["data"]
        [consumer] = follow(server, found["consumers"]["related"])["data"]
        same_as_its_own(server, consumer)
        assert (consumer["kind"], consumer["group_id"]) == ("KafkaShareGroupConsumer", group)
        assigned = follow(server, consumer["assignments"]["related"])["data"]
        assert [(at["topic_name"], at["partition_id"], at["consumer_id"]) for at in assigned] == [
            (topic, number, consumer["consumer_id"]) for number in range(2)]
        # It is no consumer group, and a group with members cannot be deleted.
        assert group not in [one["consumer_group_id"] for one in follow(server, f"{base}/consumer-groups")["data"]]
        refused(server.rest.delete(f"{base}/share-groups/{group}"), 400, 40002)
        refused(server.rest.get(f"{base}/share-groups/{group}/consumers/nobody"), 404, 404)
    finally:
        member.terminate()
        member.wait(timeout=30)
    until(lambda: follow(server, f"{base}/share-groups/{group}")["state"] == "EMPTY", "the member has left", timeout=60)
    empty = follow(server, f"{base}/share-groups/{group}")
    assert empty["consumer_count"] == 0 and len(empty["assigned_topic_partitions"]) == 2
    answer = server.rest.delete(f"{base}/share-groups/{group}")
    assert (answer.status_code, answer.content) == (204, b"")
    refused(server.rest.get(f"{base}/share-groups/{group}"), 404, 40405)
    refused(server.rest.delete(f"{base}/share-groups/{group}"), 404, 40405)


def test_groups_of_other_types_are_no_share_groups_and_are_not_deleted(server, base, topic, group):
    librdkafka.produce(server, topic, [b"x"])
    run([paths.MILENA, "kafka-console-consumer", "--bootstrap-server", server.bootstrap, "--topic", topic, "--group", group,
         "--from-beginning", "--max-messages", "1"])
    assert follow(server, f"{base}/consumer-groups/{group}")["kind"] == "KafkaConsumerGroup"
    for kind in ("share-groups", "streams-groups"):
        refused(server.rest.get(f"{base}/{kind}/{group}"), 404, 40405)
    refused(server.rest.delete(f"{base}/share-groups/{group}"), 404, 40405)
    assert follow(server, f"{base}/consumer-groups/{group}")["kind"] == "KafkaConsumerGroup"


@pytest.mark.slow
def test_a_streams_group_its_members_tasks_and_subtopologies(server, base, topic, tmp_path):
    jars = run([paths.ROOT / "scripts" / "fetch-kafka-streams.sh"], timeout=200).stdout.strip()
    librdkafka.create_topic(server, topic, partitions=2)
    librdkafka.create_topic(server, topic + "-counts")
    command = apache._java(paths.CLIENTS / "StreamsGroupWorker.java", server.bootstrap, topic, tmp_path / "state",
                           "at_least_once", classpath=jars)
    group = f"count-{topic}"
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def stable():
            found = server.rest.get(f"{base}/streams-groups/{group}")
            return found.status_code == 200 and found.json()["state"] == "STABLE" and found.json()

        found = until(stable, "the application runs", timeout=120, poll=0.3)
        assert (found["kind"], found["group_id"], found["member_count"], found["subtopology_count"]) == (
            "KafkaStreamsGroup", group, 1, 2)
        assert found["group_epoch"] >= 1 and found["target_assignment_epoch"] >= 1 and found["topology_epoch"] == 0
        assert group in [one["group_id"] for one in follow(server, f"{base}/streams-groups")["data"]]
        parts = follow(server, found["subtopologies"]["related"])["data"]
        assert [part["subtopology_id"] for part in parts] == ["0", "1"] and parts[0]["source_topics"] == [topic]
        for part in parts:
            same_as_its_own(server, part)
        [member] = follow(server, found["members"]["related"])["data"]
        same_as_its_own(server, member)
        assert member["is_classic"] is False and member["process_id"] and member["topology_epoch"] == 0
        for link in ("assignments", "target_assignment"):
            kinds = follow(server, member[link]["related"])
            assert kinds["kind"] == "KafkaStreamsGroupMemberAssignments"
            tasks = follow(server, kinds["active_tasks"]["related"])["data"]
            assert [(task["subtopology_id"], task["partition_ids"]) for task in tasks] == [("0", [0, 1]), ("1", [0, 1])]
            for task in tasks:
                same_as_its_own(server, task)
            assert follow(server, kinds["standby_tasks"]["related"])["data"] == []
            assert follow(server, kinds["warmup_tasks"]["related"])["data"] == []
            refused(server.rest.get(kinds["active_tasks"]["related"].replace("/active", "/lazy")), 404, 404)
        refused(server.rest.get(f"{base}/streams-groups/{group}/subtopologies/9"), 404, 404)
        refused(server.rest.get(f"{base}/streams-groups/{group}/members/nobody"), 404, 404)
        worker.stdin.close()
        assert worker.wait(timeout=60) == 0
    finally:
        worker.kill()
        worker.wait(timeout=30)
    until(lambda: follow(server, f"{base}/streams-groups/{group}")["state"] == "EMPTY", "the member has left", timeout=30)
