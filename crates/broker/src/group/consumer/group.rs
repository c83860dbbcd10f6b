//! The state of one consumer group: members, epochs, who holds which partition, and how members go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use milena_protocol::messages::ConsumerGroupMetadataValue;
use milena_protocol::{ErrorCode, Uuid};

use super::member::{ConsumerMember, Holding, MemberState};
use super::subscription::ResolvedRegex;
use crate::group::assignor::{Assignment, ServerAssignor};
use crate::group::config::GroupConfig;
use crate::group::effects::Turn;
use crate::group::records;
use crate::group::shard_offsets::PartitionCommit;
use crate::group::timers::TimerKey;
use crate::group::topics::TopicsView;

/// A group of the consumer protocol.
#[derive(Debug)]
pub struct ConsumerGroup {
    pub(super) id: Arc<str>,
    pub(super) group_epoch: i32,
    /// A digest of the subscribed topics' ids and partition counts at `group_epoch`.
    pub(super) metadata_hash: i64,
    pub(super) target_epoch: i32,
    /// When the target was computed, in Unix ms; `None` if it never was.
    pub(super) target_timestamp: Option<i64>,
    pub(super) members: BTreeMap<Arc<str>, ConsumerMember>,
    pub(super) static_members: HashMap<String, Arc<str>>,
    pub(super) target: BTreeMap<Arc<str>, Assignment>,
    pub(super) regexes: BTreeMap<String, ResolvedRegex>,
    /// Who holds a partition: has it assigned, or has not given it up yet.
    pub(super) holders: HashMap<(Uuid, i32), Arc<str>>,
    /// Topics of the cluster changed since the last heartbeat.
    pub(super) metadata_stale: bool,
    /// The same for the topics that regular expressions stand for; only members of this protocol look them up.
    pub(super) regexes_stale: bool,
}

impl ConsumerGroup {
    /// A group without members.
    pub fn new(id: Arc<str>) -> Self {
        ConsumerGroup {
            id,
            group_epoch: 0,
            metadata_hash: 0,
            target_epoch: 0,
            target_timestamp: None,
            members: BTreeMap::new(),
            static_members: HashMap::new(),
            target: BTreeMap::new(),
            regexes: BTreeMap::new(),
            holders: HashMap::new(),
            metadata_stale: true,
            regexes_stale: true,
        }
    }

    /// The state's name in ListGroups and ConsumerGroupDescribe.
    pub fn state_name(&self) -> &'static str {
        let reconciled = |member: &ConsumerMember| {
            member.holding.state == MemberState::Stable && member.holding.member_epoch == self.target_epoch
        };
        if self.members.is_empty() {
            "Empty"
        } else if self.group_epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(reconciled) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The member `member_id`.
    pub fn member(&self, member_id: &str) -> Option<&ConsumerMember> {
        self.members.get(member_id)
    }

    /// Its name.
    pub fn id(&self) -> Arc<str> {
        self.id.clone()
    }

    /// The number of members.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// The epoch that grows with every change of members, subscriptions or topics.
    pub fn group_epoch(&self) -> i32 {
        self.group_epoch
    }

    /// Whether a member reads `topic`.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.members.values().any(|member| {
            member.subscribed_names.contains(topic)
                || member
                    .subscribed_regex
                    .as_ref()
                    .and_then(|regex| self.regexes.get(regex))
                    .is_some_and(|resolved| resolved.topics.contains(topic))
        })
    }

    /// The cluster's topics changed: look at them at the next heartbeat.
    pub fn topics_changed(&mut self) {
        self.metadata_stale = true;
        self.regexes_stale = true;
    }

    /// The assignor that most members name; the configured default when nobody does.
    pub(super) fn assignor(&self, config: &GroupConfig) -> ServerAssignor {
        let mut votes: BTreeMap<ServerAssignor, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.server_assignor) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.values().max().copied();
        votes
            .into_iter()
            .find(|(assignor, count)| Some(*count) == most && config.consumer_assignors.contains(assignor))
            .map(|(assignor, _)| assignor)
            .or(config.consumer_assignors.first().copied())
            .unwrap_or(ServerAssignor::Uniform)
    }

    /// Checks a commit of offsets (spec sections 9 and 11). An older epoch of the member is good enough for partitions
    /// that it has held since (KIP-1251).
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, or UNSUPPORTED_VERSION for requests that know no member epochs.
    pub fn check_commit(
        &self,
        member_id: &str,
        member_epoch: i32,
        version: i16,
        offsets: &[PartitionCommit],
    ) -> Result<(), ErrorCode> {
        if member_epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if version < 9 && member.classic.is_none() {
            return Err(ErrorCode::UnsupportedVersion);
        }
        check_epoch_of_commit(member, member_epoch, offsets)
    }

    /// Checks a commit of offsets in a transaction by a named member.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, or ILLEGAL_GENERATION for an epoch that is not the member's: the API knows no other code.
    pub fn check_transactional_commit(
        &self,
        member_id: &str,
        member_epoch: i32,
        offsets: &[PartitionCommit],
    ) -> Result<(), ErrorCode> {
        if member_epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        check_epoch_of_commit(member, member_epoch, offsets).map_err(|_| ErrorCode::IllegalGeneration)
    }

    /// Checks a fetch of offsets that names a member (v9+).
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID or STALE_MEMBER_EPOCH.
    pub fn check_fetch(&self, member_id: &str, member_epoch: i32) -> Result<(), ErrorCode> {
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        check_epoch_is_current(member, member_epoch)
    }

    pub(super) fn session_key(&self, member_id: &str) -> TimerKey {
        TimerKey::Session { group: self.id.clone(), member: member_id.into() }
    }

    pub(super) fn revocation_key(&self, member_id: &str) -> TimerKey {
        TimerKey::Revocation { group: self.id.clone(), member: member_id.into() }
    }

    pub(super) fn touch_session(&self, member_id: &str, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        let classic = self.members.get(member_id).and_then(|member| member.classic.as_ref());
        let of_group = || {
            self.dynamic_ms(
                topics,
                "consumer.session.timeout.ms",
                turn.config.consumer_session_timeout_ms,
                turn.config.consumer_session_timeout_range_ms,
            )
        };
        let timeout = classic.map_or_else(of_group, |classic| classic.session_timeout_ms);
        turn.timers.schedule(self.session_key(member_id), turn.now.monotonic_ms + i64::from(timeout));
    }

    pub(super) fn heartbeat_interval_ms(&self, topics: &dyn TopicsView, config: &GroupConfig) -> i32 {
        self.dynamic_ms(
            topics,
            "consumer.heartbeat.interval.ms",
            config.consumer_heartbeat_interval_ms,
            config.consumer_heartbeat_interval_range_ms,
        )
    }

    pub(super) fn assignment_interval_ms(&self, topics: &dyn TopicsView, config: &GroupConfig) -> i32 {
        self.dynamic_ms(
            topics,
            "consumer.assignment.interval.ms",
            topics.broker_ms("group.consumer.assignment.interval.ms").unwrap_or(config.consumer_assignment_interval_ms),
            config.consumer_assignment_interval_range_ms,
        )
    }

    /// A setting of this group, kept inside the broker's bounds; the broker's own value when the group has none.
    fn dynamic_ms(&self, topics: &dyn TopicsView, key: &str, default: i32, (min, max): (i32, i32)) -> i32 {
        let configured = topics.group_config(&self.id, key).and_then(|value| value.trim().parse::<i32>().ok());
        configured.map_or(default, |value| value.max(min).min(max))
    }

    /// Starts all timers; used when the group was read back from the log.
    pub fn start_sessions(&self, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        for (member_id, member) in &self.members {
            self.touch_session(member_id, topics, turn);
            if member.holding.state == MemberState::UnrevokedPartitions {
                self.start_revocation_timer(member, turn);
            }
        }
    }

    pub(super) fn start_revocation_timer(&self, member: &ConsumerMember, turn: &mut Turn<'_>) {
        let deadline = turn.now.monotonic_ms + i64::from(member.rebalance_timeout_ms.max(0));
        turn.timers.schedule(self.revocation_key(&member.member_id), deadline);
    }

    /// Sets what a member holds, in memory and in the log.
    pub(super) fn set_holding(&mut self, member_id: &str, holding: Holding, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        release(&mut self.holders, member);
        member.holding = holding;
        claim(&mut self.holders, member);
        turn.effects.record(records::consumer_current(&self.id, member_id, Some(&member.stored_holding())));
    }

    /// As [`set_holding`](Self::set_holding), for a member read back from the log.
    pub(super) fn restore_holding(&mut self, member_id: &str, holding: Holding) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        release(&mut self.holders, member);
        member.holding = holding;
        claim(&mut self.holders, member);
    }

    /// Whether somebody else holds the partition.
    pub(super) fn is_held_by_other(&self, member_id: &str, topic: &Uuid, partition: i32) -> bool {
        self.holders.get(&(*topic, partition)).is_some_and(|holder| holder.as_ref() != member_id)
    }

    /// Removes a member for good and starts a new epoch.
    pub(super) fn remove_member(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        self.erase_member(member_id, turn);
        self.drop_unused_regexes(turn);
        self.bump_epoch(turn);
    }

    /// Forgets a member and everything it held, in memory and in the log.
    pub(super) fn erase_member(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        self.cancel_timers(member_id, turn);
        self.forget_member(member_id);
        self.target.remove(member_id);
        turn.effects.record(records::consumer_current(&self.id, member_id, None));
        turn.effects.record(records::consumer_target_member(&self.id, member_id, None));
        turn.effects.record(records::consumer_member(&self.id, member_id, None));
    }

    fn cancel_timers(&self, member_id: &str, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.session_key(member_id));
        turn.timers.cancel(&self.revocation_key(member_id));
        turn.timers.cancel(&self.rejoin_key(member_id));
        turn.timers.cancel(&self.sync_key(member_id));
    }

    pub(super) fn forget_member(&mut self, member_id: &str) {
        let Some(member) = self.members.remove(member_id) else { return };
        release(&mut self.holders, &member);
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id).is_some_and(|holder| holder.as_ref() == member_id)
        {
            self.static_members.remove(instance_id);
        }
    }

    pub(super) fn drop_unused_regexes(&mut self, turn: &mut Turn<'_>) {
        let used: BTreeSet<&String> =
            self.members.values().filter_map(|member| member.subscribed_regex.as_ref()).collect();
        let unused: Vec<String> = self.regexes.keys().filter(|regex| !used.contains(regex)).cloned().collect();
        for regex in unused {
            self.regexes.remove(&regex);
            turn.effects.record(records::consumer_regex(&self.id, &regex, None));
        }
    }

    pub(super) fn bump_epoch(&mut self, turn: &mut Turn<'_>) {
        self.group_epoch = self.group_epoch.saturating_add(1);
        let value = ConsumerGroupMetadataValue { epoch: self.group_epoch, metadata_hash: self.metadata_hash };
        turn.effects.record(records::consumer_group(&self.id, Some(&value)));
    }

    /// The session of `member_id` ended.
    pub fn on_session_timer(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        if self.members.contains_key(member_id) {
            tracing::info!(group = %self.id, member = %member_id, "member's session expired");
            self.remove_member(member_id, turn);
        }
    }

    /// `member_id` did not give up its partitions in time.
    pub fn on_revocation_timer(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get(member_id) else { return };
        if member.holding.state == MemberState::UnrevokedPartitions {
            tracing::info!(group = %self.id, member = %member_id, "member did not revoke its partitions in time");
            self.remove_member(member_id, turn);
        }
    }

    /// Ends the group because another takes over its members: timers stop, the records go.
    pub fn dissolve(&self, turn: &mut Turn<'_>) {
        for member_id in self.members.keys() {
            self.cancel_timers(member_id, turn);
        }
        self.write_tombstones(turn);
    }

    /// Tombstones for every record of this group.
    pub fn write_tombstones(&self, turn: &mut Turn<'_>) {
        for member_id in self.members.keys() {
            turn.effects.record(records::consumer_current(&self.id, member_id, None));
        }
        for regex in self.regexes.keys() {
            turn.effects.record(records::consumer_regex(&self.id, regex, None));
        }
        for member_id in self.target.keys() {
            turn.effects.record(records::consumer_target_member(&self.id, member_id, None));
        }
        turn.effects.record(records::consumer_target(&self.id, None));
        for member_id in self.members.keys() {
            turn.effects.record(records::consumer_member(&self.id, member_id, None));
        }
        turn.effects.record(records::consumer_group(&self.id, None));
    }
}

fn check_epoch_of_commit(
    member: &ConsumerMember,
    member_epoch: i32,
    offsets: &[PartitionCommit],
) -> Result<(), ErrorCode> {
    let holding = &member.holding;
    let held = |offset: &PartitionCommit| {
        holding.held_since(&offset.topic_id, offset.partition).is_some_and(|since| since <= member_epoch)
    };
    match member_epoch < holding.member_epoch && offsets.iter().all(held) {
        true => Ok(()),
        false => check_epoch_is_current(member, member_epoch),
    }
}

fn check_epoch_is_current(member: &ConsumerMember, member_epoch: i32) -> Result<(), ErrorCode> {
    match member.holding.member_epoch == member_epoch {
        true => Ok(()),
        false if member.classic.is_some() => Err(ErrorCode::IllegalGeneration),
        false => Err(ErrorCode::StaleMemberEpoch),
    }
}

fn held(member: &ConsumerMember) -> impl Iterator<Item = (Uuid, i32)> {
    let holding = &member.holding;
    holding
        .assigned
        .iter()
        .chain(&holding.pending_revocation)
        .flat_map(|(topic, partitions)| partitions.iter().map(|partition| (*topic, *partition)))
}

fn claim(holders: &mut HashMap<(Uuid, i32), Arc<str>>, member: &ConsumerMember) {
    for partition in held(member) {
        holders.insert(partition, member.member_id.clone());
    }
}

fn release(holders: &mut HashMap<(Uuid, i32), Arc<str>>, member: &ConsumerMember) {
    for partition in held(member) {
        if holders.get(&partition).is_some_and(|holder| *holder == member.member_id) {
            holders.remove(&partition);
        }
    }
}
