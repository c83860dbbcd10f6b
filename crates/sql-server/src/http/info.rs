//! What the server is and how it is: `/info`, `/healthcheck`, metadata of the cluster.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use super::json as answer;
use crate::config::overrides::Override;
use crate::error::{Failure, Result};
use crate::session::{check_allowed, unrecognized};
use crate::state::Server;

/// The version that clients are told: that of the API, which they compare with their own.
const API_VERSION: &str = "8.1.0";

/// `GET /`.
pub fn redirect() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/info"));
    response
}

fn cluster_id(server: &Server) -> Option<String> {
    server.connected.borrow().as_ref().and_then(|connected| connected.kafka.cluster.cluster_id())
}

fn is_caught_up(server: &Server) -> bool {
    server.metastore.progress().borrow().caught_up
}

/// `GET /info`.
pub fn info(server: &Server) -> Value {
    let status = if is_caught_up(server) { "RUNNING" } else { "STARTING" };
    json!({ "KsqlServerInfo": {
        "version": API_VERSION,
        "kafkaClusterId": cluster_id(server),
        "ksqlServiceId": server.config.service_id,
        "serverStatus": status,
    } })
}

/// `GET /healthcheck`: 503 until the server is ready; what is missing after that stands in the body alone.
pub async fn health(server: &Arc<Server>) -> Result<Response<Body>> {
    let connected = server.connected.borrow().clone();
    let kafka = match connected {
        Some(connected) => connected.kafka.cluster.list_topics().await.is_ok(),
        None => false,
    };
    let metastore = is_caught_up(server);
    let commands = metastore && server.undamaged().is_ok();
    let is_healthy = kafka && commands;
    let body = json!({
        "isHealthy": is_healthy,
        "details": {
            "metastore": { "isHealthy": metastore },
            "kafka": { "isHealthy": kafka },
            "commandRunner": { "isHealthy": commands },
        },
        "serverState": if metastore { "READY" } else { "INITIALIZING" },
    });
    let mut response = answer(&body);
    if !metastore {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

/// `GET /chc/live` and `/chc/ready`.
pub async fn live(server: &Arc<Server>, ready: bool) -> Result<Response<Body>> {
    if ready {
        server.ready().await?;
    }
    Ok(answer(&json!({})))
}

/// `GET /clustermetadata`.
pub fn cluster_metadata(server: &Server) -> Value {
    json!({ "kafkaClusterId": cluster_id(server), "ksqlServiceId": server.config.service_id })
}

/// `GET /v1/metadata`.
pub fn metadata(server: &Server) -> Value {
    json!({ "version": API_VERSION, "clusterId": metadata_id(server) })
}

/// `GET /v1/metadata/id`.
pub fn metadata_id(server: &Server) -> Value {
    let clusters = json!({ "kafka-cluster": cluster_id(server), "ksql-cluster": server.config.service_id });
    json!({ "id": "", "scope": { "path": [], "clusters": clusters } })
}

/// `GET /is_valid_property/{property}`.
///
/// # Errors
/// A property that sessions may not set.
pub fn is_valid_property(server: &Server, property: &str) -> Result<()> {
    Override::find(property).ok_or_else(|| Failure::request(unrecognized(property)))?;
    check_allowed([property].into_iter(), &server.config.denied_overrides).map_err(Failure::request)
}
