//! Configuration of topics. The broker's key named as synonym gives the default of a topic that sets nothing itself.

use std::sync::LazyLock;

use super::ConfigTable;
use super::ConfigType::{Boolean, Double, Int, List, Long, String};
use super::Validator::{Between, BetweenDouble, LevelOrDefault, ListOf, OneOf};
use super::{ConfigDef, def};

/// Every key a topic may set.
pub static TOPIC_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| ConfigTable::new(&[TOPIC]));

/// Keys of topics that Kafka removed in 4.0 but scripts still send: accepted, reported, without effect.
pub const RETIRED_TOPIC_CONFIGS: &[&str] =
    &["message.downconversion.enable", "message.format.version", "message.timestamp.difference.max.ms"];

const TOPIC: &[ConfigDef] = &[
    def("segment.bytes", Int, "1073741824")
        .at_least(14)
        .dynamic()
        .synonym("log.segment.bytes")
        .high()
        .doc("Size in bytes at which a segment is rolled."),
    def("segment.ms", Long, "604800000")
        .at_least(1)
        .dynamic()
        .synonym("log.roll.ms")
        .doc("Age in milliseconds at which a segment is rolled."),
    def("segment.jitter.ms", Long, "0")
        .at_least(0)
        .dynamic()
        .synonym("log.roll.jitter.ms")
        .low()
        .doc("Largest random amount taken from segment.ms, in milliseconds."),
    def("segment.index.bytes", Int, "10485760")
        .at_least(4)
        .dynamic()
        .synonym("log.index.size.max.bytes")
        .low()
        .doc("Size in bytes at which an index is full and its segment is rolled."),
    def("flush.messages", Long, "9223372036854775807")
        .at_least(1)
        .dynamic()
        .synonym("log.flush.interval.messages")
        .low()
        .doc("Records after which an append forces an fsync."),
    def("flush.ms", Long, "9223372036854775807")
        .at_least(0)
        .dynamic()
        .synonym("log.flush.interval.ms")
        .low()
        .doc("Milliseconds after which unsynced data is fsynced."),
    def("retention.bytes", Long, "-1")
        .dynamic()
        .synonym("log.retention.bytes")
        .high()
        .doc("Bytes of a partition above which its oldest segments are deleted, -1 for no limit."),
    def("retention.ms", Long, "604800000")
        .at_least(-1)
        .dynamic()
        .synonym("log.retention.ms")
        .high()
        .doc("Milliseconds that records are kept, -1 for ever."),
    def("max.message.bytes", Int, "1048588")
        .at_least(0)
        .dynamic()
        .synonym("message.max.bytes")
        .high()
        .doc("Largest batch in bytes, header included."),
    def("index.interval.bytes", Int, "4096")
        .at_least(0)
        .dynamic()
        .synonym("log.index.interval.bytes")
        .low()
        .doc("Bytes of data between two entries of an offset index."),
    def("delete.retention.ms", Long, "86400000")
        .at_least(0)
        .dynamic()
        .synonym("log.cleaner.delete.retention.ms")
        .doc("Milliseconds that a tombstone stays readable after it was first compacted."),
    def("min.compaction.lag.ms", Long, "0")
        .at_least(0)
        .dynamic()
        .synonym("log.cleaner.min.compaction.lag.ms")
        .doc("Milliseconds that a record stays uncompacted."),
    def("max.compaction.lag.ms", Long, "9223372036854775807")
        .at_least(1)
        .dynamic()
        .synonym("log.cleaner.max.compaction.lag.ms")
        .doc("Milliseconds after which a record becomes eligible for compaction at the latest."),
    def("file.delete.delay.ms", Long, "60000")
        .at_least(0)
        .dynamic()
        .synonym("log.segment.delete.delay.ms")
        .low()
        .doc("Milliseconds between the deletion of a segment and the removal of its files."),
    def("min.cleanable.dirty.ratio", Double, "0.5")
        .check(BetweenDouble(0.0, 1.0))
        .dynamic()
        .synonym("log.cleaner.min.cleanable.ratio")
        .doc("Share of dirty bytes from which a log is compacted, 0 to 1."),
    def("cleanup.policy", List, "delete")
        .check(ListOf(&["compact", "delete"]))
        .dynamic()
        .synonym("log.cleanup.policy")
        .high()
        .doc("What happens to old segments: delete, compact, both, or nothing when empty."),
    def("unclean.leader.election.enable", Boolean, "false")
        .dynamic()
        .synonym("unclean.leader.election.enable")
        .low()
        .doc("Whether a replica that is not in sync may become leader, losing records."),
    def("min.insync.replicas", Int, "1")
        .at_least(1)
        .dynamic()
        .synonym("min.insync.replicas")
        .high()
        .doc("In-sync replicas that an acks=all produce needs."),
    def("compression.type", String, "producer")
        .check(OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]))
        .dynamic()
        .synonym("compression.type")
        .high()
        .doc("Codec that batches are stored with; producer keeps what was sent."),
    def("compression.gzip.level", Int, "-1")
        .check(LevelOrDefault(1, 9))
        .dynamic()
        .synonym("compression.gzip.level")
        .low()
        .doc("Level of gzip when the broker compresses; -1 for the codec's default."),
    def("compression.lz4.level", Int, "9")
        .check(Between(1, 17))
        .dynamic()
        .synonym("compression.lz4.level")
        .low()
        .doc("Level of lz4 when the broker compresses."),
    def("compression.zstd.level", Int, "3")
        .check(Between(-131072, 22))
        .dynamic()
        .synonym("compression.zstd.level")
        .low()
        .doc("Level of zstd when the broker compresses."),
    def("preallocate", Boolean, "false")
        .dynamic()
        .synonym("log.preallocate")
        .low()
        .doc("Whether the disk space of a segment is reserved when it is created."),
    def("message.timestamp.type", String, "CreateTime")
        .check(OneOf(&["CreateTime", "LogAppendTime"]))
        .dynamic()
        .synonym("log.message.timestamp.type")
        .doc("Whether records carry the time of their creation or of their append."),
    def("message.timestamp.before.max.ms", Long, "9223372036854775807")
        .at_least(0)
        .dynamic()
        .synonym("log.message.timestamp.before.max.ms")
        .doc("How far in the past a record's timestamp may lie, in milliseconds."),
    def("message.timestamp.after.max.ms", Long, "3600000")
        .at_least(0)
        .dynamic()
        .synonym("log.message.timestamp.after.max.ms")
        .doc("How far in the future a record's timestamp may lie, in milliseconds."),
    def("leader.replication.throttled.replicas", List, "")
        .dynamic()
        .low()
        .doc("Replicas whose leader is throttled: partition:broker, or * for all."),
    def("follower.replication.throttled.replicas", List, "")
        .dynamic()
        .low()
        .doc("Replicas whose follower is throttled: partition:broker, or * for all."),
    def("remote.storage.enable", Boolean, "false").dynamic().low().doc("Whether the topic uses tiered storage."),
    def("local.retention.ms", Long, "-2")
        .at_least(-2)
        .dynamic()
        .synonym("log.local.retention.ms")
        .low()
        .doc("Milliseconds that tiered segments stay local; -2 for retention.ms."),
    def("local.retention.bytes", Long, "-2")
        .at_least(-2)
        .dynamic()
        .synonym("log.local.retention.bytes")
        .low()
        .doc("Bytes of tiered segments that stay local; -2 for retention.bytes."),
    def("remote.log.copy.disable", Boolean, "false")
        .dynamic()
        .low()
        .doc("Whether no more segments are copied to remote storage."),
    def("remote.copy.lag.ms", Long, "0")
        .at_least(0)
        .dynamic()
        .synonym("log.remote.copy.lag.ms")
        .low()
        .doc("Milliseconds before a segment may be copied to remote storage."),
    def("remote.copy.lag.bytes", Long, "-1")
        .at_least(-1)
        .dynamic()
        .synonym("log.remote.copy.lag.bytes")
        .low()
        .doc("Bytes before a segment may be copied to remote storage; -1 for no wait."),
    def("remote.log.delete.on.disable", Boolean, "false")
        .dynamic()
        .low()
        .doc("Whether remote data is deleted when tiered storage is switched off."),
    def("errors.deadletterqueue.group.enable", Boolean, "false")
        .dynamic()
        .low()
        .doc("Whether share groups may use this topic for dead letters."),
];
