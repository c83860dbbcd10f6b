//! Brokers, topics, partitions.

use std::collections::BTreeMap;

use milena_client::admin::{ConfigResource, IsolationLevel, OffsetSpec, ResourceType};
use milena_client::{Cluster, TopicPartition};
use milena_protocol::ErrorCode;
use milena_protocol::messages::metadata_response;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{RestError, Result};
use crate::http::{Answer, Call};

/// GET and POST `/`.
pub async fn root(_call: Call) -> Result<Answer> {
    Answer::json(&Map::new())
}

/// GET `/brokers`.
pub async fn brokers(call: Call) -> Result<Answer> {
    let cluster = call.proxy.cluster().await?;
    cluster.refresh_metadata(Some(&[]), false).await?;
    let ids: Vec<i32> = cluster.nodes().into_iter().map(|node| node.id).collect();
    Answer::json(&json!({ "brokers": ids }))
}

/// GET `/topics`.
pub async fn topics(call: Call) -> Result<Answer> {
    let topics = call.proxy.cluster().await?.list_topics().await?;
    Answer::json(&topics.into_iter().map(|topic| topic.name).collect::<Vec<_>>())
}

#[derive(Serialize)]
struct Topic {
    name: String,
    configs: BTreeMap<String, Value>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: i32,
    leader: i32,
    replicas: Vec<Replica>,
}

#[derive(Serialize)]
struct Replica {
    broker: i32,
    leader: bool,
    in_sync: bool,
}

/// GET `/topics/{topic}`. A topic that is not there is told in the broker's words, here only: 40403.
pub async fn topic(call: Call) -> Result<Answer> {
    let cluster = call.proxy.cluster().await?;
    let name = call.parameter(0);
    let partitions = described(&cluster, name).await?;
    let resource = ConfigResource { resource_type: ResourceType::Topic, name: name.to_owned() };
    let configs = cluster.describe_configs(&resource).await?;
    let configs = configs.into_iter().map(|config| (config.name, config.value.map_or(Value::Null, Value::String)));
    Answer::json(&Topic { name: name.to_owned(), configs: configs.collect(), partitions })
}

/// GET `/topics/{topic}/partitions`.
pub async fn partitions(call: Call) -> Result<Answer> {
    let cluster = call.proxy.cluster().await?;
    Answer::json(&partitions_of(&cluster, call.parameter(0)).await?)
}

/// GET `/topics/{topic}/partitions/{partition}`.
pub async fn partition(call: Call) -> Result<Answer> {
    let cluster = call.proxy.cluster().await?;
    Answer::json(&existing_partition(&cluster, call.parameter(0), call.parameter(1)).await?)
}

/// GET `/topics/{topic}/partitions/{partition}/offsets`.
pub async fn offsets(call: Call) -> Result<Answer> {
    let cluster = call.proxy.cluster().await?;
    let partition = existing_partition(&cluster, call.parameter(0), call.parameter(1)).await?;
    if partition.leader < 0 {
        return Err(RestError::LeaderNotAvailable);
    }
    let tp = TopicPartition::new(call.parameter(0), partition.partition);
    let beginning = found(&cluster, &tp, OffsetSpec::EARLIEST).await?;
    let end = found(&cluster, &tp, OffsetSpec::LATEST).await?;
    Answer::json(&json!({ "beginning_offset": beginning, "end_offset": end }))
}

async fn found(cluster: &Cluster, tp: &TopicPartition, spec: OffsetSpec) -> Result<i64> {
    let wanted = [(tp.clone(), spec)];
    let mut found = cluster.list_offsets(&wanted, IsolationLevel::ReadUncommitted).await?;
    Ok(found.remove(tp).ok_or(RestError::LeaderNotAvailable)??.offset)
}

async fn existing_partition(cluster: &Cluster, topic: &str, partition: &str) -> Result<Partition> {
    let number = partition_number(partition)?;
    let mut partitions = partitions_of(cluster, topic).await?.into_iter();
    partitions.find(|partition| partition.partition == number).ok_or(RestError::PartitionNotFound(Some(number)))
}

/// The number of a partition in a path: what is none is no path either.
///
/// # Errors
/// 404.
pub fn partition_number(text: &str) -> Result<i32> {
    text.parse().map_err(|_| RestError::Http(404))
}

/// The partitions of a topic.
///
/// # Errors
/// 40401 when it is not there.
async fn partitions_of(cluster: &Cluster, topic: &str) -> Result<Vec<Partition>> {
    described(cluster, topic).await.map_err(|error| match error {
        RestError::Kafka { code: 40403, .. } => RestError::TopicNotFound(Some(topic.to_owned())),
        other => other,
    })
}

/// As the broker tells.
async fn described(cluster: &Cluster, topic: &str) -> Result<Vec<Partition>> {
    let response = cluster.refresh_metadata(Some(&[topic.to_owned()]), false).await?;
    let missing = || milena_client::Error::api(ErrorCode::UnknownTopicOrPartition, None);
    let described = response.topics.into_iter().next().ok_or_else(missing)?;
    milena_client::Error::check(described.error_code, None)?;
    let mut partitions: Vec<Partition> = described.partitions.into_iter().map(Partition::from).collect();
    partitions.sort_by_key(|partition| partition.partition);
    Ok(partitions)
}

impl From<metadata_response::Partition> for Partition {
    fn from(partition: metadata_response::Partition) -> Partition {
        let leader = partition.leader_id;
        let replica = |broker: &i32| Replica {
            broker: *broker,
            leader: *broker == leader,
            in_sync: partition.isr_nodes.contains(broker),
        };
        Partition {
            partition: partition.partition_index,
            leader,
            replicas: partition.replica_nodes.iter().map(replica).collect(),
        }
    }
}
