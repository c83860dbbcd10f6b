//! The state of one classic group and the questions its phases ask of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::ErrorCode;

use super::member::{Member, subscribed_topics};
use crate::group::effects::Turn;
use crate::group::embedded_protocol::CONSUMER_PROTOCOL_TYPE;
use crate::group::timers::TimerKey;

/// Where a group stands between two rebalances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No members; there may be offsets.
    Empty,
    /// Members are joining.
    PreparingRebalance,
    /// Everyone joined; the leader's assignment is awaited.
    CompletingRebalance,
    /// Assignments are out.
    Stable,
}

impl State {
    /// The state's name in DescribeGroups and ListGroups.
    pub fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// A group of the classic protocol.
///
/// Always true: `static_members` and `leader_id` name members of `members`; `pending_joins` names none of them;
/// `pending_syncs` only some of them; a group in state Empty has no members.
#[derive(Debug)]
pub struct ClassicGroup {
    pub(super) id: Arc<str>,
    pub(super) state: State,
    /// Whether the running join phase began from Empty, with the initial delay.
    pub(super) initial_rebalance: bool,
    /// When the state was entered, in Unix ms; -1 for a group that never had members.
    pub(super) state_timestamp: i64,
    pub(super) generation_id: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) leader_id: Option<Arc<str>>,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    pub(super) static_members: HashMap<String, Arc<str>>,
    /// Member ids that were handed out and not used yet.
    pub(super) pending_joins: BTreeSet<Arc<str>>,
    pub(super) pending_syncs: BTreeSet<Arc<str>>,
    /// A member arrived during the initial delay, which is therefore extended.
    pub(super) new_member_added: bool,
    pub(super) initial_delay_left_ms: i64,
    /// Topics of the current generation, when every member is a consumer.
    pub(super) subscribed_topics: Option<BTreeSet<String>>,
}

impl ClassicGroup {
    /// A group without members, as a first join or a commit of a simple consumer makes it.
    pub fn new(id: Arc<str>) -> Self {
        ClassicGroup {
            id,
            state: State::Empty,
            initial_rebalance: false,
            state_timestamp: -1,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader_id: None,
            members: BTreeMap::new(),
            static_members: HashMap::new(),
            pending_joins: BTreeSet::new(),
            pending_syncs: BTreeSet::new(),
            new_member_added: false,
            initial_delay_left_ms: 0,
            subscribed_topics: None,
        }
    }

    /// A stable group of these members in generation `generation_id`.
    pub fn from_members(
        id: Arc<str>,
        generation_id: i32,
        members: impl IntoIterator<Item = Member>,
        turn: &Turn<'_>,
    ) -> Self {
        let mut group = ClassicGroup::new(id);
        group.generation_id = generation_id;
        group.protocol_type = Some(CONSUMER_PROTOCOL_TYPE.to_owned());
        for member in members {
            if let Some(instance_id) = &member.group_instance_id {
                group.static_members.insert(instance_id.clone(), member.member_id.clone());
            }
            group.leader_id.get_or_insert_with(|| member.member_id.clone());
            group.members.insert(member.member_id.clone(), member);
        }
        group.protocol_name = group.select_protocol();
        group.subscribed_topics = group.subscriptions();
        group.enter(State::Stable, turn);
        group
    }

    /// Its name.
    pub fn id(&self) -> Arc<str> {
        self.id.clone()
    }

    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The number of members.
    pub fn member_count(&self) -> usize {
        self.members.len()
    }

    /// Whether its members are consumers.
    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER_PROTOCOL_TYPE)
    }

    /// The protocol of the current generation; before the first one, the one that would be chosen now.
    pub fn current_protocol(&self) -> Option<String> {
        self.protocol_name.clone().or_else(|| self.select_protocol())
    }

    /// The current state.
    pub fn state(&self) -> State {
        self.state
    }

    /// The number of completed rebalances.
    pub fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// The protocol type of its members, once it had any.
    pub fn protocol_type(&self) -> Option<&str> {
        self.protocol_type.as_deref()
    }

    /// When the current state was entered, in Unix ms.
    pub fn state_timestamp(&self) -> Option<i64> {
        (self.state_timestamp >= 0).then_some(self.state_timestamp)
    }

    /// Whether it has no members and no member id handed out.
    pub fn is_vacant(&self) -> bool {
        self.state == State::Empty && self.pending_joins.is_empty()
    }

    /// Whether members of this group read `topic`, as far as the coordinator can know.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed_topics.as_ref().is_some_and(|topics| topics.contains(topic))
    }

    /// Whether its members are consumers whose subscriptions are known.
    pub fn subscriptions_known(&self) -> bool {
        self.subscribed_topics.is_some()
    }

    pub(super) fn enter(&mut self, state: State, turn: &Turn<'_>) {
        self.state = state;
        self.state_timestamp = turn.now.unix_ms;
    }

    /// Checks that `member_id` is a member and, when it says to be static, still holds its seat.
    pub(super) fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            let holder = self.static_members.get(instance_id).ok_or(ErrorCode::UnknownMemberId)?;
            if holder.as_ref() != member_id {
                return Err(ErrorCode::FencedInstanceId);
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
    }

    /// Whether a member of `protocol_type` that speaks `protocols` can be in this group.
    pub(super) fn accepts_protocols(&self, protocol_type: &str, protocols: &[(String, Bytes)]) -> bool {
        if protocol_type.is_empty() || protocols.is_empty() {
            return false;
        }
        if self.members.is_empty() {
            return true;
        }
        let candidates = self.common_protocols();
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols.iter().any(|(name, _)| candidates.contains(name.as_str()))
    }

    /// Names of the protocols that every member supports.
    fn common_protocols(&self) -> BTreeSet<&str> {
        let mut members = self.members.values();
        let Some(first) = members.next() else { return BTreeSet::new() };
        let mut common: BTreeSet<&str> = first.protocols.iter().map(|(name, _)| name.as_str()).collect();
        for member in members {
            common.retain(|name| member.protocols.iter().any(|(supported, _)| supported == name));
        }
        common
    }

    /// The protocol that most members vote for among those that all support.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let candidates = self.common_protocols();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            *votes.entry(member.vote(&candidates)?).or_default() += 1;
        }
        let most = votes.values().max()?;
        votes.iter().find(|(_, count)| *count == most).map(|(name, _)| (*name).to_owned())
    }

    /// The union of the members' topics, if all of them are consumers with readable subscriptions.
    pub(super) fn subscriptions(&self) -> Option<BTreeSet<String>> {
        if self.protocol_type.as_deref() != Some(CONSUMER_PROTOCOL_TYPE) {
            return None;
        }
        let Some(protocol) = self.protocol_name.as_deref() else { return Some(BTreeSet::new()) };
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscribed_topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }

    /// The longest time a rebalance waits: the largest rebalance timeout of the members.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        self.members.values().map(|member| i64::from(member.rebalance_timeout_ms)).max().unwrap_or(0)
    }

    pub(super) fn members_awaiting_join(&self) -> usize {
        self.members.values().filter(|member| member.awaiting_join.is_some()).count()
    }

    pub(super) fn is_leader(&self, member_id: &str) -> bool {
        self.leader_id.as_deref() == Some(member_id)
    }

    pub(super) fn session_key(&self, member_id: &str) -> TimerKey {
        TimerKey::Session { group: self.id.clone(), member: member_id.into() }
    }

    /// Starts the member's session anew, if it is a member.
    pub(super) fn touch_session(&self, member_id: &str, turn: &mut Turn<'_>) {
        if let Some(member) = self.members.get(member_id) {
            let deadline = turn.now.monotonic_ms + i64::from(member.session_timeout_ms);
            turn.timers.schedule(self.session_key(member_id), deadline);
        }
    }

    /// Starts the sessions of all members; used when the group was read back from the log.
    pub fn start_sessions(&self, turn: &mut Turn<'_>) {
        for member_id in self.members.keys() {
            self.touch_session(member_id, turn);
        }
    }

    /// Checks a commit of offsets (spec section 11) and refreshes the committer's session.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION or REBALANCE_IN_PROGRESS.
    pub fn check_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation_id: i32,
        turn: &mut Turn<'_>,
    ) -> Result<(), ErrorCode> {
        if generation_id < 0 && self.state == State::Empty {
            // An admin client, or a consumer that assigns partitions itself.
            return Ok(());
        }
        if generation_id < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(ErrorCode::UnknownMemberId);
        }
        self.check_generation(member_id, instance_id, generation_id)?;
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::RebalanceInProgress);
        }
        self.touch_session(member_id, turn);
        Ok(())
    }

    /// Checks a commit of offsets in a transaction by a named member (KIP-447); allowed while the group rebalances.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID or ILLEGAL_GENERATION.
    pub fn check_transactional_commit(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation_id: i32,
        turn: &mut Turn<'_>,
    ) -> Result<(), ErrorCode> {
        if generation_id < 0 && self.state == State::Empty {
            return Ok(());
        }
        self.check_generation(member_id, instance_id, generation_id)?;
        self.touch_session(member_id, turn);
        Ok(())
    }

    fn check_generation(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
        generation_id: i32,
    ) -> Result<(), ErrorCode> {
        self.check_member(member_id, instance_id)?;
        if generation_id == self.generation_id { Ok(()) } else { Err(ErrorCode::IllegalGeneration) }
    }
}
