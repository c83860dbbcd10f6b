"""What the SQL server counts: a page for Prometheus, and statistics in descriptions."""

import re

import pytest
import requests
from harness.librdkafka import create_topic, produce
from harness.server import Server, free_port
from harness.sql import ServerWithSql, Sql
from harness.wait import until

EARLIEST = {"auto.offset.reset": "earliest"}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


def samples(page):
    """The samples of a page by their names with labels; the page has its end."""
    assert page.endswith("# EOF\n") and page.count("# EOF") == 1
    found = {}
    for line in page.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


@pytest.fixture
def sql(kafka, tmp_path):
    sql = Sql(tmp_path / "sql", kafka.bootstrap, {"ksql.service.id": "counted_", "ksql.streams.commit.interval.ms": "100"}).start()
    yield sql
    sql.stop()


@pytest.fixture
def platform(tmp_path):
    server = ServerWithSql(tmp_path, {"milena.console.listener": f"127.0.0.1:{free_port()}"}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


def test_queries_are_counted(kafka, sql):
    create_topic(kafka, "counted_in", 2)
    sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='counted_in', value_format='JSON');")
    [made] = sql.ksql("CREATE TABLE t AS SELECT id, COUNT(*) AS total FROM s GROUP BY id;", EARLIEST)
    query = made["commandStatus"]["queryId"]
    produce(kafka, "counted_in", [(b"a", b'{"n": 1}')] * 9 + [(b"a", b"no JSON")])
    until(lambda: sql.query("SELECT total FROM t WHERE id = 'a';")[0] == [[9]], "the rows are counted")

    def scraped():
        answer = sql.get("/metrics")
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        return samples(answer.text)

    labels = f'key="counted_in",id="{query}"'
    lag = 'kafka_consumer_consumer_fetch_manager_metrics_records_lag{client_type="consumer",' \
          f'client_id="_confluent-ksql-counted_query_{query}",topic="counted_in",partition="0"}}'
    until(lambda: scraped().get(lag) == 0, lambda: f"the query has caught up: {sql.get('/metrics').text}")
    found = scraped()
    engine = "ksql_ksql_engine_query_stats_{}{{ksql_cluster=\"counted_\"}}"
    assert found[engine.format("liveness_indicator")] == 1
    assert found[engine.format("num_persistent_queries")] == found[engine.format("running_queries")] == 1
    assert found[engine.format("error_queries")] == 0
    assert found[engine.format("messages_consumed_total")] == 10
    assert found[engine.format("messages_consumed_per_sec")] > 0 and found[engine.format("error_rate")] > 0
    assert found[f"ksql_consumer_metrics_consumer_total_messages{{{labels}}}"] == 10
    assert found[f"ksql_consumer_metrics_consumer_failed_messages{{{labels}}}"] == 1
    assert found[f'ksql_producer_metrics_total_messages{{key="T",id="{query}"}}'] == 9
    status = f'{{ksql_query="{query}",ksql_cluster="counted_",query_status="RUNNING"}}'
    assert found[f"ksql_ksql_metrics_ksql_queries_query_status{status}"] == 1
    assert found['ksql_ksql_metrics_pull_query_requests_local_total{ksql_cluster="counted_"}'] >= 1

    source = sql.ksql("DESCRIBE s EXTENDED;")[0]["sourceDescription"]
    assert re.fullmatch(r"The statistics field is deprecated .*\nconsumer-messages-per-sec:      0\.\d\d consumer-total-bytes:       \d{3} "
                        r"consumer-total-messages:        10     last-message: \d{4}-\d\d-\d\dT[\d:.]+Z",
                        source["statistics"]), source["statistics"]
    assert re.match(r"The errorStats field is deprecated .*\nconsumer-failed-messages:         1 consumer-failed-messages-per-sec:      0\.\d\d      last-failed: ",
                    source["errorStats"]), source["errorStats"]
    sink = sql.ksql("DESCRIBE t EXTENDED;")[0]["sourceDescription"]
    assert re.match(r"The statistics field is deprecated .*\nmessages-per-sec:      0\.\d\d   total-messages:         9     last-message: ",
                    sink["statistics"])
    assert sql.ksql("DESCRIBE t;")[0]["sourceDescription"]["statistics"] == ""


def test_the_console_shows_them_too(platform):
    platform.sql.ksql("CREATE STREAM s (id STRING KEY, n INT) WITH (kafka_topic='console', partitions=1, value_format='JSON');")
    platform.sql.ksql("CREATE STREAM copied AS SELECT * FROM s;")
    found = samples(requests.get(f"http://{platform.overrides['milena.console.listener']}/metrics", timeout=10).text)
    assert found['ksql_ksql_engine_query_stats_num_persistent_queries{ksql_cluster="default_"}'] == 1
    assert any(name.startswith("kafka_server_brokertopicmetrics_messagesin_total") for name in found)
