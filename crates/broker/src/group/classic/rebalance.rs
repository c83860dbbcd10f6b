//! The join phase: when it starts, what it waits for, who is dropped, and how members go.

use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::group::{ClassicGroup, State};
use crate::group::effects::Turn;
use crate::group::records;
use crate::group::timers::TimerKey;

/// The kind of group in which schema registries elect their leader.
const REGISTRY_PROTOCOL_TYPE: &str = "sr";

impl ClassicGroup {
    /// Starts a rebalance, or lets a running join phase end if this was the last one it waited for.
    pub(super) fn rebalance_or_complete_join(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(turn),
            State::PreparingRebalance => self.complete_join_if_all_joined(turn),
        }
    }

    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance {
            self.refuse_parked_syncs(ErrorCode::RebalanceInProgress, turn);
        }
        self.pending_syncs.clear();
        turn.timers.cancel(&self.sync_phase_key());
        self.initial_rebalance = self.state == State::Empty;
        self.enter(State::PreparingRebalance, turn);
        if self.initial_rebalance {
            let delay = i64::from(self.initial_rebalance_delay_ms(turn));
            self.new_member_added = false;
            self.initial_delay_left_ms = (self.rebalance_timeout_ms() - delay).max(0);
            turn.timers.schedule(self.join_phase_key(), turn.now.monotonic_ms + delay);
        } else {
            turn.timers.schedule(self.join_phase_key(), turn.now.monotonic_ms + self.rebalance_timeout_ms());
            self.complete_join_if_all_joined(turn);
        }
    }

    /// The first members of a group wait for others, so that work is not handed out twice. Schema registries only elect a
    /// leader, and a write waits for it.
    fn initial_rebalance_delay_ms(&self, turn: &Turn<'_>) -> i32 {
        if self.protocol_type.as_deref() == Some(REGISTRY_PROTOCOL_TYPE) {
            return 0;
        }
        turn.config.initial_rebalance_delay_ms
    }

    fn complete_join_if_all_joined(&mut self, turn: &mut Turn<'_>) {
        let all_joined = self.pending_joins.is_empty() && self.members.values().all(|m| m.awaiting_join.is_some());
        if self.state == State::PreparingRebalance && !self.initial_rebalance && all_joined {
            self.complete_join(turn);
        }
    }

    /// The timer of the join phase: extends the initial delay while members keep arriving, else ends the phase.
    pub fn on_join_phase_timer(&mut self, turn: &mut Turn<'_>) {
        if self.state != State::PreparingRebalance {
            return;
        }
        if self.initial_rebalance && self.new_member_added && self.initial_delay_left_ms > 0 {
            let delay = i64::from(turn.config.initial_rebalance_delay_ms).min(self.initial_delay_left_ms);
            self.new_member_added = false;
            self.initial_delay_left_ms -= delay;
            turn.timers.schedule(self.join_phase_key(), turn.now.monotonic_ms + delay);
        } else {
            self.complete_join(turn);
        }
    }

    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.join_phase_key());
        self.drop_absent_dynamic_members(turn);
        if !self.members.is_empty() && !self.elect_leader_among_joined() {
            // Only static members are left, and none of them is back: wait for their sessions to end.
            turn.timers.schedule(self.join_phase_key(), turn.now.monotonic_ms + self.rebalance_timeout_ms());
            return;
        }
        self.initial_rebalance = false;
        self.start_generation(turn);
        if self.state == State::Empty {
            turn.effects.record(self.to_record());
        } else {
            self.answer_joins(turn);
        }
    }

    fn drop_absent_dynamic_members(&mut self, turn: &mut Turn<'_>) {
        let absent: Vec<Arc<str>> = self
            .members
            .values()
            .filter(|member| member.awaiting_join.is_none() && member.group_instance_id.is_none())
            .map(|member| member.member_id.clone())
            .collect();
        for member_id in absent {
            tracing::info!(group = %self.id, member = %member_id, "member did not rejoin in time and is removed");
            self.drop_member(&member_id, ErrorCode::UnknownMemberId, turn);
        }
    }

    /// Keeps the leader if it joined, else names one that did; false when nobody joined.
    fn elect_leader_among_joined(&mut self) -> bool {
        let joined = |member_id: &Arc<str>| self.members.get(member_id).is_some_and(|m| m.awaiting_join.is_some());
        if self.leader_id.as_ref().is_some_and(joined) {
            return true;
        }
        let successor = self.members.values().find(|member| member.awaiting_join.is_some());
        let Some(successor) = successor else { return false };
        self.leader_id = Some(successor.member_id.clone());
        true
    }

    fn start_generation(&mut self, turn: &Turn<'_>) {
        // A counter that would overflow starts again; 0 and below mean "no generation" to clients.
        self.generation_id = self.generation_id.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol_name = None;
            self.subscribed_topics = self.subscriptions();
            self.enter(State::Empty, turn);
        } else {
            self.protocol_name = self.select_protocol();
            self.subscribed_topics = self.subscriptions();
            self.enter(State::CompletingRebalance, turn);
        }
    }

    fn answer_joins(&mut self, turn: &mut Turn<'_>) {
        let member_ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in &member_ids {
            let response = self.join_response(member_id, self.is_leader(member_id));
            if let Some(member) = self.members.get_mut(member_id) {
                member.is_new = false;
                if let Some(parked) = member.awaiting_join.take() {
                    turn.effects.reply(parked, Ok(response));
                }
            }
            self.touch_session(member_id, turn);
        }
        self.pending_syncs = member_ids.into_iter().collect();
        turn.timers.schedule(self.sync_phase_key(), turn.now.monotonic_ms + self.rebalance_timeout_ms());
    }

    /// The members of a group that was of the consumer protocol are asked to join again.
    pub fn rebalance_after_downgrade(&mut self, turn: &mut Turn<'_>) {
        self.prepare_rebalance(turn);
    }

    /// Ends the group because another takes over its members: parked requests are answered with `code`, timers stop,
    /// the record goes.
    pub fn dissolve(&mut self, code: ErrorCode, turn: &mut Turn<'_>) {
        let member_ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in std::mem::take(&mut self.pending_joins).into_iter().chain(member_ids) {
            turn.timers.cancel(&self.session_key(&member_id));
            self.drop_member(&member_id, code, turn);
        }
        turn.timers.cancel(&self.join_phase_key());
        turn.timers.cancel(&self.sync_phase_key());
        if self.generation_id > 0 {
            turn.effects.record(records::group(&self.id, None));
        }
    }

    /// The session of `member_id` ended: it is removed unless its request is parked here.
    pub fn on_session_timer(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        if self.pending_joins.remove(member_id) {
            return self.complete_join_if_all_joined(turn);
        }
        let Some(member) = self.members.get(member_id) else { return };
        if !member.is_new && member.is_parked() {
            return;
        }
        tracing::info!(group = %self.id, member = %member_id, "member's session expired");
        self.remove_members(&[member_id.into()], turn);
    }

    /// Members that joined but never asked for their assignment are removed after the rebalance timeout.
    pub fn on_sync_phase_timer(&mut self, turn: &mut Turn<'_>) {
        let missing: Vec<Arc<str>> = std::mem::take(&mut self.pending_syncs).into_iter().collect();
        if missing.is_empty() || !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        for member_id in &missing {
            tracing::info!(group = %self.id, member = %member_id, "member did not sync in time and is removed");
        }
        self.remove_members(&missing, turn);
    }

    /// Removes members and starts the rebalance that their absence asks for.
    pub(super) fn remove_members(&mut self, member_ids: &[Arc<str>], turn: &mut Turn<'_>) {
        for member_id in member_ids {
            self.drop_member(member_id, ErrorCode::UnknownMemberId, turn);
        }
        match self.state {
            State::Empty => {}
            State::CompletingRebalance | State::Stable => self.prepare_rebalance(turn),
            State::PreparingRebalance => self.complete_join_if_all_joined(turn),
        }
    }

    /// Forgets a member; requests of it that are parked are answered with `code`. No rebalance.
    pub(super) fn drop_member(&mut self, member_id: &str, code: ErrorCode, turn: &mut Turn<'_>) {
        let Some(mut member) = self.members.remove(member_id) else { return };
        turn.timers.cancel(&self.session_key(member_id));
        if let Some(parked) = member.awaiting_join.take() {
            turn.effects.reply(parked, Err(code));
        }
        if let Some(parked) = member.awaiting_sync.take() {
            turn.effects.reply(parked, Err(code));
        }
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.remove(instance_id);
        }
        self.pending_syncs.remove(member_id);
        if self.is_leader(member_id) {
            self.leader_id = self.members.keys().next().cloned();
        }
    }

    pub(super) fn refuse_parked_syncs(&mut self, code: ErrorCode, turn: &mut Turn<'_>) {
        let mut answered = Vec::new();
        for member in self.members.values_mut() {
            member.assignment.clear();
            if let Some(parked) = member.awaiting_sync.take() {
                turn.effects.reply(parked, Err(code));
                answered.push(member.member_id.clone());
            }
        }
        for member_id in &answered {
            self.touch_session(member_id, turn);
        }
    }

    pub(super) fn join_phase_key(&self) -> TimerKey {
        TimerKey::JoinPhase { group: self.id.clone() }
    }

    pub(super) fn sync_phase_key(&self) -> TimerKey {
        TimerKey::SyncPhase { group: self.id.clone() }
    }
}
