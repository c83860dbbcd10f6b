//! Table-table joins on the primary keys of both sides.

use super::stream_table_join::joined;
use super::table_source::{read_timed_row, timed_row_bytes};
use super::{Change, Context, Operator, OperatorError, Row};
use crate::state::StateStore;

/// One side of a join.
pub struct TableSide {
    /// Its rows with their timestamps.
    pub store: Box<dyn StateStore>,
    /// How many columns it has.
    pub width: usize,
    /// Whether its rows stay without a partner.
    pub outer: bool,
}

/// The join; input 0 is the left side.
pub struct TableJoin {
    /// Left and right.
    pub sides: [TableSide; 2],
    /// Whether keys have session windows.
    pub session: bool,
}

impl TableJoin {
    fn row(&self, input: usize, own: Option<&Row>, partner: Option<&Row>) -> Option<Row> {
        let [left, right] = &self.sides;
        match (own, partner) {
            (None, None) => return None,
            (Some(_), None) if !self.sides[input].outer => return None,
            (None, Some(_)) if !self.sides[1 - input].outer => return None,
            _ => {}
        }
        let (one, other) = if input == 0 { (own, partner) } else { (partner, own) };
        Some(joined(one, left.width, other, right.width))
    }
}

impl Operator for TableJoin {
    fn process(
        &mut self,
        input: usize,
        change: Change,
        _context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        if change.key.is_null() {
            return Ok(());
        }
        let key = change.key.bytes(self.session);
        match &change.new {
            Some(row) => self.sides[input].store.put(&key, &timed_row_bytes(change.timestamp, row))?,
            None => self.sides[input].store.delete(&key)?,
        }
        let partner = self.sides[1 - input].store.get(&key)?.map(|bytes| read_timed_row(&bytes)).transpose()?;
        let timestamp = partner.as_ref().map_or(change.timestamp, |(timestamp, _)| change.timestamp.max(*timestamp));
        let partner = partner.as_ref().map(|(_, row)| row);
        let new = self.row(input, change.new.as_ref(), partner);
        let old = self.row(input, change.old.as_ref(), partner);
        // A partner hears of every change, also of one that takes back what was never there.
        let lone = self.sides[input].outer && (change.new.is_some() || change.old.is_some());
        if partner.is_some() || lone {
            output.push(Change { timestamp, ..change.with_row(new, old) });
        }
        Ok(())
    }
}
