//! The REST Proxy, alone (`milena rest-proxy`) or beside the broker (`milena server`).

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use milena_metadata::{BrokerConfig, REST_PROXY_PREFIX};
use milena_rest_proxy::{COMPONENT, RestConfig, RestProxy, RunningProxy, StartError};
use milena_stdx::ShutdownToken;

use crate::cli::RestProxyArguments;
use crate::server::{StopSignals, plaintext_address};
use crate::{logging, process, standalone};

/// The end of the line that scripts wait for.
const READY: &str = "Server started, listening for requests...";
/// How the Docker image of the original sets the level of its log.
const LOG_LEVEL: &str = "KAFKA_REST_LOG4J_ROOT_LOGLEVEL";
/// Which Kafka is behind the proxy.
const SERVERS: &str = "bootstrap.servers";
/// Which registry it asks.
const REGISTRY: &str = "schema.registry.url";

/// Runs until SIGTERM or SIGINT. Every mistake of the user is one line on standard error and exit code 1.
pub fn run(arguments: &RestProxyArguments) -> ExitCode {
    standalone::exit_code(&serve(arguments))
}

fn serve(arguments: &RestProxyArguments) -> anyhow::Result<()> {
    let sources = standalone::sources_with(COMPONENT, arguments.properties_file.as_deref(), &arguments.overrides)?;
    let (config, notices) = RestConfig::load(&sources)?;
    let level = std::env::var(LOG_LEVEL).unwrap_or_default().to_ascii_lowercase();
    let level = if config.debug { "debug" } else { level.as_str() };
    logging::start(level, false);
    for notice in notices {
        tracing::warn!("{notice}");
    }
    process::raise_open_files_limit();
    standalone::runtime()?.block_on(serve_until_told(config))
}

async fn serve_until_told(config: RestConfig) -> anyhow::Result<()> {
    let mut stop_signals = StopSignals::listen().context("cannot listen to signals")?;
    let proxy = RestProxy::bind(config).await?;
    announce(&proxy.urls());
    let running = proxy.start(ShutdownToken::new());
    println!("{READY}");
    stop_signals.received().await;
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Starts a proxy in front of the broker of this process, unless the configuration names another Kafka; `registry` is where
/// the schema registry of this process listens. `None` when it is switched off, or cannot be had and was not asked for.
///
/// # Errors
/// A configuration that cannot be used, a port that was chosen and is taken.
pub async fn beside(
    broker: &BrokerConfig,
    addresses: &[SocketAddr],
    registry: &[String],
) -> anyhow::Result<Option<RunningProxy>> {
    let mut sources = standalone::sources(COMPONENT, None)?;
    for (key, value) in broker.prefixed(REST_PROXY_PREFIX) {
        sources = sources.command_line(key, value);
    }
    if !sources.is_set(SERVERS) {
        let Some(own) = plaintext_address(broker, addresses) else {
            tracing::warn!(
                "no REST proxy: the broker has no PLAINTEXT listener; set {REST_PROXY_PREFIX}{SERVERS} and {REST_PROXY_PREFIX}client.security.protocol"
            );
            return Ok(None);
        };
        sources = sources.fallback(SERVERS, &own.to_string());
    }
    if let Some(url) = registry.first() {
        sources = sources.fallback(REGISTRY, &standalone::reachable(url));
    }
    let (config, notices) = RestConfig::load(&sources)?;
    for notice in notices {
        tracing::warn!("REST proxy: {notice}");
    }
    if config.listeners.is_empty() {
        return Ok(None);
    }
    let proxy = match RestProxy::bind(config).await {
        Ok(proxy) => proxy,
        Err(error @ StartError::Bind { .. }) if !sources.is_set("listeners") => {
            tracing::warn!("{error}; no REST proxy ({REST_PROXY_PREFIX}listeners chooses another address)");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    announce(&proxy.urls());
    Ok(Some(proxy.start(ShutdownToken::new())))
}

fn announce(urls: &[String]) {
    for url in urls {
        println!("REST proxy         {url}");
    }
}
