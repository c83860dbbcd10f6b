"""Transactions and exactly-once processing under real clients, kills of clients and of the server."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as AioTopicPartition
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from harness import apache, librdkafka, paths, scripts, wire
from harness.wait import until

#: The long run of the exactly-once test: MILENA_EOS_KILLS=100 MILENA_EOS_RECORDS=100000.
KILLS = int(os.environ.get("MILENA_EOS_KILLS", "12"))
RECORDS = int(os.environ.get("MILENA_EOS_RECORDS", "20000"))

OVERRIDES = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": 200}


def transactional(broker, name, **options):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": name, "log_level": 0, "linger.ms": 1,
                         "reconnect.backoff.max.ms": 200, **options})
    producer.init_transactions(30)
    return producer


def read(broker, topic, isolation, partition=0):
    return [message.value() for message in librdkafka.read(broker, topic, partition, **{"isolation.level": isolation})]


def test_librdkafka_commits_and_aborts(broker, topic):
    librdkafka.create_topic(broker, topic, partitions=2)
    producer = transactional(broker, topic)
    for number in range(30):
        producer.begin_transaction()
        for partition in range(2):
            producer.produce(topic, b"%s-%d" % (b"bad" if number % 3 else b"good", number), partition=partition)
        # An abort throws away what has not been sent yet.
        producer.flush(20)
        if number % 3:
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    for partition in range(2):
        assert read(broker, topic, "read_committed", partition) == [b"good-%d" % number for number in range(0, 30, 3)]
        assert len(read(broker, topic, "read_uncommitted", partition)) == 30


def test_a_second_producer_fences_the_first(broker, topic):
    librdkafka.create_topic(broker, topic)
    first = transactional(broker, topic)
    first.begin_transaction()
    first.produce(topic, b"zombie")
    first.flush(20)
    second = transactional(broker, topic)
    with pytest.raises(KafkaException) as refused:
        first.commit_transaction(20)
    assert refused.value.args[0].fatal(), refused.value
    second.begin_transaction()
    second.produce(topic, b"alive")
    second.commit_transaction(20)
    assert read(broker, topic, "read_committed") == [b"alive"]


def test_a_transaction_left_open_is_aborted_after_its_timeout(broker, topic):
    librdkafka.create_topic(broker, topic)
    producer = transactional(broker, topic, **{"transaction.timeout.ms": 1500})
    producer.begin_transaction()
    producer.produce(topic, b"forgotten")
    producer.flush(20)
    librdkafka.produce(broker, topic, [b"of somebody else"])
    assert read(broker, topic, "read_committed") == [], "what comes after an open transaction is not stable"
    until(lambda: read(broker, topic, "read_committed") == [b"of somebody else"], "the transaction is aborted", timeout=15)
    with pytest.raises(KafkaException):
        producer.commit_transaction(20)


def test_a_long_poll_ends_with_the_commit(broker, topic):
    librdkafka.create_topic(broker, topic)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": topic, "isolation.level": "read_committed",
                         "fetch.wait.max.ms": 20000, "fetch.min.bytes": 100, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    assert consumer.poll(0.5) is None
    producer = transactional(broker, topic)
    producer.begin_transaction()
    producer.produce(topic, b"x" * 200)
    producer.flush(20)
    assert consumer.poll(0.5) is None
    producer.commit_transaction(20)
    started = time.monotonic()
    message = consumer.poll(15)
    assert message is not None and message.value() == b"x" * 200
    assert time.monotonic() - started < 5, "the marker wakes the fetch"
    consumer.close()


@pytest.mark.parametrize("committed", [True, False], ids=["commit", "abort"])
def test_transactions_survive_kill_9_of_the_server(new_server, topic, committed):
    server = new_server(OVERRIDES).start()
    librdkafka.create_topic(server, topic)
    producer = transactional(server, topic)
    expected = []
    for number in range(6):
        producer.begin_transaction()
        producer.produce(topic, b"%d" % number)
        # Not so the first: librdkafka ends what it has asked for, and a coordinator that was killed before it heard of the
        # id's first transaction has nothing to end, which is a fatal error to librdkafka, with Apache Kafka too.
        if number % 2 == 0:
            producer.flush(20)
        server.kill()
        server.start()
        if committed:
            producer.commit_transaction(30)
            expected.append(b"%d" % number)
        else:
            producer.abort_transaction(30)
        server.kill()
        server.start()
    assert read(server, topic, "read_committed") == expected
    assert server.restart() and read(server, topic, "read_committed") == expected


def test_idempotent_producers_go_on_after_restarts(new_server, topic):
    server = new_server().start()
    librdkafka.create_topic(server, topic)
    producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "linger.ms": 0, "log_level": 0,
                         "reconnect.backoff.max.ms": 200})
    for number in range(40):
        producer.produce(topic, b"%d" % number)
        if number % 10 == 9:
            assert producer.flush(30) == 0
            server.restart() if number % 20 == 9 else (server.kill(), server.start())
    assert producer.flush(30) == 0
    assert read(server, topic, "read_committed") == [b"%d" % number for number in range(40)]


def test_aiokafka(broker, topic):
    librdkafka.create_topic(broker, topic)

    async def scenario():
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=topic)
        await producer.start()
        try:
            async with producer.transaction():
                await producer.send(topic, b"good")
                await producer.send_offsets_to_transaction({AioTopicPartition(topic, 0): 7}, f"group-{topic}")
            with pytest.raises(ZeroDivisionError):
                async with producer.transaction():
                    await producer.send(topic, b"bad")
                    raise ZeroDivisionError
            async with producer.transaction():
                await producer.send(topic, b"good too")
        finally:
            await producer.stop()

    asyncio.run(scenario())
    assert read(broker, topic, "read_committed") == [b"good", b"good too"]
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": f"group-{topic}"})
    assert [offset.offset for offset in consumer.committed([TopicPartition(topic, 0)], timeout=20)] == [7]
    consumer.close()


def test_kafkajs(broker, topic):
    scripts.run(["node", paths.CLIENTS / "kafkajs_transactions.js", broker.bootstrap, topic],
                env={**os.environ, "NODE_PATH": str(paths.NODE_MODULES)})


@pytest.mark.slow
def test_java(broker, topic):
    done = apache.source(paths.CLIENTS / "JavaTransactions.java", broker.bootstrap, topic)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kafka_streams_word_count(broker, topic, tmp_path):
    streams = subprocess.run([paths.ROOT / "scripts" / "fetch-kafka-streams.sh"], check=True, capture_output=True, text=True)
    done = apache.source(paths.CLIENTS / "StreamsWordCount.java", broker.bootstrap, topic, tmp_path / "state", timeout=240,
                         classpath=streams.stdout.strip())
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


class Worker:
    """A process that copies the input exactly once, started again whenever it ends."""

    def __init__(self, server, source, target, group, name, directory):
        self.command = [sys.executable, str(paths.CLIENTS / "exactly_once_worker.py"), server.bootstrap, source, target, group, name]
        self.log = directory / f"{name}.log"
        self.process = None

    def keep_running(self):
        if self.process is None or self.process.poll() is not None:
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        if self.process:
            self.process.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.timeout(7200 if "MILENA_EOS_KILLS" in os.environ else 240)
def test_copying_is_exactly_once_however_often_client_and_server_are_killed(new_server, topic, tmp_path):
    server = new_server(OVERRIDES).start()
    source, target, group = topic, topic + "-out", "group-" + topic
    partitions = 4
    for name in (source, target):
        librdkafka.create_topic(server, name, partitions=partitions)
    for partition in range(partitions):
        librdkafka.produce(server, source, [b"%d" % number for number in range(partition, RECORDS, partitions)], partition)
    reader = Consumer({"bootstrap.servers": server.bootstrap, "group.id": "reader", "isolation.level": "read_committed",
                       "log_level": 0, "reconnect.backoff.max.ms": 200, "enable.auto.commit": False})
    reader.assign([TopicPartition(target, partition, 0) for partition in range(partitions)])
    seen = []

    def progress():
        seen.extend(int(message.value()) for message in reader.consume(5000, 0.2) if not message.error())
        return len(seen)

    workers = [Worker(server, source, target, group, f"w{number}", tmp_path) for number in range(2)]
    generator = random.Random(KILLS)
    kills = 0
    deadline = time.monotonic() + (7000 if "MILENA_EOS_KILLS" in os.environ else 200)
    try:
        while progress() < RECORDS:
            assert time.monotonic() < deadline, f"{len(seen)} of {RECORDS} after {kills} kills: {server.log_tail(20)}"
            for worker in workers:
                worker.keep_running()
            # A kill for every share of the work, at a random moment of it.
            if kills < KILLS and len(seen) >= RECORDS * kills // (KILLS + 1):
                time.sleep(generator.random() * 0.8)
                kills += 1
                victim = generator.randrange(3)
                if victim == 2:
                    server.kill()
                    server.start()
                else:
                    workers[victim].kill()
    finally:
        for worker in workers:
            worker.kill()
    reader.close()
    copied = []
    for partition in range(partitions):
        values = [int(value) for value in read(server, target, "read_committed", partition)]
        assert values == sorted(values), f"order of partition {partition}"
        copied += values
    assert len(copied) == RECORDS and sorted(copied) == list(range(RECORDS)), f"{len(copied)} copies of {RECORDS} after {kills} kills"
    print(f"{RECORDS} records, {kills} kills")


TOOL_LINES = ["list", "list --transactional-id-pattern {topic}.*", "list --transactional-id-pattern nothing", "describe --transactional-id {topic}",
              "describe --transactional-id nobody", "describe-producers --topic {topic} --partition 0",
              "find-hanging --topic {topic}", "find-hanging --broker-id 1"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kafka_transactions_prints_what_the_original_prints(broker, topic):
    librdkafka.create_topic(broker, topic)
    producer = transactional(broker, topic)
    producer.begin_transaction()
    producer.produce(topic, b"value")
    producer.commit_transaction(20)

    def ours(line):
        command = [paths.MILENA, "kafka-transactions", "--bootstrap-server", broker.bootstrap, *line.split()]
        return scripts.run(command, check=False)

    for line in TOOL_LINES:
        line = line.format(topic=topic)
        mine = ours(line)
        original = apache.tool("kafka-transactions", "--bootstrap-server", broker.bootstrap, *line.split(), check=False)
        assert mine.returncode == original.returncode, (line, mine.stderr, original.stderr)
        # How long something took depends on the moment; everything else is the same to the blank.
        strip = (lambda text: [cell for cell in text.split("\t")[:7]]) if line.startswith("describe --") else (lambda text: text)
        assert strip(mine.stdout) == strip(original.stdout), line
        if mine.returncode:
            assert mine.stderr.splitlines()[-1:] == original.stderr.splitlines()[-1:], line
    producer.begin_transaction()
    producer.produce(topic, b"open")
    producer.flush(20)
    assert "Ongoing" in ours(f"describe --transactional-id {topic}").stdout
    start = ours(f"describe-producers --topic {topic} --partition 0").stdout.splitlines()[1].split("\t")[5].strip()
    assert ours(f"abort --topic {topic} --partition 0 --start-offset {int(start) + 100}").returncode == 1
    assert ours(f"abort --topic {topic} --partition 0 --start-offset {start}").returncode == 0
    assert ours(f"describe-producers --topic {topic} --partition 0").stdout.splitlines()[1].split("\t")[5].strip() == "None"
    assert ours(f"forceTerminateTransaction --transactionalId {topic}").returncode == 0
    assert "Ongoing" not in ours(f"describe --transactional-id {topic}").stdout
    assert read(broker, topic, "read_committed") == [b"value"]


def test_producers_with_a_gap_in_their_sequence_are_refused(broker, topic):
    librdkafka.create_topic(broker, topic)
    with wire.Connection(broker.port) as connection:
        def produce(sequence):
            batch = wire.batch([b"v"], producer=(4_000_000, 0, sequence))
            return wire.produce_result(connection.ask(wire.produce(topic, batch)))[0]

        assert produce(0) == 0
        assert produce(5) == 45, "OUT_OF_ORDER_SEQUENCE_NUMBER"
        assert produce(1) == 0
        assert produce(1) == 0, "sent twice, stored once"
    assert len(read(broker, topic, "read_uncommitted")) == 2
