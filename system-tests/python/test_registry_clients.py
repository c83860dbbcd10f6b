"""Serializers and clients of others: Python, Node and Java, end to end through topics."""

import json
import os
import subprocess

import pytest
from harness import apache, librdkafka, paths
from harness.registry import ServerWithRegistry

AVRO = {"type": "record", "name": "Order", "namespace": "shop",
        "fields": [{"name": "id", "type": "long"}, {"name": "item", "type": "string"}]}
JSON_SCHEMA = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Order", "type": "object",
               "properties": {"id": {"type": "integer"}, "item": {"type": "string"}}, "required": ["id"]}
ORDER = {"id": 7, "item": "tea"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRegistry(tmp_path_factory.mktemp("clients")).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


def python_client(server):
    from confluent_kafka.schema_registry import SchemaRegistryClient
    return SchemaRegistryClient({"url": server.registry.url})


def round_trip(server, topic, serializer, deserializer, value):
    """Produces one serialized value, consumes it, and returns what was read and the bytes on the wire."""
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka.serialization import MessageField, SerializationContext
    context = SerializationContext(topic, MessageField.VALUE)
    librdkafka.produce(server, topic, [serializer(value, context)])
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "x", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None and not message.error(), message
    return deserializer(message.value(), context), message.value()


def test_python_avro(server, topic):
    from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
    client = python_client(server)
    read, wire = round_trip(server, topic, AvroSerializer(client, json.dumps(AVRO)), AvroDeserializer(client), ORDER)
    assert read == ORDER
    latest = client.get_latest_version(f"{topic}-value")
    assert wire[:5] == b"\0" + latest.schema_id.to_bytes(4, "big")
    assert latest.version == 1 and client.get_schema(latest.schema_id).schema_type == "AVRO"


def test_python_json(server, topic):
    from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
    client, schema = python_client(server), json.dumps(JSON_SCHEMA)
    read, wire = round_trip(server, topic, JSONSerializer(schema, client), JSONDeserializer(schema, schema_registry_client=client), ORDER)
    assert read == ORDER and json.loads(wire[5:]) == ORDER
    assert server.registry.get(f"/subjects/{topic}-value/versions/1").ok()["schemaType"] == "JSON"


def test_python_protobuf(server, topic):
    from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
    from google.protobuf.timestamp_pb2 import Timestamp
    client = python_client(server)
    value = Timestamp(seconds=12, nanos=34)
    read, _ = round_trip(server, topic, ProtobufSerializer(Timestamp, client), ProtobufDeserializer(Timestamp), value)
    assert read == value
    stored = server.registry.get(f"/subjects/{topic}-value/versions/1").ok()
    assert stored["schemaType"] == "PROTOBUF" and "message Timestamp" in stored["schema"]


def test_python_admin_calls(server, topic):
    from confluent_kafka.schema_registry import Schema
    from confluent_kafka.schema_registry.error import SchemaRegistryError
    client = python_client(server)
    schema = Schema(json.dumps(AVRO), "AVRO")
    identity = client.register_schema(topic, schema)
    assert client.register_schema(topic, schema) == identity
    assert client.lookup_schema(topic, schema).version == 1
    assert topic in client.get_subjects() and client.get_versions(topic) == [1]
    client.set_compatibility(topic, "FULL")
    assert client.get_compatibility(topic) == "FULL"
    other = Schema(json.dumps({**AVRO, "fields": [{"name": "other", "type": "string"}]}), "AVRO")
    assert client.test_compatibility(topic, other) is False
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(topic, other)
    assert refused.value.http_status_code == 409
    assert client.delete_subject(topic) == [1]
    assert client.delete_subject(topic, permanent=True) == [1]
    with pytest.raises(SchemaRegistryError) as missing:
        client.get_latest_version(topic)
    assert missing.value.error_code == 40401


def test_node(server, topic):
    librdkafka.create_topic(server, topic)
    done = subprocess.run(
        ["node", paths.CLIENTS / "registry_roundtrip.js", server.bootstrap, server.registry.url, topic],
        capture_output=True, text=True, timeout=90, check=False, env={**os.environ, "NODE_PATH": str(paths.NODE_MODULES)})
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["read"] == [{"id": 7, "item": "tea"}] * 3 and told["latest"] == told["id"]


@pytest.mark.slow
def test_java(server, topic):
    librdkafka.create_topic(server, topic)
    done = apache.source(paths.CLIENTS / "JavaSchemaRegistry.java", server.bootstrap, server.registry.url, topic,
                         classpath=paths.JAVA_REGISTRY_CLIENT)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr
