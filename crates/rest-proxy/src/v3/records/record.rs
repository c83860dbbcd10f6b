//! One record of v3: from JSON to what the producer takes, and what is answered about it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use milena_protocol::record::Header;
use milena_schema::client::SchemaText;
use milena_schema::subject_name::SubjectNameStrategy;
use milena_schema::{Reference, SchemaType};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{RestError, Result};
use crate::formats::{Encoded, Format, GivenSchema, SchemaChoice, encode_with_schema};
use crate::produce::{Record, Written};
use crate::state::Proxy;
use crate::v3::scope::bad_request;

/// The body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRecord {
    /// Of an entry of a batch.
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    partition_id: Option<i32>,
    #[serde(default)]
    headers: Option<Vec<NewHeader>>,
    #[serde(default)]
    key: Option<Part>,
    #[serde(default)]
    value: Option<Part>,
    #[serde(default)]
    timestamp: Option<Time>,
    /// Of older releases, without effect.
    #[serde(default, rename = "original_size")]
    _original_size: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewHeader {
    name: String,
    /// Base64.
    #[serde(default)]
    value: Option<String>,
    /// The same as text.
    #[serde(default)]
    string: Option<String>,
}

/// ISO 8601, or milliseconds since 1970.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Time {
    Text(String),
    Millis(i64),
}

/// A key or value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    #[serde(default, rename = "type")]
    format: Option<String>,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    subject_name_strategy: Option<String>,
    #[serde(default)]
    schema_id: Option<i32>,
    #[serde(default)]
    schema_version: Option<i32>,
    #[serde(default)]
    schema: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
    #[serde(default)]
    data: Value,
}

/// What is answered about a key or value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    #[serde(rename = "type")]
    format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<i32>,
    size: usize,
}

/// A record that can be handed to the producer.
#[derive(Debug)]
pub struct Ready {
    /// For the producer.
    pub record: Record,
    /// For the answer.
    pub key: Option<Told>,
    /// For the answer.
    pub value: Option<Told>,
}

impl NewRecord {
    /// Encodes key and value.
    ///
    /// # Errors
    /// 400 for what does not go together, 40402 for a negative partition, the registry's and the schema's refusals.
    pub async fn ready(self, proxy: &Proxy, topic: &str) -> Result<Ready> {
        if self.partition_id.is_some_and(|partition| partition < 0) {
            return Err(RestError::PartitionNotFound(None));
        }
        let headers = self.headers.unwrap_or_default().into_iter().map(NewHeader::header).collect::<Result<_>>()?;
        let timestamp = self.timestamp.map_or_else(|| Ok(now()), Time::millis)?;
        let (key, told_key) = encode(self.key, proxy, topic, true).await?;
        let (value, told_value) = encode(self.value, proxy, topic, false).await?;
        let record = Record { partition: self.partition_id, timestamp, key, value, headers };
        Ok(Ready { record, key: told_key, value: told_value })
    }
}

async fn encode(
    part: Option<Part>,
    proxy: &Proxy,
    topic: &str,
    is_key: bool,
) -> Result<(Option<Vec<u8>>, Option<Told>)> {
    let Some(part) = part else { return Ok((None, None)) };
    let (bytes, told) = match part.kind()? {
        Kind::Plain(format) => {
            let bytes = plain(format, &part.data)?;
            let size = bytes.as_ref().map_or(0, Vec::len);
            (bytes, Told { format: type_name(format), subject: None, schema_id: None, schema_version: None, size })
        }
        Kind::Schema(_) if part.data.is_null() => return Ok((None, None)),
        Kind::Schema(choice) => {
            let encoded = encode_with_schema(proxy, topic, is_key, &choice, &part.data).await?;
            let Encoded { bytes, format, subject, schema_id, schema_version } = encoded;
            let (subject, schema_id, size) = (Some(subject), Some(schema_id), bytes.len());
            (Some(bytes), Told { format: type_name(format), subject, schema_id, schema_version, size })
        }
    };
    Ok((bytes, Some(told)))
}

enum Kind {
    Plain(Format),
    Schema(SchemaChoice),
}

impl Part {
    /// Which of the allowed combinations of members it is.
    fn kind(&self) -> Result<Kind> {
        let format = self.format.as_deref().map(format_named).transpose()?;
        let has_subject = self.subject.is_some() || self.subject_name_strategy.is_some();
        let named = [self.schema_id.is_some(), self.schema_version.is_some(), self.schema.is_some()];
        let named = named.iter().filter(|is_some| **is_some).count();
        if self.subject.is_some() && self.subject_name_strategy.is_some() {
            return Err(bad_request("only one of 'subject' or 'subject_name_strategy' can be used."));
        }
        match format {
            Some(format @ (Format::Binary | Format::Json | Format::String)) => {
                if named > 0 || has_subject {
                    let name = type_name(format);
                    return Err(bad_request(format!("'type={name}' cannot be used with schemas and subjects.")));
                }
                Ok(Kind::Plain(format))
            }
            Some(format) => match &self.schema {
                Some(schema) if named == 1 => {
                    let references = self.references.clone().unwrap_or_default();
                    let text = SchemaText { schema: schema.clone(), schema_type: schema_type(format), references };
                    self.with(GivenSchema::Text(text))
                }
                _ => Err(bad_request(format!(
                    "'type={}' needs 'schema', and nothing else that names one.",
                    type_name(format)
                ))),
            },
            None if self.schema.is_some() => Err(bad_request("'schema' needs 'type'.")),
            None => match (self.schema_id, self.schema_version) {
                (Some(_), Some(_)) => Err(bad_request("only one of 'schema_id' or 'schema_version' can be used.")),
                (Some(id), None) => self.with(GivenSchema::Id(id)),
                (None, Some(version)) => self.with(GivenSchema::Version(version)),
                (None, None) => self.with(GivenSchema::Latest),
            },
        }
    }

    fn with(&self, given: GivenSchema) -> Result<Kind> {
        let strategy = self.subject_name_strategy.as_deref().map(strategy_named).transpose()?;
        let needs_schema = matches!(strategy, Some(SubjectNameStrategy::Record | SubjectNameStrategy::TopicRecord));
        if needs_schema && matches!(given, GivenSchema::Version(_) | GivenSchema::Latest) {
            return Err(bad_request("'subject_name_strategy' must not depend on the schema here."));
        }
        Ok(Kind::Schema(SchemaChoice { given, subject: self.subject.clone(), strategy }))
    }
}

fn plain(format: Format, data: &Value) -> Result<Option<Vec<u8>>> {
    match (format, data) {
        (_, Value::Null) => Ok(None),
        (Format::Binary, Value::String(text)) => {
            BASE64.decode(text).map(Some).map_err(|_| bad_request(format!("data={data} is not a base64 string.")))
        }
        (Format::Binary, _) => Err(bad_request(format!("data={data} is not a base64 string."))),
        (Format::String, Value::String(text)) => Ok(Some(text.clone().into_bytes())),
        (Format::String, _) => Err(bad_request(format!("data={data} is not a string."))),
        (_, data) => serde_json::to_vec(data).map(Some).map_err(bad_request),
    }
}

impl NewHeader {
    fn header(self) -> Result<Header> {
        let value = match (self.value, self.string) {
            (Some(_), Some(_)) => return Err(bad_request("a header has either 'value' or 'string'.")),
            (Some(value), None) => {
                let decoded = BASE64.decode(&value);
                Some(decoded.map_err(|_| bad_request(format!("value={value} of a header is not a base64 string.")))?)
            }
            (None, text) => text.map(String::into_bytes),
        };
        Ok(Header { key: Bytes::from(self.name), value: value.map(Bytes::from) })
    }
}

impl Time {
    fn millis(self) -> Result<i64> {
        match self {
            Time::Millis(millis) => Ok(millis),
            Time::Text(text) => {
                let parsed: std::result::Result<jiff::Timestamp, _> = text.parse();
                parsed
                    .map(jiff::Timestamp::as_millisecond)
                    .map_err(|_| bad_request(format!("timestamp={text} is not of the form 2026-01-01T00:00:00Z.")))
            }
        }
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// As `2026-01-01T00:00:00.500Z`; without the fraction when there is none.
fn iso(millis: i64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(if millis % 1000 == 0 { format!("{at:.0}") } else { format!("{at:.3}") })
}

fn format_named(name: &str) -> Result<Format> {
    let formats = [Format::Binary, Format::Json, Format::String, Format::Avro, Format::JsonSchema, Format::Protobuf];
    let found = formats.into_iter().find(|format| type_name(*format).eq_ignore_ascii_case(name));
    found
        .ok_or_else(|| bad_request(format!("type={name} is unknown; there are {}.", formats.map(type_name).join(", "))))
}

fn type_name(format: Format) -> &'static str {
    match format {
        Format::Binary => "BINARY",
        Format::Json => "JSON",
        Format::String => "STRING",
        Format::Avro => "AVRO",
        Format::JsonSchema => "JSONSCHEMA",
        Format::Protobuf => "PROTOBUF",
    }
}

fn schema_type(format: Format) -> SchemaType {
    match format {
        Format::JsonSchema => SchemaType::Json,
        Format::Protobuf => SchemaType::Protobuf,
        _ => SchemaType::Avro,
    }
}

fn strategy_named(name: &str) -> Result<SubjectNameStrategy> {
    match name {
        "TOPIC_NAME" => Ok(SubjectNameStrategy::Topic),
        "RECORD_NAME" => Ok(SubjectNameStrategy::Record),
        "TOPIC_RECORD_NAME" => Ok(SubjectNameStrategy::TopicRecord),
        _ => Err(bad_request(format!(
            "subject_name_strategy={name} is unknown; there are TOPIC_NAME, RECORD_NAME, TOPIC_RECORD_NAME."
        ))),
    }
}

/// A record that was written, as it is answered.
#[derive(Debug, Serialize)]
pub struct Success<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<i32>,
    cluster_id: &'a str,
    topic_name: &'a str,
    partition_id: i32,
    offset: i64,
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Told>,
}

/// What the answer tells besides the place.
#[derive(Debug)]
pub struct Sent {
    /// When, as the client says, in milliseconds since 1970.
    pub timestamp: i64,
    /// The key.
    pub key: Option<Told>,
    /// The value.
    pub value: Option<Told>,
}

impl Sent {
    /// The answer; an entry of a batch has an id instead of a code.
    pub fn success<'a>(self, cluster_id: &'a str, topic: &'a str, at: Written, id: Option<&'a str>) -> Success<'a> {
        Success {
            id,
            error_code: if id.is_some() { None } else { Some(200) },
            cluster_id,
            topic_name: topic,
            partition_id: at.partition,
            offset: at.offset,
            timestamp: iso(at.log_append_time_ms.unwrap_or(self.timestamp)),
            key: self.key,
            value: self.value,
        }
    }
}

/// Messages may repeat what the client has sent, which may be long, and many may wait for a client that reads slowly.
const MESSAGE_BYTES_MAX: usize = 2000;

/// A record that was not written.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Failure<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    error_code: i32,
    message: String,
}

impl<'a> Failure<'a> {
    /// Constraints of records are told with their code in the message, as the original does.
    pub fn new(error: &RestError, id: Option<&'a str>) -> Failure<'a> {
        let (status, code) = (i32::from(error.status()), error.code());
        let (code, mut message) = match status == 422 && code != status {
            true => (status, format!("Error: {code} : {error}")),
            false => (code, error.to_string()),
        };
        if message.len() > MESSAGE_BYTES_MAX {
            message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
            message.push('…');
        }
        Failure { id, error_code: code, message }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(part: Value) -> Result<Kind> {
        serde_json::from_value::<Part>(part).map_err(bad_request)?.kind()
    }

    #[test]
    fn what_is_told_of_a_bad_record_does_not_grow_with_it() {
        let failure = Failure::new(&bad_request("ü".repeat(1_000_000)), None);
        assert!(
            failure.message.len() < MESSAGE_BYTES_MAX + 10 && failure.message.ends_with("ü…"),
            "{}",
            failure.message.len()
        );
        assert_eq!(Failure::new(&bad_request("short"), None).message, "Bad Request: short");
    }

    #[test]
    fn only_the_documented_combinations_of_members_are_taken() {
        let allowed = [
            json!({"type": "BINARY", "data": "YQ=="}),
            json!({"type": "STRING", "data": "a"}),
            json!({"type": "AVRO", "schema": "\"int\"", "data": 1}),
            json!({"type": "AVRO", "schema": "\"int\"", "subject": "s", "data": 1}),
            json!({"schema_id": 1, "subject_name_strategy": "RECORD_NAME", "data": 1}),
            json!({"schema_version": 1, "subject": "s", "data": 1}),
            json!({"data": 1}),
        ];
        for part in allowed {
            assert!(kind(part.clone()).is_ok(), "{part}");
        }
        let refused = [
            json!({"type": "JSON", "schema_id": 1, "data": 1}),
            json!({"type": "STRING", "subject": "s", "data": "a"}),
            json!({"type": "AVRO", "data": 1}),
            json!({"type": "AVRO", "schema": "\"int\"", "schema_id": 1, "data": 1}),
            json!({"schema": "\"int\"", "data": 1}),
            json!({"schema_id": 1, "schema_version": 1, "data": 1}),
            json!({"schema_id": 1, "subject": "s", "subject_name_strategy": "TOPIC_NAME", "data": 1}),
            json!({"schema_version": 1, "subject_name_strategy": "RECORD_NAME", "data": 1}),
            json!({"type": "YAML", "data": 1}),
            json!({"type": "JSON", "daten": 1}),
        ];
        for part in refused {
            assert_eq!(kind(part.clone()).err().map(|error| error.status()), Some(400), "{part}");
        }
    }

    #[test]
    fn data_is_what_its_type_says() {
        assert_eq!(plain(Format::Binary, &json!("YQ==")), Ok(Some(b"a".to_vec())));
        assert_eq!(plain(Format::Json, &json!({"b": [1, null]})), Ok(Some(b"{\"b\":[1,null]}".to_vec())));
        assert_eq!(plain(Format::Json, &Value::Null), Ok(None));
        let message = plain(Format::Binary, &json!(1)).unwrap_err().to_string();
        assert_eq!(message, "Bad Request: data=1 is not a base64 string.");
    }

    #[test]
    fn times_are_iso_8601_or_milliseconds() {
        let millis = |json: Value| serde_json::from_value::<Time>(json).unwrap().millis();
        assert_eq!(millis(json!("1970-01-01T00:00:01.500Z")), Ok(1500));
        assert_eq!(millis(json!(1500)), Ok(1500));
        assert!(millis(json!("yesterday")).is_err());
        assert_eq!(iso(1500).as_deref(), Some("1970-01-01T00:00:01.500Z"));
        assert_eq!(iso(2000).as_deref(), Some("1970-01-01T00:00:02Z"));
    }

    #[test]
    fn failures_of_constraints_carry_their_code_in_the_message() {
        let failure = Failure::new(&RestError::InvalidPayload("x".to_owned()), None);
        assert_eq!((failure.error_code, failure.message.as_str()), (422, "Error: 42206 : Payload error. x"));
        assert_eq!(Failure::new(&RestError::PartitionNotFound(None), None).error_code, 40402);
    }
}
