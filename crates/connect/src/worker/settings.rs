//! Settings of a worker that its tasks live by, and the clients that follow from them.
//!
//! A client of a task takes, each over the one before: the defaults that Kafka Connect gives it, the worker's own
//! `security.protocol`, `sasl.*` and `ssl.*`, the worker's `producer.*`, `consumer.*` or `admin.*`, and the connector's
//! `producer.override.*`, `consumer.override.*` or `admin.override.*`. That the worker's own security settings count is
//! more than the original does, where everybody has to write them three times.

use std::time::Duration;

use milena_client::consumer::OffsetReset;
use milena_client::{ClientConfig, ConsumerConfig, ProducerConfig};

use crate::plugin::{Settings, TaskError};

/// Records that one call of `put` gets at most, unless `max.poll.records` of the consumer says otherwise.
const MAX_POLL_RECORDS: usize = 500;

/// `batch.size` of a task's producer. With one request under way at a time the default of producers, 16 KiB, would make
/// the round trip the limit.
const BATCH_BYTES: usize = 256 * 1024;

/// What the tasks of a worker have in common.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// Everything that is in the worker's file, for converters and clients.
    pub properties: Settings,
    /// `group.id`; standalone workers have none.
    pub group_id: Option<String>,
    /// `offset.flush.interval.ms`; default 60 s.
    pub offset_flush_interval: Duration,
    /// `offset.flush.timeout.ms`; default 5 s.
    pub offset_flush_timeout: Duration,
    /// `task.shutdown.graceful.timeout.ms`: what all tasks together get to end; default 5 s.
    pub graceful_shutdown_timeout: Duration,
    /// `topic.creation.enable`; default on.
    pub creates_topics: bool,
    /// `topic.tracking.enable`; default on.
    pub tracks_topics: bool,
    /// `exactly.once.source.support=enabled`; default off.
    pub exactly_once_source: bool,
}

impl WorkerSettings {
    /// Reads the worker's properties; keys of others are left alone.
    ///
    /// # Errors
    /// A value that is none of its type.
    pub fn new(properties: Settings) -> Result<WorkerSettings, TaskError> {
        let millis = |key: &str, default: u64| number(&properties, key, default).map(Duration::from_millis);
        Ok(WorkerSettings {
            group_id: properties.get("group.id").filter(|id| !id.is_empty()).cloned(),
            offset_flush_interval: millis("offset.flush.interval.ms", 60_000)?,
            offset_flush_timeout: millis("offset.flush.timeout.ms", 5_000)?,
            graceful_shutdown_timeout: millis("task.shutdown.graceful.timeout.ms", 5_000)?,
            creates_topics: boolean(&properties, "topic.creation.enable", true)?,
            tracks_topics: boolean(&properties, "topic.tracking.enable", true)?,
            exactly_once_source: properties
                .get("exactly.once.source.support")
                .is_some_and(|value| value.trim().eq_ignore_ascii_case("enabled")),
            properties,
        })
    }

    /// `bootstrap.servers`; default `localhost:9092`.
    pub fn bootstrap_servers(&self) -> &str {
        self.properties.get("bootstrap.servers").map_or("localhost:9092", String::as_str)
    }

    /// The producer of a source task, of a dead letter queue, or of the offsets.
    ///
    /// # Errors
    /// A setting that the client refuses.
    pub fn producer(&self, client_id: &str, connector: &Settings) -> Result<(ClientConfig, ProducerConfig), TaskError> {
        let mut client = self.client(client_id)?;
        let mut producer = ProducerConfig {
            enable_idempotence: Some(false),
            max_in_flight: 1,
            batch_size: BATCH_BYTES,
            delivery_timeout: Duration::from_millis(i32::MAX.unsigned_abs().into()),
            max_block: Duration::from_millis(i32::MAX.unsigned_abs().into()),
            ..ProducerConfig::default()
        };
        for (key, value) in layers(&self.properties, "producer.", connector, "producer.override.") {
            let known = client.set(key, value).map_err(refused)? || producer.set(key, value).map_err(refused)?;
            unknown_is_told(known, key);
        }
        Ok((client, producer))
    }

    /// The producer of a source task whose records are had exactly once.
    ///
    /// # Errors
    /// A setting that the client refuses.
    pub fn transactional_producer(
        &self,
        client_id: &str,
        transactional_id: &str,
        connector: &Settings,
    ) -> Result<(ClientConfig, ProducerConfig), TaskError> {
        let (client, mut producer) = self.producer(client_id, connector)?;
        producer.enable_idempotence = Some(true);
        producer.transactional_id = Some(transactional_id.to_owned());
        producer.check().map_err(refused)?;
        Ok((client, producer))
    }

    /// The consumer of a sink task: how to connect, how to read, and how many records a `put` gets at most.
    ///
    /// # Errors
    /// A setting that the client refuses.
    pub fn consumer(
        &self,
        client_id: &str,
        group_id: &str,
        connector: &Settings,
    ) -> Result<(ClientConfig, ConsumerConfig, usize), TaskError> {
        let mut client = self.client(client_id)?;
        let mut consumer = ConsumerConfig {
            group_id: Some(group_id.to_owned()),
            auto_offset_reset: OffsetReset::Earliest,
            enable_auto_commit: false,
            ..ConsumerConfig::default()
        };
        let mut max_poll_records = MAX_POLL_RECORDS;
        for (key, value) in layers(&self.properties, "consumer.", connector, "consumer.override.") {
            if key == "max.poll.records" {
                max_poll_records = milena_client::config::parse_number::<usize>(key, value).map_err(refused)?.max(1);
                continue;
            }
            let known = client.set(key, value).map_err(refused)? || consumer.set(key, value).map_err(refused)?;
            unknown_is_told(known, key);
        }
        // The task commits what its connector has made durable, nobody else.
        consumer.enable_auto_commit = false;
        Ok((client, consumer, max_poll_records))
    }

    /// How to administer topics and groups for a connector. The worker's settings without prefix count too, as in the
    /// original.
    ///
    /// # Errors
    /// A setting that the client refuses.
    pub fn admin(&self, client_id: &str, connector: &Settings) -> Result<ClientConfig, TaskError> {
        let mut client = self.client(client_id)?;
        for (key, value) in layers(&self.properties, "admin.", connector, "admin.override.") {
            unknown_is_told(client.set(key, value).map_err(refused)?, key);
        }
        Ok(client)
    }

    /// How to reach the cluster of the worker itself.
    ///
    /// # Errors
    /// A setting that the client refuses.
    pub fn client(&self, client_id: &str) -> Result<ClientConfig, TaskError> {
        let mut client = ClientConfig::new(self.bootstrap_servers()).map_err(refused)?;
        for (key, value) in &self.properties {
            if key == "security.protocol" || key.starts_with("sasl.") || key.starts_with("ssl.") {
                client.set(key, value).map_err(refused)?;
            }
        }
        client_id.clone_into(&mut client.client_id);
        Ok(client)
    }
}

/// Settings with a prefix, without it.
pub fn with_prefix<'a>(settings: &'a Settings, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    settings.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
}

/// A number among settings.
///
/// # Errors
/// A value that is no number.
pub fn number<T: std::str::FromStr>(settings: &Settings, key: &str, default: T) -> Result<T, TaskError> {
    let Some(value) = settings.get(key) else { return Ok(default) };
    let refuse = |_| TaskError::fatal(format!("Invalid value {value} for configuration {key}: Not a number"));
    value.trim().parse().map_err(refuse)
}

/// A truth among settings.
///
/// # Errors
/// A value that is neither `true` nor `false`.
pub fn boolean(settings: &Settings, key: &str, default: bool) -> Result<bool, TaskError> {
    match settings.get(key) {
        Some(value) => milena_client::config::parse_bool(key, value).map_err(refused),
        None => Ok(default),
    }
}

/// Texts with commas between them.
pub fn list<'a>(settings: &'a Settings, key: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let value = settings.get(key).map_or("", String::as_str);
    value.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn layers<'a>(
    worker: &'a Settings,
    prefix: &'a str,
    connector: &'a Settings,
    over: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    with_prefix(worker, prefix).chain(with_prefix(connector, over))
}

fn refused(error: milena_client::Error) -> TaskError {
    TaskError::fatal(error.to_string())
}

fn unknown_is_told(known: bool, key: &str) {
    if !known {
        tracing::debug!("the setting {key} of a client means nothing here");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_producer_has_the_defaults_of_the_runtime_and_the_connector_has_the_last_word() {
        let worker = WorkerSettings::new(settings(&[("producer.linger.ms", "7"), ("producer.batch.size", "99")]));
        let worker = worker.unwrap();
        let (client, producer) =
            worker.producer("connector-producer-c-0", &settings(&[("producer.override.linger.ms", "8")])).unwrap();
        assert_eq!(client.client_id, "connector-producer-c-0");
        assert_eq!((producer.acks, producer.max_in_flight, producer.is_idempotent()), (-1, 1, false));
        assert_eq!((producer.linger, producer.batch_size), (Duration::from_millis(8), 99));
    }

    #[test]
    fn a_sink_reads_from_the_start_and_never_commits_by_itself() {
        let worker = WorkerSettings::new(settings(&[("consumer.enable.auto.commit", "true")])).unwrap();
        let over = settings(&[("consumer.override.max.poll.records", "3"), ("consumer.override.client.id", "mine")]);
        let (client, consumer, records) = worker.consumer("connector-consumer-c-0", "connect-c", &over).unwrap();
        assert_eq!((client.client_id.as_str(), records), ("mine", 3));
        assert_eq!(consumer.group_id.as_deref(), Some("connect-c"));
        assert_eq!((consumer.enable_auto_commit, consumer.auto_offset_reset), (false, OffsetReset::Earliest));
    }

    #[test]
    fn a_transactional_producer_refuses_what_would_break_the_promise() {
        let worker = WorkerSettings::new(settings(&[("group.id", "connect-cluster")])).unwrap();
        let (_, producer) = worker.transactional_producer("p", "connect-cluster-c-0", &Settings::new()).unwrap();
        assert!(producer.is_idempotent());
        let weak = settings(&[("producer.override.acks", "1")]);
        assert!(worker.transactional_producer("p", "t", &weak).is_err());
    }
}
