//! Sampled requests and responses, read and written again by the independent `kafka-protocol` crate,
//! come back byte for byte: by its newest release, and by the last one that knows the versions Kafka 4.0
//! dropped.

use std::collections::BTreeSet;

use bytes::Bytes;
use milena_protocol::inspect::{MessageType, Samples};
use milena_protocol::{ApiKey, Writer, catalog};

const SAMPLES_PER_VERSION: u64 = 10;

/// What another implementation makes of a message: the bytes it writes and how many it left unread.
type Recoded = anyhow::Result<(Bytes, usize)>;

macro_rules! recode {
    ($krate:ident, $kind:ident) => {
        |key: ApiKey, bytes: &Bytes, version: i16| -> Option<Recoded> {
            use bytes::BytesMut;
            use $krate::messages::{ApiKey as TheirKey, $kind};
            let key = TheirKey::try_from(key.code()).ok()?;
            let mut input = bytes.clone();
            let message = match $kind::decode(key, &mut input, version) {
                Ok(message) => message,
                Err(error) if is_unsupported(&error) => return None,
                Err(error) => return Some(Err(error)),
            };
            let mut out = BytesMut::new();
            let encoded = message.encode(&mut out, version);
            Some(encoded.map(|()| (out.freeze(), input.len())))
        }
    };
}

fn is_unsupported(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    text.contains("not supported") || text.contains("unsupported")
}

/// Compares every sample and returns how many messages in how many versions were compared.
fn compare(
    messages: &[MessageType],
    theirs: impl Fn(ApiKey, &Bytes, i16) -> Option<Recoded>,
) -> BTreeSet<(&'static str, i16)> {
    let mut compared = BTreeSet::new();
    let mut differences = Vec::new();
    for message in messages {
        let key = message.key.expect("requests and responses have a key");
        for version in message.min_version..=message.max_version {
            for seed in 0..SAMPLES_PER_VERSION {
                let mut w = Writer::new();
                let values = (message.encode_sample)(&mut Samples::new(seed), &mut w, version);
                let bytes = w.finish().to_bytes().expect("no files involved");
                let Some(recoded) = theirs(key, &bytes, version) else {
                    break;
                };
                compared.insert((message.name, version));
                let difference = match recoded {
                    Err(error) => format!("{error:#}"),
                    Ok((_, left)) if left > 0 => format!("{left} bytes left"),
                    Ok((theirs, _)) if theirs != bytes => {
                        format!("\n ours   {bytes:02x?}\n theirs {theirs:02x?}")
                    }
                    Ok(_) => continue,
                };
                differences.push(format!("{} v{version}: {difference}\n {values:?}", message.name));
                break;
            }
        }
    }
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
    compared
}

#[test]
fn requests_are_the_same_to_another_implementation() {
    let compared = compare(catalog::REQUESTS, recode!(kafka_protocol, RequestKind));
    assert!(compared.len() > 250, "{}", compared.len());
}

#[test]
fn responses_are_the_same_to_another_implementation() {
    let compared = compare(catalog::RESPONSES, recode!(kafka_protocol, ResponseKind));
    assert!(compared.len() > 250, "{}", compared.len());
}

#[test]
fn requests_in_versions_of_old_are_the_same_to_another_implementation() {
    let compared = compare(catalog::REQUESTS, recode!(kafka_protocol_3, RequestKind));
    assert!(compared.contains(&("ProduceRequest", 0)), "{compared:?}");
    assert!(compared.contains(&("ListOffsetsRequest", 0)), "{compared:?}");
    assert!(compared.contains(&("OffsetCommitRequest", 1)), "{compared:?}");
}

#[test]
fn responses_in_versions_of_old_are_the_same_to_another_implementation() {
    let compared = compare(catalog::RESPONSES, recode!(kafka_protocol_3, ResponseKind));
    assert!(compared.contains(&("FetchResponse", 0)), "{compared:?}");
    assert!(compared.contains(&("DescribeConfigsResponse", 0)), "{compared:?}");
}
