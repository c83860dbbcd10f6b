"""Consumer instances of the REST Proxy's API v2: what they read and commit, whom they share with, and who is hard on them."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import librdkafka
from harness.rest import V2, RestProxy, ServerWithRest, b64, embedded, refused
from harness.server import Server
from harness.wait import until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ServerWithRest(tmp_path_factory.mktemp("rest")).start()
    yield server
    assert server.alive(), server.log_tail()
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


@pytest.fixture
def rest(server):
    return server.rest


def test_consumer_instances_are_created_with_every_option(rest, group):
    def create(**options):
        return rest.post(f"/consumers/{group}", options)

    answer = create(**{"name": "a b", "format": "json", "auto.offset.reset": "earliest", "auto.commit.enable": "false",
                       "fetch.min.bytes": "100", "consumer.request.timeout.ms": 2000})
    assert answer.json() == {"instance_id": "a b", "base_uri": f"{rest.url}/consumers/{group}/instances/a%20b"}
    refused(create(name="a b"), 409, 40902)
    generated = create(id="me", **{"auto.commit.enable": True}).json()["instance_id"]
    assert re.fullmatch(r"rest-consumer-me-[0-9a-f-]{36}", generated)
    assert re.fullmatch(r"rest-consumer-[0-9a-f-]{36}", rest.post(f"/consumers/{group}/").json()["instance_id"])
    refused(create(format="xml"), 422, 42204)
    refused(create(**{"auto.offset.reset": "sometimes"}), 422, 42204)
    refused(create(**{"auto.commit.enable": "maybe"}), 422, 42204)
    refused(create(**{"fetch.min.bytes": 10_000_001}), 422, 40001)
    refused(create(**{"fetch.min.bytes": "many"}), 422, 42204)
    refused(create(**{"isolation.level": "read_committed"}), 422, 422)
    refused(rest.post(f"/consumers/{group}", b"{"), 400, 400)
    instance = f"/consumers/{group}/instances/a%20b"
    assert rest.delete(instance + "/").status_code == 204
    refused(rest.delete(instance), 404, 40403, "Consumer instance not found.")
    assert create(name="a b").status_code == 200


@pytest.mark.parametrize(("settings", "begins"), [
    ({}, "http://asked.example:1234"),
    ({"host.name": "proxy.example"}, "http://proxy.example:{port}"),
    ({"host.name": "proxy.example", "advertised.listeners": "https://a.example/kafka/,http://b.example:80"}, "http://b.example:80"),
])
def test_where_an_instance_is_to_be_found(server, tmp_path, group, settings, begins):
    proxy = RestProxy(tmp_path, server.bootstrap, {**settings, "id": "p1"}).start()
    try:
        answer = proxy.session.post(f"{proxy.url}/consumers/{group}", headers={"Host": "asked.example:1234"}).json()
        name = answer["instance_id"]
        assert name.startswith("rest-consumer-p1-")
        assert answer["base_uri"] == f"{begins.format(port=proxy.port)}/consumers/{group}/instances/{name}"
        assert proxy.stop() == 0
    finally:
        proxy.kill()


def test_calls_on_an_instance_that_is_not_there(rest, group):
    path = f"/consumers/{group}/instances/nobody"
    body = {"topics": ["t"]}
    for answer in (rest.post(f"{path}/subscription", body), rest.get(f"{path}/subscription"), rest.delete(f"{path}/subscription"),
                   rest.post(f"{path}/assignments", {"partitions": []}), rest.get(f"{path}/assignments"),
                   rest.get(f"{path}/records", accept=embedded("binary")), rest.post(f"{path}/offsets"),
                   rest.get(f"{path}/offsets", {"partitions": []}), rest.post(f"{path}/positions", {"offsets": []}),
                   rest.post(f"{path}/positions/end", {"partitions": []}), rest.delete(path)):
        refused(answer, 404, 40403)


def test_a_subscription_is_told_replaced_and_ended(server, rest, topic, group):
    other = f"{topic}-other"
    for name in (topic, other):
        rest.produce(name, [{"value": name}])
    instance = rest.consumer(group)
    assert rest.get(f"{instance.uri}/subscription").json() == {"topics": []}
    refused(instance.records(), 409, 40903, "Illegal state: ")
    refused(rest.post(f"{instance.uri}/subscription", {}), 422, 422)
    refused(rest.post(f"{instance.uri}/subscription", {"topics": "a"}), 400, 400)
    refused(rest.post(f"{instance.uri}/subscription", {"topics": [topic], "topic_pattern": "a"}), 409, 40903)
    instance.subscribe(topic)
    assert rest.get(f"{instance.uri}/subscription").json() == {"topics": [topic]}
    assert [record["topic"] for record in instance.read(1)] == [topic]
    assert rest.get(f"{instance.uri}/assignments").json() == {"partitions": [{"topic": topic, "partition": 0}]}
    refused(rest.post(f"{instance.uri}/assignments", {"partitions": [{"topic": topic, "partition": 0}]}), 409, 40903)
    instance.subscribe(other)
    assert [record["topic"] for record in instance.read(1)] == [other]
    assert rest.delete(f"{instance.uri}/subscription").status_code == 204
    assert rest.get(f"{instance.uri}/subscription").json() == {"topics": []}
    refused(instance.records(), 409, 40903)
    instance.assign((topic, 0))
    assert rest.get(f"{instance.uri}/assignments").json() == {"partitions": [{"topic": topic, "partition": 0}]}
    instance.delete()


def test_the_first_read_after_a_subscription_has_records(server, rest, topic, group):
    rest.produce(topic, [{"value": 1}])
    instance = rest.consumer(group).subscribe(topic)
    assert [record["value"] for record in instance.records(timeout=1000).json()] == [1]
    instance.delete()


def test_a_pattern_finds_topics_and_no_internal_ones(server, rest, topic, group):
    for suffix in ("x", "y"):
        rest.produce(f"{topic}.{suffix}", [{"value": suffix}])
    instance = rest.consumer(group)
    refused(rest.post(f"{instance.uri}/subscription", {"topic_pattern": "("}), 422, 422)
    assert rest.post(f"{instance.uri}/subscription", {"topic_pattern": f"{topic}.*"}).status_code == 204
    assert sorted(record["value"] for record in instance.read(2)) == ["x", "y"]
    assert sorted(rest.get(f"{instance.uri}/subscription").json()["topics"]) == [f"{topic}.x", f"{topic}.y"]
    instance.delete()


def test_positions(server, rest, topic, group):
    librdkafka.create_topic(server, topic)
    records = [{"value": number, "timestamp": 1_700_000_000_000 + number * 1000} for number in range(10)]
    rest.produce(topic, records)
    instance = rest.consumer(group).assign((topic, 0))
    at = {"topic": topic, "partition": 0}

    def read():
        return [record["value"] for record in instance.records(timeout=500).json()]

    assert read() == list(range(10))
    assert rest.post(f"{instance.uri}/positions", {"offsets": [{**at, "offset": 7, "metadata": "m"}]}).status_code == 204
    assert read() == [7, 8, 9]
    assert rest.post(f"{instance.uri}/positions/beginning", {"partitions": [at]}).status_code == 204
    assert read()[0] == 0
    assert rest.post(f"{instance.uri}/positions/end", {"partitions": [at]}).status_code == 204
    assert read() == []
    times = {"timestamps": [{**at, "timestamp": "2023-11-14T22:13:25Z"}]}
    assert rest.post(f"{instance.uri}/positions", times).status_code == 204
    assert read() == [5, 6, 7, 8, 9]
    elsewhere = {"partitions": [{"topic": topic, "partition": 1}]}
    refused(rest.post(f"{instance.uri}/positions/end", elsewhere), 409, 40903, f"No current assignment for partition {topic}-1")
    refused(rest.post(f"{instance.uri}/positions", {"offsets": [{**at, "offset": -1}]}), 422, 422)
    refused(rest.post(f"{instance.uri}/positions", {"timestamps": [{**at, "timestamp": "soon"}]}), 400, 400)
    instance.delete()


def test_committed_offsets(server, rest, topic, group):
    rest.produce(topic, [{"value": number} for number in range(10)])
    at = {"topic": topic, "partition": 0}
    instance = rest.consumer(group, **{"auto.commit.enable": "false"}).subscribe(topic)
    assert len(instance.read(10)) == 10
    assert rest.get(f"{instance.uri}/offsets", {"partitions": [at]}).json() == {"offsets": []}
    answer = rest.post(f"{instance.uri}/offsets", {"offsets": [{**at, "offset": 3, "metadata": "mine"}]})
    assert (answer.status_code, answer.json()) == (200, [])
    assert rest.get(f"{instance.uri}/offsets", {"partitions": [at]}).json() == {"offsets": [{**at, "offset": 4, "metadata": "mine"}]}
    instance.delete()
    instance = rest.consumer(group, **{"auto.commit.enable": "false"}).subscribe(topic)
    assert [record["value"] for record in instance.read(6)] == [4, 5, 6, 7, 8, 9]
    assert rest.post(f"{instance.uri}/offsets").status_code == 200
    assert rest.get(f"{instance.uri}/offsets", {"partitions": [at]}).json()["offsets"][0]["offset"] == 10
    rest.produce(topic, [{"value": 10}])
    assert [record["value"] for record in instance.read(1)] == [10]
    assert rest.post(f"{instance.uri}/offsets?async=true").status_code == 200
    until(lambda: rest.get(f"{instance.uri}/offsets", {"partitions": [at]}).json()["offsets"][0]["offset"] == 11, "the commit")
    instance.delete()


def test_automatic_commits_hold_what_was_handed_out_and_no_more(server, rest, topic, group):
    rest.produce(topic, [{"value": number} for number in range(10)])
    instance = rest.consumer(group).subscribe(topic)
    until(lambda: [record["value"] for record in instance.records(max_bytes=3).json()] == [0, 1, 2], "three records")
    instance.delete()
    instance = rest.consumer(group).subscribe(topic)
    assert instance.read(7)[0]["value"] == 3
    instance.delete()


def test_reads_are_limited_by_bytes_and_end_early_when_asked(server, rest, topic, group):
    rest.produce(topic, [{"value": "x" * 98} for _ in range(10)])
    instance = rest.consumer(group, **{"fetch.min.bytes": 1}).subscribe(topic)
    assert len(instance.read(1, max_bytes=250)) == 2
    assert len(instance.records(max_bytes=5).json()) == 1, "one record however small the limit"
    began = time.monotonic()
    assert len(instance.records(timeout=1000).json()) == 7
    assert time.monotonic() - began < 0.8
    instance.delete()
    refused(rest.get(f"/consumers/{group}/instances/x/records?timeout=soon", accept=embedded("binary")), 404, 40403)


def test_the_format_of_the_instance_is_the_one_that_is_asked_for(rest, topic, group):
    instance = rest.consumer(group, "json").subscribe(topic)
    for accept in (embedded("binary"), V2, "application/json", "*/*"):
        refused(rest.get(f"{instance.uri}/records", accept=accept), 406, 40601)
    binary = rest.consumer(group, "binary", name="binary").subscribe(topic)
    for accept in (embedded("binary"), V2, "application/json", "*/*"):
        assert rest.get(f"{binary.uri}/records", accept=accept).status_code == 200
    for one in (instance, binary):
        one.delete()


def test_headers_and_timestamps_come_when_they_are_asked_for(rest, topic, group):
    rest.produce(topic, [{"value": 1, "timestamp": 1_700_000_000_000, "headers": [{"name": "h", "string": "x"}]}])
    instance = rest.consumer(group).subscribe(topic)
    assert instance.read(1, include="headers,timestamp") == [{
        "topic": topic, "key": None, "value": 1, "partition": 0, "offset": 0, "timestamp": 1_700_000_000_000,
        "headers": [{"name": "h", "value": b64(b"x")}]}]
    instance.delete()


def test_one_record_that_is_not_of_the_format_blocks_nobody(server, rest, topic, group):
    librdkafka.produce(server, topic, [b"1", b"not json", b"3"])
    instance = rest.consumer(group).subscribe(topic)
    assert [record["value"] for record in instance.read(1)] == [1]
    refused(instance.records(), 408, 40801, f"topic = {topic}, partition = 0, offset = 1")
    shown, last = instance.read(2)
    assert (shown["offset"], shown["value"], shown["raw_value"], shown["error_code"]) == (1, None, b64(b"not json"), 40801)
    assert last["value"] == 3
    instance.delete()
    librdkafka.produce(server, f"{topic}-a", [b"plain", b"\0\0\x0f\xff\xff\0"])
    avro = rest.consumer(f"{group}-a", "avro").subscribe(f"{topic}-a")
    refused(avro.records(), 408, 40801, "Unknown magic byte")
    assert avro.read(1)[0]["raw_value"] == b64(b"plain")
    refused(avro.records(), 408, 40801)
    avro.delete()


def test_instances_of_a_group_share_its_partitions(server, rest, topic, group):
    librdkafka.create_topic(server, topic, partitions=4)
    first, second = rest.consumer(group).subscribe(topic), rest.consumer(group).subscribe(topic)

    def partitions(instance):
        return {entry["partition"] for entry in rest.get(f"{instance.uri}/assignments").json()["partitions"]}

    # Nobody reads: the instances keep their places by themselves.
    until(lambda: len(partitions(first)) == 2 and len(partitions(second)) == 2, "two partitions each")
    assert partitions(first) | partitions(second) == {0, 1, 2, 3}
    rest.produce(topic, [{"value": number, "partition": number} for number in range(4)])
    read = first.read(2) + second.read(2)
    assert sorted(record["value"] for record in read) == [0, 1, 2, 3]
    second.delete()
    until(lambda: partitions(first) == {0, 1, 2, 3}, "all partitions are the first one's")
    first.delete()


def test_native_and_proxied_members_are_one_group(server, rest, topic, group):
    from confluent_kafka import Consumer
    librdkafka.create_topic(server, topic, partitions=2)
    instance = rest.consumer(group).subscribe(topic)
    native = Consumer({"bootstrap.servers": server.bootstrap, "group.id": group, "auto.offset.reset": "earliest"})
    native.subscribe([topic])

    def one_each():
        native.poll(0.1)
        shown = rest.get(f"{instance.uri}/assignments").json()["partitions"]
        return len(shown) == 1 and len(native.assignment()) == 1

    until(one_each, "one partition each", timeout=60)
    rest.produce(topic, [{"value": number, "partition": number} for number in range(2)])
    (read,) = instance.read(1)
    message = until(lambda: native.poll(0.5), "the other record")
    assert {read["value"], int(message.value())} == {0, 1}
    native.close()
    instance.delete()


def test_the_newer_group_protocol(server, tmp_path, topic, group):
    proxy = RestProxy(tmp_path, server.bootstrap, {"consumer.group.protocol": "consumer"}).start()
    try:
        proxy.produce(topic, [{"value": 1}])
        instance = proxy.consumer(group).subscribe(topic)
        assert [record["value"] for record in instance.read(1)] == [1]
        assert instance.delete().status_code == 204
        assert proxy.stop() == 0
    finally:
        proxy.kill()


def test_topics_that_grow_are_written_and_read_as_a_whole(server, tmp_path, topic, group):
    from confluent_kafka.admin import NewPartitions
    proxy = RestProxy(tmp_path, server.bootstrap, {
        "consumer.metadata.max.age.ms": "500", "consumer.allow.auto.create.topics": "false"}).start()
    try:
        instance = proxy.consumer(group).subscribe(topic)
        assert instance.records().json() == [], "there is no such topic yet"
        librdkafka.create_topic(server, topic)
        assert proxy.produce(topic, [{"value": 0}]).json()["offsets"][0]["partition"] == 0
        assert [record["value"] for record in instance.read(1)] == [0]
        for future in librdkafka.admin(server).create_partitions([NewPartitions(topic, 3)]).values():
            future.result(30)
        assert proxy.produce(topic, [{"value": 2, "partition": 2}]).json()["offsets"][0] == {
            "partition": 2, "offset": 0, "error_code": None, "error": None}
        assert [(record["partition"], record["value"]) for record in instance.read(1)] == [(2, 2)]
        instance.delete()
        assert proxy.stop() == 0
    finally:
        proxy.kill()


def test_a_transaction_that_was_aborted_is_hidden_when_asked(server, tmp_path, topic, group):
    from confluent_kafka import Producer
    librdkafka.create_topic(server, topic)
    producer = Producer({"bootstrap.servers": server.bootstrap, "transactional.id": topic})
    producer.init_transactions(30)
    for value, end in ((b"1", producer.abort_transaction), (b"2", producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(30)
        end(30)
    proxy = RestProxy(tmp_path, server.bootstrap, {"consumer.isolation.level": "read_committed"}).start()
    try:
        committed = proxy.consumer(group, **{"auto.commit.enable": False}).subscribe(topic)
        assert [(record["offset"], record["value"]) for record in committed.read(1)] == [(2, 2)]
        # Behind the last record there is the marker of the commit: the position is behind that.
        assert proxy.post(f"{committed.uri}/offsets").status_code == 200
        at = {"partitions": [{"topic": topic, "partition": 0}]}
        assert proxy.get(f"{committed.uri}/offsets", at).json()["offsets"][0]["offset"] == 4
        committed.delete()
        everything = server.rest.consumer(f"{group}-2").subscribe(topic)
        assert [record["value"] for record in everything.read(2)] == [1, 2]
        everything.delete()
        assert proxy.stop() == 0
    finally:
        proxy.kill()


# --- enemies ----------------------------------------------------------------------------------------------------------


def test_a_client_that_hangs_up_in_a_long_poll_loses_nothing(server, tmp_path, topic, group):
    proxy = RestProxy(tmp_path, server.bootstrap, {"consumer.request.timeout.ms": "30000"}).start()
    try:
        librdkafka.create_topic(server, topic)
        instance = proxy.consumer(group, **{"fetch.min.bytes": 1}).subscribe(topic)
        assert instance.records(timeout=1).json() == []
        path = instance.uri.removeprefix(proxy.url)
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            connection.sendall(f"GET {path}/records?timeout=30000 HTTP/1.1\r\nHost: x\r\nAccept: {embedded('json')}\r\n\r\n".encode())
            # The next call has to wait for this one: it is under way when the other does not come back.
            with ThreadPoolExecutor(1) as pool:
                behind = pool.submit(instance.records, timeout=10000)
                time.sleep(0.5)
                assert not behind.done()
                connection.close()
                proxy.produce(topic, [{"value": 1}])
                assert [record["value"] for record in behind.result(30).json()] == [1]
        assert proxy.stop() == 0
    finally:
        proxy.kill()


def test_a_deletion_does_not_wait_for_a_long_poll(server, tmp_path, topic, group):
    proxy = RestProxy(tmp_path, server.bootstrap, {"consumer.request.timeout.ms": "30000"}).start()
    try:
        instance = proxy.consumer(group).subscribe(topic)
        assert instance.records(timeout=1).json() == []
        with ThreadPoolExecutor(1) as pool:
            polling = pool.submit(RestProxy.get, proxy, f"{instance.uri}/records", accept=embedded("json"))
            time.sleep(0.5)
            began = time.monotonic()
            assert proxy.delete(instance.uri).status_code == 204
            refused(polling.result(10), 404, 40403)
            assert time.monotonic() - began < 5
        assert proxy.stop() == 0
    finally:
        proxy.kill()


def test_instances_that_nobody_asks_for_end(server, tmp_path, topic, group):
    proxy = RestProxy(tmp_path, server.bootstrap, {"consumer.instance.timeout.ms": "1500"}).start()
    try:
        proxy.produce(topic, [{"value": 1}])
        idle, busy = proxy.consumer(group).subscribe(topic), proxy.consumer(group).subscribe(topic)

        def idle_is_gone():
            assert proxy.get(f"{busy.uri}/subscription").status_code == 200
            return idle_answer().status_code == 404

        def idle_answer():
            # Asking it would keep it alive: look at the group instead.
            members = describe(server, group)
            return proxy.get(f"{idle.uri}/subscription") if members == 1 else type("Answer", (), {"status_code": 200})

        until(idle_is_gone, "the idle instance has left its group", timeout=30, poll=0.2)
        refused(idle.records(), 404, 40403)
        busy.delete()
        assert proxy.stop() == 0
    finally:
        proxy.kill()


def describe(server, group):
    """How many members the group has."""
    description = librdkafka.admin(server).describe_consumer_groups([group])[group].result(30)
    return len(description.members)


def test_a_thousand_instances(server, rest, topic, group):
    rest.produce(topic, [{"value": number} for number in range(3)])
    before = server.resident_bytes()

    def one(number):
        instance = rest.consumer(f"{group}-{number}", name="i").subscribe(topic)
        return instance

    with ThreadPoolExecutor(8) as pool:
        instances = list(pool.map(one, range(1000)))
    assert [record["value"] for record in instances[0].read(3)] == [0, 1, 2]
    assert [record["value"] for record in instances[999].read(3)] == [0, 1, 2]
    grown = (server.resident_bytes() - before) / 1000
    assert grown < 300_000, f"{grown:.0f} bytes an instance"
    with ThreadPoolExecutor(16) as pool:
        assert {answer.status_code for answer in pool.map(lambda instance: instance.delete(), instances)} == {204}


def test_many_calls_on_one_instance_are_done_one_after_the_other(rest, topic, group):
    rest.produce(topic, [{"value": number} for number in range(200)])
    instance = rest.consumer(group, **{"fetch.min.bytes": 1}).subscribe(topic)
    instance.records(max_bytes=1)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: instance.records(max_bytes=20, timeout=200), range(40)))
    assert {answer.status_code for answer in answers} == {200}
    values = [record["value"] for answer in answers for record in answer.json()]
    assert len(values) == len(set(values)), "no record twice"
    instance.delete()


def test_a_broker_that_goes_and_comes_back(tmp_path, topic, group):
    server = Server(tmp_path / "broker")
    proxy = RestProxy(tmp_path / "proxy", server.bootstrap).start()
    try:
        refused(proxy.get("/topics", timeout=30), 503, 50302)
        instance = proxy.consumer(group).subscribe(topic)
        server.start()
        until(lambda: proxy.get("/topics").status_code == 200, "Kafka is reached")
        assert proxy.produce(topic, [{"value": 1}]).json()["offsets"][0]["offset"] == 0
        assert [record["value"] for record in instance.read(1)] == [1]
        server.kill()
        server.start()
        answer = until(lambda: (answer := proxy.produce(topic, [{"value": 2}])).status_code == 200 and answer, "records again")
        assert answer.json()["offsets"][0]["error_code"] is None
        assert [record["value"] for record in instance.read(1, timeout=60)][-1] == 2
        instance.delete()
        assert proxy.stop() == 0 and "panicked" not in proxy.log()
    finally:
        proxy.kill()
        server.kill()


def test_a_slow_reader_holds_up_nobody(server, rest, topic, group):
    librdkafka.create_topic(server, topic)
    librdkafka.produce(server, topic, [bytes(900_000) for _ in range(20)])
    slow, quick = (rest.consumer(f"{group}-{name}", "binary").subscribe(topic) for name in ("slow", "quick"))
    path = slow.uri.removeprefix(rest.url)
    with socket.create_connection(("127.0.0.1", rest.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET {path}/records HTTP/1.1\r\nHost: x\r\nAccept: {embedded('binary')}\r\n\r\n".encode())
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        assert len(quick.read(20)) == 20
        # Its answer was handed over: the instance goes on behind it.
        assert rest.get(f"{slow.uri}/subscription").json() == {"topics": [topic]}
    for instance in (slow, quick):
        instance.delete()
