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

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// `ASSERT [NOT EXISTS] TOPIC`.
pub async fn topic(call: &Call<'_>, wanted: &AssertTopic) -> Result<Value> {
    let cluster = call.server.cluster().await?;
    let deadline = deadline(call, wanted.timeout, "ksql.assert.topic.default.timeout.ms");
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
    let shape = topics::shape(cluster, &wanted.topic).await;
    let shape = shape.map_err(|error| not_so(format!("Cannot check topic existence: {error}")))?;
    match (shape, wanted.exists) {
        (None, true) => Err(not_so(format!("Topic {} does not exist", wanted.topic))),
        (Some(_), false) => Err(not_so(format!("Topic {} exists", wanted.topic))),
        (None, false) => Ok(()),
        (Some(shape), true) => look_at_shape(shape, wanted),
    }
}

fn look_at_shape(shape: TopicShape, wanted: &AssertTopic) -> Result<()> {
    let mut wrong = Vec::new();
    for (name, expected) in &wanted.properties {
        let found = match name.to_lowercase().as_str() {
            "partitions" => shape.partitions,
            "replicas" => i32::from(shape.replicas),
            _ => {
                wrong.push(format!("Cannot assert unknown topic property: {name}"));
                continue;
            }
        };
        if *expected != Literal::Integer(found) {
            let (topic, config) = (&wanted.topic, name.to_lowercase());
            let expected = plain(expected);
            wrong.push(format!(
                "Mismatched configuration for topic {topic}: For config {config}, expected {expected} got {found}"
            ));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(not_so(wrong.join("\n"))) }
}

/// `ASSERT [NOT EXISTS] SCHEMA`.
pub async fn schema(call: &Call<'_>, wanted: &AssertSchema) -> Result<Value> {
    let deadline = deadline(call, wanted.timeout, "ksql.assert.schema.default.timeout.ms");
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
        (Some(subject), Some(id)) => registry.is_version(subject, id),
        (None, None) => Ok(true),
    });
    let found = looking.await.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))?;
    let found = found.map_err(|error| not_so(format!("Cannot check schema existence: {error}")))?;
    let subject = wanted.subject.as_ref().map(|subject| format!(" subject name {subject}")).unwrap_or_default();
    let id = wanted.id.map(|id| format!(" id {id}")).unwrap_or_default();
    match (found, wanted.exists) {
        (false, true) => Err(not_so(format!("Schema with{subject}{id} does not exist"))),
        (true, false) => Err(not_so(format!("Schema with{subject}{id} exists"))),
        _ => Ok(()),
    }
}

fn not_so(message: String) -> Failure {
    Failure::new(Failure::ASSERTION, message)
}

/// A value as it is, without quotes.
fn plain(literal: &Literal) -> String {
    match literal {
        Literal::String(text) => text.to_string(),
        other => other.to_string(),
    }
}

fn deadline(call: &Call<'_>, timeout: Option<milena_sql::ast::Duration>, default: &str) -> Instant {
    let timeout = timeout.and_then(|timeout| timeout.milliseconds());
    let timeout = timeout.or_else(|| call.server.config.settings.integer(default)).unwrap_or(1000);
    Instant::now() + Duration::from_millis(u64::try_from(timeout).unwrap_or_default())
}

/// Whether it is not as wanted and there is time to look again; pauses then.
async fn is_repeated(looked: &Result<()>, deadline: Instant) -> bool {
    let again = looked.as_ref().is_err_and(|failure| failure.code == Failure::ASSERTION) && Instant::now() < deadline;
    if again {
        tokio::time::sleep(PAUSE).await;
    }
    again
}
