//! The timers of one shard: a queue ordered by deadline, one entry per key.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a timer is about. Scheduling a key again moves its deadline.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimerKey {
    /// A member must be heard of before this (session, or the wait of a pending member).
    Session {
        /// The group.
        group: Arc<str>,
        /// The member.
        member: Arc<str>,
    },
    /// The join phase of a classic group ends.
    JoinPhase {
        /// The group.
        group: Arc<str>,
    },
    /// Members of a classic group that have not synced are dropped.
    SyncPhase {
        /// The group.
        group: Arc<str>,
    },
    /// A member of a consumer group must have given up its revoked partitions.
    Revocation {
        /// The group.
        group: Arc<str>,
        /// The member.
        member: Arc<str>,
    },
    /// A classic member of a consumer group was told to join again.
    Rejoin {
        /// The group.
        group: Arc<str>,
        /// The member.
        member: Arc<str>,
    },
    /// A classic member of a consumer group joined and must ask for its assignment.
    MemberSync {
        /// The group.
        group: Arc<str>,
        /// The member.
        member: Arc<str>,
    },
    /// A streams group that was empty has waited for more members.
    InitialRebalance {
        /// The group.
        group: Arc<str>,
    },
    /// The next look for expired offsets and empty groups.
    OffsetExpiry,
}

/// Deadlines in milliseconds of the monotonic clock.
#[derive(Debug, Default)]
pub struct Timers {
    deadlines: HashMap<TimerKey, i64>,
    queue: BTreeSet<(i64, TimerKey)>,
}

impl Timers {
    /// Sets the deadline of `key`, replacing an earlier one.
    pub fn schedule(&mut self, key: TimerKey, deadline_ms: i64) {
        if let Some(previous) = self.deadlines.insert(key.clone(), deadline_ms) {
            self.queue.remove(&(previous, key.clone()));
        }
        self.queue.insert((deadline_ms, key));
    }

    /// Forgets `key`.
    pub fn cancel(&mut self, key: &TimerKey) {
        if let Some(deadline) = self.deadlines.remove(key) {
            self.queue.remove(&(deadline, key.clone()));
        }
    }

    /// Takes one timer whose deadline is at or before `now_ms`, the earliest first.
    pub fn pop_due(&mut self, now_ms: i64) -> Option<TimerKey> {
        if self.queue.first()?.0 > now_ms {
            return None;
        }
        let (_, key) = self.queue.pop_first()?;
        self.deadlines.remove(&key);
        Some(key)
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<i64> {
        self.queue.first().map(|(deadline, _)| *deadline)
    }

    /// The deadline of `key`, if it is scheduled.
    pub fn deadline(&self, key: &TimerKey) -> Option<i64> {
        self.deadlines.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(member: &str) -> TimerKey {
        TimerKey::Session { group: "g".into(), member: member.into() }
    }

    #[test]
    fn timers_fire_in_order_of_their_deadlines() {
        let mut timers = Timers::default();
        timers.schedule(session("b"), 20);
        timers.schedule(session("a"), 10);
        timers.schedule(TimerKey::OffsetExpiry, 30);
        assert_eq!(timers.next_deadline(), Some(10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(20), Some(session("a")));
        assert_eq!(timers.pop_due(20), Some(session("b")));
        assert_eq!(timers.pop_due(20), None);
    }

    #[test]
    fn scheduling_again_moves_the_deadline_and_cancelling_forgets_it() {
        let mut timers = Timers::default();
        timers.schedule(session("a"), 10);
        timers.schedule(session("a"), 50);
        assert_eq!(timers.pop_due(49), None);
        timers.cancel(&session("a"));
        assert_eq!(timers.pop_due(1000), None);
        assert_eq!(timers.next_deadline(), None);
    }
}
