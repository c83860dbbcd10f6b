//! `/v3/clusters/{c}/brokers`: brokers and the replicas on them.

use milena_protocol::messages::metadata_response;
use serde_json::{Value, json};

use super::partitions;
use super::scope::{Scope, not_found, number};
use crate::error::Result;
use crate::http::{Answer, Call};

/// GET `…/brokers`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let metadata = scope.cluster().refresh_metadata(Some(&[]), false).await?;
    let data = metadata.brokers.iter().map(|found| broker(&scope, found)).collect();
    Answer::json(&scope.list("KafkaBrokerList", "/brokers", data))
}

/// GET `…/brokers/{broker_id}`
pub async fn get(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    Answer::json(&broker(&scope, &find(&scope, number(&call, 1)?).await?))
}

/// GET `…/brokers/{broker_id}/partition-replicas`
pub async fn partition_replicas(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let id = number(&call, 1)?;
    find(&scope, id).await?;
    let metadata = scope.cluster().refresh_metadata(None, false).await?;
    let mut data = Vec::new();
    for topic in &metadata.topics {
        let Some(name) = &topic.name else { continue };
        for partition in topic.partitions.iter().filter(|partition| partition.replica_nodes.contains(&id)) {
            data.push(partitions::replica(&scope, name, partition, id));
        }
    }
    Answer::json(&scope.list("KafkaReplicaList", &format!("/brokers/{id}/partition-replicas"), data))
}

/// The broker with this id.
///
/// # Errors
/// 404.
pub async fn find(scope: &Scope, id: i32) -> Result<metadata_response::Broker> {
    let metadata = scope.cluster().refresh_metadata(Some(&[]), false).await?;
    let found = metadata.brokers.into_iter().find(|broker| broker.node_id == id);
    found.ok_or_else(|| not_found(format!("Broker {id} cannot be found.")))
}

fn broker(scope: &Scope, broker: &metadata_response::Broker) -> Value {
    let id = broker.node_id;
    let path = format!("/brokers/{id}");
    let members = json!({
        "broker_id": id,
        "host": broker.host,
        "port": broker.port,
        "rack": broker.rack,
        "configs": scope.related(&format!("{path}/configs")),
        "partition_replicas": scope.related(&format!("{path}/partition-replicas")),
    });
    scope.resource("KafkaBroker", &path, Some(&format!("/broker={id}")), members)
}
