"""Share groups (KIP-932): Apache Kafka's share consumer and tools, our own tools, and kill -9."""

import re
import subprocess
import threading

import pytest

from harness import apache, librdkafka, paths, scripts
from harness.wait import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# Locks of two seconds instead of thirty.
OVERRIDES = {
    "group.share.min.record.lock.duration.ms": 1000,
    "group.share.record.lock.duration.ms": 2000,
    "offsets.topic.num.partitions": 3,
    "share.coordinator.state.topic.num.partitions": 3,
}


def earliest(broker, group):
    apache.tool("kafka-configs", "--bootstrap-server", broker.bootstrap, "--alter", "--group", group, "--add-config", "share.auto.offset.reset=earliest")


def test_the_java_share_consumer(broker, topic):
    done = apache.source(paths.CLIENTS / "ShareConsumers.java", broker.bootstrap, topic, timeout=200)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


def tool(name, broker, *arguments, check=True):
    """One of our own tools."""
    return scripts.run([paths.MILENA, name, "--bootstrap-server", broker.bootstrap, *arguments], check=check)


def lag(server, group):
    described = tool("kafka-share-groups", server, "--describe", "--group", group, check=False).stdout
    return [int(line.split()[4]) for line in described.splitlines() if line.startswith(group)]


class Consumer:
    """A share consumer in a process of its own that says what it got and what was accepted."""

    def __init__(self, server, topic, mode):
        self.process = subprocess.Popen(apache._java(paths.CLIENTS / "ShareConsumers.java", server.bootstrap, topic, mode),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.got, self.accepted, self.redelivered = [], set(), []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            word, _, value = line.strip().partition(" ")
            if word == "got":
                self.got.append(value)
                if value in self.accepted:
                    self.redelivered.append(value)
            elif word == "accepted":
                self.accepted.add(value)

    def stop(self):
        self.process.kill()
        self.process.wait()


def test_what_was_accepted_is_never_handed_out_again_whatever_happens_to_the_broker(new_server, topic):
    server = new_server(OVERRIDES).start()
    librdkafka.create_topic(server, topic)
    values = [str(number).encode() for number in range(1500)]
    librdkafka.produce(server, topic, values)
    consumer = Consumer(server, topic, "accept")
    try:
        for goal in (100, 300, 500, 700, 900):
            until(lambda: len(consumer.accepted) >= goal, f"{goal} records accepted", timeout=60, poll=0.01)
            server.kill()
            server.start()
        # An acknowledgement whose answer was lost in a crash counts, so the broker is asked and not the consumer.
        until(lambda: lag(server, f"g-{topic}") == [0], "nothing is left", timeout=120, poll=0.5)
    finally:
        consumer.stop()
    assert not consumer.redelivered, consumer.redelivered[:5]
    assert set(consumer.got) == {value.decode() for value in values}


def test_our_console_consumer_and_tool(broker, topic):
    group = f"g-{topic}"
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [b"a", b"b", b"c"])
    earliest(broker, group)

    def consume(*options):
        return tool("kafka-console-share-consumer", broker, "--topic", topic, "--group", group,
                    "--timeout-ms", "12000", "--formatter-property", "print.delivery=true", "--formatter-property", "print.offset=true", *options)

    def offsets():
        described = tool("kafka-share-groups", broker, "--describe", "--group", group)
        return [line.split() for line in described.stdout.splitlines() if line.startswith(group)]

    assert consume("--max-messages", "1", "--release").stdout == "Offset:0\tDelivery:1\ta\n"
    assert offsets() == [[group, topic, "0", "0", "3"]]
    assert consume("--max-messages", "1").stdout == "Offset:0\tDelivery:2\ta\n"
    assert offsets() == [[group, topic, "0", "1", "2"]]
    assert consume("--max-messages", "1", "--reject").stdout == "Offset:1\tDelivery:1\tb\n"
    rest = consume()
    assert rest.stdout == "Offset:2\tDelivery:1\tc\n" and "Processed a total of 1 messages" in rest.stderr
    assert offsets() == [[group, topic, "0", "3", "0"]]
    assert group in tool("kafka-share-groups", broker, "--list").stdout.splitlines()


@pytest.mark.parametrize("options", [["--describe"], ["--describe", "--offsets", "--verbose"], ["--describe", "--state", "--verbose"],
                                     ["--describe", "--members"], ["--reset-offsets", "--topic", "TOPIC", "--to-earliest", "--dry-run"],
                                     ["--reset-offsets", "--topic", "TOPIC", "--to-latest", "--execute"],
                                     ["--delete-offsets", "--topic", "TOPIC"], ["--delete-offsets", "--topic", "missing"]], ids=" ".join)
def test_our_tool_says_what_the_original_says(broker, topic, options):
    group = f"g-{topic}"
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [b"x"] * 5)
    tool("kafka-share-groups", broker, "--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute")
    words = [word.replace("TOPIC", topic) for word in options]
    original = apache.tool("kafka-share-groups", "--bootstrap-server", broker.bootstrap, "--group", group, *words, check=False)
    if "--delete-offsets" in words:
        tool("kafka-share-groups", broker, "--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute")
    ours = tool("kafka-share-groups", broker, "--group", group, *words, check=False)
    assert (ours.returncode, ours.stdout) == (original.returncode, original.stdout)


def test_apache_kafkas_own_consumer_and_tools(broker, topic):
    group = f"g-{topic}"
    librdkafka.create_topic(broker, topic, partitions=2)
    librdkafka.produce(broker, topic, [b"%d" % number for number in range(10)])
    earliest(broker, group)
    read = apache.tool("kafka-console-share-consumer", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--group", group,
                       "--max-messages", "10", "--timeout-ms", "20000")
    assert sorted(read.stdout.split()) == [str(number) for number in range(10)], read.stdout + read.stderr
    described = apache.tool("kafka-share-groups", "--bootstrap-server", broker.bootstrap, "--describe", "--group", group).stdout
    assert re.search(rf"{group} +{topic} +0 +\d+ +0\n", described), described
    groups = apache.tool("kafka-groups", "--bootstrap-server", broker.bootstrap, "--list", "--share").stdout
    assert re.search(rf"{group} +Share +share", groups), groups
    gone = apache.tool("kafka-share-groups", "--bootstrap-server", broker.bootstrap, "--delete", "--group", group)
    assert gone.stdout == f"Deletion of requested share groups ('{group}') was successful.\n"
    assert group not in apache.tool("kafka-share-groups", "--bootstrap-server", broker.bootstrap, "--list").stdout.splitlines()


def test_a_dead_consumers_records_go_to_others_at_once(broker, topic):
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [b"only"])
    holder = Consumer(broker, topic, "hold")
    until(lambda: holder.got == ["only"], "the record is held", timeout=60)
    holder.stop()
    # The lock lasts a minute; the connection that is gone gives it back.
    second = tool("kafka-console-share-consumer", broker, "--topic", topic, "--group", f"g-{topic}", "--max-messages", "1",
                  "--timeout-ms", "15000", "--formatter-property", "print.delivery=true")
    assert second.stdout == "Delivery:2\tonly\n"
