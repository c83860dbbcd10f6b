//! Keys and values of `__consumer_offsets`, byte for byte as Kafka writes them.
//!
//! A key is an i16 record type and the key message (version 0); a value is an i16 version and
//! the value message. No value is a tombstone. As in Kafka 4.3, offsets are written as value version 4
//! (1 when they carry an expiry time) and classic groups as value version 3. Every older version is read.

use bytes::Bytes;
use milena_protocol::messages::{
    ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue, ConsumerGroupMetadataKey, ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, GroupMetadataKey, GroupMetadataValue, OffsetCommitKey,
    OffsetCommitValue,
};
use milena_protocol::{DecodeError, EncodeError, Message, Reader, Writer};

use super::offsets::CommittedOffset;
use super::offsets_log::OffsetsRecord;
use super::share::ShareRecord;
use super::streams::StreamsRecord;

/// Record types: the i16 that starts a key.
mod kind {
    pub const LEGACY_OFFSET: i16 = 0;
    pub const OFFSET: i16 = 1;
    pub const GROUP: i16 = 2;
    pub const CONSUMER_GROUP: i16 = 3;
    pub const CONSUMER_MEMBER: i16 = 5;
    pub const CONSUMER_TARGET: i16 = 6;
    pub const CONSUMER_TARGET_MEMBER: i16 = 7;
    pub const CONSUMER_CURRENT: i16 = 8;
    pub const CONSUMER_REGEX: i16 = 16;
}

/// One record as it is read back; a `value` of `None` is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredRecord {
    /// Types 0 and 1.
    Offset {
        /// Group, topic and partition.
        key: OffsetCommitKey,
        /// The offset.
        value: Option<OffsetCommitValue>,
    },
    /// Type 2: a classic group.
    Group {
        /// The group.
        group: String,
        /// Its generation and members.
        value: Option<GroupMetadataValue>,
    },
    /// Type 3: the epoch of a consumer group.
    ConsumerGroup {
        /// The group.
        group: String,
        /// Its epoch.
        value: Option<ConsumerGroupMetadataValue>,
    },
    /// Type 5: what a member of a consumer group told about itself.
    ConsumerMember {
        /// Group and member.
        key: ConsumerGroupMemberMetadataKey,
        /// Subscription and client.
        value: Option<ConsumerGroupMemberMetadataValue>,
    },
    /// Type 6: the epoch of a group's target assignment.
    ConsumerTarget {
        /// The group.
        group: String,
        /// The epoch.
        value: Option<ConsumerGroupTargetAssignmentMetadataValue>,
    },
    /// Type 7: a member's part of the target assignment.
    ConsumerTargetMember {
        /// Group and member.
        key: ConsumerGroupTargetAssignmentMemberKey,
        /// The partitions.
        value: Option<ConsumerGroupTargetAssignmentMemberValue>,
    },
    /// Type 8: what a member holds now.
    ConsumerCurrent {
        /// Group and member.
        key: ConsumerGroupCurrentMemberAssignmentKey,
        /// Epochs and partitions.
        value: Option<ConsumerGroupCurrentMemberAssignmentValue>,
    },
    /// Type 16: the topics a regular expression stands for.
    ConsumerRegex {
        /// Group and expression.
        key: ConsumerGroupRegularExpressionKey,
        /// The topics.
        value: Option<ConsumerGroupRegularExpressionValue>,
    },
    /// Types 10 to 15: share groups.
    Share(ShareRecord),
    /// Types 17 and 19 to 23: streams groups.
    Streams(StreamsRecord),
}

/// Reads a record; `Ok(None)` for types that belong to other features.
///
/// # Errors
/// The bytes are no valid record of their type.
pub fn decode(key: &Bytes, value: Option<&Bytes>) -> Result<Option<StoredRecord>, DecodeError> {
    let mut reader = Reader::new(key.clone());
    let record_type = reader.i16()?;
    Ok(Some(match record_type {
        kind::LEGACY_OFFSET | kind::OFFSET => {
            StoredRecord::Offset { key: OffsetCommitKey::decode(&mut reader, 0)?, value: decode_value(value)? }
        }
        kind::GROUP => {
            StoredRecord::Group { group: GroupMetadataKey::decode(&mut reader, 0)?.group, value: decode_value(value)? }
        }
        kind::CONSUMER_GROUP => StoredRecord::ConsumerGroup {
            group: ConsumerGroupMetadataKey::decode(&mut reader, 0)?.group_id,
            value: decode_value(value)?,
        },
        kind::CONSUMER_MEMBER => StoredRecord::ConsumerMember {
            key: ConsumerGroupMemberMetadataKey::decode(&mut reader, 0)?,
            value: decode_value(value)?,
        },
        kind::CONSUMER_TARGET => StoredRecord::ConsumerTarget {
            group: ConsumerGroupTargetAssignmentMetadataKey::decode(&mut reader, 0)?.group_id,
            value: decode_value(value)?,
        },
        kind::CONSUMER_TARGET_MEMBER => StoredRecord::ConsumerTargetMember {
            key: ConsumerGroupTargetAssignmentMemberKey::decode(&mut reader, 0)?,
            value: decode_value(value)?,
        },
        kind::CONSUMER_CURRENT => StoredRecord::ConsumerCurrent {
            key: ConsumerGroupCurrentMemberAssignmentKey::decode(&mut reader, 0)?,
            value: decode_value(value)?,
        },
        kind::CONSUMER_REGEX => StoredRecord::ConsumerRegex {
            key: ConsumerGroupRegularExpressionKey::decode(&mut reader, 0)?,
            value: decode_value(value)?,
        },
        other => {
            if let Some(record) = ShareRecord::decode(other, &mut reader, value)? {
                return Ok(Some(StoredRecord::Share(record)));
            }
            return Ok(StreamsRecord::decode(other, &mut reader, value)?.map(StoredRecord::Streams));
        }
    }))
}

pub(super) fn decode_value<M: Message>(value: Option<&Bytes>) -> Result<Option<M>, DecodeError> {
    let Some(value) = value else { return Ok(None) };
    let mut reader = Reader::new(value.clone());
    let version = reader.i16()?;
    M::decode(&mut reader, version).map(Some)
}

/// A record, or why it cannot be written: a name longer than its length field can say.
pub type Encoded = Result<OffsetsRecord, EncodeError>;

/// The commit of one offset.
pub fn offset(group: &str, topic: &str, partition: i32, offset: &CommittedOffset) -> Encoded {
    let value = OffsetCommitValue {
        offset: offset.offset,
        leader_epoch: offset.leader_epoch,
        metadata: offset.metadata.clone(),
        commit_timestamp: offset.commit_timestamp,
        expire_timestamp: offset.expire_timestamp.unwrap_or(-1),
        topic_id: offset.topic_id,
    };
    let version = if offset.expire_timestamp.is_some() { 1 } else { 4 };
    record(kind::OFFSET, &offset_key(group, topic, partition), Some((version, &value)))
}

/// The tombstone of one offset.
pub fn offset_tombstone(group: &str, topic: &str, partition: i32) -> Encoded {
    record::<_, OffsetCommitValue>(kind::OFFSET, &offset_key(group, topic, partition), None)
}

fn offset_key(group: &str, topic: &str, partition: i32) -> OffsetCommitKey {
    OffsetCommitKey { group: group.to_owned(), topic: topic.to_owned(), partition }
}

/// A classic group, or its tombstone.
pub fn group(group: &str, value: Option<&GroupMetadataValue>) -> Encoded {
    record(kind::GROUP, &GroupMetadataKey { group: group.to_owned() }, value.map(|value| (3, value)))
}

/// A consumer group's epoch, or its tombstone.
pub fn consumer_group(group: &str, value: Option<&ConsumerGroupMetadataValue>) -> Encoded {
    let key = ConsumerGroupMetadataKey { group_id: group.to_owned() };
    record(kind::CONSUMER_GROUP, &key, value.map(|value| (0, value)))
}

/// A consumer group's member, or its tombstone.
pub fn consumer_member(group: &str, member: &str, value: Option<&ConsumerGroupMemberMetadataValue>) -> Encoded {
    let key = ConsumerGroupMemberMetadataKey { group_id: group.to_owned(), member_id: member.to_owned() };
    record(kind::CONSUMER_MEMBER, &key, value.map(|value| (0, value)))
}

/// The epoch of a consumer group's target assignment, or its tombstone.
pub fn consumer_target(group: &str, value: Option<&ConsumerGroupTargetAssignmentMetadataValue>) -> Encoded {
    let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: group.to_owned() };
    record(kind::CONSUMER_TARGET, &key, value.map(|value| (0, value)))
}

/// A member's target assignment, or its tombstone.
pub fn consumer_target_member(
    group: &str,
    member: &str,
    value: Option<&ConsumerGroupTargetAssignmentMemberValue>,
) -> Encoded {
    let key = ConsumerGroupTargetAssignmentMemberKey { group_id: group.to_owned(), member_id: member.to_owned() };
    record(kind::CONSUMER_TARGET_MEMBER, &key, value.map(|value| (0, value)))
}

/// A member's current assignment, or its tombstone.
pub fn consumer_current(
    group: &str,
    member: &str,
    value: Option<&ConsumerGroupCurrentMemberAssignmentValue>,
) -> Encoded {
    let key = ConsumerGroupCurrentMemberAssignmentKey { group_id: group.to_owned(), member_id: member.to_owned() };
    record(kind::CONSUMER_CURRENT, &key, value.map(|value| (0, value)))
}

/// The topics of a regular expression, or its tombstone.
pub fn consumer_regex(group: &str, regex: &str, value: Option<&ConsumerGroupRegularExpressionValue>) -> Encoded {
    let key = ConsumerGroupRegularExpressionKey { group_id: group.to_owned(), regular_expression: regex.to_owned() };
    record(kind::CONSUMER_REGEX, &key, value.map(|value| (0, value)))
}

pub(super) fn record<K: Message, V: Message>(record_type: i16, key: &K, value: Option<(i16, &V)>) -> Encoded {
    Ok(OffsetsRecord {
        key: encode(record_type, key, 0)?,
        value: value.map(|(version, value)| encode(version, value, version)).transpose()?,
    })
}

fn encode<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    writer.i16(prefix);
    message.encode(&mut writer, version)?;
    Ok(writer.finish().to_bytes().expect("a record without file ranges is in memory"))
}

#[cfg(test)]
mod tests;
