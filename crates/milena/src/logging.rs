//! Where log lines go: standard error, so that standard output stays the user's.
//!
//! Lines are text or JSON objects. Levels can be changed while the server runs, through Kafka's broker loggers.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use milena_stdx::loggers::{self, LogLevel, ROOT};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

/// Loggers that always have a level of their own, so that operators see what there is.
const LOGGERS: &[&str] = &[
    "milena",
    "milena_broker",
    "milena_broker::api",
    "milena_broker::group",
    "milena_broker::net",
    "milena_broker::slow_request",
    "milena_connect",
    "milena_connect::connectors",
    "milena_connect::herder",
    "milena_connect::worker",
    "milena_console",
    "milena_log",
    "milena_metadata",
    "milena_registry",
    "milena_rest_proxy",
    "milena_sql_server",
];

/// Starts logging at `level` (`milena.log.level`), unless `RUST_LOG` says otherwise.
pub fn start(level: &str, json: bool) {
    let level = LogLevel::from_name(level).unwrap_or(LogLevel::Info);
    let from_environment = EnvFilter::try_from_default_env();
    let mut levels = BTreeMap::from([(ROOT.to_owned(), level)]);
    if from_environment.is_err() {
        levels.extend(LOGGERS.iter().map(|logger| ((*logger).to_owned(), level)));
    }
    let filter = from_environment.unwrap_or_else(|_| EnvFilter::new(loggers::directives(&levels)));
    let (filter, handle) = reload::Layer::new(filter);
    tracing_subscriber::registry().with(filter).with(lines(json)).init();
    loggers::install(levels, move |directives| {
        let filter = EnvFilter::try_new(directives).map_err(|error| error.to_string())?;
        handle.reload(filter).map_err(|error| error.to_string())
    });
}

type Filtered = tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>;

fn lines(json: bool) -> Box<dyn Layer<Filtered> + Send + Sync> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    if json {
        lines.json().flatten_event(true).boxed()
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
    }
}
