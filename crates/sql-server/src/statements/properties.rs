//! Properties: which there are, which of them a session may set.

use std::collections::BTreeMap;

use milena_client::{ClientConfig, ConsumerConfig, ProducerConfig};
use serde_json::{Value, json};

use super::Call;
use crate::config::{SQL_CONFIGS, STREAMS_PREFIX};
use crate::error::{Failure, Result};
use crate::session::Session;

/// Properties of the server itself begin so: a session cannot change them.
const OF_THE_SERVER: &[&str] = &[
    "access.control.",
    "authentication.",
    "bootstrap.servers",
    "ksql.advertised.listener",
    "ksql.connect.",
    "ksql.heartbeat.",
    "ksql.hidden.topics",
    "ksql.internal.",
    "ksql.max.push.queries",
    "ksql.properties.overrides.denylist",
    "ksql.queries.file",
    "ksql.schema.registry.",
    "ksql.server.",
    "ksql.service.id",
    "ksql.streams.bootstrap.servers",
    "ksql.streams.state.dir",
    "listeners",
    "milena.",
    "ssl.",
];
/// Properties of Kafka Streams that statements bring along.
const OF_STREAMS: &[&str] = &[
    "application.id",
    "buffered.records.per.partition",
    "cache.max.bytes.buffering",
    "commit.interval.ms",
    "default.deserialization.exception.handler",
    "default.production.exception.handler",
    "default.timestamp.extractor",
    "max.task.idle.ms",
    "num.standby.replicas",
    "num.stream.threads",
    "poll.ms",
    "processing.guarantee",
    "replication.factor",
    "rocksdb.config.setter",
    "state.cleanup.delay.ms",
    "statestore.cache.max.bytes",
    "task.timeout.ms",
    "topology.optimization",
];

fn is_of_the_server(name: &str) -> bool {
    OF_THE_SERVER.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether anything could make something of `name`.
fn is_known(name: &str) -> bool {
    let short = name.strip_prefix(STREAMS_PREFIX).unwrap_or(name);
    let short = ["consumer.", "producer.", "main.consumer.", "restore.consumer."]
        .iter()
        .find_map(|prefix| short.strip_prefix(prefix))
        .unwrap_or(short);
    let by_clients = || {
        // A value that does not fit is one of a known name.
        !matches!(ConsumerConfig::default().set(short, ""), Ok(false))
            || !matches!(ProducerConfig::default().set(short, ""), Ok(false))
            || ClientConfig::new("localhost:9092").is_ok_and(|mut config| !matches!(config.set(short, ""), Ok(false)))
    };
    name.starts_with("ksql.") || SQL_CONFIGS.get(name).is_some() || OF_STREAMS.contains(&short) || by_clients()
}

/// Whether `SET` may be used on a property.
///
/// # Errors
/// One that nobody knows, or that is the operator's alone.
pub fn check_settable(name: &str, denied: &[String]) -> Result<()> {
    let refused = |message: String| Err(Failure::new(Failure::BAD_REQUEST, message));
    if !is_known(name) {
        return refused(format!("Not recognizable as ksql, streams, consumer, or producer property: '{name}'"));
    }
    if is_of_the_server(name) {
        return refused(format!("Cannot override property '{name}'"));
    }
    Session::default().set(name, String::new(), denied)
}

/// `SHOW PROPERTIES`.
pub fn shown(call: &Call<'_>, session: &Session) -> Value {
    let config = &call.server.config;
    let mut names: BTreeMap<&str, &str> = config.settings.entries().collect();
    names.extend(session.properties.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let row = |name: &str, value: &str| {
        let level = if is_of_the_server(name) { "SERVER" } else { "QUERY" };
        let editable = check_settable(name, &config.denied_overrides).is_ok();
        json!({ "name": name, "scope": "KSQL", "value": value, "editable": editable, "level": level })
    };
    let is_default = |name: &str, value: &str| {
        SQL_CONFIGS.get(name).and_then(|def| def.default) == Some(value) && !session.properties.contains_key(name)
    };
    let overwritten: Vec<&String> = session.properties.keys().collect();
    let defaults: Vec<&str> =
        names.iter().filter(|(name, value)| is_default(name, value)).map(|(name, _)| *name).collect();
    json!({
        "properties": names.iter().map(|(name, value)| row(name, value)).collect::<Vec<_>>(),
        "overwrittenProperties": overwritten,
        "defaultProperties": defaults,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_set_what_is_known_and_not_the_operators() {
        let settable = |name: &str| check_settable(name, &["max.poll.records".to_owned()]);
        for name in [
            "auto.offset.reset",
            "ksql.streams.auto.offset.reset",
            "processing.guarantee",
            "ksql.query.pull.table.scan.enabled",
            "ksql.streams.producer.linger.ms",
        ] {
            assert_eq!(settable(name), Ok(()), "{name}");
        }
        assert!(settable("auto.ofset.reset").unwrap_err().message.starts_with("Not recognizable"));
        assert!(settable("max.poll.records").is_err());
        for name in ["ksql.service.id", "bootstrap.servers"] {
            assert!(settable(name).unwrap_err().message.starts_with("Cannot override"), "{name}");
        }
    }
}
