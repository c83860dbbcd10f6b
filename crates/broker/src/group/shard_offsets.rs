//! Committed offsets of a shard: commit, fetch, delete; and the deletion of whole groups.

use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::classic::ClassicGroup;
use super::effects::{Effects, Now};
use super::offsets::CommittedOffset;
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
}

/// Offsets by topic and partition; `None` where nothing is committed.
pub type FetchedOffsets = Vec<(String, Vec<(i32, Option<CommittedOffset>)>)>;

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
        let metadata_bytes_max = self.config.offset_metadata_max_bytes;
        let offsets = self.offsets.entry(group_id.clone()).or_default();
        let mut codes = Vec::with_capacity(request.offsets.len());
        for commit in request.offsets {
            if commit.metadata.len() > metadata_bytes_max {
                codes.push(ErrorCode::OffsetMetadataTooLarge);
                continue;
            }
            let offset = CommittedOffset {
                offset: commit.offset,
                leader_epoch: commit.leader_epoch,
                metadata: commit.metadata,
                commit_timestamp: commit.commit_timestamp.unwrap_or(now.unix_ms),
                expire_timestamp: request.retention_ms.map(|retention| now.unix_ms.saturating_add(retention)),
            };
            effects.record(records::offset(&group_id, &commit.topic, commit.partition, &offset));
            offsets.set(&commit.topic, commit.partition, offset);
            codes.push(ErrorCode::None);
        }
        if offsets.is_empty() {
            self.offsets.remove(&group_id);
        } else {
            self.groups.entry(group_id.clone()).or_insert_with(|| Group::Classic(ClassicGroup::new(group_id)));
        }
        Ok(codes)
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
            Some(Group::Consumer(group)) => group.check_commit(&request.member_id, generation_id, request.version),
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
                Some(Group::Classic(_)) => {}
                None if *member_epoch < 0 => {}
                None => return Err(ErrorCode::GroupIdNotFound),
            }
        }
        let offsets = self.offsets.get(request.group_id.as_str());
        let Some(topics) = request.topics else {
            return Ok(offsets.map(all_offsets).unwrap_or_default());
        };
        let fetched = topics.into_iter().map(|(topic, partitions)| {
            let partitions = partitions
                .into_iter()
                .map(|partition| (partition, offsets.and_then(|o| o.get(&topic, partition)).cloned()))
                .collect();
            (topic, partitions)
        });
        Ok(fetched.collect())
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

    /// Forgets the offsets of deleted topics.
    pub fn topics_deleted(&mut self, topics: &[String], effects: &mut Effects) {
        for group_id in self.offsets.keys().cloned().collect::<Vec<_>>() {
            let Some(offsets) = self.offsets.get(&group_id) else { continue };
            let gone = offsets.select(|topic, _| topics.iter().any(|deleted| deleted == topic));
            self.remove_offsets(&group_id, gone, effects);
        }
        self.topics_changed();
    }

    /// Deletes a group with everything it has.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP.
    pub fn delete_group(&mut self, group_id: &str, now: Now, effects: &mut Effects) -> Result<(), ErrorCode> {
        match self.groups.get(group_id).ok_or(ErrorCode::GroupIdNotFound)? {
            Group::Classic(group) if group.is_vacant() => {}
            Group::Consumer(group) if group.is_empty() => {}
            Group::Classic(_) | Group::Consumer(_) => return Err(ErrorCode::NonEmptyGroup),
        }
        if let Some(offsets) = self.offsets.get(group_id) {
            let all = offsets.select(|_, _| true);
            self.remove_offsets(group_id, all, effects);
        }
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
            Some(Group::Classic(_)) | None => {}
        }
    }

    pub(super) fn remove_offsets(&mut self, group_id: &str, partitions: Vec<(String, i32)>, effects: &mut Effects) {
        let Some(offsets) = self.offsets.get_mut(group_id) else { return };
        for (topic, partition) in partitions {
            if offsets.remove(&topic, partition) {
                effects.record(records::offset_tombstone(group_id, &topic, partition));
            }
        }
        if offsets.is_empty() {
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
        }
    }
}

fn all_offsets(offsets: &super::offsets::GroupOffsets) -> FetchedOffsets {
    offsets
        .topics()
        .map(|(topic, partitions)| {
            let partitions = partitions.iter().map(|(partition, offset)| (*partition, Some(offset.clone()))).collect();
            (topic.to_owned(), partitions)
        })
        .collect()
}

#[cfg(test)]
mod tests;
