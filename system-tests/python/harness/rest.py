"""REST Proxies: inside a server or as processes of their own, and requests to them."""

import base64
import os
import signal
import subprocess

import requests

from . import paths
from .registry import ServerWithRegistry
from .server import free_port
from .wait import until

V2 = "application/vnd.kafka.v2+json"


def embedded(name):
    """The media type of requests and answers with records in a format."""
    return f"application/vnd.kafka.{name}.v2+json"


def b64(data):
    return base64.b64encode(data).decode()


def refused(answer, status, code, message=None):
    """The answer is that error."""
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    if message is not None:
        assert message in answer.json()["message"]
    return answer


class Rest:
    """Requests to one proxy; bodies that are not bytes are sent as JSON."""

    def __init__(self, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.session = requests.Session()

    def send(self, method, path, body=None, accept=None, content=V2, timeout=60, **options):
        headers = {} if accept is None else {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content
        given = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        url = path if path.startswith("http") else self.url + path
        return self.session.request(method, url, headers=headers, timeout=timeout, **given, **options)

    def get(self, path, body=None, **options):
        return self.send("GET", path, body, **options)

    def post(self, path, body=None, **options):
        return self.send("POST", path, body, **options)

    def delete(self, path, **options):
        return self.send("DELETE", path, **options)

    def produce(self, topic, records, form="json", partition=None, **members):
        path = f"/topics/{topic}" if partition is None else f"/topics/{topic}/partitions/{partition}"
        return self.post(path, {"records": records, **members}, content=embedded(form))

    def consumer(self, group, form="json", **options):
        """A new instance that reads from the beginning."""
        body = {"format": form, "auto.offset.reset": "earliest", **options}
        answer = self.post(f"/consumers/{group}", body)
        assert answer.status_code == 200, answer.text
        return Instance(self, answer.json()["base_uri"], form)

    def answers(self):
        try:
            return self.get("/").status_code < 500
        except requests.RequestException:
            return False


class Instance:
    """One consumer instance of a proxy."""

    def __init__(self, rest, uri, form):
        self.rest, self.uri, self.form = rest, uri, form

    def subscribe(self, *topics):
        answer = self.rest.post(f"{self.uri}/subscription", {"topics": list(topics)})
        assert answer.status_code == 204, answer.text
        return self

    def assign(self, *partitions):
        body = {"partitions": [{"topic": topic, "partition": partition} for topic, partition in partitions]}
        answer = self.rest.post(f"{self.uri}/assignments", body)
        assert answer.status_code == 204, answer.text
        return self

    def records(self, **query):
        return self.rest.get(f"{self.uri}/records", accept=embedded(self.form), params=query)

    def read(self, count, timeout=30, **query):
        """Reads until there are `count` records."""
        found = []

        def enough():
            answer = self.records(**query)
            assert answer.status_code == 200, answer.text
            found.extend(answer.json())
            return len(found) >= count

        until(enough, lambda: f"{count} records, but there are {found}", timeout)
        return found

    def delete(self):
        return self.rest.delete(self.uri)


class ServerWithRest(ServerWithRegistry):
    """A server with registry and proxy on ports of their own; `rest` sends requests to the proxy."""

    def __init__(self, directory, overrides=None, **options):
        port = free_port()
        super().__init__(directory, {"milena.rest.proxy.listeners": f"http://127.0.0.1:{port}", **(overrides or {})},
                         **options)
        self.rest = Rest(port)

    def start(self, timeout=30.0):
        super().start(timeout)
        until(self.rest.answers, "the proxy answers", timeout, poll=0.02)
        return self


class RestProxy(Rest):
    """A proxy as a process of its own in front of some Kafka."""

    def __init__(self, directory, bootstrap, overrides=None, env=None):
        super().__init__(free_port())
        self.directory, self.env, self.process = directory, env or {}, None
        directory.mkdir(parents=True, exist_ok=True)
        self.log_path = directory / f"rest-{self.port}.log"
        self.overrides = {"listeners": f"http://127.0.0.1:{self.port}", "bootstrap.servers": bootstrap, **(overrides or {})}

    def start(self):
        arguments = [str(paths.MILENA), "rest-proxy"]
        for key, value in self.overrides.items():
            arguments += ["--override", f"{key}={value}"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            cwd=self.directory, env={**os.environ, **self.env})
        until(self._ready, "the proxy is ready", timeout=30, poll=0.02)
        return self

    def _ready(self):
        assert self.process.poll() is None, f"the proxy ended:\n{self.log()}"
        return self.answers()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=30)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)
