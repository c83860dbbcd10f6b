"""Starting and stopping: no configuration, every way to configure, and each refusal with a reason a person can act on."""

import os
import re
import signal
import socket
import subprocess

import pytest

from harness import librdkafka, paths, wire
from harness.server import free_port
from harness.wait import until


def run(*arguments, cwd, env=None, timeout=20):
    """Runs `milena ARGUMENTS` to its end."""
    return subprocess.run([str(paths.MILENA), *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL, timeout=timeout,
                          capture_output=True, text=True, env={**os.environ, **(env or {})})


def said(result):
    return result.stdout + result.stderr


def test_prints_the_line_that_scripts_wait_for(new_server):
    server = new_server().start()
    until(lambda: re.search(r"\[KafkaRaftServer nodeId=\d+\] Kafka Server started", server.log()), "ready line")


def test_start_to_first_acknowledged_record_is_quick(new_server, topic):
    server = new_server().start()
    assert librdkafka.produce(server, topic, [b"first"]) == [0]
    # The budget is 0.3 s on a quiet machine; this only catches a change of kind.
    assert "panicked" not in server.log()
    server.kill()
    server.start(timeout=3)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_stops_gracefully_on_a_signal(new_server, topic, number):
    server = new_server().start()
    librdkafka.produce(server, topic, [b"kept"])
    with wire.Connection(server.port) as parked:
        parked.send(wire.fetch(topic, 1, max_wait=30000))
        assert server.stop(number, timeout=10) == 0
    assert list(server.data.rglob(".kafka_cleanshutdown")), "a clean stop leaves its marker"
    server.start()
    assert librdkafka.values(librdkafka.read(server, topic)) == [b"kept"]


def test_two_servers_on_one_directory_are_refused(new_server, topic):
    first = new_server().start()
    second = new_server(directory=first.directory)
    second.log_path = first.directory / "second.log"
    second.spawn()
    assert second.process.wait(timeout=20) != 0
    assert re.search(r"lock|another|already|in use", second.log(), re.I), second.log()
    assert str(first.data) in second.log(), "the message names the directory"
    assert librdkafka.produce(first, topic, [b"unharmed"]) == [0]
    # kill -9 leaves no lock behind.
    first.kill()
    first.start()
    assert librdkafka.values(librdkafka.read(first, topic)) == [b"unharmed"]


def test_a_taken_port_is_named(new_server, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        port = taken.getsockname()[1]
        server = new_server(port=port)
        server.spawn()
        assert server.process.wait(timeout=20) != 0
    assert str(port) in server.log() and re.search(r"in use|taken", server.log(), re.I), server.log()
    assert "panicked" not in server.log()


def test_an_unwritable_directory_is_named(new_server, tmp_path):
    """As root every directory is writable, so a file stands in its place."""
    in_the_way = tmp_path / "a-file"
    in_the_way.write_text("not a directory")
    server = new_server({"log.dirs": in_the_way / "data"})
    server.data = in_the_way / "data"
    server.spawn()
    assert server.process.wait(timeout=20) != 0
    assert str(in_the_way) in server.log(), server.log()
    assert "panicked" not in server.log()


def test_an_unknown_key_warns_with_the_nearest_known_key(new_server):
    server = new_server({"log.retention.huors": 5}).start()
    until(lambda: "log.retention.huors" in server.log() and "log.retention.hours" in server.log(),
          f"a warning that names both keys:\n{server.log()}")


@pytest.mark.parametrize("key, value", [
    ("log.segment.bytes", "a lot"),
    ("num.partitions", "0"),
    ("listeners", "nonsense"),
    ("compression.type", "rar"),
])
def test_a_bad_value_stops_the_start_and_names_the_key(new_server, key, value):
    server = new_server({key: value})
    server.spawn()
    assert server.process.wait(timeout=20) != 0
    assert key in server.log(), server.log()
    assert "panicked" not in server.log()


def test_keys_of_the_zookeeper_era_are_accepted_with_a_notice(new_server):
    server = new_server({"zookeeper.connect": "zookeeper:2181"}, env={"KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181"}).start()
    until(lambda: "zookeeper.connect" in server.log(), "a notice about zookeeper.connect")


def test_unknown_subcommands_and_missing_files_fail_with_a_message(tmp_path):
    for arguments in (["serve-everything"], ["server", "/nowhere/server.properties"], ["server", "--no-such-option"]):
        result = run(*arguments, cwd=tmp_path)
        assert result.returncode != 0
        assert arguments[-1] in said(result), said(result)
        assert "panicked" not in said(result)


def describe(server, topic_name=None):
    """Broker or topic configuration as a plain mapping."""
    from confluent_kafka.admin import ConfigResource

    client = librdkafka.admin(server)
    if topic_name:
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic_name)
    else:
        node = next(iter(client.list_topics(timeout=10).brokers))
        resource = ConfigResource(ConfigResource.Type.BROKER, str(node))
    (future,) = client.describe_configs([resource]).values()
    return {name: entry.value for name, entry in future.result().items()}


def test_properties_file_environment_and_overrides_later_wins(new_server, tmp_path):
    properties = tmp_path / "server.properties"
    properties.write_text(
        "# as in Kafka's own file\nnum.partitions=3\nlog.retention.hours = 24\nlog.segment.bytes: 2097152\n"
        "auto.create.topics.enable=\\\n  true\n")
    server = new_server(env={"KAFKA_NUM_PARTITIONS": "4", "KAFKA_LOG_RETENTION_HOURS": "48"})
    server.overrides["log.retention.hours"] = "72"
    plain = server.command
    server.command = lambda: [*plain()[:2], str(properties), *plain()[2:]]
    server.start()
    config = describe(server)
    assert config["num.partitions"] == "4", "environment over file"
    assert config["log.retention.hours"] == "72", "override over environment"
    assert config["log.segment.bytes"] == "2097152", "file over default"
    librdkafka.produce(server, "made-by-first-use", [b"x"])
    assert len(librdkafka.admin(server).list_topics("made-by-first-use", timeout=10).topics["made-by-first-use"].partitions) == 4


def test_the_environment_names_of_the_usual_images_work(new_server, tmp_path):
    """KAFKA_LISTENERS, KAFKA_ADVERTISED_LISTENERS, KAFKA_LOG_DIRS, ... alone, with nothing on the command line."""
    port = free_port()
    server = new_server(port=port, env={
        "KAFKA_NODE_ID": "7",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{free_port()}",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://localhost:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "7@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_LOG_DIRS": str(tmp_path / "from-environment"),
    })
    server.command = lambda: [str(paths.MILENA), "server"]
    server.start()
    brokers = librdkafka.admin(server).list_topics(timeout=10).brokers
    assert [(broker.id, broker.host, broker.port) for broker in brokers.values()] == [(7, "localhost", port)]
    librdkafka.produce(server, "somewhere", [b"x"])
    assert list((tmp_path / "from-environment").rglob("somewhere-0"))


def test_each_listener_advertises_its_own_address(new_server):
    inner, outer = free_port(), free_port()
    server = new_server({
        "listeners": f"INNER://127.0.0.1:{inner},OUTER://127.0.0.1:{outer}",
        "advertised.listeners": f"INNER://127.0.0.1:{inner},OUTER://localhost:{outer}",
        "listener.security.protocol.map": "INNER:PLAINTEXT,OUTER:PLAINTEXT",
        "inter.broker.listener.name": "INNER",
    }, port=inner).start()

    def advertised(port):
        from confluent_kafka.admin import AdminClient
        (broker,) = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"}).list_topics(timeout=10).brokers.values()
        return broker.host, broker.port

    assert advertised(inner) == ("127.0.0.1", inner)
    assert advertised(outer) == ("localhost", outer)
    assert server.alive()


def test_the_cluster_id_survives_restarts(new_server):
    server = new_server().start()

    def cluster_id():
        return librdkafka.admin(server).describe_cluster(request_timeout=10).result().cluster_id

    first = cluster_id()
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", first)
    server.restart()
    assert cluster_id() == first
    server.kill()
    server.start()
    assert cluster_id() == first


def test_install_tools_links_every_name_with_and_without_sh(tmp_path):
    result = run("install-tools", tmp_path / "bin", cwd=tmp_path)
    assert result.returncode == 0, said(result)
    for name in ["kafka-topics", "kafka-console-producer", "kafka-console-consumer", "kafka-configs", "kafka-consumer-groups",
                 "kafka-get-offsets", "kafka-delete-records", "kafka-log-dirs", "kafka-dump-log", "kafka-broker-api-versions",
                 "kafka-cluster", "kafka-producer-perf-test", "kafka-consumer-perf-test", "kafka-e2e-latency", "kafka-storage"]:
        for link in (tmp_path / "bin" / name, tmp_path / "bin" / f"{name}.sh"):
            assert link.exists() and link.resolve() == paths.MILENA, link
    # A second time is no error.
    assert run("install-tools", tmp_path / "bin", cwd=tmp_path).returncode == 0
    made = subprocess.run([tmp_path / "bin" / "kafka-storage.sh", "random-uuid"], capture_output=True, text=True, timeout=20)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}\n", made.stdout)
