//! `/v3/clusters/{c}/topics/{t}/partitions`: partitions, their offsets, replicas and reassignments.

use milena_client::TopicPartition;
use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_protocol::messages::list_partition_reassignments_response as reassignments;
use milena_protocol::messages::metadata_response::Partition;
use serde_json::{Value, json};

use super::scope::{Scope, not_found, number, segment};
use super::topics;
use crate::error::Result;
use crate::http::{Answer, Call};

/// GET `…/partitions`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let topic = call.parameter(1);
    let found = topics::find(&scope, topic, false).await?;
    let data = found.partitions.iter().map(|found| partition(&scope, topic, found)).collect();
    Answer::json(&scope.list("KafkaPartitionList", &format!("/topics/{}/partitions", segment(topic)), data))
}

/// GET `…/partitions/{partition_id}`
pub async fn get(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    Answer::json(&partition(&scope, call.parameter(1), &find(&scope, &call).await?))
}

/// GET `…/partitions/{partition_id}/offset`
pub async fn offset(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let topic = call.parameter(1);
    let found = find(&scope, &call).await?;
    let at = TopicPartition::new(topic, found.partition_index);
    let kind = call.query.get("offset_type").unwrap_or("earliest_and_latest");
    let wants = |which: &str| kind.eq_ignore_ascii_case(which) || kind.eq_ignore_ascii_case("earliest_and_latest");
    let (earliest, latest) = (wants("earliest"), wants("latest"));
    if !earliest && !latest {
        return Err(super::scope::bad_request(format!("unknown offset_type {kind}")));
    }
    let mut members = linked(&scope, topic, &found);
    if earliest {
        members["earliest_offset"] = find_offset(&scope, &at, OffsetSpec::EARLIEST).await?.into();
    }
    if latest {
        members["latest_offset"] = find_offset(&scope, &at, OffsetSpec::LATEST).await?.into();
    }
    let path = format!("{}/offset", path_of(topic, at.partition));
    let name = format!("/topic={topic}/partition={}/offset", at.partition);
    Answer::json(&scope.resource("KafkaPartitionWithOffsets", &path, Some(&name), members))
}

async fn find_offset(scope: &Scope, at: &TopicPartition, spec: OffsetSpec) -> Result<i64> {
    let wanted = [(at.clone(), spec)];
    let mut found = scope.cluster().list_offsets(&wanted, IsolationLevel::ReadUncommitted).await?;
    match found.remove(at) {
        Some(found) => Ok(found?.offset),
        None => Err(not_found(format!("Partition {} cannot be found.", at.partition))),
    }
}

/// GET `…/partitions/{partition_id}/replicas`
pub async fn replicas(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let topic = call.parameter(1);
    let found = find(&scope, &call).await?;
    let data = found.replica_nodes.iter().map(|broker| replica(&scope, topic, &found, *broker)).collect();
    let path = format!("{}/replicas", path_of(topic, found.partition_index));
    Answer::json(&scope.list("KafkaReplicaList", &path, data))
}

/// GET `…/replicas/{broker_id}`
pub async fn get_replica(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let broker = number(&call, 3)?;
    let found = find(&scope, &call).await?;
    if !found.replica_nodes.contains(&broker) {
        return Err(not_found(format!("Replica {broker} cannot be found.")));
    }
    Answer::json(&replica(&scope, call.parameter(1), &found, broker))
}

/// GET `…/partitions/{partition_id}/reassignment`
pub async fn reassignment(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let (topic, id) = (call.parameter(1), find(&scope, &call).await?.partition_index);
    let under_way = scope.cluster().list_partition_reassignments().await?;
    let of_topic = under_way.iter().filter(|found| found.name == topic).flat_map(|found| &found.partitions);
    let found = of_topic.into_iter().find(|partition| partition.partition_index == id);
    let found = found.ok_or_else(|| not_found(format!("Reassignment of partition {id} cannot be found.")))?;
    Answer::json(&written_reassignment(&scope, topic, found))
}

/// GET `…/topics/{topic_name}/partitions/-/reassignment`
pub async fn reassignments_of_topic(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let topic = call.parameter(1);
    topics::find(&scope, topic, false).await?;
    let path = format!("/topics/{}/partitions/-/reassignment", segment(topic));
    list_reassignments(&scope, &path, |name| name == topic).await
}

/// GET `…/topics/-/partitions/-/reassignment`
pub async fn all_reassignments(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    list_reassignments(&scope, "/topics/-/partitions/-/reassignment", |_| true).await
}

async fn list_reassignments(scope: &Scope, path: &str, wanted: impl Fn(&str) -> bool) -> Result<Answer> {
    let under_way = scope.cluster().list_partition_reassignments().await?;
    let mut data = Vec::new();
    for topic in under_way.iter().filter(|topic| wanted(&topic.name)) {
        data.extend(topic.partitions.iter().map(|found| written_reassignment(scope, &topic.name, found)));
    }
    Answer::json(&scope.list("KafkaReassignmentList", path, data))
}

async fn find(scope: &Scope, call: &Call) -> Result<Partition> {
    let id = number(call, 2)?;
    let found = topics::find(scope, call.parameter(1), false).await?;
    let found = found.partitions.into_iter().find(|partition| partition.partition_index == id);
    found.ok_or_else(|| not_found(format!("Partition {id} cannot be found.")))
}

fn path_of(topic: &str, partition: i32) -> String {
    format!("/topics/{}/partitions/{partition}", segment(topic))
}

fn partition(scope: &Scope, topic: &str, partition: &Partition) -> Value {
    let id = partition.partition_index;
    let name = format!("/topic={topic}/partition={id}");
    scope.resource("KafkaPartition", &path_of(topic, id), Some(&name), linked(scope, topic, partition))
}

fn linked(scope: &Scope, topic: &str, partition: &Partition) -> Value {
    let path = path_of(topic, partition.partition_index);
    let leader = partition.leader_id;
    json!({
        "topic_name": topic,
        "partition_id": partition.partition_index,
        "leader": (leader >= 0).then(|| scope.related(&format!("{path}/replicas/{leader}"))),
        "replicas": scope.related(&format!("{path}/replicas")),
        "reassignment": scope.related(&format!("{path}/reassignment")),
    })
}

/// A replica of a partition.
pub fn replica(scope: &Scope, topic: &str, partition: &Partition, broker: i32) -> Value {
    let id = partition.partition_index;
    let members = json!({
        "topic_name": topic,
        "partition_id": id,
        "broker_id": broker,
        "is_leader": partition.leader_id == broker,
        "is_in_sync": partition.isr_nodes.contains(&broker),
        "broker": scope.related(&format!("/brokers/{broker}")),
    });
    let name = format!("/topic={topic}/partition={id}/replica={broker}");
    scope.resource("KafkaReplica", &format!("{}/replicas/{broker}", path_of(topic, id)), Some(&name), members)
}

fn written_reassignment(scope: &Scope, topic: &str, found: &reassignments::Partition) -> Value {
    let id = found.partition_index;
    let path = path_of(topic, id);
    let members = json!({
        "topic_name": topic,
        "partition_id": id,
        "adding_replicas": found.adding_replicas,
        "removing_replicas": found.removing_replicas,
        "replicas": scope.related(&format!("{path}/replicas")),
    });
    let name = format!("/topic={topic}/partition={id}/reassignment");
    scope.resource("KafkaReassignment", &format!("{path}/reassignment"), Some(&name), members)
}
