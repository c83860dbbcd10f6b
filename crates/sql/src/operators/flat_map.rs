//! Table functions in the projection: one row becomes as many as the longest result has.

use super::evaluator::Evaluator;
use super::{Change, Context, Operator, OperatorError, Row};
use crate::value::Value;

/// Appends one column per function; the results of all functions side by side, shorter ones padded with null.
pub struct FlatMap {
    /// Expressions whose values are arrays of results.
    pub functions: Vec<Evaluator>,
}

impl Operator for FlatMap {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let Some(row) = &change.new else { return Ok(()) };
        let results: Vec<Value> = self.functions.iter().map(|function| function.value(row, context.log)).collect();
        let length = |result: &Value| result.as_array().map_or(0, <[Value]>::len);
        for position in 0..results.iter().map(length).max().unwrap_or(0) {
            let appended = results.iter().map(|result| {
                result.as_array().and_then(|elements| elements.get(position)).cloned().unwrap_or_default()
            });
            let row: Row = row.iter().cloned().chain(appended).collect();
            output.push(change.with_row(Some(row), None));
        }
        Ok(())
    }
}
