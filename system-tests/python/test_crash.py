"""Crashes: kill -9 under load, torn tails, corrupt indexes. One oracle judges (harness/oracle.py)."""

import os
import random

import pytest

from harness import librdkafka, oracle, wire
from harness.wait import until

ROUNDS = 10

WRITERS = {
    "idempotent": {"enable.idempotence": True},
    "acks-all": {"acks": "all", "retries": 0},
    "acks-1": {"acks": "1", "retries": 0},
    "acks-all-lz4": {"acks": "all", "retries": 0, "compression.type": "lz4"},
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("writer", WRITERS)
def test_kill_9_under_load_keeps_each_acknowledged_record_exactly_once(new_server, topic, writer):
    # Segments of a megabyte, so that kills also meet rolls, index trims and snapshots.
    server = new_server({"log.segment.bytes": 1 << 20, "log.flush.offset.checkpoint.interval.ms": 200}).start()
    librdkafka.create_topic(server, topic)
    generator = random.Random(writer)
    load = oracle.Writer(server, topic, name="w0", **WRITERS[writer])
    load.start()
    for number in range(ROUNDS):
        goal = len(load.acknowledged) + generator.randrange(50, 3000)
        until(lambda: len(load.acknowledged) >= goal, f"progress in round {number}", timeout=60, poll=0.002)
        server.kill()
        server.start()
    load.finish()
    assert not load.fatal, load.fatal[:3]
    if writer == "idempotent":
        assert not load.failures, f"an idempotent producer rides through restarts: {load.failures[:3]}"
    read = oracle.judge(server, topic, [load])
    assert read >= len(load.acknowledged) > 0
    if writer == "idempotent":
        assert read == load.sent


@pytest.mark.slow
def test_kill_9_while_many_partitions_are_written(new_server, topic):
    from confluent_kafka import Producer

    server = new_server().start()
    librdkafka.create_topic(server, topic, partitions=50)
    acknowledged = {}

    def delivered(error, message):
        if not error:
            acknowledged[message.value()] = (message.partition(), message.offset())

    producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "linger.ms": 2,
                         "reconnect.backoff.max.ms": 200, "retry.backoff.ms": 20})
    for number in range(6000):
        producer.produce(topic, b"%d" % number, partition=number % 50, on_delivery=delivered)
        producer.poll(0)
        if number % 2000 == 1999:
            until(lambda: producer.poll(0.01) is not None and len(acknowledged) > number - 1500, "some are acknowledged")
            server.kill()
            server.start()
    assert producer.flush(60) == 0
    assert len(acknowledged) == 6000
    found = {}
    for partition in range(50):
        for message in librdkafka.read(server, topic, partition):
            assert message.value() not in found
            found[message.value()] = (partition, message.offset())
    assert found == acknowledged


def _filled(new_server, topic, count=2000, **overrides):
    """A server with `count` acknowledged records in one partition, each in a batch of its own, killed."""
    server = new_server(overrides).start()
    librdkafka.create_topic(server, topic)
    values = [b"value-%05d" % number for number in range(count)]
    librdkafka.produce(server, topic, values, **{"batch.num.messages": 7})
    return server, values


def _end_of_batches(path):
    ends = [position + size for position, size, *_ in wire.batches(path.read_bytes())]
    return ends[-1]


@pytest.mark.parametrize("tail", ["random bytes", "zeros", "half a batch", "a batch with a wrong checksum", "a batch of the wrong offset"],
                         ids=lambda tail: tail.replace(" ", "-"))
def test_a_torn_tail_is_dropped_and_nothing_else(new_server, topic, tail):
    server, values = _filled(new_server, topic)
    server.kill()
    segment = server.segments(topic)[-1]
    end = _end_of_batches(segment)
    whole = wire.batch([b"torn"], base_offset=len(values))
    torn = {
        "random bytes": os.urandom(777),
        "zeros": bytes(4096),
        "half a batch": whole[: len(whole) // 2],
        "a batch with a wrong checksum": wire.batch([b"torn"], base_offset=len(values), crc=1),
        "a batch of the wrong offset": wire.batch([b"torn"], base_offset=3),
    }[tail]
    with open(segment, "r+b") as file:
        file.seek(end)
        file.write(torn)
    server.start()
    assert librdkafka.values(librdkafka.read(server, topic)) == values
    assert librdkafka.produce(server, topic, [b"after"]) == [len(values)]
    server.restart()
    assert librdkafka.values(librdkafka.read(server, topic)) == [*values, b"after"]


def test_a_tail_cut_inside_the_last_batch_loses_only_that_batch(new_server, topic):
    server, values = _filled(new_server, topic)
    server.kill()
    segment = server.segments(topic)[-1]
    *_, (position, size, base, _last) = wire.batches(segment.read_bytes())
    os.truncate(segment, position + size - 5)
    server.start()
    assert librdkafka.values(librdkafka.read(server, topic)) == values[:base]
    assert librdkafka.produce(server, topic, [b"after"]) == [base]


@pytest.mark.parametrize("stop", ["kill", "stop"])
@pytest.mark.parametrize("damage", ["garbage", "removed", "cut to an odd size", "empty"], ids=lambda name: name.replace(" ", "-"))
def test_corrupt_indexes_are_rebuilt(new_server, topic, damage, stop):
    server, values = _filled(new_server, topic, count=20000, **{"log.segment.bytes": 1 << 20, "log.index.interval.bytes": 512})
    # More than one segment, so that indexes of closed segments are hurt as well.
    values += [os.urandom(10) * 1000 for _ in range(300)]
    librdkafka.produce(server, topic, values[20000:])
    assert len(server.segments(topic)) > 2
    getattr(server, stop)()
    directory = server.partition_directory(topic)
    hurt = [*directory.glob("*.index"), *directory.glob("*.timeindex")]
    assert hurt
    for path in hurt:
        if damage == "garbage":
            path.write_bytes(os.urandom(max(path.stat().st_size // 24 * 24, 240)))
        elif damage == "removed":
            path.unlink()
        elif damage == "empty":
            os.truncate(path, 0)
        else:
            path.write_bytes(path.read_bytes()[:31] or b"\1" * 31)
    server.start()
    assert librdkafka.values(librdkafka.read(server, topic)) == values
    for offset in (1, 777, 13001, 19999, 20150):
        first = librdkafka.read(server, topic, start=offset)[0]
        assert (first.offset(), first.value()) == (offset, values[offset])
    assert _offset_for_time(server, topic, 0) == 0
    assert librdkafka.produce(server, topic, [b"after"]) == [len(values)]


def _offset_for_time(server, topic, timestamp):
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "times"})
    try:
        (answer,) = consumer.offsets_for_times([TopicPartition(topic, 0, timestamp)], timeout=20)
        return answer.offset
    finally:
        consumer.close()


def test_lost_checkpoints_and_snapshots_are_rebuilt_after_a_kill(new_server, topic):
    server, values = _filled(new_server, topic)
    server.kill()
    for pattern in ("*-checkpoint", "*.snapshot"):
        for path in server.data.rglob(pattern):
            path.unlink()
    server.start()
    assert librdkafka.values(librdkafka.read(server, topic)) == values
    assert librdkafka.produce(server, topic, [b"after"]) == [len(values)]


@pytest.mark.parametrize("ending", ["kill", "stop"])
def test_duplicates_are_known_after_a_restart(new_server, topic, ending):
    """The last batches of a producer are remembered: the same sequence again answers the first offset (KIP-98)."""
    server = new_server().start()
    librdkafka.create_topic(server, topic)
    batch = wire.batch([b"a", b"b"], producer=(4242, 0, 0))
    with wire.Connection(server.port) as client:
        assert wire.produce_result(client.ask(wire.produce(topic, batch))) == (wire.NONE, 0)
    getattr(server, ending)()
    server.start()
    with wire.Connection(server.port) as client:
        assert wire.produce_result(client.ask(wire.produce(topic, batch))) == (wire.NONE, 0)
        following = wire.batch([b"c"], producer=(4242, 0, 2))
        assert wire.produce_result(client.ask(wire.produce(topic, following))) == (wire.NONE, 2)
        gap = wire.batch([b"d"], producer=(4242, 0, 9))
        error, _ = wire.produce_result(client.ask(wire.produce(topic, gap)))
        assert error == 45, "OUT_OF_ORDER_SEQUENCE_NUMBER"
    assert librdkafka.values(librdkafka.read(server, topic)) == [b"a", b"b", b"c"]
