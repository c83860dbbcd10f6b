//! Variables in the text of statements: `${name}`.

use std::collections::HashMap;

use super::ParseError;

/// `sql` with every `${name}` outside comments replaced by the value of the variable; unknown ones are told.
///
/// Within quotes the value's own quotes are doubled, so that a value can never end the text that it stands in. Outside,
/// a value must be a name, a number or a quoted text.
pub fn substitute_variables(sql: &str, variables: &HashMap<String, String>) -> Result<String, ParseError> {
    let mut output = String::with_capacity(sql.len());
    let mut rest = sql;
    let mut quote: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        if quote.is_none() && (rest.starts_with("--") || rest.starts_with("/*")) {
            let end = if rest.starts_with("--") {
                rest.find('\n').unwrap_or(rest.len())
            } else {
                rest.find("*/").map_or(rest.len(), |end| end + 2)
            };
            output.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        if let Some((name, after)) = reference(rest) {
            output.push_str(&value_of(name, quote, variables)?);
            rest = after;
            continue;
        }
        match quote {
            Some(open) if open == c => quote = None,
            None if matches!(c, '\'' | '`' | '"') => quote = Some(c),
            _ => {}
        }
        output.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Ok(output)
}

/// The name in a `${name}` at the head of `text`, and what follows.
fn reference(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix("${")?;
    let (name, after) = inner.split_once('}')?;
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    valid.then_some((name, after))
}

fn value_of(name: &str, quote: Option<char>, variables: &HashMap<String, String>) -> Result<String, ParseError> {
    let found = variables
        .get(name)
        .or_else(|| variables.iter().find(|(defined, _)| defined.eq_ignore_ascii_case(name)).map(|(_, value)| value));
    let Some(value) = found else {
        return Err(ParseError::prepare(format!("Failed to substitute variable '{name}': it is not defined")));
    };
    match quote {
        Some(quote) => Ok(value.replace(quote, &format!("{quote}{quote}"))),
        None if is_single_token(value) => Ok(value.clone()),
        None => Err(ParseError::prepare(format!(
            "Failed to substitute variable '{name}': its value is neither a name nor a literal: {value}"
        ))),
    }
}

/// One word, number, quoted text or name, a sign before it allowed.
fn is_single_token(value: &str) -> bool {
    use crate::lexer::TokenKind;
    let tokens = crate::lexer::tokenize(value.strip_prefix('-').unwrap_or(value));
    tokens.len() == 2
        && matches!(
            tokens[0].kind,
            TokenKind::Word(_)
                | TokenKind::Quoted(_)
                | TokenKind::String(_)
                | TokenKind::Integer(_)
                | TokenKind::Decimal(_)
                | TokenKind::Float(_)
                | TokenKind::DigitWord(_)
        )
}
