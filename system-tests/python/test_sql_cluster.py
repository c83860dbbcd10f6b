"""Several SQL servers of one service: each answers for all of them."""

import base64
import signal
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from harness.certificates import Authority
from harness.librdkafka import create_topic
from harness.server import Server
from harness.sql import Sql
from harness.wait import until

KEYS = [f"key-{number}" for number in range(40)]
#: Servers that are killed are noticed soon.
IMPATIENT = {"ksql.streams.consumer.session.timeout.ms": "6000", "ksql.streams.consumer.heartbeat.interval.ms": "500",
             "ksql.streams.commit.interval.ms": "100", "ksql.streams.auto.offset.reset": "earliest"}


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {
        "offsets.topic.num.partitions": 2, "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1000}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def new_sql(kafka, tmp_path):
    """Makes servers, and stops them."""
    made = []

    def make(overrides):
        made.append(Sql(tmp_path / f"sql{len(made)}", kafka.bootstrap, {**IMPATIENT, **overrides}))
        return made[-1]

    yield make
    for sql in made:
        sql.stop()
        assert "panicked" not in sql.log(), sql.log()


@pytest.fixture
def two(new_sql, request):
    """Two servers of a service, with further settings of `request.param`."""
    own = {"ksql.service.id": f"{request.node.originalname}_", **getattr(request, "param", {})}
    return [new_sql(own).start() for _ in range(2)]


def counted(kafka, servers, name, query="SELECT id, COUNT(*) AS total FROM {} GROUP BY id"):
    """A table with a row of every key in four partitions, some of which each server has."""
    create_topic(kafka, name, 4)
    servers[0].ksql(f"CREATE STREAM {name} (id STRING KEY, n INT) WITH (kafka_topic='{name}', value_format='JSON');")
    [created] = servers[0].ksql(f"CREATE TABLE {name}_t AS {query.format(name)};")
    group = servers[0].ksql(f"EXPLAIN {created['commandStatus']['queryId']};")[0]["queryDescription"]["consumerGroupId"]
    for key in KEYS:
        servers[0].ksql(f"INSERT INTO {name} (id, n) VALUES ('{key}', 1);")
    return f"{name.upper()}_T", group


def complete(sql, table, count=len(KEYS)):
    answer = sql.post("/query", {"ksql": f"SELECT * FROM {table};"})
    return answer.status_code == 200 and len([line for line in answer.json() if "row" in line]) == count


def owned(sql, table):
    """The rows of the partitions that this server has itself."""
    answer = sql.post("/query", {"ksql": f"SELECT * FROM {table};", "requestProperties": {
        "request.ksql.query.pull.skip.forwarding": True}})
    assert answer.status_code == 200, answer.text
    return len([line for line in answer.json() if "row" in line])


def shared(servers, table):
    """Waits until both servers have a part of the table, and each answers for the whole."""
    for sql in servers:
        until(lambda: complete(sql, table), "all rows are there", timeout=40)
    until(lambda: all(0 < owned(sql, table) < len(KEYS) for sql in servers), "both servers have a part", timeout=40)
    assert sum(owned(sql, table) for sql in servers) == len(KEYS)


def test_each_server_answers_for_the_whole_table(kafka, two):
    table, _ = counted(kafka, two, "forwarded")
    shared(two, table)
    for sql in two:
        rows, _ = sql.query(f"SELECT * FROM {table};")
        assert sorted(rows) == sorted([key, 1] for key in KEYS)
        for key in KEYS:
            assert sql.query(f"SELECT total FROM {table} WHERE id = '{key}';")[0] == [[1]]
        assert sql.query(f"SELECT * FROM {table} WHERE id = 'nobody';")[0] == []
        assert sorted(sql.query(f"SELECT id FROM {table} WHERE id IN ('key-3', 'key-4', 'key-5');")[0]) == [
            ["key-3"], ["key-4"], ["key-5"]]
        assert len(sql.query(f"SELECT * FROM {table} LIMIT 35;")[0]) == 35
        head, *rest = sql.lines(f"SELECT * FROM {table} WHERE total = 1;")
        assert head["columnNames"] == ["ID", "TOTAL"] and len(rest) == len(KEYS)


def test_windowed_rows_come_from_all_servers(kafka, two):
    table, _ = counted(kafka, two, "forwarded_windows", "SELECT id, COUNT(*) AS total FROM {} WINDOW TUMBLING "
                       "(SIZE 1000 DAYS) GROUP BY id")
    shared(two, table)
    for sql in two:
        for key in KEYS[:8]:
            [[start, end, total]] = sql.query(f"SELECT windowstart, windowend, total FROM {table} WHERE id = '{key}';")[0]
            assert (end - start, total) == (1000 * 24 * 3600 * 1000, 1)


def test_what_a_killed_server_had_is_taken_over(kafka, two):
    table, _ = counted(kafka, two, "taken_over")
    shared(two, table)
    first, second = two
    second.stop(signal.SIGKILL)
    answer = first.post("/query", {"ksql": f"SELECT * FROM {table};"})
    # Until the group has noticed, nobody has what the other server had.
    if answer.status_code != 200:
        assert (answer.status_code, answer.json()["error_code"]) == (500, 50000)
        assert "Unable to execute pull query" in answer.json()["message"]
        assert f"127.0.0.1:{second.port}" in answer.json()["message"]
    until(lambda: complete(first, table), "the other server has everything", timeout=60)
    assert sorted(first.query(f"SELECT * FROM {table};")[0]) == sorted([key, 1] for key in KEYS)
    second.start()
    until(lambda: owned(second, table) > 0, "the server that is back has a part again", timeout=60)
    until(lambda: complete(second, table), "it answers for the whole", timeout=30)


@pytest.fixture
def users(tmp_path):
    path = tmp_path / "users.properties"
    path.write_text("anna: secret,admin\n")
    return path


def test_the_credentials_of_the_user_go_along(kafka, new_sql, users):
    own = {"ksql.service.id": "credentials_", "authentication.method": "BASIC", "authentication.roles": "admin",
           "milena.authentication.file": str(users), "authentication.skip.paths": "/healthcheck"}
    servers = [new_sql(own) for _ in range(2)]
    for sql in servers:
        sql.session.auth = ("anna", "secret")
        sql.start()
    table, _ = counted(kafka, servers, "credentials")
    shared(servers, table)


def hosts(servers):
    return {f"127.0.0.1:{sql.port}" for sql in servers}


def test_answers_count_all_servers(kafka, two):
    table, group = counted(kafka, two, "all_servers")
    shared(two, table)
    first, second = two
    for sql in two:
        [query] = sql.ksql("SHOW QUERIES;")[0]["queries"]
        assert (query["statusCount"], query["state"]) == ({"RUNNING": 2}, "RUNNING")
        [description] = sql.ksql("SHOW QUERIES EXTENDED;")[0]["queryDescriptions"]
        assert description["ksqlHostQueryStatus"] == dict.fromkeys(hosts(two), "RUNNING")
    for key in KEYS:
        first.ksql(f"INSERT INTO all_servers (id, n) VALUES ('{key}', 2);")
    until(lambda: sorted(first.query(f"SELECT total FROM {table};")[0]) == [[2]] * len(KEYS), "both have counted")
    for sql in two:
        source = sql.ksql("DESCRIBE all_servers EXTENDED;")[0]["sourceDescription"]
        assert source["statistics"].splitlines()[1].startswith("consumer-messages-per-sec:")
        read = {entry["host"]: entry["value"] for entry in source["clusterStatistics"]
                if entry["name"] == "consumer-total-messages"}
        # Partitions have moved between the servers, with records that were not committed.
        assert read.keys() == hosts(two) and sum(read.values()) >= 2 * len(KEYS)
        assert (source["errorStats"], source["clusterErrorStats"]) == ("", [])
    second.stop(signal.SIGKILL)
    [query] = first.ksql("SHOW QUERIES;")[0]["queries"]
    assert (query["statusCount"], query["state"]) == ({"RUNNING": 1, "UNRESPONSIVE": 1}, "RUNNING")
    [explained] = first.ksql(f"EXPLAIN {query['id']};")
    assert explained["queryDescription"]["ksqlHostQueryStatus"][f"127.0.0.1:{second.port}"] == "UNRESPONSIVE"
    until(lambda: first.ksql("SHOW QUERIES;")[0]["queries"][0]["statusCount"] == {"RUNNING": 1},
          "the server that died is forgotten", timeout=40)


HEARTBEATS = {"ksql.heartbeat.enable": "true", "ksql.lag.reporting.enable": "true",
              "ksql.heartbeat.discover.interval.ms": "500", "ksql.lag.reporting.send.interval.ms": "500"}


@pytest.mark.parametrize("two", [HEARTBEATS], indirect=True)
def test_servers_tell_each_other_how_they_are(kafka, two):
    table, group = counted(kafka, two, "heartbeats")
    shared(two, table)
    first, second = two

    def status(sql):
        return sql.get("/clusterStatus").json()["clusterStatus"]

    query = group.removeprefix(f"_confluent-ksql-{two[0].overrides['ksql.service.id']}query_")

    def complete_status(sql):
        """What a server tells of all, once it has heard of both and no rebalance is under way."""
        entries = status(sql)
        lags = [lag for entry in entries.values() for lag in entry["hostStoreLags"]["stateStoreLags"].values()]
        is_complete = (entries.keys() == hosts(two) and len(lags) == 2
                       and all(entry["hostAlive"] and query in entry["activeStandbyPerQuery"] for entry in entries.values())
                       and sorted(number for lag in lags for number in lag["lagByPartition"]) == ["0", "1", "2", "3"])
        return is_complete and entries

    for sql in two:
        entries = until(lambda: complete_status(sql), lambda: f"each knows of both: {status(sql)}", timeout=30)
        partitions = [tp["partition"] for entry in entries.values()
                      for tp in entry["activeStandbyPerQuery"][query]["activePartitions"] if tp["topic"] == "heartbeats"]
        assert sorted(partitions) == [0, 1, 2, 3]
        for entry in entries.values():
            [store] = entry["hostStoreLags"]["stateStoreLags"]
            assert store == f"{group}#Aggregate-Aggregate-Materialize"
            assert entry["activeStandbyPerQuery"][query]["activeStores"] == ["Aggregate-Aggregate-Materialize"]
    second.stop(signal.SIGKILL)
    until(lambda: not status(first)[f"127.0.0.1:{second.port}"]["hostAlive"], "the silence is noticed", timeout=20)
    assert status(first)[f"127.0.0.1:{first.port}"]["hostAlive"]


def test_without_heartbeats_there_is_no_status(new_sql):
    assert new_sql({"ksql.service.id": "silent_"}).start().get("/clusterStatus").status_code == 404


class Connect(BaseHTTPRequestHandler):
    """A Connect worker without connectors, for one user."""

    def do_GET(self):
        allowed = self.headers["Authorization"] == "Basic " + base64.b64encode(b"anna:secret").decode()
        body = b"[]" if allowed else b'{"message": "who are you?"}'
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def secure_connect(tmp_path):
    """The authority that vouches for a Connect worker at an `https://` URL, and the URL."""
    authority = Authority(tmp_path / "ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server", "/CN=server"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Connect)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield authority, f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def test_servers_speak_https_to_each_other_and_to_connect(kafka, new_sql, tmp_path, secure_connect):
    authority, url = secure_connect
    credentials = tmp_path / "connect.properties"
    credentials.write_text("username=anna\npassword=secret\n")
    servers = []
    for _ in range(2):
        sql = new_sql({
            "ksql.service.id": "secure_", "ksql.connect.url": url,
            "ksql.connect.basic.auth.credentials.source": "FILE",
            "ksql.connect.basic.auth.credentials.file": str(credentials),
            "ssl.keystore.location": str(tmp_path / "ca/server.pem"), "ssl.keystore.type": "PEM",
            "ssl.truststore.location": str(authority.certificate), "ssl.truststore.type": "PEM"})
        sql.url = sql.overrides["listeners"] = sql.url.replace("http:", "https:")
        # Not the authorities of the machine.
        sql.session.verify, sql.session.trust_env = str(authority.certificate), False
        servers.append(sql.start())
    assert servers[0].ksql("SHOW CONNECTORS;")[0]["connectors"] == []
    table, _ = counted(kafka, servers, "secure")
    shared(servers, table)
    assert servers[1].ksql("SHOW QUERIES;")[0]["queries"][0]["statusCount"] == {"RUNNING": 2}
    credentials.write_text("username=anna\npassword=wrong\n")
    servers[0].stop()
    servers[0].start()
    assert "who are you?" in servers[0].refused("SHOW CONNECTORS;", 40100)
