//! A consumer's part in its group: subscriptions out, assignments in, eager or cooperative.
//!
//! Eager: everything is revoked before each join. Cooperative (only when every configured
//! assignor is): what stays is kept through the rebalance; what must move is revoked after it,
//! and another join lets the new owner have it (KIP-429).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use milena_protocol::ErrorCode;

use super::assignor::{Assignor, Member};
use super::embedded;
use super::membership::{Beat, Joined, Membership, MembershipConfig};
use super::{Consumer, ConsumerConfig, Polled, Wanted};
use crate::TopicPartition;
use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// Membership with what a consumer keeps about it.
pub(super) struct Group {
    pub membership: Membership,
    /// Why the next poll must join; `None` while the membership is good.
    join_reason: Option<&'static str>,
    /// The topics of the last subscription.
    subscribed: Vec<String>,
    /// When patterns are matched against the cluster's topics again.
    look_for_topics: Instant,
    /// The partitions that were assigned by this member, when it leads: how many each topic has.
    counted: Option<HashMap<String, i32>>,
    /// When they are counted again.
    count_again: Instant,
    cooperative: bool,
}

impl Group {
    pub fn new(cluster: &Cluster, config: &ConsumerConfig, group_id: String) -> Result<Group> {
        if config.assignors.is_empty() {
            return Err(Error::Config("partition.assignment.strategy must not be empty".to_owned()));
        }
        let membership = MembershipConfig {
            group_id,
            group_instance_id: config.group_instance_id.clone(),
            protocol_type: "consumer".to_owned(),
            session_timeout: config.session_timeout,
            rebalance_timeout: config.max_poll_interval,
            heartbeat_interval: config.heartbeat_interval,
        };
        Ok(Group {
            membership: Membership::new(cluster.clone(), membership),
            join_reason: Some("joining the group"),
            subscribed: Vec::new(),
            look_for_topics: Instant::now(),
            counted: None,
            count_again: Instant::now(),
            cooperative: config.assignors.iter().all(|assignor| assignor.is_cooperative()),
        })
    }

    /// The topics of the last subscription.
    pub fn subscribed(&self) -> &[String] {
        &self.subscribed
    }

    /// Patterns are matched again with the next poll.
    pub fn look_for_topics_now(&mut self) {
        self.look_for_topics = Instant::now();
    }

    /// Returns when there is a reason to join, patterns are to be matched again, or partitions to be counted.
    pub async fn disturbed(&mut self, matches_pattern: bool) {
        if self.join_reason.is_some() {
            return;
        }
        let look_for_topics = tokio::time::Instant::from_std(self.look_for_topics);
        let count_again = tokio::time::Instant::from_std(self.count_again);
        tokio::select! {
            () = self.membership.disturbed() => {}
            () = tokio::time::sleep_until(look_for_topics), if matches_pattern => {}
            () = tokio::time::sleep_until(count_again), if self.counted.is_some() => {}
        }
    }

    /// Generation, member id and instance id for a commit; `None` before the first join.
    pub fn identity(&self) -> Option<(i32, &str, Option<&str>)> {
        let generation = self.membership.generation_id();
        (generation >= 0).then(|| (generation, self.membership.member_id(), self.membership.group_instance_id()))
    }
}

impl Consumer {
    /// Joins when the group or the topics ask for it.
    pub(super) async fn keep_membership(&mut self) -> Result<()> {
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        match group.membership.beat() {
            Beat::Stable => {}
            Beat::Rebalance => group.join_reason = Some("the group is rebalancing"),
            Beat::Lost(ErrorCode::FencedInstanceId) => return Err(Error::api(ErrorCode::FencedInstanceId, None)),
            Beat::Lost(_) => {
                group.join_reason = Some("the member was removed from the group");
                // Others may own the partitions already: nothing is committed.
                self.revoke_all();
            }
        }
        self.find_topics().await?;
        self.notice_growth().await?;
        let Some(reason) = self.group.as_ref().and_then(|group| group.join_reason) else { return Ok(()) };
        match self.rebalance(reason).await {
            Err(error) if rejoin_after(&error) => {
                tracing::debug!(%error, "joining again");
                tokio::time::sleep(self.cluster.config().retry_backoff).await;
                Ok(())
            }
            result => result,
        }
    }

    /// Matches patterns again now and then; a change makes the member join again.
    async fn find_topics(&mut self) -> Result<()> {
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        let mut topics = match &self.wanted {
            Wanted::Partitions => return Ok(()),
            Wanted::Topics(topics) => topics.clone(),
            Wanted::Matching(..) if Instant::now() < group.look_for_topics => return Ok(()),
            Wanted::Matching(_, filter) => {
                let listed = self.cluster.list_topics().await?;
                listed.into_iter().map(|topic| topic.name).filter(|name| filter(name)).collect()
            }
        };
        group.look_for_topics = Instant::now() + self.config.metadata_max_age;
        topics.sort();
        topics.dedup();
        if topics != group.subscribed {
            group.subscribed = topics;
            group.join_reason.get_or_insert("the subscribed topics changed");
        }
        Ok(())
    }

    /// The leader counts partitions again now and then: topics that were made or have grown are assigned anew.
    async fn notice_growth(&mut self) -> Result<()> {
        let Some(group) = self.group.as_ref() else { return Ok(()) };
        let Some(before) = group.counted.as_ref().filter(|_| group.count_again <= Instant::now()) else {
            return Ok(());
        };
        let topics: Vec<String> = before.keys().cloned().collect();
        let has_grown = match self.cluster.refresh_metadata(Some(&topics), false).await {
            Ok(response) => response.topics.iter().any(|topic| {
                let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
                let known = topic.name.as_ref().and_then(|name| before.get(name)).copied().unwrap_or(0);
                topic.error_code == 0 && count > known
            }),
            Err(error) => {
                tracing::debug!(%error, "partitions could not be counted");
                false
            }
        };
        let next = self.next_count();
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        group.count_again = next;
        if has_grown {
            group.join_reason.get_or_insert("the subscribed topics have grown");
        }
        Ok(())
    }

    /// When partitions are counted again; topics that are not there are expected sooner.
    fn next_count(&self) -> Instant {
        let counted = self.group.as_ref().and_then(|group| group.counted.as_ref());
        let is_waiting = counted.is_some_and(|counted| counted.values().any(|count| *count == 0));
        let age = self.config.metadata_max_age;
        Instant::now() + if is_waiting { age.min(MISSING_TOPIC_AGE) } else { age }
    }

    async fn rebalance(&mut self, reason: &'static str) -> Result<()> {
        let cooperative = self.group.as_ref().is_some_and(|group| group.cooperative);
        if !cooperative && !self.partitions.is_empty() {
            if self.announces_revoking(&self.assignment()) {
                return Ok(());
            }
            self.commit_before_revoking().await;
            self.revoke_all();
        }
        let owned = self.assignment();
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        let generation = group.membership.generation_id();
        let told = (self.config.rack.as_deref(), self.config.user_data.as_ref());
        let metadata = embedded::encode_subscription(&group.subscribed, &owned, generation, told)?;
        let protocols: Vec<(String, Bytes)> =
            self.config.assignors.iter().map(|assignor| (assignor.name().to_owned(), metadata.clone())).collect();
        let joined = group.membership.join(&protocols, reason).await?;
        let (assignments, counted) = if joined.is_leader && !joined.skip_assignment {
            self.lead(&joined).await.map(|(assignments, counted)| (assignments, Some(counted)))?
        } else {
            (Vec::new(), None)
        };
        if let Some(group) = self.group.as_mut() {
            group.counted = counted;
        }
        let count_again = self.next_count();
        let Some(group) = self.group.as_mut() else { return Ok(()) };
        let assignment = group.membership.sync(&joined, assignments).await?;
        group.join_reason = None;
        group.count_again = count_again;
        self.take_assignment(embedded::decode_assignment(&assignment)?, cooperative).await;
        Ok(())
    }

    /// The leader's work: everybody's subscription in, everybody's partitions out. Also how many partitions each topic
    /// has, 0 for one that is not there.
    async fn lead(&self, joined: &Joined) -> Result<(Vec<(String, Bytes)>, HashMap<String, i32>)> {
        let assignor: Assignor = joined.protocol.parse()?;
        let mut members = Vec::with_capacity(joined.members.len());
        let mut topics = BTreeSet::new();
        for member in &joined.members {
            let subscription = embedded::decode_subscription(&member.metadata)?;
            topics.extend(subscription.topics.iter().cloned());
            members.push(Member {
                member_id: member.member_id.clone(),
                group_instance_id: member.group_instance_id.clone(),
                owned: embedded::owned_partitions(&subscription),
                generation_id: subscription.generation_id,
                topics: subscription.topics,
            });
        }
        let mut partition_counts = self.partition_counts(topics.iter().cloned().collect()).await?;
        let assigned = assignor.assign(&members, &partition_counts);
        let assignments: Result<_> = assigned
            .into_iter()
            .map(|(member_id, partitions)| Ok((member_id, embedded::encode_assignment(&partitions)?)))
            .collect();
        for topic in topics {
            partition_counts.entry(topic).or_insert(0);
        }
        Ok((assignments?, partition_counts))
    }

    async fn partition_counts(&self, topics: Vec<String>) -> Result<HashMap<String, i32>> {
        if topics.is_empty() {
            return Ok(HashMap::new());
        }
        let response = self.cluster.refresh_metadata(Some(&topics), self.config.allow_auto_create_topics).await?;
        let counts = response
            .topics
            .into_iter()
            .filter(|topic| topic.error_code == 0)
            .filter_map(|topic| Some((topic.name?, i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX))));
        let counts: HashMap<String, i32> = counts.collect();
        // A topic that is just being created comes with a later rebalance; waiting a little avoids that one.
        let missing: Vec<&String> = topics.iter().filter(|topic| !counts.contains_key(*topic)).collect();
        if missing.is_empty() || !self.config.allow_auto_create_topics {
            return Ok(counts);
        }
        let mut counts = counts;
        for topic in missing {
            if let Ok(info) = self.cluster.topic(topic, true, Duration::from_secs(2)).await {
                counts.insert(topic.clone(), i32::try_from(info.partitions.len()).unwrap_or(i32::MAX));
            }
        }
        Ok(counts)
    }

    async fn take_assignment(&mut self, assigned: Vec<TopicPartition>, cooperative: bool) {
        let assigned: BTreeSet<TopicPartition> = assigned.into_iter().collect();
        let lost: Vec<TopicPartition> = self.partitions.keys().filter(|tp| !assigned.contains(*tp)).cloned().collect();
        if !lost.is_empty() {
            self.commit_before_revoking().await;
            self.revoke(lost);
            if let (true, Some(group)) = (cooperative, self.group.as_mut()) {
                group.join_reason = Some("partitions were revoked");
            }
        }
        self.take_new(assigned);
    }

    /// Starts to read what is not yet read of `assigned`.
    pub(super) fn take_new(&mut self, assigned: BTreeSet<TopicPartition>) {
        let new: Vec<TopicPartition> = assigned.into_iter().filter(|tp| !self.partitions.contains_key(tp)).collect();
        for tp in &new {
            let position = self.fresh_position(None);
            self.partitions.insert(tp.clone(), position);
        }
        self.announce(Polled::Assigned(new));
    }

    pub(super) async fn commit_before_revoking(&self) {
        if self.config.enable_auto_commit
            && let Err(error) = self.commit().await
        {
            tracing::warn!(%error, "offset commit before revoking partitions failed");
        }
    }

    pub(super) fn revoke_all(&mut self) {
        let all: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        if !all.is_empty() {
            self.revoke(all);
        }
    }

    pub(super) fn revoke(&mut self, lost: Vec<TopicPartition>) {
        for tp in &lost {
            self.partitions.remove(tp);
            self.backoff.remove(tp);
        }
        self.buffered.retain(|fetched| !lost.contains(&fetched.tp));
        self.announce(Polled::Revoked(lost));
    }
}

/// A leader looks so often for topics that somebody has subscribed to and that are not there.
const MISSING_TOPIC_AGE: Duration = Duration::from_secs(5);

/// Errors of a rebalance that the next attempt may not meet.
fn rejoin_after(error: &Error) -> bool {
    error.is_retriable()
        || matches!(
            error.code(),
            Some(ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration | ErrorCode::UnknownMemberId)
        )
}

/// Used by assignors and tests: partitions of each member, by member id.
pub(super) type Assignments = BTreeMap<String, Vec<TopicPartition>>;
