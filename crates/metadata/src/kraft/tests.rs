//! Snapshots, logs and transactions of Kafka's metadata. That Kafka's own files are understood is shown by the system tests.

use std::path::Path;

use milena_protocol::record::{BatchBuilder, BatchOptions};

use super::*;
use crate::scram::{ScramCredential, ScramMechanism};

fn batch(base_offset: i64, values: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions { base_offset, ..BatchOptions::default() });
    for value in values {
        builder.append(1, None, Some(value), &[]);
    }
    builder.build().expect("a batch").to_vec()
}

fn feature(name: &str, level: i16) -> Vec<u8> {
    encode(12, &FeatureLevelRecord { name: name.to_owned(), feature_level: level }).expect("a record")
}

fn config(resource_type: i8, resource_name: &str, name: &str, value: Option<&str>) -> Vec<u8> {
    let record = ConfigRecord {
        resource_type,
        resource_name: resource_name.to_owned(),
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    encode(4, &record).expect("a record")
}

fn marker(number: u8) -> Vec<u8> {
    // Frame version, number, version, no tagged fields.
    vec![1, number, 0, 0]
}

fn read_one(directory: &Path) -> KraftMetadata {
    read(&[directory.to_owned()]).expect("readable").expect("there")
}

#[test]
fn the_log_is_applied_behind_the_newest_snapshot() {
    let home = tempfile::tempdir().expect("temporary directory");
    let log = home.path().join(LOG_DIRECTORY);
    std::fs::create_dir(&log).expect("directory");
    std::fs::write(log.join("00000000000000000002-0000000001.checkpoint"), batch(0, &[feature("old", 1)]))
        .expect("write");
    let snapshot = batch(0, &[feature("group.version", 1), config(2, "t", "retention.ms", Some("1"))]);
    std::fs::write(log.join("00000000000000000004-0000000001.checkpoint"), snapshot).expect("write");
    let mut segment = batch(0, &[feature("seen.before", 9), feature("seen.too", 9)]);
    segment.extend(batch(4, &[config(2, "t", "retention.ms", None), config(4, "", "num.io.threads", Some("9"))]));
    segment.extend([0; 30]);
    std::fs::write(log.join("00000000000000000000.log"), segment).expect("write");
    let metadata = read_one(home.path());
    assert_eq!(metadata.features.keys().collect::<Vec<_>>(), ["group.version"]);
    assert!(metadata.topic_configs.is_empty());
    assert_eq!(metadata.broker_configs[""]["num.io.threads"], "9");
}

#[test]
fn only_transactions_that_ended_count() {
    let home = tempfile::tempdir().expect("temporary directory");
    let log = home.path().join(LOG_DIRECTORY);
    std::fs::create_dir(&log).expect("directory");
    let records = [
        marker(23),
        feature("aborted", 1),
        marker(25),
        marker(23),
        feature("ended", 1),
        marker(24),
        vec![1, 99, 0, 1, 2, 3],
        marker(23),
        feature("open", 1),
    ];
    std::fs::write(log.join("00000000000000000000.log"), batch(0, &records)).expect("write");
    assert_eq!(read_one(home.path()).features.keys().collect::<Vec<_>>(), ["ended"]);
}

#[test]
fn a_bootstrap_file_counts_until_there_is_a_log() {
    let home = tempfile::tempdir().expect("temporary directory");
    assert!(read(&[home.path().to_owned()]).expect("readable").is_none());
    let credential = ScramCredential::of_password(ScramMechanism::Sha256, vec![7; 8], "secret", 4096);
    let users = [("alice".to_owned(), ScramMechanism::Sha256, credential.clone())];
    write_bootstrap(home.path(), &[("metadata.version".to_owned(), 30)], &users, 5).expect("written");
    let metadata = read_one(home.path());
    assert_eq!(metadata.scram[&("alice".to_owned(), ScramMechanism::Sha256)], credential);
    assert_eq!(metadata.features["metadata.version"], 30);
    let log = home.path().join(LOG_DIRECTORY);
    std::fs::create_dir(&log).expect("directory");
    std::fs::write(log.join("00000000000000000000.log"), batch(0, &[feature("x", 1)])).expect("write");
    assert!(read_one(home.path()).scram.is_empty());
}

#[test]
fn a_record_that_contradicts_its_schema_is_an_error() {
    let home = tempfile::tempdir().expect("temporary directory");
    std::fs::write(home.path().join(BOOTSTRAP_FILE), batch(3, &[vec![1, 4, 0, 2]])).expect("write");
    let error = read(&[home.path().to_owned()]).expect_err("refused");
    assert!(matches!(error, KraftError::Record { offset: 3, .. }), "{error}");
}
