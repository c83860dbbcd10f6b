"""kafkajs, the client of most Node programs."""

import os

from harness import paths
from harness.scripts import run


def test_kafkajs_round_trip(broker, topic):
    run(["node", paths.CLIENTS / "kafkajs_roundtrip.js", broker.bootstrap, topic],
        env={**os.environ, "NODE_PATH": str(paths.NODE_MODULES)})
