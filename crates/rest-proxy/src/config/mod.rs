//! The proxy's configuration: read from its sources, checked, typed.
//!
//! ```text
//! kafka-rest.properties ─► KAFKA_REST_* environment ─► --override        (later wins)
//!                                     │
//!                               ConfigSources ── checked against the table ──► RestConfig + notices
//! ```

mod table;

use std::time::Duration;

use milena_client::consumer::ConsumerConfig;
use milena_client::{ClientConfig, ProducerConfig};
use milena_http::config::{Component, Listener};
use milena_http::{BasicAuth, Cors};
use milena_schema::client::ClientConfig as RegistryConfig;
use milena_stdx::closest_key;

pub use milena_http::config::{ConfigError, Sources as ConfigSources};
pub use table::REST_CONFIGS;

/// The proxy among the components that have settings.
pub const COMPONENT: Component = Component {
    variable_prefix: "KAFKA_REST_",
    jvm_options: &["KAFKA_REST_OPTS", "KAFKAREST_OPTS"],
    table: &REST_CONFIGS,
};
/// Beginnings of properties that are handed on to a client.
const PASSED_ON: [&str; 5] = ["client.", "producer.", "consumer.", "admin.", "schema.registry."];
/// Beginnings of properties of plug-ins and of Jetty: accepted, without effect.
const FOREIGN_PREFIXES: [&str; 9] = [
    "confluent.",
    "metrics.",
    "thread.pool.",
    "response.",
    "rest.",
    "dos.filter.",
    "resource.",
    "ssl.",
    "api.v3.produce.",
];

/// The configuration of one proxy, typed.
pub struct RestConfig {
    /// `listeners`
    pub listeners: Vec<Listener>,
    /// `host.name`
    pub host_name: Option<String>,
    /// `advertised.listeners`: URLs without a slash at the end.
    pub advertised_listeners: Vec<String>,
    /// `id`: goes into the names of consumer instances.
    pub id: String,
    /// `debug`
    pub debug: bool,
    /// `milena.request.max.bytes`: bodies beyond this are refused with 413.
    pub request_bytes_max: usize,
    /// `consumer.request.timeout.ms`
    pub consumer_request_timeout: Duration,
    /// `consumer.request.max.bytes`
    pub consumer_request_bytes_max: usize,
    /// `consumer.instance.timeout.ms`
    pub consumer_instance_timeout: Duration,
    /// `fetch.min.bytes`; -1 waits out the timeout.
    pub fetch_min_bytes: i32,
    /// `null.request.body.always.publishes.empty.record`
    pub null_body_publishes_empty: bool,
    /// How Kafka is reached for metadata and administration: `bootstrap.servers`, `client.*`, `admin.*`.
    pub client: ClientConfig,
    /// The same for producing: `client.*`, `producer.*`.
    pub producer_client: ClientConfig,
    /// The same for consumers: `client.*`, `consumer.*`.
    pub consumer_client: ClientConfig,
    /// What every instance begins with: `client.*`, `consumer.*`.
    pub consumer: ConsumerConfig,
    /// `client.*`, `producer.*`
    pub producer: ProducerConfig,
    pub(crate) http: HttpOptions,
    pub(crate) streams: StreamOptions,
    pub(crate) registry: RegistryConfig,
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    /// `confluent.resource.name.authority`
    pub(crate) authority: String,
}

/// How the API behaves.
pub(crate) struct HttpOptions {
    pub auth: Option<BasicAuth>,
    pub cors: Cors,
    pub compress: bool,
    pub serves_v2: bool,
    pub serves_v3: bool,
    /// `api.endpoints.allowlist`
    pub allowed: Vec<String>,
    /// `api.endpoints.blocklist`
    pub blocked: Vec<String>,
    /// `rate.limit.permits.per.sec`, when it counts.
    pub requests_per_second: Option<u32>,
}

/// v3 produce.
pub(crate) struct StreamOptions {
    /// `api.v3.produce.batch.maximum.entries`
    pub batch_entries_max: usize,
    /// `api.v3.produce.rate.limit.max.requests.per.sec`, when it counts.
    pub records_per_second: Option<u64>,
    /// `api.v3.produce.rate.limit.max.bytes.per.sec`, when it counts.
    pub bytes_per_second: Option<u64>,
    /// `streaming.connection.max.duration.ms`
    pub duration_max: Duration,
    /// `streaming.connection.max.duration.grace.period.ms`
    pub grace: Duration,
}

impl RestConfig {
    /// Checks and types what the sources say. The second part are notices for the operator, one line each.
    ///
    /// # Errors
    /// [`ConfigError`] for the first value that cannot be used.
    pub fn load(sources: &ConfigSources) -> Result<(RestConfig, Vec<String>), ConfigError> {
        let mut notices = sources.check(notice_about_unknown)?;
        let listeners = sources.listeners()?;
        let tls = sources.tls(&listeners, &sources.security()?)?;
        let clients = Clients::load(sources, &mut notices)?;
        let advertised = sources.list("advertised.listeners");
        let config = RestConfig {
            host_name: sources.non_empty("host.name").map(str::to_owned),
            advertised_listeners: advertised.iter().map(|url| url.trim_end_matches('/').to_owned()).collect(),
            id: sources.text("id"),
            debug: sources.flag("debug"),
            request_bytes_max: sources.number("milena.request.max.bytes")?,
            consumer_request_timeout: sources.millis("consumer.request.timeout.ms")?,
            consumer_request_bytes_max: sources.number("consumer.request.max.bytes")?,
            consumer_instance_timeout: sources.millis("consumer.instance.timeout.ms")?,
            fetch_min_bytes: sources.number("fetch.min.bytes")?,
            null_body_publishes_empty: sources.flag("null.request.body.always.publishes.empty.record"),
            client: clients.admin,
            producer_client: clients.producing,
            consumer_client: clients.consuming,
            consumer: clients.consumer,
            producer: clients.producer,
            http: http(sources)?,
            streams: streams(sources)?,
            registry: registry(sources)?,
            authority: sources.text("confluent.resource.name.authority"),
            listeners,
            tls,
        };
        Ok((config, notices))
    }
}

fn http(sources: &ConfigSources) -> Result<HttpOptions, ConfigError> {
    let limited = sources.flag("rate.limit.enable");
    Ok(HttpOptions {
        auth: sources.users()?,
        cors: sources.cors(),
        compress: sources.flag("response.compression.enable"),
        serves_v2: sources.flag("api.v2.enable"),
        serves_v3: sources.flag("api.v3.enable"),
        allowed: sources.list("api.endpoints.allowlist"),
        blocked: sources.list("api.endpoints.blocklist"),
        requests_per_second: limited.then(|| sources.number("rate.limit.permits.per.sec")).transpose()?,
    })
}

fn streams(sources: &ConfigSources) -> Result<StreamOptions, ConfigError> {
    let limited = sources.flag("api.v3.produce.rate.limit.enabled");
    let limit = |key| limited.then(|| sources.number(key)).transpose();
    Ok(StreamOptions {
        batch_entries_max: sources.number("api.v3.produce.batch.maximum.entries")?,
        records_per_second: limit("api.v3.produce.rate.limit.max.requests.per.sec")?,
        bytes_per_second: limit("api.v3.produce.rate.limit.max.bytes.per.sec")?,
        duration_max: sources.millis("streaming.connection.max.duration.ms")?,
        grace: sources.millis("streaming.connection.max.duration.grace.period.ms")?,
    })
}

fn registry(sources: &ConfigSources) -> Result<RegistryConfig, ConfigError> {
    const URL: &str = "schema.registry.url";
    // Keys without the prefix are about the proxy's own listeners.
    let get = |key: &str| sources.non_empty(key).filter(|_| key.starts_with("schema.registry."));
    RegistryConfig::from_properties(get).map_err(|error| ConfigError::Unusable {
        key: URL,
        value: sources.text(URL),
        reason: error.to_string(),
    })
}

/// The Kafka clients, each with the properties that are meant for it.
struct Clients {
    admin: ClientConfig,
    producing: ClientConfig,
    consuming: ClientConfig,
    consumer: ConsumerConfig,
    producer: ProducerConfig,
}

impl Clients {
    fn load(sources: &ConfigSources, notices: &mut Vec<String>) -> Result<Clients, ConfigError> {
        const SERVERS: &str = "bootstrap.servers";
        let named = ["client.bootstrap.servers", SERVERS].into_iter().find_map(|key| sources.non_empty(key));
        let mut client = ClientConfig::new(named.ok_or(ConfigError::Missing(SERVERS))?)?;
        client.client_id = "kafka-rest".to_owned();
        let mut clients = Clients {
            admin: client.clone(),
            producing: client.clone(),
            consuming: client,
            consumer: ConsumerConfig::default(),
            // Calls wait for their records: whoever sends many at a time fills batches all the same.
            producer: ProducerConfig { linger: Duration::ZERO, ..ProducerConfig::default() },
        };
        // The general ones first: "client" comes before none of the others in the alphabet.
        let (general, special): (Vec<_>, Vec<_>) =
            sources.set_keys().filter(|(key, _)| is_passed_on(key)).partition(|(key, _)| key.starts_with("client."));
        for (key, value) in general.into_iter().chain(special) {
            if !clients.set(key, value)? {
                notices.push(format!("unknown configuration {key} is ignored: no Kafka client has it"));
            }
        }
        clients.producer.check()?;
        Ok(clients)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<bool, ConfigError> {
        let Some((kind, key)) = key.split_once('.') else { return Ok(false) };
        let mut taken = false;
        if matches!(kind, "client" | "admin") {
            taken |= self.admin.set(key, value)?;
        }
        if matches!(kind, "client" | "producer") {
            taken |= self.producing.set(key, value)? | self.producer.set(key, value)?;
        }
        if matches!(kind, "client" | "consumer") {
            taken |= self.consuming.set(key, value)? | self.consumer.set(key, value)?;
        }
        Ok(taken)
    }
}

/// Whether the key, without being one of the proxy's own, is a property of a Kafka client.
fn is_passed_on(key: &str) -> bool {
    REST_CONFIGS.get(key).is_none()
        && PASSED_ON.iter().any(|prefix| key.starts_with(prefix))
        && !key.starts_with("schema.registry.")
}

fn notice_about_unknown(key: &str, origin: &str) -> Result<Option<String>, ConfigError> {
    if key == "port" {
        let reason = "PORT is deprecated; use listeners (KAFKA_REST_LISTENERS) instead".to_owned();
        return Err(ConfigError::Unusable { key: "port", value: origin.to_owned(), reason });
    }
    if key.contains("zookeeper") {
        return Ok(Some(format!("{key} ({origin}) has no effect: Kafka is found through bootstrap.servers")));
    }
    if key.ends_with("extension.class") {
        return Ok(Some(format!("{key} ({origin}) has no effect: there are no plug-ins")));
    }
    if PASSED_ON.iter().chain(&FOREIGN_PREFIXES).any(|prefix| key.starts_with(prefix)) {
        return Ok(None);
    }
    let hint = match closest_key(key, REST_CONFIGS.names()) {
        Some(known) => format!("; did you mean {known}?"),
        None => String::new(),
    };
    Ok(Some(format!("unknown configuration {key} ({origin}) is ignored{hint}")))
}

/// `docs/configuration-rest-proxy.md`.
pub fn document() -> String {
    let mut page = HEAD.to_owned();
    milena_stdx::config_def::document::section(&mut page, "Properties", &REST_CONFIGS);
    page
}

const HEAD: &str = "# Configuration of the REST Proxy

Rendered from the table in `crates/rest-proxy/src/config/table.rs`; change that and run
`UPDATE_DOCS=1 cargo test -p milena-rest-proxy documentation`.

Settings come from three places, later wins: a `kafka-rest.properties` file, environment variables, the command line.

```
milena rest-proxy kafka-rest.properties --override bootstrap.servers=localhost:9092
KAFKA_REST_BOOTSTRAP_SERVERS=localhost:9092 milena rest-proxy
milena server --override milena.rest.proxy.listeners=http://127.0.0.1:9082
```

A variable is `KAFKA_REST_` and the key in capitals with `_` for `.`, `__` for `_` and `___` for `-`. In
`milena server`, where several systems share a file, keys of the proxy begin with `milena.rest.proxy.`; an empty
`milena.rest.proxy.listeners` starts none. An unknown key is reported together with the nearest known one; a wrong
value ends the start with one line.

Keys that begin with `client.` are properties of Kafka's clients (`client.security.protocol`, `client.sasl.mechanism`, ...); those with
`producer.`, `consumer.` and `admin.` count for one kind of client and win over `client.`.
";

#[cfg(test)]
mod tests;
