"""The tutorials of Connect that people paste: database to topic to database, orders of three processes, a file into a file.

Only ports differ from what the tutorials say, so that tests can run beside each other.
"""

import json
import os
import subprocess
import threading
import time

import pytest
import requests

from harness import paths
from harness.connect import Api
from harness.databases import MariaDb
from harness.scripts import run
from harness.server import Server, free_port
from harness.wait import until


class Home:
    """A directory with the tools in bin/, a server, a MariaDB with the tutorials' table, and a Connect worker."""

    def __init__(self, directory):
        self.directory = directory
        run([paths.MILENA, "install-tools", directory / "bin"])
        self.server = Server(directory / "server", {"group.initial.rebalance.delay.ms": "0"})
        self.mariadb = MariaDb()
        self.connect = Api(free_port())
        self.processes = []

    def replaced(self, text):
        """The text of a tutorial with the ports of this home."""
        return (text.replace("localhost:9092", self.server.bootstrap).replace("localhost:3306", f"localhost:{self.mariadb.port}")
                .replace("localhost:8083", f"127.0.0.1:{self.connect.port}"))

    def shell(self, line, stdin="", check=True, timeout=60):
        """Runs a line as pasted in a terminal whose PATH has the installed tools."""
        environment = {**os.environ, "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}"}
        return run(["bash", "-c", self.replaced(line)], stdin=stdin, check=check, timeout=timeout, cwd=self.directory, env=environment)

    def daemon(self, line, log):
        """Starts a command that goes on."""
        environment = {**os.environ, "PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}"}
        with open(self.directory / log, "ab") as output:
            process = subprocess.Popen(["bash", "-c", "exec " + self.replaced(line)], cwd=self.directory, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        self.processes.append(process)
        return process

    def post(self, config):
        """POST of a connector as the tutorials have it."""
        def accepted():
            answer = requests.post(f"{self.connect.url}/connectors", json=json.loads(self.replaced(json.dumps(config))), timeout=30)
            assert answer.status_code in (201, 409), answer.text
            return answer.status_code == 201 and answer.json()

        answer = until(accepted, "the connector is created", 40, poll=0.3)
        assert answer["name"] == config["name"] and "tasks" in answer and answer["type"] in ("source", "sink")
        return answer

    def consume(self, topic, count, timeout=60):
        """Lines that the console consumer prints."""
        read = self.shell(f"kafka-console-consumer.sh --bootstrap-server localhost:9092 --topic {topic} --from-beginning --max-messages {count}",
                          timeout=timeout)
        return read.stdout.splitlines()

    def stop(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            process.wait(timeout=30)
        self.mariadb.remove()
        if self.server.alive():
            self.server.stop()


DISTRIBUTED = """
bootstrap.servers=localhost:9092
group.id=connect-cluster
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=true
value.converter.schemas.enable=true
offset.storage.topic=connect-offsets
offset.storage.replication.factor=1
config.storage.topic=connect-configs
config.storage.replication.factor=1
status.storage.topic=connect-status
status.storage.replication.factor=1
offset.flush.interval.ms=10000
plugin.path=/usr/share/java,/opt/connectors
listeners=http://localhost:8083
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("connect-tutorials"))
    try:
        home.server.start()
        home.mariadb.start()
        home.mydb = home.mariadb.database("mydb")
        home.mydb.sql("create table users(id int auto_increment primary key, name varchar(20), pwd varchar(20), created_at datetime default NOW())")
        (home.directory / "connect-distributed.properties").write_text(home.replaced(DISTRIBUTED))
        home.daemon("connect-distributed.sh connect-distributed.properties", "connect.log")
        until(home.connect.answers, lambda: "connect answers:\n" + (home.directory / "connect.log").read_text(), 40)
        yield home
        assert "panicked" not in (home.directory / "connect.log").read_text()
        assert "test1357" not in (home.directory / "connect.log").read_text()
    finally:
        home.stop()


SOURCE = {"name": "my-source-connect", "config": {
    "connector.class": "io.confluent.connect.jdbc.JdbcSourceConnector", "connection.url": "jdbc:mysql://localhost:3306/mydb",
    "connection.user": "root", "connection.password": "test1357", "mode": "incrementing", "incrementing.column.name": "id",
    "table.whitelist": "users", "topic.prefix": "my_topic_", "tasks.max": "1"}}

SINK = {"name": "my-sink-connect", "config": {
    "connector.class": "io.confluent.connect.jdbc.JdbcSinkConnector", "connection.url": "jdbc:mysql://localhost:3306/mydb",
    "connection.user": "root", "connection.password": "test1357", "auto.create": "true", "auto.evolve": "true",
    "delete.enabled": "false", "tasks.max": "1", "topics": "my_topic_users"}}

USERS_SCHEMA = {"type": "struct", "fields": [
    {"type": "int32", "optional": False, "field": "id"}, {"type": "string", "optional": True, "field": "name"},
    {"type": "string", "optional": True, "field": "pwd"},
    {"type": "int64", "optional": True, "name": "org.apache.kafka.connect.data.Timestamp", "version": 1, "field": "created_at"}],
    "optional": False, "name": "users"}


def test_rows_of_a_table_arrive_in_a_topic_and_its_records_in_another_table(home):
    home.post(SOURCE)
    before = int(time.time()) * 1000
    home.mydb.sql("insert into users(name, pwd) values('test','test1234')")
    line, = home.consume("my_topic_users", 1)
    # The very bytes that the tutorial shows, but for the time.
    record = json.loads(line)
    created = record["payload"]["created_at"]
    assert before - 1000 <= created <= before + 60_000 and created % 1000 == 0
    payload = {"id": 1, "name": "test", "pwd": "test1234", "created_at": created}
    assert line == json.dumps({"schema": USERS_SCHEMA, "payload": payload}, separators=(",", ":"))
    topics = home.shell("kafka-topics.sh --bootstrap-server localhost:9092 --list").stdout.split()
    assert {"connect-configs", "connect-offsets", "connect-status", "my_topic_users"} <= set(topics)

    home.post(SINK)
    until(lambda: "my_topic_users" in home.mydb.tables() and home.mydb.sql("select id, name, pwd from my_topic_users") == [(1, "test", "test1234")],
          lambda: "the table is filled:\n" + json.dumps(home.connect.status("my-sink-connect")), 60)
    home.mydb.sql("insert into users(name, pwd) values('test2','test1234')")
    until(lambda: len(home.mydb.sql("select id from my_topic_users")) == 2, "the next row", 60)
    typed = json.dumps({"schema": USERS_SCHEMA, "payload": {"id": 3, "name": "console", "pwd": "typed", "created_at": 1627815857000}})
    home.shell("kafka-console-producer.sh --bootstrap-server localhost:9092 --topic my_topic_users", stdin=typed + "\n")
    until(lambda: (3, "console", "typed") in home.mydb.sql("select id, name, pwd from my_topic_users"), "the typed line is a row", 60)
    assert home.mydb.sql("select created_at from my_topic_users where id = 3")[0][0].isoformat() == "2021-08-01T11:04:17"

    assert sorted(requests.get(f"{home.connect.url}/connectors", timeout=30).json()) == ["my-sink-connect", "my-source-connect"]
    status = home.connect.status("my-sink-connect")
    assert status["name"] == "my-sink-connect" and status["type"] == "sink" and status["connector"]["state"] == "RUNNING"
    assert [task["state"] for task in status["tasks"]] == ["RUNNING"]


ORDERS_SCHEMA = {"type": "struct", "fields": [
    {"type": "int32", "optional": True, "field": field} for field in ("id", "user_id", "product_id", "qty", "total_price", "unit_price")],
    "optional": False, "name": "orders"}

ORDER_SERVICE = """
import json, sys
from kafka import KafkaProducer
schema, start = json.loads(sys.argv[2]), int(sys.argv[3])
producer = KafkaProducer(bootstrap_servers=[sys.argv[1]], acks="all", value_serializer=lambda value: json.dumps(value).encode())
for number in range(start, start + 200):
    producer.send("orders", {"schema": schema, "payload": {
        "id": number, "user_id": number % 7, "product_id": number % 11, "qty": 2, "unit_price": 500, "total_price": 1000}})
producer.flush()
"""


def test_orders_of_three_processes_are_all_in_one_table_and_none_twice(home):
    home.shell("kafka-topics.sh --bootstrap-server localhost:9092 --create --topic orders --partitions 3")
    home.post({"name": "order-sink", "config": {**SINK["config"], "topics": "orders", "tasks.max": "2"}})
    services = [
        threading.Thread(target=run, args=([paths.KAFKA_PYTHONS["newest"], "-c", ORDER_SERVICE, home.server.bootstrap,
                                            json.dumps(ORDERS_SCHEMA), start],))
        for start in (0, 200, 400)]
    for service in services:
        service.start()
    for service in services:
        service.join()
    until(lambda: "orders" in home.mydb.tables() and home.mydb.sql("select count(*) from orders") >= [(600,)],
          lambda: f"600 orders: {home.connect.status('order-sink')}", 60)
    assert home.mydb.sql("select id, qty, unit_price, total_price from orders order by id") == [(number, 2, 500, 1000) for number in range(600)]


STANDALONE = {
    "connect-standalone.properties": "bootstrap.servers=localhost:9092\nkey.converter=org.apache.kafka.connect.storage.StringConverter\n"
                                     "value.converter=org.apache.kafka.connect.storage.StringConverter\nkey.converter.schemas.enable=false\n"
                                     "value.converter.schemas.enable=false\noffset.storage.file.filename=connect.offsets\n"
                                     "offset.flush.interval.ms=500\n",
    "alert-source.properties": "name=alert-source\nconnector.class=FileStreamSource\ntasks.max=1\nfile=alert.txt\ntopic=kinaction_alert_connect\n",
    "alert-sink.properties": "name=alert-sink\nconnector.class=FileStreamSink\ntasks.max=1\nfile=alert-sink.txt\ntopics=kinaction_alert_connect\n",
}


def test_lines_of_a_file_arrive_in_another_file_over_restarts(home):
    for name, text in STANDALONE.items():
        (home.directory / name).write_text(home.replaced(text))
    with open(home.directory / "connect-standalone.properties", "a", encoding="ascii") as file:
        file.write(f"listeners=http://127.0.0.1:{free_port()}\n")
    source, sink = home.directory / "alert.txt", home.directory / "alert-sink.txt"
    expected = []
    for turn in range(3):
        # Also lines that are appended while nothing runs.
        lines = [f"alert {turn}-{number}" for number in range(5)]
        with open(source, "a", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in lines)
        process = home.daemon("connect-standalone.sh connect-standalone.properties alert-source.properties alert-sink.properties", "standalone.log")
        more = f"alert {turn} with ü"
        expected += lines
        until(lambda: sink.exists() and sink.read_text().splitlines() == expected,
              lambda: f"the lines: {sink.read_text() if sink.exists() else 'no file'}\n" + (home.directory / "standalone.log").read_text()[-3000:], 60)
        with open(source, "a", encoding="utf-8") as file:
            file.write(more + "\n")
        expected.append(more)
        until(lambda: sink.read_text().splitlines() == expected, "the appended line", 30)
        process.terminate()
        assert process.wait(timeout=30) in (0, 143), (home.directory / "standalone.log").read_text()[-3000:]
    assert sink.read_text().splitlines() == expected
    wrong = (home.directory / "alert-sink.properties").read_text().replace("topics=", "topic=")
    (home.directory / "wrong-sink.properties").write_text(wrong)
    refused = home.shell("connect-standalone.sh connect-standalone.properties wrong-sink.properties", check=False)
    assert refused.returncode != 0 and "topics" in refused.stdout + refused.stderr
