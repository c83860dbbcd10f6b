//! Values in Avro's JSON encoding, for the schema that is written with.

use milena_schema::avro::{AvroSchema, Kind as AvroKind, Type};
use serde_json::{Map, Value as Json};

use super::super::logical::{float, physical, whole};
use super::super::mismatch;
use super::Avro;
use crate::data::{DataError, Kind, Schema, SchemaRef, Value};

pub(super) struct Writer<'a> {
    pub(super) avro: &'a AvroSchema,
    pub(super) options: Avro,
}

impl Writer<'_> {
    pub(super) fn value(&self, to: &Type, schema: &SchemaRef, value: &Value) -> Result<Json, DataError> {
        let value = match value {
            Value::Null => schema.default.as_ref().unwrap_or(&Value::Null),
            value => value,
        };
        if let AvroKind::Union(branches) = &to.kind {
            return self.union(branches.iter().map(|branch| self.avro.type_of(*branch)), schema, value);
        }
        if let Some(value) = physical(schema, value)? {
            return self.scalar(to, schema, &value);
        }
        match (&to.kind, value) {
            (AvroKind::Array(items), Value::Array(elements)) => {
                let of_elements = schema.value_schema().ok_or_else(|| mismatch(schema, value))?;
                let items = self.avro.type_of(*items);
                elements.iter().map(|element| self.value(items, of_elements, element)).collect()
            }
            (AvroKind::Array(items), Value::Map(entries)) => self.entries(self.avro.type_of(*items), schema, entries),
            (AvroKind::Map(values), Value::Map(entries)) => {
                let of_values = schema.value_schema().ok_or_else(|| mismatch(schema, value))?;
                let values = self.avro.type_of(*values);
                let entry = |(key, value): &(Value, Value)| match key {
                    Value::String(key) => Ok((key.clone(), self.value(values, of_values, value)?)),
                    other => Err(mismatch(schema, other)),
                };
                entries.iter().map(entry).collect::<Result<Map<String, Json>, DataError>>().map(Json::Object)
            }
            (AvroKind::Record(record), Value::Struct(fields)) => {
                let mut members = Map::new();
                let of_value = fields.schema();
                for field in &record.fields {
                    let index = of_value.field_index(&field.name).or_else(|| {
                        of_value.fields().iter().position(|own| self.options.name(&own.name) == field.name)
                    });
                    let json = match index
                        .and_then(|index| Some((of_value.fields().get(index)?, fields.values().get(index)?)))
                    {
                        Some((own, value)) => self.value(self.avro.type_of(field.type_id), &own.schema, value)?,
                        None => Json::Null,
                    };
                    members.insert(field.name.clone(), json);
                }
                Ok(Json::Object(members))
            }
            _ => self.scalar(to, schema, value),
        }
    }

    /// The branch for null, or the one that the value fits.
    fn union<'a>(
        &self,
        branches: impl Iterator<Item = &'a Type> + Clone,
        schema: &SchemaRef,
        value: &Value,
    ) -> Result<Json, DataError> {
        if value.is_null() {
            return Ok(Json::Null);
        }
        if schema.is_named(super::UNION)
            && let Value::Struct(fields) = value
        {
            let set = fields.schema().fields().iter().zip(fields.values()).find(|(_, value)| !value.is_null());
            let Some((field, value)) = set else { return Ok(Json::Null) };
            let branch = branches.clone().find(|branch| simple_label(branch) == &*field.name);
            let branch = branch.ok_or_else(|| DataError::new(format!("The union has no branch {}", field.name)))?;
            return Ok(tagged(branch, self.value(branch, &field.schema, value)?));
        }
        let mut refused = None;
        for branch in branches.filter(|branch| !matches!(branch.kind, AvroKind::Null)) {
            match self.value(branch, schema, value) {
                Ok(json) => return Ok(tagged(branch, json)),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused.unwrap_or_else(|| mismatch(schema, value)))
    }

    /// A map whose keys are no plain text: an array of records.
    fn entries(&self, entry: &Type, schema: &SchemaRef, entries: &[(Value, Value)]) -> Result<Json, DataError> {
        let (AvroKind::Record(record), Kind::Map(keys, values)) = (&entry.kind, &schema.kind) else {
            return Err(DataError::new("A map is written as an array of records"));
        };
        let [key_field, value_field, ..] = &record.fields[..] else {
            return Err(DataError::new("An entry of a map has a key and a value"));
        };
        let entry = |(key, value): &(Value, Value)| {
            let key = self.value(self.avro.type_of(key_field.type_id), keys, key)?;
            let value = self.value(self.avro.type_of(value_field.type_id), values, value)?;
            Ok(Json::Object(Map::from_iter([(key_field.name.clone(), key), (value_field.name.clone(), value)])))
        };
        entries.iter().map(entry).collect()
    }

    fn scalar(&self, to: &Type, schema: &Schema, value: &Value) -> Result<Json, DataError> {
        Ok(match (&to.kind, value) {
            (AvroKind::Boolean, Value::Boolean(value)) => Json::Bool(*value),
            (AvroKind::Float | AvroKind::Double, Value::Float32(value)) => float(f64::from(*value)),
            (AvroKind::Double, Value::Float64(value)) => float(*value),
            (AvroKind::String | AvroKind::Enum(_), Value::String(text)) => Json::String(text.clone()),
            (AvroKind::Bytes | AvroKind::Fixed(_), Value::Bytes(bytes)) => {
                Json::String(bytes.iter().map(|byte| char::from(*byte)).collect())
            }
            (AvroKind::Int, value) => match whole(value).filter(|number| i32::try_from(*number).is_ok()) {
                Some(number) => Json::from(number),
                None => return Err(mismatch(schema, value)),
            },
            (AvroKind::Long, value) => Json::from(whole(value).ok_or_else(|| mismatch(schema, value))?),
            (_, Value::Null) => {
                let kind = schema.type_name();
                return Err(DataError::new(format!("Found null value for non-optional schema of type {kind}")));
            }
            (_, value) => return Err(mismatch(schema, value)),
        })
    }
}

fn tagged(branch: &Type, json: Json) -> Json {
    Json::Object(Map::from_iter([(branch.kind.label().to_owned(), json)]))
}

/// The name of a branch without its namespace.
pub(super) fn simple_label(branch: &Type) -> &str {
    branch.kind.naming().map_or_else(|| branch.kind.label(), |naming| naming.name.simple())
}
