//! Records of a source as changes of rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{RawRecord, RecordError};
use crate::catalog::schema::Namespace;
use crate::catalog::{Settings, Source};
use crate::formats::registry::SchemaRegistry;
use crate::formats::{self, CodecContext, Format, FormatError, RowCodec, Side};
use crate::operators::processing_log::{Failed, Undecodable, columns_text};
use crate::operators::{Change, Key, ProcessingLog, Row, WindowBounds};
use crate::runtime::writer::column_time;
use crate::value::Value;

/// Reads the records of a source.
pub struct SourceReader {
    source: Source,
    key: Box<dyn RowCodec>,
    value: Box<dyn RowCodec>,
    throw_on_invalid_time: bool,
    /// `ksql.fail.on.deserialization.error`
    fail_on_error: bool,
    time_from: Option<TimeFrom>,
    has_headers: bool,
}

/// Columns of a row beside those of the schema: time, partition, offset, bounds of the window.
const PSEUDO_COLUMNS: usize = 5;

/// Where the time of a record is.
enum TimeFrom {
    Key(usize),
    Value(usize),
    Nowhere,
}

impl SourceReader {
    /// For `source`.
    ///
    /// # Errors
    /// Formats that cannot hold the columns.
    pub fn new(source: &Source, settings: &Settings, registry: &Arc<dyn SchemaRegistry>) -> Result<Self, FormatError> {
        let context = |side| CodecContext { topic: source.topic.clone(), side, registry: registry.clone() };
        Ok(SourceReader {
            key: formats::open(&source.key_format, source.key_fields(), &context(Side::Key))?,
            value: formats::open(&source.value_format, source.value_fields(), &context(Side::Value))?,
            throw_on_invalid_time: settings.is_true("ksql.timestamp.throw.on.invalid", false),
            fail_on_error: settings.is_true("ksql.fail.on.deserialization.error", false),
            time_from: source.timestamp.as_ref().map(|timestamp| {
                let schema = &source.schema;
                let in_key = schema.keys().iter().position(|column| column.name == timestamp.column);
                let in_value = schema.values().position(|column| column.name == timestamp.column);
                match (in_key, in_value) {
                    (Some(position), _) => TimeFrom::Key(position),
                    (_, Some(position)) => TimeFrom::Value(position),
                    _ => TimeFrom::Nowhere,
                }
            }),
            has_headers: source.schema.headers().next().is_some(),
            source: source.clone(),
        })
    }

    /// From now on nobody looks at other columns of rows than these: what the others hold need not be made.
    pub fn leave_out_all_but(&mut self, wanted: &BTreeSet<usize>) {
        let time = self.source.timestamp.as_ref().map(|timestamp| &timestamp.column);
        let columns = self.source.schema.others().enumerate();
        let of_value = columns.filter(|(_, column)| column.namespace == Namespace::Value);
        let unread =
            of_value.enumerate().filter(|(_, (at, column))| !wanted.contains(at) && Some(&column.name) != time);
        let unread: Vec<usize> = unread.map(|(position, _)| position).collect();
        self.value.leave_out(&unread);
    }

    /// Whether times of records are in a column.
    pub fn tells_time(&self) -> bool {
        self.time_from.is_some()
    }

    /// The row of a record; `None` for a record that is skipped, which is logged.
    ///
    /// # Errors
    /// A time that cannot be read, when that is to end the query.
    pub fn read(&self, record: &RawRecord, log: &dyn ProcessingLog) -> Result<Option<Change>, RecordError> {
        let key = match self.key(record) {
            Ok(key) => key,
            Err(error) => return self.skipped("key", record.key.as_deref(), &error, log),
        };
        let values = match self.values(record) {
            Ok(values) => values,
            Err(error) => return self.skipped("value", record.value.as_deref(), &error, log),
        };
        let timestamp = match self.time(record, &key, values.as_deref()) {
            Ok(timestamp) => timestamp,
            Err(message) => {
                let shown = || {
                    let value = values.as_deref().map_or_else(|| "null".to_owned(), columns_text);
                    format!("key:{}, value:{value}", columns_text(key.columns.as_deref().unwrap_or_default()))
                };
                let failed =
                    Failed { message: "Failed to extract timestamp from row", cause: Some(&message), row: &shown };
                log.failure("KsqlTopic.Source", &failed);
                if self.throw_on_invalid_time {
                    return Err(RecordError(format!(
                        "Fatal user code error in TimestampExtractor callback for record of {}: {message}",
                        self.source.topic
                    )));
                }
                return Ok(None);
            }
        };
        if timestamp < 0 {
            log.record("timestamp", "Skipping record with a negative timestamp");
            return Ok(None);
        }
        let new = values.map(|values| self.row(record, &key, values, timestamp));
        Ok(Some(Change { key, new, old: None, timestamp, headers: record.headers.clone() }))
    }

    fn skipped(
        &self,
        target: &'static str,
        bytes: Option<&[u8]>,
        error: &FormatError,
        log: &dyn ProcessingLog,
    ) -> Result<Option<Change>, RecordError> {
        let topic = &self.source.topic;
        let message = self.failure(target, error);
        log.undecodable(&Undecodable { topic, target, message: &message, cause: &error.0, bytes });
        if self.fail_on_error {
            return Err(RecordError(format!(
                "Deserialization exception handler is set to fail upon a deserialization error. If you would rather have the \
                 streaming pipeline continue after a deserialization error, please set the \
                 default.deserialization.exception.handler appropriately. {message}: {error}"
            )));
        }
        Ok(None)
    }

    /// What has failed, as the log says it of each format.
    fn failure(&self, target: &str, error: &FormatError) -> String {
        let topic = &self.source.topic;
        let spec = if target == "key" { &self.source.key_format } else { &self.source.value_format };
        match spec.format {
            Format::Json => format!("Failed to deserialize {target} from topic: {topic}. {error}"),
            Format::Delimited => "Error deserializing delimited".to_owned(),
            Format::Kafka => format!("Error deserializing KAFKA message from topic: {topic}"),
            _ => format!("Error deserializing message from topic: {topic}"),
        }
    }

    fn key(&self, record: &RawRecord) -> Result<Key, FormatError> {
        let Some(bytes) = &record.key else { return Ok(Key { columns: None, window: None }) };
        let (bytes, window) = match self.source.window {
            None => (&bytes[..], None),
            Some(info) => {
                let (rest, window) = split_window(bytes, info.size_ms)
                    .ok_or_else(|| FormatError("the key is too short for a window".to_owned()))?;
                (rest, Some(window))
            }
        };
        let columns = if self.source.schema.keys().is_empty() { None } else { self.key.decode(bytes)? };
        Ok(Key { columns: columns.map(Row::from), window })
    }

    fn values(&self, record: &RawRecord) -> Result<Option<Vec<Value>>, FormatError> {
        record.value.as_ref().map_or(Ok(None), |bytes| self.value.decode(bytes))
    }

    /// Values and headers in the order of the schema, pseudo columns, keys, bounds of the window.
    fn row(&self, record: &RawRecord, key: &Key, values: Vec<Value>, timestamp: i64) -> Row {
        let schema = &self.source.schema;
        let keys = schema.keys().len();
        let mut row: Vec<Value> = if self.has_headers {
            let mut values = values.into_iter();
            let columns = schema.others().map(|column| match &column.namespace {
                Namespace::Headers => all_headers(record),
                Namespace::Header(name) => last_header(record, name),
                Namespace::Value | Namespace::Key => values.next().unwrap_or_default(),
            });
            columns.collect()
        } else {
            values
        };
        row.resize(schema.columns().len() - keys, Value::Null);
        row.reserve(keys + PSEUDO_COLUMNS);
        row.push(Value::Bigint(timestamp));
        row.push(Value::Int(record.partition));
        row.push(Value::Bigint(record.offset));
        match &key.columns {
            Some(columns) => row.extend(columns.iter().cloned()),
            None => row.resize(row.len() + keys, Value::Null),
        }
        if let Some(window) = key.window {
            row.push(Value::Bigint(window.start));
            row.push(Value::Bigint(window.end));
        }
        row.into()
    }

    /// The time of a record: of its own, or of a column. A record with a null value has no columns beside its key.
    fn time(&self, record: &RawRecord, key: &Key, values: Option<&[Value]>) -> Result<i64, String> {
        let Some(timestamp) = &self.source.timestamp else { return Ok(record.timestamp) };
        let value = match &self.time_from {
            Some(TimeFrom::Key(position)) => key.columns.as_ref().and_then(|columns| columns.get(*position)),
            Some(TimeFrom::Value(position)) => values.and_then(|values| values.get(*position)),
            _ => None,
        };
        column_time(value.unwrap_or(&Value::Null), timestamp)
    }
}

/// Takes the window off the end of a key: the start of a time window, end and start of a session.
pub fn split_window(bytes: &[u8], size_ms: Option<i64>) -> Option<(&[u8], WindowBounds)> {
    let (rest, start) = bytes.split_last_chunk::<8>()?;
    let start = i64::from_be_bytes(*start);
    match size_ms {
        Some(size) => Some((rest, WindowBounds { start, end: start.saturating_add(size) })),
        None => {
            let (rest, end) = rest.split_last_chunk::<8>()?;
            Some((rest, WindowBounds { start, end: i64::from_be_bytes(*end) }))
        }
    }
}

fn all_headers(record: &RawRecord) -> Value {
    let header = |(name, value): &(String, Option<Vec<u8>>)| {
        Value::structure(vec![Value::from(name.as_str()), value.as_ref().map_or(Value::Null, Value::bytes)])
    };
    Value::array(record.headers.iter().map(header).collect())
}

fn last_header(record: &RawRecord, name: &str) -> Value {
    let found = record.headers.iter().rev().find(|(header, _)| header == name);
    found.and_then(|(_, value)| value.as_ref()).map_or(Value::Null, Value::bytes)
}
