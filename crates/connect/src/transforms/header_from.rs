//! `HeaderFrom`: fields of the key or value as headers.

use super::plugin::{Change, Plugin, REPLACE_NULL, on_side, replace_null_with_default};
use super::structure::{SchemaCache, field_value, get, require_map, require_struct, structure_like};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, Struct, Typed, Value};
use crate::record::{Header, Record};

pub(super) fn plugin() -> Plugin {
    let some = Rule::Whole(|name, value| match value {
        "" => Err(format!("Invalid value [] for configuration {name}: Empty list")),
        _ => Ok(()),
    });
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.HeaderFrom$Key",
            "org.apache.kafka.connect.transforms.HeaderFrom$Value",
        ],
        def: ConfigDef::new(vec![
            ConfigKey::required("fields", ConfigType::List, Importance::High, "Names of the fields.")
                .checked(some.clone()),
            ConfigKey::required(
                "headers",
                ConfigType::List,
                Importance::High,
                "Names of the headers, in the order of the fields.",
            )
            .checked(some),
            ConfigKey::required(
                "operation",
                ConfigType::String,
                Importance::High,
                "move: the fields are taken out; copy: they stay.",
            )
            .checked(Rule::OneOf(&["move", "copy"])),
            replace_null_with_default(),
        ]),
        create: |parsed, side| {
            let (fields, headers) = (parsed.get_list("fields"), parsed.get_list("headers"));
            if fields.len() != headers.len() {
                let text = "'fields' config must have the same number of elements as 'headers' config.";
                return Err(DataError::new(text));
            }
            let pairs = fields.iter().cloned().zip(headers.iter().cloned()).collect();
            let moves = parsed.get_text("operation") == "move";
            let replace_null = parsed.get_bool(REPLACE_NULL);
            on_side(side, HeaderFrom { pairs, moves, replace_null, schemas: SchemaCache::default() })
        },
    }
}

struct HeaderFrom {
    /// Field and header.
    pairs: Vec<(String, String)>,
    moves: bool,
    replace_null: bool,
    schemas: SchemaCache,
}

impl Change for HeaderFrom {
    fn change(&mut self, typed: Typed, record: &mut Record) -> Result<Typed, DataError> {
        let purpose = if self.moves { "header move" } else { "header copy" };
        let Some(schema) = typed.schema else {
            let mut entries = require_map(typed.value, purpose)?;
            for (field, header) in &self.pairs {
                let value = Typed::schemaless(get(&entries, field).clone());
                record.headers.push(Header { key: header.clone(), value });
            }
            if self.moves {
                entries.retain(|(key, _)| !self.takes(&key.to_string()));
            }
            return Ok(Typed::schemaless(Value::Map(entries)));
        };
        let value = require_struct(typed.value, purpose)?;
        for (name, header) in &self.pairs {
            let index = schema.field_index(name);
            let field = index.and_then(|index| Some((index, schema.fields().get(index)?)));
            let (index, field) = field.ok_or_else(|| DataError::new(format!("Unknown field: {name}")))?;
            let value = Typed::new(field.schema.clone(), field_value(&value, index, self.replace_null));
            record.headers.push(Header { key: header.clone(), value });
        }
        if !self.moves {
            return Ok(Typed::new(schema, Value::Struct(value)));
        }
        let kept: Vec<usize> = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| !self.takes(&field.name))
            .map(|(index, _)| index)
            .collect();
        let updated = self.schemas.get(&schema, |schema| {
            structure_like(schema, kept.iter().filter_map(|index| schema.fields().get(*index).cloned()).collect())
        })?;
        let values = kept.iter().map(|index| field_value(&value, *index, self.replace_null)).collect();
        Ok(Typed::new(updated.clone(), Value::Struct(Struct::new(updated, values)?)))
    }
}

impl HeaderFrom {
    fn takes(&self, field: &str) -> bool {
        self.pairs.iter().any(|(name, _)| name == field)
    }
}
