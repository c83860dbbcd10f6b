//! Parameters of statements: in the binary format where the type is exactly the one that is wanted, otherwise as text
//! that the server reads.

use std::error::Error;
use std::fmt::Write;

use bytes::BytesMut;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use crate::connectors::jdbc::database::SqlValue;

impl ToSql for SqlValue {
    fn to_sql(&self, wanted: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if self.is_null() {
            return Ok(IsNull::Yes);
        }
        if !write_binary(self, wanted, out)? {
            write_text(self, wanted, out)?;
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, wanted: &Type) -> Format {
        if is_binary(self, wanted) { Format::Binary } else { Format::Text }
    }

    to_sql_checked!();
}

fn is_binary(value: &SqlValue, wanted: &Type) -> bool {
    match value {
        SqlValue::Bool(_) => *wanted == Type::BOOL,
        SqlValue::Int(_) | SqlValue::UInt(_) => matches!(*wanted, Type::INT2 | Type::INT4 | Type::INT8),
        SqlValue::Float(_) | SqlValue::Double(_) => matches!(*wanted, Type::FLOAT4 | Type::FLOAT8),
        SqlValue::Bytes(_) => *wanted == Type::BYTEA,
        _ => false,
    }
}

/// `false`: nothing was written, it must be text.
fn write_binary(value: &SqlValue, wanted: &Type, out: &mut BytesMut) -> Result<bool, Box<dyn Error + Sync + Send>> {
    if !is_binary(value, wanted) {
        return Ok(false);
    }
    match value {
        SqlValue::Bool(value) => out.extend_from_slice(&[u8::from(*value)]),
        SqlValue::Int(value) => write_integer(*value, wanted, out)?,
        SqlValue::UInt(value) => write_integer(i64::try_from(*value)?, wanted, out)?,
        SqlValue::Float(value) if *wanted == Type::FLOAT4 => out.extend_from_slice(&value.to_be_bytes()),
        SqlValue::Float(value) => out.extend_from_slice(&f64::from(*value).to_be_bytes()),
        SqlValue::Double(value) if *wanted == Type::FLOAT8 => out.extend_from_slice(&value.to_be_bytes()),
        #[expect(clippy::cast_possible_truncation, reason = "the column has no more digits")]
        SqlValue::Double(value) => out.extend_from_slice(&(*value as f32).to_be_bytes()),
        SqlValue::Bytes(value) => out.extend_from_slice(value),
        _ => return Ok(false),
    }
    Ok(true)
}

fn write_integer(value: i64, wanted: &Type, out: &mut BytesMut) -> Result<(), Box<dyn Error + Sync + Send>> {
    let out_of_range = |_| format!("{value} is out of the range of {}", wanted.name());
    match *wanted {
        Type::INT2 => out.extend_from_slice(&i16::try_from(value).map_err(out_of_range)?.to_be_bytes()),
        Type::INT4 => out.extend_from_slice(&i32::try_from(value).map_err(out_of_range)?.to_be_bytes()),
        _ => out.extend_from_slice(&value.to_be_bytes()),
    }
    Ok(())
}

fn write_text(value: &SqlValue, wanted: &Type, out: &mut BytesMut) -> Result<(), Box<dyn Error + Sync + Send>> {
    match value {
        SqlValue::Text(text) => out.extend_from_slice(text.as_bytes()),
        SqlValue::Bytes(bytes) => out.extend_from_slice(bytes),
        SqlValue::Bool(value) if is_number(wanted) => out.extend_from_slice(if *value { b"1" } else { b"0" }),
        other => out.extend_from_slice(text(other).as_bytes()),
    }
    Ok(())
}

fn is_number(kind: &Type) -> bool {
    matches!(*kind, Type::INT2 | Type::INT4 | Type::INT8 | Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC)
}

/// A value as PostgreSQL reads it.
pub(super) fn text(value: &SqlValue) -> String {
    match value {
        SqlValue::Null => String::new(),
        SqlValue::Bool(value) => value.to_string(),
        SqlValue::Int(value) => value.to_string(),
        SqlValue::UInt(value) => value.to_string(),
        SqlValue::Float(value) => float(f64::from(*value), value.to_string()),
        SqlValue::Double(value) => float(*value, value.to_string()),
        SqlValue::Decimal(value) => value.to_plain_string(),
        SqlValue::Text(value) => value.clone(),
        SqlValue::Bytes(bytes) => {
            let mut text = String::with_capacity(2 + 2 * bytes.len());
            text.push_str("\\x");
            for byte in bytes {
                // Writing into a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            text
        }
        SqlValue::Date(date) => date.to_string(),
        SqlValue::Time(time) => time.to_string(),
        SqlValue::DateTime(clock) => clock.to_string(),
        SqlValue::Moment { clock, ahead } => {
            let (sign, seconds) = if *ahead < 0 { ('-', -ahead) } else { ('+', *ahead) };
            format!("{clock}{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        SqlValue::Infinity(after) => if *after { "infinity" } else { "-infinity" }.to_owned(),
        SqlValue::Array(values) => array(values),
    }
}

fn float(value: f64, text: String) -> String {
    if value.is_infinite() { if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned() } else { text }
}

fn array(values: &[SqlValue]) -> String {
    let mut out = "{".to_owned();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match value {
            SqlValue::Null => out.push_str("NULL"),
            SqlValue::Array(inner) => out.push_str(&array(inner)),
            value => {
                out.push('"');
                for letter in text(value).chars() {
                    if matches!(letter, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(letter);
                }
                out.push('"');
            }
        }
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_quoted() {
        let value = SqlValue::Array(vec!["a\"b\\".into(), SqlValue::Null, SqlValue::Int(1)]);
        assert_eq!(text(&value), r#"{"a\"b\\",NULL,"1"}"#);
    }

    #[test]
    fn moments_say_their_zone() {
        let clock = "2021-07-31T12:00:00.5".parse().expect("a date");
        assert_eq!(text(&SqlValue::Moment { clock, ahead: 32_400 }), "2021-07-31T12:00:00.5+09:00:00");
        assert_eq!(text(&SqlValue::Moment { clock, ahead: -19_800 }), "2021-07-31T12:00:00.5-05:30:00");
    }
}
