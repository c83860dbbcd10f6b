"""A group of three over six partitions: one is killed, one is added, and with committed offsets nothing is read twice or lost."""

import json
import signal
import subprocess
import sys
import threading

import pytest
from confluent_kafka import Producer

from harness import librdkafka, paths
from harness.wait import until

OVERRIDES = {
    # So that a killed member of the new protocol is missed as soon as one of the classic one.
    "group.consumer.session.timeout.ms": 6000,
    "group.consumer.min.session.timeout.ms": 6000,
    "group.consumer.heartbeat.interval.ms": 500,
    "group.consumer.min.heartbeat.interval.ms": 500,
}


class Member:
    """A member process and what it has said so far."""

    def __init__(self, broker, topic, group, protocol, strategy):
        self.assigned, self.records = None, []
        self.process = subprocess.Popen(
            [sys.executable, str(paths.CLIENTS / "group_member.py"), broker.bootstrap, topic, group, protocol, strategy],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "assigned" in said:
                self.assigned = said["assigned"]
            elif "offset" in said:
                self.records.append((said["partition"], said["offset"], said["value"]))

    def end(self, number):
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        self._listener.join(timeout=10)


@pytest.mark.slow
@pytest.mark.parametrize("protocol, strategy", [
    ("classic", "range"), ("classic", "cooperative-sticky"), ("consumer", "uniform"),
], ids=["classic-eager", "classic-cooperative", "consumer"])
def test_three_members_six_partitions_a_kill_and_an_add(broker, topic, group, protocol, strategy):
    librdkafka.create_topic(broker, topic, partitions=6)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 2})
    sent = 0

    def send(count):
        nonlocal sent
        for _ in range(count):
            producer.produce(topic, b"%d" % sent, partition=sent % 6)
            sent += 1
        assert producer.flush(20) == 0

    members = []

    def join():
        members.append(Member(broker, topic, group, protocol, strategy))

    def shares(expected):
        living = [member for member in members if member.process.poll() is None]
        held = [set(member.assigned or []) for member in living]
        return sorted(map(len, held)) == expected and set().union(*held) == set(range(6))

    def read_so_far():
        return sum(len(member.records) for member in members)

    try:
        for _ in range(3):
            join()
        until(lambda: shares([2, 2, 2]), "two partitions each", timeout=60)
        send(600)
        until(lambda: read_so_far() >= 300, "half of it is read", timeout=60)
        members[0].end(signal.SIGKILL)
        until(lambda: shares([3, 3]), "the others take over its partitions", timeout=60)
        send(600)
        join()
        until(lambda: shares([2, 2, 2]), "partitions move to the new member", timeout=60)
        send(600)
        # The killed member may have committed a record without telling; it is at most one.
        until(lambda: read_so_far() >= sent - 1, lambda: f"{read_so_far()} of {sent} are read", timeout=60)
        for member in members[1:]:
            member.end(signal.SIGTERM)
    finally:
        for member in members:
            member.process.kill()
    everything = [record for member in members for record in member.records]
    assert len(set(everything)) == len(everything), "a record was read twice"
    assert len(everything) >= sent - 1, "a record was lost"
    values = {int(value) for _, _, value in everything}
    assert len(values) == len(everything) and values <= set(range(sent))


def test_the_initial_rebalance_waits_for_the_members_that_start_together(new_server, topic):
    """group.initial.rebalance.delay.ms: members that join within it make one generation, not three."""
    from confluent_kafka import Consumer

    server = new_server({"group.initial.rebalance.delay.ms": 1500}).start()
    librdkafka.create_topic(server, topic, partitions=3)
    assignments = []
    members = [Consumer({"bootstrap.servers": server.bootstrap, "group.id": "g", "heartbeat.interval.ms": 300}) for _ in range(3)]
    try:
        for number, member in enumerate(members):
            member.subscribe([topic], on_assign=lambda _, partitions, number=number: assignments.append((number, len(partitions))))

        def balanced():
            for member in members:
                member.poll(0.05)
            return [len(member.assignment()) for member in members] == [1, 1, 1]

        until(balanced, "one partition each", timeout=60, poll=0)
        assert sorted(assignments) == [(0, 1), (1, 1), (2, 1)], "one rebalance, no intermediate assignments"
    finally:
        for member in members:
            member.close()
