//! A Connect worker that has one connector more than `milena` has: [`tick::TickSource`].
//!
//! ```text
//! milena-example-connector worker.properties [connector.properties]...
//! ```
//!
//! A worker with a `group.id` is distributed, any other is standalone; everything else is as with `milena`'s workers. See
//! docs/connect-plugins.md.

mod tick;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use milena_connect::config::worker::{COMPONENT, Mode, WorkerConfig};
use milena_connect::plugin::Plugins;
use milena_connect::standalone::ConnectorFile;
use milena_connect::{ConnectServer, ShutdownToken, Sources};
use tokio::signal::unix::{SignalKind, signal};

/// Many small records are made and freed; `milena` has this one too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let [worker, connectors @ ..] = files.as_slice() else {
        anyhow::bail!("usage: milena-example-connector worker.properties [connector.properties]...");
    };
    tracing_subscriber::fmt().with_env_filter("info").init();

    let sources = Sources::new(COMPONENT).file(Path::new(worker))?.process_environment();
    let mode = if sources.is_set("group.id") { Mode::Distributed } else { Mode::Standalone };
    let (config, notices) = WorkerConfig::load(&sources, mode)?;
    for notice in notices {
        tracing::warn!("{notice}");
    }

    // The one line that matters. Converters, transforms and predicates are added in the same way.
    let plugins = Plugins::built_in().with_connector(Arc::new(tick::TickSource::new()));

    let mut told_to_stop = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let running = ConnectServer::bind(config).await?.with_plugins(plugins).start(ShutdownToken::new());
    let herder = running.ready().await.map_err(|error| anyhow::anyhow!("{error}"))?;
    for file in connectors.iter().map(Path::new) {
        ConnectorFile::load(file)?.start(file, &herder).await?;
    }
    tokio::select! {
        _ = told_to_stop.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    running.stop().await;
    Ok(())
}
