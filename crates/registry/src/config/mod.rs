//! The registry's configuration: read from its sources, checked, typed.
//!
//! ```text
//! schema-registry.properties ─► SCHEMA_REGISTRY_* environment ─► --override        (later wins)
//!                                        │
//!                              ConfigSources ── checked against the table ──► RegistryConfig + notices
//! ```

mod table;

use milena_client::ClientConfig;
use milena_client::security::SecuritySettings;
use milena_client::security::https;
use milena_http::config::{Component, Listener};
use milena_stdx::closest_key;

use crate::election::ElectionOptions;
use crate::http::{Deployment, Forwarder, HttpOptions, Limits, PageLimits};
use crate::service::ServiceOptions;
use crate::settings_of_scope::CompatibilityLevel;
use crate::storage::{KafkaLogOptions, TopicOptions};

pub use milena_http::config::{ConfigError, Sources as ConfigSources};
pub use table::REGISTRY_CONFIGS;

/// The registry among the components that have settings.
pub const COMPONENT: Component =
    Component { variable_prefix: "SCHEMA_REGISTRY_", jvm_options: &["SCHEMA_REGISTRY_OPTS"], table: &REGISTRY_CONFIGS };
/// In front of the properties of the Kafka client.
const CLIENT_PREFIX: &str = "kafkastore.";
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

/// Accepted because it is the original's default, and told when somebody relies on it.
const REMOTE_SCHEMAS: &str = "schema.providers.json.fetch.remote.schemas";
/// Further properties of the original that steer what is not there: caches, threads, files of its own.
const WITHOUT_EFFECT: [&str; 13] = [
    "compression.enable",
    "enable.fips",
    "idle.timeout.ms",
    "inter.instance.listener.name",
    "kafkastore.checkpoint.dir",
    "kafkastore.checkpoint.version",
    "leader.connect.timeout.ms",
    "leader.election.delay",
    "leader.read.timeout.ms",
    "request.logger.name",
    "schema.cache.expiry.secs",
    "schema.cache.size",
    "shutdown.graceful.ms",
];

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
    if of_client || WITHOUT_EFFECT.contains(&key) || FOREIGN_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
        return Ok(None);
    }
    let hint = match closest_key(key, REGISTRY_CONFIGS.names()) {
        Some(known) => format!("; did you mean {known}?"),
        None => String::new(),
    };
    Ok(Some(format!("unknown configuration {key} ({origin}) is ignored{hint}")))
}

/// The configuration of one registry, typed.
pub struct RegistryConfig {
    /// `listeners`
    pub listeners: Vec<Listener>,
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
        let mut notices = sources.check(notice_about_unknown)?;
        if sources.flag(REMOTE_SCHEMAS) {
            notices.push(format!("{REMOTE_SCHEMAS}=true has no effect: remote $ref are never fetched"));
        }
        let listeners = sources.listeners()?;
        let security = sources.security()?;
        let tls = sources.tls(&listeners, &security)?;
        let eligibility =
            if sources.is_set("master.eligibility") { "master.eligibility" } else { "leader.eligibility" };
        let config = RegistryConfig {
            listeners,
            host_name: sources.non_empty("host.name").map(str::to_owned),
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

/// The brokers to begin with. A list may name listeners of several protocols; those of `kafkastore.security.protocol` count,
/// and those without a protocol.
fn servers(sources: &ConfigSources) -> Result<String, ConfigError> {
    const SERVERS: &str = "kafkastore.bootstrap.servers";
    let protocol = sources.text("kafkastore.security.protocol");
    let named = sources.list(SERVERS);
    if named.is_empty() {
        return Err(ConfigError::Missing(SERVERS));
    }
    let fits = |server: &&String| server.split_once("://").is_none_or(|(name, _)| name.eq_ignore_ascii_case(&protocol));
    let fitting: Vec<&str> = named.iter().filter(fits).map(String::as_str).collect();
    if fitting.is_empty() {
        let reason = format!("none of them has the protocol of kafkastore.security.protocol, {protocol}");
        return Err(ConfigError::Unusable { key: SERVERS, value: named.join(","), reason });
    }
    Ok(fitting.join(","))
}

fn client(sources: &ConfigSources) -> Result<ClientConfig, ConfigError> {
    let mut client = ClientConfig::new(&servers(sources)?)?;
    client.client_id = "schema-registry".to_owned();
    client.bootstrap_timeout = sources.millis("kafkastore.init.timeout.ms")?;
    for (key, value) in sources.set_keys() {
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
        auth: sources.users()?,
        forwarder: Forwarder {
            tls: speaks_tls.then(|| https::connector(security)).transpose()?,
            headers: sources.list("inter.instance.headers.whitelist"),
            timeout: timeout * 3,
        },
        cors: sources.cors(),
        incompatible_code: sources.number("milena.incompatible.schema.error.code")?,
        leader_timeout: timeout,
        ready_timeout: sources.millis("kafkastore.init.timeout.ms")?,
    })
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
