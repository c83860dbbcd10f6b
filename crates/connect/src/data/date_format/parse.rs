//! Text to a moment by the parts of a pattern.

use super::Part;
use super::calendar::{MILLIS_PER_DAY, MONTHS, WEEKDAYS, days_of, first_week, weekday};

/// What the text has told so far.
#[derive(Default)]
struct Fields {
    era_bc: bool,
    year: Option<i64>,
    week_year: Option<i64>,
    month: Option<i64>,
    week_of_year: Option<i64>,
    week_of_month: Option<i64>,
    day_of_year: Option<i64>,
    day: Option<i64>,
    weekday_in_month: Option<i64>,
    /// From 0, Sunday.
    weekday: Option<i64>,
    afternoon: Option<bool>,
    hour: Option<i64>,
    hour_of_half: Option<i64>,
    minute: i64,
    second: i64,
    millisecond: i64,
    zone_offset_minutes: i64,
}

/// The moment, when the text begins as the parts say.
pub(super) fn parse(parts: &[Part], text: &str) -> Option<i64> {
    let mut rest = text;
    let mut fields = Fields::default();
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Literal(literal) => rest = skip_literal(literal, rest)?,
            Part::Field(letter, count) => {
                let abuts = matches!(parts.get(index + 1), Some(Part::Field(next, count)) if is_numeric(*next, *count));
                let width = (abuts && is_numeric(*letter, *count)).then_some(*count);
                rest = parse_field(&mut fields, *letter, *count, width, rest.trim_start_matches([' ', '\t']))?;
            }
        }
    }
    fields.millis()
}

fn is_numeric(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' => count < 3,
        'G' | 'E' | 'a' | 'z' | 'Z' | 'X' => false,
        _ => true,
    }
}

/// Spaces of a pattern match none or several.
fn skip_literal<'a>(literal: &str, text: &'a str) -> Option<&'a str> {
    let mut rest = text;
    for character in literal.chars() {
        rest = rest.strip_prefix(character)?;
    }
    Some(rest)
}

fn parse_field<'a>(
    fields: &mut Fields,
    letter: char,
    count: usize,
    width: Option<usize>,
    text: &'a str,
) -> Option<&'a str> {
    match letter {
        'G' => {
            let (era, rest) = name(&["BC", "AD"], text, usize::MAX)?;
            fields.era_bc = era == 0;
            return Some(rest);
        }
        'E' => {
            let (day, rest) = name(&WEEKDAYS, text, usize::MAX).or_else(|| name(&WEEKDAYS, text, 3))?;
            fields.weekday = Some(day);
            return Some(rest);
        }
        'M' | 'L' if count >= 3 => {
            let (month, rest) = name(&MONTHS, text, usize::MAX).or_else(|| name(&MONTHS, text, 3))?;
            fields.month = Some(month + 1);
            return Some(rest);
        }
        'a' => {
            let (half, rest) = name(&["AM", "PM"], text, usize::MAX)?;
            fields.afternoon = Some(half == 1);
            return Some(rest);
        }
        'z' | 'Z' | 'X' => {
            let (offset, rest) = zone(text, letter)?;
            fields.zone_offset_minutes = offset;
            return Some(rest);
        }
        _ => {}
    }
    let (number, rest) = number(text, width)?;
    match letter {
        'y' | 'Y' => {
            let digits = text.len() - rest.len();
            let year = if count <= 2 && digits == 2 { two_digit_year(number) } else { number };
            *(if letter == 'y' { &mut fields.year } else { &mut fields.week_year }) = Some(year);
        }
        'M' | 'L' => fields.month = Some(number),
        'w' => fields.week_of_year = Some(number),
        'W' => fields.week_of_month = Some(number),
        'D' => fields.day_of_year = Some(number),
        'd' => fields.day = Some(number),
        'F' => fields.weekday_in_month = Some(number),
        'u' => fields.weekday = Some(number.rem_euclid(7)),
        'H' => fields.hour = Some(number),
        'k' => fields.hour = Some(if number == 24 { 0 } else { number }),
        'K' => fields.hour_of_half = Some(number),
        'h' => fields.hour_of_half = Some(if number == 12 { 0 } else { number }),
        'm' => fields.minute = number,
        's' => fields.second = number,
        _ => fields.millisecond = number,
    }
    Some(rest)
}

/// A number, of at most `width` digits when the next field follows at once.
fn number(text: &str, width: Option<usize>) -> Option<(i64, &str)> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, text),
    };
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let digits = width.map_or(digits, |width| digits.min(width.saturating_sub(text.len() - unsigned.len())));
    // What has more digits is no part of a date.
    let number: i64 = unsigned.get(..digits)?.parse().ok().filter(|number| *number < 1_000_000_000_000)?;
    Some((sign * number, &unsigned[digits..]))
}

/// The index of the name that the text begins with in any case; names are cut to `length` letters.
fn name<'a>(names: &[&str], text: &'a str, length: usize) -> Option<(i64, &'a str)> {
    names.iter().zip(0..).find_map(|(name, index)| {
        let name = &name[..length.min(name.len())];
        let start = text.get(..name.len())?;
        start.eq_ignore_ascii_case(name).then(|| (index, &text[name.len()..]))
    })
}

/// Minutes east of Greenwich.
fn zone(text: &str, letter: char) -> Option<(i64, &str)> {
    const NAMES: [(&str, i64); 14] = [
        ("Coordinated Universal Time", 0),
        ("Greenwich Mean Time", 0),
        ("UTC", 0),
        ("GMT", 0),
        ("UT", 0),
        ("EST", -300),
        ("EDT", -240),
        ("CST", -360),
        ("CDT", -300),
        ("MST", -420),
        ("MDT", -360),
        ("PST", -480),
        ("PDT", -420),
        ("CET", 60),
    ];
    if letter == 'X' {
        return text.strip_prefix('Z').map(|rest| (0, rest)).or_else(|| offset(text));
    }
    let named = NAMES.iter().find_map(|(zone, minutes)| {
        let (_, rest) = name(&[zone], text, usize::MAX)?;
        Some((*minutes, rest))
    });
    match named {
        // `GMT+01:00` is the only name with an offset.
        Some((0, rest))
            if text.get(..3).is_some_and(|zone| zone.eq_ignore_ascii_case("GMT")) && rest.starts_with(['+', '-']) =>
        {
            let minutes = rest.get(1..)?.split_once(':').map(|(hours, _)| hours.len());
            let padded = if minutes == Some(1) { format!("{}0{}", &rest[..1], &rest[1..]) } else { rest.to_owned() };
            let (offset, after) = offset(padded.as_str()).filter(|_| minutes.is_some())?;
            Some((offset, &rest[rest.len() - after.len()..]))
        }
        Some(found) => Some(found),
        None => offset(text),
    }
}

/// `+0100`, `+01:00`, `+01`.
fn offset(text: &str) -> Option<(i64, &str)> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, rest) = two_digits(&text[1..])?;
    let after_colon = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = two_digits(after_colon).unwrap_or((0, rest));
    (hours <= 23 && minutes <= 59).then_some((sign * (hours * 60 + minutes), rest))
}

fn two_digits(text: &str) -> Option<(i64, &str)> {
    let digits = text.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((digits.parse().ok()?, &text[2..]))
}

/// Within 80 years before and 20 years after now, as Java reads years of two digits.
fn two_digit_year(number: i64) -> i64 {
    let century_start = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year() - 80;
    let century_start = i64::from(century_start);
    let year = century_start - century_start.rem_euclid(100) + number;
    if year < century_start { year + 100 } else { year }
}

impl Fields {
    fn millis(&self) -> Option<i64> {
        let hour = match (self.hour, self.hour_of_half) {
            (Some(hour), _) => hour,
            (None, Some(hour)) => hour + if self.afternoon == Some(true) { 12 } else { 0 },
            (None, None) if self.afternoon == Some(true) => 12,
            (None, None) => 0,
        };
        let of_day = hour
            .checked_mul(3_600_000)?
            .checked_add((self.minute - self.zone_offset_minutes).checked_mul(60_000)?)?
            .checked_add(self.second.checked_mul(1000)?)?
            .checked_add(self.millisecond)?;
        self.days()?.checked_mul(MILLIS_PER_DAY)?.checked_add(of_day)
    }

    /// Days since the epoch by whichever fields the text has told.
    fn days(&self) -> Option<i64> {
        let year = match (self.year, self.era_bc) {
            (Some(year), true) => 1 - year,
            (Some(year), false) => year,
            (None, _) => 1970,
        };
        if year.abs() > 300_000_000 {
            return None;
        }
        if let (Some(week_year), week) = (self.week_year, self.week_of_year.unwrap_or(1)) {
            return Some(first_week(week_year) + (week - 1) * 7 + self.weekday.unwrap_or(0));
        }
        if let Some(day) = self.day {
            return Some(days_of(year, self.month.unwrap_or(1), day));
        }
        if let Some(day) = self.day_of_year {
            return Some(days_of(year, 1, 1) + day - 1);
        }
        if let Some(week) = self.week_of_year {
            return Some(first_week(year) + (week - 1) * 7 + self.weekday.unwrap_or(0));
        }
        let first = days_of(year, self.month.unwrap_or(1), 1);
        if let Some(week) = self.week_of_month {
            return Some(first - weekday(first) + (week - 1) * 7 + self.weekday.unwrap_or(0));
        }
        if let Some(of_week) = self.weekday {
            let nth = self.weekday_in_month.unwrap_or(1);
            return Some(first + (of_week - weekday(first)).rem_euclid(7) + (nth - 1) * 7);
        }
        Some(first)
    }
}
