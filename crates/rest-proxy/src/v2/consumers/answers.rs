//! Records as the client reads them.
//!
//! A record that cannot be shown in the format of the instance makes the read fail, as with the original: 408 with
//! 40801, once. The next read shows its bytes as base64 beside what is wrong with them, and goes on behind it.

use milena_schema::client::RegistryClient;
use milena_schema::wire;
use serde_json::json;

use super::stash::TakenRecord;
use crate::error::{RestError, Result};
use crate::formats::{self, Format, Undecodable, binary};

/// What records are shown with beyond the members of the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Include {
    headers: bool,
    timestamp: bool,
}

impl Include {
    /// A list of `headers` and `timestamp`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn parse(list: &str) -> Result<Include> {
        let mut include = Include::default();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "headers" => include.headers = true,
                "timestamp" => include.timestamp = true,
                other => {
                    return Err(RestError::bad_request(format!("include: {other} is neither headers nor timestamp")));
                }
            }
        }
        Ok(include)
    }
}

/// How records are shown.
#[derive(Clone)]
pub struct Style {
    /// The format of the instance.
    pub format: Format,
    /// Where schemas are.
    pub registry: Option<RegistryClient>,
    /// What is shown of them.
    pub include: Include,
}

/// The records of an answer.
pub struct Shown {
    /// A JSON array.
    pub body: Vec<u8>,
    /// The first record that is not in it, and why.
    pub failure: Option<(usize, Undecodable)>,
}

/// Shows `records` as an array, up to the first that cannot be shown. `told` was complained about before: its bytes are
/// shown. May block.
pub fn show(records: &[TakenRecord], style: &Style, told: Option<&TakenRecord>) -> Shown {
    let bytes: usize = records.iter().map(|record| record.value.as_ref().map_or(0, Vec::len) + 100).sum();
    let mut body = Vec::with_capacity(bytes);
    body.push(b'[');
    for (index, record) in records.iter().enumerate() {
        let before = body.len();
        if index > 0 {
            body.push(b',');
        }
        let is_told = told.is_some_and(|told| told.is_same(record));
        if let Err(failure) = show_one(record, style, is_told, &mut body) {
            body.truncate(before);
            body.push(b']');
            return Shown { body, failure: Some((index, failure)) };
        }
    }
    body.push(b']');
    Shown { body, failure: None }
}

fn show_one(record: &TakenRecord, style: &Style, is_told: bool, output: &mut Vec<u8>) -> Result<(), Undecodable> {
    output.extend_from_slice(b"{\"topic\":");
    output.extend_from_slice(json!(&*record.topic).to_string().as_bytes());
    let mut complaints = Vec::new();
    for (name, bytes, header) in
        [("key", record.key.as_deref(), wire::KEY_HEADER), ("value", record.value.as_deref(), wire::VALUE_HEADER)]
    {
        output.extend_from_slice(format!(",\"{name}\":").as_bytes());
        let before = output.len();
        let of_schema = style.format.schema_type().and_then(|_| record.header(header));
        match formats::read(style.format, style.registry.as_ref(), bytes, of_schema, output) {
            Ok(()) => {}
            Err(Undecodable::Bytes(reason)) if is_told => {
                output.truncate(before);
                output.extend_from_slice(b"null,");
                output.extend_from_slice(format!("\"raw_{name}\":").as_bytes());
                binary::write(bytes.unwrap_or_default(), output);
                complaints.push(format!("{name}: {reason}"));
            }
            Err(Undecodable::Bytes(reason)) => return Err(Undecodable::Bytes(format!("{name}: {reason}"))),
            Err(other) => return Err(other),
        }
    }
    let (partition, offset) = (record.partition, record.offset);
    output.extend_from_slice(format!(",\"partition\":{partition},\"offset\":{offset}").as_bytes());
    if style.include.timestamp {
        output.extend_from_slice(format!(",\"timestamp\":{}", record.timestamp).as_bytes());
    }
    if style.include.headers {
        let headers = record.headers.iter().map(|header| {
            let name = String::from_utf8_lossy(&header.key);
            let mut value = b"null".to_vec();
            if let Some(bytes) = &header.value {
                value.clear();
                binary::write(bytes, &mut value);
            }
            format!("{{\"name\":{},\"value\":{}}}", json!(name), String::from_utf8_lossy(&value))
        });
        let headers: Vec<String> = headers.collect();
        output.extend_from_slice(format!(",\"headers\":[{}]", headers.join(",")).as_bytes());
    }
    if !complaints.is_empty() {
        let error = json!(complaints.join("; "));
        output.extend_from_slice(format!(",\"error_code\":40801,\"error\":{error}").as_bytes());
    }
    output.push(b'}');
    Ok(())
}

impl TakenRecord {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|header| header.key == name.as_bytes()).and_then(|header| header.value.as_deref())
    }

    /// Whether it is the same record of the same partition.
    pub fn is_same(&self, other: &TakenRecord) -> bool {
        (self.partition, self.offset, &self.topic) == (other.partition, other.offset, &other.topic)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use milena_protocol::record::Header;

    use super::*;

    fn record(offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> TakenRecord {
        TakenRecord {
            topic: Arc::from("t"),
            partition: 2,
            offset,
            timestamp: 7,
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            headers: vec![Header { key: "h".into(), value: None }],
            of: 0,
        }
    }

    fn style(format: Format, include: &str) -> Style {
        Style { format, registry: None, include: Include::parse(include).unwrap() }
    }

    fn text(shown: &Shown) -> &str {
        std::str::from_utf8(&shown.body).unwrap()
    }

    #[test]
    fn records_are_shown_as_the_original_does() {
        let records = [record(5, Some(b"\"k\""), Some(b"{\"a\":1.50}")), record(6, None, None)];
        let shown = show(&records, &style(Format::Json, ""), None);
        let first = r#"{"topic":"t","key":"k","value":{"a":1.50},"partition":2,"offset":5}"#;
        let second = r#"{"topic":"t","key":null,"value":null,"partition":2,"offset":6}"#;
        assert_eq!(text(&shown), format!("[{first},{second}]"));
        assert!(shown.failure.is_none());
        assert_eq!(text(&show(&[], &style(Format::Json, ""), None)), "[]");
        let shown = show(&records[1..], &style(Format::Binary, "headers, timestamp"), None);
        let second = second.replace('}', r#","timestamp":7,"headers":[{"name":"h","value":null}]}"#);
        assert_eq!(text(&shown), format!("[{second}]"));
        assert!(Include::parse("headers,keys").is_err());
    }

    #[test]
    fn what_cannot_be_shown_ends_the_answer_and_is_shown_raw_once_it_was_told() {
        let records = [record(1, None, Some(b"1")), record(2, None, Some(b"x")), record(3, None, Some(b"3"))];
        let shown = show(&records, &style(Format::Json, ""), None);
        assert_eq!(text(&shown), r#"[{"topic":"t","key":null,"value":1,"partition":2,"offset":1}]"#);
        assert!(matches!(shown.failure, Some((1, Undecodable::Bytes(_)))));
        let shown = show(&records[1..], &style(Format::Json, ""), None);
        assert!(matches!((text(&shown), shown.failure.as_ref()), ("[]", Some((0, _)))));
        let shown = show(&records[1..], &style(Format::Json, ""), Some(&records[1]));
        let array: serde_json::Value = serde_json::from_slice(&shown.body).unwrap();
        assert_eq!((&array[0]["value"], &array[0]["raw_value"]), (&serde_json::Value::Null, &json!("eA==")));
        assert_eq!((&array[0]["error_code"], &array[1]["value"]), (&json!(40801), &json!(3)));
        // Without a registry nothing can be said about the record.
        let shown = show(&records, &style(Format::Avro, ""), Some(&records[0]));
        assert!(matches!(shown.failure, Some((0, Undecodable::Registry(_)))));
    }
}
