"""Queries over WebSockets."""

import json
from urllib.parse import quote

import pytest
import requests
import websocket
from harness.librdkafka import create_topic, produce
from harness.server import Server
from harness.sql import Sql
from harness.wait import until

EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture(scope="module")
def sql(kafka, tmp_path_factory):
    sql = Sql(tmp_path_factory.mktemp("sql"), kafka.bootstrap, {"ksql.service.id": "websocket_"}).start()
    create_topic(kafka, "told", 1)
    produce(kafka, "told", [(b"a", b'{"n": 1}'), (b"b", b'{"n": 2}')])
    sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='told', value_format='JSON');")
    sql.ksql("CREATE TABLE t AS SELECT id, COUNT(*) AS total FROM s GROUP BY id;", EARLIEST)
    until(lambda: len(sql.query("SELECT * FROM t;")[0]) == 2, "the table is there")
    yield sql
    sql.stop()
    assert "panicked" not in sql.log()


def opened(sql, text, properties=None, **parameters):
    request = json.dumps({"ksql": text, "streamsProperties": properties or {}})
    more = "".join(f"&{name}={value}" for name, value in parameters.items())
    return websocket.create_connection(f"ws://127.0.0.1:{sql.port}/ws/query?request={quote(request)}{more}", timeout=20)


def conversation(connection):
    """All messages, and code and reason of the close."""
    messages = []
    while True:
        code, data = connection.recv_data(control_frame=True)
        if code == websocket.ABNF.OPCODE_CLOSE:
            return messages, (int.from_bytes(data[:2], "big"), data[2:].decode())
        if code == websocket.ABNF.OPCODE_TEXT:
            messages.append(json.loads(data))


def test_rows_are_messages_and_the_end_is_a_close(sql):
    messages, end = conversation(opened(sql, "SELECT id, total FROM t WHERE id = 'a';", access_token="x"))
    assert [column["name"] for column in messages[0]] == ["ID", "TOTAL"]
    assert messages[0][1]["schema"]["type"] == "BIGINT"
    assert messages[1:] == [{"row": {"columns": ["a", 1]}}, {"error": "done"}]
    assert end == (1000, "done")


def test_push_queries_end_with_their_limit_or_with_the_client(sql):
    messages, end = conversation(opened(sql, "SELECT * FROM s EMIT CHANGES LIMIT 2;", EARLIEST))
    assert messages[1:] == [{"row": {"columns": ["a", 1]}}, {"row": {"columns": ["b", 2]}},
                            {"error": "done"}]
    assert end == (1000, "done")
    connection = opened(sql, "SELECT * FROM s EMIT CHANGES;", EARLIEST)
    assert len(json.loads(connection.recv())) == 2
    connection.ping("there?")
    assert json.loads(connection.recv()) == {"row": {"columns": ["a", 1]}}

    def pushing():
        return [query for query in sql.ksql("SHOW QUERIES;")[0]["queries"] if query["queryType"] == "PUSH"]

    assert len(pushing()) == 1
    connection.close()
    until(lambda: not pushing(), "the query has ended with its client")


def test_what_is_wrong_is_the_reason_of_the_close(sql):
    messages, (code, reason) = conversation(opened(sql, "SELECT * FROM nothing EMIT CHANGES;"))
    assert (len(messages), code) == (1, 1003)
    assert messages[0]["error"].startswith(reason.removesuffix("..."))
    assert "NOTHING" in reason and "does not exist" in reason
    assert conversation(opened(sql, "SELEC;"))[1][1].startswith("Error parsing query: ")
    connection = websocket.create_connection(f"ws://127.0.0.1:{sql.port}/ws/query", timeout=20)
    assert conversation(connection)[1][0] == 1003
    assert requests.get(f"{sql.url}/ws/query", timeout=10).status_code == 400


def test_what_a_client_says_does_not_disturb_the_printing(sql):
    connection = opened(sql, "PRINT told FROM BEGINNING LIMIT 2;")
    for _ in range(50):
        connection.ping("x")
    messages, end = conversation(connection)
    assert len(messages) == 3 and end == (1000, "done"), messages


def test_printed_records_are_messages(sql):
    messages, end = conversation(opened(sql, "PRINT told FROM BEGINNING LIMIT 2;"))
    assert messages[2:] == [{"error": "done"}] and end == (1000, "done")
    assert all("rowtime: " in line and ", partition: 0" in line for line in messages[:2]), messages
    assert 'key: a, value: {"n": 1}' in messages[0]
    messages, (code, reason) = conversation(opened(sql, "PRINT nowhere;"))
    assert code == 1003 and reason.startswith("Topic does not exist")
