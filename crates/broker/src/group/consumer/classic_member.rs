//! Members that speak the classic protocol inside a group of the consumer protocol (KIP-848, online migration).
//!
//! They keep JoinGroup, SyncGroup, Heartbeat and LeaveGroup, and nothing is ever parked: a join takes the member one
//! step towards its target, as a heartbeat of the new protocol does, a sync hands out what it holds by then, and
//! REBALANCE_IN_PROGRESS tells it to join again when the next step is due. Its generation is its member epoch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::ErrorCode;
use milena_protocol::messages::leave_group_request::Member as Leaving;
use milena_protocol::messages::leave_group_response::Member as Left;
use milena_protocol::messages::{HeartbeatRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse};

use super::group::ConsumerGroup;
use super::member::{ConsumerMember, MemberState};
use crate::group::assignor::Assignment;
use crate::group::classic::JoinRequest;
use crate::group::config::MigrationPolicy;
use crate::group::effects::Turn;
use crate::group::embedded_protocol::{self, CONSUMER_PROTOCOL_TYPE, NamedPartitions, Subscription};
use crate::group::records;
use crate::group::timers::TimerKey;
use crate::group::topics::TopicsView;

/// What a member of the classic protocol has beside what every member has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMembership {
    /// How long it may be silent, in ms; the member chose it.
    pub session_timeout_ms: i32,
    /// Its assignors by preference: name and subscription.
    pub protocols: Vec<(String, Bytes)>,
}

impl ClassicMembership {
    /// The protocol in which it is answered.
    fn protocol_name(&self) -> Option<&str> {
        self.protocols.first().map(|(name, _)| name.as_str())
    }

    /// The version in which its assignments are written: that of its subscription.
    pub fn assignment_version(&self) -> i16 {
        let subscription = self.protocols.first().and_then(|(_, metadata)| embedded_protocol::subscription(metadata));
        subscription.map_or(0, |subscription| subscription.version)
    }
}

/// Partitions by name as partitions by id; topics that are gone are left out.
pub fn with_ids(partitions: NamedPartitions, topics: &dyn TopicsView) -> Assignment {
    let mut assignment = Assignment::new();
    for (name, partitions) in partitions {
        if let Some(topic) = topics.topic(&name)
            && !partitions.is_empty()
        {
            assignment.entry(topic.id).or_default().extend(partitions);
        }
    }
    assignment
}

/// Partitions by id as partitions by name; topics that are gone are left out.
pub fn with_names(assignment: &Assignment, topics: &dyn TopicsView) -> NamedPartitions {
    let named = assignment.iter().filter_map(|(topic, partitions)| {
        topics.topic_name(topic).map(|name| (name, partitions.iter().copied().collect()))
    });
    named.collect()
}

impl ConsumerGroup {
    /// JoinGroup of a classic member.
    ///
    /// # Errors
    /// INCONSISTENT_GROUP_PROTOCOL, GROUP_MAX_SIZE_REACHED, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
    pub fn classic_join(
        &mut self,
        request: JoinRequest,
        topics: &dyn TopicsView,
        turn: &mut Turn<'_>,
    ) -> Result<JoinGroupResponse, ErrorCode> {
        let subscription = self.check_classic_join(&request, turn)?;
        if request.member_id.is_empty() && request.requires_known_member() {
            return Ok(JoinGroupResponse {
                error_code: ErrorCode::MemberIdRequired.code(),
                protocol_name: None,
                member_id: request.generated_member_id().to_string(),
                ..JoinGroupResponse::default()
            });
        }
        let (member_id, is_new) = self.classic_seat(&request, turn)?;
        let rebalance_timeout_ms = request.rebalance_timeout_ms;
        let owned = with_ids(subscription.owned.clone(), topics);
        let resubscribed = self.update_classic_member(&member_id, request, subscription, turn);
        self.advance_epochs(is_new || resubscribed, topics, turn);
        self.reconcile_member(&member_id, Some(&owned), turn);
        turn.timers.cancel(&self.rejoin_key(&member_id));
        let deadline = turn.now.monotonic_ms + i64::from(rebalance_timeout_ms.max(0));
        turn.timers.schedule(self.sync_key(&member_id), deadline);
        self.touch_session(&member_id, topics, turn);
        let member = self.members.get(&member_id).ok_or(ErrorCode::UnknownMemberId)?;
        Ok(JoinGroupResponse {
            generation_id: member.holding.member_epoch,
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
            protocol_name: member.classic.as_ref().and_then(ClassicMembership::protocol_name).map(str::to_owned),
            member_id: member_id.to_string(),
            ..JoinGroupResponse::default()
        })
    }

    fn check_classic_join(&self, request: &JoinRequest, turn: &Turn<'_>) -> Result<Subscription, ErrorCode> {
        let supported = turn.config.migration_policy != MigrationPolicy::Disabled
            && request.protocol_type == CONSUMER_PROTOCOL_TYPE
            && self.shares_a_protocol(request);
        let subscription = request.protocols.first().and_then(|(_, bytes)| embedded_protocol::subscription(bytes));
        let subscription = subscription.filter(|_| supported).ok_or(ErrorCode::InconsistentGroupProtocol)?;
        let is_known = self.members.contains_key(request.member_id.as_str());
        if !is_known && self.members.len() >= turn.config.consumer_max_size {
            return Err(ErrorCode::GroupMaxSizeReached);
        }
        Ok(subscription)
    }

    /// Whether the other classic members all support one of the request's protocols, so that the group can still
    /// become a classic one.
    fn shares_a_protocol(&self, request: &JoinRequest) -> bool {
        let others: Vec<&ClassicMembership> = self
            .members
            .values()
            .filter(|member| member.member_id.as_ref() != request.member_id)
            .filter_map(|member| member.classic.as_ref())
            .collect();
        let supports =
            |other: &&ClassicMembership, name: &String| other.protocols.iter().any(|(known, _)| known == name);
        request.protocols.iter().any(|(name, _)| others.iter().all(|other| supports(other, name)))
    }

    /// Finds the member, or makes it one; says whether it is new.
    fn classic_seat(&mut self, request: &JoinRequest, turn: &mut Turn<'_>) -> Result<(Arc<str>, bool), ErrorCode> {
        let holder = request.group_instance_id.as_ref().map(|instance| self.static_members.get(instance).cloned());
        let member_id: Arc<str> = match request.member_id.as_str() {
            "" => request.generated_member_id(),
            known => known.into(),
        };
        match holder {
            Some(Some(holder)) if holder == member_id => return Ok((member_id, false)),
            Some(Some(holder)) if request.member_id.is_empty() => {
                self.replace_static_member(&holder, member_id.clone(), &request.client, turn);
                return Ok((member_id, false));
            }
            Some(Some(_)) => return Err(ErrorCode::FencedInstanceId),
            Some(None) if !request.member_id.is_empty() => return Err(ErrorCode::UnknownMemberId),
            None if self.members.contains_key(&member_id) => return Ok((member_id, false)),
            Some(None) | None => {}
        }
        if let Some(instance_id) = &request.group_instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        let member = ConsumerMember {
            instance_id: request.group_instance_id.clone(),
            ..ConsumerMember::new(member_id.clone(), request.client.clone())
        };
        self.members.insert(member_id.clone(), member);
        Ok((member_id, true))
    }

    fn update_classic_member(
        &mut self,
        member_id: &str,
        request: JoinRequest,
        subscription: Subscription,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(member) = self.members.get_mut(member_id) else { return false };
        let before = member.clone();
        member.client = request.client;
        member.rack_id = subscription.rack_id.filter(|rack| !rack.is_empty()).or(member.rack_id.take());
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.server_assignor = None;
        member.subscribed_names = subscription.topics;
        member.subscribed_regex = None;
        member.classic =
            Some(ClassicMembership { session_timeout_ms: request.session_timeout_ms, protocols: request.protocols });
        let resubscribed = !member.subscribes_like(&before);
        if *member != before {
            let value = member.stored();
            turn.effects.record(records::consumer_member(&self.id, member_id, Some(&value)));
        }
        self.drop_unused_regexes(turn);
        resubscribed
    }

    /// SyncGroup of a classic member: what it may read now.
    ///
    /// # Errors
    /// REBALANCE_IN_PROGRESS when it has to join again first; UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID,
    /// ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL.
    pub fn classic_sync(
        &mut self,
        request: &SyncGroupRequest,
        topics: &dyn TopicsView,
        turn: &mut Turn<'_>,
    ) -> Result<SyncGroupResponse, ErrorCode> {
        let instance_id = request.group_instance_id.as_deref();
        let (member, classic) = self.classic_member(&request.member_id, instance_id, request.generation_id)?;
        let differs = |theirs: &Option<String>, ours: Option<&str>| theirs.is_some() && theirs.as_deref() != ours;
        if differs(&request.protocol_type, Some(CONSUMER_PROTOCOL_TYPE))
            || differs(&request.protocol_name, classic.protocol_name())
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        // One that was told to revoke has joined for that; the join after the revocation catches up.
        if self.target_epoch > member.holding.member_epoch && member.holding.state != MemberState::UnrevokedPartitions {
            self.expect_rejoin(member, turn);
            return Err(ErrorCode::RebalanceInProgress);
        }
        let partitions = with_names(&member.holding.assigned, topics);
        let response = SyncGroupResponse {
            protocol_type: Some(CONSUMER_PROTOCOL_TYPE.to_owned()),
            protocol_name: classic.protocol_name().map(str::to_owned),
            assignment: embedded_protocol::encode_assignment(classic.assignment_version(), partitions)
                .ok_or(ErrorCode::UnknownServerError)?,
            ..SyncGroupResponse::default()
        };
        turn.timers.cancel(&self.sync_key(&request.member_id));
        self.touch_session(&request.member_id, topics, turn);
        Ok(response)
    }

    /// Heartbeat of a classic member.
    ///
    /// # Errors
    /// REBALANCE_IN_PROGRESS tells it to join again: there is a new target, something to revoke, or something that
    /// it waited for is free. UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION.
    pub fn classic_heartbeat(
        &mut self,
        request: &HeartbeatRequest,
        topics: &dyn TopicsView,
        turn: &mut Turn<'_>,
    ) -> Result<(), ErrorCode> {
        let instance_id = request.group_instance_id.as_deref();
        self.classic_member(&request.member_id, instance_id, request.generation_id)?;
        self.touch_session(&request.member_id, topics, turn);
        self.advance_epochs(false, topics, turn);
        let (member, _) = self.classic_member(&request.member_id, instance_id, request.generation_id)?;
        let must_rejoin = member.holding.member_epoch < self.target_epoch
            || match member.holding.state {
                MemberState::Stable => false,
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !self.waits_for_others(member),
            };
        if must_rejoin {
            self.expect_rejoin(member, turn);
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// Whether something of the member's target is still held by others.
    fn waits_for_others(&self, member: &ConsumerMember) -> bool {
        self.target.get(&member.member_id).is_some_and(|target| {
            target.iter().any(|(topic, partitions)| {
                partitions.iter().any(|partition| self.is_held_by_other(&member.member_id, topic, *partition))
            })
        })
    }

    /// LeaveGroup of classic members, and of static members that an administrator removes. One new epoch for all.
    pub fn classic_leave(&mut self, members: Vec<Leaving>, turn: &mut Turn<'_>) -> Vec<Left> {
        let mut removed = BTreeSet::new();
        let mut left = Vec::with_capacity(members.len());
        for leaving in members {
            let code = match self.leaving_member(&leaving) {
                Ok(member_id) if removed.contains(&member_id) => ErrorCode::UnknownMemberId,
                Ok(member_id) => {
                    tracing::info!(group = %self.id, member = %member_id, reason = ?leaving.reason, "member leaves");
                    removed.insert(member_id);
                    ErrorCode::None
                }
                Err(code) => code,
            };
            left.push(Left {
                member_id: leaving.member_id,
                group_instance_id: leaving.group_instance_id,
                error_code: code.code(),
            });
        }
        for member_id in &removed {
            self.erase_member(member_id, turn);
        }
        if !removed.is_empty() {
            self.drop_unused_regexes(turn);
            self.bump_epoch(turn);
        }
        left
    }

    fn leaving_member(&self, leaving: &Leaving) -> Result<Arc<str>, ErrorCode> {
        let Some(instance_id) = &leaving.group_instance_id else {
            let member = self.members.get(leaving.member_id.as_str()).filter(|member| member.classic.is_some());
            return member.map(|member| member.member_id.clone()).ok_or(ErrorCode::UnknownMemberId);
        };
        let holder = self.static_members.get(instance_id).ok_or(ErrorCode::UnknownMemberId)?;
        // An administrator knows only the instance id (KIP-345).
        if !leaving.member_id.is_empty() && leaving.member_id != holder.as_ref() {
            return Err(ErrorCode::FencedInstanceId);
        }
        Ok(holder.clone())
    }

    /// The classic member that a request is about, if it is of the member's generation.
    fn classic_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation_id: i32,
    ) -> Result<(&ConsumerMember, &ClassicMembership), ErrorCode> {
        if let Some(instance_id) = instance_id {
            let holder = self.static_members.get(instance_id).ok_or(ErrorCode::UnknownMemberId)?;
            if holder.as_ref() != member_id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        let classic = member.classic.as_ref().ok_or(ErrorCode::UnknownMemberId)?;
        if member.holding.member_epoch != generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok((member, classic))
    }

    /// The member was told to join again, and has its rebalance timeout for that.
    fn expect_rejoin(&self, member: &ConsumerMember, turn: &mut Turn<'_>) {
        let key = self.rejoin_key(&member.member_id);
        if turn.timers.deadline(&key).is_none() {
            turn.timers.schedule(key, turn.now.monotonic_ms + i64::from(member.rebalance_timeout_ms.max(0)));
        }
    }

    /// A classic member neither joined again nor asked for its assignment in time.
    pub fn on_classic_timer(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        if self.members.get(member_id).is_some_and(|member| member.classic.is_some()) {
            tracing::info!(group = %self.id, member = %member_id, "classic member did not follow the rebalance in time");
            self.remove_member(member_id, turn);
        }
    }

    pub(super) fn rejoin_key(&self, member_id: &str) -> TimerKey {
        TimerKey::Rejoin { group: self.id.clone(), member: member_id.into() }
    }

    pub(super) fn sync_key(&self, member_id: &str) -> TimerKey {
        TimerKey::MemberSync { group: self.id.clone(), member: member_id.into() }
    }

    /// Whether there are members and all of them speak the classic protocol: the group may become a classic one.
    pub fn is_all_classic(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(|member| member.classic.is_some())
    }

    /// Members with their target assignments, for a group that becomes a classic one.
    pub fn classic_members(&self) -> BTreeMap<Arc<str>, (&ConsumerMember, &ClassicMembership, Assignment)> {
        let members = self.members.iter().filter_map(|(member_id, member)| {
            let target = self.target.get(member_id).cloned().unwrap_or_default();
            Some((member_id.clone(), (member, member.classic.as_ref()?, target)))
        });
        members.collect()
    }
}
