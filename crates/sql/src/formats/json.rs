//! `JSON`: an object with a member per column, or the single column alone.
//!
//! Members are found by the name of the column, or when that is theirs in upper case. What is missing is null; numbers in
//! strings are numbers; a string column takes whatever is there.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use indexmap::IndexMap;

use super::json_row::RowReader;
use super::json_text::{Json, write_string};
use super::{Field, FormatError, RowCodec};
use crate::types::{DecimalType, SqlType};
use crate::value::{MapValue, Value, brief_text, decimal_text, digits_before_point, overflow_text, parse_double};

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

/// Longest text that is read as a decimal, which takes time with the square of it.
const DECIMAL_LENGTH_MAX: usize = 10_000;

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
        match (Json::read_first(text).map_err(|error| FormatError(error.message))?, self.fields.as_slice()) {
            (Some(json), fields) => read_row(&json, fields, self.unwrapped),
            // Nothing at all is the empty text, and nothing else.
            (None, [field]) if self.unwrapped => match &field.field_type {
                SqlType::String => Ok(Some(vec![Value::from("")])),
                other => Err(placed(unlike("MissingNode", &required(other)), "$")),
            },
            (None, fields) => Err(placed(unlike("MissingNode", &required_row(fields)), "$")),
        }
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
    if unwrapped && let [field] = fields {
        return Ok(Some(vec![read(json, &field.field_type).map_err(|error| placed(error, "$"))?]));
    }
    let Json::Object(members) = json else {
        return Err(placed(refused(json, &required_row(fields)), "$"));
    };
    let column =
        |field: &Field| read_member(members, &field.name, &field.field_type).map_err(|error| placed(error, "$"));
    fields.iter().map(column).collect::<Result<_, _>>().map(Some)
}

/// The member of a column or field; null without one.
fn read_member(members: &[(Cow<'_, str>, Json<'_>)], name: &str, field_type: &SqlType) -> Result<Value, FormatError> {
    let Some(value) = member(members, name) else { return Ok(Value::Null) };
    read(value, field_type).map_err(|error| placed(error, &format!(".{name}")))
}

/// The last member called `name` exactly, else the last that is called so in upper case.
fn member<'a, 'j>(members: &'a [(Cow<'j, str>, Json<'j>)], name: &str) -> Option<&'a Json<'j>> {
    let exact = members.iter().rfind(|(member, _)| member == name);
    let found = exact.or_else(|| members.iter().rfind(|(member, _)| is_called(member, name)));
    found.map(|(_, value)| value)
}

/// Whether a member is called as a column, or would be in upper case.
pub(super) fn is_called(member: &str, column: &str) -> bool {
    if !member.is_ascii() {
        return member == column || member.to_uppercase() == column;
    }
    member == column
        || member.len() == column.len()
            && member.bytes().zip(column.bytes()).all(|(one, other)| one.to_ascii_uppercase() == other)
}

/// The error with the place it is at behind it.
fn placed(FormatError(message): FormatError, part: &str) -> FormatError {
    const PATH: &str = ", path: ";
    match message.rsplit_once(PATH) {
        Some((reason, path)) => FormatError(format!("{reason}{PATH}{part}{path}")),
        None => FormatError(format!("{message}{PATH}{part}")),
    }
}

fn refused(json: &Json<'_>, wanted: &str) -> FormatError {
    unlike(kind(json), wanted)
}

fn unlike(kind: &str, wanted: &str) -> FormatError {
    FormatError(format!("Can't convert type. sourceType: {kind}, requiredType: {wanted}"))
}

/// A row as messages about JSON name it.
fn required_row(fields: &[Field]) -> String {
    format!("STRUCT<{}>", column_list(fields))
}

/// Columns as messages about schemas name them.
pub(super) fn column_list(fields: &[Field]) -> String {
    let fields = fields.iter().map(|field| format!("{} {}", field.name, part(&field.field_type)));
    fields.collect::<Vec<_>>().join(", ")
}

/// A type as messages about JSON name it.
fn required(field_type: &SqlType) -> String {
    match field_type {
        SqlType::Array(element) => format!("ARRAY<{}>", part(element)),
        SqlType::Map(key, value) => format!("MAP<{}, {}>", part(key), part(value)),
        SqlType::Struct(structure) => {
            let fields = structure.fields.iter().map(|field| format!("{} {}", field.name, part(&field.field_type)));
            format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// The same within another type.
fn part(field_type: &SqlType) -> String {
    match field_type {
        SqlType::Integer | SqlType::Date | SqlType::Time => "INT".to_owned(),
        SqlType::Timestamp => "BIGINT".to_owned(),
        SqlType::String => "VARCHAR".to_owned(),
        other => required(other),
    }
}

/// The value of `json` as a column of `field_type` takes it.
///
/// # Errors
/// What cannot be one.
pub fn read(json: &Json<'_>, field_type: &SqlType) -> Result<Value, FormatError> {
    if json.is_null() {
        return Ok(Value::Null);
    }
    let refused = || refused(json, &required(field_type));
    let whole = || match json {
        Json::Number(text) => Ok(whole_number(text)),
        Json::String(text) => text.parse::<i64>().map_err(|_| uncoerced(field_type)),
        _ => Err(refused()),
    };
    Ok(match field_type {
        SqlType::Boolean => match json {
            Json::Bool(truth) => Value::Boolean(*truth),
            _ => return Err(refused()),
        },
        SqlType::Integer => match json {
            Json::String(text) => Value::Int(text.parse().map_err(|_| uncoerced(field_type))?),
            _ => Value::Int(whole()? as i32),
        },
        SqlType::Bigint => Value::Bigint(whole()?),
        SqlType::Double => match json {
            Json::Number(text) => Value::Double(text.parse().map_err(|_| refused())?),
            Json::String(text) => Value::Double(parse_double(text).ok_or_else(|| uncoerced(field_type))?),
            _ => return Err(refused()),
        },
        SqlType::Decimal(decimal) => match json {
            Json::Number(text) | Json::String(text) => exact_decimal(&parsed_decimal(text)?, *decimal)?,
            _ => return Err(refused()),
        },
        SqlType::String => match json {
            Json::String(text) => Value::string(text),
            Json::Number(text) => Value::string(number_text(text)),
            other => Value::from(any_text(other)),
        },
        SqlType::Bytes => match json {
            Json::String(text) => {
                let invalid = |_| FormatError(format!("Value is not a valid Base64 encoded string: {text}"));
                Value::bytes(STANDARD.decode(text.as_bytes()).map_err(invalid)?)
            }
            _ => return Err(refused()),
        },
        SqlType::Date => Value::Date(whole()? as i32),
        SqlType::Time => time_of_day(whole()?)?,
        SqlType::Timestamp => Value::Timestamp(whole()?),
        SqlType::Array(element_type) => match json {
            Json::Array(elements) => {
                let element = |(index, element)| {
                    read(element, element_type).map_err(|error| placed(error, &format!("[{index}]")))
                };
                Value::array(elements.iter().enumerate().map(element).collect::<Result<_, _>>()?)
            }
            _ => return Err(refused()),
        },
        SqlType::Map(key_type, value_type) => match json {
            Json::Object(members) => {
                let mut entries = MapValue::new();
                for (name, value) in members {
                    let key = read(&Json::String(Cow::Borrowed(name)), key_type)?;
                    let value = read(value, value_type).map_err(|error| placed(error, &format!(".{name}.value")))?;
                    entries.insert(key, value);
                }
                Value::map(entries)
            }
            _ => return Err(refused()),
        },
        SqlType::Struct(structure) => match json {
            Json::Object(members) => {
                let fields = structure.fields.iter().map(|field| read_member(members, &field.name, &field.field_type));
                Value::structure(fields.collect::<Result<_, _>>()?)
            }
            _ => return Err(refused()),
        },
    })
}

fn uncoerced(field_type: &SqlType) -> FormatError {
    FormatError(format!("Can't coerce string to type. targetType: {}", field_type.base_name()))
}

/// The time that is so many milliseconds after midnight.
///
/// # Errors
/// More than a day, or less than nothing.
pub(super) fn time_of_day(ms: i64) -> Result<Value, FormatError> {
    let inside = i32::try_from(ms).ok().filter(|ms| (0..=DAY_MS).contains(ms));
    inside.map(Value::Time).ok_or_else(|| {
        FormatError(format!("Time values must use number of milliseconds greater than 0 and less than {DAY_MS}."))
    })
}

/// `decimal` with the scale of `target`.
///
/// # Errors
/// Digits that would be lost.
pub(super) fn exact_decimal(decimal: &BigDecimal, target: DecimalType) -> Result<Value, FormatError> {
    let (precision, scale) = (target.precision, target.scale);
    if digits_before_point(decimal) > i64::from(target.whole_digits()) {
        return Err(FormatError(overflow_text(decimal, target)));
    }
    if decimal.normalized().fractional_digit_count() > i64::from(scale) {
        return Err(FormatError(format!(
            "Cannot fit decimal '{}' into DECIMAL({precision}, {scale}) without rounding. (Requires {},{})",
            brief_text(decimal),
            decimal.digits(),
            decimal.fractional_digit_count()
        )));
    }
    Ok(Value::decimal(decimal.with_scale(i64::from(scale))))
}

fn kind(json: &Json<'_>) -> &'static str {
    match json {
        Json::Null => "NullNode",
        Json::Bool(_) => "BooleanNode",
        Json::Number(text) if text.contains(['.', 'e', 'E']) => "DecimalNode",
        Json::Number(text) if text.parse::<i32>().is_ok() => "IntNode",
        Json::Number(text) if text.parse::<i64>().is_ok() => "LongNode",
        Json::Number(_) => "BigIntegerNode",
        Json::String(_) => "TextNode",
        Json::Array(_) => "ArrayNode",
        Json::Object(_) => "ObjectNode",
    }
}

/// A decimal as Java spells it.
///
/// # Errors
/// Text that is none.
pub(super) fn parsed_decimal(text: &str) -> Result<BigDecimal, FormatError> {
    if text.len() > DECIMAL_LENGTH_MAX {
        let length = text.len();
        return Err(FormatError(format!(
            "a decimal has {length} characters, but {DECIMAL_LENGTH_MAX} at most are read"
        )));
    }
    if let Some(other) = text.chars().find(|c| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')) {
        return Err(FormatError(format!(
            "Character {other} is neither a decimal digit number, decimal point, nor \"e\" notation exponential mark."
        )));
    }
    BigDecimal::from_str(text).map_err(FormatError::new)
}

/// A number without its fraction; of one that is too big, the lowest 64 bits.
pub(super) fn whole_number(text: &str) -> i64 {
    const BITS: i64 = 64;
    let whole = text.split('.').next().unwrap_or(text);
    if let (false, Ok(number)) = (text.contains(['e', 'E']), whole.parse()) {
        return number;
    }
    let Ok(number) = BigDecimal::from_str(text) else { return 0 };
    // A power of ten has as many zero bits at its end as it has zeros.
    if number.fractional_digit_count() <= -BITS || digits_before_point(&number) <= 0 {
        return 0;
    }
    let (whole, _) = number.with_scale(0).into_bigint_and_exponent();
    let lowest = whole.magnitude().iter_u64_digits().next().unwrap_or_default().cast_signed();
    if whole.sign() == num_bigint::Sign::Minus { lowest.wrapping_neg() } else { lowest }
}

/// A number as text: as it is spelled, but with a power of ten where Java's decimals have one.
pub(crate) fn number_text(text: &str) -> Cow<'_, str> {
    const PLAIN_EXPONENT_MIN: i128 = -6;
    // A decimal zero has no sign.
    let is_zero = !text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let text = if is_zero { text.trim_start_matches('-') } else { text };
    let is_small = || text.trim_start_matches('-').starts_with("0.00000");
    if !text.contains(['e', 'E']) && !is_small() {
        return text.into();
    }
    let Ok(number) = BigDecimal::from_str(text) else { return text.into() };
    let (digits, scale) = number.as_bigint_and_exponent();
    let sign = if digits.sign() == num_bigint::Sign::Minus { "-" } else { "" };
    let digits = digits.magnitude().to_string();
    let exponent = digits.len() as i128 - 1 - i128::from(scale);
    if scale >= 0 && exponent >= PLAIN_EXPONENT_MIN {
        return number.to_plain_string().into();
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{exponent:+}").into()
}

/// What a string column makes of anything: objects as JSON, the elements of arrays one by one.
fn any_text(json: &Json<'_>) -> String {
    match json {
        Json::String(text) => text.to_string(),
        Json::Number(text) => number_text(text).into_owned(),
        Json::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(any_text).collect();
            format!("[{}]", elements.join(", "))
        }
        other => {
            let mut text = String::new();
            write_again(other, &mut text);
            text
        }
    }
}

/// Appends JSON as it is written after it was read: numbers as decimals are spelled, each member once.
fn write_again(json: &Json<'_>, output: &mut String) {
    match json {
        Json::Number(text) => output.push_str(&number_text(text)),
        Json::Array(elements) => {
            output.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    output.push(',');
                }
                write_again(element, output);
            }
            output.push(']');
        }
        Json::Object(members) => {
            let members: IndexMap<_, _> = members.iter().map(|(name, json)| (name, json)).collect();
            output.push('{');
            for (index, (name, json)) in members.into_iter().enumerate() {
                if index > 0 {
                    output.push(',');
                }
                write_string(name, output);
                output.push(':');
                write_again(json, output);
            }
            output.push('}');
        }
        other => other.write(output),
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
    fn exponents_of_numbers_as_text_have_no_bounds() {
        assert_eq!(number_text("1e9223372036854775808"), "1E+9223372036854775808");
        assert_eq!(number_text("25e-9"), "2.5E-8");
    }

    #[test]
    fn whole_numbers_keep_their_lowest_bits() {
        for (text, whole) in [
            ("1.9", 1),
            ("-1.9e0", -1),
            ("15e-1", 1),
            ("12e2", 1200),
            ("9223372036854775808", i64::MIN),
            ("-18446744073709551617", -1),
            ("1234567890123456789e0", 1_234_567_890_123_456_789),
            ("1e64", 0),
            ("1e999999999", 0),
            ("1e-999999999", 0),
            ("1e63", i64::MIN),
        ] {
            assert_eq!(whole_number(text), whole, "{text}");
        }
    }

    #[test]
    fn objects_as_text_are_written_anew() {
        let json = Json::read(r#"{"a": 1e2, "b": [1.0, -0, {"c": null}], "a": "x"}"#).unwrap();
        assert_eq!(any_text(&json), r#"{"a":"x","b":[1.0,0,{"c":null}]}"#);
        assert_eq!(any_text(&Json::read("[1e2, -0.0, {}]").unwrap()), "[1E+2, 0.0, {}]");
    }

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
