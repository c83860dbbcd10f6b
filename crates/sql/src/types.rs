//! The types of columns and expressions, as SQL spells them.

use std::fmt;
use std::sync::Arc;

use crate::ast::Name;

/// Most digits that a `DECIMAL` may have where the language itself chooses the precision.
pub const MAX_DECIMAL_PRECISION: u32 = 38;

/// The type of a column or an expression.
///
/// `NULL` has no type: where an expression may be nothing but null, analysis works with `Option<SqlType>`.
/// Cheap to clone: nested types are shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SqlType {
    /// `BOOLEAN`.
    Boolean,
    /// `INTEGER` (`INT`): 32 bits.
    Integer,
    /// `BIGINT`: 64 bits.
    Bigint,
    /// `DOUBLE`: IEEE 754, 64 bits.
    Double,
    /// `DECIMAL(precision, scale)`.
    Decimal(DecimalType),
    /// `STRING` (`VARCHAR`).
    String,
    /// `BYTES`.
    Bytes,
    /// `DATE`: days since 1970-01-01.
    Date,
    /// `TIME`: milliseconds of the day.
    Time,
    /// `TIMESTAMP`: milliseconds since 1970-01-01T00:00Z.
    Timestamp,
    /// `ARRAY<element>`.
    Array(Arc<SqlType>),
    /// `MAP<key, value>`.
    Map(Arc<SqlType>, Arc<SqlType>),
    /// `STRUCT<name type, ...>`.
    Struct(Arc<StructType>),
}

/// Digits of a decimal: all of them, and those behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecimalType {
    /// All digits, at least 1.
    pub precision: u32,
    /// Digits behind the point, at most `precision`.
    pub scale: u32,
}

/// The named fields of a `STRUCT`, in order; values hold their fields by position.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct StructType {
    /// The fields in order.
    pub fields: Vec<StructField>,
}

/// One field of a `STRUCT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StructField {
    /// Name in its exact case.
    pub name: Name,
    /// Type of the values.
    pub field_type: SqlType,
}

impl SqlType {
    /// `DECIMAL(precision, scale)`; errors name the bound that is broken.
    pub fn decimal(precision: u32, scale: u32) -> Result<SqlType, TypeError> {
        if precision == 0 {
            return Err(TypeError(format!("DECIMAL precision must be >= 1: DECIMAL({precision},{scale})")));
        }
        if scale > precision {
            return Err(TypeError(format!("DECIMAL precision must be >= scale: DECIMAL({precision},{scale})")));
        }
        Ok(SqlType::Decimal(DecimalType { precision, scale }))
    }

    /// `ARRAY<element>`.
    pub fn array(element: SqlType) -> SqlType {
        SqlType::Array(Arc::new(element))
    }

    /// `MAP<key, value>`.
    pub fn map(key: SqlType, value: SqlType) -> SqlType {
        SqlType::Map(Arc::new(key), Arc::new(value))
    }

    /// `STRUCT<...>` of these fields.
    pub fn structure<N: Into<Name>>(fields: impl IntoIterator<Item = (N, SqlType)>) -> SqlType {
        let fields =
            fields.into_iter().map(|(name, field_type)| StructField { name: name.into(), field_type }).collect();
        SqlType::Struct(Arc::new(StructType { fields }))
    }

    /// The type's name without parameters: `DECIMAL`, `ARRAY`, `STRUCT`.
    pub fn base_name(&self) -> &'static str {
        match self {
            SqlType::Boolean => "BOOLEAN",
            SqlType::Integer => "INTEGER",
            SqlType::Bigint => "BIGINT",
            SqlType::Double => "DOUBLE",
            SqlType::Decimal(_) => "DECIMAL",
            SqlType::String => "STRING",
            SqlType::Bytes => "BYTES",
            SqlType::Date => "DATE",
            SqlType::Time => "TIME",
            SqlType::Timestamp => "TIMESTAMP",
            SqlType::Array(_) => "ARRAY",
            SqlType::Map(..) => "MAP",
            SqlType::Struct(_) => "STRUCT",
        }
    }

    /// A built-in type without parameters by any of its names, in any case.
    pub fn primitive(name: &str) -> Option<SqlType> {
        Some(match name.to_ascii_uppercase().as_str() {
            "BOOLEAN" => SqlType::Boolean,
            "INT" | "INTEGER" => SqlType::Integer,
            "BIGINT" => SqlType::Bigint,
            "DOUBLE" => SqlType::Double,
            "STRING" | "VARCHAR" => SqlType::String,
            "BYTES" => SqlType::Bytes,
            "DATE" => SqlType::Date,
            "TIME" => SqlType::Time,
            "TIMESTAMP" => SqlType::Timestamp,
            _ => return None,
        })
    }

    /// `INTEGER`, `BIGINT`, `DECIMAL` or `DOUBLE`.
    pub fn is_number(&self) -> bool {
        matches!(self, SqlType::Integer | SqlType::Bigint | SqlType::Decimal(_) | SqlType::Double)
    }

    /// `DATE`, `TIME` or `TIMESTAMP`.
    pub fn is_time(&self) -> bool {
        matches!(self, SqlType::Date | SqlType::Time | SqlType::Timestamp)
    }

    /// Whether the type is or contains a `MAP`, which no key may.
    pub fn contains_map(&self) -> bool {
        match self {
            SqlType::Map(..) => true,
            SqlType::Array(element) => element.contains_map(),
            SqlType::Struct(structure) => structure.fields.iter().any(|field| field.field_type.contains_map()),
            _ => false,
        }
    }

    /// Whether a value of this type becomes one of `target` without a CAST: the same base type, or a number that widens.
    pub fn can_implicitly_cast(&self, target: &SqlType) -> bool {
        match (self, target) {
            (SqlType::Integer, SqlType::Bigint | SqlType::Double)
            | (SqlType::Bigint | SqlType::Decimal(_), SqlType::Double) => true,
            (SqlType::Integer, SqlType::Decimal(_)) => self.fits(target),
            (SqlType::Bigint, SqlType::Decimal(_)) => self.fits(target),
            (SqlType::Decimal(_), SqlType::Decimal(_)) => self.fits(target),
            (SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_), _) => self == target,
            _ => self == target,
        }
    }

    /// The decimal that holds every value of an exact number type: `INTEGER` is `DECIMAL(10, 0)`, `BIGINT` `DECIMAL(19, 0)`.
    pub fn as_decimal(&self) -> Option<DecimalType> {
        match self {
            SqlType::Integer => Some(DecimalType { precision: 10, scale: 0 }),
            SqlType::Bigint => Some(DecimalType { precision: 19, scale: 0 }),
            SqlType::Decimal(decimal) => Some(*decimal),
            _ => None,
        }
    }

    fn fits(&self, target: &SqlType) -> bool {
        match (self.as_decimal(), target.as_decimal()) {
            (Some(from), Some(to)) => from.scale <= to.scale && from.precision - from.scale <= to.precision - to.scale,
            _ => false,
        }
    }
}

impl StructType {
    /// Position of the field with exactly this name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| &*field.name == name)
    }

    /// The field with exactly this name.
    pub fn field(&self, name: &str) -> Option<&StructField> {
        self.fields.iter().find(|field| &*field.name == name)
    }
}

impl DecimalType {
    /// Digits before the point.
    pub fn whole_digits(self) -> u32 {
        self.precision - self.scale
    }

    /// The smallest decimal that holds both.
    pub fn widest(self, other: DecimalType) -> DecimalType {
        let scale = self.scale.max(other.scale);
        let whole = self.whole_digits().max(other.whole_digits());
        DecimalType { precision: whole.saturating_add(scale), scale }
    }
}

/// `MAP<STRING, STRUCT<`A` DECIMAL(2, 1)>>`: field names are always quoted.
impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlType::Decimal(decimal) => write!(f, "DECIMAL({}, {})", decimal.precision, decimal.scale),
            SqlType::Array(element) => write!(f, "ARRAY<{element}>"),
            SqlType::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            SqlType::Struct(structure) if structure.fields.is_empty() => f.write_str("STRUCT< >"),
            SqlType::Struct(structure) => {
                f.write_str("STRUCT<")?;
                for (position, field) in structure.fields.iter().enumerate() {
                    let comma = if position == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}` {}", field.name.replace('`', "``"), field.field_type)?;
                }
                f.write_str(">")
            }
            other => f.write_str(other.base_name()),
        }
    }
}

/// A type that cannot exist, or whose values cannot become another type's.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct TypeError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_print_as_messages_show_them() {
        let nested = SqlType::structure([("F1", SqlType::map(SqlType::String, SqlType::Integer))]);
        assert_eq!(nested.to_string(), "STRUCT<`F1` MAP<STRING, INTEGER>>");
        assert_eq!(SqlType::decimal(4, 2).unwrap().to_string(), "DECIMAL(4, 2)");
        assert_eq!(SqlType::structure(Vec::<(Name, SqlType)>::new()).to_string(), "STRUCT< >");
        assert!(nested.contains_map());
    }

    #[test]
    fn decimals_keep_their_bounds() {
        assert!(SqlType::decimal(0, 0).is_err());
        assert!(SqlType::decimal(2, 3).unwrap_err().0.contains(">= scale"));
        let wide = DecimalType { precision: 5, scale: 1 }.widest(DecimalType { precision: 4, scale: 3 });
        assert_eq!(wide, DecimalType { precision: 7, scale: 3 });
    }

    #[test]
    fn numbers_widen_but_never_narrow() {
        let decimal = SqlType::decimal(12, 2).unwrap();
        assert!(SqlType::Integer.can_implicitly_cast(&decimal));
        assert!(!SqlType::Bigint.can_implicitly_cast(&decimal));
        assert!(decimal.can_implicitly_cast(&SqlType::Double));
        assert!(!SqlType::Double.can_implicitly_cast(&decimal));
        assert!(!SqlType::Bigint.can_implicitly_cast(&SqlType::Integer));
    }
}
