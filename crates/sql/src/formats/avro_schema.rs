//! Avro schemas of columns, and columns of Avro schemas.

use std::borrow::Cow;

use milena_schema::avro::AvroSchema;
use milena_schema::avro::{Kind, Record, Type};
use milena_schema::document::Node;
use serde_json::{Value as Json, json};

use super::{Field, FormatError};
use crate::types::{SqlType, StructType};

/// The namespace of records that nobody named.
pub const NAMESPACE: &str = "io.confluent.ksql.avro_schemas";
/// The record of a value that nobody named.
pub const VALUE_RECORD: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The record of a key that nobody named: of the name of its stream or table.
pub fn key_record(source: &str) -> String {
    let mut name = String::new();
    for part in source.split(|c: char| !c.is_ascii_alphanumeric()) {
        let mut characters = part.chars();
        name.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(&characters.as_str().to_ascii_lowercase());
    }
    format!("{}.{name}Key", NAMESPACE)
}

/// The schema of a record `full_name` with `fields`, all of which may be null; of a single field that stands alone when
/// `unwrapped`.
///
/// # Errors
/// Names that Avro does not allow.
pub fn schema_text(fields: &[Field], full_name: &str, unwrapped: bool) -> Result<String, FormatError> {
    let (namespace, simple) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    for part in full_name.split('.') {
        check_name(part)?;
    }
    let mut builder = Builder { namespace, names: Vec::new() };
    let schema = match fields {
        // What stands alone is never null: the key or value as a whole is then.
        [field] if unwrapped => without_version(builder.schema(&field.field_type, simple)?),
        _ => builder.record(fields.iter().map(|field| (&*field.name, &field.field_type)), simple)?,
    };
    Ok(schema.to_string())
}

fn check_name(name: &str) -> Result<(), FormatError> {
    let refused = |what: &str| Err(FormatError(format!("Schema is not compatible with Avro: {what}: {name}")));
    let mut characters = name.chars();
    match characters.next() {
        None => return refused("Empty name"),
        Some(first) if !(first.is_alphabetic() || first == '_') => return refused("Illegal initial character"),
        Some(_) => {}
    }
    if characters.any(|c| !(c.is_alphanumeric() || c == '_')) { refused("Illegal character in") } else { Ok(()) }
}

/// The name of a field as Avro allows it.
pub(super) fn field_name(column: &str) -> Cow<'_, str> {
    if column.contains('.') { column.replace('.', "_").into() } else { column.into() }
}

/// A scalar that stands alone says of its type what a column says, but for the version.
fn without_version(mut schema: Json) -> Json {
    if let Some(members) = schema.as_object_mut() {
        members.remove("connect.version");
    }
    schema
}

struct Builder<'a> {
    namespace: &'a str,
    names: Vec<String>,
}

impl Builder<'_> {
    fn nullable(&mut self, field_type: &SqlType, path: &str) -> Result<Json, FormatError> {
        Ok(json!(["null", self.schema(field_type, path)?]))
    }

    fn schema(&mut self, field_type: &SqlType, path: &str) -> Result<Json, FormatError> {
        Ok(match field_type {
            SqlType::Boolean => json!("boolean"),
            SqlType::Integer => json!("int"),
            SqlType::Bigint => json!("long"),
            SqlType::Double => json!("double"),
            SqlType::String => json!("string"),
            SqlType::Bytes => json!("bytes"),
            SqlType::Decimal(decimal) => json!({
                "type": "bytes",
                "scale": decimal.scale,
                "precision": decimal.precision,
                "connect.version": 1,
                "connect.parameters": {
                    "scale": decimal.scale.to_string(),
                    "connect.decimal.precision": decimal.precision.to_string(),
                },
                "connect.name": "org.apache.kafka.connect.data.Decimal",
                "logicalType": "decimal",
            }),
            SqlType::Date => logical("int", "date", "Date"),
            SqlType::Time => logical("int", "time-millis", "Time"),
            SqlType::Timestamp => logical("long", "timestamp-millis", "Timestamp"),
            SqlType::Array(element) => json!({"type": "array", "items": self.nullable(element, path)?}),
            SqlType::Map(key, value) => {
                let name = self.unique(path);
                let full_name = self.full(&name);
                let key = self.nullable(key, &format!("{path}_MapKey"))?;
                let value = self.nullable(value, &format!("{path}_MapValue"))?;
                json!({
                    "type": "array",
                    "connect.name": full_name,
                    "items": {
                        "type": "record",
                        "name": name,
                        "namespace": self.namespace,
                        "fields": [
                            {"name": "key", "type": key, "default": null},
                            {"name": "value", "type": value, "default": null},
                        ],
                        "connect.internal.type": "MapEntry",
                    },
                })
            }
            SqlType::Struct(structure) => {
                self.record(structure.fields.iter().map(|field| (&*field.name, &field.field_type)), path)?
            }
        })
    }

    fn record<'f>(
        &mut self,
        fields: impl Iterator<Item = (&'f str, &'f SqlType)>,
        path: &str,
    ) -> Result<Json, FormatError> {
        let name = self.unique(path);
        let mut members = Vec::new();
        for (field, field_type) in fields {
            let field = field_name(field);
            check_name(&field)?;
            let schema = self.nullable(field_type, &format!("{path}_{field}"))?;
            members.push(json!({"name": field, "type": schema, "default": null}));
        }
        let full_name = self.full(&name);
        Ok(json!({
            "type": "record",
            "name": name,
            "namespace": self.namespace,
            "fields": members,
            "connect.name": full_name,
        }))
    }

    fn full(&self, name: &str) -> String {
        match self.namespace {
            "" => name.to_owned(),
            namespace => format!("{namespace}.{name}"),
        }
    }

    /// A name that no record of the schema has yet.
    fn unique(&mut self, path: &str) -> String {
        let mut name = path.to_owned();
        let mut number = 1;
        while self.names.contains(&name) {
            number += 1;
            name = format!("{path}_{number}");
        }
        self.names.push(name.clone());
        name
    }
}

fn logical(avro: &str, logical: &str, connect: &str) -> Json {
    json!({
        "type": avro,
        "connect.version": 1,
        "connect.name": format!("org.apache.kafka.connect.data.{connect}"),
        "logicalType": logical,
    })
}

/// The columns that a schema describes: those of a record, else one called `single`.
///
/// # Errors
/// A schema that no SQL type describes.
pub fn fields(schema: &AvroSchema, single: &str) -> Result<Vec<Field>, FormatError> {
    match &schema.root_type().kind {
        Kind::Record(record) => record_fields(schema, record, 0),
        _ => Ok(vec![Field { name: single.into(), field_type: sql_type(schema, schema.root_type(), 0)? }]),
    }
}

fn record_fields(schema: &AvroSchema, record: &Record, depth: usize) -> Result<Vec<Field>, FormatError> {
    let field = |field: &milena_schema::avro::Field| {
        let field_type = sql_type(schema, schema.type_of(field.type_id), depth + 1)?;
        Ok(Field { name: field.name.as_str().into(), field_type })
    };
    record.fields.iter().map(field).collect()
}

/// The SQL type of an Avro type.
///
/// # Errors
/// A union of several types; a type that contains itself.
pub fn sql_type(schema: &AvroSchema, avro: &Type, depth: usize) -> Result<SqlType, FormatError> {
    if depth > 64 {
        return Err(FormatError::new("the schema is nested too deeply, or contains itself"));
    }
    let stated = |name| avro.properties.get(name).and_then(Node::as_str);
    // Older connectors tell of their own name for it alone.
    let logical = stated("logicalType").or_else(|| stated("connect.name"));
    let number = |name| avro.properties.get(name).and_then(Node::as_i64).and_then(|n| u32::try_from(n).ok());
    Ok(match (&avro.kind, logical) {
        (Kind::Bytes | Kind::Fixed(_), Some("decimal")) => {
            SqlType::decimal(number("precision").unwrap_or(64), number("scale").unwrap_or(0))
                .map_err(FormatError::new)?
        }
        (Kind::Int, Some("date" | "org.apache.kafka.connect.data.Date")) => SqlType::Date,
        (Kind::Int, Some("time-millis" | "org.apache.kafka.connect.data.Time")) => SqlType::Time,
        (Kind::Long, Some("timestamp-millis" | "org.apache.kafka.connect.data.Timestamp")) => SqlType::Timestamp,
        (Kind::Boolean, _) => SqlType::Boolean,
        (Kind::Int, _) => SqlType::Integer,
        (Kind::Long, _) => SqlType::Bigint,
        (Kind::Float | Kind::Double, _) => SqlType::Double,
        (Kind::String | Kind::Enum(_), _) => SqlType::String,
        (Kind::Bytes | Kind::Fixed(_), _) => SqlType::Bytes,
        (Kind::Array(items), _) => {
            let items = schema.type_of(*items);
            match map_entry(items) {
                Some((key, value)) => SqlType::map(
                    sql_type(schema, schema.type_of(key), depth + 1)?,
                    sql_type(schema, schema.type_of(value), depth + 1)?,
                ),
                None => SqlType::array(sql_type(schema, items, depth + 1)?),
            }
        }
        (Kind::Map(values), _) => SqlType::map(SqlType::String, sql_type(schema, schema.type_of(*values), depth + 1)?),
        (Kind::Record(record), _) => {
            let fields = record_fields(schema, record, depth)?;
            SqlType::structure(fields.into_iter().map(|field| (field.name, field.field_type)))
        }
        (Kind::Union(branches), _) => {
            let mut types =
                branches.iter().map(|branch| schema.type_of(*branch)).filter(|t| !matches!(t.kind, Kind::Null));
            match (types.next(), types.next()) {
                (Some(only), None) => sql_type(schema, only, depth + 1)?,
                _ => union_struct(schema, branches.iter().map(|branch| schema.type_of(*branch)), depth)?,
            }
        }
        (Kind::Null, _) => return Err(FormatError::new("a column that is always null has no type")),
    })
}

/// A union of several types is a struct with one field each, of which one is set.
fn union_struct<'t>(
    schema: &AvroSchema,
    branches: impl Iterator<Item = &'t Type>,
    depth: usize,
) -> Result<SqlType, FormatError> {
    let mut fields = Vec::new();
    for branch in branches.filter(|branch| !matches!(branch.kind, Kind::Null)) {
        let name = branch.kind.naming().map_or(branch.kind.name(), |naming| naming.name.simple());
        fields.push((name, sql_type(schema, branch, depth + 1)?));
    }
    Ok(SqlType::structure(fields))
}

/// Key and value type of an entry of a map with keys that are not plain strings.
pub(super) fn map_entry(items: &Type) -> Option<(milena_schema::avro::TypeId, milena_schema::avro::TypeId)> {
    let Kind::Record(record) = &items.kind else { return None };
    let marked = items.properties.get("connect.internal.type").and_then(Node::as_str) == Some("MapEntry");
    let named = record.naming.name.full() == "io.confluent.connect.avro.MapEntry";
    match record.fields.as_slice() {
        [key, value] if (marked || named) && key.name == "key" && value.name == "value" => {
            Some((key.type_id, value.type_id))
        }
        _ => None,
    }
}

/// The fields of a struct as columns.
pub(super) fn struct_fields(structure: &StructType) -> Vec<Field> {
    let field =
        |field: &crate::types::StructField| Field { name: field.name.clone(), field_type: field.field_type.clone() };
    structure.fields.iter().map(field).collect()
}
