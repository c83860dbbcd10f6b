"""API v3 of the REST Proxy: clusters, topics, configs, groups, ACLs, and records one by one, in batches and as a stream."""

import base64
import datetime
import json
import socket
import time
import urllib.parse

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer
from harness.librdkafka import create_topic, produce, read
from harness.rest import ServerWithRest
from harness.rest_stream import Stream
from harness.wait import until

JSON = "application/json"


class V3:
    """Requests below the cluster of one proxy."""

    def __init__(self, rest):
        self.rest = rest
        [cluster] = rest.get("/v3/clusters").json()["data"]
        self.cluster_id = cluster["cluster_id"]
        self.path = f"/v3/clusters/{self.cluster_id}"
        self.url = rest.url + self.path

    def send(self, method, path, body=None, **options):
        return self.rest.send(method, self.path + path, body, content=JSON, **options)

    def get(self, path, **options):
        return self.send("GET", path, **options)

    def post(self, path, body, **options):
        return self.send("POST", path, body, **options)

    def data(self, path):
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def stream(self, topic):
        return Stream(self.rest.port, f"{self.path}/topics/{topic}/records")

    def write(self, topic, **record):
        return self.post(f"/topics/{topic}/records", record).json()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    overrides = {"offsets.topic.num.partitions": 2, "authorizer.class.name":
                 "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found": "true"}
    server = ServerWithRest(tmp_path_factory.mktemp("kafka"), overrides).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log()


@pytest.fixture(scope="module")
def v3(server):
    return V3(server.rest)


def text(value):
    return {"type": "STRING", "data": value}


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    return answer.json()["message"]


def test_the_cluster_links_to_everything_in_it(v3):
    cluster = v3.get("").json()
    assert cluster["kind"] == "KafkaCluster" and cluster["cluster_id"] == v3.cluster_id
    assert cluster["metadata"] == {"self": v3.url, "resource_name": f"crn:///kafka={v3.cluster_id}"}
    links = ["controller", "acls", "brokers", "broker_configs", "consumer_groups", "topics", "partition_reassignments"]
    for link in links:
        assert v3.rest.get(cluster[link]["related"]).status_code == 200, link
    missing = v3.rest.get("/v3/clusters/nowhere/topics")
    assert refused(missing, 404, 404) == "Not Found: Cluster nowhere cannot be found."


def test_brokers_their_configs_and_replicas(v3):
    [broker] = v3.data("/brokers")
    assert broker["kind"] == "KafkaBroker" and broker["metadata"]["resource_name"].endswith(f"/broker={broker['broker_id']}")
    path = f"/brokers/{broker['broker_id']}"
    assert v3.get(path).json() == broker
    configs = {config["name"]: config for config in v3.data(f"{path}/configs")}
    assert configs["node.id"]["is_read_only"] and configs["node.id"]["broker_id"] == broker["broker_id"]
    assert v3.get(f"{path}/configs/log.cleaner.threads").json()["kind"] == "KafkaBrokerConfig"
    assert len(v3.data("/brokers/-/configs")) == len(configs)
    assert v3.send("PUT", f"{path}/configs/log.cleaner.threads", {"value": "2"}).status_code == 204
    changed = v3.get(f"{path}/configs/log.cleaner.threads").json()
    assert (changed["value"], changed["source"], changed["is_default"]) == ("2", "DYNAMIC_BROKER_CONFIG", False)
    assert v3.send("DELETE", f"{path}/configs/log.cleaner.threads").status_code == 204
    assert refused(v3.get("/brokers/99"), 404, 404) == "Not Found: Broker 99 cannot be found."
    assert refused(v3.get(f"{path}/configs/no.such.key"), 404, 404)
    assert refused(v3.get("/brokers/one"), 404, 404)
    assert all(replica["broker_id"] == broker["broker_id"] for replica in v3.data(f"{path}/partition-replicas"))


def test_configs_of_all_brokers(v3):
    alter = {"data": [{"name": "log.cleaner.threads", "value": "3"}], "validate_only": True}
    assert v3.post("/broker-configs:alter", alter).status_code == 204
    assert refused(v3.get("/broker-configs/log.cleaner.threads"), 404, 404)
    assert v3.post("/broker-configs:alter", {**alter, "validate_only": False}).status_code == 204
    found = v3.get("/broker-configs/log.cleaner.threads").json()
    assert (found["kind"], found["config_type"], found["value"]) == ("KafkaClusterConfig", "BROKER", "3")
    assert found["source"] == "DYNAMIC_DEFAULT_BROKER_CONFIG"
    assert v3.send("DELETE", "/broker-configs/log.cleaner.threads").status_code == 204
    assert "log.cleaner.threads" not in [config["name"] for config in v3.data("/broker-configs")]


def test_a_topic_from_its_creation_to_its_end(v3):
    new = {"topic_name": "life", "partitions_count": 2, "replication_factor": 1,
           "configs": [{"name": "cleanup.policy", "value": "compact"}]}
    dry = v3.post("/topics", {**new, "validate_only": True})
    assert (dry.status_code, dry.json()["partitions_count"]) == (200, 2)
    assert refused(v3.get("/topics/life"), 404, 40403) == "This server does not host this topic-partition."
    made = v3.post("/topics", new)
    assert made.status_code == 201 and made.headers["Location"] == f"{v3.url}/topics/life"
    topic = made.json()
    assert (topic["kind"], topic["is_internal"], topic["replication_factor"], topic["partitions_count"]) == (
        "KafkaTopic", False, 1, 2)
    assert topic["metadata"]["resource_name"] == f"crn:///kafka={v3.cluster_id}/topic=life"
    refused(v3.post("/topics", new), 400, 40002)
    assert v3.get("/topics/life").json() == topic and topic in v3.data("/topics")
    grown = v3.send("PATCH", "/topics/life", {"partitions_count": 3})
    assert (grown.status_code, grown.json()["partitions_count"]) == (200, 3)
    refused(v3.send("PATCH", "/topics/life", {"partitions_count": 1}), 400, 40002)
    refused(v3.send("PATCH", "/topics/life", {}), 422, 422)
    assert v3.write("life", partition_id=2, key=text("k"), value=text("v"))["partition_id"] == 2
    allowed = v3.get("/topics/life?include_authorized_operations=true").json()["authorized_operations"]
    assert "READ" in allowed and "DELETE" in allowed
    assert v3.send("DELETE", "/topics/life").status_code == 204
    refused(v3.get("/topics/life"), 404, 40403)
    refused(v3.send("DELETE", "/topics/life"), 404, 40403)


def test_bad_topics_are_refused_with_the_brokers_reasons(v3):
    assert "bad/name" in refused(v3.post("/topics", {"topic_name": "bad/name"}), 400, 40002)
    refused(v3.post("/topics", {"topic_name": "t", "replication_factor": 3}), 400, 40002)
    refused(v3.post("/topics", {"topic_name": "t", "partitions_count": 0}), 400, 40002)
    refused(v3.post("/topics", {"topic_name": "t", "configs": [{"name": "no.such", "value": "1"}]}), 400, 40002)
    refused(v3.post("/topics", {"partitions_count": 1}), 422, 422)
    refused(v3.post("/topics", b"null"), 422, 422)
    refused(v3.post("/topics", b"{"), 400, 400)
    refused(v3.post("/topics", {"topic_name": 7}), 400, 400)


def test_configs_of_topics_one_by_one_and_many_at_once(server, v3):
    for name in ["conf-a", "conf-b"]:
        create_topic(server, name)
    path = "/topics/conf-a/configs"
    found = v3.get(f"{path}/retention.ms").json()
    assert (found["kind"], found["topic_name"], found["is_default"], found["source"]) == (
        "KafkaTopicConfig", "conf-a", True, "DEFAULT_CONFIG")
    assert found["metadata"]["resource_name"].endswith("/topic=conf-a/config=retention.ms")
    assert v3.send("PUT", f"{path}/retention.ms", {"value": "1000"}).status_code == 204
    changed = v3.get(f"{path}/retention.ms").json()
    assert (changed["value"], changed["source"]) == ("1000", "DYNAMIC_TOPIC_CONFIG")
    assert [synonym["source"] for synonym in changed["synonyms"]][0] == "DYNAMIC_TOPIC_CONFIG"
    refused(v3.send("PUT", f"{path}/retention.ms", {"value": "soon"}), 400, 40002)
    refused(v3.send("PUT", f"{path}/retention.ms", {}), 422, 422)
    refused(v3.send("PUT", f"{path}/no.such.key", {"value": "1"}), 404, 404)
    both = {"data": [{"name": "retention.ms", "operation": "DELETE"}, {"name": "cleanup.policy", "value": "nonsense"}]}
    refused(v3.post(f"{path}:alter", both), 400, 40002)
    assert v3.get(f"{path}/retention.ms").json()["value"] == "1000", "all or nothing"
    both["data"][1]["value"] = "compact"
    assert v3.post(f"{path}:alter", both).status_code == 204
    assert v3.get(f"{path}/retention.ms").json()["is_default"]
    many = {"data": [{"topic_name": name, "configs": [{"name": "max.message.bytes", "value": "2000"}]}
                     for name in ["conf-a", "conf-b"]]}
    assert v3.post("/topics/-/configs:alter", {**many, "validate_only": True}).status_code == 204
    values = lambda: {config["topic_name"]: config["value"] for config in v3.data("/topics/-/configs")
                      if config["name"] == "max.message.bytes" and config["topic_name"].startswith("conf-")}
    assert set(values().values()) != {"2000"}
    assert v3.post("/topics/-/configs:alter", many).status_code == 204
    assert values() == {"conf-a": "2000", "conf-b": "2000"}
    refused(v3.get("/topics/missing/configs"), 404, 40403)


def test_partitions_with_offsets_and_replicas(server, v3):
    create_topic(server, "parts", partitions=2)
    produce(server, "parts", [b"a", b"b"], partition=1)
    first, second = v3.data("/topics/parts/partitions")
    assert (first["partition_id"], second["partition_id"]) == (0, 1)
    leader = v3.rest.get(second["leader"]["related"]).json()
    assert leader["kind"] == "KafkaReplica" and leader["is_leader"] and leader["is_in_sync"]
    assert v3.data("/topics/parts/partitions/1/replicas") == [leader]
    offsets = v3.get("/topics/parts/partitions/1/offset?offset_type=earliest_and_latest").json()
    assert (offsets["kind"], offsets["earliest_offset"], offsets["latest_offset"]) == ("KafkaPartitionWithOffsets", 0, 2)
    assert v3.data("/topics/parts/partitions/-/reassignment") == v3.data("/topics/-/partitions/-/reassignment") == []
    refused(v3.get("/topics/parts/partitions/1/reassignment"), 404, 404)
    refused(v3.get("/topics/parts/partitions/7"), 404, 404)
    refused(v3.get("/topics/parts/partitions/0/replicas/99"), 404, 404)


def test_a_group_with_its_members_assignments_and_lags(server, v3):
    create_topic(server, "lagging", partitions=2)
    produce(server, "lagging", [b"1", b"2", b"3"], partition=0)
    produce(server, "lagging", [b"4"], partition=1)
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "readers", "client.id": "one",
                         "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe(["lagging"])
    try:
        record = until(lambda: consumer.poll(0.1), "a record", timeout=20)
        consumer.commit(record, asynchronous=False)
        group = v3.get("/consumer-groups/readers").json()
        assert (group["kind"], group["state"], group["type"], group["is_simple"], group["partition_assignor"]) == (
            "KafkaConsumerGroup", "STABLE", "CLASSIC", False, "range")
        assert group in v3.data("/consumer-groups")
        assert v3.rest.get(group["coordinator"]["related"]).json()["kind"] == "KafkaBroker"
        [member] = v3.rest.get(group["consumers"]["related"]).json()["data"]
        assert member["client_id"] == "one" and member["instance_id"] is None
        assert v3.rest.get(member["metadata"]["self"]).json() == member
        assigned = v3.rest.get(member["assignments"]["related"]).json()["data"]
        assert [(one["topic_name"], one["partition_id"]) for one in assigned] == [("lagging", 0), ("lagging", 1)]
        assert v3.rest.get(assigned[0]["metadata"]["self"]).json() == assigned[0]
        [lag] = v3.data("/consumer-groups/readers/lags")
        ends = {0: 3, 1: 1}
        expected = ends[record.partition()] - record.offset() - 1
        assert (lag["partition_id"], lag["current_offset"], lag["lag"], lag["client_id"]) == (
            record.partition(), record.offset() + 1, expected, "one")
        assert v3.rest.get(lag["metadata"]["self"]).json() == lag
        summary = v3.rest.get(group["lag_summary"]["related"]).json()
        assert (summary["kind"], summary["max_lag"], summary["total_lag"]) == (
            "KafkaConsumerGroupLagSummary", expected, expected)
        assert summary["max_lag_consumer_id"] == member["consumer_id"]
    finally:
        consumer.close()
    refused(v3.get("/consumer-groups/nobody"), 404, 40405)
    refused(v3.get("/consumer-groups/readers/consumers/nobody"), 404, 404)


def test_acls_are_created_found_and_deleted(v3):
    acl = {"resource_type": "TOPIC", "resource_name": "secret/ä", "pattern_type": "PREFIXED", "principal": "User:bob",
           "host": "*", "operation": "READ", "permission": "ALLOW"}
    made = v3.post("/acls", acl)
    assert made.status_code == 201 and made.content == b""
    [found] = v3.rest.get(made.headers["Location"]).json()["data"]
    assert found["kind"] == "KafkaAcl" and {name: found[name] for name in acl} == acl
    others = [{**acl, "operation": operation} for operation in ["WRITE", "DESCRIBE"]]
    assert v3.post("/acls:batch", {"data": others}).status_code == 201
    assert len(v3.data("/acls?principal=User:bob")) == 3
    assert len(v3.data("/acls?operation=write&resource_type=topic")) == 1
    assert refused(v3.send("DELETE", "/acls?resource_type=TOPIC"), 400, 400) == "Bad Request: pattern_type is required"
    wanted = urllib.parse.urlencode({"resource_type": "TOPIC", "pattern_type": "PREFIXED", "operation": "ANY",
                                     "permission": "ANY", "principal": "User:bob"})
    deleted = v3.send("DELETE", f"/acls?{wanted}")
    assert deleted.status_code == 200 and len(deleted.json()["data"]) == 3
    assert v3.data("/acls?principal=User:bob") == []
    refused(v3.post("/acls", {**acl, "operation": "FLY"}), 400, 400)
    refused(v3.post("/acls", {**acl, "pattern_type": "MATCH"}), 400, 400)
    refused(v3.post("/acls", {**acl, "host": None}), 422, 422)


def test_a_record_is_written_as_told_and_the_answer_says_where(server, v3):
    create_topic(server, "single", partitions=2)
    answer = v3.write("single", partition_id=1, key=text("k"), value={"type": "JSON", "data": {"a": [1, None]}},
                      headers=[{"name": "h", "value": base64.b64encode(b"\x00\xff").decode()}, {"name": "n"}],
                      timestamp="2026-01-01T00:00:00.500Z")
    assert answer == {"error_code": 200, "cluster_id": v3.cluster_id, "topic_name": "single", "partition_id": 1, "offset": 0,
                      "timestamp": "2026-01-01T00:00:00.500Z", "key": {"type": "STRING", "size": 1},
                      "value": {"type": "JSON", "size": 14}}
    [record] = read(server, "single", partition=1)
    assert (record.key(), record.value()) == (b"k", b'{"a":[1,null]}')
    assert record.headers() == [("h", b"\x00\xff"), ("n", None)] and record.timestamp()[1] == 1767225600500
    assert "key" not in v3.write("single", value={"type": "BINARY", "data": "AAE="})
    assert v3.write("single")["error_code"] == 200, "a record of nothing but nulls"


def test_bad_records_are_answered_with_their_code(server, v3):
    create_topic(server, "bad")
    code = lambda **record: v3.write("bad", **record)["error_code"]
    assert code(value={"type": "BINARY", "data": 1}) == 400
    assert v3.write("bad", value={"type": "BINARY", "data": 1})["message"] == "Bad Request: data=1 is not a base64 string."
    assert code(value={"type": "AVRO", "data": 1}) == 400
    assert code(value={"type": "STRING", "data": "x", "schema_id": 1}) == 400
    assert code(partition_id=-1, value=text("x")) == 40402
    assert code(partition_id=9, value=text("x")) == 40402
    assert code(value=text("x"), timestamp="yesterday") == 400
    assert code(value=text("x" * 2_000_000)) == 413
    records = "/topics/bad/records"
    assert refused(v3.post(records, b""), 422, 42206) == "Payload error. Null input provided. Data is required."
    refused(v3.post(records, b"{]"), 400, 400)
    refused(v3.post(records, b"[]"), 400, 400)
    refused(v3.rest.post(v3.path + records, b"{}", content="text/plain"), 415, 415)
    assert read(server, "bad") == []


SCHEMA = {"type": "record", "name": "account", "fields": [{"name": "balance", "type": "int"}]}


def test_records_with_schemas_are_checked_and_told_by_subject_and_id(server, v3):
    create_topic(server, "money")
    first = v3.write("money", value={"type": "AVRO", "schema": json.dumps(SCHEMA), "data": {"balance": 7}})
    assert first["error_code"] == 200, first
    told = first["value"]
    assert (told["type"], told["subject"], told["schema_version"]) == ("AVRO", "money-value", 1)
    for choice in [{"schema_id": told["schema_id"]}, {"schema_version": 1}, {}, {"subject": "money-value"}]:
        again = v3.write("money", value={**choice, "data": {"balance": 7}})
        assert again["error_code"] == 200 and again["value"]["schema_id"] == told["schema_id"], (choice, again)
    wrong = v3.write("money", value={"schema_version": 1, "data": {"balance": "much"}})
    assert wrong["error_code"] in (400, 422) and "balance" in wrong["message"], wrong
    unknown = v3.write("money", value={"schema_id": 99999, "data": {"balance": 1}})
    assert unknown["error_code"] != 200, unknown
    values = {record.value() for record in read(server, "money")}
    assert values == {b"\x00" + told["schema_id"].to_bytes(4, "big") + b"\x0e"}


def test_a_batch_tells_what_was_written_and_what_was_not(server, v3):
    create_topic(server, "batch")
    entry = lambda id, **record: {"id": id, **record}
    answer = v3.post("/topics/batch/records:batch", {"entries": [
        entry("a", value=text("1")), entry("b", value={"type": "BINARY", "data": "?"}), entry("c", value=text("2"))]})
    assert answer.status_code == 207
    assert [(one["id"], one["offset"]) for one in answer.json()["successes"]] == [("a", 0), ("c", 1)]
    [failure] = answer.json()["failures"]
    assert (failure["id"], failure["error_code"]) == ("b", 400)
    for entries, message in [([], "Empty batch."), ([entry("a")] * 2, "Batch entry IDs are not distinct."),
                             ([entry(str(number)) for number in range(11)], "Too many entries in batch.")]:
        assert refused(v3.post("/topics/batch/records:batch", {"entries": entries}), 422, 42208) == message
    assert len(read(server, "batch")) == 2


def test_a_stream_is_answered_while_it_is_written(server, v3):
    create_topic(server, "stream")
    stream = v3.stream("stream")
    for number in range(3):
        stream.send({"value": text(f"one {number}")})
        answer = stream.answer()
        assert (answer["error_code"], answer["offset"]) == (200, number)
    stream.send({"value": text("x")}, {"value": {"type": "BINARY", "data": 1}}, {"partition_id": "no"}, {"value": text("y")})
    assert [stream.answer()["error_code"] for _ in range(4)] == [200, 400, 400, 200]
    half = json.dumps({"value": text("halves")})
    stream.send_bytes(half[:9].encode())
    stream.send_bytes(half[9:].encode())
    assert stream.answer()["offset"] == 5
    stream.end()
    assert stream.answer() is None
    assert [record.value() for record in read(server, "stream")][-1] == b"halves"


def test_what_is_not_json_ends_a_stream(server, v3):
    create_topic(server, "broken")
    stream = v3.stream("broken")
    stream.send({"value": text("good")}, '{"value": nonsense}', {"value": text("never")})
    stream.end()
    assert [answer["error_code"] for answer in stream.rest()] == [200, 400]
    assert len(read(server, "broken")) == 1


def test_a_client_may_write_everything_before_it_reads(server, v3):
    create_topic(server, "eager", partitions=3)
    count = 20_000
    line = json.dumps({"value": text("x" * 50)}) + "\n"
    stream = v3.stream("eager")
    for _ in range(count // 1000):
        stream.send_bytes((line * 1000).encode())
    stream.end()
    answers = stream.rest()
    assert len(answers) == count and all(answer["error_code"] == 200 for answer in answers)
    places = {(answer["partition_id"], answer["offset"]) for answer in answers}
    assert len(places) == count
    assert sum(len(read(server, "eager", partition=partition)) for partition in range(3)) == count


def test_a_client_that_vanishes_leaves_its_records_and_nothing_else(server, v3):
    create_topic(server, "gone")
    stream = v3.stream("gone")
    stream.send({"value": text("there")})
    assert stream.answer()["offset"] == 0
    stream.send({"value": text("on its way")})
    stream.close()
    until(lambda: len(read(server, "gone")) == 2, "both records are there")
    assert v3.write("gone", value=text("after"))["offset"] == 2


def test_a_client_that_reads_no_answers_is_held_up_and_nobody_else(server, v3):
    create_topic(server, "unread")
    # Answers repeat what was wrong, cut off; each record costs the proxy about as much as it cost the client.
    bad = [{"value": text("x"), "timestamp": "y" * 3000}] * 50
    line = "".join(json.dumps(record) + "\n" for record in [{"value": text("good")}, *bad]).encode()
    before = server.resident_bytes()
    stream = v3.stream("unread")
    stream.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stream.connection.sock.settimeout(3)
    with pytest.raises(TimeoutError):
        for _ in range(3000):
            stream.send_bytes(line)
    for number in range(20):
        begun = time.monotonic()
        assert v3.write("unread-beside", value=text(str(number)))["offset"] == number
        assert time.monotonic() - begun < 2
    assert server.resident_bytes() - before < 192 * 1024 * 1024
    stream.close()
    lively = v3.stream("unread")
    lively.send({"value": text("after")})
    assert lively.answer()["error_code"] == 200
    lively.end()
    assert lively.answer() is None


def test_where_the_broker_sets_the_time_the_answer_tells_the_brokers(server, v3):
    create_topic(server, "stamped", config={"message.timestamp.type": "LogAppendTime"})
    long_ago = "2001-02-03T04:05:06.789Z"
    told = v3.write("stamped", value=text("x"), timestamp=long_ago)
    batch = v3.post("/topics/stamped/records:batch", {"entries": [{"id": "a", "value": text("y"), "timestamp": long_ago}]})
    stored = [record.timestamp() for record in read(server, "stamped")]
    answered = [told["timestamp"], batch.json()["successes"][0]["timestamp"]]
    assert [(TIMESTAMP_LOG_APPEND_TIME, millis(time)) for time in answered] == stored
    create_topic(server, "as-sent")
    assert v3.write("as-sent", value=text("x"), timestamp=long_ago)["timestamp"] == long_ago


def millis(iso):
    return round(datetime.datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp() * 1000)


def test_media_types_methods_and_paths(v3):
    refused(v3.get("/topics", accept="text/html"), 406, 406)
    assert refused(v3.get("/nothing"), 404, 404) == "HTTP 404 Not Found"
    answer = v3.send("PUT", "/topics", {})
    assert refused(answer, 405, 405) and "POST" in answer.headers["Allow"]
    assert v3.get("/topics/").status_code == 200
    assert v3.get("/topics").headers["Content-Type"] == JSON


def test_the_openapi_document_tells_of_every_path(v3):
    document = v3.rest.get("/openapi.json").json()
    assert document["openapi"].startswith("3.0")
    assert "post" in document["paths"]["/v3/clusters/{cluster_id}/topics/{topic_name}/records"]
    assert "get" in document["paths"]["/consumers/{group}/instances/{instance}/records"], sorted(document["paths"])
