//! `POST /ksql`: statements, and an answer to each.

use std::sync::Arc;

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::{session_with, text_of};
use crate::error::{Failure, Result};
use crate::state::Server;
use crate::statements;

/// Executes the statements of a request.
///
/// # Errors
/// The first statement that fails; a command before it that is not executed in time.
pub async fn execute(server: &Arc<Server>, request: &Map<String, Value>, headers: &HeaderMap) -> Result<Vec<Value>> {
    let sql = text_of(request, &["ksql"])?;
    let mut session = session_with(server, request, headers)?;
    await_command(server, request).await?;
    statements::execute(server, sql, &mut session).await
}

/// Waits until the command that a request names was executed here, whichever server it was issued to.
///
/// # Errors
/// A command that is not executed in time.
pub(super) async fn await_command(server: &Server, request: &Map<String, Value>) -> Result<()> {
    let Some(after) = request.get("commandSequenceNumber").filter(|number| !number.is_null()) else { return Ok(()) };
    let number =
        after.as_i64().ok_or_else(|| Failure::new(Failure::BAD_REQUEST, "commandSequenceNumber must be a number"))?;
    server.executed_before(number.saturating_add(1)).await
}
