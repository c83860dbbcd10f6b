//! STDDEV_SAMP, STDDEV_SAMPLE, CORRELATION.

use super::{AggregateArgument, AggregateBody, Aggregator, first};
use crate::expression::{EvalError, FunctionSettings};
use crate::functions::Registry;
use crate::types::SqlType;
use crate::value::Value;

pub(super) fn register(registry: &mut Registry) {
    registry.aggregate(
        "STDDEV_SAMP",
        "The sample variance of the values, kept under this name for old queries; STDDEV_SAMPLE is its square root.",
        &numbers(|_, _| Ok(Box::new(Deviation { root: false }))),
    );
    registry.aggregate(
        "STDDEV_SAMPLE",
        "The sample standard deviation of the values.",
        &numbers(|_, _| Ok(Box::new(Deviation { root: true }))),
    );
    registry.aggregate(
        "CORRELATION",
        "Pearson's correlation coefficient of two columns; rows in which one is null are left out.",
        &[
            ("(x INT, y INT) DOUBLE", correlation),
            ("(x BIGINT, y BIGINT) DOUBLE", correlation),
            ("(x DOUBLE, y DOUBLE) DOUBLE", correlation),
        ],
    );
}

/// Of each type of numbers that a double holds well enough.
fn numbers(body: AggregateBody) -> [(&'static str, AggregateBody); 3] {
    [("(value INT) DOUBLE", body), ("(value BIGINT) DOUBLE", body), ("(value DOUBLE) DOUBLE", body)]
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
    /// Whether the root of the variance is the result.
    root: bool,
}

impl Aggregator for Deviation {
    fn state_type(&self) -> SqlType {
        SqlType::structure([("SUM", SqlType::Double), ("COUNT", SqlType::Double), ("M2", SqlType::Double)])
    }

    fn result_type(&self) -> SqlType {
        SqlType::Double
    }

    fn initialize(&self) -> Value {
        state_of(&[0.0; 3])
    }

    fn accumulate(&self, arguments: &[Value], state: Value) -> Result<Value, EvalError> {
        let Some(value) = first(arguments).as_f64() else { return Ok(state) };
        let [sum, count, m2] = doubles::<3>(&state);
        let (sum, count) = (sum + value, count + 1.0);
        let distance = count * value - sum;
        let m2 = if count > 1.0 { m2 + distance * distance / (count * (count - 1.0)) } else { m2 };
        Ok(state_of(&[sum, count, m2]))
    }

    fn undo(&self, arguments: &[Value], state: &Value) -> Option<Result<Value, EvalError>> {
        let Some(value) = first(arguments).as_f64() else { return Some(Ok(state.clone())) };
        let [sum, count, m2] = doubles::<3>(state);
        let distance = count * value - sum;
        let m2 = if count > 1.0 { m2 - distance * distance / (count * (count - 1.0)) } else { 0.0 };
        let (sum, count) = (sum - value, count - 1.0);
        Some(Ok(if count < 1.0 { self.initialize() } else { state_of(&[sum, count, m2]) }))
    }

    fn supports_undo(&self) -> bool {
        true
    }

    fn merge(&self, earlier: Value, later: Value) -> Result<Value, EvalError> {
        let ([a_sum, a_count, a_m2], [b_sum, b_count, b_m2]) = (doubles::<3>(&earlier), doubles::<3>(&later));
        if a_count == 0.0 {
            return Ok(later);
        }
        if b_count == 0.0 {
            return Ok(earlier);
        }
        let distance = a_sum / a_count - b_sum / b_count;
        let m2 = a_m2 + b_m2 + distance * distance * a_count * b_count / (a_count + b_count);
        Ok(state_of(&[a_sum + b_sum, a_count + b_count, m2]))
    }

    fn result(&self, state: &Value) -> Value {
        let [_, count, m2] = doubles::<3>(state);
        let variance = if count < 2.0 { 0.0 } else { m2 / (count - 1.0) };
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
        let spread = (count * x2 - x * x).sqrt() * (count * y2 - y * y).sqrt();
        Value::Double(covariance / spread)
    }
}
