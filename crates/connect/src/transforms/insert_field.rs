//! `InsertField`: the topic, partition, offset or timestamp of the record, or a fixed text, as a field.

use super::plugin::{Change, Plugin, REPLACE_NULL, on_side, replace_null_with_default};
use super::structure::{SchemaCache, into_values, put, require_map, require_struct, structure_like};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance};
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, Struct, Typed, Value, logical};
use crate::record::{Origin, Record};

const PURPOSE: &str = "field insertion";

pub(super) fn plugin() -> Plugin {
    let key = |name, documentation| ConfigKey::nullable(name, ConfigType::String, Importance::Medium, documentation);
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.InsertField$Key",
            "org.apache.kafka.connect.transforms.InsertField$Value",
        ],
        def: ConfigDef::new(vec![
            key(
                "topic.field",
                "Field for the topic. With ! behind it the field is required, with ? optional (as without).",
            ),
            key("partition.field", "Field for the partition, with ! or ? as above."),
            key("offset.field", "Field for the offset, with ! or ? as above; only of sinks."),
            key("timestamp.field", "Field for the timestamp of the record, with ! or ? as above."),
            key("static.field", "Field for a fixed text, with ! or ? as above."),
            key("static.value", "The fixed text."),
            replace_null_with_default(),
        ]),
        create: |parsed, side| {
            let names = ["topic.field", "partition.field", "offset.field", "timestamp.field", "static.field"];
            let whats = [What::Topic, What::Partition, What::Offset, What::Timestamp, What::Text];
            let pairs = names.into_iter().zip(whats);
            let insertions: Vec<Insertion> =
                pairs.filter_map(|(name, what)| Some(Insertion::new(what, parsed.get_string(name)?))).collect();
            if insertions.is_empty() {
                return Err(DataError::new("No field insertion configured"));
            }
            let text = parsed.get_string("static.value").map(str::to_owned);
            if let (Some(field), None) = (parsed.get_string("static.field"), &text) {
                let text = "Invalid value null for configuration static.value: No value specified for static field:";
                return Err(DataError::new(format!("{text} {field}")));
            }
            let replace_null = parsed.get_bool(REPLACE_NULL);
            let text = text.unwrap_or_default();
            on_side(side, InsertField { insertions, text, replace_null, schemas: SchemaCache::default() })
        },
    }
}

struct InsertField {
    insertions: Vec<Insertion>,
    text: String,
    replace_null: bool,
    schemas: SchemaCache,
}

struct Insertion {
    what: What,
    field: String,
    schema: SchemaRef,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Topic,
    Partition,
    Offset,
    Timestamp,
    Text,
}

impl Insertion {
    fn new(what: What, spec: &str) -> Insertion {
        let (field, optional) = match (spec.strip_suffix('?'), spec.strip_suffix('!')) {
            (Some(field), _) => (field, true),
            (None, Some(field)) => (field, false),
            (None, None) => (spec, true),
        };
        let schema = match what {
            What::Topic | What::Text => Schema::new(Kind::String),
            What::Partition => Schema::new(Kind::Int32),
            What::Offset => Schema::new(Kind::Int64),
            What::Timestamp => logical::timestamp(),
        };
        Insertion { what, field: field.to_owned(), schema: Schema { optional, ..schema }.into() }
    }
}

impl Change for InsertField {
    fn change(&mut self, typed: Typed, record: &mut Record) -> Result<Typed, DataError> {
        if typed.value.is_null() {
            return Ok(typed);
        }
        let Some(schema) = typed.schema else {
            let mut entries = require_map(typed.value, PURPOSE)?;
            for insertion in &self.insertions {
                match self.value(insertion.what, record)? {
                    Value::Null => {}
                    // Without a schema there is no logical type.
                    Value::Timestamp(millis) => put(&mut entries, &insertion.field, Value::Int64(millis)),
                    value => put(&mut entries, &insertion.field, value),
                }
            }
            return Ok(Typed::schemaless(Value::Map(entries)));
        };
        let value = require_struct(typed.value, PURPOSE)?;
        let insertions = &self.insertions;
        let updated = self.schemas.get(&schema, |schema| {
            let added =
                insertions.iter().map(|insertion| Field::new(insertion.field.as_str(), insertion.schema.clone()));
            structure_like(schema, schema.fields().iter().cloned().chain(added).collect())
        })?;
        let mut values = into_values(value, self.replace_null);
        for insertion in &self.insertions {
            values.push(self.value(insertion.what, record)?);
        }
        Ok(Typed::new(updated.clone(), Value::Struct(Struct::new(updated, values)?)))
    }
}

impl InsertField {
    fn value(&self, what: What, record: &Record) -> Result<Value, DataError> {
        Ok(match (what, &record.origin) {
            (What::Topic, _) => Value::String(record.topic.to_string()),
            (What::Partition, _) => record.partition.map_or(Value::Null, Value::Int32),
            (What::Timestamp, _) => record.timestamp.map_or(Value::Null, Value::Timestamp),
            (What::Text, _) => Value::String(self.text.clone()),
            (What::Offset, Origin::Sink { offset, .. }) => Value::Int64(*offset),
            (What::Offset, Origin::Source { .. }) => {
                return Err(DataError::new(format!(
                    "Only SinkRecord supported for [{PURPOSE}], found: org.apache.kafka.connect.source.SourceRecord"
                )));
            }
        })
    }
}
