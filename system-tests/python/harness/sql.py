"""SQL servers as processes of their own, and requests to them."""

import contextlib
import json
import os
import signal
import subprocess

import requests

from . import paths
from .registry import ServerWithRegistry
from .server import free_port
from .wait import until


class Sql:
    """A SQL server in front of some Kafka."""

    def __init__(self, directory, bootstrap, overrides=None, env=None, port=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.session = requests.Session()
        self.directory, self.env, self.process = directory, env or {}, None
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / f"sql-{self.port}.log"
        self.overrides = {"listeners": self.url, "bootstrap.servers": bootstrap,
                          "ksql.streams.state.dir": str(directory / "state"), **(overrides or {})}

    def start(self, ready=True):
        arguments = [str(paths.MILENA), "ksql-server"]
        for key, value in self.overrides.items():
            arguments += ["--override", f"{key}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            cwd=self.directory, env={**os.environ, **self.env})
        if ready:
            until(self._ready, lambda: f"the SQL server is ready:\n{self.log()}", timeout=30, poll=0.02)
        return self

    def _ready(self):
        assert self.process.poll() is None, f"the SQL server ended:\n{self.log()}"
        return self.is_healthy()

    def is_healthy(self):
        try:
            return self.session.get(f"{self.url}/healthcheck", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def stop(self, number=signal.SIGTERM):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def post(self, path, body, **options):
        return self.session.post(self.url + path, json=body, timeout=60, **options)

    def get(self, path):
        return self.session.get(self.url + path, timeout=60)

    def ksql(self, sql, properties=None, **members):
        """The answers to statements, all of which succeed."""
        answer = self.post("/ksql", {"ksql": sql, "streamsProperties": properties or {}, **members})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, sql, code=40001, properties=None):
        """The message of the statement's failure."""
        answer = self.post("/ksql", {"ksql": sql, "streamsProperties": properties or {}})
        assert answer.status_code == code // 100, answer.text
        assert answer.json()["error_code"] == code, answer.text
        return answer.json()["message"]

    def printed(self, sql):
        """The lines of a PRINT that ends."""
        answer = self.post("/query", {"ksql": sql})
        assert answer.status_code == 200, answer.text
        answer.encoding = "utf-8"
        return answer.text.splitlines()

    def query(self, sql, properties=None):
        """Everything that a query that ends answers: rows, and the last words."""
        answer = self.post("/query", {"ksql": sql, "streamsProperties": properties or {}})
        assert answer.status_code == 200, answer.text
        head, *lines = answer.json()
        assert "header" in head, head
        rows = [line["row"]["columns"] for line in lines if "row" in line]
        last = lines[-1] if lines else {}
        assert "errorMessage" not in last, last
        return rows, last.get("finalMessage")

    def lines(self, sql, properties=None, path="/query-stream"):
        """A push query that goes on: its lines as they come; closing the iterator closes the connection."""
        body = {"sql": sql, "ksql": sql, "properties": properties or {}, "streamsProperties": properties or {}}
        with requests.post(self.url + path, json=body, stream=True, timeout=60) as answer:
            assert answer.status_code == 200, answer.text
            for line in answer.iter_lines(chunk_size=1):
                if line:
                    yield json.loads(line)


class ServerWithSql(ServerWithRegistry):
    """A server with registry, Connect worker and SQL server on ports of their own; `sql` sends requests to the last."""

    def __init__(self, directory, overrides=None, **options):
        self.connect_port, port = free_port(), free_port()
        super().__init__(directory, {
            "milena.connect.listeners": f"http://127.0.0.1:{self.connect_port}",
            "milena.ksql.server.listeners": f"http://127.0.0.1:{port}",
            **(overrides or {}),
        }, **options)
        self.sql = Sql(self.directory, self.bootstrap, port=port)

    def start(self, timeout=30.0):
        super().start(timeout)
        until(self.sql.is_healthy, "the SQL server answers", timeout, poll=0.02)
        return self


@contextlib.contextmanager
def sql_servers(directory, kafka, service):
    """Makes SQL servers in front of a Kafka, of one service unless a call names another, and stops them at the end."""
    made = []

    def make(service=service, overrides=None):
        own = {"ksql.service.id": service, **(overrides or {})}
        sql = Sql(directory / f"sql{len(made)}", kafka.bootstrap, own)
        made.append(sql)
        return sql.start()

    yield make
    for sql in made:
        sql.stop()
        assert "panicked" not in sql.log()
