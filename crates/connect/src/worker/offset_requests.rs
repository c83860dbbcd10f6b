//! Offsets of a connector as the REST API shows and alters them: positions of a source, committed offsets of a sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_client::admin::Committed;
use milena_client::{Cluster, TopicPartition};
use milena_protocol::ErrorCode;
use serde_json::Value;

use super::offsets::{OffsetError, check_map};
use super::source::{connect, transactional_id};
use super::{TaskId, Worker, sink};
use crate::plugin::{ConnectorKind, Settings, TaskError};
use crate::record::SourceMap;

/// A row of the offsets of a connector; without an offset it is one to be deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetEntry {
    /// Which part: of a sink `kafka_topic` and `kafka_partition`.
    pub partition: SourceMap,
    /// Where it stands: of a sink `kafka_offset`.
    pub offset: Option<SourceMap>,
}

/// Why offsets were not shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum OffsetRequestError {
    /// What the user wrote cannot be done (400).
    #[error("{0}")]
    Invalid(String),
    /// The connector, or the form of offsets, does not admit it (500, as the original answers).
    #[error("{0}")]
    Refused(String),
    /// The cluster or the store said no (500).
    #[error("{0}")]
    Failed(String),
}

impl From<OffsetError> for OffsetRequestError {
    fn from(error: OffsetError) -> Self {
        match error {
            OffsetError::Malformed(message) => OffsetRequestError::Refused(message),
            OffsetError::Store(message) => OffsetRequestError::Failed(message),
        }
    }
}

impl From<TaskError> for OffsetRequestError {
    fn from(error: TaskError) -> Self {
        OffsetRequestError::Refused(error.to_string())
    }
}

impl From<milena_client::Error> for OffsetRequestError {
    fn from(error: milena_client::Error) -> Self {
        OffsetRequestError::Failed(error.to_string())
    }
}

const TOPIC: &str = "kafka_topic";
const PARTITION: &str = "kafka_partition";
const OFFSET: &str = "kafka_offset";

impl Worker {
    /// The offsets of a connector with these settings; it need not run here.
    ///
    /// # Errors
    /// See [`OffsetRequestError`].
    pub async fn connector_offsets(
        &self,
        name: &str,
        settings: &Settings,
    ) -> Result<Vec<OffsetEntry>, OffsetRequestError> {
        if self.kind(settings)? == ConnectorKind::Source {
            let all = self.shared.offsets_of(settings).await?.read_all(name).await?;
            let entry = |(partition, offset)| OffsetEntry { partition, offset: Some(offset) };
            return Ok(all.into_iter().map(entry).collect());
        }
        let cluster = self.admin(name, settings).await?;
        let committed = cluster.committed_offsets(&sink::group_id(name, settings), None).await?;
        Ok(committed.into_iter().map(|(tp, committed)| of_sink(&tp, committed.offset)).collect())
    }

    /// Writes offsets of a connector that is stopped; the text is for the user.
    ///
    /// # Errors
    /// See [`OffsetRequestError`].
    pub async fn alter_connector_offsets(
        &self,
        name: &str,
        settings: &Settings,
        offsets: &[OffsetEntry],
    ) -> Result<String, OffsetRequestError> {
        if offsets.is_empty() {
            return Err(OffsetRequestError::Invalid(
                "Partitions and offsets need to be provided for an alter offsets request".to_owned(),
            ));
        }
        match self.kind(settings)? {
            ConnectorKind::Source => self.write_source_offsets(name, settings, offsets, "altered").await,
            ConnectorKind::Sink => self.alter_sink_offsets(name, settings, offsets).await,
        }
    }

    /// Forgets all offsets of a connector that is stopped; the text is for the user.
    ///
    /// # Errors
    /// See [`OffsetRequestError`].
    pub async fn reset_connector_offsets(&self, name: &str, settings: &Settings) -> Result<String, OffsetRequestError> {
        if self.kind(settings)? == ConnectorKind::Source {
            let known = self.shared.offsets_of(settings).await?.read_all(name).await?;
            let all: Vec<OffsetEntry> =
                known.into_iter().map(|(partition, _)| OffsetEntry { partition, offset: None }).collect();
            return self.write_source_offsets(name, settings, &all, "reset").await;
        }
        let cluster = self.admin(name, settings).await?;
        match cluster.delete_group(&sink::group_id(name, settings)).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(ErrorCode::GroupIdNotFound) => {}
            Err(error) => return Err(of_group(name, &error, "reset")),
        }
        Ok(done("reset", true))
    }

    /// Ends whatever transactions tasks of an earlier configuration may still have open, and keeps those tasks from
    /// opening more. Called before the tasks of a new configuration start, for as many tasks as there ever were.
    ///
    /// # Errors
    /// What the coordinators say.
    pub async fn fence_zombies(&self, name: &str, settings: &Settings, tasks: u32) -> Result<(), OffsetRequestError> {
        for task in 0..tasks {
            let id = TaskId::new(name, task);
            let transactional_id = transactional_id(&self.shared.settings, &id);
            let client_id = format!("connector-fencing-producer-{id}");
            let (client, config) =
                self.shared.settings.transactional_producer(&client_id, &transactional_id, settings)?;
            let producer = milena_client::Producer::new(connect(client).await?, config, Box::new(|_| {}))?;
            producer.init_transactions().await?;
        }
        Ok(())
    }

    fn kind(&self, settings: &Settings) -> Result<ConnectorKind, OffsetRequestError> {
        Ok(self.shared.plugin(settings)?.kind())
    }

    async fn admin(&self, name: &str, settings: &Settings) -> Result<Cluster, OffsetRequestError> {
        let client = self.shared.settings.admin(&format!("connector-adminclient-{name}"), settings)?;
        Ok(Cluster::connect(client).await?)
    }

    async fn write_source_offsets(
        &self,
        name: &str,
        settings: &Settings,
        offsets: &[OffsetEntry],
        verb: &str,
    ) -> Result<String, OffsetRequestError> {
        for map in offsets.iter().flat_map(|entry| std::iter::once(&entry.partition).chain(&entry.offset)) {
            check_map(map)?;
        }
        let plugin = self.shared.plugin(settings)?;
        let source = plugin.source().ok_or_else(|| TaskError::fatal("the connector has no source"))?;
        let pairs: Vec<(SourceMap, Option<SourceMap>)> =
            offsets.iter().map(|entry| (entry.partition.clone(), entry.offset.clone())).collect();
        let knows = source.alter_offsets(settings, &pairs)?;
        let written = pairs.into_iter().map(|(partition, offset)| (Arc::new(partition), offset)).collect();
        self.shared.offsets_of(settings).await?.write(name, written).await?;
        Ok(done(verb, knows))
    }

    async fn alter_sink_offsets(
        &self,
        name: &str,
        settings: &Settings,
        offsets: &[OffsetEntry],
    ) -> Result<String, OffsetRequestError> {
        let (mut commits, mut deletions) = (BTreeMap::new(), Vec::new());
        for entry in offsets {
            let tp = sink_partition(&entry.partition)?;
            match &entry.offset {
                Some(offset) => {
                    commits.insert(tp, Committed::at(sink_offset(offset)?));
                }
                None => deletions.push(tp),
            }
        }
        let group = sink::group_id(name, settings);
        let cluster = self.admin(name, settings).await?;
        if !commits.is_empty() {
            let committed = cluster.commit_offsets(&group, None, &commits).await;
            committed.map_err(|error| of_group(name, &error, "alter"))?;
        }
        if !deletions.is_empty() {
            let deleted = cluster.delete_offsets(&group, &deletions).await;
            let deleted = deleted.map_err(|error| of_group(name, &error, "alter"))?;
            if let Some((tp, code)) = deleted.into_iter().find(|(_, code)| *code != ErrorCode::None) {
                let error = milena_client::Error::api(code, None);
                return Err(OffsetRequestError::Failed(format!("The offset of {tp} was not deleted: {error}")));
            }
        }
        Ok(done("altered", true))
    }
}

fn done(verb: &str, knows: bool) -> String {
    if knows {
        return format!("The offsets for this connector have been {verb} successfully");
    }
    let by_hand = if verb == "reset" { "reset" } else { "altered" };
    format!(
        "The Connect framework-managed offsets for this connector have been {verb} successfully. However, if this \
         connector manages offsets externally, they will need to be manually {by_hand} in the system that the connector uses."
    )
}

fn of_sink(tp: &TopicPartition, offset: i64) -> OffsetEntry {
    let partition = [(TOPIC, Value::from(tp.topic.clone())), (PARTITION, Value::from(tp.partition))];
    OffsetEntry {
        partition: partition.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        offset: Some([(OFFSET.to_owned(), Value::from(offset))].into_iter().collect()),
    }
}

fn sink_partition(partition: &SourceMap) -> Result<TopicPartition, OffsetRequestError> {
    let invalid = |why: String| {
        OffsetRequestError::Invalid(format!(
            "{why}; a partition is written {{\"{TOPIC}\": <topic>, \"{PARTITION}\": <number>}}"
        ))
    };
    let topic = match partition.get(TOPIC) {
        Some(Value::String(topic)) => topic.clone(),
        Some(other) if !other.is_null() => other.to_string(),
        _ => return Err(invalid(format!("The partition for a sink connector offset must contain the key '{TOPIC}'"))),
    };
    let number = match partition.get(PARTITION) {
        Some(value) => integer(value),
        None => {
            return Err(invalid(format!(
                "The partition for a sink connector offset must contain the key '{PARTITION}'"
            )));
        }
    };
    let number = number.and_then(|number| i32::try_from(number).ok());
    let number = number.ok_or_else(|| invalid(format!("'{PARTITION}' must be a number of at least 0")))?;
    if number < 0 {
        return Err(OffsetRequestError::Refused(format!("'{PARTITION}' must be a number of at least 0")));
    }
    Ok(TopicPartition::new(topic, number))
}

fn sink_offset(offset: &SourceMap) -> Result<i64, OffsetRequestError> {
    let form = || format!("The offset for a sink connector should be written {{\"{OFFSET}\": <number of at least 0>}}");
    match offset.get(OFFSET).and_then(integer) {
        Some(number) if number >= 0 => Ok(number),
        Some(_) => Err(OffsetRequestError::Refused(form())),
        None => Err(OffsetRequestError::Invalid(form())),
    }
}

/// Numbers, and numbers in quotes, as the original takes them.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()))
}

fn of_group(name: &str, error: &milena_client::Error, verb: &str) -> OffsetRequestError {
    match error.code() {
        Some(ErrorCode::NonEmptyGroup | ErrorCode::UnknownMemberId | ErrorCode::GroupSubscribedToTopic) => {
            OffsetRequestError::Invalid(format!(
                "Failed to {verb} consumer group offsets for connector {name} either because its tasks haven't stopped \
                 completely yet or the consumer group was still in use; try again in some seconds"
            ))
        }
        _ => {
            OffsetRequestError::Failed(format!("Failed to {verb} consumer group offsets for connector {name}: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::offsets::decode_map;

    fn map(json: &str) -> SourceMap {
        decode_map(json.as_bytes()).unwrap()
    }

    #[test]
    fn offsets_of_sinks_are_written_as_they_are_shown() {
        let shown = of_sink(&TopicPartition::new("t", 3), 42);
        assert_eq!(sink_partition(&shown.partition).unwrap(), TopicPartition::new("t", 3));
        assert_eq!(sink_offset(&shown.offset.unwrap()).unwrap(), 42);
        assert_eq!(sink_partition(&map(r#"{"kafka_topic":"t","kafka_partition":"3"}"#)).unwrap().partition, 3);
    }

    #[test]
    fn what_is_missing_or_negative_is_named() {
        for (json, key) in [
            (r#"{"kafka_partition":0}"#, TOPIC),
            (r#"{"kafka_topic":"t"}"#, PARTITION),
            (r#"{"kafka_topic":"t","kafka_partition":-1}"#, PARTITION),
        ] {
            let error = sink_partition(&map(json)).unwrap_err().to_string();
            assert!(error.contains(&format!("'{key}'")), "{error}");
        }
        assert!(sink_offset(&map(r#"{"kafka_offset":-1}"#)).is_err());
    }
}
