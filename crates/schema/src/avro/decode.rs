//! Avro's binary encoding to its JSON encoding.
//!
//! The bytes come from anybody: every length is checked against what remains, nesting through recursive schemas is
//! limited, and so is the number of values that take no bytes (a `null`, an empty record), of which a short text could
//! otherwise announce any number.

use serde_json::{Map, Number, Value};

use super::types::{Kind, Record, Type, TypeId};
use crate::codec::CodecError;
use crate::wire::read_varint;

/// Deepest nesting of values.
const DEPTH_MAX: usize = 400;
/// Values beyond this many per byte are refused ...
const VALUES_PER_BYTE_MAX: usize = 16;
/// ... but so many are always allowed.
const VALUES_MIN: usize = 100_000;

/// See [`AvroSchema::decode`](super::AvroSchema::decode).
pub(super) fn decode(types: &[Type], root: TypeId, bytes: &[u8]) -> Result<Value, CodecError> {
    if let Kind::Bytes = types[root.index()].kind {
        return Ok(latin1(bytes));
    }
    let values_left = VALUES_MIN.max(bytes.len().saturating_mul(VALUES_PER_BYTE_MAX));
    let mut decoder = Decoder { types, rest: bytes, depth: 0, values_left };
    let value = decoder.value(root)?;
    if !decoder.rest.is_empty() {
        return Err(CodecError::Bytes(format!("{} bytes are left over", decoder.rest.len())));
    }
    Ok(value)
}

struct Decoder<'a, 't> {
    types: &'t [Type],
    rest: &'a [u8],
    depth: usize,
    values_left: usize,
}

impl<'a> Decoder<'a, '_> {
    fn value(&mut self, id: TypeId) -> Result<Value, CodecError> {
        self.values_left = self.values_left.checked_sub(1).ok_or_else(|| error("more values than bytes can hold"))?;
        let types = self.types;
        match &types[id.index()].kind {
            Kind::Null => Ok(Value::Null),
            Kind::Boolean => match self.take(1)? {
                [0] => Ok(Value::Bool(false)),
                [1] => Ok(Value::Bool(true)),
                _ => Err(error("a boolean is neither 0 nor 1")),
            },
            Kind::Int => {
                let number = i32::try_from(self.long()?).map_err(|_| error("an int is out of range"))?;
                Ok(Value::from(number))
            }
            Kind::Long => Ok(Value::from(self.long()?)),
            Kind::Float => Ok(double(f64::from(f32::from_le_bytes(self.array()?)))),
            Kind::Double => Ok(double(f64::from_le_bytes(self.array()?))),
            Kind::Bytes => {
                let length = self.length()?;
                Ok(latin1(self.take(length)?))
            }
            Kind::String => Ok(Value::String(self.string()?)),
            Kind::Fixed(fixed) => Ok(latin1(self.take(fixed.size)?)),
            Kind::Enum(symbols) => {
                let symbol = usize::try_from(self.long()?).ok().and_then(|index| symbols.symbols.get(index));
                let symbol = symbol.ok_or_else(|| error("the index of an enum symbol is out of range"))?;
                Ok(Value::String(symbol.clone()))
            }
            Kind::Array(items) => self.nested(|decoder| decoder.elements(*items)),
            Kind::Map(values) => self.nested(|decoder| decoder.members(*values)),
            Kind::Union(branches) => self.nested(|decoder| decoder.union(branches)),
            Kind::Record(record) => self.nested(|decoder| decoder.record(record)),
        }
    }

    fn nested(&mut self, body: impl FnOnce(&mut Self) -> Result<Value, CodecError>) -> Result<Value, CodecError> {
        if self.depth == DEPTH_MAX {
            return Err(error("values are nested too deeply"));
        }
        self.depth += 1;
        let value = body(self);
        self.depth -= 1;
        value
    }

    fn elements(&mut self, items: TypeId) -> Result<Value, CodecError> {
        let mut elements = Vec::new();
        while let Some(count) = self.block()? {
            for _ in 0..count {
                elements.push(self.value(items)?);
            }
        }
        Ok(Value::Array(elements))
    }

    fn members(&mut self, values: TypeId) -> Result<Value, CodecError> {
        let mut members = Map::new();
        while let Some(count) = self.block()? {
            for _ in 0..count {
                let key = self.string()?;
                let value = self.value(values)?;
                members.insert(key, value);
            }
        }
        Ok(Value::Object(members))
    }

    /// The number of values in the next block of an array or map; `None` at the end.
    fn block(&mut self) -> Result<Option<u64>, CodecError> {
        let count = self.long()?;
        if count < 0 {
            // A negative count is followed by the size of the block, for those who want to skip it.
            self.length()?;
        }
        Ok(Some(count.unsigned_abs()).filter(|count| *count != 0))
    }

    fn union(&mut self, branches: &[TypeId]) -> Result<Value, CodecError> {
        let branch = usize::try_from(self.long()?).ok().and_then(|index| branches.get(index));
        let branch = *branch.ok_or_else(|| error("the index of a union branch is out of range"))?;
        let value = self.value(branch)?;
        match &self.types[branch.index()].kind {
            Kind::Null => Ok(value),
            kind => Ok(Value::Object(Map::from_iter([(kind.label().to_owned(), value)]))),
        }
    }

    fn record(&mut self, record: &Record) -> Result<Value, CodecError> {
        let mut members = Map::new();
        for field in &record.fields {
            members.insert(field.name.clone(), self.value(field.type_id)?);
        }
        Ok(Value::Object(members))
    }

    fn string(&mut self) -> Result<String, CodecError> {
        let length = self.length()?;
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| error("a string is not UTF-8"))?;
        Ok(text.to_owned())
    }

    fn long(&mut self) -> Result<i64, CodecError> {
        read_varint(&mut self.rest).ok_or_else(|| error("a number is cut off or too long"))
    }

    fn length(&mut self) -> Result<usize, CodecError> {
        usize::try_from(self.long()?).map_err(|_| error("a length is negative"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(bytes)
    }
}

fn error(message: &str) -> CodecError {
    CodecError::Bytes(message.to_owned())
}

fn cut_off() -> CodecError {
    error("the record is cut off")
}

fn latin1(bytes: &[u8]) -> Value {
    Value::String(bytes.iter().map(|byte| char::from(*byte)).collect())
}

fn double(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| Value::String(crate::document::double_text(number)), Value::Number)
}
