//! Debezium's `ExtractNewRecordState`: a change event becomes the row as it is after the change.
//!
//! An event is a struct with the fields `op`, `before`, `after` and `source`, its schema's name ending in `Envelope`;
//! other records pass as they are.

use std::sync::Arc;

use super::plugin::{Plugin, REPLACE_NULL, replace_null_with_default};
use super::structure::{into_values, structure_like};
use crate::config::Parsed;
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, Struct, Typed, Value};
use crate::plugin::Transform;
use crate::record::{Header, Record};

/// Most schemas of events whose rows' schemas are kept.
const CACHE_SIZE: usize = 64;

pub(super) fn plugin() -> Plugin {
    let text = |name, default, documentation| {
        ConfigKey::with_default(name, ConfigType::String, default, Importance::Medium, documentation)
    };
    Plugin {
        classes: &["io.debezium.transforms.ExtractNewRecordState"],
        def: ConfigDef::new(vec![
            text(
                "delete.tombstone.handling.mode",
                "tombstone",
                "What becomes of deletes and of the tombstones behind them. drop: both are dropped; tombstone: the \
                 tombstone stays; rewrite: the delete becomes its old row with __deleted=true, the tombstone is \
                 dropped; rewrite-with-tombstone: as rewrite, but the tombstone stays; delete-to-tombstone: the delete \
                 becomes a tombstone, the one behind it is dropped.",
            )
            .checked(Rule::OneOf(&[
                "drop",
                "tombstone",
                "rewrite",
                "rewrite-with-tombstone",
                "delete-to-tombstone",
            ])),
            ConfigKey::nullable(
                "drop.tombstones",
                ConfigType::Boolean,
                Importance::Low,
                "Older form of the above: whether tombstones are dropped.",
            ),
            ConfigKey::nullable(
                "delete.handling.mode",
                ConfigType::String,
                Importance::Low,
                "Older form of the above: drop, rewrite, or none (a delete becomes a tombstone).",
            )
            .checked(Rule::Custom(|_, value| match value {
                "drop" | "rewrite" | "none" => Ok(()),
                _ => Err("String must be one of: drop, rewrite, none".to_owned()),
            })),
            ConfigKey::with_default(
                "add.fields",
                ConfigType::List,
                "",
                Importance::Medium,
                "Fields of the event that the row gets too, as op, table, source.ts_ms or op:operation (with a name).",
            ),
            text("add.fields.prefix", "__", "What the names of those fields begin with."),
            ConfigKey::with_default(
                "add.headers",
                ConfigType::List,
                "",
                Importance::Medium,
                "Fields of the event that become headers, written as those of add.fields.",
            ),
            text("add.headers.prefix", "__", "What the names of those headers begin with."),
            text("route.by.field", "", "Field of the row that names the topic."),
            replace_null_with_default(),
        ]),
        create: |parsed, _| Ok(Box::new(Unwrap::new(parsed))),
    }
}

struct Unwrap {
    deletes: Deletes,
    drops_tombstones: bool,
    fields: Vec<Reference>,
    headers: Vec<Reference>,
    route_by: String,
    replace_null: bool,
    /// The schema of an event with the schema of its row.
    schemas: Vec<(SchemaRef, SchemaRef)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deletes {
    Drop,
    Tombstone,
    Rewrite,
}

/// A field of an event and what it is called outside.
struct Reference {
    parent: Option<&'static str>,
    /// A parent that the user has named, or a field at the top.
    explicit_parent: Option<String>,
    field: String,
    name: String,
}

impl Unwrap {
    fn new(parsed: &Parsed) -> Unwrap {
        let (mut deletes, mut drops_tombstones) = match parsed.get_text("delete.tombstone.handling.mode") {
            "drop" => (Deletes::Drop, true),
            "rewrite" => (Deletes::Rewrite, true),
            "rewrite-with-tombstone" => (Deletes::Rewrite, false),
            "delete-to-tombstone" => (Deletes::Tombstone, true),
            _ => (Deletes::Drop, false),
        };
        if let Some(mode) = parsed.get_string("delete.handling.mode") {
            drops_tombstones = true;
            deletes = match mode {
                "rewrite" => Deletes::Rewrite,
                "none" => Deletes::Tombstone,
                _ => Deletes::Drop,
            };
        }
        if let Some(drops) = parsed.get_optional_bool("drop.tombstones") {
            drops_tombstones = drops;
        }
        let references = |list: &str, prefix: &str| -> Vec<Reference> {
            parsed.get_list(list).iter().map(|text| Reference::new(text, parsed.get_text(prefix))).collect()
        };
        Unwrap {
            deletes,
            drops_tombstones,
            fields: references("add.fields", "add.fields.prefix"),
            headers: references("add.headers", "add.headers.prefix"),
            route_by: parsed.get_text("route.by.field").to_owned(),
            replace_null: parsed.get_bool(REPLACE_NULL),
            schemas: Vec::new(),
        }
    }
}

impl Transform for Unwrap {
    fn apply(&mut self, mut record: Record) -> Result<Option<Record>, DataError> {
        if record.value.value.is_null() {
            return Ok((!self.drops_tombstones).then_some(record));
        }
        let Some(event) = event_of(&record.value) else { return Ok(Some(record)) };
        let event = event.clone();
        let is_delete = match (event.get("op"), event.get("after")) {
            (Some(Value::String(op)), _) if op == "d" => true,
            (_, after) => matches!(after, None | Some(Value::Null)),
        };
        for reference in &self.headers {
            if let Some((schema, value)) = reference.find(&event) {
                record.headers.push(Header { key: reference.name.clone(), value: Typed::new(schema, value) });
            }
        }
        let row = if is_delete { event.get("before") } else { event.get("after") };
        let row = row.cloned().unwrap_or(Value::Null);
        if !self.route_by.is_empty()
            && let Some(topic) = row.get(&self.route_by).filter(|topic| !topic.is_null())
        {
            record.topic = topic.to_string().into();
        }
        record.value = match (is_delete, self.deletes, row) {
            (true, Deletes::Drop, _) => return Ok(None),
            (true, Deletes::Tombstone, _) => Typed::null(),
            (_, _, Value::Struct(row)) => self.extended(&event, row, is_delete)?,
            // A truncated table has no row.
            _ => return Ok(None),
        };
        Ok(Some(record))
    }
}

impl Unwrap {
    /// The row with the fields that are to be added.
    fn extended(&mut self, event: &Struct, row: Struct, is_delete: bool) -> Result<Typed, DataError> {
        let marks = self.deletes == Deletes::Rewrite;
        if self.fields.is_empty() && !marks {
            let schema = row.schema().clone();
            let value = Struct::new(schema.clone(), into_values(row, self.replace_null))?;
            return Ok(Typed::new(schema, Value::Struct(value)));
        }
        let schema = self.schema_of(event.schema(), row.schema(), marks)?;
        let mut values = into_values(row, self.replace_null);
        if marks {
            values.push(Value::String(is_delete.to_string()));
        }
        for reference in &self.fields {
            if reference.schema_in(event.schema()).is_some() {
                values.push(reference.find(event).map_or(Value::Null, |(_, value)| value));
            }
        }
        Ok(Typed::new(schema.clone(), Value::Struct(Struct::new(schema, values)?)))
    }

    fn schema_of(&mut self, event: &SchemaRef, row: &SchemaRef, marks: bool) -> Result<SchemaRef, DataError> {
        if let Some((_, known)) = self.schemas.iter().find(|(known, _)| Arc::ptr_eq(known, event)) {
            return Ok(known.clone());
        }
        let mut fields: Vec<Field> = row.fields().to_vec();
        if marks {
            fields.push(Field::new("__deleted", Schema::new(Kind::String).optional()));
        }
        for reference in &self.fields {
            if let Some(schema) = reference.schema_in(event) {
                fields.push(Field::new(reference.name.as_str(), Schema { optional: true, ..(*schema).clone() }));
            }
        }
        let mut made = structure_like(row, fields)?;
        made.optional = row.optional;
        let made = SchemaRef::from(made);
        if self.schemas.len() >= CACHE_SIZE {
            self.schemas.clear();
        }
        self.schemas.push((event.clone(), made.clone()));
        Ok(made)
    }
}

/// The change event that a value is.
fn event_of(typed: &Typed) -> Option<&Struct> {
    match &typed.value {
        Value::Struct(event) => {
            let schema = event.schema();
            let named = schema.name.as_ref().is_some_and(|name| name.ends_with("Envelope"));
            (named && schema.field("op").is_some() && schema.field("after").is_some()).then_some(event)
        }
        _ => None,
    }
}

impl Reference {
    /// `field`, `parent.field`, either with `:name` behind it.
    fn new(text: &str, prefix: &str) -> Reference {
        let (path, new_name) = match text.split_once(':') {
            Some((path, name)) => (path.trim(), Some(name.trim())),
            None => (text, None),
        };
        let (explicit_parent, field) = match path.split_once('.') {
            Some((parent, field)) => (Some(parent.to_owned()), field),
            None => (None, path),
        };
        let parent = match field {
            _ if explicit_parent.is_some() => None,
            "id" | "total_order" | "data_collection_order" => Some("transaction"),
            "op" | "ts_ms" | "ts_us" | "ts_ns" | "before" | "after" | "source" | "transaction" => None,
            _ => Some("source"),
        };
        let name = match (new_name, &explicit_parent) {
            (Some(name), _) => format!("{prefix}{name}"),
            (None, Some(parent)) => format!("{prefix}{parent}_{field}"),
            (None, None) => format!("{prefix}{field}"),
        };
        Reference { parent, explicit_parent, field: field.to_owned(), name }
    }

    fn parent(&self) -> Option<&str> {
        self.explicit_parent.as_deref().or(self.parent)
    }

    fn schema_in(&self, event: &Schema) -> Option<SchemaRef> {
        let parent = match self.parent() {
            Some(parent) => &event.field(parent)?.schema,
            None => return event.field(&self.field).map(|field| field.schema.clone()),
        };
        parent.field(&self.field).map(|field| field.schema.clone())
    }

    fn find(&self, event: &Struct) -> Option<(SchemaRef, Value)> {
        let schema = self.schema_in(event.schema())?;
        let value = match self.parent() {
            Some(parent) => event.get(parent)?.get(&self.field)?,
            None => event.get(&self.field)?,
        };
        Some((schema, value.clone()))
    }
}
