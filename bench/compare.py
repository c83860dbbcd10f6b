"""Measures Milena beside Apache Kafka and writes a page of tables. Started by bench/run.sh.

A *part* is one question (throughput, latency, ...). For each part every system starts on an empty directory, is
measured and is stopped before the next one starts. The first round runs every part for every system; later rounds
repeat the comparisons for as long as the time allows. The page shows medians. What is measured is on disk at once, so
an interrupted run still gives a page.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import rebalance
import report
import scenarios
import tls
import transactions
from brokers import Broker, DurableMilena, Kafka, Milena, port_answers
from report import Measured, Run
from scenarios import FULL, QUICK, Clients, Result, Scale

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = ("kafka", "milena", "milena-fsync")
# How much longer a repetition may take than the first time, when asking whether it still fits.
REPETITION_SLACK = 1.15


@dataclass(frozen=True)
class Part:
    """One question."""

    measure: Callable[[Broker, Scale, Clients], Iterator[Result]]
    systems: tuple[str, ...] = SYSTEMS
    # Whether the scenario starts the broker itself.
    starts: bool = False
    repeat: bool = False
    # What the part needs of a broker besides the usual.
    equip: Callable[[Broker], Broker] = lambda broker: broker

def measure_rebalances(broker: Broker, scale: Scale, clients: Clients) -> Iterator[Result]:
    """How long groups take to agree on a warm broker."""
    scenarios.warm_up(broker, clients)
    yield from rebalance.rebalances(scenarios.BOOTSTRAP, scenarios.create_topic, 2 if scale.quick else 4)


def measure_transactions(broker: Broker, scale: Scale, clients: Clients) -> Iterator[Result]:
    """As many transactions as a warm broker commits."""
    scenarios.warm_up(broker, clients)
    # Later rounds are this program's business; the first of two lets the JVM compile.
    yield from transactions.transactions(scenarios.BOOTSTRAP, scenarios.create_topic, 1 if scale.quick else 2)


def measure_tls(broker: Broker, scale: Scale, _clients: Clients) -> Iterator[Result]:
    """As much over TLS as the throughput rows move without."""
    yield from tls.throughput(broker, scenarios.create_topic, scale.large_bytes / 1e9)


PARTS = {
    "throughput": Part(scenarios.throughput, repeat=True),
    "latency": Part(scenarios.latency, repeat=True),
    "start": Part(scenarios.start_up, starts=True, repeat=True),
    "partitions": Part(scenarios.many_partitions, starts=True),
    "connections": Part(scenarios.connections, systems=("kafka", "milena")),
    "transactions": Part(measure_transactions),
    "rebalance": Part(measure_rebalances, systems=("kafka", "milena")),
    "tls": Part(measure_tls, systems=("kafka", "milena"), equip=tls.with_tls),
    "java": Part(scenarios.java_tools, systems=("kafka", "milena")),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka-libs", type=Path, required=True, help="directory of Apache Kafka's jars")
    parser.add_argument("--milena", type=Path, default=ROOT / "target/release/milena")
    parser.add_argument("--floor", type=Path, default=ROOT / "target/release/milena-floor")
    parser.add_argument("--quick", action="store_true", help="little data, one round, the main combinations only")
    parser.add_argument("--minutes", type=float, default=35, help="drop repetitions that would take longer than this in all")
    parser.add_argument("--rounds", type=int, help="how often at most each system is measured")
    parser.add_argument("--parts", default=",".join([*PARTS, "floor"]), help=f"which of {', '.join(PARTS)}, floor")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help=f"which of {', '.join(SYSTEMS)}")
    parser.add_argument("--workspace", type=Path, default=ROOT / ".cache/bench", help="data and raw results")
    parser.add_argument("--output", type=Path, help="the page to write (default: docs/benchmarks.md, with --quick standard output)")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page of the last run's results")
    return parser.parse_args()


class Comparison:
    """One run: what is asked of whom, and what came out so far."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        scale = QUICK if arguments.quick else FULL
        self.scale = replace(scale, rounds=arguments.rounds or scale.rounds)
        self.clients = Clients(arguments.kafka_libs, arguments.milena)
        self.parts = arguments.parts.split(",")
        systems = arguments.systems.split(",")
        if unknown := (set(self.parts) - {*PARTS, "floor"}) | (set(systems) - set(SYSTEMS)):
            sys.exit(f"unknown: {', '.join(sorted(unknown))}")
        workspace: Path = arguments.workspace
        all_brokers: list[Broker] = [
            Kafka(workspace, arguments.kafka_libs),
            Milena(workspace, arguments.milena),
            DurableMilena(workspace, arguments.milena),
        ]
        self.brokers = [broker for broker in all_brokers if broker.name in systems]
        self.raw = workspace / "results.json"
        self.begin = time.monotonic()
        self.measured: Measured = {}
        self.failures: list[str] = []
        # Seconds of each part for each system, the last time.
        self.costs: dict[tuple[str, str], float] = {}

    def run(self) -> None:
        if "floor" in self.parts:
            self.measure_floor()
        for number in range(self.scale.rounds):
            for name, part in PARTS.items():
                if name in self.parts and (number == 0 or (part.repeat and self.fits(name))):
                    # With fsync there is nothing to compare with: once is enough.
                    systems = part.systems if number == 0 else ("kafka", "milena")
                    for broker in self.brokers:
                        if broker.name in systems:
                            self.measure(broker, name, part)

    def fits(self, name: str) -> bool:
        cost = sum(self.costs.get((broker, name), 0) for broker in ("kafka", "milena"))
        return time.monotonic() - self.begin + cost * REPETITION_SLACK <= self.arguments.minutes * 60

    def measure(self, broker: Broker, name: str, part: Part) -> None:
        begin = time.monotonic()
        broker = part.equip(broker)
        try:
            broker.reset()
            if not part.starts:
                broker.start()
            for key, value in part.measure(broker, self.scale, self.clients):
                self.note(broker.name, key, value)
        except Exception as error:  # one broken part must not cost the hour before it
            traceback.print_exc()
            self.failures.append(f"{name} of {broker.name}: {error}")
        finally:
            broker.kill()
            self.costs[broker.name, name] = time.monotonic() - begin

    def measure_floor(self) -> None:
        arguments = self.arguments
        command = [arguments.floor, "measure", "--gigabytes", str(self.scale.large_bytes / 1e9), "--dir", str(arguments.workspace / "floor")]
        for line in map(json.loads, subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()):
            frames = f", frames of {line['frame_bytes']:,} bytes" if line["frame_bytes"] else ""
            self.note("floor", f"floor CPU s/GB | {line['floor']}{frames}", line["cpu_seconds_per_gb"])

    def note(self, system: str, key: str, value: float) -> None:
        print(f"{time.monotonic() - self.begin:6.0f} s {system:>13}  {value:10.3f}  {key}", file=sys.stderr, flush=True)
        self.measured.setdefault(system, {}).setdefault(key, []).append(value)
        raw = {"run": vars(self.run_so_far()), "measured": self.measured}
        self.raw.write_text(json.dumps(raw, indent=1))

    def run_so_far(self) -> Run:
        arguments = self.arguments
        command = ["bench/run.sh", *(["--quick"] if arguments.quick else [])]
        if self.parts != [*PARTS, "floor"]:
            command += ["--parts", arguments.parts]
        kafka_version = next(arguments.kafka_libs.glob("kafka_2.13-*.jar")).stem.removeprefix("kafka_2.13-")
        return Run(" ".join(command), kafka_version, time.monotonic() - self.begin, self.failures)


def check(arguments: argparse.Namespace) -> None:
    """Ends the program when something that the run needs is missing or busy."""
    for program, needed in ((arguments.milena, True), (arguments.floor, "floor" in arguments.parts.split(","))):
        if needed and not program.exists():
            sys.exit(f"{program} is missing; leave out --no-build")
    arguments.workspace.mkdir(parents=True, exist_ok=True)
    if port_answers():
        sys.exit("the benchmark's port is taken")


def main() -> None:
    arguments = parse_arguments()
    output = arguments.output or (None if arguments.quick else ROOT / "docs/benchmarks.md")
    if arguments.render:
        raw = json.loads((arguments.workspace / "results.json").read_text())
        write(report.page(raw["measured"], Run(**raw["run"])), output)
        return
    # So that the broker under test ends with its driver, and the page is written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    check(arguments)
    # Held until the process ends: two runs side by side would measure each other.
    lock = (arguments.workspace / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("another benchmark is running")
    comparison = Comparison(arguments)
    try:
        comparison.run()
    finally:
        write(report.page(comparison.measured, comparison.run_so_far()), output)


def write(page: str, output: Path | None) -> None:
    if output:
        output.parent.mkdir(exist_ok=True)
        output.write_text(page)
    else:
        print(page)


if __name__ == "__main__":
    main()
