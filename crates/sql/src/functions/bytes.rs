//! Functions of bytes.

use std::borrow::Cow;

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine as _};

use super::{Call, Category, Registry};
use crate::expression::EvalError;
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    registry
        .scalar(
            Category::String,
            "to_bytes",
            "The bytes of a text that is coded as 'hex', 'utf8', 'ascii' or 'base64'.",
        )
        .strict("(value STRING, encoding STRING) BYTES", |c| from_text(c.str(0), c.str(1)).map(Value::bytes));
    registry
        .scalar(Category::String, "from_bytes", "The bytes as a text in 'hex', 'utf8', 'ascii' or 'base64'.")
        .strict("(value BYTES, encoding STRING) STRING", |c| to_text(c.bytes(0), c.str(1)).map(Value::from));
    registry
        .scalar(
            Category::Conversions,
            "int_from_bytes",
            "The INT of 4 bytes, the highest first unless the order is 'LITTLE_ENDIAN'.",
        )
        .strict("(value BYTES) INT", |c| Ok(Value::Int(i32::from_be_bytes(ordered(c)?))))
        .strict("(value BYTES, byteOrder STRING) INT", |c| Ok(Value::Int(i32::from_be_bytes(ordered(c)?))));
    registry
        .scalar(
            Category::Conversions,
            "bigint_from_bytes",
            "The BIGINT of 8 bytes, the highest first unless the order is 'LITTLE_ENDIAN'.",
        )
        .strict("(value BYTES) BIGINT", |c| Ok(Value::Bigint(i64::from_be_bytes(ordered(c)?))))
        .strict("(value BYTES, byteOrder STRING) BIGINT", |c| Ok(Value::Bigint(i64::from_be_bytes(ordered(c)?))));
    registry
        .scalar(
            Category::Conversions,
            "double_from_bytes",
            "The DOUBLE of 8 bytes, the highest first unless the order is 'LITTLE_ENDIAN'.",
        )
        .strict("(value BYTES) DOUBLE", |c| Ok(Value::Double(f64::from_be_bytes(ordered(c)?))))
        .strict("(value BYTES, byteOrder STRING) DOUBLE", |c| Ok(Value::Double(f64::from_be_bytes(ordered(c)?))));
}

/// The bytes of the first argument with the highest first; the second may name their order.
fn ordered<const N: usize>(c: &Call<'_>) -> Result<[u8; N], EvalError> {
    let bytes = c.bytes(0);
    let mut array: [u8; N] = bytes
        .try_into()
        .map_err(|_| EvalError::new(format!("Number of bytes must be equal to {N}, but found {}", bytes.len())))?;
    let order = if c.len() > 1 { c.str(1) } else { "BIG_ENDIAN" };
    if order.eq_ignore_ascii_case("LITTLE_ENDIAN") {
        array.reverse();
    } else if !order.eq_ignore_ascii_case("BIG_ENDIAN") {
        return Err(EvalError::new(format!(
            "Byte order must be BIG_ENDIAN or LITTLE_ENDIAN. Unknown byte order '{order}'."
        )));
    }
    Ok(array)
}

/// The bytes that a text stands for; digits are in pairs and have nothing around them.
fn from_text(text: &str, encoding: &str) -> Result<Vec<u8>, EvalError> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => unhex(text),
        "utf8" => Ok(text.as_bytes().to_vec()),
        "ascii" => Ok(ascii(text)),
        "base64" => JAVA.decode(text).map_err(|error| EvalError::new(format!("Illegal base64: {error}"))),
        _ => Err(unknown(encoding)),
    }
}

/// The text for bytes, with hexadecimal digits in upper case.
fn to_text(bytes: &[u8], encoding: &str) -> Result<String, EvalError> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex(bytes).to_ascii_uppercase()),
        "utf8" => Ok(String::from_utf8_lossy(bytes).into_owned()),
        "ascii" => Ok(of_ascii(bytes)),
        "base64" => Ok(STANDARD.encode(bytes)),
        _ => Err(unknown(encoding)),
    }
}

/// Base64 that may lack its padding.
pub(crate) const JAVA: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A text in one code as a text in another: ENCODE.
pub(super) fn recode(text: &str, from: &str, to: &str) -> Result<String, EvalError> {
    let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
    let unsupported = || EvalError::new("Supported input and output encodings are: hex, utf8, ascii and base64");
    if from == to {
        return Err(unsupported());
    }
    let bytes = match from.as_str() {
        "hex" => unhex(&bare(text))?,
        "utf8" => text.as_bytes().to_vec(),
        "ascii" => ascii(text),
        "base64" => forgiving_base64(text)?,
        _ => return Err(unsupported()),
    };
    match to.as_str() {
        "hex" => Ok(hex(&bytes)),
        "utf8" => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        "ascii" => Ok(of_ascii(&bytes)),
        "base64" => Ok(STANDARD.encode(&bytes)),
        _ => Err(unsupported()),
    }
}

/// The digits of `0x...`, which may be odd in number, or of `X'...'`.
fn bare(text: &str) -> Cow<'_, str> {
    if let Some(digits) = text.strip_prefix("0x") {
        return if digits.len().is_multiple_of(2) { digits.into() } else { format!("0{digits}").into() };
    }
    let quoted = text.strip_prefix("X'").or_else(|| text.strip_prefix("x'"));
    quoted.and_then(|rest| rest.strip_suffix('\'')).unwrap_or(text).into()
}

/// Base64 of either alphabet; characters of neither are left out, and what follows the padding too.
fn forgiving_base64(text: &str) -> Result<Vec<u8>, EvalError> {
    let characters = text.chars().take_while(|c| *c != '=').filter_map(|c| match c {
        '-' => Some('+'),
        '_' => Some('/'),
        c => (c.is_ascii_alphanumeric() || c == '+' || c == '/').then_some(c),
    });
    let mut kept: String = characters.collect();
    // A single character has too few bits for a byte.
    if kept.len() % 4 == 1 {
        kept.pop();
    }
    JAVA.decode(kept).map_err(|error| EvalError::new(format!("Illegal base64: {error}")))
}

/// What is no ASCII is `?`.
fn ascii(text: &str) -> Vec<u8> {
    text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect()
}

fn of_ascii(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { char::REPLACEMENT_CHARACTER }).collect()
}

fn unknown(encoding: &str) -> EvalError {
    EvalError::new(format!(
        "Unknown encoding type '{encoding}'. Supported formats are 'hex', 'utf8', 'ascii', and 'base64'."
    ))
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of hexadecimal digits, two for each.
fn unhex(text: &str) -> Result<Vec<u8>, EvalError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
        _ => None,
    });
    bytes.collect::<Option<_>>().ok_or_else(|| EvalError::new(format!("Not a text of hexadecimal digits: {text}")))
}
