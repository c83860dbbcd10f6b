//! The sender task: takes ready batches, asks their leaders to append them, hands out the results.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use milena_protocol::messages::{
    InitProducerIdRequest, ProduceRequest, ProduceResponse, produce_request, produce_response,
};
use milena_protocol::{ErrorCode, Records};

use super::queue::{Batch, PartitionQueue, Verdict};
use super::sequences::{BatchEnd, ProducerIdentity};
use super::{Placed, Shared, TopicQueue};
use crate::TopicPartition;
use crate::connection::Connection;
use crate::error::{Error, Result};

/// Produce names topics by name up to this version.
const PRODUCE_BY_NAME: i16 = 12;
/// The last version of Produce that does not add partitions to a transaction by itself (KIP-890).
const PRODUCE_V1: i16 = 11;
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
    sent_at: Instant,
    result: Result<ProduceResponse>,
}

pub(super) async fn run(shared: Arc<Shared>) {
    let mut under_way: JoinSet<Finished> = JoinSet::new();
    let mut per_leader: HashMap<i32, usize> = HashMap::new();
    loop {
        let collected = match shared.sending_rights(under_way.is_empty()).await {
            Rights::Send(identity) => collect(&shared, &per_leader, identity).await,
            Rights::Wait(pause) => Collected { look_again: pause, ..Collected::default() },
        };
        let progressed = !collected.requests.is_empty();
        for (leader, sent) in collected.requests {
            *per_leader.entry(leader).or_default() += 1;
            send(&shared, leader, sent, &mut under_way).await;
        }
        if let (Some(transaction), false) = (&shared.transaction, collected.unannounced.is_empty()) {
            shared.add_partitions(transaction, &collected.unannounced).await;
            continue;
        }
        if !progressed && under_way.is_empty() && shared.closing.load(Ordering::Acquire) {
            return;
        }
        if !progressed {
            tokio::select! {
                () = shared.work.notified() => {}
                Some(done) = under_way.join_next() => settle_joined(&shared, &mut per_leader, done),
                () = tokio::time::sleep(collected.look_again) => {}
            }
        }
        while let Some(done) = under_way.try_join_next() {
            settle_joined(&shared, &mut per_leader, done);
        }
    }
}

/// Whether batches may leave, and as whose.
enum Rights {
    Send(Option<ProducerIdentity>),
    Wait(Duration),
}

impl Shared {
    /// Gets the identity of an idempotent producer when there is something to send; a transactional one has
    /// its own from `init_transactions`. A refusal that lasts ends the batches that wait.
    async fn sending_rights(&self, idle: bool) -> Rights {
        if let Some(transaction) = &self.transaction {
            if let Some(error) = transaction.obstacle() {
                self.fail_queued(&error);
                return Rights::Wait(IDLE);
            }
            return Rights::Send(*super::lock(&self.identity));
        }
        if !self.config.is_idempotent() {
            return Rights::Send(None);
        }
        let known = *super::lock(&self.identity);
        let used_up =
            known.is_some_and(|identity| identity.epoch >= 0) && self.any_queue(PartitionQueue::needs_new_identity);
        match known {
            Some(_) if used_up && !idle => Rights::Wait(IDLE),
            Some(identity) if !used_up => Rights::Send(Some(identity)),
            _ if !self.any_queue(|queue| !queue.is_empty()) => Rights::Wait(IDLE),
            _ => match self.new_identity().await {
                Ok(identity) => {
                    *super::lock(&self.identity) = Some(identity);
                    Rights::Send(Some(identity))
                }
                Err(error) if error.is_retriable() || matches!(error, Error::Unreachable { .. }) => {
                    tracing::debug!(%error, "no producer id yet");
                    self.fail_expired();
                    Rights::Wait(self.cluster.config().retry_backoff)
                }
                Err(error) => {
                    self.fail_queued(&error);
                    Rights::Wait(IDLE)
                }
            },
        }
    }

    async fn new_identity(&self) -> Result<ProducerIdentity> {
        let request = InitProducerIdRequest {
            transaction_timeout_ms: i32::MAX,
            producer_id: -1,
            producer_epoch: -1,
            ..Default::default()
        };
        let response = self.cluster.send_any(&request).await?;
        Error::check(response.error_code, None)?;
        Ok(ProducerIdentity { id: response.producer_id, epoch: response.producer_epoch })
    }

    pub(super) fn any_queue(&self, is: impl Fn(&PartitionQueue) -> bool) -> bool {
        self.topics().iter().any(|topic| topic.partitions.iter().any(|queue| is(queue)))
    }

    fn fail_expired(&self) {
        for topic in self.topics() {
            (0..topic.partitions.len()).for_each(|index| give_up_expired(self, &topic, index));
        }
    }
}

/// What can be sent now.
#[derive(Default)]
struct Collected {
    /// Batches by leader, at most one of each partition.
    requests: HashMap<i32, Vec<Sent>>,
    /// Partitions that the transaction's coordinator must hear of first.
    unannounced: BTreeSet<TopicPartition>,
    /// How long until there may be more.
    look_again: Duration,
}

async fn collect(shared: &Shared, per_leader: &HashMap<i32, usize>, identity: Option<ProducerIdentity>) -> Collected {
    let now = Instant::now();
    let linger = shared.linger();
    let mut bytes: HashMap<i32, usize> = HashMap::new();
    let mut collected = Collected { look_again: IDLE, ..Collected::default() };
    for topic in shared.topics() {
        let mut leaders = shared.cluster.cached_topic(&topic.name);
        for (index, queue) in topic.partitions.iter().enumerate() {
            if queue.is_empty() {
                continue;
            }
            if leaders.is_none() {
                let _ = shared
                    .cluster
                    .refresh_metadata(Some(std::slice::from_ref(&topic.name)), shared.config.creates_topics)
                    .await;
                leaders = shared.cluster.cached_topic(&topic.name);
            }
            let Some(leader) = leaders.as_ref().and_then(|info| info.partitions.get(index)).map(|info| info.leader_id)
            else {
                give_up_expired(shared, &topic, index);
                collected.look_again = collected.look_again.min(shared.cluster.config().retry_backoff);
                continue;
            };
            let full = bytes.get(&leader).is_some_and(|bytes| *bytes >= shared.config.max_request_size);
            if full || per_leader.get(&leader).is_some_and(|count| *count >= shared.config.max_in_flight) {
                continue;
            }
            let partition = i32::try_from(index).unwrap_or(i32::MAX);
            if let Some(transaction) = &shared.transaction {
                let tp = TopicPartition::new(&topic.name, partition);
                if !transaction.has(&tp) {
                    collected.unannounced.insert(tp);
                    continue;
                }
            }
            match queue.take_ready(now, linger, identity) {
                Ok(batch) => {
                    *bytes.entry(leader).or_default() += batch.size_estimate;
                    let sent = Sent { topic: Arc::clone(&topic), partition, batch };
                    collected.requests.entry(leader).or_default().push(sent);
                }
                Err(Some(at)) => {
                    collected.look_again = collected.look_again.min(at.saturating_duration_since(now));
                }
                Err(None) => {}
            }
        }
    }
    collected
}

/// Without a leader a batch can only wait for its delivery timeout.
fn give_up_expired(shared: &Shared, topic: &Arc<TopicQueue>, index: usize) {
    let now = Instant::now();
    let queue = &topic.partitions[index];
    while let Ok(batch) = queue.take_ready(now, Duration::ZERO, None) {
        if batch.opened.elapsed() < shared.config.delivery_timeout {
            queue.put_back(batch, now + shared.cluster.config().retry_backoff);
            return;
        }
        let error = Error::Timeout { what: "delivery".to_owned(), after_ms: batch.opened.elapsed().as_millis() };
        queue.settled(&batch, BatchEnd::Unknown);
        shared.finish(&topic.name, i32::try_from(index).unwrap_or(i32::MAX), Err(&error), &batch);
    }
}

async fn send(shared: &Shared, leader: i32, mut sent: Vec<Sent>, under_way: &mut JoinSet<Finished>) {
    let request = request_for(shared, &mut sent);
    let sent_at = Instant::now();
    let timeout = shared.cluster.config().request_timeout;
    let version_max = match &shared.transaction {
        Some(transaction) if !transaction.is_version_two() => PRODUCE_V1,
        _ => PRODUCE_BY_NAME,
    };
    let answer = match shared.cluster.node(leader).await {
        Ok(connection) if shared.config.acks == 0 => unanswered(&connection, &request, &sent).await.map(Err),
        Ok(connection) => connection.pipeline(&request, version_max, timeout).await.map(Ok),
        Err(error) => Err(error),
    };
    under_way.spawn(async move {
        let result = match answer {
            Ok(Ok(answer)) => answer.await,
            Ok(Err(response)) => Ok(response),
            Err(error) => Err(error),
        };
        Finished { leader, sent, sent_at, result }
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
    let (mut request_bytes, mut request_records) = (0, 0);
    for Sent { topic, partition, batch } in sent {
        // A batch that cannot be encoded is sent as nothing; its missing answer ends it.
        let Ok(records) = batch.encoded() else { continue };
        let again = batch.attempts > 0;
        batch.attempts += 1;
        let count = batch.tickets.len();
        shared.metrics.batch(&topic.name, records.len(), count, batch.opened.elapsed(), again);
        (request_bytes, request_records) = (request_bytes + records.len(), request_records + count);
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
    shared.metrics.request(request_bytes, request_records);
    let timeout_ms = i32::try_from(shared.cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX);
    let transactional_id = shared.transaction.as_ref().map(|transaction| transaction.id().to_owned());
    ProduceRequest { transactional_id, acks: shared.config.acks, timeout_ms, topic_data }
}

fn settle_joined(
    shared: &Shared,
    per_leader: &mut HashMap<i32, usize>,
    done: std::result::Result<Finished, tokio::task::JoinError>,
) {
    let Ok(Finished { leader, sent, sent_at, result }) = done else { return };
    if result.is_ok() {
        shared.metrics.answered(sent_at.elapsed());
    }
    if let Some(count) = per_leader.get_mut(&leader) {
        *count = count.saturating_sub(1);
    }
    for sent in sent {
        let outcome = match &result {
            Ok(response) => outcome_of(response, &sent),
            Err(error) => Err(error.duplicate()),
        };
        settle(shared, sent, outcome);
    }
}

fn outcome_of(response: &ProduceResponse, sent: &Sent) -> Result<Placed> {
    let topics = response.responses.iter().filter(|topic| topic.name == sent.topic.name);
    let found = topics.flat_map(|topic| &topic.partition_responses).find(|partition| partition.index == sent.partition);
    let Some(partition) = found else {
        return Err(Error::Records("the batch could not be encoded or was not answered".to_owned()));
    };
    let record_error = partition.record_errors.first().and_then(|error| error.batch_index_error_message.as_ref());
    Error::check(partition.error_code, record_error.or(partition.error_message.as_ref()))?;
    Ok(Placed { base_offset: partition.base_offset, log_append_time_ms: partition.log_append_time_ms })
}

fn settle(shared: &Shared, sent: Sent, outcome: Result<Placed>) {
    let Sent { topic, partition, batch } = sent;
    let Some(queue) = usize::try_from(partition).ok().and_then(|index| topic.partitions.get(index)) else { return };
    let error = match outcome {
        Ok(placed) => return deliver(shared, &topic, partition, batch, placed),
        // It is in the log, so long ago that the broker forgot where.
        Err(error) if error.code() == Some(ErrorCode::DuplicateSequenceNumber) => {
            return deliver(shared, &topic, partition, batch, Placed::UNKNOWN);
        }
        Err(error) => error,
    };
    if may_retry(shared, &batch) && goes_again(shared, queue, &batch, &error) {
        if error.is_retriable() {
            shared.cluster.forget_topic(&topic.name);
        }
        tracing::debug!(topic = topic.name, partition, %error, "batch goes again");
        queue.put_back(batch, Instant::now() + shared.cluster.config().retry_backoff);
        return;
    }
    let end = match error.code() {
        Some(code) if !code.is_retriable() => BatchEnd::Refused,
        _ => BatchEnd::Unknown,
    };
    queue.settled(&batch, end);
    if let Some(transaction) = &shared.transaction {
        transaction.fail(&error);
    }
    shared.finish(&topic.name, partition, Err(&error), &batch);
    queue.recycle(batch);
}

fn deliver(shared: &Shared, topic: &TopicQueue, partition: i32, batch: Batch, placed: Placed) {
    let queue = usize::try_from(partition).ok().and_then(|index| topic.partitions.get(index));
    if let Some(queue) = queue {
        queue.settled(&batch, BatchEnd::Delivered);
    }
    shared.finish(&topic.name, partition, Ok(placed), &batch);
    if let Some(queue) = queue {
        queue.recycle(batch);
    }
}

/// Whether another attempt can succeed where this one met `error`.
fn goes_again(shared: &Shared, queue: &PartitionQueue, batch: &Batch, error: &Error) -> bool {
    let may_start_over = shared.transaction.is_none();
    match error.code() {
        Some(ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId) if batch.stamp().is_some() => {
            queue.judge_sequence(batch, may_start_over) == Verdict::Again
        }
        Some(ErrorCode::InvalidProducerEpoch) if batch.stamp().is_some() && may_start_over => {
            queue.judge_sequence(batch, may_start_over) == Verdict::Again
        }
        _ => error.is_retriable(),
    }
}

fn may_retry(shared: &Shared, batch: &Batch) -> bool {
    let sending = shared.transaction.as_ref().is_none_or(|transaction| transaction.obstacle().is_none());
    sending && batch.attempts <= shared.config.retries && batch.opened.elapsed() < shared.config.delivery_timeout
}
