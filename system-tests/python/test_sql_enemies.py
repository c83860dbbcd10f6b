"""Loads that hurt a streaming query: keys that nearly every record has, brokers that pause, partners that stop."""

import collections
import json
import signal
import time

import pytest
from confluent_kafka import Producer
from harness.librdkafka import read
from harness.memory import peak_memory
from harness.server import Server
from harness.sql import Sql
from harness.wait import until

EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}
COMMITTED = {"isolation.level": "read_committed"}
SECOND = 1000
#: An hour ago: segments are not rolled for the distance to the times of commits, so that nothing is compacted meanwhile.
START = int(time.time() - 3600) * SECOND


@pytest.fixture
def kafka(tmp_path):
    server = Server(tmp_path / "kafka", {"offsets.topic.num.partitions": 2, "transaction.state.log.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def sql(kafka, tmp_path):
    sql = Sql(tmp_path / "sql", kafka.bootstrap, {"ksql.streams.commit.interval.ms": "200"}).start()
    yield sql
    sql.stop()
    assert "panicked" not in sql.log()


def send(kafka, topic, records):
    """Records as (partition, timestamp, key, row)."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for partition, timestamp, key, row in records:
        producer.produce(topic, json.dumps(row).encode(), key.encode(), partition=partition, timestamp=timestamp)
        producer.poll(0)
    assert producer.flush(120) == 0


def rows(kafka, topic, partitions=1):
    """(key, row) of what is in the topic."""
    return [(message.key(), json.loads(message.value()))
            for partition in range(partitions) for message in read(kafka, topic, partition, **COMMITTED)]


def test_a_key_that_nearly_every_record_has(sql, kafka):
    """One group, and with it one partition behind the repartition, takes nearly everything; the others do not wait for it."""
    records = 300_000
    sql.ksql("CREATE STREAM clicks (id STRING KEY, page STRING, n BIGINT) "
             "WITH (kafka_topic='clicks', partitions=2, value_format='JSON');"
             "CREATE TABLE by_page WITH (kafka_topic='by_page', partitions=2) AS "
             "SELECT page, COUNT(*) AS total, SUM(n) AS sum, TOPK(n, 3) AS top FROM clicks GROUP BY page;", EARLIEST)

    def page(n):
        return "/" if n % 1000 else f"/{n % 7000 // 1000}"

    send(kafka, "clicks", ((n % 2, START + n, f"k{n}", {"PAGE": page(n), "N": n}) for n in range(records)))
    wanted = collections.defaultdict(list)
    for n in range(records):
        wanted[page(n)].append(n)
    wanted = sorted([at, len(ns), sum(ns), sorted(ns, reverse=True)[:3]] for at, ns in wanted.items())

    def found():
        return sorted(sql.query("SELECT page, total, sum, top FROM by_page;")[0])

    until(lambda: found() == wanted, lambda: f"{found()} is {wanted}", timeout=120, poll=0.5)
    assert peak_memory(sql.process) < 250 << 20, f"{peak_memory(sql.process) >> 20} MiB"


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_broker_that_pauses(sql, kafka, guarantee):
    """A broker that stands still for some seconds, again and again, slows a query and loses it nothing."""
    records, keys = 40_000, 10
    sql.ksql("CREATE STREAM s (k STRING KEY, n BIGINT) WITH (kafka_topic='paused', partitions=1, value_format='JSON');"
             "CREATE TABLE totals WITH (kafka_topic='totals') AS SELECT k, COUNT(*) AS total FROM s GROUP BY k;",
             {**EARLIEST, "processing.guarantee": guarantee})
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 5, "enable.idempotence": True})
    for n in range(records):
        producer.produce("paused", b'{"N": 1}', f"k{n % keys}".encode(), timestamp=START + n)
        if n % (records // 4) == records // 8:
            producer.flush(60)
            kafka.process.send_signal(signal.SIGSTOP)
            time.sleep(4)
            kafka.process.send_signal(signal.SIGCONT)
    assert producer.flush(60) == 0
    wanted = sorted([f"k{key}", records // keys] for key in range(keys))

    def found():
        answer = sql.post("/query", {"ksql": "SELECT k, total FROM totals;"})
        return sorted(line["row"]["columns"] for line in answer.json() if "row" in line) if answer.ok else answer.text

    until(lambda: found() == wanted, lambda: f"{found()} is {wanted}", timeout=120, poll=0.5)
    changes = [(f"k{n % keys}".encode(), n // keys + 1) for n in range(records)]

    def told():
        return [(key, row["TOTAL"]) for key, row in rows(kafka, "totals")]

    # What is asked for may be there before the transaction that tells it.
    until(lambda: len(told()) >= records, lambda: f"{len(told())} changes are told", timeout=20, poll=0.5)
    assert told() == changes, "each change once, in order"


def test_a_join_partner_that_stops(sql, kafka):
    """Rows without a partner are told once their window has passed, and leave the state, however long the partner is away."""
    seconds, each, matched = 3_000, 30, 20
    sql.ksql("CREATE STREAM orders (k STRING KEY, n BIGINT, note STRING) WITH (kafka_topic='orders', partitions=1, value_format='JSON');"
             "CREATE STREAM payments (k STRING KEY, n BIGINT) WITH (kafka_topic='payments', partitions=1, value_format='JSON');"
             "CREATE STREAM paid WITH (kafka_topic='paid') AS SELECT o.k AS k, o.n AS n, p.n AS paid FROM orders o "
             "LEFT JOIN payments p WITHIN 10 SECONDS GRACE PERIOD 1 SECOND ON o.k = p.k;",
             {**EARLIEST, "ksql.streams.__emit.interval.ms.kstreams.outer.join.spurious.results.fix__": 0})
    note = "x" * 400
    send(kafka, "payments", ((0, START + n * SECOND, f"k{n}", {"N": n}) for n in range(matched)))
    send(kafka, "orders", ((0, START + second * SECOND, f"k{second}" if m == 0 else f"k{second}-{m}", {"N": second, "NOTE": note})
                           for second in range(seconds) for m in range(each)))

    def told():
        return len(rows(kafka, "paid"))

    # What is younger than the window and its grace still waits, and what was when rows were looked for the last time.
    final = (seconds - 24) * each
    until(lambda: told() >= final, lambda: f"{told()} of {final} rows are joined", timeout=120, poll=0.5)
    # The partner is back; the last rows find it, and what waited is told.
    late = START + (seconds - 1) * SECOND
    send(kafka, "payments", [(0, late, f"k{seconds - 1}", {"N": seconds - 1})])
    send(kafka, "orders", [(0, late + 60 * SECOND, "end", {"N": -1})])
    wanted = collections.Counter((second, second if m == 0 and (second < matched or second == seconds - 1) else None)
                                 for second in range(seconds) for m in range(each))

    def found():
        return collections.Counter((row["N"], row["PAID"]) for _, row in rows(kafka, "paid"))

    until(lambda: found() == wanted, lambda: f"every order is told once: {found() - wanted}, {wanted - found()}", timeout=60, poll=0.5)
    assert peak_memory(sql.process) < 250 << 20, f"{peak_memory(sql.process) >> 20} MiB"
