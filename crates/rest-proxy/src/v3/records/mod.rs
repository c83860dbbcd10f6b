//! `/v3/clusters/{c}/topics/{t}/records`: records one by one, as a stream, or some at a time.
//!
//! ```text
//!   body ──► Source: one object ──► NewRecord ──► Ready ──► producer ──► queue of promises, in order ──► answers
//!            (reader)                                                    (writer)
//! ```
//!
//! A stream is read and answered at the same time. Reader and writer are tasks of their own: the reader stops when too many
//! records are on their way, the writer when the client does not read its answers.

mod batch;
mod record;
mod split;
mod stream;

use std::sync::Arc;

use milena_client::producer::TopicQueue;

use self::record::{Failure, NewRecord, Ready, Sent};
use self::split::{Source, SplitError};
use super::scope::Scope;
use crate::config::StreamOptions;
use crate::error::{RestError, Result};
use crate::http::{Answer, Call, RateLimit};
use crate::produce::{Pending, Records};
use crate::state::Proxy;

pub use batch::produce_batch;

/// The limits of rates of v3 produce.
pub struct ProduceLimits {
    records: Option<RateLimit>,
    bytes: Option<RateLimit>,
}

impl ProduceLimits {
    /// Those of the configuration.
    pub fn new(options: &StreamOptions) -> ProduceLimits {
        ProduceLimits {
            records: options.records_per_second.map(RateLimit::new),
            bytes: options.bytes_per_second.map(RateLimit::new),
        }
    }

    fn check(&self, bytes: usize) -> Result<()> {
        let exceeded = |limit: &Option<RateLimit>, permits| limit.as_ref().is_some_and(|limit| !limit.admits(permits));
        if exceeded(&self.records, 1) || exceeded(&self.bytes, bytes as u64) {
            return Err(RestError::Http(429));
        }
        Ok(())
    }
}

/// POST `…/topics/{topic_name}/records`
pub async fn produce(mut call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let mut source = Source::new(call.take_body(), call.proxy.config.request_bytes_max);
    let first = source.next().await.map_err(refused)?.ok_or_else(no_record)?;
    let record = parse(&first)?;
    let target = Target::new(&call, scope);
    if !source.is_at_end() {
        return Ok(stream::answer(target, first.len(), record, source));
    }
    let body = match target.submit(record, first.len()).await {
        Ok(Submitted { sent, pending }) => match pending.outcome().await {
            Ok(at) => return Answer::json(&sent.success(&target.cluster_id, &target.topic, at, None)),
            Err(error) => Failure::new(&error, None),
        },
        Err(error) => Failure::new(&error, None),
    };
    Answer::json(&body)
}

fn no_record() -> RestError {
    RestError::InvalidPayload(RestError::NullInput.to_string())
}

fn parse(text: &[u8]) -> Result<NewRecord> {
    serde_json::from_slice(text).map_err(|error| super::scope::bad_request(format!("Malformed JSON: {error}")))
}

fn refused(error: SplitError) -> RestError {
    match error {
        SplitError::TooLarge(_) => RestError::Http(413),
        error => super::scope::bad_request(error),
    }
}

/// Where records go.
struct Target {
    proxy: Arc<Proxy>,
    records: Arc<Records>,
    cluster_id: String,
    topic: String,
    queue: tokio::sync::OnceCell<Arc<TopicQueue>>,
}

/// A record that was handed to the producer.
struct Submitted {
    sent: Sent,
    pending: Pending,
}

impl Target {
    fn new(call: &Call, scope: Scope) -> Target {
        Target {
            proxy: call.proxy.clone(),
            records: scope.kafka.records,
            cluster_id: scope.cluster_id,
            topic: call.parameter(1).to_owned(),
            queue: tokio::sync::OnceCell::new(),
        }
    }

    /// Encodes the record, whose JSON has so many bytes, and hands it over.
    async fn submit(&self, record: NewRecord, bytes: usize) -> Result<Submitted> {
        self.proxy.produce_limits.check(bytes)?;
        let Ready { record, key, value } = record.ready(&self.proxy, &self.topic).await?;
        let queue = self.queue.get_or_try_init(|| self.records.topic(&self.topic)).await.map_err(as_in_v3)?;
        let pending = self.records.append(queue, &record).await?;
        Ok(Submitted { sent: Sent { timestamp: record.timestamp, key, value }, pending })
    }
}

/// v3 tells of a topic that is not there as the broker does.
fn as_in_v3(error: RestError) -> RestError {
    match error {
        RestError::TopicNotFound(_) => RestError::Kafka {
            status: 404,
            code: 40403,
            message: "This server does not host this topic-partition.".to_owned(),
        },
        other => other,
    }
}
