//! Dates as `SimpleDateFormat` reads them, which PARSE_DATE promises: numbers have any width, a month of 13 is January of
//! the next year, what the pattern does not name is 1970-01-01's, and what follows in the text does not matter.

use std::rc::Rc;

use super::format::{DAYS, MONTHS};
use super::zone;
use crate::expression::EvalError;
use crate::functions::cache::{Cache, cached};
use crate::value::{civil, days_of_civil};

const DAY_MS: i64 = 86_400_000;
/// Years of two digits lie in the hundred years that begin so long ago.
const CENTURY_BEGINS_YEARS_AGO: i64 = 80;
/// The largest number of a field, far from where sums of all fields would overflow.
const NUMBER_MAX: i64 = 999_999_999;

/// Days since 1970 of a text in a pattern.
///
/// # Errors
/// A wrong pattern, a text that does not follow it, a time that is not midnight.
pub fn parse_date(text: &str, pattern: &str) -> Result<i64, EvalError> {
    let parts = cached_parts(pattern)?;
    let mut reader = Reader { rest: text, fields: Fields::default() };
    for (index, part) in parts.iter().enumerate() {
        let packed = matches!((part, parts.get(index + 1)), (a, Some(b)) if a.is_number() && b.is_number());
        let read = match part {
            Part::Text(literal) => reader.literal(literal),
            Part::Field(letter, count) => reader.field(*letter, *count, packed),
        };
        read.ok_or_else(|| {
            let position = text.len() - reader.rest.len();
            EvalError::new(format!("Failed to parse date '{text}' with formatter '{pattern}' at index {position}"))
        })?;
    }
    let ms = reader.fields.milliseconds();
    let day_ms = i128::from(DAY_MS);
    if ms % day_ms != 0 {
        return Err(EvalError::new("Date format contains time field."));
    }
    i64::try_from(ms / day_ms).map_err(|_| EvalError::new("The date is out of range"))
}

/// The parts of a pattern, as this thread may know them already.
fn cached_parts(pattern: &str) -> Result<Rc<Vec<Part>>, EvalError> {
    thread_local! {
        static CACHE: Cache<Vec<Part>> = Cache::default();
    }
    cached(&CACHE, pattern, parts)
}

enum Part {
    Text(String),
    Field(char, usize),
}

impl Part {
    fn is_number(&self) -> bool {
        match self {
            Part::Text(_) => false,
            Part::Field('M' | 'L', count) => *count < 3,
            Part::Field(letter, _) => !matches!(letter, 'E' | 'G' | 'a' | 'z' | 'Z' | 'X'),
        }
    }
}

fn parts(pattern: &str) -> Result<Vec<Part>, EvalError> {
    let mut parts = Vec::new();
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if c.is_ascii_alphabetic() {
            let count = rest.chars().take_while(|next| *next == c).count();
            if !"GyYMLdDEuFWwaHhKkmsSXZz".contains(c) {
                return Err(EvalError::new(format!("Illegal pattern component: {}", &rest[..count])));
            }
            parts.push(Part::Field(c, count));
            rest = &rest[count..];
        } else {
            let (literal, behind) = literal(rest)?;
            parts.push(Part::Text(literal));
            rest = behind;
        }
    }
    Ok(parts)
}

/// The text up to the next letter outside quotation marks, two of which are one, and what follows.
fn literal(pattern: &str) -> Result<(String, &str), EvalError> {
    let (mut text, mut quoted) = (String::new(), false);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next().filter(|c| quoted || !c.is_ascii_alphabetic()) {
        rest = &rest[c.len_utf8()..];
        if c != '\'' {
            text.push(c);
        } else if let Some(behind) = rest.strip_prefix('\'') {
            text.push('\'');
            rest = behind;
        } else {
            quoted = !quoted;
        }
    }
    if quoted { Err(EvalError::new("Unterminated quote")) } else { Ok((text, rest)) }
}

/// What a text names; the rest is as it was at 1970-01-01T00:00.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    before_era: bool,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: i64,
    afternoon: bool,
    minute: i64,
    second: i64,
    millis: i64,
    offset: i64,
}

impl Fields {
    fn milliseconds(&self) -> i128 {
        let year = self.year.unwrap_or(1970);
        let year = if self.before_era { 1 - year } else { year };
        let days = match (self.day_of_year, self.month, self.day) {
            (Some(day), None, None) => days_of_civil(year, 1, 1) + day - 1,
            _ => {
                let months = self.month.unwrap_or(1) - 1;
                let first = days_of_civil(year + months.div_euclid(12), months.rem_euclid(12) as u32 + 1, 1);
                first + self.day.unwrap_or(1) - 1
            }
        };
        let hour = self.hour + if self.afternoon { 12 } else { 0 };
        let seconds = ((days * 24 + hour) * 60 + self.minute) * 60 + self.second - self.offset;
        i128::from(seconds) * 1000 + i128::from(self.millis)
    }
}

struct Reader<'a> {
    rest: &'a str,
    fields: Fields,
}

impl Reader<'_> {
    fn literal(&mut self, literal: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    fn field(&mut self, letter: char, count: usize, packed: bool) -> Option<()> {
        let width = packed.then_some(count);
        match letter {
            'y' | 'Y' => {
                let year = self.number(width)?;
                self.fields.year = Some(if count <= 2 && year < 100 { of_this_century(year) } else { year });
            }
            'M' | 'L' if count >= 3 => self.fields.month = Some(self.name(&MONTHS)? + 1),
            'M' | 'L' => self.fields.month = Some(self.number(width)?),
            'd' => self.fields.day = Some(self.number(width)?),
            'D' => self.fields.day_of_year = Some(self.number(width)?),
            'H' => self.fields.hour = self.number(width)?,
            'k' => self.fields.hour = self.number(width)? % 24,
            'K' | 'h' => self.fields.hour = self.number(width)? % 12,
            'm' => self.fields.minute = self.number(width)?,
            's' => self.fields.second = self.number(width)?,
            'S' => self.fields.millis = self.number(width)?,
            'a' => self.fields.afternoon = self.name(&["AM", "PM"])? == 1,
            'G' => self.fields.before_era = self.name(&["AD", "BC"])? == 1,
            'E' => {
                self.name(&DAYS)?;
            }
            'X' | 'Z' | 'z' => self.offset()?,
            _ => {
                self.number(width)?;
            }
        }
        Some(())
    }

    /// Digits: so many at most, or all there are with blanks before them.
    fn number(&mut self, width: Option<usize>) -> Option<i64> {
        if width.is_none() {
            self.rest = self.rest.trim_start();
        }
        let found = self.rest.bytes().take(width.unwrap_or(9)).take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(found);
        self.rest = rest;
        digits.parse().ok().filter(|number| *number <= NUMBER_MAX)
    }

    /// The index of a name, in full or by its first three letters, in any case.
    fn name(&mut self, names: &[&str]) -> Option<i64> {
        let heads = |name: &&str| [name.len(), 3].map(|length| name.get(..length).unwrap_or(name).len());
        for (index, name) in names.iter().enumerate() {
            for length in heads(name) {
                if self.rest.get(..length).is_some_and(|head| head.eq_ignore_ascii_case(&name[..length])) {
                    self.rest = &self.rest[length..];
                    return Some(index as i64);
                }
            }
        }
        None
    }

    fn offset(&mut self) -> Option<()> {
        let rest = self.rest;
        let utc = ["GMT", "UTC", "Z"].iter().find_map(|name| rest.strip_prefix(name));
        match zone::read_offset(utc.unwrap_or(rest)) {
            Some((seconds, behind)) => (self.fields.offset, self.rest) = (i64::from(seconds), behind),
            None => (self.fields.offset, self.rest) = (0, utc?),
        }
        Some(())
    }
}

fn of_this_century(year: i64) -> i64 {
    let today = jiff::Timestamp::now().as_second().div_euclid(DAY_MS / 1000);
    let first = civil(today).0 - CENTURY_BEGINS_YEARS_AGO;
    let candidate = first.div_euclid(100) * 100 + year;
    if candidate < first { candidate + 100 } else { candidate }
}
