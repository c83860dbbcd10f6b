#!/usr/bin/env python3
"""Persistent queries of the SQL server beside the same topologies in Kafka Streams.

    .cache/venv/bin/python bench/ksql.py [--milena target/release/milena] [--records 1000000] [--only filter] [--format json]

Three queries over JSON of some 200 bytes and over the same as Avro: filter and project, windowed count by key, stream-table
join. Each runs alone, one task over one partition, held to one core by its affinity; the broker (Milena) has the others. All
changes are written, so Kafka Streams works without its record cache. What is before the first tenth of the results, such
as the start of a JVM, is not counted. `cpu` is processor time of the process that runs the query, for a record that it
reads; `resident` its peak. bench/fetch-streams.sh gets Kafka Streams from Maven Central.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "system-tests" / "python"))

import confluent_kafka  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from connect import Measured, end_of, measure  # noqa: E402
from harness import paths  # noqa: E402
from harness.registry import ServerWithRegistry  # noqa: E402
from harness.sql import Sql  # noqa: E402

STREAMS = ROOT / ".cache" / "streams"
KEYS = 10_000
DISTINCT = 20_000
CITIES = ["Hamburg", "Lisboa", "Oslo", "Napoli"]
NOTE = "n" * 96
SOURCES = """
    CREATE STREAM orders (person STRING KEY, id BIGINT, city STRING, title STRING, amount DOUBLE, active BOOLEAN, note STRING)
        WITH (kafka_topic='orders_{format}', value_format='{format}');
    CREATE TABLE people (person STRING PRIMARY KEY, name STRING, since BIGINT)
        WITH (kafka_topic='people_{format}', value_format='{format}');
"""
QUERIES = {
    "filter": """CREATE STREAM result WITH (kafka_topic='{topic}', partitions=1) AS
        SELECT person, id, UCASE(city) AS city, amount * 2 AS twice FROM orders WHERE amount > 100 EMIT CHANGES;""",
    "count": """CREATE TABLE result WITH (kafka_topic='{topic}', partitions=1) AS
        SELECT person, COUNT(*) AS n FROM orders WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY person EMIT CHANGES;""",
    "join": """CREATE STREAM result WITH (kafka_topic='{topic}', partitions=1) AS
        SELECT orders.person AS person, id, amount, name FROM orders JOIN people ON orders.person = people.person EMIT CHANGES;""",
}


def results(query: str, records: int) -> int:
    """How many records a query writes."""
    if query != "filter":
        return records
    full, rest = divmod(records, DISTINCT)
    passing = [number % 2000 / 10 > 100 for number in range(DISTINCT)]
    return full * sum(passing) + sum(passing[:rest])


def enough(query: str, records: int) -> int:
    """How many results are waited for: of a join some may be missing at the start, when a row of the table came late."""
    return int(results(query, records) * 0.98)


def zigzag(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    output = bytearray()
    while number >= 0x80:
        output.append(number & 0x7F | 0x80)
        number >>= 7
    output.append(number)
    return bytes(output)


def text(value: str) -> bytes:
    return b"\x02" + zigzag(len(value)) + value.encode()


def order(format_: str, schema: int, number: int) -> bytes:
    city, amount, active = CITIES[number % 4], number % 2000 / 10, number % 2 == 0
    if format_ == "json":
        return (f'{{"id": {number}, "city": "{city}", "title": "Senior Engineer", "amount": {amount:.2f}, '
                f'"active": {str(active).lower()}, "note": "{NOTE}"}}').encode()
    return (b"\x00" + struct.pack(">i", schema) + b"\x02" + zigzag(number) + text(city) + text("Senior Engineer")
            + b"\x02" + struct.pack("<d", amount) + b"\x02" + bytes([active]) + text(NOTE))


def person(format_: str, schema: int, number: int) -> bytes:
    if format_ == "json":
        return f'{{"name":"Name of {number}","since":{number}}}'.encode()
    return b"\x00" + struct.pack(">i", schema) + text(f"Name of {number}") + b"\x02" + zigzag(number)


def key(number: int) -> bytes:
    return f"person-{number % KEYS:06}".encode()


class Bench:
    """A broker with a registry, filled for one format after the other."""

    def __init__(self, server: ServerWithRegistry, directory: Path, records: int, cores: tuple[set[int], set[int]] | None) -> None:
        self.server, self.directory, self.records, self.cores = server, directory, records, cores
        self.schemas: dict[str, tuple[int, int]] = {"json": (0, 0)}
        self.runs = 0

    def topic(self, name: str) -> None:
        admin = AdminClient({"bootstrap.servers": self.server.bootstrap})
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(30)

    def fill(self, format_: str) -> None:
        """The topics, and the schemas: a SQL server registers them when the sources are declared."""
        for name in ("orders", "people"):
            self.topic(f"{name}_{format_}")
        if format_ == "avro":
            with self.sql("declare_") as sql:
                sql.ksql(SOURCES.format(format=format_))
            ids = [self.server.registry.get(f"/subjects/{name}_avro-value/versions/latest").ok()["id"] for name in ("orders", "people")]
            self.schemas[format_] = (ids[0], ids[1])
        orders, people = self.schemas[format_]
        producer = confluent_kafka.Producer({
            "bootstrap.servers": self.server.bootstrap, "linger.ms": 50, "batch.size": 500_000, "queue.buffering.max.messages": 500_000})
        since = int(time.time() * 1000) - self.records
        for number in range(KEYS):
            send(producer, f"people_{format_}", key(number), person(format_, people, number), since)
        values = [order(format_, orders, number) for number in range(DISTINCT)]
        # Keys do not come in their order, and windows come and go: a record for every millisecond.
        for number in range(self.records):
            send(producer, f"orders_{format_}", key(number * 7), values[number % DISTINCT], since + number)
        producer.flush(120)

    @contextlib.contextmanager
    def sql(self, service: str) -> Iterator[Sql]:
        sql = Sql(self.directory / service, self.server.bootstrap, {
            "ksql.service.id": service, "ksql.schema.registry.url": self.server.registry.url})
        sql.start()
        try:
            yield sql
        finally:
            sql.stop()

    def milena(self, query: str, format_: str) -> Measured:
        self.runs += 1
        topic = f"milena_{query}_{format_}_{self.runs}"
        self.topic(topic)
        with self.sql(f"bench{self.runs}_") as sql:
            pin(sql.process.pid, self.cores and self.cores[0])
            sql.ksql(SOURCES.format(format=format_))
            sql.ksql(QUERIES[query].format(topic=topic), {"ksql.streams.auto.offset.reset": "earliest"})
            return measure(end_of(self.server.bootstrap, topic), enough(query, self.records), sql.process.pid,
                           lambda: sql.log()[-3000:])

    def streams(self, query: str, format_: str, cache: int) -> Measured:
        self.runs += 1
        topic = f"streams_{query}_{format_}_{self.runs}"
        self.topic(topic)
        orders, people = self.schemas[format_]
        log_path = self.directory / f"{topic}.log"
        command = ["java", "-Xmx1g", "-cp", f"{STREAMS}/classes:{STREAMS}/libs/*", "StreamsBench", query, format_, self.server.bootstrap,
                   f"bench-{self.runs}", f"orders_{format_}", f"people_{format_}", topic, str(self.directory / topic), str(orders),
                   str(people), str(cache)]
        with log_path.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            pin(process.pid, self.cores and self.cores[0])
            return measure(end_of(self.server.bootstrap, topic), enough(query, self.records), process.pid,
                           lambda: log_path.read_text()[-3000:])
        finally:
            process.kill()
            process.wait()


def send(producer: confluent_kafka.Producer, topic: str, key: bytes, value: bytes, timestamp: int) -> None:
    while True:
        try:
            return producer.produce(topic, value, key, partition=0, timestamp=timestamp)
        except BufferError:
            producer.poll(0.1)


def pin(pid: int, cores: set[int] | None) -> None:
    """Holds all threads of a process, and those that they start, to these cores."""
    for task in os.listdir(f"/proc/{pid}/task") if cores else []:
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(task), cores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--milena", type=Path, default=Path(os.environ.get("MILENA_BIN", ROOT / "target" / "release" / "milena")))
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--only", choices=list(QUERIES))
    parser.add_argument("--format", choices=["json", "avro"])
    parser.add_argument("--without-streams", action="store_true")
    parser.add_argument("--streams-cache", type=int, default=0, help="bytes of Kafka Streams' record cache")
    arguments = parser.parse_args()
    # So that servers are stopped, too, when somebody ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    paths.MILENA = arguments.milena.resolve()
    if not arguments.without_streams:
        subprocess.run([ROOT / "bench" / "fetch-streams.sh"], check=True)
    all_cores = sorted(os.sched_getaffinity(0))
    cores = ({all_cores[0]}, set(all_cores[1:])) if len(all_cores) > 1 else None
    with tempfile.TemporaryDirectory() as directory_text:
        directory = Path(directory_text)
        server = ServerWithRegistry(directory / "server").start()
        try:
            pin(server.process.pid, cores and cores[1])
            bench = Bench(server, directory, arguments.records, cores)
            print("| query | format | who | records/s | CPU per record | records per CPU second | resident |\n|---|---|---|---|---|---|---|")
            for format_ in ("json", "avro"):
                if arguments.format in (None, format_):
                    run(bench, format_, arguments)
        finally:
            server.stop()


def run(bench: Bench, format_: str, arguments: argparse.Namespace) -> None:
    bench.fill(format_)
    for query in QUERIES:
        if arguments.only not in (None, query):
            continue
        # Results of the filter are fewer than what it reads.
        share = arguments.records / results(query, arguments.records)
        show(query, format_, "Milena", bench.milena(query, format_), share)
        if not arguments.without_streams:
            show(query, format_, "Kafka Streams", bench.streams(query, format_, arguments.streams_cache), share)


def show(query: str, format_: str, who: str, measured: Measured, share: float) -> None:
    cpu = (measured.cpu or 0) / share
    print(f"| {query} | {format_} | {who} | {measured.rows * share:,.0f} | {cpu:.2f} µs | {1e6 / cpu:,.0f} "
          f"| {(measured.resident or 0) / 1e6:,.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
