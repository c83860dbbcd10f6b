//! ShareGroupHeartbeat: join, stay, change the subscription, leave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milena_protocol::messages::share_group_heartbeat_response::{Assignment as Assigned, TopicPartitions};
use milena_protocol::messages::{
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse, ShareGroupTargetAssignmentMetadataValue,
};
use milena_protocol::{ErrorCode, Uuid};

use super::assign::{Subscriber, assign};
use super::group::{ShareGroup, ShareMember};
use super::offsets::ShareTopic;
use super::records;
use crate::group::client::ClientIdentity;
use crate::group::consumer::{LEAVE_EPOCH, Refusal, topics_digest};
use crate::group::effects::Turn;
use crate::group::topics::TopicsView;

/// What a heartbeat comes to.
#[derive(Debug)]
pub enum ShareHeartbeat {
    /// The answer.
    Answer(ShareGroupHeartbeatResponse),
    /// Nothing has happened yet: the state of these partitions is to be initialized at the given state epoch first, then
    /// the heartbeat is to be repeated.
    Initialize {
        /// The epoch for the new state.
        state_epoch: i32,
        /// The partitions.
        topics: Vec<ShareTopic>,
    },
}

/// Checks the fields of a heartbeat.
///
/// # Errors
/// INVALID_REQUEST.
pub fn check_request(request: &ShareGroupHeartbeatRequest) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    if request.group_id.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if request.member_id.trim().is_empty() {
        return invalid("MemberId can't be empty.");
    }
    if request.rack_id.as_ref().is_some_and(|rack| rack.trim().is_empty()) {
        return invalid("RackId can't be empty.");
    }
    if request.member_epoch < LEAVE_EPOCH {
        return invalid(&format!("MemberEpoch is {}, but must be greater than or equal to -1.", request.member_epoch));
    }
    if request.member_epoch == 0 && request.subscribed_topic_names.as_ref().is_none_or(Vec::is_empty) {
        return invalid("SubscribedTopicNames must be set in first request.");
    }
    Ok(())
}

impl ShareGroup {
    /// Handles a heartbeat that passed [`check_request`]. `initialized` are partitions whose state has been initialized
    /// for it; `None` on the first attempt.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, GROUP_MAX_SIZE_REACHED; the group is then unchanged.
    pub fn heartbeat(
        &mut self,
        request: &ShareGroupHeartbeatRequest,
        client: ClientIdentity,
        initialized: Option<Vec<ShareTopic>>,
        topics: &dyn TopicsView,
        turn: &mut Turn<'_>,
    ) -> Result<ShareHeartbeat, Refusal> {
        if request.member_epoch == LEAVE_EPOCH {
            return self.leave(request, topics, turn).map(ShareHeartbeat::Answer);
        }
        self.check_member(request, turn)?;
        if initialized.is_none() {
            let missing = self.uninitialized(request, topics);
            if !missing.is_empty() {
                return Ok(ShareHeartbeat::Initialize {
                    state_epoch: self.group_epoch.saturating_add(1),
                    topics: missing,
                });
            }
        }
        let newly_initialized = self.note_initialized(initialized.unwrap_or_default(), turn);
        let member_id: Arc<str> = request.member_id.as_str().into();
        let changed = self.update_member(&member_id, request, client, turn);
        let mut advance = changed || newly_initialized;
        if advance || self.metadata_stale {
            advance |= self.refresh_metadata(topics);
        }
        if advance {
            self.bump_epoch(turn);
        }
        self.update_target(topics, turn);
        let moved = self.move_to_target(&member_id, turn);
        self.touch_session(&member_id, topics, turn);
        let is_full = request.member_epoch == 0 || request.subscribed_topic_names.is_some();
        Ok(ShareHeartbeat::Answer(self.response(&member_id, moved || is_full, topics, turn)))
    }

    fn check_member(&self, request: &ShareGroupHeartbeatRequest, turn: &Turn<'_>) -> Result<(), Refusal> {
        let Some(member) = self.members.get(request.member_id.as_str()) else {
            if request.member_epoch > 0 {
                return Err(self.unknown_member(&request.member_id));
            }
            if self.members.len() >= turn.config.share_max_size {
                let message = format!(
                    "The share group has reached its maximum capacity of {} members.",
                    turn.config.share_max_size
                );
                return Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message));
            }
            return Ok(());
        };
        let (sent, known) = (request.member_epoch, member.member_epoch);
        if sent == 0 || sent == known || (sent < known && sent == member.previous_member_epoch) {
            return Ok(());
        }
        let message = format!(
            "The share group member has a {} member epoch ({sent}) than the one known by the group coordinator ({known}). \
             The member must abandon all its partitions and rejoin.",
            if sent > known { "greater" } else { "smaller" },
        );
        Err(Refusal::new(ErrorCode::FencedMemberEpoch, message))
    }

    fn unknown_member(&self, member_id: &str) -> Refusal {
        Refusal::new(ErrorCode::UnknownMemberId, format!("Member {member_id} is not a member of group {}.", self.id))
    }

    /// Partitions that members subscribe to and that have no share state. Only looked for when something may have changed.
    fn uninitialized(&self, request: &ShareGroupHeartbeatRequest, topics: &dyn TopicsView) -> Vec<ShareTopic> {
        if request.subscribed_topic_names.is_none() && !self.metadata_stale {
            return Vec::new();
        }
        let mut names: BTreeSet<&String> =
            self.members.values().flat_map(|member| member.subscribed_names.iter()).collect();
        names.extend(request.subscribed_topic_names.iter().flatten());
        let mut missing = Vec::new();
        for name in names {
            let Some(topic) = topics.topic(name) else { continue };
            let known = self.initialized.get(&topic.id);
            let partitions: Vec<i32> = (0..topic.partitions)
                .filter(|partition| known.is_none_or(|known| !known.partitions.contains(partition)))
                .collect();
            if !partitions.is_empty() {
                // Partitions that are added to a topic the group reads already are read from their beginning.
                let start_offset = if known.is_some() { 0 } else { -1 };
                missing.push(ShareTopic { id: topic.id, name: name.clone(), partitions, start_offset });
            }
        }
        missing
    }

    pub(super) fn note_initialized(&mut self, topics: Vec<ShareTopic>, turn: &mut Turn<'_>) -> bool {
        if topics.is_empty() {
            return false;
        }
        for topic in topics {
            let entry = self.initialized.entry(topic.id).or_default();
            entry.name = topic.name;
            entry.partitions.extend(topic.partitions);
        }
        self.record_initialized(turn);
        true
    }

    /// Takes over what the request says about the member. Says whether that concerns the assignment.
    fn update_member(
        &mut self,
        member_id: &Arc<str>,
        request: &ShareGroupHeartbeatRequest,
        client: ClientIdentity,
        turn: &mut Turn<'_>,
    ) -> bool {
        let before = self.members.get(member_id).cloned();
        let mut member = before.clone().unwrap_or_else(|| ShareMember::new(member_id.clone(), client.clone()));
        member.client = client;
        if request.rack_id.is_some() {
            member.rack_id.clone_from(&request.rack_id);
        }
        if let Some(names) = &request.subscribed_topic_names {
            member.subscribed_names = names.iter().cloned().collect();
        }
        let changed = before.as_ref().is_none_or(|before| before.subscribed_names != member.subscribed_names);
        if before.as_ref() != Some(&member) {
            turn.effects.record(records::member(&self.id, member_id, Some(&member.stored())));
        }
        self.members.insert(member_id.clone(), member);
        changed
    }

    /// Takes over the current state of the subscribed topics. Says whether it differs from the last epoch's.
    pub(super) fn refresh_metadata(&mut self, topics: &dyn TopicsView) -> bool {
        let names = self.members.values().flat_map(|member| member.subscribed_names.iter().cloned()).collect();
        let digest = topics_digest(&names, topics);
        self.metadata_stale = false;
        std::mem::replace(&mut self.metadata_hash, digest) != digest
    }

    /// Brings the target to the group's epoch, unless the last one is younger than the assignment interval.
    fn update_target(&mut self, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        let interval = i64::from(self.assignment_interval_ms(topics, turn.config));
        let is_too_early = self.target_timestamp.is_some_and(|last| (0..interval).contains(&(turn.now.unix_ms - last)));
        if self.target_epoch >= self.group_epoch || is_too_early {
            return;
        }
        let subscribers: Vec<Subscriber> = self
            .members
            .values()
            .map(|member| Subscriber {
                member_id: member.member_id.clone(),
                topics: member.subscribed_names.iter().filter_map(|name| topics.topic(name)).map(|t| t.id).collect(),
                previous: self.target.get(&member.member_id).cloned().unwrap_or_default(),
            })
            .collect();
        let partitions: BTreeMap<Uuid, BTreeSet<i32>> = self
            .initialized
            .iter()
            .filter(|(id, _)| subscribers.iter().any(|subscriber| subscriber.topics.contains(id)))
            .map(|(id, topic)| (*id, topic.partitions.clone()))
            .collect();
        for (member_id, assignment) in assign(&subscribers, &partitions) {
            if self.target.get(&member_id) != Some(&assignment) {
                turn.effects.record(records::target_member(&self.id, &member_id, Some(&assignment)));
                self.target.insert(member_id, assignment);
            }
        }
        self.target_epoch = self.group_epoch;
        self.target_timestamp = Some(turn.now.unix_ms);
        let value = ShareGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.target_epoch,
            assignment_timestamp: turn.now.unix_ms,
        };
        turn.effects.record(records::target(&self.id, Some(&value)));
    }

    /// Moves the member to the target. Says whether what it may read changed.
    fn move_to_target(&mut self, member_id: &str, turn: &mut Turn<'_>) -> bool {
        let target = self.target.get(member_id).cloned().unwrap_or_default();
        let Some(member) = self.members.get_mut(member_id) else { return false };
        if member.member_epoch == self.target_epoch {
            return false;
        }
        let changed = member.assigned != target;
        member.previous_member_epoch = member.member_epoch;
        member.member_epoch = self.target_epoch;
        member.assigned = target;
        turn.effects.record(records::current(&self.id, member_id, Some(member)));
        changed
    }

    fn response(
        &self,
        member_id: &str,
        with_assignment: bool,
        topics: &dyn TopicsView,
        turn: &Turn<'_>,
    ) -> ShareGroupHeartbeatResponse {
        let member = self.members.get(member_id);
        let topic_partitions = member.filter(|_| with_assignment).map(|member| {
            let assigned = member.assigned.iter();
            assigned
                .map(|(topic, partitions)| TopicPartitions {
                    topic_id: *topic,
                    partitions: partitions.iter().copied().collect(),
                })
                .collect()
        });
        ShareGroupHeartbeatResponse {
            member_id: Some(member_id.to_owned()),
            member_epoch: member.map_or(0, |member| member.member_epoch),
            heartbeat_interval_ms: self.heartbeat_interval_ms(topics, turn.config),
            assignment: topic_partitions.map(|topic_partitions| Assigned { topic_partitions }),
            ..ShareGroupHeartbeatResponse::default()
        }
    }

    fn leave(
        &mut self,
        request: &ShareGroupHeartbeatRequest,
        topics: &dyn TopicsView,
        turn: &mut Turn<'_>,
    ) -> Result<ShareGroupHeartbeatResponse, Refusal> {
        if !self.members.contains_key(request.member_id.as_str()) {
            return Err(self.unknown_member(&request.member_id));
        }
        tracing::info!(group = %self.id, member = %request.member_id, "share group member leaves");
        self.remove_member(&request.member_id, topics, turn);
        Ok(ShareGroupHeartbeatResponse {
            member_id: Some(request.member_id.clone()),
            member_epoch: LEAVE_EPOCH,
            ..ShareGroupHeartbeatResponse::default()
        })
    }
}
