//! Settings of one listener: what is set for the listener itself, else what is set for all.
//!
//! `listener.name.<listener>.<key>` comes before `<key>`, and for SASL `listener.name.<listener>.<mechanism>.<key>`
//! before both, the names in lower case. Dynamic settings of this broker come before those of all brokers and those
//! before static ones, as everywhere.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use milena_metadata::config_def::BROKER_CONFIGS;
use milena_metadata::{ClusterImage, SecurityProtocol};

/// A text that no log and no error message shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for those who need it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// The settings of one listener as one image shows them.
pub(crate) struct ListenerSettings {
    image: Arc<ClusterImage>,
    listener: String,
    prefix: String,
}

impl ListenerSettings {
    pub(crate) fn new(image: Arc<ClusterImage>, listener: &str) -> ListenerSettings {
        ListenerSettings {
            image,
            listener: listener.to_owned(),
            prefix: format!("listener.name.{}.", listener.to_lowercase()),
        }
    }

    /// The value of `key` in force; `None` when it is not set, or set to nothing, and has no default.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let own = self.set(&format!("{}{key}", self.prefix));
        let value = own.or_else(|| self.set(key)).or_else(|| BROKER_CONFIGS.get(key).and_then(|def| def.default));
        value.filter(|value| !value.is_empty())
    }

    /// What is set for this listener itself.
    pub(crate) fn own(&self, key: &str) -> Option<&str> {
        self.set(&format!("{}{key}", self.prefix)).filter(|value| !value.is_empty())
    }

    /// Like [`ListenerSettings::get`], preferring what is set for one SASL mechanism.
    pub(crate) fn of_mechanism(&self, mechanism: &str, key: &str) -> Option<&str> {
        self.only_for_mechanism(mechanism, key).or_else(|| self.get(key))
    }

    /// What is set for one SASL mechanism of this listener.
    pub(crate) fn only_for_mechanism(&self, mechanism: &str, key: &str) -> Option<&str> {
        let own = format!("{}{}.{key}", self.prefix, mechanism.to_lowercase());
        self.set(&own).filter(|value| !value.is_empty())
    }

    /// The elements of a list.
    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        let text = self.get(key).unwrap_or("");
        text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect()
    }

    pub(crate) fn secret(&self, key: &str) -> Option<Secret> {
        self.get(key).map(Secret::new)
    }

    /// A number, or `default` when it is not one.
    pub(crate) fn number<T: FromStr>(&self, key: &str, default: T) -> T {
        self.get(key).and_then(|text| text.trim().parse().ok()).unwrap_or(default)
    }

    /// Whether clients of the listener authenticate with SASL.
    pub(crate) fn uses_sasl(&self) -> bool {
        let mut listeners = self.image.static_config.listeners.iter();
        listeners.any(|listener| {
            listener.name == self.listener
                && matches!(listener.security_protocol, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl)
        })
    }

    /// The name of the listener.
    pub(crate) fn listener(&self) -> &str {
        &self.listener
    }

    fn set(&self, key: &str) -> Option<&str> {
        let image = &self.image;
        let own = image.broker_configs.get(&image.node_id).and_then(|configs| configs.get(key));
        let dynamic = own.or_else(|| image.default_broker_config.get(key));
        dynamic.map(String::as_str).or_else(|| image.static_config.setting(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let shown = format!("{:?}", Some(Secret::new("hunter2")));
        assert_eq!(shown, "Some([hidden])");
    }
}
