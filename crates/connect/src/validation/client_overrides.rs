//! `producer.override.*`, `consumer.override.*` and `admin.override.*`: whether the worker allows them, and whether the
//! clients take them.

use milena_client::{ClientConfig, ConsumerConfig, ProducerConfig};

use super::{Checking, ConfigInfo, ValueInfo};
use crate::config::worker::OverridePolicy;

/// What the policy Principal lets through.
const OF_PRINCIPAL: [&str; 3] = ["sasl.jaas.config", "sasl.mechanism", "security.protocol"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Producer,
    Consumer,
    Admin,
}

impl Checking<'_> {
    pub(super) fn client_overrides(&mut self) {
        for (prefix, client) in [
            ("producer.override.", Client::Producer),
            ("consumer.override.", Client::Consumer),
            ("admin.override.", Client::Admin),
        ] {
            let all: Vec<(String, String)> = self
                .settings
                .iter()
                .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
                .collect();
            for (key, value) in all {
                let refused = self.refused_by_policy(&key);
                let errors = refused.or_else(|| refused_by_client(client, &key, &value)).into_iter().collect();
                let value = ValueInfo {
                    name: format!("{prefix}{key}"),
                    value: Some(if is_secret(&key) { "[hidden]".to_owned() } else { value }),
                    recommended_values: Vec::new(),
                    errors,
                    visible: true,
                };
                self.found.push(ConfigInfo { definition: None, value });
            }
        }
    }

    fn refused_by_policy(&self, key: &str) -> Option<String> {
        let (name, allowed) = match &self.config.override_policy {
            OverridePolicy::All => return None,
            OverridePolicy::None => ("None", false),
            OverridePolicy::Principal => ("Principal", OF_PRINCIPAL.contains(&key)),
            OverridePolicy::Allowlist(list) => ("Allowlist", list.iter().any(|allowed| allowed == key)),
        };
        (!allowed).then(|| {
            format!("The '{name}' policy does not allow '{key}' to be overridden in the connector configuration.")
        })
    }
}

fn is_secret(key: &str) -> bool {
    key.ends_with("password") || key == "sasl.jaas.config" || key.ends_with(".key")
}

/// What the client says about a value; keys that it does not know have no effect.
fn refused_by_client(client: Client, key: &str, value: &str) -> Option<String> {
    let of_connection = ClientConfig::new("localhost:9092").and_then(|mut config| config.set(key, value));
    let known = match client {
        _ if !matches!(of_connection, Ok(false)) => of_connection,
        Client::Producer => ProducerConfig::default().set(key, value),
        Client::Consumer => ConsumerConfig::default().set(key, value),
        Client::Admin => Ok(false),
    };
    known.err().map(|error| error.to_string())
}
