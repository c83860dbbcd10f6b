//! Functions of bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::string::{hex, unhex};
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
        .strict("(value STRING, encoding STRING) BYTES", |c| decode(c.str(0), c.str(1)).map(Value::bytes));
    registry
        .scalar(Category::String, "from_bytes", "The bytes as a text in 'hex', 'utf8', 'ascii' or 'base64'.")
        .strict("(value BYTES, encoding STRING) STRING", |c| encode(c.bytes(0), c.str(1)).map(Value::from));
    registry
        .scalar(
            Category::Bytes,
            "int_from_bytes",
            "The INT of 4 bytes, the highest first unless the order is 'LITTLE_ENDIAN'.",
        )
        .strict("(value BYTES) INT", |c| Ok(Value::Int(i32::from_be_bytes(ordered(c, "int")?))))
        .strict("(value BYTES, order STRING) INT", |c| Ok(Value::Int(i32::from_be_bytes(ordered(c, "int")?))));
    registry
        .scalar(
            Category::Bytes,
            "bigint_from_bytes",
            "The BIGINT of 8 bytes, the highest first unless the order is 'LITTLE_ENDIAN'.",
        )
        .strict("(value BYTES) BIGINT", |c| Ok(Value::Bigint(i64::from_be_bytes(ordered(c, "bigint")?))))
        .strict("(value BYTES, order STRING) BIGINT", |c| Ok(Value::Bigint(i64::from_be_bytes(ordered(c, "bigint")?))));
    registry
        .scalar(
            Category::Bytes,
            "double_from_bytes",
            "The DOUBLE of 8 bytes, the highest first unless the order is 'LITTLE_ENDIAN'.",
        )
        .strict("(value BYTES) DOUBLE", |c| Ok(Value::Double(f64::from_be_bytes(ordered(c, "double")?))))
        .strict("(value BYTES, order STRING) DOUBLE", |c| Ok(Value::Double(f64::from_be_bytes(ordered(c, "double")?))));
}

/// The bytes of the first argument with the highest first; the second may name their order.
fn ordered<const N: usize>(c: &Call<'_>, name: &str) -> Result<[u8; N], EvalError> {
    let bytes = c.bytes(0);
    let mut array: [u8; N] = bytes.try_into().map_err(|_| {
        EvalError::new(format!("Number of bytes must be equal to {N}, but found {} for {name}_from_bytes", bytes.len()))
    })?;
    match if c.len() > 1 { c.str(1) } else { "BIG_ENDIAN" } {
        "BIG_ENDIAN" => {}
        "LITTLE_ENDIAN" => array.reverse(),
        other => {
            return Err(EvalError::new(format!(
                "Byte order must be BIG_ENDIAN or LITTLE_ENDIAN. Unknown byte order '{other}'"
            )));
        }
    }
    Ok(array)
}

/// The bytes that a text stands for.
pub(super) fn decode(text: &str, encoding: &str) -> Result<Vec<u8>, EvalError> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => unhex(text),
        "utf8" => Ok(text.as_bytes().to_vec()),
        // What is no ASCII is `?`, one for each UTF-16 unit.
        "ascii" => Ok(text.encode_utf16().map(|unit| if unit < 128 { unit as u8 } else { b'?' }).collect()),
        "base64" => STANDARD.decode(text).map_err(|error| EvalError::new(format!("Illegal base64: {error}"))),
        other => Err(unknown(other)),
    }
}

/// The text for bytes.
pub(super) fn encode(bytes: &[u8], encoding: &str) -> Result<String, EvalError> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => Ok(hex(bytes)),
        "utf8" => Ok(String::from_utf8_lossy(bytes).into_owned()),
        "ascii" => Ok(bytes.iter().map(|byte| if *byte < 128 { char::from(*byte) } else { '\u{fffd}' }).collect()),
        "base64" => Ok(STANDARD.encode(bytes)),
        other => Err(unknown(other)),
    }
}

fn unknown(encoding: &str) -> EvalError {
    EvalError::new(format!(
        "Unknown encoding type '{encoding}'. Supported formats are 'hex', 'utf8', 'ascii', and 'base64'"
    ))
}
