//! What JsonConverter writes and reads, compared with what the original makes of the same texts.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::data::{Field, Kind, Struct, Value, logical};
use crate::plugin::Settings;

fn converter(config: &[(&str, &str)]) -> Result<Box<dyn Converter>, DataError> {
    let settings: Settings = config.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    crate::plugin::ConverterPlugin::create(&plugin(), &settings, false)
}

fn through(config: &[(&str, &str)], input: &str) -> Result<(Option<String>, Typed), String> {
    let converter = converter(config).map_err(|error| error.0)?;
    // Twice, so that what the first message taught is used as well.
    let bytes = Bytes::copy_from_slice(input.as_bytes());
    let first = converter.to_connect("t", &[], Some(&bytes)).map_err(|error| error.to_string())?;
    let typed = converter.to_connect("t", &[], Some(&bytes)).map_err(|error| error.to_string())?;
    assert!(first == typed || format!("{first:?}").contains("NaN"));
    let written = converter.from_connect("t", &mut Vec::new(), &typed).map_err(|error| error.to_string())?;
    Ok((written.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()), typed))
}

#[test]
fn texts_are_read_and_written_as_by_the_original() {
    let mut differences = Vec::new();
    let mut cases = 0;
    for line in include_str!("../../../tests/golden/json.jsonl").lines() {
        cases += 1;
        let case: Json = serde_json::from_str(line).unwrap();
        let config: Vec<(&str, &str)> = match case["config"].as_object() {
            Some(config) => config.iter().map(|(key, value)| (key.as_str(), value.as_str().unwrap())).collect(),
            None => Vec::new(),
        };
        let ours = match through(&config, case["input"].as_str().unwrap()) {
            Ok((written, _)) => written.unwrap_or("null".to_owned()),
            Err(error) => format!("error: {error}"),
        };
        let theirs = match (&case["error"], &case["outcome"][0]) {
            (Json::String(error), _) => format!("error: {error}"),
            (_, Json::String(written)) => written.clone(),
            _ => "null".to_owned(),
        };
        // The original tells some of what is wrong in the cause of its error, ours at once.
        let has_cause = theirs.ends_with("serialization error: ") || theirs.ends_with("Invalid default value");
        let is_cause = has_cause && ours.starts_with(&theirs);
        if ours != theirs && !is_cause {
            differences.push(format!("{line}\n  ours   {ours}\n  theirs {theirs}"));
        }
        if let (Json::String(text), Ok((_, typed))) =
            (&case["outcome"][1], through(&config, case["input"].as_str().unwrap()))
            && typed.value.to_string() != *text
        {
            differences.push(format!("{line}\n  ours   {}\n  theirs {text}", typed.value));
        }
    }
    assert!(cases > 100);
    assert!(differences.is_empty(), "{} of {cases}:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn a_schema_is_read_once() {
    let converter = converter(&[]).unwrap();
    let read = |text: &'static str| {
        converter.to_connect("t", &[], Some(&Bytes::from_static(text.as_bytes()))).unwrap().schema.unwrap()
    };
    let first = read(r#"{"schema":{"type":"int32"},"payload":1}"#);
    assert!(Arc::ptr_eq(&first, &read(r#"{"schema":{"type":"int32"},"payload":2}"#)));
    let _other = read(r#"{"schema":{"type":"int64"},"payload":2}"#);
    assert!(Arc::ptr_eq(&first, &read(r#"{"payload":2, "schema":{"type":"int32"}}"#)));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = "[".repeat(100_000);
    for enabled in ["true", "false"] {
        assert!(through(&[("schemas.enable", enabled)], &deep).is_err());
    }
    let allowed = format!("{}{}", "[".repeat(400), "]".repeat(400));
    assert!(through(&[("schemas.enable", "false")], &allowed).is_ok());
}

/// Any schema with values of it; `plain`: with names that every format allows.
pub(in crate::converters) fn typed(plain: bool) -> impl Strategy<Value = Typed> {
    schema(plain).prop_flat_map(|schema| {
        let schema = Arc::new(schema);
        value(&schema).prop_map(move |value| Typed::new(schema.clone(), value))
    })
}

fn schema(plain: bool) -> impl Strategy<Value = Schema> {
    let leaf = prop_oneof![
        Just(Schema::new(Kind::Int8)),
        Just(Schema::new(Kind::Int16)),
        Just(Schema::new(Kind::Int32)),
        Just(Schema::new(Kind::Int64)),
        Just(Schema::new(Kind::Float32)),
        Just(Schema::new(Kind::Float64)),
        Just(Schema::new(Kind::Boolean)),
        Just(Schema::new(Kind::String)),
        Just(Schema::new(Kind::Bytes)),
        Just(logical::date()),
        Just(logical::time()),
        Just(logical::timestamp()),
        (-5..20_i32).prop_map(logical::decimal),
    ];
    let optional = (leaf, any::<bool>()).prop_map(|(schema, optional)| Schema { optional, ..schema });
    optional.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            inner.clone().prop_map(|schema| Schema::new(Kind::Array(schema.into()))),
            (inner.clone(), inner.clone()).prop_map(|(keys, values)| Schema::new(Kind::Map(
                Schema { optional: false, ..keys }.into(),
                values.into()
            ))),
            prop::collection::vec(inner, 0..4).prop_map(move |schemas| {
                let end = if plain { "" } else { "\"é" };
                let field = |(index, schema)| Field::new(format!("f{index}{end}"), schema);
                let structure = Schema::structure(schemas.into_iter().enumerate().map(field).collect());
                if plain { structure } else { structure.named("s") }
            }),
        ]
    })
}

fn value(schema: &SchemaRef) -> BoxedStrategy<Value> {
    let required = match (schema.name.as_deref(), &schema.kind) {
        (Some(logical::DATE), _) => any::<i32>().prop_map(Value::Date).boxed(),
        (Some(logical::TIME), _) => (0..86_400_000).prop_map(Value::Time).boxed(),
        (Some(logical::TIMESTAMP), _) => any::<i64>().prop_map(Value::Timestamp).boxed(),
        (Some(logical::DECIMAL), _) => {
            let scale = schema.parameters["scale"].parse().unwrap();
            let decimal = move |unscaled: i128| bigdecimal::BigDecimal::new(unscaled.into(), scale);
            any::<i128>().prop_map(move |unscaled| Value::Decimal(decimal(unscaled))).boxed()
        }
        (_, Kind::Int8) => any::<i8>().prop_map(Value::Int8).boxed(),
        (_, Kind::Int16) => any::<i16>().prop_map(Value::Int16).boxed(),
        (_, Kind::Int32) => any::<i32>().prop_map(Value::Int32).boxed(),
        (_, Kind::Int64) => any::<i64>().prop_map(Value::Int64).boxed(),
        (_, Kind::Float32) => any::<f32>().prop_map(Value::Float32).boxed(),
        (_, Kind::Float64) => any::<f64>().prop_map(Value::Float64).boxed(),
        (_, Kind::Boolean) => any::<bool>().prop_map(Value::Boolean).boxed(),
        (_, Kind::String) => any::<String>().prop_map(Value::String).boxed(),
        (_, Kind::Bytes) => any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())).boxed(),
        (_, Kind::Array(elements)) => prop::collection::vec(value(elements), 0..4).prop_map(Value::Array).boxed(),
        (_, Kind::Map(keys, values)) => {
            let entry = (value(keys), value(values));
            let distinct = |entries: Vec<(Value, Value)>| {
                let mut kept: Vec<(Value, Value)> = Vec::new();
                for (key, value) in entries {
                    if !kept.iter().any(|(known, _)| *known == key) {
                        kept.push((key, value));
                    }
                }
                Value::Map(kept)
            };
            prop::collection::vec(entry, 0..3).prop_map(distinct).boxed()
        }
        (_, Kind::Struct(fields)) => {
            let values: Vec<BoxedStrategy<Value>> = fields.iter().map(|field| value(&field.schema)).collect();
            let schema = schema.clone();
            let structure = move |values| Value::Struct(Struct::new(schema.clone(), values).unwrap());
            values.prop_map(structure).boxed()
        }
    };
    if schema.optional { prop_oneof![1 => Just(Value::Null), 4 => required].boxed() } else { required }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_is_written_is_read_back(typed in typed(false)) {
        let converter = converter(&[]).unwrap();
        let bytes = converter.from_connect("t", &mut Vec::new(), &typed).unwrap();
        let read = converter.to_connect("t", &[], bytes.as_ref()).unwrap();
        prop_assert_eq!(read.value, typed.value);
        prop_assert_eq!(read.schema, typed.schema);
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes: Vec<u8>, text in "[\\[\\]{}:,\"a-z0-9.\\\\ ]{0,40}") {
        for enabled in ["true", "false"] {
            let converter = converter(&[("schemas.enable", enabled)]).unwrap();
            let _ = converter.to_connect("t", &[], Some(&Bytes::from(bytes.clone())));
            let _ = converter.to_connect("t", &[], Some(&Bytes::from(text.clone())));
            let envelope = format!("{{\"schema\":{{\"type\":\"{text}\"}},\"payload\":{text}}}");
            let _ = converter.to_connect("t", &[], Some(&Bytes::from(envelope)));
        }
    }
}

/// Not a test of correctness: `cargo test --release -p milena-connect json::tests::speed -- --ignored --nocapture`.
#[test]
#[ignore = "measures: it asserts nothing, and its figure is only worth something in a release build"]
fn speed() {
    let field = |name: &str, kind| Field::new(name, Schema::new(kind).optional());
    let fields = vec![
        field("id", Kind::Int32),
        field("name", Kind::String),
        field("pwd", Kind::String),
        field("price", Kind::Float64),
        Field::new("created_at", logical::timestamp().optional()),
    ];
    let schema = Arc::new(Schema::structure(fields).named("users"));
    let text = |text: &str| Value::String(text.to_owned());
    let row =
        |id| vec![Value::Int32(id), text("some name"), text("test1234"), Value::Float64(2.5), Value::Timestamp(1)];
    let rows: Vec<Typed> = (0..1000)
        .map(|id| Typed::new(schema.clone(), Value::Struct(Struct::new(schema.clone(), row(id)).unwrap())))
        .collect();
    let converter = converter(&[]).unwrap();
    let started = std::time::Instant::now();
    let mut bytes = Vec::new();
    for _ in 0..1000 {
        bytes = rows.iter().map(|row| converter.from_connect("t", &mut Vec::new(), row).unwrap()).collect();
    }
    println!("written: {:.0} rows/s", 1e6 / started.elapsed().as_secs_f64());
    let started = std::time::Instant::now();
    for _ in 0..1000 {
        for bytes in &bytes {
            assert!(converter.to_connect("t", &[], bytes.as_ref()).is_ok());
        }
    }
    println!("read: {:.0} rows/s", 1e6 / started.elapsed().as_secs_f64());
}
