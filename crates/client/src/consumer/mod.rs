//! A consumer: fetches assigned partitions, alone or as a member of a group, classic or of KIP-848.
//!
//! [`Consumer::poll`] gives one event at a time: records of one partition, or a change of the
//! assignment. Records come as the broker stored them and are walked with [`Fetched::for_each`].
//! While the caller works on them, the next fetch is already under way (one per broker).

pub mod assignor;
mod config;
mod coordinated;
pub mod embedded;
mod fetch;
mod fetched;
mod group;
mod membership;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use milena_protocol::ErrorCode;

use crate::TopicPartition;
use crate::admin::{Committed, OffsetSpec};
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::own_connections::OwnConnections;

pub use config::{ConsumerConfig, GroupProtocol, OffsetReset};
pub use fetched::{Fetched, ReadRecord};
pub use membership::{Beat, Joined, Membership, MembershipConfig};

/// What a producer must know of a consumer to commit its offsets in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group.
    pub group_id: String,
    /// Generation of a classic group, member epoch of the newer protocol; -1 outside a group.
    pub generation_or_member_epoch: i32,
    /// The member; empty outside a group.
    pub member_id: String,
    /// Name of a static member.
    pub group_instance_id: Option<String>,
}

impl GroupMetadata {
    /// Of a consumer that is not a member of the group.
    pub fn of_group(group_id: impl Into<String>) -> GroupMetadata {
        GroupMetadata {
            group_id: group_id.into(),
            generation_or_member_epoch: -1,
            member_id: String::new(),
            group_instance_id: None,
        }
    }
}

/// Which topics a group member wants, decided from the names the cluster has.
pub type TopicFilter = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// What [`Consumer::poll`] found.
#[derive(Debug)]
pub enum Polled {
    /// Records of one partition.
    Records(Fetched),
    /// Partitions this member now reads, in addition to what it had.
    Assigned(Vec<TopicPartition>),
    /// Partitions that this member gives up with the next poll: the last chance to commit for them. Only after
    /// [`Consumer::announce_revocations`], and not for partitions that were lost.
    Revoking(Vec<TopicPartition>),
    /// Partitions this member no longer reads. Their positions were committed when automatic commits are on.
    Revoked(Vec<TopicPartition>),
    /// Nothing until the timeout.
    Idle,
}

/// See the module's words.
pub struct Consumer {
    cluster: Cluster,
    config: ConsumerConfig,
    wanted: Wanted,
    partitions: BTreeMap<TopicPartition, Position>,
    /// Membership in a classic group.
    group: Option<group::Group>,
    /// Membership in a group whose coordinator assigns.
    coordinated: Option<coordinated::Coordinated>,
    fetches: JoinSet<fetch::FetchOutcome>,
    busy_leaders: HashSet<i32>,
    fetch_connections: OwnConnections,
    buffered: VecDeque<Fetched>,
    events: VecDeque<Polled>,
    next_commit: Instant,
    /// Distinguishes assignments and seeks: answers to older fetches are dropped.
    next_seek_id: u64,
    /// Partitions are not fetched before this after an error.
    backoff: HashMap<TopicPartition, Instant>,
    announcement: Announcement,
}

/// Whether the caller hears of partitions before they are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announcement {
    Unwanted,
    Wanted,
    /// It was made; the partitions may go.
    Made,
}

enum Wanted {
    /// Assigned by the caller.
    Partitions,
    /// Assigned by the group.
    Topics(Vec<String>),
    /// Assigned by the group from the topics that match the expression; the filter does so on this side.
    Matching(String, TopicFilter),
}

/// Where to start reading an assigned partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this offset.
    Offset(i64),
    /// At an offset that the leader finds.
    Find(OffsetSpec),
}

/// Where a partition is read.
#[derive(Debug, Clone)]
struct Position {
    /// The next offset the caller has not seen; `None` until it is looked up.
    consumed: Option<i64>,
    /// The next offset to fetch, ahead of `consumed` by what is buffered.
    fetch: i64,
    /// Where to start when there is no committed offset; `None`: as configured.
    start: Option<Start>,
    seek_id: u64,
    paused: bool,
    /// Where the partition ended for a reader when it was fetched last; `None` until then.
    end: Option<i64>,
}

impl Consumer {
    /// A consumer without any partitions yet.
    pub fn new(cluster: Cluster, config: ConsumerConfig) -> Consumer {
        let next_commit = Instant::now() + config.auto_commit_interval;
        Consumer {
            cluster,
            config,
            wanted: Wanted::Partitions,
            partitions: BTreeMap::new(),
            group: None,
            coordinated: None,
            fetches: JoinSet::new(),
            busy_leaders: HashSet::new(),
            fetch_connections: OwnConnections::default(),
            buffered: VecDeque::new(),
            events: VecDeque::new(),
            next_commit,
            next_seek_id: 0,
            backoff: HashMap::new(),
            announcement: Announcement::Unwanted,
        }
    }

    /// From now on [`Polled::Revoking`] comes one poll before partitions are given up.
    pub fn announce_revocations(&mut self) {
        self.announcement = Announcement::Wanted;
    }

    /// Reads exactly `partitions`, each from the given place (`None`: the group's committed offset,
    /// or else as `auto.offset.reset` says).
    pub fn assign(&mut self, partitions: Vec<(TopicPartition, Option<Start>)>) {
        self.wanted = Wanted::Partitions;
        self.partitions.clear();
        self.buffered.clear();
        for (tp, start) in partitions {
            let position = self.fresh_position(start);
            self.partitions.insert(tp, position);
        }
    }

    /// Joins the group of the configuration for `topics`; a member changes what it wants.
    ///
    /// # Errors
    /// [`Error::Config`] without a group id.
    pub fn subscribe(&mut self, topics: Vec<String>) -> Result<()> {
        self.wanted = Wanted::Topics(topics);
        self.enter_group()
    }

    /// Joins the group of the configuration for the topics that match, now and later. With `group.protocol=consumer` the
    /// coordinator evaluates `pattern` (RE2), otherwise and with older clusters `filter` decides.
    ///
    /// # Errors
    /// [`Error::Config`] without a group id.
    pub fn subscribe_matching(&mut self, pattern: &str, filter: TopicFilter) -> Result<()> {
        self.wanted = Wanted::Matching(pattern.to_owned(), filter);
        self.enter_group()
    }

    /// Commits when automatic commits are on, leaves the group and reads nothing any more.
    ///
    /// # Errors
    /// The last commit's or the leave's refusal; nothing is read all the same.
    pub async fn unsubscribe(&mut self) -> Result<()> {
        let left = self.leave().await;
        (self.group, self.coordinated, self.wanted) = (None, None, Wanted::Partitions);
        self.partitions.clear();
        self.buffered.clear();
        self.events.clear();
        self.backoff.clear();
        left
    }

    /// The topics that this member has told the group it wants; for an expression that the coordinator evaluates those
    /// of the partitions it was given.
    pub fn subscription(&self) -> Vec<String> {
        if let Some(group) = &self.group {
            return group.subscribed().to_vec();
        }
        if let Some(names) = self.coordinated.as_ref().and_then(coordinated::Coordinated::subscribed) {
            return names;
        }
        let mut topics: Vec<String> = self.partitions.keys().map(|tp| tp.topic.clone()).collect();
        topics.dedup();
        topics
    }

    /// The partitions read at the moment.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// The next offset that the caller has not seen of `tp`.
    pub fn position(&self, tp: &TopicPartition) -> Option<i64> {
        self.partitions.get(tp)?.consumed
    }

    /// Whether the caller has seen everything that was in `tp` when it was fetched last; no before the first answer.
    pub fn is_caught_up(&self, tp: &TopicPartition) -> bool {
        let position = self.partitions.get(tp);
        position.is_some_and(|position| match (position.consumed, position.end) {
            (Some(consumed), Some(end)) => consumed >= end,
            _ => false,
        })
    }

    /// How many records of `tp` are still to be read, as of its last fetch; `None` before that.
    pub fn lag(&self, tp: &TopicPartition) -> Option<i64> {
        let position = self.partitions.get(tp)?;
        Some((position.end? - position.consumed?).max(0))
    }

    /// Changes `fetch.max.wait.ms` from the next fetch on.
    pub fn set_fetch_max_wait(&mut self, wait: Duration) {
        self.config.fetch_max_wait = wait;
    }

    /// Continues `tp` at `offset`.
    pub fn seek(&mut self, tp: &TopicPartition, offset: i64) {
        self.next_seek_id += 1;
        if let Some(position) = self.partitions.get_mut(tp) {
            position.consumed = Some(offset);
            position.fetch = offset;
            position.seek_id = self.next_seek_id;
            position.end = None;
        }
        self.buffered.retain(|fetched| fetched.tp != *tp);
    }

    /// Says how far the caller got when it stops inside [`Polled::Records`]: what a commit then stores.
    pub fn set_consumed(&mut self, tp: &TopicPartition, offset: i64) {
        if let Some(position) = self.partitions.get_mut(tp) {
            position.consumed = Some(offset);
        }
    }

    /// Stops or resumes fetching `tp`.
    pub fn set_paused(&mut self, tp: &TopicPartition, paused: bool) {
        if let Some(position) = self.partitions.get_mut(tp) {
            position.paused = paused;
        }
    }

    /// The next event, waiting at most `timeout` for records. Joining a group may take longer.
    ///
    /// # Errors
    /// Whatever cannot be retried: authorization, a fenced member, an offset out of range with
    /// `auto.offset.reset=none`, malformed records.
    pub async fn poll(&mut self, timeout: Duration) -> Result<Polled> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.keep_membership().await?;
            self.keep_coordinated().await?;
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.commit_when_due().await;
            self.find_positions().await?;
            self.start_fetches().await?;
            if let Some(fetched) = self.buffered.pop_front() {
                if let Some(position) = self.partitions.get_mut(&fetched.tp) {
                    position.consumed = Some(fetched.next_offset());
                }
                // The next fetch runs while the caller works.
                self.start_fetches().await?;
                return Ok(Polled::Records(fetched));
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(Polled::Idle);
            }
            self.wait(deadline - now).await?;
        }
    }

    /// Returns when [`Consumer::poll`] may find something, at the latest after `timeout`, as far as the last poll has left
    /// something to wait for. May be dropped at any time.
    ///
    /// # Errors
    /// As [`Consumer::poll`].
    pub async fn news(&mut self, timeout: Duration) -> Result<()> {
        if self.events.is_empty() && self.buffered.is_empty() { self.wait(timeout).await } else { Ok(()) }
    }

    /// Takes part in the group without reading, for callers that pause between their reads: joins, gives partitions up,
    /// commits when that is due. Returns what changed, without waiting for anything to change.
    ///
    /// # Errors
    /// As [`Consumer::poll`].
    pub async fn attend(&mut self) -> Result<Vec<Polled>> {
        self.keep_membership().await?;
        self.keep_coordinated().await?;
        self.commit_when_due().await;
        Ok(self.events.drain(..).collect())
    }

    /// Returns when [`Consumer::attend`] has something to do. May be dropped at any time.
    pub async fn wants_attention(&mut self) {
        let due = tokio::time::Instant::from_std(Instant::now() + self.next_commit_in());
        let disturbed = async {
            match (self.group.as_mut(), self.coordinated.as_ref()) {
                (Some(group), _) => group.disturbed(matches!(self.wanted, Wanted::Matching(..))).await,
                (None, Some(member)) => member.disturbed().await,
                (None, None) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = disturbed => {}
            () = tokio::time::sleep_until(due) => {}
        }
    }

    /// Commits the positions of everything read so far.
    ///
    /// # Errors
    /// The coordinator's refusal; [`ErrorCode::RebalanceInProgress`] among them.
    pub async fn commit(&self) -> Result<BTreeMap<TopicPartition, Committed>> {
        let offsets: BTreeMap<_, _> = self
            .partitions
            .iter()
            .filter_map(|(tp, position)| Some((tp.clone(), Committed::at(position.consumed?))))
            .collect();
        self.commit_offsets(&offsets).await?;
        Ok(offsets)
    }

    /// Commits `offsets`.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    pub async fn commit_offsets(&self, offsets: &BTreeMap<TopicPartition, Committed>) -> Result<()> {
        let Some(group_id) = &self.config.group_id else {
            return Err(Error::Config("committing needs a group.id".to_owned()));
        };
        if offsets.is_empty() {
            return Ok(());
        }
        self.cluster.commit_offsets(group_id, self.identity(), offsets).await
    }

    /// What a transactional producer needs to commit this consumer's offsets; `None` without a `group.id`.
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        let mut metadata = GroupMetadata::of_group(self.config.group_id.clone()?);
        if let Some((generation, member_id, instance_id)) = self.identity() {
            metadata.generation_or_member_epoch = generation;
            member_id.clone_into(&mut metadata.member_id);
            metadata.group_instance_id = instance_id.map(str::to_owned);
        }
        Some(metadata)
    }

    /// Commits when automatic commits are on, and leaves the group.
    ///
    /// # Errors
    /// The last commit's or the leave's refusal.
    pub async fn close(mut self) -> Result<()> {
        self.leave().await
    }

    /// As [`Consumer::close`], and a static member does not stay in the group: others get its partitions at once.
    ///
    /// # Errors
    /// The leave's refusal.
    pub async fn resign(mut self) -> Result<()> {
        if let Some(group) = self.group.as_mut() {
            group.membership.resign("the consumer is gone for good").await?;
        }
        self.leave().await
    }

    async fn leave(&mut self) -> Result<()> {
        self.fetches.abort_all();
        self.busy_leaders.clear();
        let committed = if self.config.enable_auto_commit && self.config.group_id.is_some() {
            self.commit().await.map(|_| ())
        } else {
            Ok(())
        };
        if let Some(group) = self.group.as_mut() {
            group.membership.leave("the consumer is being closed").await?;
        }
        if let Some(member) = self.coordinated.as_ref() {
            member.leave().await?;
        }
        committed
    }

    fn enter_group(&mut self) -> Result<()> {
        if let Some(group) = self.group.as_mut() {
            group.look_for_topics_now();
            return Ok(());
        }
        if let Some(member) = self.coordinated.as_mut() {
            member.change_subscription(&self.wanted);
            return Ok(());
        }
        let group_id = self.config.group_id.clone().filter(|id| !id.is_empty());
        let group_id = group_id.ok_or_else(|| Error::Config("subscribing needs a group.id".to_owned()))?;
        match self.config.group_protocol {
            GroupProtocol::Classic => self.group = Some(group::Group::new(&self.cluster, &self.config, group_id)?),
            GroupProtocol::Consumer => {
                let member = coordinated::Coordinated::new(&self.cluster, &self.config, group_id, &self.wanted)?;
                self.coordinated = Some(member);
            }
        }
        Ok(())
    }

    /// Generation or member epoch, member id and instance id, while a member.
    fn identity(&self) -> Option<(i32, &str, Option<&str>)> {
        match &self.coordinated {
            Some(member) => member.identity(),
            None => self.group.as_ref().and_then(group::Group::identity),
        }
    }

    /// Whether `lost` must wait for the next poll, because the caller hears of it first.
    fn announces_revoking(&mut self, lost: &[TopicPartition]) -> bool {
        match self.announcement {
            Announcement::Wanted if !lost.is_empty() => {
                self.announcement = Announcement::Made;
                self.events.push_back(Polled::Revoking(lost.to_vec()));
                true
            }
            Announcement::Made => {
                self.announcement = Announcement::Wanted;
                false
            }
            Announcement::Wanted | Announcement::Unwanted => false,
        }
    }

    fn fresh_position(&mut self, start: Option<Start>) -> Position {
        self.next_seek_id += 1;
        Position { consumed: None, fetch: -1, start, seek_id: self.next_seek_id, paused: false, end: None }
    }

    async fn commit_when_due(&mut self) {
        let automatic = self.config.enable_auto_commit && self.config.group_id.is_some();
        if !automatic || Instant::now() < self.next_commit {
            return;
        }
        self.next_commit = Instant::now() + self.config.auto_commit_interval;
        if let Err(error) = self.commit().await {
            tracing::warn!(%error, "automatic offset commit failed");
        }
    }

    /// Looks up where to start the partitions that have no position yet.
    async fn find_positions(&mut self) -> Result<()> {
        let unknown: Vec<TopicPartition> = self
            .partitions
            .iter()
            .filter(|(_, position)| position.consumed.is_none())
            .map(|(tp, _)| tp.clone())
            .collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let of_group: Vec<TopicPartition> = match &self.config.group_id {
            Some(_) => unknown.iter().filter(|tp| self.partitions[*tp].start.is_none()).cloned().collect(),
            None => Vec::new(),
        };
        if let (Some(group_id), false) = (&self.config.group_id, of_group.is_empty()) {
            let committed = self.cluster.committed_offsets(group_id, Some(&of_group)).await?;
            for (tp, committed) in committed {
                self.seek(&tp, committed.offset);
            }
        }
        let left: Vec<(TopicPartition, Start)> = unknown
            .into_iter()
            .filter_map(|tp| {
                let position = self.partitions.get(&tp)?;
                let spec = position.start.or(self.config.auto_offset_reset.spec().map(Start::Find));
                position.consumed.is_none().then_some((tp, spec))
            })
            .map(|(tp, spec)| match spec {
                Some(spec) => Ok((tp, spec)),
                None => Err(Error::Config(format!("Undefined offset with no reset policy for partitions: [{tp}]"))),
            })
            .collect::<Result<_>>()?;
        self.seek_to(left).await
    }

    async fn seek_to(&mut self, wanted: Vec<(TopicPartition, Start)>) -> Result<()> {
        let mut special = Vec::new();
        for (tp, start) in wanted {
            match start {
                Start::Offset(offset) => self.seek(&tp, offset),
                Start::Find(spec) => special.push((tp, spec)),
            }
        }
        if special.is_empty() {
            return Ok(());
        }
        for (tp, found) in self.cluster.list_offsets(&special, self.config.isolation_level).await? {
            match found {
                Ok(found) => self.seek(&tp, found.offset.max(0)),
                Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                    tracing::warn!("partition {tp} does not exist");
                    self.backoff.insert(tp, Instant::now() + Duration::from_millis(500));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
