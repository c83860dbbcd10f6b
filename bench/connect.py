#!/usr/bin/env python3
"""Connectors against the clock: rows per second from and into MariaDB and PostgreSQL, megabytes per second of a file into a topic.

    .cache/venv/bin/python bench/connect.py [--milena target/release/milena] [--rows 300000] [--only sink|source|file] [--kind mariadb]

Beside Milena: the runtime of Apache Kafka's Connect with Debezium's JDBC sink (bench/fetch-jdbc.sh; an open JDBC source is
not on Maven Central), and a JDBC driver in a loop without any Kafka, which is the floor. All use one Milena broker, one
task, one partition, JsonConverter with schemas, 500 records a `put` and a transaction. What is before the first tenth of
the rows, such as the start of a JVM, is not counted. The file has lines of 1,000 bytes, which StringConverter writes. Databases force nothing to the disk, so that the disk is not
what is measured. `cpu` is processor time of the worker for a row (for Milena broker and worker: they are one process).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "system-tests" / "python"))

import confluent_kafka  # noqa: E402
from harness.connect import ServerWithConnect  # noqa: E402
from harness.databases import Database, MariaDb, Postgres  # noqa: E402
from harness.server import free_port  # noqa: E402

JDBC = ROOT / ".cache" / "jdbc"
KAFKA_LIBS = ROOT / ".cache" / "kafka" / "libs"
TABLE = "people"
COLUMNS = {
    "mariadb": "id int primary key, name varchar(100), email varchar(100), amount double, created_at datetime(3)",
    "postgresql": "id int primary key, name varchar(100), email varchar(100), amount double precision, created_at timestamp(3)",
}
# What makes drivers send many rows with one statement, and read without taking the whole table into memory.
PARAMETERS = {"mariadb": "rewriteBatchedStatements=true&useBulkStmts=true", "postgresql": "reWriteBatchedInserts=true"}
SCHEMA = {"type": "struct", "name": TABLE, "optional": False, "fields": [
    {"field": "id", "type": "int32", "optional": False}, {"field": "name", "type": "string", "optional": True},
    {"field": "email", "type": "string", "optional": True}, {"field": "amount", "type": "double", "optional": True},
    {"field": "created_at", "type": "int64", "optional": True, "name": "org.apache.kafka.connect.data.Timestamp", "version": 1}]}


class Measured:
    """Rows per second, and microseconds of processor time for a row."""

    def __init__(self, rows: float, cpu: float | None = None, resident: int | None = None) -> None:
        self.rows, self.cpu, self.resident = rows, cpu, resident

    def __str__(self) -> str:
        text = f"{self.rows:>9,.0f} rows/s"
        if self.cpu is not None and self.resident is not None:
            text += f"  {self.cpu:6.1f} us cpu/row  {self.resident / 1e6:6.0f} MB"
        return text


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024


def measure(count: Callable[[], int], rows: int, pid: int, alive: Callable[[], str]) -> Measured:
    """Waits until `count` is `rows`; the time is that from a tenth on."""
    first = None
    deadline = time.monotonic() + 600
    while True:
        done, now = count(), time.monotonic()
        if first is None and done >= rows / 10:
            first = (done, now, processor_seconds(pid))
        if done >= rows and first is not None:
            before, since, cpu = first
            if done == before:
                sys.exit("too few rows to measure: all came at once")
            return Measured((done - before) / (now - since), (processor_seconds(pid) - cpu) / (done - before) * 1e6, peak_bytes(pid))
        if now > deadline:
            sys.exit(f"only {done} of {rows} rows in ten minutes: {alive()}")
        time.sleep(0.01)


def values(number: int) -> tuple[int, str, str, float, int]:
    return number, f"name of {number}", f"somebody{number}@example.org", number * 0.5, 1_627_815_857_000 + number


def fill_topic(bootstrap: str, topic: str, rows: int) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 500_000})
    prefix = b'{"schema":' + json.dumps(SCHEMA, separators=(",", ":")).encode() + b',"payload":'
    names = [field["field"] for field in SCHEMA["fields"]]
    for number in range(rows):
        payload = json.dumps(dict(zip(names, values(number), strict=True)), separators=(",", ":"))
        while True:
            try:
                producer.produce(topic, prefix + payload.encode() + b"}", partition=0)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(120)


def fill_table(database: Database, rows: int) -> None:
    at = "FROM_UNIXTIME(%s / 1000)" if database.kind == "mariadb" else "to_timestamp(%s / 1000.0)"
    for first in range(0, rows, 1000):
        chunk = [values(number) for number in range(first, min(first + 1000, rows))]
        marks = ",".join([f"(%s,%s,%s,%s,{at})"] * len(chunk))
        database.sql(f"INSERT INTO {TABLE} VALUES {marks}", *[value for row in chunk for value in row])


def last_row(database: Database, table: str) -> Callable[[], int]:
    connection = database.server.connect(database.name)

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT max(id) FROM {table}")
            found = cursor.fetchone()[0]
            return 0 if found is None else found + 1

    return count


def end_of(bootstrap: str, topic: str) -> Callable[[], int]:
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "log_level": 0})

    def count() -> int:
        try:
            return consumer.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0), timeout=5)[1]
        except confluent_kafka.KafkaException:
            return 0

    return count


def milena_sink(server: ServerWithConnect, database: Database, topic: str, table: str, rows: int) -> Measured:
    name = server.connect.create(f"sink-{table}-{database.kind}", {
        "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "topics": topic, "tasks.max": "1", **database.settings(),
        "table.name.format": table, "pk.mode": "record_value", "pk.fields": "id"})
    result = measure(last_row(database, table), rows, server.process.pid, lambda: json.dumps(server.connect.status(name)))
    server.connect.delete(name)
    return result


def milena_source(server: ServerWithConnect, database: Database, rows: int) -> Measured:
    prefix = f"from_{database.kind}_"
    name = server.connect.create(f"source-{database.kind}", {
        "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "tasks.max": "1", **database.settings(),
        "mode": "incrementing", "incrementing.column.name": "id", "table.whitelist": TABLE, "topic.prefix": prefix})
    count = end_of(server.bootstrap, prefix + TABLE)
    result = measure(count, rows, server.process.pid, lambda: json.dumps(server.connect.status(name)))
    server.connect.delete(name)
    return result


def file_source(server: ServerWithConnect, directory: Path, megabytes: int) -> Measured:
    """Lines of 1,000 bytes into a topic; the result counts lines, so a thousandth of it are megabytes a second."""
    lines = megabytes * 1000
    file = directory / "lines.txt"
    with file.open("wb") as out:
        for number in range(lines):
            out.write(b"%-999d\n" % number)
    string = "org.apache.kafka.connect.storage.StringConverter"
    name = server.connect.create("file", {"connector.class": "FileStreamSource", "file": str(file), "topic": "from_file",
                                          "key.converter": string, "value.converter": string})
    result = measure(end_of(server.bootstrap, "from_file"), lines, server.process.pid, lambda: json.dumps(server.connect.status(name)))
    server.connect.delete(name)
    file.unlink()
    return result


def apache_sink(server: ServerWithConnect, database: Database, topic: str, table: str, rows: int, directory: Path) -> Measured:
    with apache(directory, server.bootstrap, {
        "name": f"debezium-{table}-{database.kind}", "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector", "topics": topic,
        "tasks.max": "1", "connection.url": f"{jdbc_url(database)}", "connection.username": database.server.user,
        "connection.password": database.server.password, "insert.mode": "insert", "primary.key.mode": "record_value",
        "primary.key.fields": "id", "collection.name.format": table, "schema.evolution": "none",
    }) as process:
        log = directory / "connect.log"
        return measure(last_row(database, table), rows, process.pid, lambda: log.read_text()[-3000:])


def jdbc_url(database: Database) -> str:
    # The driver of MariaDB takes no other scheme.
    url = database.url.replace("jdbc:mysql:", "jdbc:mariadb:")
    return f"{url}?{PARAMETERS[database.kind]}"


@contextlib.contextmanager
def apache(directory: Path, bootstrap: str, connector: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Apache Kafka's runtime in standalone mode with one connector."""
    directory.mkdir(parents=True, exist_ok=True)
    worker = {
        "bootstrap.servers": bootstrap, "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter", "listeners": f"http://127.0.0.1:{free_port()}",
        "offset.storage.file.filename": str(directory / "offsets"), "plugin.path": str(JDBC / "plugins"),
    }
    files = []
    for name, settings in (("worker", worker), ("connector", connector)):
        files.append(directory / f"{name}.properties")
        files[-1].write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    command = ["java", "-Xms256m", "-Xmx2g", "-cp", f"{KAFKA_LIBS}/*", "org.apache.kafka.connect.cli.ConnectStandalone", *map(str, files)]
    with (directory / "connect.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def bare(mode: str, database: Database, table: str, rows: int) -> Measured:
    command = ["java", "-cp", f"{JDBC}/drivers/*", str(ROOT / "bench" / "jdbc" / "BareDriver.java"), mode, jdbc_url(database),
               database.server.user, database.server.password, table, str(rows), "500"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return Measured(float(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--milena", type=Path, default=ROOT / "target" / "release" / "milena")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--only", choices=["source", "sink", "file"])
    parser.add_argument("--megabytes", type=int, default=500, help="size of the file")
    parser.add_argument("--kind", choices=["mariadb", "postgresql"])
    parser.add_argument("--without-apache", action="store_true")
    arguments = parser.parse_args()
    # So that servers are stopped, too, when somebody ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    os.environ["MILENA_BIN"] = str(arguments.milena)
    from harness import paths
    paths.MILENA = arguments.milena.resolve()
    if arguments.only != "file":
        subprocess.run([ROOT / "bench" / "fetch-jdbc.sh"], check=True)
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        server = ServerWithConnect(directory / "server").start()
        try:
            if arguments.only in (None, "file"):
                print(f"file        source  Milena (rows of 1 kB)            {file_source(server, directory, arguments.megabytes)}", flush=True)
            for kind in (MariaDb, Postgres):
                if arguments.only != "file" and arguments.kind in (None, kind.kind):
                    run(arguments, server, kind, directory)
        finally:
            server.stop()


def run(arguments: argparse.Namespace, server: ServerWithConnect, kind: Any, directory: Path) -> None:
    rows = arguments.rows
    instance = kind()
    try:
        instance.start()
        database = instance.database("bench")
        if arguments.only in (None, "sink"):
            topic = f"into_{kind.kind}"
            fill_topic(server.bootstrap, topic, rows)
            for table in ("of_milena", "of_apache", "of_driver"):
                database.sql(f"CREATE TABLE {table} ({COLUMNS[kind.kind]})")
            show(kind, "sink", "Milena", milena_sink(server, database, topic, "of_milena", rows))
            if not arguments.without_apache:
                show(kind, "sink", "Apache Kafka Connect, Debezium", apache_sink(server, database, topic, "of_apache", rows, directory / kind.kind))
            # The rows of the warm-up have other keys.
            show(kind, "sink", "JDBC driver alone", bare("write", database, "of_driver", rows))
        if arguments.only in (None, "source"):
            database.sql(f"CREATE TABLE {TABLE} ({COLUMNS[kind.kind]})")
            fill_table(database, rows)
            show(kind, "source", "Milena", milena_source(server, database, rows))
            show(kind, "source", "JDBC driver alone", bare("read", database, TABLE, rows))
    finally:
        instance.remove()


def show(kind: Any, way: str, system: str, measured: Measured) -> None:
    print(f"{kind.kind:<11} {way:<7} {system:<32} {measured}", flush=True)


if __name__ == "__main__":
    main()
