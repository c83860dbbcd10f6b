//! The server as a whole: threads, limits, quotas, metrics, tokens.

use super::super::ConfigType::{Boolean, Class, Int, List, Long, Password, String};
use super::super::Validator::{Between, LevelOrDefault, OneOf};
use super::super::{ConfigDef, def, unset};

pub(super) const SERVER: &[ConfigDef] = &[
    def("broker.id", Int, "-1").high().doc("The id of this broker in older configurations; node.id is the new name."),
    def("message.max.bytes", Int, "1048588")
        .at_least(0)
        .dynamic()
        .high()
        .doc("Largest batch in bytes, header included."),
    def("num.io.threads", Int, "8")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Threads that serve requests in Kafka; the number of cores decides here."),
    unset("num.replica.alter.log.dirs.threads", Int).low().doc("Threads that move partitions between log directories."),
    def("background.threads", Int, "10").at_least(1).dynamic().low().doc("Threads for background work in Kafka."),
    def("request.timeout.ms", Int, "30000").doc("Milliseconds a request may wait for its conditions."),
    def("socket.connection.setup.timeout.ms", Long, "10000")
        .low()
        .doc("Milliseconds to wait for a connection to another broker."),
    def("socket.connection.setup.timeout.max.ms", Long, "30000")
        .low()
        .doc("Most milliseconds to wait for a connection after repeated failures."),
    def("config.providers", List, "").dynamic().low().doc("Classes that supply configuration values from elsewhere."),
    def("authorizer.class.name", String, "").low().doc("Class that decides who may do what."),
    unset("early.start.listeners", List).low().doc("Listeners that open before the authorizer is ready."),
    unset("broker.rack", String).doc("Where this broker stands; told to clients in metadata."),
    def("controlled.shutdown.enable", Boolean, "true")
        .low()
        .doc("Whether a broker hands over its partitions before it stops."),
    def("delete.topic.enable", Boolean, "true").high().doc("Whether topics can be deleted."),
    def("compression.type", String, "producer")
        .check(OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .dynamic()
        .high()
        .doc("Codec that batches are stored with; producer keeps what was sent."),
    def("compression.gzip.level", Int, "-1")
        .check(LevelOrDefault(1, 9))
        .dynamic()
        .low()
        .doc("Level of gzip when the broker compresses; -1 for the codec's default."),
    def("compression.lz4.level", Int, "9")
        .check(Between(1, 17))
        .dynamic()
        .low()
        .doc("Level of lz4 when the broker compresses."),
    def("compression.zstd.level", Int, "3")
        .check(Between(-131072, 22))
        .dynamic()
        .low()
        .doc("Level of zstd when the broker compresses."),
    def("max.incremental.fetch.session.cache.slots", Int, "1000")
        .at_least(0)
        .doc("Fetch sessions that are remembered (KIP-227)."),
    def("fetch.max.bytes", Int, "57671680").at_least(1024).doc("Most bytes of one fetch response."),
    def("max.request.partition.size.limit", Int, "2000")
        .at_least(1)
        .low()
        .doc("Most partitions of one answer to DescribeTopicPartitions."),
    def("unstable.api.versions.enable", Boolean, "false")
        .low()
        .doc("Whether API versions under development are served."),
    def("unstable.feature.versions.enable", Boolean, "false")
        .low()
        .doc("Whether feature versions under development can be chosen."),
    def("quota.window.num", Int, "11").at_least(1).low().doc("Windows over which client quotas are measured."),
    def("replication.quota.window.num", Int, "11")
        .at_least(1)
        .low()
        .doc("Windows over which replication quotas are measured."),
    def("alter.log.dirs.replication.quota.window.num", Int, "11")
        .at_least(1)
        .low()
        .doc("Windows over which moves between log directories are measured."),
    def("controller.quota.window.num", Int, "11")
        .at_least(1)
        .low()
        .doc("Windows over which controller quotas are measured."),
    def("quota.window.size.seconds", Int, "1").at_least(1).low().doc("Seconds of a window of client quotas."),
    def("replication.quota.window.size.seconds", Int, "1")
        .at_least(1)
        .low()
        .doc("Seconds of a window of replication quotas."),
    def("alter.log.dirs.replication.quota.window.size.seconds", Int, "1")
        .at_least(1)
        .low()
        .doc("Seconds of a window for moves between log directories."),
    def("controller.quota.window.size.seconds", Int, "1")
        .at_least(1)
        .low()
        .doc("Seconds of a window of controller quotas."),
    unset("client.quota.callback.class", Class).low().doc("Class that decides quotas."),
    def("leader.replication.throttled.rate", Long, "9223372036854775807")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Bytes a second that leaders send to throttled replicas."),
    def("follower.replication.throttled.rate", Long, "9223372036854775807")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Bytes a second that followers fetch of throttled replicas."),
    def("replica.alter.log.dirs.io.max.bytes.per.second", Long, "9223372036854775807")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Bytes a second for moves between log directories."),
    def("metrics.num.samples", Int, "2").at_least(1).low().doc("Samples that a metric keeps."),
    def("metrics.sample.window.ms", Long, "30000").at_least(1).low().doc("Milliseconds of one sample of a metric."),
    def("metric.reporters", List, "").dynamic().low().doc("Classes that report metrics."),
    def("metrics.recording.level", String, "INFO")
        .check(OneOf(&["INFO", "DEBUG", "TRACE"]))
        .low()
        .doc("How many metrics are recorded."),
    def("kafka.metrics.reporters", List, "").low().doc("Classes that report the older kind of metrics."),
    def("kafka.metrics.polling.interval.secs", Int, "10")
        .at_least(1)
        .low()
        .doc("Seconds between reports of the older kind of metrics."),
    def("telemetry.max.bytes", Int, "1048576").at_least(1).low().doc("Largest push of client metrics in bytes."),
    unset("delegation.token.secret.key", Password).low().doc("Key that delegation tokens are signed with."),
    def("delegation.token.max.lifetime.ms", Long, "604800000")
        .at_least(1)
        .low()
        .doc("Milliseconds after which a delegation token cannot be renewed."),
    def("delegation.token.expiry.time.ms", Long, "86400000")
        .at_least(1)
        .low()
        .doc("Milliseconds after which a delegation token must be renewed."),
    def("delegation.token.expiry.check.interval.ms", Long, "3600000")
        .at_least(1)
        .low()
        .doc("Milliseconds between looks for expired delegation tokens."),
];
