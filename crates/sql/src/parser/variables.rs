//! Variables in the text of statements: `${name}`.

use std::collections::HashMap;

use super::ParseError;

/// `sql` with every `${name}` outside comments replaced by the value of the variable.
///
/// Within quotes the value's own quotes are doubled, so that a value can never end the text that it stands in; what is no
/// variable stays there as it is, and `$${name}` is the text `${name}`. Outside, a value must be a name, a number or a
/// quoted text.
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
        // Without variables nobody means any, and texts stay as they are.
        if let Some(escaped) = rest.strip_prefix('$').filter(|rest| rest.starts_with("${") && !variables.is_empty()) {
            output.push_str("${");
            rest = &escaped[2..];
            continue;
        }
        if let Some((name, after)) = reference(rest) {
            let (written, before) = (&rest[..rest.len() - after.len()], &sql[..sql.len() - rest.len()]);
            let value = value_of(name, quote, variables).unwrap_or_else(|| written.to_owned());
            if quote.is_none() && !is_single_token(&value) {
                return Err(illegal(before, &value));
            }
            output.push_str(&value);
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

fn value_of(name: &str, quote: Option<char>, variables: &HashMap<String, String>) -> Option<String> {
    let value = variables
        .get(name)
        .or_else(|| variables.iter().find(|(defined, _)| defined.eq_ignore_ascii_case(name)).map(|(_, value)| value))?;
    Some(match quote {
        Some(quote) => value.replace(quote, &format!("{quote}{quote}")),
        None => value.clone(),
    })
}

/// The refusal of a value behind the text `before`.
fn illegal(before: &str, value: &str) -> ParseError {
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    // Behind `=` stands a value, elsewhere a name.
    let rule = match before.trim_end().ends_with('=') {
        true => "",
        false => " Identifier names cannot start with '@' and may only contain alphanumeric values and '_'.",
    };
    ParseError::illegal(format!("Illegal argument at Line: {line}, Col: {column}.{rule} Got: '{value}'"))
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
