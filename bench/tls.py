"""TLS beside Apache Kafka: throughput and the broker's CPU per GB, produced and consumed over one TLS listener.

A part of bench/compare.py (`--parts tls`). Run as a program this file is one client: `tls.py OPTIONS-AS-JSON`.

Both brokers show the same certificate (RSA 2048) and speak TLS 1.3; clients are librdkafka, two producers and then two
consumers of records of 1 KiB that do not compress. Milena answers acks=all from the page cache, as Kafka does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from brokers import CONTROLLER_PORT, PORT, Broker, Kafka, Milena

TLS_PORT = 19394
TLS_ADDRESS = f"localhost:{TLS_PORT}"
SIZE = 1024
CLIENTS = 2
# Files in a broker's directory.
AUTHORITY, KEY_STORE = "ca.crt", "broker.pem"


def make_certificates(directory: Path) -> None:
    """A certificate authority and a key store for the broker, both PEM."""
    steps = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=bench-ca -keyout ca.key -out ca.crt",
        "openssl req -newkey rsa:2048 -nodes -subj /CN=broker -keyout broker.key -out broker.csr",
        "openssl x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile broker.ext -out broker.crt",
    )
    (directory / "broker.ext").write_text("basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for step in steps:
        subprocess.run(step.split(), cwd=directory, check=True, capture_output=True)
    store = "".join((directory / name).read_text() for name in ("broker.key", "broker.crt", AUTHORITY))
    (directory / KEY_STORE).write_text(store)


def with_tls(broker: Broker) -> Broker:
    """A broker of the same kind and place with a TLS listener."""
    workspace = broker.directory.parent
    if isinstance(broker, Kafka):
        return TlsKafka(workspace, broker.libs)
    assert isinstance(broker, Milena)
    return TlsMilena(workspace, broker.binary)


class TlsKafka(Kafka):
    """Apache Kafka with one more listener."""

    def format(self) -> None:
        super().format()
        make_certificates(self.directory)
        text = self.properties().read_text()
        for key in ("listeners=", "advertised.listeners="):
            plain = f"{key}PLAINTEXT://127.0.0.1:{PORT}"
            text = text.replace(f"\n{plain}", f"\n{plain},SSL://127.0.0.1:{TLS_PORT}")
        text = text.replace("=CONTROLLER:PLAINTEXT", "=SSL:SSL,CONTROLLER:PLAINTEXT")
        assert str(CONTROLLER_PORT) in text
        self.properties().write_text(f"{text}ssl.keystore.type=PEM\nssl.keystore.location={self.directory / KEY_STORE}\n")


class TlsMilena(Milena):
    """Milena with one more listener."""

    def format(self) -> None:
        make_certificates(self.directory)

    def command(self) -> list[str]:
        overrides = {
            "listeners": f"PLAINTEXT://127.0.0.1:{PORT},SSL://127.0.0.1:{TLS_PORT}",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.directory / KEY_STORE),
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
        # Returns when it has as many as asked for, or after a minute.
        messages = consumer.consume(min(10_000, options["count"] - read), 60)
        if not messages or any(message.error() for message in messages):
            raise RuntimeError(f"{read} of {options['count']} records")
        read += len(messages)
    return [begin, time.monotonic()]


def measure(broker: Broker, mode: str, topic: str, gigabytes: float) -> tuple[float, float]:
    """MB/s and CPU seconds of the broker per GB."""
    count = int(gigabytes * 1e9 / SIZE / CLIENTS)
    clients = []
    for number in range(CLIENTS):
        authority = str(broker.directory / AUTHORITY)
        options = {"mode": mode, "authority": authority, "topic": topic, "number": number, "count": count}
        command = [sys.executable, __file__, json.dumps(options)]
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


def throughput(broker: Broker, create_topic, gigabytes: float) -> Iterator[tuple[str, float]]:
    """What two clients move over TLS, once the JVM has compiled what it takes."""
    for topic in ("tls-warm-up", "tls"):
        create_topic(topic, CLIENTS)
        for mode in ("produce", "consume"):
            megabytes, cpu = measure(broker, mode, topic, gigabytes)
            if topic == "tls":
                label = f"{SIZE} B, {CLIENTS} clients, {mode}d"
                yield f"tls MB/s | {label}", megabytes
                yield f"tls CPU s/GB | {label}", cpu


if __name__ == "__main__":
    run_client(json.loads(sys.argv[1]))
