//! COUNT, SUM, SUM_LIST, AVG, MIN, MAX.

use std::cmp::Ordering;

use super::{Aggregator, first, type_of};
use crate::expression::EvalError;
use crate::functions::Registry;
use crate::types::SqlType;
use crate::value::{Value, decimal_text, fit_decimal};

pub(super) fn register(registry: &mut Registry) {
    registry.aggregate(
        "COUNT",
        "The number of rows, or of those in which the argument is not null.",
        &[
            ("() BIGINT", |_, _| Ok(Box::new(Count { all: true }))),
            ("(value ANY) BIGINT", |_, _| Ok(Box::new(Count { all: false }))),
        ],
    );
    registry.aggregate(
        "SUM",
        "The sum of the values; nulls are left out.",
        &[
            ("(value INT) INT", |arguments, _| Ok(Box::new(Sum { sum_type: type_of(arguments, 0)?, list: false }))),
            ("(value BIGINT) BIGINT", |arguments, _| {
                Ok(Box::new(Sum { sum_type: type_of(arguments, 0)?, list: false }))
            }),
            ("(value DOUBLE) DOUBLE", |arguments, _| {
                Ok(Box::new(Sum { sum_type: type_of(arguments, 0)?, list: false }))
            }),
            ("(value DECIMAL) DECIMAL", |arguments, _| {
                Ok(Box::new(Sum { sum_type: type_of(arguments, 0)?, list: false }))
            }),
        ],
    );
    registry.aggregate(
        "SUM_LIST",
        "The sum of the elements of all arrays; nulls are left out.",
        &[
            ("(values ARRAY<INT>) INT", |arguments, _| sum_list(type_of(arguments, 0)?)),
            ("(values ARRAY<BIGINT>) BIGINT", |arguments, _| sum_list(type_of(arguments, 0)?)),
            ("(values ARRAY<DOUBLE>) DOUBLE", |arguments, _| sum_list(type_of(arguments, 0)?)),
            ("(values ARRAY<DECIMAL>) DECIMAL", |arguments, _| sum_list(type_of(arguments, 0)?)),
        ],
    );
    registry.aggregate(
        "AVG",
        "The mean of the values; nulls are left out.",
        &[("(value INT) DOUBLE", average), ("(value BIGINT) DOUBLE", average), ("(value DOUBLE) DOUBLE", average)],
    );
    registry.aggregate(
        "MAX",
        "The greatest of the values; nulls are left out.",
        &extremes(|arguments, _| {
            Ok(Box::new(Extreme { value_type: type_of(arguments, 0)?, wanted: Ordering::Greater }))
        }),
    );
    registry.aggregate(
        "MIN",
        "The least of the values; nulls are left out.",
        &extremes(|arguments, _| Ok(Box::new(Extreme { value_type: type_of(arguments, 0)?, wanted: Ordering::Less }))),
    );
}

fn sum_list(list: SqlType) -> Result<Box<dyn Aggregator>, String> {
    match list {
        SqlType::Array(element) => Ok(Box::new(Sum { sum_type: (*element).clone(), list: true })),
        other => Err(format!("SUM_LIST needs an array, not {other}")),
    }
}

fn average(
    arguments: &[super::AggregateArgument],
    _: &crate::expression::FunctionSettings,
) -> Result<Box<dyn Aggregator>, String> {
    let whole = type_of(arguments, 0)? != SqlType::Double;
    Ok(Box::new(Average { sum_type: if whole { SqlType::Bigint } else { SqlType::Double } }))
}

fn extremes(body: super::AggregateBody) -> [(&'static str, super::AggregateBody); 9] {
    [
        ("(value INT) INT", body),
        ("(value BIGINT) BIGINT", body),
        ("(value DOUBLE) DOUBLE", body),
        ("(value DECIMAL) DECIMAL", body),
        ("(value DATE) DATE", body),
        ("(value TIME) TIME", body),
        ("(value TIMESTAMP) TIMESTAMP", body),
        ("(value STRING) STRING", body),
        ("(value BYTES) BYTES", body),
    ]
}

#[derive(Debug)]
struct Count {
    /// Whether rows count whatever they hold.
    all: bool,
}

impl Count {
    fn counts(&self, arguments: &[Value]) -> i64 {
        i64::from(self.all || !first(arguments).is_null())
    }
}

impl Aggregator for Count {
    fn state_type(&self) -> SqlType {
        SqlType::Bigint
    }

    fn result_type(&self) -> SqlType {
        SqlType::Bigint
    }

    fn initialize(&self) -> Value {
        Value::Bigint(0)
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        Ok(Value::Bigint(state.as_i64().unwrap_or(0) + self.counts(arguments)))
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        Some(Ok(Value::Bigint(state.as_i64().unwrap_or(0) - self.counts(arguments))))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        Ok(Value::Bigint(earlier.as_i64().unwrap_or(0) + later.as_i64().unwrap_or(0)))
    }

    fn result(&self, state: &Value) -> Value {
        state.clone()
    }
}

#[derive(Debug)]
struct Sum {
    sum_type: SqlType,
    /// Whether the argument is an array whose elements are added.
    list: bool,
}

impl Sum {
    /// `state + value`, or `state - value`; a null value changes nothing.
    fn add(&self, state: &Value, value: &Value, subtract: bool) -> Result<Value, EvalError> {
        Ok(match (state, value) {
            (state, Value::Null) => state.clone(),
            (Value::Int(a), Value::Int(b)) => {
                Value::Int(if subtract { a.wrapping_sub(*b) } else { a.wrapping_add(*b) })
            }
            (Value::Double(a), b) => {
                let b = b.as_f64().unwrap_or(0.0);
                Value::Double(if subtract { a - b } else { a + b })
            }
            (Value::Decimal(a), b) => {
                let b = b.as_decimal().unwrap_or_default();
                let sum = if subtract { &**a - b } else { &**a + b };
                let SqlType::Decimal(target) = &self.sum_type else { return Ok(Value::decimal(sum)) };
                let fitted = fit_decimal(&sum, *target).ok_or_else(|| {
                    EvalError::new(format!(
                        "Numeric field overflow: A field with precision {} and scale {} must round to an absolute value \
                         less than 10^{}. Got {}",
                        target.precision,
                        target.scale,
                        target.whole_digits(),
                        decimal_text(&sum)
                    ))
                })?;
                Value::decimal(fitted)
            }
            (a, b) => {
                let (a, b) = (a.as_i64().unwrap_or(0), b.as_i64().unwrap_or(0));
                Value::Bigint(if subtract { a.wrapping_sub(b) } else { a.wrapping_add(b) })
            }
        })
    }

    fn add_all(&self, arguments: &[Value], state: &Value, subtract: bool) -> Result<Value, EvalError> {
        if !self.list {
            return self.add(state, first(arguments), subtract);
        }
        let elements = first(arguments).as_array().unwrap_or_default();
        elements.iter().try_fold(state.clone(), |sum, element| self.add(&sum, element, subtract))
    }
}

impl Aggregator for Sum {
    fn state_type(&self) -> SqlType {
        self.sum_type.clone()
    }

    fn result_type(&self) -> SqlType {
        self.sum_type.clone()
    }

    fn initialize(&self) -> Value {
        match &self.sum_type {
            SqlType::Integer => Value::Int(0),
            SqlType::Double => Value::Double(0.0),
            SqlType::Decimal(decimal) => Value::decimal(crate::value::round_half_up(&0.into(), decimal.scale)),
            _ => Value::Bigint(0),
        }
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        self.add_all(arguments, &state, false)
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        Some(self.add_all(arguments, state, true))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        self.add(&earlier, &later, false)
    }

    fn result(&self, state: &Value) -> Value {
        state.clone()
    }
}

/// Its state is a struct of the sum and the count.
#[derive(Debug)]
struct Average {
    sum_type: SqlType,
}

impl Average {
    fn moved(&self, state: &Value, value: &Value, sign: i64) -> Value {
        let [Value::Bigint(count), sum] = self.parts(state) else { return state.clone() };
        if value.is_null() {
            return state.clone();
        }
        let sum = match sum {
            Value::Double(sum) => Value::Double(sum + sign as f64 * value.as_f64().unwrap_or(0.0)),
            sum => {
                let change = sign.wrapping_mul(value.as_i64().unwrap_or(0));
                Value::Bigint(sum.as_i64().unwrap_or(0).wrapping_add(change))
            }
        };
        Value::structure(vec![sum, Value::Bigint(count + sign)])
    }

    /// Count and sum.
    fn parts(&self, state: &Value) -> [Value; 2] {
        match state.as_struct() {
            Some([sum, count]) => [count.clone(), sum.clone()],
            _ => [Value::Bigint(0), Value::Bigint(0)],
        }
    }
}

impl Aggregator for Average {
    fn state_type(&self) -> SqlType {
        SqlType::structure([("SUM", self.sum_type.clone()), ("COUNT", SqlType::Bigint)])
    }

    fn result_type(&self) -> SqlType {
        SqlType::Double
    }

    fn initialize(&self) -> Value {
        let zero = if self.sum_type == SqlType::Double { Value::Double(0.0) } else { Value::Bigint(0) };
        Value::structure(vec![zero, Value::Bigint(0)])
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        Ok(self.moved(&state, first(arguments), 1))
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        Some(Ok(self.moved(state, first(arguments), -1)))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let ([a_count, a_sum], [b_count, b_sum]) = (self.parts(&earlier), self.parts(&later));
        let sum = match (&a_sum, &b_sum) {
            (Value::Double(a), Value::Double(b)) => Value::Double(a + b),
            (a, b) => Value::Bigint(a.as_i64().unwrap_or(0).wrapping_add(b.as_i64().unwrap_or(0))),
        };
        let count = a_count.as_i64().unwrap_or(0) + b_count.as_i64().unwrap_or(0);
        Ok(Value::structure(vec![sum, Value::Bigint(count)]))
    }

    fn result(&self, state: &Value) -> Value {
        let [count, sum] = self.parts(state);
        let count = count.as_i64().unwrap_or(0);
        Value::Double(if count == 0 { 0.0 } else { sum.as_f64().unwrap_or(0.0) / count as f64 })
    }
}

#[derive(Debug)]
struct Extreme {
    value_type: SqlType,
    /// How the value that stays compares to the other.
    wanted: Ordering,
}

impl Extreme {
    fn pick(&self, a: Value, b: Value) -> Value {
        match (a.is_null(), b.is_null()) {
            (true, _) => b,
            (_, true) => a,
            _ if b.cmp(&a) == self.wanted => b,
            _ => a,
        }
    }
}

impl Aggregator for Extreme {
    fn state_type(&self) -> SqlType {
        self.value_type.clone()
    }

    fn result_type(&self) -> SqlType {
        self.value_type.clone()
    }

    fn initialize(&self) -> Value {
        Value::Null
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        Ok(self.pick(state, first(arguments).clone()))
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        Ok(self.pick(earlier, later))
    }

    fn result(&self, state: &Value) -> Value {
        state.clone()
    }
}
