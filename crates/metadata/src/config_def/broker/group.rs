//! Group coordinators: classic, consumer, share and streams groups.

use super::super::ConfigType::{Boolean, Class, Int, List, Long, Short, String};
use super::super::Validator::{Between, ListOf, NonEmptyList, OneOfIgnoringCase};
use super::super::{ConfigDef, def, unset};

pub(super) const GROUP: &[ConfigDef] = &[
    def("group.coordinator.rebalance.protocols", List, "classic,consumer,streams")
        .check(ListOf(&["classic", "consumer", "share", "streams"]))
        .low()
        .doc("Group protocols that are served."),
    def("group.coordinator.threads", Int, "4").at_least(1).low().doc("Threads of the group coordinator in Kafka."),
    def("group.coordinator.background.threads", Int, "2")
        .at_least(1)
        .low()
        .doc("Threads that compute assignments in Kafka."),
    def("group.coordinator.append.linger.ms", Int, "-1")
        .at_least(-1)
        .low()
        .doc("Milliseconds the coordinator collects writes; -1 lets it decide."),
    def("offsets.commit.timeout.ms", Int, "5000")
        .at_least(1)
        .low()
        .doc("Milliseconds a commit may wait to become durable."),
    def("offsets.load.buffer.size", Int, "5242880")
        .at_least(1)
        .low()
        .doc("Bytes read at once while committed offsets are loaded."),
    def("offsets.topic.replication.factor", Short, "3")
        .at_least(1)
        .high()
        .doc("Copies of each partition of __consumer_offsets; never more than there are brokers."),
    def("offsets.topic.num.partitions", Int, "50")
        .at_least(1)
        .doc("Partitions of __consumer_offsets; not to be changed once it exists."),
    def("offsets.topic.segment.bytes", Int, "104857600")
        .at_least(1)
        .low()
        .doc("Segment size of __consumer_offsets in bytes."),
    def("offsets.topic.compression.codec", Int, "0")
        .low()
        .doc("Codec of __consumer_offsets by number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd."),
    def("group.coordinator.cached.buffer.max.bytes", Int, "1048588")
        .at_least(524288)
        .dynamic()
        .low()
        .doc("Largest write buffer that the coordinator keeps, in bytes."),
    def("offset.metadata.max.bytes", Int, "4096").doc("Largest text that may go with a committed offset, in bytes."),
    def("offsets.retention.minutes", Int, "10080")
        .at_least(1)
        .doc("Minutes that a group's offsets outlive its last member."),
    def("offsets.retention.check.interval.ms", Long, "600000")
        .at_least(1)
        .doc("Milliseconds between looks for expired offsets."),
    def("group.min.session.timeout.ms", Int, "6000")
        .doc("Shortest session timeout a classic member may ask for, in milliseconds."),
    def("group.max.session.timeout.ms", Int, "1800000")
        .doc("Longest session timeout a classic member may ask for, in milliseconds."),
    def("group.initial.rebalance.delay.ms", Int, "3000")
        .high()
        .doc("Milliseconds that an empty classic group waits for more members."),
    def("group.max.size", Int, "2147483647").at_least(1).doc("Most members of a classic group."),
    def("group.consumer.session.timeout.ms", Int, "45000")
        .at_least(1)
        .doc("Session timeout of a consumer group, in milliseconds."),
    def("group.consumer.min.session.timeout.ms", Int, "45000")
        .at_least(1)
        .low()
        .doc("Shortest session timeout a consumer group may set, in milliseconds."),
    def("group.consumer.max.session.timeout.ms", Int, "60000")
        .at_least(1)
        .low()
        .doc("Longest session timeout a consumer group may set, in milliseconds."),
    def("group.consumer.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .doc("Heartbeat interval of a consumer group, in milliseconds."),
    def("group.consumer.min.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .low()
        .doc("Shortest heartbeat interval a consumer group may set, in milliseconds."),
    def("group.consumer.max.heartbeat.interval.ms", Int, "15000")
        .at_least(1)
        .low()
        .doc("Longest heartbeat interval a consumer group may set, in milliseconds."),
    def("group.consumer.max.size", Int, "2147483647").at_least(1).low().doc("Most members of a consumer group."),
    def("group.consumer.assignors", List, "uniform,range")
        .check(NonEmptyList)
        .doc("Assignors of consumer groups; the first is the default."),
    def("group.consumer.migration.policy", String, "bidirectional")
        .check(OneOfIgnoringCase(&["disabled", "downgrade", "upgrade", "bidirectional"]))
        .low()
        .doc("How classic groups and consumer groups turn into each other."),
    def("group.consumer.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .dynamic()
        .doc("Time between two assignments of a consumer group, in milliseconds."),
    def("group.consumer.min.assignment.interval.ms", Int, "0")
        .at_least(0)
        .low()
        .doc("Shortest time between two assignments a consumer group may set, in milliseconds."),
    def("group.consumer.max.assignment.interval.ms", Int, "15000")
        .at_least(0)
        .low()
        .doc("Longest time between two assignments a consumer group may set, in milliseconds."),
    def("group.consumer.assignor.offload.enable", Boolean, "true")
        .dynamic()
        .low()
        .doc("Whether assignments of a consumer group are computed in the background."),
    def("group.consumer.regex.refresh.interval.ms", Int, "600000")
        .at_least(10000)
        .low()
        .doc("Milliseconds after which subscribed patterns are matched again."),
    def("group.share.session.timeout.ms", Int, "45000")
        .at_least(1)
        .low()
        .doc("Session timeout of a share group, in milliseconds."),
    def("group.share.min.session.timeout.ms", Int, "45000")
        .at_least(1)
        .low()
        .doc("Shortest session timeout a share group may set, in milliseconds."),
    def("group.share.max.session.timeout.ms", Int, "60000")
        .at_least(1)
        .low()
        .doc("Longest session timeout a share group may set, in milliseconds."),
    def("group.share.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .low()
        .doc("Heartbeat interval of a share group, in milliseconds."),
    def("group.share.min.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .low()
        .doc("Shortest heartbeat interval a share group may set, in milliseconds."),
    def("group.share.max.heartbeat.interval.ms", Int, "15000")
        .at_least(1)
        .low()
        .doc("Longest heartbeat interval a share group may set, in milliseconds."),
    def("group.share.max.size", Int, "200").check(Between(1, 1000)).low().doc("Most members of a share group."),
    def("group.share.assignors", List, "simple").check(NonEmptyList).low().doc("Assignors of share groups."),
    def("group.share.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Time between two assignments of a share group, in milliseconds."),
    def("group.share.min.assignment.interval.ms", Int, "0")
        .at_least(0)
        .low()
        .doc("Shortest time between two assignments a share group may set, in milliseconds."),
    def("group.share.max.assignment.interval.ms", Int, "15000")
        .at_least(0)
        .low()
        .doc("Longest time between two assignments a share group may set, in milliseconds."),
    def("group.share.assignor.offload.enable", Boolean, "true")
        .dynamic()
        .low()
        .doc("Whether assignments of a share group are computed in the background."),
    def("group.share.initialize.retry.interval.ms", Int, "30000")
        .at_least(1)
        .low()
        .doc("Milliseconds between attempts to initialize a share group's partitions."),
    def("errors.deadletterqueue.auto.create.topics.enable", Boolean, "false")
        .low()
        .doc("Whether dead letter topics are created when needed."),
    def("errors.deadletterqueue.topic.name.prefix", String, "dlq.")
        .low()
        .doc("Beginning that the name of a dead letter topic must have."),
    def("group.streams.session.timeout.ms", Int, "45000")
        .at_least(1)
        .low()
        .doc("Session timeout of a streams group, in milliseconds."),
    def("group.streams.min.session.timeout.ms", Int, "45000")
        .at_least(1)
        .low()
        .doc("Shortest session timeout a streams group may set, in milliseconds."),
    def("group.streams.max.session.timeout.ms", Int, "60000")
        .at_least(1)
        .low()
        .doc("Longest session timeout a streams group may set, in milliseconds."),
    def("group.streams.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .low()
        .doc("Heartbeat interval of a streams group, in milliseconds."),
    def("group.streams.min.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .low()
        .doc("Shortest heartbeat interval a streams group may set, in milliseconds."),
    def("group.streams.max.heartbeat.interval.ms", Int, "15000")
        .at_least(1)
        .low()
        .doc("Longest heartbeat interval a streams group may set, in milliseconds."),
    def("group.streams.max.size", Int, "2147483647").at_least(1).low().doc("Most members of a streams group."),
    def("group.streams.num.standby.replicas", Int, "0").at_least(0).low().doc("Standby tasks of each stateful task."),
    def("group.streams.max.standby.replicas", Int, "2")
        .at_least(0)
        .low()
        .doc("Most standby tasks a streams group may ask for."),
    def("group.streams.initial.rebalance.delay.ms", Int, "3000")
        .at_least(0)
        .low()
        .doc("Milliseconds that an empty streams group waits for more members."),
    def("group.streams.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Time between two assignments of a streams group, in milliseconds."),
    def("group.streams.min.assignment.interval.ms", Int, "0")
        .at_least(0)
        .low()
        .doc("Shortest time between two assignments a streams group may set, in milliseconds."),
    def("group.streams.max.assignment.interval.ms", Int, "15000")
        .at_least(0)
        .low()
        .doc("Longest time between two assignments a streams group may set, in milliseconds."),
    def("group.streams.assignors", List, "sticky").check(NonEmptyList).low().doc("Assignors of streams groups."),
    def("group.streams.assignor.offload.enable", Boolean, "true")
        .dynamic()
        .low()
        .doc("Whether assignments of a streams group are computed in the background."),
    def("group.streams.task.offset.interval.ms", Int, "60000")
        .at_least(1)
        .low()
        .doc("Milliseconds between reports of task offsets."),
    def("group.streams.min.task.offset.interval.ms", Int, "15000")
        .at_least(1)
        .low()
        .doc("Shortest interval of task offset reports a group may set, in milliseconds."),
    def("group.streams.num.warmup.replicas", Int, "2").at_least(0).low().doc("Tasks that warm up at the same time."),
    def("group.streams.max.warmup.replicas", Int, "20")
        .at_least(0)
        .low()
        .doc("Most warm-up tasks a streams group may ask for."),
    def("group.streams.rack.aware.assignment.tags", List, "")
        .low()
        .doc("Client tags that standby tasks are spread over."),
    unset("group.streams.topology.description.plugin.class", Class)
        .low()
        .doc("Class that keeps topology descriptions."),
    def("group.streams.acceptable.recovery.lag", Long, "10000")
        .at_least(0)
        .low()
        .doc("Offsets a task may lag and still count as caught up."),
    def("group.share.delivery.count.limit", Int, "5")
        .check(Between(2, 10))
        .low()
        .doc("Deliveries after which a record is given up."),
    def("group.share.max.delivery.count.limit", Int, "10")
        .check(Between(5, 25))
        .low()
        .doc("Most deliveries a share group may set."),
    def("group.share.min.delivery.count.limit", Int, "2")
        .check(Between(2, 5))
        .low()
        .doc("Fewest deliveries a share group may set."),
    def("group.share.record.lock.duration.ms", Int, "30000")
        .check(Between(1000, 3600000))
        .low()
        .doc("Milliseconds that a record stays locked for its consumer."),
    def("group.share.min.record.lock.duration.ms", Int, "15000")
        .check(Between(1000, 30000))
        .low()
        .doc("Shortest lock a share group may set, in milliseconds."),
    def("group.share.max.record.lock.duration.ms", Int, "60000")
        .check(Between(30000, 3600000))
        .low()
        .doc("Longest lock a share group may set, in milliseconds."),
    def("group.share.partition.max.record.locks", Int, "2000")
        .check(Between(100, 10000))
        .low()
        .doc("Records of one partition that may be locked at once."),
    def("group.share.max.partition.max.record.locks", Int, "4000")
        .check(Between(2000, 10000))
        .low()
        .doc("Most locked records a share group may set."),
    def("group.share.min.partition.max.record.locks", Int, "100")
        .check(Between(100, 2000))
        .low()
        .doc("Fewest locked records a share group may set."),
    def("share.fetch.purgatory.purge.interval.requests", Int, "1000")
        .low()
        .doc("Waiting share fetches after which Kafka clears out finished ones."),
    def("group.share.max.share.sessions", Int, "2000").at_least(1).low().doc("Most share sessions of a broker."),
    def("group.share.persister.class.name", Class, "org.apache.kafka.server.share.persister.DefaultStatePersister")
        .low()
        .doc("Class that keeps the state of share groups."),
    def("group.share.dlq.manager.class.name", Class, "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager")
        .low()
        .doc("Class that writes dead letters of share groups."),
];
