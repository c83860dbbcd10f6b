//! JSON text as records hold it: numbers keep their spelling, so that decimals are exact, and member order is kept.
//!
//! Depth is limited, since the text comes from anybody. Reading borrows strings without escapes from the text.

use std::borrow::Cow;

/// Deepest nesting that is read.
const DEPTH_MAX: usize = 200;

/// Most digits of a number: to calculate with more takes time with the square of them.
const NUMBER_DIGITS_MAX: usize = 1000;
/// How much of a word messages show.
const TOKEN_SHOWN: usize = 256;

/// What messages say that a value may be.
const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
const NAME: &str = "was expecting double-quote to start field name";
const COLON: &str = "was expecting a colon to separate field name and value";
const NEXT_MEMBER: &str = "was expecting comma to separate Object entries";
const NEXT_ELEMENT: &str = "was expecting comma to separate Array entries";
const SPACE: &str = "Expected space separating root-level values";
const NO_END: &str = "Unexpected end-of-input: was expecting closing quote for a string value";

/// A piece of JSON text.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as it was spelled.
    Number(Cow<'a, str>),
    /// A string without its escapes.
    String(Cow<'a, str>),
    /// `[...]`
    Array(Vec<Json<'a>>),
    /// `{...}` with its members in order; names may repeat.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// Why a text is not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {position}")]
pub struct JsonError {
    /// What was expected.
    pub message: String,
    /// Where.
    pub position: usize,
}

impl<'a> Json<'a> {
    /// Reads one JSON value; nothing but white space may follow. An empty text is an error.
    ///
    /// # Errors
    /// A text that is not JSON or is nested too deeply.
    pub fn read(text: &'a str) -> Result<Json<'a>, JsonError> {
        Reader::new(text).document()
    }

    /// Reads the value that the text begins with, whatever follows; `None` when there is nothing but white space.
    ///
    /// # Errors
    /// As [`Json::read`].
    pub(super) fn read_first(text: &'a str) -> Result<Option<Json<'a>>, JsonError> {
        let mut reader = Reader::new(text);
        if reader.at_end() {
            return Ok(None);
        }
        let value = reader.value()?;
        // Brackets and quotes end a value by themselves.
        let is_open = !matches!(value, Json::Array(_) | Json::Object(_) | Json::String(_));
        let follows = reader.peek().filter(|byte| is_open && !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        if follows.is_some() { Err(reader.unexpected(SPACE)) } else { Ok(Some(value)) }
    }

    /// As [`Json::read`] for files that people write: comments in the manner of C are skipped.
    ///
    /// # Errors
    /// As [`Json::read`].
    pub fn read_commented(text: &'a str) -> Result<Json<'a>, JsonError> {
        Reader { comments: true, ..Reader::new(text) }.document()
    }

    /// The member called `name`, exactly.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        match self {
            Json::Object(members) => members.iter().find(|(member, _)| member == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of an array; none of anything else.
    pub fn elements(&self) -> &[Json<'a>] {
        match self {
            Json::Array(elements) => elements,
            _ => &[],
        }
    }

    /// The members of an object; none of anything else.
    pub fn members(&self) -> &[(Cow<'a, str>, Json<'a>)] {
        match self {
            Json::Object(members) => members,
            _ => &[],
        }
    }

    /// An integral number.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Json::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The same without the text it was read from.
    pub fn into_owned(self) -> Json<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        match self {
            Json::Null => Json::Null,
            Json::Bool(value) => Json::Bool(value),
            Json::Number(text) => Json::Number(owned(text)),
            Json::String(text) => Json::String(owned(text)),
            Json::Array(elements) => Json::Array(elements.into_iter().map(Json::into_owned).collect()),
            Json::Object(members) => {
                Json::Object(members.into_iter().map(|(name, value)| (owned(name), value.into_owned())).collect())
            }
        }
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Appends the compact text.
    pub fn write(&self, output: &mut String) {
        match self {
            Json::Null => output.push_str("null"),
            Json::Bool(value) => output.push_str(if *value { "true" } else { "false" }),
            Json::Number(text) => output.push_str(text),
            Json::String(text) => write_string(text, output),
            Json::Array(elements) => {
                output.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        output.push(',');
                    }
                    element.write(output);
                }
                output.push(']');
            }
            Json::Object(members) => {
                output.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        output.push(',');
                    }
                    write_string(name, output);
                    output.push(':');
                    value.write(output);
                }
                output.push('}');
            }
        }
    }

    /// The compact text.
    pub fn text(&self) -> String {
        let mut output = String::new();
        self.write(&mut output);
        output
    }
}

/// Appends a JSON string with its quotes.
pub fn write_string(text: &str, output: &mut String) {
    output.push('"');
    let mut plain_from = 0;
    let mut at = plain_length(text.as_bytes());
    while let Some(byte) = text.as_bytes().get(at) {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0C => "\\f",
            _ => "",
        };
        output.push_str(&text[plain_from..at]);
        if escape.is_empty() {
            output.push_str(&format!("\\u{byte:04X}"));
        } else {
            output.push_str(escape);
        }
        plain_from = at + 1;
        at = plain_from + plain_length(&text.as_bytes()[plain_from..]);
    }
    output.push_str(&text[plain_from..]);
    output.push('"');
}

/// How many bytes at the front stand for themselves in a JSON string: no quote, backslash or control character.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // Sets the high bit of the lowest byte that is 0; those above it may be set wrongly.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let special = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | below_space;
        if special != 0 {
            return index * 8 + (special.trailing_zeros() / 8) as usize;
        }
    }
    let plain = |byte: &u8| *byte >= 0x20 && !matches!(byte, b'"' | b'\\');
    words.len() * 8 + rest.iter().position(|byte| !plain(byte)).unwrap_or(rest.len())
}

/// How many digits a number has, without its sign, point and exponential mark.
fn digits_of(number: &str) -> usize {
    number.bytes().filter(u8::is_ascii_digit).count()
}

/// Where reading has come to.
pub(super) struct Reader<'a> {
    text: &'a str,
    position: usize,
    depth: usize,
    comments: bool,
}

impl<'a> Reader<'a> {
    /// At the front of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        Reader { text, position: 0, depth: 0, comments: false }
    }

    /// Whether nothing but white space follows.
    pub(super) fn at_end(&mut self) -> bool {
        self.space();
        self.position == self.text.len()
    }

    /// Passes `byte` if it comes next, behind white space.
    pub(super) fn passes(&mut self, byte: u8) -> bool {
        self.space();
        let comes = self.peek() == Some(byte);
        self.position += usize::from(comes);
        comes
    }

    /// The name of the next member, of an object that was begun with [`Reader::passes`], and passes its colon.
    pub(super) fn member(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(self.unexpected(NAME));
        }
        let name = self.string()?;
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected(COLON));
        }
        self.position += 1;
        Ok(name)
    }

    /// Passes the next value, which must be as right as one that is read.
    pub(super) fn skip(&mut self) -> Result<(), JsonError> {
        self.space();
        match self.peek() {
            Some(b'{') => self.nested(|reader| {
                while !reader.passes(b'}') {
                    reader.member()?;
                    reader.skip()?;
                    if !reader.passes(b',') {
                        return if reader.passes(b'}') { Ok(()) } else { Err(reader.unexpected(NEXT_MEMBER)) };
                    }
                    reader.space();
                    if reader.peek() == Some(b'}') {
                        return Err(reader.unexpected(NAME));
                    }
                }
                Ok(())
            }),
            Some(b'[') => self.nested(|reader| {
                if reader.passes(b']') {
                    return Ok(());
                }
                loop {
                    reader.skip()?;
                    if !reader.passes(b',') {
                        return if reader.passes(b']') { Ok(()) } else { Err(reader.unexpected(NEXT_ELEMENT)) };
                    }
                }
            }),
            // Of scalars nothing is made but strings with escapes.
            _ => self.value().map(|_| ()),
        }
    }

    fn document(&mut self) -> Result<Json<'a>, JsonError> {
        let value = self.value()?;
        if self.at_end() { Ok(value) } else { Err(self.error("unexpected text after the value")) }
    }

    fn error(&self, message: impl Into<String>) -> JsonError {
        JsonError { message: message.into(), position: self.position }
    }

    /// The character that comes next, with its number, as messages show it.
    fn next_shown(&self) -> Option<String> {
        let next = self.text.get(self.position..)?.chars().next()?;
        Some(format!("character ('{next}' (code {}))", u32::from(next)))
    }

    fn unexpected(&self, wanted: &str) -> JsonError {
        match self.next_shown() {
            Some(next) => self.error(format!("Unexpected {next}: {wanted}")),
            None => self.error(format!("Unexpected end-of-input: {wanted}")),
        }
    }

    fn no_value(&self) -> JsonError {
        let rest = self.text.get(self.position..).unwrap_or_default();
        let word = rest.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '$'))).next().unwrap_or_default();
        if word.is_empty() {
            return self.unexpected(&format!("expected a valid value {VALUES}"));
        }
        let (shown, more) = match word.char_indices().nth(TOKEN_SHOWN) {
            Some((end, _)) => (&word[..end], "..."),
            None => (word, ""),
        };
        self.error(format!("Unrecognized token '{shown}{more}': was expecting {VALUES}"))
    }

    fn unescaped(&self, byte: u8) -> JsonError {
        self.error(format!(
            "Illegal unquoted character ((CTRL-CHAR, code {byte})): has to be escaped using backslash to be included in \
             string value"
        ))
    }

    fn unrecognized(&self) -> JsonError {
        self.error(format!("Unrecognized character escape {}", self.next_shown().unwrap_or_default()))
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    #[inline]
    fn space(&mut self) {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
                self.position += 1;
            }
            if !self.comments {
                return;
            }
            let rest = &self.text[self.position..];
            if rest.starts_with("//") {
                self.position += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("/*") {
                self.position += rest.find("*/").map_or(rest.len(), |at| at + 2);
            } else {
                return;
            }
        }
    }

    /// The next value.
    pub(super) fn value(&mut self) -> Result<Json<'a>, JsonError> {
        self.space();
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
                    if self.text[self.position..].starts_with(word) {
                        self.position += word.len();
                        return Ok(value);
                    }
                }
                Err(self.no_value())
            }
        }
    }

    fn nested<T>(&mut self, body: fn(&mut Self) -> Result<T, JsonError>) -> Result<T, JsonError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error("nested too deeply"));
        }
        self.depth += 1;
        self.position += 1;
        let value = body(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Json<'a>, JsonError> {
        let mut members = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.position += 1;
            return Ok(Json::Object(members));
        }
        loop {
            let name = self.member()?;
            members.push((name, self.value()?));
            self.space();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'}') => {
                    self.position += 1;
                    return Ok(Json::Object(members));
                }
                _ => return Err(self.unexpected(NEXT_MEMBER)),
            }
        }
    }

    fn array(&mut self) -> Result<Json<'a>, JsonError> {
        let mut elements = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.position += 1;
            return Ok(Json::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.space();
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b']') => {
                    self.position += 1;
                    return Ok(Json::Array(elements));
                }
                _ => return Err(self.unexpected(NEXT_ELEMENT)),
            }
        }
    }

    fn number(&mut self) -> Result<Json<'a>, JsonError> {
        let start = self.position;
        self.position += usize::from(self.peek() == Some(b'-'));
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits("expected digit (0-9) to follow minus sign, for valid numeric value")?;
        if leading_zero && whole > 1 {
            return Err(self.error("Invalid numeric value: Leading zeroes not allowed"));
        }
        if self.peek() == Some(b'.') {
            self.position += 1;
            self.digits("Decimal point not followed by a digit")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.position += 1;
            self.position += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits("Exponent indicator not followed by a digit")?;
        }
        let number = &self.text[start..self.position];
        // Most numbers are too short to have their digits counted.
        let digits = if number.len() > NUMBER_DIGITS_MAX { digits_of(number) } else { 0 };
        if digits > NUMBER_DIGITS_MAX {
            return Err(self.error(format!(
                "Number value length ({digits}) exceeds the maximum allowed ({NUMBER_DIGITS_MAX}, from \
                 `StreamReadConstraints.getMaxNumberLength()`)"
            )));
        }
        Ok(Json::Number(Cow::Borrowed(number)))
    }

    /// Passes at least one digit and returns how many there were.
    fn digits(&mut self, missing: &str) -> Result<usize, JsonError> {
        let start = self.position;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.position += 1;
        }
        if self.position > start {
            return Ok(self.position - start);
        }
        Err(self.error(match self.next_shown() {
            Some(next) => format!("Unexpected {next} in numeric value: {missing}"),
            None => format!("Unexpected end-of-input in numeric value: {missing}"),
        }))
    }

    fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.position += 1;
        let start = self.position;
        let bytes = self.text.as_bytes();
        loop {
            self.position += plain_length(&bytes[self.position..]);
            match bytes.get(self.position) {
                Some(b'"') => {
                    let text = &self.text[start..self.position];
                    self.position += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => return self.escaped(start),
                // People may break lines within strings, senders of records may not.
                Some(_) if self.comments => self.position += 1,
                Some(byte) => return Err(self.unescaped(*byte)),
                None => return Err(self.error(NO_END)),
            }
        }
    }

    fn escaped(&mut self, start: usize) -> Result<Cow<'a, str>, JsonError> {
        let mut output = self.text[start..self.position].to_owned();
        loop {
            let rest = &self.text[self.position..];
            let plain = rest.find(['"', '\\']).ok_or_else(|| self.error(NO_END))?;
            if let (false, Some(byte)) = (self.comments, rest.as_bytes()[..plain].iter().find(|byte| **byte < b' ')) {
                return Err(self.unescaped(*byte));
            }
            output.push_str(&rest[..plain]);
            self.position += plain + 1;
            if rest.as_bytes()[plain] == b'"' {
                return Ok(Cow::Owned(output));
            }
            let escape = self.peek().ok_or_else(|| self.error(NO_END))?;
            self.position += 1;
            output.push(match escape {
                b'"' => '"',
                b'\\' => '\\',
                b'/' => '/',
                b'b' => '\u{8}',
                b'f' => '\u{C}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => self.unicode()?,
                _ => {
                    self.position -= 1;
                    return Err(self.unrecognized());
                }
            });
        }
    }

    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex()?;
        if !(0xD800..0xE000).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !self.text[self.position..].starts_with("\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        self.position += 2;
        let second = self.hex()?;
        let combined = 0x10000 + ((first & 0x3FF) << 10) + (second & 0x3FF);
        Ok(char::from_u32(combined).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.get(self.position..self.position + 4);
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.position += 4;
        number.ok_or_else(|| JsonError {
            message: "expected four hexadecimal digits".to_owned(),
            position: self.position - 4,
        })
    }
}

#[cfg(test)]
mod tests;
