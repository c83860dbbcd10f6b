//! Connection settings, under Kafka's client property names.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::security::SecuritySettings;

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `bootstrap.servers`: the first brokers to ask, `(host, port)` each.
    pub bootstrap_servers: Vec<(String, u16)>,
    /// `client.id`: the name brokers see in logs and group descriptions.
    pub client_id: String,
    /// `request.timeout.ms`: how long one request may take; default 30 s.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`: how long one call may take including retries; default 60 s.
    pub api_timeout: Duration,
    /// How long to try to reach the first broker; default 5 s, or `default.api.timeout.ms` when that is set.
    pub bootstrap_timeout: Duration,
    /// `retry.backoff.ms`: pause before the next attempt; default 100 ms.
    pub retry_backoff: Duration,
    /// `security.protocol`, `ssl.*` and `sasl.*`.
    pub security: SecuritySettings,
}

impl ClientConfig {
    /// The defaults for `bootstrap_servers`, a comma separated list of `host:port`.
    ///
    /// # Errors
    /// [`Error::Config`] when an address is malformed or the list is empty.
    pub fn new(bootstrap_servers: &str) -> Result<Self> {
        Ok(ClientConfig {
            bootstrap_servers: parse_servers(bootstrap_servers)?,
            client_id: "milena-client".to_owned(),
            request_timeout: Duration::from_secs(30),
            api_timeout: Duration::from_secs(60),
            bootstrap_timeout: Duration::from_secs(5),
            retry_backoff: Duration::from_millis(100),
            security: SecuritySettings::default(),
        })
    }

    /// Takes one client property; returns whether the key belongs to this table.
    ///
    /// # Errors
    /// [`Error::Config`] when the value is malformed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "bootstrap.servers" => self.bootstrap_servers = parse_servers(value)?,
            "client.id" => self.client_id = value.to_owned(),
            "request.timeout.ms" => self.request_timeout = parse_millis(key, value)?,
            "default.api.timeout.ms" => {
                self.api_timeout = parse_millis(key, value)?;
                self.bootstrap_timeout = self.api_timeout;
            }
            "retry.backoff.ms" => self.retry_backoff = parse_millis(key, value)?,
            _ => return self.security.set(key, value),
        }
        Ok(true)
    }
}

/// Reads a property as a number.
///
/// # Errors
/// [`Error::Config`] with Kafka's wording.
pub fn parse_number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T> {
    value
        .trim()
        .parse()
        .map_err(|_| Error::Config(format!("Invalid value {value} for configuration {key}: Not a number")))
}

/// Reads a property as milliseconds.
///
/// # Errors
/// [`Error::Config`] when it is not a number of at least 0.
pub fn parse_millis(key: &str, value: &str) -> Result<Duration> {
    Ok(Duration::from_millis(parse_number::<u64>(key, value)?))
}

/// Reads a property as `true` or `false`.
///
/// # Errors
/// [`Error::Config`] for anything else.
pub fn parse_bool(key: &str, value: &str) -> Result<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Error::Config(format!(
            "Invalid value {value} for configuration {key}: Expected value to be either true or false"
        ))),
    }
}

fn parse_servers(list: &str) -> Result<Vec<(String, u16)>> {
    let servers = list
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(parse_server)
        .collect::<Result<Vec<_>>>()?;
    if servers.is_empty() {
        return Err(Error::Config("No bootstrap urls given in bootstrap.servers".to_owned()));
    }
    Ok(servers)
}

/// Accepts `host:port`, `[v6]:port` and a leading `PROTOCOL://`, which says nothing: `security.protocol` does.
fn parse_server(entry: &str) -> Result<(String, u16)> {
    let address = entry.split_once("://").map_or(entry, |(_, address)| address);
    let invalid = || Error::Config(format!("Invalid url in bootstrap.servers: {entry}"));
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(invalid());
    }
    Ok((host.to_owned(), port.parse().map_err(|_| invalid())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_lists_take_names_addresses_and_protocol_prefixes() {
        let config = ClientConfig::new("localhost:9092, [::1]:9093,PLAINTEXT://broker-2:19092").unwrap();
        let expected = [("localhost", 9092), ("::1", 9093), ("broker-2", 19092)];
        assert_eq!(config.bootstrap_servers, expected.map(|(host, port)| (host.to_owned(), port)));
    }

    #[test]
    fn malformed_servers_are_refused_with_the_entry_in_the_message() {
        for bad in ["localhost", "localhost:port", ":9092", "a:99999"] {
            let message = ClientConfig::new(bad).unwrap_err().to_string();
            assert_eq!(message, format!("Invalid url in bootstrap.servers: {bad}"));
        }
        assert!(ClientConfig::new(" , ").is_err());
    }
}
