"""A database that is away for a whole minute while a source reads from it and a sink writes into it: the states tell, both go on by
themselves, nothing is lost and nothing is twice in a table."""

import threading
import time

import pytest
from harness.connect import ServerWithConnect, envelope, schema
from harness.databases import MariaDb, Postgres
from harness.librdkafka import produce
from harness.wait import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(360)]
#: Seconds without the database.
AWAY = 60
CREATE = {"mariadb": "create table a(id int auto_increment primary key, n int not null)",
          "postgresql": "create table a(id serial primary key, n int not null)"}


@pytest.mark.parametrize("kind", [MariaDb, Postgres])
def test_a_database_that_is_away_for_a_minute(kind, tmp_path):
    server, database_server = ServerWithConnect(tmp_path / "server").start(), kind()
    try:
        database = database_server.start().database("outage")
        database.sql(CREATE[database.kind])
        connect = server.connect
        # A minute is more than the retries of a sink last: what starts it again is asked for.
        connect.create("reads", {"connector.class": "JdbcSource", **database.settings(), "mode": "incrementing",
                                 "table.whitelist": "a", "topic.prefix": "o-", "poll.interval.ms": "100", "connection.backoff.ms": "2000"})
        connect.create("writes", {"connector.class": "JdbcSink", **database.settings(), "topics": "o-a", "table.name.format": "b",
                                  "auto.create": "true", "insert.mode": "upsert", "pk.mode": "record_value", "pk.fields": "id",
                                  "max.retries": "3", "retry.backoff.ms": "1000", "connection.attempts": "1", "connection.backoff.ms": "500",
                                  "errors.restart.max.attempts": "-1",
                                  "errors.restart.backoff.max.ms": "5000"})
        stop, written = threading.Event(), [0]

        def write():
            while not stop.wait(0.02):
                try:
                    database.sql("insert into a(n) values (%s)", written[0])
                    written[0] += 1
                except database_server.driver_error():
                    time.sleep(0.2)

        def copied():
            return database.sql("select count(*), count(distinct id) from b")[0]

        writer = threading.Thread(target=write)
        writer.start()
        try:
            until(lambda: "b" in database.tables() and copied()[0] > 20, lambda: (connect.status("reads"), connect.status("writes")), timeout=90)
            database_server.kill()
            gone = time.monotonic()
            # The source has nothing to tell now; this is for the sink to fail at.
            produce(server, "o-a", [envelope(schema("a", id="int32", n="int32"), {"id": 1_000_000, "n": -1})])
            states = {"reads": set(), "writes": set()}
            while time.monotonic() < gone + AWAY:
                for name, seen in states.items():
                    seen.update(connect.states(name)[1:])
                time.sleep(0.5)
            # Reading waits; writing has failed with the reason, and tries again.
            assert states["reads"] == {"RUNNING"} and "FAILED" in states["writes"], states
            database_server.start()
            before = written[0]
            until(lambda: written[0] > before + 20, "rows come again")
        finally:
            stop.set()
            writer.join()
        rows = database.sql("select count(*) from a")[0][0]
        until(lambda: copied() == (rows + 1, rows + 1), lambda: (rows, copied(), connect.status("reads"), connect.status("writes")), timeout=60)
        assert database.sql("select count(*) from a join b on a.id = b.id and a.n = b.n")[0][0] == rows
        until(lambda: connect.states("reads") == connect.states("writes") == ["RUNNING", "RUNNING"], "both run")
    finally:
        server.stop()
        database_server.remove()
    assert "panicked" not in server.log(), server.log_tail()
