"""The REST API of a Connect worker, call by call: codes and shapes are those of Apache Kafka 4.3.1's worker."""

import json

import pytest
import requests
from harness.connect import ConnectWorker, DistributedWorker
from harness.librdkafka import produce
from harness.server import Server
from harness.wait import until

STRING = "org.apache.kafka.connect.storage.StringConverter"
POINTER = ("\nYou can also find the above list of errors at the endpoint "
           "`/connector-plugins/{connectorType}/config/validate`")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {
        "offsets.topic.num.partitions": 2, "milena.connect.listeners": ""}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture(scope="module")
def worker(kafka, tmp_path_factory):
    worker = DistributedWorker(tmp_path_factory.mktemp("worker"), kafka.bootstrap, {
        "key.converter": STRING, "value.converter": STRING, "group.id": "rest-workers",
        "access.control.allow.origin": "https://ui.example.org", "access.control.allow.methods": "GET,POST"}).start()
    yield worker
    assert worker.stop() == 0, worker.log_tail()
    assert "panicked" not in worker.log(), worker.log_tail()


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "in.txt"
    file.write_text("one\ntwo\nthree\n")
    return file


def source(file, topic="rest", **more):
    return {"connector.class": "FileStreamSource", "file": str(file), "topic": topic, **more}


def refused(answer, status, message=None):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error_code", "message"} and body["error_code"] == status
    if message is not None:
        assert message in body["message"], body["message"]
    return body["message"]


def create(worker, name, config, **more):
    return worker.send("POST", "/connectors", {"name": name, "config": config, **more})


@pytest.fixture
def connector(worker, file, request):
    """A running source whose task has read its file."""
    name = request.node.name.replace("test_", "")[:40]
    assert create(worker, name, source(file, f"topic-{name}")).status_code == 201
    worker.wait_for_task(name, "RUNNING")
    until(lambda: worker.get(f"/connectors/{name}/offsets").json()["offsets"], "the file was read")
    yield name
    worker.send("DELETE", f"/connectors/{name}")


def test_the_root_tells_version_and_cluster(worker):
    body = worker.get("/").json()
    assert list(body) == ["version", "commit", "kafka_cluster_id"]
    assert body["version"].count(".") == 2 and len(body["kafka_cluster_id"]) == 22
    assert worker.get("/health").json() == {
        "status": "healthy", "message": "Worker has completed startup and is ready to handle requests."}


def test_unknown_paths_and_methods_are_told_apart(worker):
    refused(worker.get("/nope"), 404, "HTTP 404 Not Found")
    refused(worker.get("/connectors/x/tasks/y/status"), 404, "HTTP 404 Not Found")
    refused(worker.send("DELETE", "/connectors"), 405, "HTTP 405 Method Not Allowed")
    options = worker.send("OPTIONS", "/connectors")
    assert options.status_code == 200 and set(options.headers["Allow"].split(", ")) == {"HEAD", "POST", "GET", "OPTIONS"}
    head = worker.session.head(worker.url + "/connectors", timeout=10)
    assert (head.status_code, head.content) == (200, b"")


def test_a_connector_from_its_creation_to_its_end(worker, file):
    config = source(file, "life")
    created = create(worker, "life", config)
    assert created.status_code == 201 and created.headers["Location"] == f"{worker.url}/connectors/life"
    assert created.json() == {"name": "life", "config": {**config, "name": "life"}, "tasks": [], "type": "source"}
    refused(create(worker, "life", config), 409, "Connector life already exists")
    worker.wait_for_task("life", "RUNNING")
    assert "life" in worker.get("/connectors").json()
    info = worker.get("/connectors/life").json()
    assert info["tasks"] == [{"connector": "life", "task": 0}] and list(info) == ["name", "config", "tasks", "type"]
    assert worker.get("/connectors/life/config").json() == {**config, "name": "life"}
    tasks = worker.get("/connectors/life/tasks").json()
    assert tasks[0]["id"] == {"connector": "life", "task": 0}
    assert tasks[0]["config"]["task.class"] == "org.apache.kafka.connect.file.FileStreamSourceTask"
    assert worker.get("/connectors/life/tasks-config").json() == {"life-0": tasks[0]["config"]}
    host = worker.url.removeprefix("http://")
    status = worker.status("life")
    assert list(status) == ["name", "connector", "tasks", "type"]
    state = {"state": "RUNNING", "worker_id": host, "version": status["connector"]["version"]}
    assert status == {"name": "life", "connector": state, "tasks": [{"id": 0, **state}], "type": "source"}
    assert worker.get("/connectors/life/tasks/0/status").json() == {"id": 0, **state}
    refused(worker.get("/connectors/life/tasks/7/status"), 404, "No status found for task life-7")
    both = worker.get("/connectors?expand=info&expand=status&expand=foo").json()["life"]
    assert both == {"info": info, "status": status}
    assert worker.get("/connectors?expand=foo").json()["life"] == {}
    until(lambda: worker.get("/connectors/life/topics").json() == {"life": {"topics": ["life"]}}, "the topic is noted")
    assert worker.send("PUT", "/connectors/life/topics/reset").status_code == 202
    until(lambda: worker.get("/connectors/life/topics").json() == {"life": {"topics": []}}, "the topic is forgotten")
    deleted = worker.send("DELETE", "/connectors/life")
    assert (deleted.status_code, deleted.content) == (204, b"")
    until(lambda: worker.get("/connectors/life/status").status_code == 404, "the state is gone")
    for method, path in [("GET", ""), ("GET", "/config"), ("GET", "/tasks"), ("GET", "/offsets"), ("DELETE", "")]:
        refused(worker.send(method, f"/connectors/life{path}"), 404, "Connector life not found")
    refused(worker.get("/connectors/life/status"), 404, "No status found for connector life")


def test_settings_are_replaced_and_patched(worker, connector, file):
    path = f"/connectors/{connector}/config"
    replaced = worker.send("PUT", path, source(file, f"topic-{connector}", **{"batch.size": "10"}))
    assert replaced.status_code == 200 and replaced.json()["config"]["batch.size"] == "10"
    patched = worker.send("PATCH", path, {"batch.size": None, "note": "x"})
    assert patched.status_code == 200
    assert worker.get(path).json() == {**source(file, f"topic-{connector}"), "note": "x", "name": connector}
    until(lambda: worker.get(f"/connectors/{connector}/tasks").json()[0]["config"].get("note") == "x"
          or "batch.size" not in worker.get(f"/connectors/{connector}/tasks").json()[0]["config"], "the task follows")
    refused(worker.send("PATCH", "/connectors/none/config", {"x": "y"}), 404, "Connector none not found")
    refused(worker.send("PUT", path, {**source(file), "name": "other"}), 400,
            f"Connector name configuration (other) doesn't match connector name in the URL ({connector})")
    made = worker.send("PUT", "/connectors/by-put/config", source(file, "by-put"))
    assert made.status_code == 201 and made.headers["Location"].endswith("/connectors/by-put")
    assert worker.send("DELETE", "/connectors/by-put").status_code == 204


def test_names_may_hold_anything_that_a_url_can_encode(worker, file):
    created = create(worker, "  a/b ü? ", source(file, "odd"), initial_state="paused")
    assert created.status_code == 201 and created.json()["name"] == "a/b ü?"
    path = "/connectors/a%2Fb%20%C3%BC%3F"
    assert created.headers["Location"] == worker.url + path
    until(lambda: worker.get(path + "/status").status_code == 200
          and worker.get(path + "/status").json()["connector"]["state"] == "PAUSED", "it begins paused")
    assert worker.send("DELETE", path).status_code == 204
    refused(create(worker, "tab\there", source(file)), 400, "String may not contain control sequences")
    refused(create(worker, "", source(file)), 400, "String may not be empty")


@pytest.mark.parametrize("config, message", [
    ({}, "contains no connector type"),
    ({"connector.class": "FooSource"}, "Failed to find any class that implements Connector and which name matches "
                                       "FooSource, available connectors are: PluginDesc{"),
    ({"connector.class": "FileStreamSource"}, 'Missing required configuration "topic" which has no default value.'),
    ({"tasks.max": "x"}, "Invalid value x for configuration tasks.max: Not a number of type INT"),
    ({"tasks.max": 0}, "Invalid value 0 for configuration tasks.max: Value must be at least 1"),
    ({"x": None}, "Null value can not be supplied as the configuration value."),
    ({"key.converter": "Foo"}, "Invalid value Foo for configuration key.converter: Class Foo could not be found."),
    ({"key.converter": "org.apache.kafka.connect.json.JsonConverter", "key.converter.schemas.enable": "maybe"},
     "Invalid value maybe for configuration schemas.enable: Expected value to be either true or false"),
    ({"transforms": "x"}, 'Missing required configuration "transforms.x.type" which has no default value.'),
    ({"transforms": "x,x"}, "Invalid value [x, x] for configuration transforms: Duplicate alias provided."),
    ({"transforms": "x", "transforms.x.type": "Nope"},
     "Invalid value Nope for configuration transforms.x.type: Class Nope could not be found."),
    ({"connector.class": "FileStreamSink"}, "Must configure one of topics or topics.regex"),
    ({"connector.class": "FileStreamSink", "topics": "a", "topics.regex": "b"},
     "topics and topics.regex are mutually exclusive options, but both are set."),
    ({"connector.class": "FileStreamSink", "topics": "a", "errors.deadletterqueue.topic.name": "a"},
     "The DLQ topic 'a' may not be included in the list of topics ('topics=[a]') consumed by the connector"),
    ({"connector.class": "FileStreamSink", "topics": "a", "consumer.override.group.id": "rest-workers"},
     "Consumer group rest-workers conflicts with Connect worker group rest-workers"),
    ({"exactly.once.support": "required"}, "This worker does not have exactly-once source support enabled."),
    ({"errors.tolerance": "y"}, "Invalid value y for configuration errors.tolerance: String must be one of: none, all"),
    ({"producer.override.linger.ms": "soon"}, "linger.ms"),
], ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "")
def test_wrong_settings_are_refused_by_name(worker, config, message):
    whole = config if not config or "connector.class" in config else {
        "connector.class": "FileStreamSource", "topic": "t", **config}
    text = refused(create(worker, "wrong", whole), 400, message)
    if "connector.class" in whole and whole["connector.class"] != "FooSource":
        assert text.startswith("Connector configuration is invalid and contains the following ") and text.endswith(POINTER)
    refused(worker.get("/connectors/wrong"), 404)


@pytest.mark.parametrize("body", [
    b"", b"garbage", b"[]", b"null", b"{", b'{"name":"a"}', b'{"name":5,"config":{}}', b'{"name":"a","config":[]}',
    b'{"name":"a","config":{"x":{}}}', b'{"name":"a","config":{},"foo":1}', b"\xff\xfe", b'{"name":"a","config":{"x":',
    b'{"name":"a","initial_state":"FOO","config":{}}', b"[" * 100_000], ids=range(14))
def test_bodies_that_make_no_sense_are_refused(worker, body):
    for method, path in [("POST", "/connectors"), ("PUT", "/connectors/a/config"), ("PATCH", "/connectors/a/config"),
                         ("PATCH", "/connectors/a/offsets"), ("PUT", "/connector-plugins/FileStreamSource/config/validate"),
                         ("PUT", "/admin/loggers/x")]:
        answer = worker.session.request(method, worker.url + path, data=body, timeout=30,
                                        headers={"Content-Type": "application/json"})
        # What cannot be read is 500, as in Apache Kafka; a map of texts can be read, and validated.
        is_map = body == b'{"name":"a"}'
        has_settings = is_map and path != "/connectors" and not path.endswith("/offsets")
        no_name = body == b'{"name":5,"config":{}}' and path == "/connectors"
        if path.endswith("/validate") and is_map:
            assert answer.status_code == 200
        else:
            assert answer.status_code in ((400, 404) if has_settings else (400, 500) if no_name else (500,)), f"{method} {path}: {answer.text[:300]}"
            assert answer.json()["error_code"] == answer.status_code and answer.json()["message"]
    assert worker.get("/health").status_code == 200


def test_only_json_is_read_and_written(worker):
    def answer(method, **headers):
        return worker.session.request(method, worker.url + "/connectors", data=b"{}" if method == "POST" else None, headers=headers, timeout=30)

    refused(answer("POST", **{"Content-Type": "text/plain"}), 415, "HTTP 415 Unsupported Media Type")
    refused(answer("GET", Accept="text/html"), 406, "HTTP 406 Not Acceptable")
    assert answer("GET", Accept="text/html, application/*;q=0.5").status_code == 200
    assert answer("POST", **{"Content-Type": "application/json; charset=utf-8"}).status_code == 500
    assert answer("POST").status_code == 500


def test_offsets_that_a_source_does_not_understand_are_refused(worker, connector, file):
    path = f"/connectors/{connector}/offsets"
    assert worker.send("PUT", f"/connectors/{connector}/stop").status_code == 204
    partition = {"filename": str(file)}
    for row, message in [
            ({"partition": {"foo": "x"}, "offset": {"position": 1}}, "Partition objects should contain the key 'filename'"),
            ({"partition": partition, "offset": {}}, "'position'"),
            ({"partition": partition, "offset": {"position": -1}}, "'position'"),
            ({"partition": partition, "offset": {"position": {}}}, "position"),
            ({"partition": partition, "offset": 5}, "offset"), ({"partition": partition, "offset": {}, "x": 1}, "x")]:
        refused(worker.send("PATCH", path, {"offsets": [row]}), 500, message)


def test_restarts(worker, connector):
    restart = f"/connectors/{connector}/restart"
    answer = worker.send("POST", restart)
    assert (answer.status_code, answer.content) == (204, b"")
    both = worker.send("POST", restart + "?includeTasks=true")
    assert both.status_code == 202
    assert [both.json()["connector"]["state"], both.json()["tasks"][0]["state"]] == ["RESTARTING", "RESTARTING"]
    worker.wait_for_task(connector, "RUNNING")
    failed_only = worker.send("POST", restart + "?includeTasks=true&onlyFailed=true")
    assert failed_only.status_code == 202 and failed_only.json()["tasks"][0]["state"] == "RUNNING"
    assert worker.send("POST", f"/connectors/{connector}/tasks/0/restart").status_code == 204
    worker.wait_for_task(connector, "RUNNING")
    refused(worker.send("POST", f"/connectors/{connector}/tasks/9/restart"), 404, f"Unknown task: {connector}-9")
    for path in ["/connectors/none/restart", "/connectors/none/restart?includeTasks=true",
                 "/connectors/none/tasks/0/restart"]:
        refused(worker.send("POST", path), 404, "Unknown connector: none")


def test_a_connector_is_paused_resumed_and_stopped(worker, connector):
    def states():
        status = worker.status(connector)
        return status["connector"]["state"], [task["state"] for task in status["tasks"]]

    for _ in range(2):
        assert worker.send("PUT", f"/connectors/{connector}/pause").status_code == 202
    until(lambda: states() == ("PAUSED", ["PAUSED"]), states)
    assert worker.send("PUT", f"/connectors/{connector}/resume").status_code == 202
    until(lambda: states() == ("RUNNING", ["RUNNING"]), states)
    assert worker.send("PUT", f"/connectors/{connector}/stop").status_code == 204
    until(lambda: states() == ("STOPPED", []), states)
    assert worker.get(f"/connectors/{connector}").json()["tasks"] == []
    assert worker.send("PUT", f"/connectors/{connector}/resume").status_code == 202
    until(lambda: states() == ("RUNNING", ["RUNNING"]), states)
    for verb in ["pause", "resume", "stop"]:
        refused(worker.send("PUT", f"/connectors/none/{verb}"), 404, "Unknown connector none")


def test_offsets_of_a_source_are_shown_and_changed_while_it_is_stopped(worker, connector, file):
    path = f"/connectors/{connector}/offsets"
    partition = {"filename": str(file)}
    assert worker.get(path).json() == {"offsets": [{"partition": partition, "offset": {"position": 14}}]}
    wanted = {"offsets": [{"partition": partition, "offset": {"position": 4}}]}
    for answer in [worker.send("PATCH", path, wanted), worker.send("DELETE", path)]:
        refused(answer, 400, "Connectors must be in the STOPPED state before their offsets can be modified.")
    assert worker.send("PUT", f"/connectors/{connector}/stop").status_code == 204
    for nothing in [{}, {"offsets": []}]:
        refused(worker.send("PATCH", path, nothing), 400,
                "Partitions / offsets need to be provided for an alter offsets request")
    assert worker.send("PATCH", path, wanted).json() == {
        "message": "The offsets for this connector have been altered successfully"}
    assert worker.get(path).json() == wanted
    assert worker.send("DELETE", path).json() == {
        "message": "The offsets for this connector have been reset successfully"}
    assert worker.get(path).json() == {"offsets": []}
    refused(worker.send("DELETE", "/connectors/none/offsets"), 404, "Connector none not found")


def test_offsets_of_a_sink_are_those_of_its_group(worker, kafka, tmp_path):
    produce(kafka, "sunk", [b"a", b"b", b"c"])
    config = {"connector.class": "FileStreamSink", "topics": "sunk", "file": str(tmp_path / "out.txt"),
              "consumer.override.auto.offset.reset": "earliest"}
    assert create(worker, "sunk-sink", config).status_code == 201
    path = "/connectors/sunk-sink/offsets"
    row = {"partition": {"kafka_topic": "sunk", "kafka_partition": 0}, "offset": {"kafka_offset": 3}}
    until(lambda: row in worker.get(path).json()["offsets"], lambda: worker.get(path).text)
    assert worker.send("PUT", "/connectors/sunk-sink/stop").status_code == 204
    until(lambda: worker.status("sunk-sink")["tasks"] == [], "it has no tasks")
    row["offset"]["kafka_offset"] = 1
    altered = until(lambda: (answer := worker.send("PATCH", path, {"offsets": [row]})).status_code == 200 and answer,
                    "the group is empty")
    assert altered.json()["message"].startswith("The offsets for this connector have been altered")
    assert row in worker.get(path).json()["offsets"]
    refused(worker.send("PATCH", path, {"offsets": [{"partition": {"kafka_topic": "sunk"}, "offset": None}]}), 400,
            "The partition for a sink connector offset must contain the key")
    assert worker.send("DELETE", path).status_code == 200
    assert worker.get(path).json() == {"offsets": []}
    assert worker.send("DELETE", "/connectors/sunk-sink").status_code == 204


def test_plugins_are_listed_and_described(worker):
    connectors = worker.get("/connector-plugins").json()
    assert {plugin["type"] for plugin in connectors} == {"sink", "source"}
    assert all(list(plugin) == ["class", "type", "version"] for plugin in connectors)
    classes = {plugin["class"] for plugin in connectors}
    assert {"org.apache.kafka.connect.file.FileStreamSourceConnector",
            "org.apache.kafka.connect.file.FileStreamSinkConnector"} <= classes
    everything = worker.get("/connector-plugins?connectorsOnly=false").json()
    assert {"sink", "source", "converter", "header_converter"} <= {plugin["type"] for plugin in everything}
    for name in ["FileStreamSource", "FileStreamSourceConnector", "org.apache.kafka.connect.file.FileStreamSourceConnector"]:
        keys = {row["name"]: row for row in worker.get(f"/connector-plugins/{name}/config").json()}
        assert keys["topic"]["required"] and keys["tasks.max"]["default_value"] == "1"
        assert list(keys["name"]) == ["name", "type", "required", "default_value", "importance", "documentation",
                                      "group", "order_in_group", "width", "display_name", "dependents"]
    converter = worker.get("/connector-plugins/org.apache.kafka.connect.json.JsonConverter/config").json()
    assert "schemas.enable" in {row["name"] for row in converter}
    refused(worker.get("/connector-plugins/Nope/config"), 404, "Unknown plugin Nope.")


def test_validation_tells_every_setting_with_what_is_wrong(worker):
    path = "/connector-plugins/FileStreamSource/config/validate"
    infos = worker.send("PUT", path, {"connector.class": "FileStreamSource", "tasks.max": "-1"}).json()
    assert list(infos) == ["name", "error_count", "groups", "configs"] and infos["name"] == "FileStreamSource"
    assert infos["groups"][:4] == ["Common", "Transforms", "Predicates", "Error Handling"]
    assert infos["error_count"] == 3, [row["value"] for row in infos["configs"] if row["value"]["errors"]]
    rows = {row["value"]["name"]: row for row in infos["configs"]}
    assert list(rows["name"]["value"]) == ["name", "value", "recommended_values", "errors", "visible"]
    assert rows["name"]["value"]["errors"][0].startswith('Missing required configuration "name"')
    assert rows["key.converter"]["definition"]["default_value"] == STRING
    refused(worker.send("PUT", path, {"connector.class": "FileStreamSink"}), 400,
            "Included connector type FileStreamSink does not match request type FileStreamSource")
    fine = worker.send("PUT", path, {"connector.class": "FileStreamSource", "name": "x", "topic": "t"}).json()
    assert fine["error_count"] == 0
    refused(worker.send("PUT", "/connector-plugins/Nope/config/validate", {"connector.class": "Nope"}), 500,
            "Failed to find any class that implements Connector and which name matches Nope")


def test_loggers(worker):
    levels = worker.get("/admin/loggers").json()
    assert list(levels["root"]) == ["level", "last_modified"] and levels["root"]["level"] == "INFO"
    assert worker.get("/admin/loggers/root").json() == levels["root"]
    refused(worker.get("/admin/loggers/nope.x"), 404, "Logger nope.x not found.")
    refused(worker.send("PUT", "/admin/loggers/root", {}), 400, "Desired 'level' parameter was not specified in request.")
    refused(worker.send("PUT", "/admin/loggers/root", {"level": "LOUD"}), 404, "invalid log level 'LOUD'.")
    affected = worker.send("PUT", "/admin/loggers/milena_connect", {"level": "debug"})
    assert affected.status_code == 200 and "milena_connect" in affected.json() and "milena_connect::herder" in affected.json()
    changed = worker.get("/admin/loggers/milena_connect").json()
    assert changed["level"] == "DEBUG" and changed["last_modified"] > 1_700_000_000_000
    everywhere = worker.send("PUT", "/admin/loggers/milena_connect?scope=cluster", {"level": "INFO"})
    assert (everywhere.status_code, everywhere.content) == (204, b"")
    until(lambda: worker.get("/admin/loggers/milena_connect").json()["level"] == "INFO", "the level reaches the worker")


def test_calls_of_workers_must_be_signed(worker, connector):
    for method, path in [("POST", "tasks"), ("PUT", "fence")]:
        refused(worker.send(method, f"/connectors/{connector}/{path}", []), 400,
                "Internal request missing required signature")
        forged = {"X-Connect-Authorization": "AAAA", "X-Connect-Request-Signature-Algorithm": "HmacSHA256"}
        refused(worker.send(method, f"/connectors/{connector}/{path}", [], headers=forged), 403,
                "Internal request contained invalid signature.")


def test_pages_of_other_origins(worker):
    allowed = worker.session.get(worker.url + "/connectors", headers={"Origin": "https://ui.example.org"}, timeout=10)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://ui.example.org"
    other = worker.session.get(worker.url + "/connectors", headers={"Origin": "https://evil.org"}, timeout=10)
    assert "Access-Control-Allow-Origin" not in other.headers


def test_secrets_stay_behind_their_placeholders(kafka, tmp_path):
    (tmp_path / "secrets.properties").write_text(f"file={tmp_path / 'in.txt'}\nsecret=s3cr3t-value\n")
    (tmp_path / "in.txt").write_text("line\n")
    worker = ConnectWorker(tmp_path, kafka.bootstrap, {
        "key.converter": STRING, "value.converter": STRING, "config.providers": "file,env",
        "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    }, env={"SOURCE_TOPIC": "hidden-topic"}).start()
    try:
        secrets = tmp_path / "secrets.properties"
        config = source(f"${{file:{secrets}:file}}", "${env:SOURCE_TOPIC}", password=f"${{file:{secrets}:secret}}")
        assert create(worker, "hidden", config).status_code == 201
        until(lambda: worker.get("/connectors/hidden/topics").json() == {"hidden": {"topics": ["hidden-topic"]}},
              lambda: worker.status("hidden"))
        shown = worker.get("/connectors/hidden").text + worker.get("/connectors/hidden/tasks").text
        assert "s3cr3t" not in shown and f"${{file:{secrets}:secret}}" in worker.get("/connectors/hidden").json()["config"]["password"]
        assert create(worker, "lost", source("${file:/no/such/file:x}")).status_code == 500
    finally:
        worker.stop()
    assert "s3cr3t" not in worker.log()


def test_users_of_the_basic_auth_extension(kafka, tmp_path):
    users = tmp_path / "users.properties"
    users.write_text("ada=secret\n")
    jaas = tmp_path / "jaas.conf"
    jaas.write_text('KafkaConnect { org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required '
                    f'file="{users}"; }};\n')
    worker = ConnectWorker(tmp_path, kafka.bootstrap, {
        "rest.extension.classes": "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension",
    }, env={"KAFKA_OPTS": f"-Djava.security.auth.login.config={jaas}"})
    worker.session.auth = ("ada", "secret")
    try:
        worker.start()
        anonymous = requests.get(worker.url + "/connectors", timeout=10)
        assert anonymous.status_code == 401 and "basic" in anonymous.headers["WWW-Authenticate"].lower()
        assert requests.get(worker.url + "/connectors", auth=("ada", "wrong"), timeout=10).status_code == 401
        assert worker.get("/connectors").status_code == 200
    finally:
        worker.stop()


def test_a_thousand_connectors_are_listed_quickly(kafka, tmp_path):
    worker = DistributedWorker(tmp_path, kafka.bootstrap, {
        "group.id": "many", "key.converter": STRING, "value.converter": STRING,
        **{f"{what}.storage.topic": f"many-{what}" for what in ["config", "offset", "status"]}}).start()
    try:
        for number in range(1000):
            answer = create(worker, f"c{number:04}", source(tmp_path / "none.txt", "none"), initial_state="STOPPED")
            assert answer.status_code == 201, answer.text
        assert len(worker.get("/connectors").json()) == 1000
        answer = until(lambda: len((answer := worker.get("/connectors?expand=info&expand=status")).json()) == 1000 and answer,
                       "every connector has a state", timeout=60)
        assert answer.elapsed.total_seconds() < 1.0
        assert answer.json()["c0999"]["status"]["connector"]["state"] == "STOPPED"
    finally:
        worker.stop()
