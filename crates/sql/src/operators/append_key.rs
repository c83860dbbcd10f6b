//! The key of a join as a column, where no column of either side is the key.

use super::{Change, Context, Operator, OperatorError, Row};

/// Appends the columns of the key to rows.
pub struct AppendKey;

impl Operator for AppendKey {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        _context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let key = change.key.columns.as_deref().unwrap_or_default();
        let appended = |row: &Row| -> Row { row.iter().chain(key).cloned().collect() };
        let (new, old) = (change.new.as_ref().map(appended), change.old.as_ref().map(appended));
        output.push(Change { new, old, ..change });
        Ok(())
    }
}
