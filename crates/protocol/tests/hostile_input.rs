//! Whatever bytes arrive: decoding ends with a value or an error, without a panic and without taking more
//! memory than a small multiple of what was sent.

use std::hint::black_box;

use bytes::Bytes;
use milena_protocol::inspect::{MessageType, Samples};
use milena_protocol::{Reader, RequestHeader, Writer, catalog};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most bytes any decode of `input` may have allocated at a time: an element takes at least one byte on the
/// wire and at most a few hundred in memory, and each level of nesting may set aside 64 KiB.
fn allowance(input: &[u8]) -> usize {
    512 * input.len() + 8 * 64 * 1024
}

fn decode(message: &MessageType, version: i16, input: &[u8]) {
    let mut r = Reader::new(Bytes::copy_from_slice(input));
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    // `recode` keeps the message itself in memory; its JSON form would take more.
    let _ = black_box((message.recode)(&mut r, version, &mut Writer::new()));
    let taken = ALLOCATOR.peak_usage().saturating_sub(before);
    let name = message.name;
    assert!(taken <= allowance(input), "{name} v{version}: {taken} bytes for {}", input.len());
}

/// Random bytes, bytes that look like huge counts and lengths, and valid messages with damage.
fn inputs(message: &MessageType, version: i16, s: &mut Samples) -> Vec<Vec<u8>> {
    let length = s.below(200);
    let mut inputs = vec![
        (0..length).map(|_| s.bits() as u8).collect(),
        // Small numbers make most lengths valid and so reach further.
        (0..length).map(|_| s.below(4) as u8).collect(),
        vec![0; 300],
        vec![1; 300],
        vec![0x7f; 300],
        vec![0xff; 300],
        [[0, 0, 0, 2].repeat(50), vec![0x7f, 0xff, 0xff, 0xff]].concat(),
        [vec![2; 9], vec![0xff, 0xff, 0xff, 0xff, 0x07]].concat(),
    ];
    // Thousands of nearly empty elements, should an array count stand at that place.
    let before = vec![0; s.below(16)];
    inputs.push([before.clone(), vec![0, 0, 0x20, 0], vec![0; 20_000]].concat());
    inputs.push([before, vec![0xff, 0x3f], vec![1; 20_000]].concat());
    let mut w = Writer::new();
    (message.encode_sample)(s, &mut w, version).expect("encodes");
    let valid = w.finish().to_bytes().expect("no files involved").to_vec();
    inputs.push(valid[..s.below(valid.len() + 1)].to_vec());
    for _ in 0..8 {
        let mut damaged = valid.clone();
        if !damaged.is_empty() {
            let at = s.below(damaged.len());
            damaged[at] = if s.draw() { s.bits() as u8 } else { [0, 1, 0x7f, 0x80, 0xff][s.below(5)] };
        }
        inputs.push(damaged);
    }
    inputs
}

// One test: the allocator counts for the whole process.
#[test]
fn any_bytes_decode_or_fail_within_bounded_memory() {
    let mut s = Samples::new(7);
    for message in [catalog::REQUESTS, catalog::RESPONSES, catalog::DATA].concat() {
        for version in message.min_version..=message.max_version {
            for _ in 0..3 {
                for input in inputs(&message, version, &mut s) {
                    decode(&message, version, &input);
                }
            }
        }
    }
    for _ in 0..10_000 {
        let input: Bytes = (0..s.below(40)).map(|_| s.bits() as u8).collect();
        let _ = black_box(RequestHeader::decode(&mut Reader::new(input)));
    }
}
