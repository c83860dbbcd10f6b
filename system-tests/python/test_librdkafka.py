"""confluent-kafka for Python, so librdkafka, which most other languages' clients wrap."""

import threading

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType,
)

from harness import librdkafka
from harness.wait import until

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("idempotent", [False, True], ids=["plain", "idempotent"])
def test_every_codec_comes_back_as_it_was_sent(broker, topic, codec, idempotent):
    librdkafka.create_topic(broker, topic)
    records = [(b"key-%d" % number, b"value-%d " % number * 20) for number in range(2000)]
    offsets = librdkafka.produce(broker, topic, records, **{"compression.type": codec, "enable.idempotence": idempotent})
    assert offsets == list(range(2000))
    read = librdkafka.read(broker, topic)
    assert [(message.key(), message.value()) for message in read] == records
    assert {message.timestamp()[0] for message in read} == {1}


def test_headers_nulls_and_timestamps(broker, topic):
    librdkafka.create_topic(broker, topic)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    headers = [("trace", b"\x00\xff"), ("empty", b""), ("null", None), ("trace", b"twice")]
    producer.produce(topic, None, b"tombstone", headers=headers, timestamp=1234567890123)
    producer.produce(topic, b"", b"", timestamp=1234567890124)
    assert producer.flush(20) == 0
    first, second = librdkafka.read(broker, topic)
    assert (first.key(), first.value(), first.headers(), first.timestamp()) == (b"tombstone", None, headers, (1, 1234567890123))
    assert (second.key(), second.value(), second.headers()) == (b"", b"", None)


def test_large_records_up_to_the_limit(broker, topic):
    librdkafka.create_topic(broker, topic, config={"max.message.bytes": "8000000"})
    big = bytes(range(256)) * 28000
    assert librdkafka.produce(broker, topic, [big, b"small", big], **{"message.max.bytes": 8_000_000}) == [0, 1, 2]
    assert librdkafka.values(librdkafka.read(broker, topic, **{"fetch.message.max.bytes": 1000})) == [big, b"small", big]


def test_topics_are_created_by_use(broker, topic):
    assert librdkafka.produce(broker, topic, [b"first"]) == [0]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_consumer_group_reads_commits_and_goes_on(broker, topic, group, protocol):
    librdkafka.create_topic(broker, topic, partitions=3)
    for partition in range(3):
        librdkafka.produce(broker, topic, [b"%d" % number for number in range(100)], partition=partition)
    options = {"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
               "group.protocol": protocol, "enable.auto.commit": False}

    def read(count):
        consumer = Consumer(options)
        consumer.subscribe([topic])
        seen = []

        def more():
            message = consumer.poll(0.2)
            if message is not None:
                assert not message.error(), message.error()
                seen.append((message.partition(), message.offset()))
            return len(seen) >= count

        until(more, f"{count} records", timeout=60, poll=0)
        consumer.commit(asynchronous=False)
        committed = {p.partition: p.offset for p in consumer.committed([TopicPartition(topic, n) for n in range(3)], timeout=20)}
        consumer.close()
        assert len(set(seen)) == count
        return committed

    assert read(300) == {0: 100, 1: 100, 2: 100}
    librdkafka.produce(broker, topic, [b"new"], partition=2)
    assert read(1)[2] == 101


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "cooperative-sticky"])
def test_classic_assignors(broker, topic, group, strategy):
    librdkafka.create_topic(broker, topic, partitions=4)
    members = [Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "partition.assignment.strategy": strategy,
                         "session.timeout.ms": 6000, "heartbeat.interval.ms": 300}) for _ in range(2)]
    try:
        for member in members:
            member.subscribe([topic])

        def balanced():
            for member in members:
                member.poll(0.05)
            return sorted(len(member.assignment()) for member in members) == [2, 2]

        until(balanced, "two partitions each", timeout=60, poll=0)
        members.pop().close()

        def alone():
            members[0].poll(0.05)
            return len(members[0].assignment()) == 4

        until(alone, "the other's partitions", timeout=60, poll=0)
    finally:
        for member in members:
            member.close()


def test_static_members_come_back_without_a_rebalance(broker, topic, group):
    librdkafka.create_topic(broker, topic, partitions=2)
    options = {"bootstrap.servers": broker.bootstrap, "group.id": group, "session.timeout.ms": 30000, "heartbeat.interval.ms": 300}
    rebalances = []

    def join(name):
        consumer = Consumer({**options, "group.instance.id": name})
        consumer.subscribe([topic], on_assign=lambda _, partitions: rebalances.append((name, len(partitions))))
        return consumer

    first, second = join("one"), join("two")
    try:
        def balanced():
            first.poll(0.05)
            second.poll(0.05)
            return len(first.assignment()) == len(second.assignment()) == 1

        until(balanced, "one partition each", timeout=60, poll=0)
        kept = second.assignment()
        second.close()
        before = len([name for name, _ in rebalances if name == "one"])
        second = join("two")
        until(balanced, "the static member is back", timeout=60, poll=0)
        assert second.assignment() == kept
        assert len([name for name, _ in rebalances if name == "one"]) == before, "the other member was disturbed"
    finally:
        first.close()
        second.close()


def test_offsets_by_every_specification(broker, topic):
    librdkafka.create_topic(broker, topic)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number, timestamp in enumerate([1000, 5000, 3000]):
        producer.produce(topic, b"%d" % number, timestamp=timestamp)
        producer.flush(20)
    client = librdkafka.admin(broker)
    partition = TopicPartition(topic, 0)
    for spec, expected in [(OffsetSpec.earliest(), 0), (OffsetSpec.latest(), 3), (OffsetSpec.max_timestamp(), 1),
                           (OffsetSpec.for_timestamp(1001), 1), (OffsetSpec.for_timestamp(9999), -1)]:
        (future,) = client.list_offsets({partition: spec}, request_timeout=20).values()
        assert future.result().offset == expected, spec


def test_admin_topics(broker, topic):
    client = librdkafka.admin(broker)

    def error_of(futures):
        (future,) = futures.values()
        problem = future.exception()
        return problem.args[0].code() if problem else None

    assert error_of(client.create_topics([NewTopic(topic, 2, 1)], validate_only=True)) is None
    assert topic not in client.list_topics(timeout=10).topics
    assert error_of(client.create_topics([NewTopic(topic, 2, 1)])) is None
    assert error_of(client.create_topics([NewTopic(topic, 2, 1)])) == KafkaError.TOPIC_ALREADY_EXISTS
    assert error_of(client.create_topics([NewTopic("bad name", 2, 1)])) == KafkaError.TOPIC_EXCEPTION
    assert error_of(client.create_topics([NewTopic(topic + "-r", 2, 3)])) == KafkaError.INVALID_REPLICATION_FACTOR
    assert error_of(client.create_topics([NewTopic(topic + "-p", 0, 1)])) == KafkaError.INVALID_PARTITIONS
    assert error_of(client.create_topics([NewTopic(topic + "-c", 1, 1, config={"nope": "1"})])) == KafkaError.INVALID_CONFIG
    assert error_of(client.create_partitions([NewPartitions(topic, 5)])) is None
    until(lambda: len(client.list_topics(topic, timeout=10).topics[topic].partitions) == 5, "five partitions")
    assert error_of(client.create_partitions([NewPartitions(topic, 3)])) == KafkaError.INVALID_PARTITIONS
    assert error_of(client.delete_topics([topic])) is None
    assert error_of(client.delete_topics([topic])) == KafkaError.UNKNOWN_TOPIC_OR_PART
    for _ in range(5):
        assert error_of(client.create_topics([NewTopic(topic, 1, 1)])) is None
        assert librdkafka.produce(broker, topic, [b"x"]) == [0]
        assert error_of(client.delete_topics([topic])) is None


def test_admin_explicit_replica_assignment(broker, topic):
    client = librdkafka.admin(broker)
    (node,) = client.list_topics(timeout=10).brokers
    (future,) = client.create_topics([NewTopic(topic, num_partitions=2, replica_assignment=[[node], [node]])]).values()
    future.result()
    assert len(client.list_topics(topic, timeout=10).topics[topic].partitions) == 2


def test_admin_configurations(broker, topic):
    librdkafka.create_topic(broker, topic, config={"retention.ms": "1000000"})
    client = librdkafka.admin(broker)

    def described():
        (future,) = client.describe_configs([ConfigResource(ResourceType.TOPIC, topic)]).values()
        return future.result()

    assert described()["retention.ms"].value == "1000000"
    assert described()["retention.ms"].source == 1, "DYNAMIC_TOPIC_CONFIG"
    assert described()["cleanup.policy"].value == "delete" and described()["cleanup.policy"].is_default

    def alter(**entries):
        changes = [ConfigEntry(name.replace("_", "."), value, incremental_operation=operation)
                   for name, (operation, value) in entries.items()]
        (future,) = client.incremental_alter_configs(
            [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changes)]).values()
        return future.exception()

    assert alter(max_message_bytes=(AlterConfigOpType.SET, "4321"), retention_ms=(AlterConfigOpType.DELETE, None),
                 cleanup_policy=(AlterConfigOpType.APPEND, "compact")) is None
    config = described()
    assert config["max.message.bytes"].value == "4321"
    assert config["retention.ms"].value == "604800000"
    assert sorted(config["cleanup.policy"].value.split(",")) == ["compact", "delete"]
    assert alter(nonsense=(AlterConfigOpType.SET, "1")).args[0].code() == KafkaError.INVALID_CONFIG
    assert alter(retention_ms=(AlterConfigOpType.SET, "soon")).args[0].code() == KafkaError.INVALID_CONFIG
    with pytest.raises(Exception, match="MSG_SIZE_TOO_LARGE|too large|larger"):
        _produce_or_raise(broker, topic, b"x" * 6000)


def _produce_or_raise(broker, topic, value):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 10000})
    failures = []
    producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    producer.flush(20)
    if failures:
        raise RuntimeError(str(failures[0]))


def test_admin_groups(broker, topic, group):
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [b"%d" % number for number in range(10)])
    client = librdkafka.admin(broker)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                         "client.id": "the-client", "enable.auto.commit": False})
    consumer.subscribe([topic])
    until(lambda: consumer.poll(0.2), "a record", timeout=40, poll=0)

    def describe():
        (future,) = client.describe_consumer_groups([group], request_timeout=20).values()
        return future.result()

    described = describe()
    assert described.state.name == "STABLE"
    (member,) = described.members
    assert member.client_id == "the-client"
    assert [(p.topic, p.partition) for p in member.assignment.topic_partitions] == [(topic, 0)]
    (future,) = client.delete_consumer_groups([group], request_timeout=20).values()
    assert future.exception().args[0].code() == KafkaError.NON_EMPTY_GROUP
    consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    consumer.close()
    until(lambda: describe().state.name == "EMPTY", "the group is empty")

    from confluent_kafka import ConsumerGroupTopicPartitions
    (future,) = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    assert [(p.topic, p.partition, p.offset) for p in future.result().topic_partitions] == [(topic, 0, 4)]
    (future,) = client.alter_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 7)])]).values()
    future.result()
    (future,) = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    assert future.result().topic_partitions[0].offset == 7
    (future,) = client.delete_consumer_groups([group], request_timeout=20).values()
    future.result()
    listed = client.list_consumer_groups(request_timeout=20).result().valid
    assert group not in [entry.group_id for entry in listed]


def test_admin_delete_records(broker, topic):
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [b"%d" % number for number in range(100)])
    client = librdkafka.admin(broker)
    (future,) = client.delete_records([TopicPartition(topic, 0, 40)]).values()
    assert future.result().low_watermark == 40
    assert [message.offset() for message in librdkafka.read(broker, topic, start=40)] == list(range(40, 100))
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "x"})
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10) == (40, 100)
    consumer.close()


def test_admin_describe_cluster_and_topics(broker, topic):
    from confluent_kafka import TopicCollection

    librdkafka.create_topic(broker, topic, partitions=3)
    client = librdkafka.admin(broker)
    cluster = client.describe_cluster(request_timeout=20).result()
    assert [f"{node.host}:{node.port}" for node in cluster.nodes] == [broker.bootstrap]
    assert cluster.controller.port == broker.port
    (future,) = client.describe_topics(TopicCollection([topic]), request_timeout=20).values()
    description = future.result()
    assert len(description.partitions) == 3 and not description.is_internal
    assert all(len(partition.isr) == 1 for partition in description.partitions)


def test_many_producers_at_once_keep_their_order(broker, topic):
    librdkafka.create_topic(broker, topic)
    threads = [threading.Thread(target=librdkafka.produce, args=(
        broker, topic, [b"%d:%d" % (name, number) for number in range(3000)]), kwargs={"enable.idempotence": True}) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = {name: [] for name in range(6)}
    for value in librdkafka.values(librdkafka.read(broker, topic)):
        name, number = value.split(b":")
        seen[int(name)].append(int(number))
    assert seen == {name: list(range(3000)) for name in range(6)}
