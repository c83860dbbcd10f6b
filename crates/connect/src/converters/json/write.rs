//! Values as JSON text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Options;
use crate::data::logical::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::data::number::{decimal_text, decimal_to_bytes, double_text, float_text};
use crate::data::{DataError, Kind, SchemaRef, Value, same_schema};

/// Appends a value.
///
/// # Errors
/// A value that is not of its schema.
pub(super) fn value(
    schema: Option<&SchemaRef>,
    value: &Value,
    options: Options,
    output: &mut String,
) -> Result<(), DataError> {
    match (schema, value) {
        (None, Value::Null) => output.push_str("null"),
        (Some(schema), Value::Null) => match &schema.default {
            Some(default) if options.replace_null_with_default => {
                return self::value(Some(schema), default, options, output);
            }
            _ if schema.optional => output.push_str("null"),
            _ => {
                let text = "Conversion error: null value for field that is required and has no default value";
                return Err(DataError::new(text));
            }
        },
        (Some(schema), value) if logical(schema, value, options, output)? => {}
        (None, Value::Decimal(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_)) => {
            let class = value.java_class();
            let text = format!("Java class class {class} does not have corresponding schema type.");
            return Err(DataError::new(text));
        }
        (schema, value) => return physical(schema, value, options, output),
    }
    Ok(())
}

/// Appends a value of a logical type; false when the schema has no name of one.
fn logical(schema: &SchemaRef, value: &Value, options: Options, output: &mut String) -> Result<bool, DataError> {
    let (name, class) = match schema.name.as_deref() {
        Some(DECIMAL) => ("Decimal", "BigDecimal"),
        Some(DATE) => ("Date", "Date"),
        Some(TIME) => ("Time", "Date"),
        Some(TIMESTAMP) => ("Timestamp", "Date"),
        _ => return Ok(false),
    };
    match (name, value) {
        ("Decimal", Value::Decimal(decimal)) if options.numeric_decimals => output.push_str(&decimal_text(decimal)),
        ("Decimal", Value::Decimal(decimal)) => base64(&decimal_to_bytes(schema, decimal)?, output),
        ("Date", Value::Date(number)) | ("Time", Value::Time(number)) => integer(i64::from(*number), output),
        ("Timestamp", Value::Timestamp(number)) => integer(*number, output),
        (_, value) => {
            let found = value.java_class();
            return Err(DataError::new(format!("Invalid type for {name}, expected {class} but was class {found}")));
        }
    }
    Ok(true)
}

fn physical(schema: Option<&SchemaRef>, value: &Value, options: Options, output: &mut String) -> Result<(), DataError> {
    match (schema.map(|schema| &schema.kind), value) {
        (None | Some(Kind::Int8), Value::Int8(number)) => integer(i64::from(*number), output),
        (None | Some(Kind::Int16), Value::Int16(number)) => integer(i64::from(*number), output),
        (None | Some(Kind::Int32), Value::Int32(number)) => integer(i64::from(*number), output),
        (None | Some(Kind::Int64), Value::Int64(number)) => integer(*number, output),
        (None | Some(Kind::Float32), Value::Float32(number)) => float(number.is_finite(), &float_text(*number), output),
        (None | Some(Kind::Float64), Value::Float64(number)) => {
            float(number.is_finite(), &double_text(*number), output);
        }
        (None | Some(Kind::Boolean), Value::Boolean(value)) => output.push_str(if *value { "true" } else { "false" }),
        (None | Some(Kind::String), Value::String(text)) => quoted(text, output),
        (None | Some(Kind::Bytes), Value::Bytes(bytes)) => base64(bytes, output),
        (None | Some(Kind::Array(_)), Value::Array(elements)) => {
            let of_elements = schema.and_then(|schema| schema.value_schema());
            output.push('[');
            for (index, element) in elements.iter().enumerate() {
                comma(index, output);
                self::value(of_elements, element, options, output)?;
            }
            output.push(']');
        }
        (None, Value::Map(entries)) => {
            let as_object = entries.iter().all(|(key, _)| matches!(key, Value::String(_)));
            map(None, None, as_object, entries, options, output)?;
        }
        (Some(Kind::Map(keys, values)), Value::Map(entries)) => {
            map(Some(keys), Some(values), keys.kind == Kind::String, entries, options, output)?;
        }
        (None | Some(Kind::Struct(_)), Value::Struct(fields)) => {
            if schema.is_some_and(|schema| !same_schema(schema, fields.schema())) {
                return Err(DataError::new("Mismatching schema."));
            }
            output.push('{');
            let pairs = fields.schema().fields().iter().zip(fields.values());
            for (index, (field, value)) in pairs.enumerate() {
                comma(index, output);
                quoted(&field.name, output);
                output.push(':');
                self::value(Some(&field.schema), value, options, output)?;
            }
            output.push('}');
        }
        (_, value) => {
            let (kind, class) = (schema.map_or("unknown schema", |schema| schema.type_name()), value.java_class());
            return Err(DataError::new(format!("Invalid type for {kind}: class {class}")));
        }
    }
    Ok(())
}

/// An object when all keys are text, else an array of pairs.
fn map(
    keys: Option<&SchemaRef>,
    values: Option<&SchemaRef>,
    as_object: bool,
    entries: &[(Value, Value)],
    options: Options,
    output: &mut String,
) -> Result<(), DataError> {
    output.push(if as_object { '{' } else { '[' });
    for (index, (key, entry)) in entries.iter().enumerate() {
        comma(index, output);
        match (as_object, key) {
            (true, Value::String(key)) => quoted(key, output),
            (true, Value::Null) => output.push_str("\"null\""),
            (true, key) => {
                return Err(DataError::new(format!("Invalid type for STRING: class {}", key.java_class())));
            }
            (false, key) => {
                output.push('[');
                value(keys, key, options, output)?;
            }
        }
        output.push(if as_object { ':' } else { ',' });
        value(values, entry, options, output)?;
        if !as_object {
            output.push(']');
        }
    }
    output.push(if as_object { '}' } else { ']' });
    Ok(())
}

/// Appends text with the escapes that Jackson writes into bytes: those of JSON, and pairs of `\u` for what is beyond
/// 16 bits.
pub(super) fn quoted(text: &str, output: &mut String) {
    output.push('"');
    // Without a way out of the loop this looks at many bytes at once; most texts need nothing.
    if !text.bytes().fold(false, |any, byte| any | is_escaped(byte)) {
        output.push_str(text);
        output.push('"');
        return;
    }
    let mut clean = 0;
    for (index, byte) in text.bytes().enumerate() {
        if !is_escaped(byte) {
            continue;
        }
        let Some(character) = text[index..].chars().next() else { continue };
        output.push_str(&text[clean..index]);
        clean = index + character.len_utf8();
        match character {
            '"' => output.push_str("\\\""),
            '\\' => output.push_str("\\\\"),
            '\u{8}' => output.push_str("\\b"),
            '\u{c}' => output.push_str("\\f"),
            '\n' => output.push_str("\\n"),
            '\r' => output.push_str("\\r"),
            '\t' => output.push_str("\\t"),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(output, "\\u{unit:04X}");
                }
            }
        }
    }
    output.push_str(&text[clean..]);
    output.push('"');
}

/// Whether a character that begins with this byte is written in another way.
fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\' || byte >= 0xF0
}

fn comma(index: usize, output: &mut String) {
    if index > 0 {
        output.push(',');
    }
}

fn integer(number: i64, output: &mut String) {
    // The most digits that there are.
    let mut digits = [0; 20];
    let mut first = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        output.push('-');
    }
    output.push_str(std::str::from_utf8(&digits[first..]).unwrap_or_default());
}

/// What is no number in JSON is text, as Jackson writes it.
fn float(is_finite: bool, text: &str, output: &mut String) {
    let quote = if is_finite { "" } else { "\"" };
    output.push_str(quote);
    output.push_str(text);
    output.push_str(quote);
}

fn base64(bytes: &[u8], output: &mut String) {
    output.push('"');
    STANDARD.encode_string(bytes, output);
    output.push('"');
}
