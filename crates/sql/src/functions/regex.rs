//! Functions with regular expressions.

use std::cell::RefCell;
use std::collections::HashMap;

use fancy_regex::{Captures, Regex};

use super::{Category, Registry};
use crate::expression::EvalError;
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(
            Category::RegularExpression,
            "regexp_extract",
            "The first part of a text that the pattern matches, or its group of that number; null where it does not match.",
        )
        .strict("(pattern STRING, input STRING) STRING", |c| extract(c.str(0), c.str(1), 0))
        .strict("(pattern STRING, input STRING, group INT) STRING", |c| extract(c.str(0), c.str(1), c.int(2)));
    registry
        .scalar(
            Category::RegularExpression,
            "regexp_extract_all",
            "All parts of a text that the pattern matches, or their groups of that number.",
        )
        .strict("(pattern STRING, input STRING) ARRAY<STRING>", |c| extract_all(c.str(0), c.str(1), 0))
        .strict("(pattern STRING, input STRING, group INT) ARRAY<STRING>", |c| {
            extract_all(c.str(0), c.str(1), c.int(2))
        });
    registry
        .scalar(
            Category::RegularExpression,
            "regexp_replace",
            "The text with every part that the pattern matches replaced; $1 stands for the first group.",
        )
        .strict("(str STRING, regexp STRING, newStr STRING) STRING", |c| {
            let (text, new) = (c.str(0), c.str(2));
            with_regex(c.str(1), |regex| {
                let mut wrong = None;
                let replaced = regex.try_replacen(text, 0, |captures: &Captures<'_, str>| {
                    expand(new, captures).unwrap_or_else(|error| {
                        wrong.get_or_insert(error);
                        String::new()
                    })
                });
                let replaced = replaced.map(|text| Value::from(&*text)).map_err(failed)?;
                wrong.map_or(Ok(replaced), Err)
            })
        });
    registry
        .scalar(
            Category::RegularExpression,
            "regexp_split_to_array",
            "The parts of a text between those that the pattern matches.",
        )
        .strict("(string STRING, regexp STRING) ARRAY<STRING>", |c| {
            let text = c.str(0);
            with_regex(c.str(1), |regex| {
                if regex.is_match("").map_err(failed)? {
                    return split_between(regex, text);
                }
                let parts: Result<Vec<_>, _> = regex.split(text).map(|part| part.map(Value::from)).collect();
                parts.map(Value::array).map_err(failed)
            })
        });
}

/// The parts of a text between the matches of a pattern that also matches nothing, such as the empty one: an empty match
/// at the start separates nothing, and empty parts at the end are left out.
fn split_between(regex: &Regex, text: &str) -> Result<Value, EvalError> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for found in regex.find_iter(text) {
        let found = found.map_err(failed)?;
        if found.end() == 0 {
            continue;
        }
        parts.push(&text[start..found.start()]);
        start = found.end();
    }
    if parts.is_empty() {
        return Ok(Value::array(vec![Value::from(text)]));
    }
    parts.push(&text[start..]);
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    Ok(Value::array(parts.into_iter().map(Value::from).collect()))
}

/// Most patterns kept per thread; almost every query has its patterns as literals.
const CACHED_PATTERNS: usize = 64;

/// Runs `body` with the compiled pattern.
fn with_regex(pattern: &str, body: impl FnOnce(&Regex) -> Result<Value, EvalError>) -> Result<Value, EvalError> {
    thread_local! {
        static CACHE: RefCell<HashMap<String, Regex>> = RefCell::new(HashMap::new());
    }
    CACHE.with_borrow_mut(|cache| {
        if let Some(regex) = cache.get(pattern) {
            return body(regex);
        }
        let regex = Regex::new(pattern)
            .map_err(|error| EvalError::new(format!("Invalid regular expression pattern: {pattern}: {error}")))?;
        if cache.len() >= CACHED_PATTERNS {
            cache.clear();
        }
        body(cache.entry(pattern.to_owned()).or_insert(regex))
    })
}

fn failed(error: fancy_regex::Error) -> EvalError {
    EvalError::new(format!("Regular expression failed: {error}"))
}

fn extract(pattern: &str, text: &str, group: i32) -> Result<Value, EvalError> {
    with_regex(pattern, |regex| {
        let Some(group) = usize::try_from(group).ok().filter(|group| *group < regex.captures_len()) else {
            return Ok(Value::Null);
        };
        let captures = regex.captures(text).map_err(failed)?;
        Ok(captures.and_then(|captures| captures.get(group)).map_or(Value::Null, |part| Value::from(part.as_str())))
    })
}

fn extract_all(pattern: &str, text: &str, group: i32) -> Result<Value, EvalError> {
    with_regex(pattern, |regex| {
        let Some(group) = usize::try_from(group).ok().filter(|group| *group < regex.captures_len()) else {
            return Ok(Value::Null);
        };
        let mut found = Vec::new();
        for captures in regex.captures_iter(text) {
            let captures = captures.map_err(failed)?;
            found.push(captures.get(group).map_or(Value::Null, |part| Value::from(part.as_str())));
        }
        Ok(Value::array(found))
    })
}

/// A replacement as Java reads it: `$1` is a group, `\` makes the next character literal.
fn expand(replacement: &str, captures: &Captures<'_, str>) -> Result<String, EvalError> {
    let mut output = String::new();
    let mut characters = replacement.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(literal) => output.push(literal),
                None => return Err(EvalError::new("The replacement ends with a backslash")),
            },
            '$' => {
                let first = characters.next().and_then(|c| c.to_digit(10));
                let mut group = first.ok_or_else(|| EvalError::new("A $ without the number of a group"))? as usize;
                if group >= captures.len() {
                    return Err(EvalError::new(format!("The pattern has no group {group}")));
                }
                while let Some(digit) = characters.peek().and_then(|c| c.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if longer >= captures.len() {
                        break;
                    }
                    group = longer;
                    characters.next();
                }
                output.push_str(captures.get(group).map_or("", |part| part.as_str()));
            }
            c => output.push(c),
        }
    }
    Ok(output)
}
