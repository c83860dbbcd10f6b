//! Foreign-key joins over partitions, in three steps: rows of the left are numbered and sent to where the row of the right is
//! that they name ([`Subscribe`]), joined there with what it is and becomes ([`SubscriptionJoin`]), and sent back to where the
//! left's row is, where only results of its latest number count ([`LatestResult`]).
//!
//! Between the steps rows have columns more than they seem: the number, and of rows of the left whether it is told when there
//! is no result: of a new row it is not. A change has only one row there, the new one or the one that is gone.

use super::evaluator::Evaluator;
use super::key_order::KeyOrder;
use super::retention::{DELETED_TOGETHER, Retention};
use super::stream_table_join::joined;
use super::table_source::{read_row, read_timed_row, row_bytes, timed_row_bytes};
use super::{Change, Context, Key, Operator, OperatorError, Row};
use crate::state::{StateStore, codec, entries, prefix_end};
use crate::value::Value;

/// The input of [`SubscriptionJoin`] with rows of the left.
const LEFT: usize = 0;

/// The row with columns more.
fn with(row: &[Value], more: impl IntoIterator<Item = Value>) -> Row {
    row.iter().cloned().chain(more).collect()
}

/// Numbers rows of the left. Numbers of one partition only grow.
pub struct Subscribe {
    /// The foreign key, over rows of the left.
    pub foreign_key: Evaluator,
    /// Whether rows without foreign key stay.
    pub outer: bool,
    /// The last number, at the empty key.
    pub numbers: Box<dyn StateStore>,
}

impl Subscribe {
    fn next_number(&mut self) -> Result<i64, OperatorError> {
        let last = self.numbers.get(&[])?.and_then(|bytes| codec::read_time(&mut &bytes[..])).unwrap_or(0);
        self.numbers.put(&[], &codec::time_bytes(last + 1))?;
        Ok(last + 1)
    }
}

impl Operator for Subscribe {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        if change.key.is_null() || (change.new.is_none() && change.old.is_none()) {
            return Ok(());
        }
        let key_of = |row: &Option<Row>| row.as_ref().map(|row| self.foreign_key.value(row, context.log));
        let (old_key, new_key) = (key_of(&change.old), key_of(&change.new));
        let names = |key: &Option<Value>| key.as_ref().is_some_and(|key| !key.is_null());
        let (was_there, is_there) = (names(&old_key) || self.outer, names(&new_key) || self.outer);
        if !was_there && !is_there {
            return Ok(());
        }
        let number = Value::Bigint(self.next_number()?);
        let told = |row: &Row, tells: bool| with(row, [number.clone(), Value::Boolean(tells)]);
        let new = change.new.as_ref().filter(|_| is_there);
        if let Some(old) = change.old.as_ref().filter(|_| was_there && old_key != new_key) {
            // Where the row was it is forgotten; the result is told there only when there is no other place for that.
            output.push(change.with_row(None, Some(told(old, new.is_none()))));
        }
        if let Some(new) = new {
            let had_result = was_there && change.old.is_some();
            output.push(change.with_row(Some(told(new, had_result)), None));
        }
        Ok(())
    }
}

/// Joins numbered rows of the left with rows of the right; input 0 is the left. The key of what comes out is the left's.
pub struct SubscriptionJoin {
    /// The foreign key, over rows of the left.
    pub foreign_key: Evaluator,
    /// Numbered rows of the left, by foreign key and key of the left.
    pub subscriptions: Box<dyn StateStore>,
    /// Of the keys of the left.
    pub order: KeyOrder,
    /// Rows of the right with their timestamps.
    pub right: Box<dyn StateStore>,
    /// How many columns the sides have.
    pub widths: [usize; 2],
    /// Whether rows of the left stay without a partner.
    pub outer: bool,
}

impl SubscriptionJoin {
    /// The result for a numbered row of the left, with its number as the last column: a change like `cause`, with the key of
    /// the left. When there is none, whether that is told stands before the number in the old row.
    fn result(&self, key: Key, cause: &Change, left: &[Value], right: Option<&Row>, tells: bool) -> Change {
        let (row, number) = left.split_at(self.widths[0].min(left.len()));
        let number = number.first().cloned();
        let stays = right.is_some() || self.outer;
        let new =
            stays.then(|| with(&joined(Some(&row.into()), self.widths[0], right, self.widths[1]), number.clone()));
        let old = if stays { None } else { Some(with(&[Value::Boolean(tells)], number)) };
        Change { key, new, old, timestamp: cause.timestamp, headers: cause.headers.clone() }
    }

    fn gone(change: &Change, old: &[Value], width: usize) -> Change {
        let number = old.get(width).cloned();
        change.with_row(None, Some(with(&[Value::Boolean(true)], number)))
    }

    fn left_changed(
        &mut self,
        mut change: Change,
        context: &Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let width = self.widths[0];
        let row = change.new.as_ref().or(change.old.as_ref());
        let Some(row) = row.filter(|row| row.len() == width + 2).cloned() else {
            return Err(OperatorError::Corrupt("foreign key join"));
        };
        let tells = matches!(row.last(), Some(Value::Boolean(true)));
        let foreign_key = self.foreign_key.value(&row, context.log);
        let mut partner = None;
        if !foreign_key.is_null() {
            let subscription = subscription(&foreign_key, &change.key, &self.order);
            match &change.new {
                Some(new) => self.subscriptions.put(&subscription, &row_bytes(new))?,
                None => self.subscriptions.delete(&subscription)?,
            }
            let found = self.right.get(&Key::plain(vec![foreign_key]).bytes(false))?;
            partner = found.map(|bytes| read_timed_row(&bytes)).transpose()?;
        }
        // Without foreign key there is no partner, wherever the row was sent.
        if let Some((timestamp, _)) = &partner {
            change.timestamp = change.timestamp.max(*timestamp);
        }
        if change.new.is_some() {
            let partner = partner.as_ref().map(|(_, row)| row);
            output.push(self.result(change.key.clone(), &change, &row, partner, tells));
        } else if tells {
            output.push(Self::gone(&change, &row, width));
        }
        Ok(())
    }

    /// The results have the time of the right, also where the left is later.
    fn right_changed(&mut self, change: &Change, output: &mut Vec<Change>) -> Result<(), OperatorError> {
        let key = change.key.bytes(false);
        match &change.new {
            Some(row) => self.right.put(&key, &timed_row_bytes(change.timestamp, row))?,
            None => self.right.delete(&key)?,
        }
        let Some([foreign_key]) = change.key.columns.as_deref() else { return Ok(()) };
        for (key, left) in subscribers(self.subscriptions.as_ref(), foreign_key)? {
            output.push(self.result(key, change, &left, change.new.as_ref(), true));
        }
        Ok(())
    }
}

/// Under what a row of the left is found by its foreign key.
fn subscription(foreign_key: &Value, key: &Key, order: &KeyOrder) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::write_value(foreign_key, &mut bytes);
    bytes.extend(order.bytes(key));
    bytes
}

/// The keys of the left with this foreign key, and their rows.
fn subscribers(subscriptions: &dyn StateStore, foreign_key: &Value) -> Result<Vec<(Key, Row)>, OperatorError> {
    let mut prefix = Vec::new();
    codec::write_value(foreign_key, &mut prefix);
    let entries = entries(subscriptions, &prefix, &prefix_end(&prefix))?;
    let subscriber = |(entry, row): (Vec<u8>, Vec<u8>)| {
        let columns = KeyOrder::key(&entry[prefix.len()..]).and_then(|mut key| codec::read_values(&mut key));
        Ok((Key::plain(columns.ok_or(OperatorError::Corrupt("foreign key join"))?), read_row(&row)?))
    };
    entries.into_iter().map(subscriber).collect()
}

impl Operator for SubscriptionJoin {
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
        if input == LEFT { self.left_changed(change, context, output) } else { self.right_changed(&change, output) }
    }
}

/// How long the number of a row without result is known, in milliseconds of the clock: until then a place that the row has
/// left may be late with a result. No partition of a query stands still for longer while the others go on.
const NUMBER_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Lets through the results of the latest number of each row of the left.
pub struct LatestResult {
    /// The number with the result, by the left's key. The number outlives the result: results of older numbers may still
    /// come. Beside that, what the retention lists.
    results: Box<dyn StateStore>,
    /// Of numbers without result: a list of keys, each with the number.
    retention: Retention,
}

impl LatestResult {
    /// With a store for the results.
    pub fn new(results: Box<dyn StateStore>) -> LatestResult {
        LatestResult { results, retention: Retention::new(NUMBER_KEPT_MS) }
    }

    /// Forgets some of the numbers that have been without result for long enough.
    fn sweep(&mut self) -> Result<(), OperatorError> {
        for _ in 0..DELETED_TOGETHER {
            let Some(due) = self.retention.due(self.results.as_ref(), i64::MAX)? else { break };
            let (key, number) = due.owner.split_last_chunk().ok_or(OperatorError::Corrupt("foreign key join"))?;
            let without_result = row_bytes(&[Value::Bigint(i64::from_be_bytes(*number))]);
            if self.results.get(key)?.is_some_and(|known| known == without_result) {
                self.results.delete(key)?;
            }
            self.retention.done(self.results.as_mut())?;
        }
        Ok(())
    }
}

impl Operator for LatestResult {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        self.retention.advance(context.wall_clock_ms);
        self.sweep()?;
        let corrupt = || OperatorError::Corrupt("foreign key join");
        let numbered = change.new.as_ref().or(change.old.as_ref()).ok_or_else(corrupt)?;
        let Some((Value::Bigint(number), row)) = numbered.split_last() else { return Err(corrupt()) };
        let key = change.key.bytes(false);
        let known = self.results.get(&key)?.map(|bytes| read_row(&bytes)).transpose()?;
        let (known_number, old) = match known.as_deref().and_then(<[Value]>::split_last) {
            Some((Value::Bigint(number), row)) => (*number, (!row.is_empty()).then(|| Row::from(row))),
            _ => (0, None),
        };
        if *number < known_number {
            return Ok(());
        }
        let new = change.new.is_some().then(|| Row::from(row));
        let kept = with(new.as_deref().unwrap_or_default(), [Value::Bigint(*number)]);
        self.results.put(&key, &row_bytes(&kept))?;
        if new.is_none() {
            let owner = [&key[..], &number.to_be_bytes()].concat();
            self.retention.list(self.results.as_mut(), context.wall_clock_ms, &owner)?;
        }
        let told = new.is_none() && matches!(row, [Value::Boolean(true)]);
        if new.is_some() || old.is_some() || told {
            output.push(change.with_row(new, old));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Field, Format};
    use crate::operators::NoLog;
    use crate::state::MemoryStateStore;
    use crate::types::SqlType;

    fn foreign_key() -> Evaluator {
        Evaluator::column(0, SqlType::String, "R")
    }

    fn subscribe(outer: bool) -> Subscribe {
        Subscribe { foreign_key: foreign_key(), outer, numbers: Box::new(MemoryStateStore::default()) }
    }

    /// Where the rows of one foreign key are.
    fn place(outer: bool) -> SubscriptionJoin {
        SubscriptionJoin {
            foreign_key: foreign_key(),
            subscriptions: Box::new(MemoryStateStore::default()),
            order: KeyOrder::new(Format::Kafka, vec![Field { name: "L".into(), field_type: SqlType::String }], false),
            right: Box::new(MemoryStateStore::default()),
            widths: [1, 1],
            outer,
        }
    }

    fn latest() -> LatestResult {
        LatestResult::new(Box::new(MemoryStateStore::default()))
    }

    fn text(value: Option<&str>) -> Row {
        vec![value.map_or(Value::Null, Value::string)].into()
    }

    fn change(key: &str, new: Option<Row>, old: Option<Row>) -> Change {
        Change { key: Key::plain(vec![Value::string(key)]), new, old, timestamp: 1, headers: [].into() }
    }

    fn run(operator: &mut dyn Operator, input: usize, change: Change) -> Vec<Change> {
        run_at(0, operator, input, change)
    }

    fn run_at(wall_clock_ms: i64, operator: &mut dyn Operator, input: usize, change: Change) -> Vec<Change> {
        let mut output = Vec::new();
        let mut context = Context { log: &NoLog, wall_clock_ms };
        operator.process(input, change, &mut context, &mut output).unwrap();
        output
    }

    #[test]
    fn a_late_result_of_an_older_row_changes_nothing() {
        let (mut left, mut a, mut b, mut end) = (subscribe(false), place(false), place(false), latest());
        run(&mut a, 1, change("a", Some(text(Some("of a"))), None));
        run(&mut b, 1, change("b", Some(text(Some("of b"))), None));
        let first = run(&mut left, 0, change("k", Some(text(Some("a"))), None));
        let late = run(&mut a, LEFT, first[0].clone());
        let moved = run(&mut left, 0, change("k", Some(text(Some("b"))), Some(text(Some("a")))));
        assert_eq!(moved.len(), 2, "one for the place before, one for the place now");
        let now = run(&mut b, LEFT, moved[1].clone());
        assert!(run(&mut a, LEFT, moved[0].clone()).is_empty());
        assert!(run(&mut a, 1, change("a", Some(text(Some("more of a"))), None)).is_empty());

        let out = run(&mut end, 0, now[0].clone());
        assert_eq!(out[0].new.as_deref(), Some(&[Value::string("b"), Value::string("of b")][..]));
        assert!(run(&mut end, 0, late[0].clone()).is_empty());
    }

    #[test]
    fn the_right_reaches_all_rows_that_name_it_and_deletion_takes_the_result_back() {
        let (mut left, mut place, mut end) = (subscribe(false), place(false), latest());
        let sent = run(&mut left, 0, change("k", Some(text(Some("a"))), None));
        let told = run(&mut place, LEFT, sent[0].clone());
        assert!(run(&mut end, 0, told[0].clone()).is_empty(), "no partner yet, and nothing to take back");
        let told = run(&mut place, 1, change("a", Some(text(Some("v"))), None));
        assert!(run(&mut end, 0, told[0].clone())[0].new.is_some());
        let sent = run(&mut left, 0, change("k", None, Some(text(Some("a")))));
        let told = run(&mut place, LEFT, sent[0].clone());
        let out = run(&mut end, 0, told[0].clone());
        assert_eq!((out[0].new.clone(), out[0].old.as_ref().map(|row| row.len())), (None, Some(2)));
    }

    #[test]
    fn what_had_no_result_is_told_again_when_the_row_was_there_before() {
        let (mut left, mut place, mut end) = (subscribe(false), place(false), latest());
        let mut feed = |new: Option<&str>, old: Option<&str>| -> Vec<bool> {
            let row = |key: Option<&str>| key.map(|key| text(Some(key)));
            let sent = run(&mut left, 0, change("k", row(new), row(old)));
            let told: Vec<_> = sent.into_iter().flat_map(|sent| run(&mut place, LEFT, sent)).collect();
            let out = told.into_iter().flat_map(|told| run(&mut end, 0, told));
            out.map(|change| change.new.is_some()).collect()
        };
        assert_eq!(feed(Some("a"), None), [false; 0]);
        assert_eq!(feed(Some("b"), Some("a")), [false]);
        assert_eq!(feed(None, Some("b")), [false]);
    }

    #[test]
    fn nothing_stays_of_deleted_rows_in_the_end() {
        let mut end = latest();
        let result = |key: &str, number: i64, stays: bool| {
            let row: Row = vec![Value::string("a"), Value::Bigint(number)].into();
            let number: Row = vec![Value::Bigint(number)].into();
            if stays { change(key, Some(row), None) } else { change(key, None, Some(number)) }
        };
        for (number, key) in (1..).zip(["gone", "again"]) {
            run(&mut end, 0, result(key, number, true));
            run(&mut end, 0, result(key, number + 10, false));
            assert!(run(&mut end, 0, result(key, number, true)).is_empty(), "the number is known still");
        }
        run(&mut end, 0, result("again", 20, true));
        let known = |end: &LatestResult| entries(end.results.as_ref(), b"", b"\xff").unwrap().len();
        assert_eq!(known(&end), 4, "two keys, each listed");
        run_at(9 * NUMBER_KEPT_MS / 8, &mut end, 0, result("other", 30, true));
        assert_eq!(known(&end), 2, "what has come again, and the other");
        assert_eq!(run(&mut end, 0, result("again", 21, false)).len(), 1);
    }

    #[test]
    fn rows_without_foreign_key_stay_only_in_left_joins() {
        assert!(run(&mut subscribe(false), 0, change("k", Some(text(None)), None)).is_empty());
        let sent = run(&mut subscribe(true), 0, change("k", Some(text(None)), None));
        let told = run(&mut place(true), LEFT, sent[0].clone());
        let out = run(&mut latest(), 0, told[0].clone());
        assert_eq!(out[0].new.as_deref(), Some(&[Value::Null, Value::Null][..]));
    }
}
