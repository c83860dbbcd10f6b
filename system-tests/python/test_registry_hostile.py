"""What a registry must survive and explain: texts that are no schemas, nesting, circles, slow expressions, large bodies,
awkward names. Each is tried in the three formats where they differ."""

import json
import time

import pytest
from harness.registry import quoted, ServerWithRegistry

PROTO3 = 'syntax = "proto3"; '
LONG = "x" * 100


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRegistry(tmp_path_factory.mktemp("hostile")).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


@pytest.fixture
def registry(server):
    yield server.registry
    assert server.registry.get("/subjects", timeout=5).status == 200


def register(registry, subject, schema_type, schema, **members):
    return registry.register(subject, schema, schemaType=schema_type, **members)


@pytest.mark.parametrize("schema_type,schema,place", [
    ("AVRO", '{"type":\n "record",}', "line 2 column"),
    ("AVRO", "{", "line 1"),
    ("AVRO", '"nothing"', "nothing"),
    ("AVRO", {"type": "record", "fields": []}, "No name"),
    ("AVRO", {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]},
     "/fields/1"),
    ("AVRO", {"type": "record", "name": "R", "fields": [{"name": "a", "type": ["int", {"type": "array"}]}]},
     "/fields/0/type/1"),
    ("AVRO", {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": "x"}]},
     "/fields/0/default"),
    ("AVRO", {"type": "record", "name": "R", "fields": [{"name": "a-b", "type": "int"}]}, "a-b"),
    ("AVRO", {"type": "enum", "name": "E", "symbols": ["A", "A"]}, "Duplicate enum symbol: A"),
    ("AVRO", {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}, "B"),
    ("AVRO", {"type": "fixed", "name": "F", "size": -1}, "-1"),
    ("AVRO", ["int", "int"], "Duplicate in union"),
    ("AVRO", [["int"]], "Nested union"),
    ("JSON", "{\n \"type\": }", "line 2 column"),
    ("JSON", "[]", "array"),
    ("JSON", {"properties": {"a": {"type": "strin"}}}, "/properties/a/type"),
    ("JSON", {"properties": {"a": {"minLength": "x"}}}, "/properties/a/minLength"),
    ("JSON", {"properties": {"a": {"pattern": "(["}}}, "(["),
    ("JSON", {"properties": {"a": {"$ref": "#/definitions/gone"}}}, "#/definitions/gone"),
    ("JSON", {"$ref": "http://127.0.0.1:1/remote.json"}, "http://127.0.0.1:1/remote.json"),
    ("PROTOBUF", PROTO3 + "\nmessage M {\n  int32 a 1;\n}", "line 3, column"),
    ("PROTOBUF", PROTO3 + "message M { Missing m = 1; }", "M.m"),
    ("PROTOBUF", PROTO3 + "message M { int32 a = 1; int32 b = 1; }", "number 1"),
    ("PROTOBUF", PROTO3 + "message M { int32 a = 19000; }", "M.a"),
    ("PROTOBUF", PROTO3 + "message M { reserved 2 to 4; int32 a = 3; }", "M.a = 3"),
    ("PROTOBUF", PROTO3 + "message M { oneof o { int32 a = 1; } int32 a = 2; }", '"a"'),
    ("PROTOBUF", PROTO3 + "enum E { A = 1; }", "enum E"),
    ("PROTOBUF", PROTO3 + 'import "gone.proto";', "gone.proto"),
    ("PROTOBUF", "AAAA", "line 1, column 1"),
])
def test_a_text_that_is_no_schema_is_refused_with_the_place(registry, schema_type, schema, place):
    refused = register(registry, "invalid", schema_type, schema)
    assert (refused.status, refused.code) == (422, 42201), refused.body
    assert place in refused.json["message"], refused.json["message"]
    text = schema if isinstance(schema, str) else json.dumps(schema)
    body = {"schema": text, "schemaType": schema_type}
    assert registry.post("/compatibility/subjects/invalid/versions/latest", body).code == 42201
    verbose = registry.post("/compatibility/subjects/invalid/versions/latest?verbose=true", body).ok()
    assert verbose["is_compatible"] is False and place in verbose["messages"][0]


@pytest.mark.parametrize("schema_type,schema", [
    ("AVRO", '{"type":"array","items":' * 10_000 + '"int"' + "}" * 10_000),
    ("AVRO", "[" * 10_000 + "]" * 10_000),
    ("JSON", '{"properties":{"a":' * 10_000 + "{}" + "}}" * 10_000),
    ("JSON", '{"not":' * 10_000 + "{}" + "}" * 10_000),
    ("PROTOBUF", PROTO3 + "message M {" * 10_000 + "}" * 10_000),
    ("PROTOBUF", PROTO3 + "option (a) = " + "{a:[" * 10_000 + "]}" * 10_000 + ";"),
])
@pytest.mark.parametrize("mode", ["READWRITE", "IMPORT"])
def test_nesting_of_10000_is_refused_or_kept_as_text(registry, schema_type, schema, mode):
    subject = f"deep-{schema_type}-{len(schema)}-{mode}"
    number = 50_000 + len(schema)
    if mode == "IMPORT":
        # There texts are taken as they are; whoever reads them afterwards must not stumble.
        registry.put(f"/mode/{subject}", {"mode": "IMPORT"}).ok()
        assert register(registry, subject, schema_type, schema, id=number, version=1).status == 200
        registry.delete(f"/mode/{subject}").ok()
        for path in ("?format=resolved", "?format=serialized", "?findTags=*", ""):
            assert registry.get(f"/subjects/{subject}/versions/1{path}").status in (200, 422), path
        other = {"AVRO": '"int"', "JSON": "{}", "PROTOBUF": PROTO3}[schema_type]
        assert register(registry, subject, schema_type, other).status in (200, 409, 422)
    refused = register(registry, f"{subject}-new", schema_type, schema)
    assert refused.code == 42201 and len(refused.body) < 10_000, refused.body[:1000]


@pytest.mark.parametrize("schema_type,large", [
    ("AVRO", lambda: json.dumps({"type": "record", "name": "R", "doc": "x" * 5_000_000, "fields": []})),
    ("AVRO", lambda: json.dumps({"type": "enum", "name": "E", "symbols": [f"S{LONG}{n}" for n in range(50_000)]})),
    ("JSON", lambda: json.dumps({"enum": [f"{LONG}{n}" for n in range(50_000)]})),
    ("JSON", lambda: json.dumps({"properties": {f"{LONG}{n}": {"type": "string"} for n in range(40_000)}})),
    ("PROTOBUF", lambda: PROTO3 + "message M {" + "".join(f" int32 f{n} = {n};" for n in range(1, 18_000)) + "}"
        + "/*" + "x" * 5_000_000 + "*/"),
    ("PROTOBUF", lambda: PROTO3 + "".join(f"message M{LONG}{n} {{ int32 a = 1; }} " for n in range(40_000))),
])
def test_bodies_of_5_mb_are_taken(registry, schema_type, large):
    text = large()
    assert len(text) >= 4_500_000
    subject = f"large-{schema_type}-{len(text)}"
    body = {"schema": text, "schemaType": schema_type}
    first = registry.post(f"/subjects/{subject}/versions", body, timeout=120).ok()
    assert registry.post(f"/subjects/{subject}/versions", body, timeout=120).ok()["id"] == first["id"]
    assert registry.get(f"/subjects/{subject}/versions/1/schema").body.decode() == first["schema"]


def test_circular_references_end_in_every_format(registry):
    texts = {
        "AVRO": lambda own, other: json.dumps({"type": "record", "name": own, "fields": [{"name": "f", "type": other}]}),
        "JSON": lambda own, other: json.dumps({"title": own, "properties": {"f": {"$ref": other}}}),
        "PROTOBUF": lambda own, other: PROTO3 + f'import "{other}"; message {own} {{ {other} f = 1; }}',
    }
    for at, (schema_type, text) in enumerate(texts.items()):
        names = [f"{schema_type}A", f"{schema_type}B"]
        for name in names:
            registry.put(f"/mode/{name}", {"mode": "IMPORT"}).ok()
        for number, (own, other) in enumerate([names, names[::-1]]):
            reference = {"name": other, "subject": other, "version": 1}
            register(registry, own, schema_type, text(own, other), id=900_000 + at * 10 + number, version=1,
                     references=[reference]).ok()
        for own, other in (names, names[::-1]):
            registry.delete(f"/mode/{own}").ok()
            reference = {"name": other, "subject": other, "version": 1}
            for path in ("?format=resolved", "?format=serialized", "?findTags=*"):
                assert registry.get(f"/subjects/{own}/versions/1{path}").status in (200, 422)
            body = {"schema": text("New", other), "schemaType": schema_type, "references": [reference]}
            assert registry.post(f"/compatibility/subjects/{own}/versions/latest", body).status in (200, 422)
            assert registry.post("/subjects/new-of-circle/versions", body).status in (200, 409, 422)
            assert registry.delete(f"/subjects/{own}").code == 42206


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(x+x+)+y", "^(a?){40}a{40}$"])
def test_expressions_that_explode_hold_up_nobody(registry, pattern):
    subject = f"regex-{abs(hash(pattern))}"
    names = ["a" * 60 + "!", "x" * 60]
    old = {"type": "object", "patternProperties": {pattern: {"type": "string"}}, "additionalProperties": False,
           "properties": {name: {"type": "string"} for name in names}}
    new = {**old, "properties": {}}
    begun = time.monotonic()
    register(registry, subject, "JSON", old).ok()
    assert register(registry, subject, "JSON", new).status in (200, 409)
    assert register(registry, subject, "JSON", {**new, "default": {names[0]: "a"}}).status in (200, 409)
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("name", ["a/b", "/", "a%2Fb", "a/../b", "a b", "ä/ö", "x:y", "100%", "q?u=1&v", "#h", "+p+", "."])
def test_awkward_names_work_everywhere(registry, name):
    path = quoted(name).replace(".", "%2E")
    assert registry.register(name, '"int"').status == 200, name
    assert registry.get(f"/subjects/{path}/versions").ok() == [1]
    assert registry.get(f"/subjects/{path}/versions/1").ok()["subject"] == name
    assert registry.post(f"/subjects/{path}", {"schema": '"int"'}).ok()["subject"] == name
    assert registry.post(f"/compatibility/subjects/{path}/versions/latest", {"schema": '"long"'}).ok()["is_compatible"]
    assert registry.put(f"/config/{path}", {"compatibility": "FULL"}).ok() == {"compatibility": "FULL"}
    assert registry.get(f"/config/{path}").ok() == {"compatibilityLevel": "FULL"}
    assert registry.put(f"/mode/{path}", {"mode": "READONLY"}).ok() == {"mode": "READONLY"}
    assert registry.delete(f"/mode/{path}").ok() == {"mode": "READONLY"}
    number = registry.get(f"/subjects/{path}/versions/1").ok()["id"]
    assert registry.get(f"/schemas/ids/{number}?subject={quoted(name)}").ok()["subject"] == name
    assert name in registry.get(f"/subjects?subjectPrefix={quoted(name)}").ok()
    qualified = f":.odd:{name}"
    assert registry.register(qualified, '"int"').status == 200
    assert qualified in registry.get("/contexts/.odd/subjects").ok()
    assert registry.get(f"/contexts/.odd/subjects/{path}/versions").ok() == [1]
    assert registry.delete(f"/subjects/{path}/versions/1").ok() == 1
    assert registry.delete(f"/subjects/{path}?permanent=true").ok() == [1]


@pytest.mark.parametrize("body", [b"", b"null", b"7", b"{", b'{"schema":7}', b'{"schema":{}}', b"\xff\xfe", b'{"schema":"\\ud800"}',
                                  b'{"schema":"\\"int\\"","references":7}', b'{"schema":"\\"int\\"","references":[{}]}',
                                  b'{"schema":"\\"int\\"","version":"x"}', b'{"schema":"\\"int\\"","id":99999999999}',
                                  b'{"schema":"\\"int\\"","metadata":[]}', b'{"schema":"\\"int\\"","ruleSet":{"domainRules":7}}'])
def test_bodies_of_the_wrong_form_are_bad_requests(registry, body):
    for path in ("/subjects/form/versions", "/subjects/form", "/compatibility/subjects/form/versions"):
        answer = registry.post(path, body)
        assert answer.status in (400, 404), (path, answer.body)
        assert answer.code in (400, 40401) and answer.json["message"]
