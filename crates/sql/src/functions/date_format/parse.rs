//! Reading times in a pattern.

use super::format::{DAYS, MONTHS};
use super::pattern::Part;
use super::resolve::{Field, ParsedFields};
use super::{Pattern, zone};
use crate::expression::EvalError;

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

/// The digits that a number has, and its sign.
struct Number {
    min: usize,
    max: usize,
    sign: Sign,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// None.
    Never,
    /// A minus.
    Minus,
    /// A minus, and a plus where there are more digits than letters.
    Wide,
}

impl Number {
    /// How a field of digits is written.
    fn of(letter: char, count: usize) -> Number {
        let number = |min, max, sign| Number { min, max, sign };
        match (letter, count) {
            ('u' | 'y' | 'Y', 4..) => number(count, 19, Sign::Wide),
            ('A' | 'n' | 'N', _) => number(count, 19, Sign::Never),
            ('D', 2..) => number(count, 3, Sign::Never),
            ('w' | 'W' | 'e' | 'c', _) => number(count, 2, Sign::Never),
            ('g', _) | ('u' | 'y' | 'Y', 1 | 3) | (_, 1) => number(count, 19, Sign::Minus),
            _ => number(count, count, Sign::Never),
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    fields: ParsedFields,
}

impl<'a> Reader<'a> {
    /// Reads parts in order; `None` where the text does not follow, `rest` then stands there.
    fn parts(&mut self, parts: &[Part]) -> Option<()> {
        for part in parts {
            match part {
                Part::Text(text) => self.literal(text)?,
                Part::Field(letter, count, reserved) => self.field(*letter, *count, *reserved)?,
                Part::Padded(width, letter, count) => self.padded(*width, *letter, *count)?,
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

    /// Takes the text if the rest begins with it, in any case.
    fn literal(&mut self, text: &str) -> Option<()> {
        let head = self.rest.get(..text.len())?;
        if !head.eq_ignore_ascii_case(text) {
            return None;
        }
        self.rest = &self.rest[text.len()..];
        Some(())
    }

    /// A field in exactly so many characters, blanks before it among them.
    fn padded(&mut self, width: usize, letter: char, count: usize) -> Option<()> {
        let (text, behind) = self.rest.split_at_checked(width)?;
        let mut inner = Reader { rest: text.trim_start_matches(' '), fields: self.fields.clone() };
        inner.field(letter, count, 0)?;
        if !inner.rest.is_empty() {
            return None;
        }
        self.fields = inner.fields;
        self.rest = behind;
        Some(())
    }

    fn field(&mut self, letter: char, count: usize, reserved: usize) -> Option<()> {
        match letter {
            'M' | 'L' if count >= 3 => {
                let month = self.name(&MONTHS, count)? + 1;
                self.fields.set(Field::Month, month)
            }
            'Q' | 'q' if count >= 3 => {
                self.literal("Q")?;
                let quarter = self.digits(1, 1)?;
                self.fields.set(Field::Quarter, quarter)
            }
            'E' | 'e' | 'c' if letter == 'E' || count >= 3 => {
                let weekday = self.name(&DAYS, count)? + 1;
                self.fields.set(Field::Weekday, weekday)
            }
            'a' => {
                let half = self.word(&["AM", "PM"])?;
                self.fields.set(Field::HalfDay, half)
            }
            'G' => {
                let era = self.word(if count == 4 { &["Before Christ", "Anno Domini"] } else { &["BC", "AD"] })?;
                self.fields.set(Field::Era, era)
            }
            'S' => self.fraction(count, reserved),
            'V' | 'z' => self.zone(letter == 'z'),
            'O' => self.localized_offset(count == 4),
            'Z' if count == 4 => self.localized_offset(true),
            'X' | 'x' | 'Z' => self.offset(letter, count),
            'B' => None,
            _ => {
                let number = match (letter, count) {
                    // Two digits mean a year of this century.
                    ('u' | 'y' | 'Y', 2) => 2000 + self.digits(2, 2)?,
                    _ => self.number(&Number::of(letter, count), reserved)?,
                };
                self.fields.set(Field::of(letter)?, number)
            }
        }
    }

    /// A number, which leaves so many of the digits that follow each other to others.
    fn number(&mut self, number: &Number, reserved: usize) -> Option<i64> {
        let signed = self.rest.starts_with('-') || self.rest.starts_with('+');
        let negative = self.rest.starts_with('-');
        match number.sign {
            Sign::Never if signed => return None,
            Sign::Minus if signed && !negative => return None,
            _ => {}
        }
        let before = self.rest;
        self.rest = if signed { &self.rest[1..] } else { self.rest };
        let found = self.rest.bytes().take(number.max + reserved).take_while(u8::is_ascii_digit).count();
        let length = if reserved > 0 { number.min.max(found.saturating_sub(reserved)) } else { found };
        let is_wide = length > number.min;
        let wrong_sign = number.sign == Sign::Wide && !negative && signed != is_wide;
        let value = if wrong_sign { None } else { self.digits(number.min, length.max(number.min)) };
        match value {
            Some(0) if negative => None,
            Some(value) => Some(if negative { -value } else { value }),
            None => {
                self.rest = before;
                None
            }
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

    /// The digits behind the point of a second.
    fn fraction(&mut self, count: usize, reserved: usize) -> Option<()> {
        let found = self.rest.bytes().take(count + reserved).take_while(u8::is_ascii_digit).count();
        if found < count {
            return None;
        }
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        self.fields.set(Field::Nano, format!("{digits:0<9}").parse().ok()?)
    }

    /// Index of the name, in full or by its first letters.
    fn name(&mut self, names: &[&str], count: usize) -> Option<i64> {
        let lengths = |name: &str| [name.len(), name.len().min(3)];
        for (index, name) in names.iter().enumerate() {
            let wanted = if count == 4 { lengths(name) } else { [name.len().min(3); 2] };
            if count <= 4 && wanted.into_iter().any(|length| self.literal(&name[..length]).is_some()) {
                return Some(index as i64);
            }
        }
        None
    }

    fn word(&mut self, words: &[&str]) -> Option<i64> {
        words.iter().position(|word| self.literal(word).is_some()).map(|index| index as i64)
    }

    /// `+01`, `+0130`, `+01:30`, `+01:30:15` as the letters say; `Z` or zeros for none.
    fn offset(&mut self, letter: char, count: usize) -> Option<()> {
        let (colons, minutes, seconds) = match (letter, count) {
            ('Z', 1..=3) => (false, true, false),
            ('Z', _) => (true, true, true),
            (_, 1) => (false, false, false),
            (_, count) => (count % 2 == 1, true, count >= 4),
        };
        let none = match (letter, count) {
            ('X', _) | ('Z', 5) => "Z",
            ('x', 1) => "+00",
            ('x', 3 | 5) => "+00:00",
            _ => "+0000",
        };
        if self.literal(none).is_some() {
            // Zero hours may have minutes.
            let more = none == "+00" && zone::two_digits(self.rest).is_some();
            if !more {
                return self.fields.set_offset(0);
            }
            let minutes = i64::from(zone::two_digits(self.rest)?);
            self.rest = &self.rest[2..];
            return self.fields.set_offset(minutes * 60);
        }
        let sign = self.sign()?;
        let mut total = self.two(23)? * 3600;
        let mut next = |limit: i64, unit: i64, wanted: bool| {
            let before = self.rest;
            let read = (!colons || self.literal(":").is_some()).then(|| self.two(limit)).flatten();
            match read {
                Some(number) => Some(number * unit),
                None if wanted => None,
                None => {
                    self.rest = before;
                    Some(0)
                }
            }
        };
        total += next(59, 60, minutes)?;
        if seconds {
            total += next(59, 1, false)?;
        }
        self.fields.set_offset(sign * total)
    }

    /// `GMT`, `GMT+1`, `GMT+01:30`.
    fn localized_offset(&mut self, full: bool) -> Option<()> {
        self.literal("GMT")?;
        let Some(sign) = self.sign() else { return self.fields.set_offset(0) };
        let hours = if full { self.two(23)? } else { self.digits(1, 2).filter(|hours| *hours < 24)? };
        let mut total = hours * 3600;
        for unit in [60, 1] {
            let before = self.rest;
            match self.literal(":").and_then(|()| self.two(59)) {
                Some(number) => total += number * unit,
                None if full && unit == 60 => return None,
                None => {
                    self.rest = before;
                    break;
                }
            }
        }
        self.fields.set_offset(sign * total)
    }

    fn sign(&mut self) -> Option<i64> {
        match self.literal("-") {
            Some(()) => Some(-1),
            None => self.literal("+").map(|()| 1),
        }
    }

    /// Two digits up to a limit.
    fn two(&mut self, limit: i64) -> Option<i64> {
        self.digits(2, 2).filter(|number| *number <= limit)
    }

    /// An id or an offset, or a short name where those are asked for.
    fn zone(&mut self, short_names: bool) -> Option<()> {
        let end = self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/_+-:".contains(c)));
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let known = |name: &str| match short_names {
            true => zone::find(name).ok(),
            false => zone::region(name).ok().map(|zone| zone.time_zone),
        };
        let found = known(name).or_else(|| known(&name.to_ascii_uppercase())).or_else(|| known(&zone::spelled(name)?));
        self.fields.set_zone(found?);
        self.rest = rest;
        Some(())
    }
}
