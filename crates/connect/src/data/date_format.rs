//! Dates by the patterns of Java's `SimpleDateFormat`, in UTC, with English names and weeks that begin on Sunday
//! (Java's locale `en_US`).
//!
//! All letters are there: `G y Y M L w W D d F E u a H k K h m s S z Z X`. As in Java, parsing is lenient (the 32nd of a
//! month is in the next one), `S` counts milliseconds however many digits there are, and text after the pattern is
//! left aside.

mod calendar;
mod parse;

use std::fmt::Write as _;

pub use calendar::MILLIS_PER_DAY;
use calendar::{Calendar, MONTHS, WEEKDAYS};

/// A pattern that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateFormat {
    pattern: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// Text as it is.
    Literal(String),
    /// A letter, so many times.
    Field(char, usize),
}

/// Why a pattern is refused, or a text does not match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DateFormatError {
    /// A letter without a meaning.
    #[error("Illegal pattern character '{0}'")]
    IllegalCharacter(char),
    /// A quote that is not closed.
    #[error("Unterminated quote")]
    UnterminatedQuote,
    /// The text is not a date of the pattern.
    #[error("Unparseable date: \"{0}\"")]
    Unparseable(String),
}

impl DateFormat {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A letter that has no meaning, a quote that is not closed.
    pub fn new(pattern: &str) -> Result<DateFormat, DateFormatError> {
        let mut parts: Vec<Part> = Vec::new();
        let mut quoted = false;
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            if character == '\'' {
                if characters.next_if_eq(&'\'').is_some() {
                    push_literal(&mut parts, '\'');
                } else {
                    quoted = !quoted;
                }
            } else if quoted || !character.is_ascii_alphabetic() {
                push_literal(&mut parts, character);
            } else if !"GyMdkHmsSEDFwWahKzZYuXL".contains(character) {
                return Err(DateFormatError::IllegalCharacter(character));
            } else {
                let mut count = 1;
                while characters.next_if_eq(&character).is_some() {
                    count += 1;
                }
                parts.push(Part::Field(character, count));
            }
        }
        if quoted {
            return Err(DateFormatError::UnterminatedQuote);
        }
        Ok(DateFormat { pattern: pattern.to_owned(), parts })
    }

    /// The pattern as it was written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The moment, in milliseconds since the epoch, as text.
    pub fn format(&self, millis: i64) -> String {
        let calendar = Calendar::new(millis);
        let mut text = String::with_capacity(self.pattern.len() + 8);
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Field(letter, count) => format_field(&calendar, *letter, *count, &mut text),
            }
        }
        text
    }

    /// The moment that a text names, in milliseconds since the epoch.
    ///
    /// # Errors
    /// A text that does not begin as the pattern says.
    pub fn parse(&self, text: &str) -> Result<i64, DateFormatError> {
        parse::parse(&self.parts, text).ok_or_else(|| DateFormatError::Unparseable(text.to_owned()))
    }
}

/// The moment by a pattern that is used once.
///
/// # Errors
/// As [`DateFormat::new`].
pub fn format(pattern: &str, millis: i64) -> Result<String, DateFormatError> {
    Ok(DateFormat::new(pattern)?.format(millis))
}

fn push_literal(parts: &mut Vec<Part>, character: char) {
    match parts.last_mut() {
        Some(Part::Literal(literal)) => literal.push(character),
        _ => parts.push(Part::Literal(character.to_string())),
    }
}

fn format_field(calendar: &Calendar, letter: char, count: usize, text: &mut String) {
    let number = match letter {
        'G' => return text.push_str(if calendar.year > 0 { "AD" } else { "BC" }),
        'E' => return push_name(&WEEKDAYS, calendar.weekday, count >= 4, text),
        'M' | 'L' if count >= 3 => return push_name(&MONTHS, calendar.month - 1, count >= 4, text),
        'a' => return text.push_str(if calendar.hour < 12 { "AM" } else { "PM" }),
        'z' => return text.push_str(if count >= 4 { "Coordinated Universal Time" } else { "UTC" }),
        'Z' => return text.push_str("+0000"),
        'X' => return text.push('Z'),
        'y' | 'Y' => {
            let year = if letter == 'y' { calendar.year } else { calendar.week_year() };
            let of_era = if year > 0 { year } else { 1 - year };
            match count {
                2 => of_era.rem_euclid(100),
                _ => of_era,
            }
        }
        'M' | 'L' => calendar.month,
        'w' => calendar.week_of_year(),
        'W' => calendar.week_of_month(),
        'D' => calendar.day_of_year(),
        'd' => calendar.day,
        'F' => (calendar.day - 1) / 7 + 1,
        'u' => (calendar.weekday + 6) % 7 + 1,
        'H' => calendar.hour,
        'k' => (calendar.hour + 23) % 24 + 1,
        'K' => calendar.hour % 12,
        'h' => (calendar.hour + 11) % 12 + 1,
        'm' => calendar.minute,
        's' => calendar.second,
        _ => calendar.millisecond,
    };
    // Writing to a string cannot fail.
    let _ = write!(text, "{number:0count$}");
}

fn push_name(names: &[&str], index: i64, full: bool, text: &mut String) {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
    text.push_str(if full { name } else { &name[..3.min(name.len())] });
}

#[cfg(test)]
mod tests;
