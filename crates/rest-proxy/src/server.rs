//! A proxy from its sockets to its end.

use std::sync::Arc;
use std::time::Duration;

use milena_client::{ClientConfig, Cluster, ProducerConfig};
use milena_http::Port;
use milena_http::config::Listener;
use milena_schema::client::RegistryClient;
use milena_stdx::ShutdownToken;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::RestConfig;
use crate::http::Api;
use crate::produce::Records;
use crate::state::{Kafka, Ports, Proxy};

/// Pause before Kafka is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long one attempt to reach Kafka takes.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long consumers may take to leave their groups.
const FAREWELL_OF_CONSUMERS: Duration = Duration::from_secs(5);
/// How long open connections may keep a proxy that is told to stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket cannot be had.
    #[error("REST proxy: cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The client of the registry.
    #[error("REST proxy: schema.registry.url: {0}")]
    Registry(#[from] milena_schema::client::ClientError),
}

/// A proxy that has its sockets; clients that connect wait until it is started.
pub struct RestProxy {
    config: RestConfig,
    registry: RegistryClient,
    ports: Vec<Port>,
}

impl RestProxy {
    /// Takes the sockets.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(config: RestConfig) -> Result<RestProxy, StartError> {
        let mut ports = Vec::with_capacity(config.listeners.len());
        for Listener { secure, address } in &config.listeners {
            let tls = config.tls.clone().filter(|_| *secure);
            let failed = |source| StartError::Bind { address: address.clone(), source };
            ports.push(Port::bind(address, tls).await.map_err(failed)?);
        }
        let registry = RegistryClient::new(config.registry.clone())?;
        Ok(RestProxy { config, registry, ports })
    }

    /// Where it listens, as URLs with real ports.
    pub fn urls(&self) -> Vec<String> {
        let url = |port: &Port| format!("{}://{}", if port.is_secure() { "https" } else { "http" }, port.address());
        self.ports.iter().map(url).collect()
    }

    /// Answers at once, and connects to Kafka in the background: a Kafka that is not there yet is waited for.
    pub fn start(self, shutdown: ShutdownToken) -> RunningProxy {
        let RestProxy { config, registry, ports } = self;
        let (report, kafka) = watch::channel(None);
        let connecting = Connecting {
            client: config.client.clone(),
            producing: config.producer_client.clone(),
            producer: config.producer.clone(),
        };
        let connecting = tokio::spawn(connecting.run(report, shutdown.clone()));
        let port_of = |secure| ports.iter().find(|port| port.is_secure() == secure).map(|port| port.address().port());
        let where_ = Ports { plain: port_of(false), secure: port_of(true) };
        let proxy = Arc::new(Proxy::new(config, Some(registry), kafka, where_));
        let api = Arc::new(Api::new(proxy.clone()));
        let serving = ports.into_iter().map(|port| tokio::spawn(api.clone().serve(port, shutdown.clone()))).collect();
        RunningProxy { proxy, connecting, serving, shutdown }
    }
}

/// A proxy at work.
pub struct RunningProxy {
    proxy: Arc<Proxy>,
    connecting: JoinHandle<()>,
    serving: Vec<JoinHandle<()>>,
    shutdown: ShutdownToken,
}

impl RunningProxy {
    /// Stops: answers under way are finished, and the consumers leave their groups.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        // Reads end with their consumers: nobody is waited for who has asked for a long one.
        let _ = tokio::time::timeout(FAREWELL_OF_CONSUMERS, self.proxy.consumers.close()).await;
        let ending = async {
            for task in &mut self.serving {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(FAREWELL, ending).await.is_err() {
            self.serving.iter().for_each(JoinHandle::abort);
        }
        self.connecting.abort();
    }
}

/// What it takes to reach Kafka.
struct Connecting {
    client: ClientConfig,
    producing: ClientConfig,
    producer: ProducerConfig,
}

impl Connecting {
    async fn run(mut self, report: watch::Sender<Option<Kafka>>, shutdown: ShutdownToken) {
        self.client.bootstrap_timeout = ATTEMPT;
        self.producing.bootstrap_timeout = ATTEMPT;
        let connecting = async {
            let mut told = false;
            loop {
                match self.connect().await {
                    Ok(kafka) => return kafka,
                    Err(error) if !told => tracing::warn!("the REST proxy cannot use Kafka, trying again: {error}"),
                    Err(error) => tracing::debug!("the REST proxy cannot use Kafka, trying again: {error}"),
                }
                told = true;
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            kafka = connecting => {
                report.send_replace(Some(kafka));
                shutdown.cancelled().await;
            }
            () = shutdown.cancelled() => {}
        }
    }

    /// Producing has connections of its own: brokers answer in order, and nobody shall wait behind a slow disk to see a topic.
    async fn connect(&self) -> Result<Kafka, milena_client::Error> {
        let cluster = Cluster::connect(self.client.clone()).await?;
        let producing = Cluster::connect(self.producing.clone()).await?;
        let records = Arc::new(Records::new(producing, self.producer.clone())?);
        Ok(Kafka { cluster, records })
    }
}
