"""Quotas: clients above their rate are told to pause, and are paused."""

import re
import struct
import time
import urllib.request

import pytest
from confluent_kafka import Producer
from harness import scripts, wire
from harness.paths import MILENA
from harness.server import free_port
from harness.wait import until


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


def fetch(connection):
    """Throttle time in ms and bytes of records of a Fetch v4 for everything, and how long its answer took in seconds."""
    began = time.monotonic()
    body = connection.ask(wire.fetch("limited", 0, max_wait=100))
    (throttle_ms, topics) = struct.unpack_from(">ii", body, 0)
    return throttle_ms, len(wire.fetch_result(body)[2]) if topics else 0, time.monotonic() - began


@pytest.mark.parametrize("quota, pause_ms", [("consumer_byte_rate=10000", 10_000), ("request_percentage=0.01", 1000)])
def test_a_fetch_above_a_quota_is_answered_at_once_without_records(server, quota, pause_ms):
    with wire.Connection(server.port, timeout=30) as connection:
        produce(server, 5, 20_000)
        assert fetch(connection)[:2] == (0, len(records := wire.fetch_result(connection.ask(wire.fetch("limited", 0)))[2]))
        configs(server, "--entity-type", "clients", "--entity-name", "raw", "--add-config", quota)
        answers = [fetch(connection)]
        while not answers[-1][0]:
            answers.append(fetch(connection))
            assert len(answers) < 2000, answers[-20:]
        throttle_ms, size, seconds = answers[-1]
        assert 0 < throttle_ms <= pause_ms and size == 0 and seconds < 0.9, answers
        assert all(size == len(records) for _, size, _ in answers[:-1])
        # The connection is not read before the pause is over.
        assert fetch(connection)[2] > throttle_ms / 1000 - 0.1


def test_who_uses_which_quota_is_among_the_metrics(new_server):
    console = free_port()
    server = new_server({"milena.console.listener": f"127.0.0.1:{console}"}).start()
    configs(server, "--entity-type", "clients", "--entity-name", "greedy", "--add-config", "producer_byte_rate=10000")
    produce(server, 12, 10_000, **{"client.id": "greedy", "batch.size": 20_000, "linger.ms": 0})
    page = urllib.request.urlopen(f"http://127.0.0.1:{console}/metrics", timeout=10).read().decode()
    labels = '{resource="Produce",user="",clientId="greedy"}'
    values = {name: float(value) for name, value in re.findall(rf"^kafka_server_quota_(\w+){re.escape(labels)} (\S+)$", page, re.M)}
    assert values["byte_rate"] > 5000 and values["throttle_time"] > 0, values


def served(port):
    """Whether a new connection gets an answer."""
    try:
        with wire.Connection(port, timeout=10) as connection:
            return bool(connection.ask(wire.request(wire.API_VERSIONS, 0, b"")))
    except ConnectionError:
        return False


def test_an_address_that_connects_too_often_is_turned_away_until_its_quota_is_gone(server):
    entity = ("--entity-type", "ips", "--entity-name", "127.0.0.1")
    configs(server, *entity, "--add-config", "connection_creation_rate=1")
    # What it has connected in the last ten seconds counts, and refused ones are held for up to a second.
    answers = [served(server.port) for _ in range(14)]
    assert answers[0] and not answers[-1], answers
    configs_connects_too = lambda: scripts.run(  # noqa: E731
        [MILENA, "kafka-configs", "--bootstrap-server", server.bootstrap, "--alter", *entity, "--delete-config", "connection_creation_rate"],
        check=False).returncode == 0
    until(configs_connects_too, "the tool gets through", timeout=40, poll=1)
    assert all(served(server.port) for _ in range(14))


def test_connections_above_the_rate_of_the_broker_wait(new_server):
    server = new_server({"max.connection.creation.rate": "5", "quota.window.num": "2"}).start()
    began = time.monotonic()
    assert all(served(server.port) for _ in range(40)), "late, but all of them"
    assert time.monotonic() - began > 2.5
