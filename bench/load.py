"""One client process of the load: librdkafka through confluent-kafka. Started by scenarios.py, never by hand.

    load.py produce|send-at-rate|receive|first-ack|touch|slow-readers '{"topic": ..., ...}'

Each mode prints "ready" when it is connected, waits for a line on standard input, works, and prints one JSON line.
Times are CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import gc
import json
import random
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

Options = dict[str, Any]
BATCH_RECORDS = 1000
STALL_SECONDS_MAX = 120
# A fixed rate is measured from a quiet start: at most this many seconds' worth of records may be unanswered.
BACKLOG_SECONDS_MAX = 0.05
# How much longer than asked the warm-up may go on to get there.
WARM_UP_SECONDS_MORE = 60
# The first byte of a value at a fixed rate: what the receiver does with it.
WARM_UP, MEASURED, LAST = range(3)


def payloads(size: int, seed: int) -> list[bytes]:
    """Values that compress to about half, as text does."""
    rng = random.Random(seed)
    return [rng.randbytes((size + 1) // 2).hex()[:size].encode() for _ in range(BATCH_RECORDS)]


def producer_of(options: Options, **more: Any) -> Producer:
    return Producer(
        {
            "bootstrap.servers": options["bootstrap"],
            "log_level": 3,
            "acks": options.get("acks", "all"),
            "compression.type": options.get("codec", "none"),
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 262_144,
            "delivery.report.only.error": True,
            "enable.idempotence": options.get("idempotent", False),
        }
        | more
    )


def consumer_of(options: Options, offset: int) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": options["bootstrap"],
            "group.id": "bench",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # By default librdkafka pauses for a second whenever its queue is full: a broker that fills it quickly
            # would be measured by that pause.
            "fetch.queue.backoff.ms": 2,
        }
    )
    consumer.assign([TopicPartition(options["topic"], number, offset) for number in range(options["partitions"])])
    return consumer


def fail(error: KafkaError | None, _message: Message) -> None:
    if error is not None:
        raise KafkaException(error)


def wait_for_go() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


class ClientCpu:
    """What this process uses from now on: all threads, and the busiest one."""

    def __init__(self) -> None:
        self.process = time.process_time()
        self.threads = self.thread_seconds()

    @staticmethod
    def thread_seconds() -> dict[str, float]:
        return {task.name: int((task / "schedstat").read_text().split()[0]) / 1e9 for task in Path("/proc/self/task").iterdir()}

    def used(self) -> Options:
        threads = self.thread_seconds()
        busiest = max(seconds - self.threads.get(name, 0) for name, seconds in threads.items())
        return {"cpu": time.process_time() - self.process, "busiest_thread": busiest}


def produce(options: Options) -> Options:
    """Sends `count` records of `size` bytes as fast as it goes."""
    topic, count = options["topic"], options["count"]
    producer = producer_of(options)
    producer.list_topics(topic, timeout=30)
    values = payloads(options["size"], options["seed"])
    wait_for_go()
    used = ClientCpu()
    start = time.monotonic()
    sent = 0
    while sent < count:
        batch = [{"value": value} for value in values[: count - sent]]
        while batch:
            queued = producer.produce_batch(topic, batch, partition=options["partition"], on_delivery=fail)
            sent += queued
            # A full queue marks what it did not take.
            batch = [{"value": entry["value"]} for entry in batch if "_error" in entry] if queued < len(batch) else []
            producer.poll(0.01 if batch else 0)
    left = producer.flush(STALL_SECONDS_MAX)
    if left:
        raise RuntimeError(f"{left} records are not acknowledged")
    return {"start": start, "end": time.monotonic(), "records": sent} | used.used()


def send_at_rate(options: Options) -> Options:
    """Sends `rate` records a second: a warm-up of `warm_up_seconds` or until nothing is backed up, then `seconds` measured.

    A value begins with what it is for and the time of sending.
    """
    rate = options["rate"]
    latencies: list[float] = []
    answered = 0
    measuring = False

    def acknowledged(error: KafkaError | None, message: Message) -> None:
        nonlocal answered
        fail(error, message)
        answered += 1
        if measuring:
            latencies.append(message.latency() * 1e3)

    # As Java's producer: what cannot be sent at once is sent together. Without a limit librdkafka sends every record
    # in a request of its own, however many are unanswered.
    more = {"linger.ms": 0, "delivery.report.only.error": False, "max.in.flight.requests.per.connection": 5}
    producer = producer_of(options, **more)
    producer.list_topics(options["topic"], timeout=30)
    padding = payloads(options["size"], 1)[0][9:]
    wait_for_go()
    start = time.monotonic()
    sent = 0

    def send_until(end: float, kind: int) -> None:
        nonlocal sent
        while (now := time.monotonic()) < end:
            for _ in range(int((now - start) * rate) - sent):
                value = struct.pack(">bq", kind, time.monotonic_ns()) + padding
                producer.produce(options["topic"], value, partition=0, on_delivery=acknowledged)
                sent += 1
            producer.poll(0.0005)

    warm = start + options["warm_up_seconds"]
    send_until(warm, WARM_UP)
    while sent - answered > max(10, rate * BACKLOG_SECONDS_MAX):
        if time.monotonic() > warm + WARM_UP_SECONDS_MORE:
            raise RuntimeError(f"{sent - answered} records are unanswered after the warm-up: {rate}/s is too much")
        send_until(time.monotonic() + 1, WARM_UP)
    measuring = True
    warmed_up = time.monotonic() - start
    send_until(time.monotonic() + options["seconds"], MEASURED)
    producer.produce(options["topic"], struct.pack(">bq", LAST, 0), partition=0, on_delivery=fail)
    producer.flush(STALL_SECONDS_MAX)
    return {"warm_up_seconds": warmed_up, "records": sent, "latency_ms": quantiles(latencies)}


def receive(options: Options) -> Options:
    """Receives what send_at_rate sends and measures from sending to receiving."""
    latencies: list[float] = []
    consumer = consumer_of(options, 0)
    consumer.poll(1)
    wait_for_go()
    received = 0
    last = time.monotonic()
    while True:
        message = consumer.poll(0.1)
        now = time.monotonic_ns()
        if message is None:
            if time.monotonic() - last > STALL_SECONDS_MAX:
                raise RuntimeError(f"nothing came any more after {received} records")
            continue
        fail(message.error(), message)
        last = now / 1e9
        received += 1
        kind, sent = struct.unpack_from(">bq", message.value())
        if kind == LAST:
            break
        if kind == MEASURED:
            latencies.append((now - sent) / 1e6)
    consumer.close()
    return {"records": received, "latency_ms": quantiles(latencies)}


def first_ack(options: Options) -> Options:
    """Sends one record to a topic that may not exist yet and reports when it was acknowledged."""
    wait_for_go()
    impatient = {
        "linger.ms": 0,
        "reconnect.backoff.ms": 5,
        "reconnect.backoff.max.ms": 20,
        "retry.backoff.ms": 10,
        "topic.metadata.refresh.fast.interval.ms": 20,
        "message.timeout.ms": 300_000,
    }
    producer = producer_of(options, **impatient)
    producer.produce(options["topic"], b"first", on_delivery=fail)
    left = producer.flush(300)
    if left:
        raise RuntimeError("the first record is not acknowledged")
    return {"end": time.monotonic()}


def touch(options: Options) -> Options:
    """Sends one record to every partition of every topic."""
    producer = producer_of(options)
    wait_for_go()
    for topic in options["topics"]:
        for partition in range(options["partitions"]):
            producer.produce(topic, b"x" * 100, partition=partition, on_delivery=fail)
        producer.poll(0)
    left = producer.flush(300)
    if left:
        raise RuntimeError(f"{left} records are not acknowledged")
    return {"end": time.monotonic()}


def slow_readers(options: Options) -> Options:
    """Opens `connections` connections that each ask for a lot of `topic` and never read the answer."""
    host, port = options["bootstrap"].split(":")
    topic, client = options["topic"].encode(), b"slow-reader"
    connections = []
    for number in range(options["connections"]):
        connection = socket.create_connection((host, int(port)), timeout=60)
        # Fetch version 4: replica, max wait, min and max bytes, isolation, one topic of one partition.
        body = struct.pack(">iiiibi", -1, 500, 1, 50 << 20, 0, 1) + struct.pack(">h", len(topic)) + topic
        body += struct.pack(">iiqi", 1, number % options["partitions"], 0, 1 << 20)
        header = struct.pack(">hhih", 1, 4, 1, len(client)) + client
        connection.sendall(struct.pack(">i", len(header) + len(body)) + header + body)
        connections.append(connection)
    # One byte of each answer: every fetch is being served.
    for connection in connections:
        if not connection.recv(1):
            raise RuntimeError("a connection was closed")
    wait_for_go()
    sys.stdin.readline()
    return {"connections": len(connections)}


def quantiles(values: list[float]) -> dict[str, float]:
    values.sort()
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
    found = {name: values[min(len(values) - 1, int(len(values) * share))] for name, share in at.items()}
    return found | {"max": values[-1], "mean": sum(values) / len(values)}


MODES = {
    "produce": produce,
    "send-at-rate": send_at_rate,
    "receive": receive,
    "first-ack": first_ack,
    "touch": touch,
    "slow-readers": slow_readers,
}

if __name__ == "__main__":
    # The measuring process must not stop for itself.
    gc.disable()
    sys.setswitchinterval(0.0005)
    print(json.dumps(MODES[sys.argv[1]](json.loads(sys.argv[2]))), flush=True)
