//! Logs: where they are, when they roll, how long they are kept, how they are compacted.

use super::super::ConfigType::{Boolean, Class, Double, Int, List, Long, String};
use super::super::Validator::{BetweenDouble, ListOf, NonEmptyList, OneOf};
use super::super::{ConfigDef, def, unset};

pub(super) const LOG: &[ConfigDef] = &[
    def("num.partitions", Int, "1")
        .at_least(1)
        .high()
        .doc("Partitions of topics created without a number of their own."),
    def("log.dir", List, "./milena-data")
        .check(NonEmptyList)
        .high()
        .doc("Directory of the logs, when log.dirs is not set."),
    unset("log.dirs", List).high().doc("Directories of the logs, separated by commas."),
    def("cordoned.log.dirs", List, "").per_broker().low().doc("Log directories that get no new partitions."),
    def("log.segment.bytes", Int, "1073741824")
        .at_least(14)
        .dynamic()
        .high()
        .doc("Size in bytes at which a segment is rolled."),
    unset("log.roll.ms", Long)
        .dynamic()
        .doc("Age in milliseconds at which a segment is rolled; log.roll.hours when not set."),
    def("log.roll.hours", Int, "168").at_least(1).doc("Age in hours at which a segment is rolled."),
    unset("log.roll.jitter.ms", Long)
        .dynamic()
        .low()
        .doc("Largest random amount taken from log.roll.ms; log.roll.jitter.hours when not set."),
    def("log.roll.jitter.hours", Int, "0")
        .at_least(0)
        .low()
        .doc("Largest random amount taken from log.roll.hours, in hours."),
    unset("log.retention.ms", Long)
        .dynamic()
        .high()
        .doc("Milliseconds that records are kept, -1 for ever; log.retention.minutes when not set."),
    unset("log.retention.minutes", Int).doc("Minutes that records are kept; log.retention.hours when not set."),
    def("log.retention.hours", Int, "168").high().doc("Hours that records are kept, -1 for ever."),
    def("log.retention.bytes", Long, "-1")
        .dynamic()
        .high()
        .doc("Bytes of a partition above which its oldest segments are deleted, -1 for no limit."),
    def("log.retention.check.interval.ms", Long, "300000")
        .at_least(1)
        .doc("Milliseconds between looks for segments to delete."),
    def("log.cleanup.policy", List, "delete")
        .check(ListOf(&["compact", "delete"]))
        .dynamic()
        .high()
        .doc("What happens to old segments: delete, compact, or both."),
    def("log.index.size.max.bytes", Int, "10485760")
        .at_least(4)
        .dynamic()
        .low()
        .doc("Size in bytes at which an index is full and its segment is rolled."),
    def("log.index.interval.bytes", Int, "4096")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Bytes of data between two entries of an offset index."),
    def("log.flush.interval.messages", Long, "9223372036854775807")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Records after which an append forces an fsync."),
    def("log.segment.delete.delay.ms", Long, "60000")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Milliseconds between the deletion of a segment and the removal of its files."),
    def("log.flush.scheduler.interval.ms", Long, "9223372036854775807")
        .low()
        .doc("Milliseconds between looks for logs to flush."),
    unset("log.flush.interval.ms", Long)
        .dynamic()
        .low()
        .doc("Milliseconds after which unsynced data is fsynced; log.flush.scheduler.interval.ms when not set."),
    def("log.flush.offset.checkpoint.interval.ms", Int, "60000")
        .at_least(0)
        .low()
        .doc("Milliseconds between checkpoints of the recovery points."),
    def("log.flush.start.offset.checkpoint.interval.ms", Int, "60000")
        .at_least(0)
        .low()
        .doc("Milliseconds between checkpoints of the log start offsets."),
    def("log.preallocate", Boolean, "false")
        .dynamic()
        .low()
        .doc("Whether the disk space of a segment is reserved when it is created."),
    def("num.recovery.threads.per.data.dir", Int, "2")
        .at_least(1)
        .dynamic()
        .doc("Threads that open and recover the logs of one directory."),
    def("auto.create.topics.enable", Boolean, "true")
        .high()
        .doc("Whether a topic comes into being when somebody uses it."),
    def("min.insync.replicas", Int, "1")
        .at_least(1)
        .dynamic()
        .high()
        .doc("In-sync replicas that an acks=all produce needs."),
    def("log.message.timestamp.type", String, "CreateTime")
        .check(OneOf(&["CreateTime", "LogAppendTime"]))
        .dynamic()
        .doc("Whether records carry the time of their creation or of their append."),
    def("log.message.timestamp.before.max.ms", Long, "9223372036854775807")
        .at_least(0)
        .dynamic()
        .low()
        .doc("How far in the past a record's timestamp may lie, in milliseconds."),
    def("log.message.timestamp.after.max.ms", Long, "3600000")
        .at_least(0)
        .dynamic()
        .low()
        .doc("How far in the future a record's timestamp may lie, in milliseconds."),
    unset("create.topic.policy.class.name", Class).low().doc("Class that may refuse new topics."),
    unset("alter.config.policy.class.name", Class).low().doc("Class that may refuse changes of configuration."),
    def("log.dir.failure.timeout.ms", Long, "30000")
        .at_least(1)
        .low()
        .doc("Milliseconds a broker may take to report a failed log directory."),
    def("log.initial.task.delay.ms", Long, "30000")
        .at_least(0)
        .low()
        .doc("Milliseconds before background work on logs begins."),
    def("log.cleaner.threads", Int, "1").at_least(0).dynamic().low().doc("Threads that compact logs."),
    def("log.cleaner.io.max.bytes.per.second", Double, "1.7976931348623157E308")
        .dynamic()
        .low()
        .doc("Bytes a second that compaction may read and write."),
    def("log.cleaner.dedupe.buffer.size", Long, "134217728")
        .at_least(1024 * 1024)
        .dynamic()
        .doc("Memory for the keys of compaction, in bytes."),
    def("log.cleaner.io.buffer.size", Int, "524288")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Memory for reading and writing while compacting, in bytes."),
    def("log.cleaner.io.buffer.load.factor", Double, "0.9")
        .dynamic()
        .low()
        .doc("How full the table of keys may become."),
    def("log.cleaner.backoff.ms", Long, "15000")
        .at_least(0)
        .dynamic()
        .doc("Milliseconds between looks for logs to compact."),
    def("log.cleaner.min.cleanable.ratio", Double, "0.5")
        .check(BetweenDouble(0.0, 1.0))
        .dynamic()
        .doc("Share of dirty bytes from which a log is compacted, 0 to 1."),
    def("log.cleaner.enable", Boolean, "true").doc("Whether logs are compacted at all."),
    def("log.cleaner.delete.retention.ms", Long, "86400000")
        .at_least(0)
        .dynamic()
        .doc("Milliseconds that a tombstone stays readable after it was first compacted."),
    def("log.cleaner.min.compaction.lag.ms", Long, "0")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Milliseconds that a record stays uncompacted."),
    def("log.cleaner.max.compaction.lag.ms", Long, "9223372036854775807")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Milliseconds after which a record becomes eligible for compaction at the latest."),
];
