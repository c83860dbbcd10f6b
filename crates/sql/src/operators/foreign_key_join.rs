//! Table-table joins where a column of the left is the primary key of the right.
//!
//! Rows of the left are found again by their foreign key, so that a change of the right reaches all of them.

use super::evaluator::Evaluator;
use super::stream_table_join::joined;
use super::subscription::{subscribers, subscription};
use super::table_source::{read_timed_row, timed_row_bytes};
use super::{Change, Context, Key, Operator, OperatorError, ProcessingLog, Row};
use crate::state::StateStore;
use crate::value::Value;

/// The join; input 0 is the left side.
pub struct ForeignKeyJoin {
    /// The foreign key, over rows of the left.
    pub foreign_key: Evaluator,
    /// Rows of the left by primary key.
    pub left: Box<dyn StateStore>,
    /// Primary keys of the left by foreign key.
    pub subscriptions: Box<dyn StateStore>,
    /// Rows of the right by primary key.
    pub right: Box<dyn StateStore>,
    /// How many columns the sides have.
    pub widths: [usize; 2],
    /// Whether rows of the left stay without a partner.
    pub outer: bool,
}

impl ForeignKeyJoin {
    fn foreign_key(&self, row: Option<&Row>, log: &dyn ProcessingLog) -> Option<Value> {
        row.map(|row| self.foreign_key.value(row, log)).filter(|key| !key.is_null())
    }

    fn partner(&self, foreign_key: Option<&Value>) -> Result<Option<(i64, Row)>, OperatorError> {
        let Some(foreign_key) = foreign_key else { return Ok(None) };
        let key = Key::plain(vec![foreign_key.clone()]).bytes(false);
        self.right.get(&key)?.map(|bytes| read_timed_row(&bytes)).transpose()
    }

    fn row(&self, left: Option<&Row>, right: Option<&Row>) -> Option<Row> {
        left?;
        (right.is_some() || self.outer).then(|| joined(left, self.widths[0], right, self.widths[1]))
    }

    fn left_changed(
        &mut self,
        change: Change,
        context: &Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let key = change.key.bytes(false);
        let old_key = self.foreign_key(change.old.as_ref(), context.log);
        let new_key = self.foreign_key(change.new.as_ref(), context.log);
        match &change.new {
            Some(row) => self.left.put(&key, &timed_row_bytes(change.timestamp, row))?,
            None => self.left.delete(&key)?,
        }
        if old_key != new_key {
            if let Some(foreign_key) = &old_key {
                self.subscriptions.delete(&subscription(foreign_key, &change.key))?;
            }
            if let Some(foreign_key) = &new_key {
                self.subscriptions.put(&subscription(foreign_key, &change.key), &[])?;
            }
        }
        // An inner join knows no rows without foreign key.
        if !self.outer && new_key.is_none() && old_key.is_none() {
            return Ok(());
        }
        let partner = self.partner(new_key.as_ref())?;
        let old_partner = self.partner(old_key.as_ref())?;
        let new = self.row(change.new.as_ref(), partner.as_ref().map(|(_, row)| row));
        let old = self.row(change.old.as_ref(), old_partner.as_ref().map(|(_, row)| row));
        // What the row before brought is taken back, whether it brought anything or not.
        if new.is_some() || change.old.is_some() {
            let timestamp = partner.map_or(change.timestamp, |(timestamp, _)| timestamp.max(change.timestamp));
            output.push(Change { timestamp, ..change.with_row(new, old) });
        }
        Ok(())
    }

    fn right_changed(&mut self, change: Change, output: &mut Vec<Change>) -> Result<(), OperatorError> {
        let key = change.key.bytes(false);
        match &change.new {
            Some(row) => self.right.put(&key, &timed_row_bytes(change.timestamp, row))?,
            None => self.right.delete(&key)?,
        }
        let Some([foreign_key]) = change.key.columns.as_deref() else { return Ok(()) };
        for (key, _) in subscribers(self.subscriptions.as_ref(), foreign_key)? {
            let Some(left) = self.left.get(&key.bytes(false))? else { continue };
            let (timestamp, left) = read_timed_row(&left)?;
            let new = self.row(Some(&left), change.new.as_ref());
            let old = self.row(Some(&left), change.old.as_ref());
            let timestamp = timestamp.max(change.timestamp);
            output.push(Change { key, new, old, timestamp, headers: change.headers.clone() });
        }
        Ok(())
    }
}

impl Operator for ForeignKeyJoin {
    fn process(
        &mut self,
        input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        if change.key.is_null() {
            return Ok(());
        }
        if input == 0 { self.left_changed(change, context, output) } else { self.right_changed(change, output) }
    }
}
