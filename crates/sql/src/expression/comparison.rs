//! `= <> < <= > >=`, `IS DISTINCT FROM`, `LIKE`.
//!
//! A comparison with null is false, not null; only IS [NOT] DISTINCT FROM looks at nulls.

use std::cmp::Ordering;

use super::{EvalContext, EvalError, ExpressionError, TypedExpression, cast};
use crate::ast::{ComparisonOperator, Expression};
use crate::types::SqlType;
use crate::value::Value;

/// `left operator right`.
pub(super) fn comparison(
    operator: ComparisonOperator,
    (left_text, left): (&Expression, TypedExpression),
    (right_text, right): (&Expression, TypedExpression),
) -> Result<TypedExpression, ExpressionError> {
    let base = |side: &TypedExpression| side.sql_type.as_ref().map_or("NULL", SqlType::base_name);
    let (Some(left_type), Some(right_type)) = (left.sql_type.clone(), right.sql_type.clone()) else {
        return Err(ExpressionError(format!(
            "Comparison with NULL not supported: {} {} {}\nUse 'IS NULL' or 'IS NOT NULL' instead.",
            base(&left),
            operator.symbol(),
            base(&right)
        )));
    };
    if !comparable(operator, &left_type, &right_type) {
        return Err(ExpressionError(format!(
            "Cannot compare {left_text} ({left_type}) to {right_text} ({right_type}) with {}.",
            operator.name()
        )));
    }
    // Structs of different fields differ, whatever they hold.
    let differ = matches!(left_type, SqlType::Struct(_)) && left_type != right_type;
    let left = as_time(left, &left_type, &right_type)?;
    let right = as_time(right, &right_type, &left_type)?;
    Ok(TypedExpression::new(Some(SqlType::Boolean), move |row, context| {
        let (a, b) = (left.view(row, context)?, right.view(row, context)?);
        if differ && !a.is_null() && !b.is_null() {
            return Ok(Value::Boolean(matches!(
                operator,
                ComparisonOperator::NotEqual | ComparisonOperator::IsDistinctFrom
            )));
        }
        Ok(Value::Boolean(compare(operator, &a, &b)))
    }))
}

fn comparable(operator: ComparisonOperator, left: &SqlType, right: &SqlType) -> bool {
    let only_equality = !matches!(
        operator,
        ComparisonOperator::LessThan
            | ComparisonOperator::LessThanOrEqual
            | ComparisonOperator::GreaterThan
            | ComparisonOperator::GreaterThanOrEqual
    );
    match (left, right) {
        (a, b) if a.is_number() && b.is_number() => true,
        (SqlType::String, b) if b.is_time() => true,
        (a, SqlType::String) if a.is_time() => true,
        (SqlType::Date, SqlType::Timestamp) | (SqlType::Timestamp, SqlType::Date) => true,
        (SqlType::Boolean, SqlType::Boolean)
        | (SqlType::Array(_), SqlType::Array(_))
        | (SqlType::Map(..), SqlType::Map(..))
        | (SqlType::Struct(_), SqlType::Struct(_)) => only_equality,
        (a, b) => a == b,
    }
}

/// A text beside a time becomes that time, a date beside a timestamp the timestamp of its midnight.
fn as_time(side: TypedExpression, own: &SqlType, other: &SqlType) -> Result<TypedExpression, ExpressionError> {
    match (own, other) {
        (SqlType::String, other) if other.is_time() => super::arithmetic::widen(side, other),
        (SqlType::Date, SqlType::Timestamp) => {
            let convert = cast(own, other)?;
            Ok(TypedExpression::new(Some(SqlType::Timestamp), move |row, context| {
                convert(&side.try_evaluate(row, context)?)
            }))
        }
        _ => Ok(side),
    }
}

/// Whether the operator holds between two values.
pub(super) fn compare(operator: ComparisonOperator, a: &Value, b: &Value) -> bool {
    let equal = |a: &Value, b: &Value| order(a, b).is_some_and(Ordering::is_eq);
    match operator {
        ComparisonOperator::IsDistinctFrom => match (a.is_null(), b.is_null()) {
            (false, false) => order(a, b).is_some_and(Ordering::is_ne),
            (a, b) => a != b,
        },
        ComparisonOperator::IsNotDistinctFrom => !compare(ComparisonOperator::IsDistinctFrom, a, b),
        _ if a.is_null() || b.is_null() => false,
        ComparisonOperator::Equal => equal(a, b),
        ComparisonOperator::NotEqual => order(a, b).is_some_and(Ordering::is_ne),
        ComparisonOperator::LessThan => order(a, b).is_some_and(Ordering::is_lt),
        ComparisonOperator::LessThanOrEqual => order(a, b).is_some_and(Ordering::is_le),
        ComparisonOperator::GreaterThan => order(a, b).is_some_and(Ordering::is_gt),
        ComparisonOperator::GreaterThanOrEqual => order(a, b).is_some_and(Ordering::is_ge),
    }
}

/// The order of two values that are not null; numbers of different types by what they are worth. There is none beside a
/// NaN.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Bigint(a), Value::Bigint(b)) => Some(a.cmp(b)),
        (Value::String(a), Value::String(b)) if a == b => Some(Ordering::Equal),
        (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
        (Value::Decimal(_), other) | (other, Value::Decimal(_)) if other.as_f64().is_some() => {
            match (a.as_decimal(), b.as_decimal()) {
                (Some(a), Some(b)) => Some(a.cmp(&b)),
                _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
            }
        }
        (Value::Double(_), other) | (other, Value::Double(_)) if other.as_f64().is_some() => {
            a.as_f64()?.partial_cmp(&b.as_f64()?)
        }
        (Value::Int(_) | Value::Bigint(_), Value::Int(_) | Value::Bigint(_)) => Some(a.as_i64()?.cmp(&b.as_i64()?)),
        (Value::Map(a), Value::Map(b)) => Some(if a == b { Ordering::Equal } else { Ordering::Less }),
        (a, b) if a == b => Some(Ordering::Equal),
        (a, b) => Some(match a.cmp(b) {
            // Containers of different content may have the same order.
            Ordering::Equal => Ordering::Less,
            order => order,
        }),
    }
}

/// `value LIKE pattern`.
pub(super) fn like(
    value: TypedExpression,
    pattern: TypedExpression,
    escape: Option<char>,
) -> Result<TypedExpression, ExpressionError> {
    for side in [&value, &pattern] {
        match &side.sql_type {
            Some(SqlType::String) | None => {}
            Some(other) => {
                return Err(ExpressionError(format!(
                    "The column type for Like condition must be VARCHAR. The column type is {other}"
                )));
            }
        }
    }
    let ready = pattern.constant_value().and_then(Value::as_str).map(|text| Pattern::new(text, escape)).transpose();
    let ready = ready.map_err(|error| ExpressionError(error.0.into_owned()))?;
    Ok(TypedExpression::new(Some(SqlType::Boolean), move |row, context: &mut EvalContext| {
        let text = value.view(row, context)?;
        let Some(text) = text.as_str() else { return Err(EvalError::null_operand()) };
        if let Some(ready) = &ready {
            return Ok(Value::Boolean(ready.matches(text)));
        }
        match pattern.view(row, context)?.as_str() {
            Some(pattern) => Ok(Value::Boolean(Pattern::new(pattern, escape)?.matches(text))),
            None => Err(EvalError::null_operand()),
        }
    }))
}

/// A pattern of LIKE.
struct Pattern {
    parts: Vec<Part>,
}

enum Part {
    Exactly(char),
    One,
    Any,
}

impl Pattern {
    fn new(text: &str, escape: Option<char>) -> Result<Pattern, EvalError> {
        let mut parts = Vec::new();
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            parts.push(if Some(c) == escape {
                match characters.next() {
                    Some(next) => Part::Exactly(next),
                    None => {
                        return Err(EvalError::new("LIKE pattern must not end with escape character"));
                    }
                }
            } else {
                match c {
                    '%' => Part::Any,
                    '_' => Part::One,
                    c => Part::Exactly(c),
                }
            });
        }
        Ok(Pattern { parts })
    }

    /// Goes back to the last `%` only, so the time is bounded by both lengths multiplied.
    fn matches(&self, text: &str) -> bool {
        let (mut at, mut rest) = (0, text);
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let next = rest.chars().next();
            match (self.parts.get(at), next) {
                (Some(Part::Any), _) => {
                    retry = Some((at + 1, rest));
                    at += 1;
                    continue;
                }
                (None, None) => return true,
                (Some(Part::One), Some(c)) if !ends_line(c) => {
                    at += 1;
                    rest = &rest[c.len_utf8()..];
                    continue;
                }
                (Some(Part::Exactly(wanted)), Some(c)) if *wanted == c => {
                    at += 1;
                    rest = &rest[c.len_utf8()..];
                    continue;
                }
                _ => {}
            }
            let Some((part, from)) = retry else { return false };
            let Some(skipped) = from.chars().next().filter(|c| !ends_line(*c)) else { return false };
            rest = &from[skipped.len_utf8()..];
            at = part;
            retry = Some((part, rest));
        }
    }
}

/// What neither `%` nor `_` stands for.
fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        let matches = |pattern, text| Pattern::new(pattern, Some('!')).unwrap().matches(text);
        assert!(matches("%b_d%", "abcde") && matches("%", "") && matches("a%%c", "abbc"));
        assert!(!matches("b", "abc") && !matches("a_", "a") && !matches("a%c", "abcd"));
        assert!(matches("100!%", "100%") && !matches("100!%", "1000"));
        assert!(!matches("a%", "a\nb") && !matches("a_b", "a\nb") && matches("a%\nb", "a\nb"));
        assert!(Pattern::new("x!", Some('!')).is_err());
    }
}
