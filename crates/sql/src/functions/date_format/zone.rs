//! Time zones by name or offset.

use jiff::tz::{Offset, TimeZone};

use crate::expression::EvalError;

/// Short names that texts use, with zones that have them.
const SHORT_NAMES: [(&str, &str); 16] = [
    ("GMT", "UTC"),
    ("UT", "UTC"),
    ("Z", "UTC"),
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
    ("MST", "America/Denver"),
    ("MDT", "America/Denver"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("EST", "America/New_York"),
    ("EDT", "America/New_York"),
    ("BST", "Europe/London"),
    ("CET", "Europe/Paris"),
    ("CEST", "Europe/Paris"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
];

/// The zone of an id, an offset such as `+02:00`, or a short name, as texts have it.
pub(super) fn find(name: &str) -> Result<TimeZone, EvalError> {
    match SHORT_NAMES.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)) {
        Some((_, zone)) => region(zone),
        None => region(name),
    }
}

/// The zone of an id or an offset, as arguments of functions have it.
pub(super) fn region(name: &str) -> Result<TimeZone, EvalError> {
    if ["UTC", "GMT", "UT", "Z"].iter().any(|utc| utc.eq_ignore_ascii_case(name)) {
        return Ok(TimeZone::UTC);
    }
    let offset = name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(name);
    if let Some((seconds, "")) = read_offset(offset) {
        return fixed(seconds);
    }
    TimeZone::get(name).map_err(|_| EvalError::new(format!("Unknown time-zone ID: {name}")))
}

/// The zone that is always so many seconds east.
pub(super) fn fixed(seconds: i32) -> Result<TimeZone, EvalError> {
    let offset = Offset::from_seconds(seconds).map_err(|error| EvalError::new(error.to_string()))?;
    Ok(TimeZone::fixed(offset))
}

/// Seconds east of UTC of the zone of an id at a time.
pub fn offset_at(milliseconds: i64, zone: &str) -> Result<i32, EvalError> {
    offset_of(&region(zone)?, milliseconds)
}

/// Seconds east of UTC of a zone at a time.
pub(super) fn offset_of(zone: &TimeZone, milliseconds: i64) -> Result<i32, EvalError> {
    Ok(zone.to_offset(timestamp(milliseconds)?).seconds())
}

pub(super) fn timestamp(milliseconds: i64) -> Result<jiff::Timestamp, EvalError> {
    jiff::Timestamp::from_millisecond(milliseconds).map_err(|error| EvalError::new(error.to_string()))
}

/// Seconds of `+HH`, `+HHmm`, `+HH:mm`, `+HH:mm:ss` at the head of `text`, and what follows.
pub(super) fn read_offset(text: &str) -> Option<(i32, &str)> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let mut seconds = 0;
    for (index, unit) in [3600, 60, 1].into_iter().enumerate() {
        let digits = if index == 0 { rest } else { rest.strip_prefix(':').unwrap_or(rest) };
        let pair = digits.get(..2).filter(|pair| pair.bytes().all(|digit| digit.is_ascii_digit()));
        match pair.and_then(|pair| pair.parse::<i32>().ok()) {
            Some(number) => {
                seconds += number * unit;
                rest = &digits[2..];
            }
            None if index == 0 => return None,
            None => break,
        }
    }
    Some((sign * seconds, rest))
}
