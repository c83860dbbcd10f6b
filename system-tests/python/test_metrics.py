"""What an operator sees: /metrics under Kafka's names, /health, log levels that change, slow requests."""

import json
import socket
import urllib.request

import pytest
from confluent_kafka import Producer
from harness import scripts
from harness.paths import MILENA
from harness.server import free_port
from harness.wait import until


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        return answer.read().decode()


def value(page, sample):
    """The value of the sample that starts with the given name and labels."""
    found = [line for line in page.splitlines() if line.startswith(sample + " ")]
    assert found, f"no sample {sample}"
    return float(found[0].split()[-1])


@pytest.fixture
def watched(new_server):
    port = free_port()
    server = new_server({"milena.console.listener": f"127.0.0.1:{port}", "milena.log.format": "json"}).start()
    server.console = port
    return server


def produce(server, topic, count, size=100):
    producer = Producer({"bootstrap.servers": server.bootstrap})
    for _ in range(count):
        producer.produce(topic, b"x" * size)
    assert producer.flush(30) == 0


def tool(server, name, *arguments):
    return scripts.run([MILENA, name, "--bootstrap-server", server.bootstrap, *arguments])


def test_records_bytes_and_requests_are_counted_by_topic_and_api(watched):
    tool(watched, "kafka-topics", "--create", "--topic", "seen", "--partitions", "2")
    produce(watched, "seen", 250)
    page = scrape(watched.console)
    assert value(page, 'kafka_server_brokertopicmetrics_messagesin_total{topic="seen"}') == 250
    assert value(page, 'kafka_server_brokertopicmetrics_bytesin_total{topic="seen"}') > 25_000
    assert value(page, "kafka_server_brokertopicmetrics_messagesin_total") >= 250
    ends = [value(page, f'kafka_log_log_logendoffset{{topic="seen",partition="{index}"}}') for index in (0, 1)]
    assert sum(ends) == 250
    assert value(page, 'kafka_network_requestmetrics_totaltimems{request="Produce",quantile="0.99"}') > 0
    assert 'kafka_network_requestmetrics_requests_total{request="Produce",version="' in page
    assert value(page, "kafka_server_replicamanager_underreplicatedpartitions") == 0
    assert value(page, "process_resident_memory_bytes") > 1_000_000
    assert page.endswith("# EOF\n")


def test_open_connections_are_counted(watched):
    count = 'kafka_server_socket_server_metrics_connection_count{listener="PLAINTEXT"}'
    with socket.create_connection(("127.0.0.1", watched.port)):
        until(lambda: value(scrape(watched.console), count) == 1, "an open connection")
    until(lambda: value(scrape(watched.console), count) == 0, "a closed connection")


def test_group_lag_is_told(watched):
    produce(watched, "lagging", 10)
    scripts.run([MILENA, "kafka-console-consumer", "--bootstrap-server", watched.bootstrap, "--topic", "lagging",
                 "--group", "slow", "--from-beginning", "--max-messages", "10", "--timeout-ms", "20000"])
    produce(watched, "lagging", 5)
    sample = 'kafka_consumergroup_lag{consumergroup="slow",topic="lagging",partition="0"}'
    until(lambda: f"{sample} 5" in scrape(watched.console), "a lag of 5")


def test_deleting_a_topic_takes_its_series_away_but_not_from_the_totals(watched):
    produce(watched, "passing", 20)
    before = value(scrape(watched.console), "kafka_server_brokertopicmetrics_messagesin_total")
    tool(watched, "kafka-topics", "--delete", "--topic", "passing")
    page = scrape(watched.console)
    assert 'topic="passing"' not in page
    assert value(page, "kafka_server_brokertopicmetrics_messagesin_total") == before


def test_health_is_up(watched):
    with urllib.request.urlopen(f"http://127.0.0.1:{watched.console}/health", timeout=10) as answer:
        assert json.load(answer) == {"status": "UP", "problems": []}


def test_a_chosen_port_that_is_taken_ends_the_start_with_one_line(watched, new_server):
    other = new_server({"milena.console.listener": f"127.0.0.1:{watched.console}"}).spawn()
    assert other.process.wait(30) == 1
    assert f"milena: console: cannot listen on 127.0.0.1:{watched.console}" in other.log()


def test_log_levels_change_while_the_broker_runs_and_lines_are_json(watched):
    tool(watched, "kafka-configs", "--alter", "--entity-type", "broker-loggers", "--entity-name", "1",
         "--add-config", "milena_broker::net=TRACE")
    described = tool(watched, "kafka-configs", "--describe", "--entity-type", "broker-loggers", "--entity-name", "1")
    assert "milena_broker::net=TRACE" in described.stdout
    # A tool that goes away gives a debug line of the network.
    lines = [line for line in watched.log().splitlines() if line.startswith("{")]
    for line in lines:
        assert {"timestamp", "level"} <= json.loads(line).keys()


def test_metrics_of_clients_are_part_of_the_page(watched):
    """librdkafka pushes its metrics when a subscription asks for them (KIP-714)."""
    tool(watched, "kafka-configs", "--alter", "--entity-type", "client-metrics", "--entity-name", "all",
         "--add-config", "metrics=*,interval.ms=200")
    producer = Producer({"bootstrap.servers": watched.bootstrap})
    try:
        def pushed():
            producer.produce("pushing", b"x")
            producer.poll(0.1)
            return "kafka_client_producer" in scrape(watched.console)
        until(pushed, "metrics of the client", timeout=30)
    finally:
        producer.flush(10)
