//! Times as text beside ROWTIME and window bounds.

use crate::ast::{ColumnReference, Expression, Literal};
use crate::value::parse_date_time;

use super::ExpressionError;

/// Columns that hold milliseconds but are compared with texts.
const TIME_COLUMNS: [&str; 3] = ["ROWTIME", "WINDOWSTART", "WINDOWEND"];

/// A condition in which texts that ROWTIME, WINDOWSTART or WINDOWEND are compared with have become milliseconds.
pub fn rewrite_time_comparisons(condition: &Expression) -> Result<Expression, ExpressionError> {
    let mut failed = None;
    let mut convert = |expression: &Expression| match expression {
        Expression::Literal(Literal::String(text)) => match parse_date_time::timestamp(text) {
            Ok(milliseconds) => Box::new(Expression::Literal(Literal::Bigint(milliseconds))),
            Err(error) => {
                failed.get_or_insert(error);
                Box::new(expression.clone())
            }
        },
        other => Box::new(other.clone()),
    };
    let rewritten = condition.rewrite(&mut |part| match part {
        Expression::Comparison { operator, left, right } => {
            if is_time_column(left) && is_text(right) {
                Some(Expression::Comparison { operator: *operator, left: left.clone(), right: convert(right) })
            } else if is_time_column(right) && is_text(left) {
                Some(Expression::Comparison { operator: *operator, left: convert(left), right: right.clone() })
            } else {
                None
            }
        }
        Expression::Between { value, min, max } if is_time_column(value) => {
            Some(Expression::Between { value: value.clone(), min: convert(min), max: convert(max) })
        }
        _ => None,
    });
    match failed {
        Some(error) => Err(ExpressionError(error)),
        None => Ok(rewritten),
    }
}

fn is_time_column(expression: &Expression) -> bool {
    matches!(expression, Expression::Column(ColumnReference { name, .. }) if TIME_COLUMNS.contains(&&**name))
}

fn is_text(expression: &Expression) -> bool {
    matches!(expression, Expression::Literal(Literal::String(_)))
}
