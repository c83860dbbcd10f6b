"""Where the built binary and the installed clients are."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]
CACHE = ROOT / ".cache"
CLIENTS = ROOT / "system-tests" / "python" / "clients"

#: The binary under test. MILENA_BIN selects another build.
MILENA = pathlib.Path(os.environ.get("MILENA_BIN", ROOT / "target" / "release" / "milena")).resolve()

#: kafka-python 2.0.2 and the newest live in environments of their own, so their tests are scripts.
KAFKA_PYTHONS = {
    "2.0.2": CACHE / "venv-legacy" / "bin" / "python",
    "newest": CACHE / "venv" / "bin" / "python",
}

#: Clients of ksqlDB.
SQL_PYTHON = CACHE / "venv-sql" / "bin" / "python"
NODE_MODULES = CACHE / "node" / "node_modules"
KAFKA_LIBS = CACHE / "kafka" / "libs"
#: Confluent's Java client of the schema registry, as Apache Flink publishes it.
JAVA_REGISTRY_CLIENT = CACHE / "java-registry-client"
