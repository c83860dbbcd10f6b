//! `WHERE` and `HAVING`.

use super::evaluator::Evaluator;
use super::{Change, Context, Operator, OperatorError};

/// Lets through the rows that fulfil a predicate. Of a table, a row that no longer does is gone.
pub struct Filter {
    /// The predicate.
    pub predicate: Evaluator,
    /// Whether the input is a table.
    pub table: bool,
}

impl Operator for Filter {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let new = change.new.filter(|row| self.predicate.holds(row, context.log));
        let old = change.old.filter(|row| self.predicate.holds(row, context.log));
        if new.is_some() || (self.table && old.is_some()) {
            output.push(Change { new, old, ..change });
        }
        Ok(())
    }
}
