"""Enemies on the socket: whatever arrives, the server answers properly or closes, stays small, and serves the others."""

import os
import random
import socket
import struct
import time

import pytest

from harness import librdkafka, wire
from harness.wait import until

OVERRIDES = {"connections.max.idle.ms": 600000}
MIB = 1 << 20


@pytest.fixture(autouse=True)
def still_serving(broker):
    """After every enemy: the server runs, is not bloated, and a polite client is answered at once."""
    yield
    with wire.Connection(broker.port, timeout=5) as polite:
        polite.ask(wire.metadata([]))
    assert broker.resident_bytes() < 400 * MIB


def test_garbage_bytes_close_the_connection(broker):
    generator = random.Random(7)
    for _ in range(50):
        with wire.Connection(broker.port) as enemy:
            garbage = generator.randbytes(generator.randrange(1, 4096))
            # The first byte set makes the length negative or far above socket.request.max.bytes.
            enemy.send(bytes([garbage[0] | 0x40]) + garbage[1:].ljust(7, b"\xff"))
            assert enemy.closed_by_peer()


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0x7FFFFFFE, -1, -0x80000000, 104857601], ids=str)
def test_absurd_lengths_close_the_connection_without_allocating(broker, length):
    before = broker.resident_bytes()
    with wire.Connection(broker.port) as enemy:
        enemy.send(struct.pack(">i", length))
        assert enemy.closed_by_peer()
    assert broker.resident_bytes() - before < 32 * MIB


@pytest.mark.parametrize("length", [0, 1, 7], ids=str)
def test_frames_too_short_for_a_header_close_the_connection(broker, length):
    with wire.Connection(broker.port) as enemy:
        enemy.send(struct.pack(">i", length) + b"\0" * length)
        assert enemy.closed_by_peer()


def test_truncated_frames_are_harmless(broker):
    frame = wire.produce("never-there", wire.batch([b"value"]))
    for cut in range(0, len(frame), 3):
        with wire.Connection(broker.port) as enemy:
            enemy.send(frame[:cut])


def test_bodies_shorter_than_their_fields_close_the_connection(broker):
    """The length is honest, the body stops in the middle of a field."""
    whole = wire.produce("never-there", wire.batch([b"value"]))[4:]
    for cut in range(11, len(whole), 5):
        with wire.Connection(broker.port) as enemy:
            enemy.send(struct.pack(">i", cut) + whole[:cut])
            assert enemy.closed_by_peer(), f"cut at {cut}"


@pytest.mark.parametrize("count", [0x7FFFFFFF, 0x7FFFFFF0, 0x10000000, -2, -0x80000000], ids=str)
@pytest.mark.parametrize("api", ["metadata", "produce", "fetch"])
def test_array_counts_without_elements_close_the_connection_without_allocating(broker, api, count):
    counted = struct.pack(">i", count)
    frame = {
        "metadata": wire.request(wire.METADATA, 1, counted),
        "produce": wire.request(wire.PRODUCE, 7, struct.pack(">hhi", -1, -1, 1000) + counted),
        "fetch": wire.request(wire.FETCH, 4, struct.pack(">iiiib", -1, 0, 0, 1024, 0) + counted),
    }[api]
    before = broker.resident_bytes()
    with wire.Connection(broker.port) as enemy:
        enemy.send(frame)
        assert enemy.closed_by_peer()
    assert broker.resident_bytes() - before < 32 * MIB


def test_unknown_api_keys_and_versions_close_the_connection(broker):
    for key, version in [(999, 0), (-1, 0), (wire.METADATA, 99), (wire.FETCH, -5), (wire.PRODUCE, 0x7FFF)]:
        with wire.Connection(broker.port) as enemy:
            enemy.send(wire.request(key, version, b"\0" * 32))
            assert enemy.closed_by_peer(), (key, version)


def test_api_versions_from_the_future_are_answered_in_version_0(broker):
    with wire.Connection(broker.port) as client:
        body = client.ask(wire.request(wire.API_VERSIONS, 99, b"\0"))
    error, count = struct.unpack_from(">hi", body)
    assert error == wire.UNSUPPORTED_VERSION
    rows = [struct.unpack_from(">hhh", body, 6 + 6 * index) for index in range(count)]
    assert any(key == wire.API_VERSIONS and low == 0 and high >= 4 for key, low, high in rows)


def test_random_bodies_under_every_advertised_api_do_not_hurt(broker):
    """A valid header, then noise: each connection is answered or closed, never left hanging, never a crash."""
    with wire.Connection(broker.port) as client:
        body = client.ask(wire.request(wire.API_VERSIONS, 0, b""))
    (count,) = struct.unpack_from(">i", body, 2)
    apis = [struct.unpack_from(">hhh", body, 6 + 6 * index) for index in range(count)]
    generator = random.Random(11)
    for key, low, high in apis:
        for version in range(low, high + 1):
            with wire.Connection(broker.port) as enemy:
                enemy.send(wire.request(key, version, generator.randbytes(generator.randrange(4, 300))))
                # Half-close: the server sees the end after this frame and has no reason to keep the connection.
                enemy.socket.shutdown(socket.SHUT_WR)
    assert broker.alive(), broker.log_tail()


def test_a_wrong_checksum_is_refused_and_nothing_is_stored(broker, topic):
    librdkafka.create_topic(broker, topic)
    with wire.Connection(broker.port) as enemy:
        error, _ = wire.produce_result(enemy.ask(wire.produce(topic, wire.batch([b"value"], crc=0xDEADBEEF))))
        assert error == wire.CORRUPT_MESSAGE
        flipped = bytearray(wire.batch([b"value"]))
        flipped[-2] ^= 1
        error, _ = wire.produce_result(enemy.ask(wire.produce(topic, bytes(flipped))))
        assert error == wire.CORRUPT_MESSAGE
        error, base = wire.produce_result(enemy.ask(wire.produce(topic, wire.batch([b"honest"]))))
        assert (error, base) == (wire.NONE, 0)
    assert librdkafka.values(librdkafka.read(broker, topic)) == [b"honest"]


LIES = {
    "more records claimed than delta": {"count": 3},
    "fewer records claimed than delta": {"count": 1},
    "count and delta beyond the payload": {"count": 1000, "last_offset_delta": 999},
    "two billion records": {"count": 0x7FFFFFFF, "last_offset_delta": 0x7FFFFFFE},
    "negative count": {"count": -1},
    "zero count": {"count": 0, "last_offset_delta": -1},
    "negative delta": {"last_offset_delta": -5},
    "length beyond the bytes": {"length": 100000},
    "length below the header": {"length": 10},
    "negative length": {"length": -1},
    "magic of the future": {"magic": 9},
    "control batch from a client": {"attributes": 0x20},
    "unknown codec": {"attributes": 7},
    "says gzip, is plain": {"attributes": 1},
    "says snappy, is plain": {"attributes": 2},
    "says lz4, is plain": {"attributes": 3},
    "says zstd, is plain": {"attributes": 4},
    "record longer than the batch": {"payload": b"\xfe\xff\xff\xff\x0f" + b"\0" * 20},
    "record with negative length": {"payload": b"\x01" + b"\0" * 20},
    "base offset that is not zero": {"base_offset": 12},
}


@pytest.mark.parametrize("lie", LIES, ids=lambda name: name.replace(" ", "-"))
def test_lying_batches_are_refused_whole(broker, topic, lie):
    """An error code or a closed connection; never an acknowledgement, never a stored batch, never a crash."""
    librdkafka.create_topic(broker, topic)
    with wire.Connection(broker.port) as enemy:
        enemy.send(wire.produce(topic, wire.batch([b"one", b"two"], **LIES[lie])))
        try:
            error, _ = wire.produce_result(enemy.response()[1])
            assert error != wire.NONE
        except ConnectionError:
            pass
    with wire.Connection(broker.port) as client:
        assert wire.fetch_result(client.ask(wire.fetch(topic, 0, max_wait=0)))[:2] == (wire.NONE, 0)


def test_a_batch_above_max_message_bytes_is_too_large(broker, topic):
    librdkafka.create_topic(broker, topic, config={"max.message.bytes": "2000"})
    with wire.Connection(broker.port) as client:
        error, _ = wire.produce_result(client.ask(wire.produce(topic, wire.batch([b"x" * 3000]))))
        assert error == wire.MESSAGE_TOO_LARGE
        error, _ = wire.produce_result(client.ask(wire.produce(topic, wire.batch([b"x" * 1000]))))
        assert error == wire.NONE


def test_unknown_topics_and_acks_have_their_error_codes(broker, topic):
    librdkafka.create_topic(broker, topic)
    with wire.Connection(broker.port) as client:
        error, _ = wire.produce_result(client.ask(wire.produce(topic + "-not", wire.batch([b"v"]))))
        assert error == wire.UNKNOWN_TOPIC_OR_PARTITION
        error, _ = wire.produce_result(client.ask(wire.produce(topic, wire.batch([b"v"]), partition=9)))
        assert error == wire.UNKNOWN_TOPIC_OR_PARTITION
        error, _ = wire.produce_result(client.ask(wire.produce(topic, wire.batch([b"v"]), acks=2)))
        assert error == wire.INVALID_REQUIRED_ACKS
        error, *_ = wire.fetch_result(client.ask(wire.fetch(topic + "-not", 0)))
        assert error == wire.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("offset", [-1, 4, 1 << 40], ids=str)
def test_fetch_outside_the_log_is_out_of_range(broker, topic, offset):
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [b"a", b"b", b"c"])
    with wire.Connection(broker.port) as client:
        assert wire.fetch_result(client.ask(wire.fetch(topic, offset)))[0] == wire.OFFSET_OUT_OF_RANGE
        error, high_watermark, data = wire.fetch_result(client.ask(wire.fetch(topic, 3, max_wait=10)))
        assert (error, high_watermark, data) == (wire.NONE, 3, b"")


def test_acks_0_is_not_answered_and_answers_keep_the_order_of_requests(broker, topic):
    librdkafka.create_topic(broker, topic)
    with wire.Connection(broker.port) as client:
        frames = [wire.produce(topic, wire.batch([b"silent"]), acks=0, correlation_id=1)]
        # A parked fetch in front of quick requests: its answer still comes first.
        frames += [wire.fetch(topic, 1, max_wait=300, correlation_id=2)]
        frames += [wire.metadata([topic], correlation_id=number) for number in range(3, 20)]
        client.send(b"".join(frames))
        assert [client.response()[0] for _ in range(18)] == list(range(2, 20))
    assert librdkafka.values(librdkafka.read(broker, topic)) == [b"silent"]


def test_a_long_poll_fetch_returns_when_data_arrives(broker, topic):
    librdkafka.create_topic(broker, topic)
    with wire.Connection(broker.port, timeout=25) as reader, wire.Connection(broker.port) as writer:
        reader.send(wire.fetch(topic, 0, max_wait=20000))
        started = time.monotonic()
        writer.ask(wire.produce(topic, wire.batch([b"wake up"])))
        error, _, data = wire.fetch_result(reader.response()[1])
        assert error == wire.NONE and b"wake up" in data
        assert time.monotonic() - started < 5


def test_half_a_frame_and_silence_hurts_nobody(broker, topic):
    librdkafka.create_topic(broker, topic)
    frame = wire.produce(topic, wire.batch([b"late"]))
    waiting = [wire.Connection(broker.port) for _ in range(100)]
    try:
        for connection in waiting:
            connection.send(frame[: len(frame) // 2])
        assert librdkafka.produce(broker, topic, [b"others"]) == [0]
        # And the slow one is still served when the other half arrives.
        waiting[0].send(frame[len(frame) // 2 :])
        assert wire.produce_result(waiting[0].response()[1]) == (wire.NONE, 1)
    finally:
        for connection in waiting:
            connection.socket.close()


def test_large_announced_frames_are_not_paid_for_in_advance(broker):
    """A hundred connections announce 100 MiB each and send nothing."""
    before = broker.resident_bytes()
    waiting = [wire.Connection(broker.port) for _ in range(100)]
    try:
        for connection in waiting:
            connection.send(struct.pack(">ihhi", 100 * MIB, wire.PRODUCE, 7, 1))
        with wire.Connection(broker.port, timeout=5) as polite:
            polite.ask(wire.metadata([]))
        assert broker.resident_bytes() - before < 64 * MIB
    finally:
        for connection in waiting:
            connection.socket.close()


@pytest.mark.slow
def test_two_thousand_idle_connections_are_cheap(broker, topic):
    librdkafka.create_topic(broker, topic)
    before, threads = broker.resident_bytes(), broker.threads()
    idle = []
    try:
        for _ in range(2000):
            idle.append(wire.Connection(broker.port))
        idle[-1].ask(wire.metadata([]))
        assert librdkafka.produce(broker, topic, [b"%d" % number for number in range(1000)]) == list(range(1000))
        assert len(librdkafka.read(broker, topic)) == 1000
        assert broker.resident_bytes() - before < 100 * MIB
        assert broker.threads() - threads < 20
        # Each of them still works.
        for connection in idle[::100]:
            connection.ask(wire.metadata([topic]))
    finally:
        for connection in idle:
            connection.socket.close()
    until(lambda: broker.open_files() < 500, "closed connections give their files back")


@pytest.mark.slow
def test_a_client_that_never_reads_does_not_fill_the_memory(broker, topic):
    librdkafka.create_topic(broker, topic)
    librdkafka.produce(broker, topic, [os.urandom(900_000) for _ in range(20)], **{"message.max.bytes": 1000000})
    before = broker.resident_bytes()
    frame = wire.fetch(topic, 0, max_wait=0, max_bytes=16 * MIB)
    enemies = [wire.Connection(broker.port, receive_buffer=4096) for _ in range(8)]
    try:
        for enemy in enemies:
            enemy.socket.settimeout(0.3)
            # 8 x 2,000 answers of 16 MiB would be 256 GiB; the server must stop reading requests instead.
            try:
                for _ in range(2000):
                    enemy.send(frame)
            except (TimeoutError, ConnectionError):
                pass
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert broker.resident_bytes() - before < 256 * MIB
            assert librdkafka.produce(broker, topic, [b"others are served"], acks=1)
    finally:
        for enemy in enemies:
            enemy.socket.close()


def test_idle_connections_are_closed_after_connections_max_idle_ms(new_server):
    server = new_server({"connections.max.idle.ms": 1000}).start()
    with wire.Connection(server.port) as silent, wire.Connection(server.port) as half:
        half.send(b"\0\0\1")
        assert silent.closed_by_peer(15)
        assert half.closed_by_peer(15)
