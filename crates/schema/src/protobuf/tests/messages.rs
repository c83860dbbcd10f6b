//! Dynamic messages: indexes, JSON to binary and back.

use super::*;

const TEXT: &str = r#"syntax = "proto3"; package p;
import "google/protobuf/timestamp.proto";
message First { enum E { A = 0; B = 1; } }
message Order { message Line { string sku = 1; double price = 2; }
  int64 id = 1; repeated Line lines = 2; map<string, int32> counts = 3; First.E e = 4;
  google.protobuf.Timestamp at = 5; optional string note = 6; oneof pay { string card = 7; bool cash = 8; } }
"#;

#[test]
fn indexes_lead_to_messages_and_back() {
    let schema = stored(TEXT);
    for (indexes, name) in [(vec![0], "p.First"), (vec![1], "p.Order"), (vec![1, 0], "p.Order.Line")] {
        assert_eq!(schema.message_name(&indexes).as_deref(), Some(name));
        assert_eq!(schema.message_indexes(name), Some(indexes));
    }
    assert_eq!(schema.message_name(&[]).as_deref(), Some("p.First"));
    for indexes in [vec![2], vec![-1], vec![0, 0], vec![i32::MAX]] {
        assert_eq!(schema.message_name(&indexes), None);
    }
    assert_eq!(schema.message_indexes("p.Nothing"), None);
    assert_eq!(schema.message_indexes("Order"), None);
}

fn encoded(schema: &ProtobufSchema, message: &str, json: &str) -> Option<Vec<u8>> {
    let value = serde_json::from_str(json).ok()?;
    Some(schema.encode_payload(&value, Some(message)).ok()?.bytes)
}

fn decoded(schema: &ProtobufSchema, indexes: &[i32], bytes: &[u8]) -> Option<String> {
    Some(schema.decode_payload(bytes, Some(indexes)).ok()?.to_string())
}

#[test]
fn a_message_goes_from_json_to_binary_and_back() {
    let schema = stored(TEXT);
    let json = r#"{"id":"5","lines":[{"sku":"a","price":1.5}],"counts":{"x":1},"e":"B","at":"2026-01-02T03:04:05Z","card":"c"}"#;
    let bytes = encoded(&schema, "p.Order", json).expect("valid");
    assert_eq!(bytes[..2], [0x08, 5], "field 1, a varint");
    let read = decoded(&schema, &[1], &bytes).expect("valid");
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(parsed(&read), parsed(json));
    let empty = decoded(&schema, &[1], &[]).expect("valid");
    assert_eq!(parsed(&empty), parsed(r#"{"id":"0","lines":[],"counts":{},"e":"A"}"#));
}

#[test]
fn what_does_not_fit_the_message_is_refused() {
    let schema = stored(TEXT);
    for json in [r#"{"id":"x"}"#, r#"{"unknown":1}"#, "[]"] {
        assert_eq!(encoded(&schema, "p.Order", json), None, "{json}");
    }
    assert_eq!(decoded(&schema, &[1], &[0xff, 0xff]), None);
    let recursive = stored("syntax = \"proto3\"; message N { N n = 1; }");
    // Ten thousand messages in each other: each has a tag and the length of what follows.
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![0x0a];
        let mut length = nested.len();
        while length >= 0x80 {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(nested);
        nested = outer;
    }
    assert_eq!(decoded(&recursive, &[0], &nested), None);
}
