//! Makes the command topic of a service again.

use milena_client::{Cluster, Result};

use crate::command::log::CommandLog;
use crate::config::SqlConfig;
use crate::kafka::Kafka;

pub use crate::command::backup::{BackedUp, read};

/// Replaces the command topic of the service by one with these commands. No server of the service may run.
///
/// # Errors
/// What the cluster says. The topic may be gone or incomplete then; doing it again is safe.
pub async fn restore(config: &SqlConfig, commands: &[BackedUp]) -> Result<()> {
    let kafka = Kafka::new(Cluster::connect(config.client.clone()).await?, config.producer.clone())?;
    let log = CommandLog::open(kafka, config.command_topic(), config.internal_replicas).await?;
    log.replace(commands).await
}
