"""The standard authorizer as clients meet it: what they may do, what they are told otherwise, and what is logged."""

import re
import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient, ConfigResource,
                                   NewPartitions, NewTopic, ResourcePatternType, ResourceType)

from harness import apache
from harness.certificates import Authority
from harness.server import Server, free_port
from harness.wait import until

USERS = ["admin", "alice", "bob", "carol"]
JAAS = ("org.apache.kafka.common.security.plain.PlainLoginModule required "
        + " ".join(f'user_{user}="{user}-secret"' for user in USERS) + ";")


class Node:
    def __init__(self, directory):
        self.directory = directory
        self.authority = Authority(directory / "ca")
        store = self.authority.issue("broker", "/CN=broker")
        self.authority.issue("client", "/C=DE/O=Test\\, Inc./OU=Users/CN=Some Client")
        self.port, self.mtls = free_port(), free_port()
        self.admins = {}
        self.server = Server(directory, {
            "listeners": f"SASL_PLAINTEXT://127.0.0.1:{self.port},SSL://127.0.0.1:{self.mtls}",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": JAAS,
            "ssl.keystore.type": "PEM", "ssl.keystore.location": store, "ssl.client.auth": "required",
            "ssl.truststore.type": "PEM", "ssl.truststore.location": self.authority.certificate,
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin;User:root",
        }, port=self.port).start()

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def settings(self, user, **more):
        return {"bootstrap.servers": self.bootstrap, "log_level": 0, "security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN",
                "sasl.username": user, "sasl.password": f"{user}-secret", **more}

    def admin(self, user="admin"):
        """Kept: a future of a client that is gone fails."""
        if user not in self.admins:
            self.admins[user] = AdminClient(self.settings(user))
        return self.admins[user]

    def create_topic(self, name=None):
        name = name or f"t-{uuid.uuid4().hex[:8]}"
        for future in self.admin().create_topics([NewTopic(name, 1, 1)]).values():
            future.result()
        return name

    def allow(self, user, operation, kind, name, pattern=ResourcePatternType.LITERAL, permission=AclPermissionType.ALLOW, host="*"):
        binding = AclBinding(kind, name, pattern, f"User:{user}", host, operation, permission)
        for future in self.admin().create_acls([binding]).values():
            future.result()
        return binding

    def deny(self, user, operation, kind, name, pattern=ResourcePatternType.LITERAL):
        return self.allow(user, operation, kind, name, pattern, AclPermissionType.DENY)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    made = Node(tmp_path_factory.mktemp("authorizer"))
    yield made
    assert made.server.alive() and made.server.stop() == 0, made.server.log_tail()
    assert "panicked" not in made.server.log()


def code(call):
    """The error code of a call, or what it returned."""
    try:
        return call()
    except KafkaException as failure:
        return failure.args[0].code()


def produce(node, user, topic, **settings):
    errors = []
    producer = Producer(node.settings(user, **{"message.timeout.ms": 15000, **settings}))
    producer.produce(topic, b"x", on_delivery=lambda error, _: errors.append(error.code() if error else None))
    producer.flush(20)
    return errors[0]


def consume(node, user, topic, group=None):
    """The first value or error code that a consumer gets."""
    consumer = Consumer(node.settings(user, **{"group.id": group or f"g-{uuid.uuid4().hex[:8]}", "auto.offset.reset": "earliest"}))
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while True:
            message = consumer.poll(20)
            assert message is not None, "nothing within 20 s"
            if not message.error():
                return message.value()
            # The client looks for its group although it was told where to read.
            if message.error().code() != KafkaError.GROUP_AUTHORIZATION_FAILED:
                return message.error().code()
    finally:
        consumer.close()


def test_producing_needs_write(node):
    topic = node.create_topic()
    assert produce(node, "alice", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    node.allow("alice", AclOperation.WRITE, ResourceType.TOPIC, topic)
    assert produce(node, "alice", topic) is None
    assert produce(node, "alice", topic, **{"enable.idempotence": True}) is None, "who may write may write idempotently"
    assert consume(node, "alice", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    node.deny("alice", AclOperation.WRITE, ResourceType.TOPIC, topic[:4], ResourcePatternType.PREFIXED)
    assert produce(node, "alice", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED, "a denial wins"
    filters = [AclBindingFilter(ResourceType.TOPIC, topic[:4], ResourcePatternType.PREFIXED, None, None, AclOperation.ANY, AclPermissionType.DENY)]
    for future in node.admin().delete_acls(filters).values():
        assert len(future.result()) == 1
    assert produce(node, "alice", topic) is None


def test_an_idempotent_producer_without_any_right(node):
    errors = []
    producer = Producer(node.settings("carol", **{"enable.idempotence": True, "error_cb": errors.append, "message.timeout.ms": 8000}))
    producer.produce(node.create_topic(), b"x")
    heard = until(lambda: code(lambda: producer.poll(0.1)) == KafkaError.CLUSTER_AUTHORIZATION_FAILED or errors, "the refusal")
    assert heard is True or KafkaError._FATAL in {error.code() for error in errors}, errors


def test_consuming_needs_read_on_topic_and_group(node):
    topic, group = node.create_topic(), f"g-{uuid.uuid4().hex[:8]}"
    assert produce(node, "admin", topic) is None
    node.allow("bob", AclOperation.READ, ResourceType.TOPIC, topic[:5], ResourcePatternType.PREFIXED)
    assert consume(node, "bob", topic) == b"x"

    def first(user):
        consumer = Consumer(node.settings(user, **{"group.id": group, "auto.offset.reset": "earliest"}))
        consumer.subscribe([topic])
        try:
            message = consumer.poll(20)
            return message.error().code() if message.error() else message.value()
        except KafkaException as failure:
            return failure.args[0].code()
        finally:
            consumer.close()

    assert first("bob") == KafkaError.GROUP_AUTHORIZATION_FAILED
    node.allow("bob", AclOperation.READ, ResourceType.GROUP, group)
    assert first("bob") == b"x"


def test_what_may_not_be_described_is_not_there(node):
    hidden, seen = node.create_topic("hidden-" + uuid.uuid4().hex[:8]), node.create_topic("seen-" + uuid.uuid4().hex[:8])
    node.allow("carol", AclOperation.DESCRIBE, ResourceType.TOPIC, seen)
    listing = node.admin("carol").list_topics(timeout=20).topics
    assert seen in listing and hidden not in listing
    named = node.admin("carol").list_topics(hidden, timeout=20).topics[hidden]
    missing = node.admin("carol").list_topics("no-such-topic", timeout=20).topics["no-such-topic"]
    assert named.error.code() == missing.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, "no telling them apart"
    assert "no-such-topic" not in node.admin().list_topics(timeout=20).topics


def test_topics_are_created_on_first_use_by_those_who_may(node):
    name = "auto-" + uuid.uuid4().hex[:8]
    node.allow("alice", AclOperation.DESCRIBE, ResourceType.TOPIC, name)
    node.allow("alice", AclOperation.WRITE, ResourceType.TOPIC, name)
    assert produce(node, "alice", name) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    assert name not in node.admin().list_topics(timeout=20).topics
    node.allow("alice", AclOperation.CREATE, ResourceType.TOPIC, name)
    assert produce(node, "alice", name) is None


def test_admin_calls_of_a_client_without_rights(node):
    topic, group = node.create_topic(), f"g-{uuid.uuid4().hex[:8]}"
    carol = node.admin("carol")

    def only(futures):
        return next(iter(futures.values())).result(30)

    binding = AclBinding(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:carol", "*", AclOperation.ALL, AclPermissionType.ALLOW)
    everything = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
    denied = {
        "create topic": (lambda: only(carol.create_topics([NewTopic("x-" + topic, 1, 1)])), KafkaError.TOPIC_AUTHORIZATION_FAILED),
        "delete topic": (lambda: only(carol.delete_topics([topic])), KafkaError.TOPIC_AUTHORIZATION_FAILED),
        "create partitions": (lambda: only(carol.create_partitions([NewPartitions(topic, 5)])), KafkaError.TOPIC_AUTHORIZATION_FAILED),
        "describe topic config": (lambda: only(carol.describe_configs([ConfigResource(ResourceType.TOPIC, topic)])),
                                  KafkaError.TOPIC_AUTHORIZATION_FAILED),
        "describe broker config": (lambda: only(carol.describe_configs([ConfigResource(ResourceType.BROKER, "1")])),
                                   KafkaError.CLUSTER_AUTHORIZATION_FAILED),
        "create acl": (lambda: only(carol.create_acls([binding])), KafkaError.CLUSTER_AUTHORIZATION_FAILED),
        "delete acl": (lambda: only(carol.delete_acls([everything])), KafkaError.CLUSTER_AUTHORIZATION_FAILED),
        "delete group": (lambda: only(carol.delete_consumer_groups([group])), KafkaError.GROUP_AUTHORIZATION_FAILED),
    }
    got = {what: code(call) for what, (call, _) in denied.items()}
    assert got == {what: expected for what, (_, expected) in denied.items()}
    assert topic in node.admin().list_topics(timeout=20).topics


def test_groups_are_listed_to_those_who_may_describe_them(node):
    topic, group = node.create_topic(), f"g-{uuid.uuid4().hex[:8]}"
    consumer = Consumer(node.settings("admin", **{"group.id": group}))
    consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    consumer.close()

    def listed(user):
        return group in {found.group_id for found in node.admin(user).list_consumer_groups().result().valid}

    assert listed("admin") and not listed("carol")
    node.allow("carol", AclOperation.DESCRIBE, ResourceType.GROUP, group)
    assert listed("carol")


def test_hosts_count(node):
    topic = node.create_topic()
    node.allow("alice", AclOperation.WRITE, ResourceType.TOPIC, topic, host="10.1.2.3")
    assert produce(node, "alice", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    node.allow("alice", AclOperation.WRITE, ResourceType.TOPIC, topic, host="127.0.0.1")
    assert produce(node, "alice", topic) is None


def test_a_certificate_is_a_principal(node):
    topic, directory = node.create_topic(), node.authority.directory
    client = {"bootstrap.servers": f"localhost:{node.mtls}", "log_level": 0, "security.protocol": "ssl",
              "ssl.ca.location": str(node.authority.certificate), "ssl.certificate.location": str(directory / "client.crt"),
              "ssl.key.location": str(directory / "client.key")}
    assert AdminClient(client).list_topics(topic, timeout=20).topics[topic].error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    (name,) = set(re.findall(r"principal=User:(CN=Some Client.*?) operation=", node.server.log()))
    assert name == "CN=Some Client,OU=Users,O=Test\\, Inc.,C=DE"
    node.allow(name, AclOperation.DESCRIBE, ResourceType.TOPIC, topic)
    assert AdminClient(client).list_topics(topic, timeout=20).topics[topic].error is None


def test_denials_are_logged_with_all_that_is_needed(node):
    topic = node.create_topic()
    assert produce(node, "carol", topic) == KafkaError.TOPIC_AUTHORIZATION_FAILED
    lines = until(lambda: [line for line in node.server.log().splitlines() if topic in line and "denied" in line], "the line")
    assert all(part in lines[0] for part in ("User:carol", f"TOPIC:{topic}", "127.0.0.1", "operation=")), lines[0]


@pytest.mark.slow
def test_authorized_operations_as_java_shows_them(node):
    topic = node.create_topic()
    node.allow("bob", AclOperation.READ, ResourceType.TOPIC, topic)
    # The tool shows the topic's configuration too.
    node.allow("bob", AclOperation.DESCRIBE_CONFIGS, ResourceType.TOPIC, topic)
    file = node.directory / "bob.properties"
    file.write_text("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.plain."
                    'PlainLoginModule required username="bob" password="bob-secret";\n')
    described = apache.tool("kafka-topics", "--bootstrap-server", node.bootstrap, "--command-config", file, "--describe", "--topic", topic)
    assert f"Topic: {topic}" in described.stdout
    refused = apache.tool("kafka-topics", "--bootstrap-server", node.bootstrap, "--command-config", file, "--delete", "--topic", topic,
                          check=False)
    assert "Authorization failed" in refused.stdout + refused.stderr or "TopicAuthorizationException" in refused.stdout + refused.stderr


def test_everything_is_allowed_if_no_acl_is_found(new_server):
    server = new_server({"authorizer.class.name": "kafka.security.authorizer.AclAuthorizer", "allow.everyone.if.no.acl.found": "true"}).start()
    admin = AdminClient({"bootstrap.servers": server.bootstrap, "log_level": 0})
    for future in admin.create_topics([NewTopic("open", 1, 1), NewTopic("closed", 1, 1)]).values():
        future.result()
    binding = AclBinding(ResourceType.TOPIC, "closed", ResourcePatternType.LITERAL, "User:somebody", "*", AclOperation.READ,
                         AclPermissionType.ALLOW)
    for future in admin.create_acls([binding]).values():
        future.result()
    topics = admin.list_topics(timeout=20).topics
    assert "open" in topics and "closed" not in topics
    assert server.restart() and "closed" not in admin.list_topics(timeout=20).topics, "rules outlive a restart"


def test_an_unknown_authorizer_is_refused_at_the_start(new_server):
    server = new_server({"authorizer.class.name": "com.example.Authorizer"}).spawn()
    assert server.process.wait(30) != 0
    assert "com.example.Authorizer is not available" in server.log()
