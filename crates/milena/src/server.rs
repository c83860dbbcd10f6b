//! `milena server`: configuration, start, the ready line, and an orderly end.

use std::net::{Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, bail};
use milena_broker::{Broker, Metrics, RunningBroker};
use milena_console::{Console, Health, Sources};
use milena_metadata::{BrokerConfig, ConfigSources, SecurityProtocol};
use milena_sql_server::SqlMetrics;
use milena_stdx::ShutdownToken;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::ServerArguments;
use crate::{connect, daemon, logging, process, rest_proxy, schema_registry, sql_server, standalone};

/// The end of the line that scripts wait for.
pub const READY: &str = "Kafka Server started";

/// The last line of a page of metrics.
const END_OF_PAGE: &str = "# EOF\n";

/// The systems that can be started today.
const ROLES: &[&str] = &["broker", "console", "schema-registry", "rest-proxy", "connect", "ksql-server"];

/// Runs until SIGTERM or SIGINT. Every mistake of the user is one line on standard error and exit code 1.
pub fn run(arguments: &ServerArguments) -> ExitCode {
    standalone::exit_code(&serve(arguments))
}

fn serve(arguments: &ServerArguments) -> anyhow::Result<()> {
    check_roles(&arguments.roles)?;
    let (config, notices) = load_config(arguments)?;
    if arguments.daemon {
        return daemon::start(arguments, &config.data_dir);
    }
    if arguments.detached {
        process::leave_session();
    }
    logging::start(&config.log_level, config.log_json);
    for notice in notices {
        tracing::warn!("{notice}");
    }
    process::raise_open_files_limit();
    standalone::runtime()?.block_on(serve_until_told(config, &arguments.roles))
}

fn check_roles(roles: &[String]) -> anyhow::Result<()> {
    for role in roles {
        if !ROLES.contains(&role.as_str()) {
            bail!("unknown role {role}; known roles are {}", ROLES.join(", "));
        }
    }
    if !roles.iter().any(|role| role == "broker") {
        bail!(
            "the role broker is needed; milena schema-registry, rest-proxy, connect-distributed and ksql-server start those alone"
        );
    }
    Ok(())
}

fn load_config(arguments: &ServerArguments) -> anyhow::Result<(BrokerConfig, Vec<String>)> {
    let mut sources = ConfigSources::new();
    if let Some(file) = &arguments.properties_file {
        sources = sources.file(file)?;
    }
    sources = sources.environment(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    );
    if let Some(directory) = &arguments.data_dir {
        sources = sources.command_line("milena.data.dir", &directory.to_string_lossy());
    }
    for setting in &arguments.overrides {
        let Some((key, value)) = setting.split_once('=') else {
            bail!("--override {setting}: expected KEY=VALUE");
        };
        sources = sources.command_line(key.trim(), value);
    }
    Ok(BrokerConfig::load(sources)?)
}

async fn serve_until_told(config: BrokerConfig, roles: &[String]) -> anyhow::Result<()> {
    // Before the start: a signal that comes while logs are recovered must not kill the process half-way.
    let mut stop_signals = StopSignals::listen().context("cannot listen to signals")?;
    let shutdown = ShutdownToken::new();
    let config = Arc::new(config);
    let has_role = |name: &str| roles.iter().any(|role| role == name);
    let console = if has_role("console") { bind_console(&config).await? } else { None };
    let running = tokio::select! {
        started = Broker::start(config.clone(), shutdown.clone()) => started?,
        () = stop_signals.received() => return Ok(()),
    };
    let sql_metrics: Arc<OnceLock<SqlMetrics>> = Arc::default();
    if let Some(console) = console {
        println!("console            http://{}  (/metrics, /health)", console.address()?);
        tokio::spawn(console.serve(sources(running.broker(), sql_metrics.clone()), shutdown.clone()));
    }
    let registry =
        if has_role("schema-registry") { schema_registry::beside(&config, &running.addresses()).await? } else { None };
    let (registry, registry_urls) = registry.unzip();
    let registry_urls = registry_urls.unwrap_or_default();
    let proxy = if has_role("rest-proxy") {
        rest_proxy::beside(&config, &running.addresses(), &registry_urls).await?
    } else {
        None
    };
    let connect =
        if has_role("connect") { connect::beside(&config, &running.addresses(), &registry_urls).await? } else { None };
    let (connect, connect_urls) = connect.unzip();
    let sql_server = if has_role("ksql-server") {
        let neighbours =
            sql_server::Neighbours { registry: &registry_urls, connect: &connect_urls.unwrap_or_default() };
        sql_server::beside(&config, &running.addresses(), &neighbours).await?
    } else {
        None
    };
    if let Some(sql_server) = &sql_server {
        // Set once: there is one SQL server.
        let _ = sql_metrics.set(sql_server.metrics());
    }
    announce(&config, &running);
    stop_signals.received().await;
    tracing::info!("stopping");
    if let Some(sql_server) = sql_server {
        sql_server.stop().await;
    }
    if let Some(connect) = connect {
        connect.stop().await;
    }
    if let Some(proxy) = proxy {
        proxy.stop().await;
    }
    if let Some(registry) = registry {
        registry.stop().await;
    }
    shutdown.cancel();
    tokio::select! {
        () = running.stopped() => tracing::info!("stopped"),
        () = stop_signals.received() => tracing::warn!("told twice to stop: logs will be recovered at the next start"),
    }
    Ok(())
}

/// The console's socket. A port that the user has chosen must be free; the default one is given up with a warning, so that
/// several servers can run on one machine.
async fn bind_console(config: &BrokerConfig) -> anyhow::Result<Option<Console>> {
    let Some(address) = &config.console_listener else { return Ok(None) };
    match Console::bind(address).await {
        Ok(console) => Ok(Some(console)),
        Err(error) if config.setting("milena.console.listener").is_none() => {
            tracing::warn!("{error}; no /metrics and /health (milena.console.listener chooses another address)");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What the console shows: the broker, and the SQL server once it is there.
fn sources(broker: &Arc<Broker>, sql: Arc<OnceLock<SqlMetrics>>) -> Sources {
    let (scraped, judged) = (broker.clone(), broker.clone());
    Sources {
        metrics: Arc::new(move || {
            let (broker, sql) = (scraped.clone(), sql.clone());
            Box::pin(async move {
                let page = Metrics::scrape(&broker).await;
                match (sql.get(), page.strip_suffix(END_OF_PAGE)) {
                    (Some(sql), Some(page)) => format!("{page}{}", sql.page()),
                    _ => page,
                }
            })
        }),
        health: Arc::new(move || Health { problems: judged.problems() }),
    }
}

/// Where a client of this machine reaches the broker without TLS and without a login.
pub fn plaintext_address(broker: &BrokerConfig, addresses: &[SocketAddr]) -> Option<SocketAddr> {
    let listeners = broker.listeners.iter().zip(addresses);
    let (_, address) =
        listeners.into_iter().find(|(listener, _)| listener.security_protocol == SecurityProtocol::Plaintext)?;
    let mut address = *address;
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    Some(address)
}

/// Tells people where to connect, and scripts that the broker is ready: they wait for Kafka's own line.
fn announce(config: &BrokerConfig, running: &RunningBroker) {
    for (listener, address) in config.listeners.iter().zip(running.addresses()) {
        println!("Kafka broker       {address}  (listener {})", listener.name);
    }
    println!("data               {}", config.data_dir.display());
    println!("[KafkaRaftServer nodeId={}] {READY}", config.node_id);
}

/// SIGTERM of service managers and SIGINT of a terminal.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub fn listen() -> std::io::Result<StopSignals> {
        Ok(StopSignals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
