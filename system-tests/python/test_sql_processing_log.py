"""The processing log: what could not be processed, as records of a topic that can be queried."""

import json

import pytest
from harness.librdkafka import produce, read
from harness.sql import Sql
from harness.wait import until

EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}
TOPIC = "logged_ksql_processing_log"
SETTINGS = {f"ksql.logging.processing.{name}": "true" for name in ("topic.auto.create", "stream.auto.create", "rows.include")}


@pytest.fixture(scope="module")
def sql(kafka, tmp_path_factory):
    server = Sql(tmp_path_factory.mktemp("sql"), kafka.bootstrap, {"ksql.service.id": "logged_", **SETTINGS}).start()
    yield server
    server.stop()
    assert "panicked" not in server.log()


def entries(kafka, logger):
    """What a logger has told so far."""
    told = [json.loads(message.value()) for message in read(kafka, TOPIC, 0)]
    return [entry["message"] for entry in told if entry["logger"] == logger]


def the_entry(kafka, logger):
    until(lambda: entries(kafka, logger), f"{logger} has told something")
    return entries(kafka, logger)[0]


def test_rows_and_bytes_stand_beside_what_is_wrong_with_them(sql, kafka):
    sql.ksql("CREATE STREAM parts (id STRING KEY, n INT, spot STRUCT<x INT>) WITH (kafka_topic='parts', partitions=1, value_format='JSON');")
    [created] = sql.ksql("CREATE STREAM divided AS SELECT id, 10 / n AS q FROM parts;", EARLIEST)
    query = created["commandStatus"]["queryId"]
    sql.ksql("INSERT INTO parts (id, n, spot) VALUES ('a', 0, STRUCT(x := 7));")
    produce(kafka, "parts", [(b"b", b"no json")])
    message = the_entry(kafka, f"processing.{query}.Project")
    error = message["recordProcessingError"]
    assert (message["type"], message["deserializationError"]) == (1, None)
    assert "(10 / N)" in error["errorMessage"] and error["cause"]
    row = json.loads(error["record"])
    assert row[:2] == [0, {"X": 7}] and "a" in row
    message = the_entry(kafka, f"processing.{query}.KsqlTopic.Source.deserializer")
    error = message["deserializationError"]
    assert (message["type"], error["target"], error["topic"], error["recordB64"]) == (0, "value", "parts", "bm8ganNvbg==")


def test_queries_of_clients_are_logged_too(sql, kafka):
    sql.ksql("CREATE STREAM pieces (id STRING KEY, n INT) WITH (kafka_topic='pieces', partitions=1, value_format='JSON');"
             "INSERT INTO pieces (id, n) VALUES ('a', 0);")
    lines = sql.lines("SELECT 10 / n AS q FROM pieces EMIT CHANGES LIMIT 1;", EARLIEST)
    head = next(lines)
    assert list(lines) == [[None]]
    assert the_entry(kafka, f"processing.{head['queryId']}.Project")["recordProcessingError"]["record"].startswith("[0,")


def test_the_log_is_a_stream(sql):
    described = sql.ksql("DESCRIBE KSQL_PROCESSING_LOG;")[0]["sourceDescription"]
    assert [field["name"] for field in described["fields"]] == ["LOGGER", "LEVEL", "TIME", "MESSAGE"]
    until(lambda: sql.query("SELECT message->type FROM KSQL_PROCESSING_LOG;")[0], "entries are rows of the stream")
