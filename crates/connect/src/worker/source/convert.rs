//! Records of a source on their way to bytes: transforms, then converters.

use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::record::Header;

use crate::plugin::ConvertError;
use crate::record::{Origin, Record, SourceMap};
use crate::worker::errors::{ErrorOperator, Failure, Stage};
use crate::worker::pipeline::{Converters, Step};

/// A record that is ready for its topic, or has ended before.
pub(super) struct Outcome {
    pub partition: Arc<SourceMap>,
    pub offset: SourceMap,
    pub result: Result<Option<Encoded>, Box<Failure>>,
}

/// A record as bytes.
pub(super) struct Encoded {
    pub topic: Arc<str>,
    pub partition: Option<i32>,
    pub timestamp: Option<i64>,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// Transforms and converts one record. May block: on a registry, and between attempts.
pub(super) fn process(
    record: Record,
    steps: &mut [Step],
    converters: &Converters,
    errors: &ErrorOperator,
) -> Option<Outcome> {
    if steps.is_empty() {
        let result = encode(&record, converters, errors).map(Some);
        return ended(record.origin, result);
    }
    // A record that is dropped takes its origin with it.
    let origin = record.origin.clone();
    let result = transform(record, steps, errors)
        .and_then(|record| record.map(|record| encode(&record, converters, errors)).transpose());
    ended(origin, result)
}

fn ended(origin: Origin, result: Result<Option<Encoded>, Box<Failure>>) -> Option<Outcome> {
    match origin {
        Origin::Source { partition, offset } => Some(Outcome { partition, offset, result }),
        // A source whose records come from a topic has nothing to commit: a bug in the plugin.
        Origin::Sink { .. } => None,
    }
}

/// Applies all steps in order.
pub(in crate::worker) fn transform(
    record: Record,
    steps: &mut [Step],
    errors: &ErrorOperator,
) -> Result<Option<Record>, Box<Failure>> {
    let mut record = record;
    for step in steps {
        let class = step.transform.class.clone();
        let mut given = Some(record);
        let applied = errors.attempt(Stage::Transformation, &class, || match given.take() {
            Some(record) => step.apply(record).map_err(ConvertError::from),
            None => Ok(None),
        })?;
        match applied {
            Some(changed) => record = changed,
            None => return Ok(None),
        }
    }
    Ok(Some(record))
}

fn encode(record: &Record, converters: &Converters, errors: &ErrorOperator) -> Result<Encoded, Box<Failure>> {
    let topic = &*record.topic;
    let mut headers: Vec<(String, Option<Bytes>)> = Vec::with_capacity(record.headers.len());
    for header in &record.headers {
        let value = errors.attempt(Stage::HeaderConverter, &converters.header.class, || {
            converters.header.plugin.from_connect(topic, header)
        })?;
        headers.push((header.key.clone(), value));
    }
    let key = errors.attempt(Stage::KeyConverter, &converters.key.class, || {
        converters.key.plugin.from_connect(topic, &mut headers, &record.key)
    })?;
    let value = errors.attempt(Stage::ValueConverter, &converters.value.class, || {
        converters.value.plugin.from_connect(topic, &mut headers, &record.value)
    })?;
    let header = |(key, value): (String, Option<Bytes>)| Header { key: Bytes::from(key.into_bytes()), value };
    Ok(Encoded {
        topic: record.topic.clone(),
        partition: record.partition,
        timestamp: record.timestamp,
        key,
        value,
        headers: headers.into_iter().map(header).collect(),
    })
}
