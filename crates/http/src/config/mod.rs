//! Configuration of a server: settings from their sources, and those that every HTTP server has.
//!
//! ```text
//! properties file ─► environment ─► --override        (later wins)
//!                        │
//!                     Sources ── checked against the table ──► typed by the server + notices
//! ```

mod jaas_file;
mod listening;
pub mod security;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use milena_stdx::config_def::{ConfigTable, InvalidValue, key_of_words, parse_bool, split_list};
use milena_stdx::{Properties, PropertiesError};

use crate::auth::AuthError;

pub use listening::{Listener, announced_host};

/// Words behind the prefix of a variable that steer a JVM or its scripts.
const NOT_CONFIGURATION: [&str; 4] = ["HEAP_OPTS", "OPTS", "CLASSPATH", "GC_LOG_OPTS"];
/// Beginnings of further such words.
const NOT_CONFIGURATION_PREFIXES: [&str; 4] = ["JMX_", "LOG4J_", "CUB_", "JVM_"];
/// The option for a JVM that names a JAAS file.
const JAAS_OPTION: &str = "-Djava.security.auth.login.config=";

/// A configuration that a server cannot start with. The text is one line and names key and value.
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

/// What begins properties of a JVM, of its logging and of its monitoring.
const OF_THE_JVM: [&str; 10] =
    ["com.sun.", "file.", "java.", "javax.", "jdk.", "line.", "log4j", "os.", "sun.", "user."];

/// Whose settings they are.
#[derive(Clone, Copy)]
pub struct Component {
    /// In front of its environment variables.
    pub variable_prefix: &'static str,
    /// Variables with options for a JVM, which may name a JAAS file.
    pub jvm_options: &'static [&'static str],
    /// Every key.
    pub table: &'static LazyLock<ConfigTable>,
}

/// Collects settings in the order in which they override each other.
#[derive(Clone)]
pub struct Sources {
    component: Component,
    settings: BTreeMap<String, (String, String)>,
    /// Where a JAAS file is, if the options for a JVM name one.
    jaas_file: Option<PathBuf>,
}

impl Sources {
    /// No settings: every key has its default.
    pub fn new(component: Component) -> Sources {
        Sources { component, settings: BTreeMap::new(), jaas_file: None }
    }

    /// Adds the entries of a properties file.
    ///
    /// # Errors
    /// The file cannot be read or parsed.
    pub fn file(mut self, path: &Path) -> Result<Sources, ConfigError> {
        for entry in Properties::load(path)?.entries() {
            self.insert(&entry.key, &entry.value, format!("{} line {}", path.display(), entry.line));
        }
        Ok(self)
    }

    /// Adds the variables that are configuration of the component.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Sources {
        for (name, value) in variables {
            if self.component.jvm_options.contains(&name.as_str()) {
                let named = value.split_whitespace().find_map(|word| word.strip_prefix(JAAS_OPTION));
                self.jaas_file = named.map(PathBuf::from).or(self.jaas_file);
            }
            let Some(words) = name.strip_prefix(self.component.variable_prefix) else { continue };
            let foreign = NOT_CONFIGURATION.contains(&words)
                || NOT_CONFIGURATION_PREFIXES.iter().any(|prefix| words.starts_with(prefix));
            if !foreign && !words.is_empty() {
                self.insert(&key_of_words(words), &value, format!("environment variable {name}"));
            }
        }
        self
    }

    /// Adds the variables of this process that are configuration of the component.
    pub fn process_environment(self) -> Sources {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        self.environment(std::env::vars_os().filter_map(text))
    }

    /// Adds the properties among the options for a JVM, `-Dkey=value`, for those who set them with `variable`. What is
    /// about the JVM itself is none.
    #[must_use]
    pub fn jvm_properties(mut self, variable: &str, options: &str) -> Sources {
        let words = options.split_whitespace().filter_map(|word| word.strip_prefix("-D"));
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            if !OF_THE_JVM.iter().any(|prefix| key.starts_with(prefix)) {
                self.insert(key, value, format!("environment variable {variable}"));
            }
        }
        self
    }

    /// Sets one key from the command line.
    #[must_use]
    pub fn command_line(mut self, key: &str, value: &str) -> Sources {
        self.insert(key, value, "command line".to_owned());
        self
    }

    /// Sets a key unless a source has set it.
    #[must_use]
    pub fn fallback(mut self, key: &str, value: &str) -> Sources {
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
}

/// For the server that types them.
impl Sources {
    /// Checks every value against the table; `unknown` is asked about keys that are not there, with their origin.
    /// The result are notices for the operator, one line each.
    ///
    /// # Errors
    /// The first value of the wrong type, and what `unknown` refuses.
    pub fn check(
        &self,
        unknown: impl Fn(&str, &str) -> Result<Option<String>, ConfigError>,
    ) -> Result<Vec<String>, ConfigError> {
        let mut notices = Vec::new();
        for (key, (value, origin)) in &self.settings {
            match self.component.table.get(key) {
                Some(def) if !value.is_empty() => {
                    def.validate(value).map_err(|source| ConfigError::Invalid { source, origin: origin.clone() })?;
                }
                Some(_) => {}
                None => notices.extend(unknown(key, origin)?),
            }
        }
        Ok(notices)
    }

    /// Every key that a source sets, with its value.
    pub fn set_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(key, (value, _))| (key.as_str(), value.as_str()))
    }

    /// The value of a key: from a source, or the default of the table.
    pub fn value(&self, key: &str) -> Option<&str> {
        let set = self.settings.get(key).map(|(value, _)| value.as_str());
        set.or_else(|| self.component.table.get(key).and_then(|def| def.default))
    }

    /// The value, empty when there is none.
    pub fn text(&self, key: &str) -> String {
        self.value(key).unwrap_or_default().to_owned()
    }

    /// The value, unless there is none or it is empty.
    pub fn non_empty(&self, key: &str) -> Option<&str> {
        self.value(key).filter(|value| !value.is_empty())
    }

    /// Whether the value is `true`.
    pub fn flag(&self, key: &str) -> bool {
        self.value(key).and_then(parse_bool).unwrap_or(false)
    }

    /// The items of a list.
    pub fn list(&self, key: &str) -> Vec<String> {
        split_list(self.value(key).unwrap_or_default()).map(str::to_owned).collect()
    }

    /// A number.
    ///
    /// # Errors
    /// It does not fit.
    pub fn number<T: std::str::FromStr>(&self, key: &'static str) -> Result<T, ConfigError> {
        let value = self.text(key);
        value.parse().map_err(|_| ConfigError::Unusable {
            key,
            value,
            reason: "it is not a number of the right size".to_owned(),
        })
    }

    /// A number of milliseconds.
    ///
    /// # Errors
    /// It does not fit.
    pub fn millis(&self, key: &'static str) -> Result<Duration, ConfigError> {
        Ok(Duration::from_millis(self.number(key)?))
    }
}
