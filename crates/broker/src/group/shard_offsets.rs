//! Committed offsets of a shard: commit, fetch, delete; and the deletion of whole groups.

use std::collections::BTreeSet;
use std::sync::Arc;

use milena_protocol::{ErrorCode, Uuid};

use super::classic::ClassicGroup;
use super::effects::{Effects, HoldOpen, Now, TransactionalWrite};
use super::offsets::{CommittedOffset, GroupOffsets};
use super::offsets_log::TransactionalProducer;
use super::records;
use super::shard::{Group, Shard};

/// An OffsetCommit whose topics are known to exist.
#[derive(Clone, Debug, Default)]
pub struct CommitRequest {
    /// The group.
    pub group_id: String,
    /// The committing member; empty for a consumer that is in no group.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// Generation id or member epoch; -1 for a consumer that is in no group.
    pub generation_id_or_member_epoch: i32,
    /// How long to keep the offsets, in ms (v2-4); `None` for the broker's retention.
    pub retention_ms: Option<i64>,
    /// The request's version: only 9 and above know member epochs.
    pub version: i16,
    /// The offsets.
    pub offsets: Vec<PartitionCommit>,
}

/// One offset of a [`CommitRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionCommit {
    /// The topic.
    pub topic: String,
    /// The topic's id when the request came; zero if it is not known.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// The offset to read next.
    pub offset: i64,
    /// Leader epoch of the last consumed record, or -1.
    pub leader_epoch: i32,
    /// Free text.
    pub metadata: String,
    /// The client's own commit time in Unix ms (v1); `None` for now.
    pub commit_timestamp: Option<i64>,
}

/// An OffsetFetch for one group.
#[derive(Clone, Debug, Default)]
pub struct FetchRequest {
    /// The group.
    pub group_id: String,
    /// The member that asks and its epoch (v9+), for groups of the consumer protocol.
    pub member: Option<(String, i32)>,
    /// The partitions by topic; `None` for all.
    pub topics: Option<Vec<(String, Vec<i32>)>>,
    /// Whether to refuse partitions that an open transaction may still change (v7+).
    pub require_stable: bool,
}

/// Offsets by topic and partition; `Ok(None)` where nothing is committed, UNSTABLE_OFFSET_COMMIT where an open
/// transaction has an offset pending and the request wants none of that.
pub type FetchedOffsets = Vec<(String, Vec<(i32, FetchedOffset)>)>;
/// One offset of [`FetchedOffsets`].
pub type FetchedOffset = Result<Option<CommittedOffset>, ErrorCode>;

impl Shard {
    /// Commits offsets. The result has one code for each offset of the request, in order.
    ///
    /// # Errors
    /// The code for the whole request: who commits may not (spec section 11).
    pub fn commit_offsets(
        &mut self,
        request: CommitRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group_id: Arc<str> = request.group_id.as_str().into();
        self.check_commit(&group_id, &request, now, effects)?;
        let (codes, accepted) = self.accept_offsets(&group_id, request, now, effects);
        if !accepted.is_empty() {
            let offsets = self.offsets.entry(group_id.clone()).or_default();
            for (topic, partition, offset) in accepted {
                offsets.set(&topic, partition, offset);
            }
            self.groups.entry(group_id.clone()).or_insert_with(|| Group::Classic(ClassicGroup::new(group_id)));
        }
        Ok(codes)
    }

    /// Commits offsets in the open transaction of `producer` (TxnOffsetCommit): they stay pending until it ends.
    /// The result has one code for each offset of the request, in order.
    ///
    /// # Errors
    /// The code for the whole request: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION. A producer that the
    /// log or `hold_open` refuses is told so instead of this result.
    pub fn commit_transactional_offsets(
        &mut self,
        request: CommitRequest,
        producer: TransactionalProducer,
        hold_open: HoldOpen,
        now: Now,
        effects: &mut Effects,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group_id: Arc<str> = request.group_id.as_str().into();
        self.check_transactional_commit(&group_id, &request, now, effects)?;
        let (codes, accepted) = self.accept_offsets(&group_id, request, now, effects);
        if !accepted.is_empty() {
            let apply = Box::new(move |shard: &mut Shard| {
                for (topic, partition, offset) in accepted {
                    shard.pending.set(producer.producer_id, (group_id.clone(), topic, partition, offset));
                }
                let created = || Group::Classic(ClassicGroup::new(group_id.clone()));
                shard.groups.entry(group_id.clone()).or_insert_with(created);
            });
            effects.in_transaction(TransactionalWrite { producer, hold_open, apply });
        }
        Ok(codes)
    }

    /// The transaction of `producer_id` ended, as its marker in the log says: what it had pending becomes the groups'
    /// offsets or vanishes.
    pub fn complete_transaction(&mut self, producer_id: i64, committed: bool) {
        for (group_id, topic, partition, offset) in self.pending.take(producer_id) {
            if !committed {
                continue;
            }
            let offsets = self.offsets.entry(group_id).or_default();
            if offsets.get(&topic, partition).is_none_or(|known| known.order < offset.order) {
                offsets.set(&topic, partition, offset);
            }
        }
    }

    /// Writes the offsets that may be written and says which they are, beside the code of each.
    fn accept_offsets(
        &mut self,
        group_id: &str,
        request: CommitRequest,
        now: Now,
        effects: &mut Effects,
    ) -> (Vec<ErrorCode>, Vec<(String, i32, CommittedOffset)>) {
        let mut codes = Vec::with_capacity(request.offsets.len());
        let mut accepted = Vec::with_capacity(request.offsets.len());
        for commit in request.offsets {
            let code = self.check_offset(&commit);
            codes.push(code);
            if code != ErrorCode::None {
                continue;
            }
            let offset = CommittedOffset {
                offset: commit.offset,
                leader_epoch: commit.leader_epoch,
                metadata: commit.metadata,
                commit_timestamp: commit.commit_timestamp.unwrap_or(now.unix_ms),
                expire_timestamp: request.retention_ms.map(|retention| now.unix_ms.saturating_add(retention)),
                topic_id: commit.topic_id,
                order: self.next_order(),
            };
            effects.record(records::offset(group_id, &commit.topic, commit.partition, &offset));
            accepted.push((commit.topic, commit.partition, offset));
        }
        (codes, accepted)
    }

    fn check_offset(&self, commit: &PartitionCommit) -> ErrorCode {
        // The topic may have been deleted, and made anew, since the request came.
        let is_gone = commit.topic_id != Uuid::default()
            && self.topics.topic(&commit.topic).is_none_or(|topic| topic.id != commit.topic_id);
        if is_gone {
            ErrorCode::UnknownTopicOrPartition
        } else if commit.metadata.len() > self.config.offset_metadata_max_bytes {
            ErrorCode::OffsetMetadataTooLarge
        } else {
            ErrorCode::None
        }
    }

    fn check_transactional_commit(
        &mut self,
        group_id: &Arc<str>,
        request: &CommitRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let (groups, mut turn) = self.turn(now, effects);
        let generation_id = request.generation_id_or_member_epoch;
        let names_nobody = generation_id < 0 && request.member_id.is_empty() && request.instance_id.is_none();
        match groups.get(group_id) {
            Some(Group::Share(_)) => Err(ErrorCode::GroupIdNotFound),
            // Before KIP-447 producers named no member; they still may.
            _ if names_nobody => Ok(()),
            None if generation_id < 0 => Ok(()),
            None => Err(ErrorCode::IllegalGeneration),
            Some(Group::Classic(group)) => group.check_transactional_commit(
                &request.member_id,
                request.instance_id.as_deref(),
                generation_id,
                &mut turn,
            ),
            Some(Group::Consumer(group)) => {
                group.check_transactional_commit(&request.member_id, generation_id, &request.offsets)
            }
            Some(Group::Streams(group)) => group.check_transactional_commit(request),
        }
    }

    fn check_commit(
        &mut self,
        group_id: &Arc<str>,
        request: &CommitRequest,
        now: Now,
        effects: &mut Effects,
    ) -> Result<(), ErrorCode> {
        let (groups, mut turn) = self.turn(now, effects);
        let generation_id = request.generation_id_or_member_epoch;
        match groups.get(group_id) {
            // Whoever is in no group may use any free name.
            None if generation_id < 0 => Ok(()),
            None => Err(if request.version >= 9 { ErrorCode::GroupIdNotFound } else { ErrorCode::IllegalGeneration }),
            Some(Group::Classic(group)) => {
                group.check_commit(&request.member_id, request.instance_id.as_deref(), generation_id, &mut turn)
            }
            Some(Group::Consumer(group)) => {
                group.check_commit(&request.member_id, generation_id, request.version, &request.offsets)
            }
            Some(Group::Streams(group)) => group.check_commit(request),
            Some(Group::Share(_)) => Err(ErrorCode::GroupIdNotFound),
        }
    }

    /// The committed offsets that `request` asks for.
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID or STALE_MEMBER_EPOCH of a consumer group's member; GROUP_ID_NOT_FOUND if it names a member
    /// of a group that is not there.
    pub fn fetch_offsets(&self, request: FetchRequest) -> Result<FetchedOffsets, ErrorCode> {
        if let Some((member_id, member_epoch)) = &request.member {
            match self.groups.get(request.group_id.as_str()) {
                Some(Group::Consumer(group)) => group.check_fetch(member_id, *member_epoch)?,
                Some(Group::Streams(group)) => group.check_fetch(member_id, *member_epoch)?,
                Some(Group::Classic(_)) => {}
                Some(Group::Share(_)) => return Err(ErrorCode::GroupIdNotFound),
                None if *member_epoch < 0 => {}
                None => return Err(ErrorCode::GroupIdNotFound),
            }
        }
        let topics = request.topics.clone().unwrap_or_else(|| self.committed_partitions(&request.group_id));
        let fetched = topics.into_iter().map(|(topic, partitions)| {
            let topic_id = self.topics.topic(&topic).map(|topic| topic.id);
            let offset = |partition| self.fetch_offset(&request, &topic, topic_id.as_ref(), partition);
            let partitions = partitions.into_iter().map(|partition| (partition, offset(partition))).collect();
            (topic, partitions)
        });
        Ok(fetched.collect())
    }

    fn fetch_offset(
        &self,
        request: &FetchRequest,
        topic: &str,
        topic_id: Option<&Uuid>,
        partition: i32,
    ) -> FetchedOffset {
        if request.require_stable && self.pending.contains(&request.group_id, topic, partition) {
            return Err(ErrorCode::UnstableOffsetCommit);
        }
        let offset = self.offsets.get(request.group_id.as_str()).and_then(|offsets| offsets.get(topic, partition));
        Ok(offset.filter(|offset| topic_id.is_none_or(|id| !offset.is_of_other_topic(id))).cloned())
    }

    fn committed_partitions(&self, group_id: &str) -> Vec<(String, Vec<i32>)> {
        let topics = self.offsets.get(group_id).into_iter().flat_map(GroupOffsets::topics);
        topics.map(|(topic, partitions)| (topic.to_owned(), partitions.keys().copied().collect())).collect()
    }

    /// Deletes offsets; the result has one code for each topic, in order.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, or NON_EMPTY_GROUP when the group's subscriptions cannot be known.
    pub fn delete_offsets(
        &mut self,
        group_id: &str,
        topics: &[(String, Vec<i32>)],
        effects: &mut Effects,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group = self.groups.get(group_id).ok_or(ErrorCode::GroupIdNotFound)?;
        if let Group::Classic(group) = group
            && !group.is_vacant()
            && !group.subscriptions_known()
        {
            return Err(ErrorCode::NonEmptyGroup);
        }
        let codes: Vec<ErrorCode> = topics
            .iter()
            .map(
                |(topic, _)| {
                    if group.is_subscribed(topic) { ErrorCode::GroupSubscribedToTopic } else { ErrorCode::None }
                },
            )
            .collect();
        let deleted = topics.iter().zip(&codes).filter(|(_, code)| **code == ErrorCode::None);
        let partitions = deleted
            .flat_map(|((topic, partitions), _)| partitions.iter().map(move |partition| (topic.clone(), *partition)))
            .collect();
        self.remove_offsets(group_id, partitions, effects);
        Ok(codes)
    }

    /// Forgets the offsets of deleted topics, given by name and id: what was committed since for a new topic of the
    /// same name stays.
    pub fn topics_deleted(&mut self, topics: &[(String, Uuid)], effects: &mut Effects) {
        let is_gone = |topic: &str, offset: &CommittedOffset| {
            topics.iter().any(|(name, id)| name == topic && !offset.is_of_other_topic(id))
        };
        let group_ids: BTreeSet<Arc<str>> = self.offsets.keys().chain(self.pending.groups()).cloned().collect();
        for group_id in group_ids {
            let mut gone = self.pending.select(&group_id, is_gone);
            if let Some(offsets) = self.offsets.get(&group_id) {
                gone.extend(offsets.select(|topic, _, offset| is_gone(topic, offset)));
            }
            let kept = self.committed_among(&group_id, &gone, |topic, offset| !is_gone(topic, offset));
            self.remove_offsets(&group_id, gone, effects);
            // The tombstone of a pending offset also hides what was committed for the new topic: say that again.
            for (topic, partition, offset) in kept {
                effects.record(records::offset(&group_id, &topic, partition, &offset));
                self.offsets.entry(group_id.clone()).or_default().set(&topic, partition, offset);
            }
        }
        self.topics_changed();
    }

    fn committed_among(
        &self,
        group_id: &str,
        partitions: &[(String, i32)],
        matches: impl Fn(&str, &CommittedOffset) -> bool,
    ) -> Vec<(String, i32, CommittedOffset)> {
        let Some(offsets) = self.offsets.get(group_id) else { return Vec::new() };
        let committed = partitions.iter().filter_map(|(topic, partition)| {
            let offset = offsets.get(topic, *partition).filter(|offset| matches(topic, offset))?;
            Some((topic.clone(), *partition, offset.clone()))
        });
        committed.collect()
    }

    /// Deletes a group with everything it has.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.
    pub fn delete_group(&mut self, group_id: &str, now: Now, effects: &mut Effects) -> Result<(), ErrorCode> {
        match self.groups.get(group_id).ok_or(ErrorCode::GroupIdNotFound)? {
            Group::Classic(group) if group.is_vacant() => {}
            Group::Consumer(group) if group.is_empty() => {}
            Group::Share(group) if group.is_empty() => {}
            Group::Streams(group) if group.is_empty() => {}
            Group::Classic(_) | Group::Consumer(_) | Group::Share(_) | Group::Streams(_) => {
                return Err(ErrorCode::NonEmptyGroup);
            }
        }
        let mut all = self.pending.select(group_id, |_, _| true);
        if let Some(offsets) = self.offsets.get(group_id) {
            all.extend(offsets.select(|_, _, _| true));
        }
        self.remove_offsets(group_id, all, effects);
        self.remove_empty_group(group_id, now, effects);
        Ok(())
    }

    /// Forgets a group without members and offsets, in memory and in the log.
    pub(super) fn remove_empty_group(&mut self, group_id: &str, now: Now, effects: &mut Effects) {
        let (groups, mut turn) = self.turn(now, effects);
        match groups.remove(group_id) {
            // A group that only ever had offsets has no record of its own.
            Some(Group::Classic(group)) if group.generation_id() > 0 => {
                turn.effects.record(records::group(group_id, None));
            }
            Some(Group::Consumer(group)) => group.write_tombstones(&mut turn),
            Some(Group::Share(group)) => group.write_tombstones(&mut turn),
            Some(Group::Streams(group)) => group.dissolve(&mut turn),
            Some(Group::Classic(_)) | None => {}
        }
    }

    /// Whether anything is committed or pending for the group.
    pub(super) fn has_offsets(&self, group_id: &str) -> bool {
        self.offsets.contains_key(group_id) || self.pending.contains_group(group_id)
    }

    /// Forgets offsets, pending ones as well: the tombstone ends both.
    pub(super) fn remove_offsets(&mut self, group_id: &str, partitions: Vec<(String, i32)>, effects: &mut Effects) {
        for (topic, partition) in partitions {
            let was_pending = self.pending.remove(group_id, &topic, partition);
            let was_committed = self.offsets.get_mut(group_id).is_some_and(|offsets| offsets.remove(&topic, partition));
            if was_pending || was_committed {
                effects.record(records::offset_tombstone(group_id, &topic, partition));
            }
        }
        if self.offsets.get(group_id).is_some_and(GroupOffsets::is_empty) {
            self.offsets.remove(group_id);
        }
    }
}

impl Group {
    /// Whether a member reads `topic`, as far as the coordinator can know.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Group::Classic(group) => group.is_subscribed(topic),
            Group::Consumer(group) => group.is_subscribed(topic),
            Group::Share(group) => group.is_subscribed(topic),
            Group::Streams(group) => group.is_subscribed(topic),
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod transaction_tests;
