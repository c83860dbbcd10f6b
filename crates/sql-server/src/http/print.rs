//! `PRINT` over `/query`: lines of text as records come.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use milena_http::chunks;
use milena_sql::ast::Statement;

use super::query::UNREAD_BYTES_MAX;
use super::with_type;
use crate::error::Result;
use crate::print::Printer;
use crate::session::Session;
use crate::state::Server;
use crate::statements::{parse, prepare};

/// Answers `sql` if it is one `PRINT`; `None` for everything else.
///
/// # Errors
/// A topic that is not there.
pub async fn print(server: &Arc<Server>, sql: &str, session: &Session) -> Result<Option<Response<Body>>> {
    // Queries shall not be read twice.
    if !sql.to_ascii_uppercase().contains("PRINT") {
        return Ok(None);
    }
    server.ready().await?;
    let parsed = parse(server, sql, session)?;
    let [parsed] = parsed.as_slice() else { return Ok(None) };
    let Statement::Print(print) = prepare(parsed, &server.catalog())? else { return Ok(None) };
    let printer = Printer::start(server, &print).await.map_err(|failure| failure.of(&parsed.text))?;
    let (sender, body) = chunks(UNREAD_BYTES_MAX);
    tokio::spawn(printer.run(sender));
    Ok(Some(with_type(body, "text/plain; charset=utf-8")))
}
