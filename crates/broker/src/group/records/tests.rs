//! Records as bytes: what other tools read, and what we read back.

use milena_protocol::messages::{
    ConsumerGroupMemberMetadataValue, ConsumerGroupRegularExpressionValue, ConsumerGroupTargetAssignmentMetadataValue,
};
use proptest::prelude::*;

use super::*;

fn committed(offset: i64, expire_timestamp: Option<i64>) -> CommittedOffset {
    CommittedOffset {
        offset,
        leader_epoch: if expire_timestamp.is_some() { -1 } else { 5 },
        metadata: "note".to_owned(),
        commit_timestamp: 1_700_000_000_000,
        expire_timestamp,
        ..CommittedOffset::default()
    }
}

#[test]
fn an_offset_is_written_byte_for_byte_as_kafka_does() {
    let record = offset("grp", "top", 7, &committed(42, None)).unwrap();
    assert_eq!(&record.key[..], b"\x00\x01\x00\x03grp\x00\x03top\x00\x00\x00\x07");
    let plain = b"\x00\x04\x00\x00\x00\x00\x00\x00\x00\x2a\x00\x00\x00\x05\x05note\x00\x00\x01\x8b\xcf\xe5\x68\x00";
    assert_eq!(record.value.as_deref().unwrap(), [&plain[..], b"\x00"].concat());
    let with_id = CommittedOffset { topic_id: milena_protocol::Uuid([3; 16]), ..committed(42, None) };
    let value = offset("grp", "top", 7, &with_id).unwrap().value.unwrap();
    assert_eq!(&value[..], [&plain[..], b"\x01\x00\x10", &[3; 16]].concat());
    assert_eq!(offset_tombstone("grp", "top", 7).unwrap(), OffsetsRecord { key: record.key, value: None });
}

#[test]
fn an_offset_with_an_expiry_time_is_written_as_version_1() {
    let record = offset("g", "t", 0, &committed(1, Some(99))).unwrap();
    let value = record.value.clone().unwrap();
    assert_eq!(value[..2], [0, 1]);
    assert_eq!(value[value.len() - 8..], 99i64.to_be_bytes());
    let Some(StoredRecord::Offset { value: Some(value), .. }) = decode(&record.key, record.value.as_ref()).unwrap()
    else {
        panic!("not an offset");
    };
    assert_eq!(CommittedOffset::from_value(value), committed(1, Some(99)));
}

#[test]
fn an_offset_of_an_older_version_is_read() {
    let record = offset("g", "t", 0, &committed(1, None)).unwrap();
    let value = OffsetCommitValue { offset: 8, metadata: "m".to_owned(), ..OffsetCommitValue::default() };
    let bytes = encode(3, &value, 3).unwrap();
    let Some(StoredRecord::Offset { value: Some(read), .. }) = decode(&record.key, Some(&bytes)).unwrap() else {
        panic!("not an offset");
    };
    assert_eq!(read, value);
}

#[test]
fn a_classic_group_is_written_as_version_3() {
    let record = group("grp", Some(&GroupMetadataValue::default())).unwrap();
    assert_eq!(&record.key[..], b"\x00\x02\x00\x03grp");
    assert_eq!(record.value.unwrap()[..2], [0, 3]);
}

#[test]
fn every_type_of_record_is_read_back() {
    let member = ConsumerGroupMemberMetadataValue { client_id: "c".to_owned(), ..Default::default() };
    let target = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch: 4, assignment_timestamp: 5 };
    let regex = ConsumerGroupRegularExpressionValue { topics: vec!["t".to_owned()], version: 1, timestamp: 2 };
    let records = [
        (3, consumer_group("g", Some(&ConsumerGroupMetadataValue { epoch: 3, metadata_hash: 9 }))),
        (5, consumer_member("g", "m", Some(&member))),
        (6, consumer_target("g", Some(&target))),
        (7, consumer_target_member("g", "m", Some(&Default::default()))),
        (8, consumer_current("g", "m", Some(&Default::default()))),
        (16, consumer_regex("g", "t.*", Some(&regex))),
    ];
    for (record_type, record) in records {
        let record = record.unwrap();
        assert_eq!(record.key[..2], i16::to_be_bytes(record_type));
        let read = decode(&record.key, record.value.as_ref()).unwrap().unwrap();
        let tombstone = decode(&record.key, None).unwrap().unwrap();
        match (read, tombstone) {
            (StoredRecord::ConsumerGroup { value, .. }, StoredRecord::ConsumerGroup { value: None, .. }) => {
                assert_eq!(value.unwrap().metadata_hash, 9);
            }
            (StoredRecord::ConsumerMember { value, .. }, StoredRecord::ConsumerMember { value: None, .. }) => {
                assert_eq!(value.as_ref(), Some(&member));
            }
            (StoredRecord::ConsumerTarget { value, .. }, StoredRecord::ConsumerTarget { value: None, .. }) => {
                assert_eq!(value.as_ref(), Some(&target));
            }
            (
                StoredRecord::ConsumerTargetMember { key, value: Some(_) },
                StoredRecord::ConsumerTargetMember { value: None, .. },
            ) => assert_eq!((key.group_id.as_str(), key.member_id.as_str()), ("g", "m")),
            (
                StoredRecord::ConsumerCurrent { key, value: Some(_) },
                StoredRecord::ConsumerCurrent { value: None, .. },
            ) => assert_eq!((key.group_id.as_str(), key.member_id.as_str()), ("g", "m")),
            (StoredRecord::ConsumerRegex { key, value }, StoredRecord::ConsumerRegex { value: None, .. }) => {
                assert_eq!((key.regular_expression.as_str(), value.as_ref()), ("t.*", Some(&regex)));
            }
            (read, tombstone) => panic!("type {record_type} was read as {read:?} and {tombstone:?}"),
        }
    }
}

#[test]
fn records_of_other_features_are_passed_over() {
    assert_eq!(decode(&Bytes::from_static(b"\x00\x12\x00\x01g"), None).unwrap(), None);
    assert_eq!(decode(&Bytes::from_static(b"\x00\x04\x00\x01g"), None).unwrap(), None);
    assert_eq!(decode(&Bytes::from_static(b"\x7f\xff"), None).unwrap(), None);
}

#[test]
fn a_name_that_does_not_fit_its_length_field_is_an_error() {
    assert!(offset(&"g".repeat(40_000), "t", 0, &committed(1, None)).is_err());
}

proptest! {
    #[test]
    fn offsets_round_trip(
        group in "\\PC{0,40}", topic in "[a-z.]{1,20}", partition in 0..i32::MAX, offset_value in any::<i64>(),
        metadata in "\\PC{0,60}", commit_timestamp in 0..i64::MAX, leader_epoch in -1..i32::MAX,
    ) {
        let committed =
            CommittedOffset { offset: offset_value, leader_epoch, metadata, commit_timestamp, ..CommittedOffset::default() };
        let record = offset(&group, &topic, partition, &committed).unwrap();
        let read = decode(&record.key, record.value.as_ref()).unwrap();
        let Some(StoredRecord::Offset { key, value: Some(value) }) = read else { panic!("not an offset") };
        prop_assert_eq!(key, OffsetCommitKey { group, topic, partition });
        prop_assert_eq!(CommittedOffset::from_value(value), committed);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(key in prop::collection::vec(any::<u8>(), 0..60), value in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = decode(&Bytes::from(key), Some(&Bytes::from(value)));
    }
}
