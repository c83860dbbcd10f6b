//! Tiered storage. Read and checked so that configurations written for Kafka are understood.

use super::super::ConfigType::{Boolean, Double, Int, Long, Short, String};
use super::super::Validator::BetweenDouble;
use super::super::{ConfigDef, def, unset};

pub(super) const REMOTE: &[ConfigDef] = &[
    def("remote.log.storage.system.enable", Boolean, "false").low().doc("Whether tiered storage is on."),
    def("remote.log.storage.manager.impl.prefix", String, "rsm.config.")
        .low()
        .doc("Beginning of the keys that go to the remote storage manager."),
    def("remote.log.metadata.manager.impl.prefix", String, "rlmm.config.")
        .low()
        .doc("Beginning of the keys that go to the remote metadata manager."),
    unset("remote.log.storage.manager.class.name", String).low().doc("Class of the remote storage manager."),
    unset("remote.log.storage.manager.class.path", String).low().doc("Class path of the remote storage manager."),
    def(
        "remote.log.metadata.manager.class.name",
        String,
        "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager",
    )
    .low()
    .doc("Class of the remote metadata manager."),
    unset("remote.log.metadata.manager.class.path", String).low().doc("Class path of the remote metadata manager."),
    unset("remote.log.metadata.manager.listener.name", String)
        .low()
        .doc("Listener that the remote metadata manager connects to."),
    def("remote.log.metadata.custom.metadata.max.bytes", Int, "128")
        .at_least(0)
        .low()
        .doc("Largest custom metadata of a remote segment, in bytes."),
    def("remote.log.index.file.cache.total.size.bytes", Long, "1073741824")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Disk space for cached remote indexes, in bytes."),
    def("remote.log.index.file.cache.ttl.ms", Long, "900000")
        .at_least(-1)
        .low()
        .doc("Milliseconds that a cached remote index lives without use."),
    def("remote.log.manager.thread.pool.size", Int, "2").at_least(1).low().doc("Threads for remote bookkeeping."),
    def("remote.log.manager.copier.thread.pool.size", Int, "10")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Threads that copy segments to remote storage."),
    def("remote.log.manager.expiration.thread.pool.size", Int, "10")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Threads that delete expired remote segments."),
    def("remote.log.manager.follower.thread.pool.size", Int, "2")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Threads for followers of tiered partitions."),
    def("remote.log.manager.task.interval.ms", Long, "30000")
        .at_least(1)
        .low()
        .doc("Milliseconds between rounds of remote work."),
    def("remote.log.manager.task.retry.backoff.ms", Long, "500")
        .at_least(1)
        .low()
        .doc("Milliseconds before a failed remote request is repeated."),
    def("remote.log.manager.task.retry.backoff.max.ms", Long, "30000")
        .at_least(1)
        .low()
        .doc("Most milliseconds before a failed remote request is repeated."),
    def("remote.log.manager.task.retry.jitter", Double, "0.2")
        .check(BetweenDouble(0.0, 0.5))
        .low()
        .doc("Random share of the pause before a repetition."),
    def("remote.log.reader.threads", Int, "10")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Threads that read from remote storage."),
    def("remote.log.reader.max.pending.tasks", Int, "100").at_least(1).low().doc("Remote reads that may wait."),
    def("log.local.retention.ms", Long, "-2")
        .at_least(-2)
        .dynamic()
        .low()
        .doc("Milliseconds that tiered segments stay local; -2 for retention.ms."),
    def("log.local.retention.bytes", Long, "-2")
        .at_least(-2)
        .dynamic()
        .low()
        .doc("Bytes of tiered segments that stay local; -2 for retention.bytes."),
    def("log.remote.copy.lag.ms", Long, "0")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Milliseconds before a segment may be copied to remote storage."),
    def("log.remote.copy.lag.bytes", Long, "-1")
        .at_least(-1)
        .dynamic()
        .low()
        .doc("Bytes before a segment may be copied to remote storage; -1 for no wait."),
    def("remote.log.manager.copy.max.bytes.per.second", Long, "9223372036854775807")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Bytes a second that may be copied to remote storage."),
    def("remote.log.manager.copy.quota.window.num", Int, "11")
        .at_least(1)
        .low()
        .doc("Windows over which copies are measured."),
    def("remote.log.manager.copy.quota.window.size.seconds", Int, "1")
        .at_least(1)
        .low()
        .doc("Seconds of a window for copies."),
    def("remote.log.manager.fetch.max.bytes.per.second", Long, "9223372036854775807")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Bytes a second that may be read from remote storage."),
    def("remote.log.manager.fetch.quota.window.num", Int, "11")
        .at_least(1)
        .low()
        .doc("Windows over which remote reads are measured."),
    def("remote.log.manager.fetch.quota.window.size.seconds", Int, "1")
        .at_least(1)
        .low()
        .doc("Seconds of a window for remote reads."),
    def("remote.fetch.max.wait.ms", Int, "500")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Milliseconds a fetch waits for remote data."),
    def("remote.list.offsets.request.timeout.ms", Long, "30000")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Milliseconds a remote look-up of offsets may take."),
    def("remote.log.metadata.topic.replication.factor", Short, "3")
        .at_least(1)
        .low()
        .doc("Copies of the remote metadata topic."),
    def("remote.log.metadata.topic.num.partitions", Int, "50")
        .at_least(1)
        .low()
        .doc("Partitions of the remote metadata topic."),
    def("remote.log.metadata.topic.retention.ms", Long, "-1")
        .low()
        .doc("Milliseconds that remote metadata is kept; -1 for ever."),
    def("remote.log.metadata.topic.min.isr", Int, "2")
        .at_least(1)
        .low()
        .doc("In-sync replicas that a write of remote metadata needs."),
    def("remote.log.metadata.consume.wait.ms", Long, "120000")
        .at_least(0)
        .low()
        .doc("Milliseconds to wait for own remote metadata to be read back."),
    def("remote.log.metadata.initialization.retry.max.timeout.ms", Long, "120000")
        .at_least(0)
        .low()
        .doc("Milliseconds that setting up remote metadata may take."),
    def("remote.log.metadata.initialization.retry.interval.ms", Long, "100")
        .at_least(0)
        .low()
        .doc("Milliseconds between attempts to set up remote metadata."),
];
