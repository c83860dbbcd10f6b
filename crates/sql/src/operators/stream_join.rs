//! Stream-stream joins: rows of both sides meet when their times are close enough.
//!
//! Without a grace period the lone rows of outer joins come out at once, and again with each partner that comes later
//! (what users of older versions know). With one they come out when no partner can come any more. Rows of a side are deleted
//! when there are later ones of the same side by the retention: late rows of both sides still meet.

use std::ops::ControlFlow;

use super::key_order::KeyOrder;
use super::retention::{DELETED_TOGETHER, Retention, delete_range};
use super::stream_table_join::joined;
use super::stream_time::StreamTime;
use super::table_source::{read_row, row_bytes};
use super::{Change, Context, Key, Operator, OperatorError, Row, WindowBounds};
use crate::state::{Entry, StateStore, codec, entries};

/// The input with the left side.
const LEFT: usize = 0;
/// Lone rows that come out with one record, and those that are looked at.
const DUE_TOGETHER: usize = 1_000;
const LOOKED_AT_TOGETHER: usize = 10_000;

/// One side of the join.
pub struct StreamSide {
    /// Rows by key, then by time and number. Beside that, what the retention lists, and the time of the side's rows; of the
    /// left also the time of all records.
    pub store: Box<dyn StateStore>,
    /// How many columns it has.
    pub width: usize,
    /// Whether its rows stay without a partner.
    pub outer: bool,
    /// How much earlier than a row its partner may be.
    pub before_ms: i64,
    /// How much later than a row its partner may be.
    pub after_ms: i64,
}

/// The join; input 0 is the left side.
pub struct StreamJoin {
    sides: [StreamSide; 2],
    /// Rows that wait for a partner; none when lone rows come out at once.
    lone: Option<LoneRows>,
    /// Of the rows of each side.
    retention: [Retention; 2],
    grace_ms: i64,
    session: bool,
    /// Of the records of both sides.
    stream_time: StreamTime,
    /// Of the rows of each side.
    side_times: [StreamTime; 2],
    next_number: u64,
}

/// Rows that wait for a partner until none can come.
pub struct LoneRows {
    /// The rows by time, side (the right before the left) and key.
    store: Box<dyn StateStore>,
    order: KeyOrder,
    /// The time of the row that was looked at last, or of an earlier one that came since: the rows are looked at again when
    /// that one is due, not when the first of them is. None when there are no rows.
    from: Option<i64>,
    /// No row is earlier.
    first: i64,
    /// Where the next look begins when the last one ended early, so that rows behind many open ones have their turn.
    resume: Option<Vec<u8>>,
    /// How much time of the clock passes between two looks, in milliseconds.
    interval_ms: i64,
    next_look_ms: Option<i64>,
}

/// A row that has waited in vain.
struct Due {
    timestamp: i64,
    input: usize,
    key: Key,
    row: Row,
}

impl LoneRows {
    /// The rows in `store`, those of the same time in `order`.
    pub fn new(store: Box<dyn StateStore>, order: KeyOrder, interval_ms: i64) -> LoneRows {
        LoneRows { store, order, from: None, first: i64::MIN, resume: None, interval_ms, next_look_ms: None }
    }

    fn entry(&self, timestamp: i64, input: usize, key: &Key) -> Vec<u8> {
        let mut bytes = codec::time_bytes(timestamp).to_vec();
        bytes.push(u8::from(input == LEFT));
        bytes.extend(self.order.bytes(key));
        bytes
    }

    fn put(&mut self, timestamp: i64, input: usize, key: &Key, row: &Row) -> Result<(), OperatorError> {
        let entry = self.entry(timestamp, input, key);
        let end = key.window.map_or(0, |window| window.end);
        let mut value = self.store.get(&entry)?.unwrap_or_else(|| codec::time_bytes(end).to_vec());
        codec::write_values(row, &mut value);
        self.store.put(&entry, &value)?;
        self.from = Some(self.from.map_or(timestamp, |from| from.min(timestamp)));
        self.first = self.first.min(timestamp);
        Ok(())
    }

    fn remove(&mut self, timestamp: i64, input: usize, key: &Key) -> Result<(), OperatorError> {
        let entry = self.entry(timestamp, input, key);
        Ok(self.store.delete(&entry)?)
    }

    /// Whether a record of a side whose rows wait for `wait_ms` is the time to look for rows that are due.
    fn looks(&mut self, wait_ms: i64, stream_time: i64, wall_clock_ms: i64) -> bool {
        let may_be_due = match self.from {
            Some(from) => from.saturating_add(wait_ms) < stream_time,
            // Also a look at nothing puts the next one off.
            None => wait_ms > 0,
        };
        if !may_be_due || wall_clock_ms < *self.next_look_ms.get_or_insert(wall_clock_ms) {
            return false;
        }
        self.next_look_ms = Some(wall_clock_ms.saturating_add(self.interval_ms));
        true
    }

    /// Takes out the rows that are due; those of each side wait for so long. Where there are many the next look is soon.
    fn take_due(&mut self, waits_ms: [i64; 2], stream_time: i64) -> Result<Vec<Due>, OperatorError> {
        let mut is_open = [false; 2];
        let (mut found, mut last, mut looked_at) = (Vec::new(), None, 0);
        // Rows before the place where this look begins are open.
        let start = self.resume.take();
        let resumed = start.is_some();
        let mut first_open = if resumed { self.first } else { i64::MAX };
        let start = start.unwrap_or_else(|| codec::time_bytes(self.first).to_vec());
        let resume = &mut self.resume;
        self.store.scan(&start, &[u8::MAX; 9], &mut |entry, value| {
            let time = codec::read_time(&mut &entry[..]).unwrap_or(i64::MIN);
            last = Some(time);
            looked_at += 1;
            if is_open == [true; 2] {
                return ControlFlow::Break(());
            }
            if found.len() == DUE_TOGETHER || looked_at > LOOKED_AT_TOGETHER {
                *resume = Some(entry.to_vec());
                return ControlFlow::Break(());
            }
            let input = if entry.get(8) == Some(&1) { LEFT } else { 1 - LEFT };
            if time.saturating_add(waits_ms[input]) < stream_time {
                found.push((entry.to_vec(), value.to_vec()));
            } else {
                is_open[input] = true;
                first_open = first_open.min(time);
            }
            ControlFlow::Continue(())
        })?;
        let ends_round = resumed && self.resume.is_none();
        let first_open = (first_open < i64::MAX).then_some(first_open);
        // At the end of a round that took several looks the next one begins with the first row again.
        self.from = if ends_round { first_open.or(last) } else { last.or(first_open) };
        // All that is earlier than what was looked at last is open or taken out.
        self.first = [last, first_open].into_iter().flatten().min().unwrap_or(i64::MAX);
        if found.len() == DUE_TOGETHER {
            self.next_look_ms = None;
        }
        let mut due = Vec::new();
        for (entry, value) in found {
            self.store.delete(&entry)?;
            read_lone(&entry, &value, &mut due).ok_or(OperatorError::Corrupt("stream join"))?;
        }
        Ok(due)
    }
}

/// The rows of an entry.
fn read_lone(mut entry: &[u8], value: &[u8], due: &mut Vec<Due>) -> Option<()> {
    let timestamp = codec::read_time(&mut entry)?;
    let (is_left, rest) = entry.split_first()?;
    let input = if *is_left == 1 { LEFT } else { 1 - LEFT };
    let mut key = KeyOrder::key(rest)?;
    let columns: Row = codec::read_values(&mut key)?.into();
    let mut rows = value;
    let end = codec::read_time(&mut rows)?;
    let window = codec::read_time(&mut key).map(|start| WindowBounds { start, end });
    while !rows.is_empty() {
        let row: Row = codec::read_values(&mut rows)?.into();
        due.push(Due { timestamp, input, key: Key { columns: Some(columns.clone()), window }, row });
    }
    Some(())
}

impl StreamJoin {
    /// Of two sides. With `lone` rows without partner wait there for `grace_ms` beyond the end of their window.
    pub fn new(sides: [StreamSide; 2], lone: Option<LoneRows>, grace_ms: i64, session: bool) -> Self {
        let retention_ms = sides[0].before_ms.saturating_add(sides[0].after_ms).saturating_add(grace_ms);
        StreamJoin {
            sides,
            lone,
            retention: [Retention::new(retention_ms), Retention::new(retention_ms)],
            grace_ms,
            session,
            stream_time: StreamTime::shared(),
            side_times: [StreamTime::new(), StreamTime::new()],
            next_number: 0,
        }
    }

    fn row(&self, input: usize, own: &Row, partner: Option<&Row>) -> Row {
        let [left, right] = &self.sides;
        let (one, other) = if input == 0 { (Some(own), partner) } else { (partner, Some(own)) };
        joined(one, left.width, other, right.width)
    }

    /// How long rows of a side wait for partners that come later.
    fn wait_ms(&self, input: usize) -> i64 {
        self.sides[input].after_ms.saturating_add(self.grace_ms)
    }

    /// Brings out the lone rows that can find no partner any more, with a record of `input`.
    fn emit_lone(
        &mut self,
        input: usize,
        headers: &super::Headers,
        wall_clock_ms: i64,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let (waits_ms, now) = ([self.wait_ms(0), self.wait_ms(1)], self.stream_time.now());
        let Some(lone) = &mut self.lone else { return Ok(()) };
        if !lone.looks(waits_ms[input], now, wall_clock_ms) {
            return Ok(());
        }
        for Due { timestamp, input, key, row } in lone.take_due(waits_ms, now)? {
            let new = Some(self.row(input, &row, None));
            output.push(Change { key, new, old: None, timestamp, headers: headers.clone() });
        }
        Ok(())
    }

    /// Deletes some of the rows that have expired.
    fn sweep(&mut self) -> Result<(), OperatorError> {
        for (side, retention) in self.sides.iter_mut().zip(&mut self.retention) {
            let mut left = DELETED_TOGETHER;
            while left > 0
                && let Some(due) = retention.due(side.store.as_ref(), i64::MAX)?
            {
                let deleted = delete_range(side.store.as_mut(), &due.keys(), left)?;
                if deleted < left {
                    retention.done(side.store.as_mut())?;
                }
                left = left.saturating_sub(deleted + 1);
            }
        }
        Ok(())
    }

    /// Keeps a row for partners that come later; not one that has expired already.
    fn keep(&mut self, input: usize, timestamp: i64, key: &[u8], row: &Row) -> Result<(), OperatorError> {
        self.side_times[input].advance(timestamp);
        self.retention[input].advance(timestamp);
        if timestamp <= self.retention[input].expired() {
            return Ok(());
        }
        let mut entry = key.to_vec();
        entry.extend(codec::time_bytes(timestamp));
        entry.extend(self.next_number.to_be_bytes());
        self.next_number += 1;
        let store = &mut self.sides[input].store;
        store.put(&entry, &row_bytes(row))?;
        self.retention[input].list(store.as_mut(), timestamp, key)?;
        Ok(())
    }

    /// The rows of the other side that are near enough to one of `input`, with their keys in the store.
    fn partners(&self, input: usize, timestamp: i64, key: &[u8]) -> Result<Vec<Entry>, OperatorError> {
        let (side, other) = (&self.sides[input], 1 - input);
        let expired = self.retention[other].expired();
        let from = timestamp.saturating_sub(side.before_ms).max(0).max(expired.saturating_add(1));
        let until = timestamp.saturating_add(side.after_ms);
        if until < from {
            return Ok(Vec::new());
        }
        let bound = |time: i64| [key, &codec::time_bytes(time)[..]].concat();
        Ok(entries(self.sides[other].store.as_ref(), &bound(from), &bound(until.saturating_add(1)))?)
    }
}

impl Operator for StreamJoin {
    fn process(
        &mut self,
        input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        if self.next_number == 0 {
            // Rows of an earlier run with the same key and time stay beside those of this one.
            self.next_number = u64::try_from(context.wall_clock_ms).unwrap_or_default() << 20;
        }
        self.stream_time.advance(change.timestamp);
        let Some(row) = change.new.clone() else { return Ok(()) };
        let other = 1 - input;
        if change.key.is_null() {
            if self.sides[input].outer {
                output.push(change.with_row(Some(self.row(input, &row, None)), None));
            }
            return Ok(());
        }
        let key = change.key.bytes(self.session);
        self.keep(input, change.timestamp, &key, &row)?;
        if change.timestamp == self.stream_time.now() {
            self.emit_lone(input, &change.headers, context.wall_clock_ms, output)?;
        }
        let partners = self.partners(input, change.timestamp, &key)?;
        for (entry, partner) in &partners {
            let time = codec::read_time(&mut &entry[key.len()..]).ok_or(OperatorError::Corrupt("stream join"))?;
            let partner = read_row(partner)?;
            let new = Some(self.row(input, &row, Some(&partner)));
            output.push(Change { timestamp: change.timestamp.max(time), ..change.with_row(new, None) });
            if let Some(lone) = &mut self.lone {
                lone.remove(time, other, &change.key)?;
            }
        }
        if partners.is_empty() && self.sides[input].outer {
            // A late row waits for nothing: the records that its partners would be had their time.
            let is_late = change.timestamp.saturating_add(self.sides[input].after_ms) < self.stream_time.now();
            match &mut self.lone {
                Some(lone) if !is_late => lone.put(change.timestamp, input, &change.key, &row)?,
                _ => output.push(change.with_row(Some(self.row(input, &row, None)), None)),
            }
        }
        self.sweep()
    }

    fn resume(&mut self) -> Result<(), OperatorError> {
        for ((side, time), retention) in self.sides.iter().zip(&mut self.side_times).zip(&mut self.retention) {
            time.restore(side.store.as_ref())?;
            retention.advance(time.now());
        }
        if let Some(lone) = &mut self.lone {
            // What waits since before the restart is looked for with the next record.
            lone.from = Some(i64::MIN);
        }
        // Records without key or value count too, which no side has kept.
        self.stream_time.restore(self.sides[LEFT].store.as_ref())
    }

    fn leave(&mut self) -> Result<(), OperatorError> {
        for (side, time) in self.sides.iter_mut().zip(&mut self.side_times) {
            time.leave(side.store.as_mut())?;
        }
        self.stream_time.leave(self.sides[LEFT].store.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{Field, Format};
    use crate::state::{MemoryStateStores, StateStores as _};
    use crate::types::SqlType;
    use crate::value::Value;

    #[test]
    fn rows_that_are_due_come_out_behind_many_that_are_open() {
        let fields = vec![Field { name: "K".into(), field_type: SqlType::Integer }];
        let store = MemoryStateStores.open("lone").unwrap();
        let mut lone = LoneRows::new(store, KeyOrder::new(Format::Kafka, fields, false), 0);
        let key = |number: i64| Key::plain(vec![Value::Bigint(number)]);
        let row: Row = vec![Value::Int(1)].into();
        let open = i64::try_from(LOOKED_AT_TOGETHER).unwrap() * 5 / 2;
        for time in 0..open {
            lone.put(time, LEFT, &key(time), &row).unwrap();
        }
        lone.put(open - 5, 1 - LEFT, &key(7), &row).unwrap();
        let waits = [2 * open, 0];
        let times = |due: Vec<Due>| due.into_iter().map(|due| (due.timestamp, due.input)).collect::<Vec<_>>();
        let mut looks = Vec::new();
        for clock in 0..4 {
            assert!(lone.looks(waits[1], open, clock));
            looks.push(times(lone.take_due(waits, open).unwrap()));
        }
        assert_eq!(looks, [vec![], vec![], vec![(open - 5, 1 - LEFT)], vec![]]);
        // Each round begins with the first row.
        let late = 2 * open + 3;
        let mut first = Vec::new();
        for clock in 4..8 {
            assert!(lone.looks(waits[1], late, clock));
            first.extend(times(lone.take_due(waits, late).unwrap()));
        }
        assert_eq!(first, [(0, LEFT), (1, LEFT), (2, LEFT)]);
    }
}
