"""Apache Kafka's own jars: its command-line tools as clients, and its broker as the writer of a data directory."""

import os
import shutil
import subprocess

from . import paths
from .server import free_port
from .wait import until

TOOLS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-e2e-latency": "org.apache.kafka.tools.EndToEndLatency",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-acls": "org.apache.kafka.tools.AclCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-client-metrics": "org.apache.kafka.tools.ClientMetricsCommand",
    "kafka-delegation-tokens": "org.apache.kafka.tools.DelegationTokenCommand",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-share-groups": "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
    "kafka-console-share-consumer": "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
    "kafka-streams-groups": "org.apache.kafka.tools.streams.StreamsGroupCommand",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
}

# Small heaps and the quick compiler: these are many short runs on few cores.
JVM = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m"]


def _java(*arguments, classpath=None):
    assert shutil.which("java"), "java is missing: scripts/install-test-deps.sh"
    assert paths.KAFKA_LIBS.is_dir(), "Apache Kafka's jars are missing: scripts/install-test-deps.sh"
    logging = f"-Dlog4j2.configurationFile={paths.KAFKA_LIBS.parent / 'log4j2.properties'}"
    return ["java", *JVM, logging, "-cp", f"{paths.KAFKA_LIBS}/*" + (f":{classpath}/*" if classpath else ""), *map(str, arguments)]


def tool(name, *arguments, stdin="", timeout=90, check=True):
    """Runs one of Apache Kafka's tools to its end."""
    done = subprocess.run(_java(TOOLS[name], *arguments), input=stdin, capture_output=True, text=True, timeout=timeout,
                          check=False)
    if check:
        assert done.returncode == 0, f"{name} exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def source(path, *arguments, timeout=120, classpath=None):
    """Compiles and runs a single Java source file against Apache Kafka's clients, and the jars of another directory."""
    return subprocess.run(_java(path, *arguments, classpath=classpath), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                          check=False)


class Broker:
    """A one-node Apache Kafka in KRaft mode over a directory of its own."""

    def __init__(self, directory, overrides=None):
        self.directory = directory
        self.data = directory / "kafka-data"
        self.port, self.controller_port = free_port(), free_port()
        self.overrides = overrides or {}
        self.process = None

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self.data,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 3,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 2,
            "group.initial.rebalance.delay.ms": 0,
            **self.overrides,
        }
        file = self.directory / "server.properties"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        if not self.data.exists():
            identity = tool("kafka-storage", "random-uuid").stdout.split()[-1]
            tool("kafka-storage", "format", "-t", identity, "-c", file)
        log = open(self.directory / "kafka.log", "ab")
        self.process = subprocess.Popen(_java("kafka.Kafka", file), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env=os.environ)
        log.close()
        from . import librdkafka
        until(lambda: _answers(librdkafka.admin(self)), "Apache Kafka answers", timeout=90, poll=0.3)
        return self

    def stop(self):
        """A clean stop: its checkpoints and indexes are written."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)


def _answers(client):
    from confluent_kafka import KafkaException
    try:
        return client.list_topics(timeout=2).brokers
    except KafkaException:
        return None
