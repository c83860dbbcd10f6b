//! Sampled values of every message in every version, the oldest ones included: what is written reads back
//! and is written the same again.

use milena_protocol::inspect::{MessageType, Samples};
use milena_protocol::{Reader, Writer, catalog};

const SAMPLES_PER_VERSION: u64 = 20;

fn all() -> Vec<MessageType> {
    [catalog::REQUESTS, catalog::RESPONSES, catalog::DATA].concat()
}

#[test]
fn samples_read_back_in_every_version() {
    for message in all() {
        for version in message.min_version..=message.max_version {
            for seed in 0..SAMPLES_PER_VERSION {
                let mut w = Writer::new();
                (message.encode_sample)(&mut Samples::new(seed), &mut w, version).expect("encodes");
                let bytes = w.finish().to_bytes().expect("no files involved");

                let mut r = Reader::new(bytes.clone());
                let mut again = Writer::new();
                let result = (message.recode)(&mut r, version, &mut again);
                let context = format!("{} v{version} seed {seed}: {bytes:02x?}", message.name);
                assert!(result.is_ok(), "{result:?}: {context}");
                assert!(r.is_empty(), "bytes left: {context}");
                assert_eq!(again.finish().to_bytes().expect("no files"), bytes, "{context}");
            }
        }
    }
}

#[test]
fn defaults_read_back_in_every_version() {
    for message in all() {
        for version in message.min_version..=message.max_version {
            let mut w = Writer::new();
            (message.encode_default)(&mut w, version).expect("encodes");
            let bytes = w.finish().to_bytes().expect("no files involved");
            let mut r = Reader::new(bytes);
            assert!((message.to_json)(&mut r, version).is_ok() && r.is_empty(), "{} v{version}", message.name);
        }
    }
}

#[test]
fn versions_outside_the_range_are_refused() {
    for message in all() {
        for version in [message.min_version - 1, message.max_version + 1, i16::MIN, i16::MAX] {
            let mut w = Writer::new();
            assert!((message.encode_default)(&mut w, version).is_err(), "{} v{version}", message.name);
            assert!(w.is_empty());
            let mut r = Reader::new(vec![0; 256].into());
            assert!((message.to_json)(&mut r, version).is_err(), "{} v{version}", message.name);
        }
    }
}
