"""The life of persistent queries: what they leave behind, their states, joins over partitions, the order of times."""

import json
import shutil

import pytest
from harness.librdkafka import admin, create_topic, produce, read
from harness.server import Server
from harness.sql import Sql, sql_servers
from harness.wait import until

EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}
# The key under which a changelog says which layout its state has.
LAYOUT = b"\xff\xfflayout"


@pytest.fixture
def new_sql(kafka, tmp_path, request):
    with sql_servers(tmp_path, kafka, f"{request.node.name}_") as make:
        yield make


def own_names(kafka, sql):
    """Topics and groups of the service's queries."""
    prefix = f"_confluent-ksql-{sql.overrides['ksql.service.id']}query_"
    topics = [name for name in admin(kafka).list_topics(timeout=20).topics if name.startswith(prefix)]
    groups = admin(kafka).list_consumer_groups().result().valid
    return sorted(topics) + sorted(group.group_id for group in groups if group.group_id.startswith(prefix))


def query_id(answer):
    return answer[0]["commandStatus"]["queryId"]


def rows_of(kafka, topic, partitions=1):
    """The last value of each key of a topic with JSON values."""
    found = {}
    for partition in range(partitions):
        for message in read(kafka, topic, partition, **{"isolation.level": "read_committed"}):
            found[message.key()] = json.loads(message.value()) if message.value() else None
    return {key: value for key, value in found.items() if value is not None}


def test_a_query_that_is_terminated_leaves_nothing(new_sql, kafka):
    first, second = new_sql("leaving_"), new_sql("leaving_")
    first.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='leaving', partitions=2, value_format='JSON');")
    made = first.ksql("CREATE TABLE totals AS SELECT n, COUNT(*) AS total FROM s GROUP BY n;", EARLIEST)
    first.ksql("INSERT INTO s (id, n) VALUES ('a', 1);")
    until(lambda: rows_of(kafka, "TOTALS", 2), "a total")
    assert any(name.endswith("-changelog") for name in own_names(kafka, first))
    first.stop()
    first.start()
    assert own_names(kafka, first), "a server that stops keeps its queries"
    second.ksql(f"TERMINATE {query_id(made)};")
    until(lambda: own_names(kafka, first) == [], lambda: f"nothing is left of {own_names(kafka, first)}", timeout=60)


def test_a_sink_that_is_deleted_with_its_query_stays_deleted(new_sql, kafka):
    sql = new_sql()
    sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='deleting', partitions=1, value_format='JSON');")
    sql.ksql("CREATE STREAM gone AS SELECT * FROM s;", EARLIEST)
    produce(kafka, "deleting", [(b"k", b'{"N": 1}')] * 1000)
    until(lambda: len(read(kafka, "GONE")) == 1000, "the copies")
    sql.ksql("DROP STREAM gone DELETE TOPIC;")
    produce(kafka, "deleting", [(b"k", b'{"N": 1}')] * 10)
    until(lambda: own_names(kafka, sql) == [], "the query is gone")
    assert "GONE" not in admin(kafka).list_topics(timeout=20).topics


def test_a_query_shows_its_errors_and_works_again(new_sql, kafka):
    sql = new_sql(overrides={"ksql.query.retry.backoff.initial.ms": "200"})
    create_topic(kafka, "failing", 1)
    sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='failing', value_format='JSON');")
    query = query_id(sql.ksql("CREATE STREAM copy WITH (kafka_topic='failing_copy') AS SELECT * FROM s;", EARLIEST))

    def shown():
        [entry] = sql.ksql("SHOW QUERIES;")[0]["queries"]
        return entry["state"], entry["statusCount"]

    assert shown() == ("RUNNING", {"RUNNING": 1})
    sql.ksql(f"PAUSE {query};")
    assert shown() == ("RUNNING", {"PAUSED": 1})
    sql.stop()
    sql.start()
    assert shown() == ("RUNNING", {"PAUSED": 1}), "a pause outlives the server"
    sql.ksql(f"RESUME {query};")
    assert shown()[0] == "RUNNING"
    produce(kafka, "failing", [(b"k", b'{"N": 1}')])
    until(lambda: len(read(kafka, "failing_copy")) == 1, "the first copy")
    sql.stop()
    [deleted] = admin(kafka).delete_topics(["failing"]).values()
    deleted.result()
    sql.start()
    until(lambda: shown()[0] == "ERROR", lambda: f"the query has failed: {shown()}")
    described = sql.ksql(f"EXPLAIN {query};")[0]["queryDescription"]
    assert described["state"] == "ERROR"
    assert described["queryErrors"][-1]["type"] == "USER" and "failing" in described["queryErrors"][-1]["errorMessage"]
    create_topic(kafka, "failing", 1)
    until(lambda: shown()[0] == "RUNNING", "the query works again")


def test_a_replaced_query_goes_on_where_it_was(new_sql, kafka):
    sql = new_sql()
    sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='replacing', partitions=1, value_format='JSON');")
    old = query_id(sql.ksql("CREATE STREAM big WITH (kafka_topic='replaced') AS SELECT * FROM s WHERE n > 1;", EARLIEST))
    produce(kafka, "replacing", [(b"k", b'{"N": %d}' % n) for n in range(5)])
    until(lambda: len(read(kafka, "replaced")) == 3, "three copies")
    new = query_id(sql.ksql("CREATE OR REPLACE STREAM big WITH (kafka_topic='replaced') AS SELECT * FROM s WHERE n > 6;",
                            EARLIEST))
    assert new == old
    produce(kafka, "replacing", [(b"k", b'{"N": %d}' % n) for n in range(5, 9)])
    until(lambda: len(read(kafka, "replaced")) == 5, "two more copies, none twice")


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
@pytest.mark.parametrize("join", ["JOIN", "LEFT JOIN"])
def test_foreign_keys_join_over_partitions(new_sql, kafka, guarantee, join):
    name = f"fk_{join.split()[0].lower()}_{guarantee}"
    sql = new_sql(f"{name}_")
    orders, people, sink = f"{name}_orders", f"{name}_people", f"{name}_joined"
    sql.ksql(f"CREATE TABLE people (id STRING PRIMARY KEY, name STRING) "
             f"WITH (kafka_topic='{people}', partitions=3, value_format='JSON');"
             f"CREATE TABLE orders (id INT PRIMARY KEY, person STRING, item STRING) "
             f"WITH (kafka_topic='{orders}', partitions=4, value_format='JSON', key_format='JSON');")
    sql.ksql(f"CREATE TABLE joined WITH (kafka_topic='{sink}', key_format='JSON') AS SELECT o.id AS id, item, name "
             f"FROM orders o {join} people p ON o.person = p.id;", {**EARLIEST, "processing.guarantee": guarantee})
    orders_now, people_now = {}, {}

    def order(key, person, item):
        orders_now[key] = None if item is None else (person, item)
        value = b"" if item is None else json.dumps({"PERSON": person, "ITEM": item}).encode()
        produce(kafka, orders, [(str(key).encode(), value or None)], partition=key % 4)

    def person(key, called):
        people_now[key] = called
        value = None if called is None else json.dumps({"NAME": called}).encode()
        produce(kafka, people, [(key.encode(), value)], partition=-1, partitioner="murmur2_random")

    def wanted():
        rows = {}
        for key, ordered in orders_now.items():
            if ordered is None:
                continue
            called = people_now.get(ordered[0])
            if called is not None or join == "LEFT JOIN":
                rows[str(key).encode()] = {"ITEM": ordered[1], "NAME": called}
        return rows

    def agrees():
        until(lambda: rows_of(kafka, sink, 4) == wanted(),
              lambda: f"{rows_of(kafka, sink, 4)} is {wanted()}", timeout=40)

    for key in range(8):
        order(key, f"p{key % 5}", f"item {key}")
    for key in range(4):
        person(f"p{key}", f"name {key}")
    agrees()
    order(1, "p2", "moved")
    order(2, None, "nobody's")
    order(3, None, None)
    person("p0", "another")
    person("p3", None)
    agrees()
    sql.stop()
    order(5, "p1", "while away")
    person("p1", "while away")
    sql.start()
    order(1, "p1", "moved again")
    person("p4", "late")
    agrees()


def test_source_tables_keep_their_state(new_sql, kafka):
    sql = new_sql()
    create_topic(kafka, "kept", 2)
    sql.ksql("CREATE SOURCE TABLE kept (id STRING PRIMARY KEY, n INT) WITH (kafka_topic='kept', value_format='JSON');")
    [entry] = sql.ksql("SHOW QUERIES;")[0]["queries"]
    assert entry["id"].startswith("CST_KEPT_")
    produce(kafka, "kept", [(b"a", b'{"N": 1}'), (b"b", b'{"N": 2}')])
    changelog = f"_confluent-ksql-{sql.overrides['ksql.service.id']}query_{entry['id']}-Part-0-changelog"
    until(lambda: len(read(kafka, changelog)) == 3, "both rows are in the changelog, behind its layout")
    sql.ksql("DROP TABLE kept;")
    assert sql.ksql("SHOW QUERIES;")[0]["queries"] == []
    until(lambda: own_names(kafka, sql) == [], "the query is gone")


def test_a_changelog_of_another_layout_is_refused(new_sql, kafka):
    sql = new_sql()
    create_topic(kafka, "laid", 1)
    sql.ksql("CREATE SOURCE TABLE laid (id STRING PRIMARY KEY, n INT) WITH (kafka_topic='laid', value_format='JSON');")
    [entry] = sql.ksql("SHOW QUERIES;")[0]["queries"]
    produce(kafka, "laid", [(b"a", b'{"N": 1}')])
    changelog = f"_confluent-ksql-{sql.overrides['ksql.service.id']}query_{entry['id']}-Part-0-changelog"
    until(lambda: len(read(kafka, changelog)) == 2, "the layout and the row are in the changelog")
    assert read(kafka, changelog)[0].key() == LAYOUT
    sql.stop()
    shutil.rmtree(sql.directory / "state")
    produce(kafka, changelog, [(LAYOUT, (77).to_bytes(4, "big"))])
    sql.start()

    def explained():
        described = sql.ksql(f"EXPLAIN {entry['id']};")[0]["queryDescription"]
        return described["state"], [error["errorMessage"] for error in described["queryErrors"]]

    until(lambda: explained()[0] == "ERROR", lambda: f"the query does not go on: {explained()}")
    assert "layout 77" in explained()[1][0], explained()


def test_rows_of_a_table_that_are_there_are_found_by_a_stream_that_is_larger(new_sql, kafka):
    sql = new_sql()
    create_topic(kafka, "ordered_table", 1)
    create_topic(kafka, "ordered_stream", 1)
    people = 3000
    table = [(b"k%d" % n, b'{"NAME": "%s"}' % (b"x" * 500)) for n in range(people)]
    produce(kafka, "ordered_table", table)
    produce(kafka, "ordered_stream", [(b"k%d" % (n % people), b'{"N": %d}' % n) for n in range(5000)])
    sql.ksql("CREATE TABLE t (id STRING PRIMARY KEY, name STRING) WITH (kafka_topic='ordered_table', value_format='JSON');"
             "CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='ordered_stream', value_format='JSON');")
    sql.ksql("CREATE STREAM met WITH (kafka_topic='ordered_met') AS SELECT s.id, n, name FROM s LEFT JOIN t ON s.id = t.id;",
             EARLIEST)
    until(lambda: len(read(kafka, "ordered_met")) == 5000, "all rows", timeout=60)
    assert all(json.loads(message.value())["NAME"] for message in read(kafka, "ordered_met"))


def test_state_of_another_cluster_is_not_taken_over(tmp_path):
    """A cluster is made anew, the state stays, and the query gets the same id."""

    def count(directory, values):
        kafka = Server(tmp_path / directory, {"offsets.topic.num.partitions": 1}).start()
        sql = Sql(tmp_path / "sql", kafka.bootstrap, {"ksql.service.id": "anew_"}).start()
        try:
            sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='s', partitions=1, value_format='JSON');")
            sql.ksql("CREATE TABLE t AS SELECT id, COUNT(*) AS total FROM s GROUP BY id;", EARLIEST)
            produce(kafka, "s", [(b"k", b'{"N": 1}')] * values)
            until(lambda: rows_of(kafka, "T").get(b"k"), "a total")
            return until(lambda: (total := rows_of(kafka, "T")[b"k"]["TOTAL"]) >= values and total, "the total")
        finally:
            sql.stop()
            kafka.stop()

    assert count("one", 5) == 5
    assert count("other", 9) == 9


def test_what_cannot_be_read_is_told_in_the_processing_log(new_sql, kafka):
    prefix = "ksql.logging.processing."
    sql = new_sql(overrides={f"{prefix}topic.auto.create": "true", f"{prefix}stream.auto.create": "true",
                             f"{prefix}rows.include": "true"})
    sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='unreadable', partitions=1, value_format='JSON');")
    query = query_id(sql.ksql("CREATE STREAM divided WITH (kafka_topic='divided') AS SELECT id, 10 / n AS tenth FROM s;",
                              EARLIEST))
    produce(kafka, "unreadable", [(b"a", b"no JSON"), (b"b", b'{"N": 0}'), (b"c", b'{"N": 5}')])
    until(lambda: len(read(kafka, "divided")) == 2, "the readable records")
    topic = f"{sql.overrides['ksql.service.id']}ksql_processing_log"
    entries = until(lambda: len(found := [json.loads(m.value()) for m in read(kafka, topic)]) == 2 and found, "two entries")
    unreadable, divided = entries
    assert unreadable["logger"].startswith(f"processing.{query}.") and unreadable["level"] == "ERROR"
    error = unreadable["message"]["deserializationError"]
    assert (unreadable["message"]["type"], error["target"], error["topic"], error["recordB64"]) == (
        0, "value", "unreadable", "bm8gSlNPTg==")
    assert divided["message"]["type"] == 1
    assert "N" in divided["message"]["recordProcessingError"]["errorMessage"]
    rows, _ = sql.query("SELECT message->deserializationError->topic FROM ksql_processing_log;", EARLIEST)
    assert ["unreadable"] in rows


def test_two_hundred_queries_cost_little(new_sql, kafka, record_property):
    sql = new_sql()
    sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='many', partitions=1, value_format='JSON');")
    create_topic(kafka, "many_out", 1)
    sql.ksql("CREATE STREAM many (id STRING KEY, n INT) WITH (kafka_topic='many_out', value_format='JSON');")
    before = resident(sql)
    for n in range(200):
        sql.ksql(f"INSERT INTO many SELECT id, n + {n} AS n FROM s;", EARLIEST)
    sql.ksql("INSERT INTO s (id, n) VALUES ('a', 0);")
    until(lambda: len(read(kafka, "many_out")) == 200, lambda: f"200 rows: {len(read(kafka, 'many_out'))}", timeout=90)
    [shown] = sql.ksql("SHOW QUERIES;")
    assert {query["state"] for query in shown["queries"]} == {"RUNNING"}
    grown = (resident(sql) - before) / 1024
    record_property("mib", grown)
    print(f"200 queries: {grown:.0f} MiB more, {threads(sql)} threads")
    assert grown < 200 and threads(sql) < 100
    started = until(lambda: sql.ksql("SHOW QUERIES;"), "shown")
    assert started


def resident(sql):
    with open(f"/proc/{sql.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def threads(sql):
    with open(f"/proc/{sql.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
