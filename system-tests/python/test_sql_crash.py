"""SQL servers that are killed again and again under load: nothing is lost, and with exactly-once nothing is told twice."""

import collections
import json
import random
import shutil
import signal
import threading
import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from harness.librdkafka import create_topic, produce, read
from harness.server import Server
from harness.sql import Sql
from harness.wait import until

KEYS = 20
PARTITIONS = 2
KILLS = 15
EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}
COMMITTED = {"isolation.level": "read_committed"}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {
        "offsets.topic.num.partitions": 2, "transaction.state.log.num.partitions": 2,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000, "group.min.session.timeout.ms": 1000}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


class Load:
    """Records with known counts by key and by group, produced until told to stop."""

    def __init__(self, kafka, topic):
        self.kafka, self.topic, self.sent, self.stopping = kafka, topic, 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "linger.ms": 5, "enable.idempotence": True,
                             "partitioner": "murmur2_random"})
        while not self.stopping.is_set():
            n = self.sent
            producer.produce(self.topic, json.dumps({"N": n, "G": n % 7}).encode(), f"k{n % KEYS}".encode())
            self.sent += 1
            if n % 50 == 0:
                producer.flush(30)
                time.sleep(0.01)
        assert producer.flush(60) == 0

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join(90)


def committed(kafka, topic):
    return [message for partition in range(PARTITIONS) for message in read(kafka, topic, partition, **COMMITTED)]


def written(kafka, topic):
    """About how many records there are, aborted ones included: cheap while more are coming."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "written"})
    try:
        return sum(consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)[1]
                   for partition in range(PARTITIONS))
    finally:
        consumer.close()


def last_totals(kafka, topic):
    found = {}
    for message in committed(kafka, topic):
        found[message.key()] = json.loads(message.value())["TOTAL"]
    return found


def create(sql, name, guarantee):
    sql.ksql(f"CREATE STREAM s (id STRING KEY, n INT, g INT) "
             f"WITH (kafka_topic='{name}_s', partitions={PARTITIONS}, value_format='JSON');"
             f"CREATE TABLE names (id STRING PRIMARY KEY, name STRING) "
             f"WITH (kafka_topic='{name}_names', partitions={PARTITIONS}, value_format='JSON');")
    properties = {**EARLIEST, "processing.guarantee": guarantee}
    sql.ksql(f"CREATE TABLE by_key WITH (kafka_topic='{name}_by_key') AS "
             f"SELECT id, COUNT(*) AS total FROM s GROUP BY id;", properties)
    sql.ksql(f"CREATE TABLE by_group WITH (kafka_topic='{name}_by_group', key_format='JSON') AS "
             f"SELECT g, COUNT(*) AS total FROM s GROUP BY g;", properties)
    sql.ksql(f"CREATE STREAM joined WITH (kafka_topic='{name}_joined') AS "
             f"SELECT s.id, n, name FROM s LEFT JOIN names ON s.id = names.id;", properties)


def check(kafka, name, sent, exactly):
    """The counts and the join once everything that was sent has been worked off."""
    by_key = collections.Counter(f"k{n % KEYS}".encode() for n in range(sent))
    by_group = collections.Counter(str(n % 7).encode() for n in range(sent))

    def reached(topic, wanted):
        found = last_totals(kafka, topic)
        return found.keys() == wanted.keys() and all(found[key] >= count for key, count in wanted.items())

    for topic, wanted in ((f"{name}_by_key", by_key), (f"{name}_by_group", by_group)):
        until(lambda: reached(topic, wanted), lambda: f"{topic}: {last_totals(kafka, topic)} has reached {wanted}", 120, 0.5)
        if exactly:
            assert last_totals(kafka, topic) == wanted, topic

    def numbers():
        return collections.Counter(json.loads(message.value())["N"] for message in committed(kafka, f"{name}_joined"))

    until(lambda: len(numbers()) == sent, lambda: f"{len(numbers())} of {sent} rows are joined", 120, 0.5)
    if exactly:
        assert max(numbers().values()) == 1
        totals = collections.defaultdict(list)
        for message in committed(kafka, f"{name}_by_key"):
            totals[message.key()].append(json.loads(message.value())["TOTAL"])
        assert all(told == list(range(1, len(told) + 1)) for told in totals.values()), "each change is told once, in order"
    rows = [json.loads(message.value()) for message in committed(kafka, f"{name}_joined")]
    assert all(row["NAME"] for row in rows), "the table was there before"


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_server_is_killed_again_and_again(kafka, tmp_path, guarantee):
    name = f"killed_{guarantee}"
    overrides = {"ksql.service.id": f"{name}_", "ksql.streams.session.timeout.ms": "3000",
                 "ksql.streams.heartbeat.interval.ms": "500", "ksql.streams.commit.interval.ms": "100",
                 "ksql.query.retry.backoff.initial.ms": "200"}
    sql = Sql(tmp_path / "sql", kafka.bootstrap, overrides).start()
    chance = random.Random(guarantee)
    try:
        create_topic(kafka, f"{name}_s", PARTITIONS)
        create_topic(kafka, f"{name}_names", PARTITIONS)
        produce(kafka, f"{name}_names", [(f"k{n}".encode(), b'{"NAME": "x"}') for n in range(KEYS)], partition=-1,
                partitioner="murmur2_random")
        create(sql, name, guarantee)
        with Load(kafka, f"{name}_s") as load:
            for kill in range(KILLS):
                # Sometimes right at the start, when state is being restored and transactions are being ended.
                time.sleep(chance.choice([0.05, 0.3, 1.0, 2.5]))
                sql.stop(signal.SIGKILL)
                if kill % 5 == 4:
                    shutil.rmtree(sql.directory / "state")
                sql.start()
        check(kafka, name, load.sent, guarantee != "at_least_once")
        assert "panicked" not in sql.log()
    finally:
        sql.stop()


def test_another_server_takes_over_from_one_that_was_killed(kafka, tmp_path):
    name = "taken_over"
    overrides = {"ksql.service.id": f"{name}_", "ksql.streams.session.timeout.ms": "3000",
                 "ksql.streams.heartbeat.interval.ms": "500", "ksql.streams.producer.transaction.timeout.ms": "5000",
                 "ksql.query.retry.backoff.initial.ms": "200"}
    servers = [Sql(tmp_path / f"sql{n}", kafka.bootstrap, overrides).start() for n in range(2)]
    try:
        create_topic(kafka, f"{name}_s", PARTITIONS)
        create_topic(kafka, f"{name}_names", PARTITIONS)
        produce(kafka, f"{name}_names", [(f"k{n}".encode(), b'{"NAME": "x"}') for n in range(KEYS)], partition=-1,
                partitioner="murmur2_random")
        create(servers[0], name, "exactly_once_v2")
        with Load(kafka, f"{name}_s") as load:
            until(lambda: written(kafka, f"{name}_by_key") > 500, "both work", 60)
            servers[0].stop(signal.SIGKILL)
            before = written(kafka, f"{name}_by_key")
            until(lambda: written(kafka, f"{name}_by_key") > before + 2000, "the other goes on", 60)
            servers[0].start()
            time.sleep(2)
            servers[1].stop(signal.SIGKILL)
            time.sleep(3)
        check(kafka, name, load.sent, True)
    finally:
        for server in servers:
            server.stop()
            assert "panicked" not in server.log()


def test_rows_that_wait_for_another_topic_are_read_once_when_a_server_joins(kafka, tmp_path):
    name = "joining"
    servers = [Sql(tmp_path / f"sql{n}", kafka.bootstrap, {"ksql.service.id": f"{name}_"}) for n in range(2)]
    properties = {**EARLIEST, "processing.guarantee": "exactly_once_v2", "ksql.streams.max.task.idle.ms": "6000"}
    try:
        create_topic(kafka, f"{name}_s", PARTITIONS)
        create_topic(kafka, f"{name}_names", PARTITIONS)
        servers[0].start().ksql(
            f"CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='{name}_s', value_format='JSON');"
            f"CREATE TABLE names (id STRING PRIMARY KEY, name STRING) WITH (kafka_topic='{name}_names', value_format='JSON');"
            f"CREATE STREAM joined WITH (kafka_topic='{name}_joined') AS "
            f"SELECT s.id, n, name FROM s LEFT JOIN names ON s.id = names.id;", properties)
        # They wait for rows of the table, of which there is none.
        produce(kafka, f"{name}_s", [(f"k{n % KEYS}".encode(), json.dumps({"N": n}).encode()) for n in range(100)], partition=-1)
        servers[1].start()

        def numbers():
            return collections.Counter(json.loads(message.value())["N"] for message in committed(kafka, f"{name}_joined"))

        until(lambda: len(numbers()) == 100, lambda: f"all rows are joined: {numbers()}", 60, 0.5)
        # Whatever was read twice comes together with the rest, or right after it.
        produce(kafka, f"{name}_s", [(f"k{n % KEYS}".encode(), json.dumps({"N": 100 + n}).encode()) for n in range(KEYS)], partition=-1)
        until(lambda: len(numbers()) == 100 + KEYS, lambda: f"rows that came later are joined: {numbers()}", 60, 0.5)
        assert max(numbers().values()) == 1
    finally:
        for server in servers:
            server.stop()
            assert "panicked" not in server.log()
