//! `Drop`: the key or value becomes null.

use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, Schema, Typed, Value};
use crate::record::Record;
use crate::transforms::plugin::{Change, Plugin, on_side};
use crate::transforms::structure::SchemaCache;

pub(super) fn plugin() -> Plugin {
    let behavior = ConfigKey::with_default(
        "schema.behavior",
        ConfigType::String,
        "nullify",
        Importance::Medium,
        "What becomes of the schema: nullify, none; retain, the same; validate, the same, which must be optional; \
         force_optional, the same but optional.",
    );
    Plugin {
        classes: &["io.confluent.connect.transforms.Drop$Key", "io.confluent.connect.transforms.Drop$Value"],
        def: ConfigDef::new(vec![behavior.checked(Rule::OneOf(&["nullify", "retain", "validate", "force_optional"]))]),
        create: |parsed, side| {
            let behavior = parsed.get_text("schema.behavior").to_owned();
            on_side(side, Drop { behavior, schemas: SchemaCache::default() })
        },
    }
}

struct Drop {
    behavior: String,
    schemas: SchemaCache,
}

impl Change for Drop {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        let schema = match (typed.schema, self.behavior.as_str()) {
            (None, _) | (_, "nullify") => None,
            (Some(schema), "validate") if !schema.optional => {
                return Err(DataError::new(format!("Schema {schema} is not optional, so null cannot be its value")));
            }
            (Some(schema), "force_optional") if !schema.optional => {
                Some(self.schemas.get(&schema, |schema| Ok(Schema { optional: true, ..(**schema).clone() }))?)
            }
            (schema, _) => schema,
        };
        Ok(Typed { schema, value: Value::Null })
    }
}
