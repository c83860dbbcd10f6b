//! JSON that a schema describes as columns take it.
//!
//! The schema decides what a value is, then the column whether it takes that: a whole number of 64 bits is no `INTEGER`,
//! whatever its digits. Text where the schema has a number is 0, as it is to the converters of the registry.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use num_bigint::BigInt;

use super::model::{Kind, Property, Type};
use crate::formats::avro::{Named, scalar};
use crate::formats::coercion::{self, Written};
use crate::formats::json::{exact_decimal, parsed_decimal, whole_number};
use crate::formats::json_text::Json;
use crate::formats::{Field, FormatError};
use crate::types::SqlType;
use crate::value::{MapValue, Value};

/// Columns of a row that follow those of the value: pseudo columns, key, bounds of windows.
const MORE_COLUMNS: usize = 8;
/// Columns that nobody has.
const NOBODY: &[Field] = &[];
/// From so many comparisons on, the members of an object are found by an index of their names.
const COMPARED_MAX: usize = 256;

/// The columns of a record.
///
/// # Errors
/// A value that the schema or a column does not allow.
pub(super) fn row(of: &Type, json: &Json<'_>, fields: &[Field], unwrapped: bool) -> Result<Vec<Value>, FormatError> {
    if unwrapped && let [field] = fields {
        if json.is_null() && of.is_optional && of.default.is_none() {
            return Ok(vec![Value::Null]);
        }
        return Ok(vec![value(of, Some(json), Some(&field.field_type))?]);
    }
    if json.is_null() {
        return Err(of.missing());
    }
    match &of.kind {
        Kind::Object(properties) => object(properties, json, fields),
        Kind::Choice(choices) => chosen(choices, json, fields),
        _ => Err(coercion::refused(of.written(), Written::Struct)),
    }
}

/// A value as a column of type `wanted` takes it, or only checked when none does.
fn value(of: &Type, json: Option<&Json<'_>>, wanted: Option<&SqlType>) -> Result<Value, FormatError> {
    if let Some(wanted) = wanted {
        coercion::check(of.written(), wanted)?;
    }
    let json = match (json.filter(|json| !json.is_null()), &of.default) {
        (Some(json), _) => json,
        (None, Some(default)) => default,
        (None, None) if of.is_optional => return Ok(Value::Null),
        (None, None) => return Err(of.missing()),
    };
    match (&of.kind, wanted) {
        (Kind::Array(element), wanted) => array(element, json, wanted),
        (Kind::Map { entries, key, value }, wanted) => map(*entries, key, value, json, wanted),
        (Kind::Object(properties), Some(SqlType::Struct(structure))) => {
            object(properties, json, &structure.fields).map(Value::structure)
        }
        (Kind::Choice(choices), Some(SqlType::Struct(structure))) => {
            chosen(choices, json, &structure.fields).map(Value::structure)
        }
        (Kind::Object(properties), _) => object(properties, json, NOBODY).map(|_| Value::Null),
        (Kind::Choice(choices), _) => chosen(choices, json, NOBODY).map(|_| Value::Null),
        (kind, wanted) => {
            let plain = plain(kind, json)?;
            wanted.map_or(Ok(Value::Null), |wanted| scalar(plain, wanted))
        }
    }
}

/// A scalar as the schema has it; what is of another type is nothing, or no text.
fn plain(kind: &Kind, json: &Json<'_>) -> Result<Value, FormatError> {
    let whole = || match json {
        Json::Number(text) => whole_number(text),
        _ => 0,
    };
    let is_whole = matches!(json, Json::Number(text) if !text.contains(['.', 'e', 'E']));
    let logical = |name: &str, wanted: &str| {
        let found = node_type(json);
        FormatError(format!("Invalid type for {name}, underlying representation should be {wanted} but was {found}"))
    };
    let is_int = || matches!(json, Json::Number(text) if text.parse::<i32>().is_ok());
    Ok(match kind {
        Kind::Boolean => Value::Boolean(matches!(json, Json::Bool(true))),
        Kind::Whole(Written::Int8) => Value::Bigint(i64::from(whole() as i8)),
        Kind::Whole(Written::Int16) => Value::Bigint(i64::from(whole() as i16)),
        Kind::Whole(Written::Int32) => Value::Bigint(i64::from(whole() as i32)),
        Kind::Whole(_) => Value::Bigint(whole()),
        Kind::Fraction(written) => {
            let number = match json {
                Json::Number(text) => text.parse::<f64>().map_err(FormatError::new)?,
                _ => 0.0,
            };
            Value::Double(if *written == Written::Float32 { f64::from(number as f32) } else { number })
        }
        Kind::Text => json.as_str().map_or(Value::Null, Value::string),
        Kind::Bytes => match json {
            Json::String(text) => {
                Value::bytes(STANDARD.decode(text.as_bytes()).map_err(|_| FormatError::new("Invalid bytes field"))?)
            }
            _ => return Err(FormatError::new("Invalid bytes field")),
        },
        Kind::Decimal(decimal) => match json {
            Json::Number(text) => exact_decimal(&parsed_decimal(text)?, *decimal)?,
            Json::String(text) => {
                let digits = STANDARD.decode(text.as_bytes());
                let digits = digits.map_err(|_| FormatError::new("Invalid bytes for Decimal field"))?;
                Value::decimal(BigDecimal::new(BigInt::from_signed_bytes_be(&digits), decimal.scale.into()))
            }
            _ => return Err(logical("Decimal", "numeric or bytes")),
        },
        Kind::Date if !is_int() => return Err(logical("Date", "integer")),
        Kind::Time if !is_int() => return Err(logical("Time", "integer")),
        Kind::Timestamp if !is_whole => return Err(logical("Timestamp", "integral")),
        Kind::Date | Kind::Time | Kind::Timestamp => Value::Bigint(whole()),
        Kind::Array(_) | Kind::Map { .. } | Kind::Object(_) | Kind::Choice(_) => Value::Null,
    })
}

/// A list; the members of an object count as its elements, anything else has none.
fn array(element: &Type, json: &Json<'_>, wanted: Option<&SqlType>) -> Result<Value, FormatError> {
    let element_type = match wanted {
        Some(SqlType::Array(element_type)) => Some(&**element_type),
        _ => None,
    };
    let one =
        |json| value(element, Some(json), element_type).map_err(|error| coercion::within(error, coercion::ELEMENT));
    let elements = match json {
        Json::Array(elements) => elements.iter().map(one).collect::<Result<Vec<_>, _>>()?,
        other => other.members().iter().map(|(_, json)| one(json)).collect::<Result<Vec<_>, _>>()?,
    };
    Ok(if wanted.is_some() { Value::array(elements) } else { Value::Null })
}

fn map(entries: bool, key: &Type, of: &Type, json: &Json<'_>, wanted: Option<&SqlType>) -> Result<Value, FormatError> {
    let (key_type, value_type) = match wanted {
        Some(SqlType::Map(key_type, value_type)) => (Some(&**key_type), Some(&**value_type)),
        _ => (None, None),
    };
    let mut found = MapValue::roomy();
    let key_of = |json: Option<&Json<'_>>| {
        value(key, json, key_type).map_err(|error| coercion::within(error, coercion::MAP_KEY))
    };
    let value_of = |json: Option<&Json<'_>>| {
        value(of, json, value_type).map_err(|error| coercion::within(error, coercion::MAP_VALUE))
    };
    match json {
        Json::Object(members) if !entries => {
            for (name, json) in members {
                found.insert(key_of(Some(&Json::String(Cow::Borrowed(name))))?, value_of(Some(json))?);
            }
        }
        Json::Array(elements) if entries => {
            for entry in elements {
                let (name, json) = entry_of(entry)?;
                found.insert(key_of(name)?, value_of(json)?);
            }
        }
        other => {
            let wanted = if entries {
                "non-string fields should be encoded as JSON array of objects"
            } else {
                "string fields should be encoded as JSON objects"
            };
            return Err(FormatError(format!("Maps with {wanted}, but found {}", node_type(other))));
        }
    }
    Ok(if wanted.is_some() { Value::map(found) } else { Value::Null })
}

/// Key and value of an entry.
fn entry_of<'j, 'a>(entry: &'j Json<'a>) -> Result<(Option<&'j Json<'a>>, Option<&'j Json<'a>>), FormatError> {
    let Json::Object(members) = entry else {
        return Err(FormatError(format!("Found invalid map entry instead of object: {}", node_type(entry))));
    };
    if members.len() != 2 {
        let length = members.len();
        return Err(FormatError(format!("Found invalid map entry, expected length 2 but found :{length}")));
    }
    Ok((entry.get("key"), entry.get("value")))
}

/// The columns of an object. Its properties are looked at whether a column wants them or not.
fn object(properties: &[Property], json: &Json<'_>, fields: &[impl Named]) -> Result<Vec<Value>, FormatError> {
    let Json::Object(members) = json else {
        return Err(FormatError(format!("Structs should be encoded as JSON objects, but found {}", node_type(json))));
    };
    let mut row = Vec::with_capacity(fields.len() + MORE_COLUMNS);
    row.resize(fields.len(), Value::Null);
    let found = Found::new(members, properties);
    for (index, property) in properties.iter().enumerate() {
        let member = found.member(index, &property.name);
        match property.column.and_then(|column| Some((fields.get(column)?, row.get_mut(column)?))) {
            Some((field, place)) => {
                let value = value(&property.of, member, Some(field.field_type()));
                *place = value.map_err(|error| coercion::within(error, field.name()))?;
            }
            None => {
                value(&property.of, member, None)?;
            }
        }
    }
    Ok(row)
}

/// How the members of an object are found. Where a name repeats, its last member counts.
enum Found<'o, 'j> {
    /// They come in the order of the schema, as they mostly do.
    InOrder(&'o [(Cow<'j, str>, Json<'j>)]),
    Few(&'o [(Cow<'j, str>, Json<'j>)]),
    Indexed(HashMap<&'o str, &'o Json<'j>>),
}

impl<'o, 'j> Found<'o, 'j> {
    fn new(members: &'o [(Cow<'j, str>, Json<'j>)], properties: &[Property]) -> Self {
        let mut pairs = members.iter().zip(properties);
        if members.len() == properties.len() && pairs.all(|((name, _), property)| *name == property.name) {
            Found::InOrder(members)
        } else if members.len().saturating_mul(properties.len()) <= COMPARED_MAX {
            Found::Few(members)
        } else {
            Found::Indexed(members.iter().map(|(name, json)| (&**name, json)).collect())
        }
    }

    /// The member of the property at `index`.
    fn member(&self, index: usize, name: &str) -> Option<&'o Json<'j>> {
        match self {
            Found::InOrder(members) => members.get(index).map(|(_, json)| json),
            Found::Few(members) => members.iter().rfind(|(member, _)| member == name).map(|(_, json)| json),
            Found::Indexed(members) => members.get(name).copied(),
        }
    }
}

/// A value of one of several types, as the columns of which one is set.
fn chosen(choices: &[Property], json: &Json<'_>, fields: &[impl Named]) -> Result<Vec<Value>, FormatError> {
    let Some(choice) = choices.iter().find(|choice| fits(&choice.of, json)) else {
        return Err(FormatError(format!("Did not find matching oneof field for data: {}", json.text())));
    };
    let field = choice.column.and_then(|column| fields.get(column));
    let value = value(&choice.of, Some(json), field.map(Named::field_type))?;
    let mut row = vec![Value::Null; fields.len()];
    if let Some(place) = choice.column.and_then(|column| row.get_mut(column)) {
        *place = value;
    }
    Ok(row)
}

/// Whether a value can be of a type, at a glance.
pub(super) fn fits(of: &Type, json: &Json<'_>) -> bool {
    let is_fraction = |text: &str| text.contains(['.', 'e', 'E']);
    match (&of.kind, json) {
        (Kind::Boolean, Json::Bool(_))
        | (Kind::Text, Json::String(_))
        | (Kind::Fraction(_), Json::Number(_))
        | (Kind::Array(_) | Kind::Map { .. }, Json::Array(_))
        | (Kind::Map { .. }, Json::Object(_)) => true,
        (Kind::Whole(_) | Kind::Date | Kind::Time | Kind::Timestamp, Json::Number(text)) => !is_fraction(text),
        (Kind::Bytes | Kind::Decimal(_), Json::Number(text)) => is_fraction(text),
        (Kind::Object(properties) | Kind::Choice(properties), Json::Object(members)) => {
            members.iter().all(|(name, _)| properties.iter().any(|property| property.name == *name))
        }
        _ => false,
    }
}

/// What JSON is, as messages name it.
fn node_type(json: &Json<'_>) -> &'static str {
    match json {
        Json::Null => "NULL",
        Json::Bool(_) => "BOOLEAN",
        Json::Number(_) => "NUMBER",
        Json::String(_) => "STRING",
        Json::Array(_) => "ARRAY",
        Json::Object(_) => "OBJECT",
    }
}
