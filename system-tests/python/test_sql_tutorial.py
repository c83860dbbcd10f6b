"""The tutorial of streaming SQL, verbatim: people as JSON in a topic, a stream over it, counts by title, and a table of them."""

import json
import subprocess

import pytest
from harness import paths
from harness.librdkafka import create_topic
from harness.scripts import run
from harness.server import Server
from harness.sql import Sql
from harness.terminal import Terminal
from kafka import KafkaProducer

PEOPLE = [("1", "Ada Lovelace", "Engineer"), ("2", "Grace Hopper", "Admiral"), ("3", "Alan Turing", "Engineer"),
          ("4", "Edsger Dijkstra", "Professor"), ("5", "Barbara Liskov", "Professor"), ("6", "Ken Thompson", "Engineer")]
COUNTS = {"Engineer": 3, "Admiral": 1, "Professor": 2}

STREAM = ("CREATE STREAM my_stream (id STRING, name STRING, title STRING) "
          "with (kafka_topic='fake_people', value_format='JSON');")
EVERYTHING = "SELECT * FROM my_stream;"
PUSH = "SELECT title, COUNT(*) FROM my_stream GROUP BY title EMIT CHANGES;"
TABLE = "CREATE TABLE titles AS SELECT title, COUNT(*) AS people FROM my_stream GROUP BY title;"
PULL = "SELECT * FROM titles WHERE title = 'Engineer';"
EARLIEST = "SET 'auto.offset.reset'='earliest';"
PROPERTIES = {"ksql.streams.auto.offset.reset": "earliest"}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    create_topic(server, "fake_people", 1)
    producer = KafkaProducer(bootstrap_servers=server.bootstrap, value_serializer=lambda value: json.dumps(value).encode())
    for number, name, title in PEOPLE:
        producer.send("fake_people", {"id": number, "name": name, "title": title})
    producer.flush()
    producer.close()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def sql(kafka, tmp_path, request):
    server = Sql(tmp_path / "sql", kafka.bootstrap, {"ksql.service.id": f"{request.node.name}_"}).start()
    yield server
    # The next test writes into a topic of the same name: what is read there has to be its own.
    server.ksql("DROP TABLE IF EXISTS titles DELETE TOPIC;")
    server.stop()
    assert "panicked" not in server.log()


def until_counted(sql):
    """Waits until the table has counted everybody."""
    lines = sql.lines("SELECT title, people FROM titles EMIT CHANGES;", PROPERTIES)
    next(lines)
    counts = {}
    for title, people in lines:
        counts[title] = people
        if counts == COUNTS:
            return


def cells(text):
    """The rows of a grid, with blanks at the ends of cells taken away."""
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines() if line.startswith("|")]


def test_a_person_follows_the_tutorial(sql, tmp_path):
    shell = Terminal([paths.MILENA, "ksql", sql.url], env={"HOME": str(tmp_path)})
    try:
        shell.expect("ksql> ")
        shell.line(STREAM)
        shell.expect(r" Message +\n-+\n Stream created +\n-+\nksql> ")
        shell.line(EVERYTHING)
        shown = shell.expect(r"\+-+.*Query Completed\nQuery terminated\n(Hint: .*)ksql> ")
        assert cells(shown[0]) == [("ID", "NAME", "TITLE"), *PEOPLE]
        assert "auto.offset.reset" in shown[1] and "SET 'auto.offset.reset'='earliest';" in shown[1]
        shell.line(PUSH)
        shell.expect(r"\|TITLE +\|KSQL_COL_0 +\|.*Hint: .*SET 'auto.offset.reset'='earliest';")
        shell.interrupt()
        shell.expect("Query terminated\nksql> ")
        shell.line(EARLIEST)
        shell.expect("Successfully changed local property 'auto.offset.reset' to 'earliest'.*ksql> ")
        shell.line(PUSH)
        shell.expect(r"\|Engineer +\|1 +\|\n\|Admiral +\|1 +\|\n\|Engineer +\|2 +\|\n\|Professor +\|1 +\|\n"
                     r"\|Professor +\|2 +\|\n\|Engineer +\|3 +\|\n")
        shell.interrupt()
        shell.expect("Query terminated\nksql> ")
        shell.line(TABLE)
        shell.expect(r" Created query with ID CTAS_TITLES_\d+ .*ksql> ")
        until_counted(sql)
        shell.line("DESCRIBE titles;")
        shell.expect(r" TITLE +\| VARCHAR\(STRING\)  \(primary key\) +\n PEOPLE +\| BIGINT +\n")
        shell.end()
        assert shell.wait() == 0
    finally:
        shell.close()


def test_the_tutorial_runs_from_the_command_line_and_from_a_file(sql, tmp_path):
    def ksql(*arguments):
        return run([paths.MILENA, "ksql", *arguments, sql.url]).stdout

    assert " Stream created " in ksql("-e", STREAM)
    assert cells(ksql("-e", EVERYTHING))[1:] == PEOPLE
    script = tmp_path / "tutorial.sql"
    script.write_text(f"{EARLIEST}\n{PUSH.replace(';', ' LIMIT 6;')}\n{TABLE}\n")
    text = ksql("-f", script)
    assert cells(text)[1:][-1] == ("Engineer", "3") and "Limit Reached" in text
    assert "Created query with ID CTAS_TITLES_" in text
    until_counted(sql)


def curl(sql, path, body, *options):
    command = ["curl", "--silent", "--no-buffer", *options, "--data", json.dumps(body), sql.url + path]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def answered(sql, path, body, *options):
    with curl(sql, path, body, *options) as process:
        text = process.stdout.read()
        assert process.wait(30) == 0
    return text


def test_the_tutorial_runs_over_curl(sql):
    [created] = json.loads(answered(sql, "/ksql", {"ksql": STREAM, "streamsProperties": {}}))
    assert created["commandStatus"]["message"] == "Stream created"
    head, *rows, last = json.loads(answered(sql, "/query", {"ksql": EVERYTHING, "streamsProperties": {}}))
    assert head["header"]["schema"] == "`ID` STRING, `NAME` STRING, `TITLE` STRING"
    assert [tuple(row["row"]["columns"]) for row in rows] == PEOPLE and last == {"finalMessage": "Query Completed"}
    with curl(sql, "/query-stream", {"sql": PUSH, "properties": PROPERTIES}) as push:
        assert json.loads(push.stdout.readline())["columnNames"] == ["TITLE", "KSQL_COL_0"]
        rows = [json.loads(push.stdout.readline()) for _ in PEOPLE]
        push.terminate()
    assert dict(rows) == COUNTS
    [created] = json.loads(answered(sql, "/ksql", {"ksql": TABLE, "streamsProperties": PROPERTIES}))
    assert created["commandStatus"]["message"].startswith("Created query with ID CTAS_TITLES_")
    until_counted(sql)


def test_the_table_is_asked_by_key(sql):
    sql.ksql(f"{STREAM} {TABLE}", PROPERTIES)
    until_counted(sql)
    done = run([paths.MILENA, "ksql", "-e", PULL, sql.url])
    assert cells(done.stdout) == [("TITLE", "PEOPLE"), ("Engineer", "3")], done.stdout + done.stderr
    lines = answered(sql, "/query-stream", {"sql": PULL, "properties": {}}, "--http2-prior-knowledge").splitlines()
    assert [json.loads(line) for line in lines][1:] == [["Engineer", 3]]
