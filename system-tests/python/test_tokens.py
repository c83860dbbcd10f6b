"""Tokens instead of passwords: delegation tokens over SCRAM, and the identity provider's keys by URL."""

import http.server
import threading
import time
import uuid

import pytest
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from harness import apache, librdkafka, paths, secured
from harness.certificates import IdentityProvider
from harness.scripts import run
from harness.server import Server, free_port
from test_sasl import OAUTH_JAAS, VALIDATOR, at, bearer, java_password, password

SCRAM_JAAS = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class KeyServer:
    """The identity provider's keys over HTTP, counting how often they are asked for."""

    def __init__(self, document):
        self.document, self.asked, self.status = document, 0, 200
        keys = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                keys.asked += 1
                body = keys.document.read_bytes()
                self.send_response(keys.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Node:
    """A server with a listener for SCRAM and one for tokens whose keys come from an URL."""

    def __init__(self, directory):
        self.directory = directory
        self.identity = IdentityProvider(directory / "idp")
        self.keys = KeyServer(self.identity.publish(directory / "jwks.json"))
        self.scram, self.tokens, port = (free_port() for _ in range(3))
        self.server = Server(directory, {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},SCRAM://127.0.0.1:{self.scram},TOKENS://127.0.0.1:{self.tokens}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SCRAM:SASL_PLAINTEXT,TOKENS:SASL_PLAINTEXT",
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
            "delegation.token.secret.key": "a-secret-key",
            "listener.name.tokens.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.tokens.oauthbearer.sasl.jaas.config": OAUTH_JAAS,
            "listener.name.tokens.oauthbearer.sasl.server.callback.handler.class": VALIDATOR,
            "listener.name.tokens.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": self.keys.url,
            "listener.name.tokens.oauthbearer.sasl.oauthbearer.jwks.endpoint.retry.backoff.ms": "1",
            "listener.name.tokens.oauthbearer.sasl.oauthbearer.expected.audience": "kafka",
            "listener.name.tokens.oauthbearer.sasl.oauthbearer.expected.issuer": "test-idp",
        }, port=port).start()
        change = UserScramCredentialUpsertion("alice", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), b"alice-secret")
        for future in librdkafka.admin(self.server).alter_user_scram_credentials([change]).values():
            future.result()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("tokens"))
    yield made
    assert made.server.alive() and made.server.stop() == 0, made.server.log_tail()
    log = made.server.log()
    assert "panicked" not in log and "alice-secret" not in log and "a-secret-key" not in log


def properties(node, settings):
    file = node.directory / f"{uuid.uuid4().hex[:8]}.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return file


def alice(node):
    return properties(node, java_password("SCRAM-SHA-256", "scram.ScramLoginModule", "alice", "alice-secret"))


def ours(node, *arguments, check=True):
    return run([paths.MILENA, *arguments[:1], "--bootstrap-server", at(node.scram), *arguments[1:]], check=check)


def new_token(node, *more):
    made = ours(node, "kafka-delegation-tokens", "--command-config", alice(node), "--create", "--max-life-time-period", "-1", *more)
    token, mac = made.stdout.splitlines()[-1].split()[:2]
    return token, mac


def token_login(token, mac, mechanism="SCRAM-SHA-256", extension='tokenauth="true"'):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
            "sasl.jaas.config": f'{SCRAM_JAAS[:-1]} username="{token}" password="{mac}" {extension};'}


def listing(node, settings):
    return ours(node, "kafka-topics", "--command-config", properties(node, {"default.api.timeout.ms": 5000, **settings}), "--list",
                check=False)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_delegation_token_is_a_login(node, mechanism):
    token, mac = new_token(node)
    assert listing(node, token_login(token, mac, mechanism)).returncode == 0


def test_a_delegation_token_is_no_password(node):
    token, mac = new_token(node)
    for settings in (token_login(token, mac, extension=""), token_login(token, mac[:-4] + "AAA="), token_login("no-token", mac),
                     token_login("alice", "alice-secret")):
        refused = listing(node, settings)
        assert refused.returncode != 0 and "Authentication failed" in refused.stdout + refused.stderr, refused
    assert "Authentication failed" in secured.refusal(at(node.scram), password("SCRAM-SHA-256", token, mac))


def test_an_expired_token_is_refused(node):
    token, mac = new_token(node)
    ours(node, "kafka-delegation-tokens", "--command-config", alice(node), "--expire", "--expiry-time-period", "-1", "--hmac", mac)
    assert listing(node, token_login(token, mac)).returncode != 0


def test_tokens_cannot_be_made_with_tokens(node):
    token, mac = new_token(node)
    again = ours(node, "kafka-delegation-tokens", "--command-config", properties(node, token_login(token, mac)), "--create",
                 "--max-life-time-period", "-1", check=False)
    assert again.returncode != 0 and "Delegation Token requests are not allowed" in again.stdout + again.stderr


@pytest.mark.slow
def test_java_clients_log_in_with_a_delegation_token(node):
    made = apache.tool("kafka-delegation-tokens", "--bootstrap-server", at(node.scram), "--command-config", alice(node), "--create",
                       "--max-life-time-period", "-1", "--renewer-principal", "User:alice")
    token, mac = made.stdout.splitlines()[-1].split()[:2]
    secured.java_round_trip(at(node.scram), node.directory, token_login(token, mac), "java-delegation-token")
    said = secured.java_failure(at(node.scram), node.directory, token_login(token, mac, extension=""))
    assert "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256" in said


def test_keys_by_url_are_fetched_once_and_again_for_a_new_key(node):
    secured.round_trip(at(node.tokens), [b"a", b"b"], bearer(node.identity.token("alice")))
    before = node.keys.asked
    assert before >= 1
    for _ in range(3):
        assert secured.connects(at(node.tokens), bearer(node.identity.token("alice")))
    assert node.keys.asked == before, "they are kept"
    assert "invalid_token" in secured.refusal(at(node.tokens), bearer(node.identity.token("alice", lifetime=-60)))
    newer = IdentityProvider(node.directory / "newer", "k2")
    newer.publish(node.keys.document)
    assert secured.connects(at(node.tokens), bearer(newer.token("alice")))
    assert node.keys.asked > before
    node.identity.publish(node.keys.document)


def test_a_key_server_that_fails_leaves_the_kept_keys(node):
    assert secured.connects(at(node.tokens), bearer(node.identity.token("alice")))
    node.keys.status = 500
    try:
        stranger = IdentityProvider(node.directory / "stranger", "k3")
        assert "invalid_token" in secured.refusal(at(node.tokens), bearer(stranger.token("alice")))
        assert secured.connects(at(node.tokens), bearer(node.identity.token("alice")))
    finally:
        node.keys.status = 200
