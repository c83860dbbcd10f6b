"""What is still there after a restart: records, topics, configurations, committed offsets."""

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import ConfigResource

from harness import librdkafka
from harness.wait import until

ENDINGS = pytest.mark.parametrize("ending", ["kill", "stop"])


def consume(server, topic, group, count, **options):
    """Reads `count` records as a member of `group`, commits, leaves."""
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                         "enable.auto.commit": False, **options})
    try:
        consumer.subscribe([topic])
        out = []

        def more():
            message = consumer.poll(0.2)
            if message is not None:
                assert not message.error(), message.error()
                out.append(message.value())
            return len(out) >= count

        until(more, f"{count} records for {group}", timeout=40, poll=0)
        consumer.commit(asynchronous=False)
        return out
    finally:
        consumer.close()


@ENDINGS
def test_a_new_group_replays_the_whole_topic_after_a_restart(new_server, topic, ending):
    server = new_server().start()
    values = [b"event-%d" % number for number in range(1000)]
    librdkafka.produce(server, topic, values)
    assert consume(server, topic, "first-reader", 1000) == values
    getattr(server, ending)()
    server.start()
    assert consume(server, topic, "second-reader", 1000) == values


@ENDINGS
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_committed_offsets_survive(new_server, topic, ending, protocol):
    server = new_server().start()
    librdkafka.produce(server, topic, [b"%d" % number for number in range(100)])
    options = {"group.protocol": protocol}
    assert len(consume(server, topic, "g", 100, **options)) == 100
    getattr(server, ending)()
    server.start()
    librdkafka.produce(server, topic, [b"new"])
    assert consume(server, topic, "g", 1, **options) == [b"new"]
    listed = librdkafka.admin(server).list_consumer_groups(request_timeout=10).result()
    assert "g" in [group.group_id for group in listed.valid]


@ENDINGS
def test_topics_and_their_configurations_survive_and_deleted_ones_stay_away(new_server, ending):
    server = new_server().start()
    librdkafka.create_topic(server, "kept", partitions=3, config={"retention.ms": "123456", "cleanup.policy": "compact"})
    librdkafka.create_topic(server, "gone")
    librdkafka.produce(server, "gone", [b"x"])
    for future in librdkafka.admin(server).delete_topics(["gone"], request_timeout=10).values():
        future.result()
    getattr(server, ending)()
    server.start()
    client = librdkafka.admin(server)
    topics = client.list_topics(timeout=10).topics
    assert len(topics["kept"].partitions) == 3
    assert "gone" not in topics
    (future,) = client.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, "kept")]).values()
    config = future.result()
    assert config["retention.ms"].value == "123456"
    assert config["cleanup.policy"].value == "compact"
    # The same name again is a new, empty topic.
    librdkafka.create_topic(server, "gone")
    assert librdkafka.read(server, "gone") == []


def test_a_consumer_rides_through_a_restart(new_server, topic):
    server = new_server().start()
    librdkafka.create_topic(server, topic)
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "rider", "auto.offset.reset": "earliest",
                         "reconnect.backoff.max.ms": 200})
    seen = []

    def read_until(count):
        def more():
            message = consumer.poll(0.1)
            if message is not None and not message.error():
                seen.append(message.value())
            return len(seen) >= count
        until(more, f"{count} records", timeout=60, poll=0)

    try:
        consumer.subscribe([topic])
        librdkafka.produce(server, topic, [b"before"])
        read_until(1)
        server.restart()
        librdkafka.produce(server, topic, [b"after"])
        read_until(2)
        server.kill()
        server.start()
        librdkafka.produce(server, topic, [b"after kill"])
        read_until(3)
    finally:
        consumer.close()
    assert seen == [b"before", b"after", b"after kill"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_thousands_of_partitions_need_neither_thousands_of_files_nor_threads(new_server, topic):
    server = new_server().start()
    client = librdkafka.admin(server)
    from confluent_kafka.admin import NewTopic
    for future in client.create_topics([NewTopic(f"{topic}-{number}", 500, 1) for number in range(6)],
                                       request_timeout=60, operation_timeout=60).values():
        future.result()
    for number in range(6):
        librdkafka.produce(server, f"{topic}-{number}", [b"x"], partition=499)
    assert server.threads() < 64
    assert server.open_files() < 2500
    server.kill()
    server.start(timeout=20)
    assert librdkafka.values(librdkafka.read(server, f"{topic}-5", partition=499)) == [b"x"]
    assert server.threads() < 64
    assert server.open_files() < 2500


@ENDINGS
def test_partitions_spread_over_several_log_directories_and_are_found_again(new_server, topic, ending):
    server = new_server()
    server.overrides["log.dirs"] = f"{server.data / 'a'},{server.data / 'b'}"
    server.start()
    librdkafka.create_topic(server, topic, partitions=6)
    for partition in range(6):
        librdkafka.produce(server, topic, [b"%d" % partition], partition=partition)
    assert {path.parent.name for path in server.data.rglob(f"{topic}-*")} == {"a", "b"}
    getattr(server, ending)()
    server.start()
    for partition in range(6):
        assert librdkafka.values(librdkafka.read(server, topic, partition)) == [b"%d" % partition]
