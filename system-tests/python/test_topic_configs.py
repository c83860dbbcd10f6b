"""What a topic's configuration makes the log do."""

import time

import pytest
from confluent_kafka import Producer, TopicPartition

from harness import librdkafka, wire
from harness.wait import until

OVERRIDES = {
    "log.retention.check.interval.ms": 200,
    "log.cleaner.backoff.ms": 100,
    "log.segment.delete.delay.ms": 200,
    "file.delete.delay.ms": 200,
    "log.initial.task.delay.ms": 100,
}


def low_watermark(broker, topic):
    from confluent_kafka import Consumer
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "w"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[0]
    finally:
        consumer.close()


def test_retention_by_size_deletes_whole_old_segments(broker, topic):
    librdkafka.create_topic(broker, topic, config={"segment.bytes": str(1 << 20), "retention.bytes": str(2 << 20)})
    librdkafka.produce(broker, topic, [bytes([number % 256]) * 10000 for number in range(800)])
    low = until(lambda: low_watermark(broker, topic), "old segments are gone")
    until(lambda: len(list(broker.partition_directory(topic).glob("*.log"))) <= 4, "their files are gone")
    kept = librdkafka.read(broker, topic, start=low_watermark(broker, topic))
    assert kept[-1].offset() == 799 and len(kept) * 10000 >= 2 << 20
    assert low > 0
    with wire.Connection(broker.port) as client:
        assert wire.fetch_result(client.ask(wire.fetch(topic, 0)))[0] == wire.OFFSET_OUT_OF_RANGE


def test_retention_by_time_empties_the_log_and_keeps_its_end(broker, topic):
    librdkafka.create_topic(broker, topic, config={"retention.ms": "1000"})
    old = int(time.time() * 1000) - 3_600_000
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(20):
        producer.produce(topic, b"%d" % number, timestamp=old)
    assert producer.flush(20) == 0
    until(lambda: low_watermark(broker, topic) == 20, "expired records are gone")
    assert librdkafka.produce(broker, topic, [b"next"]) == [20]


def test_compaction_keeps_the_latest_record_of_each_key(broker, topic):
    librdkafka.create_topic(broker, topic, config={
        "cleanup.policy": "compact", "segment.ms": "300", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "300",
        "segment.bytes": str(1 << 20),
    })
    for round_ in range(5):
        librdkafka.produce(broker, topic, [(b"key-%d" % key, b"round-%d" % round_) for key in range(100)])
    librdkafka.produce(broker, topic, [(b"key-0", None), (b"key-1", None)])

    def compacted():
        # Writing makes the active segment roll.
        librdkafka.produce(broker, topic, [(b"ticker", b"x")])
        messages = [message for message in librdkafka.read(broker, topic) if message.key() != b"ticker"]
        return len(messages) <= 98 and messages

    messages = until(compacted, "duplicates and tombstones vanish", timeout=60, poll=0.3)
    assert {message.key(): message.value() for message in messages} == {b"key-%d" % key: b"round-4" for key in range(2, 100)}
    assert all(message.offset() >= 400 for message in messages), "offsets never change"


def test_a_compacted_topic_refuses_records_without_a_key(broker, topic):
    librdkafka.create_topic(broker, topic, config={"cleanup.policy": "compact"})
    with wire.Connection(broker.port) as client:
        assert wire.produce_result(client.ask(wire.produce(topic, wire.batch([b"keyless"]))))[0] == wire.INVALID_RECORD


@pytest.mark.parametrize("sent", ["none", "lz4"])
@pytest.mark.parametrize("stored", ["uncompressed", "gzip", "snappy", "lz4", "zstd"])
def test_a_forced_codec_is_what_the_segment_holds(broker, topic, stored, sent):
    librdkafka.create_topic(broker, topic, config={"compression.type": stored})
    values = [b"%d " % number * 50 for number in range(500)]
    assert librdkafka.produce(broker, topic, values, **{"compression.type": sent}) == list(range(500))
    assert librdkafka.values(librdkafka.read(broker, topic)) == values
    codec = {"uncompressed": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}[stored]
    data = broker.segments(topic)[-1].read_bytes()
    assert {data[position + 22] & 7 for position, *_ in wire.batches(data)} == {codec}


def test_log_append_time_is_the_brokers(broker, topic):
    librdkafka.create_topic(broker, topic, config={"message.timestamp.type": "LogAppendTime"})
    before = int(time.time() * 1000)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    told = []
    producer.produce(topic, b"x", timestamp=12345, on_delivery=lambda _, message: told.append(message.timestamp()))
    assert producer.flush(20) == 0
    (message,) = librdkafka.read(broker, topic)
    kind, timestamp = message.timestamp()
    assert kind == 2 and before <= timestamp <= int(time.time() * 1000)
    assert told == [(2, timestamp)]


def test_records_from_the_far_future_are_refused(broker, topic):
    librdkafka.create_topic(broker, topic)
    with wire.Connection(broker.port) as client:
        late = wire.batch([b"x"], timestamp=int(time.time() * 1000) + 2 * 3_600_000)
        assert wire.produce_result(client.ask(wire.produce(topic, late)))[0] == 32, "INVALID_TIMESTAMP"


def test_a_changed_configuration_works_at_once(broker, topic):
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    librdkafka.create_topic(broker, topic)
    with wire.Connection(broker.port) as client:
        big = wire.produce(topic, wire.batch([b"x" * 5000]))
        assert wire.produce_result(client.ask(big))[0] == wire.NONE
        change = ConfigEntry("max.message.bytes", "1000", incremental_operation=AlterConfigOpType.SET)
        (future,) = librdkafka.admin(broker).incremental_alter_configs(
            [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])]).values()
        future.result()
        assert wire.produce_result(client.ask(big))[0] == wire.MESSAGE_TOO_LARGE
