//! Values, columns and references of JSON Schemas, also hostile ones.

use std::sync::Arc;

use super::*;
use crate::formats::registry::MemoryRegistry;
use crate::formats::{Format, Side};

fn inferred(text: &str) -> Result<Vec<String>, FormatError> {
    let registered = MemoryRegistry::default().add("t-value", SchemaType::Json, text, &[], None)?;
    let found = type_of(&registered)?.fields("ROWVAL");
    Ok(found.iter().map(|field| format!("{} {}", field.name, field.field_type)).collect())
}

#[test]
fn what_a_schema_says_of_columns() {
    let object = |property: &str| {
        inferred(&format!(
            r##"{{"definitions": {{"p": {{"type": "object", "properties":
        {{"x": {{"type": "integer"}}}}}}}}, "type": "object", "properties": {{"a": {property}}}}}"##
        ))
    };
    for (property, sql_type) in [
        (r#"{"type": ["string", "null"]}"#, "STRING"),
        (r#"{"type": ["null", "integer"], "connect.type": "int16"}"#, "INTEGER"),
        (
            r#"{"type": ["string", "integer", "null"]}"#,
            "STRUCT<`io.confluent.connect.json.OneOf.field.0` STRING, `io.confluent.connect.json.OneOf.field.1` BIGINT>",
        ),
        (r#"{"type": "string", "enum": ["u", "v"]}"#, "STRING"),
        (r#"{"type": "integer", "enum": [1, 2]}"#, "BIGINT"),
        (r#"{"type": "number", "const": 2}"#, "DOUBLE"),
        (r#"{"type": "integer", "format": "int64"}"#, "BIGINT"),
        (r#"{"type": "string", "connect.type": "bytes"}"#, "BYTES"),
        (r#"{"type": "integer", "connect.type": "int64", "title": "org.apache.kafka.connect.data.Date"}"#, "BIGINT"),
        (
            r##"{"allOf": [{"$ref": "#/definitions/p"}, {"properties": {"y": {"type": "boolean"}}}]}"##,
            "STRUCT<`x` BIGINT, `y` BOOLEAN>",
        ),
        (
            r#"{"type": "object", "properties": {"z": {"type": "string"}}, "oneOf": [{"required": ["z"]}]}"#,
            "STRUCT<`z` STRING>",
        ),
        (r#"{"maxLength": 3}"#, "STRING"),
    ] {
        assert_eq!(object(property).unwrap(), [format!("a {sql_type}")], "{property}");
    }
    for (property, reason) in [
        ("{}", "Unsupported schema type org.everit.json.schema.EmptySchema"),
        (r#"{"type": "null"}"#, "Unsupported schema type org.everit.json.schema.NullSchema"),
        (r#"{"type": "array"}"#, "Array schema did not specify the items type"),
        (r#"{"allOf": [{"type": "boolean"}, {"type": "integer"}]}"#, "Unsupported criterion allOf"),
    ] {
        let error = object(property).unwrap_err();
        assert!(error.0.starts_with(reason), "{error}");
    }
}

#[test]
fn references_that_multiply_are_given_up() {
    let level = |n: usize| {
        format!(
            r##""l{n}": {{"type": "object", "properties": {{"a": {{"$ref": "#/definitions/l{0}"}}, "b": {{"$ref": "#/definitions/l{0}"}}}}}}"##,
            n + 1
        )
    };
    let levels: Vec<_> = (0..40).map(level).collect();
    let text = format!(
        r##"{{"definitions": {{{}, "l40": {{"type": "string"}}}}, "type": "object", "properties": {{"r": {{"$ref": "#/definitions/l0"}}}}}}"##,
        levels.join(", ")
    );
    assert!(inferred(&text).unwrap_err().0.contains("nested too deeply"));
    let text = r##"{"definitions": {"n": {"allOf": [{"$ref": "#/definitions/n"}, {"$ref": "#/definitions/n"}]}},
        "type": "object", "properties": {"r": {"$ref": "#/definitions/n"}}}"##;
    assert!(inferred(text).unwrap_err().0.contains("nested too deeply"));
}

/// The row that a record has which was written with `schema`.
fn decoded(schema: &str, json: &str, columns: &[(&str, SqlType)]) -> Result<Vec<Value>, String> {
    let registry = MemoryRegistry::default();
    let registered = registry.add("t-value", SchemaType::Json, schema, &[], None).unwrap();
    let context = CodecContext { topic: "t".to_owned(), side: Side::Value, registry: Arc::new(registry) };
    let fields =
        columns.iter().map(|(name, field_type)| Field { name: (*name).into(), field_type: field_type.clone() });
    let codec = JsonSchemaCodec::new(fields.collect(), &FormatSpec::plain(Format::JsonSr), &context).unwrap();
    let mut bytes = wire::prefix(registered.id).to_vec();
    bytes.extend(json.as_bytes());
    codec.decode(&bytes).map(Option::unwrap_or_default).map_err(|error| error.0)
}

#[test]
fn the_schema_decides_what_a_value_is() {
    let schema = r#"{"type": "object", "properties": {"a": {"oneOf": [{"type": "null"}, {"type": "integer"}]},
        "b": {"type": "string", "default": "d"}, "c": {"type": ["null", "array"], "items": {"type": "number"}}}}"#;
    let columns = [("A", SqlType::Bigint), ("B", SqlType::String), ("C", SqlType::array(SqlType::Double))];
    let row = |json| decoded(schema, json, &columns);
    let ones = || Value::array(vec![Value::Double(1.0)]);
    assert_eq!(row(r#"{"a": 5, "b": "x", "c": [1]}"#), Ok(vec![Value::Bigint(5), Value::from("x"), ones()]));
    assert_eq!(row(r#"{"c": null}"#), Ok(vec![Value::Null, Value::from("d"), Value::Null]));
    // Text is no number, and a number no text.
    assert_eq!(row(r#"{"a": "5", "b": "x"}"#), Ok(vec![Value::Bigint(0), Value::from("x"), Value::Null]));
    assert_eq!(row("[]"), Err("Structs should be encoded as JSON objects, but found ARRAY".to_owned()));
    let narrow = decoded(schema, r#"{"a": 5, "b": "x"}"#, &[("A", SqlType::Integer)]);
    assert_eq!(narrow, Err("Cannot deserialize type int64 as type int32 for path: ->A".to_owned()));
    assert_eq!(decoded(schema, r#"{"a": 5, "b": "x"}"#, &[("A", SqlType::String)]), Ok(vec![Value::from("5")]));
}

#[test]
fn what_must_be_there_is_looked_for() {
    let schema = r#"{"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}"#;
    let missing = decoded(schema, r#"{"b": "x"}"#, &[("B", SqlType::String)]);
    assert_eq!(missing, Err("Invalid null value for required INT64 field".to_owned()));
    let schema = r#"{"type": "object", "properties": {"m": {"type": "object", "connect.type": "map",
        "additionalProperties": {"type": "boolean"}}}}"#;
    let columns = [("m", SqlType::map(SqlType::String, SqlType::Boolean))];
    let entry = [(Value::from("k"), Value::Boolean(true))];
    assert_eq!(decoded(schema, r#"{"m": {"k": true}}"#, &columns), Ok(vec![Value::map(entry.into_iter().collect())]));
    let list = decoded(schema, r#"{"m": [{"key": "k", "value": true}]}"#, &columns).unwrap_err();
    assert_eq!(list, "Maps with string fields should be encoded as JSON objects, but found ARRAY");
}

#[test]
fn members_are_found_in_any_order_and_number() {
    let name = |index: usize| format!("p{index}");
    let properties: Vec<_> =
        (0..100).map(|index| format!(r#""{}": {{"type": ["null", "string"]}}"#, name(index))).collect();
    let schema = format!(r#"{{"type": "object", "properties": {{{}}}}}"#, properties.join(", "));
    let columns = [("P7", SqlType::String), ("P99", SqlType::String)];
    let member = |index: usize| format!(r#""{}": "{index}""#, name(index));
    let row = |indices: &mut dyn Iterator<Item = usize>| {
        let members: Vec<_> = indices.map(member).collect();
        decoded(&schema, &format!("{{{}}}", members.join(",")), &columns).unwrap()
    };
    let both = || vec![Value::from("7"), Value::from("99")];
    assert_eq!(row(&mut (0..100)), both());
    assert_eq!(row(&mut (0..100).rev()), both());
    assert_eq!(row(&mut (0..3000)), both());
    assert_eq!(row(&mut [99, 7].into_iter()), both());
    assert_eq!(row(&mut (0..99)), [Value::from("7"), Value::Null]);
    // The last of a name counts.
    for more in [1, 400] {
        let text = format!(r#"{{"p7": "a", {}, "p7": "b"}}"#, vec![r#""x": 1"#; more].join(","));
        assert_eq!(decoded(&schema, &text, &columns), Ok(vec![Value::from("b"), Value::Null]));
    }
}

#[test]
fn columns_are_matched_within_values() {
    let schema = r#"{"type": "object", "properties": {"s": {"type": "array", "items": {"type": "object", "properties":
        {"y": {"type": "string"}, "x": {"type": "integer"}}}}}}"#;
    let element = SqlType::structure([("X", SqlType::Bigint), ("Y", SqlType::String)]);
    let row = decoded(schema, r#"{"s": [{"x": 1, "y": "b"}]}"#, &[("S", SqlType::array(element))]);
    let element = Value::structure(vec![Value::Bigint(1), Value::from("b")]);
    assert_eq!(row, Ok(vec![Value::array(vec![element])]));
}
