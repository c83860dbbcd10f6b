//! Records as they are in their topic.

use std::sync::Arc;

use bytes::Bytes;
use milena_client::Error;
use milena_client::consumer::Fetched;
use milena_protocol::record::{Header, TimestampType};

/// A record before anything was done to it.
#[derive(Debug, Clone)]
pub(in crate::worker) struct RawRecord {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970; -1 when there is none.
    pub timestamp: i64,
    pub log_append_time: bool,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

impl RawRecord {
    /// Key and value for a log that is to show them.
    pub fn describe(&self) -> String {
        let text = |bytes: &Option<Bytes>| match bytes {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => "null".to_owned(),
        };
        format!(", timestamp={}, key='{}', value='{}'", self.timestamp, text(&self.key), text(&self.value))
    }
}

/// All records of a fetch.
///
/// # Errors
/// A batch that cannot be read.
pub(super) fn records(fetched: &Fetched) -> Result<Vec<RawRecord>, Error> {
    let topic: Arc<str> = fetched.tp.topic.as_str().into();
    let mut records = Vec::new();
    fetched.for_each::<Error>(|read| {
        let headers = read
            .record
            .headers()
            .map(|(key, value)| Header { key: Bytes::copy_from_slice(key), value: value.map(Bytes::copy_from_slice) });
        records.push(RawRecord {
            topic: topic.clone(),
            partition: fetched.tp.partition,
            offset: read.record.offset,
            timestamp: read.record.timestamp,
            log_append_time: read.timestamp_type == TimestampType::LogAppendTime,
            key: read.record.key.map(Bytes::copy_from_slice),
            value: read.record.value.map(Bytes::copy_from_slice),
            headers: headers.collect(),
        });
        Ok(true)
    })?;
    Ok(records)
}
