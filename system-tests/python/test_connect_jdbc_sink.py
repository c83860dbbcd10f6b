"""The JDBC sink with real databases: modes, types, tables that grow, bad records, databases that go away, crashes."""

import base64
import itertools
import json
import os
import threading
import uuid
from datetime import date, datetime, time
from decimal import Decimal

import pytest

from harness import librdkafka
from harness.certificates import Authority
from harness.connect import Api, DistributedWorker, ServerWithConnect, envelope, schema
from harness.databases import MariaDb, Postgres
from harness.wait import until

SINK = "io.confluent.connect.jdbc.JdbcSinkConnector"
USERS = schema("users", id="int32", name="string?")
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = ServerWithConnect(tmp_path_factory.mktemp("kafka")).start()
    yield server
    assert server.alive() and "panicked" not in server.log(), server.log_tail()
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def topic():
    """A topic name that is short enough for a table, too."""
    return f"sink-{os.getpid()}-{next(numbers)}"


@pytest.fixture
def sink(kafka, database, topic):
    """Starts sinks from `topic` into `database`, and deletes them."""
    names = []

    def start(settings=None, topics=topic, running=True, into=database):
        name = f"sink-{next(numbers)}"
        names.append(name)
        return kafka.connect.create(name, {
            "connector.class": SINK, "tasks.max": "1", "topics": topics, **into.settings(), "auto.create": "true",
            "retry.backoff.ms": "300", "connection.backoff.ms": "300", "consumer.override.metadata.max.age.ms": "1000",
            **(settings or {})}, running)

    yield start
    for name in names:
        kafka.connect.delete(name)


def user(key, name):
    return envelope(USERS, {"id": key, "name": name})


def rows(database, table, columns="id, name"):
    quote = "`" if database.kind == "mariadb" else '"'
    if table not in database.tables():
        return []
    return database.sql(f"SELECT {columns} FROM {quote}{table}{quote} ORDER BY 1, 2")


def fills(database, table, expected, columns="id, name", timeout=30):
    until(lambda: rows(database, table, columns) == expected,
          lambda: f"{table} is {expected}: {rows(database, table, columns)}", timeout, poll=0.2)


MODES = [
    ("none", "insert", ""), ("kafka", "insert", ""), ("kafka", "upsert", "t,p,o"),
    ("record_key", "insert", "id"), ("record_key", "upsert", "id"), ("record_key", "update", "id"),
    ("record_value", "insert", "id"), ("record_value", "upsert", "id"), ("record_value", "update", "id"),
]


def test_each_primary_key_with_each_insert_mode(kafka, sink, database, topic):
    first, second = [(1, "a"), (2, "b")], [(3, "c"), (4, "d")]
    tables = {}
    for keys, mode, fields in MODES:
        table = tables[keys, mode] = f"{topic}-{keys}-{mode}"[-60:].replace("-", "_")
        librdkafka.create_topic(kafka, table)
        repeated = mode == "upsert" and keys != "kafka"
        rows_of = first + [(2, "bb")] + second if repeated else first + second
        if mode == "update":
            quote = "`" if database.kind == "mariadb" else '"'
            database.sql(f"CREATE TABLE {quote}{table}{quote} (id int primary key, name varchar(20))")
            database.sql(f"INSERT INTO {quote}{table}{quote} VALUES (2, 'old'), (9, 'other')")
        librdkafka.produce(kafka, table, [(envelope("int32", key), user(key, name)) for key, name in rows_of])
    for keys, mode, fields in MODES:
        sink({"pk.mode": keys, "insert.mode": mode, "pk.fields": fields, "topics": tables[keys, mode],
              "value.converter.schemas.cache.size": "10"})
    for (keys, mode), table in tables.items():
        expected = first + second
        if mode == "update":
            expected = [(2, "b"), (9, "other")]
        elif mode == "upsert" and keys != "kafka":
            expected = [(1, "a"), (2, "bb"), (3, "c"), (4, "d")]
        fills(database, table, expected)
    coordinates = rows(database, tables["kafka", "upsert"], "o, p, t")
    assert coordinates == [(offset, 0, tables["kafka", "upsert"]) for offset in range(4)]


def test_keys_may_be_structs_and_fields_are_chosen(kafka, sink, database, topic):
    librdkafka.create_topic(kafka, topic)
    key = schema("key", tenant="string", id="int32")
    value = schema("value", name="string?", secret="string?", note="string?")
    librdkafka.produce(kafka, topic, [
        (envelope(key, {"tenant": tenant, "id": number}), envelope(value, {"name": name, "secret": "x", "note": None}))
        for tenant, number, name in [("b", 1, "one"), ("a", 1, "two"), ("b", 1, "three")]])
    sink({"pk.mode": "record_key", "insert.mode": "upsert", "fields.whitelist": "name,note",
          "table.name.format": "chosen_${topic}"})
    fills(database, f"chosen_{topic}", [("a", 1, "two", None), ("b", 1, "three", None)], "tenant, id, name, note")
    with pytest.raises(Exception):
        rows(database, f"chosen_{topic}", "secret, id")


CREATED = {
    "mariadb": {"i8": "tinyint(4)", "i16": "smallint(6)", "i32": "int(11)", "i64": "bigint(20)", "f32": "float", "f64": "double",
                "flag": "tinyint(4)", "s": "text", "raw": "varbinary(1024)", "price": "decimal(65,2)", "d": "date", "t": "time(3)",
                "at": "datetime(3)", "micros": "datetime(6)"},
    "postgresql": {"i8": "smallint", "i16": "smallint", "i32": "integer", "i64": "bigint", "f32": "real",
                   "f64": "double precision", "flag": "boolean", "s": "text", "raw": "bytea", "price": "numeric", "d": "date",
                   "t": "time without time zone", "at": "timestamp without time zone", "micros": "timestamp without time zone"},
    "sqlite": {"i8": "INTEGER", "i16": "INTEGER", "i32": "INTEGER", "i64": "INTEGER", "f32": "REAL", "f64": "REAL",
               "flag": "INTEGER", "s": "TEXT", "raw": "BLOB", "price": "NUMERIC", "d": "NUMERIC", "t": "NUMERIC", "at": "NUMERIC",
               "micros": "NUMERIC"},
}
LOGICAL = "org.apache.kafka.connect.data."
EVERY_TYPE = schema(
    "every", i8="int8?", i16="int16?", i32="int32?", i64="int64?", f32="float?", f64="double?", flag="boolean?", s="string?", raw="bytes?",
    price={"type": "bytes", "name": LOGICAL + "Decimal", "version": 1, "parameters": {"scale": "2"}},
    d={"type": "int32", "name": LOGICAL + "Date", "version": 1}, t={"type": "int32", "name": LOGICAL + "Time", "version": 1},
    at={"type": "int64", "name": LOGICAL + "Timestamp", "version": 1}, micros="int64?")


def column_types(database, table):
    if database.kind == "sqlite":
        return dict(database.sql(f"SELECT name, type FROM pragma_table_info('{table}')"))
    what = "column_type" if database.kind == "mariadb" else "data_type"
    schema_of = "DATABASE()" if database.kind == "mariadb" else "current_schema()"
    return dict(database.sql(f"SELECT column_name, {what} FROM information_schema.columns"
                             f" WHERE table_schema = {schema_of} AND table_name = %s", table))


def test_every_type_has_its_column_and_its_value(kafka, sink, database, topic):
    topic = librdkafka.create_topic(kafka, topic.replace("-", "_"))
    values = {"i8": -7, "i16": 300, "i32": -70000, "i64": 2**53 + 1, "f32": 0.5, "f64": 0.1, "flag": True, "s": "it's \\ \"ü\" 😀\t\n",
              "raw": base64.b64encode(b"\x00\xff'\\").decode(), "price": base64.b64encode((-12345).to_bytes(2, "big", signed=True)).decode(),
              "d": 18840, "t": 36_061_500, "at": 1_627_815_857_123, "micros": 1_627_815_857_123_456}
    # Enough rows that each database takes its way for many.
    librdkafka.produce(kafka, topic, [envelope(EVERY_TYPE, {**values, "i32": number}) for number in range(40)]
                       + [envelope(EVERY_TYPE, {**dict.fromkeys(values), "i32": 40})])
    sink({"timestamp.fields.list": "micros", "db.timezone": "Asia/Seoul"}, topics=topic)
    until(lambda: len(rows(database, topic, "i32, i8")) == 41, "41 rows", 30)
    assert column_types(database, topic) == CREATED[database.kind]
    found = rows(database, topic, "i32, i8, i16, i64, f32, f64, flag, s, raw, price, d, t, at, micros")
    row = dict(zip(["i32", *(name for name in values if name != "i32")], found[7]))
    if database.kind != "sqlite":
        clock = datetime(2021, 8, 1, 20, 4, 17)
        expected_time = time(10, 1, 1, 500_000)
        found_time = row.pop("t") if database.kind == "postgresql" else (datetime.min + row.pop("t")).time()
        assert found_time == expected_time
        assert (row.pop("d"), row.pop("at"), row.pop("micros")) == (
            date(2021, 8, 1), clock.replace(microsecond=123_000), clock.replace(microsecond=123_456))
    else:
        for name in ("d", "t", "at", "micros"):
            assert row.pop(name) is not None
    assert bytes(row.pop("raw")) == b"\x00\xff'\\"
    assert Decimal(str(row.pop("price"))) == Decimal("-123.45")
    row["flag"] = bool(row["flag"])
    assert row.pop("i32") == 7
    assert row == {name: values[name] for name in ("i8", "i16", "i64", "f32", "f64", "flag", "s")}
    assert found[40] == (40, *[None] * 13)


def test_tables_grow_with_their_schema(kafka, sink, database, topic):
    librdkafka.create_topic(kafka, topic)
    wider = schema("users", id="int32", name="string?", age="int32?", city={"type": "string", "optional": False, "default": "Seoul"})
    librdkafka.produce(kafka, topic, [user(1, "a"), envelope(wider, {"id": 2, "name": "b", "age": 30, "city": "Busan"}), user(3, "c")])
    name = sink({"auto.evolve": "true"})
    fills(database, topic, [(1, "a", None, "Seoul"), (2, "b", 30, "Busan"), (3, "c", None, "Seoul")], "id, name, age, city")
    required = schema("users", id="int32", name="string?", must="int32")
    librdkafka.produce(kafka, topic, [envelope(required, {"id": 4, "name": "d", "must": 1})])
    trace = kafka.connect.wait_for(name, "FAILED")
    assert "'must'" in trace and "not optional" in trace


def test_records_without_a_value_delete(kafka, sink, database, topic):
    librdkafka.create_topic(kafka, topic)
    sink({"pk.mode": "record_key", "pk.fields": "id", "insert.mode": "upsert", "delete.enabled": "true"})
    key = [envelope("int32", number) for number in range(40)]
    librdkafka.produce(kafka, topic, [(key[number], user(number, "a")) for number in range(30)])
    fills(database, topic, [(number, "a") for number in range(30)])
    librdkafka.produce(kafka, topic, [(key[number], None) for number in range(25)]
                       + [(key[3], user(3, "again")), (key[31], user(31, "x")), (key[31], None), (key[39], None)])
    fills(database, topic, [(3, "again")] + [(number, "a") for number in range(25, 30)])


def test_bad_records_go_to_the_dead_letters_with_the_reason(kafka, sink, database, topic):
    librdkafka.create_topic(kafka, topic)
    dead = f"{topic}-dead"
    quote = "`" if database.kind == "mariadb" else '"'
    check = ", CHECK (length(name) <= 5)" if database.kind == "sqlite" else ""
    database.sql(f"CREATE TABLE {quote}{topic}{quote} (id int primary key, name varchar(5){check})")
    good = [(number, "ok") for number in range(50)]
    values = [user(*row) for row in good]
    values[20:20] = [user(100, "far too long"), b"no json at all", json.dumps({"id": 101}).encode()]
    librdkafka.produce(kafka, topic, values)
    name = sink({"errors.tolerance": "all", "errors.deadletterqueue.topic.name": dead,
                 "errors.deadletterqueue.topic.replication.factor": "1", "errors.deadletterqueue.context.headers.enable": "true"})
    fills(database, topic, good)
    letters = until(lambda: (found := librdkafka.read(kafka, dead)) and len(found) == 3 and found, "three dead letters", 30)
    by_value = {letter.value(): {key: (value or b"").decode() for key, value in letter.headers()} for letter in letters}
    assert set(by_value) == {user(100, "far too long"), b"no json at all", json.dumps({"id": 101}).encode()}
    headers = by_value[user(100, "far too long")]
    reason = headers["__connect.errors.exception.message"]
    assert headers["__connect.errors.stage"] == "TASK_PUT" and headers["__connect.errors.offset"] == "20"
    assert {"mariadb": "Data too long for column 'name'", "postgresql": "value too long for type character varying(5)",
            "sqlite": "CHECK constraint failed"}[database.kind] in reason
    assert kafka.connect.states(name) == ["RUNNING", "RUNNING"]


def test_errors_name_the_setting_that_helps(kafka, sink, database, topic):
    librdkafka.create_topic(kafka, topic)
    librdkafka.produce(kafka, topic, [(None, json.dumps({"id": 1}).encode())])
    name = sink({"value.converter": "org.apache.kafka.connect.json.JsonConverter", "value.converter.schemas.enable": "false"}, running=False)
    trace = kafka.connect.wait_for(name, "FAILED")
    assert "value.converter.schemas.enable=true" in trace and "schemaless.values=infer" in trace
    name = sink({"auto.create": "false", "value.converter.schemas.enable": "false", "schemaless.values": "infer",
                 "value.converter": "org.apache.kafka.connect.json.JsonConverter"}, running=False)
    assert "auto.create=true" in kafka.connect.wait_for(name, "FAILED")
    name = sink({"schemaless.values": "infer", "value.converter.schemas.enable": "false",
                 "value.converter": "org.apache.kafka.connect.json.JsonConverter"})
    until(lambda: rows(database, topic, "id, 1") == [(1, 1)], "the object is a row", 30)
    refused = kafka.connect.validate("JdbcSinkConnector", {
        "connector.class": SINK, "topics": topic, **database.settings(), "delete.enabled": "true", "insert.mode": "upsert"})
    assert "pk.mode=record_key" in refused["delete.enabled"][0] and "insert.mode=upsert" in refused["pk.mode"][0]


@pytest.mark.parametrize("kind", [MariaDb, Postgres])
def test_a_wrong_password_fails_at_once_and_is_nowhere_to_be_read(kafka, mariadb, postgres, kind, topic):
    librdkafka.create_topic(kafka, topic)
    database = (mariadb if kind is MariaDb else postgres).database("wrong_password")
    secret = "geheim-und-falsch"
    name = kafka.connect.create(f"wrong-{kind.kind}", {
        "connector.class": SINK, "topics": topic, **database.settings(), "connection.password": secret}, running=False)
    trace = kafka.connect.wait_for(name, "FAILED")
    assert "connection.user" in trace and "connection.password" in trace
    assert secret not in trace and secret not in kafka.log()
    kafka.connect.delete(name)


@pytest.mark.parametrize("kind", [MariaDb, Postgres])
def test_a_database_that_goes_away_and_comes_back_loses_nothing(kafka, new_database_server, kind, topic):
    librdkafka.create_topic(kafka, topic)
    server = new_database_server(kind)
    database = server.database("away")
    name = kafka.connect.create(f"away-{kind.kind}", {
        "connector.class": SINK, "topics": topic, **database.settings(), "auto.create": "true",
        "retry.backoff.ms": "300", "connection.backoff.ms": "300", "max.retries": "100"})
    librdkafka.produce(kafka, topic, [user(number, "a") for number in range(20)])
    fills(database, topic, [(number, "a") for number in range(20)])
    server.kill()
    librdkafka.produce(kafka, topic, [user(number, "b") for number in range(20, 40)])
    until(lambda: "trying" in kafka.log() or "will again" in kafka.log(), "the log tells", 20)
    assert kafka.connect.states(name) == ["RUNNING", "RUNNING"]
    server.start()
    librdkafka.produce(kafka, topic, [user(number, "b") for number in range(40, 50)])
    fills(database, topic, [(number, "a") for number in range(20)] + [(number, "b") for number in range(20, 50)])
    server.freeze()
    librdkafka.produce(kafka, topic, [user(50, "c")])
    server.thaw()
    fills(database, topic, [(number, "a") for number in range(20)] + [(number, "b") for number in range(20, 50)] + [(50, "c")])
    kafka.connect.delete(name)


@pytest.mark.parametrize("kind", [MariaDb, Postgres])
def test_tls_to_the_database(kafka, new_database_server, kind, topic, tmp_path):
    librdkafka.create_topic(kafka, topic)
    librdkafka.produce(kafka, topic, [user(1, "a")])
    database = new_database_server(kind, tls=Authority(tmp_path / "ca")).database("secured")
    authority = tmp_path / "ca" / "ca.crt"
    parameters = f"sslMode=VERIFY_CA&serverSslCert={authority}" if kind is MariaDb else f"sslmode=verify-full&sslrootcert={authority}"
    name = kafka.connect.create(f"tls-{kind.kind}", {
        "connector.class": SINK, "topics": topic, **database.settings(parameters), "auto.create": "true"})
    fills(database, topic, [(1, "a")])
    kafka.connect.delete(name)


def test_postgres_casts_to_the_type_of_the_column(kafka, sink, postgres, topic):
    database = postgres.database("casts")
    librdkafka.create_topic(kafka, topic)
    database.sql("CREATE TYPE mood AS ENUM ('good', 'bad')")
    database.sql("CREATE SCHEMA shop")
    database.sql("CREATE TABLE shop.things (id uuid PRIMARY KEY, doc jsonb, plain json, mood mood, tags text[], at timestamptz, net inet)")
    fields = schema("things", doc="string?", plain="string?", mood="string?", tags={"type": "array", "items": {"type": "string", "optional": False}},
                    at={"type": "int64", "name": LOGICAL + "Timestamp", "version": 1}, net="string?")
    keys = [str(uuid.UUID(int=number)) for number in range(20)]
    value = {"doc": '{"a": 1}', "plain": "[1]", "mood": "good", "tags": ["x", 'y"{}'], "at": 1_627_815_857_123, "net": "10.0.0.1"}
    # One record takes another way than many.
    librdkafka.produce(kafka, topic, [(envelope("string", keys[0]), envelope(fields, value))])
    sink({"pk.mode": "record_key", "pk.fields": "id", "insert.mode": "upsert", "delete.enabled": "true", "auto.create": "false",
          "table.name.format": "shop.things", "db.timezone": "Asia/Seoul"}, into=database)
    query = "SELECT id::text, doc->>'a', plain::text, mood::text, tags, extract(epoch from at)::float, host(net) FROM shop.things ORDER BY 1"
    row = ("1", "[1]", "good", ["x", 'y"{}'], 1627815857.123, "10.0.0.1")
    until(lambda: database.sql(query) == [(keys[0], *row)], lambda: f"one row: {database.sql(query)}", 30)
    librdkafka.produce(kafka, topic, [(envelope("string", key), envelope(fields, value)) for key in keys])
    until(lambda: database.sql(query) == [(key, *row) for key in keys], lambda: f"twenty rows: {database.sql(query)}", 30)
    librdkafka.produce(kafka, topic, [(envelope("string", key), None) for key in keys[1:]])
    until(lambda: database.sql(query) == [(keys[0], *row)], "deleted by uuid", 30)


#: Ways to write each record once although the worker is killed.
ONCE = {
    "upsert": {"pk.mode": "record_key", "pk.fields": "id", "insert.mode": "upsert"},
    "insert by coordinates": {"pk.mode": "kafka", "insert.mode": "insert"},
    "insert by key": {"pk.mode": "record_key", "pk.fields": "id", "insert.mode": "insert"},
    "insert without a key": {"pk.mode": "none", "offsets.table": "sink_offsets"},
}


@pytest.mark.slow
def test_each_record_is_written_once_although_the_worker_is_killed(kafka, database, topic, tmp_path):
    count, partitions = 4000, 3
    storage = {f"{kind}.storage.topic": f"{topic}-{kind}" for kind in ("config", "offset", "status")}
    worker = DistributedWorker(tmp_path / "worker", kafka.bootstrap,
                               {"group.id": topic, "offset.flush.interval.ms": 60000, **storage}).start()
    connect = Api(worker.port)
    topics = {}
    try:
        for number, (way, settings) in enumerate(ONCE.items()):
            topics[way] = librdkafka.create_topic(kafka, f"{topic}-{number}", partitions)
            # Small batches, so that a kill comes between their commits and that of the offsets.
            connect.create(f"{topic}-{number}", {
                "connector.class": SINK, "tasks.max": "2", "topics": topics[way], **database.settings(), "auto.create": "true",
                "consumer.override.max.poll.records": "50", "consumer.override.session.timeout.ms": "6000", **settings})

        def produce(name):
            for partition in range(partitions):
                librdkafka.produce(kafka, name, [(envelope("int32", number), user(number, "a")) for number in range(count) if number % partitions == partition],
                                   partition=partition)

        producers = [threading.Thread(target=produce, args=(name,)) for name in topics.values()]
        for producer in producers:
            producer.start()
        for goal in (200, 1200, 2500):
            until(lambda goal=goal: any(len(rows(database, name)) >= goal for name in topics.values()), f"{goal} rows", 60)
            worker.kill()
            worker.start()
        for producer in producers:
            producer.join()
        expected = [(number, "a") for number in range(count)]
        for way, name in topics.items():
            until(lambda name=name: len(rows(database, name)) >= count, lambda name=name: f"{way}: {len(rows(database, name))} rows", 60)
            assert rows(database, name) == expected, way
    finally:
        worker.kill()
