"""State that has to be restored from its changelog, by a server that is killed in the middle of that. STATE_MB makes it larger."""

import os
import shutil
import signal
import time

import pytest
from confluent_kafka import Producer
from harness.librdkafka import create_topic
from harness.memory import peak_memory
from harness.sql import Sql
from harness.wait import until

MEGABYTES = int(os.environ.get("STATE_MB", "60"))
ROW = 500
ROWS = MEGABYTES * 1_000_000 // ROW
EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}


def fill(kafka, topic, first, rows):
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 20, "compression.type": "none"})
    note = "n" * (ROW - 40)
    for number in range(first, first + rows):
        while True:
            try:
                producer.produce(topic, f'{{"N": {number}, "NOTE": "{note}"}}'.encode(), f"key-{number:09}".encode())
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0


def kept(sql, number):
    """The row of a key, once the table can be asked."""
    answer = sql.post("/query-stream", {"sql": f"SELECT n FROM t WHERE id = 'key-{number:09}';", "properties": {}})
    return answer.status_code == 200 and [line for line in answer.text.splitlines()[1:]]


def size_of(directory):
    return sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())


@pytest.mark.slow
def test_state_is_whole_although_the_server_is_killed_while_it_restores_it(kafka, tmp_path):
    create_topic(kafka, "rows", 1)
    sql = Sql(tmp_path / "sql", kafka.bootstrap, {"ksql.service.id": "restoring_"}).start()
    try:
        sql.ksql("CREATE STREAM s (id STRING KEY, n BIGINT, note STRING) WITH (kafka_topic='rows', value_format='JSON');")
        sql.ksql("CREATE TABLE t AS SELECT id, LATEST_BY_OFFSET(n) AS n, LATEST_BY_OFFSET(note) AS note FROM s GROUP BY id;", EARLIEST)
        fill(kafka, "rows", 0, ROWS)
        until(lambda: kept(sql, ROWS - 1), "the table has the last row", 300, 0.5)
        whole = size_of(sql.directory / "state")
        for share in (0.2, 0.5):
            sql.stop()
            shutil.rmtree(sql.directory / "state")
            sql.start()
            until(lambda share=share: size_of(sql.directory / "state") > share * whole / 2 or kept(sql, 0), "a part is restored", 300, 0.02)
            sql.stop(signal.SIGKILL)
            # What was restored before counts.
            sql.start()
            started = time.monotonic()
            until(lambda: kept(sql, ROWS - 1), "the table has the last row again", 300, 0.2)
            print(f"restored in {time.monotonic() - started:.1f} s, {peak_memory(sql.process) >> 20} MB at most")
        fill(kafka, "rows", ROWS, 10)
        until(lambda: kept(sql, ROWS + 9), "new rows come", 60)
        answer = sql.session.post(sql.url + "/query-stream", json={"sql": "SELECT n FROM t;", "properties": {}}, stream=True, timeout=600)
        numbers = [int(line.strip(b"[]")) for line in answer.iter_lines(1 << 16) if line.startswith(b"[")]
        assert sorted(numbers) == list(range(ROWS + 10))
        assert peak_memory(sql.process) < 300 << 20
        assert "panicked" not in sql.log()
    finally:
        sql.stop()
