//! Which types of registered schemas a column takes values of: its own, narrower numbers, and of scalars all as text.

use super::FormatError;
use crate::types::SqlType;

/// A type of a registered schema, whatever its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Text,
    Bytes,
    Array,
    Map,
    Struct,
}

impl Written {
    pub(super) fn name(self) -> &'static str {
        match self {
            Written::Boolean => "boolean",
            Written::Int8 => "int8",
            Written::Int16 => "int16",
            Written::Int32 => "int32",
            Written::Int64 => "int64",
            Written::Float32 => "float32",
            Written::Float64 => "float64",
            Written::Text => "string",
            Written::Bytes => "bytes",
            Written::Array => "array",
            Written::Map => "map",
            Written::Struct => "struct",
        }
    }

    /// What a column of `sql_type` is itself written as.
    fn of(sql_type: &SqlType) -> Self {
        match sql_type {
            SqlType::Boolean => Written::Boolean,
            SqlType::Integer | SqlType::Date | SqlType::Time => Written::Int32,
            SqlType::Bigint | SqlType::Timestamp => Written::Int64,
            SqlType::Double => Written::Float64,
            SqlType::String => Written::Text,
            SqlType::Bytes | SqlType::Decimal(_) => Written::Bytes,
            SqlType::Array(_) => Written::Array,
            SqlType::Map(..) => Written::Map,
            SqlType::Struct(_) => Written::Struct,
        }
    }
}

/// Checks that a column of type `wanted` takes what is written as `written`.
///
/// # Errors
/// Anything but its own type, a narrower number, or a scalar as text.
pub(super) fn check(written: Written, wanted: &SqlType) -> Result<(), FormatError> {
    let own = Written::of(wanted);
    let fits = match own {
        Written::Int32 => matches!(written, Written::Int8 | Written::Int16 | Written::Int32),
        Written::Int64 => matches!(written, Written::Int8 | Written::Int16 | Written::Int32 | Written::Int64),
        Written::Float64 => matches!(written, Written::Float32 | Written::Float64),
        Written::Text => !matches!(written, Written::Bytes | Written::Array | Written::Map | Written::Struct),
        own => written == own,
    };
    if fits { Ok(()) } else { Err(refused(written, own)) }
}

/// What is said of a value that is written as what no column takes.
pub(super) fn refused(written: Written, own: Written) -> FormatError {
    FormatError(format!("Cannot deserialize type {} as type {}{PATH}", written.name(), own.name()))
}

/// What the place of a value stands behind that no column takes.
const PATH: &str = " for path: ";

/// The error of a part as one of the whole: with the name of the part in front of the place, if it tells one.
pub(super) fn within(FormatError(message): FormatError, part: &str) -> FormatError {
    match message.split_once(PATH) {
        Some((reason, path)) => FormatError(format!("{reason}{PATH}->{part}{path}")),
        None => FormatError(message),
    }
}

/// What elements of lists are called in places.
pub(super) const ELEMENT: &str = "ARRAY";
/// What keys of maps are called in places.
pub(super) const MAP_KEY: &str = "MAP_KEY";
/// What values of maps are called in places.
pub(super) const MAP_VALUE: &str = "MAP_VAL";
