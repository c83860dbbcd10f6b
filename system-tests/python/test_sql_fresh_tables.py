"""Pull queries right after their tables were made: they hold what was there before."""

import itertools

import pytest
from harness.server import Server
from harness.sql import Sql

EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}
CITIES = {"Oslo": 3, "Bergen": 1, "Tromso": 2}


names = itertools.count(1)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    # As users have it: the group of a query takes its time to come together.
    server = Server(tmp_path_factory.mktemp("kafka"), {"group.initial.rebalance.delay.ms": 3000}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def sql(kafka, tmp_path):
    server = Sql(tmp_path / "sql", kafka.bootstrap, {"ksql.service.id": f"fresh_{next(names)}_"}).start()
    yield server
    server.stop()
    assert "panicked" not in server.log()


def visits(sql, topic):
    sql.ksql(f"CREATE STREAM visits (id INT KEY, city STRING) "
             f"WITH (kafka_topic='{topic}', partitions=3, value_format='JSON');")
    number = 0
    for city, count in CITIES.items():
        for _ in range(count):
            sql.ksql(f"INSERT INTO visits VALUES ({number}, '{city}');")
            number += 1


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_table_that_was_just_made_is_not_empty(sql, guarantee):
    visits(sql, f"visits_{guarantee}")
    sql.ksql(f"CREATE TABLE counts WITH (kafka_topic='counts_{guarantee}') AS SELECT city, COUNT(*) AS total FROM visits "
             "GROUP BY city;", {**EARLIEST, "processing.guarantee": guarantee})
    assert sql.query("SELECT total FROM counts WHERE city = 'Oslo';")[0] == [[3]]
    assert sorted(sql.query("SELECT * FROM counts;")[0]) == sorted([city, count] for city, count in CITIES.items())


def test_a_table_over_an_empty_topic_is_empty(sql):
    sql.ksql("CREATE STREAM none (id INT KEY, city STRING) WITH (kafka_topic='none', partitions=1, value_format='JSON');"
             "CREATE TABLE empty WITH (kafka_topic='empty') AS SELECT city, COUNT(*) AS total FROM none GROUP BY city;")
    assert sql.query("SELECT * FROM empty;")[0] == []
    sql.ksql("PAUSE ALL;")
    assert sql.query("SELECT * FROM empty;")[0] == []
