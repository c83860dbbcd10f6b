//! Whatever is appended is read back, through every codec.

use bytes::Bytes;
use proptest::prelude::*;

use super::MAX;
use crate::compression::Compression;
use crate::record::varint::{Cursor, put_varint, put_varlong, varint_len, varlong_len};
use crate::record::{BatchBuilder, BatchOptions, BatchView, Header, Record, RecordError, RecordsSummary, batches};

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn header() -> impl Strategy<Value = Header> {
    (bytes(), prop::option::of(bytes())).prop_map(|(key, value)| Header { key, value })
}

/// Records whose `offset` is the gap before them.
fn records() -> impl Strategy<Value = Vec<Record>> {
    let record = (
        any::<i64>(),
        0..1000i64,
        prop::option::of(bytes()),
        prop::option::of(bytes()),
        prop::collection::vec(header(), 0..4),
    )
        .prop_map(|(timestamp, offset, key, value, headers)| Record {
            attributes: 0,
            timestamp,
            offset,
            key,
            value,
            headers,
        });
    prop::collection::vec(record, 1..20)
}

fn codec() -> impl Strategy<Value = Compression> {
    prop::sample::select(Compression::ALL.to_vec())
}

proptest! {
    #[test]
    fn records_survive_building_and_reading(mut records in records(), codec in codec(), base_offset in 0..i64::MAX / 2) {
        let mut builder = BatchBuilder::new(BatchOptions {
            base_offset,
            compression: codec,
            ..BatchOptions::default()
        });
        let mut offset = base_offset;
        for record in &mut records {
            offset += record.offset;
            record.offset = offset;
            offset += 1;
            let (key, value) = (record.key.as_deref(), record.value.as_deref());
            builder.append_with_offset(record.offset, record.timestamp, key, value, &record.headers);
        }
        let batch = builder.build().expect("builds");
        let view = BatchView::parse(&batch).expect("parses");
        prop_assert!(view.verify_crc());
        prop_assert_eq!(view.size_in_bytes(), batch.len());
        prop_assert_eq!(view.last_offset(), records[records.len() - 1].offset);
        let read: Result<Vec<_>, _> = view.records_in(&batch, MAX).expect("opens").collect();
        prop_assert_eq!(read.as_ref(), Ok(&records));
        let summary = view.validate_records(MAX).expect("valid");
        prop_assert_eq!(summary.max_timestamp, records.iter().map(|r| r.timestamp).max().expect("some"));
        prop_assert_eq!(summary.has_null_key, records.iter().any(|r| r.key.is_none()));
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300), codec in 0..8u8) {
        // A valid header before the noise takes it past the first checks.
        let mut batch = super::sample(Compression::None, 1)[..61].to_vec();
        batch.extend_from_slice(&noise);
        let length = (batch.len() - 12) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[22] = codec;
        for buffer in [&noise, &batch] {
            for view in batches(buffer).flatten() {
                let _ = view.validate_records(MAX);
                let _ = view.records(MAX).map(|records| records.count());
            }
            let _ = crate::record::legacy::messages(buffer, MAX);
            let _ = crate::record::legacy::down_convert(buffer, 0, 0, MAX);
        }
    }

    #[test]
    fn varints_survive(narrow in any::<i32>(), wide in any::<i64>(), small in -200..200i32) {
        for value in [narrow, small] {
            let mut output = Vec::new();
            put_varint(&mut output, value);
            prop_assert_eq!(output.len(), varint_len(value));
            prop_assert_eq!(Cursor::new(&output).varint(), Ok(value));
        }
        let mut output = Vec::new();
        put_varlong(&mut output, wide);
        prop_assert_eq!(output.len(), varlong_len(wide));
        prop_assert_eq!(Cursor::new(&output).varlong(), Ok(wide));
    }
}

#[test]
fn an_empty_batch_keeps_its_producer_and_its_last_offset() {
    let options = BatchOptions {
        base_offset: 10,
        producer_id: 4,
        producer_epoch: 1,
        base_sequence: i32::MAX - 1,
        ..BatchOptions::default()
    };
    let batch = BatchBuilder::build_empty(&options, 14, 99).expect("builds");
    let view = BatchView::parse(&batch).expect("parses");
    assert!(view.verify_crc() && view.has_producer_id());
    assert_eq!((view.count(), view.next_offset(), view.max_timestamp()), (0, 15, 99));
    assert_eq!(view.last_sequence(), 2, "sequences wrap to 0");
    assert_eq!(view.validate_records(MAX), Ok(RecordsSummary::default()));
    assert!(view.records(MAX).expect("opens").next().is_none());
}

#[test]
fn a_delete_horizon_takes_the_place_of_the_base_timestamp() {
    let mut builder = BatchBuilder::new(BatchOptions { delete_horizon_ms: Some(1_000_000), ..BatchOptions::default() });
    builder.append(5, Some(b"k"), None, &[]).append(9, Some(b"l"), None, &[]).override_last_offset(7);
    let batch = builder.build().expect("builds");
    let view = BatchView::parse(&batch).expect("parses");
    assert_eq!(view.delete_horizon_ms(), Some(1_000_000));
    assert_eq!((view.last_offset(), view.max_timestamp()), (7, 9));
    let timestamps: Vec<_> = view.records(MAX).expect("opens").map(|r| r.expect("valid").timestamp).collect();
    assert_eq!(timestamps, [5, 9]);
}

#[test]
fn mistakes_of_the_caller_are_returned_by_build() {
    assert!(matches!(BatchBuilder::new(BatchOptions::default()).build(), Err(RecordError::CountMismatch { .. })));
    let mut backwards = BatchBuilder::new(BatchOptions::default());
    backwards.append_with_offset(5, 0, None, None, &[]).append_with_offset(5, 0, None, None, &[]);
    assert!(matches!(backwards.build(), Err(RecordError::InvalidRecord { index: 1, .. })));
    let mut far = BatchBuilder::new(BatchOptions::default());
    far.append_with_offset(i64::from(i32::MAX) + 1, 0, None, None, &[]);
    assert_eq!(far.build(), Err(RecordError::BatchTooLarge));
}
