//! `listeners`, `advertised.listeners` and what goes with them.
//!
//! Without any setting one listener `PLAINTEXT` is bound to 127.0.0.1:9092: nothing is reachable from another machine until
//! a listener says so.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ConfigError;
use super::sources::Settings;
use crate::config_def::split_list;

/// The port of a broker when none is configured.
pub const DEFAULT_PORT: u16 = 9092;

/// One listener for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerConfig {
    /// The name, in upper case: `PLAINTEXT`, `INTERNAL`, ...
    pub name: String,
    /// What is spoken on it.
    pub security_protocol: SecurityProtocol,
    /// The host to bind; `0.0.0.0` for every interface.
    pub host: String,
    /// The port to bind; 0 lets the operating system choose.
    pub port: u16,
    /// What clients are told to connect to, when `advertised.listeners` says so.
    pub advertised: Option<Endpoint>,
}

/// A host and a port. Port 0 stands for the port that was really bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// What is spoken on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// No encryption, no authentication.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL inside TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        }
    }

    fn from_name(name: &str) -> Option<SecurityProtocol> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(name))
    }
}

impl ListenerConfig {
    /// Whether the listener is bound to every interface.
    pub fn is_wildcard(&self) -> bool {
        is_wildcard(&self.host)
    }
}

/// `NAME://host:port` taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedEndpoint {
    name: String,
    host: String,
    port: u16,
}

/// The listeners for clients, and notices about what was left out.
pub(super) fn resolve(settings: &Settings, notices: &mut Vec<String>) -> Result<Vec<ListenerConfig>, ConfigError> {
    let controllers: Vec<String> =
        split_list(settings.explicit("controller.listener.names").unwrap_or("")).map(str::to_uppercase).collect();
    let advertised = parse_list(settings, "advertised.listeners")?;
    let bound = match settings.explicit("listeners") {
        Some(_) => parse_list(settings, "listeners")?,
        None => default_listeners(settings, &advertised, &controllers)?,
    };
    let (controller, client): (Vec<_>, Vec<_>) = bound.into_iter().partition(|l| controllers.contains(&l.name));
    for listener in controller {
        notices.push(format!(
            "listener {} is not opened: the controller works inside the broker and needs no port",
            listener.name
        ));
    }
    if client.is_empty() {
        return Err(settings.error("listeners", "at least one listener that is not in controller.listener.names"));
    }
    check_distinct(settings, &client)?;
    let protocols = protocol_map(settings)?;
    client.into_iter().map(|bound| to_listener(settings, bound, &advertised, &protocols)).collect()
}

fn to_listener(
    settings: &Settings,
    bound: NamedEndpoint,
    advertised: &[NamedEndpoint],
    protocols: &BTreeMap<String, SecurityProtocol>,
) -> Result<ListenerConfig, ConfigError> {
    let security_protocol = *protocols.get(&bound.name).ok_or_else(|| {
        let expected = format!("an entry for listener {} (for example {0}:PLAINTEXT)", bound.name);
        settings.error("listener.security.protocol.map", &expected)
    })?;
    let advertised = advertised
        .iter()
        .find(|endpoint| endpoint.name == bound.name)
        .map(|endpoint| Endpoint { host: endpoint.host.clone(), port: endpoint.port });
    if advertised.as_ref().is_some_and(|endpoint| endpoint.host.is_empty() || is_wildcard(&endpoint.host)) {
        return Err(settings.error("advertised.listeners", "a host that clients can connect to, not a wildcard"));
    }
    Ok(ListenerConfig {
        host: if bound.host.is_empty() { "0.0.0.0".to_owned() } else { bound.host },
        port: bound.port,
        name: bound.name,
        security_protocol,
        advertised,
    })
}

/// What to listen on when `listeners` is not set: every advertised listener, or else the one default.
fn default_listeners(
    settings: &Settings,
    advertised: &[NamedEndpoint],
    controllers: &[String],
) -> Result<Vec<NamedEndpoint>, ConfigError> {
    let bind_host = settings.explicit("milena.bind.host");
    if advertised.is_empty() {
        let port = match settings.explicit("port") {
            Some(port) => port.parse().map_err(|_| settings.error("port", "a port from 0 to 65535"))?,
            None => DEFAULT_PORT,
        };
        let host = bind_host.or(settings.explicit("host.name")).unwrap_or("127.0.0.1").to_owned();
        return Ok(vec![NamedEndpoint { name: "PLAINTEXT".to_owned(), host, port }]);
    }
    let reachable = advertised.iter().any(|endpoint| !is_loopback(&endpoint.host));
    let host = bind_host.unwrap_or(if reachable { "0.0.0.0" } else { "127.0.0.1" });
    let listeners = advertised.iter().filter(|endpoint| !controllers.contains(&endpoint.name));
    Ok(listeners.map(|endpoint| NamedEndpoint { host: host.to_owned(), ..endpoint.clone() }).collect())
}

fn protocol_map(settings: &Settings) -> Result<BTreeMap<String, SecurityProtocol>, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let mut map = BTreeMap::new();
    for entry in split_list(settings.value(KEY).unwrap_or("")) {
        let parsed = entry.split_once(':').and_then(|(name, protocol)| {
            Some((name.trim().to_uppercase(), SecurityProtocol::from_name(protocol.trim())?))
        });
        let (name, protocol) = parsed.ok_or_else(|| {
            settings.error(KEY, "NAME:PROTOCOL pairs, PROTOCOL being PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
        })?;
        map.insert(name, protocol);
    }
    Ok(map)
}

fn parse_list(settings: &Settings, key: &'static str) -> Result<Vec<NamedEndpoint>, ConfigError> {
    split_list(settings.explicit(key).unwrap_or(""))
        .map(|text| parse(text).ok_or_else(|| settings.error(key, "NAME://host:port, separated by commas")))
        .collect()
}

fn parse(text: &str) -> Option<NamedEndpoint> {
    let (name, address) = text.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if name.is_empty() || (bracketed.is_none() && host.contains(':')) {
        return None;
    }
    Some(NamedEndpoint {
        name: name.trim().to_uppercase(),
        host: bracketed.unwrap_or(host).to_owned(),
        port: port.trim().parse().ok()?,
    })
}

fn check_distinct(settings: &Settings, listeners: &[NamedEndpoint]) -> Result<(), ConfigError> {
    for (index, listener) in listeners.iter().enumerate() {
        for other in &listeners[..index] {
            if other.name == listener.name {
                return Err(settings.error("listeners", "each listener must have a different name"));
            }
            if other.port == listener.port && listener.port != 0 && other.host == listener.host {
                return Err(settings.error("listeners", "each listener must have a different port"));
            }
        }
    }
    Ok(())
}

fn is_wildcard(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
