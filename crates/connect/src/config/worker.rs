//! A worker's configuration: read from its sources, checked, typed.
//!
//! ```text
//! worker.properties ─► CONNECT_* environment ─► --override        (later wins)
//!                                │
//!                             Sources ── placeholders of providers ── checked against the table ──► WorkerConfig + notices
//! ```
//!
//! Keys that are in no table are properties of Kafka's clients: plain ones (`security.protocol`) of the worker's own, those
//! with `producer.`, `consumer.` and `admin.` of the tasks'.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use milena_client::{ClientConfig, ConsumerConfig, ProducerConfig};
use milena_http::config::{Component, ConfigError, Listener, Sources};
use milena_http::{BasicAuth, Cors};
use milena_stdx::closest_key;

use super::providers::{ConfigProviders, ProviderError};
use super::worker_table::WORKER_CONFIGS;
use crate::plugin::Settings;

/// Workers among the components that have settings.
pub const COMPONENT: Component =
    Component { variable_prefix: "CONNECT_", jvm_options: &["KAFKA_OPTS", "CONNECT_OPTS"], table: &WORKER_CONFIGS };

/// The extension that asks for name and password.
const BASIC_AUTH: &str = "BasicAuthSecurityRestExtension";
/// The section of a JAAS file with its users.
const REALM: &str = "KafkaConnect";
/// What begins a setting of a topic that a worker makes.
const STORAGE: [&str; 3] = ["config.storage.", "offset.storage.", "status.storage."];
/// Beginnings of keys that belong to something that is configured elsewhere in the file.
const NESTED: [&str; 9] = [
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "internal.key.converter.",
    "internal.value.converter.",
    "config.providers.",
    "listeners.https.",
    "admin.listeners.https.",
    "metrics.",
];

/// A configuration that a worker cannot start with.
#[derive(Debug, thiserror::Error)]
pub enum WorkerConfigError {
    /// A value.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A config provider.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

impl From<milena_client::Error> for WorkerConfigError {
    fn from(error: milena_client::Error) -> WorkerConfigError {
        WorkerConfigError::Config(error.into())
    }
}

/// Whether workers share their work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One process, nothing kept but offsets in a file.
    Standalone,
    /// Any number of processes, everything in topics.
    Distributed,
}

/// A topic that workers keep something in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageTopic {
    /// Its name.
    pub name: String,
    /// Partitions of a new one; -1 is the broker's default.
    pub partitions: i32,
    /// Replicas of a new one; -1 is the broker's default.
    pub replication_factor: i16,
    /// Further settings of a new one.
    pub configs: BTreeMap<String, String>,
}

/// `exactly.once.source.support`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExactlyOnceMode {
    /// Nobody writes in transactions.
    Disabled,
    /// Leaders do; tasks do not yet.
    Preparing,
    /// Everybody does.
    Enabled,
}

/// What only distributed workers have.
#[derive(Debug, Clone)]
pub struct DistributedConfig {
    /// `group.id`
    pub group_id: String,
    /// The configurations.
    pub config_topic: StorageTopic,
    /// The source offsets.
    pub offset_topic: StorageTopic,
    /// The states.
    pub status_topic: StorageTopic,
    /// `session.timeout.ms`
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`
    pub heartbeat_interval: Duration,
    /// `rebalance.timeout.ms`
    pub rebalance_timeout: Duration,
    /// `scheduled.rebalance.max.delay.ms`
    pub scheduled_rebalance_delay_max: Duration,
    /// Whether calls between workers are signed (`connect.protocol=sessioned`).
    pub sessioned: bool,
    /// `exactly.once.source.support`
    pub exactly_once: ExactlyOnceMode,
    /// `worker.sync.timeout.ms`
    pub sync_timeout: Duration,
    /// `inter.worker.key.ttl.ms`; `None`: keys are for ever.
    pub key_ttl: Option<Duration>,
}

/// `connector.client.config.override.policy`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverridePolicy {
    /// Everything may be set.
    All,
    /// Nothing.
    None,
    /// Only who the connector is.
    Principal,
    /// What is listed.
    Allowlist(Vec<String>),
}

/// How the API behaves.
pub(crate) struct RestOptions {
    pub auth: Option<BasicAuth>,
    pub cors: Cors,
    pub request_bytes_max: usize,
    /// `response.http.headers.config`
    pub headers: Vec<(String, String)>,
    /// `rest.advertised.*`
    pub advertised_host: Option<String>,
    pub advertised_port: Option<u16>,
    pub advertised_secure: Option<bool>,
    /// For leaders that speak HTTPS.
    pub client_tls: Option<tokio_rustls::TlsConnector>,
}

/// The configuration of one worker, typed.
pub struct WorkerConfig {
    /// Which mode.
    pub mode: Mode,
    /// Where the API listens.
    pub listeners: Vec<Listener>,
    /// `admin.listeners`; `None`: where everything is.
    pub admin_listeners: Option<Vec<Listener>>,
    /// `bootstrap.servers`
    pub bootstrap_servers: String,
    /// Plain client properties: for the worker's own clients.
    pub client_settings: Settings,
    /// Everything that is set, for tasks: their clients, converters and intervals.
    pub properties: Settings,
    /// `topic.tracking.enable`
    pub topic_tracking: bool,
    /// `topic.tracking.allow.reset`
    pub topic_tracking_reset: bool,
    /// `connector.client.config.override.policy`
    pub override_policy: OverridePolicy,
    /// `config.providers`
    pub providers: ConfigProviders,
    /// `offset.storage.file.filename`, standalone.
    pub offset_file: Option<PathBuf>,
    /// The rest of a distributed worker.
    pub distributed: Option<DistributedConfig>,
    pub(crate) rest: RestOptions,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
}

impl WorkerConfig {
    /// Checks and types what the sources say. The second part are notices for the operator, one line each.
    ///
    /// # Errors
    /// [`WorkerConfigError`] for the first value that cannot be used.
    pub fn load(sources: &Sources, mode: Mode) -> Result<(WorkerConfig, Vec<String>), WorkerConfigError> {
        let providers = ConfigProviders::load(&sources.list("config.providers"), |key| sources.value(key))?;
        let sources = &resolved(sources, &providers)?;
        let mut notices = sources.check(notice_about_unknown)?;
        if sources.is_set("plugin.path") {
            notices.push("plugin.path has no effect: plugins are part of the program".to_owned());
        }
        let listeners = sources.listeners()?;
        let admin_listeners = sources.value("admin.listeners").map(|_| sources.list("admin.listeners"));
        let admin_listeners = admin_listeners
            .map(|list| list.iter().map(|listener| Listener::parse(listener)).collect::<Result<Vec<_>, _>>())
            .transpose()?;
        let all: Vec<Listener> = listeners.iter().chain(admin_listeners.iter().flatten()).cloned().collect();
        let https = of_https(sources);
        let tls = https.tls(&all, &https.security()?)?;
        for key in ["key.converter", "value.converter"] {
            required(sources, key)?;
        }
        let config = WorkerConfig {
            mode,
            bootstrap_servers: sources.text("bootstrap.servers"),
            client_settings: client_settings(sources),
            properties: sources.set_keys().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            topic_tracking: sources.flag("topic.tracking.enable"),
            topic_tracking_reset: sources.flag("topic.tracking.allow.reset"),
            override_policy: override_policy(sources)?,
            providers,
            offset_file: match mode {
                Mode::Standalone => Some(required(sources, "offset.storage.file.filename")?.into()),
                Mode::Distributed => None,
            },
            distributed: (mode == Mode::Distributed).then(|| distributed(sources)).transpose()?,
            rest: rest(sources)?,
            listeners,
            admin_listeners,
            tls,
        };
        config.client("connect")?;
        Ok((config, notices))
    }

    /// `task.shutdown.graceful.timeout.ms`
    pub fn task_shutdown_timeout(&self) -> Duration {
        let set = self.properties.get("task.shutdown.graceful.timeout.ms").and_then(|value| value.trim().parse().ok());
        Duration::from_millis(set.unwrap_or(5000))
    }

    /// How the worker's own clients reach Kafka.
    ///
    /// # Errors
    /// A property that makes no sense.
    pub fn client(&self, client_id: &str) -> Result<ClientConfig, milena_client::Error> {
        let mut client = ClientConfig::new(&self.bootstrap_servers)?;
        client.client_id = client_id.to_owned();
        for (key, value) in &self.client_settings {
            client.set(key, value)?;
        }
        Ok(client)
    }
}

/// The sources with the placeholders of the worker's own providers replaced.
fn resolved(sources: &Sources, providers: &ConfigProviders) -> Result<Sources, ProviderError> {
    let mut changed = sources.clone();
    for (key, value) in sources.set_keys().filter(|(key, _)| !key.starts_with("config.providers")) {
        let resolved = providers.resolve_value(value)?;
        if resolved != value {
            changed = changed.command_line(key, &resolved);
        }
    }
    Ok(changed)
}

/// The sources with `listeners.https.ssl.*` in the place of `ssl.*`.
fn of_https(sources: &Sources) -> Sources {
    const PREFIX: &str = "listeners.https.";
    let special = sources.set_keys().filter_map(|(key, value)| Some((key.strip_prefix(PREFIX)?, value)));
    special.fold(sources.clone(), |all, (key, value)| all.command_line(key, value))
}

fn required<'a>(sources: &'a Sources, key: &'static str) -> Result<&'a str, ConfigError> {
    sources.non_empty(key).ok_or(ConfigError::Missing(key))
}

fn prefixed(sources: &Sources, prefix: &str) -> Settings {
    let keys = sources.set_keys().filter(|(key, _)| WORKER_CONFIGS.get(key).is_none());
    keys.filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.to_owned()))).collect()
}

/// The properties that a Kafka client knows, without those that mean something else to a worker.
fn client_settings(sources: &Sources) -> Settings {
    let is_own = |key: &str| WORKER_CONFIGS.get(key).is_none() || key.starts_with("ssl.");
    let known = sources.set_keys().filter(|(key, value)| is_own(key) && is_client_property(key, value));
    known.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn is_client_property(key: &str, value: &str) -> bool {
    let of_connection = ClientConfig::new("localhost:9092").map(|mut client| client.set(key, value));
    match of_connection {
        Ok(Ok(known)) => known,
        // It knows the key and refuses the value: that shall be told.
        Ok(Err(_)) => true,
        Err(_) => false,
    }
}

fn distributed(sources: &Sources) -> Result<DistributedConfig, WorkerConfigError> {
    let key_ttl: i64 = sources.number("inter.worker.key.ttl.ms")?;
    let storage = |topic: &'static str, factor: &'static str, partitions: i32, prefix: &str| {
        Ok::<_, ConfigError>(StorageTopic {
            name: required(sources, topic)?.to_owned(),
            partitions,
            replication_factor: sources.number(factor)?,
            configs: prefixed(sources, prefix),
        })
    };
    let config = DistributedConfig {
        group_id: required(sources, "group.id")?.to_owned(),
        config_topic: storage("config.storage.topic", "config.storage.replication.factor", 1, STORAGE[0])?,
        offset_topic: storage(
            "offset.storage.topic",
            "offset.storage.replication.factor",
            sources.number("offset.storage.partitions")?,
            STORAGE[1],
        )?,
        status_topic: storage(
            "status.storage.topic",
            "status.storage.replication.factor",
            sources.number("status.storage.partitions")?,
            STORAGE[2],
        )?,
        session_timeout: sources.millis("session.timeout.ms")?,
        heartbeat_interval: sources.millis("heartbeat.interval.ms")?,
        rebalance_timeout: sources.millis("rebalance.timeout.ms")?,
        scheduled_rebalance_delay_max: sources.millis("scheduled.rebalance.max.delay.ms")?,
        sessioned: sources.text("connect.protocol").eq_ignore_ascii_case("sessioned"),
        exactly_once: match sources.text("exactly.once.source.support").to_ascii_lowercase().as_str() {
            "enabled" => ExactlyOnceMode::Enabled,
            "preparing" => ExactlyOnceMode::Preparing,
            _ => ExactlyOnceMode::Disabled,
        },
        sync_timeout: sources.millis("worker.sync.timeout.ms")?,
        key_ttl: u64::try_from(key_ttl).ok().filter(|ttl| *ttl > 0).map(Duration::from_millis),
    };
    for (key, topic) in
        [("offset.storage.partitions", &config.offset_topic), ("status.storage.partitions", &config.status_topic)]
    {
        if topic.partitions < 1 && topic.partitions != -1 {
            let reason = "Number of partitions must be at least 1, or -1 for the broker's default".to_owned();
            return Err(ConfigError::Unusable { key, value: topic.partitions.to_string(), reason }.into());
        }
    }
    if config.heartbeat_interval >= config.session_timeout {
        let value = sources.text("heartbeat.interval.ms");
        let reason = "it must be less than session.timeout.ms".to_owned();
        return Err(ConfigError::Unusable { key: "heartbeat.interval.ms", value, reason }.into());
    }
    Ok(config)
}

fn override_policy(sources: &Sources) -> Result<OverridePolicy, ConfigError> {
    const KEY: &str = "connector.client.config.override.policy";
    let value = sources.text(KEY);
    let simple = value.rsplit('.').next().unwrap_or_default();
    Ok(match simple.strip_suffix("ConnectorClientConfigOverridePolicy").unwrap_or(simple) {
        "All" => OverridePolicy::All,
        "None" => OverridePolicy::None,
        "Principal" => OverridePolicy::Principal,
        "Allowlist" => OverridePolicy::Allowlist(sources.list("connector.client.config.override.allowlist")),
        _ => {
            let reason = "there are All, None, Principal and Allowlist".to_owned();
            return Err(ConfigError::Unusable { key: KEY, value, reason });
        }
    })
}

fn rest(sources: &Sources) -> Result<RestOptions, ConfigError> {
    let extensions = sources.list("rest.extension.classes");
    let asks = extensions.iter().any(|class| class.rsplit('.').next() == Some(BASIC_AUTH));
    let auth = asks.then(|| sources.users_of_realm(REALM)).transpose()?;
    let secure = sources.text("rest.advertised.listener").to_ascii_lowercase();
    Ok(RestOptions {
        auth,
        cors: sources.cors(),
        request_bytes_max: sources.number("milena.request.max.bytes")?,
        headers: response_headers(&sources.text("response.http.headers.config"))?,
        advertised_host: sources.non_empty("rest.advertised.host.name").map(str::to_owned),
        advertised_port: sources
            .non_empty("rest.advertised.port")
            .map(|_| sources.number("rest.advertised.port"))
            .transpose()?,
        advertised_secure: (!secure.is_empty()).then(|| secure == "https"),
        client_tls: sources
            .is_set("ssl.truststore.location")
            .then(|| Ok::<_, ConfigError>(milena_client::security::https::connector(&sources.security()?)?))
            .transpose()?,
    })
}

/// `set Name: value, add Name: value, ...`
fn response_headers(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    const KEY: &str = "response.http.headers.config";
    let actions = text.split(',').map(str::trim).filter(|action| !action.is_empty());
    let parsed = actions.map(|action| {
        let refuse = || ConfigError::Unusable {
            key: KEY,
            value: text.to_owned(),
            reason: "entries such as `set X-Frame-Options: DENY` are expected".to_owned(),
        };
        let (verb, header) = action.split_once(char::is_whitespace).ok_or_else(refuse)?;
        let (name, value) = header.split_once(':').ok_or_else(refuse)?;
        if !matches!(verb, "set" | "add" | "setDate" | "addDate") {
            return Err(refuse());
        }
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    parsed.collect()
}

fn notice_about_unknown(key: &str, origin: &str) -> Result<Option<String>, ConfigError> {
    let is_nested = NESTED.iter().chain(&STORAGE).any(|prefix| key.starts_with(prefix));
    if is_nested || is_client_property(key, "") {
        return Ok(None);
    }
    if let Some((client, property)) = key.split_once('.')
        && matches!(client, "producer" | "consumer" | "admin")
    {
        let known = is_client_property(property, "")
            || (client == "producer" && !matches!(ProducerConfig::default().set(property, ""), Ok(false)))
            || (client == "consumer" && !matches!(ConsumerConfig::default().set(property, ""), Ok(false)));
        return Ok((!known).then(|| format!("unknown configuration {key} ({origin}) is ignored: no {client} has it")));
    }
    let hint = match closest_key(key, WORKER_CONFIGS.names()) {
        Some(known) => format!("; did you mean {known}?"),
        None => String::new(),
    };
    Ok(Some(format!("unknown configuration {key} ({origin}) is ignored{hint}")))
}

/// `docs/configuration-connect.md`.
pub fn document() -> String {
    let mut page = HEAD.to_owned();
    milena_stdx::config_def::document::section(&mut page, "Properties", &WORKER_CONFIGS);
    page
}

const HEAD: &str = "# Configuration of Connect workers

Rendered from the table in `crates/connect/src/config/worker_table.rs`; change that and run
`UPDATE_DOCS=1 cargo test -p milena-connect documentation`.

Settings come from three places, later wins: a properties file, environment variables, the command line.

```
milena connect-distributed connect-distributed.properties --override bootstrap.servers=localhost:9092
CONNECT_BOOTSTRAP_SERVERS=localhost:9092 milena connect-distributed
milena server --override milena.connect.listeners=http://127.0.0.1:9083
```

A variable is `CONNECT_` and the key in capitals with `_` for `.`, `__` for `_` and `___` for `-`. In `milena server`,
where several systems share a file, keys of Connect begin with `milena.connect.`; an empty `milena.connect.listeners`
starts none. An unknown key is reported together with the nearest known one; a wrong value ends the start with one line.

Properties of Kafka's clients stand beside them: plain ones (`security.protocol`, `sasl.jaas.config`, ...) count for the
worker's own clients, those with `producer.`, `consumer.` and `admin.` for the clients of tasks. `key.converter.`,
`value.converter.` and `header.converter.` begin settings of the converters; `config.storage.`, `offset.storage.` and
`status.storage.` begin settings of the topics that a worker makes.
";

#[cfg(test)]
mod tests;
