//! The state of one share group: members, epochs, the target, and which partitions are initialized.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milena_protocol::Uuid;
use milena_protocol::messages::ShareGroupMetadataValue;

use super::records;
use crate::group::assignor::Assignment;
use crate::group::client::ClientIdentity;
use crate::group::config::GroupConfig;
use crate::group::effects::Turn;
use crate::group::timers::TimerKey;
use crate::group::topics::TopicsView;

/// The epoch of a group nobody has joined yet; the first change makes it 2, as in Kafka.
const INITIAL_EPOCH: i32 = 1;

/// One member: what it told about itself and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareMember {
    /// Chosen by the client.
    pub member_id: Arc<str>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// Who it is.
    pub client: ClientIdentity,
    /// The topics it subscribes to.
    pub subscribed_names: BTreeSet<String>,
    /// The epoch it must send.
    pub member_epoch: i32,
    /// The epoch before: accepted when the answer with the new one was lost.
    pub previous_member_epoch: i32,
    /// What it may read.
    pub assigned: Assignment,
}

impl ShareMember {
    /// A member that holds nothing yet.
    pub fn new(member_id: Arc<str>, client: ClientIdentity) -> Self {
        ShareMember {
            member_id,
            rack_id: None,
            client,
            subscribed_names: BTreeSet::new(),
            member_epoch: 0,
            previous_member_epoch: 0,
            assigned: Assignment::new(),
        }
    }
}

/// A topic of which some partitions have share state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitializedTopic {
    /// The topic's name.
    pub name: String,
    /// The partitions.
    pub partitions: BTreeSet<i32>,
}

/// A share group.
#[derive(Debug)]
pub struct ShareGroup {
    pub(super) id: Arc<str>,
    pub(super) group_epoch: i32,
    /// A digest of the subscribed topics' ids and partition counts at `group_epoch`.
    pub(super) metadata_hash: i64,
    pub(super) target_epoch: i32,
    /// When the target was computed, in Unix ms; `None` if it never was.
    pub(super) target_timestamp: Option<i64>,
    pub(super) members: BTreeMap<Arc<str>, ShareMember>,
    pub(super) target: BTreeMap<Arc<str>, Assignment>,
    pub(super) initialized: BTreeMap<Uuid, InitializedTopic>,
    /// Topics of the cluster changed since the last heartbeat.
    pub(super) metadata_stale: bool,
}

impl ShareGroup {
    /// A group without members.
    pub fn new(id: Arc<str>) -> Self {
        ShareGroup {
            id,
            group_epoch: INITIAL_EPOCH,
            metadata_hash: 0,
            target_epoch: 0,
            target_timestamp: None,
            members: BTreeMap::new(),
            target: BTreeMap::new(),
            initialized: BTreeMap::new(),
            metadata_stale: true,
        }
    }

    /// The state's name in ListGroups and ShareGroupDescribe.
    pub fn state_name(&self) -> &'static str {
        if self.members.is_empty() { "Empty" } else { "Stable" }
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether nothing about it was ever written.
    pub fn is_untouched(&self) -> bool {
        self.group_epoch == INITIAL_EPOCH && self.members.is_empty() && self.initialized.is_empty()
    }

    /// The partitions that have share state, by topic id.
    pub fn initialized(&self) -> &BTreeMap<Uuid, InitializedTopic> {
        &self.initialized
    }

    /// Whether a member reads `topic`.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.subscribed_names.contains(topic))
    }

    /// The cluster's topics changed: look at them at the next heartbeat.
    pub fn topics_changed(&mut self) {
        self.metadata_stale = true;
    }

    /// Topics are gone from the cluster; their share state goes too.
    pub fn topics_deleted(&mut self, topics: &[(String, Uuid)], turn: &mut Turn<'_>) {
        self.metadata_stale = true;
        self.forget_topics(|id, _| topics.iter().any(|(_, deleted)| deleted == id), turn);
    }

    /// Drops the initialized topics that `gone` picks.
    pub(super) fn forget_topics(&mut self, gone: impl Fn(&Uuid, &InitializedTopic) -> bool, turn: &mut Turn<'_>) {
        let before = self.initialized.len();
        self.initialized.retain(|id, topic| !gone(id, topic));
        if self.initialized.len() != before {
            self.record_initialized(turn);
        }
    }

    pub(super) fn session_key(&self, member_id: &str) -> TimerKey {
        TimerKey::Session { group: self.id.clone(), member: member_id.into() }
    }

    pub(super) fn touch_session(&self, member_id: &str, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        let config = turn.config;
        let timeout = self.dynamic_ms(
            topics,
            "share.session.timeout.ms",
            config.share_session_timeout_ms,
            config.share_session_timeout_range_ms,
        );
        turn.timers.schedule(self.session_key(member_id), turn.now.monotonic_ms + i64::from(timeout));
    }

    pub(super) fn heartbeat_interval_ms(&self, topics: &dyn TopicsView, config: &GroupConfig) -> i32 {
        self.dynamic_ms(
            topics,
            "share.heartbeat.interval.ms",
            config.share_heartbeat_interval_ms,
            config.share_heartbeat_interval_range_ms,
        )
    }

    pub(super) fn assignment_interval_ms(&self, topics: &dyn TopicsView, config: &GroupConfig) -> i32 {
        self.dynamic_ms(
            topics,
            "share.assignment.interval.ms",
            topics.broker_ms("group.share.assignment.interval.ms").unwrap_or(config.share_assignment_interval_ms),
            config.share_assignment_interval_range_ms,
        )
    }

    /// A setting of this group, kept inside the broker's bounds; the broker's own value when the group has none.
    fn dynamic_ms(&self, topics: &dyn TopicsView, key: &str, default: i32, (min, max): (i32, i32)) -> i32 {
        let configured = topics.group_config(&self.id, key).and_then(|value| value.trim().parse::<i32>().ok());
        configured.map_or(default, |value| value.max(min).min(max))
    }

    /// Starts all timers; used when the group was read back from the log.
    pub fn start_sessions(&self, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        for member_id in self.members.keys() {
            self.touch_session(member_id, topics, turn);
        }
    }

    /// The session of `member_id` ended.
    pub fn on_session_timer(&mut self, member_id: &str, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        if self.members.contains_key(member_id) {
            tracing::info!(group = %self.id, member = %member_id, "share group member's session expired");
            self.remove_member(member_id, topics, turn);
        }
    }

    /// Removes a member for good and starts a new epoch.
    pub(super) fn remove_member(&mut self, member_id: &str, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.session_key(member_id));
        self.members.remove(member_id);
        self.target.remove(member_id);
        turn.effects.record(records::current(&self.id, member_id, None));
        turn.effects.record(records::target_member(&self.id, member_id, None));
        turn.effects.record(records::member(&self.id, member_id, None));
        self.refresh_metadata(topics);
        self.bump_epoch(turn);
    }

    pub(super) fn bump_epoch(&mut self, turn: &mut Turn<'_>) {
        self.group_epoch = self.group_epoch.saturating_add(1);
        let value = ShareGroupMetadataValue { epoch: self.group_epoch, metadata_hash: self.metadata_hash };
        turn.effects.record(records::group(&self.id, Some(&value)));
    }

    pub(super) fn record_initialized(&self, turn: &mut Turn<'_>) {
        turn.effects.record(records::state_partitions(&self.id, Some(&records::initialized_value(&self.initialized))));
    }

    /// Tombstones for every record of this group; it must be empty.
    pub fn write_tombstones(&self, turn: &mut Turn<'_>) {
        for member_id in self.target.keys() {
            turn.effects.record(records::target_member(&self.id, member_id, None));
        }
        turn.effects.record(records::state_partitions(&self.id, None));
        turn.effects.record(records::target(&self.id, None));
        turn.effects.record(records::group(&self.id, None));
    }
}
