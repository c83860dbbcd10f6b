//! The processing log: what became null and which records were skipped, as records of a topic that can be queried.
//!
//! Queries never wait for it: what comes faster than it can be written is left out, and counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milena_sql::operators::ProcessingLog;
use milena_sql::operators::processing_log::{Failed, Undecodable, Unencodable, columns_text};
use milena_sql::runtime::RawRecord;
use milena_stdx::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::failure::QueryFailure;
use super::states::QueryStatus;
use crate::config::SqlConfig;
use crate::kafka::topics::{self, TopicShape};
use crate::state::Connected;

/// Entries that may wait to be written.
const WAITING_MAX: usize = 1_000;

/// Where entries go.
#[derive(Debug)]
pub struct LogTopic {
    entries: mpsc::Sender<Value>,
    left_out: AtomicU64,
    rows: bool,
    /// Whether there is a topic that entries are written to.
    is_written: bool,
}

/// The log's side that writes.
pub struct LogWriter {
    entries: mpsc::Receiver<Value>,
    topic: Option<String>,
}

/// Both sides of the log of a server. Without a topic entries go nowhere.
pub fn open(config: &SqlConfig) -> (Arc<LogTopic>, LogWriter) {
    let (sender, entries) = mpsc::channel(WAITING_MAX);
    let rows = config.settings.is_true("ksql.logging.processing.rows.include", false);
    let topic = topic(config);
    let is_written = topic.is_some();
    (
        Arc::new(LogTopic { entries: sender, left_out: AtomicU64::new(0), rows, is_written }),
        LogWriter { entries, topic },
    )
}

/// The topic, where there is to be one.
pub fn topic(config: &SqlConfig) -> Option<String> {
    let named = config.settings.get("ksql.logging.processing.topic.name").filter(|name| !name.is_empty());
    let made = config.settings.is_true("ksql.logging.processing.topic.auto.create", false);
    match named {
        Some(name) => Some(name.to_owned()),
        None => made.then(|| format!("{}ksql_processing_log", config.service_id)),
    }
}

/// The stream over the topic, as `ksql.logging.processing.stream.auto.create` makes it.
pub fn stream_statement(name: &str, topic: &str) -> String {
    const ERROR: &str = "errorMessage VARCHAR, record VARCHAR, cause ARRAY<VARCHAR>";
    format!(
        "CREATE STREAM IF NOT EXISTS {name} (logger VARCHAR, level VARCHAR, time BIGINT, message STRUCT<type INTEGER, \
         deserializationError STRUCT<target VARCHAR, errorMessage VARCHAR, recordB64 VARCHAR, cause ARRAY<VARCHAR>, topic VARCHAR>, \
         recordProcessingError STRUCT<{ERROR}>, productionError STRUCT<errorMessage VARCHAR>, \
         serializationError STRUCT<target VARCHAR, errorMessage VARCHAR, record VARCHAR, cause ARRAY<VARCHAR>, topic VARCHAR>, \
         kafkaStreamsThreadError STRUCT<errorMessage VARCHAR, threadName VARCHAR, cause ARRAY<VARCHAR>>>) \
         WITH (KAFKA_TOPIC='{topic}', VALUE_FORMAT='JSON', KEY_FORMAT='KAFKA');"
    )
}

impl LogWriter {
    /// Makes the topic where that is wanted.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn make_topic(&self, connected: &Connected, config: &SqlConfig) -> milena_client::Result<()> {
        let Some(topic) = &self.topic else { return Ok(()) };
        if !config.settings.is_true("ksql.logging.processing.topic.auto.create", false) {
            return Ok(());
        }
        let number = |name: &str| config.settings.integer(name);
        let shape = TopicShape {
            partitions: number("ksql.logging.processing.topic.partitions").and_then(|n| n.try_into().ok()).unwrap_or(1),
            replicas: number("ksql.logging.processing.topic.replication.factor")
                .and_then(|n| n.try_into().ok())
                .unwrap_or(1),
        };
        topics::create(&connected.kafka.cluster, topic, shape, &BTreeMap::new()).await
    }

    /// Writes what comes, for ever.
    pub async fn write(mut self, connected: Connected) {
        while let Some(entry) = self.entries.recv().await {
            let Some(topic) = &self.topic else { continue };
            let timestamp = entry["time"].as_i64().unwrap_or_default();
            let value = Some(entry.to_string().into());
            let record = RawRecord { key: None, value, timestamp, headers: [].into(), partition: 0, offset: 0 };
            if let Err(error) = connected.kafka.records.send(topic, None, &record).await {
                tracing::warn!(topic, "the processing log cannot be written: {error}");
            }
        }
    }
}

impl LogTopic {
    /// Hands an entry over, unless too many wait.
    fn add(&self, logger: impl FnOnce() -> String, kind: usize, error: impl FnOnce() -> Value) {
        if !self.is_written {
            return;
        }
        let error = error();
        const KINDS: [&str; 5] = [
            "deserializationError",
            "recordProcessingError",
            "productionError",
            "serializationError",
            "kafkaStreamsThreadError",
        ];
        let mut message = json!({ "type": kind });
        for (number, name) in KINDS.into_iter().enumerate() {
            message[name] = if number == kind { error.clone() } else { Value::Null };
        }
        let entry = json!({ "level": "ERROR", "logger": logger(), "time": SystemClock.now_ms(), "message": message });
        if self.entries.try_send(entry).is_err() && self.left_out.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("entries of the processing log are left out: they come faster than they can be written");
        }
    }
}

/// The log as one query sees it.
pub struct QueryLog {
    /// The query.
    pub query: String,
    /// Where skipped records are counted.
    pub status: Arc<QueryStatus>,
    /// Where entries go.
    pub topic: Arc<LogTopic>,
}

impl QueryLog {
    fn logger(&self, step: &str) -> String {
        format!("processing.{}.{step}", self.query)
    }

    /// The query has failed.
    pub fn failed(&self, failure: &QueryFailure) {
        const UNHANDLED: &str = "Unhandled exception caught in streams thread";
        let error = || json!({ "errorMessage": UNHANDLED, "threadName": self.query, "cause": [failure.message] });
        self.topic.add(|| self.logger("ksql.logger.thread.exception.uncaught"), 4, error);
    }

    /// A record of the result cannot be written.
    pub fn unwritten(&self, message: &str) {
        self.status.statistics.unprocessed();
        self.topic.add(|| format!("processing.{}", self.query), 2, || json!({ "errorMessage": message }));
    }
}

impl ProcessingLog for QueryLog {
    fn record(&self, logger: &str, message: &str) {
        self.status.statistics.unprocessed();
        tracing::debug!(query = self.query, logger, "{message}");
        let error = || json!({ "errorMessage": message, "record": null, "cause": [] });
        self.topic.add(|| self.logger(logger), 1, error);
    }

    fn failure(&self, logger: &str, failure: &Failed<'_>) {
        let Failed { message, cause, row } = failure;
        self.status.statistics.unprocessed();
        tracing::debug!(query = self.query, logger, "{message}: {}", cause.unwrap_or_default());
        let record = || self.topic.rows.then(row);
        let error = || json!({ "errorMessage": message, "record": record(), "cause": Vec::from_iter(*cause) });
        self.topic.add(|| self.logger(logger), 1, error);
    }

    fn undecodable(&self, record: &Undecodable<'_>) {
        let Undecodable { topic, target, message, cause, bytes } = record;
        self.status.statistics.failed(topic);
        tracing::debug!(query = self.query, "{target} of {topic}: {cause}");
        let bytes = || bytes.filter(|_| self.topic.rows).map(|bytes| STANDARD.encode(bytes));
        let error = || {
            json!({
                "target": target, "errorMessage": message, "recordB64": bytes(), "cause": [cause], "topic": topic,
            })
        };
        self.topic.add(|| self.logger("KsqlTopic.Source.deserializer"), 0, error);
    }

    fn unencodable(&self, logger: &str, row: &Unencodable<'_>) {
        let Unencodable { topic, target, message, cause, columns } = row;
        self.status.statistics.unprocessed();
        let record = || self.topic.rows.then(|| columns_text(columns));
        let error = || {
            json!({
                "target": target, "errorMessage": message, "record": record(), "cause": [cause], "topic": topic,
            })
        };
        self.topic.add(|| self.logger(&format!("{logger}.serializer")), 3, error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(rows: bool, report: impl FnOnce(&QueryLog)) -> Value {
        let (entries, mut written) = mpsc::channel(1);
        let topic = Arc::new(LogTopic { entries, left_out: AtomicU64::new(0), rows, is_written: true });
        report(&QueryLog { query: "CSAS_A_1".to_owned(), status: Arc::default(), topic });
        written.try_recv().unwrap()
    }

    #[test]
    fn entries_have_one_error_and_rows_only_where_they_may() {
        let undecodable =
            Undecodable { topic: "t", target: "value", message: "no JSON", cause: "no UTF-8", bytes: Some(&[0xff]) };
        let unencodable = Unencodable {
            topic: "t",
            target: "key",
            message: "no text",
            cause: "a blank",
            columns: &[milena_sql::value::Value::Int(7)],
        };
        for (rows, bytes, text) in [(true, json!("/w=="), json!("[7]")), (false, Value::Null, Value::Null)] {
            let entry = logged(rows, |log| log.undecodable(&undecodable));
            assert_eq!(entry["logger"], "processing.CSAS_A_1.KsqlTopic.Source.deserializer");
            assert_eq!(entry["message"]["type"], 0);
            assert_eq!(entry["message"]["deserializationError"]["recordB64"], bytes);
            assert_eq!(entry["message"]["recordProcessingError"], Value::Null);
            let entry = logged(rows, |log| log.unencodable("A", &unencodable));
            assert_eq!(entry["logger"], "processing.CSAS_A_1.A.serializer");
            let error = json!({ "target": "key", "errorMessage": "no text", "record": text, "cause": ["a blank"], "topic": "t" });
            assert_eq!(entry["message"]["serializationError"], error);
        }
    }

    #[test]
    fn what_failed_stands_beside_why_and_the_row() {
        let message = "Error computing expression (A / 0) for column B with index 0";
        let failed = Failed { message, cause: Some("/ by zero"), row: &|| "[1]".to_owned() };
        for (rows, row) in [(true, json!("[1]")), (false, Value::Null)] {
            let entry = logged(rows, |log| log.failure("Project", &failed));
            assert_eq!(entry["logger"], "processing.CSAS_A_1.Project");
            let error = json!({ "errorMessage": message, "record": row, "cause": ["/ by zero"] });
            assert_eq!(entry["message"]["recordProcessingError"], error);
        }
    }

    #[test]
    fn failures_of_a_query_and_of_its_producer_have_entries_of_their_own() {
        let failure = QueryFailure::new(super::super::failure::Cause::System, "gone");
        let entry = logged(false, |log| log.failed(&failure));
        assert_eq!(entry["message"]["kafkaStreamsThreadError"]["cause"], json!(["gone"]));
        let entry = logged(false, |log| log.unwritten("too large"));
        assert_eq!(entry["logger"], "processing.CSAS_A_1");
        assert_eq!(entry["message"]["productionError"], json!({ "errorMessage": "too large" }));
    }

    #[test]
    fn the_stream_over_the_log_is_a_statement() {
        let statement = stream_statement("KSQL_PROCESSING_LOG", "default_ksql_processing_log");
        assert!(milena_sql::parser::parse_one(&statement, &|_| None).is_ok(), "{statement}");
    }
}
