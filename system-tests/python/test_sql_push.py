"""Push queries: the forms of their results, the order of records by time, what ends them, clients that stop reading; and
/inserts-stream, which goes the other way."""

import contextlib
import json
import socket
import struct
import threading

import pytest
import requests
from confluent_kafka import Producer
from harness.librdkafka import create_topic
from harness.sql import Sql
from harness.wait import until

EARLIEST = {"auto.offset.reset": "earliest"}
DELIMITED, KSQL_JSON, JSON = "application/vnd.ksqlapi.delimited.v1", "application/vnd.ksql.v1+json", "application/json"


@pytest.fixture(scope="module")
def sql(kafka, tmp_path_factory):
    sql = Sql(tmp_path_factory.mktemp("sql"), kafka.bootstrap, {"ksql.query.push.v2.enabled": "true"})
    sql.start()
    yield sql
    sql.stop()
    assert "panicked" not in sql.log()


def produce(kafka, topic, records):
    """Records as (partition, timestamp, key, value). The client takes a timestamp of 0 for none."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 0})
    for partition, timestamp, key, value in records:
        text = None if value is None else json.dumps(value)
        producer.produce(topic, text, key, partition, timestamp=timestamp)
    assert producer.flush(30) == 0


def stream(sql, name, partitions=1, columns="id STRING KEY, n INT"):
    sql.ksql(f"CREATE STREAM {name} ({columns}) "
             f"WITH (kafka_topic='{name}', partitions={partitions}, value_format='JSON');")


def pushed(sql, query, properties=EARLIEST):
    return sql.query(query, properties)


def test_results_have_the_form_that_is_asked_for(sql, kafka):
    stream(sql, "forms")
    produce(kafka, "forms", [(0, 1, "a", {"n": 1}), (0, 2, "b", {"n": None})])
    statement = "SELECT * FROM forms EMIT CHANGES LIMIT 2;"
    body = {"sql": statement, "ksql": statement, "properties": EARLIEST, "streamsProperties": EARLIEST}

    def answer(path, accept):
        answer = sql.post(path, body, headers={"Accept": accept} if accept else {})
        assert answer.status_code == 200, answer.text
        return answer

    for path, accept in [("/query", None), ("/query", KSQL_JSON), ("/query", JSON), ("/query-stream", KSQL_JSON)]:
        found = answer(path, accept)
        assert found.headers["content-type"] == (accept or KSQL_JSON)
        header, *rest = found.json()
        assert header["header"]["schema"] == "`ID` STRING, `N` INTEGER"
        assert header["header"]["queryId"].startswith("transient_FORMS_")
        assert rest == [{"row": {"columns": ["a", 1]}}, {"row": {"columns": ["b", None]}},
                        {"finalMessage": "Limit Reached"}]
        assert len(found.text.splitlines()) == 4
    lines = [json.loads(line) for line in answer("/query-stream", None).text.splitlines()]
    assert (lines[0]["columnNames"], lines[0]["columnTypes"]) == (["ID", "N"], ["STRING", "INTEGER"])
    assert lines[1:] == [["a", 1], ["b", None]]
    assert answer("/query-stream", JSON).json()[1:] == lines[1:]
    assert pushed(sql, "SELECT * FROM forms EMIT CHANGES LIMIT 0;") == ([], "Limit Reached")


def test_failures_before_the_header_are_answers_of_their_own(sql):
    stream(sql, "fails")
    for path in ("/query", "/query-stream"):
        def refused(statement, path=path):
            answer = sql.post(path, {"sql": statement, "ksql": statement})
            assert answer.status_code == 400, answer.text
            return answer.json()

        unknown = refused("SELECT nothing FROM fails EMIT CHANGES;")
        assert (unknown["@type"], unknown["error_code"]) == ("statement_error", 40001)
        assert unknown["statementText"] == "SELECT nothing FROM fails EMIT CHANGES;"
        assert "NOTHING" in unknown["message"]
        assert "NOWHERE does not exist" in refused("SELECT * FROM nowhere EMIT CHANGES;")["message"]
        assert "exactly one" in refused("SELECT * FROM fails EMIT CHANGES; SHOW STREAMS;")["message"].lower()
        assert "Arithmetic" in refused("SELECT 5.0 / NULL FROM fails EMIT CHANGES;")["message"]


def test_the_header_is_there_before_the_first_row(sql, kafka):
    stream(sql, "waiting")
    with requests.post(sql.url + "/query", json={"ksql": "SELECT n FROM waiting EMIT CHANGES LIMIT 1;"},
                       stream=True, timeout=60) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert "header" in json.loads(next(lines).decode().lstrip("[").rstrip(","))
        # From what comes after the header, without a setting.
        produce(kafka, "waiting", [(0, 1, "a", {"n": 7})])
        assert json.loads(next(lines).decode().rstrip(",")) == {"row": {"columns": [7]}}


def test_records_come_in_the_order_of_their_times(sql, kafka):
    stream(sql, "left_side", 3)
    stream(sql, "right_side", 3)
    times = list(range(1, 601))
    # Partition by partition, so that nothing but the times brings them together again.
    for partition in range(3):
        produce(kafka, "left_side", [(partition, t, f"k{t}", {"n": t}) for t in times if t % 3 == partition])
    rows, _ = pushed(sql, "SELECT n FROM left_side EMIT CHANGES LIMIT 600;")
    assert [n for [n] in rows] == times
    assert [n for [n] in sql.query("SELECT n FROM left_side;")[0]] == times
    produce(kafka, "right_side", [(1, 100, "k100", {"n": -1}), (0, 300, "k300", {"n": -2})])
    rows, _ = pushed(sql, "SELECT l.n, r.n FROM left_side l LEFT JOIN right_side r WITHIN 1 MILLISECOND ON l.id = r.id "
                          "EMIT CHANGES LIMIT 602;")
    # Rows without a partner come first, for the window may still bring one.
    assert [row for row in rows if row[1] is not None] == [[100, -1], [300, -2]]


def test_a_row_of_a_table_is_there_for_the_records_of_its_time(sql, kafka):
    stream(sql, "orders_of_time", 2)
    sql.ksql("CREATE TABLE people (id STRING PRIMARY KEY, name STRING) "
             "WITH (kafka_topic='people', partitions=2, value_format='JSON');")
    produce(kafka, "orders_of_time", [(0, 100 * n + 1, "k", {"n": n}) for n in range(6)])
    produce(kafka, "people", [(0, 50, "k", {"name": "first"}), (0, 301, "k", {"name": "second"}), (0, 450, "k", None)])
    rows, _ = pushed(sql, "SELECT n, name FROM orders_of_time o LEFT JOIN people p ON o.id = p.id EMIT CHANGES LIMIT 6;")
    assert rows == [[0, None], [1, "first"], [2, "first"], [3, "second"], [4, "second"], [5, None]]


def test_times_in_columns_decide_on_the_order(sql, kafka):
    create_topic(kafka, "with_times", 2)
    sql.ksql("CREATE STREAM with_times (happened BIGINT, n INT) "
             "WITH (kafka_topic='with_times', value_format='JSON', timestamp='happened');")
    produce(kafka, "with_times", [(n % 2, 1000 - n, None, {"happened": n, "n": n}) for n in range(50)])
    rows, _ = pushed(sql, "SELECT n, ROWTIME FROM with_times EMIT CHANGES LIMIT 50;")
    assert rows == [[n, n] for n in range(50)]


def test_rows_of_tables_that_are_gone_are_tombstones(sql, kafka):
    stream(sql, "sums")
    produce(kafka, "sums", [(0, 1, "a", {"n": 10}), (0, 2, "a", {"n": -20}), (0, 3, "a", {"n": 21})])
    statement = ("SELECT SUM(n) AS total, id, WINDOWEND, WINDOWSTART FROM sums WINDOW TUMBLING (SIZE 1 SECOND) "
                 "GROUP BY id HAVING SUM(n) > 0 EMIT CHANGES LIMIT 3;")
    answer = sql.post("/query", {"ksql": statement, "streamsProperties": EARLIEST}).json()
    assert [line["row"] for line in answer[1:-1]] == [
        {"columns": [10, "a", 1000, 0]}, {"columns": [None, "a", 1000, 0], "tombstone": True},
        {"columns": [11, "a", 1000, 0]}]
    # There is no form for them among lines.
    answer = sql.post("/query-stream", {"sql": statement, "properties": EARLIEST})
    assert [json.loads(line) for line in answer.text.splitlines()[1:]] == [[10, "a", 1000, 0], [11, "a", 1000, 0]]


def test_windows_are_final_when_their_time_has_passed(sql, kafka):
    stream(sql, "finals")
    produce(kafka, "finals", [(0, 1, "a", {"n": 1}), (0, 2, "a", {"n": 2}), (0, 1500, "a", {"n": 3})])
    rows, _ = pushed(sql, "SELECT id, COUNT(*) AS total FROM finals WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 0 SECONDS) "
                          "GROUP BY id EMIT FINAL LIMIT 1;",
                     {**EARLIEST, "ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__": 0})
    assert rows == [["a", 2]]


def test_many_queries_can_watch_what_one_query_writes(sql, kafka):
    stream(sql, "raw")
    produce(kafka, "raw", [(0, 1, "old", {"n": 1})])
    sql.ksql("CREATE STREAM cooked AS SELECT id, n * 10 AS ten FROM raw;", EARLIEST)
    until(lambda: sql.query("SELECT ten FROM cooked;")[0] == [[10]], "the first row")
    watching = [sql.lines("SELECT ten FROM cooked WHERE ten > 20 EMIT CHANGES LIMIT 1;") for _ in range(3)]
    heads = [next(lines) for lines in watching]
    assert all(head["queryId"].startswith("SCALABLE_PUSH_QUERY_") for head in heads)
    produce(kafka, "raw", [(0, 2, "new", {"n": 2}), (0, 3, "new", {"n": 3})])
    assert [list(lines) for lines in watching] == [[[30]]] * 3
    # The past is not theirs.
    assert pushed(sql, "SELECT ten FROM cooked EMIT CHANGES LIMIT 1;")[0] == [[10]]
    whole = next(sql.lines("SELECT ten, ROWOFFSET FROM cooked EMIT CHANGES;"))
    assert whole["queryId"].startswith("transient_COOKED_")


def shown(sql):
    queries = sql.ksql("SHOW QUERIES;")[0]["queries"]
    return {query["id"]: query for query in queries if query["queryType"] == "PUSH"}


def test_push_queries_are_shown_and_end(sql):
    stream(sql, "endless")
    statement = "SELECT * FROM endless EMIT CHANGES;"
    first, second, third = (sql.lines(statement, path=path) for path in ("/query-stream", "/query-stream", "/query-stream"))
    ids = [next(lines)["queryId"] for lines in (first, second, third)]
    listed = shown(sql)
    assert set(ids) <= listed.keys()
    assert listed[ids[0]]["queryString"] == statement and listed[ids[0]]["sinks"] == []
    # By its id, by a statement, and because nobody is there any more.
    assert sql.post("/close-query", {"queryId": ids[0]}).status_code == 200
    assert list(first) == []
    [terminated] = sql.ksql(f"TERMINATE {ids[1]};")
    assert (terminated["@type"], terminated["queryId"], terminated["wasTerminated"]) == ("terminate_query", ids[1], True)
    assert list(second) == []
    third.close()
    until(lambda: not set(ids) & shown(sql).keys(), "all three have ended")


def test_push_queries_are_limited(kafka, tmp_path):
    sql = Sql(tmp_path, kafka.bootstrap, {"ksql.service.id": "limited_", "ksql.max.push.queries": 2}).start()
    try:
        stream(sql, "limited")
        statement = "SELECT * FROM limited EMIT CHANGES;"
        running = [sql.lines(statement) for _ in range(2)]
        for lines in running:
            next(lines)
        answer = sql.post("/query-stream", {"sql": statement})
        assert (answer.status_code, answer.json()["error_code"]) == (400, 40001)
        assert "active, push queries" in answer.json()["message"]
        # Others than push queries go on.
        assert sql.query("SELECT * FROM limited;") == ([], "Query Completed")
        running.pop().close()
        until(lambda: sql.post("/query", {"ksql": statement.replace(";", " LIMIT 0;")}).status_code == 200, "a place")
    finally:
        sql.stop()


def resident_bytes(sql):
    with open(f"/proc/{sql.process.pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def open_query(sql, statement, path, accept):
    """A client that asks and never reads."""
    body = json.dumps({"sql": statement, "ksql": statement, "properties": EARLIEST, "streamsProperties": EARLIEST})
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", sql.port))
    client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
                   f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return client


def test_a_hundred_clients_that_stop_reading_cost_little_and_hold_up_nobody(sql, kafka):
    stream(sql, "flood", columns="id STRING KEY, text STRING")
    text = "x" * 1000
    produce(kafka, "flood", [(0, n + 1, "k", {"text": f"{n} {text}"}) for n in range(5_000)])
    before = resident_bytes(sql)
    statement = "SELECT * FROM flood EMIT CHANGES;"
    with contextlib.ExitStack() as clients:
        for n in range(99):
            path, accept = (("/query", KSQL_JSON), ("/query-stream", DELIMITED), ("/query-stream", JSON))[n % 3]
            clients.enter_context(open_query(sql, statement, path, accept))
        until(lambda: len(shown(sql)) >= 99, "99 queries run", timeout=60)
        rows, words = pushed(sql, "SELECT text FROM flood EMIT CHANGES LIMIT 5000;")
        assert (len(rows), words) == (5_000, "Limit Reached")
        assert rows[-1] == [f"4999 {text}"]
        grown = resident_bytes(sql) - before
        # Each of them has 5 MB to tell.
        assert grown < 300 << 20, f"{grown >> 20} MiB"
    until(lambda: not shown(sql), "the queries have ended with their clients", timeout=60)


def test_acknowledgements_come_while_lines_are_still_sent(sql):
    stream(sql, "stepwise")
    with socket.create_connection(("127.0.0.1", sql.port), timeout=30) as client:
        reader = client.makefile("rb")

        def send(text):
            client.sendall(b"%x\r\n%s\r\n" % (len(text), text))

        client.sendall(b"POST /inserts-stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        send(b'{"target":"stepwise"}\n')
        while reader.readline() != b"\r\n":
            pass
        for n in range(5):
            # Lines need not come whole.
            send(b'{"id":"k')
            send(b'%d","n":%d}\n' % (n, n))
            size = int(reader.readline(), 16)
            line = reader.read(size)
            assert line.endswith(b"\n") and reader.readline() == b"\r\n"
            assert json.loads(line) == {"status": "ok", "seq": n}
        client.sendall(b"0\r\n\r\n")
        assert reader.readline() == b"0\r\n"
    assert [n for [n] in sql.query("SELECT n FROM stepwise;")[0]] == list(range(5))


def inserted(sql, target, *lines, accept=None):
    body = "\n".join([json.dumps(target), *(line if isinstance(line, str) else json.dumps(line) for line in lines)])
    answer = sql.session.post(f"{sql.url}/inserts-stream", data=body, headers={"Accept": accept} if accept else {},
                              timeout=60)
    return answer.status_code, answer


def test_the_first_line_that_is_no_record_ends_the_stream(sql):
    stream(sql, "stopped")
    good = {"id": "a", "N": 1, "more": "is passed over"}
    for bad, message in [("{no JSON", "Invalid JSON in inserts stream"), ("[1]", "Invalid JSON in inserts stream"),
                         ({"id": "a", "n": "x"}, "Can't coerce a field of type class java.lang.String into type INTEGER"),
                         ({"id": "a", "n": 1.5}, "Can't coerce a field of type class java.lang.Double into type INTEGER"),
                         ({"id": 1}, "Can't coerce a field of type class java.lang.Integer into type STRING"),
                         ({"n": 1}, "Key field must be specified: ID")]:
        status, answer = inserted(sql, {"target": "stopped"}, good, bad, good)
        assert status == 200
        first, second = (json.loads(line) for line in answer.text.splitlines())
        assert first == {"status": "ok", "seq": 0}
        assert second == {"status": "error", "seq": 1, "error_code": 40000, "message": message}
    status, answer = inserted(sql, {"target": "`STOPPED`"}, good, good, accept=JSON)
    assert answer.json() == [{"status": "ok", "seq": 0}, {"status": "ok", "seq": 1}]
    assert len(sql.query("SELECT n FROM stopped;")[0]) == 8


def test_targets_that_take_no_rows(sql):
    sql.ksql("CREATE TABLE t_target (id STRING PRIMARY KEY, n INT) "
             "WITH (kafka_topic='t_target', partitions=1, value_format='JSON');"
             "CREATE SOURCE STREAM s_target (id STRING KEY, n INT) WITH (kafka_topic='t_target', value_format='JSON');")
    for target, code, message in [
            ({"target": "nowhere"}, 40001, "Cannot insert values into an unknown stream/table: `NOWHERE`"),
            ({"target": "s_target"}, 40001, "Cannot insert values into read-only stream: S_TARGET"),
            ({"targt": "s"}, 40000, 'Missing field "target" in request')]:
        status, answer = inserted(sql, target, {"id": "a"})
        assert (status, answer.json()["error_code"], answer.json()["message"]) == (400, code, message)
    status, answer = inserted(sql, "no object")
    assert (status, answer.json()["error_code"]) == (400, 40000)


def test_many_rows_go_in_at_once(sql):
    stream(sql, "many_rows", 2)
    status, answer = inserted(sql, {"target": "many_rows"}, *({"id": f"k{n}", "n": n} for n in range(20_000)))
    assert [json.loads(line)["seq"] for line in answer.text.splitlines()] == list(range(20_000))
    rows, _ = sql.query("SELECT n FROM many_rows;")
    assert sorted(n for [n] in rows) == list(range(20_000))


def test_a_client_that_does_not_read_acknowledgements_is_not_read_on(sql):
    stream(sql, "unheard")
    before = resident_bytes(sql)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", sql.port))
        client.settimeout(2)
        client.sendall(b'POST /inserts-stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
                       b'16\r\n{"target":"unheard"}\r\n\r\n')
        lines = b"".join(b'{"id":"k","n":%d}\n' % n for n in range(1000))
        chunk = b"%x\r\n%s\r\n" % (len(lines), lines)
        with pytest.raises(TimeoutError):
            for _ in range(2000):
                client.sendall(chunk)
        # What was not taken stays with the client.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert resident_bytes(sql) - before < 200 << 20
    assert sql.query("SELECT n FROM unheard LIMIT 1;")[0] == [[0]]


NO_STATEMENT = [b'{"sql": null}', b'{"sql": "SELECT * FROM s EMIT CHANGES;", "properties": 7}', b'{"queryId": {}}', b'{"target": []}']
MALFORMED = [b"", b"{", b"[]", b"null", b"42", b"\xff\xfe", b'{"ksql": 5}', b'{"ksql": "SELECT"}',
             b'{"ksql": "SELECT * FROM s EMIT CHANGES;", "streamsProperties": []}',
             b'{"ksql": "' + b"(" * 100_000 + b'"}', b"[" * 100_000]


@pytest.mark.parametrize("path", ["/ksql", "/query", "/query-stream", "/close-query", "/inserts-stream"])
def test_malformed_requests_are_refused(sql, path):
    for body in MALFORMED + (NO_STATEMENT if path != "/ksql" else []):
        for content_type in ("application/json", KSQL_JSON, "text/plain"):
            answer = sql.session.post(sql.url + path, data=body, headers={"Content-Type": content_type}, timeout=60)
            assert answer.status_code == 400, (body[:80], answer.text)
            error = answer.json()
            assert error["@type"] in ("generic_error", "statement_error"), (body[:80], error)
            assert error["error_code"] // 100 == 400 and error["message"], (body[:80], error)


def test_queries_wait_for_the_command_that_they_name(sql):
    stream(sql, "awaited")
    [created] = sql.ksql("CREATE STREAM awaited_too (n INT) WITH (kafka_topic='awaited', value_format='JSON');")
    number = created["commandSequenceNumber"]
    body = {"ksql": "SELECT * FROM awaited_too EMIT CHANGES LIMIT 0;", "commandSequenceNumber": number}
    assert sql.post("/query", body).status_code == 200
    answer = sql.post("/query", {**body, "commandSequenceNumber": number + 1000})
    assert (answer.status_code, answer.json()["error_code"]) == (503, 50301)


def test_unknown_members_are_passed_over_and_huge_requests_refused(sql):
    stream(sql, "spacious")
    body = {"ksql": "SELECT * FROM spacious EMIT CHANGES LIMIT 0;", "unknown": {"member": [1]}, "requestProperties": {}}
    assert sql.post("/query", body).status_code == 200
    answer = sql.session.post(f"{sql.url}/ksql", data=b" " * (40 << 20), timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (413, 41300)
    statements = "SHOW STREAMS;" * 1000
    assert len(sql.ksql(statements)) == 1000
    assert sql.get("/query").status_code in (404, 405)


def test_queries_that_begin_and_end_all_the_time(sql, kafka):
    stream(sql, "restless", 2)
    produce(kafka, "restless", [(n % 2, n + 1, "k", {"n": n}) for n in range(100)])
    failures = []

    def ask():
        try:
            with requests.Session() as session:
                for _ in range(10):
                    body = {"ksql": "SELECT n FROM restless EMIT CHANGES LIMIT 100;", "streamsProperties": EARLIEST}
                    answer = session.post(f"{sql.url}/query", json=body, timeout=60).json()
                    assert [line["row"]["columns"][0] for line in answer[1:-1]] == list(range(100))
        except Exception as error:  # noqa: BLE001 - told by the test itself
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    until(lambda: not shown(sql), "nothing is left over")
