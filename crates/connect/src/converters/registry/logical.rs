//! Logical types of Connect as their physical values, and numbers in JSON.

use serde_json::{Number, Value as Json};

use crate::data::logical::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::data::number::{decimal_from_bytes, decimal_to_bytes};
use crate::data::{DataError, Kind, Schema, Value};

/// The physical value of a logical one; `None` when it is no logical one.
pub(super) fn physical(schema: &Schema, value: &Value) -> Result<Option<Value>, DataError> {
    Ok(Some(match value {
        Value::Date(number) | Value::Time(number) => Value::Int32(*number),
        Value::Timestamp(number) => Value::Int64(*number),
        Value::Decimal(decimal) => Value::Bytes(decimal_to_bytes(schema, decimal)?.into()),
        _ => return Ok(None),
    }))
}

/// The value of a logical type that a physical one stands for.
pub(super) fn of_physical(schema: &Schema, value: Value) -> Result<Value, DataError> {
    Ok(match (schema.name.as_deref(), value) {
        (Some(DATE), Value::Int32(number)) => Value::Date(number),
        (Some(TIME), Value::Int32(number)) => Value::Time(number),
        (Some(TIMESTAMP), Value::Int64(number)) => Value::Timestamp(number),
        (Some(DECIMAL), Value::Bytes(bytes)) => Value::Decimal(decimal_from_bytes(schema, &bytes)?),
        (_, value) => value,
    })
}

/// Whether the name is that of a logical type.
pub(super) fn is_logical(schema: &Schema) -> bool {
    matches!(schema.name.as_deref(), Some(DATE | TIME | TIMESTAMP | DECIMAL))
}

/// Floating point in JSON; what is no number is text, as Avro's and Protobuf's JSON have it.
pub(super) fn float(number: f64) -> Json {
    match Number::from_f64(number) {
        Some(number) => Json::Number(number),
        None if number.is_nan() => Json::from("NaN"),
        None => Json::from(if number > 0.0 { "Infinity" } else { "-Infinity" }),
    }
}

/// Floating point from JSON.
pub(super) fn of_float(json: &Json) -> Option<f64> {
    match json.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => json.as_f64(),
    }
}

/// A whole number as one of the schema's type.
pub(super) fn of_whole(kind: &Kind, number: i64) -> Option<Value> {
    Some(match kind {
        Kind::Int8 => Value::Int8(i8::try_from(number).ok()?),
        Kind::Int16 => Value::Int16(i16::try_from(number).ok()?),
        Kind::Int32 => Value::Int32(i32::try_from(number).ok()?),
        Kind::Int64 => Value::Int64(number),
        _ => return None,
    })
}

/// A whole number of any width.
pub(super) fn whole(value: &Value) -> Option<i64> {
    Some(match value {
        Value::Int8(number) => i64::from(*number),
        Value::Int16(number) => i64::from(*number),
        Value::Int32(number) => i64::from(*number),
        Value::Int64(number) => *number,
        _ => return None,
    })
}
