//! `POST /ksql`: statements, and an answer to each.

use std::sync::Arc;

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{session_with, text_of};
use crate::error::{Failure, Result};
use crate::state::Server;
use crate::statements;

/// Executes the statements of a request.
///
/// # Errors
/// The first statement that fails; a command before it that is not executed in time.
pub async fn execute(server: &Arc<Server>, request: &Map<String, Value>, headers: &HeaderMap) -> Result<Vec<Value>> {
    let sql = if request.get("ksql").is_none_or(Value::is_null) { "" } else { text_of(request, &["ksql"])? };
    // Clients know a property that nobody knows as a failure of the statements.
    let blamed = |failure: Failure| match failure.code {
        Failure::SERVER => Failure { statement: Some(sql.to_owned()), ..failure },
        _ => failure,
    };
    let mut session = session_with(server, request, headers, Failure::SERVER).map_err(blamed)?;
    await_command(server, request).await?;
    let mut answers = statements::execute(server, sql, &mut session).await?;
    if let Some(damage) = server.metastore.progress().borrow().damage {
        for answer in &mut answers {
            if let Some(warnings) = answer["warnings"].as_array_mut() {
                warnings.push(json!({ "message": damage.words() }));
            }
        }
    }
    Ok(answers)
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
