//! What the log writes can be read file by file.

use super::*;
use crate::testing::*;

#[test]
fn every_file_of_a_log_can_be_dumped() {
    let bench = Bench::new(small_segments(400));
    let (manager, log) = bench.open_log();
    append(&log, produced_by(1, 0, 0, true, &["a", "b"]));
    end_txn(&log, 1, 0, false);
    for _ in 0..10 {
        append(&log, batch(&["value"]));
    }
    drop(log);
    manager.shutdown().unwrap();
    let mut seen = Vec::new();
    let mut next_offset = 0;
    for name in names(&bench.partition_dir()) {
        let path = bench.partition_dir().join(&name);
        let Some((kind, base_offset)) = identify(&path) else {
            assert_eq!(name, "partition.metadata");
            continue;
        };
        seen.push(kind);
        match kind {
            FileKind::Log => {
                assert_eq!(base_offset, next_offset);
                let mut dumped = batches(&path, u64::MAX).unwrap();
                for batch in dumped.by_ref() {
                    let batch = batch.unwrap();
                    assert!(batch.is_valid);
                    next_offset = milena_protocol::record::BatchView::parse(&batch.bytes).unwrap().next_offset();
                }
                assert_eq!(dumped.position(), dumped.end());
            }
            FileKind::OffsetIndex => {
                assert!(offset_index(&path, base_offset).unwrap().is_sorted_by_key(|entry| entry.position))
            }
            FileKind::TimeIndex => {
                assert!(time_index(&path, base_offset).unwrap().iter().all(|entry| entry.timestamp == START_MS))
            }
            FileKind::TransactionIndex => assert_eq!(transaction_index(&path).unwrap()[0].producer_id, 1),
            FileKind::ProducerSnapshot => assert!(producer_snapshot(&path).unwrap().len() <= 1),
            FileKind::LeaderEpochs => {
                assert_eq!(leader_epochs(&path).unwrap(), [EpochEntry { leader_epoch: 0, start_offset: 0 }])
            }
        }
    }
    assert_eq!(next_offset, 13);
    for kind in [
        FileKind::Log,
        FileKind::OffsetIndex,
        FileKind::TimeIndex,
        FileKind::TransactionIndex,
        FileKind::ProducerSnapshot,
        FileKind::LeaderEpochs,
    ] {
        assert!(seen.contains(&kind), "{kind:?}");
    }
}

#[test]
fn names_with_a_suffix_are_recognised() {
    let kind = |name: &str| identify(Path::new(name));
    assert_eq!(kind("/x/00000000000000000012.log.deleted"), Some((FileKind::Log, 12)));
    assert_eq!(kind("00000000000000000012-0000000003.checkpoint"), Some((FileKind::Log, 12)));
    assert_eq!(kind("00000000000000000012.txnindex"), Some((FileKind::TransactionIndex, 12)));
    assert_eq!(kind("partition.metadata"), None);
}
