//! What every tool does first: read the properties, reach the cluster.

use std::collections::BTreeMap;

use milena_client::{ClientConfig, Cluster};
use milena_stdx::Properties;

use crate::failure::Failure;
use crate::options::Parsed;

/// Where tools connect when only the obsolete `--zookeeper` was given.
const DEFAULT_BOOTSTRAP: &str = "localhost:9092";

/// Client properties from files and options; later ones win.
#[derive(Debug, Clone, Default)]
pub struct ClientProperties(BTreeMap<String, String>);

impl ClientProperties {
    /// Reads the files of `file_options`, then the `key=value` words of `property_options`.
    ///
    /// # Errors
    /// An unreadable file, or a word without `=`.
    pub fn read(options: &Parsed, file_options: &[&str], property_options: &[&str]) -> Result<Self, Failure> {
        let mut properties = ClientProperties::default();
        for path in file_options.iter().filter_map(|name| options.value(name)) {
            properties.load(path)?;
        }
        for word in property_options.iter().flat_map(|name| options.values(name)) {
            let (key, value) = split_property(word)?;
            properties.set(key, value);
        }
        Ok(properties)
    }

    /// Adds the entries of a file.
    ///
    /// # Errors
    /// An unreadable file.
    pub fn load(&mut self, path: &str) -> Result<(), Failure> {
        let file = Properties::load(path).map_err(|error| Failure::io(error.to_string()))?;
        self.0.extend(file.iter().map(|(key, value)| (key.to_owned(), value.trim_end().to_owned())));
        Ok(())
    }

    /// Sets one property.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_owned(), value.into());
    }

    /// Sets one property unless it has a value.
    pub fn set_default(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_owned()).or_insert_with(|| value.into());
    }

    /// The value of a property.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Every property.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Settings of the connection. `bootstrap` wins over `bootstrap.servers`.
    ///
    /// # Errors
    /// A malformed value, or no address at all.
    pub fn client_config(&self, bootstrap: Option<&str>, client_id: &str) -> Result<ClientConfig, Failure> {
        let servers = bootstrap.or_else(|| self.get("bootstrap.servers")).unwrap_or(DEFAULT_BOOTSTRAP);
        let mut config = ClientConfig::new(servers)?;
        config.client_id = client_id.to_owned();
        for (key, value) in self.iter().filter(|(key, _)| *key != "bootstrap.servers") {
            config.set(key, value)?;
        }
        Ok(config)
    }
}

/// `key=value`; a missing `=` is an error.
///
/// # Errors
/// In the words of Kafka's tools.
pub fn split_property(word: &str) -> Result<(&str, &str), Failure> {
    word.split_once('=').ok_or_else(|| Failure::illegal_argument(format!("Invalid property: {word}")))
}

/// The runtime of a tool. One thread does: what waits is the network.
///
/// # Errors
/// The operating system refuses.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| Failure::io(error.to_string()))
}

/// A runtime whose tasks run beside the caller, for tools that are measured.
///
/// # Errors
/// The operating system refuses.
pub fn parallel_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::io(error.to_string()))
}

/// Connects as an administrator: `--bootstrap-server`, `--command-config`.
///
/// # Errors
/// A missing option, a bad file, or nobody answers.
pub async fn connect_admin(options: &Parsed) -> Result<Cluster, Failure> {
    let properties = ClientProperties::read(options, &["command-config"], &[])?;
    let bootstrap = match (options.value("bootstrap-server"), options.has("zookeeper")) {
        (Some(servers), _) => Some(servers),
        (None, true) => None,
        (None, false) if properties.get("bootstrap.servers").is_some() => None,
        (None, false) => Some(options.required("bootstrap-server")?),
    };
    Ok(Cluster::connect(properties.client_config(bootstrap, "adminclient-1")?).await?)
}
