//! `SELECT`: the columns of the result.

use super::evaluator::Evaluator;
use super::{Change, Context, Operator, OperatorError, ProcessingLog, Row};

/// Computes a new row of each row. A row that is gone stays gone.
pub struct Project {
    /// The columns of the new row.
    pub columns: Vec<Evaluator>,
    /// Whether somebody looks at what the rows were before.
    pub old: bool,
}

impl Project {
    fn row(&self, row: Option<&Row>, log: &dyn ProcessingLog) -> Option<Row> {
        row.map(|row| self.columns.iter().map(|column| column.value(row, log)).collect())
    }
}

impl Operator for Project {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let old = change.old.as_ref().filter(|_| self.old);
        let (new, old) = (self.row(change.new.as_ref(), context.log), self.row(old, context.log));
        output.push(Change { new, old, ..change });
        Ok(())
    }
}
