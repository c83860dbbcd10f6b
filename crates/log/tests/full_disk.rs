//! A full disk: producers hear an error, readers read on, and appends work again when space returns.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use milena_log::{AppendError, AppendOptions, LogConfig, LogManager, LogManagerOptions, ReadLimit, StorageErrorKind};
use milena_protocol::Uuid;
use milena_protocol::record::{BatchBuilder, BatchOptions, batches};
use milena_stdx::SystemClock;

/// A mounted tmpfs that is unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "milena-test"]).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(SmallDisk(dir)),
            Ok(output) => {
                println!("skipped: cannot mount a tmpfs: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: no mount command: {error}");
                None
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn open(dir: &Path) -> Arc<LogManager> {
    let config = Arc::new(config());
    let options = LogManagerOptions {
        cluster_id: "full".to_string(),
        config_of: Arc::new(move |_| config.clone()),
        flusher_threads: 1,
        ..LogManagerOptions::new(dir, Arc::new(SystemClock))
    };
    LogManager::open(options).unwrap()
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 100_000, ..LogConfig::default() }
}

fn batch(n: i64, bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(BatchOptions::default());
    builder.append(1, Some(n.to_string().as_bytes()), Some(&vec![b'x'; bytes]), &[]);
    builder.build().unwrap()
}

fn keys(log: &milena_log::Log) -> Vec<i64> {
    let (mut keys, mut offset) = (Vec::new(), log.log_start_offset());
    while offset < log.log_end_offset() {
        let bytes = log.read(offset, 1 << 20, true, ReadLimit::HighWatermark).unwrap().records.to_bytes().unwrap();
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            keys.extend(
                batch
                    .records(1 << 20)
                    .unwrap()
                    .map(|record| std::str::from_utf8(&record.unwrap().key.unwrap()).unwrap().parse::<i64>().unwrap()),
            );
            offset = batch.next_offset();
        }
    }
    keys
}

#[test]
fn a_full_disk_refuses_appends_serves_reads_and_recovers() {
    let Some(disk) = SmallDisk::mount() else { return };
    let data = disk.0.path().join("data");
    let manager = open(&data);
    let log = manager.get_or_create("orders", 0, Uuid([1; 16]), Arc::new(config())).unwrap();
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    for round in 0..4 {
        let ballast = disk.0.path().join("ballast");
        fs::write(&ballast, vec![0; 300_000]).unwrap();
        let mut refused_now = 0;
        for n in (round * 10_000).. {
            let size = [9_000, 300, 40_000][n as usize % 3];
            match log.append(batch(n, size), &AppendOptions::default()) {
                Ok(info) => {
                    assert_eq!(info.base_offset, acknowledged.len() as i64);
                    acknowledged.push(n);
                }
                Err(AppendError::Storage(error)) => {
                    assert_eq!(error.kind, StorageErrorKind::DiskFull, "{error}");
                    assert_eq!(log.log_end_offset(), acknowledged.len() as i64);
                    refused_now += 1;
                }
                Err(error) => panic!("{error}"),
            }
            if refused_now == 20 {
                break;
            }
        }
        refused += refused_now;
        let start = log.log_start_offset() as usize;
        assert_eq!(keys(&log), acknowledged[start..], "readers see everything on a full disk");
        fs::remove_file(&ballast).unwrap();
        log.append(batch(-round, 20_000), &AppendOptions::default()).unwrap();
        acknowledged.push(-round);
        log.delete_records(acknowledged.len() as i64 / 2).unwrap();
        let start = log.log_start_offset() as usize;
        assert_eq!(keys(&log), acknowledged[start..]);
        remove_deleted(&log.path());
    }
    assert_eq!(refused, 80);
    let (sender, receiver) = std::sync::mpsc::channel();
    log.on_durable(log.log_end_offset(), Box::new(move |result| sender.send(result.is_ok()).unwrap()));
    assert!(receiver.recv().unwrap(), "the directory is online and fsyncs");
    manager.write_checkpoints().unwrap();
    let start = log.log_start_offset() as usize;
    drop((log, manager));
    let manager = open(&data);
    let log = manager.get("orders", 0).unwrap();
    assert_eq!(keys(&log), acknowledged[start..], "after a restart without a clean stop");
}

/// Gives the space of deleted segments back without waiting for `file.delete.delay.ms`.
fn remove_deleted(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "deleted") {
            fs::remove_file(path).unwrap();
        }
    }
}
