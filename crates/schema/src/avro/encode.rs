//! Avro's JSON encoding to its binary encoding.
//!
//! A value of a union is `null` or an object with one member, whose name is the branch: `{"string":"x"}`,
//! `{"com.example.Order":{...}}`. Bytes are strings of the characters U+0000 to U+00FF. Logical types are written as
//! the type they annotate.
//!
//! With [`Unions::Untagged`] the bare value is taken as well, when exactly one branch can hold it.

use serde_json::{Map, Value};

use super::types::{Kind, Record, Type, TypeId};
use crate::codec::CodecError;
use crate::document::push_pointer;
use crate::wire::write_varint;

/// Branches that are tried for the untagged values of one record. Branches within branches multiply; beyond this the
/// client has to name them.
const TRIALS_MAX: usize = 10_000;

/// How values of unions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unions {
    /// With the name of their branch.
    Tagged,
    /// Also without, where one branch only fits.
    Untagged,
}

/// See [`AvroSchema::encode`](super::AvroSchema::encode).
pub(super) fn encode(types: &[Type], root: TypeId, value: &Value, unions: Unions) -> Result<Vec<u8>, CodecError> {
    let mut encoder = Encoder { types, unions, trials_left: TRIALS_MAX, pointer: String::new(), output: Vec::new() };
    if let Kind::Bytes = types[root.index()].kind {
        return encoder.latin1(value);
    }
    encoder.value(root, value)?;
    Ok(encoder.output)
}

struct Encoder<'a> {
    types: &'a [Type],
    unions: Unions,
    trials_left: usize,
    /// The place in the value.
    pointer: String,
    output: Vec<u8>,
}

impl Encoder<'_> {
    fn value(&mut self, id: TypeId, value: &Value) -> Result<(), CodecError> {
        let types = self.types;
        match &types[id.index()].kind {
            Kind::Null => value.as_null().ok_or_else(|| self.expected("null", value)),
            Kind::Boolean => {
                let yes = value.as_bool().ok_or_else(|| self.expected("boolean", value))?;
                self.output.push(u8::from(yes));
                Ok(())
            }
            Kind::Int => {
                let number = integer(value).and_then(|number| i32::try_from(number).ok());
                write_varint(i64::from(number.ok_or_else(|| self.expected("int", value))?), &mut self.output);
                Ok(())
            }
            Kind::Long => {
                write_varint(integer(value).ok_or_else(|| self.expected("long", value))?, &mut self.output);
                Ok(())
            }
            Kind::Float => {
                let number = floating(value).ok_or_else(|| self.expected("float", value))? as f32;
                self.output.extend_from_slice(&number.to_le_bytes());
                Ok(())
            }
            Kind::Double => {
                let number = floating(value).ok_or_else(|| self.expected("double", value))?;
                self.output.extend_from_slice(&number.to_le_bytes());
                Ok(())
            }
            Kind::String => {
                let text = value.as_str().ok_or_else(|| self.expected("string", value))?;
                self.bytes(text.as_bytes());
                Ok(())
            }
            Kind::Bytes => {
                let bytes = self.latin1(value)?;
                self.bytes(&bytes);
                Ok(())
            }
            Kind::Fixed(fixed) => {
                let bytes = self.latin1(value)?;
                if bytes.len() != fixed.size {
                    return Err(self.error(format!("expected {} bytes, found {}", fixed.size, bytes.len())));
                }
                self.output.extend_from_slice(&bytes);
                Ok(())
            }
            Kind::Enum(symbols) => {
                let symbol = value.as_str().ok_or_else(|| self.expected("a symbol", value))?;
                let index = symbols.symbols.iter().position(|known| known == symbol);
                let index = index.ok_or_else(|| self.error(format!("unknown symbol \"{symbol}\"")))?;
                self.length(index);
                Ok(())
            }
            Kind::Array(items) => {
                let elements = value.as_array().ok_or_else(|| self.expected("array", value))?;
                self.array(*items, elements)
            }
            Kind::Map(values) => {
                let members = value.as_object().ok_or_else(|| self.expected("map", value))?;
                self.map(*values, members)
            }
            Kind::Union(branches) => self.union(branches, value),
            Kind::Record(record) => {
                let members = value.as_object().ok_or_else(|| self.expected("record", value))?;
                self.record(record, members)
            }
        }
    }

    fn array(&mut self, items: TypeId, elements: &[Value]) -> Result<(), CodecError> {
        if !elements.is_empty() {
            self.length(elements.len());
            for (index, element) in elements.iter().enumerate() {
                self.at(&index.to_string(), |encoder| encoder.value(items, element))?;
            }
        }
        self.length(0);
        Ok(())
    }

    fn map(&mut self, values: TypeId, members: &Map<String, Value>) -> Result<(), CodecError> {
        if !members.is_empty() {
            self.length(members.len());
            for (key, member) in members {
                self.bytes(key.as_bytes());
                self.at(key, |encoder| encoder.value(values, member))?;
            }
        }
        self.length(0);
        Ok(())
    }

    fn union(&mut self, branches: &[TypeId], whole: &Value) -> Result<(), CodecError> {
        let value = whole;
        let (label, value) = match value {
            Value::Null => ("null", value),
            Value::Object(members) if members.len() == 1 => match members.iter().next() {
                Some((label, value)) => (label.as_str(), value),
                None => return Err(self.expected("a union", value)),
            },
            _ if self.unions == Unions::Untagged => return self.untagged(branches, value),
            _ => {
                let labels = self.labels(branches);
                return Err(self.error(format!("expected null or an object with one member of {labels}")));
            }
        };
        let index = branches.iter().position(|branch| self.types[branch.index()].kind.label() == label);
        let Some(index) = index else {
            if self.unions == Unions::Untagged && !value.is_null() {
                return self.untagged(branches, whole);
            }
            let labels = self.labels(branches);
            return Err(self.error(format!("unknown union branch {label}, expected one of {labels}")));
        };
        self.length(index);
        if label == "null" { Ok(()) } else { self.at(label, |encoder| encoder.value(branches[index], value)) }
    }

    /// Writes a value without a tag as the one branch that can hold it.
    fn untagged(&mut self, branches: &[TypeId], value: &Value) -> Result<(), CodecError> {
        let mut fitting: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut refusals = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            if let Kind::Null = self.types[branch.index()].kind {
                continue;
            }
            self.trials_left = self
                .trials_left
                .checked_sub(1)
                .ok_or_else(|| self.error("too many possible branches of unions: name them".to_owned()))?;
            let before = std::mem::take(&mut self.output);
            let tried = self.value(*branch, value);
            let written = std::mem::replace(&mut self.output, before);
            match tried {
                Ok(()) => fitting.push((index, written)),
                Err(error) => refusals.push(error),
            }
        }
        match (fitting.as_slice(), refusals.len()) {
            ([(index, written)], _) => {
                self.length(*index);
                self.output.extend_from_slice(written);
                Ok(())
            }
            // The only branch there is says best what is wrong, and where.
            ([], 1) => Err(refusals.remove(0)),
            ([], _) => {
                let labels = self.labels(branches);
                Err(self.error(format!("the value is none of {labels}")))
            }
            (several, _) => {
                let fitting: Vec<TypeId> = several.iter().map(|(index, _)| branches[*index]).collect();
                let labels = self.labels(&fitting);
                Err(self
                    .error(format!("the value could be any of {labels}: name the branch, as {{\"branch\": value}}")))
            }
        }
    }

    fn labels(&self, branches: &[TypeId]) -> String {
        let labels: Vec<&str> = branches.iter().map(|branch| self.types[branch.index()].kind.label()).collect();
        labels.join(", ")
    }

    /// Members that are no fields are ignored, as Java's decoder does; every field must be there.
    fn record(&mut self, record: &Record, members: &Map<String, Value>) -> Result<(), CodecError> {
        for field in &record.fields {
            let Some(value) = members.get(&field.name) else {
                return Err(self.error(format!("expected field name not found: {}", field.name)));
            };
            self.at(&field.name, |encoder| encoder.value(field.type_id, value))?;
        }
        Ok(())
    }

    fn length(&mut self, length: usize) {
        write_varint(i64::try_from(length).unwrap_or(i64::MAX), &mut self.output);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.output.extend_from_slice(bytes);
    }

    fn latin1(&self, value: &Value) -> Result<Vec<u8>, CodecError> {
        let text = value.as_str().ok_or_else(|| self.expected("a string of bytes", value))?;
        let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
        bytes.map_err(|_| self.error("bytes are written as characters up to \\u00ff".to_owned()))
    }

    fn at(&mut self, segment: &str, body: impl FnOnce(&mut Self) -> Result<(), CodecError>) -> Result<(), CodecError> {
        let length = self.pointer.len();
        push_pointer(&mut self.pointer, segment);
        let result = body(self);
        self.pointer.truncate(length);
        result
    }

    fn expected(&self, what: &str, found: &Value) -> CodecError {
        let found = match found {
            Value::Null => "null".to_owned(),
            Value::Bool(_) | Value::Number(_) => found.to_string(),
            Value::String(_) => "a string".to_owned(),
            Value::Array(_) => "an array".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        self.error(format!("expected {what}, found {found}"))
    }

    fn error(&self, message: String) -> CodecError {
        CodecError::Value { message, location: self.pointer.clone() }
    }
}

/// A number without fraction.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let double = value.as_f64().filter(|double| double.fract() == 0.0 && double.abs() < 9e18)?;
        // The cast is exact: no fraction and within range.
        Some(double as i64)
    })
}

/// A number, or the name of one that JSON cannot spell.
fn floating(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" | "INF" => Some(f64::INFINITY),
            "-Infinity" | "-INF" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        other => other.as_f64(),
    }
}
