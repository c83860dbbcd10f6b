//! Single records, each waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use milena_client::producer::{Delivery, Outgoing};
use milena_client::{Cluster, Error, Producer, ProducerConfig, Result};
use milena_protocol::record::Header;
use milena_sql::runtime::RawRecord;
use parking_lot::Mutex;
use tokio::sync::oneshot;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<i64>>>>>;

/// A producer whose callers wait for the acknowledgement.
pub struct Records {
    producer: Producer,
    waiting: Waiting,
    next_ticket: AtomicU64,
}

impl Records {
    /// A producer for `cluster`.
    ///
    /// # Errors
    /// Settings that exclude each other.
    pub fn new(cluster: Cluster, config: ProducerConfig) -> Result<Records> {
        let waiting = Waiting::default();
        let told = waiting.clone();
        // Statements wait for their records: nothing is gained by waiting for more of them.
        let config = ProducerConfig { linger: Duration::ZERO, transactional_id: None, ..config };
        let producer = Producer::new(cluster, config, Box::new(move |delivery| tell(&told, delivery)))?;
        Ok(Records { producer, waiting, next_ticket: AtomicU64::new(0) })
    }

    /// Writes a record and waits for its offset. Without `partition` the key decides.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn send(&self, topic: &str, partition: Option<i32>, record: &RawRecord) -> Result<i64> {
        self.begin(topic, partition, record).await?.acknowledged().await
    }

    /// Hands a record over without waiting for its offset: records that are begun one after the other go out together. Waits
    /// while the producer's memory is used up.
    ///
    /// # Errors
    /// A record that cannot be sent at all.
    pub async fn begin(&self, topic: &str, partition: Option<i32>, record: &RawRecord) -> Result<Begun> {
        let topic = self.producer.topic(topic).await?;
        let ticket = self.next_ticket.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(ticket, sender);
        let headers: Vec<Header> = record.headers.iter().map(|(name, value)| header(name, value.as_deref())).collect();
        let outgoing = Outgoing {
            partition,
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        };
        if let Err(error) = self.producer.append(&topic, &outgoing, ticket).await {
            self.waiting.lock().remove(&ticket);
            return Err(error);
        }
        Ok(Begun(receiver))
    }
}

/// A record on its way.
pub struct Begun(oneshot::Receiver<Result<i64>>);

impl Begun {
    /// Its offset.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn acknowledged(self) -> Result<i64> {
        self.0.await.unwrap_or_else(|_| Err(Error::IllegalState("the producer was closed".to_owned())))
    }
}

/// A header as the producer takes it.
pub fn header(name: &str, value: Option<&[u8]>) -> Header {
    Header { key: bytes::Bytes::copy_from_slice(name.as_bytes()), value: value.map(bytes::Bytes::copy_from_slice) }
}

fn tell(waiting: &Waiting, delivery: &Delivery<'_>) {
    let mut waiting = waiting.lock();
    for (ticket, at) in delivery.tickets.iter().zip(0_i64..) {
        if let Some(sender) = waiting.remove(ticket) {
            // Whoever asked may have gone.
            let _ = sender.send(delivery.result.map(|base| base + at).map_err(Error::duplicate));
        }
    }
}
