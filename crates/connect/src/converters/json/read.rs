//! JSON text as values of a schema, or without one.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::token::{DEPTH_MAX, Node, Reader, TokenError};
use super::{Options, no_json};
use crate::data::logical::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::data::number::{decimal_from_bytes, decimal_to_long, parse_decimal};
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, Struct, Value, validate_value};

/// Either the text is no JSON, or it is not of the schema.
enum Error {
    Token(TokenError),
    Data(DataError),
}

impl From<TokenError> for Error {
    fn from(error: TokenError) -> Self {
        Error::Token(error)
    }
}

impl From<DataError> for Error {
    fn from(error: DataError) -> Self {
        Error::Data(error)
    }
}

impl From<Error> for DataError {
    fn from(error: Error) -> Self {
        match error {
            Error::Token(error) => no_json(error),
            Error::Data(error) => error,
        }
    }
}

/// The value that a text begins with; no text at all is null.
///
/// # Errors
/// Text that is no JSON, or not of the schema.
pub(super) fn whole(text: &str, schema: Option<&SchemaRef>, options: Options) -> Result<Value, DataError> {
    let mut reader = Reader::new(text);
    let mut values = Values { options, is_doubtful: false };
    if reader.at_end() {
        return values.missing(schema.map(|schema| &**schema));
    }
    Ok(values.value(&mut reader, schema, 0)?)
}

/// The payload that a text begins with, when it is the last member of its envelope.
///
/// # Errors
/// As [`whole`].
pub(super) fn payload_of_envelope(
    text: &str,
    schema: Option<&SchemaRef>,
    options: Options,
) -> Result<Option<Value>, DataError> {
    let mut reader = Reader::new(text);
    let mut values = Values { options, is_doubtful: false };
    let value = values.value(&mut reader, schema, 0)?;
    let rest = text[reader.position()..].trim_ascii();
    Ok((rest == "}").then_some(value))
}

/// Values on their way out of a text.
struct Values {
    options: Options,
    /// Something was read as null that stands in the text as another type: the field that holds it is to be checked.
    is_doubtful: bool,
}

impl Values {
    /// What stands for null and for what is not there.
    fn missing(&self, schema: Option<&Schema>) -> Result<Value, DataError> {
        let Some(schema) = schema else { return Ok(Value::Null) };
        match &schema.default {
            Some(default) if self.options.replace_null_with_default => Ok(default.clone()),
            _ if schema.optional => Ok(Value::Null),
            _ => {
                let text = format!("Invalid null value for required {} field", schema.type_name());
                Err(DataError::new(text))
            }
        }
    }

    fn value(&mut self, reader: &mut Reader, schema: Option<&SchemaRef>, depth: usize) -> Result<Value, Error> {
        let node = reader.peek()?;
        if depth > DEPTH_MAX {
            return Err(TokenError::TooDeep.into());
        }
        if node == Node::Null {
            reader.null()?;
            return Ok(self.missing(schema.map(|schema| &**schema))?);
        }
        let Some(schema) = schema else { return self.schemaless(reader, node, depth) };
        if let Some(value) = logical(reader, node, schema)? {
            return Ok(value);
        }
        Ok(match &schema.kind {
            Kind::Int8 => Value::Int8(long(reader, node)? as i8),
            Kind::Int16 => Value::Int16(long(reader, node)? as i16),
            Kind::Int32 => Value::Int32(long(reader, node)? as i32),
            Kind::Int64 => Value::Int64(long(reader, node)?),
            Kind::Float32 => Value::Float32(float(reader, node)?),
            Kind::Float64 => Value::Float64(float(reader, node)?),
            Kind::Boolean if node == Node::Boolean => Value::Boolean(reader.boolean()?),
            Kind::Boolean => {
                reader.skip(depth)?;
                Value::Boolean(false)
            }
            Kind::String if node == Node::String => Value::String(reader.string()?.into_owned()),
            Kind::Bytes if node == Node::String => Value::Bytes(base64(reader)?.into()),
            Kind::String | Kind::Bytes => {
                reader.skip(depth)?;
                self.is_doubtful = true;
                Value::Null
            }
            Kind::Array(elements) => self.array(reader, node, Some(elements), depth)?,
            Kind::Map(keys, values) if keys.kind == Kind::String => {
                self.map_of_object(reader, node, Some(values), depth)?
            }
            Kind::Map(keys, values) => self.map_of_pairs(reader, node, keys, values, depth)?,
            Kind::Struct(fields) => self.structure(reader, node, schema, fields, depth)?,
        })
    }

    fn schemaless(&mut self, reader: &mut Reader, node: Node, depth: usize) -> Result<Value, Error> {
        Ok(match node {
            Node::Null => Value::Null,
            Node::Boolean => Value::Boolean(reader.boolean()?),
            Node::String => Value::String(reader.string()?.into_owned()),
            Node::Array => self.array(reader, node, None, depth)?,
            Node::Object => self.map_of_object(reader, node, None, depth)?,
            Node::Number => {
                let text = reader.number()?;
                if is_integral(text) {
                    Value::Int64(long_of(text))
                } else {
                    Value::Float64(text.parse().unwrap_or_default())
                }
            }
        })
    }

    /// Like Jackson's nodes an object has its values as elements, and a scalar none.
    fn array(
        &mut self,
        reader: &mut Reader,
        node: Node,
        schema: Option<&SchemaRef>,
        depth: usize,
    ) -> Result<Value, Error> {
        let mut elements = Vec::new();
        match node {
            Node::Array => reader.array::<Error>(|reader| {
                elements.push(self.value(reader, schema, depth + 1)?);
                Ok(())
            })?,
            Node::Object => reader.object::<Error>(|reader, _| {
                elements.push(self.value(reader, schema, depth + 1)?);
                Ok(())
            })?,
            _ => reader.skip(depth)?,
        }
        Ok(Value::Array(elements))
    }

    fn map_of_object(
        &mut self,
        reader: &mut Reader,
        node: Node,
        schema: Option<&SchemaRef>,
        depth: usize,
    ) -> Result<Value, Error> {
        if node != Node::Object {
            return Err(found("Maps with string fields should be encoded as JSON objects, but found", node));
        }
        let mut entries: Vec<(Value, Value)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        reader.object::<Error>(|reader, name| {
            let value = self.value(reader, schema, depth + 1)?;
            // The last of several members with one name counts.
            let place = *places.entry(name.clone().into_owned()).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(entry) => entry.1 = value,
                None => entries.push((Value::String(name.into_owned()), value)),
            }
            Ok(())
        })?;
        Ok(Value::Map(entries))
    }

    fn map_of_pairs(
        &mut self,
        reader: &mut Reader,
        node: Node,
        keys: &SchemaRef,
        values: &SchemaRef,
        depth: usize,
    ) -> Result<Value, Error> {
        if node != Node::Array {
            let text = "Maps with non-string fields should be encoded as JSON array of tuples, but found";
            return Err(found(text, node));
        }
        let mut entries = Vec::new();
        reader.array::<Error>(|reader| {
            let node = reader.peek()?;
            if node != Node::Array {
                return Err(found("Found invalid map entry instead of array tuple:", node));
            }
            let mut pair = Vec::new();
            let mut count = 0;
            reader.array::<Error>(|reader| {
                match count {
                    0 => pair.push(self.value(reader, Some(keys), depth + 2)?),
                    1 => pair.push(self.value(reader, Some(values), depth + 2)?),
                    _ => reader.skip(depth + 2)?,
                }
                count += 1;
                Ok(())
            })?;
            let entry = match (pair.pop(), pair.pop(), count) {
                (Some(value), Some(key), 2) => (key, value),
                _ => {
                    let text = format!("Found invalid map entry, expected length 2 but found :{count}");
                    return Err(DataError::new(text).into());
                }
            };
            entries.push(entry);
            Ok(())
        })?;
        Ok(Value::Map(entries))
    }

    fn structure(
        &mut self,
        reader: &mut Reader,
        node: Node,
        schema: &SchemaRef,
        fields: &[Field],
        depth: usize,
    ) -> Result<Value, Error> {
        if node != Node::Object {
            return Err(found("Structs should be encoded as JSON objects, but found", node));
        }
        let mut values: Vec<Option<Value>> = vec![None; fields.len()];
        let mut next = 0;
        let is_doubtful = std::mem::take(&mut self.is_doubtful);
        reader.object::<Error>(|reader, name| {
            // Members are most often in the order of the fields.
            let index = match fields.get(next) {
                Some(field) if *field.name == *name => Some(next),
                _ => schema.field_index(&name),
            };
            let Some((index, field)) = index.and_then(|index| Some((index, fields.get(index)?))) else {
                return Ok(reader.skip(depth + 1)?);
            };
            let value = self.value(reader, Some(&field.schema), depth + 1)?;
            if std::mem::take(&mut self.is_doubtful) {
                validate_value(Some(&field.name), &field.schema, &value)?;
            }
            if let Some(slot) = values.get_mut(index) {
                *slot = Some(value);
            }
            next = index + 1;
            Ok(())
        })?;
        self.is_doubtful = is_doubtful;
        let values: Result<Vec<Value>, DataError> = values
            .into_iter()
            .zip(fields)
            .map(|(value, field)| value.map_or_else(|| self.missing(Some(&field.schema)), Ok))
            .collect();
        Ok(Value::Struct(Struct::new(schema.clone(), values?)?))
    }
}

/// A value of a logical type; `None` when the schema has no name of one.
fn logical(reader: &mut Reader, node: Node, schema: &Schema) -> Result<Option<Value>, Error> {
    let refuse = |name: &str, what: &str| {
        let text = format!("Invalid type for {name}, underlying representation should be {what} but was");
        Err(found(&text, node))
    };
    Ok(Some(match schema.name.as_deref() {
        Some(DECIMAL) => match node {
            Node::Number => {
                let text = reader.number()?;
                let decimal = parse_decimal(text);
                Value::Decimal(
                    decimal.ok_or_else(|| DataError::new(format!("Invalid number for Decimal field: {text}")))?,
                )
            }
            Node::String => {
                let invalid = |_| DataError::new("Invalid bytes for Decimal field");
                let bytes = base64(reader).map_err(|error| invalid(DataError::from(error)))?;
                if bytes.is_empty() {
                    return Err(DataError::new("Invalid bytes for Decimal field").into());
                }
                Value::Decimal(decimal_from_bytes(schema, &bytes).map_err(invalid)?)
            }
            _ => return refuse("Decimal", "numeric or bytes"),
        },
        Some(name @ (DATE | TIME)) => {
            let number = if node == Node::Number { reader.number()?.parse::<i32>().ok() } else { None };
            match number {
                Some(number) if name == DATE => Value::Date(number),
                Some(number) => Value::Time(time_of_day(number)?),
                None => return refuse(if name == DATE { "Date" } else { "Time" }, "integer"),
            }
        }
        Some(TIMESTAMP) => {
            let number = if node == Node::Number { Some(reader.number()?) } else { None };
            match number.filter(|text| is_integral(text)) {
                Some(text) => Value::Timestamp(long_of(text)),
                None => return refuse("Timestamp", "integral"),
            }
        }
        _ => return Ok(None),
    }))
}

fn time_of_day(millis: i32) -> Result<i32, DataError> {
    if (0..=86_400_000).contains(&millis) {
        return Ok(millis);
    }
    let text = "Time values must use number of milliseconds greater than 0 and less than 86400000";
    Err(DataError::new(text))
}

fn found(text: &str, node: Node) -> Error {
    DataError::new(format!("{text} {}", node.name())).into()
}

fn is_integral(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// The lowest 64 bits of a number's whole part.
fn long_of(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| parse_decimal(text).map_or(0, |decimal| decimal_to_long(&decimal)))
}

/// What is no number is 0, as Jackson has it.
fn long(reader: &mut Reader, node: Node) -> Result<i64, TokenError> {
    match node {
        Node::Number => reader.number().map(long_of),
        _ => reader.skip(0).map(|()| 0),
    }
}

/// A number, or the text that the writer has for what is no number; anything else is 0, as Jackson has it.
fn float<T: std::str::FromStr + Default + From<f32>>(reader: &mut Reader, node: Node) -> Result<T, TokenError> {
    Ok(match node {
        Node::Number => match reader.number()? {
            // An integer has no negative zero.
            text if is_integral(text) && long_of(text) == 0 => T::default(),
            text => text.parse().unwrap_or_default(),
        },
        Node::String => match &*reader.string()? {
            "NaN" => f32::NAN.into(),
            "Infinity" => f32::INFINITY.into(),
            "-Infinity" => f32::NEG_INFINITY.into(),
            _ => T::default(),
        },
        _ => {
            reader.skip(0)?;
            T::default()
        }
    })
}

fn base64(reader: &mut Reader) -> Result<Vec<u8>, Error> {
    let text = reader.string()?;
    let decoded = STANDARD.decode(text.as_bytes()).or_else(|_| {
        // Line breaks and blanks between characters are left aside.
        let text: String = text.chars().filter(|character| *character > ' ').collect();
        STANDARD.decode(text)
    });
    decoded.map_err(|_| DataError::new("Invalid bytes field").into())
}
