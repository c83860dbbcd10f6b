"""Several log directories: partitions move between them while they are written to, also through a crash."""

import json
import pathlib
import threading

import pytest
from confluent_kafka import Producer
from harness import scripts
from harness.paths import MILENA
from harness.wait import until


@pytest.fixture
def server(new_server, tmp_path):
    dirs = [tmp_path / "disk1", tmp_path / "disk2"]
    server = new_server({"log.dirs": ",".join(map(str, dirs))})
    server.dirs = dirs
    return server.start()


def tool(server, name, *arguments):
    return scripts.run([MILENA, name, "--bootstrap-server", server.bootstrap, *arguments])


def home(server, topic="moving"):
    """The log directories that hold the partition under its final name."""
    return [path for path in server.dirs if (path / f"{topic}-0").is_dir()]


def plan(server, to, topic="moving"):
    file = server.directory / "move.json"
    partition = {"topic": topic, "partition": 0, "replicas": [1], "log_dirs": [str(to)]}
    file.write_text(json.dumps({"version": 1, "partitions": [partition]}))
    return file


def other(server):
    return next(path for path in server.dirs if path not in home(server))


class Writer(threading.Thread):
    """Produces numbers until told to stop, and remembers what was acknowledged."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.producer = Producer({"bootstrap.servers": server.bootstrap})
        self.acknowledged, self.next, self.stopping = [], 0, False

    def run(self):
        while not self.stopping:
            number = self.next
            self.next += 1
            self.producer.produce("moving", str(number).ljust(500), on_delivery=self._delivered(number))
            self.producer.poll(0.0005)
        self.producer.flush(30)

    def _delivered(self, number):
        return lambda error, _: None if error else self.acknowledged.append(number)

    def finish(self):
        self.stopping = True
        self.join(60)
        return self.acknowledged


def read(server, count):
    done = scripts.run([MILENA, "kafka-console-consumer", "--bootstrap-server", server.bootstrap, "--topic", "moving",
                        "--from-beginning", "--max-messages", str(count), "--timeout-ms", "20000"])
    return [int(line) for line in done.stdout.split()]


def create(server):
    tool(server, "kafka-topics", "--create", "--topic", "moving", "--partitions", "1",
         "--config", "segment.bytes=1048576")


def test_a_partition_moves_while_it_is_written_to(server):
    create(server)
    writer = Writer(server)
    writer.start()
    until(lambda: len(writer.acknowledged) > 3000, "some records")
    to = other(server)
    started = tool(server, "kafka-reassign-partitions", "--execute", "--reassignment-json-file", plan(server, to))
    assert f"Successfully started moving log directory to {to} for replica moving-0 with broker 1" in started.stdout
    until(lambda: home(server) == [to], "the partition has moved")
    count = len(writer.acknowledged)
    until(lambda: len(writer.acknowledged) > count + 500, "writing goes on")
    acknowledged = writer.finish()
    verified = tool(server, "kafka-reassign-partitions", "--verify", "--reassignment-json-file", plan(server, to))
    assert "Reassignment of replica moving-0-1 completed successfully." in verified.stdout
    assert read(server, len(acknowledged)) == sorted(acknowledged)
    server.restart()
    assert read(server, len(acknowledged)) == sorted(acknowledged)


def test_a_move_survives_kill_9(server):
    create(server)
    producer = Producer({"bootstrap.servers": server.bootstrap})
    for number in range(6000):
        producer.produce("moving", str(number).ljust(500))
        producer.poll(0)
    assert producer.flush(30) == 0
    # So slow that the crash meets the copy.
    tool(server, "kafka-configs", "--alter", "--entity-type", "brokers", "--entity-name", "1",
         "--add-config", "replica.alter.log.dirs.io.max.bytes.per.second=200000")
    to = other(server)
    tool(server, "kafka-reassign-partitions", "--execute", "--reassignment-json-file", plan(server, to))
    until(lambda: list(pathlib.Path(to).glob("moving-0.*-future")), "copying has begun")
    described = tool(server, "kafka-log-dirs", "--describe", "--topic-list", "moving")
    assert '"isFuture":true' in described.stdout
    server.kill()
    server.start()
    tool(server, "kafka-configs", "--alter", "--entity-type", "brokers", "--entity-name", "1",
         "--delete-config", "replica.alter.log.dirs.io.max.bytes.per.second")
    tool(server, "kafka-reassign-partitions", "--execute", "--reassignment-json-file", plan(server, to))
    until(lambda: home(server) == [to], "the partition has moved", timeout=60)
    assert read(server, 6000) == list(range(6000))
    assert not list(pathlib.Path(to).glob("*-future"))


def test_an_unknown_directory_is_refused(server):
    create(server)
    file = plan(server, "/nowhere")
    done = scripts.run([MILENA, "kafka-reassign-partitions", "--bootstrap-server", server.bootstrap, "--execute",
                        "--reassignment-json-file", file], check=False)
    assert done.returncode == 1
    assert "Failed to alter dir for moving-0-1" in done.stdout


def test_a_cordoned_directory_gets_no_new_partitions(server):
    tool(server, "kafka-configs", "--alter", "--entity-type", "brokers", "--entity-name", "1",
         "--add-config", f"cordoned.log.dirs={server.dirs[0]}")
    tool(server, "kafka-topics", "--create", "--topic", "many", "--partitions", "4")
    assert all((server.dirs[1] / f"many-{index}").is_dir() for index in range(4))
