//! What a state machine wants done: records written, then replies sent.

use milena_protocol::ErrorCode;
use tokio::sync::oneshot;

use super::config::GroupConfig;
use super::offsets_log::{OffsetsRecord, TransactionalProducer};
use super::records::Encoded;
use super::shard::Shard;
use super::timers::Timers;

/// The moment a request is handled at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the Unix epoch: goes into records.
    pub unix_ms: i64,
    /// Milliseconds of a clock that never jumps: timers run on it.
    pub monotonic_ms: i64,
}

/// The way back to one waiting request. Dropping it answers COORDINATOR_NOT_AVAILABLE.
#[derive(Debug)]
pub struct Responder<T>(oneshot::Sender<Result<T, ErrorCode>>);

/// The waiting end of a [`Responder`].
#[derive(Debug)]
pub struct Pending<T>(oneshot::Receiver<Result<T, ErrorCode>>);

impl<T> Responder<T> {
    /// A responder and the end that waits for it.
    pub fn new() -> (Responder<T>, Pending<T>) {
        let (sender, receiver) = oneshot::channel();
        (Responder(sender), Pending(receiver))
    }

    /// Answers now, without waiting for any record.
    pub fn send(self, result: Result<T, ErrorCode>) {
        // The requester may have gone away; its answer is then of no interest to anyone.
        let _ = self.0.send(result);
    }
}

impl<T> Pending<T> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// The code to answer with instead of a response.
    pub async fn wait(self) -> Result<T, ErrorCode> {
        self.0.await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable))
    }

    /// The answer, if it has already been given.
    pub fn try_take(&mut self) -> Option<Result<T, ErrorCode>> {
        match self.0.try_recv() {
            Ok(result) => Some(result),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(ErrorCode::CoordinatorNotAvailable)),
        }
    }
}

/// A reply that leaves once the records of its round are durable, or fails with them.
struct Reply(Box<dyn FnOnce(Option<ErrorCode>) + Send>);

/// Runs a write while its transaction is open and cannot end; or does not run it, and says with which code that is answered.
pub type HoldOpen = Box<dyn FnOnce(&mut dyn FnMut()) -> Result<(), ErrorCode> + Send>;

/// What makes the records of a turn a batch of their own: they belong to a producer's transaction.
pub struct TransactionalWrite {
    /// The producer.
    pub producer: TransactionalProducer,
    /// Keeps the transaction open while the log is written.
    pub hold_open: HoldOpen,
    /// Takes the records over into memory, once the log has accepted the producer.
    pub apply: Box<dyn FnOnce(&mut Shard) + Send>,
}

/// Records to write and replies to send after them, in order.
#[derive(Default)]
pub struct Effects {
    records: Vec<OffsetsRecord>,
    transaction: Option<TransactionalWrite>,
    replies: Vec<Reply>,
    unwritable: bool,
}

/// What one turn of a group's state machine works with.
pub struct Turn<'a> {
    /// The moment of the turn.
    pub now: Now,
    /// The settings.
    pub config: &'a GroupConfig,
    /// The shard's timers.
    pub timers: &'a mut Timers,
    /// What is to be done when the turn is over.
    pub effects: &'a mut Effects,
}

impl Effects {
    /// Adds a record to write. One that cannot be encoded spoils the whole turn ([`Effects::is_unwritable`]).
    pub fn record(&mut self, record: Encoded) {
        match record {
            Ok(record) => self.records.push(record),
            Err(error) => {
                tracing::warn!(%error, "a group record cannot be encoded");
                self.unwritable = true;
            }
        }
    }

    /// Whether a record could not be encoded: the change must be undone.
    pub fn is_unwritable(&self) -> bool {
        self.unwritable
    }

    /// Makes this turn's records part of a transaction. Memory is changed by `write.apply` alone.
    pub fn in_transaction(&mut self, write: TransactionalWrite) {
        self.transaction = Some(write);
    }

    /// Takes what [`in_transaction`](Self::in_transaction) left.
    pub fn take_transaction(&mut self) -> Option<TransactionalWrite> {
        self.transaction.take()
    }

    /// Answers `responder` with `result` after the records are written.
    pub fn reply<T: Send + 'static>(&mut self, responder: Responder<T>, result: Result<T, ErrorCode>) {
        self.replies.push(Reply(Box::new(move |failure| {
            responder.send(match failure {
                Some(code) => Err(code),
                None => result,
            });
        })));
    }

    /// Bytes of the records.
    pub fn record_bytes(&self) -> usize {
        self.records.iter().map(OffsetsRecord::size).sum()
    }

    /// Adds what `later` asks for behind what this asks for. Neither is in a transaction.
    pub fn append(&mut self, later: Effects) {
        self.records.extend(later.records);
        self.replies.extend(later.replies);
        self.unwritable |= later.unwritable;
    }

    /// Takes the records; the replies stay.
    pub fn take_records(&mut self) -> Vec<OffsetsRecord> {
        std::mem::take(&mut self.records)
    }

    /// Sends the replies: as intended, or all with `failure`.
    pub fn complete(self, failure: Option<ErrorCode>) {
        for reply in self.replies {
            (reply.0)(failure);
        }
    }
}
