"""One member of a consumer group in a process of its own, so that it can be killed for real.

Usage: group_member.py BOOTSTRAP TOPIC GROUP PROTOCOL. Prints JSON lines: {"assigned": [...]} after each rebalance and
{"partition": P, "offset": O, "value": V} for each record, the latter only once its offset is committed.
SIGTERM leaves the group in good order.
"""

import json
import signal
import sys

from confluent_kafka import Consumer, KafkaException

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


signal.signal(signal.SIGTERM, end)
held = None
consumer.subscribe([topic])
while running:
    message = consumer.poll(0.1)
    now = sorted(partition.partition for partition in consumer.assignment())
    if now != held:
        held = now
        say(assigned=held)
    if message is None or message.error():
        continue
    try:
        consumer.commit(message=message, asynchronous=False)
    except KafkaException as problem:
        # The partition has moved: whoever has it now reads this record again, so it is not ours.
        say(refused=problem.args[0].name())
        continue
    say(partition=message.partition(), offset=message.offset(), value=message.value().decode())
consumer.close()
