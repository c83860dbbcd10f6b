//! Properties of Avro that hold for any schema: texts are stable, every schema reads itself, values survive the way to
//! bytes and back, and no text or bytes end in a panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use milena_schema::{CompatibilityPolicy, ParseOptions, ParsedSchema, SchemaType};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A schema and a value of it.
type Sample = (Value, Value);

fn avro(schema: &Value) -> ParsedSchema {
    let text = schema.to_string();
    ParsedSchema::parse(SchemaType::Avro, &text, &[], &ParseOptions::NEW)
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn leaf() -> impl Strategy<Value = Sample> {
    prop_oneof![
        Just((json!("null"), Value::Null)),
        any::<bool>().prop_map(|value| (json!("boolean"), json!(value))),
        any::<i32>().prop_map(|value| (json!({"type": "int", "logicalType": "date"}), json!(value))),
        any::<i64>().prop_map(|value| (json!("long"), json!(value))),
        any::<f32>().prop_map(|value| (json!("float"), json!(f64::from(value)))),
        any::<f64>().prop_map(|value| (json!("double"), json!(value))),
        any::<String>().prop_map(|value| (json!({"type": "string", "custom": {"b": 1, "a": [0.5]}}), json!(value))),
        prop::collection::vec(any::<u8>(), 0..9).prop_map(|value| {
            let text: String = value.into_iter().map(char::from).collect();
            // Alone at the top it would be written raw; inside an array it has a length.
            (json!({"type": "array", "items": "bytes"}), json!([text]))
        }),
    ]
}

/// The label of a union's branch in JSON.
fn label(schema: &Value) -> String {
    let name = schema.get("name").or_else(|| schema.get("type")).unwrap_or(schema);
    name.as_str().unwrap().to_owned()
}

fn sample() -> impl Strategy<Value = Sample> {
    leaf().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (inner.clone(), 0..4_usize).prop_map(|((schema, value), count)| {
                (json!({"type": "array", "items": schema}), Value::Array(vec![value; count]))
            }),
            (inner.clone(), any::<String>()).prop_map(|((schema, value), key)| {
                (json!({"type": "map", "values": schema}), json!({ key: value }))
            }),
            prop::collection::vec(inner.clone(), 0..4).prop_map(|fields| {
                let (schemas, values): (Vec<Value>, Vec<Value>) = fields.into_iter().unzip();
                let fields: Vec<Value> = schemas
                    .into_iter()
                    .enumerate()
                    .map(|(index, schema)| json!({"name": format!("f{index}"), "type": schema, "doc": "d", "aliases": ["z", "y"]}))
                    .collect();
                let value = values.into_iter().enumerate().map(|(index, value)| (format!("f{index}"), value)).collect();
                (json!({"type": "record", "name": "R", "doc": "", "fields": fields, "x": 1.50}), Value::Object(value))
            }),
            (inner, any::<bool>()).prop_map(|((schema, value), is_null)| {
                if schema.is_array() || label(&schema) == "null" {
                    return (schema, value);
                }
                let label = label(&schema);
                (json!(["null", schema]), if is_null { Value::Null } else { json!({ label: value }) })
            }),
        ]
    })
}

/// Gives every record a name of its own, in the schema and where the value mentions it.
fn named(mut sample: Sample) -> Sample {
    fn walk(schema: &mut Value, value: &mut Value, next: &mut usize) {
        match schema {
            Value::Array(branches) => {
                let Some(branch) = branches.get_mut(1) else { return };
                let before = label(branch);
                let mut inner = value.get(&before).cloned().unwrap_or(Value::Null);
                walk(branch, &mut inner, next);
                if !value.is_null() {
                    *value = json!({ label(branch): inner });
                }
            }
            Value::Object(members) => match members["type"].as_str() {
                Some("array") => {
                    let elements = value.as_array().cloned().unwrap_or_default();
                    let mut element = elements.first().cloned().unwrap_or(Value::Null);
                    walk(&mut members["items"], &mut element, next);
                    if !elements.is_empty() {
                        *value = Value::Array(vec![element; elements.len()]);
                    }
                }
                Some("map") => {
                    let entry =
                        value.as_object().and_then(|map| map.iter().next()).map(|(k, v)| (k.clone(), v.clone()));
                    let (key, mut inner) = entry.unwrap_or_default();
                    let present = value.is_object();
                    walk(&mut members["values"], &mut inner, next);
                    if present {
                        *value = json!({ key: inner });
                    }
                }
                Some("record") => {
                    members["name"] = json!(format!("n{next}.R{next}"));
                    *next += 1;
                    for field in members["fields"].as_array_mut().into_iter().flatten() {
                        let name = field["name"].as_str().unwrap().to_owned();
                        let mut inner = value.get(&name).cloned().unwrap_or(Value::Null);
                        walk(&mut field["type"], &mut inner, next);
                        if value.is_object() {
                            value[&name] = inner;
                        }
                    }
                }
                _ => {}
            },
            _ => {}
        }
    }
    walk(&mut sample.0, &mut sample.1, &mut 0);
    sample
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn texts_are_stable_and_every_schema_reads_itself((schema, _) in sample().prop_map(named)) {
        let parsed = avro(&schema);
        let again = avro(&serde_json::from_str(parsed.canonical()).unwrap());
        prop_assert_eq!(again.canonical(), parsed.canonical());
        let normal = avro(&serde_json::from_str(&parsed.normalized()).unwrap());
        prop_assert_eq!(normal.normalized(), parsed.normalized());
        prop_assert_eq!(normal.canonical(), parsed.normalized());
        prop_assert!(parsed.incompatibilities(&again, CompatibilityPolicy::Strict).is_empty());
        prop_assert!(normal.incompatibilities(&parsed, CompatibilityPolicy::Strict).is_empty());
    }

    #[test]
    fn values_survive_the_way_to_bytes_and_back((schema, value) in sample().prop_map(named)) {
        let parsed = avro(&schema);
        let bytes = parsed.encode(&value, None).unwrap().bytes;
        prop_assert_eq!(parsed.decode(&bytes, None).unwrap(), value);
        // Cut off anywhere, the rest is refused or is another, shorter value: never a panic.
        for end in 0..bytes.len() {
            let _ = parsed.decode(&bytes[..end], None);
        }
    }

    #[test]
    fn any_text_is_a_schema_or_refused(text in "[\\[\\]{}\",:a-z0-9 ./*\\\\-]{0,60}") {
        let _ = ParsedSchema::parse(SchemaType::Avro, &text, &[], &ParseOptions::NEW);
    }
}
