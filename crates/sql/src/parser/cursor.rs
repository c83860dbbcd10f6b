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
    /// `None` while only the syntax is checked.
    pub(super) types: Option<TypeLookup<'a>>,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first token.
    pub(super) fn new(text: &'a str, tokens: &'a [Token], types: Option<TypeLookup<'a>>) -> Cursor<'a> {
        Cursor { text, tokens, at: 0, depth: 0, types }
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

    pub(super) fn expect_symbol(&mut self, symbol: &str) -> Result<(), ParseError> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.expected(&format!("'{symbol}'"))) }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.accept_word(word) { Ok(()) } else { Err(self.expected(&format!("'{word}'"))) }
    }

    pub(super) fn expect_words(&mut self, words: &[&str]) -> Result<(), ParseError> {
        words.iter().try_for_each(|word| self.expect_word(word))
    }

    pub(super) fn expect_statement_end(&mut self) -> Result<(), ParseError> {
        if self.accept_symbol(";") { Ok(()) } else { Err(self.expected("';'")) }
    }

    pub(super) fn expect_end(&self) -> Result<(), ParseError> {
        if self.at_end() { Ok(()) } else { Err(self.expected("the end of the text")) }
    }

    /// The error that says what had to come here.
    pub(super) fn expected(&self, what: &str) -> ParseError {
        let detail = match self.kind(0) {
            TokenKind::Unterminated => {
                let quote = self.raw().chars().next().unwrap_or('\'');
                format!("Text that begins with {quote} has no end")
            }
            TokenKind::DigitWord(word) => {
                format!("Identifiers must not start with a digit: '{word}'. Surround it with back-ticks: `{word}`")
            }
            TokenKind::Word(word) if what == "an identifier" && is_reserved_word(word) => format!(
                "\"{0}\" is a reserved keyword and it can't be used as an identifier. You can use it as an identifier by \
                 escaping it as '`{0}`'",
                self.raw()
            ),
            _ => format!("Expecting {what}"),
        };
        ParseError::syntax(self.location(), format!("{detail}\nStatement: {}", self.statement_text()))
    }

    /// The statement as written, as far as its `;`.
    fn statement_text(&self) -> &'a str {
        let end = self.tokens[self.at.min(self.tokens.len() - 1)..]
            .iter()
            .find(|token| matches!(token.kind, TokenKind::Symbol(";") | TokenKind::End));
        let start = self.tokens.first().map_or(0, |token| token.start);
        self.text.get(start..end.map_or(self.text.len(), |token| token.end)).unwrap_or_default().trim_end()
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
            TokenKind::Quoted(_) => true,
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
            TokenKind::Quoted(name) => {
                self.skip();
                Ok(Name::from(name.as_str()))
            }
            _ => Err(self.expected("an identifier")),
        }
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
            _ => Err(self.expected("an identifier")),
        }
    }

    /// A text in single quotes.
    pub(super) fn string(&mut self) -> Result<String, ParseError> {
        match self.kind(0) {
            TokenKind::String(text) => {
                self.skip();
                Ok(text.clone())
            }
            _ => Err(self.expected("a text in single quotes")),
        }
    }
}
