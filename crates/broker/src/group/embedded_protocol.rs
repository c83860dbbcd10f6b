//! What consumers of the classic protocol put into JoinGroup and SyncGroup: subscriptions and assignments, each an i16
//! version and a message. To the classic protocol they are opaque bytes; a group that migrates has to read them.

use std::collections::BTreeSet;

use bytes::Bytes;
use milena_protocol::messages::consumer_protocol_assignment::AssignedPartition;
use milena_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use milena_protocol::{Message, Reader, Writer};

/// The protocol type of consumers; Connect workers and others have their own.
pub const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// Partitions by topic name.
pub type NamedPartitions = Vec<(String, Vec<i32>)>;

/// What a consumer says when it joins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// The version it speaks; its assignment must be written in the same.
    pub version: i16,
    /// The topics it wants.
    pub topics: BTreeSet<String>,
    /// What it still holds (v1+).
    pub owned: NamedPartitions,
    /// `client.rack` (v3+).
    pub rack_id: Option<String>,
}

/// Reads a subscription; `None` when the bytes are something else.
pub fn subscription(metadata: &Bytes) -> Option<Subscription> {
    let (version, mut reader) = version(metadata)?;
    // A newer subscription only appends fields.
    let message =
        ConsumerProtocolSubscription::decode(&mut reader, version.min(ConsumerProtocolSubscription::MAX_VERSION))
            .ok()?;
    Some(Subscription {
        version,
        topics: message.topics.into_iter().collect(),
        owned: message.owned_partitions.into_iter().map(|owned| (owned.topic, owned.partitions)).collect(),
        rack_id: message.rack_id,
    })
}

/// Reads an assignment; no bytes are an empty one. `None` when the bytes are something else.
pub fn assignment(bytes: &Bytes) -> Option<NamedPartitions> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    let (version, mut reader) = version(bytes)?;
    let message =
        ConsumerProtocolAssignment::decode(&mut reader, version.min(ConsumerProtocolAssignment::MAX_VERSION)).ok()?;
    Some(message.assigned_partitions.into_iter().map(|assigned| (assigned.topic, assigned.partitions)).collect())
}

/// Writes an assignment for a consumer that speaks `version`; `None` if a name is too long for it.
pub fn encode_assignment(version: i16, partitions: NamedPartitions) -> Option<Bytes> {
    let version = version.clamp(ConsumerProtocolAssignment::MIN_VERSION, ConsumerProtocolAssignment::MAX_VERSION);
    let message = ConsumerProtocolAssignment {
        assigned_partitions: partitions
            .into_iter()
            .map(|(topic, partitions)| AssignedPartition { topic, partitions })
            .collect(),
        user_data: None,
    };
    let mut writer = Writer::new();
    writer.i16(version);
    message.encode(&mut writer, version).ok()?;
    writer.finish().to_bytes().ok()
}

fn version(bytes: &Bytes) -> Option<(i16, Reader)> {
    let mut reader = Reader::new(bytes.clone());
    let version = reader.i16().ok().filter(|version| *version >= 0)?;
    Some((version, reader))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_back_in_every_version() {
        let partitions = vec![("orders".to_owned(), vec![0, 2]), ("returns".to_owned(), vec![1])];
        for version in 0..=3 {
            let bytes = encode_assignment(version, partitions.clone()).unwrap();
            assert_eq!(bytes[..2], version.to_be_bytes());
            assert_eq!(assignment(&bytes), Some(partitions.clone()));
        }
        assert_eq!(encode_assignment(9, Vec::new()).unwrap()[..2], [0, 3]);
        assert_eq!(assignment(&Bytes::new()), Some(Vec::new()));
    }

    #[test]
    fn bytes_of_other_protocols_are_no_subscription() {
        assert_eq!(subscription(&Bytes::new()), None);
        assert_eq!(subscription(&Bytes::from_static(b"\xff\xff")), None);
        assert_eq!(subscription(&Bytes::from_static(b"\x00\x00\x7f\xff\xff\xff")), None);
        let version_9 = subscription(&Bytes::from_static(
            b"\x00\x09\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff+",
        ));
        assert_eq!(version_9.map(|subscription| subscription.version), Some(9));
    }
}
