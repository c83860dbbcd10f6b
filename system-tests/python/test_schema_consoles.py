"""kafka-{avro,json-schema,protobuf}-console-{producer,consumer} beside a client that others wrote.

What our producers write is read by Confluent's Python client, and the other way round.
"""

import json
import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from harness import librdkafka, paths
from harness.registry import ServerWithRegistry
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


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRegistry(tmp_path_factory.mktemp("consoles")).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


def schema_id(server, subject):
    return server.registry.get(f"/subjects/{subject}/versions/latest").ok()["id"]


def produce(server, topic, kind, lines, *properties, check=True):
    words = [paths.MILENA, f"kafka-{kind}-console-producer", "--bootstrap-server", server.bootstrap, "--topic", topic]
    for each in (f"schema.registry.url={server.registry.url}", *properties):
        words += ["--property", each]
    return run(words, stdin="".join(line + "\n" for line in lines), check=check)


def consume(server, topic, kind, count, *properties, check=True):
    words = [paths.MILENA, f"kafka-{kind}-console-consumer", "--bootstrap-server", server.bootstrap, "--topic", topic,
             "--from-beginning", "--max-messages", count, "--timeout-ms", 20000]
    for each in (f"schema.registry.url={server.registry.url}", *properties):
        words += ["--property", each]
    return run(words, check=check)


def messages(server, topic, count):
    got = librdkafka.read(server, topic)
    assert len(got) == count
    return got


def test_avro_lines_are_read_by_another_client(server, topic):
    lines = ['{"name": "Ada", "age": {"int": 36}, "score": 1}', '{"score": 0.5, "name": "Zażółć", "age": null}']
    produce(server, topic, "avro", lines, f"value.schema={json.dumps(USER)}")
    client = SchemaRegistryClient({"url": server.registry.url})
    read = AvroDeserializer(client)
    context = SerializationContext(topic, MessageField.VALUE)
    values = [read(message.value(), context) for message in messages(server, topic, 2)]
    assert values == [{"name": "Ada", "age": 36, "score": 1.0}, {"name": "Zażółć", "age": None, "score": 0.5}]
    assert schema_id(server, f"{topic}-value") > 0


def test_records_of_another_client_are_printed(server, topic):
    client = SchemaRegistryClient({"url": server.registry.url})
    write = AvroSerializer(client, json.dumps(USER))
    context = SerializationContext(topic, MessageField.VALUE)
    producer = Producer({"bootstrap.servers": server.bootstrap})
    producer.produce(topic, key=b"k1", value=write({"name": "Ada", "age": 36, "score": 1e10}, context))
    producer.produce(topic, key=b"k2", value=None)
    producer.flush()
    done = consume(server, topic, "avro", 2, "print.key=true", "print.offset=true",
                   "key.deserializer=org.apache.kafka.common.serialization.StringDeserializer")
    assert done.stdout == 'Offset:0\tk1\t{"name":"Ada","age":{"int":36},"score":1.0E10}\nOffset:1\tk2\tnull\n'


def test_keys_have_schemas_and_ids_are_printed(server, topic):
    produce(server, topic, "avro", ['"k"=>{"name":"Ada","age":null,"score":2}'], "parse.key=true",
            "key.separator==>", 'key.schema={"type":"string"}', f"value.schema={json.dumps(USER)}")
    ids = [schema_id(server, f"{topic}-{side}") for side in ("key", "value")]
    done = consume(server, topic, "avro", 1, "print.key=true", "print.schema.ids=true", "schema.id.separator=#")
    assert done.stdout == f'"k"#{ids[0]}\t{{"name":"Ada","age":null,"score":2.0}}#{ids[1]}\n'


def test_the_subject_follows_its_strategy_and_schemas_come_by_file_or_id(server, topic, tmp_path):
    file = tmp_path / "user.avsc"
    file.write_text(json.dumps(USER))
    produce(server, topic, "avro", ['{"name":"A","age":null,"score":0}'], f"value.schema.file={file}",
            "value.subject.name.strategy=io.confluent.kafka.serializers.subject.TopicRecordNameStrategy")
    number = schema_id(server, f"{topic}-shop.User")
    produce(server, topic, "avro", ['{"name":"B","age":null,"score":0}'], f"value.schema.id={number}")
    done = consume(server, topic, "avro", 2, "print.schema.ids=true")
    assert sorted(line.split("\t")[1] for line in done.stdout.splitlines()) == [str(number)] * 2


def test_what_does_not_fit_is_refused_with_the_place(server, topic):
    schema = f"value.schema={json.dumps(USER)}"
    done = produce(server, topic, "avro", ['{"name":"A","age":5,"score":0}'], schema, check=False)
    assert done.returncode == 1
    assert "SerializationException: Error deserializing json" in done.stderr and "/age" in done.stderr
    done = produce(server, topic, "avro", ["1"], 'value.schema={"type":"strong"}', check=False)
    assert done.returncode == 1 and "strong" in done.stderr
    done = produce(server, f"{topic}-unknown", "avro", ["1"], 'value.schema="int"',
                   "auto.register.schemas=false", check=False)
    assert done.returncode == 1 and "error code: 40401" in done.stderr


def test_bytes_without_a_schema_stop_the_consumer_unless_skipped(server, topic):
    producer = Producer({"bootstrap.servers": server.bootstrap})
    producer.produce(topic, value=b"plain")
    producer.produce(topic, value=b"\0\0\1\0\0x")
    producer.flush()
    done = consume(server, topic, "avro", 1, check=False)
    assert done.returncode == 1 and "Unknown magic byte" in done.stderr


def test_json_lines_are_checked_against_their_schema(server, topic):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    lines = ['{"n": 1, "more": [0.5, null]}']
    produce(server, topic, "json-schema", lines, f"value.schema={json.dumps(schema)}")
    [message] = messages(server, topic, 1)
    number = schema_id(server, f"{topic}-value")
    assert message.value()[:5] == b"\0" + number.to_bytes(4, "big")
    assert json.loads(message.value()[5:]) == {"n": 1, "more": [0.5, None]}
    done = consume(server, topic, "json-schema", 1, "print.schema.ids=true")
    assert done.stdout == '{"n":1,"more":[0.5,null]}\t%d\n' % number
    done = produce(server, topic, "json-schema", ['{"n": "x"}'], f"value.schema={json.dumps(schema)}", check=False)
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


def test_protobuf_lines_are_messages(server, topic):
    produce(server, topic, "protobuf", ['{"id": "7", "line": {"n": 3}}'], f"value.schema={PROTO}")
    [message] = messages(server, topic, 1)
    number = schema_id(server, f"{topic}-value")
    # The id, then one zero byte: the first message of the file.
    assert message.value()[:6] == b"\0" + number.to_bytes(4, "big") + b"\0"
    order = order_class()()
    order.ParseFromString(message.value()[6:])
    assert (order.id, order.note, order.line.n) == (7, "", 3)
    done = consume(server, topic, "protobuf", 1)
    assert json.loads(done.stdout) == {"id": "7", "note": "", "line": {"n": 3}}


def test_the_schema_may_be_named_in_a_header(server, topic):
    produce(server, topic, "avro", ['"k"\t"longer"'], "parse.key=true", 'key.schema="string"', 'value.schema="string"',
            "value.schema.id.serializer=io.confluent.kafka.serializers.schema.id.HeaderSchemaIdSerializer")
    [message] = messages(server, topic, 1)
    assert message.value() == b"\x0clonger"
    [(name, value)] = message.headers()
    guid = server.registry.get(f"/subjects/{topic}-value/versions/1").ok()["guid"]
    assert name == "__value_schema_id" and value == b"\x01" + uuid.UUID(guid).bytes
    read = AvroDeserializer(SchemaRegistryClient({"url": server.registry.url}))
    assert read(message.value(), SerializationContext(topic, MessageField.VALUE, message.headers())) == "longer"
    done = consume(server, topic, "avro", 1, "print.schema.ids=true", "print.headers=false")
    assert done.stdout == f'"longer"\t{guid}\n'


def test_a_schema_that_does_not_fit_the_subject_is_refused(server, topic):
    produce(server, topic, "avro", ['{"name":"A","age":null,"score":0}'], f"value.schema={json.dumps(USER)}")
    field = {"name": "city", "type": "string"}
    changed = {**USER, "fields": [*USER["fields"], field]}
    lines = ['{"name":"A","age":null,"score":0,"city":"B"}']
    done = produce(server, topic, "avro", lines, f"value.schema={json.dumps(changed)}", check=False)
    assert done.returncode == 1 and "READER_FIELD_MISSING_DEFAULT_VALUE" in done.stderr and "city" in done.stderr
    field["default"] = "?"
    produce(server, topic, "avro", lines, f"value.schema={json.dumps(changed)}")
    done = consume(server, topic, "avro", 2)
    assert '"city":"B"' in done.stdout


def test_references_are_found_in_the_registry(server, topic):
    server.registry.register(f"{topic}-user", USER).ok()
    schema = {"type": "record", "name": "Visit", "namespace": "shop", "fields": [{"name": "who", "type": "User"}]}
    reference = [{"name": "shop.User", "subject": f"{topic}-user", "version": 1}]
    produce(server, topic, "avro", ['{"who":{"name":"A","age":null,"score":0}}'], f"value.schema={json.dumps(schema)}",
            f"value.refs={json.dumps(reference)}")
    done = consume(server, topic, "avro", 1)
    assert done.stdout == '{"who":{"name":"A","age":null,"score":0.0}}\n'


DOCUMENTED = [
    ("avro", '{"type":"record","name":"myrecord","fields":[{"name":"f1","type":"string"}]}', '{"f1":"value1-a"}'),
    ("json-schema", '{"type":"object","properties":{"f1":{"type":"string"}}}', '{"f1":"value1-j"}'),
    ("protobuf", 'syntax = "proto3"; message MyRecord { string f1 = 1; }', '{"f1":"value1-p"}'),
]


@pytest.mark.parametrize("kind, schema, line", DOCUMENTED, ids=[kind for kind, _, _ in DOCUMENTED])
def test_installed_commands_run_as_confluents_documentation_has_them(server, topic, tmp_path, kind, schema, line):
    run([paths.MILENA, "install-tools", tmp_path / "bin"])
    registry = f"schema.registry.url={server.registry.url}"
    run([tmp_path / "bin" / f"kafka-{kind}-console-producer", "--bootstrap-server", server.bootstrap, "--property", registry,
         "--topic", topic, "--property", f"value.schema={schema}"], stdin=line.replace(":", ": ") + "\n")
    read = run([tmp_path / "bin" / f"kafka-{kind}-console-consumer", "--from-beginning", "--topic", topic,
                "--bootstrap-server", server.bootstrap, "--property", registry, "--max-messages", "1"])
    assert read.stdout == line + "\n"


def test_several_types_of_events_share_a_topic_through_references(server, topic):
    """A union of references in Avro, oneOf in JSON Schema, oneof in Protobuf; the schema is named by its id."""
    def register(name, schema, schema_type, references):
        members = {"schemaType": schema_type, "references": references}
        return server.registry.register(f"{topic}-{name}", schema, **members).ok()["id"]

    def reference(name, subject):
        return {"name": name, "subject": f"{topic}-{subject}", "version": 1}

    settings = ["auto.register.schemas=false", "use.latest.version=true"]
    for name in ("Customer", "Product"):
        fields = [{"name": "id", "type": "long"}]
        register(name.lower(), {"type": "record", "name": name, "namespace": "shop", "fields": fields}, "AVRO", [])
    subject = f"{topic}-avro"
    number = register("avro-value", ["shop.Customer", "shop.Product"], "AVRO",
                      [reference("shop.Customer", "customer"), reference("shop.Product", "product")])
    lines = ['{"shop.Product":{"id":1}}', '{"shop.Customer":{"id":2}}']
    produce(server, subject, "avro", lines, f"value.schema.id={number}", *settings)
    assert consume(server, subject, "avro", 2).stdout.splitlines() == lines

    for name in ("customer", "product"):
        schema = {"type": "object", "properties": {f"{name}_id": {"type": "integer"}}, "required": [f"{name}_id"],
                  "additionalProperties": False}
        register(f"{name}-json", schema, "JSON", [])
    subject = f"{topic}-json"
    number = register("json-value", {"oneOf": [{"$ref": "customer.json"}, {"$ref": "product.json"}]}, "JSON",
                      [reference("customer.json", "customer-json"), reference("product.json", "product-json")])
    lines = ['{"product_id":1}', '{"customer_id":2}']
    produce(server, subject, "json-schema", lines, f"value.schema.id={number}", *settings)
    assert consume(server, subject, "json-schema", 2).stdout.splitlines() == lines
    refused = produce(server, subject, "json-schema", ['{"other_id":1}'], f"value.schema.id={number}", *settings, check=False)
    assert refused.returncode == 1 and "SerializationException" in refused.stderr

    for name in ("Customer", "Product"):
        register(f"{name.lower()}-proto", f'syntax = "proto3"; package shop; message {name} {{ int32 id = 1; }}', "PROTOBUF", [])
    subject = f"{topic}-proto"
    text = '''syntax = "proto3"; package shop; import "customer.proto"; import "product.proto";
              message Any { oneof kind { Customer customer = 1; Product product = 2; } }'''
    number = register("proto-value", text, "PROTOBUF",
                      [reference("customer.proto", "customer-proto"), reference("product.proto", "product-proto")])
    lines = ['{"product":{"id":1}}', '{"customer":{"id":2}}']
    produce(server, subject, "protobuf", lines, f"value.schema.id={number}", *settings)
    assert consume(server, subject, "protobuf", 2).stdout.splitlines() == lines


def test_an_association_of_the_topic_names_the_subject(server, topic):
    associated = {"resourceName": topic, "resourceNamespace": "lkc-1", "resourceId": f"id-{topic}", "resourceType": "topic",
                  "associations": [{"subject": f"shared-{topic}", "associationType": "value", "lifecycle": "WEAK"}]}
    assert server.registry.post("/associations", associated).code == 40907
    server.registry.register(f"shared-{topic}", '"string"').ok()
    server.registry.post("/associations", associated).ok()
    strategy = "subject.name.strategy=io.confluent.kafka.serializers.subject.AssociatedNameStrategy"
    produce(server, topic, "avro", ['"k"\t"v"'], "parse.key=true", f"key.{strategy}", f"value.{strategy}",
            'key.schema="string"', 'value.schema="string"')
    subjects = server.registry.get("/subjects").ok()
    assert f"shared-{topic}" in subjects and f"{topic}-key" in subjects and f"{topic}-value" not in subjects
    for path in (f"/associations/resources/-/{topic}?resourceType=topic&associationType=value&lifecycle=",
                 f"/associations?resourceName={topic}&resourceNamespace=-&resourceType=topic&associationType=value"):
        [found] = server.registry.get(path).ok()
        assert found["subject"] == f"shared-{topic}"
    assert server.registry.get(f"/associations?resourceName={topic}&associationType=key").ok() == []
