//! Hand-made files, printed as Kafka's tool prints them.

use std::fs;

use bytes::Bytes;
use milena_protocol::messages::{
    ConsumerProtocolSubscription, GroupMetadataValue, OffsetCommitKey, group_metadata_value,
};
use milena_protocol::record::control::{ControlType, EndTxnMarker, end_txn_marker_batch};
use milena_protocol::record::{BatchBuilder, BatchOptions, Header};
use milena_protocol::{Chunk, Message, Writer};
use tempfile::TempDir;

use super::*;

const SEGMENT: &str = "00000000000000000000.log";

fn bytes_of<M: Message>(number: i16, message: &M, version: i16) -> Bytes {
    let mut writer = Writer::with_capacity(64);
    writer.i16(number);
    message.encode(&mut writer, version).unwrap();
    let chunks = writer.finish().chunks.into_iter().map(|chunk| match chunk {
        Chunk::Bytes(bytes) => bytes,
        Chunk::File(_) => unreachable!("messages hold no files"),
    });
    Bytes::from(chunks.collect::<Vec<_>>().concat())
}

fn dump(dir: &TempDir, files: &[&str], more: &[&str]) -> (Outcome, String, String) {
    let (mut terminal, out, err) = Terminal::captured();
    let paths: Vec<String> = files.iter().map(|file| dir.path().join(file).display().to_string()).collect();
    let mut words = vec!["--files".to_owned(), paths.join(",")];
    words.extend(more.iter().map(|word| (*word).to_owned()));
    let outcome = run(Args { tool: "kafka-dump-log".to_owned(), words }, &mut terminal);
    terminal.flush();
    let place = format!("{}/", dir.path().display());
    (outcome, out.text().replace(&place, ""), err.text().replace(&place, ""))
}

fn segment(batches: &[Bytes]) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(SEGMENT), batches.concat()).unwrap();
    dir
}

fn two_records() -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions {
        producer_id: 4,
        producer_epoch: 1,
        base_sequence: i32::MAX,
        leader_epoch: 0,
        ..BatchOptions::default()
    });
    let header = |key: &'static str| Header { key: Bytes::from_static(key.as_bytes()), value: None };
    builder.append(1_700_000_000_000, Some(b"k"), Some(b"hello"), &[header("h1"), header("h2")]);
    builder.append(1_700_000_000_001, None, Some(b"x"), &[]);
    builder.build().unwrap()
}

#[test]
fn batches_and_records_are_printed_as_kafka_does() {
    let batch = two_records();
    let crc = u32::from_be_bytes([batch[17], batch[18], batch[19], batch[20]]);
    let (size, dir) = (batch.len(), segment(&[batch]));
    let (outcome, out, err) = dump(&dir, &[SEGMENT], &["--print-data-log"]);
    let expected = format!(
        "Dumping {SEGMENT}\nLog starting offset: 0\n\
         baseOffset: 0 lastOffset: 1 count: 2 baseSequence: 2147483647 lastSequence: 0 producerId: 4 producerEpoch: 1 \
         partitionLeaderEpoch: 0 isTransactional: false isControl: false deleteHorizonMs: OptionalLong.empty position: 0 \
         CreateTime: 1700000000001 size: {size} magic: 2 compresscodec: none crc: {crc} isvalid: true\n\
         | offset: 0 CreateTime: 1700000000000 keySize: 1 valueSize: 5 sequence: 2147483647 headerKeys: [h1,h2] key: k payload: hello\n\
         | offset: 1 CreateTime: 1700000000001 keySize: -1 valueSize: 1 sequence: 0 headerKeys: [] payload: x\n"
    );
    assert_eq!((outcome.unwrap(), out, err), (0, expected, String::new()));
    let (_, out, _) = dump(&dir, &[SEGMENT], &["--print-data-log", "--skip-record-metadata"]);
    assert!(out.ends_with("true\n| key: k payload: hello\n| payload: x\n"), "{out}");
    let (_, out, _) = dump(&dir, &[SEGMENT], &[]);
    assert_eq!(out.lines().count(), 3);
}

#[test]
fn markers_gaps_and_torn_ends_are_told() {
    let marker = EndTxnMarker { control_type: ControlType::Commit, coordinator_epoch: 3 };
    let mut marker = end_txn_marker_batch(marker, 5, 0, 4, 1).unwrap().to_vec();
    milena_protocol::record::patch::set_base_offset(&mut marker, 7);
    let dir = segment(&[two_records(), Bytes::from(marker), Bytes::from_static(&[0xff; 7])]);
    let (_, out, err) = dump(&dir, &[SEGMENT], &["--deep-iteration"]);
    assert!(out.contains("| offset: 7 CreateTime: 5 keySize: 4 valueSize: 6 sequence: -1 headerKeys: [] endTxnMarker: COMMIT coordinatorEpoch: 3\n"), "{out}");
    assert!(out.ends_with(&format!("Found 7 invalid bytes at the end of {SEGMENT}\n")), "{out}");
    assert_eq!(err, format!("Non-consecutive offsets in {SEGMENT}\n  1 is followed by 7\n"));
    let (_, out, _) = dump(&dir, &[SEGMENT], &["--max-bytes", "200"]);
    assert!(!out.contains("invalid bytes"), "{out}");
}

#[test]
fn index_entries_are_compared_with_the_log() {
    let dir = segment(&[two_records()]);
    fs::write(dir.path().join("00000000000000000000.index"), [0; 80]).unwrap();
    fs::write(dir.path().join("00000000000000000000.timeindex"), [0; 24]).unwrap();
    let (outcome, out, err) = dump(&dir, &["00000000000000000000.index", "00000000000000000000.timeindex"], &[]);
    assert_eq!(outcome.unwrap(), 0);
    assert_eq!(
        out,
        "Dumping 00000000000000000000.index\noffset: 0 position: 0\nDumping 00000000000000000000.timeindex\ntimestamp: 0 offset: 0\n"
    );
    assert_eq!(
        err,
        "Mismatches in :00000000000000000000.index\n  Index offset: 0, log offset: 1\n\
         The following indexed offsets are not found in :00000000000000000000.timeindex\nIndexed offset: 0, found log offset: 1\n"
    );
    let mut entries = Vec::new();
    for (timestamp, offset) in [(9_i64, 1_i32), (9, 1)] {
        entries.extend_from_slice(&timestamp.to_be_bytes());
        entries.extend_from_slice(&offset.to_be_bytes());
    }
    fs::write(dir.path().join("00000000000000000000.timeindex"), entries).unwrap();
    let (_, out, err) = dump(&dir, &["00000000000000000000.timeindex"], &["--verify-index-only"]);
    assert_eq!(out, "Dumping 00000000000000000000.timeindex\n");
    assert!(err.contains("  Index timestamp: 9, log timestamp: 1700000000001\n"), "{err}");
    assert!(err.contains("  Index timestamp: 9, Previously indexed timestamp: 9\n"), "{err}");
    let (_, out, _) = dump(&dir, &["00000000000000000000.index"], &["--index-sanity-check"]);
    assert!(out.ends_with("00000000000000000000.index passed sanity check.\n"), "{out}");
    fs::write(dir.path().join("00000000000000000000.index"), []).unwrap();
    let (_, out, _) = dump(&dir, &["00000000000000000000.index"], &[]);
    assert!(out.ends_with("00000000000000000000.index is empty.\n"), "{out}");
}

#[test]
fn coordinator_records_are_json() {
    let key = OffsetCommitKey { group: "g".to_owned(), topic: "t".to_owned(), partition: 2 };
    let member = group_metadata_value::MemberMetadata {
        member_id: "m".to_owned(),
        subscription: bytes_of(
            0,
            &ConsumerProtocolSubscription { topics: vec!["t".to_owned()], ..Default::default() },
            0,
        ),
        ..Default::default()
    };
    let group =
        GroupMetadataValue { protocol_type: "consumer".to_owned(), members: vec![member], ..Default::default() };
    let mut builder = BatchBuilder::new(BatchOptions::default());
    let group_key = milena_protocol::messages::GroupMetadataKey { group: "g".to_owned() };
    builder.append(1, Some(&bytes_of(1, &key, 0)), None, &[]);
    builder.append(1, Some(&bytes_of(2, &group_key, 0)), Some(&bytes_of(3, &group, 3)), &[]);
    builder.append(1, Some(&[0, 99]), None, &[]);
    builder.append(1, Some(&[0, 1, 9]), None, &[]);
    let dir = segment(&[builder.build().unwrap()]);
    let (_, out, _) = dump(&dir, &[SEGMENT], &["--offsets-decoder", "--skip-record-metadata"]);
    let lines: Vec<&str> = out.lines().skip(3).collect();
    assert_eq!(lines[0], r#"| key: {"type":"1","data":{"group":"g","topic":"t","partition":2}} payload: <DELETE>"#);
    assert!(
        lines[1].starts_with(
            r#"| key: {"type":"2","data":{"group":"g"}} payload: {"version":"3","data":{"protocolType":"consumer","#
        ),
        "{}",
        lines[1]
    );
    assert!(lines[1].contains(r#""subscription":{"topics":["t"],"userData":null},"#), "{}", lines[1]);
    assert_eq!(lines[2], "| key: Unknown record type 99 at offset 2, skipping.");
    assert!(lines[3].starts_with("| key: Error at offset 3, skipping. "), "{}", lines[3]);
}

#[test]
fn what_cannot_be_dumped_is_said() {
    let dir = segment(&[two_records()]);
    fs::write(dir.path().join("leader-epoch-checkpoint"), "0\n1\n3 42\n").unwrap();
    fs::write(dir.path().join("meta.properties"), "").unwrap();
    let (outcome, out, err) = dump(&dir, &["leader-epoch-checkpoint", "meta.properties"], &[]);
    assert_eq!(outcome.unwrap(), 0);
    assert_eq!(out, "Dumping leader-epoch-checkpoint\nleaderEpoch: 3 startOffset: 42\nDumping meta.properties\n");
    assert_eq!(err, "Ignoring unknown file meta.properties\n");
    let missing = dump(&dir, &["00000000000000000009.log"], &[]).0.unwrap_err().to_exception();
    assert!(missing.starts_with("java.nio.file.NoSuchFileException: "), "{missing}");
    for words in [["--cluster-metadata-decoder", "--deep-iteration"], ["--value-decoder-class", "com.example.Mine"]] {
        let message = dump(&dir, &[SEGMENT], &words).0.unwrap_err().message();
        assert!(message.contains("is not supported"), "{message}");
    }
}
