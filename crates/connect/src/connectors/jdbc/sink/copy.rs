//! Rows as text for PostgreSQL's `COPY .. FROM STDIN`.
//!
//! Text goes through the input function of each column's type, so that uuid, json, enumerations and whatever else the
//! database knows need no types here.

use std::fmt::Write as _;

use bytes::Bytes;

use super::super::database::SqlValue;

/// Rows in the format `text`: tabs between values, a line for each row. Truth values are 0 and 1 where `numbers` says that
/// the column holds numbers.
pub fn encode<'a>(rows: impl Iterator<Item = &'a [SqlValue]>, numbers: &[bool], capacity: usize) -> Bytes {
    let mut out = String::with_capacity(capacity);
    for row in rows {
        for (index, value) in row.iter().enumerate() {
            if index > 0 {
                out.push('\t');
            }
            match value {
                SqlValue::Null => out.push_str("\\N"),
                SqlValue::Bool(truth) if numbers.get(index) == Some(&true) => out.push(if *truth { '1' } else { '0' }),
                SqlValue::Text(text) => escape(&mut out, text),
                SqlValue::Array(values) => {
                    let mut array = String::new();
                    array_text(&mut array, values);
                    escape(&mut out, &array);
                }
                SqlValue::Bytes(bytes) => {
                    // The backslash of `\x` is escaped itself.
                    out.push_str("\\\\x");
                    hex(&mut out, bytes);
                }
                other => plain(&mut out, other),
            }
        }
        out.push('\n');
    }
    Bytes::from(out)
}

/// Values that hold nothing that must be escaped.
fn plain(out: &mut String, value: &SqlValue) {
    // Writing to a String cannot fail.
    let _ = match value {
        SqlValue::Bool(truth) => write!(out, "{}", if *truth { 't' } else { 'f' }),
        SqlValue::Int(number) => write!(out, "{number}"),
        SqlValue::UInt(number) => write!(out, "{number}"),
        SqlValue::Float(number) => write!(out, "{number}"),
        SqlValue::Double(number) => write!(out, "{number}"),
        SqlValue::Decimal(number) => write!(out, "{}", number.to_plain_string()),
        SqlValue::Date(date) => write!(out, "{}", date_text(*date)),
        SqlValue::Time(time) => write!(out, "{time}"),
        SqlValue::DateTime(clock) => write!(out, "{}", clock_text(*clock)),
        SqlValue::Moment { clock, ahead } => {
            let (sign, ahead) = (if *ahead < 0 { '-' } else { '+' }, ahead.unsigned_abs());
            let (hours, minutes, seconds) = (ahead / 3600, ahead / 60 % 60, ahead % 60);
            write!(out, "{}", clock_text(*clock))
                .and_then(|()| write!(out, "{sign}{hours:02}:{minutes:02}:{seconds:02}"))
        }
        SqlValue::Infinity(true) => write!(out, "infinity"),
        SqlValue::Infinity(false) => write!(out, "-infinity"),
        SqlValue::Null | SqlValue::Text(_) | SqlValue::Bytes(_) | SqlValue::Array(_) => Ok(()),
    };
}

/// PostgreSQL counts years before 1 in another way.
fn date_text(date: jiff::civil::Date) -> String {
    let (year, era) = if date.year() > 0 { (date.year(), "") } else { (1 - date.year(), " BC") };
    format!("{year:04}-{:02}-{:02}{era}", date.month(), date.day())
}

fn clock_text(clock: jiff::civil::DateTime) -> String {
    let date = clock.date();
    let time = clock.time();
    if date.year() > 0 {
        return format!("{:04}-{:02}-{:02} {time}", date.year(), date.month(), date.day());
    }
    // Here the era stands at the end, after the time; a zone before it is read all the same.
    format!("{:04}-{:02}-{:02} {time} BC", 1 - date.year(), date.month(), date.day())
}

fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(position) = rest.find(['\\', '\t', '\n', '\r']) {
        let (before, after) = rest.split_at(position);
        out.push_str(before);
        out.push_str(match after.as_bytes().first() {
            Some(b'\\') => "\\\\",
            Some(b'\t') => "\\t",
            Some(b'\n') => "\\n",
            _ => "\\r",
        });
        rest = after.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
}

fn array_text(out: &mut String, values: &[SqlValue]) {
    out.push('{');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match value {
            SqlValue::Null => out.push_str("NULL"),
            SqlValue::Text(text) => quoted(out, text),
            SqlValue::Array(values) => array_text(out, values),
            SqlValue::Bytes(bytes) => {
                out.push_str("\"\\\\x");
                hex(out, bytes);
                out.push('"');
            }
            other => {
                let mut text = String::new();
                plain(&mut text, other);
                quoted(out, &text);
            }
        }
    }
    out.push('}');
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

fn hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            out.push(char::from(DIGITS[usize::from(half)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(row: &[SqlValue]) -> String {
        String::from_utf8(encode(std::iter::once(row), &[true], 16).to_vec()).expect("text")
    }

    #[test]
    fn values_are_escaped() {
        let row = [SqlValue::Null, SqlValue::from("a\tb\\c\nd\r"), SqlValue::Bytes(Bytes::from_static(&[0, 255]))];
        assert_eq!(line(&row), "\\N\ta\\tb\\\\c\\nd\\r\t\\\\x00ff\n");
        assert_eq!(line(&[SqlValue::from("\\N"), SqlValue::from("\\.")]), "\\\\N\t\\\\.\n");
    }

    #[test]
    fn truth_values_are_numbers_in_columns_of_numbers() {
        assert_eq!(line(&[SqlValue::Bool(true), SqlValue::Bool(true)]), "1\tt\n");
    }

    #[test]
    fn arrays_quote_their_elements() {
        let tags = SqlValue::Array(vec![SqlValue::from("a\"b\\"), SqlValue::Null, SqlValue::Int(3)]);
        assert_eq!(line(&[tags]), "{\"a\\\\\"b\\\\\\\\\",NULL,\"3\"}\n");
    }

    #[test]
    fn moments_say_how_far_their_clock_is_ahead() {
        let clock = jiff::civil::datetime(2021, 8, 1, 15, 50, 27, 123_000_000);
        let row = [SqlValue::Moment { clock, ahead: 9 * 3600 }, SqlValue::Moment { clock, ahead: -1800 }];
        assert_eq!(line(&row), "2021-08-01 15:50:27.123+09:00:00\t2021-08-01 15:50:27.123-00:30:00\n");
    }
}
