//! Configuration of single groups (KIP-848 and later): overrides of the broker's `group.*` keys.

use std::sync::LazyLock;

use super::ConfigTable;
use super::ConfigType::{Boolean, Int, List, Long, String};
use super::Validator::OneOf;
use super::{ConfigDef, def, unset};

/// Every key a group may set.
pub static GROUP_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| ConfigTable::new(&[GROUP]));

const GROUP: &[ConfigDef] = &[
    def("consumer.session.timeout.ms", Int, "45000")
        .at_least(1)
        .dynamic()
        .doc("Session timeout of this group, in milliseconds."),
    def("consumer.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .dynamic()
        .doc("Heartbeat interval of this group, in milliseconds."),
    def("consumer.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .dynamic()
        .doc("Time between two assignments of this group, in milliseconds."),
    def("consumer.assignor.offload.enable", Boolean, "true")
        .dynamic()
        .low()
        .doc("Whether assignments of this group are computed in the background."),
    def("share.session.timeout.ms", Int, "45000")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Session timeout of this group, in milliseconds."),
    def("share.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Heartbeat interval of this group, in milliseconds."),
    def("share.record.lock.duration.ms", Int, "30000")
        .at_least(1000)
        .dynamic()
        .low()
        .doc("Milliseconds that a record stays locked for its consumer."),
    def("share.delivery.count.limit", Int, "5")
        .at_least(2)
        .dynamic()
        .low()
        .doc("Deliveries after which a record is given up."),
    def("share.partition.max.record.locks", Int, "2000")
        .at_least(100)
        .dynamic()
        .low()
        .doc("Records of one partition that may be locked at once."),
    def("share.auto.offset.reset", String, "latest")
        .dynamic()
        .low()
        .doc("Where a new share group begins: earliest, latest or by_duration:<ISO 8601>."),
    def("share.isolation.level", String, "read_uncommitted")
        .check(OneOf(&["read_committed", "read_uncommitted"]))
        .dynamic()
        .low()
        .doc("Whether a share group reads uncommitted records."),
    def("share.renew.acknowledge.enable", Boolean, "true")
        .dynamic()
        .low()
        .doc("Whether a consumer may renew its lock of a record."),
    def("share.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Time between two assignments of this group, in milliseconds."),
    def("share.assignor.offload.enable", Boolean, "true")
        .dynamic()
        .low()
        .doc("Whether assignments of this group are computed in the background."),
    def("streams.session.timeout.ms", Int, "45000")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Session timeout of this group, in milliseconds."),
    def("streams.heartbeat.interval.ms", Int, "5000")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Heartbeat interval of this group, in milliseconds."),
    def("streams.num.standby.replicas", Int, "0")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Standby tasks of each stateful task."),
    def("streams.initial.rebalance.delay.ms", Int, "3000")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Milliseconds that an empty group waits for more members."),
    def("streams.assignment.interval.ms", Int, "1000")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Time between two assignments of this group, in milliseconds."),
    def("streams.assignor.offload.enable", Boolean, "true")
        .dynamic()
        .low()
        .doc("Whether assignments of this group are computed in the background."),
    def("streams.task.offset.interval.ms", Int, "60000")
        .at_least(1)
        .dynamic()
        .low()
        .doc("Milliseconds between reports of task offsets."),
    def("streams.num.warmup.replicas", Int, "2")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Tasks that warm up at the same time."),
    def("streams.rack.aware.assignment.tags", List, "")
        .dynamic()
        .low()
        .doc("Client tags that standby tasks are spread over."),
    def("streams.acceptable.recovery.lag", Long, "10000")
        .at_least(0)
        .dynamic()
        .low()
        .doc("Offsets a task may lag and still count as caught up."),
    unset("streams.assignor.name", String)
        .dynamic()
        .low()
        .doc("Assignor of this group; the broker's first when not set."),
    def("errors.deadletterqueue.topic.name", String, "")
        .dynamic()
        .low()
        .doc("Topic for records that a share group has given up."),
    def("errors.deadletterqueue.copy.record.enable", Boolean, "false")
        .dynamic()
        .low()
        .doc("Whether a dead letter contains the record itself."),
];
