//! The bytes that consumers exchange through their coordinator: subscriptions and assignments.
//!
//! Each begins with its version; a higher version than ours only appends fields, so it is read as our highest.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use milena_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, consumer_protocol_assignment,
    consumer_protocol_subscription,
};
use milena_protocol::{Chunk, DecodeError, Message, Reader, Writer};

use crate::TopicPartition;
use crate::error::Result;

/// Writes a subscription to `topics`, with the partitions owned since `generation_id`, the rack and what else the member
/// tells of itself.
///
/// # Errors
/// [`crate::Error::Encode`] for names that are too long.
pub fn encode_subscription(
    topics: &[String],
    owned: &[TopicPartition],
    generation_id: i32,
    (rack, user_data): (Option<&str>, Option<&Bytes>),
) -> Result<Bytes> {
    let message = ConsumerProtocolSubscription {
        topics: topics.to_vec(),
        user_data: user_data.cloned(),
        owned_partitions: by_topic(owned)
            .into_iter()
            .map(|(topic, partitions)| consumer_protocol_subscription::OwnedPartition { topic, partitions })
            .collect(),
        generation_id,
        rack_id: rack.map(str::to_owned),
    };
    encode(&message)
}

/// Reads a subscription.
///
/// # Errors
/// Any [`DecodeError`].
pub fn decode_subscription(bytes: &Bytes) -> Result<ConsumerProtocolSubscription, DecodeError> {
    decode(bytes)
}

/// Writes an assignment.
///
/// # Errors
/// [`crate::Error::Encode`] for names that are too long.
pub fn encode_assignment(partitions: &[TopicPartition]) -> Result<Bytes> {
    let message = ConsumerProtocolAssignment {
        assigned_partitions: by_topic(partitions)
            .into_iter()
            .map(|(topic, partitions)| consumer_protocol_assignment::AssignedPartition { topic, partitions })
            .collect(),
        user_data: None,
    };
    encode(&message)
}

/// Reads an assignment; no bytes at all mean no partitions. Sorted.
///
/// # Errors
/// Any [`DecodeError`].
pub fn decode_assignment(bytes: &Bytes) -> Result<Vec<TopicPartition>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let message: ConsumerProtocolAssignment = decode(bytes)?;
    let mut partitions: Vec<_> = message
        .assigned_partitions
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| TopicPartition::new(&topic.topic, *partition)))
        .collect();
    partitions.sort();
    Ok(partitions)
}

fn encode<M: Message>(message: &M) -> Result<Bytes> {
    let mut writer = Writer::with_capacity(128);
    writer.i16(M::MAX_VERSION);
    message.encode(&mut writer, M::MAX_VERSION)?;
    let mut bytes = BytesMut::new();
    for chunk in writer.finish().chunks {
        if let Chunk::Bytes(part) = chunk {
            bytes.extend_from_slice(&part);
        }
    }
    Ok(bytes.freeze())
}

fn decode<M: Message>(bytes: &Bytes) -> Result<M, DecodeError> {
    let mut reader = Reader::new(bytes.clone());
    let version = reader.i16()?.clamp(M::MIN_VERSION, M::MAX_VERSION);
    M::decode(&mut reader, version)
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<String, Vec<i32>> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for tp in partitions {
        topics.entry(tp.topic.clone()).or_default().push(tp.partition);
    }
    topics
}

/// The partitions a subscription says its member owns.
pub fn owned_partitions(subscription: &ConsumerProtocolSubscription) -> Vec<TopicPartition> {
    let of_topic = |owned: &consumer_protocol_subscription::OwnedPartition| {
        let topic = owned.topic.clone();
        owned.partitions.clone().into_iter().map(move |partition| TopicPartition::new(topic.clone(), partition))
    };
    subscription.owned_partitions.iter().flat_map(of_topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_and_assignments_read_back() {
        let owned = vec![TopicPartition::new("a", 0), TopicPartition::new("a", 2), TopicPartition::new("b", 1)];
        let own = Bytes::from_static(b"own");
        let bytes =
            encode_subscription(&["a".to_owned(), "b".to_owned()], &owned, 5, (Some("r1"), Some(&own))).unwrap();
        let read = decode_subscription(&bytes).unwrap();
        assert_eq!(read.topics, ["a", "b"]);
        assert_eq!(owned_partitions(&read), owned);
        assert_eq!((read.generation_id, read.rack_id.as_deref()), (5, Some("r1")));
        assert_eq!(read.user_data, Some(own));
        assert_eq!(decode_assignment(&encode_assignment(&owned).unwrap()).unwrap(), owned);
        assert_eq!(decode_assignment(&Bytes::new()).unwrap(), []);
    }

    #[test]
    fn a_newer_version_is_read_as_far_as_it_is_known() {
        let mut bytes = encode_assignment(&[TopicPartition::new("t", 3)]).unwrap().to_vec();
        bytes[1] = 9;
        bytes.extend_from_slice(b"something new");
        assert_eq!(decode_assignment(&Bytes::from(bytes)).unwrap(), [TopicPartition::new("t", 3)]);
    }

    #[test]
    fn garbage_is_an_error_and_not_a_panic() {
        assert!(decode_assignment(&Bytes::from_static(&[0, 1, 0x7f, 0xff, 0xff, 0xff])).is_err());
        assert!(decode_subscription(&Bytes::from_static(b"\0")).is_err());
    }
}
