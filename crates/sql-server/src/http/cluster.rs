//! What servers of a service tell each other, and what one of them knows of all: `/heartbeat`, `/lag`, `/clusterStatus`.
//!
//! Answers are there with `ksql.heartbeat.enable` only.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::cluster::heartbeats::{are_enabled, silence_max, store_of};
use crate::error::{Failure, Result};
use crate::state::Server;

fn enabled(server: &Server) -> Result<()> {
    match are_enabled(server) {
        true => Ok(()),
        false => Err(Failure::new(Failure::NOT_FOUND, "ksql.heartbeat.enable is not set to true")),
    }
}

/// `host:port` of a member of a request.
fn host_of(request: &Map<String, Value>, member: &str) -> Result<String> {
    let host = request.get(member).unwrap_or(&Value::Null);
    match (host["host"].as_str(), host["port"].as_u64()) {
        (Some(host), Some(port)) => Ok(format!("{host}:{port}")),
        _ => Err(Failure::new(Failure::BAD_REQUEST, format!("{member} needs host and port"))),
    }
}

/// `POST /heartbeat`.
///
/// # Errors
/// Heartbeats are off; a request that names nobody.
pub fn heartbeat(server: &Server, request: &Map<String, Value>) -> Result<Value> {
    enabled(server)?;
    server.neighbours.heard(&host_of(request, "hostInfo")?);
    Ok(json!({ "isOk": true }))
}

/// `POST /lag`.
///
/// # Errors
/// As [`heartbeat`].
pub fn lag(server: &Server, request: &Map<String, Value>) -> Result<Value> {
    enabled(server)?;
    let lags = request.get("hostStoreLags").cloned().unwrap_or(Value::Null);
    server.neighbours.set_lags(&host_of(request, "ksqlHost")?, lags);
    Ok(json!({ "isOk": true }))
}

/// `GET /clusterStatus`.
///
/// # Errors
/// Heartbeats are off.
pub async fn status(server: &Arc<Server>) -> Result<Value> {
    enabled(server)?;
    let mut shares = shares(server).await;
    let mut hosts = Map::new();
    for (host, status) in server.neighbours.statuses(server.peers.own_host(), silence_max(server)) {
        let share = shares.remove(&host).unwrap_or_else(|| json!({}));
        let entry = json!({
            "hostAlive": status.is_alive,
            "lastStatusUpdateMs": status.heard_ms,
            "activeStandbyPerQuery": share,
            "hostStoreLags": status.lags,
        });
        hosts.insert(host, entry);
    }
    Ok(json!({ "clusterStatus": hosts }))
}

/// Which partitions of which query each server works on, by `host:port`.
async fn shares(server: &Arc<Server>) -> Map<String, Value> {
    let mut shares = Map::new();
    let Some(connected) = server.connected.borrow().clone() else { return shares };
    let catalog = server.catalog();
    for query in catalog.queries() {
        let group = format!("{}{}", server.config.query_prefix(), query.id);
        let changelogs = server.tables.changelogs();
        let mut stores: Vec<&str> =
            changelogs.iter().filter(|(id, ..)| *id == query.id).map(|(_, topic, _)| store_of(topic, &group)).collect();
        stores.dedup();
        for member in server.peers.members(&connected.kafka.cluster, &group).await {
            if member.assignment.is_empty() {
                continue;
            }
            let partitions: Vec<Value> =
                member.assignment.iter().map(|tp| json!({ "topic": tp.topic, "partition": tp.partition })).collect();
            let share = json!({
                "activeStores": stores, "activePartitions": partitions, "standByStores": [], "standByPartitions": [],
            });
            let of_host = shares.entry(member.host()).or_insert_with(|| json!({}));
            of_host[&query.id] = share;
        }
    }
    shares
}
