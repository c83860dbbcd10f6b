"""The backup of the command topic, and ksql-restore-command-topic, which makes the topic again."""

import pytest
from harness import paths
from harness.connect import properties
from harness.librdkafka import admin
from harness.scripts import run
from harness.sql import Sql
from harness.wait import until

TABLE = "SELECT id, n FROM t WHERE id = 'a';"


class Backed:
    """A server that backs its command topic up."""

    def __init__(self, directory, kafka, service):
        self.kafka, self.directory, self.backups = kafka, directory, directory / "backups"
        self.topic = f"_confluent-ksql-{service}_command_topic"
        settings = {"ksql.service.id": service, "ksql.enable.metastore.backup": "true",
                    "ksql.metastore.backup.location": self.backups}
        self.sql = Sql(directory / "sql", kafka.bootstrap, settings)
        self.file = properties(directory / "server.properties", {"bootstrap.servers": kafka.bootstrap, **settings})

    def restore(self, *arguments, **how):
        command = [paths.MILENA, "ksql-restore-command-topic", "--config-file", self.file, *arguments]
        return run(command, check=False, **how)

    def delete_topic(self):
        admin(self.kafka).delete_topics([self.topic])[self.topic].result(20)
        until(lambda: self.topic not in admin(self.kafka).list_topics(timeout=20).topics, "the topic is gone")

    def start_damaged(self):
        self.sql.start(ready=False)
        until(lambda: "corruption in the command topic" in self.sql.log(), lambda: self.sql.log(), timeout=30)
        until(lambda: self.sql.post("/ksql", {"ksql": "CREATE TYPE x AS INT;"}).status_code == 500, lambda: self.sql.log())


@pytest.fixture
def backed(kafka, tmp_path, request):
    backed = Backed(tmp_path, kafka, f"{request.node.name}_")
    backed.sql.start()
    yield backed
    backed.sql.stop()
    assert "panicked" not in backed.sql.log()


def test_a_lost_command_topic_comes_back(backed):
    sql = backed.sql
    sql.ksql("CREATE STREAM s (id STRING KEY, v INT) WITH (kafka_topic='lost', partitions=1, value_format='JSON');")
    [created] = sql.ksql("CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM s GROUP BY id;")
    sql.ksql("INSERT INTO s (id, v) VALUES ('a', 1);")
    until(lambda: sql.query(TABLE)[1:], lambda: sql.log())
    before = sql.query(TABLE)[1:]
    sql.stop()
    [backup] = backed.backups.iterdir()
    assert backup.name.startswith(f"backup_{backed.topic}_")
    assert [line.split(":")[0] for line in backup.read_text().splitlines()] == ['"stream/`S`/create"', '"table/`T`/create"']

    backed.delete_topic()
    backed.start_damaged()
    sql.stop()
    assert list(backed.backups.iterdir()) == [backup]

    declined = backed.restore(backup, stdin="n\n")
    assert declined.returncode == 1 and "nothing was changed" in declined.stderr
    assert backed.topic not in admin(backed.kafka).list_topics(timeout=20).topics
    restored = backed.restore("--yes", backup)
    assert restored.returncode == 0 and "has its 2 commands again" in restored.stdout, restored.stderr

    sql.start()
    [queries] = sql.ksql("SHOW QUERIES;")
    assert [query["id"] for query in queries["queries"]] == [created["commandStatus"]["queryId"]]
    until(lambda: sql.query(TABLE)[1:] == before, lambda: sql.log())
    sql.ksql("CREATE TYPE more AS INT;")
    assert len(backup.read_text().splitlines()) == 3, "the backup goes on"


def test_a_topic_that_tells_less_than_the_backup_is_not_believed(backed):
    backed.sql.ksql("CREATE TYPE one AS INT;")
    backed.sql.ksql("CREATE TYPE two AS INT;")
    backed.sql.stop()
    [backup] = backed.backups.iterdir()
    lines = backup.read_text().splitlines(keepends=True)
    short = backed.directory / "short"
    short.write_text(lines[0])
    assert backed.restore("--yes", short).returncode == 0
    backed.start_damaged()
    backed.sql.stop()
    assert backup.read_text() == "".join(lines)


def test_commands_of_another_version_are_left_out_on_request(backed):
    backed.sql.ksql("CREATE TYPE one AS INT;")
    backed.sql.stop()
    [backup] = backed.backups.iterdir()
    own = backed.directory / "own"
    own.write_text('"tea/T/make":{"statement":"MAKE TEA;","version":99}\n' + backup.read_text())
    refused = backed.restore("--yes", own)
    assert refused.returncode == 1 and '1 of the commands cannot be executed by this version, the first is "tea/T/make"' in refused.stderr
    left_out = backed.restore("--yes", "--skip-incompatible-commands", own)
    assert left_out.returncode == 0 and 'left out: "tea/T/make"' in left_out.stdout
    backed.sql.start()
    [types] = backed.sql.ksql("SHOW TYPES;")
    assert list(types["types"]) == ["ONE"]


def test_a_service_that_was_ended_begins_anew(backed):
    backed.sql.ksql("CREATE TYPE one AS INT;")
    assert backed.sql.post("/ksql/terminate", {}).status_code == 200
    until(lambda: backed.topic not in admin(backed.kafka).list_topics(timeout=20).topics, "the topic is gone")
    backed.sql.stop()
    backed.sql.start()
    backed.sql.ksql("CREATE TYPE two AS INT;")
    [types] = backed.sql.ksql("SHOW TYPES;")
    assert list(types["types"]) == ["TWO"]
    assert len(list(backed.backups.iterdir())) == 2


def test_what_is_wrong_is_told(backed, tmp_path):
    (tmp_path / "lines").write_text("one\n")
    missing, wrong = backed.restore("--yes", "/no/such"), backed.restore("--yes", tmp_path / "lines")
    assert missing.returncode == wrong.returncode == 1
    assert "/no/such: No such file" in missing.stderr and "lines: line 1 is not a command" in wrong.stderr
    assert backed.restore().returncode == 1
