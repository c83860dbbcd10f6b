//! What a partition remembers of each idempotent producer (KIP-98): epoch, the last five batches, the open transaction.
//!
//! Always true:
//!   a producer's batches are consecutive in sequence, all of its current epoch, oldest first
//!   `ongoing` holds exactly the producers with an open transaction, by its first offset
//!
//! The state is a pure function of the batches in the log: recovery replays them over the latest snapshot
//! (see [`crate::producer_snapshot`]) and arrives at the same place.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::batch_header::{HeaderBytes, decrement_sequence};
use crate::error::AppendError;
use crate::record_walk::RecordWalk;
use crate::transaction_index::AbortedTxnEntry;

/// Batches remembered per producer, so that any of `max.in.flight.requests.per.connection=5` may be retried.
pub const BATCHES_REMEMBERED: usize = 5;

/// One remembered batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchMetadata {
    /// Sequence of its last record.
    pub last_sequence: i32,
    /// Offset of its last record.
    pub last_offset: i64,
    /// Its last offset minus its first.
    pub offset_delta: i32,
    /// Its largest timestamp.
    pub timestamp: i64,
}

impl BatchMetadata {
    /// Sequence of its first record.
    pub fn first_sequence(&self) -> i32 {
        decrement_sequence(self.last_sequence, self.offset_delta)
    }

    /// Offset of its first record.
    pub fn first_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// What is known of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerEntry {
    /// The newest epoch that wrote here.
    pub producer_epoch: i16,
    /// Epoch of the transaction coordinator that wrote the last marker, -1 for none.
    pub coordinator_epoch: i32,
    /// Timestamp of its last batch or marker; decides when the entry expires.
    pub last_timestamp: i64,
    /// First offset of its open transaction.
    pub current_txn_first_offset: Option<i64>,
    /// Its last batches, oldest first, at most [`BATCHES_REMEMBERED`].
    pub batches: VecDeque<BatchMetadata>,
}

impl ProducerEntry {
    fn new(producer_epoch: i16) -> ProducerEntry {
        ProducerEntry {
            producer_epoch,
            coordinator_epoch: -1,
            last_timestamp: -1,
            current_txn_first_offset: None,
            batches: VecDeque::new(),
        }
    }

    /// Sequence of the last record, -1 if none is remembered.
    pub fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    fn start_epoch(&mut self, producer_epoch: i16) {
        if producer_epoch != self.producer_epoch {
            self.producer_epoch = producer_epoch;
            self.batches.clear();
        }
    }
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EndTxnMarker {
    pub committed: bool,
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    /// Reads the single record of a control batch; `None` for other kinds of control records.
    pub fn parse(payload: &[u8]) -> Option<EndTxnMarker> {
        let record = RecordWalk::new(payload).next()?.ok()?;
        let key: &[u8; 4] = record.key?.first_chunk()?;
        let committed = match i16::from_be_bytes([key[2], key[3]]) {
            0 => false,
            1 => true,
            _ => return None,
        };
        let value: &[u8; 6] = record.value?.first_chunk()?;
        Some(EndTxnMarker {
            committed,
            coordinator_epoch: i32::from_be_bytes([value[2], value[3], value[4], value[5]]),
        })
    }
}

/// A transaction that a marker just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompletedTxn {
    pub producer_id: i64,
    pub first_offset: i64,
    /// Offset of the marker.
    pub last_offset: i64,
    pub committed: bool,
    /// The last stable offset once this transaction is out of the way.
    pub last_stable_offset: i64,
}

/// Whether a batch of an idempotent producer may be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// Already in the log at these offsets.
    Duplicate(BatchMetadata),
}

/// The producers of one partition.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ProducerState {
    producers: HashMap<i64, ProducerEntry>,
    ongoing: BTreeMap<i64, i64>,
}

impl ProducerState {
    pub fn from_entries(entries: impl IntoIterator<Item = (i64, ProducerEntry)>) -> ProducerState {
        let producers: HashMap<i64, ProducerEntry> = entries.into_iter().collect();
        let ongoing = producers.iter().filter_map(|(id, entry)| Some((entry.current_txn_first_offset?, *id))).collect();
        ProducerState { producers, ongoing }
    }

    pub fn producers(&self) -> &HashMap<i64, ProducerEntry> {
        &self.producers
    }

    /// First offset of the earliest open transaction.
    pub fn first_open_offset(&self) -> Option<i64> {
        self.ongoing.keys().next().copied()
    }

    /// Checks a client's data batch against what its producer sent before. Under transactions v2 a producer that has no
    /// state here must start at sequence 0: it numbers every transaction anew, so anything else means lost batches.
    pub fn check(&self, header: &HeaderBytes, transactions_v2: bool) -> Result<Verdict, AppendError> {
        let Some(entry) = self.producers.get(&header.producer_id()) else {
            return match header.base_sequence() {
                got @ 1.. if transactions_v2 && header.is_transactional() => Err(out_of_order(header, got, -1)),
                _ => Ok(Verdict::Append),
            };
        };
        self.check_epoch(header, entry)?;
        if header.base_sequence() >= 0 {
            if let Some(batch) = find_duplicate(entry, header) {
                return Ok(Verdict::Duplicate(batch));
            }
            check_sequence(entry, header)?;
        }
        if entry.current_txn_first_offset.is_some() && !header.is_transactional() {
            return Err(AppendError::InvalidTxnState { producer_id: header.producer_id() });
        }
        Ok(Verdict::Append)
    }

    /// Checks that a transactional batch continues an open transaction of its producer.
    pub fn check_continues(&self, header: &HeaderBytes) -> Result<(), AppendError> {
        let open = self.producers.get(&header.producer_id()).is_some_and(|entry| {
            entry.producer_epoch == header.producer_epoch() && entry.current_txn_first_offset.is_some()
        });
        if open || !header.is_transactional() {
            return Ok(());
        }
        Err(AppendError::TransactionNotOpen { producer_id: header.producer_id() })
    }

    /// Checks a transaction marker against the epochs seen before. Under transactions v2 the marker of an open transaction
    /// has a greater epoch than its records; an equal one belongs to the transaction before and came late.
    pub fn check_marker(
        &self,
        header: &HeaderBytes,
        marker: &EndTxnMarker,
        transactions_v2: bool,
    ) -> Result<(), AppendError> {
        let Some(entry) = self.producers.get(&header.producer_id()) else { return Ok(()) };
        self.check_epoch(header, entry)?;
        let same_epoch = header.producer_epoch() == entry.producer_epoch;
        if transactions_v2 && same_epoch && entry.current_txn_first_offset.is_some() {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id(),
                got: header.producer_epoch(),
                current: entry.producer_epoch,
            });
        }
        if marker.coordinator_epoch < entry.coordinator_epoch {
            return Err(AppendError::CoordinatorFenced {
                producer_id: header.producer_id(),
                got: marker.coordinator_epoch,
                current: entry.coordinator_epoch,
            });
        }
        Ok(())
    }

    fn check_epoch(&self, header: &HeaderBytes, entry: &ProducerEntry) -> Result<(), AppendError> {
        if header.producer_epoch() < entry.producer_epoch {
            return Err(AppendError::InvalidProducerEpoch {
                producer_id: header.producer_id(),
                got: header.producer_epoch(),
                current: entry.producer_epoch,
            });
        }
        Ok(())
    }

    /// Takes note of a batch that is in the log at its final offsets. `payload` is read only for control batches.
    /// Returns the transaction it ended, if it did.
    pub fn apply(&mut self, header: &HeaderBytes, payload: &[u8]) -> Option<CompletedTxn> {
        if !header.has_producer_id() {
            return None;
        }
        if header.is_control() {
            return EndTxnMarker::parse(payload).and_then(|marker| self.apply_marker(header, &marker));
        }
        let entry =
            self.producers.entry(header.producer_id()).or_insert_with(|| ProducerEntry::new(header.producer_epoch()));
        entry.start_epoch(header.producer_epoch());
        if header.base_sequence() >= 0 {
            if entry.batches.len() == BATCHES_REMEMBERED {
                entry.batches.pop_front();
            }
            entry.batches.push_back(BatchMetadata {
                last_sequence: header.last_sequence(),
                last_offset: header.last_offset(),
                offset_delta: header.last_offset_delta(),
                timestamp: header.max_timestamp(),
            });
        }
        entry.last_timestamp = header.max_timestamp();
        if header.is_transactional() && entry.current_txn_first_offset.is_none() {
            entry.current_txn_first_offset = Some(header.base_offset());
            self.ongoing.insert(header.base_offset(), header.producer_id());
        }
        None
    }

    fn apply_marker(&mut self, header: &HeaderBytes, marker: &EndTxnMarker) -> Option<CompletedTxn> {
        let producer_id = header.producer_id();
        let entry = self.producers.entry(producer_id).or_insert_with(|| ProducerEntry::new(header.producer_epoch()));
        entry.start_epoch(header.producer_epoch());
        entry.coordinator_epoch = marker.coordinator_epoch;
        entry.last_timestamp = header.max_timestamp();
        let first_offset = entry.current_txn_first_offset.take()?;
        self.ongoing.remove(&first_offset);
        let last_offset = header.last_offset();
        Some(CompletedTxn {
            producer_id,
            first_offset,
            last_offset,
            committed: marker.committed,
            last_stable_offset: self.first_open_offset().unwrap_or(last_offset + 1),
        })
    }

    /// The entry for the transaction index if this marker, appended now, aborts a transaction.
    pub fn preview_abort(&self, header: &HeaderBytes, payload: &[u8]) -> Option<AbortedTxnEntry> {
        let marker = EndTxnMarker::parse(payload).filter(|marker| !marker.committed);
        marker?;
        let first_offset = self.producers.get(&header.producer_id())?.current_txn_first_offset?;
        let last_offset = header.last_offset();
        let next_open = self.ongoing.keys().find(|open| **open != first_offset);
        Some(AbortedTxnEntry {
            producer_id: header.producer_id(),
            first_offset,
            last_offset,
            last_stable_offset: next_open.copied().unwrap_or(last_offset + 1),
        })
    }

    /// Forgets producers without an open transaction that have been silent for `expiration_ms`.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, entry| {
            entry.current_txn_first_offset.is_some() || now_ms.saturating_sub(entry.last_timestamp) < expiration_ms
        });
    }
}

fn find_duplicate(entry: &ProducerEntry, header: &HeaderBytes) -> Option<BatchMetadata> {
    if header.producer_epoch() != entry.producer_epoch {
        return None;
    }
    let (first, last) = (header.base_sequence(), header.last_sequence());
    entry.batches.iter().find(|batch| batch.first_sequence() == first && batch.last_sequence == last).copied()
}

fn check_sequence(entry: &ProducerEntry, header: &HeaderBytes) -> Result<(), AppendError> {
    let got = header.base_sequence();
    let last = if header.producer_epoch() == entry.producer_epoch { entry.last_sequence() } else { -1 };
    let expected = if last == i32::MAX { 0 } else { last + 1 };
    if got == expected {
        return Ok(());
    }
    Err(out_of_order(header, got, last))
}

fn out_of_order(header: &HeaderBytes, got: i32, last: i32) -> AppendError {
    AppendError::OutOfOrderSequence {
        producer_id: header.producer_id(),
        producer_epoch: header.producer_epoch(),
        got,
        last,
    }
}

#[cfg(test)]
mod tests;
