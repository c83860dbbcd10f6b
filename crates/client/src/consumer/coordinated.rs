//! Membership in a group whose coordinator assigns (KIP-848): heartbeats out, assignments in.
//!
//! One request does it all. A task of its own sends it, so that a slow caller stays a member; the caller's poll
//! takes the assignment over, gives up what must go, and the next heartbeat reports what is owned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use milena_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, MetadataRequest, consumer_group_heartbeat_request,
    consumer_group_heartbeat_response, metadata_request,
};
use milena_protocol::{ErrorCode, Uuid};

use super::{Consumer, ConsumerConfig, Wanted};
use crate::TopicPartition;
use crate::cluster::{Cluster, CoordinatorKind};
use crate::error::{Error, Result};

/// Epoch with which a member joins.
const JOINING: i32 = 0;
/// Epoch with which a member leaves.
const LEAVING: i32 = -1;
/// Epoch with which a static member leaves for a while.
const LEAVING_STATIC: i32 = -2;
/// Interval until the coordinator says another.
const FIRST_INTERVAL: Duration = Duration::from_secs(3);
/// The first version that takes a regular expression.
const REGEX_VERSION: i16 = 1;

type ByTopicId = BTreeMap<[u8; 16], Vec<i32>>;

/// What the member wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subscription {
    Names(Vec<String>),
    /// Resolved by the coordinator (RE2).
    Regex(String),
}

impl Subscription {
    fn to(wanted: &Wanted) -> Subscription {
        match wanted {
            Wanted::Topics(names) => Subscription::Names(names.clone()),
            Wanted::Matching(pattern, _) => Subscription::Regex(pattern.clone()),
            Wanted::Partitions => Subscription::Names(Vec::new()),
        }
    }
}

/// One member.
#[derive(Debug)]
pub(super) struct Coordinated {
    shared: Arc<Shared>,
    heartbeats: JoinHandle<()>,
    topic_names: HashMap<[u8; 16], String>,
    /// When client-side patterns are matched again.
    look_for_topics: Instant,
}

#[derive(Debug)]
struct Shared {
    cluster: Cluster,
    group_id: String,
    member_id: String,
    instance_id: Option<String>,
    rack: Option<String>,
    assignor: Option<String>,
    rebalance_timeout_ms: i32,
    state: Mutex<State>,
    /// Wakes the heartbeats: there is something to tell.
    tell: Notify,
    /// Wakes the caller: there is something to do.
    disturb: Notify,
}

#[derive(Debug)]
struct State {
    epoch: i32,
    subscription: Subscription,
    /// What the coordinator wants this member to own; `None` when that is done.
    target: Option<ByTopicId>,
    owned: ByTopicId,
    /// What of it the coordinator was told; `None`: everything has to be told again.
    told: Option<(Subscription, ByTopicId)>,
    /// The coordinator removed the member: what it owned is others'.
    lost: bool,
    failure: Option<Error>,
}

impl Coordinated {
    /// Joins with the next heartbeat; needs a runtime.
    pub fn new(cluster: &Cluster, config: &ConsumerConfig, group_id: String, wanted: &Wanted) -> Result<Coordinated> {
        if let Some(key) = config.classic_only.first() {
            return Err(Error::Config(format!("{key} cannot be set when group.protocol=CONSUMER")));
        }
        let subscription = Subscription::to(wanted);
        let shared = Arc::new(Shared {
            cluster: cluster.clone(),
            group_id,
            member_id: Uuid::random().to_string(),
            instance_id: config.group_instance_id.clone(),
            rack: config.rack.clone(),
            assignor: config.group_remote_assignor.clone(),
            rebalance_timeout_ms: i32::try_from(config.max_poll_interval.as_millis()).unwrap_or(i32::MAX),
            state: Mutex::new(State {
                epoch: JOINING,
                subscription,
                target: None,
                owned: ByTopicId::new(),
                told: None,
                lost: false,
                failure: None,
            }),
            tell: Notify::new(),
            disturb: Notify::new(),
        });
        let heartbeats = tokio::spawn(beat(Arc::clone(&shared)));
        Ok(Coordinated { shared, heartbeats, topic_names: HashMap::new(), look_for_topics: Instant::now() })
    }

    /// Member epoch, member id and instance id for a commit; `None` before the first answer.
    pub fn identity(&self) -> Option<(i32, &str, Option<&str>)> {
        let epoch = self.shared.state().epoch;
        (epoch > JOINING).then(|| (epoch, self.shared.member_id.as_str(), self.shared.instance_id.as_deref()))
    }

    /// The topics it has told by name.
    pub fn subscribed(&self) -> Option<Vec<String>> {
        match &self.shared.state().subscription {
            Subscription::Names(names) => Some(names.clone()),
            Subscription::Regex(_) => None,
        }
    }

    /// Tells with the next heartbeat, which is sent at once, that something else is wanted.
    pub fn change_subscription(&mut self, wanted: &Wanted) {
        self.shared.state().subscription = Subscription::to(wanted);
        self.shared.tell.notify_one();
    }

    /// Returns when the coordinator wants something.
    pub async fn disturbed(&self) {
        self.shared.disturb.notified().await;
    }

    /// Leaves the group; a static member keeps its place.
    pub async fn leave(&self) -> Result<()> {
        self.heartbeats.abort();
        if self.shared.state().epoch == JOINING {
            return Ok(());
        }
        let member_epoch = if self.shared.instance_id.is_some() { LEAVING_STATIC } else { LEAVING };
        let request = ConsumerGroupHeartbeatRequest { member_epoch, ..self.shared.bare_request() };
        let coordinator = self.shared.cluster.coordinator(CoordinatorKind::Group, &self.shared.group_id).await?;
        let response = coordinator.send(&request).await?;
        Error::check(response.error_code, response.error_message.as_ref())
    }
}

impl Drop for Coordinated {
    fn drop(&mut self) {
        self.heartbeats.abort();
    }
}

/// Takes over what the coordinator wants.
impl Consumer {
    pub(super) async fn keep_coordinated(&mut self) -> Result<()> {
        let Some(member) = self.coordinated.as_ref() else { return Ok(()) };
        let (failure, lost) = {
            let mut state = member.shared.state();
            (state.failure.take(), std::mem::take(&mut state.lost))
        };
        if lost {
            // Others may own the partitions already: nothing is committed.
            self.revoke_all();
        }
        match failure {
            // A cluster too old for the expression gets the names that match.
            Some(Error::UnsupportedVersion { api: REGEX_API }) => self.match_topics_here().await?,
            Some(failure) => return Err(failure),
            None => {}
        }
        self.refresh_matching_topics().await?;
        let Some(target) = self.coordinated.as_ref().and_then(|member| member.shared.state().target.clone()) else {
            return Ok(());
        };
        let assigned = self.names_of(&target).await?;
        let lost: Vec<TopicPartition> = self.partitions.keys().filter(|tp| !assigned.contains(*tp)).cloned().collect();
        if !lost.is_empty() && self.announces_revoking(&lost) {
            return Ok(());
        }
        self.reconcile(assigned, lost).await;
        let Some(member) = self.coordinated.as_ref() else { return Ok(()) };
        let mut state = member.shared.state();
        // Topics without a name are asked for again with the next poll.
        let owned: ByTopicId = target
            .iter()
            .filter(|(id, _)| member.topic_names.contains_key(*id))
            .map(|(id, of)| (*id, of.clone()))
            .collect();
        if owned.len() == target.len() && state.target.as_ref() == Some(&target) {
            state.target = None;
        }
        if state.owned == owned {
            return Ok(());
        }
        state.owned = owned;
        drop(state);
        member.shared.tell.notify_one();
        Ok(())
    }

    async fn reconcile(&mut self, assigned: BTreeSet<TopicPartition>, lost: Vec<TopicPartition>) {
        if !lost.is_empty() {
            self.commit_before_revoking().await;
            self.revoke(lost);
        }
        self.take_new(assigned);
    }

    /// The partitions of `target` by name; topics that are gone are left out.
    async fn names_of(&mut self, target: &ByTopicId) -> Result<BTreeSet<TopicPartition>> {
        let Some(member) = self.coordinated.as_mut() else { return Ok(BTreeSet::new()) };
        let unknown: Vec<[u8; 16]> =
            target.keys().filter(|id| !member.topic_names.contains_key(*id)).copied().collect();
        if !unknown.is_empty() {
            let topics = unknown.iter().map(|id| metadata_request::Topic { topic_id: Uuid(*id), name: None });
            let request = MetadataRequest { topics: Some(topics.collect()), ..Default::default() };
            let response = self.cluster.send_any(&request).await?;
            let named = response.topics.into_iter().filter_map(|topic| Some((*topic.topic_id.as_bytes(), topic.name?)));
            member.topic_names.extend(named);
        }
        let of_topic = |(id, partitions): (&[u8; 16], &Vec<i32>)| {
            let name = member.topic_names.get(id)?;
            Some(partitions.iter().map(|partition| TopicPartition::new(name, *partition)).collect::<Vec<_>>())
        };
        Ok(target.iter().filter_map(of_topic).flatten().collect())
    }

    async fn refresh_matching_topics(&mut self) -> Result<()> {
        let due = self.coordinated.as_ref().is_some_and(|member| {
            member.look_for_topics <= Instant::now()
                && matches!(member.shared.state().subscription, Subscription::Names(_))
        });
        if due && matches!(self.wanted, Wanted::Matching(..)) { self.match_topics_here().await } else { Ok(()) }
    }

    /// Matches the pattern against the cluster's topics and subscribes to the names.
    async fn match_topics_here(&mut self) -> Result<()> {
        let Wanted::Matching(_, filter) = &self.wanted else { return Ok(()) };
        let mut names: Vec<String> = self.cluster.list_topics().await?.into_iter().map(|topic| topic.name).collect();
        names.retain(|name| filter(name));
        names.sort();
        if let Some(member) = self.coordinated.as_mut() {
            member.look_for_topics = Instant::now() + self.config.metadata_max_age;
            member.shared.state().subscription = Subscription::Names(names);
            member.shared.tell.notify_one();
        }
        Ok(())
    }
}

/// Stands for the part of the API that takes expressions.
const REGEX_API: &str = "subscriptions by regular expression";

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request that tells nothing but that the member lives.
    fn bare_request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest {
            group_id: self.group_id.clone(),
            member_id: self.member_id.clone(),
            member_epoch: self.state().epoch,
            instance_id: self.instance_id.clone(),
            rebalance_timeout_ms: -1,
            ..Default::default()
        }
    }

    /// What has changed since the coordinator was told, everything when joining.
    fn request(&self) -> (ConsumerGroupHeartbeatRequest, (Subscription, ByTopicId)) {
        let mut request = self.bare_request();
        let state = self.state();
        let telling = (state.subscription.clone(), state.owned.clone());
        let told = state.told.as_ref().filter(|_| state.epoch != JOINING);
        if told.is_none() {
            request.rack_id = self.rack.clone();
            request.rebalance_timeout_ms = self.rebalance_timeout_ms;
            request.server_assignor = self.assignor.clone();
        }
        if told.is_none_or(|told| told.0 != telling.0) {
            match &telling.0 {
                Subscription::Names(names) => request.subscribed_topic_names = Some(names.clone()),
                Subscription::Regex(pattern) => request.subscribed_topic_regex = Some(pattern.clone()),
            }
        }
        if told.is_none_or(|told| told.1 != telling.1) {
            let owned = telling.1.iter().map(|(id, partitions)| consumer_group_heartbeat_request::TopicPartition {
                topic_id: Uuid(*id),
                partitions: partitions.clone(),
            });
            request.topic_partitions = Some(owned.collect());
        }
        (request, telling)
    }

    async fn heartbeat(&self) -> Result<(ConsumerGroupHeartbeatResponse, (Subscription, ByTopicId))> {
        let (request, telling) = self.request();
        let coordinator = self.cluster.coordinator(CoordinatorKind::Group, &self.group_id).await?;
        if request.subscribed_topic_regex.is_some()
            && coordinator.version_of::<ConsumerGroupHeartbeatRequest>().is_some_and(|version| version < REGEX_VERSION)
        {
            return Err(Error::UnsupportedVersion { api: REGEX_API });
        }
        let response = coordinator.send(&request).await?;
        Error::check(response.error_code, response.error_message.as_ref())?;
        Ok((response, telling))
    }

    fn take(&self, response: ConsumerGroupHeartbeatResponse, telling: (Subscription, ByTopicId)) {
        let mut state = self.state();
        state.epoch = response.member_epoch;
        state.told = Some(telling);
        if let Some(assignment) = response.assignment {
            state.target = Some(by_topic_id(assignment));
            self.disturb.notify_one();
        }
    }

    /// What to do about an error: how long to wait, or `None` when the member can do nothing more.
    fn recover(&self, error: Error) -> Option<Duration> {
        let backoff = self.cluster.config().retry_backoff;
        let mut state = self.state();
        match error.code() {
            Some(ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch) => {
                state.epoch = JOINING;
                state.owned = ByTopicId::new();
                (state.target, state.told) = (None, None);
                state.lost = true;
                self.disturb.notify_one();
                Some(backoff)
            }
            _ if error.is_retriable() || matches!(error, Error::Unreachable { .. }) => {
                drop(state);
                self.cluster.forget_coordinator(CoordinatorKind::Group, &self.group_id);
                // What was told may have been lost with the answer.
                self.state().told = None;
                Some(backoff)
            }
            _ => {
                let waits_for_names = matches!(error, Error::UnsupportedVersion { api: REGEX_API });
                state.failure = Some(match error {
                    Error::UnsupportedVersion { api } if api != REGEX_API => Error::api(
                        ErrorCode::UnsupportedVersion,
                        Some("The cluster does not support the new CONSUMER group protocol. Set group.protocol=classic on the consumer configs to revert to the CLASSIC protocol until the cluster is upgraded.".to_owned()),
                    ),
                    other => other,
                });
                self.disturb.notify_one();
                waits_for_names.then_some(FIRST_INTERVAL)
            }
        }
    }
}

async fn beat(shared: Arc<Shared>) {
    let mut interval = FIRST_INTERVAL;
    loop {
        let pause = match shared.heartbeat().await {
            Ok((response, telling)) => {
                if let Ok(ms) = u64::try_from(response.heartbeat_interval_ms)
                    && ms > 0
                {
                    interval = Duration::from_millis(ms);
                }
                shared.take(response, telling);
                interval
            }
            Err(error) => {
                tracing::debug!(%error, "heartbeat failed");
                match shared.recover(error) {
                    Some(pause) => pause,
                    None => return,
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.tell.notified() => {}
        }
    }
}

fn by_topic_id(assignment: consumer_group_heartbeat_response::Assignment) -> ByTopicId {
    let mut topics = ByTopicId::new();
    for topic in assignment.topic_partitions {
        let mut partitions = topic.partitions;
        partitions.sort_unstable();
        topics.insert(*topic.topic_id.as_bytes(), partitions);
    }
    topics
}
