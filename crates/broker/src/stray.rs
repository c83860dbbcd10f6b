//! Logs on disk that the metadata does not know.
//!
//! In a new cluster they come from a data directory that Apache Kafka has written: their topics are taken into the
//! metadata under the ids in their `partition.metadata`, so that the directory opens as it is. Later they can only be
//! left-overs, for example of a topic whose deletion was interrupted; they are left alone and named in the log.

use std::collections::BTreeMap;

use milena_log::LogManager;
use milena_metadata::{Controller, ControllerError};
use milena_protocol::Uuid;

/// Takes the topics of unknown logs into the metadata if it has no topics yet.
///
/// # Errors
/// When the metadata store cannot be written.
pub(crate) fn adopt(controller: &Controller, logs: &LogManager) -> Result<(), ControllerError> {
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
