"""A data directory of Apache Kafka is taken over with everything its metadata log says."""

import re

import pytest

from harness import apache, paths
from harness.scripts import run
from harness.wait import until

pytestmark = pytest.mark.slow

AUTHORIZER = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
}


def ours(server, line):
    tool, *words = line.split()
    return run([paths.MILENA, tool, "--bootstrap-server", server.bootstrap, *words]).stdout


SETTINGS = [
    "kafka-topics --create --topic orders --partitions 2 --config retention.ms=1234567",
    "kafka-topics --create --topic gone --config retention.ms=1",
    "kafka-topics --delete --topic gone",
    "kafka-configs --alter --entity-type topics --entity-name orders --add-config cleanup.policy=[compact,delete]",
    "kafka-configs --alter --entity-type brokers --entity-name 1 --add-config log.cleaner.threads=2",
    "kafka-configs --alter --entity-type brokers --entity-default --add-config message.max.bytes=2000000",
    "kafka-configs --alter --entity-type groups --entity-name g --add-config consumer.session.timeout.ms=50000",
    "kafka-configs --alter --entity-type users --entity-name alice --add-config SCRAM-SHA-256=[iterations=8192,password=pw]",
    "kafka-configs --alter --entity-type users --entity-name bob --add-config SCRAM-SHA-512=[password=pw]",
    "kafka-configs --alter --entity-type users --entity-name bob --delete-config SCRAM-SHA-512",
    "kafka-configs --alter --entity-type users --entity-name alice --entity-type clients --entity-name c "
    "--add-config producer_byte_rate=1024",
    "kafka-configs --alter --entity-type clients --entity-default --add-config request_percentage=50",
    "kafka-acls --add --allow-principal User:alice --consumer --topic ord --group g --resource-pattern-type prefixed",
    "kafka-acls --add --deny-principal User:eve --topic orders",
    "kafka-acls --add --allow-principal User:old --topic orders",
    "kafka-acls --remove --allow-principal User:old --topic orders --force",
    "kafka-client-metrics --alter --name basic --metrics org.apache.kafka.",
    "kafka-features downgrade --feature streams.version=0",
]

SEEN = [
    "kafka-topics --describe --topic orders",
    "kafka-configs --describe --entity-type topics --entity-name orders",
    "kafka-configs --describe --entity-type brokers --entity-name 1",
    "kafka-configs --describe --entity-type brokers --entity-default",
    "kafka-configs --describe --entity-type groups --entity-name g",
    "kafka-configs --describe --entity-type users --entity-name alice",
    "kafka-configs --describe --entity-type users --entity-type clients",
    "kafka-configs --describe --entity-type clients --entity-default",
    "kafka-acls --list",
    "kafka-client-metrics --describe",
]


def test_settings_made_with_kafka_are_seen_with_milena(new_server, tmp_path):
    kafka = apache.Broker(tmp_path / "apache", AUTHORIZER).start()
    try:
        for line in SETTINGS:
            if " --delete --topic " in line:
                # Kafka's brokers hear of a new topic a little later than its creator.
                topic = line.split()[-1]
                until(lambda topic=topic: topic in ours(kafka, "kafka-topics --list").split(), f"the topic {topic}")
            ours(kafka, line)
        before = {line: ours(kafka, line) for line in SEEN}
    finally:
        kafka.stop()
    server = new_server({**AUTHORIZER, "log.dirs": kafka.data, "milena.data.dir": tmp_path / "milena"}).start()
    for _ in range(2):
        for line, expected in before.items():
            assert sorted(ours(server, line).splitlines()) == sorted(expected.splitlines()), line
        assert "bob" not in ours(server, "kafka-configs --describe --entity-type users")
        # What is taken over once is not taken over again.
        server.restart()
    assert re.search("metadata of Apache Kafka is taken over", server.log())
    assert server.log().count("metadata of Apache Kafka is taken over") == 1


def test_users_of_kafka_storage_format_exist_at_the_first_start(new_server, tmp_path):
    data, config = tmp_path / "data", tmp_path / "server.properties"
    config.write_text(f"node.id=1\nprocess.roles=broker,controller\nlog.dirs={data}\n"
                      "controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:1\n"
                      "listeners=PLAINTEXT://localhost:0,CONTROLLER://localhost:1\n")
    cluster = "bWlsZW5hLXN5c3RlbS10ZQ"
    run([paths.MILENA, "kafka-storage", "format", "-t", cluster, "-c", config,
         "--add-scram", "SCRAM-SHA-256=[name=alice,password=pw]",
         "--add-scram", "SCRAM-SHA-512=[name=bob,iterations=8192,password=pw]"])
    server = new_server({"log.dirs": data, "milena.data.dir": data}).start()
    assert ours(server, "kafka-configs --describe --entity-type users").splitlines() == [
        "SCRAM credential configs for user-principal 'alice' are SCRAM-SHA-256=iterations=4096",
        "SCRAM credential configs for user-principal 'bob' are SCRAM-SHA-512=iterations=8192",
    ]
    assert cluster in ours(server, "kafka-cluster cluster-id")


def test_a_directory_formatted_by_the_original_has_its_users(new_server, tmp_path):
    data, config = tmp_path / "data", tmp_path / "server.properties"
    config.write_text(f"node.id=1\nprocess.roles=broker,controller\nlog.dirs={data}\n"
                      "controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@localhost:1\n"
                      "listeners=PLAINTEXT://localhost:0,CONTROLLER://localhost:1\n")
    apache.tool("kafka-storage", "format", "-t", "bWlsZW5hLXN5c3RlbS10ZQ", "-c", config,
                "--add-scram", "SCRAM-SHA-256=[name=alice,password=pw]")
    server = new_server({"log.dirs": data, "milena.data.dir": data}).start()
    assert ours(server, "kafka-configs --describe --entity-type users").splitlines() == [
        "SCRAM credential configs for user-principal 'alice' are SCRAM-SHA-256=iterations=4096"]
