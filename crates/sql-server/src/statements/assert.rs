//! `ASSERT TOPIC` and `ASSERT SCHEMA`: wait until something is there, or is not.

use std::time::Duration;

use milena_client::Cluster;
use milena_sql::ast::{AssertSchema, AssertTopic, Literal};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Call;
use crate::entities::entity;
use crate::error::{Failure, Result};
use crate::kafka::topics::{self, TopicShape};

/// How long is waited where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// `ASSERT [NOT EXISTS] TOPIC`.
pub async fn topic(call: &Call<'_>, wanted: &AssertTopic) -> Result<Value> {
    let cluster = call.server.cluster().await?;
    let deadline = deadline(wanted.timeout);
    loop {
        let looked = look_at_topic(&cluster, wanted).await;
        if !is_repeated(&looked, deadline).await {
            looked?;
            let members = json!({ "topicName": wanted.topic, "exists": wanted.exists });
            return Ok(entity("assert_topic", call.text, members));
        }
    }
}

async fn look_at_topic(cluster: &Cluster, wanted: &AssertTopic) -> Result<()> {
    let shape = topics::shape(cluster, &wanted.topic).await?;
    match (shape, wanted.exists) {
        (None, true) => Err(not_so(format!("Topic {} does not exist.", wanted.topic))),
        (Some(_), false) => Err(not_so(format!("Topic {} exists.", wanted.topic))),
        (None, false) => Ok(()),
        (Some(shape), true) => look_at_shape(shape, wanted),
    }
}

fn look_at_shape(shape: TopicShape, wanted: &AssertTopic) -> Result<()> {
    let found = [("PARTITIONS", i64::from(shape.partitions)), ("REPLICAS", i64::from(shape.replicas))];
    let mut differing = Vec::new();
    for (name, found) in found {
        let Some(expected) = wanted.properties.get(name).and_then(number) else { continue };
        if expected != found {
            let name = name.to_lowercase();
            differing.push(format!(
                "Mismatched configuration for topic {}: For config {name}, expected {expected} got {found}",
                wanted.topic
            ));
        }
    }
    if differing.is_empty() { Ok(()) } else { Err(not_so(differing.join("\n"))) }
}

/// `ASSERT [NOT EXISTS] SCHEMA`.
pub async fn schema(call: &Call<'_>, wanted: &AssertSchema) -> Result<Value> {
    let deadline = deadline(wanted.timeout);
    loop {
        let looked = look_at_schema(call, wanted).await;
        if !is_repeated(&looked, deadline).await {
            looked?;
            let members = json!({ "subject": wanted.subject, "id": wanted.id, "exists": wanted.exists });
            return Ok(entity("assert_schema", call.text, members));
        }
    }
}

async fn look_at_schema(call: &Call<'_>, wanted: &AssertSchema) -> Result<()> {
    let (registry, subject, id) = (call.server.registry.clone(), wanted.subject.clone(), wanted.id);
    // The registry blocks.
    let looking = tokio::task::spawn_blocking(move || match (&subject, id) {
        (Some(subject), None) => registry.latest(subject).map(|found| found.is_some()),
        (None, Some(id)) => registry.by_id(id).map(|found| found.is_some()),
        (Some(subject), Some(id)) => registry.latest(subject).map(|found| found.is_some_and(|found| found.id == id)),
        (None, None) => Ok(true),
    });
    let found = looking.await.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))?;
    let found = found.map_err(|error| Failure::new(Failure::NO_REGISTRY, error.0))?;
    let subject = wanted.subject.as_ref().map(|subject| format!(" subject name {subject}"));
    let id = wanted.id.map(|id| format!(" id {id}"));
    let what = [subject, id].into_iter().flatten().collect::<Vec<_>>().join(" and");
    match (found, wanted.exists) {
        (false, true) => Err(not_so(format!("Schema with{what} does not exist."))),
        (true, false) => Err(not_so(format!("Schema with{what} exists."))),
        _ => Ok(()),
    }
}

fn not_so(message: String) -> Failure {
    Failure::new(Failure::ASSERTION, message)
}

fn number(literal: &Literal) -> Option<i64> {
    match literal {
        Literal::Integer(number) => Some(i64::from(*number)),
        Literal::Bigint(number) => Some(*number),
        Literal::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn deadline(timeout: Option<milena_sql::ast::Duration>) -> Instant {
    let timeout = timeout.and_then(|timeout| timeout.milliseconds()).and_then(|ms| u64::try_from(ms).ok());
    Instant::now() + timeout.map_or(TIMEOUT, Duration::from_millis)
}

/// Whether it is not as wanted and there is time to look again; pauses then.
async fn is_repeated(looked: &Result<()>, deadline: Instant) -> bool {
    let again = looked.as_ref().is_err_and(|failure| failure.code == Failure::ASSERTION) && Instant::now() < deadline;
    if again {
        tokio::time::sleep(PAUSE).await;
    }
    again
}
