//! `JSON`: an object with a member per column, or the single column alone.
//!
//! Members are found whatever their case. What is missing is null; numbers in strings are numbers; a string column takes
//! whatever is there.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;

use super::json_row::RowReader;
use super::json_text::{Json, write_string};
use super::{Field, FormatError, RowCodec};
use crate::types::{DecimalType, SqlType};
use crate::value::{MapValue, Value, decimal_text, digits_before_point};

/// The codec.
pub struct JsonCodec {
    fields: Vec<Field>,
    unwrapped: bool,
    rows: RowReader,
    /// What stands before the value of each column, from the brace or comma to the colon.
    prefixes: Vec<String>,
    /// How long records are thought to become.
    length: usize,
}

/// Milliseconds of a day.
const DAY_MS: i32 = 86_400_000;

/// Bytes that the value of a column is thought to take.
const COLUMN_BYTES: usize = 24;

impl JsonCodec {
    /// For `fields`; `unwrapped` when a single one stands alone.
    pub fn new(fields: Vec<Field>, unwrapped: bool) -> Self {
        let unwrapped = unwrapped && fields.len() == 1;
        let prefix = |(position, field): (usize, &Field)| {
            let mut prefix = String::from(if position == 0 { '{' } else { ',' });
            write_string(&field.name, &mut prefix);
            prefix.push(':');
            prefix
        };
        let prefixes: Vec<_> = fields.iter().enumerate().map(prefix).collect();
        let length = prefixes.iter().map(|prefix| prefix.len() + COLUMN_BYTES).sum::<usize>() + 2;
        JsonCodec { rows: RowReader::new(&fields), fields, unwrapped, prefixes, length }
    }
}

impl RowCodec for JsonCodec {
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        if self.fields.is_empty() && row.is_empty() && self.unwrapped {
            return Ok(None);
        }
        let mut output = String::with_capacity(self.length);
        if self.unwrapped {
            return match (row.first(), self.fields.first()) {
                (Some(Value::Null) | None, _) | (_, None) => Ok(None),
                (Some(value), Some(field)) => {
                    write(value, &field.field_type, &mut output);
                    Ok(Some(output.into_bytes()))
                }
            };
        }
        for ((value, field), prefix) in row.iter().zip(&self.fields).zip(&self.prefixes) {
            output.push_str(prefix);
            write(value, &field.field_type, &mut output);
        }
        output.push_str(if output.is_empty() { "{}" } else { "}" });
        Ok(Some(output.into_bytes()))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        let text = std::str::from_utf8(bytes).map_err(|_| FormatError::new("the record is not UTF-8"))?;
        if !self.unwrapped
            && let Some(row) = self.rows.read(text, &self.fields)
        {
            return Ok(Some(row));
        }
        if text.trim().is_empty() {
            return Ok(None);
        }
        read_row(&Json::read(text).map_err(FormatError::new)?, &self.fields, self.unwrapped)
    }

    fn leave_out(&mut self, columns: &[usize]) {
        self.rows.leave_out(columns, &self.fields);
    }
}

/// The columns that `json` holds.
///
/// # Errors
/// A member that does not fit its column; anything but an object where one is expected.
pub fn read_row(json: &Json<'_>, fields: &[Field], unwrapped: bool) -> Result<Option<Vec<Value>>, FormatError> {
    if json.is_null() {
        return Ok(None);
    }
    if unwrapped && let [field] = fields {
        return Ok(Some(vec![read(json, &field.field_type)?]));
    }
    let Json::Object(members) = json else {
        return Err(FormatError(format!("expected an object, got {}", json.text())));
    };
    let column = |field: &Field| match member(members, &field.name) {
        Some(value) => read(value, &field.field_type).map_err(|error| FormatError(format!("{}: {error}", field.name))),
        None => Ok(Value::Null),
    };
    fields.iter().map(column).collect::<Result<_, _>>().map(Some)
}

/// The member called `name` exactly, else the first whose name differs only in case.
fn member<'a, 'j>(members: &'a [(Cow<'j, str>, Json<'j>)], name: &str) -> Option<&'a Json<'j>> {
    let exact = members.iter().find(|(member, _)| member == name);
    let found = exact.or_else(|| members.iter().find(|(member, _)| member.eq_ignore_ascii_case(name)));
    found.map(|(_, value)| value)
}

/// The value of `json` as a column of `field_type` takes it.
///
/// # Errors
/// What cannot be one.
pub fn read(json: &Json<'_>, field_type: &SqlType) -> Result<Value, FormatError> {
    if json.is_null() {
        return Ok(Value::Null);
    }
    let refused = || FormatError(format!("Can't convert type. sourceType: {}, requiredType: {field_type}", kind(json)));
    Ok(match field_type {
        SqlType::Boolean => match json {
            Json::Bool(truth) => Value::Boolean(*truth),
            _ => return Err(refused()),
        },
        SqlType::Integer => Value::Int(integer(json).ok_or_else(refused)? as i32),
        SqlType::Bigint => Value::Bigint(integer(json).ok_or_else(refused)?),
        SqlType::Double => Value::Double(spelling(json).and_then(|text| text.parse().ok()).ok_or_else(refused)?),
        SqlType::Decimal(decimal) => {
            let parsed = spelling(json).and_then(|text| BigDecimal::from_str(text).ok()).ok_or_else(refused)?;
            exact_decimal(&parsed, *decimal)?
        }
        SqlType::String => match json {
            Json::String(text) | Json::Number(text) => Value::string(text),
            other => Value::from(any_text(other)),
        },
        SqlType::Bytes => match json {
            Json::String(text) => Value::bytes(STANDARD.decode(text.as_bytes()).map_err(FormatError::new)?),
            _ => return Err(refused()),
        },
        SqlType::Date => Value::Date(integer(json).ok_or_else(refused)? as i32),
        SqlType::Time => time_of_day(integer(json).ok_or_else(refused)?)?,
        SqlType::Timestamp => Value::Timestamp(integer(json).ok_or_else(refused)?),
        SqlType::Array(element_type) => match json {
            Json::Array(elements) => {
                Value::array(elements.iter().map(|element| read(element, element_type)).collect::<Result<_, _>>()?)
            }
            _ => return Err(refused()),
        },
        SqlType::Map(key_type, value_type) => match json {
            Json::Object(members) => {
                let mut entries = MapValue::new();
                for (name, value) in members {
                    let key = read(&Json::String(Cow::Borrowed(name)), key_type)?;
                    entries.insert(key, read(value, value_type)?);
                }
                Value::map(entries)
            }
            _ => return Err(refused()),
        },
        SqlType::Struct(structure) => match json {
            Json::Object(members) => {
                let fields = structure.fields.iter().map(|field| match member(members, &field.name) {
                    Some(value) => read(value, &field.field_type),
                    None => Ok(Value::Null),
                });
                Value::structure(fields.collect::<Result<_, _>>()?)
            }
            _ => return Err(refused()),
        },
    })
}

/// The time that is so many milliseconds after midnight.
///
/// # Errors
/// More than a day, or less than nothing.
pub(super) fn time_of_day(ms: i64) -> Result<Value, FormatError> {
    let inside = i32::try_from(ms).ok().filter(|ms| (0..=DAY_MS).contains(ms));
    inside.map(Value::Time).ok_or_else(|| {
        FormatError(format!(
            "Time values must use number of milliseconds greater than 0 and less than {DAY_MS}. Got: {ms}"
        ))
    })
}

/// `decimal` with the scale of `target`.
///
/// # Errors
/// Digits that would be lost.
pub(super) fn exact_decimal(decimal: &BigDecimal, target: DecimalType) -> Result<Value, FormatError> {
    let normal = decimal.normalized();
    if normal.fractional_digit_count() > i64::from(target.scale) {
        return Err(FormatError(format!(
            "Cannot fit decimal '{decimal}' into DECIMAL({}, {}) without rounding.",
            target.precision, target.scale
        )));
    }
    let truncated = || {
        FormatError(format!(
            "Cannot fit decimal '{decimal}' into DECIMAL({}, {}) as it would truncate left digits.",
            target.precision, target.scale
        ))
    };
    if digits_before_point(decimal) > i64::from(target.precision) {
        return Err(truncated());
    }
    let scaled = decimal.with_scale(i64::from(target.scale));
    if scaled.digits() > u64::from(target.precision) {
        return Err(truncated());
    }
    Ok(Value::decimal(scaled))
}

fn kind(json: &Json<'_>) -> &'static str {
    match json {
        Json::Null => "NullNode",
        Json::Bool(_) => "BooleanNode",
        Json::Number(_) => "NumericNode",
        Json::String(_) => "TextNode",
        Json::Array(_) => "ArrayNode",
        Json::Object(_) => "ObjectNode",
    }
}

/// The text of a number or string.
fn spelling<'a>(json: &'a Json<'_>) -> Option<&'a str> {
    match json {
        Json::Number(text) => Some(text),
        Json::String(text) => Some(text.trim()),
        _ => None,
    }
}

/// A whole number: fractions are cut off from numbers, not from strings.
fn integer(json: &Json<'_>) -> Option<i64> {
    match json {
        Json::Number(text) => text.parse().ok().or_else(|| text.parse::<f64>().ok().map(|number| number as i64)),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// What a string column makes of anything: objects as JSON, the elements of arrays one by one.
fn any_text(json: &Json<'_>) -> String {
    match json {
        Json::String(text) => text.to_string(),
        Json::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(any_text).collect();
            format!("[{}]", elements.join(", "))
        }
        other => other.text(),
    }
}

/// Appends the JSON text of a value.
pub fn write(value: &Value, field_type: &SqlType, output: &mut String) {
    match (value, field_type) {
        (Value::Null, _) => output.push_str("null"),
        (Value::Boolean(truth), _) => output.push_str(if *truth { "true" } else { "false" }),
        (Value::Int(number) | Value::Date(number) | Value::Time(number), _) => write_whole(i64::from(*number), output),
        (Value::Bigint(number) | Value::Timestamp(number), _) => write_whole(*number, output),
        (Value::Double(number), _) if number.is_finite() => milena_schema::document::write_double(*number, output),
        (Value::Double(number), _) => write_string(&milena_schema::document::double_text(*number), output),
        (Value::Decimal(number), _) => output.push_str(&decimal_text(number)),
        (Value::String(text), _) => write_string(text, output),
        (Value::Bytes(bytes), _) => write_string(&STANDARD.encode(bytes), output),
        (Value::Array(elements), SqlType::Array(element_type)) => {
            output.push('[');
            for (position, element) in elements.iter().enumerate() {
                if position > 0 {
                    output.push(',');
                }
                write(element, element_type, output);
            }
            output.push(']');
        }
        (Value::Map(entries), SqlType::Map(key_type, value_type)) => {
            output.push('{');
            for (position, (key, value)) in entries.iter().enumerate() {
                if position > 0 {
                    output.push(',');
                }
                write_string(&key.text(key_type), output);
                output.push(':');
                write(value, value_type, output);
            }
            output.push('}');
        }
        (Value::Struct(fields), SqlType::Struct(structure)) => {
            let names = structure.fields.iter().map(|field| (&*field.name, &field.field_type));
            write_members(fields.iter(), names, output);
        }
        (Value::Array(_) | Value::Map(_) | Value::Struct(_), _) => output.push_str("null"),
    }
}

fn write_whole(number: i64, output: &mut String) {
    // Writing to a string cannot fail.
    let _ = write!(output, "{number}");
}

fn write_members<'a>(
    values: impl Iterator<Item = &'a Value>,
    fields: impl Iterator<Item = (&'a str, &'a SqlType)>,
    output: &mut String,
) {
    output.push('{');
    for (position, (value, (name, field_type))) in values.zip(fields).enumerate() {
        if position > 0 {
            output.push(',');
        }
        write_string(name, output);
        output.push(':');
        write(value, field_type, output);
    }
    output.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_not_rounded_in_any_format() {
        let number = || BigDecimal::from_str("1.255").unwrap();
        let wanted = SqlType::decimal(4, 2).unwrap();
        assert!(read(&Json::read("1.255").unwrap(), &wanted).is_err());
        assert!(super::super::avro::scalar(Value::decimal(number()), &wanted).is_err());
        let fitting = super::super::avro::scalar(Value::decimal(number()), &SqlType::decimal(5, 4).unwrap()).unwrap();
        assert_eq!(fitting.text(&wanted), "1.2550");
    }

    #[test]
    fn times_stay_within_a_day() {
        let time = |text: &str| read(&Json::read(text).unwrap(), &SqlType::Time);
        assert_eq!(time("0"), Ok(Value::Time(0)));
        assert_eq!(time("86400000"), Ok(Value::Time(86_400_000)));
        assert!(time("-1").is_err() && time("86400001").is_err());
    }
}
