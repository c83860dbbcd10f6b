//! Thousands of partitions: few descriptors, few threads, and a quick start after a clean stop and after a crash.
//!
//! `MILENA_PARTITIONS=10000 cargo test --release -p milena-log --test many_partitions -- --nocapture` prints the times of the design's budget.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_log::{AppendOptions, LogConfig, LogManager, LogManagerOptions, ReadLimit};
use milena_protocol::Uuid;
use milena_protocol::record::{BatchBuilder, BatchOptions};
use milena_stdx::SystemClock;

const OPEN_FILES_MAX: usize = 64;

fn open(dir: &Path) -> (Arc<LogManager>, Duration) {
    let options = LogManagerOptions {
        cluster_id: "many".to_string(),
        open_files_max: Some(OPEN_FILES_MAX),
        ..LogManagerOptions::new(dir, Arc::new(SystemClock))
    };
    let start = Instant::now();
    let manager = LogManager::open(options).unwrap();
    (manager, start.elapsed())
}

fn entries(path: &str) -> usize {
    fs::read_dir(path).unwrap().count()
}

#[test]
fn partitions_cost_neither_descriptors_nor_threads() {
    let partitions: i32 = std::env::var("MILENA_PARTITIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(1500);
    let dir = tempfile::tempdir().unwrap();
    let (descriptors, threads) = (entries("/proc/self/fd"), entries("/proc/self/task"));
    let (manager, _) = open(dir.path());
    let config = Arc::new(LogConfig::default());
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(1, None, Some(b"v"), &[]);
    let batch = builder.build().unwrap();
    let start = Instant::now();
    for partition in 0..partitions {
        manager.get_or_create("many", partition, Uuid([1; 16]), config.clone()).unwrap();
    }
    let created = start.elapsed();
    for log in manager.logs() {
        log.append(batch.clone(), &AppendOptions::default()).unwrap();
    }
    let appended = start.elapsed() - created;
    manager.start_background();
    assert!(entries("/proc/self/fd") <= descriptors + OPEN_FILES_MAX + 8, "{} descriptors", entries("/proc/self/fd"));
    assert!(entries("/proc/self/task") <= threads + 8, "{} threads", entries("/proc/self/task"));
    let start = Instant::now();
    manager.shutdown().unwrap();
    let stopped = start.elapsed();
    drop(manager);
    let (manager, clean) = open(dir.path());
    assert_eq!(manager.logs().len(), partitions as usize);
    assert!(manager.logs().iter().all(|log| log.log_end_offset() == 1));
    drop(manager);
    let (manager, crashed) = open(dir.path());
    for log in manager.logs() {
        assert_eq!(log.read(0, 100, true, ReadLimit::LogEnd).unwrap().records.len(), batch.len());
    }
    assert!(entries("/proc/self/fd") <= descriptors + OPEN_FILES_MAX + 8);
    println!(
        "{partitions} partitions: created {created:?}, first append {appended:?}, stop {stopped:?}, start after stop {clean:?}, after crash {crashed:?}"
    );
}
