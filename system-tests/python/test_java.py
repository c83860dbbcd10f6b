"""Apache Kafka's own Java clients and command-line tools."""

import json
import re

import pytest

from harness import apache, librdkafka, paths

pytestmark = pytest.mark.slow


def tool(name, broker, *arguments, **options):
    return apache.tool(name, "--bootstrap-server", broker.bootstrap, *arguments, **options)


def test_java_clients(broker, topic):
    done = apache.source(paths.CLIENTS / "JavaRoundTrip.java", broker.bootstrap, topic)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


def test_topics(broker, topic):
    assert tool("kafka-topics", broker, "--create", "--topic", topic, "--partitions", "2",
                "--config", "retention.ms=3600000").stdout == f"Created topic {topic}.\n"
    assert topic in tool("kafka-topics", broker, "--list").stdout.splitlines()
    tool("kafka-topics", broker, "--alter", "--topic", topic, "--partitions", "3")
    described = tool("kafka-topics", broker, "--describe", "--topic", topic).stdout.splitlines()
    assert "PartitionCount: 3" in described[0] and "retention.ms=3600000" in described[0] and len(described) == 4
    again = tool("kafka-topics", broker, "--create", "--topic", topic, check=False)
    assert again.returncode == 1 and f"Topic '{topic}' already exists." in again.stdout
    fewer = tool("kafka-topics", broker, "--alter", "--topic", topic, "--partitions", "1", check=False)
    assert f"The topic {topic} currently has 3 partition(s); 1 would not be an increase." in fewer.stdout
    many = tool("kafka-topics", broker, "--create", "--topic", "x-" + topic, "--replication-factor", "3", check=False)
    assert many.returncode == 1 and "Unable to replicate the partition 3 time(s)" in many.stdout
    tool("kafka-topics", broker, "--delete", "--topic", topic)
    assert topic not in tool("kafka-topics", broker, "--list").stdout.splitlines()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_console_producer_and_consumer(broker, topic, group, protocol):
    tool("kafka-console-producer", broker, "--topic", topic, "--reader-property", "parse.key=true",
         "--reader-property", "parse.headers=true", stdin="h1:v1,h2:v2\tk1\thello\nh:x\tk2\tworld\n")
    read = tool("kafka-console-consumer", broker, "--topic", topic, "--from-beginning", "--max-messages", "2", "--group", group,
                "--command-property", f"group.protocol={protocol}",
                "--formatter-property", "print.key=true", "--formatter-property", "print.headers=true",
                "--formatter-property", "print.offset=true", "--formatter-property", "print.partition=true")
    assert sorted(read.stdout.splitlines()) == ["Partition:0\tOffset:0\th1:v1,h2:v2\tk1\thello", "Partition:0\tOffset:1\th:x\tk2\tworld"]
    assert "Processed a total of 2 messages" in read.stderr


def test_consumer_groups(broker, topic, group):
    tool("kafka-console-producer", broker, "--topic", topic, stdin="a\nb\nc\n")
    tool("kafka-console-consumer", broker, "--topic", topic, "--from-beginning", "--max-messages", "3", "--group", group)
    assert group in tool("kafka-consumer-groups", broker, "--list").stdout.splitlines()
    described = tool("kafka-consumer-groups", broker, "--describe", "--group", group)
    assert [line.split()[:6] for line in described.stdout.splitlines() if line.startswith(group)] == [[group, topic, "0", "3", "3", "0"]]
    state = tool("kafka-consumer-groups", broker, "--describe", "--group", group, "--state").stdout
    assert re.search(rf"{group} +{re.escape(broker.bootstrap)} +\(\d+\) .*Empty +0", state)
    reset = tool("kafka-consumer-groups", broker, "--reset-offsets", "--group", group, "--topic", topic, "--shift-by", "-2", "--execute")
    assert [line.split() for line in reset.stdout.splitlines() if line.startswith(group)] == [[group, topic, "0", "1"]]
    gone = tool("kafka-consumer-groups", broker, "--delete", "--group", group)
    assert f"Deletion of requested consumer groups ('{group}') was successful." in gone.stdout
    missing = tool("kafka-consumer-groups", broker, "--describe", "--group", group)
    assert f"Group {group} not found." in missing.stdout


def test_configs(broker, topic):
    librdkafka.create_topic(broker, topic)
    done = tool("kafka-configs", broker, "--alter", "--topic", topic, "--add-config", "retention.ms=5000,cleanup.policy=[compact,delete]")
    assert done.stdout == f"Completed updating config for topic {topic}.\n"
    lines = tool("kafka-configs", broker, "--describe", "--topic", topic).stdout.splitlines()
    assert lines[0] == f"Dynamic configs for topic {topic} are:"
    assert ("  cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, "
            "DEFAULT_CONFIG:log.cleanup.policy=delete}") in lines
    bad = tool("kafka-configs", broker, "--alter", "--topic", topic, "--add-config", "nope=1", check=False)
    assert bad.returncode == 1 and "Unknown topic config name: nope" in bad.stderr


def test_offsets_records_and_log_directories(broker, topic, tmp_path):
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [b"12345"] * 10)
    assert tool("kafka-get-offsets", broker, "--topic", topic).stdout == f"{topic}:0:10\n"
    wanted = tmp_path / "delete.json"
    wanted.write_text(json.dumps({"partitions": [{"topic": topic, "partition": 0, "offset": 4}], "version": 1}))
    assert f"partition: {topic}-0\tlow_watermark: 4" in tool("kafka-delete-records", broker, "--offset-json-file", wanted).stdout
    assert tool("kafka-get-offsets", broker, "--topic", topic, "--time", "earliest").stdout == f"{topic}:0:4\n"
    lines = tool("kafka-log-dirs", broker, "--describe", "--topic-list", topic).stdout.splitlines()
    (directory,) = json.loads(next(line for line in lines if line.startswith("{")))["brokers"][0]["logDirs"]
    (partition,) = directory["partitions"]
    assert partition["partition"] == f"{topic}-0" and partition["size"] > 0


def test_api_versions_and_cluster_id(broker):
    listing = tool("kafka-broker-api-versions", broker).stdout
    assert listing.startswith(f"{broker.bootstrap} (id: ") and "Produce(0): 0 to 13 [usable: 13]" in listing
    assert re.search(r"Cluster ID: [A-Za-z0-9_-]{22}", apache.tool("kafka-cluster", "cluster-id", "--bootstrap-server", broker.bootstrap).stdout)


@pytest.mark.parametrize("options", [["acks=all"], ["acks=1", "compression.type=lz4"]], ids=lambda options: options[-1])
def test_performance_tools(broker, topic, options):
    librdkafka.create_topic(broker, topic, partitions=2)
    done = apache.tool("kafka-producer-perf-test", "--topic", topic, "--num-records", "20000", "--record-size", "500", "--throughput", "-1",
                       "--bootstrap-server", broker.bootstrap, "--command-property", *options)
    assert re.search(r"20000 records sent, .* records/sec", done.stdout)
    read = tool("kafka-consumer-perf-test", broker, "--topic", topic, "--num-records", "20000", "--timeout", "30000")
    row = read.stdout.splitlines()[1].split(", ")
    assert int(row[4]) >= 20000


def test_end_to_end_latency(broker, topic):
    librdkafka.create_topic(broker, topic)
    done = tool("kafka-e2e-latency", broker, "--topic", topic, "--num-records", "100", "--producer-acks", "all", "--record-size", "100")
    assert "Avg latency:" in done.stdout


def test_verifiable_producer_and_consumer(broker, topic, group):
    librdkafka.create_topic(broker, topic, partitions=2)
    sent = tool("kafka-verifiable-producer", broker, "--topic", topic, "--max-messages", "200", "--acks", "-1")
    said = [json.loads(line) for line in sent.stdout.splitlines()]
    assert len([line for line in said if line["name"] == "producer_send_success"]) == 200
    read = tool("kafka-verifiable-consumer", broker, "--topic", topic, "--group-id", group, "--max-messages", "200",
                "--reset-policy", "earliest")
    said = [json.loads(line) for line in read.stdout.splitlines()]
    assert sum(line["count"] for line in said if line["name"] == "records_consumed") == 200
    assert any(line["name"] == "offsets_committed" and line["success"] for line in said)
