"""Our consoles as clients of a registry behind a gateway that wants a bearer token, which an identity provider gives."""

import base64
import http.server
import json
import threading
import urllib.parse

import pytest
import requests

from harness import librdkafka, paths
from harness.registry import ServerWithRegistry
from harness.scripts import run

pytestmark = pytest.mark.timeout(120)

SCHEMA = '{"type":"record","name":"Order","fields":[{"name":"id","type":"int"}]}'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRegistry(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


class Gateway(http.server.ThreadingHTTPServer):
    """`/token` is the identity provider, everything else the registry for those who have its token."""

    def __init__(self, registry):
        super().__init__(("127.0.0.1", 0), Handler)
        self.registry, self.asked, self.pools = registry, [], set()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/token":
            return self.forward(body)
        self.server.asked.append(urllib.parse.parse_qs(body.decode()))
        if self.headers["Authorization"] != "Basic " + base64.b64encode(b"console:hidden").decode():
            return self.answer(401, b'{"error": "invalid_client"}')
        return self.answer(200, b'{"access_token": "gateway-token", "token_type": "Bearer", "expires_in": 600}')

    def do_GET(self):
        self.forward(None)

    def forward(self, body):
        if self.headers["Authorization"] != "Bearer gateway-token":
            return self.answer(401, json.dumps({"error_code": 401, "message": "Unauthorized"}).encode())
        self.server.pools.add(self.headers["Confluent-Identity-Pool-Id"])
        found = requests.request(self.command, self.server.registry + self.path, data=body, timeout=30,
                                 headers={"Content-Type": "application/vnd.schemaregistry.v1+json"})
        return self.answer(found.status_code, found.content)


@pytest.fixture
def gateway(server):
    gateway = Gateway(f"http://127.0.0.1:{server.registry.port}")
    yield gateway
    gateway.shutdown()
    gateway.server_close()


def console(server, gateway, tool, topic, *arguments, secret="hidden", stdin=None, check=True):
    properties = {
        "schema.registry.url": gateway.url,
        "bearer.auth.credentials.source": "OAUTHBEARER",
        "bearer.auth.issuer.endpoint.url": f"{gateway.url}/token",
        "bearer.auth.client.id": "console",
        "bearer.auth.client.secret": secret,
        "bearer.auth.scope": "schemas",
        "bearer.auth.identity.pool.id": "pool-1",
    }
    words = [word for name, value in properties.items() for word in ("--property", f"{name}={value}")]
    return run([paths.MILENA, tool, "--bootstrap-server", server.bootstrap, "--topic", topic, *words, *arguments], stdin=stdin,
               check=check)


def test_a_token_is_fetched_once_and_opens_the_registry(server, gateway, topic):
    librdkafka.create_topic(server, topic)
    console(server, gateway, "kafka-avro-console-producer", topic, "--property", f"value.schema={SCHEMA}",
            stdin='{"id":1}\n{"id":2}\n')
    assert gateway.asked == [{"grant_type": ["client_credentials"], "scope": ["schemas"]}]
    assert gateway.pools == {"pool-1"}
    read = console(server, gateway, "kafka-avro-console-consumer", topic, "--from-beginning", "--max-messages", "2")
    assert read.stdout == '{"id":1}\n{"id":2}\n'


def test_a_wrong_secret_is_told_of_and_not_shown(server, gateway, topic):
    librdkafka.create_topic(server, topic)
    done = console(server, gateway, "kafka-avro-console-producer", topic, "--property", f"value.schema={SCHEMA}", secret="guessed",
                   stdin='{"id":1}\n', check=False)
    assert done.returncode == 1
    assert "invalid_client" in done.stdout + done.stderr and "guessed" not in done.stdout + done.stderr
