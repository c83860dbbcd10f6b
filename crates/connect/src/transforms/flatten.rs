//! `Flatten`: nested structs and maps as fields of one level, their names joined.

use super::plugin::{Change, Plugin, on_side};
use super::structure::{SchemaCache, require_map, require_struct, structure_like};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::{DataError, Field, Kind, Schema, Struct, Typed, Value};
use crate::record::Record;

const PURPOSE: &str = "flattening";

pub(super) fn plugin() -> Plugin {
    let delimiter = ConfigKey::with_default(
        "delimiter",
        ConfigType::String,
        ".",
        Importance::Medium,
        "What stands between the names of the levels.",
    );
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.Flatten$Key",
            "org.apache.kafka.connect.transforms.Flatten$Value",
        ],
        def: ConfigDef::new(vec![delimiter]),
        create: |parsed, side| {
            let delimiter = parsed.get_text("delimiter").to_owned();
            on_side(side, Flatten { delimiter, schemas: SchemaCache::default() })
        },
    }
}

struct Flatten {
    delimiter: String,
    schemas: SchemaCache,
}

impl Change for Flatten {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        if typed.value.is_null() {
            return Ok(typed);
        }
        let delimiter = &self.delimiter;
        let Some(schema) = typed.schema else {
            let mut flat = Vec::new();
            flatten_map(delimiter, "", require_map(typed.value, PURPOSE)?, &mut flat)?;
            return Ok(Typed::schemaless(Value::Map(flat)));
        };
        let value = require_struct(typed.value, PURPOSE)?;
        let updated = self.schemas.get(&schema, |schema| {
            let mut fields = Vec::new();
            flatten_schema(delimiter, "", schema, schema.optional, schema.default.as_ref(), &mut fields)?;
            structure_like(schema, fields)
        })?;
        let mut values = Vec::with_capacity(updated.fields().len());
        flatten_values(&schema, Some(&value), &mut values);
        Ok(Typed::new(updated.clone(), Value::Struct(Struct::new(updated, values)?)))
    }
}

fn joined(delimiter: &str, prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}{delimiter}{name}") }
}

fn flatten_map(
    delimiter: &str,
    prefix: &str,
    entries: Vec<(Value, Value)>,
    flat: &mut Vec<(Value, Value)>,
) -> Result<(), DataError> {
    for (key, value) in entries {
        let name = joined(delimiter, prefix, &key.to_string());
        match value {
            Value::Map(inner) => flatten_map(delimiter, &name, inner, flat)?,
            Value::Struct(_) => {
                let class = value.java_class();
                return Err(DataError::new(format!(
                    "Flatten transformation does not support class {class} for record without schemas (for field {name})."
                )));
            }
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::Decimal(_) => {
                let class = value.java_class();
                return Err(DataError::new(format!(
                    "Flatten transformation was passed a value of type class {class} which is not supported by \
                     Connect's data API"
                )));
            }
            value => flat.push((Value::String(name), value)),
        }
    }
    Ok(())
}

/// A field is optional when a struct around it is, and has the default that a struct around it gives it.
fn flatten_schema(
    delimiter: &str,
    prefix: &str,
    schema: &Schema,
    optional: bool,
    default: Option<&Value>,
    fields: &mut Vec<Field>,
) -> Result<(), DataError> {
    for field in schema.fields() {
        let name = joined(delimiter, prefix, &field.name);
        let optional = optional || field.schema.optional;
        let of_parent = match default {
            Some(Value::Struct(value)) => value.get_or_default(&field.name).filter(|value| !value.is_null()),
            _ => None,
        };
        let default = field.schema.default.as_ref().or(of_parent);
        match field.schema.kind {
            Kind::Struct(_) => flatten_schema(delimiter, &name, &field.schema, optional, default, fields)?,
            Kind::Map(..) => {
                return Err(DataError::new(format!(
                    "Flatten transformation does not support MAP for record with schemas (for field {name})."
                )));
            }
            _ => {
                let default = default.cloned();
                fields.push(Field::new(name, Schema { optional, default, ..(*field.schema).clone() }));
            }
        }
    }
    Ok(())
}

fn flatten_values(schema: &Schema, value: Option<&Struct>, values: &mut Vec<Value>) {
    for (index, field) in schema.fields().iter().enumerate() {
        let inner = value.map_or(&Value::Null, |value| value.at_or_default(index));
        match (&field.schema.kind, inner) {
            (Kind::Struct(_), Value::Struct(inner)) => flatten_values(&field.schema, Some(inner), values),
            (Kind::Struct(_), _) => flatten_values(&field.schema, None, values),
            (_, inner) => values.push(inner.clone()),
        }
    }
}
