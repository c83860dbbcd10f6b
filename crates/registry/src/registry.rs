//! A registry from its sockets to its end.

use std::sync::Arc;
use std::time::Duration;

use milena_client::Cluster;
use milena_http::Port;
use milena_http::config::{Listener, announced_host};
use milena_stdx::ShutdownToken;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::RegistryConfig;
use crate::election::{Election, Identity, Leadership};
use crate::http::{Api, Readiness, Ready};
use crate::service::Service;
use crate::storage::{KafkaLog, Log, StorageError};

/// Pause before Kafka is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long open connections may keep a registry that is told to stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a registry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket cannot be had.
    #[error("schema registry: cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Kafka, or the topic in it.
    #[error("schema registry: {0}")]
    Storage(String),
}

/// A registry that has its sockets; clients that connect wait until it is started.
pub struct Registry {
    config: RegistryConfig,
    ports: Vec<Port>,
}

impl Registry {
    /// Takes the sockets.
    ///
    /// # Errors
    /// [`StartError::Bind`].
    pub async fn bind(config: RegistryConfig) -> Result<Registry, StartError> {
        let mut ports = Vec::with_capacity(config.listeners.len());
        for Listener { secure, address } in &config.listeners {
            let tls = config.tls.clone().filter(|_| *secure);
            let failed = |source| StartError::Bind { address: address.clone(), source };
            ports.push(Port::bind(address, tls).await.map_err(failed)?);
        }
        Ok(Registry { config, ports })
    }

    /// Where it listens, as URLs with real ports.
    pub fn urls(&self) -> Vec<String> {
        let url = |port: &Port| format!("{}://{}", if port.is_secure() { "https" } else { "http" }, port.address());
        self.ports.iter().map(url).collect()
    }

    /// Connects to Kafka, reads the topic and answers, all in the background.
    pub fn start(self, shutdown: ShutdownToken) -> RunningRegistry {
        let identity = self.identity();
        let Registry { config, ports } = self;
        let (report, readiness) = watch::channel(Readiness::None);
        let election = config.election(identity);
        let opening = Opening { client: config.client, log: config.log, service: config.service, election };
        let preparing = tokio::spawn(opening.run(report, shutdown.clone()));
        let api = Api::new(config.http, readiness.clone());
        let serving = ports.into_iter().map(|port| tokio::spawn(api.clone().serve(port, shutdown.clone()))).collect();
        RunningRegistry { readiness, preparing, serving, shutdown }
    }

    fn identity(&self) -> Identity {
        let wanted = self.ports.iter().find(|port| port.is_secure() == self.config.inter_instance_secure);
        let port = wanted.or(self.ports.first());
        let address = port.map(Port::address);
        let host = self.config.host_name.clone().unwrap_or_else(|| announced_host(address.map(|address| address.ip())));
        let scheme = if port.is_some_and(Port::is_secure) { "https" } else { "http" };
        Identity::new(scheme, &host, address.map_or(0, |address| address.port()), self.config.leader_eligibility)
    }
}

/// A registry at work.
pub struct RunningRegistry {
    readiness: watch::Receiver<Readiness>,
    preparing: JoinHandle<()>,
    serving: Vec<JoinHandle<()>>,
    shutdown: ShutdownToken,
}

impl RunningRegistry {
    /// Returns when the topic has been read.
    ///
    /// # Errors
    /// A topic that is not fit, or Kafka cannot be reached.
    pub async fn ready(&self) -> Result<(), StartError> {
        let mut readiness = self.readiness.clone();
        match readiness.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(Ok(_))) => Ok(()),
            Ok(Some(Err(reason))) => Err(StartError::Storage(reason.clone())),
            Ok(None) | Err(_) => Err(StartError::Storage("stopped before it was ready".to_owned())),
        }
    }

    /// Stops: the lead is given up, answers under way are finished.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(Ok(ready)) = &*self.readiness.borrow_and_update() {
            tracing::debug!(leads = ready.election.known() == Leadership::Leader, "the schema registry stops");
        }
        let ending = async {
            let _ = (&mut self.preparing).await;
            for task in &mut self.serving {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(FAREWELL, ending).await.is_err() {
            self.preparing.abort();
            self.serving.iter().for_each(JoinHandle::abort);
        }
    }
}

/// What it takes to open the store.
struct Opening {
    client: milena_client::ClientConfig,
    log: crate::storage::KafkaLogOptions,
    service: crate::service::ServiceOptions,
    election: crate::election::ElectionOptions,
}

impl Opening {
    async fn run(self, report: watch::Sender<Readiness>, shutdown: ShutdownToken) {
        let opened = tokio::select! {
            opened = self.open(&shutdown) => opened,
            () = shutdown.cancelled() => return,
        };
        match opened {
            Ok(ready) => {
                let ready = Arc::new(ready);
                report.send_replace(Some(Ok(ready.clone())));
                shutdown.cancelled().await;
                ready.election.left().await;
            }
            Err(error) => {
                tracing::error!("schema registry: {error}");
                report.send_replace(Some(Err(error.to_string())));
            }
        }
    }

    /// Beside a broker that is still starting, or has no listener for us yet, Kafka is tried for ever.
    async fn open(self, shutdown: &ShutdownToken) -> Result<Ready, StorageError> {
        loop {
            match self.try_open(shutdown).await {
                Err(error @ (StorageError::Kafka(_) | StorageError::TimedOut(_))) if self.log.create_late => {
                    tracing::warn!("the schema registry cannot use Kafka, trying again: {error}");
                    tokio::time::sleep(RETRY).await;
                }
                other => return other,
            }
        }
    }

    async fn try_open(&self, shutdown: &ShutdownToken) -> Result<Ready, StorageError> {
        let cluster = Cluster::connect(self.client.clone()).await?;
        let log = KafkaLog::open(cluster.clone(), self.log.clone(), shutdown.child_token()).await?;
        let service = Arc::new(Service::new(self.service.clone(), Log::Kafka(log)));
        let election = Election::start(cluster, self.election.clone(), service.clone(), shutdown.clone());
        Ok(Ready { service, election })
    }
}
