"""Fixtures of the system tests. Each module owns its server; a test that hurts a server takes one of its own."""

import itertools
import os
import re
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from harness import databases, paths  # noqa: E402
from harness.server import Server, _many_files  # noqa: E402

_names = itertools.count(1)


def pytest_configure(config):
    _many_files()
    if not paths.MILENA.exists() and not external_bootstrap():
        raise pytest.UsageError(f"{paths.MILENA} is missing: cargo build --release -p milena, or set MILENA_BIN")


def external_bootstrap():
    """SYSTEM_TEST_BOOTSTRAP=host:port runs the client tests against a broker that already runs (say, Apache Kafka)."""
    return os.environ.get("SYSTEM_TEST_BOOTSTRAP")


class External:
    """Stands for a server that is not ours to start or stop."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.port = int(bootstrap.rsplit(":", 1)[1])

    def __getattr__(self, name):
        pytest.skip(f"needs a server of its own ({name})")


@pytest.fixture(scope="module")
def broker(request, tmp_path_factory):
    """The module's server. A module sets OVERRIDES to change its configuration."""
    if external_bootstrap():
        yield External(external_bootstrap())
        return
    server = Server(tmp_path_factory.mktemp("broker"), getattr(request.module, "OVERRIDES", None)).start()
    yield server
    alive = server.alive()
    code = server.stop()
    print(server.log_tail())
    assert alive, f"the server died during the module:\n{server.log_tail()}"
    assert code == 0, f"exit code {code} on SIGTERM:\n{server.log_tail()}"
    assert "panicked" not in server.log(), server.log_tail()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    """The Kafka of a module whose tests are about what stands in front of it."""
    server = Server(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def new_server(tmp_path):
    """Makes servers that a test may kill, stop, corrupt and restart; whatever still runs is killed at the end."""
    if external_bootstrap():
        pytest.skip("needs a server of its own")
    made = []

    def make(overrides=None, **options):
        server = Server(options.pop("directory", tmp_path / f"server{len(made)}"), overrides, **options)
        made.append(server)
        return server

    yield make
    for server in made:
        if server.alive():
            server.kill()
        assert "panicked" not in server.log(), server.log_tail()


@pytest.fixture
def topic(request):
    """A topic name that no other test uses."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-").lower()
    return f"{name[:60]}-{os.getpid()}-{next(_names)}"


@pytest.fixture
def group(topic):
    return f"group-of-{topic}"


def _database_server(make):
    server = make()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture(scope="session")
def mariadb():
    """A MariaDB of this worker, for tests that do not stop it: `mariadb.database(name)`."""
    yield from _database_server(databases.MariaDb)


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL of this worker, for tests that do not stop it: `postgres.database(name)`."""
    yield from _database_server(databases.Postgres)


@pytest.fixture
def new_database_server():
    """Makes servers that a test may kill, stop and freeze: `new_database_server(databases.MariaDb, tls=..)`."""
    made = []

    def make(kind, **options):
        made.append(kind(**options))
        return made[-1].start()

    yield make
    for server in made:
        server.remove()


@pytest.fixture(params=["mariadb", "postgres", "sqlite"])
def database(request, topic, tmp_path):
    """An empty database of its own for each test, once on each kind of server."""
    if request.param == "sqlite":
        return databases.Sqlite(tmp_path / "test.db")
    return request.getfixturevalue(request.param).database(re.sub(r"\W", "_", topic)[-40:].strip("_"))
