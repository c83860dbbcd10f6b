//! Avro binary as values, as far as columns want them.

use bigdecimal::BigDecimal;
use milena_schema::avro::{AvroSchema, Field as RecordField, Kind, Record, Type, TypeId};
use milena_schema::document::Node;
use num_bigint::BigInt;

use super::writer::branch_name;
use super::{Named, column_of, scalar};
use crate::formats::FormatError;
use crate::formats::avro_schema::map_entry;
use crate::formats::coercion::{self, Written};
use crate::formats::json::exact_decimal;
use crate::types::SqlType;
use crate::value::{MapValue, Value};

/// Reads values one after the other.
pub(super) struct Reader<'a, 'b> {
    pub(super) schema: &'a AvroSchema,
    pub(super) rest: &'b [u8],
    pub(super) depth: usize,
    /// Whether some name of a column has a dot.
    pub(super) is_dotted: bool,
}

impl<'b> Reader<'_, 'b> {
    pub(super) fn row(&mut self, record: &Record, fields: &[impl Named]) -> Result<Vec<Value>, FormatError> {
        let mut row = vec![Value::Null; fields.len()];
        for written in &record.fields {
            self.field(written, fields, column_of(fields, &written.name, self.is_dotted), &mut row)?;
        }
        Ok(row)
    }

    /// The next field of a record, which becomes column `column` of `row`, if any.
    pub(super) fn field(
        &mut self,
        written: &RecordField,
        fields: &[impl Named],
        column: Option<usize>,
        row: &mut [Value],
    ) -> Result<(), FormatError> {
        let avro = self.schema.type_of(written.type_id);
        match column.and_then(|column| Some((row.get_mut(column)?, fields.get(column)?))) {
            Some((place, field)) => {
                let value = self.value(avro, Some(field.field_type()));
                *place = value.map_err(|error| coercion::within(error, field.name()))?;
            }
            None => {
                self.value(avro, None)?;
            }
        }
        Ok(())
    }

    /// The next value, as a column of type `wanted` takes it; null for a column that nobody wants.
    pub(super) fn value(&mut self, avro: &Type, wanted: Option<&SqlType>) -> Result<Value, FormatError> {
        if self.depth > 200 {
            return Err(FormatError::new("values are nested too deeply"));
        }
        self.depth += 1;
        let value = self.nested(avro, wanted);
        self.depth -= 1;
        value
    }

    fn nested(&mut self, avro: &Type, wanted: Option<&SqlType>) -> Result<Value, FormatError> {
        if let Some(wanted) = wanted {
            self.check(avro, wanted)?;
        }
        let value = match &avro.kind {
            Kind::Null => Value::Null,
            Kind::Boolean => Value::Boolean(self.take(1)? == [1]),
            Kind::Int | Kind::Long => Value::Bigint(self.long()?),
            Kind::Float => Value::Double(f64::from(f32::from_le_bytes(self.array()?))),
            Kind::Double => Value::Double(f64::from_le_bytes(self.array()?)),
            Kind::Bytes => {
                let length = self.length()?;
                let bytes = self.take(length)?;
                return wanted.map_or(Ok(Value::Null), |wanted| bytes_value(bytes, avro, wanted));
            }
            Kind::Fixed(fixed) => {
                let bytes = self.take(fixed.size)?;
                return wanted.map_or(Ok(Value::Null), |wanted| bytes_value(bytes, avro, wanted));
            }
            Kind::String => {
                let length = self.length()?;
                let bytes = self.take(length)?;
                let text = std::str::from_utf8(bytes).map_err(|_| FormatError::new("a string is not UTF-8"))?;
                if wanted.is_none() {
                    return Ok(Value::Null);
                }
                Value::string(text)
            }
            Kind::Enum(symbols) => {
                let symbol = usize::try_from(self.long()?).ok().and_then(|index| symbols.symbols.get(index));
                Value::from(symbol.ok_or_else(|| FormatError::new("no such symbol"))?.as_str())
            }
            Kind::Array(items) => return self.elements(self.schema.type_of(*items), wanted),
            Kind::Map(values) => return self.entries(self.schema.type_of(*values), wanted),
            Kind::Record(record) => {
                let fields = match wanted {
                    Some(SqlType::Struct(structure)) => structure.fields.as_slice(),
                    Some(other) => return Err(FormatError(format!("expected {other}, got a record"))),
                    None => &[],
                };
                let row = self.row(record, fields)?;
                return Ok(if wanted.is_some() { Value::structure(row) } else { Value::Null });
            }
            Kind::Union(branches) => return self.union(branches, wanted),
        };
        wanted.map_or(Ok(Value::Null), |wanted| scalar(value, wanted))
    }

    pub(super) fn union(&mut self, branches: &[TypeId], wanted: Option<&SqlType>) -> Result<Value, FormatError> {
        let branch = usize::try_from(self.long()?).ok().and_then(|index| branches.get(index));
        let branch = *branch.ok_or_else(|| FormatError::new("no such branch of a union"))?;
        let avro = self.schema.type_of(branch);
        let others = branches.iter().filter(|id| !matches!(self.schema.type_of(**id).kind, Kind::Null)).count();
        if let (Kind::Null, 1, Some(wanted)) = (&avro.kind, others, wanted) {
            branches.iter().try_for_each(|id| self.check(self.schema.type_of(*id), wanted))?;
        }
        match wanted {
            Some(SqlType::Struct(structure)) if others > 1 && !matches!(avro.kind, Kind::Null) => {
                let position = column_of(&structure.fields, branch_name(avro), self.is_dotted);
                let mut fields = vec![Value::Null; structure.fields.len()];
                let value = self.value(avro, position.map(|position| &structure.fields[position].field_type))?;
                if let Some(position) = position {
                    fields[position] = value;
                }
                Ok(Value::structure(fields))
            }
            wanted => self.value(avro, wanted),
        }
    }

    /// Checks that a column of type `wanted` takes values of this type; unions are looked at when it is known what they hold.
    fn check(&self, avro: &Type, wanted: &SqlType) -> Result<(), FormatError> {
        let written = match &avro.kind {
            Kind::Null | Kind::Union(_) => return Ok(()),
            Kind::Boolean => Written::Boolean,
            Kind::Int => Written::Int32,
            Kind::Long => Written::Int64,
            Kind::Float => Written::Float32,
            Kind::Double => Written::Float64,
            Kind::String | Kind::Enum(_) => Written::Text,
            Kind::Bytes | Kind::Fixed(_) => Written::Bytes,
            Kind::Array(items) if map_entry(self.schema.type_of(*items)).is_none() => Written::Array,
            Kind::Array(_) | Kind::Map(_) => Written::Map,
            Kind::Record(_) => Written::Struct,
        };
        coercion::check(written, wanted)
    }

    fn elements(&mut self, items: &Type, wanted: Option<&SqlType>) -> Result<Value, FormatError> {
        let entry = map_entry(items);
        let mut elements = Vec::new();
        let mut entries = MapValue::roomy();
        while let Some(count) = self.block()? {
            for _ in 0..count {
                match (wanted, entry) {
                    (Some(SqlType::Map(key_type, value_type)), Some((key, value))) => {
                        let key = self.value(self.schema.type_of(key), Some(key_type));
                        let key = key.map_err(|error| coercion::within(error, coercion::MAP_KEY))?;
                        let value = self.value(self.schema.type_of(value), Some(value_type));
                        entries.insert(key, value.map_err(|error| coercion::within(error, coercion::MAP_VALUE))?);
                    }
                    (Some(SqlType::Array(element_type)), _) => {
                        let element = self.value(items, Some(element_type));
                        elements.push(element.map_err(|error| coercion::within(error, coercion::ELEMENT))?);
                    }
                    (Some(other), _) => return Err(FormatError(format!("expected {other}, got an array"))),
                    (None, _) => {
                        self.value(items, None)?;
                    }
                }
            }
        }
        Ok(match wanted {
            Some(SqlType::Map(..)) => Value::map(entries),
            Some(_) => Value::array(elements),
            None => Value::Null,
        })
    }

    fn entries(&mut self, values: &Type, wanted: Option<&SqlType>) -> Result<Value, FormatError> {
        let mut entries = MapValue::roomy();
        while let Some(count) = self.block()? {
            for _ in 0..count {
                let length = self.length()?;
                let key = String::from_utf8_lossy(self.take(length)?);
                match wanted {
                    Some(SqlType::Map(key_type, value_type)) => {
                        let key = scalar(Value::string(key), key_type)?;
                        let value = self.value(values, Some(value_type));
                        entries.insert(key, value.map_err(|error| coercion::within(error, coercion::MAP_VALUE))?);
                    }
                    Some(other) => return Err(FormatError(format!("expected {other}, got a map"))),
                    None => {
                        self.value(values, None)?;
                    }
                }
            }
        }
        Ok(if wanted.is_some() { Value::map(entries) } else { Value::Null })
    }

    fn block(&mut self) -> Result<Option<u64>, FormatError> {
        let count = self.long()?;
        if count < 0 {
            self.length()?;
        }
        let count = count.unsigned_abs();
        if count > self.rest.len() as u64 + 100_000 {
            return Err(FormatError::new("more elements than bytes"));
        }
        Ok(Some(count).filter(|count| *count != 0))
    }

    fn length(&mut self) -> Result<usize, FormatError> {
        usize::try_from(self.long()?).map_err(|_| FormatError::new("a length is negative"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], FormatError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn long(&mut self) -> Result<i64, FormatError> {
        let mut zigzag = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            zigzag |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        Err(FormatError::new("a number is too long"))
    }
}

fn cut_off() -> FormatError {
    FormatError::new("the record is cut off")
}

/// Bytes as a column takes them: as they are, or as the digits of a decimal.
pub(super) fn bytes_value(bytes: &[u8], avro: &Type, wanted: &SqlType) -> Result<Value, FormatError> {
    let SqlType::Decimal(decimal) = wanted else { return scalar(Value::bytes(bytes), wanted) };
    let scale = avro.properties.get("scale").and_then(Node::as_i64).unwrap_or(0);
    let number = BigDecimal::new(BigInt::from_signed_bytes_be(bytes), scale);
    exact_decimal(&number, *decimal)
}
