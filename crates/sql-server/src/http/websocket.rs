//! `GET /ws/query`: the rows of a query as messages of a WebSocket, for consoles in browsers.
//!
//! ```text
//!   ?request={"ksql": ..., "streamsProperties": ...}  ──►  [columns]  {"row": ...} ...  {"error": ...}  close
//! ```
//!
//! Every message is a JSON text; the last one has the reason of the close, also where nothing went wrong. `PRINT` sends a
//! text for each record. Connections are accepted whatever the request says; what is wrong with it is the reason
//! of the close: 1003 for a query that means nothing, 1011 when the server fails.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use milena_http::Query;
use serde_json::{Map, Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::print::only_print;
use super::query::start;
use super::session_with;
use super::statement::await_command;
use crate::entities::schema;
use crate::error::{Failure, Result};
use crate::print::Printer;
use crate::queries::rows::ResultRow;
use crate::queries::transient::{Event, Transient};
use crate::state::Server;
use crate::statements::parse;

/// Bytes of the reason of a close, as the protocol allows.
const REASON_MAX: usize = 123;
/// Clients have nothing to send but their close.
const INCOMING_MAX: usize = 64 << 10;
/// What a client is told when everything was sent.
const DONE: &str = "done";

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers the handshake, and the query after it.
///
/// # Errors
/// A request that wants no WebSocket.
pub fn query(server: &Arc<Server>, mut head: Parts) -> Result<Response<Body>> {
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| wants_websocket(&head.headers));
    let accepted = key.and_then(|key| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok());
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let (Some(accepted), Some(upgrade)) = (accepted, upgrade) else {
        return Err(Failure::new(Failure::BAD_REQUEST, "/ws/query is for WebSockets"));
    };
    let server = server.clone();
    tokio::spawn(async move {
        let upgraded = match upgrade.await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => return tracing::debug!(%error, "a WebSocket has not come about"),
        };
        let limits = WebSocketConfig::default().max_message_size(Some(INCOMING_MAX)).max_frame_size(Some(INCOMING_MAX));
        let mut socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, Some(limits)).await;
        if let Err(error) = converse(&server, &head, &mut socket).await {
            tracing::debug!(%error, "a WebSocket has ended");
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accepted);
    Ok(response)
}

fn wants_websocket(headers: &HeaderMap) -> bool {
    let says = |name, word: &str| {
        let values = headers.get_all(name).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
        let mut words = values.flat_map(|value| value.split(','));
        words.any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    says(header::UPGRADE, "websocket")
        && says(header::CONNECTION, "upgrade")
        && says(header::SEC_WEBSOCKET_VERSION, "13")
}

async fn converse(server: &Arc<Server>, head: &Parts, socket: &mut Socket) -> Result<(), Error> {
    match started(server, head).await {
        Ok(Started::Query(query)) => send_rows(query, socket).await,
        Ok(Started::Print(printer)) => send_lines(*printer, socket).await,
        Err(failure) => {
            let code = if failure.status() < 500 { CloseCode::Unsupported } else { CloseCode::Error };
            close(socket, code, &failure.message).await
        }
    }
}

/// What a request has started.
enum Started {
    Query(Transient),
    Print(Box<Printer>),
}

async fn started(server: &Arc<Server>, head: &Parts) -> Result<Started> {
    let unreadable = |failure: Failure| Failure { message: format!("Error parsing request: {failure}"), ..failure };
    let request = request(head.uri.query().unwrap_or_default())?;
    let mut session = session_with(server, &request, &head.headers, Failure::BAD_REQUEST).map_err(unreadable)?;
    let sql = request.get("ksql").or_else(|| request.get("sql")).and_then(Value::as_str).unwrap_or_default();
    if sql.is_empty() {
        return Err(unreadable(Failure::request("\"ksql\" field of \"request\" must be populated")));
    }
    await_command(server, &request).await?;
    if let Err(failure) = parse(server, sql, &session) {
        return Err(Failure { message: format!("Error parsing query: {failure}"), ..failure });
    }
    if let Some(print) = only_print(server, sql, &session).await? {
        let missing = |failure: Failure| match failure.code {
            Failure::BAD_REQUEST => Failure::request(format!(
                "Topic does not exist, or KSQL does not have permission to list the topic: {}",
                print.topic
            )),
            _ => failure,
        };
        let printer = Printer::start(server, &print).await.map_err(missing)?;
        return Ok(Started::Print(Box::new(printer.without_formats())));
    }
    let wrong = |_: &str| Failure::request("Unexpected statement type");
    start(server, sql, &mut session, wrong).await.map(Started::Query)
}

/// The request in the query string.
fn request(query: &str) -> Result<Map<String, Value>> {
    let missing = || Failure::request("Error parsing request: missing request parameter");
    let query = Query::parse(query);
    let text = query.get("request").ok_or_else(missing)?;
    serde_json::from_str(text).map_err(|error| Failure::request(format!("Error parsing request: {error}")))
}

async fn send_rows(mut query: Transient, socket: &mut Socket) -> Result<(), Error> {
    socket.send(text(&schema::columns(&query.schema))).await?;
    loop {
        let event = tokio::select! {
            event = query.events.recv() => event,
            // Pings are answered there.
            heard = socket.next() => match heard {
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(heard) => {
                    heard?;
                    continue;
                }
            },
        };
        match event {
            Some(Event::Rows(rows)) => {
                for row in &rows {
                    socket.feed(Message::text(row_text(row, &query))).await?;
                }
                socket.flush().await?;
            }
            Some(Event::End(_)) => return close(socket, CloseCode::Normal, DONE).await,
            Some(Event::Failed(failure)) => return close(socket, CloseCode::Error, &failure.message).await,
            None => return close(socket, CloseCode::Error, "The query has ended unexpectedly.").await,
        }
    }
}

/// The records of a topic, each a text.
async fn send_lines(mut printer: Printer, socket: &mut Socket) -> Result<(), Error> {
    while !printer.is_done() {
        let news = tokio::select! {
            news = printer.news() => news,
            heard = socket.next() => match heard {
                Some(Ok(Message::Close(_))) | None => return Ok(()),
                Some(heard) => {
                    heard?;
                    continue;
                }
            },
        };
        let polled = match news {
            Ok(()) => printer.poll(Duration::ZERO).await,
            Err(failure) => Err(failure),
        };
        let printed = match polled {
            Ok(records) => printer.print(records).await,
            Err(failure) => Err(failure),
        };
        let lines;
        (printer, lines) = match printed {
            Ok(printed) => printed,
            Err(failure) => return close(socket, CloseCode::Error, &failure.message).await,
        };
        for line in lines.lines() {
            socket.feed(text(&line.into())).await?;
        }
        socket.flush().await?;
    }
    close(socket, CloseCode::Normal, DONE).await
}

fn text(message: &Value) -> Message {
    Message::text(message.to_string())
}

fn row_text(row: &ResultRow, query: &Transient) -> String {
    let tombstone = if row.tombstone { ",\"tombstone\":true" } else { "" };
    format!("{{\"row\":{{\"columns\":{}{tombstone}}}}}", row.json(&query.schema))
}

/// Says that this is the end and why, as a message too, and waits for the client to say so.
async fn close(socket: &mut Socket, code: CloseCode, reason: &str) -> Result<(), Error> {
    socket.send(text(&json!({ "error": reason }))).await?;
    let frame = CloseFrame { code, reason: shortened(reason).into() };
    socket.close(Some(frame)).await?;
    while let Some(heard) = socket.next().await {
        heard?;
    }
    Ok(())
}

/// As much of a reason as fits.
fn shortened(reason: &str) -> String {
    const MORE: &str = "...";
    if reason.len() <= REASON_MAX {
        return reason.to_owned();
    }
    let mut end = REASON_MAX - MORE.len();
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MORE}", &reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_fit_into_a_frame() {
        assert_eq!(shortened("short"), "short");
        let long = "ä".repeat(100);
        assert_eq!(shortened(&long).len(), 123);
    }

    #[test]
    fn the_request_is_json_in_the_query_string() {
        let asked = request("access_token=x&request=%7B%22ksql%22%3A%22SELECT+1%3B%22%7D").unwrap();
        assert_eq!(asked["ksql"], "SELECT 1;");
        assert_eq!(request("request=%7B").unwrap_err().code, 40000);
        assert_eq!(request("").unwrap_err().code, 40000);
    }

    #[test]
    fn other_requests_are_no_websockets() {
        let mut headers = HeaderMap::new();
        headers.insert(header::UPGRADE, HeaderValue::from_static("WebSocket"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(!wants_websocket(&headers));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        assert!(wants_websocket(&headers));
    }
}
