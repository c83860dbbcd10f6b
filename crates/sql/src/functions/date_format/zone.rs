//! Time zones by name or offset.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use crate::expression::EvalError;

/// The rules of the calendar come again after 400 years.
const CYCLE_MS: i64 = 146_097 * 86_400_000;

/// Short names that texts use, with zones that have them.
const SHORT_NAMES: [(&str, &str); 33] = [
    ("ACDT", "Australia/Adelaide"),
    ("ACST", "Australia/Darwin"),
    ("AEDT", "Australia/Sydney"),
    ("AEST", "Australia/Sydney"),
    ("AKDT", "America/Anchorage"),
    ("AKST", "America/Anchorage"),
    ("ART", "America/Argentina/Buenos_Aires"),
    ("AWST", "Australia/Perth"),
    ("BRT", "America/Sao_Paulo"),
    ("BST", "Europe/London"),
    ("CDT", "America/Chicago"),
    ("CEST", "Europe/Paris"),
    ("CET", "Europe/Paris"),
    ("CST", "America/Chicago"),
    ("EDT", "America/New_York"),
    ("EEST", "Europe/Helsinki"),
    ("EET", "Europe/Helsinki"),
    ("EST", "America/New_York"),
    ("HKT", "Asia/Hong_Kong"),
    ("HST", "Pacific/Honolulu"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("KST", "Asia/Seoul"),
    ("MDT", "America/Denver"),
    ("MSK", "Europe/Moscow"),
    ("MST", "America/Denver"),
    ("NZDT", "Pacific/Auckland"),
    ("NZST", "Pacific/Auckland"),
    ("PDT", "America/Los_Angeles"),
    ("PKT", "Asia/Karachi"),
    ("PST", "America/Los_Angeles"),
    ("SAST", "Africa/Johannesburg"),
    ("SGT", "Asia/Singapore"),
];

/// Ids of the time zone database that Java does not know as such.
const NO_IDS: [&str; 4] = ["EST", "HST", "MST", "ROC"];

/// A time zone as it is called.
pub(super) struct Zone {
    /// Its rules.
    pub(super) time_zone: TimeZone,
    /// Its name as Java writes it.
    pub(super) id: String,
    /// Whether it has short names for its times; else they are called as it is.
    pub(super) has_names: bool,
}

/// The zone of a short name, an id or an offset, as texts have it.
pub(super) fn find(name: &str) -> Result<TimeZone, EvalError> {
    let short = SHORT_NAMES.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
    region(short.map_or(name, |(_, id)| *id)).map(|zone| zone.time_zone)
}

/// The zone of an id or an offset, as arguments of functions have it.
pub(super) fn region(name: &str) -> Result<Zone, EvalError> {
    let unknown = || EvalError::new(format!("Unknown time-zone ID: {name}"));
    if let Some(seconds) = whole_offset(name) {
        return Ok(Zone { time_zone: fixed(seconds)?, id: offset_id(seconds), has_names: false });
    }
    for prefix in ["UTC", "GMT", "UT"] {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let seconds = match rest {
            "" => Some(0),
            rest => whole_offset(rest).filter(|_| rest != "Z"),
        };
        if let Some(seconds) = seconds {
            let offset = if seconds == 0 { String::new() } else { offset_id(seconds) };
            return Ok(Zone { time_zone: fixed(seconds)?, id: format!("{prefix}{offset}"), has_names: false });
        }
    }
    let time_zone = TimeZone::get(name).map_err(|_| unknown())?;
    // Ids are found in any case, but are told in one.
    if time_zone.iana_name() != Some(name) || NO_IDS.contains(&name) {
        return Err(unknown());
    }
    Ok(Zone { time_zone, id: name.to_owned(), has_names: true })
}

/// The id that is spelled like this but for its case.
pub(super) fn spelled(name: &str) -> Option<String> {
    TimeZone::get(name).ok()?.iana_name().map(str::to_owned)
}

/// The zone that is always so many seconds east.
fn fixed(seconds: i32) -> Result<TimeZone, EvalError> {
    let offset = Offset::from_seconds(seconds).map_err(|error| EvalError::new(error.to_string()))?;
    Ok(TimeZone::fixed(offset))
}

/// Seconds of `Z`, `+h`, `+hh`, `+hhmm`, `+hh:mm`, `+hhmmss`, `+hh:mm:ss`.
fn whole_offset(text: &str) -> Option<i32> {
    const LIMIT: i32 = 18 * 3600;
    if text == "Z" {
        return Some(0);
    }
    let (sign, digits) = (text.get(..1)?, text.get(1..)?);
    if !matches!(sign, "+" | "-") {
        return None;
    }
    let padded = if digits.len() == 1 { format!("{sign}0{digits}") } else { text.to_owned() };
    let (seconds, rest) = read_offset(&padded)?;
    let colons = digits.matches(':').count();
    let is_even = matches!((digits.len(), colons), (1 | 2 | 4 | 6, 0) | (5, 1) | (8, 2));
    (rest.is_empty() && is_even && seconds.abs() <= LIMIT).then_some(seconds)
}

/// `Z`, `+01:30`, `-00:00:05`.
fn offset_id(seconds: i32) -> String {
    let (sign, absolute) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    match (absolute, absolute % 60) {
        (0, _) => "Z".to_owned(),
        (_, 0) => format!("{sign}{:02}:{:02}", absolute / 3600, absolute / 60 % 60),
        (_, rest) => format!("{sign}{:02}:{:02}:{rest:02}", absolute / 3600, absolute / 60 % 60),
    }
}

/// Seconds east of UTC of the zone of an id at a time.
pub fn offset_at(milliseconds: i64, zone: &str) -> Result<i32, EvalError> {
    Ok(region(zone)?.time_zone.to_offset(near(milliseconds)?).seconds())
}

/// The milliseconds since 1970 of a local time in a zone: of two, the earlier; one that there is not is moved behind the
/// gap.
pub(super) fn instant_of(local: i64, zone: &TimeZone) -> Result<i64, EvalError> {
    let near_local = near(local)?;
    let wall = Offset::UTC.to_datetime(near_local);
    let instant = zone.to_ambiguous_timestamp(wall).compatible();
    let instant = instant.map_err(|error| EvalError::new(error.to_string()))?;
    let offset = near_local.as_millisecond() - instant.as_millisecond();
    local.checked_sub(offset).ok_or_else(|| EvalError::new("long overflow"))
}

/// A time whose offsets are those of the given one, within the years that the time zones are known for.
pub(super) fn near(milliseconds: i64) -> Result<Timestamp, EvalError> {
    // A year from both ends, so that it stays within in every zone.
    const YEAR_MS: i64 = 366 * 86_400_000;
    let first = Timestamp::MIN.as_millisecond() + YEAR_MS;
    let last = Timestamp::MAX.as_millisecond() - YEAR_MS;
    let known = match milliseconds {
        ms if ms < first => first,
        ms if ms > last => last - CYCLE_MS + (ms - last).rem_euclid(CYCLE_MS),
        ms => ms,
    };
    Timestamp::from_millisecond(known).map_err(|error| EvalError::new(error.to_string()))
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
        match two_digits(digits).filter(|number| index == 0 || *number < 60) {
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

/// The number of the two digits at the head of a text.
pub(super) fn two_digits(text: &str) -> Option<i32> {
    let pair = text.get(..2).filter(|pair| pair.bytes().all(|digit| digit.is_ascii_digit()))?;
    pair.parse().ok()
}
