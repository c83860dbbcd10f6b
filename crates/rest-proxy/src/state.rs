//! What all calls share: the connection to Kafka, the producer, the registry, the consumer instances.

use std::sync::Arc;
use std::time::Duration;

use milena_client::Cluster;
use milena_schema::client::RegistryClient;
use tokio::sync::watch;

use crate::config::RestConfig;
use crate::error::{RestError, Result};
use crate::formats::schema::SchemaCache;
use crate::produce::Records;
use crate::v2::consumers::ConsumerTable;
use crate::v3::ProduceLimits;

/// How long a call waits for a Kafka that cannot be reached.
const KAFKA_WAIT: Duration = Duration::from_secs(5);

/// A connected Kafka.
#[derive(Clone)]
pub struct Kafka {
    /// Metadata and administration.
    pub cluster: Cluster,
    /// The one producer.
    pub records: Arc<Records>,
}

/// See the module's words.
pub struct Proxy {
    /// The settings.
    pub config: RestConfig,
    /// The registry; blocking, see [`crate::formats`].
    pub registry: Option<RegistryClient>,
    /// Schemas that records were written with.
    pub schemas: SchemaCache,
    /// v2 consumers.
    pub consumers: ConsumerTable,
    /// Limits of v3 produce.
    pub produce_limits: ProduceLimits,
    /// `None` until Kafka was reached for the first time.
    kafka: watch::Receiver<Option<Kafka>>,
    ports: Ports,
}

/// Where the proxy listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// The port of `http://`.
    pub plain: Option<u16>,
    /// The port of `https://`.
    pub secure: Option<u16>,
}

impl Proxy {
    /// The proxy; `kafka` tells when Kafka is there.
    pub fn new(
        config: RestConfig,
        registry: Option<RegistryClient>,
        kafka: watch::Receiver<Option<Kafka>>,
        ports: Ports,
    ) -> Proxy {
        Proxy {
            produce_limits: ProduceLimits::new(&config.streams),
            config,
            registry,
            schemas: SchemaCache::default(),
            consumers: ConsumerTable::default(),
            kafka,
            ports,
        }
    }

    /// Kafka, once it could be reached; later failures are those of the calls.
    ///
    /// # Errors
    /// 50302 when it could never be reached so far.
    pub async fn kafka(&self) -> Result<Kafka> {
        let mut kafka = self.kafka.clone();
        let connected = tokio::time::timeout(KAFKA_WAIT, kafka.wait_for(Option::is_some)).await;
        match connected {
            Ok(Ok(kafka)) => kafka.clone().ok_or_else(unavailable),
            _ => Err(unavailable()),
        }
    }

    /// The cluster: [`Proxy::kafka`]'s.
    ///
    /// # Errors
    /// As [`Proxy::kafka`].
    pub async fn cluster(&self) -> Result<Cluster> {
        Ok(self.kafka().await?.cluster)
    }

    /// The port that clients of a scheme use.
    pub fn port(&self, secure: bool) -> u16 {
        let Ports { plain, secure: tls } = self.ports;
        if secure { tls.or(plain) } else { plain.or(tls) }.unwrap_or(0)
    }
}

fn unavailable() -> RestError {
    RestError::Kafka { status: 503, code: 50302, message: "Broker not available: Kafka cannot be reached".to_owned() }
}
