"""TLS and mutual TLS: real clients, certificates that change while the broker runs, and clients that do not belong."""

import socket
import ssl
import struct
import subprocess

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from harness import librdkafka, secured, wire
from harness.certificates import Authority
from harness.server import Server, free_port
from harness.wait import until


class Secured:
    """A server with a plaintext listener for looking after it, one with TLS and one with mutual TLS."""

    def __init__(self, directory):
        self.directory = directory
        self.authority = Authority(directory / "ca")
        self.store = directory / "broker.pem"
        self.store.write_text(self.authority.issue("broker", "/O=Test/CN=broker").read_text())
        self.client = self.authority.issue("client", "/C=DE/O=Test, Inc./OU=Users/CN=Some Client")
        self.tls, self.mtls, port = free_port(), free_port(), free_port()
        self.server = Server(directory, {
            "listeners": f"PLAINTEXT://127.0.0.1:{port},TLS://127.0.0.1:{self.tls},MTLS://127.0.0.1:{self.mtls}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,TLS:SSL,MTLS:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.store,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority.certificate,
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.mtls.ssl.principal.mapping.rules": "RULE:^CN=([^,]*),.*$/$1/L,DEFAULT",
        }, port=port).start()

    @property
    def tls_address(self):
        return f"localhost:{self.tls}"

    @property
    def trusting(self):
        return {"security.protocol": "ssl", "ssl.ca.location": str(self.authority.certificate)}

    @property
    def with_certificate(self):
        directory = self.authority.directory
        return {**self.trusting, "ssl.certificate.location": str(directory / "client.crt"),
                "ssl.key.location": str(directory / "client.key")}

    def served_certificate(self, port=None):
        return ssl.get_server_certificate(("127.0.0.1", port or self.tls))


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    made = Secured(tmp_path_factory.mktemp("tls"))
    yield made
    assert made.server.alive() and made.server.stop() == 0, made.server.log_tail()
    assert "panicked" not in made.server.log()


def test_librdkafka_round_trip_of_large_records(node):
    values = [bytes([number]) * 700_000 + b"%d" % number for number in range(40)]
    secured.round_trip(node.tls_address, values, node.trusting)


def test_many_small_records_and_compression(node):
    values = [b"value-%d" % number for number in range(20_000)]
    secured.round_trip(node.tls_address, values, {**node.trusting, "compression.type": "zstd"})


def test_kcat(node):
    options = ["-X", "security.protocol=ssl", "-X", f"ssl.ca.location={node.authority.certificate}"]
    secured.kcat(node.tls_address, "-P", "-t", "kcat-tls", *options, stdin="a\nb\n")
    assert secured.kcat(node.tls_address, "-C", "-t", "kcat-tls", "-e", "-q", *options).split() == ["a", "b"]


@pytest.mark.slow
def test_java_clients_with_and_without_a_certificate(node):
    trusting = {"security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": node.authority.certificate}
    secured.java_round_trip(node.tls_address, node.directory, trusting, "java-tls")
    showing = {**trusting, "ssl.keystore.type": "PEM", "ssl.keystore.location": node.client}
    secured.java_round_trip(f"localhost:{node.mtls}", node.directory, showing, "java-mtls")


def test_a_certificate_is_required_where_the_listener_says_so(node):
    assert secured.connects(f"localhost:{node.mtls}", node.with_certificate)
    assert secured.refusal(f"localhost:{node.mtls}", node.trusting)
    stranger = Authority(node.directory / "other", "Other CA")
    stranger.issue("client", "/CN=Stranger")
    unknown = {**node.trusting, "ssl.certificate.location": str(stranger.directory / "client.crt"),
               "ssl.key.location": str(stranger.directory / "client.key")}
    assert secured.refusal(f"localhost:{node.mtls}", unknown)
    until(lambda: "TLS handshake failed" in node.server.log(), "the refusal is logged")


def test_plaintext_to_a_tls_port_is_closed_with_a_log_line(node):
    with socket.create_connection(("127.0.0.1", node.tls), timeout=10) as client:
        client.sendall(wire.request(wire.METADATA, 1, struct.pack(">i", 0)))
        while client.recv(4096):
            pass
    until(lambda: "does not speak TLS" in node.server.log(), "the log says so")


def test_tls_to_a_plaintext_port_is_closed_with_a_log_line(node):
    context = ssl.create_default_context(cafile=node.authority.certificate)
    with socket.create_connection(("127.0.0.1", node.server.port), timeout=10) as client:
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(client, server_hostname="localhost")
    until(lambda: "speaks TLS, but the listener does not" in node.server.log(), "the log says so")


def test_clients_that_never_finish_the_handshake_keep_nobody_out(node):
    idle = [socket.create_connection(("127.0.0.1", node.tls), timeout=10) for _ in range(200)]
    try:
        for client in idle[:100]:
            client.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert secured.connects(node.tls_address, node.trusting)
    finally:
        for client in idle:
            client.close()


def test_a_record_of_garbage_ends_the_connection_only(node):
    with socket.create_connection(("127.0.0.1", node.tls), timeout=10) as client:
        client.sendall(b"\x16\x03\x01\x00\x05hello")
        while client.recv(4096):
            pass
    assert secured.connects(node.tls_address, node.trusting)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_are_spoken(node, version):
    context = ssl.create_default_context(cafile=node.authority.certificate)
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", node.tls), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as client:
            client.sendall(wire.request(wire.API_VERSIONS, 0, b""))
            assert len(client.recv(4096)) > 100


def test_a_new_certificate_in_the_file_is_shown_without_a_restart(node):
    before = node.served_certificate()
    node.store.write_text(node.authority.issue("renewed", "/O=Test/CN=renewed").read_text())
    until(lambda: node.served_certificate() != before, "the new certificate is served", timeout=30)
    assert secured.connects(node.tls_address, node.trusting)


def test_a_new_certificate_comes_with_a_dynamic_configuration(node):
    before = node.served_certificate()
    other = node.authority.issue("dynamic", "/O=Test/CN=dynamic")
    entry = ConfigEntry("listener.name.tls.ssl.keystore.location", str(other), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.BROKER, "1", incremental_configs=[entry])
    for future in librdkafka.admin(node.server).incremental_alter_configs([resource]).values():
        future.result()
    assert node.served_certificate() != before, "in force before the change is answered"
    assert node.served_certificate(node.mtls) != node.served_certificate(), "for this listener alone"
    broken = ConfigEntry("listener.name.tls.ssl.keystore.location", "/nonexistent", incremental_operation=AlterConfigOpType.SET)
    served = node.served_certificate()
    for future in librdkafka.admin(node.server).incremental_alter_configs(
            [ConfigResource(ResourceType.BROKER, "1", incremental_configs=[broken])]).values():
        future.result()
    assert node.served_certificate() == served, "what cannot be loaded changes nothing"


def _settings(port, **more):
    return {"listeners": f"SSL://127.0.0.1:{port}", **more}


@pytest.mark.parametrize("made_by", ["openssl", "keytool"])
def test_pkcs12_key_stores(new_server, tmp_path, made_by):
    authority = Authority(tmp_path / "ca")
    authority.issue("broker", "/CN=broker")
    store = authority.pkcs12("broker", "changeit")
    if made_by == "keytool":
        converted = tmp_path / "java.p12"
        subprocess.run(["keytool", "-importkeystore", "-srckeystore", store, "-srcstorepass", "changeit", "-destkeystore", converted,
                        "-deststorepass", "changeit", "-deststoretype", "PKCS12"], check=True, capture_output=True)
        store = converted
    port = free_port()
    new_server(_settings(port, **{"ssl.keystore.location": store, "ssl.keystore.password": "changeit"}), port=port).start()
    trusting = {"security.protocol": "ssl", "ssl.ca.location": str(authority.certificate)}
    assert secured.connects(f"localhost:{port}", trusting)


def test_a_trust_store_of_keytool(new_server, tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("broker", "/CN=broker")
    authority.issue("client", "/CN=client")
    trust = tmp_path / "trust.p12"
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", authority.certificate, "-keystore", trust,
                    "-storepass", "changeit", "-storetype", "PKCS12"], check=True, capture_output=True)
    port = free_port()
    new_server(_settings(port, **{
        "ssl.keystore.type": "PEM", "ssl.keystore.location": authority.directory / "broker.pem", "ssl.client.auth": "required",
        "ssl.truststore.location": trust, "ssl.truststore.type": "PKCS12", "ssl.truststore.password": "changeit"}), port=port).start()
    trusting = {"security.protocol": "ssl", "ssl.ca.location": str(authority.certificate)}
    showing = {**trusting, "ssl.certificate.location": str(authority.directory / "client.crt"),
               "ssl.key.location": str(authority.directory / "client.key")}
    assert secured.connects(f"localhost:{port}", showing)
    assert secured.refusal(f"localhost:{port}", trusting)


@pytest.mark.parametrize("settings, complaint", [
    ({}, "ssl.keystore.location"),
    ({"ssl.keystore.location": "{jks}", "ssl.keystore.password": "secret-password"}, "keytool -importkeystore"),
    ({"ssl.keystore.location": "{p12}", "ssl.keystore.password": "secret-wrong"}, "wrong password"),
    ({"ssl.keystore.location": "{pem}"}, "set the type to PEM"),
    ({"ssl.keystore.type": "PEM", "ssl.keystore.location": "{pem}", "ssl.enabled.protocols": "TLSv1.9"}, "unknown protocol"),
    ({"ssl.keystore.type": "PEM", "ssl.keystore.location": "{pem}", "ssl.client.auth": "required"}, "ssl.truststore.location"),
    ({"ssl.keystore.type": "PEM", "ssl.keystore.location": "{pem}", "ssl.principal.mapping.rules": "RULE:(/x/"}, "mapping.rules"),
])
def test_a_start_that_cannot_be_says_why_and_no_secrets(new_server, tmp_path, settings, complaint):
    authority = Authority(tmp_path / "ca")
    pem = authority.issue("broker", "/CN=broker")
    jks = tmp_path / "broker.jks"
    jks.write_bytes(bytes.fromhex("feedfeed00000002") + bytes(32))
    files = {"jks": jks, "pem": pem, "p12": authority.pkcs12("broker", "changeit")}
    port = free_port()
    filled = {key: str(value).format(**files) for key, value in settings.items()}
    server = new_server(_settings(port, **filled), port=port).spawn()
    assert server.process.wait(30) != 0
    assert complaint in server.log() and "SSL" in server.log(), server.log()
    assert "secret-" not in server.log()
