//! `POST /query-stream` in its own forms, and `POST /close-query`.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use milena_http::chunks;
use milena_sql::catalog::schema::Column;
use serde_json::{Map, Value, json};

use super::print::print_records;
use super::query::{CHUNK_BYTES, Framing, UNREAD_BYTES_MAX, send, send_elements, start};
use super::{DELIMITED, JSON, KSQL_JSON, PROTOBUF, session_with, text_of, wanted, with_type};
use crate::error::{Failure, Result};
use crate::queries::rows::ResultRow;
use crate::state::Server;

/// `POST /query-stream`.
///
/// # Errors
/// A request without exactly one query, a query that means nothing.
pub async fn query_stream(
    server: &Arc<Server>,
    request: &Map<String, Value>,
    headers: &HeaderMap,
) -> Result<Response<Body>> {
    let mut session = session_with(server, request, headers, Failure::BAD_REQUEST)?;
    let sql = text_of(request, &["sql", "ksql"])?;
    let media_type = wanted(headers, &[DELIMITED, JSON, KSQL_JSON, PROTOBUF]);
    if let Some(printing) = print_records(server, sql, &session, media_type).await? {
        return Ok(printing);
    }
    let wrong = |sql: &str| Failure::statement(format!("Neither a query nor a print statement\nStatement: {sql}"), sql);
    let query = start(server, sql, &mut session, wrong).await?;
    let (sender, body) = chunks(UNREAD_BYTES_MAX);
    match media_type {
        KSQL_JSON | PROTOBUF => send_elements(query, sender, media_type)?,
        JSON => drop(tokio::spawn(send(query, sender, Rows { array: true }))),
        _ => drop(tokio::spawn(send(query, sender, Rows { array: false }))),
    }
    Ok(with_type(body, media_type))
}

/// `POST /close-query`.
///
/// # Errors
/// A query that is not there.
pub fn close(server: &Server, request: &Map<String, Value>) -> Result<Response<Body>> {
    let id = text_of(request, &["queryId"])?;
    if server.push_queries.close(id) {
        return Ok(Response::new(Body::empty()));
    }
    Err(Failure::new(Failure::BAD_REQUEST, format!("No query with id {id}")))
}

/// A head and a JSON array for each row: one a line, or all in one array.
struct Rows {
    array: bool,
}

impl Rows {
    fn line(&self, text: &str) -> String {
        if self.array { format!(",\n{text}") } else { format!("{text}\n") }
    }
}

impl Framing for Rows {
    fn head(&self, id: &str, schema: &[Column]) -> String {
        let head = json!({
            "queryId": id,
            "columnNames": schema.iter().map(|column| &*column.name).collect::<Vec<_>>(),
            "columnTypes": schema.iter().map(|column| column.column_type.to_string()).collect::<Vec<_>>(),
        });
        if self.array { format!("[{head}") } else { format!("{head}\n") }
    }

    /// Rows of tables that are gone have no form here.
    fn row(&self, row: &ResultRow, schema: &[Column]) -> String {
        if row.tombstone { String::new() } else { self.line(&row.json(schema)) }
    }

    fn end(&self, words: &str) -> String {
        let _ = words;
        if self.array { "]\n".to_owned() } else { String::new() }
    }

    fn failed(&self, failure: &Failure) -> String {
        let mut body = failure.json();
        body["status"] = "error".into();
        let end = if self.array { "]\n" } else { "" };
        format!("{}{end}", self.line(&body.to_string()))
    }

    /// Some clients take every chunk of a stream of lines for one line.
    fn chunk_bytes(&self) -> usize {
        if self.array { CHUNK_BYTES } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use milena_sql::types::SqlType;
    use milena_sql::value::Value as Cell;

    use super::*;

    fn text(framing: &Rows) -> String {
        let schema = [Column::key("K", SqlType::String), Column::value("C", SqlType::Bigint)];
        let row = |n| ResultRow { columns: vec![Cell::string("a"), Cell::Bigint(n)], tombstone: false };
        let gone = ResultRow { tombstone: true, ..row(1) };
        let rows = [row(1), gone, row(2)].map(|row| framing.row(&row, &schema)).concat();
        format!("{}{rows}{}", framing.head("q", &schema), framing.end("Query Completed"))
    }

    #[test]
    fn lines_are_json_texts() {
        let text = text(&Rows { array: false });
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0], json!({ "queryId": "q", "columnNames": ["K", "C"], "columnTypes": ["STRING", "BIGINT"] }));
        assert_eq!(lines[1..], [json!(["a", 1]), json!(["a", 2])]);
    }

    #[test]
    fn an_array_holds_head_and_rows() {
        let parsed: Value = serde_json::from_str(&text(&Rows { array: true })).unwrap();
        assert_eq!(parsed.as_array().unwrap().len(), 3);
    }
}
