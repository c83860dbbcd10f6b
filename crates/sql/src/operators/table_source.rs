//! Records of a table's topic as changes of its rows.

use super::{Change, Context, Operator, OperatorError, Row};
use crate::state::StateStore;
use crate::state::codec;

/// Remembers the row of each key, so that a change can tell the row before.
pub struct TableSource {
    /// The rows.
    pub store: Box<dyn StateStore>,
    /// Whether keys have session windows.
    pub session: bool,
}

impl Operator for TableSource {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        if change.key.is_null() {
            context.log.record("table", "Skipping record due to null key");
            return Ok(());
        }
        let key = change.key.bytes(self.session);
        let old = self.store.get(&key)?.map(|bytes| read_row(&bytes)).transpose()?;
        match &change.new {
            Some(row) => self.store.put(&key, &row_bytes(row))?,
            None => self.store.delete(&key)?,
        }
        output.push(Change { old, ..change });
        Ok(())
    }
}

/// A row as stores hold it.
pub(super) fn row_bytes(row: &[crate::value::Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::write_values(row, &mut bytes);
    bytes
}

/// A row that a store held.
pub(crate) fn read_row(bytes: &[u8]) -> Result<Row, OperatorError> {
    codec::read_values(&mut &bytes[..]).map(Row::from).ok_or(OperatorError::Corrupt("row"))
}

/// A row with its timestamp as stores hold it.
pub(super) fn timed_row_bytes(timestamp: i64, row: &[crate::value::Value]) -> Vec<u8> {
    let mut bytes = codec::time_bytes(timestamp).to_vec();
    codec::write_values(row, &mut bytes);
    bytes
}

/// A row with its timestamp that a store held.
pub(crate) fn read_timed_row(mut bytes: &[u8]) -> Result<(i64, Row), OperatorError> {
    let timestamp = codec::read_time(&mut bytes).ok_or(OperatorError::Corrupt("row"))?;
    Ok((timestamp, read_row(bytes)?))
}
