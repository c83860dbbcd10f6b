//! Characters to words: names, strings, numbers and comments of a `.proto` text.

use super::DEPTH_MAX;
use crate::{SchemaError, SchemaType};

/// Reads a text from left to right and knows the place it has reached.
pub struct Scanner<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
}

impl<'a> Scanner<'a> {
    /// At the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Scanner { text, position: 0, depth: 0 }
    }

    /// An error at the present place.
    pub fn error(&self, message: impl std::fmt::Display) -> SchemaError {
        self.error_at(self.position, message)
    }

    /// An error at the byte `position`.
    pub fn error_at(&self, position: usize, message: impl std::fmt::Display) -> SchemaError {
        let before = &self.text[..position.min(self.text.len())];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        SchemaError::invalid(SchemaType::Protobuf, format!("Syntax error at line {line}, column {column}: {message}"))
    }

    /// One level deeper; pair with [`leave`](Self::leave).
    pub fn enter(&mut self) -> Result<(), SchemaError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(SchemaError::TooDeep { limit: DEPTH_MAX });
        }
        Ok(())
    }

    /// Back from [`enter`](Self::enter).
    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    /// The byte offset of the next word, after blanks and comments.
    pub fn place(&mut self) -> Result<usize, SchemaError> {
        self.skip_blanks()?;
        Ok(self.position)
    }

    /// Whether nothing but blanks and comments is left.
    pub fn at_end(&mut self) -> Result<bool, SchemaError> {
        Ok(self.peek()?.is_none())
    }

    /// The next character after blanks and comments, which stays unread.
    pub fn peek(&mut self) -> Result<Option<char>, SchemaError> {
        self.skip_blanks()?;
        Ok(self.text[self.position..].chars().next())
    }

    /// Reads `expected` if it comes next.
    pub fn take(&mut self, expected: char) -> Result<bool, SchemaError> {
        let found = self.peek()? == Some(expected);
        if found {
            self.position += expected.len_utf8();
        }
        Ok(found)
    }

    /// Reads `expected`, which must come next.
    pub fn require(&mut self, expected: char) -> Result<(), SchemaError> {
        match self.peek()? {
            Some(found) if found == expected => {
                self.position += expected.len_utf8();
                Ok(())
            }
            Some(found) => Err(self.error(format_args!("expected '{expected}' but was '{found}'"))),
            None => Err(self.error("unexpected end of file")),
        }
    }

    /// Letters, digits, `_`, `-` and `.`: a name, a keyword or a number.
    pub fn word(&mut self) -> Result<&'a str, SchemaError> {
        self.skip_blanks()?;
        let rest = &self.text[self.position..];
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(rest.len());
        if end == 0 {
            let message = if rest.is_empty() { "unexpected end of file" } else { "expected a word" };
            return Err(self.error(message));
        }
        self.position += end;
        Ok(&rest[..end])
    }

    /// A word, also in parentheses or brackets. Tells which.
    pub fn name(&mut self) -> Result<(&'a str, Brackets), SchemaError> {
        let (brackets, close) = match self.peek()? {
            Some('(') => (Brackets::Round, ')'),
            Some('[') => (Brackets::Square, ']'),
            _ => return Ok((self.word()?, Brackets::None)),
        };
        self.position += 1;
        let word = self.word()?;
        self.require(close)?;
        Ok((word, brackets))
    }

    /// A whole number in decimal or, after `0x`, hexadecimal digits.
    pub fn integer(&mut self) -> Result<i32, SchemaError> {
        let at = self.place()?;
        let word = self.word()?;
        let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
        let number = match hexadecimal {
            Some(digits) => i32::from_str_radix(digits, 16),
            None => word.parse(),
        };
        number.map_err(|_| self.error_at(at, format_args!("expected an integer but was {word}")))
    }

    /// A string in quotes, or several in a row that make one; or a bare word.
    pub fn string(&mut self) -> Result<String, SchemaError> {
        match self.peek()? {
            Some('"' | '\'') => self.quoted(),
            _ => self.word().map(str::to_owned),
        }
    }

    /// A string in quotes, or several in a row that make one.
    pub fn quoted(&mut self) -> Result<String, SchemaError> {
        let mut result = String::new();
        let mut any = false;
        while let Some(quote @ ('"' | '\'')) = self.peek()? {
            self.position += 1;
            self.quoted_part(quote, &mut result)?;
            any = true;
        }
        if any { Ok(result) } else { Err(self.error("expected a string in quotes")) }
    }

    fn quoted_part(&mut self, quote: char, result: &mut String) -> Result<(), SchemaError> {
        let start = self.position;
        loop {
            let Some(c) = self.next_char() else { return Err(self.error_at(start, "unterminated string")) };
            match c {
                c if c == quote => return Ok(()),
                '\\' => {
                    let Some(escaped) = self.next_char() else {
                        return Err(self.error_at(start, "unterminated string"));
                    };
                    result.push(match escaped {
                        'a' => '\u{7}',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        'v' => '\u{b}',
                        'x' | 'X' => self.numeric_escape("", 16, 2)?,
                        '0'..='7' => {
                            self.position -= 1;
                            self.numeric_escape("", 8, 3)?
                        }
                        other => other,
                    });
                }
                c => result.push(c),
            }
        }
    }

    /// Up to `digits_max` digits of `radix` as the character with that number.
    fn numeric_escape(&mut self, prefix: &str, radix: u32, digits_max: usize) -> Result<char, SchemaError> {
        let rest = &self.text[self.position..];
        let digits = rest.chars().take(digits_max).take_while(|c| c.is_digit(radix)).count();
        let number = u32::from_str_radix(&rest[..digits], radix).ok().and_then(char::from_u32);
        self.position += digits;
        number.ok_or_else(|| self.error(format_args!("expected a digit after \\{prefix}x")))
    }

    fn next_char(&mut self) -> Option<char> {
        let c = self.text[self.position..].chars().next()?;
        self.position += c.len_utf8();
        Some(c)
    }

    fn skip_blanks(&mut self) -> Result<(), SchemaError> {
        loop {
            let rest = &self.text[self.position..];
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            self.position += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.position += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if let Some(comment) = trimmed.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(end) => self.position += end + 4,
                    None => return Err(self.error("unterminated comment")),
                }
            } else {
                return Ok(());
            }
        }
    }
}

/// What encloses a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brackets {
    /// Nothing.
    None,
    /// `(name)`: an extension, in an option.
    Round,
    /// `[name]`: an extension, in text format.
    Square,
}
