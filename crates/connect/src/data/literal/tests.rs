//! Literals and the types inferred from them.

use proptest::prelude::*;

use super::*;
use crate::data::{Kind, Schema, Typed};

fn kind(text: &str) -> String {
    parse(text).schema.map_or("none".to_owned(), |schema| schema.type_name().to_owned())
}

#[test]
fn the_smallest_type_is_inferred() {
    for (text, expected) in [
        ("1", "INT8"),
        ("-129", "INT16"),
        ("40000", "INT32"),
        ("3000000000", "INT64"),
        ("1.5", "FLOAT32"),
        ("1.5e100", "FLOAT64"),
        ("99999999999999999999", "BYTES"),
        ("true", "BOOLEAN"),
        ("truely", "STRING"),
        ("null", "none"),
        ("", "STRING"),
        ("2021-08-01", "INT32"),
        ("11:04:17.123Z", "INT32"),
        ("2021-08-01T11:04:17.123Z", "INT64"),
        ("2021-08-01T11:04:17", "STRING"),
        ("[1, 2, 300]", "ARRAY"),
        ("[1, x]", "STRING"),
        ("[1, null]", "STRING"),
        ("{\"a\": 1}", "MAP"),
        ("{a: 1}", "STRING"),
        ("[1,", "STRING"),
        ("1,2", "INT8"),
    ] {
        assert_eq!(kind(text), expected, "{text}");
    }
}

#[test]
fn elements_are_widened_to_the_common_type() {
    let wide = Typed::new(
        Schema::new(Kind::Array(Schema::new(Kind::Int16).into())).into(),
        Value::Array(vec![Value::Int16(1), Value::Int16(300)]),
    );
    assert_eq!(parse("[1, 300]"), wide);
    assert_eq!(parse("[]"), Typed::schemaless(Value::Array(Vec::new())));
}

#[test]
fn values_become_literals() {
    let text = |text: &str| Value::String(text.to_owned());
    let map = Value::Map(vec![(text("a\"b"), Value::Array(vec![Value::Int8(1), Value::Null]))]);
    assert_eq!(to_text(&map), "{\"a\\\"b\":[1,null]}");
    assert_eq!(to_text(&text("a\"b")), "a\"b");
    assert_eq!(to_text(&Value::Bytes(vec![0, 1].into())), "AAE=");
    assert_eq!(to_text(&Value::Timestamp(1_627_815_857_123)), "2021-08-01T11:04:17.123Z");
    assert_eq!(to_text(&Value::Date(18_840)), "2021-08-01");
    assert_eq!(to_text(&Value::Time(1)), "00:00:00.001Z");
}

proptest! {
    #[test]
    fn any_text_is_read(text in "[\\[\\]{}:,\" \\\\0-9a-zé-]{0,24}") {
        parse(&text);
    }
}

/// Schemas as the original's JSON has them; what it leaves without a schema has none here.
fn schema_text(typed: &Typed) -> Option<String> {
    let schema = typed.schema.as_ref()?;
    let plugin = crate::converters::plugins();
    let json = plugin.iter().find(|plugin| plugin.classes()[0].ends_with("JsonConverter")).unwrap();
    let bytes = json.create(&Default::default(), false).unwrap().from_connect("t", &mut Vec::new(), typed).unwrap();
    let envelope: serde_json::Value = serde_json::from_slice(&bytes.unwrap()).unwrap();
    assert!(schema.name.is_some() || envelope["schema"].get("name").is_none());
    Some(envelope["schema"].to_string())
}

#[test]
fn texts_mean_what_they_mean_in_the_original() {
    let mut differences = Vec::new();
    for line in include_str!("../../../tests/golden/literal.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let typed = parse(case["input"].as_str().unwrap());
        let text = (!typed.value.is_null()).then(|| to_text(&typed.value));
        let (schema, their_schema) = (schema_text(&typed), case["outcome"][0].as_str());
        // An array of nothing has a schema without elements in the original, and none here.
        let is_same_schema = schema.as_deref() == their_schema
            || schema.is_none() && their_schema.is_some_and(|schema| schema.contains(":null"));
        if text.as_deref() != case["outcome"][1].as_str() || !is_same_schema {
            differences.push(format!("{line}\n  ours {schema:?} {text:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
