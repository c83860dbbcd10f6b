//! Records of a sink on their way from bytes: converters, then transforms.

use std::collections::VecDeque;

use bytes::Bytes;

use super::raw::RawRecord;
use crate::data::Typed;
use crate::plugin::Converter;
use crate::record::{Header, Origin, Record};
use crate::worker::errors::{ErrorOperator, Failure, Stage};
use crate::worker::pipeline::{Converters, Named, Step};
use crate::worker::source::convert::transform;

/// Records that were converted together, before anything is done about those that failed.
pub(super) struct Converted {
    /// As they were read.
    pub raw: Vec<RawRecord>,
    /// What has become of them.
    pub records: Vec<Record>,
    /// Which have failed, by their place in `raw`. Nothing comes after one that is not tolerated.
    pub failures: Vec<(usize, Box<Failure>)>,
}

/// Takes the next of `read`, at most `max`, and converts them. May block, as [`process`].
pub(super) fn next(
    read: &mut VecDeque<RawRecord>,
    max: usize,
    steps: &mut [Step],
    converters: &Converters,
    errors: &ErrorOperator,
) -> Converted {
    let raw: Vec<RawRecord> = read.drain(..read.len().min(max)).collect();
    tokio::task::block_in_place(|| {
        let (mut records, mut failures) = (Vec::with_capacity(raw.len()), Vec::new());
        for (index, record) in raw.iter().enumerate() {
            match process(record, steps, converters, errors) {
                Ok(record) => records.extend(record),
                Err(failure) => {
                    failures.push((index, failure));
                    if !errors.tolerates() {
                        break;
                    }
                }
            }
        }
        Converted { raw, records, failures }
    })
}

/// Converts and transforms one record; `None` when a transform drops it. May block: on a registry, and between attempts.
fn process(
    raw: &RawRecord,
    steps: &mut [Step],
    converters: &Converters,
    errors: &ErrorOperator,
) -> Result<Option<Record>, Box<Failure>> {
    let named: Vec<(String, Option<Bytes>)> = raw
        .headers
        .iter()
        .map(|header| (String::from_utf8_lossy(&header.key).into_owned(), header.value.clone()))
        .collect();
    let topic = &*raw.topic;
    let field =
        |stage: Stage, converter: &Named<dyn Converter>, bytes: Option<&Bytes>| -> Result<Typed, Box<Failure>> {
            errors.attempt(stage, &converter.class, || converter.plugin.to_connect(topic, &named, bytes))
        };
    let key = field(Stage::KeyConverter, &converters.key, raw.key.as_ref())?;
    let value = field(Stage::ValueConverter, &converters.value, raw.value.as_ref())?;
    let mut headers = Vec::with_capacity(named.len());
    for (name, bytes) in &named {
        let value = errors.attempt(Stage::HeaderConverter, &converters.header.class, || {
            converters.header.plugin.to_connect(topic, name, bytes.as_ref())
        })?;
        headers.push(Header { key: name.clone(), value });
    }
    let record = Record {
        topic: raw.topic.clone(),
        partition: Some(raw.partition),
        key,
        value,
        timestamp: (raw.timestamp >= 0).then_some(raw.timestamp),
        headers,
        origin: Origin::Sink {
            topic: raw.topic.clone(),
            partition: raw.partition,
            offset: raw.offset,
            log_append_time: raw.log_append_time,
        },
    };
    transform(record, steps, errors)
}
