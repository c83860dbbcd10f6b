//! `GROUP BY` with session windows.
//!
//! A record joins all sessions of its group that are at most the gap away; they become one. Each session that is absorbed
//! is taken back first, also one with the bounds of the new one; only a record between whose bounds there is nothing else
//! takes nothing back. A session is deleted when there are records that are later than its end by the retention.

use std::ops::ControlFlow;

use super::aggregate::{Aggregates, GroupState};
use super::key_order::KeyOrder;
use super::retention::{DELETED_TOGETHER, Retention};
use super::stream_time::StreamTime;
use super::window_aggregate::Emission;
use super::{Change, Context, Headers, Key, Operator, OperatorError, WindowBounds};
use crate::state::{StateStore, codec, entries, prefix_end};

/// Groups the rows of a stream by sessions.
pub struct SessionAggregate {
    aggregates: Aggregates,
    gap_ms: i64,
    grace_ms: i64,
    emission: Emission,
    /// By group, then by start and end.
    store: Box<dyn StateStore>,
    /// By end, then by start and in the order of groups: which sessions may close. Only filled for `EMIT FINAL`. Beside
    /// that, what the retention lists, and the stream time.
    by_time: Box<dyn StateStore>,
    order: KeyOrder,
    stream_time: StreamTime,
    /// Of sessions by their ends.
    retention: Retention,
    emitted_until: i64,
    next_look_ms: Option<i64>,
}

impl SessionAggregate {
    /// Sessions that end after `gap_ms` without records, and take late ones for `grace_ms` more. The retention is at
    /// least the gap and the grace period.
    pub fn new(
        aggregates: Aggregates,
        (gap_ms, grace_ms): (i64, i64),
        emission: Emission,
        retention: Retention,
        store: Box<dyn StateStore>,
        (by_time, order): (Box<dyn StateStore>, KeyOrder),
    ) -> Self {
        SessionAggregate {
            aggregates,
            gap_ms,
            grace_ms,
            emission,
            store,
            by_time,
            order,
            stream_time: StreamTime::new(),
            retention,
            emitted_until: i64::MIN,
            next_look_ms: None,
        }
    }

    fn close_time(&self) -> i64 {
        self.stream_time.now().saturating_sub(self.grace_ms).saturating_sub(self.gap_ms)
    }

    /// The sessions of a group that a record at `timestamp` belongs to, in order.
    fn sessions(&self, group: &Key, timestamp: i64) -> Result<Vec<(WindowBounds, GroupState)>, OperatorError> {
        let prefix = group.bytes(false);
        let mut found = Vec::new();
        for (key, value) in entries(self.store.as_ref(), &prefix, &prefix_end(&prefix))? {
            let corrupt = || OperatorError::Corrupt("session aggregate");
            let mut rest = &key[prefix.len()..];
            let start = codec::read_time(&mut rest).ok_or_else(corrupt)?;
            let end = codec::read_time(&mut rest).ok_or_else(corrupt)?;
            // What has expired is as good as deleted.
            if end <= self.retention.expired() {
                continue;
            }
            if end >= timestamp - self.gap_ms && start <= timestamp + self.gap_ms {
                found.push((WindowBounds { start, end }, GroupState::read(&value)?));
            }
        }
        Ok(found)
    }

    fn time_key(&self, key: &Key, window: WindowBounds) -> Vec<u8> {
        let times = [codec::time_bytes(window.end), codec::time_bytes(window.start)].concat();
        [times, self.order.bytes(key)].concat()
    }

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
        let until = self.close_time().saturating_sub(1);
        if until <= self.emitted_until {
            return Ok(());
        }
        // Sessions that ended earlier have come out.
        let fresh = codec::time_bytes(self.emitted_until.saturating_add(1).max(0));
        self.emitted_until = until;
        let end = codec::time_bytes(until.saturating_add(1));
        for (entry, _) in entries(self.by_time.as_ref(), &fresh, &end)? {
            self.by_time.delete(&entry)?;
            let corrupt = || OperatorError::Corrupt("session aggregate");
            let mut rest = &entry[..];
            let end = codec::read_time(&mut rest).ok_or_else(corrupt)?;
            let start = codec::read_time(&mut rest).ok_or_else(corrupt)?;
            let group = KeyOrder::key(rest).and_then(|mut key| codec::read_values(&mut key)).ok_or_else(corrupt)?;
            let key = Key { window: Some(WindowBounds { start, end }), ..Key::plain(group) };
            if let Some(bytes) = self.store.get(&key.bytes(true))? {
                let state = GroupState::read(&bytes)?;
                let new = Some(self.aggregates.row(&key, &state.states));
                output.push(Change { key, new, old: None, timestamp: end, headers: headers.clone() });
            }
        }
        Ok(())
    }

    /// Deletes some of the sessions that have expired.
    fn sweep(&mut self) -> Result<(), OperatorError> {
        let expired = match self.emission {
            Emission::Changes { .. } => self.retention.expired(),
            // Sessions that have still to come out stay.
            Emission::Final { .. } => self.retention.expired().min(self.emitted_until),
        };
        let mut left = DELETED_TOGETHER;
        while left > 0
            && let Some(due) = self.retention.due(self.by_time.as_ref(), expired)?
        {
            let mut keys = Vec::new();
            self.store.scan(&due.owner, &prefix_end(&due.owner), &mut |key, _| {
                let mut times = &key[due.owner.len()..];
                let end = codec::read_time(&mut times).and_then(|_| codec::read_time(&mut times));
                if end.is_some_and(|end| end <= expired) {
                    keys.push(key.to_vec());
                }
                if keys.len() < left { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            keys.iter().try_for_each(|key| self.store.delete(key))?;
            if keys.len() < left {
                self.retention.done(self.by_time.as_mut())?;
            }
            left = left.saturating_sub(keys.len() + 1);
        }
        Ok(())
    }
}

impl Operator for SessionAggregate {
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
        self.retention.advance(self.stream_time.now());
        let group = Key::of(group);
        let alone = WindowBounds { start: change.timestamp, end: change.timestamp };
        let mut merged = alone;
        let mut states = self.aggregates.initial();
        let absorbed = self.sessions(&group, change.timestamp)?;
        for (window, state) in &absorbed {
            merged = WindowBounds { start: merged.start.min(window.start), end: merged.end.max(window.end) };
            states = self.aggregates.merge(states, state.states.clone())?;
        }
        if merged.end < self.close_time() {
            context.log.record("aggregate", "Skipping record for expired window");
            return self.emit_closed(&change.headers, context, output);
        }
        let changes = matches!(self.emission, Emission::Changes { .. });
        for (window, state) in absorbed.into_iter().filter(|_| merged != alone) {
            let key = Key { window: Some(window), ..group.clone() };
            self.store.delete(&key.bytes(true))?;
            if !changes {
                let entry = self.time_key(&key, window);
                self.by_time.delete(&entry)?;
            } else {
                let old = Some(self.aggregates.row(&key, &state.states));
                output.push(Change { key, new: None, old, timestamp: window.end, headers: [].into() });
            }
        }
        let states = self.aggregates.add(states, row, context.log)?;
        self.retention.list(self.by_time.as_mut(), merged.end, &group.bytes(false))?;
        let key = Key { window: Some(merged), ..group };
        let new = Some(self.aggregates.row(&key, &states));
        self.store.put(&key.bytes(true), &GroupState { timestamp: merged.end, states }.bytes())?;
        if changes {
            // A session belongs to no single record, so that it has none of its headers.
            output.push(Change { key, new, old: None, timestamp: merged.end, headers: [].into() });
        } else {
            let entry = self.time_key(&key, merged);
            self.by_time.put(&entry, &[])?;
        }
        self.emit_closed(&change.headers, context, output)?;
        self.sweep()
    }

    fn resume(&mut self) -> Result<(), OperatorError> {
        self.stream_time.restore(self.by_time.as_ref())?;
        self.retention.advance(self.stream_time.now());
        Ok(())
    }

    fn leave(&mut self) -> Result<(), OperatorError> {
        self.stream_time.leave(self.by_time.as_mut())
    }
}
