//! The log in a topic: a reader that follows it for ever, and a writer that waits for the reader.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_client::consumer::{Fetched, OffsetReset, Polled, Start};
use milena_client::producer::{Delivery, Outgoing};
use milena_client::{Cluster, Consumer, ConsumerConfig, Error, Producer, ProducerConfig, TopicPartition};
use milena_stdx::ShutdownToken;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

use super::StorageError;
use super::record::{Key, Record};
use super::store::Store;
use super::topic::{REQUEST_BYTES_MAX, TopicOptions, is_too_large};

/// How long one look at the topic waits for records.
const POLL: Duration = Duration::from_secs(1);
/// How long the next fetch is waited for before the one that is being decoded is applied: with both at hand, the one is
/// applied while the other is decoded.
const WHILE_DECODING: Duration = Duration::from_millis(5);
/// Pause before the topic is looked for again, or read again after an error.
const RETRY: Duration = Duration::from_millis(500);
/// Bytes that one fetch may bring.
const FETCH_BYTES_MAX: i32 = 4 * 1024 * 1024;

/// A fetch smaller than this is decoded where it is read: handing it to another thread would take longer.
const DECODED_AT_ONCE_BYTES_MAX: usize = 64 * 1024;

/// What a fetch brought.
struct Decoded {
    /// With their timestamps, in milliseconds since 1970.
    records: Vec<(Record, i64)>,
    next_offset: i64,
}

/// A record as the topic holds it; no value is a tombstone.
type KeyAndValue = (Vec<u8>, Option<Vec<u8>>);

/// How the topic is used.
#[derive(Debug, Clone)]
pub struct KafkaLogOptions {
    /// Which one.
    pub topic: TopicOptions,
    /// `kafkastore.timeout.ms`: how long a write may take until it is read back.
    pub timeout: Duration,
    /// `kafkastore.init.timeout.ms`: how long the first reading may take.
    pub init_timeout: Duration,
    /// Make the topic with the first write, not at the start.
    pub create_late: bool,
}

/// See the module's words.
pub struct KafkaLog {
    shared: Arc<Shared>,
    producer: tokio::sync::OnceCell<Producer>,
    next_ticket: AtomicU64,
    waiting: Waiting,
    /// An append has timed out: what it wrote may still come.
    unsettled: AtomicBool,
}

struct Shared {
    cluster: Cluster,
    options: KafkaLogOptions,
    store: RwLock<Store>,
    /// Keys that others spell with other bytes than we do. Compaction keeps a record under each spelling, so a tombstone
    /// is needed under each, or what was deleted comes back.
    other_spellings: Mutex<HashMap<Key, Vec<Vec<u8>>>>,
    /// The next offset to read.
    position: watch::Sender<i64>,
    /// The topic was made.
    made: Notify,
    shutdown: ShutdownToken,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<i64, Error>>>>>;

impl KafkaLog {
    /// Reads the topic to its end, and follows it until `shutdown`. A missing topic is made, now or with the first write.
    ///
    /// # Errors
    /// A topic that is not fit, a cluster that does not answer within `init_timeout`.
    pub async fn open(
        cluster: Cluster,
        options: KafkaLogOptions,
        shutdown: ShutdownToken,
    ) -> Result<KafkaLog, StorageError> {
        let exists = options.topic.exists(&cluster).await?;
        if !exists && !options.create_late {
            options.topic.create(&cluster).await?;
        }
        let (position, mut read_to) = watch::channel(0);
        let shared = Arc::new(Shared {
            cluster,
            options,
            store: RwLock::default(),
            other_spellings: Mutex::default(),
            position,
            made: Notify::new(),
            shutdown,
        });
        let is_there = exists || !shared.options.create_late;
        tokio::spawn(shared.clone().follow(is_there));
        let log = KafkaLog {
            shared,
            producer: tokio::sync::OnceCell::new(),
            next_ticket: AtomicU64::new(0),
            waiting: Waiting::default(),
            unsettled: AtomicBool::new(false),
        };
        if is_there {
            let end = log.shared.end_offset().await?;
            let reading = read_to.wait_for(|position| *position >= end);
            match tokio::time::timeout(log.shared.options.init_timeout, reading).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Err(StorageError::Stopped),
                Err(_) => {
                    let (topic, at) = (&log.shared.options.topic.name, *log.shared.position.borrow());
                    let message = format!("{topic} was read to offset {at} of {end} within kafkastore.init.timeout.ms");
                    return Err(StorageError::TimedOut(message));
                }
            }
        }
        Ok(log)
    }

    /// See [`super::Log::store`].
    pub fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.shared.store.read()
    }

    /// The id of the cluster, if it told one.
    pub fn cluster_id(&self) -> Option<String> {
        self.shared.cluster.cluster_id()
    }

    /// See [`super::Log::append`].
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn append(&self, records: &[Record]) -> Result<(), StorageError> {
        let timeout = self.shared.options.timeout;
        let written = match tokio::time::timeout(timeout, self.write(records)).await {
            Ok(written) => written,
            Err(_) => Err(StorageError::TimedOut(format!("no acknowledgement within {} ms", timeout.as_millis()))),
        };
        match written {
            Ok(last) => self.read_back(last).await,
            Err(error) => {
                let refused = matches!(error, StorageError::TooLarge | StorageError::Refused(_));
                self.unsettled.fetch_or(!refused, Ordering::AcqRel);
                Err(error)
            }
        }
    }

    /// See [`super::Log::settle`].
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn settle(&self) -> Result<(), StorageError> {
        if self.unsettled.load(Ordering::Acquire) {
            self.barrier().await?;
        }
        Ok(())
    }

    /// Writes a record that says nothing and reads up to it: the store is as new as the topic then.
    ///
    /// # Errors
    /// As [`KafkaLog::append`].
    pub async fn barrier(&self) -> Result<(), StorageError> {
        self.append(&[Record::tombstone(Key::Noop)]).await?;
        self.unsettled.store(false, Ordering::Release);
        Ok(())
    }

    /// See [`super::Log::read_to_end`].
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn read_to_end(&self) -> Result<(), StorageError> {
        let end = self.shared.end_offset().await?;
        self.read_back(end - 1).await
    }

    async fn write(&self, records: &[Record]) -> Result<i64, StorageError> {
        let producer = self.producer.get_or_try_init(|| self.prepare()).await?;
        let topic = producer.topic(&self.shared.options.topic.name).await?;
        let mut pending = Vec::with_capacity(records.len());
        for (key, value) in self.shared.spelled(records)? {
            let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
            let (sender, receiver) = oneshot::channel();
            self.waiting.lock().insert(ticket, sender);
            pending.push(receiver);
            let outgoing = outgoing(&key, value.as_deref());
            if let Err(error) = producer.append(&topic, &outgoing, ticket).await {
                self.waiting.lock().remove(&ticket);
                return Err(storage_error(error));
            }
        }
        let mut last = -1;
        for receiver in pending {
            last = receiver.await.map_err(|_| StorageError::Stopped)?.map_err(storage_error)?.max(last);
        }
        Ok(last)
    }

    /// Makes the topic if that was put off, and a producer.
    async fn prepare(&self) -> Result<Producer, StorageError> {
        let Shared { cluster, options, .. } = &*self.shared;
        if options.create_late && !options.topic.exists(cluster).await? {
            options.topic.create(cluster).await?;
        }
        self.shared.made.notify_one();
        cluster.topic(&options.topic.name, false, options.timeout).await?;
        let config = ProducerConfig {
            linger: Duration::ZERO,
            max_request_size: REQUEST_BYTES_MAX,
            delivery_timeout: options.timeout,
            max_block: options.timeout,
            ..ProducerConfig::default()
        };
        let waiting = self.waiting.clone();
        let on_delivery = move |delivery: &Delivery<'_>| {
            let mut waiting = waiting.lock();
            for (ticket, at) in delivery.tickets.iter().zip(0_i64..) {
                let Some(sender) = waiting.remove(ticket) else { continue };
                // Whoever asked may have stopped waiting.
                let _ = sender.send(delivery.result.map(|base| base + at).map_err(Error::duplicate));
            }
        };
        Ok(Producer::new(cluster.clone(), config, Box::new(on_delivery))?)
    }

    async fn read_back(&self, last: i64) -> Result<(), StorageError> {
        let mut position = self.shared.position.subscribe();
        let timeout = self.shared.options.timeout;
        let reading = position.wait_for(|position| *position > last);
        match tokio::time::timeout(timeout, reading).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(StorageError::Stopped),
            Err(_) => {
                let message = format!("offset {last} was written and not read back within {} ms", timeout.as_millis());
                Err(StorageError::TimedOut(message))
            }
        }
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.shared.shutdown.cancel();
    }
}

/// The reader.
impl Shared {
    async fn follow(self: Arc<Self>, is_there: bool) {
        let shutdown = self.shutdown.clone();
        let reading = async {
            if !is_there {
                self.wait_for_topic().await;
            }
            loop {
                if let Err(error) = self.read().await {
                    tracing::warn!("reading {} failed, trying again: {error}", self.options.topic.name);
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = reading => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Until this or another registry makes the topic.
    async fn wait_for_topic(&self) {
        loop {
            tokio::select! {
                () = self.made.notified() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
            match self.options.topic.exists(&self.cluster).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "looking for the topic of the schemas"),
            }
        }
    }

    /// Reads from the position on until something fails. While one fetch is applied, the next one is decoded beside it.
    async fn read(self: &Arc<Self>) -> Result<(), Error> {
        let config = ConsumerConfig {
            auto_offset_reset: OffsetReset::Earliest,
            enable_auto_commit: false,
            fetch_max_wait: POLL,
            fetch_max_bytes: FETCH_BYTES_MAX,
            max_partition_fetch_bytes: FETCH_BYTES_MAX,
            allow_auto_create_topics: false,
            ..ConsumerConfig::default()
        };
        let mut consumer = Consumer::new(self.cluster.clone(), config);
        let position = *self.position.borrow();
        let start = if position == 0 { Start::Find(OffsetSpec::EARLIEST) } else { Start::Offset(position) };
        consumer.assign(vec![(self.partition(), Some(start))]);
        let mut decoding: Option<JoinHandle<Result<Decoded, Error>>> = None;
        loop {
            let wait = if decoding.is_some() { WHILE_DECODING } else { POLL };
            match (consumer.poll(wait).await?, decoding.take()) {
                (Polled::Records(fetched), None) if fetched.size_in_bytes() < DECODED_AT_ONCE_BYTES_MAX => {
                    self.apply(self.decode(&fetched)?);
                }
                (Polled::Records(fetched), earlier) => {
                    let shared = self.clone();
                    decoding = Some(tokio::task::spawn_blocking(move || shared.decode(&fetched)));
                    self.apply_when_decoded(earlier).await?;
                }
                (_, Some(last)) => self.apply_when_decoded(Some(last)).await?,
                (_, None) => {
                    // The log may end in offsets that hold nothing any more.
                    let position = consumer.position(&self.partition()).unwrap_or(0);
                    self.position.send_if_modified(|known| std::mem::replace(known, position.max(*known)) < position);
                }
            }
        }
    }

    fn decode(&self, fetched: &Fetched) -> Result<Decoded, Error> {
        let mut records = Vec::new();
        fetched.for_each(|read| {
            match Record::decode(read.record.key, read.record.value) {
                Ok(record) => {
                    self.note_spelling(&record, read.record.key);
                    records.push((record, read.record.timestamp));
                }
                Err(error) => {
                    let offset = read.record.offset;
                    tracing::warn!("{} offset {offset} is passed over: {error}", self.options.topic.name);
                }
            }
            Ok::<_, Error>(true)
        })?;
        Ok(Decoded { records, next_offset: fetched.next_offset() })
    }

    async fn apply_when_decoded(&self, decoding: Option<JoinHandle<Result<Decoded, Error>>>) -> Result<(), Error> {
        let Some(decoding) = decoding else { return Ok(()) };
        let decoded = decoding.await.map_err(|error| Error::Records(format!("decoding failed: {error}")))??;
        self.apply(decoded);
        Ok(())
    }

    /// Key and value of each record, and the tombstones that go with it.
    fn spelled(&self, records: &[Record]) -> Result<Vec<KeyAndValue>, StorageError> {
        let other_spellings = self.other_spellings.lock();
        let mut spelled = Vec::with_capacity(records.len());
        for record in records {
            spelled.push((record.key.encode(), record.encode_value()?));
            let others = other_spellings.get(&record.key).filter(|_| record.value.is_none());
            spelled.extend(others.into_iter().flatten().map(|key| (key.clone(), None)));
        }
        Ok(spelled)
    }

    fn note_spelling(&self, record: &Record, key: Option<&[u8]>) {
        let Some(key) = key.filter(|key| *key != record.key.encode()) else { return };
        let mut other_spellings = self.other_spellings.lock();
        let known = other_spellings.entry(record.key.clone()).or_default();
        known.retain(|known| known != key);
        if record.value.is_some() {
            known.push(key.to_vec());
        }
    }

    fn apply(&self, decoded: Decoded) {
        let mut store = self.store.write();
        for (record, timestamp) in decoded.records {
            if let Err(error) = store.apply(record, timestamp) {
                tracing::warn!("{error}");
            }
        }
        drop(store);
        self.position.send_replace(decoded.next_offset);
    }

    async fn end_offset(&self) -> Result<i64, Error> {
        let partition = self.partition();
        let wanted = [(partition.clone(), OffsetSpec::LATEST)];
        let mut found = self.cluster.list_offsets(&wanted, IsolationLevel::ReadUncommitted).await?;
        match found.remove(&partition) {
            Some(found) => Ok(found?.offset),
            None => Err(Error::Config(format!("no answer for the end of {partition}"))),
        }
    }

    fn partition(&self) -> TopicPartition {
        TopicPartition::new(self.options.topic.name.clone(), 0)
    }
}

fn outgoing<'a>(key: &'a [u8], value: Option<&'a [u8]>) -> Outgoing<'a> {
    Outgoing { partition: Some(0), timestamp: now_ms(), key: Some(key), value, headers: &[] }
}

fn storage_error(error: Error) -> StorageError {
    match error {
        error if is_too_large(&error) => StorageError::TooLarge,
        Error::Timeout { what, after_ms } => StorageError::TimedOut(format!("{what} timed out after {after_ms} ms")),
        error => StorageError::Kafka(error),
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}
