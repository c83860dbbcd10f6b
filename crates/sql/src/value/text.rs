//! The text of values, as CAST to STRING and CONCAT show it.

use std::fmt::Write as _;

use super::{Value, decimal_text};
use crate::types::SqlType;

const DAY_MS: i64 = 86_400_000;

impl Value {
    /// The text that CAST to STRING gives; struct fields take their names from `value_type`. `NULL` is `null`.
    pub fn text(&self, value_type: &SqlType) -> String {
        let mut output = String::new();
        self.write_text(value_type, &mut output);
        output
    }

    fn write_text(&self, value_type: &SqlType, output: &mut String) {
        match (self, value_type) {
            (Value::Null, _) => output.push_str("null"),
            (Value::Boolean(truth), _) => output.push_str(if *truth { "true" } else { "false" }),
            (Value::Int(number), _) => push(output, number),
            (Value::Bigint(number), _) => push(output, number),
            (Value::Double(number), _) => output.push_str(&milena_schema::document::double_text(*number)),
            (Value::Decimal(number), _) => output.push_str(&decimal_text(number)),
            (Value::String(text), _) => output.push_str(text),
            (Value::Bytes(bytes), _) => {
                use base64::Engine as _;
                output.push_str(&base64::engine::general_purpose::STANDARD.encode(bytes));
            }
            (Value::Date(days), _) => output.push_str(&date_text(*days)),
            (Value::Time(ms), _) => output.push_str(&time_text(*ms)),
            (Value::Timestamp(ms), _) => output.push_str(&timestamp_text(*ms)),
            (Value::Array(elements), SqlType::Array(element_type)) => {
                separated(output, "[", "]", elements.iter(), |element, output| {
                    element.write_text(element_type, output)
                });
            }
            (Value::Map(entries), SqlType::Map(key_type, entry_type)) => {
                separated(output, "{", "}", entries.in_hash_order().into_iter(), |(key, entry), output| {
                    key.write_text(key_type, output);
                    output.push('=');
                    entry.write_text(entry_type, output);
                });
            }
            (Value::Struct(fields), SqlType::Struct(structure)) => {
                // Connect's Struct leaves out the fields that are null, and the space behind the comma.
                output.push_str("Struct{");
                let mut first = true;
                for (field, declared) in fields.iter().zip(&structure.fields).filter(|(field, _)| !field.is_null()) {
                    if !std::mem::take(&mut first) {
                        output.push(',');
                    }
                    output.push_str(&declared.name);
                    output.push('=');
                    field.write_text(&declared.field_type, output);
                }
                output.push('}');
            }
            (Value::Array(_) | Value::Map(_) | Value::Struct(_), _) => push(output, format_args!("{self:?}")),
        }
    }
}

/// `yyyy-MM-dd` of days since 1970.
pub fn date_text(days: i32) -> String {
    let (year, month, day) = civil(i64::from(days));
    format!("{}-{month:02}-{day:02}", year_text(year))
}

/// `HH:mm`, with seconds where they are not zero. Milliseconds have no text: users know times as cut to seconds.
pub fn time_text(ms: i32) -> String {
    let seconds = ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match seconds {
        0 => format!("{hours:02}:{minutes:02}"),
        _ => format!("{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// `yyyy-MM-dd'T'HH:mm:ss.SSS` in UTC of milliseconds since 1970.
pub fn timestamp_text(ms: i64) -> String {
    let (days, of_day) = (ms.div_euclid(DAY_MS), ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil(days);
    let (seconds, millis) = (of_day / 1000, of_day % 1000);
    let year = year_text(year);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
}

/// Four digits at least, a sign where ISO-8601 asks for one.
fn year_text(year: i64) -> String {
    match year {
        0..=9999 => format!("{year:04}"),
        10_000.. => format!("+{year}"),
        _ => format!("-{:04}", -year),
    }
}

/// Year, month and day of a day since 1970 in the proleptic Gregorian calendar.
pub fn civil(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days since 1970 of a date in the proleptic Gregorian calendar.
pub fn days_of_civil(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = i64::from(month) + if month > 2 { -3 } else { 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn push(output: &mut String, value: impl std::fmt::Display) {
    // Writing into a String cannot fail.
    let _ = write!(output, "{value}");
}

fn separated<T>(
    output: &mut String,
    open: &str,
    close: &str,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut String),
) {
    output.push_str(open);
    for (position, item) in items.enumerate() {
        if position > 0 {
            output.push_str(", ");
        }
        write(item, output);
    }
    output.push_str(close);
}
