//! `PRINT` over `/query` and `/query-stream`: lines of text as records come.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use milena_http::chunks;
use milena_sql::ast::{Print, Statement};

use super::query::UNREAD_BYTES_MAX;
use super::{DELIMITED, with_type};
use crate::error::{Failure, Result};
use crate::print::Printer;
use crate::session::Session;
use crate::state::Server;
use crate::statements::{parse, prepare};

/// Answers `sql` to `/query` if it is one `PRINT`; `None` for everything else.
///
/// # Errors
/// A topic that is not there.
pub async fn print(server: &Arc<Server>, sql: &str, session: &Session) -> Result<Option<Response<Body>>> {
    let Some(print) = only_print(server, sql, session).await? else { return Ok(None) };
    let printer = Printer::start(server, &print).await?;
    Ok(Some(printed(printer, "text/plain; charset=utf-8")))
}

/// As [`print()`] for `/query-stream`: records only, to clients that take lines.
///
/// # Errors
/// A topic that is not there.
pub async fn print_records(
    server: &Arc<Server>,
    sql: &str,
    session: &Session,
    media_type: &str,
) -> Result<Option<Response<Body>>> {
    let Some(print) = only_print(server, sql, session).await? else { return Ok(None) };
    if media_type != DELIMITED {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
        return Ok(Some(response));
    }
    let missing = |failure: Failure| match failure.code {
        Failure::BAD_REQUEST => Failure::new(Failure::BAD_STATEMENT, format!("Topic does not exist: {}", print.topic)),
        _ => failure,
    };
    let printer = Printer::start(server, &print).await.map_err(missing)?;
    Ok(Some(printed(printer.without_formats(), DELIMITED)))
}

/// The statement of a text that is one `PRINT`; `None` for everything else.
///
/// # Errors
/// A text that is no statement.
pub async fn only_print(server: &Arc<Server>, sql: &str, session: &Session) -> Result<Option<Print>> {
    // Queries shall not be read twice.
    if !sql.to_ascii_uppercase().contains("PRINT") {
        return Ok(None);
    }
    server.ready().await?;
    let parsed = parse(server, sql, session)?;
    let [parsed] = parsed.as_slice() else { return Ok(None) };
    match prepare(parsed, &server.catalog())? {
        Statement::Print(print) => Ok(Some(print)),
        _ => Ok(None),
    }
}

fn printed(printer: Printer, media_type: &'static str) -> Response<Body> {
    let (sender, body) = chunks(UNREAD_BYTES_MAX);
    tokio::spawn(printer.run(sender));
    with_type(body, media_type)
}
