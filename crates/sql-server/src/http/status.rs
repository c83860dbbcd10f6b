//! What became of commands: `/status`.

use milena_http::percent_decode;
use serde_json::{Map, Value, json};

use crate::error::{Failure, Result};
use crate::state::Server;

/// `GET /status`.
pub fn all(server: &Server) -> Value {
    let statuses: Map<String, Value> =
        server.metastore.statuses().into_iter().map(|(id, status)| (id, status.json()["status"].clone())).collect();
    json!({ "commandStatuses": statuses })
}

/// `GET /status/{type}/{entity}/{action}`.
///
/// # Errors
/// A command that was never issued.
pub fn one(server: &Server, id: &str) -> Result<Value> {
    let id = percent_decode(id).unwrap_or_else(|| id.to_owned());
    let with_ticks = || {
        let mut parts = id.splitn(3, '/');
        Some(format!("{}/`{}`/{}", parts.next()?, parts.next()?, parts.next()?))
    };
    let found = server.metastore.status(&id).or_else(|| server.metastore.status(&with_ticks()?));
    found.map(|status| status.json()).ok_or_else(|| Failure::new(Failure::NOT_FOUND, "Command not found"))
}
