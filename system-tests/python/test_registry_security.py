"""The registry behind HTTPS and passwords, for pages of other origins, and in front of a secured Kafka."""

import re
import ssl

import pytest
from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from harness import apache, librdkafka, paths
from harness.certificates import Authority
from harness.registry import Client, Registry, ServerWithRegistry
from harness.scripts import run
from harness.server import Server, free_port
from harness.wait import until

INT = '"int"'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRegistry(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def new_registry(tmp_path, request):
    made = []

    def make(kafka, overrides=None, **options):
        name = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)
        own = {"kafkastore.topic": f"_schemas-{name}", "schema.registry.group.id": f"registries-{name}"}
        registry = Registry(tmp_path / f"registry{len(made)}", kafka.bootstrap, {**own, **(overrides or {})}, **options)
        made.append(registry)
        return registry

    yield make
    for registry in made:
        registry.kill()
        assert "panicked" not in registry.log()


def test_users_need_a_password_and_a_role(server, new_registry, tmp_path):
    users = tmp_path / "password.properties"
    users.write_text("ada: secret,admin\nbob: MD5:5ebe2294ecd0e0f08eab7690d2a6ee69,viewer\n")
    registry = new_registry(server, {
        "authentication.method": "BASIC", "authentication.realm": "Registry", "authentication.roles": "admin,developer",
        "milena.authentication.file": users}, user=("ada", "secret")).start()
    assert registry.register("s", INT).status == 200
    nobody = Client(registry.port).get("/subjects")
    assert (nobody.status, nobody.code, nobody.headers["WWW-Authenticate"]) == (401, 401, 'basic realm="Registry"')
    assert Client(registry.port, user=("ada", "wrong")).get("/subjects").status == 401
    assert Client(registry.port, user=("bob", "secret")).get("/subjects").status == 403


def test_a_jaas_file_names_the_users(server, new_registry, tmp_path):
    users = tmp_path / "password.properties"
    users.write_text("ada: secret,admin\n")
    jaas = tmp_path / "jaas.conf"
    jaas.write_text(f'Realm {{ org.eclipse.jetty.jaas.spi.PropertyFileLoginModule required file="{users}"; }};')
    registry = new_registry(
        server, {"authentication.method": "BASIC", "authentication.realm": "Realm"}, user=("ada", "secret"),
        env={"SCHEMA_REGISTRY_OPTS": f"-Xmx1g -Djava.security.auth.login.config={jaas}"}).start()
    assert registry.get("/subjects").ok() == []
    assert Client(registry.port).get("/subjects").status == 401


def test_https_with_certificates_of_clients(server, new_registry, tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("registry", "/CN=registry")
    authority.issue("client", "/CN=client")
    store = authority.pkcs12("registry", "changeit")
    registry = new_registry(server, {
        "ssl.keystore.location": store, "ssl.keystore.password": "changeit", "ssl.client.authentication": "REQUIRED",
        "ssl.truststore.location": authority.certificate, "ssl.truststore.type": "PEM",
        "inter.instance.protocol": "https"}, scheme="https")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(authority.directory / "client.crt", authority.directory / "client.key")
    registry.context = context
    registry.start()
    assert registry.register("s", INT).status == 200
    stranger = Client(registry.port, "https", ssl.create_default_context(cafile=str(authority.certificate)))
    with pytest.raises((ssl.SSLError, OSError)):
        stranger.get("/subjects")


def test_pages_of_allowed_origins_may_read_the_answers(server, new_registry):
    registry = new_registry(server, {"access.control.allow.origin": "https://ui.example"}).start()
    allowed = registry.get("/subjects", Origin="https://ui.example")
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://ui.example"
    assert registry.get("/subjects", Origin="https://evil.example").headers["Access-Control-Allow-Origin"] is None
    preflight = registry.send("OPTIONS", "/subjects/s/versions", Origin="https://ui.example",
                              Access_Control_Request_Method="POST")
    assert preflight.status == 200 and "POST" in preflight.headers["Access-Control-Allow-Methods"]


def test_writes_are_forwarded_over_https_with_the_password_of_who_asked(server, new_registry, tmp_path):
    authority = Authority(tmp_path / "ca")
    authority.issue("registry", "/CN=registry")
    store = authority.pkcs12("registry", "changeit")
    users = tmp_path / "password.properties"
    users.write_text("ada: secret,admin\nbob: bob-secret,viewer\n")
    settings = {
        "ssl.keystore.location": store, "ssl.keystore.password": "changeit", "ssl.truststore.location": authority.certificate,
        "ssl.truststore.type": "PEM", "inter.instance.protocol": "https", "authentication.method": "BASIC",
        "authentication.realm": "Registry", "authentication.roles": "admin", "milena.authentication.file": users}
    context = ssl.create_default_context(cafile=str(authority.certificate))
    first, second = (new_registry(server, settings, scheme="https", user=("ada", "secret")) for _ in range(2))
    for number, registry in enumerate((first, second), 1):
        registry.context = context
        registry.start()
        until(lambda registry=registry: registry.register("s", {"type": "fixed", "name": "F", "size": 4}).status == 200,
              f"instance {number} reaches the leader")
    assert second.register("t", INT).ok()["id"] == 2
    assert first.get("/subjects").ok() == ["s", "t"]
    # A client of others, with the authority and a password.
    settings = {"url": second.url, "ssl.ca.location": str(authority.certificate)}
    client = SchemaRegistryClient({**settings, "basic.auth.user.info": "ada:secret"})
    assert client.register_schema("python", Schema(INT, "AVRO")) == 2
    for user, status in [("ada:wrong", 401), ("bob:bob-secret", 403)]:
        with pytest.raises(SchemaRegistryError) as refused:
            SchemaRegistryClient({**settings, "basic.auth.user.info": user}).get_subjects()
        assert refused.value.http_status_code == status


def test_schema_registry_start_takes_a_properties_file(server, new_registry, tmp_path):
    """The command of the original, with the names that its own file has."""
    run([paths.MILENA, "install-tools", tmp_path / "bin"])
    registry = new_registry(server)
    file = tmp_path / "schema-registry.properties"
    file.write_text(
        f"# comment\nlisteners={registry.url}\nkafkastore.bootstrap.servers=PLAINTEXT://{server.bootstrap}\n"
        "kafkastore.topic=_schemas_file\nschema.registry.group.id = file\ndebug=false\n"
        "metadata.encoder.secret=REPLACE_ME_WITH_HIGH_ENTROPY_STRING\n"
        "resource.extension.class=io.confluent.dekregistry.DekRegistryResourceExtension\n")
    registry.command = [tmp_path / "bin" / "schema-registry-start", file]
    registry.overrides = {"schema.compatibility.level": "full"}
    registry.start()
    assert registry.get("/config").ok() == {"compatibilityLevel": "FULL"}
    assert registry.register("s", INT).ok()["id"] == 1
    assert "resource.extension.class" in registry.log() and "secret" not in registry.log()
    assert registry.stop() == 0


REGISTRY_JAAS = 'org.apache.kafka.common.security.{}Module required username="registry" password="registry-secret";'


class SecuredKafka:
    """A broker, ours or Apache's, with a plain listener and two secured ones: SASL over TLS, and TLS with certificates."""

    def __init__(self, kind, directory):
        self.authority = Authority(directory / "ca")
        self.authority.issue("broker", "/CN=localhost")
        self.authority.issue("client", "/CN=registry")
        store = self.authority.pkcs12("broker", "changeit")
        trust = directory / "ca" / "ca.pem"
        trust.write_text(self.authority.certificate.read_text())
        sasl, certificates, plain, controller = (free_port() for _ in range(4))
        self.sasl, self.certificates = (f"127.0.0.1:{port}" for port in (sasl, certificates))
        listeners = f"PLAINTEXT://127.0.0.1:{plain},PASSWORDS://127.0.0.1:{sasl},CERTIFICATES://127.0.0.1:{certificates}"
        protocols = "PLAINTEXT:PLAINTEXT,PASSWORDS:SASL_SSL,CERTIFICATES:SSL"
        settings = {
            "listeners": listeners, "listener.security.protocol.map": protocols, "inter.broker.listener.name": "PLAINTEXT",
            "ssl.keystore.location": store, "ssl.keystore.password": "changeit", "ssl.keystore.type": "PKCS12",
            "ssl.truststore.location": trust, "ssl.truststore.type": "PEM",
            "listener.name.certificates.ssl.client.auth": "required",
            "listener.name.passwords.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.passwords.plain.sasl.jaas.config":
                'org.apache.kafka.common.security.plain.PlainLoginModule required user_registry="registry-secret";',
            "listener.name.passwords.scram-sha-512.sasl.jaas.config":
                "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        }
        if kind == "apache":
            settings["listeners"] += f",CONTROLLER://127.0.0.1:{controller}"
            settings["listener.security.protocol.map"] += ",CONTROLLER:PLAINTEXT"
            self.broker = apache.Broker(directory, settings)
            self.broker.port, self.broker.controller_port = plain, controller
        else:
            self.broker = Server(directory, {**settings, "offsets.topic.num.partitions": 2}, port=plain)
        self.broker.start()
        change = UserScramCredentialUpsertion(
            "registry", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8192), b"registry-secret")
        for future in librdkafka.admin(self.broker).alter_user_scram_credentials([change]).values():
            future.result()


@pytest.fixture(scope="module", params=["milena", "apache"])
def secured_kafka(request, tmp_path_factory):
    kafka = SecuredKafka(request.param, tmp_path_factory.mktemp(request.param))
    yield kafka
    kafka.broker.stop()


@pytest.mark.parametrize("way", ["PLAIN", "SCRAM-SHA-512", "certificates", "environment"])
def test_kafka_may_ask_for_passwords_or_certificates(secured_kafka, new_registry, way):
    authority = secured_kafka.authority
    settings = {"kafkastore.ssl.truststore.location": authority.certificate, "kafkastore.ssl.truststore.type": "PEM"}
    if way == "certificates":
        settings |= {
            "kafkastore.bootstrap.servers": f"SSL://{secured_kafka.certificates}", "kafkastore.security.protocol": "SSL",
            "kafkastore.ssl.keystore.location": authority.pkcs12("client", "changeit"),
            "kafkastore.ssl.keystore.password": "changeit", "kafkastore.ssl.keystore.type": "PKCS12"}
    else:
        mechanism, module = ("PLAIN", "plain.PlainLogin") if way == "PLAIN" else ("SCRAM-SHA-512", "scram.ScramLogin")
        settings |= {
            "kafkastore.bootstrap.servers": f"SASL_SSL://{secured_kafka.sasl}", "kafkastore.security.protocol": "SASL_SSL",
            "kafkastore.sasl.mechanism": mechanism, "kafkastore.sasl.jaas.config": REGISTRY_JAAS.format(module)}
    if way == "environment":
        variables = {"SCHEMA_REGISTRY_" + key.upper().replace(".", "_"): str(value) for key, value in settings.items()}
        registry = new_registry(secured_kafka.broker, env=variables)
        del registry.overrides["kafkastore.bootstrap.servers"]
    else:
        registry = new_registry(secured_kafka.broker, settings)
    registry.start()
    assert registry.register("s", INT).ok()["id"] == 1
    assert registry.get("/subjects").ok() == ["s"]
    assert "registry-secret" not in registry.log() and "changeit" not in registry.log()


def test_a_wrong_password_for_kafka_ends_the_start_with_the_reason(secured_kafka, new_registry):
    jaas = REGISTRY_JAAS.format("plain.PlainLogin").replace("registry-secret", "guess")
    registry = new_registry(secured_kafka.broker, {
        "kafkastore.bootstrap.servers": secured_kafka.sasl, "kafkastore.security.protocol": "SASL_SSL",
        "kafkastore.ssl.truststore.location": secured_kafka.authority.certificate, "kafkastore.ssl.truststore.type": "PEM",
        "kafkastore.sasl.mechanism": "PLAIN", "kafkastore.sasl.jaas.config": jaas}).spawn()
    assert registry.process.wait(timeout=60) == 1
    assert "uthentication" in registry.log().splitlines()[-1], registry.log()
