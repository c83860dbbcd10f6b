"""Connect workers as processes of their own or inside a server, and requests to them."""

import json
import os
import pathlib
import signal
import subprocess

import requests

from . import paths
from .server import Server, free_port
from .wait import until


def properties(path, settings):
    """Writes a properties file."""
    path = pathlib.Path(path)
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
    return path


class ConnectWorker:
    """One worker in a directory of its own. `start` and `kill` may alternate as often as a test likes."""

    mode = "connect-standalone"

    def __init__(self, directory, bootstrap, overrides=None, connectors=(), env=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "bootstrap.servers": bootstrap,
            "listeners": self.url,
            "key.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "offset.flush.interval.ms": 500,
            # A worker that was killed keeps its partitions so long.
            "consumer.session.timeout.ms": 6000,
            **self.storage(),
            **(overrides or {}),
        }
        #: Properties files of connectors, as on the command line.
        self.connectors = list(connectors)
        self.env = env or {}
        self.process = None
        self.log_path = self.directory / "worker.log"
        self.session = requests.Session()

    def storage(self):
        return {"offset.storage.file.filename": self.directory / "connect.offsets"}

    def spawn(self):
        file = properties(self.directory / "worker.properties", self.settings)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(paths.MILENA), self.mode, str(file), *map(str, self.connectors)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.directory,
                env={**os.environ, **self.env})
        return self

    def start(self, timeout=60):
        self.spawn()
        until(self._answers, lambda: f"the worker answers:\n{self.log_tail()}", timeout)
        return self

    def _answers(self):
        assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log_tail()}"
        try:
            return self.session.get(self.url + "/connectors", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=30)

    def stop(self, number=signal.SIGTERM, timeout=30):
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=40):
        return "\n".join(self.log().splitlines()[-lines:])

    def send(self, method, path, body=None, **options):
        return self.session.request(method, self.url + path, json=body, timeout=60, **options)

    def get(self, path):
        return self.send("GET", path)

    def put_connector(self, name, config):
        """Creates or changes a connector, as soon as the group of the workers is at rest."""
        def put():
            answer = self.send("PUT", f"/connectors/{name}/config", config)
            assert answer.status_code in (200, 201, 409), answer.text
            return answer.json() if answer.status_code != 409 else None

        return until(put, lambda: f"connector {name} is made\n{self.log_tail()}", timeout=60)

    def status(self, name):
        answer = self.get(f"/connectors/{name}/status")
        return answer.json() if answer.status_code == 200 else None

    def task(self, name, number=0):
        """State and trace of a task; (None, "") while there is none."""
        status = self.status(name) or {"tasks": []}
        found = [task for task in status["tasks"] if task["id"] == number]
        return (found[0]["state"], found[0].get("trace", "")) if found else (None, "")

    def wait_for_task(self, name, state, number=0, timeout=60):
        until(lambda: self.task(name, number)[0] == state, lambda: f"{name}-{number} is {state}: {self.status(name)}\n{self.log_tail()}", timeout)
        return self.task(name, number)[1]


class DistributedWorker(ConnectWorker):
    """A worker of a group whose state is in topics of one replica."""

    mode = "connect-distributed"

    def storage(self):
        return {
            "group.id": "connect-cluster",
            **{f"{what}.storage.topic": f"connect-{topic}" for what, topic in
               [("config", "configs"), ("offset", "offsets"), ("status", "status")]},
            **{f"{what}.storage.replication.factor": 1 for what in ["config", "offset", "status"]},
            "offset.storage.partitions": 2,
            "status.storage.partitions": 1,
            "scheduled.rebalance.max.delay.ms": 0,
            # A worker that was killed is missed so soon.
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1000,
        }


class Api:
    """Requests to one worker."""

    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.session = requests.Session()

    def send(self, method, path, body=None, timeout=60, **options):
        return self.session.request(method, self.url + path, timeout=timeout,
                                    **({} if body is None else {"json": body}), **options)

    def get(self, path):
        return self.send("GET", path)

    def answers(self):
        try:
            return self.get("/").status_code == 200
        except requests.ConnectionError:
            return False

    def create(self, name, config, running=True):
        """Creates a connector and waits until it and a task run."""
        def created():
            # A group that is only just forming answers 409.
            answer = self.send("POST", "/connectors", {"name": name, "config": config})
            assert answer.status_code in (201, 409, 503), answer.text
            return answer.status_code == 201

        until(created, f"{name} is created", 30, poll=0.3)
        if running:
            self.wait_for(name, "RUNNING")
        return name

    def status(self, name):
        return self.get(f"/connectors/{name}/status").json()

    def states(self, name):
        """The states of a connector and of its tasks."""
        status = self.status(name)
        return [status.get("connector", {}).get("state")] + [task["state"] for task in status.get("tasks", [])]

    def wait_for(self, name, state, timeout=60):
        """Waits until the first task is in a state; returns its trace."""
        def there():
            tasks = self.status(name).get("tasks", [])
            return tasks and all(task["state"] == state for task in tasks)

        until(there, lambda: f"{name} is {state}: {json.dumps(self.status(name))[:3000]}", timeout, poll=0.1)
        return self.status(name)["tasks"][0].get("trace", "")

    def delete(self, name):
        answer = self.send("DELETE", f"/connectors/{name}")
        assert answer.status_code in (204, 404), answer.text

    def validate(self, kind, config):
        """The errors of a configuration by setting."""
        answer = self.send("PUT", f"/connector-plugins/{kind}/config/validate", config)
        assert answer.status_code == 200, answer.text
        return {item["value"]["name"]: item["value"]["errors"] for item in answer.json()["configs"] if item["value"]["errors"]}


class ServerWithConnect(Server):
    """A server with a worker in it; `connect` are requests to that."""

    def __init__(self, directory, overrides=None, **options):
        port = free_port()
        super().__init__(directory, {"milena.connect.listeners": f"http://127.0.0.1:{port}",
                                     "milena.connect.offset.flush.interval.ms": 1000, **(overrides or {})}, **options)
        self.connect = Api(port)

    def start(self, timeout=30.0):
        super().start(timeout)
        until(self.connect.answers, "the worker answers", timeout, poll=0.05)
        return self


def schema(name, /, **fields):
    """The schema of an envelope: types as the converter writes them, `int32?` for one that may be null, or a whole object."""
    def field(key, kind):
        if isinstance(kind, dict):
            return {"field": key, "optional": True, **kind}
        return {"field": key, "type": kind.rstrip("?"), "optional": kind.endswith("?")}

    return {"type": "struct", "name": name, "optional": False, "fields": [field(key, kind) for key, kind in fields.items()]}


def envelope(of, payload):
    """A value for JsonConverter with schemas, as bytes; a schema may be the name of a primitive type."""
    of = {"type": of, "optional": False} if isinstance(of, str) else of
    return json.dumps({"schema": of, "payload": payload}).encode()
