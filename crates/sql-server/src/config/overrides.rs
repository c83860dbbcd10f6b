//! Properties that requests and sessions may bring along: which there are, what they take, which of them stay the
//! operator's.
//!
//! Names are those of the language (`ksql.`), of Kafka's clients and of Kafka Streams, the latter two plain, behind
//! `ksql.streams.`, `consumer.` or `producer.`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use milena_stdx::config_def::ConfigType::{Boolean, Class, Double, Int, List, Long, Password, Short, String as Text};
use milena_stdx::config_def::Validator::{OneOf, OneOfIgnoringCase};
use milena_stdx::config_def::{ConfigDef, ConfigType, Validator, unset};

use super::STREAMS_PREFIX;
use crate::session::SERVICE_ID;

const SQL_PREFIX: &str = "ksql.";
/// Whatever functions of users want to know.
const FUNCTIONS_PREFIX: &str = "ksql.functions.";
/// How connections are made is the operator's.
const TLS_PREFIX: &str = "ssl.";
const TOPIC_PREFIX: &str = "topic.";
const CLIENT_PREFIXES: [&str; 2] = ["consumer.", "producer."];
const OFFSET_RESET: &str = "auto.offset.reset";

/// Names by what they take, separated by blanks.
const NAMES: &[(ConfigType, &str)] = &[
    (
        Boolean,
        "ksql.cast.strings.preserve.nulls ksql.client.ip_port.configuration.enabled ksql.connect.basic.auth.credentials.reload \
         ksql.create.or.replace.enabled ksql.create.topic.inherit.source.replicas.enabled ksql.endpoint.migrate.query \
         ksql.fail.on.deserialization.error ksql.fail.on.production.error ksql.headers.columns.enabled \
         ksql.insert.into.values.enabled ksql.json_sr.converter.deserializer.enabled ksql.lambdas.enabled \
         ksql.nested.error.set.null ksql.new.query.planner.enabled ksql.persistence.wrap.single.values \
         ksql.properties.overrides.log ksql.properties.overrides.range.validation.log.enabled \
         ksql.properties.overrides.validation.restore.enabled ksql.proxy.protocol.local.mode.enabled \
         ksql.pull.queries.enable ksql.query.pull.enable.standby.reads ksql.query.pull.interpreter.enabled \
         ksql.query.pull.limit.clause.enabled ksql.query.pull.metrics.enabled ksql.query.pull.range.scan.enabled \
         ksql.query.pull.stream.enabled ksql.query.pull.table.scan.enabled ksql.query.push.v2.alos.enabled \
         ksql.query.push.v2.continuation.tokens.enabled ksql.query.push.v2.enabled ksql.query.push.v2.interpreter.enabled \
         ksql.query.push.v2.metrics.enabled ksql.query.push.v2.registry.installed ksql.queryanonymizer.logs_enabled \
         ksql.runtime.feature.shared.enabled ksql.source.table.materialization.enabled ksql.suppress.enabled \
         ksql.timestamp.throw.on.invalid ksql.transient.query.cleanup.service.enable ksql.udf.collect.metrics \
         ksql.udfs.enabled ksql.variable.substitution.enable \
         request.ksql.debug.request request.ksql.internal.request request.ksql.query.pull.skip.forwarding \
         request.ksql.query.push.skip.forwarding \
         allow.auto.create.topics allow.os.group.write.access check.crcs enable.auto.commit enable.idempotence \
         enable.metrics.push ensure.explicit.internal.resource.naming exclude.internal.topics \
         internal.leave.group.on.close internal.throw.on.fetch.stable.offset.unsupported auto.include.jmx.reporter \
         partitioner.adaptive.partitioning.enable partitioner.ignore.keys transaction.two.phase.commit.enable",
    ),
    (
        Int,
        "ksql.assert.schema.default.timeout.ms ksql.assert.topic.default.timeout.ms ksql.query.error.max.queue.size \
         ksql.query.persistent.active.limit ksql.query.pull.coordinator.queue.capacity \
         ksql.query.pull.max.concurrent.requests ksql.query.pull.max.hourly.bandwidth.megabytes ksql.query.pull.max.qps \
         ksql.query.pull.router.queue.capacity ksql.query.pull.router.thread.pool.size ksql.query.pull.thread.pool.size \
         ksql.query.push.v2.max.catchup.consumers ksql.query.push.v2.max.hourly.bandwidth.megabytes \
         ksql.query.status.running.threshold.seconds ksql.shared.runtimes.count \
         ksql.transient.query.cleanup.service.initial.delay.seconds ksql.transient.query.cleanup.service.period.seconds \
         auto.commit.interval.ms batch.size buffered.records.per.partition compression.gzip.level compression.lz4.level \
         compression.zstd.level default.api.timeout.ms delivery.timeout.ms fetch.max.bytes fetch.max.wait.ms fetch.min.bytes \
         heartbeat.interval.ms max.in.flight.requests.per.connection max.partition.fetch.bytes max.poll.interval.ms \
         max.poll.records max.request.size max.warmup.replicas metrics.num.samples num.standby.replicas num.stream.threads \
         rack.aware.assignment.non_overlap_cost rack.aware.assignment.traffic_cost receive.buffer.bytes replication.factor \
         request.timeout.ms retries send.buffer.bytes session.timeout.ms transaction.timeout.ms",
    ),
    (Short, "ksql.internal.topic.min.insync.replicas ksql.internal.topic.replicas"),
    (
        Long,
        "ksql.admin.request.retry.timeout.ms ksql.authorization.cache.expiry.time.secs ksql.authorization.cache.max.entries \
         ksql.connect.request.timeout.ms ksql.fetch.remote.hosts.max.timeout.seconds ksql.query.cleanup.shutdown.timeout.ms \
         ksql.query.persistent.max.bytes.buffering.total ksql.query.pull.forwarding.timeout.ms \
         ksql.query.pull.max.allowed.offset.lag ksql.query.push.v2.catchup.consumer.msg.window \
         ksql.query.push.v2.latest.reset.age.ms ksql.query.push.v2.new.latest.delay.ms ksql.query.retry.backoff.initial.ms \
         ksql.query.retry.backoff.max.ms ksql.query.transient.max.bytes.buffering.total \
         ksql.sink.window.change.log.additional.retention ksql.streams.shutdown.timeout.ms ksql.suppress.buffer.size.bytes \
         ksql.websocket.connection.max.timeout.ms \
         acceptable.recovery.lag buffer.memory cache.max.bytes.buffering commit.interval.ms connections.max.idle.ms linger.ms \
         log.summary.interval.ms max.block.ms max.task.idle.ms metadata.max.age.ms metadata.max.idle.ms \
         metadata.recovery.rebootstrap.trigger.ms metrics.sample.window.ms partitioner.availability.timeout.ms poll.ms \
         probing.rebalance.interval.ms reconnect.backoff.max.ms reconnect.backoff.ms repartition.purge.interval.ms \
         retry.backoff.max.ms retry.backoff.ms socket.connection.setup.timeout.max.ms socket.connection.setup.timeout.ms \
         state.cleanup.delay.ms statestore.cache.max.bytes task.timeout.ms window.size.ms \
         windowstore.changelog.additional.retention.ms",
    ),
    (
        List,
        "ksql.hidden.topics ksql.kafka.client.additional.config.prefixes ksql.properties.overrides.allowlist \
         ksql.properties.overrides.denylist ksql.readonly.topics request.ksql.query.pull.partition \
         bootstrap.servers config.providers interceptor.classes metric.reporters partition.assignment.strategy \
         rack.aware.assignment.tags ssl.cipher.suites ssl.enabled.protocols",
    ),
    (
        Text,
        "ksql.access.validator.enable ksql.connect.basic.auth.credentials.file ksql.connect.basic.auth.credentials.source \
         ksql.connect.url ksql.connect.worker.config ksql.deployment.type ksql.error.classifier.regex ksql.extension.dir \
         ksql.metastore.backup.location ksql.metrics.tags.custom ksql.output.topic.name.prefix \
         ksql.persistence.default.format.key ksql.persistence.default.format.value ksql.persistent.prefix \
         ksql.properties.overrides.validation.mode ksql.queryanonymizer.cluster_namespace ksql.resource.extension.class \
         ksql.run.script.statements ksql.schema.registry.url ksql.service.id ksql.transient.prefix \
         request.ksql.query.push.catchup.consumer.group request.ksql.query.push.continuation.token \
         acks application.id application.server built.in.metrics.version client.dns.lookup client.id client.rack \
         compression.type default.dsl.store errors.dead.letter.queue.topic.name group.id group.instance.id group.protocol \
         group.remote.assignor isolation.level metadata.recovery.strategy metrics.recording.level processing.guarantee \
         rack.aware.assignment.strategy sasl.kerberos.kinit.cmd sasl.kerberos.service.name sasl.mechanism security.protocol \
         security.providers ssl.endpoint.identification.algorithm ssl.keymanager.algorithm ssl.keystore.location \
         ssl.keystore.type ssl.protocol ssl.provider ssl.secure.random.implementation ssl.trustmanager.algorithm \
         ssl.truststore.location ssl.truststore.type state.dir task.assignor.class topology.optimization transactional.id \
         upgrade.from windowed.inner.class.serde",
    ),
    (
        Class,
        "ksql.connect.request.headers.plugin ksql.metrics.extension ksql.security.extension.class \
         default.client.supplier default.deserialization.exception.handler default.key.serde default.list.key.serde.inner \
         default.list.key.serde.type default.list.value.serde.inner default.list.value.serde.type \
         default.production.exception.handler default.timestamp.extractor default.value.serde \
         deserialization.exception.handler dsl.store.suppliers.class key.deserializer key.serializer partitioner.class \
         processing.exception.handler processor.wrapper.class production.exception.handler rocksdb.config.setter \
         sasl.client.callback.handler.class sasl.login.callback.handler.class sasl.login.class ssl.engine.factory.class \
         value.deserializer value.serializer",
    ),
    (Double, "sasl.kerberos.ticket.renew.jitter sasl.kerberos.ticket.renew.window.factor"),
    (
        Password,
        "sasl.jaas.config ssl.key.password ssl.keystore.certificate.chain ssl.keystore.key ssl.keystore.password \
         ssl.truststore.certificates ssl.truststore.password",
    ),
];

/// Which values a name takes beyond its type.
const CHECKS: &[(&str, Validator)] = &[
    ("acks", OneOf(&["all", "-1", "0", "1"])),
    ("compression.type", OneOf(&["none", "gzip", "snappy", "lz4", "zstd"])),
    ("group.protocol", OneOfIgnoringCase(&["CONSUMER", "CLASSIC"])),
    ("isolation.level", OneOf(&["read_committed", "read_uncommitted"])),
    ("ksql.properties.overrides.validation.mode", OneOf(&["denylist", "allowlist"])),
    ("ksql.query.pull.max.allowed.offset.lag", Validator::AtLeast(0)),
    ("processing.guarantee", OneOf(&["at_least_once", "exactly_once_v2"])),
];

/// What topics that queries make for themselves may be configured with, behind `topic.`.
const OF_TOPICS: &str = "cleanup.policy compression.type delete.retention.ms file.delete.delay.ms flush.messages flush.ms \
    index.interval.bytes local.retention.bytes local.retention.ms max.compaction.lag.ms max.message.bytes \
    message.downconversion.enable message.timestamp.after.max.ms message.timestamp.before.max.ms message.timestamp.type \
    min.cleanable.dirty.ratio min.compaction.lag.ms min.insync.replicas preallocate remote.storage.enable retention.bytes \
    retention.ms segment.bytes segment.index.bytes segment.jitter.ms segment.ms unclean.leader.election.enable";

/// What the operator alone decides.
const OF_THE_OPERATOR: &[&str] = &[
    "bootstrap.servers",
    "ksql.extension.dir",
    "ksql.headers.columns.enabled",
    "ksql.hidden.topics",
    "ksql.pull.queries.enable",
    "ksql.query.persistent.active.limit",
    "ksql.readonly.topics",
    "ksql.source.table.materialization.enabled",
];

/// What one query may have otherwise than the next.
const OF_QUERIES: &[&str] = &[
    OFFSET_RESET,
    "buffered.records.per.partition",
    "cache.max.bytes.buffering",
    "ksql.cast.strings.preserve.nulls",
    "ksql.fail.on.deserialization.error",
    "ksql.nested.error.set.null",
    "ksql.query.pull.max.allowed.offset.lag",
    "ksql.query.pull.table.scan.enabled",
    "ksql.query.retry.backoff.max.ms",
    "ksql.timestamp.throw.on.invalid",
    "max.task.idle.ms",
    "task.timeout.ms",
];

/// What could be changed of a system while it runs.
const OF_THE_SYSTEM: &[&str] = &[
    "acceptable.recovery.lag",
    "batch.size",
    "buffer.memory",
    "commit.interval.ms",
    "compression.type",
    "delivery.timeout.ms",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "heartbeat.interval.ms",
    "linger.ms",
    "max.block.ms",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "max.poll.records",
    "max.request.size",
    "max.warmup.replicas",
    "metadata.max.age.ms",
    "num.standby.replicas",
    "poll.ms",
    "probing.rebalance.interval.ms",
    "processing.guarantee",
    "session.timeout.ms",
    "window.size.ms",
];

static KNOWN: LazyLock<BTreeMap<&'static str, ConfigDef>> = LazyLock::new(|| {
    let of_kind = |(kind, names): &(ConfigType, &'static str)| {
        let kind = *kind;
        names.split_whitespace().map(move |name| (name, unset(name, kind)))
    };
    let mut known: BTreeMap<&str, ConfigDef> = NAMES.iter().flat_map(of_kind).collect();
    known.insert(OFFSET_RESET, unset(OFFSET_RESET, Text));
    for (name, validator) in CHECKS {
        if let Some(def) = known.get_mut(name) {
            def.validator = *validator;
        }
    }
    known
});

/// What Kafka Streams keeps to itself, and tests of joins and windows set all the same.
const INTERNAL: [&str; 2] = [
    "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__",
    "__emit.interval.ms.kstreams.windowed.aggregation__",
];

/// A property that there is.
#[derive(Debug, Clone, Copy)]
pub struct Override {
    /// Its name without what may stand in front of it.
    name: &'static str,
    /// What it takes; `None` for anything.
    def: Option<&'static ConfigDef>,
}

impl Override {
    /// The property called `name`; `None` when there is none.
    pub fn find(name: &str) -> Option<Override> {
        let of_row = |(name, def): (&&'static str, &'static ConfigDef)| Override { name, def: Some(def) };
        let is_of_streams = name.starts_with(STREAMS_PREFIX);
        if !is_of_streams || KNOWN.contains_key(name) {
            if name.starts_with(FUNCTIONS_PREFIX) {
                return Some(Override { name: FUNCTIONS_PREFIX, def: None });
            }
            if let Some(row) = KNOWN.get_key_value(name) {
                return Some(of_row(row));
            }
        }
        let short = name.strip_prefix(STREAMS_PREFIX).unwrap_or(name);
        if let Some(topic) = short.strip_prefix(TOPIC_PREFIX) {
            let known = OF_TOPICS.split_whitespace().any(|known| known == topic);
            return known.then_some(Override { name: TOPIC_PREFIX, def: None });
        }
        if let Some(name) = INTERNAL.iter().find(|name| **name == short) {
            return Some(Override { name, def: None });
        }
        let short = CLIENT_PREFIXES.iter().find_map(|prefix| short.strip_prefix(prefix)).unwrap_or(short);
        let is_of_clients = !short.starts_with(SQL_PREFIX) && !short.starts_with("request.");
        KNOWN.get_key_value(short).filter(|_| is_of_clients).map(of_row)
    }

    /// Whether only the operator decides it.
    pub fn is_of_the_operator(self) -> bool {
        OF_THE_OPERATOR.contains(&self.name) || self.name.starts_with(TLS_PREFIX)
    }

    /// Whether one query may have it otherwise than the next, or a system that runs.
    pub fn is_editable(self) -> bool {
        OF_QUERIES.contains(&self.name) || OF_THE_SYSTEM.contains(&self.name)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// Words about a value that it does not take.
    pub fn check(self, value: &str) -> Result<(), String> {
        if self.name == OFFSET_RESET {
            return check_offset_reset(value);
        }
        self.def.map_or(Ok(()), |def| def.validate(value).map_err(|error| error.to_string()))
    }

    /// Checks a value that comes with a request.
    ///
    /// # Errors
    /// Words about a property that requests cannot set, a value that it does not take.
    pub fn check_requested(self, value: &str) -> Result<(), String> {
        self.check(value)?;
        if self.is_of_the_operator() {
            return Err(format!("Cannot override property '{}'", self.name));
        }
        if self.name == OFFSET_RESET && value.eq_ignore_ascii_case("none") {
            return Err("'none' is not valid for this property within KSQL".to_owned());
        }
        Ok(())
    }
}

/// What sessions never set, for the documentation.
pub fn of_the_operator() -> impl Iterator<Item = String> {
    let names = OF_THE_OPERATOR.iter().map(|name| (*name).to_owned());
    names.chain([SERVICE_ID.to_owned(), format!("{TLS_PREFIX}*")])
}

/// `QUERY` for what one query may have otherwise than the next, as lists of properties show it.
pub fn level(name: &str) -> &'static str {
    if OF_QUERIES.contains(&name) { "QUERY" } else { "SERVER" }
}

fn check_offset_reset(value: &str) -> Result<(), String> {
    // Durations (KIP-1106) mean nothing to queries yet.
    if ["earliest", "latest", "none"].contains(&value) {
        return Ok(());
    }
    Err(format!(
        "Invalid value {value} for configuration {OFFSET_RESET}: Invalid value `{value}` for configuration {OFFSET_RESET}. \
         The value must be either 'earliest', 'latest', 'none' or of the format 'by_duration:<PnDTnHnMn.nS.>'."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_with_what_may_stand_in_front_of_them() {
        for name in [
            "auto.offset.reset",
            "ksql.streams.auto.offset.reset",
            "ksql.streams.producer.linger.ms",
            "consumer.max.poll.records",
            "processing.guarantee",
            "ksql.query.pull.table.scan.enabled",
            "ksql.streams.shutdown.timeout.ms",
            "ksql.streams.topic.retention.ms",
            "ksql.functions.my.limit",
        ] {
            assert!(Override::find(name).is_some(), "{name}");
        }
        for name in [
            "auto.ofset.reset",
            "ksql.streams.nothing",
            "ksql.nothing",
            "topic.nothing",
            "consumer.ksql.service.id",
            "",
        ] {
            assert!(Override::find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn values_are_those_that_their_property_takes() {
        let check = |name: &str, value: &str| Override::find(name).unwrap().check_requested(value);
        assert_eq!(check("auto.offset.reset", "earliest"), Ok(()));
        assert!(check("auto.offset.reset", "Earliest").unwrap_err().contains("must be either 'earliest'"));
        assert!(check("ksql.streams.auto.offset.reset", "none").unwrap_err().contains("not valid"));
        assert_eq!(
            check("ksql.query.pull.table.scan.enabled", "maybe").unwrap_err(),
            "Invalid value maybe for configuration ksql.query.pull.table.scan.enabled: Expected value to be either true or false"
        );
        assert_eq!(
            check("ksql.streams.processing.guarantee", "twice").unwrap_err(),
            "Invalid value twice for configuration processing.guarantee: String must be one of: at_least_once, exactly_once_v2"
        );
        assert_eq!(check("ksql.hidden.topics", "a").unwrap_err(), "Cannot override property 'ksql.hidden.topics'");
        assert!(check("ksql.streams.bootstrap.servers", "x:1").unwrap_err().contains("'bootstrap.servers'"));
    }

    #[test]
    fn every_list_names_what_there_is() {
        let named = OF_THE_OPERATOR.iter().chain(OF_QUERIES).chain(OF_THE_SYSTEM);
        for name in named.chain(CHECKS.iter().map(|(name, _)| name)) {
            assert!(KNOWN.contains_key(name), "{name}");
        }
    }
}
