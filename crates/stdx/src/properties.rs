//! Java `.properties` files: ordered, with the line each entry came from.
//!
//! The format is that of `java.util.Properties`: `#` and `!` comments, `=`, `:` or white space between key and value, a
//! backslash at the end of a line continues it, `\t \n \r \f \uXXXX` escapes. Files are read as UTF-8. The last of several
//! entries with one key wins.

use std::fmt;
use std::path::{Path, PathBuf};

/// Entries in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: Vec<Property>,
}

/// One entry and the place it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The key, unescaped.
    pub key: String,
    /// The value, unescaped; white space at its end is kept as Java keeps it.
    pub value: String,
    /// The number of the line the entry begins on, counted from 1; 0 for entries made by [`Properties::set`].
    pub line: usize,
}

/// A properties file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PropertiesError {
    /// The file is missing, unreadable or not UTF-8.
    #[error("cannot read {}: {source}", .path.display())]
    Unreadable {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A `\u` that is not followed by four hexadecimal digits.
    #[error("line {line}: \\u must be followed by four hexadecimal digits")]
    BadUnicodeEscape {
        /// The line the entry begins on, counted from 1.
        line: usize,
    },
    /// A parse error of a named file.
    #[error("{}: {source}", .path.display())]
    InFile {
        /// The file asked for.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<PropertiesError>,
    },
}

impl Properties {
    /// No entries.
    pub fn new() -> Properties {
        Properties::default()
    }

    /// Parses the text of a properties file.
    ///
    /// # Errors
    /// [`PropertiesError::BadUnicodeEscape`]; everything else is a valid properties file.
    pub fn parse(text: &str) -> Result<Properties, PropertiesError> {
        let mut entries = Vec::new();
        for (line, logical) in logical_lines(text) {
            let (key, value) = split_entry(&logical);
            let unescape = |part: &str| unescape(part).ok_or(PropertiesError::BadUnicodeEscape { line });
            entries.push(Property { key: unescape(key)?, value: unescape(value)?, line });
        }
        Ok(Properties { entries })
    }

    /// Reads and parses a file.
    ///
    /// # Errors
    /// The file cannot be read, or [`Properties::parse`] refuses it; both name the file.
    pub fn load(path: impl AsRef<Path>) -> Result<Properties, PropertiesError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| PropertiesError::Unreadable { path: path.to_owned(), source })?;
        Properties::parse(&text)
            .map_err(|source| PropertiesError::InFile { path: path.to_owned(), source: Box::new(source) })
    }

    /// The value of `key`; that of its last entry if there are several.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Sets `key`, in place when it is there already.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        match self.entries.iter_mut().rev().find(|entry| entry.key == key) {
            Some(entry) => entry.value = value,
            None => self.entries.push(Property { key, value, line: 0 }),
        }
    }

    /// Every entry in order, repeated keys included.
    pub fn entries(&self) -> &[Property] {
        &self.entries
    }

    /// Keys and values in order, repeated keys included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (entry.key.as_str(), entry.value.as_str()))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl fmt::Display for Properties {
    /// The text of a properties file that parses to the same entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries
            .iter()
            .try_for_each(|entry| writeln!(f, "{}={}", escape(&entry.key, true), escape(&entry.value, false)))
    }
}

/// Joins continued lines and drops comments and blank lines; yields the number of each first line.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let normalized = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = normalized.split('\n').enumerate();
    let mut logical = Vec::new();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start_matches(BLANK);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut joined = line.to_owned();
        while ends_in_odd_backslashes(&joined) {
            joined.pop();
            match lines.next() {
                Some((_, next)) => joined.push_str(next.trim_start_matches(BLANK)),
                None => break,
            }
        }
        if !joined.is_empty() {
            logical.push((index + 1, joined));
        }
    }
    logical
}

const BLANK: [char; 3] = [' ', '\t', '\u{c}'];

fn ends_in_odd_backslashes(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The escaped key and value of one logical line.
fn split_entry(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|(_, c)| {
            let ends = !escaped && (BLANK.contains(c) || matches!(c, '=' | ':'));
            escaped = *c == '\\' && !escaped;
            ends
        })
        .map_or(line.len(), |(index, _)| index);
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(BLANK);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANK))
}

/// Resolves escapes; `None` for a bad `\u`.
fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = chars.next() {
        let c = match c {
            '\\' => match chars.next() {
                Some('u') => {
                    let digits: String = chars.by_ref().take(4).collect();
                    let plain = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                    units.push(plain.then(|| u16::from_str_radix(&digits, 16).ok()).flatten()?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(c.encode_utf16(&mut buffer));
    }
    Some(String::from_utf16_lossy(&units))
}

fn escape(text: &str, is_key: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\u{c}' => escaped.push_str("\\f"),
            ' ' if is_key || index == 0 => escaped.push_str("\\ "),
            '=' | ':' if is_key => escaped.extend(['\\', c]),
            '#' | '!' if is_key && index == 0 => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
