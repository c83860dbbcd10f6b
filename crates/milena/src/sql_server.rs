//! The server of streaming SQL, alone (`milena ksql-server`) or beside the broker (`milena server`).

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use milena_http::config::Sources;
use milena_metadata::{BrokerConfig, SQL_SERVER_PREFIX};
use milena_sql_server::{COMPONENT, RunningSqlServer, SqlConfig, SqlServer, StartError};
use milena_stdx::ShutdownToken;

use crate::cli::SqlServerArguments;
use crate::server::{StopSignals, plaintext_address};
use crate::{logging, process, standalone};

/// The end of the line that scripts wait for.
const READY: &str = "Server up and running";
/// How the Docker image of the original sets the level of its log.
const LOG_LEVEL: &str = "KSQL_LOG4J_ROOT_LOGLEVEL";
/// Options for the JVM of the original, among them settings.
const JVM_OPTIONS: &str = "KSQL_OPTS";
/// Which Kafka is used.
const SERVERS: &str = "bootstrap.servers";
/// Where queries keep their state.
const STATE_DIR: &str = "ksql.streams.state.dir";
/// Its directory within the broker's data.
const STATE_BESIDE_LOGS: &str = "ksql-state";

/// Runs until SIGTERM or SIGINT. Every mistake of the user is one line on standard error and exit code 1.
pub fn run(arguments: &SqlServerArguments) -> ExitCode {
    standalone::exit_code(&serve(arguments))
}

fn serve(arguments: &SqlServerArguments) -> anyhow::Result<()> {
    let sources = sources(arguments)?;
    let (config, notices) = SqlConfig::load(&sources)?;
    let level = std::env::var(LOG_LEVEL).unwrap_or_default().to_ascii_lowercase();
    logging::start(&level, false);
    for notice in notices {
        tracing::warn!("{notice}");
    }
    process::raise_open_files_limit();
    process::use_small_pages();
    process::return_memory_at_once();
    standalone::runtime()?.block_on(serve_until_told(config))
}

/// As scripts of the original give them: a file, options for its JVM, arguments.
fn sources(arguments: &SqlServerArguments) -> anyhow::Result<Sources> {
    let sources = file_and_environment(arguments.properties_file.as_deref())?;
    let mut sources = standalone::with_overrides(sources, &arguments.overrides)?;
    if let Some(file) = &arguments.queries_file {
        sources = sources.command_line("ksql.queries.file", &file.to_string_lossy());
    }
    Ok(sources)
}

fn file_and_environment(file: Option<&Path>) -> anyhow::Result<Sources> {
    let options = std::env::var(JVM_OPTIONS).unwrap_or_default();
    Ok(standalone::sources(COMPONENT, file)?.jvm_properties(JVM_OPTIONS, &options))
}

async fn serve_until_told(config: SqlConfig) -> anyhow::Result<()> {
    let mut stop_signals = StopSignals::listen().context("cannot listen to signals")?;
    let server = SqlServer::bind(config).await?;
    announce(&server.urls());
    let running = server.start(ShutdownToken::new());
    println!("{READY}");
    stop_signals.received().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Where other systems of this process listen.
pub struct Neighbours<'a> {
    /// The schema registry.
    pub registry: &'a [String],
    /// The Connect worker.
    pub connect: &'a [String],
}

/// Starts a server that uses the broker and the neighbours of this process, unless the configuration names others. `None`
/// when it is switched off, or cannot be had and was not asked for.
///
/// # Errors
/// A configuration that cannot be used, a port that was chosen and is taken, state that cannot be opened.
pub async fn beside(
    broker: &BrokerConfig,
    addresses: &[SocketAddr],
    neighbours: &Neighbours<'_>,
) -> anyhow::Result<Option<RunningSqlServer>> {
    let mut sources = file_and_environment(None)?;
    for (key, value) in broker.prefixed(SQL_SERVER_PREFIX) {
        sources = sources.command_line(key, value);
    }
    if !sources.is_set(SERVERS) {
        let Some(own) = plaintext_address(broker, addresses) else {
            tracing::warn!(
                "no SQL server: the broker has no PLAINTEXT listener; set {SQL_SERVER_PREFIX}{SERVERS} and {SQL_SERVER_PREFIX}security.protocol"
            );
            return Ok(None);
        };
        sources = sources.fallback(SERVERS, &own.to_string());
    }
    for (key, urls) in [("ksql.schema.registry.url", neighbours.registry), ("ksql.connect.url", neighbours.connect)] {
        if let Some(url) = urls.first() {
            sources = sources.fallback(key, &standalone::reachable(url));
        }
    }
    sources = sources.fallback(STATE_DIR, &broker.data_dir.join(STATE_BESIDE_LOGS).to_string_lossy());
    let (config, notices) = SqlConfig::load(&sources)?;
    for notice in notices {
        tracing::warn!("SQL server: {notice}");
    }
    if config.listeners.is_empty() {
        return Ok(None);
    }
    let server = match SqlServer::bind(config).await {
        Ok(server) => server,
        Err(error @ StartError::Bind { .. }) if !sources.is_set("listeners") => {
            tracing::warn!("{error}; no SQL server ({SQL_SERVER_PREFIX}listeners chooses another address)");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    announce(&server.urls());
    Ok(Some(server.start(ShutdownToken::new())))
}

fn announce(urls: &[String]) {
    for url in urls {
        println!("SQL server         {url}");
    }
}
