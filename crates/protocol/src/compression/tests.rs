//! Every codec: round trips, foreign framings, bombs and damage.

use std::io::Write;

use proptest::prelude::*;

use super::*;

const MAX: usize = 1 << 20;

proptest! {
    #[test]
    fn what_is_compressed_is_read_back(data in prop::collection::vec(any::<u8>(), 0..3000), repeat in 1..80usize) {
        let data = data.repeat(repeat);
        for codec in Compression::ALL {
            let packed = compress(codec, None, &data).expect("compresses");
            prop_assert_eq!(&decompress(codec, &packed, data.len()).expect("reads back"), &data);
            let same = with_decompressed(codec, &packed, data.len(), |plain| plain == data);
            prop_assert_eq!(same, Ok(true), "what was there before must not show through");
            if !data.is_empty() {
                prop_assert_eq!(
                    decompress(codec, &packed, data.len() - 1),
                    Err(CompressionError::TooLarge { limit: data.len() - 1 })
                );
            }
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let prefixes: [&[u8]; 5] = [
            b"",
            &[0x1f, 0x8b, 8, 0],
            b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01",
            &[0x04, 0x22, 0x4d, 0x18, 0x60],
            &[0x28, 0xb5, 0x2f, 0xfd],
        ];
        for prefix in prefixes {
            let data = [prefix, &noise].concat();
            for codec in Compression::ALL {
                let plain = decompress(codec, &data, 4096);
                prop_assert_eq!(with_decompressed(codec, &data, 4096, <[u8]>::to_vec).ok(), plain.ok());
            }
            let _ = decompress_for_magic_0(&data, 4096);
        }
    }
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = vec![0; 64 << 20];
    for codec in Compression::ALL {
        let bomb = compress(codec, None, &zeros).expect("compresses");
        assert_eq!(decompress(codec, &bomb, MAX), Err(CompressionError::TooLarge { limit: MAX }), "{codec}");
        let looked = with_decompressed(codec, &bomb, MAX, <[u8]>::len);
        assert_eq!(looked, Err(CompressionError::TooLarge { limit: MAX }), "{codec}");
    }
}

#[test]
fn a_zstd_bomb_that_hides_its_size_stops_too() {
    // A streaming encoder does not know the size when it writes the header, as the Java client's.
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    for _ in 0..64 {
        encoder.write_all(&[0; 1 << 20]).expect("writes");
    }
    let bomb = encoder.finish().expect("finishes");
    assert_eq!(decompress(Compression::Zstd, &bomb, MAX), Err(CompressionError::TooLarge { limit: MAX }));
    assert_eq!(decompress(Compression::Zstd, &bomb, 64 << 20).map(|data| data.len()), Ok(64 << 20));
}

#[test]
fn truncated_data_is_never_taken_for_the_whole() {
    let data: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let packed = compress(codec, None, &data).expect("compresses");
        for end in [1, packed.len() / 3, packed.len() / 2, packed.len() - 1] {
            let read = decompress(codec, &packed[..end], MAX);
            // The lz4 frame's end mark alone may be missing: all data are there.
            let harmless = codec == Compression::Lz4 && end == packed.len() - 1;
            assert!(harmless || read.as_ref() != Ok(&data), "{codec} cut at {end}");
        }
    }
}

#[test]
fn gzip_of_several_members_is_read() {
    let one = compress(Compression::Gzip, Some(9), b"one ").expect("compresses");
    let two = compress(Compression::Gzip, Some(1), b"two").expect("compresses");
    let both = [one, two].concat();
    assert_eq!(decompress(Compression::Gzip, &both, MAX).as_deref(), Ok(&b"one two"[..]));
}

#[test]
fn snappy_is_read_raw_and_in_xerial_frames() {
    let text = b"snappy snappy snappy snappy";
    let raw = snap::raw::Encoder::new().compress_vec(text).expect("compresses");
    assert_eq!(decompress(Compression::Snappy, &raw, MAX).as_deref(), Ok(&text[..]));

    let framed = compress(Compression::Snappy, None, text).expect("compresses");
    assert_eq!(&framed[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let twice = [&framed[..], &framed].concat();
    assert_eq!(decompress(Compression::Snappy, &twice, MAX), Ok(text.repeat(2)));
    assert_eq!(decompress(Compression::Snappy, &framed[..16], MAX), Ok(vec![]));

    let large = vec![7u8; 200_000];
    let framed = compress(Compression::Snappy, None, &large).expect("compresses");
    assert_eq!(decompress(Compression::Snappy, &framed, MAX), Ok(large), "more than one block");
}

#[test]
fn a_snappy_block_cannot_claim_more_than_the_format_can_hold() {
    // The claim: 512 MiB in 6 bytes.
    let lie = [0x80, 0x80, 0x80, 0x80, 0x02, 0x00];
    assert!(matches!(
        decompress(Compression::Snappy, &lie, 1 << 30),
        Err(CompressionError::Corrupt { codec: Compression::Snappy, .. })
    ));
}

#[test]
fn lz4_frames_of_every_shape_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let data: Vec<u8> = (0..60_000u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
    for mode in [BlockMode::Independent, BlockMode::Linked] {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB, BlockSize::Max4MB] {
            for (checksums, content_size) in [(false, None), (true, None), (false, Some(data.len() as u64))] {
                let info = FrameInfo::new().block_mode(mode).block_size(size).block_checksums(checksums);
                let info = info.content_checksum(checksums).content_size(content_size);
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&data).expect("writes");
                let frame = encoder.finish().expect("finishes");
                assert_eq!(
                    decompress(Compression::Lz4, &frame, MAX).as_ref(),
                    Ok(&data),
                    "{mode:?} {size:?} {checksums}"
                );
                let mut damaged = frame.clone();
                damaged[6] ^= 1;
                let read = decompress(Compression::Lz4, &damaged, MAX);
                assert!(content_size.is_some() || read.is_err(), "the header's checksum is wrong");
            }
        }
    }
}

#[test]
fn lz4_of_magic_0_carries_the_historic_header_checksum() {
    let right = compress(Compression::Lz4, None, b"old client").expect("compresses");
    let wrong = compress_for_magic_0(b"old client").expect("compresses");
    let differing: Vec<_> = (0..right.len()).filter(|&at| right[at] != wrong[at]).collect();
    assert_eq!(differing, [6], "only the header checksum differs");
    assert!(decompress(Compression::Lz4, &wrong, MAX).is_err());
    for frame in [right, wrong] {
        assert_eq!(decompress_for_magic_0(&frame, MAX).as_deref(), Ok(&b"old client"[..]));
    }
}

#[test]
fn levels_out_of_range_are_errors_or_clamped_and_never_panic() {
    assert!(compress(Compression::Gzip, Some(10), b"x").is_err());
    assert!(compress(Compression::Gzip, Some(-2), b"x").is_err());
    for level in [i32::MIN, -131_072, -1, 0, 1, 22, i32::MAX] {
        if let Ok(packed) = compress(Compression::Zstd, Some(level), b"x") {
            assert_eq!(decompress(Compression::Zstd, &packed, 1).as_deref(), Ok(&b"x"[..]));
        }
    }
    let fine = compress(Compression::Zstd, None, b"still works").expect("the context recovered");
    assert_eq!(decompress(Compression::Zstd, &fine, 11).as_deref(), Ok(&b"still works"[..]));
}

#[test]
fn ids_and_names_are_kafkas() {
    for (id, name) in ["none", "gzip", "snappy", "lz4", "zstd"].into_iter().enumerate() {
        let codec = Compression::from_id(id as u8).expect("assigned");
        assert_eq!((codec.name(), codec.id()), (name, id as u8));
        assert_eq!(name.parse(), Ok(codec));
    }
    assert!(Compression::from_id(5).is_err());
    assert!("lzma".parse::<Compression>().is_err());
}
