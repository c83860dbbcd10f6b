"""kafka-{avro,json-schema,protobuf}-console-{producer,consumer} beside a client that others wrote.

What our producers write is read by Confluent's Python client and the other way round; the registry between them is a
small one of the test's own, so that neither side is judged by our own registry.
"""

import http.server
import json
import threading

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from harness import paths
from harness.scripts import run

USER = {
    "type": "record",
    "name": "User",
    "namespace": "shop",
    "fields": [
        {"name": "name", "type": "string"},
        {"name": "age", "type": ["null", "int"], "default": None},
        {"name": "score", "type": "double"},
    ],
}


class Registry(http.server.ThreadingHTTPServer):
    """Gives ids to texts; knows registration, lookup and schemas by id."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.schemas = []
        self.subjects = {}
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def register(self, subject, body):
        schema = {"schemaType": body.get("schemaType", "AVRO"), "schema": body["schema"]}
        with self.lock:
            if schema not in self.schemas:
                self.schemas.append(schema)
            number = self.schemas.index(schema) + 1
            versions = self.subjects.setdefault(subject, [])
            if number not in versions:
                versions.append(number)
            return {"id": number, "version": versions.index(number) + 1, "subject": subject, **schema}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        subject = self.path.split("?")[0].split("/")[2]
        if "versions" not in self.path and subject not in self.server.subjects:
            return self.answer(404, {"error_code": 40401, "message": f"Subject '{subject}' not found."})
        self.answer(200, self.server.register(subject, body))

    def do_GET(self):
        number = int(self.path.split("?")[0].split("/")[3])
        if number > len(self.server.schemas):
            return self.answer(404, {"error_code": 40403, "message": f"Schema {number} not found"})
        self.answer(200, self.server.schemas[number - 1])


@pytest.fixture(scope="module")
def registry():
    server = Registry()
    yield server
    server.shutdown()


def produce(broker, registry, topic, kind, lines, *properties, check=True):
    words = [paths.MILENA, f"kafka-{kind}-console-producer", "--bootstrap-server", broker.bootstrap, "--topic", topic]
    for each in (f"schema.registry.url={registry.url}", *properties):
        words += ["--property", each]
    return run(words, stdin="".join(line + "\n" for line in lines), check=check)


def consume(broker, registry, topic, kind, count, *properties, check=True):
    words = [paths.MILENA, f"kafka-{kind}-console-consumer", "--bootstrap-server", broker.bootstrap, "--topic", topic,
             "--from-beginning", "--max-messages", count, "--timeout-ms", 20000]
    for each in (f"schema.registry.url={registry.url}", *properties):
        words += ["--property", each]
    return run(words, check=check)


def messages(broker, topic, count):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": f"python-{topic}", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    got = []
    while len(got) < count:
        message = consumer.poll(20)
        assert message is not None and message.error() is None
        got.append(message)
    consumer.close()
    return got


def test_avro_lines_are_read_by_another_client(broker, registry, topic):
    lines = ['{"name": "Ada", "age": {"int": 36}, "score": 1}', '{"score": 0.5, "name": "Zażółć", "age": null}']
    produce(broker, registry, topic, "avro", lines, f"value.schema={json.dumps(USER)}")
    client = SchemaRegistryClient({"url": registry.url})
    read = AvroDeserializer(client)
    context = SerializationContext(topic, MessageField.VALUE)
    values = [read(message.value(), context) for message in messages(broker, topic, 2)]
    assert values == [{"name": "Ada", "age": 36, "score": 1.0}, {"name": "Zażółć", "age": None, "score": 0.5}]
    assert f"{topic}-value" in registry.subjects


def test_records_of_another_client_are_printed(broker, registry, topic):
    client = SchemaRegistryClient({"url": registry.url})
    write = AvroSerializer(client, json.dumps(USER))
    context = SerializationContext(topic, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(topic, key=b"k1", value=write({"name": "Ada", "age": 36, "score": 1e10}, context))
    producer.produce(topic, key=b"k2", value=None)
    producer.flush()
    done = consume(broker, registry, topic, "avro", 2, "print.key=true", "print.offset=true",
                   "key.deserializer=org.apache.kafka.common.serialization.StringDeserializer")
    assert done.stdout == 'Offset:0\tk1\t{"name":"Ada","age":{"int":36},"score":1.0E10}\nOffset:1\tk2\tnull\n'


def test_keys_have_schemas_and_ids_are_printed(broker, registry, topic):
    produce(broker, registry, topic, "avro", ['"k"=>{"name":"Ada","age":null,"score":2}'], "parse.key=true",
            "key.separator==>", 'key.schema={"type":"string"}', f"value.schema={json.dumps(USER)}")
    ids = [registry.subjects[f"{topic}-{side}"][0] for side in ("key", "value")]
    done = consume(broker, registry, topic, "avro", 1, "print.key=true", "print.schema.ids=true", "schema.id.separator=#")
    assert done.stdout == f'"k"#{ids[0]}\t{{"name":"Ada","age":null,"score":2.0}}#{ids[1]}\n'


def test_the_subject_follows_its_strategy_and_schemas_come_by_file_or_id(broker, registry, topic, tmp_path):
    file = tmp_path / "user.avsc"
    file.write_text(json.dumps(USER))
    produce(broker, registry, topic, "avro", ['{"name":"A","age":null,"score":0}'], f"value.schema.file={file}",
            "value.subject.name.strategy=io.confluent.kafka.serializers.subject.TopicRecordNameStrategy")
    number = registry.subjects[f"{topic}-shop.User"][0]
    produce(broker, registry, topic, "avro", ['{"name":"B","age":null,"score":0}'], f"value.schema.id={number}")
    done = consume(broker, registry, topic, "avro", 2, "print.schema.ids=true")
    assert sorted(line.split("\t")[1] for line in done.stdout.splitlines()) == [str(number)] * 2


def test_what_does_not_fit_is_refused_with_the_place(broker, registry, topic):
    schema = f"value.schema={json.dumps(USER)}"
    done = produce(broker, registry, topic, "avro", ['{"name":"A","age":5,"score":0}'], schema, check=False)
    assert done.returncode == 1
    assert "SerializationException: Error deserializing json" in done.stderr and "/age" in done.stderr
    done = produce(broker, registry, topic, "avro", ["1"], 'value.schema={"type":"strong"}', check=False)
    assert done.returncode == 1 and "strong" in done.stderr
    done = produce(broker, registry, f"{topic}-unknown", "avro", ["1"], 'value.schema="int"',
                   "auto.register.schemas=false", check=False)
    assert done.returncode == 1 and "error code: 40401" in done.stderr


def test_bytes_without_a_schema_stop_the_consumer_unless_skipped(broker, registry, topic):
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    producer.produce(topic, value=b"plain")
    producer.produce(topic, value=b"\0\0\1\0\0x")
    producer.flush()
    done = consume(broker, registry, topic, "avro", 1, check=False)
    assert done.returncode == 1 and "Unknown magic byte" in done.stderr


def test_json_lines_are_checked_against_their_schema(broker, registry, topic):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    lines = ['{"n": 1, "more": [0.5, null]}']
    produce(broker, registry, topic, "json-schema", lines, f"value.schema={json.dumps(schema)}")
    [message] = messages(broker, topic, 1)
    number = registry.subjects[f"{topic}-value"][0]
    assert message.value()[:5] == b"\0" + number.to_bytes(4, "big")
    assert json.loads(message.value()[5:]) == {"n": 1, "more": [0.5, None]}
    done = consume(broker, registry, topic, "json-schema", 1, "print.schema.ids=true")
    assert done.stdout == '{"n":1,"more":[0.5,null]}\t%d\n' % number
    done = produce(broker, registry, topic, "json-schema", ['{"n": "x"}'], f"value.schema={json.dumps(schema)}", check=False)
    assert done.returncode == 1 and "SerializationException" in done.stderr and "/n" in done.stderr


PROTO = 'syntax = "proto3"; package shop; message Order { int64 id = 1; string note = 2; Line line = 3; message Line { int32 n = 1; } }'


def order_class():
    """shop.Order for Google's own library, made without a compiler."""
    file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    order = file.message_type.add(name="Order")
    field = descriptor_pb2.FieldDescriptorProto
    line = order.nested_type.add(name="Line")
    line.field.add(name="n", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    order.field.add(name="id", number=1, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL)
    order.field.add(name="note", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    order.field.add(name="line", number=3, type=field.TYPE_MESSAGE, label=field.LABEL_OPTIONAL, type_name=".shop.Order.Line")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Order"))


def test_protobuf_lines_are_messages(broker, registry, topic):
    produce(broker, registry, topic, "protobuf", ['{"id": "7", "line": {"n": 3}}'], f"value.schema={PROTO}")
    [message] = messages(broker, topic, 1)
    number = registry.subjects[f"{topic}-value"][0]
    # The id, then one zero byte: the first message of the file.
    assert message.value()[:6] == b"\0" + number.to_bytes(4, "big") + b"\0"
    order = order_class()()
    order.ParseFromString(message.value()[6:])
    assert (order.id, order.note, order.line.n) == (7, "", 3)
    done = consume(broker, registry, topic, "protobuf", 1)
    assert json.loads(done.stdout) == {"id": "7", "note": "", "line": {"n": 3}}


def test_a_registry_without_guids_cannot_name_schemas_in_headers(broker, registry, topic):
    done = produce(broker, registry, topic, "avro", ["1"], 'value.schema="int"',
                   "value.schema.id.serializer=HeaderSchemaIdSerializer", check=False)
    # This registry has no GUIDs.
    assert done.returncode == 1 and "GUID" in done.stderr
