"""Several registries over one topic, crashes, and topics that others have written or configured."""

import concurrent.futures
import http.client
import json
import subprocess
import threading
import time

import pytest
from harness import apache, librdkafka, paths
from harness.registry import Registry, ServerWithRegistry
from harness.wait import until

INT, STRING = '"int"', '"string"'


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A broker with a registry of its own, which the module's other registries join."""
    server = ServerWithRegistry(tmp_path_factory.mktemp("kafka"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()
    assert "panicked" not in server.log(), server.log_tail()


@pytest.fixture
def new_registry(tmp_path):
    made = []

    def make(kafka, overrides=None, **options):
        registry = Registry(tmp_path / f"registry{len(made)}", kafka.bootstrap, overrides, **options)
        made.append(registry)
        return registry

    yield make
    for registry in made:
        registry.kill()
        assert "panicked" not in registry.log()


def own_topic(name):
    """Registries that share nothing with those of other tests."""
    return {"kafkastore.topic": f"_schemas_{name}", "schema.registry.group.id": f"registries-{name}"}


def test_two_instances_give_one_id_and_leave_no_gap(server, new_registry):
    beside, alone = server.registry, new_registry(server).start()
    for client in (beside, alone):
        client.put("/config/race", {"compatibility": "NONE"}).ok()
    schemas = [{"type": "fixed", "name": f"F{number}", "size": 4} for number in range(12)]

    def register(number):
        client = (beside, alone)[number % 2]
        answer = client.register("race", schemas[number // 4]).ok()
        return number // 4, answer["id"], answer["version"]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(register, range(len(schemas) * 4)))
    assert len(seen) == len(schemas), f"one id and one version a schema: {sorted(seen)}"
    assert sorted(version for _, _, version in seen) == list(range(1, len(schemas) + 1))
    ids = sorted(identity for _, identity, _ in seen)
    assert ids == list(range(ids[0], ids[0] + len(schemas)))
    for client in (beside, alone):
        until(lambda client=client: client.get("/subjects/race/versions").ok() == list(range(1, 13)),
              "both show every version")


def test_writes_of_a_follower_reach_the_leader_and_another_takes_over(server, new_registry):
    first = new_registry(server, own_topic("takeover")).start()
    assert first.register("s", INT).ok()["id"] == 1
    second = new_registry(server, own_topic("takeover")).start()
    assert second.register("s", '"long"').ok()["version"] == 2
    assert second.get("/subjects/s/versions").ok() == [1, 2], "what was written through it is seen at once"
    refused = second.register("s", STRING)
    assert (refused.status, refused.code) == (409, 40901)
    assert second.delete("/subjects/missing").code == 40401
    assert first.stop() == 0
    answer = until(lambda: (answer := second.register("s", '"float"')).status == 200 and answer, "the other leads now")
    assert answer.json["version"] == 3


def test_a_killed_leader_is_replaced(server, new_registry):
    first = new_registry(server, own_topic("killed")).start()
    first.register("s", INT).ok()
    second = new_registry(server, own_topic("killed")).start()
    second.register("s", '"long"').ok()
    first.kill()
    answer = until(lambda: (answer := second.register("s", '"float"')).status == 200 and answer,
                   "the session of the killed one ends", timeout=40, poll=0.5)
    assert answer.json["version"] == 3


def test_of_competing_schemas_one_wins(server, new_registry):
    beside, alone = server.registry, new_registry(server).start()
    schemas = ['"int"', '"string"', '"boolean"', '{"type":"array","items":"int"}', '{"type":"map","values":"int"}',
               '{"type":"fixed","name":"F","size":4}', '{"type":"enum","name":"E","symbols":["A"]}', '"null"']
    start = threading.Barrier(len(schemas))

    def register(number):
        start.wait(timeout=10)
        return (beside, alone)[number % 2].register("competing", schemas[number])

    with concurrent.futures.ThreadPoolExecutor(len(schemas)) as pool:
        answers = list(pool.map(register, range(len(schemas))))
    assert sorted(answer.status for answer in answers) == [200] + [409] * (len(schemas) - 1)
    winner = next(answer.json for answer in answers if answer.status == 200)
    assert winner["version"] == 1
    for client in (beside, alone):
        assert client.get("/subjects/competing/versions").ok() == [1]
        assert client.get("/subjects/competing/versions/latest").ok()["schema"] == winner["schema"]


def test_versions_have_no_gap_and_ids_no_double_when_the_leader_is_killed_under_load(server, new_registry):
    first = new_registry(server, own_topic("load")).start()
    first.put("/config", {"compatibility": "NONE"}).ok()
    second = new_registry(server, own_topic("load")).start()
    acknowledged, stop = {}, threading.Event()

    def register(worker):
        for number in range(100_000):
            if stop.is_set():
                return
            name = f"F{worker}x{number}"
            for client in ((first, second)[worker % 2], second):
                try:
                    answer = client.register("load", {"type": "fixed", "name": name, "size": 1})
                except (OSError, http.client.HTTPException):
                    continue
                if answer.status == 200:
                    acknowledged[name] = answer.json["version"], answer.json["id"]
                    break
            else:
                stop.wait(0.05)

    workers = [threading.Thread(target=register, args=(worker,)) for worker in range(4)]
    for worker in workers:
        worker.start()
    try:
        until(lambda: len(acknowledged) > 30, "schemas are registered through both")
        first.kill()
        before = len(acknowledged)
        until(lambda: len(acknowledged) > before + 30, "the other leads", timeout=60)
    finally:
        stop.set()
        for worker in workers:
            worker.join(timeout=60)
    versions = second.get("/subjects/load/versions").ok()
    assert versions == list(range(1, len(versions) + 1))
    stored = {}
    for version in versions:
        schema = second.get(f"/subjects/load/versions/{version}").ok()
        stored[json.loads(schema["schema"])["name"]] = schema["version"], schema["id"]
    assert len(stored) == len(versions), "a schema has two versions"
    assert len({identity for _, identity in stored.values()}) == len(versions), "an id was given twice"
    assert {name: stored.get(name) for name in acknowledged} == acknowledged


def test_an_instance_that_may_not_lead_says_so(server, new_registry):
    registry = new_registry(server, {**own_topic("ineligible"), "leader.eligibility": "false",
                                     "kafkastore.timeout.ms": "5000"}).start()
    refused = registry.register("s", INT)
    assert (refused.status, refused.code) == (500, 50004)
    assert registry.get("/subjects").ok() == []


def test_kill_9_loses_no_acknowledged_schema(new_server, tmp_path):
    server = ServerWithRegistry(tmp_path / "crash").start()
    acknowledged, stop = {}, threading.Event()

    def register(worker):
        for number in range(100_000):
            name = f"s{worker}-{number}"
            try:
                answer = server.registry.register(name, {"type": "fixed", "name": f"F{worker}x{number}", "size": 1},
                                                  )
            except OSError:
                return
            if answer.status == 200:
                acknowledged[name] = answer.json["id"]
            if stop.is_set():
                return

    workers = [threading.Thread(target=register, args=(worker,)) for worker in range(4)]
    try:
        for _ in range(2):
            for worker in workers:
                worker.start()
            before = len(acknowledged)
            until(lambda before=before: len(acknowledged) > before + 20, "some schemas are registered")
            server.kill()
            stop.set()
            for worker in workers:
                worker.join(timeout=30)
            stop.clear()
            server.start()
            listed = until(lambda: server.registry.answers() and server.registry.get("/subjects").ok(), "schemas are back")
            assert set(acknowledged) <= set(listed)
            ids = {name: server.registry.get(f"/subjects/{name}/versions/1").ok()["id"] for name in acknowledged}
            assert ids == acknowledged
            workers = [threading.Thread(target=register, args=(f"again{worker}",)) for worker in range(4)]
        everyone = [server.registry.get(f"/subjects/{name}/versions/1").ok()["id"] for name in listed]
        assert len(set(everyone)) == len(everyone), "an id was given twice"
    finally:
        server.kill()


def test_a_topic_that_would_lose_schemas_is_refused(server, new_registry):
    librdkafka.create_topic(server, "_schemas_deleted", config={"cleanup.policy": "delete"})
    librdkafka.create_topic(server, "_schemas_wide", partitions=2, config={"cleanup.policy": "compact"})
    for topic, reason in [("_schemas_deleted", "'compact' cleanup policy"), ("_schemas_wide", "only 1 partition")]:
        done = subprocess.run(
            [paths.MILENA, "schema-registry", "--override", f"kafkastore.bootstrap.servers={server.bootstrap}",
             "--override", f"kafkastore.topic={topic}", "--override", "listeners=http://127.0.0.1:0"],
            capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and reason in done.stderr.splitlines()[-1], done.stderr


DUMP = [
    ('{"keytype":"NOOP","magic":0}', None),
    ('{"keytype":"CONFIG","subject":null,"magic":0}', '{"compatibilityLevel":"NONE"}'),
    ('{"keytype":"SCHEMA","subject":"old","version":1,"magic":0}',
     '{"subject":"old","version":1,"id":1,"schema":"\\"int\\"","deleted":false}'),
    ('{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}',
     '{"subject":"orders-value","version":1,"id":5,"md5":"sZRqySTSNHxiNbTSYRGE","schema":"\\"string\\"","deleted":false,'
     '"unknown":{"x":1}}'),
    ('{"keytype":"SCHEMA","subject":"gone","version":1,"magic":1}',
     '{"subject":"gone","version":1,"id":6,"schema":"\\"long\\"","deleted":false}'),
    ('{"keytype":"SCHEMA","subject":"gone","version":1,"magic":1}', None),
    ('{"keytype":"SCHEMA","subject":"soft","version":1,"magic":1}',
     '{"subject":"soft","version":1,"id":7,"schema":"\\"float\\"","deleted":false}'),
    ('{"keytype":"DELETE_SUBJECT","subject":"soft","magic":0}', '{"subject":"soft","version":1}'),
    ('{"keytype":"CONFIG","subject":"orders-value","magic":0}', '{"subject":"orders-value","compatibilityLevel":"FULL"}'),
    ('{"keytype":"MODE","subject":"old","magic":0}', '{"subject":"old","mode":"READONLY"}'),
    ('{"keytype":"CONTEXT","tenant":"default","context":".ctx","magic":0}', '{"tenant":"default","context":".ctx"}'),
    ('{"keytype":"SCHEMA","subject":":.ctx:s","version":3,"magic":1}',
     '{"subject":":.ctx:s","version":3,"id":1,"schemaType":"JSON","schema":"{\\"type\\":\\"object\\"}","deleted":false}'),
    ('{"keytype":"FUTURE","magic":9}', '{"a":1}'),
    ("not json", "neither"),
    ('{"keytype":"SCHEMA","subject":"broken","version":1,"magic":1}', "not json"),
]


def test_a_topic_written_by_another_registry_is_taken_over(server, new_registry):
    topic = librdkafka.create_topic(server, "_schemas_dump", config={"cleanup.policy": "compact"})
    librdkafka.produce(server, topic, [(key.encode(), value and value.encode()) for key, value in DUMP])
    registry = new_registry(server, own_topic("dump")).start()
    assert registry.get("/subjects").ok() == [":.ctx:s", "old", "orders-value"]
    assert registry.get("/schemas/ids/5").ok()["schema"] == STRING
    assert registry.get("/subjects?deletedOnly=true").ok() == ["soft"]
    assert registry.get("/config").ok() == {"compatibilityLevel": "NONE"}
    assert registry.get("/config/orders-value").ok() == {"compatibilityLevel": "FULL"}
    assert registry.get("/mode/old").ok() == {"mode": "READONLY"}
    assert registry.get("/subjects/:.ctx:s/versions").ok() == [3]
    assert registry.get("/contexts").ok() == [".", ".ctx"]
    assert registry.register("new", STRING).ok()["id"] == 5, "the id of the schema is found again"
    assert registry.register("new", '"double"').ok()["id"] == 8
    registry.delete("/subjects/orders-value").ok()
    registry.delete("/subjects/orders-value?permanent=true").ok()
    assert registry.delete("/config").ok() == {"compatibilityLevel": "NONE"}
    written = {}
    for key, value in records(server, topic):
        written[key] = value
    key = '{"keytype":"SCHEMA","subject":"new","version":1,"magic":1}'
    assert json.loads(written[key])["id"] == 5 and json.loads(written[key])["schema"] == STRING
    assert written['{"keytype":"SCHEMA","subject":"orders-value","version":1,"magic":1}'] is None, \
        "the tombstone has the key of the record that another registry wrote"
    assert written['{"keytype":"CONFIG","subject":null,"magic":0}'] is None, "also where that one spells keys differently"


def records(server, topic):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "dump", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    while True:
        message = consumer.poll(10)
        assert message is not None and not message.error(), message
        yield message.key().decode(), message.value() and message.value().decode()
        if message.offset() + 1 >= end:
            break
    consumer.close()


def test_a_large_topic_is_read_quickly(server, new_registry):
    topic = librdkafka.create_topic(server, "_schemas_large", config={"cleanup.policy": "compact"})
    count = 100_000

    def record(number):
        schema = json.dumps({"type": "record", "name": f"R{number}", "fields": [{"name": "a", "type": "int"}] * 3})
        value = {"subject": f"s{number}", "version": 1, "id": number + 1, "schema": schema, "deleted": False}
        key = f'{{"keytype":"SCHEMA","subject":"s{number}","version":1,"magic":1}}'
        return key.encode(), json.dumps(value).encode()

    librdkafka.produce(server, topic, [record(number) for number in range(count)], **{"queue.buffering.max.messages": 200_000})
    registry = new_registry(server, own_topic("large"))
    began = time.monotonic()
    registry.start()
    took = time.monotonic() - began
    assert registry.get(f"/schemas/ids/{count}").ok()["schema"]
    assert len(registry.get("/subjects").ok()) == 20_000
    # The release build needs less than a second; this bound only tells an accident from slowness.
    assert took < 30, f"{took:.1f} s"


def test_the_environment_of_the_docker_image_configures_it(server, new_registry):
    registry = new_registry(server)
    registry.overrides = {}
    registry.env = {
        "SCHEMA_REGISTRY_HOST_NAME": "localhost",
        "SCHEMA_REGISTRY_LISTENERS": f"http://127.0.0.1:{registry.port}",
        "SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS": f"PLAINTEXT://{server.bootstrap}",
        "SCHEMA_REGISTRY_KAFKASTORE_TOPIC": "_schemas_env",
        "SCHEMA_REGISTRY_SCHEMA_REGISTRY_GROUP_ID": "env",
        "SCHEMA_REGISTRY_SCHEMA_COMPATIBILITY_LEVEL": "FULL_TRANSITIVE",
        "SCHEMA_REGISTRY_HEAP_OPTS": "-Xmx512m",
    }
    registry.start()
    assert registry.get("/config").ok() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert "unknown configuration" not in registry.log()


def test_apache_kafka_can_keep_the_schemas(new_registry, tmp_path):
    kafka = apache.Broker(tmp_path / "apache").start()
    try:
        first = new_registry(kafka).start()
        assert first.register("s", INT).ok()["id"] == 1
        second = new_registry(kafka).start()
        assert second.register("s", '"long"').ok()["version"] == 2
        assert first.register("large", {"type": "fixed", "name": "F", "size": 1, "doc": "x" * 3_000_000}).status == 200
        groups = apache.tool("kafka-groups", "--bootstrap-server", kafka.bootstrap, "--list").stdout
        assert ["schema-registry", "Classic", "sr"] in [line.split() for line in groups.splitlines()]
        first.kill()
        answer = until(lambda: (answer := second.register("s", '"float"')).status == 200 and answer,
                       "the session of the killed one ends", timeout=40, poll=0.5)
        assert answer.json["version"] == 3
        policy = apache.tool("kafka-configs", "--bootstrap-server", kafka.bootstrap, "--describe", "--topic", "_schemas").stdout
        assert "cleanup.policy=compact" in policy
    finally:
        kafka.stop()
