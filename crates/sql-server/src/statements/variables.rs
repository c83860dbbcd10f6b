//! Variables of a request: put into each statement with the values that they have when its turn comes.

use std::collections::HashMap;

use milena_sql::ast::Statement;
use milena_sql::lexer::{TokenKind, tokenize};
use milena_sql::parser::{self, ParseError};

/// `sql` with its variables put in. A `DEFINE` in it counts for what follows.
///
/// # Errors
/// A variable that nobody has defined, a value that would be more than a name or a literal.
pub fn substituted(sql: &str, variables: &HashMap<String, String>) -> Result<String, ParseError> {
    let mut variables = variables.clone();
    let mut output = String::with_capacity(sql.len());
    let mut start = 0;
    for token in tokenize(sql) {
        if !matches!(token.kind, TokenKind::Symbol(";") | TokenKind::End) {
            continue;
        }
        let text = parser::substitute_variables(&sql[start..token.end], &variables)?;
        start = token.end;
        note(&text, &mut variables);
        output.push_str(&text);
    }
    Ok(output)
}

/// What a statement does to the variables behind it.
fn note(text: &str, variables: &mut HashMap<String, String>) {
    let is_about_variables = tokenize(text)
        .first()
        .is_some_and(|token| matches!(&token.kind, TokenKind::Word(word) if word == "DEFINE" || word == "UNDEFINE"));
    if !is_about_variables {
        return;
    }
    match parser::parse_one(text, &|_| None) {
        Ok(Statement::Define { name, value }) => define(variables, &name, value),
        Ok(Statement::Undefine { name }) => {
            undefine(variables, &name);
        }
        // A mistake is told when the statement's turn comes.
        _ => {}
    }
}

/// `DEFINE`. Names of variables have no case.
pub fn define(variables: &mut HashMap<String, String>, name: &str, value: String) {
    undefine(variables, name);
    variables.insert(name.to_owned(), value);
}

/// `UNDEFINE`; whether the variable was there.
pub fn undefine(variables: &mut HashMap<String, String>, name: &str) -> bool {
    let before = variables.len();
    variables.retain(|known, _| !known.eq_ignore_ascii_case(name));
    variables.len() < before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_definition_counts_for_the_statements_behind_it() {
        let sql = "DEFINE f = 'JSON'; SHOW ${what}; SELECT '${f};' FROM ${s}; DEFINE F = 'AVRO'; SELECT '${f}' FROM a;";
        let given = of(&[("what", "STREAMS"), ("s", "orders")]);
        let expected =
            "DEFINE f = 'JSON'; SHOW STREAMS; SELECT 'JSON;' FROM orders; DEFINE F = 'AVRO'; SELECT 'AVRO' FROM a;";
        assert_eq!(substituted(sql, &given).unwrap(), expected);
    }

    #[test]
    fn what_is_undefined_stays_within_quotes_and_is_no_name() {
        let sql = "UNDEFINE a; SELECT '${A}' FROM s;";
        assert_eq!(substituted(sql, &of(&[("a", "1")])).unwrap(), sql);
        assert!(substituted("UNDEFINE a; SELECT ${A} FROM s;", &of(&[("a", "1")])).is_err());
        assert!(substituted("SELECT ${x} FROM s;", &of(&[("x", "a FROM b; DROP STREAM s")])).is_err());
    }
}
