//! `AVRO`: Avro binary behind the id of the schema it was written with.
//!
//! Records are read with the schema they name and written with the sink's; both are walked beside the SQL types, so that
//! nothing is made of fields that no column wants.

mod default;
mod reader;
mod writer;

use std::sync::{Arc, OnceLock};

use milena_schema::avro::AvroSchema;
use milena_schema::avro::{Field as RecordField, Kind, TypeId};
use milena_schema::{SchemaType, wire};

use super::avro_schema;
use super::json::{exact_decimal, is_called};
use super::readers::Readers;
use super::registry::RegisteredSchema;
use super::{CodecContext, Field, FormatError, FormatSpec, RowCodec, Side};
use crate::types::{SqlType, StructField};
use crate::value::Value;
use reader::{Reader, bytes_value};
pub(crate) use writer::first_choice;
use writer::{Writer, plain_bytes};

/// The codec.
pub struct AvroCodec {
    fields: Vec<Field>,
    unwrapped: bool,
    /// Whether some name has a dot, which names of Avro cannot have.
    is_dotted: bool,
    /// The schema to write with, as text or as an id.
    text: String,
    schema_id: Option<i32>,
    context: CodecContext,
    writer: OnceLock<Matched>,
    readers: Readers<Matched>,
    /// Columns that nobody reads.
    left_out: Vec<usize>,
}

/// A schema with the column of each field of its record, where it is one.
struct Matched {
    registered: RegisteredSchema,
    columns: Vec<Option<usize>>,
}

impl Matched {
    /// Without the columns `left_out`, as far as they are written as text.
    fn new(registered: RegisteredSchema, fields: &[Field], left_out: &[usize]) -> Result<Matched, FormatError> {
        let schema = avro(&registered)?;
        let column = |field: &RecordField| {
            let left_out = |column: &usize| left_out.contains(column) && is_text(schema, field.type_id);
            column_of(fields, &field.name, true).filter(|column| !left_out(column))
        };
        let columns = match &schema.root_type().kind {
            Kind::Record(record) => record.fields.iter().map(column).collect(),
            _ => Vec::new(),
        };
        Ok(Matched { registered, columns })
    }
}

/// Whether there is nothing but text, and null.
fn is_text(schema: &AvroSchema, id: TypeId) -> bool {
    match &schema.type_of(id).kind {
        Kind::String => true,
        Kind::Union(branches) => {
            branches.iter().all(|branch| matches!(schema.type_of(*branch).kind, Kind::String | Kind::Null))
        }
        _ => false,
    }
}

/// Something with a name and a type.
pub(super) trait Named {
    /// The name in its exact case.
    fn name(&self) -> &str;
    /// The type.
    fn field_type(&self) -> &SqlType;
}

impl Named for Field {
    fn name(&self) -> &str {
        &self.name
    }

    fn field_type(&self) -> &SqlType {
        &self.field_type
    }
}

impl Named for StructField {
    fn name(&self) -> &str {
        &self.name
    }

    fn field_type(&self) -> &SqlType {
        &self.field_type
    }
}

impl AvroCodec {
    /// For `fields`.
    ///
    /// # Errors
    /// Names that Avro does not allow.
    pub fn new(fields: Vec<Field>, spec: &FormatSpec, context: &CodecContext) -> Result<Self, FormatError> {
        let unwrapped = spec.unwraps(context.side) && fields.len() == 1;
        let name = spec.full_name.as_deref().unwrap_or(default_name(context.side));
        Ok(AvroCodec {
            text: avro_schema::schema_text(&fields, name, unwrapped)?,
            is_dotted: fields
                .iter()
                .any(|field| field.name.contains('.') || field.field_type.to_string().contains('.')),
            fields,
            unwrapped,
            schema_id: spec.schema_id,
            context: context.clone(),
            writer: OnceLock::new(),
            readers: Readers::default(),
            left_out: Vec::new(),
        })
    }

    fn writer(&self) -> Result<&Matched, FormatError> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let registry = &self.context.registry;
        let schema = match self.schema_id {
            Some(id) => registry.by_id(id)?.ok_or_else(|| FormatError(format!("Schema {id} not found")))?,
            None => registry.register(&self.context.subject(), SchemaType::Avro, &self.text)?,
        };
        let matched = Matched::new(schema, &self.fields, &[])?;
        Ok(self.writer.get_or_init(|| matched))
    }

    fn reader(&self, id: i32) -> Result<Arc<Matched>, FormatError> {
        self.readers.get(id, &*self.context.registry, |schema| Matched::new(schema, &self.fields, &self.left_out))
    }
}

impl RowCodec for AvroCodec {
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        let writer = self.writer()?;
        let schema = avro(&writer.registered)?;
        let prefix = wire::prefix(writer.registered.id);
        let mut output = Vec::with_capacity(prefix.len() + row.len() * COLUMN_BYTES);
        output.extend_from_slice(&prefix);
        match (&schema.root_type().kind, self.fields.as_slice(), row) {
            (_, [field], [value]) if self.unwrapped => {
                if value.is_null() {
                    return Ok(None);
                }
                match (&schema.root_type().kind, plain_bytes(schema.root_type(), value)) {
                    // A schema of plain bytes is written without a length.
                    (Kind::Bytes, Some(bytes)) => output.extend(bytes),
                    _ => Writer { schema, output: &mut output, is_dotted: self.is_dotted }.value(
                        schema.root_type(),
                        value,
                        &field.field_type,
                    )?,
                }
            }
            (Kind::Record(record), fields, row) => {
                let mut writer = Writer { schema, output: &mut output, is_dotted: self.is_dotted };
                for (field, column) in record.fields.iter().zip(&self.writer()?.columns) {
                    writer.field(field, fields, row, *column)?;
                }
            }
            _ => return Err(FormatError::new("the schema is not a record")),
        }
        Ok(Some(output))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        let framed = wire::split_prefix(bytes).map_err(FormatError::new)?;
        let wire::SchemaId::Id(id) = framed.schema_id else {
            return Err(FormatError::new("records that name their schema by GUID are not read"));
        };
        let matched = self.reader(id)?;
        let schema = avro(&matched.registered)?;
        let mut reader = Reader { schema, rest: framed.rest, depth: 0, is_dotted: self.is_dotted };
        let root = schema.root_type();
        match (&root.kind, self.fields.as_slice()) {
            (_, [field]) if self.unwrapped => {
                let value = match &root.kind {
                    // As it is written: without a length.
                    Kind::Bytes => bytes_value(framed.rest, root, &field.field_type)?,
                    _ => reader.value(root, Some(&field.field_type))?,
                };
                Ok(Some(vec![value]))
            }
            (Kind::Record(record), fields) => {
                let mut row = Vec::with_capacity(fields.len() + MORE_COLUMNS);
                row.resize(fields.len(), Value::Null);
                for (written, column) in record.fields.iter().zip(&matched.columns) {
                    reader.field(written, fields, *column, &mut row)?;
                }
                Ok(Some(row))
            }
            (_, [field]) => Ok(Some(vec![reader.value(root, Some(&field.field_type))?])),
            _ => Err(FormatError::new("the schema is not a record")),
        }
    }

    /// Only text that is a text column: of everything else it has to be seen whether it fits.
    fn leave_out(&mut self, columns: &[usize]) {
        let is_text = |column: &usize| self.fields.get(*column).is_some_and(|at| at.field_type == SqlType::String);
        self.left_out = columns.iter().copied().filter(is_text).collect();
        self.readers.clear();
    }
}

fn avro(schema: &RegisteredSchema) -> Result<&AvroSchema, FormatError> {
    schema.schema.as_avro().ok_or_else(|| FormatError(format!("schema {} is not an Avro schema", schema.id)))
}

/// The record that nobody named.
pub(super) fn default_name(side: Side) -> &'static str {
    match side {
        Side::Key => "io.confluent.ksql.avro_schemas.KsqlKey",
        Side::Value => avro_schema::VALUE_RECORD,
    }
}

/// The name of a type in messages about values that are missing.
fn required_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Boolean => "BOOLEAN",
        Kind::Int => "INT32",
        Kind::Long => "INT64",
        Kind::Float => "FLOAT32",
        Kind::Double => "FLOAT64",
        Kind::Bytes | Kind::Fixed(_) => "BYTES",
        Kind::Array(_) => "ARRAY",
        Kind::Map(_) => "MAP",
        Kind::Record(_) => "STRUCT",
        _ => "STRING",
    }
}

/// Bytes that a column is thought to take.
const COLUMN_BYTES: usize = 16;
/// Columns of a row that follow those of the value: pseudo columns, key, bounds of windows.
const MORE_COLUMNS: usize = 8;

/// The column that a written name belongs to: the one called so exactly, else in upper case.
pub(super) fn position_of<'n>(names: impl Iterator<Item = &'n str> + Clone, name: &str) -> Option<usize> {
    let exact = names.clone().position(|column| column == name);
    exact.or_else(|| names.clone().position(|column| is_called(name, column)))
}

/// As [`position_of`], with names as Avro has them where some column `is_dotted`.
fn column_of(fields: &[impl Named], name: &str, is_dotted: bool) -> Option<usize> {
    let known = position_of(fields.iter().map(Named::name), name);
    if !is_dotted {
        return known;
    }
    let dotted = |field: &dyn Named| field.name().contains('.') && avro_schema::field_name(field.name()) == name;
    known.or_else(|| fields.iter().position(|field| dotted(field)))
}

/// A scalar of a format with types as a column of type `wanted` takes it: numbers become wider ones, everything text.
///
/// # Errors
/// What cannot be one.
pub(super) fn scalar(value: Value, wanted: &SqlType) -> Result<Value, FormatError> {
    let refused = |value: &Value| FormatError(format!("expected {wanted}, got {value:?}"));
    Ok(match (wanted, &value) {
        (_, Value::Null) => Value::Null,
        (SqlType::Boolean, Value::Boolean(_)) => value,
        (SqlType::Integer, _) => Value::Int(value.as_i64().ok_or_else(|| refused(&value))? as i32),
        (SqlType::Bigint, _) => Value::Bigint(value.as_i64().ok_or_else(|| refused(&value))?),
        (SqlType::Double, _) => Value::Double(value.as_f64().ok_or_else(|| refused(&value))?),
        (SqlType::Date, _) => Value::Date(value.as_i64().ok_or_else(|| refused(&value))? as i32),
        (SqlType::Time, _) => Value::Time(value.as_i64().ok_or_else(|| refused(&value))? as i32),
        (SqlType::Timestamp, _) => Value::Timestamp(value.as_i64().ok_or_else(|| refused(&value))?),
        (SqlType::Decimal(decimal), _) => exact_decimal(&value.as_decimal().ok_or_else(|| refused(&value))?, *decimal)?,
        (SqlType::String, Value::String(_)) => value,
        (SqlType::String, _) => Value::from(value.text(&SqlType::String)),
        (SqlType::Bytes, Value::Bytes(_)) => value,
        _ => return Err(refused(&value)),
    })
}
