//! A persistent query's share of work on this server: the tasks of the partitions that its group gives to this member.
//!
//! ```text
//!   group of the query ──► tasks ──► producer: sink, channels, changelogs
//!            ▲                           │
//!            └──── offsets, after the records (or with them in one transaction) ◄
//! ```
//!
//! With `processing.guarantee=exactly_once_v2` records, changelogs and offsets are one transaction; otherwise records come
//! first, so that a crash repeats some of them and loses none. Transactions are named after the server and the query: whoever
//! comes after a crash ends what was left open. Offsets and changelogs of partitions that another server has left are read
//! when its transactions are over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use milena_client::admin::{Committed, IsolationLevel, OffsetSpec};
use milena_client::consumer::{Fetched, Polled};
use milena_client::producer::{Outgoing, TopicQueue};
use milena_client::{Cluster, Consumer, Producer, TopicPartition};
use milena_protocol::ErrorCode;
use milena_sql::ast::SourceKind;
use milena_sql::catalog::Settings;
use milena_sql::definition::PersistentQuery;
use milena_sql::runtime::RawRecord;
use milena_stdx::{Clock as _, ShutdownToken, SystemClock};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::clients::{Deliveries, FETCH_WAIT, consumer, producer};
use super::failure::{Cause, QueryFailure, Result};
use super::layout::{LaidPart, lay_out};
use super::opening::{Opener, Opening, TaskId};
use super::processing_log::QueryLog;
use super::states::QueryStatus;
use super::task::Task;
use crate::kafka::raw::raw_records;
use crate::kafka::records::header;
use crate::session::stream_property;
use crate::state::Server;

/// Longest rest of a query that finds nothing to do.
const REST: Duration = Duration::from_secs(2);
/// Rests after which a query is taken to be idle, and those of idle queries: fetches wait for records as long.
const RESTS_BEFORE_IDLE: u32 = 10;
const IDLE_REST: Duration = Duration::from_secs(10);
/// Rest while records wait for a topic that is not read to its end yet.
const WAITING_REST: Duration = Duration::from_millis(20);
/// Fetches that are put in the order of their times together, and their bytes: read records take memory until they are
/// worked off.
const FETCHES_TOGETHER: usize = 16;
const BYTES_TOGETHER: usize = 1024 * 1024;
/// `commit.interval.ms` where records may be repeated.
const COMMIT_INTERVAL: Duration = Duration::from_secs(2);
/// `commit.interval.ms` where they may not: readers of the result wait for it.
const COMMIT_INTERVAL_EXACTLY_ONCE: Duration = Duration::from_millis(100);
/// What was read since the last commit is kept in memory with what follows from it: beyond this it is committed early.
const COMMIT_BYTES: usize = 8 * 1024 * 1024;
/// Pause before offsets are asked for again that a transaction may still change.
const UNSTABLE: Duration = Duration::from_millis(100);

/// See the module's words.
pub struct Worker {
    status: Arc<QueryStatus>,
    group_id: String,
    sink: String,
    laid: Vec<LaidPart>,
    /// Topics that are read from their beginning whatever is configured: tables, and the query's own.
    whole: BTreeSet<String>,
    reset: OffsetSpec,
    tasks: BTreeMap<TaskId, Task>,
    opening: Opening,
    cluster: Cluster,
    consumer: Consumer,
    producer: Producer,
    turns: Arc<Semaphore>,
    queues: BTreeMap<String, Arc<TopicQueue>>,
    delivered: Arc<Mutex<Deliveries>>,
    log: Arc<QueryLog>,
    /// `ksql.fail.on.production.error`
    fail_on_production_error: bool,
    exactly_once: bool,
    commit_interval: Duration,
    /// How long records wait for others of an empty topic; `None`: not even for those that are there already.
    task_idle: Option<Duration>,
    /// Whether the group has said what this member reads.
    has_joined: bool,
    /// Whether the query is paused.
    rests: bool,
    /// Whether a transaction is open.
    open: bool,
    /// Whether something was read since the last commit.
    progressed: bool,
    bytes_since_commit: usize,
    idle_turns: u32,
}

impl Worker {
    /// Gets ready to join the query's group.
    ///
    /// # Errors
    /// Kafka, or the registry.
    pub async fn prepare(
        server: &Arc<Server>,
        query: &PersistentQuery,
        settings: &Settings,
        status: &Arc<QueryStatus>,
    ) -> Result<Worker> {
        server.ready().await?;
        // Connections of the query's own: requests that wait at the broker hold up no other query.
        let cluster = Cluster::connect(server.config.client.clone()).await?;
        let group_id = format!("{}{}", server.config.query_prefix(), query.id);
        let replicas = stream_property(settings, "replication.factor").and_then(|factor| factor.parse().ok());
        let laid = lay_out(&cluster, query, &group_id, replicas.unwrap_or(server.config.internal_replicas)).await?;
        let exactly_once = stream_property(settings, "processing.guarantee")
            .is_some_and(|guarantee| guarantee.starts_with("exactly_once"));
        let earliest =
            stream_property(settings, "auto.offset.reset").is_some_and(|at| at.eq_ignore_ascii_case("earliest"));
        let consumer = consumer(server, &cluster, &group_id, &laid, earliest)?;
        let delivered: Arc<Mutex<Deliveries>> = Arc::default();
        let producer = producer(server, &cluster, &group_id, exactly_once, &delivered)?;
        if exactly_once {
            producer.init_transactions().await?;
        }
        let interval = millis(settings, "commit.interval.ms").and_then(|ms| u64::try_from(ms).ok());
        let default = if exactly_once { COMMIT_INTERVAL_EXACTLY_ONCE } else { COMMIT_INTERVAL };
        let opener = Opener {
            server: server.clone(),
            query: query.clone(),
            settings: settings.clone(),
            laid: laid.clone(),
            cluster: cluster.clone(),
        };
        Ok(Worker {
            status: status.clone(),
            sink: query.sink.topic.clone(),
            whole: whole(&laid),
            reset: if earliest { OffsetSpec::EARLIEST } else { OffsetSpec::LATEST },
            tasks: BTreeMap::new(),
            opening: Opening::new(opener),
            consumer,
            producer,
            turns: server.turns.clone(),
            queues: BTreeMap::new(),
            delivered,
            log: Arc::new(QueryLog {
                query: query.id.clone(),
                status: status.clone(),
                topic: server.processing_log.clone(),
            }),
            fail_on_production_error: settings.is_true("ksql.fail.on.production.error", true),
            exactly_once,
            commit_interval: interval.map_or(default, Duration::from_millis),
            task_idle: match millis(settings, "max.task.idle.ms") {
                Some(ms) => u64::try_from(ms).ok().map(Duration::from_millis),
                None => Some(Duration::ZERO),
            },
            has_joined: false,
            rests: false,
            open: false,
            progressed: false,
            bytes_since_commit: 0,
            idle_turns: 0,
            group_id,
            laid,
            cluster,
        })
    }

    /// Works until `stop`; then commits and leaves the group.
    ///
    /// # Errors
    /// What ends the query: it is to be started again.
    pub async fn run(mut self, paused: &mut watch::Receiver<bool>, stop: &ShutdownToken) -> Result<()> {
        let worked = self.work(paused, stop).await;
        let committed = match &worked {
            Ok(()) => self.commit().await,
            Err(_) if self.open => self.producer.abort_transaction().await.map_err(QueryFailure::from),
            Err(_) => Ok(()),
        };
        self.opening.give_up(|_| false).await;
        self.producer.close().await;
        // The group finds out by itself when this fails.
        let _ = self.consumer.resign().await;
        worked.and(committed)
    }

    async fn work(&mut self, paused: &mut watch::Receiver<bool>, stop: &ShutdownToken) -> Result<()> {
        let mut commit_at = Instant::now() + self.commit_interval;
        while !stop.is_cancelled() {
            self.status.works();
            self.rests = *paused.borrow_and_update();
            while let Some((id, task)) = self.opening.try_next()? {
                self.tasks.insert(id, task);
            }
            let has_read = self.read(stop).await?;
            let has_worked = self.advance().await?;
            self.hold_back();
            if Instant::now() >= commit_at || self.bytes_since_commit >= COMMIT_BYTES {
                self.commit().await?;
                self.tell_lags();
                commit_at = Instant::now() + self.commit_interval;
            }
            if !has_read && !has_worked {
                self.rest(commit_at, paused, stop).await?;
            } else {
                self.wake();
            }
        }
        Ok(())
    }

    /// Takes what was fetched, without waiting for more; whether there was something.
    async fn read(&mut self, stop: &ShutdownToken) -> Result<bool> {
        let mut has_read = false;
        let mut left = FETCHES_TOGETHER;
        let mut bytes = 0;
        while left > 0 && bytes < BYTES_TOGETHER {
            left -= 1;
            let polled = tokio::select! {
                polled = self.consumer.poll(Duration::ZERO) => polled?,
                // A group may take its time to come together.
                () = stop.cancelled() => break,
            };
            match polled {
                Polled::Records(fetched) => {
                    self.take(&fetched)?;
                    bytes += fetched.size_in_bytes();
                    has_read = true;
                }
                // What was read of them is committed before another member reads on. They go with the next poll: nothing
                // is worked off before that.
                Polled::Revoking(_) => {
                    self.advance().await?;
                    self.commit().await?;
                    (left, bytes) = (left.max(1), 0);
                }
                Polled::Assigned(partitions) => {
                    self.has_joined = true;
                    self.find_positions(&partitions).await?;
                    self.open_tasks(&partitions);
                }
                Polled::Revoked(_) if self.open => {
                    // The partitions were lost with work in an open transaction, which others do again.
                    let failure = QueryFailure::new(Cause::System, "the member was removed from its group");
                    return Err(QueryFailure { is_replaced: true, ..failure });
                }
                Polled::Revoked(partitions) => self.drop_tasks(&partitions).await,
                Polled::Idle => break,
            }
        }
        Ok(has_read)
    }

    /// Says how far the query is behind.
    fn tell_lags(&self) {
        let assigned = self.consumer.assignment();
        let lags = assigned.into_iter().filter_map(|tp| Some((tp.clone(), self.consumer.lag(&tp)?)));
        self.status.statistics.set_lags(lags.collect());
    }

    /// Waits until there may be something to do.
    async fn rest(
        &mut self,
        commit_at: Instant,
        paused: &mut watch::Receiver<bool>,
        stop: &ShutdownToken,
    ) -> Result<()> {
        self.tell_lags();
        let waits = self.tasks.values().any(Task::is_waiting);
        if !waits && !self.status.is_settled() {
            self.settle().await?;
        }
        self.idle_turns = if waits || self.progressed { 0 } else { self.idle_turns.saturating_add(1) };
        if self.idle_turns == RESTS_BEFORE_IDLE {
            self.consumer.set_fetch_max_wait(IDLE_REST);
        }
        let rest = match (waits, self.progressed) {
            (true, _) => WAITING_REST,
            (false, true) => commit_at.saturating_duration_since(Instant::now()),
            (false, false) if self.idle_turns >= RESTS_BEFORE_IDLE => IDLE_REST,
            (false, false) => REST,
        };
        tokio::select! {
            news = self.consumer.news(rest) => news?,
            opened = self.opening.next() => {
                let (id, task) = opened?;
                self.tasks.insert(id, task);
            }
            _ = paused.changed() => {}
            () = stop.cancelled() => {}
        }
        Ok(())
    }

    /// Notes when everything that was there is worked off for the first time: readers of a new table wait for it. What came
    /// of it is committed at once, for a part of the query may have to read it.
    async fn settle(&mut self) -> Result<()> {
        let is_caught_up = |consumer: &Consumer| consumer.assignment().iter().all(|tp| consumer.is_caught_up(tp));
        let nothing_is_left = self.rests || (self.has_joined && is_caught_up(&self.consumer));
        if !nothing_is_left {
            return Ok(());
        }
        self.commit().await?;
        let ends = self.delivered.lock().ends.clone();
        let is_read = |tp: &TopicPartition| {
            let end = ends.get(tp).copied().unwrap_or_default();
            self.consumer.position(tp).is_some_and(|position| position >= end)
        };
        if self.rests || self.consumer.assignment().iter().all(is_read) {
            self.status.settles();
        }
        Ok(())
    }

    fn wake(&mut self) {
        if self.idle_turns >= RESTS_BEFORE_IDLE {
            self.consumer.set_fetch_max_wait(FETCH_WAIT);
        }
        self.idle_turns = 0;
    }

    /// Seeks partitions that have come to where the group is, or to where the query begins. That place is committed at once,
    /// so that it is the same after a crash.
    async fn find_positions(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        // Some may have gone again meanwhile: those are another member's to commit.
        let assigned = self.consumer.assignment();
        let partitions: Vec<TopicPartition> = partitions.iter().filter(|tp| assigned.contains(tp)).cloned().collect();
        let committed = loop {
            match self.cluster.stable_offsets(&self.group_id, &partitions).await {
                Err(error) if error.code() == Some(ErrorCode::UnstableOffsetCommit) => {
                    tokio::time::sleep(UNSTABLE).await;
                }
                other => break other?,
            }
        };
        let mut begins = Vec::new();
        for tp in partitions {
            match committed.get(&tp) {
                Some(committed) => self.consumer.seek(&tp, committed.offset),
                None if self.whole.contains(&tp.topic) => begins.push((tp, OffsetSpec::EARLIEST)),
                None => begins.push((tp, self.reset)),
            }
        }
        if begins.is_empty() {
            return Ok(());
        }
        let mut found = BTreeMap::new();
        for (tp, offset) in self.cluster.list_offsets(&begins, IsolationLevel::ReadCommitted).await? {
            let offset = offset?.offset.max(0);
            self.consumer.seek(&tp, offset);
            found.insert(tp, Committed::at(offset));
        }
        if let Err(error) = self.consumer.commit_offsets(&found).await {
            tracing::debug!(group = self.group_id, "the first offsets are committed later: {error}");
        }
        Ok(())
    }

    /// Opens the tasks of partitions that have come and whose offsets are settled: from then on nobody else adds to the state.
    fn open_tasks(&mut self, partitions: &[TopicPartition]) {
        for (part, laid) in self.laid.iter().enumerate() {
            for id in (0..laid.partitions).map(|partition| (part, partition)) {
                let is_wanted = partitions.iter().any(|tp| laid.reads(tp, id.1));
                if is_wanted && !self.tasks.contains_key(&id) && !self.opening.has(&id) {
                    self.opening.begin(id);
                }
            }
        }
        self.hold_back();
    }

    /// Drops the tasks of partitions that have gone, and what waits there with them. Even if the same partitions come back
    /// at once they are read from the committed offset again, by which time another member may have gone on.
    async fn drop_tasks(&mut self, partitions: &[TopicPartition]) {
        let laid = &self.laid;
        let is_lost = |(part, partition): &TaskId| {
            laid.get(*part).is_none_or(|laid| partitions.iter().any(|tp| laid.reads(tp, *partition)))
        };
        self.tasks.retain(|id, _| !is_lost(id));
        self.opening.give_up(|id| !is_lost(id)).await;
    }

    /// Reads no more of partitions whose records cannot be worked off now: the query is paused, a task is not open yet, or
    /// records wait for others.
    fn hold_back(&mut self) {
        for tp in self.consumer.assignment() {
            let readers = self.laid.iter().enumerate().filter(|(_, laid)| laid.reads(&tp, tp.partition));
            let mut ids = readers.map(|(part, _)| (part, tp.partition));
            let waits = ids.any(|id| self.tasks.get(&id).is_none_or(|task| task.waits_from(&tp.topic).is_some()));
            self.consumer.set_paused(&tp, self.rests || waits);
        }
    }

    /// Gives fetched records to the tasks that read their topic.
    fn take(&mut self, fetched: &Fetched) -> Result<()> {
        let records = raw_records(fetched, i64::MAX)?;
        let count = u64::try_from(records.len()).unwrap_or_default();
        let bytes = u64::try_from(fetched.size_in_bytes()).unwrap_or_default();
        self.status.statistics.read(&fetched.tp.topic, count, bytes);
        self.bytes_since_commit += fetched.size_in_bytes();
        self.progressed = true;
        for ((part, partition), task) in &mut self.tasks {
            if self.laid[*part].reads(&fetched.tp, *partition) {
                task.take(&fetched.tp.topic, records.iter().cloned());
            }
        }
        Ok(())
    }

    /// Works off what the tasks have taken, and hands over what follows; whether there was something. Waits while the
    /// producer's memory is used up, and with it the reading of Kafka.
    async fn advance(&mut self) -> Result<bool> {
        if !self.tasks.values().any(Task::is_waiting) {
            return Ok(false);
        }
        let caught_up = |(_, partition): &TaskId, task: &Task| -> BTreeSet<String> {
            let is_caught_up =
                |topic: &&String| self.consumer.is_caught_up(&TopicPartition::new(topic.as_str(), *partition));
            task.topics().filter(is_caught_up).cloned().collect()
        };
        let caught_up: Vec<BTreeSet<String>> = self.tasks.iter().map(|(id, task)| caught_up(id, task)).collect();
        let (mut tasks, log, idle) = (std::mem::take(&mut self.tasks), self.log.clone(), self.task_idle);
        // Formats may ask the registry, which blocks; and expressions and state may take their time. Queries take turns, so
        // that a server with many of them has no thread for each.
        let turn = self.turns.clone().acquire_owned().await;
        let working = tokio::task::spawn_blocking(move || {
            let now = SystemClock.now_ms();
            let mut has_worked = false;
            let mut work = |task: &mut Task, caught_up: &BTreeSet<String>| {
                let before = task.waiting();
                let written = task.work(&*log, now, caught_up, idle)?;
                has_worked |= task.waiting() < before;
                Ok::<_, QueryFailure>(written)
            };
            let each = tasks.iter_mut().zip(&caught_up);
            let worked: Result<Vec<(usize, Vec<RawRecord>)>> =
                each.map(|(((part, _), task), caught_up)| Ok((*part, work(task, caught_up)?))).collect();
            (tasks, worked, has_worked)
        });
        let (tasks, worked, has_worked) = working.await?;
        drop(turn);
        self.tasks = tasks;
        for (part, records) in worked? {
            if records.is_empty() {
                continue;
            }
            let channel = self.laid[part].channel.clone();
            if channel.is_none() {
                self.status.statistics.wrote(&self.sink, u64::try_from(records.len()).unwrap_or_default());
            }
            let queue = self.queue(&channel.unwrap_or_else(|| self.sink.clone())).await?;
            for record in records {
                match self.append(&queue, None, &record).await {
                    Err(failure) if failure.is_too_large => {
                        self.log.unwritten(&failure.message);
                        if self.fail_on_production_error {
                            return Err(failure);
                        }
                    }
                    appended => appended?,
                }
            }
        }
        Ok(has_worked)
    }

    /// Where records for a topic are appended.
    async fn queue(&mut self, topic: &str) -> Result<Arc<TopicQueue>> {
        if let Some(queue) = self.queues.get(topic) {
            return Ok(queue.clone());
        }
        let queue = self.producer.topic(topic).await?;
        self.queues.insert(topic.to_owned(), queue.clone());
        Ok(queue)
    }

    async fn append(&mut self, queue: &TopicQueue, partition: Option<i32>, record: &RawRecord) -> Result<()> {
        if self.exactly_once && !self.open {
            self.producer.begin_transaction()?;
            self.open = true;
        }
        let headers: Vec<_> = record.headers.iter().map(|(name, value)| header(name, value.as_deref())).collect();
        let outgoing = Outgoing {
            partition,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        self.producer.append(queue, &outgoing, 0).await?;
        Ok(())
    }

    /// Everything that was read counts as done once everything that follows from it was written, state included.
    async fn commit(&mut self) -> Result<()> {
        if !self.progressed {
            return Ok(());
        }
        let logged = self.log_state().await?;
        let offsets = self.offsets();
        if self.exactly_once {
            if !self.open {
                self.producer.begin_transaction()?;
                self.open = true;
            }
            if let Some(group) = self.consumer.group_metadata() {
                self.producer.send_offsets_to_transaction(&offsets, &group).await?;
            }
            self.producer.commit_transaction().await?;
            self.open = false;
        } else {
            self.producer.flush().await;
            let failure = self.delivered.lock().failure.take();
            if let Some(error) = failure {
                self.log.unwritten(&error.to_string());
                return Err(error.into());
            }
            self.consumer.commit_offsets(&offsets).await?;
        }
        for (task, changelog) in logged {
            let end = self.delivered.lock().ends.get(&changelog).copied();
            if let (Some(task), Some(end)) = (self.tasks.get_mut(&task), end) {
                task.committed(end)?;
            }
        }
        // What still waits is progress that the next commit has to tell.
        self.progressed = self.tasks.values().any(Task::is_waiting);
        self.bytes_since_commit = 0;
        Ok(())
    }

    /// The first offset of each partition that is not worked off.
    fn offsets(&self) -> BTreeMap<TopicPartition, Committed> {
        let mut offsets = BTreeMap::new();
        for tp in self.consumer.assignment() {
            let Some(mut offset) = self.consumer.position(&tp) else { continue };
            for ((_, partition), task) in &self.tasks {
                if *partition == tp.partition {
                    offset = offset.min(task.waits_from(&tp.topic).unwrap_or(offset));
                }
            }
            offsets.insert(tp, Committed::at(offset));
        }
        offsets
    }

    /// Hands over what has changed of the state; which tasks had changes, and where those are.
    async fn log_state(&mut self) -> Result<Vec<((usize, i32), TopicPartition)>> {
        let now = SystemClock.now_ms();
        let mut logged = Vec::new();
        let keys: Vec<(usize, i32)> = self.tasks.keys().copied().collect();
        for (part, partition) in keys {
            let Some(changelog) = &self.laid[part].changelog else { continue };
            let topic = changelog.topic.clone();
            let Some(task) = self.tasks.get_mut(&(part, partition)) else { continue };
            task.leave()?;
            let changes = task.state_changes();
            if changes.is_empty() {
                continue;
            }
            let queue = self.queue(&topic).await?;
            for (key, value) in changes {
                let (key, value) = (Some(key.into()), value.map(Bytes::from));
                let record = RawRecord { key, value, timestamp: now, headers: Arc::default(), partition, offset: 0 };
                self.append(&queue, Some(partition), &record).await?;
            }
            logged.push(((part, partition), TopicPartition::new(topic, partition)));
        }
        Ok(logged)
    }
}

fn millis(settings: &Settings, name: &str) -> Option<i64> {
    stream_property(settings, name).and_then(|ms| ms.parse().ok())
}

fn whole(laid: &[LaidPart]) -> BTreeSet<String> {
    let sources: Vec<_> = laid.iter().flat_map(|laid| laid.part.step.sources()).collect();
    let is_stream = |topic: &String| sources.iter().any(|at| at.topic == *topic && at.kind == SourceKind::Stream);
    laid.iter().flat_map(|laid| laid.inputs.clone()).filter(|topic| !is_stream(topic)).collect()
}
