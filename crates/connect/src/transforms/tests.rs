//! Records through transforms, compared with what the original makes of the same records.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;

use crate::data::{DataError, Field, Kind, Schema, Struct, Typed, Value, literal};
use crate::plugin::{Converter, Settings};
use crate::record::{Header, Origin, Record};

fn converter(enveloped: bool) -> Box<dyn Converter> {
    let plugins = crate::converters::plugins();
    let json = plugins.iter().find(|plugin| plugin.classes()[0].ends_with("JsonConverter")).unwrap();
    let settings = [("schemas.enable", enveloped.to_string()), ("replace.null.with.default", "false".to_owned())];
    json.create(&settings.map(|(key, value)| (key.to_owned(), value)).into(), false).unwrap()
}

fn read(text: &Json) -> Result<Typed, String> {
    let Some(text) = text.as_str() else { return Ok(Typed::null()) };
    let converter = converter(text.starts_with("{\"schema\""));
    converter.to_connect("t", &[], Some(&Bytes::copy_from_slice(text.as_bytes()))).map_err(|error| error.to_string())
}

/// JSON, so that the order of members does not matter.
fn write(typed: &Typed) -> Result<Json, String> {
    let bytes = converter(typed.schema.is_some()).from_connect("t", &mut Vec::new(), typed);
    let bytes = bytes.map_err(|error| error.to_string())?;
    Ok(bytes.map_or(Json::Null, |bytes| serde_json::from_slice(&bytes).unwrap()))
}

fn transform(class: &str, settings: &Settings, record: Record) -> Result<Option<Record>, DataError> {
    let plugins = super::plugins();
    let plugin = plugins.iter().find(|plugin| plugin.classes().contains(&class)).unwrap();
    let mut transform = plugin.create(class, settings)?;
    // Twice, so that what was kept of the first record is used as well.
    transform.apply(record.clone())?;
    transform.apply(record)
}

fn record(key: Typed, value: Typed) -> Record {
    let origin = Origin::Source { partition: Arc::default(), offset: Default::default() };
    Record { topic: "orders".into(), partition: None, key, value, timestamp: None, headers: Vec::new(), origin }
}

fn outcome(case: &Json) -> Result<Json, String> {
    let mut record = record(read(&case["key"])?, read(&case["value"])?);
    record.timestamp = case["timestamp"].as_i64();
    if let Some(offset) = case["offset"].as_i64() {
        record.partition = Some(3);
        record.origin = Origin::Sink { topic: "orders".into(), partition: 3, offset, log_append_time: false };
    }
    for (key, value) in case["headers"].as_object().into_iter().flatten() {
        record.headers.push(Header { key: key.clone(), value: literal::parse(value.as_str().unwrap()) });
    }
    let settings = case["config"].as_object().unwrap();
    let settings = settings.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned())).collect();
    let result = transform(case["class"].as_str().unwrap(), &settings, record).map_err(|error| error.0)?;
    let Some(record) = result else { return Ok(Json::Null) };
    let headers: Result<Vec<Json>, String> =
        record.headers.iter().map(|header| Ok(serde_json::json!([header.key, write(&header.value)?]))).collect();
    Ok(serde_json::json!({
        "topic": &*record.topic, "key": write(&record.key)?, "value": write(&record.value)?, "headers": headers?
    }))
}

/// The original's outcome with its texts of JSON as JSON.
fn parsed(outcome: &Json) -> Json {
    let json = |text: &Json| text.as_str().map_or(Json::Null, |text| serde_json::from_str(text).unwrap());
    if outcome.is_null() {
        return Json::Null;
    }
    let headers = outcome["headers"].as_array().unwrap().iter();
    let headers: Vec<Json> = headers.map(|header| serde_json::json!([header[0], json(&header[1])])).collect();
    serde_json::json!({
        "topic": outcome["topic"], "key": json(&outcome["key"]), "value": json(&outcome["value"]), "headers": headers
    })
}

/// Where we differ on purpose: the original fails with the accidents of its code, or its words are those of Java.
fn differs_on_purpose(class: &str, theirs: &str) -> bool {
    class.contains("SetSchemaMetadata") && theirs.contains("Cannot list fields on non-struct type")
        || class.contains("MaskField") && theirs.contains("mismatching scale")
        || theirs.contains("Cannot invoke")
        || theirs.contains("IllegalArgumentException")
        || theirs.contains("InsertionSpec@")
        || theirs.contains("Invalid regex")
        || theirs.contains("Timestamp missing on record")
        || theirs == "error: Invalid default value"
}

#[test]
fn records_become_what_they_become_in_the_original() {
    let mut differences = Vec::new();
    let mut cases = 0;
    for line in include_str!("../../tests/golden/transform.jsonl").lines() {
        cases += 1;
        let case: Json = serde_json::from_str(line).unwrap();
        let theirs = match &case["error"] {
            Json::String(error) => format!("error: {error}"),
            _ => parsed(&case["outcome"]).to_string(),
        };
        let ours = match outcome(&case) {
            Err(error) => format!("error: {error}"),
            Ok(ours) if ours == parsed(&case["outcome"]) => continue,
            Ok(ours) => ours.to_string(),
        };
        let class = case["class"].as_str().unwrap();
        if ours != theirs && !differs_on_purpose(class, &theirs) {
            let (config, value) = (&case["config"], case["value"].to_string());
            let value: String = value.chars().take(60).collect();
            differences.push(format!("{class} {config} {value}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }
    assert!(cases > 300);
    assert!(differences.is_empty(), "{} of {cases}:\n{}", differences.len(), differences.join("\n"));
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// A change event of a table with the columns `id` and `name`.
fn event(op: &str, before: Option<i32>, after: Option<i32>) -> Record {
    let row =
        vec![Field::new("id", Schema::new(Kind::Int32)), Field::new("name", Schema::new(Kind::String).optional())];
    let row = Arc::new(Schema::structure(row).named("db.users.Value").optional());
    let source = Arc::new(Schema::structure(vec![
        Field::new("table", Schema::new(Kind::String)),
        Field::new("lsn", Schema::new(Kind::Int64)),
    ]));
    let envelope = Schema::structure(vec![
        Field::new("before", row.clone()),
        Field::new("after", row.clone()),
        Field::new("source", source.clone()),
        Field::new("op", Schema::new(Kind::String)),
    ]);
    let envelope = Arc::new(envelope.named("db.users.Envelope"));
    let text = |text: &str| Value::String(text.to_owned());
    let row = |id: Option<i32>| match id {
        None => Value::Null,
        Some(id) => Value::Struct(Struct::new(row.clone(), vec![Value::Int32(id), text("n")]).unwrap()),
    };
    let source = Value::Struct(Struct::new(source, vec![text("users"), Value::Int64(9)]).unwrap());
    let value = Struct::new(envelope.clone(), vec![row(before), row(after), source, text(op)]).unwrap();
    record(Typed::null(), Typed::new(envelope, Value::Struct(value)))
}

fn unwrapped(pairs: &[(&str, &str)], record: Record) -> Option<Record> {
    transform("io.debezium.transforms.ExtractNewRecordState", &settings(pairs), record).unwrap()
}

#[test]
fn a_change_event_becomes_the_new_row() {
    let record = unwrapped(&[], event("u", Some(1), Some(2))).unwrap();
    assert_eq!(record.value.value.to_string(), "Struct{id=2,name=n}");
    assert_eq!(unwrapped(&[], event("d", Some(1), None)), None);
    let added =
        [("add.fields", "op,table,source.lsn,op:operation"), ("add.headers", "table"), ("route.by.field", "id")];
    let record = unwrapped(&added, event("c", None, Some(2))).unwrap();
    assert_eq!(record.value.value.to_string(), "Struct{id=2,name=n,__op=c,__table=users,__source_lsn=9,__operation=c}");
    assert_eq!(record.headers[0].key, "__table");
    assert_eq!(&*record.topic, "2");
    let plain = super::tests::record(Typed::null(), Typed::schemaless(Value::Int64(5)));
    assert_eq!(unwrapped(&[], plain.clone()), Some(plain));
}

#[test]
fn deletes_and_tombstones_are_handled_as_configured() {
    let tombstone = || record(Typed::null(), Typed::null());
    for (mode, delete, keeps_tombstone) in [
        ("drop", None, false),
        ("tombstone", None, true),
        ("rewrite", Some("Struct{id=1,name=n,__deleted=true}"), false),
        ("rewrite-with-tombstone", Some("Struct{id=1,name=n,__deleted=true}"), true),
        ("delete-to-tombstone", Some("null"), false),
    ] {
        let pairs = [("delete.tombstone.handling.mode", mode)];
        let deleted = unwrapped(&pairs, event("d", Some(1), None)).map(|record| record.value.value.to_string());
        assert_eq!(deleted.as_deref(), delete, "{mode}");
        assert_eq!(unwrapped(&pairs, tombstone()).is_some(), keeps_tombstone, "{mode}");
    }
    let older = [("drop.tombstones", "false"), ("delete.handling.mode", "none")];
    assert!(unwrapped(&older, event("d", Some(1), None)).unwrap().value.value.is_null());
    assert!(unwrapped(&older, tombstone()).is_some());
    let older = [("delete.handling.mode", "rewrite")];
    let kept = unwrapped(&older, event("c", None, Some(3))).unwrap();
    assert_eq!(kept.value.value.to_string(), "Struct{id=3,name=n,__deleted=false}");
}

#[test]
fn confluents_transforms_do_what_they_are_known_for() {
    let value = |text: &str| record(Typed::null(), Typed::schemaless(literal::parse(text).value));
    let apply = |class: &str, pairs: &[(&str, &str)], record: Record| {
        transform(&format!("io.confluent.connect.transforms.{class}"), &settings(pairs), record)
    };
    let named = value(r#"{"t": "other", "n": 5, "at": "2021-08-01T11:04:17.000Z"}"#);
    let moved = apply("ExtractTopic$Value", &[("field", "t")], named.clone()).unwrap().unwrap();
    assert_eq!(&*moved.topic, "other");
    assert!(apply("ExtractTopic$Value", &[("field", "x")], named.clone()).is_err());
    let skips = [("field", "x"), ("skip.missing.or.null", "true")];
    assert_eq!(&*apply("ExtractTopic$Value", &skips, named.clone()).unwrap().unwrap().topic, "orders");
    let path = [("field", "$['t']"), ("field.format", "JSON_PATH")];
    assert_eq!(&*apply("ExtractTopic$Value", &path, named.clone()).unwrap().unwrap().topic, "other");

    let condition = [("filter.condition", "$[?(@.n > 4)]"), ("filter.type", "include")];
    assert!(apply("Filter$Value", &condition, named.clone()).unwrap().is_some());
    let condition = [("filter.condition", "$[?(@.n > 4)]"), ("filter.type", "exclude")];
    assert!(apply("Filter$Value", &condition, named.clone()).unwrap().is_none());
    let condition = [("filter.condition", "$[?(@.x > 4)]"), ("filter.type", "include")];
    assert!(apply("Filter$Value", &condition, named.clone()).is_err());

    let keys = [("message.timestamp.keys", "when,at")];
    let routed = apply("MessageTimestampRouter", &keys, named.clone()).unwrap().unwrap();
    assert_eq!(&*routed.topic, "orders-20210801");

    assert!(apply("Drop$Value", &[], named.clone()).unwrap().unwrap().value.value.is_null());
    let tombstone = record(Typed::null(), Typed::null());
    assert!(apply("TombstoneHandler", &[], tombstone.clone()).unwrap().is_none());
    assert!(apply("TombstoneHandler", &[("behavior", "ignore")], tombstone.clone()).unwrap().is_some());
    assert!(apply("TombstoneHandler", &[("behavior", "fail")], tombstone).is_err());
    assert!(apply("TombstoneHandler", &[("behavior", "fail")], named).unwrap().is_some());
}
