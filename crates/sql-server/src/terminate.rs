//! `POST /ksql/terminate`: the end of a service. Its queries end, its own topics go, and with the command topic everything
//! that it knew.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_client::Cluster;
use regex::RegexSet;
use serde_json::{Map, Value, json};

use crate::command::Command;
use crate::command::metastore::CommandStatus;
use crate::command::record::{TERMINATE_CLUSTER, cluster_termination};
use crate::entities::entity;
use crate::error::{Failure, Result};
use crate::kafka::topics;
use crate::state::Server;

/// The member of the request with regular expressions of topics.
const TOPICS: &str = "deleteTopicList";

/// Ends the service on all its servers. Of the topics that queries have written those are deleted that the request names.
///
/// # Errors
/// A list that is none; what the cluster says.
pub async fn terminate(server: &Arc<Server>, request: &Map<String, Value>) -> Result<Value> {
    let patterns = patterns(request)?;
    let connected = server.ready().await?;
    let _turn = server.issuing.lock().await;
    let catalog = server.catalog();
    let written = catalog.queries().filter_map(|query| catalog.source(&query.sink)).map(|sink| sink.topic.clone());
    let doomed: Vec<String> = written.filter(|topic| patterns.is_match(topic)).collect();
    let groups: Vec<String> =
        catalog.queries().map(|query| format!("{}{}", server.config.query_prefix(), query.id)).collect();
    let id = cluster_termination();
    let command = Command::new(TERMINATE_CLUSTER, BTreeMap::new(), BTreeMap::new(), None);
    let offset = connected.log.append(&id, &command).await?;
    server.executed_before(offset + 1).await?;
    for topic in doomed {
        topics::delete(&connected.kafka.cluster, &topic).await?;
        delete_subjects(server, &topic).await;
    }
    delete_own(&connected.kafka.cluster, server, &groups).await?;
    connected.log.delete().await?;
    let status = server.metastore.status(&id.to_string()).unwrap_or_else(CommandStatus::queued);
    let members = json!({
        "commandId": id.to_string(),
        "commandStatus": status.json(),
        "commandSequenceNumber": offset,
    });
    Ok(entity("currentStatus", TERMINATE_CLUSTER, members))
}

fn patterns(request: &Map<String, Value>) -> Result<RegexSet> {
    let refused = |message: String| Failure::new(Failure::BAD_REQUEST, message);
    let named = match request.get(TOPICS) {
        None | Some(Value::Null) => return Ok(RegexSet::empty()),
        Some(Value::Array(named)) => named,
        Some(other) => return Err(refused(format!("{TOPICS} must be a list of texts: {other}"))),
    };
    let mut patterns = Vec::with_capacity(named.len());
    for pattern in named {
        let pattern = pattern.as_str().ok_or_else(|| refused(format!("{TOPICS} must be a list of texts")))?;
        patterns.push(format!("^(?:{pattern})$"));
    }
    RegexSet::new(patterns).map_err(|error| refused(format!("Invalid pattern: {error}")))
}

/// What queries had for themselves. They may still be ending: what they hold stays.
async fn delete_own(cluster: &Cluster, server: &Server, groups: &[String]) -> Result<()> {
    let prefix = server.config.query_prefix();
    for topic in cluster.list_topics().await?.into_iter().filter(|topic| topic.name.starts_with(&prefix)) {
        topics::delete(cluster, &topic.name).await?;
    }
    for group in groups {
        if let Err(error) = cluster.delete_group(group).await {
            tracing::debug!(group, "the group of a query stays: {error}");
        }
    }
    Ok(())
}

/// The subjects of a topic's schemas.
pub fn subjects_of(topic: &str) -> [String; 2] {
    ["key", "value"].map(|side| format!("{topic}-{side}"))
}

/// The schemas of a topic that is gone. A registry that refuses keeps them.
pub async fn delete_subjects(server: &Server, topic: &str) {
    let (registry, topic) = (server.registry.clone(), topic.to_owned());
    // The registry blocks; a task that fails has deleted nothing.
    let _ = tokio::task::spawn_blocking(move || {
        for subject in subjects_of(&topic) {
            match registry.latest(&subject) {
                Ok(Some(_)) => {
                    if let Err(error) = registry.delete(&subject) {
                        tracing::warn!(subject, "the schemas of a deleted topic stay: {error}");
                    }
                }
                _ => tracing::debug!(subject, "no schemas to delete"),
            }
        }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        let request = json!({ "deleteTopicList": ["FOO", "bar.*"] });
        let patterns = patterns(request.as_object().unwrap()).unwrap();
        assert!(patterns.is_match("FOO") && patterns.is_match("bar_1"));
        assert!(!patterns.is_match("FOO_1") && !patterns.is_match("a_bar"));
        for wrong in
            [json!({ "deleteTopicList": "a" }), json!({ "deleteTopicList": [1] }), json!({ "deleteTopicList": ["("] })]
        {
            assert_eq!(super::patterns(wrong.as_object().unwrap()).unwrap_err().code, 40000, "{wrong}");
        }
        assert!(super::patterns(&Map::new()).unwrap().is_empty());
    }
}
