//! A worker among others: joins the group, runs what it is given, and shares the work out when it leads.
//!
//! ```text
//!   JoinGroup(url, offset, what I have) ──► the leader shares out ──► SyncGroup(given, revoked)
//!        ▲                                                                  │
//!        │   a connector or a set of tasks is new, a member came or went    │ stop what is revoked, start what is given
//!        └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Everybody must have read the configurations as far as the leader; who has not reads on and joins again. What was
//! revoked is stopped before the next join, so that nobody else starts it too early.

mod assignor;
mod metrics;
mod protocol;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use milena_client::Cluster;
use milena_client::consumer::{Joined, Membership, MembershipConfig};
use milena_stdx::{Clock as _, SystemClock};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use super::config_state::ConfigEvent;
use super::lanes::{Job, Wish};
use super::{Herder, HerderError};
use crate::config::worker::DistributedConfig;
use crate::worker::TaskId;
use assignor::Assignor;
use protocol::{Assignment, CONFIG_MISMATCH, Metadata};

pub(crate) use metrics::Rebalances;
pub(crate) use work::Work;

/// Pause after a failed attempt to join.
const RETRY: Duration = Duration::from_secs(1);
/// Pause before reading on when others have read further.
const READ_ON: Duration = Duration::from_millis(100);
/// How often the leader looks after states of what is gone, and after the key.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long a stopping member tries to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Who owns what, as the leader knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owners {
    connectors: BTreeMap<String, Arc<str>>,
    tasks: BTreeMap<TaskId, Arc<str>>,
}

impl Owners {
    fn new(all: &BTreeMap<String, Work>, urls: &BTreeMap<String, Arc<str>>) -> Owners {
        let mut owners = Owners::default();
        for (member, work) in all {
            let Some(url) = urls.get(member) else { continue };
            owners.connectors.extend(work.connectors.iter().map(|connector| (connector.clone(), url.clone())));
            owners.tasks.extend(work.tasks.iter().map(|task| (task.clone(), url.clone())));
        }
        owners
    }

    /// Where the owner of a connector is.
    pub fn of_connector(&self, name: &str) -> Option<String> {
        self.connectors.get(name).map(|url| url.to_string())
    }

    /// Where the owner of a task is.
    pub fn of_task(&self, id: &TaskId) -> Option<String> {
        self.tasks.get(id).map(|url| url.to_string())
    }
}

/// What comes after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Work.
    Settled,
    /// Join again.
    Again,
    /// Join again after a pause.
    Later(Duration),
}

struct Member {
    herder: Arc<Herder>,
    url: String,
    sessioned: bool,
    membership: Membership,
    assignor: Assignor,
    /// All that this worker has, as the last round has left it.
    assignment: Option<Assignment>,
    /// What of it was started.
    running: Work,
    /// Connectors that there were in the last round.
    known: BTreeSet<String>,
    completed_generation: i32,
    /// When the group is to be joined again by itself.
    scheduled: Option<Instant>,
    owners: Owners,
}

impl Herder {
    /// Takes part in the group until the worker is stopped.
    pub(super) async fn run_in_group(
        self: Arc<Self>,
        cluster: Cluster,
        url: String,
        config: DistributedConfig,
        mut events: UnboundedReceiver<ConfigEvent>,
        mut wishes: UnboundedReceiver<Wish>,
    ) {
        let membership = Membership::new(
            cluster,
            MembershipConfig {
                group_id: config.group_id.clone(),
                group_instance_id: None,
                protocol_type: protocol::PROTOCOL_TYPE.to_owned(),
                session_timeout: config.session_timeout,
                rebalance_timeout: config.rebalance_timeout,
                heartbeat_interval: config.heartbeat_interval,
            },
        );
        let delay_max = i64::try_from(config.scheduled_rebalance_delay_max.as_millis()).unwrap_or(i64::MAX);
        let mut member = Member {
            herder: self.clone(),
            url,
            sessioned: config.sessioned,
            membership,
            assignor: Assignor::new(delay_max.min(i64::from(i32::MAX))),
            assignment: None,
            running: Work::default(),
            known: BTreeSet::new(),
            completed_generation: -1,
            scheduled: None,
            owners: Owners::default(),
        };
        tokio::select! {
            () = member.take_part(&mut events, &mut wishes) => {}
            () = self.shutdown.cancelled() => {}
        }
        self.halt().await;
        let goodbye = member.membership.leave("the worker is being stopped");
        if let Ok(Err(error)) = tokio::time::timeout(GOODBYE, goodbye).await {
            tracing::debug!(%error, "leaving the group of the workers");
        }
    }
}

impl Member {
    async fn take_part(&mut self, events: &mut UnboundedReceiver<ConfigEvent>, wishes: &mut UnboundedReceiver<Wish>) {
        let mut joins = true;
        let mut upkeep = tokio::time::interval(UPKEEP);
        loop {
            while let Ok(event) = events.try_recv() {
                joins |= self.happened(event);
            }
            if joins {
                self.herder.group.write().rebalancing = true;
                self.herder.rebalances.began();
                joins = match self.round().await {
                    Next::Settled => false,
                    Next::Again => true,
                    Next::Later(pause) => {
                        tokio::time::sleep(pause).await;
                        true
                    }
                };
                continue;
            }
            let scheduled = self.scheduled;
            let is_due = async {
                match scheduled {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => joins |= self.happened(event),
                    None => return,
                },
                wish = wishes.recv() => match wish {
                    Some(Wish::Rejoin) => joins = true,
                    Some(wish) => self.herder.grant(wish),
                    None => return,
                },
                () = self.membership.disturbed() => joins = true,
                () = is_due => {
                    self.scheduled = None;
                    joins = true;
                }
                _ = upkeep.tick() => self.keep_up().await,
            }
        }
    }

    /// What an event means to a member of a group; whether the group must be joined again.
    fn happened(&mut self, event: ConfigEvent) -> bool {
        match event {
            ConfigEvent::Updated(name) => {
                if self.running.connectors.contains(&name) {
                    self.herder.post(&name, Job::Start);
                }
                !self.known.contains(&name)
            }
            ConfigEvent::Removed(name) => self.known.contains(&name),
            ConfigEvent::Tasks(name) => {
                // Tasks with old settings must not go on while the group decides who runs the new ones.
                let own: Vec<TaskId> = self.running.tasks.iter().filter(|id| *id.connector == *name).cloned().collect();
                self.running.tasks.retain(|id| *id.connector != *name);
                if !own.is_empty() {
                    self.herder.post(&name, Job::StopTasks(own));
                }
                true
            }
            other => {
                self.herder.happened(other);
                false
            }
        }
    }

    async fn round(&mut self) -> Next {
        let assignment = match self.join().await {
            Ok(Some(assignment)) => assignment,
            Ok(None) => return Next::Again,
            Err(error) => {
                tracing::warn!("joining the group of the workers failed, trying again: {error}");
                self.give_up_everything().await;
                return Next::Later(RETRY);
            }
        };
        let leads = assignment.leader == self.membership.member_id();
        self.stop(&assignment.revoked).await;
        let mut all = self.assignment.take().map(|before| before.given).unwrap_or_default();
        all.remove(&assignment.revoked);
        all.add(&assignment.given);
        let (error, offset) = (assignment.error, assignment.offset);
        let (revoked, delay_ms) = (assignment.revoked, assignment.delay_ms);
        self.announce(leads, &assignment.leader_url, &all);
        self.assignment = Some(Assignment {
            error: 0,
            leader: assignment.leader,
            leader_url: assignment.leader_url,
            offset,
            given: all.clone(),
            revoked: Work::default(),
            delay_ms: 0,
        });
        self.scheduled =
            u64::try_from(delay_ms).ok().filter(|ms| *ms > 0).map(|ms| Instant::now() + Duration::from_millis(ms));
        if leads && let Err(error) = self.herder.configs.claim().await {
            tracing::warn!("the configurations cannot be written yet: {error}");
            return Next::Later(RETRY);
        }
        if !leads {
            self.herder.configs.release().await;
        }
        if !self.has_read_to(offset, error).await {
            return Next::Later(READ_ON);
        }
        self.start(all);
        self.keep_up().await;
        if !revoked.is_empty() {
            return Next::Again;
        }
        self.herder.group.write().rebalancing = false;
        self.herder.rebalances.ended(self.completed_generation);
        Next::Settled
    }

    /// Joins; `None` when the group has begun anew meanwhile.
    async fn join(&mut self) -> Result<Option<Assignment>, HerderError> {
        let failed = |error: milena_client::Error| HerderError::Unavailable(error.to_string());
        let offset = self.herder.configs.state().offset;
        let metadata = Metadata { url: self.url.clone(), offset, assignment: self.assignment.clone() };
        let named = |name: &str| (name.to_owned(), metadata.encode(protocol::version_of(name)));
        let mut protocols = vec![named(protocol::COMPATIBLE)];
        if self.sessioned {
            protocols.insert(0, named(protocol::SESSIONED));
        }
        let joined = self.membership.join(&protocols, "the work may have changed").await.map_err(failed)?;
        let assignments = if joined.is_leader { self.share_out(&joined).await? } else { Vec::new() };
        let bytes = match self.membership.sync(&joined, assignments).await {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::debug!(%error, "the group of the workers has begun anew");
                return Ok(None);
            }
        };
        let assignment = Assignment::decode(bytes).map_err(|error| HerderError::Unavailable(error.to_string()))?;
        self.completed_generation = joined.generation_id;
        self.herder.sink.generation.store(joined.generation_id, Ordering::Release);
        self.herder.group.write().signs = joined.protocol == protocol::SESSIONED;
        Ok(Some(assignment))
    }

    /// The leader's part of a round.
    async fn share_out(&mut self, joined: &Joined) -> Result<Vec<(String, Bytes)>, HerderError> {
        let mut members: BTreeMap<String, Metadata> = BTreeMap::new();
        for member in &joined.members {
            let metadata = Metadata::decode(member.metadata.clone());
            let metadata = metadata.map_err(|error| HerderError::Unavailable(error.to_string()))?;
            members.insert(member.member_id.clone(), metadata);
        }
        let furthest = members.values().map(|member| member.offset).max().unwrap_or_default();
        if self.herder.configs.state().offset < furthest {
            let _ = self.herder.refresh_configs().await;
        }
        let (configured, offset) = self.configured();
        let version = protocol::version_of(&joined.protocol);
        let head = Assignment {
            leader: self.membership.member_id().to_owned(),
            leader_url: self.url.clone(),
            offset,
            ..Assignment::default()
        };
        if offset < furthest {
            let mismatch = Assignment { error: CONFIG_MISMATCH, offset: furthest, ..head }.encode(version);
            return Ok(members.into_keys().map(|member| (member, mismatch.clone())).collect());
        }
        let has = |metadata: &Metadata| metadata.assignment.as_ref().map(|all| all.given.clone()).unwrap_or_default();
        let held: BTreeMap<String, Work> =
            members.iter().map(|(member, metadata)| (member.clone(), has(metadata))).collect();
        let now = SystemClock.now_ms();
        let shares = self.assignor.share(now, &configured, self.completed_generation, joined.generation_id, &held);
        let urls = members.iter().map(|(member, metadata)| (member.clone(), metadata.url.as_str().into())).collect();
        self.owners = Owners::new(&shares.all, &urls);
        let delay_ms = i32::try_from(shares.delay_ms).unwrap_or(i32::MAX);
        let of_member = |member: String| {
            let given = shares.given.get(&member).cloned().unwrap_or_default();
            let revoked = shares.revoked.get(&member).cloned().unwrap_or_default();
            let bytes = Assignment { given, revoked, delay_ms, ..head.clone() }.encode(version);
            (member, bytes)
        };
        Ok(members.into_keys().map(of_member).collect())
    }

    /// All that there is to do, and up to where that was read.
    fn configured(&self) -> (Work, i64) {
        let state = self.herder.configs.state();
        let mut work = Work::default();
        for name in state.connectors() {
            work.connectors.insert(name.to_owned());
            work.tasks.extend(state.tasks(name));
        }
        (work, state.offset)
    }

    fn announce(&self, leads: bool, leader_url: &str, owned: &Work) {
        let mut group = self.herder.group.write();
        let url = (!leader_url.is_empty()).then(|| leader_url.to_owned());
        if group.leader_url != url || group.is_leader != leads {
            match (leads, &url) {
                (true, _) => tracing::info!("this worker leads its group"),
                (false, Some(url)) => tracing::info!("{url} leads the group of the workers"),
                (false, None) => {}
            }
        }
        group.is_leader = leads;
        group.leader_url = url;
        group.owned = Some(owned.clone());
        group.owners = if leads { self.owners.clone() } else { Owners::default() };
    }

    /// Whether this worker knows exactly what the leader knew.
    async fn has_read_to(&self, offset: i64, error: i16) -> bool {
        if (error != 0 || self.herder.configs.state().offset < offset)
            && let Err(error) = self.herder.refresh_configs().await
        {
            tracing::warn!("the configurations cannot be read: {error}");
            return false;
        }
        error == 0 && self.herder.configs.state().offset == offset
    }

    /// Starts what this worker has and does not run.
    fn start(&mut self, all: Work) {
        self.known = self.herder.connectors().into_iter().collect();
        let new = all.without(&self.running);
        for connector in &new.connectors {
            self.herder.post(connector, Job::Start);
        }
        let mut by_connector: BTreeMap<&str, Vec<TaskId>> = BTreeMap::new();
        for id in &new.tasks {
            by_connector.entry(&id.connector).or_default().push(id.clone());
        }
        for (connector, tasks) in by_connector {
            self.herder.post(connector, Job::StartTasks(tasks));
        }
        self.running = all;
    }

    /// Stops what must be given up, and waits for it.
    async fn stop(&mut self, revoked: &Work) {
        if revoked.is_empty() {
            return;
        }
        let mut stopping = tokio::task::JoinSet::new();
        let mut by_connector: BTreeMap<&str, Vec<TaskId>> = BTreeMap::new();
        for id in &revoked.tasks {
            by_connector.entry(&id.connector).or_default().push(id.clone());
        }
        for (connector, tasks) in by_connector {
            let (herder, connector) = (self.herder.clone(), connector.to_owned());
            stopping.spawn(async move { herder.perform(&connector, Job::StopTasks(tasks)).await });
        }
        for connector in &revoked.connectors {
            let (herder, connector) = (self.herder.clone(), connector.clone());
            stopping.spawn(async move { herder.perform(&connector, Job::Stop).await });
        }
        while stopping.join_next().await.is_some() {}
        self.running.remove(revoked);
        self.herder.sink.statuses.flush().await;
        self.herder.forget_lanes_of_gone_connectors();
    }

    /// Whoever is no member must not run what others may be running by now.
    async fn give_up_everything(&mut self) {
        let all = std::mem::take(&mut self.running);
        self.assignment = None;
        self.stop(&all).await;
        let mut group = self.herder.group.write();
        group.is_leader = false;
        group.leader_url = None;
        group.owned = Some(Work::default());
    }

    /// What a leader looks after: states of what is gone, the key that signs calls.
    async fn keep_up(&self) {
        let (leads, signs) = {
            let group = self.herder.group.read();
            (group.is_leader, group.signs)
        };
        if !leads {
            return;
        }
        self.herder.forget_states_of_what_is_gone();
        if signs && let Err(error) = self.herder.renew_session_key().await {
            tracing::warn!("the key that signs calls between workers was not changed: {error}");
        }
    }
}

impl Herder {
    fn forget_states_of_what_is_gone(&self) {
        for name in self.sink.statuses.connectors() {
            let count = {
                let state = self.configs.state();
                state.contains(&name).then(|| state.task_count(&name))
            };
            match count {
                None => {
                    self.sink.deleted(&name);
                    self.sink.statuses.delete_topics(&name);
                }
                Some(count) => self.forget_tasks_beyond(&name, usize::try_from(count).unwrap_or(usize::MAX)),
            }
        }
    }

    fn forget_lanes_of_gone_connectors(self: &Arc<Self>) {
        let gone: Vec<String> = {
            let state = self.configs.state();
            self.sink.recent.connectors().into_iter().filter(|name| !state.contains(name)).collect()
        };
        for name in gone {
            self.post(&name, Job::Remove);
        }
    }
}
