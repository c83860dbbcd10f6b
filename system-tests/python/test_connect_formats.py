"""Converters of the schema registry in a real worker against a real registry: rows of a table become records in Avro, JSON
Schema or Protobuf, and rows of another table again."""

import itertools
import struct

import pytest
import requests
from harness.connect import ServerWithConnect
from harness.databases import Sqlite
from harness.librdkafka import read
from harness.server import free_port
from harness.wait import until

CLASSES = {"AVRO": "io.confluent.connect.avro.AvroConverter", "JSON": "io.confluent.connect.json.JsonSchemaConverter",
           "PROTOBUF": "io.confluent.connect.protobuf.ProtobufConverter"}
#: What lets a null stay one, and a column come later.
MORE = {"AVRO": {}, "JSON": {".object.additional.properties": "false"}, "PROTOBUF": {".optional.for.nullables": "true"}}
_names = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    registry = f"http://127.0.0.1:{free_port()}"
    server = ServerWithConnect(tmp_path_factory.mktemp("server"), {"milena.schema.registry.listeners": registry}).start()
    server.registry = registry
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


def converter(which, url, **more):
    settings = {"": CLASSES[which], ".schema.registry.url": url, **MORE[which], **more}
    return {f"value.converter{key}": value for key, value in settings.items()}


def subject(server, name):
    return requests.get(f"{server.registry}/subjects/{name}/versions/latest", timeout=10)


@pytest.mark.parametrize("which", CLASSES)
def test_rows_go_through_a_topic_of_the_format_into_another_table(server, which, tmp_path):
    database = Sqlite(tmp_path / "x.db")
    table, prefix = f"t{next(_names)}", f"{which.lower()}-"
    topic = prefix + table
    database.sql(f"create table {table}(id integer primary key autoincrement, name text, price real, picture blob, note text)")
    rows = [(1, "größer", 1.5, b"\x00\xff", None), (2, "zwei", -2.25, b"", "x"), (3, "", 0.0, None, "€")]
    for row in rows:
        database.sql(f"insert into {table} values (%s, %s, %s, %s, %s)", *row)
    with_registry = converter(which, server.registry)
    server.connect.create(f"from-{table}", {
        "connector.class": "JdbcSource", **database.settings(), "mode": "incrementing", "table.whitelist": table,
        "topic.prefix": prefix, "poll.interval.ms": "100", **with_registry})
    until(lambda: subject(server, f"{topic}-value").status_code == 200, lambda: str(server.connect.status(f"from-{table}")))
    registered = subject(server, f"{topic}-value").json()
    assert registered.get("schemaType", "AVRO") == which
    until(lambda: len(read(server, topic)) == len(rows), "all records")
    assert {struct.unpack(">bI", message.value()[:5]) for message in read(server, topic)} == {(0, registered["id"])}
    server.connect.create(f"into-{table}", {
        "connector.class": "JdbcSink", **database.settings(), "topics": topic, "table.name.format": f"{table}_copy",
        "auto.create": "true", "auto.evolve": "true", "insert.mode": "upsert", "pk.mode": "record_value", "pk.fields": "id",
        **with_registry})

    def copied():
        return f"{table}_copy" in database.tables() and database.sql(
            f"select id, name, price, picture, note from {table}_copy order by id")

    until(lambda: copied() == rows, lambda: f"{copied()}\n{server.connect.status(f'into-{table}')}")
    # A column more is a version more, and a column more in the other table.
    database.sql(f"alter table {table} add column age integer")
    database.sql(f"insert into {table}(name, age) values ('vier', 4)")
    until(lambda: subject(server, f"{topic}-value").json()["version"] == 2, lambda: str(server.connect.status(f"from-{table}")))
    until(lambda: database.sql(f"select id, name, age from {table}_copy where age is not null") == [(4, "vier", 4)]
          if len(copied()) == 4 else None, lambda: str(server.connect.status(f"into-{table}")))
    for name in [f"from-{table}", f"into-{table}"]:
        server.connect.delete(name)


def test_a_registry_that_does_not_know_the_schema_and_must_not_learn_it_fails_the_task_by_name(server, tmp_path):
    database = Sqlite(tmp_path / "x.db")
    database.sql("create table strict(id integer primary key autoincrement)")
    database.sql("insert into strict values (1)")
    server.connect.create("strict", {
        "connector.class": "JdbcSource", **database.settings(), "mode": "incrementing", "table.whitelist": "strict",
        "topic.prefix": "s-", **converter("AVRO", server.registry, **{".auto.register.schemas": "false"})}, running=False)
    trace = server.connect.wait_for("strict", "FAILED")
    assert "s-strict-value" in trace and "VALUE_CONVERTER" in trace, trace
    server.connect.delete("strict")
