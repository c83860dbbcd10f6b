//! `/v3/clusters/{c}/topics`: list, create, grow, delete.

use milena_client::Error as KafkaError;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    MetadataRequest, create_partitions_request, create_topics_request, metadata_request, metadata_response,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::acls::operation_names;
use super::scope::{Scope, segment};
use crate::error::{RestError, Result};
use crate::http::{Answer, Call};

/// GET `…/topics`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let topics = described(&scope, None, wants_operations(&call)).await?;
    let data = topics.iter().filter(|topic| topic.error_code == 0).map(|found| topic(&scope, found)).collect();
    Answer::json(&scope.list("KafkaTopicList", "/topics", data))
}

/// GET `…/topics/{topic_name}`
pub async fn get(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    Answer::json(&topic(&scope, &find(&scope, call.parameter(1), wants_operations(&call)).await?))
}

/// The topic with its partitions, sorted.
///
/// # Errors
/// 40403 for one that is not there.
pub async fn find(scope: &Scope, name: &str, operations: bool) -> Result<metadata_response::Topic> {
    let found = described(scope, Some(name), operations).await?.into_iter().next();
    let found = found.ok_or_else(|| KafkaError::api(ErrorCode::UnknownTopicOrPartition, None))?;
    KafkaError::check(found.error_code, None)?;
    Ok(found)
}

async fn described(scope: &Scope, name: Option<&str>, operations: bool) -> Result<Vec<metadata_response::Topic>> {
    let wanted = |name: &str| metadata_request::Topic { name: Some(name.to_owned()), ..Default::default() };
    let request = MetadataRequest {
        topics: name.map(|name| vec![wanted(name)]),
        allow_auto_topic_creation: false,
        include_topic_authorized_operations: operations,
        ..MetadataRequest::default()
    };
    let mut topics = scope.cluster().send_any(&request).await?.topics;
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    for topic in &mut topics {
        topic.partitions.sort_by_key(|partition| partition.partition_index);
    }
    Ok(topics)
}

fn wants_operations(call: &Call) -> bool {
    ["include_authorized_operations", "includeAuthorizedOperations"].iter().any(|name| call.query.flag(name))
}

/// What a topic is made of.
#[derive(Deserialize)]
pub struct NewTopic {
    topic_name: Option<String>,
    partitions_count: Option<i32>,
    replication_factor: Option<i16>,
    #[serde(default)]
    replicas_assignments: Option<Vec<NewAssignment>>,
    #[serde(default)]
    configs: Option<Vec<NewConfig>>,
    #[serde(default)]
    validate_only: Option<bool>,
}

#[derive(Deserialize)]
struct NewAssignment {
    partition_id: i32,
    broker_ids: Vec<i32>,
}

#[derive(Deserialize)]
struct NewConfig {
    name: String,
    value: Option<String>,
}

/// POST `…/topics`
pub async fn create(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let wanted: NewTopic = call.json().await?;
    let validate_only = wanted.validate_only.unwrap_or(false);
    let request = creation(wanted)?;
    let name = request.name.clone();
    let made = scope.cluster().create_topic(request, validate_only).await?;
    let path = format!("/topics/{}", segment(&name));
    let value = match find(&scope, &name, false).await {
        Ok(found) if !validate_only => topic(&scope, &found),
        _ => written(&scope, &name, false, i32::from(made.replication_factor), made.num_partitions, Vec::new()),
    };
    let answer = Answer::with_status(if validate_only { 200 } else { 201 }, &value)?;
    Ok(if validate_only { answer } else { answer.with_location(&scope.url(&path)) })
}

fn creation(wanted: NewTopic) -> Result<create_topics_request::Topic> {
    let name = wanted.topic_name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| RestError::Validation("topic_name may not be empty".to_owned()))?;
    let assignments: Vec<_> = wanted
        .replicas_assignments
        .unwrap_or_default()
        .into_iter()
        .map(|one| create_topics_request::Assignment { partition_index: one.partition_id, broker_ids: one.broker_ids })
        .collect();
    let configs = wanted.configs.unwrap_or_default().into_iter();
    let assigned = !assignments.is_empty();
    if assigned && wanted.partitions_count.is_some() {
        let reason = "partitions_count and replicas_assignments exclude each other";
        return Err(RestError::Validation(reason.to_owned()));
    }
    let counted = |given, what: &str| match given {
        Some(_) if assigned => {
            Err(RestError::Validation(format!("{what} and replicas_assignments exclude each other")))
        }
        Some(count) => Ok(count),
        None => Ok(-1),
    };
    Ok(create_topics_request::Topic {
        name,
        num_partitions: wanted.partitions_count.unwrap_or(-1),
        replication_factor: counted(wanted.replication_factor, "replication_factor")?,
        assignments,
        configs: configs.map(|one| create_topics_request::Config { name: one.name, value: one.value }).collect(),
    })
}

#[derive(Deserialize)]
struct Growth {
    partitions_count: Option<i32>,
}

/// PATCH `…/topics/{topic_name}`
pub async fn grow(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let name = call.parameter(1).to_owned();
    let wanted: Growth = call.json().await?;
    let missing = || RestError::Validation("partitions_count may not be null".to_owned());
    let count = wanted.partitions_count.ok_or_else(missing)?;
    let growth = create_partitions_request::Topic { name: name.clone(), count, assignments: None };
    scope.cluster().create_partitions(vec![growth]).await?;
    scope.kafka.records.forget(&name);
    Answer::json(&topic(&scope, &find(&scope, &name, false).await?))
}

/// DELETE `…/topics/{topic_name}`
pub async fn delete(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let name = call.parameter(1).to_owned();
    scope.cluster().delete_topics(std::slice::from_ref(&name)).await?;
    scope.cluster().forget_topic(&name);
    scope.kafka.records.forget(&name);
    Ok(Answer::nothing())
}

fn topic(scope: &Scope, topic: &metadata_response::Topic) -> Value {
    let name = topic.name.as_deref().unwrap_or_default();
    let replication_factor = topic.partitions.first().map_or(0, |partition| partition.replica_nodes.len());
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    let operations = operation_names(topic.topic_authorized_operations);
    let replication_factor = i32::try_from(replication_factor).unwrap_or(i32::MAX);
    written(scope, name, topic.is_internal, replication_factor, partitions, operations)
}

fn written(
    scope: &Scope,
    name: &str,
    is_internal: bool,
    replication_factor: i32,
    partitions_count: i32,
    authorized_operations: Vec<&'static str>,
) -> Value {
    let path = format!("/topics/{}", segment(name));
    let members = json!({
        "topic_name": name,
        "is_internal": is_internal,
        "replication_factor": replication_factor,
        "partitions_count": partitions_count,
        "partitions": scope.related(&format!("{path}/partitions")),
        "configs": scope.related(&format!("{path}/configs")),
        "partition_reassignments": scope.related(&format!("{path}/partitions/-/reassignment")),
        "authorized_operations": authorized_operations,
    });
    scope.resource("KafkaTopic", &path, Some(&format!("/topic={name}")), members)
}
