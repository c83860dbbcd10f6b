//! Values as Avro binary, walked beside the schema.

use bigdecimal::BigDecimal;
use milena_schema::avro::{AvroSchema, Field as RecordField, Kind, Record, Type, TypeId};
use milena_schema::document::Node;

use super::{Named, column_of, required_name};
use crate::formats::FormatError;
use crate::formats::avro_schema::map_entry;
use crate::types::SqlType;
use crate::value::Value;

/// How words about a field without a value begin.
const MISSING: &str = "Missing default value for required Avro field: ";

/// Words about a field that must have a value, of a column that is null or of no column.
fn missing(name: &str, has_column: bool, kind: &Kind) -> FormatError {
    if has_column {
        let kind = required_name(kind);
        return FormatError(format!("Invalid value: null used for required field: \"{name}\", schema type: {kind}"));
    }
    FormatError(format!("{MISSING}[{name}]. This field appears in Avro schema in Schema Registry"))
}

/// Writes values behind each other.
pub(super) struct Writer<'a> {
    pub(super) schema: &'a AvroSchema,
    pub(super) output: &'a mut Vec<u8>,
    /// Whether some name of a column has a dot.
    pub(super) is_dotted: bool,
}

impl Writer<'_> {
    pub(super) fn row(&mut self, record: &Record, fields: &[impl Named], row: &[Value]) -> Result<(), FormatError> {
        for field in &record.fields {
            self.field(field, fields, row, column_of(fields, &field.name, self.is_dotted))?;
        }
        Ok(())
    }

    /// A field of a record, which is column `column` of `row`; without a column it is null.
    pub(super) fn field(
        &mut self,
        field: &RecordField,
        fields: &[impl Named],
        row: &[Value],
        column: Option<usize>,
    ) -> Result<(), FormatError> {
        let column = column.and_then(|column| Some((row.get(column)?, fields.get(column)?.field_type())));
        let (value, field_type) = column.unwrap_or((&Value::Null, &SqlType::String));
        let avro = self.schema.type_of(field.type_id);
        let is_required = !matches!(avro.kind, Kind::Null | Kind::Union(_));
        if value.is_null() && is_required && (column.is_some() || field.default.is_none()) {
            return Err(missing(&field.name, column.is_some(), &avro.kind));
        }
        // Nulls become what the schema says.
        if let (true, Some(default)) = (value.is_null(), &field.default) {
            return self.default(avro, default);
        }
        self.value(avro, value, field_type).map_err(|error| {
            match error.0.starts_with("Invalid value: ") || error.0.starts_with(MISSING) {
                true => error,
                false => FormatError(format!("{}: {error}", field.name)),
            }
        })
    }

    pub(super) fn value(&mut self, avro: &Type, value: &Value, field_type: &SqlType) -> Result<(), FormatError> {
        let refused = || FormatError(format!("{field_type} cannot be written as {}", avro.kind.name()));
        match (&avro.kind, value) {
            (Kind::Union(branches), Value::Struct(fields)) if self.is_choice(branches) => {
                let SqlType::Struct(structure) = field_type else { return Err(refused()) };
                let chosen = fields.iter().zip(&structure.fields).find(|(value, _)| !value.is_null());
                let (value, field) = chosen.ok_or_else(refused)?;
                let branch = branches
                    .iter()
                    .position(|branch| branch_name(self.schema.type_of(*branch)).eq_ignore_ascii_case(&field.name));
                let branch = branch.ok_or_else(refused)?;
                self.long(branch as i64);
                self.value(self.schema.type_of(branches[branch]), value, &field.field_type)?;
            }
            (Kind::Union(branches), _) => {
                let fits = |avro: &Type| value.is_null() == matches!(avro.kind, Kind::Null);
                let branch = branches.iter().position(|branch| fits(self.schema.type_of(*branch)));
                let branch = branch.ok_or_else(refused)?;
                self.long(branch as i64);
                self.value(self.schema.type_of(branches[branch]), value, field_type)?;
            }
            (Kind::Null, Value::Null) => {}
            (Kind::Boolean, Value::Boolean(truth)) => self.output.push(u8::from(*truth)),
            (Kind::Int | Kind::Long, value) => self.long(value.as_i64().ok_or_else(refused)?),
            (Kind::Float, value) => {
                self.output.extend((value.as_f64().ok_or_else(refused)? as f32).to_le_bytes());
            }
            (Kind::Double, value) => self.output.extend(value.as_f64().ok_or_else(refused)?.to_le_bytes()),
            (Kind::Bytes, Value::Bytes(bytes)) => self.bytes(bytes),
            (Kind::Fixed(fixed), Value::Bytes(bytes)) if bytes.len() == fixed.size => self.output.extend(&**bytes),
            (Kind::Bytes, Value::Decimal(number)) => {
                let unscaled = unscaled(avro, number);
                self.bytes(&unscaled);
            }
            (Kind::Fixed(fixed), Value::Decimal(number)) => {
                let unscaled = unscaled(avro, number);
                let missing = fixed.size.checked_sub(unscaled.len()).ok_or_else(refused)?;
                let sign = if unscaled.first().is_some_and(|first| first & 0x80 != 0) { 0xFF } else { 0 };
                self.output.extend(std::iter::repeat_n(sign, missing));
                self.output.extend(unscaled);
            }
            (Kind::String, Value::String(text)) => self.bytes(text.as_bytes()),
            (Kind::Enum(symbols), Value::String(text)) => {
                let symbol = symbols.symbols.iter().position(|symbol| **symbol == **text).ok_or_else(refused)?;
                self.long(symbol as i64);
            }
            (Kind::Array(items), Value::Array(elements)) => {
                let SqlType::Array(element_type) = field_type else { return Err(refused()) };
                let items = self.schema.type_of(*items);
                self.block(elements.len());
                for element in elements.iter() {
                    self.value(items, element, element_type)?;
                }
                self.end(elements.len());
            }
            (Kind::Array(items), Value::Map(entries)) => {
                let SqlType::Map(key_type, value_type) = field_type else { return Err(refused()) };
                let (key_avro, value_avro) = map_entry(self.schema.type_of(*items)).ok_or_else(refused)?;
                self.block(entries.len());
                for (key, value) in entries.iter() {
                    self.value(self.schema.type_of(key_avro), key, key_type)?;
                    self.value(self.schema.type_of(value_avro), value, value_type)?;
                }
                self.end(entries.len());
            }
            (Kind::Map(values), Value::Map(entries)) => {
                let SqlType::Map(key_type, value_type) = field_type else { return Err(refused()) };
                let values = self.schema.type_of(*values);
                self.block(entries.len());
                for (key, value) in entries.iter() {
                    self.bytes(key.text(key_type).as_bytes());
                    self.value(values, value, value_type)?;
                }
                self.end(entries.len());
            }
            (Kind::Record(record), Value::Struct(fields)) => {
                let SqlType::Struct(structure) = field_type else { return Err(refused()) };
                self.row(record, &structure.fields, fields)?;
            }
            _ => return Err(refused()),
        }
        Ok(())
    }

    /// Whether a union has several types beside null, which makes it a struct with one field each.
    fn is_choice(&self, branches: &[TypeId]) -> bool {
        branches.iter().filter(|branch| !matches!(self.schema.type_of(**branch).kind, Kind::Null)).count() > 1
    }

    pub(super) fn block(&mut self, count: usize) {
        if count > 0 {
            self.long(count as i64);
        }
    }

    pub(super) fn end(&mut self, _count: usize) {
        self.output.push(0);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.output.extend_from_slice(bytes);
    }

    pub(super) fn long(&mut self, value: i64) {
        let mut zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while zigzag >= 0x80 {
            self.output.push((zigzag & 0x7F) as u8 | 0x80);
            zigzag >>= 7;
        }
        self.output.push(zigzag as u8);
    }
}

/// What the first branch of a field is called that is a union of several types beside null.
pub(crate) fn first_choice(schema: &AvroSchema, field: &str) -> Option<String> {
    let Kind::Record(record) = &schema.root_type().kind else { return None };
    let field = record.fields.iter().find(|known| known.name.eq_ignore_ascii_case(field))?;
    let Kind::Union(branches) = &schema.type_of(field.type_id).kind else { return None };
    let types = branches.iter().map(|branch| schema.type_of(*branch));
    match types.filter(|branch| !matches!(branch.kind, Kind::Null)).collect::<Vec<_>>().as_slice() {
        [first, _, ..] => Some(branch_name(first).to_owned()),
        _ => None,
    }
}

/// What the field of a branch of a union is called.
pub(super) fn branch_name(avro: &Type) -> &str {
    avro.kind.naming().map_or(avro.kind.name(), |naming| naming.name.simple())
}

/// The bytes of a value that is written as bytes.
pub(super) fn plain_bytes(avro: &Type, value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes.to_vec()),
        Value::Decimal(number) => Some(unscaled(avro, number)),
        _ => None,
    }
}

/// The digits of a decimal at the scale of the schema.
fn unscaled(avro: &Type, number: &BigDecimal) -> Vec<u8> {
    let scale = avro.properties.get("scale").and_then(Node::as_i64).unwrap_or(0);
    number.with_scale(scale).into_bigint_and_exponent().0.to_signed_bytes_be()
}
