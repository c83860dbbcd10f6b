//! Configuration of topics. The broker's key named as synonym gives the default of a topic that sets nothing itself.

use super::ConfigType::{Boolean, Double, Int, List, Long, String};
use super::Validator::{Between, BetweenDouble, LevelOrDefault, ListOf, OneOf};
use super::{ConfigDef, def};
use super::ConfigTable;
use std::sync::LazyLock;

/// Every key a topic may set.
pub static TOPIC_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| ConfigTable::new(&[TOPIC]));

/// Keys of topics that Kafka removed in 4.0 but scripts still send: accepted, reported, without effect.
pub const RETIRED_TOPIC_CONFIGS: &[&str] =
    &["message.downconversion.enable", "message.format.version", "message.timestamp.difference.max.ms"];

 const TOPIC: &[ConfigDef] = &[
    def("segment.bytes", Int, "1073741824").at_least(14).dynamic().synonym("log.segment.bytes").high(),
    def("segment.ms", Long, "604800000").at_least(1).dynamic().synonym("log.roll.ms").low(),
    def("segment.jitter.ms", Long, "0").at_least(0).dynamic().synonym("log.roll.jitter.ms").low(),
    def("segment.index.bytes", Int, "10485760").at_least(4).dynamic().synonym("log.index.size.max.bytes").low(),
    def("flush.messages", Long, "9223372036854775807").at_least(1).dynamic().synonym("log.flush.interval.messages").low(),
    def("flush.ms", Long, "9223372036854775807").at_least(0).dynamic().synonym("log.flush.interval.ms").low(),
    def("retention.bytes", Long, "-1").dynamic().synonym("log.retention.bytes").high(),
    def("retention.ms", Long, "604800000").at_least(-1).dynamic().synonym("log.retention.ms").high(),
    def("max.message.bytes", Int, "1048588").at_least(0).dynamic().synonym("message.max.bytes").high(),
    def("index.interval.bytes", Int, "4096").at_least(0).dynamic().synonym("log.index.interval.bytes").low(),
    def("delete.retention.ms", Long, "86400000").at_least(0).dynamic().synonym("log.cleaner.delete.retention.ms").low(),
    def("min.compaction.lag.ms", Long, "0").at_least(0).dynamic().synonym("log.cleaner.min.compaction.lag.ms").low(),
    def("max.compaction.lag.ms", Long, "9223372036854775807").at_least(1).dynamic().synonym("log.cleaner.max.compaction.lag.ms").low(),
    def("file.delete.delay.ms", Long, "60000").at_least(0).dynamic().synonym("log.segment.delete.delay.ms").low(),
    def("min.cleanable.dirty.ratio", Double, "0.5").check(BetweenDouble(0.0, 1.0)).dynamic().synonym("log.cleaner.min.cleanable.ratio").low(),
    def("cleanup.policy", List, "delete").check(ListOf(&["compact", "delete"])).dynamic().synonym("log.cleanup.policy").high(),
    def("unclean.leader.election.enable", Boolean, "false").dynamic().synonym("unclean.leader.election.enable").low(),
    def("min.insync.replicas", Int, "1").at_least(1).dynamic().synonym("min.insync.replicas").high(),
    def("compression.type", String, "producer").check(OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"])).dynamic().synonym("compression.type").high(),
    def("compression.gzip.level", Int, "-1").check(LevelOrDefault(1, 9)).dynamic().synonym("compression.gzip.level").low(),
    def("compression.lz4.level", Int, "9").check(Between(1, 17)).dynamic().synonym("compression.lz4.level").low(),
    def("compression.zstd.level", Int, "3").check(Between(-131072, 22)).dynamic().synonym("compression.zstd.level").low(),
    def("preallocate", Boolean, "false").dynamic().synonym("log.preallocate").low(),
    def("message.timestamp.type", String, "CreateTime").check(OneOf(&["CreateTime", "LogAppendTime"])).dynamic().synonym("log.message.timestamp.type").low(),
    def("message.timestamp.before.max.ms", Long, "9223372036854775807").at_least(0).dynamic().synonym("log.message.timestamp.before.max.ms").low(),
    def("message.timestamp.after.max.ms", Long, "3600000").at_least(0).dynamic().synonym("log.message.timestamp.after.max.ms").low(),
    def("leader.replication.throttled.replicas", List, "").dynamic().low(),
    def("follower.replication.throttled.replicas", List, "").dynamic().low(),
    def("remote.storage.enable", Boolean, "false").dynamic().low(),
    def("local.retention.ms", Long, "-2").at_least(-2).dynamic().synonym("log.local.retention.ms").low(),
    def("local.retention.bytes", Long, "-2").at_least(-2).dynamic().synonym("log.local.retention.bytes").low(),
    def("remote.log.copy.disable", Boolean, "false").dynamic().low(),
    def("remote.copy.lag.ms", Long, "0").at_least(0).dynamic().synonym("log.remote.copy.lag.ms").low(),
    def("remote.copy.lag.bytes", Long, "-1").at_least(-1).dynamic().synonym("log.remote.copy.lag.bytes").low(),
    def("remote.log.delete.on.disable", Boolean, "false").dynamic().low(),
    def("errors.deadletterqueue.group.enable", Boolean, "false").dynamic().low(),
];
