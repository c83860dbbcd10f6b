//! The place in the tokens, and the small steps over them.

use super::{ParseError, TypeLookup};
use crate::ast::{Location, Name, is_reserved_word};
use crate::lexer::{Token, TokenKind};

/// How deep expressions and types may nest, and how long a chain of operators may be; keeps the stack within bounds.
const MAX_DEPTH: usize = 160;

/// Reads tokens from the left; every rule of the grammar is a method.
pub(super) struct Cursor<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    /// The one token that had to come last, behind so many others.
    pub(super) wanted: Option<(usize, TokenKind)>,
    /// `None` while only the syntax is checked.
    pub(super) types: Option<TypeLookup<'a>>,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first token.
    pub(super) fn new(text: &'a str, tokens: &'a [Token], types: Option<TypeLookup<'a>>) -> Cursor<'a> {
        Cursor { text, tokens, at: 0, depth: 0, wanted: None, types }
    }

    /// Number of tokens read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Goes back to a position.
    pub(super) fn reset(&mut self, position: usize) {
        self.at = position;
    }

    fn token(&self, ahead: usize) -> &'a Token {
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + ahead).min(last)]
    }

    /// The kind of the token that many ahead.
    pub(super) fn kind(&self, ahead: usize) -> &'a TokenKind {
        &self.token(ahead).kind
    }

    /// Where the next token stands.
    pub(super) fn location(&self) -> Location {
        self.token(0).location
    }

    /// The next token as written.
    pub(super) fn raw(&self) -> &'a str {
        &self.text[self.token(0).start..self.token(0).end]
    }

    /// First byte of the next token, and the byte behind its last.
    pub(super) fn bounds(&self) -> (usize, usize) {
        (self.token(0).start, self.token(0).end)
    }

    /// Steps over the next token.
    pub(super) fn skip(&mut self) {
        if self.at + 1 < self.tokens.len() || self.token(0).kind != TokenKind::End {
            self.at += 1;
        }
    }

    pub(super) fn at_end(&self) -> bool {
        self.at >= self.tokens.len() || *self.kind(0) == TokenKind::End
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.is_symbol_ahead(0, symbol)
    }

    pub(super) fn is_symbol_ahead(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.kind(ahead), TokenKind::Symbol(found) if *found == symbol)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.is_word_ahead(0, word)
    }

    pub(super) fn is_word_ahead(&self, ahead: usize, word: &str) -> bool {
        matches!(self.kind(ahead), TokenKind::Word(found) if found == word)
    }

    /// Whether the next tokens are these words.
    pub(super) fn are_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.is_word_ahead(ahead, word))
    }

    pub(super) fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.skip();
        }
        found
    }

    pub(super) fn accept_word(&mut self, word: &str) -> bool {
        self.accept_words(&[word])
    }

    /// Steps over these words if all of them follow.
    pub(super) fn accept_words(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    pub(super) fn expect_symbol(&mut self, symbol: &'static str) -> Result<(), ParseError> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.want(TokenKind::Symbol(symbol), symbol)) }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.accept_word(word) { Ok(()) } else { Err(self.want(TokenKind::Word(word.to_owned()), word)) }
    }

    fn want(&mut self, token: TokenKind, text: &str) -> ParseError {
        self.wanted = Some((self.at, token));
        self.expected(&format!("'{text}'"))
    }

    /// The sign behind a list: another item might come as well.
    pub(super) fn expect_list_end(&mut self, symbol: &str) -> Result<(), ParseError> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.expected(&format!("{{',', '{symbol}'}}"))) }
    }

    pub(super) fn expect_words(&mut self, words: &[&str]) -> Result<(), ParseError> {
        words.iter().try_for_each(|word| self.expect_word(word))
    }

    pub(super) fn expect_statement_end(&mut self) -> Result<(), ParseError> {
        if self.accept_symbol(";") {
            return Ok(());
        }
        Err(if self.at_end() { self.failed("missing ';' at '<EOF>'") } else { self.expected("';'") })
    }

    pub(super) fn expect_end(&self) -> Result<(), ParseError> {
        if self.at_end() { Ok(()) } else { Err(self.expected("the end of the text")) }
    }

    /// The error that says what had to come here, where that is one of few.
    pub(super) fn expected(&self, what: &str) -> ParseError {
        self.failed(&format!("Expecting {what}"))
    }

    /// The error of a place where many things may come, but not this one.
    pub(super) fn unexpected(&self) -> ParseError {
        let Location { line, column } = self.location();
        let raw = if self.at_end() { "<EOF>" } else { self.raw() };
        self.failed(&format!("Syntax error at or near '{raw}' at line {line}:{column}"))
    }

    /// The error of a place where a name must come: a word that is none may be one in back-ticks.
    fn no_identifier(&self) -> ParseError {
        match self.kind(0) {
            TokenKind::Word(word) if is_reserved_word(word) && self.is_identifier(1) => self.failed(&format!(
                "\"{0}\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by \
                 escaping it as '{0}' ",
                self.raw()
            )),
            _ => self.unexpected(),
        }
    }

    pub(super) fn failed(&self, detail: &str) -> ParseError {
        let quote = || self.raw().chars().next().unwrap_or('\'');
        let detail = match self.kind(0) {
            TokenKind::Unterminated => format!("Text that begins with {} has no end", quote()),
            _ => detail.to_owned(),
        };
        ParseError::syntax(self.location(), format!("{detail}\nStatement: {}", self.line()))
    }

    /// The line of the next token.
    fn line(&self) -> &'a str {
        let line = usize::try_from(self.location().line).unwrap_or(1);
        self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default()
    }

    /// A failed preparation; none while only the syntax is checked.
    pub(super) fn refuse(&self, error: impl FnOnce() -> ParseError) -> Result<(), ParseError> {
        if self.types.is_some() { Err(error()) } else { Ok(()) }
    }

    /// One `item` or more between commas.
    pub(super) fn separated<T>(
        &mut self,
        item: impl Fn(&mut Cursor<'a>) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = vec![item(self)?];
        while self.accept_symbol(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Runs a rule one level deeper.
    pub(super) fn nested<T>(
        &mut self,
        rule: impl FnOnce(&mut Cursor<'a>) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        if self.depth >= MAX_DEPTH {
            return Err(ParseError::syntax(self.location(), format!("Nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    /// Whether a chain of `length` operators may grow on.
    pub(super) fn check_chain(&self, length: usize) -> Result<(), ParseError> {
        if length < MAX_DEPTH * 3 {
            return Ok(());
        }
        Err(ParseError::syntax(self.location(), format!("More than {length} operators in a row")))
    }

    /// Whether the token that many ahead can be a name.
    pub(super) fn is_identifier(&self, ahead: usize) -> bool {
        match self.kind(ahead) {
            TokenKind::Word(word) => !is_reserved_word(word),
            TokenKind::Quoted(_) | TokenKind::DigitWord(_) => true,
            _ => false,
        }
    }

    /// A name: upper case unless quoted.
    pub(super) fn identifier(&mut self) -> Result<Name, ParseError> {
        match self.kind(0) {
            TokenKind::Word(word) if !is_reserved_word(word) => {
                self.skip();
                Ok(Name::from(word.as_str()))
            }
            TokenKind::DigitWord(word) => {
                self.skip();
                Ok(Name::from(word.to_ascii_uppercase()))
            }
            TokenKind::Quoted(name) => {
                self.skip();
                Ok(Name::from(name.as_str()))
            }
            _ => Err(self.no_identifier()),
        }
    }

    /// The name of a stream or table, which may be part of the names of topics.
    pub(super) fn source_name(&mut self) -> Result<Name, ParseError> {
        let Location { line, column } = self.location();
        let name = self.identifier()?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-') {
            self.refuse(|| {
                ParseError::illegal(format!(
                    "Illegal argument at Line: {line}, Col: {column}. Source names may only contain alphanumeric values, \
                     '_' or '-'. Got: '{name}'\nStatement: {name}"
                ))
            })?;
        }
        Ok(name)
    }

    /// A name in the case in which it is written.
    pub(super) fn raw_identifier(&mut self) -> Result<String, ParseError> {
        let raw = self.raw();
        match self.kind(0) {
            TokenKind::Word(_) | TokenKind::DigitWord(_) => {
                self.skip();
                Ok(raw.to_owned())
            }
            TokenKind::Quoted(name) => {
                self.skip();
                Ok(name.clone())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A text in single quotes.
    pub(super) fn string(&mut self) -> Result<String, ParseError> {
        match self.kind(0) {
            TokenKind::String(text) => {
                self.skip();
                Ok(text.clone())
            }
            _ => Err(self.expected("STRING")),
        }
    }
}
