"""The registry behind HTTPS and passwords, for pages of other origins, and in front of a secured Kafka."""

import ssl

import pytest
from harness.certificates import Authority
from harness.registry import Client, Registry, ServerWithRegistry

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
        name = request.node.name.replace("_", "-")
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
