//! Functions that hide the characters of texts.

use std::sync::LazyLock;

use fancy_regex::Regex;

use super::{Call, Category, Registry};
use crate::expression::EvalError;
use crate::value::Value;

/// What upper case, lower case, digits and the rest become; `None` keeps them.
type Masks = [Option<char>; 4];

const DEFAULTS: Masks = [Some('X'), Some('x'), Some('n'), Some('-')];

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(
            Category::String,
            "mask",
            "The text with its upper-case letters, lower-case letters, digits and other characters replaced: by X, x, n \
             and - unless others are given; a null keeps that kind.",
        )
        .nullable("(input STRING) STRING", |c| masked(c, None, Part::All))
        .nullable("(input STRING, upper STRING, lower STRING, digit STRING, other STRING) STRING", |c| {
            masked(c, Some(1), Part::All)
        });
    registry
        .scalar(Category::String, "mask_left", "As MASK, but of the first n characters only.")
        .nullable("(input STRING, numChars INT) STRING", |c| masked(c, None, Part::Left))
        .nullable("(input STRING, numChars INT, upper STRING, lower STRING, digit STRING, other STRING) STRING", |c| {
            masked(c, Some(2), Part::Left)
        });
    registry
        .scalar(Category::String, "mask_right", "As MASK, but of the last n characters only.")
        .nullable("(input STRING, numChars INT) STRING", |c| masked(c, None, Part::Right))
        .nullable("(input STRING, numChars INT, upper STRING, lower STRING, digit STRING, other STRING) STRING", |c| {
            masked(c, Some(2), Part::Right)
        });
    registry
        .scalar(Category::String, "mask_keep_left", "As MASK, but of all characters but the first n.")
        .nullable("(input STRING, numChars INT) STRING", |c| masked(c, None, Part::KeepLeft))
        .nullable("(input STRING, numChars INT, upper STRING, lower STRING, digit STRING, other STRING) STRING", |c| {
            masked(c, Some(2), Part::KeepLeft)
        });
    registry
        .scalar(Category::String, "mask_keep_right", "As MASK, but of all characters but the last n.")
        .nullable("(input STRING, numChars INT) STRING", |c| masked(c, None, Part::KeepRight))
        .nullable("(input STRING, numChars INT, upper STRING, lower STRING, digit STRING, other STRING) STRING", |c| {
            masked(c, Some(2), Part::KeepRight)
        });
}

/// Which characters are hidden.
enum Part {
    All,
    Left,
    Right,
    KeepLeft,
    KeepRight,
}

fn masked(c: &mut Call<'_>, masks_at: Option<usize>, part: Part) -> Result<Value, EvalError> {
    let Some(text) = c.value(0).as_str() else { return Ok(Value::Null) };
    let masks = masks_at.map_or(Ok(DEFAULTS), |at| masks(c, at))?;
    let total = text.chars().count();
    let number = match part {
        Part::All => 0,
        _ => usize::try_from(if c.is_null(1) { -1 } else { c.int(1) })
            .map_err(|_| EvalError::new("a non-negative number of characters to mask or skip is required"))?
            .min(total),
    };
    let hidden = match part {
        Part::All => 0..total,
        Part::Left => 0..number,
        Part::Right => total - number..total,
        Part::KeepLeft => number..total,
        Part::KeepRight => 0..total - number,
    };
    let output: String =
        text.chars().enumerate().map(|(at, c)| if hidden.contains(&at) { mask_of(c, &masks) } else { c }).collect();
    Ok(Value::from(output))
}

/// The masks from an argument on; a null keeps what it would hide.
fn masks(c: &Call<'_>, at: usize) -> Result<Masks, EvalError> {
    let mut masks = [None; 4];
    for (kind, mask) in masks.iter_mut().enumerate() {
        let Some(text) = c.value(at + kind).as_str() else { continue };
        let mut characters = text.chars();
        *mask = characters.next();
        if mask.is_none() || characters.next().is_some() {
            return Err(EvalError::new(format!(
                "Invalid mask character. Must be only single character, but was '{text}'"
            )));
        }
    }
    Ok(masks)
}

fn mask_of(c: char, masks: &Masks) -> char {
    masks[kind(c)].unwrap_or(c)
}

/// Which mask hides a character: by its general category, so that Roman numerals and fractions are of the rest.
fn kind(c: char) -> usize {
    static CATEGORIES: LazyLock<[Option<Regex>; 3]> =
        LazyLock::new(|| ["^\\p{Lu}", "^\\p{Ll}", "^\\p{Nd}"].map(|category| Regex::new(category).ok()));
    // Each category is part of what these say; the tables are asked only where that can matter.
    let (ascii, wider) = (
        [c.is_ascii_uppercase(), c.is_ascii_lowercase(), c.is_ascii_digit()],
        [c.is_uppercase(), c.is_lowercase(), c.is_numeric()],
    );
    let found = if c.is_ascii() { ascii } else { wider }.into_iter().position(|is| is);
    let is_of = |kind: &usize| {
        let mut buffer = [0; 4];
        let text = c.encode_utf8(&mut buffer);
        CATEGORIES[*kind].as_ref().is_some_and(|category| category.is_match(text).unwrap_or(false))
    };
    found.filter(|kind| c.is_ascii() || is_of(kind)).unwrap_or(3)
}
