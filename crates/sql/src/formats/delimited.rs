//! `DELIMITED`: columns as text between delimiters, quoted only where that is needed.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Field, FormatError, RowCodec};
use crate::functions::bytes::JAVA;
use crate::types::SqlType;
use crate::value::{Value, decimal_text, parse_double};

/// The codec.
pub struct DelimitedCodec {
    fields: Vec<Field>,
    delimiter: char,
}

impl DelimitedCodec {
    /// For `fields` between `delimiter`.
    pub fn new(fields: Vec<Field>, delimiter: char) -> Self {
        DelimitedCodec { fields, delimiter }
    }
}

impl RowCodec for DelimitedCodec {
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        if self.fields.is_empty() {
            return Ok(None);
        }
        let mut output = String::new();
        for (position, value) in row.iter().enumerate() {
            if position > 0 {
                output.push(self.delimiter);
            }
            if let Some(text) = text(value)? {
                write_quoted(&text, self.delimiter, position == 0, &mut output);
            }
        }
        Ok(Some(output.into_bytes()))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        if self.fields.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let text = String::from_utf8_lossy(bytes);
        // Empty lines are no records; what follows the first record is not looked at.
        let line = text.trim_start_matches(['\r', '\n']);
        if line.is_empty() {
            return Err(FormatError::new("No fields in record"));
        }
        let columns = split(line, self.delimiter)?;
        if columns.len() != self.fields.len() {
            return Err(FormatError(format!(
                "Column count mismatch on deserialization. expected: {}, got: {}",
                self.fields.len(),
                columns.len()
            )));
        }
        let values = columns.iter().zip(&self.fields);
        values.map(|(column, field)| parse(column, &field.field_type)).collect::<Result<_, _>>().map(Some)
    }
}

/// The text of a value; `None` for null.
fn text(value: &Value) -> Result<Option<String>, FormatError> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Boolean(truth) => truth.to_string(),
        Value::Int(number) | Value::Date(number) | Value::Time(number) => number.to_string(),
        Value::Bigint(number) | Value::Timestamp(number) => number.to_string(),
        Value::Double(number) => milena_schema::document::double_text(*number),
        Value::Decimal(number) => decimal_text(number),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        Value::Array(_) | Value::Map(_) | Value::Struct(_) => {
            return Err(FormatError::new("The 'DELIMITED' format holds no nested values"));
        }
    }))
}

/// Appends `text`, in quotes when a reader would take it apart: it holds a delimiter, a quote or a line break, starts a
/// line with anything but a letter or digit, starts with a character up to `#`, or ends with white space.
fn write_quoted(text: &str, delimiter: char, first: bool, output: &mut String) {
    let starts_oddly = match text.chars().next() {
        None => first,
        Some(start) => (first && !start.is_ascii_alphanumeric()) || start <= '#',
    };
    let holds = |c: char| matches!(c, '\n' | '\r' | '"') || c == delimiter;
    if !starts_oddly && !text.contains(holds) && !text.ends_with(|c: char| c <= ' ') {
        output.push_str(text);
        return;
    }
    output.push('"');
    output.push_str(&text.replace('"', "\"\""));
    output.push('"');
}

/// Splits a line into columns without their quotes.
fn split(line: &str, delimiter: char) -> Result<Vec<String>, FormatError> {
    let mut columns = vec![String::new()];
    let mut characters = line.chars().peekable();
    let mut at_start = true;
    while let Some(character) = characters.next() {
        let Some(column) = columns.last_mut() else { break };
        if character == '"' && at_start {
            loop {
                match characters.next() {
                    None => return Err(FormatError::new("a quoted column has no end")),
                    Some('"') if characters.peek() == Some(&'"') => {
                        characters.next();
                        column.push('"');
                    }
                    Some('"') => break,
                    Some(other) => column.push(other),
                }
            }
            at_start = false;
            // White space may follow the quotes, nothing else.
            while characters.next_if(|c| c.is_whitespace() && *c != delimiter && !matches!(c, '\r' | '\n')).is_some() {}
            if characters.peek().is_some_and(|c| *c != delimiter && !matches!(c, '\r' | '\n')) {
                return Err(FormatError::new("invalid char between encapsulated token and delimiter"));
            }
        } else if character == delimiter {
            columns.push(String::new());
            at_start = true;
        } else if matches!(character, '\r' | '\n') {
            break;
        } else {
            column.push(character);
            at_start = false;
        }
    }
    Ok(columns)
}

fn parse(text: &str, field_type: &SqlType) -> Result<Value, FormatError> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    Ok(match field_type {
        SqlType::Boolean => Value::Boolean(text.eq_ignore_ascii_case("true")),
        SqlType::Integer => Value::Int(number(text)?),
        SqlType::Bigint => Value::Bigint(number(text)?),
        SqlType::Double => Value::Double(parse_double(text).ok_or_else(|| no_number(text))?),
        SqlType::Decimal(decimal) => super::json::exact_decimal(&super::json::parsed_decimal(text)?, *decimal)?,
        SqlType::String => Value::string(text),
        SqlType::Bytes => {
            let invalid = |_| FormatError(format!("Value is not a valid Base64 encoded string: {text}"));
            Value::bytes(JAVA.decode(text).map_err(invalid)?)
        }
        SqlType::Date => Value::Date(number(text)?),
        SqlType::Time => super::json::time_of_day(number(text)?)?,
        SqlType::Timestamp => Value::Timestamp(number(text)?),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => {
            let name = field_type.base_name();
            return Err(FormatError(format!("The 'DELIMITED' format does not support type '{name}'")));
        }
    })
}

fn number<N: FromStr>(text: &str) -> Result<N, FormatError> {
    text.parse().map_err(|_| no_number(text))
}

fn no_number(text: &str) -> FormatError {
    FormatError(format!("For input string: \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(types: &[SqlType]) -> DelimitedCodec {
        let field = |(position, field_type): (usize, &SqlType)| Field {
            name: format!("C{position}").as_str().into(),
            field_type: field_type.clone(),
        };
        DelimitedCodec::new(types.iter().enumerate().map(field).collect(), ',')
    }

    #[test]
    fn columns_are_quoted_only_where_it_is_needed() {
        let codec = codec(&[SqlType::Integer, SqlType::String, SqlType::String]);
        let row = [Value::Int(-1), Value::from("a,\"b\""), Value::Null];
        let bytes = codec.encode(&row).unwrap().unwrap();
        assert_eq!(String::from_utf8(bytes.clone()).unwrap(), "\"-1\",\"a,\"\"b\"\"\",");
        assert_eq!(codec.decode(&bytes).unwrap().unwrap(), row);
    }

    #[test]
    fn a_wrong_number_of_columns_is_refused() {
        let codec = codec(&[SqlType::Integer, SqlType::String]);
        assert!(codec.decode(b"1").unwrap_err().0.contains("expected: 2, got: 1"));
        assert!(codec.decode(b"").is_err());
        assert!(codec.decode(b"x,a").is_err());
    }
}
