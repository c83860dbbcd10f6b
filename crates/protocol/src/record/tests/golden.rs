//! Bytes that Apache Kafka's own builder wrote.

use bytes::Bytes;

use super::{MAX, unhex};
use crate::compression::Compression;
use crate::record::control::{ControlType, EndTxnMarker, end_txn_marker_batch};
use crate::record::legacy::{down_convert, messages};
use crate::record::{
    BatchBuilder, BatchHeader, BatchOptions, BatchView, Header, Record, TimestampType, batches, patch,
};

const GOLDEN: &str = include_str!("golden.txt");

/// The batch of format `magic` whose second word is `kind`.
fn golden(magic: i8, kind: &str) -> Vec<u8> {
    let prefix = format!("{magic} {kind} ");
    let line = GOLDEN.lines().find_map(|line| line.strip_prefix(&prefix));
    unhex(line.expect("the fixture has this format and codec"))
}

type Fields = (i64, Option<&'static str>, Option<&'static str>);

const FIELDS: [Fields; 3] = [
    (1_700_000_000_000, Some("key-0"), Some("value-0")),
    (1_700_000_000_007, None, Some("value-1 value-1 value-1 value-1 value-1 value-1")),
    (1_699_999_999_990, Some("key-2"), None),
];

fn expected_records() -> Vec<Record> {
    let headers = vec![
        Header { key: Bytes::from_static(b"h"), value: Some(Bytes::from_static(b"x")) },
        Header { key: Bytes::from_static(b"n"), value: None },
    ];
    (100..)
        .zip(FIELDS)
        .map(|(offset, (timestamp, key, value))| Record {
            attributes: 0,
            timestamp,
            offset,
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers: if offset == 100 { headers.clone() } else { vec![] },
        })
        .collect()
}

fn kafka_options(compression: Compression) -> BatchOptions {
    BatchOptions {
        base_offset: 100,
        leader_epoch: 5,
        compression,
        producer_id: 7,
        producer_epoch: 3,
        base_sequence: 11,
        transactional: true,
        ..BatchOptions::default()
    }
}

fn build(options: BatchOptions) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for record in expected_records() {
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }
    builder.build().expect("the batch builds")
}

#[test]
fn batches_of_apache_kafka_are_read_in_every_codec() {
    for codec in Compression::ALL {
        let frame = Bytes::from(golden(2, codec.name()));
        let batch = BatchView::parse(&frame).expect("parses");
        assert_eq!(batch.size_in_bytes(), frame.len());
        assert!(batch.verify_crc(), "{codec}");
        assert_eq!(batch.compression(), Ok(codec));
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.next_offset()), (100, 102, 103));
        assert_eq!((batch.base_timestamp(), batch.max_timestamp()), (1_700_000_000_000, 1_700_000_000_007));
        assert_eq!((batch.producer_id(), batch.producer_epoch()), (7, 3));
        assert_eq!((batch.base_sequence(), batch.last_sequence()), (11, 13));
        assert_eq!((batch.partition_leader_epoch(), batch.count()), (5, 3));
        assert!(batch.is_transactional() && !batch.is_control() && !batch.has_delete_horizon());
        assert_eq!(batch.timestamp_type(), TimestampType::CreateTime);

        for records in [batch.records(MAX), batch.records_in(&frame, MAX)] {
            let records: Result<Vec<_>, _> = records.expect("decompresses").collect();
            assert_eq!(records.as_ref(), Ok(&expected_records()), "{codec}");
        }
        let summary = batch.validate_records(MAX).expect("valid");
        assert_eq!((summary.count, summary.has_null_key), (3, true));
        assert_eq!((summary.max_timestamp, summary.offset_of_max_timestamp), (1_700_000_000_007, 101));
        assert_eq!(summary.min_timestamp, 1_699_999_999_990);
        assert!(summary.offsets_are_consecutive);
        assert_eq!(BatchHeader::from(&batch).last_offset(), 102);
    }
}

#[test]
fn an_uncompressed_batch_is_written_byte_for_byte_as_kafka_does() {
    assert_eq!(build(kafka_options(Compression::None)), golden(2, "none"));
}

#[test]
fn records_of_a_frame_are_slices_of_it() {
    let frame = Bytes::from(golden(2, "none"));
    let batch = BatchView::parse(&frame).expect("parses");
    let range = frame.as_ptr_range();
    for record in batch.records_in(&frame, 0).expect("nothing to decompress") {
        let record = record.expect("valid");
        for part in record.key.iter().chain(&record.value) {
            assert!(range.contains(&part.as_ptr()), "copied instead of sliced");
        }
    }
}

#[test]
fn transaction_markers_are_written_byte_for_byte_as_kafka_does() {
    let marker = EndTxnMarker { control_type: ControlType::Commit, coordinator_epoch: 9 };
    let ours = end_txn_marker_batch(marker, 1_700_000_000_000, 5, 7, 3).expect("builds");
    assert_eq!(ours, golden(2, "marker"));

    let batch = BatchView::parse(&ours).expect("parses");
    assert!(batch.is_control() && batch.is_transactional());
    let record = batch.records(MAX).expect("opens").next().expect("one").expect("valid");
    let (key, value) = (record.key.expect("a key"), record.value.expect("a value"));
    assert_eq!(EndTxnMarker::parse(&key, &value), Ok(Some(marker)));
    assert!(EndTxnMarker::parse(&key[..3], &value).is_err());
    assert!(EndTxnMarker::parse(&key, &value[..5]).is_err());
    assert_eq!(EndTxnMarker::parse(&ControlType::LeaderChange.key(), &[]), Ok(None));
}

#[test]
fn message_sets_of_apache_kafka_are_read_in_both_old_formats() {
    for magic in [0, 1] {
        for codec in [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4] {
            let found = messages(&golden(magic, codec.name()), MAX).expect("valid");
            assert_eq!(found.len(), 3, "magic {magic} {codec}");
            for ((offset, message), (timestamp, key, value)) in (100..).zip(&found).zip(FIELDS) {
                assert_eq!((message.offset, message.magic, message.compression), (offset, magic, codec));
                assert_eq!(message.timestamp, if magic == 0 { -1 } else { timestamp });
                assert_eq!(message.key.as_deref(), key.map(str::as_bytes));
                assert_eq!(message.value.as_deref(), value.map(str::as_bytes));
            }
        }
    }
}

#[test]
fn down_conversion_writes_the_bytes_that_kafka_writes() {
    let batch = build(kafka_options(Compression::None));
    for magic in [0, 1] {
        let converted = down_convert(&batch, magic, 0, MAX).expect("converts");
        assert_eq!(converted, golden(magic, "none"), "magic {magic}");
    }
}

#[test]
fn offset_and_leader_epoch_change_without_touching_the_crc() {
    let mut batch = golden(2, "zstd");
    patch::set_base_offset(&mut batch, 5_000_000_000);
    patch::set_leader_epoch(&mut batch, 42);
    let view = BatchView::parse(&batch).expect("parses");
    assert!(view.verify_crc());
    assert_eq!((view.base_offset(), view.last_offset()), (5_000_000_000, 5_000_000_002));
    assert_eq!(view.partition_leader_epoch(), 42);
}

#[test]
fn log_append_time_gives_every_record_the_batchs_timestamp() {
    let mut batch = golden(2, "lz4");
    patch::set_max_timestamp_and_type(&mut batch, 1_800_000_000_000, TimestampType::LogAppendTime);
    let view = BatchView::parse(&batch).expect("parses");
    assert!(view.verify_crc());
    assert_eq!(view.timestamp_type(), TimestampType::LogAppendTime);
    for record in view.records(MAX).expect("opens") {
        assert_eq!(record.expect("valid").timestamp, 1_800_000_000_000);
    }
    // The same through the header by itself, as the log writes it.
    let mut header = *BatchView::parse(&batch).expect("parses").header();
    let records = batch[61..].to_vec();
    patch::set_header_timestamp(&mut header, 1_700_000_000_007, TimestampType::CreateTime);
    patch::seal(&mut header, &records);
    assert_eq!([&header[..], &records].concat(), golden(2, "lz4"));
}

#[test]
fn a_buffer_of_batches_is_walked_to_its_torn_end() {
    let whole = golden(2, "none");
    let mut buffer = [whole.clone(), golden(2, "gzip"), whole.clone()].concat();
    buffer.truncate(buffer.len() - 1);
    let found: Vec<_> = batches(&buffer).collect();
    assert_eq!(found.len(), 3);
    assert!(found[0].is_ok() && found[1].is_ok());
    assert!(matches!(
        found[2],
        Err(crate::record::RecordError::Truncated { needed, available })
            if needed == whole.len() && available == whole.len() - 1
    ));
}
