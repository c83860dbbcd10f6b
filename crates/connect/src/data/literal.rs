//! Values as literals in text and back, the type inferred: what `SimpleHeaderConverter` does (Java's `Values`).

mod parse;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use parse::parse;

use super::date_format::{self, MILLIS_PER_DAY};
use super::number::{decimal_text, double_text, float_text};
use super::{Struct, Value};

/// ISO 8601 date.
pub const DATE_PATTERN: &str = "yyyy-MM-dd";
/// ISO 8601 time.
pub const TIME_PATTERN: &str = "HH:mm:ss.SSS'Z'";
/// ISO 8601 date with time.
pub const TIMESTAMP_PATTERN: &str = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'";

/// A value as a literal that [`parse`] reads again; text alone stands without quotes.
pub fn to_text(value: &Value) -> String {
    let mut text = String::new();
    append(value, false, &mut text);
    text
}

/// A date, time or timestamp in the form that its milliseconds suggest: before 2 January 1970 a time, at midnight a
/// date.
pub fn temporal_text(millis: i64) -> String {
    let pattern = if millis < MILLIS_PER_DAY {
        TIME_PATTERN
    } else if millis % MILLIS_PER_DAY == 0 {
        DATE_PATTERN
    } else {
        TIMESTAMP_PATTERN
    };
    // The patterns above are valid.
    date_format::format(pattern, millis).unwrap_or_default()
}

fn append(value: &Value, embedded: bool, text: &mut String) {
    match value {
        Value::Float32(float) => text.push_str(&float_text(*float)),
        Value::Float64(double) => text.push_str(&double_text(*double)),
        Value::Decimal(decimal) => text.push_str(&decimal_text(decimal)),
        Value::String(string) if embedded => {
            text.push('"');
            text.push_str(&string.replace('\\', "\\\\").replace('"', "\\\""));
            text.push('"');
        }
        Value::String(string) => text.push_str(string),
        Value::Bytes(bytes) => {
            let quote = if embedded { "\"" } else { "" };
            text.push_str(quote);
            STANDARD.encode_string(bytes, text);
            text.push_str(quote);
        }
        Value::Array(elements) => append_all('[', elements.iter().map(|element| (None, element)), ']', text),
        Value::Map(entries) => {
            append_all('{', entries.iter().map(|(key, value)| (Some(key.clone()), value)), '}', text)
        }
        Value::Struct(value) => append_all('{', members(value), '}', text),
        value => match value.epoch_millis() {
            Some(millis) => text.push_str(&temporal_text(millis)),
            None => text.push_str(&value.to_string()),
        },
    }
}

fn members(value: &Struct) -> impl Iterator<Item = (Option<Value>, &Value)> {
    value.schema().fields().iter().enumerate().map(|(index, field)| {
        let name = Value::String(field.name.to_string());
        (Some(name), value.at_or_default(index))
    })
}

fn append_all<'a>(
    open: char,
    elements: impl Iterator<Item = (Option<Value>, &'a Value)>,
    close: char,
    text: &mut String,
) {
    text.push(open);
    for (index, (key, value)) in elements.enumerate() {
        if index > 0 {
            text.push(',');
        }
        if let Some(key) = key {
            append(&key, true, text);
            text.push(':');
        }
        append(value, true, text);
    }
    text.push(close);
}
