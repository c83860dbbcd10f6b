//! The text of a pattern, read.

use crate::expression::EvalError;

/// A pattern that is ready to print and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub(super) text: String,
    pub(super) parts: Vec<Part>,
}

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text that stands for itself.
    Text(String),
    /// A letter so many times.
    Field(char, usize),
    /// Parts that a text may have or not.
    Optional(Vec<Part>),
}

/// The letters that mean something.
const LETTERS: &str = "GuyYDMLdQqwWEecaBhKkHmsSAnNVzOXxZ";

impl Pattern {
    /// Reads a pattern; an error says what is wrong with it.
    pub fn new(text: &str) -> Result<Pattern, EvalError> {
        let mut stack: Vec<Vec<Part>> = vec![Vec::new()];
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let mut taken = c.len_utf8();
            match c {
                '\'' => {
                    let (literal, length) = quoted(rest).ok_or_else(|| {
                        EvalError::new(format!("Pattern ends with an incomplete string literal: {text}"))
                    })?;
                    taken = length;
                    add_text(&mut stack, &literal);
                }
                '[' => stack.push(Vec::new()),
                ']' => {
                    let optional = stack
                        .pop()
                        .filter(|_| !stack.is_empty())
                        .ok_or_else(|| EvalError::new("Pattern invalid as it contains ] without previous ["))?;
                    add(&mut stack, Part::Optional(optional));
                }
                '{' | '}' | '#' => {
                    return Err(EvalError::new(format!("Pattern includes reserved character: '{c}'")));
                }
                c if c.is_ascii_alphabetic() => {
                    let count = rest.chars().take_while(|next| *next == c).count();
                    if !LETTERS.contains(c) {
                        return Err(EvalError::new(format!("Unknown pattern letter: {c}")));
                    }
                    taken = count;
                    add(&mut stack, Part::Field(c, count));
                }
                c => add_text(&mut stack, &c.to_string()),
            }
            rest = &rest[taken..];
        }
        // A [ without its ] ends with the pattern.
        while stack.len() > 1 {
            if let Some(optional) = stack.pop() {
                add(&mut stack, Part::Optional(optional));
            }
        }
        Ok(Pattern { text: text.to_owned(), parts: stack.pop().unwrap_or_default() })
    }
}

fn add(stack: &mut [Vec<Part>], part: Part) {
    if let Some(parts) = stack.last_mut() {
        parts.push(part);
    }
}

fn add_text(stack: &mut [Vec<Part>], text: &str) {
    match stack.last_mut().and_then(|parts| parts.last_mut()) {
        Some(Part::Text(known)) => known.push_str(text),
        _ => add(stack, Part::Text(text.to_owned())),
    }
}

/// The text in single quotes at the head of `rest` and the length of it all; two quotes are one.
fn quoted(rest: &str) -> Option<(String, usize)> {
    if rest.starts_with("''") {
        return Some(("'".to_owned(), 2));
    }
    let mut literal = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c != '\'' {
            literal.push(c);
        } else if characters.peek().is_some_and(|(_, next)| *next == '\'') {
            characters.next();
            literal.push('\'');
        } else {
            return Some((literal, at + 1));
        }
    }
    None
}
