//! `POST /query`, and `/query-stream` for clients that ask for its form: a JSON array with one element a line.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use milena_http::{ChunkSender, chunks};
use milena_sql::ast::Statement;
use milena_sql::catalog::schema::Column;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc::error::TryRecvError;

use super::protobuf::Messages;
use super::statement::await_command;
use super::{JSON, KSQL_JSON, PROTOBUF, session_with, text_of, wanted, with_type};
use crate::cluster::remote_rows::{self, ROWS};
use crate::error::{Failure, Result};
use crate::queries::pull;
use crate::queries::rows::ResultRow;
use crate::queries::transient::{self, Environment, Event, Transient};
use crate::session::Session;
use crate::state::Server;
use crate::statements::{parse, prepare};

/// Bytes that a client has not taken.
pub(super) const UNREAD_BYTES_MAX: usize = 256 << 10;
/// Rows are sent together up to this size.
pub(super) const CHUNK_BYTES: usize = 16 << 10;

/// What statements that are no queries hear, in the words that clients know.
const UNSUPPORTED: &str =
    "Statement type `io.confluent.ksql.parser.KsqlParser$PreparedStatement' not supported for this resource";

/// What pull queries hear where they are not answered.
const PULL_DISABLED: &str = "Pull queries are disabled. See https://cnfl.io/queries for more info.\nAdd EMIT CHANGES if you \
                             intended to issue a push query.\nPlease set ksql.pull.queries.enable=true to enable this \
                             feature.\n";

/// `POST /query`.
///
/// # Errors
/// A request without exactly one query, a query that means nothing.
pub async fn query(server: &Arc<Server>, request: &Map<String, Value>, headers: &HeaderMap) -> Result<Response<Body>> {
    // Clients know a property that nobody knows as a failure of this endpoint.
    let mut session = session_with(server, request, headers, Failure::SERVER)?;
    let sql = text_of(request, &["ksql", "sql"])?;
    await_command(server, request).await?;
    if let Some(printing) = super::print::print(server, sql, &session).await? {
        return Ok(printing);
    }
    let wrong = |_: &str| Failure::request(UNSUPPORTED);
    let query = start(server, sql, &mut session, wrong).await?;
    let (sender, body) = chunks(UNREAD_BYTES_MAX);
    let media_type = wanted(headers, &[KSQL_JSON, JSON, PROTOBUF, ROWS]);
    if media_type == ROWS {
        let covered = query.covered.clone().unwrap_or_default();
        tokio::spawn(remote_rows::send(query, covered, sender));
    } else {
        send_elements(query, sender, media_type)?;
    }
    Ok(with_type(body, media_type))
}

/// Writes a query's result as a JSON array.
///
/// # Errors
/// Columns that Protobuf messages cannot have, if those are wanted.
pub(super) fn send_elements(query: Transient, client: ChunkSender, media_type: &str) -> Result<()> {
    match (media_type, query.is_table) {
        (PROTOBUF, _) => {
            let messages = Messages::new(&query.schema)?;
            tokio::spawn(send(query, client, messages))
        }
        (_, true) => tokio::spawn(send(query, client, TableElements)),
        (_, false) => tokio::spawn(send(query, client, Elements)),
    };
    Ok(())
}

/// Starts the only query of a text; `other_statement` are words about statements that are none.
///
/// # Errors
/// As [`query`].
pub(super) async fn start(
    server: &Arc<Server>,
    sql: &str,
    session: &mut Session,
    other_statement: impl FnOnce(&str) -> Failure,
) -> Result<Transient> {
    let connected = server.ready().await?;
    if sql.trim().is_empty() {
        return Err(Failure::new(Failure::BAD_REQUEST, "\"ksql\" field must be populated"));
    }
    let parsed = parse(server, sql, session)?;
    let [parsed] = parsed.as_slice() else {
        let message = format!("Expected exactly one KSQL statement; found {} instead", parsed.len());
        return Err(Failure::statement(message, sql));
    };
    let catalog = server.catalog();
    let Statement::Query(query) = prepare(parsed, &catalog)? else { return Err(other_statement(sql)) };
    let settings = session.settings(&server.config.settings);
    if query.emit.is_none() && !server.config.settings.is_true("ksql.pull.queries.enable", true) {
        return Err(Failure::statement(PULL_DISABLED, &parsed.text));
    }
    // What another server passes on was admitted there.
    let limited = match query.emit.is_none() && session.forwarded.is_none() {
        true => Some(server.pull_limits.admit()?),
        false => None,
    };
    if pull::is_table_pull(&query, &catalog) {
        let asking = pull::Asked { server, connected: &connected, catalog: &catalog, text: &parsed.text, session };
        let started = pull::start(&query, &settings, asking).await;
        return started.map(|started| started.within(limited)).map_err(|failure| failure.of(&parsed.text));
    }
    let environment = Environment {
        kafka: connected.kafka,
        registry: server.registry.clone(),
        settings,
        consumer: server.config.consumer.clone(),
        state: server.state.clone(),
        group_prefix: server.config.query_prefix(),
        processing_log: server.processing_log.clone(),
    };
    let started = transient::start(&query, &parsed.text, &catalog, environment, &server.push_queries).await;
    started.map(|started| started.within(limited)).map_err(|failure| failure.of(&parsed.text))
}

/// How a result is written.
pub(super) trait Framing: Send {
    /// What comes first.
    fn head(&self, id: &str, schema: &[Column]) -> String;
    /// A row, with what separates it from what came before.
    fn row(&self, row: &ResultRow, schema: &[Column]) -> String;
    /// The end of a complete result.
    fn end(&self, words: &str) -> String;
    /// The end of a result that has failed.
    fn failed(&self, failure: &Failure) -> String;
    /// How much is sent together while there is more.
    fn chunk_bytes(&self) -> usize {
        CHUNK_BYTES
    }
}

/// Writes a query's result until it ends or nobody reads it any more.
pub(super) async fn send(mut query: Transient, mut client: ChunkSender, framing: impl Framing) {
    let mut text = framing.head(&query.id, &query.schema);
    let chunk_bytes = framing.chunk_bytes();
    if text.len() >= chunk_bytes && !client.send(Bytes::from(std::mem::take(&mut text))).await {
        return;
    }
    loop {
        // What is there goes together; nothing waits for more.
        let event = match query.events.try_recv() {
            Ok(event) => Some(event),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                if !text.is_empty() && !client.send(Bytes::from(std::mem::take(&mut text))).await {
                    return;
                }
                tokio::select! {
                    event = query.events.recv() => event,
                    () = client.closed() => return,
                }
            }
        };
        match event {
            Some(Event::Rows(rows)) => {
                for row in &rows {
                    text.push_str(&framing.row(row, &query.schema));
                    if text.len() >= chunk_bytes && !client.send(Bytes::from(std::mem::take(&mut text))).await {
                        return;
                    }
                }
                continue;
            }
            Some(Event::End(words)) => text.push_str(&framing.end(words)),
            Some(Event::Failed(failure)) => text.push_str(&framing.failed(&failure)),
            None => {
                let failure = Failure::new(Failure::SERVER, "The query has ended unexpectedly.");
                text.push_str(&framing.failed(&failure));
            }
        }
        break;
    }
    if !text.is_empty() {
        client.send(Bytes::from(text)).await;
    }
}

/// A JSON array with an object for each row. Every element stands on a line of its own that is complete when the element
/// is: some clients read lines.
pub(super) struct Elements;

impl Framing for Elements {
    fn head(&self, id: &str, schema: &[Column]) -> String {
        let shown: Vec<String> = schema.iter().map(ToString::to_string).collect();
        let header = json!({ "header": { "queryId": id, "schema": shown.join(", ") } });
        format!("[{header},\n")
    }

    fn row(&self, row: &ResultRow, schema: &[Column]) -> String {
        let tombstone = if row.tombstone { ",\"tombstone\":true" } else { "" };
        format!("{{\"row\":{{\"columns\":{}{tombstone}}}}},\n", row.json(schema))
    }

    fn end(&self, words: &str) -> String {
        format!("{}]\n", json!({ "finalMessage": words }))
    }

    fn failed(&self, failure: &Failure) -> String {
        format!("{}]\n", json!({ "errorMessage": failure.json() }))
    }
}

/// As [`Elements`], for results that may have no last words: what separates elements stands before them.
pub(super) struct TableElements;

impl Framing for TableElements {
    fn head(&self, id: &str, schema: &[Column]) -> String {
        Elements.head(id, schema).trim_end_matches(",\n").to_owned()
    }

    fn row(&self, row: &ResultRow, schema: &[Column]) -> String {
        format!(",\n{{\"row\":{{\"columns\":{}}}}}", row.json(schema))
    }

    fn end(&self, words: &str) -> String {
        if words.is_empty() { "]\n".to_owned() } else { format!(",\n{}", Elements.end(words)) }
    }

    fn failed(&self, failure: &Failure) -> String {
        format!(",\n{}", Elements.failed(failure))
    }
}

#[cfg(test)]
mod tests {
    use milena_sql::types::SqlType;
    use milena_sql::value::Value;

    use super::*;

    #[test]
    fn a_result_is_one_json_array() {
        let schema = [Column::key("K", SqlType::String), Column::value("C", SqlType::Bigint)];
        let row = ResultRow { columns: vec![Value::string("a"), Value::Bigint(2)], tombstone: false };
        let gone = ResultRow { columns: vec![Value::string("a"), Value::Null], tombstone: true };
        let text = [
            Elements.head("transient_A_1", &schema),
            Elements.row(&row, &schema),
            Elements.row(&gone, &schema),
            Elements.end("Limit Reached"),
        ]
        .concat();
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            parsed,
            json!([
                { "header": { "queryId": "transient_A_1", "schema": "`K` STRING KEY, `C` BIGINT" } },
                { "row": { "columns": ["a", 2] } },
                { "row": { "columns": ["a", null], "tombstone": true } },
                { "finalMessage": "Limit Reached" },
            ])
        );
        assert_eq!(text.lines().count(), 4);
    }
}
