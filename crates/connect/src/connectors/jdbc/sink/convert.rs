//! Values of records as values of a database.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;

use super::super::database::SqlValue;
use super::super::dialect::Dialect;
use super::config::{SinkConfig, TimestampPrecision};
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, Struct, Typed, Value};

/// A value of a field or key.
///
/// # Errors
/// A kind of value that no column can hold, or a time out of the range of dates.
pub fn sql_value(value: &Value, schema: &Schema, config: &SinkConfig) -> Result<SqlValue, DataError> {
    Ok(match value {
        Value::Null => match &schema.default {
            Some(default) if config.replace_null_with_default && !default.is_null() => {
                return sql_value(default, schema, config);
            }
            _ => SqlValue::Null,
        },
        Value::Int8(number) => SqlValue::Int((*number).into()),
        Value::Int16(number) => SqlValue::Int((*number).into()),
        Value::Int32(number) => SqlValue::Int((*number).into()),
        Value::Int64(number) => SqlValue::Int(*number),
        Value::Float32(number) => SqlValue::Float(*number),
        Value::Float64(number) => SqlValue::Double(*number),
        Value::Boolean(truth) => SqlValue::Bool(*truth),
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Bytes(bytes) => SqlValue::Bytes(bytes.clone()),
        Value::Decimal(number) => SqlValue::Decimal(number.clone()),
        Value::Date(days) => SqlValue::Date(day(*days)?),
        Value::Time(milliseconds) => SqlValue::Time(time(*milliseconds)?),
        Value::Timestamp(milliseconds) => {
            let moment = Timestamp::from_millisecond(*milliseconds).map_err(|_| out_of_range(*milliseconds))?;
            moment_in(moment, &config.time_zone)
        }
        Value::Array(elements) => array(elements, schema, config)?,
        Value::Map(_) | Value::Struct(_) => return Err(nested(schema)),
    })
}

fn array(elements: &[Value], schema: &Schema, config: &SinkConfig) -> Result<SqlValue, DataError> {
    let Kind::Array(element) = &schema.kind else { return Err(nested(schema)) };
    if config.dialect() != Dialect::Postgres || matches!(element.kind, Kind::Array(_) | Kind::Map(..) | Kind::Struct(_))
    {
        return Err(nested(schema));
    }
    elements.iter().map(|value| sql_value(value, element, config)).collect::<Result<_, _>>().map(SqlValue::Array)
}

/// No column holds values of this schema.
pub fn nested(schema: &Schema) -> DataError {
    DataError::new(format!(
        "{} has no column type: flatten it with the transform org.apache.kafka.connect.transforms.Flatten$Value, or leave \
         it out with fields.whitelist",
        schema.type_name()
    ))
}

/// A number or digits that count from 1970.
///
/// # Errors
/// Values that are neither, and times out of the range of dates.
pub fn numeric_timestamp(value: &Value, precision: TimestampPrecision, zone: &TimeZone) -> Result<SqlValue, DataError> {
    let count: i64 = match value {
        Value::Null => return Ok(SqlValue::Null),
        Value::Int64(count) => *count,
        Value::Int32(count) => (*count).into(),
        Value::Timestamp(milliseconds) => {
            let moment = Timestamp::from_millisecond(*milliseconds).map_err(|_| out_of_range(*milliseconds))?;
            return Ok(moment_in(moment, zone));
        }
        Value::String(digits) => digits.trim().parse().map_err(|_| {
            DataError::new("is named in timestamp.fields.list but holds text that is no number".to_owned())
        })?,
        _ => return Err(DataError::new("is named in timestamp.fields.list but is neither INT64 nor STRING")),
    };
    let moment = match precision {
        TimestampPrecision::Microseconds => Timestamp::from_microsecond(count).map_err(|_| out_of_range(count))?,
        TimestampPrecision::Nanoseconds => Timestamp::from_nanosecond(count.into()).map_err(|_| out_of_range(count))?,
    };
    Ok(moment_in(moment, zone))
}

fn moment_in(moment: Timestamp, zone: &TimeZone) -> SqlValue {
    let offset = zone.to_offset(moment);
    SqlValue::Moment { clock: offset.to_datetime(moment), ahead: offset.seconds() }
}

fn day(days: i32) -> Result<Date, DataError> {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch
        .checked_add(jiff::Span::new().try_days(days).map_err(|_| out_of_range(days.into()))?)
        .map_err(|_| out_of_range(days.into()))
}

fn time(milliseconds: i32) -> Result<Time, DataError> {
    let wrong = || out_of_range(milliseconds.into());
    let milliseconds =
        u32::try_from(milliseconds).ok().filter(|milliseconds| *milliseconds < 86_400_000).ok_or_else(wrong)?;
    let part = |value: u32| i8::try_from(value).map_err(|_| wrong());
    let nanoseconds = i32::try_from(milliseconds % 1000 * 1_000_000).map_err(|_| wrong())?;
    let seconds = milliseconds / 1000;
    Time::new(part(seconds / 3600)?, part(seconds / 60 % 60)?, part(seconds % 60)?, nanoseconds).map_err(|_| wrong())
}

fn out_of_range(count: i64) -> DataError {
    DataError::new(format!("{count} is out of the range of dates and times"))
}

/// The schema of a value that has none, if it is text, a number or a truth value.
pub fn primitive_schema(value: &Value) -> Option<SchemaRef> {
    let kind = match value {
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_) => Kind::Int64,
        Value::Float32(_) | Value::Float64(_) => Kind::Float64,
        Value::Boolean(_) => Kind::Boolean,
        Value::String(_) => Kind::String,
        _ => return None,
    };
    Some(Schema::new(kind).into())
}

/// An object without a schema as a struct: its columns follow from its names and the types of its values. Fields that
/// are null are left out: nobody knows their type. Nested values become JSON text.
///
/// # Errors
/// What is no object.
pub fn infer(value: &Value) -> Result<Typed, DataError> {
    let Value::Map(entries) = value else {
        return Err(DataError::new("schemaless.values=infer writes JSON objects; this value is none"));
    };
    let (mut fields, mut values) = (Vec::new(), Vec::new());
    for (name, value) in entries {
        let Value::String(name) = name else {
            return Err(DataError::new("schemaless.values=infer needs names that are text"));
        };
        let (kind, value) = match value {
            Value::Null => continue,
            Value::String(text) => (Kind::String, Value::String(text.clone())),
            Value::Boolean(truth) => (Kind::Boolean, Value::Boolean(*truth)),
            Value::Int8(number) => (Kind::Int64, Value::Int64((*number).into())),
            Value::Int16(number) => (Kind::Int64, Value::Int64((*number).into())),
            Value::Int32(number) => (Kind::Int64, Value::Int64((*number).into())),
            Value::Int64(number) => (Kind::Int64, Value::Int64(*number)),
            Value::Float32(number) => (Kind::Float64, Value::Float64((*number).into())),
            Value::Float64(number) => (Kind::Float64, Value::Float64(*number)),
            other => (Kind::String, Value::String(json(other).to_string())),
        };
        fields.push(Field::new(name.as_str(), Schema::new(kind).optional()));
        values.push(value);
    }
    let schema: SchemaRef = Schema::structure(fields).into();
    let structure = Struct::new(schema.clone(), values)?;
    Ok(Typed::new(schema, Value::Struct(structure)))
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Boolean(truth) => (*truth).into(),
        Value::Int8(number) => (*number).into(),
        Value::Int16(number) => (*number).into(),
        Value::Int32(number) | Value::Date(number) | Value::Time(number) => (*number).into(),
        Value::Int64(number) | Value::Timestamp(number) => (*number).into(),
        Value::Float32(number) => (*number).into(),
        Value::Float64(number) => (*number).into(),
        Value::String(text) => text.as_str().into(),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        Value::Decimal(number) => number.to_string().into(),
        Value::Array(elements) => elements.iter().map(json).collect(),
        Value::Map(entries) => {
            let name = |key: &Value| match key {
                Value::String(text) => text.clone(),
                key => json(key).to_string(),
            };
            entries.iter().map(|(key, value)| (name(key), json(value))).collect::<serde_json::Map<_, _>>().into()
        }
        Value::Struct(structure) => structure
            .schema()
            .fields()
            .iter()
            .zip(structure.values())
            .map(|(field, value)| (field.name.to_string(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}
