"""Everything the tests ask of kafka-python, in one script that runs under 2.0.2 and under the newest.

Usage: kafka_python_roundtrip.py BOOTSTRAP TOPIC SCENARIO. Exit code 0 means that every assertion held.
"""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewPartitions, NewTopic

BOOTSTRAP, TOPIC, SCENARIO = sys.argv[1:4]


def create(partitions=1, **config):
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    admin.create_topics([NewTopic(TOPIC, partitions, 1, topic_configs=config)])
    admin.close()


def read_all(expected, **options):
    consumer = KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, auto_offset_reset="earliest", consumer_timeout_ms=20000, **options)
    out = []
    for message in consumer:
        out.append(message)
        if len(out) == expected:
            break
    consumer.close()
    assert len(out) == expected, "%d of %d records" % (len(out), expected)
    return out


def codecs():
    """Every codec, each record back with key, value, headers and timestamp."""
    create()
    names = [None, "gzip", "snappy", "lz4", "zstd"]
    for name in names:
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=name, linger_ms=20, acks="all")
        futures = [producer.send(TOPIC, key=str(name).encode(), value=b"%d" % number, headers=[("h", b"v")], timestamp_ms=1000 + number)
                   for number in range(200)]
        offsets = [future.get(20).offset for future in futures]
        assert offsets == list(range(offsets[0], offsets[0] + 200)), offsets
        producer.close()
    messages = read_all(200 * len(names))
    for index, message in enumerate(messages):
        assert message.offset == index
        assert message.key == str(names[index // 200]).encode()
        assert message.value == b"%d" % (index % 200)
        assert message.timestamp == 1000 + index % 200
        assert message.headers == [("h", b"v")]


def acks():
    """acks 0, 1 and all; null keys and null values."""
    create()
    for level in (0, 1, "all"):
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks=level)
        producer.send(TOPIC, value=b"acks")
        producer.send(TOPIC, key=b"tombstone", value=None)
        producer.flush()
        producer.close()
    messages = read_all(6)
    assert [(message.key, message.value) for message in messages] == [(None, b"acks"), (b"tombstone", None)] * 3


def old_versions():
    """The versions a client sends that was told an old broker's: everything down to 0.10 (magic 1)."""
    create()
    for number, version in enumerate([(0, 10, 1), (0, 11), (1, 0, 0), (2, 0, 0), (2, 5, 0)]):
        producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, api_version=version, acks="all")
        assert producer.send(TOPIC, value=b"%d" % number).get(20).offset == number, version
        producer.close()
        messages = read_all(number + 1, api_version=version, group_id="old-%d" % number)
        assert [message.value for message in messages] == [b"%d" % index for index in range(number + 1)], version


def groups():
    """Commits, committed positions, lag of a group; a second run reads only what is new."""
    create(partitions=3)
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for number in range(30):
        producer.send(TOPIC, value=b"%d" % number, partition=number % 3)
    producer.flush()
    group = "group-" + TOPIC
    first = read_all(30, group_id=group, enable_auto_commit=False)
    assert sorted(int(message.value) for message in first) == list(range(30))
    consumer = KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=group, auto_offset_reset="earliest",
                             enable_auto_commit=False, consumer_timeout_ms=20000)
    again = [next(consumer) for _ in range(30)]
    assert sorted(int(message.value) for message in again) == list(range(30)), "nothing was committed before"
    consumer.commit()
    consumer.close()
    producer.send(TOPIC, value=b"new", partition=1)
    producer.flush()
    assert [message.value for message in read_all(1, group_id=group)] == [b"new"]
    admin = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    list_offsets = getattr(admin, "list_consumer_group_offsets", None) or admin.list_group_offsets
    offsets = list_offsets(group)
    if offsets and all(isinstance(key, str) for key in offsets):
        offsets = offsets[group]
    assert offsets[TopicPartition(TOPIC, 0)].offset == 10
    admin.close()


def positions():
    """Beginning and end offsets, offsets for times, seek, pause."""
    create()
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for number in range(10):
        producer.send(TOPIC, value=b"%d" % number, timestamp_ms=1_000_000 + number * 1000)
    producer.flush()
    partition = TopicPartition(TOPIC, 0)
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 10}
    assert consumer.offsets_for_times({partition: 1_004_500})[partition].offset == 5
    assert consumer.offsets_for_times({partition: 9_000_000})[partition] is None
    consumer.assign([partition])
    consumer.seek(partition, 7)
    assert next(consumer).value == b"7"
    consumer.seek_to_beginning(partition)
    assert next(consumer).value == b"0"
    assert consumer.partitions_for_topic(TOPIC) == {0}
    consumer.close()


def admin():
    """Configurations, more partitions, delete and create again."""
    create(partitions=1, **{"retention.ms": "77777"})
    client = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    described = str(client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, TOPIC)]))
    assert "77777" in described
    client.create_partitions({TOPIC: NewPartitions(4)})
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP)
    deadline = time.monotonic() + 10
    while consumer.partitions_for_topic(TOPIC) != {0, 1, 2, 3}:
        assert time.monotonic() < deadline
        consumer.topics()
    consumer.close()
    for _ in range(3):
        client.delete_topics([TOPIC])
        client.create_topics([NewTopic(TOPIC, 1, 1)])
    assert TOPIC in client.list_topics()
    client.close()


{function.__name__: function for function in (codecs, acks, old_versions, groups, positions, admin)}[SCENARIO]()
