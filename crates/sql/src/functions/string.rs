//! Functions of texts.

use super::bytes::hex;
use super::{Call, Category, Registry, optional};
use crate::expression::EvalError;
use crate::value::{MapValue, Value};

pub(super) fn register(registry: &mut Registry) {
    cases(registry);
    joining(registry);
    searching(registry);
    cutting(registry);
    padding(registry);
    coding(registry);
}

fn cases(registry: &mut Registry) {
    registry
        .scalar(Category::String, "lcase", "The text in lower case.")
        .strict("(input STRING) STRING", |c| Ok(Value::from(c.str(0).to_lowercase())));
    registry
        .scalar(Category::String, "ucase", "The text in upper case.")
        .strict("(input STRING) STRING", |c| Ok(Value::from(c.str(0).to_uppercase())));
    registry
        .scalar(Category::String, "initcap", "The text with each word's first letter in upper case, the rest in lower.")
        .strict("(str STRING) STRING", |c| Ok(Value::from(initcap(c.str(0)))));
    registry
        .scalar(Category::String, "trim", "The text without blanks at its ends.")
        .strict("(input STRING) STRING", |c| Ok(Value::from(c.str(0).trim_matches(|blank: char| blank <= ' '))));
    registry
        .scalar(Category::String, "len", "The number of characters of a text, or of bytes.")
        .strict("(input STRING) INT", |c| Ok(Value::Int(c.str(0).encode_utf16().count() as i32)))
        .strict("(input BYTES) INT", |c| Ok(Value::Int(c.bytes(0).len() as i32)));
}

/// Words end with the blanks behind them; blanks before the first are left out.
fn initcap(text: &str) -> String {
    let lower = text.to_lowercase();
    let blank = |c: char| matches!(c, ' ' | '\t'..='\r');
    let mut output = String::with_capacity(lower.len());
    let mut begins = true;
    for c in lower.trim_start_matches(blank).chars() {
        if begins {
            output.extend(c.to_uppercase());
        } else {
            output.push(c);
        }
        begins = blank(c);
    }
    output
}

fn joining(registry: &mut Registry) {
    registry
        .scalar(Category::String, "concat", "The texts, or bytes, one behind the other; nulls are left out.")
        .nullable("(inputs STRING...) STRING", |c| {
            Ok(Value::from(c.arguments.iter().filter_map(Value::as_str).collect::<String>()))
        })
        .nullable("(inputs BYTES...) BYTES", |c| {
            Ok(Value::bytes(c.arguments.iter().filter_map(Value::as_bytes).collect::<Vec<_>>().concat()))
        });
    registry
        .scalar(
            Category::String,
            "concat_ws",
            "The texts, or bytes, with a separator between them; nulls are left out, a null separator gives null.",
        )
        .nullable("(inputs STRING...) STRING", |c| {
            two_at_least(c)?;
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let parts: Vec<&str> = c.arguments.iter().skip(1).filter_map(Value::as_str).collect();
            Ok(Value::from(parts.join(c.str(0))))
        })
        .nullable("(inputs BYTES...) BYTES", |c| {
            two_at_least(c)?;
            if c.is_null(0) {
                return Ok(Value::Null);
            }
            let parts: Vec<&[u8]> = c.arguments.iter().skip(1).filter_map(Value::as_bytes).collect();
            Ok(Value::bytes(parts.join(c.bytes(0))))
        });
    registry.scalar(Category::String, "elt", "The nth of the texts, counted from 1.").nullable(
        "(n INT, args STRING...) STRING",
        |c| {
            let index = usize::try_from(c.int(0)).ok().filter(|index| *index > 0);
            Ok(index.map_or(Value::Null, |index| c.value(index).clone()))
        },
    );
    registry
        .scalar(
            Category::String,
            "field",
            "The position of the text among those that follow, from 1; 0 if it is not there.",
        )
        .nullable("(str STRING, args STRING...) INT", |c| {
            let found = c.arguments.iter().skip(1).position(|value| value == c.value(0));
            Ok(Value::Int(if c.is_null(0) { 0 } else { found.map_or(0, |index| index as i32 + 1) }))
        });
}

fn two_at_least(c: &Call<'_>) -> Result<(), EvalError> {
    if c.len() < 2 {
        return Err(EvalError::new("Function Concat_WS expects at least two input arguments."));
    }
    Ok(())
}

fn searching(registry: &mut Registry) {
    registry
        .scalar(
            Category::String,
            "instr",
            "The position of a text in another, from 1; 0 if it is not there or one of them is null. The search begins at \
             a position, from the end if that is negative, and may look for a later occurrence.",
        )
        .nullable("(str STRING, substring STRING) INT", instr)
        .nullable("(str STRING, substring STRING, position INT) INT", instr)
        .nullable("(str STRING, substring STRING, position INT, occurrence INT) INT", instr);
    registry
        .scalar(Category::String, "replace", "The text with every occurrence of one text replaced by another.")
        .strict("(str STRING, oldStr STRING, newStr STRING) STRING", |c| {
            Ok(Value::from(c.str(0).replace(c.str(1), c.str(2))))
        });
}

fn instr(c: &mut Call<'_>) -> Result<Value, EvalError> {
    if (2..c.len()).any(|index| c.is_null(index)) {
        return Ok(Value::Null);
    }
    if c.is_null(0) || c.is_null(1) {
        return Ok(Value::Int(0));
    }
    let position = if c.len() > 2 { c.int(2) } else { 1 };
    let occurrence = if c.len() > 3 { c.int(3) } else { 1 };
    let (text, sought) = (c.str(0).encode_utf16().collect(), c.str(1).encode_utf16().collect());
    Ok(Value::Int(position_of(text, sought, position, occurrence)))
}

/// The position of the nth occurrence from a position on; a search from the end is one in the texts turned around.
fn position_of(mut text: Vec<u16>, mut sought: Vec<u16>, position: i32, occurrence: i32) -> i32 {
    let from = position.unsigned_abs() as usize;
    if from == 0 || from > text.len() || occurrence < 1 {
        return 0;
    }
    if position < 0 {
        text.reverse();
        sought.reverse();
    }
    let rest = &text[from - 1..];
    let found = if sought.is_empty() {
        Some(0)
    } else {
        (0..rest.len()).filter(|at| rest[*at..].starts_with(&sought)).nth(occurrence as usize - 1)
    };
    match found {
        None => 0,
        Some(at) if position < 0 => (text.len() + 2) as i32 - (from + at + sought.len()) as i32,
        Some(at) => (at + from) as i32,
    }
}

fn cutting(registry: &mut Registry) {
    registry
        .scalar(
            Category::String,
            "substring",
            "The part of a text, or of bytes, from a position on, counted from 1, from the end if negative; at most as \
             long as given.",
        )
        .strict("(str STRING, pos INT) STRING", |c| Ok(cut_text(c, None)))
        .strict("(str STRING, pos INT, length INT) STRING", |c| Ok(cut_text(c, Some(c.int(2)))))
        .strict("(bytes BYTES, pos INT) BYTES", |c| {
            let (start, end) = bounds(c.bytes(0).len(), c.int(1), None);
            Ok(Value::bytes(&c.bytes(0)[start..end]))
        })
        .strict("(bytes BYTES, pos INT, length INT) BYTES", |c| {
            let (start, end) = bounds(c.bytes(0).len(), c.int(1), Some(c.int(2)));
            Ok(Value::bytes(&c.bytes(0)[start..end]))
        });
    registry
        .scalar(
            Category::String,
            "split",
            "The parts of a text, or of bytes, between the separators; every character where the separator is empty.",
        )
        .strict("(string STRING, delimiter STRING) ARRAY<STRING>", |c| {
            let (text, separator) = (c.str(0), c.str(1));
            // An empty text has one part, itself, whatever separates.
            let parts = if separator.is_empty() && !text.is_empty() {
                text.chars().map(|c| Value::from(c.to_string())).collect()
            } else if separator.is_empty() {
                vec![Value::from("")]
            } else {
                text.split(separator).map(Value::from).collect()
            };
            Ok(Value::array(parts))
        })
        .strict("(bytes BYTES, delimiter BYTES) ARRAY<BYTES>", |c| {
            Ok(Value::array(split_bytes(c.bytes(0), c.bytes(1))))
        });
    registry
        .scalar(Category::String, "split_to_map", "A map of the pairs in a text: pairs stand between one separator, key and value of each at the sides of another.")
        .strict("(input STRING, entryDelimiter STRING, kvDelimiter STRING) MAP<STRING, STRING>", |c| {
            let (text, pairs, values) = (c.str(0), c.str(1), c.str(2));
            if pairs.is_empty() || values.is_empty() || pairs == values {
                return Ok(Value::Null);
            }
            let entries = text
                .split(pairs)
                .filter(|pair| !pair.is_empty())
                .filter_map(|pair| pair.split_once(values))
                // What follows a second separator is no part of the value.
                .map(|(key, rest)| (key, rest.split_once(values).map_or(rest, |(value, _)| value)))
                .map(|(key, value)| (Value::from(key), Value::from(value)));
            Ok(Value::map(MapValue::newest_first(entries)))
        });
}

fn split_bytes(bytes: &[u8], separator: &[u8]) -> Vec<Value> {
    if separator.is_empty() && !bytes.is_empty() {
        return bytes.chunks(1).map(Value::bytes).collect();
    }
    if separator.is_empty() {
        return vec![Value::bytes(bytes)];
    }
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at + separator.len() <= bytes.len() {
        if bytes[at..].starts_with(separator) {
            parts.push(Value::bytes(&bytes[start..at]));
            at += separator.len();
            start = at;
        } else {
            at += 1;
        }
    }
    parts.push(Value::bytes(&bytes[start..]));
    parts
}

fn cut_text(c: &Call<'_>, length: Option<i32>) -> Value {
    let text = c.str(0);
    if text.is_ascii() {
        let (start, end) = span(c, text.len(), length);
        return Value::from(&text[start..end]);
    }
    let characters: Vec<char> = text.chars().collect();
    let (start, end) = span(c, characters.len(), length);
    Value::from(characters[start..end].iter().collect::<String>())
}

fn span(c: &Call<'_>, total: usize, length: Option<i32>) -> (usize, usize) {
    if !c.info.settings.legacy_substring {
        return bounds(total, c.int(1), length);
    }
    // Positions from 0, and the third argument is the end.
    let start = usize::try_from(c.int(1)).unwrap_or(0).min(total);
    let end = length.map_or(total, |end| usize::try_from(end).unwrap_or(0)).clamp(start, total);
    (start, end)
}

/// First and last index of what SUBSTRING gives.
fn bounds(total: usize, position: i32, length: Option<i32>) -> (usize, usize) {
    let (total, position) = (total as i64, i64::from(position));
    let start = if position > 0 {
        position - 1
    } else if position < 0 {
        total + position
    } else {
        0
    };
    let start = start.clamp(0, total);
    // A sum beyond 32 bits runs over, so that nothing is left.
    let end = length.map_or(total, |length| i64::from((start as i32).wrapping_add(length)));
    (start as usize, end.min(total).max(start) as usize)
}

fn padding(registry: &mut Registry) {
    registry
        .scalar(Category::String, "LPad", "The value made that long with padding at its left, or cut to that length.")
        .strict("(input STRING, targetLen INT, padding STRING) STRING", |c| Ok(pad_text(c, true)))
        .strict("(input BYTES, targetLen INT, padding BYTES) BYTES", |c| Ok(pad_bytes(c, true)));
    registry
        .scalar(Category::String, "RPad", "The value made that long with padding at its right, or cut to that length.")
        .strict("(input STRING, targetLen INT, padding STRING) STRING", |c| Ok(pad_text(c, false)))
        .strict("(input BYTES, targetLen INT, padding BYTES) BYTES", |c| Ok(pad_bytes(c, false)));
}

fn pad<T: Copy>(value: &[T], length: i32, padding: &[T], left: bool) -> Option<Vec<T>> {
    let length = usize::try_from(length).ok().filter(|_| !padding.is_empty())?;
    if value.len() >= length {
        return Some(value[..length].to_vec());
    }
    let fill: Vec<T> = padding.iter().copied().cycle().take(length - value.len()).collect();
    Some(if left { [&fill, value].concat() } else { [value, &fill].concat() })
}

fn pad_text(c: &Call<'_>, left: bool) -> Value {
    let (value, padding): (Vec<char>, Vec<char>) = (c.str(0).chars().collect(), c.str(2).chars().collect());
    optional(pad(&value, c.int(1), &padding, left).map(|padded| padded.into_iter().collect::<String>()))
}

fn pad_bytes(c: &Call<'_>, left: bool) -> Value {
    pad(c.bytes(0), c.int(1), c.bytes(2), left).map_or(Value::Null, Value::bytes)
}

fn coding(registry: &mut Registry) {
    registry
        .scalar(Category::String, "Chr", "The character of a Unicode code point, given as a number or as `\\uXXXX`.")
        .strict("(decimalCode INT) STRING", |c| {
            Ok(optional(u32::try_from(c.int(0)).ok().and_then(char::from_u32).map(|c| c.to_string())))
        })
        .strict("(utf16Code STRING) STRING", |c| Ok(optional(unescape(c.str(0)))));
    registry.scalar(Category::String, "md5", "The MD5 hash of the text in hexadecimal digits.").strict(
        "(s STRING) STRING",
        |c| {
            use md5::Digest as _;
            Ok(Value::from(hex(&md5::Md5::digest(c.str(0).as_bytes()))))
        },
    );
    registry
        .scalar(Category::String, "UUID", "A random UUID, or the UUID of 16 bytes.")
        .strict("() STRING", |_| Ok(Value::from(uuid::Uuid::new_v4().to_string())))
        .strict("(bytes BYTES) STRING", |c| {
            Ok(optional(uuid::Uuid::from_slice(c.bytes(0)).ok().map(|uuid| uuid.to_string())))
        });
    registry
        .scalar(
            Category::String,
            "encode",
            "A text that is coded as 'hex', 'utf8', 'ascii' or 'base64', in another of these codes.",
        )
        .strict("(str STRING, inputEncoding STRING, outputEncoding STRING) STRING", |c| {
            super::bytes::recode(c.str(0), c.str(1), c.str(2)).map(Value::from)
        });
}

/// `\u0041\u00e4`: UTF-16 units; what follows them and is no unit stands for itself.
fn unescape(text: &str) -> Option<String> {
    let mut units = Vec::new();
    let mut rest = text.strip_prefix("\\u").map(|_| text)?;
    while let Some(c) = rest.chars().next() {
        match rest.strip_prefix("\\u") {
            Some(behind) => {
                let (digits, after) = behind.split_at_checked(4)?;
                units.push(u16::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            None => {
                units.extend(c.encode_utf16(&mut [0; 2]).iter());
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    String::from_utf16(&units).ok()
}
