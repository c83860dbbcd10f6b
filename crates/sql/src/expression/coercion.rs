//! One type for several expressions: the elements of `ARRAY[...]`, of `MAP(...)`, of `IN (...)`.
//!
//! Columns decide, numbers widen, structs get all fields of all, and literals follow: a text literal becomes the number,
//! boolean or time that it spells, any literal becomes text beside texts.

use std::str::FromStr;
use std::sync::Arc;

use bigdecimal::BigDecimal;

use super::cast::parse_boolean;
use super::compile::literal_type;
use super::{ExpressionError, Scope};
use crate::ast::{Expression, Literal, Name};
use crate::types::{SqlType, StructField, StructType};
use crate::value::{decimal_text, parse_date_time};

/// The type that all expressions can have; `None` where all are null.
pub fn common_type(expressions: &[&Expression], scope: &Scope) -> Result<Option<SqlType>, ExpressionError> {
    let typed = |expression: &&Expression| -> Result<Option<SqlType>, ExpressionError> { scope.type_of(expression) };
    common_type_with(expressions, &typed)
}

/// Finds the type of an expression.
pub(super) type TypeOf<'a> = &'a dyn Fn(&&Expression) -> Result<Option<SqlType>, ExpressionError>;

pub(super) fn common_type_with(
    expressions: &[&Expression],
    type_of: TypeOf<'_>,
) -> Result<Option<SqlType>, ExpressionError> {
    let mut common: Option<SqlType> = None;
    // Columns first, then constructors, then literals that are no text, then texts: each follows those before.
    let mut ordered = expressions.to_vec();
    ordered.sort_by_key(|expression| freedom(expression));
    for expression in ordered {
        common = unify_expression(common, expression, type_of)?;
    }
    Ok(common)
}

/// How much an expression's type may follow others.
fn freedom(expression: &Expression) -> u8 {
    match expression {
        Expression::Literal(Literal::String(_)) => 3,
        Expression::Literal(_) => 2,
        Expression::Array(_) | Expression::Map(_) | Expression::Struct(_) => 1,
        _ => 0,
    }
}

fn unify_expression(
    common: Option<SqlType>,
    expression: &Expression,
    type_of: TypeOf<'_>,
) -> Result<Option<SqlType>, ExpressionError> {
    match (expression, &common) {
        (Expression::Literal(Literal::Null), _) => Ok(common),
        (Expression::Literal(literal), Some(target)) => unify_literal(target, literal).map(Some),
        (Expression::Array(elements), Some(SqlType::Array(element))) => {
            let mut element = Some((**element).clone());
            for item in elements {
                element = unify_expression(element, item, type_of)?;
            }
            Ok(element.map(SqlType::array))
        }
        (Expression::Map(entries), Some(SqlType::Map(key, value))) => {
            let (mut key, mut value) = (Some((**key).clone()), Some((**value).clone()));
            for (entry_key, entry_value) in entries {
                key = unify_expression(key, entry_key, type_of)?;
                value = unify_expression(value, entry_value, type_of)?;
            }
            Ok(key.zip(value).map(|(key, value)| SqlType::map(key, value)))
        }
        (Expression::Struct(fields), Some(SqlType::Struct(target))) => {
            let mut target = StructType::clone(target);
            for (name, value) in fields {
                let known = target.fields.iter_mut().find(|field| field.name == *name);
                match known {
                    Some(field) => {
                        let unified = unify_expression(Some(field.field_type.clone()), value, type_of)?;
                        field.field_type = unified.unwrap_or_else(|| field.field_type.clone());
                    }
                    None => {
                        if let Some(field_type) = type_of(&value)? {
                            target.fields.push(StructField { name: name.clone(), field_type });
                        }
                    }
                }
            }
            Ok(Some(SqlType::Struct(Arc::new(target))))
        }
        (expression, None) => type_of(&expression),
        (expression, Some(target)) => match type_of(&expression)? {
            None => Ok(common),
            Some(found) => unify_types(target, &found)
                .map(Some)
                .ok_or_else(|| no_operator(target, &found, &expression.to_string())),
        },
    }
}

fn no_operator(target: &SqlType, found: &SqlType, text: &str) -> ExpressionError {
    ExpressionError(format!(
        "operator does not exist: {target} = {found} ({text})\nHint: You might need to add explicit type casts."
    ))
}

/// The type that holds values of both.
fn unify_types(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (SqlType::Array(a), SqlType::Array(b)) => SqlType::array(unify_types(a, b)?),
        (SqlType::Map(a_key, a_value), SqlType::Map(b_key, b_value)) => {
            SqlType::map(unify_types(a_key, b_key)?, unify_types(a_value, b_value)?)
        }
        (SqlType::Struct(a), SqlType::Struct(b)) => {
            let mut fields = a.fields.clone();
            for field in &b.fields {
                match fields.iter_mut().find(|known| known.name == field.name) {
                    Some(known) => known.field_type = unify_types(&known.field_type, &field.field_type)?,
                    None => fields.push(field.clone()),
                }
            }
            SqlType::Struct(Arc::new(StructType { fields }))
        }
        (a, b) if a.is_number() && b.is_number() => match (a, b) {
            (SqlType::Double, _) | (_, SqlType::Double) => SqlType::Double,
            (SqlType::Integer | SqlType::Bigint, SqlType::Integer | SqlType::Bigint) => SqlType::Bigint,
            _ => SqlType::Decimal(a.as_decimal()?.widest(b.as_decimal()?)),
        },
        _ => return None,
    })
}

/// The common type after a literal has joined.
fn unify_literal(target: &SqlType, literal: &Literal) -> Result<SqlType, ExpressionError> {
    let Some(own) = literal_type(literal) else { return Ok(target.clone()) };
    if *target == SqlType::String {
        return Ok(SqlType::String);
    }
    if let Some(text) = literal.as_str() {
        let invalid = || ExpressionError(format!("invalid input syntax for type {}: \"{text}\".", target.base_name()));
        return match target {
            SqlType::Boolean => parse_boolean(text).map(|_| SqlType::Boolean).ok_or_else(invalid),
            target if target.is_number() => {
                let number = parse_number(text).ok_or_else(invalid)?;
                let found = literal_type(&number).ok_or_else(invalid)?;
                unify_types(target, &found).ok_or_else(invalid)
            }
            SqlType::Date => parse_date_time::date(text).map(|_| SqlType::Date).map_err(|_| invalid()),
            SqlType::Time => parse_date_time::time(text).map(|_| SqlType::Time).map_err(|_| invalid()),
            SqlType::Timestamp => parse_date_time::timestamp(text).map(|_| SqlType::Timestamp).map_err(|_| invalid()),
            other => Err(no_operator(other, &own, &literal.to_string())),
        };
    }
    unify_types(target, &own).ok_or_else(|| no_operator(target, &own, &literal.to_string()))
}

/// The number that a text spells, as a literal of the smallest type.
fn parse_number(text: &str) -> Option<Literal> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i32>() {
        return Some(Literal::Integer(number));
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(Literal::Bigint(number));
    }
    if text.contains(['e', 'E']) {
        return text.parse().ok().filter(|number: &f64| number.is_finite()).map(Literal::Double);
    }
    BigDecimal::from_str(text).ok().map(Literal::Decimal)
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
