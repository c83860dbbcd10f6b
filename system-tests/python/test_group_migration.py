"""Groups that change between the classic and the consumer protocol while their members read (KIP-848)."""

import pytest

from harness import apache, paths

pytestmark = pytest.mark.slow

COOPERATIVE = "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"
RANGE = "org.apache.kafka.clients.consumer.RangeAssignor"


@pytest.mark.parametrize("assignor, static", [(COOPERATIVE, False), (RANGE, False), (RANGE, True)],
                         ids=["cooperative", "eager", "static"])
def test_a_rolling_change_of_the_protocol_there_and_back_loses_and_repeats_nothing(broker, topic, group, assignor, static):
    done = apache.source(paths.CLIENTS / "RollingProtocolChange.java", broker.bootstrap, topic, group, assignor,
                         str(static).lower(), timeout=300)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr
