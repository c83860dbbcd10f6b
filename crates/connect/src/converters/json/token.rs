//! JSON text as tokens, read one after the other: no tree is built.
//!
//! What Jackson accepts is accepted: leading zeros, and anything after the value.

use std::borrow::Cow;

/// The deepest nesting that is read.
pub(super) const DEPTH_MAX: usize = 500;

/// Text that is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    /// Something else than JSON asks for.
    #[error("unexpected character at position {0}")]
    Unexpected(usize),
    /// It ends within a value.
    #[error("unexpected end of the text")]
    End,
    /// Deeper than [`DEPTH_MAX`].
    #[error("nesting is deeper than {DEPTH_MAX}")]
    TooDeep,
}

/// What a value is, by its first character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

impl Node {
    /// Jackson's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Node::Null => "NULL",
            Node::Boolean => "BOOLEAN",
            Node::Number => "NUMBER",
            Node::String => "STRING",
            Node::Array => "ARRAY",
            Node::Object => "OBJECT",
        }
    }
}

/// Reads tokens from the front of a text.
pub(super) struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// What comes next; nothing is taken but blanks.
    pub(super) fn peek(&mut self) -> Result<Node, TokenError> {
        Ok(match self.next_byte()? {
            b'n' => Node::Null,
            b't' | b'f' => Node::Boolean,
            b'"' => Node::String,
            b'[' => Node::Array,
            b'{' => Node::Object,
            b'-' | b'0'..=b'9' => Node::Number,
            _ => return Err(TokenError::Unexpected(self.position)),
        })
    }

    /// Whether nothing follows but blanks.
    pub(super) fn at_end(&mut self) -> bool {
        self.next_byte().is_err()
    }

    pub(super) fn null(&mut self) -> Result<(), TokenError> {
        self.word("null")
    }

    pub(super) fn boolean(&mut self) -> Result<bool, TokenError> {
        let value = self.next_byte()? == b't';
        self.word(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// A number as it is spelled.
    pub(super) fn number(&mut self) -> Result<&'a str, TokenError> {
        self.next_byte()?;
        let start = self.position;
        self.skip_if(b'-');
        self.digits()?;
        if self.skip_if(b'.') {
            self.digits()?;
        }
        if self.skip_if(b'e') || self.skip_if(b'E') {
            let _signed = self.skip_if(b'+') || self.skip_if(b'-');
            self.digits()?;
        }
        match self.byte() {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'"' | b'-' | b'+') => {
                Err(TokenError::Unexpected(self.position))
            }
            _ => Ok(&self.text[start..self.position]),
        }
    }

    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, TokenError> {
        self.expect(b'"')?;
        let start = self.position;
        loop {
            match self.byte().ok_or(TokenError::End)? {
                b'"' => {
                    let text = &self.text[start..self.position];
                    self.position += 1;
                    return Ok(Cow::Borrowed(text));
                }
                b'\\' => return self.escaped_string(start).map(Cow::Owned),
                0..0x20 => return Err(TokenError::Unexpected(self.position)),
                _ => self.position += 1,
            }
        }
    }

    /// Calls `element` for each element.
    pub(super) fn array<E: From<TokenError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[')?;
        if self.next_byte()? == b']' {
            self.position += 1;
            return Ok(());
        }
        loop {
            element(self)?;
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }

    /// Calls `member` for each member, which must take its value.
    pub(super) fn object<E: From<TokenError>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        if self.next_byte()? == b'}' {
            self.position += 1;
            return Ok(());
        }
        loop {
            self.next_byte()?;
            let name = self.string()?;
            self.next_byte()?;
            self.expect(b':')?;
            member(self, name)?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    /// Takes a value and leaves it aside.
    pub(super) fn skip(&mut self, depth: usize) -> Result<(), TokenError> {
        match self.peek()? {
            Node::Null => self.null(),
            Node::Boolean => self.boolean().map(|_| ()),
            Node::Number => self.number().map(|_| ()),
            Node::String => self.string().map(|_| ()),
            _ if depth >= DEPTH_MAX => Err(TokenError::TooDeep),
            Node::Array => self.array(|reader| reader.skip(depth + 1)),
            Node::Object => self.object(|reader, _| reader.skip(depth + 1)),
        }
    }

    /// Takes a value and answers its text.
    pub(super) fn span(&mut self) -> Result<&'a str, TokenError> {
        self.next_byte()?;
        let start = self.position;
        self.skip(0)?;
        Ok(&self.text[start..self.position])
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    /// The next byte that is no blank, not taken.
    fn next_byte(&mut self) -> Result<u8, TokenError> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.byte() {
            self.position += 1;
        }
        self.byte().ok_or(TokenError::End)
    }

    fn skip_if(&mut self, expected: u8) -> bool {
        let found = self.byte() == Some(expected);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, expected: u8) -> Result<(), TokenError> {
        match self.byte() {
            Some(byte) if byte == expected => {
                self.position += 1;
                Ok(())
            }
            Some(_) => Err(TokenError::Unexpected(self.position)),
            None => Err(TokenError::End),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), TokenError> {
        self.next_byte()?;
        let rest = &self.text.as_bytes()[self.position..];
        let after = rest.get(word.len()).copied().unwrap_or(b' ');
        if !rest.starts_with(word.as_bytes()) || after.is_ascii_alphanumeric() || after == b'_' {
            return Err(TokenError::Unexpected(self.position));
        }
        self.position += word.len();
        Ok(())
    }

    fn digits(&mut self) -> Result<(), TokenError> {
        let start = self.position;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.position += 1;
        }
        match self.byte() {
            _ if self.position > start => Ok(()),
            Some(_) => Err(TokenError::Unexpected(self.position)),
            None => Err(TokenError::End),
        }
    }

    /// Takes a comma, or the end of an array or object; whether more follows.
    fn more(&mut self, close: u8) -> Result<bool, TokenError> {
        let byte = self.next_byte()?;
        if byte != b',' && byte != close {
            return Err(TokenError::Unexpected(self.position));
        }
        self.position += 1;
        Ok(byte == b',')
    }

    fn escaped_string(&mut self, start: usize) -> Result<String, TokenError> {
        let mut text = self.text[start..self.position].to_owned();
        let mut clean = self.position;
        loop {
            match self.byte().ok_or(TokenError::End)? {
                b'"' => {
                    text.push_str(&self.text[clean..self.position]);
                    self.position += 1;
                    return Ok(text);
                }
                b'\\' => {
                    text.push_str(&self.text[clean..self.position]);
                    self.position += 1;
                    text.push(self.escape()?);
                    clean = self.position;
                }
                0..0x20 => return Err(TokenError::Unexpected(self.position)),
                _ => self.position += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, TokenError> {
        let escape = self.byte().ok_or(TokenError::End)?;
        self.position += 1;
        Ok(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return Err(TokenError::Unexpected(self.position - 1)),
        })
    }

    /// What follows `\u`; half a pair becomes U+FFFD.
    fn unicode(&mut self) -> Result<char, TokenError> {
        let first = self.hex()?;
        if (0xD800..0xDC00).contains(&first) && self.text[self.position..].starts_with("\\u") {
            let back = self.position;
            self.position += 2;
            let second = self.hex()?;
            if (0xDC00..0xE000).contains(&second) {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.position = back;
        }
        Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, TokenError> {
        let mut code = 0;
        for _ in 0..4 {
            let byte = self.byte().ok_or(TokenError::End)?;
            let digit = char::from(byte).to_digit(16).ok_or(TokenError::Unexpected(self.position))?;
            code = code * 16 + digit;
            self.position += 1;
        }
        Ok(code)
    }
}

/// The two members of an envelope as text.
pub(super) struct Envelope<'a> {
    pub(super) schema: &'a str,
    pub(super) payload: &'a str,
    /// Everything before the payload, when that comes last.
    pub(super) prefix: Option<&'a str>,
}

/// Takes an envelope apart; `None` when the text is JSON but no object of exactly the two members.
pub(super) fn envelope(text: &str) -> Result<Option<Envelope<'_>>, TokenError> {
    let mut reader = Reader::new(text);
    if reader.at_end() {
        return Ok(None);
    }
    if reader.peek()? != Node::Object {
        return reader.skip(0).map(|()| None);
    }
    let (mut schema, mut payload, mut prefix, mut others) = (None, None, None, false);
    reader.object::<TokenError>(|reader, name| {
        let start = reader.position();
        let span = reader.span()?;
        prefix = None;
        match &*name {
            "schema" => schema = Some(span),
            "payload" => {
                prefix = payload.is_none().then(|| &text[..start]);
                payload = Some(span);
            }
            _ => others = true,
        }
        Ok(())
    })?;
    Ok(match (schema, payload) {
        (Some(schema), Some(payload)) if !others => Some(Envelope { schema, payload, prefix }),
        _ => None,
    })
}
