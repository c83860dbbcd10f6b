//! The schema registry, alone (`milena schema-registry`) or beside the broker (`milena server`).

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use milena_metadata::{BrokerConfig, REGISTRY_PREFIX};
use milena_registry::{COMPONENT, Registry, RegistryConfig, RunningRegistry, StartError};
use milena_stdx::ShutdownToken;

use crate::cli::SchemaRegistryArguments;
use crate::server::{StopSignals, plaintext_address};
use crate::{logging, process, standalone};

/// The end of the line that scripts wait for.
const READY: &str = "Server started, listening for requests...";
/// How the Docker image of the original sets the level of its log.
const LOG_LEVEL: &str = "SCHEMA_REGISTRY_LOG4J_ROOT_LOGLEVEL";
/// Which Kafka keeps the schemas.
const SERVERS: &str = "kafkastore.bootstrap.servers";

/// Runs until SIGTERM or SIGINT. Every mistake of the user is one line on standard error and exit code 1.
pub fn run(arguments: &SchemaRegistryArguments) -> ExitCode {
    standalone::exit_code(&serve(arguments))
}

fn serve(arguments: &SchemaRegistryArguments) -> anyhow::Result<()> {
    let sources = standalone::sources_with(COMPONENT, arguments.properties_file.as_deref(), &arguments.overrides)?;
    let (config, notices) = RegistryConfig::load(&sources)?;
    let level = std::env::var(LOG_LEVEL).unwrap_or_default().to_ascii_lowercase();
    let level = if config.debug { "debug" } else { level.as_str() };
    logging::start(level, false);
    for notice in notices {
        tracing::warn!("{notice}");
    }
    process::raise_open_files_limit();
    standalone::runtime()?.block_on(serve_until_told(config))
}

async fn serve_until_told(config: RegistryConfig) -> anyhow::Result<()> {
    let mut stop_signals = StopSignals::listen().context("cannot listen to signals")?;
    let registry = Registry::bind(config).await?;
    let urls = registry.urls();
    let running = registry.start(ShutdownToken::new());
    tokio::select! {
        ready = running.ready() => ready?,
        () = stop_signals.received() => return Ok(()),
    }
    announce(&urls);
    println!("{READY}");
    stop_signals.received().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Starts a registry that keeps its schemas in the broker of this process, unless the configuration names another Kafka.
/// `None` when it is switched off, or cannot be had and was not asked for; else with its URLs.
///
/// # Errors
/// A configuration that cannot be used, a port that was chosen and is taken.
pub async fn beside(
    broker: &BrokerConfig,
    addresses: &[SocketAddr],
) -> anyhow::Result<Option<(RunningRegistry, Vec<String>)>> {
    let mut sources = standalone::sources(COMPONENT, None)?;
    for (key, value) in broker.prefixed(REGISTRY_PREFIX) {
        sources = sources.command_line(key, value);
    }
    if !sources.is_set(SERVERS) {
        let Some(own) = plaintext_address(broker, addresses) else {
            tracing::warn!(
                "no schema registry: the broker has no PLAINTEXT listener; set {REGISTRY_PREFIX}{SERVERS} and {REGISTRY_PREFIX}kafkastore.security.protocol"
            );
            return Ok(None);
        };
        sources = sources.fallback(SERVERS, &own.to_string());
    }
    let (config, notices) = RegistryConfig::load(&sources)?;
    for notice in notices {
        tracing::warn!("schema registry: {notice}");
    }
    if config.listeners.is_empty() {
        return Ok(None);
    }
    let registry = match Registry::bind(config.embedded()).await {
        Ok(registry) => registry,
        Err(error @ StartError::Bind { .. }) if !sources.is_set("listeners") => {
            tracing::warn!("{error}; no schema registry ({REGISTRY_PREFIX}listeners chooses another address)");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let urls = registry.urls();
    announce(&urls);
    Ok(Some((registry.start(ShutdownToken::new()), urls)))
}

fn announce(urls: &[String]) {
    for url in urls {
        println!("schema registry    {url}");
    }
}
