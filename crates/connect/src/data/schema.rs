//! Schemas: a type, whether it may be null, and what else is known of it.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::Value;

/// Schemas are shared between all records that have them; comparing pointers first is quick.
pub type SchemaRef = Arc<Schema>;

/// The physical type, with what it is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A signed integer of 8 bits.
    Int8,
    /// A signed integer of 16 bits.
    Int16,
    /// A signed integer of 32 bits.
    Int32,
    /// A signed integer of 64 bits.
    Int64,
    /// A floating point number of 32 bits.
    Float32,
    /// A floating point number of 64 bits.
    Float64,
    /// True or false.
    Boolean,
    /// Unicode text.
    String,
    /// Bytes.
    Bytes,
    /// Values of one schema.
    Array(SchemaRef),
    /// Keys and values of one schema each.
    Map(SchemaRef, SchemaRef),
    /// Named fields.
    Struct(Fields),
}

/// The fields of a struct in order, found by name quickly.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    fields: Vec<Field>,
    by_name: HashMap<Arc<str>, usize>,
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.fields == other.fields
    }
}

impl std::ops::Deref for Fields {
    type Target = [Field];
    fn deref(&self) -> &[Field] {
        &self.fields
    }
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name, unique in the struct.
    pub name: Arc<str>,
    /// Schema of its values.
    pub schema: SchemaRef,
}

impl Field {
    /// A field.
    pub fn new(name: impl Into<Arc<str>>, schema: impl Into<SchemaRef>) -> Field {
        Field { name: name.into(), schema: schema.into() }
    }
}

/// A schema, as Kafka Connect's: see [`Kind`] for types, [`super::logical`] for names with a meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The physical type.
    pub kind: Kind,
    /// Whether null is a value.
    pub optional: bool,
    /// What stands for a value that is missing; physical or logical like any value of this schema.
    pub default: Option<Value>,
    /// The name: of a record type, or of a logical type.
    pub name: Option<Arc<str>>,
    /// Version of the schema.
    pub version: Option<i32>,
    /// Text for people.
    pub doc: Option<Arc<str>>,
    /// More that a logical type needs, such as `scale`; `None` and an empty map are not told apart.
    pub parameters: IndexMap<String, String>,
}

impl Schema {
    /// A schema whose values are required and that has no name.
    pub fn new(kind: Kind) -> Schema {
        Schema {
            kind,
            optional: false,
            default: None,
            name: None,
            version: None,
            doc: None,
            parameters: IndexMap::new(),
        }
    }

    /// A struct of these fields. Of two fields with one name the last is found.
    pub fn structure(fields: Vec<Field>) -> Schema {
        let by_name = fields.iter().enumerate().map(|(index, field)| (field.name.clone(), index)).collect();
        Schema::new(Kind::Struct(Fields { fields, by_name }))
    }

    /// The same, but null is a value.
    pub fn optional(mut self) -> Schema {
        self.optional = true;
        self
    }

    /// The same with a name.
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Schema {
        self.name = Some(name.into());
        self
    }

    /// The same with a version.
    pub fn versioned(mut self, version: i32) -> Schema {
        self.version = Some(version);
        self
    }

    /// The same with a parameter.
    pub fn parameter(mut self, key: &str, value: impl Into<String>) -> Schema {
        self.parameters.insert(key.to_owned(), value.into());
        self
    }

    /// The same with a default.
    pub fn with_default(mut self, default: Value) -> Schema {
        self.default = Some(default);
        self
    }

    /// The fields; empty when it is no struct.
    pub fn fields(&self) -> &[Field] {
        match &self.kind {
            Kind::Struct(fields) => fields,
            _ => &[],
        }
    }

    /// Position of a field in [`fields`](Self::fields).
    pub fn field_index(&self, name: &str) -> Option<usize> {
        match &self.kind {
            Kind::Struct(fields) => fields.by_name.get(name).copied(),
            _ => None,
        }
    }

    /// A field by its name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.field_index(name).and_then(|index| self.fields().get(index))
    }

    /// Schema of the elements of an array or of the values of a map.
    pub fn value_schema(&self) -> Option<&SchemaRef> {
        match &self.kind {
            Kind::Array(elements) => Some(elements),
            Kind::Map(_, values) => Some(values),
            _ => None,
        }
    }

    /// Whether it has this name, of a logical type.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    /// The name of the type as Java prints it: `INT32`, `STRUCT`.
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Int8 => "INT8",
            Kind::Int16 => "INT16",
            Kind::Int32 => "INT32",
            Kind::Int64 => "INT64",
            Kind::Float32 => "FLOAT32",
            Kind::Float64 => "FLOAT64",
            Kind::Boolean => "BOOLEAN",
            Kind::String => "STRING",
            Kind::Bytes => "BYTES",
            Kind::Array(_) => "ARRAY",
            Kind::Map(..) => "MAP",
            Kind::Struct(_) => "STRUCT",
        }
    }
}

impl std::fmt::Display for Schema {
    /// As Java prints it: `Schema{INT32}`, `Schema{users:STRUCT}`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "Schema{{{name}:{}}}", self.type_name()),
            None => write!(f, "Schema{{{}}}", self.type_name()),
        }
    }
}
