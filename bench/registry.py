#!/usr/bin/env python3
"""The schema registry alone: look-ups by id, registrations, memory and start with many schemas.

    bench/registry.py [--milena target/release/milena] [--schemas 100000] [--seconds 5]

Prints one line a number. Load and server share the machine, so what counts is *requests per second of server time*: the
answers divided by the processor time that the server took for them. Requests are pipelined over a few connections, so that
the load generator is not the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

BROKER_PORT, REGISTRY_PORT = 29592, 29581
CONNECTIONS, PIPELINED = 4, 64
REGISTRATIONS = 500
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


@contextlib.contextmanager
def server(binary: Path, directory: Path, *settings: str) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """`milena server`, and how many seconds it took until it was ready to answer about schemas."""
    command = [str(binary), "server", "--data-dir", str(directory), "--roles", "broker,schema-registry"]
    for setting in (
        f"listeners=PLAINTEXT://127.0.0.1:{BROKER_PORT}",
        f"milena.schema.registry.listeners=http://127.0.0.1:{REGISTRY_PORT}",
        *settings,
    ):
        command += ["--override", setting]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            if process.poll() is not None:
                sys.exit(f"{binary} ended with {process.returncode}")
            try:
                status, _ = send("GET", "/subjects?limit=1")
            except OSError:
                status = 0
            if status == 200:
                break
            time.sleep(0.005)
        yield process, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(timeout=60)


def send(method: str, path: str, body: object = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", REGISTRY_PORT, timeout=60)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": MEDIA_TYPE})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def schema(number: int) -> str:
    fields = [{"name": f"field_{index}", "type": "string", "doc": "what it means"} for index in range(8)]
    return json.dumps({"type": "record", "name": f"Record{number}", "namespace": "bench", "fields": fields})


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mib(process: subprocess.Popen[bytes]) -> float:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def fill(count: int) -> None:
    """Writes `count` schemas into the topic as another registry would have."""
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    settings = {"bootstrap.servers": f"127.0.0.1:{BROKER_PORT}", "log_level": 0}
    topic = NewTopic("_schemas", num_partitions=1, replication_factor=1, config={"cleanup.policy": "compact"})
    admin = AdminClient(settings)
    for future in admin.create_topics([topic]).values():
        future.result()
    producer = Producer({**settings, "linger.ms": 20, "queue.buffering.max.messages": count + 1})
    for number in range(1, count + 1):
        key = f'{{"keytype":"SCHEMA","subject":"subject-{number}","version":1,"magic":1}}'
        value = {"subject": f"subject-{number}", "version": 1, "id": number, "schema": schema(number), "deleted": False}
        producer.produce("_schemas", json.dumps(value), key)
    assert producer.flush(120) == 0


def look_ups(seconds: float, highest_id: int) -> int:
    """Answers to GET /schemas/ids/{id} within about `seconds`, over all connections."""
    answered = [0] * CONNECTIONS
    until = time.perf_counter() + seconds

    def worker(number: int) -> None:
        ids = [(number * 7919 + index * 104729) % highest_id + 1 for index in range(PIPELINED)]
        request = b"".join(
            f"GET /schemas/ids/{identity} HTTP/1.1\r\nHost: localhost\r\nAccept: {MEDIA_TYPE}\r\n\r\n".encode()
            for identity in ids
        )
        with socket.create_connection(("127.0.0.1", REGISTRY_PORT)) as connection:
            while time.perf_counter() < until:
                connection.sendall(request)
                found, tail = 0, b""
                while found < PIPELINED:
                    data = connection.recv(1 << 18)
                    assert data, "the server closed the connection"
                    data = tail + data
                    found += data.count(b"HTTP/1.1 200 ")
                    # Of an answer that is cut, only its beginning must not be lost.
                    tail = data[-12:] if not data.endswith(b"}") else b""
                answered[number] += found

    workers = [threading.Thread(target=worker, args=(number,)) for number in range(CONNECTIONS)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    return sum(answered)


def registrations() -> list[float]:
    """Milliseconds of each of some registrations, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", REGISTRY_PORT, timeout=60)
    taken = []
    for number in range(REGISTRATIONS):
        body = json.dumps({"schema": schema(10_000_000 + number)})
        began = time.perf_counter()
        connection.request("POST", f"/subjects/new-{number}/versions", body, {"Content-Type": MEDIA_TYPE})
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer
        taken.append((time.perf_counter() - began) * 1000)
    connection.close()
    return sorted(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--milena", type=Path, default=Path("target/release/milena"))
    parser.add_argument("--schemas", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory)
        with server(arguments.milena, data) as (process, ready):
            print(f"start, nothing stored         {ready * 1000:10.0f} ms")
            print(f"resident, nothing stored      {resident_mib(process):10.1f} MiB")
            fill(arguments.schemas)
        with server(arguments.milena, data) as (process, ready):
            print(f"start, {arguments.schemas} schemas         {ready * 1000:10.0f} ms")
            print(f"resident, {arguments.schemas} schemas      {resident_mib(process):10.1f} MiB")
            look_ups(1.0, arguments.schemas)
            before = processor_seconds(process)
            began = time.perf_counter()
            answers = look_ups(arguments.seconds, arguments.schemas)
            wall, spent = time.perf_counter() - began, processor_seconds(process) - before
            print(f"look-ups by id                {answers / wall:10.0f} /s")
            print(f"look-ups by id, server time   {answers / spent:10.0f} /s")
            taken = registrations()
            print(f"registration, median          {taken[len(taken) // 2]:10.2f} ms")
            print(f"registration, p99             {taken[len(taken) * 99 // 100]:10.2f} ms")


if __name__ == "__main__":
    main()
