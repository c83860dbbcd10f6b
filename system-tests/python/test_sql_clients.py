"""Clients of ksqlDB from the registries against the SQL server: for Python ksql (as ksql-python-ng) and ksqldb, for Node
ksqldb-client. The Java client is in no public registry."""

import os

import pytest
from harness import paths
from harness.librdkafka import create_topic
from harness.scripts import run
from harness.server import Server
from harness.sql import Sql


@pytest.fixture(scope="module")
def sql(tmp_path_factory):
    kafka = Server(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    # Clients whose statements name no partitions expect their topics to be there.
    create_topic(kafka, "python_ng_topic", 2)
    sql = Sql(tmp_path_factory.mktemp("sql"), kafka.bootstrap).start()
    yield sql
    sql.stop()
    assert "panicked" not in sql.log()
    assert kafka.stop() == 0, kafka.log_tail()


def test_clients_for_python(sql):
    done = run([paths.SQL_PYTHON, paths.CLIENTS / "sql_python.py", sql.url, "python"])
    assert done.stdout.split() == ["ksql_python", "ksqldb"]


def node(script, *arguments):
    command = ["node", paths.CLIENTS / script, *map(str, arguments)]
    return run(command, env={**os.environ, "NODE_PATH": str(paths.NODE_MODULES)}).stdout.strip()


def test_client_for_node(sql):
    assert node("sql_node.js", sql.port, "T") == "ok"


def test_acknowledgements_come_while_lines_are_still_sent_over_http2(sql):
    sql.ksql("CREATE STREAM step (id STRING KEY, n INT) WITH (kafka_topic='step', partitions=1, value_format='JSON');")
    assert node("sql_inserts_http2.js", sql.url, "step", 20) == "ok"
    assert [n for [n] in sql.query("SELECT n FROM step;")[0]] == list(range(20))
