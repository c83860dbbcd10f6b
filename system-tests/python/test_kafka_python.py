"""kafka-python 2.0.2, which most tutorials pin, and the newest."""

import pytest

from harness import paths
from harness.scripts import run

SCENARIOS = ["codecs", "acks", "old_versions", "groups", "positions", "admin"]


@pytest.mark.parametrize("version", paths.KAFKA_PYTHONS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_kafka_python(broker, topic, scenario, version):
    script = paths.CLIENTS / "kafka_python_roundtrip.py"
    run([paths.KAFKA_PYTHONS[version], script, broker.bootstrap, topic, scenario])
