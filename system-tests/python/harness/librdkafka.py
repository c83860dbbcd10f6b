"""Short forms over confluent-kafka (librdkafka) for tests whose subject is the server, not the client."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


_admins = {}


def admin(broker):
    """The admin client for this address. It is kept: a future of one that is gone fails."""
    if broker.bootstrap not in _admins:
        _admins[broker.bootstrap] = AdminClient({
            "bootstrap.servers": broker.bootstrap, "log_level": 0, "reconnect.backoff.max.ms": 200})
    return _admins[broker.bootstrap]


def create_topic(broker, name, partitions=1, config=None):
    client = admin(broker)
    new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config or {})
    for future in client.create_topics([new], request_timeout=20).values():
        future.result()
    return name


def produce(broker, topic, values, partition=0, **options):
    """Produces `values` (bytes, or (key, value) pairs) to one partition; returns the offsets in the order given."""
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5, **options})
    offsets, failures = {}, []
    for index, value in enumerate(values):
        key, value = value if isinstance(value, tuple) else (None, value)

        def delivered(error, message, index=index):
            if error:
                failures.append(error)
            else:
                offsets[index] = message.offset()

        while True:
            try:
                producer.produce(topic, value, key, partition=partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(60)
    assert left == 0 and not failures, f"{left} unsent, failed: {failures[:3]}"
    return [offsets[index] for index in range(len(offsets))]


def end_of(consumer, partition, deadline):
    """The high watermark; a topic that the client has not heard of yet is asked for again."""
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=max(deadline - time.monotonic(), 1))[1]
        except KafkaException as error:
            if error.args[0].code() != KafkaError._UNKNOWN_PARTITION or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def read(broker, topic, partition=0, start=0, timeout=30.0, **options):
    """Every record of a partition from `start` to its end at this moment."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap,
        "group.id": f"read-{time.monotonic_ns()}",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "error",
        "check.crcs": True,
        **options,
    })
    try:
        deadline = time.monotonic() + timeout
        high = end_of(consumer, TopicPartition(topic, partition), deadline)
        consumer.assign([TopicPartition(topic, partition, start)])
        out = []
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    if message.offset() >= high:
                        return out
                    continue
                raise AssertionError(f"reading {topic}-{partition}: {message.error()}")
            out.append(message)
        raise AssertionError(f"{topic}-{partition}: {len(out)} records in {timeout} s, high watermark {high}")
    finally:
        consumer.close()


def values(messages):
    return [message.value() for message in messages]
