//! The key of a join as a column, where no column of either side is the key.

use super::{Change, Context, Operator, OperatorError, Row};
use crate::value::Value;

/// Puts the column of the key into rows.
pub struct AppendKey {
    /// Which column it replaces; none to append it.
    pub at: Option<usize>,
}

impl AppendKey {
    fn row(&self, row: &Row, key: &[Value]) -> Row {
        let Some(at) = self.at else { return row.iter().chain(key).cloned().collect() };
        let columns = row.iter().enumerate();
        columns.map(|(position, value)| key.first().filter(|_| position == at).unwrap_or(value).clone()).collect()
    }
}

impl Operator for AppendKey {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        _context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let key = change.key.columns.as_deref().unwrap_or_default();
        let with_key = |row: &Row| self.row(row, key);
        let (new, old) = (change.new.as_ref().map(with_key), change.old.as_ref().map(with_key));
        output.push(Change { new, old, ..change });
        Ok(())
    }
}
