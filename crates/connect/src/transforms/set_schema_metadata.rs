//! `SetSchemaMetadata`: another name or version of the schema.

use super::plugin::{Change, Plugin, REPLACE_NULL, on_side, replace_null_with_default};
use super::structure::{SchemaCache, into_values};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::{DataError, Schema, Struct, Typed, Value};
use crate::record::Record;

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.SetSchemaMetadata$Key",
            "org.apache.kafka.connect.transforms.SetSchemaMetadata$Value",
        ],
        def: ConfigDef::new(vec![
            ConfigKey::nullable("schema.name", ConfigType::String, Importance::High, "The new name."),
            ConfigKey::nullable("schema.version", ConfigType::Int, Importance::High, "The new version."),
            replace_null_with_default(),
        ]),
        create: |parsed, side| {
            let name = parsed.get_string("schema.name").map(str::to_owned);
            let version = parsed.get_optional_long("schema.version").map(|version| version as i32);
            if name.is_none() && version.is_none() {
                return Err(DataError::new("Neither schema name nor version configured"));
            }
            let replace_null = parsed.get_bool(REPLACE_NULL);
            on_side(side, SetSchemaMetadata { name, version, replace_null, schemas: SchemaCache::default() })
        },
    }
}

struct SetSchemaMetadata {
    name: Option<String>,
    version: Option<i32>,
    replace_null: bool,
    schemas: SchemaCache,
}

impl Change for SetSchemaMetadata {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        let schema = match typed.schema {
            Some(schema) => schema,
            None if typed.value.is_null() => return Ok(typed),
            None => return Err(DataError::new("Schema required for [updating schema metadata]")),
        };
        let (name, version) = (self.name.as_deref(), self.version);
        let updated = self.schemas.get(&schema, |schema| {
            let mut updated: Schema = (**schema).clone();
            updated.name = name.map(Into::into).or(updated.name);
            updated.version = version.or(updated.version);
            Ok(updated)
        })?;
        let value = match typed.value {
            Value::Struct(value) => Value::Struct(Struct::new(updated.clone(), into_values(value, self.replace_null))?),
            value => value,
        };
        Ok(Typed::new(updated, value))
    }
}
