//! After a crash the log holds exactly its whole batches; after a clean stop nothing is read that need not be.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::testing::*;
use crate::{AppendError, AppendOptions, Log, LogConfig, ReadError, ReadLimit, StorageErrorKind};

fn file(bench: &Bench, base_offset: i64, suffix: &str) -> PathBuf {
    bench.partition_dir().join(format!("{base_offset:020}.{suffix}"))
}

fn fill(log: &Log, count: i64) -> Vec<(i64, String)> {
    (0..count).map(|n| (append(log, batch(&[&format!("value-{n}")])).base_offset, format!("value-{n}"))).collect()
}

#[test]
fn a_torn_tail_is_cut_off_at_every_possible_length() {
    let bench = Bench::new(LogConfig::default());
    let (mut manager, mut log) = bench.open_log();
    let expected = fill(&log, 3);
    let whole = fs::metadata(file(&bench, 0, "log")).unwrap().len();
    let torn = batch(&["the torn one"]);
    for length in 1..torn.len() {
        OpenOptions::new()
            .write(true)
            .open(file(&bench, 0, "log"))
            .unwrap()
            .write_all_at(&torn[..length], whole)
            .unwrap();
        (manager, log) = bench.crash(manager, log);
        assert_eq!(log.log_end_offset(), 3, "length {length}");
        assert_eq!(fs::metadata(file(&bench, 0, "log")).unwrap().len(), whole);
    }
    assert_eq!(values(&log), expected);
    assert_eq!(append(&log, batch(&["next"])).base_offset, 3);
}

#[test]
fn zeros_and_garbage_behind_the_last_batch_are_cut_off() {
    for tail in
        [vec![0; 5000], vec![0xff; 300], b"garbage that is no batch at all, and long enough for a header".repeat(3)]
    {
        let bench = Bench::new(LogConfig::default());
        let (manager, log) = bench.open_log();
        let expected = fill(&log, 5);
        let whole = fs::metadata(file(&bench, 0, "log")).unwrap().len();
        OpenOptions::new().write(true).open(file(&bench, 0, "log")).unwrap().write_all_at(&tail, whole).unwrap();
        let (_manager, log) = bench.crash(manager, log);
        assert_eq!(values(&log), expected);
        assert_eq!(fs::metadata(file(&bench, 0, "log")).unwrap().len(), whole);
    }
}

#[test]
fn a_flipped_bit_above_the_recovery_point_ends_the_log_there() {
    let bench = Bench::new(small_segments(500));
    let (manager, log) = bench.open_log();
    let expected = fill(&log, 40);
    let segments = log.segments();
    let (base_offset, size) = segments[segments.len() - 3];
    let data = OpenOptions::new().write(true).open(file(&bench, base_offset, "log")).unwrap();
    data.write_all_at(&[0x55], size - 3).unwrap();
    let (_manager, log) = bench.crash(manager, log);
    let end = segments[segments.len() - 2].0 - 1;
    assert_eq!(log.log_end_offset(), end);
    assert_eq!(values(&log), expected[..end as usize]);
    assert_eq!(append(&log, batch(&["next"])).base_offset, end);
}

#[test]
fn what_lies_below_the_recovery_point_is_trusted() {
    let bench = Bench::new(LogConfig { index_interval_bytes: 100, ..LogConfig::default() });
    let (manager, log) = bench.open_log();
    fill(&log, 40);
    log.flush().unwrap();
    manager.write_checkpoints().unwrap();
    fill(&log, 3);
    OpenOptions::new().write(true).open(file(&bench, 0, "log")).unwrap().write_all_at(&[0x55], 70).unwrap();
    let (_manager, log) = bench.crash(manager, log);
    assert_eq!(log.log_end_offset(), 43);
}

#[test]
fn missing_and_damaged_indexes_are_rebuilt_as_they_were() {
    for clean in [false, true] {
        let bench = Bench::new(small_segments(1500));
        let (manager, log) = bench.open_log();
        let expected = fill(&log, 100);
        drop(log);
        manager.shutdown().unwrap();
        let indexes: Vec<PathBuf> = names(&bench.partition_dir())
            .iter()
            .filter(|name| name.ends_with("index"))
            .map(|name| bench.partition_dir().join(name))
            .collect();
        let before: Vec<Vec<u8>> = indexes.iter().map(|path| fs::read(path).unwrap()).collect();
        assert!(before.iter().filter(|bytes| !bytes.is_empty()).count() > 6);
        for (n, path) in indexes.iter().enumerate() {
            match n % 3 {
                0 => fs::remove_file(path).unwrap(),
                1 => fs::write(path, [0xff; 37]).unwrap(),
                _ => fs::write(path, [0xff; 96]).unwrap(),
            }
        }
        if !clean {
            fs::remove_file(bench.dir.path().join(".kafka_cleanshutdown")).unwrap();
            fs::remove_file(bench.dir.path().join("recovery-point-offset-checkpoint")).unwrap();
        }
        let (manager, log) = bench.open_log();
        assert_eq!(values(&log), expected, "clean: {clean}");
        for offset in [0, 33, 99] {
            assert_eq!(read_from(&log, offset, ReadLimit::LogEnd)[0].0, offset);
        }
        drop(log);
        manager.shutdown().unwrap();
        let data_and_offsets = |path: &&PathBuf| path.extension().is_some_and(|kind| kind == "index");
        for (path, bytes) in indexes.iter().zip(&before).filter(|(path, _)| data_and_offsets(path)) {
            assert_eq!(&fs::read(path).unwrap(), bytes, "{}", path.display());
        }
    }
}

#[test]
fn an_index_that_points_nowhere_does_not_hide_records() {
    let bench = Bench::new(small_segments(1500));
    let (_manager, log) = bench.open_log();
    fill(&log, 100);
    log.flush().unwrap();
    let index = file(&bench, 0, "index");
    let mut bytes = fs::read(&index).unwrap();
    for entry in bytes.as_chunks_mut::<8>().0 {
        entry[7] ^= 0x15;
    }
    fs::write(&index, bytes).unwrap();
    for offset in 0..log.segments()[1].0 {
        assert_eq!(read_from(&log, offset, ReadLimit::LogEnd)[0].0, offset);
    }
}

#[test]
fn sequences_are_remembered_over_a_clean_stop_and_a_crash() {
    let bench = Bench::new(small_segments(400));
    let (manager, log) = bench.open_log();
    for n in 0..20 {
        append(&log, produced_by(5, 1, n, false, &["v"]));
    }
    let duplicates = |log: &Log, remembered: i32| {
        for n in 20 - remembered..20 {
            let info = append(log, produced_by(5, 1, n, false, &["v"]));
            assert_eq!((info.duplicate, info.base_offset), (true, i64::from(n)));
        }
        let refused = log.append(produced_by(5, 1, 22, false, &["v"]), &AppendOptions::default()).unwrap_err();
        assert!(matches!(refused, AppendError::OutOfOrderSequence { got: 22, last: 19, .. }), "{refused}");
    };
    let (manager, log) = bench.crash(manager, log);
    duplicates(&log, 5);
    drop(log);
    manager.shutdown().unwrap();
    let (manager, log) = bench.open_log();
    duplicates(&log, 1);
    for name in names(&bench.partition_dir()).iter().filter(|name| name.ends_with(".snapshot")) {
        fs::write(bench.partition_dir().join(name), b"damaged").unwrap();
    }
    let (_manager, log) = bench.crash(manager, log);
    duplicates(&log, 5);
}

#[test]
fn an_open_transaction_is_still_open_after_a_crash() {
    let bench = Bench::new(small_segments(300));
    let (manager, log) = bench.open_log();
    append(&log, produced_by(5, 1, 0, true, &["v"]));
    fill(&log, 10);
    let (manager, log) = bench.crash(manager, log);
    assert_eq!(log.last_stable_offset(), 0);
    end_txn(&log, 5, 1, false);
    assert_eq!(log.last_stable_offset(), 12);
    fs::remove_file(file(&bench, log.segments().last().unwrap().0, "txnindex")).unwrap();
    let (_manager, log) = bench.crash(manager, log);
    assert_eq!(log.last_stable_offset(), 12);
    assert_eq!(
        log.read(0, 500, true, ReadLimit::LastStable).unwrap().aborted.unwrap().len(),
        1,
        "the index is rebuilt from the markers"
    );
}

#[test]
fn leader_epochs_are_rebuilt_from_the_batches() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = bench.open_log();
    for (leader_epoch, count) in [(1, 3), (4, 2)] {
        for _ in 0..count {
            log.append(batch(&["v"]), &AppendOptions { leader_epoch, ..AppendOptions::default() }).unwrap();
        }
    }
    fs::remove_file(bench.partition_dir().join("leader-epoch-checkpoint")).unwrap();
    let (_manager, log) = bench.crash(manager, log);
    let epochs: Vec<_> = log.leader_epochs().iter().map(|entry| (entry.leader_epoch, entry.start_offset)).collect();
    assert_eq!(epochs, [(1, 0), (4, 3)]);
    assert_eq!(log.end_offset_for_epoch(2), (1, 3));
}

#[test]
fn deleted_and_temporary_files_are_removed_and_orphans_too() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = bench.open_log();
    let expected = fill(&log, 5);
    for name in [
        "00000000000000000000.log.deleted",
        "00000000000000000077.index",
        "00000000000000000000.timeindex.cleaned",
        "leader-epoch-checkpoint.tmp",
    ] {
        fs::write(bench.partition_dir().join(name), b"leftover").unwrap();
    }
    fs::create_dir(bench.dir.path().join("gone-0.5f3a-delete")).unwrap();
    let (manager, log) = bench.crash(manager, log);
    assert_eq!(values(&log), expected);
    let left = names(&bench.partition_dir());
    assert!(
        left.iter().all(|name| !name.contains("deleted")
            && !name.contains("cleaned")
            && !name.contains("77")
            && !name.contains("tmp")),
        "{left:?}"
    );
    manager.empty_trash();
    assert!(!bench.dir.path().join("gone-0.5f3a-delete").exists());
}

#[test]
fn message_sets_of_old_kafka_are_left_alone() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = bench.open_log();
    fill(&log, 1);
    let body = [&[0u8, 0][..], &(-1i32).to_be_bytes(), &3i32.to_be_bytes(), b"old"].concat();
    let mut message = 0i64.to_be_bytes().to_vec();
    message.extend_from_slice(&(body.len() as i32 + 4).to_be_bytes());
    message.extend_from_slice(&crc_fast::crc32_iso_hdlc(&body).to_be_bytes());
    message.extend_from_slice(&body);
    let bytes = message.repeat(4);
    fs::write(file(&bench, 0, "log"), &bytes).unwrap();
    drop(log);
    manager.abandon();
    drop(manager);
    let manager = bench.open();
    assert!(manager.get("orders", 0).is_none());
    let refused =
        manager.get_or_create("orders", 0, milena_protocol::Uuid::ZERO, bench.config.clone().into()).unwrap_err();
    assert_eq!(refused.kind, StorageErrorKind::Corrupt);
    assert_eq!(fs::read(file(&bench, 0, "log")).unwrap(), bytes);
}

#[test]
fn a_log_start_beyond_lost_data_starts_the_log_there() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = bench.open_log();
    fill(&log, 10);
    log.delete_records(8).unwrap();
    manager.write_checkpoints().unwrap();
    OpenOptions::new().write(true).open(file(&bench, 0, "log")).unwrap().set_len(100).unwrap();
    let (_manager, log) = bench.crash(manager, log);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (8, 8));
    assert!(matches!(log.read(0, 100, true, ReadLimit::LogEnd), Err(ReadError::OutOfRange { .. })));
    assert_eq!(append(&log, batch(&["next"])).base_offset, 8);
}
