"""aiokafka: asyncio producer, consumer and groups."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from harness import librdkafka


async def read(broker, topic, count, **options):
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", **options)
    await consumer.start()
    try:
        return [await asyncio.wait_for(consumer.getone(), 30) for _ in range(count)]
    finally:
        await consumer.stop()


@pytest.mark.parametrize("options", [
    {}, {"acks": 0}, {"acks": 1}, {"enable_idempotence": True},
    {"compression_type": "gzip"}, {"compression_type": "snappy"}, {"compression_type": "lz4"}, {"compression_type": "zstd"},
], ids=str)
def test_produce_and_consume(broker, topic, options):
    librdkafka.create_topic(broker, topic)

    async def scenario():
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=5, **options)
        await producer.start()
        try:
            for number in range(300):
                await producer.send(topic, b"%d" % number, key=b"k", headers=[("h", b"v")])
        finally:
            await producer.stop()
        messages = await read(broker, topic, 300)
        assert [message.value for message in messages] == [b"%d" % number for number in range(300)]
        assert {(message.key, message.headers) for message in messages} == {(b"k", (("h", b"v"),))}

    asyncio.run(scenario())


def test_a_group_commits_and_goes_on(broker, topic, group):
    librdkafka.create_topic(broker, topic, partitions=2)

    async def scenario():
        for partition in range(2):
            librdkafka.produce(broker, topic, [b"%d" % number for number in range(20)], partition=partition)
        first = await read(broker, topic, 40, group_id=group)
        assert len({(message.partition, message.offset) for message in first}) == 40
        librdkafka.produce(broker, topic, [b"new"])
        assert [message.value for message in await read(broker, topic, 1, group_id=group)] == [b"new"]

    asyncio.run(scenario())


def test_two_members_share_the_partitions(broker, topic, group):
    librdkafka.create_topic(broker, topic, partitions=4)

    async def scenario():
        members = [AIOKafkaConsumer(topic, bootstrap_servers=broker.bootstrap, group_id=group, session_timeout_ms=6000,
                                    heartbeat_interval_ms=500) for _ in range(2)]
        for member in members:
            await member.start()

        async def balanced():
            while sorted(len(member.assignment()) for member in members) != [2, 2]:
                await asyncio.sleep(0.05)

        await asyncio.wait_for(balanced(), 40)
        assert set.union(*(set(member.assignment()) for member in members)) == {TopicPartition(topic, p) for p in range(4)}
        await members[1].stop()

        async def alone():
            while len(members[0].assignment()) != 4:
                await asyncio.sleep(0.05)

        await asyncio.wait_for(alone(), 40)
        await members[0].stop()

    asyncio.run(scenario())
