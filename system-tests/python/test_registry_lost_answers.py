"""A registry whose record reached Kafka while the answer did not: killed in between, or still there when the next request comes.

The broker has a second listener whose address is that of a proxy. The proxy hands requests on for ever; while it is muted,
answers are thrown away.
"""

import json
import socket
import threading

import pytest
from harness import librdkafka
from harness.registry import Registry
from harness.server import Server, free_port
from harness.wait import until

INT, LONG, STRING = '"int"', '"long"', '"string"'


class MuteProxy:
    """Hands bytes on; answers only while `muted` is not set. A connection that lost an answer is closed afterwards."""

    def __init__(self, port, target):
        self.target, self.muted, self.open = target, threading.Event(), []
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            self.open += [client, server]
            threading.Thread(target=self._copy, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, True), daemon=True).start()

    def _copy(self, source, sink, answers):
        try:
            while data := source.recv(65536):
                if not (answers and self.muted.is_set()):
                    sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def unmute(self):
        """Answers come again, on new connections: in the old ones something is missing."""
        self.muted.clear()
        for end in self.open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.open = []


class Kafka:
    """A broker that is reached directly at `bootstrap` and through the proxy at `proxied`."""

    def __init__(self, directory):
        behind, front, port = free_port(), free_port(), free_port()
        self.server = Server(directory, {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{behind}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{front}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT",
            "offsets.topic.num.partitions": 2,
        }, port=port).start()
        self.proxy = MuteProxy(front, behind)
        self.proxied = f"127.0.0.1:{front}"

    def schemas(self):
        """The records about schemas that the topic holds, by key."""
        written = {}
        for message in librdkafka.read(self.server, "_schemas"):
            if b'"SCHEMA"' in message.key():
                written[message.key().decode()] = message.value() and json.loads(message.value())
        return written


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    made = Kafka(tmp_path_factory.mktemp("kafka"))
    yield made
    made.proxy.listener.close()
    assert made.server.stop() == 0, made.server.log_tail()


@pytest.fixture
def new_registry(kafka, tmp_path):
    made = []

    def make(**overrides):
        registry = Registry(tmp_path / f"registry{len(made)}", kafka.proxied,
                            {"kafkastore.timeout.ms": "4000", **overrides})
        made.append(registry)
        return registry

    yield make
    kafka.proxy.unmute()
    for registry in made:
        registry.kill()
        assert "panicked" not in registry.log()


def in_background(call):
    """Runs `call` in a thread; what it raises is of no interest, for its server is about to die."""
    answers = []

    def run():
        try:
            answers.append(call())
        except OSError:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    return thread, answers


def test_kill_9_between_write_and_answer_leaves_one_version_and_no_gap(kafka, new_registry):
    registry = new_registry().start()
    first = registry.register("killed", INT).ok()
    kafka.proxy.muted.set()
    thread, answers = in_background(lambda: registry.register("killed", LONG))
    key = '{"keytype":"SCHEMA","subject":"killed","version":2,"magic":1}'
    stored = until(lambda: kafka.schemas().get(key), "the record is in the topic")
    assert not answers, "nobody has been told"
    registry.kill()
    thread.join(timeout=30)
    kafka.proxy.unmute()
    again = new_registry().start()
    assert again.get("/subjects/killed/versions").ok() == [1, 2]
    # The session of the killed instance must end before another one leads.
    answer = until(lambda: (answer := again.register("killed", LONG)).status == 200 and answer, "it is known", timeout=40)
    assert (answer.json["id"], answer.json["version"]) == (stored["id"], 2)
    assert stored["id"] == first["id"] + 1
    third = until(lambda: (answer := again.register("killed", '"float"')).status == 200 and answer, "it leads", timeout=40).json
    assert (third["id"], third["version"]) == (stored["id"] + 1, 3)


def test_a_write_without_an_answer_is_found_when_it_is_tried_again(kafka, new_registry):
    registry = new_registry().start()
    until(lambda: registry.register("patient", INT).status == 200, "it leads", timeout=40, poll=0.5)
    kafka.proxy.muted.set()
    refused = registry.register("patient", STRING, schemaType="AVRO")
    assert refused.status == 409, "an incompatible schema needs no write"
    lost = registry.register("patient", LONG)
    assert lost.status == 500 and lost.code in (50001, 50002), lost.body
    kafka.proxy.unmute()
    answer = until(lambda: (answer := registry.register("patient", LONG)).status == 200 and answer, "Kafka answers again",
                   timeout=40, poll=0.5).json
    assert answer["version"] == 2
    assert registry.get("/subjects/patient/versions").ok() == [1, 2]
    stored = [value for key, value in kafka.schemas().items() if '"patient"' in key]
    assert sorted(value["version"] for value in stored) == [1, 2]
    assert {value["id"] for value in stored if value["version"] == 2} == {answer["id"]}
