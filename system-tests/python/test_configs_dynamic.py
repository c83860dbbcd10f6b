"""Dynamic configuration takes effect while the broker runs, and is shown as Apache Kafka shows it."""

import socket

import pytest
from confluent_kafka import Producer

from harness import apache, librdkafka, paths
from harness.scripts import run
from harness.wait import until

pytestmark = pytest.mark.slow


def configs(broker, *words, check=True):
    return run([paths.MILENA, "kafka-configs", "--bootstrap-server", broker.bootstrap, *words], check=check)


def set_default(broker, setting):
    configs(broker, "--alter", "--broker-defaults", "--add-config", setting)


def is_served(broker):
    """Whether the broker keeps a new connection open: one too many is closed at once."""
    with socket.create_connection(("127.0.0.1", broker.port), timeout=5) as probe:
        probe.settimeout(0.5)
        try:
            return probe.recv(1) != b""
        except TimeoutError:
            return True
        except ConnectionError:
            return False


def test_the_largest_message_changes_for_topics_without_a_limit_of_their_own(broker, topic):
    librdkafka.create_topic(broker, topic)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.max.bytes": 8_000_000})
    errors = []

    def send():
        errors.clear()
        producer.produce(topic, b"x" * 3_000_000, on_delivery=lambda error, _: errors.append(error))
        assert producer.flush(20) == 0
        return errors[0]

    assert send() is not None
    set_default(broker, "message.max.bytes=4000000")
    assert send() is None
    configs(broker, "--alter", "--broker-defaults", "--delete-config", "message.max.bytes")
    assert send() is not None


def test_retention_changes_for_topics_that_exist(new_server):
    server = new_server({"log.retention.check.interval.ms": 200, "log.initial.task.delay.ms": 100,
                         "log.segment.delete.delay.ms": 100}).start()
    librdkafka.create_topic(server, "kept", config={"segment.bytes": str(1 << 20)})
    librdkafka.produce(server, "kept", [b"x" * 10000 for _ in range(400)])
    assert len(server.segments("kept")) > 2
    set_default(server, "log.retention.bytes=1000000")
    until(lambda: len(server.segments("kept")) <= 2, "old segments are gone")


def test_connections_are_limited_from_now_on(new_server):
    server = new_server().start()
    assert is_served(server)
    configs(server, "--alter", "--broker", "1", "--add-config", "max.connections.per.ip.overrides=[127.0.0.1:0]")
    until(lambda: not is_served(server), "the address is shut out")


def test_every_value_is_shown_with_its_sources(broker):
    set_default(broker, "log.retention.ms=5000")
    configs(broker, "--alter", "--broker", "1", "--add-config", "log.retention.ms=6000")
    for command in [("--describe", "--broker-defaults"), ("--describe", "--broker", "1"), ("--describe", "--group", "none", "--all")]:
        mine = configs(broker, *command).stdout
        theirs = apache.tool("kafka-configs", "--bootstrap-server", broker.bootstrap, *command).stdout
        assert mine == theirs
    assert configs(broker, "--describe", "--broker", "1").stdout == (
        "Dynamic configs for broker 1 are:\n"
        "  log.retention.ms=6000 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.retention.ms=6000, "
        "DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=5000}\n")
    assert "DEFAULT_CONFIG:min.insync.replicas" not in configs(broker, "--describe", "--broker-defaults").stdout
    configs(broker, "--alter", "--broker", "1", "--delete-config", "log.retention.ms")
    configs(broker, "--alter", "--broker-defaults", "--delete-config", "log.retention.ms")


def test_what_is_static_cannot_be_changed(broker):
    refused = configs(broker, "--alter", "--broker", "1", "--add-config", "node.id=5", check=False)
    assert refused.returncode == 1
    assert "Cannot update these configs dynamically: [node.id]" in refused.stdout + refused.stderr
