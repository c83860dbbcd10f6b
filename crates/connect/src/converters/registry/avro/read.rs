//! Values from Avro's JSON encoding.

use milena_schema::avro::{AvroSchema, Kind as AvroKind, Type};
use serde_json::Value as Json;

use super::super::logical::{of_float, of_physical, of_whole};
use super::super::unexpected;
use super::write::simple_label;
use crate::data::{DataError, Kind, SchemaRef, Struct, Value};

pub(super) fn value(avro: &AvroSchema, from: &Type, schema: &SchemaRef, json: Json) -> Result<Value, DataError> {
    let wrong = |json: &Json| unexpected(schema, json);
    match (&from.kind, &schema.kind, json) {
        (_, _, Json::Null) => Ok(Value::Null),
        (AvroKind::Union(branches), _, Json::Object(members)) => {
            let Some((label, json)) = members.into_iter().next() else { return Ok(Value::Null) };
            let mut types = branches.iter().map(|branch| avro.type_of(*branch));
            let branch = types.find(|branch| branch.kind.label() == label);
            let branch = branch.ok_or_else(|| DataError::new(format!("Unknown branch {label} of a union")))?;
            if !schema.is_named(super::UNION) {
                return value(avro, branch, schema, json);
            }
            let name = simple_label(branch);
            let mut values = vec![Value::Null; schema.fields().len()];
            if let Some(index) = schema.field_index(name)
                && let (Some(slot), Some(field)) = (values.get_mut(index), schema.fields().get(index))
            {
                *slot = value(avro, branch, &field.schema, json)?;
            }
            Ok(Value::Struct(Struct::new(schema.clone(), values)?))
        }
        (AvroKind::Record(record), Kind::Struct(fields), Json::Object(mut members)) => {
            let values = fields.iter().zip(&record.fields).map(|(field, from)| {
                let json = members.get_mut(&from.name).map_or(Json::Null, Json::take);
                value(avro, avro.type_of(from.type_id), &field.schema, json)
            });
            let values: Result<Vec<Value>, DataError> = values.collect();
            Ok(Value::Struct(Struct::new(schema.clone(), values?)?))
        }
        (AvroKind::Array(items), Kind::Array(of_elements), Json::Array(elements)) => {
            let items = avro.type_of(*items);
            let elements: Result<Vec<Value>, DataError> =
                elements.into_iter().map(|element| value(avro, items, of_elements, element)).collect();
            elements.map(Value::Array)
        }
        (AvroKind::Array(items), Kind::Map(keys, values), Json::Array(entries)) => {
            let AvroKind::Record(record) = &avro.type_of(*items).kind else {
                return Err(DataError::new("An entry of a map is a record"));
            };
            let [key, of_value, ..] = &record.fields[..] else {
                return Err(DataError::new("An entry of a map has a key and a value"));
            };
            let entry = |mut entry: Json| {
                let key_json = entry.get_mut(&key.name).map_or(Json::Null, Json::take);
                let value_json = entry.get_mut(&of_value.name).map_or(Json::Null, Json::take);
                let key = value(avro, avro.type_of(key.type_id), keys, key_json)?;
                Ok((key, value(avro, avro.type_of(of_value.type_id), values, value_json)?))
            };
            let entries: Result<Vec<(Value, Value)>, DataError> = entries.into_iter().map(entry).collect();
            entries.map(Value::Map)
        }
        (AvroKind::Map(from), Kind::Map(_, values), Json::Object(members)) => {
            let from = avro.type_of(*from);
            let entry = |(key, json)| Ok((Value::String(key), value(avro, from, values, json)?));
            let entries: Result<Vec<(Value, Value)>, DataError> = members.into_iter().map(entry).collect();
            entries.map(Value::Map)
        }
        (_, Kind::Boolean, Json::Bool(value)) => Ok(Value::Boolean(value)),
        (_, Kind::String, Json::String(text)) => Ok(Value::String(text)),
        (_, Kind::Bytes, Json::String(text)) => {
            let bytes: Option<Vec<u8>> =
                text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
            let bytes = bytes.ok_or_else(|| DataError::new("Bytes are characters up to U+00FF"))?;
            of_physical(schema, Value::Bytes(bytes.into()))
        }
        (_, Kind::Float32, json) => {
            of_float(&json).map(|number| Value::Float32(number as f32)).ok_or_else(|| wrong(&json))
        }
        (_, Kind::Float64, json) => of_float(&json).map(Value::Float64).ok_or_else(|| wrong(&json)),
        (_, kind, json) => {
            let number = json.as_i64().and_then(|number| of_whole(kind, number));
            of_physical(schema, number.ok_or_else(|| wrong(&json))?)
        }
    }
}
