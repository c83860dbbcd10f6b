"""What a SQL server takes at most, and settings in the options for the JVM of the original."""

from harness.sql import Sql


def test_pull_queries_of_a_second_are_limited(kafka, tmp_path):
    options = {"KSQL_OPTS": "-Xmx1g -Dksql.service.id=limited_ -Dksql.query.pull.max.qps=1"}
    server = Sql(tmp_path / "sql", kafka.bootstrap, env=options).start()
    try:
        assert server.get("/info").json()["KsqlServerInfo"]["ksqlServiceId"] == "limited_"
        server.ksql("CREATE STREAM limited (a INT) WITH (kafka_topic='limited', partitions=1, value_format='JSON');")
        statement = {"ksql": "SELECT * FROM limited;", "sql": "SELECT * FROM limited;"}
        answers = [server.post(path, statement) for path in ("/query", "/query-stream", "/query")]
        assert answers[0].status_code == 200
        refused = [answer.json() for answer in answers if answer.status_code == 429]
        assert refused and all(answer["error_code"] == 42900 for answer in refused)
        assert refused[0]["message"] == "Host is at rate limit for pull queries. Currently set to 1.0 qps."
    finally:
        server.stop()
    assert "panicked" not in server.log()


def test_pull_queries_at_a_time_are_limited(kafka, tmp_path):
    limits = {"ksql.service.id": "crowded_", "ksql.query.pull.max.concurrent.requests": "0"}
    server = Sql(tmp_path / "sql", kafka.bootstrap, limits).start()
    try:
        server.ksql("CREATE STREAM crowded (a INT) WITH (kafka_topic='crowded', partitions=1, value_format='JSON');")
        refused = server.post("/query", {"ksql": "SELECT * FROM crowded;"})
        assert refused.status_code == 400 and "at concurrency limit for pull queries" in refused.json()["message"]
    finally:
        server.stop()
    assert "panicked" not in server.log()
