//! One type for several expressions: the elements of `ARRAY[...]`, of `MAP(...)`, of `IN (...)`.
//!
//! The first decides, and each that follows widens it: numbers become wider, structs get all fields of all, texts become
//! the times that they spell. Literals go further: one of text becomes the number or boolean that it spells, and beside
//! texts any literal becomes text.

use std::str::FromStr;
use std::sync::Arc;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use super::cast::parse_boolean;
use super::compile::{constant, literal_type};
use super::{ExpressionError, Scope, cast};
use crate::ast::{Expression, Literal, Name};
use crate::types::{SqlType, StructField, StructType};
use crate::value::{decimal_text, digits_before_point};

/// How messages begin that tell two types without a common one.
const NO_OPERATOR: &str = "operator does not exist: ";
/// Most digits, before and behind the point, that a text as a decimal may need: an exponent asks for as many as it likes.
const TEXT_DIGITS_MAX: i64 = 1000;

/// Finds the type of an expression.
pub(super) type TypeOf<'a> = &'a dyn Fn(&&Expression) -> Result<Option<SqlType>, ExpressionError>;

/// The type that all expressions can have; `None` where all are null.
pub(super) fn common_type_with(
    expressions: &[&Expression],
    type_of: TypeOf<'_>,
) -> Result<Option<SqlType>, ExpressionError> {
    join_all(None, expressions.iter().copied(), type_of)
}

/// The common type of what has `common` and of the expressions.
fn join_all<'a>(
    common: Option<SqlType>,
    expressions: impl IntoIterator<Item = &'a Expression>,
    type_of: TypeOf<'_>,
) -> Result<Option<SqlType>, ExpressionError> {
    expressions.into_iter().try_fold(common, |common, expression| {
        let found = type_of(&expression)?;
        match (common, found) {
            (Some(common), Some(found)) => join(&common, &found, expression, type_of).map(Some),
            (common, found) => Ok(common.or(found)),
        }
    })
}

/// The common type of what has `common` and of an expression that has `found`.
fn join(
    common: &SqlType,
    found: &SqlType,
    expression: &Expression,
    type_of: TypeOf<'_>,
) -> Result<SqlType, ExpressionError> {
    let no_operator = || {
        ExpressionError(format!(
            "{NO_OPERATOR}{common} = {found} ({expression})\nHint: You might need to add explicit type casts."
        ))
    };
    let joined = match (expression, common) {
        (Expression::Array(elements), SqlType::Array(element)) => {
            join_all(Some((**element).clone()), elements, type_of).map(|element| element.map(SqlType::array))
        }
        (Expression::Map(entries), SqlType::Map(key, value)) => join_map((key, value), entries, type_of),
        (Expression::Struct(fields), SqlType::Struct(structure)) => {
            join_struct(structure, fields, type_of).map(|structure| Some(SqlType::Struct(Arc::new(structure))))
        }
        (Expression::Array(_) | Expression::Map(_) | Expression::Struct(_), _) => Ok(None),
        (Expression::Literal(Literal::String(text)), target) if target.is_number() => {
            return join_numeric_text(text, target).ok_or_else(|| invalid_syntax(text, target));
        }
        (Expression::Literal(Literal::String(text)), SqlType::Boolean) => {
            return match parse_boolean(text.trim()) {
                Some(_) => Ok(SqlType::Boolean),
                None => Err(invalid_syntax(text, common)),
            };
        }
        (expression, common) => {
            let lax = matches!(expression, Expression::Literal(_));
            Ok(coerced_type(found, common, lax).or_else(|| coerced_type(common, found, lax)))
        }
    };
    match joined {
        // Of two types within others messages tell the whole ones.
        Err(error) if !error.0.starts_with(NO_OPERATOR) => Err(error),
        Ok(Some(joined)) => Ok(joined),
        _ => Err(no_operator()),
    }
}

fn join_map(
    (key, value): (&SqlType, &SqlType),
    entries: &[(Expression, Expression)],
    type_of: TypeOf<'_>,
) -> Result<Option<SqlType>, ExpressionError> {
    let key = join_all(Some(key.clone()), entries.iter().map(|(key, _)| key), type_of)?;
    let value = join_all(Some(value.clone()), entries.iter().map(|(_, value)| value), type_of)?;
    Ok(key.zip(value).map(|(key, value)| SqlType::map(key, value)))
}

/// The fields of the constructor come first.
fn join_struct(
    common: &StructType,
    fields: &[(Name, Expression)],
    type_of: TypeOf<'_>,
) -> Result<StructType, ExpressionError> {
    let mut joined = StructType::default();
    for (name, value) in fields {
        let known = common.field(name).map(|field| field.field_type.clone());
        if let Some(field_type) = join_all(known, [value], type_of)? {
            joined.fields.push(StructField { name: name.clone(), field_type });
        }
    }
    let others = common.fields.iter().filter(|field| !fields.iter().any(|(name, _)| *name == field.name));
    joined.fields.extend(others.cloned());
    Ok(joined)
}

fn invalid_syntax(text: &str, target: &SqlType) -> ExpressionError {
    ExpressionError(format!("invalid input syntax for type {}: \"{text}\".", target.base_name()))
}

/// The type of a number and of a literal of text that spells one.
fn join_numeric_text(text: &str, target: &SqlType) -> Option<SqlType> {
    let number = BigDecimal::from_str(text.trim()).ok()?;
    if *target == SqlType::Double {
        return Some(SqlType::Double);
    }
    let found = type_of_numeric_text(text, number)?;
    Some(match (&found, target) {
        (SqlType::Decimal(_), _) | (_, SqlType::Decimal(_)) => {
            SqlType::Decimal(found.as_decimal()?.widest(target.as_decimal()?))
        }
        (SqlType::Integer, target) => target.clone(),
        _ => found,
    })
}

/// The smallest type of the number that a text spells. The bounds of INTEGER and BIGINT are the next ones.
fn type_of_numeric_text(text: &str, number: BigDecimal) -> Option<SqlType> {
    if digits_before_point(&number) > TEXT_DIGITS_MAX || number.fractional_digit_count() > TEXT_DIGITS_MAX {
        return None;
    }
    if !text.contains(['.', 'e', 'E']) {
        let whole = number.as_bigint_and_exponent().0;
        let within = |bound: i64| whole < BigInt::from(bound) && whole > -BigInt::from(bound) - 1;
        if within(i64::from(i32::MAX)) {
            return Some(SqlType::Integer);
        }
        if within(i64::MAX) {
            return Some(SqlType::Bigint);
        }
    }
    literal_type(&Literal::Decimal(number))
}

/// The type that values of `from` have as values of `to`, which may become wider; with `lax`, literals of one are
/// literals of the other.
fn coerced_type(from: &SqlType, to: &SqlType, lax: bool) -> Option<SqlType> {
    Some(match (from, to) {
        (SqlType::Array(from), SqlType::Array(to)) => SqlType::array(coerced_type(from, to, lax)?),
        (SqlType::Map(from_key, from_value), SqlType::Map(to_key, to_value)) => {
            SqlType::map(coerced_type(from_key, to_key, lax)?, coerced_type(from_value, to_value, lax)?)
        }
        (SqlType::Struct(from), SqlType::Struct(to)) => {
            let mut joined = StructType::clone(from);
            for field in &mut joined.fields {
                if let Some(target) = to.field(&field.name) {
                    field.field_type = coerced_type(&field.field_type, &target.field_type, lax)?;
                }
            }
            joined.fields.extend(to.fields.iter().filter(|field| from.field(&field.name).is_none()).cloned());
            SqlType::Struct(Arc::new(joined))
        }
        (SqlType::Integer | SqlType::Bigint | SqlType::Decimal(_), SqlType::Decimal(target)) => {
            SqlType::Decimal(from.as_decimal()?.widest(*target))
        }
        (SqlType::Integer, SqlType::Bigint | SqlType::Double)
        | (SqlType::Bigint | SqlType::Decimal(_), SqlType::Double) => to.clone(),
        (SqlType::String, to) if to.is_time() || *to == SqlType::Bytes => to.clone(),
        (SqlType::String, to) if lax && (to.is_number() || *to == SqlType::Boolean) => to.clone(),
        (from, SqlType::String) if lax && (from.is_number() || from.is_time() || *from == SqlType::Boolean) => {
            SqlType::String
        }
        (from, to) => return (from == to).then(|| from.clone()),
    })
}

/// The expression with the type asked for: literals become literals of it, the rest is cast where its type differs.
pub fn coerce(expression: &Expression, target: &SqlType, scope: &Scope) -> Result<Expression, ExpressionError> {
    coerce_with(expression, target, &|expression| scope.type_of(expression))
}

pub(super) fn coerce_with(
    expression: &Expression,
    target: &SqlType,
    type_of: TypeOf<'_>,
) -> Result<Expression, ExpressionError> {
    let cast_to =
        |expression: &Expression| Expression::Cast { value: Box::new(expression.clone()), target: target.clone() };
    Ok(match (expression, target) {
        (Expression::Literal(Literal::Null), _) => cast_to(expression),
        (Expression::Literal(literal), _) if literal_type(literal).as_ref() == Some(target) => expression.clone(),
        (Expression::Literal(Literal::Decimal(number)), SqlType::String) => {
            Expression::Literal(Literal::String(Arc::from(decimal_text(number))))
        }
        (Expression::Literal(literal), _) => {
            check_spells(literal, target)?;
            cast_to(expression)
        }
        (Expression::Array(elements), SqlType::Array(element)) => {
            let elements: Result<Vec<_>, _> = elements.iter().map(|item| coerce_with(item, element, type_of)).collect();
            Expression::Array(elements?)
        }
        (Expression::Map(entries), SqlType::Map(key, value)) => {
            let entries: Result<Vec<_>, ExpressionError> = entries
                .iter()
                .map(|(k, v)| Ok((coerce_with(k, key, type_of)?, coerce_with(v, value, type_of)?)))
                .collect();
            Expression::Map(entries?)
        }
        (Expression::Struct(fields), SqlType::Struct(structure)) => {
            let fields: Result<Vec<(Name, Expression)>, ExpressionError> = structure
                .fields
                .iter()
                .map(|field| {
                    let given = fields.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value);
                    let null = Expression::Literal(Literal::Null);
                    let value = coerce_with(given.unwrap_or(&null), &field.field_type, type_of)?;
                    Ok((field.name.clone(), value))
                })
                .collect();
            Expression::Struct(fields?)
        }
        (expression, target) => match type_of(&expression)? {
            Some(found) if found == *target => expression.clone(),
            _ => cast_to(expression),
        },
    })
}

/// A literal is a literal of the type, too.
fn check_spells(literal: &Literal, target: &SqlType) -> Result<(), ExpressionError> {
    let constant = constant(literal);
    let (Some(from), Some(value)) = (&constant.sql_type, constant.constant_value()) else { return Ok(()) };
    cast(from, target)?(value).map(drop).map_err(|_| match literal {
        Literal::String(text) => invalid_syntax(text, target),
        other => invalid_syntax(&other.to_string(), target),
    })
}
