#!/usr/bin/env python3
"""The REST Proxy: records of 1 KiB as JSON over v2, in batches of 1, 10 and 100, and as streams over v3, beside a native client.

    bench/rest.py [--milena target/release/milena] [--seconds 5] [--connections 16]

Prints one row a batch size: records per second, the 99th percentile of one call, and microseconds of processor time that
the server (broker and proxy in one process) took for a record. Load and server share the machine. The native row is
librdkafka with as many records in flight as 16 connections with that batch have, which is waited for in the same way. The
stream has four connections; its 99th percentile is from sending 64 records in one chunk to the last of their answers.
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
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import Pool
from pathlib import Path

BROKER_PORT, REST_PORT = 29692, 29682
RECORD = {"text": "x" * 1013}
MEDIA_TYPE = "application/vnd.kafka.json.v2+json"
TOPIC = "bench"
# Begins every good answer of a stream.
WRITTEN = b'"error_code":200'
LOADERS = 4
# Records of one chunk of a stream.
CHUNK = 64


@contextlib.contextmanager
def server(binary: Path, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`milena server` with its proxy, ready to answer."""
    command = [str(binary), "server", "--data-dir", str(directory)]
    for setting in (
        f"listeners=PLAINTEXT://127.0.0.1:{BROKER_PORT}",
        "milena.schema.registry.listeners=",
        f"milena.rest.proxy.listeners=http://127.0.0.1:{REST_PORT}",
        "num.partitions=4",
    ):
        command += ["--override", setting]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not ready():
            if process.poll() is not None:
                sys.exit(f"{binary} ended with {process.returncode}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def ready() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", REST_PORT, timeout=60)
    try:
        body = json.dumps({"records": [{"value": 1}]})
        connection.request("POST", f"/topics/{TOPIC}", body, {"Content-Type": MEDIA_TYPE})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def over_http(task: tuple[int, int, float]) -> list[float]:
    """Seconds of each call over some connections of one process, each with one call under way."""
    connections, batch, seconds = task
    body = json.dumps({"records": [{"value": RECORD}] * batch}).encode()
    head = (
        f"POST /topics/{TOPIC} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {MEDIA_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    sockets = [socket.create_connection(("127.0.0.1", REST_PORT)) for _ in range(connections)]
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = []
        for one in sockets:
            began.append(time.perf_counter())
            one.sendall(request)
        for one, since in zip(sockets, began, strict=True):
            read_answer(one, batch)
            taken.append(time.perf_counter() - since)
    for one in sockets:
        one.close()
    return taken


def read_answer(one: socket.socket, batch: int) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += one.recv(1 << 18)
    head, rest = data.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 "), data
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    left = int(length.split(b":")[1]) - len(rest)
    while left > 0:
        data = one.recv(min(left, 1 << 18))
        assert data, "the server closed the connection"
        rest += data
        left -= len(data)
    assert rest.count(b'"error_code":null') == batch, rest


def streamed(task: tuple[int, int, float]) -> list[float]:
    """Seconds from each chunk of records to its last answer, over one connection that never stops writing."""
    record = json.dumps({"value": {"type": "JSON", "data": RECORD}}).encode() + b"\n"
    chunk = b"%x\r\n%b\r\n" % (len(record) * CHUNK, record * CHUNK)
    connection = http.client.HTTPConnection("127.0.0.1", REST_PORT)
    connection.request("GET", "/v3/clusters")
    cluster = json.load(connection.getresponse())["data"][0]["cluster_id"]
    one = socket.create_connection(("127.0.0.1", REST_PORT))
    head = f"POST /v3/clusters/{cluster}/topics/{TOPIC}/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    one.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
    sent: deque[float] = deque()

    def write() -> None:
        until = time.perf_counter() + task[2]
        while time.perf_counter() < until:
            sent.append(time.perf_counter())
            one.sendall(chunk)
        one.sendall(b"0\r\n\r\n")

    writer = threading.Thread(target=write)
    writer.start()
    taken, answered, tail = [], 0, b""
    while not (data := tail + one.recv(1 << 18)).endswith(b"\r\n0\r\n\r\n"):
        answered += data.count(WRITTEN)
        # An answer may be cut in two; what is kept is too short to be counted twice.
        tail = data[-len(WRITTEN) + 1:]
        while len(taken) < answered // CHUNK:
            taken.append(time.perf_counter() - sent.popleft())
    answered += data.count(WRITTEN)
    writer.join()
    while len(taken) < answered // CHUNK:
        taken.append(time.perf_counter() - sent.popleft())
    assert not sent and answered == len(taken) * CHUNK, (len(sent), answered)
    return taken


def natively(task: tuple[int, int, float]) -> list[float]:
    """Seconds of each round of `connections * batch` records of one native producer."""
    from confluent_kafka import Producer

    connections, batch, seconds = task
    settings = {"bootstrap.servers": f"127.0.0.1:{BROKER_PORT}", "acks": "all", "linger.ms": 0, "log_level": 0}
    producer, value, taken = Producer(settings), json.dumps(RECORD).encode(), []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        for _ in range(connections * batch):
            producer.produce(TOPIC, value)
        assert producer.flush(60) == 0
        taken.append(time.perf_counter() - began)
    return taken


def row(
    name: str, process: subprocess.Popen[bytes], load: Callable[[tuple[int, int, float]], list[float]],
    arguments: argparse.Namespace, batch: int, records_a_call: int,
) -> None:
    task = (arguments.connections // LOADERS, batch, arguments.seconds)
    with Pool(LOADERS) as pool:
        pool.map(load, [(*task[:2], 0.5)] * LOADERS)
        before, began = processor_seconds(process), time.perf_counter()
        calls = sorted(taken for share in pool.map(load, [task] * LOADERS) for taken in share)
        spent, wall = processor_seconds(process) - before, time.perf_counter() - began
    records = len(calls) * records_a_call
    p99 = calls[len(calls) * 99 // 100] * 1000
    print(f"{name:24} {batch:5} {records / wall:12.0f} /s {p99:10.2f} ms {spent / records * 1e6:10.1f} us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--milena", type=Path, default=Path("target/release/milena"))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    print(f"{'':24} {'batch':>5} {'records':>15} {'p99':>13} {'server time':>13}")
    with tempfile.TemporaryDirectory() as directory, server(arguments.milena, Path(directory)) as process:
        for batch in (1, 10, 100):
            row("v2, JSON", process, over_http, arguments, batch, batch)
            row("native", process, natively, arguments, batch, batch * (arguments.connections // LOADERS))
        row("v3, stream", process, streamed, arguments, CHUNK, CHUNK)


if __name__ == "__main__":
    main()
