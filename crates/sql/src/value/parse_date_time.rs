//! Dates, times and timestamps of text, as casts, typed literals and comparisons read them.

use super::days_of_civil;

const TIMESTAMP_HELP: &str = "Required format is: \"yyyy-MM-dd'T'HH:mm:ss.SSS\", with an optional numeric 4-digit \
    timezone, for example: '2020-05-26T23:59:58.000' or with tz: '2020-05-26T23:59:58.000+0100'. Partials are also \
    supported, for example \"2020-05-26\"";

/// Days since 1970 of `yyyy-MM-dd`; a missing month or day is 1.
pub fn date(text: &str) -> Result<i32, String> {
    read_date(text).and_then(|days| i32::try_from(days).ok()).ok_or_else(|| {
        format!("Failed to parse date '{text}': Required format is: \"yyyy-MM-dd\", for example '2020-05-26'.")
    })
}

/// Milliseconds of the day of `HH:mm[:ss[.SSS]]`.
pub fn time(text: &str) -> Result<i32, String> {
    let bytes = text.as_bytes();
    let complete = bytes.get(2) == Some(&b':') && text.len() >= 5;
    complete
        .then(|| read_time(text))
        .flatten()
        .and_then(|ms| i32::try_from(ms).ok())
        .ok_or_else(|| format!("Failed to parse time '{text}': Required format is: \"HH:mm:ss.SSS\", for example '23:59:58.999'. Partials are also supported, for example '23:59'."))
}

/// Milliseconds since 1970 of an ISO-8601 text; missing parts are the first ones, the zone UTC.
pub fn timestamp(text: &str) -> Result<i64, String> {
    read_timestamp(text).ok_or_else(|| format!("Failed to parse timestamp '{text}': {TIMESTAMP_HELP}"))
}

fn read_timestamp(text: &str) -> Option<i64> {
    let (date_part, rest) = text.split_once('T').unwrap_or((text, ""));
    let days = read_date(date_part)?;
    let zone_start = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time_part, zone) = rest.split_at(zone_start);
    let of_day = if time_part.is_empty() { 0 } else { read_time(time_part)? };
    let offset = read_zone(zone)?;
    days.checked_mul(86_400_000)?.checked_add(of_day)?.checked_sub(offset)
}

fn read_date(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = digits.split('-');
    let year = number(parts.next()?, 4..=9)?;
    let month = parts.next().map_or(Some(1), |part| number(part, 2..=2))?;
    let day = parts.next().map_or(Some(1), |part| number(part, 2..=2))?;
    if parts.next().is_some() {
        return None;
    }
    let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    valid_day(sign * year, month, day).then(|| days_of_civil(sign * year, month, day))
}

/// Whether the month has the day.
pub fn valid_day(year: i64, month: u32, day: u32) -> bool {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=length).contains(&day)
}

fn read_time(text: &str) -> Option<i64> {
    let (clock, fraction) = text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let mut parts = clock.split(':');
    let hours = number(parts.next()?, 2..=2)?;
    let minutes = parts.next().map_or(Some(0), |part| number(part, 2..=2))?;
    let seconds = parts.next().map_or(Some(0), |part| number(part, 2..=2))?;
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let millis = match fraction {
        None => 0,
        Some(digits) => {
            number(digits, 1..=9)?;
            let padded = format!("{digits:0<3}");
            padded.get(..3)?.parse().ok()?
        }
    };
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

/// Milliseconds east of UTC of ``, `Z`, `+01`, `+0100`, `+01:00`.
fn read_zone(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.as_bytes().first() {
        None => return Some(0),
        Some(b'Z') => return (zone.len() == 1).then_some(0),
        Some(b'-') => (-1, &zone[1..]),
        Some(_) => (1, &zone[1..]),
    };
    let digits = digits.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let hours = number(hours, 2..=2)?;
    let minutes = if minutes.is_empty() { 0 } else { number(minutes, 2..=2)? };
    (hours <= 18 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000)
}

fn number(digits: &str, length: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let valid = length.contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if valid { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_may_end_early() {
        assert_eq!(timestamp("1970"), Ok(0));
        assert_eq!(timestamp("1970-01-02"), Ok(86_400_000));
        assert_eq!(timestamp("1970-01-01T01"), Ok(3_600_000));
        assert_eq!(timestamp("1970-01-01T00:00:01.5"), Ok(1500));
        assert_eq!(timestamp("1970-01-01T01:00+0100"), Ok(0));
        assert_eq!(timestamp("1970-01-01T00:00:00Z"), Ok(0));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        assert!(timestamp("yesterday").is_err());
        assert!(timestamp("2020-02-30").is_err());
        assert!(time("10").is_err());
        assert!(time("24:00").is_err());
        assert!(date("20-01-01").is_err());
        assert_eq!(time("10:00"), Ok(36_000_000));
        assert_eq!(date("2020-02-29"), Ok(18_321));
    }
}
