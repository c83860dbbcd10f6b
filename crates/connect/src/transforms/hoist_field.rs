//! `HoistField`: the key or value as the only field of a struct or map.

use super::plugin::{Change, Plugin, on_side};
use super::structure::SchemaCache;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::{DataError, Field, Schema, Struct, Typed, Value, validate_value};
use crate::record::Record;

pub(super) fn plugin() -> Plugin {
    let field = ConfigKey::required("field", ConfigType::String, Importance::Medium, "Name of the field.");
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.HoistField$Key",
            "org.apache.kafka.connect.transforms.HoistField$Value",
        ],
        def: ConfigDef::new(vec![field]),
        create: |parsed, side| {
            let field = parsed.get_text("field").to_owned();
            on_side(side, HoistField { field, schemas: SchemaCache::default() })
        },
    }
}

struct HoistField {
    field: String,
    schemas: SchemaCache,
}

impl Change for HoistField {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        let Some(schema) = typed.schema else {
            let entry = (Value::String(self.field.clone()), typed.value);
            return Ok(Typed::schemaless(Value::Map(vec![entry])));
        };
        if typed.value.is_null() {
            validate_value(Some(&self.field), &schema, &typed.value)?;
        }
        let field = &self.field;
        let make = |schema: &_| Ok(Schema::structure(vec![Field::new(field.as_str(), std::sync::Arc::clone(schema))]));
        let updated = self.schemas.get(&schema, make)?;
        Ok(Typed::new(updated.clone(), Value::Struct(Struct::new(updated, vec![typed.value])?)))
    }
}
