//! Text to tokens.

use crate::ast::Location;

/// A word, a literal or a sign, with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// First byte in the text.
    pub start: usize,
    /// Byte behind the last one.
    pub end: usize,
    /// Where it stands.
    pub location: Location,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// A word without quotes, in upper case.
    Word(String),
    /// A name in back-ticks or double quotes, without them.
    Quoted(String),
    /// A text in single quotes, without them.
    String(String),
    /// Digits.
    Integer(String),
    /// Digits with a point.
    Decimal(String),
    /// Digits with an exponent.
    Float(String),
    /// A word that begins with a digit.
    DigitWord(String),
    /// A sign: one of [`SYMBOLS`].
    Symbol(&'static str),
    /// A character that begins nothing.
    Unknown(char),
    /// A quoted text or name without its end.
    Unterminated,
    /// The end of the text.
    End,
}

/// Every sign, those that others begin with behind them.
const SYMBOLS: &[&str] = &[
    "->", "=>", ":=", "||", "<>", "!=", "<=", ">=", "(", ")", "[", "]", ",", ";", ".", "=", "<", ">", "+", "-", "*",
    "/", "%", ":",
];

/// The tokens of `text`, the last one [`TokenKind::End`]. Comments and white space are left out.
pub fn tokenize(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, location: Location { line: 1, column: 1 } };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks();
        let (start, location) = (lexer.at, lexer.location);
        let kind = lexer.next_kind();
        let last = kind == TokenKind::End;
        tokens.push(Token { kind, start, end: lexer.at, location });
        if last {
            return tokens;
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    location: Location,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn advance(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        if c == '\n' {
            self.location.line += 1;
            self.location.column = 1;
        } else {
            self.location.column += 1;
        }
        Some(c)
    }

    fn advance_while(&mut self, accept: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&accept) {
            self.advance();
        }
        self.text[start..self.at].to_owned()
    }

    fn skip_blanks(&mut self) {
        loop {
            if self.peek().is_some_and(char::is_whitespace) {
                self.advance();
            } else if self.rest().starts_with("--") {
                self.advance_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.skip_block_comment();
            } else {
                return;
            }
        }
    }

    /// A comment without an end runs to the end of the text.
    fn skip_block_comment(&mut self) {
        let length = self.rest().find("*/").map_or(self.rest().len(), |end| end + 2);
        let end = self.at + length;
        while self.at < end {
            self.advance();
        }
    }

    fn next_kind(&mut self) -> TokenKind {
        let Some(first) = self.peek() else { return TokenKind::End };
        match first {
            '\'' => self.quoted('\'', TokenKind::String),
            '`' => self.quoted('`', TokenKind::Quoted),
            '"' => self.quoted('"', TokenKind::Quoted),
            c if c.is_ascii_alphabetic() || c == '_' => {
                TokenKind::Word(self.advance_while(is_word_part).to_ascii_uppercase())
            }
            c if c.is_ascii_digit() => self.number(),
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number(),
            _ => match SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
                Some(symbol) => {
                    for _ in 0..symbol.len() {
                        self.advance();
                    }
                    TokenKind::Symbol(symbol)
                }
                None => {
                    self.advance();
                    TokenKind::Unknown(first)
                }
            },
        }
    }

    /// A text in `quote`s; a doubled quote within stands for one.
    fn quoted(&mut self, quote: char, kind: fn(String) -> TokenKind) -> TokenKind {
        self.advance();
        let mut content = String::new();
        while let Some(c) = self.advance() {
            if c != quote {
                content.push(c);
            } else if self.peek() == Some(quote) {
                self.advance();
                content.push(quote);
            } else {
                return kind(content);
            }
        }
        TokenKind::Unterminated
    }

    fn number(&mut self) -> TokenKind {
        let start = self.at;
        self.advance_while(|c| c.is_ascii_digit());
        let mut kind: fn(String) -> TokenKind = TokenKind::Integer;
        if self.peek() == Some('.') {
            self.advance();
            self.advance_while(|c| c.is_ascii_digit());
            kind = TokenKind::Decimal;
        }
        if let Some(length) = exponent_length(self.rest()) {
            for _ in 0..length {
                self.advance();
            }
            return TokenKind::Float(self.text[start..self.at].to_owned());
        }
        let is_whole = self.text[start..self.at].chars().all(|c| c.is_ascii_digit());
        if is_whole && self.peek().is_some_and(is_word_part) {
            self.advance_while(is_word_part);
            return TokenKind::DigitWord(self.text[start..self.at].to_owned());
        }
        kind(self.text[start..self.at].to_owned())
    }
}

fn is_word_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '@'
}

/// Length of `E10`, `e-3` at the head of `rest`, where nothing of a word follows.
fn exponent_length(rest: &str) -> Option<usize> {
    let digits = rest.strip_prefix(['e', 'E'])?;
    let digits = digits.strip_prefix(['+', '-']).unwrap_or(digits);
    let after = digits.trim_start_matches(|c: char| c.is_ascii_digit());
    (after.len() < digits.len() && !after.starts_with(is_word_part)).then(|| rest.len() - after.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        tokenize(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn words_are_upper_case_and_quoted_names_keep_theirs() {
        let expected = vec![
            TokenKind::Word("FOO_1".into()),
            TokenKind::Quoted("b`ar".into()),
            TokenKind::Quoted("Baz".into()),
            TokenKind::String("it's".into()),
            TokenKind::End,
        ];
        assert_eq!(kinds("foo_1 `b``ar` \"Baz\" 'it''s'"), expected);
    }

    #[test]
    fn numbers_differ_by_point_and_exponent() {
        let expected = vec![
            TokenKind::Integer("007".into()),
            TokenKind::Decimal("1.50".into()),
            TokenKind::Float("1E-3".into()),
            TokenKind::Decimal(".5".into()),
            TokenKind::DigitWord("1abc".into()),
            TokenKind::End,
        ];
        assert_eq!(kinds("007 1.50 1E-3 .5 1abc"), expected);
    }

    #[test]
    fn comments_are_blanks_and_lines_count() {
        let tokens = tokenize("-- one\n/* two\n */ a->b");
        assert_eq!(tokens[0].location.line, 3);
        assert_eq!(tokens[0].location.column, 5);
        assert_eq!(tokens[1].kind, TokenKind::Symbol("->"));
    }

    #[test]
    fn text_without_an_end_is_told() {
        assert_eq!(kinds("'abc"), vec![TokenKind::Unterminated, TokenKind::End]);
        assert_eq!(kinds("?"), vec![TokenKind::Unknown('?'), TokenKind::End]);
    }
}
