//! `ValueToKey`: fields of the value as the key.

use super::plugin::{Plugin, REPLACE_NULL, replace_null_with_default};
use super::structure::{SchemaCache, get, structure};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, Field, Struct, Typed, Value};
use crate::plugin::Transform;
use crate::record::Record;

const PURPOSE: &str = "copying fields from value to key";

pub(super) fn plugin() -> Plugin {
    let fields = ConfigKey::required("fields", ConfigType::List, Importance::High, "Fields of the value, in order.");
    Plugin {
        classes: &["org.apache.kafka.connect.transforms.ValueToKey"],
        def: ConfigDef::new(vec![fields.checked(Rule::SomeElements), replace_null_with_default()]),
        create: |parsed, _| {
            let fields = parsed.get_list("fields").to_vec();
            let replace_null = parsed.get_bool(REPLACE_NULL);
            Ok(Box::new(ValueToKey { fields, replace_null, schemas: SchemaCache::default() }))
        },
    }
}

struct ValueToKey {
    fields: Vec<String>,
    replace_null: bool,
    schemas: SchemaCache,
}

impl Transform for ValueToKey {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        record.key = match (&record.value.schema, &record.value.value) {
            (None, Value::Map(entries)) => {
                let entry = |field: &String| (Value::String(field.clone()), get(entries, field).clone());
                Typed::schemaless(Value::Map(self.fields.iter().map(entry).collect()))
            }
            (None, value) => {
                let class = value.java_class();
                let text = format!("Only Map objects supported in absence of schema for [{PURPOSE}], found: {class}");
                return Err(DataError::new(text));
            }
            (Some(_), Value::Struct(value)) => self.key_of(value)?,
            (Some(_), value) => {
                let class = value.java_class();
                let text = format!("Only Struct objects supported for [{PURPOSE}], found: {class}");
                return Err(DataError::new(text));
            }
        };
        Ok(Some(record))
    }
}

impl ValueToKey {
    fn key_of(&mut self, value: &Struct) -> Result<Typed, DataError> {
        let names = &self.fields;
        let schema = self.schemas.get(value.schema(), |schema| {
            let field = |name: &String| {
                let field = schema.field(name);
                let field = field.ok_or_else(|| DataError::new(format!("Field does not exist: {name}")))?;
                Ok(Field::new(name.as_str(), field.schema.clone()))
            };
            structure(names.iter().map(field).collect::<Result<Vec<Field>, DataError>>()?)
        })?;
        let value_of = |name: &String| {
            let found = if self.replace_null { value.get_or_default(name) } else { value.get(name) };
            found.cloned().unwrap_or(Value::Null)
        };
        let values = self.fields.iter().map(value_of).collect();
        Ok(Typed::new(schema.clone(), Value::Struct(Struct::new(schema, values)?)))
    }
}
