//! What transforms do to structs, maps and their schemas.

use std::collections::HashMap;

use crate::data::{DataError, Field, Schema, SchemaRef, Struct, Value};

/// Most schemas that a transform keeps what it made of.
const CACHE_SIZE: usize = 16;

/// What was made of schemas, by the address of their object, which is kept so that the address stays its own.
#[derive(Default)]
pub(super) struct SchemaCache(HashMap<usize, (SchemaRef, SchemaRef)>);

impl SchemaCache {
    /// What was made of this schema, or is made of it now.
    pub(super) fn get(
        &mut self,
        schema: &SchemaRef,
        make: impl FnOnce(&SchemaRef) -> Result<Schema, DataError>,
    ) -> Result<SchemaRef, DataError> {
        let address = std::ptr::from_ref::<Schema>(schema).addr();
        if let Some((_, made)) = self.0.get(&address) {
            return Ok(made.clone());
        }
        let made = SchemaRef::from(make(schema)?);
        if self.0.len() >= CACHE_SIZE {
            self.0.clear();
        }
        self.0.insert(address, (schema.clone(), made.clone()));
        Ok(made)
    }
}

/// A struct with the name, version, documentation and parameters of another schema; required, without a default.
pub(super) fn structure_like(source: &Schema, fields: Vec<Field>) -> Result<Schema, DataError> {
    let schema = copy_basics(source, structure(fields)?);
    Ok(schema)
}

/// A struct of fields with distinct names.
pub(super) fn structure(fields: Vec<Field>) -> Result<Schema, DataError> {
    let schema = Schema::structure(fields);
    for (index, field) in schema.fields().iter().enumerate() {
        if schema.field_index(&field.name) != Some(index) {
            let text = format!("Cannot create field because of field name duplication {}", field.name);
            return Err(DataError::new(text));
        }
    }
    Ok(schema)
}

/// The schema with the name, version, documentation and parameters of another.
pub(super) fn copy_basics(source: &Schema, schema: Schema) -> Schema {
    Schema {
        name: source.name.clone(),
        version: source.version,
        doc: source.doc.clone(),
        parameters: source.parameters.clone(),
        ..schema
    }
}

/// The value as a struct.
pub(super) fn require_struct(value: Value, purpose: &str) -> Result<Struct, DataError> {
    match value {
        Value::Struct(value) => Ok(value),
        value => {
            let class = value.java_class();
            Err(DataError::new(format!("Only Struct objects supported for [{purpose}], found: {class}")))
        }
    }
}

/// The value as a map.
pub(super) fn require_map(value: Value, purpose: &str) -> Result<Vec<(Value, Value)>, DataError> {
    match value {
        Value::Map(entries) => Ok(entries),
        value => {
            let class = value.java_class();
            let text = format!("Only Map objects supported in absence of schema for [{purpose}], found: {class}");
            Err(DataError::new(text))
        }
    }
}

/// The value of a field: its default when it is null and `replace_null` is set.
pub(super) fn field_value(value: &Struct, index: usize, replace_null: bool) -> Value {
    if replace_null {
        return value.at_or_default(index).clone();
    }
    value.values().get(index).cloned().unwrap_or(Value::Null)
}

/// All values of a struct, defaults for those that are null when `replace_null` is set.
pub(super) fn into_values(value: Struct, replace_null: bool) -> Vec<Value> {
    let schema = value.schema().clone();
    let mut values = value.into_values();
    if replace_null {
        for (value, field) in values.iter_mut().zip(schema.fields()) {
            if value.is_null()
                && let Some(default) = &field.schema.default
            {
                *value = default.clone();
            }
        }
    }
    values
}

/// The value of a key of a map; null when there is none.
pub(super) fn get<'a>(entries: &'a [(Value, Value)], name: &str) -> &'a Value {
    let found = entries.iter().find(|(key, _)| matches!(key, Value::String(key) if key == name));
    found.map_or(&Value::Null, |(_, value)| value)
}

/// Sets the value of a key of a map.
pub(super) fn put(entries: &mut Vec<(Value, Value)>, name: &str, value: Value) {
    match entries.iter_mut().find(|(key, _)| matches!(key, Value::String(key) if key == name)) {
        Some((_, slot)) => *slot = value,
        None => entries.push((Value::String(name.to_owned()), value)),
    }
}
