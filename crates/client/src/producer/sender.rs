//! The sender task: takes ready batches, asks their leaders to append them, hands out the results.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use milena_protocol::messages::{ProduceRequest, ProduceResponse, produce_request, produce_response};
use milena_protocol::{ErrorCode, Records};

use super::queue::Batch;
use super::{Shared, TopicQueue};
use crate::connection::Connection;
use crate::error::{Error, Result};

/// Produce names topics by name up to this version.
const PRODUCE_BY_NAME: i16 = 12;
/// Longest pause of an idle sender.
const IDLE: Duration = Duration::from_secs(30);

/// A batch with the place it goes to.
struct Sent {
    topic: Arc<TopicQueue>,
    partition: i32,
    batch: Batch,
}

/// The end of one request.
struct Finished {
    leader: i32,
    sent: Vec<Sent>,
    result: Result<ProduceResponse>,
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut under_way: JoinSet<Finished> = JoinSet::new();
    let mut per_leader: HashMap<i32, usize> = HashMap::new();
    loop {
        let (requests, look_again) = collect(&shared, &per_leader).await;
        let progressed = !requests.is_empty();
        for (leader, sent) in requests {
            *per_leader.entry(leader).or_default() += 1;
            send(&shared, leader, sent, &mut under_way).await;
        }
        if !progressed && under_way.is_empty() && shared.closing.load(Ordering::Acquire) {
            return;
        }
        if !progressed {
            tokio::select! {
                () = shared.work.notified() => {}
                Some(done) = under_way.join_next() => settle_joined(&shared, &mut per_leader, done),
                () = tokio::time::sleep(look_again) => {}
            }
        }
        while let Some(done) = under_way.try_join_next() {
            settle_joined(&shared, &mut per_leader, done);
        }
    }
}

/// Ready batches by leader, at most one of each partition, and how long until there may be more.
async fn collect(shared: &Shared, per_leader: &HashMap<i32, usize>) -> (HashMap<i32, Vec<Sent>>, Duration) {
    let now = Instant::now();
    let linger = shared.linger();
    let mut requests: HashMap<i32, Vec<Sent>> = HashMap::new();
    let mut bytes: HashMap<i32, usize> = HashMap::new();
    let mut look_again = IDLE;
    for topic in shared.topics() {
        let mut leaders = shared.cluster.cached_topic(&topic.name);
        for (index, queue) in topic.partitions.iter().enumerate() {
            if queue.is_empty() {
                continue;
            }
            if leaders.is_none() {
                let _ = shared.cluster.refresh_metadata(Some(std::slice::from_ref(&topic.name)), true).await;
                leaders = shared.cluster.cached_topic(&topic.name);
            }
            let Some(leader) = leaders.as_ref().and_then(|info| info.partitions.get(index)).map(|info| info.leader_id)
            else {
                give_up_expired(shared, &topic, index);
                look_again = look_again.min(shared.cluster.config().retry_backoff);
                continue;
            };
            let full = bytes.get(&leader).is_some_and(|bytes| *bytes >= shared.config.max_request_size);
            if full || per_leader.get(&leader).is_some_and(|count| *count >= shared.config.max_in_flight) {
                continue;
            }
            match queue.take_ready(now, linger) {
                Ok(batch) => {
                    *bytes.entry(leader).or_default() += batch.size_estimate;
                    let partition = i32::try_from(index).unwrap_or(i32::MAX);
                    requests.entry(leader).or_default().push(Sent { topic: Arc::clone(&topic), partition, batch });
                }
                Err(Some(at)) => look_again = look_again.min(at.saturating_duration_since(now)),
                Err(None) => {}
            }
        }
    }
    (requests, look_again)
}

/// Without a leader a batch can only wait for its delivery timeout.
fn give_up_expired(shared: &Shared, topic: &Arc<TopicQueue>, index: usize) {
    let now = Instant::now();
    let queue = &topic.partitions[index];
    while let Ok(batch) = queue.take_ready(now, Duration::ZERO) {
        if batch.opened.elapsed() < shared.config.delivery_timeout {
            queue.put_back(batch, now + shared.cluster.config().retry_backoff);
            return;
        }
        let error = Error::Timeout { what: "delivery".to_owned(), after_ms: batch.opened.elapsed().as_millis() };
        shared.finish(&topic.name, i32::try_from(index).unwrap_or(i32::MAX), Err(&error), &batch);
    }
}

async fn send(shared: &Shared, leader: i32, mut sent: Vec<Sent>, under_way: &mut JoinSet<Finished>) {
    let request = request_for(shared, &mut sent);
    let timeout = shared.cluster.config().request_timeout;
    let answer = match shared.cluster.node(leader).await {
        Ok(connection) if shared.config.acks == 0 => unanswered(&connection, &request, &sent).await.map(Err),
        Ok(connection) => connection.pipeline(&request, PRODUCE_BY_NAME, timeout).await.map(Ok),
        Err(error) => Err(error),
    };
    under_way.spawn(async move {
        let result = match answer {
            Ok(Ok(answer)) => answer.await,
            Ok(Err(response)) => Ok(response),
            Err(error) => Err(error),
        };
        Finished { leader, sent, result }
    });
}

/// With `acks=0` there is no answer: what was written counts as delivered.
async fn unanswered(connection: &Connection, request: &ProduceRequest, sent: &[Sent]) -> Result<ProduceResponse> {
    connection.send_unanswered(request, PRODUCE_BY_NAME).await?;
    let responses = sent.iter().map(|sent| produce_response::Response {
        name: sent.topic.name.clone(),
        partition_responses: vec![produce_response::PartitionResponse {
            index: sent.partition,
            base_offset: -1,
            ..Default::default()
        }],
        ..Default::default()
    });
    Ok(ProduceResponse { responses: responses.collect(), ..Default::default() })
}

fn request_for(shared: &Shared, sent: &mut [Sent]) -> ProduceRequest {
    let mut topic_data: Vec<produce_request::TopicData> = Vec::new();
    for Sent { topic, partition, batch } in sent {
        // A batch that cannot be encoded is sent as nothing; its missing answer ends it.
        let Ok(records) = batch.encoded() else { continue };
        batch.attempts += 1;
        let data = produce_request::PartitionData { index: *partition, records: Some(Records::Memory(records)) };
        match topic_data.last_mut().filter(|last| last.name == topic.name) {
            Some(last) => last.partition_data.push(data),
            None => topic_data.push(produce_request::TopicData {
                name: topic.name.clone(),
                partition_data: vec![data],
                ..Default::default()
            }),
        }
    }
    let timeout_ms = i32::try_from(shared.cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX);
    ProduceRequest { transactional_id: None, acks: shared.config.acks, timeout_ms, topic_data }
}

fn settle_joined(
    shared: &Shared,
    per_leader: &mut HashMap<i32, usize>,
    done: std::result::Result<Finished, tokio::task::JoinError>,
) {
    let Ok(Finished { leader, sent, result }) = done else { return };
    if let Some(count) = per_leader.get_mut(&leader) {
        *count = count.saturating_sub(1);
    }
    for sent in sent {
        let outcome = match &result {
            Ok(response) => outcome_of(response, &sent),
            Err(error) => Err(copy_of(error)),
        };
        settle(shared, sent, outcome);
    }
}

fn outcome_of(response: &ProduceResponse, sent: &Sent) -> Result<i64> {
    let topics = response.responses.iter().filter(|topic| topic.name == sent.topic.name);
    let found = topics.flat_map(|topic| &topic.partition_responses).find(|partition| partition.index == sent.partition);
    let Some(partition) = found else {
        return Err(Error::Records("the batch could not be encoded or was not answered".to_owned()));
    };
    let record_error = partition.record_errors.first().and_then(|error| error.batch_index_error_message.as_ref());
    Error::check(partition.error_code, record_error.or(partition.error_message.as_ref()))?;
    Ok(partition.base_offset)
}

fn settle(shared: &Shared, sent: Sent, outcome: Result<i64>) {
    let Sent { topic, partition, batch } = sent;
    let queue = usize::try_from(partition).ok().and_then(|index| topic.partitions.get(index));
    match outcome {
        Err(error) if error.is_retriable() && may_retry(shared, &batch) => {
            shared.cluster.forget_topic(&topic.name);
            tracing::debug!(topic = topic.name, partition, %error, "batch goes again");
            if let Some(queue) = queue {
                queue.put_back(batch, Instant::now() + shared.cluster.config().retry_backoff);
            }
        }
        outcome => {
            shared.finish(&topic.name, partition, outcome.as_ref().map(|offset| *offset), &batch);
            if let Some(queue) = queue {
                queue.recycle(batch);
            }
        }
    }
}

fn may_retry(shared: &Shared, batch: &Batch) -> bool {
    batch.attempts <= shared.config.retries && batch.opened.elapsed() < shared.config.delivery_timeout
}

/// One failed request ends several batches, each with the error as its own.
fn copy_of(error: &Error) -> Error {
    match error {
        Error::Api { code, message } => Error::Api { code: *code, message: message.clone() },
        Error::Disconnected { address } => Error::Disconnected { address: address.clone() },
        Error::Timeout { what, after_ms } => Error::Timeout { what: what.clone(), after_ms: *after_ms },
        Error::Connect { address, .. } => Error::Disconnected { address: address.clone() },
        other => Error::api(ErrorCode::UnknownServerError, Some(other.to_string())),
    }
}
