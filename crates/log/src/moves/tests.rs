//! Moves between log directories: under writes, interrupted, and given up.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use milena_protocol::Uuid;

use super::*;
use crate::testing::{Bench, append, batch, names, small_segments, values};
use crate::{LogConfig, LogManagerOptions};

fn two_dirs(bench: &Bench) -> [PathBuf; 2] {
    ["a", "b"].map(|name| bench.dir.path().join(name))
}

fn open(bench: &Bench) -> (Arc<LogManager>, Arc<Log>) {
    let manager =
        LogManager::open(LogManagerOptions { log_dirs: two_dirs(bench).to_vec(), ..bench.options() }).unwrap();
    let log = manager.get_or_create("orders", 0, Uuid([7; 16]), Arc::new(bench.config.clone())).unwrap();
    manager.start_background();
    (manager, log)
}

fn other_dir(bench: &Bench, log: &Log) -> PathBuf {
    two_dirs(bench).into_iter().find(|dir| *dir != log.log_dir()).unwrap()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn append_values(log: &Log, values: &[&str]) {
    append(log, batch(values));
}

fn read_values(log: &Log) -> Vec<String> {
    values(log).into_iter().map(|(_, value)| value).collect()
}

#[test]
fn a_partition_moves_while_it_is_written_to_and_loses_nothing() {
    let bench = Bench::new(small_segments(100_000));
    let (manager, log) = open(&bench);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (log, stop) = (log.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                append_values(&log, &[&format!("value {written}")]);
                written += 1;
            }
            written
        })
    };
    wait_until("some segments exist", || log.segment_count() > 3);
    for _ in 0..4 {
        let to = other_dir(&bench, &log);
        manager.move_log("orders", 0, &to).unwrap();
        wait_until("the partition has moved", || log.log_dir() == to);
    }
    stop.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    let expected: Vec<String> = (0..written).map(|index| format!("value {index}")).collect();
    assert_eq!(read_values(&log), expected);
    drop(log);
    manager.shutdown().unwrap();
    drop(manager);
    let (_manager, log) = open(&bench);
    assert_eq!(read_values(&log), expected);
}

#[test]
fn a_crash_during_the_copy_keeps_the_original_and_the_move_begins_anew() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = open(&bench);
    append_values(&log, &["x", "y"]);
    let (from, to) = (log.log_dir(), other_dir(&bench, &log));
    drop(log);
    manager.abandon();
    drop(manager);
    let future = to.join("orders-0.0123-future");
    fs::create_dir(&future).unwrap();
    fs::write(future.join("00000000000000000000.log"), "half a copy").unwrap();
    let (manager, log) = open(&bench);
    wait_until("the move was carried out", || log.log_dir() == to);
    assert_eq!(read_values(&log), ["x", "y"]);
    assert!(!from.join("orders-0").exists());
    assert!(names(&to).iter().all(|name| !name.ends_with("-future")));
    drop(manager);
}

#[test]
fn a_crash_between_the_two_renames_is_finished_at_the_next_start() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = open(&bench);
    append_values(&log, &["x"]);
    let (from, to) = (log.log_dir(), other_dir(&bench, &log));
    drop(log);
    manager.abandon();
    drop(manager);
    let future = to.join("orders-0.0123-future");
    fs::rename(from.join("orders-0"), &future).unwrap();
    fs::write(future.join(COMPLETE_FILE), "").unwrap();
    let (_manager, log) = open(&bench);
    assert_eq!(log.log_dir(), to);
    assert_eq!(read_values(&log), ["x"]);
    assert!(!log.path().join(COMPLETE_FILE).exists());
}

#[test]
fn a_move_can_be_called_off() {
    let bench = Bench::new(small_segments(2000));
    let (manager, log) = open(&bench);
    for _ in 0..200 {
        append_values(&log, &["some value that takes a little room"]);
    }
    manager.set_move_rate(100);
    let (from, to) = (log.log_dir(), other_dir(&bench, &log));
    manager.move_log("orders", 0, &to).unwrap();
    wait_until("copying has begun", || manager.moves.of("orders", 0).is_some_and(|running| running.copied_bytes() > 0));
    manager.move_log("orders", 0, &from).unwrap();
    wait_until("the copy is gone", || names(&to).iter().all(|name| !name.ends_with("-future")));
    assert_eq!(log.log_dir(), from);
    append_values(&log, &["still writable"]);
}

#[test]
fn unknown_directories_and_partitions_are_refused() {
    let bench = Bench::new(LogConfig::default());
    let (manager, log) = open(&bench);
    let nowhere = manager.move_log("orders", 0, std::path::Path::new("/nowhere"));
    assert!(matches!(nowhere, Err(MoveError::UnknownLogDir(_))));
    let nothing = manager.move_log("orders", 1, &other_dir(&bench, &log));
    assert!(matches!(nothing, Err(MoveError::UnknownPartition)));
}
