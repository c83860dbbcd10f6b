//! What is wrong with a statement's text.

use crate::ast::Location;

/// A statement that cannot be built; `Display` is the message for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// In which step it failed.
    pub kind: ParseErrorKind,
    /// What is wrong, with the place where it is known.
    pub message: String,
}

/// The step in which a statement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// The text is no statement.
    Syntax,
    /// The text is a statement, but says something that cannot be.
    Prepare,
    /// The text is a statement, but a name in it is none.
    Illegal,
}

impl ParseError {
    pub(super) fn syntax(location: Location, detail: impl std::fmt::Display) -> ParseError {
        let Location { line, column } = location;
        ParseError { kind: ParseErrorKind::Syntax, message: format!("line {line}:{column}: Syntax Error\n{detail}") }
    }

    /// A name or value that is none, whatever the rest of the statement says.
    pub(super) fn illegal(message: impl Into<String>) -> ParseError {
        ParseError { kind: ParseErrorKind::Illegal, message: message.into() }
    }

    pub(super) fn prepare(message: impl Into<String>) -> ParseError {
        ParseError { kind: ParseErrorKind::Prepare, message: message.into() }
    }

    /// A failed preparation with its place; columns of these messages count from 2, as users of the language know them.
    pub(super) fn prepare_at(location: Location, message: impl std::fmt::Display) -> ParseError {
        ParseError::prepare(format!("line {}:{}: {message}", location.line, location.column + 1))
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            ParseErrorKind::Syntax | ParseErrorKind::Illegal => f.write_str(&self.message),
            ParseErrorKind::Prepare => write!(f, "Failed to prepare statement: {}", self.message),
        }
    }
}

impl std::error::Error for ParseError {}
