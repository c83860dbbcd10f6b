//! What the replicas of a partition answered, compared batch by batch.

use std::fmt;

use bytes::Bytes;

use milena_protocol::record::{BatchView, RecordError, batches, legacy};

/// Records of the old message formats decompress to at most this much.
const DECOMPRESSED_MAX: usize = 512 * 1024 * 1024;

/// What one replica answered to a fetch at the position of its partition.
#[derive(Debug, Clone)]
pub(super) struct ReplicaAnswer {
    /// Id of the broker.
    pub replica: i32,
    /// High watermark that it knows.
    pub high_watermark: i64,
    /// Whole batches, and perhaps the beginning of one more.
    pub records: Bytes,
}

/// What a comparison led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compared {
    /// The first offset that is not yet verified.
    pub position: i64,
    /// The highest high watermark of the answers.
    pub high_watermark: i64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Something that is wrong with a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// Two replicas have different batches at the same place; nothing after it can be compared.
    Offsets { first: (i32, i64), second: (i32, i64) },
    /// Two replicas have batches with the same offsets and different contents: replicas with their checksums.
    Checksums { offset: i64, first: (i32, u32), second: (i32, u32) },
    /// The records of a batch do not have the checksum that the batch names.
    Damaged { replica: i32, offset: i64, why: String },
    /// What a replica holds at an offset is no batch; nothing after it can be read.
    Unreadable { replica: i32, offset: i64, why: String },
    /// Offsets that should be there are not: `from` to `upto` without `upto`.
    Gap { replica: i32, from: i64, upto: i64 },
}

impl Finding {
    /// Whether the partition cannot be verified any further.
    pub(super) fn ends_partition(&self) -> bool {
        matches!(self, Finding::Offsets { .. } | Finding::Unreadable { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Offsets { first: (replica, offset), second: (other, other_offset) } => {
                write!(f, ": replica {replica}'s offset {offset} doesn't match replica {other}'s offset {other_offset}")
            }
            Finding::Checksums { offset, first: (replica, checksum), second: (other, other_checksum) } => write!(
                f,
                " has unmatched checksum at offset {offset}; replica {replica}'s checksum {checksum}; replica {other}'s checksum {other_checksum}"
            ),
            Finding::Damaged { replica, offset, why } => {
                write!(f, " is damaged on replica {replica} at offset {offset}: {why}")
            }
            Finding::Unreadable { replica, offset, why } => {
                write!(f, " cannot be read on replica {replica} after offset {offset}: {why}")
            }
            Finding::Gap { replica, from, upto } => {
                write!(f, " lacks the offsets {from} to {} on replica {replica}", upto - 1)
            }
        }
    }
}

/// Compares what all replicas of a partition answered to a fetch at `position`, up to their high watermarks.
///
/// Only batches that every replica has sent count; the next fetch begins after them. `continuous` says that no offset
/// may be missing: true unless the topic is compacted.
pub(super) fn compare(position: i64, answers: &[ReplicaAnswer], continuous: bool) -> Compared {
    let high_watermark = answers.iter().map(|answer| answer.high_watermark).max().unwrap_or(position);
    let mut compared = Compared { position, high_watermark, findings: Vec::new() };
    let converted: Vec<Result<Bytes, RecordError>> = answers.iter().map(|a| to_current_format(&a.records)).collect();
    let mut walks: Vec<_> = Vec::new();
    for (answer, records) in answers.iter().zip(&converted) {
        match records {
            Ok(records) => walks.push((answer, batches(records))),
            Err(error) => {
                compared.findings.push(unreadable(answer.replica, position, error));
                return compared;
            }
        }
    }
    loop {
        let mut row: Vec<(i32, BatchView<'_>)> = Vec::with_capacity(walks.len());
        for (answer, walk) in &mut walks {
            match walk.next() {
                Some(Ok(batch)) if batch.last_offset() < answer.high_watermark => row.push((answer.replica, batch)),
                Some(Err(error)) if !matches!(error, RecordError::Truncated { .. }) => {
                    compared.findings.push(unreadable(answer.replica, compared.position, &error));
                    return compared;
                }
                _ => return compared,
            }
        }
        if !compared.take_row(&row, continuous) {
            return compared;
        }
    }
}

impl Compared {
    /// Judges the batches that the replicas have at the same place; false when there is nothing to go on with.
    fn take_row(&mut self, row: &[(i32, BatchView<'_>)], continuous: bool) -> bool {
        let Some(((first_replica, first), others)) = row.split_first() else { return false };
        for (replica, other) in others {
            if other.last_offset() != first.last_offset() {
                let (first, second) = ((*first_replica, first.last_offset()), (*replica, other.last_offset()));
                self.findings.push(Finding::Offsets { first, second });
                return false;
            }
            if other.crc() != first.crc() {
                self.findings.push(Finding::Checksums {
                    offset: first.last_offset(),
                    first: (*first_replica, first.crc()),
                    second: (*replica, other.crc()),
                });
            }
        }
        for (replica, batch) in row {
            if let Err(error) = batch.check_crc() {
                let (replica, offset) = (*replica, batch.base_offset());
                self.findings.push(Finding::Damaged { replica, offset, why: error.to_string() });
            }
            if continuous && batch.base_offset() > self.position {
                let (replica, upto) = (*replica, batch.base_offset());
                self.findings.push(Finding::Gap { replica, from: self.position, upto });
            }
        }
        let goes_on = first.next_offset() > self.position;
        self.position = self.position.max(first.next_offset());
        goes_on
    }
}

fn unreadable(replica: i32, offset: i64, error: &RecordError) -> Finding {
    Finding::Unreadable { replica, offset, why: error.to_string() }
}

/// Logs written before Kafka 0.11 keep their format on disk.
fn to_current_format(records: &Bytes) -> Result<Bytes, RecordError> {
    const MAGIC_POSITION: usize = 16;
    match records.get(MAGIC_POSITION) {
        Some(0 | 1) => legacy::up_convert(records, DECOMPRESSED_MAX),
        _ => Ok(records.clone()),
    }
}

#[cfg(test)]
mod tests {
    use milena_protocol::record::{BatchBuilder, BatchOptions};

    use super::*;

    fn batch(base_offset: i64, values: &[&str]) -> Bytes {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset, ..BatchOptions::default() });
        for value in values {
            builder.append(1_000, None, Some(value.as_bytes()), &[]);
        }
        builder.build().unwrap()
    }

    fn answer(replica: i32, high_watermark: i64, records: &[Bytes]) -> ReplicaAnswer {
        ReplicaAnswer { replica, high_watermark, records: Bytes::from(records.concat()) }
    }

    fn spoiled(batch: &Bytes, at_end: usize) -> Bytes {
        let mut bytes = batch.to_vec();
        let index = bytes.len() - at_end;
        bytes[index] ^= 1;
        bytes.into()
    }

    #[test]
    fn equal_replicas_are_verified_up_to_the_high_watermark() {
        let log = [batch(0, &["a", "b"]), batch(2, &["c"]), batch(3, &["d"])];
        let compared = compare(0, &[answer(1, 3, &log), answer(2, 3, &log)], true);
        assert_eq!(compared, Compared { position: 3, high_watermark: 3, findings: vec![] });
    }

    #[test]
    fn a_replica_that_is_behind_holds_the_verification_up_and_is_no_mistake() {
        let log = [batch(0, &["a"]), batch(1, &["b"])];
        let compared = compare(0, &[answer(1, 2, &log), answer(2, 1, &log[..1])], true);
        assert_eq!(compared, Compared { position: 1, high_watermark: 2, findings: vec![] });
    }

    #[test]
    fn replicas_with_other_records_or_offsets_are_told_apart() {
        let (one, other) = (batch(0, &["a"]), batch(0, &["b"]));
        let compared = compare(0, &[answer(1, 9, std::slice::from_ref(&one)), answer(2, 9, &[other])], true);
        assert!(matches!(compared.findings[..], [Finding::Checksums { offset: 0, .. }]), "{compared:?}");
        assert_eq!(compared.position, 1);

        let longer = batch(0, &["a", "b"]);
        let compared = compare(0, &[answer(1, 9, &[one]), answer(2, 9, &[longer])], true);
        assert_eq!(compared.findings, [Finding::Offsets { first: (1, 0), second: (2, 1) }]);
        assert_eq!(compared.findings[0].to_string(), ": replica 1's offset 0 doesn't match replica 2's offset 1");
    }

    #[test]
    fn a_flipped_bit_is_found_on_the_one_replica_and_the_rest_is_still_verified() {
        let log = [spoiled(&batch(0, &["a"]), 3), batch(1, &["b"])];
        let compared = compare(0, &[answer(1, 2, &log)], true);
        assert!(matches!(compared.findings[..], [Finding::Damaged { replica: 1, offset: 0, .. }]), "{compared:?}");
        assert_eq!(compared.position, 2);
    }

    #[test]
    fn missing_offsets_are_a_mistake_unless_the_topic_is_compacted() {
        let log = [batch(0, &["a"]), batch(5, &["b"])];
        let compared = compare(0, &[answer(1, 6, &log)], true);
        assert_eq!(compared.findings, [Finding::Gap { replica: 1, from: 1, upto: 5 }]);
        assert_eq!(compared.findings[0].to_string(), " lacks the offsets 1 to 4 on replica 1");
        assert_eq!(compare(0, &[answer(1, 6, &log)], false).findings, []);
    }

    #[test]
    fn a_fetch_in_the_middle_of_a_batch_and_a_torn_last_batch_are_ordinary() {
        let torn = batch(4, &["e"]);
        let log = [batch(0, &["a", "b", "c", "d"]), torn.slice(..torn.len() - 2)];
        let compared = compare(2, &[answer(1, 5, &log)], true);
        assert_eq!(compared, Compared { position: 4, high_watermark: 5, findings: vec![] });
    }

    #[test]
    fn what_is_no_batch_ends_the_partition() {
        let mut nonsense = batch(0, &["a"]).to_vec();
        nonsense[16] = 77;
        let compared = compare(0, &[answer(1, 5, &[nonsense.into()])], true);
        assert!(matches!(&compared.findings[..], [finding] if finding.ends_partition()), "{compared:?}");
    }
}
