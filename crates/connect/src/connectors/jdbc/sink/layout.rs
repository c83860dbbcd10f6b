//! Which columns a record is written to, and from where in the record each is filled.

use std::sync::Arc;

use super::super::database::{SqlValue, TableId};
use super::config::{InsertMode, KeyMode, SinkConfig};
use super::convert;
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, Typed, Value};
use crate::record::{Origin, Record};

/// Columns of the records with one topic, key schema and value schema. The key's columns come first.
#[derive(Debug, PartialEq)]
pub struct Layout {
    /// Where they go.
    pub table: TableId,
    /// Columns, those of the primary key first.
    pub columns: Vec<LayoutColumn>,
    /// How many of them are the primary key.
    pub keys: usize,
    /// Positions in `columns` in the order in which a new table has them.
    pub table_order: Vec<usize>,
}

/// A column.
#[derive(Debug, PartialEq)]
pub struct LayoutColumn {
    /// Name.
    pub name: String,
    /// Schema of its values.
    pub schema: SchemaRef,
    /// Whether `timestamp.fields.list` names it.
    pub is_timestamp: bool,
    source: Source,
}

/// Where a column's value is in a record.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Source {
    Topic,
    Partition,
    Offset,
    Key,
    KeyField(usize),
    Value,
    ValueField(usize),
}

impl Layout {
    /// The layout of a record's kind; `record` has a value, or deletes.
    ///
    /// # Errors
    /// Schemas that do not go with the settings; the text names the setting.
    pub fn of(config: &SinkConfig, record: &Record, value: &Typed) -> Result<Layout, DataError> {
        let table = config.table(&record.topic)?;
        let mut builder = Builder { config, table, columns: Vec::new(), value_order: Vec::new() };
        builder.add_keys(record, value)?;
        let keys = builder.columns.len();
        if !value.value.is_null() {
            builder.add_values(value, keys)?;
        }
        if builder.columns.is_empty() {
            let table = &builder.table;
            return Err(DataError::new(format!(
                "No fields found using key and value schemas for table: {table}. Check fields.whitelist, pk.mode and pk.fields"
            )));
        }
        if keys == 0 && config.insert_mode != InsertMode::Insert {
            return Err(DataError::new("insert.mode upsert and update need a primary key: set pk.mode and pk.fields"));
        }
        Ok(builder.finish(keys))
    }

    /// The columns of the primary key.
    pub fn key_columns(&self) -> &[LayoutColumn] {
        &self.columns[..self.keys]
    }

    /// The values of a record's columns; of a record that deletes, those of the key.
    ///
    /// # Errors
    /// A value that cannot be written, or a key that is null.
    pub fn row(&self, config: &SinkConfig, record: &Record, value: &Typed) -> Result<Vec<SqlValue>, DataError> {
        let mut row = Vec::with_capacity(self.columns.len());
        for (index, column) in self.columns.iter().enumerate() {
            let cell = column.value(config, record, value)?;
            if index < self.keys && cell.is_null() && !column.schema.optional {
                let name = &column.name;
                return Err(DataError::new(format!("The primary key's field '{name}' is null")));
            }
            row.push(cell);
        }
        Ok(row)
    }
}

impl LayoutColumn {
    /// A column of nothing but a schema.
    pub fn nameless(schema: &SchemaRef) -> LayoutColumn {
        LayoutColumn { name: String::new(), schema: schema.clone(), is_timestamp: false, source: Source::Value }
    }

    fn value(&self, config: &SinkConfig, record: &Record, value: &Typed) -> Result<SqlValue, DataError> {
        let field = |of: &Typed, index: usize| match &of.value {
            Value::Struct(fields) => self.convert(config, fields.values().get(index).unwrap_or(&Value::Null)),
            _ => Err(DataError::new(format!("No struct where the field '{}' should be", self.name))),
        };
        match self.source {
            Source::Topic => Ok(SqlValue::Text(record.topic.to_string())),
            Source::Partition => Ok(SqlValue::Int(coordinates(record).1.into())),
            Source::Offset => Ok(SqlValue::Int(coordinates(record).2)),
            Source::Key => self.convert(config, &record.key.value),
            Source::Value => self.convert(config, &value.value),
            Source::KeyField(index) => field(&record.key, index),
            Source::ValueField(index) => field(value, index),
        }
    }

    fn convert(&self, config: &SinkConfig, value: &Value) -> Result<SqlValue, DataError> {
        let converted = if self.is_timestamp {
            convert::numeric_timestamp(value, config.timestamp_precision, &config.time_zone)
        } else {
            convert::sql_value(value, &self.schema, config)
        };
        converted.map_err(|error| DataError::new(format!("Field '{}': {error}", self.name)))
    }
}

/// Topic, partition and offset that a record had in Kafka, before any transform.
pub fn coordinates(record: &Record) -> (&Arc<str>, i32, i64) {
    match &record.origin {
        Origin::Sink { topic, partition, offset, .. } => (topic, *partition, *offset),
        // A sink is never given records of a source.
        Origin::Source { .. } => (&record.topic, record.partition.unwrap_or_default(), 0),
    }
}

/// Where a record is, for messages.
pub fn place(record: &Record) -> String {
    let (topic, partition, offset) = coordinates(record);
    let timestamp = record.timestamp.map_or_else(|| "null".to_owned(), |timestamp| timestamp.to_string());
    format!("record at (topic='{topic}',partition={partition},offset={offset},timestamp={timestamp})")
}

struct Builder<'a> {
    config: &'a SinkConfig,
    table: TableId,
    columns: Vec<LayoutColumn>,
    /// Names of the value's fields in their order, keys among them.
    value_order: Vec<String>,
}

impl Builder<'_> {
    fn add(&mut self, name: &str, schema: SchemaRef, source: Source) {
        let is_timestamp = matches!(source, Source::ValueField(_) | Source::KeyField(_))
            && self.config.timestamp_fields.iter().any(|field| field == name);
        self.columns.push(LayoutColumn { name: name.to_owned(), schema, is_timestamp, source });
    }

    fn add_keys(&mut self, record: &Record, value: &Typed) -> Result<(), DataError> {
        match &self.config.key_mode {
            KeyMode::None => Ok(()),
            KeyMode::Kafka([topic, partition, offset]) => {
                self.add(topic, Schema::new(Kind::String).into(), Source::Topic);
                self.add(partition, Schema::new(Kind::Int32).into(), Source::Partition);
                self.add(offset, Schema::new(Kind::Int64).into(), Source::Offset);
                Ok(())
            }
            KeyMode::RecordKey(fields) => self.add_record_key(&record.key, fields),
            KeyMode::RecordValue(fields) => {
                let schema = value.schema.as_ref().filter(|schema| matches!(schema.kind, Kind::Struct(_)));
                let Some(schema) = schema else {
                    return Err(DataError::new(format!(
                        "pk.mode=record_value for the table '{}' needs a value that is a struct",
                        self.table
                    )));
                };
                self.add_key_fields(schema, fields, "record_value", "value", Source::ValueField)
            }
        }
    }

    fn add_record_key(&mut self, key: &Typed, fields: &[String]) -> Result<(), DataError> {
        let table = self.table.clone();
        let inferred;
        let schema = match &key.schema {
            Some(schema) => schema,
            None => match convert::primitive_schema(&key.value) {
                Some(schema) if self.config.infer_schemaless => {
                    inferred = schema;
                    &inferred
                }
                _ => {
                    let found = if key.value.is_null() { "the key is null" } else { "the key has no schema" };
                    return Err(DataError::new(format!(
                        "PK mode for table '{table}' is record_key, but {found}. Set a key.converter that gives schemas \
                         (key.converter.schemas.enable=true with JsonConverter, StringConverter, AvroConverter), or make \
                         a key with the transforms ValueToKey and ExtractField$Key, or set another pk.mode"
                    )));
                }
            },
        };
        match (&schema.kind, fields) {
            (Kind::Struct(_), _) => self.add_key_fields(schema, fields, "record_key", "key", Source::KeyField),
            (Kind::Array(_) | Kind::Map(..), _) => Err(DataError::new(format!(
                "Only primitive keys and structs can be the primary key of table '{table}', not {}: change pk.mode",
                schema.type_name()
            ))),
            (_, [name]) => {
                let (name, schema) = (name.clone(), schema.clone());
                self.add(&name, schema, Source::Key);
                Ok(())
            }
            (..) => Err(DataError::new(format!(
                "PK mode for table '{table}' is record_key and the key is {}: set pk.fields to the one name of its column \
                 (it has {})",
                schema.type_name(),
                fields.len()
            ))),
        }
    }

    fn add_key_fields(
        &mut self,
        schema: &SchemaRef,
        wanted: &[String],
        mode: &str,
        of: &str,
        source: fn(usize) -> Source,
    ) -> Result<(), DataError> {
        if wanted.is_empty() {
            for (index, field) in schema.fields().iter().enumerate() {
                self.add(&field.name, field.schema.clone(), source(index));
            }
            return Ok(());
        }
        for name in wanted {
            let Some((index, field)) = schema.field_index(name).zip(schema.field(name)) else {
                return Err(DataError::new(format!(
                    "PK mode for table '{}' is {mode} with pk.fields={}, but the record {of} has no field '{name}'; it has: {}",
                    self.table,
                    wanted.join(","),
                    names(schema.fields())
                )));
            };
            self.add(name, field.schema.clone(), source(index));
        }
        Ok(())
    }

    fn add_values(&mut self, value: &Typed, keys: usize) -> Result<(), DataError> {
        let Some(schema) = &value.schema else { return Ok(()) };
        if schema.kind == Kind::String {
            let name = self.config.string_column.clone();
            self.add(&name, schema.clone(), Source::Value);
            return Ok(());
        }
        let whitelist = &self.config.fields_whitelist;
        for (index, field) in schema.fields().iter().enumerate() {
            let is_key = self.columns[..keys].iter().any(|column| *column.name == *field.name);
            if is_key {
                self.value_order.push(field.name.to_string());
            } else if whitelist.is_empty() || whitelist.iter().any(|name| **name == *field.name) {
                self.value_order.push(field.name.to_string());
                self.add(&field.name, field.schema.clone(), Source::ValueField(index));
            }
        }
        Ok(())
    }

    /// A new table has Kafka's coordinates first, then the value's fields in their order, then the rest by name.
    fn finish(self, keys: usize) -> Layout {
        let place = |column: &LayoutColumn| match column.source {
            Source::Topic | Source::Partition | Source::Offset => (0, 0),
            _ => match self.value_order.iter().position(|name| *name == column.name) {
                Some(position) => (1, position),
                None => (2, 0),
            },
        };
        let mut table_order: Vec<usize> = (0..self.columns.len()).collect();
        table_order.sort_by(|left, right| {
            let (left, right) = (&self.columns[*left], &self.columns[*right]);
            let names = if place(left).0 == 2 { left.name.cmp(&right.name) } else { std::cmp::Ordering::Equal };
            place(left).cmp(&place(right)).then(names)
        });
        Layout { table: self.table, columns: self.columns, keys, table_order }
    }
}

fn names(fields: &[Field]) -> String {
    fields.iter().map(|field| &*field.name).collect::<Vec<_>>().join(", ")
}

/// Layouts of the kinds of records seen lately. Converters share schemas between records, so that nearly every look-up
/// compares pointers.
#[derive(Default)]
pub struct Layouts {
    known: Vec<Known>,
}

struct Known {
    topic: Arc<str>,
    key: Option<SchemaRef>,
    value: Option<SchemaRef>,
    deletes: bool,
    layout: Arc<Layout>,
}

/// Kinds that are remembered: enough for the topics of a task, little enough for schemas that never come twice.
const KINDS: usize = 256;

impl Layouts {
    /// The layout of a record.
    ///
    /// # Errors
    /// As [`Layout::of`].
    pub fn get(&mut self, config: &SinkConfig, record: &Record, value: &Typed) -> Result<Arc<Layout>, DataError> {
        let (key, deletes) = (&record.key.schema, value.value.is_null());
        let is_same = |known: &Known, same: fn(&Option<SchemaRef>, &Option<SchemaRef>) -> bool| {
            known.deletes == deletes
                && same(&known.key, key)
                && (deletes || same(&known.value, &value.schema))
                && (Arc::ptr_eq(&known.topic, &record.topic) || known.topic == record.topic)
        };
        let found = self
            .known
            .iter()
            .position(|known| is_same(known, same_pointer))
            .or_else(|| self.known.iter().position(|known| is_same(known, |left, right| left == right)));
        if let Some(index) = found {
            return Ok(self.known[index].layout.clone());
        }
        let layout = Arc::new(Layout::of(config, record, value)?);
        // Without a schema of the key the layout follows from the key's value, which the next record may have otherwise.
        let depends_on_values = key.is_none() && matches!(config.key_mode, KeyMode::RecordKey(_));
        if !depends_on_values {
            if self.known.len() >= KINDS {
                self.known.remove(0);
            }
            // One layout for all schemas that differ only in what does not matter here.
            let layout = match self.known.iter().find(|known| known.layout == layout) {
                Some(known) => known.layout.clone(),
                None => layout,
            };
            let (topic, key, value) = (record.topic.clone(), key.clone(), value.schema.clone());
            self.known.push(Known { topic, key, value, deletes, layout: layout.clone() });
            return Ok(layout);
        }
        Ok(layout)
    }
}

fn same_pointer(left: &Option<SchemaRef>, right: &Option<SchemaRef>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right),
        (None, None) => true,
        _ => false,
    }
}
