//! Who this broker is in its cluster: roles, quorum, metadata log, replication.

use super::super::ConfigType::{Boolean, Int, List, Long, String};
use super::super::Validator::{ListOf, NonEmptyList, OneOf};
use super::super::{ConfigDef, def, unset};

pub(super) const CLUSTER: &[ConfigDef] = &[
    def("process.roles", List, "broker")
        .check(ListOf(&["broker", "controller"]))
        .high()
        .doc("What this process is; the controller always works inside the broker here."),
    def("node.id", Int, "1").at_least(0).high().doc("The id of this broker."),
    def("initial.broker.registration.timeout.ms", Int, "60000")
        .low()
        .doc("Milliseconds a new broker may take to register with the controller."),
    def("broker.heartbeat.interval.ms", Int, "2000")
        .low()
        .doc("Milliseconds between heartbeats of a broker to the controller."),
    def("broker.session.timeout.ms", Int, "9000")
        .low()
        .doc("Milliseconds without a heartbeat after which a broker is fenced."),
    unset("controller.listener.names", List)
        .check(NonEmptyList)
        .doc("Listeners that belong to the controller; they are not opened here."),
    def("sasl.mechanism.controller.protocol", String, "GSSAPI")
        .low()
        .doc("SASL mechanism between brokers and controllers."),
    def("controller.performance.sample.period.ms", Long, "60000")
        .at_least(100)
        .low()
        .doc("Milliseconds over which the controller's own timing is sampled."),
    def("controller.performance.always.log.threshold.ms", Long, "2000")
        .at_least(0)
        .low()
        .doc("Milliseconds from which a slow event of the controller is always logged."),
    def("server.max.startup.time.ms", Long, "9223372036854775807")
        .at_least(0)
        .low()
        .doc("Milliseconds a start may take."),
    def("controller.quorum.voters", List, "")
        .low()
        .doc("The controllers of a KRaft quorum: id@host:port; one broker needs none."),
    def("controller.quorum.bootstrap.servers", List, "")
        .low()
        .doc("Where to find the KRaft quorum: host:port; one broker needs none."),
    def("controller.quorum.election.timeout.ms", Int, "1000")
        .at_least(0)
        .low()
        .doc("Milliseconds without contact after which a controller is elected."),
    def("controller.quorum.fetch.timeout.ms", Int, "2000")
        .at_least(0)
        .low()
        .doc("Milliseconds without a successful fetch after which a follower stands for election."),
    def("controller.quorum.election.backoff.max.ms", Int, "1000")
        .at_least(0)
        .low()
        .doc("Most milliseconds between two attempts to elect a controller."),
    def("controller.quorum.append.linger.ms", Int, "25")
        .at_least(0)
        .low()
        .doc("Milliseconds the controller collects writes before it sends them."),
    def("controller.quorum.auto.join.enable", Boolean, "false")
        .low()
        .doc("Whether a controller joins the quorum by itself."),
    def("controller.quorum.fetch.snapshot.max.bytes", Int, "1048576")
        .at_least(1)
        .low()
        .doc("Most bytes of one fetch of a metadata snapshot."),
    def("controller.quorum.fetch.max.bytes", Int, "1048576")
        .at_least(1)
        .low()
        .doc("Most bytes of one fetch of the metadata log."),
    def("metadata.log.max.record.bytes.between.snapshots", Long, "20971520")
        .at_least(1)
        .low()
        .doc("Bytes of metadata records after which Kafka writes a snapshot."),
    def("metadata.log.max.snapshot.interval.ms", Long, "3600000")
        .at_least(0)
        .low()
        .doc("Milliseconds after which Kafka writes a snapshot of the metadata."),
    unset("metadata.log.dir", String).doc("Directory of the metadata; the first log directory when not set."),
    def("metadata.log.segment.bytes", Int, "1073741824")
        .at_least(8388608)
        .low()
        .doc("Size of a segment of Kafka's metadata log."),
    def("metadata.log.segment.ms", Long, "604800000")
        .low()
        .doc("Age in milliseconds of a segment of Kafka's metadata log."),
    def("metadata.max.retention.bytes", Long, "104857600")
        .low()
        .doc("Bytes of metadata log and snapshots that Kafka keeps."),
    def("metadata.max.retention.ms", Long, "604800000")
        .low()
        .doc("Milliseconds that Kafka keeps metadata log and snapshots."),
    def("metadata.max.idle.interval.ms", Int, "500")
        .at_least(0)
        .low()
        .doc("Milliseconds between no-op records of Kafka's metadata log."),
    def("controller.socket.timeout.ms", Int, "30000").low().doc("Milliseconds a request to the controller may take."),
    def("default.replication.factor", Int, "1")
        .high()
        .doc("Copies of each partition of topics created without a number of their own."),
    def("replica.lag.time.max.ms", Long, "30000")
        .low()
        .doc("Milliseconds a follower may lag before it leaves the in-sync replicas."),
    def("replica.socket.timeout.ms", Int, "30000").low().doc("Milliseconds a request between replicas may take."),
    def("replica.socket.receive.buffer.bytes", Int, "65536")
        .low()
        .doc("Receive buffer of connections between replicas, in bytes."),
    def("replica.fetch.max.bytes", Int, "1048576")
        .at_least(0)
        .low()
        .doc("Most bytes a follower fetches of one partition at once."),
    def("replica.fetch.wait.max.ms", Int, "500").low().doc("Most milliseconds a follower's fetch waits for data."),
    def("replica.fetch.backoff.ms", Int, "1000")
        .at_least(0)
        .low()
        .doc("Milliseconds a follower pauses after an error."),
    def("replica.fetch.min.bytes", Int, "1").low().doc("Bytes a follower's fetch waits for."),
    def("replica.fetch.response.max.bytes", Int, "10485760")
        .at_least(0)
        .low()
        .doc("Most bytes of one answer to a follower."),
    def("num.replica.fetchers", Int, "1").at_least(1).dynamic().low().doc("Threads that fetch from each leader."),
    def("replica.high.watermark.checkpoint.interval.ms", Long, "5000")
        .low()
        .doc("Milliseconds between checkpoints of the high watermark."),
    def("fetch.purgatory.purge.interval.requests", Int, "1000")
        .low()
        .doc("Waiting fetches after which Kafka clears out finished ones."),
    def("producer.purgatory.purge.interval.requests", Int, "1000")
        .low()
        .doc("Waiting produce requests after which Kafka clears out finished ones."),
    def("delete.records.purgatory.purge.interval.requests", Int, "1")
        .low()
        .doc("Waiting deletions after which Kafka clears out finished ones."),
    def("auto.leader.rebalance.enable", Boolean, "true")
        .low()
        .doc("Whether leadership returns to preferred leaders by itself."),
    def("leader.imbalance.check.interval.seconds", Long, "300")
        .at_least(1)
        .low()
        .doc("Seconds between checks for misplaced leaders."),
    def("unclean.leader.election.interval.ms", Long, "300000")
        .at_least(1)
        .low()
        .doc("Milliseconds between checks for partitions that need an unclean election."),
    def("unclean.leader.election.enable", Boolean, "false")
        .dynamic()
        .low()
        .doc("Whether a replica that is not in sync may become leader, losing records."),
    def("security.inter.broker.protocol", String, "PLAINTEXT")
        .check(OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]))
        .low()
        .doc("Protocol between brokers."),
    unset("inter.broker.listener.name", String).low().doc("Listener that brokers use among themselves."),
    unset("replica.selector.class", String).low().doc("Class that chooses the replica a consumer reads from."),
    def("follower.fetch.last.tiered.offset.enable", Boolean, "false")
        .dynamic()
        .low()
        .doc("Whether a new follower starts where tiered data ends."),
];
