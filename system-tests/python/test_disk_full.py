"""A full disk: errors to producers, readers keep reading, and all is well again when space returns."""

import contextlib
import os
import subprocess

import pytest
from confluent_kafka import Producer

from harness import librdkafka
from harness.wait import until


@contextlib.contextmanager
def small_disk(path, megabytes):
    """A tmpfs of its own; skips where this machine does not let us mount."""
    path.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)],
                             capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)


def fill(path):
    """Takes every free byte of the disk."""
    with open(path, "wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\xff" * 65536)
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\xff" * 512)


def try_to_produce(server, topic, values):
    """(offsets by value of the acknowledged, errors) with a producer that gives up after two seconds."""
    acknowledged, errors = {}, []

    def delivered(error, message):
        if error:
            errors.append(error)
        else:
            acknowledged[message.value()] = message.offset()

    producer = Producer({"bootstrap.servers": server.bootstrap, "message.timeout.ms": 2000, "retries": 0, "acks": "all"})
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=delivered)
        producer.poll(0)
    producer.flush(20)
    return acknowledged, errors


def test_producers_get_errors_readers_read_and_space_heals(new_server, topic, tmp_path):
    with small_disk(tmp_path / "disk", 192) as disk:
        server = new_server({"log.segment.bytes": 8 << 20, "log.index.size.max.bytes": 65536}, directory=disk / "server")
        server.log_path = tmp_path / "server.log"
        server.start()
        librdkafka.create_topic(server, topic)
        values = [b"early-%d-" % number + os.urandom(500) for number in range(2000)]
        first, errors = try_to_produce(server, topic, values)
        assert len(first) == 2000 and not errors
        committed = librdkafka.produce(server, topic, [b"last before the flood"])
        first[b"last before the flood"] = committed[0]

        fill(disk / "ballast")
        # What was preallocated may still take a few; keep pushing until the disk says no.
        flood, refused = {}, []
        for number in range(200):
            stored, errors = try_to_produce(server, topic, [b"flood-%d-%d-" % (number, i) + os.urandom(60000) for i in range(8)])
            flood.update(stored)
            refused += errors
            if errors:
                break
        assert refused, "a full disk was never reported"
        assert server.alive(), server.log_tail()

        read = {message.value(): message.offset() for message in librdkafka.read(server, topic)}
        for value, offset in {**first, **flood}.items():
            assert read.get(value) == offset, "an acknowledged record is not readable on the full disk"

        (disk / "ballast").unlink()
        late = {}

        def works_again():
            stored, _ = try_to_produce(server, topic, [b"late-%d" % len(late)])
            late.update(stored)
            return stored

        until(works_again, f"produce works when space has returned:\n{server.log_tail()}", timeout=60)
        acknowledged = {**first, **flood, **late}

        def check():
            messages = librdkafka.read(server, topic)
            found = {message.value(): message.offset() for message in messages}
            assert len(found) == len(messages), "a record is there twice"
            for value, offset in acknowledged.items():
                assert found.get(value) == offset

        check()
        server.kill()
        server.start()
        check()
        server.restart()
        check()
        server.stop()


def test_a_server_that_cannot_start_for_lack_of_space_says_so(new_server, tmp_path):
    with small_disk(tmp_path / "disk", 4) as disk:
        fill(disk / "ballast")
        server = new_server(directory=tmp_path / "server")
        server.overrides["log.dirs"] = str(disk / "data")
        server.data = disk / "data"
        server.spawn()
        assert server.process.wait(timeout=30) != 0
        assert "No space left" in server.log() or "StorageFull" in server.log(), server.log()
