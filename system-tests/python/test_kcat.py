"""kcat, which ops people reach for first."""

import json

import pytest

from harness import librdkafka
from harness.scripts import run


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_produce_and_consume(broker, topic, codec):
    lines = [f"key-{number}:value-{number}" for number in range(200)]
    run(["kcat", "-b", broker.bootstrap, "-t", topic, "-P", "-K:", "-z", codec, "-H", "h=v"], stdin="\n".join(lines) + "\n")
    read = run(["kcat", "-b", broker.bootstrap, "-t", topic, "-C", "-o", "beginning", "-e", "-q", "-J"])
    messages = [json.loads(line) for line in read.stdout.splitlines()]
    assert [f"{message['key']}:{message['payload']}" for message in messages] == lines
    assert {tuple(message["headers"]) for message in messages} == {("h", "v")}


def test_metadata_listing(broker, topic):
    librdkafka.create_topic(broker, topic, partitions=5)
    listing = json.loads(run(["kcat", "-b", broker.bootstrap, "-L", "-J", "-t", topic]).stdout)
    assert [broker_["name"] for broker_ in listing["brokers"]] == [broker.bootstrap]
    (described,) = listing["topics"]
    assert described["topic"] == topic and len(described["partitions"]) == 5


def test_offsets_by_time_and_from_the_tail(broker, topic):
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [b"%d" % number for number in range(50)])
    assert "offset 50" in run(["kcat", "-b", broker.bootstrap, "-Q", "-t", f"{topic}:0:-1"]).stdout
    assert "offset 0" in run(["kcat", "-b", broker.bootstrap, "-Q", "-t", f"{topic}:0:-2"]).stdout
    assert "offset 0" in run(["kcat", "-b", broker.bootstrap, "-Q", "-t", f"{topic}:0:1000"]).stdout
    tail = run(["kcat", "-b", broker.bootstrap, "-C", "-t", topic, "-o", "-3", "-e", "-q"])
    assert tail.stdout.split() == ["47", "48", "49"]


def test_a_group_of_kcat(broker, topic, group):
    librdkafka.create_topic(broker, topic, partitions=2)
    librdkafka.produce(broker, topic, [b"a", b"b"], partition=0)
    librdkafka.produce(broker, topic, [b"c"], partition=1)
    read = run(["kcat", "-b", broker.bootstrap, "-G", group, topic, "-c", "3", "-q", "-X", "auto.offset.reset=earliest"])
    assert sorted(read.stdout.split()) == ["a", "b", "c"]
