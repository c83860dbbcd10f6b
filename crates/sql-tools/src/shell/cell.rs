//! The values of a row as text.
//!
//! Numbers keep the digits that the server sent: `1.10` stays `1.10`, which a number type would shorten.

use std::iter::Peekable;
use std::str::Chars;

/// Values nested deeper than this are not read.
const DEPTH_MAX: usize = 128;

/// A JSON value whose numbers are text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// `true`, `false`, a number.
    Plain(String),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Cell>),
    /// Values by name, in order.
    Map(Vec<(String, Cell)>),
}

impl Cell {
    /// Reads JSON; `None` when it is none.
    pub fn parse(text: &str) -> Option<Cell> {
        let mut reader = Reader { chars: text.chars().peekable() };
        let value = reader.value(0)?;
        reader.skip_blanks();
        reader.chars.next().is_none().then_some(value)
    }

    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<&Cell> {
        match self {
            Cell::Map(entries) => entries.iter().find(|(own, _)| own == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text, when it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    /// As Java prints collections: `[a, b]`, `{K=v}`.
    pub fn shown(&self) -> String {
        match self {
            Cell::Null => "null".to_owned(),
            Cell::Plain(text) | Cell::Text(text) => text.clone(),
            Cell::List(cells) => {
                let cells: Vec<String> = cells.iter().map(Cell::shown).collect();
                format!("[{}]", cells.join(", "))
            }
            Cell::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(name, value)| format!("{name}={}", value.shown())).collect();
                format!("{{{}}}", entries.join(", "))
            }
        }
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn skip_blanks(&mut self) {
        while self.chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
    }

    /// The next character that is no blank, taken only if it is `wanted`.
    fn accept(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        self.chars.next_if_eq(&wanted).is_some()
    }

    fn value(&mut self, depth: usize) -> Option<Cell> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.skip_blanks();
        match *self.chars.peek()? {
            '"' => self.text().map(Cell::Text),
            '[' => {
                self.chars.next();
                let mut cells = Vec::new();
                self.members(']', |reader| {
                    cells.push(reader.value(depth + 1)?);
                    Some(())
                })?;
                Some(Cell::List(cells))
            }
            '{' => {
                self.chars.next();
                let mut entries = Vec::new();
                self.members('}', |reader| {
                    reader.skip_blanks();
                    let name = reader.text()?;
                    if !reader.accept(':') {
                        return None;
                    }
                    entries.push((name, reader.value(depth + 1)?));
                    Some(())
                })?;
                Some(Cell::Map(entries))
            }
            _ => {
                let mut word = String::new();
                while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)) {
                    word.push(c);
                }
                match word.as_str() {
                    "" => None,
                    "null" => Some(Cell::Null),
                    _ => Some(Cell::Plain(word)),
                }
            }
        }
    }

    fn members(&mut self, end: char, mut member: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.accept(end) {
            return Some(());
        }
        loop {
            member(self)?;
            if self.accept(end) {
                return Some(());
            }
            if !self.accept(',') {
                return None;
            }
        }
    }

    /// A text in double quotes. The escapes are left to the JSON library.
    fn text(&mut self) -> Option<String> {
        let mut raw = String::from(self.chars.next_if_eq(&'"')?);
        loop {
            let c = self.chars.next()?;
            raw.push(c);
            match c {
                '\\' => raw.push(self.chars.next()?),
                '"' => return serde_json::from_str(&raw).ok(),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        Cell::parse(json).unwrap().shown()
    }

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(
            shown("[1.10, -1.0E10, 123456789012345678901234567890]"),
            "[1.10, -1.0E10, 123456789012345678901234567890]"
        );
    }

    #[test]
    fn collections_are_shown_as_java_prints_them() {
        assert_eq!(
            shown(r#"{"A": [1, null, "x, y"], "B": {"c": true}, "D": {}}"#),
            "{A=[1, null, x, y], B={c=true}, D={}}"
        );
        assert_eq!(shown(r#""a\"b\\\u00e4\n""#), "a\"b\\ä\n");
    }

    #[test]
    fn what_is_no_json_is_told() {
        for text in ["", "[1", "[1,]", "{\"a\"}", "\"a", "1 2", "{1:2}", &"[".repeat(10_000)] {
            assert_eq!(Cell::parse(text), None, "{text}");
        }
    }
}
