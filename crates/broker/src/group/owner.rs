//! The task that owns one shard: loads it, feeds it requests and timers, writes its records, sends its replies.
//!
//! Requests that wait in the queue are handled together and written together (group commit): the longer a write
//! takes, the more the next one carries. Replies leave after the write, in order. Records of a transaction are a
//! batch of their own; the batches of a round are written one after the other and waited for together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_protocol::ErrorCode;
use milena_stdx::Clock;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::config::GroupConfig;
use super::effects::{Effects, Now, TransactionalWrite};
use super::offsets_log::{CoordinatorError, Durable, LoggedEvent, OffsetsLog};
use super::shard::Shard;
use super::topics::TopicsView;

/// Requests that may wait for one shard; whoever comes later waits to be queued.
pub(super) const QUEUE_LENGTH: usize = 4_096;
/// Requests handled in one round.
const ROUND_LENGTH_MAX: usize = 1_024;
/// First and longest pause between two attempts to load a shard.
const LOAD_RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// One request, as a closure over the shard that keeps its own way to answer. Dropped unanswered, it answers
/// COORDINATOR_NOT_AVAILABLE by itself.
pub(super) type Command = Box<dyn FnOnce(&mut Shard, Now, &mut Effects) + Send>;

/// The owner of one shard.
pub(super) struct ShardOwner {
    pub(super) partition: i32,
    pub(super) config: Arc<GroupConfig>,
    pub(super) topics: Arc<dyn TopicsView>,
    pub(super) log: Arc<dyn OffsetsLog>,
    pub(super) clock: Arc<dyn Clock>,
    /// The origin of the monotonic milliseconds.
    pub(super) origin: Instant,
    pub(super) queue: mpsc::Receiver<Command>,
    /// Whether the shard is in memory; requests wait for that before they queue.
    pub(super) loaded: watch::Sender<bool>,
}

impl ShardOwner {
    /// Serves until every sender is gone.
    pub(super) async fn run(mut self) {
        while let Some(shard) = self.load().await {
            self.loaded.send_replace(true);
            if self.serve(shard).await.is_none() {
                return;
            }
            self.loaded.send_replace(false);
        }
    }

    /// Loads the shard, again and again until it works. What was queued before a failed attempt is refused: it may
    /// have waited long, and its client retries.
    async fn load(&mut self) -> Option<Shard> {
        let mut pause = LOAD_RETRY.0;
        loop {
            match self.load_once().await {
                Ok(shard) => return Some(shard),
                Err(error) => tracing::error!(partition = self.partition, %error, "groups cannot be loaded"),
            }
            self.refuse_for(pause).await?;
            pause = (pause * 2).min(LOAD_RETRY.1);
        }
    }

    async fn load_once(&self) -> Result<Shard, CoordinatorError> {
        let (log, partition) = (self.log.clone(), self.partition);
        let mut shard = Shard::new(self.config.clone(), self.topics.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            log.read_all(partition, &mut |event: LoggedEvent<'_>| shard.load(event))?;
            Ok(shard)
        });
        let mut shard = loaded.await.unwrap_or_else(|error| {
            Err(CoordinatorError::Storage { partition, reason: format!("loading failed: {error}") })
        })?;
        shard.finish_load(self.now());
        Ok(shard)
    }

    /// Drops requests, which answers them, for a while. `None` when nobody can send any more.
    async fn refuse_for(&mut self, pause: Duration) -> Option<()> {
        let refuse_all = async { while self.queue.recv().await.is_some() {} };
        timeout(pause, refuse_all).await.err().map(|_elapsed| ())
    }

    /// Serves the shard. `None` when nobody can send any more; `Some` when it must be loaded again.
    async fn serve(&mut self, mut shard: Shard) -> Option<()> {
        let mut commands = Vec::new();
        loop {
            let until_timer = self.until(shard.next_deadline());
            tokio::select! {
                received = self.queue.recv_many(&mut commands, ROUND_LENGTH_MAX) => {
                    if received == 0 {
                        return None;
                    }
                }
                () = sleep(until_timer) => {}
            }
            if let Err(error) = self.round(&mut shard, &mut commands).await {
                tracing::error!(partition = self.partition, %error, "group state cannot be written and is reloaded");
                return Some(());
            }
        }
    }

    /// Handles `commands` and due timers, writes what they ask for, and replies.
    async fn round(&self, shard: &mut Shard, commands: &mut Vec<Command>) -> Result<(), CoordinatorError> {
        let mut round = Round::default();
        let handled = self.handle(shard, commands, &mut round);
        round.settle().await?;
        handled
    }

    fn handle(
        &self,
        shard: &mut Shard,
        commands: &mut Vec<Command>,
        round: &mut Round,
    ) -> Result<(), CoordinatorError> {
        let now = self.now();
        for command in commands.drain(..) {
            let mut effects = Effects::default();
            command(shard, now, &mut effects);
            self.join(shard, round, effects)?;
        }
        let mut effects = Effects::default();
        shard.tick(now, &mut effects);
        self.join(shard, round, effects)?;
        self.write(round)
    }

    /// Adds `effects` to the round, writing what it has so far if both do not fit into one batch.
    fn join(&self, shard: &mut Shard, round: &mut Round, mut effects: Effects) -> Result<(), CoordinatorError> {
        let bytes_max = self.log.append_bytes_max();
        let size = effects.record_bytes();
        let transaction = effects.take_transaction();
        if effects.is_unwritable() || size > bytes_max {
            effects.complete(Some(ErrorCode::UnknownServerError));
            if transaction.is_some() {
                return Ok(());
            }
            // Too large for the log or its formats: undone by loading the shard again.
            self.write(round)?;
            return Err(CoordinatorError::TooLarge { partition: self.partition, size });
        }
        if let Some(transaction) = transaction {
            return self.write_in_transaction(shard, round, effects, transaction);
        }
        if round.unwritten.record_bytes() + size > bytes_max {
            self.write(round)?;
        }
        round.unwritten.append(effects);
        Ok(())
    }

    /// Records of a transaction: taken over into memory if the log accepts the producer.
    fn write_in_transaction(
        &self,
        shard: &mut Shard,
        round: &mut Round,
        mut effects: Effects,
        transaction: TransactionalWrite,
    ) -> Result<(), CoordinatorError> {
        self.write(round)?;
        let TransactionalWrite { producer, hold_open, apply } = transaction;
        let mut records = Some(effects.take_records());
        let mut appended = None;
        let held = hold_open(&mut || {
            appended = records.take().map(|records| self.log.append(self.partition, records, Some(producer)));
        });
        match (held, appended) {
            (Ok(()), Some(Ok(durable))) => {
                apply(shard);
                round.written.push((effects, durable));
                Ok(())
            }
            (Err(code), _) | (_, Some(Err(CoordinatorError::Producer { code, .. }))) => {
                effects.complete(Some(code));
                Ok(())
            }
            (_, Some(Err(error))) => {
                effects.complete(Some(error.error_code()));
                Err(error)
            }
            (Ok(()), None) => {
                effects.complete(Some(ErrorCode::UnknownServerError));
                Ok(())
            }
        }
    }

    /// Writes what the round has not written yet.
    fn write(&self, round: &mut Round) -> Result<(), CoordinatorError> {
        let mut effects = std::mem::take(&mut round.unwritten);
        let records = effects.take_records();
        if records.is_empty() {
            round.written.push((effects, Box::pin(std::future::ready(Ok(())))));
            return Ok(());
        }
        match self.log.append(self.partition, records, None) {
            Ok(durable) => {
                round.written.push((effects, durable));
                Ok(())
            }
            Err(error) => {
                effects.complete(Some(error.error_code()));
                Err(error)
            }
        }
    }

    fn until(&self, deadline_ms: Option<i64>) -> Duration {
        const IDLE: Duration = Duration::from_secs(3600);
        deadline_ms.map_or(IDLE, |deadline| {
            let left = deadline.saturating_sub(self.now().monotonic_ms).max(0);
            Duration::from_millis(left.unsigned_abs()).min(IDLE)
        })
    }

    fn now(&self) -> Now {
        let elapsed = self.clock.monotonic().saturating_duration_since(self.origin);
        Now { unix_ms: self.clock.now_ms(), monotonic_ms: i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX) }
    }
}

/// What one round writes and then answers, in order.
#[derive(Default)]
struct Round {
    unwritten: Effects,
    written: Vec<(Effects, Durable)>,
}

impl Round {
    /// Waits for everything written and sends the replies.
    async fn settle(self) -> Result<(), CoordinatorError> {
        let mut outcome = Ok(());
        for (effects, durable) in self.written {
            let written = durable.await;
            effects.complete(written.as_ref().err().map(CoordinatorError::error_code));
            outcome = outcome.and(written);
        }
        outcome
    }
}
