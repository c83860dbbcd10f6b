"""Copies one topic to another, exactly once: consume, produce and commit in transactions, until it is killed.

Usage: exactly_once_worker.py BOOTSTRAP INPUT OUTPUT GROUP NAME
"""

import faulthandler
import signal
import sys

from confluent_kafka import Consumer, KafkaException, Producer

bootstrap, source, target, group, name = sys.argv[1:]
BATCH = 200
faulthandler.register(signal.SIGUSR1)

# With one broker a re-bootstrap gains nothing, and librdkafka may lose a TxnOffsetCommit over it.
RECOVERY = {"metadata.recovery.strategy": "none"}

consumer = Consumer({
    **RECOVERY,
    "bootstrap.servers": bootstrap, "group.id": group, "group.instance.id": name, "session.timeout.ms": 10000,
    "isolation.level": "read_committed", "enable.auto.commit": False, "auto.offset.reset": "earliest",
    "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "log_level": 0,
})
producer = Producer({
    **RECOVERY,
    "bootstrap.servers": bootstrap, "transactional.id": f"{group}-{name}", "transaction.timeout.ms": 30000,
    "linger.ms": 1, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "log_level": 0,
})


def retried(step):
    """Runs a step of a transaction; errors that ask for it are answered by trying again."""
    while True:
        try:
            return step()
        except KafkaException as error:
            if not error.args[0].retriable() or error.args[0].txn_requires_abort():
                raise


def copy(messages):
    producer.begin_transaction()
    try:
        for message in messages:
            producer.produce(target, message.value(), message.key(), partition=message.partition())
        offsets = consumer.position(consumer.assignment())
        retried(lambda: producer.send_offsets_to_transaction(
            [offset for offset in offsets if offset.offset >= 0], consumer.consumer_group_metadata(), 20))
        retried(lambda: producer.commit_transaction(20))
    except KafkaException as error:
        if not error.args[0].txn_requires_abort():
            raise
        retried(lambda: producer.abort_transaction(20))
        # What was read but not committed is read again.
        for offset in consumer.committed(consumer.assignment(), timeout=20):
            if offset.offset < 0:
                offset.offset = 0
            consumer.seek(offset)


retried(lambda: producer.init_transactions(30))
consumer.subscribe([source])
while True:
    batch = [message for message in consumer.consume(BATCH, 0.05) if not message.error()]
    if batch:
        copy(batch)
