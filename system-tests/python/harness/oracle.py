"""The one judge of every crash test.

A record whose delivery was acknowledged is readable at exactly that offset, exactly once. A record whose fate is
unknown (sent, never acknowledged) may be there once. Anything else that can be read is a bug.
"""

import threading

from confluent_kafka import Producer

from . import librdkafka


class Writer(threading.Thread):
    """Produces numbered records to one partition until told to stop, and remembers what was acknowledged."""

    def __init__(self, broker, topic, size=200, name="w", **options):
        super().__init__(daemon=True)
        self.topic, self.size, self.prefix = topic, size, name
        self.sent, self.acknowledged, self.failures = 0, {}, []
        self._stop_asked = threading.Event()
        self._producer = Producer({
            "bootstrap.servers": broker.bootstrap,
            "linger.ms": 1,
            "batch.num.messages": 200,
            "queue.buffering.max.messages": 5000,
            "retry.backoff.ms": 20,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "message.timeout.ms": 60000,
            **options,
        })

    def run(self):
        while not self._stop_asked.is_set():
            value = b"%s-%d-" % (self.prefix.encode(), self.sent)
            try:
                self._producer.produce(self.topic, value.ljust(self.size, b"x"), partition=0, on_delivery=self._delivered)
                self.sent += 1
            except BufferError:
                self._producer.poll(0.05)
            self._producer.poll(0)
        self._left = self._producer.flush(90)

    def _delivered(self, error, message):
        if error:
            self.failures.append(error)
        else:
            self.acknowledged[message.value()] = message.offset()

    def finish(self):
        """Stops sending, waits for every outstanding delivery report."""
        self._stop_asked.set()
        self.join(timeout=120)
        assert not self.is_alive(), "the producer did not finish"
        return self

    @property
    def fatal(self):
        return [error for error in self.failures if error.fatal()]


def judge(broker, topic, writers):
    """Asserts the rule above over partition 0 of `topic`; returns how many records were read."""
    messages = librdkafka.read(broker, topic, timeout=60)
    offsets = [message.offset() for message in messages]
    assert offsets == sorted(set(offsets)), "offsets are not strictly increasing"
    where = {}
    for message in messages:
        assert message.value() not in where, (
            f"{message.value()[:30]!r} is at offsets {where[message.value()]} and {message.offset()}")
        where[message.value()] = message.offset()
    acknowledged = {}
    for writer in writers:
        acknowledged.update(writer.acknowledged)
    lost = {value[:30]: offset for value, offset in acknowledged.items() if value not in where}
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged records are lost: {list(lost.items())[:5]}"
    moved = [(value[:30], offset, where[value]) for value, offset in acknowledged.items() if where[value] != offset]
    assert not moved, f"acknowledged at one offset, read at another: {moved[:5]}"
    strangers = [value[:30] for value in where if value.split(b"-", 1)[0] not in {w.prefix.encode() for w in writers}]
    assert not strangers, f"read, but never sent: {strangers[:5]}"
    return len(messages)
