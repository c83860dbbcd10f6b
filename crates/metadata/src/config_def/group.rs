//! Configuration of single groups (KIP-848 and later): overrides of the broker's `group.*` keys.

use super::ConfigType::{Boolean, Int, List, Long, String};
use super::Validator::OneOf;
use super::{ConfigDef, def, unset};
use super::ConfigTable;
use std::sync::LazyLock;

/// Every key a group may set.
pub static GROUP_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| ConfigTable::new(&[GROUP]));

 const GROUP: &[ConfigDef] = &[
    def("consumer.session.timeout.ms", Int, "45000").at_least(1).dynamic().low(),
    def("consumer.heartbeat.interval.ms", Int, "5000").at_least(1).dynamic().low(),
    def("consumer.assignment.interval.ms", Int, "1000").at_least(0).dynamic().low(),
    def("consumer.assignor.offload.enable", Boolean, "true").dynamic().low(),
    def("share.session.timeout.ms", Int, "45000").at_least(1).dynamic().low(),
    def("share.heartbeat.interval.ms", Int, "5000").at_least(1).dynamic().low(),
    def("share.record.lock.duration.ms", Int, "30000").at_least(1000).dynamic().low(),
    def("share.delivery.count.limit", Int, "5").at_least(2).dynamic().low(),
    def("share.partition.max.record.locks", Int, "2000").at_least(100).dynamic().low(),
    def("share.auto.offset.reset", String, "latest").dynamic().low(),
    def("share.isolation.level", String, "read_uncommitted").check(OneOf(&["read_committed", "read_uncommitted"])).dynamic().low(),
    def("share.renew.acknowledge.enable", Boolean, "true").dynamic().low(),
    def("share.assignment.interval.ms", Int, "1000").at_least(0).dynamic().low(),
    def("share.assignor.offload.enable", Boolean, "true").dynamic().low(),
    def("streams.session.timeout.ms", Int, "45000").at_least(1).dynamic().low(),
    def("streams.heartbeat.interval.ms", Int, "5000").at_least(1).dynamic().low(),
    def("streams.num.standby.replicas", Int, "0").at_least(0).dynamic().low(),
    def("streams.initial.rebalance.delay.ms", Int, "3000").at_least(0).dynamic().low(),
    def("streams.assignment.interval.ms", Int, "1000").at_least(0).dynamic().low(),
    def("streams.assignor.offload.enable", Boolean, "true").dynamic().low(),
    def("streams.task.offset.interval.ms", Int, "60000").at_least(1).dynamic().low(),
    def("streams.num.warmup.replicas", Int, "2").at_least(0).dynamic().low(),
    def("streams.rack.aware.assignment.tags", List, "").dynamic().low(),
    def("streams.acceptable.recovery.lag", Long, "10000").at_least(0).dynamic().low(),
    unset("streams.assignor.name", String).dynamic().low(),
    def("errors.deadletterqueue.topic.name", String, "").dynamic().low(),
    def("errors.deadletterqueue.copy.record.enable", Boolean, "false").dynamic().low(),
];
