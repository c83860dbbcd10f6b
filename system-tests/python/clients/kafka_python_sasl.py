"""kafka-python over SASL: address, mechanism, user, password, topic."""

import sys

from kafka import KafkaConsumer, KafkaProducer

address, mechanism, user, password, topic = sys.argv[1:]
settings = {"bootstrap_servers": address, "security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism,
            "sasl_plain_username": user, "sasl_plain_password": password}
producer = KafkaProducer(**settings)
for value in (b"a", b"b"):
    producer.send(topic, value).get(30)
producer.close()
consumer = KafkaConsumer(topic, auto_offset_reset="earliest", consumer_timeout_ms=20000, **settings)
read = []
for message in consumer:
    read.append(message.value)
    if len(read) == 2:
        break
assert read == [b"a", b"b"], read
