"""Exactly-once sources beyond a crash: a worker that hangs and comes back is fenced, transactions end by time or where the
connector says, and a connector keeps its offsets in a topic of its own. Also the example of a connector of one's own, which
says where its transactions end."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from harness import paths
from harness.connect import DistributedWorker, properties
from harness.librdkafka import read
from harness.server import Server
from harness.wait import until

STRING = "org.apache.kafka.connect.storage.StringConverter"
EXAMPLE = "milena-example-connector"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {
        "offsets.topic.num.partitions": 2, "transaction.state.log.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def new_worker(kafka, tmp_path, request):
    """Makes workers of one group, which write exactly once."""
    made, group = [], request.node.name.replace("[", "-").rstrip("]")

    def make(kind=DistributedWorker, **more):
        worker = kind(tmp_path / f"worker{len(made)}", kafka.bootstrap, {
            "group.id": group, "exactly.once.source.support": "enabled", "value.converter": STRING, "heartbeat.interval.ms": 500,
            **{f"{what}.storage.topic": f"{group}-{what}" for what in ["config", "offset", "status"]},
            **{key.replace("_", "."): value for key, value in more.items()}})
        made.append(worker)
        return worker.start()

    yield make
    for worker in made:
        worker.kill()
        assert "panicked" not in worker.log(), worker.log_tail()


def source(file, topic, **more):
    return {"connector.class": "FileStreamSource", "file": str(file), "topic": topic, "exactly.once.support": "required", **more}


def append(path, lines):
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def visible(kafka, topic, level="read_committed"):
    """Values of a topic that a reader of this isolation level sees now."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "none", "isolation.level": level,
                         "enable.auto.commit": False, "enable.partition.eof": True})
    try:
        if topic not in consumer.list_topics(timeout=10).topics:
            return []
        consumer.assign([TopicPartition(topic, 0, 0)])
        seen = []
        # More may be coming all the time: then there is no end, and what was seen so far counts.
        deadline = time.monotonic() + 4
        while time.monotonic() < deadline:
            for message in consumer.consume(1000, timeout=0.2):
                if message.error():
                    return seen
                seen.append(message.value().decode())
        return seen
    finally:
        consumer.close()


def offsets_in(kafka, topic):
    """The last offset of each key of a topic of offsets."""
    found = {}
    for partition in range(2):
        for message in read(kafka, topic, partition=partition):
            if message.key() and message.key().startswith(b"["):
                found[message.key().decode()] = message.value() and json.loads(message.value())
    return found


def owner(worker, name):
    status = worker.status(name)
    running = status and [task["worker_id"] for task in status["tasks"] if task["state"] == "RUNNING"]
    return running[0] if running else None


def test_a_worker_that_hangs_is_fenced_when_it_comes_back(kafka, new_worker, tmp_path):
    first, second = new_worker(), new_worker()
    file, topic = tmp_path / "in.txt", "fenced"
    append(file, [f"a{n}" for n in range(100)])
    first.put_connector("hangs", source(file, topic, **{"batch.size": "10"}))
    until(lambda: len(visible(kafka, topic)) == 100, lambda: f"{first.status('hangs')}\n{first.log_tail()}")
    by_host = {worker.url.removeprefix("http://"): worker for worker in (first, second)}
    host = until(lambda: owner(first, "hangs"), "the task runs")
    hung = by_host.pop(host)
    (other,) = by_host.values()
    stop = threading.Event()
    written = [100]

    def write():
        while not stop.wait(0.01):
            append(file, [f"a{written[0]}"])
            written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        # It hangs in the middle of its work, with a transaction open more often than not.
        until(lambda: len(visible(kafka, topic)) > 150, "it works")
        os.kill(hung.process.pid, signal.SIGSTOP)
        until(lambda: owner(other, "hangs") not in (None, host), lambda: other.log_tail(), timeout=60)
        seen = len(visible(kafka, topic))
        until(lambda: len(visible(kafka, topic)) > seen, lambda: f"the other goes on\n{other.log_tail()}")
        os.kill(hung.process.pid, signal.SIGCONT)
        until(lambda: hung.get("/connectors").json() == ["hangs"], "it is back")
        seen = len(visible(kafka, topic))
        until(lambda: len(visible(kafka, topic)) > seen + 50, lambda: f"work goes on\n{other.log_tail()}")
    finally:
        os.kill(hung.process.pid, signal.SIGCONT)
        stop.set()
        writer.join()
    until(lambda: len(visible(kafka, topic)) >= written[0], lambda: f"all lines\n{first.log_tail()}\n{second.log_tail()}")
    assert visible(kafka, topic) == [f"a{n}" for n in range(written[0])]


def test_a_transaction_ends_after_its_time_whether_or_not_more_comes(kafka, new_worker, tmp_path):
    # Offsets are flushed much later than the transaction ends.
    worker = new_worker(offset_flush_interval_ms=60_000)
    file, topic = tmp_path / "in.txt", "by-interval"
    append(file, ["one"])
    worker.put_connector("interval", source(file, topic, **{
        "transaction.boundary": "interval", "transaction.boundary.interval.ms": "3000"}))
    until(lambda: visible(kafka, topic, "read_uncommitted") == ["one"], "the record is sent")
    until(lambda: visible(kafka, topic) == ["one"], "the transaction ends", timeout=20)
    # The next ones are in one transaction, though they are polled one after the other.
    append(file, ["two"])
    until(lambda: len(visible(kafka, topic, "read_uncommitted")) == 2, "the second is sent")
    assert visible(kafka, topic) == ["one"]
    append(file, ["three"])
    until(lambda: visible(kafka, topic) == ["one", "two", "three"], lambda: worker.log_tail(), timeout=20)


def test_a_connector_may_keep_its_offsets_in_a_topic_of_its_own(kafka, new_worker, tmp_path, request):
    worker = new_worker()
    shared = f"{request.node.name}-offset"
    file, topic = tmp_path / "in.txt", "own-offsets-lines"
    append(file, ["one", "two"])
    worker.put_connector("own", source(file, topic, **{"offsets.storage.topic": "own-offsets"}))
    until(lambda: visible(kafka, topic) == ["one", "two"], lambda: f"{worker.status('own')}\n{worker.log_tail()}")
    key = f'["own",{{"filename":{json.dumps(str(file))}}}]'
    until(lambda: offsets_in(kafka, "own-offsets").get(key) == {"position": 8}, lambda: offsets_in(kafka, "own-offsets"))
    until(lambda: offsets_in(kafka, shared).get(key) == {"position": 8}, "the worker's topic follows")
    rows = [{"partition": {"filename": str(file)}, "offset": {"position": 8}}]
    assert worker.get("/connectors/own/offsets").json() == {"offsets": rows}
    worker.kill()
    append(file, ["three"])
    worker.start()
    until(lambda: visible(kafka, topic) == ["one", "two", "three"], lambda: worker.log_tail(), timeout=60)
    assert worker.send("PUT", "/connectors/own/stop").status_code == 204
    until(lambda: worker.status("own")["tasks"] == [], "it is stopped")
    assert worker.send("DELETE", "/connectors/own/offsets").status_code == 200
    assert worker.get("/connectors/own/offsets").json() == {"offsets": []}
    assert offsets_in(kafka, "own-offsets")[key] is None


def test_a_file_has_no_say_in_where_transactions_end(new_worker, tmp_path):
    worker = new_worker()
    answer = worker.send("PUT", "/connectors/wrong/config", source(tmp_path / "x", "t", **{"transaction.boundary": "connector"}))
    assert answer.status_code == 400 and "transaction boundaries" in answer.json()["message"], answer.text


class ExampleWorker(DistributedWorker):
    """The worker of the example: as `milena`'s, with one connector more."""

    binary = None

    def spawn(self):
        file = properties(self.directory / "worker.properties", self.settings)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(self.binary), str(file)], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT, cwd=self.directory)
        return self


@pytest.fixture(scope="module")
def example():
    """The worker of the example, which test.sh builds beside the binary under test; built here if it is missing."""
    ExampleWorker.binary = paths.MILENA.with_name(EXAMPLE)
    if not ExampleWorker.binary.exists():
        subprocess.run(["cargo", "build", "--quiet", "-p", EXAMPLE], cwd=paths.ROOT, check=True, timeout=900)
        ExampleWorker.binary = paths.ROOT / "target" / "debug" / EXAMPLE


@pytest.mark.timeout(1000)
@pytest.mark.usefixtures("example")
def test_the_connector_of_the_example_ends_its_transactions_itself(kafka, new_worker):
    worker = new_worker(ExampleWorker, value_converter="org.apache.kafka.connect.json.JsonConverter",
                        value_converter_schemas_enable="false")
    plugins = worker.get("/connector-plugins").json()
    assert {"class": "org.example.TickSourceConnector", "type": "source", "version": "0.1.0"} in plugins
    refused = worker.send("PUT", "/connectors/ticks/config", {"connector.class": "TickSource", "interval.ms": "0"})
    assert refused.status_code == 400 and "topic" in refused.json()["message"] and "interval.ms" in refused.json()["message"]

    def numbers(level="read_committed"):
        return [json.loads(value)["number"] for value in visible(kafka, "ticks", level)]

    worker.put_connector("ticks", {
        "connector.class": "TickSource", "topic": "ticks", "interval.ms": "20", "ticks.per.transaction": "7",
        "exactly.once.support": "required", "transaction.boundary": "connector"})
    until(lambda: len(numbers("read_uncommitted")) > 3, lambda: f"{worker.status('ticks')}\n{worker.log_tail()}")
    for _ in range(3):
        before = len(numbers())
        until(lambda before=before: len(numbers()) > before, lambda: worker.log_tail(), timeout=60)
        worker.kill()
        committed = numbers()
        # What was not committed is no part of what is counted on from.
        assert committed == list(range(1, len(committed) + 1)) and len(committed) % 7 == 0
        worker.start()
    until(lambda: len(numbers()) > len(committed), lambda: worker.log_tail(), timeout=60)
    assert worker.get("/connectors/ticks/offsets").json()["offsets"][0]["offset"]["tick"] % 7 == 0
    assert worker.stop() == 0
