//! Logs on disk that the metadata does not know.
//!
//! In a new cluster they come from a data directory that Apache Kafka has written: their topics are taken into the
//! metadata under the ids in their `partition.metadata`, and with them everything else that its metadata log says, so
//! that the directory opens as it is. Later they can only be left-overs, for example of a topic whose deletion was interrupted; they are left alone and named in the log.

use std::collections::BTreeMap;

use milena_log::LogManager;
use milena_metadata::kraft::{self, KraftError};
use milena_metadata::{BrokerConfig, Controller, ControllerError};
use milena_protocol::Uuid;

/// Why what another cluster left cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// The metadata store failed.
    #[error(transparent)]
    Controller(#[from] ControllerError),
    /// Kafka's metadata cannot be read.
    #[error("metadata of Apache Kafka: {0}")]
    Kraft(#[from] KraftError),
}

/// Takes over what a data directory of another cluster holds: topics, then everything else its metadata says. Does
/// nothing when this cluster has topics already or has taken over another one before.
///
/// # Errors
/// [`TakeOverError`]; a directory that cannot be understood is better left to Kafka than opened without its ACLs.
pub(crate) fn take_over(
    config: &BrokerConfig,
    controller: &Controller,
    logs: &LogManager,
) -> Result<(), TakeOverError> {
    let is_new = controller.image().topics().len() == 0 && !controller.has_imported()?;
    let mut directories = vec![config.data_dir.clone()];
    directories.extend(config.log_dirs.iter().filter(|directory| **directory != config.data_dir).cloned());
    let metadata = if is_new { kraft::read(&directories)? } else { None };
    adopt(controller, logs)?;
    if let Some(metadata) = metadata {
        controller.import(&metadata)?;
        tracing::info!(
            directory = %metadata.directory.display(),
            topics = metadata.topics.len(),
            acls = metadata.acls.len(),
            users = metadata.scram.len(),
            quotas = metadata.client_quotas.len(),
            "metadata of Apache Kafka is taken over"
        );
    }
    Ok(())
}

/// Takes the topics of unknown logs into the metadata if it has no topics yet.
///
/// # Errors
/// When the metadata store cannot be written.
fn adopt(controller: &Controller, logs: &LogManager) -> Result<(), ControllerError> {
    let found = unknown_topics(controller, logs);
    if found.is_empty() {
        return Ok(());
    }
    let names = found.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    if controller.image().topics().len() > 0 {
        tracing::warn!(topics = names, "logs of unknown topics are left alone");
        return Ok(());
    }
    tracing::info!(topics = names, "topics found on disk are taken into the new cluster");
    controller.adopt_topics(found.into_iter().map(|(name, topic)| (name, topic.id, topic.leader_epochs)))?;
    Ok(())
}

struct FoundTopic {
    id: Uuid,
    /// By partition; 0 for partitions that are missing or empty.
    leader_epochs: Vec<i32>,
}

fn unknown_topics(controller: &Controller, logs: &LogManager) -> BTreeMap<String, FoundTopic> {
    let image = controller.image();
    let mut found: BTreeMap<String, FoundTopic> = BTreeMap::new();
    for log in logs.logs().into_iter().filter(|log| image.topic(log.topic()).is_none()) {
        let Ok(index) = usize::try_from(log.partition()) else { continue };
        let new = || FoundTopic { id: Uuid::ZERO, leader_epochs: Vec::new() };
        let topic = found.entry(log.topic().to_owned()).or_insert_with(new);
        topic.leader_epochs.resize(topic.leader_epochs.len().max(index + 1), 0);
        topic.leader_epochs[index] = log.latest_leader_epoch().max(0);
        if log.topic_id() != Uuid::ZERO {
            topic.id = log.topic_id();
        }
    }
    // Directories from before topic ids get one now.
    found.values_mut().filter(|topic| topic.id == Uuid::ZERO).for_each(|topic| topic.id = Uuid::random());
    found
}
