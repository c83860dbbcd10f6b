"""TLS beside Apache Kafka: throughput and the broker's CPU per GB, produced and consumed over one TLS listener.

Usage: python bench/tls.py --kafka-libs DIRECTORY [--milena BINARY] [--gigabytes N] [--rounds N]

Both brokers show the same certificate (RSA 2048) and speak TLS 1.3; clients are librdkafka, two producers and then two
consumers of records of 1 KiB that do not compress. Milena answers acks=all from the page cache, as Kafka does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from brokers import BOOTSTRAP, CONTROLLER_PORT, PORT, Broker, Kafka, Milena
from scenarios import create_topic

ROOT = Path(__file__).resolve().parent.parent
TLS_PORT = 19394
TLS_ADDRESS = f"localhost:{TLS_PORT}"
SIZE = 1024
CLIENTS = 2


def make_certificates(directory: Path) -> tuple[Path, Path]:
    """A certificate authority and a key store for the broker, both PEM."""
    authority, store = directory / "ca.crt", directory / "broker.pem"
    steps = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=bench-ca -keyout ca.key -out ca.crt",
        "openssl req -newkey rsa:2048 -nodes -subj /CN=broker -keyout broker.key -out broker.csr",
        "openssl x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile broker.ext -out broker.crt",
    )
    (directory / "broker.ext").write_text("basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for step in steps:
        subprocess.run(step.split(), cwd=directory, check=True, capture_output=True)
    store.write_text("".join((directory / name).read_text() for name in ("broker.key", "broker.crt", "ca.crt")))
    return authority, store


class TlsKafka(Kafka):
    """Apache Kafka with one more listener."""

    store: Path

    def format(self) -> None:
        super().format()
        text = self.properties().read_text()
        for key in ("listeners=", "advertised.listeners="):
            plain = f"{key}PLAINTEXT://127.0.0.1:{PORT}"
            text = text.replace(f"\n{plain}", f"\n{plain},SSL://127.0.0.1:{TLS_PORT}")
        text = text.replace("=CONTROLLER:PLAINTEXT", "=SSL:SSL,CONTROLLER:PLAINTEXT")
        assert str(CONTROLLER_PORT) in text
        self.properties().write_text(f"{text}ssl.keystore.type=PEM\nssl.keystore.location={self.store}\n")


class TlsMilena(Milena):
    """Milena with one more listener."""

    store: Path

    def command(self) -> list[str]:
        overrides = {
            "listeners": f"PLAINTEXT://127.0.0.1:{PORT},SSL://127.0.0.1:{TLS_PORT}",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.store),
        }
        flags = [word for key, value in overrides.items() for word in ("--override", f"{key}={value}")]
        return [*super().command(), *flags]


def run_client(options: dict[str, Any]) -> None:
    """The process of one client: waits for a line, works, prints when it began and ended."""
    settings = {"bootstrap.servers": TLS_ADDRESS, "security.protocol": "ssl", "ssl.ca.location": options["authority"], "log_level": 3}
    work = produce if options["mode"] == "produce" else consume
    print(json.dumps(work(settings, options)), flush=True)


def ready() -> float:
    print("ready", flush=True)
    sys.stdin.readline()
    return time.monotonic()


def produce(settings: dict[str, Any], options: dict[str, Any]) -> list[float]:
    import random

    producer = Producer({**settings, "acks": "all", "linger.ms": 5, "batch.size": 262_144, "queue.buffering.max.kbytes": 262_144})
    producer.list_topics(options["topic"], timeout=60)
    values = [random.Random(options["number"]).randbytes(SIZE) for _ in range(200)]
    begin = ready()
    sent = 0
    while sent < options["count"]:
        batch = [{"value": value} for value in values[: options["count"] - sent]]
        queued = producer.produce_batch(options["topic"], batch, partition=options["number"])
        sent += queued
        producer.poll(0 if queued else 0.01)
    if producer.flush(300):
        raise RuntimeError("not everything was acknowledged")
    return [begin, time.monotonic()]


def consume(settings: dict[str, Any], options: dict[str, Any]) -> list[float]:
    consumer = Consumer({**settings, "group.id": "bench", "enable.auto.commit": False, "fetch.queue.backoff.ms": 2})
    consumer.list_topics(options["topic"], timeout=60)
    begin = ready()
    consumer.assign([TopicPartition(options["topic"], options["number"], 0)])
    read = 0
    while read < options["count"]:
        messages = consumer.consume(10_000, 60)
        if not messages or any(message.error() for message in messages):
            raise RuntimeError(f"{read} of {options['count']} records")
        read += len(messages)
    return [begin, time.monotonic()]


def measure(broker: Broker, mode: str, authority: Path, topic: str, gigabytes: float) -> tuple[float, float]:
    """MB/s and CPU seconds of the broker per GB."""
    count = int(gigabytes * 1e9 / SIZE / CLIENTS)
    clients = []
    for number in range(CLIENTS):
        options = {"mode": mode, "authority": str(authority), "topic": topic, "number": number, "count": count}
        command = [sys.executable, __file__, "--client", json.dumps(options)]
        clients.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for client in clients:
        assert client.stdout and client.stdout.readline() == "ready\n"
    cpu = broker.cpu_seconds()
    for client in clients:
        assert client.stdin
        client.stdin.write("\n")
        client.stdin.flush()
    outputs = [client.communicate()[0] for client in clients]
    if any(client.returncode for client in clients):
        raise RuntimeError("a client failed")
    times = [json.loads(output) for output in outputs]
    seconds = max(end for _, end in times) - min(begin for begin, _ in times)
    moved = count * CLIENTS * SIZE / 1e9
    return moved * 1e3 / seconds, (broker.cpu_seconds() - cpu) / moved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka-libs", type=Path, default=ROOT / ".cache/kafka/libs")
    parser.add_argument("--milena", type=Path, default=ROOT / "target/release/milena")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--client", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        return run_client(arguments.client)
    with tempfile.TemporaryDirectory(prefix="bench-tls-") as directory:
        workspace = Path(directory)
        authority, store = make_certificates(workspace)
        brokers: list[Broker] = [TlsKafka(workspace, arguments.kafka_libs), TlsMilena(workspace, arguments.milena)]
        print("| broker | produce MB/s | CPU s/GB | consume MB/s | CPU s/GB |\n|---|---|---|---|---|")
        for broker in brokers:
            broker.store = store  # type: ignore[attr-defined]
            broker.reset()
            broker.start()
            try:
                rounds = []
                # The first round lets the JVM compile what the others run.
                for number in range(arguments.rounds + 1):
                    topic = f"tls-{number}"
                    create_topic(topic, CLIENTS)
                    figures = [measure(broker, mode, authority, topic, arguments.gigabytes) for mode in ("produce", "consume")]
                    rounds.append([figure for pair in figures for figure in pair])
                middle = [statistics.median(column) for column in zip(*rounds[1:], strict=True)]
                print(f"| {broker.name} | " + " | ".join(f"{figure:.2f}" for figure in middle) + " |", flush=True)
            finally:
                broker.kill()


if __name__ == "__main__":
    main()
