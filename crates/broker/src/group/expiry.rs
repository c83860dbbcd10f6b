//! When a committed offset has outlived its use (KIP-211), and when a group has.
//!
//! | group | its offsets expire `offsets.retention.minutes` after |
//! |---|---|
//! | classic, empty | it became empty |
//! | classic consumers, stable; consumer protocol | their commit, if no member reads the topic |
//! | classic of another kind with members, or rebalancing | never |
//! | only offsets | their commit |
//!
//! A commit with a retention time of its own (v2-4) expires then, whatever the group does. A group without members and
//! offsets is forgotten. Nothing expires while an open transaction has an offset pending for the same partition.

use std::sync::Arc;

use super::classic::{ClassicGroup, State};
use super::effects::{Effects, Now};
use super::offsets::CommittedOffset;
use super::shard::{Group, Shard};
use super::timers::TimerKey;

impl Shard {
    /// Starts the clock of [`expire_offsets`](Self::expire_offsets).
    pub fn schedule_offset_expiry(&mut self, now: Now) {
        let deadline = now.monotonic_ms + self.config.offsets_retention_check_interval_ms;
        self.timers.schedule(TimerKey::OffsetExpiry, deadline);
    }

    /// Removes expired offsets and forgotten groups, and schedules the next look.
    pub fn expire_offsets(&mut self, now: Now, effects: &mut Effects) {
        let retention = self.config.offsets_retention_ms;
        for group_id in self.groups.keys().cloned().collect::<Vec<Arc<str>>>() {
            let Some(group) = self.groups.get(&group_id) else { continue };
            let expired = self.offsets.get(&group_id).map(|offsets| {
                offsets.select(|topic, partition, offset| {
                    is_expired(group, topic, offset, retention, now)
                        && !self.pending.contains(&group_id, topic, partition)
                })
            });
            if let Some(expired) = expired.filter(|expired| !expired.is_empty()) {
                tracing::info!(group = %group_id, count = expired.len(), "offsets expired");
                self.remove_offsets(&group_id, expired, effects);
            }
            if !self.has_offsets(&group_id) && self.groups.get(&group_id).is_some_and(Group::is_forgotten) {
                self.remove_empty_group(&group_id, now, effects);
            }
        }
        self.schedule_offset_expiry(now);
    }
}

impl Group {
    fn is_forgotten(&self) -> bool {
        match self {
            Group::Classic(group) => group.is_vacant(),
            Group::Consumer(group) => group.is_empty(),
            Group::Streams(group) => group.is_empty(),
            // Where a share group stands is kept until somebody deletes the group.
            Group::Share(_) => false,
        }
    }
}

fn is_expired(group: &Group, topic: &str, offset: &CommittedOffset, retention: i64, now: Now) -> bool {
    let since = match group {
        Group::Classic(group) => classic_base(group, topic, offset),
        Group::Consumer(group) => (!group.is_subscribed(topic)).then_some(offset.commit_timestamp),
        Group::Streams(group) => (!group.is_subscribed(topic)).then_some(offset.commit_timestamp),
        Group::Share(_) => None,
    };
    let Some(since) = since else { return false };
    match offset.expire_timestamp {
        Some(expire_timestamp) => now.unix_ms >= expire_timestamp,
        None => now.unix_ms.saturating_sub(since) >= retention,
    }
}

/// The time from which an offset's retention counts; `None` while it is in use.
fn classic_base(group: &ClassicGroup, topic: &str, offset: &CommittedOffset) -> Option<i64> {
    if group.protocol_type().is_none() {
        return Some(offset.commit_timestamp);
    }
    match group.state() {
        State::Empty => Some(group.state_timestamp().unwrap_or(offset.commit_timestamp).max(offset.commit_timestamp)),
        State::Stable if group.subscriptions_known() && !group.is_subscribed(topic) => Some(offset.commit_timestamp),
        State::PreparingRebalance | State::CompletingRebalance | State::Stable => None,
    }
}
