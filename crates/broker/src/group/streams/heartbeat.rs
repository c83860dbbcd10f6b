//! StreamsGroupHeartbeat: join with a topology, stay, report what was given up, leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::streams_group_heartbeat_request as request;
use milena_protocol::messages::streams_group_heartbeat_response::{Status, TaskIds};
use milena_protocol::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};

use super::config::GroupSettings;
use super::group::StreamsGroup;
use super::internal_topics::{Configured, InternalTopic, configure};
use super::member::{MemberState, StreamsMember};
use super::reconcile::{HeldByOthers, reconcile};
use super::records;
use super::request::{ASSIGNMENT_DELAYED, SHUTDOWN_APPLICATION, STALE_TOPOLOGY};
use super::target::Delay;
use super::tasks::{TaskId, TaskSet, Tasks, task_lists, task_set};
use super::topology::Topology;
use crate::group::client::ClientIdentity;
use crate::group::consumer::{LEAVE_EPOCH, Refusal, topics_digest};
use crate::group::effects::Turn;
use crate::group::topics::TopicsView;

/// What a heartbeat comes to.
#[derive(Debug)]
pub struct StreamsHeartbeat {
    /// The answer.
    pub response: StreamsGroupHeartbeatResponse,
    /// Topics that are to be created, if the client may.
    pub missing_topics: Vec<InternalTopic>,
}

/// What a heartbeat would change in the group's topology.
struct TopologyChange {
    /// The topology, if the group gets one.
    new: Option<Topology>,
    /// How it fits to the topics, and their digest, if somebody had to look.
    configured: Option<(Configured, i64)>,
}

impl StreamsGroup {
    /// Handles a heartbeat that passed [`super::check_request`].
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, GROUP_MAX_SIZE_REACHED, INVALID_REQUEST, STREAMS_INVALID_TOPOLOGY; the
    /// group is then unchanged.
    pub fn heartbeat(
        &mut self,
        request: &StreamsGroupHeartbeatRequest,
        client: ClientIdentity,
        topics: &dyn TopicsView,
        turn: &mut Turn<'_>,
    ) -> Result<StreamsHeartbeat, Refusal> {
        if request.member_epoch == LEAVE_EPOCH {
            return self.leave(request, turn);
        }
        let settings = turn.config.streams.of_group(&self.id, topics);
        let owned = owned_tasks(request);
        self.check_member(request, owned.as_ref(), turn)?;
        let change = self.topology_change(request, topics)?;
        self.check_owned_tasks(&change, owned.as_ref())?;

        let was_empty = self.members.is_empty();
        let member_id: Arc<str> = request.member_id.as_str().into();
        let member_changed = self.update_member(&member_id, request, client, turn);
        let topology_changed = self.apply_topology(change, turn);
        self.advance_epoch(member_changed || topology_changed, &settings, turn);
        if was_empty && settings.initial_rebalance_delay_ms > 0 {
            let deadline = turn.now.monotonic_ms + i64::from(settings.initial_rebalance_delay_ms);
            turn.timers.schedule(self.initial_rebalance_key(), deadline);
        }
        let delay = self.update_target(&settings, turn);
        let moved = self.reconcile_member(&member_id, owned.as_ref(), delay, turn);
        self.touch_session(&member_id, &settings, turn);
        if request.shutdown_application {
            self.request_shutdown(&member_id);
        }
        Ok(self.answer(request, &member_id, moved, delay, &settings, topics))
    }

    /// Checks that the member may be in the group, and its epoch.
    fn check_member(
        &self,
        request: &StreamsGroupHeartbeatRequest,
        owned: Option<&Tasks>,
        turn: &Turn<'_>,
    ) -> Result<(), Refusal> {
        let Some(member) = self.members.get(request.member_id.as_str()) else {
            if request.member_epoch > 0 {
                return Err(self.unknown_member(&request.member_id));
            }
            let max_size = turn.config.streams.max_size;
            if self.members.len() >= max_size {
                let message = format!("The streams group has reached its maximum capacity of {max_size} members.");
                return Err(Refusal::new(ErrorCode::GroupMaxSizeReached, message));
            }
            return Ok(());
        };
        let holding = &member.holding;
        let (sent, known) = (request.member_epoch, holding.member_epoch);
        let lost_answer =
            sent == holding.previous_member_epoch && owned.is_some_and(|owned| owned.is_subset(&holding.assigned));
        if sent == 0 || sent == known || (sent < known && lost_answer) {
            return Ok(());
        }
        let message = format!(
            "The streams group member has a {} member epoch ({sent}) than the one known by the group coordinator \
             ({known}). The member must abandon all its partitions and rejoin.",
            if sent > known { "greater" } else { "smaller" },
        );
        Err(Refusal::new(ErrorCode::FencedMemberEpoch, message))
    }

    fn unknown_member(&self, member_id: &str) -> Refusal {
        Refusal::new(ErrorCode::UnknownMemberId, format!("Member {member_id} is not a member of group {}.", self.id))
    }

    /// What the request makes of the group's topology, and how it fits to the topics that exist now.
    fn topology_change(
        &self,
        request: &StreamsGroupHeartbeatRequest,
        topics: &dyn TopicsView,
    ) -> Result<TopologyChange, Refusal> {
        let sent = request.topology.as_ref().map(Topology::from_request);
        let new = match (&self.topology, sent) {
            (None, Some(sent)) => Some(sent),
            (Some(known), Some(sent)) if sent.epoch() >= known.epoch() && sent != *known => {
                return Err(Refusal::new(ErrorCode::InvalidRequest, "Topology updates are not supported yet."));
            }
            (Some(_), _) => None,
            // A member is in a group only after it brought a topology.
            (None, None) => return Err(Refusal::from(ErrorCode::UnknownServerError)),
        };
        let Some(topology) = new.as_ref().or(self.topology.as_ref()) else {
            return Ok(TopologyChange { new: None, configured: None });
        };
        let look = new.is_some() || self.configured.is_none() || self.metadata_stale;
        let configured = match look {
            false => None,
            true => Some((configure(topology, topics)?, topics_digest(&topology.required_topics(), topics))),
        };
        Ok(TopologyChange { new, configured })
    }

    /// A client that holds tasks which do not exist runs another topology.
    fn check_owned_tasks(&self, change: &TopologyChange, owned: Option<&Tasks>) -> Result<(), Refusal> {
        let configured = change.configured.as_ref().map(|(configured, _)| configured).or(self.configured.as_ref());
        let (Some(configured), Some(owned)) = (configured.filter(|it| it.is_ready()), owned) else { return Ok(()) };
        for task in owned.all() {
            let Some(tasks) = configured.tasks.get(&task.subtopology_id) else {
                let message = format!("Subtopology {} does not exist in the topology.", task.subtopology_id);
                return Err(Refusal::new(ErrorCode::InvalidRequest, message));
            };
            if !(0..*tasks).contains(&task.partition) {
                let message = format!(
                    "Task {} for subtopology {} is invalid. Number of tasks for this subtopology: {tasks}",
                    task.partition, task.subtopology_id
                );
                return Err(Refusal::new(ErrorCode::InvalidRequest, message));
            }
        }
        Ok(())
    }

    /// Takes over what the request says about the member. Says whether that needs a new assignment.
    fn update_member(
        &mut self,
        member_id: &Arc<str>,
        request: &StreamsGroupHeartbeatRequest,
        client: ClientIdentity,
        turn: &mut Turn<'_>,
    ) -> bool {
        let is_new = !self.members.contains_key(member_id);
        let created = || StreamsMember::new(member_id.clone(), client.clone());
        let member = self.members.entry(member_id.clone()).or_insert_with(created);
        let before = member.metadata.clone();
        let metadata = &mut member.metadata;
        metadata.client = client;
        if request.rack_id.is_some() {
            metadata.rack_id.clone_from(&request.rack_id);
        }
        if request.rebalance_timeout_ms != -1 {
            metadata.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(topology) = &request.topology {
            metadata.topology_epoch = topology.epoch;
        }
        if let Some(process_id) = &request.process_id {
            metadata.process_id.clone_from(process_id);
        }
        if let Some(endpoint) = &request.user_endpoint {
            metadata.user_endpoint = Some((endpoint.host.clone(), endpoint.port));
        }
        if let Some(tags) = &request.client_tags {
            metadata.client_tags = tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        }
        if let Some(offsets) = &request.task_offsets {
            member.task_offsets = offsets_by_task(offsets);
        }
        if let Some(offsets) = &request.task_end_offsets {
            member.task_end_offsets = offsets_by_task(offsets);
        }
        let changed = is_new || before != member.metadata;
        if changed {
            turn.effects.record(records::member(&self.id, member_id, Some(&member.metadata)));
        }
        changed
    }

    /// Takes over the topology and how it fits. Says whether that needs a new assignment.
    fn apply_topology(&mut self, change: TopologyChange, turn: &mut Turn<'_>) -> bool {
        if let Some(topology) = change.new {
            tracing::info!(group = %self.id, epoch = topology.epoch(), "a member brought the topology");
            turn.effects.record(records::topology(&self.id, Some(topology.stored())));
            self.topology = Some(topology);
        }
        let Some((configured, digest)) = change.configured else { return false };
        if let Some(problem) = &configured.problem {
            tracing::info!(group = %self.id, problem = %problem.detail, "the topology cannot run");
        }
        let topology_epoch = self.topology.as_ref().map_or(-1, Topology::epoch);
        let validated = if configured.is_ready() { topology_epoch } else { -1 };
        let changed = digest != self.metadata_hash || validated != self.validated_topology_epoch;
        self.configured = Some(configured);
        self.metadata_hash = digest;
        self.validated_topology_epoch = validated;
        self.metadata_stale = false;
        changed
    }

    /// Starts a new epoch if something changed, or a setting that the assignment depends on.
    fn advance_epoch(&mut self, changed: bool, settings: &GroupSettings, turn: &mut Turn<'_>) {
        let mut configs =
            BTreeMap::from([("num.standby.replicas".to_owned(), settings.num_standby_replicas.to_string())]);
        if !settings.rack_aware_tags.is_empty() {
            configs.insert("rack.aware.assignment.tags".to_owned(), settings.rack_aware_tags.join(","));
        }
        if changed || configs != self.assignment_configs {
            self.assignment_configs = configs;
            self.bump_epoch(turn);
        }
    }

    /// Moves the member towards the target. Says whether its tasks changed.
    fn reconcile_member(
        &mut self,
        member_id: &str,
        owned: Option<&Tasks>,
        delay: Option<Delay>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(member) = self.members.get(member_id) else { return false };
        let none = Tasks::default();
        let target = match delay {
            Some(Delay::InitialRebalance) => &none,
            Some(Delay::Interval) | None => self.target.get(member_id).unwrap_or(&none),
        };
        if member.is_reconciled_to(self.target_epoch) {
            return false;
        }
        let others = self.members.values().filter(|other| other.member_id.as_ref() != member_id);
        let held = HeldByOthers::new(&member.metadata.process_id, others);
        let next = reconcile(&member.holding, self.target_epoch, target, owned, &held);
        if next == member.holding {
            return false;
        }
        let changed = next.assigned != member.holding.assigned;
        if next.state == MemberState::UnrevokedTasks {
            self.start_revocation_timer(member, turn);
        } else {
            turn.timers.cancel(&self.revocation_key(member_id));
        }
        self.set_holding(member_id, next, turn);
        changed
    }

    fn request_shutdown(&mut self, member_id: &Arc<str>) {
        if self.shutdown_requested_by.is_none() {
            tracing::info!(group = %self.id, member = %member_id, "a member asks the application to stop");
            self.shutdown_requested_by = Some(member_id.clone());
        }
    }

    fn answer(
        &mut self,
        request: &StreamsGroupHeartbeatRequest,
        member_id: &str,
        moved: bool,
        delay: Option<Delay>,
        settings: &GroupSettings,
        topics: &dyn TopicsView,
    ) -> StreamsHeartbeat {
        let mut response = StreamsGroupHeartbeatResponse {
            member_id: member_id.to_owned(),
            heartbeat_interval_ms: settings.heartbeat_interval_ms,
            task_offset_interval_ms: settings.task_offset_interval_ms,
            acceptable_recovery_lag_legacy: i32::try_from(settings.acceptable_recovery_lag).unwrap_or(i32::MAX),
            acceptable_recovery_lag: settings.acceptable_recovery_lag,
            status: Some(self.statuses(member_id, delay)),
            ..StreamsGroupHeartbeatResponse::default()
        };
        if let Some(member) = self.members.get(member_id) {
            response.member_epoch = member.holding.member_epoch;
            if moved || request.member_epoch == 0 {
                let assigned = &member.holding.assigned;
                response.active_tasks = Some(listed(&assigned.active));
                response.standby_tasks = Some(listed(&assigned.standby));
                response.warmup_tasks = Some(listed(&assigned.warmup));
                self.endpoint_information_epoch += i32::from(member.metadata.user_endpoint.is_some());
            }
        }
        if self.endpoint_information_epoch != request.endpoint_information_epoch {
            response.partitions_by_user_endpoint = Some(self.partitions_by_endpoint(topics));
        }
        response.endpoint_information_epoch = self.endpoint_information_epoch;
        let missing = self.configured.as_ref().map(|configured| configured.missing.clone());
        StreamsHeartbeat { response, missing_topics: missing.unwrap_or_default() }
    }

    /// What the member is to know beside its tasks.
    fn statuses(&self, member_id: &str, delay: Option<Delay>) -> Vec<Status> {
        let mut statuses = Vec::new();
        let mut add = |status_code: i8, status_detail: String| statuses.push(Status { status_code, status_detail });
        let member_topology = self.members.get(member_id).map_or(-1, |member| member.metadata.topology_epoch);
        if let Some(topology) = self.topology.as_ref().filter(|topology| member_topology < topology.epoch()) {
            let detail = format!(
                "The member's topology epoch {member_topology} is behind the group's topology epoch {}.",
                topology.epoch()
            );
            add(STALE_TOPOLOGY, detail);
        }
        if let Some(delay) = delay {
            add(ASSIGNMENT_DELAYED, delay.detail().to_owned());
        }
        if let Some(problem) = self.configured.as_ref().and_then(|configured| configured.problem.as_ref()) {
            add(problem.status, problem.detail.clone());
        }
        if let Some(member_id) = &self.shutdown_requested_by {
            let detail = format!(
                "Streams group member {member_id} encountered a fatal error and requested a shutdown for the entire \
                 application."
            );
            add(SHUTDOWN_APPLICATION, detail);
        }
        statuses
    }

    fn leave(
        &mut self,
        request: &StreamsGroupHeartbeatRequest,
        turn: &mut Turn<'_>,
    ) -> Result<StreamsHeartbeat, Refusal> {
        let Some(member) = self.members.get(request.member_id.as_str()) else {
            return Err(self.unknown_member(&request.member_id));
        };
        let member_id = member.member_id.clone();
        tracing::info!(group = %self.id, member = %member_id, "streams group member leaves");
        if request.shutdown_application {
            self.request_shutdown(&member_id);
        }
        self.remove_member(&member_id, turn);
        let response = StreamsGroupHeartbeatResponse {
            member_id: request.member_id.clone(),
            member_epoch: LEAVE_EPOCH,
            status: Some(Vec::new()),
            ..StreamsGroupHeartbeatResponse::default()
        };
        Ok(StreamsHeartbeat { response, missing_topics: Vec::new() })
    }
}

/// What the client says it holds; `None` when it did not say.
fn owned_tasks(request: &StreamsGroupHeartbeatRequest) -> Option<Tasks> {
    let set = |tasks: &[request::TaskIds]| -> TaskSet {
        task_set(tasks.iter().map(|tasks| (tasks.subtopology_id.as_str(), tasks.partitions.as_slice())))
    };
    Some(Tasks {
        active: set(request.active_tasks.as_deref()?),
        standby: set(request.standby_tasks.as_deref()?),
        warmup: set(request.warmup_tasks.as_deref()?),
    })
}

fn offsets_by_task(offsets: &[request::TaskOffset]) -> BTreeMap<TaskId, i64> {
    offsets.iter().map(|it| (TaskId::new(&it.subtopology_id, it.partition), it.offset)).collect()
}

fn listed(tasks: &TaskSet) -> Vec<TaskIds> {
    task_lists(tasks, |subtopology_id, partitions| TaskIds { subtopology_id, partitions })
}
