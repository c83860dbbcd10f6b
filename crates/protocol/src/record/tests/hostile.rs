//! Batches that lie, are cut off, or blow up.

use super::{MAX, sample};
use crate::compression::{Compression, CompressionError};
use crate::record::{
    BatchBuilder, BatchHeader, BatchOptions, BatchView, RECORD_BATCH_OVERHEAD, RecordError, field, patch,
};

/// An uncompressed batch with this payload and count, its CRC right.
fn with_payload(count: i32, payload: &[u8]) -> Vec<u8> {
    let mut batch = sample(Compression::None, 1)[..RECORD_BATCH_OVERHEAD].to_vec();
    batch.extend_from_slice(payload);
    let length = (batch.len() - 12) as i32;
    batch[field::BATCH_LENGTH..field::BATCH_LENGTH + 4].copy_from_slice(&length.to_be_bytes());
    set_count(&mut batch, count);
    batch
}

fn set_count(batch: &mut [u8], count: i32) {
    batch[field::COUNT..field::COUNT + 4].copy_from_slice(&count.to_be_bytes());
    patch::set_crc(batch);
}

fn validate(batch: &[u8]) -> Result<(), RecordError> {
    let view = BatchView::parse(batch)?;
    let walked = view.validate_records(MAX);
    let iterated = view.records(MAX).and_then(|mut records| records.try_for_each(|record| record.map(drop)));
    assert_eq!(walked.clone().err(), iterated.err(), "both walks agree");
    walked.map(drop)
}

#[test]
fn a_count_that_lies_is_refused() {
    for codec in Compression::ALL {
        for (claimed, found) in [(4, 5), (6, 5), (0, 0), (i32::MAX, 5), (-1, 0), (i32::MIN, 0)] {
            let mut batch = sample(codec, 5).to_vec();
            set_count(&mut batch, claimed);
            let found = if claimed == 4 { 4 } else { found };
            assert_eq!(validate(&batch), Err(RecordError::CountMismatch { claimed, found }), "{codec}");
        }
    }
}

#[test]
fn lengths_that_contradict_the_bytes_are_refused() {
    let cases: [(&[u8], &str); 11] = [
        (&[0x80; 6], "a length varint without end"),
        (&[0xff, 0xff, 0xff, 0xff, 0x1f], "a varint beyond 32 bits"),
        (&[0xff, 0xff, 0xff, 0xff, 0x0f], "the smallest number as a length"),
        (&[0x01], "length -1"),
        (&[0x20, 0, 0, 0], "a record longer than the payload"),
        (&[0x00], "an empty record"),
        (&[0x0c, 0, 0, 0, 0xc8, 0x01, 0x01], "a key longer than its record"),
        (&[0x0c, 0, 0, 0, 0x01, 0x01, 0xfe], "a header count without end"),
        (&[0x0c, 0, 0, 0, 0x01, 0x01, 0x01], "header count -1"),
        (&[0x0e, 0, 0, 0, 0x01, 0x01, 0x00, 0x00], "a byte after the last field"),
        (&[0x10, 0, 0, 0, 0x01, 0x01, 0x02, 0x01, 0x01], "a header key of length -1"),
    ];
    for (payload, what) in cases {
        assert!(
            matches!(validate(&with_payload(1, payload)), Err(RecordError::InvalidRecord { index: 0, .. })),
            "{what}"
        );
    }
    // The smallest record, for comparison.
    assert_eq!(validate(&with_payload(1, &[0x0c, 0, 0, 0, 0x01, 0x01, 0x00])), Ok(()));
}

#[test]
fn timestamps_beyond_64_bits_are_refused() {
    let mut payload = vec![0x1e, 0];
    payload.extend_from_slice(&[0xff; 9]);
    payload.push(0x01);
    payload.extend_from_slice(&[0, 0x01, 0x01, 0x00]);
    assert_eq!(validate(&with_payload(1, &payload)), Ok(()), "64 bits are fine");
    payload[11] = 0x03;
    assert!(validate(&with_payload(1, &payload)).is_err());
}

#[test]
fn a_batch_cut_anywhere_is_truncated_or_nothing() {
    let batch = sample(Compression::None, 2);
    for end in 0..batch.len() {
        let error = BatchView::parse(&batch[..end]).expect_err("incomplete");
        assert!(matches!(error, RecordError::Truncated { available, .. } if available == end));
    }
}

#[test]
fn header_lengths_are_checked_before_use() {
    for length in [i32::MIN, -1, 0, 48] {
        let mut batch = sample(Compression::None, 1).to_vec();
        batch[field::BATCH_LENGTH..field::BATCH_LENGTH + 4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(BatchView::parse(&batch).err(), Some(RecordError::InvalidLength { length }));
        let header = batch.first_chunk().expect("a header");
        assert_eq!(BatchHeader::parse(header), Err(RecordError::InvalidLength { length }));
    }
    let mut batch = sample(Compression::None, 1).to_vec();
    batch[field::BATCH_LENGTH..field::BATCH_LENGTH + 4].copy_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(BatchView::parse(&batch), Err(RecordError::Truncated { .. })));
}

#[test]
fn other_formats_are_named() {
    for magic in [-1i8, 0, 1, 3, 127] {
        let mut batch = sample(Compression::None, 1).to_vec();
        batch[field::MAGIC] = magic.cast_unsigned();
        assert_eq!(BatchView::parse(&batch).err(), Some(RecordError::UnsupportedMagic { magic }));
        assert_eq!(
            BatchView::parse(&batch[..17]).err(),
            Some(RecordError::UnsupportedMagic { magic }),
            "even when the rest is missing"
        );
    }
}

#[test]
fn any_flipped_bit_after_the_crc_is_noticed() {
    let good = sample(Compression::None, 1);
    for at in field::CRC..good.len() {
        for bit in 0..8 {
            let mut batch = good.to_vec();
            batch[at] ^= 1 << bit;
            let view = BatchView::parse(&batch).expect("the length is intact");
            assert!(!view.verify_crc());
            assert!(matches!(view.check_crc(), Err(RecordError::ChecksumMismatch { .. })));
        }
    }
}

#[test]
fn a_decompression_bomb_is_an_error() {
    let mut builder = BatchBuilder::new(BatchOptions { compression: Compression::Zstd, ..BatchOptions::default() });
    builder.append(0, None, Some(&vec![0; 8 << 20]), &[]);
    let batch = builder.build().expect("builds");
    assert!(batch.len() < 10_000);
    let view = BatchView::parse(&batch).expect("parses");
    let too_large = RecordError::Compression(CompressionError::TooLarge { limit: MAX });
    assert_eq!(view.validate_records(MAX), Err(too_large.clone()));
    assert_eq!(view.records(MAX).err(), Some(too_large));
    assert!(view.validate_records(9 << 20).is_ok());
}

#[test]
fn unknown_codecs_are_named() {
    for id in 5..8u8 {
        let mut batch = sample(Compression::None, 1).to_vec();
        batch[field::ATTRIBUTES + 1] = id;
        patch::set_crc(&mut batch);
        assert_eq!(validate(&batch), Err(RecordError::Compression(CompressionError::UnknownCodec { id })));
    }
}
