//! A server from its sockets to its end.

use std::sync::Arc;
use std::time::Duration;

use milena_client::Cluster;
use milena_http::Port;
use milena_http::config::{Listener, announced_host};
use milena_schema::client::RegistryClient;
use milena_sql::formats::registry::SchemaRegistry;
use milena_stdx::ShutdownToken;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::cluster::{Peers, heartbeats};
use crate::command::backup::Backup;
use crate::command::execute::Executor;
use crate::command::log::{CommandLog, Followers};
use crate::command::metastore::Metastore;
use crate::config::SqlConfig;
use crate::connect::ConnectWorkers;
use crate::headless;
use crate::http::Api;
use crate::kafka::Kafka;
use crate::metrics::SqlMetrics;
use crate::queries::limits::PullLimits;
use crate::queries::processing_log::{self, LogWriter};
use crate::queries::push::PushQueries;
use crate::queries::spill;
use crate::registry::{NoRegistry, RemoteRegistry};
use crate::session::Session;
use crate::state::{Connected, Server};

/// Pause before Kafka is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long one attempt to reach Kafka takes.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long open connections may keep a server that is told to stop.
const FAREWELL: Duration = Duration::from_secs(10);
/// Blocks of the state on disk that are kept in memory, of all queries together. The system keeps files in memory too, and
/// queries the values that they asked for lately.
const STATE_CACHE_BYTES: u64 = 8 * 1024 * 1024;

/// Threads that write state to disk and compact it: half of the cores, at least two and at most four. The first does not
/// compact, so that what was written goes to disk, and out of memory, while the others do.
fn state_threads() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| (cores.get() / 2).clamp(2, 4))
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket cannot be had.
    #[error("SQL server: cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The directory of the state.
    #[error("SQL server: ksql.streams.state.dir: {path}: {reason}")]
    State {
        /// The directory.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The backup of the command topic.
    #[error("SQL server: ksql.metastore.backup.location: {path}: {source}")]
    Backup {
        /// The directory.
        path: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// The client of the registry.
    #[error("SQL server: ksql.schema.registry.url: {0}")]
    Registry(#[from] milena_schema::client::ClientError),
}

/// A server that has its sockets; clients that connect wait until it is started.
pub struct SqlServer {
    config: SqlConfig,
    registry: Arc<dyn SchemaRegistry>,
    state: fjall::Database,
    instance: String,
    backup: Option<Backup>,
    ports: Vec<Port>,
}

impl SqlServer {
    /// Takes the sockets.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(config: SqlConfig) -> Result<SqlServer, StartError> {
        let mut ports = Vec::with_capacity(config.listeners.len());
        for Listener { secure, address } in &config.listeners {
            let tls = config.tls.clone().filter(|_| *secure);
            let failed = |source| StartError::Bind { address: address.clone(), source };
            ports.push(Port::bind(address, tls).await.map_err(failed)?);
        }
        let registry: Arc<dyn SchemaRegistry> = match &config.registry {
            Some(registry) => Arc::new(RemoteRegistry(RegistryClient::new(registry.clone())?)),
            None => Arc::new(NoRegistry),
        };
        let path = config.state_dir.clone();
        let opening = move || {
            let database =
                fjall::Database::builder(&path).cache_size(STATE_CACHE_BYTES).worker_threads(state_threads()).open()?;
            spill::remove_leftovers(&database)?;
            let instance = instance(&database)?;
            Ok::<_, fjall::Error>((database, instance))
        };
        let opened = tokio::task::spawn_blocking(opening).await;
        let unusable = |reason: String| StartError::State { path: config.state_dir.display().to_string(), reason };
        let state = opened.map_err(|error| unusable(error.to_string()))?;
        let (state, instance) = state.map_err(|error| unusable(error.to_string()))?;
        let open = |directory: &std::path::PathBuf| {
            let failed = |source| StartError::Backup { path: directory.display().to_string(), source };
            Backup::open(directory, &config.command_topic()).map_err(failed)
        };
        let backup = config.backup_dir.as_ref().map(open).transpose()?;
        Ok(SqlServer { config, registry, state, instance, backup, ports })
    }

    /// Where it listens, as URLs with real ports.
    pub fn urls(&self) -> Vec<String> {
        let url = |port: &Port| format!("{}://{}", if port.is_secure() { "https" } else { "http" }, port.address());
        self.ports.iter().map(url).collect()
    }

    /// Where other servers reach this one.
    fn advertised_url(&self) -> String {
        if let Some(url) = &self.config.advertised {
            return url.clone();
        }
        let Some(port) = self.ports.first() else { return String::new() };
        let host = match announced_host(Some(port.address().ip())) {
            bare if bare.contains(':') => format!("[{bare}]"),
            host => host,
        };
        format!("{}://{host}:{}", if port.is_secure() { "https" } else { "http" }, port.address().port())
    }

    /// Answers at once, and connects to Kafka in the background: a Kafka that is not there yet is waited for.
    pub fn start(self, shutdown: ShutdownToken) -> RunningSqlServer {
        let url = self.advertised_url();
        let SqlServer { config, registry, state, instance, backup, ports } = self;
        let (peer_tls, forwarding_timeout) = (config.client_tls.clone(), config.forwarding_timeout);
        let metastore: Arc<Metastore> = Arc::default();
        let executor = Arc::new(Executor {
            metastore: metastore.clone(),
            registry: registry.clone(),
            settings: config.settings.clone(),
        });
        let (report, connected) = watch::channel(None);
        let (effects, caused) = mpsc::unbounded_channel();
        let connect =
            ConnectWorkers::new(config.connect.urls.clone(), config.connect.user.clone(), config.client_tls.clone());
        let (processing_log, log_writer) = processing_log::open(&config);
        let server = Arc::new(Server {
            connect,
            processing_log,
            turns: Arc::new(Semaphore::new(turns())),
            push_queries: PushQueries::new(config.push_queries_max),
            pull_limits: PullLimits::new(&config.settings),
            tables: Default::default(),
            config,
            registry,
            metastore,
            state,
            instance,
            query_states: Default::default(),
            connected,
            issuing: Default::default(),
            peers: Peers::new(url, peer_tls, forwarding_timeout),
            pull_counts: Default::default(),
            neighbours: Default::default(),
        });
        let followers = Followers { executor, backup: backup.map(|backup| Arc::new(Mutex::new(backup))), effects };
        let following = tokio::spawn(follow(server.clone(), followers, report));
        let logging = tokio::spawn(log(server.clone(), log_writer));
        let running = tokio::spawn(crate::queries::persistent::run(server.clone(), caused, shutdown.clone()));
        let telling = tokio::spawn(heartbeats::run(server.clone(), shutdown.clone()));
        let metrics = SqlMetrics::new(server.clone());
        let api = Api::new(server);
        let serving = ports.into_iter().map(|port| tokio::spawn(api.clone().serve(port, shutdown.clone()))).collect();
        RunningSqlServer { following, running, logging, telling, serving, metrics, shutdown }
    }
}

/// A server at work.
pub struct RunningSqlServer {
    following: JoinHandle<()>,
    running: JoinHandle<()>,
    logging: JoinHandle<()>,
    telling: JoinHandle<()>,
    serving: Vec<JoinHandle<()>>,
    metrics: SqlMetrics,
    shutdown: ShutdownToken,
}

impl RunningSqlServer {
    /// What it counts.
    pub fn metrics(&self) -> SqlMetrics {
        self.metrics.clone()
    }

    /// Stops: queries commit what they have done and leave their groups.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        self.following.abort();
        let ending = async {
            let _ = (&mut self.running).await;
            for task in &mut self.serving {
                let _ = task.await;
            }
        };
        let ended = tokio::time::timeout(FAREWELL, ending).await;
        self.logging.abort();
        self.telling.abort();
        if ended.is_err() {
            self.running.abort();
            self.serving.iter().for_each(JoinHandle::abort);
        }
    }
}

/// How many queries work at the same time: more than there are cores, for some wait for the disk or the registry.
fn turns() -> usize {
    std::thread::available_parallelism().map_or(8, |cores| cores.get() * 4).max(8)
}

/// Writes the processing log once there is a Kafka, and makes its topic and stream where that is wanted.
async fn log(server: Arc<Server>, writer: LogWriter) {
    let connected = loop {
        match server.ready().await {
            Ok(connected) => break connected,
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    };
    while let Err(error) = writer.make_topic(&connected, &server.config).await {
        tracing::warn!("the topic of the processing log cannot be made, trying again: {error}");
        tokio::time::sleep(RETRY).await;
    }
    let settings = &server.config.settings;
    if settings.is_true("ksql.logging.processing.stream.auto.create", false)
        && let Some(topic) = processing_log::topic(&server.config)
    {
        let name = settings.get("ksql.logging.processing.stream.name").unwrap_or("KSQL_PROCESSING_LOG");
        let statement = processing_log::stream_statement(name, &topic);
        if let Err(failure) = crate::statements::execute(&server, &statement, &mut Session::default()).await {
            tracing::warn!("the stream of the processing log cannot be made: {failure}");
        }
    }
    writer.write(connected).await;
}

/// The name of the server that owns the state; drawn when the state is new.
fn instance(state: &fjall::Database) -> fjall::Result<String> {
    const NAME: &str = "name";
    let tree = state.keyspace("_instance", fjall::KeyspaceCreateOptions::default)?;
    if let Some(known) = tree.get(NAME)? {
        return Ok(String::from_utf8_lossy(&known).into_owned());
    }
    let drawn = format!("{:016x}", rand::random::<u64>());
    tree.insert(NAME, drawn.as_bytes())?;
    state.persist(fjall::PersistMode::SyncAll)?;
    Ok(drawn)
}

/// Reaches Kafka, then executes commands for ever.
async fn follow(server: Arc<Server>, followers: Followers, report: watch::Sender<Option<Connected>>) {
    let mut told = false;
    let connected = loop {
        match connect(&server.config).await {
            Ok(connected) => break connected,
            Err(error) if !told => tracing::warn!("the SQL server cannot use Kafka, trying again: {error}"),
            Err(error) => tracing::debug!("the SQL server cannot use Kafka, trying again: {error}"),
        }
        told = true;
        tokio::time::sleep(RETRY).await;
    };
    let log = connected.log.clone();
    report.send_replace(Some(connected));
    match &server.config.queries_file {
        Some(file) => headless::run(&server, file, &followers.effects).await,
        None => log.follow(&followers).await,
    }
    // Queries go on as long as somebody could tell them something.
    std::future::pending::<()>().await;
}

async fn connect(config: &SqlConfig) -> milena_client::Result<Connected> {
    let mut client = config.client.clone();
    client.bootstrap_timeout = ATTEMPT;
    let kafka = Kafka::new(Cluster::connect(client).await?, config.producer.clone())?;
    let log = CommandLog::open(kafka.clone(), config.command_topic(), config.internal_replicas).await?;
    Ok(Connected { kafka, log: Arc::new(log) })
}
