//! Compaction keeps the newest value of every key at its offset, and nothing that it may drop.

use std::collections::BTreeMap;
use std::time::Duration;

use milena_protocol::compression::Compression;
use milena_protocol::record::{BatchOptions, BatchView, batches};
use proptest::prelude::*;

use crate::testing::*;
use crate::{AppendOptions, CleanupPolicy, Log, LogConfig, ReadLimit};

fn config() -> LogConfig {
    LogConfig { segment_bytes: 600, index_interval_bytes: 100, delete_retention_ms: 1000, ..compacted() }
}

fn put(log: &Log, key: &str, value: Option<&str>) -> i64 {
    append(log, batch_with(BatchOptions::default(), START_MS, &[(Some(key), value)])).base_offset
}

/// Ends the active segment, so that everything before may be compacted.
fn seal(log: &Log) {
    log.roll_locked(&mut log.state.lock()).unwrap();
}

fn contents(log: &Log) -> Vec<(i64, String, Option<String>)> {
    let records = read_from(log, log.log_start_offset(), ReadLimit::HighWatermark);
    records.into_iter().map(|(offset, key, value)| (offset, key.unwrap(), value)).collect()
}

#[test]
fn only_the_newest_value_of_each_key_stays_and_small_segments_merge() {
    let bench = Bench::new(config());
    let (manager, log) = bench.open_log();
    let mut newest = BTreeMap::new();
    for n in 0..200 {
        let key = format!("k{}", n % 7);
        let value = format!("v{n}");
        newest.insert(put(&log, &key, Some(&value)), (key.clone(), value));
        let last = *newest.keys().last().unwrap();
        newest.retain(|offset, (other, _)| *other != key || *offset == last);
    }
    seal(&log);
    let (segments, size, end) = (log.segment_count(), log.size_in_bytes(), log.log_end_offset());
    assert!(manager.clean_now() > 0);
    assert!(log.size_in_bytes() < size / 5);
    assert_eq!(manager.clean_now(), 0, "a clean log stays alone");
    let offset = put(&log, "k0", Some("last"));
    newest.retain(|_, (key, _)| key != "k0");
    newest.insert(offset, ("k0".to_string(), "last".to_string()));
    seal(&log);
    assert!(manager.clean_now() > 0);
    assert!(log.segment_count() < segments / 3, "small segments are merged the next time");
    let expected: Vec<_> = newest.into_iter().map(|(offset, (key, value))| (offset, key, Some(value))).collect();
    assert_eq!(contents(&log), expected);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, end + 1));
    let (_manager, log) = bench.crash(manager, log);
    assert_eq!(contents(&log), expected);
    assert_eq!(put(&log, "k0", Some("next")), end + 1);
}

#[test]
fn the_active_segment_is_never_touched() {
    let bench = Bench::new(LogConfig { segment_bytes: 1 << 20, ..config() });
    let (manager, log) = bench.open_log();
    for n in 0..20 {
        put(&log, "k", Some(&format!("v{n}")));
    }
    assert_eq!(manager.clean_now(), 0);
    assert_eq!(contents(&log).len(), 20);
}

#[test]
fn a_tombstone_stays_until_its_delete_horizon() {
    let bench = Bench::new(config());
    let (manager, log) = bench.open_log();
    put(&log, "k", Some("v"));
    put(&log, "k", None);
    put(&log, "other", Some("v"));
    seal(&log);
    put(&log, "filler", Some("v"));
    assert!(manager.clean_now() > 0);
    assert_eq!(contents(&log)[0], (1, "k".to_string(), None));
    let bytes = log.read(0, 1, true, ReadLimit::LogEnd).unwrap().records.to_bytes().unwrap();
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!(view.delete_horizon_ms(), Some(START_MS + 1000));
    assert_eq!(view.records(1000).unwrap().next().unwrap().unwrap().timestamp, START_MS);
    for (wait_ms, tombstones) in [(999, 1), (2, 0)] {
        bench.clock.advance(Duration::from_millis(wait_ms));
        put(&log, "filler", Some("v"));
        seal(&log);
        assert!(manager.clean_now() > 0);
        let found = contents(&log).iter().filter(|(_, key, _)| key == "k").count();
        assert_eq!(found, tombstones, "after {wait_ms} ms more");
    }
}

#[test]
fn records_younger_than_the_compaction_lag_stay() {
    let bench = Bench::new(LogConfig { min_compaction_lag_ms: 5000, ..config() });
    let (manager, log) = bench.open_log();
    put(&log, "k", Some("1"));
    put(&log, "k", Some("2"));
    seal(&log);
    assert_eq!(manager.clean_now(), 0);
    bench.clock.advance(Duration::from_millis(5000));
    assert_eq!(manager.clean_now(), 1);
    assert_eq!(contents(&log).len(), 1);
}

#[test]
fn a_log_below_the_dirty_ratio_waits_until_the_largest_lag() {
    let bench = Bench::new(LogConfig { min_cleanable_dirty_ratio: 1.0, max_compaction_lag_ms: 60_000, ..config() });
    let (manager, log) = bench.open_log();
    put(&log, "k", Some("1"));
    put(&log, "k", Some("2"));
    seal(&log);
    assert_eq!(manager.clean_now(), 0);
    bench.clock.advance(Duration::from_millis(60_001));
    assert_eq!(manager.clean_now(), 1);
}

#[test]
fn the_last_batch_of_a_producer_survives_empty_and_keeps_its_sequence() {
    let bench = Bench::new(config());
    let (manager, log) = bench.open_log();
    append(&log, produced_by(9, 2, 0, false, &["k", "l"]));
    put(&log, "k", Some("newer"));
    put(&log, "l", Some("newer"));
    seal(&log);
    put(&log, "filler", Some("v"));
    assert!(manager.clean_now() > 0);
    let bytes = log.read(0, 1, true, ReadLimit::LogEnd).unwrap().records.to_bytes().unwrap();
    let view = BatchView::parse(&bytes).unwrap();
    assert_eq!((view.count(), view.producer_id(), view.last_sequence(), view.last_offset()), (0, 9, 1, 1));
    assert!(view.verify_crc());
    std::fs::remove_file(bench.partition_dir().join(format!("{:020}.snapshot", 4))).unwrap();
    let (_manager, log) = bench.crash(manager, log);
    assert!(append(&log, produced_by(9, 2, 0, false, &["k", "l"])).duplicate);
    assert!(!append(&log, produced_by(9, 2, 2, false, &["m"])).duplicate);
}

#[test]
fn aborted_data_goes_first_and_its_marker_after_the_horizon() {
    let bench = Bench::new(config());
    let (manager, log) = bench.open_log();
    append(&log, produced_by(1, 0, 0, true, &["aborted"]));
    end_txn(&log, 1, 0, false);
    append(&log, produced_by(2, 0, 0, true, &["committed"]));
    end_txn(&log, 2, 0, true);
    append(&log, produced_by(1, 0, 1, true, &["open"]));
    append(&log, batch_with(BatchOptions::default(), START_MS, &[(Some("beyond"), Some("v"))]));
    seal(&log);
    assert_eq!(manager.clean_now(), 1, "what lies below the open transaction");
    let keys = |log: &Log| contents(log).into_iter().map(|(_, key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(&log), ["committed", "open", "beyond"]);
    assert_eq!(log.read(0, 1000, true, ReadLimit::LastStable).unwrap().aborted.unwrap().len(), 1);
    end_txn(&log, 1, 0, true);
    seal(&log);
    put(&log, "filler", Some("v"));
    assert!(manager.clean_now() > 0);
    let controls = |log: &Log| {
        let bytes = log.read(0, 100_000, true, ReadLimit::LogEnd).unwrap().records.to_bytes().unwrap();
        batches(&bytes)
            .map(Result::unwrap)
            .filter(|batch| batch.is_control())
            .map(|batch| batch.base_offset())
            .collect::<Vec<_>>()
    };
    assert_eq!(controls(&log), [1, 3, 6]);
    for _ in 0..2 {
        seal(&log);
        put(&log, "filler", Some("v"));
        assert!(manager.clean_now() > 0);
        bench.clock.advance(Duration::from_millis(1001));
    }
    assert_eq!(controls(&log), [3, 6]);
    assert_eq!(keys(&log)[..3], ["committed", "open", "beyond"]);
}

#[test]
fn a_crash_in_the_middle_of_the_swap_leaves_one_complete_version() {
    for stage in ["cleaned", "half-swap", "swap", "half-final"] {
        let bench = Bench::new(config());
        let (manager, log) = bench.open_log();
        put(&log, "first", Some("v"));
        for n in 0..30 {
            put(&log, &format!("k{}", n % 3), Some(&format!("v{n}")));
        }
        seal(&log);
        put(&log, "filler", Some("v"));
        let before = contents(&log);
        let keep = tempfile::tempdir().unwrap();
        for name in names(&bench.partition_dir()) {
            std::fs::copy(bench.partition_dir().join(&name), keep.path().join(&name)).unwrap();
        }
        assert!(manager.clean_now() > 0);
        let after = contents(&log);
        let first = |kind: &str| bench.partition_dir().join(format!("{:020}.{kind}", 0));
        let (size, kinds) = (log.segments()[0].1, ["log", "index", "timeindex"]);
        assert!(size > 0);
        for kind in kinds {
            std::fs::rename(first(kind), first(&format!("{kind}.new"))).unwrap();
        }
        for name in names(keep.path()) {
            std::fs::copy(keep.path().join(&name), bench.partition_dir().join(&name)).unwrap();
        }
        let complete = matches!(stage, "swap" | "half-final");
        for kind in kinds {
            let suffix = match (stage, kind) {
                ("cleaned", _) | ("half-swap", "index" | "timeindex") => ".cleaned",
                ("half-final", "timeindex") => "",
                _ => ".swap",
            };
            std::fs::rename(first(&format!("{kind}.new")), first(&format!("{kind}{suffix}"))).unwrap();
        }
        let (_manager, log) = bench.crash(manager, log);
        let found = contents(&log);
        assert_eq!(found.len() < before.len(), complete, "{stage}");
        for record in &after {
            assert!(found.contains(record), "{stage}: {record:?}");
        }
        assert!(
            names(&bench.partition_dir()).iter().all(|name| !name.ends_with(".swap") && !name.ends_with(".cleaned")),
            "{stage}"
        );
    }
}

#[test]
fn a_topic_with_both_policies_is_compacted_and_expires() {
    let both = CleanupPolicy { delete: true, compact: true };
    let bench = Bench::new(LogConfig { cleanup_policy: both, retention_ms: 10_000, ..config() });
    let (manager, log) = bench.open_log();
    for n in 0..20 {
        put(&log, "k", Some(&format!("v{n}")));
    }
    seal(&log);
    assert!(manager.clean_now() > 0);
    assert_eq!(contents(&log).len(), 1);
    bench.clock.advance(Duration::from_millis(10_001));
    manager.apply_retention();
    assert_eq!((contents(&log).len(), log.log_start_offset()), (0, 20));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn reading_the_newest_values_is_the_same_before_and_after(
        writes in prop::collection::vec(prop::collection::vec((0u8..12, prop::option::weighted(0.8, 0u16..1000)), 1..5), 1..60),
        codec in prop_oneof![Just(Compression::None), Just(Compression::Lz4)],
        buffer_keys in 3usize..40,
    ) {
        let bench = Bench::new(config());
        let mut options = bench.options();
        options.cleaner.dedupe_buffer_bytes = buffer_keys * 24;
        let manager = crate::LogManager::open(options).unwrap();
        let log = manager.get_or_create("orders", 0, milena_protocol::Uuid::ZERO, bench.config.clone().into()).unwrap();
        let mut newest: BTreeMap<String, Option<String>> = BTreeMap::new();
        for records in &writes {
            let texts: Vec<(String, Option<String>)> = records.iter().map(|(key, value)| (format!("k{key}"), value.map(|value| value.to_string()))).collect();
            let borrowed: Vec<_> = texts.iter().map(|(key, value)| (Some(key.as_str()), value.as_deref())).collect();
            let options = BatchOptions { compression: codec, ..BatchOptions::default() };
            log.append(batch_with(options, START_MS, &borrowed), &AppendOptions::default()).unwrap();
            newest.extend(texts);
        }
        seal(&log);
        let before = contents(&log);
        let end = log.log_end_offset();
        manager.clean_now();
        let after = contents(&log);
        prop_assert!(after.iter().all(|record| before.contains(record)));
        let mut read: BTreeMap<String, Option<String>> = BTreeMap::new();
        read.extend(after.iter().map(|(_, key, value)| (key.clone(), value.clone())));
        prop_assert_eq!(&read, &newest);
        prop_assert_eq!(log.log_end_offset(), end);
        if buffer_keys >= 20 {
            prop_assert_eq!(after.len(), newest.len());
        }
        let mut offset = 0;
        while offset < end {
            let found = contents_from(&log, offset);
            prop_assert_eq!(found, after.iter().map(|(at, ..)| *at).find(|at| *at >= offset));
            offset += 1;
        }
    }
}

fn contents_from(log: &Log, offset: i64) -> Option<i64> {
    read_from(log, offset, ReadLimit::LogEnd).first().map(|(at, ..)| *at)
}
