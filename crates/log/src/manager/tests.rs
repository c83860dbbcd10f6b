//! Directories, identities, creation and deletion, clean stops.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use milena_protocol::Uuid;

use super::*;
use crate::testing::*;
use crate::{AppendError, AppendOptions, ReadLimit, StorageErrorKind};

#[test]
fn two_managers_cannot_have_one_directory() {
    let bench = Bench::new(LogConfig::default());
    let manager = bench.open();
    assert!(matches!(LogManager::open(bench.options()), Err(OpenError::Locked(path)) if path == bench.dir.path()));
    manager.shutdown().unwrap();
    bench.open();
}

#[test]
fn a_directory_belongs_to_one_cluster_and_node() {
    let bench = Bench::new(LogConfig::default());
    bench.open().shutdown().unwrap();
    let text = fs::read_to_string(bench.dir.path().join("meta.properties")).unwrap();
    for line in ["cluster.id=test-cluster", "node.id=1", "version=1"] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
    let other = LogManagerOptions { cluster_id: "other".to_string(), ..bench.options() };
    assert!(matches!(LogManager::open(other), Err(OpenError::WrongIdentity { key: "cluster.id", .. })));
    let other = LogManagerOptions { node_id: 2, ..bench.options() };
    assert!(matches!(LogManager::open(other), Err(OpenError::WrongIdentity { key: "node.id", .. })));
    bench.open();
}

#[test]
fn an_unwritable_directory_is_named() {
    let bench = Bench::new(LogConfig::default());
    let file = bench.dir.path().join("file");
    fs::write(&file, "").unwrap();
    let options = LogManagerOptions { log_dirs: vec![file.join("logs")], ..bench.options() };
    let error = LogManager::open(options).unwrap_err();
    assert!(error.to_string().contains("file/logs"), "{error}");
    assert!(matches!(
        LogManager::open(LogManagerOptions { log_dirs: vec![], ..bench.options() }),
        Err(OpenError::NoLogDirs)
    ));
}

#[test]
fn a_clean_stop_leaves_kafkas_mark_and_checkpoints() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = bench.open_log();
    append(&log, batch(&["a", "b"]));
    drop(log);
    manager.shutdown().unwrap();
    let read = |name: &str| fs::read_to_string(bench.dir.path().join(name)).unwrap();
    assert_eq!(read("recovery-point-offset-checkpoint"), "0\n1\norders 0 2\n");
    assert_eq!(read("replication-offset-checkpoint"), "0\n1\norders 0 2\n");
    assert_eq!(read("log-start-offset-checkpoint"), "0\n0\n");
    let mark: serde_json::Value = serde_json::from_str(&read(".kafka_cleanshutdown")).unwrap();
    assert_eq!(mark["version"], 0);
    let manager = bench.open();
    assert!(!bench.dir.path().join(".kafka_cleanshutdown").exists());
    let log = manager.get("orders", 0).unwrap();
    assert_eq!((log.topic_id(), log.log_end_offset()), (Uuid([7; 16]), 2));
}

#[test]
fn a_clean_stop_writes_no_snapshot_and_no_time_index_entry_for_a_small_log_without_producers() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = bench.open_log();
    append(&log, batch(&["a"]));
    drop(log);
    manager.shutdown().unwrap();
    let partition = bench.dir.path().join("orders-0");
    let names: Vec<_> = fs::read_dir(&partition).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".snapshot")), "{names:?}");
    assert_eq!(fs::metadata(partition.join("00000000000000000000.timeindex")).unwrap().len(), 0);
    let manager = bench.open();
    let log = manager.get("orders", 0).unwrap();
    assert_eq!((log.log_end_offset(), log.durable_offset()), (1, 1));
    assert_eq!(log.max_timestamp_offset().unwrap().map(|found| found.offset), Some(0));
}

#[test]
fn recovery_points_advance_with_few_and_with_many_logs() {
    for partitions in [1, 40] {
        let bench = Bench::new(LogConfig::default());
        let manager = bench.open();
        let config = Arc::new(LogConfig::default());
        let create = |number| manager.get_or_create("orders", number, Uuid::ZERO, config.clone()).unwrap();
        let logs: Vec<_> = (0..partitions).map(create).collect();
        for log in &logs {
            append(log, batch(&["a", "b"]));
        }
        assert!(logs.iter().all(|log| log.durable_offset() == 0));
        manager.advance_recovery_points();
        assert!(logs.iter().all(|log| log.durable_offset() == 2), "{partitions} partitions");
    }
}

#[test]
fn a_stopped_log_refuses_appends() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = bench.open_log();
    append(&log, batch(&["a"]));
    manager.shutdown().unwrap();
    let error = log.append(batch(&["b"]), &AppendOptions::default()).unwrap_err();
    assert!(matches!(error, AppendError::Storage(error) if error.kind == StorageErrorKind::Closed));
    let (sender, receiver) = std::sync::mpsc::channel();
    log.on_durable(99, Box::new(move |result| sender.send(result.is_err()).unwrap()));
    assert!(receiver.recv().unwrap());
}

#[test]
fn a_deleted_partition_frees_its_name_at_once_and_its_space_later() {
    let bench = Bench::new(LogConfig::default());
    let (manager, old) = bench.open_log();
    append(&old, batch(&["old"]));
    let fetched = old.read(0, 1000, true, ReadLimit::LogEnd).unwrap();
    manager.delete("orders", 0).unwrap();
    manager.delete("orders", 0).unwrap();
    assert!(manager.get("orders", 0).is_none());
    assert!(matches!(old.append(batch(&["late"]), &AppendOptions::default()), Err(AppendError::Storage(_))));
    let new = manager.get_or_create("orders", 0, Uuid([8; 16]), Arc::new(LogConfig::default())).unwrap();
    assert_eq!((new.log_end_offset(), new.topic_id()), (0, Uuid([8; 16])));
    append(&new, batch(&["new"]));
    assert!(fetched.records.to_bytes().unwrap().len() > 61, "a response under way is still sent");
    let waiting = || names(bench.dir.path()).into_iter().filter(|name| name.ends_with("-delete")).count();
    assert_eq!(waiting(), 1);
    bench.clock.advance(Duration::from_secs(61));
    manager.empty_trash();
    assert_eq!(waiting(), 0);
    assert_eq!(values(&new), [(0, "new".to_string())]);
}

#[test]
fn a_topic_with_the_longest_name_can_be_deleted() {
    let bench = Bench::new(LogConfig::default());
    let (manager, other) = bench.open_log();
    let topic = "t".repeat(249);
    manager.get_or_create(&topic, 12, Uuid([8; 16]), Arc::new(LogConfig::default())).unwrap();
    manager.delete(&topic, 12).unwrap();
    append(&other, batch(&["the directory is still in use"]));
    assert!(names(bench.dir.path()).iter().any(|name| name.starts_with("ttt") && name.ends_with("-delete")));
}

#[test]
fn partitions_spread_over_the_log_directories() {
    let bench = Bench::new(LogConfig::default());
    let dirs = ["a", "b"].map(|name| bench.dir.path().join(name)).to_vec();
    let manager = LogManager::open(LogManagerOptions { log_dirs: dirs.clone(), ..bench.options() }).unwrap();
    for partition in 0..6 {
        let log = manager.get_or_create("spread-topic", partition, Uuid::ZERO, Arc::new(LogConfig::default())).unwrap();
        append(&log, batch(&["v"]));
    }
    let described = manager.log_dirs();
    assert!(described.iter().all(|dir| dir.logs.len() == 3
        && dir.error.is_none()
        && dir.total_bytes > dir.usable_bytes
        && dir.usable_bytes > 0));
    assert!(described.iter().flat_map(|dir| &dir.logs).all(|(topic, _, size)| topic == "spread-topic" && *size > 61));
    manager.shutdown().unwrap();
    let manager = LogManager::open(LogManagerOptions { log_dirs: dirs, ..bench.options() }).unwrap();
    assert_eq!(manager.logs().len(), 6);
}

#[test]
fn a_failed_disk_takes_its_directory_offline_for_good() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = bench.open_log();
    append(&log, batch(&["a"]));
    log.dir().judge(StorageError::new("fdatasync", "x", std::io::Error::from_raw_os_error(5)));
    let refused = log.append(batch(&["b"]), &AppendOptions::default()).unwrap_err();
    assert!(matches!(refused, AppendError::Storage(error) if error.kind == StorageErrorKind::Offline));
    assert!(log.read(0, 100, true, ReadLimit::LogEnd).is_err());
    assert!(manager.get_or_create("other", 0, Uuid::ZERO, Arc::new(LogConfig::default())).is_err());
    assert!(manager.log_dirs()[0].error.as_ref().unwrap().contains("fdatasync x"));
    let (sender, receiver) = std::sync::mpsc::channel();
    log.on_durable(1, Box::new(move |result| sender.send(result.unwrap_err().kind).unwrap()));
    assert_eq!(receiver.recv().unwrap(), StorageErrorKind::Offline);
    assert!(manager.shutdown().is_err());
    assert!(!bench.dir.path().join(".kafka_cleanshutdown").exists());
}

#[test]
fn flush_messages_makes_every_so_many_records_durable() {
    let bench = Bench::new(LogConfig { flush_messages: 2, ..LogConfig::default() });
    let (_manager, log) = bench.open_log();
    append(&log, batch(&["a"]));
    assert_eq!(log.durable_offset(), 0);
    append(&log, batch(&["b"]));
    assert_eq!(log.durable_offset(), 2);
}
