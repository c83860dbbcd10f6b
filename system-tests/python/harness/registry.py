"""Schema registries: inside a server or as processes of their own, and requests to them."""

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import urllib.parse

from . import paths
from .server import Server, free_port
from .wait import until

V1 = "application/vnd.schemaregistry.v1+json"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json["error_code"]

    def ok(self):
        assert 200 <= self.status < 300, f"{self.status} {self.body!r}"
        return self.json if self.body else None


class Client:
    """Requests to one registry; bodies that are not bytes are sent as JSON."""

    def __init__(self, port, scheme="http", context=None, user=None):
        self.port, self.scheme, self.context, self.user = port, scheme, context, user

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def send(self, method, path, body=None, timeout=30, **headers):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers.setdefault("Content-Type", V1)
        if self.user:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self.user).encode()).decode()
        if self.scheme == "https":
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.send("POST", path, body, **headers)

    def put(self, path, body, **headers):
        return self.send("PUT", path, body, **headers)

    def delete(self, path, **headers):
        return self.send("DELETE", path, **headers)

    def register(self, subject, schema, **members):
        """Registers a schema (a text, or an object that is written as JSON)."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        return self.post(f"/subjects/{quoted(subject)}/versions", {"schema": text, **members})

    def answers(self):
        try:
            return self.get("/subjects").status < 500
        except (OSError, http.client.HTTPException):
            return False


def quoted(subject):
    return urllib.parse.quote(subject, safe="")


class ServerWithRegistry(Server):
    """A server whose registry listens on a port of its own; `registry` is a client for it."""

    def __init__(self, directory, overrides=None, **options):
        port = free_port()
        super().__init__(directory, {"milena.schema.registry.listeners": f"http://127.0.0.1:{port}", **(overrides or {})},
                         **options)
        self.registry = Client(port)

    def start(self, timeout=30.0):
        super().start(timeout)
        until(self.registry.answers, "the registry answers", timeout, poll=0.02)
        return self


class Registry(Client):
    """A registry as a process of its own in front of some Kafka."""

    def __init__(self, directory, bootstrap, overrides=None, env=None, scheme="http", user=None):
        super().__init__(free_port(), scheme, user=user)
        if scheme == "https":
            self.context = ssl._create_unverified_context()  # The tests of TLS verify it themselves.
        self.directory, self.env, self.process = directory, env or {}, None
        self.command = [paths.MILENA, "schema-registry"]
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / f"registry-{self.port}.log"
        self.overrides = {
            "listeners": f"{scheme}://127.0.0.1:{self.port}",
            "kafkastore.bootstrap.servers": bootstrap,
            **(overrides or {}),
        }

    def spawn(self):
        arguments = [str(part) for part in self.command]
        for key, value in self.overrides.items():
            arguments += ["--override", f"{key}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            cwd=self.directory, env={**os.environ, **self.env})
        return self

    def start(self):
        self.spawn()
        until(self._ready, "the registry is ready", timeout=30, poll=0.02)
        return self

    def _ready(self):
        assert self.process.poll() is None, f"the registry ended:\n{self.log()}"
        return "listening for requests" in self.log()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=30)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)
