"""The shell of streaming SQL: statements from the command line, from files, from a pipe and from a person's keyboard."""

import json
import os
import signal
import subprocess
import time

import pytest
from harness import paths
from harness.librdkafka import create_topic
from harness.scripts import run
from harness.server import free_port
from harness.sql import Sql
from harness.terminal import Terminal
from harness.wait import until


@pytest.fixture(scope="module")
def sql(kafka, tmp_path_factory):
    server = Sql(tmp_path_factory.mktemp("sql"), kafka.bootstrap, {"ksql.service.id": "shell_"}).start()
    create_topic(kafka, "people", 2)
    server.ksql("CREATE STREAM people (id STRING KEY, name STRING, age INT, tags ARRAY<STRING>) "
                "WITH (kafka_topic='people', value_format='JSON');")
    server.ksql("INSERT INTO people (id, name, age, tags) VALUES ('1', 'Ada', 36, ARRAY['math', 'poetry']);")
    server.ksql("INSERT INTO people (id, name, age) VALUES ('2', 'A name that is far too long for the cell of a narrow grid', 2);")
    yield server
    server.stop()
    assert "panicked" not in server.log()


@pytest.fixture
def terminal(sql, tmp_path):
    made = []

    def start(*arguments, url=None, **options):
        home = {"HOME": str(tmp_path)}
        made.append(Terminal([paths.MILENA, "ksql", *arguments, url or sql.url], env=home, **options))
        return made[-1]

    yield start
    for one in made:
        one.close()


def ksql(sql, *arguments, **options):
    return run([paths.MILENA, "ksql", *arguments, sql.url], **options)


def lines(text):
    return [line.rstrip() for line in text.splitlines()]


def test_statements_of_the_command_line_answer_in_tables(sql):
    done = ksql(sql, "-e", "SHOW STREAMS; DESCRIBE people;")
    assert lines(done.stdout) == [
        "",
        "SHOW STREAMS;",
        " Stream Name | Kafka Topic | Key Format | Value Format | Windowed",
        "------------------------------------------------------------------",
        " PEOPLE      | people      | KAFKA      | JSON         | false",
        "------------------------------------------------------------------",
        "",
        "DESCRIBE people;",
        "Name                 : PEOPLE",
        " Field | Type",
        "--------------------------------",
        " ID    | VARCHAR(STRING)  (key)",
        " NAME  | VARCHAR(STRING)",
        " AGE   | INTEGER",
        " TAGS  | ARRAY<VARCHAR(STRING)>",
        "--------------------------------",
        "For runtime statistics and query details run: DESCRIBE <Stream,Table> EXTENDED;",
    ]


def test_rows_stand_in_a_grid_that_fits_and_long_cells_go_on(sql):
    done = ksql(sql, "-e", "SELECT id, name, tags FROM people WHERE id = '2';", env={**os.environ, "COLUMNS": "60"})
    assert lines(done.stdout) == [
        "+------------------+------------------+------------------+",
        "|ID                |NAME              |TAGS              |",
        "+------------------+------------------+------------------+",
        "|2                 |A name that is far|null              |",
        "|                  | too long for the |                  |",
        "|                  |cell of a narrow g|                  |",
        "|                  |rid               |                  |",
        "Query Completed",
        "Query terminated",
    ]
    cut = ksql(sql, "-e", "set cli wrap off; set cli column-width 10; SELECT name, tags FROM people WHERE id = '2';")
    assert "|A name ...|null      |" in cut.stdout


def test_a_file_with_definitions_properties_and_comments_is_executed(sql, tmp_path):
    script = tmp_path / "script.sql"
    script.write_text("-- all; of this; is a comment\nDEFINE who = 'Ada';\nSET 'auto.offset.reset' = 'earliest';\n"
                      "SELECT age, tags\n  FROM people\n  WHERE name = '${who}' AND age < ${age}\n  EMIT CHANGES LIMIT 1;\n")
    done = ksql(sql, "-f", script, "--define", "age=100")
    assert "Successfully changed local property 'auto.offset.reset' to 'earliest'." in done.stdout
    assert "|36   " in done.stdout and "|[math, poetry]" in done.stdout
    assert lines(done.stdout)[-2:] == ["Limit Reached", "Query terminated"]
    nested = ksql(sql, "-e", f"run script '{script}';", "-d", "age=100")
    assert nested.stdout == done.stdout


def test_the_first_failure_ends_a_script_and_its_exit_code_says_so(sql):
    done = ksql(sql, "-e", "SHOW TYPES; DESCRIBE nothing; SHOW STREAMS;", check=False)
    assert done.returncode == 255
    # They went to the server together, which saw before that one of them fails.
    assert done.stdout == ""
    assert "Could not find STREAM/TABLE 'NOTHING' in the Metastore" in done.stderr
    done = ksql(sql, "-e", "SHOW TYPES; SET 'a.b'='c'; SHOW STREAMS;", check=False)
    assert done.returncode == 255 and "Type Name" in done.stdout and "Stream Name" not in done.stdout
    done = ksql(sql, "-e", "SELECT nothing FROM people;", check=False)
    assert (done.returncode, done.stdout) == (255, "") and "NOTHING" in done.stderr
    done = run([paths.MILENA, "ksql", "-e", "SHOW STREAMS;", f"http://127.0.0.1:{free_port()}"], check=False)
    assert done.returncode == 255 and "does not answer" in done.stderr


def test_answers_and_rows_are_json_on_request(sql):
    done = ksql(sql, "--output", "JSON", "-e", "SHOW TABLES;")
    assert json.loads(done.stdout) == [{"@type": "tables", "statementText": "SHOW TABLES;", "tables": [], "warnings": []}]
    done = ksql(sql, "--output", "json", "-e", "SELECT id, age FROM people WHERE id = '1';")
    elements = [json.loads(line) for line in done.stdout.splitlines()]
    assert elements[1:] == [{"row": {"columns": ["1", 36]}}, {"finalMessage": "Query Completed"}]


def test_limits_of_the_command_line_end_queries_that_would_go_on(sql):
    everything = "SET 'auto.offset.reset'='earliest'; SELECT id FROM people EMIT CHANGES;"
    done = ksql(sql, "--query-row-limit", "1", "-e", everything)
    assert [line for line in lines(done.stdout) if line.startswith("|")][1:] and lines(done.stdout)[-1] == "Query terminated"
    begun = time.monotonic()
    done = ksql(sql, "--query-timeout", "1000", "-e", everything)
    assert 1 <= time.monotonic() - begun < 20
    assert "|ID " in done.stdout and lines(done.stdout)[-1] == "Query terminated"


def test_properties_of_a_file_go_with_every_statement(sql, tmp_path):
    config = tmp_path / "cli.properties"
    config.write_text("ksql.streams.auto.offset.reset=earliest\n")
    done = ksql(sql, "--config-file", config, "-e", "SELECT id FROM people EMIT CHANGES LIMIT 2;", "--")
    assert "Limit Reached" in done.stdout


def test_statements_come_through_a_pipe(sql):
    done = ksql(sql, stdin="output JSON\nSHOW\n  TABLES;\n\nDESCRIBE nothing;\nversion\n", check=False)
    assert done.returncode == 255
    assert '"@type": "tables"' in done.stdout
    assert lines(done.stdout)[-1].startswith("Version: ")


def test_ctrl_c_ends_a_query_of_a_script(sql):
    command = [paths.MILENA, "ksql", "-e", "SET 'auto.offset.reset'='earliest'; SELECT id FROM people EMIT CHANGES; SHOW TYPES;",
               sql.url]
    with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as shell:
        for line in shell.stdout:
            if line.startswith("|1 ") or line.startswith("|2 "):
                shell.send_signal(signal.SIGINT)
                break
        rest = shell.stdout.read()
        assert shell.wait(20) == 130
    assert "Query terminated" in rest and "Type Name" not in rest


def test_a_person_types_statements_over_several_lines(terminal):
    shell = terminal()
    shell.expect(r"CLI v\S+, Server v\S+ located at http://\S+\nServer Status: RUNNING\n")
    shell.expect("ksql> ")
    shell.line("select id,")
    shell.expect(r"\n> ")
    shell.line("  age from people where id = '1';")
    shell.expect(r"\|ID +\|AGE +\|\n\+-+\+-+\+\n\|1 +\|36 +\|\nQuery Completed\nQuery terminated\n")
    shell.expect("ksql> ")
    shell.line("describe nothing;")
    shell.expect("Could not find STREAM/TABLE 'NOTHING'")
    shell.expect("ksql> ")
    shell.line("HELP")
    shell.expect("run script.*spool")
    shell.expect("ksql> ")
    shell.end()
    assert shell.wait() == 0


def test_ctrl_c_ends_what_runs_and_what_is_typed_but_not_the_shell(terminal, sql):
    shell = terminal()
    shell.expect("ksql> ")
    shell.line("SET 'auto.offset.reset'='earliest';")
    shell.expect("Successfully changed.*ksql> ")
    shell.line("SELECT id FROM people EMIT CHANGES;")
    shell.expect(r"\|[12] +\|\n\|[12] +\|\n")
    shell.interrupt()
    shell.expect("Query terminated\n.*ksql> ")
    until(lambda: all(query["queryType"] != "PUSH" for query in sql.ksql("SHOW QUERIES;")[0]["queries"]), "the query is closed")
    shell.type("SELECT 'never ended")
    shell.interrupt()
    shell.expect("ksql> ")
    shell.line("exit")
    assert shell.wait() == 0


def test_a_query_that_shows_nothing_says_why(terminal):
    shell = terminal()
    shell.expect("ksql> ")
    shell.line("SELECT id FROM people EMIT CHANGES;")
    shell.expect(r"Hint: .*'auto.offset.reset' is 'latest'.*SET 'auto.offset.reset'='earliest';")
    shell.interrupt()
    shell.expect("Query terminated\n.*ksql> ")


def test_the_history_outlives_the_shell(terminal):
    first = terminal()
    first.expect("ksql> ")
    first.line("SHOW")
    first.expect(r"\n> ")
    first.line("TYPES;")
    first.expect("Type Name.*ksql> ")
    first.end()
    assert first.wait() == 0
    second = terminal()
    second.expect("ksql> ")
    second.type("\x1b[A")
    second.expect("TYPES;")
    second.type("\r")
    second.expect("Type Name.*ksql> ")
    second.line("history")
    second.expect(r" +1: SHOW\nTYPES;\n")


def test_a_session_is_spooled(terminal, tmp_path):
    spool = tmp_path / "session.txt"
    shell = terminal()
    shell.expect("ksql> ")
    shell.line(f"spool '{spool}'")
    shell.expect("Session will be spooled.*ksql> ")
    shell.line("SHOW TYPES;")
    shell.expect("Type Name.*ksql> ")
    shell.line("spool off")
    shell.expect(f"Spool written to {spool}.*ksql> ")
    shell.line("SHOW TABLES;")
    shell.expect("Table Name.*ksql> ")
    text = spool.read_text()
    assert "ksql> SHOW TYPES;" in text and " Type Name " in text and "Table Name" not in text


def test_a_shell_without_a_server_waits_for_another_address(terminal, sql):
    shell = terminal(url=f"http://127.0.0.1:{free_port()}")
    shell.expect(r"Server v<unknown>.*does not answer.*ksql> ")
    shell.line("SHOW TYPES;")
    shell.expect("does not answer.*ksql> ")
    shell.line(f"server '{sql.url}'")
    shell.expect("Server now: .*ksql> ")
    shell.line("SHOW TYPES;")
    shell.expect("Type Name.*ksql> ")
