//! The producer of a source task: records in, acknowledgements to [`InFlight`], transactions around them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use milena_client::producer::{Delivery, Outgoing, TopicQueue};
use milena_client::{Cluster, Error, Producer};
use milena_protocol::ErrorCode;
use milena_stdx::{Clock as _, SystemClock};

use super::convert::Encoded;
use super::in_flight::{InFlight, Offsets};
use super::topics::TopicCreation;
use crate::worker::errors::{Failure, Stage};
use crate::worker::metrics::SourceMetrics;
use crate::worker::offsets::{encode_key, encode_map};
use crate::worker::supervisor::Job;
use crate::worker::{Exception, TaskId};

/// What a failed send is called in logs and headers.
const PRODUCER_CLASS: &str = "org.apache.kafka.clients.producer.KafkaProducer";
/// The ticket of records that are no records of the source.
const NO_TICKET: u64 = u64::MAX;

/// See the module's words.
pub(super) struct Sender {
    producer: Producer,
    topics: HashMap<Arc<str>, Arc<TopicQueue>>,
    /// The last topic: sources share its name among their records, and most have one.
    last: Option<(Arc<str>, Arc<TopicQueue>)>,
    creation: Option<TopicCreation>,
    tracked: HashSet<Arc<str>>,
    is_in_transaction: bool,
}

impl Sender {
    /// A producer for the task; a transactional one has fenced its predecessor when this returns.
    ///
    /// # Errors
    /// A setting that is wrong, a cluster that refuses.
    pub async fn open(
        job: &Job,
        transactional_id: Option<&str>,
        in_flight: Arc<InFlight>,
        metrics: &SourceMetrics,
        tolerates: bool,
    ) -> Result<Sender, Exception> {
        let Job { shared, id, connector_settings, .. } = job;
        let client_id = format!("connector-producer-{id}");
        let (client, config) = match transactional_id {
            Some(name) => shared.settings.transactional_producer(&client_id, name, connector_settings)?,
            None => shared.settings.producer(&client_id, connector_settings)?,
        };
        let creation =
            TopicCreation::new(&shared.settings, connector_settings, &format!("connector-adminclient-{id}"))?;
        let cluster = connect(client).await?;
        let written = metrics.written.clone();
        let (active, task) = (metrics.active.clone(), id.clone());
        let tolerates = tolerates && transactional_id.is_none();
        let on_delivery = move |delivery: &Delivery<'_>| {
            let records = delivery.tickets.iter().filter(|ticket| **ticket != NO_TICKET).count();
            active.dec_by(i64::try_from(records).unwrap_or(i64::MAX));
            match delivery.result {
                Ok(_) => {
                    written.inc_by(records as u64);
                    in_flight.done(delivery.tickets);
                }
                Err(error) => given_up(&task, delivery, error, &in_flight, tolerates),
            }
        };
        let producer = Producer::new(cluster, config, Box::new(on_delivery))?;
        if transactional_id.is_some() {
            producer.init_transactions().await?;
        }
        Ok(Sender {
            producer,
            topics: HashMap::new(),
            last: None,
            creation,
            tracked: HashSet::new(),
            is_in_transaction: false,
        })
    }

    /// Hands a record to the producer, of the time `now` if it has none of its own; waits while `buffer.memory` is full. Under
    /// exactly-once a transaction is opened first.
    ///
    /// # Errors
    /// What the producer refuses about this record.
    pub async fn send(&mut self, job: &Job, record: &Encoded, ticket: u64, now: i64) -> Result<(), SendError> {
        let queue = self.queue(job, &record.topic).await?;
        let outgoing = Outgoing {
            partition: record.partition,
            timestamp: record.timestamp.unwrap_or(now),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        loop {
            match self.producer.append(&queue, &outgoing, ticket).await {
                Ok(_) => return Ok(()),
                // The buffer is full because the cluster is away: the source waits with it.
                Err(Error::Timeout { .. }) => {}
                Err(error) => return Err(SendError::Record(failure(&error))),
            }
        }
    }

    async fn queue(&mut self, job: &Job, topic: &Arc<str>) -> Result<Arc<TopicQueue>, SendError> {
        if let Some((last, queue)) = &self.last
            && Arc::ptr_eq(last, topic)
        {
            return Ok(queue.clone());
        }
        let queue = match self.topics.get(topic) {
            Some(queue) => queue.clone(),
            None => self.find(job, topic).await?,
        };
        self.last = Some((topic.clone(), queue.clone()));
        Ok(queue)
    }

    async fn find(&mut self, job: &Job, topic: &Arc<str>) -> Result<Arc<TopicQueue>, SendError> {
        if let Some(creation) = self.creation.as_mut() {
            creation.ensure(topic).await.map_err(SendError::Task)?;
        }
        let queue = self.producer.topic(topic).await.map_err(|error| match error.code() {
            Some(ErrorCode::InvalidTopicException) => SendError::Record(failure(&error)),
            _ => SendError::Task(
                Exception::connect(format!("Records cannot be sent to topic {topic}")).caused_by(&error),
            ),
        })?;
        self.topics.insert(topic.clone(), queue.clone());
        if job.shared.settings.tracks_topics && self.tracked.insert(topic.clone()) {
            job.shared.listener.topic(&job.id.connector, topic, job.id.task);
        }
        Ok(queue)
    }

    /// Topics are looked up again with the next record: they may have grown.
    pub fn forget_topics(&mut self) {
        self.topics.clear();
        self.last = None;
    }

    /// Opens a transaction unless one is open.
    ///
    /// # Errors
    /// What made the last one fail.
    pub fn begin(&mut self) -> Result<(), Exception> {
        if !self.is_in_transaction {
            self.producer.begin_transaction()?;
            self.is_in_transaction = true;
        }
        Ok(())
    }

    /// Writes `offsets` to `topic` and commits them with all records of the transaction.
    ///
    /// # Errors
    /// What made the transaction fail: it is aborted, and the task cannot go on.
    pub async fn commit(&mut self, topic: &str, id: &TaskId, offsets: &Offsets) -> Result<(), Exception> {
        self.begin()?;
        let written = async {
            let queue = self.producer.topic(topic).await?;
            for (partition, offset) in offsets.values() {
                let (key, value) = (encode_key(&id.connector, partition), encode_map(offset));
                let record = Outgoing {
                    timestamp: SystemClock.now_ms(),
                    key: Some(key.as_bytes()),
                    value: Some(value.as_bytes()),
                    ..Outgoing::default()
                };
                self.producer.append(&queue, &record, NO_TICKET).await?;
            }
            self.producer.commit_transaction().await
        };
        let committed = written.await;
        self.is_in_transaction = false;
        if let Err(error) = committed {
            // A fenced producer cannot even abort; its successor has done that.
            if let Err(also) = self.producer.abort_transaction().await {
                tracing::debug!("the transaction of {id} was not aborted: {also}");
            }
            return Err(Exception::connect("Failed to commit the transaction of this task").caused_by(error));
        }
        Ok(())
    }

    /// Gives up the open transaction, if there is one.
    ///
    /// # Errors
    /// What the coordinator says.
    pub async fn abort(&mut self) -> Result<(), Exception> {
        if self.is_in_transaction {
            self.is_in_transaction = false;
            self.producer.abort_transaction().await?;
        }
        Ok(())
    }

    /// Waits until everything is acknowledged or given up.
    pub async fn flush(&self) {
        self.producer.flush().await;
    }
}

/// Why a record was not taken.
pub(super) enum SendError {
    /// This record cannot be sent; others may be.
    Record(Failure),
    /// The task cannot go on.
    Task(Exception),
}

fn failure(error: &Error) -> Failure {
    Failure { stage: Stage::KafkaProduce, class: PRODUCER_CLASS.to_owned(), error: error.into() }
}

fn given_up(id: &TaskId, delivery: &Delivery<'_>, error: &Error, in_flight: &InFlight, tolerates: bool) {
    let place = format!("{}-{}", delivery.topic, delivery.partition);
    if tolerates {
        tracing::error!(
            "task {id} failed to send {} records to {place}: {error}; they are skipped",
            delivery.tickets.len()
        );
        in_flight.done(delivery.tickets);
        return;
    }
    // An abort gives up what was not sent; that is its purpose, not a reason.
    if matches!(error, Error::TransactionAborted) {
        return;
    }
    in_flight.fail(
        Exception::connect(format!("Unrecoverable exception from producer send callback (records for {place})"))
            .caused_by(error),
    );
}

/// Reaches the cluster; one that is away is waited for, as every client of the original does.
pub(in crate::worker) async fn connect(client: milena_client::ClientConfig) -> Result<Cluster, Error> {
    loop {
        match Cluster::connect(client.clone()).await {
            Err(Error::Unreachable { .. }) => {
                tracing::warn!("{}: no broker of bootstrap.servers answers; it is tried again", client.client_id);
            }
            connected => return connected,
        }
    }
}
