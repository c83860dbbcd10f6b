"""Streaming SQL without a server: `milena ksql-test-runner` over files of its own, and over the cases of a directory that
MILENA_SQL_VECTORS names (files of the form {"tests": [...]}; nothing to do without it)."""

import json
import os
import pathlib
import subprocess

import pytest
from harness.paths import MILENA

STATEMENTS = """CREATE STREAM orders (id INT KEY, amount INT) WITH (kafka_topic='orders', value_format='JSON');
CREATE TABLE totals AS SELECT id, SUM(amount) AS total FROM orders GROUP BY id;"""
INPUTS = [{"topic": "orders", "key": 1, "value": {"amount": 2}},
          {"topic": "orders", "key": 1, "value": {"amount": 3}, "timestamp": 5}]
OUTPUTS = [{"topic": "TOTALS", "key": 1, "value": {"TOTAL": 2}, "timestamp": 0},
           {"topic": "TOTALS", "key": 1, "value": {"TOTAL": 5}, "timestamp": 5}]
#: The share of cases that must pass.
LEAST = 0.9


def run(directory, statements, inputs, outputs):
    """The exit code and the text of a test of these statements and records."""
    files = {"statements.sql": statements, "input.json": json.dumps({"inputs": inputs}),
             "output.json": json.dumps({"outputs": outputs})}
    for name, text in files.items():
        (directory / name).write_text(text)
    command = [MILENA, "ksql-test-runner", "-s", "statements.sql", "-i", "input.json", "-o", "output.json"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_a_test_passes_when_the_records_are_as_expected(tmp_path):
    assert run(tmp_path, STATEMENTS, INPUTS, OUTPUTS) == (0, "\t >>> Test passed!\n")


def test_a_test_fails_with_the_record_that_differs(tmp_path):
    wrong = [OUTPUTS[0], {**OUTPUTS[1], "value": {"TOTAL": 6}}]
    code, text = run(tmp_path, STATEMENTS, INPUTS, wrong)
    assert code == 1
    assert "TOTALS[1]: value $.TOTAL: expected 6, got 5" in text


def test_a_test_fails_when_a_statement_does(tmp_path):
    code, text = run(tmp_path, "CREATE STREAM s AS SELECT * FROM nowhere;", [], [])
    assert code == 1
    assert "NOWHERE does not exist" in text


def cases(directory):
    """The cases that need nothing but statements and records."""
    for path in sorted(pathlib.Path(directory).glob("*.json")):
        for case in json.loads(path.read_text()).get("tests", []):
            if case.get("enabled", True) and not {"topics", "properties", "expectedException"} & case.keys():
                for data_format in case.get("format", [""]):
                    text = json.dumps({key: case.get(key, []) for key in ("statements", "inputs", "outputs")})
                    yield path.name, case["name"], json.loads(text.replace("{FORMAT}", data_format))


@pytest.mark.skipif("MILENA_SQL_VECTORS" not in os.environ, reason="MILENA_SQL_VECTORS is not set")
def test_cases_of_a_directory_pass(tmp_path):
    failed, total = [], 0
    for file, name, case in cases(os.environ["MILENA_SQL_VECTORS"]):
        total += 1
        code, text = run(tmp_path, "\n".join(case["statements"]), case["inputs"], case["outputs"])
        if code != 0:
            failed.append(f"{file} | {name} | {text.strip()[:300]}")
    print(f"{total - len(failed)}/{total} passed", *failed, sep="\n")
    assert total > 0
    assert len(failed) <= total * (1 - LEAST), "\n".join(failed)
