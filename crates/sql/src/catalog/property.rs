//! The values in `WITH (...)`, by the type that a property has.

use crate::ast::{Literal, Properties};
use crate::catalog::StatementError;
use crate::catalog::source::{WindowInfo, WindowShape};
use crate::formats::NullableRepresentation;
use crate::functions::date_format::Pattern;
use crate::parser::parse_column_name;

/// What `WINDOW_TYPE` may be.
pub(super) const WINDOW_TYPES: [&str; 3] = ["SESSION", "HOPPING", "TUMBLING"];

/// A statement that is refused before it is looked at any further.
pub(super) fn refused(message: impl std::fmt::Display) -> StatementError {
    StatementError(format!("Failed to prepare statement: {message}"))
}

fn invalid(value: impl std::fmt::Display, name: &str, why: impl std::fmt::Display) -> StatementError {
    refused(format!("Invalid value {value} for property {name}: {why}"))
}

/// Checks that every property is one that the statement may have.
pub(super) fn check_known(properties: &Properties, is_known: impl Fn(&str) -> bool) -> Result<(), StatementError> {
    let unknown: Vec<String> =
        properties.keys().map(|name| name.to_ascii_uppercase()).filter(|name| !is_known(name)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(refused(format!("Invalid config variable(s) in the WITH clause: {}", unknown.join(","))))
}

/// The windows of a source, of their type and length.
///
/// # Errors
/// Windows that need a length and have none; a length where there is nothing that has one.
pub(super) fn window((shape, size_ms): (Option<String>, Option<i64>)) -> Result<Option<WindowInfo>, StatementError> {
    let shape = shape.as_deref().map(|name| match name {
        "TUMBLING" => WindowShape::Tumbling,
        "HOPPING" => WindowShape::Hopping,
        _ => WindowShape::Session,
    });
    match (shape, size_ms) {
        (Some(WindowShape::Session) | None, Some(_)) => {
            Err(refused("'WINDOW_SIZE' should not be set for SESSION windows."))
        }
        (None, None) => Ok(None),
        (Some(shape @ (WindowShape::Tumbling | WindowShape::Hopping)), None) => Err(refused(format!(
            "{} windows require 'WINDOW_SIZE' to be provided in the WITH clause. For example: 'WINDOW_SIZE'='10 SECONDS'",
            shape.name()
        ))),
        (Some(shape @ (WindowShape::Tumbling | WindowShape::Hopping)), Some(size)) if size <= 0 => {
            Err(StatementError(format!("Size must be positive: {} windows of {size} ms", shape.name())))
        }
        (Some(shape), size_ms) => Ok(Some(WindowInfo { shape, size_ms })),
    }
}

/// Reads properties by name.
pub(super) struct Reader<'a> {
    properties: &'a Properties,
}

impl<'a> Reader<'a> {
    pub(super) fn new(properties: &'a Properties) -> Self {
        Reader { properties }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Literal> {
        self.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// A text, without the blanks around it.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, StatementError> {
        match self.get(name) {
            None => Ok(None),
            Some(Literal::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(other) => {
                let why = format!("Expected value to be a string, but it was a {}", kind(other));
                Err(invalid(other, name, why))
            }
        }
    }

    pub(super) fn topic(&self) -> Result<Option<String>, StatementError> {
        match self.text("KAFKA_TOPIC")? {
            Some(topic) if topic.is_empty() => Err(invalid("", "KAFKA_TOPIC", "String must be non-empty")),
            topic => Ok(topic),
        }
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i32>, StatementError> {
        self.number(name, "INT", "32-bit integer", |literal| match literal {
            Literal::Integer(number) => Some(*number),
            _ => None,
        })
    }

    /// A number of 16 bits; of larger ones the last 16 bits count.
    pub(super) fn small_integer(&self, name: &str) -> Result<Option<i16>, StatementError> {
        self.number(name, "SHORT", "16-bit integer (short)", |literal| match literal {
            Literal::Integer(number) => Some(*number as i16),
            Literal::Bigint(number) => Some(*number as i16),
            _ => None,
        })
    }

    pub(super) fn long(&self, name: &str) -> Result<Option<i64>, StatementError> {
        self.number(name, "LONG", "64-bit integer (long)", |literal| match literal {
            Literal::Integer(number) => Some(i64::from(*number)),
            Literal::Bigint(number) => Some(*number),
            _ => None,
        })
    }

    fn number<N: std::str::FromStr>(
        &self,
        name: &str,
        type_name: &str,
        described: &str,
        read: impl Fn(&Literal) -> Option<N>,
    ) -> Result<Option<N>, StatementError> {
        let Some(literal) = self.get(name) else { return Ok(None) };
        if let Literal::String(text) = literal {
            let parsed = text.trim().parse().map(Some);
            return parsed.map_err(|_| invalid(text, name, format!("Not a number of type {type_name}")));
        }
        let found = kind(literal);
        let wrong = || invalid(literal, name, format!("Expected value to be a {described}, but it was a {found}"));
        read(literal).map(Some).ok_or_else(wrong)
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, StatementError> {
        match self.get(name) {
            None => Ok(None),
            Some(Literal::Boolean(truth)) => Ok(Some(*truth)),
            Some(Literal::String(text)) if text.trim().eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Literal::String(text)) if text.trim().eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(invalid(shown(other), name, "Expected value to be either true or false")),
        }
    }

    /// One of some words, in upper case.
    pub(super) fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<String>, StatementError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let word = text.to_uppercase();
        if words.contains(&word.as_str()) {
            return Ok(Some(word));
        }
        Err(invalid(text, name, format!("String must be one of: {}, null", words.join(", "))))
    }

    /// A column by its name: upper case unless quoted, the name of its source before it or not.
    pub(super) fn column(&self, name: &str) -> Result<Option<String>, StatementError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match parse_column_name(&text) {
            Some(column) => Ok(Some(column.to_string())),
            None => Err(StatementError(format!("Cannot parse text that is not column reference: {text}"))),
        }
    }

    pub(super) fn delimiter(&self, name: &str) -> Result<Option<char>, StatementError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let refuse =
            |why: String| Err(refused(format!("Configuration {name} is invalid: {why}\nExample valid value: ';'")));
        let mut characters = text.chars();
        match (text.as_str(), characters.next(), characters.next()) {
            ("TAB", _, _) => Ok(Some('\t')),
            ("SPACE", _, _) => Ok(Some(' ')),
            (blank, _, _) if blank.trim().is_empty() => refuse(
                "Delimiter cannot be empty, if you meant to have a tab or space for delimiter, please use the special \
                 values 'TAB' or 'SPACE'"
                    .to_owned(),
            ),
            (_, Some(single), None) => Ok(Some(single)),
            _ => {
                refuse(format!("Invalid delimiter value: '{text}'. Delimiter must be a single character or TAB,SPACE"))
            }
        }
    }

    pub(super) fn time_pattern(&self, name: &str) -> Result<Option<String>, StatementError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        Pattern::new(&text)
            .map_err(|error| refused(format!("Invalid datetime format for config:{name}, reason:{error}")))?;
        Ok(Some(text))
    }

    pub(super) fn nullable(&self, name: &str) -> Result<Option<NullableRepresentation>, StatementError> {
        Ok(self.one_of(name, &["OPTIONAL", "WRAPPER"])?.map(|word| match word.as_str() {
            "OPTIONAL" => NullableRepresentation::Optional,
            _ => NullableRepresentation::Wrapper,
        }))
    }

    /// `20 SECONDS` in milliseconds.
    pub(super) fn duration_ms(&self, name: &str) -> Result<Option<i64>, StatementError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        duration_ms(&text)
            .map(Some)
            .map_err(|why| refused(format!("Configuration {name} is invalid: Invalid duration: '{text}'. {why}")))
    }

    /// Checks that nothing is said twice.
    pub(super) fn check_contradictions(&self) -> Result<(), StatementError> {
        for side in ["KEY_FORMAT", "VALUE_FORMAT"] {
            if self.get("FORMAT").is_some() && self.get(side).is_some() {
                return Err(refused(format!(
                    "Cannot supply both '{side}' and 'FORMAT' properties, as 'FORMAT' sets both key and value formats. \
                     Either use just 'FORMAT', or use 'KEY_FORMAT' and 'VALUE_FORMAT'."
                )));
            }
        }
        if self.get("VALUE_AVRO_SCHEMA_FULL_NAME").is_some() && self.get("VALUE_SCHEMA_FULL_NAME").is_some() {
            return Err(refused(
                "Cannot supply both 'VALUE_AVRO_SCHEMA_FULL_NAME' and 'VALUE_SCHEMA_FULL_NAME' properties. Please only \
                 set 'VALUE_SCHEMA_FULL_NAME'.",
            ));
        }
        Ok(())
    }
}

/// A value as messages show it: texts without their quotes.
fn shown(literal: &Literal) -> String {
    match literal {
        Literal::String(text) => text.to_string(),
        other => other.to_string(),
    }
}

/// What clients know the type of a value as.
fn kind(literal: &Literal) -> &'static str {
    match literal {
        Literal::Boolean(_) => "java.lang.Boolean",
        Literal::Integer(_) => "java.lang.Integer",
        Literal::Bigint(_) => "java.lang.Long",
        Literal::Double(_) => "java.lang.Double",
        Literal::Decimal(_) => "java.math.BigDecimal",
        Literal::String(_) => "java.lang.String",
        Literal::Null | Literal::Date(_) | Literal::Time(_) | Literal::Timestamp(_) => "java.lang.Object",
    }
}

const UNITS: [(&str, i64); 7] = [
    ("NANOSECONDS", 1),
    ("MICROSECONDS", 1_000),
    ("MILLISECONDS", 1_000_000),
    ("SECONDS", 1_000_000_000),
    ("MINUTES", 60_000_000_000),
    ("HOURS", 3_600_000_000_000),
    ("DAYS", 86_400_000_000_000),
];

fn duration_ms(text: &str) -> Result<i64, String> {
    let parts: Vec<&str> = text.split(char::is_whitespace).collect();
    let [count, unit] = parts.as_slice() else {
        return Err(format!("Expected 2 tokens, got: {}", parts.len()));
    };
    let number: i64 = count.parse().map_err(|_| format!("Not numeric: '{count}'"))?;
    let unit = unit.to_uppercase();
    let plural = if unit.ends_with('S') { unit.clone() } else { format!("{unit}S") };
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == plural).ok_or_else(|| {
        let names: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
        format!("Unknown time unit: '{unit}'\nSupported time units are: {}", names.join(", "))
    })?;
    let ms = i128::from(number) * i128::from(*nanoseconds) / 1_000_000;
    i64::try_from(ms).map_err(|_| format!("Too long: '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(text: &str) -> Properties {
        let statement = format!("CREATE STREAM s (a INT) WITH ({text});");
        match crate::parser::parse_one(&statement, &|_| None) {
            Ok(crate::ast::Statement::CreateSource(create)) => create.properties,
            other => panic!("{other:?}"),
        }
    }

    fn message(text: &str) -> String {
        crate::catalog::with::With::read(&properties(&format!("kafka_topic='t', {text}"))).expect_err(text).0
    }

    #[test]
    fn lengths_of_windows_are_read_with_any_unit() {
        assert_eq!(duration_ms("10 second"), Ok(10_000));
        assert_eq!(duration_ms("5000 microseconds"), Ok(5));
        assert_eq!(duration_ms("200000 DAYS"), Ok(17_280_000_000_000));
        assert!(duration_ms("9223372036854775807 DAYS").is_err());
        for (text, why) in [
            ("10", "Expected 2 tokens, got: 1"),
            ("ten SECONDS", "Not numeric: 'ten'"),
            (
                "1 weeks",
                "Unknown time unit: 'WEEKS'\nSupported time units are: NANOSECONDS, MICROSECONDS, MILLISECONDS, SECONDS, \
                 MINUTES, HOURS, DAYS",
            ),
        ] {
            assert_eq!(duration_ms(text), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn values_of_another_type_are_told() {
        for (text, expected) in [
            ("partitions='many'", "Invalid value many for property PARTITIONS: Not a number of type INT"),
            (
                "partitions=1.5",
                "Invalid value 1.5 for property PARTITIONS: Expected value to be a 32-bit integer, but it was a \
                 java.math.BigDecimal",
            ),
            ("replicas='x'", "Invalid value x for property REPLICAS: Not a number of type SHORT"),
            (
                "value_format=1",
                "Invalid value 1 for property VALUE_FORMAT: Expected value to be a string, but it was a java.lang.Integer",
            ),
            (
                "wrap_single_value='si'",
                "Invalid value si for property WRAP_SINGLE_VALUE: Expected value to be either true or false",
            ),
            (
                "window_type='tumblin'",
                "Invalid value tumblin for property WINDOW_TYPE: String must be one of: SESSION, HOPPING, TUMBLING, null",
            ),
            ("window_size='1 SECOND'", "'WINDOW_SIZE' should not be set for SESSION windows."),
            (
                "value_delimiter='ab'",
                "Configuration VALUE_DELIMITER is invalid: Invalid delimiter value: 'ab'. Delimiter must be a single \
                 character or TAB,SPACE\nExample valid value: ';'",
            ),
            ("query_id='q', x=1", "Invalid config variable(s) in the WITH clause: QUERY_ID,X"),
        ] {
            assert_eq!(message(text), format!("Failed to prepare statement: {expected}"), "{text}");
        }
        assert_eq!(message("timestamp='a->b'"), "Cannot parse text that is not column reference: a->b");
        assert_eq!(message("value_format='xml'"), "Unknown format: XML");
    }
}
