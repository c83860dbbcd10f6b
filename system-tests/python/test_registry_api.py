"""The schema registry over plain HTTP: the usual tutorial, errors, names, media types, limits."""

import gzip
import json
import re
import subprocess

import pytest
from harness.registry import V1, quoted, ServerWithRegistry

STRING, INT = '"string"', '"int"'
RECORD = {"type": "record", "name": "User", "namespace": "shop", "fields": [{"name": "name", "type": "string"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRegistry(tmp_path_factory.mktemp("registry")).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


@pytest.fixture
def registry(server):
    return server.registry


@pytest.fixture
def subject(request):
    return re.sub(r"[^A-Za-z0-9]+", "-", request.node.name).strip("-")


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", "30", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_usual_tutorial_runs_with_curl(new_server, tmp_path):
    server = ServerWithRegistry(tmp_path / "tutorial").start()
    try:
        url = server.registry.url
        as_json = ("-H", f"Content-Type: {V1}")
        post = lambda path, body: json.loads(curl("-X", "POST", *as_json, "--data", body, f"{url}{path}"))
        put = lambda path, body: json.loads(curl("-X", "PUT", *as_json, "--data", body, f"{url}{path}"))
        get = lambda path: json.loads(curl("-X", "GET", f"{url}{path}"))
        assert post("/subjects/fast/versions", r'{"schema": "{\"type\": \"string\"}"}')["id"] == 1
        assert post("/subjects/campus/versions", r'{"schema": "{\"type\": \"int\"}"}')["id"] == 2
        assert get("/subjects") == ["campus", "fast"]
        assert get("/config") == {"compatibilityLevel": "BACKWARD"}
        assert put("/config", '{"compatibility": "FULL"}') == {"compatibility": "FULL"}
        assert get("/config") == {"compatibilityLevel": "FULL"}
        assert put("/config", '{"compatibility": "BACKWARD"}') == {"compatibility": "BACKWARD"}
        assert put("/config/fast", '{"compatibility": "NONE"}') == {"compatibility": "NONE"}
        assert get("/schemas/ids/1")["schema"] == STRING
        first = get("/subjects/fast/versions/1")
        assert (first["subject"], first["version"], first["id"], first["schema"]) == ("fast", 1, 1, STRING)
        assert get("/subjects/fast/versions/latest") == first
        check = lambda subject, text: post(f"/compatibility/subjects/{subject}/versions/latest",
                                           json.dumps({"schema": json.dumps({"type": text})}))
        assert check("fast", "int") == {"is_compatible": True}
        assert check("campus", "string") == {"is_compatible": False}
        assert check("campus", "int") == {"is_compatible": True}
        assert curl("-X", "DELETE", f"{url}/subjects/fast") == "[1]"
        assert curl("-X", "DELETE", f"{url}/subjects/campus") == "[1]"
        assert get("/subjects") == []
    finally:
        server.kill()


def test_a_schema_evolves_under_backward_compatibility(registry, subject):
    assert registry.register(subject, RECORD).ok()["version"] == 1
    email = {"name": "email", "type": "string"}
    grown = {**RECORD, "fields": [*RECORD["fields"], {**email, "default": ""}]}
    assert registry.register(subject, grown).ok()["version"] == 2
    refused = registry.register(subject, {**grown, "fields": [*grown["fields"], {"name": "age", "type": "int"}]})
    assert (refused.status, refused.code) == (409, 40901)
    message = refused.json["message"]
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in message and "age" in message and subject in message
    verbose = registry.post(f"/compatibility/subjects/{subject}/versions/latest?verbose=true",
                            {"schema": json.dumps({**RECORD, "fields": [{"name": "age", "type": "int"}]})}).ok()
    assert verbose["is_compatible"] is False and any("age" in message for message in verbose["messages"])


def test_answers_of_a_registered_schema(registry, subject):
    answer = registry.register(subject, RECORD).ok()
    assert answer["version"] == 1 and answer["schemaType"] == "AVRO" and len(answer["guid"]) == 36
    stored = registry.get(f"/subjects/{subject}/versions/1").ok()
    assert stored["schema"] == ('{"type":"record","name":"User","namespace":"shop",'
                                '"fields":[{"name":"name","type":"string"}]}')
    assert stored["ts"] > 1_600_000_000_000 and stored["deleted"] is False and "references" not in stored
    assert registry.get(f"/subjects/{subject}/versions/1/schema").body.decode() == stored["schema"]
    assert registry.get(f"/schemas/ids/{answer['id']}/schema").body.decode() == stored["schema"]
    by_id = registry.get(f"/schemas/ids/{answer['id']}?fetchMaxId=true&subject={subject}").ok()
    assert by_id["schema"] == stored["schema"] and by_id["maxId"] >= answer["id"] and by_id["version"] == 1
    by_guid = registry.get(f"/schemas/guids/{answer['guid']}").ok()
    assert by_guid["schema"] == stored["schema"] and by_guid["guid"] == answer["guid"]
    assert registry.get(f"/schemas/guids/{answer['guid']}/ids").ok() == [{"context": ".", "id": answer["id"]}]
    assert {"subject": subject, "version": 1} in registry.get(f"/schemas/ids/{answer['id']}/versions").ok()
    assert subject in registry.get(f"/schemas/ids/{answer['id']}/subjects").ok()
    found = registry.post(f"/subjects/{subject}", {"schema": json.dumps(RECORD)}).ok()
    assert (found["id"], found["version"]) == (answer["id"], 1)


@pytest.mark.parametrize("method,path,body,status,code", [
    ("GET", "/subjects/missing/versions", None, 404, 40401),
    ("GET", "/subjects/missing/versions/1", None, 404, 40401),
    ("GET", "/subjects/missing/versions/0", None, 422, 42202),
    ("GET", "/subjects/missing/versions/first", None, 422, 42202),
    ("GET", "/schemas/ids/999999", None, 404, 40403),
    ("GET", "/schemas/ids/abc", None, 404, 404),
    ("GET", "/schemas/guids/none", None, 404, 40403),
    ("DELETE", "/subjects/missing", None, 404, 40401),
    ("GET", "/config/missing", None, 404, 40408),
    ("GET", "/mode/missing", None, 404, 40409),
    ("DELETE", "/config/missing", None, 404, 40401),
    ("PUT", "/config", {"compatibility": "SIDEWAYS"}, 422, 42203),
    ("PUT", "/mode", {"mode": "SIDEWAYS"}, 422, 42204),
    ("POST", "/subjects/bad/versions", {"schema": "{"}, 422, 42201),
    ("POST", "/subjects/bad/versions", {"schema": ""}, 422, 42201),
    ("POST", "/subjects/bad/versions", {"schema": INT, "schemaType": "XML"}, 422, 42201),
    ("POST", "/subjects/bad/versions", b"not json", 400, 400),
    ("POST", "/subjects/bad/versions", b"[]", 400, 400),
    ("POST", "/subjects/a%0Ab/versions", {"schema": INT}, 422, 42208),
    ("POST", "/subjects/__GLOBAL/versions", {"schema": INT}, 422, 42208),
    ("GET", "/nothing/here", None, 404, 404),
    ("PUT", "/subjects", {}, 405, 405),
])
def test_errors_have_the_known_codes(registry, method, path, body, status, code):
    answer = registry.send(method, path, body)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert isinstance(answer.json["message"], str) and answer.json["message"]


@pytest.mark.parametrize("name", ["a/b", "a b", "ä", "x:y", "100%", "q?u=1&v", "#hash", "+plus+"])
def test_subjects_may_have_any_name(registry, name):
    assert registry.register(name, INT).status == 200
    assert name in registry.get("/subjects").ok()
    assert registry.get(f"/subjects/{quoted(name)}/versions/latest").ok()["subject"] == name
    assert registry.delete(f"/subjects/{quoted(name)}").ok() == [1]


def test_media_types(registry):
    for accept, expected in [("*/*", V1), ("application/json", "application/json"), ("text/html, */*;q=0.1", V1)]:
        assert registry.get("/subjects", Accept=accept).headers["Content-Type"] == expected
    assert registry.get("/subjects", Accept="text/html").code == 406
    assert registry.send("POST", "/subjects/m/versions", b"{}", Content_Type="text/plain").code == 415
    octets = registry.send("POST", "/subjects/m/versions", json.dumps({"schema": INT}).encode(),
                           Content_Type="application/octet-stream")
    assert octets.status == 200
    assert registry.get("/subjects/").status == 200
    assert registry.send("HEAD", "/subjects").status == 200
    assert "GET" in registry.send("OPTIONS", "/subjects").headers["Allow"]
    assert registry.get("/subjects", X_Request_ID="mine").headers["X-Request-ID"] == "mine"
    assert registry.get("/subjects").headers["X-Request-ID"]


def test_large_answers_are_compressed_for_who_likes_that(registry, subject):
    doc = "word " * 1000
    registry.register(subject, {**RECORD, "doc": doc}).ok()
    path = f"/subjects/{subject}/versions/1"
    answer = registry.get(path, Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip" and len(answer.body) < len(doc)
    assert doc in json.loads(gzip.decompress(answer.body))["schema"]
    assert "Content-Encoding" not in registry.get(path).headers


def test_pages(registry, subject):
    for number in range(5):
        registry.register(f"{subject}-{number}", INT).ok()
    page = lambda query: registry.get(f"/subjects?subjectPrefix={subject}&{query}").ok()
    assert page("") == [f"{subject}-{number}" for number in range(5)]
    assert page("offset=1&limit=2") == [f"{subject}-1", f"{subject}-2"]
    assert len(page("limit=-1")) == 5 and len(page("limit=0")) == 5
    listed = registry.get(f"/schemas?subjectPrefix={subject}&latestOnly=true&limit=3").ok()
    assert [(schema["subject"], schema["version"]) for schema in listed] == [(f"{subject}-{n}", 1) for n in range(3)]


def test_contexts_by_path_and_by_prefix(registry):
    assert registry.post("/contexts/.shop/subjects/s/versions", {"schema": STRING}).ok()["id"] == 1
    assert registry.get("/subjects/:.shop:s/versions").ok() == [1]
    assert registry.get("/contexts/.shop/subjects").ok() == [":.shop:s"]
    assert registry.get("/contexts/.shop/schemas/ids/1").ok()["schema"] == STRING
    assert {".", ".shop"} <= set(registry.get("/contexts").ok())
    registry.put("/contexts/.shop/config", {"compatibility": "NONE"}).ok()
    assert registry.get("/config/:.shop:").ok() == {"compatibilityLevel": "NONE"}
    assert registry.register(":.shop:s", INT).ok()["version"] == 2
    assert registry.delete("/contexts/.shop").code == 42211
    assert ":.shop:s" in registry.get("/subjects").ok()


def test_an_alias_stands_for_its_subject(registry, subject):
    registry.register(subject, INT).ok()
    registry.put(f"/config/{subject}-alias", {"alias": subject}).ok()
    assert registry.get(f"/subjects/{subject}-alias/versions/latest").ok()["subject"] == subject
    assert registry.get(f"/config/{subject}-alias").ok() == {"alias": subject}
    cleared = registry.put(f"/config/{subject}-alias", {"alias": None, "compatibility": "FULL"}).ok()
    assert cleared == {"compatibility": "FULL"}
    assert registry.get(f"/subjects/{subject}-alias/versions").code == 40401


def test_modes_decide_who_may_write(registry, subject):
    registry.register(subject, INT).ok()
    assert registry.put(f"/mode/{subject}", {"mode": "READONLY"}).ok() == {"mode": "READONLY"}
    assert registry.register(subject, INT).status == 200
    assert registry.register(subject, '"long"').code == 42205
    assert registry.put(f"/mode/{subject}", {"mode": "IMPORT"}).code == 42205
    assert registry.delete(f"/mode/{subject}").ok() == {"mode": "READONLY"}
    imported = f"{subject}-imported"
    registry.put(f"/mode/{imported}", {"mode": "IMPORT"}).ok()
    assert registry.register(imported, STRING, id=70001, version=7).ok()["id"] == 70001
    assert registry.get(f"/subjects/{imported}/versions").ok() == [7]


def test_deletion_in_two_steps(registry, subject):
    registry.register(subject, RECORD).ok()
    assert registry.delete(f"/subjects/{subject}?permanent=true").code == 40405
    assert registry.delete(f"/subjects/{subject}/versions/latest").ok() == 1
    assert registry.delete(f"/subjects/{subject}/versions/1").code == 40406
    assert registry.delete(f"/subjects/{subject}").code == 40404
    assert registry.get(f"/subjects/{subject}/versions?deleted=true").ok() == [1]
    assert registry.get(f"/subjects/{subject}/versions/1?deleted=true").ok()["deleted"] is True
    assert registry.get(f"/subjects/{subject}/versions/latest?deleted=true").code == 40402
    assert subject in registry.get("/subjects?deletedOnly=true").ok()
    assert registry.delete(f"/subjects/{subject}/versions/1?permanent=true").ok() == 1
    assert registry.get(f"/subjects/{subject}/versions?deleted=true").code == 40401


def test_references(registry, subject):
    inner = {"type": "record", "name": "Inner", "fields": []}
    registry.register(f"{subject}-inner", inner).ok()
    outer = {"type": "record", "name": "Outer", "fields": [{"name": "i", "type": "Inner"}]}
    reference = {"name": "Inner", "subject": f"{subject}-inner", "version": -1}
    answer = registry.register(f"{subject}-outer", outer, references=[reference]).ok()
    assert answer["references"] == [{**reference, "version": 1}]
    assert registry.get(f"/subjects/{subject}-inner/versions/1/referencedby").ok() == [answer["id"]]
    assert registry.delete(f"/subjects/{subject}-inner").code == 42206
    resolved = registry.get(f"/subjects/{subject}-outer/versions/1?format=resolved").ok()["schema"]
    assert json.loads(resolved)["fields"][0]["type"]["name"] == "Inner"
    missing = registry.register(f"{subject}-other", outer, references=[{**reference, "version": 9}])
    assert missing.code == 42201 and f"{subject}-inner" in missing.json["message"]


def test_what_the_registry_tells_about_itself(registry):
    assert registry.get("/").ok() == {}
    assert registry.get("/schemas/types").ok() == ["JSON", "PROTOBUF", "AVRO"]
    scope = registry.get("/v1/metadata/id").ok()["scope"]
    assert scope["clusters"]["schema-registry-cluster"] == "schema-registry" and scope["clusters"]["kafka-cluster"]
    assert registry.get("/v1/metadata/version").ok()["version"]
    assert registry.get("/v1/metadata/deployment").ok() == {"attributes": []}


def test_hostile_bodies_are_answered(registry, subject):
    large = {**RECORD, "doc": "x" * 5_000_000}
    assert registry.register(subject, large).ok()["version"] == 1
    assert len(registry.get(f"/subjects/{subject}/versions/1").ok()["schema"]) > 5_000_000
    deep = '{"type":"array","items":' * 10_000 + '"int"' + "}" * 10_000
    assert registry.register(f"{subject}-deep", deep).code == 42201
    assert registry.post(f"/subjects/{subject}/versions", b'{"schema":' + b"[" * 100_000).status == 400
    assert registry.post(f"/subjects/{subject}/versions", b"x" * (17 * 1024 * 1024)).status == 413
    assert registry.get("/subjects").status == 200


def test_nothing_is_made_in_kafka_before_a_schema_is_registered(new_server, tmp_path):
    server = ServerWithRegistry(tmp_path / "lazy").start()
    try:
        assert server.registry.get("/subjects").ok() == []
        assert not list(server.data.rglob("_schemas-0")) and not list(server.data.rglob("__consumer_offsets-0"))
        server.registry.register("s", INT).ok()
        assert server.partition_directory("_schemas")
        assert server.restart() and server.registry.get("/subjects/s/versions").ok() == [1]
    finally:
        server.kill()
