"""The tutorials people paste, verbatim: localhost:9092, the tools' installed names, data in ./milena-data, no settings."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from harness import paths
from harness.scripts import run
from harness.wait import until

pytestmark = pytest.mark.xdist_group("port-9092")

PORT = 9092


def listening():
    try:
        socket.create_connection(("localhost", PORT), timeout=1).close()
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A directory with `milena server` running in it, as the README says, and the tools installed in bin/."""
    assert not listening(), "port 9092 is taken: the tutorials need it"
    directory = tmp_path_factory.mktemp("tutorials")
    run([paths.MILENA, "install-tools", directory / "bin"])
    with open(directory / "server.log", "wb") as log:
        server = subprocess.Popen([str(paths.MILENA), "server"], cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    until(listening, "milena server listens on localhost:9092", timeout=20)
    yield directory
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=20) == 0
    assert (directory / "milena-data").is_dir()
    assert "panicked" not in (directory / "server.log").read_text()


@pytest.fixture
def shell(home):
    """Runs a line as pasted in a terminal whose PATH has the installed tools."""

    def go(line, stdin="", check=True, timeout=60):
        environment = {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
        return run(["bash", "-c", line], stdin=stdin, check=check, timeout=timeout, cwd=home, env=environment)

    return go


def test_the_quick_start_of_kafka(shell):
    created = shell("kafka-topics.sh --create --topic quickstart-events --bootstrap-server localhost:9092 --partitions 1")
    assert created.stdout == "Created topic quickstart-events.\n"
    listed = shell("kafka-topics.sh --bootstrap-server localhost:9092 --list")
    assert "quickstart-events" in listed.stdout.splitlines()
    described = shell("kafka-topics.sh --describe --topic quickstart-events --bootstrap-server localhost:9092").stdout.splitlines()
    assert re.fullmatch(
        r"Topic: quickstart-events\tTopicId: [A-Za-z0-9_-]{22}\tPartitionCount: 1\tReplicationFactor: 1\tConfigs: .*", described[0])
    assert re.fullmatch(
        r"\tTopic: quickstart-events\tPartition: 0\tLeader: (\d+)\tReplicas: \1\tIsr: \1\tElr: .*\tLastKnownElr: .*", described[1])
    assert len(described) == 2
    shell("kafka-console-producer.sh --broker-list localhost:9092 --topic quickstart-events",
          stdin="This is my first event\nThis is my second event\n")
    read = shell("kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic quickstart-events --from-beginning"
                 " --max-messages 2")
    assert read.stdout == "This is my first event\nThis is my second event\n"
    assert "Processed a total of 2 messages" in read.stderr


def test_the_consumer_without_a_limit_prints_as_events_come_and_ends_on_ctrl_c(home, shell):
    line = "exec kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic endless-events --from-beginning"
    shell("kafka-topics.sh --create --topic endless-events --bootstrap-server localhost:9092 --partitions 1")
    environment = {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}"}
    out = home / "endless.txt"
    with open(out, "wb") as file:
        consumer = subprocess.Popen(["bash", "-c", line], stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.PIPE, env=environment)
    try:
        shell("kafka-console-producer.sh --bootstrap-server localhost:9092 --topic endless-events", stdin="one\n")
        until(lambda: out.read_text() == "one\n", "the first event is printed", timeout=20)
        shell("kafka-console-producer.sh --bootstrap-server localhost:9092 --topic endless-events", stdin="two\n")
        until(lambda: out.read_text() == "one\ntwo\n", "the second event is printed", timeout=20)
        consumer.send_signal(signal.SIGINT)
        _, errors = consumer.communicate(timeout=20)
        assert b"Processed a total of 2 messages" in errors
    finally:
        consumer.kill()


def test_the_console_producer_creates_the_topic(shell):
    shell("kafka-console-producer --bootstrap-server localhost:9092 --topic test_console", stdin="hello\n")
    assert "test_console" in shell("kafka-topics --bootstrap-server localhost:9092 --list").stdout.splitlines()
    read = shell("kafka-console-consumer --bootstrap-server localhost:9092 --topic test_console --from-beginning --max-messages 1")
    assert read.stdout == "hello\n"


def test_delete_a_topic(shell):
    shell("kafka-topics --bootstrap-server localhost:9092 --create --topic topic_test")
    assert shell("kafka-topics --bootstrap-server localhost:9092 --delete --topic topic_test").stdout == ""
    assert "topic_test" not in shell("kafka-topics --bootstrap-server localhost:9092 --list").stdout.splitlines()


def test_delete_a_topic_the_zookeeper_way(shell):
    shell("kafka-topics.sh --bootstrap-server localhost:9092 --create --topic exam-topic")
    deleted = shell("kafka-topics.sh --delete --zookeeper zookeeper:2181 --topic exam-topic")
    assert "--zookeeper" in deleted.stderr and "--bootstrap-server" in deleted.stderr, deleted.stderr
    assert deleted.stdout == ""
    assert "exam-topic" not in shell("kafka-topics.sh --bootstrap-server localhost:9092 --list").stdout.splitlines()


# The producer and the consumer of the tutorial, as published, but for a last line that ends the endless loop.
PRODUCER = """
import json
from kafka import KafkaProducer

producer = KafkaProducer(
    bootstrap_servers=['localhost:9092'],
    value_serializer=lambda v: json.dumps(v).encode('utf-8'),
    key_serializer=str.encode,
    acks=0,
    api_version=(2, 5, 0),
    retries=3,
)
producer.send('TOPIC', key='key', value={"name": "John", "age": 30})
producer.flush()
producer.close()
"""

CONSUMER = """
import json
from kafka import KafkaConsumer

consumer = KafkaConsumer(
    "TOPIC",
    group_id="my-group",
    bootstrap_servers=['localhost:9092'],
    auto_offset_reset="earliest",
    enable_auto_commit=True,
    value_deserializer=lambda v: json.loads(v.decode('utf-8')),
)
for message in consumer:
    print(message.topic, message.key.decode(), message.value)
    break
consumer.close()
"""

ADMIN = """
from kafka.admin import KafkaAdminClient, NewTopic

admin_client = KafkaAdminClient(bootstrap_servers="localhost:9092", client_id='test')
admin_client.create_topics(new_topics=[NewTopic(name="TOPIC", num_partitions=2, replication_factor=1)], validate_only=False)
print(sorted(admin_client.list_topics()))
admin_client.close()
"""


@pytest.mark.parametrize("version", paths.KAFKA_PYTHONS)
def test_kafka_python_producer_and_consumer(home, version):
    python = paths.KAFKA_PYTHONS[version]
    topic = "exam-topic" if version == "2.0.2" else "exam-topic-newest"
    run([python, "-c", PRODUCER.replace("TOPIC", topic)], cwd=home)
    read = run([python, "-c", CONSUMER.replace("TOPIC", topic)], cwd=home)
    assert read.stdout.strip() == f"{topic} key " + str(json.loads('{"name": "John", "age": 30}'))


@pytest.mark.parametrize("version", paths.KAFKA_PYTHONS)
def test_kafka_python_admin_client(home, version):
    topic = f"admin-{version}"
    done = run([paths.KAFKA_PYTHONS[version], "-c", ADMIN.replace("TOPIC", topic)], cwd=home)
    assert topic in done.stdout


def test_the_description_of_a_group_after_the_tutorial(home, shell):
    shell("kafka-topics.sh --bootstrap-server localhost:9092 --create --topic seen --partitions 1")
    shell("kafka-console-producer.sh --bootstrap-server localhost:9092 --topic seen", stdin="a\nb\nc\n")
    shell("kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic seen --group readers --from-beginning --max-messages 3")
    described = shell("kafka-consumer-groups.sh --bootstrap-server localhost:9092 --describe --group readers")
    row = [line.split() for line in described.stdout.splitlines() if line.startswith("readers")]
    assert row == [["readers", "seen", "0", "3", "3", "0", "-", "-", "-"]]
    assert "Consumer group 'readers' has no active members." in described.stderr
