//! The bytes Kafka's own codec writes: we read the same values out of them and write the same bytes.
//!
//! `data/codec_vectors.jsonl.gz` holds one message a line: name, version, bytes in hex, values as JSON.

use std::io::Read as _;

use bytes::Bytes;
use milena_protocol::inspect::MessageType;
use milena_protocol::{Reader, Writer, catalog};
use serde_json::Value;

/// Fields that Kafka 4.4 renamed after the vectors were made: message, old name, new name.
const RENAMED: [(&str, &str, &str); 2] = [
    ("StreamsGroupHeartbeatResponse", "acceptableRecoveryLag", "acceptableRecoveryLagLegacy"),
    ("TxnOffsetCommitRequest", "generationId", "generationIdOrMemberEpoch"),
];

struct Vector {
    message: String,
    version: i16,
    flexible: bool,
    bytes: Bytes,
    values: Value,
}

impl Vector {
    fn parse(line: &str) -> Vector {
        let mut json: Value = serde_json::from_str(line).expect("a JSON object");
        let message = json["msg"].as_str().expect("name").to_owned();
        for (_, old, new) in RENAMED.iter().filter(|(renamed, ..)| *renamed == message) {
            let fields = json["json"].as_object_mut().expect("fields");
            if let Some(value) = fields.remove(*old) {
                fields.insert((*new).to_owned(), value);
            }
        }
        Vector {
            message,
            version: json["version"].as_i64().expect("version") as i16,
            flexible: json["flex"].as_bool().expect("flex"),
            bytes: unhex(json["hex"].as_str().expect("hex")),
            values: json["json"].clone(),
        }
    }

    /// What differs between this vector and what the message type does, if anything.
    fn difference(&self, message: &MessageType) -> Option<String> {
        if (message.is_flexible)(self.version) != self.flexible {
            return Some("flexible".to_owned());
        }
        let mut r = Reader::new(self.bytes.clone());
        match (message.to_json)(&mut r, self.version) {
            Err(error) => return Some(format!("decode: {error}")),
            Ok(values) if values != self.values => {
                return Some(format!("values:\n  ours  {values}\n  Kafka {}", self.values));
            }
            Ok(_) => {}
        }
        if let Err(error) = r.finish() {
            return Some(format!("decode: {error}"));
        }
        let mut w = Writer::new();
        if let Err(error) = (message.recode)(&mut Reader::new(self.bytes.clone()), self.version, &mut w) {
            return Some(format!("encode: {error}"));
        }
        let bytes = w.finish().to_bytes().expect("no files involved");
        (bytes != self.bytes).then(|| format!("bytes:\n  ours  {bytes:02x?}\n  Kafka {:02x?}", self.bytes))
    }
}

fn unhex(hex: &str) -> Bytes {
    let digits = hex.as_bytes().chunks(2);
    let text = digits.map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    text.map(|pair| u8::from_str_radix(pair, 16).expect("hex")).collect()
}

fn vectors() -> Vec<Vector> {
    let packed = include_bytes!("data/codec_vectors.jsonl.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).expect("gzip of UTF-8");
    text.lines().map(Vector::parse).collect()
}

#[test]
fn every_message_reads_and_writes_as_kafka_does() {
    let types: Vec<_> = [catalog::REQUESTS, catalog::RESPONSES, catalog::DATA].concat();
    let vectors = vectors();
    assert_eq!(vectors.len(), 1356);
    let mut differences = Vec::new();
    for vector in &vectors {
        let difference = match types.iter().find(|message| message.name == vector.message) {
            Some(message) => vector.difference(message),
            None => Some("no such message".to_owned()),
        };
        if let Some(difference) = difference {
            differences.push(format!("{} v{}: {difference}", vector.message, vector.version));
        }
    }
    assert!(differences.is_empty(), "{}:\n{}", differences.len(), differences.join("\n"));
}
