"""Our tools as clients of an Apache Kafka that wants TLS and logins: what its own client accepts, ours does too."""

import shutil
import subprocess

import pytest

from harness import apache, paths
from harness.scripts import run
from harness.server import free_port

pytestmark = pytest.mark.slow

PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="{}";'
SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="carol" password="{}";'
OAUTH = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="{}";'
PASSWORD = "store-secret"


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """A broker with a listener of each kind, and the certificates to reach it."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing")
    directory = tmp_path_factory.mktemp("secured")
    certificates(directory)
    ports = {name: free_port() for name in ("TLS", "MTLS", "LOGIN", "BOTH")}
    broker = apache.Broker(directory)
    listeners = f"PLAINTEXT://127.0.0.1:{broker.port},CONTROLLER://127.0.0.1:{broker.controller_port}"
    handler = "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
    broker.overrides = {
        "listeners": listeners + "".join(f",{name}://127.0.0.1:{port}" for name, port in ports.items()),
        "listener.security.protocol.map":
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,MTLS:SSL,LOGIN:SASL_PLAINTEXT,BOTH:SASL_SSL",
        "ssl.keystore.location": directory / "server.p12", "ssl.keystore.password": PASSWORD,
        "ssl.keystore.type": "PKCS12", "ssl.truststore.location": directory / "ca.pem", "ssl.truststore.type": "PEM",
        "listener.name.mtls.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,OAUTHBEARER",
        **{f"listener.name.{name}.plain.sasl.jaas.config": PLAIN.format("alice-secret")[:-1]
           + ' user_alice="alice-secret";' for name in ("login", "both")},
        **{f"listener.name.{name}.scram-sha-256.sasl.jaas.config":
           "org.apache.kafka.common.security.scram.ScramLoginModule required;" for name in ("login", "both")},
        **{f"listener.name.{name}.oauthbearer.sasl.jaas.config":
           "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;" for name in ("login", "both")},
        **{f"listener.name.{name}.oauthbearer.sasl.server.callback.handler.class": handler for name in ("login", "both")},
        "listener.name.login.plain.connections.max.reauth.ms": 1500,
    }
    broker.start()
    apache.tool("kafka-configs", "--bootstrap-server", broker.bootstrap, "--alter", "--entity-type", "users",
                "--entity-name", "carol", "--add-config", "SCRAM-SHA-256=[password=carol-secret]")
    apache.tool("kafka-topics", "--bootstrap-server", broker.bootstrap, "--create", "--topic", "guarded")
    yield directory, ports
    broker.stop()


def certificates(directory):
    """A CA, a server's certificate for localhost and a client's, the latter two as PKCS#12 too."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
            "-subj", "/CN=Test CA")
    (directory / "names").write_text("subjectAltName=DNS:localhost\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj",
                f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                f"{name}.pem", "-days", "30", "-extfile", "names")
        openssl("pkcs12", "-export", "-in", f"{name}.pem", "-inkey", f"{name}.key", "-certfile", "ca.pem", "-out",
                f"{name}.p12", "-passout", f"pass:{PASSWORD}")


def tls(directory, **more):
    return {"security.protocol": "SSL", "ssl.truststore.type": "PEM", "ssl.truststore.location": directory / "ca.pem",
            **more}


def login(mechanism, jaas, protocol="SASL_PLAINTEXT", **more):
    return {"security.protocol": protocol, "sasl.mechanism": mechanism, "sasl.jaas.config": jaas, **more}


def topics(secured, listener, properties, host="localhost"):
    directory, ports = secured
    file = directory / "client.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    return run([paths.MILENA, "kafka-topics", "--bootstrap-server", f"{host}:{ports[listener]}", "--command-config", file,
                "--list"], check=False)


def accepted(done):
    assert done.returncode == 0 and "guarded" in done.stdout.split(), done.stdout + done.stderr


def refused(done, word):
    text = done.stdout + done.stderr
    assert done.returncode == 1 and word in text, text
    assert "secret" not in text, "a password must not be printed"


def test_tls_with_a_trusted_certificate_and_without(secured):
    directory, _ = secured
    accepted(topics(secured, "TLS", tls(directory)))
    inline = (directory / "ca.pem").read_text().replace("\n", " ")
    accepted(topics(secured, "TLS", {"security.protocol": "SSL", "ssl.truststore.certificates": inline}))
    other = {"ssl.truststore.location": directory / "client.pem"}
    refused(topics(secured, "TLS", {**tls(directory), **other}), "SslAuthenticationException")


def test_the_name_in_the_certificate_is_checked_unless_told_not_to(secured):
    directory, _ = secured
    refused(topics(secured, "TLS", tls(directory), host="127.0.0.1"), "SslAuthenticationException")
    unchecked = tls(directory, **{"ssl.endpoint.identification.algorithm": ""})
    accepted(topics(secured, "TLS", unchecked, host="127.0.0.1"))


def test_mutual_tls_needs_the_clients_certificate(secured):
    directory, _ = secured
    unchecked = {"ssl.endpoint.identification.algorithm": ""}
    key = {"ssl.keystore.location": directory / "client.p12", "ssl.keystore.password": PASSWORD}
    accepted(topics(secured, "MTLS", tls(directory, **unchecked, **key)))
    refused(topics(secured, "MTLS", tls(directory, **unchecked)), "SslAuthenticationException")


@pytest.mark.parametrize("mechanism, jaas", [
    ("PLAIN", PLAIN.format("alice-secret")), ("SCRAM-SHA-256", SCRAM.format("carol-secret")),
    ("OAUTHBEARER", OAUTH.format("erin")),
])
def test_logins(secured, mechanism, jaas):
    directory, _ = secured
    accepted(topics(secured, "LOGIN", login(mechanism, jaas)))
    encrypted = tls(directory, **{"ssl.endpoint.identification.algorithm": ""})
    accepted(topics(secured, "BOTH", {**encrypted, **login(mechanism, jaas, "SASL_SSL")}))


@pytest.mark.parametrize("mechanism, jaas", [("PLAIN", PLAIN.format("secret")), ("SCRAM-SHA-256", SCRAM.format("secret"))])
def test_wrong_passwords_end_at_once_and_are_not_printed(secured, mechanism, jaas):
    refused(topics(secured, "LOGIN", login(mechanism, jaas)), "SaslAuthenticationException")


def test_a_session_is_renewed_before_it_ends(secured):
    """Four seconds of producing over sessions of a second and a half, in transactions."""
    directory, ports = secured
    file = directory / "renewed.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in login("PLAIN", PLAIN.format("alice-secret")).items()))
    done = run([paths.MILENA, "kafka-producer-perf-test", "--topic", "guarded", "--num-records", 4000, "--record-size", 50,
                "--throughput", 1000, "--bootstrap-server", f"127.0.0.1:{ports['LOGIN']}", "--command-config", file,
                "--transaction-duration-ms", 300])
    assert "4000 records sent" in done.stdout and not done.stderr, done.stdout + done.stderr
