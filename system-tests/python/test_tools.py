"""Our command-line tools beside Apache Kafka's: the same command against the same server prints the same.

Standard output and the exit code are compared. Standard error is not: the original's has stack traces of Java.
"""

import shlex
import subprocess

import pytest

from confluent_kafka import Consumer, TopicPartition

from harness import apache, librdkafka, paths
from harness.scripts import run

pytestmark = pytest.mark.slow

TOPIC, GROUP = "orders", "readers"
RESET = f"kafka-consumer-groups --reset-offsets --group {GROUP} --topic {TOPIC}"

COMMANDS = [
    "kafka-topics --list",
    "kafka-topics --list --exclude-internal",
    f"kafka-topics --describe --topic {TOPIC}",
    "kafka-topics --describe --topic 'ord.*|other'",
    "kafka-topics --describe --topics-with-overrides --exclude-internal",
    "kafka-topics --describe --unavailable-partitions",
    "kafka-topics --describe --topic nope",
    f"kafka-topics --create --topic {TOPIC}",
    f"kafka-topics --create --topic {TOPIC} --if-not-exists",
    "kafka-topics --create --topic 'bad name'",
    "kafka-topics --create --topic many --replication-factor 3",
    "kafka-topics --create --topic configured --config nope=1",
    f"kafka-topics --alter --topic {TOPIC} --partitions 1",
    "kafka-topics --delete --topic nope",
    "kafka-topics --delete --topic nope --if-exists",
    "kafka-consumer-groups --list",
    "kafka-consumer-groups --list --state",
    "kafka-consumer-groups --list --type --state",
    "kafka-consumer-groups --list --state Stable",
    f"kafka-consumer-groups --describe --group {GROUP}",
    f"kafka-consumer-groups --describe --group {GROUP} --verbose",
    f"kafka-consumer-groups --describe --group {GROUP} --members",
    f"kafka-consumer-groups --describe --group {GROUP} --members --verbose",
    f"kafka-consumer-groups --describe --group {GROUP} --state",
    f"kafka-consumer-groups --describe --group {GROUP} --state --verbose",
    "kafka-consumer-groups --describe --all-groups",
    "kafka-consumer-groups --describe --group nope",
    "kafka-consumer-groups --delete --group nope",
    f"kafka-consumer-groups --delete-offsets --group {GROUP} --topic nope",
    f"{RESET} --to-earliest --dry-run",
    f"{RESET} --to-latest --dry-run",
    f"{RESET} --to-current --dry-run",
    f"{RESET}:0 --to-offset 1 --dry-run",
    f"{RESET} --to-offset 1000 --dry-run",
    f"{RESET} --shift-by -1 --dry-run",
    f"{RESET} --to-datetime 2001-01-01T00:00:00.000 --dry-run",
    f"{RESET} --by-duration PT1H --dry-run",
    f"{RESET} --to-earliest --dry-run --export",
    f"kafka-configs --describe --topic {TOPIC}",
    f"kafka-configs --describe --entity-type topics --entity-name {TOPIC} --all",
    "kafka-configs --describe --topic nope",
    "kafka-configs --describe --broker-defaults",
    f"kafka-configs --alter --topic {TOPIC} --add-config nope=1",
    f"kafka-configs --alter --topic {TOPIC} --add-config retention.ms=abc",
    f"kafka-configs --alter --topic {TOPIC} --add-config retention.ms=3600000",
    f"kafka-get-offsets --topic {TOPIC}",
    f"kafka-get-offsets --topic {TOPIC} --time earliest",
    f"kafka-get-offsets --topic {TOPIC} --time 1500",
    f"kafka-get-offsets --topic-partitions {TOPIC}:0-1 --time max-timestamp",
    "kafka-get-offsets --topic nope",
    f"kafka-log-dirs --describe --topic-list {TOPIC}",
    f"kafka-console-consumer --topic {TOPIC} --partition 0 --offset 1 --max-messages 1",
    f"kafka-console-consumer --topic {TOPIC} --partition 0 --from-beginning --max-messages 3"
    " --formatter-property print.timestamp=true --formatter-property print.key=true --formatter-property print.offset=true"
    " --formatter-property print.partition=true --formatter-property print.headers=true --formatter-property key.separator=' | '",
    f"kafka-console-consumer --topic {TOPIC} --partition 1 --from-beginning --timeout-ms 2500 --formatter-property null.literal=NIL"
    " --formatter-property print.key=true",
]


@pytest.fixture(scope="module")
def filled(broker):
    """A topic of two partitions with known records, and a group that has committed but has no members."""
    from confluent_kafka import Producer

    librdkafka.create_topic(broker, TOPIC, partitions=2, config={"retention.ms": "3600000", "cleanup.policy": "compact,delete",
                                                                 "retention.bytes": "-1"})
    librdkafka.create_topic(broker, "other")
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(5):
        producer.produce(TOPIC, b"value-%d" % number, b"key-%d" % number, partition=0, timestamp=1000 + number * 200,
                         headers=[("h1", b"v%d" % number), ("h2", b"x")])
    producer.produce(TOPIC, None, b"gone", partition=1, timestamp=1234)
    assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": GROUP})
    consumer.commit(offsets=[TopicPartition(TOPIC, 0, 3), TopicPartition(TOPIC, 1, 1)], asynchronous=False)
    consumer.close()
    return broker


def ours(line, broker=None, stdin=""):
    words = shlex.split(line)
    address = ["--bootstrap-server", broker.bootstrap] if broker else []
    return run([paths.MILENA, words[0], *address, *words[1:]], stdin=stdin, check=False)


def theirs(line, broker=None):
    words = shlex.split(line)
    address = ["--bootstrap-server", broker.bootstrap] if broker else []
    return apache.tool(words[0], *address, *words[1:], check=False)


def same(mine, original):
    assert mine.stdout == original.stdout, f"--- Apache Kafka's\n{original.stdout}\n{original.stderr[:2000]}--- ours\n{mine.stdout}\n{mine.stderr}"
    assert mine.returncode == original.returncode


@pytest.mark.parametrize("line", COMMANDS)
def test_prints_what_the_original_prints(filled, line):
    same(ours(line, filled), theirs(line, filled))


def test_the_cluster_id(filled):
    line = f"kafka-cluster cluster-id --bootstrap-server {filled.bootstrap}"
    same(ours(line), theirs(line))


@pytest.mark.parametrize("options", ["", "--print-data-log", "--deep-iteration"])
def test_dumps_of_a_segment(filled, options):
    for suffix in (".log", ".timeindex", ".index"):
        file = filled.segments(TOPIC)[0].with_suffix(suffix)
        line = f"kafka-dump-log --files {file} {options}"
        same(ours(line), theirs(line))


def test_members_of_a_living_group(filled):
    consumer = Consumer({"bootstrap.servers": filled.bootstrap, "group.id": "alive", "client.id": "me"})
    consumer.subscribe([TOPIC])
    from harness.wait import until
    until(lambda: consumer.poll(0.1) or len(consumer.assignment()) == 2, "an assignment", poll=0)
    try:
        for view in ("", "--members", "--members --verbose", "--state"):
            line = f"kafka-consumer-groups --describe --group alive {view}"
            same(ours(line, filled), theirs(line, filled))
        line = "kafka-consumer-groups --reset-offsets --group alive --topic orders --to-earliest --execute"
        same(ours(line, filled), theirs(line, filled))
    finally:
        consumer.close()


def test_console_producer_and_consumer_understand_each_other(filled, topic):
    lines = "h1:v1,h2:v2\tk1\thello\nh:\tk2\t\nh:x\tk3\tgrüße 世界\n"
    for number, produce in enumerate([
        lambda name, text: ours(f"kafka-console-producer --topic {name} --reader-property parse.key=true"
                                " --reader-property parse.headers=true --sync", filled, text),
        lambda name, text: apache.tool("kafka-console-producer", "--bootstrap-server", filled.bootstrap, "--topic", name, "--reader-property",
                                       "parse.key=true", "--reader-property", "parse.headers=true", "--sync", stdin=text),
    ]):
        name = f"{topic}-{number}"
        librdkafka.create_topic(filled, name)
        assert produce(name, lines).returncode == 0
        read = f"kafka-console-consumer --topic {name} --from-beginning --max-messages 3 --formatter-property print.key=true" \
               " --formatter-property print.headers=true"
        mine, original = ours(read, filled), theirs(read, filled)
        same(mine, original)
        assert mine.stdout == "h1:v1,h2:v2\tk1\thello\nh:\tk2\t\nh:x\tk3\tgrüße 世界\n"


def test_perf_tools_have_the_lines_that_scripts_parse(filled, topic):
    import re

    librdkafka.create_topic(filled, topic)
    done = ours(f"kafka-producer-perf-test --topic {topic} --num-records 5000 --record-size 100 --throughput -1"
                f" --producer-props bootstrap.servers={filled.bootstrap} acks=all", None)
    number = r"\d+\.\d+"
    assert re.search(rf"^5000 records sent, {number} records/sec \({number} MB/sec\), {number} ms avg latency, {number} ms max latency, "
                     r"\d+ ms 50th, \d+ ms 95th, \d+ ms 99th, \d+ ms 99.9th\.$", done.stdout, re.M), done.stdout + done.stderr
    done = ours(f"kafka-consumer-perf-test --topic {topic} --num-records 5000 --timeout 20000", filled)
    header, row = done.stdout.splitlines()[:2]
    assert header == ("start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, "
                      "fetch.MB.sec, fetch.nMsg.sec")
    assert int(row.split(", ")[4]) >= 5000
    done = ours(f"kafka-e2e-latency --topic {topic} --num-records 50 --producer-acks all --record-size 100", filled)
    assert re.search(r"^Avg latency: \d+\.\d{4} ms$", done.stdout, re.M), done.stdout + done.stderr


def test_a_partition_at_its_end_does_not_hold_up_the_others(filled, topic):
    """Asked for alone while records of the others are buffered, it must not occupy the leader for fetch.max.wait.ms."""
    librdkafka.create_topic(filled, topic, partitions=3)
    counts = [3, 300, 300]
    for partition, count in enumerate(counts):
        librdkafka.produce(filled, topic, [b"x" * 100] * count, partition=partition, **{"batch.num.messages": 10})
    # Small fetches, so that the long partitions take many after the short one has ended.
    patient = "--command-property fetch.max.wait.ms=15000 --command-property max.partition.fetch.bytes=4000"
    done = ours(f"kafka-consumer-perf-test --topic {topic} --num-records {sum(counts)} --timeout 60000 --hide-header {patient}", filled)
    columns = done.stdout.splitlines()[-1].split(", ")
    assert int(columns[4]) == sum(counts)
    assert int(columns[7]) < 15_000, "a fetch was parked"


def test_a_pipe_that_closes_early_is_not_an_error_with_a_trace(filled, topic):
    # More than a pipe holds, so that the consumer still writes when nobody reads any more.
    librdkafka.create_topic(filled, topic)
    librdkafka.produce(filled, topic, [b"value-%d" % number for number in range(100_000)])
    line = f"{paths.MILENA} kafka-console-consumer --bootstrap-server {filled.bootstrap} --topic {topic} --from-beginning | head -1"
    done = subprocess.run(["bash", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "value-0\n" and "panicked" not in done.stderr


def test_api_versions(filled):
    """Names and ranges; "usable" is about the tool itself, and ours and the original's are of different releases."""
    import re

    def ranges(printed):
        assert printed.startswith(f"{filled.bootstrap} (id: ") and printed.endswith("\n)\n")
        return re.findall(r"^\t(\w+)\((\d+)\): (\d+(?: to \d+)?) ", printed, re.M)

    mine, original = ours("kafka-broker-api-versions", filled), theirs("kafka-broker-api-versions", filled)
    assert ranges(mine.stdout) == ranges(original.stdout)
    assert [line for line in original.stdout.splitlines() if "UNSUPPORTED" in line and "(17)" in line] == [
        line for line in mine.stdout.splitlines() if "UNSUPPORTED" in line and "(17)" in line]
