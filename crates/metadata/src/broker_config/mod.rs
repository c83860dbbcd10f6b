//! The broker's configuration: read from its sources, checked, typed.
//!
//! ```text
//! server.properties ─► KAFKA_* environment ─► --override        (later wins)
//!                              │
//!                        ConfigSources ── checked against the table ──► BrokerConfig + notices
//! ```
//!
//! [`BrokerConfig`] holds what was known when the process started. Values that can change while it runs are layered above
//! it by [`crate::effective`].

mod environment;
mod listeners;
mod providers;
mod sources;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use milena_stdx::PropertiesError;

use crate::config_def::{BROKER_CONFIGS, InvalidValue, parse_bool, split_list};

pub use listeners::{DEFAULT_PORT, Endpoint, ListenerConfig, SecurityProtocol};
use sources::Settings;
pub use sources::{CONNECT_PREFIX, ConfigSources, Origin, REGISTRY_PREFIX, REST_PROXY_PREFIX, SQL_SERVER_PREFIX};

/// A configuration that the broker cannot start with. The text is one line and names key, value and origin.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The properties file cannot be read.
    #[error(transparent)]
    File(#[from] PropertiesError),
    /// A value of the wrong type or out of bounds.
    #[error("{source} ({origin})")]
    Invalid {
        /// What is wrong.
        source: InvalidValue,
        /// Where the value was set.
        origin: Origin,
    },
    /// A value that is kept elsewhere cannot be had.
    #[error("configuration {key}: {reason} ({origin})")]
    Unresolved {
        /// The key.
        key: String,
        /// What is wrong with the reference or the provider.
        reason: String,
        /// Where the value was set.
        origin: Origin,
    },
    /// A value that is well-formed but contradicts others or the abilities of this version.
    #[error("Invalid value {value} for configuration {key}: expected {expected} ({origin})")]
    Unusable {
        /// The key.
        key: &'static str,
        /// The value in force.
        value: String,
        /// What would have been right.
        expected: String,
        /// Where the value was set.
        origin: Origin,
    },
}

/// The configuration of one broker, typed. Each field names its key; units are in the name.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// `node.id`, or `broker.id` of older files.
    pub node_id: i32,
    /// `broker.rack`
    pub broker_rack: Option<String>,
    /// The id that a new cluster gets, if the environment names one (`CLUSTER_ID`).
    pub cluster_id: Option<String>,
    /// Where metadata is kept: `milena.data.dir`, `metadata.log.dir`, or the first log directory.
    pub data_dir: PathBuf,
    /// Where logs are kept: `log.dirs`, `log.dir`, or the data directory.
    pub log_dirs: Vec<PathBuf>,
    /// The listeners for clients; never empty.
    pub listeners: Vec<ListenerConfig>,

    /// `num.partitions`
    pub num_partitions: i32,
    /// `default.replication.factor`
    pub default_replication_factor: i16,
    /// `auto.create.topics.enable`
    pub auto_create_topics_enable: bool,
    /// `delete.topic.enable`
    pub delete_topic_enable: bool,
    /// `milena.acks.all.fsync`: acks=all is answered after the group fsync.
    pub acks_all_fsync: bool,
    /// `milena.log.level`
    pub log_level: String,
    /// `milena.log.format`: log lines are JSON objects.
    pub log_json: bool,
    /// `milena.log.slow.request.ms`; `None` for never.
    pub log_slow_request: Option<Duration>,
    /// `milena.console.listener`; `None` when it is switched off.
    pub console_listener: Option<String>,

    /// `socket.request.max.bytes`
    pub socket_request_max_bytes: usize,
    /// `socket.send.buffer.bytes`; `None` for the operating system's choice.
    pub socket_send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` for the operating system's choice.
    pub socket_receive_buffer_bytes: Option<usize>,
    /// `socket.listen.backlog.size`
    pub socket_listen_backlog_size: i32,
    /// `connections.max.idle.ms`; `None` for never.
    pub connections_max_idle: Option<Duration>,
    /// `queued.max.request.bytes`; `None` for no limit.
    pub queued_max_request_bytes: Option<usize>,
    /// `fetch.max.bytes`
    pub fetch_max_bytes: usize,
    /// `max.incremental.fetch.session.cache.slots`
    pub max_incremental_fetch_session_cache_slots: usize,
    /// `max.request.partition.size.limit`
    pub max_request_partition_size_limit: i32,
    /// `request.timeout.ms`
    pub request_timeout: Duration,

    /// `offsets.topic.num.partitions`
    pub offsets_topic_num_partitions: i32,
    /// `offsets.topic.replication.factor`
    pub offsets_topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`
    pub offsets_topic_segment_bytes: i32,
    /// `transaction.state.log.num.partitions`
    pub transaction_state_log_num_partitions: i32,
    /// `transaction.state.log.segment.bytes`
    pub transaction_state_log_segment_bytes: i32,
    /// `producer.id.expiration.ms`
    pub producer_id_expiration_ms: i64,

    /// `num.recovery.threads.per.data.dir`
    pub num_recovery_threads_per_data_dir: usize,
    /// `log.retention.check.interval.ms`
    pub log_retention_check_interval: Duration,
    /// `log.initial.task.delay.ms`
    pub log_initial_task_delay: Duration,
    /// `log.flush.offset.checkpoint.interval.ms`
    pub log_flush_offset_checkpoint_interval: Duration,
    /// `log.cleaner.threads`
    pub log_cleaner_threads: usize,

    settings: BTreeMap<String, String>,
}

impl BrokerConfig {
    /// Checks and types what the sources say. The second part are notices for the operator, one line each.
    ///
    /// # Errors
    /// [`ConfigError`] for the first value that cannot be used.
    pub fn load(sources: ConfigSources) -> Result<(BrokerConfig, Vec<String>), ConfigError> {
        let mut notices = Vec::new();
        let settings = sources.check(&mut notices)?;
        if !split_list(settings.value("process.roles").unwrap_or("broker")).any(|role| role == "broker") {
            return Err(settings.error("process.roles", "a list with broker; the controller is always part of it"));
        }
        let listeners = listeners::resolve(&settings, &mut notices)?;
        let config = typed(&settings, listeners)?;
        Ok((config, notices))
    }

    /// The configuration with these settings and defaults otherwise; for tests and embedding.
    ///
    /// # Errors
    /// As [`BrokerConfig::load`].
    pub fn from_pairs(pairs: &[(&str, &str)]) -> Result<BrokerConfig, ConfigError> {
        let sources = pairs.iter().fold(ConfigSources::new(), |all, (key, value)| all.command_line(key, value));
        BrokerConfig::load(sources).map(|(config, _)| config)
    }

    /// The value of any key: what a source set, or the default of the table.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.setting(key).or_else(|| BROKER_CONFIGS.get(key).and_then(|def| def.default))
    }

    /// What is set under keys that begin with `prefix`, without it.
    pub fn prefixed<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.settings.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// The value of any key if a source set it.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }
}

impl Default for BrokerConfig {
    /// The configuration without any setting.
    fn default() -> BrokerConfig {
        BrokerConfig::from_pairs(&[]).expect("the defaults of the table are valid")
    }
}

fn typed(settings: &Settings, listeners: Vec<ListenerConfig>) -> Result<BrokerConfig, ConfigError> {
    let (data_dir, log_dirs) = directories(settings);
    Ok(BrokerConfig {
        node_id: node_id(settings)?,
        broker_rack: settings.explicit("broker.rack").map(str::to_owned),
        cluster_id: settings.cluster_id.clone(),
        data_dir,
        log_dirs,
        listeners,
        num_partitions: number(settings, "num.partitions")?,
        default_replication_factor: number(settings, "default.replication.factor")?,
        auto_create_topics_enable: flag(settings, "auto.create.topics.enable"),
        delete_topic_enable: flag(settings, "delete.topic.enable"),
        acks_all_fsync: flag(settings, "milena.acks.all.fsync"),
        log_level: settings.value("milena.log.level").unwrap_or("info").to_owned(),
        log_json: settings.value("milena.log.format").is_some_and(|format| format.eq_ignore_ascii_case("json")),
        log_slow_request: size(settings, "milena.log.slow.request.ms")?.map(|ms| Duration::from_millis(ms as u64)),
        console_listener: settings.value("milena.console.listener").map(str::to_owned).filter(|at| !at.is_empty()),
        socket_request_max_bytes: size(settings, "socket.request.max.bytes")?.unwrap_or(usize::MAX),
        socket_send_buffer_bytes: size(settings, "socket.send.buffer.bytes")?,
        socket_receive_buffer_bytes: size(settings, "socket.receive.buffer.bytes")?,
        socket_listen_backlog_size: number(settings, "socket.listen.backlog.size")?,
        connections_max_idle: size(settings, "connections.max.idle.ms")?.map(|ms| Duration::from_millis(ms as u64)),
        queued_max_request_bytes: size(settings, "queued.max.request.bytes")?,
        fetch_max_bytes: number(settings, "fetch.max.bytes")?,
        max_incremental_fetch_session_cache_slots: number(settings, "max.incremental.fetch.session.cache.slots")?,
        max_request_partition_size_limit: number(settings, "max.request.partition.size.limit")?,
        request_timeout: millis(settings, "request.timeout.ms")?,
        offsets_topic_num_partitions: number(settings, "offsets.topic.num.partitions")?,
        offsets_topic_replication_factor: number(settings, "offsets.topic.replication.factor")?,
        offsets_topic_segment_bytes: number(settings, "offsets.topic.segment.bytes")?,
        transaction_state_log_num_partitions: number(settings, "transaction.state.log.num.partitions")?,
        transaction_state_log_segment_bytes: number(settings, "transaction.state.log.segment.bytes")?,
        producer_id_expiration_ms: number(settings, "producer.id.expiration.ms")?,
        num_recovery_threads_per_data_dir: number(settings, "num.recovery.threads.per.data.dir")?,
        log_retention_check_interval: millis(settings, "log.retention.check.interval.ms")?,
        log_initial_task_delay: millis(settings, "log.initial.task.delay.ms")?,
        log_flush_offset_checkpoint_interval: millis(settings, "log.flush.offset.checkpoint.interval.ms")?,
        log_cleaner_threads: number(settings, "log.cleaner.threads")?,
        settings: settings.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    })
}

/// The data directory and the log directories.
fn directories(settings: &Settings) -> (PathBuf, Vec<PathBuf>) {
    let logs = settings.explicit("log.dirs").or(settings.explicit("log.dir"));
    let logs: Vec<PathBuf> = split_list(logs.unwrap_or("")).map(PathBuf::from).collect();
    let data = settings.explicit("milena.data.dir").or(settings.explicit("metadata.log.dir")).map(PathBuf::from);
    let data = data.or(logs.first().cloned()).unwrap_or_else(|| PathBuf::from("./milena-data"));
    let logs = if logs.is_empty() { vec![data.clone()] } else { logs };
    (data, logs)
}

fn node_id(settings: &Settings) -> Result<i32, ConfigError> {
    let id_of = |key: &str| settings.explicit(key).and_then(|id| id.parse::<i32>().ok());
    let broker_id = id_of("broker.id").filter(|id| *id >= 0);
    match (id_of("node.id"), broker_id) {
        (Some(node), Some(broker)) if node != broker => Err(settings.error("node.id", "the same id as broker.id")),
        (node, broker) => Ok(node.or(broker).unwrap_or(1)),
    }
}

/// The number under `key`, narrowed to what the field can hold.
fn number<T: TryFrom<i64>>(settings: &Settings, key: &'static str) -> Result<T, ConfigError> {
    let text = settings.value(key).unwrap_or("");
    let number = text.parse::<i64>().ok().and_then(|wide| T::try_from(wide).ok());
    number.ok_or_else(|| settings.error(key, "a number that this broker can work with"))
}

/// The number under `key`, with negative for "none".
fn size(settings: &Settings, key: &'static str) -> Result<Option<usize>, ConfigError> {
    Ok(usize::try_from(number::<i64>(settings, key)?).ok())
}

fn millis(settings: &Settings, key: &'static str) -> Result<Duration, ConfigError> {
    Ok(Duration::from_millis(number::<i64>(settings, key)?.max(0).unsigned_abs()))
}

fn flag(settings: &Settings, key: &str) -> bool {
    settings.value(key).and_then(parse_bool).expect("booleans are checked against the table when they are read")
}

#[cfg(test)]
mod tests;
