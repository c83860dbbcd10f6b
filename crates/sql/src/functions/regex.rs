//! Functions with regular expressions.

use fancy_regex::{Captures, Regex, RegexBuilder};

use super::cache::{Cache, cached_within};
use super::{Category, Registry, java_regex};
use crate::expression::EvalError;
use crate::value::Value;

/// Most compiled expressions that a thread keeps of a kind: each may take [`COMPILED_MAX`], and patterns may come from rows.
const KEPT_MAX: usize = 64;
/// Most bytes that a part of an expression may take.
const COMPILED_MAX: usize = 1 << 20;

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
            with_regex(c.str(1), text, |regex| {
                let (mut output, mut copied) = (String::with_capacity(text.len()), 0);
                for captures in all_captures(regex, text) {
                    let captures = captures?;
                    let Some(found) = captures.get(0) else { continue };
                    output.push_str(&text[copied..found.start()]);
                    expand(new, regex, &captures, &mut output)?;
                    copied = found.end();
                }
                output.push_str(&text[copied..]);
                Ok(Value::from(output))
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
            with_regex(c.str(1), text, |regex| {
                let parts = if takes_nothing(regex)? { split_between(regex, text)? } else { split(regex, text)? };
                Ok(Value::array(parts.into_iter().map(Value::from).collect()))
            })
        });
}

/// Whether all of an empty text matches.
fn takes_nothing(regex: &Regex) -> Result<bool, EvalError> {
    regex.is_match("").map_err(failed)
}

/// The parts of a text between the matches of a pattern that also matches an empty text, such as the empty one: an empty
/// match at the start separates nothing, and empty parts at the end are left out.
fn split_between<'t>(regex: &Regex, text: &'t str) -> Result<Vec<&'t str>, EvalError> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for captures in all_captures(regex, text) {
        let captures = captures?;
        let Some(found) = captures.get(0).filter(|found| found.end() > 0) else { continue };
        parts.push(&text[start..found.start()]);
        start = found.end();
    }
    if parts.is_empty() {
        return Ok(vec![text]);
    }
    parts.push(&text[start..]);
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    Ok(parts)
}

/// The parts of a text between the matches of a pattern; an empty match where a part begins separates nothing.
fn split<'t>(regex: &Regex, text: &'t str) -> Result<Vec<&'t str>, EvalError> {
    let (mut parts, mut start, mut from) = (Vec::new(), 0, 0);
    while from <= text.len()
        && let Some(found) = regex.find_from_pos(text, from).map_err(failed)?
    {
        if found.end() == start {
            from = behind(text, start);
            continue;
        }
        parts.push(&text[start..found.start()]);
        start = found.end();
        from = start;
    }
    parts.push(&text[start..]);
    Ok(parts)
}

/// The position behind the character at a position; behind the text where it ends there.
fn behind(text: &str, position: usize) -> usize {
    position + text[position..].chars().next().map_or(1, char::len_utf8)
}

/// All matches as `Matcher.find` gives them: also an empty one directly behind another.
fn all_captures<'r, 't>(
    regex: &'r Regex,
    text: &'t str,
) -> impl Iterator<Item = Result<Captures<'t, str>, EvalError>> + use<'r, 't> {
    let mut from = 0;
    std::iter::from_fn(move || {
        if from > text.len() {
            return None;
        }
        let captures = match regex.captures_from_pos(text, from) {
            Ok(captures) => captures?,
            Err(error) => {
                from = text.len() + 1;
                return Some(Err(failed(error)));
            }
        };
        let found = captures.get(0)?;
        from = if found.end() > found.start() { found.end() } else { behind(text, found.end()) };
        Some(Ok(captures))
    })
}

/// Runs `body` with the compiled pattern; what `$` means depends on the end of the text.
fn with_regex(
    pattern: &str,
    text: &str,
    body: impl FnOnce(&Regex) -> Result<Value, EvalError>,
) -> Result<Value, EvalError> {
    thread_local! {
        static CACHE: Cache<Regex> = Cache::default();
        static CACHE_FOR_ENDS_OF_LINES: Cache<Regex> = Cache::default();
    }
    let ends_line = java_regex::ends_line(text);
    let cache = if ends_line { &CACHE_FOR_ENDS_OF_LINES } else { &CACHE };
    let regex = cached_within(cache, KEPT_MAX, pattern, |pattern| {
        let invalid = |error: String| EvalError::new(format!("Invalid regular expression pattern: {pattern}: {error}"));
        let translated = java_regex::translate(pattern, ends_line).map_err(invalid)?;
        let compiled = RegexBuilder::new(&translated).delegate_size_limit(COMPILED_MAX).build();
        compiled.map_err(|error| invalid(error.to_string()))
    })?;
    body(&regex)
}

fn failed(error: fancy_regex::Error) -> EvalError {
    EvalError::new(format!("Regular expression failed: {error}"))
}

fn extract(pattern: &str, text: &str, group: i32) -> Result<Value, EvalError> {
    with_regex(pattern, text, |regex| {
        let Some(group) = usize::try_from(group).ok().filter(|group| *group < regex.captures_len()) else {
            return Ok(Value::Null);
        };
        let captures = regex.captures(text).map_err(failed)?;
        Ok(captures.and_then(|captures| captures.get(group)).map_or(Value::Null, |part| Value::from(part.as_str())))
    })
}

fn extract_all(pattern: &str, text: &str, group: i32) -> Result<Value, EvalError> {
    with_regex(pattern, text, |regex| {
        let Some(group) = usize::try_from(group).ok().filter(|group| *group < regex.captures_len()) else {
            return Ok(Value::Null);
        };
        let mut found = Vec::new();
        for captures in all_captures(regex, text) {
            let captures = captures?;
            found.push(captures.get(group).map_or(Value::Null, |part| Value::from(part.as_str())));
        }
        Ok(Value::array(found))
    })
}

/// Appends a replacement as Java reads it: `$1` and `${name}` are groups, `\` makes the next character literal.
fn expand(
    replacement: &str,
    regex: &Regex,
    captures: &Captures<'_, str>,
    output: &mut String,
) -> Result<(), EvalError> {
    let mut characters = replacement.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(literal) => output.push(literal),
                None => return Err(EvalError::new("character to be escaped is missing")),
            },
            '$' if characters.next_if_eq(&'{').is_some() => {
                output.push_str(named(&mut characters, regex, captures)?);
            }
            '$' => {
                let first = characters.next().and_then(|c| c.to_digit(10));
                let mut group = first.ok_or_else(|| EvalError::new("Illegal group reference"))? as usize;
                if group >= captures.len() {
                    return Err(EvalError::new(format!("No group {group}")));
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
    Ok(())
}

/// What the group matched whose name, up to its `}`, comes next; nothing where it took no part.
fn named<'t>(
    characters: &mut impl Iterator<Item = char>,
    regex: &Regex,
    captures: &Captures<'t, str>,
) -> Result<&'t str, EvalError> {
    let mut name = String::new();
    loop {
        match characters.next() {
            Some('}') => break,
            Some(c) => name.push(c),
            None => return Err(EvalError::new("named capturing group is missing trailing '}'")),
        }
    }
    if !regex.capture_names().flatten().any(|known| known == name) {
        return Err(EvalError::new(format!("No group with name {{{name}}}")));
    }
    Ok(captures.name(&name).map_or("", |part| part.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(pattern: &str, text: &str, new: &str) -> Result<String, String> {
        let regex = Regex::new(pattern).unwrap();
        let captures = regex.captures(text).unwrap().unwrap();
        let mut output = String::new();
        expand(new, &regex, &captures, &mut output).map_err(|error| error.to_string())?;
        Ok(output)
    }

    #[test]
    fn groups_are_named_as_the_pattern_names_them() {
        let pattern = "(?<a>x)|(?<b>y)";
        assert_eq!(replaced(pattern, "x", "<${a}${b}>"), Ok("<x>".to_owned()));
        assert!(replaced(pattern, "x", "${c}").unwrap_err().contains("No group with name {c}"));
        assert!(replaced(pattern, "x", "${}").is_err());
        for open in ["${a", "${"] {
            assert!(replaced(pattern, "x", open).unwrap_err().contains("missing trailing '}'"));
        }
    }

    #[test]
    fn expressions_that_compile_to_much_are_refused() {
        let find = |pattern: &str| extract(pattern, "abc", 0);
        assert!(find("[a-z]{1,100}").is_ok());
        assert!(find(r"\p{L}{1000}{100}").is_err());
    }
}
