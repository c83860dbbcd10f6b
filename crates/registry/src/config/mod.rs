//! The registry's configuration: read from its sources, checked, typed.
//!
//! ```text
//! schema-registry.properties ─► SCHEMA_REGISTRY_* environment ─► --override        (later wins)
//!                                        │
//!                              ConfigSources ── checked against the table ──► RegistryConfig + notices
//! ```

mod jaas_file;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use milena_client::ClientConfig;
use milena_client::security::SecuritySettings;
use milena_client::security::https::{self, ClientCertificates};
use milena_stdx::config_def::{InvalidValue, key_of_words, parse_bool, split_list};
use milena_stdx::{Properties, PropertiesError, closest_key};

use crate::election::ElectionOptions;
use crate::http::{AuthError, BasicAuth, Deployment, Forwarder, HttpOptions, Limits, PageLimits};
use crate::service::ServiceOptions;
use crate::settings_of_scope::CompatibilityLevel;
use crate::storage::{KafkaLogOptions, TopicOptions};

pub use table::REGISTRY_CONFIGS;

/// In front of the environment variables that configure a registry.
const VARIABLE_PREFIX: &str = "SCHEMA_REGISTRY_";
/// In front of the properties of the Kafka client.
const CLIENT_PREFIX: &str = "kafkastore.";
/// Variables that steer a JVM or its scripts.
const NOT_CONFIGURATION: [&str; 4] = ["HEAP_OPTS", "OPTS", "CLASSPATH", "GC_LOG_OPTS"];
/// Beginnings of further such variables.
const NOT_CONFIGURATION_PREFIXES: [&str; 4] = ["JMX_", "LOG4J_", "CUB_", "JVM_"];
/// Beginnings of properties of plug-ins and of Jetty: accepted, without effect.
const FOREIGN_PREFIXES: [&str; 8] = [
    "confluent.",
    "metadata.encoder.",
    "rest.",
    "resource.",
    "metrics.",
    "thread.pool.",
    "response.",
    "kafkastore.ssl.",
];

/// A configuration that a registry cannot start with. The text is one line and names key and value.
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
        origin: String,
    },
    /// A value that contradicts others.
    #[error("Invalid value {value} for configuration {key}: {reason}")]
    Unusable {
        /// The key.
        key: &'static str,
        /// The value in force.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A key that must be set.
    #[error("Missing required configuration \"{0}\" which has no default value.")]
    Missing(&'static str),
    /// Settings of the Kafka client or of TLS.
    #[error(transparent)]
    Client(#[from] milena_client::Error),
    /// The users.
    #[error(transparent)]
    Users(#[from] AuthError),
}

/// Collects settings in the order in which they override each other.
#[derive(Debug, Clone, Default)]
pub struct ConfigSources {
    settings: BTreeMap<String, (String, String)>,
    /// Where a JAAS file is, if the options for a JVM name one.
    jaas_file: Option<PathBuf>,
}

impl ConfigSources {
    /// No settings: every key has its default.
    pub fn new() -> ConfigSources {
        ConfigSources::default()
    }

    /// Adds the entries of a properties file.
    ///
    /// # Errors
    /// The file cannot be read or parsed.
    pub fn file(mut self, path: &Path) -> Result<ConfigSources, ConfigError> {
        for entry in Properties::load(path)?.entries() {
            self.insert(&entry.key, &entry.value, format!("{} line {}", path.display(), entry.line));
        }
        Ok(self)
    }

    /// Adds the variables that are configuration: `SCHEMA_REGISTRY_...`.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> ConfigSources {
        for (name, value) in variables {
            let Some(words) = name.strip_prefix(VARIABLE_PREFIX) else { continue };
            if words == "OPTS" {
                let named =
                    value.split_whitespace().find_map(|word| word.strip_prefix("-Djava.security.auth.login.config="));
                self.jaas_file = named.map(PathBuf::from);
            }
            let foreign = NOT_CONFIGURATION.contains(&words)
                || NOT_CONFIGURATION_PREFIXES.iter().any(|prefix| words.starts_with(prefix));
            if !foreign && !words.is_empty() {
                self.insert(&key_of_words(words), &value, format!("environment variable {name}"));
            }
        }
        self
    }

    /// Sets one key from the command line.
    #[must_use]
    pub fn command_line(mut self, key: &str, value: &str) -> ConfigSources {
        self.insert(key, value, "command line".to_owned());
        self
    }

    /// Sets a key unless a source has set it.
    #[must_use]
    pub fn fallback(mut self, key: &str, value: &str) -> ConfigSources {
        self.settings.entry(key.to_owned()).or_insert_with(|| (value.to_owned(), "default".to_owned()));
        self
    }

    /// Whether a source sets the key.
    pub fn is_set(&self, key: &str) -> bool {
        self.settings.contains_key(key)
    }

    fn insert(&mut self, key: &str, value: &str, origin: String) {
        self.settings.insert(key.to_owned(), (value.trim().to_owned(), origin));
    }

    fn check(&self) -> Result<Vec<String>, ConfigError> {
        let mut notices = Vec::new();
        for (key, (value, origin)) in &self.settings {
            match REGISTRY_CONFIGS.get(key) {
                Some(def) if !value.is_empty() => {
                    def.validate(value).map_err(|source| ConfigError::Invalid { source, origin: origin.clone() })?;
                }
                Some(_) => {}
                None => notices.extend(notice_about_unknown(key, origin)?),
            }
        }
        Ok(notices)
    }

    /// The value of a key: from a source, or the default of the table.
    fn value(&self, key: &str) -> Option<&str> {
        let set = self.settings.get(key).map(|(value, _)| value.as_str());
        set.or_else(|| REGISTRY_CONFIGS.get(key).and_then(|def| def.default))
    }

    fn text(&self, key: &str) -> String {
        self.value(key).unwrap_or_default().to_owned()
    }

    fn flag(&self, key: &str) -> bool {
        self.value(key).and_then(parse_bool).unwrap_or(false)
    }

    fn list(&self, key: &str) -> Vec<String> {
        split_list(self.value(key).unwrap_or_default()).map(str::to_owned).collect()
    }

    fn number<T: std::str::FromStr>(&self, key: &'static str) -> Result<T, ConfigError> {
        let value = self.text(key);
        value.parse().map_err(|_| ConfigError::Unusable {
            key,
            value,
            reason: "it is not a number of the right size".to_owned(),
        })
    }

    fn millis(&self, key: &'static str) -> Result<Duration, ConfigError> {
        Ok(Duration::from_millis(self.number(key)?))
    }
}

fn notice_about_unknown(key: &str, origin: &str) -> Result<Option<String>, ConfigError> {
    if key == "port" {
        let reason = "PORT is deprecated; use listeners (SCHEMA_REGISTRY_LISTENERS) instead".to_owned();
        return Err(ConfigError::Unusable { key: "port", value: origin.to_owned(), reason });
    }
    if key.contains("connection.url") || key.contains("zk") {
        return Ok(Some(format!(
            "{key} ({origin}) has no effect: leaders are elected through Kafka, without ZooKeeper"
        )));
    }
    if key.ends_with("extension.class") || key == "schema.providers" {
        return Ok(Some(format!("{key} ({origin}) has no effect: there are no plug-ins")));
    }
    let of_client =
        key.strip_prefix(CLIENT_PREFIX).is_some_and(|key| key.starts_with("ssl.") || key.starts_with("sasl."));
    if of_client || FOREIGN_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
        return Ok(None);
    }
    let hint = match closest_key(key, REGISTRY_CONFIGS.names()) {
        Some(known) => format!("; did you mean {known}?"),
        None => String::new(),
    };
    Ok(Some(format!("unknown configuration {key} ({origin}) is ignored{hint}")))
}

/// A place to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Whether it speaks TLS.
    pub secure: bool,
    /// `host:port`.
    pub address: String,
}

/// The configuration of one registry, typed.
pub struct RegistryConfig {
    /// `listeners`
    pub listeners: Vec<ListenerConfig>,
    /// `host.name`
    pub host_name: Option<String>,
    /// `inter.instance.protocol`
    pub inter_instance_secure: bool,
    /// `leader.eligibility`
    pub leader_eligibility: bool,
    /// `debug`
    pub debug: bool,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    pub(crate) client: ClientConfig,
    pub(crate) service: ServiceOptions,
    pub(crate) log: KafkaLogOptions,
    pub(crate) sticky: bool,
    pub(crate) http: HttpOptions,
}

impl RegistryConfig {
    /// Checks and types what the sources say. The second part are notices for the operator, one line each.
    ///
    /// # Errors
    /// [`ConfigError`] for the first value that cannot be used.
    pub fn load(sources: &ConfigSources) -> Result<(RegistryConfig, Vec<String>), ConfigError> {
        let notices = sources.check()?;
        let listeners: Vec<ListenerConfig> =
            sources.list("listeners").iter().map(|listener| parse_listener(listener)).collect::<Result<_, _>>()?;
        let security = security(sources)?;
        let is_secure = listeners.iter().any(|listener| listener.secure);
        let tls = is_secure.then(|| https::acceptor(&security, client_certificates(sources))).transpose()?;
        let eligibility =
            if sources.is_set("master.eligibility") { "master.eligibility" } else { "leader.eligibility" };
        let config = RegistryConfig {
            listeners,
            host_name: sources.value("host.name").filter(|name| !name.is_empty()).map(str::to_owned),
            inter_instance_secure: sources.value("inter.instance.protocol") == Some("https"),
            leader_eligibility: sources.flag(eligibility),
            debug: sources.flag("debug"),
            tls,
            client: client(sources)?,
            service: service(sources),
            log: log(sources)?,
            sticky: sources.flag("leader.election.sticky"),
            http: http(sources, &security)?,
        };
        Ok((config, notices))
    }

    /// For a registry beside the broker in one process: nothing is made in Kafka before somebody registers a schema.
    #[must_use]
    pub fn embedded(mut self) -> RegistryConfig {
        self.log.create_late = true;
        self
    }

    pub(crate) fn election(&self, identity: crate::election::Identity) -> ElectionOptions {
        ElectionOptions {
            group_id: self.service.group_id.clone(),
            identity,
            join_late: self.log.create_late,
            sticky: self.sticky,
        }
    }
}

/// `http://host:port`; without a host every interface is meant.
fn parse_listener(text: &str) -> Result<ListenerConfig, ConfigError> {
    let refuse =
        |reason: &str| ConfigError::Unusable { key: "listeners", value: text.to_owned(), reason: reason.to_owned() };
    let (scheme, address) =
        text.split_once("://").ok_or_else(|| refuse("a URL such as http://127.0.0.1:8081 is expected"))?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err(refuse("listeners speak http or https")),
    };
    let address = address.trim_end_matches('/');
    let (host, port) = address.rsplit_once(':').ok_or_else(|| refuse("the port is missing"))?;
    if port.parse::<u16>().is_err() {
        return Err(refuse("the port is not a number from 0 to 65535"));
    }
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    Ok(ListenerConfig { secure, address: format!("{host}:{port}") })
}

fn security(sources: &ConfigSources) -> Result<SecuritySettings, ConfigError> {
    let mut settings = SecuritySettings::default();
    for (key, (value, _)) in &sources.settings {
        if key.starts_with("ssl.") {
            settings.set(key, value)?;
        }
    }
    Ok(settings)
}

fn client_certificates(sources: &ConfigSources) -> ClientCertificates {
    match sources.text("ssl.client.authentication").to_ascii_uppercase().as_str() {
        "REQUIRED" => ClientCertificates::Required,
        "REQUESTED" => ClientCertificates::Requested,
        _ if sources.flag("ssl.client.auth") => ClientCertificates::Required,
        _ => ClientCertificates::None,
    }
}

fn client(sources: &ConfigSources) -> Result<ClientConfig, ConfigError> {
    const SERVERS: &str = "kafkastore.bootstrap.servers";
    let servers = sources.value(SERVERS).filter(|servers| !servers.is_empty());
    let mut client = ClientConfig::new(servers.ok_or(ConfigError::Missing(SERVERS))?)?;
    client.client_id = "schema-registry".to_owned();
    client.bootstrap_timeout = sources.millis("kafkastore.init.timeout.ms")?;
    for (key, (value, _)) in &sources.settings {
        let Some(key) = key.strip_prefix(CLIENT_PREFIX) else { continue };
        if key == "security.protocol" || key.starts_with("ssl.") || key.starts_with("sasl.") {
            client.set(key, value)?;
        }
    }
    Ok(client)
}

fn service(sources: &ConfigSources) -> ServiceOptions {
    let level = ["avro.compatibility.level", "schema.compatibility.level"]
        .into_iter()
        .find_map(|key| CompatibilityLevel::parse(sources.value(key)?));
    ServiceOptions {
        compatibility_level: level.unwrap_or(CompatibilityLevel::Backward),
        mode_mutability: sources.flag("mode.mutability"),
        validate_new_schemas: sources.flag("schema.validate.new.schemas"),
        group_id: sources.text("schema.registry.group.id"),
    }
}

fn log(sources: &ConfigSources) -> Result<KafkaLogOptions, ConfigError> {
    Ok(KafkaLogOptions {
        topic: TopicOptions {
            name: sources.text("kafkastore.topic"),
            replication_factor: sources.number("kafkastore.topic.replication.factor")?,
        },
        timeout: sources.millis("kafkastore.timeout.ms")?,
        init_timeout: sources.millis("kafkastore.init.timeout.ms")?,
        create_late: false,
    })
}

fn http(sources: &ConfigSources, security: &SecuritySettings) -> Result<HttpOptions, ConfigError> {
    let limits = |default, max| {
        Ok::<_, ConfigError>(PageLimits { default: sources.number(default)?, max: sources.number(max)? })
    };
    let timeout = sources.millis("kafkastore.timeout.ms")?;
    let speaks_tls = sources.value("ssl.truststore.location").is_some();
    Ok(HttpOptions {
        limits: Limits {
            schemas: limits("schema.search.default.limit", "schema.search.max.limit")?,
            subjects: limits("subject.search.default.limit", "subject.search.max.limit")?,
            versions: limits("subject.version.search.default.limit", "subject.version.search.max.limit")?,
            contexts: limits("context.search.default.limit", "context.search.max.limit")?,
        },
        deployment: Deployment { attributes: sources.list("schema.registry.metadata.deployment.attributes") },
        auth: auth(sources)?,
        forwarder: Forwarder {
            tls: speaks_tls.then(|| https::connector(security)).transpose()?,
            headers: sources.list("inter.instance.headers.whitelist"),
            timeout: timeout * 3,
        },
        allow_origin: sources.text("access.control.allow.origin"),
        allow_methods: sources.text("access.control.allow.methods"),
        allow_headers: sources.text("access.control.allow.headers"),
        incompatible_code: sources.number("milena.incompatible.schema.error.code")?,
        leader_timeout: timeout,
        ready_timeout: sources.millis("kafkastore.init.timeout.ms")?,
    })
}

fn auth(sources: &ConfigSources) -> Result<Option<BasicAuth>, ConfigError> {
    const FILE: &str = "milena.authentication.file";
    if !sources.text("authentication.method").eq_ignore_ascii_case("BASIC") {
        return Ok(None);
    }
    let realm = sources.text("authentication.realm");
    let named = sources.value(FILE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let of_jaas = || sources.jaas_file.as_deref().and_then(|file| jaas_file::users_file(file, &realm));
    let file = named.or_else(of_jaas).ok_or(ConfigError::Missing(FILE))?;
    let roles = sources.list("authentication.roles");
    Ok(Some(BasicAuth::load(&file, &realm, roles, sources.list("authentication.skip.paths"))?))
}

/// `docs/configuration-schema-registry.md`.
pub fn document() -> String {
    let mut page = HEAD.to_owned();
    milena_stdx::config_def::document::section(&mut page, "Properties", &REGISTRY_CONFIGS);
    page
}

const HEAD: &str = "# Configuration of the schema registry

Rendered from the table in `crates/registry/src/config/table.rs`; change that and run
`UPDATE_DOCS=1 cargo test -p milena-registry documentation`.

Settings come from three places, later wins: a `schema-registry.properties` file, environment variables, the command line.

```
milena schema-registry schema-registry.properties --override kafkastore.bootstrap.servers=localhost:9092
SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS=localhost:9092 milena schema-registry
milena server --override milena.schema.registry.listeners=http://127.0.0.1:9081
```

A variable is `SCHEMA_REGISTRY_` and the key in capitals with `_` for `.`, `__` for `_` and `___` for `-`. In
`milena server`, where several systems share a file, keys of the registry begin with `milena.schema.registry.`; an empty
`milena.schema.registry.listeners` starts none. An unknown key is reported together with the nearest known one; a wrong
value ends the start with one line.
";

#[cfg(test)]
mod tests;
