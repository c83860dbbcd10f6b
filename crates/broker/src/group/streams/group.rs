//! The state of one streams group: members, epochs, the topology and the target, and how members go.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{StreamsGroupMetadataValue, streams_group_metadata_value};

use super::config::GroupSettings;
use super::internal_topics::Configured;
use super::member::{Holding, MemberState, StreamsMember};
use super::records;
use super::tasks::{TaskId, Tasks};
use super::topology::Topology;
use crate::group::effects::Turn;
use crate::group::shard_offsets::CommitRequest;
use crate::group::timers::TimerKey;
use crate::group::topics::TopicsView;

/// The epochs of a group nobody has joined yet; the first change makes the group's 2, as in Kafka.
const INITIAL_EPOCH: i32 = 1;

/// A streams group.
#[derive(Debug)]
pub struct StreamsGroup {
    pub(super) id: Arc<str>,
    pub(super) group_epoch: i32,
    /// A digest of the ids and partition counts of the topology's topics at `group_epoch`.
    pub(super) metadata_hash: i64,
    /// The epoch of the topology whose topics all exist; -1 if none.
    pub(super) validated_topology_epoch: i32,
    /// The settings that the assignment depends on, as of `group_epoch`.
    pub(super) assignment_configs: BTreeMap<String, String>,
    pub(super) target_epoch: i32,
    /// When the target was computed, in Unix ms; `None` if it never was.
    pub(super) target_timestamp: Option<i64>,
    pub(super) topology: Option<Topology>,
    /// The topology over the topics that exist; `None` until somebody looked.
    pub(super) configured: Option<Configured>,
    pub(super) members: BTreeMap<Arc<str>, StreamsMember>,
    pub(super) target: BTreeMap<Arc<str>, Tasks>,
    /// Topics of the cluster changed since the last heartbeat.
    pub(super) metadata_stale: bool,
    /// The member that asked the application to stop; forgotten when the group is empty.
    pub(super) shutdown_requested_by: Option<Arc<str>>,
    /// Grows when the tasks of a member with an endpoint change.
    pub(super) endpoint_information_epoch: i32,
}

impl StreamsGroup {
    /// A group without members.
    pub fn new(id: Arc<str>) -> Self {
        StreamsGroup {
            id,
            group_epoch: INITIAL_EPOCH,
            metadata_hash: 0,
            validated_topology_epoch: -1,
            assignment_configs: BTreeMap::new(),
            target_epoch: INITIAL_EPOCH,
            target_timestamp: None,
            topology: None,
            configured: None,
            members: BTreeMap::new(),
            target: BTreeMap::new(),
            metadata_stale: true,
            shutdown_requested_by: None,
            endpoint_information_epoch: 0,
        }
    }

    /// The state's name in ListGroups and StreamsGroupDescribe.
    pub fn state_name(&self) -> &'static str {
        let validated = self.topology.as_ref().is_some_and(|it| it.epoch() == self.validated_topology_epoch);
        if self.members.is_empty() {
            "Empty"
        } else if !validated {
            "NotReady"
        } else if self.group_epoch > self.target_epoch {
            "Assigning"
        } else if self.members.values().all(|member| member.is_reconciled_to(self.target_epoch)) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether nothing about it was ever written.
    pub fn is_untouched(&self) -> bool {
        self.group_epoch == INITIAL_EPOCH && self.members.is_empty() && self.topology.is_none()
    }

    /// Whether a member reads `topic`.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        !self.members.is_empty() && self.topology.as_ref().is_some_and(|topology| topology.reader_of(topic).is_some())
    }

    /// The cluster's topics changed: look at them at the next heartbeat.
    pub fn topics_changed(&mut self) {
        self.metadata_stale = true;
    }

    /// Checks a commit of offsets. A commit that was sent before the member moved to its present epoch is good for tasks
    /// that it had then and still has.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, STALE_MEMBER_EPOCH, or UNSUPPORTED_VERSION for requests that know no member epochs.
    pub fn check_commit(&self, request: &CommitRequest) -> Result<(), ErrorCode> {
        if request.generation_id_or_member_epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(request.member_id.as_str()).ok_or(ErrorCode::UnknownMemberId)?;
        if request.version < 9 {
            return Err(ErrorCode::UnsupportedVersion);
        }
        self.check_epoch(member, request)
    }

    /// Checks a commit of offsets in a transaction by a named member; as [`check_commit`](Self::check_commit).
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, or ILLEGAL_GENERATION for an epoch that is not the member's: the API knows no other code.
    pub fn check_transactional_commit(&self, request: &CommitRequest) -> Result<(), ErrorCode> {
        if request.generation_id_or_member_epoch < 0 && self.members.is_empty() {
            return Ok(());
        }
        let member = self.members.get(request.member_id.as_str()).ok_or(ErrorCode::UnknownMemberId)?;
        self.check_epoch(member, request).map_err(|_| ErrorCode::IllegalGeneration)
    }

    /// Checks a fetch of offsets that names a member (v9+).
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID or STALE_MEMBER_EPOCH.
    pub fn check_fetch(&self, member_id: &str, member_epoch: i32) -> Result<(), ErrorCode> {
        let member = self.members.get(member_id).ok_or(ErrorCode::UnknownMemberId)?;
        if member.holding.member_epoch == member_epoch { Ok(()) } else { Err(ErrorCode::StaleMemberEpoch) }
    }

    fn check_epoch(&self, member: &StreamsMember, request: &CommitRequest) -> Result<(), ErrorCode> {
        let (sent, known) = (request.generation_id_or_member_epoch, member.holding.member_epoch);
        if sent == known {
            return Ok(());
        }
        let had_it_then = |topic: &str, partition: i32| {
            let reader = self.topology.as_ref().and_then(|topology| topology.reader_of(topic));
            let task = reader.map(|reader| TaskId::new(&reader.subtopology_id, partition));
            task.and_then(|task| member.holding.assignment_epochs.get(&task)).is_some_and(|since| sent >= *since)
        };
        let good = sent < known && request.offsets.iter().all(|it| had_it_then(&it.topic, it.partition));
        if good { Ok(()) } else { Err(ErrorCode::StaleMemberEpoch) }
    }

    pub(super) fn session_key(&self, member_id: &str) -> TimerKey {
        TimerKey::Session { group: self.id.clone(), member: member_id.into() }
    }

    pub(super) fn revocation_key(&self, member_id: &str) -> TimerKey {
        TimerKey::Revocation { group: self.id.clone(), member: member_id.into() }
    }

    pub(super) fn initial_rebalance_key(&self) -> TimerKey {
        TimerKey::InitialRebalance { group: self.id.clone() }
    }

    pub(super) fn touch_session(&self, member_id: &str, settings: &GroupSettings, turn: &mut Turn<'_>) {
        let deadline = turn.now.monotonic_ms + i64::from(settings.session_timeout_ms);
        turn.timers.schedule(self.session_key(member_id), deadline);
    }

    pub(super) fn start_revocation_timer(&self, member: &StreamsMember, turn: &mut Turn<'_>) {
        let deadline = turn.now.monotonic_ms + i64::from(member.metadata.rebalance_timeout_ms.max(0));
        turn.timers.schedule(self.revocation_key(&member.member_id), deadline);
    }

    /// Starts all timers; used when the group was read back from the log.
    pub fn start_sessions(&self, topics: &dyn TopicsView, turn: &mut Turn<'_>) {
        let settings = turn.config.streams.of_group(&self.id, topics);
        for (member_id, member) in &self.members {
            self.touch_session(member_id, &settings, turn);
            if member.holding.state == MemberState::UnrevokedTasks {
                self.start_revocation_timer(member, turn);
            }
        }
    }

    /// Sets what a member holds, in memory and in the log.
    pub(super) fn set_holding(&mut self, member_id: &str, holding: Holding, turn: &mut Turn<'_>) {
        let Some(member) = self.members.get_mut(member_id) else { return };
        member.holding = holding;
        turn.effects.record(records::current(&self.id, member_id, Some(&member.holding)));
    }

    /// The session of `member_id` ended.
    pub fn on_session_timer(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        if self.members.contains_key(member_id) {
            tracing::info!(group = %self.id, member = %member_id, "streams group member's session expired");
            self.remove_member(member_id, turn);
        }
    }

    /// `member_id` did not give up its tasks in time.
    pub fn on_revocation_timer(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        let state = self.members.get(member_id).map(|member| member.holding.state);
        if state == Some(MemberState::UnrevokedTasks) {
            tracing::info!(group = %self.id, member = %member_id, "member did not give up its tasks in time");
            self.remove_member(member_id, turn);
        }
    }

    /// Removes a member for good and starts a new epoch.
    pub(super) fn remove_member(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.session_key(member_id));
        turn.timers.cancel(&self.revocation_key(member_id));
        let removed = self.members.remove(member_id);
        if removed.is_some_and(|member| member.metadata.user_endpoint.is_some()) {
            self.endpoint_information_epoch += 1;
        }
        self.target.remove(member_id);
        if self.members.is_empty() {
            self.shutdown_requested_by = None;
            turn.timers.cancel(&self.initial_rebalance_key());
        }
        turn.effects.record(records::current(&self.id, member_id, None));
        turn.effects.record(records::target_member(&self.id, member_id, None));
        turn.effects.record(records::member(&self.id, member_id, None));
        self.bump_epoch(turn);
    }

    pub(super) fn bump_epoch(&mut self, turn: &mut Turn<'_>) {
        self.group_epoch = self.group_epoch.saturating_add(1);
        let configs = self.assignment_configs.iter();
        let value = StreamsGroupMetadataValue {
            epoch: self.group_epoch,
            metadata_hash: self.metadata_hash,
            validated_topology_epoch: self.validated_topology_epoch,
            last_assignment_configs: Some(
                configs
                    .map(|(key, value)| streams_group_metadata_value::LastAssignmentConfig {
                        key: key.clone(),
                        value: value.clone(),
                    })
                    .collect(),
            ),
            ..StreamsGroupMetadataValue::default()
        };
        turn.effects.record(records::group(&self.id, Some(&value)));
    }

    /// Tombstones for every record of this group, and an end to its timers.
    pub fn dissolve(&self, turn: &mut Turn<'_>) {
        turn.timers.cancel(&self.initial_rebalance_key());
        for member_id in self.members.keys() {
            turn.timers.cancel(&self.session_key(member_id));
            turn.timers.cancel(&self.revocation_key(member_id));
            turn.effects.record(records::current(&self.id, member_id, None));
            turn.effects.record(records::member(&self.id, member_id, None));
        }
        for member_id in self.target.keys() {
            turn.effects.record(records::target_member(&self.id, member_id, None));
        }
        turn.effects.record(records::target(&self.id, None));
        turn.effects.record(records::group(&self.id, None));
        turn.effects.record(records::topology(&self.id, None));
    }
}
