"""Statements of streaming SQL in a server of all systems: variables, PRINT, connectors, descriptions, what is written into
the command topic."""

import json
import re
import struct

import pytest
from harness.librdkafka import create_topic, produce, read
from harness.sql import ServerWithSql, Sql
from harness.wait import until

EARLIEST = {"auto.offset.reset": "earliest"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    server = ServerWithSql(tmp_path_factory.mktemp("platform"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log_path.read_text(errors="replace")


@pytest.fixture
def sql(platform):
    return platform.sql


@pytest.fixture
def alone(platform, tmp_path, request):
    """A SQL server of the test's own, with a command topic of its own."""
    server = Sql(tmp_path / "sql", platform.bootstrap, {"ksql.service.id": f"{request.node.name}_"})
    yield server.start()
    server.stop()
    assert "panicked" not in server.log()


def commands(platform, service="default_"):
    """The statements of the command topic."""
    return [json.loads(message.value())["statement"]
            for message in read(platform, f"_confluent-ksql-{service}_command_topic")]


def test_the_systems_of_a_process_know_each_other(platform, sql):
    assert "SQL server         http://127.0.0.1:" in platform.log_path.read_text()
    create_topic(platform, "inferred")
    schema = {"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": ["null", "string"]}]}
    platform.registry.register("inferred-value", schema)
    [created] = sql.ksql("CREATE STREAM inferred WITH (kafka_topic='inferred', value_format='AVRO');")
    assert created["commandStatus"]["status"] == "SUCCESS"
    assert (platform.data / "ksql-state").is_dir()
    # What the registry said is part of the command: it may say something else later.
    assert "CREATE STREAM INFERRED (A INTEGER, B STRING) WITH" in commands(platform)[-1]
    platform.registry.register("inferred-value", {**schema, "fields": schema["fields"] + [
        {"name": "c", "type": ["null", "int"], "default": None}]})
    [described] = sql.ksql("DESCRIBE inferred;")
    assert [field["name"] for field in described["sourceDescription"]["fields"]] == ["A", "B"]


def test_variables_are_put_in_when_their_turn_comes(platform, sql):
    answers = sql.ksql("DEFINE fmt = 'JSON'; SHOW VARIABLES; "
                       "CREATE STREAM ${name} (a STRING) WITH (kafka_topic='${topic}', partitions=1, value_format='${fmt}'); "
                       "UNDEFINE FMT; SHOW VARIABLES;",
                       sessionVariables={"name": "substituted", "topic": "substituted_topic"})
    shown, created, after = answers
    assert {"name": "fmt", "value": "JSON"} in shown["variables"]
    assert [variable["name"] for variable in after["variables"]] == ["name", "topic"]
    assert created["commandId"] == "stream/`SUBSTITUTED`/create"
    assert "value_format='JSON'" in commands(platform)[-1] and "${" not in commands(platform)[-1]
    assert "Got: '${nothing}'" in sql.refused("DESCRIBE ${nothing};")
    assert sql.query("SELECT '${nothing}' AS n FROM substituted;") == ([], "Query Completed")
    raw = {"ksql.variable.substitution.enable": "false"}
    sql.refused("CREATE STREAM ${name} (a INT) WITH (kafka_topic='x', partitions=1, value_format='JSON');", properties=raw)


def test_creation_tells_what_is_there_and_what_may_be_replaced(sql):
    create = "CREATE {} STREAM {} replaced (id STRING KEY, a INT{}) WITH (kafka_topic='replaced', partitions=1, value_format='JSON');"
    sql.ksql(create.format("", "", ""))
    [warning] = sql.ksql(create.format("", "IF NOT EXISTS", ""))
    assert warning["@type"] == "warning_entity"
    assert warning["message"] == "Cannot add stream `REPLACED`: A stream with the same name already exists."
    assert sql.ksql(create.format("OR REPLACE", "", ", b STRING"))[0]["commandStatus"]["status"] == "SUCCESS"
    assert "not upgradeable" in sql.refused(create.format("OR REPLACE", "", ", c STRING").replace("a INT", "x INT"))
    assert "A stream with the same name already exists" in sql.refused(create.format("", "", ""))
    [dropped] = sql.ksql("DROP STREAM IF EXISTS nothing_there;")
    assert dropped["commandStatus"]["message"] == "Source `NOTHING_THERE` does not exist."
    refused = sql.refused("ALTER SYSTEM 'ksql.service.id'='x';", 50000)
    assert refused.startswith("Could not write the statement") and "\nCaused by: Cannot alter system configs" in refused
    [warning] = sql.ksql("UNDEFINE nothing_there;")
    assert warning["message"] == "Cannot undefine variable 'nothing_there' which was never defined"


def test_a_request_waits_for_the_command_that_it_names(sql):
    [created] = sql.ksql("CREATE STREAM awaited (a INT) WITH (kafka_topic='awaited', partitions=1, value_format='JSON');")
    number = created["commandSequenceNumber"]
    assert sql.ksql("DESCRIBE awaited;", commandSequenceNumber=number)
    answer = sql.post("/ksql", {"ksql": "SHOW STREAMS;", "commandSequenceNumber": number + 1000})
    assert (answer.status_code, answer.json()["error_code"]) == (503, 50301)


def test_topics_are_printed_whatever_they_hold(platform, sql):
    create_topic(platform, "texts")
    produce(platform, "texts", ['{"name": "Ann"}', '{"name": "Bob"}'])
    lines = sql.printed("PRINT texts FROM BEGINNING LIMIT 2;")
    assert lines[:2] == ["Key format: ¯\\_(ツ)_/¯ - no data processed", "Value format: JSON or KAFKA_STRING"]
    for line, name in zip(lines[2:], ("Ann", "Bob"), strict=True):
        row = re.fullmatch(r"rowtime: (\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{3} Z), key: <null>, value: (.*), partition: 0", line)
        assert row and json.loads(row[2]) == {"name": name}, line
    create_topic(platform, "numbers")
    produce(platform, "numbers", [(struct.pack(">i", 7), struct.pack(">q", n)) for n in range(5)])
    lines = sql.printed("print 'numbers' FROM BEGINNING INTERVAL 2 LIMIT 3;")
    assert lines[:2] == ["Key format: KAFKA_INT or KAFKA_STRING", "Value format: KAFKA_BIGINT or KAFKA_DOUBLE or KAFKA_STRING"]
    assert [line.split(", ")[1:3] for line in lines[2:]] == [["key: 7", f"value: {n}"] for n in (0, 2, 4)]
    answer = sql.post("/query", {"ksql": "PRINT TEXTS;"})
    assert answer.status_code == 400 and "print texts;" in answer.json()["message"]
    assert "PRINT" in sql.refused("PRINT texts;", 40002)


def test_registered_schemas_are_printed(sql):
    for form in ("AVRO", "PROTOBUF", "JSON_SR"):
        sql.ksql(f"CREATE STREAM printed_{form} (k STRING KEY, title STRING, n INT) WITH (kafka_topic='printed_{form}', "
                 f"partitions=1, value_format='{form}');"
                 f"INSERT INTO printed_{form} VALUES ('a', 'Die Hard', 4);")
        formats, line = sql.printed(f"PRINT printed_{form} FROM BEGINNING LIMIT 1;")[1:]
        assert formats.split(" or ")[0] == f"Value format: {form}"
        value = line.split(", value: ")[1].split(", partition")[0]
        assert value == {"AVRO": '{"TITLE": "Die Hard", "N": 4}', "PROTOBUF": 'TITLE: "Die Hard" N: 4',
                         "JSON_SR": '{"TITLE":"Die Hard","N":4}'}[form]


def test_connectors_are_made_shown_and_dropped(platform, sql, tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("one\ntwo\n")
    create = (f"CREATE SOURCE CONNECTOR {{}} `lines` WITH ('connector.class'='FileStreamSource', 'file'='{file}', "
              "'topic'='connected', 'value.converter'='org.apache.kafka.connect.storage.StringConverter');")
    [created] = sql.ksql(create.format(""))
    assert created["@type"] == "connector_info"
    assert (created["info"]["name"], created["info"]["config"]["topic"]) == ("lines", "connected")
    [warning] = sql.ksql(create.format("IF NOT EXISTS"))
    assert warning["@type"] == "warning_entity"
    assert "already exists" in sql.refused(create.format(""), 40900)

    def listed():
        return sql.ksql("SHOW SOURCE CONNECTORS;")[0]["connectors"]

    until(lambda: listed()[0]["state"] == "RUNNING (1/1 tasks RUNNING)", lambda: f"a running task: {listed()}")
    assert listed()[0]["className"] == "FileStreamSource"
    assert sql.ksql("SHOW SINK CONNECTORS;")[0]["connectors"] == []
    until(lambda: "one" in sql.printed("PRINT connected FROM BEGINNING LIMIT 1;")[-1], "the first line")
    sql.ksql("CREATE STREAM connected (line STRING) WITH (kafka_topic='connected', value_format='KAFKA');")
    until(lambda: sql.ksql("DESCRIBE CONNECTOR `lines`;")[0]["topics"] == ["connected"], "the topic of the connector")
    [described] = sql.ksql("DESCRIBE CONNECTOR `lines`;")
    assert described["@type"] == "connector_description"
    assert described["status"]["connector"]["state"] == "RUNNING"
    assert [source["name"] for source in described["sources"]] == ["CONNECTED"]
    [plugins] = sql.ksql("SHOW CONNECTOR PLUGINS;")
    assert {"source", "sink"} <= {plugin["type"] for plugin in plugins["connectorsPlugins"]}
    [dropped] = sql.ksql("DROP CONNECTOR `lines`;")
    assert (dropped["@type"], dropped["connectorName"]) == ("drop_connector", "lines")
    assert sql.ksql("DROP CONNECTOR IF EXISTS `lines`;")[0]["@type"] == "warning_entity"
    sql.refused("DROP CONNECTOR `lines`;", 40400)


def test_a_damaged_command_topic_stops_changes_and_nothing_else(platform, alone):
    create = "CREATE STREAM {} (a INT) WITH (kafka_topic='damage', partitions=1, value_format='JSON');"
    alone.ksql(create.format("one"))
    produce(platform, f"_confluent-ksql-{alone.overrides['ksql.service.id']}_command_topic", ["{no command"])
    until(lambda: not alone.get("/healthcheck").json()["details"]["commandRunner"]["isHealthy"], "the damage is seen")
    assert "DDL statements" in alone.refused(create.format("two"), 50000)
    assert [source["name"] for source in alone.ksql("SHOW STREAMS;")[0]["streams"]] == ["ONE"]


def test_nothing_is_made_in_kafka_before_the_first_command(platform, alone):
    def topics():
        return [topic["name"] for topic in alone.ksql("SHOW ALL TOPICS;")[0]["topics"]]

    own = f"_confluent-ksql-{alone.overrides['ksql.service.id']}_command_topic"
    assert own not in topics()
    alone.ksql("CREATE TYPE t AS STRUCT<a INT>;")
    assert own in topics()


def test_extended_descriptions_tell_how_far_queries_have_read(platform, sql):
    sql.ksql("CREATE STREAM far (id STRING KEY, n INT) WITH (kafka_topic='far', partitions=2, value_format='JSON');")
    [created] = sql.ksql("CREATE TABLE far_totals AS SELECT id, SUM(n) AS total FROM far GROUP BY id;", EARLIEST)
    query = created["commandStatus"]["queryId"]
    for n in range(3):
        sql.ksql(f"INSERT INTO far VALUES ('a', {n});")

    def offsets():
        [described] = sql.ksql("DESCRIBE far_totals EXTENDED;")
        return {(topic["kafkaTopic"], at["partition"]): (at["logEndOffset"], at["consumerOffset"])
                for summary in described["sourceDescription"]["queryOffsetSummaries"]
                for topic in summary["topicSummaries"] for at in topic["offsets"]}

    until(lambda: any(at == (3, 3) for (topic, _), at in offsets().items() if topic == "far"),
          lambda: f"everything is read: {offsets()}", timeout=30)
    [explained] = sql.ksql(f"EXPLAIN {query};")
    description = explained["queryDescription"]
    assert (description["sources"], description["sinks"], description["queryType"]) == (["FAR"], ["FAR_TOTALS"], "PERSISTENT")
    assert description["consumerGroupId"] == f"_confluent-ksql-default_query_{query}"
    plan = description["executionPlan"].splitlines()
    assert plan[0].startswith(" > [ SINK ] | Schema: ID STRING KEY, ") and "ID STRING," not in plan[0]
    assert plan[0].endswith(f" | Logger: {query}.FAR_TOTALS")
    assert plan[1].startswith("\t\t > [ PROJECT ]") and plan[-1].lstrip().startswith("> [ SOURCE ]")
    assert "Source: KSTREAM-SOURCE-" in description["topology"] and "(topic: FAR_TOTALS)" in description["topology"]
    [explained] = sql.ksql("EXPLAIN SELECT id, n FROM far WHERE n > 1 EMIT CHANGES;")
    description = explained["queryDescription"]
    assert "[ FILTER ]" in description["executionPlan"] and description["id"].startswith("transient_FAR_")
    assert description["statementText"] == "SELECT id, n FROM far WHERE n > 1 EMIT CHANGES;"
    [explained] = sql.ksql("EXPLAIN CREATE STREAM near AS SELECT * FROM far;")
    description = explained["queryDescription"]
    assert (description["sinks"], description["queryType"], description["state"]) == (["NEAR"], "PERSISTENT", None)
    assert description["id"].startswith("CSAS_NEAR_")
    sql.refused("DESCRIBE near;")
    [shown] = sql.ksql("SHOW QUERIES EXTENDED;")
    assert query in [each["id"] for each in shown["queryDescriptions"]]
    assert "does not exist" in sql.refused("EXPLAIN NOTHING_0;")


def test_properties_are_known_or_not(sql):
    assert sql.get("/is_valid_property/auto.offset.reset").json() is True
    answer = sql.get("/is_valid_property/auto.ofset.reset")
    assert answer.status_code == 400 and "Not recognizable" in answer.json()["message"]
    assert "denylist" in sql.refused("SET 'ksql.service.id'='x';")
    assert sql.refused("SET 'auto.ofset.reset'='x';") == "Unknown property: auto.ofset.reset"
    assert "must be either 'earliest'" in sql.refused("SET 'auto.offset.reset'='x';")
    for properties, message in [({"auto.ofset.reset": "x"}, "Not recognizable"), ({"ksql.hidden.topics": "x"}, "Cannot override"),
                                ({"ksql.service.id": "x"}, "denylist"), ({"auto.offset.reset": "none"}, "is not valid")]:
        code = 50000 if message == "Not recognizable" else 40000
        assert message in sql.refused("SHOW STREAMS;", code, properties)
        answer = sql.post("/query-stream", {"sql": "SELECT * FROM far;", "properties": properties})
        assert (answer.status_code, answer.json()["error_code"]) == (400, 40000)
        answer = sql.post("/query", {"ksql": "SELECT * FROM far;", "streamsProperties": properties})
        assert (answer.json()["@type"], answer.json()["error_code"]) == ("generic_error", code)
    [shown] = sql.ksql("SET 'auto.offset.reset'='earliest'; SHOW PROPERTIES;")
    rows = {row["name"]: row for row in shown["properties"]}
    assert rows["auto.offset.reset"] == {
        "name": "auto.offset.reset", "scope": "KSQL", "value": "earliest", "editable": True, "level": "QUERY"}
    assert rows["ksql.service.id"]["editable"] is False and rows["ksql.service.id"]["level"] == "SERVER"
    assert shown["overwrittenProperties"] == ["auto.offset.reset"]


def test_topics_of_the_systems_are_hidden(platform, sql):
    sql.ksql("CREATE TYPE hidden AS STRUCT<a INT>;")
    names = [topic["name"] for topic in sql.ksql("SHOW TOPICS;")[0]["topics"]]
    everything = [topic["name"] for topic in sql.ksql("SHOW ALL TOPICS;")[0]["topics"]]
    assert "connect-configs" in everything and "_confluent-ksql-default__command_topic" in everything
    assert not any(name.startswith(("_", "connect-")) for name in names)


def test_a_service_ends_with_what_it_has_made(platform, tmp_path):
    server = Sql(tmp_path / "sql", platform.bootstrap, {"ksql.service.id": "ending_"}).start()
    try:
        server.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='end_source', partitions=1, value_format='JSON');"
                    "CREATE STREAM gone WITH (kafka_topic='end_gone') AS SELECT * FROM s;"
                    "CREATE STREAM kept WITH (kafka_topic='end_kept') AS SELECT * FROM s;")
        assert server.post("/ksql/terminate", {"deleteTopicList": ["("]}).status_code == 400
        answer = server.post("/ksql/terminate", {"deleteTopicList": ["end_g.*", "end_source"]})
        assert answer.status_code == 200, answer.text
        assert answer.json()[0]["commandStatus"]["status"] == "SUCCESS"
        refused = server.post("/ksql", {"ksql": "SHOW STREAMS;"})
        assert (refused.status_code, refused.json()["error_code"]) == (503, 50304)
        names = [topic["name"] for topic in platform.sql.ksql("SHOW ALL TOPICS;")[0]["topics"]]
        assert "end_kept" in names and "end_source" in names and "end_gone" not in names
        assert not any("ending_" in name for name in names), names
        server.stop()
        server.start()
        assert server.ksql("SHOW STREAMS;")[0]["streams"] == []
    finally:
        server.stop()
    assert "panicked" not in server.log()


def test_statements_of_a_file_are_all_that_a_headless_server_does(platform, tmp_path):
    file = tmp_path / "headless.sql"
    file.write_text("SET 'auto.offset.reset'='earliest';\n-- a comment;\nDEFINE f = 'JSON';\n"
                    "CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='head_in', partitions=1, value_format='${f}');\n"
                    "CREATE STREAM t WITH (kafka_topic='head_out') AS SELECT id, n + 1 AS m FROM s;\n")
    server = Sql(tmp_path / "sql", platform.bootstrap, {"ksql.service.id": "headless_", "ksql.queries.file": file}).start()
    try:
        until(lambda: len(server.ksql("SHOW STREAMS;")[0]["streams"]) == 2, "the file is executed")
        assert "headless" in server.refused("CREATE TYPE x AS STRUCT<a INT>;")
        server.ksql("INSERT INTO s VALUES ('a', 1);")
        until(lambda: server.query("SELECT m FROM t;")[0] == [[2]], "the first row")
        server.stop()
        server.start()
        until(lambda: len(server.ksql("SHOW STREAMS;")[0]["streams"]) == 2, "the file is executed again")
        server.ksql("INSERT INTO s VALUES ('b', 5);")
        until(lambda: sorted(server.query("SELECT m FROM t;")[0]) == [[2], [6]], "the second row, and the first only once")
        server.stop()
        file.write_text("CREATE STREAM broken (id STRING) WITH (value_format='JSON');")
        server.overrides["ksql.service.id"] = "headless2_"
        server.start(ready=False)
        until(lambda: "ksql.queries.file" in server.log() and "KAFKA_TOPIC" in server.log(), "the mistake is told", timeout=30)
    finally:
        server.stop()
    assert "panicked" not in server.log()


def test_users_other_origins_and_heartbeats(platform, tmp_path):
    users = tmp_path / "users"
    users.write_text("ann: secret,admin\n")
    server = Sql(tmp_path / "sql", platform.bootstrap, {
        "ksql.service.id": "guarded_", "authentication.method": "BASIC", "milena.authentication.file": users,
        "authentication.skip.paths": "/healthcheck", "access.control.allow.origin": "http://page", "ksql.heartbeat.enable": "true",
    }).start()
    try:
        refused = server.get("/info")
        assert (refused.status_code, refused.json()["error_code"]) == (401, 40100)
        assert "basic" in refused.headers["WWW-Authenticate"].lower()
        server.session.auth = ("ann", "secret")
        answer = server.session.get(server.url + "/info", headers={"Origin": "http://page"})
        assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == "http://page"
        assert server.post("/heartbeat", {"hostInfo": {"host": "other", "port": 1}, "timestamp": 0}).json() == {"isOk": True}
        hosts = server.get("/clusterStatus").json()["clusterStatus"]
        assert set(hosts) == {f"127.0.0.1:{server.port}", "other:1"} and hosts["other:1"]["hostAlive"]
        assert platform.sql.get("/clusterStatus").status_code == 404
    finally:
        server.stop()


def test_a_source_is_made_anew_with_its_topic_in_one_request(sql):
    create = "CREATE STREAM anew (a INT) WITH (kafka_topic='anew', value_format='JSON', partitions={});"
    sql.ksql(create.format(1))
    dropped, created = sql.ksql("DROP STREAM anew DELETE TOPIC; " + create.format(3))
    assert [one["commandStatus"]["status"] for one in (dropped, created)] == ["SUCCESS"] * 2
    [described] = sql.ksql("DESCRIBE anew EXTENDED;")
    assert described["sourceDescription"]["partitions"] == 3


def test_what_the_operator_decides_is_not_set(sql):
    refused = sql.refused("SET 'ksql.source.table.materialization.enabled'='false'; SHOW STREAMS;")
    assert "Cannot override property 'ksql.source.table.materialization.enabled'" in refused
