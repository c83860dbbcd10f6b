"""kafka-replica-verification: whole logs pass, damaged and missing ones do not, and it goes on until it is told to stop.

Apache Kafka 4 no longer has the tool; what is printed is what Kafka 3 printed.
"""

import re
import signal
import subprocess

import pytest
from confluent_kafka import Producer

from harness import apache, librdkafka, paths
from harness.scripts import run
from harness.wait import until

pytestmark = pytest.mark.timeout(180)

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"


def verify(bootstrap, *arguments, check=False):
    command = [paths.MILENA, "kafka-replica-verification", "--bootstrap-server", bootstrap, *arguments]
    return run(command, check=check)


def lag_line(done):
    [found] = re.findall(rf"^{TIME}: max lag is (\d+) for partition (\S+) at offset (\d+) among (\d+) partitions$", done.stdout, re.M)
    return found


def fill(server, topic, count):
    """A batch every ten records, and an aborted transaction, whose offsets are there like all others."""
    for start in range(0, count, 10):
        librdkafka.produce(server, topic, [b"value-%d" % (start + number) for number in range(10)])
    producer = Producer({"bootstrap.servers": server.bootstrap, "transactional.id": f"{topic}-aborts"})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topic, b"never", partition=0)
    producer.flush(20)
    producer.abort_transaction(20)


def test_a_whole_log_is_verified_to_its_end(new_server, topic):
    server = new_server().start()
    librdkafka.create_topic(server, topic, partitions=2)
    fill(server, topic, 100)
    done = verify(server.bootstrap, "--once", "--topics-include", topic, "--fetch-size", "200")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.match(rf"{TIME}: verification process is started\.\n", done.stdout)
    assert lag_line(done) in {("0", f"{topic}-0", "102", "2"), ("0", f"{topic}-1", "0", "2")}
    # Everything the cluster has, its own topics among it; old names of options still work.
    assert verify(server.bootstrap, "--once").returncode == 0
    old = run([paths.MILENA, "kafka-replica-verification", "--broker-list", server.bootstrap, "--topic-white-list", topic, "--once",
               "--time", "-1"], check=False)
    assert old.returncode == 0 and lag_line(old)[0] == "0", old.stdout + old.stderr
    assert "--broker-list" in old.stderr
    nothing = verify(server.bootstrap, "--topics-include", "no-such-topic")
    assert nothing.returncode == 1 and "No topics found." in nothing.stderr


def test_a_flipped_bit_and_missing_records_are_found(new_server, topic):
    server = new_server({"log.segment.bytes": 4096}).start()
    librdkafka.create_topic(server, topic)
    fill(server, topic, 600)
    [first, second, third, *_] = server.segments(topic)
    assert server.stop() == 0
    damaged = bytearray(first.read_bytes())
    damaged[-2] ^= 1
    first.write_bytes(damaged)
    gap_from, gap_upto = int(second.stem), int(third.stem)
    for file in second.parent.glob(f"{second.stem}.*"):
        file.unlink()
    server.start()
    done = verify(server.bootstrap, "--once", "--topics-include", topic)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(rf"partition {topic}-0 is damaged on replica 1 at offset {gap_from - 10}: ", done.stdout), done.stdout
    assert f"partition {topic}-0 lacks the offsets {gap_from} to {gap_upto - 1} on replica 1" in done.stdout
    assert lag_line(done) == ("0", f"{topic}-0", "602", "1")


def test_compaction_leaves_gaps_that_are_no_mistake(new_server, topic):
    server = new_server({"log.cleaner.backoff.ms": 100}).start()
    config = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0", "min.compaction.lag.ms": "0"}
    librdkafka.create_topic(server, topic, config=config)

    def gone():
        librdkafka.produce(server, topic, [(b"k", b"v")])
        return len(librdkafka.read(server, topic)) < 5 < int(librdkafka.read(server, topic)[-1].offset())

    until(gone, "older values of the key are compacted away", timeout=60, poll=0.3)
    done = verify(server.bootstrap, "--once", "--topics-include", topic)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_follows_the_log_and_reports_until_it_is_interrupted(new_server, topic):
    server = new_server().start()
    librdkafka.create_topic(server, topic)
    command = [paths.MILENA, "kafka-replica-verification", "--bootstrap-server", server.bootstrap, "--topics-include", topic,
               "--time", "-2", "--report-interval-ms", "200", "--max-wait-ms", "100"]
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    try:
        assert "verification process is started." in process.stdout.readline()
        librdkafka.produce(server, topic, [b"x"] * 25)
        reports = iter(process.stdout.readline, "")
        assert any("max lag is 0 " in line and " at offset 25 among 1 partitions" in line for line in reports)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    finally:
        process.kill()


@pytest.mark.slow
def test_apache_kafkas_own_logs_are_verified_too(tmp_path, topic):
    kafka = apache.Broker(tmp_path)
    kafka.start()
    try:
        librdkafka.create_topic(kafka, topic, partitions=3)
        librdkafka.produce(kafka, topic, [b"%d" % number for number in range(1000)], partition=1)
        done = verify(kafka.bootstrap, "--once", "--topics-include", topic)
        assert done.returncode == 0, done.stdout + done.stderr
        assert lag_line(done)[0] == "0" and lag_line(done)[3] == "3"
    finally:
        kafka.stop()
