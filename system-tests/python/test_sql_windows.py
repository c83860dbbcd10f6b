"""What SQL servers keep of windows and joins, what they still know after a restart, and how pull queries find it."""

import json
import shutil
import signal

import pytest
from confluent_kafka import Producer
from harness.librdkafka import admin, read
from harness.server import Server
from harness.sql import Sql
from harness.wait import until

SECOND = 1000
DAY = 86_400 * SECOND
EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}
WINDOW = "TUMBLING (SIZE 10 SECONDS, RETENTION 80 SECONDS, GRACE PERIOD 0 SECONDS)"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {
        "offsets.topic.num.partitions": 2, "group.min.session.timeout.ms": 1000}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def sql(kafka, tmp_path, request):
    sql = Sql(tmp_path / "sql", kafka.bootstrap,
              {"ksql.service.id": f"{request.node.name}_", "ksql.streams.commit.interval.ms": "100",
               "ksql.streams.session.timeout.ms": "3000", "ksql.streams.heartbeat.interval.ms": "500"}).start()
    yield sql
    sql.stop()
    assert "panicked" not in sql.log()


def second(timestamp):
    return (timestamp - DAY) // SECOND


def send(kafka, topic, records, partitions=1):
    """Records as (key, second of the second day of time); those of a key are in one partition."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for key, second in records:
        producer.produce(topic, b'{"N": 1}', key.encode(), partition=len(key) % partitions, timestamp=DAY + second * SECOND)
    assert producer.flush(60) == 0


def changelog(kafka, sql):
    """What the changelog of the only query holds at last, by key; tombstones are None."""
    prefix = f"_confluent-ksql-{sql.overrides['ksql.service.id']}query_"
    topics = admin(kafka).list_topics(timeout=20).topics
    [topic] = [name for name in topics if name.startswith(prefix) and name.endswith("-changelog")]
    return {message.key(): message.value() for message in read(kafka, topic, 0)}


def test_windows_leave_the_state_and_late_records_stay_late(sql, kafka):
    sql.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (kafka_topic='aging', partitions=1, value_format='JSON');"
             f"CREATE TABLE totals AS SELECT k, COUNT(*) AS total FROM s WINDOW {WINDOW} GROUP BY k;", EARLIEST)
    send(kafka, "aging", [("a", second) for second in range(0, 1000, 5)])

    def windows():
        answer = sql.post("/query", {"ksql": "SELECT windowstart, total FROM totals WHERE k = 'a';"})
        if answer.status_code != 200:
            return answer.text
        rows = [line["row"]["columns"] for line in answer.json() if "row" in line]
        return sorted((second(start), total) for start, total in rows)

    kept = [(start, 2) for start in range(920, 1000, 10)]
    until(lambda: windows() == kept, lambda: f"only the retention is left: {windows()}")
    everything, _ = sql.query("SELECT windowstart FROM totals;")
    assert sorted(second(start) for [start] in everything) == list(range(920, 1000, 10))

    def states():
        values = list(changelog(kafka, sql).values())
        return sum(value is not None for value in values), sum(value is None for value in values)

    # Windows, what lists them for deletion, and the stream time; the other hundred are deleted in the changelog too.
    until(lambda: states()[0] < 25 and states()[1] > 90, lambda: f"the changelog knows what is left: {states()}")
    for is_lost in [False, True]:
        sql.stop(signal.SIGKILL)
        if is_lost:
            shutil.rmtree(sql.directory / "state")
        sql.start()
        until(lambda: windows() == kept, lambda: f"the same windows after a restart: {windows()}")
        send(kafka, "aging", [("a", 950)])
        # The late record comes before this one, and is in no window.
        kept = kept[:-1] + [(990, kept[-1][1] + 1)]
        send(kafka, "aging", [("a", 996)])
        until(lambda: windows() == kept, lambda: f"the late record is dropped: {windows()}")


def test_a_pull_query_reads_the_windows_and_the_texts_that_it_names(sql, kafka):
    sql.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (kafka_topic='ranges', partitions=2, value_format='JSON');"
             "CREATE TABLE w AS SELECT k, COUNT(*) AS total FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k;"
             "CREATE TABLE e AS SELECT k, COUNT(*) AS total FROM s WINDOW SESSION (3 SECONDS) GROUP BY k;"
             "CREATE TABLE t AS SELECT k, COUNT(*) AS total FROM s GROUP BY k;", EARLIEST)
    keys = ["a", "b", "c", "aa", "ab", "b1", "ba", "abc", "bzz", "c\u00e9", "\ue000", "\U0001f600", "d" * 40]
    send(kafka, "ranges", [(key, second) for second in range(0, 60, 5) for key in keys], 2)

    def pulled(table, condition, columns="k"):
        rows, _ = sql.query(f"SELECT {columns} FROM {table} WHERE {condition};")
        return sorted(row[0] for row in rows)

    until(lambda: pulled("t", "total = 12") == sorted(keys), "all records are counted")
    until(lambda: len(pulled("w", "total = 2")) == 6 * len(keys), "in their windows too")
    until(lambda: len(pulled("e", "total = 1")) == 12 * len(keys), "and in sessions")

    def utf16(text):
        return text.encode("utf-16-be")

    for lower, upper in [("ab", "b1"), ("a", "b"), ("b", "zzzz"), ("", "aa"), ("c", "\ue000"), ("\U0001f600", "\uffff")]:
        expected = sorted(key for key in keys if utf16(lower) < utf16(key) <= utf16(upper))
        assert pulled("t", f"k > '{lower}' AND k <= '{upper}'") == expected, (lower, upper)
        assert pulled("w", f"k > '{lower}' AND k <= '{upper}' AND windowstart = {DAY}") == expected, (lower, upper)
    assert pulled("t", "k >= 'ba' AND k < 'c' OR k = 'aa'") == ["aa", "ba", "bzz"]

    starts = "windowstart"
    at = {name: DAY + value * SECOND for name, value in [("t0", 0), ("t10", 10), ("t20", 20), ("t50", 50), ("t90", 90)]}
    for condition, expected in [("windowstart = {t20}", [20]), ("windowstart > {t20} AND windowstart < {t50}", [30, 40]),
                                ("windowend <= {t20}", [0, 10]), ("{t20} < windowend AND windowend < {t50}", [20, 30]),
                                ("windowstart BETWEEN {t10} AND {t20}", [10, 20]), ("windowstart > {t90}", []),
                                ("windowstart > '1970-01-02T00:00:40'", [50])]:
        found = pulled("w", f"k = 'ab' AND {condition.format(**at)}", starts)
        assert [second(start) for start in found] == expected, condition
    assert pulled("e", f"k = 'ab' AND windowend = {at['t10']}", starts) == [at["t10"]]
    assert pulled("e", f"k = 'ab' AND windowend < {at['t20']} AND windowstart > {at['t0']}", starts) \
        == [DAY + 5 * SECOND, at["t10"], DAY + 15 * SECOND]


def test_a_query_is_replaced_only_by_one_that_its_state_is_good_for(sql, kafka):
    sql.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (kafka_topic='upgraded', partitions=1, value_format='JSON');"
             "CREATE TABLE people (k STRING PRIMARY KEY, n INT) "
             "WITH (kafka_topic='people', partitions=1, value_format='JSON');")
    [made] = sql.ksql("CREATE TABLE totals AS SELECT n, COUNT(k) AS total FROM s GROUP BY n;", EARLIEST)
    sql.ksql("CREATE STREAM joined AS SELECT s.k, s.n FROM s JOIN people ON s.k = people.k;"
             "CREATE STREAM copy AS SELECT * FROM s;")
    for replacement, message in [
        ("TABLE totals AS SELECT n, COUNT(k) AS total, MAX(k) AS most FROM s GROUP BY n", "matching aggregate functions"),
        ("TABLE totals AS SELECT n, COUNT(*) AS total FROM s GROUP BY n", "matching columns not part of aggregate"),
        ("STREAM joined AS SELECT s.k, s.n FROM s JOIN people ON s.k = people.k", "not yet supported for StreamTableJoin"),
        ("STREAM copy AS SELECT k, n + 1 AS more FROM s", "Cannot upgrade data source"),
        ("STREAM copy (k STRING KEY, n BIGINT) WITH (kafka_topic='COPY', value_format='JSON')", "Cannot upgrade data source"),
    ]:
        assert message in sql.refused(f"CREATE OR REPLACE {replacement};"), replacement
    assert "not supported for CREATE ... AS statements" in sql.refused("ALTER STREAM copy ADD x INT;")

    def total():
        messages = [json.loads(message.value())["TOTAL"] for message in read(kafka, "TOTALS")]
        return messages[-1] if messages else 0

    send(kafka, "upgraded", [("a", second) for second in range(3)])
    until(lambda: total() == 3, "what was there is counted")
    [replaced] = sql.ksql("CREATE OR REPLACE TABLE totals AS SELECT n, COUNT(k) AS total FROM s WHERE k <> 'z' GROUP BY n;")
    assert replaced["commandStatus"]["queryId"] == made["commandStatus"]["queryId"]
    send(kafka, "upgraded", [("z", 3), ("a", 4)])
    until(lambda: total() == 4, lambda: f"the count goes on, without what is filtered now: {total()}")
    assert [row for row in sql.query("SELECT total FROM totals;")[0]] == [[4]]
