//! What the coordinator knows of one transactional id, and the steps from one state to the next.
//!
//! Every step is a pure function: it looks at the state and returns the next one, or the code that says why there is none.
//! The caller stores the next state and only then believes in it.
//!
//! Epochs: a newer incarnation of a producer gets a greater epoch, which fences the older one (KIP-98). With transactions v2
//! (KIP-890) the epoch also grows with every transaction's end; the markers carry the grown epoch. When
//! the epochs of a producer id are used up, the transactional id goes on with a new producer id in epoch 0.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milena_protocol::ErrorCode;

use super::state::TransactionState;
use crate::group::effects::Now;

/// Stands for "no producer id".
pub const NO_PRODUCER_ID: i64 = -1;
/// Stands for "no epoch".
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// From this epoch on a producer id gets no further epoch; [`i16::MAX`] remains for the marker that fences it.
const EPOCH_EXHAUSTED: i16 = i16::MAX - 1;

/// Partitions by topic.
pub type Partitions = BTreeMap<String, BTreeSet<i32>>;

/// A producer in one of its incarnations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdAndEpoch {
    /// The producer id.
    pub producer_id: i64,
    /// The producer epoch.
    pub producer_epoch: i16,
}

/// How a client ends its transactions, which it shows by the versions of its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ClientVersion {
    /// One epoch for as long as the producer lives; partitions are announced by AddPartitionsToTxn.
    #[default]
    V1,
    /// KIP-890: a new epoch after every transaction; partitions are added by writing to them.
    V2,
}

impl ClientVersion {
    /// The number in `__transaction_state`.
    pub fn id(self) -> i16 {
        match self {
            ClientVersion::V1 => 0,
            ClientVersion::V2 => 2,
        }
    }

    /// The version with this number.
    pub fn from_id(id: i16) -> ClientVersion {
        if id >= 2 { ClientVersion::V2 } else { ClientVersion::V1 }
    }
}

/// The state of one transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionMetadata {
    /// The transactional id.
    pub transactional_id: Arc<str>,
    /// The producer id in use.
    pub producer_id: i64,
    /// The one before it, -1 for none.
    pub previous_producer_id: i64,
    /// The one that follows when the transaction is complete, -1 for none.
    pub next_producer_id: i64,
    /// The epoch in use; while a v2 transaction is prepared, already the one of its markers.
    pub producer_epoch: i16,
    /// The epoch before, if its owner may still ask again for the current one; not stored.
    pub last_producer_epoch: i16,
    /// How long a transaction may stay open.
    pub timeout_ms: i32,
    /// Where it stands.
    pub state: TransactionState,
    /// The partitions of the transaction.
    pub partitions: Partitions,
    /// When the transaction was begun, in Unix milliseconds; -1 if none was.
    pub start_ms: i64,
    /// When the state changed, in Unix milliseconds.
    pub last_update_ms: i64,
    /// How the client ends its transactions.
    pub client_version: ClientVersion,
    /// When the transaction was begun, on the clock that never jumps; not stored.
    pub started_at_ms: i64,
    /// When the state changed, on the clock that never jumps; not stored.
    pub updated_at_ms: i64,
}

/// What InitProducerId comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Initialization {
    /// The producer may begin once this is stored.
    Ready(TransactionMetadata),
    /// A transaction of the predecessor is open: it is fenced and aborted, the client asks again.
    AbortFirst(TransactionMetadata),
    /// Come back with a fresh producer id.
    NeedsProducerId,
}

/// What the end of a transaction comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The decision to store.
    Prepare(TransactionMetadata),
    /// It had been ended so before; the producer goes on as this.
    Already(ProducerIdAndEpoch),
    /// Come back with a fresh producer id.
    NeedsProducerId,
}

impl TransactionMetadata {
    /// A transactional id that nobody has used yet.
    pub fn new(transactional_id: Arc<str>, producer_id: i64, now: Now) -> TransactionMetadata {
        TransactionMetadata {
            transactional_id,
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            last_producer_epoch: NO_PRODUCER_EPOCH,
            timeout_ms: 0,
            state: TransactionState::Empty,
            partitions: Partitions::new(),
            start_ms: -1,
            last_update_ms: now.unix_ms,
            client_version: ClientVersion::default(),
            started_at_ms: now.monotonic_ms,
            updated_at_ms: now.monotonic_ms,
        }
    }

    /// The same, as a cluster at this level of the feature `transaction.version` sees it: below 2 there are no transactions v2,
    /// and what the coordinator ends by itself ends as before. What clients end shows by their requests.
    pub fn at_level(self, transaction_version: i16) -> TransactionMetadata {
        let highest = ClientVersion::from_id(transaction_version);
        TransactionMetadata { client_version: self.client_version.min(highest), ..self }
    }

    /// The producer id and epoch in use.
    pub fn producer(&self) -> ProducerIdAndEpoch {
        ProducerIdAndEpoch { producer_id: self.producer_id, producer_epoch: self.producer_epoch }
    }

    /// The producer id and epoch once a prepared transaction is complete.
    pub fn producer_after_completion(&self) -> ProducerIdAndEpoch {
        if self.next_producer_id == NO_PRODUCER_ID {
            return self.producer();
        }
        ProducerIdAndEpoch { producer_id: self.next_producer_id, producer_epoch: 0 }
    }

    /// Whether the epochs of the producer id are used up.
    pub fn is_epoch_exhausted(&self) -> bool {
        self.producer_epoch >= EPOCH_EXHAUSTED
    }

    /// Whether the open transaction has been open for too long.
    pub fn is_timed_out(&self, now: Now) -> bool {
        self.state == TransactionState::Ongoing
            && now.monotonic_ms.saturating_sub(self.started_at_ms) > i64::from(self.timeout_ms)
    }

    /// Whether the id has not been used for so long that it is forgotten.
    pub fn is_expired(&self, now: Now, expiration_ms: i64) -> bool {
        self.state.is_settled() && now.monotonic_ms.saturating_sub(self.updated_at_ms) >= expiration_ms
    }

    /// Whether `partition` of `topic` is part of the transaction.
    pub fn contains(&self, topic: &str, partition: i32) -> bool {
        self.partitions.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// A producer introduces itself: as a new incarnation, or (`expected`) as the one that it was.
    ///
    /// # Errors
    /// PRODUCER_FENCED when `expected` is not the last incarnation, CONCURRENT_TRANSACTIONS while markers are being written.
    pub fn initialize(
        &self,
        expected: Option<ProducerIdAndEpoch>,
        timeout_ms: i32,
        fresh_producer_id: Option<i64>,
        now: Now,
    ) -> Result<Initialization, ErrorCode> {
        if expected.is_some_and(|expected| !self.may_resume(expected)) {
            return Err(ErrorCode::ProducerFenced);
        }
        match self.state {
            TransactionState::Ongoing => Ok(match self.fence_and_abort(fresh_producer_id, now) {
                Some(next) => Initialization::AbortFirst(next),
                None => Initialization::NeedsProducerId,
            }),
            state if state.is_settled() => self.next_incarnation(expected, timeout_ms, fresh_producer_id, now),
            _ => Err(ErrorCode::ConcurrentTransactions),
        }
    }

    fn may_resume(&self, expected: ProducerIdAndEpoch) -> bool {
        self.producer_epoch == NO_PRODUCER_EPOCH
            || expected.producer_id == self.producer_id
            || (expected.producer_id == self.previous_producer_id && expected.producer_epoch >= EPOCH_EXHAUSTED)
    }

    fn next_incarnation(
        &self,
        expected: Option<ProducerIdAndEpoch>,
        timeout_ms: i32,
        fresh_producer_id: Option<i64>,
        now: Now,
    ) -> Result<Initialization, ErrorCode> {
        let current = self.producer_epoch;
        let mut next = TransactionMetadata {
            state: TransactionState::Empty,
            partitions: Partitions::new(),
            start_ms: -1,
            timeout_ms,
            ..self.updated(now)
        };
        let expected = expected.map(|expected| expected.producer_epoch);
        if self.is_epoch_exhausted() && expected.is_none_or(|expected| expected == current) {
            let Some(fresh) = fresh_producer_id else { return Ok(Initialization::NeedsProducerId) };
            next.previous_producer_id = self.producer_id;
            next.producer_id = fresh;
            next.producer_epoch = 0;
            next.last_producer_epoch = expected.map_or(NO_PRODUCER_EPOCH, |_| current);
            return Ok(Initialization::Ready(next));
        }
        match expected {
            None => {
                next.producer_epoch = current + 1;
                next.last_producer_epoch = NO_PRODUCER_EPOCH;
            }
            Some(expected) if current == NO_PRODUCER_EPOCH || expected == current => {
                next.producer_epoch = current + 1;
                next.last_producer_epoch = current;
            }
            // The answer to the same request was lost: it is given again.
            Some(expected) if expected == self.last_producer_epoch => {}
            Some(_) => return Err(ErrorCode::ProducerFenced),
        }
        Ok(Initialization::Ready(next))
    }

    /// Makes `partitions` part of the transaction, beginning it if none is open. `None` when all of them already are.
    ///
    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, or CONCURRENT_TRANSACTIONS while markers are being written.
    pub fn add_partitions(
        &self,
        producer: ProducerIdAndEpoch,
        partitions: &Partitions,
        client_version: ClientVersion,
        now: Now,
    ) -> Result<Option<TransactionMetadata>, ErrorCode> {
        self.check_producer(producer)?;
        let ongoing = self.state == TransactionState::Ongoing;
        if !ongoing && !self.state.is_settled() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let all_known = partitions
            .iter()
            .all(|(topic, indexes)| self.partitions.get(topic).is_some_and(|known| known.is_superset(indexes)));
        if ongoing && all_known {
            return Ok(None);
        }
        let mut next = self.updated(now);
        if !ongoing {
            next.state = TransactionState::Ongoing;
            next.partitions.clear();
            next.start_ms = now.unix_ms;
            next.started_at_ms = now.monotonic_ms;
        }
        next.client_version = client_version;
        for (topic, indexes) in partitions {
            next.partitions.entry(topic.clone()).or_default().extend(indexes);
        }
        Ok(Some(next))
    }

    /// Whether a write of `producer` to the partition belongs to the open transaction.
    ///
    /// # Errors
    /// TRANSACTION_ABORTABLE when it does not, else as [`add_partitions`](Self::add_partitions).
    pub fn verify_partition(&self, producer: ProducerIdAndEpoch, topic: &str, partition: i32) -> Result<(), ErrorCode> {
        self.check_producer(producer)?;
        if self.state.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if self.state == TransactionState::Ongoing && self.contains(topic, partition) {
            return Ok(());
        }
        Err(ErrorCode::TransactionAbortable)
    }

    fn check_producer(&self, producer: ProducerIdAndEpoch) -> Result<(), ErrorCode> {
        if self.producer_id != producer.producer_id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if self.producer_epoch != producer.producer_epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        Ok(())
    }

    /// The producer ends its transaction.
    ///
    /// # Errors
    /// INVALID_PRODUCER_ID_MAPPING, PRODUCER_FENCED, INVALID_TXN_STATE when there is nothing to end or it was ended the
    /// other way, CONCURRENT_TRANSACTIONS while the markers of the same decision are being written.
    pub fn end(
        &self,
        producer: ProducerIdAndEpoch,
        committed: bool,
        client_version: ClientVersion,
        fresh_producer_id: Option<i64>,
        now: Now,
    ) -> Result<End, ErrorCode> {
        match client_version {
            ClientVersion::V1 => self.end_v1(producer, committed, now),
            ClientVersion::V2 => self.end_v2(producer, committed, fresh_producer_id, now),
        }
    }

    fn end_v1(&self, producer: ProducerIdAndEpoch, committed: bool, now: Now) -> Result<End, ErrorCode> {
        self.check_producer(producer)?;
        match (self.state, committed) {
            (TransactionState::Ongoing, _) => Ok(End::Prepare(self.prepared(committed, now))),
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => {
                Ok(End::Already(self.producer()))
            }
            (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
                Err(ErrorCode::ConcurrentTransactions)
            }
            _ => Err(ErrorCode::InvalidTxnState),
        }
    }

    /// Here a retry shows by its epoch: it carries the one before the current.
    fn end_v2(
        &self,
        producer: ProducerIdAndEpoch,
        committed: bool,
        fresh_producer_id: Option<i64>,
        now: Now,
    ) -> Result<End, ErrorCode> {
        let epoch = producer.producer_epoch;
        let retry_over_overflow =
            producer.producer_id == self.previous_producer_id && epoch == EPOCH_EXHAUSTED && self.producer_epoch == 0;
        if self.producer_id != producer.producer_id && !retry_over_overflow {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        let retry = retry_over_overflow || epoch.checked_add(1) == Some(self.producer_epoch);
        let valid = match self.state {
            TransactionState::PrepareCommit | TransactionState::PrepareAbort => retry,
            TransactionState::CompleteCommit | TransactionState::CompleteAbort => retry || epoch == self.producer_epoch,
            _ => epoch == self.producer_epoch,
        };
        if !valid {
            return Err(ErrorCode::ProducerFenced);
        }
        match (self.state, committed) {
            (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) if retry => {
                Ok(End::Already(self.producer()))
            }
            (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
                Err(ErrorCode::ConcurrentTransactions)
            }
            // An abort of nothing is fine, and grows the epoch: the client cannot know whether it had begun.
            (TransactionState::Ongoing, _)
            | (TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort, false)
                if !retry =>
            {
                Ok(self.prepared_v2(committed, fresh_producer_id, now))
            }
            _ => Err(ErrorCode::InvalidTxnState),
        }
    }

    fn prepared_v2(&self, committed: bool, fresh_producer_id: Option<i64>, now: Now) -> End {
        let mut next = self.prepared(committed, now);
        if self.is_epoch_exhausted() {
            let Some(fresh) = fresh_producer_id else { return End::NeedsProducerId };
            next.next_producer_id = fresh;
        }
        if self.state != TransactionState::Ongoing {
            next.partitions.clear();
            next.start_ms = now.unix_ms;
        }
        next.client_version = ClientVersion::V2;
        next.producer_epoch = self.producer_epoch.saturating_add(1);
        next.last_producer_epoch = self.producer_epoch;
        End::Prepare(next)
    }

    /// The coordinator ends the open transaction by itself: for a newer incarnation, or because it took too long. Its producer
    /// is fenced by a greater epoch. `None` when that takes a fresh producer id and none is given.
    pub fn fence_and_abort(&self, fresh_producer_id: Option<i64>, now: Now) -> Option<TransactionMetadata> {
        let mut next = self.prepared(false, now);
        // One epoch more than the end of a v2 transaction takes, so that no retry of its producer looks like a
        // client that had its transaction ended as it wished.
        let step = match self.client_version {
            ClientVersion::V1 => 1,
            ClientVersion::V2 => 2,
        };
        next.producer_epoch = self.producer_epoch.saturating_add(step);
        next.last_producer_epoch = NO_PRODUCER_EPOCH;
        if self.client_version == ClientVersion::V2 && self.is_epoch_exhausted() {
            next.next_producer_id = fresh_producer_id?;
        }
        Some(next)
    }

    fn prepared(&self, committed: bool, now: Now) -> TransactionMetadata {
        let state = if committed { TransactionState::PrepareCommit } else { TransactionState::PrepareAbort };
        TransactionMetadata { state, ..self.updated(now) }
    }

    /// The state after all markers of a prepared transaction are written; anything else stays as it is.
    pub fn completed(&self, now: Now) -> TransactionMetadata {
        let state = match self.state {
            TransactionState::PrepareCommit => TransactionState::CompleteCommit,
            TransactionState::PrepareAbort => TransactionState::CompleteAbort,
            _ => return self.clone(),
        };
        let mut next = TransactionMetadata { state, partitions: Partitions::new(), ..self.updated(now) };
        if self.next_producer_id != NO_PRODUCER_ID {
            next.previous_producer_id = self.producer_id;
            next.producer_id = self.next_producer_id;
            next.next_producer_id = NO_PRODUCER_ID;
            next.producer_epoch = 0;
        }
        next
    }

    fn updated(&self, now: Now) -> TransactionMetadata {
        TransactionMetadata { last_update_ms: now.unix_ms, updated_at_ms: now.monotonic_ms, ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
