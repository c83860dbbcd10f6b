//! The rows of a table's result, kept for readers.

use super::table_source::timed_row_bytes;
use super::{Change, Context, Operator, OperatorError};
use crate::state::StateStore;

/// Lets every change pass, and holds the newest row of each key with its time.
pub struct Keep {
    /// The rows.
    pub store: Box<dyn StateStore>,
    /// Whether keys have session windows.
    pub session: bool,
}

impl Operator for Keep {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        _context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let key = change.key.bytes(self.session);
        match &change.new {
            Some(row) => self.store.put(&key, &timed_row_bytes(change.timestamp, row))?,
            None => self.store.delete(&key)?,
        }
        output.push(change);
        Ok(())
    }
}
