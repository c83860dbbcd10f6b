"""Renders what was measured as docs/benchmarks.md: budgets and ratios first, because only they travel between machines.

What people wrote about the figures is in bench/notes.md and becomes a section of the page.
"""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import geometric_mean, median

Measured = dict[str, dict[str, list[float]]]
Middle = dict[str, dict[str, float]]
NOTES = Path(__file__).with_name("notes.md")
# From here on the clients are taken for the bottleneck: of one core for their busiest thread, of the machine for all.
CLIENT_BOUND = 0.85


@dataclass(frozen=True)
class Run:
    """How the numbers came about."""

    command: str
    kafka_version: str
    seconds: float
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """One table: the prefix of its keys, and whether more is better."""

    title: str
    prefix: str
    more_is_better: bool
    note: str = ""
    # Prefix of the keys that say how busy the clients were.
    limit: str = ""


LIMIT_NOTE = (
    "*Clients* is how busy Milena's clients were: their busiest thread as a share of a core or all of them as a share of the "
    f"machine, whichever is more. From {CLIENT_BOUND:.0%} on the row says more about the client than about the brokers."
)
SECTIONS = (
    Section("Produce throughput, MB/s", "produce MB/s", True, f"librdkafka, not idempotent unless it says so. {LIMIT_NOTE}", "produce client limit"),
    Section(
        "Consume throughput, MB/s",
        "consume MB/s",
        True,
        f"One consumer: `milena kafka-consumer-perf-test`, a compiled client, against both brokers. {LIMIT_NOTE}",
        "consume client limit",
    ),
    Section("Broker CPU seconds per GB produced", "produce CPU s/GB", False),
    Section("Broker CPU seconds per GB consumed", "consume CPU s/GB", False),
    Section(
        "Latency at a fixed rate, acks=all, milliseconds",
        "latency ms",
        False,
        "librdkafka, `linger.ms=0`, at most 5 requests unanswered as with Java clients, records of 100 bytes. Each rate is sent for some "
        "time before it is measured, and measuring begins only when no backlog is left.",
    ),
    Section("Warm-up before a fixed rate, seconds", "warm-up s", False),
    Section("Produce throughput of the Java perf tool, MB/s", "java produce MB/s", True, "With its defaults, so idempotent."),
    Section("Consume throughput of the Java perf tool, MB/s", "java consume MB/s", True),
    Section("Broker CPU seconds per GB under the Java perf tools", "java CPU s/GB", False),
    Section("Latency seen by the Java perf tool, milliseconds", "java latency ms", False, "The tool counts whole milliseconds."),
    Section("Rebalances, milliseconds", "rebalance ms", False, "Members beat every 100 ms; offsets are in the page cache."),
    Section("Transactions per second", "transactions/s", True, "librdkafka, one transaction after the other."),
    Section("A commit, milliseconds", "commit ms", False),
    Section(
        "Throughput over TLS 1.3, MB/s",
        "tls MB/s",
        True,
        "librdkafka, two clients at a time, records that do not compress, a certificate with an RSA key of 2048 bits.",
    ),
    Section("Broker CPU seconds per GB over TLS 1.3", "tls CPU s/GB", False),
    Section("Start, seconds", "start s", False),
    Section("Creating and filling partitions, seconds", "partitions s", False),
    Section("Orderly stop, seconds", "stop s", False),
    Section("Resident memory, MB", "memory MB", False),
    Section("Produce throughput beside slow readers, MB/s", "produce MB/s beside", True),
    Section("CPU of an idle broker, percent of a core", "idle CPU %", False),
)


def page(measured: Measured, run: Run) -> str:
    middle = {name: {key: median(values) for key, values in found.items()} for name, found in measured.items()}
    repetitions = [len(values) for found in measured.values() for values in found.values()] or [0]
    rounds = f"medians of up to {max(repetitions)} rounds" if max(repetitions) > 1 else "one round"
    parts = [
        "# Benchmarks",
        "",
        f"Milena beside Apache Kafka {run.kafka_version}, one at a time on one machine with the same clients. Made by `{run.command}`;",
        f"{rounds}, {run.seconds / 60:.0f} minutes, {datetime.now(UTC):%Y-%m-%d}. GB and MB are powers of ten.",
        "",
        *machine(),
        "",
        "Kafka runs as one KRaft node with the JVM options of its scripts (`-Xmx1G -Xms1G`, G1). It acknowledges from the page cache, so",
        "`milena` runs with `milena.acks.all.fsync=false` for the same promise; the column *with fsync* is Milena as it ships, where",
        "`acks=all` means on disk. *Ratio* compares equal promises and is oriented so that **more than 1 is better than Kafka**.",
        "",
        *budgets(middle),
        *failures(run),
        *notes(),
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


def failures(run: Run) -> list[str]:
    lines = [f"- {failure}" for failure in run.failures]
    return ["## What could not be measured", "", *lines, ""] if lines else []


def notes() -> list[str]:
    return [NOTES.read_text().rstrip(), ""] if NOTES.exists() else []


def table(section: Section, middle: Middle) -> list[str]:
    prefix = section.prefix + " | "
    rows = list(dict.fromkeys(key for found in middle.values() for key in found if key.startswith(prefix)))
    if not rows:
        return []
    lines = [f"## {section.title}", ""]
    if section.note:
        lines += [section.note, ""]
    lines += [f"| | Kafka | Milena | ratio | with fsync |{' clients |' * bool(section.limit)}", f"|---|---:|---:|---:|---:|{'---:|' * bool(section.limit)}"]
    for key in rows:
        kafka, milena, durable = (middle.get(name, {}).get(key) for name in ("kafka", "milena", "milena-fsync"))
        label = key.removeprefix(prefix)
        cells = [label, number(kafka), number(milena), ratio(kafka, milena, section.more_is_better), number(durable)]
        if section.limit:
            limit = middle.get("milena", {}).get(f"{section.limit} | {label}")
            cells.append("–" if limit is None else f"{limit:.0%}")
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def ratio(kafka: float | None, milena: float | None, more_is_better: bool) -> str:
    better, worse = (milena, kafka) if more_is_better else (kafka, milena)
    return "–" if not better or not worse else f"{better / worse:.2f}"


def floor(middle: Middle) -> list[str]:
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


@dataclass(frozen=True)
class Budget:
    """One line of the design's budgets against the numbers."""

    text: str
    measured: float
    limit: float
    at_least: bool = False

    def line(self) -> str:
        met = self.measured >= self.limit if self.at_least else self.measured <= self.limit
        sign = "≥" if self.at_least else "≤"
        return f"| {self.text} | {number(self.measured)} | {sign} {self.limit:.3g} | {'met' if met else '**missed**'} |"


def budgets(middle: Middle) -> list[str]:
    """A row is left out when its part was not measured."""
    rows = [*speed_budgets(middle), *cpu_budgets(middle), *latency_budgets(middle), *absolute_budgets(middle)]
    if not rows:
        return []
    heading = ["## Budgets", "", "*× Kafka* is Milena's figure divided by Kafka's.", "", "| | measured | budget | |", "|---|---:|---:|---|"]
    return [*heading, *(row.line() for row in rows), ""]


def pairs(middle: Middle, prefix: str, belongs: Callable[[str], bool] = lambda _: True) -> dict[str, float]:
    """What comes after the prefix, and Milena's figure divided by Kafka's."""
    kafka, milena = middle.get("kafka", {}), middle.get("milena", {})
    keys = [key for key in kafka if key.startswith(prefix) and milena.get(key) and kafka[key] and belongs(key)]
    return {key.removeprefix(prefix): milena[key] / kafka[key] for key in keys}


def speed_budgets(middle: Middle) -> list[Budget]:
    rows = []
    for what in ("produce", "consume"):
        ratios = pairs(middle, f"{what} MB/s | ")
        if not ratios:
            continue
        milena = middle.get("milena", {})
        free = [ratio for label, ratio in ratios.items() if milena.get(f"{what} client limit | {label}", 0) < CLIENT_BOUND]
        everything = list(ratios.values())
        if free:
            text = f"{what} throughput where the clients are not the bottleneck ({len(free)} of {len(everything)}), geometric mean, × Kafka"
            rows.append(Budget(text, geometric_mean(free), 1.5, at_least=True))
        rows.append(Budget(f"{what} throughput, every row, geometric mean, × Kafka", geometric_mean(everything), 1.5, at_least=True))
        rows.append(Budget(f"{what} throughput, worst row, × Kafka", min(everything), 1, at_least=True))
    return rows


def cpu_budgets(middle: Middle) -> list[Budget]:
    rows = []
    floors, milena = middle.get("floor", {}), middle.get("milena", {})
    for what in ("produce", "consume"):
        if ratios := list(pairs(middle, f"{what} CPU s/GB | ").values()):
            rows.append(Budget(f"broker CPU per GB, {what}, geometric mean, × Kafka", geometric_mean(ratios), 1 / 3))
            rows.append(Budget(f"broker CPU per GB, {what}, worst row, × Kafka", max(ratios), 1 / 3))
        yard = next((value for key, value in floors.items() if what in key), None)
        label = "1024 B, 1 producer, none" + (", acks=all" if what == "produce" else "")
        if yard and (plain := milena.get(f"{what} CPU s/GB | {label}")):
            rows.append(Budget(f"broker CPU per GB, {what}, {label}, × floor", plain / yard, 1.5))
    return rows


def latency_budgets(middle: Middle) -> list[Budget]:
    rows = []
    for rate in ("5,000", "20,000"):
        for ratio in pairs(middle, f"latency ms | {rate}/s, end to end, p99", lambda key: key.endswith("p99")).values():
            rows.append(Budget(f"end-to-end latency p99 at {rate}/s, × Kafka", ratio, 0.2))
    return rows


def absolute_budgets(middle: Middle) -> list[Budget]:
    milena = middle.get("milena", {})
    limits = (
        ("start s | empty", "start to first acknowledged record, s", 0.3),
        ("memory MB | idle", "resident memory idle, MB", 60),
        ("memory MB | under load, highest", "resident memory under load, MB", 150),
        ("slow readers and 8 producers, highest", "resident memory, {}, MB", 150),
        (", after a stop", "start, {}, s", 2),
        (", after kill -9", "start, {}, s", 5),
    )
    return [
        Budget(text.format(key.split(" | ")[1].removesuffix(", highest")), value, limit)
        for part, text, limit in limits
        for key, value in milena.items()
        if part in key
    ]
