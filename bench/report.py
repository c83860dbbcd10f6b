"""Renders what was measured as docs/benchmarks.md: ratios first, because only they travel between machines."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean, median

Measured = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Run:
    """How the numbers came about."""

    command: str
    rounds: int
    kafka_version: str
    seconds: float


@dataclass(frozen=True)
class Section:
    """One table: the prefix of its keys, and whether more is better."""

    title: str
    prefix: str
    more_is_better: bool
    note: str = ""


SECTIONS = (
    Section("Produce throughput, MB/s", "produce MB/s", True, "librdkafka. On a small machine the client is often the bottleneck: compare CPU below."),
    Section("Consume throughput, MB/s", "consume MB/s", True),
    Section("Broker CPU seconds per GB produced", "produce CPU s/GB", False),
    Section("Broker CPU seconds per GB consumed", "consume CPU s/GB", False),
    Section("Latency at a fixed rate, acks=all, milliseconds", "latency ms", False, "librdkafka, linger.ms=0, records of 100 bytes."),
    Section("Produce throughput of the Java perf tool, MB/s", "java produce MB/s", True),
    Section("Consume throughput of the Java perf tool, MB/s", "java consume MB/s", True),
    Section("Latency seen by the Java perf tool, milliseconds", "java latency ms", False, "The tool counts whole milliseconds."),
    Section("Transactions per second", "transactions/s", True, "librdkafka, one transaction after the other."),
    Section("A commit, milliseconds", "commit ms", False),
    Section("Start, seconds", "start s", False),
    Section("Creating and filling partitions, seconds", "partitions s", False),
    Section("Orderly stop, seconds", "stop s", False),
    Section("Resident memory, MB", "memory MB", False),
    Section("CPU of an idle broker, percent of a core", "idle CPU %", False),
)


def page(measured: Measured, run: Run) -> str:
    middle = {name: {key: median(values) for key, values in found.items()} for name, found in measured.items()}
    parts = [
        "# Benchmarks",
        "",
        f"Milena beside Apache Kafka {run.kafka_version}, one at a time on one machine with the same clients. Made by `{run.command}`;",
        f"medians of {run.rounds} round{'s' * (run.rounds > 1)}, {run.seconds / 60:.0f} minutes, {datetime.now(UTC):%Y-%m-%d}. GB and MB are powers of ten.",
        "",
        *machine(),
        "",
        "Kafka runs as one KRaft node with the JVM options of its scripts (`-Xmx1G -Xms1G`, G1). It acknowledges from the page cache, so",
        "`milena` runs with `milena.acks.all.fsync=false` for the same promise; the column *with fsync* is Milena as it ships, where",
        "`acks=all` means on disk. *Ratio* compares equal promises and is oriented so that more than 1 is better than Kafka.",
        "",
        *budgets(middle),
        *floor(middle),
    ]
    for section in SECTIONS:
        parts += table(section, middle)
    return "\n".join(parts).rstrip() + "\n"


def machine() -> list[str]:
    cpu = next((line.split(":")[1].strip() for line in read("/proc/cpuinfo").splitlines() if line.startswith("model name")), "?")
    cores = read("/proc/cpuinfo").count("processor\t:")
    memory = int(read("/proc/meminfo").split()[1]) / 1024**2
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.splitlines()[:1]
    return [f"Machine: {cores} cores {cpu}, {memory:.0f} GiB, Linux {platform.release()}, {' '.join(java)}; clients and broker share the cores."]


def read(path: str) -> str:
    return Path(path).read_text()


def table(section: Section, middle: dict[str, dict[str, float]]) -> list[str]:
    prefix = section.prefix + " | "
    rows = list(dict.fromkeys(key for found in middle.values() for key in found if key.startswith(prefix)))
    if not rows:
        return []
    lines = [f"## {section.title}", ""]
    if section.note:
        lines += [section.note, ""]
    lines += ["| | Kafka | Milena | ratio | with fsync |", "|---|---:|---:|---:|---:|"]
    for key in rows:
        kafka, milena, durable = (middle.get(name, {}).get(key) for name in ("kafka", "milena", "milena-fsync"))
        cells = [key.removeprefix(prefix), number(kafka), number(milena), ratio(kafka, milena, section.more_is_better), number(durable)]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def ratio(kafka: float | None, milena: float | None, more_is_better: bool) -> str:
    better, worse = (milena, kafka) if more_is_better else (kafka, milena)
    return "–" if not better or not worse else f"{better / worse:.2f}"


def floor(middle: dict[str, dict[str, float]]) -> list[str]:
    found = middle.get("floor", {})
    if not found:
        return []
    rows = [f"| {key.split(' | ')[1]} | {value:.3f} |" for key, value in found.items()]
    return [
        "## The floor: CPU seconds per GB",
        "",
        "`bench/floor` only reads the socket, checksums and writes a file, or only sends a file to the socket.",
        "",
        "| | floor |",
        "|---|---:|",
        *rows,
        "",
    ]


def budgets(middle: dict[str, dict[str, float]]) -> list[str]:
    """The design's budgets against the numbers; a row is left out when its part was not measured."""
    kafka, milena = middle.get("kafka", {}), middle.get("milena", {})
    yardstick = middle.get("floor", {})
    produce_floor = next((value for key, value in yardstick.items() if "produce" in key), None)
    consume_floor = next((value for key, value in yardstick.items() if "consume" in key), None)
    rows: list[tuple[str, float, str, bool]] = []

    def both(prefix: str, belongs: Callable[[str], bool] = lambda _: True) -> list[tuple[float, float]]:
        keys = [key for key in kafka if key.startswith(prefix) and key in milena and belongs(key)]
        return [(kafka[key], milena[key]) for key in keys if kafka[key] > 0 and milena[key] > 0]

    for what in ("produce", "consume"):
        if pairs := both(f"{what} MB/s | "):
            ratios = [ours / theirs for theirs, ours in pairs]
            rows.append((f"{what} throughput, geometric mean, × Kafka", geometric_mean(ratios), "≥ 1.5", geometric_mean(ratios) >= 1.5))
            rows.append((f"{what} throughput, worst case, × Kafka", min(ratios), "≥ 1.0", min(ratios) >= 1.0))
        if pairs := both(f"{what} CPU s/GB | "):
            mean = geometric_mean([ours / theirs for theirs, ours in pairs])
            rows.append((f"broker CPU per GB, {what}, × Kafka", mean, "≤ 0.33", mean <= 1 / 3))
        yard = produce_floor if what == "produce" else consume_floor
        plain = [value for key, value in milena.items() if key.startswith(f"{what} CPU s/GB | 1024 B, 1 producer, none")]
        if yard and plain:
            rows.append((f"broker CPU per GB, {what}, 1024 B, × floor", max(plain) / yard, "≤ 1.5", max(plain) / yard <= 1.5))
    for rate in ("5,000", "20,000"):
        for theirs, ours in both(f"latency ms | {rate}/s, end to end, p99", lambda key: key.endswith("p99")):
            rows.append((f"end-to-end latency p99 at {rate}/s, × Kafka", ours / theirs, "≤ 0.2", ours / theirs <= 0.2))
    limits = (
        ("start s | empty", "start to first acknowledged record, s", 0.3),
        ("memory MB | idle", "resident memory idle, MB", 60),
        ("memory MB | under load, highest", "resident memory under load, MB", 150),
        (", after a stop", "10,000 partitions: start after a stop, s", 2),
        (", after kill -9", "10,000 partitions: start after kill -9, s", 5),
    )
    for part, text, limit in limits:
        for key, value in milena.items():
            if part in key:
                rows.append((text, value, f"≤ {limit:g}", value <= limit))
    if not rows:
        return []
    lines = ["## Budgets", "", "| | measured | budget | |", "|---|---:|---:|---|"]
    lines += [f"| {text} | {number(value)} | {limit} | {'met' if met else 'missed'} |" for text, value, limit, met in rows]
    return [*lines, ""]
