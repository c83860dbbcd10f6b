//! Text to [`Node`].

use super::{DEPTH_MAX, Members, Node};

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A syntax error; line and column count from 1.
    #[error("{message} at line {line} column {column}")]
    Syntax {
        /// What was expected or found.
        message: String,
        /// Line of the offending character.
        line: usize,
        /// Column of the offending character, in characters.
        column: usize,
    },
    /// More than [`DEPTH_MAX`] arrays and objects inside each other.
    #[error("document nesting depth ({}) exceeds the maximum allowed ({DEPTH_MAX})", DEPTH_MAX + 1)]
    TooDeep,
    /// A number with more than [`NUMBER_DIGITS_MAX`] digits.
    #[error(
        "Number value length ({0}) exceeds the maximum allowed ({NUMBER_DIGITS_MAX}, from `StreamReadConstraints.getMaxNumberLength()`)"
    )]
    LongNumber(usize),
}

/// Most digits of a number where texts come with records: to calculate with more takes time with the square of them.
const NUMBER_DIGITS_MAX: usize = 1000;

/// Reads a JSON text (RFC 8259).
///
/// # Errors
/// A syntax error, also anything after the value; nesting deeper than [`DEPTH_MAX`].
pub fn read(text: &str) -> Result<Node, ReadError> {
    document(text, false)
}

/// As [`read`], with `/* */`, `//` comments, which Avro's parser skips.
///
/// # Errors
/// As [`read`].
pub fn read_with_comments(text: &str) -> Result<Node, ReadError> {
    document(text, true)
}

/// Reads the JSON text at the beginning of a text, whatever follows; `None` where there is nothing but blanks. Numbers and
/// words do not end by themselves, so that behind them there must be a blank or nothing.
///
/// # Errors
/// As [`read`], without the rest; also a number with more than [`NUMBER_DIGITS_MAX`] digits.
pub fn read_first(text: &str) -> Result<Option<Node>, ReadError> {
    let mut reader = Reader { text, position: 0, depth: 0, comments: false, digits_max: NUMBER_DIGITS_MAX };
    reader.skip_blanks()?;
    if reader.peek().is_none() {
        return Ok(None);
    }
    let node = reader.value()?;
    let ends_itself = matches!(node, Node::Array(_) | Node::Object(_) | Node::String(_));
    match reader.peek() {
        None | Some(b' ' | b'\n' | b'\r' | b'\t') => Ok(Some(node)),
        Some(_) if ends_itself => Ok(Some(node)),
        Some(_) => Err(reader.unexpected("a blank behind the value")),
    }
}

fn document(text: &str, comments: bool) -> Result<Node, ReadError> {
    let mut reader = Reader { text, position: 0, depth: 0, comments, digits_max: usize::MAX };
    let node = reader.value()?;
    reader.skip_blanks()?;
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.error("unexpected content after the end of the document")),
    }
}

struct Reader<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
    comments: bool,
    digits_max: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn error(&self, message: impl Into<String>) -> ReadError {
        let before = self.text.get(..self.position).unwrap_or(self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        ReadError::Syntax { message: message.into(), line, column }
    }

    fn unexpected(&self, expected: &str) -> ReadError {
        match self.text.get(self.position..).and_then(|rest| rest.chars().next()) {
            Some(found) => self.error(format!("expected {expected}, found {found:?}")),
            None => self.error(format!("expected {expected}, found the end of the text")),
        }
    }

    fn skip_blanks(&mut self) -> Result<(), ReadError> {
        loop {
            match self.peek() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.position += 1,
                Some(b'/') if self.comments => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), ReadError> {
        let rest = &self.text[self.position..];
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(body) = rest.strip_prefix("/*") {
            body.find("*/").ok_or_else(|| self.error("comment without an end"))? + 4
        } else {
            return Err(self.unexpected("a value"));
        };
        self.position += end;
        Ok(())
    }

    fn value(&mut self) -> Result<Node, ReadError> {
        self.skip_blanks()?;
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Node::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Node::Bool(true)),
            Some(b'f') => self.literal("false", Node::Bool(false)),
            Some(b'n') => self.literal("null", Node::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    fn nested(&mut self, body: fn(&mut Self) -> Result<Node, ReadError>) -> Result<Node, ReadError> {
        if self.depth == DEPTH_MAX {
            return Err(ReadError::TooDeep);
        }
        self.depth += 1;
        self.position += 1;
        let node = body(self);
        self.depth -= 1;
        node
    }

    fn object(&mut self) -> Result<Node, ReadError> {
        let mut members = Members::new();
        self.skip_blanks()?;
        if self.peek() == Some(b'}') {
            self.position += 1;
            return Ok(Node::Object(members));
        }
        loop {
            self.skip_blanks()?;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("the name of a member"));
            }
            let name = self.string()?;
            self.skip_blanks()?;
            self.expect(b':', "':'")?;
            let value = self.value()?;
            members.insert(name, value);
            self.skip_blanks()?;
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'}') => {
                    self.position += 1;
                    return Ok(Node::Object(members));
                }
                _ => return Err(self.unexpected("',' or '}'")),
            }
        }
    }

    fn array(&mut self) -> Result<Node, ReadError> {
        let mut elements = Vec::new();
        self.skip_blanks()?;
        if self.peek() == Some(b']') {
            self.position += 1;
            return Ok(Node::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.skip_blanks()?;
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b']') => {
                    self.position += 1;
                    return Ok(Node::Array(elements));
                }
                _ => return Err(self.unexpected("',' or ']'")),
            }
        }
    }

    fn expect(&mut self, byte: u8, name: &str) -> Result<(), ReadError> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(name));
        }
        self.position += 1;
        Ok(())
    }

    fn literal(&mut self, word: &str, node: Node) -> Result<Node, ReadError> {
        if !self.text[self.position..].starts_with(word) {
            return Err(self.unexpected("a value"));
        }
        self.position += word.len();
        Ok(node)
    }

    fn number(&mut self) -> Result<Node, ReadError> {
        let start = self.position;
        if self.peek() == Some(b'-') {
            self.position += 1;
        }
        match self.peek() {
            Some(b'0') => self.position += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.position += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.position += 1;
            }
            self.digits()?;
        }
        if let Some(b'0'..=b'9') = self.peek() {
            return Err(self.error("a number must not start with 0"));
        }
        let number = &self.text[start..self.position];
        if number.len() > self.digits_max {
            let digits = number.bytes().filter(u8::is_ascii_digit).count();
            if digits > self.digits_max {
                return Err(ReadError::LongNumber(digits));
            }
        }
        Ok(Node::Number(number.into()))
    }

    fn digits(&mut self) -> Result<(), ReadError> {
        let start = self.position;
        while let Some(b'0'..=b'9') = self.peek() {
            self.position += 1;
        }
        if self.position == start { Err(self.unexpected("a digit")) } else { Ok(()) }
    }

    /// Reads a string; the position is at its opening quote.
    fn string(&mut self) -> Result<String, ReadError> {
        self.position += 1;
        let mut output = String::new();
        loop {
            let rest = &self.text[self.position..];
            let Some(end) = rest.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20) else {
                self.position = self.text.len();
                return Err(self.error("string without an end"));
            };
            output.push_str(&rest[..end]);
            self.position += end;
            match rest.as_bytes()[end] {
                b'"' => {
                    self.position += 1;
                    return Ok(output);
                }
                b'\\' => {
                    let c = self.escape()?;
                    output.push(c);
                }
                _ => return Err(self.error("control character in a string; it must be escaped")),
            }
        }
    }

    /// Reads an escape sequence; the position is at its backslash.
    fn escape(&mut self) -> Result<char, ReadError> {
        let c = match self.text.as_bytes().get(self.position + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.error("unknown escape sequence")),
        };
        self.position += 2;
        Ok(c)
    }

    fn unicode_escape(&mut self) -> Result<char, ReadError> {
        let first = self.code_unit()?;
        let scalar = match first {
            0xD800..=0xDBFF => {
                if !self.text[self.position..].starts_with("\\u") {
                    return Err(self.error("half of a surrogate pair"));
                }
                let second = self.code_unit()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.error("half of a surrogate pair"));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(scalar).ok_or_else(|| self.error("half of a surrogate pair"))
    }

    /// Reads `\uXXXX`.
    fn code_unit(&mut self) -> Result<u32, ReadError> {
        let digits = self.text.get(self.position + 2..self.position + 6);
        let unit = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.error("\\u needs four hexadecimal digits"))?;
        self.position += 6;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spelling;
    use super::*;

    #[test]
    fn order_and_numbers_are_kept() {
        let text = r#"{"b":1.50,"a":[true,null,-0,1E5,123456789012345678901234567890],"é":"ü\n\"\\/"}"#;
        assert_eq!(read(text).unwrap().text(Spelling::AsRead), text);
        let spaced = " { \"b\" : [ ] , \"a\" : { } } ";
        assert_eq!(read(spaced).unwrap().text(Spelling::AsRead), r#"{"b":[],"a":{}}"#);
    }

    #[test]
    fn a_repeated_name_replaces_the_value_in_place() {
        assert_eq!(read(r#"{"a":1,"b":2,"a":3}"#).unwrap().text(Spelling::AsRead), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn the_first_value_of_a_text_ends_somewhere() {
        for text in ["2020-01-01", "12abc", "nullable", "truex", "1]", "false\""] {
            assert!(read_first(text).is_err(), "{text}");
        }
        for text in ["12 abc", "null\tx", "{}x", "[1]]", "\"a\"b", "-1.5e3", "true\n"] {
            assert!(matches!(read_first(text), Ok(Some(_))), "{text}");
        }
        assert_eq!(read_first(" \n"), Ok(None));
    }

    #[test]
    fn numbers_of_records_are_not_endless() {
        let number = |digits: usize| format!("[-{}.5e1]", "1".repeat(digits - 2));
        assert!(read_first(&number(1000)).is_ok());
        assert_eq!(read_first(&number(1001)), Err(ReadError::LongNumber(1001)));
        assert!(read(&number(1001)).is_ok());
    }

    #[test]
    fn errors_name_line_and_column() {
        let at = |text: &str| read(text).unwrap_err().to_string();
        assert_eq!(at("{\n  \"a\": 1,\n  b"), "expected the name of a member, found 'b' at line 3 column 3");
        assert_eq!(at("[1 2]"), "expected ',' or ']', found '2' at line 1 column 4");
        assert_eq!(at(""), "expected a value, found the end of the text at line 1 column 1");
        assert_eq!(at("\"ü"), "string without an end at line 1 column 3");
        assert_eq!(at("1 1"), "unexpected content after the end of the document at line 1 column 3");
        for bad in ["01", "1.", "-", "1e", "\"\\x\"", "\"\\ud800\"", "\"\\u12\"", "\"\t\"", "tru", "{\"a\"}", "nul"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn surrogate_pairs_are_one_character() {
        assert_eq!(read(r#""\ud83d\ude00\u00e9""#).unwrap(), Node::String("😀é".to_owned()));
    }

    #[test]
    fn comments_are_skipped_where_they_are_allowed() {
        let text = "/* a */ [1, // one\n 2]";
        assert_eq!(read_with_comments(text).unwrap().text(Spelling::AsRead), "[1,2]");
        assert!(read(text).is_err());
        assert!(read_with_comments("/* a").is_err());
        assert!(read_with_comments("/a").is_err());
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(read(&nested(DEPTH_MAX + 1)), Err(ReadError::TooDeep));
        assert_eq!(read(&"{\"a\":".repeat(1_000_000)), Err(ReadError::TooDeep));
    }
}
