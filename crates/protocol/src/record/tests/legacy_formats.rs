//! Message formats 0 and 1, both ways.

use bytes::Bytes;

use super::{MAX, sample};
use crate::compression::{Compression, CompressionError};
use crate::record::control::{ControlType, EndTxnMarker, end_txn_marker_batch};
use crate::record::legacy::{down_convert, messages, up_convert};
use crate::record::{BatchBuilder, BatchOptions, BatchView, Record, RecordError, TimestampType};

const OLD_CODECS: [Compression; 4] = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];

fn records(batch: &Bytes) -> Vec<Record> {
    let view = BatchView::parse(batch).expect("parses");
    assert!(view.verify_crc());
    view.records(MAX).expect("opens").map(|record| record.expect("valid")).collect()
}

#[test]
fn down_and_up_again_keeps_keys_values_and_codec() {
    for codec in OLD_CODECS {
        for magic in [0, 1] {
            let original = sample(codec, 5);
            let set = down_convert(&original, magic, 0, MAX).expect("converts");
            let back = up_convert(&set, MAX).expect("converts back");
            let view = BatchView::parse(&back).expect("parses");
            assert_eq!(view.compression(), Ok(codec));
            assert_eq!((view.base_offset(), view.count(), view.producer_id()), (0, 5, -1));
            for (was, is) in records(&original).into_iter().zip(records(&back)) {
                let timestamp = if magic == 0 { -1 } else { was.timestamp };
                assert_eq!((is.timestamp, is.offset), (timestamp, was.offset - 100));
                assert_eq!((is.key, is.value, is.headers), (was.key, was.value, vec![]));
            }
        }
    }
}

#[test]
fn down_conversion_starts_at_the_asked_offset_and_keeps_gaps() {
    let mut builder = BatchBuilder::new(BatchOptions {
        base_offset: 1000,
        compression: Compression::Gzip,
        ..BatchOptions::default()
    });
    for offset in [1000, 1003, 1007, 1020] {
        builder.append_with_offset(offset, 5, None, Some(b"v"), &[]);
    }
    let batch = builder.build().expect("builds");
    for magic in [0, 1] {
        let set = down_convert(&batch, magic, 1003, MAX).expect("converts");
        let offsets: Vec<_> = messages(&set, MAX).expect("valid").iter().map(|m| m.offset).collect();
        assert_eq!(offsets, [1003, 1007, 1020], "magic {magic}");
    }
}

#[test]
fn control_batches_and_torn_batches_are_left_out_of_down_conversion() {
    let marker = EndTxnMarker { control_type: ControlType::Abort, coordinator_epoch: 0 };
    let control = end_txn_marker_batch(marker, 0, 0, 1, 0).expect("builds");
    assert!(down_convert(&control, 1, 0, MAX).expect("converts").is_empty());
    let data = sample(Compression::None, 2);
    let torn = [&control[..], &data, &data[..data.len() - 1]].concat();
    let set = down_convert(&torn, 1, 0, MAX).expect("converts");
    assert_eq!(messages(&set, MAX).expect("valid").len(), 2);
}

#[test]
fn log_append_time_survives_in_format_1() {
    for codec in OLD_CODECS {
        let mut batch = sample(codec, 3).to_vec();
        crate::record::patch::set_max_timestamp_and_type(&mut batch, 77, TimestampType::LogAppendTime);
        let set = down_convert(&batch, 1, 0, MAX).expect("converts");
        for message in messages(&set, MAX).expect("valid") {
            assert_eq!((message.timestamp, message.timestamp_type), (77, TimestampType::LogAppendTime));
        }
    }
}

#[test]
fn zstd_does_not_exist_in_the_old_formats() {
    assert!(matches!(
        down_convert(&sample(Compression::Zstd, 1), 1, 0, MAX),
        Err(RecordError::UnsupportedCodec { codec: Compression::Zstd, magic: 1 })
    ));
    let mut wrapper = down_convert(&sample(Compression::Gzip, 1), 1, 0, MAX).expect("converts").to_vec();
    wrapper[17] = 4;
    seal_first_message(&mut wrapper);
    assert_eq!(messages(&wrapper, MAX), Err(RecordError::Compression(CompressionError::UnknownCodec { id: 4 })));
}

#[test]
fn damaged_messages_are_refused_and_a_torn_one_is_ignored() {
    let set = down_convert(&sample(Compression::None, 2), 1, 0, MAX).expect("converts");
    for end in 0..set.len() {
        let whole = messages(&set[..end], MAX).expect("a torn end is legal").len();
        assert_eq!(whole, usize::from(end >= set.len() / 2));
    }
    assert!(matches!(up_convert(&set[..20], MAX), Err(RecordError::InvalidLegacyMessage { .. })));
    let mut flipped = set.to_vec();
    flipped[30] ^= 1;
    assert!(matches!(messages(&flipped, MAX), Err(RecordError::ChecksumMismatch { .. })));
    for size in [-1i32, 0, 13] {
        let mut lying = set.to_vec();
        lying[8..12].copy_from_slice(&size.to_be_bytes());
        assert_eq!(messages(&lying, MAX), Err(RecordError::InvalidLength { length: size }));
    }
    let mut lying = set.to_vec();
    lying[26..30].copy_from_slice(&1_000_000i32.to_be_bytes());
    seal_first_message(&mut lying);
    assert!(matches!(messages(&lying, MAX), Err(RecordError::InvalidLegacyMessage { .. })));
    assert_eq!(messages(&sample(Compression::None, 1), MAX), Err(RecordError::UnsupportedMagic { magic: 2 }));
}

#[test]
fn the_decompression_limit_holds_for_all_wrappers_together() {
    let mut builder = BatchBuilder::new(BatchOptions { compression: Compression::Gzip, ..BatchOptions::default() });
    builder.append(0, None, Some(&[0; 10_000]), &[]);
    let wrapper = down_convert(&builder.build().expect("builds"), 1, 0, MAX).expect("converts");
    let both = [&wrapper[..], &wrapper].concat();
    assert!(messages(&wrapper, 15_000).is_ok());
    assert!(matches!(messages(&both, 15_000), Err(RecordError::Compression(CompressionError::TooLarge { .. }))));
}

/// Writes the right checksum into the first message of a set.
fn seal_first_message(set: &mut [u8]) {
    let size = i32::from_be_bytes([set[8], set[9], set[10], set[11]]) as usize;
    let crc = crc32fast::hash(&set[16..12 + size]);
    set[12..16].copy_from_slice(&crc.to_be_bytes());
}
