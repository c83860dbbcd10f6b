"""Whole cases against SQL servers: statements, records, answers. Those of `sql_cases/` always, those of the directory that
MILENA_SQL_REST_VECTORS names when it is set (files of the same form; MILENA_SQL_REST_FILTER is a part of the names to run,
MILENA_SQL_REST_JOBS how many run at a time). What fails is written to `target/sql-rest-vectors.txt`."""

import collections
import concurrent.futures
import os
import pathlib

import pytest
from harness.paths import ROOT
from harness.sql_cases import read_cases, run_case

OWN = pathlib.Path(__file__).parent / "sql_cases"
#: The share of foreign cases that must pass.
LEAST = 0.9


def cases(directory, part=""):
    for path in sorted(pathlib.Path(directory).glob("*.json")):
        for case in read_cases(path):
            if part in f"{path.name} | {case['name']}":
                yield path.name, case


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for _, case in cases(OWN)])
def test_a_case_of_our_own(case, tmp_path):
    failure = run_case(case, tmp_path)
    assert failure is None, failure


@pytest.mark.timeout(3600)
@pytest.mark.skipif("MILENA_SQL_REST_VECTORS" not in os.environ, reason="MILENA_SQL_REST_VECTORS is not set")
def test_cases_of_a_directory_pass(tmp_path):
    todo = list(cases(os.environ["MILENA_SQL_REST_VECTORS"], os.environ.get("MILENA_SQL_REST_FILTER", "")))
    jobs = int(os.environ.get("MILENA_SQL_REST_JOBS", "4"))
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        failures = list(pool.map(run_case, [case for _, case in todo], [tmp_path / str(n) for n in range(len(todo))]))
    passed, total, report = collections.Counter(), collections.Counter(), []
    for (file, case), failure in zip(todo, failures):
        total[file] += 1
        passed[file] += failure is None
        if failure:
            report.append(f"{file} | {case['name']}\n  {failure}")
    path = ROOT / "target" / "sql-rest-vectors.txt"
    path.write_text("\n".join(report))
    for file in total:
        print(f"{file}: {passed[file]}/{total[file]}")
    print(f"{passed.total()}/{total.total()} passed; failures in {path}")
    assert passed.total() >= total.total() * LEAST, "\n".join(report)
