"""One client process of the load: librdkafka through confluent-kafka. Started by scenarios.py, never by hand.

    load.py produce|consume|send-at-rate|receive|first-ack|touch '{"topic": ..., ...}'

Each mode prints "ready" when it is connected, waits for a line on standard input, works, and prints one JSON line.
Times are CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import gc
import json
import random
import struct
import sys
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

Options = dict[str, Any]
BATCH_RECORDS = 1000
STALL_SECONDS_MAX = 120


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


def produce(options: Options) -> Options:
    """Sends `count` records of `size` bytes as fast as it goes."""
    topic, count = options["topic"], options["count"]
    producer = producer_of(options)
    producer.list_topics(topic, timeout=30)
    values = payloads(options["size"], options["seed"])
    wait_for_go()
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
    return {"start": start, "end": time.monotonic(), "records": sent}


def consume(options: Options) -> Options:
    """Reads `count` records from the beginning."""
    consumer = consumer_of(options, 0)
    wait_for_go()
    start = last = time.monotonic()
    received = 0
    while received < options["count"]:
        messages = consumer.consume(10_000, timeout=0.2)
        now = time.monotonic()
        for message in messages[:1]:
            fail(message.error(), message)
        received += len(messages)
        if messages:
            last = now
        elif now - last > STALL_SECONDS_MAX:
            raise RuntimeError(f"only {received} records arrived")
    consumer.close()
    return {"start": start, "end": last, "records": received}


def send_at_rate(options: Options) -> Options:
    """Sends `rate` records a second for `seconds`; the value's first 8 bytes are the time of sending."""
    latencies: list[float] = []
    warm_up_end = 0.0

    def acknowledged(error: KafkaError | None, message: Message) -> None:
        fail(error, message)
        if time.monotonic() > warm_up_end:
            latencies.append(message.latency() * 1e3)

    more = {"linger.ms": 0, "delivery.report.only.error": False}
    producer = producer_of(options, **more)
    producer.list_topics(options["topic"], timeout=30)
    padding = payloads(options["size"], 1)[0][8:]
    wait_for_go()
    start = time.monotonic()
    warm_up_end = start + options["warm_up_seconds"]
    total = int(options["rate"] * (options["seconds"] + options["warm_up_seconds"]))
    sent = 0
    while sent < total:
        due = min(total, int((time.monotonic() - start) * options["rate"]))
        for _ in range(due - sent):
            value = struct.pack(">q", time.monotonic_ns()) + padding
            producer.produce(options["topic"], value, partition=0, on_delivery=acknowledged)
        sent = max(sent, due)
        producer.poll(0.0005)
    producer.flush(STALL_SECONDS_MAX)
    return {"seconds": time.monotonic() - start, "records": sent, "latency_ms": quantiles(latencies)}


def receive(options: Options) -> Options:
    """Receives what send_at_rate sends and measures from sending to receiving."""
    total = int(options["rate"] * (options["seconds"] + options["warm_up_seconds"]))
    warm_up = int(options["rate"] * options["warm_up_seconds"])
    latencies: list[float] = []
    consumer = consumer_of(options, 0)
    consumer.poll(1)
    wait_for_go()
    received = 0
    last = time.monotonic()
    while received < total:
        message = consumer.poll(0.1)
        now = time.monotonic_ns()
        if message is None:
            if time.monotonic() - last > STALL_SECONDS_MAX:
                raise RuntimeError(f"only {received} of {total} records arrived")
            continue
        fail(message.error(), message)
        last = now / 1e9
        received += 1
        if received > warm_up:
            latencies.append((now - struct.unpack_from(">q", message.value())[0]) / 1e6)
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


def quantiles(values: list[float]) -> dict[str, float]:
    values.sort()
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
    found = {name: values[min(len(values) - 1, int(len(values) * share))] for name, share in at.items()}
    return found | {"max": values[-1], "mean": sum(values) / len(values)}


MODES = {
    "produce": produce,
    "consume": consume,
    "send-at-rate": send_at_rate,
    "receive": receive,
    "first-ack": first_ack,
    "touch": touch,
}

if __name__ == "__main__":
    # The measuring process must not stop for itself.
    gc.disable()
    sys.setswitchinterval(0.0005)
    print(json.dumps(MODES[sys.argv[1]](json.loads(sys.argv[2]))), flush=True)
