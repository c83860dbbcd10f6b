//! Fetch (key 1), versions 0-18.
//!
//! - a long poll is parked without a thread and woken by the append that makes it complete, or by its deadline
//! - whole batches from the one that holds the offset; the first partition with data returns at least one batch even if it
//!   is larger than every limit (KIP-74), later ones must fit into what is left of max_bytes
//! - v4 isolation level and aborted transactions, v7 sessions (KIP-227), v9 leader epochs (KIP-320), v12 diverging epochs
//!   (KIP-595), v13 topic ids (KIP-516)
//! - v0-1 answer in magic 0, v2-3 in magic 1; this alone reads record data into memory, everything else leaves as file
//!   ranges
//! - left out: preferred read replicas and follower fetches, there is one replica

mod down_convert;
mod read;

use std::sync::Arc;
use std::time::Duration;

use milena_protocol::ErrorCode;
use milena_protocol::messages::fetch_response::{Partition as PartitionResponse, Response};
use milena_protocol::messages::{FetchRequest, FetchResponse};
use tokio::time::Instant;

use self::read::{Limits, PartitionRead, Round};
use crate::context::{Broker, RequestContext};
use crate::fetch_session::{FetchPlan, PartitionFetch, PartitionKey, TopicKey};
use crate::partition::{FetchWaiter, Parked};

/// First version whose consumers understand record batches v2; older ones get message sets.
const BATCH_V2_SINCE: i16 = 4;

/// Answers with records, at once or when enough have arrived.
pub async fn handle(broker: &Arc<Broker>, context: &RequestContext, request: FetchRequest) -> FetchResponse {
    let version = context.api_version;
    let plan = match broker.fetch_sessions.plan(&request, version, broker.clock.now_ms()) {
        Ok(plan) => plan,
        Err(code) => return FetchResponse { error_code: code.code(), ..Default::default() },
    };
    let refused = read::not_authorized(broker, context, &plan.partitions);
    let quota_bytes_max = broker.quotas.fetch_bytes_max(context).map_or(usize::MAX, |bytes| bytes as usize);
    let limits = Limits::of(&request, version, broker.config.fetch_max_bytes.min(quota_bytes_max), refused);
    let round = read_when_complete(broker, &plan.partitions, &limits, &request).await;
    let throttle_ms =
        broker.quotas.fetched(context, usize::try_from(round.bytes()).unwrap_or(0), context.flow.charge());
    if throttle_ms > 0 {
        // Records are kept back until the client is within its quota again; it asks for the same offsets then.
        context.flow.throttle(throttle_ms);
        return FetchResponse { session_id: broker.fetch_sessions.throttled(&plan), ..Default::default() };
    }
    round.count();
    let responses: Vec<PartitionResponse> = if version < BATCH_V2_SINCE {
        down_convert::all(round.into_reads(), &plan.partitions, limits.upto, version).await
    } else {
        round.into_reads().into_iter().map(|read| read.response).collect()
    };
    let answers = plan.partitions.iter().map(|fetch| fetch.key.clone()).zip(responses).collect();
    respond(broker, plan, answers)
}

/// Reads all partitions; while that gives less than `min_bytes`, waits for appends up to `max_wait_ms`.
async fn read_when_complete(
    broker: &Arc<Broker>,
    fetches: &[PartitionFetch],
    limits: &Limits,
    request: &FetchRequest,
) -> Round {
    let min_bytes = request.min_bytes.min(limits.max_bytes);
    let max_wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let mut round = Round::read(broker, fetches, limits).await;
    if round.is_complete(min_bytes) || max_wait.is_zero() || fetches.is_empty() {
        return round;
    }
    let deadline = Instant::now() + max_wait;
    let waiter = FetchWaiter::new();
    let _parked = Parked::new(waiter.clone(), round.partitions());
    while !round.is_complete(min_bytes) {
        waiter.expect(i64::from(min_bytes) - round.bytes());
        // An append may have come between the read and the registration.
        if !round.is_outdated() && tokio::time::timeout_at(deadline, waiter.wait()).await.is_err() {
            return Round::read(broker, fetches, limits).await;
        }
        round = Round::read(broker, fetches, limits).await;
    }
    round
}

fn respond(broker: &Broker, plan: FetchPlan, mut answers: Vec<(PartitionKey, PartitionResponse)>) -> FetchResponse {
    let session_id = broker.fetch_sessions.finish(plan, &mut answers, broker.clock.now_ms());
    FetchResponse { session_id, responses: group_by_topic(answers), ..Default::default() }
}

/// Neighbouring partitions of one topic share an entry; the order of partitions is kept.
fn group_by_topic(answers: Vec<(PartitionKey, PartitionResponse)>) -> Vec<Response> {
    let mut responses: Vec<Response> = Vec::new();
    let mut current: Option<TopicKey> = None;
    for (key, partition) in answers {
        if current.as_ref() != Some(&key.topic) {
            responses.push(topic_response(&key.topic));
            current = Some(key.topic);
        }
        if let Some(response) = responses.last_mut() {
            response.partitions.push(partition);
        }
    }
    responses
}

fn topic_response(topic: &TopicKey) -> Response {
    match topic {
        TopicKey::Name(name) => Response { topic: name.to_string(), ..Default::default() },
        TopicKey::Id(id) => Response { topic_id: *id, ..Default::default() },
    }
}

/// The answer for a partition that could not be read.
fn refused(index: i32, code: ErrorCode) -> PartitionResponse {
    PartitionResponse {
        partition_index: index,
        error_code: code.code(),
        high_watermark: -1,
        records: Some(Default::default()),
        ..Default::default()
    }
}

impl PartitionRead {
    fn refused(index: i32, code: ErrorCode) -> PartitionRead {
        PartitionRead { partition: None, frontier: -1, complete: true, response: refused(index, code) }
    }
}
