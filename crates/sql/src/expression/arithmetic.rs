//! `+ - * / %`.

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Zero};

use super::{EvalContext, EvalError, ExpressionError, TypedExpression, cast, type_text};
use crate::ast::{ArithmeticOperator, Expression};
use crate::types::{DecimalType, SqlType};
use crate::value::{Value, round_half_up};

/// `left operator right`.
pub(super) fn arithmetic(
    whole: &Expression,
    operator: ArithmeticOperator,
    left: TypedExpression,
    right: TypedExpression,
) -> Result<TypedExpression, ExpressionError> {
    let fail = |detail: String| ExpressionError(format!("Error processing expression: {whole}. {detail}"));
    let (Some(left_type), Some(right_type)) = (&left.sql_type, &right.sql_type) else {
        return Err(fail(format!(
            "Arithmetic on types {} and {} are not supported.",
            type_text(left.sql_type.as_ref()),
            type_text(right.sql_type.as_ref())
        )));
    };
    let result = match (left_type, right_type) {
        (SqlType::String, SqlType::String) if operator == ArithmeticOperator::Add => {
            return Ok(concatenation(left, right));
        }
        (a, b) if a.is_number() && b.is_number() => result_type(operator, a, b),
        (a, b) => {
            return Err(fail(format!("Unsupported arithmetic types. {} {}", a.base_name(), b.base_name())));
        }
    };
    Ok(match &result {
        SqlType::Integer => integers(operator, left, right),
        SqlType::Bigint => bigints(operator, left, right),
        SqlType::Decimal(decimal) => decimals(operator, *decimal, left, right),
        _ => doubles(operator, left, right),
    })
}

/// The type of the result of an operator on two numbers.
fn result_type(operator: ArithmeticOperator, left: &SqlType, right: &SqlType) -> SqlType {
    match (left, right) {
        (SqlType::Double, _) | (_, SqlType::Double) => SqlType::Double,
        (SqlType::Integer, SqlType::Integer) => SqlType::Integer,
        (SqlType::Integer | SqlType::Bigint, SqlType::Integer | SqlType::Bigint) => SqlType::Bigint,
        _ => match (left.as_decimal(), right.as_decimal()) {
            (Some(left), Some(right)) => SqlType::Decimal(decimal_result(operator, left, right)),
            _ => SqlType::Double,
        },
    }
}

/// Precision and scale of the result, as SQL Server's rules say.
fn decimal_result(operator: ArithmeticOperator, left: DecimalType, right: DecimalType) -> DecimalType {
    let scale = left.scale.max(right.scale);
    match operator {
        ArithmeticOperator::Add | ArithmeticOperator::Subtract => {
            let whole = left.whole_digits().max(right.whole_digits());
            DecimalType { precision: scale.saturating_add(whole).saturating_add(1), scale }
        }
        ArithmeticOperator::Multiply => DecimalType {
            precision: left.precision.saturating_add(right.precision).saturating_add(1),
            scale: left.scale.saturating_add(right.scale),
        },
        ArithmeticOperator::Divide => {
            let scale = 6.max(left.scale.saturating_add(right.precision).saturating_add(1));
            DecimalType { precision: left.whole_digits().saturating_add(right.scale).saturating_add(scale), scale }
        }
        ArithmeticOperator::Modulus => {
            let whole = left.whole_digits().min(right.whole_digits());
            DecimalType { precision: whole.saturating_add(scale), scale }
        }
    }
}

/// Both operands. Where one is null the whole has no value: what is around sees a failure, not a null.
fn operands(
    left: &TypedExpression,
    right: &TypedExpression,
    row: &[Value],
    context: &mut EvalContext,
) -> Result<(Value, Value), EvalError> {
    let (a, b) = (left.try_evaluate(row, context)?, right.try_evaluate(row, context)?);
    if a.is_null() || b.is_null() { Err(EvalError::null_operand()) } else { Ok((a, b)) }
}

/// Texts one after the other, as Java joins them: a null is `null`.
fn concatenation(left: TypedExpression, right: TypedExpression) -> TypedExpression {
    TypedExpression::new(Some(SqlType::String), move |row, context| {
        let (a, b) = (left.view(row, context)?, right.view(row, context)?);
        Ok(Value::from([a.as_str().unwrap_or("null"), b.as_str().unwrap_or("null")].concat()))
    })
}

fn integers(operator: ArithmeticOperator, left: TypedExpression, right: TypedExpression) -> TypedExpression {
    TypedExpression::new(Some(SqlType::Integer), move |row, context| {
        let (Value::Int(a), Value::Int(b)) = operands(&left, &right, row, context)? else {
            return Ok(Value::Null);
        };
        Ok(Value::Int(match operator {
            ArithmeticOperator::Add => a.wrapping_add(b),
            ArithmeticOperator::Subtract => a.wrapping_sub(b),
            ArithmeticOperator::Multiply => a.wrapping_mul(b),
            ArithmeticOperator::Divide | ArithmeticOperator::Modulus if b == 0 => return Err(division_by_zero()),
            ArithmeticOperator::Divide => a.wrapping_div(b),
            ArithmeticOperator::Modulus => a.wrapping_rem(b),
        }))
    })
}

fn bigints(operator: ArithmeticOperator, left: TypedExpression, right: TypedExpression) -> TypedExpression {
    TypedExpression::new(Some(SqlType::Bigint), move |row, context| {
        let (a, b) = operands(&left, &right, row, context)?;
        let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) else { return Ok(Value::Null) };
        Ok(Value::Bigint(match operator {
            ArithmeticOperator::Add => a.wrapping_add(b),
            ArithmeticOperator::Subtract => a.wrapping_sub(b),
            ArithmeticOperator::Multiply => a.wrapping_mul(b),
            ArithmeticOperator::Divide | ArithmeticOperator::Modulus if b == 0 => return Err(division_by_zero()),
            ArithmeticOperator::Divide => a.wrapping_div(b),
            ArithmeticOperator::Modulus => a.wrapping_rem(b),
        }))
    })
}

fn doubles(operator: ArithmeticOperator, left: TypedExpression, right: TypedExpression) -> TypedExpression {
    TypedExpression::new(Some(SqlType::Double), move |row, context| {
        let (a, b) = operands(&left, &right, row, context)?;
        let (Some(a), Some(b)) = (a.as_f64(), b.as_f64()) else { return Ok(Value::Null) };
        Ok(Value::Double(match operator {
            ArithmeticOperator::Add => a + b,
            ArithmeticOperator::Subtract => a - b,
            ArithmeticOperator::Multiply => a * b,
            ArithmeticOperator::Divide => a / b,
            ArithmeticOperator::Modulus => a % b,
        }))
    })
}

fn decimals(
    operator: ArithmeticOperator,
    result: DecimalType,
    left: TypedExpression,
    right: TypedExpression,
) -> TypedExpression {
    TypedExpression::new(Some(SqlType::Decimal(result)), move |row, context| {
        let (a, b) = operands(&left, &right, row, context)?;
        let (Some(a), Some(b)) = (a.as_decimal(), b.as_decimal()) else { return Ok(Value::Null) };
        let exact: BigDecimal = match operator {
            ArithmeticOperator::Add => a + b,
            ArithmeticOperator::Subtract => a - b,
            ArithmeticOperator::Multiply => a * b,
            ArithmeticOperator::Divide | ArithmeticOperator::Modulus if b.is_zero() => return Err(division_by_zero()),
            ArithmeticOperator::Divide => divide(&a, &b, result.scale)?,
            ArithmeticOperator::Modulus => remainder(&a, &b, result.precision)?,
        };
        Ok(Value::decimal(round_half_up(&exact, result.scale)))
    })
}

/// What is left of a division, if the whole quotient has no more digits than `precision`, zeros at its end apart.
fn remainder(a: &BigDecimal, b: &BigDecimal, precision: u32) -> Result<BigDecimal, EvalError> {
    let (numerator, denominator) = fraction(a, b, 0);
    let quotient = BigDecimal::new(numerator / denominator, 0);
    if quotient.normalized().digits() > u64::from(precision) {
        return Err(EvalError::new("Division impossible"));
    }
    Ok(a % b)
}

/// Whole numbers whose quotient is that of `a` and `b` with the point so many digits to the right.
fn fraction(a: &BigDecimal, b: &BigDecimal, wanted: i64) -> (BigInt, BigInt) {
    let (a_digits, a_scale) = a.as_bigint_and_exponent();
    let (b_digits, b_scale) = b.as_bigint_and_exponent();
    let shift = wanted - a_scale + b_scale;
    let ten = |power: i64| BigInt::from(10).pow(u32::try_from(power).unwrap_or(0));
    if shift >= 0 { (a_digits * ten(shift), b_digits) } else { (a_digits, b_digits * ten(-shift)) }
}

/// The quotient, if it has no more than `scale` digits behind the point: a division never rounds.
fn divide(a: &BigDecimal, b: &BigDecimal, scale: u32) -> Result<BigDecimal, EvalError> {
    let wanted = i64::from(scale);
    let (numerator, denominator) = fraction(a, b, wanted);
    let quotient = &numerator / &denominator;
    if &quotient * &denominator != numerator {
        return Err(EvalError::new("Rounding necessary"));
    }
    Ok(BigDecimal::new(quotient, wanted))
}

fn division_by_zero() -> EvalError {
    EvalError::new("/ by zero")
}

/// `-value`, `+value`.
pub(super) fn sign(
    whole: &Expression,
    negative: bool,
    value: TypedExpression,
) -> Result<TypedExpression, ExpressionError> {
    let Some(number) = value.sql_type.clone().filter(SqlType::is_number) else {
        return Err(ExpressionError(format!(
            "Error processing expression: {whole}. Expected numeric type, got {}",
            type_text(value.sql_type.as_ref())
        )));
    };
    if !negative {
        return Ok(value);
    }
    Ok(TypedExpression::new(Some(number), move |row, context| {
        Ok(match value.try_evaluate(row, context)? {
            Value::Int(number) => Value::Int(number.wrapping_neg()),
            Value::Bigint(number) => Value::Bigint(number.wrapping_neg()),
            Value::Double(number) => Value::Double(-number),
            Value::Decimal(number) => Value::decimal(-&*number),
            _ => return Err(EvalError::null_operand()),
        })
    }))
}

/// A number as a value of another number type that holds it, for operands and arguments.
pub(super) fn widen(value: TypedExpression, target: &SqlType) -> Result<TypedExpression, ExpressionError> {
    match &value.sql_type {
        Some(from) if from != target => {
            let convert = cast(from, target)?;
            if let Some(constant) = value.constant_value()
                && let Ok(converted) = convert(constant)
            {
                return Ok(TypedExpression::constant(Some(target.clone()), converted));
            }
            Ok(TypedExpression::new(Some(target.clone()), move |row, context| {
                convert(&value.try_evaluate(row, context)?)
            }))
        }
        _ => Ok(value),
    }
}
