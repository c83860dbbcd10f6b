//! Stream-stream joins: rows of both sides meet when their times are close enough.
//!
//! Without a grace period the lone rows of outer joins come out at once, and again with each partner that comes later
//! (what users of older versions know). With one they come out when no partner can come any more. Rows of a side are deleted
//! when there are later ones of the same side by the retention: late rows of both sides still meet.

use super::retention::{DELETED_TOGETHER, Retention, delete_range};
use super::stream_table_join::joined;
use super::stream_time::StreamTime;
use super::table_source::{read_row, row_bytes};
use super::{Change, Context, Key, Operator, OperatorError, Row, WindowBounds};
use crate::state::{Entry, StateStore, codec, entries};

/// The input with the left side.
const LEFT: usize = 0;

/// One side of the join.
pub struct StreamSide {
    /// Rows by key, then by time and number. Beside that, what the retention lists, and the time of the side's rows.
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
    /// Lone rows by time, side (the right before the left) and key, until no partner can come; none when they come out
    /// at once.
    lone: Option<Box<dyn StateStore>>,
    /// No lone row is earlier.
    lone_from: i64,
    /// Of the rows of each side.
    retention: [Retention; 2],
    grace_ms: i64,
    session: bool,
    /// Of the records of both sides.
    stream_time: i64,
    /// Of the rows of each side.
    side_times: [StreamTime; 2],
    next_number: u64,
}

impl StreamJoin {
    /// Of two sides. With `lone` rows without partner wait there for `grace_ms` beyond the end of their window.
    pub fn new(sides: [StreamSide; 2], lone: Option<Box<dyn StateStore>>, grace_ms: i64, session: bool) -> Self {
        let retention_ms = sides[0].before_ms.saturating_add(sides[0].after_ms).saturating_add(grace_ms);
        StreamJoin {
            sides,
            lone,
            lone_from: i64::MIN,
            retention: [Retention::new(retention_ms), Retention::new(retention_ms)],
            grace_ms,
            session,
            stream_time: i64::MIN,
            side_times: [StreamTime::new(), StreamTime::new()],
            next_number: 0,
        }
    }

    fn row(&self, input: usize, own: &Row, partner: Option<&Row>) -> Row {
        let [left, right] = &self.sides;
        let (one, other) = if input == 0 { (Some(own), partner) } else { (partner, Some(own)) };
        joined(one, left.width, other, right.width)
    }

    fn lone_key(timestamp: i64, input: usize, key: &Key, session: bool) -> Vec<u8> {
        let mut bytes = codec::time_bytes(timestamp).to_vec();
        bytes.push(u8::from(input == LEFT));
        bytes.extend(key.bytes(session));
        bytes
    }

    /// Brings out the lone rows that can find no partner any more.
    fn emit_lone(&mut self, headers: &super::Headers, output: &mut Vec<Change>) -> Result<(), OperatorError> {
        let Some(lone) = &mut self.lone else { return Ok(()) };
        let waits = self.sides[0].before_ms.max(self.sides[0].after_ms).max(0).saturating_add(self.grace_ms);
        let until = self.stream_time.saturating_sub(waits);
        if until <= self.lone_from {
            return Ok(());
        }
        let found = entries(lone.as_ref(), &codec::time_bytes(self.lone_from), &codec::time_bytes(until))?;
        self.lone_from = until;
        let mut due = Vec::new();
        for (entry, value) in found {
            let corrupt = || OperatorError::Corrupt("stream join");
            let mut rest = &entry[..];
            let timestamp = codec::read_time(&mut rest).ok_or_else(corrupt)?;
            let (is_left, rest) = rest.split_first().ok_or_else(corrupt)?;
            let input = if *is_left == 1 { LEFT } else { 1 - LEFT };
            let side = &self.sides[input];
            if timestamp.saturating_add(side.after_ms).saturating_add(self.grace_ms) >= self.stream_time {
                self.lone_from = self.lone_from.min(timestamp);
                continue;
            }
            lone.delete(&entry)?;
            let mut rest = rest;
            let columns = codec::read_values(&mut rest).ok_or_else(corrupt)?;
            let window = match codec::read_time(&mut rest) {
                Some(start) => {
                    Some(WindowBounds { start, end: codec::read_time(&mut &value[..]).ok_or_else(corrupt)? })
                }
                None => None,
            };
            let mut rows = &value[8..];
            while !rows.is_empty() {
                let row: Row = codec::read_values(&mut rows).ok_or_else(corrupt)?.into();
                due.push((timestamp, input, Key { window, ..Key::plain(columns.clone()) }, row));
            }
        }
        for (timestamp, input, key, row) in due {
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
        self.stream_time = self.stream_time.max(change.timestamp);
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
        if change.timestamp == self.stream_time {
            self.emit_lone(&change.headers, output)?;
        }
        let partners = self.partners(input, change.timestamp, &key)?;
        for (entry, partner) in &partners {
            let time = codec::read_time(&mut &entry[key.len()..]).ok_or(OperatorError::Corrupt("stream join"))?;
            let partner = read_row(partner)?;
            let new = Some(self.row(input, &row, Some(&partner)));
            output.push(Change { timestamp: change.timestamp.max(time), ..change.with_row(new, None) });
            if let Some(lone) = &mut self.lone {
                lone.delete(&Self::lone_key(time, other, &change.key, self.session))?;
            }
        }
        if partners.is_empty() && self.sides[input].outer {
            // A late row waits for nothing: the records that its partners would be had their time.
            let closed = change.timestamp.saturating_add(self.sides[input].after_ms) < self.stream_time;
            match &mut self.lone {
                Some(lone) if !closed => {
                    let entry = Self::lone_key(change.timestamp, input, &change.key, self.session);
                    let end = change.key.window.map_or(0, |window| window.end);
                    let mut value = lone.get(&entry)?.unwrap_or_else(|| codec::time_bytes(end).to_vec());
                    codec::write_values(&row, &mut value);
                    lone.put(&entry, &value)?;
                    self.lone_from = self.lone_from.min(change.timestamp);
                }
                _ => output.push(change.with_row(Some(self.row(input, &row, None)), None)),
            }
        }
        self.sweep()
    }

    fn resume(&mut self) -> Result<(), OperatorError> {
        for ((side, time), retention) in self.sides.iter().zip(&mut self.side_times).zip(&mut self.retention) {
            time.restore(side.store.as_ref())?;
            retention.advance(time.now());
            self.stream_time = self.stream_time.max(time.now());
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), OperatorError> {
        let mut sides = self.sides.iter_mut().zip(&mut self.side_times);
        sides.try_for_each(|(side, time)| time.leave(side.store.as_mut()))
    }
}
