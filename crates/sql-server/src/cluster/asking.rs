//! Statements whose answer is that of all servers: each tells what it alone knows, and the one that was asked puts it together.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::host_of;
use crate::queries::forwarding::INTERNAL;
use crate::session::Session;
use crate::state::Server;

/// Groups that are looked at for the other servers: each server is in all of them, unless a query fails there.
const GROUPS: usize = 8;

/// The groups whose members are the servers of the service.
pub fn groups(server: &Server) -> Vec<String> {
    let prefix = server.config.query_prefix();
    server.catalog().queries().take(GROUPS).map(|query| format!("{prefix}{}", query.id)).collect()
}

/// What the other servers answer to a statement, by `host:port`; `None` from those that do not answer in time. Nobody is
/// asked on behalf of another server.
pub async fn ask_others(server: &Arc<Server>, statement: &str, session: &Session) -> Vec<(String, Option<Value>)> {
    let Some(connected) = server.connected.borrow().clone() else { return Vec::new() };
    if session.is_internal {
        return Vec::new();
    }
    let request = json!({
        "ksql": statement,
        "streamsProperties": session.properties,
        "requestProperties": { INTERNAL: true },
    });
    let mut headers = HeaderMap::new();
    headers.extend(session.authorization.clone().map(|credentials| (header::AUTHORIZATION, credentials)));
    let patience = server.config.settings.integer("ksql.fetch.remote.hosts.max.timeout.seconds").unwrap_or(10);
    let patience = Duration::from_secs(u64::try_from(patience).unwrap_or_default());
    let mut asked = JoinSet::new();
    for url in server.peers.others(&connected.kafka.cluster, groups(server)).await {
        let (client, headers, body) = (server.peers.client(&url), headers.clone(), request.to_string());
        asked.spawn(async move {
            let sent = async { client.ok()?.send("POST", "/ksql", &headers, body.into()).await.ok() };
            let answered = tokio::time::timeout(patience, sent).await.ok().flatten();
            let entities = answered.filter(|(status, _)| *status == 200);
            let entities: Option<Value> = entities.and_then(|(_, body)| serde_json::from_slice(&body).ok());
            (host_of(&url).to_owned(), entities.and_then(|entities| entities.get(0).cloned()))
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by(|a, b| a.0.cmp(&b.0));
    answers
}
