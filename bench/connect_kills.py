#!/usr/bin/env python3
"""Two Connect workers that are killed in turn (`kill -9`) for minutes, under load: is anything lost, or twice in a table?

    .cache/venv/bin/python bench/connect_kills.py [--milena target/release/milena] [--minutes 10]

Four FileStream sources read files that grow all the time; a JDBC sink of two tasks writes what a producer sends to a topic of
four partitions into a table of MariaDB, by primary key. Every turn one worker is killed as soon as both run their share, and is
started again when the other has everything. At the end each line must be in its topic and each record in the table once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "system-tests" / "python"))

import confluent_kafka  # noqa: E402
from confluent_kafka.admin import AdminClient, NewTopic  # noqa: E402
from harness.connect import DistributedWorker  # noqa: E402
from harness.databases import MariaDb  # noqa: E402
from harness.librdkafka import read  # noqa: E402
from harness.server import Server  # noqa: E402
from harness.wait import until  # noqa: E402

NAMES = [f"source{number}" for number in range(4)]
SINK = "sink"
TOPIC = "numbers"
STRING = "org.apache.kafka.connect.storage.StringConverter"
#: Seconds between two lines of a file and two records of the producer.
PAUSE = 0.005


class Load:
    """Writes to the files and to the topic until it is told to stop."""

    def __init__(self, directory: Path, bootstrap: str) -> None:
        self.directory = directory
        self.lines = self.records = 0
        self.stopped = threading.Event()
        self.producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        schema = '{"type":"struct","optional":false,"fields":[{"field":"n","type":"int64","optional":false}]}'
        files = [open(self.directory / name, "a", encoding="utf-8") for name in NAMES]  # noqa: SIM115
        while not self.stopped.wait(PAUSE):
            for file in files:
                file.write(f"{self.lines}\n")
                file.flush()
            self.lines += 1
            self.producer.produce(TOPIC, f'{{"schema":{schema},"payload":{{"n":{self.records}}}}}', partition=self.records % 4)
            self.records += 1
            self.producer.poll(0)
        for file in files:
            file.close()
        self.producer.flush()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join()


def host(worker: DistributedWorker) -> str:
    return worker.url.removeprefix("http://")


def owners(worker: DistributedWorker) -> dict[Any, str]:
    """Who runs each task; empty unless all run."""
    found: dict[Any, str] = {}
    try:
        rows = worker.get("/connectors?expand=status").json()
    except OSError:
        return {}
    for name, row in rows.items():
        for part in [row["status"]["connector"], *row["status"]["tasks"]]:
            if part["state"] != "RUNNING":
                return {}
            found[name, part.get("id", "connector")] = part["worker_id"]
    return found if len(found) == 2 * len(NAMES) + 3 else {}


def make(worker: DistributedWorker, directory: Path, database: Any) -> None:
    for name in NAMES:
        (directory / name).touch()
        worker.put_connector(name, {"connector.class": "FileStreamSource", "file": str(directory / name), "topic": name,
                                    "value.converter": STRING})
    worker.put_connector(SINK, {
        "connector.class": "JdbcSink", "topics": TOPIC, "tasks.max": "2", **database.settings(), "auto.create": "true",
        "insert.mode": "upsert", "pk.mode": "kafka", "consumer.override.session.timeout.ms": "6000",
        "errors.restart.max.attempts": "-1"})


def kill_in_turn(workers: list[DistributedWorker], minutes: float) -> list[float]:
    """Seconds that each takeover took."""
    end = time.monotonic() + minutes * 60
    both, takeovers = {host(worker) for worker in workers}, []
    until(lambda: set(owners(workers[0]).values()) == both, "both have a share", 120)
    turn = 0
    while time.monotonic() < end:
        victim, survivor = workers[turn % 2], workers[1 - turn % 2]
        victim.kill()
        since = time.monotonic()
        until(lambda: set(owners(survivor).values()) == {host(survivor)}, survivor.log_tail, 120, poll=0.1)
        takeovers.append(time.monotonic() - since)
        victim.start()
        until(lambda: set(owners(survivor).values()) == both, survivor.log_tail, 120, poll=0.1)
        turn += 1
    return takeovers


def check(load: Load, server: Server, database: Any) -> None:
    for name in NAMES:
        wanted = {str(number) for number in range(load.lines)}
        seen: list[str] = []

        def all_there(name: str = name, wanted: set[str] = wanted, seen: list[str] = seen) -> bool:
            seen[:] = [message.value().decode() for message in read(server, name)]
            return set(seen) >= wanted

        until(all_there, f"every line of {name} is in its topic", 120, poll=1)
        print(f"{name}: {load.lines} lines, none lost, {len(seen) - len(wanted)} read again after a kill", flush=True)

    def rows() -> tuple[int, int]:
        return database.sql(f"SELECT count(*), count(DISTINCT n) FROM {TOPIC}")[0]

    until(lambda: rows() == (load.records, load.records), lambda: f"{rows()} of {load.records} rows", 120, poll=1)
    print(f"{SINK}: {load.records} records, each once in the table", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--milena", type=Path, default=ROOT / "target" / "release" / "milena")
    parser.add_argument("--minutes", type=float, default=10)
    arguments = parser.parse_args()
    from harness import paths
    paths.MILENA = arguments.milena.resolve()
    os.environ["MILENA_BIN"] = str(paths.MILENA)
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        server, mariadb, workers = Server(directory / "kafka", {"milena.connect.listeners": ""}), MariaDb(), []
        try:
            server.start()
            database = mariadb.start().database("kills")
            admin = AdminClient({"bootstrap.servers": server.bootstrap})
            admin.create_topics([NewTopic(TOPIC, 4, 1)])[TOPIC].result(30)
            workers = [DistributedWorker(directory / f"worker{number}", server.bootstrap, {"heartbeat.interval.ms": 500}).start()
                       for number in range(2)]
            make(workers[0], directory, database)
            load = Load(directory, server.bootstrap)
            load.thread.start()
            try:
                takeovers = sorted(kill_in_turn(workers, arguments.minutes))
            finally:
                load.stop()
            print(f"{len(takeovers)} kills in {arguments.minutes:g} minutes; the other had everything after "
                  f"{takeovers[len(takeovers) // 2]:.1f} s (median), {takeovers[-1]:.1f} s at most", flush=True)
            check(load, server, database)
            for worker in workers:
                assert "panicked" not in worker.log(), worker.log_tail()
        finally:
            for worker in workers:
                worker.kill()
            mariadb.remove()
            server.stop()


if __name__ == "__main__":
    main()
