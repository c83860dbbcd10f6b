//! `CAST(value AS type)`.

use std::str::FromStr;
use std::sync::Arc;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero as _};

use super::{EvalError, ExpressionError};
use crate::types::{DecimalType, SqlType, StructType};
use crate::value::{
    MapValue, Value, digits_before_point, is_endless, overflow_text, parse_date_time, parse_double, round_half_up,
};

const DAY_MS: i64 = 86_400_000;

/// Turns a value of one type into one of another; null stays null.
pub type Cast = Arc<dyn Fn(&Value) -> Result<Value, EvalError> + Send + Sync>;

/// The cast from one type to another, if there is one.
pub fn cast(from: &SqlType, to: &SqlType) -> Result<Cast, ExpressionError> {
    if from == to {
        return Ok(Arc::new(|value| Ok(value.clone())));
    }
    let part = |from_part: &SqlType, to_part: &SqlType| cast(from_part, to_part).map_err(|_| unsupported(from, to));
    let convert: Cast = match (from, to) {
        (SqlType::Array(from), SqlType::Array(to)) => array_cast(part(from, to)?),
        (SqlType::Map(from_key, from_value), SqlType::Map(to_key, to_value)) => {
            map_cast(part(from_key, to_key)?, part(from_value, to_value)?)
        }
        (SqlType::Struct(from_fields), SqlType::Struct(to_fields)) => {
            struct_cast(from_fields, to_fields).map_err(|_| unsupported(from, to))?
        }
        (SqlType::Bytes, SqlType::String) => return Err(unsupported(from, to)),
        (from, SqlType::String) => {
            let from = from.clone();
            Arc::new(move |value| Ok(Value::from(value.text(&from))))
        }
        (SqlType::String, to) if !matches!(to, SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_)) => {
            let to = to.clone();
            Arc::new(move |value| parse(value.as_str().unwrap_or_default(), &to))
        }
        (from, to) if from.is_number() && to.is_number() => {
            let to = to.clone();
            Arc::new(move |value| number(value, &to))
        }
        (SqlType::Date, SqlType::Timestamp) => {
            Arc::new(|value| Ok(Value::Timestamp(value.as_i64().unwrap_or_default() * DAY_MS)))
        }
        (SqlType::Timestamp, SqlType::Date) => {
            Arc::new(|value| Ok(Value::Date(value.as_i64().unwrap_or_default().div_euclid(DAY_MS) as i32)))
        }
        (SqlType::Timestamp, SqlType::Time) => {
            Arc::new(|value| Ok(Value::Time(value.as_i64().unwrap_or_default().rem_euclid(DAY_MS) as i32)))
        }
        _ => return Err(unsupported(from, to)),
    };
    Ok(Arc::new(move |value| if value.is_null() { Ok(Value::Null) } else { convert(value) }))
}

fn unsupported(from: &SqlType, to: &SqlType) -> ExpressionError {
    ExpressionError(format!("Cast of {from} to {to} is not supported"))
}

fn array_cast(element: Cast) -> Cast {
    Arc::new(move |value| {
        let elements: Result<Vec<_>, _> =
            value.as_array().unwrap_or_default().iter().map(|item| element(item)).collect();
        Ok(Value::array(elements?))
    })
}

fn map_cast(key: Cast, entry: Cast) -> Cast {
    Arc::new(move |value| {
        let mut result = MapValue::new();
        for (from_key, from_value) in value.as_map().into_iter().flat_map(MapValue::iter) {
            result.insert(key(from_key)?, entry(from_value)?);
        }
        Ok(Value::map(result))
    })
}

/// Fields go by name; those that the source does not have are null.
fn struct_cast(from: &StructType, to: &StructType) -> Result<Cast, ExpressionError> {
    let mut fields: Vec<Option<(usize, Cast)>> = Vec::with_capacity(to.fields.len());
    for target in &to.fields {
        fields.push(match from.index_of(&target.name) {
            Some(index) => Some((index, cast(&from.fields[index].field_type, &target.field_type)?)),
            None => None,
        });
    }
    Ok(Arc::new(move |value| {
        let source = value.as_struct().unwrap_or_default();
        let converted: Result<Vec<_>, _> = fields
            .iter()
            .map(|field| match field {
                Some((index, convert)) => source.get(*index).map_or(Ok(Value::Null), |value| convert(value)),
                None => Ok(Value::Null),
            })
            .collect();
        Ok(Value::structure(converted?))
    }))
}

/// A number as a value of another number type, as Java narrows and widens.
fn number(value: &Value, to: &SqlType) -> Result<Value, EvalError> {
    Ok(match (value, to) {
        (Value::Int(number), SqlType::Bigint) => Value::Bigint(i64::from(*number)),
        (Value::Bigint(number), SqlType::Integer) => Value::Int(*number as i32),
        (Value::Double(number), SqlType::Integer) => Value::Int(*number as i32),
        (Value::Double(number), SqlType::Bigint) => Value::Bigint(*number as i64),
        (Value::Decimal(number), SqlType::Integer) => Value::Int(low_bits(number) as i32),
        (Value::Decimal(number), SqlType::Bigint) => Value::Bigint(low_bits(number)),
        (value, SqlType::Double) => value.as_f64().map_or(Value::Null, Value::Double),
        (Value::Double(number), SqlType::Decimal(target)) => fit(&exact(*number, target.precision)?, *target)?,
        (value, SqlType::Decimal(target)) => match value.as_decimal() {
            Some(decimal) => fit(&decimal, *target)?,
            None => return Err(EvalError::new(format!("Cannot cast {value:?} to {to}"))),
        },
        (value, _) => value.clone(),
    })
}

/// The whole part's lowest 64 bits, as `BigDecimal.longValue` gives them.
fn low_bits(number: &BigDecimal) -> i64 {
    let (whole, _) = number.with_scale(0).into_bigint_and_exponent();
    whole.to_i64().unwrap_or_else(|| {
        let modulus: BigInt = BigInt::from(1_u8) << 64_u32;
        let wrapped: BigInt = ((whole % &modulus) + &modulus) % &modulus;
        wrapped.to_u64().unwrap_or_default() as i64
    })
}

/// The binary number that a double is, in at most so many digits.
fn exact(number: f64, precision: u32) -> Result<BigDecimal, EvalError> {
    let exact = BigDecimal::try_from(number).map_err(|_| EvalError::new("Infinite or NaN"))?;
    let excess = i64::try_from(exact.digits()).unwrap_or(i64::MAX).saturating_sub(i64::from(precision));
    let scale = exact.fractional_digit_count().saturating_sub(excess.max(0));
    Ok(exact.with_scale_round(scale, RoundingMode::HalfUp))
}

/// A decimal in the scale asked for. What counts against the precision are the digits before it is rounded.
fn fit(decimal: &BigDecimal, target: DecimalType) -> Result<Value, EvalError> {
    if digits_before_point(decimal) > i64::from(target.whole_digits()) || is_endless(decimal, target.scale) {
        return Err(EvalError::new(overflow_text(decimal, target)));
    }
    // What is too small for the scale is zero: its digits need not be written out.
    if decimal.is_zero() || digits_before_point(decimal) < -i64::from(target.scale) {
        return Ok(Value::decimal(BigDecimal::new(0.into(), i64::from(target.scale))));
    }
    Ok(Value::decimal(round_half_up(decimal, target.scale)))
}

/// A text as a value of another type.
fn parse(text: &str, to: &SqlType) -> Result<Value, EvalError> {
    let fail = |_| EvalError::new(format!("For input string: \"{text}\""));
    let trimmed = text.trim();
    Ok(match to {
        SqlType::Boolean => Value::Boolean(parse_boolean(trimmed).unwrap_or(false)),
        SqlType::Integer => Value::Int(trimmed.parse().map_err(|_| fail(()))?),
        SqlType::Bigint => Value::Bigint(trimmed.parse().map_err(|_| fail(()))?),
        SqlType::Double => {
            Value::Double(parse_double(trimmed).filter(|number| number.is_finite()).ok_or_else(|| fail(()))?)
        }
        SqlType::Decimal(target) => fit(&BigDecimal::from_str(trimmed).map_err(|_| fail(()))?, *target)?,
        SqlType::Date => Value::Date(parse_date_time::date(trimmed).map_err(EvalError::new)?),
        SqlType::Time => Value::Time(parse_date_time::time(trimmed).map_err(EvalError::new)?),
        SqlType::Timestamp => Value::Timestamp(parse_date_time::timestamp(trimmed).map_err(EvalError::new)?),
        SqlType::Bytes => {
            use base64::Engine as _;
            let decoded = base64::engine::general_purpose::STANDARD.decode(trimmed);
            Value::bytes(decoded.map_err(|error| EvalError::new(format!("Illegal base64: {error}")))?)
        }
        _ => Value::from(text),
    })
}

/// A boolean of text: any beginning of `true` and `yes`, of `false` and `no`, in any case.
pub(super) fn parse_boolean(text: &str) -> Option<bool> {
    let upper = text.to_ascii_uppercase();
    if upper.is_empty() {
        return None;
    }
    let begins = |words: [&str; 2]| words.iter().any(|word| word.starts_with(&upper));
    if begins(["TRUE", "YES"]) {
        Some(true)
    } else if begins(["FALSE", "NO"]) {
        Some(false)
    } else {
        None
    }
}
