//! The one producer: records go in one by one, each with a promise of its outcome.
//!
//! A record costs a row in a table and a channel of one value; batching is the producer's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milena_client::producer::{Delivery, Outgoing, TopicQueue};
use milena_client::{Cluster, Producer, ProducerConfig};
use milena_protocol::ErrorCode;
use milena_protocol::record::Header;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::error::{RestError, Result};

/// How long a record waits for the metadata of a topic that may be made automatically.
const TOPIC_WAIT: Duration = Duration::from_secs(5);

/// A record on its way.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Partition; `None`: chosen by key.
    pub partition: Option<i32>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Key; `None` is null.
    pub key: Option<Vec<u8>>,
    /// Value; `None` is null.
    pub value: Option<Vec<u8>>,
    /// Headers.
    pub headers: Vec<Header>,
}

/// Where a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The partition.
    pub partition: i32,
    /// The offset; -1 with `acks=0`.
    pub offset: i64,
    /// The record's time, in milliseconds since 1970, where the broker has set it.
    pub log_append_time_ms: Option<i64>,
}

/// The outcome of a record that was handed over.
pub struct Pending(oneshot::Receiver<Result<Written>>);

impl Pending {
    /// Waits until the record is written or given up.
    ///
    /// # Errors
    /// What the broker said.
    pub async fn outcome(self) -> Result<Written> {
        let given_up = || RestError::Kafka { status: 500, code: 50003, message: "the producer has stopped".to_owned() };
        self.0.await.unwrap_or_else(|_| Err(given_up()))
    }
}

impl Pending {
    /// The outcome, if it is known already. Once.
    pub fn try_outcome(&mut self) -> Option<Result<Written>> {
        self.0.try_recv().ok()
    }
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Written>>>>>;

/// See the module's words.
pub struct Records {
    cluster: Cluster,
    producer: Producer,
    waiting: Waiting,
    next_ticket: AtomicU64,
}

impl Records {
    /// A producer for `cluster`.
    ///
    /// # Errors
    /// Settings that exclude each other.
    pub fn new(cluster: Cluster, config: ProducerConfig) -> Result<Records, milena_client::Error> {
        let waiting = Waiting::default();
        let told = Arc::clone(&waiting);
        let producer = Producer::new(cluster.clone(), config, Box::new(move |delivery| tell(&told, delivery)))?;
        Ok(Records { cluster, producer, waiting, next_ticket: AtomicU64::new(0) })
    }

    /// The queue of a topic, made automatically where the broker does so.
    ///
    /// # Errors
    /// 40401 for a topic that is not there.
    pub async fn topic(&self, topic: &str) -> Result<Arc<TopicQueue>> {
        self.cluster.topic(topic, true, TOPIC_WAIT).await.map_err(|error| match error.code() {
            Some(ErrorCode::UnknownTopicOrPartition) => RestError::TopicNotFound(Some(topic.to_owned())),
            _ => RestError::from(error),
        })?;
        Ok(self.producer.topic(topic).await?)
    }

    /// Forgets what is known of `topic`, which was changed or deleted.
    pub fn forget(&self, topic: &str) {
        self.cluster.forget_topic(topic);
    }

    /// Whether `topic` has `partition`, by what is known of it.
    pub fn has_partition(&self, topic: &str, partition: i32) -> bool {
        let count = self.cluster.cached_topic(topic).map_or(0, |info| info.partitions.len());
        usize::try_from(partition).is_ok_and(|partition| partition < count)
    }

    /// As [`Records::topic`], after asking Kafka again: the topic may have grown.
    ///
    /// # Errors
    /// As [`Records::topic`].
    pub async fn topic_anew(&self, topic: &str) -> Result<Arc<TopicQueue>> {
        self.cluster.refresh_metadata(Some(&[topic.to_owned()]), false).await?;
        self.topic(topic).await
    }

    /// Hands over one record. Waits only while the producer's memory is used up; order per partition is that of the calls.
    ///
    /// # Errors
    /// A record that is too large (413), a partition that is not there (40402).
    pub async fn append(&self, topic: &TopicQueue, record: &Record) -> Result<Pending> {
        let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(ticket, sender);
        let outgoing = Outgoing {
            partition: record.partition,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        if let Err(error) = self.producer.append(topic, &outgoing, ticket).await {
            self.waiting.lock().remove(&ticket);
            return Err(match (error.code(), record.partition) {
                (Some(ErrorCode::UnknownTopicOrPartition), Some(partition)) => {
                    RestError::PartitionNotFound(Some(partition))
                }
                _ => RestError::from(error),
            });
        }
        Ok(Pending(receiver))
    }
}

fn tell(waiting: &Waiting, delivery: &Delivery<'_>) {
    let mut waiting = waiting.lock();
    for (index, ticket) in delivery.tickets.iter().enumerate() {
        let Some(sender) = waiting.remove(ticket) else { continue };
        let outcome = match delivery.result {
            Ok(base_offset) => {
                let behind = i64::try_from(index).unwrap_or(0);
                let offset = if base_offset < 0 { -1 } else { base_offset + behind };
                let log_append_time_ms = Some(delivery.log_append_time_ms).filter(|time| *time >= 0);
                Ok(Written { partition: delivery.partition, offset, log_append_time_ms })
            }
            Err(error) => Err(RestError::from(error)),
        };
        // Whoever asked has gone: the record is written all the same.
        let _ = sender.send(outcome);
    }
}
