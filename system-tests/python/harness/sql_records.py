"""Records of topics between JSON and bytes, as the description of a source says: what a producer beside the SQL server
would write, and what a consumer would read."""

import base64
import io
import json
import re
import struct
from decimal import Decimal

import fastavro
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from . import proto_text

SCALARS = {"INTEGER": ">i", "BIGINT": ">q", "DOUBLE": ">d"}


class Side:
    """Key or value of a topic."""

    def __init__(self, registry, topic, side, form, fields):
        self.registry, self.subject, self.form = registry, f"{topic}-{side}", form.upper()
        self.fields = fields

    def bytes(self, value):
        """The bytes of a JSON value; None for null."""
        if value is None or self.form == "NONE":
            return None
        return getattr(self, "_write_" + self.form.lower())(value)

    def json(self, data):
        """The JSON value of bytes."""
        if data is None:
            return None
        return getattr(self, "_read_" + self.form.lower())(data)

    def _write_json(self, value):
        return json.dumps(value).encode()

    def _read_json(self, data):
        return json.loads(data)

    def _write_delimited(self, value):
        return (value if isinstance(value, str) else json.dumps(value)).encode()

    def _read_delimited(self, data):
        return data.decode()

    def _write_kafka(self, value):
        kind = self.fields[0]["schema"]["type"] if self.fields else "STRING"
        if kind in SCALARS:
            return struct.pack(SCALARS[kind], value)
        return base64.b64decode(value) if kind == "BYTES" else str(value).encode()

    def _read_kafka(self, data):
        kind = self.fields[0]["schema"]["type"] if self.fields else "STRING"
        if kind in SCALARS:
            return struct.unpack(SCALARS[kind], data)[0]
        return base64.b64encode(data).decode() if kind == "BYTES" else data.decode()

    def _latest(self):
        return self.registry.get(f"/subjects/{self.subject}/versions/latest").ok()

    def _by_id(self, data):
        return self.registry.get(f"/schemas/ids/{struct.unpack('>i', data[1:5])[0]}").ok()["schema"]

    def _write_json_sr(self, value):
        latest = self._latest()
        return struct.pack(">bi", 0, latest["id"]) + json.dumps(_json_sr(value, json.loads(latest["schema"]))).encode()

    def _read_json_sr(self, data):
        return _plain_json(json.loads(data[5:]), json.loads(self._by_id(data)))

    def _write_avro(self, value):
        latest = self._latest()
        schema = fastavro.parse_schema(json.loads(latest["schema"]))
        out = io.BytesIO(struct.pack(">bi", 0, latest["id"]))
        out.seek(5)
        fastavro.schemaless_writer(out, schema, _avro(value, json.loads(latest["schema"]), {}))
        return out.getvalue()

    def _read_avro(self, data):
        schema = fastavro.parse_schema(json.loads(self._by_id(data)))
        return fastavro.schemaless_reader(io.BytesIO(data[5:]), schema, None)

    def _write_protobuf(self, value):
        latest = self._latest()
        kind = _message_class(latest["schema"])
        message = json_format.ParseDict(_named(value, kind.DESCRIPTOR), kind())
        # Message index 0: the first message of the schema.
        return struct.pack(">bi", 0, latest["id"]) + b"\0" + message.SerializeToString()

    def _read_protobuf(self, data):
        message = _message_class(self._by_id(data)).FromString(data[6:])
        return json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)

    def _write_protobuf_nosr(self, value):
        raise NotImplementedError("PROTOBUF_NOSR")


def _not_null(schema):
    """What a JSON Schema says of a value that is not null."""
    others = [node for node in schema.get("oneOf", schema.get("anyOf", [])) if node.get("type") != "null"]
    return _not_null(others[0]) if len(others) == 1 else schema


def _json_sr(value, schema):
    """The value as a JSON Schema wants it: names as it spells them, maps as entries, scalars as text where it has text."""
    schema = _not_null(schema)
    kind, properties = schema.get("type"), schema.get("properties", {})
    if isinstance(value, dict) and kind == "array" and schema.get("connect.type") == "map":
        entry = schema["items"]["properties"]["value"]
        return [{"key": name, "value": _json_sr(member, entry)} for name, member in value.items()]
    if isinstance(value, dict) and properties:
        names = {name.upper(): name for name in properties} | {name: name for name in properties}
        known = {name: names.get(name, names.get(name.upper(), name)) for name in value}
        return {known[name]: _json_sr(member, properties.get(known[name], {})) for name, member in value.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_json_sr(element, schema["items"]) for element in value]
    return json.dumps(value) if kind == "string" and isinstance(value, (bool, int, float)) else value


def _plain_json(value, schema):
    """The same the other way round: entries are the map again."""
    schema = _not_null(schema)
    if isinstance(value, list) and schema.get("connect.type") == "map":
        entry = schema["items"]["properties"]["value"]
        return {member["key"]: _plain_json(member["value"], entry) for member in value}
    if isinstance(value, dict):
        return {name: _plain_json(member, schema.get("properties", {}).get(name, {})) for name, member in value.items()}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [_plain_json(element, schema["items"]) for element in value]
    return value


def _avro(value, schema, named):
    """The value as fastavro wants it: names as the schema spells them, numbers as its types say."""
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    if isinstance(schema, list):
        others = [branch for branch in schema if branch != "null"]
        return None if value is None else _avro(value, others[0], named)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        named[schema["name"]] = schema
        given = {name.upper(): member for name, member in (value or {}).items()}
        fields = {}
        for field in schema["fields"]:
            if field["name"].upper() in given:
                fields[field["name"]] = _avro(given[field["name"].upper()], field["type"], named)
            else:
                fields[field["name"]] = field.get("default")
        return fields
    if isinstance(kind, (dict, list)):
        return _avro(value, kind, named)
    if kind == "array" and isinstance(value, dict):
        # A map whose keys are no strings is a list of entries.
        return [_avro({"key": key, "value": member}, schema["items"], named) for key, member in value.items()]
    if kind == "array":
        return [_avro(element, schema["items"], named) for element in value]
    if kind == "map":
        return {key: _avro(member, schema["values"], named) for key, member in value.items()}
    if kind == "bytes":
        is_decimal = isinstance(schema, dict) and schema.get("logicalType") == "decimal"
        return Decimal(str(value)) if is_decimal else base64.b64decode(value)
    if kind in ("int", "long"):
        return int(value)
    if kind in ("float", "double"):
        return float(value)
    return str(value) if kind == "string" else value


def _message_class(text):
    """The class of the first message of a Protobuf schema."""
    pool = descriptor_pool.DescriptorPool()
    for name in re.findall(r'import\s+(?:public\s+)?"([^"]+)"', text):
        known = descriptor_pool.Default().FindFileByName(proto_text.known_file(name))
        proto = descriptor_pb2.FileDescriptorProto()
        known.CopyToProto(proto)
        pool.Add(proto)
    file = proto_text.file_descriptor(text)
    pool.Add(file)
    name = ".".join(part for part in (file.package, file.message_type[0].name) if part)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def message_text(schema, data):
    """A Protobuf message in the text format, as its schema names the fields."""
    from google.protobuf import text_format
    return text_format.MessageToString(_message_class(schema).FromString(data))


def _named(value, descriptor):
    """The JSON of a message with its fields as the schema spells them."""
    if not isinstance(value, dict):
        # A single column: the message has one field.
        value = {descriptor.fields[0].name: value}
    fields = {field.name.upper(): field for field in descriptor.fields}
    named = {}
    for name, member in value.items():
        field = fields.get(name.upper())
        if field is None or member is None:
            continue
        inner = field.message_type
        if inner is not None and not inner.GetOptions().map_entry and not inner.full_name.startswith("google."):
            member = [_named(one, inner) for one in member] if isinstance(member, list) else _named(member, inner)
        named[field.name] = member
    return named
