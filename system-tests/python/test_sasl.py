"""SASL: every mechanism with real clients, wrong credentials, and clients that do things in the wrong order."""

import base64
import os
import socket
import struct
import time
import uuid

import pytest
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialDeletion, UserScramCredentialUpsertion

from harness import librdkafka, paths, secured, wire
from harness.certificates import IdentityProvider, unsecured_token
from harness.scripts import run
from harness.server import Server, free_port
from harness.wait import until

PLAIN_JAAS = ('org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="admin-secret" '
              'user_admin="admin-secret" user_alice="alice-secret";')
OAUTH_JAAS = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
UNSECURED = "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
VALIDATOR = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"
SASL_HANDSHAKE, SASL_AUTHENTICATE = 17, 36


class Node:
    """A server with listeners for passwords, for signed tokens and for unsigned ones."""

    def __init__(self, directory):
        self.directory = directory
        self.identity = IdentityProvider(directory / "idp")
        self.jwks = self.identity.publish(directory / "jwks.json")
        self.passwords, self.tokens, self.unsigned, self.short, port = (free_port() for _ in range(5))
        names = ["PASSWORDS", "TOKENS", "UNSIGNED", "SHORT"]
        ports = [self.passwords, self.tokens, self.unsigned, self.short]
        self.server = Server(directory, {
            "listeners": ",".join([f"PLAINTEXT://127.0.0.1:{port}"] + [f"{n}://127.0.0.1:{p}" for n, p in zip(names, ports)]),
            "listener.security.protocol.map": ",".join(["PLAINTEXT:PLAINTEXT"] + [f"{name}:SASL_PLAINTEXT" for name in names]),
            "listener.name.passwords.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "listener.name.passwords.plain.sasl.jaas.config": PLAIN_JAAS,
            "listener.name.tokens.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.tokens.oauthbearer.sasl.jaas.config": OAUTH_JAAS,
            "listener.name.tokens.oauthbearer.sasl.server.callback.handler.class": VALIDATOR,
            "listener.name.tokens.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": f"file://{self.jwks}",
            "listener.name.tokens.oauthbearer.sasl.oauthbearer.expected.audience": "kafka",
            "listener.name.tokens.oauthbearer.sasl.oauthbearer.expected.issuer": "test-idp",
            "listener.name.unsigned.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.unsigned.oauthbearer.sasl.server.callback.handler.class": UNSECURED,
            "listener.name.short.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.short.plain.sasl.jaas.config": PLAIN_JAAS,
            "listener.name.short.plain.connections.max.reauth.ms": "1500",
        }, port=port).start()


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("sasl"))
    users = [(user, mechanism) for user in ("scram,=user", "scram-user")
             for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)]
    for user, mechanism in users:
        change = UserScramCredentialUpsertion(user, ScramCredentialInfo(mechanism, 8192), b"scram-secret")
        for future in librdkafka.admin(made.server).alter_user_scram_credentials([change]).values():
            future.result()
    yield made
    assert made.server.alive() and made.server.stop() == 0, made.server.log_tail()
    log = made.server.log()
    assert "panicked" not in log
    assert not any(secret in log for secret in ("admin-secret", "alice-secret", "scram-secret", "wrong-secret"))


def password(mechanism, user, secret):
    return {"security.protocol": "sasl_plaintext", "sasl.mechanisms": mechanism, "sasl.username": user, "sasl.password": secret}


def at(port):
    return f"127.0.0.1:{port}"


@pytest.mark.parametrize("mechanism, user, secret", [
    ("PLAIN", "alice", "alice-secret"), ("SCRAM-SHA-256", "scram,=user", "scram-secret"),
    ("SCRAM-SHA-512", "scram,=user", "scram-secret")])
def test_librdkafka_with_passwords(node, mechanism, user, secret):
    secured.round_trip(at(node.passwords), [b"a", b"b"], password(mechanism, user, secret))


@pytest.mark.parametrize("mechanism, user, secret, message", [
    ("PLAIN", "alice", "wrong-secret", "Invalid username or password"),
    ("PLAIN", "nobody", "alice-secret", "Invalid username or password"),
    ("SCRAM-SHA-256", "scram,=user", "wrong-secret", "invalid credentials with SASL mechanism SCRAM-SHA-256"),
    ("SCRAM-SHA-512", "nobody", "wrong-secret", "invalid credentials with SASL mechanism SCRAM-SHA-512")])
def test_wrong_passwords_are_refused_with_the_reason(node, mechanism, user, secret, message):
    assert message in secured.refusal(at(node.passwords), password(mechanism, user, secret))
    assert "failed authentication" in node.server.log()


def test_a_deleted_scram_user_is_refused(node):
    admin = librdkafka.admin(node.server)
    upsert = UserScramCredentialUpsertion("passing", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), b"scram-secret")
    for change in (upsert, UserScramCredentialDeletion("passing", ScramMechanism.SCRAM_SHA_256)):
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result()
        settings = password("SCRAM-SHA-256", "passing", "scram-secret")
        if change is upsert:
            assert secured.connects(at(node.passwords), settings)
    assert "invalid credentials" in secured.refusal(at(node.passwords), settings)


def bearer(token):
    return {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "OAUTHBEARER",
            "oauth_cb": lambda _: (token, time.time() + 300)}


def test_signed_tokens(node):
    secured.round_trip(at(node.tokens), [b"a"], bearer(node.identity.token("alice")))


def test_tokens_that_are_not_good_enough(node):
    stranger = IdentityProvider(node.directory / "stranger")
    for token in (node.identity.token("alice", lifetime=-60), node.identity.token("alice", iss="other"),
                  node.identity.token("alice", aud="other"), node.identity.token("alice", sub=""),
                  stranger.token("alice"), unsecured_token("alice"), node.identity.token("alice")[:-8] + "AAAAAAAA"):
        assert "invalid_token" in secured.refusal(at(node.tokens), bearer(token))


def test_a_new_key_of_the_identity_provider_is_found(node):
    newer = IdentityProvider(node.directory / "newer", "k2")
    assert "invalid_token" in secured.refusal(at(node.tokens), bearer(newer.token("alice")))
    newer.publish(node.jwks)
    assert secured.connects(at(node.tokens), bearer(newer.token("alice")))
    node.identity.publish(node.jwks)


def test_unsigned_tokens_only_where_they_are_asked_for(node):
    assert secured.connects(at(node.unsigned), bearer(unsecured_token("alice")))
    assert "invalid_token" in secured.refusal(at(node.unsigned), bearer(unsecured_token("alice", lifetime=-1)))
    assert "invalid_token" in secured.refusal(at(node.unsigned), bearer(node.identity.token("alice")))


def test_kcat(node):
    # An older librdkafka, which repeats its part of the nonce.
    options = [f"-X{key}={value}" for key, value in password("SCRAM-SHA-512", "scram-user", "scram-secret").items()]
    secured.kcat(at(node.passwords), "-P", "-t", "kcat-sasl", *options, stdin="a\nb\n")
    assert secured.kcat(at(node.passwords), "-C", "-t", "kcat-sasl", "-e", "-q", *options).split() == ["a", "b"]


@pytest.mark.parametrize("python", sorted(paths.KAFKA_PYTHONS))
@pytest.mark.parametrize("mechanism, user, secret", [("PLAIN", "alice", "alice-secret"), ("SCRAM-SHA-256", "scram-user", "scram-secret")])
def test_kafka_python(node, python, mechanism, user, secret):
    run([paths.KAFKA_PYTHONS[python], paths.CLIENTS / "kafka_python_sasl.py", at(node.passwords), mechanism, user, secret,
         f"t-{uuid.uuid4().hex[:8]}"])


@pytest.mark.parametrize("mechanism, user, secret", [("plain", "alice", "alice-secret"), ("scram-sha-512", "scram,=user", "scram-secret")])
def test_kafkajs(node, mechanism, user, secret):
    run(["node", paths.CLIENTS / "kafkajs_sasl.js", at(node.passwords), mechanism, user, secret, f"t-{uuid.uuid4().hex[:8]}"],
        env={**os.environ, "NODE_PATH": str(paths.NODE_MODULES)})


def java_password(mechanism, module, user, secret):
    return {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism,
            "sasl.jaas.config": f'org.apache.kafka.common.security.{module} required username="{user}" password="{secret}";'}


@pytest.mark.slow
@pytest.mark.parametrize("mechanism, module, user, secret", [
    ("PLAIN", "plain.PlainLoginModule", "alice", "alice-secret"),
    ("SCRAM-SHA-256", "scram.ScramLoginModule", "scram,=user", "scram-secret"),
    ("SCRAM-SHA-512", "scram.ScramLoginModule", "scram,=user", "scram-secret")])
def test_java_clients(node, mechanism, module, user, secret):
    secured.java_round_trip(at(node.passwords), node.directory, java_password(mechanism, module, user, secret), f"java-{mechanism}")


@pytest.mark.slow
def test_java_client_with_a_wrong_password(node):
    settings = java_password("SCRAM-SHA-256", "scram.ScramLoginModule", "scram,=user", "wrong-secret")
    assert "invalid credentials with SASL mechanism SCRAM-SHA-256" in secured.java_failure(at(node.passwords), node.directory, settings)


@pytest.mark.slow
def test_java_client_with_a_token(node, monkeypatch):
    file = node.directory / "token.jwt"
    file.write_text(node.identity.token("alice"))
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://{file} "
                                            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files={file}")
    secured.java_round_trip(at(node.tokens), node.directory, {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "sasl.jaas.config": OAUTH_JAAS,
        "sasl.login.callback.handler.class": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler",
        "sasl.oauthbearer.token.endpoint.url": f"file://{file}"}, "java-oauth")


class Raw:
    """A connection that says exactly what a test wants."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frame):
        self.socket.sendall(frame)

    def receive(self):
        """One frame without its length, or nothing when the connection ends."""
        head = self._exactly(4)
        return head and self._exactly(struct.unpack(">i", head)[0])

    def _exactly(self, length):
        data = b""
        while len(data) < length:
            piece = self.socket.recv(length - len(data))
            if not piece:
                return None
            data += piece
        return data

    def handshake(self, mechanism, version=1):
        self.send(wire.request(SASL_HANDSHAKE, version, wire.string(mechanism)))
        answer = self.receive()
        return struct.unpack_from(">h", answer, 4)[0]

    def authenticate(self, token, version=1):
        """Error code, token and session lifetime."""
        self.send(wire.request(SASL_AUTHENTICATE, version, struct.pack(">i", len(token)) + token))
        answer = self.receive()
        code, message_length = struct.unpack_from(">hh", answer, 4)
        position = 8 + max(message_length, 0)
        (length,) = struct.unpack_from(">i", answer, position)
        lifetime = struct.unpack_from(">q", answer, position + 4 + length)[0] if version else 0
        return code, answer[position + 4:position + 4 + length], lifetime

    def metadata(self):
        self.send(wire.request(wire.METADATA, 1, struct.pack(">i", 0)))
        return self.receive()

    def closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


TOKEN = b"\0alice\0alice-secret"


def test_the_order_of_an_authentication(node):
    with Raw(node.passwords) as client:
        client.send(wire.request(wire.API_VERSIONS, 0, b""))
        assert client.receive()
        assert client.handshake("PLAIN") == 0
        assert client.authenticate(TOKEN) == (0, b"", 0)
        assert client.metadata()
        assert client.authenticate(TOKEN)[0] == 34, "there is nothing to authenticate now"
        assert client.metadata(), "and the connection stays"


def test_requests_before_the_authentication_end_the_connection(node):
    for steps in ([], ["PLAIN"]):
        with Raw(node.passwords) as client:
            for mechanism in steps:
                assert client.handshake(mechanism) == 0
            client.send(wire.request(wire.METADATA, 1, struct.pack(">i", 0)))
            assert client.closed()
    with Raw(node.passwords) as client:
        assert client.authenticate(TOKEN)[0] == 34
        assert client.closed()
    assert "before the client was authenticated" in node.server.log()


def test_unknown_mechanisms_are_answered_with_what_there_is(node):
    for mechanism in ("GSSAPI", "OAUTHBEARER", "plain", ""):
        with Raw(node.passwords) as client:
            client.send(wire.request(SASL_HANDSHAKE, 1, wire.string(mechanism)))
            answer = client.receive()
            assert struct.unpack_from(">h", answer, 4)[0] == 33
            assert b"PLAIN" in answer and b"SCRAM-SHA-512" in answer
            assert client.closed()


def test_a_handshake_on_a_listener_without_sasl(node):
    with Raw(node.server.port) as client:
        assert client.handshake("PLAIN") == 34
        assert client.metadata()


def test_tokens_without_a_header_after_the_first_handshake_version(node):
    with Raw(node.passwords) as client:
        assert client.handshake("PLAIN", version=0) == 0
        client.send(struct.pack(">i", len(TOKEN)) + TOKEN)
        assert client.receive() == b""
        assert client.metadata()
    with Raw(node.passwords) as client:
        assert client.handshake("PLAIN", version=0) == 0
        client.send(struct.pack(">i", 8) + b"\0alice\0x")
        assert client.closed()


def test_a_replayed_scram_exchange_is_refused(node):
    first = b"n,,n=scram=2C=3Duser,r=fyko+d2lbbFgONRv9qkxdawL"
    with Raw(node.passwords) as client:
        assert client.handshake("SCRAM-SHA-256") == 0
        code, challenge, _ = client.authenticate(first)
        assert code == 0
    final = _scram_final(first, challenge)
    for replayed in (final, final):
        with Raw(node.passwords) as client:
            assert client.handshake("SCRAM-SHA-256") == 0
            client.authenticate(first)
            assert client.authenticate(replayed)[0] == 58, "it was made for another nonce"
            assert client.closed()
    with Raw(node.passwords) as client:
        assert client.handshake("SCRAM-SHA-256") == 0
        _, challenge, _ = client.authenticate(first)
        code, answer, _ = client.authenticate(_scram_final(first, challenge))
        assert code == 0 and answer.startswith(b"v=")


def _scram_final(first, challenge):
    import hashlib
    import hmac
    parts = dict(part.split(b"=", 1) for part in challenge.split(b","))
    salted = hashlib.pbkdf2_hmac("sha256", b"scram-secret", base64.b64decode(parts[b"s"]), int(parts[b"i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = b"c=biws,r=" + parts[b"r"]
    message = first[3:] + b"," + challenge + b"," + without_proof
    signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
    return without_proof + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))


def test_the_salt_of_an_unknown_user_does_not_change(node):
    def salt():
        with Raw(node.passwords) as client:
            client.handshake("SCRAM-SHA-256")
            return client.authenticate(b"n,,n=stranger,r=abc")[1].split(b",")[1]
    assert salt() == salt()


def test_large_tokens_are_not_read(node):
    with Raw(node.passwords) as client:
        client.send(struct.pack(">i", 10_000_000))
        assert client.closed()


def test_a_session_ends_unless_it_is_renewed(node):
    with Raw(node.short) as client:
        assert client.handshake("PLAIN") == 0
        code, _, lifetime = client.authenticate(TOKEN)
        assert code == 0 and 0 < lifetime <= 1500
        assert client.metadata()
        assert client.handshake("PLAIN") == 0
        assert client.authenticate(TOKEN)[0] == 0
        until(lambda: not _still_served(client), "the session has ended", timeout=10, poll=0.2)
    with Raw(node.short) as client:
        assert client.handshake("PLAIN") == 0 and client.authenticate(TOKEN)[0] == 0
        assert client.handshake("PLAIN") == 0
        assert client.authenticate(b"\0admin\0admin-secret")[0] == 58, "another principal"
        assert client.closed()


def _still_served(client):
    try:
        return client.metadata() is not None
    except OSError:
        return False


def test_librdkafka_renews_its_session(node):
    from confluent_kafka import Producer
    errors = []
    producer = Producer({"bootstrap.servers": at(node.short), "error_cb": errors.append, "log_level": 0,
                         **password("PLAIN", "alice", "alice-secret")})
    end = time.monotonic() + 5
    while time.monotonic() < end:
        producer.produce("renewed", b"x", on_delivery=lambda error, _: error and errors.append(error))
        producer.poll(0.2)
    assert producer.flush(10) == 0 and not errors, errors


@pytest.mark.parametrize("settings, complaint", [
    ({}, "GSSAPI (Kerberos) is not available"),
    ({"sasl.enabled.mechanisms": "PLAIN,GSSAPI"}, "GSSAPI (Kerberos) is not available"),
    ({"sasl.enabled.mechanisms": "DIGEST-MD5"}, "unknown mechanism DIGEST-MD5"),
    ({"sasl.enabled.mechanisms": "PLAIN"}, "listener.name.sasl_plaintext.plain.sasl.jaas.config"),
    ({"sasl.enabled.mechanisms": "OAUTHBEARER"}, "sasl.oauthbearer.jwks.endpoint.url is not set"),
    ({"sasl.enabled.mechanisms": "OAUTHBEARER", "sasl.oauthbearer.jwks.endpoint.url": "file:///x"}, "expected.audience"),
])
def test_a_start_that_cannot_be_says_why(new_server, settings, complaint):
    port = free_port()
    server = new_server({"listeners": f"SASL_PLAINTEXT://127.0.0.1:{port}", **settings}, port=port).spawn()
    assert server.process.wait(30) != 0
    assert complaint in server.log(), server.log()


def test_users_come_from_a_jaas_file_too(new_server, tmp_path):
    file = tmp_path / "jaas.conf"
    file.write_text("KafkaServer {\n  " + PLAIN_JAAS + "\n};\n")
    port = free_port()
    server = new_server({"listeners": f"SASL_PLAINTEXT://127.0.0.1:{port}", "sasl.enabled.mechanisms": "PLAIN"}, port=port,
                        env={"KAFKA_OPTS": f"-Xmx1G -Djava.security.auth.login.config={file}"})
    server.start()
    assert secured.connects(at(port), password("PLAIN", "alice", "alice-secret"))
