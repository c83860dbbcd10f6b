//! All groups of one partition of `__consumer_offsets`: finds the group, lets it act, runs the timers.
//!
//! Pure: no I/O, no clock, no task. Always true: every group with members, offsets or epochs is in `groups`;
//! `offsets` holds no group without offsets.

use std::collections::HashMap;
use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, SyncGroupResponse, consumer_group_describe_response,
    describe_groups_response, leave_group_response,
};

use super::classic::{ClassicGroup, JoinRequest};
use super::client::ClientIdentity;
use super::config::GroupConfig;
use super::consumer::{ConsumerGroup, Refusal, check_request};
use super::effects::{Effects, Now, Responder, Turn};
use super::offsets::GroupOffsets;
use super::pending_offsets::PendingOffsets;
use super::share::ShareGroup;
use super::streams::StreamsGroup;
use super::timers::{TimerKey, Timers};
use super::topics::{TopicFilter, TopicsView, VisibleTopics};

/// A group of any protocol.
#[derive(Debug)]
pub enum Group {
    /// JoinGroup/SyncGroup; also a group that only has offsets.
    Classic(ClassicGroup),
    /// KIP-848.
    Consumer(ConsumerGroup),
    /// KIP-932.
    Share(ShareGroup),
    /// KIP-1071.
    Streams(StreamsGroup),
}

/// A row of ListGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// `group.id`.
    pub group_id: String,
    /// `consumer`, `connect`, ...; empty for a group that only has offsets.
    pub protocol_type: String,
    /// The state's name.
    pub state: &'static str,
    /// `classic`, `consumer`, `share` or `streams`.
    pub group_type: &'static str,
}

/// Why a group cannot be described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDescribed {
    /// There is no group of that name.
    Unknown,
    /// The group speaks the other protocol.
    OtherProtocol,
}

/// The groups of one partition of `__consumer_offsets`.
pub struct Shard {
    pub(super) config: Arc<GroupConfig>,
    pub(super) topics: Arc<dyn TopicsView>,
    pub(super) groups: HashMap<Arc<str>, Group>,
    pub(super) offsets: HashMap<Arc<str>, GroupOffsets>,
    /// Offsets of open transactions.
    pub(super) pending: PendingOffsets,
    /// The [`order`](super::offsets::CommittedOffset::order) of the newest offset.
    newest_order: u64,
    pub(super) timers: Timers,
}

impl Shard {
    /// A shard without groups.
    pub fn new(config: Arc<GroupConfig>, topics: Arc<dyn TopicsView>) -> Self {
        Shard {
            config,
            topics,
            groups: HashMap::new(),
            offsets: HashMap::new(),
            pending: PendingOffsets::default(),
            newest_order: 0,
            timers: Timers::default(),
        }
    }

    /// The [`order`](super::offsets::CommittedOffset::order) of the next offset.
    pub(super) fn next_order(&mut self) -> u64 {
        self.newest_order += 1;
        self.newest_order
    }

    /// Handles JoinGroup; answers now or when the join phase ends.
    pub fn join(
        &mut self,
        request: JoinGroupRequest,
        client: ClientIdentity,
        version: i16,
        responder: Responder<JoinGroupResponse>,
        now: Now,
        effects: &mut Effects,
    ) {
        let group_id: Arc<str> = request.group_id.as_str().into();
        if let Err(code) = self.check_join(&group_id, &request, now, effects) {
            return effects.reply(responder, Err(code));
        }
        let request = JoinRequest::new(request, client, version);
        let topics = self.topics.clone();
        let (groups, mut turn) = self.turn(now, effects);
        let group =
            groups.entry(group_id.clone()).or_insert_with(|| Group::Classic(ClassicGroup::new(group_id.clone())));
        match group {
            Group::Classic(group) => group.join(request, responder, &mut turn),
            Group::Consumer(group) => {
                let joined = group.classic_join(request, topics.as_ref(), &mut turn);
                turn.effects.reply(responder, joined);
            }
            Group::Share(_) | Group::Streams(_) => {
                turn.effects.reply(responder, Err(ErrorCode::InconsistentGroupProtocol));
            }
        }
        self.maybe_downgrade(&group_id, now, effects);
        self.forget_untouched(&group_id);
    }

    fn check_join(
        &mut self,
        group_id: &Arc<str>,
        request: &JoinGroupRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), ErrorCode> {
        if group_id.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        let range = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        if !range.contains(&request.session_timeout_ms) {
            return Err(ErrorCode::InvalidSessionTimeout);
        }
        match self.groups.get(group_id) {
            None if !request.member_id.is_empty() => Err(ErrorCode::UnknownMemberId),
            Some(Group::Consumer(group)) if group.is_empty() && request.member_id.is_empty() => {
                self.remove_consumer_group(group_id, now, effects);
                Ok(())
            }
            Some(Group::Consumer(group)) if group.is_empty() => Err(ErrorCode::UnknownMemberId),
            Some(Group::Streams(group)) if group.is_empty() && request.member_id.is_empty() => {
                self.remove_streams_group(group_id, now, effects);
                Ok(())
            }
            Some(Group::Share(_) | Group::Streams(_)) => Err(ErrorCode::InconsistentGroupProtocol),
            None | Some(Group::Classic(_) | Group::Consumer(_)) => Ok(()),
        }
    }

    /// A group that a refused join created is not kept.
    fn forget_untouched(&mut self, group_id: &Arc<str>) {
        if let Some(Group::Classic(group)) = self.groups.get(group_id)
            && group.is_vacant()
            && group.generation_id() == 0
            && !self.has_offsets(group_id)
        {
            self.groups.remove(group_id);
        }
    }

    fn remove_consumer_group(&mut self, group_id: &Arc<str>, now: Now, effects: &mut Effects) {
        let (groups, mut turn) = self.turn(now, effects);
        if let Some(Group::Consumer(group)) = groups.remove(group_id) {
            group.write_tombstones(&mut turn);
        }
    }

    /// Handles SyncGroup; answers now or when the leader has synced.
    pub fn sync(
        &mut self,
        request: SyncGroupRequest,
        responder: Responder<SyncGroupResponse>,
        now: Now,
        effects: &mut Effects,
    ) {
        let topics = self.topics.clone();
        let (groups, mut turn) = self.turn(now, effects);
        match known_group(groups, &request.group_id) {
            Ok(Group::Classic(group)) => group.sync(request, responder, &mut turn),
            Ok(Group::Share(_) | Group::Streams(_)) => turn.effects.reply(responder, Err(ErrorCode::UnknownMemberId)),
            Ok(Group::Consumer(group)) => {
                let synced = group.classic_sync(&request, topics.as_ref(), &mut turn);
                turn.effects.reply(responder, synced);
            }
            Err(code) => turn.effects.reply(responder, Err(code)),
        }
    }

    /// Handles Heartbeat.
    ///
    /// # Errors
    /// See [`ClassicGroup::heartbeat`]; INVALID_GROUP_ID for an empty group id.
    pub fn heartbeat(&mut self, request: &HeartbeatRequest, now: Now, effects: &mut Effects) -> Result<(), ErrorCode> {
        let topics = self.topics.clone();
        let (groups, mut turn) = self.turn(now, effects);
        match known_group(groups, &request.group_id)? {
            Group::Classic(group) => group.heartbeat(request, &mut turn),
            Group::Consumer(group) => group.classic_heartbeat(request, topics.as_ref(), &mut turn),
            Group::Share(_) | Group::Streams(_) => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Handles LeaveGroup with its list of members.
    ///
    /// # Errors
    /// INVALID_GROUP_ID; everything else is a code per member.
    pub fn leave(
        &mut self,
        request: LeaveGroupRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Vec<leave_group_response::Member>, ErrorCode> {
        let (groups, mut turn) = self.turn(now, effects);
        match known_group(groups, &request.group_id) {
            Ok(Group::Classic(group)) => Ok(group.leave(request.members, &mut turn)),
            Ok(Group::Consumer(group)) => {
                let left = group.classic_leave(request.members, &mut turn);
                self.maybe_downgrade(&request.group_id, now, effects);
                Ok(left)
            }
            Ok(Group::Share(_) | Group::Streams(_)) | Err(ErrorCode::UnknownMemberId) => Ok(request
                .members
                .into_iter()
                .map(|member| leave_group_response::Member {
                    member_id: member.member_id,
                    group_instance_id: member.group_instance_id,
                    error_code: ErrorCode::UnknownMemberId.code(),
                })
                .collect()),
            Err(code) => Err(code),
        }
    }

    /// Handles ConsumerGroupHeartbeat; `is_visible` tells which topics the client may see.
    ///
    /// # Errors
    /// See [`ConsumerGroup::heartbeat`] and [`check_request`]; GROUP_ID_NOT_FOUND for a classic group with members.
    pub fn consumer_heartbeat(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
        client: ClientIdentity,
        is_visible: &TopicFilter,
        version: i16,
        now: Now,
        effects: &mut Effects,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        if !self.config.consumer_protocol_enabled {
            return Err(ErrorCode::UnsupportedVersion.into());
        }
        check_request(&request, version, &self.config)?;
        let group_id: Arc<str> = request.group_id.as_str().into();
        let joins = request.member_epoch == 0;
        self.make_room_for_consumers(&group_id, joins, now, effects)?;
        let topics = self.topics.clone();
        let (groups, mut turn) = self.turn(now, effects);
        let Some(Group::Consumer(group)) = groups.get_mut(&group_id) else {
            return Err(not_found(&group_id));
        };
        let topics = VisibleTopics { all: topics.as_ref(), is_visible };
        let result = group.heartbeat(request, client, &topics, &mut turn);
        if group.is_empty() && group.group_epoch() == 0 {
            groups.remove(&group_id);
        }
        self.maybe_downgrade(&group_id, now, effects);
        result
    }

    /// A join may create the group, replace an empty classic one, and upgrade one with members.
    fn make_room_for_consumers(
        &mut self,
        group_id: &Arc<str>,
        joins: bool,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let (groups, mut turn) = self.turn(now, effects);
        match groups.get_mut(group_id) {
            Some(Group::Consumer(_)) => return Ok(()),
            Some(Group::Share(_) | Group::Streams(_)) => {
                let message = format!("Group {group_id} is not a consumer group.");
                return Err(Refusal::new(ErrorCode::GroupIdNotFound, message));
            }
            Some(Group::Classic(group)) if !joins => {
                let message = format!("Group {} is not a consumer group.", group.id());
                return Err(Refusal::new(ErrorCode::GroupIdNotFound, message));
            }
            Some(Group::Classic(group)) if group.member_count() > 0 => return self.upgrade(group_id, now, effects),
            Some(Group::Classic(group)) => group.dissolve(ErrorCode::RebalanceInProgress, &mut turn),
            None if !joins => return Err(not_found(group_id)),
            None => {}
        }
        self.groups.insert(group_id.clone(), Group::Consumer(ConsumerGroup::new(group_id.clone())));
        Ok(())
    }

    /// All groups, in no order.
    pub fn list(&self) -> Vec<ListedGroup> {
        self.groups
            .iter()
            .map(|(group_id, group)| match group {
                Group::Classic(group) => ListedGroup {
                    group_id: group_id.to_string(),
                    protocol_type: group.protocol_type().unwrap_or_default().to_owned(),
                    state: group.state().name(),
                    group_type: "classic",
                },
                Group::Consumer(group) => ListedGroup {
                    group_id: group_id.to_string(),
                    protocol_type: "consumer".to_owned(),
                    state: group.state_name(),
                    group_type: "consumer",
                },
                Group::Share(group) => ListedGroup {
                    group_id: group_id.to_string(),
                    protocol_type: "share".to_owned(),
                    state: group.state_name(),
                    group_type: "share",
                },
                Group::Streams(group) => ListedGroup {
                    group_id: group_id.to_string(),
                    protocol_type: "streams".to_owned(),
                    state: group.state_name(),
                    group_type: "streams",
                },
            })
            .collect()
    }

    /// DescribeGroups for one group.
    ///
    /// # Errors
    /// There is no classic group of that name.
    pub fn describe_classic(&self, group_id: &str) -> Result<describe_groups_response::Group, NotDescribed> {
        match self.groups.get(group_id).ok_or(NotDescribed::Unknown)? {
            Group::Classic(group) => Ok(group.describe()),
            Group::Consumer(_) | Group::Share(_) | Group::Streams(_) => Err(NotDescribed::OtherProtocol),
        }
    }

    /// ConsumerGroupDescribe for one group.
    ///
    /// # Errors
    /// There is no consumer group of that name.
    pub fn describe_consumer(&self, group_id: &str) -> Result<consumer_group_describe_response::Group, NotDescribed> {
        match self.groups.get(group_id).ok_or(NotDescribed::Unknown)? {
            Group::Classic(_) | Group::Share(_) | Group::Streams(_) => Err(NotDescribed::OtherProtocol),
            Group::Consumer(group) => Ok(group.describe(self.topics.as_ref(), &self.config)),
        }
    }

    /// The cluster's topics changed; consumer groups look at them at their next heartbeat.
    pub fn topics_changed(&mut self) {
        for group in self.groups.values_mut() {
            match group {
                Group::Classic(_) => {}
                Group::Consumer(group) => group.topics_changed(),
                Group::Share(group) => group.topics_changed(),
                Group::Streams(group) => group.topics_changed(),
            }
        }
    }

    /// Runs every timer that is due.
    pub fn tick(&mut self, now: Now, effects: &mut Effects) {
        while let Some(key) = self.timers.pop_due(now.monotonic_ms) {
            self.on_timer(&key, now, effects);
        }
    }

    fn on_timer(&mut self, key: &TimerKey, now: Now, effects: &mut Effects) {
        let group_id = match key {
            TimerKey::OffsetExpiry => return self.expire_offsets(now, effects),
            TimerKey::Session { group, .. }
            | TimerKey::JoinPhase { group }
            | TimerKey::SyncPhase { group }
            | TimerKey::Revocation { group, .. }
            | TimerKey::Rejoin { group, .. }
            | TimerKey::MemberSync { group, .. }
            | TimerKey::InitialRebalance { group } => group,
        };
        let topics = self.topics.clone();
        let (groups, mut turn) = self.turn(now, effects);
        match (groups.get_mut(group_id), key) {
            (Some(Group::Classic(group)), TimerKey::Session { member, .. }) => {
                group.on_session_timer(member, &mut turn)
            }
            (Some(Group::Classic(group)), TimerKey::JoinPhase { .. }) => group.on_join_phase_timer(&mut turn),
            (Some(Group::Classic(group)), TimerKey::SyncPhase { .. }) => group.on_sync_phase_timer(&mut turn),
            (Some(Group::Consumer(group)), TimerKey::Session { member, .. }) => {
                group.on_session_timer(member, &mut turn)
            }
            (Some(Group::Share(group)), TimerKey::Session { member, .. }) => {
                group.on_session_timer(member, topics.as_ref(), &mut turn);
            }
            (Some(Group::Streams(group)), TimerKey::Session { member, .. }) => {
                group.on_session_timer(member, &mut turn)
            }
            (Some(Group::Streams(group)), TimerKey::Revocation { member, .. }) => {
                group.on_revocation_timer(member, &mut turn);
            }
            (Some(Group::Streams(group)), TimerKey::InitialRebalance { .. }) => {
                group.on_initial_rebalance_timer(topics.as_ref(), &mut turn);
            }
            (Some(Group::Consumer(group)), TimerKey::Revocation { member, .. }) => {
                group.on_revocation_timer(member, &mut turn);
            }
            (Some(Group::Consumer(group)), TimerKey::Rejoin { member, .. } | TimerKey::MemberSync { member, .. }) => {
                group.on_classic_timer(member, &mut turn)
            }
            _ => {}
        }
        self.maybe_downgrade(group_id, now, effects);
    }

    /// When [`tick`](Self::tick) has something to do next, on the monotonic clock.
    pub fn next_deadline(&self) -> Option<i64> {
        self.timers.next_deadline()
    }

    pub(super) fn turn<'a>(
        &'a mut self,
        now: Now,
        effects: &'a mut Effects,
    ) -> (&'a mut HashMap<Arc<str>, Group>, Turn<'a>) {
        (&mut self.groups, Turn { now, config: &self.config, timers: &mut self.timers, effects })
    }
}

fn known_group<'a>(groups: &'a mut HashMap<Arc<str>, Group>, group_id: &str) -> Result<&'a mut Group, ErrorCode> {
    if group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    match groups.get_mut(group_id) {
        None | Some(Group::Share(_) | Group::Streams(_)) => Err(ErrorCode::UnknownMemberId),
        Some(group) => Ok(group),
    }
}

fn not_found(group_id: &str) -> Refusal {
    Refusal::new(ErrorCode::GroupIdNotFound, format!("Group {group_id} not found."))
}
