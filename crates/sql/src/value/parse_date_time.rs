//! Dates, times and timestamps of text, as casts, typed literals and comparisons read them.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::days_of_civil;

const MIDNIGHT: &str = "00:00:00.000";

const TIMESTAMP_HELP: &str = "Required format is: \"yyyy-MM-dd'T'HH:mm:ss.SSS\", with an optional numeric 4-digit \
    timezone, for example: '2020-05-26T23:59:58.000' or with tz: '2020-05-26T23:59:58.000+0200'. A trailing 'Z' instead of \
    tz indicates the zero UTC offset. Partials are also supported, for example \"2020-05-26\"";

/// Days since 1970 of `yyyy-MM-dd`; a missing month or day is 1.
pub fn date(text: &str) -> Result<i32, String> {
    read_date(text).and_then(|days| i32::try_from(days).ok()).ok_or_else(|| {
        format!(
            "Failed to parse date '{text}': Text '{}' could not be parsed\nRequired format is: \"yyyy-MM-dd\", for example \
             '2020-05-26'. Partials are also supported, for example '2020-05'",
            completed_date(text)
        )
    })
}

/// Milliseconds of the day of `HH:mm[:ss[.SSS]]`.
pub fn time(text: &str) -> Result<i32, String> {
    let bytes = text.as_bytes();
    let complete = bytes.get(2) == Some(&b':') && text.len() >= 5;
    complete.then(|| read_time(text)).flatten().and_then(|ms| i32::try_from(ms).ok()).ok_or_else(|| {
        format!(
            "Failed to parse time '{text}': Text '{text}' could not be parsed\nRequired format is: \"HH:mm:ss.SSS\", for \
             example: '01:34:20.123' or '01:34:20'. Partials are also supported, for example '01:34'"
        )
    })
}

/// Milliseconds since 1970 of an ISO-8601 text; missing parts are the first ones, the zone UTC.
pub fn timestamp(text: &str) -> Result<i64, String> {
    read_timestamp(text).map_err(|cause| format!("Failed to parse timestamp '{text}': {cause}\n{TIMESTAMP_HELP}"))
}

fn read_timestamp(text: &str) -> Result<i64, String> {
    let (whole, zone) = match text.split_once('T') {
        Some((date, rest)) => {
            let (time, zone) = rest.split_at(rest.find('+').or_else(|| rest.find('-')).unwrap_or(rest.len()));
            let time = time.strip_suffix('Z').unwrap_or(time);
            (completed_time(&text[..date.len() + 1 + time.len()], time.len()), zone)
        }
        None => (format!("{}T{MIDNIGHT}", completed_date(text)).into(), ""),
    };
    let offset = read_zone(zone).ok_or_else(|| format!("Failed to parse timezone '{zone}'"))?;
    let ms = Fields { text: whole.as_bytes(), at: 0 }.read().map_err(|fault| match fault {
        Fault::At(place) => format!("Text '{whole}' could not be parsed at index {place}"),
        Fault::Rest(place) => format!("Text '{whole}' could not be parsed, unparsed text found at index {place}"),
        Fault::Value { name, values, found } => {
            let (first, last) = (values.start(), values.end());
            format!(
                "Text '{whole}' could not be parsed: Invalid value for {name} (valid values {first} - {last}): {found}"
            )
        }
    })?;
    ms.checked_sub(offset).ok_or_else(|| "long overflow".to_owned())
}

/// A date whose end is missing: the first month, the first day.
fn completed_date(date: &str) -> String {
    match date.split('-').count() {
        1 => format!("{date}-01-01"),
        2 => format!("{date}-01"),
        _ => date.to_owned(),
    }
}

/// A timestamp, the time of which has so many characters, with what is missing at its end.
fn completed_time(timestamp: &str, length: usize) -> Cow<'_, str> {
    match MIDNIGHT.get(length..) {
        Some("") | None => timestamp.into(),
        Some(missing) => format!("{timestamp}{missing}").into(),
    }
}

/// What is wrong with a text of `yyyy-MM-dd'T'HH:mm:ss.SSS`.
enum Fault {
    /// Something else stands at this place.
    At(usize),
    /// Something stands behind the end.
    Rest(usize),
    /// A field has a value that there is not.
    Value { name: &'static str, values: RangeInclusive<i64>, found: i64 },
}

/// The fields of a text, one after the other.
struct Fields<'a> {
    text: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    /// Milliseconds since 1970. Days that a month does not have are its last.
    fn read(mut self) -> Result<i64, Fault> {
        let year = self.year()?;
        let month = self.number(b"-", "MonthOfYear", 1..=12)?;
        let day = self.number(b"-", "DayOfMonth", 1..=31)?;
        let hour = self.number(b"T", "HourOfDay", 0..=23)?;
        let minute = self.number(b":", "MinuteOfHour", 0..=59)?;
        let second = self.number(b":", "SecondOfMinute", 0..=59)?;
        self.skip(b".")?;
        let ms = self.digits(3)?;
        if self.at < self.text.len() {
            return Err(Fault::Rest(self.at));
        }
        let (month, day) = (month as u32, day as u32);
        let day = (1..=day).rev().find(|day| valid_day(year, month, *day)).unwrap_or(1);
        let seconds = (hour * 60 + minute) * 60 + second;
        let days = days_of_civil(year, month, day).checked_mul(86_400_000);
        days.and_then(|days| days.checked_add(seconds * 1000 + ms)).ok_or(Fault::At(0))
    }

    /// Four digits, or more behind a plus.
    fn year(&mut self) -> Result<i64, Fault> {
        let start = self.at;
        self.at += usize::from(self.text.first() == Some(&b'+'));
        let length = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let fits = if self.at > start { (5..=9).contains(&length) } else { length == 4 };
        let year = self.digits(length)?;
        if fits && year > 0 { Ok(year) } else { Err(Fault::At(start)) }
    }

    /// Two digits behind a sign.
    fn number(&mut self, sign: &[u8], name: &'static str, values: RangeInclusive<i64>) -> Result<i64, Fault> {
        self.skip(sign)?;
        let found = self.digits(2)?;
        if values.contains(&found) { Ok(found) } else { Err(Fault::Value { name, values, found }) }
    }

    fn skip(&mut self, expected: &[u8]) -> Result<(), Fault> {
        if !self.text[self.at..].starts_with(expected) {
            return Err(Fault::At(self.at));
        }
        self.at += expected.len();
        Ok(())
    }

    fn digits(&mut self, length: usize) -> Result<i64, Fault> {
        let digits = self.text.get(self.at..self.at + length).and_then(|digits| std::str::from_utf8(digits).ok());
        let found = digits.and_then(|digits| number(digits, 1..=9));
        let found = found.ok_or(Fault::At(self.at))?;
        self.at += length;
        Ok(found)
    }
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

fn number(digits: &str, length: RangeInclusive<usize>) -> Option<i64> {
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
        assert_eq!(timestamp("2020-02-30"), timestamp("2020-02-29"));
        for (text, cause) in [
            ("soon", "Text 'soon-01-01T00:00:00.000' could not be parsed at index 0\n"),
            ("2020-01-01 10:00", "Text '2020-01-01 10:00T00:00:00.000' could not be parsed at index 10\n"),
            ("2020-13-01", "could not be parsed: Invalid value for MonthOfYear (valid values 1 - 12): 13\n"),
            ("2020-01-01T24:00", "Invalid value for HourOfDay (valid values 0 - 23): 24\n"),
            ("2020-01-01T00:00:00.1234", "could not be parsed, unparsed text found at index 23\n"),
            ("2020-01T00:00", "Text '2020-01T00:00:00.000' could not be parsed at index 7\n"),
            ("+999999999", "could not be parsed at index 0\n"),
            ("", "Text '-01-01T00:00:00.000' could not be parsed at index 0\n"),
        ] {
            let message = timestamp(text).unwrap_err();
            assert!(message.contains(cause), "{message}");
        }
        assert!(time("10").is_err());
        assert!(time("24:00").is_err());
        assert!(date("20-01-01").is_err());
        assert_eq!(time("10:00"), Ok(36_000_000));
        assert_eq!(date("2020-02-29"), Ok(18_321));
    }
}
