//! How a client proves who it is, and whom it believes: TLS and SASL under Kafka's property names.
//!
//! ```text
//!   security.protocol, ssl.*, sasl.*  ──► SecuritySettings ──prepare──► Secured ──► every new connection
//! ```
//!
//! Passwords and tokens appear in no error, no log and no debug output.

pub mod https;
mod jaas;
mod oauth_bearer;
mod sasl;
mod scram;
mod server_verifier;
mod store;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

pub(crate) use sasl::Mechanism;
pub use server_verifier::ServerVerifier;
pub(crate) use tls::Tls;

/// A password, key or token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself; not for messages.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// The security properties as they were given.
#[derive(Debug, Clone, Default)]
pub struct SecuritySettings {
    encrypted: bool,
    authenticated: bool,
    /// `ssl.*` and `sasl.*`.
    properties: BTreeMap<String, Secret>,
}

impl SecuritySettings {
    /// Takes one property; returns whether the key belongs to this table.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown `security.protocol`.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        if key == "security.protocol" {
            (self.encrypted, self.authenticated) = match value.trim().to_ascii_uppercase().as_str() {
                "PLAINTEXT" => (false, false),
                "SSL" => (true, false),
                "SASL_PLAINTEXT" => (false, true),
                "SASL_SSL" => (true, true),
                _ => {
                    let known = "PLAINTEXT, SASL_PLAINTEXT, SASL_SSL, SSL";
                    return Err(Error::Config(format!(
                        "Invalid value {value} for configuration security.protocol: String must be one of (case insensitive): {known}"
                    )));
                }
            };
            return Ok(true);
        }
        let ours = key.starts_with("ssl.") || key.starts_with("sasl.");
        if ours {
            self.properties.insert(key.to_owned(), Secret::new(value));
        }
        Ok(ours)
    }

    /// Reads stores and credentials, once for all connections.
    ///
    /// # Errors
    /// [`Error::Config`] for whatever is missing, unreadable or unknown.
    pub(crate) fn prepare(&self) -> Result<Secured> {
        Ok(Secured {
            tls: self.encrypted.then(|| Tls::prepare(self)).transpose()?,
            mechanism: self.authenticated.then(|| Mechanism::prepare(self)).transpose()?.map(Arc::new),
        })
    }

    fn secret(&self, key: &str) -> Option<&Secret> {
        self.properties.get(key)
    }

    /// The trimmed value of a property; `None` when it is missing or empty.
    fn get(&self, key: &str) -> Option<&str> {
        self.secret(key).map(|secret| secret.reveal().trim()).filter(|value| !value.is_empty())
    }
}

/// What every connection of a cluster goes through.
#[derive(Debug, Clone)]
pub(crate) struct Secured {
    pub tls: Option<Tls>,
    pub mechanism: Option<Arc<Mechanism>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_part_of_debug_output() {
        let mut settings = SecuritySettings::default();
        assert!(settings.set("ssl.keystore.password", "hunter2").unwrap());
        assert!(settings.set("sasl.jaas.config", "x required password=\"hunter2\";").unwrap());
        assert!(!settings.set("acks", "all").unwrap());
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn an_unknown_protocol_is_refused() {
        let mut settings = SecuritySettings::default();
        assert!(settings.set("security.protocol", "TLS").is_err());
        assert!(settings.set("security.protocol", "sasl_ssl").unwrap());
        let missing = settings.prepare().unwrap_err().to_string();
        assert!(missing.contains("sasl.mechanism") || missing.contains("GSSAPI"), "{missing}");
    }
}
