//! Text to statements, by recursive descent.
//!
//! Two steps, as users see them: [`parse`] finds syntax errors in all statements of a text before any of them runs;
//! [`ParsedStatement::prepare`] builds one statement when its turn comes, since the types that statements before it
//! created must be known by then.

mod cursor;
mod error;
mod expression;
mod mask;
mod nearest;
mod query;
mod show;
mod statement;
mod type_name;
mod variables;

use std::sync::Arc;

pub use error::{ParseError, ParseErrorKind};
pub use variables::substitute_variables;

use crate::ast::{Expression, Location, Name, Statement};
use crate::lexer::{Token, TokenKind, tokenize};
use crate::types::SqlType;
use cursor::Cursor;

/// Finds the type that `CREATE TYPE` gave a name.
pub type TypeLookup<'a> = &'a dyn Fn(&str) -> Option<SqlType>;

/// A statement whose syntax is right, not built yet.
#[derive(Clone, Debug)]
pub struct ParsedStatement {
    source: Arc<str>,
    tokens: Arc<[Token]>,
    /// The statement as written, with its `;`.
    pub text: String,
    /// Where it begins.
    pub location: Location,
}

/// Splits `sql` into its statements and checks their syntax. Each must end with `;`.
pub fn parse(sql: &str) -> Result<Vec<ParsedStatement>, ParseError> {
    let source: Arc<str> = Arc::from(sql);
    let tokens = tokenize(sql);
    let mut statements = Vec::new();
    let mut start = 0;
    while tokens[start].kind != TokenKind::End {
        let mut cursor = Cursor::new(&source, &tokens[start..], None);
        checked(&mut cursor).map_err(|error| missing(error, &cursor, &source, &tokens[start..]))?;
        let end = start + cursor.position();
        let text = sql[tokens[start].start..tokens[end - 1].end].to_owned();
        let own = Arc::from(&tokens[start..end]);
        statements.push(ParsedStatement {
            source: source.clone(),
            tokens: own,
            text,
            location: tokens[start].location,
        });
        start = end;
    }
    Ok(statements)
}

fn checked(cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
    cursor.statement()?;
    cursor.expect_statement_end()
}

/// The error of a statement in which one token had to come: if everything goes on behind that as if it were there, it was
/// forgotten.
fn missing(error: ParseError, failed: &Cursor<'_>, source: &str, tokens: &[Token]) -> ParseError {
    let Some((at, wanted)) = failed.wanted.as_ref().filter(|(at, _)| *at == failed.position()) else { return error };
    let (Some(found), next) = (tokens.get(*at), tokens.get(at + 1)) else { return error };
    if next.is_some_and(|next| next.kind == *wanted) {
        return error;
    }
    let mut mended = tokens.to_vec();
    mended.insert(*at, Token { kind: wanted.clone(), end: found.start, ..found.clone() });
    let mut cursor = Cursor::new(source, &mended, None);
    if checked(&mut cursor).is_err() && cursor.position() <= at + 1 {
        return error;
    }
    let text = match wanted {
        TokenKind::Word(word) => word.as_str(),
        TokenKind::Symbol(symbol) => symbol,
        _ => return error,
    };
    let mut cursor = Cursor::new(source, tokens, None);
    cursor.reset(*at);
    cursor.failed(&format!("missing '{text}' at '{}'", if cursor.at_end() { "<EOF>" } else { cursor.raw() }))
}

/// Parses exactly one statement, with a final `;` or without, where no custom types can occur or matter.
pub fn parse_one(sql: &str, types: TypeLookup<'_>) -> Result<Statement, ParseError> {
    let tokens = tokenize(sql);
    let mut cursor = Cursor::new(sql, &tokens, Some(types));
    let statement = cursor.statement()?;
    cursor.accept_symbol(";");
    cursor.expect_end()?;
    Ok(statement)
}

/// Parses one expression.
pub fn parse_expression(text: &str, types: TypeLookup<'_>) -> Result<Expression, ParseError> {
    let tokens = tokenize(text);
    let mut cursor = Cursor::new(text, &tokens, Some(types));
    let expression = cursor.expression()?;
    cursor.expect_end()?;
    Ok(expression)
}

/// The column that `text` names: upper case unless quoted, the name of its source before it or not.
pub fn parse_column_name(text: &str) -> Option<Name> {
    let tokens = tokenize(text);
    let parsed = Cursor::new(text, &tokens, Some(&|_| None)).postfix();
    match parsed {
        Ok(Expression::Column(column)) => Some(column.name),
        _ => None,
    }
}

/// Parses a type, as in `CREATE STREAM s (column type)`.
pub fn parse_type(text: &str, types: TypeLookup<'_>) -> Result<SqlType, ParseError> {
    let tokens = tokenize(text);
    let mut cursor = Cursor::new(text, &tokens, Some(types));
    let parsed = cursor.type_name()?;
    cursor.expect_end()?;
    Ok(parsed)
}

/// Parses the columns of a source as `CREATE` takes them, without the parentheses: `ID INT KEY, NAME STRING`.
pub fn parse_columns(text: &str, types: TypeLookup<'_>) -> Result<Vec<crate::ast::TableElement>, ParseError> {
    let tokens = tokenize(text);
    let mut cursor = Cursor::new(text, &tokens, Some(types));
    if cursor.at_end() {
        return Ok(Vec::new());
    }
    let columns = cursor.separated(Cursor::table_element)?;
    cursor.expect_end()?;
    Ok(columns)
}

impl ParsedStatement {
    /// Builds the statement; names of types are looked up in `types`.
    pub fn prepare(&self, types: TypeLookup<'_>) -> Result<Statement, ParseError> {
        Cursor::new(&self.source, &self.tokens, Some(types)).statement()
    }
}

#[cfg(test)]
mod tests;
