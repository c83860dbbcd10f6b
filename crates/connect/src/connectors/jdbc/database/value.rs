//! Values as databases have them.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use bytes::Bytes;
use jiff::civil::{Date, DateTime, Time};

/// A value of a row or of a statement's parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// No value.
    Null,
    /// A truth value. Databases without any get 0 and 1.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer without a sign.
    UInt(u64),
    /// A floating point number of 32 bits.
    Float(f32),
    /// A floating point number of 64 bits.
    Double(f64),
    /// A decimal number, exact.
    Decimal(BigDecimal),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Bytes),
    /// A day.
    Date(Date),
    /// A time of the day.
    Time(Time),
    /// A day and a time as a clock on the wall shows them: nothing says in which zone.
    DateTime(DateTime),
    /// A moment: what the wall clock shows, and how many seconds that clock is ahead of UTC. Columns without a zone take
    /// what the clock shows, columns with one the moment.
    Moment {
        /// What the clock shows.
        clock: DateTime,
        /// Seconds ahead of UTC.
        ahead: i32,
    },
    /// After (`true`) or before all dates: PostgreSQL's `infinity`.
    Infinity(bool),
    /// Values of one type.
    Array(Vec<SqlValue>),
}

impl SqlValue {
    /// Whether it is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, SqlValue::Null)
    }

    /// The integer, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            SqlValue::Int(value) => Some(*value),
            SqlValue::UInt(value) => i64::try_from(*value).ok(),
            SqlValue::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            SqlValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Bytes it takes in memory, roughly: what buffers are bounded by.
    pub fn weight(&self) -> usize {
        size_of::<SqlValue>()
            + match self {
                SqlValue::Text(text) => text.len(),
                SqlValue::Bytes(bytes) => bytes.len(),
                SqlValue::Array(values) => values.iter().map(SqlValue::weight).sum(),
                _ => 0,
            }
    }
}

impl From<i64> for SqlValue {
    fn from(value: i64) -> SqlValue {
        SqlValue::Int(value)
    }
}

impl From<&str> for SqlValue {
    fn from(value: &str) -> SqlValue {
        SqlValue::Text(value.to_owned())
    }
}

/// The decimal number that a database has written in digits; `None` when it is none. Up to 38 digits without an
/// allocation but the one of the number.
pub fn parse_decimal(text: &str) -> Option<BigDecimal> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 39 {
        return text.parse().ok();
    }
    let mut unscaled: i128 = 0;
    let mut scale = None;
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                scale = scale.map(|scale: i64| scale + 1);
            }
            b'.' if scale.is_none() => scale = Some(0),
            _ => return text.parse().ok(),
        }
    }
    let unscaled = if negative { -unscaled } else { unscaled };
    Some(BigDecimal::new(BigInt::from(unscaled), scale.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_scale() {
        for text in
            ["0", "-1.50", "123456789012345678901234567890.123", "99999999999999999999999999999999999999999", "1e3"]
        {
            let expected: BigDecimal = text.parse().expect("a number");
            let parsed = parse_decimal(text).expect(text);
            assert_eq!(parsed, expected);
            assert_eq!(parsed.as_bigint_and_exponent(), expected.as_bigint_and_exponent(), "{text}");
        }
        assert_eq!(parse_decimal("abc"), None);
        assert_eq!(parse_decimal(""), None);
    }
}
