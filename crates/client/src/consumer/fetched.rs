//! Fetched record batches and the walk over their visible records.

use std::collections::HashSet;

use bytes::Bytes;

use milena_protocol::record::{BatchView, RecordError, RecordRef, TimestampType, batches, control, legacy};

use crate::TopicPartition;
use crate::admin::IsolationLevel;
use crate::error::{Error, Result};

/// Records decompress to at most this much.
const DECOMPRESSED_MAX: usize = 512 * 1024 * 1024;

/// What a fetch brought for one partition.
#[derive(Debug)]
pub struct Fetched {
    /// The partition.
    pub tp: TopicPartition,
    /// The first offset wanted; earlier records of the first batch are passed over.
    pub fetch_offset: i64,
    /// High watermark at the time.
    pub high_watermark: i64,
    records: Bytes,
    next_offset: i64,
    /// `(producer_id, first_offset)`, only with read_committed.
    aborted: Vec<(i64, i64)>,
    isolation: IsolationLevel,
}

/// A record with what its batch says.
#[derive(Debug, Clone, Copy)]
pub struct ReadRecord<'a> {
    /// Offset, timestamp, key, value and headers.
    pub record: RecordRef<'a>,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// Leader epoch of the batch, -1 when unknown.
    pub leader_epoch: i32,
}

impl Fetched {
    /// Checks the batches (CRCs when `check_crcs`) and finds where they end. A torn last batch is cut off:
    /// brokers send what fits.
    pub(crate) fn new(
        tp: TopicPartition,
        fetch_offset: i64,
        high_watermark: i64,
        records: Bytes,
        aborted: Vec<(i64, i64)>,
        isolation: IsolationLevel,
        check_crcs: bool,
    ) -> Result<Fetched> {
        let records = to_current_format(records)?;
        let mut next_offset = fetch_offset;
        let mut whole = 0;
        for batch in batches(&records) {
            let batch = match batch {
                Ok(batch) => batch,
                Err(RecordError::Truncated { .. }) if whole > 0 => break,
                Err(error) => return Err(Error::Records(error.to_string())),
            };
            if check_crcs {
                batch.check_crc().map_err(|error| Error::Records(format!("{tp}: {error}")))?;
            }
            whole += batch.size_in_bytes();
            next_offset = next_offset.max(batch.next_offset());
        }
        let records = records.slice(..whole);
        Ok(Fetched { tp, fetch_offset, high_watermark, records, next_offset, aborted, isolation })
    }

    /// The offset after the last batch.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Bytes as fetched.
    pub fn size_in_bytes(&self) -> usize {
        self.records.len()
    }

    /// Calls `visit` with each record that a reader may see, in order, until it returns false.
    ///
    /// # Errors
    /// Malformed records, or what `visit` returns.
    pub fn for_each<E: From<Error>>(&self, mut visit: impl FnMut(ReadRecord<'_>) -> Result<bool, E>) -> Result<(), E> {
        let mut aborted = AbortedProducers::new(&self.aborted);
        for batch in batches(&self.records) {
            let batch = batch.map_err(malformed)?;
            if batch.next_offset() <= self.fetch_offset {
                continue;
            }
            if batch.is_control() {
                aborted.marker(&batch).map_err(malformed)?;
                continue;
            }
            if self.isolation == IsolationLevel::ReadCommitted && aborted.hides(&batch) {
                continue;
            }
            let (timestamp_type, leader_epoch) = (batch.timestamp_type(), batch.partition_leader_epoch());
            let walked = batch.for_each_record(DECOMPRESSED_MAX, |record| {
                if record.offset < self.fetch_offset {
                    return Ok(());
                }
                match visit(ReadRecord { record: *record, timestamp_type, leader_epoch }) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Walk::Stop),
                    Err(error) => Err(Walk::Visitor(error)),
                }
            });
            match walked {
                Ok(()) => {}
                Err(Walk::Stop) => return Ok(()),
                Err(Walk::Visitor(error)) => return Err(error),
                Err(Walk::Record(error)) => return Err(malformed(error).into()),
            }
        }
        Ok(())
    }
}

/// Why a walk over a batch ended early.
enum Walk<E> {
    Stop,
    Visitor(E),
    Record(RecordError),
}

impl<E> From<RecordError> for Walk<E> {
    fn from(error: RecordError) -> Self {
        Walk::Record(error)
    }
}

fn malformed(error: RecordError) -> Error {
    Error::Records(error.to_string())
}

/// Logs written before Kafka 0.11 keep their format; it is brought up to date here.
fn to_current_format(records: Bytes) -> Result<Bytes> {
    const MAGIC_POSITION: usize = 16;
    match records.get(MAGIC_POSITION) {
        Some(0 | 1) => legacy::up_convert(&records, DECOMPRESSED_MAX).map_err(malformed),
        _ => Ok(records),
    }
}

/// Producers whose transactional batches are to be skipped at this point of the log.
struct AbortedProducers {
    upcoming: Vec<(i64, i64)>,
    active: HashSet<i64>,
}

impl AbortedProducers {
    fn new(aborted: &[(i64, i64)]) -> Self {
        let mut upcoming = aborted.to_vec();
        upcoming.sort_by_key(|(_, first_offset)| std::cmp::Reverse(*first_offset));
        AbortedProducers { upcoming, active: HashSet::new() }
    }

    fn hides(&mut self, batch: &BatchView<'_>) -> bool {
        while let Some((producer_id, _)) =
            self.upcoming.pop_if(|(_, first_offset)| *first_offset <= batch.last_offset())
        {
            self.active.insert(producer_id);
        }
        batch.is_transactional() && self.active.contains(&batch.producer_id())
    }

    fn marker(&mut self, batch: &BatchView<'_>) -> Result<(), RecordError> {
        let mut aborts = false;
        batch.for_each_record::<RecordError>(DECOMPRESSED_MAX, |record| {
            aborts |= record.key.map(control::ControlType::from_key).transpose()? == Some(control::ControlType::Abort);
            Ok(())
        })?;
        if aborts {
            self.active.remove(&batch.producer_id());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use milena_protocol::record::{BatchBuilder, BatchOptions};

    use super::*;

    fn batch(base_offset: i64, values: &[&str], options: BatchOptions) -> Bytes {
        let mut builder = BatchBuilder::new(BatchOptions { base_offset, ..options });
        for value in values {
            builder.append(1_000 + base_offset, None, Some(value.as_bytes()), &[]);
        }
        builder.build().unwrap()
    }

    fn fetched(fetch_offset: i64, records: Vec<Bytes>, aborted: Vec<(i64, i64)>) -> Fetched {
        let tp = TopicPartition::new("t", 0);
        let records = Bytes::from(records.concat());
        Fetched::new(tp, fetch_offset, 100, records, aborted, IsolationLevel::ReadCommitted, true).unwrap()
    }

    fn values(fetched: &Fetched) -> Vec<String> {
        let mut values = Vec::new();
        fetched
            .for_each::<Error>(|read| {
                values.push(String::from_utf8_lossy(read.record.value.unwrap_or_default()).into_owned());
                Ok(true)
            })
            .unwrap();
        values
    }

    #[test]
    fn records_before_the_wanted_offset_are_passed_over() {
        let all = fetched(
            1,
            vec![batch(0, &["a", "b"], BatchOptions::default()), batch(2, &["c"], BatchOptions::default())],
            vec![],
        );
        assert_eq!(values(&all), ["b", "c"]);
        assert_eq!(all.next_offset(), 3);
    }

    #[test]
    fn a_torn_last_batch_is_left_for_the_next_fetch() {
        let torn = batch(1, &["b"], BatchOptions::default());
        let all = fetched(0, vec![batch(0, &["a"], BatchOptions::default()), torn.slice(..torn.len() - 3)], vec![]);
        assert_eq!(values(&all), ["a"]);
        assert_eq!(all.next_offset(), 1);
    }

    #[test]
    fn records_of_aborted_transactions_are_hidden_until_their_marker() {
        let transactional = BatchOptions {
            producer_id: 7,
            producer_epoch: 0,
            base_sequence: 0,
            transactional: true,
            ..BatchOptions::default()
        };
        let mut marker = BatchBuilder::new(BatchOptions { base_offset: 2, control: true, ..transactional.clone() });
        marker.append(5, Some(&control::ControlType::Abort.key()), Some(&[0, 0, 0, 0, 0, 0]), &[]);
        let records = vec![
            batch(0, &["aborted"], transactional.clone()),
            batch(1, &["plain"], BatchOptions::default()),
            marker.build().unwrap(),
            batch(3, &["later"], transactional),
        ];
        assert_eq!(values(&fetched(0, records, vec![(7, 0)])), ["plain", "later"]);
    }

    #[test]
    fn a_visitor_may_stop_early() {
        let all = fetched(0, vec![batch(0, &["a", "b", "c"], BatchOptions::default())], vec![]);
        let mut seen = 0;
        all.for_each::<Error>(|_| {
            seen += 1;
            Ok(seen < 2)
        })
        .unwrap();
        assert_eq!(seen, 2);
    }
}
