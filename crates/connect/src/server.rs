//! A Connect worker from its sockets to its end.

use std::sync::Arc;
use std::time::Duration;

use milena_http::Port;
use milena_http::config::{Listener, announced_host};
use milena_stdx::ShutdownToken;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::worker::WorkerConfig;
use crate::herder::{self, Herder};
use crate::http::{Api, Served};
use crate::plugin::Plugins;

/// Pause before Kafka is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long open connections may keep a worker that is told to stop.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket cannot be had.
    #[error("Connect: cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Kafka, a topic, a setting.
    #[error("Connect: {0}")]
    Herder(#[from] herder::StartError),
    /// It was told to stop meanwhile.
    #[error("Connect: stopped before it was ready")]
    Stopped,
}

/// A worker that has its sockets; clients that connect wait until it is ready.
pub struct ConnectServer {
    config: Arc<WorkerConfig>,
    ports: Vec<(Port, Served)>,
    plugins: Plugins,
}

impl ConnectServer {
    /// Takes the sockets.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(config: WorkerConfig) -> Result<ConnectServer, StartError> {
        let mut ports = Vec::new();
        let of_all = if config.admin_listeners.is_some() { Served::WithoutAdmin } else { Served::All };
        let all = config.listeners.iter().map(|listener| (listener, of_all));
        let admin = config.admin_listeners.iter().flatten().map(|listener| (listener, Served::AdminOnly));
        for (Listener { secure, address }, served) in all.chain(admin) {
            let tls = config.tls.clone().filter(|_| *secure);
            let failed = |source| StartError::Bind { address: address.clone(), source };
            ports.push((Port::bind(address, tls).await.map_err(failed)?, served));
        }
        Ok(ConnectServer { config: Arc::new(config), ports, plugins: Plugins::built_in() })
    }

    /// The same with other plugins than those that are built in: see [`Plugins::with_connector`] and its siblings.
    #[must_use]
    pub fn with_plugins(mut self, plugins: Plugins) -> ConnectServer {
        self.plugins = plugins;
        self
    }

    /// Where it listens, as URLs with real ports.
    pub fn urls(&self) -> Vec<String> {
        self.ports.iter().map(|(port, _)| format!("{}://{}", scheme(port.is_secure()), port.address())).collect()
    }

    /// Where other workers reach this one.
    fn advertised_url(&self) -> String {
        let rest = &self.config.rest;
        let of_scheme = |port: &&(Port, Served)| {
            rest.advertised_secure.is_none_or(|secure| port.0.is_secure() == secure) && port.1 != Served::AdminOnly
        };
        let port = self.ports.iter().find(of_scheme).or(self.ports.first()).map(|(port, _)| port);
        let secure = rest.advertised_secure.unwrap_or_else(|| port.is_some_and(Port::is_secure));
        let host = rest.advertised_host.clone();
        let host = host.unwrap_or_else(|| announced_host(port.map(|port| port.address().ip())));
        let number = rest.advertised_port.or(port.map(|port| port.address().port())).unwrap_or_default();
        format!("{}://{host}:{number}/", scheme(secure))
    }

    /// Answers at once, and reads its topics in the background: a Kafka that is not there yet is waited for.
    pub fn start(self, shutdown: ShutdownToken) -> RunningConnect {
        let url = self.advertised_url();
        let ConnectServer { config, ports, plugins } = self;
        let (report, herder) = watch::channel(None);
        let (failure, failed) = watch::channel(None);
        let working = tokio::spawn(work(config.clone(), plugins, url, report, failure, shutdown.clone()));
        let farewell = config.task_shutdown_timeout() + FAREWELL * 5;
        let api = Arc::new(Api::new(config, herder.clone()));
        let serving = ports
            .into_iter()
            .map(|(port, served)| tokio::spawn(api.clone().serve(port, served, shutdown.clone())))
            .collect();
        RunningConnect { herder, failed, working, serving, shutdown, farewell }
    }
}

fn scheme(secure: bool) -> &'static str {
    if secure { "https" } else { "http" }
}

/// Starts a herder as soon as Kafka is there, and waits for its end.
async fn work(
    config: Arc<WorkerConfig>,
    plugins: Plugins,
    url: String,
    report: watch::Sender<Option<Arc<Herder>>>,
    failure: watch::Sender<Option<Arc<herder::StartError>>>,
    shutdown: ShutdownToken,
) {
    let plugins = Arc::new(plugins);
    let mut told = false;
    let started = loop {
        let starting = Herder::start(config.clone(), plugins.clone(), &url, shutdown.clone());
        let started = tokio::select! {
            started = starting => started,
            () = shutdown.cancelled() => return,
        };
        match started {
            Ok(started) => break started,
            Err(error) if error.is_retriable() => {
                if !told {
                    tracing::warn!("Connect cannot use Kafka, trying again: {error}");
                }
                told = true;
            }
            Err(error) => {
                failure.send_replace(Some(Arc::new(error)));
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = shutdown.cancelled() => return,
        }
    };
    report.send_replace(Some(started.herder));
    // Ends with the shutdown, after the farewell to the group.
    let _ = started.running.await;
}

/// A worker at work.
pub struct RunningConnect {
    herder: watch::Receiver<Option<Arc<Herder>>>,
    failed: watch::Receiver<Option<Arc<herder::StartError>>>,
    working: JoinHandle<()>,
    serving: Vec<JoinHandle<()>>,
    shutdown: ShutdownToken,
    /// How long tasks and the group may keep a worker that is told to stop.
    farewell: Duration,
}

impl RunningConnect {
    /// Waits until the worker has read its topics.
    ///
    /// # Errors
    /// What keeps it from starting, for good.
    pub async fn ready(&self) -> Result<Arc<Herder>, Arc<herder::StartError>> {
        let (mut herder, mut failed) = (self.herder.clone(), self.failed.clone());
        loop {
            tokio::select! {
                ready = herder.wait_for(Option::is_some) => {
                    if let Ok(Some(herder)) = ready.as_deref() {
                        return Ok(herder.clone());
                    }
                }
                error = failed.wait_for(Option::is_some) => {
                    if let Ok(Some(error)) = error.as_deref() {
                        return Err(error.clone());
                    }
                }
            }
            // Both have ended: the worker was stopped.
            std::future::pending::<()>().await;
        }
    }

    /// Stops: tasks commit what they have, the group hears that this worker leaves.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if tokio::time::timeout(self.farewell, &mut self.working).await.is_err() {
            self.working.abort();
        }
        let ending = async {
            for task in &mut self.serving {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(FAREWELL, ending).await.is_err() {
            self.serving.iter().for_each(JoinHandle::abort);
        }
    }
}
