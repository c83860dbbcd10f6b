//! Primitives: what is written reads back, and hostile lengths fail before anything is allocated.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Reader, Writer};
use crate::{Chunk, DecodeError, Records};

fn written(write: impl FnOnce(&mut Writer)) -> Bytes {
    let mut w = Writer::new();
    write(&mut w);
    w.finish().to_bytes().expect("no files involved")
}

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

proptest! {
    #[test]
    fn variable_length_integers_read_back(a: u32, b: i32, c: i64) {
        let mut r = Reader::new(written(|w| { w.uvarint(a); w.varint(b); w.varlong(c); }));
        prop_assert_eq!(r.uvarint(), Ok(a));
        prop_assert_eq!(r.varint(), Ok(b));
        prop_assert_eq!(r.varlong(), Ok(c));
        prop_assert!(r.is_empty());
    }

    #[test]
    fn strings_read_back_in_both_encodings(text: Option<String>, flexible: bool) {
        let bytes = written(|w| w.nullable_string(text.as_deref(), flexible).expect("short"));
        prop_assert_eq!(Reader::new(bytes).nullable_string(flexible), Ok(text));
    }
}

#[test]
fn varints_longer_than_their_type_are_refused() {
    assert_eq!(reader(&[0xff; 6]).uvarint(), Err(DecodeError::VarintTooLong));
    assert_eq!(reader(&[0xff, 0xff, 0xff, 0xff, 0x10]).uvarint(), Err(DecodeError::VarintTooLong));
    assert_eq!(reader(&[0xff; 11]).varlong(), Err(DecodeError::VarintTooLong));
    assert_eq!(reader(&[0xff]).uvarint(), Err(DecodeError::Truncated { needed: 1, remaining: 0 }));
}

#[test]
fn lengths_beyond_the_frame_are_refused() {
    let long_string = reader(&[0x7f, 0xff, b'a']).string(false);
    assert_eq!(long_string, Err(DecodeError::Truncated { needed: 0x7fff, remaining: 1 }));
    let long_bytes = reader(&[0x7f, 0xff, 0xff, 0xff, 0]).bytes(false);
    assert_eq!(long_bytes, Err(DecodeError::Truncated { needed: 0x7fff_ffff, remaining: 1 }));
    let long_array = reader(&[0x7f, 0xff, 0xff, 0xff, 0]).array(false, Reader::i8);
    assert_eq!(long_array, Err(DecodeError::ArrayTooLong { count: 0x7fff_ffff, remaining: 1 }));
}

#[test]
fn negative_lengths_other_than_null_are_refused() {
    assert_eq!(reader(&[0xff, 0xfe]).nullable_string(false), Err(DecodeError::NegativeLength(-2)));
    assert_eq!(reader(&[0xff; 4]).nullable_bytes(false), Ok(None));
    let array = reader(&[0x80, 0, 0, 0]).nullable_array(false, Reader::i8);
    assert_eq!(array, Err(DecodeError::NegativeLength(i64::from(i32::MIN))));
}

#[test]
fn null_where_none_may_be_is_refused() {
    assert_eq!(reader(&[0xff, 0xff]).string(false), Err(DecodeError::UnexpectedNull));
    assert_eq!(reader(&[0]).string(true), Err(DecodeError::UnexpectedNull));
    assert_eq!(reader(&[0]).array(true, Reader::i8), Err(DecodeError::UnexpectedNull));
    assert_eq!(reader(&[0]).bytes(true), Err(DecodeError::UnexpectedNull));
}

#[test]
fn strings_must_be_utf8() {
    assert_eq!(reader(&[0, 2, 0xc3, 0x28]).string(false), Err(DecodeError::InvalidUtf8));
}

#[test]
fn a_struct_marker_is_minus_one_or_one_and_zero_in_tagged_fields() {
    assert_eq!(reader(&[0]).nullable_struct(Reader::i8), Ok(None));
    assert_eq!(reader(&[0xff]).nullable_struct(Reader::i8), Ok(None));
    assert_eq!(reader(&[1, 7]).nullable_struct(Reader::i8), Ok(Some(7)));
    assert_eq!(reader(&[2, 7]).nullable_struct(Reader::i8), Err(DecodeError::InvalidStructMarker(2)));
}

#[test]
fn unknown_tagged_fields_are_skipped_and_known_ones_must_fill_their_size() {
    // Tag 9 of 3 bytes, tag 0 of 2 bytes.
    let section = [2, 9, 3, 1, 2, 3, 0, 2, 0, 5, 77];
    let mut value = 0;
    let mut r = reader(&section);
    let fields = r.tagged_fields(|tag, r| match tag {
        0 => r.i16().map(|read| value = read).map(|()| true),
        _ => Ok(false),
    });
    assert_eq!((fields, value, r.remaining()), (Ok(()), 5, 1));

    let short = reader(&section).tagged_fields(|tag, r| Ok(tag == 0 && r.i8().is_ok()));
    assert_eq!(short, Err(DecodeError::TaggedFieldSize { tag: 0, remaining: 1 }));

    let beyond = reader(&section).tagged_fields(|tag, r| Ok(tag == 0 && r.i64().map(|_| true)?));
    assert_eq!(beyond, Err(DecodeError::Truncated { needed: 8, remaining: 2 }));
}

#[test]
fn large_byte_strings_are_chunks_of_their_own_and_share_their_memory() {
    let big = Bytes::from(vec![7; 100_000]);
    let mut w = Writer::new();
    w.i32(1);
    w.records(&Records::Memory(big.clone()), true).expect("fits");
    w.bytes(&Bytes::from_static(b"small"), true).expect("fits");
    let expected_len = 4 + 3 + 100_000 + 1 + 5;
    assert_eq!(w.len(), expected_len);
    let chunks = w.finish();
    assert_eq!((chunks.chunks.len(), chunks.len), (3, expected_len));
    let Chunk::Bytes(middle) = &chunks.chunks[1] else { panic!("not in memory") };
    assert_eq!(middle.as_ptr(), big.as_ptr());
}

#[test]
fn decoded_byte_strings_share_the_frame() {
    let frame = Bytes::from_static(&[0, 0, 0, 3, 1, 2, 3]);
    let bytes = Reader::new(frame.clone()).bytes(false).expect("valid");
    assert_eq!(bytes.as_ptr(), frame[4..].as_ptr());
}

#[test]
fn a_string_too_long_for_its_length_field_is_an_error() {
    let text = "x".repeat(40_000);
    assert!(Writer::new().string(&text, false).is_err());
    assert!(Writer::new().string(&text, true).is_ok());
}
