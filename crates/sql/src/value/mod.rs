//! The values of columns and expressions.
//!
//! Semantics are Java's, because that is what users see: integers wrap, `-0.0` and `0.0` are different keys,
//! `NaN` equals itself as a key, doubles print as `Double.toString` does.

mod decimal;
mod map;
pub mod parse_date_time;
mod text;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bigdecimal::BigDecimal;

pub use decimal::{
    brief_text, decimal_text, digits_before_point, fit_decimal, is_endless, overflow_text, parse_double, round_half_up,
};
pub use map::{MapValue, sort_as_hashed};
pub use text::{civil, date_text, days_of_civil, time_text, timestamp_text};

/// One value. Cheap to clone: everything longer than a word is shared.
///
/// A value does not know its [`SqlType`](crate::types::SqlType); struct fields are held by position and named by the type.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value, of any type.
    #[default]
    Null,
    /// `BOOLEAN`.
    Boolean(bool),
    /// `INTEGER`.
    Int(i32),
    /// `BIGINT`.
    Bigint(i64),
    /// `DOUBLE`.
    Double(f64),
    /// `DECIMAL`, with its scale.
    Decimal(Arc<BigDecimal>),
    /// `STRING`.
    String(Arc<str>),
    /// `BYTES`.
    Bytes(Arc<[u8]>),
    /// `DATE`: days since 1970-01-01.
    Date(i32),
    /// `TIME`: milliseconds of the day.
    Time(i32),
    /// `TIMESTAMP`: milliseconds since 1970-01-01T00:00Z.
    Timestamp(i64),
    /// `ARRAY`.
    Array(Arc<Vec<Value>>),
    /// `MAP`.
    Map(Arc<MapValue>),
    /// `STRUCT`: its fields in the order of the type.
    Struct(Arc<Vec<Value>>),
}

impl Value {
    /// A `STRING`.
    pub fn string(text: impl AsRef<str>) -> Value {
        Value::String(Arc::from(text.as_ref()))
    }

    /// A `BYTES`.
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Value {
        Value::Bytes(Arc::from(bytes.as_ref()))
    }

    /// A `DECIMAL`.
    pub fn decimal(decimal: BigDecimal) -> Value {
        Value::Decimal(Arc::new(decimal))
    }

    /// An `ARRAY`.
    pub fn array(elements: Vec<Value>) -> Value {
        Value::Array(Arc::new(elements))
    }

    /// A `MAP`.
    pub fn map(entries: MapValue) -> Value {
        Value::Map(Arc::new(entries))
    }

    /// A `STRUCT` of these fields.
    pub fn structure(fields: Vec<Value>) -> Value {
        Value::Struct(Arc::new(fields))
    }

    /// Whether this is `NULL`.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The text of a `STRING`.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The content of a `BYTES`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The truth of a `BOOLEAN`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Any whole number, date or time as 64 bits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int(number) | Value::Date(number) | Value::Time(number) => Some(i64::from(*number)),
            Value::Bigint(number) | Value::Timestamp(number) => Some(*number),
            _ => None,
        }
    }

    /// Any number as a double, decimals rounded to the nearest.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(f64::from(*number)),
            Value::Bigint(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            Value::Decimal(number) => Some(decimal::to_double(number)),
            _ => None,
        }
    }

    /// Any exact number as a decimal; doubles by their shortest text, as `BigDecimal.valueOf` does; `None` for NaN and infinity.
    pub fn as_decimal(&self) -> Option<BigDecimal> {
        match self {
            Value::Int(number) => Some(BigDecimal::from(*number)),
            Value::Bigint(number) => Some(BigDecimal::from(*number)),
            Value::Double(number) => decimal::from_double(*number),
            Value::Decimal(number) => Some((**number).clone()),
            _ => None,
        }
    }

    /// The elements of an `ARRAY`.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries of a `MAP`.
    pub fn as_map(&self) -> Option<&MapValue> {
        match self {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The fields of a `STRUCT`.
    pub fn as_struct(&self) -> Option<&[Value]> {
        match self {
            Value::Struct(fields) => Some(fields),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Null => 0,
            Value::Boolean(_) => 1,
            Value::Int(_) => 2,
            Value::Bigint(_) => 3,
            Value::Double(_) => 4,
            Value::Decimal(_) => 5,
            Value::String(_) => 6,
            Value::Bytes(_) => 7,
            Value::Date(_) => 8,
            Value::Time(_) => 9,
            Value::Timestamp(_) => 10,
            Value::Array(_) => 11,
            Value::Map(_) => 12,
            Value::Struct(_) => 13,
        }
    }
}

/// Equality of keys, as Java's `equals`: same type and same content; `NaN` equals itself; decimals that differ only in
/// scale are equal.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Boolean(a), Value::Boolean(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Bigint(a), Value::Bigint(b)) => a == b,
            (Value::Double(a), Value::Double(b)) => double_bits(*a) == double_bits(*b),
            (Value::Decimal(a), Value::Decimal(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Date(a), Value::Date(b)) | (Value::Time(a), Value::Time(b)) => a == b,
            (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Value::Array(a), Value::Array(b)) | (Value::Struct(a), Value::Struct(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Value::Null => {}
            Value::Boolean(truth) => truth.hash(state),
            Value::Int(number) | Value::Date(number) | Value::Time(number) => number.hash(state),
            Value::Bigint(number) | Value::Timestamp(number) => number.hash(state),
            Value::Double(number) => double_bits(*number).hash(state),
            Value::Decimal(number) => number.hash(state),
            Value::String(text) => text.hash(state),
            Value::Bytes(bytes) => bytes.hash(state),
            Value::Array(elements) | Value::Struct(elements) => elements.hash(state),
            // Entries have no order that counts, so neither has their hash.
            Value::Map(entries) => entries.len().hash(state),
        }
    }
}

/// The order that MIN, MAX, TOPK and sorting use: as Java's `compareTo` within one type, where bytes have a sign; nulls
/// first; types that have
/// no order of their own element by element.
impl Ord for Value {
    fn cmp(&self, other: &Value) -> std::cmp::Ordering {
        match (self, other) {
            (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) | (Value::Date(a), Value::Date(b)) | (Value::Time(a), Value::Time(b)) => {
                a.cmp(b)
            }
            (Value::Bigint(a), Value::Bigint(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => compare_doubles(*a, *b),
            (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => compare_texts(a, b),
            // `ByteBuffer.compareTo`: bytes have a sign.
            (Value::Bytes(a), Value::Bytes(b)) => {
                a.iter().map(|byte| *byte as i8).cmp(b.iter().map(|byte| *byte as i8))
            }
            (Value::Array(a), Value::Array(b)) | (Value::Struct(a), Value::Struct(b)) => a.cmp(b),
            (Value::Map(a), Value::Map(b)) => a.len().cmp(&b.len()),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// `String.compareTo`: by UTF-16 units, which for ASCII is by bytes.
fn compare_texts(a: &str, b: &str) -> std::cmp::Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

/// `Double.compare`: `-0.0` before `0.0`, `NaN` after everything.
pub fn compare_doubles(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b)
        .filter(|order| order.is_ne())
        .unwrap_or_else(|| (double_bits(a) as i64).cmp(&(double_bits(b) as i64)))
}

/// `Double.doubleToLongBits`: one pattern for every NaN.
fn double_bits(double: f64) -> u64 {
    if double.is_nan() { 0x7ff8_0000_0000_0000 } else { double.to_bits() }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Value {
        Value::Boolean(truth)
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Value {
        Value::Int(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Bigint(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Double(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(Arc::from(text))
    }
}

#[cfg(test)]
mod tests;
