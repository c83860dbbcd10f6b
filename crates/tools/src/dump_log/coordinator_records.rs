//! The records that coordinators keep in internal topics, as JSON.
//!
//! A key begins with the type of the record (i16), a value with the version it was written in (i16). Which message
//! follows is told by the type, separately for each topic.

use bytes::Bytes;
use serde_json::{Value, json};

use milena_protocol::inspect::{MessageType, ToJson};
use milena_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, GroupMetadataValue};
use milena_protocol::record::RecordRef;
use milena_protocol::{DecodeError, Message, Reader, catalog};

/// Message names of `__consumer_offsets` by record type; `Key` or `Value` follows.
const GROUP_RECORDS: &[(i16, &str)] = &[
    (0, "LegacyOffsetCommit"),
    (1, "OffsetCommit"),
    (2, "GroupMetadata"),
    (3, "ConsumerGroupMetadata"),
    (4, "ConsumerGroupPartitionMetadata"),
    (5, "ConsumerGroupMemberMetadata"),
    (6, "ConsumerGroupTargetAssignmentMetadata"),
    (7, "ConsumerGroupTargetAssignmentMember"),
    (8, "ConsumerGroupCurrentMemberAssignment"),
    (10, "ShareGroupMemberMetadata"),
    (11, "ShareGroupMetadata"),
    (12, "ShareGroupTargetAssignmentMetadata"),
    (13, "ShareGroupTargetAssignmentMember"),
    (14, "ShareGroupCurrentMemberAssignment"),
    (15, "ShareGroupStatePartitionMetadata"),
    (16, "ConsumerGroupRegularExpression"),
    (17, "StreamsGroupMetadata"),
    (19, "StreamsGroupMemberMetadata"),
    (20, "StreamsGroupTargetAssignmentMetadata"),
    (21, "StreamsGroupTargetAssignmentMember"),
    (22, "StreamsGroupCurrentMemberAssignment"),
    (23, "StreamsGroupTopology"),
];
/// As [`GROUP_RECORDS`], of `__transaction_state`.
const TRANSACTION_RECORDS: &[(i16, &str)] = &[(0, "TransactionLog")];
/// As [`GROUP_RECORDS`], of `__share_group_state`.
const SHARE_RECORDS: &[(i16, &str)] = &[(0, "ShareSnapshot"), (1, "ShareUpdate")];

/// How keys and values of records are made readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordDecoder {
    /// As UTF-8.
    Text,
    /// As records of `__consumer_offsets`.
    Offsets,
    /// As records of `__transaction_state`.
    Transactions,
    /// As records of `__share_group_state`.
    ShareGroupState,
}

/// What to print of a record; `None` prints nothing at all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Printable {
    /// The key.
    pub key: Option<String>,
    /// The value.
    pub payload: Option<String>,
}

/// Why a record could not be made readable.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// Nothing is known about records of this type.
    UnknownType(i16),
    /// The bytes do not fit the type.
    Malformed(DecodeError),
}

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Self {
        Unreadable::Malformed(error)
    }
}

/// A decoded record.
#[derive(Debug, PartialEq)]
pub(crate) struct CoordinatorRecord {
    /// Type of the record, and its key.
    pub key: (i16, Value),
    /// Version of the value, and the value; `None` for a tombstone.
    pub value: Option<(i16, Value)>,
}

impl RecordDecoder {
    /// Key and value as `kafka-dump-log` prints them.
    pub fn printable(self, record: &RecordRef<'_>) -> Printable {
        let Some(records) = self.records() else {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Printable { key: record.key.map(text), payload: record.value.map(text) };
        };
        match decode(records, record.key.unwrap_or_default(), record.value) {
            Ok(CoordinatorRecord { key: (record_type, key), value }) => Printable {
                key: Some(json!({"type": record_type.to_string(), "data": key}).to_string()),
                payload: Some(match value {
                    Some((version, value)) => json!({"version": version.to_string(), "data": value}).to_string(),
                    None => "<DELETE>".to_owned(),
                }),
            },
            Err(Unreadable::UnknownType(record_type)) => Printable {
                key: Some(format!("Unknown record type {record_type} at offset {}, skipping.", record.offset)),
                payload: None,
            },
            Err(Unreadable::Malformed(error)) => {
                Printable { key: Some(format!("Error at offset {}, skipping. {error}", record.offset)), payload: None }
            }
        }
    }

    fn records(self) -> Option<&'static [(i16, &'static str)]> {
        match self {
            RecordDecoder::Text => None,
            RecordDecoder::Offsets => Some(GROUP_RECORDS),
            RecordDecoder::Transactions => Some(TRANSACTION_RECORDS),
            RecordDecoder::ShareGroupState => Some(SHARE_RECORDS),
        }
    }
}

fn decode(records: &[(i16, &str)], key: &[u8], value: Option<&[u8]>) -> Result<CoordinatorRecord, Unreadable> {
    let mut reader = Reader::new(Bytes::copy_from_slice(key));
    let record_type = reader.i16()?;
    let known = records.iter().find(|(known, _)| *known == record_type);
    let (_, name) = known.ok_or(Unreadable::UnknownType(record_type))?;
    let key = (message_type(name, "Key", record_type)?.to_json)(&mut reader, 0)?;
    let Some(value) = value else {
        return Ok(CoordinatorRecord { key: (record_type, key), value: None });
    };
    let mut reader = Reader::new(Bytes::copy_from_slice(value));
    let version = reader.i16()?;
    let value = match *name {
        "GroupMetadata" => group_metadata(&mut reader, version)?,
        name => (message_type(name, "Value", record_type)?.to_json)(&mut reader, version)?,
    };
    Ok(CoordinatorRecord { key: (record_type, key), value: Some((version, value)) })
}

fn message_type(name: &str, part: &str, record_type: i16) -> Result<&'static MessageType, Unreadable> {
    let named = |message: &&MessageType| message.name.strip_suffix(part) == Some(name);
    catalog::DATA.iter().find(named).ok_or(Unreadable::UnknownType(record_type))
}

/// A classic group; the members of a group of consumers have subscriptions and assignments of a known form.
fn group_metadata(reader: &mut Reader, version: i16) -> Result<Value, DecodeError> {
    let group = GroupMetadataValue::decode(reader, version)?;
    let mut value = group.to_json(version);
    if group.protocol_type != "consumer" {
        return Ok(value);
    }
    for (index, member) in group.members.iter().enumerate() {
        let shown = &mut value["members"][index];
        if let Some(subscription) = embedded::<ConsumerProtocolSubscription>(&member.subscription) {
            shown["subscription"] = subscription;
        }
        if let Some(assignment) = embedded::<ConsumerProtocolAssignment>(&member.assignment) {
            shown["assignment"] = assignment;
        }
    }
    Ok(value)
}

/// A message that begins with its version; `None` for bytes that are none.
fn embedded<M: Message + ToJson>(bytes: &Bytes) -> Option<Value> {
    let mut reader = Reader::new(bytes.clone());
    let version = reader.i16().ok()?.clamp(M::MIN_VERSION, M::MAX_VERSION);
    Some(M::decode(&mut reader, version).ok()?.to_json(version))
}
