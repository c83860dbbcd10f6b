//! Configuration of brokers, by area.

use std::sync::LazyLock;

use super::{ConfigTable, UpdateMode};

mod cluster;
mod group;
mod listeners;
mod log;
mod milena;
mod remote;
mod security;
mod server;
mod transaction;

/// Every key of `server.properties`.
pub static BROKER_CONFIGS: LazyLock<ConfigTable> = LazyLock::new(|| {
    ConfigTable::new(&[
        milena::MILENA,
        listeners::LISTENERS,
        cluster::CLUSTER,
        server::SERVER,
        log::LOG,
        group::GROUP,
        transaction::TRANSACTION,
        remote::REMOTE,
        security::SECURITY,
    ])
});

/// Whether the broker's key `name` can be changed while the broker runs; `for_all` asks for the default of all brokers.
///
/// Keys of one listener (`listener.name.<name>.`) are judged without their prefix.
pub fn is_dynamic_broker_config(name: &str, for_all: bool) -> bool {
    let base = name.strip_prefix("listener.name.").and_then(|rest| rest.split_once('.')).map_or(name, |(_, base)| base);
    BROKER_CONFIGS.get(base).is_some_and(|def| match def.update {
        UpdateMode::ReadOnly => false,
        UpdateMode::PerBroker => !for_all,
        UpdateMode::ClusterWide => true,
    })
}
