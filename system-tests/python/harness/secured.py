"""Clients that connect to a listener with TLS or SASL."""

import subprocess
import uuid

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from . import apache


def round_trip(address, values, settings, topic=None):
    """Produces and reads back through librdkafka; the topic is made automatically."""
    topic = topic or f"t-{uuid.uuid4().hex[:8]}"
    client = {"bootstrap.servers": address, "log_level": 0, "socket.timeout.ms": 20000, **settings}
    failures = []
    producer = Producer({**client, "linger.ms": 5, "message.timeout.ms": 30000, "message.max.bytes": 10_000_000})
    for value in values:
        producer.produce(topic, value, partition=0, on_delivery=lambda error, _: error and failures.append(error))
        producer.poll(0)
    assert producer.flush(60) == 0 and not failures, failures[:3]
    consumer = Consumer({**client, "group.id": f"g-{uuid.uuid4().hex[:8]}", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    read = []
    try:
        while len(read) < len(values):
            message = consumer.poll(30)
            assert message is not None, f"{len(read)} of {len(values)} records after 30 s"
            assert not message.error(), message.error()
            read.append(message.value())
    finally:
        consumer.close()
    assert read == list(values)


def refusal(address, settings):
    """Why a client cannot connect, as it tells its error callback."""
    errors = []
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0, "error_cb": errors.append, **settings})
    try:
        admin.list_topics(timeout=5)
    except KafkaException as failure:
        errors.append(failure.args[0])
    admin.poll(0.2)
    assert errors, "the client could connect"
    return " | ".join(str(error) for error in errors)


def connects(address, settings):
    return bool(AdminClient({"bootstrap.servers": address, "log_level": 0, **settings}).list_topics(timeout=20).brokers)


def java_round_trip(address, directory, properties, topic):
    """Apache Kafka's console tools with a file of client properties."""
    file = directory / f"client-{uuid.uuid4().hex[:8]}.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    apache.tool("kafka-console-producer", "--bootstrap-server", address, "--topic", topic, "--command-config", file,
                stdin="one\ntwo\n")
    read = apache.tool("kafka-console-consumer", "--bootstrap-server", address, "--topic", topic, "--command-config", file,
                       "--from-beginning", "--max-messages", "2")
    assert read.stdout.split() == ["one", "two"]


def java_failure(address, directory, properties):
    """The output of a Java tool that must not succeed."""
    file = directory / f"client-{uuid.uuid4().hex[:8]}.properties"
    properties = {"request.timeout.ms": 5000, "default.api.timeout.ms": 10000, **properties}
    file.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    done = apache.tool("kafka-topics", "--bootstrap-server", address, "--command-config", file, "--list", check=False)
    assert done.returncode != 0
    return done.stdout + done.stderr


def kcat(address, *arguments, stdin=None):
    done = subprocess.run(["kcat", "-b", address, *arguments], input=stdin, capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
