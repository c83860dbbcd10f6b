"""Tools that move, elect and delete: ours beside Apache Kafka's, against the same broker.

Where the original adds a stack trace to a message, the message is what counts.
"""

import json

import pytest
from confluent_kafka import Consumer, TopicPartition

from harness import apache, librdkafka, paths
from harness.scripts import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

GROUP = "readers-of-moved"
TOPIC = "moved"


@pytest.fixture(scope="module")
def files(tmp_path_factory, broker):
    """What the tools read, and a group with offsets."""
    librdkafka.create_topic(broker, TOPIC, partitions=2)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": GROUP})
    consumer.commit(offsets=[TopicPartition(TOPIC, 0, 0), TopicPartition(TOPIC, 1, 0)], asynchronous=False)
    consumer.close()
    directory = tmp_path_factory.mktemp("plans")

    def write(name, content):
        (directory / name).write_text(json.dumps({"version": 1, **content}))

    def partition(topic, number, *replicas):
        return {"topic": topic, "partition": number, "replicas": replicas}

    write("topics", {"topics": [{"topic": TOPIC}]})
    write("plan", {"partitions": [{**partition(TOPIC, 0, 1), "log_dirs": ["any"]}, partition(TOPIC, 1, 1)]})
    write("elected", {"partitions": [{"topic": TOPIC, "partition": 0}, {"topic": TOPIC, "partition": 1}]})
    return directory


@pytest.mark.parametrize("line", [
    "kafka-reassign-partitions --generate --topics-to-move-json-file {files}/topics --broker-list 1",
    "kafka-reassign-partitions --generate --topics-to-move-json-file {files}/topics --broker-list 7",
    "kafka-reassign-partitions --execute --reassignment-json-file {files}/plan",
    "kafka-reassign-partitions --verify --reassignment-json-file {files}/plan",
    "kafka-reassign-partitions --cancel --reassignment-json-file {files}/plan",
    "kafka-reassign-partitions --list",
    "kafka-leader-election --election-type preferred --all-topic-partitions",
    "kafka-leader-election --election-type unclean --topic moved --partition 0",
    "kafka-leader-election --election-type preferred --path-to-json-file {files}/elected",
    "kafka-leader-election --election-type preferred --topic nowhere --partition 0",
    "kafka-consumer-groups --delete-offsets --group readers-of-moved --topic nowhere",
    "kafka-consumer-groups --delete-offsets --group readers-of-moved --topic moved:7",
    "kafka-consumer-groups --delete-offsets --group readers-of-moved --topic moved:0",
    "kafka-consumer-groups --delete-offsets --group nobody --topic moved",
    "kafka-transactions find-hanging --broker-id 9",
    "kafka-transactions abort --topic moved --partition 0 --start-offset 0",
])
def test_prints_what_the_original_prints(broker, files, line):
    name, *words = line.format(files=files).split()
    original = apache.tool(name, "--bootstrap-server", broker.bootstrap, *words, check=False)
    mine = run([paths.MILENA, name, "--bootstrap-server", broker.bootstrap, *words], check=False)
    assert mine.returncode == original.returncode, mine.stdout + mine.stderr

    def said(text):
        return [printed for printed in text.splitlines() if not printed.lstrip().startswith("at ") and printed]

    assert said(mine.stdout) == said(original.stdout)
