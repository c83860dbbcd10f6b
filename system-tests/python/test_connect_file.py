"""FileStream connectors in real workers: the standalone tutorial, restarts and crashes, files that are cut off or replaced,
text beyond ASCII, records that cannot be read, pauses, offsets by hand, and exactly once under kill -9."""

import json
import os
import random
import subprocess
import threading

import pytest
from confluent_kafka import Consumer, TopicPartition
from harness import paths
from harness.connect import ConnectWorker, DistributedWorker, properties
from harness.librdkafka import create_topic, produce, read
from harness.server import Server
from harness.wait import until

STRING = "org.apache.kafka.connect.storage.StringConverter"
JSON = "org.apache.kafka.connect.json.JsonConverter"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {
        "offsets.topic.num.partitions": 2, "transaction.state.log.num.partitions": 2,
        "milena.connect.listeners": ""}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def workers():
    made = []
    yield made.append
    for worker in made:
        worker.kill()
        assert "panicked" not in worker.log(), worker.log_tail()


@pytest.fixture
def worker(kafka, tmp_path, workers):
    worker = ConnectWorker(tmp_path, kafka.bootstrap, {"key.converter": STRING, "value.converter": STRING})
    workers(worker)
    return worker


def append(path, *lines):
    with open(path, "a", encoding="utf-8", newline="") as file:
        file.writelines(line + "\n" for line in lines)


def lines_of(path):
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def values(kafka, topic, **options):
    return [message.value().decode() for message in read(kafka, topic, **options)]


def source(file, topic, **more):
    return {"connector.class": "FileStreamSource", "file": str(file), "topic": topic, **more}


def sink(file, topics, **more):
    return {"connector.class": "FileStreamSink", "file": str(file), "topics": topics, **more}


def test_the_standalone_tutorial_runs_as_written_and_each_line_arrives_once_over_restarts_and_crashes(
        kafka, tmp_path, workers):
    alert_source = properties(tmp_path / "alert-source.properties", {
        "name": "alert-source", "connector.class": "FileStreamSource", "tasks.max": 1, "file": "alert.txt",
        "topic": "kinaction_alert_connect"})
    alert_sink = properties(tmp_path / "alert-sink.properties", {
        "name": "alert-sink", "connector.class": "FileStreamSink", "tasks.max": 1, "file": "alert-sink.txt",
        "topics": "kinaction_alert_connect"})
    worker = ConnectWorker(tmp_path, kafka.bootstrap, {
        "key.converter.schemas.enable": "true", "value.converter.schemas.enable": "true",
        "offset.flush.interval.ms": 200}, [alert_source, alert_sink])
    workers(worker)
    alerts, arrived = tmp_path / "alert.txt", tmp_path / "alert-sink.txt"
    written = []

    def write(*lines):
        append(alerts, *lines)
        written.extend(lines)
        until(lambda: len(lines_of(arrived)) >= len(written), lambda: f"{written} arrive: {lines_of(arrived)}\n{worker.log_tail()}")
        assert lines_of(arrived) == written

    def is_flushed():
        lag = worker.get("/connectors/alert-sink/offsets").json()["offsets"]
        position = worker.get("/connectors/alert-source/offsets").json()["offsets"]
        return lag and position and lag[0]["offset"]["kafka_offset"] == len(written) \
            and position[0]["offset"]["position"] == alerts.stat().st_size

    worker.start()
    write("first alert", "zweite Störung", "третий", "", "🚨 fifth")
    assert worker.stop() == 0
    append(alerts, "while nobody was looking")
    written.append("while nobody was looking")
    worker.start()
    write("sixth")
    for crash in range(3):
        until(is_flushed, "offsets of both sides are stored")
        worker.kill()
        worker.start()
        write(f"after crash {crash}")
    assert json.loads(values(kafka, "kinaction_alert_connect")[1]) == {
        "schema": {"type": "string", "optional": False}, "payload": "zweite Störung"}
    assert worker.stop() == 0
    assert lines_of(arrived) == written


def test_a_crash_in_the_middle_of_work_loses_no_line(kafka, tmp_path, worker):
    file, topic = tmp_path / "busy.txt", "busy"
    stop = threading.Event()
    written = []

    def write():
        with open(file, "a", encoding="utf-8") as log:
            while not stop.is_set():
                for _ in range(200):
                    written.append(f"line {len(written)} {'x' * random.randrange(200)}")
                    log.write(written[-1] + "\n")
                log.flush()
                stop.wait(0.01)

    file.touch()
    worker.start()
    worker.put_connector("busy", source(file, topic))
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            seen = len(written)
            until(lambda seen=seen: len(written) > seen + 3000, "lines are written", timeout=60)
            worker.kill()
            worker.start()
            worker.put_connector("busy", source(file, topic))
    finally:
        stop.set()
        writer.join()
    until(lambda: written[-1] in values(kafka, topic)[-1:], "the last line arrives", timeout=120)
    arrived = values(kafka, topic)
    assert set(arrived) == set(written)
    first = list(dict.fromkeys(arrived))
    assert first == written, "new lines come in their order"


def test_files_that_are_cut_off_or_replaced_are_read_from_their_start(kafka, tmp_path, worker):
    file, topic = tmp_path / "rotating.log", "rotating"
    worker.start()
    worker.put_connector("rotating", source(file, topic))
    worker.wait_for_task("rotating", "RUNNING")
    append(file, "a file that was not there is waited for")
    until(lambda: len(topic_values(kafka, topic)) == 1, "a file that comes is read")
    os.truncate(file, 0)
    append(file, "cut off")
    until(lambda: "cut off" in values(kafka, topic), "after truncation")
    os.rename(file, tmp_path / "rotating.log.1")
    append(tmp_path / "rotating.log.1", "late line of the old file")
    append(file, "first line of a new file that is longer than the old one ever was before")
    until(lambda: len(values(kafka, topic)) == 4, lambda: f"after rotation: {values(kafka, topic)}")
    assert values(kafka, topic)[2:] == [
        "late line of the old file", "first line of a new file that is longer than the old one ever was before"]
    assert "was truncated" in worker.log() and "another file took its place" in worker.log()


def topic_values(kafka, topic):
    """As `values`, and nothing for a topic that is not there yet."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "look"})
    try:
        exists = topic in consumer.list_topics(timeout=10).topics
    finally:
        consumer.close()
    return values(kafka, topic) if exists else []


def test_all_line_ends_count_and_a_line_without_an_end_waits_for_it(kafka, tmp_path, worker):
    file, topic = tmp_path / "ends.txt", "ends"
    file.write_bytes("unix\nwindows\r\nmac\rmißlich ".encode())
    worker.start()
    worker.put_connector("ends", source(file, topic, **{"batch.size": "2"}))
    until(lambda: len(topic_values(kafka, topic)) == 3, "the complete lines arrive")
    assert values(kafka, topic) == ["unix", "windows", "mac"]
    until(lambda: worker.get("/connectors/ends/offsets").json()["offsets"], "offsets are stored")
    offsets = worker.get("/connectors/ends/offsets").json()["offsets"]
    assert offsets == [{"partition": {"filename": str(file)}, "offset": {"position": len("unix\nwindows\r\nmac\r")}}]
    append(file, "länger")
    until(lambda: len(values(kafka, topic)) == 4, "the line has its end")
    assert values(kafka, topic)[-1] == "mißlich länger"


def test_a_poison_record_fails_the_task_with_the_reason_and_everything_before_it_is_written(kafka, tmp_path, worker):
    topic, file = create_topic(kafka, "poisoned"), tmp_path / "out.txt"
    envelope = [json.dumps({"schema": {"type": "string", "optional": False}, "payload": f"good {n}"}).encode() for n in range(4)]
    produce(kafka, topic, [*envelope[:2], b"{ this is no JSON", *envelope[2:]])
    worker.start()
    config = sink(file, topic, **{"value.converter": JSON, "errors.log.enable": "true"})
    worker.put_connector("poisoned", config)
    trace = worker.wait_for_task("poisoned", "FAILED")
    assert trace.startswith("org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask due to unrecoverable exception.")
    for word in ["Caused by: ", "errors.tolerance=none", "VALUE_CONVERTER", "poisoned-0@2", "DataException"]:
        assert word in trace, trace
    assert lines_of(file) == ["good 0", "good 1"]
    assert worker.status("poisoned")["connector"]["state"] == "RUNNING"

    config.update({
        "errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dead-letters",
        "errors.deadletterqueue.topic.replication.factor": "1", "errors.deadletterqueue.context.headers.enable": "true"})
    worker.put_connector("poisoned", config)
    until(lambda: lines_of(file)[-2:] == ["good 2", "good 3"], lambda: f"the others arrive: {lines_of(file)} {worker.status('poisoned')}")
    assert sorted(set(lines_of(file))) == [f"good {n}" for n in range(4)]
    [dead] = until(lambda: read(kafka, "dead-letters"), "the dead letter")
    assert dead.value() == b"{ this is no JSON"
    context = {key: value.decode() for key, value in dead.headers()}
    stack = context.pop("__connect.errors.exception.stacktrace")
    message = context.pop("__connect.errors.exception.message")
    assert context == {
        "__connect.errors.topic": "poisoned", "__connect.errors.partition": "0", "__connect.errors.offset": "2",
        "__connect.errors.connector.name": "poisoned", "__connect.errors.task.id": "0",
        "__connect.errors.stage": "VALUE_CONVERTER", "__connect.errors.class.name": JSON,
        "__connect.errors.exception.class.name": "org.apache.kafka.connect.errors.DataException"}
    assert message and message in stack
    assert worker.task("poisoned")[0] == "RUNNING"


def test_a_task_may_be_started_again_by_itself_with_growing_pauses(kafka, tmp_path, worker):
    topic, directory = create_topic(kafka, "restarting"), tmp_path / "not-there"
    produce(kafka, topic, [b"line"])
    worker.start()
    worker.put_connector("restarting", sink(directory / "out.txt", topic, **{
        "errors.restart.max.attempts": "-1", "errors.restart.backoff.initial.ms": "200",
        "errors.restart.backoff.max.ms": "500"}))
    trace = worker.wait_for_task("restarting", "FAILED")
    assert "started again in" in trace and "out.txt" in trace and "file" in trace
    directory.mkdir()
    until(lambda: lines_of(directory / "out.txt") == ["line"], "the task has recovered by itself")
    worker.wait_for_task("restarting", "RUNNING")


def test_a_paused_connector_does_nothing_and_goes_on_where_it_stopped(kafka, tmp_path, worker):
    file, arrived, topic = tmp_path / "in.txt", tmp_path / "out.txt", "pausing"
    append(file, "one")
    worker.start()
    worker.put_connector("reader", source(file, topic))
    worker.put_connector("writer", sink(arrived, topic))
    until(lambda: lines_of(arrived) == ["one"], "the first line arrives")
    assert worker.send("PUT", "/connectors/writer/pause").status_code == 202
    worker.wait_for_task("writer", "PAUSED")
    append(file, "two")
    until(lambda: len(values(kafka, topic)) == 2, "the source goes on")
    assert worker.send("PUT", "/connectors/reader/pause").status_code == 202
    worker.wait_for_task("reader", "PAUSED")
    append(file, "three")
    assert lines_of(arrived) == ["one"]
    assert worker.send("PUT", "/connectors/writer/resume").status_code == 202
    until(lambda: lines_of(arrived) == ["one", "two"], "the sink goes on")
    assert len(values(kafka, topic)) == 2
    assert worker.send("PUT", "/connectors/reader/resume").status_code == 202
    until(lambda: lines_of(arrived) == ["one", "two", "three"], "the source goes on")
    assert worker.get("/connectors/reader/topics").json() == {"reader": {"topics": [topic]}}


def test_offsets_are_shown_changed_and_forgotten(kafka, tmp_path, worker):
    file, arrived, topic = tmp_path / "in.txt", tmp_path / "out.txt", "by-hand"
    append(file, "one", "two", "three")
    worker.start()
    worker.put_connector("moved-reader", source(file, topic))
    worker.put_connector("moved-writer", sink(arrived, topic))
    until(lambda: lines_of(arrived) == ["one", "two", "three"], "all lines arrive")
    shown = {"offsets": [{"partition": {"kafka_topic": topic, "kafka_partition": 0}, "offset": {"kafka_offset": 3}}]}
    until(lambda: worker.get("/connectors/moved-writer/offsets").json() == shown, lambda: f"{worker.get('/connectors/moved-writer/offsets').text}\n{worker.log_tail()}")

    refused = worker.send("PATCH", "/connectors/moved-reader/offsets", {"offsets": [{"partition": {"filename": str(file)}, "offset": {"position": 4}}]})
    assert refused.status_code == 400 and "STOPPED" in refused.json()["message"]
    for name in ["moved-reader", "moved-writer"]:
        assert worker.send("PUT", f"/connectors/{name}/stop").status_code == 204
        until(lambda name=name: worker.status(name)["connector"]["state"] == "STOPPED" and not worker.status(name)["tasks"], lambda: f"stopped: {worker.status(name)}\n{worker.log_tail()}")
    for wrong in [{"position": -1}, {"offset": 3}]:
        answer = worker.send("PATCH", "/connectors/moved-reader/offsets", {"offsets": [{"partition": {"filename": str(file)}, "offset": wrong}]})
        assert answer.status_code == 500 and "position" in answer.json()["message"], answer.text
    answer = worker.send("PATCH", "/connectors/moved-reader/offsets", {"offsets": [{"partition": {"filename": str(file)}, "offset": {"position": 8}}]})
    assert answer.json() == {"message": "The offsets for this connector have been altered successfully"}
    by_hand = {"offsets": [{"partition": {"kafka_topic": topic, "kafka_partition": 0}, "offset": {"kafka_offset": 2}}]}
    until(lambda: worker.send("PATCH", "/connectors/moved-writer/offsets", by_hand).status_code == 200, "the offset is changed")
    for name in ["moved-reader", "moved-writer"]:
        worker.send("PUT", f"/connectors/{name}/resume")
    until(lambda: lines_of(arrived) == ["one", "two", "three", "three", "three"], lambda: f"from there on: {lines_of(arrived)}")

    assert worker.send("PUT", "/connectors/moved-writer/stop").status_code == 204
    until(lambda: not worker.status("moved-writer")["tasks"], "stopped")
    # Refused as long as the task has not left its group.
    until(lambda: worker.send("DELETE", "/connectors/moved-writer/offsets").json() == {
        "message": "The offsets for this connector have been reset successfully"}, "the offsets are forgotten")
    assert worker.get("/connectors/moved-writer/offsets").json() == {"offsets": []}


def test_offsets_of_a_java_worker_are_taken_over(kafka, tmp_path, worker):
    file, topic = tmp_path / "in.txt", "taken-over"
    append(file, "Java has read this", "and not this")
    key = json.dumps(["reader", {"filename": str(file)}], separators=(",", ":"))
    program = tmp_path / "Write.java"
    program.write_text(f"""
        import java.io.*; import java.util.*;
        public class Write {{
            public static void main(String[] arguments) throws Exception {{
                Map<byte[], byte[]> raw = new HashMap<>();
                raw.put({json.dumps(key)}.getBytes("UTF-8"), "{{\\"position\\":19}}".getBytes("UTF-8"));
                raw.put("[\\"other\\",{{\\"a\\":1}}]".getBytes("UTF-8"), null);
                try (ObjectOutputStream out = new ObjectOutputStream(new FileOutputStream(arguments[0]))) {{ out.writeObject(raw); }}
            }}
        }}""", encoding="utf-8")
    offsets = worker.directory / "connect.offsets"
    subprocess.run(["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(program), str(offsets)], check=True, timeout=60)
    worker.start()
    worker.put_connector("reader", source(file, topic))
    until(lambda: topic_values(kafka, topic) == ["and not this"], "only what Java has not read")
    until(lambda: offsets.read_bytes().startswith(b"# "), "the file is ours with the first commit")
    assert (worker.directory / "connect.offsets.java").read_bytes().startswith(b"\xac\xed")


def test_topics_are_made_as_the_connector_says(kafka, tmp_path, worker):
    file, topic = tmp_path / "in.txt", "made-to-measure"
    append(file, "line")
    worker.start()
    worker.put_connector("maker", source(file, topic, **{
        "topic.creation.default.partitions": "3", "topic.creation.default.replication.factor": "1",
        "topic.creation.default.retention.ms": "123456789"}))
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "look"})
    try:
        until(lambda: len(consumer.list_topics(timeout=10).topics.get(topic).partitions) == 3
              if topic in consumer.list_topics(timeout=10).topics else False, "three partitions")
    finally:
        consumer.close()


def test_settings_that_are_wrong_are_named_before_anything_starts(worker):
    worker.start()
    for config, names in [
        ({"connector.class": "FileStreamSink", "topic": "t", "file": "x"}, ["topics=", "topic="]),
        ({"connector.class": "FileStreamSource", "topics": "t", "file": "x"}, ["topic=", "topics="]),
        ({"connector.class": "FileStreamSource", "topic": "t", "batch.size": "0"}, ["batch.size"]),
        ({"connector.class": "FileStreamSource", "topic": "t", "file": "/"}, ["directory"]),
    ]:
        answer = worker.send("PUT", "/connectors/wrong/config", config)
        assert answer.status_code == 400, answer.text
        for name in names:
            assert name in answer.json()["message"], answer.text


def test_each_line_is_there_exactly_once_for_readers_of_committed_records_whatever_crashes(kafka, tmp_path, workers):
    file, topic, count = tmp_path / "exactly.txt", "exactly-once", 20_000
    worker = DistributedWorker(tmp_path / "worker", kafka.bootstrap, {
        "key.converter": STRING, "value.converter": STRING, "exactly.once.source.support": "enabled",
        "group.id": "exactly", "offset.storage.topic": "exactly-offsets", "config.storage.topic": "exactly-configs",
        "status.storage.topic": "exactly-status"})
    workers(worker)
    file.write_text("".join(f"line {n} {'y' * (n % 50)}\n" for n in range(count // 2)), encoding="utf-8")
    worker.start()
    worker.put_connector("exact", source(file, topic, **{"batch.size": "500", "transaction.boundary": "poll"}))
    with open(file, "a", encoding="utf-8") as log:
        for n in range(count // 2, count):
            # The line comes after the look, so that there is something left to do.
            end = len(committed(kafka, topic)) if n % 4_000 == 0 else 0
            log.write(f"line {n} {'y' * (n % 50)}\n")
            if n % 4_000 == 0:
                log.flush()
                until(lambda end=end: len(committed(kafka, topic)) > end, lambda: f"it works: {worker.status('exact')}\n{worker.log_tail()}", timeout=60)
                worker.kill()
                worker.start()
    until(lambda: len(committed(kafka, topic)) >= count, lambda: f"all lines: {len(committed(kafka, topic))}\n{worker.log_tail()}", timeout=120)
    assert committed(kafka, topic) == [f"line {n} {'y' * (n % 50)}" for n in range(count)]


def committed(kafka, topic):
    """What a reader of committed records sees, from the start."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "committed", "isolation.level": "read_committed",
                         "enable.auto.commit": False, "enable.partition.eof": True})
    try:
        if topic not in consumer.list_topics(timeout=10).topics:
            return []
        consumer.assign([TopicPartition(topic, 0, 0)])
        seen = []
        while True:
            for message in consumer.consume(10_000, timeout=10):
                if message.error():
                    return seen
                seen.append(message.value().decode())
    finally:
        consumer.close()


def test_what_a_task_does_is_counted(kafka, tmp_path, worker):
    file, topic = tmp_path / "in.txt", "counted"
    append(file, "one", "two")
    worker.start()
    worker.put_connector("counting", source(file, topic))
    until(lambda: len(topic_values(kafka, topic)) == 2, "both lines arrive")
    page = worker.get("/metrics").text
    for line in [
        'kafka_connect_source_task_metrics_source_record_poll_total{connector="counting",task="0"} 2',
        'kafka_connect_source_task_metrics_source_record_write_total{connector="counting",task="0"} 2',
        'kafka_connect_connector_task_metrics_status{connector="counting",task="0",status="running"} 1',
    ]:
        assert line in page, page


def test_standard_input_goes_to_a_topic_and_from_there_to_standard_output(kafka, tmp_path, workers):
    source_file = properties(tmp_path / "console-source.properties", {
        "name": "console-source", "connector.class": "FileStreamSource", "tasks.max": 1, "topic": "console"})
    sink_file = properties(tmp_path / "console-sink.properties", {
        "name": "console-sink", "connector.class": "FileStreamSink", "tasks.max": 1, "topics": "console"})
    worker = ConnectWorker(tmp_path, kafka.bootstrap, {"key.converter": STRING, "value.converter": STRING},
                           [source_file, sink_file])
    workers(worker)
    file = properties(tmp_path / "worker.properties", worker.settings)
    with open(worker.log_path, "wb") as log:
        worker.process = subprocess.Popen([str(paths.MILENA), "connect-standalone", str(file), str(source_file), str(sink_file)],
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=tmp_path)
    printed = []
    reader = threading.Thread(target=lambda: printed.extend(iter(worker.process.stdout.readline, b"")))
    reader.start()
    try:
        for line in ["typed größer", "typed again"]:
            worker.process.stdin.write(f"{line}\n".encode())
            worker.process.stdin.flush()
            until(lambda line=line: f"{line}\n".encode() in printed, lambda: f"{printed}\n{worker.log_tail()}", timeout=60)
        assert values(kafka, "console") == ["typed größer", "typed again"]
        # The end of standard input ends nothing else.
        worker.process.stdin.close()
        assert worker.get("/health").status_code == 200
    finally:
        worker.kill()
        reader.join(10)


def test_tasks_of_a_sink_that_share_partitions_anew_under_load_lose_nothing_and_repeat_nothing(kafka, tmp_path, worker):
    topic, file, partitions = "shared", tmp_path / "out.txt", 6
    create_topic(kafka, topic, partitions)
    worker.start()
    written, stop = [0], threading.Event()

    def write():
        while not stop.wait(0.02):
            for partition in range(partitions):
                produce(kafka, topic, [f"{written[0] + n}" for n in range(20)], partition=partition)
                written[0] += 20

    def arrived():
        return [int(line) for line in lines_of(file) if line]

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for tasks in ["3", "1", "6", "2"]:
            worker.put_connector("sharing", sink(file, topic, **{"tasks.max": tasks}))
            until(lambda tasks=tasks: len((worker.status("sharing") or {"tasks": []})["tasks"]) == int(tasks), lambda: worker.status("sharing"))
            for number in range(int(tasks)):
                worker.wait_for_task("sharing", "RUNNING", number)
            before = len(arrived())
            until(lambda before=before: len(arrived()) > before + 200, lambda: f"{worker.status('sharing')}\n{worker.log_tail()}")
            assert worker.send("POST", "/connectors/sharing/tasks/0/restart").status_code == 204
    finally:
        stop.set()
        writer.join()
    until(lambda: len(set(arrived())) == written[0], lambda: f"{len(set(arrived()))} of {written[0]}\n{worker.log_tail()}", timeout=60)
    assert sorted(arrived()) == list(range(written[0])), "a record was written twice"
