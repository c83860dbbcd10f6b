"""Clients of ksqlDB for Python, as their users write them: python sql_python.py URL PREFIX. Prints a line for each that
has done everything."""

import asyncio
import json
import sys
import threading

from ksql import KSQLAPI
from ksql.errors import KSQLError
from ksql.utils import get_all_streams, get_stream_info
from ksqldb import KSQLdbClient

EARLIEST = {"auto.offset.reset": "earliest"}


def insert_until_asked_to_stop(client, target):
    """Keeps rows coming for push queries; call what it returns to end it."""
    stop = threading.Event()

    def insert():
        n = 0
        while not stop.wait(0.05):
            n += 1
            client.inserts_stream(target, [{"id": "late", "n": n}])

    thread = threading.Thread(target=insert)
    thread.start()
    return lambda: (stop.set(), thread.join())


def ksql_python(url, prefix):
    """The package ksql, maintained as ksql-python-ng."""
    client = KSQLAPI(url, timeout=30)
    assert client.get_ksql_version()
    stream = f"{prefix}_ng"
    client.create_stream(table_name=stream, columns_type=["id varchar key", "n bigint"], topic=f"{stream}_topic")
    assert get_all_streams(client, prefix) == [stream.upper()]
    info = get_stream_info(client, stream)
    assert [field["name"] for field in info["fields"]] == ["ID", "N"], info
    acks = client.inserts_stream(stream, [{"id": f"k{n}", "n": n} for n in range(3)])
    assert acks == [{"status": "ok", "seq": n} for n in range(3)], acks
    client.ksql(f"INSERT INTO {stream} (id, n) VALUES ('k3', 3)")
    for use_http2 in (True, False):
        sql = f"SELECT n FROM {stream} EMIT CHANGES LIMIT 4"
        chunks = list(client.query(sql, stream_properties=EARLIEST, use_http2=use_http2))
        if use_http2:
            # This client takes every chunk for a line.
            lines = [json.loads(chunk) for chunk in chunks]
            assert lines[0]["columnNames"] == ["N"] and sorted(lines[1:]) == [[0], [1], [2], [3]], lines
        else:
            elements = json.loads("".join(chunks))
            assert elements[0]["header"]["schema"] == "`N` BIGINT", elements
            assert elements[-1] == {"finalMessage": "Limit Reached"}, elements
    parsed = client.query(f"SELECT id, n FROM {stream} WHERE n = 2", use_http2=True, parse=True)
    assert list(parsed) == [{"ID": "k2", "N": 2}]

    stop = insert_until_asked_to_stop(client, stream)
    rows = client.query(f"SELECT id FROM {stream} WHERE id = 'late' EMIT CHANGES", use_http2=True)
    head = json.loads(next(rows))
    assert json.loads(next(rows)) == ["late"]
    assert client.close_query(head["queryId"])
    for _ in rows:
        pass
    stop()
    assert not client.close_query(head["queryId"])

    try:
        client.ksql("DESCRIBE nothing")
        raise AssertionError("there is no such source")
    except KSQLError as error:
        assert error.error_code == 40001 and "NOTHING" in error.args[0], error
    client.ksql(f"CREATE TABLE {stream}_counts AS SELECT id, COUNT(*) AS total FROM {stream} GROUP BY id",
                stream_properties=EARLIEST)
    client.ksql(f"DROP TABLE {stream}_counts")
    client.ksql(f"DROP STREAM {stream}")


def ksqldb(url, prefix):
    """The package ksqldb."""
    client = KSQLdbClient(url)
    assert any(one["name"] == "ksql.service.id" for one in client.get_properties())
    stream = f"{prefix}_db"
    client.ksql(f"CREATE STREAM {stream} (id STRING KEY, n INT) "
                f"WITH (kafka_topic='{stream}', partitions=2, value_format='JSON');")
    acks = client.inserts_stream(stream, [{"id": "a", "n": 1}, {"id": "b", "n": "no number"}, {"id": "c", "n": 3}])
    assert [ack["status"] for ack in acks] == ["ok", "error"], acks
    head, *rows = client.query_sync(f"SELECT * FROM {stream};")
    assert head["columnTypes"] == ["STRING", "INTEGER"] and rows == [["a", 1]], (head, rows)

    async def push():
        found = []
        async for line in client.query_async(f"SELECT id FROM {stream} EMIT CHANGES;", EARLIEST, timeout=30):
            found.append(line)
            if len(found) == 2:
                closed = await asyncio.to_thread(client.close_query, found[0]["queryId"])
                assert closed
        return found

    found = asyncio.run(push())
    assert found[0]["columnNames"] == ["ID"] and found[1] == ["a"], found
    client.ksql(f"DROP STREAM {stream} DELETE TOPIC;")


if __name__ == "__main__":
    for run in (ksql_python, ksqldb):
        run(sys.argv[1], sys.argv[2])
        print(run.__name__)
