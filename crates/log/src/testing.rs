//! Shared by the tests of this crate: logs in temporary directories, batches, and reading everything back.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use milena_protocol::Uuid;
use milena_protocol::compression::Compression;
use milena_protocol::record::control::{ControlType, EndTxnMarker, end_txn_marker_batch};
use milena_protocol::record::{BatchBuilder, BatchOptions, batches};
use milena_stdx::MockClock;

use crate::{
    AppendInfo, AppendOptions, AppendOrigin, CleanupPolicy, Log, LogConfig, LogManager, LogManagerOptions, ReadLimit,
};

/// Where the mock clock starts.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// A manager over one directory, with a clock that tests move.
pub(crate) struct Bench {
    pub dir: tempfile::TempDir,
    pub clock: Arc<MockClock>,
    pub config: LogConfig,
}

impl Bench {
    pub fn new(config: LogConfig) -> Bench {
        Bench { dir: tempfile::tempdir().unwrap(), clock: Arc::new(MockClock::new(START_MS)), config }
    }

    pub fn options(&self) -> LogManagerOptions {
        let config = Arc::new(self.config.clone());
        LogManagerOptions {
            cluster_id: "test-cluster".to_string(),
            config_of: Arc::new(move |_| config.clone()),
            flusher_threads: 1,
            ..LogManagerOptions::new(self.dir.path(), self.clock.clone())
        }
    }

    pub fn open(&self) -> Arc<LogManager> {
        LogManager::open(self.options()).unwrap()
    }

    /// Opens the manager and partition `orders-0`.
    pub fn open_log(&self) -> (Arc<LogManager>, Arc<Log>) {
        let manager = self.open();
        let log = manager.get_or_create("orders", 0, Uuid([7; 16]), Arc::new(self.config.clone())).unwrap();
        (manager, log)
    }

    /// What a crash leaves: the directory as it is, without the clean-shutdown mark, opened by a new manager.
    pub fn crash(&self, manager: Arc<LogManager>, log: Arc<Log>) -> (Arc<LogManager>, Arc<Log>) {
        drop(log);
        manager.abandon();
        drop(manager);
        self.open_log()
    }

    pub fn partition_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("orders-0")
    }
}

pub(crate) fn small_segments(segment_bytes: i32) -> LogConfig {
    LogConfig { segment_bytes, index_interval_bytes: 100, ..LogConfig::default() }
}

pub(crate) fn compacted() -> LogConfig {
    LogConfig {
        cleanup_policy: CleanupPolicy { delete: false, compact: true },
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::default()
    }
}

/// One batch of records `(key, value)` at `timestamp`.
pub(crate) fn batch_with(options: BatchOptions, timestamp: i64, records: &[(Option<&str>, Option<&str>)]) -> Bytes {
    let mut builder = BatchBuilder::new(options);
    for (key, value) in records {
        builder.append(timestamp, key.map(str::as_bytes), value.map(str::as_bytes), &[]);
    }
    builder.build().unwrap()
}

pub(crate) fn batch(values: &[&str]) -> Bytes {
    let records: Vec<_> = values.iter().map(|value| (None, Some(*value))).collect();
    batch_with(BatchOptions::default(), START_MS, &records)
}

pub(crate) fn compressed(codec: Compression, values: &[&str]) -> Bytes {
    let records: Vec<_> = values.iter().map(|value| (None, Some(*value))).collect();
    batch_with(BatchOptions { compression: codec, ..BatchOptions::default() }, START_MS, &records)
}

pub(crate) fn produced_by(
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    values: &[&str],
) -> Bytes {
    let records: Vec<_> = values.iter().map(|value| (Some(*value), Some(*value))).collect();
    let options = BatchOptions { producer_id, producer_epoch, base_sequence, transactional, ..BatchOptions::default() };
    batch_with(options, START_MS, &records)
}

pub(crate) fn append(log: &Log, records: Bytes) -> AppendInfo {
    log.append(records, &AppendOptions::default()).unwrap()
}

pub(crate) fn end_txn(log: &Log, producer_id: i64, producer_epoch: i16, committed: bool) -> AppendInfo {
    let control_type = if committed { ControlType::Commit } else { ControlType::Abort };
    let marker = EndTxnMarker { control_type, coordinator_epoch: 1 };
    let records = end_txn_marker_batch(marker, START_MS, 0, producer_id, producer_epoch).unwrap();
    log.append(records, &AppendOptions { origin: AppendOrigin::Coordinator, ..AppendOptions::default() }).unwrap()
}

/// Offset, key and value of every data record from `offset` on, over as many reads as it takes.
pub(crate) fn read_from(log: &Log, mut offset: i64, upto: ReadLimit) -> Vec<(i64, Option<String>, Option<String>)> {
    let mut found = Vec::new();
    loop {
        let bytes = log.read(offset, 500, true, upto).unwrap().records.to_bytes().unwrap();
        if bytes.is_empty() {
            return found;
        }
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            assert!(batch.verify_crc(), "batch at {}", batch.base_offset());
            if !batch.is_control() {
                for record in
                    batch.records(1 << 20).unwrap().map(Result::unwrap).filter(|record| record.offset >= offset)
                {
                    let text = |bytes: Option<Bytes>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
                    found.push((record.offset, text(record.key), text(record.value)));
                }
            }
            offset = batch.next_offset();
        }
    }
}

pub(crate) fn values(log: &Log) -> Vec<(i64, String)> {
    let records = read_from(log, log.log_start_offset(), ReadLimit::HighWatermark);
    records.into_iter().map(|(offset, _, value)| (offset, value.unwrap_or_default())).collect()
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
