//! Reading times in a pattern.

use super::format::{DAYS, MONTHS};
use super::pattern::Part;
use super::{Pattern, zone};
use crate::expression::EvalError;
use crate::value::days_of_civil;
use crate::value::parse_date_time::valid_day;

/// The fields that a text names.
#[derive(Clone, Debug, Default)]
pub struct ParsedFields {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half_day_hour: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: Option<i64>,
    milli_of_day: Option<i64>,
    offset: Option<i32>,
    zone: Option<String>,
    before_era: bool,
}

impl Pattern {
    /// The fields of a text; an error says where it does not follow the pattern.
    pub fn parse(&self, text: &str) -> Result<ParsedFields, EvalError> {
        let mut reader = Reader { rest: text, fields: ParsedFields::default() };
        let read = reader.parts(&self.parts);
        if read.is_none() {
            return Err(EvalError::new(format!(
                "Text '{text}' could not be parsed at index {} with the pattern '{}'",
                text.len() - reader.rest.len(),
                self.text
            )));
        }
        if !reader.rest.is_empty() {
            return Err(EvalError::new(format!(
                "Text '{text}' could not be parsed, unparsed text found at index {}",
                text.len() - reader.rest.len()
            )));
        }
        Ok(reader.fields)
    }
}

impl ParsedFields {
    /// Days since 1970 of a text that names a whole date.
    ///
    /// # Errors
    /// What is missing.
    pub fn days_in_full(&self) -> Result<i64, EvalError> {
        let day = self.day_of_year.is_some() || (self.month.is_some() && self.day.is_some());
        if self.year.is_none() || !day {
            return Err(EvalError::new("The text does not name a year, a month and a day"));
        }
        self.days()
    }

    /// Milliseconds of the day of a text that names a time and no date.
    ///
    /// # Errors
    /// What is missing, or too much.
    pub fn time(&self) -> Result<i64, EvalError> {
        let dates = [self.year, self.month, self.day, self.day_of_year];
        if dates.iter().any(Option::is_some) {
            return Err(EvalError::new("Time format contains date field."));
        }
        let hour = self.hour.is_some() || (self.half_day_hour.is_some() && self.afternoon.is_some());
        if !hour && self.milli_of_day.is_none() {
            return Err(EvalError::new("The text does not name an hour"));
        }
        self.time_ms()
    }

    /// Days since 1970; what the text does not name is 1970-01-01's.
    pub fn days(&self) -> Result<i64, EvalError> {
        let year = self.year.unwrap_or(1970);
        let year = if self.before_era { 1 - year } else { year };
        if let Some(day) = self.day_of_year {
            return Ok(days_of_civil(year, 1, 1) + day - 1);
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        let invalid = || EvalError::new(format!("Invalid date: {year}-{month}-{day}"));
        let (month, day) = (u32::try_from(month).map_err(|_| invalid())?, u32::try_from(day).map_err(|_| invalid())?);
        // A day that only some years have, such as 29 February, goes back to the month's last.
        let day = (1..=day.min(31)).rev().find(|day| valid_day(year, month, *day)).filter(|found| day - found < 4);
        day.map(|day| days_of_civil(year, month, day)).ok_or_else(invalid)
    }

    /// Milliseconds of the day; what the text does not name is 0.
    pub fn time_ms(&self) -> Result<i64, EvalError> {
        if let Some(ms) = self.milli_of_day {
            return Ok(ms);
        }
        let afternoon = i64::from(self.afternoon.unwrap_or(false)) * 12;
        let hour = self.hour.or_else(|| self.half_day_hour.map(|hour| hour + afternoon)).unwrap_or(0);
        let (minute, second) = (self.minute.unwrap_or(0), self.second.unwrap_or(0));
        if hour > 23 || minute > 59 || second > 59 {
            return Err(EvalError::new(format!("Invalid time: {hour}:{minute}:{second}")));
        }
        Ok(((hour * 60 + minute) * 60 + second) * 1000 + self.nanos.unwrap_or(0) / 1_000_000)
    }

    /// Milliseconds since 1970; `zone` counts where the text names none.
    pub fn timestamp_ms(&self, zone: &str) -> Result<i64, EvalError> {
        let local = self.days()? * 86_400_000 + self.time_ms()?;
        if let Some(offset) = self.offset {
            return Ok(local - i64::from(offset) * 1000);
        }
        let time_zone = self.zone.as_deref().map_or_else(|| zone::region(zone), zone::find)?;
        // The zone's offset at the local time taken as UTC is off by one change at most; the second look corrects it.
        let guess = local - i64::from(zone::offset_of(&time_zone, local)?) * 1000;
        Ok(local - i64::from(zone::offset_of(&time_zone, guess)?) * 1000)
    }
}

struct Reader<'a> {
    rest: &'a str,
    fields: ParsedFields,
}

impl<'a> Reader<'a> {
    /// Reads parts in order; `None` where the text does not follow, `rest` then stands there.
    fn parts(&mut self, parts: &[Part]) -> Option<()> {
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Text(text) => {
                    let head = self.rest.get(..text.len())?;
                    if !head.eq_ignore_ascii_case(text) {
                        return None;
                    }
                    self.rest = &self.rest[text.len()..];
                }
                Part::Field(letter, count) => {
                    let adjacent =
                        matches!(parts.get(index + 1), Some(Part::Field(next, width)) if is_number(*next, *width));
                    self.field(*letter, *count, adjacent)?;
                }
                Part::Optional(inner) => {
                    let (rest, fields) = (self.rest, self.fields.clone());
                    if self.parts(inner).is_none() {
                        self.rest = rest;
                        self.fields = fields;
                    }
                }
            }
        }
        Some(())
    }

    fn field(&mut self, letter: char, count: usize, adjacent: bool) -> Option<()> {
        match letter {
            'y' | 'u' | 'Y' => self.fields.year = Some(self.year(count, adjacent)?),
            'M' | 'L' if count >= 3 => self.fields.month = Some(self.name(&MONTHS, count)? + 1),
            'M' | 'L' => self.fields.month = Some(self.number(count, adjacent)?),
            'd' => self.fields.day = Some(self.number(count, adjacent)?),
            'D' => self.fields.day_of_year = Some(self.digits(count, if adjacent { count } else { 3 })?),
            'H' => self.fields.hour = Some(self.number(count, adjacent)?),
            'k' => self.fields.hour = Some(self.number(count, adjacent)? % 24),
            'K' | 'h' => self.fields.half_day_hour = Some(self.number(count, adjacent)? % 12),
            'm' => self.fields.minute = Some(self.number(count, adjacent)?),
            's' => self.fields.second = Some(self.number(count, adjacent)?),
            'S' => {
                let before = self.rest;
                self.digits(count, count)?;
                let digits = &before[..count.min(9)];
                self.fields.nanos = Some(format!("{digits:0<9}").parse().ok()?);
            }
            'n' => self.fields.nanos = Some(self.digits(1, 19)?),
            'A' => self.fields.milli_of_day = Some(self.digits(1, 19)?),
            'N' => self.fields.milli_of_day = Some(self.digits(1, 19)? / 1_000_000),
            'a' | 'B' => self.fields.afternoon = Some(self.word(&["AM", "PM"])? == 1),
            'E' | 'e' | 'c' if letter == 'E' || count >= 3 => {
                self.name(&DAYS, count)?;
            }
            'G' => self.fields.before_era = self.word(&["AD", "BC"])? == 1,
            'Q' | 'q' | 'e' | 'c' | 'w' | 'W' => {
                self.digits(1, 2)?;
            }
            'V' | 'z' => self.zone()?,
            _ => self.offset()?,
        }
        Some(())
    }

    fn year(&mut self, count: usize, adjacent: bool) -> Option<i64> {
        if count == 2 {
            // Two digits mean a year of this century.
            return self.digits(2, 2).map(|year| 2000 + year);
        }
        let negative = self.rest.starts_with('-');
        if negative || self.rest.starts_with('+') {
            self.rest = &self.rest[1..];
        }
        let year = self.digits(count, if adjacent { count.max(4) } else { 19 })?;
        Some(if negative { -year } else { year })
    }

    /// A field of two digits at most: exactly so many as letters, at least one where there is one letter.
    fn number(&mut self, count: usize, adjacent: bool) -> Option<i64> {
        match count {
            1 if adjacent => self.digits(1, 1),
            1 => self.digits(1, 19),
            count => self.digits(count, count),
        }
    }

    fn digits(&mut self, min: usize, max: usize) -> Option<i64> {
        let found = self.rest.bytes().take(max).take_while(u8::is_ascii_digit).count();
        if found < min.max(1) {
            return None;
        }
        let (digits, rest) = self.rest.split_at(found);
        let number = digits.parse().ok()?;
        self.rest = rest;
        Some(number)
    }

    /// Index of the name, short or long as the pattern says.
    fn name(&mut self, names: &[&str], count: usize) -> Option<i64> {
        for (index, name) in names.iter().enumerate() {
            let wanted = if count == 3 || (count < 3 && name.len() > 3) { name.get(..3)? } else { name };
            if self.rest.get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted)) {
                self.rest = &self.rest[wanted.len()..];
                return Some(index as i64);
            }
        }
        None
    }

    fn word(&mut self, words: &[&str]) -> Option<usize> {
        let found = words
            .iter()
            .position(|word| self.rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)))?;
        self.rest = &self.rest[words[found].len()..];
        Some(found)
    }

    /// `Z`, `+01:00`, `GMT+1`, ...
    fn offset(&mut self) -> Option<()> {
        let rest = self.rest;
        let after = rest.strip_prefix("GMT").or_else(|| rest.strip_prefix("UTC"));
        if let Some(after) = rest.strip_prefix('Z') {
            self.rest = after;
            self.fields.offset = Some(0);
            return Some(());
        }
        match zone::read_offset(after.unwrap_or(rest)) {
            Some((seconds, behind)) => {
                self.rest = behind;
                self.fields.offset = Some(seconds);
            }
            None => {
                self.rest = after?;
                self.fields.offset = Some(0);
            }
        }
        Some(())
    }

    /// An id, a short name or an offset.
    fn zone(&mut self) -> Option<()> {
        if self.rest.starts_with(['+', '-']) {
            return self.offset();
        }
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/_+-:".contains(c))).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        zone::find(name).ok()?;
        self.fields.zone = Some(name.to_owned());
        self.rest = rest;
        Some(())
    }
}

/// Whether a field is digits, so that the one before it must know where to stop.
fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' | 'Q' | 'q' | 'e' | 'c' => count < 3,
        letter => "uyYDdwWhKkHmsSAnN".contains(letter),
    }
}
