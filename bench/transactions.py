"""Transactions per second: small transactions back to back, which is where their overhead shows.

Run as a program this file is one producer: `transactions.py BOOTSTRAP TOPIC ID COUNT`. It says "ready", waits for a line, and
prints how many seconds its transactions took and the median of one commit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

RECORDS = 10
SIZE = 100


def producer(bootstrap: str, topic: str, name: str, count: int) -> None:
    from confluent_kafka import Producer

    client = Producer({"bootstrap.servers": bootstrap, "transactional.id": name, "linger.ms": 0, "log_level": 0})
    client.init_transactions(60)
    value = b"x" * SIZE
    print("ready", flush=True)
    sys.stdin.readline()
    commits = []
    started = time.perf_counter()
    for _ in range(count):
        client.begin_transaction()
        for _ in range(RECORDS):
            client.produce(topic, value)
        commit = time.perf_counter()
        client.commit_transaction(60)
        commits.append(time.perf_counter() - commit)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "commit_ms": sorted(commits)[len(commits) // 2] * 1000}), flush=True)


def transactions(bootstrap: str, create_topic, rounds: int) -> Iterator[tuple[str, float]]:
    """Transactions per second of one and of eight producers, and the median of a commit."""
    for producers, count in ((1, 400), (8, 200)):
        for _ in range(rounds):
            topic = f"transactions-{producers}-{time.time_ns()}"
            create_topic(topic, 4)
            command = [sys.executable, str(Path(__file__)), bootstrap, topic]
            workers = [
                subprocess.Popen([*command, f"{topic}-{n}", str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                for n in range(producers)
            ]
            for worker in workers:
                assert worker.stdout and worker.stdout.readline().strip() == "ready"
            for worker in workers:
                assert worker.stdin
                worker.stdin.write("go\n")
                worker.stdin.flush()
            found = [json.loads(worker.stdout.readline()) for worker in workers if worker.stdout]
            for worker in workers:
                worker.wait(timeout=60)
            what = f"{producers} producer{'s' if producers > 1 else ''}, {RECORDS} records of {SIZE} B each"
            yield f"transactions/s | {what}", producers * count / max(each["seconds"] for each in found)
            yield f"commit ms | {what}", sorted(each["commit_ms"] for each in found)[producers // 2]


if __name__ == "__main__":
    producer(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
