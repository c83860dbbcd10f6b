//! Settings of the broker that change while it runs: dynamic configuration of this broker or of all brokers, as typed
//! values that are read without a lock.
//!
//! Who needs one reads [`LiveConfig::load`] each time; who has to be told is told by [`LiveConfig::follow`]. Values were
//! checked when they were set, so one that cannot be read anyhow counts as not set.
//!
//! Accepted without effect, because nothing here is divided that way: `num.io.threads`, `num.network.threads`,
//! `num.replica.fetchers`, `background.threads`, `num.recovery.threads.per.data.dir` (read at the start only),
//! `log.cleaner.threads`, `log.cleaner.io.buffer.size`.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use milena_log::{CleanerOptions, LogManager};
use milena_metadata::{ClusterImage, MetadataChange};

/// The values in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveValues {
    /// `max.connections`
    pub max_connections: usize,
    /// `max.connections.per.ip`
    pub max_connections_per_ip: usize,
    /// `max.connections.per.ip.overrides`, host names resolved.
    pub max_connections_per_ip_overrides: HashMap<IpAddr, usize>,
    /// `max.connection.creation.rate`, connections per second; `None` for no limit.
    pub max_connection_creation_rate: Option<f64>,
    /// Limits of single listeners, by name.
    pub listeners: HashMap<String, ListenerLimits>,
}

/// What one listener may take (`listener.name.<name>.` before the key); `None` for no limit of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ListenerLimits {
    /// `max.connections`
    pub max_connections: Option<usize>,
    /// `max.connection.creation.rate`, connections per second.
    pub max_connection_creation_rate: Option<f64>,
}

impl ListenerLimits {
    /// The limits of the listener called `name`: what was set while the broker runs comes before its file.
    fn of(image: &ClusterImage, name: &str) -> ListenerLimits {
        let setting = |key: &str| image.broker_setting(&format!("listener.name.{}.{key}", name.to_lowercase()));
        let rate = setting("max.connection.creation.rate").and_then(|rate| rate.trim().parse::<i32>().ok());
        ListenerLimits {
            max_connections: setting("max.connections").and_then(|max| max.trim().parse().ok()),
            max_connection_creation_rate: rate.filter(|rate| *rate < i32::MAX).map(f64::from),
        }
    }
}

/// The newest [`LiveValues`].
pub struct LiveConfig {
    values: ArcSwap<LiveValues>,
}

impl LiveConfig {
    /// The values that `image` says.
    pub fn new(image: &ClusterImage) -> LiveConfig {
        LiveConfig { values: ArcSwap::from_pointee(LiveValues::of(image)) }
    }

    /// The values in force now. Do not keep the guard over an await.
    #[inline]
    pub fn load(&self) -> Guard<Arc<LiveValues>> {
        self.values.load()
    }

    /// Takes over what a change of the metadata says, and tells the logs.
    pub(crate) fn follow(&self, image: &ClusterImage, changes: &[MetadataChange], logs: &LogManager) {
        if !changes.iter().any(|change| matches!(change, MetadataChange::BrokerConfigChanged)) {
            return;
        }
        let values = LiveValues::of(image);
        if **self.values.load() != values {
            self.values.store(Arc::new(values));
        }
        logs.set_cleaner(cleaner_options(image));
        if let Some(expiration_ms) = number(image, "producer.id.expiration.ms") {
            logs.set_producer_id_expiration_ms(expiration_ms);
        }
    }
}

impl LiveValues {
    fn of(image: &ClusterImage) -> LiveValues {
        let rate = number::<f64>(image, "max.connection.creation.rate");
        LiveValues {
            max_connections: number(image, "max.connections").unwrap_or(usize::MAX),
            max_connections_per_ip: number(image, "max.connections.per.ip").unwrap_or(usize::MAX),
            max_connections_per_ip_overrides: overrides(
                &image.broker_value("max.connections.per.ip.overrides").unwrap_or_default(),
            ),
            max_connection_creation_rate: rate.filter(|rate| *rate < f64::from(i32::MAX)),
            listeners: image
                .static_config
                .listeners
                .iter()
                .map(|listener| (listener.name.clone(), ListenerLimits::of(image, &listener.name)))
                .collect(),
        }
    }

    /// What the listener called `name` may take.
    pub fn listener(&self, name: &str) -> ListenerLimits {
        self.listeners.get(name).copied().unwrap_or_default()
    }

    /// Connections that `address` may have at a time.
    pub fn per_ip_max(&self, address: IpAddr) -> usize {
        let own = self.max_connections_per_ip_overrides.get(&address.to_canonical());
        own.copied().unwrap_or(self.max_connections_per_ip)
    }
}

/// The settings of compaction that `image` says.
pub(crate) fn cleaner_options(image: &ClusterImage) -> CleanerOptions {
    let default = CleanerOptions::default();
    CleanerOptions {
        enable: image.broker_value("log.cleaner.enable").is_none_or(|value| value.trim() == "true"),
        dedupe_buffer_bytes: number(image, "log.cleaner.dedupe.buffer.size").unwrap_or(default.dedupe_buffer_bytes),
        load_factor: number(image, "log.cleaner.io.buffer.load.factor").unwrap_or(default.load_factor),
        backoff: number(image, "log.cleaner.backoff.ms").map_or(default.backoff, Duration::from_millis),
        io_bytes_per_second_max: number(image, "log.cleaner.io.max.bytes.per.second")
            .unwrap_or(default.io_bytes_per_second_max),
    }
}

fn number<T: std::str::FromStr>(image: &ClusterImage, key: &str) -> Option<T> {
    image.broker_value(key)?.trim().parse().ok()
}

/// `host:count,host:count`; hosts that do not resolve are left out.
fn overrides(text: &str) -> HashMap<IpAddr, usize> {
    let mut overrides = HashMap::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let Some((host, count)) = entry.rsplit_once(':') else { continue };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let (Ok(count), Ok(addresses)) = (count.trim().parse(), (host, 0).to_socket_addrs()) else {
            tracing::warn!(entry, "max.connections.per.ip.overrides: this entry is ignored");
            continue;
        };
        overrides.extend(addresses.map(|address| (address.ip().to_canonical(), count)));
    }
    overrides
}

#[cfg(test)]
mod tests {
    use milena_metadata::{BrokerConfig, ConfigAlteration, ConfigOp, ConfigOpKind, ConfigResource, Controller};
    use milena_stdx::SystemClock;

    use super::*;

    async fn set(controller: &Arc<Controller>, resource: ConfigResource, name: &str, value: &str) {
        let kind = ConfigOpKind::Set;
        let op = ConfigOp { name: name.to_owned(), kind, value: Some(value.to_owned()) };
        let answers =
            controller.incremental_alter_configs(vec![ConfigAlteration { resource, ops: vec![op] }], false).await;
        assert!(answers[0].is_ok(), "{answers:?}");
    }

    #[tokio::test]
    async fn values_of_this_broker_come_before_those_of_all_and_both_before_the_static_ones() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let data = directory.path().to_string_lossy();
        let config = [("milena.data.dir", &*data), ("max.connections", "7"), ("log.cleaner.backoff.ms", "9")];
        let config = Arc::new(BrokerConfig::from_pairs(&config).expect("a valid configuration"));
        let controller = Arc::new(Controller::open(config, Arc::new(SystemClock)).expect("opens"));
        let values = || LiveValues::of(&controller.image());
        assert_eq!((values().max_connections, values().max_connections_per_ip), (7, i32::MAX as usize));
        assert_eq!(values().max_connection_creation_rate, None);
        set(&controller, ConfigResource::BrokerDefault, "max.connections", "8").await;
        assert_eq!(values().max_connections, 8);
        set(&controller, ConfigResource::Broker(1), "max.connections", "9").await;
        set(&controller, ConfigResource::Broker(1), "max.connection.creation.rate", "5").await;
        assert_eq!(values().listener("PLAINTEXT"), ListenerLimits::default());
        set(&controller, ConfigResource::Broker(1), "listener.name.plaintext.max.connections", "3").await;
        set(&controller, ConfigResource::Broker(1), "listener.name.plaintext.max.connection.creation.rate", "4").await;
        let limits = ListenerLimits { max_connections: Some(3), max_connection_creation_rate: Some(4.0) };
        assert_eq!(values().listener("PLAINTEXT"), limits);
        set(&controller, ConfigResource::Broker(1), "log.cleaner.backoff.ms", "123").await;
        assert_eq!((values().max_connections, values().max_connection_creation_rate), (9, Some(5.0)));
        assert_eq!(cleaner_options(&controller.image()).backoff, Duration::from_millis(123));
        set(&controller, ConfigResource::Broker(1), "max.connections.per.ip.overrides", "127.0.0.1:3,::1:4").await;
        let per_ip = |address: &str| values().per_ip_max(address.parse().expect("an address"));
        assert_eq!((per_ip("127.0.0.1"), per_ip("::1"), per_ip("10.0.0.1")), (3, 4, i32::MAX as usize));
    }
}
