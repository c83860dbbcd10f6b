"""Several Connect workers in one group: work is shared, writes reach the leader, crashes lose nothing; workers of Apache
Kafka share a group with ours."""

import signal
import subprocess
import threading

import pytest
from harness import paths
from harness.connect import DistributedWorker, properties
from harness.librdkafka import read
from harness.server import Server, free_port
from harness.wait import until

STRING = "org.apache.kafka.connect.storage.StringConverter"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("kafka"), {
        "offsets.topic.num.partitions": 2, "transaction.state.log.num.partitions": 2,
        "milena.connect.listeners": ""}).start()
    yield server
    assert server.stop() == 0, server.log_tail()


@pytest.fixture
def new_worker(kafka, tmp_path, request):
    made = []
    group = request.node.name

    def make(**more):
        settings = {"group.id": group, "key.converter": STRING, "value.converter": STRING,
                    "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                    **{f"{what}.storage.topic": f"{group}-{what}" for what in ["config", "offset", "status"]},
                    **{key.replace("_", "."): value for key, value in more.items()}}
        worker = DistributedWorker(tmp_path / f"worker{len(made)}", kafka.bootstrap, settings)
        made.append(worker)
        return worker.start()

    yield make
    for worker in made:
        worker.kill()
        assert "panicked" not in worker.log(), worker.log_tail()


def source(file, topic, **more):
    return {"connector.class": "FileStreamSource", "file": str(file), "topic": topic, **more}


def host(worker):
    return worker.url.removeprefix("http://")


def retried(worker, method, path, body=None):
    """Clients try again while the group is rebalanced (409)."""
    return until(lambda: (answer := worker.send(method, path, body)).status_code not in (409, 500) and answer,
                 f"{method} {path} is answered")


def owners(worker):
    """Who runs each connector and task, once all of them run."""
    found = {}
    for name, row in worker.get("/connectors?expand=status").json().items():
        status = row["status"]
        rows = [("connector", status["connector"])] + [(task["id"], task) for task in status["tasks"]]
        for part, state in rows:
            found[name, part] = state["worker_id"] if state["state"] == "RUNNING" else None
    return found


def all_run(worker, names, on=None):
    found = owners(worker)
    expected = {(name, part) for name in names for part in ["connector", 0]}
    return set(found) == expected and all(found.values()) and (on is None or set(found.values()) == set(on)) and found


def lines_in(kafka, topic):
    return [message.value().decode() for message in read(kafka, topic)]


def test_two_workers_share_connectors_and_hand_writes_to_the_leader(kafka, new_worker, tmp_path):
    first = new_worker()
    names = [f"s{number}" for number in range(6)]
    for name in names:
        (tmp_path / name).write_text(f"{name}\n")
        assert retried(first, "PUT", f"/connectors/{name}/config", source(tmp_path / name, f"shared-{name}")).status_code == 201
    until(lambda: all_run(first, names, [host(first)]), lambda: owners(first), 60)
    second = new_worker()
    both = [host(first), host(second)]
    found = until(lambda: all_run(first, names, both), lambda: owners(first), 60)
    share = [part for part, owner in found.items() if owner == both[1]]
    assert len(share) == 6, f"half of the work has moved: {found}"
    until(lambda: owners(second) == found, "both tell the same")
    # Each write through each worker.
    for number, worker in enumerate([first, second]):
        name = f"through{number}"
        created = retried(worker, "POST", "/connectors", {"name": name, "config": source(tmp_path / "none", "none")})
        assert created.status_code == 201 and created.headers["Location"] == f"{worker.url}/connectors/{name}"
        conflict = worker.send("POST", "/connectors", {"name": name, "config": source(tmp_path / "none", "none")})
        assert conflict.status_code == 409
        until(lambda: all_run(worker, [*names, name]), lambda: owners(worker), 60)
        for other in [first, second]:
            assert retried(other, "POST", f"/connectors/{name}/restart").status_code == 204
            assert retried(other, "POST", f"/connectors/{name}/tasks/0/restart").status_code == 204
            assert retried(other, "POST", f"/connectors/{name}/restart?includeTasks=true").status_code == 202
        patched = retried(worker, "PATCH", f"/connectors/{name}/config", {"note": "x"})
        assert patched.json()["config"]["note"] == "x"
        assert retried(worker, "PUT", f"/connectors/{name}/stop").status_code == 204
        assert retried(worker, "DELETE", f"/connectors/{name}/offsets").status_code == 200
        assert retried(worker, "DELETE", f"/connectors/{name}").status_code == 204
        until(lambda: name not in first.get("/connectors").json() + second.get("/connectors").json(), "it is gone")
    assert first.stop() == 0
    until(lambda: all_run(second, names, [host(second)]), lambda: owners(second), 60)
    for name in names:
        assert lines_in(kafka, f"shared-{name}") == [name]

    def counted_of_second():
        lines = second.get("/metrics").text.splitlines()
        return {line.split(" ")[0]: line.split(" ")[1] for line in lines if not line.startswith("#")}

    # What was deleted goes from this worker's share with a round of its own.
    count = "kafka_connect_connect_worker_metrics_connector_count"
    until(lambda: counted_of_second()[count] == str(len(names)), lambda: f"{counted_of_second()[count]} connectors are counted", 30)
    counted = counted_of_second()
    of_group = "kafka_connect_connect_worker_rebalance_metrics_"
    assert counted[f'{of_group}leader_name{{leader_name="{second.url}/"}}'] == "1"
    assert int(counted[f"{of_group}completed_rebalances_total"]) >= 2 and counted[f"{of_group}rebalancing"] == "0"
    assert int(counted[f"{of_group}rebalance_max_time_ms"]) >= int(counted[f"{of_group}rebalance_avg_time_ms"])
    assert int(counted[f"{of_group}time_since_last_rebalance_ms"]) >= 0 and int(counted[f"{of_group}epoch"]) >= 2


def test_work_survives_kill_9_of_each_worker_in_turn(kafka, new_worker, tmp_path):
    workers = [new_worker(), new_worker()]
    names = [f"k{number}" for number in range(4)]
    written = {name: 0 for name in names}
    stop = threading.Event()
    for name in names:
        (tmp_path / name).touch()
        assert retried(workers[0], "PUT", f"/connectors/{name}/config", source(tmp_path / name, f"killed-{name}")).status_code in (200, 201)

    def write():
        while not stop.wait(0.02):
            for name in names:
                with open(tmp_path / name, "a", encoding="utf-8") as file:
                    file.write(f"{written[name]}\n")
                written[name] += 1

    until(lambda: all_run(workers[0], names, [host(worker) for worker in workers]), lambda: owners(workers[0]), 60)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(4):
            victim, survivor = workers[turn % 2], workers[1 - turn % 2]
            victim.kill()
            until(lambda: all_run(survivor, names, [host(survivor)]), lambda: (owners(survivor), survivor.log_tail()), 90)
            victim.start()
            until(lambda: all_run(survivor, names, [host(worker) for worker in workers]),
                  lambda: (owners(survivor), survivor.log_tail()), 90)
    finally:
        stop.set()
        writer.join()
    for name in names:
        expected = [str(number) for number in range(written[name])]
        until(lambda: set(lines_in(kafka, f"killed-{name}")) >= set(expected), f"no line of {name} is lost", 60, poll=1)


def test_the_work_of_a_worker_waits_for_it_to_come_back(kafka, new_worker, tmp_path):
    first, second = (new_worker(scheduled_rebalance_max_delay_ms=60_000) for _ in range(2))
    names = ["w0", "w1"]
    for name in names:
        (tmp_path / name).write_text("line\n")
        assert retried(first, "PUT", f"/connectors/{name}/config", source(tmp_path / name, f"wait-{name}")).status_code == 201
    found = until(lambda: all_run(first, names, [host(first), host(second)]), lambda: owners(first), 60)
    assert second.stop() == 0
    lost = {part for part, owner in found.items() if owner == host(second)}
    until(lambda: {part for part, owner in owners(first).items() if owner is None} == lost, lambda: owners(first))
    second.start()
    # Another moves nothing: what stayed has stayed where it was.
    kept = {part: owner for part, owner in owners(first).items() if owner}
    assert all(found[part] == owner for part, owner in kept.items())


def test_a_worker_of_apache_kafka_shares_a_group_with_ours(kafka, new_worker, tmp_path, request):
    ours = new_worker()
    port = free_port()
    file = properties(tmp_path / "java.properties", {**ours.settings, "listeners": f"http://127.0.0.1:{port}"})
    with open(tmp_path / "java.log", "wb") as log:
        java = subprocess.Popen(
            ["java", "-Xmx256m", f"-Dlog4j2.configurationFile={paths.KAFKA_LIBS.parent / 'log4j2.properties'}", "-cp",
             f"{paths.KAFKA_LIBS}/*", "org.apache.kafka.connect.cli.ConnectDistributed", str(file)],
            stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path)
    theirs = DistributedWorker(tmp_path / "theirs", kafka.bootstrap)
    theirs.url, theirs.process = f"http://127.0.0.1:{port}", java
    try:
        until(theirs._answers, lambda: (tmp_path / "java.log").read_text()[-3000:], 120)
        names = ["a", "b", "c", "d"]
        for name in names:
            body = {"name": name, "initial_state": "STOPPED", "config": source(tmp_path / name, name)}
            assert retried(ours, "POST", "/connectors", body).status_code == 201

        def shared():
            # Its worker has no FileStream connectors, so its share fails there; what counts is that it has a share.
            rows = {name: (ours.status(name) or {}).get("connector", {}) for name in names}
            return {row.get("worker_id") for row in rows.values()} == {host(ours), f"127.0.0.1:{port}"} and rows

        rows = until(shared, lambda: ([ours.status(name) for name in names], (tmp_path / "java.log").read_text()[-2000:]), 60)
        assert {row["state"] for row in rows.values() if row["worker_id"] == host(ours)} == {"STOPPED"}
        assert sorted(theirs.get("/connectors").json()) == names
        until(lambda: {name: theirs.status(name)["connector"] for name in names}
              == {name: ours.status(name)["connector"] for name in names}, "both tell the same states")
        # It hands writes to our worker, which leads.
        assert retried(theirs, "DELETE", "/connectors/a").status_code == 204
        until(lambda: sorted(ours.get("/connectors").json()) == names[1:], "the connector is gone")
        retried(theirs, "PUT", "/connectors/b/pause")
        until(lambda: ours.send("GET", "/connectors/b/status").status_code == 200, "the state is known")
    finally:
        java.send_signal(signal.SIGTERM)
        java.wait(60)
    until(lambda: all(ours.status(name)["connector"]["worker_id"] == host(ours) for name in names[1:]),
          lambda: [ours.status(name) for name in names[1:]], 60)
