//! A share group as records of `__consumer_offsets` (types 10 to 15), and back.

use std::collections::BTreeMap;

use bytes::Bytes;
use milena_protocol::messages::{
    ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue, ShareGroupMemberMetadataKey,
    ShareGroupMemberMetadataValue, ShareGroupMetadataKey, ShareGroupMetadataValue, ShareGroupStatePartitionMetadataKey,
    ShareGroupStatePartitionMetadataValue, ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue,
    ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue,
    share_group_current_member_assignment_value, share_group_state_partition_metadata_value,
    share_group_target_assignment_member_value,
};
use milena_protocol::{DecodeError, Message, Reader, Uuid};

use super::group::{InitializedTopic, ShareGroup, ShareMember};
use crate::group::assignor::Assignment;
use crate::group::client::ClientIdentity;
use crate::group::records::{Encoded, decode_value, record};

/// Record types: the i16 that starts a key.
const MEMBER: i16 = 10;
const GROUP: i16 = 11;
const TARGET: i16 = 12;
const TARGET_MEMBER: i16 = 13;
const CURRENT: i16 = 14;
const STATE_PARTITIONS: i16 = 15;

/// One record of a share group as it is read back; a `None` is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareRecord {
    /// Type 10: what a member told about itself.
    Member(String, String, Option<ShareGroupMemberMetadataValue>),
    /// Type 11: the group's epoch.
    Group(String, Option<ShareGroupMetadataValue>),
    /// Type 12: the epoch of the target assignment.
    Target(String, Option<ShareGroupTargetAssignmentMetadataValue>),
    /// Type 13: a member's part of the target.
    TargetMember(String, String, Option<ShareGroupTargetAssignmentMemberValue>),
    /// Type 14: what a member holds now.
    Current(String, String, Option<ShareGroupCurrentMemberAssignmentValue>),
    /// Type 15: the partitions with share state.
    StatePartitions(String, Option<ShareGroupStatePartitionMetadataValue>),
}

impl ShareRecord {
    /// Reads a record whose type has been read from `key` already; `Ok(None)` when it is not one of ours.
    ///
    /// # Errors
    /// The bytes are no valid record of their type.
    pub fn decode(record_type: i16, key: &mut Reader, value: Option<&Bytes>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match record_type {
            MEMBER => {
                let key = ShareGroupMemberMetadataKey::decode(key, 0)?;
                ShareRecord::Member(key.group_id, key.member_id, decode_value(value)?)
            }
            GROUP => ShareRecord::Group(ShareGroupMetadataKey::decode(key, 0)?.group_id, decode_value(value)?),
            TARGET => {
                let key = ShareGroupTargetAssignmentMetadataKey::decode(key, 0)?;
                ShareRecord::Target(key.group_id, decode_value(value)?)
            }
            TARGET_MEMBER => {
                let key = ShareGroupTargetAssignmentMemberKey::decode(key, 0)?;
                ShareRecord::TargetMember(key.group_id, key.member_id, decode_value(value)?)
            }
            CURRENT => {
                let key = ShareGroupCurrentMemberAssignmentKey::decode(key, 0)?;
                ShareRecord::Current(key.group_id, key.member_id, decode_value(value)?)
            }
            STATE_PARTITIONS => {
                let key = ShareGroupStatePartitionMetadataKey::decode(key, 0)?;
                ShareRecord::StatePartitions(key.group_id, decode_value(value)?)
            }
            _ => return Ok(None),
        }))
    }

    /// The group it belongs to.
    pub fn group_id(&self) -> &str {
        match self {
            ShareRecord::Member(group, _, _)
            | ShareRecord::Group(group, _)
            | ShareRecord::Target(group, _)
            | ShareRecord::TargetMember(group, _, _)
            | ShareRecord::Current(group, _, _)
            | ShareRecord::StatePartitions(group, _) => group,
        }
    }

    /// Whether it takes something away.
    pub fn is_tombstone(&self) -> bool {
        match self {
            ShareRecord::Member(_, _, value) => value.is_none(),
            ShareRecord::Group(_, value) => value.is_none(),
            ShareRecord::Target(_, value) => value.is_none(),
            ShareRecord::TargetMember(_, _, value) => value.is_none(),
            ShareRecord::Current(_, _, value) => value.is_none(),
            ShareRecord::StatePartitions(_, value) => value.is_none(),
        }
    }
}

/// A member, or its tombstone.
pub(super) fn member(group: &str, member: &str, value: Option<&ShareGroupMemberMetadataValue>) -> Encoded {
    let key = ShareGroupMemberMetadataKey { group_id: group.to_owned(), member_id: member.to_owned() };
    record(MEMBER, &key, value.map(|value| (0, value)))
}

/// The group's epoch, or its tombstone.
pub(super) fn group(group: &str, value: Option<&ShareGroupMetadataValue>) -> Encoded {
    record(GROUP, &ShareGroupMetadataKey { group_id: group.to_owned() }, value.map(|value| (0, value)))
}

/// The epoch of the target, or its tombstone.
pub(super) fn target(group: &str, value: Option<&ShareGroupTargetAssignmentMetadataValue>) -> Encoded {
    let key = ShareGroupTargetAssignmentMetadataKey { group_id: group.to_owned() };
    record(TARGET, &key, value.map(|value| (0, value)))
}

/// A member's part of the target, or its tombstone.
pub(super) fn target_member(group: &str, member: &str, assignment: Option<&Assignment>) -> Encoded {
    let key = ShareGroupTargetAssignmentMemberKey { group_id: group.to_owned(), member_id: member.to_owned() };
    let value = assignment.map(|assignment| ShareGroupTargetAssignmentMemberValue {
        topic_partitions: assignment
            .iter()
            .map(|(topic, partitions)| share_group_target_assignment_member_value::TopicPartition {
                topic_id: *topic,
                partitions: partitions.iter().copied().collect(),
            })
            .collect(),
    });
    record(TARGET_MEMBER, &key, value.as_ref().map(|value| (0, value)))
}

/// What a member holds, or the tombstone of that.
pub(super) fn current(group: &str, member: &str, holder: Option<&ShareMember>) -> Encoded {
    let key = ShareGroupCurrentMemberAssignmentKey { group_id: group.to_owned(), member_id: member.to_owned() };
    let value = holder.map(|holder| ShareGroupCurrentMemberAssignmentValue {
        member_epoch: holder.member_epoch,
        previous_member_epoch: holder.previous_member_epoch,
        state: 0,
        assigned_partitions: holder
            .assigned
            .iter()
            .map(|(topic, partitions)| share_group_current_member_assignment_value::TopicPartitions {
                topic_id: *topic,
                partitions: partitions.iter().copied().collect(),
            })
            .collect(),
    });
    record(CURRENT, &key, value.as_ref().map(|value| (0, value)))
}

/// The partitions with share state, or the tombstone of that.
pub(super) fn state_partitions(group: &str, value: Option<&ShareGroupStatePartitionMetadataValue>) -> Encoded {
    let key = ShareGroupStatePartitionMetadataKey { group_id: group.to_owned() };
    record(STATE_PARTITIONS, &key, value.map(|value| (0, value)))
}

pub(super) fn initialized_value(topics: &BTreeMap<Uuid, InitializedTopic>) -> ShareGroupStatePartitionMetadataValue {
    ShareGroupStatePartitionMetadataValue {
        initialized_topics: topics
            .iter()
            .map(|(topic_id, topic)| share_group_state_partition_metadata_value::TopicPartitionsInfo {
                topic_id: *topic_id,
                topic_name: topic.name.clone(),
                partitions: topic.partitions.iter().copied().collect(),
            })
            .collect(),
        ..ShareGroupStatePartitionMetadataValue::default()
    }
}

impl ShareMember {
    /// The value of the member's own record.
    pub(super) fn stored(&self) -> ShareGroupMemberMetadataValue {
        ShareGroupMemberMetadataValue {
            rack_id: self.rack_id.clone(),
            client_id: self.client.client_id.clone(),
            client_host: self.client.client_host.clone(),
            subscribed_topic_names: self.subscribed_names.iter().cloned().collect(),
        }
    }
}

/// Replay: each record in the order of the log.
impl ShareGroup {
    /// Takes over one record.
    pub fn load(&mut self, record: ShareRecord) {
        match record {
            ShareRecord::Group(_, value) => {
                if let Some(value) = value {
                    self.group_epoch = value.epoch;
                    self.metadata_hash = value.metadata_hash;
                }
            }
            ShareRecord::Member(_, member_id, value) => self.load_member(&member_id, value),
            ShareRecord::Target(_, value) => {
                self.target_epoch = value.as_ref().map_or(0, |value| value.assignment_epoch);
                self.target_timestamp =
                    value.map(|value| value.assignment_timestamp).filter(|timestamp| *timestamp > 0);
            }
            ShareRecord::TargetMember(_, member_id, None) => {
                self.target.remove(member_id.as_str());
            }
            ShareRecord::TargetMember(_, member_id, Some(value)) => {
                let topics = value.topic_partitions.into_iter();
                let assignment = topics.map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).collect();
                self.target.insert(member_id.into(), assignment);
            }
            ShareRecord::Current(_, member_id, value) => self.load_current(&member_id, value),
            ShareRecord::StatePartitions(_, value) => {
                let topics = value.unwrap_or_default().initialized_topics.into_iter();
                self.initialized = topics
                    .map(|topic| {
                        let partitions = topic.partitions.into_iter().collect();
                        (topic.topic_id, InitializedTopic { name: topic.topic_name, partitions })
                    })
                    .collect();
            }
        }
    }

    fn load_member(&mut self, member_id: &str, value: Option<ShareGroupMemberMetadataValue>) {
        let Some(value) = value else {
            self.members.remove(member_id);
            return;
        };
        let member = self.loaded_member(member_id);
        member.client = ClientIdentity { client_id: value.client_id, client_host: value.client_host };
        member.rack_id = value.rack_id;
        member.subscribed_names = value.subscribed_topic_names.into_iter().collect();
    }

    fn load_current(&mut self, member_id: &str, value: Option<ShareGroupCurrentMemberAssignmentValue>) {
        // A tombstone of a member that compaction has removed already must not bring it back.
        let Some(value) = value else {
            if let Some(member) = self.members.get_mut(member_id) {
                member.member_epoch = 0;
                member.assigned.clear();
            }
            return;
        };
        let member = self.loaded_member(member_id);
        member.member_epoch = value.member_epoch;
        member.previous_member_epoch = value.previous_member_epoch;
        let topics = value.assigned_partitions.into_iter();
        member.assigned = topics.map(|topic| (topic.topic_id, topic.partitions.into_iter().collect())).collect();
    }

    /// Compaction may leave a member's records in any order.
    fn loaded_member(&mut self, member_id: &str) -> &mut ShareMember {
        let client = ClientIdentity { client_id: String::new(), client_host: String::new() };
        self.members.entry(member_id.into()).or_insert_with(|| ShareMember::new(member_id.into(), client))
    }
}
