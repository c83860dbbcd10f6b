//! The dead letter queue of a sink: records as they were in their topic, and headers that say why they are here.

use std::sync::Arc;

use bytes::Bytes;
use milena_client::producer::{Delivery, Outgoing, TopicQueue};
use milena_client::{Cluster, Error, Producer};
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_topics_request;
use milena_protocol::record::Header;
use milena_stdx::{Clock as _, SystemClock};
use parking_lot::Mutex;

use super::Failure;
use crate::plugin::{Settings, TaskError};
use crate::worker::settings::{boolean, number};
use crate::worker::sink::RawRecord;
use crate::worker::{Exception, Shared, TaskId};

const TOPIC: &str = "errors.deadletterqueue.topic.name";
const REPLICATION_FACTOR: &str = "errors.deadletterqueue.topic.replication.factor";
const CONTEXT_HEADERS: &str = "errors.deadletterqueue.context.headers.enable";
/// What the names of all context headers begin with.
const PREFIX: &str = "__connect.errors.";

/// See the module's words.
pub(in crate::worker) struct DeadLetterQueue {
    id: TaskId,
    producer: Producer,
    topic: Arc<TopicQueue>,
    with_context: bool,
    /// The first record that was refused since the last flush.
    refused: Arc<Mutex<Option<Error>>>,
}

impl DeadLetterQueue {
    /// The queue of a sink's settings, its topic made if it is not there; `None` when none is wanted.
    ///
    /// # Errors
    /// A setting that is wrong, a topic that cannot be made.
    pub async fn open(shared: &Shared, id: &TaskId, settings: &Settings) -> Result<Option<DeadLetterQueue>, Exception> {
        let Some(topic) = settings.get(TOPIC).filter(|topic| !topic.is_empty()) else { return Ok(None) };
        let (client, config) = shared.settings.producer(&format!("connector-dlq-producer-{id}"), settings)?;
        let admin = shared.settings.admin(&format!("connector-dlq-adminclient-{id}"), settings)?;
        make_topic(&Cluster::connect(admin).await?, topic, settings).await?;
        let refused = Arc::new(Mutex::new(None));
        let noted = refused.clone();
        let on_delivery = move |delivery: &Delivery<'_>| {
            if let Err(error) = delivery.result {
                noted.lock().get_or_insert_with(|| error.duplicate());
            }
        };
        let producer = Producer::new(Cluster::connect(client).await?, config, Box::new(on_delivery))?;
        let topic = producer.topic(topic).await?;
        let with_context = boolean(settings, CONTEXT_HEADERS, false)?;
        Ok(Some(DeadLetterQueue { id: id.clone(), producer, topic, with_context, refused }))
    }

    /// Hands a record to the queue; [`flush`](Self::flush) says whether it is there.
    ///
    /// # Errors
    /// A record that is too large for the queue, and what an earlier one met.
    pub async fn write(&self, raw: &RawRecord, failure: &Failure) -> Result<(), Error> {
        let mut headers = raw.headers.clone();
        if self.with_context {
            headers.extend(self.context(raw, failure));
        }
        let record = Outgoing {
            partition: None,
            timestamp: if raw.timestamp >= 0 { raw.timestamp } else { SystemClock.now_ms() },
            key: raw.key.as_deref(),
            value: raw.value.as_deref(),
            headers: &headers,
        };
        self.producer.append(&self.topic, &record, 0).await?;
        self.take_refused()
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// A record that was refused.
    pub async fn flush(&self) -> Result<(), Error> {
        self.producer.flush().await;
        self.take_refused()
    }

    fn take_refused(&self) -> Result<(), Error> {
        self.refused.lock().take().map_or(Ok(()), Err)
    }

    fn context(&self, raw: &RawRecord, failure: &Failure) -> Vec<Header> {
        let entries: [(&str, String); 10] = [
            ("topic", raw.topic.to_string()),
            ("partition", raw.partition.to_string()),
            ("offset", raw.offset.to_string()),
            ("connector.name", self.id.connector.to_string()),
            ("task.id", self.id.task.to_string()),
            ("stage", failure.stage.name().to_owned()),
            ("class.name", failure.class.clone()),
            ("exception.class.name", failure.error.class.clone()),
            ("exception.message", failure.error.message.clone()),
            ("exception.stacktrace", failure.error.to_string()),
        ];
        entries
            .into_iter()
            .map(|(name, value)| Header {
                key: format!("{PREFIX}{name}").into(),
                value: Some(Bytes::from(value.into_bytes())),
            })
            .collect()
    }
}

async fn make_topic(cluster: &Cluster, name: &str, settings: &Settings) -> Result<(), Exception> {
    let replication_factor = number::<i16>(settings, REPLICATION_FACTOR, 3)?;
    let topics = cluster.list_topics().await?;
    if topics.iter().any(|topic| topic.name == name) {
        return Ok(());
    }
    let topic = create_topics_request::Topic {
        name: name.to_owned(),
        num_partitions: 1,
        replication_factor,
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    match cluster.create_topic(topic, false).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
        Err(error) => Err(Exception::from(TaskError::fatal(format!(
            "Could not create the dead letter queue topic {name} with {REPLICATION_FACTOR}={replication_factor}"
        )))
        .caused_by(error)),
    }
}
