"""API v2 of the REST Proxy: metadata and records in every format, and what is wrong told as specified."""

import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import librdkafka
from harness.rest import V2, RestProxy, ServerWithRest, b64, embedded, refused
from harness.server import free_port

ACCOUNT = {"type": "record", "name": "account", "fields": [{"name": "balance", "type": "int"}]}
PROTO = 'syntax = "proto3"; message Order { int64 id = 1; string item = 2; Kind kind = 3; enum Kind { TEA = 0; CAKE = 1; } }'
JSON_SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRest(tmp_path_factory.mktemp("rest")).start()
    yield server
    assert server.alive(), server.log_tail()
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


@pytest.fixture
def rest(server):
    return server.rest


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout) if done.stdout else None


# --- the tutorial -----------------------------------------------------------------------------------------------------


def test_the_tutorial_with_curl(server, rest):
    url = rest.url
    produced = curl(
        "-X", "POST", "-H", "Content-Type: application/vnd.kafka.avro.v2+json",
        "-H", "Accept: application/vnd.kafka.v2+json",
        "--data", '{"value_schema": "{\\"type\\": \\"record\\", \\"name\\": \\"account\\", \\"fields\\": [{\\"name\\": \\"balance\\",'
        ' \\"type\\": \\"int\\"}]}", "records": [{"value": {"balance": 10000}}]}',
        f"{url}/topics/bank")
    identity = server.registry.get("/subjects/bank-value/versions/1").ok()["id"]
    assert produced == {"offsets": [{"partition": 0, "offset": 0, "error_code": None, "error": None}],
                        "key_schema_id": None, "value_schema_id": identity}
    created = curl("-X", "POST", "-H", "Content-Type: application/vnd.kafka.v2+json",
                   "--data", '{"name": "my_consumer_instance", "format": "avro", "auto.offset.reset": "earliest"}',
                   f"{url}/consumers/my_consumer_group")
    uri = f"{url}/consumers/my_consumer_group/instances/my_consumer_instance"
    assert created == {"instance_id": "my_consumer_instance", "base_uri": uri}
    assert curl("-X", "POST", "-H", "Content-Type: application/vnd.kafka.v2+json", "--data", '{"topics":["bank"]}',
                f"{uri}/subscription") is None
    calls = [curl("-H", "Accept: application/vnd.kafka.avro.v2+json", f"{uri}/records") for _ in range(2)]
    record = {"topic": "bank", "key": None, "value": {"balance": 10000}, "partition": 0, "offset": 0}
    assert calls in ([[record], []], [[], [record]])
    assert curl("-X", "DELETE", uri) is None
    assert avro_of_python(server, "bank") == [{"balance": 10000}]


def avro_of_python(server, topic):
    """What the official Python client's Avro deserializer makes of a topic."""
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext
    deserializer = AvroDeserializer(SchemaRegistryClient({"url": server.registry.url}))
    context = SerializationContext(topic, MessageField.VALUE)
    return [deserializer(message.value(), context) for message in librdkafka.read(server, topic)]


# --- metadata ---------------------------------------------------------------------------------------------------------


def test_metadata(server, rest, topic):
    librdkafka.create_topic(server, topic, partitions=2, config={"retention.ms": "1234567"})
    librdkafka.produce(server, topic, [b"a", b"b", b"c"], partition=1)
    assert rest.get("/").json() == {} and rest.post("/").json() == {}
    (broker,) = rest.get("/brokers").json()["brokers"]
    assert rest.session.head(f"{rest.url}/brokers").status_code == 200
    assert topic in rest.get("/topics").json()
    described = rest.get(f"/topics/{topic}").json()
    partitions = [{"partition": number, "leader": broker, "replicas": [{"broker": broker, "leader": True, "in_sync": True}]}
                  for number in range(2)]
    assert (described["name"], described["partitions"]) == (topic, partitions)
    assert described["configs"]["retention.ms"] == "1234567" and described["configs"]["cleanup.policy"] == "delete"
    assert rest.get(f"/topics/{topic}/partitions").json() == partitions
    assert rest.get(f"/topics/{topic}/partitions/").json() == partitions
    answer = rest.get(f"/topics/{topic}/partitions/1")
    assert (answer.json(), answer.headers["Content-Type"]) == (partitions[1], V2)
    assert rest.get(f"/topics/{topic}/partitions/1/offsets").json() == {"beginning_offset": 0, "end_offset": 3}


def test_metadata_that_is_not_there(server, rest, topic):
    refused(rest.get(f"/topics/{topic}"), 404, 40403, "This server does not host this topic-partition.")
    refused(rest.get(f"/topics/{topic}/partitions"), 404, 40401, f"Topic {topic} not found")
    refused(rest.get(f"/topics/{topic}/partitions/0/offsets"), 404, 40401)
    assert topic not in rest.get("/topics").json()
    librdkafka.create_topic(server, topic)
    refused(rest.get(f"/topics/{topic}/partitions/100"), 404, 40402, "Partition 100 not found")
    refused(rest.get(f"/topics/{topic}/partitions/100/offsets"), 404, 40402)
    refused(rest.get("/nowhere"), 404, 404)
    refused(rest.delete("/topics"), 405, 405)
    refused(rest.get("/topics", accept="text/plain"), 406, 406)


# --- produce ----------------------------------------------------------------------------------------------------------


def test_binary_and_json_reach_native_consumers(server, rest, topic):
    librdkafka.create_topic(server, topic, partitions=2)
    binary = rest.produce(topic, [{"key": b64(b"k"), "value": b64(b"\0\xff"), "partition": 1}, {"value": None, "partition": 1}],
                          form="binary")
    assert [offset["offset"] for offset in binary.json()["offsets"]] == [0, 1]
    text = b'{"records": [{"value": {"a" : 1.50, "big": 123456789012345678901234567890}, "timestamp": 1700000000000, "partition": 1, ' \
           b'"headers": [{"name": "h", "value": "AAE="}, {"name": "t", "string": "x"}]}]}'
    assert rest.post(f"/topics/{topic}", text, content=embedded("json")).json()["offsets"][0]["offset"] == 2
    messages = librdkafka.read(server, topic, partition=1)
    assert [message.value() for message in messages] == [b"\0\xff", None, b'{"a":1.50,"big":123456789012345678901234567890}']
    assert messages[0].key() == b"k"
    assert messages[2].headers() == [("h", b"\0\1"), ("t", b"x")] and messages[2].timestamp()[1] == 1700000000000


def test_keys_choose_the_partition_that_native_producers_choose(server, rest, topic):
    librdkafka.create_topic(server, topic, partitions=7)
    keys = [f"key-{number}" for number in range(40)]
    chosen = [offset["partition"] for offset in
              rest.produce(topic, [{"key": b64(key.encode()), "value": ""} for key in keys], form="binary").json()["offsets"]]
    from confluent_kafka import Producer
    native = {}
    producer = Producer({"bootstrap.servers": server.bootstrap, "partitioner": "murmur2_random"})
    for key in keys:
        producer.produce(topic, b"", key, on_delivery=lambda _, message: native.update({message.key().decode(): message.partition()}))
    producer.flush(30)
    assert chosen == [native[key] for key in keys]


def test_records_that_a_partition_refuses_are_told_one_by_one(server, rest, topic):
    librdkafka.create_topic(server, topic)
    answer = rest.produce(topic, [{"value": 1}, {"value": 2, "partition": 9}, {"value": 3}])
    outcomes = answer.json()["offsets"]
    assert answer.status_code == 200
    assert [(outcome["offset"], outcome["error_code"]) for outcome in outcomes] == [(0, None), (None, 40402), (1, None)]
    assert [message.value() for message in librdkafka.read(server, topic)] == [b"1", b"3"]
    refused(rest.produce(topic, [{"value": 1}], partition=100), 404, 40402)
    assert rest.produce(topic, [{"value": 4}], partition=0).json()["offsets"][0] == {
        "partition": 0, "offset": 2, "error_code": None, "error": None}


def test_bodies_that_cannot_be_produced(server, rest, topic):
    librdkafka.create_topic(server, topic)

    def post(body, form="json", content=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return rest.post(f"/topics/{topic}", body, content=content or embedded(form))

    refused(post(b"not json"), 400, 400)
    refused(post(b'{"records":[{"value":1}'), 400, 400)
    refused(post(b""), 422, 422, "Null input provided. Data is required.")
    refused(post(b"null"), 422, 422)
    refused(post([]), 400, 400)
    refused(post({}), 422, 422)
    refused(post({"records": []}), 422, 422)
    refused(post({"records": None}), 422, 422)
    refused(post({"records": {}}), 400, 400)
    refused(post({"records": [5]}), 400, 400)
    refused(post({"records": [{"value": 1, "unknown": 2}]}), 422, 422)
    refused(post({"records": [{"value": 1}], "unknown": 2}), 422, 422)
    refused(post({"records": [{"value": "not base64!"}]}, "binary"), 400, 400)
    refused(post({"records": [{"value": {"a": 1}}]}, "binary"), 400, 400)
    refused(post({"records": [{"value": 1}, {"value": 1, "partition": -1}]}), 422, 422)
    refused(post({"records": [{"value": 1}]}, content="text/plain"), 415, 415)
    refused(post({"records": [{"value": 1}]}, content="application/vnd.kafka.csv.v2+json"), 415, 415)
    deep = b'{"records":[{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    assert post(deep).status_code == 200
    refused(post({"value_schema": json.dumps("int"), "records": [{"value": 5}], "value_schema_id": 1}, "avro"), 400, 400)
    nested = b'{"value_schema": "\\"int\\"", "records":[{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    assert post(nested, "avro").status_code in (400, 422)
    assert [message.value()[:2] for message in librdkafka.read(server, topic)] == [b"[["]


# --- formats with schemas ---------------------------------------------------------------------------------------------


def test_avro_keys_and_values_by_text_and_by_id(server, rest, topic):
    first = rest.produce(topic, [{"key": "k", "value": {"balance": 1}}], "avro",
                         key_schema='"string"', value_schema=json.dumps(ACCOUNT)).json()
    assert first["offsets"][0]["error_code"] is None
    again = rest.produce(topic, [{"key": "k", "value": {"balance": 2}}], "avro",
                         key_schema_id=first["key_schema_id"], value_schema_id=str(first["value_schema_id"])).json()
    assert (again["key_schema_id"], again["value_schema_id"]) == (first["key_schema_id"], first["value_schema_id"])
    assert server.registry.get(f"/subjects/{topic}-key/versions").ok() == [1]
    assert avro_of_python(server, topic) == [{"balance": 1}, {"balance": 2}]
    read = rest.consumer(f"g-{topic}", "avro").subscribe(topic).read(2)
    assert [(record["key"], record["value"]) for record in read] == [("k", {"balance": 1}), ("k", {"balance": 2})]


def test_avro_of_native_producers_is_read(server, rest, topic):
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.avro import AvroSerializer
    from confluent_kafka.serialization import MessageField, SerializationContext
    schema = {"type": "record", "name": "r", "fields": [
        {"name": "u", "type": ["null", "string", {"type": "array", "items": "long"}]}, {"name": "b", "type": "bytes"}]}
    serializer = AvroSerializer(SchemaRegistryClient({"url": server.registry.url}), json.dumps(schema))
    context = SerializationContext(topic, MessageField.VALUE)
    values = [{"u": "x", "b": b"\0\xff"}, {"u": None, "b": b""}, {"u": [1, 2], "b": b"a"}]
    librdkafka.produce(server, topic, [serializer(value, context) for value in values])
    read = rest.consumer(f"g-{topic}", "avro").subscribe(topic).read(3)
    assert [record["value"] for record in read] == [
        {"u": {"string": "x"}, "b": "\0\xff"}, {"u": None, "b": ""}, {"u": {"array": [1, 2]}, "b": "a"}]


def test_unions_need_no_tag_where_one_branch_fits(server, rest, topic):
    schema = {"type": "record", "name": "r", "fields": [{"name": "u", "type": ["null", "string", "int"]}]}
    records = [{"value": {"u": {"string": "a"}}}, {"value": {"u": "a"}}, {"value": {"u": 5}}, {"value": {"u": None}}]
    assert rest.produce(topic, records, "avro", value_schema=json.dumps(schema)).status_code == 200
    assert [value["u"] for value in avro_of_python(server, topic)] == ["a", "a", 5, None]
    both = {"type": "record", "name": "q", "fields": [{"name": "u", "type": ["int", "long"]}]}
    refused(rest.produce(f"{topic}-both", [{"value": {"u": 5}}], "avro", value_schema=json.dumps(both)), 422, 42203, "/u")


def test_json_schema_and_protobuf_cross_native_clients(server, rest, topic):
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.json_schema import JSONDeserializer
    from confluent_kafka.serialization import MessageField, SerializationContext
    text = json.dumps(JSON_SCHEMA)
    assert rest.produce(f"{topic}-j", [{"value": {"id": 7}}], "jsonschema", value_schema=text).status_code == 200
    client = SchemaRegistryClient({"url": server.registry.url})
    deserializer = JSONDeserializer(text, schema_registry_client=client)
    (message,) = librdkafka.read(server, f"{topic}-j")
    assert deserializer(message.value(), SerializationContext(f"{topic}-j", MessageField.VALUE)) == {"id": 7}
    (read,) = rest.consumer(f"g-{topic}-j", "jsonschema").subscribe(f"{topic}-j").read(1)
    assert read["value"] == {"id": 7}

    produced = rest.produce(f"{topic}-p", [{"value": {"id": "5", "kind": "CAKE"}}, {"value": {"item": "x"}}], "protobuf",
                            value_schema=PROTO).json()
    wires = [message.value() for message in librdkafka.read(server, f"{topic}-p")]
    assert wires[0] == b"\0" + produced["value_schema_id"].to_bytes(4, "big") + b"\0" + b"\x08\x05\x18\x01"
    read = rest.consumer(f"g-{topic}-p", "protobuf").subscribe(f"{topic}-p").read(2)
    assert [record["value"] for record in read] == [
        {"id": "5", "item": "", "kind": "CAKE"}, {"id": "0", "item": "x", "kind": "TEA"}]


@pytest.mark.parametrize(("form", "schema", "good", "bad", "place"), [
    ("avro", json.dumps(ACCOUNT), {"balance": 1}, {"balance": "x"}, "/balance"),
    ("jsonschema", json.dumps(JSON_SCHEMA), {"id": 1}, {"id": "x"}, "/id"),
    ("protobuf", PROTO, {"id": 1}, {"id": "x"}, "/id"),
])
def test_a_value_that_does_not_fit_refuses_the_batch_with_its_place(server, rest, topic, form, schema, good, bad, place):
    librdkafka.create_topic(server, topic)
    records = [{"value": good}, {"value": bad}, {"value": good}]
    answer = refused(rest.produce(topic, records, form, value_schema=schema), 422, 42203, place)
    assert answer.json()["message"].startswith("Conversion of JSON to Object failed: records[1].value: ")
    assert "No record of the request was written" in answer.json()["message"]
    assert librdkafka.read(server, topic) == []


def test_schemas_that_cannot_be_used(server, rest, topic):
    librdkafka.create_topic(server, topic)
    value = [{"value": {"balance": 1}}]
    refused(rest.produce(topic, value, "avro"), 422, 42202, "Request includes values but does not include value schema")
    refused(rest.produce(topic, [{"key": 1, **value[0]}], "avro", value_schema=json.dumps(ACCOUNT)), 422, 42201,
            "Request includes keys but does not include key schema")
    refused(rest.produce(topic, value, "avro", value_schema_id=999_999), 422, 42207)
    refused(rest.produce(topic, value, "avro", value_schema="{not a schema"), 422, 42205, "Invalid schema: ")
    other = rest.produce(f"{topic}-other", [{"value": "x"}], "avro", value_schema='"string"').json()["value_schema_id"]
    refused(rest.produce(topic, [{"value": "x"}], "avro", value_schema_id=other), 422, 42207)
    assert rest.produce(topic, value, "avro", value_schema=json.dumps(ACCOUNT)).status_code == 200
    incompatible = {**ACCOUNT, "fields": [{"name": "other", "type": "string"}]}
    refused(rest.produce(topic, [{"value": {"other": "x"}}], "avro", value_schema=json.dumps(incompatible)), 408, 40801,
            f"Error when registering schema. format = AVRO, subject = {topic}-value, schema = ")
    assert rest.produce(topic, [{"value": None}, {}], "avro").json()["offsets"][1]["offset"] == 2
    refused(rest.produce(topic, [{"value": None}], "avro", value_schema=json.dumps(ACCOUNT)), 422, 42203)


def test_schema_texts_may_refer_to_others(server, rest, topic):
    server.registry.register(f"{topic}-account", ACCOUNT).ok()
    schema = {"type": "record", "name": "transfer", "fields": [{"name": "to", "type": "account"}]}
    references = [{"name": "account", "subject": f"{topic}-account", "version": 1}]
    answer = rest.produce(topic, [{"value": {"to": {"balance": 5}}}], "avro", value_schema=json.dumps(schema),
                          value_schema_references=references)
    assert answer.json()["offsets"][0]["offset"] == 0, answer.text
    (read,) = rest.consumer(f"g-{topic}", "avro").subscribe(topic).read(1)
    assert read["value"] == {"to": {"balance": 5}}


# --- enemies ----------------------------------------------------------------------------------------------------------


def test_bodies_of_a_hundred_megabytes_and_slow_writers(server, rest, topic):
    librdkafka.create_topic(server, topic)
    huge = b'{"records":[{"value":"' + b"x" * (100 << 20) + b'"}]}'
    before = server.resident_bytes()
    try:
        status = rest.post(f"/topics/{topic}", huge, content=embedded("json")).status_code
        assert status == 413
    except OSError:
        pass  # The proxy may close the connection while the client still writes.
    assert server.resident_bytes() - before < 300 << 20
    with socket.create_connection(("127.0.0.1", rest.port)) as connection:
        body = b'{"records":[{"value":1}]}'
        head = f"POST /topics/{topic} HTTP/1.1\r\nHost: x\r\nContent-Type: {embedded('json')}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode())
        for byte in body:
            connection.sendall(bytes([byte]))
            assert rest.produce(topic, [{"value": 2}]).status_code == 200
        connection.settimeout(10)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    too_large = rest.produce(topic, [{"value": "x" * (2 << 20)}])
    assert (too_large.status_code, too_large.json()["error_code"]) == (413, 413)


def test_a_registry_that_is_down(server, tmp_path, topic, group):
    proxy = RestProxy(tmp_path, server.bootstrap, {
        "schema.registry.url": f"http://127.0.0.1:{free_port()}", "schema.registry.max.retries": "0"}).start()
    try:
        refused(proxy.produce(topic, [{"value": 1}], "avro", value_schema='"int"'), 408, 40801)
        assert proxy.produce(topic, [{"value": 1}]).status_code == 200
        librdkafka.produce(server, topic, [b"\0\0\0\0\1\2"])
        instance = proxy.consumer(group, "avro").assign((topic, 0))
        proxy.post(f"{instance.uri}/positions", {"offsets": [{"topic": topic, "partition": 0, "offset": 1}]})
        for _ in range(3):
            refused(instance.records(), 408, 40801)
        assert proxy.stop() == 0
    finally:
        proxy.kill()


def test_produce_from_many_threads_loses_nothing(server, rest, topic):
    librdkafka.create_topic(server, topic, partitions=3)
    def send(worker):
        written = []
        for number in range(20):
            answer = rest.produce(topic, [{"value": f"{worker}-{number}-{index}"} for index in range(5)])
            assert answer.status_code == 200
            written += [(offset["partition"], offset["offset"]) for offset in answer.json()["offsets"]]
        return written

    with ThreadPoolExecutor(8) as pool:
        written = [place for places in pool.map(send, range(8)) for place in places]
    assert len(set(written)) == 800
    stored = [message.value() for partition in range(3) for message in librdkafka.read(server, topic, partition)]
    assert sorted(stored) == sorted(f'"{worker}-{number}-{index}"'.encode() for worker in range(8) for number in range(20) for index in range(5))


def test_rights_that_the_proxy_lacks(tmp_path, topic, group):
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType
    server = ServerWithRest(tmp_path, {"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                                       "allow.everyone.if.no.acl.found": "true"}).start()
    try:
        librdkafka.create_topic(server, topic)
        allowed = [(ResourceType.TOPIC, topic, AclOperation.DESCRIBE), (ResourceType.GROUP, group, AclOperation.DESCRIBE)]
        bindings = [AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, AclPermissionType.ALLOW)
                    for kind, name, operation in allowed]
        for future in librdkafka.admin(server).create_acls(bindings).values():
            future.result(30)
        answer = server.rest.produce(topic, [{"value": 1}, {"value": 2}])
        assert answer.status_code == 403
        assert [outcome["error_code"] for outcome in answer.json()["offsets"]] == [40301, 40301]
        instance = server.rest.consumer(group).subscribe(topic)
        refused(instance.records(), 403, 40301, "authorization failed")
        assert instance.delete().status_code == 204
        assert server.stop() == 0
    finally:
        server.kill()
