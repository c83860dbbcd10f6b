//! ConsumerGroupHeartbeat: join, stay, change the subscription, report what was given up, leave.

use std::sync::Arc;

use milena_protocol::messages::consumer_group_heartbeat_response::{Assignment as Assigned, TopicPartitions};
use milena_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use milena_protocol::{ErrorCode, Uuid};

use super::group::ConsumerGroup;
use super::member::{ConsumerMember, Holding, MemberState};
use super::reconcile::{is_subset, reconcile};
use super::request::{LEAVE_EPOCH, Refusal, STATIC_LEAVE_EPOCH};
use super::subscription::compile;
use super::target::target_value;
use crate::group::assignor::{Assignment, ServerAssignor};
use crate::group::client::ClientIdentity;
use crate::group::effects::Turn;
use crate::group::records;
use crate::group::topics::TopicsView;

impl ConsumerGroup {
    /// Handles a heartbeat that passed [`super::check_request`].
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, FENCED_INSTANCE_ID, UNRELEASED_INSTANCE_ID, GROUP_MAX_SIZE_REACHED,
    /// INVALID_REGULAR_EXPRESSION; the group is then unchanged.
    pub fn heartbeat(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
        client: ClientIdentity,
        topics: &dyn TopicsView,
        turn: &mut Turn<'_>,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        if matches!(request.member_epoch, LEAVE_EPOCH | STATIC_LEAVE_EPOCH) {
            return self.leave(&request, topics, turn);
        }
        if let Some(expression) = request.subscribed_topic_regex.as_ref().filter(|expression| !expression.is_empty()) {
            compile(expression)?;
        }
        let owned = request.topic_partitions.as_ref().map(|owned| {
            owned
                .iter()
                .map(|topic| (topic.topic_id, topic.partitions.iter().copied().collect()))
                .collect::<Assignment>()
        });
        let (member_id, is_new) = self.seat(&request, &client, owned.as_ref(), turn)?;
        let resubscribed = self.update_member(&member_id, &request, client, turn);
        let regexes_changed = self.refresh_regexes(topics, turn);
        self.advance_epochs(is_new || resubscribed || regexes_changed, topics, turn);
        let changed = self.reconcile_member(&member_id, owned.as_ref(), turn);
        self.touch_session(&member_id, topics, turn);
        Ok(self.response(&member_id, changed || is_full(&request), topics, turn))
    }

    /// Finds the member, or makes it one; checks its epoch.
    fn seat(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        client: &ClientIdentity,
        owned: Option<&Assignment>,
        turn: &mut Turn<'_>,
    ) -> Result<(Arc<str>, bool), Refusal> {
        if request.member_epoch > 0 {
            return self.known_member(request, owned).map(|member_id| (member_id, false));
        }
        let member_id: Arc<str> = match request.member_id.as_str() {
            // Version 0 leaves the choice to us.
            "" => Uuid::random().to_string().into(),
            chosen => chosen.into(),
        };
        if let Some(holder) =
            request.instance_id.as_ref().and_then(|instance| self.static_members.get(instance)).cloned()
            && holder != member_id
        {
            self.take_over(&holder, member_id.clone(), client, turn)?;
            return Ok((member_id, false));
        }
        if self.members.contains_key(&member_id) {
            self.start_over(&member_id, turn);
            return Ok((member_id, false));
        }
        if self.members.len() >= turn.config.consumer_max_size {
            let message = format!(
                "The consumer group has reached its maximum capacity of {} members.",
                turn.config.consumer_max_size
            );
            return Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message));
        }
        let mut member = ConsumerMember::new(member_id.clone(), client.clone());
        member.instance_id.clone_from(&request.instance_id);
        if let Some(instance_id) = &request.instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.members.insert(member_id.clone(), member);
        Ok((member_id, true))
    }

    fn known_member(
        &self,
        request: &ConsumerGroupHeartbeatRequest,
        owned: Option<&Assignment>,
    ) -> Result<Arc<str>, Refusal> {
        let member = self.member_to_leave(request)?;
        let holding = &member.holding;
        let lost_answer = request.member_epoch == holding.previous_member_epoch
            && owned.is_some_and(|owned| is_subset(owned, &holding.assigned));
        if request.member_epoch == holding.member_epoch || (request.member_epoch < holding.member_epoch && lost_answer)
        {
            return Ok(member.member_id.clone());
        }
        let message = format!(
            "The consumer group member has a {} member epoch ({}) than the one known by the group coordinator ({}). \
             The member must abandon all its partitions and rejoin.",
            if request.member_epoch > holding.member_epoch { "greater" } else { "smaller" },
            request.member_epoch,
            holding.member_epoch,
        );
        Err(Refusal::new(ErrorCode::FencedMemberEpoch, message))
    }

    fn member_to_leave(&self, request: &ConsumerGroupHeartbeatRequest) -> Result<&ConsumerMember, Refusal> {
        let unknown = || {
            let message = format!("Member {} is not a member of group {}.", request.member_id, self.id);
            Refusal::new(ErrorCode::UnknownMemberId, message)
        };
        if let Some(instance_id) = &request.instance_id {
            let holder = self.static_members.get(instance_id).ok_or_else(unknown)?;
            if holder.as_ref() != request.member_id {
                let message = format!("Static member {instance_id} was fenced by member {holder}.");
                return Err(Refusal::new(ErrorCode::FencedInstanceId, message));
            }
        }
        self.members.get(request.member_id.as_str()).ok_or_else(unknown)
    }

    /// A member comes back with epoch 0 and owns nothing: what it held is free at once.
    fn start_over(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.revocation_key(member_id));
        self.restore_holding(member_id, Holding::default());
    }

    /// A static member that left for a moment comes back under a new id and takes over its target.
    fn take_over(
        &mut self,
        holder: &Arc<str>,
        member_id: Arc<str>,
        client: &ClientIdentity,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let Some(old) = self.members.get(holder) else { return Ok(()) };
        // A classic member cannot say that it is only away for a moment.
        if old.classic.is_none() && old.holding.member_epoch != STATIC_LEAVE_EPOCH {
            let instance_id = old.instance_id.as_deref().unwrap_or_default();
            let message = format!(
                "Static member {member_id} with instance id {instance_id} cannot join the group because the instance \
                 id is used by another member {holder}."
            );
            return Err(Refusal::new(ErrorCode::UnreleasedInstanceId, message));
        }
        self.replace_static_member(holder, member_id, client, turn);
        Ok(())
    }

    /// Gives the seat of static member `holder` to `member_id`, which owns nothing and inherits the target.
    pub(super) fn replace_static_member(
        &mut self,
        holder: &Arc<str>,
        member_id: Arc<str>,
        client: &ClientIdentity,
        turn: &mut Turn<'_>,
    ) {
        let Some(old) = self.members.get(holder).cloned() else { return };
        let instance_id = old.instance_id.clone().unwrap_or_default();
        let target = self.target.get(holder).cloned();
        self.erase_member(holder, turn);
        self.static_members.insert(instance_id, member_id.clone());
        let member =
            ConsumerMember { member_id: member_id.clone(), client: client.clone(), holding: Holding::default(), ..old };
        turn.effects.record(records::consumer_member(&self.id, &member_id, Some(&member.stored())));
        self.members.insert(member_id.clone(), member);
        if let Some(target) = target {
            let value = target_value(&target);
            turn.effects.record(records::consumer_target_member(&self.id, &member_id, Some(&value)));
            self.target.insert(member_id, target);
        }
    }

    /// Takes over what the request says about the member. Says whether it subscribes differently now.
    fn update_member(
        &mut self,
        member_id: &str,
        request: &ConsumerGroupHeartbeatRequest,
        client: ClientIdentity,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(member) = self.members.get_mut(member_id) else { return false };
        let before = member.clone();
        member.client = client;
        member.classic = None;
        if request.rack_id.is_some() {
            member.rack_id.clone_from(&request.rack_id);
        }
        if request.rebalance_timeout_ms != -1 {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(assignor) = &request.server_assignor {
            member.server_assignor = ServerAssignor::from_name(assignor);
        }
        if let Some(names) = &request.subscribed_topic_names {
            member.subscribed_names = names.iter().cloned().collect();
        }
        if let Some(expression) = &request.subscribed_topic_regex {
            // The empty expression takes back an earlier one.
            member.subscribed_regex = Some(expression.clone()).filter(|expression| !expression.is_empty());
        }
        let resubscribed = !member.subscribes_like(&before);
        let record = (*member != before || before.rebalance_timeout_ms == -1).then(|| member.stored());
        if let Some(value) = record {
            turn.effects.record(records::consumer_member(&self.id, member_id, Some(&value)));
        }
        if resubscribed {
            self.drop_unused_regexes(turn);
        }
        resubscribed
    }

    /// Starts a new group epoch if members, subscriptions or topics changed, and brings the target up to it.
    pub(super) fn advance_epochs(&mut self, members_changed: bool, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        let mut changed = members_changed;
        if changed || self.metadata_stale {
            changed |= self.refresh_metadata(topics);
        }
        if changed {
            self.bump_epoch(turn);
        }
        self.update_target(topics, turn);
    }

    /// Moves the member towards the target. Says whether what it may read changed.
    pub(super) fn reconcile_member(
        &mut self,
        member_id: &str,
        owned: Option<&Assignment>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(member) = self.members.get(member_id) else { return false };
        let none = Assignment::new();
        let target = self.target.get(member_id).unwrap_or(&none);
        let held_by_other = |topic: &Uuid, partition: i32| self.is_held_by_other(member_id, topic, partition);
        let next = reconcile(&member.holding, self.target_epoch, target, owned, held_by_other);
        if next == member.holding {
            return false;
        }
        let assignment_changed = next.assigned != member.holding.assigned;
        if next.state == MemberState::UnrevokedPartitions {
            self.start_revocation_timer(member, turn);
        } else {
            turn.timers.cancel(&self.revocation_key(member_id));
        }
        self.set_holding(member_id, next, turn);
        assignment_changed
    }

    fn response(
        &self,
        member_id: &str,
        with_assignment: bool,
        topics: &dyn TopicsView,
        turn: &Turn<'_>,
    ) -> ConsumerGroupHeartbeatResponse {
        let holding = self.members.get(member_id).map(|member| member.holding.clone()).unwrap_or_default();
        ConsumerGroupHeartbeatResponse {
            member_id: Some(member_id.to_owned()),
            member_epoch: holding.member_epoch,
            heartbeat_interval_ms: self.heartbeat_interval_ms(topics, turn.config),
            assignment: with_assignment.then(|| assigned(&holding.assigned)),
            ..ConsumerGroupHeartbeatResponse::default()
        }
    }

    fn leave(
        &mut self,
        request: &ConsumerGroupHeartbeatRequest,
        topics: &dyn TopicsView,
        turn: &mut Turn<'_>,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let member = self.member_to_leave(request)?;
        let member_id = member.member_id.clone();
        if request.member_epoch == STATIC_LEAVE_EPOCH {
            // The seat and its partitions stay reserved until the session ends.
            let kept = &member.holding.assigned;
            let held = kept.iter().flat_map(|(topic, of_topic)| of_topic.iter().map(|partition| (*topic, *partition)));
            let since = held.filter_map(|(topic, partition)| {
                Some(((topic, partition), member.holding.held_since(&topic, partition)?))
            });
            let holding = Holding {
                member_epoch: STATIC_LEAVE_EPOCH,
                pending_revocation: Assignment::new(),
                state: MemberState::Stable,
                since: since.collect(),
                ..member.holding.clone()
            };
            turn.timers.cancel(&self.revocation_key(&member_id));
            self.set_holding(&member_id, holding, turn);
            self.touch_session(&member_id, topics, turn);
        } else {
            tracing::info!(group = %self.id, member = %member_id, "member leaves");
            self.remove_member(&member_id, turn);
        }
        Ok(ConsumerGroupHeartbeatResponse {
            member_id: Some(member_id.to_string()),
            member_epoch: request.member_epoch,
            ..ConsumerGroupHeartbeatResponse::default()
        })
    }
}

/// Whether the request states everything, so that the answer must as well: the client may have lost what it knew.
fn is_full(request: &ConsumerGroupHeartbeatRequest) -> bool {
    request.member_epoch == 0
        || (request.rebalance_timeout_ms != -1
            && (request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some())
            && request.topic_partitions.is_some())
}

fn assigned(assignment: &Assignment) -> Assigned {
    let topic_partitions = assignment
        .iter()
        .map(|(topic, partitions)| TopicPartitions {
            topic_id: *topic,
            partitions: partitions.iter().copied().collect(),
        })
        .collect();
    Assigned { topic_partitions }
}
