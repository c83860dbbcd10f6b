//! Values as JSON and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};

use super::super::logical::{float, is_logical, of_float, of_physical, of_whole, physical, whole};
use super::super::{mismatch, unexpected};
use super::{JsonSchema, ONE_OF};
use crate::data::logical::DECIMAL;
use crate::data::number::{decimal_text, parse_decimal};
use crate::data::{DataError, Kind, SchemaRef, Struct, Value};

pub(super) fn write(schema: &SchemaRef, value: &Value, options: JsonSchema) -> Result<Json, DataError> {
    if let (Value::Decimal(decimal), true) = (value, options.numeric_decimals) {
        // A number of JSON has digits enough for any decimal only as a double.
        let number = decimal_text(decimal).parse::<f64>().ok().and_then(Number::from_f64);
        return Ok(number.map_or(Json::Null, Json::Number));
    }
    if let Some(value) = physical(schema, value)? {
        return plain(schema, &value, options);
    }
    if is_logical(schema) && !value.is_null() {
        return Err(mismatch(schema, value));
    }
    plain(schema, value, options)
}

fn plain(schema: &SchemaRef, value: &Value, options: JsonSchema) -> Result<Json, DataError> {
    Ok(match (&schema.kind, value) {
        (_, Value::Null) => match &schema.default {
            Some(default) => write(schema, default, options)?,
            None if schema.optional => Json::Null,
            None => {
                let text = "Conversion error: null value for field that is required and has no default value";
                return Err(DataError::new(text));
            }
        },
        (Kind::Boolean, Value::Boolean(value)) => Json::Bool(*value),
        (Kind::Float32, Value::Float32(value)) => shortest(*value),
        (Kind::Float64, Value::Float64(value)) => float(*value),
        (Kind::String, Value::String(text)) => Json::String(text.clone()),
        (Kind::Bytes, Value::Bytes(bytes)) => Json::String(STANDARD.encode(bytes)),
        (Kind::Array(items), Value::Array(elements)) => {
            elements.iter().map(|element| write(items, element, options)).collect::<Result<Json, DataError>>()?
        }
        (Kind::Map(keys, values), Value::Map(entries)) if keys.kind == Kind::String && !keys.optional => {
            let entry = |(key, value): &(Value, Value)| Ok((key.to_string(), write(values, value, options)?));
            Json::Object(entries.iter().map(entry).collect::<Result<Map<String, Json>, DataError>>()?)
        }
        (Kind::Map(keys, values), Value::Map(entries)) => {
            let entry = |(key, value): &(Value, Value)| {
                let (key, value) = (write(keys, key, options)?, write(values, value, options)?);
                Ok(Json::Object(Map::from_iter([("key".to_owned(), key), ("value".to_owned(), value)])))
            };
            entries.iter().map(entry).collect::<Result<Json, DataError>>()?
        }
        (Kind::Struct(fields), Value::Struct(value)) => {
            let pairs = fields.iter().zip(value.values());
            if schema.is_named(ONE_OF) {
                let set = pairs.into_iter().find(|(_, value)| !value.is_null());
                return set.map_or(Ok(Json::Null), |(field, value)| write(&field.schema, value, options));
            }
            let mut members = Map::new();
            for (field, value) in pairs {
                members.insert(field.name.to_string(), write(&field.schema, value, options)?);
            }
            Json::Object(members)
        }
        (Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64, value) => {
            Json::from(whole(value).ok_or_else(|| mismatch(schema, value))?)
        }
        (_, value) => return Err(mismatch(schema, value)),
    })
}

/// A float with the digits that it needs, not those of the double it becomes.
fn shortest(number: f32) -> Json {
    match number.to_string().parse::<f64>() {
        Ok(double) if number.is_finite() => float(double),
        _ => float(f64::from(number)),
    }
}

pub(super) fn read(schema: &SchemaRef, json: Json) -> Result<Value, DataError> {
    Ok(match (&schema.kind, json) {
        (_, Json::Null) => schema.default.clone().unwrap_or(Value::Null),
        (Kind::Boolean, Json::Bool(value)) => Value::Boolean(value),
        (Kind::String, Json::String(text)) => Value::String(text),
        (Kind::Bytes, Json::String(text)) => {
            let bytes = STANDARD.decode(text).map_err(|_| DataError::new("Invalid bytes field"))?;
            of_physical(schema, Value::Bytes(bytes.into()))?
        }
        (Kind::Bytes, Json::Number(number)) if schema.is_named(DECIMAL) => {
            let decimal = parse_decimal(&number.to_string());
            let decimal = decimal.ok_or_else(|| DataError::new("Invalid number for Decimal field"))?;
            Value::Decimal(decimal.with_scale(i64::from(crate::data::number::decimal_scale(schema)?)))
        }
        (Kind::Array(items), Json::Array(elements)) => {
            let elements: Result<Vec<Value>, DataError> =
                elements.into_iter().map(|element| read(items, element)).collect();
            Value::Array(elements?)
        }
        (Kind::Map(_, values), Json::Object(members)) => {
            let entry = |(key, json)| Ok((Value::String(key), read(values, json)?));
            Value::Map(members.into_iter().map(entry).collect::<Result<_, DataError>>()?)
        }
        (Kind::Map(keys, values), Json::Array(entries)) => {
            let entry = |mut entry: Json| {
                let key = entry.get_mut("key").map_or(Json::Null, Json::take);
                let value = entry.get_mut("value").map_or(Json::Null, Json::take);
                Ok((read(keys, key)?, read(values, value)?))
            };
            Value::Map(entries.into_iter().map(entry).collect::<Result<_, DataError>>()?)
        }
        (Kind::Struct(fields), json) if schema.is_named(ONE_OF) => {
            let mut values = vec![Value::Null; fields.len()];
            let found = fields.iter().position(|field| read(&field.schema, json.clone()).is_ok());
            let index = found.ok_or_else(|| unexpected(schema, &json))?;
            if let (Some(slot), Some(field)) = (values.get_mut(index), fields.get(index)) {
                *slot = read(&field.schema, json)?;
            }
            Value::Struct(Struct::new(schema.clone(), values)?)
        }
        (Kind::Struct(fields), Json::Object(mut members)) => {
            let value = |field: &crate::data::Field| {
                read(&field.schema, members.get_mut(&*field.name).map_or(Json::Null, Json::take))
            };
            let values: Result<Vec<Value>, DataError> = fields.iter().map(value).collect();
            Value::Struct(Struct::new(schema.clone(), values?)?)
        }
        (Kind::Float32, json) => Value::Float32(of_float(&json).ok_or_else(|| unexpected(schema, &json))? as f32),
        (Kind::Float64, json) => Value::Float64(of_float(&json).ok_or_else(|| unexpected(schema, &json))?),
        (kind, json) => {
            let number = json.as_i64().and_then(|number| of_whole(kind, number));
            of_physical(schema, number.ok_or_else(|| unexpected(schema, &json))?)?
        }
    })
}
