//! A compacted topic as a table: a reader that follows it for ever, and a writer that knows what was read back.
//!
//! ```text
//!   append ──► topic ──► follow ──► apply (the owner's table)
//!      └── waits for the acknowledgement, read_to_end for the reader
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milena_client::admin::{ConfigResource, IsolationLevel, OffsetSpec, ResourceType};
use milena_client::consumer::{OffsetReset, Polled, Start};
use milena_client::producer::{Delivery, Outgoing};
use milena_client::{Cluster, Consumer, ConsumerConfig, Error, Producer, ProducerConfig, TopicPartition};
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_topics_request;
use milena_stdx::{Clock as _, ShutdownToken, SystemClock};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use crate::config::worker::StorageTopic;

/// How long one look at the topic waits for records.
const POLL: Duration = Duration::from_secs(1);
/// Pause before the topic is read again after an error.
const RETRY: Duration = Duration::from_millis(500);
/// How long a write and the reading back of it may take together.
const WRITE_MAX: Duration = Duration::from_secs(30);

/// Why a topic of the workers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It would lose records.
    #[error(
        "Topic '{topic}' supplied via the '{key}' property is required to have 'cleanup.policy=compact' to guarantee consistency and durability of {purpose}, but found the topic currently has 'cleanup.policy={policy}'. Continuing would likely result in eventually losing {purpose} and problems restarting this Connect cluster in the future. Change the '{key}' property in the Connect worker configurations to use a topic with 'cleanup.policy=compact'."
    )]
    NotCompacted {
        /// The topic.
        topic: String,
        /// The setting that names it.
        key: &'static str,
        /// What it is for.
        purpose: &'static str,
        /// Its policy.
        policy: String,
    },
    /// Records would have no order.
    #[error(
        "Topic '{topic}' supplied via the 'config.storage.topic' property is required to have a single partition in order to guarantee consistency of connector configurations, but found {partitions} partitions."
    )]
    Partitions {
        /// The topic.
        topic: String,
        /// How many it has.
        partitions: usize,
    },
    /// It cannot be made.
    #[error("cannot create the topic {topic}: {source}; {key} and its .replication.factor say how")]
    NotCreated {
        /// The topic.
        topic: String,
        /// The setting that names it.
        key: &'static str,
        /// What the cluster said.
        source: Error,
    },
    /// The cluster.
    #[error(transparent)]
    Kafka(#[from] Error),
    /// It took too long.
    #[error("{0}")]
    TimedOut(String),
    /// Another leader has taken over.
    #[error(
        "Failed to write to config topic; this may be due to a transient error and the request can be safely retried"
    )]
    Fenced,
    /// The worker is being stopped.
    #[error("Worker is shutting down")]
    Stopped,
}

/// What the topic holds.
#[derive(Debug, Clone, Copy)]
pub struct LogRecord<'a> {
    /// Key.
    pub key: &'a [u8],
    /// Value; `None` deletes.
    pub value: Option<&'a [u8]>,
    /// Where it stands.
    pub offset: i64,
}

/// Who waits for which record.
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<i64, Error>>>>>;

/// Takes what is read, in order of each partition.
pub type Apply = Box<dyn Fn(LogRecord<'_>) + Send + Sync>;

/// Which topic, and what for.
pub struct Purpose {
    /// The setting that names it.
    pub key: &'static str,
    /// What it is for, in the messages of the original.
    pub what: &'static str,
    /// Whether it must have one partition.
    pub single: bool,
}

/// See the module's words. Clones are the same log.
#[derive(Clone)]
pub struct TopicLog {
    shared: Arc<Shared>,
    background: mpsc::UnboundedSender<Queued>,
}

/// What is written in the background.
enum Queued {
    /// A record.
    Record(String, Option<String>),
    /// Somebody waits until all records before were handed over.
    Barrier(oneshot::Sender<()>),
}

struct Shared {
    cluster: Cluster,
    topic: String,
    partitions: i32,
    producer: Producer,
    transactional: bool,
    isolation: IsolationLevel,
    /// Transactions go one at a time; whether this writer has fenced the others, and none has fenced it since.
    writing: tokio::sync::Mutex<bool>,
    next_ticket: AtomicU64,
    waiting: Waiting,
    positions: watch::Sender<BTreeMap<i32, i64>>,
    shutdown: ShutdownToken,
}

impl TopicLog {
    /// Makes the topic if it is missing, checks it, reads it to its end, and follows it until `shutdown`.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn open(
        cluster: Cluster,
        topic: &StorageTopic,
        purpose: &Purpose,
        transactional_id: Option<String>,
        apply: Apply,
        shutdown: ShutdownToken,
    ) -> Result<TopicLog, StorageError> {
        let partitions = make_and_check(&cluster, topic, purpose).await?;
        let waiting = Waiting::default();
        let isolation = match transactional_id {
            Some(_) => IsolationLevel::ReadCommitted,
            None => IsolationLevel::ReadUncommitted,
        };
        let config = ProducerConfig {
            linger: Duration::ZERO,
            transactional_id: transactional_id.clone(),
            enable_idempotence: transactional_id.is_some().then_some(true),
            delivery_timeout: Duration::from_secs(120),
            max_block: WRITE_MAX,
            ..ProducerConfig::default()
        };
        let told = waiting.clone();
        let on_delivery = move |delivery: &Delivery<'_>| {
            let mut waiting = told.lock();
            for (ticket, at) in delivery.tickets.iter().zip(0_i64..) {
                match waiting.remove(ticket) {
                    // Whoever asked may have stopped waiting.
                    Some(sender) => {
                        let _ = sender.send(delivery.result.map(|base| base + at).map_err(Error::duplicate));
                    }
                    None => {
                        if let Err(error) = delivery.result {
                            tracing::warn!("a record for {} was not written: {error}", delivery.topic);
                        }
                    }
                }
            }
        };
        let producer = Producer::new(cluster.clone(), config, Box::new(on_delivery))?;
        let (positions, mut read_to) = watch::channel(BTreeMap::new());
        let shared = Arc::new(Shared {
            cluster,
            topic: topic.name.clone(),
            partitions,
            producer,
            transactional: transactional_id.is_some(),
            isolation,
            writing: tokio::sync::Mutex::default(),
            next_ticket: AtomicU64::new(1),
            waiting,
            positions,
            shutdown,
        });
        tokio::spawn(shared.clone().follow(apply));
        let (background, queued) = mpsc::unbounded_channel();
        tokio::spawn(shared.clone().write_in_background(queued));
        let ends = shared.end_offsets().await?;
        let read = read_to.wait_for(|positions| reached(positions, &ends)).await;
        read.map_err(|_| StorageError::Stopped)?;
        Ok(TopicLog { shared, background })
    }

    /// Fences whoever has written before with the same transactional id, unless nobody can have since the last time: that
    /// would end what is being written here.
    ///
    /// # Errors
    /// The cluster's.
    pub async fn claim(&self) -> Result<(), StorageError> {
        if self.shared.transactional {
            let mut claimed = self.shared.writing.lock().await;
            if !*claimed {
                self.shared.producer.init_transactions().await?;
                *claimed = true;
            }
        }
        Ok(())
    }

    /// Others may write from now on.
    pub async fn release(&self) {
        *self.shared.writing.lock().await = false;
    }

    /// Writes records in order, all of them or, with a transactional id, none; waits until they are acknowledged and
    /// read back.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn append(&self, records: Vec<(String, Option<String>)>) -> Result<(), StorageError> {
        let work = async {
            let ends = {
                let mut claimed = self.shared.writing.lock().await;
                self.shared.write(records, &mut claimed).await?
            };
            self.shared.read_back(&ends).await
        };
        tokio::select! {
            done = tokio::time::timeout(WRITE_MAX, work) => done.unwrap_or_else(|_| {
                Err(StorageError::TimedOut(format!("writing to {} took too long", self.shared.topic)))
            }),
            () = self.shared.shutdown.cancelled() => Err(StorageError::Stopped),
        }
    }

    /// Writes a record some time soon, in the order of the calls.
    pub fn send(&self, key: String, value: Option<String>) {
        // Fails only when the worker is being stopped.
        let _ = self.background.send(Queued::Record(key, value));
    }

    /// Waits until everything that is in the topic now was applied.
    ///
    /// # Errors
    /// [`StorageError::TimedOut`], and the cluster's.
    pub async fn read_to_end(&self, timeout: Duration) -> Result<(), StorageError> {
        let work = async {
            let ends = self.shared.end_offsets().await?;
            self.shared.read_back(&ends).await
        };
        tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
            Err(StorageError::TimedOut(format!("reading {} to its end took too long", self.shared.topic)))
        })
    }

    /// Sends what waits.
    pub async fn flush(&self) {
        let (barrier, passed) = oneshot::channel();
        let flushing = async {
            if self.background.send(Queued::Barrier(barrier)).is_ok() {
                let _ = passed.await;
            }
            self.shared.producer.flush().await;
        };
        // A cluster that is gone must not hold up anybody.
        let _ = tokio::time::timeout(POLL, flushing).await;
    }
}

fn reached(positions: &BTreeMap<i32, i64>, ends: &BTreeMap<i32, i64>) -> bool {
    ends.iter().all(|(partition, end)| *end <= 0 || positions.get(partition).is_some_and(|at| at >= end))
}

impl Shared {
    async fn write(
        &self,
        records: Vec<(String, Option<String>)>,
        claimed: &mut bool,
    ) -> Result<BTreeMap<i32, i64>, StorageError> {
        if !self.transactional {
            return self.produce(records).await;
        }
        // Whatever goes wrong, and if this is given up half-way, the next transaction begins with a claim.
        if !std::mem::take(claimed) {
            return Err(StorageError::Fenced);
        }
        self.producer.begin_transaction().map_err(|_| StorageError::Fenced)?;
        let written = self.produce(records).await;
        let ended = match &written {
            Ok(_) => self.producer.commit_transaction().await,
            Err(_) => self.producer.abort_transaction().await,
        };
        ended.map_err(|_| StorageError::Fenced)?;
        *claimed = written.is_ok();
        written
    }

    /// The end of what was written, by partition.
    async fn produce(&self, records: Vec<(String, Option<String>)>) -> Result<BTreeMap<i32, i64>, StorageError> {
        let topic = self.producer.topic(&self.topic).await?;
        let mut pending = Vec::with_capacity(records.len());
        for (key, value) in &records {
            let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
            let (sender, receiver) = oneshot::channel();
            self.waiting.lock().insert(ticket, sender);
            match self.producer.append(&topic, &outgoing(key, value.as_deref()), ticket).await {
                Ok(partition) => pending.push((partition, receiver)),
                Err(error) => {
                    self.waiting.lock().remove(&ticket);
                    return Err(error.into());
                }
            }
        }
        let mut ends = BTreeMap::new();
        for (partition, receiver) in pending {
            let offset = receiver.await.map_err(|_| StorageError::Stopped)??;
            ends.insert(partition, offset + 1);
        }
        Ok(ends)
    }

    async fn write_in_background(self: Arc<Self>, mut queued: mpsc::UnboundedReceiver<Queued>) {
        while let Some(next) = queued.recv().await {
            let (key, value) = match next {
                Queued::Record(key, value) => (key, value),
                Queued::Barrier(passed) => {
                    // Who waits may have gone.
                    let _ = passed.send(());
                    continue;
                }
            };
            let written = async {
                let topic = self.producer.topic(&self.topic).await?;
                self.producer.append(&topic, &outgoing(&key, value.as_deref()), 0).await
            };
            tokio::select! {
                written = written => if let Err(error) = written {
                    tracing::warn!("{key} was not written to {}: {error}", self.topic);
                },
                () = self.shutdown.cancelled() => return,
            }
        }
    }

    async fn read_back(&self, ends: &BTreeMap<i32, i64>) -> Result<(), StorageError> {
        let mut positions = self.positions.subscribe();
        let read = positions.wait_for(|positions| reached(positions, ends)).await;
        read.map(|_| ()).map_err(|_| StorageError::Stopped)
    }

    async fn follow(self: Arc<Self>, apply: Apply) {
        let reading = async {
            loop {
                if let Err(error) = self.read(&apply).await {
                    tracing::warn!("reading {} failed, trying again: {error}", self.topic);
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = reading => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    /// Reads from the positions on until something fails.
    async fn read(&self, apply: &Apply) -> Result<(), Error> {
        let config = ConsumerConfig {
            auto_offset_reset: OffsetReset::Earliest,
            enable_auto_commit: false,
            fetch_max_wait: POLL,
            isolation_level: self.isolation,
            allow_auto_create_topics: false,
            ..ConsumerConfig::default()
        };
        let mut consumer = Consumer::new(self.cluster.clone(), config);
        let known = self.positions.borrow().clone();
        let start = |partition| match known.get(&partition) {
            Some(position) if *position > 0 => Start::Offset(*position),
            _ => Start::Find(OffsetSpec::EARLIEST),
        };
        let all: Vec<TopicPartition> = self.all_partitions().collect();
        consumer.assign(all.iter().map(|tp| (tp.clone(), Some(start(tp.partition)))).collect());
        loop {
            match consumer.poll(POLL).await? {
                Polled::Records(fetched) => {
                    fetched.for_each(|read| {
                        let (key, value) = (read.record.key.unwrap_or_default(), read.record.value);
                        apply(LogRecord { key, value, offset: read.record.offset });
                        Ok::<_, Error>(true)
                    })?;
                    let (partition, position) = (fetched.tp.partition, fetched.next_offset());
                    self.positions.send_modify(|known| {
                        known.insert(partition, position);
                    });
                }
                // A log may end in offsets that hold nothing any more: markers of transactions, what was compacted.
                _ => {
                    self.positions.send_if_modified(|known| {
                        let mut modified = false;
                        for tp in &all {
                            let position = consumer.position(tp).unwrap_or(0);
                            let at = known.entry(tp.partition).or_insert(0);
                            modified |= *at < position;
                            *at = position.max(*at);
                        }
                        modified
                    });
                }
            }
        }
    }

    async fn end_offsets(&self) -> Result<BTreeMap<i32, i64>, StorageError> {
        let wanted: Vec<_> = self.all_partitions().map(|tp| (tp, OffsetSpec::LATEST)).collect();
        let found = self.cluster.list_offsets(&wanted, self.isolation).await?;
        found.into_iter().map(|(tp, end)| Ok((tp.partition, end?.offset))).collect()
    }

    fn all_partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        (0..self.partitions).map(|partition| TopicPartition::new(self.topic.clone(), partition))
    }
}

fn outgoing<'a>(key: &'a str, value: Option<&'a str>) -> Outgoing<'a> {
    Outgoing {
        partition: None,
        timestamp: SystemClock.now_ms(),
        key: Some(key.as_bytes()),
        value: value.map(str::as_bytes),
        headers: &[],
    }
}

/// Makes the topic unless it is there; the number of its partitions.
async fn make_and_check(cluster: &Cluster, topic: &StorageTopic, purpose: &Purpose) -> Result<i32, StorageError> {
    let mut partitions = partitions_of(cluster, &topic.name).await?;
    if partitions.is_none() {
        create(cluster, topic, purpose.key).await?;
        cluster.topic(&topic.name, false, WRITE_MAX).await?;
        partitions = partitions_of(cluster, &topic.name).await?;
    }
    let count = partitions.unwrap_or_default();
    if purpose.single && count > 1 {
        return Err(StorageError::Partitions { topic: topic.name.clone(), partitions: count });
    }
    let resource = ConfigResource { resource_type: ResourceType::Topic, name: topic.name.clone() };
    let configs = cluster.describe_configs(&resource).await?;
    let policy = configs.into_iter().find(|config| config.name == "cleanup.policy").and_then(|config| config.value);
    match policy.as_deref() {
        Some("compact") => Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        policy => Err(StorageError::NotCompacted {
            topic: topic.name.clone(),
            key: purpose.key,
            purpose: purpose.what,
            policy: policy.unwrap_or_default().to_owned(),
        }),
    }
}

async fn partitions_of(cluster: &Cluster, topic: &str) -> Result<Option<usize>, StorageError> {
    match cluster.describe_topics(&[topic.to_owned()], 2000).await {
        Ok(described) => Ok(described.first().map(|topic| topic.partitions.len())),
        Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn create(cluster: &Cluster, topic: &StorageTopic, key: &'static str) -> Result<(), StorageError> {
    const OWN: [&str; 3] = ["topic", "partitions", "replication.factor"];
    let config = |name: &str, value: &str| create_topics_request::Config {
        name: name.to_owned(),
        value: Some(value.to_owned()),
    };
    let mut configs = vec![config("cleanup.policy", "compact")];
    let further = topic.configs.iter().filter(|(name, _)| !OWN.contains(&name.as_str()) && *name != "cleanup.policy");
    configs.extend(further.map(|(name, value)| config(name, value)));
    let request = create_topics_request::Topic {
        name: topic.name.clone(),
        num_partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        assignments: Vec::new(),
        configs,
    };
    match cluster.create_topic(request, false).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
        Err(source) => Err(StorageError::NotCreated { topic: topic.name.clone(), key, source }),
    }
}
