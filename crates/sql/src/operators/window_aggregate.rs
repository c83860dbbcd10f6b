//! `GROUP BY` with tumbling and hopping windows.
//!
//! A window takes records until stream time passes its end by the grace period. With `EMIT FINAL` it comes out then, once.
//! It is deleted when windows begin that are later by the retention.

use super::aggregate::{Aggregates, GroupState};
use super::key_order::KeyOrder;
use super::retention::{DELETED_TOGETHER, Retention, delete_range};
use super::stream_time::StreamTime;
use super::{Change, Context, Headers, Key, Operator, OperatorError, WindowBounds};
use crate::state::{StateStore, codec, entries};

/// When windows of an aggregation come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emission {
    /// With every change.
    Changes {
        /// Whether somebody looks at what the rows were before.
        old: bool,
    },
    /// When they have closed; at most this often, in milliseconds.
    Final {
        /// How much time passes between two looks for closed windows.
        interval_ms: i64,
    },
}

/// Bytes of the start at the end of a key.
const TIME_BYTES: usize = 8;

/// Groups the rows of a stream by time windows.
pub struct WindowAggregate {
    aggregates: Aggregates,
    size_ms: i64,
    advance_ms: i64,
    grace_ms: i64,
    emission: Emission,
    /// By group, then by start.
    store: Box<dyn StateStore>,
    /// By start, then in the order of groups: which windows may close. Only filled for `EMIT FINAL`. Beside that, what the
    /// retention lists, and the stream time.
    by_time: Box<dyn StateStore>,
    order: KeyOrder,
    stream_time: StreamTime,
    /// Of windows by their starts.
    retention: Retention,
    /// The close time when windows came out the last time.
    emitted_until: Option<i64>,
    next_look_ms: Option<i64>,
}

impl WindowAggregate {
    /// Windows of `size_ms`, one starting every `advance_ms`, that take records for `grace_ms` after their end. The
    /// retention is at least the size and the grace period.
    pub fn new(
        aggregates: Aggregates,
        (size_ms, advance_ms, grace_ms): (i64, i64, i64),
        emission: Emission,
        retention: Retention,
        store: Box<dyn StateStore>,
        (by_time, order): (Box<dyn StateStore>, KeyOrder),
    ) -> Self {
        let stream_time = StreamTime::new();
        WindowAggregate {
            aggregates,
            size_ms,
            advance_ms,
            grace_ms,
            emission,
            store,
            by_time,
            order,
            stream_time,
            retention,
            emitted_until: None,
            next_look_ms: None,
        }
    }

    /// The starts of the windows that hold `timestamp`, from the earliest.
    fn starts(&self, timestamp: i64) -> impl Iterator<Item = i64> + use<> {
        let advance = self.advance_ms.max(1);
        let first = (timestamp - self.size_ms + advance).max(0) / advance * advance;
        (first..=timestamp).step_by(usize::try_from(advance).unwrap_or(1))
    }

    fn close_time(&self) -> i64 {
        self.stream_time.now().saturating_sub(self.grace_ms)
    }

    /// Brings out the windows that have closed since the last time.
    fn emit_closed(
        &mut self,
        headers: &Headers,
        context: &Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let Emission::Final { interval_ms } = self.emission else { return Ok(()) };
        let next = *self.next_look_ms.get_or_insert(context.wall_clock_ms);
        if context.wall_clock_ms < next {
            return Ok(());
        }
        self.next_look_ms = Some(context.wall_clock_ms + interval_ms);
        let close_time = self.close_time();
        if self.emitted_until.is_some_and(|until| until >= close_time) {
            return Ok(());
        }
        // Windows that start up to here have ended before the close time.
        let until = close_time.saturating_sub(self.size_ms);
        if until < 0 {
            return Ok(());
        }
        // After a jump in time some windows expire before they come out.
        let expired = self.retention.expired();
        let fresh = self.emitted_until.map_or(0, |until| until.saturating_sub(self.size_ms).max(0).saturating_add(1));
        self.emitted_until = Some(close_time);
        let from = codec::time_bytes(fresh);
        let end = codec::time_bytes(until.saturating_add(1));
        for (entry, _) in entries(self.by_time.as_ref(), &from, &end)? {
            self.by_time.delete(&entry)?;
            let corrupt = || OperatorError::Corrupt("window aggregate");
            let mut rest = &entry[..];
            let start = codec::read_time(&mut rest).ok_or_else(corrupt)?;
            if start < expired {
                continue;
            }
            let group = KeyOrder::key(rest).and_then(|mut key| codec::read_values(&mut key)).ok_or_else(corrupt)?;
            let window = WindowBounds { start, end: start + self.size_ms };
            let key = Key { window: Some(window), ..Key::plain(group) };
            if let Some(bytes) = self.store.get(&key.bytes(false))? {
                let state = GroupState::read(&bytes)?;
                let new = Some(self.aggregates.row(&key, &state.states));
                output.push(Change { key, new, old: None, timestamp: state.timestamp, headers: headers.clone() });
            }
        }
        Ok(())
    }

    /// Deletes some of the windows that have expired.
    fn sweep(&mut self) -> Result<(), OperatorError> {
        let most = match (self.emission, self.emitted_until) {
            (Emission::Changes { .. }, _) => i64::MAX,
            // Windows that have still to come out stay.
            (Emission::Final { .. }, emitted) => emitted.unwrap_or(i64::MIN).saturating_sub(self.size_ms),
        };
        // At least as many as a record may have added.
        let windows = usize::try_from(self.size_ms / self.advance_ms.max(1)).unwrap_or(0);
        let mut left = DELETED_TOGETHER.max(2 * windows);
        while left > 0
            && let Some(due) = self.retention.due(self.by_time.as_ref(), most)?
        {
            let deleted = delete_range(self.store.as_mut(), &due.keys(), left)?;
            if deleted < left {
                self.retention.done(self.by_time.as_mut())?;
            }
            left = left.saturating_sub(deleted + 1);
        }
        Ok(())
    }
}

impl Operator for WindowAggregate {
    fn process(
        &mut self,
        _input: usize,
        change: Change,
        context: &mut Context<'_>,
        output: &mut Vec<Change>,
    ) -> Result<(), OperatorError> {
        let Some(row) = &change.new else { return Ok(()) };
        let Some(group) = self.aggregates.group(row, context.log) else { return Ok(()) };
        self.stream_time.advance(change.timestamp);
        let key = Key::of(group);
        for start in self.starts(change.timestamp) {
            let window = WindowBounds { start, end: start + self.size_ms };
            if window.end <= self.close_time() {
                context.log.record("aggregate", "Skipping record for expired window");
                continue;
            }
            let key = Key { window: Some(window), ..key.clone() };
            let bytes = key.bytes(false);
            let before = self.store.get(&bytes)?.map(|bytes| GroupState::read(&bytes)).transpose()?;
            if before.is_none() {
                self.retention.list(self.by_time.as_mut(), start, &bytes[..bytes.len() - TIME_BYTES])?;
            }
            self.retention.advance(start);
            let (changes, tells_old) = match self.emission {
                Emission::Changes { old } => (true, old),
                Emission::Final { .. } => (false, false),
            };
            let old = tells_old.then(|| match &before {
                Some(before) => self.aggregates.row(&key, &before.states),
                None => self.aggregates.initial_row(key.window),
            });
            let (timestamp, states) = match before {
                Some(before) => (before.timestamp.max(change.timestamp), before.states),
                None => (change.timestamp, self.aggregates.initial()),
            };
            let states = self.aggregates.add(states, row, context.log)?;
            let new = changes.then(|| self.aggregates.row(&key, &states));
            self.store.put(&bytes, &GroupState { timestamp, states }.bytes())?;
            if changes {
                output.push(Change { key, new, old, timestamp, headers: change.headers.clone() });
            } else {
                let by_time = [&codec::time_bytes(start)[..], &self.order.bytes(&key)].concat();
                self.by_time.put(&by_time, &[])?;
            }
        }
        self.emit_closed(&change.headers, context, output)?;
        self.sweep()
    }

    fn resume(&mut self) -> Result<(), OperatorError> {
        self.stream_time.restore(self.by_time.as_ref())?;
        if self.stream_time.now() >= 0 {
            // The latest record is in the latest window.
            let advance = self.advance_ms.max(1);
            self.retention.advance(self.stream_time.now() / advance * advance);
        }
        Ok(())
    }

    fn leave(&mut self) -> Result<(), OperatorError> {
        self.stream_time.leave(self.by_time.as_mut())
    }
}
