"""Measures Milena beside Apache Kafka and writes a page of tables. Started by bench/run.sh.

The systems alternate: in every round each starts on an empty directory, is measured and is stopped before the next one
starts. The table shows medians over the rounds.
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
from dataclasses import replace
from pathlib import Path

import report
import scenarios
import transactions
from brokers import Broker, DurableMilena, Kafka, Milena, port_answers
from scenarios import FULL, QUICK, Result, Scale

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("throughput", "latency", "java", "transactions", "start", "partitions", "floor")
SYSTEMS = ("kafka", "milena", "milena-fsync")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka-libs", type=Path, required=True, help="directory of Apache Kafka's jars")
    parser.add_argument("--milena", type=Path, default=ROOT / "target/release/milena")
    parser.add_argument("--floor", type=Path, default=ROOT / "target/release/milena-floor")
    parser.add_argument("--quick", action="store_true", help="little data, one round, the main combinations only")
    parser.add_argument("--rounds", type=int, help="how often each system is measured")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which of {', '.join(PARTS)}")
    parser.add_argument("--systems", default=",".join(SYSTEMS), help=f"which of {', '.join(SYSTEMS)}")
    parser.add_argument("--workspace", type=Path, default=ROOT / ".cache/bench", help="data and raw results")
    parser.add_argument("--output", type=Path, help="the page to write (default: docs/benchmarks.md, with --quick standard output)")
    return parser.parse_args()


def measure_running(broker: Broker, scale: Scale, parts: set[str], libs: Path) -> list[Result]:
    """The parts that share one start of the broker."""
    results: list[Result] = []
    if not parts & {"throughput", "latency", "java", "transactions"}:
        return results
    broker.reset()
    broker.start()
    try:
        scenarios.warm_up(broker)
        if "throughput" in parts:
            collect(broker, scenarios.throughput(broker, scale), results)
        if "latency" in parts:
            collect(broker, scenarios.latency(broker, scale), results)
        if "java" in parts:
            collect(broker, scenarios.java_tools(broker, scale, libs), results)
        if "transactions" in parts:
            collect(broker, transactions.transactions(scenarios.BOOTSTRAP, scenarios.create_topic, scale.rounds), results)
    except Exception:  # one broken part must not cost the hour before it
        traceback.print_exc()
    finally:
        broker.kill()
    return results


def measure_starts(broker: Broker, scale: Scale, parts: set[str]) -> list[Result]:
    """The parts that start the broker themselves."""
    results: list[Result] = []
    try:
        if "start" in parts:
            collect(broker, scenarios.start_up(broker), results)
        if "partitions" in parts:
            collect(broker, scenarios.many_partitions(broker, scale), results)
    except Exception:
        traceback.print_exc()
    finally:
        broker.kill()
    return results


def collect(broker: Broker, found, results: list[Result]) -> None:
    for key, value in found:
        print(f"{broker.name:>13}  {value:10.3f}  {key}", file=sys.stderr, flush=True)
        results.append((key, value))


def measure_floor(program: Path, gigabytes: float, workspace: Path) -> list[Result]:
    command = [program, "measure", "--gigabytes", str(gigabytes), "--dir", str(workspace / "floor")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    results = []
    for line in map(json.loads, output.splitlines()):
        frames = f", frames of {line['frame_bytes']:,} bytes" if line["frame_bytes"] else ""
        results.append((f"floor CPU s/GB | {line['floor']}{frames}", line["cpu_seconds_per_gb"]))
    return results


def main() -> None:
    arguments = parse_arguments()
    # So that the broker under test ends with its driver.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    scale = QUICK if arguments.quick else FULL
    scale = replace(scale, rounds=arguments.rounds or scale.rounds)
    parts, systems = set(arguments.parts.split(",")), arguments.systems.split(",")
    if unknown := (parts - set(PARTS)) | (set(systems) - set(SYSTEMS)):
        sys.exit(f"unknown: {', '.join(sorted(unknown))}")
    for program, needed in ((arguments.milena, set(systems) - {"kafka"}), (arguments.floor, parts & {"floor"})):
        if needed and not program.exists():
            sys.exit(f"{program} is missing; leave out --no-build")
    arguments.workspace.mkdir(parents=True, exist_ok=True)
    # Held until the process ends: two runs side by side would measure each other.
    lock = (arguments.workspace / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("another benchmark is running")
    if port_answers():
        sys.exit("the benchmark's port is taken")

    brokers: list[Broker] = [
        Kafka(arguments.workspace, arguments.kafka_libs),
        Milena(arguments.workspace, arguments.milena),
        DurableMilena(arguments.workspace, arguments.milena),
    ]
    brokers = [broker for broker in brokers if broker.name in systems]
    begin = time.monotonic()
    measured: dict[str, dict[str, list[float]]] = {}
    for _ in range(scale.rounds):
        if "floor" in parts:
            note(measured, "floor", measure_floor(arguments.floor, scale.large_bytes / 1e9, arguments.workspace))
        for broker in brokers:
            note(measured, broker.name, measure_running(broker, scale, parts, arguments.kafka_libs))
            note(measured, broker.name, measure_starts(broker, scale, parts))
        (arguments.workspace / "results.json").write_text(json.dumps(measured, indent=1))

    command = " ".join(["bench/run.sh", *(["--quick"] if arguments.quick else [])])
    kafka_version = next(arguments.kafka_libs.glob("kafka_2.13-*.jar")).stem.removeprefix("kafka_2.13-")
    page = report.page(measured, report.Run(command, scale.rounds, kafka_version, time.monotonic() - begin))
    output = arguments.output or (None if arguments.quick else ROOT / "docs/benchmarks.md")
    if output:
        output.parent.mkdir(exist_ok=True)
        output.write_text(page)
    else:
        print(page)


def note(measured: dict[str, dict[str, list[float]]], system: str, results: list[Result]) -> None:
    for key, value in results:
        measured.setdefault(system, {}).setdefault(key, []).append(value)


if __name__ == "__main__":
    main()
