//! JoinGroup: how a member enters, or comes back to, a group.

use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::ErrorCode;
use milena_protocol::messages::join_group_response;
use milena_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::group::{ClassicGroup, State};
use super::member::{Member, owned_protocols, subscribed_topics};
use crate::group::client::ClientIdentity;
use crate::group::effects::{Responder, Turn};
use crate::group::embedded_protocol::CONSUMER_PROTOCOL_TYPE;

/// How long a parked member that never completed a rebalance is kept, in ms: its client may be gone.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1000;

/// A JoinGroup request with what the connection knows.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// The id the member got before; empty at first.
    pub member_id: String,
    /// `group.instance.id` of a static member (v5+).
    pub group_instance_id: Option<String>,
    /// Who asks.
    pub client: ClientIdentity,
    /// Longest silence, in ms.
    pub session_timeout_ms: i32,
    /// Longest rebalance, in ms; v0 has none and uses the session timeout.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, ...
    pub protocol_type: String,
    /// Names and metadata in the member's order of preference.
    pub protocols: Vec<(String, Bytes)>,
    /// The request's version: 4 and above must first get an id, 9 and above know `skip_assignment`.
    pub version: i16,
}

impl JoinRequest {
    /// The facts of a wire request.
    pub fn new(request: JoinGroupRequest, client: ClientIdentity, version: i16) -> Self {
        JoinRequest {
            member_id: request.member_id,
            group_instance_id: request.group_instance_id,
            client,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: if version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms },
            protocol_type: request.protocol_type,
            protocols: owned_protocols(request.protocols),
            version,
        }
    }

    /// Whether the client must first be given an id and come back with it (KIP-394).
    pub fn requires_known_member(&self) -> bool {
        self.version >= 4 && self.group_instance_id.is_none()
    }

    /// A new id for the member.
    pub fn generated_member_id(&self) -> Arc<str> {
        let prefix = self.group_instance_id.as_deref().unwrap_or(&self.client.client_id);
        format!("{prefix}-{}", uuid::Uuid::new_v4()).into()
    }

    fn into_member(self, member_id: Arc<str>, responder: Responder<JoinGroupResponse>) -> Member {
        Member {
            member_id,
            group_instance_id: self.group_instance_id,
            client: self.client,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            protocols: self.protocols,
            assignment: Bytes::new(),
            awaiting_join: Some(responder),
            awaiting_sync: None,
            is_new: true,
        }
    }
}

impl ClassicGroup {
    /// Handles a join. The answer comes at once, or when the join phase ends.
    pub fn join(&mut self, request: JoinRequest, responder: Responder<JoinGroupResponse>, turn: &mut Turn<'_>) {
        if !self.has_room_for(&request.member_id, turn) {
            self.forget_refused(&request.member_id, turn);
            turn.effects.reply(responder, Err(ErrorCode::GroupMaxSizeReached));
        } else if !self.accepts_protocols(&request.protocol_type, &request.protocols) {
            turn.effects.reply(responder, Err(ErrorCode::InconsistentGroupProtocol));
        } else if request.member_id.is_empty() {
            self.join_new(request, responder, turn);
        } else {
            self.join_known(request, responder, turn);
        }
    }

    fn has_room_for(&self, member_id: &str, turn: &Turn<'_>) -> bool {
        let max = turn.config.max_size;
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                self.members.get(member_id).is_some_and(|member| member.awaiting_join.is_some())
                    || self.members_awaiting_join() < max
            }
            State::CompletingRebalance | State::Stable => {
                self.members.contains_key(member_id) || self.members.len() < max
            }
        }
    }

    fn forget_refused(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        if self.pending_joins.remove(member_id) {
            turn.timers.cancel(&self.session_key(member_id));
        } else {
            self.drop_member(member_id, ErrorCode::GroupMaxSizeReached, turn);
        }
    }

    fn join_new(&mut self, request: JoinRequest, responder: Responder<JoinGroupResponse>, turn: &mut Turn<'_>) {
        let member_id = request.generated_member_id();
        let seat = request.group_instance_id.as_ref().and_then(|instance| self.static_members.get(instance)).cloned();
        if let Some(old_member_id) = seat {
            self.replace_static_member(&old_member_id, member_id, request, responder, turn);
        } else if request.requires_known_member() {
            self.hand_out_member_id(member_id, request.session_timeout_ms, responder, turn);
        } else {
            self.add_member(member_id, request, responder, turn);
        }
    }

    /// KIP-394: the client must come back with the id before it counts as a member.
    fn hand_out_member_id(
        &mut self,
        member_id: Arc<str>,
        session_timeout_ms: i32,
        responder: Responder<JoinGroupResponse>,
        turn: &mut Turn<'_>,
    ) {
        let deadline = turn.now.monotonic_ms + i64::from(session_timeout_ms);
        turn.timers.schedule(self.session_key(&member_id), deadline);
        let response = JoinGroupResponse {
            error_code: ErrorCode::MemberIdRequired.code(),
            protocol_name: None,
            member_id: member_id.to_string(),
            ..JoinGroupResponse::default()
        };
        self.pending_joins.insert(member_id);
        turn.effects.reply(responder, Ok(response));
    }

    fn join_known(&mut self, request: JoinRequest, responder: Responder<JoinGroupResponse>, turn: &mut Turn<'_>) {
        if let Some(member_id) = self.pending_joins.take(request.member_id.as_str()) {
            return self.add_member(member_id, request, responder, turn);
        }
        if let Err(code) = self.check_member(&request.member_id, request.group_instance_id.as_deref()) {
            return turn.effects.reply(responder, Err(code));
        }
        let unchanged = self.members[request.member_id.as_str()].has_protocols(&request.protocols);
        let rebalance = match self.state {
            State::Empty | State::PreparingRebalance => true,
            // The same metadata again: the answer to the join was lost.
            State::CompletingRebalance => !unchanged,
            // A leader that joins again asks for a rebalance, for example because partitions were added.
            State::Stable => !unchanged || self.is_leader(&request.member_id),
        };
        if rebalance {
            return self.rejoin(request, responder, turn);
        }
        let member_id: Arc<str> = request.member_id.as_str().into();
        let with_members = self.state == State::CompletingRebalance && self.is_leader(&member_id);
        let response = self.join_response(&member_id, with_members);
        self.touch_session(&member_id, turn);
        turn.effects.reply(responder, Ok(response));
    }

    fn add_member(
        &mut self,
        member_id: Arc<str>,
        request: JoinRequest,
        responder: Responder<JoinGroupResponse>,
        turn: &mut Turn<'_>,
    ) {
        if self.members.is_empty() {
            self.protocol_type = Some(request.protocol_type.clone());
        }
        if self.state == State::PreparingRebalance && self.initial_rebalance {
            self.new_member_added = true;
        }
        if let Some(instance_id) = &request.group_instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        self.leader_id.get_or_insert_with(|| member_id.clone());
        self.members.insert(member_id.clone(), request.into_member(member_id.clone(), responder));
        turn.timers.schedule(self.session_key(&member_id), turn.now.monotonic_ms + NEW_MEMBER_JOIN_TIMEOUT_MS);
        self.rebalance_or_complete_join(turn);
    }

    fn rejoin(&mut self, request: JoinRequest, responder: Responder<JoinGroupResponse>, turn: &mut Turn<'_>) {
        self.update_member(request, responder, turn);
        self.rebalance_or_complete_join(turn);
    }

    fn update_member(&mut self, request: JoinRequest, responder: Responder<JoinGroupResponse>, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(request.member_id.as_str()) else { return };
        member.protocols = request.protocols;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        member.session_timeout_ms = request.session_timeout_ms;
        member.client = request.client;
        if let Some(earlier) = member.awaiting_join.replace(responder) {
            turn.effects.reply(earlier, Err(ErrorCode::RebalanceInProgress));
        }
    }

    /// A static member came back under a new id: it takes over the seat, its old self is fenced.
    fn replace_static_member(
        &mut self,
        old_member_id: &Arc<str>,
        member_id: Arc<str>,
        mut request: JoinRequest,
        responder: Responder<JoinGroupResponse>,
        turn: &mut Turn<'_>,
    ) {
        let Some(mut member) = self.members.remove(old_member_id) else { return };
        let unchanged = self.same_subscription(&member, &request);
        let version = request.version;
        if let Some(parked) = member.awaiting_join.take() {
            turn.effects.reply(parked, Err(ErrorCode::FencedInstanceId));
        }
        if let Some(parked) = member.awaiting_sync.take() {
            turn.effects.reply(parked, Err(ErrorCode::FencedInstanceId));
        }
        turn.timers.cancel(&self.session_key(old_member_id));
        self.pending_syncs.remove(old_member_id);
        let old_leader = self.leader_id.clone();
        if self.is_leader(old_member_id) {
            self.leader_id = Some(member_id.clone());
        }
        if let Some(instance_id) = &request.group_instance_id {
            self.static_members.insert(instance_id.clone(), member_id.clone());
        }
        member.member_id = member_id.clone();
        self.members.insert(member_id.clone(), member);
        request.member_id = member_id.to_string();
        self.touch_session(&member_id, turn);

        if self.state == State::Stable && unchanged && self.protocol_after(&request) == self.protocol_name {
            self.resume_static_member(&member_id, old_leader, version, request, responder, turn);
        } else {
            self.rejoin(request, responder, turn);
        }
    }

    /// Whether a returning static member reads the same topics as before.
    fn same_subscription(&self, member: &Member, request: &JoinRequest) -> bool {
        let Some(protocol) = self.protocol_name.as_deref() else { return false };
        let Some((_, metadata)) = request.protocols.iter().find(|(name, _)| name == protocol) else { return false };
        if self.protocol_type.as_deref() != Some(CONSUMER_PROTOCOL_TYPE) {
            return true;
        }
        // Owned partitions and user data differ after a restart; only the topics decide.
        subscribed_topics(&member.metadata(protocol)) == subscribed_topics(metadata)
    }

    /// The protocol that would be chosen with the request's protocols.
    fn protocol_after(&mut self, request: &JoinRequest) -> Option<String> {
        let member = self.members.get_mut(request.member_id.as_str())?;
        let before = std::mem::replace(&mut member.protocols, request.protocols.clone());
        let selected = self.select_protocol();
        if let Some(member) = self.members.get_mut(request.member_id.as_str()) {
            member.protocols = before;
        }
        selected
    }

    /// Gives a returned static member its seat in the running generation (KIP-345, KIP-814).
    fn resume_static_member(
        &mut self,
        member_id: &Arc<str>,
        old_leader: Option<Arc<str>>,
        version: i16,
        request: JoinRequest,
        responder: Responder<JoinGroupResponse>,
        turn: &mut Turn<'_>,
    ) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.protocols = request.protocols;
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
            member.session_timeout_ms = request.session_timeout_ms;
            member.client = request.client;
        }
        self.touch_session(member_id, turn);
        let mut response = self.join_response(member_id, false);
        if version >= 9 {
            if self.is_leader(member_id) {
                response.members = self.join_response_members();
                response.skip_assignment = true;
            }
        } else {
            // Named leader, an older client would assign; under the old leader's id it only syncs.
            response.leader = old_leader.as_deref().unwrap_or_default().to_owned();
        }
        turn.effects.record(self.to_record());
        turn.effects.reply(responder, Ok(response));
    }

    pub(super) fn join_response(&self, member_id: &str, with_members: bool) -> JoinGroupResponse {
        JoinGroupResponse {
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader_id.as_deref().unwrap_or_default().to_owned(),
            member_id: member_id.to_owned(),
            members: if with_members { self.join_response_members() } else { Vec::new() },
            ..JoinGroupResponse::default()
        }
    }

    fn join_response_members(&self) -> Vec<join_group_response::Member> {
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        self.members
            .values()
            .map(|member| join_group_response::Member {
                member_id: member.member_id.to_string(),
                group_instance_id: member.group_instance_id.clone(),
                metadata: member.metadata(protocol),
            })
            .collect()
    }
}
