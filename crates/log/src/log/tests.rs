//! Append and read: what goes in comes out, at the promised offsets, whatever the layout on disk.

use milena_protocol::compression::Compression;
use milena_protocol::record::{BatchOptions, BatchView, TimestampType};

use crate::testing::*;
use crate::{AppendError, AppendOptions, AppendOrigin, CompressionType, LogConfig, ReadError, ReadLimit};

fn refused(log: &crate::Log, records: bytes::Bytes) -> AppendError {
    let before = log.log_end_offset();
    let error = log.append(records, &AppendOptions::default()).unwrap_err();
    assert_eq!(log.log_end_offset(), before);
    error
}

fn patched(records: bytes::Bytes, patch: impl FnOnce(&mut crate::batch_header::HeaderBytes)) -> bytes::Bytes {
    let mut header = crate::batch_header::HeaderBytes::copy_from(&records).unwrap();
    patch(&mut header);
    header.seal(&records[61..]);
    [&header.0[..], &records[61..]].concat().into()
}

#[test]
fn records_are_read_back_at_the_offsets_they_were_given() {
    let bench = Bench::new(LogConfig::default());
    let (_manager, log) = bench.open_log();
    let first = append(&log, batch(&["a", "b"]));
    let second = append(&log, compressed(Compression::Lz4, &["c", "d", "e"]));
    assert_eq!((first.base_offset, first.last_offset, first.duplicate), (0, 1, false));
    assert_eq!((second.base_offset, second.last_offset, second.log_append_time), (2, 4, -1));
    let expected: Vec<_> = (0..).zip(["a", "b", "c", "d", "e"].map(String::from)).collect();
    assert_eq!(values(&log), expected);
    assert_eq!((log.log_end_offset(), log.high_watermark(), log.last_stable_offset()), (5, 5, 5));
    let bytes = log.read(3, 10_000, true, ReadLimit::LogEnd).unwrap().records.to_bytes().unwrap();
    assert_eq!(BatchView::parse(&bytes).unwrap().base_offset(), 2, "the batch that contains the offset");
}

#[test]
fn the_directory_has_kafkas_files() {
    let bench = Bench::new(LogConfig::default());
    let (_manager, log) = bench.open_log();
    assert_eq!(names(&bench.partition_dir()), ["partition.metadata"]);
    let id = std::fs::read_to_string(bench.partition_dir().join("partition.metadata")).unwrap();
    assert_eq!(id, format!("version: 0\ntopic_id: {}", milena_protocol::Uuid([7; 16])));
    append(&log, batch(&["a"]));
    let expected = [
        "00000000000000000000.index",
        "00000000000000000000.log",
        "00000000000000000000.timeindex",
        "leader-epoch-checkpoint",
        "partition.metadata",
    ];
    assert_eq!(names(&bench.partition_dir()), expected);
    let epochs = std::fs::read_to_string(bench.partition_dir().join("leader-epoch-checkpoint")).unwrap();
    assert_eq!(epochs, "0\n1\n0 0\n");
}

#[test]
fn segments_roll_by_size_and_reads_cross_them() {
    let bench = Bench::new(small_segments(300));
    let (_manager, log) = bench.open_log();
    let mut expected = Vec::new();
    for n in 0..100 {
        append(&log, batch(&[&format!("value-{n}"), "x"]));
        expected.extend([(n * 2, format!("value-{n}")), (n * 2 + 1, "x".to_string())]);
    }
    assert!(log.segment_count() > 20);
    assert!(log.segments().iter().all(|(_, size)| *size <= 300));
    assert_eq!(values(&log), expected);
    for offset in [0, 1, 57, 120, 199] {
        assert_eq!(read_from(&log, offset, ReadLimit::LogEnd)[0].0, offset);
    }
    assert!(bench.partition_dir().join(format!("{:020}.snapshot", log.segments()[3].0)).exists());
}

#[test]
fn segments_roll_by_age_of_their_first_record() {
    let bench = Bench::new(LogConfig { segment_ms: 1000, ..LogConfig::default() });
    let (_manager, log) = bench.open_log();
    let at = |offset_ms: i64| batch_with(BatchOptions::default(), START_MS + offset_ms, &[(None, Some("v"))]);
    append(&log, at(0));
    append(&log, at(1000));
    assert_eq!(log.segment_count(), 1);
    append(&log, at(1001));
    assert_eq!(log.segment_count(), 2);
}

#[test]
fn a_full_index_rolls_the_segment() {
    let bench = Bench::new(LogConfig { index_interval_bytes: 0, segment_index_bytes: 80, ..LogConfig::default() });
    let (_manager, log) = bench.open_log();
    for _ in 0..40 {
        append(&log, batch(&["value"]));
    }
    assert!(log.segment_count() >= 3, "{}", log.segment_count());
    assert_eq!(values(&log).len(), 40);
}

#[test]
fn reads_respect_the_byte_limit_at_batch_boundaries() {
    let bench = Bench::new(small_segments(1_000_000));
    let (_manager, log) = bench.open_log();
    let size = batch(&["0123456789"]).len();
    for _ in 0..50 {
        append(&log, batch(&["0123456789"]));
    }
    for (max_bytes, batches) in
        [(size * 3, 3), (size * 3 + 1, 3), (size * 4 - 1, 3), (size, 1), (size - 1, 1), (0, 1), (size * 100, 43)]
    {
        let data = log.read(7, max_bytes, true, ReadLimit::LogEnd).unwrap();
        assert_eq!(data.records.len(), batches * size, "{max_bytes}");
    }
    assert!(log.read(7, size - 1, false, ReadLimit::LogEnd).unwrap().records.is_empty());
    assert!(log.read(50, 1000, true, ReadLimit::LogEnd).unwrap().records.is_empty());
    assert!(matches!(
        log.read(51, 1000, true, ReadLimit::LogEnd),
        Err(ReadError::OutOfRange { log_end_offset: 50, .. })
    ));
    assert!(matches!(log.read(-1, 1000, true, ReadLimit::LogEnd), Err(ReadError::OutOfRange { .. })));
}

#[test]
fn damaged_and_lying_batches_are_refused() {
    let bench = Bench::new(LogConfig::default());
    let (_manager, log) = bench.open_log();
    let good = batch(&["a", "b"]);
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    assert!(matches!(refused(&log, flipped.into()), AppendError::Corrupt(_)));
    assert!(matches!(refused(&log, good.slice(..40)), AppendError::Corrupt(_)));
    assert!(matches!(refused(&log, good.slice(..good.len() - 1)), AppendError::Corrupt(_)));
    assert!(matches!(refused(&log, bytes::Bytes::new()), AppendError::Corrupt(_)));
    let count = |header: &mut crate::batch_header::HeaderBytes, delta: i32, count: i32| {
        header.0[23..27].copy_from_slice(&delta.to_be_bytes());
        header.0[57..61].copy_from_slice(&count.to_be_bytes());
    };
    for (delta, number) in [(2, 3), (0, 1), (1, 3), (i32::MAX - 1, i32::MAX), (-1, 0)] {
        refused(&log, patched(good.clone(), |header| count(header, delta, number)));
    }
    assert!(matches!(
        refused(&log, patched(good.clone(), |header| header.set_attributes(1 << 5))),
        AppendError::InvalidRecord { .. }
    ));
    assert!(matches!(
        refused(&log, patched(good.clone(), |header| header.set_attributes(1 << 3))),
        AppendError::InvalidTimestamp { .. }
    ));
    assert!(matches!(
        refused(&log, patched(good.clone(), |header| header.set_attributes(6))),
        AppendError::UnsupportedCompression(_)
    ));
    assert!(matches!(
        refused(&log, patched(good.clone(), |header| header.set_base_offset(5))),
        AppendError::InvalidRecord { .. }
    ));
    assert!(matches!(refused(&log, [&good[..], &good[..]].concat().into()), AppendError::InvalidRecord { .. }));
    append(&log, good);
}

#[test]
fn batches_beyond_the_size_limits_are_refused() {
    let bench = Bench::new(LogConfig { max_message_bytes: 100, ..LogConfig::default() });
    let (_manager, log) = bench.open_log();
    assert!(matches!(refused(&log, batch(&["x".repeat(60).as_str()])), AppendError::BatchTooLarge { limit: 100, .. }));
    log.update_config(LogConfig { segment_bytes: 90, ..LogConfig::default() }.into());
    assert!(matches!(
        refused(&log, batch(&["x".repeat(60).as_str()])),
        AppendError::LargerThanSegment { limit: 90, .. }
    ));
}

#[test]
fn timestamps_outside_the_bounds_are_refused_with_the_record_at_fault() {
    let bench = Bench::new(LogConfig { message_timestamp_before_max_ms: 1000, ..LogConfig::default() });
    let (_manager, log) = bench.open_log();
    for timestamp in [START_MS + 3_600_001, START_MS - 1001] {
        let AppendError::InvalidTimestamp { record_errors, .. } =
            refused(&log, batch_with(BatchOptions::default(), timestamp, &[(None, None)]))
        else {
            panic!("{timestamp}")
        };
        assert_eq!(record_errors[0].batch_index, 0);
    }
    append(&log, batch_with(BatchOptions::default(), -1, &[(None, None)]));
    append(&log, batch_with(BatchOptions::default(), START_MS + 3_600_000, &[(None, None)]));
}

#[test]
fn a_compacted_topic_names_the_records_without_a_key() {
    for compression in [Compression::None, Compression::Gzip] {
        let bench = Bench::new(compacted());
        let (_manager, log) = bench.open_log();
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let records = batch_with(options, START_MS, &[(Some("k"), Some("v")), (None, Some("v")), (None, None)]);
        let AppendError::InvalidRecord { record_errors, .. } = refused(&log, records) else { panic!() };
        assert_eq!(record_errors.iter().map(|error| error.batch_index).collect::<Vec<_>>(), [1, 2]);
    }
}

#[test]
fn log_append_time_stamps_the_batch_and_keeps_its_crc_right() {
    let bench = Bench::new(LogConfig { message_timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() });
    let (_manager, log) = bench.open_log();
    let info = append(&log, batch_with(BatchOptions::default(), 5, &[(None, Some("v"))]));
    assert_eq!(info.log_append_time, START_MS);
    let bytes = log.read(0, 1000, true, ReadLimit::LogEnd).unwrap().records.to_bytes().unwrap();
    let view = BatchView::parse(&bytes).unwrap();
    assert!(view.verify_crc());
    assert_eq!((view.timestamp_type(), view.max_timestamp()), (TimestampType::LogAppendTime, START_MS));
}

#[test]
fn a_fixed_compression_type_reencodes_what_has_another_codec() {
    for target in [Compression::None, Compression::Gzip, Compression::Zstd, Compression::Snappy, Compression::Lz4] {
        let bench = Bench::new(LogConfig { compression_type: CompressionType::Fixed(target), ..LogConfig::default() });
        let (_manager, log) = bench.open_log();
        for source in [Compression::None, Compression::Snappy, Compression::Zstd] {
            append(&log, compressed(source, &["a", "b"]));
        }
        assert_eq!(values(&log).iter().map(|(_, value)| value.as_str()).collect::<String>(), "ababab");
        let bytes = log.read(0, 1000, true, ReadLimit::LogEnd).unwrap().records.to_bytes().unwrap();
        for view in milena_protocol::record::batches(&bytes) {
            assert_eq!(view.unwrap().compression().unwrap(), target);
        }
    }
}

#[test]
fn a_retried_batch_gets_its_first_offsets_and_is_not_appended_again() {
    let bench = Bench::new(LogConfig::default());
    let (_manager, log) = bench.open_log();
    append(&log, produced_by(5, 0, 0, false, &["a", "b"]));
    append(&log, produced_by(5, 0, 2, false, &["c"]));
    let retried = append(&log, produced_by(5, 0, 0, false, &["a", "b"]));
    assert_eq!((retried.base_offset, retried.last_offset, retried.duplicate), (0, 1, true));
    assert_eq!(log.log_end_offset(), 3);
    assert!(matches!(
        refused(&log, produced_by(5, 0, 4, false, &["e"])),
        AppendError::OutOfOrderSequence { got: 4, last: 2, .. }
    ));
}

#[test]
fn read_committed_stops_at_open_transactions_and_hears_of_aborted_ones() {
    let bench = Bench::new(small_segments(400));
    let (manager, log) = bench.open_log();
    append(&log, batch(&["plain"]));
    append(&log, produced_by(1, 0, 0, true, &["aborted-1", "aborted-2"]));
    append(&log, produced_by(2, 0, 0, true, &["committed"]));
    assert_eq!(log.last_stable_offset(), 1);
    let data = log.read(0, 10_000, true, ReadLimit::LastStable).unwrap();
    assert_eq!(data.records.len(), batch(&["plain"]).len());
    assert_eq!(data.aborted, Some(vec![]));
    assert_eq!(end_txn(&log, 1, 0, false).base_offset, 4);
    assert_eq!(log.last_stable_offset(), 3);
    end_txn(&log, 2, 0, true);
    for _ in 0..8 {
        append(&log, batch(&["filler"]));
    }
    assert_eq!(log.last_stable_offset(), log.log_end_offset());
    let check = |log: &crate::Log| {
        let aborted = log.read(1, 10_000, true, ReadLimit::LastStable).unwrap().aborted.unwrap();
        assert_eq!(aborted.iter().map(|txn| (txn.producer_id, txn.first_offset)).collect::<Vec<_>>(), [(1, 1)]);
        assert_eq!(log.read(5, 10_000, true, ReadLimit::LastStable).unwrap().aborted, Some(vec![]));
        assert_eq!(log.read(0, 10_000, true, ReadLimit::HighWatermark).unwrap().aborted, None);
    };
    check(&log);
    let (_manager, log) = bench.crash(manager, log);
    check(&log);
    let markers =
        crate::transaction_index::read_entries(&bench.partition_dir().join("00000000000000000000.txnindex")).unwrap();
    assert_eq!(
        markers
            .iter()
            .map(|entry| (entry.producer_id, entry.first_offset, entry.last_offset, entry.last_stable_offset))
            .collect::<Vec<_>>(),
        [(1, 1, 4, 3)]
    );
}

#[test]
fn offsets_are_found_by_timestamp_over_segments_and_out_of_order_times() {
    let bench = Bench::new(small_segments(400));
    let (_manager, log) = bench.open_log();
    let times: Vec<i64> = (0..60).map(|n| START_MS + (n / 7) * 100 - (n % 7) * 20).collect();
    for time in &times {
        append(&log, batch_with(BatchOptions::default(), *time, &[(None, Some("v"))]));
    }
    for target in (START_MS - 200..START_MS + 1000).step_by(10) {
        let expected = times.iter().position(|time| *time >= target).map(|index| (times[index], index as i64));
        let found = log.offset_for_timestamp(target).unwrap().map(|found| (found.timestamp, found.offset));
        assert_eq!(found, expected, "{}", target - START_MS);
    }
    let max = *times.iter().max().unwrap();
    let first_max = times.iter().position(|time| *time == max).unwrap() as i64;
    let found = log.max_timestamp_offset().unwrap().unwrap();
    assert_eq!((found.timestamp, found.offset, found.leader_epoch), (max, first_max, 0));
}

#[test]
fn deleting_records_moves_the_start_and_removes_whole_segments() {
    let bench = Bench::new(small_segments(300));
    let (manager, log) = bench.open_log();
    for n in 0..30 {
        append(&log, batch(&[&format!("{n}")]));
    }
    assert_eq!(log.delete_records(17).unwrap(), 17);
    assert!(log.segments()[0].0 <= 17 && log.segments()[1].0 > 17);
    assert!(matches!(
        log.read(16, 100, true, ReadLimit::LogEnd),
        Err(ReadError::OutOfRange { log_start_offset: 17, .. })
    ));
    assert_eq!(values(&log)[0], (17, "17".to_string()));
    assert!(log.delete_records(31).is_err());
    assert_eq!(log.delete_records(5).unwrap(), 17);
    assert!(names(&bench.partition_dir()).iter().any(|name| name.ends_with(".log.deleted")));
    bench.clock.advance(std::time::Duration::from_secs(61));
    manager.empty_trash();
    assert!(!names(&bench.partition_dir()).iter().any(|name| name.ends_with(".deleted")));
    assert_eq!(log.delete_records(-1).unwrap(), 30);
    drop(log);
    manager.shutdown().unwrap();
    let (_manager, log) = bench.open_log();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (30, 30));
    assert_eq!(append(&log, batch(&["next"])).base_offset, 30);
}

#[test]
fn retention_by_size_and_by_time_keeps_what_it_must() {
    let bench = Bench::new(LogConfig { retention_bytes: 700, retention_ms: 10_000, ..small_segments(300) });
    let (_manager, log) = bench.open_log();
    for n in 0..40 {
        append(&log, batch(&[&format!("{n}")]));
    }
    let size = log.size_in_bytes();
    log.apply_retention().unwrap();
    assert!(log.size_in_bytes() >= 700 && log.size_in_bytes() < size);
    assert!(log.size_in_bytes() - log.segments()[0].1 < 700);
    assert_eq!(log.log_start_offset(), log.segments()[0].0);
    bench.clock.advance(std::time::Duration::from_millis(10_001));
    log.apply_retention().unwrap();
    assert_eq!((log.segment_count(), log.size_in_bytes(), log.log_start_offset()), (1, 0, 40));
    assert_eq!(append(&log, batch(&["next"])).base_offset, 40);
}

#[test]
fn retention_deletes_nothing_when_the_clock_was_set_back() {
    const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;
    let bench = Bench::new(LogConfig { retention_ms: 10_000, ..small_segments(300) });
    let (_manager, log) = bench.open_log();
    for n in 0..20 {
        append(&log, batch(&[&format!("{n}")]));
    }
    bench.clock.advance_ms(-YEAR_MS);
    assert_eq!(log.apply_retention().unwrap(), 0, "records of the future are not old");
    bench.clock.advance_ms(YEAR_MS + 10_001);
    log.apply_retention().unwrap();
    assert_eq!((log.size_in_bytes(), log.log_start_offset()), (0, 20));
}

#[test]
fn leader_epochs_end_where_the_next_begins() {
    let bench = Bench::new(LogConfig::default());
    let (_manager, log) = bench.open_log();
    let at = |leader_epoch| AppendOptions { leader_epoch, ..AppendOptions::default() };
    log.append(batch(&["a", "b"]), &at(3)).unwrap();
    log.append(batch(&["c"]), &at(5)).unwrap();
    assert_eq!(log.latest_leader_epoch(), 5);
    assert_eq!(log.end_offset_for_epoch(5), (5, 3));
    assert_eq!(log.end_offset_for_epoch(4), (3, 2));
    assert_eq!(log.end_offset_for_epoch(6), (-1, -1));
    log.start_new_leader_epoch(6);
    assert_eq!(log.end_offset_for_epoch(5), (5, 3));
    assert_eq!(log.end_offset_for_epoch(6), (6, 3));
}

#[test]
fn a_coordinator_may_append_several_batches_at_once() {
    let bench = Bench::new(LogConfig::default());
    let (_manager, log) = bench.open_log();
    let records = [&batch(&["a"])[..], &batch(&["b", "c"])[..]].concat();
    let options = AppendOptions { origin: AppendOrigin::Coordinator, ..AppendOptions::default() };
    let info = log.append(records.into(), &options).unwrap();
    assert_eq!((info.base_offset, info.last_offset), (0, 2));
    assert_eq!(values(&log).len(), 3);
}

#[test]
fn everything_below_is_durable_when_the_callback_comes() {
    let bench = Bench::new(small_segments(500));
    let (_manager, log) = bench.open_log();
    let (sender, receiver) = std::sync::mpsc::channel();
    for n in 0..50 {
        let info = append(&log, batch(&[&format!("{n}")]));
        let sender = sender.clone();
        let waiting = log.clone();
        let next_offset = info.last_offset + 1;
        log.on_durable(
            next_offset,
            Box::new(move |result| {
                assert!(waiting.durable_offset() >= next_offset);
                sender.send((next_offset, result.is_ok())).unwrap();
            }),
        );
    }
    let mut answered: Vec<_> =
        (0..50).map(|_| receiver.recv_timeout(std::time::Duration::from_secs(20)).unwrap()).collect();
    answered.sort_unstable();
    assert_eq!(answered, (1..=50).map(|offset| (offset, true)).collect::<Vec<_>>());
}
