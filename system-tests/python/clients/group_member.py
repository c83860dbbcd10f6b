"""One member of a consumer group in a process of its own, so that it can be killed for real.

Usage: group_member.py BOOTSTRAP TOPIC GROUP PROTOCOL. Prints JSON lines: {"assigned": [...]} after each rebalance and
{"partition": P, "offset": O, "value": V} for each record, the latter only once its offset is committed.
SIGTERM leaves the group in good order.
"""

import json
import signal
import sys

from confluent_kafka import Consumer, KafkaException, TopicPartition

bootstrap, topic, group, protocol = sys.argv[1:5]
options = {
    "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
    "group.protocol": protocol, "fetch.wait.max.ms": 50,
}
if protocol == "classic":
    options.update({"session.timeout.ms": 6000, "heartbeat.interval.ms": 300, "partition.assignment.strategy": sys.argv[5]})
consumer = Consumer(options)
running = True


def end(*_):
    global running
    running = False


def say(**line):
    print(json.dumps(line), flush=True)


def settle(*_):
    """Commits what is read, and says it only then; a refused commit is tried again as long as the partition is ours."""
    offsets = [TopicPartition(topic, number, messages[-1].offset() + 1) for number, messages in pending.items()]
    if not offsets:
        return
    try:
        consumer.commit(offsets=offsets, asynchronous=False)
    except KafkaException as problem:
        say(refused=problem.args[0].name())
        return
    for messages in pending.values():
        for message in messages:
            say(partition=message.partition(), offset=message.offset(), value=message.value().decode())
    pending.clear()


def revoked(_, partitions):
    """The last chance to commit; whoever has the partition next reads again what was not."""
    settle()
    lost(_, partitions)


def lost(_, partitions):
    for partition in partitions:
        pending.pop(partition.partition, None)


signal.signal(signal.SIGTERM, end)
held = None
pending = {}
consumer.subscribe([topic], on_revoke=revoked, on_lost=lost)
while running:
    message = consumer.poll(0.1)
    now = sorted(partition.partition for partition in consumer.assignment())
    if now != held:
        held = now
        say(assigned=held)
    if message is not None and not message.error():
        pending.setdefault(message.partition(), []).append(message)
    settle()
consumer.close()
