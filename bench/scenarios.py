"""What is measured: each function drives one running broker and yields results.

A result is `(key, value)`; the key names what was measured, and the report decides how it is shown. GB is 10^9 bytes
of record values, as the client hands them over and before compression.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import AdminClient, NewTopic

from brokers import BOOTSTRAP, Broker

Result = tuple[str, float]
LOAD = Path(__file__).with_name("load.py")


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    rounds: int
    large_bytes: int
    small_bytes: int
    producers: tuple[int, ...]
    codecs: tuple[str, ...]
    acks: tuple[str, ...]
    latency_seconds: int
    warm_up_seconds: int
    java_records: int
    topics: int
    partitions_per_topic: int


# The JVM compiles its hot paths within about this much.
WARM_UP_BYTES = ((1024, 1_000_000_000), (100, 200_000_000))
FULL = Scale(3, 2_000_000_000, 500_000_000, (1, 8), ("none", "lz4", "zstd"), ("all", "1"), 30, 10, 2_000_000, 10, 1000)
QUICK = Scale(1, 1_000_000_000, 200_000_000, (1,), ("none", "lz4"), ("all",), 8, 5, 300_000, 10, 1000)


class Worker:
    """A process of load.py, connected and waiting."""

    def __init__(self, mode: str, **options: Any) -> None:
        options["bootstrap"] = BOOTSTRAP
        command = [sys.executable, str(LOAD), mode, json.dumps(options)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.expect("ready")

    def expect(self, word: str) -> None:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"a load process failed: {line!r}")

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def result(self) -> dict[str, Any]:
        output, _ = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError("a load process failed")
        return json.loads(output)


def create_topic(name: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for future in admin.create_topics([NewTopic(name, partitions, 1)], request_timeout=300).values():
        future.result()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        topic = admin.list_topics(name, timeout=60).topics[name]
        leaders = [partition.leader for partition in topic.partitions.values()]
        if len(leaders) == partitions and min(leaders) >= 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"topic {name} has no leaders")


def delete_topic(name: str) -> None:
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for future in admin.delete_topics([name], request_timeout=60).values():
        future.result()


def together(broker: Broker, workers: list[Worker], size: int) -> tuple[float, float]:
    """Lets the workers go at once; returns MB/s over all and the broker's CPU seconds per GB."""
    before = broker.cpu_seconds()
    for worker in workers:
        worker.go()
    results = [worker.result() for worker in workers]
    cpu = broker.cpu_seconds() - before
    seconds = max(result["end"] for result in results) - min(result["start"] for result in results)
    megabytes = sum(result["records"] for result in results) * size / 1e6
    return megabytes / seconds, cpu / (megabytes / 1e3)


def produce(broker: Broker, topic: str, size: int, count: int, producers: int, codec: str, acks: str) -> tuple[float, float]:
    share = count // producers
    workers = [
        Worker("produce", topic=topic, size=size, count=share, partition=number, seed=number, codec=codec, acks=acks)
        for number in range(producers)
    ]
    return together(broker, workers, size)


def warm_up(broker: Broker) -> None:
    """Gives the JVM the chance to compile what the measurements will run."""
    create_topic("warm-up", 1)
    count = 0
    for size, volume in WARM_UP_BYTES:
        produce(broker, "warm-up", size, volume // size, 1, "none", "all")
        count += volume // size
    together(broker, [Worker("consume", topic="warm-up", partitions=1, count=count)], 1024)
    delete_topic("warm-up")


def throughput(broker: Broker, scale: Scale) -> Iterator[Result]:
    """librdkafka producers and a consumer, as fast as they go."""
    sizes = ((1024, scale.large_bytes), (100, scale.small_bytes))
    for (size, volume), producers, codec, acks in itertools.product(sizes, scale.producers, scale.codecs, scale.acks):
        label = f"{size} B, {producers} producer{'s' * (producers > 1)}, {codec}, acks={acks}"
        topic = f"t-{size}-{producers}-{codec}-{acks}"
        count = volume // size // producers * producers
        create_topic(topic, producers)
        speed, cpu = produce(broker, topic, size, count, producers, codec, acks)
        yield f"produce MB/s | {label}", speed
        yield f"produce CPU s/GB | {label}", cpu
        if acks == "all":
            reader = Worker("consume", topic=topic, partitions=producers, count=count)
            speed, cpu = together(broker, [reader], size)
            label = label.removesuffix(", acks=all")
            yield f"consume MB/s | {label}", speed
            yield f"consume CPU s/GB | {label}", cpu
        delete_topic(topic)
    yield "memory MB | under load, now", broker.memory_mb()[0]
    yield "memory MB | under load, highest", broker.memory_mb()[1]


def latency(_broker: Broker, scale: Scale) -> Iterator[Result]:
    """Fixed rates with acks=all and linger.ms=0: until acknowledged, and until the consumer has it."""
    for rate in (5_000, 20_000):
        topic = f"latency-{rate}"
        create_topic(topic, 1)
        options = {
            "topic": topic,
            "partitions": 1,
            "rate": rate,
            "size": 100,
            "seconds": scale.latency_seconds,
            "warm_up_seconds": scale.warm_up_seconds,
        }
        receiver = Worker("receive", **options)
        sender = Worker("send-at-rate", **options)
        receiver.go()
        sender.go()
        for kind, worker in (("acknowledged", sender), ("end to end", receiver)):
            for quantile, value in worker.result()["latency_ms"].items():
                yield f"latency ms | {rate:,}/s, {kind}, {quantile}", value
        delete_topic(topic)


def java_tools(_broker: Broker, scale: Scale, libs: Path) -> Iterator[Result]:
    """The perf tools of Apache Kafka's release."""

    def run(tool: str, *arguments: str) -> str:
        logging = f"-Dlog4j2.configurationFile={libs.parent / 'log4j2.properties'}"
        command = ["java", "-Xmx512M", logging, "-cp", f"{libs}/*", f"org.apache.kafka.tools.{tool}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def perf_producer(topic: str, size: int, count: int, rate: int, *properties: str) -> dict[str, float]:
        command = ["--bootstrap-server", BOOTSTRAP, "--topic", topic, "--num-records", str(count)]
        command += ["--record-size", str(size), "--throughput", str(rate), "--command-property", "acks=all", *properties]
        last = run("ProducerPerformance", *command).strip().splitlines()[-1]
        pattern = r"\(([\d.]+) MB/sec\).* (\d+) ms 50th, (\d+) ms 95th, (\d+) ms 99th, (\d+) ms 99.9th"
        found = re.search(pattern, last)
        if not found:
            raise RuntimeError(f"unexpected output of the perf tool: {last}")
        # The tool's MB are 2^20 bytes.
        return dict(zip(("MB/s", "p50", "p95", "p99", "p99.9"), map(float, found.groups()), strict=True)) | {
            "MB/s": float(found[1]) * 1.048576
        }

    for size, count in ((1024, scale.java_records), (100, scale.java_records * 2)):
        topic = f"java-{size}"
        create_topic(topic, 1)
        yield f"java produce MB/s | {size} B, acks=all", perf_producer(topic, size, count, -1)["MB/s"]
        command = ["--bootstrap-server", BOOTSTRAP, "--topic", topic, "--num-records", str(count), "--hide-header"]
        columns = run("ConsumerPerformance", *command).strip().splitlines()[-1].split(", ")
        # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
        yield f"java consume MB/s | {size} B", float(columns[8]) * 1.048576
        delete_topic(topic)
    for rate in (5_000, 20_000):
        topic = f"java-rate-{rate}"
        create_topic(topic, 1)
        count = rate * (scale.latency_seconds + scale.warm_up_seconds)
        found = perf_producer(topic, 100, count, rate, "linger.ms=0")
        for quantile in ("p50", "p99", "p99.9"):
            yield f"java latency ms | {rate:,}/s, acknowledged, {quantile}", found[quantile]
        delete_topic(topic)


def time_to_first_ack(broker: Broker, topic: str) -> float:
    """Seconds from the start of the process to the first acknowledged record; the broker keeps running."""
    worker = Worker("first-ack", topic=topic)
    started = broker.start()
    worker.go()
    return worker.result()["end"] - started


def start_up(broker: Broker) -> Iterator[Result]:
    """Starts on an empty directory; memory of a broker that does nothing."""
    broker.reset()
    yield "start s | empty directory to first acknowledged record", time_to_first_ack(broker, "first")
    time.sleep(5)
    yield "memory MB | idle", broker.memory_mb()[0]
    before = broker.cpu_seconds()
    time.sleep(5)
    yield "idle CPU % | nothing connected", (broker.cpu_seconds() - before) / 5 * 100
    yield "stop s | few partitions", broker.stop()


def many_partitions(broker: Broker, scale: Scale) -> Iterator[Result]:
    """Thousands of partitions with a record each: creating, starting after a stop and after kill -9."""
    broker.reset()
    broker.start()
    total = f"{scale.topics * scale.partitions_per_topic:,} partitions"
    topics = [f"many-{number}" for number in range(scale.topics)]
    begin = time.monotonic()
    for topic in topics:
        create_topic(topic, scale.partitions_per_topic)
    yield f"partitions s | {total}, created", time.monotonic() - begin
    worker = Worker("touch", topics=topics, partitions=scale.partitions_per_topic)
    begin = time.monotonic()
    worker.go()
    yield f"partitions s | {total}, a record to each", worker.result()["end"] - begin
    yield f"memory MB | {total}", broker.memory_mb()[0]
    for key, value in latency_beside(scale):
        yield f"latency ms | 5,000/s beside {total}, {key}", value
    yield f"stop s | {total}", broker.stop()
    yield f"start s | {total}, after a stop", time_to_first_ack(broker, topics[0])
    worker = Worker("touch", topics=topics, partitions=scale.partitions_per_topic)
    worker.go()
    worker.result()
    broker.kill()
    yield f"start s | {total}, after kill -9", time_to_first_ack(broker, topics[0])
    broker.kill()


def latency_beside(scale: Scale) -> Iterator[Result]:
    """Produce latency at 5,000 records/s to one more partition."""
    create_topic("beside", 1)
    options = {"topic": "beside", "rate": 5_000, "size": 100}
    sender = Worker("send-at-rate", seconds=scale.latency_seconds, warm_up_seconds=scale.warm_up_seconds, **options)
    sender.go()
    found = sender.result()["latency_ms"]
    for quantile in ("p50", "p99"):
        yield f"acknowledged, {quantile}", found[quantile]
