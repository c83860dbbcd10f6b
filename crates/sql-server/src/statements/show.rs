//! `SHOW ...`: what there is.

use std::collections::BTreeMap;

use milena_client::Cluster;
use milena_sql::ast::{Show, SourceKind};
use serde_json::{Map, Value, json};

use super::{Call, connectors, describe, properties};
use crate::cluster::asking::ask_others;
use crate::entities::source::{listed, listed_push_query, listed_query, of_kind};
use crate::entities::{entity, functions, merged, schema};
use crate::error::Result;
use crate::session::Session;

/// The answer.
pub async fn show(call: &Call<'_>, what: Show, session: &Session) -> Result<Value> {
    let answer = |kind: &str, members: Value| Ok(entity(kind, call.text, members));
    let sources = |kind| of_kind(&call.catalog, kind).into_iter().map(listed).collect::<Vec<_>>();
    match what {
        Show::Streams { extended: false } => answer("streams", json!({ "streams": sources(SourceKind::Stream) })),
        Show::Tables { extended: false } => answer("tables", json!({ "tables": sources(SourceKind::Table) })),
        Show::Streams { extended: true } => describe::sources(call, SourceKind::Stream, true).await,
        Show::Tables { extended: true } => describe::sources(call, SourceKind::Table, true).await,
        Show::Topics { all, extended } => topics(call, all, extended).await,
        Show::Queries { extended: false } => {
            let states = &call.server.query_states;
            let mut queries: Vec<_> =
                call.catalog.queries().map(|query| listed_query(query, &call.catalog, states)).collect();
            queries.extend(call.server.push_queries.listed().iter().map(listed_push_query));
            for (_, answer) in ask_others(call.server, call.text, &call.session).await {
                merged::add_queries(&mut queries, answer.as_ref());
            }
            answer("queries", json!({ "queries": queries }))
        }
        Show::Queries { extended: true } => describe::queries(call).await,
        Show::Properties => answer("properties", properties::shown(call, session)),
        Show::Functions => answer("function_names", json!({ "functions": functions::listed() })),
        Show::Types => {
            let types: Map<String, Value> =
                call.catalog.custom_types().map(|(name, of)| (name.to_string(), schema::of_type(of))).collect();
            answer("type_list", json!({ "types": types }))
        }
        Show::Variables => {
            let by_name: BTreeMap<_, _> =
                session.variables.iter().map(|(name, value)| (name.to_lowercase(), (name, value))).collect();
            let variables: Vec<_> =
                by_name.values().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            answer("variables", json!({ "variables": variables }))
        }
        Show::Connectors(direction) => connectors::list(call, direction).await,
        Show::ConnectorPlugins => connectors::plugins(call).await,
    }
}

async fn topics(call: &Call<'_>, all: bool, extended: bool) -> Result<Value> {
    let cluster = call.server.cluster().await?;
    let mut names: Vec<String> = cluster.list_topics().await?.into_iter().map(|topic| topic.name).collect();
    names.retain(|name| all || !call.server.config.hidden_topics.is_match(name));
    let consumers = if extended { consumers(&cluster).await? } else { BTreeMap::new() };
    let described = cluster.describe_topics(&names, i32::MAX).await?;
    let topics: Vec<Value> = described
        .into_iter()
        .map(|topic| {
            let replicas: Vec<usize> = topic.partitions.iter().map(|partition| partition.replicas.len()).collect();
            let mut entry = json!({ "name": topic.name, "replicaInfo": replicas });
            if extended {
                let (members, groups) = consumers.get(&topic.name).copied().unwrap_or_default();
                entry["consumerCount"] = members.into();
                entry["consumerGroupCount"] = groups.into();
            }
            entry
        })
        .collect();
    let kind = if extended { "kafka_topics_extended" } else { "kafka_topics" };
    Ok(entity(kind, call.text, json!({ "topics": topics })))
}

/// Partitions that members of groups read and groups that read, by topic.
async fn consumers(cluster: &Cluster) -> Result<BTreeMap<String, (usize, usize)>> {
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for group in cluster.list_groups(&[], &[]).await? {
        // One that has ended since then, or of another kind, reads nothing.
        let Ok(described) = cluster.describe_group(&group.group_id).await else { continue };
        let mut seen: Vec<&str> = Vec::new();
        for tp in described.members.iter().flat_map(|member| &member.assignment) {
            let count = counts.entry(tp.topic.clone()).or_default();
            count.0 += 1;
            if !seen.contains(&tp.topic.as_str()) {
                count.1 += 1;
                seen.push(&tp.topic);
            }
        }
    }
    Ok(counts)
}
