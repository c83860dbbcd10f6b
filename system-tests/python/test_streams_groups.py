"""Streams groups (KIP-1071): Kafka Streams with group.protocol=streams, alone and with two instances, over crashes of both sides."""

import subprocess

import pytest
from confluent_kafka import Consumer, TopicPartition

from harness import apache, librdkafka, paths
from harness.wait import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# Sessions of six seconds instead of 45, heartbeats ten times as often, and no wait for more instances.
OVERRIDES = {
    "group.streams.min.session.timeout.ms": 6000,
    "group.streams.session.timeout.ms": 6000,
    "group.streams.min.heartbeat.interval.ms": 500,
    "group.streams.heartbeat.interval.ms": 500,
    "group.streams.initial.rebalance.delay.ms": 0,
    "offsets.topic.num.partitions": 3,
}


@pytest.fixture(scope="module")
def streams_jars():
    done = subprocess.run([paths.ROOT / "scripts" / "fetch-kafka-streams.sh"], check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Instance:
    """One process of the word count."""

    def __init__(self, server, topic, directory, jars, guarantee):
        command = apache._java(paths.CLIENTS / "StreamsGroupWorker.java", server.bootstrap, topic, directory / "state", guarantee,
                               classpath=jars)
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "instance.log"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)

    def stop(self):
        """Ends it the clean way."""
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0, self.log.read_text()

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=30)


@pytest.fixture
def instances(tmp_path, streams_jars):
    started = []

    def start(server, topic, guarantee="exactly_once_v2"):
        started.append(Instance(server, topic, tmp_path / f"instance{len(started)}", streams_jars, guarantee))
        return started[-1]

    yield start
    for instance in started:
        instance.kill()


def create(server, topic):
    librdkafka.create_topic(server, topic, partitions=4)
    librdkafka.create_topic(server, topic + "-counts", partitions=1)


def write(server, topic, lines):
    for partition in range(4):
        librdkafka.produce(server, topic, [b"alpha beta"] * (lines // 4), partition)


def counts(server, topic):
    """The last committed count of every word, and whether one was ever higher."""
    reader = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "reader", "isolation.level": "read_committed",
                       "enable.auto.commit": False, "log_level": 0, "enable.partition.eof": False})
    reader.assign([TopicPartition(topic + "-counts", 0, 0)])
    latest = {}
    try:
        while messages := reader.consume(1000, 2):
            for message in messages:
                if not message.error():
                    latest[message.key()] = int(message.value())
    finally:
        reader.close()
    return latest


def wait_for_count(server, topic, wanted, timeout=120):
    until(lambda: counts(server, topic) == {b"alpha": wanted, b"beta": wanted}, f"both words counted {wanted} times",
          timeout=timeout, poll=0.5)


def members(server, topic):
    """The active tasks of each member, as Apache Kafka's own tool describes them."""
    described = apache.tool("kafka-streams-groups", "--bootstrap-server", server.bootstrap, "--describe", "--group", f"count-{topic}",
                            "--members", check=False).stdout
    rows = [line.split("ACTIVE:")[-1] for line in described.splitlines() if line.startswith(f"count-{topic}")]
    return [{task for task in row.split("STANDBY:")[0].replace("; ", ";").strip().split(";") if task.strip()} for row in rows]


def state(server, topic):
    described = apache.tool("kafka-streams-groups", "--bootstrap-server", server.bootstrap, "--describe", "--group", f"count-{topic}",
                            "--state", check=False).stdout
    return next((line.split()[3:5] for line in described.splitlines() if line.startswith(f"count-{topic}")), None)


@pytest.mark.parametrize("guarantee", ["exactly_once_v2", "at_least_once"])
def test_a_word_count_survives_a_crash_of_the_broker(new_server, topic, instances, guarantee):
    server = new_server(OVERRIDES).start()
    create(server, topic)
    write(server, topic, 400)
    instance = instances(server, topic, guarantee)
    wait_for_count(server, topic, 400)
    server.kill()
    server.start()
    write(server, topic, 400)
    wait_for_count(server, topic, 800)
    assert state(server, topic) == ["Stable", "1"], "the member was remembered"
    instance.stop()
    assert state(server, topic) == ["Empty", "0"]


def test_two_instances_share_the_tasks_and_one_takes_over(new_server, topic, instances):
    server = new_server(OVERRIDES).start()
    create(server, topic)
    first = instances(server, topic)
    until(lambda: state(server, topic) == ["Stable", "1"], "one instance runs", timeout=60, poll=0.5)
    second = instances(server, topic)
    until(lambda: state(server, topic) == ["Stable", "2"], "two instances run", timeout=60, poll=0.5)
    assert members(server, topic) and all(members(server, topic)), "both have tasks"
    write(server, topic, 400)
    wait_for_count(server, topic, 400)
    second.kill()
    write(server, topic, 400)
    wait_for_count(server, topic, 800)
    until(lambda: state(server, topic) == ["Stable", "1"], "the killed instance is gone", timeout=60, poll=0.5)
    first.stop()


def test_apaches_tool_lists_resets_and_deletes_a_group(new_server, topic, instances):
    server = new_server(OVERRIDES).start()
    create(server, topic)
    write(server, topic, 40)
    instance = instances(server, topic)
    wait_for_count(server, topic, 40)

    def tool(*arguments):
        return apache.tool("kafka-streams-groups", "--bootstrap-server", server.bootstrap, *arguments, check=False).stdout

    assert tool("--list").split() == [f"count-{topic}"]
    refused = tool("--reset-offsets", "--group", f"count-{topic}", "--all-input-topics", "--to-earliest", "--execute")
    assert "active members" in refused or "inactive" in refused, refused
    instance.stop()
    reset = tool("--reset-offsets", "--group", f"count-{topic}", "--input-topic", topic, "--to-earliest", "--dry-run")
    assert [line.split()[1:] for line in reset.splitlines() if line.startswith(f"count-{topic}")], reset
    assert "was successful" in tool("--delete", "--group", f"count-{topic}")
    until(lambda: tool("--list").split() == [], "the group is gone", timeout=20, poll=0.5)
