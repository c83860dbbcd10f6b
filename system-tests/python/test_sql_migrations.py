"""ksql-migrations: numbered files of statements, each applied to a server once and in order."""

import pytest
from harness import paths
from harness.scripts import run
from harness.sql import Sql


@pytest.fixture
def sql(kafka, tmp_path, request):
    server = Sql(tmp_path / "sql", kafka.bootstrap, {"ksql.service.id": f"{request.node.name}_"}).start()
    yield server
    server.stop()
    assert "panicked" not in server.log()


class Project:
    def __init__(self, directory, url):
        self.directory = directory
        run([paths.MILENA, "ksql-migrations", "new-project", directory, url])

    def call(self, *arguments, check=True):
        config = self.directory / "ksql-migrations.properties"
        return run([paths.MILENA, "ksql-migrations", "--config-file", config, *arguments], check=check)

    def file(self, name, text):
        path = self.directory / "migrations" / name
        assert path.read_text() == ""
        path.write_text(text)

    def states(self):
        lines = self.call("info").stdout.splitlines()
        rows = [[cell.strip() for cell in line.split("|")] for line in lines if "|" in line][1:]
        return lines[0], [(row[0], row[1], row[2], row[3]) for row in rows]


def names(sql, what):
    return [source["name"] for source in sql.ksql(f"SHOW {what};")[0][what.lower()]]


def test_migrations_are_applied_once_and_in_order(sql, tmp_path):
    project = Project(tmp_path / "project", sql.url)
    assert "metadata" in project.call("info", check=False).stderr
    assert "initialized successfully" in project.call("initialize-metadata").stdout
    assert names(sql, "STREAMS") == ["MIGRATION_EVENTS"] and names(sql, "TABLES") == ["MIGRATION_SCHEMA_VERSIONS"]
    project.call("create", "Initial setup")
    project.call("create", "Add big orders")
    project.file("V000001__Initial_setup.sql",
                 "-- what comes in\nCREATE STREAM ${prefix}orders (id STRING KEY, n INT)\n"
                 "  WITH (kafka_topic='migrated_orders', partitions=1, value_format='JSON');\n"
                 "INSERT INTO ${prefix}orders (id, n) VALUES ('it''s', 1);\n")
    project.file("V000002__Add_big_orders.sql",
                 "SET 'auto.offset.reset'='earliest';\nCREATE STREAM big AS SELECT * FROM new_orders WHERE n > 10;\n")
    assert project.states() == ("Current migration version: <none>",
                                [("1", "Initial setup", "PENDING", "N/A"), ("2", "Add big orders", "PENDING", "N/A")])
    dry = project.call("apply", "--all", "--dry-run")
    assert "Applying migration version 2: Add big orders" in dry.stdout and "NEW_ORDERS" not in names(sql, "STREAMS")
    assert "Successfully migrated" in project.call("apply", "--next", "-d", "prefix=new_").stdout
    assert "Successfully migrated" in project.call("apply", "--all").stdout
    assert sorted(names(sql, "STREAMS")) == ["BIG", "MIGRATION_EVENTS", "NEW_ORDERS"]
    assert project.states() == ("Current migration version: 2",
                                [("1", "Initial setup", "MIGRATED", "<none>"), ("2", "Add big orders", "MIGRATED", "1")])
    assert "No eligible migrations found." in project.call("apply", "--all").stdout
    assert "must be newer than the last version migrated" in project.call("apply", "--version", "1", check=False).stderr


def test_a_migration_that_fails_is_told_and_tried_again(sql, tmp_path):
    project = Project(tmp_path / "project", sql.url)
    project.call("initialize-metadata")
    project.call("create", "--version", "5", "Broken")
    path = project.directory / "migrations" / "V000005__Broken.sql"
    path.write_text("DESCRIBE 'nothing;")
    assert project.call("apply", "--all", check=False).returncode == 1
    path.write_text("CREATE STREAM s (a INT) WITH (kafka_topic='missing_topic', value_format='JSON');")
    failed = project.call("apply", "--next", check=False)
    assert failed.returncode == 1 and "'missing_topic' does not exist" in failed.stderr
    assert project.states() == ("Current migration version: <none>", [("5", "Broken", "ERROR", "<none>")])
    path.write_text("CREATE TYPE money AS DECIMAL(10, 2);")
    project.call("apply", "--next")
    assert project.states()[1] == [("5", "Broken", "MIGRATED", "<none>")]
    assert "Successfully validated" in project.call("validate").stdout
    path.write_text("CREATE TYPE money AS DECIMAL(12, 2);")
    changed = project.call("validate", check=False)
    assert changed.returncode == 1 and "does not match the checksum saved" in changed.stderr


def test_the_metadata_can_be_taken_away(sql, tmp_path):
    project = Project(tmp_path / "project", sql.url)
    project.call("initialize-metadata")
    assert project.call("initialize-metadata", check=False).returncode == 1
    project.call("destroy-metadata")
    assert names(sql, "STREAMS") == [] and names(sql, "TABLES") == []
    own = sql.overrides["ksql.service.id"]
    assert [topic["name"] for topic in sql.ksql("SHOW TOPICS;")[0]["topics"] if topic["name"].startswith(own)] == []
