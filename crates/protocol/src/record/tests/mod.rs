//! What batches promise: round trips, Kafka's own bytes, and refusal of everything that lies.

mod golden;
mod hostile;
mod legacy_formats;
mod round_trip;

use bytes::Bytes;

use super::{BatchBuilder, BatchOptions, Header};
use crate::compression::Compression;

/// Room for every batch of these tests.
const MAX: usize = 1 << 20;

/// A batch of `count` records at offsets 100, 101, ...
fn sample(codec: Compression, count: i32) -> Bytes {
    let mut builder =
        BatchBuilder::new(BatchOptions { base_offset: 100, compression: codec, ..BatchOptions::default() });
    for index in 0..count {
        let key = format!("key-{index}");
        let value = format!("value-{index}").repeat(8);
        builder.append(
            1_700_000_000_000 + i64::from(index),
            Some(key.as_bytes()),
            Some(value.as_bytes()),
            &[Header { key: Bytes::from_static(b"h"), value: None }],
        );
    }
    builder.build().expect("a sample batch builds")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex digits")).collect()
}
