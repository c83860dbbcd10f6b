//! The records of a streams group in `__consumer_offsets` (types 17 and 19 to 23), byte for byte as Kafka writes them.

use bytes::Bytes;
use milena_protocol::messages::{
    StreamsGroupCurrentMemberAssignmentKey, StreamsGroupCurrentMemberAssignmentValue, StreamsGroupMemberMetadataKey,
    StreamsGroupMemberMetadataValue, StreamsGroupMetadataKey, StreamsGroupMetadataValue,
    StreamsGroupTargetAssignmentMemberKey, StreamsGroupTargetAssignmentMemberValue,
    StreamsGroupTargetAssignmentMetadataKey, StreamsGroupTargetAssignmentMetadataValue, StreamsGroupTopologyKey,
    StreamsGroupTopologyValue, streams_group_current_member_assignment_value, streams_group_member_metadata_value,
    streams_group_target_assignment_member_value,
};
use milena_protocol::{DecodeError, Message, Reader};

use super::member::{Holding, MemberMetadata};
use super::tasks::{TaskId, TaskSet, Tasks, task_lists};
use crate::group::records::{Encoded, decode_value, record};

/// Record types: the i16 that starts a key.
const GROUP: i16 = 17;
const MEMBER: i16 = 19;
const TARGET: i16 = 20;
const TARGET_MEMBER: i16 = 21;
const CURRENT: i16 = 22;
const TOPOLOGY: i16 = 23;

/// One record of a streams group as it is read back; a `None` is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamsRecord {
    /// Type 17: the group's epoch.
    Group(String, Option<StreamsGroupMetadataValue>),
    /// Type 19: what a member told about itself.
    Member(String, String, Option<StreamsGroupMemberMetadataValue>),
    /// Type 20: the epoch of the target assignment.
    Target(String, Option<StreamsGroupTargetAssignmentMetadataValue>),
    /// Type 21: a member's part of the target.
    TargetMember(String, String, Option<StreamsGroupTargetAssignmentMemberValue>),
    /// Type 22: what a member holds now.
    Current(String, String, Option<StreamsGroupCurrentMemberAssignmentValue>),
    /// Type 23: the topology.
    Topology(String, Option<StreamsGroupTopologyValue>),
}

impl StreamsRecord {
    /// Reads a record whose type has been read from `key` already; `Ok(None)` when it is not one of ours.
    ///
    /// # Errors
    /// The bytes are no valid record of their type.
    pub fn decode(record_type: i16, key: &mut Reader, value: Option<&Bytes>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match record_type {
            GROUP => StreamsRecord::Group(StreamsGroupMetadataKey::decode(key, 0)?.group_id, decode_value(value)?),
            MEMBER => {
                let key = StreamsGroupMemberMetadataKey::decode(key, 0)?;
                StreamsRecord::Member(key.group_id, key.member_id, decode_value(value)?)
            }
            TARGET => {
                let key = StreamsGroupTargetAssignmentMetadataKey::decode(key, 0)?;
                StreamsRecord::Target(key.group_id, decode_value(value)?)
            }
            TARGET_MEMBER => {
                let key = StreamsGroupTargetAssignmentMemberKey::decode(key, 0)?;
                StreamsRecord::TargetMember(key.group_id, key.member_id, decode_value(value)?)
            }
            CURRENT => {
                let key = StreamsGroupCurrentMemberAssignmentKey::decode(key, 0)?;
                StreamsRecord::Current(key.group_id, key.member_id, decode_value(value)?)
            }
            TOPOLOGY => {
                StreamsRecord::Topology(StreamsGroupTopologyKey::decode(key, 0)?.group_id, decode_value(value)?)
            }
            _ => return Ok(None),
        }))
    }

    /// The group it belongs to.
    pub fn group_id(&self) -> &str {
        match self {
            StreamsRecord::Group(group, _)
            | StreamsRecord::Member(group, _, _)
            | StreamsRecord::Target(group, _)
            | StreamsRecord::TargetMember(group, _, _)
            | StreamsRecord::Current(group, _, _)
            | StreamsRecord::Topology(group, _) => group,
        }
    }

    /// Whether it takes something away.
    pub fn is_tombstone(&self) -> bool {
        match self {
            StreamsRecord::Group(_, value) => value.is_none(),
            StreamsRecord::Member(_, _, value) => value.is_none(),
            StreamsRecord::Target(_, value) => value.is_none(),
            StreamsRecord::TargetMember(_, _, value) => value.is_none(),
            StreamsRecord::Current(_, _, value) => value.is_none(),
            StreamsRecord::Topology(_, value) => value.is_none(),
        }
    }
}

/// The group's epoch, or its tombstone.
pub fn group(group: &str, value: Option<&StreamsGroupMetadataValue>) -> Encoded {
    record(GROUP, &StreamsGroupMetadataKey { group_id: group.to_owned() }, value.map(|value| (0, value)))
}

/// A member, or its tombstone.
pub fn member(group: &str, member: &str, metadata: Option<&MemberMetadata>) -> Encoded {
    let key = StreamsGroupMemberMetadataKey { group_id: group.to_owned(), member_id: member.to_owned() };
    let value = metadata.map(member_value);
    record(MEMBER, &key, value.as_ref().map(|value| (0, value)))
}

/// The epoch of the target assignment, or its tombstone.
pub fn target(group: &str, value: Option<&StreamsGroupTargetAssignmentMetadataValue>) -> Encoded {
    let key = StreamsGroupTargetAssignmentMetadataKey { group_id: group.to_owned() };
    record(TARGET, &key, value.map(|value| (0, value)))
}

/// A member's part of the target, or its tombstone.
pub fn target_member(group: &str, member: &str, tasks: Option<&Tasks>) -> Encoded {
    let key = StreamsGroupTargetAssignmentMemberKey { group_id: group.to_owned(), member_id: member.to_owned() };
    let listed = |tasks: &TaskSet| {
        task_lists(tasks, |subtopology_id, partitions| streams_group_target_assignment_member_value::TaskIds {
            subtopology_id,
            partitions,
        })
    };
    let value = tasks.map(|tasks| StreamsGroupTargetAssignmentMemberValue {
        active_tasks: listed(&tasks.active),
        standby_tasks: listed(&tasks.standby),
        warmup_tasks: listed(&tasks.warmup),
    });
    record(TARGET_MEMBER, &key, value.as_ref().map(|value| (0, value)))
}

/// What a member holds, or the tombstone of that.
pub fn current(group: &str, member: &str, holding: Option<&Holding>) -> Encoded {
    let key = StreamsGroupCurrentMemberAssignmentKey { group_id: group.to_owned(), member_id: member.to_owned() };
    let value = holding.map(current_value);
    record(CURRENT, &key, value.as_ref().map(|value| (0, value)))
}

/// The topology, or its tombstone.
pub fn topology(group: &str, value: Option<&StreamsGroupTopologyValue>) -> Encoded {
    record(TOPOLOGY, &StreamsGroupTopologyKey { group_id: group.to_owned() }, value.map(|value| (0, value)))
}

fn member_value(metadata: &MemberMetadata) -> StreamsGroupMemberMetadataValue {
    use streams_group_member_metadata_value::{Endpoint, KeyValue};
    let tags = metadata.client_tags.iter();
    StreamsGroupMemberMetadataValue {
        instance_id: None,
        rack_id: metadata.rack_id.clone(),
        client_id: metadata.client.client_id.clone(),
        client_host: metadata.client.client_host.clone(),
        rebalance_timeout_ms: metadata.rebalance_timeout_ms,
        topology_epoch: metadata.topology_epoch,
        process_id: metadata.process_id.clone(),
        user_endpoint: metadata.user_endpoint.clone().map(|(host, port)| Endpoint { host, port }),
        client_tags: tags.map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() }).collect(),
    }
}

fn current_value(holding: &Holding) -> StreamsGroupCurrentMemberAssignmentValue {
    use streams_group_current_member_assignment_value::TaskIds;
    let copies = |tasks: &TaskSet| {
        task_lists(tasks, |subtopology_id, partitions| TaskIds { subtopology_id, partitions, assignment_epochs: None })
    };
    let active = |tasks: &TaskSet| {
        task_lists(tasks, |subtopology_id, partitions| {
            let epoch = |partition: &i32| {
                let since = holding.assignment_epochs.get(&TaskId::new(&subtopology_id, *partition));
                since.copied().unwrap_or(holding.member_epoch)
            };
            let assignment_epochs = Some(partitions.iter().map(epoch).collect());
            TaskIds { subtopology_id, partitions, assignment_epochs }
        })
    };
    let (assigned, revoked) = (&holding.assigned, &holding.pending_revocation);
    StreamsGroupCurrentMemberAssignmentValue {
        member_epoch: holding.member_epoch,
        previous_member_epoch: holding.previous_member_epoch,
        state: holding.state as i8,
        active_tasks: active(&assigned.active),
        standby_tasks: copies(&assigned.standby),
        warmup_tasks: copies(&assigned.warmup),
        active_tasks_pending_revocation: active(&revoked.active),
        standby_tasks_pending_revocation: copies(&revoked.standby),
        warmup_tasks_pending_revocation: copies(&revoked.warmup),
    }
}
