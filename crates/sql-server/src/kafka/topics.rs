//! Topics of sources: found, made as statements want them, deleted.

use std::collections::BTreeMap;

use milena_client::{Cluster, Error, Result};
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_topics_request;

/// What is known of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicShape {
    /// Partitions.
    pub partitions: i32,
    /// Replicas of the first partition.
    pub replicas: i16,
}

/// The shape of a topic; `None` when there is no such topic.
///
/// # Errors
/// What the cluster says.
pub async fn shape(cluster: &Cluster, topic: &str) -> Result<Option<TopicShape>> {
    let described = match cluster.describe_topics(&[topic.to_owned()], i32::MAX).await {
        Ok(described) => described,
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(described.first().map(|topic| TopicShape {
        partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        replicas: topic.partitions.first().map_or(0, |first| i16::try_from(first.replicas.len()).unwrap_or(i16::MAX)),
    }))
}

/// Makes a topic; one that is there already stays as it is.
///
/// # Errors
/// What the cluster says.
pub async fn create(
    cluster: &Cluster,
    topic: &str,
    shape: TopicShape,
    configs: &BTreeMap<String, String>,
) -> Result<()> {
    let request = create_topics_request::Topic {
        name: topic.to_owned(),
        num_partitions: shape.partitions,
        replication_factor: shape.replicas,
        assignments: Vec::new(),
        configs: configs
            .iter()
            .map(|(name, value)| create_topics_request::Config { name: name.clone(), value: Some(value.clone()) })
            .collect(),
    };
    match cluster.create_topic(request, false).await {
        Err(error) if error.code() != Some(ErrorCode::TopicAlreadyExists) => Err(error),
        _ => Ok(()),
    }
}

/// Deletes a topic; one that is gone already is no error.
///
/// # Errors
/// What the cluster says.
pub async fn delete(cluster: &Cluster, topic: &str) -> Result<()> {
    match cluster.delete_topics(&[topic.to_owned()]).await {
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => Ok(()),
        other => other.map_err(|error: Error| error),
    }
}
