//! The loop of a source task: poll, transform, convert, produce; offsets are committed for what is acknowledged.
//!
//! Without exactly-once the offsets of acknowledged records are written each `offset.flush.interval.ms` and when the task
//! stops: after a crash the records since then come again. With `exactly.once.source.support=enabled` records and offsets
//! are one transaction, which ends as `transaction.boundary` says.

mod context;
pub(super) mod convert;
mod in_flight;
mod sender;
mod topics;
mod transaction;

pub(super) use sender::connect;
pub(super) use transaction::transactional_id;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use milena_stdx::{Clock as _, SystemClock};
use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::errors::{ErrorOperator, Failed};
use super::metrics::SourceMetrics;
use super::offsets::OffsetStore;
use super::pipeline::{Converters, Step, steps};
use super::supervisor::Job;
use super::{Exception, State, TargetState};
use crate::plugin::{SourceTask, TaskError};
use crate::record::Record;
use context::Context;
use in_flight::{InFlight, Offsets};
use sender::{SendError, Sender};
use transaction::Boundary;

/// Pause before a poll that has failed and may succeed is tried again.
const POLL_RETRY: Duration = Duration::from_millis(300);
/// Pause after a poll that brought nothing at once: a source that does not wait must not spin.
const NOTHING_POLLED: Duration = Duration::from_millis(10);

/// Runs the task until it is stopped.
///
/// # Errors
/// Why it has failed.
pub(super) async fn run(job: Job) -> Result<(), Exception> {
    let started = Running::open(&job).await;
    job.shared.metrics.task_startup(started.is_ok());
    let mut running = match started? {
        Some(running) => running,
        None => return Ok(()),
    };
    let ended = running.poll_until_stopped(&job).await;
    let closed = running.close(&job, ended.is_ok()).await;
    ended.and(closed).map_err(|error| {
        Exception::connect("Exiting WorkerSourceTask due to unrecoverable exception.").caused_by(error)
    })
}

/// An open task.
struct Running {
    task: Box<dyn SourceTask>,
    flow: Flow,
}

/// What records go through after the task.
struct Flow {
    steps: Vec<Step>,
    converters: Converters,
    errors: ErrorOperator,
    sender: Sender,
    in_flight: Arc<InFlight>,
    metrics: SourceMetrics,
    /// Committable, and not yet written.
    offsets: Offsets,
    boundary: Option<Boundary>,
    context: Arc<Context>,
    store: Arc<dyn OffsetStore>,
    /// Offsets were committed and the task does not know yet.
    has_committed: bool,
}

impl Running {
    /// Opens everything, the source last; `None` when the task was stopped meanwhile.
    async fn open(job: &Job) -> Result<Option<Running>, Exception> {
        tokio::select! {
            opened = Self::open_all(job) => opened.map(Some),
            () = job.stop.cancelled() => Ok(None),
        }
    }

    async fn open_all(job: &Job) -> Result<Running, Exception> {
        let Job { shared, id, plugin, connector_settings, .. } = job;
        let source = plugin.source().ok_or_else(|| TaskError::fatal("the connector has no source task"))?;
        let converters = Converters::new(&*shared.catalog, connector_settings, &shared.settings.properties)?;
        let steps = steps(&*shared.catalog, connector_settings)?;
        let errors = ErrorOperator::new(connector_settings, id, shared.metrics.errors(id), None, job.stop.clone())?;
        let boundary = Boundary::new(job, source)?;
        let transactional_id = boundary.as_ref().map(|_| transaction::transactional_id(&shared.settings, id));
        let store = shared.offsets_of(connector_settings).await.map_err(|error| TaskError::fatal(error.to_string()))?;
        if boundary.is_some() && store.topic().is_none() {
            return Err(transaction::needs_topic().into());
        }
        let (in_flight, metrics) = (Arc::new(InFlight::default()), shared.metrics.source(id));
        // A predecessor that still lives is fenced before offsets are read: what it has open ends here.
        let sender =
            Sender::open(job, transactional_id.as_deref(), in_flight.clone(), &metrics, errors.tolerates()).await?;
        let context = Arc::new(Context::new(store.clone(), id.clone(), boundary.as_ref()));
        let mut task = source.task();
        task.start(&job.task_settings, context.clone()).await?;
        job.is_up();
        let offsets = Offsets::new();
        let flow = Flow {
            steps,
            converters,
            errors,
            sender,
            in_flight,
            metrics,
            offsets,
            boundary,
            context,
            store,
            has_committed: false,
        };
        Ok(Running { task, flow })
    }

    async fn poll_until_stopped(&mut self, job: &Job) -> Result<(), Exception> {
        let mut targets = job.targets.clone();
        let interval = job.shared.settings.offset_flush_interval;
        let interval = self.flow.boundary.as_ref().map_or(interval, |boundary| boundary.looked_at_each(interval));
        let interval = interval.max(Duration::from_millis(1));
        let mut flush = tokio::time::interval_at(Instant::now() + interval, interval);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while let Some(records) = self.next_poll(job, &mut targets, &mut flush).await? {
            self.flow.polled(job, records).await?;
            self.tell_committed(job).await;
        }
        Ok(())
    }

    /// What the next poll brings; meanwhile offsets are committed and the target is followed. `None`: stopped. A poll goes
    /// on while offsets are committed, and is dropped when the task pauses or stops.
    async fn next_poll(
        &mut self,
        job: &Job,
        targets: &mut watch::Receiver<TargetState>,
        flush: &mut Interval,
    ) -> Result<Option<Vec<Record>>, Exception> {
        loop {
            self.tell_committed(job).await;
            let is_paused = *targets.borrow_and_update() != TargetState::Started;
            let poll_seconds = self.flow.metrics.poll_seconds.clone();
            let polling = poll(&mut *self.task, poll_seconds);
            tokio::pin!(polling);
            loop {
                if let Some(failure) = self.flow.in_flight.failure() {
                    return Err(failure);
                }
                tokio::select! {
                    biased;
                    () = job.stop.cancelled() => return Ok(None),
                    changed = targets.changed() => {
                        if changed.is_err() {
                            return Ok(None);
                        }
                        self.flow.target_changed(job).await?;
                        break;
                    }
                    _ = flush.tick() => self.flow.flush_due(job).await?,
                    () = self.flow.in_flight.failed() => {}
                    polled = &mut polling, if !is_paused => return polled.map(Some),
                }
            }
        }
    }

    async fn tell_committed(&mut self, job: &Job) {
        if std::mem::take(&mut self.flow.has_committed)
            && let Err(error) = self.task.commit().await
        {
            tracing::error!("task {}: commit of the source failed: {error}", job.id);
        }
    }

    /// Waits for acknowledgements, commits and closes, in the time that a worker gives its tasks.
    async fn close(&mut self, job: &Job, is_well: bool) -> Result<(), Exception> {
        let closed = self.flow.close(job, is_well).await;
        self.tell_committed(job).await;
        self.task.stop().await;
        closed
    }
}

impl Flow {
    async fn target_changed(&mut self, job: &Job) -> Result<(), Exception> {
        let is_paused = *job.targets.borrow() != TargetState::Started;
        if is_paused && self.boundary.is_some() {
            self.commit_transaction(job).await?;
        }
        job.shared.task_state(&job.id, if is_paused { State::Paused } else { State::Running }, None);
        Ok(())
    }

    async fn polled(&mut self, job: &Job, records: Vec<Record>) -> Result<(), Exception> {
        if records.is_empty() {
            if self.boundary.as_ref().is_some_and(|boundary| boundary.is_due(&self.context, false)) {
                self.commit_transaction(job).await?;
            }
            tokio::time::sleep(NOTHING_POLLED).await;
            return Ok(());
        }
        self.metrics.polled.inc_by(records.len() as u64);
        self.sender.forget_topics();
        if self.boundary.is_some() {
            self.sender.begin()?;
        }
        self.send_all(job, records).await?;
        if self.context.takes_abort() {
            self.sender.abort().await?;
            self.in_flight.discard();
            self.offsets.clear();
            return Ok(());
        }
        match self.boundary.as_ref() {
            Some(boundary) if boundary.is_due(&self.context, true) => self.commit_transaction(job).await?,
            Some(_) => {}
            // Not left for the flush, which is a minute away: a quick source would fill the memory with offsets.
            None => self.in_flight.take_committable(&mut self.offsets),
        }
        Ok(())
    }

    async fn send_all(&mut self, job: &Job, records: Vec<Record>) -> Result<(), Exception> {
        let (steps, converters, errors) = (&mut self.steps, &self.converters, &self.errors);
        // Converters and transforms may wait for a registry, and attempts pause.
        let outcomes: Vec<convert::Outcome> = tokio::task::block_in_place(|| {
            let mut outcomes = Vec::with_capacity(records.len());
            for record in records {
                let outcome = convert::process(record, steps, converters, errors);
                let ends = outcome.as_ref().is_some_and(|outcome| outcome.result.is_err()) && !errors.tolerates();
                outcomes.extend(outcome);
                if ends {
                    break;
                }
            }
            outcomes
        });
        let now = SystemClock.now_ms();
        for convert::Outcome { partition, offset, result } in outcomes {
            if self.in_flight.is_full() {
                tokio::select! {
                    room = self.make_room() => room?,
                    () = stopped_and_stuck(job) => return Ok(()),
                }
            }
            let failure = match result {
                Ok(None) => {
                    self.in_flight.submit(partition, offset, true);
                    continue;
                }
                Ok(Some(encoded)) => {
                    let ticket = self.in_flight.submit(partition, offset, false);
                    self.metrics.active.inc();
                    // A stop does not wait for a cluster that is away.
                    let sent = tokio::select! {
                        sent = self.sender.send(job, &encoded, ticket, now) => sent,
                        () = stopped_and_stuck(job) => return Ok(()),
                    };
                    match sent {
                        Ok(()) => continue,
                        Err(SendError::Task(error)) => return Err(error),
                        Err(SendError::Record(failure)) => {
                            self.metrics.active.dec();
                            self.errors.metrics.failed();
                            self.errors.settle(failure, Failed::Source("a record of the source")).await?;
                            self.in_flight.done(&[ticket]);
                            continue;
                        }
                    }
                }
                Err(failure) => *failure,
            };
            self.errors.settle(failure, Failed::Source("a record of the source")).await?;
            self.in_flight.submit(partition, offset, true);
        }
        Ok(())
    }

    /// Waits until fewer records are under way.
    async fn make_room(&mut self) -> Result<(), Exception> {
        loop {
            self.in_flight.take_committable(&mut self.offsets);
            if let Some(failure) = self.in_flight.failure() {
                return Err(failure);
            }
            if !self.in_flight.is_full() {
                return Ok(());
            }
            tokio::select! {
                () = self.in_flight.progressed() => {}
                // Batches that would linger leave.
                () = self.sender.flush() => {}
            }
        }
    }

    async fn flush_due(&mut self, job: &Job) -> Result<(), Exception> {
        match self.boundary.as_ref() {
            Some(boundary) if boundary.is_due(&self.context, false) => self.commit_transaction(job).await,
            Some(_) => Ok(()),
            None => {
                self.commit_offsets(job).await;
                Ok(())
            }
        }
    }

    /// Writes the offsets of what is acknowledged. A store that does not answer is asked again next time.
    async fn commit_offsets(&mut self, job: &Job) {
        self.in_flight.take_committable(&mut self.offsets);
        if self.offsets.is_empty() {
            return;
        }
        let offsets = self.offsets.values().map(|(partition, offset)| (partition.clone(), Some(offset.clone())));
        let writing = self.store.write(&job.id.connector, offsets.collect());
        match tokio::time::timeout(job.shared.settings.offset_flush_timeout, writing).await {
            Ok(Ok(())) => {
                self.offsets.clear();
                self.has_committed = true;
            }
            Ok(Err(error)) => tracing::error!("task {}: offsets were not committed: {error}", job.id),
            Err(_) => tracing::error!("task {}: offsets were not committed within offset.flush.timeout.ms", job.id),
        }
    }

    async fn commit_transaction(&mut self, job: &Job) -> Result<(), Exception> {
        if let Some(failure) = self.in_flight.failure() {
            return Err(failure);
        }
        let Some(topic) = self.store.topic() else { return Ok(()) };
        // The offsets of all records of the transaction, acknowledged or not: either all of it is committed, or nothing.
        self.sender.flush().await;
        self.in_flight.take_committable(&mut self.offsets);
        if let Some(failure) = self.in_flight.failure() {
            return Err(failure);
        }
        if self.offsets.is_empty() {
            return Ok(());
        }
        self.sender.commit(topic, &job.id, &self.offsets).await?;
        let offsets = self.offsets.drain().map(|(_, (partition, offset))| (partition, Some(offset)));
        if let Err(error) = self.store.after_transaction(&job.id.connector, offsets.collect()).await {
            tracing::warn!("task {}: offsets are in {topic}, but not in the topic of the worker: {error}", job.id);
        }
        if let Some(boundary) = self.boundary.as_mut() {
            boundary.committed();
        }
        self.has_committed = true;
        Ok(())
    }

    /// Waits for acknowledgements and commits.
    async fn close(&mut self, job: &Job, is_well: bool) -> Result<(), Exception> {
        let budget = job.shared.settings.graceful_shutdown_timeout / 2;
        match (&self.boundary, is_well) {
            (Some(_), true) if self.context.ends_transactions() => self.sender.abort().await,
            (Some(_), true) => self.commit_transaction(job).await,
            (Some(_), false) => {
                if let Err(error) = self.sender.abort().await {
                    tracing::debug!("task {}: {error}", job.id);
                }
                Ok(())
            }
            (None, _) => {
                if tokio::time::timeout(budget, self.sender.flush()).await.is_err() {
                    tracing::warn!("task {}: not everything was acknowledged; it will be read again", job.id);
                }
                self.commit_offsets(job).await;
                Ok(())
            }
        }
    }
}

/// Polls once; a failure that may pass is nothing polled.
async fn poll(task: &mut dyn SourceTask, seconds: Counter<f64, AtomicU64>) -> Result<Vec<Record>, Exception> {
    let started = SystemClock.monotonic();
    let polled = match task.poll().await {
        Err(TaskError::Retriable(message)) => {
            tracing::warn!("a poll failed and is tried again: {message}");
            tokio::time::sleep(POLL_RETRY).await;
            Ok(Vec::new())
        }
        polled => polled.map_err(Exception::from),
    };
    seconds.inc_by(started.elapsed().as_secs_f64());
    polled
}

/// Ends when the task was told to stop and the producer has not taken a record for a while since.
async fn stopped_and_stuck(job: &Job) {
    job.stop.cancelled().await;
    tokio::time::sleep(job.shared.settings.graceful_shutdown_timeout / 4).await;
}
