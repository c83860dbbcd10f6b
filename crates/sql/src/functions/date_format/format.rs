//! Printing times in a pattern.

use std::fmt::Write as _;

use super::pattern::Part;
use super::{Fields, Pattern};
use crate::expression::EvalError;
use crate::value::days_of_civil;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const QUARTERS: [(&str, &str); 4] =
    [("Q1", "1st quarter"), ("Q2", "2nd quarter"), ("Q3", "3rd quarter"), ("Q4", "4th quarter")];
/// The modified Julian day of 1970-01-01.
pub(super) const JULIAN_DAY_OF_1970: i64 = 40_587;
pub(super) const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl Pattern {
    /// The text of a point in time; an error names the field that it does not have.
    pub fn format(&self, fields: &Fields) -> Result<String, EvalError> {
        let mut output = String::new();
        write_parts(&self.parts, fields, &mut output)?;
        Ok(output)
    }
}

fn write_parts(parts: &[Part], fields: &Fields, output: &mut String) -> Result<(), EvalError> {
    for part in parts {
        match part {
            Part::Text(text) => output.push_str(text),
            Part::Field(letter, count, _) => write_field(*letter, *count, fields, output)?,
            Part::Padded(width, letter, count) => {
                let mut text = String::new();
                write_field(*letter, *count, fields, &mut text)?;
                let blanks = width.checked_sub(text.chars().count());
                let blanks = blanks.ok_or_else(|| EvalError::new("The output is wider than its padding"))?;
                output.extend(std::iter::repeat_n(' ', blanks));
                output.push_str(&text);
            }
            Part::Optional(inner) => {
                // A section whose fields are missing is left out.
                let before = output.len();
                if write_parts(inner, fields, output).is_err() {
                    output.truncate(before);
                }
            }
        }
    }
    Ok(())
}

fn write_field(letter: char, count: usize, fields: &Fields, output: &mut String) -> Result<(), EvalError> {
    let missing = || EvalError::new(format!("Unsupported field: {letter}"));
    let number = |number: i64, output: &mut String| {
        // Writing into a String cannot fail.
        let _ = write!(output, "{number:0count$}");
    };
    match letter {
        'G' | 'u' | 'y' | 'Y' | 'D' | 'M' | 'L' | 'd' | 'F' | 'g' | 'Q' | 'q' | 'E' | 'e' | 'c' | 'w' | 'W' => {
            let days = fields.days.ok_or_else(missing)?;
            let date = fields.date().ok_or_else(missing)?;
            write_date(letter, count, days, date, output);
        }
        'a' | 'B' | 'h' | 'K' | 'k' | 'H' | 'm' | 's' | 'S' | 'A' | 'n' | 'N' => {
            let ms = fields.of_day.ok_or_else(missing)?;
            let hour = ms / 3_600_000;
            match letter {
                'H' => number(hour, output),
                'k' => number(if hour == 0 { 24 } else { hour }, output),
                'K' => number(hour % 12, output),
                'h' => number(if hour % 12 == 0 { 12 } else { hour % 12 }, output),
                'm' => number(ms / 60_000 % 60, output),
                's' => number(ms / 1000 % 60, output),
                'S' => output.extend(format!("{:03}{:0<9}", ms % 1000, "").chars().take(count)),
                'A' => number(ms, output),
                'n' => number(ms % 1000 * 1_000_000, output),
                'N' => number(ms * 1_000_000, output),
                'B' => output.push_str(day_period(ms)),
                _ => output.push_str(if hour < 12 { "AM" } else { "PM" }),
            }
        }
        'V' => output.push_str(if fields.offset.is_some() { &fields.zone_id } else { return Err(missing()) }),
        'z' => output.push_str(if fields.offset.is_some() { &fields.zone_name } else { return Err(missing()) }),
        _ => write_offset(letter, count, fields.offset.ok_or_else(missing)?, output),
    }
    Ok(())
}

fn write_date(letter: char, count: usize, days: i64, (year, month, day): (i64, u32, u32), output: &mut String) {
    let weekday = (days + 3).rem_euclid(7);
    let names = |names: &[&'static str], index: usize, output: &mut String| {
        let name = names.get(index).copied().unwrap_or_default();
        match count {
            ..=3 => output.push_str(name.get(..3).unwrap_or(name)),
            4 => output.push_str(name),
            _ => output.push_str(name.get(..1).unwrap_or(name)),
        }
    };
    let number = match letter {
        'G' => {
            let (short, long) = if year > 0 { ("AD", "Anno Domini") } else { ("BC", "Before Christ") };
            return output.push_str(match count {
                ..=3 => short,
                4 => long,
                _ => &short[..1],
            });
        }
        'u' | 'y' | 'Y' => {
            let year = match letter {
                'y' if year <= 0 => 1 - year,
                'Y' => week_year(days).0,
                _ => year,
            };
            if count == 2 { year.abs() % 100 } else { year }
        }
        'D' => days - days_of_civil(year, 1, 1) + 1,
        'M' | 'L' if count >= 3 => return names(&MONTHS, month as usize - 1, output),
        'M' | 'L' => i64::from(month),
        'Q' | 'q' if matches!(count, 3 | 4) => {
            let (short, long) = QUARTERS[month.div_ceil(3) as usize - 1];
            return output.push_str(if count == 3 { short } else { long });
        }
        'Q' | 'q' if count == 5 => return output.push_str(&month.div_ceil(3).to_string()),
        'Q' | 'q' => i64::from(month.div_ceil(3)),
        'w' => week_year(days).1,
        'W' => week_of_month(days),
        'F' => i64::from((day - 1) % 7 + 1),
        'g' => days + JULIAN_DAY_OF_1970,
        'E' | 'e' | 'c' if letter == 'E' || count >= 3 => return names(&DAYS, weekday as usize, output),
        // Weeks begin with Sunday in the language's locale.
        'e' | 'c' => (weekday + 1) % 7 + 1,
        _ => i64::from(day),
    };
    let is_wide =
        || count.try_into().ok().and_then(|count| 10_i64.checked_pow(count)).is_some_and(|limit| number >= limit);
    let sign = match number {
        ..0 => "-",
        _ if "uyY".contains(letter) && count >= 4 && is_wide() => "+",
        _ => "",
    };
    let digits = number.unsigned_abs();
    // Writing into a String cannot fail.
    let _ = write!(output, "{sign}{digits:0count$}");
}

/// The week of its month that a day is in: weeks begin with Sunday, and the first has the first day.
pub(super) fn week_of_month(days: i64) -> i64 {
    let day = i64::from(crate::value::civil(days).2) - 1;
    let first = (days + 4 - day).rem_euclid(7);
    (day + first) / 7 + 1
}

/// The part of the day, as people call it.
fn day_period(ms: i64) -> &'static str {
    match ms / 3_600_000 {
        0 if ms == 0 => "midnight",
        12 if ms == 43_200_000 => "noon",
        6..12 => "in the morning",
        12..18 => "in the afternoon",
        18..21 => "in the evening",
        _ => "at night",
    }
}

/// Year and number of the week of a day: weeks begin with Sunday, and the first of a year holds its first of January.
pub(super) fn week_year(days: i64) -> (i64, i64) {
    // The Saturday that ends a week decides to which year it belongs.
    let saturday = days + 6 - (days + 4).rem_euclid(7);
    let year = crate::value::civil(saturday).0;
    (year, (saturday - days_of_civil(year, 1, 1)) / 7 + 1)
}

fn write_offset(letter: char, count: usize, seconds: i32, output: &mut String) {
    let (sign, absolute) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let (hours, minutes, rest) = (absolute / 3600, absolute / 60 % 60, absolute % 60);
    let text = match (letter, count) {
        ('X', _) | ('Z', 5) if seconds == 0 => "Z".to_owned(),
        ('O', _) | ('Z', 4) if seconds == 0 => "GMT".to_owned(),
        ('O', 1) if minutes == 0 && rest == 0 => format!("GMT{sign}{hours}"),
        ('O', 1) if rest == 0 => format!("GMT{sign}{hours}:{minutes:02}"),
        ('O', 1) => format!("GMT{sign}{hours}:{minutes:02}:{rest:02}"),
        ('O', _) | ('Z', 4) if rest == 0 => format!("GMT{sign}{hours:02}:{minutes:02}"),
        ('O', _) | ('Z', 4) => format!("GMT{sign}{hours:02}:{minutes:02}:{rest:02}"),
        ('X' | 'x', 1) if minutes == 0 => format!("{sign}{hours:02}"),
        ('X' | 'x', 1 | 2) | ('Z', 1..=3) => format!("{sign}{hours:02}{minutes:02}"),
        ('X' | 'x', 4) if rest != 0 => format!("{sign}{hours:02}{minutes:02}{rest:02}"),
        ('X' | 'x', 4) => format!("{sign}{hours:02}{minutes:02}"),
        (_, 5) if rest != 0 => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}"),
    };
    output.push_str(&text);
}
