//! SyncGroup and Heartbeat: fetching the assignment and staying alive.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::ErrorCode;
use milena_protocol::messages::{HeartbeatRequest, SyncGroupRequest, SyncGroupResponse};

use super::group::{ClassicGroup, State};
use crate::group::effects::{Responder, Turn};

impl ClassicGroup {
    /// Handles a sync. The answer comes at once, or when the leader's sync brings the assignments.
    pub fn sync(&mut self, request: SyncGroupRequest, responder: Responder<SyncGroupResponse>, turn: &mut Turn<'_>) {
        if let Err(code) = self.check_sync(&request) {
            return turn.effects.reply(responder, Err(code));
        }
        self.sync_arrived(&request.member_id, turn);
        match self.state {
            State::Empty => turn.effects.reply(responder, Err(ErrorCode::UnknownMemberId)),
            State::PreparingRebalance => turn.effects.reply(responder, Err(ErrorCode::RebalanceInProgress)),
            State::CompletingRebalance => self.park_sync(request, responder, turn),
            State::Stable => {
                let response = self.sync_response(&request.member_id);
                self.touch_session(&request.member_id, turn);
                turn.effects.reply(responder, Ok(response));
            }
        }
    }

    fn check_sync(&self, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        let differs = |theirs: &Option<String>, ours: &Option<String>| theirs.is_some() && theirs != ours;
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol_name, &self.protocol_name)
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn sync_arrived(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        self.pending_syncs.remove(member_id);
        if self.pending_syncs.is_empty() {
            turn.timers.cancel(&self.sync_phase_key());
        }
    }

    fn park_sync(&mut self, request: SyncGroupRequest, responder: Responder<SyncGroupResponse>, turn: &mut Turn<'_>) {
        let is_leader = self.is_leader(&request.member_id);
        if let Some(member) = self.members.get_mut(request.member_id.as_str())
            && let Some(earlier) = member.awaiting_sync.replace(responder)
        {
            turn.effects.reply(earlier, Err(ErrorCode::RebalanceInProgress));
        }
        if is_leader {
            self.store_assignments(request, turn);
        }
    }

    fn store_assignments(&mut self, request: SyncGroupRequest, turn: &mut Turn<'_>) {
        let mut assignments: HashMap<String, Bytes> = request
            .assignments
            .into_iter()
            .map(|assignment| (assignment.member_id, Bytes::copy_from_slice(&assignment.assignment)))
            .collect();
        for member in self.members.values_mut() {
            member.assignment = assignments.remove(member.member_id.as_ref()).unwrap_or_default();
        }
        self.enter(State::Stable, turn);
        turn.effects.record(self.to_record());
        self.answer_parked_syncs(turn);
    }

    fn answer_parked_syncs(&mut self, turn: &mut Turn<'_>) {
        let member_ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for member_id in member_ids {
            let response = self.sync_response(&member_id);
            let parked = self.members.get_mut(&member_id).and_then(|member| member.awaiting_sync.take());
            if let Some(parked) = parked {
                turn.effects.reply(parked, Ok(response));
                self.touch_session(&member_id, turn);
            }
        }
    }

    fn sync_response(&self, member_id: &str) -> SyncGroupResponse {
        SyncGroupResponse {
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self.members.get(member_id).map(|member| member.assignment.clone()).unwrap_or_default(),
            ..SyncGroupResponse::default()
        }
    }

    /// Handles a heartbeat.
    ///
    /// # Errors
    /// REBALANCE_IN_PROGRESS tells the member to join again (its session is refreshed all the same);
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID and ILLEGAL_GENERATION that it is not part of this generation.
    pub fn heartbeat(&mut self, request: &HeartbeatRequest, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.touch_session(&request.member_id, turn);
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance | State::Stable => Ok(()),
        }
    }
}
