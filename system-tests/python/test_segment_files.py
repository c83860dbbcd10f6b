"""The data directory is Kafka's: its own dump tool reads ours, and we open one that Apache Kafka wrote."""

import os
import re
import shutil

import pytest
from confluent_kafka import Consumer, Producer

from harness import apache, librdkafka
from harness.wait import until

pytestmark = pytest.mark.slow

BATCH = re.compile(r"baseOffset: (\d+) lastOffset: (\d+) count: (\d+) .* compresscodec: (\w+) crc: \d+ isvalid: (\w+)")


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_the_original_dump_tool_reads_our_segments_and_indexes(new_server, topic, ending):
    server = new_server({"log.segment.bytes": 1 << 20}).start()
    librdkafka.create_topic(server, topic)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        librdkafka.produce(server, topic, [(b"k%d" % number, os.urandom(200)) for number in range(1500)],
                           **{"compression.type": codec, "enable.idempotence": True, "batch.num.messages": 100})
    getattr(server, ending)()
    segments = server.segments(topic)
    assert len(segments) >= 2
    files = ",".join(map(str, segments))
    dumped = apache.tool("kafka-dump-log", "--files", files, "--deep-iteration", "--print-data-log").stdout
    batches = [match.groups() for match in BATCH.finditer(dumped)]
    assert {codec for *_, codec, _valid in batches} == {"none", "gzip", "snappy", "lz4", "zstd"}
    assert {valid for *_, valid in batches} == {"true"}
    following = 0
    for base, last, count, *_ in batches:
        assert int(base) == following and int(count) == int(last) - int(base) + 1
        following = int(last) + 1
    assert following == 7500
    assert len(re.findall(r"^\| offset: ", dumped, re.M)) == 7500

    directory = server.partition_directory(topic)
    closed = segments[:-1] if ending == "kill" else segments
    indexes = [path.with_suffix(suffix) for path in closed for suffix in (".index", ".timeindex")]
    checked = apache.tool("kafka-dump-log", "--files", ",".join(map(str, indexes)), "--verify-index-only")
    assert "mismatch" not in checked.stdout + checked.stderr and "out of order" not in checked.stdout + checked.stderr
    sane = apache.tool("kafka-dump-log", "--files", ",".join(map(str, indexes)), "--index-sanity-check")
    assert sane.stdout.count("passed sanity check") == len(indexes), sane.stdout
    snapshots = sorted(directory.glob("*.snapshot"))
    if ending == "stop":
        assert snapshots, "a clean stop leaves a snapshot of the producers"
        assert "producerId:" in apache.tool("kafka-dump-log", "--files", str(snapshots[-1])).stdout


def test_the_original_dump_tool_reads_our_group_metadata(new_server, topic):
    server = new_server({"offsets.topic.num.partitions": 1}).start()
    librdkafka.produce(server, topic, [b"x"])
    for protocol in ("classic", "consumer"):
        consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": f"g-{protocol}", "auto.offset.reset": "earliest",
                             "group.protocol": protocol})
        consumer.subscribe([topic])
        until(lambda: consumer.poll(0.2), "a record", timeout=40, poll=0)
        consumer.commit(asynchronous=False)
        consumer.close()
    server.stop()
    files = ",".join(map(str, server.segments("__consumer_offsets")))
    dumped = apache.tool("kafka-dump-log", "--files", files, "--offsets-decoder", "--print-data-log").stdout
    commits = re.findall(r'"type":"?1"?.*?"group":"(g-\w+)","topic":"([^"]+)","partition":0', dumped)
    assert {(group, topic) for group in ("g-classic", "g-consumer")} <= set(commits), dumped[-3000:]
    assert '"offset":1' in dumped
    assert "protocolType" in dumped


def test_a_data_directory_of_apache_kafka_opens(new_server, tmp_path):
    kafka = apache.Broker(tmp_path / "apache", {"log.segment.bytes": 1 << 20}).start()
    try:
        client = librdkafka.admin(kafka)
        librdkafka.create_topic(kafka, "moved", partitions=2, config={"retention.ms": "-1"})
        values = {0: [os.urandom(1000) for _ in range(3000)], 1: [b"p1-%d" % number for number in range(500)]}
        librdkafka.produce(kafka, "moved", values[0], partition=0, **{"enable.idempotence": True})
        librdkafka.produce(kafka, "moved", values[1], partition=1, **{"compression.type": "zstd"})
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": "t"})
        producer.init_transactions(30)
        for outcome in (producer.abort_transaction, producer.commit_transaction):
            producer.begin_transaction()
            producer.produce("moved", outcome.__name__.encode(), partition=1)
            producer.flush(20)
            outcome(30)
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "mover", "auto.offset.reset": "earliest",
                             "enable.auto.commit": False})
        consumer.subscribe(["moved"])
        seen = []
        until(lambda: seen.append(consumer.poll(0.2)) or len([m for m in seen if m]) >= 1000, "half is read", timeout=40, poll=0)
        consumer.commit(asynchronous=False)
        committed = {p.partition: p.offset for p in consumer.position(consumer.assignment())}
        consumer.close()
        del client
    finally:
        kafka.stop()

    server = new_server({"log.segment.bytes": 1 << 20})
    shutil.copytree(kafka.data, server.data)
    server.start()
    topics = librdkafka.admin(server).list_topics(timeout=10).topics
    assert len(topics["moved"].partitions) == 2
    assert librdkafka.values(librdkafka.read(server, "moved", 0)) == values[0]
    committed_only = librdkafka.values(librdkafka.read(server, "moved", 1, **{"isolation.level": "read_committed"}))
    assert committed_only == [*values[1], b"commit_transaction"]
    uncommitted = librdkafka.values(librdkafka.read(server, "moved", 1, **{"isolation.level": "read_uncommitted"}))
    assert uncommitted == [*values[1], b"abort_transaction", b"commit_transaction"]
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "mover"})
    from confluent_kafka import TopicPartition
    found = consumer.committed([TopicPartition("moved", number) for number in range(2)], timeout=20)
    consumer.close()
    assert {p.partition: p.offset for p in found if p.offset >= 0} == {p: o for p, o in committed.items() if o >= 0}
    assert librdkafka.produce(server, "moved", [b"by milena"], partition=0) == [3000]
