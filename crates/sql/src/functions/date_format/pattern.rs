//! The text of a pattern, read.

use crate::expression::EvalError;

/// How deep optional parts may nest: each level takes some of the stack, and patterns come from anybody.
const NESTED_MAX: usize = 100;

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
    /// A letter so many times, and how many digits those numbers have that follow without anything between.
    Field(char, usize, usize),
    /// A field with blanks before it that make it so wide.
    Padded(usize, char, usize),
    /// Parts that a text may have or not.
    Optional(Vec<Part>),
}

/// How often a letter may stand, which means nothing else.
fn is_field(letter: char, count: usize) -> bool {
    match letter {
        'F' | 'W' | 'a' => count == 1,
        'V' => count == 2,
        'd' | 'h' | 'K' | 'k' | 'H' | 'm' | 's' | 'w' => count <= 2,
        'D' => count <= 3,
        'z' => count <= 4,
        'O' => matches!(count, 1 | 4),
        'B' => matches!(count, 1 | 4 | 5),
        'c' => matches!(count, 1 | 3..=5),
        'G' | 'M' | 'L' | 'Q' | 'q' | 'E' | 'e' | 'X' | 'x' | 'Z' => count <= 5,
        'S' => count <= 9,
        'u' | 'y' | 'Y' | 'A' | 'n' | 'N' | 'g' => count <= 19,
        _ => false,
    }
}

/// The digits of a number that has always so many; `None` where they differ.
fn fixed_digits(letter: char, count: usize) -> Option<usize> {
    match letter {
        'S' => Some(count),
        'D' if count == 3 => Some(3),
        _ if count == 2 && is_number(letter, count) && !matches!(letter, 'g' | 'A' | 'n' | 'N') => Some(2),
        _ => None,
    }
}

/// Whether a field is digits.
pub(super) fn is_number(letter: char, count: usize) -> bool {
    match letter {
        'M' | 'L' | 'Q' | 'q' | 'e' | 'c' => count < 3,
        letter => "uyYDdFgwWhKkHmsSAnN".contains(letter),
    }
}

/// Tells the first number of each row how many digits those of fixed width behind it take.
fn reserve(parts: &mut [Part]) {
    let mut first: Option<usize> = None;
    for index in 0..parts.len() {
        let number = match &parts[index] {
            Part::Field(letter, count, _) if is_number(*letter, *count) => Some(fixed_digits(*letter, *count)),
            _ => None,
        };
        match (first, number) {
            (Some(first), Some(Some(digits))) => {
                if let Part::Field(_, _, reserved) = &mut parts[first] {
                    *reserved += digits;
                }
            }
            (known, Some(fixed)) => {
                // One that knows no width leaves nothing to those before it.
                if let (Some(known), None) = (known, fixed)
                    && let Part::Field(_, _, reserved) = &mut parts[known]
                {
                    *reserved = 0;
                }
                first = Some(index);
            }
            (_, None) => first = None,
        }
        if let Part::Optional(inner) = &mut parts[index] {
            reserve(inner);
        }
    }
}

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
                '[' if stack.len() > NESTED_MAX => {
                    return Err(EvalError::new("Pattern invalid as its optional parts are nested too deeply"));
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
                    let (part, length) = field(rest)?;
                    taken = length;
                    add(&mut stack, part);
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
        let mut parts = stack.pop().unwrap_or_default();
        reserve(&mut parts);
        Ok(Pattern { text: text.to_owned(), parts })
    }
}

/// The field at the head of `rest` and how many letters it has.
fn field(rest: &str) -> Result<(Part, usize), EvalError> {
    let letters = |rest: &str| {
        let letter = rest.chars().next().filter(char::is_ascii_alphabetic)?;
        Some((letter, rest.chars().take_while(|next| *next == letter).count()))
    };
    let Some((letter, count)) = letters(rest) else { return Err(EvalError::new("A pattern ends early")) };
    let check = |letter: char, count: usize| match is_field(letter, count) {
        true => Ok(()),
        false if is_field(letter, 1) || is_field(letter, 2) => {
            Err(EvalError::new(format!("Too many pattern letters: {letter}")))
        }
        false => Err(EvalError::new(format!("Unknown pattern letter: {letter}"))),
    };
    if letter != 'p' {
        return check(letter, count).map(|()| (Part::Field(letter, count, 0), count));
    }
    let Some((padded, width)) = letters(&rest[count..]) else {
        return Err(EvalError::new("Pad letter 'p' must be followed by valid pad pattern"));
    };
    check(padded, width).map(|()| (Part::Padded(count, padded, width), count + width))
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
