//! `kill -9` at random moments under load: whatever was acknowledged is there, exactly once, at its offset, for ever.
//!
//! The test runs itself as a child that appends to three partitions from two threads and notes every acknowledgement in a file, kills it,
//! opens the logs, and compares. What was written but not acknowledged may be there; once it has been read it must stay.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use milena_log::{AppendOptions, LogConfig, LogManager, LogManagerOptions, ReadLimit};
use milena_protocol::Uuid;
use milena_protocol::compression::Compression;
use milena_protocol::record::{BatchBuilder, BatchOptions, batches};
use milena_stdx::SystemClock;

const PARTITIONS: i32 = 3;
const DIRECTORIES: u64 = 8;
const CRASHES_PER_DIRECTORY: u64 = 26;
const CHILD_DIR: &str = "MILENA_CRASH_TEST_DIR";

/// xorshift: the moments of the crashes need no better source.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn open(dir: &Path) -> Arc<LogManager> {
    let config = Arc::new(config());
    let options = LogManagerOptions {
        cluster_id: "crash".to_string(),
        config_of: Arc::new(move |_| config.clone()),
        flusher_threads: 2,
        preallocate_bytes: 64 * 1024,
        ..LogManagerOptions::new(dir, Arc::new(SystemClock))
    };
    LogManager::open(options).unwrap()
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 48 * 1024, index_interval_bytes: 512, retention_ms: -1, ..LogConfig::default() }
}

fn log_of(manager: &LogManager, partition: i32) -> Arc<milena_log::Log> {
    manager.get_or_create("load", partition, Uuid([1; 16]), Arc::new(config())).unwrap()
}

/// The child: appends until it is killed.
#[test]
#[ignore = "run by acknowledged_records_survive_kill_9 in a process of its own"]
fn writer() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let dir = Path::new(&dir);
    let manager = open(dir);
    std::thread::scope(|scope| {
        for thread in 0..2u64 {
            let manager = &manager;
            scope.spawn(move || append_for_ever(manager, dir, thread));
        }
    });
}

fn append_for_ever(manager: &LogManager, dir: &Path, thread: u64) {
    let mut random = Random(u64::from(std::process::id()) << 8 | (thread + 1));
    let mut acks = fs::OpenOptions::new().append(true).create(true).open(dir.join("acks")).unwrap();
    let producer_id = i64::from(std::process::id()) * 4 + thread as i64;
    let mut sequences = [0; PARTITIONS as usize];
    for round in 0u64.. {
        let partition = random.below(PARTITIONS as u64) as i32;
        let count = 1 + random.below(6);
        let options = BatchOptions {
            compression: if random.below(4) == 0 { Compression::Lz4 } else { Compression::None },
            producer_id,
            producer_epoch: 0,
            base_sequence: sequences[partition as usize],
            ..BatchOptions::default()
        };
        sequences[partition as usize] += count as i32;
        let mut builder = BatchBuilder::new(options);
        let filler = "x".repeat(random.below(700) as usize);
        let name = format!("{producer_id}-{round}");
        for n in 0..count {
            builder.append(1, None, Some(format!("{name}-{n}-{filler}").as_bytes()), &[]);
        }
        let log = log_of(manager, partition);
        let info = log.append(builder.build().unwrap(), &AppendOptions::default()).unwrap();
        if random.below(16) == 0 {
            let (sender, receiver) = std::sync::mpsc::channel();
            log.on_durable(info.last_offset + 1, Box::new(move |result| sender.send(result.is_ok()).unwrap()));
            assert!(receiver.recv().unwrap());
        }
        let line = format!("{partition} {} {count} {name}\n", info.base_offset);
        acks.write_all(line.as_bytes()).unwrap();
    }
}

/// Partition → offset → name of the record that must be there.
type Oracle = BTreeMap<i32, BTreeMap<i64, String>>;

fn add_acks(oracle: &mut Oracle, dir: &Path) -> usize {
    let text = fs::read_to_string(dir.join("acks")).unwrap_or_default();
    for line in text.lines().filter(|_| text.ends_with('\n')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let (partition, base, count) =
            (fields[0].parse().unwrap(), fields[1].parse::<i64>().unwrap(), fields[2].parse::<i64>().unwrap());
        for n in 0..count {
            let name = format!("{}-{n}", fields[3]);
            let known = oracle.entry(partition).or_default().insert(base + n, name.clone());
            assert!(
                known.is_none_or(|known| known == name),
                "two acknowledgements for offset {} of {partition}",
                base + n
            );
        }
    }
    let _ = fs::remove_file(dir.join("acks"));
    text.lines().count()
}

fn read_all(log: &milena_log::Log) -> BTreeMap<i64, String> {
    let mut found = BTreeMap::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let bytes: Bytes =
            log.read(offset, 1 << 20, true, ReadLimit::HighWatermark).unwrap().records.to_bytes().unwrap();
        for batch in batches(&bytes) {
            let batch = batch.unwrap();
            assert!(batch.verify_crc());
            for record in batch.records(1 << 20).unwrap() {
                let record = record.unwrap();
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                let name = value.rsplit_once('-').unwrap().0.to_string();
                found.insert(record.offset, name);
            }
            offset = batch.next_offset();
        }
    }
    found
}

fn check(manager: &LogManager, oracle: &mut Oracle) {
    for partition in 0..PARTITIONS {
        let log = log_of(manager, partition);
        let found = read_all(&log);
        assert_eq!(found.len() as i64, log.log_end_offset(), "offsets of {partition} have no gaps");
        let names: HashSet<&String> = found.values().collect();
        assert_eq!(names.len(), found.len(), "a record of {partition} is there twice");
        for (offset, name) in oracle.entry(partition).or_default().iter() {
            assert_eq!(found.get(offset), Some(name), "partition {partition} offset {offset}");
        }
        oracle.insert(partition, found);
    }
}

fn crash_once(dir: &Path, random: &mut Random) {
    let words = tempfile::NamedTempFile::new().unwrap();
    let said = || fs::read_to_string(words.path()).unwrap_or_default();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["writer", "--exact", "--ignored", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .stdout(words.reopen().unwrap())
        .stderr(words.reopen().unwrap())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !dir.join("acks").exists() {
        let ended = child.try_wait().unwrap();
        assert!(Instant::now() < deadline && ended.is_none(), "the writer does not start ({ended:?}):\n{}", said());
        std::thread::yield_now();
    }
    let moment = Instant::now() + Duration::from_micros(random.below(25_000));
    while Instant::now() < moment {
        std::thread::sleep(Duration::from_micros(200));
    }
    assert!(child.try_wait().unwrap().is_none(), "the writer failed by itself:\n{}", said());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn acknowledged_records_survive_kill_9() {
    let run = |seed: u64| -> usize {
        let dir = tempfile::tempdir().unwrap();
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed + 1));
        let (mut oracle, mut acknowledged) = (Oracle::new(), 0);
        for crash in 0..CRASHES_PER_DIRECTORY {
            crash_once(dir.path(), &mut random);
            acknowledged += add_acks(&mut oracle, dir.path());
            // Every second time the logs go straight to the next writer, so that a crash also meets the leavings of a crash.
            if crash % 2 == 1 {
                let manager = open(dir.path());
                check(&manager, &mut oracle);
                if random.below(4) == 0 {
                    manager.shutdown().unwrap();
                }
            }
        }
        acknowledged
    };
    let acknowledged: usize = std::thread::scope(|scope| {
        let halves =
            [0, 1].map(|half| scope.spawn(move || (0..DIRECTORIES).filter(|n| n % 2 == half).map(run).sum::<usize>()));
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    assert!(acknowledged > 1000, "{acknowledged} acknowledged appends are no load");
    println!("{} crashes, {acknowledged} acknowledged appends", DIRECTORIES * CRASHES_PER_DIRECTORY);
}
