//! The loop of a sink task: consume, convert, transform, put; offsets are committed for what the task has made durable.
//!
//! A record counts as processed when it was put, dropped by a transform, or tolerated as an error and, where there is a
//! dead letter queue, acknowledged by that. After a crash everything since the last commit comes again.

mod context;
mod convert;
mod raw;

pub(super) use raw::RawRecord;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use milena_client::admin::Committed;
use milena_client::consumer::Polled;
use milena_client::{Consumer, TopicPartition};
use milena_stdx::{Clock as _, SystemClock};
use tokio::time::Instant;

use super::errors::{DeadLetterQueue, ErrorOperator, Failed};
use super::metrics::SinkMetrics;
use super::pipeline::{Converters, Step, steps};
use super::settings::list;
use super::source::connect;
use super::supervisor::Job;
use super::{Exception, State, TargetState};
use crate::plugin::{Settings, SinkTask, TaskError};
use crate::record::Record;
use context::Context;
use convert::Converted;

/// How long one look at the topics waits for records.
const POLL: Duration = Duration::from_secs(1);
/// Pause before a batch is put again when the task does not say.
const RETRY: Duration = Duration::from_millis(300);
/// How often a task that waits looks after its membership.
const ATTEND: Duration = Duration::from_millis(250);

/// The consumer group of a sink.
pub fn group_id(connector: &str, settings: &Settings) -> String {
    settings.get("consumer.override.group.id").cloned().unwrap_or_else(|| format!("connect-{connector}"))
}

/// Runs the task until it is stopped.
///
/// # Errors
/// Why it has failed.
pub(super) async fn run(job: Job) -> Result<(), Exception> {
    let opened = tokio::select! {
        opened = Running::open(&job) => opened.map(Some),
        () = job.stop.cancelled() => Ok(None),
    };
    job.shared.metrics.task_startup(opened.is_ok());
    let Some(mut running) = opened? else { return Ok(()) };
    let ended = running.run_until_stopped(&job).await;
    running.close(&job, ended.is_ok()).await;
    ended.map_err(|error| Exception::connect("Exiting WorkerSinkTask due to unrecoverable exception.").caused_by(error))
}

/// A batch that is to be put: records, and where their partitions stand afterwards.
struct Batch {
    records: Vec<Record>,
    raw: Arc<Vec<RawRecord>>,
    next_offsets: BTreeMap<TopicPartition, i64>,
}

/// Everything that an open task has.
struct Running {
    task: Box<dyn SinkTask>,
    consumer: Consumer,
    steps: Vec<Step>,
    converters: Converters,
    context: Arc<Context>,
    metrics: SinkMetrics,
    max_poll_records: usize,
    /// Read, and not yet converted.
    read: VecDeque<RawRecord>,
    /// What comes after the batch that is being put.
    ahead: Option<Converted>,
    /// Converted, and refused by the task for now.
    again: Option<Batch>,
    /// The offsets after everything that was processed.
    processed: BTreeMap<TopicPartition, i64>,
    /// What the group has stored, or where reading began.
    committed: BTreeMap<TopicPartition, i64>,
    tracked: HashSet<Arc<str>>,
    next_commit: Instant,
}

impl Running {
    async fn open(job: &Job) -> Result<Running, Exception> {
        let Job { shared, id, plugin, connector_settings, .. } = job;
        let sink = plugin.sink().ok_or_else(|| TaskError::fatal("the connector has no sink task"))?;
        let converters = Converters::new(&*shared.catalog, connector_settings, &shared.settings.properties)?;
        let steps = steps(&*shared.catalog, connector_settings)?;
        let group = group_id(&id.connector, connector_settings);
        let client_id = format!("connector-consumer-{id}");
        let (client, config, max_poll_records) = shared.settings.consumer(&client_id, &group, connector_settings)?;
        let mut consumer = Consumer::new(connect(client).await?, config);
        consumer.announce_revocations();
        let dead_letters = DeadLetterQueue::open(shared, id, connector_settings).await?;
        let errors =
            ErrorOperator::new(connector_settings, id, shared.metrics.errors(id), dead_letters, job.stop.clone())?;
        let class = plugin.classes().first().copied().unwrap_or_default().to_owned();
        let context = Arc::new(Context::new(id.clone(), class, Arc::new(errors)));
        let mut task = sink.task();
        task.start(&job.task_settings, context.clone()).await?;
        subscribe(&mut consumer, connector_settings)?;
        job.is_up();
        Ok(Running {
            task,
            consumer,
            steps,
            converters,
            context,
            metrics: shared.metrics.sink(id),
            max_poll_records,
            read: VecDeque::new(),
            ahead: None,
            again: None,
            processed: BTreeMap::new(),
            committed: BTreeMap::new(),
            tracked: HashSet::new(),
            next_commit: Instant::now() + shared.settings.offset_flush_interval,
        })
    }

    async fn run_until_stopped(&mut self, job: &Job) -> Result<(), Exception> {
        let mut targets = job.targets.clone();
        let mut was_paused = *targets.borrow_and_update() != TargetState::Started;
        while !job.stop.is_cancelled() {
            let is_paused = *targets.borrow_and_update() != TargetState::Started;
            if is_paused != was_paused {
                was_paused = is_paused;
                job.shared.task_state(&job.id, if is_paused { State::Paused } else { State::Running }, None);
            }
            if Instant::now() >= self.next_commit {
                self.commit(job, None).await;
            }
            if is_paused {
                self.attend(job).await?;
                tokio::select! {
                    () = job.stop.cancelled() => {}
                    _ = targets.changed() => {}
                    () = self.consumer.wants_attention() => {}
                }
            } else if self.again.is_some() || self.ahead.is_some() || !self.read.is_empty() {
                self.process(job).await?;
            } else {
                self.poll(job).await?;
            }
        }
        Ok(())
    }

    /// Reads the next records, of several partitions as long as they are at hand.
    async fn poll(&mut self, job: &Job) -> Result<(), Exception> {
        let until_commit = self.next_commit.saturating_duration_since(Instant::now());
        let mut wait = POLL.min(until_commit.max(Duration::from_millis(1)));
        while self.read.len() < self.max_poll_records {
            let polled = tokio::select! {
                polled = self.consumer.poll(wait) => polled?,
                () = job.stop.cancelled() => return Ok(()),
            };
            match polled {
                Polled::Records(fetched) => {
                    let records = raw::records(&fetched)?;
                    self.committed.entry(fetched.tp.clone()).or_insert(fetched.fetch_offset);
                    self.metrics.read.inc_by(records.len() as u64);
                    // Offsets without records, such as markers of transactions, are processed with what is before them.
                    if records.is_empty() && self.read.is_empty() {
                        self.processed.insert(fetched.tp.clone(), fetched.next_offset());
                    }
                    self.read.extend(records);
                }
                Polled::Idle => return Ok(()),
                changed => return self.assignment_changed(job, changed).await,
            }
            wait = Duration::ZERO;
        }
        Ok(())
    }

    /// Takes part in the group without reading.
    async fn attend(&mut self, job: &Job) -> Result<(), Exception> {
        for event in self.consumer.attend().await? {
            self.assignment_changed(job, event).await?;
        }
        Ok(())
    }

    async fn assignment_changed(&mut self, job: &Job, event: Polled) -> Result<(), Exception> {
        match event {
            Polled::Assigned(partitions) => {
                tracing::info!("task {} now reads {} more partitions", job.id, partitions.len());
                self.task.open(&partitions).await?;
            }
            Polled::Revoking(partitions) => self.commit(job, Some(&partitions)).await,
            Polled::Revoked(partitions) => {
                let is_lost = |topic: &str, partition: i32| {
                    partitions.iter().any(|tp| tp.partition == partition && tp.topic == topic)
                };
                self.forget_ahead();
                self.read.retain(|raw| !is_lost(&raw.topic, raw.partition));
                if let Some(batch) = self.again.as_mut() {
                    batch.next_offsets.retain(|tp, _| !partitions.contains(tp));
                    batch.records.retain(|record| match &record.origin {
                        crate::record::Origin::Sink { topic, partition, .. } => !is_lost(topic, *partition),
                        crate::record::Origin::Source { .. } => true,
                    });
                }
                self.processed.retain(|tp, _| !partitions.contains(tp));
                self.committed.retain(|tp, _| !partitions.contains(tp));
                self.task.close(&partitions).await?;
            }
            Polled::Records(_) | Polled::Idle => {}
        }
        self.metrics.partitions.set(i64::try_from(self.consumer.assignment().len()).unwrap_or(i64::MAX));
        Ok(())
    }

    /// What was converted ahead is to be converted again.
    fn forget_ahead(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            self.read = ahead.raw.into_iter().chain(self.read.drain(..)).collect();
        }
    }

    /// Puts the batch that was refused, or the next one. What comes after it is converted while the task waits for its
    /// database.
    async fn process(&mut self, job: &Job) -> Result<(), Exception> {
        let batch = match self.again.take() {
            Some(batch) => batch,
            None => self.next_batch(job).await?,
        };
        self.context.set_current(batch.raw.clone());
        let started = SystemClock.monotonic();
        let Running { task, read, ahead, steps, converters, context, max_poll_records, .. } = self;
        let look_ahead = async {
            if ahead.is_none() && !read.is_empty() && !context.errors.pauses() {
                *ahead = Some(convert::next(read, *max_poll_records, steps, converters, &context.errors));
            }
        };
        // Also an empty batch: a task may do something with each call.
        let (put, ()) = tokio::join!(task.put(&batch.records), look_ahead);
        self.metrics.put_seconds.inc_by(started.elapsed().as_secs_f64());
        match put {
            Ok(()) => {
                self.metrics.sent.inc_by(batch.records.len() as u64);
                self.processed.extend(batch.next_offsets);
                self.attend(job).await
            }
            Err(TaskError::Retriable(message)) => {
                self.context.errors.metrics.failed();
                self.context.errors.metrics.retries.inc();
                tracing::warn!("task {} could not write for now, and will again: {message}", job.id);
                self.again = Some(batch);
                self.wait_to_retry(job).await
            }
            Err(error) => {
                self.context.errors.metrics.failed();
                self.context.errors.metrics.errors.inc();
                Err(error.into())
            }
        }
    }

    /// The pause that the task asks for; the member stays in its group meanwhile.
    async fn wait_to_retry(&mut self, job: &Job) -> Result<(), Exception> {
        let until = Instant::now() + self.task.retry_after().unwrap_or(RETRY);
        while Instant::now() < until && !job.stop.is_cancelled() {
            self.attend(job).await?;
            let pause = ATTEND.min(until.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = job.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        Ok(())
    }

    /// The next records, converted; those that fail are settled.
    async fn next_batch(&mut self, job: &Job) -> Result<Batch, Exception> {
        let (steps, converters, errors) = (&mut self.steps, &self.converters, &self.context.errors);
        let converted = self.ahead.take();
        let Converted { raw, records, failures } = converted
            .unwrap_or_else(|| convert::next(&mut self.read, self.max_poll_records, steps, converters, errors));
        // What comes before a record that ends the task is put, so that only that one is left.
        if let (false, Some((index, _))) = (errors.tolerates(), failures.first())
            && *index > 0
        {
            let index = *index;
            self.read = raw[index..].iter().cloned().chain(self.read.drain(..)).collect();
            return Ok(self.batch(job, records, raw[..index].to_vec()));
        }
        for (index, failure) in failures {
            if let Some(record) = raw.get(index) {
                self.context.errors.settle(*failure, Failed::Sink(record)).await?;
            }
        }
        Ok(self.batch(job, records, raw))
    }

    fn batch(&mut self, job: &Job, records: Vec<Record>, raw: Vec<RawRecord>) -> Batch {
        let mut next_offsets = BTreeMap::new();
        let mut last: Option<(&Arc<str>, i32)> = None;
        for (at, record) in raw.iter().enumerate() {
            let is_last =
                raw.get(at + 1).is_none_or(|next| next.partition != record.partition || next.topic != record.topic);
            if is_last {
                next_offsets.insert(TopicPartition::new(&*record.topic, record.partition), record.offset + 1);
            }
            if last != Some((&record.topic, record.partition)) {
                last = Some((&record.topic, record.partition));
                if job.shared.settings.tracks_topics && self.tracked.insert(record.topic.clone()) {
                    job.shared.listener.topic(&job.id.connector, &record.topic, job.id.task);
                }
            }
        }
        let raw = if self.context.errors.wants_raw_records() { raw } else { Vec::new() };
        Batch { records, raw: Arc::new(raw), next_offsets }
    }

    /// Commits what the task has made durable, of `only` these partitions or of all. A commit that fails is tried again
    /// with the next one; a task that could not make things durable gets them again.
    async fn commit(&mut self, job: &Job, only: Option<&[TopicPartition]>) {
        self.next_commit = Instant::now() + job.shared.settings.offset_flush_interval;
        let wanted: BTreeMap<TopicPartition, i64> = self
            .processed
            .iter()
            .filter(|(tp, _)| only.is_none_or(|only| only.contains(tp)))
            .map(|(tp, offset)| (tp.clone(), *offset))
            .collect();
        if wanted.iter().all(|(tp, offset)| self.committed.get(tp) == Some(offset)) {
            return;
        }
        if let Err(error) = self.context.errors.flush().await {
            tracing::error!("task {}: offsets are not committed: {error}", job.id);
            self.metrics.commits_skipped.inc();
            return self.rewind();
        }
        let durable = match self.task.pre_commit(wanted.clone()).await {
            Ok(durable) => durable,
            Err(error) => {
                tracing::error!("task {}: offsets are not committed, the records since come again: {error}", job.id);
                self.metrics.commits_skipped.inc();
                return self.rewind();
            }
        };
        // Nothing that was not put, whatever the task says.
        let offsets: BTreeMap<TopicPartition, i64> = durable
            .into_iter()
            .filter(|(tp, offset)| wanted.get(tp).is_some_and(|processed| offset <= processed))
            .filter(|(tp, offset)| self.committed.get(tp) != Some(offset))
            .collect();
        if offsets.is_empty() {
            return;
        }
        let commit = offsets.iter().map(|(tp, offset)| (tp.clone(), Committed::at(*offset))).collect();
        let timeout = job.shared.settings.offset_flush_timeout;
        match tokio::time::timeout(timeout, self.consumer.commit_offsets(&commit)).await {
            Ok(Ok(())) => {
                self.committed.extend(offsets);
                self.metrics.commits.inc();
            }
            Ok(Err(error)) => {
                self.metrics.commits_skipped.inc();
                tracing::warn!("task {}: offsets were not committed: {error}", job.id);
            }
            Err(_) => {
                self.metrics.commits_skipped.inc();
                tracing::warn!("task {}: offsets were not committed within offset.flush.timeout.ms", job.id);
            }
        }
    }

    /// Reads again from what is committed.
    fn rewind(&mut self) {
        for (tp, offset) in &self.committed {
            self.consumer.seek(tp, *offset);
        }
        self.forget_ahead();
        let known = &self.committed;
        self.read.retain(|raw| !known.contains_key(&TopicPartition::new(&*raw.topic, raw.partition)));
        self.again = None;
        self.processed.clone_from(&self.committed);
    }

    /// Commits, leaves the group and closes.
    async fn close(&mut self, job: &Job, is_well: bool) {
        if is_well {
            self.commit(job, None).await;
        } else if let Err(error) = self.context.errors.flush().await {
            tracing::error!("task {}: {error}", job.id);
        }
        let partitions = self.consumer.assignment();
        if !partitions.is_empty()
            && let Err(error) = self.task.close(&partitions).await
        {
            tracing::warn!("task {}: {error}", job.id);
        }
        self.task.stop().await;
        if let Err(error) = self.consumer.unsubscribe().await {
            tracing::debug!("task {} did not leave its group: {error}", job.id);
        }
    }
}

fn subscribe(consumer: &mut Consumer, settings: &Settings) -> Result<(), Exception> {
    let topics: Vec<String> = list(settings, "topics").map(str::to_owned).collect();
    if !topics.is_empty() {
        return Ok(consumer.subscribe(topics)?);
    }
    let pattern = settings.get("topics.regex").map_or("", |pattern| pattern.trim());
    if pattern.is_empty() {
        return Err(TaskError::fatal("Must configure one of topics or topics.regex").into());
    }
    let regex = regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
        TaskError::fatal(format!("Invalid value {pattern} for configuration topics.regex: {error}"))
    })?;
    Ok(consumer.subscribe_matching(pattern, Box::new(move |topic| regex.is_match(topic)))?)
}
