//! Stream-table joins: each row of the stream meets the table's row of its key as it is at that moment.

use super::table_source::row_bytes;
use super::{Change, Context, Operator, OperatorError, Row};
use crate::state::{StateStore, codec};
use crate::value::Value;

/// The input with the stream.
pub const STREAM: usize = 0;

/// The join.
pub struct StreamTableJoin {
    /// The rows of the table.
    pub store: Box<dyn StateStore>,
    /// Whether rows of the stream without a partner stay.
    pub left: bool,
    /// How many columns the table has.
    pub table_width: usize,
    /// Which of them are read behind the join, where that is known.
    pub table_wanted: Option<Vec<bool>>,
    /// Whether keys have session windows.
    pub session: bool,
}

impl Operator for StreamTableJoin {
    fn process(
        &mut self,
        input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let key = change.key.bytes(self.session);
        if input != STREAM {
            if change.key.is_null() {
                context.log.record("table", "Skipping record due to null key");
                return Ok(());
            }
            match &change.new {
                Some(row) => self.store.put(&key, &row_bytes(row))?,
                None => self.store.delete(&key)?,
            }
            return Ok(());
        }
        let Some(row) = &change.new else { return Ok(()) };
        let partner = if change.key.is_null() { None } else { self.store.get(&key)? };
        let joined = match partner {
            Some(bytes) => self.with_partner(row, &bytes)?,
            None if self.left => joined(Some(row), row.len(), None, self.table_width),
            None => return Ok(()),
        };
        output.push(Change { new: Some(joined), old: None, ..change });
        Ok(())
    }
}

impl StreamTableJoin {
    /// The row of the stream beside a row that the store held.
    fn with_partner(&self, row: &Row, mut partner: &[u8]) -> Result<Row, OperatorError> {
        let mut joined: Vec<Value> = Vec::with_capacity(row.len() + self.table_width);
        joined.extend(row.iter().cloned());
        match codec::append_values(&mut partner, self.table_wanted.as_deref(), &mut joined) {
            true => Ok(joined.into()),
            false => Err(OperatorError::Corrupt("stream table join")),
        }
    }
}

/// The columns of both sides, null where a side has no row.
pub(super) fn joined(left: Option<&Row>, left_width: usize, right: Option<&Row>, right_width: usize) -> Row {
    let mut row: Vec<Value> = Vec::with_capacity(left_width + right_width);
    match left {
        Some(left) => row.extend(left.iter().cloned()),
        None => row.resize(left_width, Value::Null),
    }
    match right {
        Some(right) => row.extend(right.iter().cloned()),
        None => row.resize(left_width + right_width, Value::Null),
    }
    row.into()
}
