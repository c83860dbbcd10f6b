//! COUNT, SUM, SUM_LIST, AVG, MIN, MAX.

use std::cmp::Ordering;

use super::{Aggregator, first, type_of};
use crate::expression::EvalError;
use crate::functions::Registry;
use crate::types::SqlType;
use crate::value::{Value, fit_decimal, overflow_text};

pub(super) fn register(registry: &mut Registry) {
    registry.aggregate(
        "COUNT",
        "The number of rows, or of those in which the argument is not null.",
        &[
            ("() BIGINT", |_, _| Ok(Box::new(Count { all: true }))),
            ("(val1 T) BIGINT", |_, _| Ok(Box::new(Count { all: false }))),
        ],
    );
    registry.aggregate(
        "SUM",
        "The sum of the values; nulls are left out.",
        &[
            ("(val1 INT) INT", |arguments, _| Ok(Box::new(Sum { sum_type: type_of(arguments, 0)?, list: false }))),
            ("(val1 BIGINT) BIGINT", |arguments, _| {
                Ok(Box::new(Sum { sum_type: type_of(arguments, 0)?, list: false }))
            }),
            ("(val1 DOUBLE) DOUBLE", |arguments, _| {
                Ok(Box::new(Sum { sum_type: type_of(arguments, 0)?, list: false }))
            }),
            ("(val1 DECIMAL) DECIMAL", |arguments, _| {
                Ok(Box::new(Sum { sum_type: type_of(arguments, 0)?, list: false }))
            }),
        ],
    );
    registry.aggregate(
        "sum_list",
        "The sum of the elements of all arrays; nulls are left out.",
        &[
            ("(val1 ARRAY<INT>) INT", |arguments, _| sum_list(type_of(arguments, 0)?)),
            ("(val1 ARRAY<BIGINT>) BIGINT", |arguments, _| sum_list(type_of(arguments, 0)?)),
            ("(val1 ARRAY<DOUBLE>) DOUBLE", |arguments, _| sum_list(type_of(arguments, 0)?)),
        ],
    );
    registry.aggregate(
        "avg",
        "The mean of the values; nulls are left out.",
        &[("(val1 INT) DOUBLE", average), ("(val1 BIGINT) DOUBLE", average), ("(val1 DOUBLE) DOUBLE", average)],
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
    Ok(Box::new(Average { sum_type: type_of(arguments, 0)? }))
}

fn extremes(body: super::AggregateBody) -> [(&'static str, super::AggregateBody); 9] {
    [
        ("(val1 INT) INT", body),
        ("(val1 BIGINT) BIGINT", body),
        ("(val1 DOUBLE) DOUBLE", body),
        ("(val1 DECIMAL) DECIMAL", body),
        ("(val1 DATE) DATE", body),
        ("(val1 TIME) TIME", body),
        ("(val1 TIMESTAMP) TIMESTAMP", body),
        ("(val1 STRING) STRING", body),
        ("(val1 BYTES) BYTES", body),
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

/// What a sum is of no values.
pub(super) fn zero(sum_type: &SqlType) -> Value {
    match sum_type {
        SqlType::Integer => Value::Int(0),
        SqlType::Double => Value::Double(0.0),
        SqlType::Decimal(decimal) => Value::decimal(crate::value::round_half_up(&0.into(), decimal.scale)),
        _ => Value::Bigint(0),
    }
}

/// `sum + value`, or `sum - value`; a null value changes nothing.
pub(super) fn add(sum: &Value, value: &Value, subtract: bool) -> Value {
    match (sum, value) {
        (sum, Value::Null) => sum.clone(),
        (Value::Int(a), Value::Int(b)) => Value::Int(if subtract { a.wrapping_sub(*b) } else { a.wrapping_add(*b) }),
        (Value::Double(a), b) => {
            let b = b.as_f64().unwrap_or(0.0);
            Value::Double(if subtract { a - b } else { a + b })
        }
        (Value::Decimal(a), b) => {
            let b = b.as_decimal().unwrap_or_default();
            Value::decimal(if subtract { &**a - b } else { &**a + b })
        }
        (a, b) => {
            let (a, b) = (a.as_i64().unwrap_or(0), b.as_i64().unwrap_or(0));
            Value::Bigint(if subtract { a.wrapping_sub(b) } else { a.wrapping_add(b) })
        }
    }
}

impl Sum {
    /// As [`add`]; a decimal must fit its type.
    fn add(&self, state: &Value, value: &Value, subtract: bool) -> Result<Value, EvalError> {
        let sum = add(state, value, subtract);
        let (Value::Decimal(number), SqlType::Decimal(target)) = (&sum, &self.sum_type) else { return Ok(sum) };
        let fitted = fit_decimal(number, *target).map(Value::decimal);
        fitted.ok_or_else(|| EvalError::new(overflow_text(number, *target)))
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
        zero(&self.sum_type)
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
    /// The sum with a value added or taken away; whole numbers run over as numbers of their size do.
    fn moved(&self, state: &Value, value: &Value, sign: i64) -> Value {
        if value.is_null() {
            return state.clone();
        }
        let (count, sum) = self.parts(state);
        Value::structure(vec![add(&sum, value, sign < 0), Value::Bigint(count + sign)])
    }

    /// Count and sum.
    fn parts(&self, state: &Value) -> (i64, Value) {
        match state.as_struct() {
            Some([sum, count]) => (count.as_i64().unwrap_or(0), sum.clone()),
            _ => (0, zero(&self.sum_type)),
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
        Value::structure(vec![zero(&self.sum_type), Value::Bigint(0)])
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
        let ((a_count, a_sum), (b_count, b_sum)) = (self.parts(&earlier), self.parts(&later));
        Ok(Value::structure(vec![add(&a_sum, &b_sum, false), Value::Bigint(a_count + b_count)]))
    }

    fn result(&self, state: &Value) -> Value {
        let (count, sum) = self.parts(state);
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
