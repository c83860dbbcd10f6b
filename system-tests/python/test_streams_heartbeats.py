"""StreamsGroupHeartbeat by hand (KIP-1071): the answers of Apache Kafka's broker, denied internal topics, settings of groups."""

import re

import pytest
from confluent_kafka.admin import AdminClient

from harness import apache, librdkafka, paths
from harness.scripts import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# No wait for more instances, as the answers would depend on the moment.
OVERRIDES = {"group.streams.initial.rebalance.delay.ms": 0, "offsets.topic.num.partitions": 3}
AUTHORIZER = {**OVERRIDES, "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer"}


def create_source(server):
    """The topic that is read, and the topic of coordinators: the heartbeats go to the broker without asking for one."""
    librdkafka.create_topic(server, "in", partitions=2)
    run([paths.MILENA, "kafka-consumer-groups", "--bootstrap-server", server.bootstrap, "--describe", "--group", "nobody"], check=False)


def heartbeats(server, topic, mode):
    """What the broker answered, by what was asked."""
    done = apache.source(paths.CLIENTS / "StreamsHeartbeats.java", server.bootstrap, topic, mode)
    assert done.returncode == 0, done.stdout + done.stderr
    # Apache Kafka 4.3 leaves these two at 0, which later ones fill.
    said = re.sub(r"(acceptableRecoveryLag|taskOffsetIntervalMs)=\d+, ", "", done.stdout)
    return dict(line.split(": ", 1) for line in said.splitlines())


def test_the_answers_are_those_of_apache_kafka(new_server, tmp_path):
    mine, theirs = new_server(OVERRIDES).start(), apache.Broker(tmp_path / "apache", OVERRIDES).start()
    answers = []
    try:
        for server in (mine, theirs):
            create_source(server)
            answers.append(heartbeats(server, "in", "all"))
    finally:
        theirs.stop()
    assert answers[0] == answers[1]
    assert "partitions=[0, 1]" in answers[0]["tasks"]


def test_a_member_without_the_right_to_create_is_told_which_topics_are_missing(new_server):
    server = new_server({**AUTHORIZER, "super.users": "User:ANONYMOUS"}).start()
    create_source(server)
    acls = [paths.MILENA, "kafka-acls", "--bootstrap-server", server.bootstrap, "--add", "--allow-principal", "User:ANONYMOUS"]
    run([*acls, "--operation", "Read", "--group", "joined"])
    run([*acls, "--operation", "Describe", "--topic", "*"])
    server.stop()
    server.overrides["super.users"] = "User:admin"
    server.start()
    answer = heartbeats(server, "in", "join")["join"]
    assert answer.startswith("NONE "), answer
    assert "Unauthorized to CREATE on topics in-store-changelog." in answer
    assert "in-store-changelog" not in AdminClient({"bootstrap.servers": server.bootstrap}).list_topics(timeout=10).topics


def test_settings_of_a_group_reach_its_members_and_both_tools_show_them(new_server):
    server = new_server(OVERRIDES).start()
    create_source(server)
    entity = ("--bootstrap-server", server.bootstrap, "--entity-type", "groups", "--entity-name", "joined")
    settings = "streams.session.timeout.ms=46000,streams.heartbeat.interval.ms=6000,streams.num.standby.replicas=1"
    run([paths.MILENA, "kafka-configs", *entity, "--alter", "--add-config", settings])
    answer = heartbeats(server, "in", "join")["join"]
    assert "heartbeatIntervalMs=6000" in answer, answer

    def settings_of(text):
        return {name: value for name, value in re.findall(r"^\s+(streams\.[\w.]+)=(\S*)", text, re.M)}

    mine = settings_of(run([paths.MILENA, "kafka-configs", *entity, "--describe"]).stdout)
    assert mine == settings_of(apache.tool("kafka-configs", *entity, "--describe").stdout)
    assert mine == dict(setting.split("=") for setting in settings.split(","))
    beyond = run([paths.MILENA, "kafka-configs", *entity, "--alter", "--add-config", "streams.num.standby.replicas=99"], check=False)
    assert beyond.returncode != 0, beyond.stdout
    run([paths.MILENA, "kafka-configs", *entity, "--alter", "--delete-config", "streams.heartbeat.interval.ms"])
    assert "heartbeatIntervalMs=5000" in heartbeats(server, "in", "join")["join"]
