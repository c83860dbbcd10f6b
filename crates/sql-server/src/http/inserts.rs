//! `POST /inserts-stream`: a line that names the target, then a record a line, each acknowledged with a line.
//!
//! ```text
//!   lines ──► records ──► producer ──► acknowledgements, in order ──► the client
//!                └─ at most so many on their way: then the client's lines wait
//! ```
//!
//! Acknowledgements go out while lines still come, over HTTP/1.1 as over HTTP/2. The first line that is no record ends the
//! stream; what came before it stays.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response};
use http_body_util::BodyExt as _;
use milena_http::{ChunkSender, chunks};
use milena_sql::catalog::Source;
use milena_sql::operators::{Change, NoLog};
use milena_sql::planner::scope;
use milena_sql::runtime::RawRecord;
use milena_sql::runtime::writer::SinkWriter;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::json_rows::{name_of, row};
use super::query::UNREAD_BYTES_MAX;
use super::{DELIMITED, JSON, session_of, text_of, wanted, with_type};
use crate::error::{Failure, Result};
use crate::kafka::records::Begun;
use crate::state::{Connected, Server};

/// Records that are not acknowledged yet.
const UNACKNOWLEDGED_MAX: usize = 200;
/// How long a stream that has failed is read on: a client that is still writing would not see the answer otherwise.
const PASS_OVER_MAX: Duration = Duration::from_secs(5);

/// `POST /inserts-stream`.
///
/// # Errors
/// A first line that names no stream which takes records.
pub async fn inserts_stream(server: &Arc<Server>, body: Body, headers: &HeaderMap) -> Result<Response<Body>> {
    let connected = server.ready().await?;
    let mut lines = Lines::new(body, server.config.request_bytes_max);
    let source = match target(server, &mut lines).await {
        Ok(target) => target,
        Err(failure) => {
            tokio::spawn(lines.pass_over());
            return Err(failure);
        }
    };
    let (made, registry) = (source.clone(), server.registry.clone());
    // The registry may be asked, which blocks.
    let opened = tokio::task::spawn_blocking(move || SinkWriter::new(&made, &registry)).await;
    let writer = opened
        .map_err(|error| Failure::new(Failure::SERVER, error.to_string()))?
        .map_err(|error| Failure::new(Failure::BAD_STATEMENT, error.0))?;
    let (client, body) = chunks(UNREAD_BYTES_MAX);
    let media_type = wanted(headers, &[DELIMITED, JSON]);
    let (sent, waiting) = mpsc::channel(UNACKNOWLEDGED_MAX);
    let inserting = Inserting { source: Arc::new(source), writer: Arc::new(writer), connected };
    tokio::spawn(inserting.read(lines, sent));
    tokio::spawn(acknowledge(waiting, client, media_type == JSON));
    Ok(with_type(body, media_type))
}

/// What the first line says.
async fn target(server: &Server, lines: &mut Lines) -> Result<Source> {
    let head = lines.next().await?.pop().unwrap_or_default();
    let malformed = |error: String| Failure::new(Failure::BAD_REQUEST, format!("Invalid JSON in request: {error}"));
    let head: Value = serde_json::from_slice(&head).map_err(|error| malformed(error.to_string()))?;
    let head = head.as_object().ok_or_else(|| malformed("the first line must be an object".to_owned()))?;
    let target = name_of(text_of(head, &["target"])?);
    session_of(server, head, Failure::BAD_REQUEST)?;
    if !server.config.settings.is_true("ksql.insert.into.values.enabled", true) {
        return Err(Failure::new(Failure::BAD_REQUEST, milena_sql::runtime::insert::DISABLED));
    }
    let refused = |message: String| Failure::new(Failure::BAD_STATEMENT, message);
    let catalog = server.catalog();
    let source = catalog.source(&target).ok_or_else(|| {
        let hint = scope::hint(&target, &catalog);
        refused(format!("Cannot insert values into an unknown stream/table: `{target}`{hint}"))
    })?;
    if source.window.is_some() {
        return Err(refused("Cannot insert values into windowed stream/table".to_owned()));
    }
    if server.config.read_only_topics.is_match(&source.topic) {
        return Err(refused(format!("Cannot insert values into read-only topic: {}", source.topic)));
    }
    if source.read_only {
        let kind = source.kind.text().to_lowercase();
        return Err(refused(format!("Cannot insert values into read-only {kind}: {}", source.name)));
    }
    Ok(source.clone())
}

/// The lines of a body as they come.
struct Lines {
    body: Body,
    buffered: Vec<u8>,
    /// No line ends before this place.
    searched: usize,
    line_max: usize,
}

impl Lines {
    fn new(body: Body, line_max: usize) -> Lines {
        Lines { body, buffered: Vec::new(), searched: 0, line_max }
    }

    /// The first line, or all that are here already after it; none at the end. Empty lines are passed over.
    async fn next(&mut self) -> Result<Vec<Vec<u8>>> {
        self.take(1).await
    }

    /// At least one line and at most `most` of those that are here; none at the end.
    async fn take(&mut self, most: usize) -> Result<Vec<Vec<u8>>> {
        loop {
            let lines = self.complete(most);
            if !lines.is_empty() {
                return Ok(lines);
            }
            if self.buffered.len() > self.line_max {
                return Err(Failure::new(Failure::TOO_LARGE, "A line of the inserts stream is too long"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffered.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(Failure::new(Failure::BAD_REQUEST, error.to_string())),
                None => {
                    self.searched = 0;
                    let line = std::mem::take(&mut self.buffered).trim_ascii().to_vec();
                    return Ok(Some(line).filter(|line| !line.is_empty()).into_iter().collect());
                }
            }
        }
    }

    /// Takes complete lines out of what is here.
    fn complete(&mut self, most: usize) -> Vec<Vec<u8>> {
        let (mut lines, mut start) = (Vec::new(), 0);
        while lines.len() < most {
            let from = start.max(self.searched);
            let Some(length) = self.buffered[from..].iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffered.len();
                break;
            };
            let line = self.buffered[start..from + length].trim_ascii();
            if !line.is_empty() {
                lines.push(line.to_vec());
            }
            start = from + length + 1;
        }
        self.buffered.drain(..start);
        self.searched = self.searched.saturating_sub(start);
        lines
    }

    /// Reads what is left and throws it away, for a while.
    async fn pass_over(mut self) {
        let rest = async { while let Some(Ok(_)) = self.body.frame().await {} };
        let _ = tokio::time::timeout(PASS_OVER_MAX, rest).await;
    }
}

/// What became of a line so far.
enum Sent {
    /// Its record is on its way.
    Begun(Begun),
    /// It is no record; nothing follows.
    Refused(Failure),
}

/// Records into one source.
struct Inserting {
    source: Arc<Source>,
    writer: Arc<SinkWriter>,
    connected: Connected,
}

impl Inserting {
    /// Reads lines to the first that fails, or until nobody wants acknowledgements any more.
    async fn read(self, mut lines: Lines, sent: mpsc::Sender<Sent>) {
        loop {
            let taken = match lines.take(UNACKNOWLEDGED_MAX).await {
                Ok(taken) if taken.is_empty() => return,
                Ok(taken) => taken,
                Err(failure) => {
                    let _ = sent.send(Sent::Refused(failure)).await;
                    break;
                }
            };
            if !self.insert(taken, &sent).await {
                break;
            }
        }
        // The client hears of it at once, whatever it is still sending.
        drop(sent);
        lines.pass_over().await;
    }

    /// Sends the records of these lines; whether all of them were some.
    async fn insert(&self, lines: Vec<Vec<u8>>, sent: &mpsc::Sender<Sent>) -> bool {
        let (source, writer) = (self.source.clone(), self.writer.clone());
        // The registry may be asked, which blocks.
        let writing = move || lines.iter().map(|line| record(&source, &writer, line)).collect::<Vec<_>>();
        let records = match tokio::task::spawn_blocking(writing).await {
            Ok(records) => records,
            Err(error) => vec![Err(Failure::new(Failure::SERVER, error.to_string()))],
        };
        for record in records {
            let begun = match record {
                Ok(record) => {
                    let begun = self.connected.kafka.records.begin(&self.source.topic, None, &record).await;
                    begun.map_err(Failure::from)
                }
                Err(failure) => Err(failure),
            };
            let failed = begun.is_err();
            let told = sent.send(begun.map_or_else(Sent::Refused, Sent::Begun)).await;
            if failed || told.is_err() {
                return false;
            }
        }
        true
    }
}

/// The record of a line.
fn record(source: &Source, writer: &SinkWriter, line: &[u8]) -> Result<RawRecord> {
    let change: Change = row(source, line)?;
    let written = writer.write(&change, &NoLog).map_err(|error| Failure::new(Failure::BAD_REQUEST, error.0))?;
    written.ok_or_else(|| Failure::new(Failure::BAD_REQUEST, "The record has no valid timestamp."))
}

/// Tells the client in the order of its lines what became of them, to the first that has failed.
async fn acknowledge(mut sent: mpsc::Receiver<Sent>, mut client: ChunkSender, array: bool) {
    // Lines are complete as they go out; elements of an array are separated when the next one is there.
    let (separator, line_end) = if array { (",\n", "") } else { ("", "\n") };
    let mut text = if array { "[".to_owned() } else { String::new() };
    let mut seq = 0_u64;
    while let Some(line) = next(&mut sent, &mut client, &mut text).await {
        let outcome = match line {
            Sent::Begun(begun) => begun.acknowledged().await.map(|_| ()).map_err(Failure::from),
            Sent::Refused(failure) => Err(failure),
        };
        if seq > 0 {
            text.push_str(separator);
        }
        let failed = outcome.is_err();
        let answer = match outcome {
            Ok(()) => json!({ "status": "ok", "seq": seq }),
            Err(failure) => {
                json!({ "status": "error", "seq": seq, "error_code": failure.code, "message": failure.message })
            }
        };
        text.push_str(&answer.to_string());
        text.push_str(line_end);
        seq += 1;
        if failed {
            break;
        }
    }
    if array {
        text.push_str("]\n");
    }
    if !text.is_empty() {
        client.send(Bytes::from(text)).await;
    }
}

/// The next line; what there is to tell goes out before it is waited for. `None` at the end, or when the client is gone.
async fn next(sent: &mut mpsc::Receiver<Sent>, client: &mut ChunkSender, text: &mut String) -> Option<Sent> {
    match sent.try_recv() {
        Ok(line) => return Some(line),
        Err(mpsc::error::TryRecvError::Disconnected) => return None,
        Err(mpsc::error::TryRecvError::Empty) => {}
    }
    if !text.is_empty() && !client.send(Bytes::from(std::mem::take(text))).await {
        return None;
    }
    tokio::select! {
        line = sent.recv() => line,
        () = client.closed() => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_those_of_the_body_however_it_comes() {
        let frames = ["{\"a\":1}\n\n{\"b\"", ":2}\r\n{\"c\":3}\nla", "st"];
        let (mut sender, body) = chunks(1 << 10);
        for frame in frames {
            sender.send(Bytes::from_static(frame.as_bytes())).await;
        }
        drop(sender);
        let mut lines = Lines::new(body, 99);
        assert_eq!(lines.next().await.unwrap(), [b"{\"a\":1}"]);
        assert_eq!(lines.take(9).await.unwrap(), [b"{\"b\":2}", b"{\"c\":3}"]);
        assert_eq!(lines.take(9).await.unwrap(), [b"last"]);
        assert!(lines.take(9).await.unwrap().is_empty() && lines.take(9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused() {
        let mut lines = Lines::new(Body::from("x".repeat(100)), 99);
        assert_eq!(lines.next().await.unwrap_err().code, Failure::TOO_LARGE);
    }

    async fn told(sent: Vec<Sent>, array: bool) -> String {
        let (client, body) = chunks(1 << 10);
        let (sender, receiver) = mpsc::channel(9);
        for line in sent {
            sender.send(line).await.ok().unwrap();
        }
        drop(sender);
        acknowledge(receiver, client, array).await;
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn answers_are_lines_or_one_array() {
        let refused = || Sent::Refused(Failure::new(Failure::BAD_REQUEST, "no"));
        let answer = r#"{"error_code":40000,"message":"no","seq":0,"status":"error"}"#;
        let same =
            |told: &str| serde_json::from_str::<Value>(told).unwrap() == serde_json::from_str::<Value>(answer).unwrap();
        assert!(same(told(vec![refused(), refused()], false).await.trim_end()));
        let array: Value = serde_json::from_str(&told(vec![refused()], true).await).unwrap();
        assert!(same(&array[0].to_string()));
        assert_eq!(told(vec![], true).await, "[]\n");
        assert_eq!(told(vec![], false).await, "");
    }
}
