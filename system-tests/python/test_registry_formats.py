"""JSON Schema and Protobuf through the API: types, references, formats, evolution, inline tags."""

import base64
import json
import re

import pytest
from harness.registry import ServerWithRegistry


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRegistry(tmp_path_factory.mktemp("formats")).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


@pytest.fixture
def registry(server):
    return server.registry


@pytest.fixture
def subject(request):
    return re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-")


def as_json(schema, **members):
    return {"schema": json.dumps(schema), "schemaType": "JSON", **members}


def as_proto(text, **members):
    return {"schema": text, "schemaType": "PROTOBUF", **members}


def post(registry, subject, body):
    return registry.post(f"/subjects/{subject}/versions", body)


def test_json_schemas_evolve_by_their_content_model(registry, subject):
    closed = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    assert post(registry, subject, as_json(closed)).ok()["schemaType"] == "JSON"
    grown = {**closed, "properties": {**closed["properties"], "b": {"type": "integer"}}}
    assert post(registry, subject, as_json(grown)).ok()["version"] == 2
    changed = {**closed, "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    refused = post(registry, subject, as_json(changed))
    assert refused.code == 40901 and "#/properties/a" in refused.json["message"], refused.body


def test_adding_to_an_open_object_needs_the_lenient_policy(registry, subject):
    opened = {"type": "object", "properties": {"a": {"type": "string"}}}
    grown = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
    post(registry, subject, as_json(opened)).ok()
    assert post(registry, subject, as_json(grown)).code == 40901
    registry.put(f"/config/{subject}", {"compatibilityPolicy": "LENIENT"}).ok()
    assert post(registry, subject, as_json(grown)).ok()["version"] == 2


def test_json_references(registry, subject):
    inner = {"type": "object", "properties": {"street": {"type": "string"}}}
    post(registry, f"{subject}-inner", as_json(inner)).ok()
    outer = {"type": "object", "properties": {"home": {"$ref": "address.json"}}}
    reference = {"name": "address.json", "subject": f"{subject}-inner", "version": 1}
    answer = post(registry, f"{subject}-outer", as_json(outer, references=[reference])).ok()
    assert answer["references"] == [reference]
    assert registry.get(f"/subjects/{subject}-inner/versions/1/referencedby").ok() == [answer["id"]]


def test_protobuf_is_stored_in_its_canonical_text(registry, subject):
    text = 'syntax = "proto3"; package shop; message Order { int32 id = 1; // the number\n string item = 2; }'
    first = post(registry, subject, as_proto(text)).ok()
    assert first["schema"] == 'syntax = "proto3";\npackage shop;\n\nmessage Order {\n  int32 id = 1;\n  string item = 2;\n}\n'
    assert post(registry, subject, as_proto(first["schema"])).ok()["id"] == first["id"]
    serialized = registry.get(f"/schemas/ids/{first['id']}?format=serialized").ok()["schema"]
    assert b"Order" in base64.b64decode(serialized)
    assert post(registry, f"{subject}-again", as_proto(serialized)).ok()["id"] == first["id"]
    refused = post(registry, subject, as_proto(text.replace("int32 id", "string id")))
    assert refused.code == 40901 and "FIELD_SCALAR_KIND_CHANGED" in refused.json["message"], refused.body
    assert post(registry, subject, as_proto(text.replace("string item = 2;", "string item = 2; bool paid = 3;"))).ok()


def test_protobuf_imports_are_references(registry, subject):
    inner = 'syntax = "proto3"; package a; message Inner { string name = 1; }'
    outer = 'syntax = "proto3"; package b; import "inner.proto"; import "google/protobuf/timestamp.proto";' \
            " message Outer { a.Inner inner = 1; google.protobuf.Timestamp at = 2; }"
    missing = post(registry, f"{subject}-outer", as_proto(outer))
    assert missing.code == 42201 and "inner.proto" in missing.json["message"], missing.body
    post(registry, f"{subject}-inner", as_proto(inner)).ok()
    reference = {"name": "inner.proto", "subject": f"{subject}-inner", "version": -1}
    answer = post(registry, f"{subject}-outer", as_proto(outer, references=[reference])).ok()
    assert answer["references"][0]["version"] == 1


@pytest.mark.parametrize("body,place", [
    ({"schema": '{"type":"record","name":"R","fields":[{"name":"a"}]}'}, "a"),
    ({"schema": '{"type":"record","name":"R","fields":[{"name":"a","type":"nothing"}]}'}, "nothing"),
    (as_json({"type": 7}), "type"),
    ({"schema": "7", "schemaType": "JSON"}, ""),
    (as_proto("message {"), "1"),
    (as_proto('syntax = "proto3"; message M { Missing m = 1; }'), "Missing"),
])
def test_an_invalid_schema_is_refused_with_the_place(registry, subject, body, place):
    refused = post(registry, "invalid", body)
    assert refused.code == 42201 and place in refused.json["message"], refused.body


def test_a_schema_of_another_type_is_not_compatible(registry, subject):
    registry.register(subject, '"int"').ok()
    refused = post(registry, subject, as_json({"type": "object"}))
    assert refused.code == 40901 and "different schema type" in refused.json["message"]


def test_normalizing_finds_what_differs_only_in_order(registry, subject):
    post(registry, f"{subject}-a", as_json({"type": "object", "title": "x"})).ok()
    one = registry.post(f"/subjects/{subject}/versions?normalize=true", as_json({"title": "t", "type": "object"})).ok()
    other = registry.post(f"/subjects/{subject}/versions?normalize=true", as_json({"type": "object", "title": "t"})).ok()
    assert (one["id"], one["version"]) == (other["id"], other["version"])
    registry.put(f"/config/{subject}-c", {"normalize": True}).ok()
    assert post(registry, f"{subject}-c", as_json({"type": "object", "title": "t"})).ok()["id"] == one["id"]
    found = registry.post(f"/subjects/{subject}?normalize=true", as_json({"title": "t", "type": "object"})).ok()
    assert found["version"] == one["version"]


def test_inline_tags_are_found_and_changed(registry, subject):
    record = {"type": "record", "name": "Person", "fields": [
        {"name": "ssn", "type": "string", "confluent:tags": ["PII"]}, {"name": "name", "type": "string"}]}
    answer = registry.register(subject, record).ok()
    found = registry.get(f"/schemas/ids/{answer['id']}?findTags=PII").ok()["schemaTags"]
    assert found == [{"schemaEntity": {"entityPath": "Person.ssn", "entityType": "SR_FIELD"}, "tags": ["PII"]}]
    entity = {"entityPath": "Person.name", "entityType": "SR_FIELD"}
    changed = registry.post(f"/subjects/{subject}/versions/latest/tags",
                            {"tagsToAdd": [{"schemaEntity": entity, "tags": ["PUBLIC"]}]}).ok()
    assert changed["version"] == 2
    tags = registry.get(f"/subjects/{subject}/versions/2?findTags=*").ok()["schemaTags"]
    assert {tuple(tag["tags"]) for tag in tags} == {("PII",), ("PUBLIC",)}


def test_contracts_travel_with_the_schema(registry, subject):
    rules = {"domainRules": [{"name": "positive", "kind": "CONDITION", "type": "CEL", "mode": "WRITE",
                              "expr": "message.id > 0", "onFailure": "ERROR"}]}
    metadata = {"properties": {"owner": "shop"}, "tags": {"**.id": ["KEY"]}}
    answer = registry.register(subject, {"type": "record", "name": "O", "fields": [{"name": "id", "type": "long"}]},
                               metadata=metadata, ruleSet=rules).ok()
    assert answer["metadata"] == metadata
    assert answer["ruleSet"]["domainRules"][0]["expr"] == "message.id > 0"
    found = registry.get(f"/subjects/{subject}/metadata?key=owner&value=shop").ok()
    assert found["version"] == 1 and found["ruleSet"] == answer["ruleSet"]
    assert registry.get("/schemas?ruleType=CEL").ok()[0]["subject"] == subject
    assert registry.register(subject, '"int"', ruleSet={"domainRules": [{"name": "no type"}]}).code == 42210


def test_associations(registry, subject):
    body = {"resourceName": "orders", "resourceNamespace": "cluster", "resourceId": subject, "associations": [
        {"subject": subject, "associationType": "value", "lifecycle": "STRONG", "schema": {"schema": '"int"'}}]}
    assert registry.post("/associations", body).ok()["associations"][0]["subject"] == subject
    assert registry.get(f"/subjects/{subject}/versions").ok() == [1]
    for path in (f"resources/{subject}", "resources/cluster/orders", f"subjects/{subject}"):
        assert registry.get(f"/associations/{path}").ok()[0]["resourceId"] == subject, path
    taken = registry.post("/associations", {**body, "resourceId": "other"})
    assert (taken.status, taken.code // 100) == (409, 409)
    assert registry.delete(f"/associations/resources/{subject}?cascadeLifecycle=true").status == 204
    assert registry.get(f"/subjects/{subject}/versions").code == 40401
    assert registry.delete(f"/associations/resources/{subject}").code == 40410


def test_circular_references_are_refused_and_harm_nobody(registry, subject):
    """Only IMPORT mode can store a circle: there a version may be named before it exists."""
    names = [f"{subject}-a", f"{subject}-b"]
    for name in names:
        registry.put(f"/mode/{name}", {"mode": "IMPORT"}).ok()
    for number, (name, other) in enumerate([names, names[::-1]]):
        record = {"type": "record", "name": f"R{number}", "fields": [{"name": "f", "type": f"R{1 - number}"}]}
        reference = {"name": f"R{1 - number}", "subject": other, "version": 1}
        registry.register(name, record, id=90001 + number, version=1, references=[reference]).ok()
    for name in names:
        registry.delete(f"/mode/{name}").ok()
        for path in (f"/subjects/{name}/versions/1?format=resolved", f"/subjects/{name}/versions/1?findTags=*"):
            assert registry.get(path).status in (200, 422), path
        assert registry.get(f"/subjects/{name}/versions/1").ok()["version"] == 1
        record = {"type": "record", "name": "New", "fields": [{"name": "f", "type": "R0"}]}
        reference = {"name": "R0", "subject": names[0], "version": 1}
        assert registry.register(f"{name}-new", record, references=[reference]).code == 42201
        assert registry.delete(f"/subjects/{name}").code == 42206
    assert registry.get("/subjects").status == 200


def test_slow_regular_expressions_do_not_hold_up_the_registry(registry, subject):
    evil = {"type": "string", "pattern": "^(a+)+$"}
    assert post(registry, subject, as_json({**evil, "default": "a" * 40 + "!"})).status in (200, 422)
    assert post(registry, subject, as_json({**evil, "maxLength": 10})).status in (200, 409)
    assert registry.get("/subjects", timeout=5).status == 200
