//! Offsets in a compacted topic, which all workers read whole and follow (`offset.storage.topic`).
//!
//! What [`OffsetStore::read`] gives is as new as the topic was when it was called: a task that moves from one worker to
//! another goes on where it stopped. Only committed transactions count.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milena_client::admin::{ConfigResource, IsolationLevel, OffsetSpec, ResourceType};
use milena_client::consumer::{Fetched, OffsetReset, Polled, Start};
use milena_client::producer::{Delivery, Outgoing};
use milena_client::{Cluster, Consumer, ConsumerConfig, Error, Producer, TopicPartition};
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_topics_request;
use milena_stdx::{Clock as _, ShutdownToken, SystemClock};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{OffsetError, OffsetStore, decode_key, decode_map, encode_key, encode_map, identity};
use crate::plugin::{Settings, TaskError, Waiting};
use crate::record::SourceMap;
use crate::worker::WorkerSettings;
use crate::worker::settings::{number, with_prefix};
use crate::worker::source::connect;

/// How long one look at the topic waits for records.
const POLL: Duration = Duration::from_millis(500);
/// Pause before the topic is read again after an error.
const RETRY: Duration = Duration::from_secs(1);
/// How long reading to the end may take.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The topic, and how it is made.
#[derive(Debug, Clone)]
pub struct KafkaOffsetOptions {
    /// `offset.storage.topic`.
    pub topic: String,
    /// `offset.storage.partitions`.
    pub partitions: i32,
    /// `offset.storage.replication.factor`.
    pub replication_factor: i16,
    /// `offset.storage.<configuration of the topic>`.
    pub configs: Vec<(String, String)>,
}

impl KafkaOffsetOptions {
    /// Reads a worker's properties.
    ///
    /// # Errors
    /// A setting that is missing or wrong.
    pub fn new(properties: &Settings) -> Result<KafkaOffsetOptions, TaskError> {
        let prefix = "offset.storage.";
        let topic = properties.get("offset.storage.topic").cloned().ok_or_else(|| {
            TaskError::fatal("Missing required configuration \"offset.storage.topic\" which has no default value.")
        })?;
        let own = ["topic", "partitions", "replication.factor", "file.filename"];
        let configs = with_prefix(properties, prefix).filter(|(key, _)| !own.contains(key));
        Ok(KafkaOffsetOptions {
            topic,
            partitions: number(properties, "offset.storage.partitions", 25)?,
            replication_factor: number(properties, "offset.storage.replication.factor", 3)?,
            configs: configs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        })
    }
}

/// See the module's words.
pub struct KafkaOffsetStore {
    cluster: Cluster,
    topic: String,
    producer: Producer,
    shared: Arc<Shared>,
    _follower: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Shared {
    /// By [`identity`]: connector, partition, offset.
    offsets: Mutex<BTreeMap<String, (String, SourceMap, SourceMap)>>,
    waiting: Mutex<BTreeMap<u64, tokio::sync::oneshot::Sender<Result<(), Error>>>>,
    next_ticket: std::sync::atomic::AtomicU64,
    /// The next offset to read of each partition.
    positions: watch::Sender<BTreeMap<i32, i64>>,
}

impl KafkaOffsetStore {
    /// Makes the topic if it is not there, reads it to its end and follows it until the store is dropped.
    ///
    /// # Errors
    /// A topic that is not compacted, a cluster that does not answer.
    pub async fn open(
        settings: &WorkerSettings,
        options: KafkaOffsetOptions,
        shutdown: ShutdownToken,
    ) -> Result<KafkaOffsetStore, OffsetError> {
        let group = settings.group_id.as_deref().unwrap_or("connect");
        let (client, mut config) = settings.producer(&format!("{group}-offsets"), &Settings::new()).map_err(of_task)?;
        // Nobody sees this producer, and a retry must not write twice.
        config.enable_idempotence = Some(true);
        config.linger = Duration::ZERO;
        let cluster = connect(client).await.map_err(of_client)?;
        make_topic(&cluster, &options).await?;
        let shared = Arc::new(Shared::default());
        let told = shared.clone();
        let producer = Producer::new(cluster.clone(), config, Box::new(move |delivery| told.delivered(delivery)));
        let follower = Follower { cluster: cluster.clone(), topic: options.topic.clone(), shared: shared.clone() };
        let following = tokio::spawn(async move {
            tokio::select! {
                () = follower.follow() => {}
                () = shutdown.cancelled() => {}
            }
        });
        let store = KafkaOffsetStore {
            cluster,
            topic: options.topic,
            producer: producer.map_err(of_client)?,
            shared,
            _follower: AbortOnDropHandle::new(following),
        };
        store.read_to_end().await?;
        Ok(store)
    }

    /// Returns when everything that is in the topic now was read.
    async fn read_to_end(&self) -> Result<(), OffsetError> {
        let info = self.cluster.topic(&self.topic, false, READ_TIMEOUT).await.map_err(of_client)?;
        let ends: Vec<(TopicPartition, OffsetSpec)> =
            partitions(&self.topic, info.partitions.len()).map(|tp| (tp, OffsetSpec::LATEST)).collect();
        let found = self.cluster.list_offsets(&ends, IsolationLevel::ReadCommitted).await.map_err(of_client)?;
        let mut wanted = BTreeMap::new();
        for (tp, end) in found {
            wanted.insert(tp.partition, end.map_err(of_client)?.offset);
        }
        let mut positions = self.shared.positions.subscribe();
        let reached = positions.wait_for(|positions| {
            wanted.iter().all(|(partition, end)| *end <= 0 || positions.get(partition).is_some_and(|at| at >= end))
        });
        match tokio::time::timeout(READ_TIMEOUT, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(OffsetError::Store("the worker is stopping".to_owned())),
            Err(_) => Err(OffsetError::Store(format!(
                "{} was not read to its end within {} s",
                self.topic,
                READ_TIMEOUT.as_secs()
            ))),
        }
    }

    async fn append(&self, records: Vec<(String, Option<String>)>) -> Result<(), Error> {
        let queue = self.producer.topic(&self.topic).await?;
        let mut outcomes = Vec::with_capacity(records.len());
        for (key, value) in records {
            let ticket = self.shared.next_ticket.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let (sender, receiver) = tokio::sync::oneshot::channel();
            self.shared.waiting.lock().insert(ticket, sender);
            let record = Outgoing {
                timestamp: SystemClock.now_ms(),
                key: Some(key.as_bytes()),
                value: value.as_deref().map(str::as_bytes),
                ..Outgoing::default()
            };
            if let Err(error) = self.producer.append(&queue, &record, ticket).await {
                self.shared.waiting.lock().remove(&ticket);
                return Err(error);
            }
            outcomes.push(receiver);
        }
        for outcome in outcomes {
            outcome.await.map_err(|_| Error::IllegalState("the producer has stopped".to_owned()))??;
        }
        Ok(())
    }
}

impl OffsetStore for KafkaOffsetStore {
    fn read<'a>(
        &'a self,
        connector: &'a str,
        partitions: &'a [SourceMap],
    ) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, OffsetError>> {
        Box::pin(async move {
            self.read_to_end().await?;
            let offsets = self.shared.offsets.lock();
            let found = partitions.iter().filter_map(|partition| {
                let (_, _, offset) = offsets.get(&identity(connector, partition))?;
                Some((partition.clone(), offset.clone()))
            });
            Ok(found.collect())
        })
    }

    fn read_all<'a>(&'a self, connector: &'a str) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, OffsetError>> {
        Box::pin(async move {
            self.read_to_end().await?;
            let offsets = self.shared.offsets.lock();
            let of_connector = offsets.values().filter(|(owner, ..)| owner == connector);
            Ok(of_connector.map(|(_, partition, offset)| (partition.clone(), offset.clone())).collect())
        })
    }

    fn write<'a>(
        &'a self,
        connector: &'a str,
        offsets: Vec<(Arc<SourceMap>, Option<SourceMap>)>,
    ) -> Waiting<'a, Result<(), OffsetError>> {
        Box::pin(async move {
            let records = offsets
                .iter()
                .map(|(partition, offset)| (encode_key(connector, partition), offset.as_ref().map(encode_map)));
            self.append(records.collect()).await.map_err(of_client)
        })
    }

    fn topic(&self) -> Option<&str> {
        Some(&self.topic)
    }
}

impl Shared {
    fn delivered(&self, delivery: &Delivery<'_>) {
        let mut waiting = self.waiting.lock();
        for ticket in delivery.tickets {
            if let Some(sender) = waiting.remove(ticket) {
                // Whoever asked may have stopped waiting.
                let _ = sender.send(delivery.result.map(|_| ()).map_err(Error::duplicate));
            }
        }
    }

    fn apply(&self, fetched: &Fetched) -> Result<(), Error> {
        let mut offsets = self.offsets.lock();
        fetched.for_each::<Error>(|read| {
            let Some((connector, partition)) = read.record.key.and_then(decode_key) else { return Ok(true) };
            let key = identity(&connector, &partition);
            match read.record.value.and_then(decode_map) {
                Some(offset) => offsets.insert(key, (connector, partition, offset)),
                None => offsets.remove(&key),
            };
            Ok(true)
        })
    }

    fn reached(&self, partition: i32, position: i64) {
        self.positions.send_if_modified(|positions| {
            let known = positions.entry(partition).or_insert(0);
            std::mem::replace(known, position.max(*known)) < position
        });
    }
}

/// Reads the topic for ever.
struct Follower {
    cluster: Cluster,
    topic: String,
    shared: Arc<Shared>,
}

impl Follower {
    async fn follow(self) {
        loop {
            if let Err(error) = self.read().await {
                tracing::warn!("reading {}: {error}", self.topic);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn read(&self) -> Result<(), Error> {
        let config = ConsumerConfig {
            auto_offset_reset: OffsetReset::Earliest,
            enable_auto_commit: false,
            isolation_level: IsolationLevel::ReadCommitted,
            allow_auto_create_topics: false,
            ..ConsumerConfig::default()
        };
        let info = self.cluster.topic(&self.topic, false, READ_TIMEOUT).await?;
        let mut consumer = Consumer::new(self.cluster.clone(), config);
        let known = self.shared.positions.borrow().clone();
        let all: Vec<TopicPartition> = partitions(&self.topic, info.partitions.len()).collect();
        let start = |tp: &TopicPartition| match known.get(&tp.partition) {
            Some(position) if *position > 0 => Start::Offset(*position),
            _ => Start::Find(OffsetSpec::EARLIEST),
        };
        consumer.assign(all.iter().map(|tp| (tp.clone(), Some(start(tp)))).collect());
        loop {
            if let Polled::Records(fetched) = consumer.poll(POLL).await? {
                self.shared.apply(&fetched)?;
            }
            // Also what holds no records: a log may end in markers, or in offsets that compaction has emptied.
            for tp in &all {
                if let Some(position) = consumer.position(tp) {
                    self.shared.reached(tp.partition, position);
                }
            }
        }
    }
}

fn partitions(topic: &str, count: usize) -> impl Iterator<Item = TopicPartition> {
    (0..i32::try_from(count).unwrap_or(i32::MAX)).map(move |partition| TopicPartition::new(topic, partition))
}

async fn make_topic(cluster: &Cluster, options: &KafkaOffsetOptions) -> Result<(), OffsetError> {
    let name = &options.topic;
    let listed = cluster.list_topics().await.map_err(of_client)?;
    if listed.iter().any(|listing| listing.name == *name) {
        return check_compacted(cluster, name).await;
    }
    let config = |(key, value): (&str, &str)| create_topics_request::Config {
        name: key.to_owned(),
        value: Some(value.to_owned()),
    };
    let others = options.configs.iter().filter(|(key, _)| key != "cleanup.policy");
    let configs = others.map(|(key, value)| (key.as_str(), value.as_str())).chain([("cleanup.policy", "compact")]);
    let topic = create_topics_request::Topic {
        name: name.clone(),
        num_partitions: options.partitions,
        replication_factor: options.replication_factor,
        assignments: Vec::new(),
        configs: configs.map(config).collect(),
    };
    match cluster.create_topic(topic, false).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => check_compacted(cluster, name).await,
        Err(error) => Err(OffsetError::Store(format!(
            "offset.storage.topic {name} was not made (offset.storage.partitions={}, offset.storage.replication.factor={}): {error}",
            options.partitions, options.replication_factor
        ))),
    }
}

async fn check_compacted(cluster: &Cluster, topic: &str) -> Result<(), OffsetError> {
    let resource = ConfigResource { resource_type: ResourceType::Topic, name: topic.to_owned() };
    let configs = cluster.describe_configs(&resource).await.map_err(of_client)?;
    let policy =
        configs.iter().find(|config| config.name == "cleanup.policy").and_then(|config| config.value.as_deref());
    match policy {
        Some("compact") | None => Ok(()),
        Some(other) => Err(OffsetError::Store(format!(
            "Topic '{topic}' supplied via the 'offset.storage.topic' property is required to have 'cleanup.policy=compact' \
             to guarantee consistency and durability of source connector offsets, but found the topic currently has \
             'cleanup.policy={other}'"
        ))),
    }
}

fn of_client(error: Error) -> OffsetError {
    OffsetError::Store(error.to_string())
}

fn of_task(error: TaskError) -> OffsetError {
    OffsetError::Store(error.to_string())
}
