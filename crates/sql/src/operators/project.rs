//! `SELECT`: the columns of the result.

use super::evaluator::Evaluator;
use super::{Change, Context, Operator, OperatorError, ProcessingLog, Row};

/// Computes a new row of each row. A row that is gone stays gone.
pub struct Project {
    /// The columns of the new row.
    pub columns: Vec<Evaluator>,
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
        let (new, old) = (self.row(change.new.as_ref(), context.log), self.row(change.old.as_ref(), context.log));
        output.push(Change { new, old, ..change });
        Ok(())
    }
}
