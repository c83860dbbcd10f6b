//! The server's configuration: read from its sources, checked, typed.
//!
//! ```text
//! ksql-server.properties ─► KSQL_* environment ─► --override        (later wins)
//!                                     │
//!                               ConfigSources ── checked against the table ──► SqlConfig + notices
//! ```

pub mod overrides;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use milena_client::security::https;
use milena_client::{ClientConfig, ConsumerConfig, ProducerConfig};
use milena_http::config::{Component, Listener};
use milena_http::{BasicAuth, Cors};
use milena_schema::client::ClientConfig as RegistryConfig;
use milena_sql::catalog::Settings;
use milena_stdx::{Properties, closest_key};
use regex::RegexSet;

pub use milena_http::config::{ConfigError, Sources as ConfigSources};
pub use table::SQL_CONFIGS;

/// The server among the components that have settings.
pub const COMPONENT: Component =
    Component { variable_prefix: "KSQL_", jvm_options: &["KSQL_OPTS"], table: &SQL_CONFIGS };
/// In front of properties of Kafka's clients and of queries.
pub const STREAMS_PREFIX: &str = "ksql.streams.";
/// What topics that belong to services begin with.
const INTERNAL_TOPICS: &str = "_confluent-ksql-";
const REGISTRY_PREFIX: &str = "ksql.schema.registry.";
/// Beginnings of properties of plug-ins, of Jetty and of the JVM: accepted, without effect.
const FOREIGN_PREFIXES: [&str; 2] = ["confluent.", "metrics."];
/// Keys of ksqlDB's server that look like others here.
const OF_OTHER_SERVERS: [&str; 3] =
    ["ksql.heartbeat.check.interval.ms", "ksql.heartbeat.missed.threshold.ms", "ksql.heartbeat.thread.pool.size"];

/// The configuration of one server, typed.
pub struct SqlConfig {
    /// `listeners`
    pub listeners: Vec<Listener>,
    /// `ksql.service.id`
    pub service_id: String,
    /// `ksql.internal.topic.replicas`
    pub internal_replicas: i16,
    /// `ksql.server.command.response.timeout.ms`
    pub response_timeout: Duration,
    /// `ksql.streams.state.dir`, with a directory of the service's own in it.
    pub state_dir: PathBuf,
    /// `ksql.metastore.backup.location`; `None` unless `ksql.enable.metastore.backup`.
    pub backup_dir: Option<PathBuf>,
    /// `ksql.max.push.queries`
    pub push_queries_max: usize,
    /// `milena.request.max.bytes`: bodies beyond this are refused with 413.
    pub request_bytes_max: usize,
    /// `ksql.properties.overrides.denylist`
    pub denied_overrides: Vec<String>,
    /// `ksql.hidden.topics`, and the service's own: topics that only `SHOW ALL TOPICS` shows.
    pub hidden_topics: RegexSet,
    /// `ksql.readonly.topics`, and the service's own: topics that statements do not write.
    pub read_only_topics: RegexSet,
    /// `ksql.queries.file`: headless mode.
    pub queries_file: Option<PathBuf>,
    /// `ksql.advertised.listener`
    pub advertised: Option<String>,
    /// How Kafka is reached.
    pub client: ClientConfig,
    /// What consumers of queries begin with.
    pub consumer: ConsumerConfig,
    /// What producers of queries begin with.
    pub producer: ProducerConfig,
    /// Every property in force, as statements see them.
    pub settings: Settings,
    /// `ksql.connect.*`
    pub connect: ConnectSettings,
    /// `ksql.schema.registry.*`; none without a URL.
    pub registry: Option<RegistryConfig>,
    pub(crate) auth: Option<BasicAuth>,
    pub(crate) cors: Cors,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    /// What is believed of other servers and of Connect workers that speak HTTPS.
    pub(crate) client_tls: Option<tokio_rustls::TlsConnector>,
    /// `ksql.query.pull.forwarding.timeout.ms`
    pub(crate) forwarding_timeout: Duration,
}

/// How Connect workers are reached.
pub struct ConnectSettings {
    /// `ksql.connect.url`
    pub urls: Vec<String>,
    /// `name:password` for workers that ask.
    pub user: Option<String>,
}

impl SqlConfig {
    /// Checks and types what the sources say. The second part are notices for the operator, one line each.
    ///
    /// # Errors
    /// [`ConfigError`] for the first value that cannot be used.
    pub fn load(sources: &ConfigSources) -> Result<(SqlConfig, Vec<String>), ConfigError> {
        let notices = sources.check(notice_about_unknown)?;
        let listeners = sources.listeners()?;
        let tls = sources.tls(&listeners, &sources.security()?)?;
        let (client, consumer, producer) = clients(sources)?;
        let config = SqlConfig {
            service_id: sources.text("ksql.service.id"),
            internal_replicas: sources.number("ksql.internal.topic.replicas")?,
            response_timeout: sources.millis("ksql.server.command.response.timeout.ms")?,
            state_dir: Path::new(&sources.text("ksql.streams.state.dir")).join(sources.text("ksql.service.id")),
            backup_dir: backup_dir(sources)?,
            push_queries_max: sources.number("ksql.max.push.queries")?,
            request_bytes_max: sources.number("milena.request.max.bytes")?,
            denied_overrides: sources.list("ksql.properties.overrides.denylist"),
            hidden_topics: patterns(sources, "ksql.hidden.topics", &[])?,
            read_only_topics: patterns(sources, "ksql.readonly.topics", &[processing_log_topic(sources)])?,
            queries_file: sources.non_empty("ksql.queries.file").map(PathBuf::from),
            advertised: sources.non_empty("ksql.advertised.listener").map(str::to_owned),
            settings: settings(sources),
            registry: registry(sources)?,
            connect: connect(sources)?,
            client_tls: sources
                .is_set("ssl.truststore.location")
                .then(|| Ok::<_, ConfigError>(https::connector(&sources.security()?)?))
                .transpose()?,
            forwarding_timeout: sources.millis("ksql.query.pull.forwarding.timeout.ms")?,
            auth: sources.users()?,
            cors: sources.cors(),
            client,
            consumer,
            producer,
            listeners,
            tls,
        };
        Ok((config, notices))
    }

    /// The topic that tells all servers of this id what to do.
    pub fn command_topic(&self) -> String {
        format!("{INTERNAL_TOPICS}{}_command_topic", self.service_id)
    }

    /// What the group of a client's query would be called.
    pub fn transient_group(&self, id: &str) -> String {
        format!("{INTERNAL_TOPICS}{}transient_{id}", self.service_id)
    }

    /// In front of the names of a query's group and of its own topics.
    pub fn query_prefix(&self) -> String {
        format!("{INTERNAL_TOPICS}{}query_", self.service_id)
    }
}

/// Where the command topic is backed up.
fn backup_dir(sources: &ConfigSources) -> Result<Option<PathBuf>, ConfigError> {
    const LOCATION: &str = "ksql.metastore.backup.location";
    if !sources.flag("ksql.enable.metastore.backup") {
        return Ok(None);
    }
    sources.non_empty(LOCATION).map(|path| Some(PathBuf::from(path))).ok_or(ConfigError::Unusable {
        key: LOCATION,
        value: String::new(),
        reason: "ksql.enable.metastore.backup needs a directory".to_owned(),
    })
}

/// What statements may ask for: defaults of the table that begin with `ksql.`, and everything that was set.
fn settings(sources: &ConfigSources) -> Settings {
    let mut settings = Settings::default();
    for name in SQL_CONFIGS.names().filter(|name| name.starts_with("ksql.")) {
        if let Some(value) = sources.non_empty(name) {
            settings.set(name, value);
        }
    }
    for (key, value) in sources.set_keys() {
        if SQL_CONFIGS.get(key).is_none_or(|def| !def.is_sensitive()) {
            settings.set(key, value);
        }
    }
    settings
}

fn clients(sources: &ConfigSources) -> Result<(ClientConfig, ConsumerConfig, ProducerConfig), ConfigError> {
    const SERVERS: &str = "bootstrap.servers";
    let named = ["ksql.streams.bootstrap.servers", SERVERS].into_iter().find_map(|key| sources.non_empty(key));
    let mut client = ClientConfig::new(named.ok_or(ConfigError::Missing(SERVERS))?)?;
    client.client_id = "ksql".to_owned();
    let (mut consumer, mut producer) = (ConsumerConfig::default(), ProducerConfig::default());
    for (key, value) in sources.set_keys() {
        let key = key.strip_prefix(STREAMS_PREFIX).unwrap_or(key);
        // Those of the listeners are in the table; keys of clients that are not are security.protocol, sasl.* and the like.
        if SQL_CONFIGS.get(key).is_some() && !key.starts_with("ssl.truststore.") {
            continue;
        }
        client.set(key, value)?;
        let (for_consumer, for_producer) = (key.strip_prefix("consumer."), key.strip_prefix("producer."));
        if for_producer.is_none() {
            consumer.set(for_consumer.unwrap_or(key), value)?;
        }
        if for_consumer.is_none() {
            producer.set(for_producer.unwrap_or(key), value)?;
        }
    }
    producer.check()?;
    Ok((client, consumer, producer))
}

fn registry(sources: &ConfigSources) -> Result<Option<RegistryConfig>, ConfigError> {
    const URL: &str = "ksql.schema.registry.url";
    if sources.non_empty(URL).is_none() {
        return Ok(None);
    }
    // Its client knows the keys without what stands in front of them here.
    let get = |key: &str| {
        let short = key.strip_prefix("schema.registry.")?;
        sources.non_empty(&format!("{REGISTRY_PREFIX}{short}"))
    };
    RegistryConfig::from_properties(get).map(Some).map_err(|error| ConfigError::Unusable {
        key: URL,
        value: sources.text(URL),
        reason: error.to_string(),
    })
}

/// The processing log, whether it is written or not.
fn processing_log_topic(sources: &ConfigSources) -> String {
    let named = sources.non_empty("ksql.logging.processing.topic.name").map(str::to_owned);
    named.unwrap_or_else(|| format!("{}ksql_processing_log", sources.text("ksql.service.id")))
}

/// A list of regular expressions that have to fit as a whole; topics of services always do.
fn patterns(sources: &ConfigSources, key: &'static str, others: &[String]) -> Result<RegexSet, ConfigError> {
    let own = std::iter::once(format!("{INTERNAL_TOPICS}.*")).chain(others.iter().map(|name| regex::escape(name)));
    let patterns = sources.list(key).into_iter().chain(own).map(|pattern| format!("^(?:{pattern})$"));
    RegexSet::new(patterns).map_err(|error| ConfigError::Unusable {
        key,
        value: sources.text(key),
        reason: error.to_string(),
    })
}

fn connect(sources: &ConfigSources) -> Result<ConnectSettings, ConfigError> {
    const FILE: &str = "ksql.connect.basic.auth.credentials.file";
    let urls = sources.list("ksql.connect.url");
    if !sources.text("ksql.connect.basic.auth.credentials.source").eq_ignore_ascii_case("FILE") {
        return Ok(ConnectSettings { urls, user: None });
    }
    let path = sources.non_empty(FILE).ok_or(ConfigError::Missing(FILE))?;
    let unusable = |reason: String| ConfigError::Unusable { key: FILE, value: path.to_owned(), reason };
    let file = Properties::load(Path::new(path)).map_err(|error| unusable(error.to_string()))?;
    let member = |name: &str| {
        let found = file.entries().iter().rfind(|entry| entry.key == name).map(|entry| entry.value.clone());
        found.ok_or_else(|| unusable(format!("it has no {name}")))
    };
    Ok(ConnectSettings { urls, user: Some(format!("{}:{}", member("username")?, member("password")?)) })
}

/// `docs/configuration-sql-server.md`.
pub fn document() -> String {
    let mut page = HEAD.to_owned();
    let names: Vec<String> = overrides::of_the_operator().map(|name| format!("`{name}`")).collect();
    page.push_str(&format!("{}.\n", names.join(", ")));
    milena_stdx::config_def::document::section(&mut page, "Properties", &SQL_CONFIGS);
    page
}

const HEAD: &str = "# Configuration of the SQL server

Rendered from the table in `crates/sql-server/src/config/table.rs`; change that and run
`UPDATE_DOCS=1 cargo test -p milena-sql-server documentation`.

Settings come from three places, later wins: a properties file, environment variables (those of `KSQL_OPTS` last), the command
line.

```
milena ksql-server ksql-server.properties --override bootstrap.servers=localhost:9092
KSQL_BOOTSTRAP_SERVERS=localhost:9092 milena ksql-server
KSQL_OPTS=-Dksql.streams.auto.offset.reset=earliest milena ksql-server ksql-server.properties
milena server --override milena.ksql.server.listeners=http://127.0.0.1:9088
```

A variable is `KSQL_` and the key in capitals with `_` for `.`, `__` for `_` and `___` for `-`: `KSQL_KSQL_SERVICE_ID` is
`ksql.service.id`. In `milena server`, where several systems share a file, keys of the SQL server begin with
`milena.ksql.server.`; an empty `milena.ksql.server.listeners` starts none. An unknown key is reported together with the
nearest known one; a wrong value ends the start with one line.

Properties of Kafka's clients stand beside them, plain (`security.protocol`, `sasl.jaas.config`, ...) or behind
`ksql.streams.`; those with `consumer.` and `producer.` count for one kind of client. `ksql.schema.registry.` begins
settings of the registry's client. Sessions and requests may set properties for their own statements. Refused are names that
nobody knows, those in `ksql.properties.overrides.denylist` (with and without `ksql.streams.`), and what the operator alone
decides:
";

fn notice_about_unknown(key: &str, origin: &str) -> Result<Option<String>, ConfigError> {
    // A value that is none is told when the clients are made.
    let is_of_clients = |key: &str| {
        let is_of_connections = !matches!(ClientConfig::new("localhost:9092")?.set(key, ""), Ok(false));
        let is_of_consumers = !matches!(ConsumerConfig::default().set(key, ""), Ok(false));
        let is_of_producers = !matches!(ProducerConfig::default().set(key, ""), Ok(false));
        Ok::<bool, ConfigError>(is_of_connections || is_of_consumers || is_of_producers)
    };
    let known_elsewhere = key.starts_with(STREAMS_PREFIX)
        || key.starts_with(REGISTRY_PREFIX)
        || FOREIGN_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
        || is_of_clients(key)?;
    if known_elsewhere {
        return Ok(None);
    }
    let is_spelled_right = OF_OTHER_SERVERS.contains(&key) || overrides::Override::find(key).is_some();
    let closest = closest_key(key, SQL_CONFIGS.names()).filter(|_| !is_spelled_right);
    let hint = match closest {
        Some(known) => format!("; did you mean {known}?"),
        None => String::new(),
    };
    Ok(Some(format!("configuration {key} ({origin}) has no effect{hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<(SqlConfig, Vec<String>), ConfigError> {
        let mut sources = ConfigSources::new(COMPONENT);
        for (key, value) in pairs {
            sources = sources.command_line(key, value);
        }
        SqlConfig::load(&sources)
    }

    #[test]
    fn the_service_id_names_topics_and_groups() {
        let (config, notices) = load(&[("bootstrap.servers", "kafka:9092"), ("ksql.service.id", "shop_")]).unwrap();
        assert_eq!(config.command_topic(), "_confluent-ksql-shop__command_topic");
        assert_eq!(config.query_prefix(), "_confluent-ksql-shop_query_");
        assert!(notices.is_empty(), "{notices:?}");
        assert_eq!(config.settings.get("ksql.service.id"), Some("shop_"));
        assert!(config.registry.is_none());
    }

    #[test]
    fn variables_of_the_images_are_keys() {
        let variables = [("KSQL_BOOTSTRAP_SERVERS", "k:1"), ("KSQL_KSQL_SERVICE_ID", "a"), ("KSQL_OPTS", "-Xmx1g")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (config, _) = SqlConfig::load(&ConfigSources::new(COMPONENT).environment(variables)).unwrap();
        assert_eq!(config.service_id, "a");
    }

    #[test]
    fn options_for_a_jvm_set_properties() {
        let options = "-Xmx1g -Dksql.service.id=b -Djava.security.auth.login.config=/x -Dlog4j2.level=off -Dlisteners=";
        let sources = ConfigSources::new(COMPONENT).command_line("bootstrap.servers", "k:1");
        let sources = sources.command_line("ksql.service.id", "a").jvm_properties("KSQL_OPTS", options);
        let (config, notices) = SqlConfig::load(&sources).unwrap();
        assert_eq!((config.service_id.as_str(), config.listeners.len()), ("b", 0));
        assert!(notices.is_empty(), "{notices:?}");
    }

    #[test]
    fn properties_of_clients_and_of_the_registry_reach_them() {
        let (config, notices) = load(&[
            ("bootstrap.servers", "kafka:9092"),
            ("ksql.streams.consumer.max.poll.interval.ms", "1234"),
            ("ksql.schema.registry.url", "http://registry:8081"),
        ])
        .unwrap();
        assert_eq!(config.consumer.max_poll_interval, Duration::from_millis(1234));
        assert!(config.registry.is_some());
        assert!(notices.is_empty(), "{notices:?}");
    }

    #[test]
    fn a_server_needs_a_kafka() {
        assert!(matches!(load(&[]), Err(ConfigError::Missing("bootstrap.servers"))));
    }

    #[test]
    fn documentation_is_what_the_table_says() {
        let page = document();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration-sql-server.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == page, "run UPDATE_DOCS=1 cargo test -p milena-sql-server documentation");
    }

    #[test]
    fn connect_may_ask_for_a_password() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "username=u\npassword=p\n").unwrap();
        let (config, _) = load(&[
            ("bootstrap.servers", "k:1"),
            ("ksql.connect.url", "http://a:1,http://b:1"),
            ("ksql.connect.basic.auth.credentials.source", "FILE"),
            ("ksql.connect.basic.auth.credentials.file", file.path().to_str().unwrap()),
        ])
        .unwrap();
        assert_eq!((config.connect.urls.len(), config.connect.user.as_deref()), (2, Some("u:p")));
    }

    #[test]
    fn unknown_keys_are_told_with_the_nearest_known_one() {
        let (_, notices) = load(&[("bootstrap.servers", "k:1"), ("ksql.servce.id", "x")]).unwrap();
        assert!(notices[0].contains("did you mean ksql.service.id?"), "{notices:?}");
    }

    #[test]
    fn only_what_has_no_effect_is_told() {
        let pairs = [
            ("bootstrap.servers", "k:1"),
            ("compression.type", "gzip"),
            ("ksql.functions.collect_list.limit", "3"),
            ("ksql.heartbeat.check.interval.ms", "300"),
            ("ksql.internal.topic.replicas", "-1"),
            ("ksql.streams.replication.factor", "3"),
            ("max.poll.interval.ms", "1234"),
        ];
        let (config, notices) = load(&pairs).unwrap();
        assert_eq!(notices, ["configuration ksql.heartbeat.check.interval.ms (command line) has no effect"]);
        assert_eq!(config.internal_replicas, -1);
    }
}
