"""What is measured: each function drives one running broker and yields results.

A result is `(key, value)`; the key names what was measured, and the report decides how it is shown. GB is 10^9 bytes
of record values, as the client hands them over and before compression.
"""

from __future__ import annotations

import itertools
import json
import os
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
    # At 5,000 records/s and then at 20,000/s, when everything is compiled already.
    warm_up_seconds: tuple[int, int]
    java_records: int
    topics: int
    partitions_per_topic: int
    connections: int
    # Whether rough numbers will do.
    quick: bool = False


@dataclass(frozen=True)
class Clients:
    """Programs of the load that are not load.py."""

    kafka_libs: Path
    milena: Path


# The JVM compiles its hot paths within about this much.
WARM_UP_BYTES = ((1024, 1_500_000_000), (100, 200_000_000))
FULL = Scale(3, 1_000_000_000, 250_000_000, (1, 8), ("none", "lz4", "zstd"), ("all", "1"), 15, (30, 10), 1_000_000, 10, 1000, 2000)
QUICK = Scale(1, 300_000_000, 60_000_000, (1, 8), ("none", "lz4"), ("all",), 5, (20, 5), 200_000, 4, 250, 200, quick=True)


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


@dataclass(frozen=True)
class Used:
    """What moving records took."""

    megabytes: float
    seconds: float
    broker_cpu: float
    clients_cpu: float
    busiest_thread: float

    def results(self, what: str, label: str) -> Iterator[Result]:
        yield f"{what} MB/s | {label}", self.megabytes / self.seconds
        yield f"{what} CPU s/GB | {label}", self.broker_cpu / (self.megabytes / 1e3)
        # How near the clients are to being the bottleneck: the busiest thread cannot use more than one core, and all
        # clients not more than the machine.
        machine = self.seconds * (os.cpu_count() or 1)
        yield f"{what} client limit | {label}", max(self.busiest_thread / self.seconds, self.clients_cpu / machine)


def produce(broker: Broker, topic: str, size: int, count: int, producers: int, **options: Any) -> Used:
    """Lets librdkafka producers send `count` records to one partition each."""
    share = count // producers
    workers = [
        Worker("produce", topic=topic, size=size, count=share, partition=number, seed=number, **options)
        for number in range(producers)
    ]
    before = broker.cpu_seconds()
    for worker in workers:
        worker.go()
    results = [worker.result() for worker in workers]
    return Used(
        megabytes=sum(result["records"] for result in results) * size / 1e6,
        seconds=max(result["end"] for result in results) - min(result["start"] for result in results),
        broker_cpu=broker.cpu_seconds() - before,
        clients_cpu=sum(result["cpu"] for result in results),
        busiest_thread=max(result["busiest_thread"] for result in results),
    )


def consume(broker: Broker, clients: Clients, topic: str, size: int, count: int) -> Used:
    """Reads `count` records from the beginning with Milena's `kafka-consumer-perf-test`, for either broker.

    librdkafka under Python takes 100 B records slower than either broker hands them out, so it would measure itself.
    """
    command = [str(clients.milena), "kafka-consumer-perf-test", "--bootstrap-server", BOOTSTRAP, "--topic", topic]
    command += ["--num-records", str(count), "--timeout", "60000", "--hide-header"]
    command += ["--command-property", "enable.auto.commit=false"]
    before = broker.cpu_seconds()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        columns = process.stdout.read().strip().splitlines()[-1].split(", ")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
    if process.returncode != 0 or int(columns[4]) < count:
        raise RuntimeError(f"the consumer read {columns[4]} of {count} records")
    cpu = usage.ru_utime + usage.ru_stime
    return Used(
        megabytes=count * size / 1e6,
        seconds=int(columns[7]) / 1e3,
        broker_cpu=broker.cpu_seconds() - before,
        clients_cpu=cpu,
        # It decodes in one task.
        busiest_thread=min(cpu, int(columns[7]) / 1e3),
    )


def warm_up(broker: Broker, clients: Clients) -> None:
    """Gives the JVM the chance to compile what the measurements will run."""
    create_topic("warm-up", 1)
    for size, volume in WARM_UP_BYTES:
        for codec in ("none", "lz4"):
            produce(broker, "warm-up", size, volume // size // 2, 1, codec=codec)
    for _ in range(2):
        consume(broker, clients, "warm-up", 1024, WARM_UP_BYTES[0][1] // 1024)
    delete_topic("warm-up")


def throughput(broker: Broker, scale: Scale, clients: Clients) -> Iterator[Result]:
    """Producers and a consumer, as fast as they go."""
    warm_up(broker, clients)
    sizes = ((1024, scale.large_bytes), (100, scale.small_bytes))
    # With fsync only what fsync changes.
    producer_counts, all_acks = (scale.producers, scale.acks) if broker.name != "milena-fsync" else ((1,), ("all",))
    for (size, volume), producers, codec, acks in itertools.product(sizes, producer_counts, scale.codecs, all_acks):
        count = volume // size // producers * producers
        topic = f"t-{size}-{producers}-{codec}-{acks}"
        create_topic(topic, producers)
        setting = f"{size} B, {producers} producer{'s' * (producers > 1)}, {codec}"
        yield from produce(broker, topic, size, count, producers, codec=codec, acks=acks).results("produce", f"{setting}, acks={acks}")
        if acks == "all" and broker.name != "milena-fsync":
            yield from consume(broker, clients, topic, size, count).results("consume", setting)
        delete_topic(topic)
    for size, volume in sizes:
        create_topic(f"idempotent-{size}", 1)
        used = produce(broker, f"idempotent-{size}", size, volume // size, 1, idempotent=True)
        yield from used.results("produce", f"{size} B, 1 producer, none, acks=all, idempotent")
        delete_topic(f"idempotent-{size}")
    yield "memory MB | under load, now", broker.memory_mb()[0]
    yield "memory MB | under load, highest", broker.memory_mb()[1]


def connections(broker: Broker, scale: Scale, _clients: Clients) -> Iterator[Result]:
    """Memory of a broker with many connections that ask for much and read nothing, beside producers."""
    create_topic("crowd", 8)
    produce(broker, "crowd", 1024, 200_000, 8)
    crowd = Worker("slow-readers", topic="crowd", partitions=8, connections=scale.connections)
    crowd.go()
    used = produce(broker, "crowd", 1024, 800_000, 8)
    label = f"{scale.connections:,} slow readers and 8 producers"
    yield f"memory MB | {label}, highest", broker.memory_mb()[1]
    yield f"produce MB/s beside | {label}", used.megabytes / used.seconds
    crowd.go()
    crowd.result()


def latency(_broker: Broker, scale: Scale, _clients: Clients) -> Iterator[Result]:
    """Fixed rates with acks=all and linger.ms=0: until acknowledged, and until the consumer has it."""
    for rate, warm_up_seconds in zip((5_000, 20_000), scale.warm_up_seconds, strict=True):
        topic = f"latency-{rate}"
        create_topic(topic, 1)
        receiver = Worker("receive", topic=topic, partitions=1)
        sender = Worker(
            "send-at-rate", topic=topic, rate=rate, size=100, seconds=scale.latency_seconds, warm_up_seconds=warm_up_seconds
        )
        receiver.go()
        sender.go()
        results = [("acknowledged", sender.result()), ("end to end", receiver.result())]
        yield f"warm-up s | {rate:,}/s", results[0][1]["warm_up_seconds"]
        for kind, result in results:
            for quantile, value in result["latency_ms"].items():
                yield f"latency ms | {rate:,}/s, {kind}, {quantile}", value
        delete_topic(topic)


def java_tools(broker: Broker, scale: Scale, clients: Clients) -> Iterator[Result]:
    """The perf tools of Apache Kafka's release, with their defaults: the producer is idempotent."""
    warm_up(broker, clients)
    libs = clients.kafka_libs

    def run(tool: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={libs.parent / 'log4j2.properties'}"
        command = ["java", "-Xmx512M", logging, "-cp", f"{libs}/*", f"org.apache.kafka.tools.{tool}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()

    def perf_producer(topic: str, size: int, count: int, rate: int, *more: str) -> dict[str, float]:
        command = ["--bootstrap-server", BOOTSTRAP, "--topic", topic, "--num-records", str(count)]
        command += ["--record-size", str(size), "--throughput", str(rate), "--command-property", "acks=all", *more]
        last = run("ProducerPerformance", *command)[-1]
        pattern = r"\(([\d.]+) MB/sec\).* (\d+) ms 50th, (\d+) ms 95th, (\d+) ms 99th, (\d+) ms 99.9th"
        found = re.search(pattern, last)
        if not found:
            raise RuntimeError(f"unexpected output of the perf tool: {last}")
        # The tool's MB are 2^20 bytes.
        return dict(zip(("MB/s", "p50", "p95", "p99", "p99.9"), map(float, found.groups()), strict=True)) | {
            "MB/s": float(found[1]) * 1.048576
        }

    for size, count in ((1024, scale.java_records), (100, scale.java_records * 3)):
        topic = f"java-{size}"
        create_topic(topic, 1)
        before = broker.cpu_seconds()
        yield f"java produce MB/s | {size} B, acks=all", perf_producer(topic, size, count, -1)["MB/s"]
        yield f"java CPU s/GB | {size} B, produced", (broker.cpu_seconds() - before) / (size * count / 1e9)
        command = ["--bootstrap-server", BOOTSTRAP, "--topic", topic, "--num-records", str(count), "--hide-header"]
        before = broker.cpu_seconds()
        columns = run("ConsumerPerformance", *command)[-1].split(", ")
        # As in consume().
        yield f"java consume MB/s | {size} B", float(columns[8]) * 1.048576
        yield f"java CPU s/GB | {size} B, consumed", (broker.cpu_seconds() - before) / (size * count / 1e9)
        delete_topic(topic)
    for rate in (5_000, 20_000):
        topic = f"java-rate-{rate}"
        create_topic(topic, 1)
        warm_up_records = ("--warmup-records", str(rate * 5))
        found = perf_producer(topic, 100, rate * 15, rate, "linger.ms=0", *warm_up_records)
        for quantile in ("p50", "p99", "p99.9"):
            yield f"java latency ms | {rate:,}/s, acknowledged, {quantile}", found[quantile]
        delete_topic(topic)


def time_to_first_ack(broker: Broker, topic: str) -> float:
    """Seconds from the start of the process to the first acknowledged record; the broker keeps running."""
    worker = Worker("first-ack", topic=topic)
    started = broker.start()
    worker.go()
    return worker.result()["end"] - started


def start_up(broker: Broker, _scale: Scale, _clients: Clients) -> Iterator[Result]:
    """Starts on an empty directory; memory of a broker that does nothing."""
    yield "start s | empty directory to first acknowledged record", time_to_first_ack(broker, "first")
    time.sleep(3)
    yield "memory MB | idle", broker.memory_mb()[0]
    before = broker.cpu_seconds()
    time.sleep(4)
    yield "idle CPU % | nothing connected", (broker.cpu_seconds() - before) / 4 * 100
    yield "stop s | few partitions", broker.stop()


def many_partitions(broker: Broker, scale: Scale, _clients: Clients) -> Iterator[Result]:
    """Thousands of partitions with a record each: creating, starting after a stop and after kill -9."""
    broker.start()
    total = f"{scale.topics * scale.partitions_per_topic:,} partitions"
    topics = [f"many-{number}" for number in range(scale.topics)]
    begin = time.monotonic()
    for topic in topics:
        create_topic(topic, scale.partitions_per_topic)
    yield f"partitions s | {total}, created", time.monotonic() - begin
    yield f"partitions s | {total}, a record to each", touch_all(topics, scale)
    yield f"memory MB | {total}", broker.memory_mb()[0]
    for key, value in latency_beside(scale):
        yield f"latency ms | 5,000/s beside {total}, {key}", value
    yield f"stop s | {total}", broker.stop()
    yield f"start s | {total}, after a stop", time_to_first_ack(broker, topics[0])
    broker.kill()
    yield f"start s | {total}, after kill -9 when idle", time_to_first_ack(broker, topics[0])
    # Records everywhere that may not be on disk yet: everything since the last checkpoint is looked at again.
    for _ in range(3):
        touch_all(topics, scale)
    broker.kill()
    yield f"start s | {total}, after kill -9 under load", time_to_first_ack(broker, topics[0])
    broker.kill()


def touch_all(topics: list[str], scale: Scale) -> float:
    """Sends a record to every partition; the seconds it took."""
    worker = Worker("touch", topics=topics, partitions=scale.partitions_per_topic)
    begin = time.monotonic()
    worker.go()
    return worker.result()["end"] - begin


def latency_beside(scale: Scale) -> Iterator[Result]:
    """Produce latency at 5,000 records/s to one more partition."""
    create_topic("beside", 1)
    warm_up_seconds = scale.warm_up_seconds[0] // 2
    sender = Worker("send-at-rate", topic="beside", rate=5_000, size=100, seconds=scale.latency_seconds, warm_up_seconds=warm_up_seconds)
    sender.go()
    found = sender.result()["latency_ms"]
    for quantile in ("p50", "p99"):
        yield f"acknowledged, {quantile}", found[quantile]
