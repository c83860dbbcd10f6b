//! A batching producer.
//!
//! Records are appended to the open batch of their partition, in memory and without a task of
//! their own. A batch leaves when it is full, when it has lingered, or on a flush; one sender
//! task puts the ready batches of all partitions of a leader into one request, a few requests
//! under way at a time. The result of a batch goes to the delivery callback together with the
//! tickets of its records, so a record costs no allocation of its own.
//!
//! Unless it was switched off the producer is idempotent: batches carry sequences, so that retries keep
//! their order and write nothing twice. With a `transactional.id` they belong to transactions.

mod config;
mod metrics;
mod queue;
mod sender;
mod sequences;
mod transaction;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use milena_protocol::ErrorCode;
use milena_protocol::record::Header;

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::partitioner::{StickyPartition, partition_for_key};

pub use config::{ProducerConfig, parse_acks};
pub use metrics::Metric;
use metrics::Metrics;
use queue::PartitionQueue;
pub use sequences::ProducerIdentity;
use transaction::Transaction;

/// What became of a batch.
#[derive(Debug)]
pub struct Delivery<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// Offset of the first record (-1 with `acks=0`), or why the batch was given up.
    pub result: std::result::Result<i64, &'a Error>,
    /// When the broker appended the batch, in milliseconds since 1970, where that is the time of its records
    /// (`message.timestamp.type=LogAppendTime`); else -1.
    pub log_append_time_ms: i64,
    /// The tickets given to [`Producer::append`], in the order of the records.
    pub tickets: &'a [u64],
}

/// Where and when a broker says that it has put a batch; each -1 when it does not tell.
#[derive(Debug, Clone, Copy)]
struct Placed {
    base_offset: i64,
    log_append_time_ms: i64,
}

impl Placed {
    const UNKNOWN: Placed = Placed { base_offset: -1, log_append_time_ms: -1 };
}

/// Called from the sender task for each finished batch.
pub type OnDelivery = Box<dyn Fn(&Delivery<'_>) + Send + Sync>;

/// What to append.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outgoing<'a> {
    /// Partition, or `None` to choose by key.
    pub partition: Option<i32>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// Value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: &'a [Header],
}

/// A topic that records are sent to: its partitions and what waits for them.
#[derive(Debug)]
pub struct TopicQueue {
    name: String,
    /// Shared with the queue of the same topic from before it grew.
    partitions: Vec<Arc<PartitionQueue>>,
    sticky: Mutex<StickyPartition>,
}

/// Sends records to a cluster. Dropping it abandons what is not yet sent; see [`Producer::close`].
pub struct Producer {
    shared: Arc<Shared>,
    sender: Option<JoinHandle<()>>,
}

struct Shared {
    cluster: Cluster,
    config: ProducerConfig,
    on_delivery: OnDelivery,
    transaction: Option<Transaction>,
    /// What the cluster knows the producer as; `None` without idempotence and until it was asked for.
    identity: Mutex<Option<ProducerIdentity>>,
    topics: Mutex<HashMap<String, Arc<TopicQueue>>>,
    metrics: Metrics,
    /// Bytes of records appended and not yet delivered.
    buffered: AtomicUsize,
    /// Records appended and not yet delivered.
    undelivered: AtomicUsize,
    /// Callers that wait for memory or in a flush: open batches leave without lingering.
    hurry: AtomicUsize,
    closing: AtomicBool,
    /// Wakes the sender.
    work: Notify,
    /// Wakes callers that wait for memory or for a flush.
    progress: Notify,
}

impl Producer {
    /// A producer for `cluster`; `on_delivery` hears of every batch.
    ///
    /// # Errors
    /// [`Error::Config`] when settings exclude each other.
    pub fn new(cluster: Cluster, config: ProducerConfig, on_delivery: OnDelivery) -> Result<Producer> {
        config.check()?;
        let shared = Arc::new(Shared {
            cluster,
            transaction: config.transactional_id.clone().map(Transaction::new),
            config,
            on_delivery,
            identity: Mutex::default(),
            topics: Mutex::default(),
            metrics: Metrics::default(),
            buffered: AtomicUsize::new(0),
            undelivered: AtomicUsize::new(0),
            hurry: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            work: Notify::new(),
            progress: Notify::new(),
        });
        let sender = tokio::spawn(sender::run(Arc::clone(&shared)));
        Ok(Producer { shared, sender: Some(sender) })
    }

    /// The queues of `topic`, which is created when the cluster allows that. A topic that is known to have grown gets
    /// queues for its new partitions.
    ///
    /// # Errors
    /// The topic's error when it lasts for `max.block.ms`.
    pub async fn topic(&self, topic: &str) -> Result<Arc<TopicQueue>> {
        let known = lock(&self.shared.topics).get(topic).cloned();
        if let Some(known) = &known {
            let cached = self.shared.cluster.cached_topic(topic);
            if cached.is_none_or(|info| info.partitions.len() <= known.partitions.len()) {
                return Ok(Arc::clone(known));
            }
        }
        let max_block = self.shared.config.max_block;
        let info =
            self.shared.cluster.topic(topic, self.shared.config.creates_topics, max_block).await.map_err(|error| {
                match error.code() {
                    Some(code) if code.is_retriable() => Error::api(
                        ErrorCode::RequestTimedOut,
                        Some(format!("Topic {topic} not present in metadata after {} ms.", max_block.as_millis())),
                    ),
                    _ => error,
                }
            })?;
        let mut topics = lock(&self.shared.topics);
        // Another caller may have been here meanwhile: a partition must not have two queues.
        let mut partitions = topics.get(topic).map_or_else(Vec::new, |known| known.partitions.clone());
        partitions.resize_with(partitions.len().max(info.partitions.len()), Arc::default);
        let queue = Arc::new(TopicQueue { name: topic.to_owned(), partitions, sticky: Mutex::default() });
        topics.insert(topic.to_owned(), Arc::clone(&queue));
        Ok(queue)
    }

    /// Appends one record; waits only while `buffer.memory` is used up. Returns its partition.
    ///
    /// # Errors
    /// [`ErrorCode::MessageTooLarge`] above `max.request.size`, [`Error::Timeout`] when no memory
    /// came free within `max.block.ms`, [`ErrorCode::UnknownTopicOrPartition`] for a partition the topic lacks;
    /// with a `transactional.id` what keeps the transaction from going on.
    pub async fn append(&self, topic: &TopicQueue, record: &Outgoing<'_>, ticket: u64) -> Result<i32> {
        if let Some(error) = self.shared.transaction.as_ref().and_then(Transaction::obstacle) {
            return Err(error);
        }
        let size = queue::size_estimate(record);
        if size > self.shared.config.max_request_size {
            return Err(self.too_large(size));
        }
        if self.shared.buffered.load(Ordering::Relaxed) + size > self.shared.config.buffer_memory {
            self.wait_for_memory(size).await?;
        }
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let sticky = record.partition.is_none() && record.key.is_none();
        let partition = match (record.partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for_key(key, count),
            (None, None) => lock(&topic.sticky).current(count),
        };
        let queue = usize::try_from(partition).ok().and_then(|index| topic.partitions.get(index));
        let queue = queue.ok_or_else(|| {
            let message =
                format!("Invalid partition given with record: {partition} is not in the range [0...{count}).");
            Error::api(ErrorCode::UnknownTopicOrPartition, Some(message))
        })?;
        self.shared.buffered.fetch_add(size, Ordering::Relaxed);
        self.shared.undelivered.fetch_add(1, Ordering::Release);
        let appended = queue.append(record, size, ticket, &self.shared.config);
        if appended.closed_batch && sticky {
            lock(&topic.sticky).next(count);
        }
        if appended.wake_sender {
            self.shared.work.notify_one();
        }
        Ok(partition)
    }

    /// Sends everything appended so far and waits until each batch was delivered or given up.
    pub async fn flush(&self) {
        let _hurry = Hurry::new(&self.shared);
        self.shared.until(|shared| shared.undelivered.load(Ordering::Acquire) == 0).await;
    }

    /// Flushes and stops.
    pub async fn close(mut self) {
        self.flush().await;
        self.shared.closing.store(true, Ordering::Release);
        self.shared.work.notify_one();
        if let Some(sender) = self.sender.take() {
            let _ = sender.await;
        }
    }

    /// Records appended and not yet delivered.
    pub fn undelivered(&self) -> usize {
        self.shared.undelivered.load(Ordering::Acquire)
    }

    /// What was counted so far.
    pub fn metrics(&self) -> Vec<Metric> {
        let total = self.shared.config.buffer_memory;
        self.shared.metrics.all((total, total.saturating_sub(self.shared.buffered.load(Ordering::Relaxed))))
    }

    async fn wait_for_memory(&self, size: usize) -> Result<()> {
        let _hurry = Hurry::new(&self.shared);
        let limit = self.shared.config.buffer_memory;
        let enough = self.shared.until(|shared| {
            let buffered = shared.buffered.load(Ordering::Relaxed);
            buffered + size <= limit || buffered == 0
        });
        let max_block = self.shared.config.max_block;
        tokio::time::timeout(max_block, enough).await.map_err(|_| Error::Timeout {
            what: "Failed to allocate memory within the configured max blocking time: append".to_owned(),
            after_ms: max_block.as_millis(),
        })
    }

    fn too_large(&self, size: usize) -> Error {
        let limit = self.shared.config.max_request_size;
        let message = format!(
            "The message is {size} bytes when serialized which is larger than {limit}, which is the value of the max.request.size configuration."
        );
        Error::api(ErrorCode::MessageTooLarge, Some(message))
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            sender.abort();
        }
    }
}

impl Shared {
    /// Waits until `done`, looking again whenever a batch was finished.
    async fn until(&self, done: impl Fn(&Shared) -> bool) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            progress.as_mut().enable();
            if done(self) {
                return;
            }
            progress.await;
        }
    }

    fn finish(&self, topic: &str, partition: i32, result: std::result::Result<Placed, &Error>, batch: &queue::Batch) {
        if result.is_err() {
            self.metrics.failed(topic, batch.tickets.len());
        }
        let log_append_time_ms = result.map_or(-1, |placed| placed.log_append_time_ms);
        let result = result.map(|placed| placed.base_offset);
        (self.on_delivery)(&Delivery { topic, partition, result, log_append_time_ms, tickets: &batch.tickets });
        self.buffered.fetch_sub(batch.records_size(), Ordering::Relaxed);
        self.undelivered.fetch_sub(batch.tickets.len(), Ordering::Release);
        self.progress.notify_waiters();
    }

    fn linger(&self) -> Duration {
        if self.hurry.load(Ordering::Acquire) > 0 { Duration::ZERO } else { self.config.linger }
    }

    fn topics(&self) -> Vec<Arc<TopicQueue>> {
        lock(&self.topics).values().cloned().collect()
    }
}

/// While it lives, batches do not linger.
struct Hurry<'a>(&'a Shared);

impl<'a> Hurry<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.hurry.fetch_add(1, Ordering::AcqRel);
        shared.work.notify_one();
        Hurry(shared)
    }
}

impl Drop for Hurry<'_> {
    fn drop(&mut self) {
        self.0.hurry.fetch_sub(1, Ordering::AcqRel);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When a batch that was opened at `opened` must leave.
fn deadline(opened: Instant, after: Duration) -> Instant {
    opened.checked_add(after).unwrap_or_else(|| opened + Duration::from_secs(86_400))
}
