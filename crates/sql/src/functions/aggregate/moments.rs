//! STDDEV_SAMP, STDDEV_SAMPLE, CORRELATION.

use super::numbers::{add, zero};
use super::{AggregateArgument, AggregateBody, Aggregator, first, type_of};
use crate::expression::{EvalError, FunctionSettings};
use crate::functions::Registry;
use crate::types::SqlType;
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    registry.aggregate(
        "STDDEV_SAMP",
        "The sample variance of the values, kept under this name for old queries; STDDEV_SAMPLE is its square root.",
        &numbers(|arguments, _| Ok(Box::new(Deviation { sum_type: type_of(arguments, 0)?, root: false }))),
    );
    registry.aggregate(
        "STDDEV_SAMPLE",
        "The sample standard deviation of the values.",
        &numbers(|arguments, _| Ok(Box::new(Deviation { sum_type: type_of(arguments, 0)?, root: true }))),
    );
    registry.aggregate(
        "correlation",
        "Pearson's correlation coefficient of two columns; rows in which one is null are left out.",
        &[
            ("(val1 DOUBLE, val2 DOUBLE) DOUBLE", correlation),
            ("(val1 INT, val2 INT) DOUBLE", correlation),
            ("(val1 BIGINT, val2 BIGINT) DOUBLE", correlation),
        ],
    );
}

/// Of each type of numbers that a double holds well enough.
fn numbers(body: AggregateBody) -> [(&'static str, AggregateBody); 3] {
    [("(val1 BIGINT) DOUBLE", body), ("(val1 INT) DOUBLE", body), ("(val1 DOUBLE) DOUBLE", body)]
}

fn correlation(_: &[AggregateArgument], _: &FunctionSettings) -> Result<Box<dyn Aggregator>, String> {
    Ok(Box::new(Correlation))
}

/// The numbers of a state that is a struct of doubles.
fn doubles<const N: usize>(state: &Value) -> [f64; N] {
    let fields = state.as_struct().unwrap_or_default();
    std::array::from_fn(|index| fields.get(index).and_then(Value::as_f64).unwrap_or(0.0))
}

fn state_of(numbers: &[f64]) -> Value {
    Value::structure(numbers.iter().copied().map(Value::Double).collect())
}

/// Its state: sum, count and the sum of squared distances from the mean, kept as rows come (Youngs and Cramer).
#[derive(Debug)]
struct Deviation {
    /// Type of the values, and of their sum: whole numbers run over as numbers of their size do.
    sum_type: SqlType,
    /// Whether the root of the variance is the result.
    root: bool,
}

/// A state of [`Deviation`] taken apart.
struct Spread {
    sum: Value,
    count: i64,
    m2: f64,
}

impl Deviation {
    fn spread(&self, state: &Value) -> Spread {
        match state.as_struct() {
            Some([sum, count, m2]) => {
                Spread { sum: sum.clone(), count: count.as_i64().unwrap_or(0), m2: m2.as_f64().unwrap_or(0.0) }
            }
            _ => Spread { sum: zero(&self.sum_type), count: 0, m2: 0.0 },
        }
    }

    /// How far a value lies from the mean of a state and itself, times their number.
    fn distance(&self, spread: &Spread, value: &Value) -> f64 {
        match (value.as_i64(), spread.sum.as_i64()) {
            (Some(value), Some(sum)) => {
                value.wrapping_mul(spread.count + 1).wrapping_sub(sum.wrapping_add(value)) as f64
            }
            _ => {
                let (value, sum) = (value.as_f64().unwrap_or(0.0), spread.sum.as_f64().unwrap_or(0.0));
                value * (spread.count + 1) as f64 - (sum + value)
            }
        }
    }

    /// The mean of a state; the function without the root cuts that of whole numbers to a whole number.
    fn mean(&self, spread: &Spread) -> f64 {
        match spread.sum.as_i64() {
            Some(sum) if !self.root => sum.wrapping_div(spread.count) as f64,
            _ => spread.sum.as_f64().unwrap_or(0.0) / spread.count as f64,
        }
    }
}

fn spread_state(sum: Value, count: i64, m2: f64) -> Value {
    Value::structure(vec![sum, Value::Bigint(count), Value::Double(m2)])
}

impl Aggregator for Deviation {
    fn state_type(&self) -> SqlType {
        SqlType::structure([("SUM", self.sum_type.clone()), ("COUNT", SqlType::Bigint), ("M2", SqlType::Double)])
    }

    fn result_type(&self) -> SqlType {
        SqlType::Double
    }

    fn initialize(&self) -> Value {
        spread_state(zero(&self.sum_type), 0, 0.0)
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        let value = first(arguments);
        if value.is_null() {
            return Ok(state);
        }
        let spread = self.spread(&state);
        let count = spread.count + 1;
        let distance = if count > 1 { self.distance(&spread, value) } else { 0.0 };
        let change = if count > 1 { distance * distance / (count * (count - 1)) as f64 } else { 0.0 };
        Ok(spread_state(add(&spread.sum, value, false), count, change + spread.m2))
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        let value = first(arguments);
        if value.is_null() {
            return Some(Ok(state.clone()));
        }
        let spread = self.spread(state);
        let count = spread.count - 1;
        let distance = self.distance(&spread, value);
        let change = if count > 0 { distance * distance / (count * (count + 1)) as f64 } else { 0.0 };
        Some(Ok(spread_state(add(&spread.sum, value, true), count, spread.m2 - change)))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let (a, b) = (self.spread(&earlier), self.spread(&later));
        let count = a.count + b.count;
        let change = if a.count == 0 || b.count == 0 {
            0.0
        } else {
            let distance = self.mean(&a) - self.mean(&b);
            (a.count * b.count) as f64 * distance * distance / count as f64
        };
        Ok(spread_state(add(&a.sum, &b.sum, false), count, a.m2 + b.m2 + change))
    }

    fn result(&self, state: &Value) -> Value {
        let spread = self.spread(state);
        let variance = if spread.count < 2 { 0.0 } else { spread.m2 / (spread.count - 1) as f64 };
        Value::Double(if self.root { variance.sqrt() } else { variance })
    }
}

/// Its state: the count and the sums of x, y, x², y² and xy.
#[derive(Debug)]
struct Correlation;

impl Correlation {
    fn moved(&self, arguments: &[Value], state: &Value, sign: f64) -> Value {
        let (Some(x), Some(y)) = (first(arguments).as_f64(), arguments.get(1).and_then(Value::as_f64)) else {
            return state.clone();
        };
        let old = doubles::<6>(state);
        let row = [1.0, x, y, x * x, y * y, x * y];
        state_of(&std::array::from_fn::<f64, 6, _>(|index| old[index] + sign * row[index]))
    }
}

impl Aggregator for Correlation {
    fn state_type(&self) -> SqlType {
        SqlType::structure(
            ["COUNT", "SUM_X", "SUM_Y", "SUM_X2", "SUM_Y2", "SUM_XY"].map(|name| (name, SqlType::Double)),
        )
    }

    fn result_type(&self) -> SqlType {
        SqlType::Double
    }

    fn initialize(&self) -> Value {
        state_of(&[0.0; 6])
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        Ok(self.moved(arguments, &state, 1.0))
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        Some(Ok(self.moved(arguments, state, -1.0)))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let (a, b) = (doubles::<6>(&earlier), doubles::<6>(&later));
        Ok(state_of(&std::array::from_fn::<f64, 6, _>(|index| a[index] + b[index])))
    }

    fn result(&self, state: &Value) -> Value {
        let [count, x, y, x2, y2, xy] = doubles::<6>(state);
        let covariance = count * xy - x * y;
        let spread = (count * x2 - x * x) * (count * y2 - y * y);
        Value::Double(covariance / spread.sqrt())
    }
}
