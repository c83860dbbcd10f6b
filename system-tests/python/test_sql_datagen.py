"""ksql-datagen: records that are made up, in the formats that streams read."""

import json

import pytest
from harness import paths
from harness.librdkafka import create_topic, read
from harness.scripts import run
from harness.sql import ServerWithSql

EARLIEST = {"ksql.streams.auto.offset.reset": "earliest"}


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    server = ServerWithSql(tmp_path_factory.mktemp("platform"), {"offsets.topic.num.partitions": 2}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


def datagen(platform, *options, **how):
    """Runs the tool without its pauses; the lines that it shows."""
    command = [paths.MILENA, "ksql-datagen", f"bootstrap-server={platform.bootstrap}", "maxInterval=0", *options]
    return run(command, **how).stdout.splitlines()


def test_users_come_as_json_under_their_ids(platform):
    shown = datagen(platform, "quickstart=users", "iterations=20")
    messages = read(platform, "users")
    assert len(shown) == len(messages) == 20
    for line, message in zip(shown, messages, strict=True):
        user = json.loads(message.value())
        assert list(user) == ["registertime", "userid", "regionid", "gender"]
        assert message.key().decode() == user["userid"] and user["userid"].startswith("User_")
        assert line == (f"'{user['userid']}' --> ([ {user['registertime']} | '{user['userid']}' | '{user['regionid']}' | "
                        f"'{user['gender']}' ]) ts:{message.timestamp()[1]}")


def test_orders_in_avro_are_a_stream_without_naming_columns(platform):
    shown = datagen(platform, "quickstart=ORDERS", "value-format=avro", f"schemaRegistryUrl={platform.registry.url}",
                    "topic=orders_avro", "iterations=50", "printRows=false")
    assert shown == []
    platform.sql.ksql("CREATE STREAM orders (id INT KEY) WITH (kafka_topic='orders_avro', value_format='AVRO');")
    [described] = platform.sql.ksql("DESCRIBE orders;")
    types = {field["name"]: field["schema"]["type"] for field in described["sourceDescription"]["fields"]}
    assert types == {"ID": "INTEGER", "ORDERTIME": "BIGINT", "ORDERID": "INTEGER", "ITEMID": "STRING",
                     "ORDERUNITS": "DOUBLE", "ADDRESS": "STRUCT"}
    rows = []
    for line in platform.sql.lines("SELECT id, orderid, address->zipcode FROM orders EMIT CHANGES LIMIT 50;", EARLIEST):
        rows += [line] if isinstance(line, list) else []
    assert [row[0] for row in rows] == [row[1] for row in rows] == list(range(50))
    assert all(10_000 <= row[2] < 99_999 for row in rows)


@pytest.mark.parametrize("quickstart", ["clickstream", "clickstream_codes", "clickstream_users", "pageviews", "ratings", "users_"])
def test_every_quickstart_makes_records(platform, quickstart):
    topic = f"all_{quickstart}"
    datagen(platform, f"quickstart={quickstart}", f"topic={topic}", "iterations=10")
    values = [json.loads(message.value()) for message in read(platform, topic)]
    assert len(values) == 10 and all(None not in value.values() for value in values)
    if quickstart == "clickstream_codes":
        definitions = {(value["code"], value["definition"]) for value in values}
        assert len({code for code, _ in definitions}) == len(definitions), "each code has one definition"
    if quickstart == "users_":
        assert all(value["interests"] and value["contactinfo"]["city"] for value in values)


def test_a_schema_of_ones_own_by_several_threads(platform, tmp_path):
    schema = {"type": "record", "name": "reading", "fields": [
        {"name": "sensor", "type": {"type": "string", "arg.properties": {"regex": "S-[0-9]{3}"}}},
        {"name": "number", "type": {"type": "int", "arg.properties": {"iteration": {"start": 1, "step": 1}}}},
        {"name": "celsius", "type": ["null", {"type": "double", "arg.properties": {"range": {"min": -5, "max": 5}}}]}]}
    (tmp_path / "reading.avro").write_text(json.dumps(schema))
    (tmp_path / "client.properties").write_text("acks=all\nclient.id=sensors\nbootstrap.servers=nowhere:1\n")
    create_topic(platform, "readings", 2)
    datagen(platform, f"schema={tmp_path / 'reading.avro'}", "topic=readings", "key=sensor", "key-format=json",
            "format=delimited", "value-delimiter=TAB", "iterations=30", "nThreads=2", "msgRate=400",
            f"propertiesFile={tmp_path / 'client.properties'}")
    messages = read(platform, "readings", 0) + read(platform, "readings", 1)
    rows = [message.value().decode().split("\t") for message in messages]
    assert sorted(int(row[1]) for row in rows) == sorted([*range(1, 31), *range(1, 31)])
    assert [json.loads(message.key()) for message in messages] == [row[0] for row in rows]
    assert all(-5 <= float(row[2]) < 5 for row in rows)


@pytest.mark.parametrize("options, told", [
    (["quickstart=nothing"], "quickstart is one of clickstream, "),
    (["schema=/no/such/file", "topic=t", "key=k"], "/no/such/file: No such file"),
    (["quickstart=users", "value-format=xml"], "There is no format xml"),
    (["quickstart=users", "iterations=many"], "iterations is a number, not many"),
    (["quickstart=users", "nThreads=0"], "nThreads is a number from 1 to "),
    (["quickstart=users", "colour=blue"], "Unknown argument: colour=blue"),
    (["topic=t"], "Either quickstart or schema is needed"),
])
def test_what_is_wrong_is_told(options, told):
    done = run([paths.MILENA, "ksql-datagen", *options], check=False)
    assert done.returncode == 1 and told in done.stderr.splitlines()[0], done.stderr
