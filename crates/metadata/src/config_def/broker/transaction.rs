//! Producer ids, transactions, and the state topic of share groups.

use super::super::ConfigType::{Boolean, Int, Short};
use super::super::Validator::Between;
use super::super::{ConfigDef, def};

pub(super) const TRANSACTION: &[ConfigDef] = &[
    def("transactional.id.expiration.ms", Int, "604800000").at_least(1).low(),
    def("transaction.max.timeout.ms", Int, "900000").at_least(1).low(),
    def("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000").at_least(1).low(),
    def("transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000").at_least(1).low(),
    def("transaction.two.phase.commit.enable", Boolean, "false").low(),
    def("add.partitions.to.txn.retry.backoff.max.ms", Int, "100").at_least(0).low(),
    def("add.partitions.to.txn.retry.backoff.ms", Int, "20").at_least(1).low(),
    def("transaction.state.log.min.isr", Int, "2").at_least(1).low(),
    def("transaction.state.log.load.buffer.size", Int, "5242880").at_least(1).low(),
    def("transaction.state.log.replication.factor", Short, "3").at_least(1).high(),
    def("transaction.state.log.num.partitions", Int, "50").at_least(1).low(),
    def("transaction.state.log.segment.bytes", Int, "104857600").at_least(1).low(),
    def("transaction.partition.verification.enable", Boolean, "true").dynamic().low(),
    def("producer.id.expiration.ms", Int, "86400000").at_least(1).dynamic().low(),
    def("producer.id.expiration.check.interval.ms", Int, "600000").at_least(1).low(),
    def("share.coordinator.state.topic.num.partitions", Int, "50").at_least(1).low(),
    def("share.coordinator.state.topic.replication.factor", Short, "3").at_least(1).low(),
    def("share.coordinator.state.topic.min.isr", Int, "2").at_least(1).low(),
    def("share.coordinator.state.topic.segment.bytes", Int, "104857600").at_least(1).low(),
    def("share.coordinator.threads", Int, "1").at_least(1).low(),
    def("share.coordinator.snapshot.update.records.per.snapshot", Int, "500").check(Between(0, 500)).low(),
    def("share.coordinator.load.buffer.size", Int, "5242880").at_least(1).low(),
    def("share.coordinator.state.topic.compression.codec", Int, "0").low(),
    def("share.coordinator.append.linger.ms", Int, "-1").at_least(-1).low(),
    def("share.coordinator.write.timeout.ms", Int, "5000").at_least(1).low(),
    def("share.coordinator.state.topic.prune.interval.ms", Int, "300000").at_least(1).low(),
    def("share.coordinator.cold.partition.snapshot.interval.ms", Int, "300000").at_least(1).low(),
    def("share.coordinator.cached.buffer.max.bytes", Int, "1048588").at_least(524288).low(),
];
