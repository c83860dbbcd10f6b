//! What queries report of records that they cannot process, for whoever operates them.

use crate::formats::json;
use crate::formats::json_text::write_string;
use crate::types::SqlType;
use crate::value::{Value, date_text, decimal_text};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Where expressions report what became null, and why records were dropped.
pub trait ProcessingLog: Send + Sync {
    /// Reports a message.
    fn record(&self, logger: &str, message: &str);

    /// Reports what failed.
    fn failure(&self, logger: &str, failure: &Failed<'_>) {
        self.record(logger, failure.message);
    }

    /// Reports a record that is skipped since its key or its value cannot be read.
    fn undecodable(&self, record: &Undecodable<'_>) {
        self.record("deserializer", &format!("{}: {}", record.topic, record.message));
    }

    /// Reports a row that no record can be made of.
    fn unencodable(&self, logger: &str, row: &Unencodable<'_>) {
        self.record(logger, &format!("{}: {}", row.topic, row.message));
    }
}

/// A row that something failed with.
pub struct Failed<'a> {
    /// What failed.
    pub message: &'a str,
    /// Why, if anything gave a reason.
    pub cause: Option<&'a str>,
    /// The row as the log shows it: made only where it is wanted.
    pub row: &'a dyn Fn() -> String,
}

/// A record that cannot be read.
#[derive(Debug, Clone, Copy)]
pub struct Undecodable<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// `key` or `value`.
    pub target: &'static str,
    /// What failed.
    pub message: &'a str,
    /// What is wrong with it.
    pub cause: &'a str,
    /// The bytes.
    pub bytes: Option<&'a [u8]>,
}

/// A key or a row that its format cannot hold.
#[derive(Debug, Clone, Copy)]
pub struct Unencodable<'a> {
    /// The topic that it was for.
    pub topic: &'a str,
    /// `key` or `value`.
    pub target: &'static str,
    /// What failed.
    pub message: &'a str,
    /// What is wrong with it.
    pub cause: &'a str,
    /// The columns.
    pub columns: &'a [Value],
}

/// A log that nobody reads.
#[derive(Debug, Default)]
pub struct NoLog;

impl ProcessingLog for NoLog {
    fn record(&self, _logger: &str, _message: &str) {}
}

/// A row as the log shows it: a JSON array, in which points of time are milliseconds.
pub fn row_json<'a>(row: &[Value], types: impl IntoIterator<Item = &'a SqlType>) -> String {
    let mut text = String::from("[");
    for (position, (value, value_type)) in row.iter().zip(types).enumerate() {
        if position > 0 {
            text.push(',');
        }
        match value {
            Value::Date(days) => text.push_str(&(i64::from(*days) * DAY_MS).to_string()),
            Value::Time(ms) => write_string(&clock_text(*ms), &mut text),
            _ => json::write(value, value_type, &mut text),
        }
    }
    text.push(']');
    text
}

/// Columns as the log shows them where their types are not known: as messages show values.
pub fn columns_text(columns: &[Value]) -> String {
    let shown: Vec<String> = columns.iter().map(value_text).collect();
    format!("[{}]", shown.join(", "))
}

/// The time of a day, with seconds.
fn clock_text(ms: i32) -> String {
    let seconds = ms / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Bigint(number) | Value::Timestamp(number) => number.to_string(),
        Value::Double(number) => milena_schema::document::double_text(*number),
        Value::String(text) => text.to_string(),
        Value::Array(elements) => columns_text(elements),
        Value::Date(days) => date_text(*days),
        Value::Time(ms) => clock_text(*ms),
        Value::Decimal(number) => decimal_text(number),
        Value::Bytes(_) | Value::Map(_) | Value::Struct(_) => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_json_with_the_names_of_fields() {
        let inner = SqlType::structure([("A", SqlType::Integer), ("B", SqlType::String)]);
        let types = [SqlType::String, SqlType::Double, inner, SqlType::Date, SqlType::Time, SqlType::Timestamp];
        let inner = Value::structure(vec![Value::Int(1), Value::Null]);
        let row = [
            Value::string("a\"b"),
            Value::Double(1.5),
            inner,
            Value::Date(1),
            Value::Time(61_000),
            Value::Timestamp(7),
        ];
        assert_eq!(row_json(&row, &types), r#"["a\"b",1.5,{"A":1,"B":null},86400000,"00:01:01",7]"#);
        assert_eq!(columns_text(&row[..2]), "[a\"b, 1.5]");
    }
}
