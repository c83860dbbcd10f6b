//! Changes of rows as records of a sink.

use std::sync::Arc;

use bytes::Bytes;

use super::{RawRecord, RecordError};
use crate::catalog::{Source, TimestampColumn};
use crate::formats::registry::SchemaRegistry;
use crate::formats::{self, CodecContext, FormatError, RowCodec, Side};
use crate::operators::processing_log::{Failed, Unencodable, row_json};
use crate::operators::{Change, Key, ProcessingLog};
use crate::planner::compile::parse_time;
use crate::value::Value;

/// Writes the records of a sink.
pub struct SinkWriter {
    sink: Source,
    key: Box<dyn RowCodec>,
    value: Box<dyn RowCodec>,
}

impl SinkWriter {
    /// For `sink`.
    ///
    /// # Errors
    /// Formats that cannot hold the columns.
    pub fn new(sink: &Source, registry: &Arc<dyn SchemaRegistry>) -> Result<Self, FormatError> {
        let context = |side| CodecContext { topic: sink.topic.clone(), side, registry: registry.clone() };
        Ok(SinkWriter {
            key: formats::open(&sink.key_format, sink.key_fields(), &context(Side::Key))?,
            value: formats::open(&sink.value_format, sink.value_fields(), &context(Side::Value))?,
            sink: sink.clone(),
        })
    }

    /// The record of a change; `None` for one whose time cannot be read, which is logged.
    ///
    /// # Errors
    /// Values that the format cannot hold.
    pub fn write(&self, change: &Change, log: &dyn ProcessingLog) -> Result<Option<RawRecord>, RecordError> {
        self.write_at(change, change.timestamp, log)
    }

    /// The same of a query whose records have come as far as `stream_time`: where a column tells the time, that is the
    /// time of a row that is gone.
    ///
    /// # Errors
    /// As [`SinkWriter::write`].
    pub fn write_at(
        &self,
        change: &Change,
        stream_time: i64,
        log: &dyn ProcessingLog,
    ) -> Result<Option<RawRecord>, RecordError> {
        let time = self.time(change, stream_time).and_then(|timestamp| match timestamp {
            0.. => Ok(timestamp),
            _ => Err(format!("Malformed Record timestamp {timestamp}")),
        });
        let timestamp = match time {
            Ok(timestamp) => timestamp,
            Err(reason) => {
                let message = format!("Error writing row with extracted timestamp: {reason}");
                let types = || self.sink.schema.values().map(|column| &column.column_type);
                let shown = || row_json(change.new.as_deref().unwrap_or_default(), types());
                let failed = Failed { message: &message, cause: Some(&reason), row: &shown };
                log.failure(&self.sink.name, &failed);
                return Ok(None);
            }
        };
        let failed = |target, columns: &[Value], error: FormatError| {
            let topic = &self.sink.topic;
            let message = format!("Error serializing message to topic: {topic}. {error}");
            let row = Unencodable { topic, target, message: &message, cause: &error.0, columns };
            log.unencodable(&self.sink.name, &row);
            RecordError(message)
        };
        let key = self
            .key(&change.key)
            .map_err(|error| failed("key", change.key.columns.as_deref().unwrap_or_default(), error))?;
        let key = key.map(Bytes::from);
        let value = match &change.new {
            None => None,
            Some(row) => self.value.encode(row).map_err(|error| failed("value", row, error))?.map(Bytes::from),
        };
        Ok(Some(RawRecord { key, value, timestamp, headers: change.headers.clone(), partition: 0, offset: 0 }))
    }

    fn key(&self, key: &Key) -> Result<Option<Vec<u8>>, FormatError> {
        let Some(columns) = key.columns.as_ref().filter(|columns| !columns.is_empty()) else { return Ok(None) };
        let mut bytes = self.key.encode(columns)?;
        if let (Some(bytes), Some(window), Some(info)) = (&mut bytes, key.window, self.sink.window) {
            if info.is_session() {
                bytes.extend(window.end.to_be_bytes());
            }
            bytes.extend(window.start.to_be_bytes());
        }
        Ok(bytes)
    }

    fn time(&self, change: &Change, stream_time: i64) -> Result<i64, String> {
        let Some(timestamp) = &self.sink.timestamp else { return Ok(change.timestamp) };
        let Some(row) = &change.new else { return Ok(stream_time) };
        let schema = &self.sink.schema;
        let in_key = schema.keys().iter().position(|column| column.name == timestamp.column);
        let in_value = schema.values().position(|column| column.name == timestamp.column);
        let value = match (in_key, in_value) {
            (Some(position), _) => change.key.columns.as_ref().and_then(|columns| columns.get(position)),
            (_, Some(position)) => row.get(position),
            _ => None,
        };
        column_time(value.unwrap_or(&Value::Null), timestamp)
    }
}

/// The time that a column holds.
///
/// # Errors
/// Null, and text that is no time.
pub(super) fn column_time(value: &Value, timestamp: &TimestampColumn) -> Result<i64, String> {
    match (value, &timestamp.format) {
        (Value::Bigint(ms) | Value::Timestamp(ms), _) => Ok(*ms),
        (Value::String(text), Some(format)) => parse_time(text, format),
        (other, _) => Err(format!("the timestamp column {} holds {other:?}", timestamp.column)),
    }
}
