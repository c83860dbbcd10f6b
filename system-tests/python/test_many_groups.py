"""Fifty groups that rebalance at once: each agrees, and goes on agreeing when members leave and come."""

import asyncio
import sys

import pytest

from harness import librdkafka, paths

sys.path.insert(0, str(paths.ROOT / "bench"))
import rebalance  # noqa: E402

GROUPS, MEMBERS, PARTITIONS = 50, 4, 12


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", [rebalance.ClassicMember, rebalance.ConsumerMember])
def test_fifty_groups_rebalance_at_once(new_server, topic, monkeypatch, kind):
    monkeypatch.setattr(rebalance, "PARTITIONS", PARTITIONS)
    server = new_server().start()
    librdkafka.create_topic(server, topic, partitions=PARTITIONS)

    async def life(name):
        group = rebalance.Group(server.bootstrap, topic, name, kind)
        group.add(MEMBERS)
        await group.agreement()
        await group.members.pop(0).stop()
        await group.agreement()
        group.add(2)
        await group.agreement()
        await asyncio.gather(*(member.stop() for member in group.members))

    async def all_at_once():
        await asyncio.gather(*(life(f"{topic}-{number}") for number in range(GROUPS)))

    asyncio.run(all_at_once())
