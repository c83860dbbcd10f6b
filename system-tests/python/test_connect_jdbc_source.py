"""The JDBC source in a real worker, on MariaDB, PostgreSQL and SQLite: modes, types, tables that come, databases that go,
kill -9, large tables in little memory, TLS, and what is refused."""

import base64
import contextlib
import itertools
import json
import os
import threading
import time

import pytest
from confluent_kafka import Consumer, TopicPartition
from harness.certificates import Authority
from harness.connect import ConnectWorker
from harness.databases import MariaDb, Postgres, Sqlite
from harness.memory import peak_memory
from harness.server import Server
from harness.wait import until

SOURCE = "io.confluent.connect.jdbc.JdbcSourceConnector"
_names = itertools.count(1)


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {"milena.connect.listeners": ""}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture(scope="module")
def worker(kafka, tmp_path_factory):
    worker = ConnectWorker(tmp_path_factory.mktemp("worker"), kafka.bootstrap, {"offset.flush.interval.ms": 200}).start()
    yield worker
    log = worker.log()
    worker.kill()
    assert "panicked" not in log, worker.log_tail()
    assert "test1357" not in log, "the password of a database is in the log"


@pytest.fixture(params=["mariadb", "postgresql", "sqlite"])
def database(request, tmp_path):
    if request.param == "sqlite":
        return Sqlite(tmp_path / "x.db")
    server = request.getfixturevalue("mariadb" if request.param == "mariadb" else "postgres")
    return server.database(f"db{next(_names)}")


def messages(kafka, topic):
    """What is in a topic now, though more may be coming; nothing while there is no topic."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "none", "enable.auto.commit": False})
    try:
        if consumer.list_topics(timeout=30).topics.get(topic) is None:
            return []
        _low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = []
        until(lambda: found.extend(consumer.consume(1000, 0.2)) or len(found) >= high, f"{high} records of {topic}")
        assert not [message.error() for message in found if message.error()]
        return found[:high]
    finally:
        consumer.close()


class Source:
    """A connector of a test: its name, its topics, its records."""

    def __init__(self, worker, kafka, database, settings, parameters=""):
        self.worker, self.kafka = worker, kafka
        self.name = f"source-{next(_names)}"
        self.prefix = f"{self.name}-"
        self.settings = {
            "connector.class": SOURCE, "tasks.max": "1", "topic.prefix": self.prefix, "poll.interval.ms": "100",
            **database.settings(parameters), **settings}
        worker.put_connector(self.name, self.settings)

    def records(self, table, count, timeout=60):
        """Values of the first records of a table's topic, schema and payload."""
        def enough():
            state, trace = self.worker.task(self.name)
            assert state != "FAILED", trace
            found = self.messages(table)
            return found if len(found) >= count else None
        return [json.loads(message.value()) for message in until(enough, lambda: f"{count} records of {table}:\n{self.worker.log_tail()}", timeout, poll=0.2)]

    def messages(self, table):
        return messages(self.kafka, self.prefix + table)

    def payloads(self, table, count, **options):
        return [record["payload"] for record in self.records(table, count, **options)]

    def delete(self):
        self.worker.send("DELETE", f"/connectors/{self.name}")


@pytest.fixture
def start(worker, kafka):
    made = []

    def make(database, parameters="", **settings):
        source = Source(worker, kafka, database, {key.replace("_", "."): value for key, value in settings.items()}, parameters)
        made.append(source)
        return source
    yield make
    for source in made:
        source.delete()


USERS = {
    "mariadb": "create table users(id int auto_increment primary key, name varchar(20), pwd varchar(20), created_at datetime default NOW())",
    "postgresql": "create table users(id serial primary key, name varchar(20), pwd varchar(20), created_at timestamp default (NOW() at time zone 'utc'))",
    "sqlite": "create table users(id integer primary key autoincrement, name varchar(20), pwd varchar(20), created_at datetime default CURRENT_TIMESTAMP)",
}


def test_the_record_of_the_tutorial(database, start):
    database.sql(USERS[database.kind])
    database.sql("insert into users(name, pwd, created_at) values('test', 'test1234', '2021-08-01 11:04:17')")
    source = start(database, mode="incrementing", incrementing_column_name="id", table_whitelist="users")
    number = "int64" if database.kind == "sqlite" else "int32"
    schema = ('{"type":"struct","fields":[{"type":"%s","optional":false,"field":"id"},{"type":"string","optional":true,"field":"name"},'
              '{"type":"string","optional":true,"field":"pwd"},{"type":"int64","optional":true,"name":'
              '"org.apache.kafka.connect.data.Timestamp","version":1,"field":"created_at"}],"optional":false,"name":"users"}' % number)
    payload = '{"id":1,"name":"test","pwd":"test1234","created_at":1627815857000}'
    source.records("users", 1)
    message, = source.messages("users")
    assert message.value().decode() == f'{{"schema":{schema},"payload":{payload}}}'
    assert message.key() is None or json.loads(message.key()) is None or json.loads(message.key())["payload"] is None


def test_incrementing_reads_each_row_once(database, start):
    database.sql(USERS[database.kind])
    source = start(database, mode="incrementing", table_whitelist="users", batch_max_rows="7")
    for number in range(1, 51):
        database.sql("insert into users(name) values(%s)", f"n{number}")
    found = source.payloads("users", 50)
    assert [row["id"] for row in found] == list(range(1, 51))
    assert found[49]["name"] == "n50"
    offsets = until(lambda: source.worker.get(f"/connectors/{source.name}/offsets").json()["offsets"], "offsets")
    table = {"mariadb": f"{getattr(database, 'name', '')}.users", "postgresql": "public.users", "sqlite": "users"}[database.kind]
    until(lambda: source.worker.get(f"/connectors/{source.name}/offsets").json()["offsets"] ==
          [{"partition": {"protocol": "1", "table": table}, "offset": {"incrementing": 50}}], lambda: f"{offsets}")


CHANGES = {
    "mariadb": "create table t(id int primary key, changed timestamp(3) not null default current_timestamp(3) on update current_timestamp(3), v int)",
    "postgresql": "create table t(id int primary key, changed timestamptz not null default now(), v int)",
    "sqlite": "create table t(id int not null primary key, changed timestamp not null default (strftime('%Y-%m-%d %H:%M:%f','now')), v int)",
}


def change(database, key, value):
    now = {"mariadb": "current_timestamp(3)", "postgresql": "clock_timestamp()", "sqlite": "strftime('%Y-%m-%d %H:%M:%f','now')"}
    database.sql(f"update t set v = {value}, changed = {now[database.kind]} where id = {key}")


@pytest.mark.parametrize("mode", ["timestamp", "timestamp+incrementing"])
def test_changes_are_read(database, start, mode):
    database.sql(CHANGES[database.kind])
    more = {"incrementing_column_name": "id"} if mode != "timestamp" else {}
    source = start(database, mode=mode, timestamp_column_name="changed", table_whitelist="t", **more)
    for key in (1, 2, 3):
        database.sql(f"insert into t(id, v) values({key}, 0)")
    source.payloads("t", 3)
    change(database, 2, 5)
    assert [(row["id"], row["v"]) for row in source.payloads("t", 4)][-1] == (2, 5)
    change(database, 1, 6)
    found = [(row["id"], row["v"]) for row in source.payloads("t", 5)]
    assert found[-1] == (1, 6)
    assert len(found) == 5


def test_bulk_reads_the_table_again_and_again(database, start):
    database.sql(USERS[database.kind])
    database.sql("insert into users(name) values('a'), ('b')")
    source = start(database, mode="bulk", table_whitelist="users")
    assert [row["name"] for row in source.payloads("users", 6)][:6] == ["a", "b"] * 3


def test_a_query_goes_to_the_prefix(database, start):
    database.sql(USERS[database.kind])
    database.sql("insert into users(name) values('a'), ('b'), ('c')")
    source = start(database, mode="incrementing", incrementing_column_name="id",
                   query="select * from (select id, upper(name) as loud from users where name <> 'b') q", key_columns="id")
    records = source.records("", 2)
    assert [record["payload"]["loud"] for record in records] == ["A", "C"]
    assert "name" not in records[0]["schema"]
    keys = [json.loads(message.key())["payload"] for message in source.messages("")]
    assert keys == [1, 3]


def test_a_table_that_appears_later_is_read(database, start):
    database.sql(USERS[database.kind])
    source = start(database, mode="incrementing", table_poll_interval_ms="300")
    database.sql("insert into users(name) values('a')")
    source.payloads("users", 1)
    database.sql(USERS[database.kind].replace("users", "later"))
    database.sql("insert into later(name) values('b')")
    assert source.payloads("later", 1)[0]["name"] == "b"
    database.sql("insert into users(name) values('c')")
    assert [row["name"] for row in source.payloads("users", 2)] == ["a", "c"]


def test_column_types_of_mariadb(mariadb, start):
    database = mariadb.database(f"db{next(_names)}")
    database.sql("""create table types(id bigint unsigned primary key, flag tinyint(1), t tinyint, ut tinyint unsigned, s smallint,
        us smallint unsigned, m mediumint, i int, ui int unsigned, f float, d double, de decimal(12,3), c char(5), v varchar(20) not null,
        tx longtext, j json, e enum('a','b'), st set('x','y'), bt bit(1), bin varbinary(3), bl blob, dt date, ti time(3),
        da datetime(6), ts timestamp null, y year, zero datetime) """)
    database.sql("""insert ignore into types values (5, 1, -5, 200, -3, 65000, 8000000, -7, 4000000000, 1.5, 2.5, 12.345, 'ab', 'vv', 't',
        '{"a":1}', 'a', 'x,y', 1, 'abc', x'00ff', '2021-01-02', '10:11:12.5', '2021-01-02 03:04:05.123456', '2021-01-02 03:04:05', 2021,
        '0000-00-00 00:00:00')""")
    database.sql("insert into types(id, v) values (6, 'nulls')")
    source = start(database, mode="incrementing", incrementing_column_name="id")
    first, second = source.records("types", 2)
    assert first["payload"] == {
        "id": 5, "flag": 1, "t": -5, "ut": 200, "s": -3, "us": 65000, "m": 8000000, "i": -7, "ui": 4000000000, "f": 1.5, "d": 2.5,
        "de": base64.b64encode((12345).to_bytes(2, "big")).decode(), "c": "ab", "v": "vv", "tx": "t", "j": '{"a":1}', "e": "a",
        "st": "x,y", "bt": 1, "bin": base64.b64encode(b"abc").decode(), "bl": "AP8=", "dt": 18629, "ti": 36672500,
        "da": 1609556645123, "ts": 1609556645000, "y": 18628, "zero": None}
    assert {key for key, value in second["payload"].items() if value is not None} == {"id", "v", "ts"} - ({"ts"} if second["payload"]["ts"] is None else set())
    types = {field["field"]: (field["type"], field.get("name", "").rsplit(".")[-1]) for field in first["schema"]["fields"]}
    assert types == {
        "id": ("int64", ""), "flag": ("int8", ""), "t": ("int8", ""), "ut": ("int16", ""), "s": ("int16", ""), "us": ("int32", ""),
        "m": ("int32", ""), "i": ("int32", ""), "ui": ("int64", ""), "f": ("float", ""), "d": ("double", ""), "de": ("bytes", "Decimal"),
        "c": ("string", ""), "v": ("string", ""), "tx": ("string", ""), "j": ("string", ""), "e": ("string", ""), "st": ("string", ""),
        "bt": ("int8", ""), "bin": ("bytes", ""), "bl": ("bytes", ""), "dt": ("int32", "Date"), "ti": ("int32", "Time"),
        "da": ("int64", "Timestamp"), "ts": ("int64", "Timestamp"), "y": ("int32", "Date"), "zero": ("int64", "Timestamp")}
    decimal = next(field for field in first["schema"]["fields"] if field["field"] == "de")
    assert decimal["parameters"] == {"scale": "3", "connect.decimal.precision": "12"}


def test_column_types_of_postgresql(postgres, start):
    database = postgres.database(f"db{next(_names)}")
    database.sql("create type mood as enum ('sad', 'ok')")
    database.sql("""create table types(id serial primary key, b bool, s smallint, i int, bi bigint, f real, d float8, n numeric(12,3), big numeric(4,0),
        c char(5), v varchar(20) not null, tx text, j json, jb jsonb, u uuid, x xml, bt bit(1), b8 bit(8), b9 bit(9), by bytea,
        dt date, ti time, ts timestamp, tsz timestamptz, m mood, ia int[], ta text[], ip inet, inf timestamp)""")
    database.sql("""insert into types values (default, true, -3, -7, 9, 1.5, 2.5, 12.345, 99, 'ab', 'vv', 't', '{"a":1}', '{"a": 1}',
        'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '<a/>', B'1', B'00000011', B'100000001', '\\x00ff', '2021-01-02', '10:11:12.5',
        '2021-01-02 03:04:05.123456', '2021-01-02 03:04:05+09', 'ok', '{1,2,NULL}', '{a,"b c"}', '1.2.3.4', 'infinity')""")
    database.sql("insert into types(v) values ('nulls')")
    source = start(database, mode="incrementing", numeric_mapping="best_fit", sql_complex_types_enable="true")
    first, second = source.records("types", 2)
    assert first["payload"] == {
        "id": 1, "b": True, "s": -3, "i": -7, "bi": 9, "f": 1.5, "d": 2.5, "n": 12.345, "big": 99, "c": "ab   ", "v": "vv", "tx": "t",
        "j": '{"a":1}', "jb": '{"a": 1}', "u": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "x": "<a/>", "bt": True, "b8": 3, "b9": "gIA=",
        "by": "AP8=", "dt": 18629, "ti": 36672500, "ts": 1609556645123, "tsz": 1609524245000, "m": "ok", "ia": [1, 2, None],
        "ta": ["a", "b c"], "inf": 9223372036825200000}
    assert {key for key, value in second["payload"].items() if value is not None} == {"id", "v"}
    types = {field["field"]: field["type"] for field in first["schema"]["fields"]}
    assert types["n"] == "double" and types["big"] == "int16" and types["b8"] == "int8" and "ip" not in types


def test_the_time_zone_of_the_database(mariadb, start):
    database = mariadb.database(f"db{next(_names)}")
    database.sql("create table t(id int primary key, at datetime(6) not null)")
    database.sql("insert into t values (1, '2021-08-01 20:04:17.000001'), (2, '2021-08-01 20:04:17.000002')")
    settings = {"mode": "timestamp", "timestamp_column_name": "at", "db_timezone": "Asia/Seoul"}
    source = start(database, timestamp_granularity="micros_long", **settings)
    assert [row["at"] for row in source.payloads("t", 2)] == [1627815857000001, 1627815857000002]
    source = start(database, timestamp_granularity="nanos_iso_datetime_string", timestamp_initial="1627815857000", **settings)
    assert source.payloads("t", 2)[1]["at"] == "2021-08-01T20:04:17.000002000"


def test_numbers_of_64_bits_without_a_sign_fail_clearly(mariadb, start, worker):
    database = mariadb.database(f"db{next(_names)}")
    database.sql("create table t(id int auto_increment primary key, n bigint unsigned)")
    database.sql("insert into t(n) values (18446744073709551615)")
    source = start(database, mode="incrementing")
    trace = worker.wait_for_task(source.name, "FAILED")
    assert "Column n: 18446744073709551615 is out of the range" in trace


def test_what_is_wrong_is_told_before_it_starts(mariadb, worker):
    database = mariadb.database(f"db{next(_names)}")
    base = {"name": "wrong", "connector.class": SOURCE, "topic.prefix": "x", "mode": "bulk", **database.settings()}

    def errors(**changes):
        config = {**base, **{key.replace("_", "."): value for key, value in changes.items()}}
        answer = worker.send("PUT", f"/connector-plugins/{SOURCE}/config/validate", config)
        assert answer.status_code == 200, answer.text
        return {item["value"]["name"]: item["value"]["errors"] for item in answer.json()["configs"] if item["value"]["errors"]}

    assert errors() == {}
    assert set(errors(mode="fast")) == {"mode"}
    assert set(errors(query="select 1", table_whitelist="a")) == {"query", "table.whitelist"}
    assert set(errors(mode="timestamp")) == {"timestamp.column.name"}
    assert "Access denied" in errors(connection_password="geheim")["connection.url"][0]
    assert "geheim" not in str(errors(connection_password="geheim")["connection.url"])
    assert "oracle" in errors(connection_url="jdbc:oracle:thin:@h:1/x")["connection.url"][0]
    assert "Connection refused" in errors(connection_url="jdbc:mysql://127.0.0.1:1/x")["connection.url"][0]
    refused = worker.send("POST", "/connectors", {"name": "wrong", "config": {**base, "connection.password": "geheim"}})
    assert refused.status_code == 400 and "Access denied" in refused.json()["message"]


def test_columns_that_may_be_null_are_refused(postgres, start, worker):
    database = postgres.database(f"db{next(_names)}")
    database.sql("create table t(id int primary key, at timestamp)")
    source = start(database, mode="timestamp", timestamp_column_name="at")
    assert "may be null" in worker.wait_for_task(source.name, "FAILED")


def test_tls_to_the_databases(tmp_path, start):
    authority = Authority(tmp_path / "ca")
    other = Authority(tmp_path / "other", "Other")
    for server, verified, encrypted in (
            (MariaDb(tls=authority), "sslMode=VERIFY_IDENTITY&serverSslCert={}", "sslMode=REQUIRED"),
            (Postgres(tls=authority), "sslmode=verify-full&sslrootcert={}", "sslmode=require")):
        try:
            server.start()
            database = server.database("tls")
            database.sql(USERS[database.kind])
            database.sql("insert into users(name) values('secret')")
            for parameters in (verified.format(authority.certificate), encrypted):
                source = start(database, parameters, mode="bulk", table_whitelist="users")
                assert source.payloads("users", 1)[0]["name"] == "secret"
            refused = {"connector.class": SOURCE, "topic.prefix": "x", "mode": "bulk", "name": "x",
                       **database.settings(verified.format(other.certificate))}
            answer = source.worker.send("PUT", f"/connector-plugins/{SOURCE}/config/validate", refused)
            assert answer.json()["error_count"] == 1, answer.text
        finally:
            server.remove()


class Writer(threading.Thread):
    """Inserts rows, whatever happens to the database."""

    def __init__(self, database, seconds):
        super().__init__(daemon=True)
        self.database, self.until, self.written, self.failures = database, time.monotonic() + seconds, 0, 0

    def run(self):
        while time.monotonic() < self.until:
            with contextlib.suppress(Exception):
                with contextlib.closing(self.database.server.connect(self.database.name)) as connection, connection.cursor() as cursor:
                    while time.monotonic() < self.until:
                        cursor.execute("insert into users(name) values('x')")
                        self.written += 1
                        time.sleep(0.002)
            self.failures += 1
            time.sleep(0.05)


@pytest.mark.parametrize("kind", [MariaDb, Postgres])
def test_a_database_that_goes_away_under_load_loses_nothing(kind, start, worker):
    server = kind().start()
    try:
        database = server.database("busy")
        database.sql(USERS[database.kind])
        source = start(database, mode="incrementing", table_whitelist="users", poll_interval_ms="20", connection_backoff_ms="1000")
        writer = Writer(database, 12)
        writer.start()
        source.payloads("users", 50)
        server.kill()
        time.sleep(2)
        server.start()
        until(lambda: writer.written > 500, "rows")
        server.stop()
        server.start()
        writer.join()
        present = database.sql("select id from users order by id")
        found = source.payloads("users", len(present))
        assert [(row["id"],) for row in found] == present
        assert worker.task(source.name)[0] == "RUNNING"
    finally:
        server.remove()


def test_kill_9_of_the_worker_loses_nothing(kafka, mariadb, tmp_path):
    database = mariadb.database(f"db{next(_names)}")
    database.sql(USERS["mariadb"])
    worker = ConnectWorker(tmp_path, kafka.bootstrap, {"offset.flush.interval.ms": 100})
    worker.connectors = [tmp_path / "source.properties"]
    name = f"killed-{next(_names)}"
    settings = {"name": name, "connector.class": SOURCE, "tasks.max": 1, "topic.prefix": f"{name}-", "poll.interval.ms": 20,
                "mode": "incrementing", "table.whitelist": "users", **database.settings()}
    worker.connectors[0].write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    writer = Writer(database, 12)
    writer.start()
    for _ in range(4):
        worker.start()
        before = writer.written
        until(lambda: writer.written > before + 200 or not writer.is_alive(), "rows")
        worker.kill()
    writer.join()
    present = [row[0] for row in database.sql("select id from users order by id")]
    worker.start()
    try:
        def all_there():
            found = {json.loads(message.value())["payload"]["id"] for message in messages(kafka, f"{name}-users")}
            return found >= set(present)
        until(all_there, lambda: f"{len(present)} rows:\n{worker.log_tail()}", 60, poll=0.5)
    finally:
        worker.kill()


def high_watermark(kafka, topic):
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "none"})
    try:
        if consumer.list_topics(timeout=30).topics.get(topic) is None:
            return 0
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1]
    finally:
        consumer.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
def test_a_large_table_needs_little_memory(kind, request, kafka, tmp_path):
    rows = int(os.environ.get("JDBC_ROWS", "300000"))
    server = request.getfixturevalue("mariadb" if kind == "mariadb" else "postgres")
    database = server.database(f"db{next(_names)}")
    numbers = {"mariadb": f"seq_1_to_{rows}", "postgresql": f"generate_series(1, {rows}) seq"}[kind]
    database.sql("create table big(id int primary key, name varchar(40), note varchar(200))")
    database.sql(f"insert into big select seq, concat('name ', seq), repeat('x', 150) from {numbers}")
    # The offsets of a minute must not pile up either.
    worker = ConnectWorker(tmp_path, kafka.bootstrap, {"offset.flush.interval.ms": 60000}).start()
    try:
        idle = peak_memory(worker.process)
        source = Source(worker, kafka, database, {"mode": "incrementing", "incrementing.column.name": "id", "table.whitelist": "big"})
        started = time.monotonic()
        until(lambda: high_watermark(kafka, f"{source.prefix}big") >= rows,
              lambda: f"all rows: {worker.status(source.name)}\n{worker.log_tail()}", 170, poll=0.2)
        peak = peak_memory(worker.process)
        print(f"{rows} rows in {time.monotonic() - started:.1f} s, {idle >> 20} MB before, {peak >> 20} MB at most")
        # What the producer may keep (buffer.memory) decides, and not the table.
        assert peak - idle < 140 << 20
    finally:
        worker.kill()
