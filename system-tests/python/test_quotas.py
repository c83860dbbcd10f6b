"""Quotas: clients above their rate are told to pause, and are paused."""

import time

import pytest
from confluent_kafka import Producer
from harness import scripts
from harness.paths import MILENA


@pytest.fixture
def server(new_server):
    return new_server().start()


def configs(server, *arguments):
    return scripts.run([MILENA, "kafka-configs", "--bootstrap-server", server.bootstrap, "--alter", *arguments])


def produce(server, count, size, **settings):
    """Produces, and returns how long it took in seconds."""
    producer = Producer({"bootstrap.servers": server.bootstrap, **settings})
    began = time.monotonic()
    for _ in range(count):
        producer.produce("limited", b"x" * size)
        producer.poll(0)
    assert producer.flush(60) == 0
    return time.monotonic() - began


def test_a_producer_above_its_rate_is_slowed_down_and_others_are_not(server):
    configs(server, "--entity-type", "clients", "--entity-name", "greedy", "--add-config", "producer_byte_rate=100000")
    # 1 MB counts as 100 kB/s over ten seconds, so about 400 kB more take four seconds.
    slow = produce(server, 140, 10_000, **{"client.id": "greedy", "batch.size": 50_000, "linger.ms": 1})
    fast = produce(server, 140, 10_000, **{"client.id": "modest", "batch.size": 50_000, "linger.ms": 1})
    assert fast < slow
    assert slow > 2.0, slow


def test_taking_the_quota_away_ends_the_throttling(server):
    entity = ("--entity-type", "clients", "--entity-name", "greedy")
    configs(server, *entity, "--add-config", "producer_byte_rate=50000")
    configs(server, *entity, "--delete-config", "producer_byte_rate")
    assert produce(server, 100, 10_000, **{"client.id": "greedy"}) < 5.0


def test_changes_of_metadata_above_the_rate_are_refused(server):
    configs(server, "--entity-type", "clients", "--entity-default", "--add-config", "controller_mutation_rate=1")
    # Eleven are there at first, and one request may overdraw them.
    create = [MILENA, "kafka-topics", "--bootstrap-server", server.bootstrap, "--create", "--topic"]
    scripts.run([*create, "large", "--partitions", "40"])
    refused = scripts.run([*create, "next", "--partitions", "1"], check=False)
    assert refused.returncode == 1
    assert "The throttling quota has been exceeded." in refused.stdout + refused.stderr


def test_an_address_with_too_many_connections_is_turned_away(new_server):
    import socket
    server = new_server({"max.connections.per.ip": "3"}).start()
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
    extra = socket.create_connection(("127.0.0.1", server.port))
    extra.settimeout(10)
    assert extra.recv(1) == b"", "closed by the broker"
    for connection in connections:
        connection.close()
