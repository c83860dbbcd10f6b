//! Producer ids, transactions, and the state topic of share groups.

use super::super::ConfigType::{Boolean, Int, Short};
use super::super::Validator::Between;
use super::super::{ConfigDef, def};

pub(super) const TRANSACTION: &[ConfigDef] = &[
    def("transactional.id.expiration.ms", Int, "604800000")
        .at_least(1)
        .low()
        .doc("Milliseconds without use after which a transactional id is forgotten."),
    def("transaction.max.timeout.ms", Int, "900000")
        .at_least(1)
        .low()
        .doc("Longest transaction timeout a producer may ask for, in milliseconds."),
    def("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int, "10000")
        .at_least(1)
        .low()
        .doc("Milliseconds between looks for transactions to abort."),
    def("transaction.remove.expired.transaction.cleanup.interval.ms", Int, "3600000")
        .at_least(1)
        .low()
        .doc("Milliseconds between looks for expired transactional ids."),
    def("transaction.two.phase.commit.enable", Boolean, "false")
        .low()
        .doc("Whether external two-phase commit is allowed."),
    def("add.partitions.to.txn.retry.backoff.max.ms", Int, "100")
        .at_least(0)
        .low()
        .doc("Most milliseconds between attempts to add partitions to a transaction."),
    def("add.partitions.to.txn.retry.backoff.ms", Int, "20")
        .at_least(1)
        .low()
        .doc("Milliseconds between attempts to add partitions to a transaction."),
    def("transaction.state.log.min.isr", Int, "2")
        .at_least(1)
        .low()
        .doc("In-sync replicas that a write to __transaction_state needs."),
    def("transaction.state.log.load.buffer.size", Int, "5242880")
        .at_least(1)
        .low()
        .doc("Bytes read at once while transactions are loaded."),
    def("transaction.state.log.replication.factor", Short, "3")
        .at_least(1)
        .high()
        .doc("Copies of each partition of __transaction_state; never more than there are brokers."),
    def("transaction.state.log.num.partitions", Int, "50")
        .at_least(1)
        .low()
        .doc("Partitions of __transaction_state; not to be changed once it exists."),
    def("transaction.state.log.segment.bytes", Int, "104857600")
        .at_least(1)
        .low()
        .doc("Segment size of __transaction_state in bytes."),
    def("transaction.partition.verification.enable", Boolean, "true")
        .dynamic()
        .low()
        .doc("Whether a write is checked to belong to a running transaction."),
    def("producer.id.expiration.ms", Int, "86400000")
        .at_least(1)
        .dynamic()
        .doc("Milliseconds without use after which the state of a producer id is dropped."),
    def("producer.id.expiration.check.interval.ms", Int, "600000")
        .at_least(1)
        .low()
        .doc("Milliseconds between looks for expired producer ids."),
    def("share.coordinator.state.topic.num.partitions", Int, "50")
        .at_least(1)
        .low()
        .doc("Partitions of __share_group_state."),
    def("share.coordinator.state.topic.replication.factor", Short, "3")
        .at_least(1)
        .low()
        .doc("Copies of each partition of __share_group_state."),
    def("share.coordinator.state.topic.min.isr", Short, "2")
        .at_least(1)
        .low()
        .doc("In-sync replicas that a write to __share_group_state needs."),
    def("share.coordinator.state.topic.segment.bytes", Int, "104857600")
        .at_least(1)
        .low()
        .doc("Segment size of __share_group_state in bytes."),
    def("share.coordinator.threads", Int, "1").at_least(1).low().doc("Threads of the share coordinator in Kafka."),
    def("share.coordinator.snapshot.update.records.per.snapshot", Int, "500")
        .check(Between(0, 500))
        .low()
        .doc("Update records between two snapshots of a share partition."),
    def("share.coordinator.load.buffer.size", Int, "5242880")
        .at_least(1)
        .low()
        .doc("Bytes read at once while share state is loaded."),
    def("share.coordinator.state.topic.compression.codec", Int, "0")
        .low()
        .doc("Codec of __share_group_state by number."),
    def("share.coordinator.append.linger.ms", Int, "-1")
        .at_least(-1)
        .low()
        .doc("Milliseconds the share coordinator collects writes; -1 lets it decide."),
    def("share.coordinator.write.timeout.ms", Int, "5000")
        .at_least(1)
        .low()
        .doc("Milliseconds a write of share state may take."),
    def("share.coordinator.state.topic.prune.interval.ms", Int, "300000")
        .at_least(1)
        .low()
        .doc("Milliseconds between prunings of __share_group_state."),
    def("share.coordinator.cold.partition.snapshot.interval.ms", Int, "300000")
        .at_least(1)
        .low()
        .doc("Milliseconds between snapshots of share partitions without traffic."),
    def("share.coordinator.cached.buffer.max.bytes", Int, "1048588")
        .at_least(524288)
        .low()
        .dynamic()
        .doc("Largest write buffer that the share coordinator keeps, in bytes."),
];
