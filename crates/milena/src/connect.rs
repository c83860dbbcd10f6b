//! Connect workers, alone (`milena connect-distributed`, `connect-standalone`) or beside the broker (`milena server`).

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use milena_connect::config::worker::{COMPONENT, Mode, WorkerConfig};
use milena_connect::herder::Herder;
use milena_connect::standalone::ConnectorFile;
use milena_connect::{ConnectServer, RunningConnect, StartError};
use milena_http::config::Sources;
use milena_metadata::{BrokerConfig, CONNECT_PREFIX};
use milena_stdx::ShutdownToken;

use crate::cli::ConnectArguments;
use crate::server::{StopSignals, plaintext_address};
use crate::{logging, process, standalone};

/// The end of the line that scripts wait for.
const READY: &str = "Kafka Connect started";
/// How the Docker images of the original set the level of its log.
const LOG_LEVEL: &str = "CONNECT_LOG4J_ROOT_LOGLEVEL";
/// Which Kafka is used.
const SERVERS: &str = "bootstrap.servers";
/// What a worker beside the broker has unless it is told otherwise.
const BESIDE_THE_BROKER: [(&str, &str); 11] = [
    ("listeners", "http://127.0.0.1:8083"),
    ("group.id", "connect-cluster"),
    ("config.storage.topic", "connect-configs"),
    ("offset.storage.topic", "connect-offsets"),
    ("status.storage.topic", "connect-status"),
    ("config.storage.replication.factor", "1"),
    ("offset.storage.replication.factor", "1"),
    ("status.storage.replication.factor", "1"),
    ("offset.flush.interval.ms", "10000"),
    ("key.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
];

/// The exit codes of the original.
mod exit {
    /// Called without a file.
    pub const USAGE: u8 = 1;
    /// A configuration that cannot be used.
    pub const CONFIGURATION: u8 = 2;
    /// The worker, or a connector of its files, does not start.
    pub const START: u8 = 3;
}

/// Runs until SIGTERM or SIGINT.
pub fn run(arguments: &ConnectArguments, mode: Mode) -> ExitCode {
    let Some(file) = &arguments.properties_file else {
        let (script, more) = match mode {
            Mode::Distributed => ("connect-distributed", ""),
            Mode::Standalone => ("connect-standalone", " [connector1.{properties,json} ...]"),
        };
        eprintln!("Usage: {script} [-daemon] worker.properties{more}");
        return ExitCode::from(exit::USAGE);
    };
    let loaded = standalone::sources_with(COMPONENT, Some(file), &arguments.overrides)
        .and_then(|sources| Ok(WorkerConfig::load(&sources, mode)?));
    let (config, notices) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return failed(&error, exit::CONFIGURATION),
    };
    if arguments.daemon {
        return match standalone::in_background() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error, exit::START),
        };
    }
    logging::start(&std::env::var(LOG_LEVEL).unwrap_or_default().to_ascii_lowercase(), false);
    for notice in notices {
        tracing::warn!("{notice}");
    }
    process::raise_open_files_limit();
    process::use_small_pages();
    let served = standalone::runtime().and_then(|runtime| runtime.block_on(serve_until_told(config, arguments)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error, exit::START),
    }
}

fn failed(error: &anyhow::Error, code: u8) -> ExitCode {
    standalone::exit_code(&Err(anyhow::anyhow!("{error:#}")));
    ExitCode::from(code)
}

async fn serve_until_told(config: WorkerConfig, arguments: &ConnectArguments) -> anyhow::Result<()> {
    let mut stop_signals = StopSignals::listen().context("cannot listen to signals")?;
    let server = ConnectServer::bind(config).await?;
    announce(&server.urls());
    let running = server.start(ShutdownToken::new());
    let ready = tokio::select! {
        ready = running.ready() => ready,
        () = stop_signals.received() => return Ok(()),
    };
    let started = match ready {
        Ok(herder) => start_connectors(arguments, &herder).await,
        Err(error) => Err(anyhow::anyhow!("{error}")),
    };
    if started.is_ok() {
        println!("{READY}");
        stop_signals.received().await;
    }
    tracing::info!("stopping");
    running.stop().await;
    started
}

async fn start_connectors(arguments: &ConnectArguments, herder: &Arc<Herder>) -> anyhow::Result<()> {
    for path in &arguments.connector_files {
        ConnectorFile::load(path)?.start(path, herder).await?;
    }
    Ok(())
}

/// Starts a worker that uses the broker of this process, unless the configuration names another Kafka; `registry` is where
/// the schema registry of this process listens. The second part is where the worker listens. `None` when it is switched off, or cannot be had and was not asked for.
///
/// # Errors
/// A configuration that cannot be used, a port that was chosen and is taken.
pub async fn beside(
    broker: &BrokerConfig,
    addresses: &[SocketAddr],
    registry: &[String],
) -> anyhow::Result<Option<(RunningConnect, Vec<String>)>> {
    let mut sources = standalone::sources(COMPONENT, None)?;
    for (key, value) in broker.prefixed(CONNECT_PREFIX) {
        sources = sources.command_line(key, value);
    }
    if !sources.is_set(SERVERS) {
        let Some(own) = plaintext_address(broker, addresses) else {
            tracing::warn!(
                "no Connect: the broker has no PLAINTEXT listener; set {CONNECT_PREFIX}{SERVERS} and {CONNECT_PREFIX}security.protocol"
            );
            return Ok(None);
        };
        sources = sources.fallback(SERVERS, &own.to_string());
    }
    let chooses_address = sources.is_set("listeners");
    let sources = with_defaults(sources, registry);
    let (config, notices) = WorkerConfig::load(&sources, Mode::Distributed)?;
    for notice in notices {
        tracing::warn!("Connect: {notice}");
    }
    if config.listeners.is_empty() {
        return Ok(None);
    }
    let server = match ConnectServer::bind(config).await {
        Ok(server) => server,
        Err(error @ StartError::Bind { .. }) if !chooses_address => {
            tracing::warn!("{error}; no Connect ({CONNECT_PREFIX}listeners chooses another address)");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let urls = server.urls();
    announce(&urls);
    Ok(Some((server.start(ShutdownToken::new()), urls)))
}

fn with_defaults(sources: Sources, registry: &[String]) -> Sources {
    let mut sources = BESIDE_THE_BROKER.iter().fold(sources, |all, (key, value)| all.fallback(key, value));
    if let Some(url) = registry.first() {
        let url = standalone::reachable(url);
        for converter in ["key.converter", "value.converter"] {
            sources = sources.fallback(&format!("{converter}.schema.registry.url"), &url);
        }
    }
    sources
}

fn announce(urls: &[String]) {
    for url in urls {
        println!("Connect            {url}");
    }
}
