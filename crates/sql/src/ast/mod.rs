//! What a statement says: the tree that the parser builds and the planner reads.

mod expression;
mod format;
mod query;
mod rewrite;
mod statement;

pub use expression::*;
pub use format::{FormatOptions, format_statement, is_reserved_word, quote_identifier, quoted_words, reserved_words};
pub use query::*;
pub use statement::*;

/// A name as the catalog knows it: unquoted identifiers are upper case already, quoted ones keep their case.
pub type Name = std::sync::Arc<str>;

/// Where something stands in the text; both numbers start at 1.
///
/// All locations are equal, so that equality of expressions means that they say the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Location {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Location {
    /// `Line: 1, Col: 15: `, the head of messages of the analysis; empty for an unknown location.
    pub fn prefix(&self) -> String {
        if self.line == 0 { String::new() } else { format!("Line: {}, Col: {}: ", self.line, self.column) }
    }
}

impl PartialEq for Location {
    fn eq(&self, _: &Location) -> bool {
        true
    }
}

impl Eq for Location {}

impl std::hash::Hash for Location {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}
