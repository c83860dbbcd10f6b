//! `PARTITION BY`, and the new keys of streams before joins.

use super::evaluator::Evaluator;
use super::{Change, Context, Key, Operator, OperatorError, Row};
use crate::value::Value;

/// Gives each row of a stream a new key.
pub struct Repartition {
    /// The columns of the new key; none for no key.
    pub key: Vec<Evaluator>,
    /// Whether the key columns are appended to the row: those that are no columns of it yet.
    pub append: Vec<bool>,
    /// Where rows hold the columns of the old key: of a record with a null value there is nothing else.
    pub old_key: Vec<Option<usize>>,
    /// How many columns rows have.
    pub width: usize,
}

impl Repartition {
    /// A row of nothing but the key.
    fn key_row(&self, key: &Key) -> Row {
        let mut row = vec![Value::Null; self.width];
        for (position, value) in self.old_key.iter().zip(key.columns.as_deref().unwrap_or_default()) {
            if let Some(position) = position {
                row[*position] = value.clone();
            }
        }
        row.into()
    }

    /// Whether a column of the new key can be computed from the old key alone.
    fn is_of_key(&self, column: &Evaluator) -> bool {
        column.reads().is_some_and(|reads| reads.iter().all(|position| self.old_key.contains(&Some(*position))))
    }

    /// The new key. Of a record with a null value only what is of the old key has a value.
    fn new_key(&self, change: &Change, context: &Context<'_>) -> Row {
        let Some(row) = &change.new else {
            let row = self.key_row(&change.key);
            let value = |column: &Evaluator| match self.is_of_key(column) {
                true => column.value(&row, context.log),
                false => Value::Null,
            };
            return self.key.iter().map(value).collect();
        };
        self.key.iter().map(|column| column.value(row, context.log)).collect()
    }
}

impl Operator for Repartition {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let key = self.new_key(&change, context);
        let appended = || key.iter().zip(&self.append).filter(|(_, append)| **append).map(|(value, _)| value.clone());
        let with_key = |row: Row| -> Row {
            if self.append.contains(&true) { row.iter().cloned().chain(appended()).collect() } else { row }
        };
        let new = change.new.map(with_key);
        let key = if key.is_empty() { Key { columns: None, window: None } } else { Key::of(key) };
        output.push(Change { key, new, old: None, ..change });
        Ok(())
    }
}
