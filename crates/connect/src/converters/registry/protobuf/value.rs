//! Values in Protobuf's JSON form and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{FieldDescriptor, Kind as ProtoKind, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

use super::super::logical::{float, is_logical, of_float, of_whole, whole};
use super::super::{mismatch, unexpected};
use super::Protobuf;
use crate::data::date_format::{DateFormat, MILLIS_PER_DAY};
use crate::data::logical::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::data::number::{decimal_from_bytes, decimal_to_bytes};
use crate::data::{DataError, Kind, SchemaRef, Struct, Value};

/// How Protobuf writes a moment in JSON.
const TIMESTAMP_PATTERN: &str = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'";

pub(super) fn write(schema: &SchemaRef, value: &Value, options: Protobuf) -> Result<Json, DataError> {
    if is_logical(schema) && !value.is_null() {
        return logical(schema, value);
    }
    Ok(match (&schema.kind, value) {
        (_, Value::Null) => {
            schema.default.as_ref().map_or(Ok(Json::Null), |default| write(schema, default, options))?
        }
        (Kind::Boolean, Value::Boolean(value)) => Json::Bool(*value),
        (Kind::Float32, Value::Float32(value)) => float(f64::from(*value)),
        (Kind::Float64, Value::Float64(value)) => float(*value),
        (Kind::String, Value::String(text)) => Json::String(text.clone()),
        (Kind::Bytes, Value::Bytes(bytes)) => Json::String(STANDARD.encode(bytes)),
        (Kind::Array(items), Value::Array(elements)) => {
            if elements.iter().any(Value::is_null) {
                return Err(DataError::new("A list of Protobuf cannot hold null"));
            }
            elements.iter().map(|element| write(items, element, options)).collect::<Result<Json, DataError>>()?
        }
        (Kind::Map(_, values), Value::Map(entries)) => {
            let entry = |(key, value): &(Value, Value)| match value {
                Value::Null => Err(DataError::new("A map of Protobuf cannot hold null")),
                value => Ok((key.to_string(), write(values, value, options)?)),
            };
            Json::Object(entries.iter().map(entry).collect::<Result<Map<String, Json>, DataError>>()?)
        }
        (Kind::Struct(fields), Value::Struct(value)) => {
            let mut members = Map::new();
            for (field, value) in fields.iter().zip(value.values()) {
                // What is null is not there.
                match write(&field.schema, value, options)? {
                    Json::Null => {}
                    json => {
                        members.insert(options.name(&field.name), json);
                    }
                }
            }
            Json::Object(members)
        }
        (_, value) => Json::from(whole(value).ok_or_else(|| mismatch(schema, value))?),
    })
}

fn logical(schema: &SchemaRef, value: &Value) -> Result<Json, DataError> {
    Ok(match value {
        Value::Decimal(decimal) => {
            let bytes = decimal_to_bytes(schema, decimal)?;
            let scale = crate::data::number::decimal_scale(schema)?;
            json!({"value": STANDARD.encode(bytes), "precision": decimal.digits(), "scale": scale})
        }
        Value::Date(days) => {
            let text = crate::data::date_format::format("yyyy-M-d", i64::from(*days) * MILLIS_PER_DAY);
            let text = text.unwrap_or_default();
            let parts: Vec<i64> = text.split('-').filter_map(|part| part.parse().ok()).collect();
            match parts[..] {
                [year, month, day] => json!({"year": year, "month": month, "day": day}),
                _ => return Err(mismatch(schema, value)),
            }
        }
        Value::Time(millis) => json!({
            "hours": millis / 3_600_000, "minutes": millis / 60_000 % 60, "seconds": millis / 1000 % 60,
            "nanos": millis % 1000 * 1_000_000
        }),
        Value::Timestamp(millis) => {
            let text = crate::data::date_format::format(TIMESTAMP_PATTERN, *millis);
            Json::String(text.unwrap_or_default())
        }
        value => return Err(mismatch(schema, value)),
    })
}

/// A message from its JSON form.
pub(super) fn message(of: &MessageDescriptor, schema: &SchemaRef, json: Json) -> Result<Value, DataError> {
    let Json::Object(mut members) = json else { return Err(unexpected(schema, &json)) };
    let value = |field: &crate::data::Field| {
        let missing = || DataError::new(format!("The schema has no field {}", field.name));
        let descriptor = of.get_field_by_name(&field.name).ok_or_else(missing)?;
        match members.get_mut(descriptor.json_name()).map_or(Json::Null, Json::take) {
            Json::Null => Ok(Value::Null),
            Json::Array(elements) if descriptor.is_list() => {
                let items = field.schema.value_schema().ok_or_else(missing)?;
                let elements: Result<Vec<Value>, DataError> =
                    elements.into_iter().map(|element| one(&descriptor, items, element)).collect();
                elements.map(Value::Array)
            }
            Json::Object(entries) if descriptor.is_map() => map(&descriptor, &field.schema, entries),
            json => one(&descriptor, &field.schema, json),
        }
    };
    let values: Result<Vec<Value>, DataError> = schema.fields().iter().map(value).collect();
    Ok(Value::Struct(Struct::new(schema.clone(), values?)?))
}

fn map(of: &FieldDescriptor, schema: &SchemaRef, entries: Map<String, Json>) -> Result<Value, DataError> {
    let (ProtoKind::Message(entry), Kind::Map(keys, values)) = (of.kind(), &schema.kind) else {
        return Err(DataError::new("A map without entries"));
    };
    let of_value = entry.map_entry_value_field();
    let entry = |(key, json): (String, Json)| {
        let key = match keys.kind {
            Kind::String => Json::String(key),
            Kind::Boolean => Json::Bool(key == "true"),
            _ => Json::String(key),
        };
        Ok((one(&of_value, keys, key)?, one(&of_value, values, json)?))
    };
    let entries: Result<Vec<(Value, Value)>, DataError> = entries.into_iter().map(entry).collect();
    entries.map(Value::Map)
}

fn one(of: &FieldDescriptor, schema: &SchemaRef, json: Json) -> Result<Value, DataError> {
    let wrong = |json: &Json| unexpected(schema, json);
    Ok(match (schema.name.as_deref(), &schema.kind, json) {
        (_, _, Json::Null) => Value::Null,
        (Some(TIMESTAMP), _, Json::String(text)) => Value::Timestamp(moment(&text).ok_or_else(|| wrong(&text.into()))?),
        (Some(DATE), _, json) => {
            let part = |name: &str| json.get(name).and_then(Json::as_i64).unwrap_or_default();
            let text = format!("{:04}-{:02}-{:02}", part("year"), part("month"), part("day"));
            let format = DateFormat::new("yyyy-MM-dd").map_err(|error| DataError::new(error.to_string()))?;
            let millis = format.parse(&text).map_err(|error| DataError::new(error.to_string()))?;
            Value::Date(millis.div_euclid(MILLIS_PER_DAY) as i32)
        }
        (Some(TIME), _, json) => {
            let part = |name: &str| json.get(name).and_then(Json::as_i64).unwrap_or_default();
            let seconds = part("hours") * 3600 + part("minutes") * 60 + part("seconds");
            Value::Time((seconds * 1000 + part("nanos") / 1_000_000) as i32)
        }
        (Some(DECIMAL), _, json) => {
            let text = json.get("value").and_then(Json::as_str).unwrap_or_default();
            let bytes = STANDARD.decode(text).map_err(|_| DataError::new("Invalid bytes for Decimal field"))?;
            let scale = json.get("scale").and_then(Json::as_i64).unwrap_or_default();
            let unscaled = decimal_from_bytes(schema, &bytes)?.into_bigint_and_exponent().0;
            let own = i64::from(crate::data::number::decimal_scale(schema)?);
            let decimal = bigdecimal::BigDecimal::new(unscaled, scale);
            // Digits are added, never lost.
            Value::Decimal(if scale < own { decimal.with_scale(own) } else { decimal })
        }
        (_, Kind::Struct(_), json) => match of.kind() {
            ProtoKind::Message(inner) => message(&inner, schema, json)?,
            _ => return Err(wrong(&json)),
        },
        (_, Kind::Boolean, Json::Bool(value)) => Value::Boolean(value),
        (_, Kind::String, Json::String(text)) => Value::String(text),
        // A number of an enum that the schema has no name for.
        (_, Kind::String, Json::Number(number)) => Value::String(number.to_string()),
        (_, Kind::Bytes, Json::String(text)) => {
            Value::Bytes(STANDARD.decode(text).map_err(|_| DataError::new("Invalid bytes field"))?.into())
        }
        (_, Kind::Float32, json) => Value::Float32(of_float(&json).ok_or_else(|| wrong(&json))? as f32),
        (_, Kind::Float64, json) => Value::Float64(of_float(&json).ok_or_else(|| wrong(&json))?),
        (_, kind, json) => {
            // 64 bits are text; those without a sign keep their bits.
            let text = |text: &str| text.parse::<i64>().ok().or_else(|| text.parse::<u64>().ok().map(u64::cast_signed));
            let number = json.as_i64().or_else(|| json.as_str().and_then(text));
            number.and_then(|number| of_whole(kind, number)).ok_or_else(|| wrong(&json))?
        }
    })
}

/// `2021-08-01T11:04:17.123456Z` in milliseconds.
fn moment(text: &str) -> Option<i64> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    Some(timestamp.as_millisecond())
}
