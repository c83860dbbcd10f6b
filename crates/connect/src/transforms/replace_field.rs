//! `ReplaceField`: fields left out, kept or renamed.

use std::collections::HashMap;

use super::plugin::{Change, Plugin, REPLACE_NULL, on_side, replace_null_with_default};
use super::structure::{SchemaCache, field_value, put, require_map, require_struct, structure_like};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, Field, Struct, Typed, Value};
use crate::record::Record;

const PURPOSE: &str = "field replacement";

pub(super) fn plugin() -> Plugin {
    let list =
        |name, documentation| ConfigKey::with_default(name, ConfigType::List, "", Importance::Medium, documentation);
    let alias = |name, documentation| ConfigKey::nullable(name, ConfigType::List, Importance::Low, documentation);
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.ReplaceField$Key",
            "org.apache.kafka.connect.transforms.ReplaceField$Value",
        ],
        def: ConfigDef::new(vec![
            list("exclude", "Fields to leave out; wins over include."),
            list("include", "Fields to keep; empty: all."),
            list("renames", "New names, as old:new.").checked(Rule::Whole(|_, value| {
                let elements: Vec<&str> = value.split(',').filter(|_| !value.is_empty()).collect();
                renames(&elements).map(|_| ())
            })),
            replace_null_with_default(),
            alias("blacklist", "Old name of exclude."),
            alias("whitelist", "Old name of include."),
        ]),
        create: |parsed, side| {
            let either = |name, old| {
                let list = parsed.get_list(name);
                if list.is_empty() { parsed.get_list(old).to_vec() } else { list.to_vec() }
            };
            let elements: Vec<&str> = parsed.get_list("renames").iter().map(String::as_str).collect();
            on_side(
                side,
                ReplaceField {
                    exclude: either("exclude", "blacklist"),
                    include: either("include", "whitelist"),
                    renames: renames(&elements).map_err(DataError::new)?,
                    replace_null: parsed.get_bool(REPLACE_NULL),
                    schemas: SchemaCache::default(),
                },
            )
        },
    }
}

fn renames(elements: &[&str]) -> Result<HashMap<String, String>, String> {
    let rename = |element: &&str| match element.split(':').collect::<Vec<&str>>()[..] {
        [old, new] if !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => {
            let given = elements.join(", ");
            Err(format!("Invalid value [{given}] for configuration renames: Invalid rename mapping: {element}"))
        }
    };
    elements.iter().map(rename).collect()
}

struct ReplaceField {
    exclude: Vec<String>,
    include: Vec<String>,
    renames: HashMap<String, String>,
    replace_null: bool,
    schemas: SchemaCache,
}

impl Change for ReplaceField {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        if typed.value.is_null() {
            return Ok(typed);
        }
        let Some(schema) = typed.schema else {
            let mut kept = Vec::new();
            for (key, value) in require_map(typed.value, PURPOSE)? {
                let name = key.to_string();
                if self.keeps(&name) {
                    put(&mut kept, self.renamed(&name), value);
                }
            }
            return Ok(Typed::schemaless(Value::Map(kept)));
        };
        let value = require_struct(typed.value, PURPOSE)?;
        let kept: Vec<usize> = schema
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| self.keeps(&field.name))
            .map(|(index, _)| index)
            .collect();
        let mut schemas = std::mem::take(&mut self.schemas);
        let updated = schemas.get(&schema, |schema| {
            let fields = kept.iter().filter_map(|index| schema.fields().get(*index));
            structure_like(
                schema,
                fields.map(|field| Field::new(self.renamed(&field.name), field.schema.clone())).collect(),
            )
        });
        self.schemas = schemas;
        let updated = updated?;
        let values = kept.iter().map(|index| field_value(&value, *index, self.replace_null)).collect();
        Ok(Typed::new(updated.clone(), Value::Struct(Struct::new(updated, values)?)))
    }
}

impl ReplaceField {
    fn keeps(&self, field: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|name| name == field);
        !has(&self.exclude) && (self.include.is_empty() || has(&self.include))
    }

    fn renamed<'a>(&'a self, field: &'a str) -> &'a str {
        self.renames.get(field).map_or(field, String::as_str)
    }
}
