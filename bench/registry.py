#!/usr/bin/env python3
"""Schema registries beside each other: look-ups by id, registrations, memory and start with many schemas.

    bench/registry.py [--milena target/release/milena] [--schemas 100000] [--seconds 10] [--output docs/benchmarks-schema-registry.md]
    bench/registry.py --systems milena                 without the other registry
    bench/registry.py --systems apicurio --schemas 20000

Milena is `milena server` with its broker, so its memory and start are those of both. Apicurio Registry is the open registry that can
be had from Maven Central (bench/fetch-apicurio.sh puts it into .cache/); it is asked through its compatible API, keeps its schemas in
memory, and needs a JVM. The load is the same for both: keep-alive connections of this program, on the same machine.

What counts is *requests per second of server time*: the answers divided by the processor time that the server took for them, for
the load generator shares the machine. Look-ups are pipelined, so that the generator is not the limit.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APICURIO = ROOT / ".cache/apicurio"
BROKER_PORT, REGISTRY_PORT = 29592, 29581
CONNECTIONS, PIPELINED = 4, 64
WRITERS = 4
REGISTRATIONS = 500
START_SECONDS_MAX = 120
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
ROWS = (
    ("start, nothing stored", "ms"),
    ("resident, nothing stored", "MiB"),
    ("registrations, {writers} connections", "/s"),
    ("registrations, server time", "/s"),
    ("resident, {schemas} schemas", "MiB"),
    ("restart, {schemas} schemas", "ms"),
    ("restart, processor time", "ms"),
    ("resident after the restart", "MiB"),
    ("look-ups by id", "/s"),
    ("look-ups by id, server time", "/s"),
    ("registration, median", "ms"),
    ("registration, p99", "ms"),
)


@dataclass
class System:
    """A registry: how it is started, and where its compatible API begins."""

    name: str
    command: list[str]
    prefix: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    # Whether schemas are still there after a restart.
    keeps: bool = True


def milena(binary: Path, directory: Path) -> System:
    command = [str(binary), "server", "--data-dir", str(directory), "--roles", "broker,schema-registry"]
    for setting in (
        f"listeners=PLAINTEXT://127.0.0.1:{BROKER_PORT}",
        f"milena.schema.registry.listeners=http://127.0.0.1:{REGISTRY_PORT}",
    ):
        command += ["--override", setting]
    return System("milena", command)


def apicurio() -> System:
    start = APICURIO / "start"
    if not start.exists():
        sys.exit(f"{start} is missing: bench/fetch-apicurio.sh")
    environment = {"QUARKUS_HTTP_HOST": "127.0.0.1", "QUARKUS_HTTP_PORT": str(REGISTRY_PORT), "QUARKUS_LOG_LEVEL": "WARN"}
    return System("apicurio", [str(start)], "/apis/ccompat/v7", environment, keeps=False)


@contextlib.contextmanager
def running(system: System) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The registry, and how many seconds it took until it was ready to answer about schemas."""
    started = time.perf_counter()
    process = subprocess.Popen(
        system.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **system.environment}
    )
    try:
        while True:
            if process.poll() is not None:
                sys.exit(f"{system.name} ended with {process.returncode}")
            if time.perf_counter() - started > START_SECONDS_MAX:
                sys.exit(f"{system.name} is not ready after {START_SECONDS_MAX} s")
            try:
                status = Connection(system).send("GET", "/subjects?limit=1")[0]
            except OSError:
                status = 0
            if status == 200:
                break
            time.sleep(0.005)
        yield process, time.perf_counter() - started
    finally:
        process.terminate()
        process.wait(timeout=60)


class Connection:
    """One connection that is kept."""

    def __init__(self, system: System) -> None:
        self.prefix = system.prefix
        self.http = http.client.HTTPConnection("127.0.0.1", REGISTRY_PORT, timeout=60)

    def send(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        text = None if body is None else json.dumps(body)
        self.http.request(method, self.prefix + path, text, {"Content-Type": MEDIA_TYPE})
        response = self.http.getresponse()
        return response.status, response.read()

    def register(self, number: int) -> int:
        status, answer = self.send("POST", f"/subjects/subject-{number}/versions", {"schema": schema(number)})
        assert status == 200, answer
        return int(json.loads(answer)["id"])


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


def fill(system: System, count: int) -> list[int]:
    """Registers `count` schemas over several connections; the ids."""
    ids: list[list[int]] = [[] for _ in range(WRITERS)]

    def worker(number: int) -> None:
        connection = Connection(system)
        for index in range(number, count, WRITERS):
            ids[number].append(connection.register(index))

    together([threading.Thread(target=worker, args=(number,)) for number in range(WRITERS)])
    return [identity for some in ids for identity in some]


def look_ups(system: System, seconds: float, ids: list[int]) -> int:
    """Answers to GET /schemas/ids/{id} within about `seconds`, over all connections."""
    answered = [0] * CONNECTIONS
    until = time.perf_counter() + seconds

    def worker(number: int) -> None:
        chosen = [ids[(number * 7919 + index * 104729) % len(ids)] for index in range(PIPELINED)]
        request = b"".join(
            f"GET {system.prefix}/schemas/ids/{identity} HTTP/1.1\r\nHost: localhost\r\nAccept: {MEDIA_TYPE}\r\n\r\n".encode()
            for identity in chosen
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
                    assert b"HTTP/1.1 4" not in data and b"HTTP/1.1 5" not in data, data[:500]
                    # Of an answer that is cut, only its beginning must not be lost.
                    tail = data[-12:] if not data.endswith(b"}") else b""
                answered[number] += found

    together([threading.Thread(target=worker, args=(number,)) for number in range(CONNECTIONS)])
    return sum(answered)


def together(workers: list[threading.Thread]) -> None:
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()


def registrations(system: System) -> list[float]:
    """Milliseconds of each of some registrations, one after the other."""
    connection, taken = Connection(system), []
    for number in range(REGISTRATIONS):
        began = time.perf_counter()
        connection.register(10_000_000 + number)
        taken.append((time.perf_counter() - began) * 1000)
    return sorted(taken)


def measure(system: System, schemas: int, seconds: float) -> dict[str, float]:
    """Each row of the table that this registry can fill."""
    measured: dict[str, float] = {}

    def note(row: str, value: float) -> None:
        measured[row] = value
        print(f"{system.name:>9} {row.format(schemas=f'{schemas:,}', writers=WRITERS):<40} {value:12.2f}", flush=True)

    def answer(process: subprocess.Popen[bytes], ids: list[int]) -> None:
        # The first seconds belong to whoever compiles while running.
        look_ups(system, seconds / 2, ids)
        before, began = processor_seconds(process), time.perf_counter()
        answers = look_ups(system, seconds, ids)
        wall, spent = time.perf_counter() - began, processor_seconds(process) - before
        note("look-ups by id", answers / wall)
        note("look-ups by id, server time", answers / spent)
        taken = registrations(system)
        note("registration, median", taken[len(taken) // 2])
        note("registration, p99", taken[len(taken) * 99 // 100])

    with running(system) as (process, ready):
        note("start, nothing stored", ready * 1000)
        note("resident, nothing stored", resident_mib(process))
        before, began = processor_seconds(process), time.perf_counter()
        ids = fill(system, schemas)
        note("registrations, {writers} connections", schemas / (time.perf_counter() - began))
        note("registrations, server time", schemas / (processor_seconds(process) - before))
        note("resident, {schemas} schemas", resident_mib(process))
        if not system.keeps:
            answer(process, ids)
    if system.keeps:
        with running(system) as (process, ready):
            note("restart, {schemas} schemas", ready * 1000)
            note("restart, processor time", processor_seconds(process) * 1000)
            note("resident after the restart", resident_mib(process))
            answer(process, ids)
    return measured


def page(measured: dict[str, dict[str, float]], arguments: argparse.Namespace) -> str:
    """What was measured, as a page of the documentation."""
    names = list(measured)
    titles = {"milena": "Milena (with its broker)", "apicurio": f"Apicurio Registry {apicurio_version()} (in memory)"}
    lines = [
        "# Benchmarks of the schema registry",
        "",
        f"Written by `{' '.join(['bench/registry.py', *sys.argv[1:]])}` on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, "
        f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release().split('-')[0]}.",
        "",
        *([arguments.note, ""] if arguments.note else []),
        f"{arguments.schemas:,} Avro records of eight fields, each under a subject of its own. The load generator runs on the same cores, so "
        "that *server time* is what travels between machines: answers divided by the seconds of processor time that the server took.",
        "",
        "| | " + " | ".join(titles[name] for name in names) + " |",
        "|---|" + "---:|" * len(names),
    ]
    for row, unit in ROWS:
        values = [measured[name].get(row) for name in names]
        cells = [figure(value) if value is not None else "–" for value in values]
        title = row.format(schemas=f"{arguments.schemas:,}", writers=WRITERS)
        lines.append(f"| {title}, {unit} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def apicurio_version() -> str:
    file = APICURIO / "version"
    return file.read_text().strip() if file.exists() else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milena", type=Path, default=ROOT / "target/release/milena")
    parser.add_argument("--schemas", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--systems", default="milena,apicurio")
    parser.add_argument("--output", type=Path, help="the page to write, docs/benchmarks-schema-registry.md say")
    parser.add_argument("--note", help="a sentence about the circumstances for the page")
    arguments = parser.parse_args()
    measured: dict[str, dict[str, float]] = {}
    for name in arguments.systems.split(","):
        directory = Path(tempfile.mkdtemp(prefix="bench-registry-"))
        try:
            system = milena(arguments.milena, directory) if name == "milena" else apicurio()
            measured[name] = measure(system, arguments.schemas, arguments.seconds)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        if arguments.output:
            arguments.output.write_text(page(measured, arguments))


if __name__ == "__main__":
    main()
