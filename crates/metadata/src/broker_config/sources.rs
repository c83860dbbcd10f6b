//! Where settings come from: a properties file, the environment, the command line. Later wins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use milena_stdx::{Properties, closest_key};

use super::environment::{cluster_id_of_variable, key_of_variable};
use super::{ConfigError, providers};
use crate::config_def::BROKER_CONFIGS;

/// Collects settings in the order in which they override each other.
#[derive(Debug, Clone, Default)]
pub struct ConfigSources {
    settings: BTreeMap<String, Setting>,
    cluster_id: Option<String>,
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) value: String,
    pub(super) origin: Origin,
}

/// The place a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a properties file, counted from 1.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// `--override` or another option.
    CommandLine,
    /// The table of defaults.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path, line) => write!(f, "{} line {line}", path.display()),
            Origin::Environment(variable) => write!(f, "environment variable {variable}"),
            Origin::CommandLine => f.write_str("command line"),
            Origin::Default => f.write_str("default"),
        }
    }
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
            self.insert(&entry.key, &entry.value, Origin::File(path.to_owned(), entry.line));
        }
        Ok(self)
    }

    /// Adds the variables that are configuration: `KAFKA_...`, and `CLUSTER_ID`.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> ConfigSources {
        let mut variables: Vec<_> = variables.into_iter().collect();
        variables.sort();
        for (name, value) in variables {
            if cluster_id_of_variable(&name) {
                self.cluster_id = Some(value).filter(|id| !id.is_empty());
            } else if let Some(key) = key_of_variable(&name).filter(|key| !is_link_of_a_container(key, &value)) {
                self.insert(&key, &value, Origin::Environment(name));
            }
        }
        self
    }

    /// Sets one key from the command line.
    pub fn command_line(mut self, key: &str, value: &str) -> ConfigSources {
        self.insert(key, value, Origin::CommandLine);
        self
    }

    fn insert(&mut self, key: &str, value: &str, origin: Origin) {
        let setting = Setting { value: value.trim().to_owned(), origin };
        self.settings.insert(key.to_owned(), setting);
    }

    /// Resolves references, checks every setting of a known key, and says something about the others.
    pub(super) fn check(mut self, notices: &mut Vec<String>) -> Result<Settings, ConfigError> {
        providers::resolve(&mut self.settings).map_err(|(key, reason)| {
            let origin = self.settings.get(&key).map_or(Origin::Default, |setting| setting.origin.clone());
            ConfigError::Unresolved { key, reason, origin }
        })?;
        for (key, setting) in &self.settings {
            match BROKER_CONFIGS.get(key) {
                Some(def) => def
                    .validate(&setting.value)
                    .map_err(|source| ConfigError::Invalid { source, origin: setting.origin.clone() })?,
                None => notices.extend(notice_about_unknown(key, &setting.origin)),
            }
        }
        Ok(Settings { settings: self.settings, cluster_id: self.cluster_id })
    }
}

/// Container links set `KAFKA_PORT=tcp://10.0.0.3:9092` for a neighbour that is called kafka.
fn is_link_of_a_container(key: &str, value: &str) -> bool {
    key == "port" && value.parse::<u16>().is_err()
}

/// In front of keys of the Connect worker that runs in the same process.
pub const CONNECT_PREFIX: &str = "milena.connect.";
/// In front of keys of the schema registry that runs in the same process.
pub const REGISTRY_PREFIX: &str = "milena.schema.registry.";
/// In front of keys of the REST Proxy that runs in the same process.
pub const REST_PROXY_PREFIX: &str = "milena.rest.proxy.";
/// In front of keys of the server of streaming SQL that runs in the same process.
pub const SQL_SERVER_PREFIX: &str = "milena.ksql.server.";
/// Keys outside the table that belong to a component with a prefix of its own.
const FOREIGN_PREFIXES: &[&str] = &[
    "config.providers.",
    "listener.name.",
    "rsm.config.",
    "rlmm.config.",
    "confluent.",
    "controller.quorum.",
    CONNECT_PREFIX,
    REGISTRY_PREFIX,
    REST_PROXY_PREFIX,
    SQL_SERVER_PREFIX,
];
/// Keys that are read although Kafka no longer has them.
const LEGACY_LISTENER_KEYS: &[&str] = &["port", "host.name", "advertised.host.name", "advertised.port"];
/// Keys that Kafka 4 no longer has and that need no replacement.
const RETIRED: &[&str] = &[
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "delegation.token.master.key",
    "inter.broker.protocol.version",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "offsets.commit.required.acks",
    "quota.consumer.default",
    "quota.producer.default",
    "reserved.broker.max.id",
];

fn notice_about_unknown(key: &str, origin: &Origin) -> Option<String> {
    if key.starts_with("zookeeper.") || key.starts_with("enable.zookeeper.") {
        return Some(format!(
            "{key} ({origin}) has no effect: metadata is kept in the data directory, without ZooKeeper"
        ));
    }
    if RETIRED.contains(&key) || key.starts_with("password.encoder.") {
        return Some(format!("{key} ({origin}) has no effect: Kafka 4 removed it"));
    }
    if LEGACY_LISTENER_KEYS.contains(&key) {
        let replacement = if key.starts_with("advertised") { "advertised.listeners" } else { "listeners" };
        return Some(format!("{key} ({origin}) is an old spelling; use {replacement}"));
    }
    if FOREIGN_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
        return None;
    }
    let hint = match closest_key(key, BROKER_CONFIGS.names()) {
        Some(known) => format!("; did you mean {known}?"),
        None => String::new(),
    };
    Some(format!("unknown configuration {key} ({origin}) is ignored{hint}"))
}

/// Settings whose known keys have been checked.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    settings: BTreeMap<String, Setting>,
    pub(super) cluster_id: Option<String>,
}

impl Settings {
    /// The value of `key` if a source sets it. An empty value counts as not set, as in Kafka's images.
    pub(super) fn explicit(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(|setting| setting.value.as_str()).filter(|value| !value.is_empty())
    }

    /// The value of `key`: from a source, or the default of the table.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        self.explicit(key).or_else(|| BROKER_CONFIGS.get(key).and_then(|def| def.default))
    }

    /// Every explicit setting, sorted by key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, setting)| (key.as_str(), setting.value.as_str()))
    }

    /// The error for a value that is well-formed by itself but not usable.
    pub(super) fn error(&self, key: &'static str, expected: &str) -> ConfigError {
        ConfigError::Unusable {
            key,
            value: self.value(key).unwrap_or("").to_owned(),
            expected: expected.to_owned(),
            origin: self.settings.get(key).map_or(Origin::Default, |setting| setting.origin.clone()),
        }
    }
}
