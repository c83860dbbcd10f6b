//! Records of one call: all of them become bytes before the first is handed to the producer.
//!
//! So a value that does not fit refuses the whole call and nothing of it is written; what the brokers then say of each
//! record stands in its place in the answer. `headers` and `timestamp` of a record are ours: the original has neither.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use milena_protocol::record::Header;
use milena_schema::client::SchemaText;
use milena_schema::{Reference, SchemaType};
use serde::Serialize;

use super::body::{self, Members};
use super::metadata::partition_number;
use crate::error::{RestError, Result};
use crate::formats::raw::RawJson;
use crate::formats::schema::{self, Prepared};
use crate::formats::{Format, GivenSchema, SchemaChoice, binary};
use crate::http::{Answer, Call};
use crate::produce::{Pending, Record, Written};
use crate::state::Proxy;

/// Bodies beyond this are encoded on a thread of their own, so that they hold up nobody.
const INLINE_BYTES_MAX: usize = 256 * 1024;

/// POST `/topics/{topic}`.
pub async fn to_topic(call: Call) -> Result<Answer> {
    produce(call, None).await
}

/// POST `/topics/{topic}/partitions/{partition}`.
pub async fn to_partition(call: Call) -> Result<Answer> {
    let partition = partition_number(call.parameter(1))?;
    produce(call, Some(partition)).await
}

async fn produce(mut call: Call, partition: Option<i32>) -> Result<Answer> {
    let body = call.bytes().await?;
    let Schemas { key, value } = Schemas::read(&body, call.content)?;
    let (proxy, topic) = (call.proxy.clone(), call.parameter(0).to_owned());
    let plan = Plan {
        key: Side::find(&proxy, &topic, true, key).await?,
        value: Side::find(&proxy, &topic, false, value).await?,
        partition,
        now: now(),
        null_is_no_value: proxy.config.null_body_publishes_empty,
    };
    let ids = (plan.key.id(), plan.value.id());
    let records = encoded(body, plan).await?;
    let producer = proxy.kafka().await?.records;
    let mut queue = producer.topic(&topic).await?;
    let is_there = |partition: i32| producer.has_partition(&topic, partition);
    if !records.iter().filter_map(|record| record.partition).all(is_there) {
        queue = producer.topic_anew(&topic).await?;
    }
    if let Some(partition) = partition.filter(|partition| !is_there(*partition)) {
        return Err(RestError::PartitionNotFound(Some(partition)));
    }
    let mut handed_over = Vec::with_capacity(records.len());
    for record in &records {
        handed_over.push(producer.append(&queue, record).await);
    }
    drop(records);
    answer(outcomes(handed_over).await, ids)
}

/// What became of each record.
async fn outcomes(handed_over: Vec<Result<Pending>>) -> Vec<Result<Written>> {
    let mut outcomes = Vec::with_capacity(handed_over.len());
    for pending in handed_over {
        outcomes.push(match pending {
            Ok(pending) => pending.outcome().await,
            Err(error) => Err(error),
        });
    }
    outcomes
}

#[derive(Serialize)]
struct Produced {
    offsets: Vec<Outcome>,
    key_schema_id: Option<i32>,
    value_schema_id: Option<i32>,
}

#[derive(Serialize)]
struct Outcome {
    partition: Option<i32>,
    offset: Option<i64>,
    error_code: Option<i32>,
    error: Option<String>,
}

/// 200 whatever the brokers say, except of the client's rights, and of records that are all too large.
fn answer(
    outcomes: Vec<Result<Written>>,
    (key_schema_id, value_schema_id): (Option<i32>, Option<i32>),
) -> Result<Answer> {
    let all_too_large = outcomes.iter().all(|outcome| matches!(outcome, Err(RestError::RecordTooLarge(_))));
    if let (true, Some(Err(error))) = (all_too_large, outcomes.first()) {
        return Err(error.clone());
    }
    let failed = |status| outcomes.iter().any(|outcome| matches!(outcome, Err(error) if error.status() == status));
    let status = [401, 403].into_iter().find(|status| failed(*status)).unwrap_or(200);
    let offsets = outcomes.into_iter().map(|outcome| match outcome {
        Ok(Written { partition, offset, .. }) => {
            Outcome { partition: Some(partition), offset: Some(offset), error_code: None, error: None }
        }
        Err(error) => {
            Outcome { partition: None, offset: None, error_code: Some(error.code()), error: Some(error.to_string()) }
        }
    });
    Answer::with_status(status, &Produced { offsets: offsets.collect(), key_schema_id, value_schema_id })
}

/// The schemas that a body names.
struct Schemas {
    key: Wanted,
    value: Wanted,
}

enum Wanted {
    /// The format has none.
    Plain(Format),
    Schema(GivenSchema),
    /// The format has one, and the body does not tell which.
    Missing,
}

impl Schemas {
    fn read(body: &Bytes, format: Format) -> Result<Schemas> {
        let mut members = Members::of(body::parse(body)?, "")?;
        let schemas = Schemas {
            key: wanted(&mut members, format, "key_schema")?,
            value: wanted(&mut members, format, "value_schema")?,
        };
        match members.take("records").filter(|records| !records.is_null()) {
            None => return Err(members.missing("records")),
            Some(records) if records.elements().is_some_and(|records| records.is_empty()) => {
                return Err(RestError::Validation("records may not be empty".to_owned()));
            }
            Some(_) => {}
        }
        members.finish()?;
        Ok(schemas)
    }
}

/// `key_schema`, `key_schema_id` and, ours, `key_schema_references`; or the same of values.
fn wanted(members: &mut Members<'_>, format: Format, name: &str) -> Result<Wanted> {
    let text = members.text(name)?;
    let id = members.integer(&format!("{name}_id"))?;
    let references = members.given(&format!("{name}_references"));
    let Some(schema_type) = format.schema_type() else { return Ok(Wanted::Plain(format)) };
    match (text, id) {
        (Some(_), Some(_)) => Err(RestError::bad_request(format!("Only one of {name} and {name}_id can be given"))),
        (Some(schema), None) => {
            let references = references.map_or(Ok(Vec::new()), |raw| references_of(name, raw))?;
            Ok(Wanted::Schema(GivenSchema::Text(SchemaText { schema, schema_type, references })))
        }
        (None, Some(id)) => match i32::try_from(id) {
            Ok(id) => Ok(Wanted::Schema(GivenSchema::Id(id))),
            Err(_) => Err(RestError::bad_request(format!("{name}_id {id} is beyond the largest there can be"))),
        },
        (None, None) => Ok(Wanted::Missing),
    }
}

fn references_of(name: &str, raw: RawJson<'_>) -> Result<Vec<Reference>> {
    serde_json::from_str(raw.text())
        .map_err(|error| RestError::bad_request(format!("{name}_references cannot be read: {error}")))
}

/// How the keys or the values of a call become bytes.
enum Side {
    Plain(Format),
    Schema(Arc<Prepared>),
    Missing,
}

impl Side {
    async fn find(proxy: &Proxy, topic: &str, is_key: bool, wanted: Wanted) -> Result<Side> {
        Ok(match wanted {
            Wanted::Plain(format) => Side::Plain(format),
            Wanted::Missing => Side::Missing,
            Wanted::Schema(given) => {
                let choice = SchemaChoice { given, subject: None, strategy: None };
                Side::Schema(schema::prepare(proxy, topic, is_key, &choice).await?)
            }
        })
    }

    fn id(&self) -> Option<i32> {
        match self {
            Side::Schema(prepared) => Some(prepared.id),
            Side::Plain(_) | Side::Missing => None,
        }
    }

    /// The bytes of `data`, which is at `place`; `None` is null.
    fn encode(&self, data: RawJson<'_>, place: &str, null_is_no_value: bool) -> Result<Option<Vec<u8>>> {
        match self {
            Side::Schema(prepared) if data.is_null() => null(prepared, place, null_is_no_value),
            _ if data.is_null() => Ok(None),
            Side::Plain(Format::Binary) => {
                let text = data.string().ok_or_else(|| {
                    RestError::bad_request(format!("{place} must be a string of base64, not {}", data.kind()))
                })?;
                let bytes = binary::bytes_of(&text);
                bytes.map(Some).ok_or_else(|| RestError::bad_request(format!("{place} is not a base64 string")))
            }
            Side::Plain(_) => Ok(Some(data.compact())),
            Side::Schema(prepared) => {
                let value = data.value().map_err(|error| RestError::bad_request(format!("{place}: {error}")))?;
                prepared.write(&value, Some(data)).map(Some).map_err(|error| at(place, error))
            }
            Side::Missing if place.ends_with(".key") => Err(RestError::KeySchemaMissing),
            Side::Missing => Err(RestError::ValueSchemaMissing),
        }
    }
}

/// What `null` becomes where there is a schema: the schema has to allow it, and Avro then writes no value at all.
fn null(prepared: &Prepared, place: &str, null_is_no_value: bool) -> Result<Option<Vec<u8>>> {
    if null_is_no_value {
        return Ok(None);
    }
    let bytes = prepared.write(&serde_json::Value::Null, None).map_err(|error| at(place, error))?;
    Ok(Some(bytes).filter(|_| prepared.schema.schema_type() != SchemaType::Avro))
}

/// Says which record does not fit, and that none was written.
fn at(place: &str, error: RestError) -> RestError {
    match error {
        RestError::Conversion(message) => {
            RestError::Conversion(format!("{place}: {message}. No record of the request was written"))
        }
        other => other,
    }
}

/// Everything that the records of a call have in common.
struct Plan {
    key: Side,
    value: Side,
    partition: Option<i32>,
    now: i64,
    null_is_no_value: bool,
}

async fn encoded(body: Bytes, plan: Plan) -> Result<Vec<Record>> {
    if body.len() <= INLINE_BYTES_MAX {
        return plan.records(&body);
    }
    let stopped = |_| RestError::Plain { status: 500, message: "The records could not be encoded".to_owned() };
    tokio::task::spawn_blocking(move || plan.records(&body)).await.map_err(stopped)?
}

impl Plan {
    fn records(&self, body: &[u8]) -> Result<Vec<Record>> {
        let mut members = Members::of(RawJson::parsed_before(body), "")?;
        let records = members.array("records")?.unwrap_or_default();
        records.into_iter().map(|(place, raw)| self.record(&place, raw)).collect()
    }

    fn record(&self, place: &str, raw: RawJson<'_>) -> Result<Record> {
        let mut members = Members::of(raw, place)?;
        let mut side = |name: &str, side: &Side| match members.take(name) {
            None => Ok(None),
            Some(data) => side.encode(data, &format!("{place}.{name}"), self.null_is_no_value),
        };
        let key = side("key", &self.key)?;
        let value = side("value", &self.value)?;
        let partition = match members.given("partition") {
            None => None,
            Some(raw) => Some(partition_of(place, raw)?),
        };
        let timestamp = members.given("timestamp").map(|raw| timestamp_of(place, raw)).transpose()?;
        let headers = members.array("headers")?.unwrap_or_default();
        members.finish()?;
        Ok(Record {
            partition: self.partition.or(partition),
            timestamp: timestamp.unwrap_or(self.now),
            key,
            value,
            headers: headers.into_iter().map(|(place, raw)| header_of(&place, raw)).collect::<Result<_>>()?,
        })
    }
}

fn partition_of(place: &str, raw: RawJson<'_>) -> Result<i32> {
    match raw.text().parse::<i64>() {
        Ok(number @ 0..) => i32::try_from(number)
            .map_err(|_| RestError::Validation(format!("{place}.partition is beyond the largest there can be"))),
        Ok(_) => Err(RestError::Validation(format!("{place}.partition must be greater than or equal to 0"))),
        Err(_) => Err(RestError::bad_request(format!("{place}.partition must be an integer, not {}", raw.kind()))),
    }
}

/// Milliseconds since 1970, or a time of ISO 8601.
fn timestamp_of(place: &str, raw: RawJson<'_>) -> Result<i64> {
    let refused = || {
        RestError::bad_request(format!(
            "{place}.timestamp must be milliseconds since 1970 or a time such as 2026-01-01T00:00:00Z"
        ))
    };
    match raw.string() {
        Some(text) => text.parse::<jiff::Timestamp>().map(|time| time.as_millisecond()).map_err(|_| refused()),
        None => raw.text().parse().map_err(|_| refused()),
    }
}

/// `{"name", "value"}` with base64, or `{"name", "string"}` with text.
fn header_of(place: &str, raw: RawJson<'_>) -> Result<Header> {
    let mut members = Members::of(raw, place)?;
    let name = members.needed_text("name")?;
    let (value, text) = (members.text("value")?, members.text("string")?);
    members.finish()?;
    let value = match (value, text) {
        (Some(_), Some(_)) => return Err(RestError::bad_request(format!("{place} has both value and string"))),
        (Some(base64), None) => Some(
            binary::bytes_of(&base64)
                .ok_or_else(|| RestError::bad_request(format!("{place}.value is not a base64 string")))?,
        ),
        (None, text) => text.map(String::into_bytes),
    };
    Ok(Header { key: name.into_bytes().into(), value: value.map(Into::into) })
}

fn now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(format: Format) -> Plan {
        let side = || if format.schema_type().is_some() { Side::Missing } else { Side::Plain(format) };
        Plan { key: side(), value: side(), partition: None, now: 7, null_is_no_value: false }
    }

    /// What a body with `records` comes to.
    fn read(format: Format, records: &str) -> Result<Vec<Record>, (u16, i32, String)> {
        let body = Bytes::from(format!("{{\"records\":{records}}}"));
        Schemas::read(&body, format)
            .and_then(|_| plan(format).records(&body))
            .map_err(|error| (error.status(), error.code(), error.to_string()))
    }

    #[test]
    fn keys_values_and_what_surrounds_them_become_a_record() {
        let records = r#"[{"key":{"a": 1.50},"value":[1, "x y"],"partition":3,"timestamp":"1970-01-01T00:00:01Z",
            "headers":[{"name":"h","value":"AA=="},{"name":"t","string":"x"},{"name":"n"}]},{"value":null},{}]"#;
        let records = read(Format::Json, records).unwrap();
        assert_eq!(records[0].key.as_deref(), Some(&br#"{"a":1.50}"#[..]));
        assert_eq!(records[0].value.as_deref(), Some(&br#"[1,"x y"]"#[..]));
        assert_eq!((records[0].partition, records[0].timestamp), (Some(3), 1000));
        let headers: Vec<_> = records[0].headers.iter().map(|header| header.value.as_deref()).collect();
        assert_eq!(headers, [Some(&b"\0"[..]), Some(&b"x"[..]), None]);
        assert_eq!((records[1].value.as_deref(), records[2].timestamp), (None, 7));
        let binary = read(Format::Binary, r#"[{"key":"a2V5","value":""}]"#).unwrap();
        assert_eq!((binary[0].key.as_deref(), binary[0].value.as_deref()), (Some(&b"key"[..]), Some(&b""[..])));
    }

    #[test]
    fn bodies_that_cannot_be_produced_are_refused() {
        let table = [
            (Format::Json, "null", 422, 422),
            (Format::Json, "[]", 422, 422),
            (Format::Json, "{}", 400, 400),
            (Format::Json, "[5]", 400, 400),
            (Format::Json, r#"[{"value":1,"more":2}]"#, 422, 422),
            (Format::Json, r#"[{"value":1,"partition":-1}]"#, 422, 422),
            (Format::Json, r#"[{"value":1,"partition":"x"}]"#, 400, 400),
            (Format::Json, r#"[{"value":1,"timestamp":"yesterday"}]"#, 400, 400),
            (Format::Json, r#"[{"value":1,"headers":[{"value":"AA=="}]}]"#, 422, 422),
            (Format::Binary, r#"[{"value":"A"}]"#, 400, 400),
            (Format::Binary, r#"[{"value":5}]"#, 400, 400),
            (Format::Avro, r#"[{"value":5}]"#, 422, 42202),
            (Format::Avro, r#"[{"key":5,"value":5}]"#, 422, 42201),
        ];
        for (format, records, status, code) in table {
            let refusal = read(format, records).unwrap_err();
            assert_eq!((refusal.0, refusal.1), (status, code), "{records}: {}", refusal.2);
        }
        assert_eq!(
            read(Format::Binary, r#"[{},{"value":"A"}]"#).unwrap_err().2,
            "records[1].value is not a base64 string"
        );
        let only_nulls = read(Format::Avro, r#"[{"key":null},{"value":null}]"#).unwrap();
        assert_eq!((only_nulls[0].key.as_deref(), only_nulls[1].value.as_deref()), (None, None));
    }

    #[test]
    fn schemas_are_named_by_text_or_by_id() {
        let read = |members: &str| {
            let body = Bytes::from(format!("{{{members},\"records\":[{{}}]}}"));
            Schemas::read(&body, Format::Avro).map(|schemas| (schemas.key, schemas.value))
        };
        let by_id = read(r#""value_schema_id":"12","key_schema_id":3"#).ok();
        assert!(matches!(by_id, Some((Wanted::Schema(GivenSchema::Id(3)), Wanted::Schema(GivenSchema::Id(12))))));
        let by_text = read(r#""value_schema":"\"int\"""#).ok();
        assert!(
            matches!(by_text, Some((Wanted::Missing, Wanted::Schema(GivenSchema::Text(text)))) if text.schema == "\"int\"")
        );
        let both = read(r#""value_schema":"\"int\"","value_schema_id":1"#).err();
        assert_eq!(both.map(|error| error.status()), Some(400));
        assert_eq!(read(r#""unknown":1"#).err().map(|error| error.code()), Some(422));
    }

    #[test]
    fn answers_tell_each_record_and_rights_change_the_status() {
        let written = || Ok(Written { partition: 1, offset: 5, log_append_time_ms: None });
        let kafka = |status, code| Err(RestError::Kafka { status, code, message: "no".to_owned() });
        let status =
            |outcomes| answer(outcomes, (None, Some(1))).map(|answer| answer.status).map_err(|error| error.code());
        assert_eq!(status(vec![written(), kafka(500, 50003)]), Ok(200));
        assert_eq!(status(vec![written(), kafka(403, 40301)]), Ok(403));
        assert_eq!(status(vec![kafka(401, 40101)]), Ok(401));
        let too_large = || Err(RestError::RecordTooLarge("large".to_owned()));
        assert_eq!(status(vec![too_large(), too_large()]), Err(413));
        assert_eq!(status(vec![written(), too_large()]), Ok(200));
    }
}
