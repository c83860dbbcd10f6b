//! `WHERE` and `HAVING`.

use super::evaluator::Evaluator;
use super::{Change, Context, Operator, OperatorError};

/// Lets through the rows that fulfil a predicate. Of a table, a row that no longer does is gone.
pub struct Filter {
    /// The predicate.
    pub predicate: Evaluator,
    /// Whether the input is a table.
    pub table: bool,
    /// Whether the input tells what rows were before. Of one that does not, every row that is not let through is gone,
    /// also one that was not there.
    pub knows_old: bool,
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
        if new.is_some() || (self.table && (old.is_some() || !self.knows_old)) {
            output.push(Change { new, old, ..change });
        }
        Ok(())
    }
}
