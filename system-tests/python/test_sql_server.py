"""The server of streaming SQL: statements over HTTP, the command topic that several servers share, push and pull queries
over streams, queries that write topics."""

import json

import pytest
from harness.librdkafka import create_topic
from harness.sql import sql_servers
from harness.wait import until

EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}


@pytest.fixture
def new_sql(kafka, tmp_path, request):
    with sql_servers(tmp_path, kafka, f"{request.node.name}_") as make:
        yield make


def stream(sql, name, topic):
    [answer] = sql.ksql(f"CREATE STREAM {name} (id STRING KEY, n INT) "
                        f"WITH (kafka_topic='{topic}', partitions=2, value_format='JSON');")
    assert answer["commandStatus"] == {"status": "SUCCESS", "message": "Stream created", "queryId": None}
    assert answer["commandId"] == f"stream/`{name.upper()}`/create"
    return answer


def test_a_server_says_who_and_how_it_is(new_sql):
    sql = new_sql("who_")
    info = sql.get("/info").json()["KsqlServerInfo"]
    assert (info["ksqlServiceId"], info["serverStatus"]) == ("who_", "RUNNING")
    assert info["kafkaClusterId"] and info["version"]
    health = sql.get("/healthcheck").json()
    assert health["isHealthy"] and health["details"]["kafka"]["isHealthy"]
    assert sql.get("/nothing").json()["error_code"] == 40400


def test_sources_are_created_described_and_dropped(new_sql):
    sql = new_sql()
    stream(sql, "orders", "orders_described")
    [shown] = sql.ksql("SHOW STREAMS;")
    assert shown["@type"] == "streams"
    assert shown["streams"] == [{"type": "STREAM", "name": "ORDERS", "topic": "orders_described", "keyFormat": "KAFKA",
                                 "valueFormat": "JSON", "isWindowed": False}]
    [described] = sql.ksql("DESCRIBE orders;")
    plain = described["sourceDescription"]
    assert (plain["partitions"], plain["replication"], plain["extended"]) == (2, 1, False)
    assert plain["statement"].startswith("CREATE STREAM orders")
    [described] = sql.ksql("DESCRIBE orders EXTENDED;")
    description = described["sourceDescription"]
    assert [(field["name"], field["schema"]["type"], field.get("type")) for field in description["fields"]] == [
        ("ID", "STRING", "KEY"), ("N", "INTEGER", None)]
    assert description["partitions"] == 2
    assert "already exists" in sql.refused("CREATE STREAM orders (a INT) WITH (kafka_topic='orders_described', value_format='JSON');")
    assert "does not exist" in sql.refused("CREATE STREAM x (a INT) WITH (kafka_topic='missing', value_format='JSON');", 40000)
    sql.ksql("CREATE STREAM other (n INT) WITH (kafka_topic='orders_described', value_format='JSON');")
    assert "other data sources (OTHER)" in sql.refused("DROP STREAM orders DELETE TOPIC;", 50000)
    sql.ksql("DROP STREAM other;")
    [dropped] = sql.ksql("DROP STREAM orders DELETE TOPIC;")
    assert dropped["commandStatus"]["message"] == "Source `ORDERS` (topic: orders_described) was dropped."
    assert dropped["statementText"] == "DROP STREAM ORDERS;"
    [topics] = sql.ksql("SHOW TOPICS;")
    assert "orders_described" not in [topic["name"] for topic in topics["topics"]]


def test_all_statements_are_tried_before_the_first_is_executed(new_sql):
    sql = new_sql()
    answer = sql.post("/ksql", {"ksql": "CREATE TYPE t AS STRUCT<a INT>; SHOW TYPES; DESCRIBE nothing;"})
    assert answer.status_code == 400
    body = answer.json()
    assert (body["@type"], body["error_code"], body["statementText"]) == ("statement_error", 40001, "DESCRIBE nothing;")
    assert body["entities"] == [] and sql.ksql("SHOW TYPES;")[0]["types"] == {}
    create = "CREATE STREAM tried (id STRING KEY, n INT) WITH (kafka_topic='tried', partitions=2, value_format='JSON');"
    sql.refused(create + "INSERT INTO tried VALUES ('a', 'b');")
    sql.refused(create + "SELECT * FROM tried;", 40002)
    assert sql.ksql("SHOW STREAMS;")[0]["streams"] == []
    answers = sql.ksql(create + "CREATE STREAM again (n INT) WITH (kafka_topic='tried', value_format='JSON');"
                       "CREATE TABLE counted AS SELECT id, COUNT(*) AS total FROM tried GROUP BY id;"
                       "INSERT INTO tried VALUES ('a', 1); DESCRIBE counted; EXPLAIN SELECT * FROM again EMIT CHANGES;")
    assert [answer["@type"] for answer in answers] == ["currentStatus"] * 3 + ["sourceDescription", "queryDescription"]
    sql.refused("SELECT * FROM a;", 40002)
    assert "Syntax Error" in sql.refused("CREATE NONSENSE;")


def test_servers_of_a_service_agree_and_come_back(new_sql):
    first, second = new_sql("agreeing_"), new_sql("agreeing_")
    stream(first, "shared", "shared_topic")
    until(lambda: second.ksql("SHOW STREAMS;")[0]["streams"], "the other server knows the stream")
    second.ksql("CREATE TYPE money AS DECIMAL(10, 2);")
    first.stop()
    first.start()
    assert [source["name"] for source in first.ksql("SHOW STREAMS;")[0]["streams"]] == ["SHARED"]
    assert first.ksql("SHOW TYPES;")[0]["types"]["MONEY"]["parameters"] == {"precision": 10, "scale": 2}


def test_what_is_inserted_is_pulled(new_sql):
    sql = new_sql()
    stream(sql, "s", "pulled")
    for n in range(5):
        assert sql.ksql(f"INSERT INTO s (id, n) VALUES ('k{n}', {n});") == []
    rows, words = sql.query("SELECT n, id FROM s WHERE n > 1;")
    assert sorted(rows) == [[2, "k2"], [3, "k3"], [4, "k4"]]
    assert words == "Query Completed"
    rows, words = sql.query("SELECT * FROM s EMIT CHANGES LIMIT 2;", EARLIEST)
    assert (len(rows), words) == (2, "Limit Reached")


def test_push_queries_aggregate_and_join_what_comes(new_sql):
    sql = new_sql()
    stream(sql, "s", "pushed")
    lines = sql.lines("SELECT id, COUNT(*) AS total FROM s GROUP BY id EMIT CHANGES;", EARLIEST)
    head = next(lines)
    assert (head["columnNames"], head["columnTypes"]) == (["ID", "TOTAL"], ["STRING", "BIGINT"])
    for _ in range(3):
        sql.ksql("INSERT INTO s (id, n) VALUES ('a', 1);")
    assert [next(lines) for _ in range(3)] == [["a", 1], ["a", 2], ["a", 3]]
    assert sql.post("/close-query", {"queryId": head["queryId"]}).status_code == 200
    assert list(lines) == []
    assert sql.post("/close-query", {"queryId": head["queryId"]}).status_code == 400


def test_records_go_in_over_a_stream(new_sql):
    sql = new_sql()
    stream(sql, "s", "streamed_in")
    lines = [{"target": "s"}, {"id": "a", "n": 1}, {"ID": "b", "N": 2}, {"id": "c", "n": "x"}]
    answer = sql.session.post(f"{sql.url}/inserts-stream", data="\n".join(json.dumps(line) for line in lines))
    answers = [json.loads(line) for line in answer.text.splitlines()]
    assert answers[:2] == [{"status": "ok", "seq": 0}, {"status": "ok", "seq": 1}]
    assert (answers[2]["status"], answers[2]["seq"]) == ("error", 2)
    assert sorted(sql.query("SELECT id, n FROM s;")[0]) == [["a", 1], ["b", 2]]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_a_query_writes_a_topic_and_goes_on_after_a_restart(new_sql, guarantee):
    sql = new_sql(f"persistent_{guarantee}_")
    stream(sql, "s", f"source_{guarantee}")
    sink = f"big_{guarantee}"
    [created] = sql.ksql(f"CREATE STREAM big WITH (kafka_topic='{sink}') AS SELECT id, n * 10 AS ten FROM s WHERE n > 1;",
                         {**EARLIEST, "processing.guarantee": guarantee})
    query = created["commandStatus"]["queryId"]
    assert query.startswith("CSAS_BIG_"), created

    def written():
        return sorted(sql.query("SELECT ten FROM big;")[0])

    for n in (1, 2, 3):
        sql.ksql(f"INSERT INTO s (id, n) VALUES ('k{n}', {n});")
    until(lambda: written() == [[20], [30]], lambda: f"two rows, but there are {written()}")
    sql.stop()
    sql.start()
    sql.ksql("INSERT INTO s (id, n) VALUES ('k4', 4);")
    until(lambda: written() == [[20], [30], [40]], lambda: f"three rows, but there are {written()}")
    assert "read from this source" in sql.refused("DROP STREAM s;")
    sql.ksql(f"TERMINATE {query};")
    assert sql.ksql("SHOW QUERIES;")[0]["queries"] == []


def test_a_query_rests_while_it_is_paused(new_sql):
    sql = new_sql()
    stream(sql, "s", "rested")
    [created] = sql.ksql("CREATE STREAM copy AS SELECT * FROM s;", EARLIEST)
    query = created["commandStatus"]["queryId"]
    sql.ksql("INSERT INTO s (id, n) VALUES ('a', 1);")
    until(lambda: sql.query("SELECT n FROM copy;")[0] == [[1]], "the first row")
    sql.ksql(f"PAUSE {query};")
    sql.ksql("INSERT INTO s (id, n) VALUES ('b', 2);")
    sql.ksql(f"RESUME {query};")
    until(lambda: sorted(sql.query("SELECT n FROM copy;")[0]) == [[1], [2]], "the second row after the rest")


def test_assertions_wait_and_fail(new_sql, kafka):
    sql = new_sql()
    create_topic(kafka, "asserted", 3)
    [answer] = sql.ksql("ASSERT TOPIC asserted WITH (PARTITIONS=3);")
    assert (answer["@type"], answer["exists"]) == ("assert_topic", True)
    assert "expected 4 got 3" in sql.refused("ASSERT TOPIC asserted WITH (PARTITIONS=4) TIMEOUT 10 MILLISECONDS;", 41700)
    sql.refused("ASSERT NOT EXISTS TOPIC asserted TIMEOUT 10 MILLISECONDS;", 41700)
    message = "Topic nowhere does not exist"
    assert sql.refused("ASSERT TOPIC nowhere WITH (PARTITIONS='1') TIMEOUT 10 MILLISECONDS;", 41700) == message
    unknown = sql.refused("ASSERT TOPIC asserted WITH (PARTITIONS='3', OTHER=1) TIMEOUT 10 MILLISECONDS;", 41700)
    assert "config partitions, expected 3 got 3" in unknown and "Cannot assert unknown topic property: OTHER" in unknown


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_counts_go_on_after_a_restart_and_after_the_loss_of_the_state(new_sql, tmp_path, guarantee):
    sql = new_sql(f"counting_{guarantee}_")
    stream(sql, "s", f"counted_{guarantee}")
    sql.ksql("CREATE TABLE totals AS SELECT n, COUNT(*) AS total FROM s GROUP BY n;",
             {**EARLIEST, "processing.guarantee": guarantee})

    def totals():
        """The last total of each key."""
        lines = sql.lines("SELECT n, total FROM totals EMIT CHANGES;", EARLIEST)
        next(lines)
        found = {}
        for n, total in lines:
            found[n] = total
            if found == wanted:
                return True
        return False

    for _ in range(3):
        sql.ksql("INSERT INTO s (id, n) VALUES ('a', 1); INSERT INTO s (id, n) VALUES ('b', 2);")
    wanted = {1: 3, 2: 3}
    assert totals()
    sql.stop()
    sql.start()
    sql.ksql("INSERT INTO s (id, n) VALUES ('c', 1);")
    wanted = {1: 4, 2: 3}
    assert totals()
    sql.stop()
    sql.overrides["ksql.streams.state.dir"] = str(tmp_path / "empty")
    sql.start()
    sql.ksql("INSERT INTO s (id, n) VALUES ('d', 2);")
    wanted = {1: 4, 2: 4}
    assert totals()
