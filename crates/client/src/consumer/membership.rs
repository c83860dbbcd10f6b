//! Membership in a classic group: join, sync, heartbeat, leave.
//!
//! Knows nothing of what the group is for: consumers, Connect workers and registries bring their
//! own protocol bytes. A heartbeat task runs from each sync until the next join; it only reports,
//! the owner decides when to join again.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, join_group_request,
    join_group_response, leave_group_request, sync_group_request,
};

use crate::cluster::{Cluster, CoordinatorKind, is_coordinator_error};
use crate::error::{Error, Result};

/// A JoinGroup is answered when the group is complete; this much is added to the rebalance timeout.
const JOIN_GRACE: Duration = Duration::from_secs(5);

/// How a member behaves.
#[derive(Debug, Clone)]
pub struct MembershipConfig {
    /// The group.
    pub group_id: String,
    /// `group.instance.id`: a static member.
    pub group_instance_id: Option<String>,
    /// `consumer`, `connect`, `sr`, ...
    pub protocol_type: String,
    /// How long the coordinator waits for a heartbeat.
    pub session_timeout: Duration,
    /// How long a rebalance waits for this member.
    pub rebalance_timeout: Duration,
    /// How often to send a heartbeat.
    pub heartbeat_interval: Duration,
}

/// What the heartbeats say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// All is well, or there is nothing to say yet.
    Stable,
    /// The group wants everybody to join again.
    Rebalance,
    /// The member was removed or fenced: what it owned belongs to others.
    Lost(ErrorCode),
}

/// A finished join.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The new generation.
    pub generation_id: i32,
    /// The protocol the group agreed on.
    pub protocol: String,
    /// Whether this member must assign.
    pub is_leader: bool,
    /// Whether the leader must not assign anew (a static leader came back).
    pub skip_assignment: bool,
    /// All members with their metadata; only the leader gets them.
    pub members: Vec<join_group_response::Member>,
}

/// One member.
#[derive(Debug)]
pub struct Membership {
    cluster: Cluster,
    config: MembershipConfig,
    member_id: String,
    generation_id: i32,
    beat: watch::Receiver<Beat>,
    heartbeats: Option<JoinHandle<()>>,
}

impl Membership {
    /// A member that has not joined yet.
    pub fn new(cluster: Cluster, config: MembershipConfig) -> Membership {
        let (_, beat) = watch::channel(Beat::Stable);
        Membership { cluster, config, member_id: String::new(), generation_id: -1, beat, heartbeats: None }
    }

    /// The id the coordinator gave; empty before the first join.
    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    /// The current generation, -1 while not joined.
    pub fn generation_id(&self) -> i32 {
        self.generation_id
    }

    /// The static member's name, if it is one.
    pub fn group_instance_id(&self) -> Option<&str> {
        self.config.group_instance_id.as_deref()
    }

    /// What the heartbeats said last.
    pub fn beat(&self) -> Beat {
        *self.beat.borrow()
    }

    /// Returns when the heartbeats say anything but [`Beat::Stable`]; pending for ever while not joined.
    pub async fn disturbed(&mut self) {
        if self.beat.wait_for(|beat| *beat != Beat::Stable).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Joins (again) with `protocols`, best first, and waits until the group is complete.
    ///
    /// # Errors
    /// What cannot be retried: a fenced instance, inconsistent protocols, authorization.
    pub async fn join(&mut self, protocols: &[(String, Bytes)], reason: &str) -> Result<Joined> {
        self.stop_heartbeats();
        let deadline = Instant::now() + self.config.rebalance_timeout + self.cluster.config().api_timeout;
        loop {
            let error = match self.try_join(protocols, reason).await {
                Ok(response) => match ErrorCode::from_code(response.error_code) {
                    ErrorCode::None => return Ok(self.joined(response)),
                    ErrorCode::MemberIdRequired => {
                        self.member_id = response.member_id;
                        continue;
                    }
                    code => Error::api(code, None),
                },
                Err(error) => error,
            };
            self.recover(&error);
            let again = error.is_retriable()
                || matches!(error.code(), Some(ErrorCode::UnknownMemberId | ErrorCode::RebalanceInProgress));
            if !again || Instant::now() >= deadline {
                return Err(error);
            }
            tokio::time::sleep(self.cluster.config().retry_backoff).await;
        }
    }

    async fn try_join(&self, protocols: &[(String, Bytes)], reason: &str) -> Result<JoinGroupResponse> {
        let request = JoinGroupRequest {
            group_id: self.config.group_id.clone(),
            session_timeout_ms: millis(self.config.session_timeout),
            rebalance_timeout_ms: millis(self.config.rebalance_timeout),
            member_id: self.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocol_type: self.config.protocol_type.clone(),
            protocols: protocols
                .iter()
                .map(|(name, metadata)| join_group_request::Protocol { name: name.clone(), metadata: metadata.clone() })
                .collect(),
            reason: Some(reason.to_owned()),
        };
        let coordinator = self.cluster.coordinator(CoordinatorKind::Group, &self.config.group_id).await?;
        coordinator.send_with_timeout(&request, self.config.rebalance_timeout + JOIN_GRACE).await
    }

    fn joined(&mut self, response: JoinGroupResponse) -> Joined {
        self.member_id.clone_from(&response.member_id);
        self.generation_id = response.generation_id;
        Joined {
            generation_id: response.generation_id,
            protocol: response.protocol_name.unwrap_or_default(),
            is_leader: response.leader == response.member_id,
            skip_assignment: response.skip_assignment,
            members: response.members,
        }
    }

    /// Hands in the leader's assignments (empty from followers), waits for one's own and starts the heartbeats.
    ///
    /// # Errors
    /// Any refusal; after [`ErrorCode::RebalanceInProgress`] and the like the caller joins again.
    pub async fn sync(&mut self, joined: &Joined, assignments: Vec<(String, Bytes)>) -> Result<Bytes> {
        let request = SyncGroupRequest {
            group_id: self.config.group_id.clone(),
            generation_id: joined.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
            protocol_type: Some(self.config.protocol_type.clone()),
            protocol_name: Some(joined.protocol.clone()),
            assignments: assignments
                .into_iter()
                .map(|(member_id, assignment)| sync_group_request::Assignment { member_id, assignment })
                .collect(),
        };
        let coordinator = self.cluster.coordinator(CoordinatorKind::Group, &self.config.group_id).await?;
        let response = coordinator.send_with_timeout(&request, self.config.rebalance_timeout + JOIN_GRACE).await;
        let checked =
            response.and_then(|response| Error::check(response.error_code, None).map(|()| response.assignment));
        match checked {
            Ok(assignment) => {
                self.start_heartbeats();
                Ok(assignment)
            }
            Err(error) => {
                self.recover(&error);
                Err(error)
            }
        }
    }

    /// Leaves the group, so that it need not wait for the session to expire. Static members stay on purpose.
    ///
    /// # Errors
    /// The coordinator's refusal; the member counts as gone either way.
    pub async fn leave(&mut self, reason: &str) -> Result<()> {
        self.stop_heartbeats();
        if self.config.group_instance_id.is_some() { Ok(()) } else { self.resign(reason).await }
    }

    /// Leaves the group for good, as a static member too.
    ///
    /// # Errors
    /// As [`Membership::leave`].
    pub async fn resign(&mut self, reason: &str) -> Result<()> {
        self.stop_heartbeats();
        if self.member_id.is_empty() {
            return Ok(());
        }
        let member_id = std::mem::take(&mut self.member_id);
        self.generation_id = -1;
        let request = LeaveGroupRequest {
            group_id: self.config.group_id.clone(),
            member_id: member_id.clone(),
            members: vec![leave_group_request::Member {
                member_id,
                group_instance_id: self.config.group_instance_id.clone(),
                reason: Some(reason.to_owned()),
            }],
        };
        let coordinator = self.cluster.coordinator(CoordinatorKind::Group, &self.config.group_id).await?;
        let response = coordinator.send(&request).await?;
        Error::check(response.error_code, None)
    }

    /// Forgets what an error says is no longer true.
    fn recover(&mut self, error: &Error) {
        match error.code() {
            Some(ErrorCode::UnknownMemberId) => {
                self.member_id.clear();
                self.generation_id = -1;
            }
            Some(ErrorCode::IllegalGeneration) => self.generation_id = -1,
            Some(code) if !is_coordinator_error(code) => {}
            _ => self.cluster.forget_coordinator(CoordinatorKind::Group, &self.config.group_id),
        }
    }

    fn start_heartbeats(&mut self) {
        self.stop_heartbeats();
        let (report, beat) = watch::channel(Beat::Stable);
        self.beat = beat;
        let request = HeartbeatRequest {
            group_id: self.config.group_id.clone(),
            generation_id: self.generation_id,
            member_id: self.member_id.clone(),
            group_instance_id: self.config.group_instance_id.clone(),
        };
        let pulse = Pulse {
            cluster: self.cluster.clone(),
            request,
            interval: self.config.heartbeat_interval,
            session_timeout: self.config.session_timeout,
        };
        self.heartbeats = Some(tokio::spawn(pulse.run(report)));
    }

    fn stop_heartbeats(&mut self) {
        if let Some(task) = self.heartbeats.take() {
            task.abort();
        }
        let (_, beat) = watch::channel(Beat::Stable);
        self.beat = beat;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.stop_heartbeats();
    }
}

/// The heartbeat task of one generation.
struct Pulse {
    cluster: Cluster,
    request: HeartbeatRequest,
    interval: Duration,
    session_timeout: Duration,
}

impl Pulse {
    async fn run(self, report: watch::Sender<Beat>) {
        let mut last_success = Instant::now();
        loop {
            tokio::time::sleep(self.interval).await;
            match self.beat().await {
                Ok(()) => last_success = Instant::now(),
                Err(error) => match error.code() {
                    Some(ErrorCode::RebalanceInProgress) => {
                        last_success = Instant::now();
                        report.send_replace(Beat::Rebalance);
                    }
                    Some(
                        code
                        @ (ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::FencedInstanceId),
                    ) => {
                        report.send_replace(Beat::Lost(code));
                        return;
                    }
                    _ => {
                        self.cluster.forget_coordinator(CoordinatorKind::Group, &self.request.group_id);
                        if last_success.elapsed() > self.session_timeout {
                            report.send_replace(Beat::Lost(ErrorCode::UnknownMemberId));
                            return;
                        }
                    }
                },
            }
        }
    }

    async fn beat(&self) -> Result<()> {
        let coordinator = self.cluster.coordinator(CoordinatorKind::Group, &self.request.group_id).await?;
        Error::check(coordinator.send(&self.request).await?.error_code, None)
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
